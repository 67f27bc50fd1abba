//! Subagents: from what hosts write of them to reports, what becomes due for them, and the settings
//! that say when they have frames.

use fornax_agents::happening::{Entry, Happening};
use fornax_core::agent::Usage;
use fornax_core::error::Error;
use fornax_core::frame::{Report, SessionId};
use fornax_core::ids::{FrameId, TaskId};
use fornax_core::record::{Actor, Record};
use fornax_core::state::Command;
use fornax_core::subagents::SubagentSettings;
use fornax_core::tools::{Call, Reply};

use super::worker::Worker;

/// Where the settings are kept, in the project's data.
const FILE: &str = "subagents.json";

impl Worker {
    /// The settings as they were when the project was open last.
    pub(super) fn read_subagent_settings(&mut self) {
        let kept = match self.read_settings(FILE) {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "the settings of subagents cannot be read");
                None
            }
        };
        let read = kept.map(|text| serde_json::from_str::<SubagentSettings>(&text));
        match read {
            Some(Ok(settings)) => self.state.set_subagent_settings(settings),
            Some(Err(error)) => {
                tracing::warn!(%error, "the settings of subagents are not what they should be");
            }
            None => {}
        }
    }

    /// Changes the settings as a call wants it, and keeps them. The reply, where that is one of how
    /// it was before.
    pub(super) fn subagent_settings_called(
        &mut self,
        session: &SessionId,
        call: &Call,
    ) -> Result<Option<Reply>, Error> {
        let now = self.clock.now();
        let before = match call {
            Call::SubagentStats(_) => {
                let (text, data) = self.state.subagent_reply(now, session, call)?;
                Some(Reply { text, data })
            }
            _ => None,
        };
        if let Some(settings) = self.state.subagent_settings_after(now, call)? {
            let text = serde_json::to_string_pretty(&settings).map_err(|error| {
                let message = format!("the settings cannot be written: {error}");
                Error::new(fornax_core::error::ErrorKind::Internal, message)
            })?;
            self.write_settings(FILE, &text)?;
            self.state.set_subagent_settings(settings);
        }
        Ok(before)
    }

    /// What a call about subagents is answered; none where it is about something else.
    pub(super) fn subagent_replied(
        &self,
        session: &SessionId,
        call: &Call,
    ) -> Option<Result<Reply, Error>> {
        matches!(
            call,
            Call::SubagentConfig(_) | Call::SubagentComplete(_) | Call::SubagentList(_)
        )
        .then(|| {
            let now = self.clock.now();
            let (text, data) = self.state.subagent_reply(now, session, call)?;
            Ok(Reply { text, data })
        })
    }

    /// An id for a frame that comes of a report. Most reports make none, and the next one gets it.
    pub(super) fn spare_frame(&mut self) -> Result<FrameId, Error> {
        let unused = self.spare.filter(|id| self.state.frame(*id).is_none());
        if let Some(id) = unused {
            return Ok(id);
        }
        let Some(writer) = &mut self.writer else {
            return Err(self.refused());
        };
        self.spare = writer.reserve_frames(1)?.pop();
        self.spare.ok_or_else(|| self.refused())
    }

    /// Subagents that have lived long enough for a frame, and those that do nothing any more.
    pub(super) fn report_what_is_due(&mut self, records: &mut Vec<Record>) {
        for (session, report) in self.state.due_reports(self.clock.now()) {
            self.reported(session, report, records);
        }
    }

    /// What a host wrote of its agent's subagents, and when it shortened its conversation. It is read
    /// from its beginning again after a restart; the state knows what it has heard.
    pub(super) fn hear_story(
        &mut self,
        task: TaskId,
        story: &[Entry],
        mut shortened: usize,
        records: &mut Vec<Record>,
    ) {
        let Some(agent) = self.agent_of(task) else {
            return;
        };
        let own = SessionId::of_task(task);
        let child = |id: &str| format!("{agent}:{id}").parse::<SessionId>().ok();
        for entry in story {
            if let Happening::Compacted { .. } = entry.happening {
                shortened += 1;
                if shortened <= self.state.compactions(&own) {
                    continue;
                }
            }
            let parent = match &entry.happening {
                Happening::ChildStarted { parent, .. } => parent.as_deref().and_then(child),
                _ => None,
            };
            if let Some(report) = report_of(entry, child) {
                self.reported(parent.unwrap_or_else(|| own.clone()), report, records);
            }
        }
    }

    /// The name of a task's agent, as the ids of its sessions bear it.
    fn agent_of(&self, task: TaskId) -> Option<&'static str> {
        let frame = self.state.frame(task.frame)?;
        let invocation = frame.spec.invocation_at(self.state.task(task)?.fallback)?;
        invocation.driver.map(fornax_core::agent::DriverKind::agent)
    }

    fn reported(&mut self, session: SessionId, report: Report, records: &mut Vec<Record>) {
        let id = match self.spare_frame() {
            Ok(id) => id,
            Err(error) => {
                tracing::warn!(%session, %error, "what happened in a session is not taken in");
                return;
            }
        };
        let command = Command::Report {
            session,
            report,
            id,
        };
        self.execute(&Actor::DAEMON, None, &command, records);
    }
}

/// What an entry says of a subagent or of the conversation. A message is a text or the call of a
/// tool: agents do not tell the borders of messages alike.
fn report_of(entry: &Entry, session: impl Fn(&str) -> Option<SessionId>) -> Option<Report> {
    let worked = |child: &Option<String>, messages, usage| {
        Some(Report::ChildWorked {
            child: session(child.as_deref()?)?,
            messages,
            usage,
        })
    };
    match &entry.happening {
        Happening::ChildStarted {
            session: child,
            title,
            ..
        } => Some(Report::ChildBegan {
            child: session(child)?,
            title: title.clone(),
            began: Some(entry.ts),
        }),
        Happening::Text { child, .. } | Happening::ToolCall { child, .. } => {
            worked(child, 1, Usage::default())
        }
        Happening::ModelCall { child, usage, .. } => worked(child, 0, *usage),
        Happening::ChildEnded {
            session: child,
            success,
            result,
        } => Some(Report::ChildEnded {
            child: session(child)?,
            // An end of which nothing is told is no success.
            success: success.unwrap_or(false),
            result: result.clone(),
        }),
        Happening::Compacted {
            summary,
            tokens_before,
            tokens_after,
        } => Some(Report::Compacted {
            summary: summary.clone().unwrap_or_default(),
            tokens_before: *tokens_before,
            tokens_after: *tokens_after,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fornax_core::time::Time;

    #[test]
    fn entries_become_reports_with_the_agents_name_in_front() {
        let lines = [
            (
                r#"{"type":"child_started","session":"s1","title":"Look"}"#,
                r#"{"type":"child_began","child":"claude:s1","title":"Look","began":"1970-01-01T00:00:00.007Z"}"#,
            ),
            (
                r#"{"type":"text","text":"hm","child":"s1"}"#,
                r#"{"type":"child_worked","child":"claude:s1","messages":1}"#,
            ),
            (
                r#"{"type":"child_ended","session":"s1","result":"so"}"#,
                r#"{"type":"child_ended","child":"claude:s1","success":false,"result":"so"}"#,
            ),
            (r#"{"type":"compacted"}"#, r#"{"type":"compacted"}"#),
        ];
        for (line, expected) in lines {
            let entry = Entry {
                v: 1,
                seq: 1,
                ts: Time(7),
                happening: serde_json::from_str(line).unwrap(),
            };
            let report = report_of(&entry, |id| format!("claude:{id}").parse().ok());
            let expected: Report = serde_json::from_str(expected).unwrap();
            assert_eq!(report, Some(expected), "{line}");
        }
        let own = r#"{"type":"text","text":"mine"}"#;
        let entry = Entry {
            v: 1,
            seq: 1,
            ts: Time(7),
            happening: serde_json::from_str(own).unwrap(),
        };
        assert_eq!(report_of(&entry, |_| None), None);
    }
}
