//! What is damaged is found, moved aside whole and, where it can be, made again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs::{self, File};
use std::path::Path;

use common::{completed, created, finished, frame, run, started, task, writer_of};
use fornax_core::event::{Event, FrameCompleted};
use fornax_core::record::LINE_MAX_BYTES;
use fornax_journal::repair::{Repair, Scope, Subject, execute, plan};
use fornax_journal::{JournalError, Project};
use proptest::prelude::*;

/// A project with a finished run, 1, and an open one, 2.
fn project(dir: &Path) -> Project {
    let project = Project::open(dir).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let one = run(1);
    let long = Event::FrameCompleted(FrameCompleted {
        results: "r".repeat(LINE_MAX_BYTES),
        ..FrameCompleted::default()
    });
    let records = [
        started(one),
        created(one, 2, frame()),
        completed(one, 3),
        common::record(one, 4, long),
        finished(one, 5),
    ];
    writer.append(&records).unwrap();
    let open = [
        started(run(2)),
        common::summary(run(2), 2, "two"),
        common::summary(run(2), 3, "three"),
    ];
    writer.append(&open).unwrap();
    project
}

fn subjects(dir: &Path) -> Vec<Subject> {
    let plan = plan(dir, Scope::All).unwrap();
    plan.into_iter().map(|repair| repair.subject).collect()
}

/// Repairs all that is damaged, after which nothing is.
fn repair(dir: &Path, key: Option<u64>) -> Vec<std::path::PathBuf> {
    let repairs = plan(dir, Scope::All).unwrap();
    let done = execute(dir, &repairs, "DATE", key).unwrap();
    assert_eq!(plan(dir, Scope::All).unwrap(), [], "after {done:?}");
    done.into_iter().filter_map(|done| done.moved_to).collect()
}

#[test]
fn an_undamaged_project_needs_no_repair() {
    let dir = common::fast_dir();
    let project = project(dir.path());
    assert_eq!(subjects(dir.path()), []);
    // A torn end is cut off by every start, and derived files may be missing.
    let journal = project.run_dir(run(2)).join("events.jsonl");
    let text = fs::read(&journal).unwrap();
    fs::write(&journal, &text[..text.len() - 7]).unwrap();
    assert_eq!(subjects(dir.path()), []);
}

#[test]
fn each_damage_of_a_journal_sets_its_run_aside() {
    type Damage = fn(&Path);
    fn edit(dir: &Path, edit: impl FnOnce(&mut Vec<String>)) {
        let path = dir.join("events.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let damages: [(&str, Damage); 7] = [
        ("no record", |dir| {
            edit(dir, |lines| lines[1] = "x".to_owned())
        }),
        ("a gap", |dir| edit(dir, |lines| drop(lines.remove(1)))),
        ("another run's", |dir| {
            edit(dir, |lines| {
                lines[1] = lines[1].replace("-002", "-009").replace("-001", "-009")
            });
        }),
        ("a hole with something behind it", |dir| {
            edit(dir, |lines| lines[1] = "\0".repeat(40));
        }),
        ("a folder", |dir| {
            fs::remove_file(dir.join("events.jsonl")).unwrap();
            fs::create_dir(dir.join("events.jsonl")).unwrap();
        }),
        ("a link", |dir| {
            fs::rename(dir.join("events.jsonl"), dir.join("elsewhere")).unwrap();
            std::os::unix::fs::symlink("elsewhere", dir.join("events.jsonl")).unwrap();
        }),
        ("a pipe", |dir| {
            fs::remove_file(dir.join("events.jsonl")).unwrap();
            let mode = rustix::fs::Mode::from_bits_truncate(0o600);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, dir.join("events.jsonl"), kind, mode, 0).unwrap();
        }),
    ];
    for number in [1, 2] {
        for (what, damage) in &damages {
            let dir = common::fast_dir();
            let project = project(dir.path());
            damage(&project.run_dir(run(number)));
            assert_eq!(subjects(dir.path()), [Subject::Run(run(number))], "{what}");
            let kept = repair(dir.path(), None);
            assert_eq!(kept.len(), 1, "{what}");
            assert!(kept[0].ends_with(format!(".fornax/set-aside/DATE-runs-{}", run(number))));
            assert!(
                fs::symlink_metadata(kept[0].join("events.jsonl")).is_ok(),
                "{what}"
            );
            assert_eq!(project.runs().unwrap(), [run(3 - number)], "{what}");
            writer_of(&project).unwrap();
        }
    }
}

#[test]
fn a_missing_payload_is_damage_and_a_newer_version_is_none() {
    let dir = common::fast_dir();
    let project = project(dir.path());
    fs::rename(
        project.run_dir(run(1)).join("payloads"),
        dir.path().join("payloads"),
    )
    .unwrap();
    assert_eq!(subjects(dir.path()), [Subject::Run(run(1))]);
    fs::rename(
        dir.path().join("payloads"),
        project.run_dir(run(1)).join("payloads"),
    )
    .unwrap();
    let journal = project.run_dir(run(1)).join("events.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("\"v\":1", "\"v\":99", 1)).unwrap();
    assert_eq!(subjects(dir.path()), []);
    let identity = dir.path().join(".fornax/project.json");
    let text = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, text.replace("\"v\":1", "\"v\":99")).unwrap();
    assert_eq!(subjects(dir.path()), []);
}

#[test]
fn the_key_is_written_again_where_it_is_known() {
    for damaged in ["", "{", "{\"v\":1,\"key\":\"no\",\"created\":\"\"}"] {
        let dir = common::fast_dir();
        let project = project(dir.path());
        let key = project.key().unwrap();
        let path = dir.path().join(".fornax/project.json");
        fs::write(&path, damaged).unwrap();
        assert_eq!(subjects(dir.path()), [Subject::Identity]);
        let kept = repair(dir.path(), Some(key));
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), damaged);
        assert_eq!(Project::find(dir.path()).unwrap().key().unwrap(), key);
    }
}

#[test]
fn other_files_are_moved_and_names_are_never_used_twice() {
    let dir = common::fast_dir();
    project(dir.path());
    let data = dir.path().join(".fornax");
    for round in 0..3 {
        for (name, subject) in [
            ("lock", Subject::Marker),
            ("autonomy.json", Subject::Settings),
            ("index.json", Subject::Derived),
        ] {
            let path = data.join(name);
            let _ = fs::remove_file(&path);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("round"), round.to_string()).unwrap();
            assert_eq!(subjects(dir.path()), [subject]);
            let kept = repair(dir.path(), None);
            let text = fs::read_to_string(kept[0].join("round")).unwrap();
            assert_eq!(text, round.to_string());
        }
    }
    assert_eq!(fs::read_dir(data.join("set-aside")).unwrap().count(), 9);
}

#[test]
fn the_mark_of_an_open_run_is_made_again() {
    let dir = common::fast_dir();
    let project = project(dir.path());
    let marker = project.run_dir(run(2)).join("open");
    fs::remove_file(&marker).unwrap();
    fs::create_dir(&marker).unwrap();
    assert_eq!(subjects(dir.path()), [Subject::OpenMarker(run(2))]);
    repair(dir.path(), None);
    assert!(marker.is_file());
}

#[test]
fn nothing_is_repaired_beside_a_daemon_or_under_a_living_task() {
    let dir = common::fast_dir();
    let project = project(dir.path());
    let folder = project.task_dir(run(2), task());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("task.json"), r#"{"shim":{"pid":7,"start":1}}"#).unwrap();
    fs::write(project.run_dir(run(2)).join("events.jsonl"), "x\ny\n").unwrap();
    let shim = File::open(&folder).unwrap();
    shim.lock().unwrap();
    let repairs: Vec<Repair> = plan(dir.path(), Scope::All).unwrap();
    assert_eq!(repairs[0].living[0].pid, Some(7));
    assert_eq!(execute(dir.path(), &repairs, "DATE", None).unwrap(), []);
    assert!(folder.exists());
    shim.unlock().unwrap();

    let writer = writer_of(&project).unwrap();
    let repairs = plan(dir.path(), Scope::All).unwrap();
    let refused = execute(dir.path(), &repairs, "DATE", None).unwrap_err();
    assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
    drop(writer);
    repair(dir.path(), None);
}

#[test]
fn a_narrow_look_sees_open_runs_however_old() {
    let dir = common::fast_dir();
    let project = project(dir.path());
    for number in [1, 2] {
        fs::write(project.run_dir(run(number)).join("events.jsonl"), "x\ny\n").unwrap();
    }
    let narrow = plan(dir.path(), Scope::Newest(0)).unwrap();
    let subjects: Vec<_> = narrow.into_iter().map(|repair| repair.subject).collect();
    assert_eq!(subjects, [Subject::Run(run(2))]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_in_a_file_there_is_a_way_out(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        place in 0_usize..5,
    ) {
        let dir = common::fast_dir();
        let project = project(dir.path());
        let path = match place {
            0 => project.run_dir(run(1)).join("events.jsonl"),
            1 => project.run_dir(run(2)).join("events.jsonl"),
            2 => dir.path().join(".fornax/project.json"),
            3 => dir.path().join(".fornax/index.json"),
            _ => dir.path().join(".fornax/autonomy.json"),
        };
        fs::write(&path, &bytes).unwrap();
        let kept = repair(dir.path(), Some(1));
        let is_kept = fs::read(&path).is_ok_and(|now| now == bytes)
            || kept.iter().any(|kept| {
                fs::read(kept).or_else(|_| fs::read(kept.join("events.jsonl"))).unwrap() == bytes
            });
        prop_assert!(is_kept);
        let project = Project::open(dir.path()).unwrap();
        writer_of(&project).unwrap();
    }
}
