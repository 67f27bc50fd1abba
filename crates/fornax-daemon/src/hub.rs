//! All projects of the daemon, and what the surfaces ask of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{CmdId, FrameId, RunId, TaskId};
use fornax_core::plan;
use fornax_core::plan::config::Config;
use fornax_core::record::Actor;
use fornax_core::redact::Rules;
use fornax_core::request::{CommandRequest, Request};
use fornax_core::spec::RunSpec;
use fornax_core::state::{Command, Limits, State, Target};
use fornax_core::view::{
    Answer, Change, FrameDetail, ProjectView, RunDetail, RunView, Snapshot, TaskView,
};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::engine::{Engine, Settings, Shared};
use crate::feed::Feed;
use crate::find;
use crate::history;
use crate::home::Home;
use crate::http::backend::{Backend, Ingested, ProjectStatus, Rejected, RunPage};
use crate::plans::{load_config, load_plan};
use crate::tools::Tools;

/// How many tasks run at once in a project that does not say so: agents mostly wait for their
/// models, so a machine of few cores runs a few all the same.
const TASKS_AT_LEAST: u32 = 4;

/// The projects that the daemon looks after.
pub struct Hub {
    home: Home,
    shared: Shared,
    projects: RwLock<BTreeMap<String, Entry>>,
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
        let hub = Arc::new(Hub {
            home,
            shared: Shared {
                feed: Arc::new(Feed::new()),
                shim_argv,
                tools: Arc::new(Tools::default()),
            },
            projects: RwLock::default(),
            end: watch::Sender::new(None),
        });
        for dir in known {
            hub.take_up(&dir).await;
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

    async fn take_up(&self, dir: &Path) -> ProjectView {
        let id = project_id(dir);
        let opened = self.open_engine(id.clone(), dir.to_owned()).await;
        let (entry, view) = match opened {
            Ok((engine, view)) => (Entry::Open(engine), view),
            Err(error) => {
                tracing::error!(dir = %dir.display(), %error, "a project cannot be taken up");
                let name = dir
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                let view = ProjectView {
                    id: id.clone(),
                    name: name.unwrap_or_else(|| "/".to_owned()),
                    dir: dir.display().to_string(),
                    problem: Some(error.message),
                };
                (Entry::Failed(view.clone()), view)
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
    ) -> Result<(Arc<Engine>, ProjectView), Error> {
        let shared = self.shared.clone();
        let open = move || {
            let settings = load_config(&dir)
                .map_err(Error::from)
                .and_then(|config| settings(&config));
            let settings = settings.unwrap_or_else(|error| {
                // A plan will not start before it is mended; what runs already goes on.
                tracing::warn!(%error, "the project's configuration cannot be used");
                Settings {
                    limits: Limits {
                        tasks: default_tasks(),
                        ..Limits::default()
                    },
                    rules: Rules::builtin(),
                    custom_rules: Vec::new(),
                }
            });
            Engine::open(id, &dir, settings, shared).map(Arc::new)
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

    async fn start(&self, request: &CommandRequest, actor: Actor) -> Result<Answer, Error> {
        let engine = self.engine(&request.project)?;
        let root = engine.project().root().to_owned();
        let wanted = request.command.clone();
        let (spec, settings) = blocking(move || resolve(&root, wanted)).await??;
        engine
            .start(spec, settings.limits, actor, request.cmd_id.clone())
            .await
    }

    async fn stop(&self, request: &CommandRequest, actor: Actor) -> Result<Answer, Error> {
        let Request::Stop { target, reason } = &request.command else {
            return Err(Error::new(ErrorKind::Internal, "not a stop"));
        };
        let engine = self.engine(&request.project)?;
        let reason = reason.clone().unwrap_or_else(|| format!("by {actor}"));
        if target == "all" {
            return stop_all(&engine, &reason, actor).await;
        }
        let target = find::target(&engine, target).await?;
        find::take_up(&engine, target).await?;
        engine
            .command(
                Command::Stop { target, reason },
                actor,
                Some(request.cmd_id.clone()),
            )
            .await
    }

    async fn retry(&self, request: &CommandRequest, actor: Actor) -> Result<Answer, Error> {
        let Request::Retry { target, from } = &request.command else {
            return Err(Error::new(ErrorKind::Internal, "not a retry"));
        };
        let engine = self.engine(&request.project)?;
        let target = find::target(&engine, target).await?;
        find::take_up(&engine, target).await?;
        let from = match (target, from) {
            (_, None) => None,
            (Target::Run(run), Some(from)) => Some(find::frame_of_run(&engine, run, from).await?),
            (_, Some(_)) => {
                let message =
                    "`from` goes with a run: it names the frame of it from which to do it again";
                return Err(Error::new(ErrorKind::Usage, message));
            }
        };
        engine
            .command(
                Command::Retry { target, from },
                actor,
                Some(request.cmd_id.clone()),
            )
            .await
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

/// Stops every run of a project that goes on.
async fn stop_all(engine: &Engine, reason: &str, actor: Actor) -> Result<Answer, Error> {
    let open = |look: &crate::engine::Look<'_>| {
        let open = look.state.runs().filter(|(_, run)| run.ended.is_none());
        open.map(|(id, _)| id).collect::<Vec<RunId>>()
    };
    let mut all = Answer::default();
    for run in engine.look(open).await? {
        let stop = Command::Stop {
            target: Target::Run(run),
            reason: reason.to_owned(),
        };
        match engine.command(stop, actor.clone(), Some(fresh_id()?)).await {
            Ok(answer) => {
                all.run = answer.run;
                all.moved += answer.moved;
            }
            // It has ended meanwhile, or is being stopped already.
            Err(error) if error.kind == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    if all.run.is_none() {
        return Err(Error::new(
            ErrorKind::Conflict,
            "there is nothing to stop: no run goes on",
        ));
    }
    Ok(all)
}

fn fresh_id() -> Result<CmdId, Error> {
    let id = uuid::Uuid::now_v7().to_string().parse();
    id.map_err(|error| Error::new(ErrorKind::Internal, format!("{error}")))
}

/// What a request to start something comes to, by the project's files as they are now.
fn resolve(root: &Path, request: Request) -> Result<(RunSpec, Settings), Error> {
    let config = load_config(root)?;
    let wrong = |found| Error::from(crate::plans::BadFile::Wrong(found));
    let spec = match request {
        Request::RunPlan { path, inputs } => {
            let plan = load_plan(root, Path::new(&path), &config)?;
            plan.resolve(inputs).map_err(wrong)?
        }
        Request::RunTask {
            tool,
            prompt,
            model,
            timeout_ms,
        } => {
            let task = plan::Task {
                tool,
                prompt,
                model,
                timeout_ms,
                ..plan::Task::default()
            };
            plan::single_task(&task, &config).map_err(wrong)?
        }
        Request::Stop { .. } | Request::Retry { .. } => {
            return Err(Error::new(ErrorKind::Internal, "nothing to start"));
        }
    };
    let settings = settings(&config)?;
    refuse_secrets(&spec, &settings.rules)?;
    Ok((spec, settings))
}

fn settings(config: &Config) -> Result<Settings, Error> {
    let mut rules = Rules::builtin();
    for rule in &config.redact {
        rules = rules
            .with_custom(&rule.name, &rule.pattern)
            .map_err(|error| {
                Error::new(
                    ErrorKind::Usage,
                    format!("redaction rule {}: {error}", rule.name),
                )
            })?;
    }
    Ok(Settings {
        limits: Limits {
            tasks: config.max_tasks.unwrap_or_else(default_tasks),
            pools: config.pools.clone(),
            ..Limits::default()
        },
        rules,
        custom_rules: config
            .redact
            .iter()
            .map(|rule| (rule.name.clone(), rule.pattern.clone()))
            .collect(),
    })
}

fn default_tasks() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX).max(TASKS_AT_LEAST)
}

/// What a run is to do is written to its journal as it is, so that it can be done again. A secret
/// does not belong there, and cannot be taken out without changing what is done.
fn refuse_secrets(spec: &RunSpec, rules: &Rules) -> Result<(), Error> {
    for frame in &spec.frames {
        let strings = serde_json::to_value(frame)
            .map(|value| strings_of(&value))
            .unwrap_or_default();
        let mut redacted = strings.iter().filter_map(|text| match rules.redact(text) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(redacted) => Some(redacted),
        });
        if let Some(redacted) = redacted.next() {
            let kind = redacted
                .split("[redacted:")
                .nth(1)
                .and_then(|rest| rest.split(']').next());
            let kind = kind.unwrap_or("secret");
            let message = format!(
                "frame {} holds what looks like a secret ({kind})",
                frame.key
            );
            return Err(Error::new(ErrorKind::Usage, message).with_help(
                "what a frame runs is kept in the journal: let it read the secret from the environment, \
                 as $NAME in a shell script or {env.NAME} elsewhere",
            ));
        }
    }
    Ok(())
}

/// All strings of a value, however deep.
fn strings_of(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(strings_of).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(strings_of).collect(),
        _ => Vec::new(),
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

impl Backend for Hub {
    fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    async fn register(&self, dir: &Path) -> Result<ProjectView, Error> {
        let real = dir.canonicalize().map_err(|error| {
            Error::new(
                ErrorKind::NotFound,
                format!("cannot look after {}: {error}", dir.display()),
            )
        })?;
        if let Ok(engine) = self.engine(&project_id(&real)) {
            return engine.project_view().await;
        }
        let view = self.take_up(&real).await;
        if let Some(problem) = &view.problem {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("{} cannot be used: {problem}", view.dir),
            )
            .with_help("`fornax doctor` tells more"));
        }
        self.remember()?;
        self.shared.feed.publish(Change {
            projects: vec![view.clone()],
            ..Change::default()
        });
        Ok(view)
    }

    async fn forget(&self, project: &str) -> Result<(), Error> {
        let engine = self.engine(project)?;
        let busy = engine.look(|look| {
            look.state
                .runs()
                .find(|(_, run)| run.ended.is_none())
                .map(|(id, _)| id)
        });
        if let Some(run) = busy.await? {
            return Err(Error::new(ErrorKind::Conflict, format!("{run} goes on"))
                .with_help(format!("wait for it, or `fornax stop {run}`")));
        }
        self.projects
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(project);
        blocking(move || engine.close()).await?;
        self.remember()
    }

    async fn status(&self) -> Vec<ProjectStatus> {
        let mut all = Vec::new();
        for entry in self.entries() {
            let engine = match entry {
                Entry::Open(engine) => engine,
                Entry::Failed(project) => {
                    all.push(ProjectStatus {
                        project,
                        running: Vec::new(),
                        queued: 0,
                    });
                    continue;
                }
            };
            let busy = engine.look(|look| {
                let running = look
                    .state
                    .running()
                    .filter_map(|(id, _)| look.state.task_view(id));
                let queued = look.state.runs().map(|(_, run)| run.tasks_queued).sum();
                (running.collect::<Vec<_>>(), queued)
            });
            if let (Ok(project), Ok((running, queued))) = (engine.project_view().await, busy.await)
            {
                all.push(ProjectStatus {
                    project,
                    running,
                    queued,
                });
            }
        }
        all
    }

    async fn snapshot(&self) -> Snapshot {
        // First the number, then the state: what changes in between is told again, and whole
        // entities may be told twice.
        let mut snapshot = Snapshot {
            epoch: self.shared.feed.epoch().to_owned(),
            seq: self.shared.feed.head(),
            now_ms: now_ms(),
            projects: Vec::new(),
            runs: Vec::new(),
            frames: fornax_core::view::FrameColumns::default(),
            tasks: fornax_core::view::TaskColumns::default(),
        };
        for entry in self.entries() {
            let engine = match entry {
                Entry::Open(engine) => engine,
                Entry::Failed(view) => {
                    snapshot.projects.push(view);
                    continue;
                }
            };
            let Ok(project) = engine.project_view().await else {
                continue;
            };
            let part = engine.look(|look| {
                let runs: Vec<RunView> = look
                    .state
                    .runs()
                    .filter_map(|(id, _)| look.run(id))
                    .collect();
                let open = || runs.iter().filter(|run| run.ended_ms.is_none());
                let frames: Vec<_> = open()
                    .flat_map(|run| look.state.run_frames(run.id))
                    .collect();
                let tasks: Vec<_> = open()
                    .flat_map(|run| look.state.run_tasks(run.id))
                    .collect();
                (runs, frames, tasks)
            });
            let Ok((runs, frames, tasks)) = part.await else {
                continue;
            };
            snapshot.projects.push(project);
            snapshot.runs.extend(runs);
            frames
                .into_iter()
                .for_each(|frame| snapshot.frames.push(frame));
            tasks.into_iter().for_each(|task| snapshot.tasks.push(task));
        }
        snapshot.runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        snapshot
    }

    async fn runs(
        &self,
        project: &str,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<RunPage, Error> {
        let engine = self.engine(project)?;
        let known = engine.look(|look| {
            let runs = look
                .state
                .runs()
                .filter_map(|(id, _)| Some((id, look.run(id)?)));
            runs.collect::<BTreeMap<_, _>>()
        });
        let (known, project) = (known.await?, project.to_owned());
        blocking(move || history::page(engine.project(), &project, known, before, limit)).await?
    }

    async fn run(&self, project: &str, run: RunId) -> Result<RunDetail, Error> {
        let engine = self.engine(project)?;
        let known = engine.look(move |look| {
            let mut detail = look.state.run_detail(look.project, run)?;
            detail.run = look.run(run)?;
            Some(detail)
        });
        if let Some(detail) = known.await? {
            return Ok(detail);
        }
        let project = project.to_owned();
        let read = move |state: &State| state.run_detail(&project, run);
        from_history(engine, run, read).await
    }

    async fn frame(&self, project: &str, id_or_prefix: &str) -> Result<FrameDetail, Error> {
        let engine = self.engine(project)?;
        let id = match find::target(&engine, id_or_prefix).await? {
            Target::Frame(id) => id,
            Target::Task(task) => task.frame,
            Target::Run(_) => return Err(not_a(id_or_prefix, "frame")),
        };
        self.frame_detail(engine, id).await
    }

    async fn task(&self, project: &str, id_or_prefix: &str) -> Result<(TaskView, PathBuf), Error> {
        let engine = self.engine(project)?;
        let Target::Task(id) = find::target(&engine, id_or_prefix).await? else {
            return Err(not_a(id_or_prefix, "task"));
        };
        let journal = engine.project().clone();
        let detail = self.frame_detail(engine, id.frame).await?;
        let task = detail.tasks.into_iter().find(|task| task.id == id);
        let task = task.ok_or_else(|| no_task(id))?;
        let dir = journal.task_dir(task.run, id);
        Ok((task, dir))
    }

    async fn run_dir(&self, project: &str, run: RunId) -> Result<PathBuf, Error> {
        let engine = self.engine(project)?;
        let dir = engine.project().run_dir(run);
        if !dir.is_dir() {
            return Err(
                Error::new(ErrorKind::NotFound, format!("there is no run {run}"))
                    .with_help("`fornax runs` lists them"),
            );
        }
        Ok(dir)
    }

    async fn command(&self, request: CommandRequest, actor: Actor) -> Result<Answer, Error> {
        match &request.command {
            Request::RunPlan { .. } | Request::RunTask { .. } => self.start(&request, actor).await,
            Request::Stop { .. } => self.stop(&request, actor).await,
            Request::Retry { .. } => self.retry(&request, actor).await,
        }
    }

    async fn trace(&self, project: &str, run: RunId, body: Bytes) -> Result<Ingested, Error> {
        let engine = self.engine(project)?;
        let ingested = blocking(move || engine.trace(run, &body)).await??;
        let rejected = ingested
            .rejected
            .into_iter()
            .map(|(line, why)| Rejected { line, why });
        Ok(Ingested {
            accepted: ingested.accepted,
            rejected: rejected.collect(),
        })
    }

    async fn shutdown(&self, stop_tasks: bool) {
        self.end.send_replace(Some(Ending { stop_tasks }));
    }
}

impl Hub {
    fn remember(&self) -> Result<(), Error> {
        let dirs = self.entries().into_iter().map(|entry| match entry {
            Entry::Open(engine) => engine.project().root().to_owned(),
            Entry::Failed(view) => PathBuf::from(view.dir),
        });
        let dirs: BTreeSet<PathBuf> = dirs.collect();
        self.home.set_projects(dirs.into_iter().collect())
    }

    async fn frame_detail(&self, engine: Arc<Engine>, id: FrameId) -> Result<FrameDetail, Error> {
        if let Some(detail) = engine.look(move |look| look.state.frame_detail(id)).await? {
            return Ok(detail);
        }
        let run = find::run_of_frame(&engine, id).await?;
        from_history(engine, run, move |state| state.frame_detail(id)).await
    }
}

/// Reads something of a run that is not in memory any more.
async fn from_history<T: Send + 'static>(
    engine: Arc<Engine>,
    run: RunId,
    read: impl FnOnce(&State) -> Option<T> + Send + 'static,
) -> Result<T, Error> {
    let work = move || {
        let state = history::load(engine.project(), run)?;
        let missing = || {
            Error::new(
                ErrorKind::Damaged,
                format!("the journal of {run} does not hold what was asked"),
            )
        };
        read(&state).ok_or_else(missing)
    };
    blocking(work).await?
}

fn not_a(text: &str, what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("`{text}` is no {what}"))
}

fn no_task(id: TaskId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no task {id}"))
        .with_help("`fornax ps` lists them")
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
