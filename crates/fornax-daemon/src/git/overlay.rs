//! What stands in for a repository's common directory, so that git does not read its configuration.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::config::Setting;
use super::error::GitError;
use super::filters::Filters;
use super::process::Network;

/// The most entries that a common directory may have.
const ENTRIES_MAX: usize = 1_000;

/// What is not taken over from the common directory: the configuration, what belongs to one worktree,
/// and the hooks.
const LEFT_OUT: [&str; 7] = [
    "HEAD",
    "commondir",
    "config",
    "config.worktree",
    "gitdir",
    "hooks",
    "index",
];

/// A temporary directory that is removed when it is dropped. Only the user can read it.
pub(super) struct Overlay {
    temp: TempDir,
}

impl Overlay {
    /// An overlay with what is allowed of the settings, and with the filters that may run.
    pub fn create(
        common_dir: &Path,
        settings: &[Setting],
        filters: &Filters,
        network: Network,
    ) -> Result<Overlay, GitError> {
        let temp = tempfile::Builder::new().prefix("fornax-git-").tempdir()?;
        let overlay = Overlay { temp };
        std::fs::create_dir(overlay.dir())?;
        for (count, entry) in common_dir.read_dir()?.enumerate() {
            if count == ENTRIES_MAX {
                let reason = format!("{} has too many entries", common_dir.display());
                return Err(GitError::Io(io::Error::other(reason)));
            }
            let name = entry?.file_name();
            // What git is about to write is not there for long.
            let is_lock = name.as_encoded_bytes().ends_with(b".lock");
            if !is_lock && !LEFT_OUT.iter().any(|left_out| name == *left_out) {
                symlink(common_dir.join(&name), overlay.dir().join(&name))?;
            }
        }
        let mut text = Vec::new();
        let allowed = settings
            .iter()
            .filter(|setting| setting.is_allowed(network));
        for setting in allowed.chain(filters.settings()) {
            setting.write_to(&mut text);
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(overlay.dir().join("config"))?;
        file.write_all(&text)?;
        Ok(overlay)
    }

    /// What git uses as the common directory.
    pub fn dir(&self) -> PathBuf {
        self.temp.path().join("common")
    }

    /// A path for a file that lasts as long as the overlay.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }
}
