//! The APIs of model providers: how a request is read and an answer written. One module for
//! each; all speak of the same `Conversation` and `Answer`.

mod chat;
mod fault;
mod gemini;
mod messages;
mod responses;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::conversation::Conversation;
use crate::reply::{ErrorReply, Reply, Stop, ToolCall, Usage};

pub(crate) use fault::Fault;

/// The only model there is.
pub(crate) const MODEL: &str = "stub-model";

/// Characters in a frame of text where a reply does not say.
const CHUNK_CHARS: usize = 40;

/// An API that the stub speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI chat completions: `POST */chat/completions`.
    Chat,
    /// OpenAI Responses: `POST */responses`.
    Responses,
    /// Anthropic Messages: `POST */messages`.
    Messages,
    /// Gemini: `POST */models/NAME:generateContent`, or `:streamGenerateContent?alt=sse`.
    Gemini,
}

/// A reply with everything settled, ready to be written in some API's words.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Unique among the answers of all stubs a session may meet.
    pub(crate) id: String,
    pub(crate) created_s: u64,
    pub(crate) model: String,
    pub(crate) text: String,
    pub(crate) thinking: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) stop: Stop,
    /// `None` where the provider reports none.
    pub(crate) usage: Option<Usage>,
    pub(crate) chunk_chars: usize,
}

/// A tool call of an answer.
#[derive(Debug)]
pub(crate) struct Call {
    /// Unique as the answer's is; without the prefix that some APIs give it.
    pub(crate) id: String,
    pub(crate) name: String,
    /// A JSON object.
    pub(crate) args: Value,
    /// What a tool that takes free text is given.
    pub(crate) free_text: Option<String>,
}

impl Call {
    fn new(id: String, call: ToolCall, talk: &Conversation) -> Self {
        let free = talk.free_text_tools.contains(&call.name);
        let input = call.args.get("input").and_then(Value::as_str);
        Self {
            id,
            free_text: free.then(|| input.unwrap_or_default().to_owned()),
            name: call.name,
            args: Value::Object(call.args),
        }
    }

    /// The arguments as JSON text.
    fn args_text(&self) -> String {
        self.args.to_string()
    }
}

impl Api {
    /// The API whose model calls are posted to this path, whatever comes before its end.
    pub(crate) fn of_call(path: &str, query: Option<&str>) -> Option<Self> {
        // Without it this API streams in another format, which no agent asks for.
        let as_events = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
        let ends = |end: &str| path.ends_with(end);
        match () {
            () if ends("/chat/completions") => Some(Self::Chat),
            () if ends("/responses") => Some(Self::Responses),
            () if ends("/messages") => Some(Self::Messages),
            () if ends(":generateContent") || (ends(gemini::STREAM) && as_events) => {
                Some(Self::Gemini)
            }
            () => None,
        }
    }

    /// Reads a request. Agents vary in what they send, so what is not understood is passed over.
    pub(crate) fn read(self, path: &str, body: &Value) -> Conversation {
        match self {
            Self::Chat => chat::read(body),
            Self::Responses => responses::read(body),
            Self::Messages => messages::read(body),
            Self::Gemini => gemini::read(path, body),
        }
    }

    /// The answer in one piece.
    pub(crate) fn whole(self, answer: &Answer) -> Value {
        match self {
            Self::Chat => chat::whole(answer),
            Self::Responses => responses::whole(answer),
            Self::Messages => messages::whole(answer),
            Self::Gemini => gemini::whole(answer),
        }
    }

    /// The answer as server-sent events, one for each frame.
    pub(crate) fn frames(self, answer: &Answer) -> Vec<Bytes> {
        match self {
            Self::Chat => chat::frames(answer),
            Self::Responses => responses::frames(answer),
            Self::Messages => messages::frames(answer),
            Self::Gemini => gemini::frames(answer),
        }
    }

    /// The error in this provider's words.
    pub(crate) fn fault(self, error: &ErrorReply) -> Fault {
        Fault::new(self, error)
    }

    /// The body of an error.
    pub(crate) fn error(self, fault: &Fault) -> Value {
        match self {
            Self::Chat | Self::Responses => chat::error(fault),
            Self::Messages => messages::error(fault),
            Self::Gemini => gemini::error(fault),
        }
    }

    /// The frames of an answer that breaks off with an error after so many of them.
    pub(crate) fn broken_frames(self, answer: &Answer, fault: &Fault, after: usize) -> Vec<Bytes> {
        let mut frames = self.frames(answer);
        // The last one would say that all went well.
        frames.truncate(after.min(frames.len().saturating_sub(1)));
        frames.push(match self {
            Self::Responses => named_event(&responses::error_event(answer, fault, frames.len())),
            Self::Messages => named_event(&messages::error(fault)),
            Self::Chat | Self::Gemini => event(&self.error(fault).to_string()),
        });
        frames
    }
}

/// The list of models, in the shape that the asking agent knows.
pub(crate) fn models(path: &str, query: Option<&str>, headers: &HeaderMap) -> Value {
    if query.is_some_and(|query| query.contains("client_version=")) {
        // Codex: it takes what it knows of a model from here. An empty list leaves it as it is.
        json!({"models": []})
    } else if headers.contains_key("anthropic-version") {
        messages::models()
    } else if headers.contains_key("x-goog-api-key") || path.contains("/v1beta") {
        gemini::models()
    } else {
        chat::models()
    }
}

/// The answer to a request that asks how many tokens it has, as far as that can be told
/// without a model: one for each four bytes. `None` where the path asks for nothing like it.
pub(crate) fn count_tokens(path: &str, body_bytes: usize) -> Option<Value> {
    let tokens = body_bytes / 4;
    if path.ends_with("/messages/count_tokens") {
        Some(json!({"input_tokens": tokens}))
    } else if path.ends_with(":countTokens") {
        Some(json!({"totalTokens": tokens}))
    } else {
        None
    }
}

impl Answer {
    /// Settles a filled reply for one conversation.
    pub(crate) fn new(id: String, reply: Reply, talk: &Conversation) -> Self {
        let calls: Vec<Call> = reply
            .tools
            .into_iter()
            .filter_map(|entry| {
                let mut options = entry.0;
                let at = options
                    .iter()
                    .position(|call| talk.offers(&call.name))
                    .unwrap_or(0);
                // An entry is never empty: the script's check saw to that.
                (at < options.len()).then(|| options.swap_remove(at))
            })
            .enumerate()
            .map(|(at, call)| Call::new(format!("{id}_{at}"), call, talk))
            .collect();
        let stop = reply.stop.unwrap_or(if calls.is_empty() {
            Stop::End
        } else {
            Stop::Tool
        });
        Self {
            id,
            created_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
            model: talk.model.clone(),
            text: reply.text,
            thinking: reply.thinking,
            calls,
            stop,
            usage: reply
                .usage
                .unwrap_or_else(|| Some(Usage::default()))
                .filter(|_| talk.wants_usage),
            chunk_chars: reply.chunk_size.map_or(CHUNK_CHARS, usize::from),
        }
    }
}

/// A server-sent event with nothing but data.
fn event(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// A server-sent event that bears its type as its name too.
fn named_event(data: &Value) -> Bytes {
    let name = data["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The text of a message: a string, or parts of which some have text.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// `text` in pieces of so many characters.
fn pieces(text: &str, chars: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .nth(chars)
            .map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
