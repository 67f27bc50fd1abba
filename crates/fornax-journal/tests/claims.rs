//! What is claimed once: the project, run numbers, frame ids.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::{DAY, created, finished, installation, run, started, writer_of};
use fornax_core::ids::{FrameId, RunId};
use fornax_journal::{JournalError, Project};

#[test]
fn a_project_is_made_private_and_found_from_inside() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Project::find(dir.path()),
        Err(JournalError::NoProject(_))
    ));
    assert!(!dir.path().join(".fornax").exists());
    let project = Project::open(dir.path()).unwrap();
    let data = project.data_dir();
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_to_string(data.join(".gitignore")).unwrap(), "*\n");
    let identity = fs::read(data.join("project.json")).unwrap();
    assert_eq!(Project::open(dir.path()).unwrap(), project);
    assert_eq!(
        fs::read(data.join("project.json")).unwrap(),
        identity,
        "it keeps its key"
    );

    let inside = dir.path().join("src/deep");
    fs::create_dir_all(&inside).unwrap();
    assert_eq!(Project::find(&inside).unwrap(), project);

    let newer = String::from_utf8(identity)
        .unwrap()
        .replace("\"v\":1", "\"v\":2");
    fs::write(data.join("project.json"), newer).unwrap();
    for refused in [Project::open(dir.path()), Project::find(dir.path())] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("has version 2"), "{error}");
    }
}

#[test]
fn processes_that_make_a_project_at_once_agree_on_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys: HashSet<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let project = Project::open(dir.path()).unwrap();
                    fs::read(project.data_dir().join("project.json")).unwrap()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(keys.len(), 1);
    let left = fs::read_dir(dir.path().join(".fornax")).unwrap();
    let drafts = left.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("project.json.")
    });
    assert_eq!(drafts.count(), 0);
}

/// The other process of the test below; on its own it does nothing.
#[test]
fn holder() {
    let Some(dir) = std::env::var_os("FORNAX_TEST_HOLD") else {
        return;
    };
    let _writer = writer_of(&Project::open(dir.as_ref()).unwrap()).unwrap();
    println!("\nheld");
    let _ = std::io::stdin().read_line(&mut String::new());
}

#[test]
fn the_second_writer_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["holder", "--exact", "--nocapture"])
        .env("FORNAX_TEST_HOLD", dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"));
    let error = writer_of(&project).unwrap_err();
    assert!(matches!(error, JournalError::Locked { pid: Some(pid), .. } if pid == holder.id()));
    assert!(
        error
            .to_string()
            .contains(&format!("process {}", holder.id()))
    );

    // However it dies, the lock is free then.
    holder.kill().unwrap();
    holder.wait().unwrap();
    let writer = writer_of(&project).unwrap();
    let error = writer_of(&project).unwrap_err();
    assert!(
        error.to_string().contains(&std::process::id().to_string()),
        "{error}"
    );
    drop(writer);
    writer_of(&project).unwrap();
}

#[test]
fn run_numbers_are_never_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    {
        let (mut writer, _) = writer_of(&project).unwrap();
        let claimed = [(); 3].map(|()| writer.next_run_id(DAY).unwrap());
        assert_eq!(claimed, [run(1), run(2), run(3)]);
        assert!(
            project.runs().unwrap().is_empty(),
            "a claimed number is not yet a run"
        );
    }
    for number in [2, 3] {
        fs::remove_dir_all(project.run_dir(run(number))).unwrap();
    }
    let (mut writer, _) = writer_of(&project).unwrap();
    assert_eq!(writer.next_run_id(DAY).unwrap(), run(4));
    // Another day counts for itself, and a folder that was put there is stepped over.
    fs::create_dir(project.run_dir(RunId {
        date: DAY + 1,
        number: 1,
    }))
    .unwrap();
    assert_eq!(
        writer.next_run_id(DAY + 1).unwrap(),
        RunId {
            date: DAY + 1,
            number: 2
        }
    );
    assert_eq!(writer.next_run_id(DAY).unwrap(), run(5));
}

#[test]
fn frame_ids_are_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let mut given = HashSet::new();
    for count in [1, 3, 5000, 0, 7] {
        let (mut writer, _) = writer_of(&project).unwrap();
        for _ in 0..2 {
            let ids = writer.reserve_frames(count).unwrap();
            assert_eq!(ids.len(), count as usize);
            for id in ids {
                assert!(given.insert(id), "{id} was given twice");
            }
        }
    }
}

fn key(project: &Project) -> u64 {
    let text = fs::read_to_string(project.data_dir().join("project.json")).unwrap();
    let identity: serde_json::Value = serde_json::from_str(&text).unwrap();
    u64::from_str_radix(identity["key"].as_str().unwrap(), 16).unwrap()
}

#[test]
fn ids_that_came_from_elsewhere_are_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let key = key(&project);
    // A run copied from a project that gave ids which this one would give as well.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Project::open(elsewhere.path()).unwrap();
    let foreign: Vec<FrameId> = (0..6).map(|number| FrameId::nth(key, number)).collect();
    let (mut writer, _) = writer_of(&other).unwrap();
    let mut records = vec![started(run(9))];
    for (&id, seq) in foreign.iter().zip(2..) {
        records.push(created(run(9), seq, id));
    }
    records.push(finished(run(9), 8));
    writer.append(&records).unwrap();
    let copy = project.run_dir(run(9));
    fs::create_dir(&copy).unwrap();
    let journal = other.run_dir(run(9)).join("events.jsonl");
    fs::copy(journal, copy.join("events.jsonl")).unwrap();
    let derived = FrameId::nth(key, 6);
    fs::create_dir(project.frame_dir(derived)).unwrap();

    // Also after the project's own numbers have passed the copied run's.
    for _ in 0..2 {
        let (mut writer, recovery) = writer_of(&project).unwrap();
        assert_eq!((recovery.runs_seen > 0, recovery.runs_read), (true, 0));
        let ids = writer.reserve_frames(20).unwrap();
        assert!(ids.iter().all(|id| !foreign.contains(id) && *id != derived));
        for _ in 0..10 {
            assert_ne!(writer.next_run_id(DAY).unwrap(), run(9));
        }
        // The counters start anew, as if they had been lost.
        drop(writer);
        let counters = counters_file(&project);
        let text = fs::read_to_string(&counters).unwrap();
        let mut stored: serde_json::Value = serde_json::from_str(&text).unwrap();
        stored["next_frame"] = 0.into();
        fs::write(&counters, stored.to_string()).unwrap();
    }
}

#[test]
fn what_is_lost_is_made_good_from_the_runs() {
    for lost in ["counters.json", "project.json"] {
        check_lost(lost);
    }
}

fn counters_file(project: &Project) -> PathBuf {
    let key = project.key().unwrap();
    installation(project).project_dir(key).join("counters.json")
}

fn check_lost(lost: &str) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let claimed = writer.next_run_id(DAY).unwrap();
    let ids = writer.reserve_frames(3).unwrap();
    let mut records = vec![started(claimed)];
    for (&id, seq) in ids.iter().zip(2..) {
        records.push(created(claimed, seq, id));
    }
    writer.append(&records).unwrap();
    drop(writer);
    match lost {
        "project.json" => fs::remove_file(project.data_dir().join(lost)).unwrap(),
        _ => fs::remove_file(counters_file(&project)).unwrap(),
    }

    let project = Project::open(dir.path()).unwrap();
    if lost == "project.json" {
        // A new key; that it would make the same ids is put on here.
        let key = key(&project);
        let events = project.run_dir(claimed).join("events.jsonl");
        let mut text = fs::read_to_string(&events).unwrap();
        for (id, number) in ids.iter().zip(0..) {
            let same = FrameId::nth(key, 4096 + number).to_string();
            text = text.replace(&id.to_string(), &same);
        }
        fs::write(&events, text).unwrap();
    }
    let reader = project.read_run(claimed).unwrap();
    let used: Vec<FrameId> = reader
        .filter_map(|record| record.unwrap().frame_id)
        .collect();
    assert_eq!(used.len(), 3);
    let (mut writer, _) = writer_of(&project).unwrap();
    assert!(writer.next_run_id(DAY).unwrap() > claimed);
    let again = writer.reserve_frames(10).unwrap();
    assert!(again.iter().all(|id| !used.contains(id)));
}
