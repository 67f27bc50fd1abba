//! From a task that should run to its process: the launcher fills in what the task needs to know of
//! the machine, on a thread of its own, and hands it to the supervisor.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::TaskId;
use fornax_core::redact::Rules;
use fornax_core::spec::{ErrorClass, Invocation};
use fornax_core::state::{Launch, LaunchContext, Outcome, State};
use fornax_journal::Project;
use fornax_runner::{RedactSpec, Supervisor, TaskSpec};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::collector::Collector;
use super::{Message, Settings, Shared, artifacts_dir};
use crate::tools::{Tools, Wanted};

/// How long a look at the repository may take, and how long it is remembered.
const GIT_TIMEOUT: Duration = Duration::from_secs(5);
const GIT_REMEMBERED: Duration = Duration::from_secs(1);

/// Starts and stops processes.
pub(super) struct Launcher {
    project: Project,
    env: Vec<(String, String)>,
    redact: RedactSpec,
    collector: Collector,
    orders: mpsc::Sender<Order>,
    mailbox: mpsc::Sender<Message>,
    /// The wall clock when the engine was opened: what was decided since was decided in this boot.
    opened_ms: i64,
}

enum Order {
    Ensure(Box<TaskSpec>),
    Stop(String),
}

impl Launcher {
    pub fn start(
        project: &Project,
        shared: &Shared,
        settings: &Settings,
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
        let rules = settings.rules.clone().with_secrets(secrets.iter().cloned());
        let collector = Collector::new(project, rules, mailbox.clone());
        let reports = collector.clone();
        let supervisor =
            Supervisor::new(shared.shim_argv.clone(), move |report| reports.take(report));
        let cannot = |error: std::io::Error| {
            Error::new(
                ErrorKind::Internal,
                format!("tasks cannot be started: {error}"),
            )
        };
        let mut herald = Herald {
            supervisor: supervisor.map_err(cannot)?,
            tools: std::sync::Arc::clone(&shared.tools),
            root: project.root().to_owned(),
            repositories: HashMap::new(),
        };
        let (orders, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("launcher".to_owned())
            .spawn(move || {
                for order in inbox {
                    match order {
                        Order::Ensure(spec) => herald.ensure(*spec),
                        Order::Stop(task) => herald.supervisor.stop(&task),
                    }
                }
            })
            .map_err(cannot)?;
        Ok(Launcher {
            project: project.clone(),
            env,
            redact: RedactSpec {
                secrets,
                custom: settings.custom_rules.clone(),
            },
            collector,
            orders,
            mailbox,
            opened_ms,
        })
    }

    /// Sees to it that a task has its process, whether or not it has one already.
    pub fn ensure(&self, state: &State, id: TaskId) {
        match self.spec(state, id) {
            Ok(spec) => self.order(Order::Ensure(Box::new(spec))),
            Err(error) => {
                let outcome = Outcome {
                    verdict: Err((ErrorClass::Spawn, error.message)),
                    exit_code: None,
                    signal: None,
                    duration_ms: 0,
                    results: String::new(),
                    artifacts: Vec::new(),
                };
                // The engine that would read it is the one that asked; it is there.
                let _ = self.mailbox.send(Message::Ended(id, outcome));
            }
        }
    }

    /// Begins to stop a task.
    pub fn stop(&self, id: TaskId) {
        self.order(Order::Stop(id.to_string()));
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_err() {
            tracing::error!(
                "the launcher's thread has ended; tasks wait until the daemon is started again"
            );
        }
    }

    fn spec(&self, state: &State, id: TaskId) -> Result<TaskSpec, Error> {
        let missing = || Error::new(ErrorKind::Internal, format!("{id} has no work"));
        let frame = state.frame(id.frame).ok_or_else(missing)?;
        let invocation = frame.spec.invocation.as_ref().ok_or_else(missing)?;
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
            .expect(id, &dir, invocation, &frame.spec.outputs);
        if let Some(runs) = dir.parent() {
            // The shim makes the task's own folder, and only that.
            std::fs::create_dir_all(runs).map_err(|error| {
                Error::new(
                    ErrorKind::Storage,
                    format!("cannot create {}: {error}", runs.display()),
                )
            })?;
        }
        let started = state.task(id).and_then(|task| task.started);
        Ok(TaskSpec {
            run_id: frame.run.to_string(),
            frame_id: id.frame.to_string(),
            task_id: id.to_string(),
            attempt: id.attempt,
            env: self.environment(&launch),
            stdin: launch.stdin.clone(),
            timeout_ms: invocation.timeout_ms,
            silence_ms: invocation.silence_ms,
            grace: fornax_runner::Grace::default(),
            redact: invocation.redact.then(|| self.redact.clone()),
            boot_id: started.and_then(|started| boot_of(started.0, self.opened_ms)),
            record: record(&launch, invocation),
            argv: launch.argv,
            cwd: launch.cwd,
            dir,
        })
    }

    fn environment(&self, launch: &Launch) -> Vec<(String, String)> {
        // Some agents trust $PWD over the directory that they are really in.
        let pwd = ("PWD".to_owned(), launch.cwd.display().to_string());
        let set = std::iter::once(&pwd).chain(&launch.env);
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

/// What `task.json` says beyond what the runner writes: all that is needed to do the task again.
fn record(launch: &Launch, invocation: &Invocation) -> Map<String, Value> {
    let mut record = Map::new();
    let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
    set("tool", json!(invocation.tool));
    set("mode", json!(invocation.mode));
    if let Some(model) = &invocation.model {
        set("model", json!(model));
    }
    if let Some(prompt) = &launch.prompt {
        let digest = Sha256::digest(prompt.as_bytes());
        set(
            "context_digest",
            json!(format!("sha256:{}", super::collector::hex(&digest))),
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
    repositories: HashMap<PathBuf, (Instant, Value)>,
}

impl Herald {
    fn ensure(&mut self, mut spec: TaskSpec) {
        // Only a task that is yet to be started needs its circumstances.
        if !spec.dir.exists() {
            let program = spec.argv.first().cloned().unwrap_or_default();
            let tool = spec
                .record
                .get("tool")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            // A shell has no version that would matter to anybody.
            if tool != "shell" {
                let wanted = Wanted {
                    name: tool,
                    program,
                };
                let version = self
                    .tools
                    .look(&[wanted], &self.root)
                    .pop()
                    .and_then(|found| found.version);
                spec.record
                    .insert("tool_version".to_owned(), json!(version));
            }
            let git = self.repository(&spec.cwd);
            spec.record.insert("git".to_owned(), git);
        }
        self.supervisor.ensure(spec);
    }

    /// The commit that is checked out, and whether the work tree differs from it.
    fn repository(&mut self, dir: &Path) -> Value {
        if let Some((at, known)) = self.repositories.get(dir)
            && at.elapsed() < GIT_REMEMBERED
        {
            return known.clone();
        }
        let found = if dir.ancestors().any(|dir| dir.join(".git").exists()) {
            look_at_git(dir)
        } else {
            Value::Null
        };
        self.repositories
            .retain(|_, (at, _)| at.elapsed() < GIT_REMEMBERED);
        self.repositories
            .insert(dir.to_owned(), (Instant::now(), found.clone()));
        found
    }
}

fn look_at_git(dir: &Path) -> Value {
    let child = Command::new("git")
        .args([
            "--no-optional-locks",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args([
            "status",
            "--porcelain=v2",
            "--branch",
            "--ignore-submodules=dirty",
        ])
        .current_dir(dir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Value::Null;
    };
    let (sender, said) = mpsc::channel();
    let output = child.stdout.take();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // Past this it is dirty in any case.
        let read = output.map(|output| output.take(64 * 1024).read_to_end(&mut text));
        let _ = sender.send(read.is_some_and(|read| read.is_ok()).then_some(text));
    });
    let text = said.recv_timeout(GIT_TIMEOUT).ok().flatten();
    // Ended already, or too slow to be waited for.
    let _ = child.kill();
    let _ = child.wait();
    let text = text
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default();
    let commit = text
        .lines()
        .find_map(|line| line.strip_prefix("# branch.oid "));
    commit.map_or(Value::Null, |commit| {
        let dirty = text.lines().any(|line| !line.starts_with('#'));
        json!({ "commit": commit, "dirty": dirty })
    })
}
