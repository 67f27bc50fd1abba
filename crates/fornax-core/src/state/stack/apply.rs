//! What the events of the call stack make of the state.

use crate::event::{Event, FrameInvalidated, FrameUpdated};
use crate::frame::CheckpointKind;
use crate::ids::FrameId;
use crate::record::Record;
use crate::status::FrameStatus;

use super::super::{Asked, Session, Shortened, State};
use super::limits::RAISE;

impl State {
    /// Applies an event of the call stack; false where it is none.
    pub(in crate::state) fn apply_to_stack(
        &mut self,
        record: &Record,
        id: FrameId,
        event: &Event,
    ) -> bool {
        match event {
            Event::FrameUpdated(updated) => self.apply_updated(id, updated),
            Event::FrameActivated(activated) => {
                let session = self.session(&activated.session_id);
                let session = Session {
                    run: record.run_id,
                    home: session.map_or(id, |session| session.home),
                    active: id,
                    since: record.ts,
                };
                self.sessions.insert(activated.session_id.clone(), session);
            }
            Event::FrameUnblocked(_) => {
                self.set_status(id, FrameStatus::InProgress, record.ts, None);
                if let Some(frame) = self.frames.get_mut(&id) {
                    frame.ended = None;
                    frame.results.clear();
                    frame.results_compact.clear();
                }
                self.recount_around(&[id]);
            }
            Event::FrameInvalidated(dropped) => self.apply_invalidated(record, id, dropped),
            Event::ArtifactAdded(added) => {
                if let Some(frame) = self.frames.get_mut(&id) {
                    // The same place twice: the newer look at it counts.
                    frame
                        .artifacts
                        .retain(|known| known.path != added.artifact.path);
                    frame.artifacts.push(added.artifact.clone());
                }
            }
            Event::DecisionAdded(decision) => {
                if let Some(frame) = self.frames.get_mut(&id) {
                    frame.decisions.push(decision.clone());
                }
            }
            Event::SummaryRecorded(recorded) => {
                if let Some(frame) = self.frames.get_mut(&id) {
                    frame.summaries.push(Shortened {
                        session: recorded.session_id.clone(),
                        at: record.ts,
                        summary: recorded.summary.clone(),
                    });
                    frame.summary_wanted = None;
                }
            }
            Event::CheckpointRequired(required) => {
                if let Some(frame) = self.frames.get_mut(&id) {
                    frame.checkpoints.push(Asked {
                        checkpoint: required.checkpoint.clone(),
                        session: required.session_id.clone(),
                        since: record.ts,
                        answer: None,
                    });
                }
                self.queue_or_park(id);
            }
            Event::CheckpointResolved(resolved) => {
                self.apply_resolved(record, id, &resolved.checkpoint, &resolved.decision);
            }
            _ => return false,
        }
        self.touch(id);
        true
    }

    fn apply_updated(&mut self, id: FrameId, updated: &FrameUpdated) {
        let Some(frame) = self.frames.get_mut(&id) else {
            return;
        };
        let texts = [
            (&mut frame.goal, &updated.goal),
            (&mut frame.results, &updated.results),
            (&mut frame.results_compact, &updated.results_compact),
        ];
        for (text, new) in texts {
            if let Some(new) = new {
                text.clone_from(new);
            }
        }
        if let Some(artifacts) = &updated.artifacts {
            frame.artifacts.clone_from(artifacts);
        }
        frame.subagent_usage = updated.usage.unwrap_or(frame.subagent_usage);
        frame.ends_as = updated.ends_as.or(frame.ends_as);
        if updated.summary_wanted.is_some() {
            frame.summary_wanted.clone_from(&updated.summary_wanted);
        }
        // It may have been waiting only for this.
        self.agenda.push_back(id);
    }

    fn apply_invalidated(&mut self, record: &Record, id: FrameId, dropped: &FrameInvalidated) {
        let because = format!("{}: because of {id}", dropped.reason);
        let reason = |other: FrameId| match other == id {
            true => dropped.reason.clone(),
            false => because.clone(),
        };
        let all = std::iter::once(&id).chain(&dropped.cascaded);
        for other in all.clone() {
            let reason = Some(reason(*other));
            self.settle(*other, FrameStatus::Invalidated, record.ts, reason);
        }
        for other in &dropped.stale {
            if let Some(frame) = self.frames.get_mut(other) {
                frame.stale = true;
            }
            self.touch(*other);
        }
        // Who stood in a frame that is gone stands in the next one around it that is not.
        let homeless: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| all.clone().any(|other| *other == session.active))
            .map(|(id, session)| (id.clone(), session.active))
            .collect();
        for (session, mut active) in homeless {
            while let Some(frame) = self.frames.get(&active)
                && frame.status == FrameStatus::Invalidated
                && let Some(parent) = frame.parent
            {
                active = parent;
            }
            if let Some(session) = self.sessions.get_mut(&session) {
                session.active = active;
                session.since = record.ts;
            }
        }
    }

    fn apply_resolved(&mut self, record: &Record, id: FrameId, checkpoint: &str, answer: &str) {
        let asked = self.frames.get_mut(&id).and_then(|frame| {
            let mut asked = frame.checkpoints.iter_mut();
            asked.find(|asked| asked.checkpoint.id == checkpoint)
        });
        let Some(asked) = asked else {
            return;
        };
        asked.answer = Some(answer.to_owned());
        if asked.checkpoint.kind == CheckpointKind::Approval {
            self.queue_or_park(id);
            self.agenda.push_back(id);
            return;
        }
        if let CheckpointKind::Limit { limit } = asked.checkpoint.kind
            && answer == RAISE
            && let Some(run) = self.runs.get_mut(&record.run_id)
        {
            run.limits.raise(limit, &run.first_limits);
        }
    }

    /// Notes that a frame has changed.
    pub(in crate::state) fn touch(&mut self, id: FrameId) {
        let version = self.version;
        let parent = self.frames.get_mut(&id).and_then(|frame| {
            frame.version = version;
            frame.parent
        });
        if let Some(parent) = parent.and_then(|parent| self.frames.get_mut(&parent)) {
            parent.family_version = version;
        }
    }
}
