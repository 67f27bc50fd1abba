//! What agents' hosts, plugins and hooks tell of sessions.

use crate::event::{Event, SummaryRecorded};
use crate::frame::{CompactionKind, Report, SessionId, Summary};
use crate::ids::FrameId;

use super::super::decide::frame_fact;
use super::super::{Fact, State};

impl State {
    pub(in crate::state) fn decide_report(
        &self,
        session: &SessionId,
        report: &Report,
        _id: FrameId,
    ) -> Vec<Fact> {
        match report {
            Report::Compacted {
                summary,
                tokens_before,
                tokens_after,
            } => self.compacted(session, summary, *tokens_before, *tokens_after),
            _ => Vec::new(),
        }
    }

    /// The conversation of a session was shortened: the frame that it works in has the summary.
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
        let kind = match (&frame.summary_wanted, frame.ends_as) {
            (Some(_), _) => CompactionKind::ManualSummary,
            (None, Some(_)) => CompactionKind::FrameCompletion,
            (None, None) => CompactionKind::Overflow,
        };
        let event = Event::SummaryRecorded(SummaryRecorded {
            session_id: session.clone(),
            summary: Summary {
                kind,
                text: text.to_owned(),
                tokens_before,
                tokens_after,
            },
        });
        vec![frame_fact(frame, id, event)]
    }
}
