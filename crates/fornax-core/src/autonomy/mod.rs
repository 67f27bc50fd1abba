//! When to push and when to pop: signs are read from a session's trace, heuristics judge them, and
//! what they come to is advice.
//!
//! Nobody is asked: a [`Trace`] folds what the agent's host, plugin or hooks report. Each heuristic
//! gives 0 to 100 and says why. The confidence is a noisy-or of those that are not disabled, so that
//! one strong sign is enough and several weak ones add up.

mod command;
mod heuristics;
mod signals;
mod topic;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};
use crate::tools::{AutonomyConfig, Level, PopStatus};

use heuristics::{Case, GOAL_CHANGE, HEURISTICS, Heuristic, Speaks};
pub use signals::{About, Checks, Signals, Trace};

/// What is done with signs, for a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether anything is suggested or done without being asked for.
    pub enabled: bool,
    /// What comes of signs.
    pub level: Level,
    /// The confidence from which a push is advised, 1 to 100.
    pub push_threshold: u8,
    /// The confidence from which a pop is advised, 1 to 100.
    pub pop_threshold: u8,
    /// Heuristics that are not listened to.
    pub disabled: BTreeSet<String>,
    /// Whether advice stands in the frame's context.
    pub suggest_in_context: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            enabled: true,
            level: Level::Suggest,
            push_threshold: 70,
            pop_threshold: 80,
            disabled: BTreeSet::new(),
            suggest_in_context: true,
        }
    }
}

impl Settings {
    /// Whether advice is given without being asked for.
    #[must_use]
    pub fn suggests(&self) -> bool {
        self.enabled && self.level != Level::Manual
    }

    /// Settings that were kept.
    ///
    /// # Errors
    /// Where they are none, or say what cannot be.
    pub fn parse(text: &str) -> Result<Settings, Error> {
        let wrong = |error| Error::new(ErrorKind::Usage, format!("no settings: {error}"));
        let settings: Settings = serde_json::from_str(text).map_err(wrong)?;
        settings.checked()
    }

    /// The settings with what a call changes.
    ///
    /// # Errors
    /// Where it says what cannot be.
    pub fn changed(&self, change: &AutonomyConfig) -> Result<Settings, Error> {
        let mut settings = match change.reset {
            true => Settings::default(),
            false => self.clone(),
        };
        settings.level = change.level.unwrap_or(settings.level);
        settings.push_threshold = change.push_threshold.unwrap_or(settings.push_threshold);
        settings.pop_threshold = change.pop_threshold.unwrap_or(settings.pop_threshold);
        settings.suggest_in_context = change
            .suggest_in_context
            .unwrap_or(settings.suggest_in_context);
        if let Some(name) = &change.disable {
            settings.disabled.insert(name.clone());
        }
        if let Some(name) = &change.enable {
            known(name)?;
            settings.disabled.remove(name);
        }
        settings.checked()
    }

    fn checked(self) -> Result<Settings, Error> {
        for (name, threshold) in [
            ("push_threshold", self.push_threshold),
            ("pop_threshold", self.pop_threshold),
        ] {
            if !(1..=100).contains(&threshold) {
                let message = format!("{name} is {threshold}, and must be 1 to 100");
                return Err(Error::new(ErrorKind::Usage, message));
            }
        }
        for name in &self.disabled {
            known(name)?;
        }
        Ok(self)
    }
}

/// The names of all heuristics.
pub fn names() -> impl Iterator<Item = &'static str> {
    HEURISTICS.iter().map(|heuristic| heuristic.name)
}

fn known(name: &str) -> Result<(), Error> {
    if names().any(|known| known == name) {
        return Ok(());
    }
    let all: Vec<&str> = names().collect();
    let message = format!("there is no heuristic `{name}`");
    Err(Error::new(ErrorKind::Usage, message).with_help(format!("there are {}", all.join(", "))))
}

/// What is advised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// To push a frame.
    Push,
    /// To pop the frame.
    Pop,
}

/// What one heuristic says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// Its name.
    pub heuristic: &'static str,
    /// How much it speaks for the move, 0 to 100.
    pub score: u8,
    /// Why.
    pub why: String,
}

/// How much speaks for a move, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// The move.
    #[serde(rename = "move")]
    pub act: Move,
    /// The confidence: a noisy-or of the shares.
    pub score: u8,
    /// The confidence from which it is advised.
    pub threshold: u8,
    /// Whether it is advised.
    pub advised: bool,
    /// For a pop: the status that it would pop with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PopStatus>,
    /// What each heuristic says, the strongest first.
    pub shares: Vec<Share>,
}

impl Advice {
    /// Whether to push.
    #[must_use]
    pub fn push(
        settings: &Settings,
        signals: &Signals,
        about: About<'_>,
        goal: Option<&str>,
    ) -> Advice {
        Advice::of(Move::Push, settings, signals, &Case { about, goal })
    }

    /// Whether to pop, and how.
    #[must_use]
    pub fn pop(settings: &Settings, signals: &Signals, about: About<'_>) -> Advice {
        Advice::of(Move::Pop, settings, signals, &Case { about, goal: None })
    }

    fn of(act: Move, settings: &Settings, signals: &Signals, case: &Case<'_>) -> Advice {
        let is_about = |heuristic: &&Heuristic| {
            let speaks_for = match heuristic.speaks {
                Speaks::Push => Move::Push,
                Speaks::Pop(_) => Move::Pop,
            };
            speaks_for == act && !settings.disabled.contains(heuristic.name)
        };
        let mut found: Vec<(Share, Speaks)> = HEURISTICS
            .iter()
            .filter(is_about)
            .map(|heuristic| {
                let (score, why) = (heuristic.judge)(signals, case);
                let share = Share {
                    heuristic: heuristic.name,
                    score: score.min(100),
                    why,
                };
                (share, heuristic.speaks)
            })
            .collect();
        found.sort_by_key(|(share, _)| std::cmp::Reverse(share.score));
        let status = match found.first() {
            Some((share, Speaks::Pop(status))) if share.score > 0 => Some(*status),
            _ => None,
        };
        let shares: Vec<Share> = found.into_iter().map(|(share, _)| share).collect();
        let score = noisy_or(shares.iter().map(|share| share.score));
        let threshold = match act {
            Move::Push => settings.push_threshold,
            Move::Pop => settings.pop_threshold,
        };
        Advice {
            act,
            score,
            threshold,
            advised: score >= threshold,
            status,
            shares,
        }
    }

    /// Whether it comes from another goal above all.
    #[must_use]
    pub fn is_goal_change(&self) -> bool {
        let first = self.shares.first();
        first.is_some_and(|share| share.heuristic == GOAL_CHANGE && share.score > 0)
    }

    /// Why, in a line: what the heuristics say that say anything, the strongest first.
    #[must_use]
    pub fn why(&self) -> String {
        let said = self.shares.iter().filter(|share| share.score > 0);
        let said: Vec<&str> = said.take(3).map(|share| share.why.as_str()).collect();
        match said.is_empty() {
            true => "nothing speaks for it".to_owned(),
            false => said.join("; "),
        }
    }

    /// What an agent in the frame is told.
    #[must_use]
    pub fn text(&self) -> String {
        let what = match (self.act, self.status) {
            (Move::Push, _) => "Consider flame_push for this".to_owned(),
            (Move::Pop, Some(status)) => {
                format!("Consider flame_pop with status {}", status.frame_status())
            }
            (Move::Pop, None) => "Consider flame_pop".to_owned(),
        };
        format!("{what} ({} of 100): {}.", self.score, self.why())
    }
}

/// The confidence that several independent signs give together, each in hundredths.
fn noisy_or(scores: impl Iterator<Item = u8>) -> u8 {
    let doubt: f64 = scores.map(|score| 1.0 - f64::from(score) / 100.0).product();
    (100.0 * (1.0 - doubt)).round() as u8
}

impl Signals {
    /// The signals with some of them said to be otherwise.
    ///
    /// # Errors
    /// Where there is no such signal, or it cannot be so.
    pub fn with(&self, said: &Map<String, Value>) -> Result<Signals, Error> {
        let wrong = |error: serde_json::Error| {
            let mut names: Vec<String> = Vec::new();
            if let Ok(Value::Object(known)) = serde_json::to_value(Signals::default()) {
                names.extend(known.into_iter().map(|(name, _)| name));
            }
            Error::new(ErrorKind::Usage, format!("these are no signals: {error}"))
                .with_help(format!("there are {}", names.join(", ")))
        };
        let mut all = serde_json::to_value(self).map_err(wrong)?;
        if let Value::Object(fields) = &mut all {
            fields.extend(said.clone());
        }
        serde_json::from_value(all).map_err(wrong)
    }
}
