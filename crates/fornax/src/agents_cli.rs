//! What the commands about agents take: `fornax agents`, `install`, `uninstall` and `hook`.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Agents {
    #[command(subcommand)]
    pub action: Option<AgentsAction>,

    /// Print the built-in price table, in the form of a user's own
    #[arg(long, conflicts_with = "json")]
    pub prices: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum AgentsAction {
    /// Have an agent say a word: one harmless turn, which costs a few tokens
    Test(AgentsTest),
}

#[derive(Args)]
pub struct AgentsTest {
    /// The agent, or any tool with one
    pub name: String,
}

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
