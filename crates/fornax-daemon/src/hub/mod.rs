//! All projects of the daemon, and what the surfaces ask of them.

mod acceptance;
mod backend;
mod callers;
mod calls;
pub(crate) mod projects;
mod requests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fornax_core::error::{Error, ErrorKind};
use fornax_core::record::Actor;
use fornax_core::view::ProjectView;
use tokio::sync::{mpsc, watch};

use crate::engine::{Engine, Shared};
use crate::feed::Feed;
use crate::home::Home;
use crate::pool;
use crate::registry::Registry;
use crate::secret::SessionKey;
use crate::tools::Tools;
use crate::trust::Trust;
use requests::stop_all;

pub use crate::locate::{MOVED_OR_COPIED_HELP, Relocation};

/// The projects that the daemon looks after.
pub struct Hub {
    home: Home,
    trust: Trust,
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
        let known: Vec<PathBuf> = Registry::load(&home)?
            .registered()
            .map(Path::to_owned)
            .collect();
        let (sessions, socket) = (SessionKey::of(&home.token()?), home.socket());
        let installation = home.installation()?;
        let (displaced, gone) = mpsc::unbounded_channel();
        let state_dir = home.dir().to_owned();
        let hub = Arc::new(Hub {
            trust: Trust::of(&home),
            home,
            shared: Shared {
                state_dir,
                feed: Arc::new(Feed::new()),
                shim_argv,
                tools: Arc::new(Tools::default()),
                sessions,
                socket,
                installation,
                displaced,
            },
            projects: RwLock::default(),
            changing: tokio::sync::Mutex::default(),
            end: watch::Sender::new(None),
        });
        for dir in known {
            // It is logged, and listed with the reason.
            let _ = hub.open_project(&dir, None).await;
        }
        tokio::spawn(projects::follow_displaced(Arc::downgrade(&hub), gone));
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
                    .with_help("mend that, then run a `fornax` command in it again; `fornax doctor` shows more, `fornax doctor --fix` repairs what is damaged"))
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
}

/// Reads or writes records on a thread where that may block; see [`pool`].
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    pool::RECORDS.run(work).await
}
