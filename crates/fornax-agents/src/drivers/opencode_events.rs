//! What OpenCode's server says of a session and its subagents, turned into happenings.
//!
//! The same messages and parts come as events, again and again while they grow, and as answers to
//! requests after something may have been missed: each thing is told once, by the part's id.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use fornax_core::agent::{Decision, Failure, Usage};
use fornax_core::spec::ErrorClass;
use fornax_core::time::Time;
use serde_json::Value;

use crate::classify::classify;
use crate::driver::Out;
use crate::happening::Happening;

/// What was told of a session and its subagents.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// The session; empty before it is known.
    pub main: String,
    /// Its subagents' sessions, and whether each works.
    pub children: BTreeMap<String, bool>,
    /// Messages that were made until then, in milliseconds since 1970, are another task's.
    pub since_ms: i64,
    /// The model that answered last: provider and model.
    pub model: Option<(String, String)>,
    /// The session's error since the turn began.
    pub error: Option<Failure>,
    messages: HashMap<String, Message>,
    told: HashSet<String>,
    /// When each message's present step began, in milliseconds since 1970.
    steps: HashMap<String, i64>,
}

#[derive(Debug, Default)]
struct Message {
    user: bool,
    old: bool,
    model: Option<String>,
    provider: Option<String>,
}

/// How a message of the assistant's stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Standing {
    pub id: String,
    pub user: bool,
    /// It is the summary of a shortened conversation.
    pub summary: bool,
    pub completed: bool,
    pub finish: Option<String>,
    pub error: Option<Value>,
    /// What it says.
    pub text: String,
}

impl Story {
    /// Whether the session is the task's, and whose it is: none for its own, the subagent's
    /// otherwise.
    fn whose(&self, session: &str) -> Option<Option<String>> {
        if self.main.is_empty() {
            None
        } else if session == self.main {
            Some(None)
        } else {
            self.children
                .contains_key(session)
                .then(|| Some(session.to_owned()))
        }
    }

    /// Whether the session is the task's own or one of its subagents'.
    pub fn knows(&self, session: &str) -> bool {
        self.whose(session).is_some()
    }

    /// A session was made.
    pub fn session(&mut self, info: &Value, out: &mut Out) {
        let parent = text(info, "/parentID");
        if self.knows(parent) {
            self.child(text(info, "/id"), text(info, "/title"), out);
        }
    }

    fn child(&mut self, session: &str, title: &str, out: &mut Out) {
        if session.is_empty() || session == self.main {
            return;
        }
        let works = self.children.entry(session.to_owned()).or_default();
        if !std::mem::replace(works, true) {
            out.tell(Happening::ChildStarted {
                session: session.to_owned(),
                title: title.to_owned(),
            });
        }
    }

    /// No subagent works any more.
    pub fn end_children(&mut self, out: &mut Out) {
        for (session, works) in &mut self.children {
            if std::mem::take(works) {
                out.tell(Happening::ChildEnded {
                    session: session.clone(),
                    success: None,
                });
            }
        }
    }

    /// A message, as it stands now.
    pub fn message(&mut self, info: &Value) {
        let Some(whose) = self.whose(text(info, "/sessionID")) else {
            return;
        };
        let user = text(info, "/role") == "user";
        let some = |at: &str| Some(text(info, at).to_owned()).filter(|text| !text.is_empty());
        let message = Message {
            user,
            old: number(info, "/time/created").is_some_and(|made| made <= self.since_ms),
            model: some("/modelID"),
            provider: some("/providerID"),
        };
        if whose.is_none()
            && let (Some(provider), Some(model)) = (&message.provider, &message.model)
        {
            self.model = Some((provider.clone(), model.clone()));
        }
        self.messages
            .insert(text(info, "/id").to_owned(), message);
    }

    /// A part of a message, as it stands now. `now_ms` is when that was, where it is told.
    pub fn part(&mut self, part: &Value, now_ms: Option<i64>, out: &mut Out) {
        let Some(child) = self.whose(text(part, "/sessionID")) else {
            return;
        };
        let message = text(part, "/messageID");
        if let Some(message) = self.messages.get(message)
            && (message.user || message.old)
        {
            return;
        }
        match text(part, "/type") {
            "text" => self.said(part, child, out),
            "reasoning" => self.thought(part, child.is_some(), out),
            "step-start" => {
                if let Some(now) = now_ms {
                    self.steps.insert(message.to_owned(), now);
                }
            }
            "step-finish" => self.step_finished(part, now_ms, child, out),
            "tool" => self.tool(part, child, out),
            _ => {}
        }
    }

    /// Whether this is to be told now; it will not be again.
    fn first(&mut self, what: &str, part: &Value) -> bool {
        let id = text(part, "/id");
        !id.is_empty() && self.told.insert(format!("{what} {id}"))
    }

    fn said(&mut self, part: &Value, child: Option<String>, out: &mut Out) {
        let whole = part.pointer("/time/end").is_some() && part["synthetic"] != true;
        let said = text(part, "/text");
        if whole && !said.is_empty() && self.first("text", part) {
            out.tell(Happening::Text {
                text: said.to_owned(),
                child,
            });
        }
    }

    fn thought(&mut self, part: &Value, by_child: bool, out: &mut Out) {
        let whole = part.pointer("/time/end").is_some();
        let thought = text(part, "/text");
        if whole && !by_child && !thought.is_empty() && self.first("thinking", part) {
            out.tell(Happening::Thinking {
                text: thought.to_owned(),
            });
        }
    }

    fn step_finished(
        &mut self,
        part: &Value,
        now_ms: Option<i64>,
        child: Option<String>,
        out: &mut Out,
    ) {
        if !self.first("usage", part) {
            return;
        }
        let message = text(part, "/messageID");
        let began = self.steps.remove(message);
        let known = self.messages.get(message);
        out.tell(Happening::ModelCall {
            call: text(part, "/id").to_owned(),
            model: known.and_then(|message| message.model.clone()),
            provider: known.and_then(|message| message.provider.clone()),
            usage: usage(part),
            duration_ms: began
                .zip(now_ms)
                .and_then(|(began, now)| u64::try_from(now - began).ok()),
            child,
        });
    }

    fn tool(&mut self, part: &Value, child: Option<String>, out: &mut Out) {
        let status = text(part, "/state/status");
        let ended = matches!(status, "completed" | "error");
        let (call, tool) = (text(part, "/callID"), text(part, "/tool"));
        if (status == "running" || ended) && self.first("call", part) {
            out.tell(Happening::ToolCall {
                call: call.to_owned(),
                tool: tool.to_owned(),
                title: title(part),
                input: part.pointer("/state/input").cloned().unwrap_or_default(),
                child,
            });
        }
        // A subagent is a session of its own, and the tool that started it says which.
        let subagent = match tool {
            "task" => text(part, "/state/metadata/sessionId").to_owned(),
            _ => String::new(),
        };
        if status == "running" {
            self.child(&subagent, text(part, "/state/title"), out);
        }
        if !ended || !self.first("result", part) {
            return;
        }
        let success = status == "completed" && exit_is_good(part);
        if let Some(works) = self.children.get_mut(&subagent)
            && std::mem::take(works)
        {
            out.tell(Happening::ChildEnded {
                session: subagent,
                success: Some(success),
            });
        }
        let output = match status {
            "completed" => text(part, "/state/output"),
            _ => text(part, "/state/error"),
        };
        out.tell(Happening::ToolResult {
            call: call.to_owned(),
            tool: tool.to_owned(),
            success,
            output: output.to_owned(),
            exit_code: number(part, "/state/metadata/exit").and_then(|code| code.try_into().ok()),
        });
        if success {
            for path in changed(part) {
                out.tell(Happening::FileChanged { path });
            }
        }
    }

    /// The newest message of an answer, after all of it has been taken in.
    pub fn messages(&mut self, answer: &Value, out: &mut Out) -> Option<Standing> {
        let messages = answer.as_array()?;
        for message in messages {
            self.message(&message["info"]);
            for part in message["parts"].as_array().into_iter().flatten() {
                self.part(part, None, out);
            }
        }
        let newest = messages.last()?;
        let info = &newest["info"];
        let texts = newest["parts"].as_array().into_iter().flatten();
        let texts = texts.filter(|part| part["type"] == "text" && part["synthetic"] != true);
        let texts: Vec<&str> = texts.map(|part| text(part, "/text")).collect();
        Some(Standing {
            id: text(info, "/id").to_owned(),
            user: text(info, "/role") == "user",
            summary: info["summary"] == true,
            completed: info.pointer("/time/completed").is_some(),
            finish: info["finish"].as_str().map(str::to_owned),
            error: info.get("error").filter(|error| error.is_object()).cloned(),
            text: texts.join("\n"),
        })
    }
}

/// The text at a place, empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value
        .pointer(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The whole number at a place. Numbers of JavaScript's may be written as fractions.
pub(crate) fn number(value: &Value, at: &str) -> Option<i64> {
    let number = value.pointer(at)?;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "what does not fit is cut to what does"
    )]
    number
        .as_i64()
        .or_else(|| number.as_f64().map(|float| float as i64))
}

/// What a step used. OpenCode counts thinking beside the output; its cost is 0 where it knows no
/// price.
pub(crate) fn usage(part: &Value) -> Usage {
    let tokens = |at: &str| {
        number(part, at)
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or_default()
    };
    let reasoning = tokens("/tokens/reasoning");
    let mut usage = Usage {
        input: tokens("/tokens/input"),
        output: tokens("/tokens/output").saturating_add(reasoning),
        cache_read: tokens("/tokens/cache/read"),
        cache_write: tokens("/tokens/cache/write"),
        reasoning,
        ..Usage::default()
    };
    let cost = part["cost"].as_f64().filter(|cost| cost.is_finite());
    usage.cost_usd = cost.filter(|cost| *cost > 0.0);
    usage
}

/// Whether a command ended well: one that was ended from outside has no exit code.
fn exit_is_good(part: &Value) -> bool {
    part.pointer("/state/metadata/exit")
        .is_none_or(|code| *code == 0)
}

/// One line about a tool's call.
fn title(part: &Value) -> String {
    let input = &part["state"]["input"];
    let telling = [
        "command",
        "filePath",
        "path",
        "pattern",
        "url",
        "query",
        "description",
    ];
    let told = telling.iter().find_map(|key| input[key].as_str());
    told.unwrap_or_else(|| text(part, "/state/title"))
        .to_owned()
}

/// The files that a tool wrote.
fn changed(part: &Value) -> BTreeSet<String> {
    let file = text(part, "/state/input/filePath").to_owned();
    match text(part, "/tool") {
        "write" | "edit" | "multiedit" if !file.is_empty() => BTreeSet::from([file]),
        "apply_patch" | "patch" => {
            let files = part.pointer("/state/metadata/files");
            let files = files.and_then(Value::as_array).into_iter().flatten();
            files
                .map(|file| text(file, "/filePath").to_owned())
                .filter(|path| !path.is_empty())
                .collect()
        }
        _ => BTreeSet::new(),
    }
}

/// What an error of OpenCode's means.
pub(crate) fn failure(error: &Value) -> Failure {
    let name = text(error, "/name");
    let said = text(error, "/data/message");
    let status = number(error, "/data/statusCode").and_then(|status| status.try_into().ok());
    let body = text(error, "/data/responseBody");
    let class = match name {
        "ContextOverflowError" => ErrorClass::ContextOverflow,
        "ProviderAuthError" => ErrorClass::Auth,
        _ => classify(status, Some(name), &format!("{said} {body}")),
    };
    let message = match (name, said) {
        ("MessageOutputLengthError", _) => "the answer was truncated: it grew too long",
        (name, "") => name,
        (_, said) => said,
    };
    Failure {
        class,
        message: message.to_owned(),
        retry_at: None,
    }
}

/// What is told of a try again.
pub(crate) fn retry(status: &Value) -> Happening {
    let message = text(status, "/message");
    let kind = status.pointer("/action/reason").and_then(Value::as_str);
    Happening::Retry {
        attempt: number(status, "/attempt")
            .and_then(|attempt| attempt.try_into().ok())
            .unwrap_or(1),
        class: classify(None, kind, message),
        message: message.to_owned(),
        at: number(status, "/next").map(Time::from_unix_ms),
        wait_ms: None,
    }
}

/// The server's word for a decision, and the other way round.
pub(crate) fn decision(reply: &str) -> Decision {
    match reply {
        "once" => Decision::Allow,
        "always" => Decision::Always,
        _ => Decision::Deny,
    }
}
