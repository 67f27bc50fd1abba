//! Sessions' calls of tools: the engine gives out the ids that they need, carries them out, and
//! answers from the state that they made.

use fornax_core::error::Error;
use fornax_core::event::Artifact;
use fornax_core::frame::{Report, SessionId};
use fornax_core::ids::{CmdId, FrameId};
use fornax_core::record::{Actor, Record};
use fornax_core::state::{Answering, Command, Invalidation, new_frames};
use fornax_core::tools::{Call, Reply};
use fornax_core::view::Answer;
use tokio::sync::oneshot;

use super::worker::{Replies, Worker, answer_to};
use super::{Engine, Message, today};

/// A call and who waits for its reply.
pub(super) struct CallAsk {
    asked: Asked,
    reply: oneshot::Sender<Result<Reply, Error>>,
}

/// What a session calls.
pub(crate) struct Asked {
    /// The session.
    pub session: SessionId,
    /// On whose behalf.
    pub actor: Actor,
    /// Makes the call idempotent.
    pub cmd_id: Option<CmdId>,
    /// The call.
    pub call: Call,
    /// For an artifact: what is known of the file.
    pub artifact: Option<Artifact>,
}

/// What happened in a session, and who waits until it is kept.
pub(super) struct ReportAsk {
    pub session: SessionId,
    pub report: Report,
    pub actor: Actor,
    pub reply: oneshot::Sender<Result<Answer, Error>>,
}

impl Engine {
    /// Carries a call out and waits until it is durable.
    ///
    /// # Errors
    /// Where the call does not fit the state, or cannot be made durable.
    pub(crate) async fn call(&self, asked: Asked) -> Result<Reply, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Call(Box::new(CallAsk { asked, reply })))?;
        answer.await.map_err(|_| self.gone())?
    }
}

/// What a call was about, as it was before it was carried out.
#[derive(Default)]
struct Before {
    ids: Vec<FrameId>,
    dropped: Option<Invalidation>,
    /// What it is answered, where that is known before.
    told: Option<Reply>,
}

impl Worker {
    pub(super) fn call(&mut self, ask: CallAsk, records: &mut Vec<Record>, replies: &mut Replies) {
        let CallAsk { asked, reply } = ask;
        let mut before = Before::default();
        let outcome = self.carry_out(&asked, &mut before, records);
        let answer = move |worker: &mut Worker, outcome: Result<Answer, Error>| {
            let told = outcome.and_then(|_| worker.reply_to(&asked, &before));
            // Nobody waits any more: nothing to tell.
            let _ = reply.send(told);
        };
        replies.push((Box::new(answer), outcome));
    }

    /// Takes in what happened in a session. A conversation outside of Fornax has a run of its own from
    /// its beginning on.
    pub(super) fn report(
        &mut self,
        ask: ReportAsk,
        records: &mut Vec<Record>,
        replies: &mut Replies,
    ) {
        let ReportAsk {
            session,
            report,
            actor,
            reply,
        } = ask;
        let outcome = self.take_report(&session, report, &actor, records);
        replies.push((answer_to(reply), outcome));
    }

    fn take_report(
        &mut self,
        session: &SessionId,
        report: Report,
        actor: &Actor,
        records: &mut Vec<Record>,
    ) -> Result<Answer, Error> {
        // Of a task's own conversation its host tells, once.
        if session.task().is_some() {
            return Ok(Answer::default());
        }
        let command = match report {
            Report::Began { title }
                if !self.state.is_open(session)
                    && session.task().is_none()
                    && self.state.parent_by_title(session, &title).is_none() =>
            {
                self.opening(session, title)?
            }
            report => Command::Report {
                session: session.clone(),
                report,
                id: self.spare_frame()?,
            },
        };
        let noticed = match &command {
            Command::Report { report, .. } => vec![(self.look().now, report.clone())],
            _ => Vec::new(),
        };
        let done = self.execute(actor, None, &command, records);
        let done = done.unwrap_or_else(|| Err(self.refused()))?;
        self.notice(session, &noticed, records);
        Ok(done)
    }

    /// The command that gives a session a run of its own.
    fn opening(&mut self, session: &SessionId, title: String) -> Result<Command, Error> {
        let frame = self.spare_frame()?;
        let Some(writer) = &mut self.writer else {
            return Err(self.refused());
        };
        let run = writer.next_run_id(today())?;
        Ok(Command::OpenSession {
            session: session.clone(),
            run,
            frame,
            title,
            limits: self.frame_limits,
        })
    }

    fn carry_out(
        &mut self,
        asked: &Asked,
        before: &mut Before,
        records: &mut Vec<Record>,
    ) -> Result<Answer, Error> {
        let Asked { session, call, .. } = asked;
        let done = asked
            .cmd_id
            .as_ref()
            .and_then(|id| self.state.answer_to(id));
        if let Some(done) = done {
            before.ids.clone_from(&done.frames);
            return Ok(done);
        }
        if let Call::Invalidate(invalidate) = call {
            let id = self
                .state
                .frame_of_call(session, invalidate.frame_id.as_deref())?;
            before.dropped = Some(self.state.invalidation(id)?);
            if invalidate.preview {
                return Ok(Answer::default());
            }
        }
        if let Call::SubagentConfig(_) | Call::SubagentStats(_) = call {
            before.told = self.subagent_settings_called(session, call)?;
            return Ok(Answer::default());
        }
        if call.tool().read_only || matches!(call, Call::CacheClear(_)) {
            return Ok(Answer::default());
        }
        let count = new_frames(call);
        if count > 0 && !self.state.is_open(session) && session.task().is_none() {
            let open = self.opening(session, title_of(session))?;
            self.execute(&asked.actor, None, &open, records);
        }
        let Some(writer) = &mut self.writer else {
            return Err(self.refused());
        };
        let ids = writer.reserve_frames(u32::try_from(count).unwrap_or(u32::MAX))?;
        before.ids.clone_from(&ids);
        let command = Command::Call {
            session: session.clone(),
            call: Box::new(call.clone()),
            ids,
            artifact: asked.artifact.clone(),
        };
        let done = self.execute(&asked.actor, asked.cmd_id.as_ref(), &command, records);
        done.unwrap_or_else(|| Err(self.refused()))
    }

    fn reply_to(&self, asked: &Asked, before: &Before) -> Result<Reply, Error> {
        if let Some(told) = &before.told {
            return Ok(told.clone());
        }
        if let Some(reply) = self.subagent_replied(&asked.session, &asked.call) {
            return reply;
        }
        let look = self.look();
        let answering = Answering {
            session: &asked.session,
            ids: &before.ids,
            dropped: before.dropped.as_ref(),
            contexts: &mut look.contexts.borrow_mut(),
            budget: look.context_budget,
        };
        self.state.reply(&asked.call, answering)
    }
}

/// What the run of a session of its own is called until it says more.
fn title_of(session: &SessionId) -> String {
    match session.agent() {
        Some(agent) => format!("A session of {agent}"),
        None => format!("By hand ({session})"),
    }
}
