//! Claude Code, spoken with: `stream-json` both ways. Several turns, permissions, interrupts.

use std::collections::BTreeMap;

use fornax_core::agent::{Decision, Order, OrderKind, Permission, Permissions};
use serde_json::{Value, json};

use super::claude_events::{Events, title};
use super::ended;
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::Happening;
use crate::job::{Job, McpServer};

/// One conversation with Claude Code.
pub(crate) struct Claude {
    job: Job,
    events: Events,
    /// Permissions that it asks: the request's id is the permission's.
    asked: BTreeMap<String, Value>,
    requests: u32,
    /// A prompt that came while the conversation is shortened.
    held: Option<String>,
}

impl Claude {
    pub fn new(job: &Job) -> Claude {
        Claude {
            events: Events::new(job.resume.is_some()),
            job: job.clone(),
            asked: BTreeMap::new(),
            requests: 0,
            held: None,
        }
    }

    fn prompt(&mut self, text: &str, out: &mut Out) {
        self.events.prompted(text, out);
        if self.events.shortens() {
            self.held = Some(text.to_owned());
        } else {
            write(text, out);
        }
    }

    fn request(&mut self, request: &Value, out: &mut Out) {
        self.requests += 1;
        out.line(&json!({
            "type": "control_request",
            "request_id": format!("fornax-{}", self.requests),
            "request": request,
        }));
    }

    /// The agent asks something of its user.
    fn asked(&mut self, event: &Value, out: &mut Out) {
        let Some(id) = event["request_id"].as_str() else {
            return;
        };
        let request = &event["request"];
        if request["subtype"] != "can_use_tool" {
            // Hooks and servers that this user has none of.
            let subtype = request["subtype"].as_str().unwrap_or_default();
            return out.line(&json!({
                "type": "control_response",
                "response": {
                    "subtype": "error",
                    "request_id": id,
                    "error": format!("{subtype} is not supported"),
                },
            }));
        }
        self.asked.insert(id.to_owned(), request.clone());
        let name = request["tool_name"].as_str().unwrap_or_default();
        let own = self.job.mcp.is_some() && name.starts_with(&format!("{}__", own_tools()));
        let by_policy = match self.job.permissions {
            // What changes nothing but frames needs no leave.
            _ if own => Some(Decision::Allow),
            Permissions::Ask => None,
            Permissions::Allow => Some(Decision::Allow),
            Permissions::Deny => Some(Decision::Deny),
        };
        match by_policy {
            Some(decision) => self.decide(id, decision, None, "policy", out),
            None => out.tell(Happening::PermissionAsked(Permission {
                id: id.to_owned(),
                tool: request["tool_name"].as_str().unwrap_or_default().to_owned(),
                title: title(&request["input"]),
            })),
        }
    }

    fn decide(
        &mut self,
        id: &str,
        decision: Decision,
        note: Option<&str>,
        by: &str,
        out: &mut Out,
    ) {
        let Some(request) = self.asked.remove(id) else {
            return;
        };
        let answer = match decision {
            Decision::Deny => json!({
                "behavior": "deny",
                "message": note.unwrap_or("The user does not want this to be done."),
            }),
            Decision::Allow => json!({ "behavior": "allow", "updatedInput": request["input"] }),
            Decision::Always => json!({
                "behavior": "allow",
                "updatedInput": request["input"],
                "updatedPermissions": for_the_session(&request["permission_suggestions"]),
            }),
        };
        out.line(&json!({
            "type": "control_response",
            "response": { "subtype": "success", "request_id": id, "response": answer },
        }));
        out.tell(Happening::PermissionAnswered {
            id: id.to_owned(),
            decision,
            by: by.to_owned(),
        });
    }
}

/// Writes what a user says.
fn write(text: &str, out: &mut Out) {
    out.line(&json!({
        "type": "user",
        "message": { "role": "user", "content": [{ "type": "text", "text": text }] },
    }));
}

/// The rules that the agent itself suggests, for its session only: the user's files stay as they
/// are.
fn for_the_session(suggestions: &Value) -> Value {
    let mut suggestions = suggestions.clone();
    for suggestion in suggestions.as_array_mut().into_iter().flatten() {
        suggestion["destination"] = json!("session");
    }
    match suggestions {
        Value::Null => json!([]),
        suggestions => suggestions,
    }
}

/// The variables that both ways to run Claude Code set.
pub(super) fn env(job: &Job) -> Vec<(String, String)> {
    vec![
        // Its own default is 10, also for a key that will never be accepted.
        (
            "CLAUDE_CODE_MAX_RETRIES".to_owned(),
            job.limits.retries.to_string(),
        ),
        ("DISABLE_AUTOUPDATER".to_owned(), "1".to_owned()),
    ]
}

/// The arguments that both ways to run Claude Code have.
pub(super) fn arguments(job: &Job) -> Vec<String> {
    let mut arguments = Vec::new();
    if let Some(model) = &job.model {
        arguments.extend(["--model".to_owned(), model.clone()]);
    }
    if let Some(resume) = &job.resume {
        arguments.extend(["--resume".to_owned(), resume.session.clone()]);
        if resume.fork {
            arguments.push("--fork-session".to_owned());
        }
    }
    if let Some(server) = &job.mcp {
        arguments.extend(["--mcp-config".to_owned(), mcp_config(server)]);
    }
    arguments
}

/// What the agent's tools of Fornax's own server are called.
pub(super) fn own_tools() -> String {
    format!("mcp__{}", McpServer::NAME)
}

/// The configuration that names Fornax's server. What is secret is read from the environment.
fn mcp_config(server: &McpServer) -> String {
    let references = server
        .env
        .keys()
        .map(|name| (name.clone(), json!(format!("${{{name}}}"))));
    let entry = json!({
        "type": "stdio",
        "command": server.command,
        "args": server.args,
        "env": references.collect::<serde_json::Map<_, _>>(),
    });
    json!({ "mcpServers": { McpServer::NAME: entry } }).to_string()
}

impl Driver for Claude {
    fn launch(&self) -> Launch {
        let mut argv = self.job.argv.clone();
        let fixed = "-p --input-format stream-json --output-format stream-json --verbose \
                     --permission-prompt-tool stdio";
        argv.extend(fixed.split_whitespace().map(str::to_owned));
        argv.extend(arguments(&self.job));
        Launch::Process {
            argv,
            env: env(&self.job),
            converse: true,
        }
    }

    fn begin(&mut self, out: &mut Out) {
        self.request(&json!({ "subtype": "initialize", "hooks": null }), out);
        let prompt = self.job.prompt.clone();
        self.prompt(&prompt, out);
    }

    fn hear(&mut self, heard: Heard<'_>, out: &mut Out) {
        match heard {
            Heard::Line(line) => {
                let Ok(event) = serde_json::from_slice::<Value>(line) else {
                    out.garbage += 1;
                    return;
                };
                match event["type"].as_str() {
                    Some("control_request") => self.asked(&event, out),
                    Some("control_cancel_request") => {
                        if let Some(id) = event["request_id"].as_str()
                            && self.asked.remove(id).is_some()
                        {
                            out.tell(Happening::PermissionAnswered {
                                id: id.to_owned(),
                                decision: Decision::Deny,
                                by: "agent".to_owned(),
                            });
                        }
                    }
                    _ => {
                        if !self.events.hear(&event, out) {
                            out.garbage += 1;
                        }
                        if let Some(held) = self.held.take_if(|_| !self.events.shortens()) {
                            write(&held, out);
                        }
                    }
                }
            }
            Heard::Exited { code, signal } => self.events.exited(ended(code, signal), out),
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
                note,
            } => self.decide(permission, *decision, note.as_deref(), "human", out),
            OrderKind::Compact { guide } => {
                if self.events.shortening() {
                    let guide = guide.as_deref().map(|guide| format!(" {guide}"));
                    write(&format!("/compact{}", guide.unwrap_or_default()), out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Out) {
        out.say(Say::Close);
    }

    fn interrupt(&mut self, out: &mut Out) {
        if self.held.take().is_some() {
            return self.events.withdraw(out);
        }
        // What it asks is not wanted any more.
        for id in self.asked.keys().cloned().collect::<Vec<_>>() {
            self.decide(&id, Decision::Deny, Some("interrupted"), "policy", out);
        }
        if self.events.busy() {
            self.events.interrupting();
        }
        self.request(&json!({ "subtype": "interrupt" }), out);
    }
}
