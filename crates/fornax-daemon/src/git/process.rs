//! One process of `git`: its environment, its deadline, and what it writes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::error::{GitError, cut};
use super::subcommand::Subcommand;

/// The most that is read of standard error.
const STDERR_MAX_BYTES: usize = 8 * 1024;

/// The exit code of git for an option that it rejects.
const EXIT_USAGE: i32 = 129;

/// The caller's `GIT_*` variables that are kept: where the user's own configuration is, and how far
/// upward a repository is searched. All others are
/// removed: they could name another repository, a program or a setting.
const ENV_KEPT: [&str; 5] = [
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
];

/// What makes git ask a person, page its output or open an editor.
const ENV_REMOVED: [&str; 4] = ["SSH_ASKPASS", "PAGER", "EDITOR", "VISUAL"];

/// The command for `ssh`. It never asks: nobody could answer.
const SSH_COMMAND: &str = "ssh -o BatchMode=yes";

const ENV_FIXED: [(&str, &str); 11] = [
    ("GIT_ASKPASS", ""),
    ("GIT_EDITOR", ":"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    // Empty, and yet set: git then ignores `core.gitProxy`.
    ("GIT_PROXY_COMMAND", ""),
    ("GIT_SEQUENCE_EDITOR", ":"),
    ("GIT_SSH_COMMAND", SSH_COMMAND),
    ("GIT_SSH_VARIANT", "ssh"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("SSH_ASKPASS_REQUIRE", "never"),
];

/// Settings that precede every subcommand. They hold even where git reads the repository's own
/// configuration.
const SETTINGS: [&str; 18] = [
    // A program instead of nothing: an empty value would be executed with a path as its argument.
    "core.alternateRefsCommand=true",
    "core.askPass=",
    "core.editor=:",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.sshCommand=ssh -o BatchMode=yes",
    "commit.gpgSign=false",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "gc.recentObjectsHook=",
    "gpg.program=false",
    "interactive.diffFilter=",
    "log.showSignature=false",
    "maintenance.auto=false",
    // A directory that only looks like a repository is none.
    "safe.bareRepository=explicit",
    "sequence.editor=:",
    "submodule.recurse=false",
];

/// Whether git may fetch objects that a partial clone lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// No transport may be used.
    Off,
    /// Git's own transports may be used.
    On,
}

/// One call of `git`.
pub(super) struct Call<'a> {
    subcommand: Subcommand,
    dir: &'a Path,
    arguments: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    stdin: Option<File>,
    network: Network,
    stdout_max_bytes: usize,
}

/// What a call wrote.
pub(super) struct Output {
    subcommand: Subcommand,
    /// None where git was killed because it wrote more than is read.
    pub status: Option<ExitStatus>,
    pub stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// When an operation of one or several calls has to be done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    pub fn after(timeout: Duration) -> Deadline {
        let at = Instant::now() + timeout;
        Deadline { at, timeout }
    }
}

impl<'a> Call<'a> {
    pub fn new(subcommand: Subcommand, dir: &'a Path) -> Call<'a> {
        Call {
            subcommand,
            dir,
            arguments: Vec::new(),
            env: Vec::new(),
            stdin: None,
            network: Network::Off,
            stdout_max_bytes: 64 * 1024,
        }
    }

    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Call<'a> {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Call<'a> {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    pub fn stdin(mut self, file: File) -> Call<'a> {
        self.stdin = Some(file);
        self
    }

    pub fn network(mut self, network: Network) -> Call<'a> {
        self.network = network;
        self
    }

    pub fn stdout_max_bytes(mut self, bytes: usize) -> Call<'a> {
        self.stdout_max_bytes = bytes;
        self
    }

    /// Runs it; an error also where git ends with one, or writes more than is read.
    pub fn output(self, deadline: Deadline) -> Result<Vec<u8>, GitError> {
        let output = self.run(deadline)?;
        match output.status {
            None => Err(GitError::OutputTooLarge(output.subcommand.name())),
            Some(status) if status.success() => Ok(output.stdout),
            Some(_) => Err(output.error()),
        }
    }

    /// Runs it, whatever it ends with.
    pub fn run(self, deadline: Deadline) -> Result<Output, GitError> {
        #[cfg(test)]
        super::tests::record(self.subcommand);
        let path = absolute_path();
        let program = program(&path).ok_or(GitError::NotInstalled)?;
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        for reader in [&stdout, &stderr] {
            rustix::fs::fcntl_setfl(reader, OFlags::NONBLOCK).map_err(io::Error::from)?;
        }
        let mut command = Command::new(program);
        command.args(["--no-pager", "--no-optional-locks"]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command
            .args(self.subcommand.arguments())
            .args(&self.arguments)
            .current_dir(self.dir);
        set_environment(&mut command, &path, self.network);
        command
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(self.stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(stdout_writer)
            .stderr(stderr_writer)
            .process_group(0);
        let mut child = command.spawn()?;
        // It holds the writing ends of the pipes.
        drop(command);
        let group = Pid::from_child(&child);
        let mut stdout = Stream::new(stdout, self.stdout_max_bytes);
        let mut stderr = Stream::new(stderr, STDERR_MAX_BYTES);
        let end = pidfd_open(group, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|process| wait(&process, &mut stdout, &mut stderr, deadline));
        // Before the process is reaped, so that the number of the group is still its own.
        let _ = kill_process_group(group, Signal::KILL);
        let status = child.wait()?;
        let status = match end? {
            End::Exited if stdout.is_full => None,
            End::Exited => Some(status),
            End::OutputFull => None,
            End::TimedOut => {
                return Err(GitError::TimedOut {
                    subcommand: self.subcommand.name(),
                    seconds: deadline.timeout.as_secs(),
                });
            }
        };
        Ok(Output {
            subcommand: self.subcommand,
            status,
            stdout: stdout.content,
            stderr: stderr.content,
        })
    }
}

impl Output {
    /// What git reported.
    pub fn message(&self) -> String {
        cut(&String::from_utf8_lossy(&self.stderr))
    }

    /// The error of a call that ended with one.
    pub fn error(&self) -> GitError {
        let code = self.status.and_then(|status| status.code());
        let message = self.message();
        if code == Some(EXIT_USAGE) {
            return GitError::TooOld(message);
        }
        GitError::Failed {
            subcommand: self.subcommand.name(),
            message,
        }
    }
}

fn set_environment(command: &mut Command, path: &OsStr, network: Network) {
    for (name, _) in std::env::vars_os() {
        let is_git = name.as_encoded_bytes().starts_with(b"GIT_");
        if is_git && !ENV_KEPT.iter().any(|kept| name == *kept) {
            command.env_remove(name);
        }
    }
    for name in ENV_REMOVED {
        command.env_remove(name);
    }
    command.envs(ENV_FIXED).env("PATH", path);
    // It also overrides every `protocol.*.allow`. No transport has the name "none".
    let protocols = match network {
        Network::Off => "none",
        Network::On => "file:git:http:https:ssh",
    };
    command.env("GIT_ALLOW_PROTOCOL", protocols);
    if network == Network::On {
        command.env_remove("GIT_NO_LAZY_FETCH");
    }
}

/// `PATH` without its relative entries: they would be looked up in the repository.
fn absolute_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let entries = std::env::split_paths(&path).filter(|entry| entry.is_absolute());
    std::env::join_paths(entries).unwrap_or_default()
}

fn program(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join("git"))
        .find(|file| {
            file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
        })
}

/// How a process ended.
enum End {
    Exited,
    OutputFull,
    TimedOut,
}

/// Reads what the process writes until it exits, not until the pipes close: a process that it leaves
/// behind may hold them.
fn wait(
    process: &OwnedFd,
    stdout: &mut Stream,
    stderr: &mut Stream,
    deadline: Deadline,
) -> io::Result<End> {
    loop {
        let left = deadline.at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(End::TimedOut);
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut watched = vec![PollFd::new(process, PollFlags::IN)];
        for stream in [&*stdout, &*stderr] {
            if stream.is_open {
                watched.push(PollFd::from_borrowed_fd(
                    stream.reader.as_fd(),
                    PollFlags::IN,
                ));
            }
        }
        match poll(&mut watched, Some(&timeout)) {
            Ok(0) => return Ok(End::TimedOut),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let has_exited = !watched[0].revents().is_empty();
        drop(watched);
        stdout.read_available()?;
        stderr.read_available()?;
        if stdout.is_full {
            return Ok(End::OutputFull);
        }
        if has_exited {
            return Ok(End::Exited);
        }
    }
}

/// One output of the process.
struct Stream {
    reader: PipeReader,
    content: Vec<u8>,
    max_bytes: usize,
    is_open: bool,
    is_full: bool,
}

impl Stream {
    fn new(reader: PipeReader, max_bytes: usize) -> Stream {
        Stream {
            reader,
            content: Vec::new(),
            max_bytes,
            is_open: true,
            is_full: false,
        }
    }

    /// Takes what the pipe holds. What exceeds the bound is read and dropped.
    fn read_available(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        while self.is_open {
            match self.reader.read(&mut buffer) {
                Ok(0) => self.is_open = false,
                Ok(count) => {
                    let room = self.max_bytes - self.content.len();
                    self.is_full |= count > room;
                    self.content.extend_from_slice(&buffer[..count.min(room)]);
                    if self.is_full {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
