//! The clock of the supervisor's patience.

use std::time::{Duration, Instant};

use super::TICK;

/// The time in which this thread ran: neither the machine's sleep nor its own counts.
pub struct Clock {
    now: Duration,
    last: Instant,
}

impl Clock {
    /// Begins at zero.
    pub fn start() -> Clock {
        Clock {
            now: Duration::ZERO,
            last: Instant::now(),
        }
    }

    /// The time that has passed so far.
    pub fn now(&mut self) -> Duration {
        let passed = self.last.elapsed();
        self.last += passed;
        self.now += passed.min(2 * TICK);
        self.now
    }
}
