//! The call stack: what sessions do to frames by calling tools, and what that makes of the state.

mod apply;
mod autonomy;
mod checkpoints;
mod compaction;
mod create;
mod ends;
mod invalidate;
mod limits;
mod moves;
mod replies;
mod reports;
mod source;
mod subagent_tools;
mod subagents;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_subagents;
mod tree;

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::event::{
    Artifact, ArtifactAdded, Empty, Event, FrameActivated, FrameCreated, FrameUpdated, RunStarted,
};
use crate::frame::{CheckpointKind, FrameDecision, FrameLimits, SessionId};
use crate::ids::{FrameId, RunId};
use crate::spec::{FrameSpec, OnFailure};
use crate::status::FrameStatus;
use crate::title;
use crate::tools::Call;

use super::decide::frame_fact;
use super::{Fact, Session, State};
pub(super) use autonomy::Autonomy;
pub use autonomy::{Auto, AutonomyReply};
use create::New;
pub(in crate::state) use ends::{ConversationEnd, ended_within};
pub use invalidate::Invalidation;
pub use replies::Answering;
pub use subagents::Subagent;
pub(in crate::state) use subagents::Subagents;

/// The most frames that one call plans.
const CHILDREN_MAX: usize = 100;

/// How many frames a call makes.
#[must_use]
pub fn new_frames(call: &Call) -> usize {
    match call {
        Call::Push(_) | Call::Plan(_) => 1,
        Call::PlanChildren(plan) => plan.children.len().min(CHILDREN_MAX + 1),
        _ => 0,
    }
}

impl State {
    /// Where a session stands: a task's own conversation begins in the task's frame.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<Session> {
        if let Some(known) = self.sessions.get(id) {
            return Some(known.clone());
        }
        let task = id.task()?;
        let own = self.tasks.get(&task)?;
        Some(Session {
            run: own.run,
            home: task.frame,
            active: task.frame,
            since: own.started.unwrap_or(own.queued),
        })
    }

    /// Whether a session stands in a run that goes on.
    #[must_use]
    pub fn is_open(&self, id: &SessionId) -> bool {
        let run = self.session(id).and_then(|own| self.runs.get(&own.run));
        run.is_some_and(|run| run.ended.is_none())
    }

    /// The sessions that stand somewhere of their own.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionId, &Session)> {
        self.sessions.iter()
    }

    /// The frame that is meant by an id or by a beginning of one that only one frame has.
    ///
    /// # Errors
    /// Where none or several are.
    pub fn find_frame(&self, text: &str) -> Result<FrameId, Error> {
        if let Ok(id) = text.parse::<FrameId>() {
            return self.known_frame(id).map(|_| id);
        }
        let mut found: Vec<FrameId> = self.frames_like(text).take(6).collect();
        found.sort_unstable();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(
                Error::new(ErrorKind::NotFound, format!("there is no frame `{text}`"))
                    .with_help("flame_tree shows them"),
            ),
            several => {
                let ids: Vec<String> = several.iter().map(FrameId::to_string).collect();
                let message = format!("`{text}` could be {}", ids.join(", "));
                Err(Error::new(ErrorKind::Usage, message).with_help("write more of the id"))
            }
        }
    }

    /// The frame that a call is about: the one it names, or the session's active one.
    ///
    /// # Errors
    /// Where there is none, or it is of another run.
    pub fn frame_of_call(
        &self,
        session: &SessionId,
        named: Option<&str>,
    ) -> Result<FrameId, Error> {
        let Some(named) = named else {
            return self.standing(session).map(|session| session.active);
        };
        let id = self.find_frame(named)?;
        // An agent works in its own run only; a person goes anywhere.
        if session.task().is_some() {
            let own = self.standing(session)?.run;
            let run = self.known_frame(id)?.run;
            if run != own {
                return Err(conflict(format!(
                    "{id} is of {run}, and {session} works in {own}"
                )));
            }
        }
        Ok(id)
    }

    fn standing(&self, id: &SessionId) -> Result<Session, Error> {
        self.session(id).ok_or_else(|| {
            conflict(format!("{id} works in no frame yet"))
                .with_help("push one: flame_push, or `fornax frame push GOAL`")
        })
    }

    pub(super) fn decide_open(
        &self,
        session: &SessionId,
        run: RunId,
        frame: FrameId,
        title: &str,
        limits: &FrameLimits,
    ) -> Vec<Fact> {
        if self.is_open(session) {
            return Vec::new();
        }
        let spec = FrameSpec {
            title: title::of("", title),
            goal: title.to_owned(),
            ..FrameSpec::default()
        };
        let started = Event::RunStarted(RunStarted {
            name: spec.title.clone(),
            plan: None,
            inputs: std::collections::BTreeMap::new(),
            on_failure: OnFailure::Continue,
            pools: std::collections::BTreeMap::new(),
            frames: 1,
            limits: *limits,
        });
        let fact = |frame: Option<FrameId>, event| Fact {
            run,
            frame,
            task: None,
            event,
        };
        let created = Event::FrameCreated(FrameCreated {
            parent_id: None,
            depends_on: Vec::new(),
            result_from: None,
            session_id: Some(session.clone()),
            subagent_of: None,
            spec: Arc::new(spec),
        });
        vec![
            fact(None, started),
            fact(Some(frame), created),
            fact(Some(frame), Event::FrameStarted(Empty {})),
            fact(Some(frame), activated(session)),
        ]
    }

    pub(super) fn decide_call(
        &self,
        session: &SessionId,
        call: &Call,
        ids: &[FrameId],
        artifact: Option<&Artifact>,
    ) -> Result<Vec<Fact>, Error> {
        let named = |id: &Option<String>| self.frame_of_call(session, id.as_deref());
        match call {
            Call::Push(push) => {
                let new = New {
                    goal: &push.goal,
                    title: push.title.as_deref(),
                    criteria: push.success_criteria.as_deref(),
                    depends_on: &push.depends_on,
                    phase: push.phase.as_deref(),
                    agent_role: push.agent_role.as_deref(),
                    ..New::default()
                };
                self.decide_push(session, &new, ids)
            }
            Call::Pop(pop) => {
                let compact = pop.results_compact.as_deref().unwrap_or_default();
                let id = named(&pop.frame_id)?;
                self.decide_pop(session, id, pop.status, &pop.results, compact)
            }
            Call::SetGoal(set) => {
                let id = named(&set.frame_id)?;
                let goal = Some(said("a goal", &set.goal)?.to_owned());
                let updated = FrameUpdated {
                    goal,
                    ..FrameUpdated::default()
                };
                self.note(id, Event::FrameUpdated(updated))
            }
            Call::AddArtifact(add) => {
                let id = named(&add.frame_id)?;
                let artifact = artifact.ok_or_else(|| {
                    Error::new(ErrorKind::Internal, "nothing is known of the artifact")
                })?;
                let added = ArtifactAdded {
                    artifact: artifact.clone(),
                    description: add.description.clone(),
                };
                self.note(id, Event::ArtifactAdded(added))
            }
            Call::AddDecision(add) => {
                let decision = FrameDecision {
                    decision: said("a decision", &add.decision)?.to_owned(),
                    reason: add.reason.clone(),
                    alternatives: add.alternatives.clone(),
                    by_itself: None,
                };
                self.note(named(&add.frame_id)?, Event::DecisionAdded(decision))
            }
            Call::Plan(plan) => {
                let new = New {
                    goal: &plan.goal,
                    title: plan.title.as_deref(),
                    criteria: plan.success_criteria.as_deref(),
                    depends_on: &plan.depends_on,
                    ..New::default()
                };
                self.decide_plan(session, named(&plan.parent_id)?, &[new], ids)
            }
            Call::PlanChildren(plan) => {
                let children = plan.children.iter().map(|child| New {
                    key: child.key.as_deref(),
                    goal: &child.goal,
                    title: child.title.as_deref(),
                    criteria: child.success_criteria.as_deref(),
                    depends_on: &child.depends_on,
                    ..New::default()
                });
                let children: Vec<New<'_>> = children.collect();
                self.decide_plan(session, named(&plan.parent_id)?, &children, ids)
            }
            Call::Activate(activate) => {
                let id = self.frame_of_call(session, Some(&activate.frame_id))?;
                self.decide_activate(session, id)
            }
            Call::Navigate(navigate) => {
                let id = self.frame_of_call(session, Some(&navigate.frame_id))?;
                self.decide_navigate(session, id)
            }
            Call::Invalidate(invalidate) => {
                self.decide_invalidate(named(&invalidate.frame_id)?, &invalidate.reason)
            }
            Call::StopAll(stop) => {
                let run = self.standing(session)?.run;
                self.decide_stop_all(run, &stop.reason)
            }
            Call::RequestInput(request) => {
                let active = self.standing(session)?.active;
                let question = said("a question", &request.question)?;
                self.decide_ask(
                    session,
                    active,
                    CheckpointKind::Question,
                    question,
                    &request.options,
                )
            }
            Call::Summarize(summarize) => {
                let note = summarize.note.as_deref().unwrap_or_default();
                self.decide_summarize(session, named(&summarize.frame_id)?, note)
            }
            Call::SubagentComplete(complete) => self.decide_subagent_complete(session, complete),
            other => Err(not_ours(other)),
        }
    }

    /// Something that changes no frame's status.
    fn note(&self, id: FrameId, event: Event) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if frame.status == FrameStatus::Invalidated {
            return Err(conflict(format!("{id} is invalidated")));
        }
        Ok(vec![frame_fact(frame, id, event)])
    }
}

fn activated(session: &SessionId) -> Event {
    Event::FrameActivated(FrameActivated {
        session_id: session.clone(),
    })
}

/// The text, which must not be empty.
fn said<'a>(what: &str, text: &'a str) -> Result<&'a str, Error> {
    match text.trim() {
        "" => Err(Error::new(
            ErrorKind::Usage,
            format!("{what} must not be empty"),
        )),
        text => Ok(text),
    }
}

/// Whoever took the call knows what to do with it.
fn not_ours(call: &Call) -> Error {
    let message = format!("{} is not for the call stack to answer", call.tool().name);
    Error::new(ErrorKind::Internal, message)
}

fn conflict(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, message)
}
