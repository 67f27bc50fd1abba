//! What the journals say, read without a daemon: `verify`, `replay`.

use fornax_core::error::{EXIT_DONE, Error};
use fornax_core::ids::RunId;
use fornax_core::state::State;
use fornax_journal::{JournalError, Project};

use super::Context;
use crate::cli::Replay;
use crate::failure::{Failure, Outcome};
use crate::out;
use crate::render::tree::tree;
use crate::run_state::RunState;
use crate::target::one_run;

/// The project's files.
fn project(context: &Context) -> Result<Project, Failure> {
    Ok(Project::find(&context.project_dir()?.dir).map_err(Error::from)?)
}

/// The run with this id, or the only one whose id begins so.
fn run(project: &Project, text: &str) -> Result<RunId, Failure> {
    if let Ok(run) = text.parse() {
        return Ok(run);
    }
    let mut runs = project.runs().map_err(Error::from)?;
    runs.retain(|run| run.to_string().starts_with(text));
    Ok(one_run(text, &runs)?)
}

pub fn replay(context: &Context, args: Replay) -> Outcome {
    let project = project(context)?;
    let run = run(&project, &args.run)?;
    let mut state = State::default();
    let mut at = None;
    for record in project.read_run(run).map_err(Error::from)? {
        let record = record.map_err(JournalError::from).map_err(Error::from)?;
        if args.until.is_some_and(|until| record.seq > until) {
            break;
        }
        state.apply(&record);
        at = Some(record.ts);
    }
    // The project's id is the daemon's affair.
    let (Some(detail), Some(at)) = (state.run_detail("", run), at) else {
        out::note(&format!("the journal of {run} holds no frames up to there"));
        return Ok(EXIT_DONE);
    };
    if args.output.json {
        out::json(&detail)?;
    } else {
        // As it stood at that event: what goes on has taken until then.
        out::print(&tree(&RunState::new(detail), at.0, out::columns(), None).join("\n"))?;
    }
    Ok(EXIT_DONE)
}
