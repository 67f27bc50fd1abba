//! Subagents: child sessions of agents, and the frames that they have.
//!
//! What is only seen of one (that it is there, how many messages it wrote) is not from the journal:
//! agents' hosts tell it again after a restart. A frame that comes of it is.

use std::collections::{BTreeMap, HashMap};

use crate::agent::Usage;
use crate::event::{Empty, Event, FrameUpdated};
use crate::frame::{Report, SessionId};
use crate::ids::{FrameId, RunId, TaskId};
use crate::status::FrameStatus;
use crate::subagents::SubagentSettings;
use crate::time::Time;
use crate::tools::PopStatus;

use super::super::decide::frame_fact;
use super::super::{Fact, Frame, State};
use super::create::New;
use super::{activated, moves};

/// What a subagent is called of which nobody said what it is to do.
const UNTITLED: &str = "A subagent";

/// The subagents.
#[derive(Debug, Clone, Default)]
pub(in crate::state) struct Subagents {
    pub settings: SubagentSettings,
    /// Those that were seen.
    pub seen: BTreeMap<SessionId, Subagent>,
    /// The frames of those that have one. From the journal.
    pub frames: HashMap<SessionId, FrameId>,
}

/// What was seen of a subagent.
#[derive(Debug, Clone, PartialEq)]
pub struct Subagent {
    /// Its run.
    pub run: RunId,
    /// The session that began it.
    pub parent: SessionId,
    /// What it is to do.
    pub title: String,
    /// When it began.
    pub began: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// Whether it did what it should, once it has ended.
    pub success: bool,
    /// How many messages it wrote.
    pub messages: u32,
    /// What its model calls used.
    pub usage: Usage,
    /// Since when it does nothing, and its last message.
    idle: Option<(Time, String)>,
    /// Whether it was looked at when it had lived long enough for a frame.
    looked_at: bool,
}

impl Subagents {
    pub fn forget(&mut self, run: RunId) {
        self.seen.retain(|_, seen| seen.run != run);
    }

    pub fn forget_frame(&mut self, frame: &Frame) {
        if let Some(child) = frame
            .made_by
            .as_ref()
            .filter(|_| frame.subagent_of.is_some())
        {
            self.frames.remove(child);
        }
    }
}

impl State {
    /// When subagents have frames.
    #[must_use]
    pub fn subagent_settings(&self) -> &SubagentSettings {
        &self.subagents.settings
    }

    /// Changes when subagents have frames, from now on.
    pub fn set_subagent_settings(&mut self, settings: SubagentSettings) {
        self.subagents.settings = settings;
        for seen in self.subagents.seen.values_mut() {
            seen.looked_at = false;
        }
    }

    /// Takes over what another state had seen of subagents, which no journal tells.
    pub(super) fn keep_subagents_of(&mut self, other: &mut State) {
        let other = std::mem::take(&mut other.subagents);
        self.subagents.settings = other.settings;
        self.subagents.seen = other.seen;
    }

    /// The frame of a subagent's session.
    #[must_use]
    pub fn subagent_frame(&self, child: &SessionId) -> Option<FrameId> {
        self.subagents.frames.get(child).copied()
    }

    /// What was seen of subagents, and not forgotten since.
    pub fn subagents_seen(&self) -> impl Iterator<Item = (&SessionId, &Subagent)> {
        self.subagents.seen.iter()
    }

    /// The task in whose conversation a session is, its own or that of a subagent.
    #[must_use]
    pub fn task_behind(&self, session: &SessionId) -> Option<TaskId> {
        let mut session = session;
        // A subagent's frame was made in its parent's: the way up ends.
        loop {
            if let Some(task) = session.task() {
                return Some(task);
            }
            let frame = self.frames.get(self.subagents.frames.get(session)?)?;
            session = frame.subagent_of.as_ref()?;
        }
    }

    /// The session for which one acts: itself, where it stands in a frame; a subagent without one acts
    /// for the session that began it.
    #[must_use]
    pub fn acting_for(&self, session: &SessionId) -> Option<SessionId> {
        self.standing_at_or_above(session)
            .map(|(session, _)| session)
    }

    /// The last message of a subagent that does nothing.
    pub(super) fn last_word(&self, child: &SessionId) -> Option<&str> {
        let idle = self.subagents.seen.get(child)?.idle.as_ref();
        idle.map(|(_, said)| said.as_str())
    }

    /// The session that stands in a frame, on the way from a session to the one that began it.
    fn standing_at_or_above(&self, session: &SessionId) -> Option<(SessionId, FrameId)> {
        let mut session = session.clone();
        for _ in 0..=self.subagents.seen.len() {
            if let Some(own) = self.session(&session) {
                return Some((session, own.active));
            }
            session = self.subagents.seen.get(&session)?.parent.clone();
        }
        None
    }

    /// The session that a new one is a subagent of, going by its title: the only one that its agent
    /// has under way.
    #[must_use]
    pub fn parent_by_title(&self, session: &SessionId, title: &str) -> Option<SessionId> {
        let agent = session.agent()?;
        let settings = &self.subagents.settings;
        if !settings.enabled || self.session(session).is_some() || !settings.matches(title) {
            return None;
        }
        let mut others = self.sessions.iter().filter(|(other, own)| {
            let open = self
                .runs
                .get(&own.run)
                .is_some_and(|run| run.ended.is_none());
            other.agent() == Some(agent) && open && !self.subagents.frames.contains_key(*other)
        });
        let only = others.next()?.0.clone();
        others.next().is_none().then_some(only)
    }

    /// Takes in what was seen of a subagent.
    pub(in crate::state) fn see_subagent(
        &mut self,
        now: Time,
        session: &SessionId,
        report: &Report,
    ) {
        let (parent, child, title, began) = match report {
            Report::ChildBegan {
                child,
                title,
                began,
            } => (session.clone(), child, title.as_str(), *began),
            Report::ChildWorked { child, .. }
            | Report::ChildIdle { child, .. }
            | Report::ChildEnded { child, .. } => (session.clone(), child, "", None),
            Report::Began { title } => match self.parent_by_title(session, title) {
                Some(parent) => (parent, session, title.as_str(), None),
                None => return,
            },
            _ => return,
        };
        let Some(run) = self.may_have_subagent(&parent, child) else {
            return;
        };
        let seen = self.subagents.seen.entry(child.clone());
        let seen = seen.or_insert_with(|| Subagent {
            run,
            parent,
            title: String::new(),
            began: began.map_or(now, |began| began.min(now)),
            ended: None,
            success: false,
            messages: 0,
            usage: Usage::default(),
            idle: None,
            looked_at: false,
        });
        if seen.title.is_empty() {
            title.trim().clone_into(&mut seen.title);
        }
        let mut worked = false;
        let settings = &self.subagents.settings;
        seen.looked_at |= now.ms_since(seen.began) >= settings.min_duration_ms;
        match report {
            Report::ChildWorked {
                messages, usage, ..
            } => {
                seen.messages = seen.messages.saturating_add(*messages);
                seen.usage.add(usage);
                // Usage may be told late; a message says that it works.
                if *messages > 0 {
                    seen.idle = None;
                }
                worked = true;
            }
            Report::ChildIdle { result, .. } => {
                seen.idle.get_or_insert_with(|| (now, result.clone()));
            }
            Report::ChildEnded { success, .. } => {
                seen.ended = Some(now);
                seen.success = *success;
            }
            // It was taken up again.
            _ => (seen.ended, seen.idle) = (None, None),
        }
        if worked && let Some(id) = self.subagent_frame(child) {
            let around = self.frame_around_subagent(id);
            self.news.extend(std::iter::once(id).chain(around));
        }
    }

    /// The run that a session's subagent is in; none where the session can have no subagent, or not
    /// this one: a conversation with a run of its own is nobody's.
    fn may_have_subagent(&self, parent: &SessionId, child: &SessionId) -> Option<RunId> {
        let (_, frame) = self.standing_at_or_above(parent)?;
        let of_its_own =
            self.sessions.contains_key(child) && !self.subagents.frames.contains_key(child);
        if parent == child || child.task().is_some() || of_its_own {
            return None;
        }
        let working = |task: TaskId| {
            let task = self.tasks.get(&task);
            task.is_some_and(|task| task.state.has_process())
        };
        if self.root_task(parent).is_some_and(|task| !working(task)) {
            return None;
        }
        Some(self.frames.get(&frame)?.run)
    }

    /// As [`State::task_behind`], also for subagents without a frame.
    fn root_task(&self, session: &SessionId) -> Option<TaskId> {
        let (stands, _) = self.standing_at_or_above(session)?;
        self.task_behind(&stands)
    }

    /// The subagents of which no end was seen.
    fn subagents_at_work(&self) -> impl Iterator<Item = (&SessionId, &Subagent)> {
        let seen = self.subagents.seen.iter();
        seen.filter(|(_, seen)| seen.ended.is_none())
    }

    /// When something becomes due for a subagent by itself.
    pub(in crate::state) fn subagents_due(&self) -> Option<Time> {
        let settings = &self.subagents.settings;
        let due = self.subagents_at_work().flat_map(|(child, seen)| {
            let waits =
                settings.enabled && !seen.looked_at && !self.subagents.frames.contains_key(child);
            let lived = waits.then(|| seen.began.plus_ms(settings.min_duration_ms));
            let idle = seen
                .idle
                .as_ref()
                .filter(|_| settings.auto_complete_on_idle);
            let rested = idle.map(|(since, _)| since.plus_ms(settings.idle_delay_ms));
            lived.into_iter().chain(rested)
        });
        due.min()
    }

    /// What is to be reported now because time has passed: subagents that have lived long enough for
    /// a frame, and those that have done nothing for so long that they have ended. Each is to be
    /// reported for the session beside it.
    #[must_use]
    pub fn due_reports(&self, now: Time) -> Vec<(SessionId, Report)> {
        if self.subagents_due().is_none_or(|due| due > now) {
            return Vec::new();
        }
        let settings = &self.subagents.settings;
        let due = self.subagents_at_work().filter_map(|(child, seen)| {
            let idle = seen.idle.as_ref().filter(|(since, _)| {
                settings.auto_complete_on_idle && since.plus_ms(settings.idle_delay_ms) <= now
            });
            let report = match idle {
                Some((_, result)) => Report::ChildEnded {
                    child: child.clone(),
                    success: true,
                    result: result.clone(),
                },
                None if seen.looked_at => return None,
                None => Report::ChildWorked {
                    child: child.clone(),
                    messages: 0,
                    usage: Usage::default(),
                },
            };
            Some((seen.parent.clone(), report))
        });
        due.collect()
    }

    /// A subagent has its frame, or what it used is written down, as it is time.
    pub(super) fn decide_subagent(&self, now: Time, child: &SessionId, id: FrameId) -> Vec<Fact> {
        let Some(seen) = self.subagents.seen.get(child) else {
            return Vec::new();
        };
        if let Some(own) = self.subagent_frame(child) {
            return self.late_usage(own, None);
        }
        let settings = &self.subagents.settings;
        let long = now.ms_since(seen.began) >= settings.min_duration_ms;
        let much = seen.messages >= settings.min_messages;
        if !settings.enabled || seen.ended.is_some() || !(long || much) {
            return Vec::new();
        }
        self.begin_subagent(child, seen, id).unwrap_or_default()
    }

    /// The frame of a subagent within the one that its parent stands in; none where that cannot be.
    fn begin_subagent(&self, child: &SessionId, seen: &Subagent, id: FrameId) -> Option<Vec<Fact>> {
        let (of, parent) = self.standing_at_or_above(&seen.parent)?;
        let in_progress = self.frames.get(&parent)?.status == FrameStatus::InProgress;
        if !in_progress || self.frames.contains_key(&id) || self.is_full(parent) {
            return None;
        }
        let goal = match seen.title.as_str() {
            "" => UNTITLED,
            title => title,
        };
        let new = New {
            goal,
            ..New::default()
        };
        let mut facts = self.create(child, parent, &[new], &[id]).ok()?;
        let created = facts.first_mut()?;
        if let Event::FrameCreated(frame) = &mut created.event {
            frame.subagent_of = Some(of);
        }
        let run = created.run;
        let begin = [Event::FrameStarted(Empty {}), activated(child)];
        facts.extend(begin.map(|event| Fact {
            run,
            frame: Some(id),
            task: None,
            event,
        }));
        Some(facts)
    }

    /// A subagent has ended, and its frame with it.
    pub(super) fn end_subagent(
        &self,
        child: &SessionId,
        status: PopStatus,
        result: &str,
    ) -> Vec<Fact> {
        let Some((id, frame)) = self
            .subagent_frame(child)
            .and_then(|id| Some((id, self.frames.get(&id)?)))
        else {
            return Vec::new();
        };
        if frame.status != FrameStatus::InProgress {
            return self.late_usage(id, Some(result));
        }
        let why = "the subagent that it was begun for has ended";
        let mut facts = self.end_within(id, why);
        facts.extend(self.usage_written(id, frame, None));
        facts.push(frame_fact(
            frame,
            id,
            moves::ended(frame, status, result, ""),
        ));
        facts
    }

    /// What is open in a subagent's frame ends before it.
    fn end_within(&self, id: FrameId, why: &str) -> Vec<Fact> {
        let Some(frame) = self.frames.get(&id) else {
            return Vec::new();
        };
        let mut facts = Vec::new();
        for inner in frame.children.iter().rev() {
            let Some(child) = self
                .frames
                .get(inner)
                .filter(|child| !child.status.is_settled())
            else {
                continue;
            };
            facts.extend(self.end_within(*inner, why));
            facts.extend(self.usage_written(*inner, child, None));
            facts.extend(self.stop_frame_alone(*inner, why));
        }
        facts
    }

    /// What a subagent used that was told after its end, and what it said in the end where it was
    /// taken up again since.
    fn late_usage(&self, id: FrameId, result: Option<&str>) -> Vec<Fact> {
        let Some(frame) = self
            .frames
            .get(&id)
            .filter(|frame| frame.status.is_settled())
        else {
            return Vec::new();
        };
        let again = frame.status == FrameStatus::Completed;
        let result = result.filter(|result| again && !result.trim().is_empty());
        self.usage_written(id, frame, result).into_iter().collect()
    }

    /// What a subagent used goes into the journal, where it is more than what stands there.
    pub(super) fn usage_written(
        &self,
        id: FrameId,
        frame: &Frame,
        results: Option<&str>,
    ) -> Option<Fact> {
        let usage = self.subagent_usage(frame);
        if usage.total() <= frame.subagent_usage.total() {
            return None;
        }
        let updated = FrameUpdated {
            usage: Some(usage),
            results: results.map(str::to_owned),
            ..FrameUpdated::default()
        };
        Some(frame_fact(frame, id, Event::FrameUpdated(updated)))
    }

    /// What the subagent whose frame it is used: as was seen, or as it stands in the journal where
    /// that is more.
    pub(in crate::state) fn subagent_usage(&self, frame: &Frame) -> Usage {
        let child = frame
            .made_by
            .as_ref()
            .filter(|_| frame.subagent_of.is_some());
        let seen = child.and_then(|child| self.subagents.seen.get(child));
        match seen {
            Some(seen) if seen.usage.total() > frame.subagent_usage.total() => seen.usage,
            _ => frame.subagent_usage,
        }
    }

    /// The messages that the subagent whose frame it is was seen to write.
    pub(in crate::state) fn subagent_messages(&self, frame: &Frame) -> u32 {
        let child = frame
            .made_by
            .as_ref()
            .filter(|_| frame.subagent_of.is_some());
        let seen = child.and_then(|child| self.subagents.seen.get(child));
        seen.map_or(0, |seen| seen.messages)
    }

    /// The frame of the task in whose conversation the subagent of a frame is.
    pub(in crate::state) fn frame_around_subagent(&self, id: FrameId) -> Option<FrameId> {
        let of = self.frames.get(&id)?.subagent_of.as_ref()?;
        Some(self.task_behind(of)?.frame)
    }

    pub(in crate::state) fn note_subagent_frame(
        &mut self,
        of: &SessionId,
        child: &SessionId,
        id: FrameId,
    ) {
        self.subagents.frames.insert(child.clone(), id);
        let task = self.task_behind(of);
        if let Some(task) = task.and_then(|task| self.tasks.get_mut(&task)) {
            task.subagents.push(id);
        }
    }

    /// A task has ended: nobody speaks in its conversation any more, nor in its subagents'.
    pub(in crate::state) fn leave_sessions(&mut self, now: Time, id: TaskId) {
        let left: Vec<SessionId> = self
            .sessions
            .keys()
            .filter(|session| self.task_behind(session) == Some(id))
            .cloned()
            .collect();
        let ended: Vec<SessionId> = self
            .subagents
            .seen
            .iter()
            .filter(|(_, seen)| seen.ended.is_none())
            .filter(|(_, seen)| self.root_task(&seen.parent) == Some(id))
            .map(|(child, _)| child.clone())
            .collect();
        for child in ended {
            if let Some(seen) = self.subagents.seen.get_mut(&child) {
                seen.ended = Some(now);
            }
        }
        for session in left {
            self.sessions.remove(&session);
        }
    }
}
