//! The shim: one small process per task, from the claim of its folder to its record.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map, Value, json};

use crate::attached::Attached;
use crate::begin::{Begun, begin, launch};
use crate::capture::{CHUNK_BYTES, Capture, RETRY, no_space};
use crate::folder::{Folder, Record};
use crate::ladder::Ladder;
use crate::place::StateDir;
use crate::procs::Identity;
use crate::proof::{ExitProof, PROTOCOL, ShimProof, seal_exit};
use crate::spawn::Failure;
use crate::spec::{Exit, ExitCause, TaskSpec, now_ms};
use crate::suspend::Suspension;
use crate::sweep::Sweep;
use crate::sys::{Ended, Reaped, Signals, reap};
use crate::wire::{Lines, Wish, Word};

/// Where a task is in its life.
enum Phase {
    /// The command runs.
    Running,
    /// It ended; what it left is being killed.
    Sweeping(Sweep),
    /// Nobody is left; the rest of the outputs is read, until this moment at the latest.
    Draining(Instant),
    /// The outputs are complete; the record is to be written.
    Recording,
    /// All is said.
    Done,
}

struct Shim<'a> {
    spec: &'a TaskSpec,
    boot_id: &'a str,
    state: &'a StateDir,
    folder: Folder,
    attached: Attached,
    signals: Signals,
    captures: Vec<Capture>,
    buffer: Vec<u8>,
    phase: Phase,
    child: Option<u32>,
    ended: Option<Ended>,
    ladder: Option<Ladder>,
    cause: ExitCause,
    failure: Option<Failure>,
    started: Instant,
    started_at_ms: i64,
    silence: Silence,
    suspension: Suspension,
    /// `task.json`, while it lacks what is known by now.
    stale_task: Option<Map<String, Value>>,
    /// Why a record cannot be written now.
    blocked: Option<String>,
    /// When to try again what is blocked.
    retry: Option<Instant>,
    swept: (u32, u32),
    /// How often this process was sent SIGCONT.
    continued: u32,
}

/// Runs one task, from its specification to its record, in the boot `boot_id` and for the installation
/// whose state directory is `state`.
pub fn run(text: Vec<u8>, control: OwnedFd, boot_id: &str, state: &StateDir) {
    // Without a specification there is no id to report under: the daemon sees a closed connection
    // and no folder.
    let Ok(mut spec) = serde_json::from_slice::<TaskSpec>(&text) else {
        return;
    };
    drop(text);
    let name: Vec<u8> = spec
        .task_id
        .bytes()
        .filter(u8::is_ascii_graphic)
        .take(15)
        .collect();
    if let Ok(name) = std::ffi::CString::new(name) {
        // For people who read `ps`; nothing depends on it.
        let _ = rustix::thread::set_name(&name);
    }
    let mut control = Lines::new(control);
    let Some(begun) = begin(&spec, &mut control, boot_id) else {
        return;
    };
    // Before there is a command that could stop this process.
    let proof = ShimProof::new(&spec, begun.folder.id, state, Duration::ZERO);
    control.send(&Word::Proof {
        nonce: String::new(),
        proof: proof.seal(&spec.key, ""),
    });
    let launched = launch(&spec, &begun.folder);
    // Prompts and secrets are not kept, and a shim is meant to be small.
    spec.forget_input();
    let mut shim = Shim::new(&spec, (boot_id, state), begun, control);
    shim.launched(launched);
    loop {
        shim.advance();
        if matches!(shim.phase, Phase::Done) {
            return;
        }
        shim.wait();
    }
}

impl<'a> Shim<'a> {
    fn new(
        spec: &'a TaskSpec,
        (boot_id, state): (&'a str, &'a StateDir),
        mut begun: Begun,
        control: Lines,
    ) -> Shim<'a> {
        let now = Instant::now();
        Shim {
            spec,
            boot_id,
            state,
            continued: 0,
            attached: Attached::new(begun.folder.listener.take(), control),
            folder: begun.folder,
            signals: begun.signals,
            captures: Vec::new(),
            buffer: Vec::new(),
            phase: Phase::Running,
            child: None,
            ended: None,
            ladder: None,
            cause: ExitCause::Exited,
            failure: None,
            started: now,
            started_at_ms: now_ms(),
            silence: Silence {
                limit: spec.silence_ms.map(ms),
                heard: now,
                checked: now,
                bytes: 0,
            },
            suspension: Suspension::default(),
            stale_task: Some(begun.task),
            blocked: None,
            retry: None,
            swept: (0, 0),
        }
    }

    /// Takes in whether the command has been started.
    fn launched(&mut self, launched: Result<(u32, Vec<Capture>), Failure>) {
        match launched {
            Ok((pid, captures)) => {
                if !captures.is_empty() {
                    self.buffer = vec![0; CHUNK_BYTES];
                }
                self.captures = captures;
                self.child = Some(pid);
                if let Some(task) = &mut self.stale_task {
                    task.insert("child".into(), json!(Identity::of(pid)));
                }
                self.attached.tell(&Word::Started { pid });
            }
            Err(failure) => {
                self.cause = ExitCause::SpawnFailed;
                self.failure = Some(failure);
                self.stale_task = None;
                self.phase = Phase::Sweeping(Sweep::new(Instant::now(), None));
            }
        }
    }

    /// Does all that can be done now.
    fn advance(&mut self) {
        let now = Instant::now();
        if self.retry.is_none_or(|retry| retry <= now) {
            self.blocked = None;
            self.write_task();
        }
        while self.step(now) {}
        self.tell_stall(now);
    }

    /// Takes the next step of the task's life; `false` if it has to wait.
    fn step(&mut self, now: Instant) -> bool {
        match &mut self.phase {
            Phase::Running => {
                self.hear_outputs(now);
                let gone = self.reap();
                if !gone && self.ended.is_none() && !self.stop_if_due(now) {
                    return false;
                }
                self.phase = Phase::Sweeping(Sweep::new(now, self.child));
            }
            Phase::Sweeping(_) => {
                self.hear_outputs(now);
                let none_left = self.reap();
                let Phase::Sweeping(sweep) = &mut self.phase else {
                    return false;
                };
                if !none_left && !sweep.strike(now) {
                    return false;
                }
                self.swept = sweep.count(none_left);
                self.captures.iter_mut().for_each(Capture::command_ended);
                self.phase = Phase::Draining(now + ms(self.spec.grace.drain_ms));
            }
            Phase::Draining(until) => {
                let mut complete = true;
                for capture in &mut self.captures {
                    let order = &mut self.folder.order;
                    complete &= capture.finish(&mut self.buffer, order, *until);
                }
                if !complete {
                    return false;
                }
                self.phase = Phase::Recording;
            }
            Phase::Recording => return self.record(),
            Phase::Done => return false,
        }
        true
    }

    /// Reaps whoever has ended, the command or an orphan of it. `true` if no descendant is left.
    fn reap(&mut self) -> bool {
        loop {
            match reap() {
                Ok(Reaped::Ended(ended)) if Some(ended.pid) == self.child => {
                    self.ended = Some(ended);
                }
                Ok(Reaped::Ended(_)) => {}
                Ok(Reaped::NoChild) => return true,
                Ok(Reaped::NoneEnded) | Err(_) => return false,
            }
        }
    }

    /// Moves what the command has written, a chunk at a time.
    fn hear_outputs(&mut self, now: Instant) {
        for capture in &mut self.captures {
            if capture.pump(&mut self.buffer, &mut self.folder.order) {
                self.silence.heard = now;
            }
        }
    }

    /// Begins the ladder when a deadline has passed, and climbs it; `true` at its top.
    fn stop_if_due(&mut self, now: Instant) -> bool {
        if self.timeout().is_some_and(|due| due <= now) {
            self.stop(ExitCause::Timeout);
        }
        if self.silence_due().is_some_and(|due| due <= now) {
            if self.captures.is_empty() {
                let bytes = self.log_bytes();
                self.silence.look(now, bytes[0] + bytes[1]);
            }
            if self.silence.is_over(now) {
                self.stop(ExitCause::Silence);
            }
        }
        match (&mut self.ladder, self.child) {
            (Some(ladder), Some(child)) => ladder.climb(now, child, self.spec.grace),
            _ => false,
        }
    }

    /// Begins the ladder, unless the command is being stopped already or has ended.
    fn stop(&mut self, cause: ExitCause) {
        self.reap();
        if matches!(self.phase, Phase::Running) && self.ladder.is_none() && self.ended.is_none() {
            self.cause = cause;
            // The ladder wakes whom it signals.
            self.suspension.give_way();
            self.ladder = Some(Ladder::new(Instant::now()));
        }
    }

    fn timeout(&self) -> Option<Instant> {
        self.spec
            .timeout_ms
            .filter(|_| self.ladder.is_none() && !self.suspension.is_on())
            .map(|limit| self.started + ms(limit) + self.suspension.past())
    }

    /// Suspends the command and all that it started, or lets them go on; not while it is being stopped.
    fn suspend(&mut self, on: bool) {
        let now = Instant::now();
        if on && matches!(self.phase, Phase::Running) && self.ladder.is_none() {
            self.suspension.begin(now);
        } else if !on {
            let took = self.suspension.end(now);
            self.silence.heard += took;
            self.silence.checked += took;
        }
    }

    /// When to look for silence; not while the shim itself keeps the command waiting.
    fn silence_due(&self) -> Option<Instant> {
        self.silence
            .due(self.captures.is_empty())
            .filter(|_| self.ladder.is_none() && self.retry.is_none())
            .filter(|_| !self.suspension.is_on())
    }

    /// Writes what `task.json` lacks.
    fn write_task(&mut self) {
        let Some(task) = &self.stale_task else { return };
        match self.folder.write_task(task) {
            Err(error) if no_space(&error) => {
                self.blocked = Some(format!("task.json cannot be written: {error}"));
            }
            // Any other failure leaves the record without the child; adoption goes by the lock.
            _ => self.stale_task = None,
        }
    }

    /// Writes the record and tells it; `false` if there is no room for it yet.
    fn record(&mut self) -> bool {
        if self.blocked.is_some() {
            return false;
        }
        let mut exit = self.exit();
        self.prove_exit(&mut exit);
        let record = match self.folder.write_exit(&exit) {
            Ok(record) => Some(record),
            Err(error) if no_space(&error) => {
                self.blocked = Some(format!("exit.json cannot be written: {error}"));
                return false;
            }
            // No waiting helps, as when somebody has deleted the folder. A daemon still hears it.
            Err(error) => {
                add(
                    &mut exit.error,
                    Some(format!("exit.json cannot be written: {error}")),
                );
                self.prove_exit(&mut exit);
                None
            }
        };
        self.folder.remove_socket();
        self.attached.tell(&Word::Ended {
            exit: Box::new(exit),
        });
        // A daemon that has heard it keeps it in its journal, before it acts on it; one wait for
        // the disk is enough. Without a daemon this record is all there is. Should the disk refuse,
        // then the task is lost by the next power cut, and that is what will be told.
        if self.attached.is_alone() {
            let _ = record.map(Record::keep);
        }
        self.phase = Phase::Done;
        true
    }

    fn exit(&self) -> Exit {
        let [stdout_bytes, stderr_bytes] = self.log_bytes();
        let mut error = self.failure.as_ref().map(|failure| failure.message.clone());
        for capture in &self.captures {
            add(&mut error, capture.broken());
        }
        if let (Some(pid), None) = (self.child, self.ended) {
            add(
                &mut error,
                Some(format!("the command (process {pid}) cannot be killed")),
            );
        }
        Exit {
            code: self.ended.and_then(|ended| ended.code),
            signal: self.ended.and_then(|ended| ended.signal),
            error,
            tool_missing: self
                .failure
                .as_ref()
                .is_some_and(|failure| failure.tool_missing),
            started_at_ms: self.started_at_ms,
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            stdout_bytes,
            stderr_bytes,
            swept: self.swept.0,
            left: self.swept.1,
            max_rss_kib: self.ended.map_or(0, |ended| ended.max_rss_kib),
            cpu_ms: self.ended.map_or(0, |ended| ended.cpu_ms),
            shim_continued: self.continued,
            ..Exit::never_started(&self.spec.task_id, self.spec.attempt, self.cause, None)
        }
    }

    /// Adds to the record that it is this shim's own.
    fn prove_exit(&self, exit: &mut Exit) {
        exit.proof = Some(Box::new(ExitProof {
            protocol: PROTOCOL,
            boot_id: self.boot_id.to_owned(),
            folder: self.folder.id,
            state: self.state.clone(),
            files: self.folder.left_files(),
            mac: String::new(),
        }));
        seal_exit(exit, &self.spec.key);
    }

    /// How long the command has run, the time in which it was suspended left out.
    fn ran(&self) -> Duration {
        let now = Instant::now();
        now.saturating_duration_since(self.started)
            .saturating_sub(self.suspension.total(now))
    }

    fn log_bytes(&self) -> [u64; 2] {
        let size = |log: &OwnedFd| rustix::fs::fstat(log).map_or(0, |stat| stat.st_size as u64);
        [size(&self.folder.logs[0]), size(&self.folder.logs[1])]
    }

    /// Tells when the shim begins or ceases to wait for room.
    fn tell_stall(&mut self, now: Instant) {
        let captures = self.captures.iter().find_map(Capture::blocked);
        let word = match (self.blocked.clone().or(captures), self.retry) {
            (Some(_), Some(retry)) if retry > now => return,
            (Some(_), Some(_)) => {
                self.retry = Some(now + RETRY);
                return;
            }
            (Some(reason), None) => {
                self.retry = Some(now + RETRY);
                Word::Stalled { reason }
            }
            (None, Some(_)) => {
                self.retry = None;
                // The command was blocked: its silence was ours.
                self.silence.heard = now;
                Word::Resumed
            }
            (None, None) => return,
        };
        self.attached.tell(&word);
    }

    /// Waits until something happens, and hears who spoke.
    fn wait(&mut self) {
        let due = [
            self.retry,
            match &self.phase {
                Phase::Running => match &self.ladder {
                    Some(ladder) => Some(ladder.due()),
                    None => earlier(self.timeout(), self.silence_due()),
                },
                Phase::Sweeping(sweep) => Some(sweep.due()),
                Phase::Draining(until) if self.retry.is_none() => Some(*until),
                Phase::Draining(_) | Phase::Recording | Phase::Done => None,
            },
        ];
        let timeout = earlier(due[0], due[1])
            .map(|due| due.saturating_duration_since(Instant::now()))
            .and_then(|left| Timespec::try_from(left).ok());
        let outputs = self.captures.iter().filter_map(Capture::wants);
        let mut fds: Vec<PollFd<'_>> = [self.signals.as_fd()]
            .into_iter()
            .chain(self.attached.fds())
            .chain(outputs)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        // An interruption is an event like any other: look at everything.
        let _ = poll(&mut fds, timeout.as_ref());
        let mut stop = false;
        let proof = ShimProof::new(self.spec, self.folder.id, self.state, self.ran());
        let key = &self.spec.key;
        for wish in self.attached.hear(|nonce| proof.seal(key, nonce)) {
            match wish {
                Wish::Stop => stop = true,
                Wish::Suspend => self.suspend(true),
                Wish::GoOn => self.suspend(false),
                Wish::Challenge { .. } | Wish::Unknown => {}
            }
        }
        while let Some(signal) = self.signals.next() {
            // Whoever ends the shim politely, such as a machine that shuts down, means the task.
            stop |= matches!(signal, libc::SIGTERM | libc::SIGINT);
            self.continued += u32::from(signal == libc::SIGCONT);
        }
        if stop {
            self.stop(ExitCause::Stopped);
        }
    }
}

/// When the command was last heard. Its pipes tell exactly; where it writes its logs itself, their
/// sizes are looked at four times in the allowed silence.
struct Silence {
    limit: Option<Duration>,
    heard: Instant,
    checked: Instant,
    bytes: u64,
}

impl Silence {
    fn due(&self, by_size: bool) -> Option<Instant> {
        let limit = self.limit?;
        let end = self.heard + limit;
        Some(if by_size {
            end.min(self.checked + limit / 4)
        } else {
            end
        })
    }

    fn look(&mut self, now: Instant, bytes: u64) {
        if bytes != self.bytes {
            (self.bytes, self.heard) = (bytes, now);
        }
        self.checked = now;
    }

    fn is_over(&self, now: Instant) -> bool {
        self.limit.is_some_and(|limit| self.heard + limit <= now)
    }
}

fn add(error: &mut Option<String>, more: Option<String>) {
    if let Some(more) = more {
        *error = Some(
            error
                .take()
                .map_or_else(|| more.clone(), |first| format!("{first}; {more}")),
        );
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
