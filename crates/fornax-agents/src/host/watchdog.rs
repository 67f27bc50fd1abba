//! When an agent is given up on: silence, and tries without end.

use std::time::{Duration, Instant};

use fornax_core::agent::Failure;
use fornax_core::spec::ErrorClass;
use fornax_core::time::Time;

use crate::happening::Happening;
use crate::job::Limits;

/// How often a conversation may be shortened while the agent does nothing else: one that does not
/// fit even then never will.
const COMPACTIONS_MAX: u32 = 3;
/// How long an agent may be silent where nobody said, while none of its tools runs.
const SILENCE: Duration = Duration::from_secs(600);

pub(super) struct Watchdog {
    limits: Limits,
    heard: Instant,
    /// Tools that run.
    tools: Vec<String>,
    /// Permissions that are asked.
    asked: Vec<String>,
    /// Tries since the last progress.
    tries: u32,
    /// How often the conversation was shortened since a tool was used or a turn began.
    compactions: u32,
}

impl Watchdog {
    pub fn new(limits: Limits) -> Watchdog {
        Watchdog {
            limits,
            heard: Instant::now(),
            tools: Vec::new(),
            asked: Vec::new(),
            tries: 0,
            compactions: 0,
        }
    }

    /// The agent said something.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// When its silence has lasted too long; never while it waits for a human.
    pub fn deadline(&self, busy: bool) -> Option<Instant> {
        if !busy || !self.asked.is_empty() {
            return None;
        }
        match self.limits.silence_ms {
            Some(ms) => Some(self.heard + Duration::from_millis(ms)),
            None if self.tools.is_empty() => Some(self.heard + SILENCE),
            None => None,
        }
    }

    /// What its silence means.
    pub fn silence(&self) -> Failure {
        let waited = self.heard.elapsed().as_secs();
        Failure {
            class: ErrorClass::Silence,
            message: format!("the agent said nothing for {waited} s and was interrupted"),
            retry_at: None,
        }
    }

    /// Takes note of what happens; the failure, where it is enough.
    pub fn note(&mut self, happening: &Happening, now: Time) -> Option<Failure> {
        match happening {
            Happening::ToolCall { call, .. } => {
                self.tools.push(call.clone());
                self.tries = 0;
                self.compactions = 0;
            }
            Happening::ToolResult { call, .. } => {
                self.tools.retain(|open| open != call);
                self.tries = 0;
            }
            Happening::PermissionAsked(asked) => self.asked.push(asked.id.clone()),
            Happening::PermissionAnswered { id, .. } => {
                self.asked.retain(|open| open != id);
                self.heard();
            }
            Happening::Text { .. } | Happening::ModelCall { .. } | Happening::Thinking { .. } => {
                self.tries = 0;
            }
            Happening::TurnStarted { .. } | Happening::TurnEnded(_) => {
                self.tools.clear();
                self.asked.clear();
                self.tries = 0;
                self.compactions = 0;
                self.heard();
            }
            Happening::Compacted { .. } => {
                self.compactions += 1;
                return (self.compactions >= COMPACTIONS_MAX).then(|| Failure {
                    class: ErrorClass::ContextOverflow,
                    message: format!(
                        "the conversation was shortened {} times and does not fit into the \
                         model's window",
                        self.compactions
                    ),
                    retry_at: None,
                });
            }
            Happening::Retry {
                class,
                message,
                at,
                wait_ms,
                attempt,
            } => {
                let at = at.or_else(|| wait_ms.map(|ms| now.plus_ms(ms)));
                return self.note_retry(*class, message, at, *attempt, now);
            }
            _ => {}
        }
        None
    }

    fn note_retry(
        &mut self,
        class: ErrorClass,
        message: &str,
        at: Option<Time>,
        attempt: u32,
        now: Time,
    ) -> Option<Failure> {
        self.tries = (self.tries + 1).max(attempt);
        let wait_ms = at.map_or(0, |at| at.ms_since(now));
        if class == ErrorClass::RateLimit && wait_ms > self.limits.rate_limit_wait_ms {
            return Some(Failure {
                class,
                message: format!(
                    "its provider wants {} s of rest: {message}",
                    wait_ms / 1_000
                ),
                retry_at: at,
            });
        }
        (self.tries > self.limits.retries).then(|| Failure {
            class,
            message: format!("given up after {} tries: {message}", self.tries),
            retry_at: at.filter(|_| class == ErrorClass::RateLimit),
        })
    }
}
