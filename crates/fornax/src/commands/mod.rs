//! What each command does.

mod acts;
mod agents;
mod compare;
mod doctor;
mod follow;
mod frame;
mod hook;
mod install;
mod journal;
mod lists;
mod logs;
pub mod plan;
pub mod projects;
mod rehearse;
mod repair;
mod server;
mod session;
mod steer;
mod supervisors;
mod tools;
mod trust;

use std::future::Future;
use std::path::PathBuf;

use clap::CommandFactory;
use fornax_core::error::ErrorKind;
use fornax_core::view::ProjectView;
use fornax_daemon::home::Home;
use fornax_daemon::trust::Trust;

use crate::cli::{Cli, Command, Completions, Plan};
use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome, fail};
use crate::out;
use crate::project::ProjectDir;

/// What the options that every command has say.
pub struct Context {
    dir: Option<PathBuf>,
}

/// Carries out what the command line says.
pub fn run(cli: Cli) -> Outcome {
    let context = Context { dir: cli.dir };
    match cli.command {
        Command::Run(args) => wait(acts::run(&context, args)),
        Command::Task(args) => wait(acts::task(&context, args)),
        Command::Ps(args) => wait(lists::ps(&context, args)),
        Command::Runs(args) => wait(lists::runs(&context, args)),
        Command::Tree(args) => wait(lists::show_tree(&context, args)),
        Command::Show(args) => wait(lists::show(&context, args)),
        Command::Logs(args) => wait(logs::logs(&context, args)),
        Command::Frame(args) => wait(frame::frame(&context, args)),
        Command::Mcp(args) => wait(frame::mcp(&context, args)),
        Command::Answer(args) => wait(frame::answer(&context, args)),
        Command::Inbox(args) => wait(steer::inbox(&context, args)),
        Command::Allow(args) => wait(steer::allow(&context, args)),
        Command::Deny(args) => wait(steer::deny(&context, args)),
        Command::Tell(args) => wait(steer::tell(&context, args)),
        Command::Interrupt(args) => wait(steer::interrupt(&context, args)),
        Command::Compact(args) => wait(steer::compact(&context, args)),
        Command::Compare(args) => wait(compare::compare(&context, args)),
        Command::Stop(args) => wait(acts::stop(&context, args)),
        Command::Pause(args) => wait(acts::pause(&context, args)),
        Command::Unpause(args) => wait(acts::unpause(&context, args)),
        Command::Checkpoint(args) => wait(steer::checkpoint(&context, args)),
        Command::Retry(args) => wait(acts::retry(&context, args)),
        Command::Events(args) => wait(lists::show_events(&context, args)),
        Command::Plan(Plan::Check(args)) => plan::print_check(&context, args),
        Command::Plan(Plan::Schema) => plan::print_schema(),
        Command::Plan(Plan::Graph(args)) => plan::print_graph(&context, args),
        Command::Tools(args) => tools::tools(&context, args),
        Command::Agents(args) => wait(agents::agents(&context, args)),
        Command::Install(args) => install::install(&context, &args),
        Command::Uninstall(args) => install::uninstall(&context, &args),
        Command::Hook(args) => hook::hook(&args),
        Command::Rehearse(args) => wait(rehearse::rehearse(&context, args)),
        Command::Up(args) => server::up(&context, args),
        Command::Status(args) => wait(server::status(args)),
        Command::Down(args) => wait(server::down(args)),
        Command::Open(args) => match args.id {
            Some(id) => wait(session::open(&context, &id, args.print)),
            None => wait(server::open(&context, args.print)),
        },
        Command::Trust(args) => wait(trust::trust(&context, args)),
        Command::Forget(args) => wait(projects::forget(&context, args)),
        Command::Doctor(args) => doctor::doctor(&context, args),
        Command::Verify(args) => journal::verify(&context, args),
        Command::Replay(args) => journal::replay(&context, args),
        Command::Completions(args) => completions(&args),
    }
}

/// Runs what talks to the daemon: on this thread, which is all it takes.
fn wait<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => fail(
            ErrorKind::Unavailable,
            format!("cannot wait for anything: {error}"),
            "the system has no file descriptors left, it seems: see `ulimit -n`",
        ),
    }
}

fn completions(args: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fornax", &mut script);
    out::raw(&script)?;
    Ok(0)
}

impl Context {
    fn project_dir(&self) -> Result<ProjectDir, Failure> {
        ProjectDir::find(self.dir.as_deref(), &Trust::from_env())
    }

    /// The same, whoever owns its files: for commands that look at that.
    fn anyones_project_dir(&self) -> Result<ProjectDir, Failure> {
        ProjectDir::find_anyones(self.dir.as_deref())
    }

    /// The daemon, started where none runs, and the project, which it looks after from now on.
    async fn project(&self) -> Result<(Daemon, ProjectView), Failure> {
        let project = self.project_dir()?;
        let daemon = Daemon::reach(&Home::from_env()?).await?;
        let view = daemon.register(&project.dir).await?;
        Ok((daemon, view))
    }

    /// The same, but a directory in which nothing ever ran stays as it is.
    async fn known_project(&self) -> Result<Option<(Daemon, ProjectView)>, Failure> {
        let is_known = self.project_dir()?.is_known;
        Ok(if is_known {
            Some(self.project().await?)
        } else {
            None
        })
    }
}
