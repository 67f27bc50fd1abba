//! Ending the daemon, whichever version it is and whatever state it is in. Tasks live on.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use fornax_core::error::{Error, ErrorKind};
use fornax_daemon::home::Home;
use fornax_daemon::instance;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::daemon::Daemon;
use crate::failure::{Failure, warn};

/// How long a daemon that is to be replaced may take to end after it was asked to, and again after a
/// signal: requests may finish for 5 seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long an ended daemon may stay in the process table, and how often it is looked for.
const REMOVAL_WAIT: Duration = Duration::from_secs(5);
const REMOVAL_STEP: Duration = Duration::from_millis(20);

/// How the daemon was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// None ran.
    NotRunning,
    /// It did as it was asked.
    Asked,
    /// It could not be asked, and was ended by a signal.
    Signalled,
}

/// Ends the daemon, if one runs, and waits until it has ended.
///
/// # Errors
/// Where the daemon refuses, or cannot be seen to end.
pub async fn end(home: &Home, stop_tasks: bool) -> Result<Shutdown, Failure> {
    let Some(daemon) = Daemon::of_any_protocol(home).await? else {
        return end_unreachable(home);
    };
    // Opened before it is asked, so that the number is its own for certain.
    let pid = daemon.process().await?;
    let process = open(pid)?;
    match (daemon.shutdown(stop_tasks).await, &process) {
        (Ok(()), _) => {}
        // It was dying already.
        (Err(Failure::Error(error)), Some(process))
            if error.kind == ErrorKind::Unavailable && has_ended(process, PATIENCE)? =>
        {
            return Ok(Shutdown::Asked);
        }
        (Err(failure), _) => return Err(failure),
    }
    match process {
        Some(process) => {
            while !has_ended(&process, PATIENCE)? {
                warn(
                    "the daemon has not ended yet, it may wait for tasks or for a disk; \
                     `fornax up --restart` replaces it at once, tasks live on",
                );
            }
            await_removal(pid);
        }
        None => warn("the daemon is ending; whether it has ended cannot be seen from here"),
    }
    Ok(Shutdown::Asked)
}

/// Ends the daemon so that another can take its place: one that does not end as it is asked is
/// signalled, and killed at last.
///
/// # Errors
/// Where it cannot be ended.
pub async fn replace(home: &Home) -> Result<Shutdown, Failure> {
    let Some(daemon) = Daemon::of_any_protocol(home).await? else {
        return end_unreachable(home);
    };
    let Some(process) = open(daemon.process().await?)? else {
        return end(home, false).await;
    };
    // A daemon that does not answer, or does not know the request, is ended below.
    let asked = tokio::time::timeout(PATIENCE, daemon.shutdown(false)).await;
    if matches!(asked, Ok(Ok(()))) && has_ended(&process, PATIENCE)? {
        return Ok(Shutdown::Asked);
    }
    end_by_signal(&process)?;
    Ok(Shutdown::Signalled)
}

/// The process of a daemon that nobody can reach: its state directory was deleted, or it hangs in
/// its end.
pub fn unreachable(home: &Home) -> Option<Pid> {
    let lock = home.lock_holder().and_then(|pid| i32::try_from(pid).ok());
    lock.and_then(Pid::from_raw)
        .or_else(|| instance::holder(home.dir()))
}

fn end_unreachable(home: &Home) -> Result<Shutdown, Failure> {
    let Some(process) = open(unreachable(home))? else {
        return Ok(Shutdown::NotRunning);
    };
    end_by_signal(&process)?;
    Ok(Shutdown::Signalled)
}

fn end_by_signal(process: &OwnedFd) -> Result<(), Failure> {
    for signal in [Signal::TERM, Signal::KILL] {
        match pidfd_send_signal(process, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(cannot_see(error.into())),
        }
        if has_ended(process, PATIENCE)? {
            return Ok(());
        }
    }
    let what = "the daemon was killed and has not ended: the system holds it, perhaps for a disk";
    Err(Error::new(ErrorKind::Unavailable, what)
        .with_help("see what it waits for with `fornax doctor` and `dmesg`, then try again")
        .into())
}

fn open(pid: Option<Pid>) -> Result<Option<OwnedFd>, Failure> {
    let Some(pid) = pid else { return Ok(None) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => Ok(Some(process)),
        Err(Errno::SRCH) => Ok(None),
        Err(error) => Err(cannot_see(error.into())),
    }
}

/// Waits for the end of a process; whether it came in time.
fn has_ended(process: &OwnedFd, patience: Duration) -> Result<bool, Failure> {
    let until = Instant::now() + patience;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut ends = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut ends, left.try_into().ok().as_ref()) {
            Err(Errno::INTR) => {}
            Ok(ended) => return Ok(ended > 0),
            Err(error) => return Err(cannot_see(error.into())),
        }
    }
}

/// Waits until an ended process has left the process table: some systems' first process collects the
/// ended only every few seconds, and who looks at the table until then sees a daemon.
fn await_removal(pid: Option<Pid>) {
    let until = Instant::now() + REMOVAL_WAIT;
    let entry = pid.map(|pid| format!("/proc/{}", pid.as_raw_nonzero()));
    while entry
        .as_ref()
        .is_some_and(|entry| Path::new(entry).exists())
        && Instant::now() < until
    {
        // Nothing reports that an ended process was collected by its parent.
        std::thread::sleep(REMOVAL_STEP);
    }
}

fn cannot_see(error: io::Error) -> Failure {
    let what = format!("cannot wait for the end of the daemon: {error}");
    Error::new(ErrorKind::Unavailable, what)
        .with_help("`fornax status` shows whether it runs")
        .into()
}
