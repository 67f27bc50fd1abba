//! Looking after the shims: whether they were stopped, whether they answer, whether their tasks run
//! on although they should have been ended.

use std::time::Duration;

use rustix::process::Signal;

use super::join::VOUCH_AFTER;
use super::sweeper::{Ending, Work};
use super::vitals::{Limits, Measures};
use super::{Key, Link, Task, Watch};
use crate::procs::{Identity, Process};
use crate::spec::{Exit, ExitCause, Report, now_ms};
use crate::stop::nonce;
use crate::wire::Wish;

/// How many shims are looked at in a second, where nothing is the matter with them. One look is one
/// small file of /proc, about ten microseconds.
const LOOKS: u64 = 200;
/// The shortest time between two looks at one shim, in seconds.
const LOOK_EVERY: u64 = 2;

impl Watch {
    /// Looks at those shims whose turn it is. Called once a second, while there are tasks.
    pub(super) fn look_after_all(&mut self) {
        self.round += 1;
        let every = (self.tasks.len() as u64).div_ceil(LOOKS).max(LOOK_EVERY);
        let now = self.clock.now();
        let is_due = |task: &Task| match &task.link {
            Link::Joining(joining) => now.saturating_sub(joining.since) >= VOUCH_AFTER,
            Link::Shim(..) | Link::Lock(Some(_)) => {
                task.number % every == self.round % every
                    || task.vitals.is_urgent(now, &task.limits())
            }
            Link::None | Link::Lock(None) | Link::Sweep => false,
        };
        let due = self.tasks.iter().filter(|(_, task)| is_due(task));
        let due: Vec<Key> = due.map(|(key, _)| key.clone()).collect();
        for key in due {
            self.vouch(&key);
            self.look_after(&key, now);
        }
    }

    fn look_after(&mut self, key: &Key, now: Duration) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let Some(shim) = task.shim else { return };
        // One that is gone is told by its connection, or by its lock.
        let Some(process) = Process::read(shim.pid).filter(|process| process.id == shim) else {
            return;
        };
        if process.zombie {
            return;
        }
        let limits = task.limits();
        let measures = task.vitals.look(now, process.stopped, &limits);
        self.take(key, shim, measures);
    }

    /// Takes the measures.
    fn take(&mut self, key: &Key, shim: Identity, measures: Measures) {
        let pid = shim.pid;
        if measures.continue_it && shim.signal(Signal::CONT) {
            self.tell(key, |task_id, attempt| Report::ShimContinued {
                task_id,
                attempt,
                shim: pid,
            });
        }
        if measures.ask {
            self.ask(key);
        }
        if let Some(what) = measures.report {
            let reason = format!(
                "the task's supervisor (process {pid}) {what}; the task goes on, and `fornax stop` \
                 ends it"
            );
            self.tell(key, |task_id, attempt| Report::Stalled {
                task_id,
                attempt,
                reason,
                needs_you: true,
            });
        }
        if let Some(cause) = measures.end {
            self.end_from_outside(key, shim, cause);
        }
    }

    /// Asks a shim for a sign of life.
    fn ask(&mut self, key: &Key) {
        let nonce = nonce();
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        if let Link::Shim(lines, _) = &task.link {
            task.nonce.clone_from(&nonce);
            // One that does not take it does not answer either, and that is noticed.
            lines.send(&Wish::Challenge { nonce });
        }
    }

    fn end_from_outside(&mut self, key: &Key, shim: Identity, cause: ExitCause) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let ran = u64::try_from(task.vitals.run_time(now).as_millis()).unwrap_or(u64::MAX);
        let error = format!(
            "the task's supervisor (process {}) did not answer; the task was ended from outside",
            shim.pid
        );
        let ended_at_ms = now_ms();
        let exit = Exit {
            started_at_ms: ended_at_ms.saturating_sub_unsigned(ran),
            ended_at_ms,
            duration_ms: ran,
            ..Exit::never_started(&key.0, key.1, cause, Some(error))
        };
        let ending = Ending {
            remains: task.remains(key),
            shim,
            folder: task.folder,
            task_key: task.spec.key.clone(),
            state: self.state.clone(),
            boot_id: self.boot_id.clone(),
            exit,
        };
        let link = std::mem::replace(&mut task.link, Link::Sweep);
        if let Some(token) = link.token() {
            self.tokens.remove(&token);
        }
        self.give_sweeper(Work::End(Box::new(ending)));
    }
}

impl Task {
    fn limits(&self) -> Limits {
        let grace = self.spec.grace;
        Limits {
            timeout: self.spec.timeout_ms.map(Duration::from_millis),
            grace: Duration::from_millis(grace.interrupt_ms.saturating_add(grace.terminate_ms)),
            answers: self.answers && !matches!(self.link, Link::Lock(_)),
        }
    }
}
