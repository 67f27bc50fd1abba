//! From a checked plan and its inputs to what the engine needs.

use std::collections::BTreeMap;

use super::diagnostic::{At, Problem, Report, show};
use super::{Diagnostic, Plan, PlanFrame, is_inside, path_problem};
use fornax_core::spec::{FrameSpec, Invocation, RunSpec};
use fornax_core::template::{Template, Variable};

/// How long the value of one input is, in bytes.
const MAX_INPUT: usize = 1 << 20;
/// How long the texts of all frames are together, in bytes. A short file can ask for much more: one
/// long text that ten thousand frames share is ten thousand texts.
const MAX_TEXT: usize = 64 << 20;

impl Plan {
    /// The plan with its inputs filled in for good, ready to start.
    ///
    /// # Errors
    /// Inputs that are missing, unknown or too long, and paths that would leave the project.
    pub fn resolve(&self, given: BTreeMap<String, String>) -> Result<RunSpec, Vec<Diagnostic>> {
        let mut report = Report::with_files_of(&self.report);
        let inputs = self.settle(given, &mut report);
        if report.has_errors() {
            return Err(report.finish());
        }
        let mut frames = Vec::with_capacity(self.frames.len());
        let mut room = Room::default();
        for frame in &self.frames {
            let frame = frame.resolve(&inputs, &mut report);
            if !room.takes(&frame, &mut report) {
                break;
            }
            frames.push(frame);
        }
        if report.has_errors() {
            return Err(report.finish());
        }
        Ok(RunSpec {
            name: self.name.clone(),
            plan: Some(self.file.clone()),
            inputs,
            on_failure: self.on_failure,
            pools: self.pools.clone(),
            limits: fornax_core::frame::FrameLimits::default(),
            frames,
        })
    }

    /// What each input is.
    fn settle(
        &self,
        given: BTreeMap<String, String>,
        report: &mut Report,
    ) -> BTreeMap<String, String> {
        let names = || self.inputs.iter().map(|input| input.name.as_str());
        for (name, value) in &given {
            if !names().any(|known| known == name) {
                let known: Vec<&str> = names().collect();
                let help = match known.is_empty() {
                    true => "it takes none".to_owned(),
                    false => format!("its inputs are {}", known.join(", ")),
                };
                report.push(
                    Problem::nowhere(format!("the plan has no input {}", show(name)))
                        .help(help)
                        .suggest(name, names()),
                );
            }
            if value.len() > MAX_INPUT || value.contains('\0') {
                let why = format!("an input holds at most {MAX_INPUT} bytes and no NUL character");
                report.push(Problem::nowhere(format!("bad input {}: {why}", show(name))));
            }
        }
        let mut inputs = given;
        for input in &self.inputs {
            if inputs.contains_key(&input.name) {
                continue;
            }
            let Some(default) = &input.default else {
                let about = input.description.as_ref();
                let about = about.map_or(String::new(), |about| format!(" ({about})"));
                report.push(
                    Problem::at(
                        input.at,
                        format!("the input {} is missing{about}", show(&input.name)),
                    )
                    .help(format!("give it: `--input {}=...`", input.name)),
                );
                continue;
            };
            inputs.insert(input.name.clone(), default.clone());
        }
        inputs
    }
}

/// How much text there may still be.
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Room(MAX_TEXT)
    }
}

impl Room {
    /// Takes the room that a frame needs; false where there is no more, which is reported.
    pub fn takes(&mut self, spec: &FrameSpec, report: &mut Report) -> bool {
        let outputs = spec.outputs.iter().map(String::len).sum::<usize>();
        let labels = spec.key.len() + spec.title.len() + spec.goal.len() + outputs;
        let invocations = spec.invocation.iter().chain(&spec.fallbacks);
        let work: usize = invocations
            .map(|invocation| {
                let templates = invocation.cmd.iter().chain(&invocation.stdin);
                let templates = templates
                    .chain(&invocation.prompt)
                    .chain(invocation.env.values());
                templates.map(Template::text_len).sum::<usize>()
            })
            .sum();
        let when = spec.when.as_ref();
        let when = when.map_or(0, |when| when.left.text_len() + when.right.text_len());
        let Some(left) = self.0.checked_sub(labels + work + when) else {
            report.push(
                Problem::nowhere(format!(
                    "the texts of all frames are longer than {MAX_TEXT} bytes"
                ))
                .help("put long texts into files and name the files"),
            );
            return false;
        };
        self.0 = left;
        true
    }
}

type Inputs = BTreeMap<String, String>;

impl PlanFrame {
    fn resolve(&self, inputs: &Inputs, report: &mut Report) -> FrameSpec {
        let mut spec = self.spec.clone();
        spec.title = one_line(&text(&self.title, inputs));
        spec.goal = text(&self.goal, inputs);
        for output in &self.outputs {
            spec.outputs.push(path("an output", output, inputs, report));
        }
        let workdir = self.workdir.as_ref();
        let workdir = workdir.map(|dir| path("the working directory", dir, inputs, report));
        let workdir = workdir.filter(|dir| dir != ".");
        let models = std::iter::once(&self.model).chain(&self.fallback_models);
        let invocations = spec.invocation.iter_mut().chain(&mut spec.fallbacks);
        for (invocation, model) in invocations.zip(models) {
            invocation.workdir.clone_from(&workdir);
            let model = model.as_ref().map(|model| text(&model.value, inputs));
            invocation.model = model.filter(|model| !model.is_empty());
            fill(invocation, inputs);
            if invocation.model.is_none() {
                leave_model_out(&mut invocation.cmd);
            }
        }
        if let Some(when) = &mut spec.when {
            when.left = known(&when.left, inputs);
            when.right = known(&when.right, inputs);
        }
        spec
    }
}

fn fill(invocation: &mut Invocation, inputs: &Inputs) {
    let templates = invocation.cmd.iter_mut().chain(&mut invocation.stdin);
    let templates = templates.chain(&mut invocation.prompt);
    for template in templates.chain(invocation.env.values_mut()) {
        *template = known(template, inputs);
    }
}

/// The template with its inputs filled in.
fn known(template: &Template, inputs: &Inputs) -> Template {
    template.fill_some(|variable| match variable {
        Variable::Input(name) => Some(inputs.get(name).cloned().unwrap_or_default()),
        _ => None,
    })
}

/// A template that has been checked to hold nothing but inputs.
fn text(template: &Template, inputs: &Inputs) -> String {
    let filled = template.fill(|variable| match variable {
        Variable::Input(name) => Ok(inputs.get(name).cloned().unwrap_or_default()),
        _ => Ok::<_, std::convert::Infallible>(String::new()),
    });
    match filled {
        Ok(text) => text,
    }
}

fn path(what: &str, path: &At<Template>, inputs: &Inputs, report: &mut Report) -> String {
    let path_text = text(&path.value, inputs);
    if let Err(why) = is_inside(&path_text) {
        report.push(path_problem(what, path.at, &path_text, why));
    }
    path_text
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// Without a model, an argument that mentions it is left out; with one that is nothing else, the
/// option before it.
pub(crate) fn leave_model_out(cmd: &mut Vec<Template>) {
    let model = Template::variable(Variable::Model);
    let mut kept: Vec<Template> = Vec::with_capacity(cmd.len());
    for argument in cmd.drain(..) {
        if argument == model {
            let option = kept.last().is_some_and(|last| {
                let text = last.fill(|_| Err(())).unwrap_or_default();
                text.starts_with('-') && text != "--"
            });
            if option && kept.len() > 1 {
                kept.pop();
            }
        } else if !argument
            .variables()
            .any(|variable| *variable == Variable::Model)
        {
            kept.push(argument);
        }
    }
    *cmd = kept;
}
