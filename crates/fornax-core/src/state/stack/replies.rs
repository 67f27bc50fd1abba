//! What tools answer: a text for those who read, data for those who compute.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::context::{Cache, Context, explain};
use crate::error::{Error, ErrorKind};
use crate::frame::SessionId;
use crate::ids::FrameId;
use crate::status::FrameStatus;
use crate::tools::{Call, Reply};

use super::super::{Frame, State};
use super::{Invalidation, conflict, tree};

/// What a reply is made of, beside the state.
pub struct Answering<'a> {
    /// The session that called.
    pub session: &'a SessionId,
    /// The ids that the call's new frames were to have.
    pub ids: &'a [FrameId],
    /// What was to be dropped, for `flame_invalidate`.
    pub dropped: Option<&'a Invalidation>,
    /// The contexts that are known.
    pub contexts: &'a mut Cache,
    /// How many tokens a context has where the call does not say.
    pub budget: usize,
}

impl Answering<'_> {
    fn context(
        &mut self,
        state: &State,
        id: FrameId,
        budget: Option<usize>,
    ) -> Result<Arc<Context>, Error> {
        let budget = budget.unwrap_or(self.budget);
        let stamp = state.context_stamp(id);
        let made = self
            .contexts
            .get(id, budget, stamp, || state.context(id, budget));
        made.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no frame {id}")))
    }
}

impl State {
    /// What a call is answered, once it has been carried out.
    ///
    /// # Errors
    /// Where what it is about is not there.
    pub fn reply(&self, call: &Call, mut to: Answering<'_>) -> Result<Reply, Error> {
        let session = to.session;
        let named = |id: &Option<String>| self.frame_of_call(session, id.as_deref());
        match call {
            Call::Push(_) => self.pushed(&mut to),
            Call::Pop(_) => self.popped(&mut to),
            Call::Status(_) => self.standing_of(&mut to),
            Call::SetGoal(set) => self.noted(named(&set.frame_id)?, "has its new goal"),
            Call::AddArtifact(add) => self.noted(named(&add.frame_id)?, "has the artifact"),
            Call::AddDecision(add) => self.noted(named(&add.frame_id)?, "has the decision"),
            Call::ContextInfo(info) => {
                let id = named(&info.frame_id)?;
                let context = to.context(self, id, None)?;
                let before = to.contexts.before(id, to.budget);
                Ok(Reply {
                    text: explain(&context, before.as_deref()),
                    data: json!({
                        "frame": id,
                        "budget": context.budget,
                        "tokens": context.tokens,
                        "estimated": true,
                        "sections": context.sections,
                        "bytes": context.xml.len(),
                        "same_bytes_as_before": before.map(|before| context.shared_prefix(&before)),
                    }),
                })
            }
            Call::ContextPreview(preview) => {
                let id = named(&preview.frame_id)?;
                let context = to.context(self, id, preview.max_tokens)?;
                Ok(Reply {
                    text: context.xml.clone(),
                    data: json!({ "frame": id, "tokens": context.tokens, "budget": context.budget }),
                })
            }
            Call::Plan(_) | Call::PlanChildren(_) => self.planned(&to),
            Call::Activate(activate) => self.began(&mut to, &activate.frame_id),
            Call::Navigate(navigate) => self.began(&mut to, &navigate.frame_id),
            Call::Invalidate(invalidate) => {
                let preview = invalidate.preview;
                to.dropped.map_or_else(
                    || Err(conflict("nothing was dropped")),
                    |dropped| Ok(self.dropped(dropped, preview)),
                )
            }
            Call::Tree(wanted) => self.tree_reply(session, wanted),
            Call::GetState(wanted) => Ok(self.changed_since(session, wanted.since)),
            Call::StopAll(stop) => Ok(Reply {
                text: format!(
                    "Stopped: {}. What was in progress is blocked, its work kept.",
                    stop.reason
                ),
                data: json!({}),
            }),
            Call::Details(details) => {
                let id = self.frame_of_call(session, Some(&details.frame_id))?;
                self.details(id)
            }
            Call::RequestInput(request) => {
                let asked = self.asked_before(session, &request.question);
                let asked = asked.ok_or_else(|| conflict("the question was not asked"))?;
                Ok(Reply {
                    text: asked.answer.clone().unwrap_or_default(),
                    data: json!({ "checkpoint": asked.checkpoint, "answer": asked.answer }),
                })
            }
            Call::CacheClear(clear) => {
                let of = clear.session_id.as_ref().and_then(|id| self.session(id));
                let run = of.map(|own| own.run);
                let in_it = |id: FrameId| {
                    run.is_none_or(|run| self.frames.get(&id).is_some_and(|frame| frame.run == run))
                };
                let count = to.contexts.clear(in_it);
                Ok(Reply {
                    text: format!("{count} contexts forgotten."),
                    data: json!({ "dropped": count }),
                })
            }
            Call::Summarize(_) | Call::CompactionInfo(_) | Call::GetSummary(_) => {
                let (text, data) = self.compaction_reply(session, call)?;
                Ok(Reply { text, data })
            }
            other => Err(Error::new(
                ErrorKind::Internal,
                format!("{} is answered elsewhere", other.tool().name),
            )),
        }
    }

    fn brief(&self, id: FrameId) -> Value {
        let frame = self.frames.get(&id);
        frame.map_or(Value::Null, |frame| {
            json!({
                "id": id,
                "title": frame.spec.title,
                "goal": frame.goal,
                "status": frame.status,
                "parent": frame.parent,
            })
        })
    }

    /// What a push came to: a frame that is worked in from now on, one that is worked on apart, or a
    /// question to a human.
    fn pushed(&self, to: &mut Answering<'_>) -> Result<Reply, Error> {
        let made = to
            .ids
            .first()
            .copied()
            .filter(|id| self.frames.contains_key(id));
        let Some(id) = made else {
            return Ok(self.walled(to.session));
        };
        let frame = self.known_frame(id)?;
        if frame.spec.invocation.is_some() {
            let text = format!(
                "{id} is worked on apart, in a conversation of its own. Push or plan what else can go on \
                 beside it; then end your turn. You are called again with the results."
            );
            return Ok(Reply {
                text,
                data: json!({ "frame": self.brief(id), "apart": true }),
            });
        }
        self.now_in(to, id)
    }

    /// The frame that a session works in now, with its context.
    fn now_in(&self, to: &mut Answering<'_>, id: FrameId) -> Result<Reply, Error> {
        let context = to.context(self, id, None)?;
        let title = self
            .frames
            .get(&id)
            .map_or("", |frame| frame.spec.title.as_str());
        Ok(Reply {
            text: format!("You work in {id} ({title}) now.\n{}", context.xml),
            data: json!({ "frame": self.brief(id), "tokens": context.tokens }),
        })
    }

    /// A limit was reached.
    fn walled(&self, session: &SessionId) -> Reply {
        let run = self.session(session).map(|own| own.run);
        let frames = run.and_then(|run| self.runs.get(&run)).into_iter();
        let asked = frames
            .flat_map(|run| &run.frames)
            .filter_map(|id| self.frames.get(id))
            .flat_map(|frame| &frame.checkpoints)
            .filter(|asked| asked.answer.is_none())
            .max_by_key(|asked| asked.since);
        let checkpoint = asked.map(|asked| &asked.checkpoint);
        let question = checkpoint.map_or("", |checkpoint| checkpoint.question.as_str());
        Reply {
            text: format!(
                "No frame was made. {question} A human was asked for more; go on with what needs no \
                 further frame."
            ),
            data: json!({ "limit": true, "checkpoint": checkpoint }),
        }
    }

    fn popped(&self, to: &mut Answering<'_>) -> Result<Reply, Error> {
        let Some(own) = self.session(to.session) else {
            return Ok(Reply {
                text: "That was your last frame.".to_owned(),
                data: json!({ "frame": null }),
            });
        };
        let active = self.known_frame(own.active)?;
        if active.ends_as.is_some() {
            let text = "Noted. The frame ends with your turn: end it now.";
            return Ok(Reply {
                text: text.to_owned(),
                data: json!({ "frame": self.brief(own.active), "ends": active.ends_as }),
            });
        }
        if active.status.is_settled() {
            return Ok(Reply {
                text: format!(
                    "{} was your last frame; it is {}.",
                    own.active, active.status
                ),
                data: json!({ "frame": self.brief(own.active) }),
            });
        }
        self.now_in(to, own.active)
    }

    fn began(&self, to: &mut Answering<'_>, named: &str) -> Result<Reply, Error> {
        let id = self.frame_of_call(to.session, Some(named))?;
        let frame = self.known_frame(id)?;
        if frame.spec.invocation.is_some()
            && self.session(to.session).is_none_or(|own| own.active != id)
        {
            return Ok(Reply {
                text: format!("{id} is {}; it is worked on apart.", frame.status),
                data: json!({ "frame": self.brief(id), "apart": true }),
            });
        }
        self.now_in(to, id)
    }

    fn noted(&self, id: FrameId, what: &str) -> Result<Reply, Error> {
        self.known_frame(id)?;
        Ok(Reply {
            text: format!("{id} {what}."),
            data: json!({ "frame": self.brief(id) }),
        })
    }

    fn planned(&self, to: &Answering<'_>) -> Result<Reply, Error> {
        let made = to.ids.iter().filter(|id| self.frames.contains_key(id));
        let made: Vec<FrameId> = made.copied().collect();
        if made.is_empty() {
            return Ok(self.walled(to.session));
        }
        let line = |id: &FrameId| {
            let frame = self.known_frame(*id)?;
            let begins = match frame.spec.invocation {
                Some(_) => "it begins by itself",
                None => "begin it with flame_activate",
            };
            Ok(format!("{id} ({}): {begins}", frame.spec.title))
        };
        let lines = made.iter().map(line).collect::<Result<Vec<_>, Error>>()?;
        let frames: Vec<Value> = made.iter().map(|id| self.brief(*id)).collect();
        Ok(Reply {
            text: format!("Planned:\n{}", lines.join("\n")),
            data: json!({ "frames": frames }),
        })
    }

    fn dropped(&self, dropped: &Invalidation, preview: bool) -> Reply {
        let verb = if preview { "Would drop" } else { "Dropped" };
        let list = |ids: &[FrameId]| {
            let named = ids.iter().map(|id| {
                let title = self
                    .frames
                    .get(id)
                    .map_or("", |frame| frame.spec.title.as_str());
                format!("{id} ({title})")
            });
            named.collect::<Vec<_>>().join(", ")
        };
        let mut text = format!("{verb} {}.", list(&[dropped.frame]));
        for (what, ids) in [
            ("With it", &dropped.cascaded),
            ("Completed before, flagged as stale", &dropped.stale),
        ] {
            if !ids.is_empty() {
                text.push_str(&format!("\n{what}: {}.", list(ids)));
            }
        }
        if !dropped.tasks.is_empty() {
            let tasks: Vec<String> = dropped.tasks.iter().map(ToString::to_string).collect();
            text.push_str(&format!("\nTasks stopped: {}.", tasks.join(", ")));
        }
        Reply {
            text,
            data: json!({ "preview": preview, "invalidation": dropped }),
        }
    }

    /// `flame_status`
    fn standing_of(&self, to: &mut Answering<'_>) -> Result<Reply, Error> {
        let Some(own) = self.session(to.session) else {
            return Ok(Reply {
                text: format!(
                    "{} works in no frame yet. Push one: flame_push.",
                    to.session
                ),
                data: json!({ "session": to.session, "active": null }),
            });
        };
        let mut path = self.path_to(own.active);
        path.reverse();
        let context = to.context(self, own.active, None)?;
        let mut text = String::new();
        for (depth, id) in path.iter().enumerate() {
            let Some(frame) = self.frames.get(id) else {
                continue;
            };
            let here = if *id == own.active {
                "  <- you work here"
            } else {
                ""
            };
            let indent = "  ".repeat(depth);
            text.push_str(&format!("{indent}{}{here}\n", tree::line(*id, frame)));
        }
        let counts = self.runs.get(&own.run).map(|run| run.counts);
        let counts_text = counts.map(|counts| {
            format!(
                "{}: {} planned, {} in progress, {} completed, {} failed, {} blocked, {} invalidated. ",
                own.run,
                counts.planned,
                counts.in_progress,
                counts.completed,
                counts.failed,
                counts.blocked,
                counts.invalidated
            )
        });
        text.push_str(&counts_text.unwrap_or_default());
        text.push_str(&format!(
            "Context: about {} of {} tokens.",
            context.tokens, context.budget
        ));
        let path: Vec<Value> = path.iter().map(|id| self.brief(*id)).collect();
        Ok(Reply {
            text,
            data: json!({
                "session": to.session,
                "run": own.run,
                "active": self.brief(own.active),
                "path": path,
                "advice": self.frame_view(own.active).and_then(|view| view.advice),
                "counts": counts,
                "context": { "tokens": context.tokens, "budget": context.budget, "estimated": true },
            }),
        })
    }

    /// A frame and all around it, the frame first.
    pub(super) fn path_to(&self, id: FrameId) -> Vec<FrameId> {
        let mut path = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next
            && let Some(frame) = self.frames.get(&id)
        {
            path.push(id);
            next = frame.parent;
        }
        path
    }

    /// `flame_get_state`: every frame of the session's run, or of all runs where it has none; of
    /// those only what changed since the cursor, where that is of this life of the state.
    fn changed_since(&self, session: &SessionId, since: Option<u64>) -> Reply {
        let run = self.session(session).map(|own| own.run);
        let since = since.filter(|since| *since <= self.version);
        let wanted = |frame: &Frame| {
            run.is_none_or(|run| frame.run == run)
                && since.is_none_or(|since| frame.version > since)
        };
        let mut ids: Vec<FrameId> = self
            .frames
            .iter()
            .filter(|(_, frame)| wanted(frame))
            .map(|(id, _)| *id)
            .collect();
        ids.sort_unstable();
        let frames: Vec<_> = ids.iter().filter_map(|id| self.frame_view(*id)).collect();
        let data = json!({ "cursor": self.version, "whole": since.is_none(), "frames": frames });
        Reply {
            text: data.to_string(),
            data,
        }
    }

    fn details(&self, id: FrameId) -> Result<Reply, Error> {
        let detail = self.frame_detail(id);
        let detail = detail
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no frame {id}")))?;
        let mut text = format!(
            "{id}: {}\nstatus: {}\ngoal: {}\n",
            detail.frame.title, detail.frame.status, detail.goal
        );
        let criteria = detail.success_criteria.clone().unwrap_or_default();
        let reason = detail.frame.reason.clone().unwrap_or_default();
        for (what, said) in [
            ("criteria", &criteria),
            ("reason", &reason),
            ("results", &detail.results),
            ("in short", &detail.results_compact),
        ] {
            if !said.is_empty() {
                text.push_str(&format!("{what}: {said}\n"));
            }
        }
        for decision in &detail.decisions {
            let reason = decision.reason.as_deref().unwrap_or("no reason given");
            text.push_str(&format!("decision: {} ({reason})\n", decision.decision));
        }
        for artifact in &detail.artifacts {
            text.push_str(&format!("artifact: {}\n", artifact.path));
        }
        for child in detail
            .children
            .iter()
            .filter_map(|id| Some((id, self.frames.get(id)?)))
        {
            text.push_str(&format!("child: {}\n", tree::line(*child.0, child.1)));
        }
        let data = serde_json::to_value(&detail).unwrap_or_default();
        Ok(Reply { text, data })
    }
}

impl FrameStatus {
    /// The order in which a tree shows brothers: those first that matter now.
    pub(super) fn rank(self) -> u8 {
        match self {
            FrameStatus::InProgress => 0,
            FrameStatus::Blocked => 1,
            FrameStatus::Failed => 2,
            FrameStatus::Planned => 3,
            FrameStatus::Completed => 4,
            FrameStatus::Invalidated => 5,
        }
    }
}
