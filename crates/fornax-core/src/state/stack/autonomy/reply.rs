//! What the five tools about autonomy answer.

use serde_json::{Value, json};

use crate::autonomy::{Advice, Move, Settings, names};
use crate::error::{Error, ErrorKind};
use crate::frame::SessionId;
use crate::time::Time;
use crate::tools::{AutoSuggest, Call, PopStatus};

use super::super::super::State;
use super::{Fate, Stats, Suggestion, about};

/// What a call of one of these tools comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct AutonomyReply {
    /// For a model, and for people.
    pub text: String,
    /// The same as data.
    pub data: Value,
    /// Settings that are to be kept across restarts, where the call changed them.
    pub keep: Option<Settings>,
}

impl State {
    /// Carries out a call of one of the tools about autonomy. It changes nothing that the journal
    /// holds.
    ///
    /// # Errors
    /// Where what it says cannot be, the session works in no frame, or it is another tool.
    pub fn autonomy_call(
        &mut self,
        now: Time,
        session: &SessionId,
        call: &Call,
    ) -> Result<AutonomyReply, Error> {
        self.autonomy.expire(now);
        match call {
            Call::AutonomyConfig(change) => {
                let settings = self.autonomy.settings.changed(change)?;
                Ok(self.use_settings(settings))
            }
            Call::ShouldPush(ask) => {
                let goal = ask.goal.as_deref();
                let advice = self.advice_for(session, Move::Push, goal, ask.signals.as_ref())?;
                Ok(advised(&advice))
            }
            Call::ShouldPop(ask) => {
                let advice = self.advice_for(session, Move::Pop, None, ask.signals.as_ref())?;
                Ok(advised(&advice))
            }
            Call::AutoSuggest(ask) => Ok(self.suggestions(session, ask)),
            Call::AutonomyStats(ask) => {
                let reply = counted(&self.autonomy.stats);
                if ask.reset {
                    self.autonomy.stats = Stats::default();
                }
                Ok(reply)
            }
            other => {
                let message = format!("{} is not about autonomy", other.tool().name);
                Err(Error::new(ErrorKind::Internal, message))
            }
        }
    }

    fn use_settings(&mut self, settings: Settings) -> AutonomyReply {
        let changed = settings != self.autonomy.settings;
        let reply = AutonomyReply {
            text: settings_text(&settings),
            data: json!(settings),
            keep: changed.then(|| settings.clone()),
        };
        if changed {
            self.set_autonomy(settings);
        }
        reply
    }

    fn advice_for(
        &self,
        session: &SessionId,
        act: Move,
        goal: Option<&str>,
        said: Option<&serde_json::Map<String, Value>>,
    ) -> Result<Advice, Error> {
        let own = self.standing(session)?;
        let about = about(self.known_frame(own.active)?);
        let watched = self.autonomy.watched.get(session);
        let here = watched.filter(|known| known.frame == own.active && known.since == own.since);
        let mut signals = here.map_or_else(Default::default, |known| known.trace.signals().clone());
        if let Some(said) = said {
            signals = signals.with(said)?;
        }
        let settings = &self.autonomy.settings;
        Ok(match act {
            Move::Push => Advice::push(settings, &signals, about, goal),
            Move::Pop => Advice::pop(settings, &signals, about),
        })
    }

    fn suggestions(&mut self, session: &SessionId, ask: &AutoSuggest) -> AutonomyReply {
        let mut keep = None;
        if let Some(enabled) = ask.enable {
            let settings = Settings {
                enabled,
                ..self.autonomy.settings.clone()
            };
            keep = self.use_settings(settings).keep;
        }
        // An agent is told of its own; a person of all.
        let agent = session.task().is_some() || session.agent().is_some();
        let wanted = |known: &Suggestion| !agent || known.session == *session;
        if ask.clear_pending {
            self.autonomy
                .end(|known| wanted(known).then_some(Fate::Dismissed));
        }
        let state = &self.autonomy;
        let pending: Vec<&Suggestion> = state.pending.iter().filter(|s| wanted(s)).collect();
        let mut text = match (state.settings.suggests(), pending.is_empty()) {
            (false, _) => "Nothing is suggested: it is switched off.\n".to_owned(),
            (true, true) => "Nothing is pending.\n".to_owned(),
            (true, false) => listed(&pending),
        };
        let mut data = json!({
            "enabled": state.settings.enabled,
            "level": state.settings.level,
            "pending": pending,
        });
        if ask.show_history {
            let history: Vec<&Suggestion> = state.history.iter().filter(|s| wanted(s)).collect();
            text = format!("{text}Before:\n{}", listed(&history));
            data["history"] = json!(history);
        }
        AutonomyReply { text, data, keep }
    }
}

fn settings_text(settings: &Settings) -> String {
    let listen = |name: &&str| !settings.disabled.contains(*name);
    let heuristics: Vec<&str> = names().filter(listen).collect();
    let disabled: Vec<&str> = settings.disabled.iter().map(String::as_str).collect();
    let disabled = match disabled.is_empty() {
        true => "none".to_owned(),
        false => disabled.join(", "),
    };
    format!(
        "level: {}{}\npush from: {}\npop from: {}\nadvice in contexts: {}\nheuristics: {}\n\
         disabled: {disabled}\n",
        word(&settings.level),
        if settings.enabled {
            ""
        } else {
            " (suggestions are switched off)"
        },
        settings.push_threshold,
        settings.pop_threshold,
        if settings.suggest_in_context {
            "yes"
        } else {
            "no"
        },
        heuristics.join(", "),
    )
}

fn advised(advice: &Advice) -> AutonomyReply {
    let what = match (advice.act, advice.status) {
        (Move::Push, _) => "push".to_owned(),
        (Move::Pop, None) => "pop".to_owned(),
        (Move::Pop, Some(status)) => format!("pop as {}", word::<PopStatus>(&status)),
    };
    let verdict = if advice.advised { "yes" } else { "no" };
    let mut text = format!(
        "{what}: {verdict}, {} of 100 (advised from {})\n",
        advice.score, advice.threshold
    );
    for share in &advice.shares {
        text = format!("{text}  {} {}", share.heuristic, share.score);
        if share.score > 0 {
            text = format!("{text}: {}", share.why);
        }
        text.push('\n');
    }
    AutonomyReply {
        text,
        data: json!(advice),
        keep: None,
    }
}

fn listed(suggestions: &[&Suggestion]) -> String {
    let mut text = String::new();
    for known in suggestions {
        let fate = known
            .fate
            .map_or_else(String::new, |fate| format!(" [{}]", word(&fate)));
        let line = known.advice.text();
        text = format!("{text}{} {}{fate}: {line}\n", known.made, known.frame);
    }
    text
}

fn counted(stats: &Stats) -> AutonomyReply {
    let line = |tally: &super::tally::Tally| {
        format!(
            "suggested {}, acted upon {}, dismissed {}, withdrawn {}",
            tally.suggested, tally.acted_upon, tally.dismissed, tally.withdrawn
        )
    };
    let mut text = format!("in all: {}\n", line(&stats.all));
    for (name, tally) in &stats.by_heuristic {
        text = format!("{text}{name}: {}\n", line(tally));
    }
    AutonomyReply {
        text,
        data: json!(stats),
        keep: None,
    }
}

/// The word that something is written with.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}
