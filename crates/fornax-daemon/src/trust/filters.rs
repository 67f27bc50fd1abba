//! The filters of git that a repository's own configuration defines, and which of them a person has accepted.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fornax_core::error::Error;
use serde::{Deserialize, Serialize};

use super::Trust;
use super::store::{Decisions, TrustedFilter};
use crate::git::{self, FilterCommand, FilterTrust, GitError};
use crate::secret::hex;

/// A command of a filter, and whether it may run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterReview {
    /// The name by which attributes refer to the filter.
    pub name: String,
    /// `clean`, `smudge` or `process`.
    pub kind: String,
    /// The command, as the shell gets it. An empty one turns the user's own filter off.
    pub command: String,
    /// What identifies the three.
    pub digest: String,
    /// Whether a person has accepted it.
    pub is_trusted: bool,
    /// The command that a person accepted before, where this is another one.
    pub trusted_before: Option<String>,
}

impl FilterReview {
    pub(super) fn new(filter: &FilterCommand, decisions: &Decisions) -> FilterReview {
        let (name, kind) = (filter.name(), filter.kind().to_string());
        let digest = hex(&filter.digest());
        let is_trusted = decisions.trusts_filter(&digest);
        let before = decisions.filters.iter().rev();
        let mut before = before.filter(|before| before.name == name && before.kind == kind);
        FilterReview {
            trusted_before: match is_trusted {
                true => None,
                false => before.next().map(|before| before.command.clone()),
            },
            command: filter.command(),
            name,
            kind,
            digest,
            is_trusted,
        }
    }
}

impl From<&FilterCommand> for TrustedFilter {
    fn from(filter: &FilterCommand) -> TrustedFilter {
        TrustedFilter {
            digest: hex(&filter.digest()),
            name: filter.name(),
            kind: filter.kind().to_string(),
            command: filter.command(),
        }
    }
}

/// The filters that the repository of a project defines. None where there is no repository; where git cannot list
/// them, none of them runs.
pub(super) fn of_project(root: &Path) -> Vec<FilterCommand> {
    if !root.ancestors().any(|dir| dir.join(".git").exists()) {
        return Vec::new();
    }
    match git::repository_filters(root) {
        Ok(filters) => filters,
        Err(GitError::NotInstalled | GitError::NoWorkTree { .. }) => Vec::new(),
        Err(error) => {
            tracing::warn!(dir = %root.display(), %error, "the filters of a repository are not known");
            Vec::new()
        }
    }
}

/// Trusts the filters of a project's own repository that a person has accepted for the project.
pub(super) struct ProjectFilters {
    trust: Trust,
    root: PathBuf,
    common_dir: OnceLock<PathBuf>,
}

impl ProjectFilters {
    pub fn new(trust: Trust, root: &Path) -> ProjectFilters {
        ProjectFilters {
            trust,
            root: root.to_owned(),
            common_dir: OnceLock::new(),
        }
    }

    fn common_dir(&self) -> Option<&Path> {
        if self.common_dir.get().is_none() {
            let found = git::common_dir(&self.root).ok()?.canonicalize().ok()?;
            // It may have been found by another thread meanwhile.
            let _ = self.common_dir.set(found);
        }
        self.common_dir.get().map(PathBuf::as_path)
    }

    fn decisions(&self) -> Result<Decisions, Error> {
        Ok(self.trust.store.decisions(&self.root)?.unwrap_or_default())
    }
}

impl FilterTrust for ProjectFilters {
    fn is_trusted(&self, common_dir: &Path, filter: &FilterCommand) -> bool {
        let digest = hex(&filter.digest());
        let decides = |decisions: Decisions| decisions.trusts_filter(&digest);
        // A command may name a file of the repository, so the same command in another one is another.
        self.decisions().is_ok_and(decides)
            && common_dir
                .canonicalize()
                .is_ok_and(|dir| self.common_dir() == Some(&dir))
    }
}
