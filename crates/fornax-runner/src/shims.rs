//! Shims seen from outside: whose they are, and which folder is theirs.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::place::{FileId, StateDir};
use crate::procs::Identity;
use crate::server::{SERVER_NAME, SHIM_ARG, STATE_ARG};

/// A shim that runs for an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningShim {
    /// Its process.
    pub pid: u32,
    /// Its process, which cannot be mistaken for a later one with the same number.
    pub identity: Identity,
    /// What it calls itself: the first 15 bytes of its task's id.
    pub name: String,
    /// The task's folder, where the caller may see it: only the superuser sees what a shim has open.
    /// See [`RunningShim::holds`] for a folder that is known.
    pub dir: Option<PathBuf>,
}

impl RunningShim {
    /// Whether the task's folder `dir` is this shim's: the kernel shows who holds its lock.
    #[must_use]
    pub fn holds(&self, dir: &Path) -> bool {
        folder_of(dir).and_then(lock_holder) == Some(self.pid)
    }
}

/// The shims that run for the installation whose state is in `state_dir`, and for no other.
///
/// # Errors
/// When the directory or /proc cannot be read.
pub fn shims(state_dir: &Path) -> io::Result<Vec<RunningShim>> {
    let state = StateDir::at(state_dir)?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if !is_shim_of(pid, &state) {
            continue;
        }
        // One that has ended meanwhile is not running.
        let Some(identity) = Identity::of(pid) else {
            continue;
        };
        found.push(RunningShim {
            pid,
            identity,
            name: name_of(pid),
            dir: open_folder(pid),
        });
    }
    found.sort_by_key(|shim| shim.pid);
    Ok(found)
}

/// The process of the shim that runs for the task folder `dir`: one of the installation whose state is in
/// `state_dir`, or one of protocol 1, which names no state directory.
///
/// # Errors
/// When the state directory cannot be read.
pub fn shim_of(dir: &Path, state_dir: &Path) -> io::Result<Option<u32>> {
    let state = StateDir::at(state_dir)?;
    let holder = folder_of(dir).and_then(lock_holder);
    Ok(holder.filter(|&pid| is_shim_of(pid, &state) || names_no_state(pid)))
}

/// What is at `dir`; none where that cannot be seen.
fn folder_of(dir: &Path) -> Option<FileId> {
    let meta = fs::symlink_metadata(dir).ok()?;
    Some(FileId {
        device: meta.dev(),
        inode: meta.ino(),
    })
}

/// Whether the process `pid` is a shim, of this user, that names this state directory.
pub fn is_shim_of(pid: u32, state: &StateDir) -> bool {
    let Some(args) = shim_args(pid) else {
        return false;
    };
    let mut named = args.iter().skip_while(|arg| **arg != STATE_ARG.as_bytes());
    let named = named
        .nth(1)
        .map(|dir| Path::new(std::ffi::OsStr::from_bytes(dir)));
    let is_named = named.is_some_and(|dir| {
        dir.to_string_lossy() == state.path || StateDir::at(dir).is_ok_and(|dir| dir.is_same(state))
    });
    // A fork server that has just been started still has its program's name.
    let name = name_of(pid);
    let program = args
        .first()
        .map(|arg| Path::new(std::ffi::OsStr::from_bytes(arg)));
    let program = program.and_then(Path::file_name).unwrap_or_default();
    let is_server = name == SERVER_NAME || program.as_bytes().starts_with(name.as_bytes());
    is_named && is_of_this_user(pid) && !is_server
}

/// Whether the process `pid` is a shim, of this user, of a version that names no state directory.
pub fn names_no_state(pid: u32) -> bool {
    let named = |args: Vec<Vec<u8>>| args.iter().any(|arg| arg == STATE_ARG.as_bytes());
    shim_args(pid).is_some_and(|args| !named(args)) && is_of_this_user(pid)
}

/// The arguments of a process that is a shim or a fork server.
fn shim_args(pid: u32) -> Option<Vec<Vec<u8>>> {
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let args: Vec<Vec<u8>> = cmdline
        .split(|&byte| byte == 0)
        .map(<[u8]>::to_vec)
        .collect();
    (args.get(1)? == SHIM_ARG.as_bytes()).then_some(args)
}

fn is_of_this_user(pid: u32) -> bool {
    // The owner of /proc/PID is root where the process is hidden.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    let effective = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    effective.and_then(|uid| uid.parse().ok()) == Some(rustix::process::geteuid().as_raw())
}

fn name_of(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    String::from_utf8_lossy(&name).trim_end().to_owned()
}

/// The folder whose lock a process holds, where its open files can be seen.
fn open_folder(pid: u32) -> Option<PathBuf> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let dirs = open.filter_map(|fd| {
        let fd = fd.ok()?.path();
        let meta = fs::metadata(&fd).ok().filter(fs::Metadata::is_dir)?;
        let folder = FileId {
            device: meta.dev(),
            inode: meta.ino(),
        };
        (lock_holder(folder) == Some(pid)).then(|| fs::read_link(fd).ok())?
    });
    dirs.into_iter().next()
}

/// The process that holds the exclusive lock on a folder, by the kernel's own table; none where there
/// is none, or it cannot be seen from here.
pub fn lock_holder(folder: FileId) -> Option<u32> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let holder = |line: &str| {
        // 1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF
        let mut fields = line.split_ascii_whitespace().skip(1);
        if fields.next()? != "FLOCK" || fields.nth(1)? != "WRITE" {
            return None;
        }
        let pid: u32 = fields.next()?.parse().ok()?;
        let mut file = fields.next()?.split(':');
        let mut number = || u32::from_str_radix(file.next()?, 16).ok();
        let device = rustix::fs::makedev(number()?, number()?);
        let is_it = file.next()?.parse() == Ok(folder.inode) && pid > 0;
        is_it.then_some((device, pid))
    };
    let holders: Vec<(u64, u32)> = locks.lines().filter_map(holder).collect();
    // Some file systems number devices otherwise in here than elsewhere.
    let exact = holders.iter().find(|(device, _)| *device == folder.device);
    exact.or(holders.first()).map(|(_, pid)| *pid)
}
