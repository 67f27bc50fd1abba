//! What agents' hosts, plugins and hooks tell of sessions.

use crate::event::{Event, SummaryRecorded};
use crate::frame::{CompactionKind, Report, SessionId, Summary};
use crate::ids::FrameId;
use crate::time::Time;
use crate::tools::PopStatus;

use super::super::decide::frame_fact;
use super::super::{Fact, Frame, State};

impl State {
    pub(in crate::state) fn decide_report(
        &self,
        now: Time,
        session: &SessionId,
        report: &Report,
        id: FrameId,
    ) -> Vec<Fact> {
        match report {
            Report::Compacted {
                summary,
                tokens_before,
                tokens_after,
            } => self.compacted(session, summary, *tokens_before, *tokens_after),
            Report::ChildBegan { child, .. } | Report::ChildWorked { child, .. } => {
                self.decide_subagent(now, child, id)
            }
            // It may be a subagent by its title.
            Report::Began { .. } => self.decide_subagent(now, session, id),
            Report::ChildEnded {
                child,
                success,
                result,
            } => {
                let status = match success {
                    true => PopStatus::Completed,
                    false => PopStatus::Failed,
                };
                self.end_subagent(child, status, result)
            }
            _ => Vec::new(),
        }
    }

    /// The conversation of a session was shortened: the frame that it works in has the summary. A
    /// session is read again after a restart, and what is known is not told twice.
    fn compacted(
        &self,
        session: &SessionId,
        text: &str,
        tokens_before: Option<u64>,
        tokens_after: Option<u64>,
    ) -> Vec<Fact> {
        let Some((id, frame)) = self
            .session(session)
            .and_then(|own| Some((own.active, self.frames.get(&own.active)?)))
        else {
            return Vec::new();
        };
        let event = Event::SummaryRecorded(SummaryRecorded {
            session_id: session.clone(),
            summary: Summary {
                kind: pending_kind(frame).unwrap_or(CompactionKind::Overflow),
                text: text.to_owned(),
                tokens_before,
                tokens_after,
            },
        });
        vec![frame_fact(frame, id, event)]
    }
}

/// What the next shortening of the conversation in a frame will have been for, where that is plain
/// before.
pub(super) fn pending_kind(frame: &Frame) -> Option<CompactionKind> {
    match (&frame.summary_wanted, frame.ends_as) {
        (Some(_), _) => Some(CompactionKind::ManualSummary),
        (None, Some(_)) => Some(CompactionKind::FrameCompletion),
        (None, None) => None,
    }
}
