//! Templates: texts with variables such as `{prompt}` or `{deps.facts.results}`.
//!
//! A filled variable is data. It becomes part of one argument and is never split, expanded or
//! parsed again; what it holds cannot name another variable.
//!
//! `{name}` and `{name.part...}` are variables, `{{` and `}}` stand for `{` and `}`, and any other
//! brace stands for itself, so that `awk '{print $1}'` and JSON need no escapes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text with variables, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

/// What a variable of a template stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// `{prompt}`: the frame's prompt, itself filled.
    Prompt,
    /// `{model}`: the model that the frame or the tool names; empty where none is named.
    Model,
    /// `{goal}`: the frame's goal.
    Goal,
    /// `{inputs.NAME}`: an input of the plan.
    Input(String),
    /// `{deps.ID.results}`: the results of a frame that this one depends on.
    DepResults(String),
    /// `{deps.ID.outputs}`: the paths of its declared outputs, absolute, one a line.
    DepOutputs(String),
    /// `{deps.ID.status}`: its status.
    DepStatus(String),
    /// `{artifacts_dir}`: the task's own folder for artifacts, absolute.
    ArtifactsDir,
    /// `{frame_id}`
    FrameId,
    /// `{run_id}`
    RunId,
    /// `{env.NAME}`: a variable of the environment in which the daemon was started. It is looked
    /// up when the task starts and is never written to a journal.
    Env(String),
}

/// A variable that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown variable `{{{name}}}`")]
pub struct UnknownVariable {
    /// The name between the braces.
    pub name: String,
    /// Where its opening brace stands, in bytes from the start of the template.
    pub offset: usize,
}

impl UnknownVariable {
    /// What to do about it.
    pub const HELP: &'static str = "known are {prompt}, {model}, {goal}, {inputs.NAME}, \
        {deps.ID.results}, {deps.ID.outputs}, {deps.ID.status}, {artifacts_dir}, {frame_id}, \
        {run_id} and {env.NAME}; write {{ and }} for braces that are meant";
}

impl Template {
    /// A template without variables that stands for `text` as it is.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Template {
        let text = text.into();
        if text.is_empty() {
            return Template::default();
        }
        Template(vec![Part::Text(text)])
    }

    /// A template that is nothing but `variable`.
    #[must_use]
    pub fn variable(variable: Variable) -> Template {
        Template(vec![Part::Variable(variable)])
    }

    /// The variables, in the order in which they stand.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(variable),
            Part::Text(_) => None,
        })
    }

    /// How long its texts are together, in bytes.
    #[must_use]
    pub fn text_len(&self) -> usize {
        let parts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.len(),
            Part::Variable(_) => 0,
        });
        parts.sum()
    }

    /// The text with every variable replaced by what `lookup` gives for it.
    ///
    /// # Errors
    /// The first error of `lookup`.
    pub fn fill<E>(
        &self,
        mut lookup: impl FnMut(&Variable) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Variable(variable) => filled.push_str(&lookup(variable)?),
            }
        }
        Ok(filled)
    }

    /// The template with some variables filled in for good and the others left to be filled later.
    #[must_use]
    pub fn fill_some(&self, mut lookup: impl FnMut(&Variable) -> Option<String>) -> Template {
        let parts = self.0.iter().map(|part| match part {
            Part::Variable(variable) => lookup(variable).map_or_else(|| part.clone(), Part::Text),
            Part::Text(_) => part.clone(),
        });
        Template(parts.collect())
    }

    /// The template with each variable replaced by the template that `rename` gives for it. The
    /// text before the variable is handed along: a shell script needs to know its quoting.
    #[must_use]
    pub fn replace(&self, mut rename: impl FnMut(&str, &Variable) -> Template) -> Template {
        let mut before = String::new();
        let mut parts = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            match part {
                Part::Text(text) => {
                    before.push_str(text);
                    parts.push(part.clone());
                }
                Part::Variable(variable) => {
                    let new = rename(&before, variable).0;
                    for part in &new {
                        if let Part::Text(text) = part {
                            before.push_str(text);
                        }
                    }
                    parts.extend(new);
                }
            }
        }
        Template(parts)
    }
}

impl FromStr for Template {
    type Err = UnknownVariable;

    fn from_str(source: &str) -> Result<Self, UnknownVariable> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let offset = source.len() - rest.len() + at;
            let brace = &rest[at..];
            if brace.starts_with("{{") || brace.starts_with("}}") {
                text.push_str(&brace[..1]);
                rest = &brace[2..];
            } else if let Some(name) = variable_name(brace).filter(|_| !text.ends_with('$')) {
                let variable = Variable::from_name(name).ok_or_else(|| UnknownVariable {
                    name: name.to_owned(),
                    offset,
                })?;
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Variable(variable));
                rest = &brace[name.len() + 2..];
            } else {
                text.push_str(&brace[..1]);
                rest = &brace[1..];
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Template(parts))
    }
}

/// The name in `{name}...`, where what follows the brace looks like a variable at all. It looks no
/// further than the name goes: a text of nothing but braces is read once.
fn variable_name(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('{')?;
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let (name, rest) = rest.split_at(rest.bytes().take_while(word).count());
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic()) && rest.starts_with('}');
    fits.then_some(name)
}

impl Variable {
    fn from_name(name: &str) -> Option<Variable> {
        let plain = match name {
            "prompt" => Some(Variable::Prompt),
            "model" => Some(Variable::Model),
            "goal" => Some(Variable::Goal),
            "artifacts_dir" => Some(Variable::ArtifactsDir),
            "frame_id" => Some(Variable::FrameId),
            "run_id" => Some(Variable::RunId),
            _ => None,
        };
        let (space, rest) = match name.split_once('.') {
            None => return plain,
            Some((_, "")) => return None,
            Some(split) => split,
        };
        match space {
            "inputs" => Some(Variable::Input(rest.to_owned())),
            "env" => Some(Variable::Env(rest.to_owned())),
            "deps" => {
                let (id, what) = rest.rsplit_once('.').filter(|(id, _)| !id.is_empty())?;
                match what {
                    "results" => Some(Variable::DepResults(id.to_owned())),
                    "outputs" => Some(Variable::DepOutputs(id.to_owned())),
                    "status" => Some(Variable::DepStatus(id.to_owned())),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl fmt::Display for Variable {
    /// The name without its braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variable::Prompt => f.write_str("prompt"),
            Variable::Model => f.write_str("model"),
            Variable::Goal => f.write_str("goal"),
            Variable::Input(name) => write!(f, "inputs.{name}"),
            Variable::DepResults(id) => write!(f, "deps.{id}.results"),
            Variable::DepOutputs(id) => write!(f, "deps.{id}.outputs"),
            Variable::DepStatus(id) => write!(f, "deps.{id}.status"),
            Variable::ArtifactsDir => f.write_str("artifacts_dir"),
            Variable::FrameId => f.write_str("frame_id"),
            Variable::RunId => f.write_str("run_id"),
            Variable::Env(name) => write!(f, "env.{name}"),
        }
    }
}

impl fmt::Display for Template {
    /// The source of a template that parses to this one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Variable(variable) => write!(f, "{{{variable}}}")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(source: &str) -> String {
        let template: Template = source.parse().unwrap();
        template
            .fill(|variable| Ok::<_, ()>(format!("<{variable}>")))
            .unwrap()
    }

    #[test]
    fn variables_are_filled_and_other_braces_stay() {
        assert_eq!(
            fill("a {prompt} b {deps.x.y.results}"),
            "a <prompt> b <deps.x.y.results>"
        );
        assert_eq!(
            fill("awk '{print $1}' {} {a,b} ${HOME}"),
            "awk '{print $1}' {} {a,b} ${HOME}"
        );
        assert_eq!(fill("{{goal}} {\"json\": 1} }"), "{goal} {\"json\": 1} }");
    }

    #[test]
    fn unknown_variables_are_named_with_their_place() {
        for (source, name, offset) in [
            ("x {promt}", "promt", 2),
            ("{deps.a.result}", "deps.a.result", 0),
            ("{inputs.}", "inputs.", 0),
            ("{deps..results}", "deps..results", 0),
        ] {
            let error = source.parse::<Template>().unwrap_err();
            assert_eq!((error.name.as_str(), error.offset), (name, offset));
        }
    }

    #[test]
    fn a_value_is_never_parsed_again() {
        let template: Template = "{prompt}".parse().unwrap();
        let once = template.fill_some(|_| Some("{goal} {{".to_owned()));
        let again: Template = once.to_string().parse().unwrap();
        assert_eq!(
            again.fill(|_| Err("a variable")),
            Ok("{goal} {{".to_owned())
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same_text(text in "[{}$a. \\n-]{0,40}") {
            let printed = Template::literal(text.clone()).to_string();
            let read: Template = printed.parse().unwrap();
            prop_assert_eq!(read.fill(|_| Err(())), Ok(text));
        }
    }
}
