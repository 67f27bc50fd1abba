//! What happens in an agent's session, in the same words for every agent: the lines of a task's
//! `session.jsonl`.

use fornax_core::agent::{Decision, Failure, Permission, Usage};
use fornax_core::spec::ErrorClass;
use fornax_core::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the format that is written.
pub const VERSION: u32 = 1;

/// One line of `session.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The format's version.
    pub v: u32,
    /// Its number in the file, from 1 without gaps.
    pub seq: u64,
    /// When the host heard of it.
    pub ts: Time,
    /// What happened.
    #[serde(flatten)]
    pub happening: Happening,
}

/// What happened. Texts are complete messages, not the pieces in which they were streamed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// The agent's conversation began, or was taken up again.
    SessionStarted {
        /// The agent's own id of it.
        session: String,
        /// The model, where it is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The agent's version, where it is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// Whether it goes on with an earlier conversation.
        #[serde(default)]
        resumed: bool,
    },
    /// A subagent began.
    ChildStarted {
        /// The agent's own id of it.
        session: String,
        /// What it is to do.
        title: String,
        /// The subagent that began it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
    },
    /// A subagent ended.
    ChildEnded {
        /// The agent's own id of it.
        session: String,
        /// Whether it did what it should, where that is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        success: Option<bool>,
        /// What it said in the end, where that is told.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        result: String,
    },
    /// The agent was given a prompt and works.
    TurnStarted {
        /// Its number in the task, from 1.
        turn: u32,
        /// What it was told.
        prompt: String,
    },
    /// It said something.
    Text {
        /// What.
        text: String,
        /// The subagent that said it, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<String>,
    },
    /// It thought something.
    Thinking {
        /// What.
        text: String,
    },
    /// It began to use a tool.
    ToolCall {
        /// The agent's own id of the call.
        call: String,
        /// The tool.
        tool: String,
        /// One line about it: the command, the file.
        title: String,
        /// The arguments.
        input: Value,
        /// The subagent that calls it, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<String>,
    },
    /// A tool has ended.
    ToolResult {
        /// The agent's own id of the call.
        call: String,
        /// The tool.
        tool: String,
        /// Whether it did what it should.
        success: bool,
        /// What it gave back.
        output: String,
        /// Its exit code, where it is a command and that is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
    },
    /// A file was written by one of the agent's own tools.
    FileChanged {
        /// Where it is, as the agent named it.
        path: String,
    },
    /// Model calls used this much since the last word about it. Never a running total.
    ModelCall {
        /// Unique within the task.
        call: String,
        /// The model, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// The provider, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// What was used.
        usage: Usage,
        /// How long it took, in milliseconds, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// The subagent that made the call, if one did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        child: Option<String>,
    },
    /// The agent tries a model call again.
    Retry {
        /// Which try it is, from 1.
        attempt: u32,
        /// Why the last one failed.
        class: ErrorClass,
        /// The same in words.
        message: String,
        /// When it will try, where it names a moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Time>,
        /// How long it will wait, in milliseconds, where it names that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_ms: Option<u64>,
    },
    /// It asks whether it may do something, and waits.
    PermissionAsked(Permission),
    /// It was answered.
    PermissionAnswered {
        /// The permission's id.
        id: String,
        /// The answer.
        decision: Decision,
        /// Who answered: `human`, `policy`, or `agent` where the agent's own rules or its own
        /// surface did.
        by: String,
    },
    /// The conversation was shortened.
    Compacted {
        /// What to, where the agent tells that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        summary: Option<String>,
        /// How many tokens it had, where that is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens_before: Option<u64>,
        /// How many it has now, where that is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens_after: Option<u64>,
    },
    /// A turn is over.
    TurnEnded(TurnEnd),
    /// An order was taken (not: carried out).
    OrderTaken {
        /// The order's id.
        order: u32,
    },
    /// The agent said something that its user should know.
    Warning {
        /// What.
        message: String,
    },
    /// Lines that are not what the protocol says: they stand in the log.
    Garbage {
        /// How many so far.
        lines: u64,
    },
    /// The task is over. The last line of the file.
    Ended {
        /// Why it did not succeed; none where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What the agent said in the end.
        result: String,
    },
    /// Something that a newer version knows.
    #[serde(other)]
    Unknown,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum TurnEnd {
    /// The agent did what it was told, by its own word.
    Completed {
        /// What it said in the end.
        result: String,
    },
    /// It was interrupted by an order and waits.
    Interrupted,
    /// It did not.
    Failed(Failure),
}

impl TurnEnd {
    /// A failed turn.
    pub fn failed(class: ErrorClass, message: impl Into<String>) -> TurnEnd {
        TurnEnd::Failed(Failure {
            class,
            message: message.into(),
            retry_at: None,
        })
    }
}
