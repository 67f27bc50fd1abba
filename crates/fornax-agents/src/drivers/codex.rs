//! Codex through its app server: threads, turns, approvals, interrupts, usage.

use std::collections::{BTreeMap, BTreeSet};

use fornax_core::agent::{Decision, Order, OrderKind, Permission, Permissions};
use serde_json::{Value, json};

use super::codex_items::{classify_error, paths, started};
use super::codex_usage::{Totals, total};
use super::ended;
use super::jsonrpc::{Message, Peer};
use crate::classify::classify;
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::{Job, McpServer};

/// What was asked of the server.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Initialize,
    Thread,
    Turn,
    Compact,
    Other,
}

/// One thread of Codex's, with those of its subagents.
pub(crate) struct Codex {
    job: Job,
    peer: Peer<Asked>,
    thread: Option<String>,
    turn: Option<String>,
    turns: u32,
    /// The server has begun the first of them.
    began: bool,
    /// It is known what the thread used before this task.
    based: bool,
    busy: bool,
    prompt: String,
    /// Told to end a turn that the server has not begun yet.
    interrupt_wanted: bool,
    /// The conversation is being shortened: a turn of the server's that is none of the task's.
    shortens: bool,
    /// The prompt that came meanwhile.
    waiting: Option<String>,
    /// What the server asks: the request's id by the permission's.
    asked: BTreeMap<String, Value>,
    totals: Totals,
    /// Threads of subagents that work.
    children: BTreeSet<String>,
    /// How the turn ended, while subagents still work.
    held: Option<TurnEnd>,
    last_message: String,
    /// What each subagent said last.
    last_words: BTreeMap<String, String>,
    /// Tokens of the newest call in the thread.
    tokens: Option<u64>,
    /// Whether its shortening was told: newer servers say it twice.
    shortened: bool,
    tries: u32,
}

impl Codex {
    pub fn new(job: &Job) -> Codex {
        let mut totals = Totals::default();
        if let Some(resume) = &job.resume {
            totals.counted(&resume.session, resume.counted);
        }
        Codex {
            job: job.clone(),
            peer: Peer::new(false),
            thread: None,
            turn: None,
            turns: 0,
            began: false,
            based: false,
            busy: false,
            prompt: String::new(),
            interrupt_wanted: false,
            shortens: false,
            waiting: None,
            asked: BTreeMap::new(),
            totals,
            children: BTreeSet::new(),
            held: None,
            last_message: String::new(),
            last_words: BTreeMap::new(),
            tokens: None,
            shortened: false,
            tries: 0,
        }
    }

    fn prompt(&mut self, text: &str, out: &mut Out) {
        if self.thread.is_none() {
            return;
        }
        text.clone_into(&mut self.prompt);
        self.begin_turn(out);
        if self.shortens {
            self.waiting = Some(text.to_owned());
        } else {
            self.start_turn(text, out);
        }
    }

    fn start_turn(&mut self, text: &str, out: &mut Out) {
        let thread = self.thread.clone();
        let input = json!([{ "type": "text", "text": text }]);
        let params = json!({ "threadId": thread, "input": input });
        self.peer.ask(Asked::Turn, "turn/start", params, out);
    }

    fn begin_turn(&mut self, out: &mut Out) {
        self.busy = true;
        self.turns += 1;
        self.tries = 0;
        self.last_message.clear();
        out.tell(Happening::TurnStarted {
            turn: self.turns,
            prompt: std::mem::take(&mut self.prompt),
        });
    }

    /// The conversation has been shortened, or not: what waited for that is done.
    fn shortened(&mut self, error: &Value, out: &mut Out) {
        self.shortens = false;
        if !error.is_null() {
            let why = error["message"].as_str().unwrap_or("it gave no reason");
            out.tell(Happening::Warning {
                message: format!("the conversation could not be shortened: {why}"),
            });
        }
        if let Some(text) = self.waiting.take() {
            self.start_turn(&text, out);
        }
    }

    fn end_turn(&mut self, end: TurnEnd, out: &mut Out) {
        self.held = None;
        self.turn = None;
        self.interrupt_wanted = false;
        if std::mem::take(&mut self.busy) {
            out.tell(Happening::TurnEnded(end));
        }
    }

    fn answered(&mut self, about: &Asked, answer: Result<&Value, &Value>, out: &mut Out) {
        match (about, answer) {
            (Asked::Initialize, Ok(_)) => {
                self.peer.tell("initialized", Value::Null, out);
                self.open_thread(out);
            }
            (Asked::Thread, Ok(result)) => {
                let Some(thread) = result["thread"]["id"].as_str() else {
                    return;
                };
                self.thread = Some(thread.to_owned());
                if self.job.resume.as_ref().is_some_and(|resume| resume.fork) {
                    let counted = self.job.resume.as_ref().map(|resume| resume.counted);
                    self.totals.counted(thread, counted.unwrap_or_default());
                }
                let text = |pointer: &str| {
                    let value = result.pointer(pointer).and_then(Value::as_str);
                    value.map(str::to_owned)
                };
                out.tell(Happening::SessionStarted {
                    session: thread.to_owned(),
                    model: text("/model").or_else(|| text("/thread/model")),
                    version: text("/thread/cliVersion"),
                    resumed: self.job.resume.is_some(),
                });
                let prompt = self.job.prompt.clone();
                self.prompt(&prompt, out);
            }
            (Asked::Turn, Ok(result)) => {
                self.began = true;
                self.turn = result["turn"]["id"].as_str().map(str::to_owned);
                if self.interrupt_wanted {
                    self.interrupt_turn(out);
                }
            }
            (Asked::Compact, Err(error)) => self.shortened(error, out),
            (Asked::Compact | Asked::Other, _) => {}
            (_, Err(error)) => {
                let message = error["message"].as_str().unwrap_or("it gave no reason");
                if !self.busy {
                    self.begin_turn(out);
                }
                let class = classify(None, None, message);
                self.end_turn(TurnEnd::failed(class, message), out);
            }
        }
    }

    fn open_thread(&mut self, out: &mut Out) {
        let mut params = json!({
            "cwd": self.job.cwd,
            "approvalPolicy": "on-request",
            "sandbox": "workspace-write",
        });
        if let Some(model) = &self.job.model {
            params["model"] = json!(model);
        }
        let method = match &self.job.resume {
            None => "thread/start",
            Some(resume) => {
                params["threadId"] = json!(resume.session);
                if resume.fork {
                    "thread/fork"
                } else {
                    "thread/resume"
                }
            }
        };
        self.peer.ask(Asked::Thread, method, params, out);
    }

    /// The server asks whether something may be done.
    fn requested(&mut self, id: &Value, method: &str, params: &Value, out: &mut Out) {
        let (tool, title) = match method {
            "item/commandExecution/requestApproval" => {
                let command = params["command"].as_str().unwrap_or_default();
                ("command", command.to_owned())
            }
            "item/fileChange/requestApproval" => {
                let reason = params["reason"].as_str().unwrap_or("to change files");
                ("file_change", reason.to_owned())
            }
            _ => return self.peer.refuse(id, method, out),
        };
        let permission = id.to_string();
        self.asked.insert(permission.clone(), id.clone());
        let by_policy = match self.job.permissions {
            Permissions::Ask => None,
            Permissions::Allow => Some(Decision::Allow),
            Permissions::Deny => Some(Decision::Deny),
        };
        match by_policy {
            Some(decision) => self.decide(&permission, decision, "policy", out),
            None => out.tell(Happening::PermissionAsked(Permission {
                id: permission,
                tool: tool.to_owned(),
                title,
            })),
        }
    }

    fn decide(&mut self, permission: &str, decision: Decision, by: &str, out: &mut Out) {
        let Some(id) = self.asked.remove(permission) else {
            return;
        };
        let word = match decision {
            Decision::Allow => "accept",
            Decision::Always => "acceptForSession",
            Decision::Deny => "decline",
        };
        self.peer.answer(&id, json!({ "decision": word }), out);
        out.tell(Happening::PermissionAnswered {
            id: permission.to_owned(),
            decision,
            by: by.to_owned(),
        });
    }

    fn noticed(&mut self, method: &str, params: &Value, out: &mut Out) {
        let thread = params["threadId"].as_str().unwrap_or_default();
        let own = self.thread.as_deref() == Some(thread);
        let child = (!own && !thread.is_empty()).then(|| thread.to_owned());
        match method {
            "turn/started" if !own && self.thread.is_some() => {
                self.children.insert(thread.to_owned());
            }
            "turn/started" if self.shortens => {}
            "turn/started" => {
                self.began = true;
                self.turn = params["turn"]["id"].as_str().map(str::to_owned);
            }
            "item/started" => {
                if let Some(started) = started(&params["item"], child) {
                    self.shortened &= !own;
                    out.tell(started);
                }
            }
            "item/completed" => self.item_completed(&params["item"], child, out),
            "thread/tokenUsage/updated" => self.used(&params["tokenUsage"], thread, child, out),
            "error" => self.error(params, child, out),
            "thread/compacted" if child.is_none() => self.tell_shortened(out),
            "turn/completed" => self.turn_completed(thread, own, &params["turn"], out),
            "serverRequest/resolved" => {
                let permission = params["requestId"].to_string();
                if self.asked.remove(&permission).is_some() {
                    out.tell(Happening::PermissionAnswered {
                        id: permission,
                        decision: Decision::Deny,
                        by: "agent".to_owned(),
                    });
                }
            }
            "warning" | "configWarning" | "deprecationNotice" if child.is_none() => {
                let message = params["message"].as_str().or(params["summary"].as_str());
                // That a model is not in its list concerns nobody.
                if let Some(message) = message.filter(|text| !text.contains("Model metadata")) {
                    out.tell(Happening::Warning {
                        message: message.to_owned(),
                    });
                }
            }
            _ => {}
        }
    }

    fn used(&mut self, told: &Value, thread: &str, child: Option<String>, out: &mut Out) {
        if child.is_none() {
            self.tokens = told["last"]["totalTokens"].as_u64();
        }
        let (all, last) = (total(&told["total"], true), total(&told["last"], true));
        let shared = self.job.resume.as_ref().is_some_and(|resume| resume.shared);
        if shared && child.is_none() && !self.based {
            // Nobody else can know what the thread used in the meantime. It may tell that before
            // this task's first turn; otherwise it is all but its first call.
            self.based = true;
            let before = if self.began { all.since(&last) } else { all };
            self.totals.counted(thread, before);
        }
        if let Some((call, usage)) = self.totals.added(thread, all) {
            self.tries = 0;
            out.tell(Happening::ModelCall {
                call,
                model: None,
                provider: None,
                usage,
                duration_ms: None,
                child,
            });
        }
    }

    fn item_completed(&mut self, item: &Value, child: Option<String>, out: &mut Out) {
        let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
        let call = text("id");
        let done = item["status"] == "completed";
        let result = |tool: String, success, output, exit_code| Happening::ToolResult {
            call: call.clone(),
            tool,
            success,
            output,
            exit_code,
        };
        match item["type"].as_str() {
            Some("agentMessage") => {
                match &child {
                    None => self.last_message = text("text"),
                    Some(child) => {
                        self.last_words.insert(child.clone(), text("text"));
                    }
                }
                out.tell(Happening::Text {
                    text: text("text"),
                    child,
                });
            }
            Some("reasoning") => {
                let parts = item["summary"].as_array().into_iter().flatten();
                let parts: Vec<&str> = parts.filter_map(Value::as_str).collect();
                if !parts.is_empty() {
                    out.tell(Happening::Thinking {
                        text: parts.join("\n"),
                    });
                }
            }
            Some("commandExecution") => {
                let code = item["exitCode"].as_i64();
                let code = code.and_then(|code| i32::try_from(code).ok());
                let success = done && code.is_none_or(|code| code == 0);
                let output = text("aggregatedOutput");
                out.tell(result("command".to_owned(), success, output, code));
            }
            Some("fileChange") => {
                out.tell(result("file_change".to_owned(), done, String::new(), None));
                for path in paths(item).into_iter().filter(|_| done) {
                    out.tell(Happening::FileChanged {
                        path: path.to_owned(),
                    });
                }
            }
            Some("mcpToolCall") => {
                let tool = format!("{}/{}", text("server"), text("tool"));
                let output = match &item["error"] {
                    Value::Null => item["result"].to_string(),
                    error => error.to_string(),
                };
                out.tell(result(tool, done, output, None));
            }
            Some("collabAgentToolCall") => {
                out.tell(result(
                    text("tool"),
                    done,
                    item["agentsStates"].to_string(),
                    None,
                ));
                let receivers = item["receiverThreadIds"].as_array();
                if item["tool"] == "spawnAgent" {
                    for child in receivers.into_iter().flatten().filter_map(Value::as_str) {
                        let sender = item["senderThreadId"].as_str();
                        let parent =
                            sender.filter(|sender| self.thread.as_deref() != Some(*sender));
                        out.tell(Happening::ChildStarted {
                            session: child.to_owned(),
                            title: text("prompt"),
                            parent: parent.map(str::to_owned),
                        });
                    }
                }
            }
            Some("webSearch") => {
                out.tell(result("web_search".to_owned(), true, String::new(), None))
            }
            Some("contextCompaction") if child.is_none() => self.tell_shortened(out),
            _ => {}
        }
    }

    /// The thread was shortened. What to, the server does not tell.
    fn tell_shortened(&mut self, out: &mut Out) {
        if !std::mem::replace(&mut self.shortened, true) {
            out.tell(Happening::Compacted {
                summary: None,
                tokens_before: self.tokens,
                tokens_after: None,
            });
        }
    }

    fn error(&mut self, params: &Value, child: Option<String>, out: &mut Out) {
        let error = &params["error"];
        let message = error["message"].as_str().unwrap_or_default();
        if params["willRetry"].as_bool() == Some(true) {
            self.tries += 1;
            let details = error["additionalDetails"].as_str().unwrap_or_default();
            out.tell(Happening::Retry {
                attempt: self.tries,
                class: classify_error(error),
                message: format!("{message} {details}").trim().to_owned(),
                at: None,
                wait_ms: None,
            });
        } else if child.is_some() {
            out.tell(Happening::Warning {
                message: format!("a subagent failed: {message}"),
            });
        }
    }

    fn turn_completed(&mut self, thread: &str, own: bool, turn: &Value, out: &mut Out) {
        if !own {
            self.children.remove(thread);
            out.tell(Happening::ChildEnded {
                session: thread.to_owned(),
                success: Some(turn["status"] == "completed"),
                result: self.last_words.remove(thread).unwrap_or_default(),
            });
            if self.children.is_empty()
                && let Some(held) = self.held.take()
            {
                self.end_turn(held, out);
            }
            return;
        }
        let error = &turn["error"];
        if self.shortens {
            return self.shortened(error, out);
        }
        let end = match turn["status"].as_str() {
            Some("completed") => {
                let said = turn["items"].as_array().into_iter().flatten();
                let said = said.filter(|item| item["type"] == "agentMessage");
                let said = said.filter_map(|item| item["text"].as_str()).next_back();
                let result = said.map_or_else(|| self.last_message.clone(), str::to_owned);
                TurnEnd::Completed { result }
            }
            Some("interrupted") => {
                // Commands of the turn go on in terminals of their own.
                let params = json!({ "threadId": thread });
                let method = "thread/backgroundTerminals/clean";
                self.peer.ask(Asked::Other, method, params, out);
                TurnEnd::Interrupted
            }
            _ => {
                let message = error["message"].as_str().unwrap_or("the turn failed");
                TurnEnd::failed(classify_error(error), message)
            }
        };
        // What subagents do is the agent's work as well: it is not cut off.
        if matches!(end, TurnEnd::Completed { .. }) && !self.children.is_empty() {
            self.held = Some(end);
        } else {
            self.end_turn(end, out);
        }
    }

    fn interrupt_turn(&mut self, out: &mut Out) {
        let (Some(thread), Some(turn)) = (self.thread.clone(), self.turn.clone()) else {
            self.interrupt_wanted = true;
            return;
        };
        let params = json!({ "threadId": thread, "turnId": turn });
        self.peer.ask(Asked::Other, "turn/interrupt", params, out);
    }
}

/// The settings that name Fornax's server. It gets a bare environment: what it needs of the agent's is
/// named, and no value stands in the command line.
pub(super) fn mcp_settings(job: &Job) -> Vec<String> {
    let Some(server) = &job.mcp else {
        return Vec::new();
    };
    let names: Vec<&String> = server.env.keys().collect();
    let settings = [
        ("command", json!(server.command)),
        ("args", json!(server.args)),
        ("env_vars", json!(names)),
        // What changes nothing but frames needs no leave.
        ("default_tools_approval_mode", json!("approve")),
    ];
    // A JSON string or list of strings is one of TOML's as well.
    let pairs = settings.into_iter().flat_map(|(name, value)| {
        let setting = format!("mcp_servers.{}.{name}={value}", McpServer::NAME);
        ["-c".to_owned(), setting]
    });
    pairs.collect()
}

impl Driver for Codex {
    fn launch(&self) -> Launch {
        let mut argv = self.job.argv.clone();
        argv.extend(mcp_settings(&self.job));
        argv.push("app-server".to_owned());
        Launch::Process {
            argv,
            env: Vec::new(),
            converse: true,
        }
    }

    fn begin(&mut self, out: &mut Out) {
        let client = json!({
            "name": "fornax",
            "title": "Fornax",
            "version": env!("CARGO_PKG_VERSION"),
        });
        // Without it the processes that an interrupted turn leaves cannot be ended.
        let capabilities = json!({ "experimentalApi": true });
        let params = json!({ "clientInfo": client, "capabilities": capabilities });
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
                    Message::Notice(method, params) => self.noticed(method, params, out),
                    Message::Other => out.garbage += 1,
                }
            }
            Heard::Exited { code, signal } => {
                if self.turns == 0 {
                    self.begin_turn(out);
                }
                let end = self.held.take();
                let end = end.unwrap_or_else(|| TurnEnd::Failed(ended(code, signal)));
                self.end_turn(end, out);
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
            OrderKind::Compact { .. } => {
                if let Some(thread) = self.thread.clone().filter(|_| !self.busy && !self.shortens) {
                    self.shortens = true;
                    let params = json!({ "threadId": thread });
                    let method = "thread/compact/start";
                    self.peer.ask(Asked::Compact, method, params, out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Out) {
        out.say(Say::Close);
    }

    fn interrupt(&mut self, out: &mut Out) {
        if self.waiting.take().is_some() {
            return self.end_turn(TurnEnd::Interrupted, out);
        }
        if self.held.is_some() {
            // Only subagents work still; they end with their server.
            return self.end_turn(TurnEnd::Interrupted, out);
        }
        if self.busy || self.peer.waits(|about| *about == Asked::Turn) {
            self.interrupt_turn(out);
        }
    }
}
