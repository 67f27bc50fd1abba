//! What each frame does: its kind, its tool and prompt, its settings, checked and joined.

use std::collections::BTreeMap;

use super::config::{Config, Tool};
use super::diagnostic::{At, Problem, Report, Span, show};
use super::expand::{Item, Layout, Unit};
use super::keys::FrameKeys;
use super::resolve::Room;
use super::settings::{self, Settings};
use super::shell::{self, Script};
use super::variables::{Allow, Dep, Scope};
use super::{PlanFrame, condition, is_inside};
use fornax_core::spec::{Condition, ErrorClass, FrameSpec, Invocation, Retry};
use fornax_core::template::Template;
use fornax_core::title;

/// The errors on which the next tool is tried where nobody says: those that another try of the same
/// would only meet again.
const FALLBACK_ON: [ErrorClass; 4] = [
    ErrorClass::ToolMissing,
    ErrorClass::Auth,
    ErrorClass::RateLimit,
    ErrorClass::Api,
];

/// How long a label is, in characters.
const MAX_LABEL: usize = 100;

/// The frames of a layout, in its order; `results` says whose results stand for a whole list.
pub(crate) fn frames(
    layout: &Layout,
    config: &Config,
    results: &[Option<usize>],
    report: &mut Report,
) -> Vec<PlanFrame> {
    let mut frames = Vec::with_capacity(layout.items.len());
    let mut room = Room::default();
    for (at, result) in results.iter().enumerate() {
        if report.is_full() {
            break;
        }
        let mut frame = frame(layout, at, config, report);
        frame.spec.result_from = *result;
        if !room.takes(&frame.spec, report) {
            break;
        }
        frames.push(frame);
    }
    frames
}

/// What kind of work a frame asks for.
enum Work<'a> {
    /// A shell script.
    Run(At<&'a str>),
    /// A tool with a prompt.
    Tool(At<String>, At<&'a str>),
    /// Frames of its own or of another plan.
    Holds,
}

fn frame(layout: &Layout, at: usize, config: &Config, report: &mut Report) -> PlanFrame {
    let item = &layout.items[at];
    let unit = &layout.units[item.unit];
    let Some(keys) = &item.frame else {
        return root(item, unit, report);
    };
    let deps = |name: &str| {
        let found = layout.find(item.level, name)?;
        let id = last(&layout.items[found]);
        let mut same = item
            .depends_on
            .iter()
            .filter(|(dep, _)| last(&layout.items[*dep]) == id);
        Some(Dep {
            id,
            declared: item.depends_on.iter().any(|(dep, _)| *dep == found),
            alone: same.next().is_none() || same.next().is_none(),
        })
    };
    let mut maker = Maker {
        keys,
        at: item.at,
        unit,
        config,
        scope: Scope {
            inputs: &unit.inputs,
            deps: &deps,
        },
        report,
    };
    let mut frame = maker.frame(item);
    // Where a frame that uses a plan does not say what for, the plan does.
    if let (None, Some(used)) = (&keys.goal, item.uses) {
        let used = &layout.units[used];
        let used_scope = Scope {
            inputs: &used.inputs,
            deps: &|_| None,
        };
        let goal = used.keys.goal.as_ref().or(used.keys.name.as_ref());
        if let Some(goal) = goal.and_then(|goal| settings::parse(goal, report)) {
            used_scope.check(&goal, Allow::Inputs, report);
            frame.goal = used_scope.bind(&goal.value);
        }
    }
    frame
}

/// The frame's own id.
fn last(item: &Item) -> &str {
    item.key.rsplit('.').next().unwrap_or_default()
}

fn root(item: &Item, unit: &Unit, report: &mut Report) -> PlanFrame {
    let keys = &unit.keys;
    let name = keys.name.as_ref().map_or("", |name| &name.value.0);
    let scope = Scope {
        inputs: &unit.inputs,
        deps: &|_| None,
    };
    let goal = settings::template(&keys.goal, report);
    if let Some(goal) = &goal {
        scope.check(goal, Allow::Inputs, report);
    }
    let goal = goal.map_or_else(|| Template::literal(name), |goal| goal.value);
    PlanFrame::new(item, Template::literal(name), goal)
}

struct Maker<'a, 'r> {
    keys: &'a FrameKeys,
    at: Span,
    unit: &'a Unit,
    config: &'a Config,
    scope: Scope<'a>,
    report: &'r mut Report,
}

impl<'a> Maker<'a, '_> {
    fn frame(&mut self, item: &Item) -> PlanFrame {
        let keys = self.keys;
        let goal = settings::template(&keys.goal, self.report);
        let goal = self.filled(goal, Allow::Inputs);
        let title = settings::template(&keys.title, self.report);
        let title = self.filled(title, Allow::Inputs);
        let id = keys.id.as_ref().map_or("", |id| &id.value.0);
        let goal_text = keys.goal.as_ref().map_or("", |goal| &goal.value.0);
        let title = title.map_or_else(
            || Template::literal(title::of(id, goal_text)),
            |title| title.value,
        );
        let goal = goal.map_or_else(|| title.clone(), |goal| goal.value);
        let mut frame = PlanFrame::new(item, title, goal);
        let mut work = self.work();
        let own = Settings::of_frame(keys, self.report);
        let asked = own.over(&self.unit.settings);
        let mut settings = asked.clone();
        let tool = work.as_ref().and_then(|work| self.tool(work));
        if let Some((_, tool)) = &tool {
            settings = settings.over(&tool.settings);
        }
        settings = settings.over(&self.config.defaults);
        if matches!(work, Some(Work::Holds)) {
            work = None;
            settings = Settings::default();
        }
        if let (Some(work), Some((name, tool))) = (work, tool) {
            self.task(&mut frame, &work, (&name, tool), &settings);
            self.fallbacks(&mut frame, &work, &asked);
        }
        frame.outputs = self.outputs();
        frame.spec.phase = self.label(keys.phase.as_ref());
        frame.spec.agent_role = self.label(keys.agent_role.as_ref());
        frame.spec.when = self.condition();
        frame
    }

    /// Which of the kinds of work the frame names. None where it is not clear, which is reported.
    fn work(&mut self) -> Option<Work<'a>> {
        let keys = self.keys;
        let kinds = [
            keys.run.as_ref().map(|run| ("run", run.at)),
            keys.tool.as_ref().map(|tool| ("tool", tool.at)),
            keys.uses.as_ref().map(|uses| ("uses", uses.at)),
            keys.frames.as_ref().map(|frames| ("frames", frames.at)),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let kind = kinds.next();
        if let (Some((first, first_at)), Some((second, second_at))) = (kind, kinds.next()) {
            self.report.push(
                Problem::at(
                    second_at,
                    format!("a frame has `{first}` or `{second}`, not both"),
                )
                .related(first_at, format!("`{first}` stands here")),
            );
            return None;
        }
        self.check_idle_keys(kind.map(|(kind, _)| kind));
        let prompt = keys.prompt.as_ref().or(keys.goal.as_ref());
        let prompt = prompt.map(|prompt| At::new(prompt.at, prompt.value.0.as_str()));
        match kind.map(|(kind, _)| kind) {
            Some("run") => {
                let run = keys.run.as_ref()?;
                Some(Work::Run(At::new(run.at, run.value.0.as_str())))
            }
            Some("uses" | "frames") => Some(Work::Holds),
            _ if keys.flawed => None,
            _ => {
                let tool = settings::tools(&keys.tool)
                    .next()
                    .or_else(|| self.unit.settings.tool.clone())
                    .or_else(|| self.config.defaults.tool.clone());
                let at = keys.tool.as_ref().map_or(self.at, |tool| tool.at);
                let problem = match (tool, prompt) {
                    (Some(tool), Some(prompt)) => return Some(Work::Tool(tool, prompt)),
                    (Some(_), None) => Problem::at(at, "the frame's tool has nothing to do")
                        .help("add a `prompt` or a `goal`"),
                    (None, _) if keys.prompt.is_some() => {
                        Problem::at(at, "the frame has a prompt and no tool")
                            .help("add `tool: NAME`, or one for all under `defaults`")
                    }
                    (None, _) => Problem::at(at, "the frame has nothing to do")
                        .help("add `run`, `tool` with `prompt`, `uses` or `frames`"),
                };
                self.report.push(problem);
                None
            }
        }
    }

    /// Reports keys that mean nothing on a frame of its kind.
    fn check_idle_keys(&mut self, kind: Option<&str>) {
        let keys = self.keys;
        let at = |text: &Option<At<_>>| text.as_ref().map(|at: &At<super::read::Text>| at.at);
        let prompt = [("prompt", at(&keys.prompt)), ("model", at(&keys.model))];
        let with = [("with", keys.with.as_ref().map(|with| with.at))];
        let result = [("result", at(&keys.result))];
        let task = [
            ("pool", at(&keys.pool)),
            ("priority", keys.priority.as_ref().map(|at| at.at)),
            ("timeout", keys.timeout.as_ref().map(|at| at.at)),
            (
                "silence_timeout",
                keys.silence_timeout.as_ref().map(|at| at.at),
            ),
            ("retries", keys.retries.as_ref().map(|at| at.at)),
            ("backoff", keys.backoff.as_ref().map(|at| at.at)),
            ("retry_on", keys.retry_on.as_ref().map(|at| at.at)),
            ("fallback_on", keys.fallback_on.as_ref().map(|at| at.at)),
            ("permissions", keys.permissions.as_ref().map(|at| at.at)),
            ("env", keys.env.as_ref().map(|at| at.at)),
            ("workdir", at(&keys.workdir)),
        ];
        let idle: Vec<_> = match kind {
            Some("run") => prompt.iter().chain(&with).chain(&result).collect(),
            Some("uses") => prompt.iter().chain(&task).chain(&result).collect(),
            Some("frames") => prompt.iter().chain(&task).chain(&with).collect(),
            _ => with.iter().chain(&result).collect(),
        };
        for (name, at) in idle {
            let Some(at) = *at else { continue };
            let problem = match kind {
                Some(kind) => Problem::at(at, format!("`{name}` means nothing beside `{kind}`")),
                None => Problem::at(at, format!("`{name}` means nothing on this frame")),
            };
            self.report.push(match kind {
                Some("uses" | "frames") if task.iter().any(|(task, _)| task == name) => {
                    problem.help("set it on the frames inside, or for all under `defaults`")
                }
                _ => problem,
            });
        }
    }

    fn tool(&mut self, work: &Work<'_>) -> Option<(At<String>, &'a Tool)> {
        let name = match work {
            Work::Run(run) => At::new(run.at, "shell".to_owned()),
            Work::Tool(tool, _) => tool.clone(),
            Work::Holds => return None,
        };
        let tool = self.config.tools.get(&name.value);
        if tool.is_none() {
            self.report.push(self.config.unknown_tool(&name));
        }
        Some((name, tool?))
    }

    fn task(
        &mut self,
        frame: &mut PlanFrame,
        work: &Work<'_>,
        tool: (&At<String>, &Tool),
        settings: &Settings,
    ) {
        frame.spec.invocation = self.invocation(work, tool, settings);
        frame.model = self.filled(settings.model.clone(), Allow::Inputs);
        frame.workdir = self.filled(settings.workdir.clone(), Allow::Inputs);
        if let Some(workdir) = &frame.workdir {
            self.check_path("the working directory", workdir);
        }
        frame.spec.pool = self.pool(settings);
        frame.spec.priority = settings.priority.unwrap_or(0);
        frame.spec.retry = settings.retry();
    }

    /// The tools that are tried after the first. Names of models differ from agent to agent: a
    /// frame's own goes to its first tool only.
    fn fallbacks(&mut self, frame: &mut PlanFrame, work: &Work<'_>, asked: &Settings) {
        let Work::Tool(first, _) = work else {
            return;
        };
        let chain = match asked.tool {
            Some(_) => &asked.fallbacks,
            None => &self.config.defaults.fallbacks,
        };
        let mut names = vec![first.value.as_str()];
        for name in chain {
            if names.contains(&name.value.as_str()) {
                let message = format!("{} is tried already", show(&name.value));
                self.report.push(Problem::at(name.at, message));
                continue;
            }
            names.push(&name.value);
            let Some(tool) = self.config.tools.get(&name.value) else {
                self.report.push(self.config.unknown_tool(name));
                continue;
            };
            let asked = Settings {
                model: None,
                ..asked.clone()
            };
            let settings = asked.over(&tool.settings);
            let model = settings.model.clone();
            let settings = settings.over(&self.config.defaults);
            let invocation = self.invocation(work, (name, tool), &settings);
            frame.spec.fallbacks.extend(invocation);
            frame
                .fallback_models
                .push(self.filled(model, Allow::Inputs));
        }
        if !chain.is_empty() {
            let on = asked.fallback_on.clone();
            let on = on.or_else(|| self.config.defaults.fallback_on.clone());
            frame.spec.fallback_on = on.unwrap_or_else(|| FALLBACK_ON.to_vec());
        } else if let Some(on) = &self.keys.fallback_on {
            self.report.push(
                Problem::at(on.at, "`fallback_on` means nothing with one tool")
                    .help("name others after it: `tool: [opencode, claude]`"),
            );
        }
    }

    fn invocation(
        &mut self,
        work: &Work<'_>,
        (name, tool): (&At<String>, &Tool),
        settings: &Settings,
    ) -> Option<Invocation> {
        let (at, prompt) = match work {
            Work::Run(run) => (run.at, run.value.to_owned()),
            Work::Tool(_, prompt) => (prompt.at, prompt.value.to_owned()),
            Work::Holds => return None,
        };
        let prompt = settings::parse(&At::new(at, super::read::Text(prompt)), self.report);
        if let Some(prompt) = &prompt {
            self.scope.check(prompt, Allow::Prompt, self.report);
        }
        let prompt = prompt.unwrap_or_else(|| At::new(at, Template::default()));
        let work = Allow::Work { prompt: true };
        for template in tool.cmd.iter().chain(&tool.stdin) {
            self.scope.check_tool(template, work, name, self.report);
        }
        let mut env = BTreeMap::new();
        for (variable, value) in &settings.env {
            if tool.settings.env.get(variable) == Some(value) {
                self.scope.check_tool(&value.value, work, name, self.report);
            } else {
                self.scope.check(value, work, self.report);
            }
            env.insert(variable.clone(), value.value.clone());
        }
        let mut invocation = Invocation {
            tool: name.value.clone(),
            mode: tool.mode,
            cmd: tool.cmd.clone(),
            stdin: tool.stdin.clone(),
            prompt: None,
            model: None,
            env,
            workdir: None,
            timeout_ms: settings.timeout_ms,
            silence_ms: settings.silence_ms,
            success_exit_codes: tool.success_exit_codes.clone(),
            output: tool.output,
            redact: tool.redact,
            driver: tool.driver,
            permissions: settings.permissions.unwrap_or_default(),
            model_retries: tool.model_retries,
            stack: tool.stack,
            mapping: tool.mapping.clone(),
            resume: None,
        };
        self.guard(&mut invocation, &prompt, name);
        self.bind(&mut invocation);
        Some(invocation)
    }

    /// Sees to it that no variable becomes part of a shell script.
    fn guard(&mut self, invocation: &mut Invocation, prompt: &At<Template>, name: &At<String>) {
        let mut vars = BTreeMap::new();
        let script = shell::script_of(&invocation.cmd);
        let slot = match script {
            Some(Script::Argument(at)) => invocation.cmd.get_mut(at),
            Some(Script::Stdin) => invocation.stdin.as_mut(),
            None => None,
        };
        let mut guarded_prompt = prompt.value.clone();
        if let Some(slot) = slot {
            let all_prompt = Template::variable(fornax_core::template::Variable::Prompt);
            let guarded = if *slot == all_prompt {
                shell::guard(&prompt.value, &mut vars).map(|script| guarded_prompt = script)
            } else {
                shell::guard(slot, &mut vars).map(|script| *slot = script)
            };
            if let Err(refused) = guarded {
                let variable = format!("{{{}}}", refused.variable);
                let at = self.report.find(prompt.at, &variable);
                let at = if at == prompt.at { name.at } else { at };
                self.report.push(
                    Problem::at(at, format!("{variable} cannot stand {}", refused.why))
                        .help(refused.help),
                );
            }
        }
        invocation.env.extend(vars);
        invocation.prompt = Some(guarded_prompt);
    }

    fn bind(&self, invocation: &mut Invocation) {
        let templates = invocation.cmd.iter_mut().chain(&mut invocation.stdin);
        let templates = templates.chain(&mut invocation.prompt);
        for template in templates.chain(invocation.env.values_mut()) {
            *template = self.scope.bind(template);
        }
    }

    fn pool(&mut self, settings: &Settings) -> Option<String> {
        let pool = settings.pool.as_ref()?;
        let own = self.unit.keys.pools.iter().flat_map(|pools| &pools.value.0);
        let own = own.map(|(name, _)| name.value.as_str());
        let known = own.chain(self.config.pools.keys().map(String::as_str));
        if !known.clone().any(|known| known == pool.value) {
            self.report.push(
                Problem::at(pool.at, format!("unknown pool {}", show(&pool.value)))
                    .help(format!("add it: `pools: {{{}: 1}}`", pool.value))
                    .suggest(&pool.value, known),
            );
        }
        Some(pool.value.clone())
    }

    fn outputs(&mut self) -> Vec<At<Template>> {
        let keys = self.keys;
        let outputs = keys.outputs.iter().flat_map(|outputs| &outputs.value.0);
        let mut checked = Vec::new();
        for output in outputs {
            let output = settings::parse(output, self.report);
            if let Some(output) = self.filled(output, Allow::Inputs) {
                self.check_path("an output", &output);
                checked.push(output);
            }
        }
        checked
    }

    /// A path without variables is checked now, others when their inputs are known.
    fn check_path(&mut self, what: &str, path: &At<Template>) {
        if let Ok(text) = path.value.fill(|_| Err(()))
            && let Err(why) = is_inside(&text)
        {
            self.report
                .push(super::path_problem(what, path.at, &text, why));
        }
    }

    fn label(&mut self, text: Option<&At<super::read::Text>>) -> Option<String> {
        let text = text?;
        let label = text.value.0.trim();
        if label.is_empty() || label.chars().count() > MAX_LABEL || label.contains('\n') {
            let message = format!("a label is one line of 1 to {MAX_LABEL} characters");
            self.report.push(Problem::at(text.at, message));
        }
        Some(label.to_owned())
    }

    fn condition(&mut self) -> Option<Condition> {
        let when = self.keys.when.as_ref()?;
        let Condition {
            left,
            compare,
            right,
        } = condition::parse(when, self.report)?;
        let [left, right] = [left, right].map(|side| {
            let side = At::new(when.at, side);
            self.scope.check(&side, Allow::When, self.report);
            self.scope.bind(&side.value)
        });
        Some(Condition {
            left,
            compare,
            right,
        })
    }

    /// The template, checked and with what is known filled in.
    fn filled(&mut self, template: Option<At<Template>>, allow: Allow) -> Option<At<Template>> {
        let template = template?;
        self.scope.check(&template, allow, self.report);
        Some(At::new(template.at, self.scope.bind(&template.value)))
    }
}

impl PlanFrame {
    fn new(item: &Item, title: Template, goal: Template) -> PlanFrame {
        PlanFrame {
            spec: FrameSpec {
                key: item.key.clone(),
                parent: item.parent,
                depends_on: item.depends_on.iter().map(|(dep, _)| *dep).collect(),
                result_from: None,
                title: title.to_string(),
                goal: goal.to_string(),
                success_criteria: item
                    .frame
                    .as_ref()
                    .and_then(|keys| keys.success_criteria.as_ref())
                    .map(|criteria| criteria.value.0.clone()),
                invocation: None,
                fallbacks: Vec::new(),
                fallback_on: Vec::new(),
                outputs: Vec::new(),
                phase: None,
                agent_role: None,
                pool: None,
                priority: 0,
                when: None,
                retry: Retry::default(),
            },
            title,
            goal,
            outputs: Vec::new(),
            workdir: None,
            model: None,
            fallback_models: Vec::new(),
        }
    }
}
