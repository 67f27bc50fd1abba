//! The task's folder as its shim has it; [`crate::look`] is the daemon's side.
//!
//! A shim prepares the folder under another name, complete with its lock, its `task.json` and its
//! listening socket, and then renames it into place. A rename onto a folder with content fails, so
//! exactly one start wins, and whoever sees the folder sees it whole. The shim holds the lock for
//! all its life: it is alive if and only if the lock is taken, whatever became of its number.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::{Map, Value, json};

use crate::order::Recorder;
use crate::place::FileId;
use crate::procs::Identity;
use crate::proof::{LeftFile, PROTOCOL};
use crate::spec::{Exit, TaskSpec};

pub const TASK_FILE: &str = "task.json";
pub const EXIT_FILE: &str = "exit.json";
pub const SOCKET: &str = "shim.sock";
/// What an agent's host heard.
const SESSION: &str = "session.jsonl";
/// Where a command puts files that are worth keeping.
const ARTIFACTS: &str = "artifacts";
/// The logs, standard output first.
pub const LOGS: [&str; 2] = ["stdout.log", "stderr.log"];

/// A folder that this shim has claimed.
pub struct Folder {
    /// The folder itself; holds the lock.
    dir: OwnedFd,
    /// Which folder it is.
    pub id: FileId,
    /// Where daemons attach. Some file systems have no sockets; a task runs there all the same.
    pub listener: Option<OwnedFd>,
    /// The log files, open for appending.
    pub logs: [OwnedFd; 2],
    /// In which order they are written, where we write them.
    pub order: Recorder,
}

/// What became of the attempt to claim a folder.
pub enum Claim {
    /// It is ours.
    Mine(Folder),
    /// Somebody else has it.
    Taken,
}

impl Folder {
    /// Claims `dir` with `task` as the content of its `task.json`.
    ///
    /// # Errors
    /// When the folder or something in it cannot be made; nothing is left behind then.
    pub fn claim(dir: &Path, task: &Map<String, Value>) -> io::Result<Claim> {
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a path of a folder",
            ));
        };
        let draft = parent.join(format!(
            ".{}.{}",
            name.to_string_lossy(),
            std::process::id()
        ));
        let made = Folder::draft(&draft, task).and_then(|folder| match fs::rename(&draft, dir) {
            Ok(()) => Ok(Claim::Mine(folder)),
            Err(error) if is_taken(&error) => Ok(Claim::Taken),
            Err(error) => Err(error),
        });
        if !matches!(made, Ok(Claim::Mine(_))) {
            // A draft that cannot be removed does no harm: nobody looks for its name.
            let _ = fs::remove_dir_all(&draft);
        }
        made
    }

    fn draft(draft: &Path, task: &Map<String, Value>) -> io::Result<Folder> {
        // The name has our process id: a folder that is already there is a dead shim's.
        match fs::remove_dir_all(draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        rustix::fs::mkdir(draft, Mode::RWXU)?;
        let dir = open_dir(draft)?;
        match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
            Err(error) if !has_no_locks(error) => return Err(error.into()),
            _ => {}
        }
        create(&dir, TASK_FILE, &serde_json::to_vec_pretty(task)?)?;
        // The command finds it there and may put in what is worth keeping.
        rustix::fs::mkdirat(&dir, ARTIFACTS, Mode::RWXU)?;
        Ok(Folder {
            id: FileId::of(&dir)?,
            listener: listen(&dir)?,
            logs: [log(&dir, 0)?, log(&dir, 1)?],
            order: Recorder::new(dir.try_clone()?),
            dir,
        })
    }

    /// Writes `task.json`.
    ///
    /// # Errors
    /// When it cannot be written; the old one is then still there.
    pub fn write_task(&self, task: &Map<String, Value>) -> io::Result<()> {
        write(&self.dir, TASK_FILE, &serde_json::to_vec_pretty(task)?).map(drop)
    }

    /// What the task leaves, as this shim sees it now.
    pub fn left_files(&self) -> BTreeMap<String, LeftFile> {
        let mut files = BTreeMap::new();
        for (name, log) in LOGS.into_iter().zip(&self.logs) {
            files.extend(rustix::fs::fstat(log).ok().map(|stat| left(name, &stat)));
        }
        let session = rustix::fs::statat(&self.dir, SESSION, AtFlags::SYMLINK_NOFOLLOW);
        files.extend(session.ok().map(|stat| left(SESSION, &stat)));
        files
    }

    /// Writes `exit.json`. From now on everyone sees how the task ended, but it takes
    /// [`Record::keep`] to make it survive a power cut.
    ///
    /// # Errors
    /// When it cannot be written; it is then not there.
    pub fn write_exit(&self, exit: &Exit) -> io::Result<Record<'_>> {
        write_exit(&self.dir, exit)
    }

    /// Removes the socket: a finished task's folder holds plain files only and can be copied.
    pub fn remove_socket(&self) {
        // What stays there is a name without a listener, and readers look at `exit.json` first.
        let _ = rustix::fs::unlinkat(&self.dir, SOCKET, AtFlags::empty());
    }
}

/// Writes `exit.json` into the folder `dir`.
///
/// # Errors
/// When it cannot be written; what was there is then still there.
pub fn write_exit<'a>(dir: &'a OwnedFd, exit: &Exit) -> io::Result<Record<'a>> {
    let file = write(dir, EXIT_FILE, &serde_json::to_vec_pretty(exit)?)?;
    Ok(Record { file, dir })
}

/// Writes a file so that readers see the old one or the new one.
fn write(dir: &OwnedFd, name: &str, text: &[u8]) -> io::Result<File> {
    let draft = format!("{name}.new");
    let file = create(dir, &draft, text)?;
    rustix::fs::renameat(dir, &draft, dir, name)?;
    Ok(file)
}

/// What a task left in its folder `dir`, seen from outside.
pub fn left_in(dir: &OwnedFd) -> BTreeMap<String, LeftFile> {
    let names = [LOGS[0], LOGS[1], SESSION];
    let stat = |name| rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
    let files = names.map(|name| stat(name).ok().map(|stat| left(name, &stat)));
    files.into_iter().flatten().collect()
}

fn left(name: &str, stat: &Stat) -> (String, LeftFile) {
    let file = LeftFile {
        inode: stat.st_ino,
        size: stat.st_size as u64,
    };
    (name.to_owned(), file)
}

fn create(dir: &OwnedFd, name: &str, text: &[u8]) -> io::Result<File> {
    let flags = OFlags::CREATE
        | OFlags::TRUNC
        | OFlags::WRONLY
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(dir, name, flags, PRIVATE)?);
    file.write_all(text)?;
    Ok(file)
}

/// An `exit.json` that has been written.
pub struct Record<'a> {
    file: File,
    dir: &'a OwnedFd,
}

impl Record<'_> {
    /// Makes the record survive a power cut. Waits for the disk. A record that a power cut tears
    /// is as good as none: the task is lost then, and a torn record is not read as an end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(self) -> io::Result<()> {
        self.file.sync_all()?;
        Ok(rustix::fs::fsync(self.dir)?)
    }
}

/// Nobody else's to read.
pub const PRIVATE: Mode = Mode::from_raw_mode(0o600);

fn is_taken(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EEXIST | libc::ENOTEMPTY))
}

/// Whether the file system is one that cannot lock a folder at all (some network ones).
pub fn has_no_locks(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOLCK | Errno::OPNOTSUPP | Errno::BADF | Errno::INVAL | Errno::NOSYS
    )
}

pub fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

fn log(dir: &OwnedFd, which: usize) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    rustix::fs::openat(dir, LOGS[which], flags, PRIVATE)
}

/// The socket's address by way of the folder's descriptor: a socket's path ends at 108 bytes.
pub fn address(dir: &OwnedFd) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

pub fn socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn listen(dir: &OwnedFd) -> rustix::io::Result<Option<OwnedFd>> {
    let socket = socket()?;
    match rustix::net::bind(&socket, &address(dir)?) {
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => return Ok(None),
        other => other?,
    }
    rustix::net::listen(&socket, 16)?;
    Ok(Some(socket))
}

/// The members of `task.json`: the specification without the environment's values and without
/// what the command reads, and who runs it.
pub fn task_record(
    spec: &TaskSpec,
    boot_id: &str,
    shim: Option<Identity>,
    now_ms: i64,
) -> Map<String, Value> {
    // What others chose to put here is redacted as the logs are.
    let mut foreign = json!([spec.argv, spec.record]);
    if let Some(redact) = &spec.redact {
        redact.rules().redact_json(&mut foreign);
    }
    let [argv, record] = [foreign[0].take(), foreign[1].take()];
    let own = json!({
        "v": 1,
        "protocol": PROTOCOL,
        "run_id": spec.run_id,
        "frame_id": spec.frame_id,
        "task_id": spec.task_id,
        "attempt": spec.attempt,
        "argv": argv,
        "env": spec.env_names(),
        "cwd": spec.cwd,
        "stdin_bytes": spec.stdin.as_ref().map(String::len),
        "timeout_ms": spec.timeout_ms,
        "silence_ms": spec.silence_ms,
        "grace": spec.grace,
        "redacted": spec.redact.is_some(),
        "created_at_ms": now_ms,
        "boot_id": boot_id,
        "shim": shim,
        "child": null,
    });
    let members = [record, own].into_iter().filter_map(|part| match part {
        Value::Object(members) => Some(members),
        _ => None,
    });
    members.flatten().collect()
}
