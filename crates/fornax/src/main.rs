//! The command line of Fornax.

mod agent_session;
mod agents_cli;
mod cli;
mod commands;
mod daemon;
mod daemon_cli;
mod failure;
mod frame_cli;
mod log_text;
mod out;
mod project;
mod render;
mod run_state;
mod shutdown;
mod start;
mod target;
mod text;
mod trust_cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before anything else: the tasks' fork server wants a process without threads.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == fornax_runner::SHIM_ARG)
    {
        fornax_runner::shim_main()
    }
    if std::env::args_os()
        .nth(1)
        .is_some_and(|first| first == fornax_agents::host::AGENT_ARG)
    {
        fornax_agents::host::main()
    }
    let cli = cli::Cli::parse();
    out::use_color(cli.color);
    failure::conclude(commands::run(cli))
}
