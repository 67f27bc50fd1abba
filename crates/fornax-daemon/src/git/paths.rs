//! Which paths use a filter that may not run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;

use super::Git;
use super::error::{GitError, Operation};
use super::filters::FilterCommand;
use super::process::{Deadline, Network};
use super::repository::Repository;
use super::status::STATUS_TIMEOUT;
use super::subcommand::Subcommand;

/// The most that is read of a list of paths.
const PATHS_MAX_BYTES: usize = 64 * 1024 * 1024;

/// The paths of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathList<'a> {
    /// Those of the index.
    Index,
    /// Those of the index, and those that are not ignored and could be added.
    WorkTree,
    /// Those of a commit.
    Commit(&'a str),
}

impl Repository {
    /// The paths that use a filter that may not run, with a command of that filter.
    pub fn untrusted_paths(
        &self,
        list: PathList<'_>,
    ) -> Result<BTreeMap<Vec<u8>, &FilterCommand>, GitError> {
        if self.filters().are_all_trusted() {
            return Ok(BTreeMap::new());
        }
        let (lister, attributes) = match list {
            PathList::Index => (Subcommand::ListIndex, Subcommand::FiltersOfWorkTree),
            PathList::WorkTree => (Subcommand::ListWorkTree, Subcommand::FiltersOfWorkTree),
            PathList::Commit(_) => (Subcommand::ListIndex, Subcommand::FiltersOfIndex),
        };
        let mut env: Option<OsString> = None;
        if let PathList::Commit(commit) = list {
            // The attributes of the files that a check-out would write: an index of its own has them.
            let index = self.overlay().scratch("index");
            self.call(Subcommand::ReadTree)
                .env("GIT_INDEX_FILE", &index)
                .argument(commit)
                .output(self.deadline())?;
            env = Some(index.into_os_string());
        }
        let call = |subcommand| {
            let call = self.call(subcommand).stdout_max_bytes(PATHS_MAX_BYTES);
            match &env {
                Some(index) => call.env("GIT_INDEX_FILE", index),
                None => call,
            }
        };
        let paths = call(lister).output(self.deadline())?;
        let input = self.overlay().scratch("paths");
        std::fs::write(&input, paths)?;
        let found = call(attributes)
            .stdin(File::open(&input)?)
            .output(self.deadline())?;
        let mut fields = found.split(|byte| *byte == 0);
        let mut untrusted = BTreeMap::new();
        // Path, attribute, value. A filter may have the name "set" or "unspecified"; then every path
        // with such a value counts.
        while let (Some(path), Some(_), Some(name)) = (fields.next(), fields.next(), fields.next())
        {
            if let Some(filter) = self.filters().untrusted(name) {
                untrusted.insert(path.to_vec(), filter);
            }
        }
        Ok(untrusted)
    }

    /// Refuses an operation on paths of which one uses a filter that may not run.
    pub fn require_trusted_filters(
        &self,
        operation: Operation,
        list: PathList<'_>,
    ) -> Result<(), GitError> {
        match self.untrusted_paths(list)?.pop_first() {
            None => Ok(()),
            Some((path, filter)) => Err(GitError::UntrustedFilter {
                operation,
                path: String::from_utf8_lossy(&path).into_owned(),
                filter: filter.clone(),
            }),
        }
    }
}

impl Git {
    /// Refuses to save (add, stash, commit) the work tree of a directory if one of its paths uses a
    /// filter that may not run: the object store would get what the filter takes out.
    ///
    /// # Errors
    /// [`GitError::UntrustedFilter`] with the first of these paths, and what goes wrong with git.
    pub fn check_save(&self, dir: &std::path::Path) -> Result<(), GitError> {
        let deadline = Deadline::after(STATUS_TIMEOUT);
        let repository = Repository::open(dir, &*self.trust, Network::Off, deadline)?;
        repository.require_trusted_filters(Operation::Save, PathList::WorkTree)
    }
}
