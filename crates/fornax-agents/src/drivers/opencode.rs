//! OpenCode through its server. Many tasks share one server; each has a session of its own.
//!
//! Events tell what happens, but not all that counts: they come double and late (after an abort the
//! session is idle twice, and its last message is complete only after the first time), and those
//! that were sent while nobody listened are lost. So when an event says that the session is idle,
//! it is looked at: its status, then its newest message. What that says is what counts.

mod events;
mod permissions;
mod verdict;

use std::collections::BTreeMap;

use fornax_core::agent::{Order, OrderKind};
use fornax_core::spec::ErrorClass;
use serde_json::{Value, json};

use super::opencode_parts::Parts;
use crate::classify::classify;
use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::Job;
use crate::opencode_server::encoded;
use permissions::{Answer, Desk, rules};
use verdict::{Standing, failed, server_ended};

/// What was asked of the server.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// For the session: made, found or copied.
    Session,
    /// To end what an earlier task may have left at work.
    Quiet,
    /// To give it its rules.
    Rules,
    /// For the newest message of earlier tasks.
    Newest,
    /// To take a prompt.
    Prompt,
    /// Which sessions work.
    Status,
    /// For messages of the session.
    Messages,
    /// For the subagents' sessions.
    Children,
    /// For the messages of one.
    Child,
    /// Which permissions are waited for.
    Waiting,
    /// To shorten the conversation.
    Summary,
    Shortened,
    /// Something whose answer says nothing.
    Word(&'static str),
}

/// One session at OpenCode's server.
pub(crate) struct Opencode {
    job: Job,
    calls: BTreeMap<u64, Asked>,
    next: u64,
    /// Empty until it is known.
    session: String,
    /// Whether it is known what of the session is an earlier task's; before that nothing is told.
    ready: bool,
    parts: Parts,
    desk: Desk,
    model: Option<(String, String)>,
    turns: u32,
    turn: Option<Turn>,
    /// The newest message when the last turn ended: it says nothing of the next one.
    judged: String,
    /// The session's error since the turn began.
    error: Option<Value>,
    /// The first turn is to end before it begins.
    stopped: bool,
    /// The conversation is being shortened; the prompts that came meanwhile.
    held: Option<Vec<String>>,
    /// The event of a shortening that is told of by its answer: it may come before or after.
    expected: bool,
}

/// A turn that goes on.
#[derive(Debug, Default)]
struct Turn {
    /// The session was seen at work.
    busy: bool,
    /// It is to end.
    interrupting: bool,
    /// The session is being looked at.
    looking: bool,
    /// It is to be looked at once more after that.
    again: bool,
    /// The stream of events broke.
    broken: bool,
}

impl Opencode {
    pub fn new(job: &Job) -> Opencode {
        let model = job.model.as_deref().and_then(|model| model.split_once('/'));
        Opencode {
            model: model.map(|(provider, model)| (provider.to_owned(), model.to_owned())),
            desk: Desk::new(job.permissions),
            job: job.clone(),
            calls: BTreeMap::new(),
            next: 1,
            session: String::new(),
            ready: false,
            parts: Parts::default(),
            turns: 0,
            turn: None,
            judged: String::new(),
            error: None,
            stopped: false,
            held: None,
            expected: false,
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
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let and = if query.is_empty() { "" } else { "&" };
        out.say(Say::Call {
            call,
            method,
            path: format!("{path}?directory={}{and}{query}", self.directory()),
            body,
        });
    }

    fn directory(&self) -> String {
        encoded(&self.job.cwd.display().to_string())
    }

    /// A path below the session's own.
    fn at(&self, rest: &str) -> String {
        format!("/session/{}{rest}", encoded(&self.session))
    }

    fn session_is_there(&mut self, info: &Value, out: &mut Out) {
        let Some(id) = info["id"].as_str() else {
            return self.no_session(0, "it made no session", out);
        };
        id.clone_into(&mut self.session);
        self.parts.own(id);
        out.tell(Happening::SessionStarted {
            session: id.to_owned(),
            model: self.job.model.clone(),
            version: info["version"].as_str().map(str::to_owned),
            resumed: self.job.resume.is_some(),
        });
        match self.job.resume.as_ref().map(|resume| resume.fork) {
            None => self.first_prompt(out),
            Some(true) => self.give_rules(out),
            Some(false) => self.call(Asked::Quiet, "POST", &self.at("/abort"), None, out),
        }
    }

    fn give_rules(&mut self, out: &mut Out) {
        let body = json!({"permission": rules(self.job.permissions)});
        self.call(Asked::Rules, "PATCH", &self.at(""), Some(body), out);
    }

    /// There is no session, and so no turn that could go well.
    fn no_session(&mut self, status: u16, body: &str, out: &mut Out) {
        let why = refusal(status, body);
        let (class, what) = match (status, &self.job.resume) {
            (0, _) => (ErrorClass::Signal, format!("there is no session: {why}")),
            (_, Some(resume)) => (
                ErrorClass::ExitNonzero,
                format!(
                    "OpenCode cannot go on with session {}: {why}",
                    resume.session
                ),
            ),
            (_, None) => (ErrorClass::Api, format!("OpenCode made no session: {why}")),
        };
        self.begin_turn(&self.job.prompt.clone(), out);
        self.end_turn(TurnEnd::failed(class, what), out);
    }

    fn first_prompt(&mut self, out: &mut Out) {
        self.ready = true;
        let prompt = self.job.prompt.clone();
        if std::mem::take(&mut self.stopped) {
            self.begin_turn(&prompt, out);
            return self.end_turn(TurnEnd::Interrupted, out);
        }
        self.prompt(&prompt, out);
    }

    fn prompt(&mut self, text: &str, out: &mut Out) {
        if let Some(held) = &mut self.held {
            held.push(text.to_owned());
            return;
        }
        self.begin_turn(text, out);
        let mut body = json!({ "parts": [{ "type": "text", "text": text }] });
        match (&self.job.model, &self.model) {
            (Some(name), None) => {
                let why =
                    format!("OpenCode names models provider/model; \"{name}\" is no such name");
                return self.end_turn(TurnEnd::failed(ErrorClass::Spawn, why), out);
            }
            (Some(_), Some((provider, model))) => {
                body["model"] = json!({ "providerID": provider, "modelID": model });
            }
            (None, _) => {}
        }
        self.call(
            Asked::Prompt,
            "POST",
            &self.at("/prompt_async"),
            Some(body),
            out,
        );
    }

    fn begin_turn(&mut self, prompt: &str, out: &mut Out) {
        self.turn = Some(Turn::default());
        self.error = None;
        self.turns += 1;
        out.tell(Happening::TurnStarted {
            turn: self.turns,
            prompt: prompt.to_owned(),
        });
    }

    fn end_turn(&mut self, end: TurnEnd, out: &mut Out) {
        if self.turn.take().is_none() {
            return;
        }
        self.desk.clear();
        self.parts.end_children(out);
        out.tell(Happening::TurnEnded(end));
    }

    /// Looks at the session, or once more when the present look is over.
    fn look(&mut self, out: &mut Out) {
        let Some(turn) = &mut self.turn else { return };
        if std::mem::replace(&mut turn.looking, true) {
            turn.again = true;
            return;
        }
        self.call(Asked::Status, "GET", "/session/status", None, out);
    }

    /// The look is over and has ended nothing.
    fn looked(&mut self, out: &mut Out) {
        let Some(turn) = &mut self.turn else { return };
        turn.looking = false;
        if std::mem::take(&mut turn.again) {
            self.look(out);
        }
    }

    fn status(&mut self, fine: bool, all: &Value, out: &mut Out) {
        let Some(turn) = &mut self.turn else { return };
        let works = !matches!(all[&self.session]["type"].as_str(), None | Some("idle"));
        if !fine || works {
            if works {
                // It goes on, and can be heard again.
                turn.broken = false;
            }
            return self.looked(out);
        }
        // After a break all is told that was not heard.
        let few = if turn.broken { "" } else { "?limit=1" };
        let path = self.at(&format!("/message{few}"));
        self.call(Asked::Messages, "GET", &path, None, out);
    }

    /// Tells what of these messages was not told, and gives the newest.
    fn catch_up(&mut self, messages: &Value, out: &mut Out) -> Option<Standing> {
        let messages = messages.as_array()?;
        for message in messages {
            self.message(&message["info"]);
            for part in message["parts"].as_array().into_iter().flatten() {
                self.parts.part(part, None, out);
            }
        }
        Standing::of(&messages.last()?["info"])
    }

    /// The session is idle, and this is its newest message.
    fn judge(&mut self, newest: Option<Standing>, out: &mut Out) {
        let Some(turn) = &self.turn else { return };
        let (interrupting, broken) = (turn.interrupting, turn.broken);
        let newest = newest.filter(|message| message.id != self.judged);
        let answer = newest.as_ref().filter(|message| !message.user);
        let end = match answer {
            Some(answer) => answer.verdict(interrupting, self.error.as_ref(), || {
                self.parts.text_of(&answer.id)
            }),
            None if interrupting => Some(TurnEnd::Interrupted),
            None => self.error.as_ref().map(failed),
        };
        let end = match end {
            None if broken && interrupting => Some(TurnEnd::Interrupted),
            None if broken => Some(server_ended()),
            Some(TurnEnd::Failed(_))
                if broken
                    && answer
                        .is_some_and(|answer| answer.error.is_none() && answer.in_mid_turn()) =>
            {
                Some(server_ended())
            }
            end => end,
        };
        let Some(end) = end else {
            return self.looked(out);
        };
        if let Some(message) = newest {
            self.judged = message.id;
        }
        self.end_turn(end, out);
    }

    fn abort(&mut self, out: &mut Out) {
        self.call(Asked::Word("abort"), "POST", &self.at("/abort"), None, out);
    }

    /// The session works on the turn.
    fn works(&mut self, out: &mut Out) {
        if let Some(turn) = &mut self.turn
            && !std::mem::replace(&mut turn.busy, true)
            && turn.interrupting
        {
            self.abort(out);
        }
    }

    fn answer(&mut self, answer: Option<Answer>, out: &mut Out) {
        if let Some((id, body)) = answer {
            let path = format!("/permission/{}/reply", encoded(&id));
            self.call(Asked::Word("permission"), "POST", &path, Some(body), out);
        }
    }

    fn summarize(&mut self, out: &mut Out) {
        let Some((provider, model)) = &self.model else {
            return out.tell(Happening::Warning {
                message: "there is nothing yet that could be shortened".to_owned(),
            });
        };
        let body = json!({ "providerID": provider, "modelID": model });
        self.held = Some(Vec::new());
        self.expected = true;
        self.call(
            Asked::Summary,
            "POST",
            &self.at("/summarize"),
            Some(body),
            out,
        );
    }

    fn replied(&mut self, about: &Asked, status: u16, body: &str, out: &mut Out) {
        let told = serde_json::from_str::<Value>(body).unwrap_or_default();
        let fine = (200..300).contains(&status);
        match about {
            Asked::Session if fine => self.session_is_there(&told, out),
            Asked::Quiet => self.give_rules(out),
            Asked::Rules if fine => {
                self.call(
                    Asked::Newest,
                    "GET",
                    &self.at("/message?limit=1"),
                    None,
                    out,
                );
            }
            Asked::Newest if fine => {
                if let Some(newest) = told.as_array().and_then(|all| all.last()) {
                    let info = &newest["info"];
                    let made = info.pointer("/time/created").and_then(Value::as_i64);
                    self.parts.since(made.unwrap_or_default());
                    self.judged = info["id"].as_str().unwrap_or_default().to_owned();
                }
                self.first_prompt(out);
            }
            Asked::Session | Asked::Rules | Asked::Newest => self.no_session(status, body, out),
            Asked::Prompt if fine => {}
            Asked::Prompt => {
                // It may have heard it all the same.
                self.abort(out);
                let why = refusal(status, body);
                let class = match status {
                    0 => ErrorClass::Signal,
                    _ => classify(Some(status), None, &why),
                };
                let what = format!("OpenCode did not take the prompt: {why}");
                self.end_turn(TurnEnd::failed(class, what), out);
            }
            Asked::Status => self.status(fine, &told, out),
            Asked::Messages if fine => {
                let newest = self.catch_up(&told, out);
                self.judge(newest, out);
            }
            Asked::Messages => self.looked(out),
            Asked::Children => {
                for child in told.as_array().into_iter().flatten() {
                    self.parts.created(child, out);
                    let id = encoded(child["id"].as_str().unwrap_or_default());
                    let path = format!("/session/{id}/message");
                    self.call(Asked::Child, "GET", &path, None, out);
                }
                self.look_after_children(out);
            }
            Asked::Child => {
                self.catch_up(&told, out);
                self.look_after_children(out);
            }
            Asked::Waiting => self.waiting(fine, &told, out),
            // What it was shortened to may not have been told yet: it is looked up.
            Asked::Summary if fine && !self.parts.knows_summary() => {
                let messages = self.at("/message");
                self.call(Asked::Shortened, "GET", &messages, None, out);
            }
            Asked::Summary => self.shortened(fine, status, body, out),
            Asked::Shortened => {
                if fine {
                    self.catch_up(&told, out);
                }
                self.shortened(true, status, body, out);
            }
            Asked::Word(_) if fine || status == 404 => {}
            Asked::Word(what) => out.tell(Happening::Warning {
                message: format!(
                    "OpenCode did not hear of an {what}: {}",
                    refusal(status, body)
                ),
            }),
        }
    }

    /// After a break the session itself is looked at last: its turn ends when all is told.
    fn look_after_children(&mut self, out: &mut Out) {
        if !self.calls.values().any(|asked| *asked == Asked::Child) {
            self.look(out);
        }
    }

    fn waiting(&mut self, fine: bool, told: &Value, out: &mut Out) {
        let Some(requests) = told.as_array().filter(|_| fine) else {
            return;
        };
        self.desk.still_asked(requests, out);
        for request in requests {
            if self
                .parts
                .knows(request["sessionID"].as_str().unwrap_or_default())
            {
                let answer = self.desk.asked(request, out);
                self.answer(answer, out);
            }
        }
    }

    fn shortened(&mut self, fine: bool, status: u16, body: &str, out: &mut Out) {
        if fine {
            out.tell(self.parts.shortened());
        } else {
            self.expected = false;
            let why = refusal(status, body);
            out.tell(Happening::Warning {
                message: format!("OpenCode did not shorten the conversation: {why}"),
            });
        }
        // Several are told in one turn: each of its own would begin before the last has ended.
        let held = self.held.take().unwrap_or_default();
        if !held.is_empty() {
            self.prompt(&held.join("\n\n"), out);
        }
    }

    fn stop(&mut self, out: &mut Out) {
        match &mut self.turn {
            Some(turn) => {
                let first = !std::mem::replace(&mut turn.interrupting, true);
                // Before it works, an abort would pass the prompt by.
                if first && turn.busy {
                    self.abort(out);
                }
            }
            None => self.stopped = self.turns == 0,
        }
    }
}

/// What the server says when it refuses.
fn refusal(status: u16, body: &str) -> String {
    if status == 0 {
        return format!("its server does not answer: {body}");
    }
    let told = serde_json::from_str::<Value>(body).unwrap_or_default();
    let words = ["/data/message", "/message", "/error/message"];
    let said = words.iter().find_map(|at| told.pointer(at)?.as_str());
    match said {
        Some(said) => format!("{said} ({status})"),
        None => format!("its server answers {status}"),
    }
}

impl Driver for Opencode {
    fn launch(&self) -> Launch {
        Launch::Server {
            events: format!("/event?directory={}", self.directory()),
        }
    }

    fn begin(&mut self, out: &mut Out) {
        let Some(resume) = self.job.resume.clone() else {
            let mut body = json!({ "permission": rules(self.job.permissions) });
            if !self.job.title.is_empty() {
                body["title"] = json!(self.job.title);
            }
            return self.call(Asked::Session, "POST", "/session", Some(body), out);
        };
        let path = format!("/session/{}", encoded(&resume.session));
        if resume.fork {
            let path = format!("{path}/fork");
            self.call(Asked::Session, "POST", &path, Some(json!({})), out);
        } else {
            self.call(Asked::Session, "GET", &path, None, out);
        }
    }

    fn hear(&mut self, heard: Heard<'_>, out: &mut Out) {
        match heard {
            Heard::Event(data) => match serde_json::from_str::<Value>(data) {
                Ok(event) if event["type"].is_string() => self.event(&event, out),
                _ => out.garbage += 1,
            },
            Heard::Reply { call, status, body } => {
                if let Some(about) = self.calls.remove(&call) {
                    self.replied(&about, status, body, out);
                }
            }
            Heard::Connected { again: true } => {
                if let Some(turn) = &mut self.turn
                    && !self.session.is_empty()
                {
                    turn.broken = true;
                    self.call(Asked::Waiting, "GET", "/permission", None, out);
                    self.call(Asked::Children, "GET", &self.at("/children"), None, out);
                }
            }
            Heard::Exited { .. } => self.end_turn(server_ended(), out),
            _ => {}
        }
    }

    fn order(&mut self, order: &Order, out: &mut Out) {
        match &order.kind {
            OrderKind::Prompt { text } => self.prompt(text, out),
            OrderKind::Interrupt => self.stop(out),
            OrderKind::Decide {
                permission,
                decision,
                note,
            } => {
                let note = note.as_deref();
                let answer = self.desk.decide(permission, *decision, note, out);
                self.answer(answer, out);
            }
            OrderKind::Compact { .. } => {
                if self.turn.is_none() && self.turns > 0 && self.held.is_none() {
                    self.summarize(out);
                }
            }
        }
    }

    fn finish(&mut self, _out: &mut Out) {}

    fn interrupt(&mut self, out: &mut Out) {
        self.stop(out);
    }
}
