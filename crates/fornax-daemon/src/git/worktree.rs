//! Worktrees: added with their files, and removed.

use std::path::Path;
use std::time::Duration;

use super::Git;
use super::error::{GitError, Operation};
use super::paths::PathList;
use super::process::{Call, Deadline, Network};
use super::repository::{Place, Repository};
use super::subcommand::Subcommand;

/// How long a check-out or a removal may take. Objects may have to be fetched.
const CHECK_OUT_TIMEOUT: Duration = Duration::from_secs(15 * 60);

impl Git {
    /// Adds a worktree at `path`, which must not exist, and checks out the commit that `revision` names
    /// in the repository of `dir`. Missing objects of a partial clone are fetched.
    ///
    /// # Errors
    /// [`GitError::UntrustedFilter`] if a path of the commit uses a filter that may not run, and what
    /// goes wrong with git. No worktree is left behind then.
    pub fn add_worktree(&self, dir: &Path, path: &Path, revision: &str) -> Result<(), GitError> {
        let deadline = Deadline::after(CHECK_OUT_TIMEOUT);
        let repository = Repository::open(dir, &*self.trust, Network::On, deadline)?;
        let commit = repository.commit(revision)?;
        repository.require_trusted_filters(Operation::CheckOut, PathList::Commit(&commit))?;
        let work_tree = repository.place().work_tree.clone();
        Call::new(Subcommand::AddWorktree, &work_tree)
            .argument(path)
            .argument(&commit)
            .output(deadline)?;
        let checked_out = Place::find(path, deadline).and_then(|place| {
            repository
                .with_place(place)
                .call(Subcommand::CheckOut)
                .output(deadline)
        });
        if let Err(error) = checked_out {
            // The first error says more than one of the removal.
            let _ = self.remove_worktree(&work_tree, path);
            return Err(error);
        }
        Ok(())
    }

    /// Removes the worktree at `path` with all its files, changed or not.
    ///
    /// # Errors
    /// What goes wrong with git.
    pub fn remove_worktree(&self, dir: &Path, path: &Path) -> Result<(), GitError> {
        let deadline = Deadline::after(CHECK_OUT_TIMEOUT);
        let place = Place::find(dir, deadline)?;
        Call::new(Subcommand::RemoveWorktree, &place.work_tree)
            .argument(path)
            .output(deadline)?;
        Ok(())
    }
}
