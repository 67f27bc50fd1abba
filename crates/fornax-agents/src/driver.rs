//! The interface of a driver: no I/O, no clock. The host does what it says.

use fornax_core::agent::Order;
use serde_json::Value;

use crate::happening::Happening;

/// How the agent is started, and how it is spoken with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// A process that is spoken with over its standard input and output.
    Process {
        /// The whole command line.
        argv: Vec<String>,
        /// Variables that are added to the environment, but not over what it has.
        env: Vec<(String, String)>,
        /// Whether its standard input stays open for [`Say::Line`]; otherwise it is empty, or the
        /// job's `stdin`.
        converse: bool,
    },
    /// A server that runs already: requests over HTTP, happenings as server-sent events.
    Server {
        /// The path of the stream of events, query included. It is opened before anything else is
        /// asked, and opened again when it breaks ([`Heard::Connected`] tells of either).
        events: String,
    },
}

/// What is told to a driver.
#[derive(Debug)]
pub enum Heard<'a> {
    /// A line of the agent's standard output, without its end. It may be anything.
    Line(&'a [u8]),
    /// A line of its standard error. The host has copied it to the log.
    ErrorLine(&'a str),
    /// The data of one server-sent event.
    Event(&'a str),
    /// The stream of events is open; for the second time and later, something may have been missed.
    Connected {
        /// Whether it was open before.
        again: bool,
    },
    /// The server's answer to a [`Say::Call`]; status 0 where there was none, `body` then says why.
    Reply {
        /// The call's number.
        call: u64,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: &'a str,
    },
    /// The process has ended, and all it wrote has been told.
    Exited {
        /// Its exit code, where it had one.
        code: Option<i32>,
        /// The signal that ended it, where one did.
        signal: Option<i32>,
    },
}

/// What a driver wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Say {
    /// Write a line to the agent's standard input.
    Line(String),
    /// Close its standard input.
    Close,
    /// Ask its server.
    Call {
        /// Comes back with the [`Heard::Reply`].
        call: u64,
        /// `GET`, `POST`, ...
        method: &'static str,
        /// Path and query.
        path: String,
        /// The body, as JSON.
        body: Option<Value>,
    },
    /// Send SIGINT to the agent's process.
    Interrupt,
}

/// What a driver says in answer.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Out {
    /// What is to be done, in this order.
    pub says: Vec<Say>,
    /// What happened, in this order.
    pub happenings: Vec<Happening>,
    /// Lines that were not understood; the host logs and counts them.
    pub garbage: u32,
    /// What was heard is about others who share the server: it is no word of this agent's.
    pub foreign: bool,
}

impl Out {
    /// Something is to be done.
    pub fn say(&mut self, say: Say) {
        self.says.push(say);
    }

    /// A line of JSON is to be written to the agent.
    pub fn line(&mut self, value: &Value) {
        self.says.push(Say::Line(value.to_string()));
    }

    /// Something happened.
    pub fn tell(&mut self, happening: Happening) {
        self.happenings.push(happening);
    }
}

/// Speaks one agent's protocol, for one task.
///
/// What every driver keeps to:
/// - It never panics and never loops, whatever it hears; what it does not understand it passes over
///   (`garbage` for what is not the protocol at all; unknown events of the protocol silently).
/// - [`Happening::SessionStarted`] comes before the first `TurnStarted`; each `TurnStarted` is
///   followed by exactly one `TurnEnded`, also when the process ends in between.
/// - A turn is `Completed` only by the agent's own word that it is.
/// - Usage is told once: partial and running totals are turned into what was added.
/// - Decisions by [`fornax_core::agent::Permissions`] are the driver's: with `ask` it tells
///   `PermissionAsked` and answers the agent when the order comes; otherwise it answers at once and
///   tells `PermissionAnswered` with `by: "policy"`.
pub trait Driver {
    /// How the agent is started.
    fn launch(&self) -> Launch;

    /// The agent has been started: shake hands and give it the prompt.
    fn begin(&mut self, out: &mut Out);

    /// The agent said something.
    fn hear(&mut self, heard: Heard<'_>, out: &mut Out);

    /// A human orders something. The host has seen to it that each comes once, that a prompt and the
    /// order to shorten the conversation come only between turns, and told `OrderTaken`. One that
    /// makes no sense now is passed over. To shorten a conversation is no turn; a prompt that comes
    /// meanwhile is given to the agent when that is over.
    fn order(&mut self, order: &Order, out: &mut Out);

    /// The last turn is over and no other will come: have the agent end in its own way.
    fn finish(&mut self, out: &mut Out);

    /// The agent is to end whatever it does, before signals are sent: its own interrupt, if it has
    /// one. A `TurnEnded` should follow.
    fn interrupt(&mut self, out: &mut Out);
}
