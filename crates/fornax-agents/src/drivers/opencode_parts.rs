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
    /// Messages that were made until then, in milliseconds since 1970, are an earlier task's.
    since_ms: i64,
    /// The subagents' sessions, and whether each works.
    children: BTreeMap<String, bool>,
    /// When each message's present step began, in milliseconds since 1970.
    steps: BTreeMap<String, i64>,
    /// Answers by id, with the model that gave them.
    answers: BTreeMap<String, Option<String>>,
    /// Answers that sum the conversation up, and whether that was told.
    summaries: BTreeMap<String, bool>,
    /// Tokens of the newest call in the conversation.
    tokens: Option<u64>,
    /// The conversation's tokens before it was summed up last.
    tokens_before: Option<u64>,
    /// What each subagent said last.
    last_words: BTreeMap<String, String>,
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
        self.own.as_deref() == Some(session) || self.children.contains_key(session)
    }

    /// Nothing that was said until then is told, in milliseconds since 1970.
    pub fn since(&mut self, ms: i64) {
        self.since_ms = ms;
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
        if self.knows(parent) {
            let title = info["title"].as_str().unwrap_or_default();
            self.child_works(id, title, Some(parent), out);
        }
    }

    fn child_works(&mut self, session: &str, title: &str, parent: Option<&str>, out: &mut Out) {
        let parent = parent.filter(|parent| self.own.as_deref() != Some(*parent));
        let works = self.children.entry(session.to_owned()).or_default();
        if !std::mem::replace(works, true) {
            out.tell(Happening::ChildStarted {
                session: session.to_owned(),
                title: title.to_owned(),
                parent: parent.map(str::to_owned),
            });
        }
    }

    fn child_ended(&mut self, session: &str, success: Option<bool>, out: &mut Out) {
        let result = self.last_words.remove(session).unwrap_or_default();
        if let Some(works) = self.children.get_mut(session)
            && std::mem::take(works)
        {
            out.tell(Happening::ChildEnded {
                session: session.to_owned(),
                success,
                result,
            });
        }
    }

    /// The turn is over, and no subagent works any more.
    pub fn end_children(&mut self, out: &mut Out) {
        for session in self.children.keys().cloned().collect::<Vec<_>>() {
            self.child_ended(&session, None, out);
        }
    }

    /// A message came to be or changed.
    pub fn message(&mut self, info: &Value) {
        let made = info.pointer("/time/created").and_then(Value::as_i64);
        if info["role"] != "assistant" || made.is_some_and(|made| made <= self.since_ms) {
            return;
        }
        let text = |field: &str| info[field].as_str();
        if let Some(id) = text("id") {
            let model = text("providerID").zip(text("modelID"));
            let model = model.map(|(provider, model)| format!("{provider}/{model}"));
            self.answers.insert(id.to_owned(), model);
            if info["summary"] == true && info["sessionID"].as_str() == self.own.as_deref() {
                if !self.summaries.contains_key(id) {
                    self.tokens_before = self.tokens;
                }
                self.summaries.entry(id.to_owned()).or_default();
            }
        }
    }

    /// Whether it is known what the conversation was shortened to last.
    pub fn knows_summary(&self) -> bool {
        let newest = self.summaries.keys().next_back();
        newest.is_some_and(|id| self.texts.contains_key(id))
    }

    /// The conversation was shortened: what is known of that.
    pub fn shortened(&mut self) -> Happening {
        let summary = self.summaries.iter_mut().next_back();
        let new = summary.filter(|(_, told)| !**told).map(|(id, told)| {
            *told = true;
            id.clone()
        });
        let summary = new.and_then(|id| self.texts.get(&id).cloned());
        Happening::Compacted {
            tokens_before: self.tokens_before.take().filter(|_| summary.is_some()),
            summary,
            tokens_after: None,
        }
    }

    /// A part of a message came to be or changed; when, in milliseconds since 1970, where that is
    /// known.
    pub fn part(&mut self, part: &Value, at_ms: Option<i64>, out: &mut Out) {
        let text = |field: &str| part[field].as_str().unwrap_or_default();
        let message = text("messageID");
        let Some(model) = self.answers.get(message).cloned() else {
            return;
        };
        let session = text("sessionID");
        let child = (self.own.as_deref() != Some(session)).then(|| session.to_owned());
        match (text("type"), at_ms) {
            ("step-start", Some(began)) => {
                self.steps.insert(message.to_owned(), began);
            }
            ("step-finish", _) => {
                let began = self.steps.remove(message);
                let took = began
                    .zip(at_ms)
                    .map(|(began, end)| end.saturating_sub(began));
                let took = took.and_then(|took| u64::try_from(took).ok());
                self.used(part, model, child, took, out);
            }
            _ => self.answer_part(part, message, model, child, out),
        }
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
        let id = || text("id").to_owned();
        let whole = !part["time"]["end"].is_null();
        match text("type") {
            "text"
                if whole
                    && part["synthetic"] != true
                    && !text("text").trim().is_empty()
                    && self.told.insert(id()) =>
            {
                let said = self.texts.entry(message.to_owned()).or_default();
                if !said.is_empty() {
                    said.push_str("\n\n");
                }
                said.push_str(text("text"));
                if let Some(child) = &child {
                    self.last_words
                        .insert(child.clone(), text("text").to_owned());
                }
                out.tell(Happening::Text {
                    text: text("text").to_owned(),
                    child,
                });
            }
            "reasoning"
                if whole
                    && child.is_none()
                    && !text("text").trim().is_empty()
                    && self.told.insert(id()) =>
            {
                out.tell(Happening::Thinking {
                    text: text("text").to_owned(),
                });
            }
            "tool" => self.tool(part, child, out),
            "step-finish" => self.used(part, model, child, None, out),
            _ => {}
        }
    }

    /// A step has ended: what it used.
    fn used(
        &mut self,
        part: &Value,
        model: Option<String>,
        child: Option<String>,
        duration_ms: Option<u64>,
        out: &mut Out,
    ) {
        let id = part["id"].as_str().unwrap_or_default();
        let usage = usage(part);
        if !self.told.insert(id.to_owned()) || usage.is_zero() {
            return;
        }
        let message = part["messageID"].as_str().unwrap_or_default();
        if child.is_none() && !self.summaries.contains_key(message) {
            self.tokens = Some(usage.total());
        }
        let provider = model.as_deref().and_then(|model| model.split_once('/'));
        out.tell(Happening::ModelCall {
            call: id.to_owned(),
            provider: provider.map(|(provider, _)| provider.to_owned()),
            model,
            usage,
            duration_ms,
            child,
        });
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
                child: child.clone(),
            });
        }
        // A subagent is a session of its own, and the tool that runs it says which.
        let subagent = match tool.as_str() {
            "task" => state.pointer("/metadata/sessionId").and_then(Value::as_str),
            _ => None,
        };
        if let Some(subagent) = subagent {
            let title = state["title"].as_str().unwrap_or_default();
            self.child_works(subagent, title, child.as_deref(), out);
        }
        if !over {
            return;
        }
        self.running.remove(&key);
        self.told.insert(key);
        // A command that was ended from outside has no exit code, and says so.
        let exit = state.pointer("/metadata/exit");
        let success = state["status"] == "completed" && exit.is_none_or(|code| *code == 0);
        if let Some(subagent) = subagent {
            self.child_ended(subagent, Some(success), out);
        }
        let output = state["output"].as_str().or(state["error"].as_str());
        out.tell(Happening::ToolResult {
            call,
            tool: tool.clone(),
            success,
            output: output.unwrap_or_default().to_owned(),
            exit_code: exit
                .and_then(Value::as_i64)
                .and_then(|code| i32::try_from(code).ok()),
        });
        if success {
            for path in written(&tool, state) {
                out.tell(Happening::FileChanged { path });
            }
        }
    }
}

/// The files that a tool wrote.
fn written(tool: &str, state: &Value) -> BTreeSet<String> {
    let owned = |path: &Value| path.as_str().map(str::to_owned);
    match tool {
        "write" | "edit" | "multiedit" => owned(&state["input"]["filePath"]).into_iter().collect(),
        "apply_patch" | "patch" => {
            let files = state.pointer("/metadata/files").and_then(Value::as_array);
            let files = files.into_iter().flatten();
            files.filter_map(|file| owned(&file["filePath"])).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// What a step used. OpenCode counts thinking beside the output; a price of nothing is one that it
/// does not know.
fn usage(part: &Value) -> Usage {
    let tokens = &part["tokens"];
    let count = |pointer: &str| tokens.pointer(pointer).map_or(0, whole);
    let reasoning = count("/reasoning");
    Usage {
        input: count("/input"),
        output: count("/output").saturating_add(reasoning),
        cache_read: count("/cache/read"),
        cache_write: count("/cache/write"),
        reasoning,
        cost_usd: part["cost"].as_f64().filter(|cost| *cost > 0.0),
        estimated: false,
    }
}

/// A number of JavaScript's as a count.
fn whole(number: &Value) -> u64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what does not fit is cut to what does"
    )]
    number
        .as_u64()
        .or_else(|| number.as_f64().map(|float| float as u64))
        .unwrap_or(0)
}

/// The class of an error object of OpenCode's.
pub(super) fn class_of(error: &Value) -> ErrorClass {
    let status = error["data"]["statusCode"].as_u64();
    let status = status.and_then(|status| u16::try_from(status).ok());
    let body = error["data"]["responseBody"].as_str().unwrap_or_default();
    let words = format!("{} {body}", words_of(error));
    match error["name"].as_str() {
        Some("MessageAbortedError") => ErrorClass::Cancelled,
        Some("ContextOverflowError") => ErrorClass::ContextOverflow,
        name => classify(status, name, &words),
    }
}

/// An error object of OpenCode's in words.
pub(super) fn words_of(error: &Value) -> String {
    if error["name"] == "MessageOutputLengthError" {
        return "the answer was truncated: it reached the model's longest output".to_owned();
    }
    let message = error["data"]["message"].as_str();
    let name = error["name"].as_str().unwrap_or("an error without a name");
    // Some have OpenCode's own stack behind them.
    let words = message.map(|message| message.split("\n    at ").next().unwrap_or(message));
    words.unwrap_or(name).trim().to_owned()
}
