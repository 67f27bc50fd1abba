//! What is said of a coding agent at work: which driver speaks with it, what it used, what it asked,
//! and what it is told while it works.

use serde::{Deserialize, Serialize};

use crate::spec::ErrorClass;
use crate::time::Time;

/// What Fornax knows of one agent: which protocol its driver speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum DriverKind {
    /// OpenCode through its server: sessions, permissions, interrupt, fork.
    Opencode,
    /// `opencode run --format json`: one prompt, no questions.
    OpencodeRun,
    /// Claude Code through bidirectional stream-json.
    Claude,
    /// `claude -p`: one prompt, no questions.
    ClaudePrint,
    /// Codex through its app server.
    Codex,
    /// `codex exec --json`: one prompt, no questions.
    CodexExec,
    /// Any agent that speaks the Agent Client Protocol on its standard input and output.
    Acp,
    /// Any command that writes lines of JSON, read by a mapping.
    Jsonl,
}

impl DriverKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DriverKind::Opencode => "opencode",
            DriverKind::OpencodeRun => "opencode-run",
            DriverKind::Claude => "claude",
            DriverKind::ClaudePrint => "claude-print",
            DriverKind::Codex => "codex",
            DriverKind::CodexExec => "codex-exec",
            DriverKind::Acp => "acp",
            DriverKind::Jsonl => "jsonl",
        }
    }

    /// The name of its agent, in front of the ids of that agent's sessions.
    #[must_use]
    pub fn agent(self) -> &'static str {
        match self {
            DriverKind::Opencode | DriverKind::OpencodeRun => "opencode",
            DriverKind::Claude | DriverKind::ClaudePrint => "claude",
            DriverKind::Codex | DriverKind::CodexExec => "codex",
            DriverKind::Acp => "acp",
            DriverKind::Jsonl => "jsonl",
        }
    }

    /// Whether a task can go on with the conversation of one that has ended.
    #[must_use]
    pub fn resumes(self) -> bool {
        !matches!(self, DriverKind::Acp | DriverKind::Jsonl)
    }

    /// Whether it can be told to shorten its conversation.
    #[must_use]
    pub fn compacts(self) -> bool {
        matches!(
            self,
            DriverKind::Opencode | DriverKind::Claude | DriverKind::Codex
        )
    }

    /// Whether it takes, with that, what the summary is to keep.
    #[must_use]
    pub fn compacts_with_a_guide(self) -> bool {
        self == DriverKind::Claude
    }

    /// Whether its agent can be offered tools.
    #[must_use]
    pub fn takes_tools(self) -> bool {
        self != DriverKind::Jsonl
    }

    /// Whether it can be told something while it works: a further prompt, an interrupt.
    #[must_use]
    pub fn converses(self) -> bool {
        matches!(
            self,
            DriverKind::Opencode | DriverKind::Claude | DriverKind::Codex | DriverKind::Acp
        )
    }

    /// Whether a further task can go on with a copy of one.
    #[must_use]
    pub fn forks(self) -> bool {
        self.resumes() && self != DriverKind::CodexExec
    }
}

/// What happens when an agent asks whether it may do something.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Permissions {
    /// A human is asked; the agent waits.
    #[default]
    Ask,
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

/// A human's answer to an agent that asked whether it may do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Decision {
    /// It may, this time.
    Allow,
    /// It may, and need not ask for the like again in its session.
    Always,
    /// It may not.
    Deny,
}

impl Decision {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::Always => "always",
            Decision::Deny => "deny",
        }
    }
}

/// What an agent asks before it does something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Permission {
    /// Its id, unique within the task.
    pub id: String,
    /// What it wants to use, in the agent's own words: `bash`, `Write`, ...
    pub tool: String,
    /// What it wants to do, in one line: the command, the file.
    pub title: String,
}

/// What model calls used. `input` is what was not served from a cache; `output` includes
/// `reasoning`. All in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Usage {
    /// Sent to the model and not served from a cache.
    pub input: u64,
    /// Written by the model.
    pub output: u64,
    /// Sent to the model and served from a cache.
    #[serde(default)]
    pub cache_read: u64,
    /// Sent to the model and written to a cache.
    #[serde(default)]
    pub cache_write: u64,
    /// Of the output, what was thinking.
    #[serde(default)]
    pub reasoning: u64,
    /// What it cost, in US dollars; none where neither agent nor price table knows.
    #[serde(default)]
    pub cost_usd: Option<f64>,
    /// Whether the cost, or a part of it, is reckoned from the price table.
    #[serde(default)]
    pub estimated: bool,
}

impl Usage {
    /// All tokens, cached ones included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input + self.output + self.cache_read + self.cache_write
    }

    /// Whether nothing was used.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.total() == 0 && self.cost_usd.is_none_or(|cost| cost == 0.0)
    }

    /// Adds what further calls used. A cost that is not known adds nothing to one that is.
    pub fn add(&mut self, more: &Usage) {
        self.input += more.input;
        self.output += more.output;
        self.cache_read += more.cache_read;
        self.cache_write += more.cache_write;
        self.reasoning += more.reasoning;
        self.estimated |= more.estimated;
        self.cost_usd = match (self.cost_usd, more.cost_usd) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or(0.0) + other.unwrap_or(0.0)),
        };
    }

    /// What was used since `before`, where both are running totals; 0 where a total went back.
    #[must_use]
    pub fn since(&self, before: &Usage) -> Usage {
        Usage {
            input: self.input.saturating_sub(before.input),
            output: self.output.saturating_sub(before.output),
            cache_read: self.cache_read.saturating_sub(before.cache_read),
            cache_write: self.cache_write.saturating_sub(before.cache_write),
            reasoning: self.reasoning.saturating_sub(before.reasoning),
            cost_usd: self
                .cost_usd
                .map(|cost| (cost - before.cost_usd.unwrap_or(0.0)).max(0.0)),
            estimated: self.estimated,
        }
    }
}

/// An earlier conversation that an agent goes on with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resume {
    /// The agent's own id of it.
    pub session: String,
    /// What earlier tasks counted for it, so that running totals of the agent's are counted once.
    #[serde(default)]
    pub counted: Usage,
    /// Others may have gone on with it too: where the agent tells what it used before, that counts.
    #[serde(default)]
    pub shared: bool,
    /// Leave it as it is and go on with a copy, where the agent can do that.
    #[serde(default)]
    pub fork: bool,
}

/// Something that an agent at work is told. The id makes it idempotent: an order that is delivered
/// twice is carried out once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Unique within the task, from 1.
    pub id: u32,
    /// What it is told.
    #[serde(flatten)]
    pub kind: OrderKind,
}

/// What an agent at work can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum OrderKind {
    /// A further prompt: after the turn that goes on, or at once where none does.
    Prompt {
        /// The text.
        text: String,
    },
    /// End the turn that goes on; the session stays and waits for a prompt.
    Interrupt,
    /// The answer to a permission that it asked for.
    Decide {
        /// The permission's id.
        permission: String,
        /// The answer.
        decision: Decision,
        /// Why; the agent is told it where its protocol has a place for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Shorten the conversation.
    Compact {
        /// What the summary is to keep, for agents that can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guide: Option<String>,
    },
}

/// What is seen of an agent's task while it works. Not in the journal: it is read off the task's
/// folder, and read again after a restart.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Activity {
    /// The agent's own id of its conversation.
    pub session: Option<String>,
    /// The model that it uses.
    pub model: Option<String>,
    /// Turns begun.
    pub turns: u32,
    /// What it does now, in one line.
    pub step: Option<String>,
    /// What its model calls used so far, subagents included.
    pub usage: Usage,
    /// What it waits for, if for a human.
    pub waits: Vec<Permission>,
    /// Whether its turn was interrupted and it waits for a prompt.
    pub idle: bool,
}

/// Why an agent's task did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// As a class.
    pub class: ErrorClass,
    /// In words.
    pub message: String,
    /// Where the provider named the moment before which another try is in vain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Time>,
}

/// Where a command that writes lines of JSON says what matters: dotted paths into a line, such as
/// `usage.input_tokens` or `choices.0.text`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mapping {
    /// The result; of several lines that have it, the last counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// An error's message. Where a line has it and it is neither null, false nor empty, the task
    /// has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The session's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The model's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Input tokens that were not cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// Output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Input tokens that were read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<String>,
    /// Input tokens that were written to a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<String>,
    /// The cost in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Whether usage and cost are running totals, of which the last counts, and not each line's own.
    #[serde(default)]
    pub cumulative: bool,
}
