//! Suspending: every process of a task is stopped by SIGSTOP and goes on by SIGCONT, and no deadline
//! runs on meanwhile.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::procs::{Identity, Table};

/// How often the process table is read while a task is suspended: each time finds what was forked by
/// those that had not been reached yet. Only a task that forks without end needs more than a few.
const ROUNDS_MAX: u32 = 100;

/// Whether a task is suspended, and for how long it has been.
#[derive(Default)]
pub struct Suspension {
    since: Option<Instant>,
    past: Duration,
}

impl Suspension {
    /// Whether it is suspended now.
    pub fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// How long it was suspended, up to the last time that it went on.
    pub fn past(&self) -> Duration {
        self.past
    }

    /// How long it was suspended, up to now.
    pub fn total(&self, now: Instant) -> Duration {
        let current = self.since.map(|since| now.saturating_duration_since(since));
        self.past + current.unwrap_or_default()
    }

    /// Suspends all descendants of this process. Again is no different from once.
    pub fn begin(&mut self, now: Instant) {
        if self.since.is_none() {
            self.since = Some(now);
            stop_all();
        }
    }

    /// Lets them go on; for how long they were suspended.
    pub fn end(&mut self, now: Instant) -> Duration {
        let Some(since) = self.since.take() else {
            return Duration::ZERO;
        };
        let Ok(table) = Table::read() else {
            // They are suspended still: whoever asks again is heard.
            self.since = Some(since);
            return Duration::ZERO;
        };
        for process in table.descendants([std::process::id()]) {
            process.id.signal(Signal::CONT);
        }
        let took = now.saturating_duration_since(since);
        self.past += took;
        took
    }

    /// The ladder begins, and makes them go on itself.
    pub fn give_way(&mut self) {
        self.since = None;
    }
}

/// Stops all descendants, sessions of their own included. A process that is stopped forks no more, so
/// a round that finds nobody new was the last.
fn stop_all() {
    let mut stopped: HashSet<Identity> = HashSet::new();
    for _ in 0..ROUNDS_MAX {
        let Ok(table) = Table::read() else { return };
        let mut news = false;
        for process in table.descendants([std::process::id()]) {
            if stopped.insert(process.id) {
                news |= process.id.signal(Signal::STOP);
            }
        }
        if !news {
            return;
        }
    }
}
