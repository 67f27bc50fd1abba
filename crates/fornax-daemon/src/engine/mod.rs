//! The engine of one project: the only writer of its state.
//!
//! ```text
//! commands, outcomes, ticks ─► mailbox ─► execute ─► journal (durable) ─► answer, feed, effects
//!                                 ▲                                              │
//!                                 └── collector ◄── supervisor ◄── launcher ◄────┘
//! ```
//!
//! One thread owns the state and the journal. It takes what waits in its mailbox as one batch, so
//! that many commands share one fdatasync, and tells nobody anything before the batch is durable.
//! Effects are derived from the state after each batch; a process is ensured, never just started.

mod agents;
mod calls;
mod collector;
mod launcher;
mod left;
mod place;
mod repository;
mod storage;
mod subagents;
mod task_keys;
mod worker;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use fornax_core::context::Cache;
use fornax_core::error::{Error, ErrorKind};
use fornax_core::frame::{FrameLimits, Report, SessionId};
use fornax_core::ids::{CmdId, RunId, TaskId};
use fornax_core::record::Actor;
use fornax_core::spec::RunSpec;
use fornax_core::state::{Command, LaunchContext, Limits, Outcome, State};
use fornax_core::time::Time;
use fornax_core::tools::Call;
use fornax_core::view::{Answer, ProjectView, RunView, StalledTask};
use fornax_journal::{Exclusion, Ingested, Installation, Project, TelemetryWriter, Writer};
use fornax_redact::Rules;
use tokio::sync::{mpsc as mpsc_async, oneshot};

use crate::feed::Feed;
use crate::secret::SessionKey;
use crate::tools::Tools;

pub(crate) use calls::Asked;
pub(crate) use collector::digest;
pub use place::Place;
pub(crate) use task_keys::TaskKeys;

/// What an engine shares with the rest of the daemon.
#[derive(Clone)]
pub struct Shared {
    /// Where changes are told.
    pub feed: Arc<Feed>,
    /// The command line of the task shims.
    pub shim_argv: Vec<OsString>,
    /// What is known of programs and their versions.
    pub tools: Arc<Tools>,
    /// What tasks' sessions prove who they are with.
    pub sessions: SessionKey,
    /// Where the daemon is called, by those who are on this machine.
    pub socket: PathBuf,
    /// What binds projects to this installation.
    pub installation: Installation,
    /// Told by an engine whose project is no longer where it was opened: the project's id, and where it
    /// is now.
    pub displaced: mpsc_async::UnboundedSender<(String, Place)>,
    /// The directory of the installation's own state.
    pub state_dir: PathBuf,
}

/// The engine of one project. Dropping it ends the engine; its tasks live on.
pub struct Engine {
    project: Project,
    id: String,
    mailbox: mpsc::Sender<Message>,
    telemetry: Arc<TelemetryWriter>,
    rules: SharedRules,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the engine is asked or told.
enum Message {
    Command(Box<Ask>),
    Start(Box<Start>),
    /// A session calls a tool of the call stack.
    Call(Box<calls::CallAsk>),
    /// Something happened in a session.
    Report(Box<calls::ReportAsk>),
    Query(Box<dyn FnOnce(&Look<'_>) + Send>),
    /// A run that has ended is wanted in memory again.
    TakeUp(RunId, oneshot::Sender<Result<(), Error>>),
    /// A person accepts a run that was begun elsewhere.
    Accept(Box<Acceptance>),
    /// Why a run is read-only, from its records.
    Origin(RunId, oneshot::Sender<Result<Option<Exclusion>, Error>>),
    /// Whether the project's data is still where it was opened.
    Place(oneshot::Sender<Place>),
    /// A process has ended.
    Ended(TaskId, Box<Outcome>),
    /// Something was seen of a task's agent.
    Seen(Box<agents::sessions::Seen>),
    /// One of the tools about autonomy is called.
    Autonomy(Box<Autonomy>),
    /// A task waits for room on the disk, or (none) goes on.
    Stalled(TaskId, Option<Stall>),
    Close,
}

/// A run that a person accepts, and who waits for the answer.
struct Acceptance {
    run: RunId,
    /// Which records were shown.
    digest: String,
    reply: oneshot::Sender<Result<(), Error>>,
}

/// A command and who waits for its answer.
struct Ask {
    command: Command,
    actor: Actor,
    cmd_id: Option<CmdId>,
    reply: oneshot::Sender<Result<Answer, Error>>,
}

/// A call of a tool about autonomy, and who waits for its text and its data.
struct Autonomy {
    session: SessionId,
    call: Call,
    reply: oneshot::Sender<Result<(String, serde_json::Value), Error>>,
}

/// What a project's configuration says to the engine.
#[derive(Clone)]
pub struct Settings {
    /// How much may run at once.
    pub limits: Limits,
    /// What is taken out of what is written.
    pub rules: Rules,
    /// Those of the rules that are the project's own: name and pattern.
    pub custom_rules: Vec<(String, String)>,
    /// How many tokens an agent is told of the frames around its own.
    pub context_budget: usize,
    /// How much agents may add to runs of their own.
    pub frame_limits: FrameLimits,
}

impl Default for Settings {
    /// Those of a project without a configuration.
    fn default() -> Self {
        Settings {
            limits: Limits::default(),
            rules: Rules::builtin(),
            custom_rules: Vec::new(),
            context_budget: fornax_core::context::BUDGET,
            frame_limits: FrameLimits::default(),
        }
    }
}

/// The rules of redaction as they are now: a changed configuration reaches all who write.
#[derive(Clone)]
struct SharedRules(Arc<RwLock<Rules>>);

impl SharedRules {
    fn new(rules: Rules) -> SharedRules {
        SharedRules(Arc::new(RwLock::new(rules)))
    }

    fn get(&self) -> Rules {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, rules: Rules) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }
}

/// Why a task does not proceed.
struct Stall {
    reason: String,
    /// Whether a person has to act.
    needs_you: bool,
}

/// A run to be started. Its ids are given out by the journal.
struct Start {
    spec: Arc<RunSpec>,
    settings: Settings,
    /// The local day, as `YYYYMMDD`.
    date: u32,
    actor: Actor,
    cmd_id: CmdId,
    reply: oneshot::Sender<Result<Answer, Error>>,
}

/// The state as it is told: with what no journal can hold, such as that the disk is full.
pub struct Look<'a> {
    /// The project's id.
    pub project: &'a str,
    /// The state.
    pub state: &'a State,
    /// Why nothing can go on.
    pub problem: Option<&'a str>,
    /// The engine's clock.
    pub now: Time,
    /// Contexts that were assembled before.
    pub contexts: &'a RefCell<Cache>,
    /// How many tokens a context has where nobody says otherwise.
    pub context_budget: usize,
    stalled: &'a BTreeMap<TaskId, StalledTask>,
    excluded: &'a BTreeMap<RunId, Exclusion>,
    /// Knows which runs this installation began; none while the disk refuses.
    writer: Option<&'a Writer>,
}

impl Look<'_> {
    /// Why a run is read-only; none where it may be acted on. The records of a run that is not in memory
    /// are not read for that: it may be foreign where the state directory does not know it
    /// ([`Engine::origin`]).
    #[must_use]
    pub fn exclusion(&self, id: RunId) -> Option<Exclusion> {
        if let Some(why) = self.excluded.get(&id) {
            return Some(why.clone());
        }
        let is_own =
            self.state.run(id).is_some() || self.writer.is_none_or(|writer| writer.began(id));
        (!is_own).then_some(Exclusion::Foreign)
    }

    /// A run. It reads `blocked` while it waits for the disk, or one of its tasks does not proceed.
    #[must_use]
    pub fn run(&self, id: RunId) -> Option<RunView> {
        let mut view = self.state.run_view(self.project, id)?;
        if view.ended_ms.is_some() {
            return Some(view);
        }
        let is_of_run = |task| self.state.task(task).is_some_and(|task| task.run == id);
        let stalled = self.stalled.values();
        view.stalled = stalled
            .filter(|stall| is_of_run(stall.task))
            .cloned()
            .collect();
        // What a person has to act on comes first.
        let first = view.stalled.iter().max_by_key(|stall| stall.needs_you);
        let reason = first.map(|stall| stall.reason.as_str());
        if let Some(reason) = self.problem.or(reason).map(str::to_owned) {
            view.status = fornax_core::status::RunStatus::Blocked;
            view.reason = Some(reason);
        }
        Some(view)
    }
}

impl Engine {
    /// Takes a project up: becomes its writer, reads its open runs and adopts their tasks.
    ///
    /// # Errors
    /// When another process is its writer, when a journal is damaged, or when the system refuses.
    pub fn open(
        id: String,
        project: Project,
        settings: Settings,
        shared: Shared,
    ) -> Result<Engine, Error> {
        let (mailbox, inbox) = mpsc::channel();
        let rules = SharedRules::new(settings.rules.clone());
        let telemetry = Arc::new(TelemetryWriter::start(&project)?);
        let worker = worker::Worker::open(
            id.clone(),
            project.clone(),
            settings,
            shared,
            Arc::clone(&telemetry),
            rules.clone(),
            mailbox.clone(),
        )?;
        let thread = std::thread::Builder::new()
            .name(format!("engine {id}"))
            .spawn(move || worker.work(&inbox))
            .map_err(|error| {
                Error::new(
                    ErrorKind::Internal,
                    format!("the engine's thread cannot start: {error}"),
                )
            })?;
        Ok(Engine {
            project,
            id,
            mailbox,
            telemetry,
            rules,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The project's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Takes in what happened in a session.
    ///
    /// # Errors
    /// Where it cannot be made durable.
    pub async fn report(
        &self,
        session: SessionId,
        report: Report,
        actor: Actor,
    ) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Report(Box::new(calls::ReportAsk {
            session,
            report,
            actor,
            reply,
        })))?;
        answer.await.map_err(|_| self.gone())?.map(drop)
    }

    /// The project on disk.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Gives a command and waits until it is durable.
    ///
    /// # Errors
    /// Where the command does not fit the state, or cannot be made durable.
    pub async fn command(
        &self,
        command: Command,
        actor: Actor,
        cmd_id: Option<CmdId>,
    ) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            command,
            actor,
            cmd_id,
            reply,
        };
        self.send(Message::Command(Box::new(ask)))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Carries out a call of one of the tools about autonomy: its text and its data. Settings that it
    /// changes are kept.
    ///
    /// # Errors
    /// Where what it says cannot be, the session works in no frame, or the settings cannot be kept.
    pub async fn autonomy(
        &self,
        session: SessionId,
        call: Call,
    ) -> Result<(String, serde_json::Value), Error> {
        let (reply, answer) = oneshot::channel();
        let ask = Autonomy {
            session,
            call,
            reply,
        };
        self.send(Message::Autonomy(Box::new(ask)))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Starts a run and waits until that is durable.
    ///
    /// # Errors
    /// Where it cannot be made durable.
    pub async fn start(
        &self,
        spec: RunSpec,
        settings: Settings,
        actor: Actor,
        cmd_id: CmdId,
    ) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        let start = Start {
            spec: Arc::new(spec),
            settings,
            date: today(),
            actor,
            cmd_id,
            reply,
        };
        self.send(Message::Start(Box::new(start)))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// The run that does once more what a task did.
    ///
    /// # Errors
    /// Where there is no such task, or something that it was told is not known any more.
    pub async fn rerun(&self, task: TaskId) -> Result<RunSpec, Error> {
        let root = self.project.root().to_owned();
        let rerun = self.look(move |look| {
            let context = LaunchContext {
                project_dir: &root,
                artifacts_dir: Path::new(""),
                env: &|_| None,
            };
            look.state.rerun(task, &context)
        });
        rerun.await?
    }

    /// A run that goes on with a task's conversation, or with a copy of it.
    ///
    /// # Errors
    /// Where the task has none that could be gone on with.
    pub async fn go_on(&self, task: TaskId, prompt: String, fork: bool) -> Result<RunSpec, Error> {
        let root = self.project.root().to_owned();
        let go_on = self.look(move |look| {
            let context = LaunchContext {
                project_dir: &root,
                artifacts_dir: Path::new(""),
                env: &|_| None,
            };
            look.state.go_on(task, &prompt, fork, &context)
        });
        go_on.await?
    }

    /// What is taken out of what is written.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.rules.get()
    }

    /// Looks at the state between two batches: everything in it is durable.
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Look<'_>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let query = move |look: &Look<'_>| {
            // Nobody waits any more: nothing to tell.
            let _ = reply.send(read(look));
        };
        self.send(Message::Query(Box::new(query)))?;
        answer.await.map_err(|_| self.gone())
    }

    /// Takes trace events of a run, one JSON object a line. Waits for the disk, though not for its
    /// sync.
    ///
    /// # Errors
    /// Where there is no such run, or the events cannot be written.
    pub fn trace(&self, run: RunId, ndjson: &[u8]) -> Result<Ingested, Error> {
        Ok(self.telemetry.append(run, ndjson, &self.rules.get())?)
    }

    /// Takes a run that has ended back into memory, where it is not in it.
    ///
    /// # Errors
    /// Where there is no such run, or its journal is damaged.
    pub async fn take_up(&self, run: RunId) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::TakeUp(run, reply))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Accepts a run that was begun elsewhere, or put back: it is carried on. `digest` says which records
    /// the person who accepts was shown.
    ///
    /// # Errors
    /// Where there is no such run, its records have changed since, or the system refuses.
    pub async fn accept(&self, run: RunId, digest: String) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Accept(Box::new(Acceptance { run, digest, reply })))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Why a run is read-only, from its records; none where it may be acted on.
    ///
    /// # Errors
    /// Where there is no such run, or the system refuses.
    pub async fn origin(&self, run: RunId) -> Result<Option<Exclusion>, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Origin(run, reply))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Whether the project's data is still where it was opened. Where it is not, the engine ends what it
    /// can no longer record.
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn place(&self) -> Result<Place, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Place(reply))?;
        answer.await.map_err(|_| self.gone())
    }

    /// The project as it is told.
    ///
    /// # Errors
    /// When the engine has ended.
    pub async fn project_view(&self) -> Result<ProjectView, Error> {
        let root = self.project.root().to_owned();
        self.look(move |look| project_view(look.project, &root, look.problem))
            .await
    }

    /// Ends the engine once it has finished its batch. Its tasks live on.
    pub fn close(&self) {
        // Already gone is as good.
        let _ = self.mailbox.send(Message::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(project = self.id, "the engine's thread had panicked");
        }
    }

    fn send(&self, message: Message) -> Result<(), Error> {
        self.mailbox.send(message).map_err(|_| self.gone())
    }

    fn gone(&self) -> Error {
        Error::new(
            ErrorKind::Unavailable,
            format!("the engine of {} has ended", self.project.root().display()),
        )
        .with_help("`fornax down`, then `fornax up`; `fornax doctor` tells more")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

/// The local day, as `YYYYMMDD`.
fn today() -> u32 {
    let today = jiff::Zoned::now().date();
    let number = |part: i32| u32::try_from(part).unwrap_or(0);
    number(today.year().into()) * 10_000
        + number(today.month().into()) * 100
        + number(today.day().into())
}

fn project_view(id: &str, root: &Path, problem: Option<&str>) -> ProjectView {
    let name = root
        .file_name()
        .map_or_else(|| "/".into(), |name| name.to_string_lossy());
    ProjectView {
        id: id.to_owned(),
        name: name.into_owned(),
        dir: root.display().to_string(),
        problem: problem.map(str::to_owned),
        notice: None,
    }
}

/// The folder in which a task's own artifacts are.
fn artifacts_dir(task_dir: &Path) -> PathBuf {
    task_dir.join("artifacts")
}
