//! Every call of `git` that Fornax makes.
//!
//! A repository's configuration can name programs: filters, hooks, a file system monitor, transports,
//! credential helpers and more. Git runs them for whoever works in the repository, so a clone or an
//! agent that may only write files could execute commands through Fornax. Three rules prevent that:
//!
//! 1. **Git does not read the repository's configuration where a program of it could run.** An
//!    [`overlay`] stands in for the repository's common directory: links to everything in it, except
//!    the configuration and the hooks. Its own configuration holds the settings of an allow-list and
//!    the filters that may run. It is written once for each operation, so a configuration that changes
//!    meanwhile has no effect, and a trusted filter runs exactly the command that was trusted.
//! 2. **The few calls that read the real configuration start no program**: they find the repository,
//!    list its settings, and add or remove a worktree without checking it out.
//! 3. **Every call has fixed arguments** ([`Subcommand`]), an environment without the caller's `GIT_*`
//!    variables, bounded output and a deadline, after which its process group is killed.
//!
//! A filter of the user's own configuration (system, global) runs as it does with plain `git`. A filter
//! of the repository's configuration runs only if [`FilterTrust`] trusts its command.
//! Otherwise a status reports the paths that use it as unknown, and saving or checking out such a path
//! is refused.

mod config;
mod diff;
mod error;
mod filters;
mod overlay;
mod paths;
mod process;
mod repository;
mod status;
mod subcommand;
mod worktree;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use error::{GitError, Operation};
pub use filters::{FilterCommand, FilterKind, FilterTrust, TrustNothing};
pub use repository::{common_dir, repository_filters};
pub use status::Status;
pub use subcommand::Subcommand;

/// Calls `git` with the filters that a [`FilterTrust`] allows.
#[derive(Clone)]
pub struct Git {
    trust: Arc<dyn FilterTrust>,
}

impl Git {
    /// Filters of a repository's own configuration run only if `trust` allows their commands.
    #[must_use]
    pub fn new(trust: Arc<dyn FilterTrust>) -> Git {
        Git { trust }
    }
}

impl Default for Git {
    /// No filter of a repository's own configuration runs.
    fn default() -> Git {
        Git::new(Arc::new(TrustNothing))
    }
}
