//! What a host is to do: read as JSON from its standard input, so that neither the prompt nor a
//! secret shows in a list of processes.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use fornax_core::agent::Resume;
use fornax_core::agent::{DriverKind, Mapping, Permissions};
use serde::{Deserialize, Serialize};

/// One task of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The task's folder, absolute. `session.jsonl`, `protocol.jsonl` and `agent.sock` are made in it.
    pub task_dir: PathBuf,
    /// Which driver speaks with the agent.
    pub driver: DriverKind,
    /// The agent's program and the user's own arguments, to which the driver adds its own. For
    /// [`DriverKind::Jsonl`] and [`DriverKind::Acp`] the whole command.
    pub argv: Vec<String>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// What the agent is told.
    pub prompt: String,
    /// The model, as the agent names it.
    #[serde(default)]
    pub model: Option<String>,
    /// What the conversation is called, where the agent has a place for it.
    #[serde(default)]
    pub title: String,
    /// The conversation that is gone on with.
    #[serde(default)]
    pub resume: Option<Resume>,
    /// What happens when the agent asks whether it may do something.
    #[serde(default)]
    pub permissions: Permissions,
    /// When the agent is given up on.
    #[serde(default)]
    pub limits: Limits,
    /// For [`DriverKind::Opencode`]: the folder of the server (see [`crate::drivers`]).
    #[serde(default)]
    pub server_dir: Option<PathBuf>,
    /// For [`DriverKind::Jsonl`]: where its lines say what matters.
    #[serde(default)]
    pub mapping: Mapping,
    /// For [`DriverKind::Jsonl`]: what its standard input holds.
    #[serde(default)]
    pub stdin: Option<String>,
    /// For [`DriverKind::Jsonl`]: exit codes that count as success.
    #[serde(default)]
    pub success_exit_codes: Vec<i32>,
    /// The MCP server with which the agent works the call stack, where it is offered one.
    #[serde(default)]
    pub mcp: Option<McpServer>,
    /// A price table of the user's own, absolute; the built-in one where there is none.
    #[serde(default)]
    pub prices: Option<PathBuf>,
    /// Exact texts that are taken out of what is written.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Redaction rules of the project's own: name and pattern.
    #[serde(default)]
    pub redact_rules: Vec<(String, String)>,
    /// Whether secrets are taken out at all.
    #[serde(default = "yes")]
    pub redact: bool,
}

fn yes() -> bool {
    true
}

impl Job {
    /// A job with nothing but what every job has.
    #[must_use]
    pub fn new(task_dir: PathBuf, driver: DriverKind, argv: Vec<String>, cwd: PathBuf) -> Job {
        Job {
            task_dir,
            driver,
            argv,
            cwd,
            prompt: String::new(),
            model: None,
            title: String::new(),
            resume: None,
            permissions: Permissions::default(),
            limits: Limits::default(),
            server_dir: None,
            mapping: Mapping::default(),
            stdin: None,
            success_exit_codes: vec![0],
            mcp: None,
            prices: None,
            secrets: Vec::new(),
            redact_rules: Vec::new(),
            redact: true,
        }
    }
}

/// An MCP server that is started by the agent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct McpServer {
    /// Its program, absolute.
    pub command: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// What it needs in its environment. The agent's own has it too; some agents hand it on by
    /// themselves, and no secret of it stands in a command line.
    pub env: BTreeMap<String, String>,
}

impl McpServer {
    /// What agents know it by.
    pub const NAME: &'static str = "fornax";
}

/// When an agent is given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// It has said nothing for this long while it waits for no human, in milliseconds. None: 10
    /// minutes, but not while one of its tools runs.
    pub silence_ms: Option<u64>,
    /// It tried a model call again this often without any progress between.
    pub retries: u32,
    /// Its provider asked it to wait longer than this, in milliseconds.
    pub rate_limit_wait_ms: u64,
    /// It does not exit this long after its last turn has ended, in milliseconds.
    pub exit_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            silence_ms: None,
            retries: 8,
            rate_limit_wait_ms: 60_000,
            exit_ms: 10_000,
        }
    }
}
