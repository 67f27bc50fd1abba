//! JSON-RPC 2.0 in lines, as Codex's app server and the Agent Client Protocol speak it: what was
//! asked, so that answers find their question.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::driver::Out;

/// A message of the peer's.
#[derive(Debug)]
pub(super) enum Message<'a, Q> {
    /// The answer to a question of ours.
    Answer(Q, Result<&'a Value, &'a Value>),
    /// It asks something; the id goes back with the answer.
    Request(&'a Value, &'a str, &'a Value),
    /// It tells something.
    Notice(&'a str, &'a Value),
    /// Nothing of the protocol.
    Other,
}

/// One end of a connection. `Q` says what a question was about.
#[derive(Debug)]
pub(super) struct Peer<Q> {
    /// Codex leaves the version out, the Agent Client Protocol wants it.
    version: bool,
    next: u64,
    asked: BTreeMap<u64, Q>,
}

impl<Q> Peer<Q> {
    pub fn new(version: bool) -> Peer<Q> {
        Peer {
            version,
            next: 1,
            asked: BTreeMap::new(),
        }
    }

    /// Asks something.
    pub fn ask(&mut self, about: Q, method: &str, params: Value, out: &mut Out) {
        let id = self.next;
        self.next += 1;
        self.asked.insert(id, about);
        self.send(json!({ "id": id, "method": method, "params": params }), out);
    }

    /// Tells something.
    pub fn tell(&self, method: &str, params: Value, out: &mut Out) {
        self.send(json!({ "method": method, "params": params }), out);
    }

    /// Answers a request.
    pub fn answer(&self, id: &Value, result: Value, out: &mut Out) {
        self.send(json!({ "id": id, "result": result }), out);
    }

    /// Answers a request that is not understood.
    pub fn refuse(&self, id: &Value, method: &str, out: &mut Out) {
        let message = format!("{method} is not supported");
        // The code is the protocol's: method not found.
        let error = json!({ "code": -32601, "message": message });
        self.send(json!({ "id": id, "error": error }), out);
    }

    /// Whether a question waits for its answer.
    pub fn waits(&self, about: impl Fn(&Q) -> bool) -> bool {
        self.asked.values().any(about)
    }

    /// Takes a message apart.
    pub fn take<'a>(&mut self, message: &'a Value) -> Message<'a, Q> {
        let id = message.get("id");
        let params = message.get("params").unwrap_or(&Value::Null);
        match (id, message["method"].as_str()) {
            (Some(id), Some(method)) => Message::Request(id, method, params),
            (None, Some(method)) => Message::Notice(method, params),
            (Some(id), None) => {
                let about = id.as_u64().and_then(|id| self.asked.remove(&id));
                let answer = message.get("result").ok_or(&message["error"]);
                about.map_or(Message::Other, |about| Message::Answer(about, answer))
            }
            (None, None) => Message::Other,
        }
    }

    fn send(&self, mut message: Value, out: &mut Out) {
        if self.version {
            message["jsonrpc"] = json!("2.0");
        }
        out.line(&message);
    }
}
