//! Codex for one prompt: `codex exec --json`. It asks nobody.

use fornax_core::agent::{Order, Permissions};
use serde_json::{Value, json};

use super::codex_settings::mcp_settings;
use super::codex_usage::{Totals, total};
use super::ended;
use crate::classify::classify;
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::Job;

/// One run of `codex exec`.
pub(crate) struct CodexExec {
    job: Job,
    totals: Totals,
    thread: String,
    busy: bool,
    interrupted: bool,
    last_message: String,
    last_error: Option<String>,
    tries: u32,
}

impl CodexExec {
    pub fn new(job: &Job) -> CodexExec {
        let mut totals = Totals::default();
        if let Some(resume) = &job.resume {
            totals.counted(&resume.session, resume.counted);
        }
        CodexExec {
            job: job.clone(),
            totals,
            thread: String::new(),
            busy: false,
            interrupted: false,
            last_message: String::new(),
            last_error: None,
            tries: 0,
        }
    }

    fn begin_turn(&mut self, out: &mut Out) {
        if !std::mem::replace(&mut self.busy, true) {
            out.tell(Happening::TurnStarted {
                turn: 1,
                prompt: self.job.prompt.clone(),
            });
        }
    }

    fn end_turn(&mut self, end: TurnEnd, out: &mut Out) {
        if std::mem::take(&mut self.busy) {
            out.tell(Happening::TurnEnded(end));
        }
    }

    fn event(&mut self, event: &Value, out: &mut Out) -> bool {
        match event["type"].as_str() {
            Some("thread.started") => {
                self.thread = event["thread_id"].as_str().unwrap_or_default().to_owned();
                out.tell(Happening::SessionStarted {
                    session: self.thread.clone(),
                    model: self.job.model.clone(),
                    version: None,
                    resumed: self.job.resume.is_some(),
                });
            }
            Some("turn.started") => self.begin_turn(out),
            Some("item.started") => started(&event["item"], out),
            Some("item.completed") => self.item(&event["item"], out),
            Some("error") => {
                let message = event["message"].as_str().unwrap_or_default();
                if message.starts_with("Reconnecting") {
                    self.tries += 1;
                    out.tell(Happening::Retry {
                        attempt: self.tries,
                        class: classify(None, None, message),
                        message: message.to_owned(),
                        at: None,
                        wait_ms: None,
                    });
                } else {
                    self.last_error = Some(message.to_owned());
                }
            }
            Some("turn.completed") => {
                self.begin_turn(out);
                let thread = self.thread.clone();
                if let Some((call, usage)) =
                    self.totals.added(&thread, total(&event["usage"], false))
                {
                    out.tell(Happening::ModelCall {
                        call,
                        model: self.job.model.clone(),
                        provider: None,
                        usage,
                        duration_ms: None,
                        child: None,
                    });
                }
                let result = self.last_message.clone();
                self.end_turn(TurnEnd::Completed { result }, out);
            }
            Some("turn.failed") => {
                self.begin_turn(out);
                let message = event["error"]["message"].as_str();
                let message = message.map(str::to_owned).or(self.last_error.take());
                let message = message.unwrap_or_else(|| "the turn failed".to_owned());
                let class = classify(None, None, &message);
                self.end_turn(TurnEnd::failed(class, message), out);
            }
            Some(_) => {}
            None => return false,
        }
        true
    }

    fn item(&mut self, item: &Value, out: &mut Out) {
        let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let done = item["status"] == "completed";
        match item["type"].as_str() {
            Some("agent_message") => {
                self.last_message = text("text");
                out.tell(Happening::Text {
                    text: text("text"),
                    child: None,
                });
            }
            Some("reasoning") => out.tell(Happening::Thinking { text: text("text") }),
            Some("command_execution") => {
                let code = item["exit_code"].as_i64();
                let code = code.and_then(|code| i32::try_from(code).ok());
                out.tell(Happening::ToolResult {
                    call: text("id"),
                    tool: "command".to_owned(),
                    success: done && code.is_none_or(|code| code == 0),
                    output: text("aggregated_output"),
                    exit_code: code,
                });
            }
            Some("file_change") => {
                let changes = item["changes"].as_array().into_iter().flatten();
                for path in changes.filter_map(|change| change["path"].as_str()) {
                    out.tell(Happening::FileChanged {
                        path: path.to_owned(),
                    });
                }
            }
            Some("mcp_tool_call") => out.tell(Happening::ToolResult {
                call: text("id"),
                tool: format!("{}/{}", text("server"), text("tool")),
                success: done,
                output: item["result"].to_string(),
                exit_code: None,
            }),
            // Only a warning, whatever it is called.
            Some("error") => out.tell(Happening::Warning {
                message: text("message"),
            }),
            _ => {}
        }
    }
}

fn started(item: &Value, out: &mut Out) {
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let (tool, title, input) = match item["type"].as_str() {
        Some("command_execution") => {
            let input = json!({ "command": item["command"] });
            ("command".to_owned(), text("command"), input)
        }
        Some("mcp_tool_call") => {
            let tool = format!("{}/{}", text("server"), text("tool"));
            let title = item["arguments"].to_string();
            (tool, title, item["arguments"].clone())
        }
        _ => return,
    };
    out.tell(Happening::ToolCall {
        call: text("id"),
        tool,
        title,
        input,
        child: None,
    });
}

/// Arguments that say how far its commands may reach.
const SANDBOX_WORDS: [&str; 4] = [
    "-s",
    "--sandbox",
    "--full-auto",
    "--dangerously-bypass-approvals-and-sandbox",
];

impl Driver for CodexExec {
    fn launch(&self) -> Launch {
        let mut argv = self.job.argv.clone();
        argv.extend(mcp_settings(&self.job));
        argv.push("exec".to_owned());
        if let Some(resume) = &self.job.resume {
            argv.extend(["resume".to_owned(), resume.session.clone()]);
        }
        let sandbox = match self.job.permissions {
            Permissions::Ask | Permissions::Allow => "workspace-write",
            Permissions::Deny => "read-only",
        };
        argv.extend(["--json", "--skip-git-repo-check"].map(str::to_owned));
        // The user's own word about it counts.
        let says = |word: &String| SANDBOX_WORDS.contains(&word.as_str());
        if self.job.resume.is_none() && !self.job.argv.iter().any(says) {
            argv.extend(["--sandbox", sandbox].map(str::to_owned));
        }
        if let Some(model) = &self.job.model {
            argv.extend(["--model".to_owned(), model.clone()]);
        }
        argv.extend(["--".to_owned(), self.job.prompt.clone()]);
        Launch::Process {
            argv,
            env: Vec::new(),
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
            Heard::Exited { code, signal } if self.thread.is_empty() || self.busy => {
                self.begin_turn(out);
                let end = match self.interrupted {
                    true => TurnEnd::Interrupted,
                    false => TurnEnd::Failed(ended(code, signal)),
                };
                self.end_turn(end, out);
            }
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
