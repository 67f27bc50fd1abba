//! Starting the command: vfork and exec with our own steps between.
//!
//! The child shares the shim's memory until it execs, as with `posix_spawn`, so no page table is
//! copied; `posix_spawn` itself cannot set the signal that ties the child's life to the shim's.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A command, ready to be started.
pub struct Command<'a> {
    /// Program and arguments.
    pub argv: &'a [String],
    /// The complete environment.
    pub env: &'a [(String, String)],
    /// The working directory.
    pub cwd: &'a Path,
    /// Standard input, output and error; none of them is itself a standard descriptor.
    pub stdio: [BorrowedFd<'a>; 3],
}

/// Why a command did not start.
#[derive(Debug)]
pub struct Failure {
    /// The program does not exist or may not be executed.
    pub tool_missing: bool,
    /// For people.
    pub message: String,
}

/// The step of the child that failed.
#[derive(Clone, Copy)]
enum Step {
    Nothing,
    Prepare,
    Chdir,
    Exec,
}

/// What the child needs between vfork and exec, all of it allocated before: there it may neither
/// allocate nor lock.
struct Plan {
    candidates: Vec<CString>,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    cwd: CString,
    stdio: [RawFd; 3],
    parent: libc::pid_t,
    failed: Step,
    errno: c_int,
}

/// Starts `command` as the leader of a session of its own, with default signals and only its three
/// standard descriptors, killed by the kernel should this process die. Returns its process id.
///
/// # Errors
/// When the working directory cannot be entered or no candidate for the program be executed.
pub fn spawn(command: &Command<'_>) -> Result<u32, Failure> {
    let plain = |message: String| Failure {
        tool_missing: false,
        message,
    };
    let nul = |what: &str| plain(format!("{what} contains a NUL byte"));
    let argv = c_strings(command.argv.iter().cloned()).ok_or_else(|| nul("an argument"))?;
    let env = c_strings(
        command
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    )
    .ok_or_else(|| nul("the environment"))?;
    let program = command
        .argv
        .first()
        .ok_or_else(|| plain("the command is empty".into()))?;
    let mut plan = Plan {
        candidates: candidates(program, command.env).ok_or_else(|| nul("PATH"))?,
        argv: pointers(&argv),
        env: pointers(&env),
        cwd: CString::new(command.cwd.as_os_str().as_bytes()).map_err(|_| nul("the directory"))?,
        stdio: command.stdio.map(|fd| fd.as_fd().as_raw_fd()),
        parent: rustix::process::getpid().as_raw_nonzero().get(),
        failed: Step::Nothing,
        errno: 0,
    };
    let pid =
        vfork(&mut plan).map_err(|error| plain(format!("cannot create a process: {error}")))?;
    let error = io::Error::from_raw_os_error(plan.errno);
    match plan.failed {
        Step::Nothing => Ok(pid),
        Step::Prepare => Err(plain(format!("cannot prepare the process: {error}"))),
        Step::Chdir => Err(plain(format!(
            "cannot enter the directory {}: {error}",
            command.cwd.display()
        ))),
        Step::Exec => Err(Failure {
            tool_missing: matches!(plan.errno, libc::ENOENT | libc::EACCES | libc::ENOTDIR),
            message: format!("cannot execute `{program}`: {error}"),
        }),
    }
}

fn c_strings(texts: impl Iterator<Item = String>) -> Option<Vec<CString>> {
    texts.map(|text| CString::new(text).ok()).collect()
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// The files that `program` may mean, in order, as a shell would look it up.
fn candidates(program: &str, env: &[(String, String)]) -> Option<Vec<CString>> {
    if program.is_empty() || program.contains('/') {
        return Some(vec![CString::new(program).ok()?]);
    }
    let path = env
        .iter()
        .rev()
        .find(|(name, _)| name == "PATH")
        .map(|(_, value)| value.as_str());
    c_strings(
        path.unwrap_or("/usr/local/bin:/usr/bin:/bin")
            .split(':')
            .map(|folder| {
                let folder = if folder.is_empty() { "." } else { folder };
                format!("{folder}/{program}")
            }),
    )
}

/// Runs [`child`] in a new process that borrows this one's memory, and waits until it has called
/// exec or failed.
#[allow(unsafe_code)]
fn vfork(plan: &mut Plan) -> io::Result<u32> {
    const STACK_BYTES: usize = 64 << 10;
    let mut stack = vec![0_u8; STACK_BYTES];
    // SAFETY: CLONE_VFORK suspends this (only) thread until the child has exec'd or exited, so the
    // stack and the plan outlive their use and nobody else touches them. The stack grows down from
    // an address aligned to 16 bytes inside the vector. All signals are blocked meanwhile: no
    // handler runs on the shared memory.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        let mut old = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, &mut old);
        let top = stack.as_mut_ptr().add(STACK_BYTES);
        let top = top.sub(top as usize % 16);
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let pid = libc::clone(child, top.cast(), flags, std::ptr::from_mut(plan).cast());
        let error = io::Error::last_os_error();
        libc::sigprocmask(libc::SIG_SETMASK, &old, std::ptr::null_mut());
        u32::try_from(pid).map_err(|_| error)
    }
}

/// The child, on the borrowed stack.
#[allow(unsafe_code)]
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `plan` is the exclusive reference that `vfork` passed; see there.
    unsafe {
        let plan = &mut *plan.cast::<Plan>();
        plan.failed = become_command(plan);
        plan.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// The child's way to exec. Calls nothing but the kernel; returns only on failure, with `errno`.
///
/// # Safety
/// The plan's pointers must be valid and end with a null pointer.
#[allow(unsafe_code)]
unsafe fn become_command(plan: &Plan) -> Step {
    // SAFETY: every call is async-signal-safe, and its pointers are the plan's or local.
    unsafe {
        libc::setsid();
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
            return Step::Prepare;
        }
        // Had the shim died before that call, nobody would send the signal.
        if libc::getppid() != plan.parent {
            return Step::Prepare;
        }
        // By the bare call: the C library keeps two signals to itself, which may be ignored too.
        let default = [0_u64; 4];
        for signal in 1..=64 {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                0_usize,
                8_usize,
            );
        }
        for (fd, target) in plan.stdio.iter().zip(0..) {
            if libc::dup2(*fd, target) == -1 {
                return Step::Prepare;
            }
        }
        if libc::chdir(plan.cwd.as_ptr()) == -1 {
            return Step::Chdir;
        }
        let none = 0_u64;
        let how = libc::SIG_SETMASK;
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            how,
            &raw const none,
            0_usize,
            8_usize,
        );
        let mut errno = libc::ENOENT;
        for candidate in &plan.candidates {
            libc::execve(candidate.as_ptr(), plan.argv.as_ptr(), plan.env.as_ptr());
            match *libc::__errno_location() {
                // Look on, but remember that there was one that may not be executed.
                libc::EACCES => errno = libc::EACCES,
                libc::ENOENT | libc::ENOTDIR => {}
                other => {
                    errno = other;
                    break;
                }
            }
        }
        *libc::__errno_location() = errno;
        Step::Exec
    }
}
