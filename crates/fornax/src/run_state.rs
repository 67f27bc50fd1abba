//! A run as this process knows it: taken whole once, then kept up to date by the feed's changes.

use std::collections::HashMap;

use fornax_core::error::{EXIT_BLOCKED, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED};
use fornax_core::ids::{FrameId, TaskId};
use fornax_core::status::{RunStatus, TaskState};
use fornax_core::view::{Change, FrameView, RunDetail, RunView, TaskView};

/// A run with its frames and tasks.
pub struct RunState {
    /// The run.
    pub run: RunView,
    /// Its frames, parents before their children.
    pub frames: Vec<FrameView>,
    places: HashMap<FrameId, usize>,
    tasks: HashMap<TaskId, TaskView>,
}

/// Something that a change did to a frame and that is worth a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The frame at this place has another status.
    Status(usize),
    /// The frame at this place is about to be tried again.
    Again(usize),
}

impl RunState {
    /// The run as the daemon told it whole.
    pub fn new(detail: RunDetail) -> RunState {
        let frames: Vec<_> = detail.frames.rows().collect();
        RunState {
            run: detail.run,
            places: frames
                .iter()
                .enumerate()
                .map(|(place, frame)| (frame.id, place))
                .collect(),
            frames,
            tasks: detail.tasks.rows().map(|task| (task.id, task)).collect(),
        }
    }

    /// Takes over what the change says of this run, and tells what is worth a line. A change is of
    /// one project: its runs say which.
    pub fn apply(&mut self, change: Change) -> Vec<Step> {
        let mine = |run: &RunView| run.id == self.run.id && run.project == self.run.project;
        let Some(run) = change.runs.into_iter().find(mine) else {
            return Vec::new();
        };
        self.run = run;
        let mut steps = Vec::new();
        for frame in change.frames {
            if let Some(&place) = self.places.get(&frame.id) {
                if self.frames[place].status != frame.status {
                    steps.push(Step::Status(place));
                }
                self.frames[place] = frame;
            }
        }
        for task in change.tasks {
            if let Some(&place) = self.places.get(&task.frame) {
                let again = task.attempt > 1 && !self.tasks.contains_key(&task.id);
                if again && task.state == TaskState::Queued {
                    steps.push(Step::Again(place));
                }
                self.tasks.insert(task.id, task);
            }
        }
        // In the order of the plan: a change has them in no order.
        steps.sort_by_key(|step| match step {
            Step::Status(place) | Step::Again(place) => *place,
        });
        steps
    }

    /// The newest task of the frame.
    pub fn task(&self, frame: &FrameView) -> Option<&TaskView> {
        self.tasks.get(&frame.task?)
    }

    /// Whether nothing happens to the run by itself any more.
    pub fn is_over(&self) -> bool {
        is_over(self.run.status)
    }
}

/// Whether nothing happens by itself any more to a run with this status.
pub fn is_over(status: RunStatus) -> bool {
    !matches!(status, RunStatus::Running | RunStatus::Stopping)
}

/// The exit code of a command that waited for a run.
pub fn exit_code(status: RunStatus) -> u8 {
    match status {
        RunStatus::Completed => EXIT_DONE,
        RunStatus::Failed => EXIT_FAILED,
        RunStatus::Blocked => EXIT_BLOCKED,
        RunStatus::Cancelled => EXIT_INTERRUPTED,
        RunStatus::Running | RunStatus::Stopping => EXIT_DONE,
    }
}
