//! What is agreed about the whole repository and no compiler checks.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may read files"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The longest source file, in lines. Aim at under 400.
const FILE_MAX_LINES: usize = 700;

/// The most packages that the lockfile may name: each one is compiled, audited and trusted.
const LOCKED_PACKAGES_MAX: usize = 380;

/// The crates that do no I/O.
const PURE_CRATES: &[&str] = &["fornax-core", "fornax-plan", "fornax-redact"];

/// What the pure crates may depend on. None of these reads a clock, a file or a random number unless
/// it is asked to, and clippy.toml beside each pure crate forbids asking.
const PURE_DEPENDENCIES: &[&str] = &[
    "fornax-core",
    "fornax-redact",
    "granit-parser",
    "jiff",
    "memchr",
    "regex",
    "regex-automata",
    "schemars",
    "serde",
    "serde_json",
    "thiserror",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The files that git knows or would take up, relative to the root.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "git ls-files failed: {listed:?}");
    let text = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<PathBuf> = text
        .lines()
        .filter(|line| endings.iter().any(|ending| line.ends_with(ending)))
        .map(PathBuf::from)
        .filter(|file| root().join(file).is_file())
        .collect();
    assert!(!files.is_empty());
    files
}

fn read(file: &Path) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

fn report(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn files_are_read_in_one_sitting() {
    let mut found = Vec::new();
    for file in files(&[".rs", ".ts", ".tsx", ".css", ".mjs"]) {
        let lines = read(&file).lines().count();
        if lines > FILE_MAX_LINES && !file.to_string_lossy().ends_with(".gen.ts") {
            found.push(format!("{}: {lines} lines", file.display()));
        }
    }
    report(
        "too long; split it where its parts have names of their own",
        &found,
    );
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not find itself.
    let marks = ["to", "unimple", "d"].map(|start| match start {
        "to" => format!("{start}do!("),
        "unimple" => format!("{start}mented!("),
        _ => format!("{start}bg!("),
    });
    let mut found = Vec::new();
    for file in files(&[".rs"]) {
        for (number, line) in read(&file).lines().enumerate() {
            if marks.iter().any(|mark| line.contains(mark.as_str())) {
                found.push(format!(
                    "{}:{}: {}",
                    file.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    report("unfinished", &found);
}

#[test]
fn nothing_sleeps_without_a_reason() {
    let mut found = Vec::new();
    let sleep = ["thread::sle", "ep("].concat();
    // What waits for a condition, with a bound, stands in one place for all tests of a crate.
    let waits = |file: &PathBuf| file.ends_with("support/mod.rs") || file.ends_with("kit.rs");
    for file in files(&[".rs"]).into_iter().filter(|file| !waits(file)) {
        let text = read(&file);
        let mut before = "";
        for (number, line) in text.lines().enumerate() {
            if line.contains(&sleep) && !before.trim_start().starts_with("//") {
                found.push(format!(
                    "{}:{}: {}",
                    file.display(),
                    number + 1,
                    line.trim()
                ));
            }
            before = line;
        }
    }
    report("asleep, and no comment above says why", &found);
}

/// A repository's configuration names programs. The module `git` of the daemon prevents that they run.
#[test]
fn git_is_called_in_one_place() {
    let call = ["new(\"", "git\")"].concat();
    let is_test = |file: &PathBuf| {
        let mut parts = file.components();
        parts.any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs")
    };
    let mut found = Vec::new();
    for file in files(&[".rs"]).into_iter().filter(|file| !is_test(file)) {
        let text = read(&file);
        // Inline tests come last.
        let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
        if text.contains(&call) && !file.starts_with("crates/fornax-daemon/src/git") {
            found.push(file.display().to_string());
        }
    }
    report("calls git, but not through fornax_daemon::git", &found);
}

#[test]
fn pure_crates_stay_pure() {
    let mut foreign = Vec::new();
    for name in PURE_CRATES {
        let folder = Path::new("crates").join(name);
        let manifest = read(&folder.join("Cargo.toml"));
        let section = manifest.split("[dependencies]").nth(1).unwrap();
        let section = section.split("\n[").next().unwrap();
        let dependencies = section
            .lines()
            .filter_map(|line| line.split(['.', '=', ' ']).next())
            .filter(|dependency| !dependency.is_empty() && !dependency.starts_with('#'));
        for dependency in dependencies {
            if !PURE_DEPENDENCIES.contains(&dependency) {
                foreign.push(format!("{name}: {dependency}"));
            }
        }
        if !read(&folder.join("clippy.toml")).contains("std::time::SystemTime::now") {
            foreign.push(format!("{name}: clippy.toml forbids nothing"));
        }
    }
    report("pure crates may not depend on", &foreign);
}

#[test]
fn the_lockfile_stays_small() {
    let packages = read(Path::new("Cargo.lock")).matches("[[package]]").count();
    assert!(
        packages <= LOCKED_PACKAGES_MAX,
        "{packages} packages are locked, {LOCKED_PACKAGES_MAX} at most"
    );
}

#[test]
fn every_crate_takes_the_common_lints() {
    let mut found = Vec::new();
    for file in files(&["Cargo.toml"]) {
        let text = read(&file);
        if text.contains("[package]") && !text.contains("[lints]\nworkspace = true") {
            found.push(file.display().to_string());
        }
    }
    report("without the workspace's lints", &found);
}
