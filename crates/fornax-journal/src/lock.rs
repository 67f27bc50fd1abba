//! The lock that makes one process the writer of a project.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::PathBuf;

use crate::disk;
use crate::error::{At, JournalError};

/// Held while it lives. The system lets it go when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    pub(crate) fn take(path: PathBuf) -> Result<Lock, JournalError> {
        let mut file = disk::open_append(&path, true).at("open", &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = disk::read_text(&path, 32)
                    .ok()
                    .and_then(|text| text.trim().parse().ok());
                return Err(JournalError::Locked { path, pid });
            }
            Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
        }
        // Only for the message above: the lock itself is the system's, and a full disk must not
        // keep a project from opening.
        let _ = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Lock { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A number left behind would at worst be named in a message too many.
        let _ = self.file.set_len(0);
    }
}
