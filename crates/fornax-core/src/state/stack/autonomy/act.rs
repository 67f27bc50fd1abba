//! What is done by itself, and undoing it.

use crate::autonomy::{Advice, Move, Trace};
use crate::error::Error;
use crate::event::{ArtifactAdded, Empty, Event, StateReset};
use crate::frame::{ByItself, FrameDecision, SessionId};
use crate::ids::FrameId;
use crate::status::FrameStatus;
use crate::tools::{Level, PopStatus};

use super::super::super::decide::frame_fact;
use super::super::super::{Fact, Frame, Session, State};
use super::super::create::New;
use super::super::{activated, conflict};
use super::Suggestion;

/// The longest goal that is made of a prompt, in characters.
const GOAL_MAX: usize = 600;

/// What the signs in a session's trace call for.
#[derive(Debug, Clone, PartialEq)]
pub struct Auto {
    session: SessionId,
    /// The frame that the session stands in.
    frame: FrameId,
    act: Act,
    why: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Act {
    Push { goal: String },
    Pop { status: PopStatus, results: String },
}

impl Auto {
    /// Whether it makes a frame.
    #[must_use]
    pub fn pushes(&self) -> bool {
        matches!(self.act, Act::Push { .. })
    }
}

impl State {
    /// What is to be done in a session by itself now: a push where the goal has changed, a pop where
    /// the work is done or does not move. Only where frames are worked on in the conversation itself,
    /// and never a task's own frame or a run's root.
    #[must_use]
    pub fn auto(&self, session: &SessionId) -> Option<Auto> {
        let settings = &self.autonomy.settings;
        if !settings.enabled || settings.level != Level::Auto {
            return None;
        }
        let own = self.session(session)?;
        let frame = self.frames.get(&own.active)?;
        if frame.status != FrameStatus::InProgress || self.worked_apart(session).is_some() {
            return None;
        }
        let trace = &self.autonomy.watched.get(session)?.trace;
        let is_here = |known: &&Suggestion| known.session == *session && known.frame == own.active;
        let mut pending: Vec<&Advice> = self
            .autonomy
            .pending
            .iter()
            .filter(is_here)
            .map(|known| &known.advice)
            .collect();
        pending.sort_by_key(|advice| std::cmp::Reverse(advice.score));
        let act = |advice: &&Advice| match advice.act {
            Move::Push => push(advice, trace),
            Move::Pop => self
                .pops_by_itself(&own, frame)
                .then(|| pop(advice, trace))?,
        };
        let (advice, act) = pending
            .into_iter()
            .find_map(|advice| Some((advice, act(&advice)?)))?;
        Some(Auto {
            session: session.clone(),
            frame: own.active,
            act,
            why: advice.why(),
        })
    }

    fn pops_by_itself(&self, own: &Session, frame: &Frame) -> bool {
        let above = frame.parent.and_then(|id| self.frames.get(&id));
        let goes_on = above.is_some_and(|above| above.status == FrameStatus::InProgress);
        frame.is_held() && own.home != own.active && goes_on && frame.open_children == 0
    }

    pub(in crate::state) fn decide_auto(
        &self,
        auto: &Auto,
        id: FrameId,
    ) -> Result<Vec<Fact>, Error> {
        let Auto {
            session,
            frame,
            act,
            why,
        } = auto;
        let own = self.standing(session)?;
        let here = self.known_frame(*frame)?;
        if own.active != *frame || here.status != FrameStatus::InProgress {
            return Err(conflict(format!(
                "{session} does not work in {frame} any more"
            )));
        }
        match act {
            Act::Push { goal } => {
                let new = New {
                    goal,
                    ..New::default()
                };
                let mut facts = self.decide_push(session, &new, &[id])?;
                let pushed = |fact: &Fact| {
                    fact.frame == Some(id) && matches!(fact.event, Event::FrameCreated(_))
                };
                if !facts.first().is_some_and(pushed) {
                    return Err(conflict(format!("{session} may push no further frame")));
                }
                facts.push(Fact {
                    run: own.run,
                    frame: Some(id),
                    task: None,
                    event: decided("pushed", id, why, ByItself::Pushed),
                });
                Ok(facts)
            }
            Act::Pop { status, results } => {
                if !self.pops_by_itself(&own, here) {
                    return Err(conflict(format!("{frame} does not end by itself")));
                }
                let mut facts = self.decide_pop(session, *frame, *status, results, "")?;
                let nth = u32::try_from(here.history.len() + 1).unwrap_or(u32::MAX);
                let mark = ByItself::Popped {
                    session: session.clone(),
                    nth,
                };
                facts.push(frame_fact(
                    here,
                    *frame,
                    decided("popped", *frame, why, mark),
                ));
                Ok(facts)
            }
        }
    }

    /// Undoes what was last done in a frame by itself.
    pub(in crate::state) fn decide_undo(&self, id: FrameId) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        let mut done = Vec::new();
        for mark in frame.decisions.iter().filter_map(|d| d.by_itself.as_ref()) {
            match mark {
                ByItself::Undone => {
                    done.pop();
                }
                mark => done.push(mark),
            }
        }
        let nothing = || {
            conflict(format!(
                "nothing was done in {id} by itself that can be undone"
            ))
            .with_help("the decisions of a frame tell: `fornax frame details ID`")
        };
        let mut facts = match done.last() {
            Some(ByItself::Pushed) => {
                self.decide_invalidate(id, "a person undid that it was pushed by itself")?
            }
            Some(ByItself::Popped { session, nth }) if frame.history.len() == *nth as usize => {
                self.undo_pop(id, frame, session)?
            }
            _ => return Err(nothing()),
        };
        let undone = Event::DecisionAdded(FrameDecision {
            decision: "A person undid what was done here by itself".to_owned(),
            by_itself: Some(ByItself::Undone),
            ..FrameDecision::default()
        });
        facts.push(frame_fact(frame, id, undone));
        Ok(facts)
    }

    /// Puts a frame back in progress, with the session in it that worked there, where that has not
    /// gone elsewhere since.
    fn undo_pop(
        &self,
        id: FrameId,
        frame: &Frame,
        session: &SessionId,
    ) -> Result<Vec<Fact>, Error> {
        let parent = frame
            .parent
            .and_then(|id| Some((id, self.frames.get(&id)?)));
        let Some((parent_id, _)) =
            parent.filter(|(_, above)| above.status == FrameStatus::InProgress)
        else {
            return Err(conflict(format!("the frame above {id} has ended since")));
        };
        let built_on = frame.dependants.iter().find(|other| {
            self.frames.get(other).is_some_and(|other_frame| {
                let began = matches!(
                    other_frame.status,
                    FrameStatus::InProgress | FrameStatus::Completed | FrameStatus::Failed
                );
                began || self.has_open_task(**other, other_frame)
            })
        });
        if let Some(other) = built_on {
            return Err(conflict(format!("{other} was built on what came of {id}"))
                .with_help("push another frame for what is missing"));
        }
        let mut events = match frame.status {
            FrameStatus::Completed => {
                let reset = StateReset {
                    reason: format!("undo of {id}"),
                    frames: vec![id],
                };
                let artifacts = frame.artifacts.iter().cloned();
                // Planned again, it would be without the files that came of it.
                let again = artifacts.map(|artifact| {
                    Event::ArtifactAdded(ArtifactAdded {
                        artifact,
                        description: None,
                    })
                });
                let mut events = vec![Event::StateReset(reset), Event::FrameStarted(Empty {})];
                events.extend(again);
                events
            }
            _ => vec![Event::FrameUnblocked(Empty {})],
        };
        if self
            .session(session)
            .is_some_and(|own| own.active == parent_id)
        {
            events.push(activated(session));
        }
        Ok(events
            .into_iter()
            .map(|event| frame_fact(frame, id, event))
            .collect())
    }
}

fn push(advice: &Advice, trace: &Trace) -> Option<Act> {
    let prompt = trace.signals().prompt.trim();
    let changed = advice.is_goal_change() && !prompt.is_empty();
    changed.then(|| Act::Push {
        goal: prompt.chars().take(GOAL_MAX).collect(),
    })
}

fn pop(advice: &Advice, trace: &Trace) -> Option<Act> {
    let mut results = format!("Ended by itself: {}.", advice.why());
    let lists = [
        ("Passed", trace.passed().collect::<Vec<_>>()),
        ("Changed", trace.files().take(20).collect()),
    ];
    for (what, items) in lists {
        if !items.is_empty() {
            results = format!("{results} {what}: {}.", items.join(", "));
        }
    }
    Some(Act::Pop {
        status: advice.status?,
        results,
    })
}

fn decided(what: &str, id: FrameId, why: &str, mark: ByItself) -> Event {
    Event::DecisionAdded(FrameDecision {
        decision: format!("Fornax {what} this frame by itself; `fornax frame undo {id}` undoes it"),
        reason: Some(why.to_owned()),
        by_itself: Some(mark),
        ..FrameDecision::default()
    })
}
