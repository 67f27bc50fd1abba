//! Which conversation of an agent's this process was started for, where Fornax did not start the agent.

use std::fs;
use std::path::Path;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::frame::SessionId;

/// Programs that stand between an agent and what it starts.
const BETWEEN: &[&str] = &[
    "sh", "bash", "dash", "zsh", "fish", "ksh", "env", "timeout", "nice", "fornax",
];
/// Programs that run another, which is their first argument.
const RUNTIMES: &[&str] = &["node", "bun", "deno"];
/// How far up one looks.
const MAX_DEPTH: usize = 32;

/// A process, as far as it matters here.
struct Process {
    pid: u32,
    parent: u32,
    /// When it started, in ticks since the machine did: a number is used again, this pair is not.
    started: u64,
    /// What it may be called.
    names: Vec<String>,
}

impl Process {
    fn read(proc: &Path, pid: u32) -> Option<Process> {
        let dir = proc.join(pid.to_string());
        let stat = fs::read_to_string(dir.join("stat")).ok()?;
        // The name stands in parentheses and may hold any others.
        let (head, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let comm = head.split_once('(')?.1;
        let argv = fs::read(dir.join("cmdline")).unwrap_or_default();
        let words: Vec<_> = argv
            .split(|byte| *byte == 0)
            .map(String::from_utf8_lossy)
            .collect();
        let mut names = vec![stem(comm)];
        names.extend(words.first().map(|word| stem(word)));
        if names.iter().any(|name| RUNTIMES.contains(&name.as_str())) {
            names.extend(words.get(1).map(|word| stem(word)));
        }
        Some(Process {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            names,
        })
    }

    fn is(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}

/// The name of a program without its folder and its ending.
fn stem(word: &str) -> String {
    let stem = Path::new(word.trim_start_matches('-')).file_stem();
    stem.map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The session of the agent that this process was started by: the agent's name and its process, since
/// what an agent starts for its tools and for its hooks knows no other name in common.
///
/// The process is the nearest above that is called so; where none is, the nearest that is no shell.
///
/// # Errors
/// Where no session can bear the agent's name.
pub fn agent_session(agent: &str) -> Result<SessionId, Error> {
    session_above(Path::new("/proc"), std::process::id(), agent)
}

fn session_above(proc: &Path, own: u32, agent: &str) -> Result<SessionId, Error> {
    let first = Process::read(proc, own).map(|process| process.parent);
    let above: Vec<Process> = std::iter::successors(
        first.and_then(|parent| Process::read(proc, parent)),
        |process| Process::read(proc, process.parent).filter(|above| above.pid > 1),
    )
    .take(MAX_DEPTH)
    .collect();
    let called = above.iter().find(|process| process.is(agent));
    let is_between = |process: &&Process| BETWEEN.iter().any(|name| process.is(name));
    let nearest = above.iter().find(|process| !is_between(process));
    let named = match called.or(nearest).or(above.first()) {
        Some(process) => format!("{agent}:{}.{}", process.pid, process.started),
        None => format!("{agent}:{own}.0"),
    };
    named
        .parse()
        .map_err(|error| Error::new(ErrorKind::Usage, format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/proc` in which each process has a name, an argument and a parent.
    fn proc(processes: &[(u32, u32, &str, &str)]) -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        for (pid, parent, comm, argv) in processes {
            let dir = temp.path().join(pid.to_string());
            fs::create_dir(&dir).unwrap();
            let zeros = "0 ".repeat(17);
            let stat = format!("{pid} ({comm}) S {parent} {zeros}{} 0\n", pid * 10);
            fs::write(dir.join("stat"), stat).unwrap();
            fs::write(dir.join("cmdline"), argv.replace(' ', "\0")).unwrap();
        }
        temp
    }

    fn session(processes: &[(u32, u32, &str, &str)], own: u32, agent: &str) -> String {
        session_above(proc(processes).path(), own, agent)
            .unwrap()
            .to_string()
    }

    #[test]
    fn hooks_and_servers_of_one_agent_are_of_one_session() {
        let processes = [
            (2, 1, "bash", "-bash"),
            (3, 2, "claude) (x", "claude"),
            (4, 3, "sh", "/bin/sh -c fornax hook claude"),
            (5, 4, "fornax", "fornax hook claude"),
            (6, 3, "fornax", "/usr/bin/fornax mcp --agent claude"),
        ];
        assert_eq!(session(&processes, 5, "claude"), "claude:3.30");
        assert_eq!(session(&processes, 6, "claude"), "claude:3.30");
    }

    #[test]
    fn a_wrapper_in_node_is_seen_through_and_an_unknown_name_passes_shells() {
        let processes = [
            (2, 1, "MainThread", "node /usr/bin/codex.js"),
            (3, 2, "codex", "/vendor/bin/codex"),
            (4, 3, "fornax", "fornax mcp"),
            (7, 1, "2.1.197", "other"),
            (8, 7, "sh", "sh -c x"),
            (9, 8, "fornax", "fornax mcp"),
        ];
        assert_eq!(session(&processes, 4, "codex"), "codex:3.30");
        assert_eq!(session(&processes, 9, "claude"), "claude:7.70");
        // Its name is an argument here.
        let wrapped = [
            (2, 1, "node", "node /bin/codex.js"),
            (3, 2, "fornax", "fornax mcp"),
        ];
        assert_eq!(session(&wrapped, 3, "codex"), "codex:2.20");
        assert_eq!(session(&[], 9, "codex"), "codex:9.0");
    }

    #[test]
    fn this_very_process_has_a_session() {
        let session = agent_session("claude").unwrap();
        assert_eq!(session.agent(), Some("claude"));
        assert_eq!(session, agent_session("claude").unwrap());
        assert!(agent_session("two words").is_err());
    }
}
