//! A second sign, beside the lock file, that a daemon lives: it survives the deletion of the state
//! directory.
//!
//! The sign is an abstract Unix socket whose name is made of the user and the path of the state
//! directory. Abstract sockets have no permissions and are shared by all who share the network
//! namespace, so a name that is taken proves nothing: only a holder with our user, in our mount
//! namespace, is a daemon of ours. Where somebody else has the name, the next of a few names serves.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use fornax_core::error::{Error, ErrorKind};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::Pid;
use sha2::{Digest, Sha256};

use crate::home::storage;

/// How many names are tried. More would have to be taken by others to make the sign useless, and then
/// the lock file is still there.
const NAMES: u8 = 4;

/// The sign; it is gone when this is dropped or when the process dies.
#[derive(Debug)]
pub struct Instance {
    listener: Option<UnixListener>,
}

impl Instance {
    /// Takes the sign for the daemon of a state directory.
    ///
    /// # Errors
    /// `Conflict` where a daemon of the same directory lives, even if the directory was deleted since
    /// it started; `Storage`.
    pub fn claim(dir: &Path) -> Result<Instance, Error> {
        if let Some(pid) = holder(dir) {
            return Err(conflict(dir, pid));
        }
        for number in 0..NAMES {
            let address = SocketAddr::from_abstract_name(name(dir, number))
                .and_then(|address| UnixListener::bind_addr(&address));
            match address {
                Ok(listener) => {
                    return Ok(Instance {
                        listener: Some(listener),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(storage("claim", dir, &error)),
            }
        }
        tracing::warn!(
            "other users have taken the names of this daemon's sign: only the lock file is left"
        );
        Ok(Instance { listener: None })
    }

    /// Where those connect who look who holds the sign; a connection is all that they need.
    pub(crate) fn listener(&self) -> io::Result<Option<tokio::net::UnixListener>> {
        let Some(listener) = &self.listener else {
            return Ok(None);
        };
        let listener = listener.try_clone()?;
        listener.set_nonblocking(true)?;
        tokio::net::UnixListener::from_std(listener).map(Some)
    }
}

/// The process of the daemon that lives with a state directory at this path, if there is one.
#[must_use]
pub fn holder(dir: &Path) -> Option<Pid> {
    (0..NAMES).find_map(|number| holder_of(&name(dir, number)))
}

fn conflict(dir: &Path, pid: Pid) -> Error {
    let what = format!(
        "a daemon of {} is running already: process {pid}",
        dir.display()
    );
    Error::new(ErrorKind::Conflict, what)
        .with_help("`fornax status` shows it, `fornax down` ends it (tasks live on)")
}

/// A name has no zero bytes, so that it is the same for whoever lists sockets.
fn name(dir: &Path, number: u8) -> Vec<u8> {
    let digest = Sha256::digest(dir.as_os_str().as_bytes());
    let digest: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let user = rustix::process::geteuid().as_raw();
    format!("fornax-daemon-{user}-{digest}-{number}").into_bytes()
}

fn holder_of(name: &[u8]) -> Option<Pid> {
    let address = SocketAddrUnix::new_abstract_name(name).ok()?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).ok()?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => {}
        // Nobody has it; or somebody who lets nobody in, as no daemon does.
        Err(_) => return None,
    }
    let peer = peer(&socket)?;
    (peer.user == rustix::process::geteuid().as_raw() && is_in_our_mounts(peer.pid))
        .then_some(peer.pid)
}

/// The process at the other end of a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// The process that listens, or that connected.
    pub pid: Pid,
    /// Its user.
    pub user: u32,
}

/// Who is at the other end; none where the process is of another process namespace.
pub fn peer(socket: impl std::os::fd::AsFd) -> Option<Peer> {
    let peer = rustix::net::sockopt::socket_peercred(socket).ok()?;
    Some(Peer {
        pid: peer.pid,
        user: peer.uid.as_raw(),
    })
}

/// A path means the same to a process only in the same mount namespace. Where that cannot be seen, it
/// is taken for the same.
fn is_in_our_mounts(pid: Pid) -> bool {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt"));
    match (of("self"), of(&pid.to_string())) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_of_a_path_is_refused_until_the_first_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state");
        assert_eq!(holder(&dir), None);
        let first = Instance::claim(&dir).unwrap();
        // The directory was never there: the sign needs only its path.
        let error = Instance::claim(&dir).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(
            error.message.contains(&std::process::id().to_string()),
            "{error}"
        );
        Instance::claim(&temp.path().join("other")).unwrap();
        drop(first);
        Instance::claim(&dir).unwrap();
    }
}
