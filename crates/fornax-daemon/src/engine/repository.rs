//! What is known of the repositories in which tasks run.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a look at the repository may take, and how long it is remembered.
const GIT_TIMEOUT: Duration = Duration::from_secs(5);
const GIT_REMEMBERED: Duration = Duration::from_secs(1);

/// The repositories that were looked at lately.
#[derive(Default)]
pub(super) struct Repositories {
    known: HashMap<PathBuf, (Instant, Value)>,
}

impl Repositories {
    /// The commit that is checked out, and whether the work tree differs from it.
    pub fn look(&mut self, dir: &Path) -> Value {
        if let Some((at, known)) = self.known.get(dir)
            && at.elapsed() < GIT_REMEMBERED
        {
            return known.clone();
        }
        let found = if dir.ancestors().any(|dir| dir.join(".git").exists()) {
            look_at_git(dir)
        } else {
            Value::Null
        };
        self.known
            .retain(|_, (at, _)| at.elapsed() < GIT_REMEMBERED);
        self.known
            .insert(dir.to_owned(), (Instant::now(), found.clone()));
        found
    }
}

fn look_at_git(dir: &Path) -> Value {
    let child = Command::new("git")
        .args([
            "--no-optional-locks",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
        .args([
            "status",
            "--porcelain=v2",
            "--branch",
            "--ignore-submodules=dirty",
        ])
        .current_dir(dir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Value::Null;
    };
    let (sender, said) = mpsc::channel();
    let output = child.stdout.take();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        // Past this it is dirty in any case.
        let read = output.map(|output| output.take(64 * 1024).read_to_end(&mut text));
        let _ = sender.send(read.is_some_and(|read| read.is_ok()).then_some(text));
    });
    let text = said.recv_timeout(GIT_TIMEOUT).ok().flatten();
    // Ended already, or too slow to be waited for.
    let _ = child.kill();
    let _ = child.wait();
    let text = text
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .unwrap_or_default();
    let commit = text
        .lines()
        .find_map(|line| line.strip_prefix("# branch.oid "));
    commit.map_or(Value::Null, |commit| {
        let dirty = text.lines().any(|line| !line.starts_with('#'));
        json!({ "commit": commit, "dirty": dirty })
    })
}
