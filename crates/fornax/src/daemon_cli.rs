//! The options of the commands that are about the daemon and its files.

use std::net::SocketAddr;

use clap::Args;
use fornax_daemon::http::Origin;

#[derive(Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,

    /// Show what would be repaired and ask; damaged files are moved to a `set-aside` folder, nothing
    /// is deleted
    #[arg(long, conflicts_with = "json")]
    pub fix: bool,

    /// Repair without asking
    #[arg(long, requires = "fix")]
    pub yes: bool,
}

#[derive(Args)]
pub struct Up {
    /// Return as soon as it can be reached, and leave it running
    #[arg(short, long)]
    pub detach: bool,

    /// Where the page is served: a loopback address and a port (0: any free one)
    #[arg(long, value_name = "ADDRESS")]
    pub bind: Option<SocketAddr>,

    /// Let pages of this origin frame runs, such as http://127.0.0.1:3000; may be given repeatedly
    #[arg(long = "embed-origin", value_name = "ORIGIN")]
    pub embed_origins: Vec<Origin>,

    /// End the running daemon, of whatever version, and start this one in its place; tasks live on.
    /// Returns as soon as the daemon can be reached
    #[arg(long)]
    pub restart: bool,

    /// Started by another command: tell it on standard output how the start went
    #[arg(long, hide = true, conflicts_with_all = ["detach", "restart"])]
    pub as_child: bool,
}

#[derive(Args)]
pub struct Down {
    /// Stop all tasks first
    #[arg(long)]
    pub stop_tasks: bool,
}
