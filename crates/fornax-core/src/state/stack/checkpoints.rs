//! Questions to humans, and their answers.

use crate::error::{Error, ErrorKind};
use crate::event::{CheckpointRequired, CheckpointResolved, Event};
use crate::frame::{Checkpoint, CheckpointKind, SessionId};
use crate::ids::FrameId;
use crate::status::FrameStatus;

use super::super::decide::{blocked, frame_fact};
use super::super::{Asked, Fact, Frame, State};
use super::{conflict, said};

/// The answers to whether a frame begins.
const GO_ON: &str = "go on";
const BLOCK: &str = "block";

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
        Ok(vec![asked(session, id, frame, kind, question, options)])
    }

    /// A human holds a frame that has not begun, until the question is answered.
    pub(in crate::state) fn decide_checkpoint(
        &self,
        session: &SessionId,
        id: FrameId,
        question: Option<&str>,
    ) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if frame.status != FrameStatus::Planned {
            let message = format!("{id} ({}) is {}", frame.spec.key, frame.status);
            return Err(conflict(message)
                .with_help("only a frame that has not begun can be made to wait for you"));
        }
        if self.known_run(frame.run)?.ends_as.is_some() {
            return Err(conflict(format!("{} is being stopped", frame.run)));
        }
        if let Some(open) = frame.open_approval() {
            let message = format!("{id} waits for you already: {}", open.checkpoint.id);
            return Err(conflict(message).with_help("`fornax inbox` shows what it asks"));
        }
        let question = match question {
            Some(question) => said("a question", question)?.to_owned(),
            None => format!("Begin \"{}\"?", frame.spec.title),
        };
        let options = [GO_ON, BLOCK].map(str::to_owned);
        let kind = CheckpointKind::Approval;
        Ok(vec![asked(session, id, frame, kind, &question, &options)])
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
        let frame = self.known_frame(frame_id)?;
        if asked.checkpoint.kind == CheckpointKind::Approval {
            return self.decide_approval(id, frame_id, frame, answer);
        }
        let options = &asked.checkpoint.options;
        if !options.is_empty() && !options.iter().any(|option| option == answer) {
            let message = format!("`{answer}` is not one of the answers");
            return Err(Error::new(ErrorKind::Usage, message)
                .with_help(format!("answer one of: {}", options.join(", "))));
        }
        Ok(vec![frame_fact(frame, frame_id, resolved(id, answer))])
    }

    /// A frame begins, or it is blocked: `block`, or `block: why`.
    fn decide_approval(
        &self,
        id: &str,
        frame_id: FrameId,
        frame: &Frame,
        answer: &str,
    ) -> Result<Vec<Fact>, Error> {
        if frame.status != FrameStatus::Planned {
            let message = format!("{frame_id} is {}: it does not wait any more", frame.status);
            return Err(conflict(message));
        }
        let (word, why) = answer.split_once(':').unwrap_or((answer, ""));
        let reason = match (word.trim(), why.trim()) {
            (GO_ON, "") => None,
            (BLOCK, "") => Some("a human does not want it to begin".to_owned()),
            (BLOCK, why) => Some(why.to_owned()),
            _ => {
                let message = format!("`{answer}` is not one of the answers");
                let help = format!("answer `{GO_ON}`, `{BLOCK}`, or `{BLOCK}: WHY`");
                return Err(Error::new(ErrorKind::Usage, message).with_help(help));
            }
        };
        let mut facts = vec![frame_fact(frame, frame_id, resolved(id, answer))];
        if let Some(reason) = reason {
            let queued = frame.newest_task(frame_id);
            facts.extend(queued.and_then(|task| self.end_task(task, &reason)));
            facts.push(blocked(frame, frame_id, reason, None));
        }
        Ok(facts)
    }
}

impl Frame {
    /// The question that a human put before it and nobody has answered.
    pub(in crate::state) fn open_approval(&self) -> Option<&Asked> {
        let mut asked = self.checkpoints.iter();
        asked.find(|asked| {
            asked.answer.is_none() && asked.checkpoint.kind == CheckpointKind::Approval
        })
    }

    /// What is asked in it, and still waits for the answer.
    pub(in crate::state) fn asks(&self) -> impl Iterator<Item = &Asked> {
        let begun = self.status != FrameStatus::Planned;
        self.checkpoints.iter().filter(move |asked| {
            let past = begun && asked.checkpoint.kind == CheckpointKind::Approval;
            asked.answer.is_none() && !past
        })
    }
}

fn asked(
    session: &SessionId,
    id: FrameId,
    frame: &Frame,
    kind: CheckpointKind,
    question: &str,
    options: &[String],
) -> Fact {
    let code = id.to_string().replacen("f-", "c-", 1);
    let event = Event::CheckpointRequired(CheckpointRequired {
        session_id: session.clone(),
        checkpoint: Checkpoint {
            id: format!("{code}-{}", frame.checkpoints.len() + 1),
            kind,
            question: question.to_owned(),
            options: options.to_vec(),
        },
    });
    frame_fact(frame, id, event)
}

fn resolved(id: &str, answer: &str) -> Event {
    Event::CheckpointResolved(CheckpointResolved {
        checkpoint: id.to_owned(),
        decision: answer.to_owned(),
    })
}
