//! The fork server: `fornax __shim`.
//!
//! Executing a large binary for every task would cost more than many a task. So the daemon starts
//! this one small process, which has everything ready that a shim needs, and forks a shim from it
//! for each task. It has one thread and knows no task; when it dies, its shims live on.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::place::StateDir;
use crate::procs::boot_id;
use crate::shim;
use crate::sys::{self, Fork};
use crate::wire::{Lines, Word, receive_spec};

/// The argument that makes the binary a fork server.
pub const SHIM_ARG: &str = "__shim";
/// The argument before the path of the state directory. Shims share the fork server's arguments, so
/// whoever looks at a process sees whose shim it is.
pub const STATE_ARG: &str = "--state";
/// The fork server's name in lists of processes, where a shim has its task's id.
pub const SERVER_NAME: &str = "fornax-fork";

/// Serves as the fork server of the daemon at the other end of standard input, and as the shims
/// that are forked from it. The binary's `main` calls this first thing, when its first argument is
/// [`SHIM_ARG`]: before any thread is started and before the arguments are parsed.
pub fn shim_main() -> ! {
    sys::exit_now(i32::from(serve().is_err()))
}

fn serve() -> io::Result<()> {
    let state = StateDir::at(&state_dir()?)?;
    let daemon = settle_down()?;
    let boot_id = boot_id()?;
    while let Some((spec, control)) = receive_spec(&daemon)? {
        match sys::fork() {
            Ok(Fork::Child) => {
                drop(daemon);
                sys::ignore_children(false);
                shim::run(spec, control, &boot_id, &state);
                sys::exit_now(0);
            }
            Ok(Fork::Parent) => {}
            Err(error) => {
                let reason = format!("cannot create a process: {error}");
                // A daemon that is gone will ask again when it is back.
                Lines::new(control).send(&Word::Refused { reason });
            }
        }
    }
    Ok(())
}

/// The state directory that the arguments name.
fn state_dir() -> io::Result<PathBuf> {
    let mut args = std::env::args_os().skip_while(|arg| arg != STATE_ARG);
    let dir = args.nth(1).map(PathBuf::from);
    dir.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no state directory is named"))
}

/// Lets go of everything that was inherited from the daemon, but for the connection to it.
fn settle_down() -> io::Result<OwnedFd> {
    sys::close_from(3)?;
    let daemon = sys::take_stdin()?;
    // A person who calls this by hand has no socket there.
    rustix::net::sockopt::socket_type(&daemon)?;
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    for target in 0..3 {
        sys::replace_stdio(&null, target)?;
    }
    // Away from the daemon's terminal, its signals and its directory. Already being the leader of
    // a session is as good.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    sys::ignore_children(true);
    // Specifications hold keys and secrets; shims inherit this.
    sys::hide()?;
    if let Ok(name) = CString::new(SERVER_NAME) {
        // For lists of processes.
        let _ = rustix::thread::set_name(&name);
    }
    Ok(daemon)
}
