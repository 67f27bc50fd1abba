//! A week of ordinary work.

use std::fs;
use std::process::Command;

use super::{config, decisions, git, is_asked, runs};
use crate::support::terminal::Terminal;
use crate::support::{Ended, Place};

/// A project in a repository, whose configuration is trusted and committed.
fn repository() -> Place {
    let place = Place::new();
    git(&place.dir(), &["init", "-q"]);
    place.write("fornax.yaml", &config("one"));
    place.write(".gitignore", ".fornax\none\ntwo\n");
    git(&place.dir(), &["add", "-A"]);
    git(&place.dir(), &["commit", "-qm", "one"]);
    place.ok(&["trust"]);
    runs(&place, "one");
    place
}

#[test]
fn a_persons_terminal_shows_what_is_executed_and_remembers_yes() {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    let mut terminal = Terminal::open(&place, "task mark x");
    terminal.wait_for("fornax.yaml executes, and you have not trusted it yet");
    terminal.wait_for("- \"touch\"");
    terminal.wait_for("[y]es, [n]o, [a]lways");
    assert!(!place.dir().join("one").exists());
    terminal.press("perhaps\n");
    terminal.wait_for("perhaps\r\n");
    terminal.press("y\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    fs::remove_file(place.dir().join("one")).unwrap();
    // Nobody is asked twice about the same text, whatever is around it.
    let same = format!("# a comment\nlimits: {{tasks: 3}}\n{}", config("one"));
    place.write("fornax.yaml", &same);
    let (code, seen) = Terminal::open(&place, "task mark x").end();
    assert!(code == 0 && !seen.contains("[y]es"), "{seen}");
    runs(&place, "one");

    // Edited in an editor: what has changed is shown.
    place.write("fornax.yaml", &config("two"));
    let mut terminal = Terminal::open(&place, "task mark x");
    terminal.wait_for("has changed since you trusted it");
    terminal.wait_for("+    - \"two\"");
    terminal.press("n\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 6, "{seen}");
    assert!(!place.dir().join("two").exists());
    // No is remembered: the answer is the same without a question, until `fornax trust`.
    let (code, seen) = Terminal::open(&place, "task mark x").end();
    assert!(code == 6 && !seen.contains("[y]es"), "{seen}");
    assert!(seen.contains("declined"), "{seen}");
    is_asked(&place, "two");
    place.ok(&["trust"]);
    runs(&place, "two");
}

#[test]
fn always_is_never_asked_again_and_doctor_shows_it() {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    let mut terminal = Terminal::open(&place, "task mark x");
    terminal.wait_for("[a]lways");
    terminal.press("a\n");
    let (code, seen) = terminal.end();
    assert_eq!(code, 0, "{seen}");
    for name in ["two", "three"] {
        place.write("fornax.yaml", &config(name));
        runs(&place, name);
    }
    let doctor = place.run(&["doctor"]).stdout;
    assert!(doctor.contains("you chose always"), "{doctor}");
    assert_eq!(decisions(&place).len(), 1);
    assert!(!place.dir().join(".fornax/trust.json").exists());
    place.ok(&["trust", "revoke"]);
    is_asked(&place, "three");
}

#[test]
fn the_answer_holds_for_what_was_shown() {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    let mut terminal = Terminal::open(&place, "task mark x");
    terminal.wait_for("[a]lways");
    // An agent changes the file while the question is open.
    place.write("fornax.yaml", &config("two"));
    terminal.press("y\n");
    terminal.wait_for("has changed since it was shown");
    terminal.wait_for("\"two\"");
    assert!(!place.dir().join("two").exists());
    terminal.press("n\n");
    assert_eq!(terminal.end().0, 6);
    let digest = place.json(&["trust", "list", "--json"])["review"]["digest"].clone();
    place.write("fornax.yaml", &config("three"));
    let ended = place.run(&["trust", "--digest", digest.as_str().unwrap()]);
    assert_eq!(ended.code, 5, "{ended:?}");
    is_asked(&place, "three");
}

#[test]
fn continuous_integration_needs_one_line() {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    is_asked(&place, "one");
    place.write(
        "plan.yaml",
        "name: p\nframes: [{id: a, tool: mark, prompt: x}]\n",
    );
    let ended = place.run(&["run", "plan.yaml"]);
    assert_eq!(ended.code, 6, "{ended:?}");
    let said = place.ok(&["trust"]);
    assert!(said.contains("\"touch\""), "{said}");
    runs(&place, "one");
    place.ok(&["run", "plan.yaml"]);
}

#[test]
fn what_executes_nothing_is_followed_at_once() {
    let place = Place::new();
    place.write(
        "fornax.yaml",
        "limits: {tasks: 1}\npools: {p: 1}\ndefaults: {pool: p}\n",
    );
    place.ok(&["task", "shell", "true"]);
    assert!(decisions(&place).is_empty());
}

#[test]
fn a_pull_a_checkout_and_a_rebase_ask_once_about_each_text() {
    let place = repository();
    let dir = place.dir();
    let other = place.state().join("other");
    git(&dir, &["clone", "-q", ".", other.to_str().unwrap()]);
    fs::write(other.join("fornax.yaml"), config("two")).unwrap();
    fs::write(other.join("README"), "").unwrap();
    git(&other, &["add", "-A"]);
    git(&other, &["commit", "-qm", "two"]);
    git(&dir, &["pull", "-q", other.to_str().unwrap(), "main"]);
    is_asked(&place, "two");
    place.ok(&["trust"]);
    runs(&place, "two");
    // Back and forth between two versions that are trusted.
    for (branch, mark) in [
        ("HEAD~1", "one"),
        ("main", "two"),
        ("HEAD~1", "one"),
        ("main", "two"),
    ] {
        git(&dir, &["checkout", "-q", branch]);
        runs(&place, mark);
    }
    // A rebase onto another configuration.
    git(&dir, &["checkout", "-qb", "topic", "HEAD~1"]);
    place.write("work", "");
    git(&dir, &["add", "-A"]);
    git(&dir, &["commit", "-qm", "work"]);
    runs(&place, "one");
    git(&dir, &["rebase", "-q", "main"]);
    runs(&place, "two");
    // A pull that changes something else.
    fs::write(other.join("README"), "more").unwrap();
    git(&other, &["commit", "-qam", "three"]);
    git(
        &dir,
        &["pull", "-q", "--rebase", other.to_str().unwrap(), "main"],
    );
    runs(&place, "two");
}

#[test]
fn a_fresh_clone_is_looked_at_and_asked_about() {
    let place = repository();
    let clone = place.state().join("clone");
    git(&place.dir(), &["clone", "-q", ".", clone.to_str().unwrap()]);
    let at = |args: &[&str]| {
        let mut command = place.command(args);
        Ended::of(command.current_dir(&clone).output().unwrap())
    };
    for looking in [&["ps"][..], &["tools"], &["agents"], &["runs"], &["status"]] {
        let ended = at(looking);
        assert_eq!(ended.code, 0, "{looking:?}: {ended:?}");
    }
    assert!(at(&["doctor"]).stdout.contains("is not trusted"));
    assert_eq!(at(&["task", "mark", "x"]).code, 6);
    assert_eq!(
        at(&["task", "shell", "true"]).code,
        6,
        "not even merged in part"
    );
    assert!(!clone.join("one").exists());
    assert_eq!(at(&["trust"]).code, 0);
    assert_eq!(at(&["task", "mark", "x"]).code, 0);
    assert!(clone.join("one").exists());
}

#[test]
fn what_is_done_again_is_asked_about_as_well() {
    let place = Place::new();
    place.write("plan.yaml", "name: p\nframes: [{id: a, run: 'exit 1'}]\n");
    assert_eq!(place.run(&["run", "plan.yaml"]).code, 1);
    let runs = place.json(&["runs", "--json"]);
    let run = runs[0]["id"].as_str().unwrap().to_owned();
    let tasks = place.json(&["show", &run, "--json"]);
    let task = tasks["tasks"]["id"][0].as_str().unwrap().to_owned();
    place.write("fornax.yaml", &config("one"));
    for args in [&["retry", &run][..], &["task", "rerun", &task]] {
        let ended = place.run(args);
        assert_eq!(ended.code, 6, "{args:?}: {ended:?}");
        assert!(ended.stderr.contains("`fornax trust`"), "{ended:?}");
    }
    assert_eq!(place.json(&["runs", "--json"]).as_array().unwrap().len(), 1);
    place.ok(&["trust"]);
    assert_eq!(place.run(&["task", "rerun", &task]).code, 1);
}

#[test]
fn the_demo_asks_nobody() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let tracked = Command::new("git")
        .args(["-C", root, "ls-files", "fornax.yaml"])
        .output()
        .unwrap();
    assert!(
        tracked.stdout.is_empty(),
        "this repository has no configuration of its own"
    );
    // The demo runs a plan that a person names.
    let place = Place::new();
    fs::copy(
        format!("{root}/plans/repo-report.yaml"),
        place.dir().join("plan.yaml"),
    )
    .unwrap();
    place.ok(&["plan", "check", "plan.yaml", "--input", "tests=true"]);
    place.ok(&["task", "shell", "true"]);
}
