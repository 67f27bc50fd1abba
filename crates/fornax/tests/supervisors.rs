//! Supervisors that are stopped by somebody, or whose project is gone.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{PATIENCE, Place, wait_for_file, wait_until};

/// What `down --stop-tasks` may take: the graces of a task (15 s), and as much again for a slow machine.
const BOUND: Duration = Duration::from_secs(45);

/// Starts a task that never ends by itself, and ignores what can be ignored.
fn start(place: &Place) -> String {
    let script = "trap '' INT TERM; touch began; while :; do sleep 0.1; done";
    let run = place.ok(&["task", "shell", script, "--detach"]);
    wait_for_file(&place.dir().join("began"));
    run.trim().to_owned()
}

/// The processes of the supervisors of this place.
fn supervisors(place: &Place) -> Vec<Pid> {
    let shims = fornax_runner::shims(&place.state().join("fornax")).unwrap();
    let pids = shims.iter().map(|shim| i32::try_from(shim.pid).unwrap());
    pids.filter_map(Pid::from_raw).collect()
}

fn checks(place: &Place, dir: &PathBuf) -> Vec<Value> {
    let mut command = place.command(&["doctor", "--json"]);
    let output = command.current_dir(dir).output().unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let about = |check: &Value| check["name"] == "supervisors";
    checks.into_iter().filter(about).collect()
}

#[test]
fn down_ends_a_task_whose_supervisor_is_stopped_again_and_again() {
    let place = Place::new();
    let run = start(&place);
    let shims = supervisors(&place);
    assert_eq!(shims.len(), 1);
    let is_over = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whoever does this is faster than any SIGCONT.
            while !is_over.load(Ordering::Relaxed) {
                let _ = kill_process(shims[0], Signal::STOP);
                std::thread::park_timeout(Duration::from_millis(1));
            }
        });
        let began = Instant::now();
        let ended = place.run(&["down", "--stop-tasks"]);
        is_over.store(true, Ordering::Relaxed);
        assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
        ended
    });
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stdout.trim(), "fornax is down");
    let gone = || place.processes().is_empty();
    assert!(wait_until(PATIENCE, gone), "{:?}", place.processes());
    let runs = place.json(&["runs", "--json"]);
    assert_eq!(runs[0]["id"], run.as_str());
    assert_eq!(runs[0]["status"], "cancelled", "{runs:#}");
    let end = fs::read_dir(place.dir().join(".fornax/runs").join(&run).join("tasks"));
    let task = end.unwrap().next().unwrap().unwrap().path();
    let exit = fs::read_to_string(task.join("exit.json")).unwrap();
    let exit: Value = serde_json::from_str(&exit).unwrap();
    assert_eq!(exit["cause"], "stopped", "{exit:#}");
}

#[test]
fn doctor_shows_a_supervisor_whose_project_is_gone_and_leaves_it_alone() {
    let place = Place::new();
    start(&place);
    let elsewhere = place.state();
    assert!(
        checks(&place, &place.dir()).is_empty(),
        "its folder is known"
    );
    assert!(checks(&place, &elsewhere).is_empty(), "from anywhere");
    let shims = supervisors(&place);
    place.ok(&["down"]);
    assert!(
        checks(&place, &place.dir()).is_empty(),
        "without a daemon too"
    );

    let moved = place.dir().with_file_name("moved");
    fs::rename(place.dir(), &moved).unwrap();
    let found = checks(&place, &elsewhere);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["level"], "warn");
    let pid = shims[0].as_raw_nonzero();
    let message = found[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with(&format!("process {pid} supervises t-")),
        "{message}"
    );
    let help = found[0]["help"].as_str().unwrap();
    assert!(help.contains(&format!("`kill {pid}`")), "{help}");
    assert_eq!(supervisors(&place), shims, "doctor ends nothing");
    assert!(
        checks(&place, &moved).is_empty(),
        "a project need not be registered"
    );
    fs::rename(&moved, place.dir()).unwrap();
    assert!(checks(&place, &elsewhere).is_empty());

    // The help is true: it ends the supervisor, and all that it supervises.
    fs::remove_dir_all(place.dir().join(".fornax")).unwrap();
    assert_eq!(checks(&place, &elsewhere).len(), 1);
    kill_process(shims[0], Signal::TERM).unwrap();
    let gone = || place.processes().is_empty();
    assert!(wait_until(PATIENCE, gone), "{:?}", place.processes());
    assert!(checks(&place, &elsewhere).is_empty());
}

#[test]
fn a_stopped_fork_server_is_continued_when_it_is_needed() {
    let place = Place::new();
    place.ok(&["task", "shell", "true"]);
    let state = place.state().canonicalize().unwrap();
    let server = || {
        let is_it = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            line.contains("__shim") && line.contains(state.to_str().unwrap())
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(is_it)
    };
    // Shims have the same arguments; once the task has ended, only the fork server is left.
    assert!(wait_until(PATIENCE, || server().is_some()));
    let stop = |pid: i32| {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    };
    stop(server().unwrap());
    place.ok(&["task", "shell", "true"]);
    stop(server().unwrap());
    place.ok(&["down"]);
}
