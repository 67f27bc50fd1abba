//! Plans, without running them: `plan check`, `plan schema`, `plan graph`. No daemon takes part.

use std::collections::BTreeMap;
use std::path::Path;

use fornax_core::error::{EXIT_DONE, Error, ErrorKind};
use fornax_core::spec::RunSpec;
use fornax_daemon::plans::{BadFile, NamedBy, load_config, load_plan};
use fornax_daemon::trust::Trust;
use fornax_plan::config::Config;
use fornax_plan::{Diagnostic, Place, Plan, Severity, graph};
use serde_json::{Value, json};

use super::Context;
use crate::cli::Check;
use crate::failure::{Failure, Outcome, fail};
use crate::out;

type Inputs = BTreeMap<String, String>;

/// The inputs as they were given: each once.
pub fn inputs(given: Vec<(String, String)>) -> Result<Inputs, Failure> {
    let mut inputs = Inputs::new();
    for (name, value) in given {
        if inputs.contains_key(&name) {
            let message = format!("the input `{name}` is given twice");
            return fail(ErrorKind::Usage, message, "give each input once");
        }
        inputs.insert(name, value);
    }
    Ok(inputs)
}

/// The project's configuration.
pub fn config(dir: &Path) -> Result<Config, Failure> {
    Ok(load_config(dir, &Trust::from_env())?)
}

/// Checks the plan with its inputs, and gives its absolute path. Warnings are told.
pub fn check(context: &Context, path: &Path, inputs: &Inputs) -> Result<String, Failure> {
    let (path, plan) = load(context, path)?;
    if !plan.warnings.is_empty() {
        out::note(rendered(&plan.warnings).trim_end());
    }
    plan.resolve(inputs.clone()).map_err(wrong)?;
    Ok(path)
}

fn load(context: &Context, path: &Path) -> Result<(String, Plan), Failure> {
    let dir = context.project_dir()?.dir;
    let config = config(&dir)?;
    // Relative to where the person is, not to the project.
    let found = path.canonicalize().map_err(|error| {
        Error::new(
            ErrorKind::NotFound,
            format!("cannot read {}: {error}", path.display()),
        )
    })?;
    let Some(text) = found.to_str() else {
        let message = format!("{} is not UTF-8", found.display());
        return fail(ErrorKind::Usage, message, "give the plan another name");
    };
    Ok((
        text.to_owned(),
        load_plan(&dir, &found, &config, NamedBy::Person)?,
    ))
}

impl From<BadFile> for Failure {
    fn from(bad: BadFile) -> Failure {
        match bad {
            BadFile::Unreadable(error) => error.into(),
            BadFile::Wrong(diagnostics) => wrong(diagnostics),
        }
    }
}

fn wrong(diagnostics: Vec<Diagnostic>) -> Failure {
    Failure::Plan(diagnostics)
}

/// Diagnostics as text, an empty line between them.
pub fn rendered(diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(Diagnostic::render)
        .collect::<Vec<_>>()
        .join("\n")
}

pub fn print_check(context: &Context, args: Check) -> Outcome {
    let checked = inputs(args.inputs).and_then(|inputs| {
        let (_, plan) = load(context, &args.plan)?;
        let spec = plan.resolve(inputs).map_err(wrong)?;
        Ok((plan, spec))
    });
    if args.output.json {
        let (diagnostics, code) = match &checked {
            Ok((plan, _)) => (plan.warnings.as_slice(), EXIT_DONE),
            Err(Failure::Plan(diagnostics)) => {
                (diagnostics.as_slice(), ErrorKind::Usage.exit_code())
            }
            Err(_) => return checked.map(|_| EXIT_DONE),
        };
        let found: Vec<_> = diagnostics.iter().map(diagnostic).collect();
        out::json(&json!({ "ok": checked.is_ok(), "diagnostics": found }))?;
        return Ok(code);
    }
    let (plan, spec) = checked?;
    if !plan.warnings.is_empty() {
        out::note(rendered(&plan.warnings).trim_end());
    }
    let frames = plan.frame_count();
    let word = if frames == 1 { "frame" } else { "frames" };
    out::print(&format!(
        "{} is fine: {frames} {word}",
        crate::text::one_line(&spec.name)
    ))?;
    Ok(EXIT_DONE)
}

fn diagnostic(found: &Diagnostic) -> Value {
    let place = |place: &Place| {
        json!({
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "offset": place.offset,
            "len": place.len,
        })
    };
    let related: Vec<_> = found
        .related
        .iter()
        .map(|related| json!({ "place": place(&related.place), "message": related.message }))
        .collect();
    json!({
        "severity": match found.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": found.message,
        "help": found.help,
        "place": found.place.as_ref().map(place),
        "related": related,
    })
}

pub fn print_schema() -> Outcome {
    out::json(&fornax_plan::schema())?;
    Ok(EXIT_DONE)
}

pub fn print_graph(context: &Context, args: Check) -> Outcome {
    let (_, plan) = load(context, &args.plan)?;
    // Without inputs, they stand as variables.
    if args.inputs.is_empty() && !args.output.json {
        out::print(&plan.draw())?;
        return Ok(EXIT_DONE);
    }
    let spec = plan.resolve(inputs(args.inputs)?).map_err(wrong)?;
    if args.output.json {
        out::json(&frames(&spec))?;
    } else {
        out::print(&graph::draw(&spec))?;
    }
    Ok(EXIT_DONE)
}

/// The frames with the keys of those that hold them and that they wait for.
fn frames(spec: &RunSpec) -> Value {
    let key = |place: usize| spec.frames[place].key.as_str();
    let frame = |frame: &fornax_core::spec::FrameSpec| {
        json!({
            "key": frame.key,
            "title": frame.title,
            "parent": frame.parent.map(key),
            "depends_on": frame.depends_on.iter().map(|place| key(*place)).collect::<Vec<_>>(),
            "tool": frame.invocation.as_ref().map(|invocation| &invocation.tool),
        })
    };
    json!({ "name": spec.name, "frames": spec.frames.iter().map(frame).collect::<Vec<_>>() })
}
