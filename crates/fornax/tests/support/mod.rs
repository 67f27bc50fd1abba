//! A project and a daemon's home for one test, and nothing left of either after it.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

pub mod terminal;
pub mod user;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fornax_daemon::home::Home;
use fornax_daemon::trust::{Decision, Trust};
use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything here is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The environment variable that names another file to be run as the binary: a copy of it that an
/// ordinary user can run.
const BINARY: &str = "FORNAX_TEST_BINARY";

/// The binary.
pub fn binary() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_fornax").into();
    std::env::var_os(BINARY).map_or_else(built, PathBuf::from)
}

/// A project with a home of its own.
pub struct Place {
    temp: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Place {
        let temp = tempfile::Builder::new()
            .prefix("fornax-cli-")
            .tempdir()
            .unwrap();
        for dir in ["project", "state", "home"] {
            fs::create_dir(temp.path().join(dir)).unwrap();
        }
        Place { temp }
    }

    /// The project's directory.
    pub fn dir(&self) -> PathBuf {
        self.temp.path().join("project")
    }

    pub fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    /// Writes a file into the project.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.dir().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the project's `fornax.yaml`, and has it followed as a person who chose always would.
    pub fn configure(&self, text: &str) {
        self.write("fornax.yaml", text);
        let home = Home::open(self.state().join("fornax")).unwrap();
        let always = Decision::Accept {
            dir: self.dir(),
            digest: None,
            filters: Vec::new(),
            always: true,
        };
        Trust::of(&home).decide(&always).unwrap();
    }

    /// The binary in this place, with nothing of the environment but `PATH`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.temp.path().join("home"))
            .env("XDG_STATE_HOME", self.state())
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command(args).output().unwrap())
    }

    /// Runs the binary, which must end well; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "fornax {args:?}: {ended:?}");
        ended.stdout
    }

    /// The same, read as JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// What is in the project's directory.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The processes that were started in this place: they carry its state's path.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let mark = format!("XDG_STATE_HOME={}", self.state().display());
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            // A process may end while it is looked at.
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environ
                .split(|byte| *byte == 0)
                .any(|variable| variable == mark.as_bytes())
            {
                let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                found.push((pid, String::from_utf8_lossy(&command).replace('\0', " ")));
            }
        }
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.state().join("fornax/daemon.sock").exists() {
            let ended = self.run(&["down", "--stop-tasks"]);
            if ended.code != 0 && !std::thread::panicking() {
                panic!("the daemon does not end: {ended:?}");
            }
        }
        let gone = wait_until(Duration::from_secs(10), || self.processes().is_empty());
        let left = self.processes();
        // Again and again: one that is killed may have started another just before.
        wait_until(Duration::from_secs(10), || {
            let left = self.processes();
            for (pid, _) in &left {
                let pid = rustix::process::Pid::from_raw(*pid).unwrap();
                // It may have ended by now.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            left.is_empty()
        });
        if !gone && !std::thread::panicking() {
            panic!("processes are left: {left:?}");
        }
    }
}

impl Ended {
    pub fn of(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// All of it, with what differs from run to run taken out.
    pub fn shown(&self, place: &Place) -> String {
        let text = format!(
            "exit code {}\n--- stdout\n{}--- stderr\n{}",
            self.code, self.stdout, self.stderr
        );
        stable(&text, place)
    }
}

/// The text with ids, times and paths replaced.
pub fn stable(text: &str, place: &Place) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (r"RUN-\d{8}-", "RUN-[date]-"),
            (r"\b([ft])-[0-9a-hjkmnp-tv-z]{6}\b", "$1-[id]"),
            (
                r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2})?(\.\d+)?Z?",
                "[time]",
            ),
            (r"\b\d{2}:\d{2}:\d{2}\b", "[time]"),
            (r" +\b(\d+ms|\d+\.\d+s|\d+s)\b", " [took]"),
            (r"http://127\.0\.0\.1:\d+", "http://[address]"),
            (r"process \d+", "process [pid]"),
        ]
        .into_iter()
        .map(|(pattern, with)| (Regex::new(&format!("(?-u){pattern}")).unwrap(), with))
        .collect()
    });
    let real = place.temp.path().canonicalize().unwrap();
    let mut text = text.replace(real.to_str().unwrap(), "[temp]");
    text = text.replace(place.temp.path().to_str().unwrap(), "[temp]");
    for (pattern, with) in RULES.iter() {
        text = pattern.replace_all(&text, *with).into_owned();
    }
    text
}

/// The same, with gaps of any width alike: columns are as wide as times that differ.
pub fn flat(text: &str, place: &Place) -> String {
    static GAP: LazyLock<Regex> = LazyLock::new(|| Regex::new("(?-u) {2,}").unwrap());
    GAP.replace_all(&stable(text, place), "  ").into_owned()
}

/// Waits until it holds; whether it does before the time is over.
pub fn wait_until(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + time;
    while !holds() {
        if Instant::now() > until {
            return false;
        }
        // Between two looks; what counts is the condition.
        std::thread::park_timeout(Duration::from_millis(5));
    }
    true
}

/// Waits until a file is there.
pub fn wait_for_file(path: &Path) {
    assert!(
        wait_until(PATIENCE, || path.exists()),
        "{} does not come",
        path.display()
    );
}
