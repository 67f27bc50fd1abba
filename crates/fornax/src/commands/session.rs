//! `open FRAME`: an agent's conversation in a terminal of its own; and words for terminals in which
//! OpenCode shows one.

use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use fornax_agents::opencode_server::{self, TuiWord};
use fornax_core::agent::DriverKind;
use fornax_core::error::{EXIT_DONE, ErrorKind};
use fornax_core::view::ProjectView;
use fornax_daemon::home::Home;
use fornax_daemon::http::backend::TaskDetail;

use super::Context;
use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome, fail};
use crate::out;
use crate::render::detail::quoted;
use crate::target::Target;
use crate::text::safe;

/// Programs that open a terminal and run what comes after the word, tried in this order.
const TERMINALS: [(&str, &str); 7] = [
    ("x-terminal-emulator", "-e"),
    ("gnome-terminal", "--"),
    ("konsole", "-e"),
    ("kitty", "--"),
    ("alacritty", "-e"),
    ("foot", "--"),
    ("xterm", "-e"),
];

/// A command that shows a conversation.
struct Shown {
    argv: Vec<String>,
    /// A secret that it needs: the variable, and the file that holds its value.
    secret: Option<(&'static str, PathBuf)>,
    dir: PathBuf,
}

pub async fn open(context: &Context, id: &str, print: bool) -> Outcome {
    let (daemon, project) = context.project().await?;
    let task = task_of(&daemon, &project, id).await?;
    let run = daemon.run(&project, task.task.run).await?.run;
    // Which program shows the conversation is said by files that came from elsewhere.
    if let Some(why) = &run.foreign {
        return fail(
            ErrorKind::Forbidden,
            format!("{} is read-only: {why}", run.id),
            format!(
                "`fornax trust {}` shows what it would execute, and accepts it",
                run.id
            ),
        );
    }
    let root = Path::new(&project.dir).canonicalize()?;
    let shown = shown(&task, &root)?;
    if !print && in_terminal(&shown) {
        return Ok(EXIT_DONE);
    }
    if !print {
        out::note("no terminal could be opened here; this command shows the conversation:");
    }
    out::print(&safe(&shown.as_typed()))?;
    Ok(EXIT_DONE)
}

/// Tells the terminals in which a task's session is open something.
pub async fn tell_terminals(context: &Context, id: &str, word: TuiWord) -> Outcome {
    let (daemon, project) = context.project().await?;
    let task = task_of(&daemon, &project, id).await?;
    let record = record(&task)?;
    let (Some(server), Some(cwd)) = (server_dir(record)?, record["cwd"].as_str()) else {
        return fail(
            ErrorKind::Conflict,
            format!(
                "{} has no terminal that could be told anything",
                task.task.tool
            ),
            "only OpenCode's can; `fornax tell TASK TEXT` tells the agent itself",
        );
    };
    match opencode_server::tell_tui(&server, Path::new(cwd), &word) {
        Ok(()) => Ok(EXIT_DONE),
        Err(error) => fail(
            ErrorKind::Unavailable,
            format!("OpenCode's server cannot be told: {error}"),
            "`fornax ps` shows whether the task runs",
        ),
    }
}

/// The task that is meant, or a frame's newest.
async fn task_of(daemon: &Daemon, project: &ProjectView, id: &str) -> Result<TaskDetail, Failure> {
    let task = match Target::find(daemon, project, id).await? {
        Target::Task(task) => Some(task),
        Target::Frame(frame) => frame.tasks.last().map(|task| task.id),
        Target::Run(run) => {
            let tasks = daemon.run(project, run).await?.tasks.rows();
            let with_session = tasks.filter(|task| task.session.is_some());
            with_session.last().map(|task| task.id)
        }
    };
    match task {
        Some(task) => daemon.task(project, &task.to_string()).await,
        None => fail(
            ErrorKind::Conflict,
            format!("{} has had no task yet", safe(id)),
            "`fornax tree` shows what runs",
        ),
    }
}

fn record(task: &TaskDetail) -> Result<&serde_json::Value, Failure> {
    task.record.as_ref().map_or_else(
        || {
            fail(
                ErrorKind::NotFound,
                format!("what {} was started with is not there", task.task.id),
                "it may not have started yet: `fornax ps`",
            )
        },
        Ok,
    )
}

/// The folder of the server that a task's agent used. Records lie in the project, so only a server of
/// this installation counts: in `projects/KEY/services/` of the state directory.
fn server_dir(record: &serde_json::Value) -> Result<Option<PathBuf>, Failure> {
    let Some(named) = record["agent"]["server"].as_str() else {
        return Ok(None);
    };
    let projects = Home::from_env()?.dir().join("projects");
    Ok(is_server_of(&projects, Path::new(named)).then(|| named.into()))
}

fn is_server_of(projects: &Path, dir: &Path) -> bool {
    let Ok(inside) = dir.strip_prefix(projects) else {
        return false;
    };
    let names: Vec<Component<'_>> = inside.components().collect();
    matches!(
        names[..],
        [Component::Normal(_), Component::Normal(services), Component::Normal(_)]
            if services == "services"
    )
}

/// The record of a task lies in the project, where others may have written it: it decides neither on a
/// program of the project nor on a folder outside of it.
fn check_program(program: &str, dir: &Path, root: &Path) -> Result<(), Failure> {
    let inside = |path: &Path| path.canonicalize().is_ok_and(|real| real.starts_with(root));
    let is_found_on_path = !program.contains('/');
    let is_installed = Path::new(program).is_absolute() && !inside(Path::new(program));
    if (is_found_on_path || is_installed) && inside(&root.join(dir)) {
        return Ok(());
    }
    fail(
        ErrorKind::Forbidden,
        format!(
            "the task's record names the program {program} in {}",
            dir.display()
        ),
        "a program of the project is not run to show a conversation: start it yourself",
    )
}

fn shown(detail: &TaskDetail, root: &Path) -> Result<Shown, Failure> {
    let task = &detail.task;
    let Some(session) = task.session.as_deref() else {
        return fail(
            ErrorKind::Conflict,
            format!("{} has no conversation that could be shown", task.id),
            "`fornax logs` prints what it wrote",
        );
    };
    let record = record(detail)?;
    let agent = &record["agent"];
    let program = agent["argv"][0].as_str().unwrap_or(&task.tool);
    let dir = PathBuf::from(record["cwd"].as_str().unwrap_or("."));
    check_program(program, &dir, root)?;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let (argv, secret) = match task.driver {
        Some(DriverKind::Opencode) => {
            let server = server_dir(record)?.unwrap_or_default();
            match opencode_server::address(&server) {
                Ok(Some(address)) => (
                    opencode_server::attach_argv(program, &address.url, session, &dir),
                    Some(("OPENCODE_SERVER_PASSWORD", server.join("password"))),
                ),
                // The session is in OpenCode's own store.
                _ => (words(&[program, "--session", session]), None),
            }
        }
        Some(DriverKind::OpencodeRun) => (words(&[program, "--session", session]), None),
        Some(DriverKind::Claude | DriverKind::ClaudePrint) => {
            (words(&[program, "--resume", session]), None)
        }
        Some(DriverKind::Codex | DriverKind::CodexExec) => {
            (words(&[program, "resume", session]), None)
        }
        Some(DriverKind::Acp | DriverKind::Jsonl) | None => {
            return fail(
                ErrorKind::Conflict,
                format!("{} cannot show a conversation again", task.tool),
                "`fornax logs` prints what it wrote",
            );
        }
    };
    Ok(Shown { argv, secret, dir })
}

impl Shown {
    /// The command as a person would type it. A secret stays in its file.
    fn as_typed(&self) -> String {
        let words = self.argv.iter().map(|word| quoted(word));
        let command = words.collect::<Vec<_>>().join(" ");
        let dir = quoted(&self.dir.to_string_lossy());
        match &self.secret {
            Some((name, file)) => {
                let file = quoted(&file.to_string_lossy());
                format!("cd {dir} && {name}=\"$(cat {file})\" {command}")
            }
            None => format!("cd {dir} && {command}"),
        }
    }
}

/// Opens a window of tmux, or a terminal. Whether that worked.
fn in_terminal(shown: &Shown) -> bool {
    let script = shown.as_typed();
    let start = |program: &str, arguments: &[&str]| {
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        started.is_ok()
    };
    if std::env::var_os("TMUX").is_some() {
        return start("tmux", &["new-window", &script]);
    }
    if std::env::var_os("DISPLAY").is_none() && std::env::var_os("WAYLAND_DISPLAY").is_none() {
        return false;
    }
    let own = std::env::var("TERMINAL").ok();
    if own.is_some_and(|own| start(&own, &["-e", "sh", "-c", &script])) {
        return true;
    }
    let mut terminals = TERMINALS.iter();
    terminals.any(|(program, word)| start(program, &[word, "sh", "-c", &script]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_servers_of_this_installation_count() {
        let projects = Path::new("/state/fornax/projects");
        for (dir, expected) in [
            ("/state/fornax/projects/00aa/services/opencode-1", true),
            ("/state/fornax/projects/00aa/services/opencode-1/", true),
            ("/work/.fornax/services/opencode-1", false),
            ("/state/fornax/projects/00aa/heads/opencode-1", false),
            ("/state/fornax/projects/00aa/services", false),
            ("/state/fornax/projects/00aa/services/..", false),
            ("/state/fornax/projects/../services/opencode-1", false),
            ("/state/fornax/projects/00aa/services/a/b", false),
            ("projects/00aa/services/opencode-1", false),
            ("", false),
        ] {
            assert_eq!(is_server_of(projects, Path::new(dir)), expected, "{dir}");
        }
    }
}
