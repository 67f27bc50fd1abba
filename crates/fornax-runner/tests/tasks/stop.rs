//! Deadlines, the stop ladder, and the sweep.

use std::time::{Duration, Instant};

use fornax_runner::{ExitCause, TaskSpec};

use crate::kit::{Daemon, Tasks, Test, first_line, is_alive, kill, log, marked, pid_in_task};

pub const TESTS: &[Test] = &[
    ("stop::a_timeout_stops_the_command", timeout),
    ("stop::silence_stops_the_command_and_only_silence", silence),
    ("stop::a_stop_begins_with_an_interrupt", interrupt),
    (
        "stop::stubborn_programs_are_gone_within_the_graces",
        stubborn,
    ),
    (
        "stop::who_holds_the_output_open_does_not_hang_the_end",
        holder,
    ),
    ("stop::what_is_left_behind_is_swept", leftovers),
    ("stop::a_paused_command_can_be_stopped", paused),
    ("stop::a_signal_to_the_shim_stops_the_task", shim_signal),
];

fn quick(spec: &mut TaskSpec) {
    spec.grace.interrupt_ms = 200;
    spec.grace.terminate_ms = 200;
}

fn timeout() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec = tasks.sh("echo begun; exec sleep 600");
    spec.timeout_ms = Some(300);
    let exit = daemon.run(&spec);
    assert_eq!((exit.cause, exit.signal), (ExitCause::Timeout, Some(2)));
    assert!((300..5_000).contains(&exit.duration_ms), "{exit:?}");
    assert_eq!(log(&spec, "stdout.log"), "begun\n");
}

fn silence() {
    let daemon = Daemon::start();
    for redacted in [true, false] {
        let tasks = Tasks::new();
        // Ten words, one after the other within the limit, then nothing.
        let mut spec = tasks
            .sh("for i in 1 2 3 4 5 6 7 8 9 10; do echo $i >&2; sleep 0.1; done; exec sleep 600");
        if !redacted {
            spec.redact = None;
        }
        spec.silence_ms = Some(600);
        let exit = daemon.run(&spec);
        assert_eq!((exit.cause, exit.signal), (ExitCause::Silence, Some(2)));
        assert!((1_400..10_000).contains(&exit.duration_ms), "{exit:?}");
        assert!(log(&spec, "stderr.log").ends_with("9\n10\n"));
    }
}

fn interrupt() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec =
        tasks.sh("trap 'echo bye; exit 5' INT; echo ready; while :; do sleep 0.05; done");
    spec.redact = None;
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    first_line(&spec);
    daemon.supervisor.stop(&spec.task_id);
    daemon.supervisor.stop(&spec.task_id);
    let exit = daemon.ended();
    assert_eq!((exit.cause, exit.code), (ExitCause::Stopped, Some(5)));
    assert_eq!(log(&spec, "stdout.log"), "ready\nbye\n");
}

fn stubborn() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let ignore = "trap '' INT TERM HUP; ";
    let mut spec = tasks.sh(&format!(
        "{ignore} setsid sh -c \"{ignore} echo \\$\\$; while :; do sleep 0.1; done\" & while :; do sleep 0.1; done"
    ));
    spec.redact = None;
    quick(&mut spec);
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    let grandchild: u32 = first_line(&spec).parse().unwrap();
    assert!(is_alive(pid) && is_alive(grandchild));
    let begin = Instant::now();
    daemon.supervisor.stop(&spec.task_id);
    let exit = daemon.ended();
    assert_eq!((exit.cause, exit.signal), (ExitCause::Stopped, Some(9)));
    assert!(
        begin.elapsed() >= Duration::from_millis(400),
        "{:?}",
        begin.elapsed()
    );
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "{:?}",
        begin.elapsed()
    );
    assert!(!is_alive(pid) && !is_alive(grandchild));
    assert!(exit.swept >= 1 && exit.left == 0, "{exit:?}");
    assert!(marked(&spec).is_empty());
}

fn holder() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let spec = tasks.sh("setsid sleep 600 & echo $!; exit 4");
    let exit = daemon.run(&spec);
    assert_eq!(
        (exit.cause, exit.code, exit.swept),
        (ExitCause::Exited, Some(4), 1)
    );
    assert!(exit.duration_ms < 5_000, "{exit:?}");
    let pid = log(&spec, "stdout.log").trim().parse().unwrap();
    assert!(!is_alive(pid));
}

fn leftovers() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    // A whole tree of daemons, each orphaned in its own way, one without our marks.
    let mut spec = tasks.sh(
        "for i in 1 2 3 4 5; do (setsid sh -c 'sleep 600 & sleep 600 & wait' &) ; done; \
         setsid env -i sleep 600 & \
         sh -c 'trap \"\" INT TERM HUP; sleep 600' & sleep 0.2; exit 0",
    );
    spec.redact = None;
    let exit = daemon.run(&spec);
    assert_eq!((exit.code, exit.left), (Some(0), 0));
    assert!(exit.swept >= 17, "{exit:?}");
    assert!(marked(&spec).is_empty());
}

fn paused() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec = tasks.sh("echo ready; exec sleep 600");
    spec.redact = None;
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    first_line(&spec);
    kill(pid, rustix::process::Signal::STOP);
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().signal, Some(2));
}

fn shim_signal() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec = tasks.sh("echo ready; exec sleep 600");
    spec.redact = None;
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    first_line(&spec);
    kill(pid_in_task(&spec, "shim"), rustix::process::Signal::TERM);
    let exit = daemon.ended();
    assert_eq!((exit.cause, exit.signal), (ExitCause::Stopped, Some(2)));
}
