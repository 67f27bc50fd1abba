//! How much agents may add to a run: who reaches a limit meets a wall, and a human is asked.

use crate::error::Error;
use crate::frame::{CheckpointKind, Limit, SessionId};
use crate::ids::FrameId;

use super::super::{Fact, State};
use super::conflict;

/// Answers to a limit's checkpoint.
pub(super) const RAISE: &str = "raise";
const KEEP: &str = "keep";

impl State {
    /// What happens instead where `more` frames within `parent` would be too many: a human is asked,
    /// once.
    ///
    /// # Errors
    /// Where a human has been asked already and has not answered, or does not want more.
    pub(super) fn wall(
        &self,
        session: &SessionId,
        parent: FrameId,
        more: usize,
    ) -> Result<Option<Vec<Fact>>, Error> {
        // What a person adds by hand needs no leave.
        let agent = session.task().is_some() || session.agent().is_some();
        let Some((limit, question)) = self.reached(parent, more)?.filter(|_| agent) else {
            return Ok(None);
        };
        let kind = CheckpointKind::Limit { limit };
        let run = self.known_run(self.known_frame(parent)?.run)?;
        let frames = run.frames.iter().filter_map(|id| self.frames.get(id));
        let asked = frames
            .flat_map(|frame| &frame.checkpoints)
            .rfind(|asked| asked.checkpoint.kind == kind && asked.answer.as_deref() != Some(RAISE));
        if let Some(asked) = asked {
            let id = &asked.checkpoint.id;
            return Err(match &asked.answer {
                None => conflict(format!(
                    "{question} A human was asked ({id}) and has not answered yet."
                ))
                .with_help("go on with what needs no further frame, or try again later"),
                Some(_) => conflict(format!("{question} A human does not want more.")),
            });
        }
        let options = [RAISE, KEEP].map(str::to_owned);
        self.decide_ask(session, parent, kind, &question, &options)
            .map(Some)
    }

    /// Whether no further frame may be added within a frame.
    pub(super) fn is_full(&self, parent: FrameId) -> bool {
        !matches!(self.reached(parent, 1), Ok(None))
    }

    fn reached(&self, parent: FrameId, more: usize) -> Result<Option<(Limit, String)>, Error> {
        let frame = self.known_frame(parent)?;
        let run = self.known_run(frame.run)?;
        let limits = &run.limits;
        let depth = frame.depth + 1;
        let added = run.added as usize + more;
        let used = run.usage.total();
        let cost = run.usage.cost_usd.unwrap_or(0.0);
        Ok(if depth > limits.depth {
            Some((
                Limit::Depth,
                format!("Frames may lie {} deep.", limits.depth),
            ))
        } else if added > limits.count as usize {
            Some((
                Limit::Count,
                format!("Agents may add {} frames to a run.", limits.count),
            ))
        } else if limits.tokens.is_some_and(|tokens| used >= tokens) {
            let text = format!("The run has used {used} tokens, its budget.");
            Some((Limit::Tokens, text))
        } else if limits.cost_usd.is_some_and(|limit| cost >= limit) {
            Some((
                Limit::Cost,
                format!("The run has cost ${cost:.2}, its budget."),
            ))
        } else {
            None
        })
    }
}
