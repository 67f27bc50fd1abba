//! The task's folder as a daemon finds it. Everything in the folder can have been written by the task
//! itself, or have come with a copy of the project. So only what is proved counts.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;

use crate::folder::{EXIT_FILE, SOCKET, TASK_FILE, address, has_no_locks, open_dir, socket};
use crate::legacy;
use crate::place::{FileId, StateDir};
use crate::procs::Identity;
use crate::proof::{self, Record};
use crate::shims;
use crate::spec::{Exit, TaskSpec};

/// Who looks, and for which task.
pub struct Search<'a> {
    /// The task.
    pub spec: &'a TaskSpec,
    /// The present boot.
    pub boot_id: &'a str,
    /// The state directory of the daemon that looks.
    pub state: &'a StateDir,
    /// The task's shim, where it has proved itself to this daemon before.
    pub shim: Option<Identity>,
}

/// What a daemon finds in the place of a task's folder.
pub enum Look {
    /// Nothing: the task was never started.
    Absent,
    /// The record of its end, proved.
    Ended(Exit),
    /// Something listens on its socket. It is still to prove that it is the task's shim.
    Live(Live),
    /// A living shim that cannot be reached by its socket.
    Locked {
        /// The folder, to wait for its lock.
        dir: OwnedFd,
        /// The shim, where the kernel shows that it holds the lock.
        shim: Option<Identity>,
    },
    /// That cannot be seen now: the daemon has no descriptors or memory left. Later it can.
    Unseen(io::Error),
    /// No shim, and no record that is proved.
    Dead {
        /// What is known, for people.
        reason: String,
        /// The folder, where it could be opened.
        folder: Option<FileId>,
    },
}

/// A connection to what listens on a task's socket.
pub struct Live {
    /// The connection.
    pub fd: OwnedFd,
    /// The folder that the socket was found in.
    pub folder: FileId,
    /// The process that listens, by the kernel's word.
    pub peer: u32,
    /// The shim, where it is one of protocol 1, which proves nothing.
    pub legacy: Option<Identity>,
}

/// What is read of `task.json`. All of it is a hint.
#[derive(Deserialize)]
pub struct TaskFile {
    /// The boot in which the task was started.
    pub boot_id: String,
    /// Its shim.
    pub shim: Identity,
    /// The protocol of that shim; none in protocol 1.
    #[serde(default)]
    pub protocol: Option<u32>,
}

/// Looks at the folder of a task.
pub fn look(search: &Search<'_>) -> Look {
    let dir = &search.spec.dir;
    match look_inside(search) {
        Ok(look) => look,
        Err(error) if is_want(&error) => Look::Unseen(error),
        Err(error) => Look::Dead {
            reason: format!(
                "the task's folder {} cannot be read: {error}",
                dir.display()
            ),
            folder: None,
        },
    }
}

/// Whether something failed for want of what comes back: descriptors, memory.
pub fn is_want(error: &io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| wants.contains(&errno))
}

fn look_inside(search: &Search<'_>) -> io::Result<Look> {
    let dir = match open_dir(&search.spec.dir) {
        Err(Errno::NOENT) => return Ok(Look::Absent),
        other => other?,
    };
    let folder = FileId::of(&dir)?;
    if let Ending::Proved(exit) = ending(&dir, folder, search)? {
        return Ok(Look::Ended(exit));
    }
    // A shim that is known and has gone cannot be what listens now.
    let is_gone = search.shim.is_some_and(|shim| shim.open().is_none());
    if !is_gone {
        let socket = socket()?;
        if rustix::net::connect(&socket, &address(&dir)?).is_ok() {
            let peer = rustix::net::sockopt::socket_peercred(&socket)?.pid;
            let peer = peer.as_raw_nonzero().get().unsigned_abs();
            return Ok(Look::Live(Live {
                legacy: legacy::shim(search, &dir, folder, Some(peer))?,
                fd: socket,
                folder,
                peer,
            }));
        }
    }
    // A shim writes its record first and takes its socket away afterwards.
    let refused = match ending(&dir, folder, search)? {
        Ending::Proved(exit) => return Ok(Look::Ended(exit)),
        Ending::Refused(why) => Some(why),
        Ending::None => None,
    };
    if !is_gone {
        match locked(&dir, folder, search)? {
            Lock::Free => {}
            Lock::Shim(shim) => return Ok(Look::Locked { dir, shim }),
            Lock::Other(pid) => {
                let reason = format!(
                    "the task's folder is locked by process {pid}, which is not its supervisor"
                );
                let folder = Some(folder);
                return Ok(Look::Dead { reason, folder });
            }
        }
    }
    if fs::read_dir(&search.spec.dir)?.next().is_none() {
        return Ok(Look::Absent);
    }
    let reason = match refused {
        Some(why) => format!("{EXIT_FILE} was not written by the task's supervisor: {why}"),
        None => why_dead(task_file(&dir)?.as_ref(), folder, search),
    };
    Ok(Look::Dead {
        reason,
        folder: Some(folder),
    })
}

enum Lock {
    Free,
    /// A shim of ours has it, or a process that cannot be seen.
    Shim(Option<Identity>),
    /// A process that is no shim of ours has it.
    Other(u32),
}

fn locked(dir: &OwnedFd, folder: FileId, search: &Search<'_>) -> io::Result<Lock> {
    match rustix::fs::flock(dir, FlockOperation::NonBlockingLockShared) {
        Ok(()) => return Ok(Lock::Free),
        Err(Errno::WOULDBLOCK) => {}
        Err(error) if has_no_locks(error) => {
            // Only the hint is left, and what the process says of itself.
            let hint = task_file(dir)?.ok().flatten();
            let shim = hint.filter(|file| file.boot_id == search.boot_id);
            let shim = shim
                .map(|file| file.shim)
                .filter(|shim| shim.open().is_some() && shims::is_shim_of(shim.pid, search.state));
            return Ok(shim.map_or(Lock::Free, |shim| Lock::Shim(Some(shim))));
        }
        Err(error) => return Err(error.into()),
    }
    if let Some(shim) = legacy::shim(search, dir, folder, None)? {
        return Ok(Lock::Shim(Some(shim)));
    }
    Ok(match shims::lock_holder(folder) {
        None => Lock::Shim(None),
        Some(pid) if shims::is_shim_of(pid, search.state) => Lock::Shim(Identity::of(pid)),
        Some(pid) => Lock::Other(pid),
    })
}

fn why_dead(task: Result<&Option<TaskFile>, &()>, folder: FileId, search: &Search<'_>) -> String {
    match task {
        Ok(None) => {
            format!("the folder has no {TASK_FILE}: whether the command was started is not known")
        }
        Ok(Some(file)) if file.boot_id == search.boot_id => {
            let pid = file.shim.pid;
            let elsewhere = shims::lock_holder(folder) != Some(pid) && file.shim.open().is_some();
            if elsewhere {
                return format!(
                    "this folder is a copy: the task's supervisor (process {pid}) works in another one"
                );
            }
            format!("the task's shim (process {pid}) ended without leaving {EXIT_FILE}")
        }
        _ => "the machine was restarted while the task ran, or its folder comes from another \
              machine"
            .to_owned(),
    }
}

/// What `task.json` says: an error where it cannot be understood, none where there is none.
pub fn task_file(dir: &OwnedFd) -> io::Result<Result<Option<TaskFile>, ()>> {
    Ok(match read(dir, TASK_FILE)? {
        None => Ok(None),
        Some(text) => serde_json::from_slice(&text).map(Some).map_err(drop),
    })
}

/// How far the record of a task's end can be believed.
enum Ending {
    None,
    Proved(Exit),
    /// Why not.
    Refused(String),
}

fn ending(dir: &OwnedFd, folder: FileId, search: &Search<'_>) -> io::Result<Ending> {
    let text = match read(dir, EXIT_FILE) {
        Ok(None) => return Ok(Ending::None),
        Ok(Some(text)) => text,
        Err(error) if is_want(&error) => return Err(error),
        Err(error) => return Ok(Ending::Refused(error.to_string())),
    };
    let spec = search.spec;
    let exit = match proof::read_exit(&text, &spec.key) {
        Record::Proved(exit) => exit,
        Record::Unproved(exit) if spec.accept_unproved => exit,
        Record::Unproved(_) => return Ok(Ending::Refused("it has no proof".to_owned())),
        Record::Refused(why) => return Ok(Ending::Refused(why)),
    };
    if (exit.attempt, &exit.task_id) != (spec.attempt, &spec.task_id) {
        let (other, attempt) = (&exit.task_id, exit.attempt);
        let why = format!("it belongs to attempt {attempt} of {other}");
        return Ok(Ending::Refused(why));
    }
    if let Some(proof) = &exit.proof {
        if !proof.is_of(folder, search.boot_id) {
            let why = "it was written for another folder, of which this one is a copy";
            return Ok(Ending::Refused(why.to_owned()));
        }
        if !proof.state.is_same(search.state) {
            let why = format!("it belongs to the state directory {}", proof.state.path);
            return Ok(Ending::Refused(why));
        }
    }
    Ok(Ending::Proved(exit))
}

/// The record of a task's end, if its folder `dir` has one. Whether it is true is not asked.
///
/// # Errors
/// When the folder cannot be read or the record is damaged.
pub fn read_exit(dir: &Path) -> io::Result<Option<Exit>> {
    let dir = match open_dir(dir) {
        Err(Errno::NOENT) => return Ok(None),
        dir => dir?,
    };
    let Some(text) = read(&dir, EXIT_FILE)? else {
        return Ok(None);
    };
    let exit = serde_json::from_slice(&text)
        .map_err(|error| io::Error::other(format!("{EXIT_FILE} is damaged: {error}")))?;
    Ok(Some(exit))
}

fn read(dir: &OwnedFd, name: &str) -> io::Result<Option<Vec<u8>>> {
    // Opening something else than a file must not wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir.as_fd(), name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => File::from(other?),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{name} is not a file")));
    }
    /// Bounds what a damaged folder can make us read.
    const RECORD_MAX: u64 = 16 << 20;
    let mut text = Vec::new();
    file.take(RECORD_MAX).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Removes a dead shim's socket from the folder `dir`; see
/// [`Folder::remove_socket`](crate::folder::Folder::remove_socket).
pub fn remove_socket(dir: &Path) {
    let _ = fs::remove_file(dir.join(SOCKET));
}

/// Waits until the shim that holds the folder's lock is gone.
///
/// # Errors
/// When the file system fails.
pub fn wait_for_lock(dir: &OwnedFd) -> io::Result<()> {
    loop {
        match rustix::fs::flock(dir, FlockOperation::LockShared) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    use serde_json::{Value, json};

    /// JSON that looks like what is read, or like nothing.
    fn others_text() -> impl Strategy<Value = Vec<u8>> {
        let value = prop_oneof![
            Just(json!(null)),
            any::<i64>().prop_map(Value::from),
            "[a-z0-9]{0,70}".prop_map(Value::from),
            Just(json!({"device": 1, "inode": 2, "mac": "00", "files": {}})),
            Just(json!({"pid": 1, "start": 1})),
        ];
        let name = prop::sample::select(vec![
            "v",
            "task_id",
            "attempt",
            "code",
            "cause",
            "started_at_ms",
            "ended_at_ms",
            "duration_ms",
            "stdout_bytes",
            "stderr_bytes",
            "proof",
            "mac",
            "boot_id",
            "shim",
            "child",
            "protocol",
        ]);
        let object = prop::collection::btree_map(name.prop_map(str::to_owned), value, 0..16);
        prop_oneof![
            object.prop_map(|object| json!(object).to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..200),
            "\\PC{0,80}".prop_map(String::into_bytes),
        ]
    }

    #[test]
    fn what_others_wrote_adopts_nothing_and_is_no_end() {
        // Other cases each day, and the same ones all day.
        let day = crate::spec::now_ms() / 86_400_000;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&day.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let temp = tempfile::tempdir().unwrap();
        let state = StateDir::at(temp.path()).unwrap();
        let dir = temp.path().join("t-4k2p9x-1");
        fs::create_dir(&dir).unwrap();
        let boot_id = crate::procs::boot_id().unwrap();
        let texts = (others_text(), others_text());
        let tried = runner.run(&texts, |(exit, task)| {
            fs::write(dir.join(EXIT_FILE), exit).unwrap();
            fs::write(dir.join(TASK_FILE), task).unwrap();
            let spec: TaskSpec = serde_json::from_value(json!({
                "run_id": "", "frame_id": "", "task_id": "t-4k2p9x-1", "attempt": 1, "dir": dir,
                "argv": [], "env": [], "cwd": "/", "key": "07".repeat(32),
            }))
            .unwrap();
            let found = look(&Search {
                spec: &spec,
                boot_id: &boot_id,
                state: &state,
                shim: None,
            });
            let is_dead = matches!(found, Look::Dead { .. });
            prop_assert!(is_dead, "adopted, or read as an end");
            Ok(())
        });
        assert_eq!(tried, Ok(()), "with the day as seed: {day}");
    }
}
