//! Git runs no program that a repository names, whatever Fornax does with the repository.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Ended, PATIENCE, Place, wait_until};

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

/// Sets a command of the filter that leaves a mark, and the mark.
fn set_filter(place: &Place, kind: &str, mark: &str) -> PathBuf {
    let mark = place.state().join(mark);
    let command = format!("touch '{}'; cat", mark.display());
    git(place, &["config", &format!("filter.x.{kind}"), &command]);
    mark
}

/// Whether the file is there; it is removed.
fn take(mark: &Path) -> bool {
    std::fs::remove_file(mark).is_ok()
}

/// Makes git compare the content of the file again.
fn touch(place: &Place) {
    place.write("f.txt", "content\n");
}

#[test]
fn a_filter_runs_once_a_person_has_accepted_it() {
    let place = repository();
    let clean = set_filter(&place, "clean", "clean-one");
    let smudge = set_filter(&place, "smudge", "smudge-one");
    touch(&place);
    assert_eq!(record(&place)["dirty"], Value::Null);
    let refused = place.run(&["rehearse", "plan.yaml"]);
    assert_eq!(refused.code, 6, "{refused:?}");
    for part in ["filter \"x\"", "fornax trust"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    let listed = place.ok(&["trust", "list"]);
    for part in [
        "filter.x.clean = touch",
        "filter.x.smudge = touch",
        "do not run",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    assert!(place.run(&["doctor"]).stdout.contains("git filters"));
    assert!(!take(&clean) && !take(&smudge));

    let accepted = place.ok(&["trust"]);
    assert!(accepted.contains("filter.x.smudge = touch"), "{accepted}");
    assert!(!place.ok(&["trust", "list"]).contains("do not run"));
    assert!(!place.run(&["doctor"]).stdout.contains("git filters"));
    assert!(!take(&clean) && !take(&smudge));
    // What was found just before is remembered for a moment.
    let is_known = || record(&place)["dirty"] == false;
    assert!(wait_until(PATIENCE, is_known), "{}", record(&place));
    assert!(take(&clean));
    let rehearsed = place.run(&["rehearse", "plan.yaml"]);
    assert_eq!(rehearsed.code, 0, "{rehearsed:?}");
    assert!(take(&smudge));
    take(&clean);

    // Another command, of one kind: both the old and the new one are shown.
    let other = set_filter(&place, "smudge", "smudge-two");
    let refused = place.run(&["rehearse", "plan.yaml"]);
    assert_eq!(refused.code, 6, "{refused:?}");
    let listed = place.ok(&["trust", "list"]);
    for part in [
        "- filter.x.smudge = touch",
        "smudge-one",
        "+ filter.x.smudge = touch",
        "smudge-two",
    ] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    assert!(!take(&smudge) && !take(&other));
    // The one that was accepted, again.
    set_filter(&place, "smudge", "smudge-one");
    place.ok(&["rehearse", "plan.yaml"]);
    assert!(take(&smudge));
    place.ok(&["trust", "revoke"]);
    assert_eq!(place.run(&["rehearse", "plan.yaml"]).code, 6);
    assert!(!take(&smudge));
}

#[test]
fn only_the_filters_that_were_shown_are_accepted() {
    let place = repository();
    let clean = set_filter(&place, "clean", "clean-one");
    let smudge = set_filter(&place, "smudge", "smudge-one");
    let review = place.json(&["trust", "list", "--json"])["review"].clone();
    let digest = |kind: &str| {
        let filters = review["filters"].as_array().unwrap().iter();
        let mut found = filters.filter(|filter| filter["kind"] == kind);
        found.next().unwrap()["digest"].as_str().unwrap().to_owned()
    };
    place.ok(&["trust", "--digest", &digest("clean")]);
    assert_eq!(place.run(&["rehearse", "plan.yaml"]).code, 6);
    let shown = digest("smudge");
    let other = set_filter(&place, "smudge", "smudge-two");
    let refused = place.run(&["trust", "--digest", &shown]);
    assert_eq!(refused.code, 5, "{refused:?}");
    assert_eq!(place.run(&["rehearse", "plan.yaml"]).code, 6);
    assert!(!take(&smudge) && !take(&other));
    // A digest of the configuration alone accepts no filter.
    place.write("fornax.yaml", "tools: {a: {cmd: [a]}}\n");
    let review = place.json(&["trust", "list", "--json"])["review"].clone();
    place.ok(&["trust", "--digest", review["digest"].as_str().unwrap()]);
    assert_eq!(place.run(&["rehearse", "plan.yaml"]).code, 6);
    assert!(!take(&other));
    take(&clean);
}

#[test]
fn with_always_filters_are_followed_in_the_projects_own_repository() {
    let place = repository();
    place.ok(&["trust", "--always"]);
    for name in ["one", "two"] {
        let smudge = set_filter(&place, "smudge", name);
        place.ok(&["rehearse", "plan.yaml"]);
        assert!(take(&smudge));
    }
    git(&place, &["config", "--unset", "filter.x.smudge"]);
    // A repository inside of the project is another one.
    let nested = place.dir().join("nested");
    git(&place, &["clone", "-q", ".", nested.to_str().unwrap()]);
    let mark = place.state().join("nested-clean");
    let command = format!("touch '{}'; cat", mark.display());
    let nested = nested.to_str().unwrap();
    git(
        &place,
        &["-C", nested, "config", "filter.x.clean", &command],
    );
    place.write("nested/f.txt", "content\n");
    place.write(
        "nested.yaml",
        "name: n\nframes: [{id: a, run: 'true', workdir: nested}]\n",
    );
    let before = records(&place);
    place.ok(&["run", "nested.yaml"]);
    let mut new = records(&place);
    new.retain(|record| !before.contains(record));
    let text = std::fs::read_to_string(&new[0]).unwrap();
    let git = &serde_json::from_str::<Value>(&text).unwrap()["git"];
    assert_eq!(git["dirty"], Value::Null, "{git}");
    assert!(!take(&mark));
}

#[test]
fn an_agent_is_refused_without_a_command() {
    let place = repository();
    let smudge = set_filter(&place, "smudge", "smudge-one");
    let mut agent = place.command(&["rehearse", "plan.yaml"]);
    let refused = Ended::of(agent.env("CLAUDECODE", "1").output().unwrap());
    assert_eq!(refused.code, 6, "{refused:?}");
    assert!(
        refused.stderr.contains("filter \"x\"") && !refused.stderr.contains("fornax trust"),
        "{refused:?}"
    );
    assert!(!take(&smudge));
}

#[test]
fn a_project_whose_repository_defines_no_filter_asks_nobody() {
    let place = repository();
    place.ok(&["task", "shell", "true"]);
    place.ok(&["rehearse", "plan.yaml"]);
    assert!(!place.ok(&["trust", "list"]).contains("filter"));
    assert_eq!(
        place.json(&["trust", "list", "--json"])["review"]["filters"],
        serde_json::json!([])
    );
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
