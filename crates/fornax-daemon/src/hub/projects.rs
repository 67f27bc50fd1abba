//! Which projects the daemon looks after: opening them, closing them, following those that move.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, Weak};

use fornax_core::error::{Error, ErrorKind};
use fornax_core::view::{Change, ProjectView};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::requests::settings;
use super::{Entry, Hub, blocking};
use crate::engine::{Engine, Place, Settings};
use crate::locate::{Relocation, locate};
use crate::pool;
use crate::registry::Registry;

impl Hub {
    /// Looks after the project in a folder from now on. `answer` is what a person says of one whose old
    /// place is gone.
    ///
    /// # Errors
    /// Where the folder cannot be used; where a person must answer first.
    pub(super) async fn register_project(
        &self,
        dir: &Path,
        answer: Option<Relocation>,
    ) -> Result<ProjectView, Error> {
        let real = dir.canonicalize().map_err(|error| {
            let message = format!("cannot look after {}: {error}", dir.display());
            Error::new(ErrorKind::NotFound, message)
        })?;
        let _changing = self.changing.lock().await;
        if let Some(engine) = self.engine_at(&real) {
            if engine.place().await? == Place::Here {
                return engine.project_view().await;
            }
            self.close(engine).await?;
        }
        let view = self.open_project(&real, answer).await?;
        self.shared.feed.publish(Change {
            projects: vec![ProjectView {
                notice: None,
                ..view.clone()
            }],
            ..Change::default()
        });
        Ok(view)
    }

    /// No longer looks after a project. Its data stays as it is, and its numbers stay used.
    ///
    /// # Errors
    /// `Conflict` while a run of it is open; `NotFound`.
    pub(super) async fn forget_project(&self, id: &str) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let dir = match self.entry(id)? {
            Entry::Failed(view) => PathBuf::from(view.dir),
            Entry::Open(engine) => {
                let is_gone = engine.place().await? != Place::Here;
                let open = engine.look(|look| {
                    let mut open = look.state.runs().filter(|(_, run)| run.ended.is_none());
                    open.next().map(|(id, _)| id)
                });
                if let Some(run) = open.await?.filter(|_| !is_gone) {
                    return Err(Error::new(ErrorKind::Conflict, format!("{run} is open"))
                        .with_help(format!("wait for it, or `fornax stop {run}`")));
                }
                let dir = engine.project().root().to_owned();
                self.close(engine).await?;
                dir
            }
        };
        self.remove(id);
        let home = self.home.clone();
        blocking(move || {
            let mut registry = Registry::load(&home)?;
            registry.forget(&dir);
            registry.save(&home)
        })
        .await?
    }

    fn entry(&self, id: &str) -> Result<Entry, Error> {
        let projects = self.projects.read().unwrap_or_else(PoisonError::into_inner);
        projects.get(id).cloned().ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("there is no project {id}"))
                .with_help("`fornax status` lists the projects")
        })
    }

    /// The engine of the project in this very folder.
    fn engine_at(&self, dir: &Path) -> Option<Arc<Engine>> {
        self.engines().find(|engine| engine.project().root() == dir)
    }

    /// Ends an engine. Its tasks live on, but for those that it has stopped itself.
    async fn close(&self, engine: Arc<Engine>) -> Result<(), Error> {
        self.remove(engine.id());
        pool::PROJECTS.run(move || engine.close()).await
    }

    fn remove(&self, id: &str) {
        let mut projects = self
            .projects
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        projects.remove(id);
    }

    /// Opens a project. One that cannot be opened is listed with the reason.
    pub(super) async fn open_project(
        &self,
        dir: &Path,
        answer: Option<Relocation>,
    ) -> Result<ProjectView, Error> {
        let opened = self.open_engine(dir.to_owned(), answer).await;
        let (id, entry, view) = match opened {
            Ok((engine, view)) => (engine.id().to_owned(), Entry::Open(engine), Ok(view)),
            Err((id, error)) => {
                tracing::error!(dir = %dir.display(), %error, "a project cannot be opened");
                let name = dir
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let failed = ProjectView {
                    id: id.clone(),
                    name: name.unwrap_or_else(|| "/".to_owned()),
                    dir: dir.display().to_string(),
                    problem: Some(error.message.clone()),
                    notice: None,
                };
                (id, Entry::Failed(failed), Err(error))
            }
        };
        let mut projects = self
            .projects
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        // One that could not be opened before had an id of its own.
        projects.retain(
            |_, other| !matches!(other, Entry::Failed(view) if Path::new(&view.dir) == dir),
        );
        projects.insert(id, entry);
        view
    }

    async fn open_engine(
        &self,
        dir: PathBuf,
        answer: Option<Relocation>,
    ) -> Result<(Arc<Engine>, ProjectView), (String, Error)> {
        let unknown = id_of(dir.as_os_str().as_encoded_bytes());
        let (shared, home, trust) = (self.shared.clone(), self.home.clone(), self.trust.clone());
        let located = pool::PROJECTS.run(move || {
            trust.check_new_place(&dir)?;
            locate(&home, &shared.installation, &dir, answer)
        });
        let located = located.await.and_then(|located| located);
        let located = located.map_err(|error| (unknown, error))?;
        let id = id_of(&located.key.to_le_bytes());
        let failed = |error| (id.clone(), error);
        // The same project under another path, or at the place that it was moved from.
        let open = self.engines().find(|engine| *engine.id() == *id);
        if let Some(engine) = open {
            if engine.project().root() == located.project.root() {
                let view = engine.project_view().await.map_err(failed)?;
                return Ok((engine, with_notice(view, located.notice)));
            }
            self.close(engine).await.map_err(failed)?;
        }
        let shared = self.shared.clone();
        let (project, engine_id) = (located.project, id.clone());
        let trust = self.trust.clone();
        let engine = pool::PROJECTS.run(move || {
            // Limits and redaction execute nothing: they hold whether or not the rest is trusted.
            let settings = trust.read(project.root()).map_or_else(
                |bad| {
                    // A plan will not start before it is mended; what runs already goes on.
                    tracing::warn!(error = %Error::from(bad), "the project's configuration cannot be used");
                    Settings::default()
                },
                |reading| settings(&reading.config),
            );
            Engine::open(engine_id, project, settings, shared)
        });
        let engine = engine.await.and_then(|engine| engine).map_err(failed)?;
        let engine = Arc::new(engine);
        let view = engine.project_view().await.map_err(failed)?;
        Ok((engine, with_notice(view, located.notice)))
    }
}

fn with_notice(view: ProjectView, notice: Option<String>) -> ProjectView {
    ProjectView { notice, ..view }
}

/// An id that is short enough to be read: the first 32 bits of a SHA-256.
pub(crate) fn id_of(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Closes engines whose projects are no longer where they were opened, and opens those that were
/// renamed where they are now.
pub(super) async fn follow_displaced(
    hub: Weak<Hub>,
    mut displaced: mpsc::UnboundedReceiver<(String, Place)>,
) {
    while let Some((id, place)) = displaced.recv().await {
        let Some(hub) = hub.upgrade() else { return };
        let _changing = hub.changing.lock().await;
        // It may have been closed by who registered it anew.
        let Ok(engine) = hub.engine(&id) else {
            continue;
        };
        if matches!(engine.place().await, Ok(Place::Here)) {
            continue;
        }
        match place {
            Place::Moved(to) => {
                // Both are logged, and the second is listed with the reason.
                let _ = hub.close(engine).await;
                let _ = hub.open_project(&to, None).await;
            }
            // It stays listed with its problem until somebody registers what is there now.
            Place::Deleted | Place::Here => {}
        }
    }
}
