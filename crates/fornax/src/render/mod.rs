//! What things look like.

pub mod detail;
pub mod events;
pub mod live;
pub mod table;
pub mod time;
pub mod tree;
pub mod usage;

use anstyle::Style;
use fornax_core::status::{FrameStatus, RunStatus, TaskState};

use crate::out::{BLUE, DIM, GREEN, RED, YELLOW, paint};

/// The sign and the style of a frame's status.
pub fn frame_sign(status: FrameStatus) -> (char, Style) {
    match status {
        FrameStatus::Planned => ('○', DIM),
        FrameStatus::InProgress => ('●', BLUE),
        FrameStatus::Completed => ('✓', GREEN),
        FrameStatus::Failed => ('✗', RED),
        FrameStatus::Blocked => ('■', YELLOW),
        FrameStatus::Invalidated => ('–', DIM),
    }
}

/// The word for a run's status, in its colour.
pub fn run_status(status: RunStatus) -> String {
    let style = match status {
        RunStatus::Running | RunStatus::Stopping => BLUE,
        RunStatus::Completed => GREEN,
        RunStatus::Failed => RED,
        RunStatus::Blocked | RunStatus::Cancelled => YELLOW,
    };
    paint(style, status.as_str())
}

/// The word for a task's state, in its colour.
pub fn task_state(state: TaskState) -> String {
    let style = match state {
        TaskState::Queued => DIM,
        TaskState::Running => BLUE,
        TaskState::Completed => GREEN,
        TaskState::Failed | TaskState::Timeout | TaskState::Lost => RED,
        TaskState::Paused | TaskState::Cancelled => YELLOW,
    };
    paint(style, state.as_str())
}
