//! Tasks that a version before proofs (protocol 1) started: the only place that knows of them.
//!
//! Their shims answer no challenge, their records have no proof, and their processes are marked with
//! the folder's path alone. They are known by the folder's lock and `task.json`, and only where the
//! caller says that the task can be one of them ([`TaskSpec::accept_unproved`]).
//!
//! [`TaskSpec::accept_unproved`]: crate::TaskSpec::accept_unproved

use std::io;
use std::os::fd::OwnedFd;

use crate::look::{Search, task_file};
use crate::place::FileId;
use crate::procs::{Identity, Marks};
use crate::shims;
use crate::spec::TaskSpec;

/// The shim of protocol 1 that holds the folder's lock. Where something listens on the socket, it must
/// be the process `peer`.
pub fn shim(
    search: &Search<'_>,
    dir: &OwnedFd,
    folder: FileId,
    peer: Option<u32>,
) -> io::Result<Option<Identity>> {
    if !search.spec.accept_unproved {
        return Ok(None);
    }
    let Ok(Some(file)) = task_file(dir)? else {
        return Ok(None);
    };
    let shim = file.shim;
    let is_it = file.protocol.is_none()
        && file.boot_id == search.boot_id
        && peer.is_none_or(|peer| peer == shim.pid)
        && shims::lock_holder(folder) == Some(shim.pid)
        && shims::names_no_state(shim.pid)
        && shim.open().is_some();
    Ok(is_it.then_some(shim))
}

/// Further marks by which the processes of a dead shim are known.
pub fn marks(spec: &TaskSpec) -> Option<Marks> {
    spec.accept_unproved
        .then(|| Marks::by_path(&spec.task_id, &spec.dir))
}
