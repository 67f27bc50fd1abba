//! What can be asked of the daemon to change something: the body of `POST /api/commands`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::agent::Decision;
use crate::frame::Report;
use crate::ids::CmdId;

/// A command as it comes over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CommandRequest {
    /// Makes the command idempotent: the same id twice gives the same answer once.
    #[cfg_attr(test, ts(type = "string"))]
    pub cmd_id: CmdId,
    /// The project's id.
    pub project: String,
    /// What to do.
    pub command: Request,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Request {
    /// Start a run of a plan.
    RunPlan {
        /// The plan's file: absolute, or relative to the project.
        path: String,
        /// Its inputs.
        #[serde(default)]
        inputs: BTreeMap<String, String>,
    },
    /// Start a run of one task, without a plan.
    RunTask {
        /// The tool.
        tool: String,
        /// What it is told; for the tool `shell`, the command line.
        prompt: String,
        /// The model.
        #[serde(default)]
        model: Option<String>,
        /// How long it may run, in milliseconds.
        #[serde(default)]
        timeout_ms: Option<u64>,
    },
    /// Stop a run, a frame with all within it, a task, or (`all`) every run of the project.
    Stop {
        /// The id, or `all`.
        target: String,
        /// Why; for the record.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Tell a task's agent something further: after the turn that goes on, or at once where it waits.
    Prompt {
        /// The task, or a frame for its newest.
        target: String,
        /// What it is told.
        text: String,
    },
    /// End the turn of a task's agent; the task goes on and waits for a prompt.
    Interrupt {
        /// The task, or a frame for its newest.
        target: String,
    },
    /// Answer a task's agent that asked whether it may do something.
    Decide {
        /// The task, or a frame for its newest.
        target: String,
        /// The permission's id; none where the task asks only one thing.
        #[serde(default)]
        permission: Option<String>,
        /// The answer.
        decision: Decision,
        /// Why; the agent is told it, where it can be.
        #[serde(default)]
        note: Option<String>,
    },
    /// Have a task's agent shorten its conversation.
    Compact {
        /// The task, or a frame for its newest.
        target: String,
    },
    /// Do a task once more as it was done, in a run of its own, so that the two can be compared.
    Rerun {
        /// The task, or a frame for its newest.
        target: String,
        /// Another tool.
        #[serde(default)]
        tool: Option<String>,
        /// Another model.
        #[serde(default)]
        model: Option<String>,
    },
    /// Pause a run, a frame with all within it, or a task: nothing of it starts, and its processes are
    /// suspended.
    Pause {
        /// The id.
        target: String,
    },
    /// Let what was paused go on.
    Unpause {
        /// The id.
        target: String,
    },
    /// Have a frame that has not begun wait for a human: it begins when the question is answered `go
    /// on`, and is blocked when it is answered `block`, or `block: WHY`.
    Checkpoint {
        /// The frame.
        frame: String,
        /// What to ask; none for whether to begin.
        #[serde(default)]
        question: Option<String>,
    },
    /// Answer a checkpoint.
    Answer {
        /// Its id.
        checkpoint: String,
        /// The answer; one of its options, where it has any.
        answer: String,
    },
    /// Undo what Fornax last did in a frame by itself: it pushed or popped it.
    UndoAuto {
        /// The frame.
        frame: String,
    },
    /// Tell the agent of a task that is over something further, in a run of its own.
    Resume {
        /// The task, or a frame for its newest.
        target: String,
        /// What it is told.
        prompt: String,
        /// Leave the conversation as it is and go on with a copy.
        #[serde(default)]
        fork: bool,
    },
    /// Do again what of a run did not succeed, or one frame with all that depends on it.
    Retry {
        /// A run, a frame or a task.
        target: String,
        /// For a run: do this frame (id or key) and all that depends on it again, though it succeeded.
        #[serde(default)]
        from: Option<String>,
    },
}

/// Who calls a tool or tells of a session: by a session's token, or, for those who may act for
/// anybody, by names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Caller {
    /// The project's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Else a directory in the project, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The session; without a token and without this, the person at the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// A session's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The body of `POST /api/tools/{name}`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ToolRequest {
    /// Who calls.
    #[serde(flatten)]
    pub caller: Caller,
    /// Makes the call idempotent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd_id: Option<CmdId>,
    /// The tool's arguments.
    #[serde(default)]
    pub arguments: serde_json::Value,
}

/// The body of `POST /api/sessions/report`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// Who tells.
    #[serde(flatten)]
    pub caller: Caller,
    /// What happened.
    pub report: Report,
}
