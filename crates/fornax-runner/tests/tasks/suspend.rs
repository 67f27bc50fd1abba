//! Suspending a task and letting it go on.

use std::fs;
use std::time::{Duration, Instant};

use fornax_runner::{ExitCause, TaskSpec};

use crate::kit::{Daemon, Tasks, Test, first_line, is_alive, marked, until};

pub const TESTS: &[Test] = &[
    ("suspend::all_that_a_command_started_is_suspended", whole),
    ("suspend::no_deadline_runs_on_meanwhile", deadlines),
    ("suspend::what_is_suspended_can_be_stopped", stopped),
    ("suspend::the_next_daemon_finds_it_as_it_was", adopted),
];

/// Whether a process is suspended. A shell that waits in `vfork` for a child that is suspended before its
/// `exec` sleeps in the kernel (D) instead: it runs nothing either.
fn is_suspended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ");
    state.is_some_and(|(_, rest)| rest.starts_with(['T', 'D']))
}

/// Two processes that write until the file `go` is there, one of them in a session of its own.
fn writers(tasks: &Tasks) -> TaskSpec {
    let write = "until test -e go; do echo x >> $0; sleep 0.01; done";
    let script = format!("setsid sh -c '{write}' apart & sh -c '{write}' here; wait");
    let mut spec = tasks.sh(&script);
    spec.cwd = tasks.root.clone();
    spec
}

fn sizes(tasks: &Tasks) -> [u64; 2] {
    ["apart", "here"].map(|name| fs::metadata(tasks.root.join(name)).map_or(0, |file| file.len()))
}

fn all_write(tasks: &Tasks) {
    let before = sizes(tasks);
    until("both write", || {
        let now = sizes(tasks);
        (now[0] > before[0] && now[1] > before[1]).then_some(())
    });
}

fn all_suspended(spec: &TaskSpec) {
    until("all are suspended", || {
        let pids = marked(spec);
        let all = pids.iter().all(|pid| is_suspended(*pid));
        (pids.len() >= 3 && all).then_some(())
    });
}

fn whole() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let spec = writers(&tasks);
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    all_write(&tasks);
    daemon.supervisor.suspend(&spec.task_id, true);
    daemon.supervisor.suspend(&spec.task_id, true);
    all_suspended(&spec);
    let before = sizes(&tasks);
    // Another task lives its whole life meanwhile.
    let others = Tasks::new();
    let mut other = others.sh("echo x");
    other.task_id = "t-4k2p9y-1".into();
    daemon.run(&other);
    assert_eq!(sizes(&tasks), before);
    daemon.supervisor.suspend(&spec.task_id, false);
    all_write(&tasks);
    fs::write(tasks.root.join("go"), "").unwrap();
    let exit = daemon.ended();
    assert_eq!((exit.cause, exit.code), (ExitCause::Exited, Some(0)));
}

fn deadlines() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec = tasks.sh("echo begun; until test -e go; do sleep 0.02; done; echo done");
    spec.cwd = tasks.root.clone();
    spec.timeout_ms = Some(3_000);
    spec.silence_ms = Some(3_000);
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    let began = Instant::now();
    first_line(&spec);
    daemon.supervisor.suspend(&spec.task_id, true);
    until("both deadlines have passed", || {
        (began.elapsed() > Duration::from_millis(3_500)).then_some(())
    });
    fs::write(tasks.root.join("go"), "").unwrap();
    assert!(!marked(&spec).is_empty(), "it was not ended");
    daemon.supervisor.suspend(&spec.task_id, false);
    let exit = daemon.ended();
    assert_eq!((exit.cause, exit.code), (ExitCause::Exited, Some(0)));
    // They hold again from then on.
    let later = Tasks::new();
    let mut late = later.sh("exec sleep 600");
    late.timeout_ms = Some(600);
    daemon.supervisor.ensure(late.clone());
    daemon.started();
    daemon.supervisor.suspend(&late.task_id, true);
    daemon.supervisor.suspend(&late.task_id, false);
    assert_eq!(daemon.ended().cause, ExitCause::Timeout);
}

fn stopped() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let spec = writers(&tasks);
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    all_write(&tasks);
    daemon.supervisor.suspend(&spec.task_id, true);
    all_suspended(&spec);
    daemon.supervisor.stop(&spec.task_id);
    // Too late, and without effect.
    daemon.supervisor.suspend(&spec.task_id, true);
    let exit = daemon.ended();
    assert_eq!((exit.cause, exit.signal), (ExitCause::Stopped, Some(2)));
    assert!(!is_alive(pid));
    assert!(marked(&spec).is_empty(), "nothing of it is left");
}

fn adopted() {
    let tasks = Tasks::new();
    let spec = writers(&tasks);
    let first = Daemon::start();
    first.supervisor.ensure(spec.clone());
    first.started();
    all_write(&tasks);
    first.supervisor.suspend(&spec.task_id, true);
    all_suspended(&spec);
    drop(first);
    let before = sizes(&tasks);
    let second = Daemon::start();
    second.supervisor.ensure(spec.clone());
    second.started();
    second.supervisor.suspend(&spec.task_id, true);
    all_suspended(&spec);
    assert_eq!(sizes(&tasks), before);
    second.supervisor.suspend(&spec.task_id, false);
    all_write(&tasks);
    fs::write(tasks.root.join("go"), "").unwrap();
    assert_eq!(second.ended().code, Some(0));
}
