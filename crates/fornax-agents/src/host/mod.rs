//! The host: the process between shim and agent. It does what the driver says, writes down what
//! happens, takes orders, and knows when to give up.
//!
//! One thread owns the driver and waits for inputs; others only read and hand on.

mod process;
mod record;
pub mod server;
mod socket;
mod transcript;
mod watchdog;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use fornax_core::agent::{Failure, Order, OrderKind};
use fornax_core::spec::ErrorClass;

use crate::driver::{Driver, Heard, Launch, Out, Say};
use crate::happening::{Happening, TurnEnd};
use crate::job::Job;
use crate::{drivers, prices};
use process::{Ended, Process};
use record::{Recorder, rules};
use server::Server;
pub use socket::{Taken, send_order};
use watchdog::Watchdog;

/// The argument that makes the program a host.
pub const AGENT_ARG: &str = "__agent";

/// How long an agent that was interrupted from outside may take to end its turn.
const INTERRUPT_GRACE: Duration = Duration::from_secs(6);

/// What the host is told by its threads.
#[derive(Debug)]
pub enum Input {
    /// A line of the agent's standard output, without its end.
    Line(Vec<u8>),
    /// A line of its standard error.
    ErrorLine(String),
    /// A line that was too long to be kept.
    TooLong,
    /// The process has ended, and all it wrote has been told.
    Exited(Ended),
    /// The server's stream of events is open.
    Connected {
        /// Whether it was open before.
        again: bool,
    },
    /// The data of one server-sent event.
    Event(String),
    /// The server's answer to a call; see [`Heard::Reply`].
    Reply {
        /// The call's number.
        call: u64,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The server cannot be reached any more, and nobody expects that to change.
    ServerGone(String),
    /// An order, and where to say that it was taken.
    Order(Order, Sender<Taken>),
    /// SIGINT or SIGTERM.
    Signal,
    /// SIGCONT: host and agent were suspended, and go on.
    GoOn,
}

/// Runs as a host: reads the job from standard input and ends with the task.
pub fn main() -> ! {
    let mut text = String::new();
    let job = std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())
        .and_then(|_| serde_json::from_str::<Job>(&text).map_err(|error| error.to_string()));
    drop(text);
    let code = match job {
        Ok(job) => run(job),
        Err(error) => {
            transcript::complain(&format!("the host of an agent was given no job: {error}"));
            64
        }
    };
    std::process::exit(code)
}

/// Runs a job to its end; the exit code.
#[must_use]
pub fn run(job: Job) -> i32 {
    let driver = drivers::of(&job);
    let mut host = match Host::open(job, driver) {
        Ok(host) => host,
        Err(error) => {
            transcript::complain(&format!("the host of an agent cannot work: {error}"));
            return 74;
        }
    };
    host.start();
    host.work();
    host.conclude()
}

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The agent is being started, or works.
    Turn,
    /// Its turn was interrupted; it waits for a prompt.
    Idle,
    /// Its last turn is over; it is expected to end.
    Ending,
    /// Nothing more will come of it.
    Over,
}

struct Host {
    job: Job,
    driver: Box<dyn Driver>,
    inbox: Receiver<Input>,
    sender: Sender<Input>,
    recorder: Recorder,
    prices: prices::Table,
    watchdog: Watchdog,
    phase: Phase,
    process: Option<Process>,
    server: Option<Server>,
    /// Orders that were taken, by id.
    taken: Vec<u32>,
    /// What is ordered for the time after the turn that goes on.
    later: Vec<Order>,
    /// How the task ends, as far as it is known: the failure or none, and the result.
    verdict: Option<(Option<Failure>, String)>,
    /// The failure for which the agent is being interrupted.
    giving_up: Option<Failure>,
    /// When patience with the present phase ends.
    deadline: Option<Instant>,
    /// How long that patience is.
    patience: Duration,
    /// Whether it was suspended and goes on, and has not begun its waits anew.
    went_on: Arc<AtomicBool>,
    garbage: u64,
}

impl Host {
    fn open(job: Job, driver: Box<dyn Driver>) -> std::io::Result<Host> {
        let rules = rules(&job);
        let (sender, inbox) = mpsc::channel();
        let mut recorder = Recorder::open(&job.task_dir, rules)?;
        socket::listen(&job.task_dir, sender.clone())?;
        let went_on = process::signals(sender.clone())?;
        let (prices, bad_prices) = prices::Table::load(job.prices.as_deref());
        if let Some(message) = bad_prices {
            recorder.happening(Happening::Warning { message });
        }
        Ok(Host {
            watchdog: Watchdog::new(job.limits),
            driver,
            inbox,
            sender,
            recorder,
            prices,
            phase: Phase::Turn,
            process: None,
            server: None,
            taken: Vec::new(),
            later: Vec::new(),
            verdict: None,
            giving_up: None,
            deadline: None,
            patience: Duration::ZERO,
            went_on,
            garbage: 0,
            job,
        })
    }

    fn start(&mut self) {
        match self.driver.launch() {
            Launch::Process {
                argv,
                env,
                converse,
            } => {
                let started = process::start(&self.job, &argv, &env, converse, &self.sender);
                match started {
                    Ok(process) => self.process = Some(process),
                    Err(failure) => return self.fail_now(failure),
                }
                let mut out = Out::default();
                self.driver.begin(&mut out);
                self.carry_out(out);
            }
            // The driver begins when the events can be heard.
            Launch::Server { events } => {
                let dir = self.job.server_dir.clone().unwrap_or_default();
                match server::connect(&dir, events, self.sender.clone()) {
                    Ok(server) => self.server = Some(server),
                    Err(error) => self.fail_now(Failure {
                        class: ErrorClass::Spawn,
                        message: format!("the agent's server cannot be reached: {error}"),
                        retry_at: None,
                    }),
                }
            }
        }
    }

    fn work(&mut self) {
        // An agent whose server is being started cannot say anything yet.
        let mut begun = self.process.is_some();
        while self.phase != Phase::Over {
            let now = Instant::now();
            let busy = begun && self.phase == Phase::Turn && self.giving_up.is_none();
            let watched = self.watchdog.deadline(busy);
            let until = [self.deadline, watched].into_iter().flatten().min();
            let input = match until {
                None => self
                    .inbox
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(until) => self
                    .inbox
                    .recv_timeout(until.saturating_duration_since(now)),
            };
            match input {
                Ok(Input::Connected { again: false }) if !begun => {
                    begun = true;
                    self.watchdog.heard();
                    let mut out = Out::default();
                    self.driver.begin(&mut out);
                    self.carry_out(out);
                }
                Ok(input) => self.take(input),
                Err(RecvTimeoutError::Timeout) => self.out_of_patience(),
                Err(RecvTimeoutError::Disconnected) => self.phase = Phase::Over,
            }
        }
    }

    fn take(&mut self, input: Input) {
        let mut out = Out::default();
        match input {
            Input::Line(line) => {
                self.watchdog.heard();
                self.recorder
                    .protocol("in", &String::from_utf8_lossy(&line));
                self.driver.hear(Heard::Line(&line), &mut out);
                if out.garbage > 0 {
                    self.recorder.garbage(&line);
                }
            }
            Input::TooLong => out.garbage += 1,
            Input::ErrorLine(line) => {
                self.watchdog.heard();
                self.recorder.stderr(&line);
                self.driver.hear(Heard::ErrorLine(&line), &mut out);
            }
            Input::Event(data) => {
                self.driver.hear(Heard::Event(&data), &mut out);
                // Many sessions share the stream; a heartbeat is nobody's word either.
                if !out.foreign {
                    self.watchdog.heard();
                    self.recorder.protocol("in", &data);
                }
            }
            Input::Connected { again } => {
                self.recorder.protocol("in", "connected");
                self.driver.hear(Heard::Connected { again }, &mut out);
            }
            Input::Reply { call, status, body } => {
                self.watchdog.heard();
                self.recorder
                    .protocol("in", &format!("{call} {status} {body}"));
                let heard = Heard::Reply {
                    call,
                    status,
                    body: &body,
                };
                self.driver.hear(heard, &mut out);
            }
            Input::ServerGone(why) => {
                self.tell(Happening::Warning { message: why });
                let (code, signal) = (None, None);
                self.driver.hear(Heard::Exited { code, signal }, &mut out);
                self.carry_out(out);
                self.phase = Phase::Over;
                return;
            }
            Input::Exited(ended) => return self.exited(&ended),
            Input::Order(order, reply) => {
                // Who asked has gone: it will ask again.
                let _ = reply.send(self.order(order, &mut out));
            }
            Input::Signal => self.told_to_end(),
            Input::GoOn => self.begin_waiting_anew(),
        }
        self.carry_out(out);
    }

    /// Does what the driver says.
    fn carry_out(&mut self, out: Out) {
        for say in out.says {
            match say {
                Say::Line(line) => {
                    self.recorder.protocol("out", &line);
                    if let Some(process) = &mut self.process {
                        process.write(&line);
                    }
                }
                Say::Close => {
                    if let Some(process) = &mut self.process {
                        process.close_input();
                    }
                }
                Say::Interrupt => {
                    if let Some(process) = &self.process {
                        process.signal(rustix::process::Signal::INT);
                    }
                }
                Say::Call {
                    call,
                    method,
                    path,
                    body,
                } => {
                    let text = body.as_ref().map(ToString::to_string).unwrap_or_default();
                    self.recorder
                        .protocol("out", &format!("{call} {method} {path} {text}"));
                    if let Some(server) = &self.server {
                        server.call(call, method, &path, body.as_ref());
                    }
                }
            }
        }
        if out.garbage > 0 {
            self.garbage += u64::from(out.garbage);
            self.tell(Happening::Garbage {
                lines: self.garbage,
            });
        }
        for happening in out.happenings {
            self.happened(happening);
        }
    }

    fn tell(&mut self, happening: Happening) {
        self.recorder.happening(happening);
    }

    fn happened(&mut self, mut happening: Happening) {
        if let Happening::ModelCall {
            model,
            provider,
            usage,
            ..
        } = &mut happening
            && usage.cost_usd.is_none()
            && let Some(cost) = self
                .prices
                .cost(model.as_deref(), provider.as_deref(), usage)
        {
            usage.cost_usd = Some(cost);
            usage.estimated = true;
        }
        let given_up = self.watchdog.note(&happening, self.recorder.now());
        let end = match &happening {
            Happening::TurnEnded(end) => Some(end.clone()),
            _ => None,
        };
        self.tell(happening);
        if let Some(failure) = given_up.filter(|_| self.giving_up.is_none()) {
            self.give_up(failure);
        }
        if let Some(end) = end {
            self.turn_ended(end);
        }
    }

    fn turn_ended(&mut self, end: TurnEnd) {
        if let Some(failure) = self.giving_up.take() {
            self.verdict = Some((Some(failure), String::new()));
            return self.finish();
        }
        // After the last turn nothing is gained by a shorter conversation.
        let goes_on = match end {
            TurnEnd::Completed { .. } => self.later.iter().any(is_prompt),
            TurnEnd::Interrupted => true,
            TurnEnd::Failed(_) => false,
        };
        if goes_on && self.give_next() {
            return;
        }
        match end {
            TurnEnd::Completed { result } => self.verdict = Some((None, result)),
            TurnEnd::Failed(failure) => self.verdict = Some((Some(failure), String::new())),
            TurnEnd::Interrupted => {
                self.phase = Phase::Idle;
                self.deadline = None;
                return;
            }
        }
        self.finish();
    }

    /// Gives the agent what was ordered meanwhile, as far as the next prompt. Whether there was one.
    fn give_next(&mut self) -> bool {
        while !self.later.is_empty() {
            let next = self.later.remove(0);
            let prompt = is_prompt(&next);
            if prompt {
                self.phase = Phase::Turn;
            }
            let mut out = Out::default();
            self.driver.order(&next, &mut out);
            self.carry_out(out);
            if prompt {
                return true;
            }
        }
        false
    }

    /// No further turn will come: the agent is to end by itself.
    fn finish(&mut self) {
        self.phase = Phase::Ending;
        self.wait_for(Duration::from_millis(self.job.limits.exit_ms));
        let mut out = Out::default();
        self.driver.finish(&mut out);
        self.carry_out(out);
        if self.process.is_none() {
            self.phase = Phase::Over;
        }
    }

    fn order(&mut self, order: Order, out: &mut Out) -> Taken {
        if self.taken.contains(&order.id) {
            return Taken { refused: None };
        }
        let refuse = |why: &str| Taken {
            refused: Some(why.to_owned()),
        };
        if matches!(self.phase, Phase::Ending | Phase::Over) {
            return refuse("the task is ending");
        }
        if !self.job.driver.converses() {
            return refuse("this agent cannot be told anything while it works");
        }
        self.taken.push(order.id);
        self.tell(Happening::OrderTaken { order: order.id });
        match (&order.kind, self.phase) {
            (OrderKind::Prompt { .. } | OrderKind::Compact { .. }, Phase::Turn) => {
                self.later.push(order)
            }
            (OrderKind::Prompt { .. }, _) => {
                self.phase = Phase::Turn;
                self.watchdog.heard();
                self.driver.order(&order, out);
            }
            (OrderKind::Interrupt, Phase::Idle) => {}
            _ => self.driver.order(&order, out),
        }
        Taken { refused: None }
    }

    /// The shim's stop ladder has begun: the agent is to end in its own way.
    fn told_to_end(&mut self) {
        let cancelled = Failure {
            class: ErrorClass::Cancelled,
            message: "it was stopped".to_owned(),
            retry_at: None,
        };
        match self.phase {
            Phase::Turn => {
                self.giving_up = None;
                self.give_up(cancelled);
            }
            Phase::Idle => {
                self.verdict = Some((Some(cancelled), String::new()));
                self.finish();
            }
            Phase::Ending | Phase::Over => {}
        }
    }

    /// Interrupts the agent for good; it has a while to end its turn.
    fn give_up(&mut self, failure: Failure) {
        self.giving_up = Some(failure);
        self.later.clear();
        self.wait_for(INTERRUPT_GRACE);
        let mut out = Out::default();
        self.driver.interrupt(&mut out);
        self.carry_out(out);
    }

    fn wait_for(&mut self, patience: Duration) {
        self.patience = patience;
        self.deadline = Some(Instant::now() + patience);
    }

    /// While host and agent were suspended, neither could have done anything.
    fn begin_waiting_anew(&mut self) {
        self.went_on.store(false, Ordering::Relaxed);
        self.watchdog.heard();
        self.deadline = self.deadline.map(|_| Instant::now() + self.patience);
    }

    fn out_of_patience(&mut self) {
        // The thread that tells of SIGCONT may come after this.
        if self.went_on.load(Ordering::Relaxed) {
            return self.begin_waiting_anew();
        }
        if self
            .deadline
            .is_none_or(|deadline| deadline > Instant::now())
        {
            if self.phase == Phase::Turn && self.giving_up.is_none() {
                self.give_up(self.watchdog.silence());
            }
            return;
        }
        if let Some(failure) = self.giving_up.take() {
            self.verdict = Some((Some(failure), String::new()));
            self.tell(Happening::TurnEnded(TurnEnd::failed(
                ErrorClass::Cancelled,
                "it did not end its turn when it was interrupted",
            )));
        }
        // It does not end by itself, or not in time.
        if let Some(process) = &mut self.process {
            process.end();
        }
        self.phase = Phase::Over;
    }

    fn exited(&mut self, ended: &Ended) {
        let mut out = Out::default();
        let heard = Heard::Exited {
            code: ended.code,
            signal: ended.signal,
        };
        self.driver.hear(heard, &mut out);
        self.carry_out(out);
        self.process = None;
        if self.verdict.is_none() {
            let class = if ended.signal.is_some() {
                ErrorClass::Signal
            } else {
                ErrorClass::ExitNonzero
            };
            self.verdict = Some((
                Some(Failure {
                    class,
                    message: format!("the agent ended without a word: {}", ended.words()),
                    retry_at: None,
                }),
                String::new(),
            ));
        }
        self.phase = Phase::Over;
    }

    /// The task fails before the agent could do anything about it.
    fn fail_now(&mut self, failure: Failure) {
        self.verdict = Some((
            Some(self.giving_up.take().unwrap_or(failure)),
            String::new(),
        ));
        self.phase = Phase::Over;
    }

    fn conclude(mut self) -> i32 {
        if let Some(process) = &mut self.process {
            process.end();
        }
        // Without any word about how it went, it did not go well.
        let unknown = || Failure {
            class: ErrorClass::Signal,
            message: "the agent ended without a word".to_owned(),
            retry_at: None,
        };
        let verdict = self.verdict.take();
        let (failure, result) = verdict.unwrap_or_else(|| (Some(unknown()), String::new()));
        let code = i32::from(failure.is_some());
        self.tell(Happening::Ended { failure, result });
        self.recorder.close();
        socket::remove(&self.job.task_dir);
        code
    }
}

fn is_prompt(order: &Order) -> bool {
    matches!(order.kind, OrderKind::Prompt { .. })
}
