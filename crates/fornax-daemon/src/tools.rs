//! Which tools can be used: where their programs are, which versions, and what is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde::{Deserialize, Serialize};

use crate::trust::{Reading, ownership};

/// How long a program may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of what it says is read, in bytes.
const OUTPUT_MAX_BYTES: usize = 16 << 10;
/// How many programs are asked at once.
const ASKED_AT_ONCE: usize = 8;
/// The longest version that is passed on, in characters.
const VERSION_MAX: usize = 60;

/// A tool, as far as it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The tool's name.
    pub name: String,
    /// The first word of its command: a name that is looked up on `PATH`, or a path, relative to
    /// the project where it is not absolute.
    pub program: String,
    /// Whether its definition is one of the presets, or one that a person trusts. Others are looked
    /// for, and not run.
    pub is_trusted: bool,
}

/// What was found of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The tool's name.
    pub name: String,
    /// The first word of its command.
    pub program: String,
    /// Whether it can be used.
    pub usable: bool,
    /// The program's file.
    pub path: Option<PathBuf>,
    /// The program's version.
    pub version: Option<String>,
    /// What is wrong: with `usable`, only that it does not say its version.
    pub problem: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Looks for tools. Keeps what programs said of their versions until their files change.
#[derive(Debug, Default)]
pub struct Tools {
    known: Mutex<BTreeMap<PathBuf, (SystemTime, Said)>>,
}

/// What a program said when it was asked for its version.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Version(String),
    /// It runs, but says no version.
    Nothing(String),
    /// It cannot be run.
    Broken(String),
}

impl Tools {
    /// Looks for the programs of all tools of a project. A program that a variable names is known only
    /// when a task starts, and is not looked for. Blocks as [`Tools::look`] does.
    pub fn of_project(&self, reading: &Reading, project: &Path) -> Vec<Found> {
        let is_followed = reading.standing.is_followed();
        let wanted: Vec<_> = reading
            .config
            .tools
            .iter()
            .filter_map(|(name, tool)| {
                let program = tool.cmd.first()?.fill(|_| Err(())).ok()?;
                Some(Wanted {
                    name: name.clone(),
                    program,
                    is_trusted: tool.is_preset || is_followed,
                })
            })
            .collect();
        self.look(&wanted, Some(project))
    }

    /// Looks for each of them. Takes as long as the slowest program, 5 s at most for every eight;
    /// blocks the thread. Runs nothing that is a file of the project.
    pub fn look(&self, wanted: &[Wanted], project: Option<&Path>) -> Vec<Found> {
        let search = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> = std::env::split_paths(&search).collect();
        let located: Vec<_> = wanted
            .iter()
            .map(|tool| locate(&tool.program, &folders, project))
            .collect();
        let silent: Vec<Option<String>> = wanted
            .iter()
            .zip(&located)
            .map(|(tool, located)| why_not_asked(tool, located.as_ref().ok()?, project))
            .collect();
        let mut paths: Vec<_> = located
            .iter()
            .zip(&silent)
            .filter(|(_, why)| why.is_none())
            .filter_map(|(located, _)| located.as_ref().ok().cloned())
            .collect();
        paths.sort();
        paths.dedup();
        for some in paths.chunks(ASKED_AT_ONCE) {
            thread::scope(|scope| {
                for path in some {
                    scope.spawn(|| self.said(path));
                }
            });
        }
        let found = |((tool, located), why): ((&Wanted, Result<PathBuf, String>), _)| match located
        {
            Ok(path) if let Some(why) = why => Found {
                path: Some(path),
                problem: Some(why),
                ..nothing_known(tool)
            },
            Ok(path) => describe(tool, &path, self.said(&path)),
            Err(problem) => Found {
                help: Some(how_to_get(&tool.program, &tool.name)),
                problem: Some(problem),
                usable: false,
                ..nothing_known(tool)
            },
        };
        let all = wanted.iter().zip(located).zip(silent);
        all.map(found).collect()
    }

    /// What the program says, from memory where its file is the same.
    fn said(&self, path: &Path) -> Said {
        let changed = fs::metadata(path).and_then(|meta| meta.modified());
        let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
        let known = |known: &BTreeMap<PathBuf, (SystemTime, Said)>| {
            known
                .get(path)
                .filter(|(at, _)| *at == changed)
                .map(|(_, said)| said.clone())
        };
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = known(&lock()) {
            return said;
        }
        let said = ask(path, VERSION_TIMEOUT);
        lock().insert(path.to_owned(), (changed, said.clone()));
        said
    }
}

fn nothing_known(tool: &Wanted) -> Found {
    Found {
        name: tool.name.clone(),
        program: tool.program.clone(),
        usable: true,
        path: None,
        version: None,
        problem: None,
        help: None,
    }
}

fn describe(tool: &Wanted, path: &Path, said: Said) -> Found {
    let found = Found {
        path: Some(path.to_owned()),
        ..nothing_known(tool)
    };
    match said {
        Said::Version(version) => Found {
            version: Some(version),
            ..found
        },
        Said::Nothing(why) => Found {
            problem: Some(why),
            ..found
        },
        Said::Broken(why) => Found {
            problem: Some(why),
            help: Some(format!(
                "run `{} --version` in a terminal to see what it misses",
                path.display()
            )),
            usable: false,
            ..found
        },
    }
}

/// Why a program is not asked for its version: looking executes nothing that came with a project.
fn why_not_asked(tool: &Wanted, path: &Path, project: Option<&Path>) -> Option<String> {
    let not = |why: &str| Some(format!("not asked for its version: {why}"));
    if !tool.is_trusted {
        return not("its definition in fornax.yaml is not trusted");
    }
    if !path.is_absolute() || (tool.program.contains('/') && !tool.program.starts_with('/')) {
        return not("its path is relative");
    }
    let is_inside = |project: &Path| {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        path.starts_with(project) || real(path).starts_with(real(project))
    };
    if project.is_some_and(is_inside) {
        return not("it is a file of the project");
    }
    if ownership::all_can_write(path) {
        return not("every user can replace it");
    }
    None
}

/// The file that runs as `program`.
fn locate(program: &str, folders: &[PathBuf], project: Option<&Path>) -> Result<PathBuf, String> {
    let candidates: Vec<PathBuf> = if program.contains('/') {
        vec![project.unwrap_or(Path::new("/")).join(program)]
    } else {
        folders.iter().map(|folder| folder.join(program)).collect()
    };
    let mut not_executable = None;
    for path in candidates {
        let Ok(meta) = fs::metadata(&path) else {
            continue;
        };
        if !meta.is_file() {
            continue;
        }
        if meta.permissions().mode() & 0o111 != 0 {
            return Ok(path);
        }
        not_executable.get_or_insert(path);
    }
    Err(match not_executable {
        Some(path) => format!("{} is not executable", path.display()),
        None if program.contains('/') => format!("there is no file {program}"),
        None => format!("`{program}` is not on the PATH"),
    })
}

fn how_to_get(program: &str, tool: &str) -> String {
    let package = match program {
        "opencode" => "opencode-ai",
        "claude" => "@anthropic-ai/claude-code",
        "codex" => "@openai/codex",
        _ => {
            return format!(
                "install it, make it executable, or change the command of `{tool}` in fornax.yaml"
            );
        }
    };
    format!("npm install -g {package}")
}

/// Asks a program for its version.
fn ask(path: &Path, timeout: Duration) -> Said {
    let (status, output) = match run(path, timeout) {
        Ok(ended) => ended,
        Err(error) => return Said::Broken(format!("it cannot be run: {error}")),
    };
    let text = String::from_utf8_lossy(&output);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    // Some warn of something before they say it.
    let telling = lines().find(|line| version_in(line).is_some());
    let first = telling.or_else(|| lines().next()).unwrap_or_default();
    let first: String = first
        .chars()
        .filter(|c| !c.is_control())
        .take(VERSION_MAX)
        .collect();
    match status {
        None => Said::Nothing(format!(
            "`--version` took longer than {} s",
            timeout.as_secs()
        )),
        // What shells and `env` answer for a program or an interpreter that is not there.
        Some(status) if matches!(status.code(), Some(126 | 127)) => {
            Said::Broken(format!("it cannot be run: {first}"))
        }
        Some(status) if !status.success() => Said::Nothing(format!("`--version` failed: {status}")),
        Some(_) if first.is_empty() => Said::Nothing("`--version` says nothing".to_owned()),
        Some(_) => Said::Version(version_in(&first).unwrap_or(&first).to_owned()),
    }
}

/// The first thing in the line that looks like a version: digits, a dot, digits, and what follows.
fn version_in(line: &str) -> Option<&str> {
    let word_start = |at: &usize| {
        line.as_bytes()[*at].is_ascii_digit()
            && (*at == 0 || !line.as_bytes()[at - 1].is_ascii_digit())
    };
    (0..line.len()).filter(word_start).find_map(|start| {
        let rest = &line[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".-+_".contains(c)));
        let word = rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', '-', '+', '_']);
        let (major, minor) = word.split_once('.')?;
        let digits = major.bytes().all(|byte| byte.is_ascii_digit());
        (digits && minor.starts_with(|c: char| c.is_ascii_digit())).then_some(word)
    })
}

/// Runs `path --version`; the end of the process, none where it had to be ended, and what it wrote.
fn run(path: &Path, timeout: Duration) -> io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let deadline = Instant::now() + timeout;
    let (reader, writer) = io::pipe()?;
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
    let mut child = Command::new(path)
        .arg("--version")
        // Not in the current directory: some programs read settings there.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let watched = pidfd_open(group, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|process| read_until_exit(reader, &process, deadline));
    // Whatever it left behind in its group goes as well; a group that is gone is what is wanted.
    let _ = kill_process_group(group, Signal::KILL);
    let status = child.wait()?;
    let (exited, output) = watched?;
    Ok((exited.then_some(status), output))
}

/// Reads what the process writes until it exits (not until the pipe closes: a grandchild may hold
/// it), or the deadline has come. Whether it exited by itself.
fn read_until_exit(
    mut reader: PipeReader,
    process: &OwnedFd,
    deadline: Instant,
) -> io::Result<(bool, Vec<u8>)> {
    let mut output = Vec::new();
    let mut open = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut watched = vec![PollFd::new(process, PollFlags::IN)];
        if open {
            watched.push(PollFd::from_borrowed_fd(reader.as_fd(), PollFlags::IN));
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut watched, Some(&timeout)) {
            Ok(0) => return Ok((false, output)),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let exited = !watched[0].revents().is_empty();
        open = open && drain(&mut reader, &mut output)?;
        if exited {
            return Ok((true, output));
        }
    }
}

/// Reads what is there. Whether there may be more that is wanted.
fn drain(reader: &mut PipeReader, output: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    while output.len() < OUTPUT_MAX_BYTES {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => output.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests here write programs and start others: a process that is being started while a program
    /// is written holds it open, and it cannot be executed then.
    fn turn() -> impl Drop {
        static TURN: Mutex<()> = Mutex::new(());
        TURN.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn program(dir: &Path, name: &str, script: &str) -> Wanted {
        let path = dir.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Wanted {
            name: name.to_owned(),
            program: path.to_str().unwrap().to_owned(),
            is_trusted: true,
        }
    }

    fn look(wanted: &Wanted) -> Found {
        Tools::default()
            .look(std::slice::from_ref(wanted), None)
            .remove(0)
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let cases = [
            ("2.1.0 (Claude Code)", Some("2.1.0")),
            ("codex-cli 0.50.1-alpha.2", Some("0.50.1-alpha.2")),
            (
                "GNU bash, version 5.2.15(1)-release (x86_64)",
                Some("5.2.15"),
            ),
            ("v22.1.0", Some("22.1.0")),
            ("git version 2.39.5.", Some("2.39.5")),
            ("build 7 of tool9", None),
            ("Grüße 1.2", Some("1.2")),
        ];
        for (line, version) in cases {
            assert_eq!(version_in(line), version, "{line}");
        }
    }

    #[test]
    fn each_way_to_be_wrong_is_told() {
        let _turn = turn();
        let temp = tempfile::tempdir().unwrap();
        let good = look(&program(temp.path(), "good", "echo good 1.2.3"));
        assert_eq!(
            (good.usable, good.version.as_deref()),
            (true, Some("1.2.3"))
        );
        let on_stderr = look(&program(temp.path(), "on-stderr", "echo 4.5 >&2"));
        assert_eq!(on_stderr.version.as_deref(), Some("4.5"));
        let warns = look(&program(
            temp.path(),
            "warns",
            "echo WARNING: no bwrap >&2; echo codex-cli 0.169.0",
        ));
        assert_eq!(warns.version.as_deref(), Some("0.169.0"));
        let mute = look(&program(temp.path(), "mute", "exit 3"));
        assert!(mute.usable && mute.problem.unwrap().contains("exit status: 3"));
        let broken = look(&program(temp.path(), "broken", "exec no-such-interpreter"));
        assert!(!broken.usable && broken.problem.unwrap().contains("no-such-interpreter"));

        let plain = program(temp.path(), "plain", "");
        fs::set_permissions(&plain.program, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(look(&plain).problem.unwrap().ends_with("is not executable"));
        let absent = Wanted {
            name: "x".into(),
            program: "no-such-program-here".into(),
            is_trusted: true,
        };
        assert!(
            look(&absent)
                .problem
                .unwrap()
                .ends_with("is not on the PATH")
        );
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let _turn = turn();
        let temp = tempfile::tempdir().unwrap();
        let hangs = program(temp.path(), "hangs", "echo $$; sleep 1000 & wait");
        let (status, output) = run(Path::new(&hangs.program), Duration::from_millis(200)).unwrap();
        assert_eq!(status, None);
        let group = String::from_utf8(output).unwrap().trim().parse().unwrap();
        let group = Pid::from_raw(group).unwrap();
        // A killed child is gone once its new parent has reaped it.
        let gone_by = Instant::now() + Duration::from_secs(5);
        while rustix::process::test_kill_process_group(group).is_ok() {
            assert!(Instant::now() < gone_by, "its group lives on");
            thread::yield_now();
        }
    }

    #[test]
    fn one_that_leaves_a_child_with_the_pipe_does_not_hold_us_up() {
        let _turn = turn();
        let temp = tempfile::tempdir().unwrap();
        let wanted = program(temp.path(), "leaves", "setsid sleep 1000 & echo 3.4 $!");
        let (status, output) = run(Path::new(&wanted.program), Duration::from_secs(60)).unwrap();
        assert!(status.unwrap().success());
        let text = String::from_utf8(output).unwrap();
        let (version, left) = text.trim().split_once(' ').unwrap();
        assert_eq!(version, "3.4");
        // It may have been ended before it had a session of its own.
        let _ = rustix::process::kill_process(
            Pid::from_raw(left.parse().unwrap()).unwrap(),
            Signal::KILL,
        );
    }

    #[test]
    fn output_without_end_is_bounded() {
        let _turn = turn();
        let temp = tempfile::tempdir().unwrap();
        let wanted = program(temp.path(), "talks", "yes 1.0");
        let (_, output) = run(Path::new(&wanted.program), Duration::from_millis(200)).unwrap();
        assert!(output.len() < OUTPUT_MAX_BYTES + 4096);
    }

    #[test]
    fn a_version_is_asked_for_again_only_when_the_file_has_changed() {
        let _turn = turn();
        let temp = tempfile::tempdir().unwrap();
        let count = temp.path().join("count");
        let script = |version| format!("echo x >> {}; echo {version}", count.display());
        let wanted = [program(temp.path(), "counts", &script("1.0"))];
        let tools = Tools::default();
        for _ in 0..3 {
            assert_eq!(tools.look(&wanted, None)[0].version.as_deref(), Some("1.0"));
        }
        assert_eq!(fs::read_to_string(&count).unwrap(), "x\n");
        program(temp.path(), "counts", &script("2.0"));
        let file = fs::File::options()
            .append(true)
            .open(&wanted[0].program)
            .unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(9))
            .unwrap();
        drop(file);
        assert_eq!(tools.look(&wanted, None)[0].version.as_deref(), Some("2.0"));
    }
}
