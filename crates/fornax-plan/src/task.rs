//! A single task, started by hand: a plan of one frame that nobody wrote down.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::config::Config;
use super::diagnostic::{At, Diagnostic, Report, Span};
use super::keys::{FrameKeys, PlanKeys};
use super::read::{Deadline, List, Many, Table, Text};
use super::{Source, check};
use fornax_core::spec::RunSpec;
use fornax_core::template::Template;
use fornax_core::title;

/// What is to be done by hand. All texts are taken as they are: none is a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    /// The tool's name.
    pub tool: String,
    /// What it is asked to do; for the tool `shell` a script.
    pub prompt: String,
    /// The model that it is to use.
    pub model: Option<String>,
    /// What it is called on the page; by default the first words of the goal or prompt.
    pub title: Option<String>,
    /// What it is to achieve; by default the prompt.
    pub goal: Option<String>,
    /// The working directory, relative to the project's.
    pub workdir: Option<String>,
    /// It is ended when it has run this long.
    pub timeout_ms: Option<u64>,
    /// Variables of the environment.
    pub env: BTreeMap<String, String>,
}

/// The run of a single task.
///
/// # Errors
/// What is wrong with it, above all an unknown tool.
pub fn single_task(task: &Task, config: &Config) -> Result<RunSpec, Vec<Diagnostic>> {
    let mut report = Report::with_files_of(&config.report);
    // Nothing of it stands in a file; this one is empty and is taken out of what is told.
    let file = report.add_file(Source {
        name: NO_FILE.to_owned(),
        text: String::new(),
    });
    let at = Span {
        file,
        ..Span::default()
    };
    let keys = Rc::new(keys(task, at));
    let unused = |_: &str, _: &str| Err("a task uses no plan".to_owned());
    let plan = check(file, keys, config, &unused, &mut report);
    let run = match plan {
        Some(mut plan) if !report.has_errors() => {
            plan.report = report;
            plan.resolve(BTreeMap::new())
        }
        _ => Err(report.finish()),
    };
    run.map(|run| RunSpec { plan: None, ..run })
        .map_err(|mut diagnostics| {
            for diagnostic in &mut diagnostics {
                diagnostic.place.take_if(|place| place.file == NO_FILE);
                diagnostic
                    .related
                    .retain(|related| related.place.file != NO_FILE);
            }
            diagnostics
        })
}

const NO_FILE: &str = "(task)";

fn keys(task: &Task, at: Span) -> PlanKeys {
    let text = |text: &str| At::new(at, Text(text.to_owned()));
    let literal = |text: &str| At::new(at, Text(Template::literal(text).to_string()));
    let goal = task.goal.as_deref().unwrap_or(&task.prompt);
    let title = task
        .title
        .clone()
        .unwrap_or_else(|| title::of("task", goal));
    let env = task.env.iter();
    let env = env.map(|(name, value)| (At::new(at, name.clone()), literal(value)));
    let frame = FrameKeys {
        id: Some(text("task")),
        title: Some(literal(&title)),
        goal: Some(literal(goal)),
        tool: Some(At::new(at, Many(vec![text(&task.tool)]))),
        prompt: Some(literal(&task.prompt)),
        model: task.model.as_deref().map(literal),
        workdir: task.workdir.as_deref().map(literal),
        timeout: task.timeout_ms.map(|ms| At::new(at, Deadline(ms))),
        env: Some(At::new(at, Table(env.collect()))),
        ..FrameKeys::default()
    };
    let frames = List(vec![At::new(at, Rc::new(frame))]);
    PlanKeys {
        name: Some(text(&title)),
        goal: Some(literal(goal)),
        frames: Some(At::new(at, frames)),
        ..PlanKeys::default()
    }
}
