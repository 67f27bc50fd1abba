//! Conversations that are shortened: what their summaries are to keep, and what became of them.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::agent::OrderKind;
use crate::context::text::fit;
use crate::context::tokens::estimate;
use crate::error::Error;
use crate::event::{Event, FrameUpdated};
use crate::frame::{CompactionKind, SessionId};
use crate::ids::{FrameId, TaskId};
use crate::status::FrameStatus;
use crate::tools::Call;

use super::super::decide::frame_fact;
use super::super::{Fact, Frame, Shortened, State};
use super::conflict;
use super::reports::pending_kind;

/// What Fornax adds to an agent's compaction prompt has at most so many tokens.
const GUIDE_TOKENS: usize = 1_500;
/// So many has one text of those that must be in it, ...
const TEXT_TOKENS: usize = 220;
/// ... and one line of its lists.
const LINE_TOKENS: usize = 80;

const HEAD: &str =
    "Keep in the summary what this frame of work needs, and say where the work stands:";

impl State {
    /// What an agent's compaction prompt says beside the agent's own words: which frame its session
    /// works in, what the frame above needs of it, what was decided and made, and what came of the
    /// frames within it.
    #[must_use]
    pub fn compaction_guide(&self, session: &SessionId) -> Option<String> {
        let own = self.session(session)?;
        let frame = self.frames.get(&own.active)?;
        Some(self.guide(own.active, frame, frame.summary_wanted.as_deref()))
    }

    fn guide(&self, id: FrameId, frame: &Frame, note: Option<&str>) -> String {
        let text = |text: &str| fit(text, TEXT_TOKENS).0;
        let mut guide = format!("{HEAD}\n<frame id=\"{id}\">\n");
        let mut say = |what: &str, said: &str| {
            if !said.trim().is_empty() {
                // Writing into a string does not fail.
                let _ = writeln!(guide, "{what}: {}", text(said));
            }
        };
        say("Title", &frame.spec.title);
        say("Goal", &frame.goal);
        let criteria = frame.spec.success_criteria.as_deref();
        say("It is done when", criteria.unwrap_or_default());
        let parent = frame.parent.and_then(|id| self.frames.get(&id));
        say(
            "The frame above needs it for",
            parent.map_or("", |parent| &parent.goal),
        );
        say("Heed", note.unwrap_or_default());
        // The newest first: where there is no room for all, the older ones go.
        let children = frame.children.iter().rev();
        let children = children.filter_map(|id| Some((id, self.frames.get(id)?)));
        let results = children.filter(|(_, child)| child.status == FrameStatus::Completed);
        let results = results.map(|(id, child)| {
            let result = match child.results_compact.trim() {
                "" => child.results.as_str(),
                compact => compact,
            };
            format!("{id} {}: {result}", child.spec.title)
        });
        let decisions = frame.decisions.iter().rev();
        let decisions = decisions.map(|decision| match &decision.reason {
            Some(reason) => format!("{} ({reason})", decision.decision),
            None => decision.decision.clone(),
        });
        let artifacts = frame.artifacts.iter().rev().map(|made| made.path.clone());
        let lists: [(&str, Vec<String>); 3] = [
            ("What came of the frames within it", results.collect()),
            ("Decided", decisions.collect()),
            ("Made", artifacts.collect()),
        ];
        const TAIL: &str = "</frame>";
        let mut lists_left = lists.len();
        for (what, lines) in lists {
            let room = GUIDE_TOKENS.saturating_sub(estimate(&guide) + estimate(TAIL) + 2);
            guide += &list(what, &lines, room / lists_left);
            lists_left -= 1;
        }
        guide + TAIL
    }

    /// Somebody wants a frame's conversation summed up: by its task's agent at once where that can be
    /// told so, else when it is shortened next.
    pub(super) fn decide_summarize(
        &self,
        session: &SessionId,
        id: FrameId,
        note: &str,
    ) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if frame.status != FrameStatus::InProgress {
            return Err(conflict(format!("{id} is {}", frame.status))
                .with_help("only a frame in progress has a conversation to sum up"));
        }
        let updated = FrameUpdated {
            summary_wanted: Some(note.trim().to_owned()),
            ..FrameUpdated::default()
        };
        let mut facts = vec![frame_fact(frame, id, Event::FrameUpdated(updated))];
        if let Some((task, guide)) = self.compacts_now(session, id, note) {
            facts.extend(self.decide_tell(task, &OrderKind::Compact { guide })?);
        }
        Ok(facts)
    }

    /// The task whose agent can shorten, now, the conversation in which a frame is worked on, and
    /// what it is to keep.
    fn compacts_now(
        &self,
        session: &SessionId,
        id: FrameId,
        note: &str,
    ) -> Option<(TaskId, Option<String>)> {
        let task = self.conversation_of(session, id)?;
        let frame = self.frames.get(&task.frame)?;
        let invocation = frame.spec.invocation_at(self.tasks.get(&task)?.fallback)?;
        let driver = invocation.driver.filter(|driver| driver.compacts())?;
        let guide = self.guide(id, self.frames.get(&id)?, Some(note));
        let order = OrderKind::Compact {
            guide: driver.compacts_with_a_guide().then_some(guide),
        };
        self.decide_tell(task, &order).ok()?;
        match order {
            OrderKind::Compact { guide } => Some((task, guide)),
            _ => None,
        }
    }

    /// The task in whose conversation a frame is worked on now.
    fn conversation_of(&self, session: &SessionId, id: FrameId) -> Option<TaskId> {
        let stands =
            |session: &SessionId| self.session(session).is_some_and(|own| own.active == id);
        if let Some(task) = session.task().filter(|_| stands(session)) {
            return Some(task);
        }
        let newest = self.frames.get(&id)?.newest_task(id);
        let mut there = self.sessions.iter().filter(|(_, own)| own.active == id);
        newest
            .filter(|task| stands(&SessionId::of_task(*task)))
            .or_else(|| there.find_map(|(session, _)| session.task()))
    }

    /// How often a session's conversation was shortened, as far as is known: the next one is news.
    #[must_use]
    pub fn compactions(&self, session: &SessionId) -> usize {
        self.history(session).count()
    }

    fn history(&self, session: &SessionId) -> impl Iterator<Item = (FrameId, &Shortened)> {
        let run = self
            .session(session)
            .and_then(|own| self.runs.get(&own.run));
        let frames = run.into_iter().flat_map(|run| &run.frames);
        let frames = frames.filter_map(|id| Some((*id, self.frames.get(id)?)));
        let all = frames.flat_map(|(id, frame)| frame.summaries.iter().map(move |one| (id, one)));
        all.filter(move |(_, one)| one.session == *session)
    }

    /// What `flame_summarize`, `flame_compaction_info` and `flame_get_summary` answer; the first one
    /// when it has been carried out.
    ///
    /// # Errors
    /// Where the frame or the session is not known.
    pub fn compaction_reply(
        &self,
        session: &SessionId,
        call: &Call,
    ) -> Result<(String, Value), Error> {
        match call {
            Call::Summarize(call) => {
                let id = self.frame_of_call(session, call.frame_id.as_deref())?;
                self.summarize_reply(session, id)
            }
            Call::CompactionInfo(call) => {
                let of = call.session_id.as_ref().unwrap_or(session);
                self.compaction_info(of)
            }
            Call::GetSummary(call) => {
                let id = self.frame_of_call(session, call.frame_id.as_deref())?;
                self.summary_reply(id)
            }
            other => Err(super::not_ours(other)),
        }
    }

    fn summarize_reply(&self, session: &SessionId, id: FrameId) -> Result<(String, Value), Error> {
        let frame = self.known_frame(id)?;
        let task = self.conversation_of(session, id);
        let order = task.and_then(|task| self.tasks.get(&task)?.orders.last());
        let started = order.is_some_and(|order| matches!(order.kind, OrderKind::Compact { .. }));
        let text = match started {
            true => format!("The conversation in {id} is being summed up."),
            false => format!(
                "Noted: the next time the conversation in {id} is shortened, it is for a summary. \
                 Its agent cannot be told to begin now."
            ),
        };
        let data = json!({
            "frame": id,
            "pending": pending_kind(frame),
            "note": frame.summary_wanted,
            "started": started,
        });
        Ok((text, data))
    }

    fn compaction_info(&self, session: &SessionId) -> Result<(String, Value), Error> {
        let own = self.standing(session)?;
        let frame = self.known_frame(own.active)?;
        let pending = pending_kind(frame);
        let mut text = match pending {
            Some(kind) => format!("Pending: {}, in {}.", word(kind), own.active),
            None => "Nothing is pending.".to_owned(),
        };
        if let Some(note) = frame
            .summary_wanted
            .as_deref()
            .filter(|note| !note.is_empty())
        {
            let _ = write!(text, " It is to heed: {note}");
        }
        let mut history = Vec::new();
        for (id, one) in self.history(session) {
            let Shortened { at, summary, .. } = one;
            let _ = write!(
                text,
                "\n{at}  {:16} {id}  {} -> {} tokens",
                word(summary.kind),
                count(summary.tokens_before),
                count(summary.tokens_after)
            );
            history.push(json!({
                "frame": id,
                "at": at,
                "kind": summary.kind,
                "tokens_before": summary.tokens_before,
                "tokens_after": summary.tokens_after,
                "has_text": !summary.text.trim().is_empty(),
            }));
        }
        if history.is_empty() {
            text += " Its conversation has not been shortened yet.";
        }
        let data = json!({
            "session": session,
            "frame": own.active,
            "pending": pending,
            "note": frame.summary_wanted,
            "history": history,
        });
        Ok((text, data))
    }

    fn summary_reply(&self, id: FrameId) -> Result<(String, Value), Error> {
        let frame = self.known_frame(id)?;
        let told = frame.summaries.iter().rev();
        let told = told
            .filter(|one| !one.summary.text.trim().is_empty())
            .map(|one| &one.summary)
            .next();
        let why = match (&told, frame.summaries.len(), &frame.summary_wanted) {
            (Some(_), ..) => None,
            (None, 0, Some(_)) => Some(format!(
                "{id} has no summary yet: one is wanted, and its conversation has not been \
                 shortened since."
            )),
            (None, 0, None) => Some(format!(
                "{id} has no summary: its conversation was never shortened. flame_summarize asks \
                 for one."
            )),
            (None, ..) => Some(format!(
                "{id} has no summary: its conversation was shortened, but its agent does not tell \
                 what to."
            )),
        };
        let text = match (told, &why) {
            (Some(summary), _) => summary.text.clone(),
            (None, why) => why.clone().unwrap_or_default(),
        };
        Ok((
            text,
            json!({ "frame": id, "summary": told, "why_none": why }),
        ))
    }
}

/// A list with its heading, in so many tokens; what there is no room for is counted.
fn list(what: &str, lines: &[String], room: usize) -> String {
    let head = format!("{what}, newest first:\n");
    let more = |left: usize| match left {
        0 => String::new(),
        left => format!("- and {left} older ones\n"),
    };
    let mut room = room.saturating_sub(estimate(&head) + estimate(&more(lines.len())) + 2);
    let mut text = head;
    let mut told = 0;
    for line in lines {
        // A line of its own text: what is in it cannot begin another.
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = format!("- {}\n", fit(&line, LINE_TOKENS).0);
        let Some(rest) = room.checked_sub(estimate(&line) + 1) else {
            break;
        };
        room = rest;
        text += &line;
        told += 1;
    }
    match told {
        0 => String::new(),
        told => text + &more(lines.len() - told),
    }
}

fn word(kind: CompactionKind) -> &'static str {
    match kind {
        CompactionKind::Overflow => "overflow",
        CompactionKind::FrameCompletion => "frame_completion",
        CompactionKind::ManualSummary => "manual_summary",
    }
}

fn count(tokens: Option<u64>) -> String {
    tokens.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string())
}
