//! The words for where a run, a frame or a task stands.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub enum $name { $($(#[$item])* $variant,)+ }

        impl $name {
            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

statuses! {
    /// The status of a run.
    RunStatus {
        /// It has work to do.
        Running = "running",
        /// It is being stopped.
        Stopping = "stopping",
        /// All its frames are completed.
        Completed = "completed",
        /// A frame failed.
        Failed = "failed",
        /// Nothing failed, but something cannot go on.
        Blocked = "blocked",
        /// It was stopped.
        Cancelled = "cancelled",
    }
}

statuses! {
    /// The status of a frame.
    FrameStatus {
        /// To be done.
        Planned = "planned",
        /// Being worked on.
        InProgress = "in_progress",
        /// Done.
        Completed = "completed",
        /// Not done, and over.
        Failed = "failed",
        /// Not done, and waiting for something outside of it.
        Blocked = "blocked",
        /// No longer wanted.
        Invalidated = "invalidated",
    }
}

impl FrameStatus {
    /// Whether nothing will happen to the frame by itself any more.
    #[must_use]
    pub fn is_settled(self) -> bool {
        !matches!(self, FrameStatus::Planned | FrameStatus::InProgress)
    }
}

statuses! {
    /// The state of a task.
    TaskState {
        /// It waits for a slot, or for its time.
        Queued = "queued",
        /// It has a process, or is about to.
        Running = "running",
        /// It has a process, which is suspended: a human has paused it.
        Paused = "paused",
        /// It succeeded.
        Completed = "completed",
        /// It failed.
        Failed = "failed",
        /// It ran or was silent for too long.
        Timeout = "timeout",
        /// It was stopped.
        Cancelled = "cancelled",
        /// What became of it is not known. Never read as success.
        Lost = "lost",
    }
}

impl TaskState {
    /// Whether it is over.
    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(
            self,
            TaskState::Queued | TaskState::Running | TaskState::Paused
        )
    }

    /// Whether it has a process, or is about to.
    #[must_use]
    pub fn has_process(self) -> bool {
        matches!(self, TaskState::Running | TaskState::Paused)
    }
}
