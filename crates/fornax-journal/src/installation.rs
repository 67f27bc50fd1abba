//! What binds a project's journals to one installation of Fornax: a key, and a folder in its state
//! directory that holds what must not lie in the project.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::binding::{Binding, Exclusion};
use crate::counters;
use crate::disk;
use crate::error::{At, JournalError};
use crate::key::Key;
use crate::project::Project;

/// The file that holds where the journals of a project end.
pub(crate) const HEADS: &str = "heads";

/// How many runs are tried for a proof: any of them may be damaged.
const PROOFS_MAX: usize = 8;

/// The largest file of settings that is read, in bytes.
const SETTINGS_MAX_BYTES: u64 = 64 * 1024;

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

    /// The text of a small file of settings of a project; none where there is no such file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_settings(
        &self,
        project_key: u64,
        name: &str,
    ) -> Result<Option<String>, JournalError> {
        let path = self.project_dir(project_key).join(name);
        match disk::read_text(&path, SETTINGS_MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => text.at("read", &path).map(Some),
        }
    }

    /// Replaces a small file of settings of a project, durably.
    ///
    /// # Errors
    /// When it cannot be written; then the file is as it was.
    pub fn write_settings(
        &self,
        project_key: u64,
        name: &str,
        text: &str,
    ) -> Result<(), JournalError> {
        let path = self.create_project_dir(project_key)?.join(name);
        disk::replace_durably(&path, text.as_bytes()).at("write", &path)
    }

    /// Gives a project that begins anew the run numbers that follow those of the project that was in its
    /// place: a number that a person may have written down never names two runs.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn inherit_numbers(&self, from: u64, to: u64) -> Result<(), JournalError> {
        let to = self.create_project_dir(to)?;
        counters::inherit(&self.project_dir(from), &to)
    }

    /// Whether this installation has begun a run of the project with this key.
    #[must_use]
    pub fn knows_runs(&self, project_key: u64) -> bool {
        let heads = self.project_dir(project_key).join(HEADS);
        heads.metadata().is_ok_and(|meta| meta.len() > 0)
    }

    /// Whether one of a project's newest runs proves that this installation wrote it. Tells a project
    /// from one that looks like it.
    ///
    /// # Errors
    /// When the runs cannot be listed.
    pub fn wrote(&self, project: &Project) -> Result<bool, JournalError> {
        let binding = Binding::open(self, project.key()?)?;
        let runs = project.runs()?.into_iter();
        let mut own = runs.filter(|&run| binding.heads.get(run).is_some());
        let proves = |run| match project.read_own_run(&binding, run) {
            Ok(Ok(_)) => true,
            Ok(Err(Exclusion::Restored { found, .. })) => found > 0,
            Ok(Err(Exclusion::Foreign | Exclusion::Damaged(_))) | Err(_) => false,
        };
        Ok(own.by_ref().take(PROOFS_MAX).any(proves))
    }
}
