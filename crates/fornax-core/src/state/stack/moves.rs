//! Frames end, begin, and become the one that a session works in.

use crate::error::Error;
use crate::event::{Empty, Event, FrameCompleted, FrameEnded, FrameUpdated};
use crate::frame::SessionId;
use crate::ids::{FrameId, TaskId};
use crate::status::{FrameStatus, TaskState};
use crate::tools::PopStatus;

use super::super::decide::frame_fact;
use super::super::{Fact, Frame, State, Target};
use super::{activated, conflict};

impl State {
    pub(super) fn decide_pop(
        &self,
        session: &SessionId,
        id: FrameId,
        status: PopStatus,
        results: &str,
        compact: &str,
    ) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if frame.status != FrameStatus::InProgress {
            return Err(conflict(format!(
                "{id} is {}: only a frame in progress can be popped",
                frame.status
            ))
            .with_help("flame_status shows the active frame"));
        }
        if status == PopStatus::Completed && frame.open_children > 0 {
            let open = self.open_children(frame);
            let message = format!(
                "{id} cannot be completed: {} in it is open",
                open.join(", ")
            );
            return Err(conflict(message).with_help(
                "pop or invalidate what is open in it first, or pop it as failed or blocked",
            ));
        }
        if frame.is_group() {
            return Err(conflict(format!(
                "{id} only holds others together and ends with the last of them"
            )));
        }
        let compact = compact.trim();
        if !frame.is_held() {
            // Its task ends it; what the agent says of it is kept until then.
            let own = session.task().is_some_and(|task| task.frame == id);
            if !own && self.has_open_task(id, frame) {
                return Err(conflict(format!("a task still works on {id}"))
                    .with_help(format!("stop it first: `fornax stop {id}`")));
            }
            let updated = FrameUpdated {
                results: Some(results.to_owned()),
                results_compact: Some(compact.to_owned()),
                ends_as: Some(status.frame_status()),
                ..FrameUpdated::default()
            };
            return self.note(id, Event::FrameUpdated(updated));
        }
        let mut facts = vec![frame_fact(
            frame,
            id,
            ended(frame, status, results, compact),
        )];
        let stands_in_it = self.session(session).is_some_and(|own| own.active == id);
        if let Some(parent) = frame.parent.filter(|_| stands_in_it)
            && let Some(above) = self.frames.get(&parent)
            && above.status == FrameStatus::InProgress
        {
            facts.push(frame_fact(above, parent, activated(session)));
        }
        Ok(facts)
    }

    fn open_children(&self, frame: &Frame) -> Vec<String> {
        let open = frame.children.iter().filter(|id| {
            let child = self.frames.get(id);
            child.is_some_and(|child| !child.status.is_settled())
        });
        open.take(5).map(FrameId::to_string).collect()
    }

    pub(super) fn decide_activate(
        &self,
        session: &SessionId,
        id: FrameId,
    ) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if frame.spec.invocation.is_some() || frame.is_group() {
            return match frame.status {
                FrameStatus::Failed | FrameStatus::Blocked => {
                    self.decide_retry(Target::Frame(id), None)
                }
                FrameStatus::Planned => Err(conflict(format!("{id} starts by itself"))
                    .with_help(self.what_it_waits_for(frame))),
                other => Err(conflict(format!("{id} is {other}"))),
            };
        }
        let begins = match frame.status {
            FrameStatus::Planned => {
                if frame.waiting_on > 0 {
                    return Err(conflict(format!("{id} cannot begin yet"))
                        .with_help(self.what_it_waits_for(frame)));
                }
                Event::FrameStarted(Empty {})
            }
            FrameStatus::Failed | FrameStatus::Blocked => {
                let above = frame.parent.and_then(|id| self.frames.get(&id));
                if above.is_some_and(|above| above.status != FrameStatus::InProgress) {
                    return Err(conflict(format!("the frame above {id} is not in progress"))
                        .with_help("activate that one first"));
                }
                Event::FrameUnblocked(Empty {})
            }
            other => {
                return Err(conflict(format!(
                    "{id} is {other}: only a planned, blocked or failed frame begins"
                ))
                .with_help("flame_navigate goes to a frame in progress"));
            }
        };
        self.refuse_where_held_back(id)?;
        let both = [begins, activated(session)];
        Ok(both.map(|event| frame_fact(frame, id, event)).into())
    }

    fn what_it_waits_for(&self, frame: &Frame) -> String {
        let others = frame.depends_on.iter().chain(&frame.parent);
        let open = others.filter_map(|id| {
            let other = self.frames.get(id)?;
            let is_parent = frame.parent == Some(*id);
            let in_the_way = match is_parent {
                true => other.status != FrameStatus::InProgress,
                false => other.status != FrameStatus::Completed,
            };
            in_the_way.then(|| format!("{id} ({})", other.status))
        });
        let open: Vec<String> = open.take(8).collect();
        match open.is_empty() {
            true => "it waits for a slot".to_owned(),
            false => format!("it waits for {}", open.join(", ")),
        }
    }

    pub(super) fn decide_navigate(
        &self,
        session: &SessionId,
        id: FrameId,
    ) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if frame.status != FrameStatus::InProgress {
            return Err(conflict(format!("{id} is {}", frame.status))
                .with_help("flame_activate begins a planned, blocked or failed frame"));
        }
        if self.has_open_task(id, frame) && session.task().is_none_or(|task| task.frame != id) {
            return Err(conflict(format!("a task of its own works on {id}")));
        }
        Ok(vec![frame_fact(frame, id, activated(session))])
    }

    /// Whether frames that a task's agent pushed, and that others worked on, have ended without its
    /// having been told: it is, before its own frame ends. Who has said how that ends knows enough.
    pub(in crate::state) fn has_untold_results(&self, task: TaskId, frame: &Frame) -> bool {
        let session = SessionId::of_task(task);
        let pushed = |child: &Frame| {
            child.made_by.as_ref() == Some(&session)
                && child.spec.invocation.is_some()
                && child.status != FrameStatus::Invalidated
        };
        let mut children = frame.children.iter().filter_map(|id| self.frames.get(id));
        frame.ends_as.is_none() && children.any(pushed)
    }

    /// Whether a frame's task has ended well, but frames that its agent had others work on have not;
    /// or all of them have, and it is time to go on.
    pub(in crate::state) fn waits_for_frames(&self, id: FrameId, frame: &Frame) -> bool {
        let newest = frame.newest_task(id).and_then(|id| self.tasks.get(&id));
        frame.status == FrameStatus::InProgress
            && frame.spec.invocation.is_some()
            && newest.is_some_and(|task| task.state == TaskState::Completed)
    }
}

/// The end of a frame in which sessions work. Where nobody said what came of it, what its
/// conversation was shortened to last says that.
pub(super) fn ended(frame: &Frame, status: PopStatus, results: &str, compact: &str) -> Event {
    let results = match results.trim() {
        "" if status == PopStatus::Completed => frame.last_summary().unwrap_or_default(),
        _ => results,
    };
    let why = || FrameEnded {
        reason: match results.trim() {
            "" => "it gave no reason".to_owned(),
            reason => reason.to_owned(),
        },
        error_class: None,
        blocked_by: None,
    };
    match status {
        PopStatus::Completed => Event::FrameCompleted(FrameCompleted {
            results: results.to_owned(),
            results_compact: compact.to_owned(),
            artifacts: frame.artifacts.clone(),
            skipped: false,
        }),
        PopStatus::Failed => Event::FrameFailed(why()),
        PopStatus::Blocked => Event::FrameBlocked(why()),
    }
}
