//! The derived files, as others find them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

use common::{records, run, writer_of};
use fornax_core::ids::{FrameId, RunId};
use fornax_journal::{Derivation, Derived, JournalError, Project, Tree};
use serde_json::{Value, json};

fn frame(number: u32) -> FrameId {
    FrameId::nth(5, number)
}

fn index(project: &Project) -> Value {
    let text = fs::read(project.data_dir().join("index.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn metadata(project: &Project, number: u32) -> String {
    let path = project.frame_dir(frame(number)).join("metadata.json");
    fs::read_to_string(path).unwrap()
}

#[test]
fn what_is_handed_in_is_found_in_files() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let derived = Derived::start(&project).unwrap();
    writer.append(&records(run(1), 1..2)).unwrap();
    for round in 0..50 {
        derived.frame(frame(1), format!("{{\"round\":{round}}}"));
        derived.run(run(1), format!("{{\"round\":{round}}}"));
    }
    derived.grow(run(1), vec![(None, frame(1)), (Some(frame(1)), frame(2))]);
    derived.grow(run(1), vec![(Some(frame(1)), frame(3))]);
    assert_eq!(project.run_summary(run(2)), None);
    derived.flush();
    assert_eq!(metadata(&project, 1), "{\"round\":49}");
    assert_eq!(project.run_summary(run(1)).unwrap(), "{\"round\":49}");
    let runs = &index(&project)["runs"][run(1).to_string()];
    assert_eq!(runs["root"], json!(frame(1)));
    assert_eq!(
        runs["children"][frame(1).to_string()],
        json!([frame(2), frame(3)])
    );
    assert!(!derived.index_lost());
    assert_eq!(derived.problem(), None);

    // The same content again is not written.
    let path = project.frame_dir(frame(1)).join("metadata.json");
    let before = fs::metadata(&path).unwrap().ino();
    derived.frame(frame(1), "{\"round\":49}".to_owned());
    derived.flush();
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);

    // What is handed in last is written before the end.
    derived.frame(frame(9), "{}".to_owned());
    derived.structure(
        run(1),
        Tree {
            root: Some(frame(9)),
            children: BTreeMap::new(),
        },
    );
    drop(derived);
    assert_eq!(metadata(&project, 9), "{}");
    assert_eq!(
        index(&project)["runs"][run(1).to_string()]["root"],
        json!(frame(9))
    );
}

#[test]
fn the_index_goes_on_from_the_file_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    for number in 1..4 {
        writer.append(&records(run(number), 1..2)).unwrap();
        let derived = Derived::start(&project).unwrap();
        assert_eq!(derived.index_lost(), number == 1);
        derived.grow(run(number), vec![(None, frame(number))]);
    }
    fs::remove_dir_all(project.run_dir(run(2))).unwrap();
    let derived = Derived::start(&project).unwrap();
    derived.grow(run(3), vec![(Some(frame(3)), frame(7))]);
    drop(derived);
    let index = index(&project);
    let runs = index["runs"].as_object().unwrap();
    let names: Vec<&String> = runs.keys().collect();
    assert_eq!(names, [&run(1).to_string(), &run(3).to_string()]);
    assert_eq!(runs[&run(3).to_string()]["root"], json!(frame(3)));

    fs::write(project.data_dir().join("index.json"), "{}").unwrap();
    let derived = Derived::start(&project).unwrap();
    derived.grow(run(3), vec![(None, frame(3))]);
    derived.flush();
    assert!(derived.index_lost());
}

#[test]
fn what_cannot_be_written_is_kept_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let derived = Derived::start(&project).unwrap();
    // A file where the folder of frames should be: this fails also for root.
    let frames = project.data_dir().join("frames");
    fs::remove_dir(&frames).unwrap();
    fs::write(&frames, "").unwrap();
    derived.frame(frame(1), "{\"old\":1}".to_owned());
    derived.frame(frame(2), "{}".to_owned());
    derived.flush();
    assert!(derived.problem().unwrap().contains("metadata.json"));
    derived.frame(frame(1), "{\"new\":1}".to_owned());
    derived.flush();
    fs::remove_file(&frames).unwrap();
    derived.flush();
    assert_eq!(derived.problem(), None);
    assert_eq!(metadata(&project, 1), "{\"new\":1}");
    assert_eq!(metadata(&project, 2), "{}");
}

#[test]
fn too_much_is_noted_by_name_only() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let frames = project.data_dir().join("frames");
    fs::remove_dir(&frames).unwrap();
    fs::write(&frames, "").unwrap();
    let derived = Derived::start(&project).unwrap();
    let large = format!("\"{}\"", "x".repeat(24 * 1024 * 1024));
    for number in 1..5 {
        derived.frame(frame(number), large.clone());
    }
    derived.flush();
    let mut behind = derived.take_behind(1);
    behind.extend(derived.take_behind(9));
    behind.sort_unstable();
    let mut expected = [frame(3), frame(4)];
    expected.sort_unstable();
    assert_eq!(behind, expected);
    fs::remove_file(&frames).unwrap();
    derived.flush();
    derived.frame(frame(3), large.clone());
    derived.flush();
    assert_eq!(metadata(&project, 3), large);
    assert!(derived.take_behind(9).is_empty());
}

#[test]
fn all_of_it_can_be_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    for number in 1..4 {
        writer.append(&records(run(number), 1..2)).unwrap();
    }
    let derive = |run: RunId| {
        Ok::<_, JournalError>(Derivation {
            run: format!("{{\"number\":{}}}", run.number),
            frames: vec![(frame(run.number), "{}".to_owned())],
            tree: Tree {
                root: Some(frame(run.number)),
                children: BTreeMap::new(),
            },
        })
    };
    let error = project.rebuild_derived(derive).unwrap_err();
    assert!(matches!(error, JournalError::Locked { .. }), "{error}");
    drop(writer);
    for _ in 0..2 {
        assert_eq!(project.rebuild_derived(derive).unwrap(), 3);
        assert_eq!(index(&project)["runs"].as_object().unwrap().len(), 3);
        assert_eq!(project.run_summary(run(2)).unwrap(), "{\"number\":2}");
        assert_eq!(metadata(&project, 3), "{}");
    }
}
