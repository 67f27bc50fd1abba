//! What the state of an OpenCode session says of its turn.

use fornax_core::spec::ErrorClass;
use serde_json::Value;

use crate::drivers::opencode_parts::{class_of, words_of};
use crate::happening::TurnEnd;

/// How the newest message of a session stands.
#[derive(Debug, PartialEq)]
pub(super) struct Standing {
    pub id: String,
    /// It is a prompt.
    pub user: bool,
    /// It is the summary of a conversation that was shortened.
    pub summary: bool,
    pub completed: bool,
    pub finish: Option<String>,
    pub error: Option<Value>,
}

impl Standing {
    /// Reads it off a message.
    pub fn of(info: &Value) -> Option<Standing> {
        Some(Standing {
            id: info["id"].as_str()?.to_owned(),
            user: info["role"] == "user",
            summary: info["summary"] == true,
            completed: info.pointer("/time/completed").is_some(),
            finish: info["finish"].as_str().map(str::to_owned),
            error: info.get("error").filter(|error| error.is_object()).cloned(),
        })
    }

    /// Whether a session that ends with this message was at work.
    pub fn in_mid_turn(&self) -> bool {
        !self.completed || self.finish.as_deref() == Some("tool-calls")
    }

    /// What it means for the turn once the session is idle; none where the session is not at its
    /// end. `error` is the session's own, `text` what the message says.
    pub fn verdict(
        &self,
        interrupting: bool,
        error: Option<&Value>,
        text: impl FnOnce() -> String,
    ) -> Option<TurnEnd> {
        if interrupting {
            return self.completed.then_some(TurnEnd::Interrupted);
        }
        if let Some(error) = &self.error {
            return Some(failed(error));
        }
        if self.summary || !self.completed {
            return error.map(failed);
        }
        Some(match self.finish.as_deref()? {
            "stop" => TurnEnd::Completed { result: text() },
            "length" => TurnEnd::failed(
                ErrorClass::Api,
                "the answer was truncated: it reached the model's longest output",
            ),
            "tool-calls" => TurnEnd::failed(
                ErrorClass::ExitNonzero,
                "the agent stopped after a tool without an answer, as it does when it is refused a \
                 permission",
            ),
            other => TurnEnd::failed(
                ErrorClass::Api,
                format!("the agent stopped without finishing; its last answer ended with {other}"),
            ),
        })
    }
}

/// How a turn ends by an error of OpenCode's. Aborted at its own surface, it waits for a prompt.
pub(super) fn failed(error: &Value) -> TurnEnd {
    if error["name"] == "MessageAbortedError" {
        return TurnEnd::Interrupted;
    }
    TurnEnd::failed(class_of(error), words_of(error))
}

/// The server of a session that was at work has ended.
pub(super) fn server_ended() -> TurnEnd {
    TurnEnd::failed(ErrorClass::Signal, "the OpenCode server ended in mid-turn")
}
