//! Plans: reading, checking and resolving them, and the project's configuration.
//!
//! The way of a plan: `document` makes a tree of the text, `read` and `keys` make typed values of
//! the tree, `expand` lays out all frames, `order` finds who waits for whom, `work` says what each
//! frame does, and [`Plan::resolve`] fills in the inputs. Each step reports all that it finds.

pub mod config;
pub mod graph;

mod condition;
mod diagnostic;
mod document;
mod duration;
mod executing;
mod expand;
mod keys;
mod nearest;
mod order;
mod read;
mod resolve;
mod settings;
mod shell;
mod task;
mod variables;
mod work;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

use config::Config;
use diagnostic::{At, Problem, Report, Span, show};
use fornax_core::spec::{FrameSpec, OnFailure};
use fornax_core::template::Template;

pub use diagnostic::{Diagnostic, Place, Related, Severity};
pub use executing::Executing;
pub use task::{Task, single_task};

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name as it is shown, and by which it is told from others.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// Reads the file that a plan names: from the plan's own name and the path that stands there. What
/// it gives must have the same name for the same file. The error says what is the matter.
pub type Loader<'a> = &'a dyn Fn(&str, &str) -> Result<Source, String>;

/// A plan that was checked. Its inputs are open.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it is called.
    pub name: String,
    /// The file it was read from.
    pub file: String,
    /// What must or may be given to start it.
    pub inputs: Vec<Input>,
    /// What works, but perhaps not as it was meant.
    pub warnings: Vec<Diagnostic>,
    on_failure: OnFailure,
    pools: BTreeMap<String, u32>,
    frames: Vec<PlanFrame>,
    /// Knows the files, so that places in them can be told.
    report: Report,
}

/// An input of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it is when nothing is given; without a default it must be given.
    pub default: Option<String>,
    at: Span,
}

/// A frame with what the inputs decide left open.
#[derive(Debug, Clone)]
struct PlanFrame {
    spec: FrameSpec,
    title: Template,
    goal: Template,
    outputs: Vec<At<Template>>,
    workdir: Option<At<Template>>,
    model: Option<At<Template>>,
    /// The models of its fallbacks, in their order.
    fallback_models: Vec<Option<At<Template>>>,
}

impl Plan {
    /// How many frames it has, the root not counted.
    #[must_use]
    pub fn frame_count(&self) -> usize {
        self.frames.len().saturating_sub(1)
    }

    /// Its frames as text, in layers; inputs stand as variables. See [`graph::draw`].
    #[must_use]
    pub fn draw(&self) -> String {
        let frames: Vec<&FrameSpec> = self.frames.iter().map(|frame| &frame.spec).collect();
        graph::draw_frames(&self.name, &frames)
    }
}

/// Reads and checks a plan and all plans that it uses.
///
/// # Errors
/// What is wrong, in the order of the files and lines; of very much the first part.
pub fn load(source: Source, config: &Config, loader: Loader<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let mut report = Report::with_files_of(&config.report);
    let file = report.add_file(source);
    let plan = expand::read(file, &mut report)
        .and_then(|keys| check(file, keys, config, loader, &mut report));
    match plan {
        Some(plan) if !report.has_errors() => {
            let mut plan = Plan {
                report: Report::with_files_of(&report),
                ..plan
            };
            plan.warnings = report.finish();
            Ok(plan)
        }
        _ => Err(report.finish()),
    }
}

fn check(
    file: u32,
    keys: Rc<keys::PlanKeys>,
    config: &Config,
    loader: Loader<'_>,
    report: &mut Report,
) -> Option<Plan> {
    let mut layout = expand::expand(file, keys, loader, report);
    order::link(&mut layout, report);
    order::check(&layout, report);
    let results = order::results(&layout, report);
    let frames = work::frames(&layout, config, &results, report);
    let keys = &layout.units.first()?.keys;
    let name = keys
        .name
        .as_ref()
        .map(|name| name.value.0.trim().to_owned());
    if let (Some(name), Some(at)) = (&name, &keys.name)
        && (name.is_empty() || name.chars().count() > 200 || name.contains('\n'))
    {
        report.push(Problem::at(
            at.at,
            "a name is one line of 1 to 200 characters",
        ));
    }
    let mut pools = BTreeMap::new();
    for unit in &layout.units {
        // The outermost plan stands first: its word counts.
        for (name, limit) in config::pools(unit.keys.pools.as_ref(), report) {
            pools.entry(name).or_insert(limit);
        }
    }
    Some(Plan {
        name: name.unwrap_or_default(),
        file: report.file(file).name.clone(),
        inputs: inputs(keys),
        warnings: Vec::new(),
        on_failure: keys
            .on_failure
            .as_ref()
            .map_or(OnFailure::default(), |at| at.value.0),
        pools,
        frames,
        report: Report::default(),
    })
}

fn inputs(keys: &keys::PlanKeys) -> Vec<Input> {
    let declared = keys.inputs.iter().flat_map(|inputs| &inputs.value.0);
    let text = |text: &Option<At<read::Text>>| text.as_ref().map(|text| text.value.0.clone());
    let input = |(name, input): &(At<String>, At<keys::InputKeys>)| Input {
        name: name.value.clone(),
        description: text(&input.value.0.description),
        default: text(&input.value.0.default),
        at: name.at,
    };
    declared.map(input).collect()
}

/// The JSON Schema of plan files, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    read::root_schema::<keys::PlanKeys>("Fornax plan")
}

/// Whether a text can be the id of a frame or the name of a tool, pool or input.
fn is_id(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&text.len()) && text.bytes().all(word)
}

/// A name as an id.
fn slug(name: &str) -> String {
    let letters = name.to_lowercase();
    let words = letters.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let slug: String = words.join("-").chars().take(48).collect();
    match slug.trim_end_matches('-') {
        "" => "plan".to_owned(),
        slug => slug.to_owned(),
    }
}

/// Whether a path stays inside of the directory that it is relative to, as far as can be seen from
/// it; else why not.
fn is_inside(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it is empty");
    }
    if path.contains('\0') {
        return Err("it holds a NUL character");
    }
    if path.contains('\n') {
        return Err("it holds a line break");
    }
    if path.starts_with(['/', '~']) {
        return Err("it is not relative");
    }
    match path.split('/').any(|part| part == "..") {
        true => Err("`..` could leave the project's directory"),
        false => Ok(()),
    }
}

fn path_problem(what: &str, at: Span, path: &str, why: &str) -> Problem {
    Problem::at(at, format!("{} cannot be {what}: {why}", show(path)))
        .help("write a path inside of the project, without `..`")
}
