//! Which variables a template may hold where, and what they stand for.

use std::collections::BTreeMap;

use super::diagnostic::{At, Problem, Report, show};
use super::settings::is_env_name;
use fornax_core::template::{Template, Variable};

/// Where a template stands: what is known there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allow {
    /// What is settled before the run starts: inputs.
    Inputs,
    /// The inputs of a plan that is used: inputs as well.
    With,
    /// `when`: inputs and dependencies.
    When,
    /// A prompt: everything but itself.
    Prompt,
    /// Everything; whether there is a prompt is said.
    Work { prompt: bool },
}

/// What the variables of a frame can mean.
pub(crate) struct Scope<'a> {
    /// The plan's inputs and what they stand for.
    pub inputs: &'a BTreeMap<String, Template>,
    /// The frames by the name that stands in `{deps.NAME...}`; none where there is no such frame.
    pub deps: &'a dyn Fn(&str) -> Option<Dep<'a>>,
}

/// A frame that a `{deps...}` variable names.
pub(crate) struct Dep<'a> {
    /// Its own id, by which the engine finds it among the dependencies.
    pub id: &'a str,
    /// Whether the frame with the template depends on it.
    pub declared: bool,
    /// Whether it is the only dependency with this id.
    pub alone: bool,
}

impl Scope<'_> {
    /// Reports the variables that cannot stand there.
    pub fn check(&self, template: &At<Template>, allow: Allow, report: &mut Report) {
        for variable in template.value.variables() {
            if let Some(problem) = self.problem(variable, allow) {
                let at = report.find(template.at, &format!("{{{variable}}}"));
                report.push(problem(at));
            }
        }
    }

    /// The same of a tool's template: the frame is to blame, for the tool does not know it.
    pub fn check_tool(
        &self,
        template: &Template,
        allow: Allow,
        tool: &At<String>,
        report: &mut Report,
    ) {
        for variable in template.variables() {
            if self.problem(variable, allow).is_some() {
                let message = format!(
                    "the tool {} needs {{{variable}}}, which this frame does not have",
                    show(&tool.value)
                );
                report.push(Problem::at(tool.at, message));
            }
        }
    }

    fn problem(
        &self,
        variable: &Variable,
        allow: Allow,
    ) -> Option<impl FnOnce(super::diagnostic::Span) -> Problem + use<>> {
        let (message, help) = self.why_not(variable, allow)?;
        Some(move |at| {
            let problem = Problem::at(at, message);
            match help {
                Some(help) => problem.help(help),
                None => problem,
            }
        })
    }

    fn why_not(&self, variable: &Variable, allow: Allow) -> Option<(String, Option<String>)> {
        let with_help = |message: String, help: &str| Some((message, Some(help.to_owned())));
        let not_here = || format!("{{{variable}}} cannot stand here");
        match variable {
            Variable::Input(name) => (!self.inputs.contains_key(name)).then(|| {
                let near = super::nearest::nearest(name, self.inputs.keys().map(String::as_str));
                let help = match near {
                    Some(near) => format!("did you mean `{{inputs.{near}}}`?"),
                    None => format!("declare it: `inputs: {{{name}: ...}}`"),
                };
                (format!("there is no input {}", show(name)), Some(help))
            }),
            _ if allow == Allow::Inputs => with_help(
                not_here(),
                "only {inputs.NAME} is known before the run starts",
            ),
            _ if allow == Allow::With => with_help(
                not_here(),
                "`with` takes {inputs.NAME} only; let a frame of the plan that is used read what \
                 it needs from a file",
            ),
            Variable::DepResults(name) | Variable::DepOutputs(name) | Variable::DepStatus(name) => {
                match (self.deps)(name) {
                    Some(Dep {
                        declared: true,
                        alone: true,
                        ..
                    }) => None,
                    Some(Dep {
                        declared: true, id, ..
                    }) => with_help(
                        format!("two dependencies of the frame are called {}", show(id)),
                        "give one of them another id",
                    ),
                    Some(_) => Some((
                        format!("{} is not among the frame's dependencies", show(name)),
                        Some(format!("add it: `depends_on: [{name}]`")),
                    )),
                    None => Some((format!("there is no frame {}", show(name)), None)),
                }
            }
            _ if allow == Allow::When => with_help(
                not_here(),
                "a condition takes {inputs.NAME}, {deps.ID.results}, {deps.ID.outputs} and \
                 {deps.ID.status}",
            ),
            Variable::Prompt if allow == Allow::Prompt => with_help(
                "a prompt cannot hold itself".to_owned(),
                "leave {prompt} out",
            ),
            Variable::Prompt if allow == (Allow::Work { prompt: false }) => {
                Some(("this frame has no prompt".to_owned(), None))
            }
            Variable::Env(name) if !is_env_name(name) => {
                Some((format!("{} cannot name a variable", show(name)), None))
            }
            _ => None,
        }
    }

    /// The template with what is known filled in: inputs by what they stand for, dependencies by
    /// their own ids.
    pub fn bind(&self, template: &Template) -> Template {
        let id =
            |name: &String| (self.deps)(name).map_or_else(|| name.clone(), |dep| dep.id.to_owned());
        template.replace(|_, variable| match variable {
            Variable::Input(name) => self.inputs.get(name).cloned().unwrap_or_default(),
            Variable::DepResults(name) => Template::variable(Variable::DepResults(id(name))),
            Variable::DepOutputs(name) => Template::variable(Variable::DepOutputs(id(name))),
            Variable::DepStatus(name) => Template::variable(Variable::DepStatus(id(name))),
            _ => Template::variable(variable.clone()),
        })
    }
}
