//! Daemons come and go; tasks stay.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fornax_runner::{ExitCause, Report, TaskSpec};
use rustix::process::Signal;
use serde_json::json;

use crate::kit::{
    Daemon, Tasks, Test, first_line, is_alive, kill, log, marked, myself, pid_in_task, until,
};

pub const TESTS: &[Test] = &[
    ("adopt::a_killed_daemon_disturbs_nothing", killed_daemon),
    ("adopt::a_dropped_supervisor_disturbs_nothing", dropped),
    ("adopt::an_end_while_nobody_watched_is_told", unwatched_end),
    ("adopt::ensure_twice_is_one_process", twice),
    ("adopt::two_daemons_start_one_process", two_daemons),
    (
        "adopt::a_killed_shim_is_a_lost_task_and_leaves_nobody",
        killed_shim,
    ),
    (
        "adopt::a_task_of_an_earlier_boot_is_lost_and_strangers_live",
        reboot,
    ),
    (
        "adopt::a_start_of_an_earlier_boot_is_not_repeated",
        start_of_earlier_boot,
    ),
    ("adopt::torn_starts_are_resolved", torn),
    (
        "adopt::a_folder_of_another_attempt_is_not_taken_for_this_one",
        other_attempt,
    ),
    (
        "adopt::a_shim_without_a_socket_is_watched_and_stopped",
        no_socket,
    ),
    ("adopt::a_deleted_folder_still_ends", deleted_folder),
    (
        "adopt::a_daemon_without_descriptors_loses_no_task",
        no_descriptors,
    ),
];

/// A daemon in a process of its own, which has started `spec` and seen it run.
fn other_daemon(spec: &TaskSpec, tasks: &Tasks) -> Child {
    let (child, mut lines) = daemon_says("__daemon", spec, tasks);
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("Started"), "{line}");
    child
}

/// A daemon in a process of its own that is given `spec`, and what it says.
fn daemon_says(kind: &str, spec: &TaskSpec, tasks: &Tasks) -> (Child, Lines<impl BufRead>) {
    let file = tasks.root.join("spec");
    fs::write(&file, serde_json::to_vec(spec).unwrap()).unwrap();
    let mut child = Command::new(myself())
        .arg(kind)
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// Runs until the file `go` is there.
fn patient(tasks: &Tasks) -> TaskSpec {
    tasks.sh(&format!(
        "echo begun; until test -e {}; do sleep 0.02; done; echo ended >&2; exit 6",
        tasks.root.join("go").display()
    ))
}

fn go(tasks: &Tasks) {
    fs::write(tasks.root.join("go"), "").unwrap();
}

fn finished(spec: &TaskSpec, exit: &fornax_runner::Exit) {
    assert_eq!((exit.code, exit.cause), (Some(6), ExitCause::Exited));
    assert_eq!(
        (
            log(spec, "stdout.log").as_str(),
            log(spec, "stderr.log").as_str()
        ),
        ("begun\n", "ended\n")
    );
}

fn killed_daemon() {
    let tasks = Tasks::new();
    let spec = patient(&tasks);
    let mut other = other_daemon(&spec, &tasks);
    other.kill().unwrap();
    other.wait().unwrap();
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    assert_eq!(pid, pid_in_task(&spec, "child"));
    assert_eq!(daemon.supervisor.pids()[0].pid, pid);
    go(&tasks);
    finished(&spec, &daemon.ended());
}

fn no_descriptors() {
    for adopted in [true, false] {
        let tasks = Tasks::new();
        let spec = patient(&tasks);
        if adopted {
            let mut other = other_daemon(&spec, &tasks);
            other.kill().unwrap();
            other.wait().unwrap();
        }
        let mut lines = daemon_says("__starved", &spec, &tasks).1;
        let mut next = || lines.next().unwrap().unwrap();
        assert!(next().starts_with("stalled: the task cannot be watched"));
        let started = next();
        let pid = pid_in_task(&spec, "child");
        assert_eq!(started, format!("started {pid}"));
        go(&tasks);
        assert_eq!(next(), "ended Some(6)");
    }
}

fn dropped() {
    let tasks = Tasks::new();
    let spec = patient(&tasks);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    drop(daemon);
    for _ in 0..3 {
        let daemon = Daemon::start();
        daemon.supervisor.ensure(spec.clone());
        assert_eq!(daemon.started(), pid);
    }
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    go(&tasks);
    finished(&spec, &daemon.ended());
}

fn unwatched_end() {
    let tasks = Tasks::new();
    let mut spec = patient(&tasks);
    // The deadline holds though no daemon lives.
    spec.timeout_ms = Some(400);
    let mut other = other_daemon(&spec, &tasks);
    other.kill().unwrap();
    other.wait().unwrap();
    until("the record", || {
        spec.dir.join("exit.json").exists().then_some(())
    });
    let daemon = Daemon::start();
    for _ in 0..2 {
        daemon.supervisor.ensure(spec.clone());
        assert_eq!(daemon.ended().cause, ExitCause::Timeout);
    }
}

fn twice() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh(&format!(
        "echo run >> {}; exec sleep 600",
        tasks.root.join("runs").display()
    ));
    spec.redact = None;
    let daemon = Daemon::start();
    for _ in 0..5 {
        daemon.supervisor.ensure(spec.clone());
    }
    let pid = daemon.started();
    let runs = || fs::read_to_string(tasks.root.join("runs")).unwrap_or_default();
    until("the first line", || (!runs().is_empty()).then_some(()));
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.started(), pid);
    daemon.supervisor.stop(&spec.task_id);
    daemon.ended();
    assert_eq!(
        fs::read_to_string(tasks.root.join("runs")).unwrap(),
        "run\n"
    );
}

fn two_daemons() {
    let tasks = Tasks::new();
    let daemons = [Daemon::start(), Daemon::start()];
    for number in 0..50 {
        let runs = tasks.root.join(format!("runs-{number}"));
        let mut spec = tasks.sh(&format!("echo run >> {}", runs.display()));
        spec.dir = tasks.root.join(format!("t-{number}"));
        for daemon in &daemons {
            daemon.supervisor.ensure(spec.clone());
        }
        let exits: Vec<_> = daemons.iter().map(Daemon::ended).collect();
        assert_eq!(exits[0], exits[1]);
        assert_eq!(fs::read_to_string(runs).unwrap(), "run\n");
    }
}

fn killed_shim() {
    for adopted in [false, true] {
        let tasks = Tasks::new();
        let mut spec = tasks.sh("setsid sh -c 'echo $$; sleep 600' & sleep 600");
        spec.redact = None;
        let daemon = Daemon::start();
        daemon.supervisor.ensure(spec.clone());
        let pid = daemon.started();
        let grandchild = first_line(&spec).parse().unwrap();
        assert!(is_alive(grandchild));
        let daemon = if adopted {
            drop(daemon);
            kill(pid_in_task(&spec, "shim"), Signal::KILL);
            until("the shim dies", || {
                (!is_alive(pid_in_task(&spec, "shim"))).then_some(())
            });
            let daemon = Daemon::start();
            daemon.supervisor.ensure(spec.clone());
            daemon
        } else {
            kill(pid_in_task(&spec, "shim"), Signal::KILL);
            daemon
        };
        let reason = daemon.lost();
        assert!(
            reason.contains("without leaving exit.json") && reason.contains("killed"),
            "{reason}"
        );
        assert!(!is_alive(pid) && !is_alive(grandchild));
        assert!(marked(&spec).is_empty());
        assert!(daemon.supervisor.pids().is_empty());
        // And it stays lost.
        daemon.supervisor.ensure(spec.clone());
        assert!(daemon.lost().contains("without leaving exit.json"));
    }
}

fn edit_task(spec: &TaskSpec, edit: impl Fn(&mut serde_json::Value)) {
    let path = spec.dir.join("task.json");
    let mut task = crate::kit::json(&path);
    edit(&mut task);
    fs::write(path, task.to_string()).unwrap();
}

/// A task whose shim was killed, with a stranger in the place of its command.
fn dead_with_stranger(tasks: &Tasks) -> (TaskSpec, Child) {
    let mut spec = tasks.sh("echo ready; sleep 600");
    spec.redact = None;
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    first_line(&spec);
    kill(pid_in_task(&spec, "shim"), Signal::KILL);
    daemon.lost();
    let stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", stranger.id())).unwrap();
    let start: u64 = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(19)
        .unwrap()
        .parse()
        .unwrap();
    edit_task(&spec, |task| {
        task["child"] = json!({"pid": stranger.id(), "start": start})
    });
    (spec, stranger)
}

fn reboot() {
    let tasks = Tasks::new();
    let (spec, mut stranger) = dead_with_stranger(&tasks);
    edit_task(&spec, |task| task["boot_id"] = "another boot".into());
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    let reason = daemon.lost();
    assert!(reason.contains("restarted"), "{reason}");
    assert!(
        is_alive(stranger.id()),
        "a stranger with the command's number was killed"
    );
    // In this boot the same number and start time are a hint, and hints kill nobody.
    edit_task(&spec, |task| {
        task["boot_id"] = fornax_runner::boot_id().unwrap().into()
    });
    daemon.supervisor.ensure(spec.clone());
    let reason = daemon.lost();
    assert!(!reason.contains("killed"), "{reason}");
    assert!(is_alive(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

fn start_of_earlier_boot() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh("true");
    spec.boot_id = Some("another boot".into());
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert!(daemon.lost().contains("restarted"));
    assert!(!spec.dir.exists());
    spec.boot_id = Some(fornax_runner::boot_id().unwrap());
    assert_eq!(daemon.run(&spec).code, Some(0));
}

fn torn() {
    let daemon = Daemon::start();
    // An empty folder was never claimed: a shim's folder appears with its content.
    let tasks = Tasks::new();
    let spec = tasks.sh("exit 3");
    fs::create_dir(&spec.dir).unwrap();
    assert_eq!(daemon.run(&spec).code, Some(3));
    // A folder with something else in it may be one that the disk has damaged.
    for (name, content) in [
        ("stdout.log", ""),
        ("task.json", ""),
        ("task.json", "{\"v\":1}"),
    ] {
        let tasks = Tasks::new();
        let spec = tasks.sh("exit 3");
        fs::create_dir(&spec.dir).unwrap();
        fs::write(spec.dir.join(name), content).unwrap();
        daemon.supervisor.ensure(spec.clone());
        let reason = daemon.lost();
        assert!(!reason.is_empty());
        assert!(!spec.dir.join("exit.json").exists());
    }
    // Neither is a file, or a damaged record, an end.
    let tasks = Tasks::new();
    let spec = tasks.sh("exit 3");
    fs::write(&spec.dir, "").unwrap();
    daemon.supervisor.ensure(spec.clone());
    assert!(daemon.lost().contains("cannot be read"));
    let tasks = Tasks::new();
    let spec = tasks.sh("exit 3");
    fs::create_dir(&spec.dir).unwrap();
    fs::write(spec.dir.join("exit.json"), "{").unwrap();
    daemon.supervisor.ensure(spec.clone());
    let reason = daemon.lost();
    assert!(reason.contains("damaged"), "{reason}");
}

fn other_attempt() {
    let tasks = Tasks::new();
    let daemon = Daemon::start();
    let mut spec = tasks.sh("exit 3");
    daemon.run(&spec);
    spec.attempt = 2;
    daemon.supervisor.ensure(spec.clone());
    let reason = daemon.wait(|report| match report {
        Report::Lost {
            attempt: 2, reason, ..
        } => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("attempt 1"), "{reason}");
}

fn no_socket() {
    for stop in [false, true] {
        let tasks = Tasks::new();
        let spec = patient(&tasks);
        let daemon = Daemon::start();
        daemon.supervisor.ensure(spec.clone());
        daemon.started();
        drop(daemon);
        fs::remove_file(spec.dir.join("shim.sock")).unwrap();
        let daemon = Daemon::start();
        daemon.supervisor.ensure(spec.clone());
        if stop {
            daemon.supervisor.stop(&spec.task_id);
            assert_eq!(daemon.ended().cause, ExitCause::Stopped);
        } else {
            go(&tasks);
            finished(&spec, &daemon.ended());
        }
    }
}

fn deleted_folder() {
    let tasks = Tasks::new();
    let spec = patient(&tasks);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    fs::remove_dir_all(&spec.dir).unwrap();
    assert!(!Path::new(&spec.dir).exists());
    go(&tasks);
    let exit = daemon.ended();
    assert_eq!(exit.code, Some(6));
    assert!(exit.error.unwrap().contains("exit.json"));
}
