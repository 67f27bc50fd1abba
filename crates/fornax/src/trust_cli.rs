//! The options of `trust`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// What is accepted, or looked at.
#[derive(Args)]
pub struct Trust {
    /// A read-only run to accept; or `list` shows what is trusted and what waits for a decision,
    /// `revoke` takes it back
    #[arg(value_name = "RUN|list|revoke", conflicts_with_all = ["always", "path"])]
    pub target: Option<String>,

    /// Follow the project's fornax.yaml and its git filters from now on, whatever they execute
    #[arg(long)]
    pub always: bool,

    /// Accept only what has this digest; repeat it for filters of the git repository
    #[arg(long, value_name = "DIGEST")]
    pub digest: Vec<String>,

    /// Let a directory through whose files others own or can write, and nothing else
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["always", "digest"])]
    pub path: Option<PathBuf>,

    /// Accept a run without a question
    #[arg(short, long, requires = "target")]
    pub yes: bool,

    /// The project was moved here from a place that is gone
    #[arg(long, conflicts_with_all = ["target", "always", "digest", "path"])]
    pub moved: bool,

    /// The project is a copy of one whose place is gone: its runs stay read-only
    #[arg(long, conflicts_with_all = ["moved", "target", "always", "digest", "path"])]
    pub copied: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
