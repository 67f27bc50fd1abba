//! The events of OpenCode's server.

use fornax_core::time::Time;
use serde_json::Value;

use super::{Asked, Opencode};
use crate::classify::classify;
use crate::driver::Out;
use crate::happening::Happening;
use crate::opencode_server::encoded;

impl Opencode {
    /// Something happened at the server, perhaps to this session.
    pub(super) fn event(&mut self, event: &Value, out: &mut Out) {
        let properties = &event["properties"];
        let session = properties["sessionID"].as_str().unwrap_or_default();
        if session.is_empty() || !self.ready {
            out.foreign = true;
            return;
        }
        let own = self.session == session;
        match event["type"].as_str() {
            Some("session.created") => self.parts.created(&properties["info"], out),
            _ if !self.parts.knows(session) => out.foreign = true,
            Some("message.updated") => {
                self.message(&properties["info"]);
                let interrupting = self.turn.as_ref().is_some_and(|turn| turn.interrupting);
                // An aborted message is complete only after its session is idle.
                if own && interrupting && properties.pointer("/info/time/completed").is_some() {
                    self.look(out);
                }
            }
            Some("message.part.updated") => {
                let at = properties["time"].as_i64();
                self.parts.part(&properties["part"], at, out);
            }
            Some("session.status") => match properties["status"]["type"].as_str() {
                Some("retry") if self.turn.is_some() => retry(&properties["status"], out),
                Some("busy") if own => self.works(out),
                Some("idle") if own => self.look(out),
                _ => {}
            },
            Some("session.idle") if own => self.look(out),
            Some("session.error") if own && properties["error"].is_object() => {
                self.error = Some(properties["error"].clone());
            }
            Some("session.compacted") if own && std::mem::take(&mut self.expected) => {}
            Some("session.compacted") if own => out.tell(self.parts.shortened()),
            Some("permission.asked") => {
                let answer = self.desk.asked(properties, out);
                self.answer(answer, out);
            }
            Some("permission.replied") => {
                let id = properties["requestID"].as_str().unwrap_or_default();
                let reply = properties["reply"].as_str().unwrap_or_default();
                self.desk.replied(id, reply, out);
            }
            // A configuration can make a subagent ask; nobody would answer.
            Some("question.asked") => {
                let id = encoded(properties["id"].as_str().unwrap_or_default());
                let path = format!("/question/{id}/reject");
                self.call(Asked::Word("answer"), "POST", &path, None, out);
            }
            _ => {}
        }
    }

    /// A message came to be or changed.
    pub(super) fn message(&mut self, info: &Value) {
        self.parts.message(info);
        let names = info["providerID"].as_str().zip(info["modelID"].as_str());
        if let Some((provider, model)) = names
            && self.job.model.is_none()
            && info["sessionID"] == *self.session
        {
            self.model = Some((provider.to_owned(), model.to_owned()));
        }
    }
}

fn retry(status: &Value, out: &mut Out) {
    let message = status["message"].as_str().unwrap_or_default();
    let attempt = status["attempt"].as_u64().unwrap_or(1);
    let kind = status.pointer("/action/reason").and_then(Value::as_str);
    out.tell(Happening::Retry {
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        class: classify(None, kind, message),
        message: message.to_owned(),
        at: status["next"].as_i64().map(Time),
        wait_ms: None,
    });
}
