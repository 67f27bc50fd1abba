//! Pausing: nothing starts of a run or a frame that a human has paused, and its processes are
//! suspended. A pause is put on a run or a frame and holds all within it; which tasks are suspended
//! follows from where the pauses are.

use crate::error::{Error, ErrorKind};
use crate::event::{Attempt, Empty, Event};
use crate::ids::{FrameId, TaskId};
use crate::status::TaskState;
use crate::time::Time;

use super::decide::{frame_fact, task_fact};
use super::{Fact, Frame, State, Target};

fn conflict(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

impl State {
    pub(super) fn decide_pause(&self, target: Target) -> Result<Vec<Fact>, Error> {
        let target = self.what_pauses(target)?;
        let (over, paused) = self.pause_of(target)?;
        if let Some(over) = over {
            return Err(conflict(format!("{target} is {over}")));
        }
        if paused {
            return Err(conflict(format!("{target} is paused already")));
        }
        self.pause_fact(target, true)
    }

    pub(super) fn decide_unpause(&self, target: Target) -> Result<Vec<Fact>, Error> {
        let target = self.what_pauses(target)?;
        let (_, paused) = self.pause_of(target)?;
        if !paused {
            let around = match target {
                Target::Frame(id) => self.paused_by(id),
                _ => None,
            };
            return Err(match around {
                Some(other) => conflict(format!("{target} is paused with {other}"))
                    .with_help(format!("`fornax unpause {other}`")),
                None => conflict(format!("{target} is not paused")),
            });
        }
        self.pause_fact(target, false)
    }

    /// A task is paused with its frame.
    fn what_pauses(&self, target: Target) -> Result<Target, Error> {
        let Target::Task(id) = target else {
            return Ok(target);
        };
        let task = self.known_task(id)?;
        if task.state.is_over() {
            return Err(conflict(format!("{id} is {} already", task.state)));
        }
        Ok(Target::Frame(id.frame))
    }

    /// Why a run or a frame cannot be paused any more, and whether it is.
    fn pause_of(&self, target: Target) -> Result<(Option<String>, bool), Error> {
        let (run, settled, paused) = match target {
            Target::Run(id) => (id, None, self.known_run(id)?.paused),
            Target::Frame(id) | Target::Task(TaskId { frame: id, .. }) => {
                let frame = self.known_frame(id)?;
                let settled = frame.status.is_settled().then_some(frame.status);
                (frame.run, settled, frame.paused)
            }
        };
        let run = self.known_run(run)?;
        let over = match settled {
            Some(status) => Some(format!("{status} already")),
            None if run.ended.is_some() => Some(format!("{} already", run.status)),
            None if run.ends_as.is_some() => Some("being stopped".to_owned()),
            None => None,
        };
        Ok((over, paused))
    }

    fn pause_fact(&self, target: Target, paused: bool) -> Result<Vec<Fact>, Error> {
        Ok(vec![match target {
            Target::Run(run) => Fact {
                run,
                frame: None,
                task: None,
                event: match paused {
                    true => Event::RunPaused(Empty {}),
                    false => Event::RunUnpaused(Empty {}),
                },
            },
            Target::Frame(id) | Target::Task(TaskId { frame: id, .. }) => {
                let event = match paused {
                    true => Event::FramePaused(Empty {}),
                    false => Event::FrameUnpaused(Empty {}),
                };
                frame_fact(self.known_frame(id)?, id, event)
            }
        }])
    }

    /// What holds a frame: itself, the nearest frame around it that is paused, or its run.
    pub(super) fn paused_by(&self, id: FrameId) -> Option<Target> {
        let mut next = Some(id);
        let mut run = None;
        while let Some((id, frame)) = next.and_then(|id| Some((id, self.frames.get(&id)?))) {
            if frame.paused {
                return Some(Target::Frame(id));
            }
            (next, run) = (frame.parent, Some(frame.run));
        }
        let run = run?;
        self.runs.get(&run)?.paused.then_some(Target::Run(run))
    }

    /// Whether nothing of a frame may start now: a human has paused it, or is to say so first.
    pub(super) fn is_held_back(&self, id: FrameId) -> bool {
        let frame = self.frames.get(&id);
        self.paused_by(id).is_some() || frame.is_some_and(|frame| frame.open_approval().is_some())
    }

    /// Refuses what would begin something where nothing may start.
    pub(super) fn refuse_where_held_back(&self, id: FrameId) -> Result<(), Error> {
        if let Some(by) = self.paused_by(id) {
            return Err(conflict(format!("{by} is paused"))
                .with_help(format!("nothing in it starts before `fornax unpause {by}`")));
        }
        match self.known_frame(id)?.open_approval() {
            Some(asked) => Err(conflict(format!("{id} waits for a human's word"))
                .with_help(format!("`fornax answer {}`", asked.checkpoint.id))),
            None => Ok(()),
        }
    }

    /// A task with a process is suspended where its frame is paused, and goes on where it is not. One
    /// that is to end is left to end.
    pub(super) fn follow_pause(&self, id: FrameId, frame: &Frame) -> Option<Fact> {
        let task_id = frame.newest_task(id)?;
        let task = self.tasks.get(&task_id)?;
        if !task.state.has_process() || task.stopping.is_some() {
            return None;
        }
        let attempt = Attempt {
            attempt: task_id.attempt,
        };
        let event = match (task.state, self.paused_by(id)) {
            (TaskState::Running, Some(_)) => Event::TaskPaused(attempt),
            (TaskState::Paused, None) => Event::TaskResumed(attempt),
            _ => return None,
        };
        Some(task_fact(task, task_id, event))
    }

    /// Puts a pause on a run or a frame, or takes it off.
    pub(super) fn set_paused(&mut self, target: Target, paused: bool, now: Time) {
        let within = match target {
            Target::Run(id) => {
                let Some(run) = self.runs.get_mut(&id) else {
                    return;
                };
                run.paused = paused;
                run.frames.clone()
            }
            Target::Frame(id) | Target::Task(TaskId { frame: id, .. }) => {
                let Some(frame) = self.frames.get_mut(&id) else {
                    return;
                };
                frame.paused = paused;
                self.family(id)
            }
        };
        for id in &within {
            self.queue_or_park(*id);
            self.note_doing(*id, now);
        }
        self.news.extend(&within);
        self.agenda.extend(within);
    }

    /// What is over is paused no longer.
    pub(super) fn take_pause_off(&mut self, target: Target, now: Time) {
        let paused = match target {
            Target::Run(id) => self.runs.get(&id).is_some_and(|run| run.paused),
            Target::Frame(id) | Target::Task(TaskId { frame: id, .. }) => {
                self.frames.get(&id).is_some_and(|frame| frame.paused)
            }
        };
        if paused {
            self.set_paused(target, false, now);
        }
    }

    /// Puts the task of a frame that waits for its slot into the queue, or takes it out where nothing
    /// of the frame may start.
    pub(super) fn queue_or_park(&mut self, id: FrameId) {
        let held_back = self.is_held_back(id);
        let newest = self.frames.get(&id).and_then(|frame| frame.newest_task(id));
        let Some((id, task)) = newest.and_then(|id| Some((id, self.tasks.get(&id)?))) else {
            return;
        };
        if task.state != TaskState::Queued {
            return;
        }
        if held_back {
            self.queue.remove(id, &task.lane, task.place, task.due);
        } else {
            self.queue.push(id, &task.lane, task.place, task.due);
        }
    }

    /// A frame and all within it, parents before their children.
    pub(super) fn family(&self, id: FrameId) -> Vec<FrameId> {
        let mut family = vec![id];
        let mut place = 0;
        while let Some(frame) = family.get(place).and_then(|id| self.frames.get(id)) {
            family.extend(&frame.children);
            place += 1;
        }
        family
    }
}
