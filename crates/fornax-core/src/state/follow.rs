//! What follows from the state by itself: frames that can start, frames that cannot any more,
//! groups that are done, tasks whose time has come, and free slots.

use crate::event::{Attempt, Empty, Event, FrameCompleted, FrameEnded, Queued, RunFinished};
use crate::ids::{FrameId, TaskId};
use crate::spec::ErrorClass;
use crate::status::{FrameStatus, RunStatus, TaskState};
use crate::time::Time;

use super::decide::{blocked, frame_fact};
use super::{Fact, Frame, State};

/// A frame of which nothing is done, because its condition does not hold or its group is skipped.
fn skipped(id: FrameId, frame: &Frame) -> Fact {
    let event = Event::FrameCompleted(FrameCompleted {
        skipped: true,
        ..FrameCompleted::default()
    });
    frame_fact(frame, id, event)
}

impl State {
    /// The next thing that follows, or nothing.
    pub(super) fn next_facts(&mut self, now: Time) -> Option<Vec<Fact>> {
        while let Some(id) = self.agenda.pop_front() {
            let facts = self.follow_frame(now, id);
            if !facts.is_empty() {
                return Some(facts);
            }
        }
        while let Some(task) = self.queue.pop_due(now) {
            self.make_ready(task);
        }
        self.queue.release(now);
        self.queue.next().map(|task| self.start(task))
    }

    fn follow_frame(&self, now: Time, id: FrameId) -> Vec<Fact> {
        let Some(frame) = self.frames.get(&id) else {
            return Vec::new();
        };
        let mut facts: Vec<Fact> = self.follow_pause(id, frame).into_iter().collect();
        facts.extend(match frame.status {
            FrameStatus::Planned if self.is_within_skipped(frame) => vec![skipped(id, frame)],
            FrameStatus::Planned if frame.broken > 0 => vec![self.block_by_obstacle(id, frame)],
            FrameStatus::Planned if self.is_held_back(id) => Vec::new(),
            // Sessions begin what they hold.
            FrameStatus::Planned if frame.is_held() => Vec::new(),
            FrameStatus::Planned if frame.waiting_on == 0 && !self.has_open_task(id, frame) => {
                vec![self.begin(id, frame)]
            }
            FrameStatus::InProgress if frame.is_group() && frame.open_children == 0 => {
                vec![self.close(id, frame)]
            }
            FrameStatus::InProgress
                if frame.open_children == 0 && self.waits_for_frames(id, frame) =>
            {
                self.continue_with_results(id, frame).into_iter().collect()
            }
            status
                if status.is_settled()
                    && frame.parent.is_none()
                    && (frame.is_held() || frame.open_children == 0) =>
            {
                self.finish(now, frame).into_iter().collect()
            }
            _ => Vec::new(),
        });
        facts
    }

    fn is_within_skipped(&self, frame: &Frame) -> bool {
        let parent = frame.parent.and_then(|id| self.frames.get(&id));
        parent.is_some_and(|parent| parent.skipped)
    }

    pub(super) fn has_open_task(&self, id: FrameId, frame: &Frame) -> bool {
        let newest = frame.newest_task(id).and_then(|id| self.tasks.get(&id));
        newest.is_some_and(|task| !task.state.is_over())
    }

    /// Begins a frame whose obstacles are gone: a group is in progress at once, work waits for its
    /// slot, and a frame whose condition does not hold is done.
    fn begin(&self, id: FrameId, frame: &Frame) -> Fact {
        let holds = frame.spec.when.as_ref().map_or(Ok(true), |condition| {
            condition.holds(|variable| self.dependency_value(id, variable))
        });
        let event = match holds {
            Ok(true) if frame.is_group() => Event::FrameStarted(Empty {}),
            Ok(true) => {
                let task = TaskId {
                    frame: id,
                    attempt: frame.attempts + 1,
                };
                return Fact {
                    task: Some(task),
                    ..frame_fact(
                        frame,
                        id,
                        Event::TaskQueued(Queued {
                            attempt: task.attempt,
                            continues: false,
                        }),
                    )
                };
            }
            Ok(false) => return skipped(id, frame),
            Err(error) => Event::FrameFailed(FrameEnded {
                reason: format!("its condition cannot be judged: {error}"),
                error_class: Some(ErrorClass::Spawn),
                blocked_by: None,
            }),
        };
        frame_fact(frame, id, event)
    }

    /// What was pushed in a frame has ended: its agent goes on with the results, in the conversation
    /// that pushed it. A run that is being stopped goes on with nothing.
    fn continue_with_results(&self, id: FrameId, frame: &Frame) -> Option<Fact> {
        let run = self.runs.get(&frame.run)?;
        if run.ends_as.is_some() {
            return Some(blocked(frame, id, "the run was stopped".to_owned(), None));
        }
        let task = TaskId {
            frame: id,
            attempt: frame.attempts + 1,
        };
        let queued = Event::TaskQueued(Queued {
            attempt: task.attempt,
            continues: true,
        });
        Some(Fact {
            task: Some(task),
            ..frame_fact(frame, id, queued)
        })
    }

    /// A run ends with its root frame: as that one did, and where it was stopped, as it was to end then.
    fn finish(&self, now: Time, root: &Frame) -> Option<Fact> {
        let run = self.runs.get(&root.run).filter(|run| run.ended.is_none())?;
        let status = match (root.status, run.ends_as) {
            (FrameStatus::Completed, _) => RunStatus::Completed,
            (_, Some(ends_as)) => ends_as,
            (FrameStatus::Failed, None) => RunStatus::Failed,
            _ => RunStatus::Blocked,
        };
        let why = || run.reason.as_deref().or(root.reason());
        let reason = (status != RunStatus::Completed).then(why).flatten();
        Some(Fact {
            run: root.run,
            frame: None,
            task: None,
            event: Event::RunFinished(RunFinished {
                status,
                reason: reason.map(str::to_owned),
                duration_ms: now.ms_since(run.started),
            }),
        })
    }

    fn block_by_obstacle(&self, id: FrameId, frame: &Frame) -> Fact {
        let others = frame.depends_on.iter().chain(&frame.parent);
        let mut broken = others.filter_map(|id| Some((*id, self.frames.get(id)?)));
        let obstacle = broken
            .find(|(_, other)| other.status.is_settled() && other.status != FrameStatus::Completed);
        let reason = obstacle.map_or_else(String::new, |(id, other)| {
            format!(
                "waits for {id} ({}), which is {}",
                other.spec.key, other.status
            )
        });
        blocked(frame, id, reason, obstacle.map(|(id, _)| id))
    }

    /// Closes a group all of whose frames are settled.
    fn close(&self, id: FrameId, frame: &Frame) -> Fact {
        let children = || frame.children.iter().filter_map(|id| self.frames.get(id));
        let count = |status| children().filter(|child| child.status == status).count();
        let (failed, completed) = (count(FrameStatus::Failed), count(FrameStatus::Completed));
        let dropped = count(FrameStatus::Invalidated);
        let unfinished = frame.children.len() - completed - dropped;
        let reason = (unfinished > 0).then(|| self.why_unfinished(frame, failed, unfinished));
        let event = match reason {
            None => {
                let source = frame.result_from.and_then(|id| self.frames.get(&id));
                Event::FrameCompleted(FrameCompleted {
                    results: source
                        .map(|frame| frame.results.clone())
                        .unwrap_or_default(),
                    artifacts: source
                        .map(|frame| frame.artifacts.clone())
                        .unwrap_or_default(),
                    results_compact: String::new(),
                    skipped: false,
                })
            }
            Some(reason) => {
                let ended = FrameEnded {
                    reason,
                    error_class: None,
                    blocked_by: None,
                };
                if failed > 0 {
                    Event::FrameFailed(ended)
                } else {
                    Event::FrameBlocked(ended)
                }
            }
        };
        frame_fact(frame, id, event)
    }

    fn why_unfinished(&self, frame: &Frame, failed: usize, unfinished: usize) -> String {
        let worst = if failed > 0 {
            FrameStatus::Failed
        } else {
            FrameStatus::Blocked
        };
        let mut named = frame
            .children
            .iter()
            .filter_map(|id| Some((id, self.frames.get(id)?)));
        let first = named
            .find(|(_, child)| child.status == worst)
            .map(|(id, child)| {
                let reason = child.reason().unwrap_or_default();
                format!(": {id} ({}) {reason}", child.spec.key)
            });
        let what = if failed > 0 {
            format!("{failed} of {} frames failed", frame.children.len())
        } else {
            format!(
                "{unfinished} of {} frames are not completed",
                frame.children.len()
            )
        };
        what + &first.unwrap_or_default()
    }

    /// A delayed task's time has come: it joins its lane.
    fn make_ready(&mut self, id: TaskId) {
        if let Some(task) = self
            .tasks
            .get(&id)
            .filter(|task| task.state == TaskState::Queued)
        {
            self.queue.push(id, &task.lane, task.place, None);
        }
    }

    fn start(&self, id: TaskId) -> Vec<Fact> {
        let Some(frame) = self.frames.get(&id.frame) else {
            return Vec::new();
        };
        let mut facts = Vec::with_capacity(2);
        if frame.status == FrameStatus::Planned {
            facts.push(frame_fact(frame, id.frame, Event::FrameStarted(Empty {})));
        }
        facts.push(Fact {
            task: Some(id),
            ..frame_fact(
                frame,
                id.frame,
                Event::TaskStarted(Attempt {
                    attempt: id.attempt,
                }),
            )
        });
        facts
    }
}
