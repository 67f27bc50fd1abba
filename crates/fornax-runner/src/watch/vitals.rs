//! How a shim is doing, as far as that can be seen from outside. Pure: the caller looks, signals, asks.
//!
//! Time is the time in which the daemon ran: while the machine sleeps, or the daemon itself is stopped,
//! no patience ends.

use std::time::Duration;

use crate::spec::ExitCause;

/// How often a shim is asked for a sign of life, where nothing is the matter.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after its deadline a task may run whose shim does not answer.
const OVERDUE: Duration = Duration::from_secs(5);

/// What is to be done about a shim.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Measures {
    /// Send it SIGCONT.
    pub continue_it: bool,
    /// Ask it for a sign of life.
    pub ask: bool,
    /// Tell a person, for this reason.
    pub report: Option<String>,
    /// End the task from outside, for this cause.
    pub end: Option<ExitCause>,
}

/// What is known of a shim.
#[derive(Debug, Default)]
pub struct Vitals {
    /// How often it was found stopped.
    stops: u32,
    is_stopped: bool,
    /// When it was asked what it has not answered yet.
    asked_at: Option<Duration>,
    /// When it was last heard of.
    heard_at: Duration,
    /// A person was told.
    is_reported: bool,
    /// How long the command had run, and when that was known.
    ran: Duration,
    ran_at: Duration,
    is_suspended: bool,
    /// When somebody wanted it to stop.
    stop_at: Option<Duration>,
    /// It was continued once more, for its deadline or for the stop.
    was_urged: bool,
}

/// What a task may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest that its command may run.
    pub timeout: Option<Duration>,
    /// How long its shim may take to stop it.
    pub grace: Duration,
    /// Whether its shim answers at all; those of protocol 1 do not.
    pub answers: bool,
}

impl Vitals {
    /// A shim that was heard of for the first time.
    pub fn new(now: Duration) -> Vitals {
        Vitals {
            heard_at: now,
            ran_at: now,
            ..Vitals::default()
        }
    }

    /// Whether it has to be looked at more often than others.
    pub fn is_urgent(&self, now: Duration, limits: &Limits) -> bool {
        self.is_stopped
            || self.asked_at.is_some()
            || self.stop_at.is_some()
            || self.overdue(now, limits).is_some()
    }

    /// It answered: how long its command has run. `true` if a person had been told that it does not.
    pub fn answered(&mut self, now: Duration, ran: Duration) -> bool {
        (self.ran, self.ran_at) = (ran, now);
        self.heard(now)
    }

    /// It was asked something that it is still to answer.
    pub fn asked(&mut self, at: Duration) {
        self.asked_at.get_or_insert(at);
    }

    /// It said something. `true` if a person had been told that it does not answer.
    pub fn heard(&mut self, now: Duration) -> bool {
        self.heard_at = now;
        self.asked_at = None;
        self.is_stopped = false;
        std::mem::take(&mut self.is_reported)
    }

    /// Its command is suspended from now on, or goes on: no deadline runs meanwhile.
    pub fn suspend(&mut self, now: Duration, on: bool) {
        self.ran = self.run_time(now);
        self.ran_at = now;
        self.is_suspended = on;
    }

    /// Somebody wants the task to stop.
    pub fn stop(&mut self, now: Duration) {
        self.stop_at.get_or_insert(now);
    }

    /// How long the command has run.
    pub fn run_time(&self, now: Duration) -> Duration {
        match self.is_suspended {
            true => self.ran,
            false => self.ran + now.saturating_sub(self.ran_at),
        }
    }

    /// How long ago the deadline passed.
    fn overdue(&self, now: Duration, limits: &Limits) -> Option<Duration> {
        self.run_time(now).checked_sub(limits.timeout?)
    }

    /// What is to be done, now that it was looked at and found stopped, or not.
    pub fn look(&mut self, now: Duration, stopped: bool, limits: &Limits) -> Measures {
        let mut measures = Measures::default();
        let overdue = self.overdue(now, limits);
        let is_pressing = overdue.is_some() || self.stop_at.is_some();
        if stopped {
            // Still stopped after SIGCONT means that somebody stopped it again.
            self.stops += 1;
            if self.stops == 1 || (is_pressing && !self.was_urged) {
                measures.continue_it = true;
                self.was_urged = is_pressing;
            } else {
                measures.report =
                    self.report("was stopped by a signal, again after it was continued");
            }
        }
        self.is_stopped = stopped;
        let is_silent = match self.asked_at {
            Some(asked_at) => now.saturating_sub(asked_at) >= PATIENCE,
            None => false,
        };
        if is_silent {
            measures.report = self.report("does not answer");
        }
        // A shim that works towards the end answers; one that does not is of no use any more.
        let unheard = match self.asked_at {
            Some(asked_at) => now.saturating_sub(asked_at) >= OVERDUE,
            None => false,
        };
        let is_out = stopped || unheard;
        if is_out
            && self
                .stop_at
                .is_some_and(|at| now.saturating_sub(at) >= limits.grace)
        {
            measures.end = Some(ExitCause::Stopped);
        } else if is_out && overdue.is_some_and(|overdue| overdue >= OVERDUE) {
            measures.end = Some(ExitCause::Timeout);
        }
        let every = if is_pressing {
            Duration::from_secs(2)
        } else {
            ASK_EVERY
        };
        if limits.answers && self.asked_at.is_none() && now.saturating_sub(self.heard_at) >= every {
            self.asked_at = Some(now);
            measures.ask = true;
        }
        measures
    }

    fn report(&mut self, what: &str) -> Option<String> {
        let is_news = !std::mem::replace(&mut self.is_reported, true);
        is_news.then(|| what.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        timeout: Some(Duration::from_secs(100)),
        grace: Duration::from_secs(15),
        answers: true,
    };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_shim_that_answers_is_left_alone_whatever_the_time() {
        let mut vitals = Vitals::new(s(0));
        vitals.stop(s(50));
        for now in 0..1_000 {
            let measures = vitals.look(s(now), false, &LIMITS);
            assert_eq!(
                (measures.continue_it, &measures.report, measures.end),
                (false, &None, None)
            );
            if measures.ask {
                vitals.answered(s(now), s(now));
            }
        }
    }

    #[test]
    fn a_stopped_shim_is_continued_once_and_shown_the_second_time() {
        let mut vitals = Vitals::new(s(0));
        assert!(vitals.look(s(1), true, &LIMITS).continue_it);
        assert_eq!(vitals.look(s(2), false, &LIMITS), Measures::default());
        assert!(!vitals.answered(s(2), s(2)));
        let again = vitals.look(s(3), true, &LIMITS);
        assert!(!again.continue_it && again.report.unwrap().contains("again"));
        assert_eq!(
            vitals.look(s(4), true, &LIMITS),
            Measures::default(),
            "it is told once"
        );
        assert!(vitals.answered(s(5), s(5)), "it is told that it answers");
    }

    #[test]
    fn silence_is_shown_and_ends_nothing_by_itself() {
        let mut vitals = Vitals::new(s(0));
        let limits = Limits {
            timeout: None,
            ..LIMITS
        };
        let mut reports = 0;
        for now in 0..100_000 {
            let measures = vitals.look(s(now), false, &limits);
            reports += u32::from(measures.report.is_some());
            assert_eq!(measures.end, None);
        }
        assert_eq!(reports, 1);
    }

    /// When a shim that is stopped for good is ended, looked at each second.
    fn end(vitals: &mut Vitals, stopped: bool, limits: &Limits, from: u64) -> (u64, ExitCause) {
        (from..100_000)
            .find_map(|now| Some((now, vitals.look(s(now), stopped, limits).end?)))
            .unwrap()
    }

    #[test]
    fn a_stopped_shim_is_ended_five_seconds_after_its_deadline() {
        for stopped in [true, false] {
            let mut vitals = Vitals::new(s(0));
            let (at, cause) = end(&mut vitals, stopped, &LIMITS, 0);
            assert_eq!((at, cause), (105, ExitCause::Timeout), "{stopped}");
        }
        // Time in which the command is suspended does not count.
        let mut vitals = Vitals::new(s(0));
        vitals.suspend(s(10), true);
        vitals.look(s(500), true, &LIMITS);
        vitals.suspend(s(510), false);
        assert_eq!(end(&mut vitals, true, &LIMITS, 510).0, 605);
    }

    #[test]
    fn a_stop_that_is_not_carried_out_is_carried_out_after_the_graces() {
        let mut vitals = Vitals::new(s(0));
        let limits = Limits {
            timeout: None,
            ..LIMITS
        };
        vitals.look(s(1), true, &limits);
        vitals.look(s(2), true, &limits);
        vitals.stop(s(40));
        assert!(
            vitals.look(s(40), true, &limits).continue_it,
            "it is given a chance"
        );
        let (at, cause) = end(&mut vitals, true, &limits, 41);
        assert_eq!((at, cause), (55, ExitCause::Stopped));
    }

    proptest! {
        #[test]
        fn nobody_is_ended_without_a_stop_or_a_deadline(
            looks in proptest::collection::vec((1..40_u64, any::<bool>(), any::<bool>()), 1..200),
        ) {
            let limits = Limits { timeout: None, ..LIMITS };
            let mut vitals = Vitals::new(s(0));
            let (mut now, mut continued) = (0, 0);
            for (step, stopped, answers) in looks {
                now += step;
                let measures = vitals.look(s(now), stopped, &limits);
                prop_assert_eq!(measures.end, None);
                continued += u32::from(measures.continue_it);
                if measures.ask && answers {
                    vitals.answered(s(now), s(now));
                }
            }
            prop_assert!(continued <= 1);
        }
    }
}
