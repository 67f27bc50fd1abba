//! What the journals say, read without a daemon: `verify`, `replay`.

use fornax_core::error::{EXIT_DONE, EXIT_FAILED, Error};
use fornax_core::ids::RunId;
use fornax_core::state::State;
use fornax_journal::{Finding, JournalError, Project, Severity};

use super::Context;
use crate::cli::{Replay, Verify};
use crate::failure::{Failure, Outcome};
use crate::out::{self, DIM, RED, YELLOW, paint};
use crate::render::tree::tree;
use crate::run_state::RunState;
use crate::target::one_run;
use crate::text::one_line;

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

pub fn verify(context: &Context, args: Verify) -> Outcome {
    let project = project(context)?;
    let run = args.run.map(|text| run(&project, &text)).transpose()?;
    let mut findings = project.verify(run).map_err(Error::from)?;
    // The worst last, where a person looks first.
    findings.sort_by_key(|finding| finding.severity);
    let damaged = findings
        .iter()
        .any(|finding| finding.severity == Severity::Damage);
    if args.output.json {
        out::json(&findings)?;
    } else if findings.is_empty() {
        let what = run.map_or_else(|| "all runs are".to_owned(), |run| format!("{run} is"));
        out::print(&format!("{what} undamaged"))?;
    } else {
        let lines: Vec<_> = findings.iter().map(line).collect();
        out::print(&lines.join("\n"))?;
    }
    Ok(if damaged { EXIT_FAILED } else { EXIT_DONE })
}

/// A finding: how bad, where, what, and on a line of its own what to do.
fn line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Info => paint(DIM, "info"),
        Severity::Warning => paint(YELLOW, "warning"),
        Severity::Damage => paint(RED, "damage"),
    };
    let place = finding
        .line
        .map_or_else(String::new, |line| format!(":{line}"));
    let file = one_line(&finding.file.to_string_lossy());
    let line = format!("{severity}: {file}{place}: {}", one_line(&finding.what));
    match finding.help.is_empty() {
        true => line,
        false => format!("{line}\n  {}", paint(DIM, &one_line(&finding.help))),
    }
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
        out::print(&tree(&RunState::new(detail), at.0, usize::MAX, None).join("\n"))?;
    }
    Ok(EXIT_DONE)
}
