//! Shims that somebody stops.

use std::time::{Duration, Instant};

use fornax_runner::{Exit, ExitCause, Report, TaskSpec};
use rustix::process::Signal;

use crate::kit::{Daemon, Tasks, Test, first_line, is_alive, kill, marked, pid_in_task, until};

pub const TESTS: &[Test] = &[
    (
        "stopped::a_shim_that_was_stopped_is_continued_and_its_record_says_so",
        once,
    ),
    (
        "stopped::one_that_stops_again_is_shown_and_its_task_goes_on",
        twice,
    ),
    ("stopped::its_deadline_ends_the_task_from_outside", deadline),
    ("stopped::a_stop_ends_the_task_from_outside", stop),
    ("stopped::a_stopped_shim_is_adopted_and_continued", adopted),
];

/// A task whose shim is stopped again as soon as it goes on. It says who runs it.
const AGAIN: &str = "echo $$; trap '' INT TERM; setsid sh -c 'trap \"\" INT TERM; sleep 600' & \
                     while :; do kill -STOP $PPID; sleep 0.02; done";

fn started(daemon: &Daemon, spec: &TaskSpec) -> (u32, u32) {
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    (pid, pid_in_task(spec, "shim"))
}

fn continued(daemon: &Daemon) -> u32 {
    daemon.wait(|report| match report {
        Report::ShimContinued { shim, .. } => Some(*shim),
        Report::Ended { exit, .. } => panic!("ended: {exit:?}"),
        _ => None,
    })
}

fn once() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh("echo ready; exec sleep 600");
    spec.redact = None;
    let daemon = Daemon::start();
    let (pid, shim) = started(&daemon, &spec);
    first_line(&spec);
    kill(shim, Signal::STOP);
    assert_eq!(continued(&daemon), shim);
    assert!(is_alive(pid));
    daemon.supervisor.stop(&spec.task_id);
    let exit = daemon.ended();
    assert_eq!((exit.cause, exit.signal), (ExitCause::Stopped, Some(2)));
    assert!(exit.shim_continued >= 1, "{exit:?}");
}

fn twice() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh("echo ready; exec sleep 600");
    spec.redact = None;
    let daemon = Daemon::start();
    let (pid, shim) = started(&daemon, &spec);
    first_line(&spec);
    kill(shim, Signal::STOP);
    continued(&daemon);
    kill(shim, Signal::STOP);
    let reason = daemon.stalled();
    assert!(
        reason.contains("again") && reason.contains("fornax stop"),
        "{reason}"
    );
    assert!(is_alive(pid));
    // A person who continues it by hand, or a stop that does, gets an orderly end.
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().signal, Some(2));
}

fn from_outside(exit: &Exit, spec: &TaskSpec, shim: u32) {
    assert!(
        exit.error.as_ref().unwrap().contains("did not answer"),
        "{exit:?}"
    );
    assert_eq!((exit.code, exit.left), (None, 0));
    assert!(marked(spec).is_empty() && !is_alive(shim));
    // Its record is in the folder, and the next daemon believes it.
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(&daemon.ended(), exit);
}

fn deadline() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh(AGAIN);
    spec.redact = None;
    spec.timeout_ms = Some(2_000);
    let daemon = Daemon::start();
    let begin = Instant::now();
    let (_, shim) = started(&daemon, &spec);
    daemon.stalled();
    let exit = daemon.ended();
    assert_eq!(exit.cause, ExitCause::Timeout);
    let took = begin.elapsed();
    assert!(
        took >= Duration::from_secs(7) && took < Duration::from_secs(20),
        "{took:?}"
    );
    from_outside(&exit, &spec, shim);
}

fn stop() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh(AGAIN);
    spec.redact = None;
    spec.grace.interrupt_ms = 1_000;
    spec.grace.terminate_ms = 1_000;
    let daemon = Daemon::start();
    let (pid, shim) = started(&daemon, &spec);
    daemon.stalled();
    assert!(is_alive(pid), "its task goes on");
    daemon.supervisor.stop(&spec.task_id);
    let exit = daemon.ended();
    assert_eq!(exit.cause, ExitCause::Stopped);
    from_outside(&exit, &spec, shim);
}

fn adopted() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh("echo ready; exec sleep 600");
    spec.redact = None;
    let daemon = Daemon::start();
    let (pid, shim) = started(&daemon, &spec);
    first_line(&spec);
    drop(daemon);
    kill(shim, Signal::STOP);
    let stopped = || std::fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
    until("it stops", || stopped().contains(") T ").then_some(()));
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.started(), pid);
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().signal, Some(2));
}
