//! What a task is to run, and how it ended.

use std::fmt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use fornax_redact::Rules;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key::TaskKey;
use crate::proof::ExitProof;

/// One task, complete: everything the shim needs to run it while no daemon lives.
#[derive(Clone, Serialize, Deserialize)]
pub struct TaskSpec {
    /// The run, for the record.
    pub run_id: String,
    /// The frame, for the record.
    pub frame_id: String,
    /// The task. It also marks the task's processes, as `FORNAX_TASK` in their environment.
    pub task_id: String,
    /// The fencing token that every report repeats.
    pub attempt: u32,
    /// The task's folder: an absolute path whose parent exists. The shim creates it; that it
    /// exists is what makes a start happen once.
    pub dir: PathBuf,
    /// The program and its arguments. A program without `/` is looked up on the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The complete environment. Only its names are ever written down.
    pub env: Vec<(String, String)>,
    /// The command's working directory, absolute.
    pub cwd: PathBuf,
    /// What the command reads from its standard input; `None` is `/dev/null`.
    #[serde(default)]
    pub stdin: Option<String>,
    /// The longest that the command may run, in milliseconds.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// The longest that the command may stay silent on both outputs, in milliseconds.
    #[serde(default)]
    pub silence_ms: Option<u64>,
    /// How long each rung of the stop ladder waits.
    #[serde(default)]
    pub grace: Grace,
    /// What to redact from the logs; `None` lets the command write its log files itself.
    #[serde(default)]
    pub redact: Option<RedactSpec>,
    /// The boot (see [`crate::boot_id`]) in which this start was decided. In a later boot an absent
    /// folder may be one that the disk lost, so the task is then reported lost instead of started.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Further members for `task.json`.
    #[serde(default)]
    pub record: Map<String, Value>,
    /// What the task's shim proves with that it is the task's shim.
    pub key: TaskKey,
    /// Whether the task may have been started by a version whose shims prove nothing (protocol 1). Only
    /// a task whose start was accepted as this installation's own may be.
    #[serde(default)]
    pub accept_unproved: bool,
}

/// Shows the names of the environment only: a specification ends up in debug logs.
impl fmt::Debug for TaskSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSpec")
            .field("task_id", &self.task_id)
            .field("attempt", &self.attempt)
            .field("dir", &self.dir)
            .field("argv", &self.argv)
            .field("env", &self.env_names())
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

impl TaskSpec {
    /// Forgets what only the start needs.
    pub(crate) fn forget_input(&mut self) {
        self.stdin = None;
        self.env = Vec::new();
        self.redact = None;
    }

    /// The names of the environment, without their values.
    pub(crate) fn env_names(&self) -> Vec<&str> {
        self.env.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The stop ladder: SIGINT, wait, SIGTERM, wait, SIGKILL, sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grace {
    /// Between SIGINT and SIGTERM, in milliseconds.
    pub interrupt_ms: u64,
    /// Between SIGTERM and SIGKILL, in milliseconds.
    pub terminate_ms: u64,
    /// How long to wait, after the sweep, for an output that some process still holds open.
    pub drain_ms: u64,
}

impl Default for Grace {
    fn default() -> Self {
        Grace {
            interrupt_ms: 10_000,
            terminate_ms: 5_000,
            drain_ms: 1_000,
        }
    }
}

/// What to redact beyond the built-in rules.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RedactSpec {
    /// Exact texts, such as the secrets that were put into the environment.
    pub secrets: Vec<String>,
    /// Rules of the project's own: name and pattern. One that does not compile is left out, for it
    /// has been refused where it was written.
    pub custom: Vec<(String, String)>,
}

impl fmt::Debug for RedactSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedactSpec({} secrets)", self.secrets.len())
    }
}

impl RedactSpec {
    /// The built-in rules and these.
    pub(crate) fn rules(&self) -> Rules {
        let known = Rules::builtin().with_secrets(self.secrets.iter().cloned());
        self.custom.iter().fold(known, |rules, (name, pattern)| {
            rules.clone().with_custom(name, pattern).unwrap_or(rules)
        })
    }
}

/// Why a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// The command ended by itself (or was ended by someone else's signal).
    Exited,
    /// It ran longer than `timeout_ms`.
    Timeout,
    /// It was silent longer than `silence_ms`.
    Silence,
    /// It was told to stop.
    Stopped,
    /// It was never started; `error` says why.
    SpawnFailed,
}

/// How a task ended: the content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Format version, 1.
    pub v: u32,
    /// The task.
    pub task_id: String,
    /// Its fencing token.
    pub attempt: u32,
    /// The command's exit code, where it had one.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal that ended the command, where one did.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Why it ended.
    pub cause: ExitCause,
    /// What went wrong beside the command: it could not be started, or its output not be kept.
    #[serde(default)]
    pub error: Option<String>,
    /// The program of `argv[0]` does not exist or may not be executed.
    #[serde(default)]
    pub tool_missing: bool,
    /// Wall clock, milliseconds since the Unix epoch.
    pub started_at_ms: i64,
    /// Wall clock, milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// From start to end by the monotonic clock, in milliseconds.
    pub duration_ms: u64,
    /// The size of `stdout.log`.
    pub stdout_bytes: u64,
    /// The size of `stderr.log`.
    pub stderr_bytes: u64,
    /// Processes that the command left behind and that were killed.
    #[serde(default)]
    pub swept: u32,
    /// Processes that could not be killed (another user's, or stuck in the kernel).
    #[serde(default)]
    pub left: u32,
    /// The largest resident memory of the command or one of its waited-for children, in KiB.
    #[serde(default)]
    pub max_rss_kib: u64,
    /// Processor time of the command and its waited-for children, in milliseconds.
    #[serde(default)]
    pub cpu_ms: u64,
    /// How often the shim itself had been stopped by a signal and was continued.
    #[serde(default)]
    pub shim_continued: u32,
    /// What proves that the task's shim wrote this; none in records of protocol 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Box<ExitProof>>,
}

impl Exit {
    /// The record of a task whose command did not run.
    pub(crate) fn never_started(
        task_id: &str,
        attempt: u32,
        cause: ExitCause,
        error: Option<String>,
    ) -> Exit {
        let now_ms = now_ms();
        Exit {
            v: 1,
            task_id: task_id.to_owned(),
            attempt,
            code: None,
            signal: None,
            cause,
            error,
            tool_missing: false,
            started_at_ms: now_ms,
            ended_at_ms: now_ms,
            duration_ms: 0,
            stdout_bytes: 0,
            stderr_bytes: 0,
            swept: 0,
            left: 0,
            max_rss_kib: 0,
            cpu_ms: 0,
            shim_continued: 0,
            proof: None,
        }
    }
}

/// The wall clock, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// What the supervisor tells. The same thing may be told twice: compare the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The command runs.
    Started {
        /// The task.
        task_id: String,
        /// Its fencing token.
        attempt: u32,
        /// The command's process.
        pid: u32,
    },
    /// The command ended and none of its processes is left (but see [`Exit::left`]), or it cannot
    /// be started.
    Ended {
        /// The task.
        task_id: String,
        /// Its fencing token.
        attempt: u32,
        /// How it ended.
        exit: Exit,
    },
    /// How the command ended is not known. None of its processes is left.
    Lost {
        /// The task.
        task_id: String,
        /// Its fencing token.
        attempt: u32,
        /// What is known, for people.
        reason: String,
    },
    /// The task waits, or its shim does not do its work.
    Stalled {
        /// The task.
        task_id: String,
        /// Its fencing token.
        attempt: u32,
        /// What it waits for or what is wrong, for people.
        reason: String,
        /// Whether a person has to act: the shim was stopped again or does not answer. Otherwise the task
        /// resumes as soon as it can, for example when the disk has space.
        needs_you: bool,
    },
    /// A stalled task goes on.
    Resumed {
        /// The task.
        task_id: String,
        /// Its fencing token.
        attempt: u32,
    },
    /// The task's shim had been stopped by a signal and was sent SIGCONT.
    ShimContinued {
        /// The task.
        task_id: String,
        /// Its fencing token.
        attempt: u32,
        /// The shim's process.
        shim: u32,
    },
}
