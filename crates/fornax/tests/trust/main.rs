//! Who is asked before a project's configuration is followed, when and why: the table of
//! docs/security.md, line by line.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

#[path = "../support/mod.rs"]
mod support;

mod callers;
mod identity;
mod places;
mod week;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Ended, Place};

/// A configuration with a tool that leaves a mark when it runs.
pub fn config(mark: &str) -> String {
    format!("tools:\n  mark: {{cmd: [touch, {mark}]}}\n")
}

/// Runs the tool.
pub fn mark(place: &Place) -> Ended {
    place.run(&["task", "mark", "x"])
}

/// Nobody is asked: the tool runs.
pub fn runs(place: &Place, mark_of: &str) {
    let ended = mark(place);
    assert_eq!(ended.code, 0, "{ended:?}");
    let path = place.dir().join(mark_of);
    assert!(path.exists(), "{mark_of} was not made");
    std::fs::remove_file(path).unwrap();
}

/// Somebody has to be asked: the tool does not run, and the refusal names the command.
pub fn is_asked(place: &Place, mark_of: &str) {
    let ended = mark(place);
    assert_eq!(ended.code, 6, "{ended:?}");
    assert!(ended.stderr.contains("`fornax trust`"), "{ended:?}");
    assert!(!place.dir().join(mark_of).exists());
}

/// The files that hold decisions about projects.
pub fn decisions(place: &Place) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(place.state().join("fornax/projects")).unwrap();
    let files = folders.map(|folder| folder.unwrap().path().join("trust.json"));
    files.filter(|file| file.exists()).collect()
}

/// Runs git in a folder.
pub fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=a", "-c", "user.email=a@example.invalid"])
        .args([
            "-c",
            "commit.gpgsign=false",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {output:?}");
}
