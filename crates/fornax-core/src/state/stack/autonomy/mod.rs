//! What is seen in sessions' traces, and the advice that comes of it: suggestions, what became of
//! them, and what is done by itself.
//!
//! None of it is from the journal: traces are read again after a restart, as far as the frames still
//! are where they were. What is done by itself takes the one path, as a [`Command::Auto`].
//!
//! [`Command::Auto`]: crate::state::Command::Auto

mod act;
mod reply;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde::Serialize;

use crate::autonomy::{About, Advice, Move, Settings, Trace};
use crate::event::Event;
use crate::frame::{Report, SessionId};
use crate::ids::FrameId;
use crate::record::Record;
use crate::status::FrameStatus;
use crate::time::Time;

use super::super::{Frame, Session, State};
pub use act::Auto;
pub use reply::AutonomyReply;
use tally::Stats;

/// How long a suggestion is worth something.
const EXPIRES_MS: u64 = 5 * 60 * 1_000;
/// How many suggestions are remembered.
const HISTORY_MAX: usize = 20;
/// How many sessions are watched at once.
const WATCHED_MAX: usize = 1_000;

/// All that is known beside the journal of when to push and pop.
#[derive(Debug, Clone, Default)]
pub(in crate::state) struct Autonomy {
    settings: Settings,
    watched: BTreeMap<SessionId, Watched>,
    pending: Vec<Suggestion>,
    history: VecDeque<Suggestion>,
    stats: Stats,
    /// The advice in each frame, and how often it has changed.
    advice: HashMap<FrameId, (u64, String)>,
    /// Frames whose advice has changed since somebody asked.
    news: BTreeSet<FrameId>,
}

/// A session's trace since it came to its frame.
#[derive(Debug, Clone)]
struct Watched {
    frame: FrameId,
    since: Time,
    seen: Time,
    trace: Trace,
    /// Advice that nobody followed, and its score: it is not repeated unless it grows stronger.
    let_go: BTreeMap<Move, u8>,
}

/// Advice that a session was given.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Suggestion {
    session: SessionId,
    frame: FrameId,
    made: Time,
    advice: Advice,
    #[serde(skip_serializing_if = "Option::is_none")]
    fate: Option<Fate>,
}

/// What became of a suggestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Fate {
    /// It was done.
    ActedUpon,
    /// It was not, in all the time that it was worth something, or somebody did not want it.
    Dismissed,
    /// The signs are gone, or the session is.
    Withdrawn,
}

impl Autonomy {
    /// The advice in a frame.
    pub fn advice(&self, id: FrameId) -> Option<&str> {
        let (_, text) = self.advice.get(&id)?;
        (!text.is_empty()).then_some(text)
    }

    /// The advice that stands in the frame's context.
    pub fn told(&self, id: FrameId) -> &str {
        let advice = self.advice(id);
        let told = advice.filter(|_| self.settings.suggest_in_context);
        told.unwrap_or_default()
    }

    /// How often the advice in a frame's context has changed; none where there never was any.
    pub fn version(&self, id: FrameId) -> Option<u64> {
        // What stands in no context changes none.
        let (changes, _) = self.advice.get(&id)?;
        Some(*changes * 2 + u64::from(self.settings.suggest_in_context))
    }

    /// When the next suggestion is worth nothing any more.
    pub fn next_expiry(&self) -> Option<Time> {
        let expiries = self.pending.iter().map(Suggestion::expires);
        expiries.min()
    }

    /// Ends the pending suggestions that `fate` says something of.
    fn end(&mut self, mut fate: impl FnMut(&Suggestion) -> Option<Fate>) {
        let mut open = Vec::with_capacity(self.pending.len());
        for mut suggestion in std::mem::take(&mut self.pending) {
            let Some(fate) = fate(&suggestion) else {
                open.push(suggestion);
                continue;
            };
            suggestion.fate = Some(fate);
            self.stats.ended(&suggestion.advice, fate);
            if fate == Fate::Dismissed
                && let Some(watched) = self.watched.get_mut(&suggestion.session)
                && watched.frame == suggestion.frame
            {
                let advice = &suggestion.advice;
                watched.let_go.insert(advice.act, advice.score);
            }
            if self.history.len() >= HISTORY_MAX {
                self.history.pop_front();
            }
            self.history.push_back(suggestion);
        }
        self.pending = open;
        self.tell();
    }

    fn expire(&mut self, now: Time) {
        if self.next_expiry().is_some_and(|expiry| expiry <= now) {
            self.end(|suggestion| (suggestion.expires() <= now).then_some(Fate::Dismissed));
        }
    }

    /// Brings what each frame is told up to date.
    fn tell(&mut self) {
        let mut texts: BTreeMap<FrameId, &Advice> = BTreeMap::new();
        for suggestion in &self.pending {
            let best = texts.entry(suggestion.frame).or_insert(&suggestion.advice);
            if suggestion.advice.score > best.score {
                *best = &suggestion.advice;
            }
        }
        let advised: Vec<FrameId> = texts.keys().copied().collect();
        let before = self.advice.keys().copied();
        let frames: BTreeSet<FrameId> = before.chain(advised).collect();
        for id in frames {
            let text = texts.get(&id).map(|advice| advice.text());
            let text = text.unwrap_or_default();
            let known = self.advice.entry(id).or_default();
            if known.1 != text {
                *known = (known.0 + 1, text);
                self.news.insert(id);
            }
        }
    }

    /// Takes a session's trace up, or begins another where it has come to another frame.
    fn watch(&mut self, now: Time, session: &SessionId, own: &Session) {
        let here = |watched: &Watched| watched.frame == own.active && watched.since == own.since;
        if !self.watched.get(session).is_some_and(here) {
            if self.watched.len() >= WATCHED_MAX
                && let Some(oldest) = self.watched.iter().min_by_key(|(_, other)| other.seen)
            {
                let oldest = oldest.0.clone();
                self.watched.remove(&oldest);
            }
            let watched = Watched {
                frame: own.active,
                since: own.since,
                seen: now,
                trace: Trace::default(),
                let_go: BTreeMap::new(),
            };
            self.watched.insert(session.clone(), watched);
        }
    }

    /// Suggests what the signs call for, and takes back what they do not any more.
    fn suggest(&mut self, now: Time, session: &SessionId, about: &About<'_>) {
        let Some(watched) = self.watched.get(session) else {
            return;
        };
        let (frame, signals) = (watched.frame, watched.trace.signals());
        let both = [
            Advice::push(&self.settings, signals, *about, None),
            Advice::pop(&self.settings, signals, *about),
        ];
        let let_go = watched.let_go.clone();
        let mut gone = Vec::new();
        for advice in both {
            let mut pending = self.pending.iter_mut();
            let known = pending.find(|known| {
                known.session == *session && known.frame == frame && known.advice.act == advice.act
            });
            let stronger = let_go
                .get(&advice.act)
                .is_none_or(|before| advice.score > *before);
            let wanted = advice.advised && stronger && self.settings.suggests();
            match known {
                Some(known) if wanted => known.advice = advice,
                Some(_) => gone.push(advice.act),
                None if wanted => {
                    self.stats.suggested(&advice);
                    self.pending.push(Suggestion {
                        session: session.clone(),
                        frame,
                        made: now,
                        advice,
                        fate: None,
                    });
                }
                None => {}
            }
        }
        self.end(|known| {
            let own = known.session == *session;
            let left = own && known.frame != frame;
            let over = own && gone.contains(&known.advice.act);
            (left || over).then_some(Fate::Withdrawn)
        });
    }
}

impl Suggestion {
    fn expires(&self) -> Time {
        self.made.plus_ms(EXPIRES_MS)
    }
}

impl State {
    /// What is done with signs.
    #[must_use]
    pub fn autonomy_settings(&self) -> &Settings {
        &self.autonomy.settings
    }

    /// Changes what is done with signs. What is pending goes where nothing is suggested any more.
    pub fn set_autonomy(&mut self, settings: Settings) {
        self.autonomy.settings = settings;
        if !self.autonomy.settings.suggests() {
            self.autonomy.end(|_| Some(Fate::Withdrawn));
        }
    }

    /// Takes over what no journal holds from the state that this one follows.
    pub fn keep_unrecorded(&mut self, before: &mut State) {
        self.autonomy = std::mem::take(&mut before.autonomy);
        self.keep_subagents_of(before);
    }

    /// Takes in what happened in a session, each with the moment at which it did. What happened
    /// before the session came to its frame is passed over.
    pub fn observe_reports(&mut self, now: Time, session: &SessionId, reports: &[(Time, Report)]) {
        self.autonomy.expire(now);
        let Some(own) = self.session(session) else {
            return;
        };
        let Some(frame) = self.frames.get(&own.active) else {
            return;
        };
        if frame.status != FrameStatus::InProgress {
            return;
        }
        let about = about(frame);
        self.autonomy.watch(now, session, &own);
        if let Some(watched) = self.autonomy.watched.get_mut(session) {
            watched.seen = now;
            for (at, report) in reports.iter().filter(|(at, _)| *at >= own.since) {
                watched.trace.fold(*at, &about, report);
            }
        }
        self.autonomy.suggest(now, session, &about);
    }

    /// The frames whose advice has changed since this was last asked, with what has expired by now.
    pub fn advice_news(&mut self, now: Time) -> BTreeSet<FrameId> {
        self.autonomy.expire(now);
        std::mem::take(&mut self.autonomy.news)
    }

    /// Notes which suggestions were acted upon by what was just done.
    pub(in crate::state) fn heed(&mut self, records: &[Record]) {
        if self.autonomy.pending.is_empty() {
            return;
        }
        for record in records {
            let fate = |known: &Suggestion| match &record.event {
                Event::FrameCreated(created) => {
                    let own = created.session_id.as_ref() == Some(&known.session);
                    let pushed = own && created.parent_id == Some(known.frame);
                    (pushed && known.advice.act == Move::Push).then_some(Fate::ActedUpon)
                }
                Event::FrameCompleted(_) | Event::FrameFailed(_) | Event::FrameBlocked(_) => {
                    let popped = record.frame_id == Some(known.frame);
                    (popped && known.advice.act == Move::Pop).then_some(Fate::ActedUpon)
                }
                _ => None,
            };
            if self
                .autonomy
                .pending
                .iter()
                .any(|known| fate(known).is_some())
            {
                self.autonomy.end(fate);
            }
        }
        let frames = &self.frames;
        let open = |id: FrameId| {
            frames
                .get(&id)
                .is_some_and(|frame| frame.status == FrameStatus::InProgress)
        };
        self.autonomy
            .end(|known| (!open(known.frame)).then_some(Fate::Withdrawn));
    }

    /// Lets go of traces of sessions that are not known any more.
    pub(in crate::state) fn forget_traces(&mut self) {
        let watched = self.autonomy.watched.keys();
        let gone: Vec<SessionId> = watched
            .filter(|id| self.session(id).is_none())
            .cloned()
            .collect();
        for id in gone {
            self.autonomy.watched.remove(&id);
        }
        let frames = &self.frames;
        self.autonomy
            .end(|known| (!frames.contains_key(&known.frame)).then_some(Fate::Withdrawn));
        self.autonomy.advice.retain(|id, _| frames.contains_key(id));
    }
}

/// What heuristics need to know of a frame.
fn about(frame: &Frame) -> About<'_> {
    About {
        goal: &frame.goal,
        criteria: frame.spec.success_criteria.as_deref().unwrap_or_default(),
        children: frame.children.len(),
    }
}
