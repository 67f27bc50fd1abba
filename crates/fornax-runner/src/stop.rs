//! Stopping a task by its folder, without a supervisor that knows it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use crate::folder::{address, open_dir, socket};
use crate::key::TaskKey;
use crate::place::{FileId, StateDir};
use crate::procs::{Identity, Marks};
use crate::proof::ShimProof;
use crate::shims;
use crate::sweep::end_from_outside;
use crate::wire::{Lines, Wish, Word};

/// How long a shim may take to prove itself, and once more after it was sent SIGCONT.
const PROVE_WITHIN: Duration = Duration::from_secs(5);

/// What became of the request to stop a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOutcome {
    /// No shim runs for the folder.
    NotRunning,
    /// The shim was told, and stops the task as it always does.
    Stopping,
    /// The shim did not answer: the task and the shim were killed.
    Killed,
}

/// Stops the task whose folder is `dir`, if its shim is one of the installation's whose state is in
/// `state_dir`, and proves with `key` or by the kernel's word that this folder is its task's. Shims of
/// protocol 1 are known by the folder's lock. Waits up to ten seconds for the proof.
///
/// # Errors
/// `PermissionDenied` where something runs that is not this folder's shim: it is left alone. Others
/// where the folder or /proc cannot be read.
pub fn stop_task(dir: &Path, key: &TaskKey, state_dir: &Path) -> io::Result<StopOutcome> {
    let state = StateDir::at(state_dir)?;
    let open = open_dir(dir)?;
    let folder = FileId::of(&open)?;
    let Some((fd, peer)) = connect(&open)? else {
        return stop_by_lock(folder, &state);
    };
    let mut talk = Talk {
        lines: Lines::new(fd),
        nonce: nonce(),
    };
    let shim = vouched(folder, peer, &state);
    if shim.is_some() && shims::names_no_state(peer) {
        // A shim of protocol 1 reads nothing from a connection that has ended when it accepts it.
        return stop_by_lock(folder, &state);
    }
    talk.lines.send(&Wish::Challenge {
        nonce: talk.nonce.clone(),
    });
    let mut proof = talk.proof(key)?;
    if proof.is_none()
        && let Some(shim) = shim
    {
        shim.signal(Signal::CONT);
        proof = talk.proof(key)?;
    }
    match (proof, shim) {
        (Some(proof), _) => {
            let is_it =
                proof.folder == folder && proof.state.is_same(&state) && proof.shim.pid == peer;
            if !is_it {
                return Err(not_its_shim(dir, peer));
            }
            talk.lines.send(&Wish::Stop);
            Ok(StopOutcome::Stopping)
        }
        (None, Some(shim)) => {
            let task_id = dir.file_name().unwrap_or_default().to_string_lossy();
            end_from_outside(shim, &[Marks::new(&task_id, key, folder)])?;
            Ok(StopOutcome::Killed)
        }
        (None, None) => Err(not_its_shim(dir, peer)),
    }
}

fn not_its_shim(dir: &Path, pid: u32) -> io::Error {
    let text = format!(
        "process {pid} is not the supervisor of the task in {}: it is left alone",
        dir.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// The process `pid`, where it is a shim that holds the folder's lock.
fn vouched(folder: FileId, pid: u32, state: &StateDir) -> Option<Identity> {
    let holds = shims::lock_holder(folder) == Some(pid);
    let is_ours = shims::is_shim_of(pid, state) || shims::names_no_state(pid);
    Identity::of(pid).filter(|_| holds && is_ours)
}

/// A shim whose socket somebody has removed, or that takes no more connections, or that is told nothing
/// by a short connection. A signal means the same to it.
fn stop_by_lock(folder: FileId, state: &StateDir) -> io::Result<StopOutcome> {
    let Some(pid) = shims::lock_holder(folder) else {
        return Ok(StopOutcome::NotRunning);
    };
    let Some(shim) = vouched(folder, pid, state) else {
        let text = format!("process {pid} holds the folder's lock and is no shim of ours");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    };
    shim.signal(Signal::CONT);
    Ok(match shim.signal(Signal::TERM) {
        true => StopOutcome::Stopping,
        false => StopOutcome::NotRunning,
    })
}

/// A connection to what listens in the folder, and its process by the kernel's word.
fn connect(dir: &OwnedFd) -> io::Result<Option<(OwnedFd, u32)>> {
    let fd = socket()?;
    if rustix::net::connect(&fd, &address(dir)?).is_err() {
        return Ok(None);
    }
    let peer = rustix::net::sockopt::socket_peercred(&fd)?.pid;
    let peer = peer.as_raw_nonzero().get().unsigned_abs();
    Ok(Some((fd, peer)))
}

/// A conversation with what listens on a task's socket.
struct Talk {
    lines: Lines,
    nonce: String,
}

impl Talk {
    /// Waits for the answer to the challenge; none where it does not come in time.
    fn proof(&mut self, key: &TaskKey) -> io::Result<Option<ShimProof>> {
        let until = Instant::now() + PROVE_WITHIN;
        loop {
            let (words, open) = self.lines.receive::<Word>();
            let answer = words.into_iter().find_map(|word| match word {
                Word::Proof { nonce, proof } if nonce == self.nonce => Some(proof),
                _ => None,
            });
            if let Some(answer) = answer {
                let proof = ShimProof::open(answer, key, &self.nonce);
                let forged = || {
                    let text = "what listens on the task's socket has not this task's key";
                    io::Error::new(io::ErrorKind::PermissionDenied, text)
                };
                return proof.ok_or_else(forged).map(Some);
            }
            let left = until.saturating_duration_since(Instant::now());
            if !open || left.is_zero() {
                return Ok(None);
            }
            let mut fds = [PollFd::new(&self.lines, PollFlags::IN)];
            // An interruption only means that we look sooner.
            let _ = poll(&mut fds, Timespec::try_from(left).ok().as_ref());
        }
    }
}

/// Random text, to be challenged with.
pub fn nonce() -> String {
    let mut bytes = [0_u8; 16];
    // Sixteen bytes are given whole; a kernel that has pidfds always gives them.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
