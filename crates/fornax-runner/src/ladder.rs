//! The stop ladder: SIGINT, SIGTERM, SIGKILL, each after its grace.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::procs::Table;
use crate::spec::Grace;

/// A ladder that is being climbed.
pub struct Ladder {
    rung: usize,
    due: Instant,
}

impl Ladder {
    /// A ladder whose first rung is due at once.
    pub fn new(now: Instant) -> Ladder {
        Ladder { rung: 0, due: now }
    }

    /// When the next rung is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Climbs as far as is due. `true` once SIGKILL has been sent: what is left is for the sweep.
    ///
    /// `child` is the command's process, not reaped yet, so that its number and its group's are
    /// still its own.
    pub fn climb(&mut self, now: Instant, child: u32, grace: Grace) -> bool {
        while self.due <= now {
            let wait_ms = match self.rung {
                0 => {
                    signal_all(child, Signal::INT);
                    grace.interrupt_ms
                }
                1 => {
                    signal_all(child, Signal::TERM);
                    grace.terminate_ms
                }
                _ => {
                    if let Some(child) = Pid::from_raw(child as i32) {
                        // It is our child and not reaped, so the only failure is that it may not
                        // be killed; the sweep finds that out and says so.
                        let _ = kill_process(child, Signal::KILL);
                    }
                    return true;
                }
            };
            self.rung += 1;
            self.due = now + Duration::from_millis(wait_ms);
        }
        false
    }
}

/// Signals the command's process group, and every descendant that has left it. Failures are not
/// looked at: whoever is still there when the grace is over meets the next rung.
fn signal_all(child: u32, signal: Signal) {
    let Some(group) = Pid::from_raw(child as i32) else {
        return;
    };
    let _ = kill_process_group(group, signal);
    // A process that is paused would not see the signal.
    let _ = kill_process_group(group, Signal::CONT);
    let Ok(table) = Table::read() else { return };
    for process in table.descendants([std::process::id()]) {
        if process.group != child {
            process.id.signal(signal);
            process.id.signal(Signal::CONT);
        }
    }
}
