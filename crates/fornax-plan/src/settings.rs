//! Settings that frames, plans, tools and the project can have, and how they cover one another.

use std::collections::BTreeMap;

use super::diagnostic::{At, Problem, Report, show};
use super::keys::{Backoff, DefaultsKeys, FrameKeys};
use super::read::{Choice, Many, Table, Text};
use fornax_core::agent::Permissions;
use fornax_core::spec::{ErrorClass, Retry};
use fornax_core::template::{Template, UnknownVariable};
use fornax_redact::Rules;

/// What can be set in more than one place. What is not set is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub tool: Option<At<String>>,
    /// The tools after it; they are set together with it.
    pub fallbacks: Vec<At<String>>,
    pub fallback_on: Option<Vec<ErrorClass>>,
    pub permissions: Option<Permissions>,
    pub model: Option<At<Template>>,
    pub pool: Option<At<String>>,
    pub priority: Option<i32>,
    pub timeout_ms: Option<u64>,
    pub silence_ms: Option<u64>,
    pub retries: Option<u32>,
    pub backoff: Option<Waits>,
    pub retry_on: Option<Vec<ErrorClass>>,
    pub env: BTreeMap<String, At<Template>>,
    pub workdir: Option<At<Template>>,
}

/// The waits between attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    initial_ms: Option<u64>,
    max_ms: Option<u64>,
}

/// Frames and defaults spell their settings with the same keys.
macro_rules! settings {
    ($keys:expr, $report:expr) => {{
        let (keys, report): (_, &mut Report) = ($keys, $report);
        Settings {
            tool: tools(&keys.tool).next(),
            fallbacks: tools(&keys.tool).skip(1).collect(),
            fallback_on: keys.fallback_on.as_ref().map(classes),
            permissions: keys.permissions.as_ref().map(|at| at.value.0),
            model: template(&keys.model, report),
            pool: text(&keys.pool),
            priority: keys.priority.as_ref().map(|at| at.value.0 as i32),
            timeout_ms: keys.timeout.as_ref().map(|at| at.value.0),
            silence_ms: keys.silence_timeout.as_ref().map(|at| at.value.0),
            retries: keys.retries.as_ref().map(|at| at.value.0 as u32),
            backoff: keys.backoff.as_ref().map(|at| waits(at, report)),
            retry_on: keys.retry_on.as_ref().map(classes),
            env: env(&keys.env, report),
            workdir: template(&keys.workdir, report),
        }
    }};
}

impl Settings {
    pub fn of_frame(keys: &FrameKeys, report: &mut Report) -> Settings {
        settings!(keys, report)
    }

    pub fn of_defaults(keys: Option<&DefaultsKeys>, report: &mut Report) -> Settings {
        keys.map_or_else(Settings::default, |keys| settings!(keys, report))
    }

    /// These settings, and where they are silent, those.
    pub fn over(self, below: &Settings) -> Settings {
        let mut env = below.env.clone();
        env.extend(self.env);
        let (tool, fallbacks) = match self.tool {
            Some(tool) => (Some(tool), self.fallbacks),
            None => (below.tool.clone(), below.fallbacks.clone()),
        };
        Settings {
            tool,
            fallbacks,
            fallback_on: self.fallback_on.or_else(|| below.fallback_on.clone()),
            permissions: self.permissions.or(below.permissions),
            model: self.model.or_else(|| below.model.clone()),
            pool: self.pool.or_else(|| below.pool.clone()),
            priority: self.priority.or(below.priority),
            timeout_ms: self.timeout_ms.or(below.timeout_ms),
            silence_ms: self.silence_ms.or(below.silence_ms),
            retries: self.retries.or(below.retries),
            backoff: self.backoff.or(below.backoff),
            retry_on: self.retry_on.or_else(|| below.retry_on.clone()),
            env,
            workdir: self.workdir.or_else(|| below.workdir.clone()),
        }
    }

    pub fn retry(&self) -> Retry {
        let default = Retry::default();
        let waits = self.backoff;
        let backoff_ms = waits
            .and_then(|waits| waits.initial_ms)
            .unwrap_or(default.backoff_ms);
        let backoff_max_ms = waits
            .and_then(|waits| waits.max_ms)
            .unwrap_or(default.backoff_max_ms);
        Retry {
            retries: self.retries.unwrap_or(default.retries),
            backoff_ms,
            backoff_max_ms: backoff_max_ms.max(backoff_ms),
            on: self.retry_on.clone().unwrap_or(default.on),
        }
    }
}

fn waits(keys: &At<Backoff>, report: &mut Report) -> Waits {
    let Backoff(keys) = &keys.value;
    let initial_ms = keys.initial.as_ref().map(|at| at.value.0);
    let max_ms = keys.max.as_ref().map(|at| at.value.0);
    if let (Some(initial), Some(max), Some(at)) = (initial_ms, max_ms, &keys.max)
        && max < initial
    {
        report.push(Problem::at(at.at, "`max` is shorter than `initial`"));
    }
    Waits { initial_ms, max_ms }
}

fn classes(keys: &At<Many<Choice<ErrorClass>>>) -> Vec<ErrorClass> {
    let classes = keys.value.0.iter();
    classes.map(|class| class.value.0).collect()
}

/// The tools that a frame or a plan names.
pub(crate) fn tools(keys: &Option<At<Many<Text>>>) -> impl Iterator<Item = At<String>> {
    let tools = keys.iter().flat_map(|tools| &tools.value.0);
    tools.map(|tool| At::new(tool.at, tool.value.0.clone()))
}

pub(crate) fn text(keys: &Option<At<Text>>) -> Option<At<String>> {
    let text = keys.as_ref()?;
    Some(At::new(text.at, text.value.0.clone()))
}

pub(crate) fn template(text: &Option<At<Text>>, report: &mut Report) -> Option<At<Template>> {
    parse(text.as_ref()?, report)
}

/// The template, or none where one of its variables does not exist, which is reported.
pub(crate) fn parse(text: &At<Text>, report: &mut Report) -> Option<At<Template>> {
    const PLAIN: [&str; 6] = [
        "prompt",
        "model",
        "goal",
        "artifacts_dir",
        "frame_id",
        "run_id",
    ];
    match text.value.0.parse::<Template>() {
        Ok(template) => Some(At::new(text.at, template)),
        Err(unknown) => {
            let at = report.find(text.at, &format!("{{{}}}", unknown.name));
            let problem = Problem::at(at, unknown.to_string())
                .help(UnknownVariable::HELP)
                .suggest(&unknown.name, PLAIN.into_iter());
            report.push(problem);
            None
        }
    }
}

pub(crate) fn env(
    table: &Option<At<Table<Text>>>,
    report: &mut Report,
) -> BTreeMap<String, At<Template>> {
    let mut env = BTreeMap::new();
    let entries = table.as_ref().map_or(&[][..], |table| &table.value.0);
    for (name, value) in entries {
        if !is_env_name(&name.value) {
            let message = format!("{} cannot name a variable", show(&name.value));
            report.push(
                Problem::at(name.at, message)
                    .help("use letters, digits and `_`, and start with no digit"),
            );
        } else if name.value.starts_with("FORNAX_") {
            let message = format!("{} belongs to Fornax", show(&name.value));
            report.push(
                Problem::at(name.at, message).help("choose a name without `FORNAX_` before it"),
            );
        } else if let Some(value) = parse(value, report) {
            check_secret(&name.value, &value, report);
            env.insert(name.value.clone(), value);
        }
    }
    env
}

pub(crate) fn is_env_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(word)
        && name.len() <= 256
}

/// A secret that is written out would go into every journal.
fn check_secret(name: &str, value: &At<Template>, report: &mut Report) {
    let literal = value.value.fill(|_| Err(()));
    if literal.is_ok_and(|literal| is_secret(name, &literal)) {
        let message = format!("the value of {} looks like a secret", show(name));
        let help = format!("pass it from your environment: `{name}: \"{{env.{name}}}\"`");
        report.push(Problem::at(value.at, message).masked().help(help));
    }
}

fn is_secret(name: &str, value: &str) -> bool {
    // A secret by its own shape, or by the name that it is given.
    let changed = |text: &str| Rules::builtin().redact(text) != text;
    changed(value) || changed(&format!("{name}={value}"))
}
