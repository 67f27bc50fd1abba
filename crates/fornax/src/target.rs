//! What an id on the command line means. The beginning of one will do where only one begins so.

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{RunId, TaskId};
use fornax_core::view::{FrameDetail, ProjectView};

use crate::daemon::Daemon;
use crate::failure::{Failure, fail};

/// How many candidates an error names.
const CANDIDATES_MAX: usize = 10;
/// How many runs are asked for at once.
const PAGE: usize = 500;

/// What an id means.
pub enum Target {
    /// A run.
    Run(RunId),
    /// A frame.
    Frame(Box<FrameDetail>),
    /// A task.
    Task(TaskId),
}

impl Target {
    /// Finds what is meant. The kind is told by how the text begins: `RUN-`, `f-`, `t-`.
    pub async fn find(
        daemon: &Daemon,
        project: &ProjectView,
        text: &str,
    ) -> Result<Target, Failure> {
        if text.starts_with("t-") {
            return Ok(Target::Task(daemon.task(project, text).await?.task.id));
        }
        if text.starts_with("f-") {
            return Ok(Target::Frame(Box::new(daemon.frame(project, text).await?)));
        }
        if text.starts_with("RUN-") {
            return Ok(Target::Run(find_run(daemon, project, text).await?));
        }
        fail(
            ErrorKind::Usage,
            format!("`{text}` is not the id of a run, a frame or a task"),
            "ids look like RUN-20261120-001, f-4k2p9x and t-4k2p9x-1; \
             `fornax runs` and `fornax tree` show them",
        )
    }
}

/// The run with this id, or the only one whose id begins so.
pub async fn find_run(
    daemon: &Daemon,
    project: &ProjectView,
    text: &str,
) -> Result<RunId, Failure> {
    if let Ok(run) = text.parse() {
        return Ok(run);
    }
    let mut candidates = Vec::new();
    let mut before = None;
    loop {
        let page = daemon.runs(project, before, PAGE).await?;
        before = page.runs.last().map(|run| run.id);
        let begins_so = page.runs.iter().map(|run| run.id);
        candidates.extend(begins_so.filter(|run| run.to_string().starts_with(text)));
        if !page.more || candidates.len() > CANDIDATES_MAX {
            break;
        }
    }
    one_run(text, &candidates).map_err(Failure::from)
}

/// The only one of the runs that begin with the text.
pub fn one_run(text: &str, candidates: &[RunId]) -> Result<RunId, Error> {
    match candidates {
        [one] => Ok(*one),
        [] => Err(
            Error::new(ErrorKind::NotFound, format!("there is no run `{text}`"))
                .with_help("`fornax runs` lists the runs"),
        ),
        many => {
            let mut help = "it could be".to_owned();
            for run in many.iter().take(CANDIDATES_MAX) {
                help += &format!("\n  {run}");
            }
            if many.len() > CANDIDATES_MAX {
                help += "\n  or another one";
            }
            Err(Error::new(
                ErrorKind::Usage,
                format!("several runs begin with `{text}`"),
            )
            .with_help(help))
        }
    }
}

/// The run with this id, else the newest.
pub async fn run_or_newest(
    daemon: &Daemon,
    project: &ProjectView,
    text: Option<&str>,
) -> Result<RunId, Failure> {
    if let Some(text) = text {
        return find_run(daemon, project, text).await;
    }
    match daemon.runs(project, None, 1).await?.runs.first() {
        Some(run) => Ok(run.id),
        None => fail(
            ErrorKind::NotFound,
            format!("{} has no runs yet", project.dir),
            "`fornax run PLAN` starts one",
        ),
    }
}
