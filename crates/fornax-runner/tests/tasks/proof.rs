//! Whose shim, whose record, whose processes: what is proved counts, and nothing else.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use fornax_runner::{ExitCause, StopOutcome, Supervisor, TaskSpec, shims, stop_task};
use rustix::process::Signal;
use serde_json::Value;

use crate::kit::{
    Daemon, KEY, Tasks, Test, first_line, is_alive, json, kill, log, pid_in_task, shim_argv,
    state_dir, until,
};

pub const TESTS: &[Test] = &[
    ("proof::a_renamed_folder_is_adopted", renamed),
    ("proof::a_copy_kills_nobody_and_adopts_nobody", copied),
    (
        "proof::a_copy_that_leads_to_the_socket_is_not_adopted",
        linked_socket,
    ),
    (
        "proof::another_key_or_state_directory_is_not_adopted",
        others,
    ),
    (
        "proof::who_listens_in_the_place_of_the_shim_is_not_believed",
        impostors,
    ),
    (
        "proof::a_shim_that_passes_on_the_proof_of_another_is_not_believed",
        relay,
    ),
    (
        "proof::a_task_that_forges_its_end_and_kills_its_shim_is_lost",
        forged_end,
    ),
    (
        "proof::a_forged_end_beside_a_living_shim_changes_nothing",
        forged_beside,
    ),
    (
        "proof::the_record_of_another_folder_is_no_end",
        borrowed_record,
    ),
    (
        "proof::a_record_of_protocol_1_is_read_where_the_caller_says_so",
        unproved_record,
    ),
    (
        "proof::what_a_killed_shim_leaves_is_swept_by_its_mark",
        marks,
    ),
    ("proof::a_task_is_stopped_by_its_folder", stop_by_folder),
    ("proof::shims_are_listed_with_their_state_directory", listed),
    ("proof::a_shim_is_hidden_and_its_command_is_not", hidden),
    ("proof::the_key_is_nowhere", key_nowhere),
];

/// A task that runs until it is stopped, under a shim that no daemon is attached to.
fn left_alone(tasks: &Tasks) -> (TaskSpec, u32) {
    let mut spec = tasks.sh("echo ready; exec sleep 600");
    spec.redact = None;
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    first_line(&spec);
    (spec, pid)
}

fn stop(spec: &TaskSpec) {
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().cause, ExitCause::Stopped);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}

fn renamed() {
    let tasks = Tasks::new();
    let (mut spec, pid) = left_alone(&tasks);
    let place = tasks.root.join("elsewhere");
    fs::create_dir(&place).unwrap();
    let moved = place.join("t-4k2p9x-1");
    fs::rename(&spec.dir, &moved).unwrap();
    spec.dir = moved;
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.started(), pid);
    daemon.supervisor.stop(&spec.task_id);
    let exit = daemon.ended();
    assert_eq!(exit.cause, ExitCause::Stopped);
    // Its record is at the new place, and is believed there.
    drop(daemon);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.ended(), exit);
}

fn copied() {
    let tasks = Tasks::new();
    let (spec, pid) = left_alone(&tasks);
    let mut other = spec.clone();
    other.dir = tasks.root.join("copy");
    copy(&spec.dir, &other.dir);
    for unproved in [false, true] {
        other.accept_unproved = unproved;
        let daemon = Daemon::start();
        daemon.supervisor.ensure(other.clone());
        let reason = daemon.lost();
        assert!(
            reason.contains("copy") && !reason.contains("killed"),
            "{reason}"
        );
        assert!(is_alive(pid) && is_alive(pid_in_task(&spec, "shim")));
        assert_eq!(
            stop_task(&other.dir, &KEY.into(), &state_dir()).unwrap(),
            StopOutcome::NotRunning
        );
    }
    // Nor does a copy in the place of the original, which has been moved.
    let moved = tasks.root.join("moved");
    fs::rename(&spec.dir, &moved).unwrap();
    copy(&moved, &spec.dir);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert!(!daemon.lost().contains("killed"));
    assert!(is_alive(pid));
    let mut original = spec.clone();
    original.dir = moved;
    stop(&original);
}

fn linked_socket() {
    let tasks = Tasks::new();
    let (spec, pid) = left_alone(&tasks);
    for hard in [true, false] {
        let mut other = spec.clone();
        other.dir = tasks.root.join(format!("copy-{hard}"));
        fs::create_dir(&other.dir).unwrap();
        fs::copy(spec.dir.join("task.json"), other.dir.join("task.json")).unwrap();
        let (from, to) = (spec.dir.join("shim.sock"), other.dir.join("shim.sock"));
        match hard {
            true => fs::hard_link(from, to).unwrap(),
            false => std::os::unix::fs::symlink(from, to).unwrap(),
        }
        let daemon = Daemon::start();
        daemon.supervisor.ensure(other.clone());
        daemon.supervisor.stop(&other.task_id);
        let reason = daemon.lost();
        assert!(reason.contains("another folder"), "{reason}");
        let refused = stop_task(&other.dir, &KEY.into(), &state_dir()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(is_alive(pid));
    }
    stop(&spec);
}

fn others() {
    let tasks = Tasks::new();
    let (spec, pid) = left_alone(&tasks);
    let mut other = spec.clone();
    other.key = [8; 32].into();
    let daemon = Daemon::start();
    daemon.supervisor.ensure(other);
    assert!(daemon.lost().contains("key"));
    let refused = stop_task(&spec.dir, &[8; 32].into(), &state_dir()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);

    let state = tempfile::tempdir().unwrap();
    let (sender, reports) = std::sync::mpsc::channel();
    let tell = move |report| drop(sender.send(report));
    let foreign = Supervisor::new(shim_argv(), state.path(), tell).unwrap();
    foreign.ensure(spec.clone());
    let report = format!("{:?}", reports.recv_timeout(crate::kit::PATIENCE).unwrap());
    assert!(
        report.contains("Lost") && report.contains("state directory"),
        "{report}"
    );
    let refused = stop_task(&spec.dir, &KEY.into(), state.path()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    assert!(is_alive(pid));
    stop(&spec);
}

/// Kills the shim of a task and lets somebody else listen in its folder.
fn without_shim(tasks: &Tasks) -> (TaskSpec, UnixListener) {
    let (spec, _) = left_alone(tasks);
    let shim = pid_in_task(&spec, "shim");
    kill(shim, Signal::KILL);
    until("the shim dies", || (!is_alive(shim)).then_some(()));
    fs::remove_file(spec.dir.join("shim.sock")).unwrap();
    let listener = UnixListener::bind(spec.dir.join("shim.sock")).unwrap();
    (spec, listener)
}

fn impostors() {
    let end = "{\"is\":\"ended\",\"exit\":{\"v\":1,\"task_id\":\"t-4k2p9x-1\",\"attempt\":1,\"code\":0,\
               \"cause\":\"exited\",\"started_at_ms\":1,\"ended_at_ms\":2,\"duration_ms\":1,\
               \"stdout_bytes\":0,\"stderr_bytes\":0}}\n";
    for says in [
        Some(format!(
            "{{\"is\":\"started\",\"pid\":{}}}\n{end}",
            std::process::id()
        )),
        Some("{\"is\":\"proof\",\"nonce\":\"\",\"proof\":{}}\n".to_owned()),
        Some("\u{1}\n".repeat(1_000)),
        // It says nothing at all.
        None,
    ] {
        let tasks = Tasks::new();
        let (spec, listener) = without_shim(&tasks);
        // It closes each connection, or (None) holds it.
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            for connection in listener.incoming() {
                let mut connection = connection.unwrap();
                let mut byte = [0];
                if connection.read(&mut byte).unwrap_or(0) == 0 {
                    return;
                }
                match &says {
                    Some(says) => drop(connection.write_all(says.as_bytes())),
                    None => held.push(connection),
                }
            }
        });
        let daemon = Daemon::start();
        daemon.supervisor.ensure(spec.clone());
        let reason = daemon.lost();
        assert!(reason.contains("did not prove"), "{reason}");
        // A connection without a byte ends the impostor; the sweep may have removed its socket.
        let _ = std::os::unix::net::UnixStream::connect(spec.dir.join("shim.sock"));
        drop(thread);
    }
}

fn relay() {
    let tasks = Tasks::new();
    let (spec, pid) = left_alone(&tasks);
    let (sock, hidden) = (spec.dir.join("shim.sock"), spec.dir.join("hidden.sock"));
    fs::rename(&sock, &hidden).unwrap();
    let listener = UnixListener::bind(&sock).unwrap();
    let to = hidden.clone();
    std::thread::spawn(move || {
        for ours in listener.incoming() {
            let ours = ours.unwrap();
            let theirs = std::os::unix::net::UnixStream::connect(&to).unwrap();
            for (mut from, mut to) in [
                (ours.try_clone().unwrap(), theirs.try_clone().unwrap()),
                (theirs, ours),
            ] {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            }
        }
    });
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    let reason = daemon.lost();
    assert!(reason.contains("in the place of"), "{reason}");
    assert!(
        !is_alive(pid),
        "its processes bear the marks of this folder, and are swept"
    );
}

/// What a script does to write a record like a real one.
const FORGE: &str = r#"printf '{"v":1,"task_id":"t-4k2p9x-1","attempt":1,"code":0,"cause":"exited",
    "started_at_ms":1,"ended_at_ms":2,"duration_ms":1,"stdout_bytes":0,"stderr_bytes":0%s}' "$PROOF" > $FORNAX_TASK_DIR/exit.json;"#;

fn forged_end() {
    for proof in [
        "",
        r#","proof":null"#,
        r#","proof":{"protocol":2,"mac":"00"}"#,
    ] {
        for daemon_lives in [true, false] {
            let tasks = Tasks::new();
            let mut spec = tasks.sh(&format!(
                "until test -e $GO; do sleep 0.01; done; {FORGE} setsid sleep 600 & echo $!; \
                 sleep 0.1; kill -9 $PPID; sleep 600"
            ));
            spec.redact = None;
            let go = tasks.root.join("go");
            spec.env.push(("GO".into(), go.display().to_string()));
            spec.env.push(("PROOF".into(), proof.into()));
            let first = Daemon::start();
            first.supervisor.ensure(spec.clone());
            first.started();
            let shim = pid_in_task(&spec, "shim");
            let daemon = if daemon_lives {
                fs::write(&go, "").unwrap();
                first
            } else {
                drop(first);
                fs::write(&go, "").unwrap();
                until("the shim dies", || (!is_alive(shim)).then_some(()));
                let daemon = Daemon::start();
                daemon.supervisor.ensure(spec.clone());
                daemon
            };
            let reason = daemon.lost();
            assert!(
                reason.contains("not written by the task's supervisor"),
                "{reason}"
            );
            let left: u32 = first_line(&spec).parse().unwrap();
            assert!(!is_alive(left));
        }
    }
}

fn forged_beside() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh(&format!("{FORGE} echo forged; exec sleep 600"));
    spec.redact = None;
    spec.env.push(("PROOF".into(), String::new()));
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    first_line(&spec);
    drop(daemon);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.started(), pid);
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().signal, Some(2));
}

fn borrowed_record() {
    let tasks = Tasks::new();
    let daemon = Daemon::start();
    let spec = tasks.sh("exit 0");
    let exit = daemon.run(&spec);
    let lost = |spec: &TaskSpec| {
        let daemon = Daemon::start();
        daemon.supervisor.ensure(spec.clone());
        daemon.lost()
    };
    // A copy of the whole folder.
    let mut copied = spec.clone();
    copied.dir = tasks.root.join("copy");
    copy(&spec.dir, &copied.dir);
    let reason = lost(&copied);
    assert!(reason.contains("another folder"), "{reason}");
    // Another attempt, another task, another project: each has a key of its own.
    let mut other = spec.clone();
    other.key = [8; 32].into();
    assert!(lost(&other).contains("key"));
    for (task_id, attempt) in [("t-4k2p9x-1", 2), ("t-4k2p9x-2", 1)] {
        let mut other = spec.clone();
        (other.task_id, other.attempt) = (task_id.into(), attempt);
        assert!(lost(&other).contains("belongs to"));
    }
    // Anything in the record that is changed.
    let path = spec.dir.join("exit.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"code\": 0", "\"code\": 3")).unwrap();
    assert!(lost(&spec).contains("key"));
    fs::write(&path, &text).unwrap();
    let again = Daemon::start();
    again.supervisor.ensure(spec.clone());
    assert_eq!(again.ended(), exit);
    // A pipe in its place blocks nobody.
    fs::remove_file(&path).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    assert!(lost(&spec).contains("not a file"));
}

fn unproved_record() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh("exit 5");
    Daemon::start().run(&spec);
    let path = spec.dir.join("exit.json");
    let mut record = json(&path);
    record.as_object_mut().unwrap().remove("proof");
    fs::write(&path, record.to_string()).unwrap();
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert!(daemon.lost().contains("no proof"));
    spec.accept_unproved = true;
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.ended().code, Some(5));
}

fn marks() {
    let tasks = Tasks::new();
    let script = "setsid sh -c 'setsid env -i sleep 600 & setsid sleep 600 & wait' & \
                  sleep 0.2; echo ready; exec sleep 600";
    let mut spec = tasks.sh(script);
    spec.redact = None;
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    first_line(&spec);
    // A stranger with the same task id, and the path of this folder, as a copy's process has it.
    let mut stranger = Command::new("sleep")
        .arg("600")
        .env("FORNAX_TASK", &spec.task_id)
        .env("FORNAX_TASK_DIR", &spec.dir)
        .env("FORNAX_TASK_MARK", "0".repeat(32))
        .spawn()
        .unwrap();
    kill(pid_in_task(&spec, "shim"), Signal::KILL);
    let reason = daemon.lost();
    // The shell that leads the session, its two children; the command dies with its shim.
    assert!(
        reason.contains("3 of its processes were killed"),
        "{reason}"
    );
    assert!(is_alive(stranger.id()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

fn stop_by_folder() {
    let tasks = Tasks::new();
    let stop = |spec: &TaskSpec| stop_task(&spec.dir, &KEY.into(), &state_dir()).unwrap();
    let (spec, pid) = left_alone(&tasks);
    assert_eq!(stop(&spec), StopOutcome::Stopping);
    until("the record", || {
        spec.dir.join("exit.json").exists().then_some(())
    });
    assert!(!is_alive(pid));
    until("the shim ends", || {
        (stop(&spec) == StopOutcome::NotRunning).then_some(())
    });
    // One whose socket is gone, and one that was stopped.
    for case in ["no socket", "stopped"] {
        let tasks = Tasks::new();
        let (spec, pid) = left_alone(&tasks);
        let shim = pid_in_task(&spec, "shim");
        match case {
            "stopped" => kill(shim, Signal::STOP),
            _ => fs::remove_file(spec.dir.join("shim.sock")).unwrap(),
        }
        assert_eq!(stop(&spec), StopOutcome::Stopping, "{case}");
        until("the end", || (!is_alive(pid)).then_some(()));
    }
}

fn listed() {
    let tasks = Tasks::new();
    let (spec, _) = left_alone(&tasks);
    let shim = pid_in_task(&spec, "shim");
    let all = shims(&state_dir()).unwrap();
    let found = all.iter().find(|found| found.pid == shim).unwrap();
    assert_eq!(found.name, spec.task_id);
    assert!(found.holds(&spec.dir) && !found.holds(&tasks.root));
    if rustix::process::geteuid().is_root() {
        assert_eq!(
            found.dir.as_deref(),
            Some(&*spec.dir.canonicalize().unwrap())
        );
    } else {
        assert_eq!(found.dir, None);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(shims(elsewhere.path()).unwrap(), []);
    // Fork servers are none.
    let server = Daemon::start();
    assert!(
        shims(&state_dir())
            .unwrap()
            .iter()
            .all(|shim| shim.name.starts_with("t-"))
    );
    drop(server);
    stop(&spec);
}

fn hidden() {
    let tasks = Tasks::new();
    let (spec, pid) = left_alone(&tasks);
    let shim = pid_in_task(&spec, "shim");
    let owner = |pid: u32| {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid()
    };
    assert_eq!(owner(shim), 0);
    assert_eq!(owner(pid), rustix::process::geteuid().as_raw());
    if !rustix::process::geteuid().is_root() {
        for name in ["environ", "maps", "mem"] {
            assert!(fs::read(format!("/proc/{shim}/{name}")).is_err(), "{name}");
        }
        assert!(fs::read_dir(format!("/proc/{shim}/fd")).is_err());
    }
    assert!(fs::read_dir(format!("/proc/{pid}/fd")).is_ok());
    stop(&spec);
}

fn key_nowhere() {
    let tasks = Tasks::new();
    let mut spec = tasks.sh("env; cat /proc/$PPID/cmdline; echo ready; exec sleep 600");
    spec.redact = None;
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    until("the output", || {
        log(&spec, "stdout.log").contains("ready").then_some(())
    });
    daemon.supervisor.stop(&spec.task_id);
    daemon.ended();
    let Value::String(key) = serde_json::to_value(&spec).unwrap()["key"].take() else {
        panic!("no key");
    };
    assert!(!format!("{spec:?}").contains(&key));
    let files: Vec<PathBuf> = fs::read_dir(&spec.dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    assert!(files.len() >= 4);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&key), "{}", file.display());
    }
}
