//! Questions to humans, and their answers.

use crate::error::{Error, ErrorKind};
use crate::event::{CheckpointRequired, CheckpointResolved, Event};
use crate::frame::{Checkpoint, CheckpointKind, SessionId};
use crate::ids::FrameId;

use super::super::decide::frame_fact;
use super::super::{Asked, Fact, State};
use super::{conflict, said};

impl State {
    pub(super) fn decide_ask(
        &self,
        session: &SessionId,
        id: FrameId,
        kind: CheckpointKind,
        question: &str,
        options: &[String],
    ) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if self.asked_before(session, question).is_some() {
            return Ok(Vec::new());
        }
        let code = id.to_string().replacen("f-", "c-", 1);
        let checkpoint = Checkpoint {
            id: format!("{code}-{}", frame.checkpoints.len() + 1),
            kind,
            question: question.to_owned(),
            options: options.to_vec(),
        };
        let event = Event::CheckpointRequired(CheckpointRequired {
            session_id: session.clone(),
            checkpoint,
        });
        Ok(vec![frame_fact(frame, id, event)])
    }

    /// The newest question of a session, where it is this one: whoever asks again what they asked
    /// last, as after they gave up waiting, waits for the same answer.
    #[must_use]
    pub fn asked_before(&self, session: &SessionId, question: &str) -> Option<&Asked> {
        let frames = self
            .session(session)
            .into_iter()
            .flat_map(|own| self.path_to(own.active));
        let asked = frames
            .filter_map(|id| self.frames.get(&id))
            .flat_map(|frame| &frame.checkpoints)
            .filter(|asked| &asked.session == session);
        let newest = asked.max_by_key(|asked| asked.since)?;
        (newest.checkpoint.question == question.trim()).then_some(newest)
    }

    /// The checkpoint of an id, and its frame.
    #[must_use]
    pub fn checkpoint(&self, id: &str) -> Option<(FrameId, &Asked)> {
        let code = id.strip_prefix("c-")?.rsplit_once('-')?.0;
        let frame: FrameId = format!("f-{code}").parse().ok()?;
        let asked = self.frames.get(&frame)?.checkpoints.iter();
        let mut asked = asked.filter(|asked| asked.checkpoint.id == id);
        Some((frame, asked.next()?))
    }

    pub(in crate::state) fn decide_resolve(
        &self,
        id: &str,
        answer: &str,
    ) -> Result<Vec<Fact>, Error> {
        let Some((frame_id, asked)) = self.checkpoint(id) else {
            let message = format!("there is no checkpoint {id}");
            return Err(Error::new(ErrorKind::NotFound, message)
                .with_help("`fornax inbox` lists those that wait"));
        };
        if let Some(given) = &asked.answer {
            return Err(conflict(format!("{id} was answered already: {given}")));
        }
        let answer = said("an answer", answer)?;
        let options = &asked.checkpoint.options;
        if !options.is_empty() && !options.iter().any(|option| option == answer) {
            let message = format!("`{answer}` is not one of the answers");
            return Err(Error::new(ErrorKind::Usage, message)
                .with_help(format!("answer one of: {}", options.join(", "))));
        }
        let event = Event::CheckpointResolved(CheckpointResolved {
            checkpoint: id.to_owned(),
            decision: answer.to_owned(),
        });
        Ok(vec![frame_fact(
            self.known_frame(frame_id)?,
            frame_id,
            event,
        )])
    }
}
