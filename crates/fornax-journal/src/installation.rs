//! What binds a project's journals to one installation of Fornax: a key, and a folder in its state
//! directory that holds what must not lie in the project.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::error::{At, JournalError};
use crate::key::Key;

/// One installation: a person's state directory.
#[derive(Debug, Clone)]
pub struct Installation {
    key: Key,
    dir: PathBuf,
}

impl Installation {
    /// The installation with this key, which keeps what it knows of projects in `dir`.
    #[must_use]
    pub fn new(key: Key, dir: impl Into<PathBuf>) -> Installation {
        Installation {
            key,
            dir: dir.into(),
        }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The folder for a project, by the project's key. It may not exist.
    #[must_use]
    pub fn project_dir(&self, project_key: u64) -> PathBuf {
        self.dir.join(format!("{project_key:016x}"))
    }

    /// The same; creates it where it is missing.
    pub(crate) fn create_project_dir(&self, project_key: u64) -> Result<PathBuf, JournalError> {
        let dir = self.project_dir(project_key);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .at("create", &dir)?;
        Ok(dir)
    }
}
