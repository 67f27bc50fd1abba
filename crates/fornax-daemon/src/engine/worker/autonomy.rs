//! Signs in sessions' traces: taken in, told as advice, and acted upon where that is wanted.

#[cfg(test)]
#[path = "autonomy_tests.rs"]
mod tests;

use std::borrow::Cow;

use fornax_core::autonomy::Settings;
use fornax_core::error::Error;
use fornax_core::frame::{Report, SessionId};
use fornax_core::record::{Actor, Record};
use fornax_core::state::Command;
use fornax_core::time::Time;
use fornax_core::view::Change;

use super::super::Autonomy;
use super::Worker;

/// Where the settings are kept, in `.fornax`.
const FILE: &str = "autonomy.json";

impl Worker {
    /// Takes up the settings that were kept.
    pub(super) fn read_autonomy(&mut self) {
        let kept = self.read_settings(FILE).map_err(Error::from);
        let settings = kept.and_then(|text| text.map(|text| Settings::parse(&text)).transpose());
        match settings {
            Ok(Some(settings)) => self.state.set_autonomy(settings),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "the settings of autonomy cannot be used; the defaults hold");
            }
        }
    }

    /// Looks at what happened in a session, and does what it calls for where that is wanted.
    pub(in crate::engine) fn notice(
        &mut self,
        session: &SessionId,
        reports: &[(Time, Report)],
        records: &mut Vec<Record>,
    ) {
        if reports.is_empty() {
            return;
        }
        let now = self.clock.now();
        let reports: Vec<(Time, Report)> = reports
            .iter()
            .map(|(at, report)| (*at, self.without_secrets(report)))
            .collect();
        self.state.observe_reports(now, session, &reports);
        let Some(auto) = self.state.auto(session) else {
            return;
        };
        let id = match self.spare_frame() {
            Ok(id) => id,
            Err(error) => {
                tracing::warn!(%error, "no number for a frame");
                return;
            }
        };
        let auto = Box::new(auto);
        let command = Command::Auto { auto, id };
        if let Some(Err(error)) = self.execute(&Actor::DAEMON, None, &command, records) {
            tracing::debug!(%error, %session, "what the signs call for cannot be done");
        }
    }

    /// What was said and done comes into goals and results, which the journal keeps.
    fn without_secrets(&self, report: &Report) -> Report {
        let rules = self.rules.get();
        let clean = |text: &str| match rules.redact(text) {
            Cow::Borrowed(_) => text.to_owned(),
            Cow::Owned(clean) => clean,
        };
        match report {
            Report::Prompted { text } => Report::Prompted { text: clean(text) },
            Report::ToolEnded {
                tool,
                title,
                success,
            } => Report::ToolEnded {
                tool: tool.clone(),
                title: clean(title),
                success: *success,
            },
            Report::FileChanged { path } => Report::FileChanged { path: clean(path) },
            other => other.clone(),
        }
    }

    pub(super) fn answer_about_autonomy(&mut self, ask: Autonomy) {
        let answer = self.about_autonomy(&ask);
        // Nobody waits any more: nothing to tell.
        let _ = ask.reply.send(answer);
    }

    fn about_autonomy(&mut self, ask: &Autonomy) -> Result<(String, serde_json::Value), Error> {
        let before = self.state.autonomy_settings().clone();
        let now = self.clock.now();
        let reply = self.state.autonomy_call(now, &ask.session, &ask.call)?;
        if let Some(settings) = &reply.keep
            && let Err(error) = self.keep(settings)
        {
            // What would be gone after a restart has not been changed.
            self.state.set_autonomy(before);
            return Err(error);
        }
        Ok((reply.text, reply.data))
    }

    fn keep(&self, settings: &Settings) -> Result<(), Error> {
        let text = format!("{}\n", serde_json::json!(settings));
        Ok(self.write_settings(FILE, &text)?)
    }

    /// Tells of frames whose advice has changed, and of which no record tells.
    pub(super) fn tell_advice(&mut self) {
        let news = self.state.advice_news(self.clock.now());
        let frames: Vec<_> = news
            .into_iter()
            .filter_map(|id| self.state.frame_view(id))
            .collect();
        if !frames.is_empty() {
            self.shared.feed.publish(Change {
                frames,
                ..Change::default()
            });
        }
    }
}
