//! What is asked of the state.

use std::sync::Arc;

use crate::agent::{Decision, OrderKind, Permission, Usage};
use crate::event::Artifact;
use crate::frame::{FrameLimits, Report, SessionId};
use crate::ids::{FrameId, RunId, TaskId};
use crate::spec::{ErrorClass, RunSpec};
use crate::time::Time;
use crate::tools::Call;

use super::Auto;

/// What somebody or something wants of the state.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Start a run.
    StartRun {
        /// Its id, never used before.
        run: RunId,
        /// An unused id for each frame of the spec.
        frames: Vec<FrameId>,
        /// What is to be done.
        spec: Arc<RunSpec>,
    },
    /// A task's process has ended, or it never came to be one.
    TaskEnded {
        /// The task, its attempt with it.
        task: TaskId,
        /// How.
        outcome: Outcome,
    },
    /// Stop what still goes on.
    Stop {
        /// What to stop.
        target: Target,
        /// Why.
        reason: String,
    },
    /// Let nothing of it start, and suspend its processes.
    Pause {
        /// What to pause.
        target: Target,
    },
    /// Let it go on.
    Unpause {
        /// What was paused.
        target: Target,
    },
    /// Do again what did not succeed.
    Retry {
        /// A run, or one frame of it.
        target: Target,
        /// Do this frame again, and all that depends on it, though it succeeded.
        from: Option<FrameId>,
    },
    /// A task's agent asks whether it may do something.
    Asked {
        /// The task.
        task: TaskId,
        /// What it asks.
        permission: Permission,
    },
    /// What a task's agent asked was answered, but not by an order: by its own rules, or in a
    /// surface of its own.
    Answered {
        /// The task.
        task: TaskId,
        /// The permission's id.
        permission: String,
        /// The answer.
        decision: Decision,
    },
    /// A task's agent was interrupted and waits for a prompt.
    Idle {
        /// The task.
        task: TaskId,
        /// The newest order that it had been told by then.
        taken: u32,
    },
    /// A task's agent is told something.
    Tell {
        /// The task.
        task: TaskId,
        /// What it is told.
        order: OrderKind,
    },
    /// A conversation that is no task's begins to use frames: a run of its own.
    OpenSession {
        /// The session.
        session: SessionId,
        /// An unused id for the run.
        run: RunId,
        /// An unused id for its root frame.
        frame: FrameId,
        /// What the run is called.
        title: String,
        /// How much agents may add to it.
        limits: FrameLimits,
    },
    /// A session's agent did something that matters to the call stack.
    Report {
        /// The session.
        session: SessionId,
        /// What it did.
        report: Report,
        /// An unused id, for a frame that comes of it.
        id: FrameId,
    },
    /// A session calls a tool that changes the call stack.
    Call {
        /// The session.
        session: SessionId,
        /// The call.
        call: Box<Call>,
        /// An unused id for each frame that it makes ([`new_frames`]).
        ids: Vec<FrameId>,
        /// For an artifact: what is known of the file.
        artifact: Option<Artifact>,
    },
    /// What the signs in a session's trace call for is done by itself.
    Auto {
        /// What.
        auto: Box<Auto>,
        /// An unused id, for a frame that is pushed.
        id: FrameId,
    },
    /// What was last done in a frame by itself is undone.
    UndoAuto {
        /// The frame.
        frame: FrameId,
    },
    /// A human wants to be asked before a frame begins.
    Checkpoint {
        /// The frame.
        frame: FrameId,
        /// The session of who wants it.
        session: SessionId,
        /// What is to be asked; none for whether to go on.
        question: Option<String>,
    },
    /// A human answers a checkpoint.
    Resolve {
        /// The checkpoint's id.
        checkpoint: String,
        /// The answer.
        answer: String,
    },
    /// Time has passed.
    Tick,
}

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A run.
    Run(RunId),
    /// A frame and all within it.
    Frame(FrameId),
    /// A task.
    Task(TaskId),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Run(id) => id.fmt(f),
            Target::Frame(id) => id.fmt(f),
            Target::Task(id) => id.fmt(f),
        }
    }
}

/// How a task's process ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whether it did what it should; if not, why not.
    pub verdict: Result<(), (ErrorClass, String)>,
    /// What a person should know of how it went, whatever came of it.
    pub note: Option<String>,
    /// The exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long its process lived.
    pub duration_ms: u64,
    /// What came of it.
    pub results: String,
    /// The files that came of it.
    pub artifacts: Vec<Artifact>,
    /// What is known of its agent, where it had one.
    pub agent: Option<AgentOutcome>,
}

/// What is known of an agent whose task has ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AgentOutcome {
    /// Its own id of its conversation.
    pub session: Option<String>,
    /// The model that it used.
    pub model: Option<String>,
    /// What its model calls used.
    pub usage: Usage,
    /// Turns that it had begun.
    pub turns: u32,
    /// The moment before which its provider wants no further call.
    pub retry_at: Option<Time>,
}
