//! The task's folder: claimed by a shim, looked at by a daemon.
//!
//! A shim prepares the folder under another name, complete with its lock, its `task.json` and its
//! listening socket, and then renames it into place. A rename onto a folder with content fails, so
//! exactly one start wins, and whoever sees the folder sees it whole. The shim holds the lock for
//! all its life: it is alive if and only if the lock is taken, whatever became of its number.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::order::Recorder;
use crate::procs::Identity;
use crate::spec::{Exit, TaskSpec};

const TASK_FILE: &str = "task.json";
const EXIT_FILE: &str = "exit.json";
const SOCKET: &str = "shim.sock";
/// Where a command puts files that are worth keeping.
const ARTIFACTS: &str = "artifacts";
/// The logs, standard output first.
pub const LOGS: [&str; 2] = ["stdout.log", "stderr.log"];

/// A folder that this shim has claimed.
pub struct Folder {
    /// The folder itself; holds the lock.
    dir: OwnedFd,
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
        self.write(TASK_FILE, &serde_json::to_vec_pretty(task)?)
            .map(drop)
    }

    /// Writes `exit.json`. From now on everyone sees how the task ended, but it takes
    /// [`Record::keep`] to make it survive a power cut.
    ///
    /// # Errors
    /// When it cannot be written; it is then not there.
    pub fn write_exit(&self, exit: &Exit) -> io::Result<Record<'_>> {
        let file = self.write(EXIT_FILE, &serde_json::to_vec_pretty(exit)?)?;
        Ok(Record {
            file,
            dir: &self.dir,
        })
    }

    /// Removes the socket: a finished task's folder holds plain files only and can be copied.
    pub fn remove_socket(&self) {
        // What stays there is a name without a listener, and readers look at `exit.json` first.
        let _ = rustix::fs::unlinkat(&self.dir, SOCKET, AtFlags::empty());
    }

    /// Writes a file so that readers see the old one or the new one.
    fn write(&self, name: &str, text: &[u8]) -> io::Result<File> {
        let draft = format!("{name}.new");
        let file = create(&self.dir, &draft, text)?;
        rustix::fs::renameat(&self.dir, &draft, &self.dir, name)?;
        Ok(file)
    }
}

fn create(dir: &OwnedFd, name: &str, text: &[u8]) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC;
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
fn has_no_locks(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOLCK | Errno::OPNOTSUPP | Errno::BADF | Errno::INVAL | Errno::NOSYS
    )
}

fn open_dir(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty())
}

fn log(dir: &OwnedFd, which: usize) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    rustix::fs::openat(dir, LOGS[which], flags, PRIVATE)
}

/// The socket's address by way of the folder's descriptor: a socket's path ends at 108 bytes.
fn address(dir: &OwnedFd) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()))
}

fn socket() -> rustix::io::Result<OwnedFd> {
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

/// What a daemon finds in the place of a task's folder.
pub enum Look {
    /// Nothing: the task was never started.
    Absent,
    /// The record of its end.
    Ended(Exit),
    /// A living shim, connected.
    Live(OwnedFd),
    /// A living shim that cannot be reached by its socket.
    Locked {
        /// The folder, to wait for its lock.
        dir: OwnedFd,
        /// The shim, to signal it.
        shim: Option<Identity>,
    },
    /// That cannot be seen now: the daemon has no descriptors or memory left. Later it can.
    Unseen(io::Error),
    /// A shim that is gone without a record.
    Dead {
        /// What is known, for people.
        reason: String,
        /// The command's process, if it can still be there.
        child: Option<Identity>,
    },
}

/// What adoption needs of `task.json`.
#[derive(Deserialize)]
struct TaskFile {
    boot_id: String,
    shim: Identity,
    #[serde(default)]
    child: Option<Identity>,
}

/// Looks at the folder `dir` of a task, in the boot `boot_id`.
pub fn look(dir: &Path, attempt: u32, boot_id: &str) -> Look {
    match look_inside(dir, attempt, boot_id) {
        Ok(look) => look,
        Err(error) if is_want(&error) => Look::Unseen(error),
        Err(error) => Look::Dead {
            reason: format!(
                "the task's folder {} cannot be read: {error}",
                dir.display()
            ),
            child: None,
        },
    }
}

/// Whether something failed for want of what comes back: descriptors, memory.
pub fn is_want(error: &io::Error) -> bool {
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| wants.contains(&errno))
}

fn look_inside(path: &Path, attempt: u32, boot_id: &str) -> io::Result<Look> {
    let dir = match open_dir(path) {
        Err(Errno::NOENT) => return Ok(Look::Absent),
        other => other?,
    };
    if let Some(exit) = exit_in(&dir, attempt)? {
        return Ok(Look::Ended(exit));
    }
    let socket = socket()?;
    if rustix::net::connect(&socket, &address(&dir)?).is_ok() {
        return Ok(Look::Live(socket));
    }
    // A shim writes its record first and takes its socket away afterwards.
    if let Some(exit) = exit_in(&dir, attempt)? {
        return Ok(Look::Ended(exit));
    }
    let task = read(&dir, TASK_FILE)?;
    let file = task
        .as_deref()
        .and_then(|text| serde_json::from_slice::<TaskFile>(text).ok());
    let file = file.filter(|file| file.boot_id == boot_id);
    let alive = match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockShared) {
        Ok(()) => false,
        Err(Errno::WOULDBLOCK) => true,
        Err(error) if has_no_locks(error) => {
            file.as_ref().is_some_and(|file| file.shim.open().is_some())
        }
        Err(error) => return Err(error.into()),
    };
    if alive {
        return Ok(Look::Locked {
            dir,
            shim: file.map(|file| file.shim),
        });
    }
    if fs::read_dir(path)?.next().is_none() {
        return Ok(Look::Absent);
    }
    Ok(dead(task.is_some(), file))
}

fn dead(has_task: bool, file: Option<TaskFile>) -> Look {
    let (reason, child) = match (has_task, file) {
        (_, Some(TaskFile { shim, child, .. })) => (
            format!(
                "the task's shim (process {}) ended without leaving {EXIT_FILE}",
                shim.pid
            ),
            child,
        ),
        (true, None) => (
            "the machine was restarted while the task ran, or its folder comes from another \
             machine"
                .to_owned(),
            None,
        ),
        (false, None) => (
            format!("the folder has no {TASK_FILE}: whether the command was started is not known"),
            None,
        ),
    };
    Look::Dead { reason, child }
}

/// The record of a task's end, if its folder `dir` has one.
///
/// # Errors
/// When the folder cannot be read or the record is damaged.
pub fn read_exit(dir: &Path) -> io::Result<Option<Exit>> {
    match open_dir(dir) {
        Err(Errno::NOENT) => Ok(None),
        dir => exit_of(&dir?),
    }
}

fn exit_of(dir: &OwnedFd) -> io::Result<Option<Exit>> {
    let Some(text) = read(dir, EXIT_FILE)? else {
        return Ok(None);
    };
    let exit = serde_json::from_slice(&text)
        .map_err(|error| io::Error::other(format!("{EXIT_FILE} is damaged: {error}")))?;
    Ok(Some(exit))
}

/// The record of this attempt's end; another attempt's is an error.
fn exit_in(dir: &OwnedFd, attempt: u32) -> io::Result<Option<Exit>> {
    match exit_of(dir)? {
        Some(exit) if exit.attempt != attempt => {
            let text = format!("it belongs to attempt {}, not {attempt}", exit.attempt);
            Err(io::Error::other(text))
        }
        exit => Ok(exit),
    }
}

fn read(dir: &OwnedFd, name: &str) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(dir.as_fd(), name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => File::from(other?),
    };
    /// Bounds what a damaged folder can make us read.
    const RECORD_MAX: u64 = 16 << 20;
    let mut text = Vec::new();
    file.take(RECORD_MAX).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Removes a dead shim's socket from the folder `dir`; see [`Folder::remove_socket`].
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
