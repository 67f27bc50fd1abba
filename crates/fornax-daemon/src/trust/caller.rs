//! Who calls: a person, or a program that works for Fornax or for an agent.
//!
//! Only a person trusts. A caller is judged by its process and all processes above it: a task of
//! Fornax runs below a shim, which adopts whatever a task leaves behind, and an agent that a person
//! started runs its commands below itself. This keeps honest agents from deciding for a person; it
//! is no sandbox, and a program that runs as the user can do what the user can.

use std::fs;
use std::path::Path;

use fornax_core::error::{Error, ErrorKind};

/// Agents by the names of their programs and packages.
const AGENTS: &[&str] = &[
    "aider",
    "amp",
    "auggie",
    "claude",
    "claude-code",
    "codebuff",
    "codex",
    "copilot",
    "copilot-cli",
    "crush",
    "cursor-agent",
    "droid",
    "gemini",
    "gemini-cli",
    "goose",
    "opencode",
    "opencode-ai",
    "qwen",
    "qwen-code",
];
/// Variables that agents set for the commands that they run.
const AGENT_MARKS: &[&str] = &[
    "CLAUDECODE",
    "CURSOR_AGENT",
    "GEMINI_CLI",
    "OPENCODE",
    "QWEN_CODE",
];
/// Programs that run another, which is their first argument that is no option.
const RUNTIMES: &[&str] = &["node", "nodejs", "bun", "deno", "python", "python3"];
/// How far up the processes are followed.
const MAX_DEPTH: usize = 256;

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessId {
    pid: u32,
    /// When it started, in ticks since the machine did.
    started: u64,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nothing speaks against a person.
    Person,
    /// A task of Fornax.
    Task,
    /// An agent, by its name.
    Agent(String),
    /// Its process has ended, or cannot be looked at.
    Unknown,
}

struct Process {
    id: ProcessId,
    parent: u32,
    words: Vec<String>,
    comm: String,
    /// The names of its variables.
    marks: Vec<String>,
}

impl ProcessId {
    /// The process that has this number now.
    #[must_use]
    pub fn of(pid: u32) -> Option<ProcessId> {
        Process::read(Path::new("/proc"), pid).map(|process| process.id)
    }

    /// Who this process is, by itself and the processes above it.
    #[must_use]
    pub fn caller(self) -> Caller {
        caller(Path::new("/proc"), self)
    }
}

impl Caller {
    /// Who this process was started by.
    #[must_use]
    pub fn of_this_process() -> Caller {
        ProcessId::of(std::process::id()).map_or(Caller::Unknown, ProcessId::caller)
    }

    /// Refuses everybody but a person; `does` is what only a person does.
    ///
    /// # Errors
    /// `Forbidden`, without a command that an agent could try.
    pub fn require_person(&self, does: &str) -> Result<(), Error> {
        let who = match self {
            Caller::Person => return Ok(()),
            Caller::Task => "this call comes from a task of Fornax".to_owned(),
            Caller::Agent(name) => format!("this call comes from the agent {name}"),
            Caller::Unknown => "the process that calls cannot be identified".to_owned(),
        };
        let what = format!("only a person {does}, and {who}");
        Err(Error::new(ErrorKind::Forbidden, what)
            .with_help("a person has to do it, in a terminal of their own or on the page"))
    }
}

impl Process {
    fn read(proc: &Path, pid: u32) -> Option<Process> {
        let dir = proc.join(pid.to_string());
        let stat = fs::read(dir.join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name stands in parentheses and may hold any others.
        let (head, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let text = |name: &str| fs::read(dir.join(name)).unwrap_or_default();
        let lines = |bytes: Vec<u8>| -> Vec<String> {
            let lines = bytes.split(|byte| *byte == 0);
            lines
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect()
        };
        let names = lines(text("environ")).into_iter();
        let names = names.filter_map(|line| Some(line.split_once('=')?.0.to_owned()));
        Some(Process {
            id: ProcessId {
                pid,
                started: fields.get(19)?.parse().ok()?,
            },
            parent: fields.get(1)?.parse().ok()?,
            comm: head.split_once('(')?.1.to_owned(),
            words: lines(text("cmdline")),
            marks: names.collect(),
        })
    }

    fn is_of_task(&self) -> bool {
        let is_ours = |word: &String| {
            word == fornax_runner::SHIM_ARG || word == fornax_agents::host::AGENT_ARG
        };
        self.words.get(1).is_some_and(is_ours)
            || self
                .marks
                .iter()
                .any(|name| name == fornax_runner::TASK_MARK)
    }

    fn agent(&self) -> Option<String> {
        let mut names = vec![stem(&self.comm)];
        names.extend(self.words.first().map(|word| stem(word)));
        if names.iter().any(|name| RUNTIMES.contains(&name.as_str())) {
            let script = self
                .words
                .iter()
                .skip(1)
                .find(|word| !word.starts_with('-'));
            names.extend(script.map(|word| stem(word)));
            names.extend(script.into_iter().flat_map(|word| packages(word)));
        }
        let by_name = names
            .into_iter()
            .find(|name| AGENTS.contains(&name.as_str()));
        by_name.or_else(|| {
            let mark = self
                .marks
                .iter()
                .find(|name| AGENT_MARKS.contains(&name.as_str()));
            mark.map(|name| format!("that sets {name}"))
        })
    }
}

/// The name of a program without its folder and its ending.
fn stem(word: &str) -> String {
    let stem = Path::new(word.trim_start_matches('-')).file_stem();
    stem.map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The names of the packages that a script is installed in.
fn packages(script: &str) -> impl Iterator<Item = String> {
    let within = script.split_once("/node_modules/");
    let parts = within.into_iter().flat_map(|(_, rest)| rest.split('/'));
    parts.map(str::to_owned)
}

fn caller(proc: &Path, id: ProcessId) -> Caller {
    let Some(first) = Process::read(proc, id.pid).filter(|process| process.id == id) else {
        return Caller::Unknown;
    };
    let mut line = vec![first];
    while let Some(parent) = line
        .last()
        .map(|process| process.parent)
        .filter(|pid| *pid != 0)
    {
        // Some systems hide the processes of other users. One that has just gone is noticed below: its
        // child has another parent then.
        let Some(process) = Process::read(proc, parent) else {
            break;
        };
        line.push(process);
        if line.len() > MAX_DEPTH {
            return Caller::Unknown;
        }
    }
    if line.iter().any(Process::is_of_task) {
        return Caller::Task;
    }
    let agent = line.iter().find_map(Process::agent);
    // Numbers may have gone to other processes, and children to other parents, while they were read.
    let is_same = |process: &Process| {
        let now = Process::read(proc, process.id.pid);
        now.is_some_and(|now| now.id == process.id && now.parent == process.parent)
    };
    match line.iter().all(is_same) {
        false => Caller::Unknown,
        true => agent.map_or(Caller::Person, Caller::Agent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/proc` in which each process has a parent, a name, arguments and variables.
    fn proc(processes: &[(u32, u32, &str, &str, &str)]) -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        for (pid, parent, comm, argv, environ) in processes {
            let dir = temp.path().join(pid.to_string());
            fs::create_dir(&dir).unwrap();
            let zeros = "0 ".repeat(17);
            let stat = format!("{pid} ({comm}) S {parent} {zeros}{} 0\n", pid * 10);
            fs::write(dir.join("stat"), stat).unwrap();
            fs::write(dir.join("cmdline"), argv.replace(' ', "\0")).unwrap();
            fs::write(dir.join("environ"), environ.replace(' ', "\0")).unwrap();
        }
        temp
    }

    fn who(processes: &[(u32, u32, &str, &str, &str)]) -> Caller {
        let id = ProcessId {
            pid: 9,
            started: 90,
        };
        caller(proc(processes).path(), id)
    }

    #[test]
    fn a_person_works_in_shells_editors_and_multiplexers() {
        let shell = (9, 8, "fornax", "fornax trust", "HOME=/h");
        for above in [
            (8, 1, "bash", "-bash", ""),
            (8, 1, "make", "make trust", ""),
            (8, 1, "node", "node /home/u/claude-plans/serve.js", ""),
            (8, 1, "python3", "python3 /home/u/codex/run.py", ""),
            (8, 1, "code) (x", "/usr/share/code/code --type=renderer", ""),
            (8, 1, "fornax", "fornax up", ""),
        ] {
            let init = (1, 0, "systemd", "/sbin/init", "");
            assert_eq!(who(&[shell, above, init]), Caller::Person, "{above:?}");
        }
    }

    #[test]
    fn tasks_are_known_by_shims_hosts_and_marks() {
        let shim = fornax_runner::SHIM_ARG;
        let host = fornax_agents::host::AGENT_ARG;
        for (argv, environ) in [
            (format!("/usr/bin/fornax {shim} x"), ""),
            (format!("fornax {host}"), ""),
            ("sh -c x".to_owned(), "A=1 FORNAX_TASK=t-1"),
        ] {
            let line = [
                (9, 8, "fornax", "fornax trust", ""),
                (8, 7, "sh", "sh", ""),
                (7, 1, "x", argv.as_str(), environ),
            ];
            assert_eq!(who(&line), Caller::Task, "{argv}");
        }
        // It lost its parents, and kept its environment.
        let orphan = [(9, 1, "fornax", "fornax trust", "FORNAX_TASK=t-1")];
        assert_eq!(who(&orphan), Caller::Task);
    }

    #[test]
    fn agents_are_known_by_programs_scripts_packages_and_marks() {
        for (comm, argv, environ) in [
            ("claude", "claude", ""),
            ("2.1.0", "/opt/claude", ""),
            ("claude", "/bin/bash /tmp/claude", ""),
            ("MainThread", "node /usr/bin/codex.js", ""),
            ("node", "node --max-old-space-size=8192 /usr/bin/gemini", ""),
            (
                "node",
                "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js",
                "",
            ),
            ("bun", "bun /x/node_modules/opencode-ai/bin/run.js", ""),
            ("python3", "/usr/bin/python3 /usr/bin/aider", ""),
            ("bash", "bash -c x", "CLAUDECODE=1"),
        ] {
            let line = [
                (9, 8, "fornax", "fornax trust", ""),
                (8, 7, "sh", "sh -c x", ""),
                (7, 1, comm, argv, environ),
            ];
            let found = who(&line);
            assert!(matches!(found, Caller::Agent(_)), "{argv}: {found:?}");
            let error = found.require_person("decides").unwrap_err();
            assert_eq!(error.kind, ErrorKind::Forbidden);
            let text = format!("{error} {}", error.help.clone().unwrap_or_default());
            assert!(
                !text.contains("fornax trust") && text.contains("a person has to"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_process_that_is_another_by_now_is_nobody() {
        let other = [(9, 1, "bash", "bash", "")];
        let id = ProcessId { pid: 9, started: 1 };
        assert_eq!(caller(proc(&other).path(), id), Caller::Unknown);
        assert_eq!(who(&[]), Caller::Unknown);
        // A circle, which only a forged /proc has, ends.
        assert_eq!(who(&[(9, 9, "bash", "bash", "")]), Caller::Unknown);
        let me = ProcessId::of(std::process::id()).unwrap();
        assert_ne!(me.caller(), Caller::Unknown);
    }
}
