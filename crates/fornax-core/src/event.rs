//! What can happen: the events of a journal and the fields that each has of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::{Decision, Order, Permission, Usage};
use crate::frame::{Checkpoint, FrameDecision, FrameLimits, SessionId, Summary};
use crate::ids::FrameId;
use crate::spec::{ErrorClass, FrameSpec, OnFailure};
use crate::status::{FrameStatus, RunStatus, TaskState};
use crate::time::Time;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($body:ty) = $kind:literal,)+) => {
        /// What happened: the event's name and its own fields.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $($(#[$doc])* $name($body),)+
            /// An event of a newer version: it changes nothing here.
            Unknown(Unknown),
        }

        impl Event {
            /// The event's name in the journal.
            #[must_use]
            pub fn kind(&self) -> &str {
                match self {
                    $(Event::$name(_) => $kind,)+
                    Event::Unknown(unknown) => &unknown.kind,
                }
            }

            pub(crate) fn parse(kind: &str, fields: &str) -> serde_json::Result<Event> {
                Ok(match kind {
                    $($kind => Event::$name(serde_json::from_str(fields)?),)+
                    _ => Event::Unknown(Unknown { kind: kind.to_owned() }),
                })
            }
        }
    };
}

events! {
    /// A run began.
    RunStarted(RunStarted) = "run_started",
    /// A run is being stopped: nothing new starts.
    RunStopping(RunStopping) = "run_stopping",
    /// A human paused a run: nothing of it starts.
    RunPaused(Empty) = "run_paused",
    /// It goes on.
    RunUnpaused(Empty) = "run_unpaused",
    /// A run ended.
    RunFinished(RunFinished) = "run_finished",
    /// Frames were put back to `planned`, to be done again; a run that had ended goes on.
    StateReset(StateReset) = "state_reset",
    /// A frame came to be.
    FrameCreated(FrameCreated) = "frame_created",
    /// Work on a frame began.
    FrameStarted(Empty) = "frame_started",
    /// A frame is done.
    FrameCompleted(FrameCompleted) = "frame_completed",
    /// A frame failed.
    FrameFailed(FrameEnded) = "frame_failed",
    /// A frame cannot go on.
    FrameBlocked(FrameEnded) = "frame_blocked",
    /// What is said of a frame changed: its goal, or what came of it so far.
    FrameUpdated(FrameUpdated) = "frame_updated",
    /// A frame became the active one of a session.
    FrameActivated(FrameActivated) = "frame_activated",
    /// A frame that could not go on does so.
    FrameUnblocked(Empty) = "frame_unblocked",
    /// A human paused a frame and all within it: nothing of it starts.
    FramePaused(Empty) = "frame_paused",
    /// It goes on.
    FrameUnpaused(Empty) = "frame_unpaused",
    /// A frame is no longer wanted, and others with it.
    FrameInvalidated(FrameInvalidated) = "frame_invalidated",
    /// A file or an address came of a frame.
    ArtifactAdded(ArtifactAdded) = "artifact_added",
    /// Something was decided in a frame.
    DecisionAdded(FrameDecision) = "decision_added",
    /// A frame's conversation was shortened.
    SummaryRecorded(SummaryRecorded) = "summary_recorded",
    /// A human is asked before something goes on.
    CheckpointRequired(CheckpointRequired) = "checkpoint_required",
    /// The human answered.
    CheckpointResolved(CheckpointResolved) = "checkpoint_resolved",
    /// A task waits for a slot.
    TaskQueued(Queued) = "task_queued",
    /// A task has its slot; its process is started now.
    TaskStarted(Attempt) = "task_started",
    /// A task's processes are suspended.
    TaskPaused(Attempt) = "task_paused",
    /// They go on.
    TaskResumed(Attempt) = "task_resumed",
    /// A task was told to stop.
    TaskSignalled(Signalled) = "task_signalled",
    /// A task succeeded.
    TaskCompleted(TaskEnding) = "task_completed",
    /// A task failed.
    TaskFailed(TaskEnding) = "task_failed",
    /// A task ran or was silent for too long and was ended.
    TaskTimeout(TaskEnding) = "task_timeout",
    /// A task was stopped, or never started.
    TaskCancelled(TaskEnding) = "task_cancelled",
    /// What became of a task is not known.
    TaskLost(TaskEnding) = "task_lost",
    /// A further attempt will be made.
    TaskRetryScheduled(RetryScheduled) = "task_retry_scheduled",
    /// A task's agent asks whether it may do something.
    PermissionRequested(PermissionRequested) = "permission_requested",
    /// It was answered.
    PermissionResolved(PermissionResolved) = "permission_resolved",
    /// A task's agent waits for a human to tell it something.
    InputRequested(InputRequested) = "input_requested",
    /// A human told a task's agent something: a prompt, an interrupt, to shorten its conversation.
    InputGiven(InputGiven) = "input_given",
}

/// The name of an event that this version does not know.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unknown {
    /// The name.
    #[serde(skip)]
    pub kind: String,
}

/// No fields of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// Fields of `run_started`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The plan's name.
    pub name: String,
    /// The plan's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Its inputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// What a failed frame means for the rest.
    pub on_failure: OnFailure,
    /// Limits of the plan's own pools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, u32>,
    /// How many `frame_created` follow.
    pub frames: u32,
    /// How much agents may add to it.
    #[serde(default, skip_serializing_if = "FrameLimits::is_default")]
    pub limits: FrameLimits,
}

/// Fields of `run_stopping`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStopping {
    /// Why.
    pub reason: String,
    /// The status with which the run will end.
    pub ends_as: RunStatus,
}

/// Fields of `run_finished`. The status is in the head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFinished {
    /// How it ended.
    #[serde(rename = "result")]
    pub status: RunStatus,
    /// Why, where it is not `completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From its start, in milliseconds.
    pub duration_ms: u64,
}

/// Fields of `state_reset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateReset {
    /// Why.
    pub reason: String,
    /// The frames that are planned again.
    pub frames: Vec<FrameId>,
}

/// Fields of `frame_created`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameCreated {
    /// The parent; none for the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<FrameId>,
    /// The frames that must be completed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<FrameId>,
    /// The frame within this one whose results become its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_from: Option<FrameId>,
    /// The session that made it; none for a plan's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<SessionId>,
    /// Where it is a subagent's: the session that began the subagent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subagent_of: Option<SessionId>,
    /// All else about it.
    #[serde(flatten)]
    pub spec: Arc<FrameSpec>,
}

/// Fields of `frame_updated`. What is not there has not changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FrameUpdated {
    /// What it is to achieve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// What came of it so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<String>,
    /// The same in short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results_compact: Option<String>,
    /// The files that came of it so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<Vec<Artifact>>,
    /// How it will end once its task has ended: the agent that works on it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_as: Option<FrameStatus>,
    /// That somebody wants its conversation summed up, and what the summary is to heed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary_wanted: Option<String>,
    /// What the model calls of the subagent whose frame it is used, all in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Fields of `frame_activated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameActivated {
    /// The session.
    pub session_id: SessionId,
}

/// Fields of `frame_invalidated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameInvalidated {
    /// Why.
    pub reason: String,
    /// The other frames that are not wanted because of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cascaded: Vec<FrameId>,
    /// Completed frames that were built on one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<FrameId>,
}

/// Fields of `artifact_added`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactAdded {
    /// The artifact.
    pub artifact: Artifact,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Fields of `summary_recorded`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SummaryRecorded {
    /// The session whose conversation it was.
    pub session_id: SessionId,
    /// What it was shortened to.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Fields of `checkpoint_required`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRequired {
    /// The session that waits.
    pub session_id: SessionId,
    /// What is asked.
    pub checkpoint: Checkpoint,
}

/// Fields of `checkpoint_resolved`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointResolved {
    /// The checkpoint's id.
    pub checkpoint: String,
    /// The answer.
    pub decision: String,
}

/// Fields of `frame_completed`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FrameCompleted {
    /// What came of it, for those who depend on it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub results: String,
    /// The same in short, where somebody wrote that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub results_compact: String,
    /// The files that came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Its condition did not hold: nothing was done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// Fields of `frame_failed` and `frame_blocked`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameEnded {
    /// Why, in words.
    pub reason: String,
    /// Why, as a class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_class: Option<ErrorClass>,
    /// The frame that stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<FrameId>,
}

/// A file that came of a task, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Artifact {
    /// Where it is, relative to the project; or a URL.
    pub path: String,
    /// Its size in bytes when the task ended.
    pub bytes: u64,
    /// Its SHA-256 then, in hexadecimal.
    pub sha256: String,
    /// Where its copy is, relative to the run's folder; absent where it was too large to copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub copy: Option<String>,
}

/// Which try it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// From 1.
    pub attempt: u32,
}

/// Fields of `task_queued`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// Which try it is, from 1.
    pub attempt: u32,
    /// Whether it is no further try but goes on with the results of the frames that were pushed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
}

/// Fields of `task_signalled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signalled {
    /// Which try it is.
    pub attempt: u32,
    /// Why.
    pub reason: String,
}

/// Fields of a task's end.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TaskEnding {
    /// Which try it was.
    pub attempt: u32,
    /// The exit code, where it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How long its process lived.
    pub duration_ms: u64,
    /// The declared outputs, collected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_class: Option<ErrorClass>,
    /// Why it did not succeed, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person should know of how it went, whatever came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The moment before which its provider wants no further call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<Time>,
    /// What its model calls used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Turns that its agent had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u32>,
    /// The agent's own id of its conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The model that it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Fields of `task_retry_scheduled`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryScheduled {
    /// Which try it will be.
    pub attempt: u32,
    /// Not before this moment.
    pub due: Time,
    /// The place of its tool in the frame's chain of tools.
    #[serde(default, skip_serializing_if = "is_first")]
    pub fallback: u32,
    /// Whether it does not count against the frame's retries: its provider said when to come back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forgiven: bool,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_first(place: &u32) -> bool {
    *place == 0
}

/// Fields of `permission_requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PermissionRequested {
    /// What is asked.
    pub permission: Permission,
}

/// Fields of `permission_resolved`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PermissionResolved {
    /// The permission's id.
    pub permission: String,
    /// The answer.
    pub decision: Decision,
    /// Why, or who answered where it was not by Fornax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The number under which the agent is told of it; none where it knows already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<u32>,
}

/// Fields of `input_requested`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputRequested {
    /// Why.
    pub reason: String,
}

/// Fields of `input_given`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputGiven {
    /// What the agent is told.
    #[serde(flatten)]
    pub order: Order,
}

impl Event {
    /// The status of the run, frame or task after the event, for the head.
    #[must_use]
    pub fn status(&self) -> Option<&'static str> {
        use FrameStatus as F;
        use TaskState as T;
        Some(match self {
            Event::RunStarted(_) | Event::RunPaused(_) | Event::RunUnpaused(_) => {
                RunStatus::Running.as_str()
            }
            Event::RunStopping(_) => RunStatus::Stopping.as_str(),
            Event::RunFinished(finished) => finished.status.as_str(),
            Event::FrameCreated(_) => F::Planned.as_str(),
            Event::FrameStarted(_) | Event::FrameUnblocked(_) | Event::FrameActivated(_) => {
                F::InProgress.as_str()
            }
            Event::FrameInvalidated(_) => F::Invalidated.as_str(),
            Event::FrameCompleted(_) => F::Completed.as_str(),
            Event::FrameFailed(_) => F::Failed.as_str(),
            Event::FrameBlocked(_) => F::Blocked.as_str(),
            Event::TaskQueued(_) | Event::TaskRetryScheduled(_) => T::Queued.as_str(),
            Event::TaskPaused(_) => T::Paused.as_str(),
            Event::TaskStarted(_)
            | Event::TaskResumed(_)
            | Event::TaskSignalled(_)
            | Event::PermissionRequested(_)
            | Event::PermissionResolved(_)
            | Event::InputRequested(_)
            | Event::InputGiven(_) => T::Running.as_str(),
            Event::StateReset(_)
            | Event::FramePaused(_)
            | Event::FrameUnpaused(_)
            | Event::FrameUpdated(_)
            | Event::ArtifactAdded(_)
            | Event::DecisionAdded(_)
            | Event::SummaryRecorded(_)
            | Event::CheckpointRequired(_)
            | Event::CheckpointResolved(_)
            | Event::Unknown(_) => return None,
            ended => ended.task_end()?.0.as_str(),
        })
    }

    /// The state and the fields of a task's end, where it is one.
    #[must_use]
    pub fn task_end(&self) -> Option<(TaskState, &TaskEnding)> {
        match self {
            Event::TaskCompleted(ending) => Some((TaskState::Completed, ending)),
            Event::TaskFailed(ending) => Some((TaskState::Failed, ending)),
            Event::TaskTimeout(ending) => Some((TaskState::Timeout, ending)),
            Event::TaskCancelled(ending) => Some((TaskState::Cancelled, ending)),
            Event::TaskLost(ending) => Some((TaskState::Lost, ending)),
            _ => None,
        }
    }
}
