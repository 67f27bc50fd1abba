//! The tools about subagents: what they change, and what they answer.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::agent::Usage;
use crate::error::{Error, ErrorKind};
use crate::frame::SessionId;
use crate::ids::{FrameId, RunId};
use crate::status::FrameStatus;
use crate::subagents::SubagentSettings;
use crate::time::Time;
use crate::tools::{Call, SubagentComplete, SubagentConfig, SubagentFilter};

use super::super::{Fact, State};
use super::conflict;

/// The most subagents that a text lists; the data have them all.
const LISTED_MAX: usize = 50;

/// What is known of a subagent, seen or from the journal.
struct Known<'a> {
    session: &'a SessionId,
    parent: &'a SessionId,
    run: RunId,
    frame: Option<FrameId>,
    title: &'a str,
    status: FrameStatus,
    began: Time,
    ended: Option<Time>,
    messages: u32,
    usage: Usage,
}

impl State {
    /// The settings as a call wants them; none where it changes none. They are no part of any
    /// journal: whoever keeps them sets them ([`State::set_subagent_settings`]).
    ///
    /// # Errors
    /// Where the call wants what cannot be.
    pub fn subagent_settings_after(
        &self,
        now: Time,
        call: &Call,
    ) -> Result<Option<SubagentSettings>, Error> {
        let settings = self.subagent_settings();
        let new = match call {
            Call::SubagentConfig(config) => settings.changed(config)?,
            Call::SubagentStats(stats) if stats.reset => SubagentSettings {
                counted_since: Some(now),
                ..settings.clone()
            },
            _ => return Ok(None),
        };
        Ok((new != *settings).then_some(new))
    }

    pub(super) fn decide_subagent_complete(
        &self,
        session: &SessionId,
        call: &SubagentComplete,
    ) -> Result<Vec<Fact>, Error> {
        let (child, id) = self.subagent_meant(session, call.session_id.as_ref())?;
        let status = self.known_frame(id)?.status;
        if status != FrameStatus::InProgress {
            return Err(conflict(format!("{id}, the frame of {child}, is {status}")));
        }
        let said = call.summary.as_deref();
        let result = said.or_else(|| self.last_word(&child)).unwrap_or_default();
        Ok(self.end_subagent(&child, call.status, result))
    }

    /// The subagent that a call is about: the one it names, the caller itself, or the only one that
    /// works for the caller.
    fn subagent_meant(
        &self,
        session: &SessionId,
        named: Option<&SessionId>,
    ) -> Result<(SessionId, FrameId), Error> {
        let mut all = self.known_subagents(session);
        match named {
            // Its agent knows it without the agent's name in front.
            Some(named) => all.retain(|known| {
                let own = known.session.as_str().split_once(':').map(|(_, id)| id);
                known.session == named || own == Some(named.as_str())
            }),
            None if all.iter().any(|known| known.session == session) => {
                all.retain(|known| known.session == session);
            }
            None => all.retain(|known| known.parent == session && known.is_active()),
        }
        let missing = |what: String| {
            Error::new(ErrorKind::NotFound, what).with_help("flame_subagent_list lists them")
        };
        match (all.as_slice(), named) {
            ([one], _) => match one.frame {
                Some(frame) => Ok((one.session.clone(), frame)),
                None => Err(conflict(format!("{} has no frame", one.session)).with_help(
                    "a subagent has one as soon as it has worked for a while: \
                     flame_subagent_config",
                )),
            },
            ([], Some(named)) => Err(missing(format!("there is no subagent {named}"))),
            ([], None) => Err(missing(format!("no subagent of {session} is at work"))),
            (several, _) => {
                let named: Vec<String> = several
                    .iter()
                    .take(5)
                    .map(|known| known.session.to_string())
                    .collect();
                let message = format!("it could be {}", named.join(", "));
                Err(Error::new(ErrorKind::Usage, message).with_help("name one: session_id"))
            }
        }
    }

    /// The subagents that a session may know of, oldest first: an agent in a task knows its own run.
    fn known_subagents(&self, session: &SessionId) -> Vec<Known<'_>> {
        let root = self.task_behind(session);
        let only = root
            .and_then(|task| self.tasks.get(&task))
            .map(|task| task.run);
        let framed = self.subagents.frames.iter().filter_map(|(child, id)| {
            let frame = self.frames.get(id)?;
            let seen = self.subagents.seen.get(child);
            Some(Known {
                session: child,
                parent: seen.map_or(frame.subagent_of.as_ref()?, |seen| &seen.parent),
                run: frame.run,
                frame: Some(*id),
                title: &frame.spec.title,
                status: frame.status,
                began: seen
                    .map(|seen| seen.began)
                    .or(frame.started)
                    .unwrap_or(Time(0)),
                ended: frame.ended,
                messages: seen.map_or(0, |seen| seen.messages),
                usage: self.subagent_usage(frame),
            })
        });
        let others = self.subagents.seen.iter();
        let others = others.filter(|(child, _)| !self.subagents.frames.contains_key(*child));
        let others = others.map(|(child, seen)| Known {
            session: child,
            parent: &seen.parent,
            run: seen.run,
            frame: None,
            title: &seen.title,
            status: match (seen.ended, seen.success) {
                (None, _) => FrameStatus::InProgress,
                (Some(_), true) => FrameStatus::Completed,
                (Some(_), false) => FrameStatus::Failed,
            },
            began: seen.began,
            ended: seen.ended,
            messages: seen.messages,
            usage: seen.usage,
        });
        let all = framed.chain(others);
        let mut all: Vec<Known<'_>> = all
            .filter(|known| only.is_none_or(|run| run == known.run))
            .collect();
        all.sort_by(|one, other| (one.began, one.session).cmp(&(other.began, other.session)));
        all
    }

    /// What `flame_subagent_config`, `_stats`, `_complete` and `_list` answer: one that changes
    /// something, when that is done, but statistics before they begin anew.
    ///
    /// # Errors
    /// Where the subagent is not known.
    pub fn subagent_reply(
        &self,
        now: Time,
        session: &SessionId,
        call: &Call,
    ) -> Result<(String, Value), Error> {
        match call {
            Call::SubagentConfig(call) => Ok(self.config_reply(call)),
            Call::SubagentStats(_) => Ok(self.stats_reply(now, session)),
            Call::SubagentList(call) => Ok(self.list_reply(now, session, call.filter)),
            Call::SubagentComplete(call) => {
                let (child, id) = self.subagent_ended(session, call)?;
                let frame = self.known_frame(id)?;
                let text = format!("{id}, the frame of {child}, is {}.", frame.status);
                let data = json!({ "frame": id, "session": child, "status": frame.status });
                Ok((text, data))
            }
            other => Err(super::not_ours(other)),
        }
    }

    /// The subagent that a call has just ended: of those that could be meant, the last to end.
    fn subagent_ended(
        &self,
        session: &SessionId,
        call: &SubagentComplete,
    ) -> Result<(SessionId, FrameId), Error> {
        if let Some(named) = &call.session_id {
            return self.subagent_meant(session, Some(named));
        }
        let all = self.known_subagents(session);
        let mine = all
            .iter()
            .filter(|known| known.session == session || known.parent == session)
            .filter_map(|known| Some((known.ended?, known.session.clone(), known.frame?)));
        let last = mine.max_by_key(|(ended, ..)| *ended);
        last.map(|(_, child, frame)| (child, frame))
            .ok_or_else(|| conflict(format!("no subagent of {session} has ended")))
    }

    fn config_reply(&self, call: &SubagentConfig) -> (String, Value) {
        let settings = self.subagent_settings();
        let changed = *call != SubagentConfig::default();
        let mut text = String::from(if changed { "Changed. " } else { "" });
        // Writing into a string does not fail.
        let _ = match settings.enabled {
            true => write!(
                text,
                "A subagent has a frame as soon as it has lived {} ms or written {} messages.",
                settings.min_duration_ms, settings.min_messages
            ),
            false => write!(text, "Subagents have no frames."),
        };
        let _ = match settings.auto_complete_on_idle {
            true => write!(
                text,
                " One that does nothing for {} ms has ended.",
                settings.idle_delay_ms
            ),
            false => write!(
                text,
                " One that does nothing goes on until it says that it ends."
            ),
        };
        let _ = write!(
            text,
            "\nTitles of subagents: {}",
            settings.patterns.join("  ")
        );
        (text, json!(settings))
    }

    fn stats_reply(&self, now: Time, session: &SessionId) -> (String, Value) {
        let since = self.subagent_settings().counted_since;
        let mut all = self.known_subagents(session);
        all.retain(|known| since.is_none_or(|since| known.began >= since));
        let count = |wanted: fn(&Known<'_>) -> bool| all.iter().filter(|one| wanted(one)).count();
        let durations: Vec<u64> = all.iter().map(|known| known.lived_ms(now)).collect();
        let total_ms: u64 = durations.iter().sum();
        let mean_ms = total_ms / (durations.len().max(1) as u64);
        let longest_ms = durations.iter().max().copied().unwrap_or(0);
        let messages: u64 = all.iter().map(|known| u64::from(known.messages)).sum();
        let mut usage = Usage::default();
        all.iter().for_each(|known| usage.add(&known.usage));
        let active = count(|known| known.is_active());
        let completed = count(|known| known.status == FrameStatus::Completed);
        let with_frame = count(|known| known.frame.is_some());
        let other = all.len() - active - completed;
        let text = format!(
            "{} subagents: {active} at work, {completed} completed, {other} not; {with_frame} with \
             a frame.\nThey lived {mean_ms} ms on average, {longest_ms} ms at most, wrote \
             {messages} messages and used {} tokens.",
            all.len(),
            usage.total()
        );
        let data = json!({
            "since": since,
            "subagents": all.len(),
            "active": active,
            "completed": completed,
            "not_completed": other,
            "with_frame": with_frame,
            "without_frame": all.len() - with_frame,
            "duration_ms": { "total": total_ms, "mean": mean_ms, "longest": longest_ms },
            "messages": messages,
            "usage": usage,
            "tokens": usage.total(),
        });
        (text, data)
    }

    fn list_reply(
        &self,
        now: Time,
        session: &SessionId,
        filter: SubagentFilter,
    ) -> (String, Value) {
        let mut all = self.known_subagents(session);
        all.retain(|known| match filter {
            SubagentFilter::All => true,
            SubagentFilter::Active => known.is_active(),
            SubagentFilter::Completed => known.status == FrameStatus::Completed,
            SubagentFilter::WithFrame => known.frame.is_some(),
            SubagentFilter::WithoutFrame => known.frame.is_none(),
        });
        let lines = all.iter().take(LISTED_MAX).map(|known| {
            let frame = known
                .frame
                .map_or_else(|| "no frame".to_owned(), |id| id.to_string());
            format!(
                "{}  {}  {frame}  {} tokens  {}",
                known.session,
                known.status,
                known.usage.total(),
                known.title
            )
        });
        let mut lines: Vec<String> = lines.collect();
        if all.len() > LISTED_MAX {
            lines.push(format!("and {} more", all.len() - LISTED_MAX));
        }
        let text = match lines.is_empty() {
            true => "There are none.".to_owned(),
            false => lines.join("\n"),
        };
        let data: Vec<Value> = all.iter().map(|known| known.to_json(now)).collect();
        (text, json!({ "subagents": data }))
    }
}

impl Known<'_> {
    fn is_active(&self) -> bool {
        self.status == FrameStatus::InProgress
    }

    fn lived_ms(&self, now: Time) -> u64 {
        self.ended.unwrap_or(now).ms_since(self.began)
    }

    fn to_json(&self, now: Time) -> Value {
        json!({
            "session": self.session,
            "parent": self.parent,
            "run": self.run,
            "frame": self.frame,
            "title": self.title,
            "status": self.status,
            "began_ms": self.began.0,
            "ended_ms": self.ended.map(|at| at.0),
            "duration_ms": self.lived_ms(now),
            "messages": self.messages,
            "usage": self.usage,
        })
    }
}
