//! OpenCode for one prompt: `opencode run --format json`. It asks nobody: what needs a permission
//! is refused by itself.

use fornax_core::agent::{Order, Permissions};
use fornax_core::spec::ErrorClass;
use serde_json::Value;

use super::ended;
use super::opencode_parts::{Parts, class_of, words_of};
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::Job;

/// OpenCode's configuration by which nothing may be changed or reached.
const DENIED: &str =
    r#"{"edit": "deny", "bash": "deny", "webfetch": "deny", "websearch": "deny", "*_*": "deny"}"#;

/// One run of `opencode run`.
pub(crate) struct OpencodeRun {
    job: Job,
    parts: Parts,
    session: Option<String>,
    begun: bool,
    over: bool,
    interrupted: bool,
    /// Why the last step ended, and in which message.
    last: Option<(String, String)>,
    error: Option<Value>,
    /// What it said of a permission that it refused by itself.
    refused: Option<String>,
    /// It went on after an error, and says by its exit code only that there was one.
    mended: bool,
    /// The last that it said on its standard error.
    complaint: Option<String>,
}

impl OpencodeRun {
    pub fn new(job: &Job) -> OpencodeRun {
        OpencodeRun {
            job: job.clone(),
            parts: Parts::default(),
            session: None,
            begun: false,
            over: false,
            interrupted: false,
            last: None,
            error: None,
            refused: None,
            mended: false,
            complaint: None,
        }
    }

    fn event(&mut self, event: &Value, out: &mut Out) -> bool {
        let Some(kind) = event["type"].as_str() else {
            return false;
        };
        if let Some(session) = event["sessionID"].as_str()
            && self.session.is_none()
        {
            self.session = Some(session.to_owned());
            self.parts.own(session);
            out.tell(Happening::SessionStarted {
                session: session.to_owned(),
                model: self.job.model.clone(),
                version: None,
                resumed: self.job.resume.is_some(),
            });
            self.begin_turn(out);
        }
        let part = &event["part"];
        let message = part["messageID"].as_str().unwrap_or_default();
        match kind {
            "error" => self.error = Some(event["error"].clone()),
            // After an error it goes on where it can mend that, by a shorter conversation.
            "step_finish" => {
                self.mended |= self.error.take().is_some();
                let reason = part["reason"].as_str().unwrap_or_default();
                self.last = Some((reason.to_owned(), message.to_owned()));
                let model = self.job.model.clone();
                self.parts.answer_part(part, message, model, None, out);
            }
            _ => self.parts.answer_part(part, message, None, None, out),
        }
        true
    }

    fn begin_turn(&mut self, out: &mut Out) {
        if !std::mem::replace(&mut self.begun, true) {
            out.tell(Happening::TurnStarted {
                turn: 1,
                prompt: self.job.prompt.clone(),
            });
        }
    }

    fn exited(&mut self, code: Option<i32>, signal: Option<i32>, out: &mut Out) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        self.begin_turn(out);
        let truncated = "the answer was truncated: it reached the model's longest output";
        let reason = self.last.as_ref().map(|(reason, _)| reason.as_str());
        let end = match (&self.error, &self.refused, reason) {
            _ if self.interrupted => TurnEnd::Interrupted,
            (Some(error), ..) => TurnEnd::failed(class_of(error), words_of(error)),
            (None, _, Some("length")) => TurnEnd::failed(ErrorClass::Api, truncated),
            (None, _, Some("stop")) if code == Some(0) || (self.mended && code.is_some()) => {
                let message = self.last.as_ref().map(|(_, message)| message.as_str());
                let result = self.parts.text_of(message.unwrap_or_default());
                TurnEnd::Completed { result }
            }
            (None, Some(refused), _) => TurnEnd::failed(
                ErrorClass::ExitNonzero,
                format!(
                    "it needed a permission that nobody could give: {refused}; the driver \
                     `opencode` asks you"
                ),
            ),
            (None, None, Some(other)) if code == Some(0) => TurnEnd::failed(
                ErrorClass::Api,
                format!("the agent stopped without finishing; its last answer ended with {other}"),
            ),
            _ => {
                let mut failure = ended(code, signal);
                if let (Some(complaint), None) = (&self.complaint, signal) {
                    failure.message = format!("{}: {complaint}", failure.message);
                }
                TurnEnd::Failed(failure)
            }
        };
        out.tell(Happening::TurnEnded(end));
    }
}

impl Driver for OpencodeRun {
    fn launch(&self) -> Launch {
        let mut argv = self.job.argv.clone();
        argv.extend(["run", "--format", "json"].map(str::to_owned));
        if let Some(model) = &self.job.model {
            argv.extend(["--model".to_owned(), model.clone()]);
        }
        if let Some(resume) = &self.job.resume {
            argv.extend(["--session".to_owned(), resume.session.clone()]);
            if resume.fork {
                argv.push("--fork".to_owned());
            }
        } else if !self.job.title.is_empty() {
            argv.extend(["--title".to_owned(), self.job.title.clone()]);
        }
        if self.job.permissions == Permissions::Allow {
            argv.push("--auto".to_owned());
        }
        argv.extend(["--".to_owned(), self.job.prompt.clone()]);
        Launch::Process {
            argv,
            env: match self.job.permissions {
                Permissions::Deny => vec![("OPENCODE_PERMISSION".to_owned(), DENIED.to_owned())],
                // What would be asked is refused.
                Permissions::Ask | Permissions::Allow => Vec::new(),
            },
            converse: false,
        }
    }

    fn begin(&mut self, _out: &mut Out) {}

    fn hear(&mut self, heard: Heard<'_>, out: &mut Out) {
        match heard {
            Heard::Line(line) => {
                let event = serde_json::from_slice::<Value>(line);
                if !event.is_ok_and(|event| self.event(&event, out)) {
                    out.garbage += 1;
                }
            }
            Heard::ErrorLine(line) => {
                let line = plain(line);
                if let Some(at) = line.find("permission requested")
                    && line.contains("auto-rejecting")
                {
                    self.refused = Some(line[at..].to_owned());
                } else if !line.is_empty() {
                    self.complaint = Some(line);
                }
            }
            Heard::Exited { code, signal } => self.exited(code, signal, out),
            _ => {}
        }
    }

    fn order(&mut self, _order: &Order, _out: &mut Out) {}

    fn finish(&mut self, _out: &mut Out) {}

    fn interrupt(&mut self, out: &mut Out) {
        self.interrupted = true;
        out.say(Say::Interrupt);
    }
}

/// A line without what colours it in a terminal.
fn plain(line: &str) -> String {
    let mut pieces = line.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    let rest = pieces.map(|piece| piece.split_once('m').map_or(piece, |(_, text)| text));
    let plain = rest.fold(first, |plain, piece| plain + piece);
    plain.trim().to_owned()
}
