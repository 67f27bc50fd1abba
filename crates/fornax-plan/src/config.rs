//! The project's configuration, `fornax.yaml`: tools, pools, limits, defaults, redaction.

use std::collections::BTreeMap;

use super::diagnostic::{At, Diagnostic, Problem, Report, show};
use super::executing::Executing;
use super::keys::{ConfigKeys, Limit, LimitsKeys, RedactKeys, ToolKeys};
use super::read::{Read, Table};
use super::settings::{self, Settings};
use super::{Source, document, is_id, read};
use fornax_core::agent::{DriverKind, Mapping};
use fornax_core::frame::{FrameLimits, StackUse};
use fornax_core::spec::{Mode, OutputFormat};
use fornax_core::template::{Template, Variable};
use fornax_redact::{CustomRuleError, Rules};

/// A project's configuration with the built-in tools.
#[derive(Debug, Clone)]
pub struct Config {
    /// The tools by name.
    pub tools: BTreeMap<String, Tool>,
    /// How many tasks may run at once in each pool.
    pub pools: BTreeMap<String, u32>,
    /// How many tasks may run at once in the project, where it says so.
    pub max_tasks: Option<u32>,
    /// How much agents may add to a run.
    pub limits: FrameLimits,
    /// How many tokens an agent is told of the frames around its own.
    pub context_budget: usize,
    /// What is redacted: what is known as secret, and by the project's own rules.
    pub rules: Rules,
    /// The project's own rules of redaction.
    pub redact: Vec<RedactRule>,
    /// What the project's file executes, which a person has to trust. The presets are not in it.
    pub executing: Executing,
    pub(crate) defaults: Settings,
    /// Knows the files, so that a plan's diagnostics can point into them.
    pub(crate) report: Report,
}

/// A configured wrapper of a command-line program.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Whether it is one of the presets, and not defined by the project's file.
    pub is_preset: bool,
    /// How it is attached.
    pub mode: Mode,
    /// The argument vector. Where no model is named, an argument that mentions `{model}` is left
    /// out, and with `{model}` alone the option before it.
    pub cmd: Vec<Template>,
    /// What is written to standard input.
    pub stdin: Option<Template>,
    /// How results are read off its output.
    pub output: OutputFormat,
    /// Exit codes that count as success.
    pub success_exit_codes: Vec<i32>,
    /// Whether secrets are taken out of its logs.
    pub redact: bool,
    /// What speaks with its agent; none for a plain command.
    pub driver: Option<DriverKind>,
    /// How often its agent may try a model call again without progress.
    pub model_retries: Option<u32>,
    /// Where the frames that its agent pushes are worked on.
    pub stack: StackUse,
    /// Where its lines of JSON say what matters.
    pub mapping: Option<Mapping>,
    /// Its model, environment and deadlines.
    pub(crate) settings: Settings,
}

/// A redaction rule of the project's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedactRule {
    /// What stands in place of what was taken out.
    pub name: String,
    /// A regular expression that [`Rules::with_custom`] takes.
    pub pattern: String,
}

impl Config {
    /// Reads a project's `fornax.yaml`; without one there are the built-in tools.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(source: Option<Source>) -> Result<Config, Vec<Diagnostic>> {
        let mut config = Config {
            tools: BTreeMap::new(),
            pools: BTreeMap::new(),
            max_tasks: None,
            limits: FrameLimits::default(),
            context_budget: fornax_core::context::BUDGET,
            rules: Rules::builtin(),
            redact: Vec::new(),
            executing: Executing::default(),
            defaults: Settings::default(),
            report: Report::default(),
        };
        let presets = Source {
            name: "(built-in tools)".to_owned(),
            text: include_str!("presets.yaml").to_owned(),
        };
        config.take(presets, true);
        if let Some(source) = source {
            config.take(source, false);
        }
        if config.report.has_errors() {
            return Err(config.report.finish());
        }
        Ok(config)
    }

    fn take(&mut self, source: Source, is_preset: bool) {
        let report = &mut self.report;
        // A file of comments says nothing, and that is fine.
        let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if source.text.len() <= document::MAX_BYTES && source.text.lines().all(blank) {
            return;
        }
        let file = report.add_file(source);
        let Some(node) = document::parse(file, report) else {
            return;
        };
        let Some(keys) = ConfigKeys::read(&node, report) else {
            return;
        };
        for (name, tool) in keys.tools.iter().flat_map(|tools| &tools.value.0) {
            check_id("tool", name, report);
            let tool = Tool::of_keys(&tool.value, is_preset, report);
            self.tools.insert(name.value.clone(), tool);
        }
        if !is_preset {
            self.executing = Executing::of(&keys);
        }
        self.pools = pools(keys.pools.as_ref(), report);
        let limits = keys.limits.as_ref();
        self.max_tasks = limits
            .and_then(|limits| limits.value.tasks.as_ref())
            .map(|tasks| tasks.value.0 as u32);
        self.limits =
            limits.map_or_else(FrameLimits::default, |limits| frame_limits(&limits.value));
        let budget = keys
            .context
            .as_ref()
            .and_then(|context| context.value.budget.as_ref());
        self.context_budget = budget.map_or(fornax_core::context::BUDGET, |at| at.value.0 as usize);
        self.defaults =
            Settings::of_defaults(keys.defaults.as_ref().map(|keys| &keys.value), report);
        redact(self, keys.redact.as_ref().map(|keys| &keys.value));
        self.check_defaults();
    }

    fn check_defaults(&mut self) {
        for tool in self.defaults.tool.iter().chain(&self.defaults.fallbacks) {
            if !self.tools.contains_key(&tool.value) {
                let problem = self.unknown_tool(tool);
                self.report.push(problem);
            }
        }
        if let Some(pool) = &self.defaults.pool
            && !self.pools.contains_key(&pool.value)
        {
            let message = format!("unknown pool {}", show(&pool.value));
            let problem = Problem::at(pool.at, message)
                .help("add it under `pools`")
                .suggest(&pool.value, self.pools.keys().map(String::as_str));
            self.report.push(problem);
        }
    }

    pub(crate) fn unknown_tool(&self, tool: &At<String>) -> Problem {
        let known: Vec<&str> = self.tools.keys().map(String::as_str).collect();
        Problem::at(tool.at, format!("unknown tool {}", show(&tool.value)))
            .help(format!(
                "known tools are {}; others are added in fornax.yaml",
                known.join(", ")
            ))
            .suggest(&tool.value, known.into_iter())
    }
}

impl Tool {
    fn of_keys(keys: &ToolKeys, is_preset: bool, report: &mut Report) -> Tool {
        let cmd = keys.cmd.iter().flat_map(|cmd| &cmd.value.0);
        let cmd: Vec<_> = cmd
            .filter_map(|argument| settings::parse(argument, report))
            .collect();
        match (cmd.first(), &keys.cmd) {
            (Some(program), _) if program.value.variables().next().is_some() => report.push(
                Problem::at(
                    program.at,
                    "the program must be written out, without variables",
                )
                .help("a template fills arguments; which program runs is not for it to say"),
            ),
            (None, Some(cmd)) if cmd.value.0.is_empty() => {
                report.push(Problem::at(cmd.at, "the argument vector is empty"));
            }
            _ => {}
        }
        let seconds = |count: i64| count.unsigned_abs() * 1_000;
        let codes = keys.success_exit_codes.as_ref().map(|codes| {
            let codes = codes.value.0.iter();
            codes.map(|code| code.value.0 as i32).collect()
        });
        let output = keys
            .output
            .as_ref()
            .map_or(OutputFormat::default(), |at| at.value.0);
        let (driver, mapping) = agent(keys, &cmd, output, report);
        Tool {
            is_preset,
            mode: keys.mode.as_ref().map_or(Mode::default(), |at| at.value.0),
            cmd: cmd.into_iter().map(|argument| argument.value).collect(),
            stdin: settings::template(&keys.stdin, report).map(|at| at.value),
            output,
            success_exit_codes: codes.unwrap_or_else(|| vec![0]),
            redact: keys.redact.as_ref().is_none_or(|at| at.value.0),
            driver,
            stack: keys
                .stack
                .as_ref()
                .map_or(StackUse::default(), |at| at.value.0),
            model_retries: keys.model_retries.as_ref().map(|at| at.value.0 as u32),
            mapping,
            settings: Settings {
                model: settings::template(&keys.model, report),
                timeout_ms: keys.timeout_sec.as_ref().map(|at| seconds(at.value.0)),
                silence_ms: keys.silence_sec.as_ref().map(|at| seconds(at.value.0)),
                env: settings::env(&keys.env, report),
                permissions: keys.permissions.as_ref().map(|at| at.value.0),
                ..Settings::default()
            },
        }
    }
}

/// What speaks with a tool's agent, and where its lines say what matters.
fn agent(
    keys: &ToolKeys,
    cmd: &[At<Template>],
    output: OutputFormat,
    report: &mut Report,
) -> (Option<DriverKind>, Option<Mapping>) {
    let named = keys.driver.as_ref().map(|at| (at.at, at.value.0));
    let jsonl = output == OutputFormat::Jsonl;
    if let (Some(at), false) = (&keys.jsonl, jsonl) {
        report.push(
            Problem::at(at.at, "`jsonl` means nothing without `output: jsonl`")
                .help("add `output: jsonl`"),
        );
    }
    let plain = |driver: DriverKind| matches!(driver, DriverKind::Jsonl);
    match named {
        Some((at, driver)) if plain(driver) != jsonl => {
            let problem = if plain(driver) {
                Problem::at(at, "the driver jsonl needs `output: jsonl`")
                    .help("add `output: jsonl`")
            } else {
                let message = format!("the driver {} reads its own output", driver.as_str());
                Problem::at(at, message).help("leave `output` out with an agent's driver")
            };
            report.push(problem);
        }
        Some((at, driver)) if !plain(driver) => {
            check_agent(keys, cmd, driver, at, report);
        }
        _ => {}
    }
    let driver = named
        .map(|(_, driver)| driver)
        .or(jsonl.then_some(DriverKind::Jsonl));
    (driver, jsonl.then(|| mapping(keys)))
}

/// Reports what an agent's driver does by itself or not at all.
fn check_agent(
    keys: &ToolKeys,
    cmd: &[At<Template>],
    driver: DriverKind,
    at: super::diagnostic::Span,
    report: &mut Report,
) {
    for argument in cmd {
        let given = argument.value.variables().find(|variable| {
            matches!(variable, Variable::Prompt)
                || matches!(variable, Variable::Model) && driver != DriverKind::Acp
        });
        if let Some(variable) = given {
            let message = format!(
                "the driver {} gives the agent its {variable}",
                driver.as_str()
            );
            report.push(
                Problem::at(argument.at, message)
                    .related(at, "the driver is named here")
                    .help("leave it out of `cmd`: with a driver, that is the program and arguments of your own"),
            );
        }
    }
    let idle = [
        ("stdin", keys.stdin.as_ref().map(|at| at.at)),
        ("output", keys.output.as_ref().map(|at| at.at)),
        (
            "success_exit_codes",
            keys.success_exit_codes.as_ref().map(|at| at.at),
        ),
    ];
    for (name, place) in idle {
        if let Some(place) = place {
            let message = format!("`{name}` means nothing with the driver {}", driver.as_str());
            report.push(Problem::at(place, message).related(at, "the driver is named here"));
        }
    }
}

fn mapping(keys: &ToolKeys) -> Mapping {
    let Some(keys) = keys.jsonl.as_ref().map(|at| &at.value) else {
        return Mapping::default();
    };
    let path =
        |path: &Option<At<super::read::Text>>| path.as_ref().map(|path| path.value.0.clone());
    Mapping {
        result: path(&keys.result),
        error: path(&keys.error),
        session: path(&keys.session),
        model: path(&keys.model),
        input: path(&keys.input),
        output: path(&keys.output),
        cache_read: path(&keys.cache_read),
        cache_write: path(&keys.cache_write),
        cost_usd: path(&keys.cost_usd),
        cumulative: keys.cumulative.as_ref().is_some_and(|at| at.value.0),
    }
}

/// How much agents may add to a run.
fn frame_limits(keys: &LimitsKeys) -> FrameLimits {
    let default = FrameLimits::default();
    FrameLimits {
        depth: keys
            .depth
            .as_ref()
            .map_or(default.depth, |at| at.value.0 as u32),
        count: keys
            .frames
            .as_ref()
            .map_or(default.count, |at| at.value.0 as u32),
        tokens: keys.tokens.as_ref().map(|at| at.value.0 as u64),
        cost_usd: keys.cost_usd.as_ref().map(|at| at.value.0 as f64),
    }
}

/// The limits of pools by name.
pub(crate) fn pools(
    table: Option<&At<Table<Limit>>>,
    report: &mut Report,
) -> BTreeMap<String, u32> {
    let entries = table.map_or(&[][..], |table| &table.value.0);
    let limit = |(name, limit): &(At<String>, At<Limit>)| {
        check_id("pool", name, report);
        (name.value.clone(), limit.value.0 as u32)
    };
    entries.iter().map(limit).collect()
}

/// Names become parts of keys, files and addresses.
pub(crate) fn check_id(what: &str, id: &At<String>, report: &mut Report) {
    if !is_id(&id.value) {
        let message = format!("{} cannot be the name of a {what}", show(&id.value));
        report.push(Problem::at(id.at, message).help("use 1 to 64 letters, digits, `_` and `-`"));
    }
}

/// Adds the project's own rules of redaction.
fn redact(config: &mut Config, keys: Option<&RedactKeys>) {
    let keys = keys.and_then(|keys| keys.rules.as_ref());
    for rule in keys.iter().flat_map(|rules| &rules.value.0) {
        let (Some(name), Some(pattern)) = (&rule.value.name, &rule.value.pattern) else {
            continue;
        };
        let rules = config.rules.clone();
        match rules.with_custom(&name.value.0, &pattern.value.0) {
            Ok(rules) => {
                config.rules = rules;
                config.redact.push(RedactRule {
                    name: name.value.0.clone(),
                    pattern: pattern.value.0.clone(),
                });
            }
            Err(error) => {
                let problem = match &error {
                    // Its first lines draw the pattern again; what is wrong stands in the last.
                    CustomRuleError::Syntax { reason, .. } => {
                        let why = reason.lines().last().unwrap_or_default().trim();
                        let why = why.trim_start_matches("error: ");
                        Problem::at(pattern.at, format!("bad pattern: {why}"))
                    }
                    CustomRuleError::Name { .. } => Problem::at(name.at, error.to_string()),
                    _ => Problem::at(pattern.at, error.to_string()),
                };
                config.report.push(problem);
            }
        }
    }
}

/// The JSON Schema of `fornax.yaml`, for editors.
#[must_use]
pub fn schema() -> serde_json::Value {
    read::root_schema::<ConfigKeys>("fornax.yaml")
}
