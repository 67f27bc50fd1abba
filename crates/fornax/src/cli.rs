//! The commands and their options.

use std::path::PathBuf;

use crate::agents_cli::{Agents, Hook, Install};
use crate::daemon_cli::{Doctor, Down, Up};
use crate::failure::exit_codes;
use crate::frame_cli::{Answer, Frame, Mcp};
use crate::trust_cli::Trust;
use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(Style::new())
    .error(AnsiColor::Red.on_default().bold())
    .valid(AnsiColor::Green.on_default())
    .invalid(AnsiColor::Yellow.on_default());

/// A local control plane for coding agents: runs plans of tasks, watches them, keeps the record.
#[derive(Parser)]
#[command(version, styles = STYLES, after_long_help = exit_codes(), max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// Do it for the project in DIR instead of the one that holds the current directory
    #[arg(short = 'C', long = "dir", global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,

    /// When to use colours: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub color: Color,

    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run a plan
    Run(Run),
    /// Run one task without a plan, do one again, or go on with its conversation
    Task(Task),
    /// List what runs and what waits
    Ps(Json),
    /// List runs, newest first
    Runs(Runs),
    /// Show a run's frames as a tree
    Tree(Tree),
    /// Show everything about a run, a frame or a task
    Show(Show),
    /// Print what a task wrote
    Logs(Logs),
    /// Work the call stack by hand: push, pop, plan, look
    Frame(Frame),
    /// Offer the call stack's tools to an agent, over MCP on standard input and output
    Mcp(Mcp),
    /// List what waits for you: questions, permissions that agents ask for, agents that wait for a prompt
    Inbox(Json),
    /// Answer a question
    Answer(Answer),
    /// Let an agent do what it asks
    Allow(Allow),
    /// Do not let an agent do what it asks
    Deny(Deny),
    /// Tell an agent at work something further
    Tell(Tell),
    /// End an agent's turn; its task goes on and waits to be told something
    Interrupt(Interrupt),
    /// Have an agent shorten its conversation
    Compact(Interrupt),
    /// Compare two runs: status, time, tokens, cost, outputs
    Compare(Compare),
    /// Stop a run, a frame with all within it, or a task
    Stop(Stop),
    /// Pause a run, a frame with all within it, or a task; its processes are suspended
    Pause(Pause),
    /// Let what was paused go on
    Unpause(Pause),
    /// Have a frame that has not begun wait for your word
    Checkpoint(Checkpoint),
    /// Do again what did not succeed
    Retry(Retry),
    /// Print a run's events
    Events(Events),
    /// Check and look at plans, without running them
    #[command(subcommand)]
    Plan(Plan),
    /// List the tools and whether they can be used
    Tools(Json),
    /// List the agents that are known: installed, logged in, what to do
    Agents(Agents),
    /// Have an agent that you start yourself work with frames: writes its settings
    Install(Install),
    /// Take out of an agent's settings what `install` wrote
    Uninstall(Install),
    /// What an agent's hooks call: reads the event on standard input
    #[command(hide = true)]
    Hook(Hook),
    /// Run a plan with the real agents and tools but a scripted model, at no cost, in a throw-away
    /// worktree
    Rehearse(Rehearse),
    /// Start the daemon
    Up(Up),
    /// Show the daemon, its projects and what runs
    Status(Json),
    /// End the daemon; tasks live on
    Down(Down),
    /// Open the page in the browser, or an agent's conversation in a terminal
    Open(Open),
    /// Accept a project: its folder, its records, and what its fornax.yaml executes
    Trust(Trust),
    /// No longer look after a project; its data stays as it is
    Forget(Forget),
    /// Look for what could be wrong with the installation and the project, and repair it
    Doctor(Doctor),
    /// Check the records of the project for damage
    Verify(Verify),
    /// Rebuild a run's state from its journal alone
    Replay(Replay),
    /// Print the completions for a shell
    Completions(Completions),
}

/// Options of commands that only read.
#[derive(Args)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// How a command that starts work tells of it.
#[derive(Args)]
pub struct Follow {
    /// Show the tree with its progress in place (the default on a terminal)
    #[arg(short, long)]
    pub watch: bool,

    /// Return at once and print the run's id
    #[arg(short, long, conflicts_with = "watch")]
    pub detach: bool,

    /// Print the run as JSON: at its end, or at once with --detach
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
}

#[derive(Args)]
pub struct Run {
    /// The plan's file
    #[arg(value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,

    /// An input of the plan; may be given again
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub inputs: Vec<(String, String)>,

    #[command(flatten)]
    pub follow: Follow,
}

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Task {
    #[command(subcommand)]
    pub again: Option<TaskAgain>,

    /// The tool, as `fornax tools` lists it
    #[arg(required = true)]
    pub tool: Option<String>,

    /// What it is told (for `shell`, the command line); `-` reads standard input
    #[arg(required = true)]
    pub prompt: Option<String>,

    /// The model
    #[arg(short, long)]
    pub model: Option<String>,

    /// End it when it has run this long: 90s, 10m, 1h 30m
    #[arg(short, long, value_name = "DURATION", value_parser = duration_ms)]
    pub timeout: Option<u64>,

    #[command(flatten)]
    pub follow: Follow,
}

#[derive(Subcommand)]
pub enum TaskAgain {
    /// Do a task once more, told the same, in a run of its own
    Rerun(Rerun),
    /// Tell the agent of a task that is over something further, in a run of its own
    Resume(Resume),
}

#[derive(Args)]
pub struct Rerun {
    /// The task, or a frame for its newest
    pub id: String,

    /// With another tool
    #[arg(long)]
    pub tool: Option<String>,

    /// With another model
    #[arg(short, long)]
    pub model: Option<String>,

    #[command(flatten)]
    pub follow: Follow,
}

#[derive(Args)]
pub struct Resume {
    /// The task, or a frame for its newest
    pub id: String,

    /// What its agent is told; `-` reads standard input
    pub prompt: String,

    /// Leave the conversation as it is and go on with a copy
    #[arg(long)]
    pub fork: bool,

    #[command(flatten)]
    pub follow: Follow,
}

#[derive(Args)]
pub struct Runs {
    /// How many at most
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,

    #[command(flatten)]
    pub output: Json,
}

#[derive(Args)]
pub struct Tree {
    /// The run; the newest where none is named
    pub run: Option<String>,

    /// Stay and show progress until the run ends
    #[arg(short, long, conflicts_with = "json")]
    pub watch: bool,

    #[command(flatten)]
    pub output: Json,
}

#[derive(Args)]
pub struct Show {
    /// The id of a run, a frame or a task, or the beginning of one
    pub id: String,

    #[command(flatten)]
    pub output: Json,
}

#[derive(Args)]
pub struct Logs {
    /// A task, a frame (its newest task) or a run (its only or only running task)
    pub id: String,

    /// Go on printing until the task is over
    #[arg(short, long)]
    pub follow: bool,

    /// What it wrote to standard error instead of standard output
    #[arg(long)]
    pub stderr: bool,

    /// What it wrote to either, in the order in which it came
    #[arg(long, conflicts_with_all = ["stderr", "tail"])]
    pub both: bool,

    /// Only the lines with this text, and their numbers; a text without capitals finds both cases
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["follow", "tail"])]
    pub grep: Option<String>,

    /// The text is a regular expression
    #[arg(long, requires = "grep")]
    pub regex: bool,

    /// Of a run: each task that was running within this time: 90s, 10m, 1h 30m. Logs carry no
    /// times, so this chooses tasks, never lines
    #[arg(long, value_name = "DURATION", value_parser = duration_ms)]
    pub since: Option<u64>,

    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<u64>,
}

#[derive(Args)]
pub struct Allow {
    /// The task that asks, or its frame
    pub id: String,

    /// What it asks, as `fornax inbox` names it; needed where it asks more than one thing
    pub permission: Option<String>,

    /// Also the next time, without asking, in this conversation
    #[arg(long)]
    pub always: bool,
}

#[derive(Args)]
pub struct Deny {
    /// The task that asks, or its frame
    pub id: String,

    /// What it asks, as `fornax inbox` names it; needed where it asks more than one thing
    pub permission: Option<String>,

    /// Why, or what to do instead; the agent is told where it can be
    #[arg(short, long)]
    pub note: Option<String>,
}

#[derive(Args)]
pub struct Tell {
    /// The task, or its frame
    pub id: String,

    /// What it is told after the turn that goes on; `-` reads standard input
    pub text: String,

    /// Show it as a note in the terminals in which the conversation is open (OpenCode)
    #[arg(long, conflicts_with = "draft")]
    pub toast: bool,

    /// Put it into the prompt of the terminals in which the conversation is open, unsent (OpenCode)
    #[arg(long)]
    pub draft: bool,
}

#[derive(Args)]
pub struct Interrupt {
    /// The task, or its frame
    pub id: String,
}

#[derive(Args)]
pub struct Compare {
    /// The one run
    pub one: String,

    /// The other run
    pub other: String,

    #[command(flatten)]
    pub output: Json,
}

#[derive(Args)]
pub struct Pause {
    /// A run, a frame or a task
    pub id: String,
}

#[derive(Args)]
pub struct Checkpoint {
    /// The frame
    pub frame: String,
    /// What to ask you; `-` reads it from standard input [default: whether to begin]
    pub question: Option<String>,
}

#[derive(Args)]
pub struct Stop {
    /// A run, a frame or a task
    #[arg(required_unless_present = "all")]
    pub id: Option<String>,

    /// Every run of the project
    #[arg(long, conflicts_with = "id")]
    pub all: bool,

    /// Why; for the record
    #[arg(long)]
    pub reason: Option<String>,
}

#[derive(Args)]
pub struct Retry {
    /// A run, a frame or a task
    pub id: String,

    /// Of a run: do this frame (id or key) and all that depends on it again, though it succeeded
    #[arg(long, value_name = "FRAME")]
    pub from: Option<String>,

    #[command(flatten)]
    pub follow: Follow,
}

#[derive(Args)]
pub struct Events {
    /// Go on printing until the run ends
    #[arg(short, long)]
    pub follow: bool,

    /// The run; the newest where none is named
    #[arg(long)]
    pub run: Option<String>,

    /// Print the journal's own lines (JSON, one a line)
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Plan {
    /// Check a plan and say what is wrong with it
    Check(Check),
    /// Print the JSON Schema of plans, for editors
    Schema,
    /// Draw a plan's frames and what waits for what
    Graph(Check),
}

#[derive(Args)]
pub struct Check {
    /// The plan's file
    #[arg(value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,

    /// An input of the plan; may be given again
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub inputs: Vec<(String, String)>,

    #[command(flatten)]
    pub output: Json,
}

#[derive(Args)]
pub struct Forget {
    /// The project: its folder, which may be gone, or its id; the current one by default
    pub project: Option<String>,
}

#[derive(Args)]
pub struct Rehearse {
    /// The plan's file
    #[arg(value_hint = ValueHint::FilePath)]
    pub plan: PathBuf,

    /// What the model says, as crates/fornax-stub-model/SCRIPT.md describes; without one it answers every prompt with
    /// a line of text
    #[arg(long, value_hint = ValueHint::FilePath)]
    pub script: Option<PathBuf>,

    /// An input of the plan; may be given again
    #[arg(short, long = "input", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub inputs: Vec<(String, String)>,

    /// Keep the worktree and the records, and say where they are
    #[arg(long)]
    pub keep: bool,
}

#[derive(Args)]
pub struct Open {
    /// A frame or a task: opens its agent's conversation in a terminal instead
    pub id: Option<String>,

    /// Only print the link, which opens the page once, within a minute; or the command
    #[arg(long)]
    pub print: bool,
}

#[derive(Args)]
pub struct Verify {
    /// The run; all of them where none is named
    pub run: Option<String>,

    #[command(flatten)]
    pub output: Json,
}

#[derive(Args)]
pub struct Replay {
    /// The run
    pub run: String,

    /// Only up to this event
    #[arg(long, value_name = "SEQ")]
    pub until: Option<u64>,

    #[command(flatten)]
    pub output: Json,
}

#[derive(Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn duration_ms(text: &str) -> Result<u64, String> {
    let duration: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "expected a duration such as 90s, 10m or 1h 30m".to_owned())?;
    match u64::try_from(duration.as_millis()) {
        Ok(ms) if ms > 0 => Ok(ms),
        _ => Err("expected a duration longer than nothing".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_reference_names_every_command_and_exit_code() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let text = std::fs::read_to_string(file).unwrap();
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            assert!(
                text.contains(&format!("`{name}")),
                "`{name}` is not in docs/cli.md"
            );
        }
        for line in exit_codes().lines().skip(1) {
            let code = line.split_whitespace().next().unwrap();
            assert!(
                text.contains(&format!("\n| {code} |")),
                "{line} is not in docs/cli.md"
            );
        }
    }
}
