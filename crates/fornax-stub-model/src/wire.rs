//! The APIs of model providers: how a request is read and an answer written. One module for
//! each; all speak of the same `Conversation` and `Answer`.

mod chat;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::conversation::Conversation;
use crate::reply::{ErrorReply, Reply, Stop, Usage};

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
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON text.
    pub(crate) args: String,
}

impl Api {
    /// The API whose model calls are posted to this path, whatever comes before its end.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        path.ends_with("/chat/completions").then_some(Self::Chat)
    }

    /// Reads a request. Agents vary in what they send, so what is not understood is passed over.
    pub(crate) fn read(self, body: &Value) -> Conversation {
        match self {
            Self::Chat => chat::read(body),
        }
    }

    /// The answer in one piece.
    pub(crate) fn whole(self, answer: &Answer) -> Value {
        match self {
            Self::Chat => chat::whole(answer),
        }
    }

    /// The answer as server-sent events, one for each frame.
    pub(crate) fn frames(self, answer: &Answer, with_usage: bool) -> Vec<Bytes> {
        match self {
            Self::Chat => chat::frames(answer, with_usage),
        }
    }

    /// The body of an error.
    pub(crate) fn error(self, error: &ErrorReply) -> Value {
        match self {
            Self::Chat => chat::error(error),
        }
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
            .map(|(at, call)| Call {
                id: format!("call_{id}_{at}"),
                name: call.name,
                args: Value::Object(call.args).to_string(),
            })
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
            usage: reply.usage.unwrap_or_else(|| Some(Usage::default())),
            chunk_chars: reply.chunk_size.map_or(CHUNK_CHARS, usize::from),
        }
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
