//! Where something is: the identity of files and of the state directory.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A file or a folder, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// The device that it is on.
    pub device: u64,
    /// Its inode on that device.
    pub inode: u64,
}

impl FileId {
    /// The identity of an open file.
    ///
    /// # Errors
    /// When the file system fails.
    pub(crate) fn of(file: impl AsFd) -> io::Result<FileId> {
        let stat = rustix::fs::fstat(file)?;
        Ok(FileId {
            device: stat.st_dev,
            inode: stat.st_ino,
        })
    }
}

/// The directory in which an installation keeps its own state, such as the key that its tasks' keys
/// are derived from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateDir {
    /// Its path. What is not UTF-8 in it is replaced.
    pub path: String,
    /// Which directory it is.
    #[serde(flatten)]
    pub id: FileId,
}

impl StateDir {
    /// Looks at the directory.
    ///
    /// # Errors
    /// When it is not there or cannot be looked at.
    pub(crate) fn at(path: &Path) -> io::Result<StateDir> {
        let path = fs::canonicalize(path)?;
        let meta = fs::metadata(&path)?;
        Ok(StateDir {
            path: path.to_string_lossy().into_owned(),
            id: FileId {
                device: meta.dev(),
                inode: meta.ino(),
            },
        })
    }

    /// Whether both are the same: at the same path, where it may have been restored from a copy, or
    /// the same directory, which may have been moved.
    pub(crate) fn is_same(&self, other: &StateDir) -> bool {
        self.path == other.path || self.id == other.id
    }
}
