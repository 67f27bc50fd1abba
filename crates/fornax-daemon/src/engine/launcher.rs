//! From a task that should run to its process: the launcher fills in what the task needs to know of
//! the machine, on a thread of its own, and hands it to the supervisor.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;

use fornax_agents::job::McpServer;
use fornax_agents::{Job, opencode_server};
use fornax_core::agent::DriverKind;
use fornax_core::error::{Error, ErrorKind};
use fornax_core::frame::StackUse;
use fornax_core::ids::{RunId, TaskId};
use fornax_core::spec::{ErrorClass, Invocation};
use fornax_core::state::{Launch, LaunchContext, Outcome, State};
use fornax_journal::{Project, TelemetryWriter};
use fornax_redact::Rules;
use fornax_runner::{RedactSpec, Report, Supervisor, TaskSpec};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::agents::SessionEnv;
use super::agents::messenger::{self, Letter};
use super::agents::services::Services;
use super::agents::sessions::Sessions;
use super::collector::Collector;
use super::repository::Repositories;
use super::task_keys::TaskKeys;
use super::{Message, Settings, Shared, SharedRules, artifacts_dir};
use crate::tools::{Tools, Wanted};
use crate::trust::Trust;

/// Starts and stops processes.
pub(super) struct Launcher {
    project: Project,
    env: Vec<(String, String)>,
    redact: RedactSpec,
    rules: SharedRules,
    collector: Collector,
    orders: mpsc::Sender<Order>,
    letters: mpsc::Sender<Letter>,
    mailbox: mpsc::Sender<Message>,
    /// The command line of agents' hosts.
    host_argv: Vec<String>,
    shared: Shared,
    project_id: String,
    context_budget: usize,
    task_keys: TaskKeys,
    thread: Option<JoinHandle<()>>,
    /// Tasks of runs that a person accepted: they are adopted where they live, and never started.
    adopt_only: HashSet<TaskId>,
    /// The wall clock when the engine was opened: what was decided since was decided in this boot.
    opened_ms: i64,
}

enum Order {
    Ensure(Box<TaskSpec>, Option<Box<Agent>>),
    Stop(String),
    Suspend(String, bool),
    /// A task is over.
    Over(TaskId),
    /// An agents' server has ended.
    ServerEnded(String),
    Close,
}

/// What a task with an agent needs beside its process.
struct Agent {
    id: TaskId,
    job: Job,
    own_env: Vec<(String, String)>,
    /// For OpenCode, where it is offered tools: what its plugin proves who it is with.
    plugged: Option<SessionEnv>,
}

impl Launcher {
    pub fn start(
        project_id: &str,
        project: &Project,
        shared: &Shared,
        settings: &Settings,
        telemetry: Arc<TelemetryWriter>,
        rules: SharedRules,
        mailbox: mpsc::Sender<Message>,
    ) -> Result<Launcher, Error> {
        let opened_ms = jiff::Timestamp::now().as_millisecond();
        let env = inherited_env();
        let secret = |(name, _): &&(String, String)| Rules::is_secret_name(name);
        let secrets: Vec<String> = env
            .iter()
            .filter(secret)
            .map(|(_, value)| value.clone())
            .collect();
        rules.set(settings.rules.clone().with_secrets(secrets.iter().cloned()));
        let redact = RedactSpec {
            secrets,
            custom: settings.custom_rules.clone(),
        };
        let cannot = |error: std::io::Error| {
            Error::new(
                ErrorKind::Internal,
                format!("tasks cannot be started: {error}"),
            )
        };
        let sessions = Sessions::start(project, telemetry, rules.clone(), mailbox.clone());
        let services = Services::dir(&shared.installation, project.key()?);
        let collector = Collector::new(
            project,
            &services,
            rules.clone(),
            sessions.map_err(cannot)?,
            mailbox.clone(),
        );
        let (orders, inbox) = mpsc::channel();
        let (reports, ends) = (collector.clone(), orders.clone());
        let task_keys = TaskKeys::new(shared.installation.key(), project)?;
        let (shim_argv, state_dir) = (shared.shim_argv.clone(), &shared.state_dir);
        let supervisor = Supervisor::new(shim_argv, state_dir, move |report| {
            let over = end_of(&report);
            match over {
                // The launcher has ended with the daemon: servers are taken up again by the next.
                Some(server) if Services::is_server(server) => {
                    let _ = ends.send(Order::ServerEnded(server.to_owned()));
                    return;
                }
                Some(task) => {
                    let over = task.parse().map(|id| ends.send(Order::Over(id)));
                    drop(over);
                }
                None => {}
            }
            reports.take(report);
        });
        let mut herald = Herald {
            supervisor: supervisor.map_err(cannot)?,
            tools: std::sync::Arc::clone(&shared.tools),
            root: project.root().to_owned(),
            repositories: Repositories::new(Trust::in_dir(state_dir).git(project.root())),
            services: Services::new(project, services, redact.clone(), task_keys.clone()),
            mailbox: mailbox.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("launcher".to_owned())
            .spawn(move || herald.work(&inbox))
            .map_err(cannot)?;
        Ok(Launcher {
            project: project.clone(),
            env,
            redact,
            rules,
            collector,
            orders,
            letters: messenger::start().map_err(cannot)?,
            mailbox,
            host_argv: host_argv(&shared.shim_argv),
            shared: shared.clone(),
            project_id: project_id.to_owned(),
            context_budget: settings.context_budget,
            adopt_only: HashSet::new(),
            task_keys,
            opened_ms,
            thread: Some(thread),
        })
    }

    /// Sees to it that a task has its process, whether or not it has one already.
    pub fn ensure(&self, state: &State, id: TaskId) {
        match self.spec(state, id) {
            Ok((spec, agent)) => self.order(Order::Ensure(Box::new(spec), agent.map(Box::new))),
            // The engine that would read it is the one that asked; it is there.
            Err(error) => drop(
                self.mailbox
                    .send(Message::Ended(id, Box::new(cannot_start(error.message)))),
            ),
        }
    }

    /// These tasks run already or are lost: they are not started.
    pub fn adopt_only(&mut self, tasks: impl IntoIterator<Item = TaskId>) {
        self.adopt_only.extend(tasks);
    }

    /// From now on, these settings hold.
    pub fn use_settings(&mut self, settings: &Settings) {
        let secrets = self.redact.secrets.iter().cloned();
        self.rules.set(settings.rules.clone().with_secrets(secrets));
        self.redact.custom.clone_from(&settings.custom_rules);
        self.context_budget = settings.context_budget;
    }

    /// Has a task's agent told something.
    pub fn tell(&self, run: RunId, id: TaskId, order: &fornax_core::agent::Order) {
        let letter = Letter {
            task_dir: self.project.task_dir(run, id),
            order: order.clone(),
        };
        if self.letters.send(letter).is_err() {
            tracing::error!(
                "the messenger's thread has ended; agents are told nothing until the daemon is started again"
            );
        }
    }

    /// Begins to stop a task.
    pub fn stop(&self, id: TaskId) {
        self.order(Order::Stop(id.to_string()));
    }

    /// Suspends a task's processes, or lets them go on.
    pub fn suspend(&self, id: TaskId, on: bool) {
        self.order(Order::Suspend(id.to_string(), on));
    }

    /// Ends the launcher: what nobody needs is ended, tasks live on.
    pub fn close(&mut self) {
        self.order(Order::Close);
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the launcher's thread had panicked");
        }
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!(
                "the launcher's thread has ended; tasks wait until the daemon is started again"
            );
        }
    }

    fn spec(&self, state: &State, id: TaskId) -> Result<(TaskSpec, Option<Agent>), Error> {
        let missing = || Error::new(ErrorKind::Internal, format!("{id} has no work"));
        let frame = state.frame(id.frame).ok_or_else(missing)?;
        let task = state.task(id).ok_or_else(missing)?;
        let invocation = frame
            .spec
            .invocation_at(task.fallback)
            .ok_or_else(missing)?;
        let dir = self.project.task_dir(frame.run, id);
        let artifacts_dir = artifacts_dir(&dir);
        let context = LaunchContext {
            project_dir: self.project.root(),
            artifacts_dir: &artifacts_dir,
            env: &|name| {
                self.env
                    .iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.clone())
            },
        };
        let launch = state.launch(id, &context)?;
        stay_inside(self.project.root(), &launch.cwd)?;
        self.collector
            .expect(id, frame.run, &dir, invocation, &frame.spec.outputs);
        if let Some(runs) = dir.parent() {
            // The shim makes the task's own folder, and only that. Where the run's folder is gone, the
            // project is elsewhere.
            match DirBuilder::new().mode(0o700).create(runs) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    let message = format!("cannot create {}: {error}", runs.display());
                    return Err(Error::new(ErrorKind::Storage, message));
                }
                _ => {}
            }
        }
        let session = self.session_env(&id.to_string());
        let mut redact = self.redact.clone();
        redact.secrets.push(session.token.clone());
        let mut job = super::agents::job(state, id, &dir, &launch, &redact, self.context_budget);
        if let Some(job) = &mut job {
            job.mcp = self.mcp_server(invocation, &session);
        }
        let mut spec = TaskSpec {
            run_id: frame.run.to_string(),
            frame_id: id.frame.to_string(),
            task_id: id.to_string(),
            attempt: id.attempt,
            env: self.environment(&launch, &session),
            stdin: launch.stdin.clone(),
            timeout_ms: invocation.timeout_ms,
            silence_ms: invocation.silence_ms,
            grace: fornax_runner::Grace::default(),
            redact: invocation.redact.then_some(redact),
            boot_id: match self.adopt_only.contains(&id) {
                true => Some("before a person accepted the run".to_owned()),
                false => task
                    .started
                    .and_then(|started| boot_of(started.0, self.opened_ms)),
            },
            record: record(
                job.as_ref()
                    .map(|job| &job.prompt)
                    .or(launch.prompt.as_ref()),
                invocation,
            ),
            argv: launch.argv,
            cwd: launch.cwd,
            dir,
            key: self.task_keys.of_task(frame.run, id),
            // A version before proofs may have started it, where a person has accepted the run.
            accept_unproved: self.adopt_only.contains(&id),
        };
        let plugged = (invocation.stack != StackUse::Off).then(|| self.session_env("opencode:*"));
        let agent = job.map(|job| {
            spec.record.insert(
                "agent".to_owned(),
                json!({ "driver": job.driver, "argv": job.argv }),
            );
            spec.argv.clone_from(&self.host_argv);
            // The host knows when an agent's silence means something; its log does not tell.
            spec.silence_ms = None;
            Agent {
                id,
                job,
                own_env: launch.env.clone(),
                plugged,
            }
        });
        Ok((spec, agent))
    }

    /// What a session proves who it is with, and where.
    fn session_env(&self, session: &str) -> SessionEnv {
        SessionEnv {
            socket: self.shared.socket.display().to_string(),
            token: self.shared.sessions.token(&self.project_id, session),
            project_dir: self.project.root().display().to_string(),
        }
    }

    /// The MCP server that an agent is offered. OpenCode has its plugin, which knows whose call it is.
    fn mcp_server(&self, invocation: &Invocation, session: &SessionEnv) -> Option<McpServer> {
        let driver = invocation.driver?;
        let plugged = matches!(driver, DriverKind::Opencode | DriverKind::OpencodeRun);
        let offered = driver.takes_tools() && invocation.stack != StackUse::Off && !plugged;
        let command = self.host_argv.first().filter(|_| offered)?.clone();
        Some(McpServer {
            command,
            args: vec!["mcp".to_owned()],
            env: session.vars().into_iter().collect(),
        })
    }

    fn environment(&self, launch: &Launch, session: &SessionEnv) -> Vec<(String, String)> {
        // Some agents trust $PWD over the directory that they are really in.
        let pwd = ("PWD".to_owned(), launch.cwd.display().to_string());
        let session = session.vars();
        let set = std::iter::once(&pwd).chain(&session).chain(&launch.env);
        let mut env: std::collections::BTreeMap<&str, &str> = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        env.extend(set.map(|(name, value)| (name.as_str(), value.as_str())));
        env.into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

/// The daemon's environment as tasks get it. What an outer Fornax set for the task in which this
/// daemon may have been started is not theirs.
fn inherited_env() -> Vec<(String, String)> {
    let vars = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    vars.filter(|(name, _)| !name.starts_with("FORNAX_"))
        .collect()
}

/// A task that never came to be a process.
fn cannot_start(message: String) -> Outcome {
    Outcome {
        verdict: Err((ErrorClass::Spawn, message)),
        note: None,
        exit_code: None,
        signal: None,
        duration_ms: 0,
        results: String::new(),
        artifacts: Vec::new(),
        agent: None,
    }
}

/// The task that a report says the end of.
fn end_of(report: &Report) -> Option<&str> {
    match report {
        Report::Ended { task_id, .. } | Report::Lost { task_id, .. } => Some(task_id),
        _ => None,
    }
}

/// The command line of agents' hosts: the same program as the shims'.
fn host_argv(shim_argv: &[OsString]) -> Vec<String> {
    let program = shim_argv.first().map(|program| program.to_string_lossy());
    let program = program.map_or_else(|| "fornax".to_owned(), std::borrow::Cow::into_owned);
    vec![program, fornax_agents::host::AGENT_ARG.to_owned()]
}

/// A working directory that a link leads out of the project is refused.
fn stay_inside(root: &Path, dir: &Path) -> Result<(), Error> {
    let real = dir.canonicalize().map_err(|error| {
        Error::new(
            ErrorKind::NotFound,
            format!(
                "the working directory {} cannot be entered: {error}",
                dir.display()
            ),
        )
    })?;
    if real.starts_with(root) {
        return Ok(());
    }
    let message = format!(
        "the working directory {} leads out of the project, to {}",
        dir.display(),
        real.display()
    );
    Err(Error::new(ErrorKind::Usage, message))
}

/// The boot in which something was decided at `at_ms`: this one, or (none of ours) an earlier one.
fn boot_of(at_ms: i64, opened_ms: i64) -> Option<String> {
    if at_ms >= opened_ms {
        return fornax_runner::boot_id().ok();
    }
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let booted_s: i64 = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    // The boot's moment is known to the second, and the wall clock may have been set since: what
    // was decided close to it counts as decided after it, and its folder tells the rest.
    if at_ms >= (booted_s - 60) * 1_000 {
        return fornax_runner::boot_id().ok();
    }
    Some("an earlier boot".to_owned())
}

/// What `task.json` says beyond what the runner writes: all that is needed to do the task again. The
/// prompt is what was sent: with an agent's context.
fn record(prompt: Option<&String>, invocation: &Invocation) -> Map<String, Value> {
    let mut record = Map::new();
    let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
    set("tool", json!(invocation.tool));
    set("mode", json!(invocation.mode));
    if let Some(model) = &invocation.model {
        set("model", json!(model));
    }
    if let Some(prompt) = prompt {
        let digest = Sha256::digest(prompt.as_bytes());
        set(
            "context_digest",
            json!(format!("sha256:{}", crate::secret::hex(&digest))),
        );
        set("prompt", json!(prompt));
    }
    record
}

/// Works the launcher's orders, in their order.
struct Herald {
    supervisor: Supervisor,
    tools: std::sync::Arc<Tools>,
    root: PathBuf,
    repositories: Repositories,
    services: Services,
    mailbox: mpsc::Sender<Message>,
}

impl Herald {
    fn work(&mut self, inbox: &mpsc::Receiver<Order>) {
        self.services.adopt(&self.supervisor);
        loop {
            let order = match self.services.end_idle(&self.supervisor) {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => inbox.recv_timeout(wait),
            };
            match order {
                Ok(Order::Ensure(spec, agent)) => self.ensure(*spec, agent.map(|agent| *agent)),
                Ok(Order::Stop(task)) => self.supervisor.stop(&task),
                Ok(Order::Suspend(task, on)) => self.supervisor.suspend(&task, on),
                Ok(Order::Over(task)) => self.services.release(task),
                Ok(Order::ServerEnded(server)) => self.services.ended(&self.supervisor, &server),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => {
                    self.services.end_unused(&self.supervisor);
                    return;
                }
            }
        }
    }

    /// What the host is to do, with the server that its agent needs.
    fn prepare(&mut self, spec: &mut TaskSpec, agent: Agent) -> Result<String, String> {
        let mut job = agent.job;
        if job.driver == DriverKind::Opencode {
            let server = self.services.opencode(
                &self.supervisor,
                agent.id,
                &job.argv,
                spec.env.clone(),
                &agent.own_env,
                agent.plugged.as_ref(),
            );
            let dir = server.map_err(|error| format!("OpenCode's server cannot start: {error}"))?;
            if let Some(record) = spec.record.get_mut("agent") {
                record["server"] = json!(dir);
            }
            job.server_dir = Some(dir);
        }
        if job.driver == DriverKind::OpencodeRun && agent.plugged.is_some() {
            let plugin = self.services.plugin();
            let plugin =
                plugin.map_err(|error| format!("OpenCode's plugin cannot be written: {error}"))?;
            opencode_server::plug_in(&mut spec.env, &plugin);
        }
        serde_json::to_string(&job).map_err(|error| error.to_string())
    }

    fn ensure(&mut self, mut spec: TaskSpec, agent: Option<Agent>) {
        let agent_program = agent
            .as_ref()
            .and_then(|agent| agent.job.argv.first().cloned());
        if let Some(agent) = agent {
            let id = agent.id;
            match self.prepare(&mut spec, agent) {
                Ok(job) => spec.stdin = Some(job),
                Err(error) => {
                    // The engine has ended: it will ask again when it is started.
                    let _ = self
                        .mailbox
                        .send(Message::Ended(id, Box::new(cannot_start(error))));
                    return;
                }
            }
        }
        // Only a task that is yet to be started needs its circumstances.
        if !spec.dir.exists() {
            let program = agent_program
                .or_else(|| spec.argv.first().cloned())
                .unwrap_or_default();
            let tool = spec
                .record
                .get("tool")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            // A shell has no version that would matter to anybody.
            if tool != "shell" {
                // The task runs this program in any case, also one of the project.
                let program = match program.contains('/') {
                    true => self.root.join(program).to_string_lossy().into_owned(),
                    false => program,
                };
                let wanted = Wanted {
                    name: tool,
                    program,
                    is_trusted: true,
                };
                let version = self
                    .tools
                    .look(&[wanted], None)
                    .pop()
                    .and_then(|found| found.version);
                spec.record
                    .insert("tool_version".to_owned(), json!(version));
            }
            let git = self.repositories.look(&spec.cwd);
            spec.record.insert("git".to_owned(), git);
        }
        self.supervisor.ensure(spec);
    }
}
