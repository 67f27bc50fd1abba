//! The sweep: of what a command started, nothing stays.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::procs::{Identity, Marks, Process, Table};

/// How long to wait for killed processes to vanish. Only the kernel can make it longer.
const GIVE_UP: Duration = Duration::from_secs(5);
/// When to look again at processes that have not vanished.
const AGAIN: Duration = Duration::from_millis(200);

/// A shim's sweep over its own descendants. The shim is their subreaper: whoever loses its parent
/// becomes the shim's child, so "no child" means "no descendant".
pub struct Sweep {
    /// The command itself, which is not a leftover.
    command: Option<u32>,
    killed: HashSet<Identity>,
    left: usize,
    again: Instant,
    give_up: Instant,
}

impl Sweep {
    /// A sweep that begins now.
    pub fn new(now: Instant, command: Option<u32>) -> Sweep {
        Sweep {
            command,
            killed: HashSet::new(),
            left: 0,
            again: now,
            give_up: now + GIVE_UP,
        }
    }

    /// Kills all descendants there are. Call it again whenever a child has been reaped, until
    /// there is none. `true` when it gives up on the rest.
    pub fn strike(&mut self, now: Instant) -> bool {
        // Without a readable process table only the kernel's own tie to the command is left.
        let alive = Table::read().map(|table| table.descendants([std::process::id()]));
        let alive = alive.unwrap_or_default();
        kill(&alive, &mut self.killed);
        self.left = alive.len();
        self.again = now + AGAIN;
        self.give_up <= now
    }

    /// When to strike again though nothing happened.
    pub fn due(&self) -> Instant {
        self.again.min(self.give_up)
    }

    /// How many processes were killed, and how many of them are still there.
    pub fn count(&self, none_left: bool) -> (u32, u32) {
        let left = if none_left { 0 } else { self.left };
        let leftovers = self
            .killed
            .iter()
            .filter(|id| Some(id.pid) != self.command)
            .count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(leftovers.saturating_sub(left)), count(left))
    }
}

fn kill(processes: &[Process], killed: &mut HashSet<Identity>) {
    for process in processes {
        if process.id.signal(Signal::KILL) {
            killed.insert(process.id);
        }
    }
}

/// Sweeps what a dead shim has left of a task: every process that bears one of these marks. Waits
/// until none is left or the kernel does not let go of it; returns how many were killed and how
/// many are still there.
///
/// # Errors
/// When the process table cannot be read.
pub fn sweep_marked(marks: &[Marks]) -> io::Result<(usize, usize)> {
    let give_up = Instant::now() + GIVE_UP;
    let mut killed = HashSet::new();
    loop {
        let table = Table::read()?;
        let alive: Vec<Process> = marks.iter().flat_map(|marks| table.marked(marks)).collect();
        if alive.is_empty() || Instant::now() >= give_up {
            return Ok((killed.len().saturating_sub(alive.len()), alive.len()));
        }
        let doomed: Vec<OwnedFd> = alive
            .iter()
            .filter_map(|process| process.id.open())
            .collect();
        kill(&alive, &mut killed);
        wait_for_any(&doomed);
    }
}

/// Ends a task whose shim does not answer: its processes by their descent from the shim, then the shim,
/// then what bears its marks. Returns how many processes are still there.
///
/// # Errors
/// When the process table cannot be read.
pub fn end_from_outside(shim: Identity, marks: &[Marks]) -> io::Result<usize> {
    // From here on it does nothing by itself, and what loses its parent is still its descendant.
    shim.signal(Signal::STOP);
    let give_up = Instant::now() + GIVE_UP;
    let mut killed = HashSet::new();
    loop {
        // Its number is its own as long as it is there, and it cannot go while it is stopped.
        let alive = match shim.open() {
            Some(_) => Table::read()?.descendants([shim.pid]),
            None => Vec::new(),
        };
        if alive.is_empty() || Instant::now() >= give_up {
            break;
        }
        let doomed: Vec<OwnedFd> = alive
            .iter()
            .filter_map(|process| process.id.open())
            .collect();
        kill(&alive, &mut killed);
        wait_for_any(&doomed);
    }
    if let Some(process) = shim.open() {
        shim.signal(Signal::KILL);
        wait_for_any(&[process]);
    }
    let (_, left) = sweep_marked(marks)?;
    Ok(left)
}

/// Waits until one of the processes has ended, or a little while.
fn wait_for_any(processes: &[OwnedFd]) {
    let mut fds: Vec<_> = processes
        .iter()
        .map(|fd| PollFd::new(fd, PollFlags::IN))
        .collect();
    // A failure, an interruption included, only means that we look again sooner.
    let _ = poll(&mut fds, Timespec::try_from(AGAIN).ok().as_ref());
}
