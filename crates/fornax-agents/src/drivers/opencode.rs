//! OpenCode through its server: sessions, permissions, interrupts, forks, subagents.

use std::collections::{BTreeMap, BTreeSet};

use fornax_core::agent::{Decision, Order, OrderKind, Permission, Permissions};
use fornax_core::spec::ErrorClass;
use serde_json::{Value, json};

use super::opencode_parts::{Parts, class_of, words_of};
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::Job;
use crate::opencode_server::encoded;

/// What was asked of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Session,
    Prompt,
    Status,
    Messages,
    Other,
}

/// One session at OpenCode's server.
pub(crate) struct Opencode {
    job: Job,
    calls: BTreeMap<u64, Asked>,
    next: u64,
    session: Option<String>,
    turns: u32,
    busy: bool,
    interrupted: bool,
    parts: Parts,
    /// The messages of turns that are over: what is still heard of them ends nothing.
    old: BTreeSet<String>,
    /// The newest answer of this turn: its id, why it ended, its error.
    answer: Option<Answer>,
    error: Option<Value>,
    /// Which session asks each permission.
    asked: BTreeSet<String>,
    model: Option<(String, String)>,
}

#[derive(Debug, Clone, Default)]
struct Answer {
    id: String,
    finish: Option<String>,
    error: Option<Value>,
}

impl Opencode {
    pub fn new(job: &Job) -> Opencode {
        let model = job.model.as_deref().and_then(|model| model.split_once('/'));
        Opencode {
            model: model.map(|(provider, model)| (provider.to_owned(), model.to_owned())),
            job: job.clone(),
            calls: BTreeMap::new(),
            next: 1,
            session: None,
            turns: 0,
            busy: false,
            interrupted: false,
            parts: Parts::default(),
            old: BTreeSet::new(),
            answer: None,
            error: None,
            asked: BTreeSet::new(),
        }
    }

    fn call(
        &mut self,
        about: Asked,
        method: &'static str,
        path: &str,
        body: Option<Value>,
        out: &mut Out,
    ) {
        let call = self.next;
        self.next += 1;
        self.calls.insert(call, about);
        out.say(Say::Call {
            call,
            method,
            path: format!("{path}?directory={}", self.directory()),
            body,
        });
    }

    fn directory(&self) -> String {
        encoded(&self.job.cwd.display().to_string())
    }

    /// A path below the session's own.
    fn at_session(&self, rest: &str) -> Option<String> {
        let session = self.session.as_deref()?;
        Some(format!("/session/{}{rest}", encoded(session)))
    }

    fn prompt(&mut self, text: &str, out: &mut Out) {
        let Some(path) = self.at_session("/prompt_async") else {
            return;
        };
        self.begin_turn(text, out);
        let mut body = json!({ "parts": [{ "type": "text", "text": text }] });
        if let Some((provider, model)) = &self.model {
            body["model"] = json!({ "providerID": provider, "modelID": model });
        }
        self.call(Asked::Prompt, "POST", &path, Some(body), out);
    }

    fn begin_turn(&mut self, prompt: &str, out: &mut Out) {
        self.busy = true;
        self.interrupted = false;
        self.turns += 1;
        self.old.extend(self.parts.answers());
        self.answer = None;
        self.error = None;
        out.tell(Happening::TurnStarted {
            turn: self.turns,
            prompt: prompt.to_owned(),
        });
    }

    fn end_turn(&mut self, end: TurnEnd, out: &mut Out) {
        if std::mem::take(&mut self.busy) {
            out.tell(Happening::TurnEnded(end));
        }
    }

    fn fail(&mut self, class: ErrorClass, message: String, out: &mut Out) {
        if self.turns == 0 {
            let prompt = self.job.prompt.clone();
            self.begin_turn(&prompt, out);
        }
        self.end_turn(TurnEnd::failed(class, message), out);
    }

    fn replied(&mut self, about: &Asked, status: u16, body: &str, out: &mut Out) {
        let told = serde_json::from_str::<Value>(body).unwrap_or_default();
        let fine = (200..300).contains(&status);
        match about {
            Asked::Session if fine => {
                let Some(id) = told["id"].as_str() else {
                    let message = "the server made no session".to_owned();
                    return self.fail(ErrorClass::Api, message, out);
                };
                self.session = Some(id.to_owned());
                self.parts.own(id);
                out.tell(Happening::SessionStarted {
                    session: id.to_owned(),
                    model: self.job.model.clone(),
                    version: told["version"].as_str().map(str::to_owned),
                    resumed: self.job.resume.is_some(),
                });
                let prompt = self.job.prompt.clone();
                self.prompt(&prompt, out);
            }
            Asked::Session | Asked::Prompt if !fine => {
                let what = match about {
                    Asked::Prompt => "the prompt",
                    _ if self.job.resume.is_some() => "to go on with the session",
                    _ => "a session",
                };
                let said: String = body.chars().take(300).collect();
                let why = match status {
                    0 => said,
                    _ => format!("{status} {said}"),
                };
                let class = match status {
                    0 => ErrorClass::Signal,
                    404 => ErrorClass::ExitNonzero,
                    _ => ErrorClass::Api,
                };
                self.fail(class, format!("the server refused {what}: {why}"), out);
            }
            Asked::Status if fine && self.busy => {
                let session = self.session.clone().unwrap_or_default();
                let status = told[&session]["type"].as_str();
                if matches!(status, None | Some("idle"))
                    && let Some(path) = self.at_session("/message")
                {
                    self.call(Asked::Messages, "GET", &path, None, out);
                }
            }
            Asked::Messages if self.busy => self.caught_up(&told, out),
            _ => {}
        }
    }

    /// What the server remembers of a session that is idle after the stream of events had broken.
    fn caught_up(&mut self, messages: &Value, out: &mut Out) {
        for message in messages.as_array().into_iter().flatten() {
            self.message(&message["info"], out);
            for part in message["parts"].as_array().into_iter().flatten() {
                self.parts.part(part, out);
            }
        }
        let finished = self.answer.as_ref().is_some_and(|answer| {
            answer.error.is_some() || matches!(answer.finish.as_deref(), Some("stop" | "length"))
        });
        if finished {
            return self.idle(out);
        }
        let message = "the agent's server ended in mid-turn".to_owned();
        self.end_turn(TurnEnd::failed(ErrorClass::Signal, message), out);
    }

    fn event(&mut self, event: &Value, out: &mut Out) {
        let properties = &event["properties"];
        let session = properties["sessionID"].as_str().unwrap_or_default();
        let own = self.session.as_deref() == Some(session);
        match event["type"].as_str() {
            Some("session.created") => self.parts.created(&properties["info"], out),
            _ if !self.parts.knows(session) => {}
            Some("message.updated") => self.message(&properties["info"], out),
            Some("message.part.updated") => self.parts.part(&properties["part"], out),
            Some("session.status") if own && properties["status"]["type"] == "retry" => {
                retry(&properties["status"], out);
            }
            Some("session.error") if own => self.error = Some(properties["error"].clone()),
            Some("session.compacted") if own => out.tell(Happening::Compacted),
            Some("permission.asked") => self.permission(properties, out),
            Some("permission.replied") => {
                let id = properties["requestID"].as_str().unwrap_or_default();
                let decision = match properties["reply"].as_str() {
                    Some("once") => Decision::Allow,
                    Some("always") => Decision::Always,
                    _ => Decision::Deny,
                };
                self.answered(id, decision, "agent", out);
            }
            Some("session.idle") if own => self.idle(out),
            Some("session.idle") => self.parts.child_idle(session, out),
            _ => {}
        }
    }

    fn message(&mut self, info: &Value, out: &mut Out) {
        self.parts.message(info);
        let own = info["sessionID"].as_str() == self.session.as_deref();
        let id = info["id"].as_str().unwrap_or_default();
        if !own || info["role"] != "assistant" || self.old.contains(id) {
            return;
        }
        if let (Some(provider), Some(model)) =
            (info["providerID"].as_str(), info["modelID"].as_str())
            && self.model.is_none()
        {
            self.model = Some((provider.to_owned(), model.to_owned()));
            if let Some(session) = self.session.clone().filter(|_| self.job.model.is_none()) {
                // Which model it is shows with the first answer only.
                out.tell(Happening::SessionStarted {
                    session,
                    model: Some(format!("{provider}/{model}")),
                    version: None,
                    resumed: self.job.resume.is_some(),
                });
            }
        }
        let error = info.get("error").filter(|error| !error.is_null());
        self.answer = Some(Answer {
            id: id.to_owned(),
            finish: info["finish"].as_str().map(str::to_owned),
            error: error.cloned(),
        });
    }

    fn permission(&mut self, asked: &Value, out: &mut Out) {
        let Some(id) = asked["id"].as_str() else {
            return;
        };
        if !self.asked.insert(id.to_owned()) {
            return;
        }
        let by_policy = match self.job.permissions {
            Permissions::Ask => None,
            Permissions::Allow => Some(Decision::Allow),
            Permissions::Deny => Some(Decision::Deny),
        };
        if let Some(decision) = by_policy {
            return self.decide(id, decision, None, "policy", out);
        }
        let patterns = asked["patterns"].as_array().into_iter().flatten();
        let patterns: Vec<&str> = patterns.filter_map(Value::as_str).collect();
        let command = asked["metadata"]["command"].as_str();
        out.tell(Happening::PermissionAsked(Permission {
            id: id.to_owned(),
            tool: asked["permission"].as_str().unwrap_or_default().to_owned(),
            title: command.map_or_else(|| patterns.join(", "), str::to_owned),
        }));
    }

    fn decide(
        &mut self,
        id: &str,
        decision: Decision,
        note: Option<&str>,
        by: &str,
        out: &mut Out,
    ) {
        if !self.asked.contains(id) {
            return;
        }
        let body = match decision {
            Decision::Allow => json!({ "reply": "once" }),
            Decision::Always => json!({ "reply": "always" }),
            // With a word to the agent it goes on; without one its turn would end here.
            Decision::Deny => json!({
                "reply": "reject",
                "message": note.unwrap_or("The user does not want this to be done."),
            }),
        };
        let path = format!("/permission/{}/reply", encoded(id));
        self.call(Asked::Other, "POST", &path, Some(body), out);
        self.answered(id, decision, by, out);
    }

    fn answered(&mut self, id: &str, decision: Decision, by: &str, out: &mut Out) {
        if self.asked.remove(id) {
            out.tell(Happening::PermissionAnswered {
                id: id.to_owned(),
                decision,
                by: by.to_owned(),
            });
        }
    }

    /// The session is idle. Where nothing of this turn has been heard, that is about one before it:
    /// after an interrupt it is told twice.
    fn idle(&mut self, out: &mut Out) {
        if !self.busy || (self.answer.is_none() && self.error.is_none()) {
            return;
        }
        if self.interrupted {
            return self.end_turn(TurnEnd::Interrupted, out);
        }
        let answer = self.answer.clone().unwrap_or_default();
        let error = self.error.take().or(answer.error.clone());
        let end = match (error, answer.finish.as_deref()) {
            (Some(error), _) => TurnEnd::failed(class_of(&error), words_of(&error)),
            (None, Some("stop")) => TurnEnd::Completed {
                result: self.parts.text_of(&answer.id),
            },
            (None, Some("length")) => TurnEnd::failed(
                ErrorClass::Api,
                "the answer was truncated: it reached the model's longest output",
            ),
            // It stands between two answers: what ends the turn is yet to come.
            (None, None) => return,
            (None, Some(other)) => TurnEnd::failed(
                ErrorClass::Api,
                format!("the agent stopped without finishing; its last answer ended with {other}"),
            ),
        };
        self.end_turn(end, out);
    }
}

fn retry(status: &Value, out: &mut Out) {
    let message = status["message"].as_str().unwrap_or_default();
    let attempt = status["attempt"].as_u64().unwrap_or(1);
    out.tell(Happening::Retry {
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        class: crate::classify::classify(None, None, message),
        message: message.to_owned(),
        at: status["next"].as_i64().map(fornax_core::time::Time),
        wait_ms: None,
    });
}

impl Driver for Opencode {
    fn launch(&self) -> Launch {
        Launch::Server {
            events: format!("/event?directory={}", self.directory()),
        }
    }

    fn begin(&mut self, out: &mut Out) {
        let resume = self.job.resume.clone();
        match resume {
            None => {
                let body = json!({ "title": self.job.title });
                self.call(Asked::Session, "POST", "/session", Some(body), out);
            }
            Some(resume) if resume.fork => {
                let path = format!("/session/{}/fork", encoded(&resume.session));
                self.call(Asked::Session, "POST", &path, Some(json!({})), out);
            }
            Some(resume) => {
                let path = format!("/session/{}", encoded(&resume.session));
                self.call(Asked::Session, "GET", &path, None, out);
            }
        }
    }

    fn hear(&mut self, heard: Heard<'_>, out: &mut Out) {
        match heard {
            Heard::Event(data) => match serde_json::from_str::<Value>(data) {
                Ok(event) => self.event(&event, out),
                Err(_) => out.garbage += 1,
            },
            Heard::Reply { call, status, body } => {
                if let Some(about) = self.calls.remove(&call) {
                    self.replied(&about, status, body, out);
                }
            }
            Heard::Connected { again: true } if self.busy => {
                self.call(Asked::Status, "GET", "/session/status", None, out);
            }
            Heard::Exited { .. } => {
                let message = "the agent's server ended".to_owned();
                self.fail(ErrorClass::Signal, message, out);
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
                note,
            } => self.decide(permission, *decision, note.as_deref(), "human", out),
            OrderKind::Compact => {
                if let (Some(path), Some((provider, model))) =
                    (self.at_session("/summarize"), self.model.clone())
                {
                    let body = json!({ "providerID": provider, "modelID": model });
                    self.call(Asked::Other, "POST", &path, Some(body), out);
                }
            }
        }
    }

    fn finish(&mut self, _out: &mut Out) {}

    fn interrupt(&mut self, out: &mut Out) {
        self.interrupted = self.busy;
        match self.at_session("/abort") {
            Some(path) => self.call(Asked::Other, "POST", &path, None, out),
            None => {
                let prompt = self.job.prompt.clone();
                self.begin_turn(&prompt, out);
                self.end_turn(TurnEnd::Interrupted, out);
            }
        }
    }
}
