//! What `fornax install`, `uninstall` and `hook` take.

use clap::{Args, ValueEnum};

#[derive(Args)]
pub struct Install {
    /// The agent
    pub agent: InstalledAgent,

    /// Where: in the project, for all who work on it, or in your home, for all your projects
    #[arg(long, default_value = "project")]
    pub scope: InstallScope,

    /// Only show what would be written
    #[arg(long)]
    pub dry_run: bool,
}

/// Agents whose settings are known.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InstalledAgent {
    Opencode,
    Claude,
    Codex,
}

/// Whose settings.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InstallScope {
    Project,
    User,
}

#[derive(Args)]
pub struct Hook {
    /// The agent
    pub agent: InstalledAgent,
}
