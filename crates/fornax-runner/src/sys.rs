//! The few system calls that rustix does not offer, each behind a safe function.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// On which side of a fork the caller is.
pub enum Fork {
    /// In the process that called it.
    Parent,
    /// In the new process.
    Child,
}

/// Forks. Only the fork server calls this, and it has one thread: the child may do anything.
#[allow(unsafe_code)]
pub fn fork() -> io::Result<Fork> {
    // SAFETY: the process has a single thread, so no lock can be held by a thread that the child
    // does not have.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        _ => Ok(Fork::Parent),
    }
}

/// Ends the process at once, without running what was registered for its exit.
#[allow(unsafe_code)]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no preconditions.
    unsafe { libc::_exit(code) }
}

/// Closes every descriptor from `first` on. Nothing else in the process may own one of them.
#[allow(unsafe_code)]
pub fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: called first thing in the fork server, before any descriptor from `first` on has an
    // owner.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Hides this process from those who may not trace all processes: its memory, its environment and what
/// it has open. A process that it forks is hidden too; a program that it executes is not.
#[allow(unsafe_code)]
pub fn hide() -> io::Result<()> {
    // SAFETY: this operation of prctl takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes `fd` the process's standard input, output or error.
#[allow(unsafe_code)]
pub fn replace_stdio(fd: impl AsFd, target: u32) -> io::Result<()> {
    debug_assert!(target < 3);
    // SAFETY: standard descriptors have no Rust owner; replacing one closes no owned descriptor.
    match unsafe { libc::dup2(fd.as_fd().as_raw_fd(), target as i32) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Takes the ownership of standard input, by duplicating it as a close-on-exec descriptor.
pub fn take_stdin() -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?)
}

/// Whether the kernel reaps children by itself (`true`) or keeps them for `wait`.
#[allow(unsafe_code)]
pub fn ignore_children(ignore: bool) {
    let action = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: installs a predefined disposition; no handler code is involved.
    unsafe { libc::signal(libc::SIGCHLD, action) };
}

/// Signals that arrive as reads of a descriptor.
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks `signals` and makes them readable.
    #[allow(unsafe_code)]
    pub fn block(signals: &[i32]) -> io::Result<Signals> {
        // SAFETY: `set` is initialised by sigemptyset before it is read; signalfd returns a fresh
        // descriptor that nobody else owns.
        unsafe {
            let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            if libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) == -1 {
                return Err(io::Error::last_os_error());
            }
            let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd == -1 {
                return Err(io::Error::last_os_error());
            }
            Ok(Signals(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// The next signal that has arrived.
    pub fn next(&self) -> Option<i32> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.0, &mut info) {
            // The signal's number is the first member.
            Ok(n) if n == info.len() => {
                Some(i32::from_ne_bytes([info[0], info[1], info[2], info[3]]))
            }
            _ => None,
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A child that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Which one.
    pub pid: u32,
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that killed it, if one did.
    pub signal: Option<i32>,
    /// Its largest resident memory, in KiB.
    pub max_rss_kib: u64,
    /// Its processor time, in milliseconds.
    pub cpu_ms: u64,
}

/// What waiting for any child found.
pub enum Reaped {
    /// This one ended.
    Ended(Ended),
    /// There are children and none has ended.
    NoneEnded,
    /// There is no child. For a subreaper this means that no descendant is left.
    NoChild,
}

/// Takes the next ended child, without waiting.
#[allow(unsafe_code)]
pub fn reap() -> io::Result<Reaped> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are valid for the call; `usage` is plain old data and zeroed.
    let (pid, usage) = unsafe {
        let pid = libc::wait4(-1, &mut status, libc::WNOHANG, usage.as_mut_ptr());
        (pid, usage.assume_init())
    };
    let ms = |time: libc::timeval| (time.tv_sec as u64) * 1000 + (time.tv_usec as u64) / 1000;
    match pid {
        -1 => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => Ok(Reaped::NoChild),
            error => Err(error),
        },
        0 => Ok(Reaped::NoneEnded),
        pid => Ok(Reaped::Ended(Ended {
            pid: pid as u32,
            code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
            max_rss_kib: usage.ru_maxrss as u64,
            cpu_ms: ms(usage.ru_utime) + ms(usage.ru_stime),
        })),
    }
}
