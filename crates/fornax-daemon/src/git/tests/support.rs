//! A repository in a temporary directory, and traps: programs that leave a proof when they run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::git::{FilterCommand, FilterTrust, Git};

pub struct Sandbox {
    temp: TempDir,
}

impl Sandbox {
    /// A repository with two commits: `f.txt`, `sub/g.txt`, and `h.md` without attributes. What ends
    /// with `.txt` has a filter, a diff driver and a merge driver of the name `x`.
    pub fn new() -> Sandbox {
        let sandbox = Sandbox {
            temp: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(sandbox.path("proofs")).unwrap();
        fs::create_dir(sandbox.repository()).unwrap();
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox.write(".gitattributes", "*.txt filter=x diff=x merge=x\n");
        sandbox.write("f.txt", "secret\n");
        sandbox.write("sub/g.txt", "g\n");
        sandbox.write("h.md", "h\n");
        sandbox.commit("1");
        sandbox.write("h.md", "h2\n");
        sandbox.commit("2");
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.repository().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Plain git in the repository; it must succeed.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = plain_git(&self.repository(), arguments);
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A program that leaves a proof. With the code 0 it writes what it reads.
    pub fn trap(&self, name: &str, code: u8) -> String {
        let path = self.path(&format!("trap-{name}"));
        let proof = self.path("proofs").join(name);
        // A transport that read its input would wait for git, and git for it.
        let rest = if code == 0 {
            "exec cat".to_owned()
        } else {
            format!("exit {code}")
        };
        let script = format!("#!/bin/sh\n: > '{}'\n{rest}\n", proof.display());
        write_program(&path, &script);
        path.to_str().unwrap().to_owned()
    }

    /// The names of the traps that ran since the last call.
    pub fn proofs(&self) -> Vec<String> {
        let entries = self.path("proofs").read_dir().unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                fs::remove_file(entry.path()).unwrap();
                entry.file_name().into_string().unwrap()
            })
            .collect();
        names.sort();
        names
    }

    /// Makes the index doubt that a file is unchanged: git has to compare its content.
    pub fn touch(&self, file: &str) {
        let file = fs::File::options()
            .append(true)
            .open(self.repository().join(file))
            .unwrap();
        let time = SystemTime::now() - Duration::from_secs(3600);
        file.set_modified(time).unwrap();
    }
}

/// Plain git, without the configuration of the developer.
pub fn plain_git(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(dir)
        .args([
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.invalid",
        ])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
}

/// Another process writes it: one that a test forks meanwhile would hold the file open, and it could
/// not be executed then.
pub fn write_program(path: &Path, text: &str) {
    let written = Command::new("sh")
        .args(["-c", "printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .arg(text)
        .status()
        .unwrap();
    assert!(written.success());
}

/// Trusts every command that contains a word.
pub struct TrustWord(pub &'static str);

impl FilterTrust for TrustWord {
    fn is_trusted(&self, _: &Path, filter: &FilterCommand) -> bool {
        filter.command().contains(self.0)
    }
}

pub fn git_that_trusts(word: &'static str) -> Git {
    Git::new(Arc::new(TrustWord(word)))
}
