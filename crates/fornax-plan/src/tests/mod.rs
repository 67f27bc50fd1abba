//! Plans are read from files in a map.

mod diagnostics_files;
mod diagnostics_frames;
mod executing;
mod hostile;
mod properties;
mod resolving;
mod schema;

use super::config::Config;
use super::{Diagnostic, Plan, Source, load};
use fornax_core::spec::RunSpec;

/// Files by name; the first is the plan.
pub(super) fn load_files(config: &str, files: &[(&str, &str)]) -> Result<Plan, Vec<Diagnostic>> {
    let source = |(name, text): &(&str, &str)| Source {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    };
    let config = Config::load(Some(source(&("fornax.yaml", config))))?;
    let loader = |_from: &str, path: &str| {
        let found = files.iter().find(|(name, _)| *name == path);
        found.map(source).ok_or_else(|| "no such file".to_owned())
    };
    load(source(&files[0]), &config, &loader)
}

pub(super) fn load_text(text: &str) -> Result<Plan, Vec<Diagnostic>> {
    load_files("", &[("plan.yaml", text)])
}

pub(super) fn resolve(text: &str, inputs: &[(&str, &str)]) -> RunSpec {
    let inputs = inputs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let plan = load_text(text).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    plan.resolve(inputs.collect())
        .unwrap_or_else(|errors| panic!("{}", render(&errors)))
}

pub(super) fn render(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::render).collect()
}

/// What is said of a plan that cannot be used.
pub(super) fn errors(text: &str) -> String {
    render(&load_text(text).expect_err("the plan is refused"))
}

/// What is said of the only frame of a plan, given as the lines of its mapping.
pub(super) fn frame_errors(lines: &str) -> String {
    errors(&format!(
        "name: p\nframes:\n- id: a\n  run: ls\n- {}\n",
        lines.replace('\n', "\n  ")
    ))
}
