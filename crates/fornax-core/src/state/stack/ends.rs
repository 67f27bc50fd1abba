//! A task's conversation is over: no frame that somebody in it worked in goes on without it.

use crate::event::Event;
use crate::ids::{FrameId, TaskId};
use crate::status::FrameStatus;
use crate::tools::PopStatus;

use super::super::decide::{blocked, frame_fact};
use super::super::{Fact, Frame, State};
use super::{invalidate, moves};

/// How a task's conversation ended.
#[derive(Clone, Copy)]
pub(in crate::state) enum ConversationEnd<'a> {
    /// Well, with these last words.
    Well(&'a str),
    /// Not well, for this reason.
    Badly {
        why: &'a str,
        /// Whether a further attempt will be made, which may do what was planned.
        again: bool,
        /// Whether it was stopped, so that nothing has failed.
        stopped: bool,
    },
}

impl<'a> ConversationEnd<'a> {
    pub fn stopped(why: &'a str) -> ConversationEnd<'a> {
        ConversationEnd::Badly {
            why,
            again: false,
            stopped: true,
        }
    }

    pub fn failed(why: &'a str, again: bool) -> ConversationEnd<'a> {
        ConversationEnd::Badly {
            why,
            again,
            stopped: false,
        }
    }
}

impl State {
    /// What of the frames is open that the sessions of a task's conversation worked in: its own and
    /// those of its subagents, of this attempt and of earlier ones.
    ///
    /// When it ended well, the last words are the results of what it still stood in, and what it
    /// planned to do itself will not be done. A subagent of which no end was told has not succeeded.
    pub(in crate::state) fn left_open(&self, task: TaskId, end: ConversationEnd<'_>) -> Vec<Fact> {
        let mut facts = Vec::new();
        let run = self.frames.get(&task.frame);
        let run = run.and_then(|frame| self.runs.get(&frame.run));
        // Most runs are a plan's alone.
        let Some(run) = run.filter(|run| run.added > 0) else {
            return facts;
        };
        // Inner ones first: a frame cannot end before what is in it.
        for id in run.frames.iter().rev() {
            let open = self.frames.get(id).filter(|frame| {
                frame.is_held() && !frame.status.is_settled() && self.is_of(task.frame, frame)
            });
            if let Some(frame) = open {
                facts.extend(self.usage_written(*id, frame, None));
                facts.extend(abandoned(*id, frame, task, end));
            }
        }
        facts
    }

    /// Whether a frame was made in a conversation of a task of `home`.
    pub(in crate::state) fn is_of(&self, home: FrameId, frame: &Frame) -> bool {
        let by = frame.made_by.as_ref();
        let task = by.and_then(|session| self.task_behind(session));
        task.is_some_and(|task| task.frame == home)
    }

    /// Whether a frame was held by a conversation of a task, which alone could go on with it.
    pub(in crate::state) fn is_of_a_task(&self, frame: &Frame) -> bool {
        let by = frame.made_by.as_ref().filter(|_| frame.is_held());
        by.is_some_and(|session| self.task_behind(session).is_some())
    }
}

fn abandoned(id: FrameId, frame: &Frame, task: TaskId, end: ConversationEnd<'_>) -> Option<Fact> {
    let subagents = frame.subagent_of.is_some();
    let fail = |why: &str| moves::ended(frame, PopStatus::Failed, why, "");
    let event = match (frame.status, end) {
        (FrameStatus::InProgress, ConversationEnd::Well(results)) => {
            // An earlier attempt's frames are blocked by now; one in progress was taken up again.
            match subagents {
                true => fail("the conversation that began it ended before it did"),
                false => moves::ended(frame, PopStatus::Completed, results, ""),
            }
        }
        (FrameStatus::InProgress, ConversationEnd::Badly { why, stopped, .. }) => {
            let gone = format!("the task that it was worked on in, {task}, ended: {why}");
            match subagents && !stopped {
                true => fail(&gone),
                false => return Some(blocked(frame, id, gone, None)),
            }
        }
        (_, ConversationEnd::Badly { again: true, .. }) => return None,
        _ => invalidate::invalidated("the conversation that planned it has ended"),
    };
    Some(frame_fact(frame, id, event))
}

/// How many of the frames right within one these facts end.
pub(in crate::state) fn ended_within(state: &State, home: FrameId, facts: &[Fact]) -> usize {
    let ends = |event: &Event| {
        matches!(
            event,
            Event::FrameCompleted(_)
                | Event::FrameFailed(_)
                | Event::FrameBlocked(_)
                | Event::FrameInvalidated(_)
        )
    };
    let inner = facts.iter().filter(|fact| ends(&fact.event));
    let inner = inner.filter_map(|fact| state.frames.get(&fact.frame?));
    inner.filter(|frame| frame.parent == Some(home)).count()
}
