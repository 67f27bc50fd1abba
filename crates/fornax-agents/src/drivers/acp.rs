//! Any agent that speaks the Agent Client Protocol, version 1, on its standard input and output
//! (<https://agentclientprotocol.com>).

use std::collections::BTreeMap;

use fornax_core::agent::{Decision, Order, OrderKind, Permission, Permissions, Usage};
use fornax_core::spec::ErrorClass;
use serde_json::{Value, json};

use super::ended;
use super::jsonrpc::{Message, Peer};
use crate::classify::classify;
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::{Job, McpServer};

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Initialize,
    Session,
    Prompt,
}

/// One session of an agent's.
pub(crate) struct Acp {
    job: Job,
    peer: Peer<Asked>,
    session: Option<String>,
    version: Option<String>,
    turns: u32,
    busy: bool,
    /// What it said in this turn, and thought, as far as it has not been told.
    said: String,
    thought: String,
    last_message: String,
    tools: BTreeMap<String, String>,
    asked: BTreeMap<String, (Value, Value)>,
}

impl Acp {
    pub fn new(job: &Job) -> Acp {
        Acp {
            job: job.clone(),
            peer: Peer::new(true),
            session: None,
            version: None,
            turns: 0,
            busy: false,
            said: String::new(),
            thought: String::new(),
            last_message: String::new(),
            tools: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    fn prompt(&mut self, text: &str, out: &mut Out) {
        let Some(session) = self.session.clone() else {
            return;
        };
        self.begin_turn(text, out);
        let prompt = json!([{ "type": "text", "text": text }]);
        let params = json!({ "sessionId": session, "prompt": prompt });
        self.peer.ask(Asked::Prompt, "session/prompt", params, out);
    }

    fn begin_turn(&mut self, prompt: &str, out: &mut Out) {
        self.busy = true;
        self.turns += 1;
        self.last_message.clear();
        out.tell(Happening::TurnStarted {
            turn: self.turns,
            prompt: prompt.to_owned(),
        });
    }

    fn end_turn(&mut self, end: TurnEnd, out: &mut Out) {
        self.flush(out);
        if std::mem::take(&mut self.busy) {
            out.tell(Happening::TurnEnded(end));
        }
    }

    /// Messages come in pieces, and nothing tells their ends but what comes next.
    fn flush(&mut self, out: &mut Out) {
        let thought = std::mem::take(&mut self.thought);
        if !thought.trim().is_empty() {
            out.tell(Happening::Thinking { text: thought });
        }
        let said = std::mem::take(&mut self.said);
        if !said.trim().is_empty() {
            self.last_message.clone_from(&said);
            out.tell(Happening::Text {
                text: said,
                child: None,
            });
        }
    }

    fn answered(&mut self, about: &Asked, answer: Result<&Value, &Value>, out: &mut Out) {
        match (about, answer) {
            (Asked::Initialize, Ok(result)) => {
                self.version = result["agentInfo"]["version"].as_str().map(str::to_owned);
                let servers: Vec<Value> = self.job.mcp.iter().map(mcp_server).collect();
                let params = json!({ "cwd": self.job.cwd, "mcpServers": servers });
                self.peer.ask(Asked::Session, "session/new", params, out);
            }
            (Asked::Session, Ok(result)) => {
                let Some(session) = result["sessionId"].as_str() else {
                    return;
                };
                self.session = Some(session.to_owned());
                let model = result["models"]["currentModelId"].as_str();
                out.tell(Happening::SessionStarted {
                    session: session.to_owned(),
                    model: self.job.model.clone().or(model.map(str::to_owned)),
                    version: self.version.clone(),
                    resumed: false,
                });
                let prompt = self.job.prompt.clone();
                self.prompt(&prompt, out);
            }
            (Asked::Prompt, Ok(result)) => self.prompt_answered(result, out),
            (_, Err(error)) => {
                if !self.busy {
                    let prompt = self.job.prompt.clone();
                    self.begin_turn(&prompt, out);
                }
                let message = error["message"].as_str().unwrap_or("it gave no reason");
                let message = match &error["data"] {
                    Value::Null => message.to_owned(),
                    data => format!("{message}: {data}"),
                };
                // The protocol's own code for an agent that nobody is logged in to.
                let class = match error["code"].as_i64() {
                    Some(-32000) => ErrorClass::Auth,
                    _ => classify(None, None, &message),
                };
                self.end_turn(TurnEnd::failed(class, message), out);
            }
        }
    }

    fn prompt_answered(&mut self, result: &Value, out: &mut Out) {
        self.flush(out);
        self.usage(&result["usage"], out);
        let truncated = "the answer was truncated: it reached the model's longest output";
        let end = match result["stopReason"].as_str() {
            Some("end_turn") => TurnEnd::Completed {
                result: self.last_message.trim().to_owned(),
            },
            Some("cancelled") => TurnEnd::Interrupted,
            Some("max_tokens") => TurnEnd::failed(ErrorClass::Api, truncated),
            Some("refusal") => TurnEnd::failed(ErrorClass::Api, "the model refused"),
            other => {
                let message = format!("the agent stopped: {}", other.unwrap_or("no reason"));
                TurnEnd::failed(ErrorClass::Api, message)
            }
        };
        self.end_turn(end, out);
    }

    /// What a turn used, from agents that tell.
    fn usage(&mut self, told: &Value, out: &mut Out) {
        let count = |field: &str| told[field].as_u64().unwrap_or(0);
        let usage = Usage {
            input: count("inputTokens"),
            output: count("outputTokens"),
            cache_read: count("cachedReadTokens"),
            cache_write: count("cachedWriteTokens"),
            reasoning: count("thoughtTokens"),
            ..Usage::default()
        };
        if !usage.is_zero() {
            out.tell(Happening::ModelCall {
                call: format!("turn-{}", self.turns),
                model: self.job.model.clone(),
                provider: None,
                usage,
                duration_ms: None,
                child: None,
            });
        }
    }

    fn updated(&mut self, update: &Value, out: &mut Out) {
        if !self.busy {
            // What an agent tells of an earlier conversation when it is loaded.
            return;
        }
        let text = update["content"]["text"].as_str().unwrap_or_default();
        match update["sessionUpdate"].as_str() {
            Some("agent_message_chunk") => self.said.push_str(text),
            Some("agent_thought_chunk") => self.thought.push_str(text),
            Some("tool_call") => {
                self.flush(out);
                self.tool_call(update, out);
            }
            Some("tool_call_update") => {
                self.flush(out);
                self.tool_update(update, out);
            }
            _ => {}
        }
    }

    fn tool_call(&mut self, update: &Value, out: &mut Out) {
        let text = |field: &str| update[field].as_str().unwrap_or_default().to_owned();
        let call = text("toolCallId");
        let tool = match text("kind") {
            kind if kind.is_empty() || kind == "other" => text("title"),
            kind => kind,
        };
        self.tools.insert(call.clone(), tool.clone());
        out.tell(Happening::ToolCall {
            call,
            tool,
            title: text("title"),
            input: update["rawInput"].clone(),
            child: None,
        });
        self.tool_update(update, out);
    }

    fn tool_update(&mut self, update: &Value, out: &mut Out) {
        let success = match update["status"].as_str() {
            Some("completed") => true,
            Some("failed") => false,
            _ => return,
        };
        let call = update["toolCallId"].as_str().unwrap_or_default().to_owned();
        let Some(tool) = self.tools.remove(&call) else {
            return;
        };
        let blocks = update["content"].as_array().into_iter().flatten();
        let texts = blocks
            .clone()
            .filter_map(|block| block["content"]["text"].as_str());
        let output = texts.collect::<Vec<_>>().join("\n");
        let edited = blocks.filter(|block| block["type"] == "diff");
        for path in edited.filter_map(|block| block["path"].as_str()) {
            out.tell(Happening::FileChanged {
                path: path.to_owned(),
            });
        }
        out.tell(Happening::ToolResult {
            call,
            tool,
            success,
            output,
            exit_code: None,
        });
    }

    fn requested(&mut self, id: &Value, method: &str, params: &Value, out: &mut Out) {
        if method != "session/request_permission" {
            return self.peer.refuse(id, method, out);
        }
        self.flush(out);
        let permission = id.to_string();
        let options = params["options"].clone();
        self.asked.insert(permission.clone(), (id.clone(), options));
        let text = |field: &str| params["toolCall"][field].as_str().unwrap_or_default();
        let by_policy = match self.job.permissions {
            Permissions::Ask => None,
            Permissions::Allow => Some(Decision::Allow),
            Permissions::Deny => Some(Decision::Deny),
        };
        match by_policy {
            Some(decision) => self.decide(&permission, decision, "policy", out),
            None => out.tell(Happening::PermissionAsked(Permission {
                id: permission,
                tool: match text("kind") {
                    "" => "tool".to_owned(),
                    kind => kind.to_owned(),
                },
                title: text("title").to_owned(),
            })),
        }
    }

    fn decide(&mut self, permission: &str, decision: Decision, by: &str, out: &mut Out) {
        let Some((id, options)) = self.asked.remove(permission) else {
            return;
        };
        let kinds: &[&str] = match decision {
            Decision::Allow => &["allow_once", "allow_always"],
            Decision::Always => &["allow_always", "allow_once"],
            Decision::Deny => &["reject_once", "reject_always"],
        };
        let options = options.as_array().cloned().unwrap_or_default();
        let option = kinds.iter().find_map(|kind| {
            let fits = options.iter().find(|option| option["kind"] == *kind);
            fits.and_then(|option| option["optionId"].as_str())
        });
        let outcome = match option {
            Some(option) => json!({ "outcome": "selected", "optionId": option }),
            None => json!({ "outcome": "cancelled" }),
        };
        self.peer.answer(&id, json!({ "outcome": outcome }), out);
        out.tell(Happening::PermissionAnswered {
            id: permission.to_owned(),
            decision,
            by: by.to_owned(),
        });
    }
}

/// Fornax's server as the protocol names its parts.
fn mcp_server(server: &McpServer) -> Value {
    let env = server
        .env
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value }));
    json!({
        "name": McpServer::NAME,
        "command": server.command,
        "args": server.args,
        "env": env.collect::<Vec<_>>(),
    })
}

impl Driver for Acp {
    fn launch(&self) -> Launch {
        Launch::Process {
            argv: self.job.argv.clone(),
            env: Vec::new(),
            converse: true,
        }
    }

    fn begin(&mut self, out: &mut Out) {
        let files = json!({ "readTextFile": false, "writeTextFile": false });
        let params = json!({
            "protocolVersion": 1,
            "clientCapabilities": { "fs": files, "terminal": false },
            "clientInfo": { "name": "fornax", "version": env!("CARGO_PKG_VERSION") },
        });
        self.peer.ask(Asked::Initialize, "initialize", params, out);
    }

    fn hear(&mut self, heard: Heard<'_>, out: &mut Out) {
        match heard {
            Heard::Line(line) => {
                let Ok(message) = serde_json::from_slice::<Value>(line) else {
                    out.garbage += 1;
                    return;
                };
                match self.peer.take(&message) {
                    Message::Answer(about, answer) => self.answered(&about, answer, out),
                    Message::Request(id, method, params) => self.requested(id, method, params, out),
                    Message::Notice("session/update", params) => {
                        self.updated(&params["update"], out);
                    }
                    Message::Notice(..) => {}
                    Message::Other => out.garbage += 1,
                }
            }
            Heard::Exited { code, signal } => {
                if self.turns == 0 {
                    let prompt = self.job.prompt.clone();
                    self.begin_turn(&prompt, out);
                }
                self.end_turn(TurnEnd::Failed(ended(code, signal)), out);
            }
            _ => {}
        }
    }

    fn order(&mut self, order: &Order, out: &mut Out) {
        match &order.kind {
            OrderKind::Prompt { text } => self.prompt(text, out),
            OrderKind::Interrupt => self.interrupt(out),
            OrderKind::Decide {
                permission,
                decision,
                ..
            } => self.decide(permission, *decision, "human", out),
            OrderKind::Compact { .. } => out.tell(Happening::Warning {
                message: "the protocol has no way to shorten a conversation".to_owned(),
            }),
        }
    }

    fn finish(&mut self, out: &mut Out) {
        out.say(Say::Close);
    }

    fn interrupt(&mut self, out: &mut Out) {
        for permission in self.asked.keys().cloned().collect::<Vec<_>>() {
            if let Some((id, _)) = self.asked.remove(&permission) {
                let outcome = json!({ "outcome": { "outcome": "cancelled" } });
                self.peer.answer(&id, outcome, out);
                out.tell(Happening::PermissionAnswered {
                    id: permission,
                    decision: Decision::Deny,
                    by: "policy".to_owned(),
                });
            }
        }
        if let Some(session) = self.session.clone().filter(|_| self.busy) {
            let params = json!({ "sessionId": session });
            self.peer.tell("session/cancel", params, out);
        }
    }
}
