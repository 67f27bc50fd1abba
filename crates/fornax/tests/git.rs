//! Git runs no program that a repository names, whatever Fornax does with the repository.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::Place;

const PLAN: &str = "name: Rehearsed\nframes: [{id: a, run: cat f.txt}]\n";

/// A project in a repository with one commit, whose `.txt` files have the filter `x`.
fn repository() -> Place {
    let place = Place::new();
    git(&place, &["init", "-q"]);
    place.write(".gitattributes", "*.txt filter=x\n");
    place.write(".gitignore", ".fornax\n");
    place.write("f.txt", "content\n");
    place.write("plan.yaml", PLAN);
    git(&place, &["add", "-A"]);
    git(&place, &["commit", "-qm", "1"]);
    place
}

fn git(place: &Place, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.org"])
        .args(arguments)
        .current_dir(place.dir())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What `task.json` says of the repository, for a task that is started now.
fn record(place: &Place) -> Value {
    let before = records(place);
    place.ok(&["task", "shell", "true"]);
    let mut new = records(place);
    new.retain(|record| !before.contains(record));
    assert_eq!(new.len(), 1);
    let text = std::fs::read_to_string(Path::new(&new[0])).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["git"].clone()
}

fn records(place: &Place) -> Vec<String> {
    let runs = place.dir().join(".fornax/runs");
    let mut found = Vec::new();
    for run in runs.read_dir().into_iter().flatten() {
        let tasks = run.unwrap().path().join("tasks");
        for task in tasks.read_dir().into_iter().flatten() {
            let file = task.unwrap().path().join("task.json");
            found.push(file.to_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn a_task_records_the_commit_and_that_changes_are_not_known() {
    let place = repository();
    let commit = git(&place, &["rev-parse", "HEAD"]);
    let proof = place.state().join("proof");
    let filter = format!("touch '{}'; cat", proof.display());
    git(&place, &["config", "filter.x.clean", &filter]);
    let unknown = record(&place);
    assert_eq!(unknown["commit"], commit.trim());
    assert_eq!(unknown["dirty"], Value::Null);
    let reason = unknown["dirty_unknown"].as_str().unwrap();
    assert!(
        reason.contains("\"f.txt\"") && reason.contains("\"x\""),
        "{reason}"
    );
    assert!(!proof.exists());
}

#[test]
fn a_task_records_whether_there_are_changes() {
    for (change, is_dirty) in [("plan.yaml", false), ("new.txt", true)] {
        let place = repository();
        if is_dirty {
            place.write(change, "changed\n");
        }
        let known = record(&place);
        assert_eq!(known["dirty"], is_dirty, "{known}");
        assert_eq!(known["dirty_unknown"], Value::Null);
    }
}

#[test]
fn a_rehearsal_does_not_check_out_by_a_filter_of_the_repository() {
    let place = repository();
    let rehearsed = place.run(&["rehearse", "plan.yaml"]);
    assert_eq!(rehearsed.code, 0, "{rehearsed:?}");
    let proof = place.state().join("proof");
    let filter = format!("touch '{}'; cat", proof.display());
    git(&place, &["config", "filter.x.smudge", &filter]);
    let refused = place.run(&["rehearse", "plan.yaml"]);
    assert_eq!(refused.code, 6, "{refused:?}");
    for part in [
        "cannot check out \"f.txt\"",
        "filter \"x\"",
        "smudge",
        "fornax trust",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert!(!proof.exists());
    assert_eq!(git(&place, &["worktree", "list"]).lines().count(), 1);
    // A filter that no path uses is no reason to refuse.
    git(
        &place,
        &["config", "--rename-section", "filter.x", "filter.y"],
    );
    let rehearsed = place.run(&["rehearse", "plan.yaml"]);
    assert_eq!(rehearsed.code, 0, "{rehearsed:?}");
    assert!(!proof.exists());
}

#[test]
fn a_rehearsal_without_a_commit_says_what_is_missing() {
    let place = Place::new();
    place.write("plan.yaml", PLAN);
    let without = place.run(&["rehearse", "plan.yaml"]);
    assert!(
        without.stderr.contains("at least one commit"),
        "{without:?}"
    );
    git(&place, &["init", "-q"]);
    let without = place.run(&["rehearse", "plan.yaml"]);
    assert!(
        without.stderr.contains("at least one commit"),
        "{without:?}"
    );
}
