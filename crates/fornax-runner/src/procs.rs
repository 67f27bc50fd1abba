//! Processes as /proc shows them: identity, descent, marks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::key::TaskKey;
use crate::place::FileId;

/// The variable that marks every process of a task, with the task's id.
pub const TASK_MARK: &str = "FORNAX_TASK";
/// The variable that tells every process of a task where the task's folder is.
pub const DIR_MARK: &str = "FORNAX_TASK_DIR";
/// The variable that marks every process of a task as one of this folder's; see
/// [`TaskKey::mark`](crate::key::TaskKey::mark).
pub const FOLDER_MARK: &str = "FORNAX_TASK_MARK";

/// The kernel's identity for this boot of the machine.
///
/// # Errors
/// When /proc is not mounted.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim_end()
        .to_owned())
}

/// A process that cannot be mistaken for a later one with the same number (within one boot).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// When it started, in clock ticks since the boot: field 22 of /proc/PID/stat.
    pub start: u64,
}

impl Identity {
    /// The identity of the process that has the number `pid` now.
    pub fn of(pid: u32) -> Option<Identity> {
        Process::read(pid).map(|process| process.id)
    }

    /// A descriptor of exactly this process, if it is still there and has not ended.
    pub fn open(self) -> Option<OwnedFd> {
        let fd = pidfd_open(Pid::from_raw(self.pid as i32)?, PidfdFlags::empty()).ok()?;
        // Checked after opening: the descriptor stays with the process that has been checked.
        let process = Process::read(self.pid)?;
        (process.id == self && !process.zombie).then_some(fd)
    }

    /// Sends `signal` to exactly this process; `false` if it is gone or not ours to signal.
    pub fn signal(self, signal: Signal) -> bool {
        self.open()
            .is_some_and(|fd| pidfd_send_signal(fd, signal).is_ok())
    }
}

/// One line of the process table.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Who it is.
    pub id: Identity,
    /// Its parent's number.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// It has ended and only waits to be reaped.
    pub zombie: bool,
    /// It was stopped by a signal, or by a debugger.
    pub stopped: bool,
}

impl Process {
    /// The process that has the number `pid` now.
    pub fn read(pid: u32) -> Option<Process> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the program's name in parentheses and may hold anything.
        let end = stat.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().take(20).collect();
        let state = *fields.first()?;
        Some(Process {
            zombie: matches!(state, "Z" | "X"),
            stopped: matches!(state, "T" | "t"),
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            id: Identity {
                pid,
                start: fields.get(19)?.parse().ok()?,
            },
        })
    }
}

/// What the processes of one task have in their environment, and no other process has.
pub struct Marks(Vec<Vec<u8>>);

impl Marks {
    /// The marks of the task `task_id` whose folder is `folder`.
    pub fn new(task_id: &str, key: &TaskKey, folder: FileId) -> Marks {
        let mark = key.mark(folder);
        Marks(vec![
            [TASK_MARK.as_bytes(), b"=", task_id.as_bytes()].concat(),
            [FOLDER_MARK.as_bytes(), b"=", mark.as_bytes()].concat(),
        ])
    }

    /// The marks that shims of protocol 1 set: the folder by its path.
    pub fn by_path(task_id: &str, dir: &Path) -> Marks {
        use std::os::unix::ffi::OsStrExt;
        Marks(vec![
            [TASK_MARK.as_bytes(), b"=", task_id.as_bytes()].concat(),
            [DIR_MARK.as_bytes(), b"=", dir.as_os_str().as_bytes()].concat(),
        ])
    }

    fn are_in(&self, environ: &[u8]) -> bool {
        let has = |mark: &Vec<u8>| environ.split(|&byte| byte == 0).any(|entry| entry == mark);
        self.0.iter().all(has)
    }
}

/// The process table at about this moment.
pub struct Table(Vec<Process>);

impl Table {
    /// Reads the table.
    ///
    /// # Errors
    /// When /proc cannot be listed.
    pub fn read() -> io::Result<Table> {
        let pids = fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(Table(pids.filter_map(Process::read).collect()))
    }

    /// The living descendants of `roots`, without the roots themselves.
    pub fn descendants(&self, roots: impl IntoIterator<Item = u32>) -> Vec<Process> {
        let mut children: HashMap<u32, Vec<&Process>> = HashMap::new();
        for process in &self.0 {
            children.entry(process.parent).or_default().push(process);
        }
        let mut todo: Vec<u32> = roots.into_iter().collect();
        let mut seen: HashSet<u32> = todo.iter().copied().collect();
        let mut found = Vec::new();
        while let Some(parent) = todo.pop() {
            for &&process in children.get(&parent).into_iter().flatten() {
                if seen.insert(process.id.pid) {
                    todo.push(process.id.pid);
                    found.push(process);
                }
            }
        }
        found.retain(|process| !process.zombie);
        found
    }

    /// The processes that bear these marks, or descend from one that does; never this process or one
    /// of its ancestors.
    pub fn marked(&self, marks: &Marks) -> Vec<Process> {
        let is_marked = |process: &&Process| {
            let environ = fs::read(format!("/proc/{}/environ", process.id.pid)).unwrap_or_default();
            marks.are_in(&environ)
        };
        let mut found: Vec<Process> = self.0.iter().filter(is_marked).copied().collect();
        let roots: HashSet<u32> = found.iter().map(|process| process.id.pid).collect();
        found.extend(
            self.descendants(roots.iter().copied())
                .into_iter()
                .filter(|process| !roots.contains(&process.id.pid)),
        );
        let spared = self.ancestry(std::process::id());
        found.retain(|process| !process.zombie && !spared.contains(&process.id.pid));
        found
    }

    /// `pid`, its parent, and so on.
    fn ancestry(&self, pid: u32) -> HashSet<u32> {
        let parents: HashMap<u32, u32> = self.0.iter().map(|p| (p.id.pid, p.parent)).collect();
        let mut line = HashSet::new();
        let mut next = Some(pid);
        while let Some(pid) = next.filter(|&pid| line.insert(pid)) {
            next = parents.get(&pid).copied();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_not_a_later_one() {
        let me = Identity::of(std::process::id()).unwrap();
        assert!(me.open().is_some());
        assert!(
            Identity {
                start: me.start + 1,
                ..me
            }
            .open()
            .is_none()
        );
    }

    #[test]
    fn the_table_knows_descendants_and_spares_ancestors() {
        let key = TaskKey::from([1; 32]);
        let id = |inode| FileId { device: 1, inode };
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .env(TASK_MARK, "t-aaaaaa-1")
            .env(DIR_MARK, "/nowhere/t-aaaaaa-1")
            .env(FOLDER_MARK, key.mark(id(2)))
            .spawn()
            .unwrap();
        let table = Table::read().unwrap();
        let pids = |found: Vec<Process>| found.iter().map(|p| p.id.pid).collect::<Vec<_>>();
        let mine = pids(table.descendants([std::process::id()]));
        assert!(mine.contains(&child.id()), "{mine:?}");
        // Right after fork the environment may still be the old one.
        let marked = |marks: Marks| pids(Table::read().unwrap().marked(&marks));
        assert_eq!(marked(Marks::new("t-aaaaaa-1", &key, id(2))), [child.id()]);
        let dir = Path::new("/nowhere/t-aaaaaa-1");
        assert_eq!(marked(Marks::by_path("t-aaaaaa-1", dir)), [child.id()]);
        for other in [
            Marks::new("t-aaaaaa-2", &key, id(2)),
            Marks::new("t-aaaaaa-1", &key, id(3)),
            Marks::new("t-aaaaaa-1", &TaskKey::from([2; 32]), id(2)),
            Marks::by_path("t-aaaaaa-1", Path::new("/elsewhere/t-aaaaaa-1")),
        ] {
            assert!(marked(other).is_empty());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
