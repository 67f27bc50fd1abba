//! All projects of the daemon, and what the surfaces ask of them.

mod backend;
mod callers;
mod calls;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fornax_core::error::{Error, ErrorKind};
use fornax_core::record::Actor;
use fornax_core::view::ProjectView;
use fornax_journal::Project;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::engine::{Engine, Settings, Shared};
use crate::feed::Feed;
use crate::home::Home;
use crate::plans::load_config;
use crate::secret::SessionKey;
use crate::tools::Tools;
use requests::{settings, stop_all};

/// The projects that the daemon looks after.
pub struct Hub {
    home: Home,
    shared: Shared,
    projects: RwLock<BTreeMap<String, Entry>>,
    /// Held while projects are taken up or let go, so that each is taken up once.
    changing: tokio::sync::Mutex<()>,
    end: watch::Sender<Option<Ending>>,
}

/// How the daemon is to end.
#[derive(Clone, Copy)]
struct Ending {
    /// Whether its tasks are to be stopped first.
    stop_tasks: bool,
}

#[derive(Clone)]
enum Entry {
    Open(Arc<Engine>),
    /// It could not be taken up; it is listed with the reason.
    Failed(ProjectView),
}

impl Hub {
    /// Takes up the projects that are known from before.
    ///
    /// # Errors
    /// Where the daemon's own directory cannot be read. A project that cannot be taken up is no
    /// error: it is listed with the reason.
    pub async fn open(home: Home, shim_argv: Vec<OsString>) -> Result<Arc<Hub>, Error> {
        let known = home.projects()?;
        let (sessions, socket) = (SessionKey::of(&home.token()?), home.socket());
        let hub = Arc::new(Hub {
            home,
            shared: Shared {
                feed: Arc::new(Feed::new()),
                shim_argv,
                tools: Arc::new(Tools::default()),
                sessions,
                socket,
            },
            projects: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            end: watch::Sender::new(None),
        });
        for dir in known {
            // It is logged, and listed with the reason.
            let _ = hub.take_up(&dir, false).await;
        }
        Ok(hub)
    }

    /// Resolves when the daemon was told to end, and its tasks are stopped if that was asked for.
    pub async fn ended(&self) {
        let mut end = self.end.subscribe();
        // The sender lives as long as `self`.
        let told = end
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|told| *told);
        if told.is_some_and(|ending| ending.stop_tasks) {
            self.stop_everything().await;
        }
    }

    /// Takes a project up. One that cannot be is listed with the reason.
    async fn take_up(&self, dir: &Path, trust: bool) -> Result<ProjectView, Error> {
        let id = project_id(dir);
        let opened = self.open_engine(id.clone(), dir.to_owned(), trust).await;
        let (entry, view) = match opened {
            Ok((engine, view)) => (Entry::Open(engine), Ok(view)),
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "a project cannot be taken up");
                let name = dir
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let failed = ProjectView {
                    id: id.clone(),
                    name: name.unwrap_or_else(|| "/".to_owned()),
                    dir: dir.display().to_string(),
                    problem: Some(error.message.clone()),
                };
                (Entry::Failed(failed), Err(error))
            }
        };
        self.projects
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, entry);
        view
    }

    async fn open_engine(
        &self,
        id: String,
        dir: PathBuf,
        trust: bool,
    ) -> Result<(Arc<Engine>, ProjectView), Error> {
        let (shared, home) = (self.shared.clone(), self.home.clone());
        let open = move || {
            if !trust {
                refuse_foreign(&home, &dir)?;
            }
            let settings = load_config(&dir).map_or_else(
                |bad| {
                    // A plan will not start before it is mended; what runs already goes on.
                    tracing::warn!(error = %Error::from(bad), "the project's configuration cannot be used");
                    Settings::default()
                },
                |config| settings(&config),
            );
            let engine = Engine::open(id, &dir, settings, shared)?;
            home.trust(engine.project().key()?)?;
            Ok::<_, Error>(Arc::new(engine))
        };
        let engine = blocking(open).await??;
        let view = engine.project_view().await?;
        Ok((engine, view))
    }

    fn entries(&self) -> Vec<Entry> {
        self.projects
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    fn engines(&self) -> impl Iterator<Item = Arc<Engine>> {
        let open = |entry| match entry {
            Entry::Open(engine) => Some(engine),
            Entry::Failed(_) => None,
        };
        self.entries().into_iter().filter_map(open)
    }

    fn engine(&self, id: &str) -> Result<Arc<Engine>, Error> {
        let projects = self.projects.read().unwrap_or_else(PoisonError::into_inner);
        match projects.get(id) {
            Some(Entry::Open(engine)) => Ok(Arc::clone(engine)),
            Some(Entry::Failed(view)) => {
                let problem = view.problem.clone().unwrap_or_default();
                Err(Error::new(ErrorKind::Unavailable, format!("{} cannot be used: {problem}", view.dir))
                    .with_help("mend that, then run a `fornax` command in it again; `fornax doctor` tells more"))
            }
            None => Err(
                Error::new(ErrorKind::NotFound, format!("there is no project {id}"))
                    .with_help("run a `fornax` command in its directory"),
            ),
        }
    }

    /// Stops all tasks of all projects and waits until none runs any more.
    async fn stop_everything(&self) {
        let mut changes = self.shared.feed.watch();
        let mut stopping = Vec::new();
        for engine in self.engines() {
            match stop_all(
                &engine,
                "the daemon was told to stop all tasks",
                Actor::HUMAN,
            )
            .await
            {
                Ok(_) => stopping.push(engine),
                Err(error) if error.kind == ErrorKind::Conflict => stopping.push(engine),
                // A project whose disk is full, say: what cannot be recorded is not done.
                Err(error) => {
                    tracing::error!(%error, "the tasks of a project cannot be stopped; they live on")
                }
            }
        }
        loop {
            let mut running = 0;
            for engine in &stopping {
                running += engine
                    .look(|look| look.state.running().count())
                    .await
                    .unwrap_or(0);
            }
            if running == 0 || changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn remember(&self) -> Result<(), Error> {
        let dirs = self.entries().into_iter().map(|entry| match entry {
            Entry::Open(engine) => engine.project().root().to_owned(),
            Entry::Failed(view) => PathBuf::from(view.dir),
        });
        let dirs: BTreeSet<PathBuf> = dirs.collect();
        self.home.set_projects(dirs.into_iter().collect())
    }
}

/// A project's id: the beginning of the SHA-256 of its directory.
fn project_id(dir: &Path) -> String {
    let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
    digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Refuses a `.fornax` that another installation made, as one that came with a clone: the runs that
/// go on in it would run their commands here as soon as they are taken up.
fn refuse_foreign(home: &Home, dir: &Path) -> Result<(), Error> {
    let data = dir.join(".fornax");
    match std::fs::symlink_metadata(&data) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Ok(data) if data.is_dir() => {
            // What has no identity of its own, whatever else is in it, is nobody's that we know.
            let project = Project::find(dir)
                .ok()
                .filter(|project| project.root() == dir);
            if let Some(project) = project
                && home.trusts(project.key()?)?
            {
                return Ok(());
            }
            let empty = std::fs::read_dir(dir.join(".fornax")).map(|mut all| all.next().is_none());
            if empty.unwrap_or(false) {
                return Ok(());
            }
        }
        _ => {}
    }
    let message = format!("{} was not made by you on this machine", data.display());
    Err(Error::new(ErrorKind::Forbidden, message).with_help(
        "runs that go on in it would run their commands here; `fornax verify` and `fornax replay` \
         show what is in it without running anything; if you trust it: `fornax trust`",
    ))
}

/// Runs what blocks on a thread where that is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            format!("a thread of the daemon failed: {error}"),
        )
    })
}
