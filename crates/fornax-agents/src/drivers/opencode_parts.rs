//! The parts of OpenCode's messages, as both of its drivers read them: each is told once, when it
//! is whole.

use std::collections::{BTreeMap, BTreeSet};

use fornax_core::agent::Usage;
use fornax_core::spec::ErrorClass;
use serde_json::Value;

use super::claude_events::title;
use crate::classify::classify;
use crate::driver::Out;
use crate::happening::Happening;

/// What is known of the sessions of one task: its own and those of its subagents.
#[derive(Debug, Default)]
pub(super) struct Parts {
    own: Option<String>,
    children: BTreeSet<String>,
    /// Answers by id, with the model that gave them.
    answers: BTreeMap<String, Option<String>>,
    /// The text of each answer.
    texts: BTreeMap<String, String>,
    /// Parts that were told.
    told: BTreeSet<String>,
    /// Tools that run.
    running: BTreeSet<String>,
}

impl Parts {
    /// The task's own session.
    pub fn own(&mut self, session: &str) {
        self.own = Some(session.to_owned());
    }

    /// Whether a session belongs to the task.
    pub fn knows(&self, session: &str) -> bool {
        self.own.as_deref() == Some(session) || self.children.contains(session)
    }

    /// All answers so far.
    pub fn answers(&self) -> impl Iterator<Item = String> {
        self.answers.keys().cloned()
    }

    /// What an answer says.
    pub fn text_of(&self, answer: &str) -> String {
        self.texts.get(answer).cloned().unwrap_or_default()
    }

    /// A session came to be.
    pub fn created(&mut self, info: &Value, out: &mut Out) {
        let (Some(id), Some(parent)) = (info["id"].as_str(), info["parentID"].as_str()) else {
            return;
        };
        if self.knows(parent) && self.children.insert(id.to_owned()) {
            out.tell(Happening::ChildStarted {
                session: id.to_owned(),
                title: info["title"].as_str().unwrap_or_default().to_owned(),
            });
        }
    }

    /// A subagent has nothing more to do.
    pub fn child_idle(&mut self, session: &str, out: &mut Out) {
        out.tell(Happening::ChildEnded {
            session: session.to_owned(),
            success: None,
        });
    }

    /// A message came to be or changed.
    pub fn message(&mut self, info: &Value) {
        if info["role"] != "assistant" {
            return;
        }
        let text = |field: &str| info[field].as_str();
        if let Some(id) = text("id") {
            let model = text("providerID").zip(text("modelID"));
            let model = model.map(|(provider, model)| format!("{provider}/{model}"));
            self.answers.insert(id.to_owned(), model);
        }
    }

    /// A part of a message came to be or changed.
    pub fn part(&mut self, part: &Value, out: &mut Out) {
        let text = |field: &str| part[field].as_str().unwrap_or_default();
        let message = text("messageID");
        let Some(model) = self.answers.get(message).cloned() else {
            return;
        };
        let session = text("sessionID");
        let child = (self.own.as_deref() != Some(session)).then(|| session.to_owned());
        self.answer_part(part, message, model, child, out);
    }

    /// A part of an answer.
    pub fn answer_part(
        &mut self,
        part: &Value,
        message: &str,
        model: Option<String>,
        child: Option<String>,
        out: &mut Out,
    ) {
        let text = |field: &str| part[field].as_str().unwrap_or_default();
        let id = text("id").to_owned();
        let whole = !part["time"]["end"].is_null();
        match text("type") {
            "text" if whole && !text("text").trim().is_empty() && self.told.insert(id.clone()) => {
                let said = self.texts.entry(message.to_owned()).or_default();
                if !said.is_empty() {
                    said.push_str("\n\n");
                }
                said.push_str(text("text"));
                out.tell(Happening::Text {
                    text: text("text").to_owned(),
                    child,
                });
            }
            "reasoning"
                if whole && !text("text").trim().is_empty() && self.told.insert(id.clone()) =>
            {
                out.tell(Happening::Thinking {
                    text: text("text").to_owned(),
                });
            }
            "tool" => self.tool(part, child, out),
            "patch" if self.told.insert(id.clone()) => {
                let files = part["files"].as_array().into_iter().flatten();
                for path in files.filter_map(Value::as_str) {
                    out.tell(Happening::FileChanged {
                        path: path.to_owned(),
                    });
                }
            }
            "step-finish" if self.told.insert(id.clone()) => {
                let usage = usage(part);
                if !usage.is_zero() {
                    out.tell(Happening::ModelCall {
                        call: id,
                        provider: model
                            .as_deref()
                            .and_then(|model| model.split_once('/'))
                            .map(|(provider, _)| provider.to_owned()),
                        model,
                        usage,
                        duration_ms: None,
                        child,
                    });
                }
            }
            _ => {}
        }
    }

    fn tool(&mut self, part: &Value, child: Option<String>, out: &mut Out) {
        let text = |field: &str| part[field].as_str().unwrap_or_default().to_owned();
        let (call, tool, state) = (text("callID"), text("tool"), &part["state"]);
        let over = match state["status"].as_str() {
            Some("running") => false,
            Some("completed" | "error") => true,
            _ => return,
        };
        let key = format!("{call} {}", text("messageID"));
        if self.told.contains(&key) {
            return;
        }
        if self.running.insert(key.clone()) {
            out.tell(Happening::ToolCall {
                call: call.clone(),
                tool: tool.clone(),
                title: title(&state["input"]),
                input: state["input"].clone(),
                child,
            });
        }
        if !over {
            return;
        }
        self.running.remove(&key);
        self.told.insert(key);
        let exit_code = state["metadata"]["exit"].as_i64();
        let exit_code = exit_code.and_then(|code| i32::try_from(code).ok());
        let output = state["output"].as_str().or(state["error"].as_str());
        out.tell(Happening::ToolResult {
            call,
            tool,
            success: state["status"] == "completed" && exit_code.is_none_or(|code| code == 0),
            output: output.unwrap_or_default().to_owned(),
            exit_code,
        });
    }
}

/// What a step used. OpenCode counts thinking beside the output; a price of nothing is one that it
/// does not know.
fn usage(part: &Value) -> Usage {
    let tokens = &part["tokens"];
    let count = |pointer: &str| tokens.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let reasoning = count("/reasoning");
    Usage {
        input: count("/input"),
        output: count("/output") + reasoning,
        cache_read: count("/cache/read"),
        cache_write: count("/cache/write"),
        reasoning,
        cost_usd: part["cost"].as_f64().filter(|cost| *cost > 0.0),
        estimated: false,
    }
}

/// The class of an error object of OpenCode's.
pub(super) fn class_of(error: &Value) -> ErrorClass {
    let status = error["data"]["statusCode"].as_u64();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let body = error["data"]["responseBody"].as_str().unwrap_or_default();
    let words = format!("{} {body}", words_of(error));
    match error["name"].as_str() {
        Some("MessageAbortedError") => ErrorClass::Cancelled,
        name => classify(status, name, &words),
    }
}

/// An error object of OpenCode's in words.
pub(super) fn words_of(error: &Value) -> String {
    let message = error["data"]["message"].as_str();
    let name = error["name"].as_str().unwrap_or("an error without a name");
    message.map_or_else(|| name.to_owned(), str::to_owned)
}
