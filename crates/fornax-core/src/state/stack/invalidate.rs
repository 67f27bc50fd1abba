//! Frames that are no longer wanted: which they are, and stopping what works on them.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::event::{Event, FrameInvalidated, RunStopping, Signalled, TaskEnding};
use crate::ids::{FrameId, RunId, TaskId};
use crate::spec::ErrorClass;
use crate::status::{FrameStatus, RunStatus, TaskState};

use super::super::decide::{frame_fact, task_fact};
use super::super::{Fact, State};
use super::{conflict, said};

/// What dropping a frame would change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Invalidation {
    /// The frame.
    pub frame: FrameId,
    /// The other frames that go with it.
    pub cascaded: Vec<FrameId>,
    /// Completed frames that stay, and are flagged.
    pub stale: Vec<FrameId>,
    /// Tasks that are stopped, or never start.
    pub tasks: Vec<TaskId>,
}

impl State {
    /// What dropping a frame would change. Nothing is changed.
    ///
    /// # Errors
    /// Where the frame cannot be dropped.
    pub fn invalidation(&self, id: FrameId) -> Result<Invalidation, Error> {
        let target = self.known_frame(id)?;
        if matches!(
            target.status,
            FrameStatus::Completed | FrameStatus::Invalidated
        ) {
            return Err(conflict(format!("{id} is {} already", target.status)));
        }
        if target.parent.is_none() {
            return Err(
                conflict(format!("{id} is the root of {}", target.run)).with_help(format!(
                    "stop the run instead: `fornax stop {}`",
                    target.run
                )),
            );
        }
        let mut dropped = BTreeSet::from([id]);
        let mut stale = BTreeSet::new();
        // Frames to look at, and whether what is within them goes with them.
        let mut open = vec![(id, true)];
        let mut seen = BTreeSet::from([id]);
        while let Some((id, within)) = open.pop() {
            let Some(frame) = self.frames.get(&id) else {
                continue;
            };
            for child in frame.children.iter().filter(|_| within) {
                let Some(status) = self.frames.get(child).map(|child| child.status) else {
                    continue;
                };
                match status {
                    FrameStatus::Planned | FrameStatus::InProgress => {
                        dropped.insert(*child);
                    }
                    FrameStatus::Completed => {
                        stale.insert(*child);
                    }
                    _ => {}
                }
                if seen.insert(*child) {
                    open.push((*child, true));
                }
            }
            // Who waits for what stays as it is, and is only around it, does not wait in vain.
            let gone = dropped.contains(&id) || stale.contains(&id);
            for other in frame.dependants.iter().filter(|_| gone) {
                let Some(status) = self.frames.get(other).map(|other| other.status) else {
                    continue;
                };
                let goes = match status {
                    FrameStatus::Completed => {
                        stale.insert(*other);
                        false
                    }
                    FrameStatus::Invalidated => continue,
                    _ => dropped.insert(*other),
                };
                // Seen before as a part of something else, it takes more with it now.
                if seen.insert(*other) || goes {
                    open.push((*other, goes));
                }
            }
        }
        let tasks = dropped
            .iter()
            .filter_map(|id| self.open_task(*id))
            .collect();
        dropped.remove(&id);
        Ok(Invalidation {
            frame: id,
            cascaded: dropped.into_iter().collect(),
            stale: stale.into_iter().collect(),
            tasks,
        })
    }

    fn open_task(&self, id: FrameId) -> Option<TaskId> {
        let task = self.frames.get(&id)?.newest_task(id)?;
        (!self.tasks.get(&task)?.state.is_over()).then_some(task)
    }

    pub(super) fn decide_invalidate(&self, id: FrameId, reason: &str) -> Result<Vec<Fact>, Error> {
        let reason = said("a reason", reason)?;
        let Invalidation {
            cascaded,
            stale,
            tasks,
            ..
        } = self.invalidation(id)?;
        let event = Event::FrameInvalidated(FrameInvalidated {
            reason: reason.to_owned(),
            cascaded,
            stale,
        });
        let mut facts = vec![frame_fact(self.known_frame(id)?, id, event)];
        facts.extend(tasks.into_iter().filter_map(|id| self.end_task(id, reason)));
        Ok(facts)
    }

    /// Has a task stopped; one that waits never starts.
    pub(super) fn end_task(&self, id: TaskId, reason: &str) -> Option<Fact> {
        let task = self.tasks.get(&id)?;
        let event = match task.state {
            state if state.has_process() && task.stopping.is_none() => {
                Event::TaskSignalled(Signalled {
                    attempt: id.attempt,
                    reason: reason.to_owned(),
                })
            }
            TaskState::Queued => Event::TaskCancelled(TaskEnding {
                attempt: id.attempt,
                error_class: Some(ErrorClass::Cancelled),
                error: Some(reason.to_owned()),
                ..TaskEnding::default()
            }),
            _ => return None,
        };
        Some(task_fact(task, id, event))
    }

    /// Stops a run: what is in progress is blocked with its work kept, what is planned is dropped.
    pub(super) fn decide_stop_all(&self, id: RunId, reason: &str) -> Result<Vec<Fact>, Error> {
        let reason = said("a reason", reason)?;
        let run = self.known_run(id)?;
        if run.ended.is_some() || run.ends_as.is_some() {
            return Err(conflict(format!("{id} is {} already", run.status)));
        }
        let mut facts = vec![Fact {
            run: id,
            frame: None,
            task: None,
            event: Event::RunStopping(RunStopping {
                reason: reason.to_owned(),
                ends_as: RunStatus::Cancelled,
            }),
        }];
        let mut planned = Vec::new();
        // Inner ones first, so that nothing is left open in a frame that ends.
        for id in run.frames.iter().rev() {
            let Some(frame) = self.frames.get(id) else {
                continue;
            };
            match frame.status {
                FrameStatus::Planned => {
                    planned.push(*id);
                    let task = self.open_task(*id);
                    facts.extend(task.and_then(|task| self.end_task(task, reason)));
                }
                FrameStatus::InProgress => facts.extend(self.stop_frame_alone(*id, reason)),
                _ => {}
            }
        }
        if let Some(first) = planned.pop()
            && let Some(frame) = self.frames.get(&first)
        {
            let event = Event::FrameInvalidated(FrameInvalidated {
                reason: reason.to_owned(),
                cascaded: planned,
                stale: Vec::new(),
            });
            facts.insert(1, frame_fact(frame, first, event));
        }
        Ok(facts)
    }
}

/// A frame is dropped alone.
pub(super) fn invalidated(reason: &str) -> Event {
    Event::FrameInvalidated(FrameInvalidated {
        reason: reason.to_owned(),
        cascaded: Vec::new(),
        stale: Vec::new(),
    })
}
