//! What is checked out, and whether the work tree differs from it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Git;
use super::error::GitError;
use super::filters::FilterCommand;
use super::paths::PathList;
use super::process::{Deadline, Network};
use super::repository::Repository;
use super::subcommand::Subcommand;

/// How long a look at a repository may take.
pub(super) const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// The most that is read of a status. It is enough to find a change.
const STATUS_MAX_BYTES: usize = 1024 * 1024;

/// The state of a work tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The id of the commit that is checked out; `(initial)` where there is none yet.
    pub commit: String,
    /// Whether the work tree differs from the commit. None where that is not known.
    pub is_dirty: Option<bool>,
    /// Why it is not known.
    pub unknown_reason: Option<String>,
}

impl Git {
    /// Looks at the work tree of a directory. It takes no lock, writes nothing and uses no network.
    ///
    /// # Errors
    /// The directory is in no usable work tree, or git cannot name the commit.
    pub fn status(&self, dir: &Path) -> Result<Status, GitError> {
        let deadline = Deadline::after(STATUS_TIMEOUT);
        let repository = Repository::open(dir, &*self.trust, Network::Off, deadline)?;
        let output = repository
            .call(Subcommand::Status)
            .stdout_max_bytes(STATUS_MAX_BYTES)
            .run(deadline)?;
        let commit = output
            .stdout
            .split(|byte| *byte == 0)
            .find_map(|entry| entry.strip_prefix(b"# branch.oid "));
        let commit = match commit {
            Some(commit) => String::from_utf8_lossy(commit).into_owned(),
            // Objects are missing, and are not fetched for a look.
            None => repository.commit("HEAD").map_err(|_| output.error())?,
        };
        let changes = || match output.status {
            Some(status) if !status.success() => Err(output.error()),
            _ => {
                let untrusted = repository.untrusted_paths(PathList::Index)?;
                Ok(compare(&output.stdout, &untrusted))
            }
        };
        let (is_dirty, unknown_reason) = match changes() {
            Ok(Changes::None) => (Some(false), None),
            Ok(Changes::Some) => (Some(true), None),
            Ok(Changes::Unknown(reason)) => (None, Some(reason)),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(Status {
            commit,
            is_dirty,
            unknown_reason,
        })
    }
}

enum Changes {
    None,
    Some,
    Unknown(String),
}

/// What the entries of a status say about the paths whose filters may run.
fn compare(status: &[u8], untrusted: &BTreeMap<Vec<u8>, &FilterCommand>) -> Changes {
    let mut entries = status.split(|byte| *byte == 0);
    if entries.any(|entry| is_change(entry, untrusted)) {
        return Changes::Some;
    }
    match untrusted.first_key_value() {
        None => Changes::None,
        Some((path, filter)) => Changes::Unknown(format!(
            "{:?} uses the filter {:?} of the repository's own configuration, which is not trusted",
            String::from_utf8_lossy(path),
            filter.name(),
        )),
    }
}

/// Whether an entry is a change for certain. Without the filter of a path, its content cannot be
/// compared; what is staged, its type and its absence can.
fn is_change(entry: &[u8], untrusted: &BTreeMap<Vec<u8>, &FilterCommand>) -> bool {
    match entry {
        [] | [b'#', ..] => false,
        // 1 XY sub mH mI mW hH hI path
        [b'1', b' ', staged, unstaged, ..] => {
            let path = entry.splitn(9, |byte| *byte == b' ').nth(8);
            let is_unknown = path.is_some_and(|path| untrusted.contains_key(path));
            *staged != b'.' || *unstaged != b'M' || !is_unknown
        }
        _ => true,
    }
}
