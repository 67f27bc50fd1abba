//! The daemon's end of the fork server: starts it, hands it tasks, and starts it again.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Child;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::server::STATE_ARG;
use crate::spec::TaskSpec;
use crate::wire::send_spec;

/// How long the fork server may take to end once its connection is closed.
const END_WITHIN: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// The process that shims are forked from.
pub struct ForkServer {
    argv: Vec<OsString>,
    live: Option<(OwnedFd, Child)>,
}

impl ForkServer {
    /// Starts the program `argv` as the fork server of the installation whose state is in `state_dir`.
    ///
    /// # Errors
    /// When it cannot be executed.
    pub fn new(mut argv: Vec<OsString>, state_dir: &Path) -> io::Result<ForkServer> {
        argv.extend([STATE_ARG.into(), state_dir.into()]);
        let mut server = ForkServer { argv, live: None };
        server.start()?;
        Ok(server)
    }

    /// Has a shim forked for `spec` and returns the connection to it.
    ///
    /// # Errors
    /// When there is no fork server and none can be started, or it does not take the task.
    pub fn start_shim(&mut self, spec: &TaskSpec) -> io::Result<OwnedFd> {
        let text = serde_json::to_vec(spec)?;
        let (ours, shims) = pair()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        rustix::io::ioctl_fionbio(&shims, true)?;
        if let Some((server, child)) = &self.live {
            resume(child);
            match send_spec(server, &text, &shims) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                Err(_) => self.end(),
                Ok(()) => return Ok(ours),
            }
        }
        // It has died, or this is the first task after it could not be started.
        let server = self.start()?;
        send_spec(server, &text, &shims)?;
        Ok(ours)
    }

    fn start(&mut self) -> io::Result<&OwnedFd> {
        let (ours, its) = pair()?;
        let (program, args) = self.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        // Shims have no use for our environment, and must not be taken for a task's processes by
        // the marks in it.
        let child = std::process::Command::new(program)
            .args(args)
            .env_clear()
            .stdin(its)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let (fd, _) = self.live.insert((ours, child));
        Ok(fd)
    }

    fn end(&mut self) {
        if let Some((fd, mut child)) = self.live.take() {
            drop(fd);
            resume(&child);
            // It ends when the connection does, unless something keeps it stopped. Shims do not need it.
            if !ends_within(&child, END_WITHIN) {
                let _ = child.kill();
            }
            // Not waiting would leave a zombie.
            let _ = child.wait();
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Continues the fork server, which a task may have stopped: it has the same user. A running process does
/// not notice.
fn resume(child: &Child) {
    // It is our child and was not waited for: its number is its own. One that has ended needs nothing.
    let _ = kill_process(Pid::from_child(child), Signal::CONT);
}

/// Whether a process ends in time.
fn ends_within(child: &Child, limit: Timespec) -> bool {
    let Ok(process) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else {
        return false;
    };
    let mut ends = [PollFd::new(&process, PollFlags::IN)];
    matches!(poll(&mut ends, Some(&limit)), Ok(ended) if ended > 0)
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}
