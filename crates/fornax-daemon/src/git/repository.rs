//! The repository of a directory.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::config::settings;
use super::error::GitError;
use super::filters::{self, FilterCommand, FilterTrust, Filters};
use super::overlay::Overlay;
use super::process::{Call, Deadline, Network};
use super::status::STATUS_TIMEOUT;
use super::subcommand::Subcommand;

/// The longest name of a revision, in bytes.
const REVISION_MAX_BYTES: usize = 256;

/// Where the parts of a repository are. All paths are absolute.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory of this worktree's `HEAD` and index.
    pub git_dir: PathBuf,
    /// The directory of the objects, the refs and the configuration.
    pub common_dir: PathBuf,
    /// The top of the work tree.
    pub work_tree: PathBuf,
}

impl Place {
    /// Finds the repository of a directory. Git refuses one that another user owns.
    pub fn find(dir: &Path, deadline: Deadline) -> Result<Place, GitError> {
        let no_work_tree = |reason: String| GitError::NoWorkTree {
            dir: dir.to_owned(),
            reason,
        };
        let output = Call::new(Subcommand::FindRepository, dir).run(deadline)?;
        if !output.status.is_some_and(|status| status.success()) {
            return Err(no_work_tree(output.message()));
        }
        // A line break in a path makes more lines than there are paths.
        let mut lines = output.stdout.split(|byte| *byte == b'\n');
        let mut path = || {
            PathBuf::from(OsString::from_vec(
                lines.next().unwrap_or_default().to_vec(),
            ))
        };
        let place = Place {
            git_dir: path(),
            common_dir: path(),
            work_tree: path(),
        };
        if lines.next() != Some(b"") || lines.next().is_some() {
            let reason =
                "the path of the repository contains a line break, or git is older than 2.31";
            return Err(no_work_tree(reason.to_owned()));
        }
        // A repository's own setting may name any directory as its work tree.
        let has_link = place.work_tree.join(".git").symlink_metadata().is_ok();
        let real = dir.canonicalize()?;
        if !has_link || !real.starts_with(&place.work_tree) {
            let reason = "the repository's configuration names another work tree";
            return Err(no_work_tree(reason.to_owned()));
        }
        Ok(place)
    }
}

/// The commands of filters that the repository of a directory defines in its own configuration. Runs none of them.
///
/// # Errors
/// The directory is in no usable work tree, or git cannot list the settings.
pub fn repository_filters(dir: &Path) -> Result<Vec<FilterCommand>, GitError> {
    let deadline = Deadline::after(STATUS_TIMEOUT);
    let place = Place::find(dir, deadline)?;
    let settings = settings(&place.work_tree, deadline)?;
    Ok(filters::of_repository(&settings))
}

/// The directory of the objects, the refs and the configuration of a directory's repository.
///
/// # Errors
/// The directory is in no usable work tree.
pub fn common_dir(dir: &Path) -> Result<PathBuf, GitError> {
    Ok(Place::find(dir, Deadline::after(STATUS_TIMEOUT))?.common_dir)
}

/// A repository whose own configuration has no effect beyond an allow-list.
pub(super) struct Repository {
    place: Place,
    overlay: Overlay,
    filters: Filters,
    network: Network,
    deadline: Deadline,
}

impl Repository {
    /// Opens the repository of a directory for one operation.
    pub fn open(
        dir: &Path,
        trust: &dyn FilterTrust,
        network: Network,
        deadline: Deadline,
    ) -> Result<Repository, GitError> {
        let place = Place::find(dir, deadline)?;
        let settings = settings(&place.work_tree, deadline)?;
        let filters = Filters::new(&settings, &place.common_dir, trust);
        let overlay = Overlay::create(&place.common_dir, &settings, &filters, network)?;
        Ok(Repository {
            place,
            overlay,
            filters,
            network,
            deadline,
        })
    }

    /// The same configuration for another worktree of the repository.
    pub fn with_place(self, place: Place) -> Repository {
        Repository { place, ..self }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    pub fn filters(&self) -> &Filters {
        &self.filters
    }

    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// A call that reads the overlay instead of the repository's configuration.
    pub fn call(&self, subcommand: Subcommand) -> Call<'_> {
        Call::new(subcommand, &self.place.work_tree)
            .network(self.network)
            .env("GIT_DIR", &self.place.git_dir)
            .env("GIT_COMMON_DIR", self.overlay.dir())
            .env("GIT_WORK_TREE", &self.place.work_tree)
    }

    /// The full id of the commit that a revision names.
    pub fn commit(&self, revision: &str) -> Result<String, GitError> {
        let invalid = || GitError::InvalidRevision(revision.chars().take(64).collect());
        let is_valid = !revision.is_empty()
            && revision.len() <= REVISION_MAX_BYTES
            && !revision.starts_with('-')
            && !revision
                .chars()
                .any(|c| c.is_control() || c.is_whitespace());
        if !is_valid {
            return Err(invalid());
        }
        let output = self
            .call(Subcommand::ResolveCommit)
            .argument(format!("{revision}^{{commit}}"))
            .run(self.deadline)?;
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if output.status.is_some_and(|status| status.success()) && is_id {
            Ok(id)
        } else {
            Err(invalid())
        }
    }
}
