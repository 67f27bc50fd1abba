//! The keys of plan files and of `fornax.yaml`: everything that can be written, in one place.

use std::borrow::Cow;
use std::rc::Rc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::diagnostic::Report;
use super::document::{Node, Value};
use super::read::{
    Choice, Count, Deadline, Delay, Flag, List, Many, Read, Table, Text, expected, keys,
};
use fornax_core::agent::{DriverKind, Permissions};
use fornax_core::frame::StackUse;
use fornax_core::spec::{ErrorClass, Mode, OnFailure, OutputFormat};

/// How many tasks a pool may let run at once.
pub(crate) type Limit = Count<1, 10_000>;
/// How often a frame may be tried again.
pub(crate) type Retries = Count<0, 100>;
/// Higher goes first.
pub(crate) type Priority = Count<-1_000, 1_000>;
/// What an exit code can be.
pub(crate) type ExitCode = Count<0, 255>;

keys! {
    /// A plan: a declarative graph of frames.
    struct PlanKeys {
        /// What the plan is called.
        name: Text = required,
        /// What the whole plan is to achieve.
        goal: Text,
        /// What must or may be given when the plan is started. In templates: `{inputs.NAME}`.
        inputs: Table<InputKeys>,
        /// Settings for all frames of this plan that do not have their own.
        defaults: DefaultsKeys,
        /// Pools of this plan: how many tasks may run at once in each.
        pools: Table<Limit>,
        /// What a failed frame means for the rest: `continue` (the default) or `stop`.
        on_failure: Choice<OnFailure>,
        /// The frame whose results are the plan's results; by default its only last one.
        result: Text,
        /// The frames.
        frames: List<Rc<FrameKeys>> = required,
    }

    /// One frame: a command line (`run`), a tool with a prompt, another plan (`uses`), or frames
    /// of its own.
    struct FrameKeys {
        /// The frame's name among its siblings: letters, digits, `_` and `-`.
        id: Text = required,
        /// What the frame is to achieve.
        goal: Text,
        /// How one sees that it is achieved.
        success_criteria: Text,
        /// What it is called on the page: two to five words.
        title: Text,
        /// A shell script. Variables reach it as data and are never parsed as code.
        run: Text,
        /// The tool that does the work; of a list the first, and after it those that are tried when
        /// it fails with one of the errors of `fallback_on`.
        tool: Many<Text>,
        /// The classes of error on which the next tool of the list is tried.
        fallback_on: Many<Choice<ErrorClass>>,
        /// What happens when an agent asks whether it may do something: `ask` (a human), `allow`,
        /// `deny`.
        permissions: Choice<Permissions>,
        /// What the tool is asked to do; by default the goal.
        prompt: Text,
        /// The model that the tool is to use.
        model: Text,
        /// Frames that must be completed before this one starts.
        depends_on ["dependsOn", "needs"]: Many<Text>,
        /// Frames that this one may run beside. It is checked that no dependency orders them.
        parallel: Many<Text>,
        /// Files that must exist when the frame is done, relative to its working directory.
        outputs: Many<Text>,
        /// The process stage: research, architecture, ...
        phase: Text,
        /// The semantic worker: architecture-agent, ...
        agent_role: Text,
        /// The pool whose slots its tasks take beside the global ones.
        pool: Text,
        /// Higher goes first; 0 by default.
        priority: Priority,
        /// A task is ended when it has run this long.
        timeout: Deadline,
        /// A task is ended when it has written nothing for this long.
        silence_timeout: Deadline,
        /// How many further attempts there may be after the first.
        retries: Retries,
        /// The wait before the first further attempt; it doubles with each one after.
        backoff: Backoff,
        /// The classes of error that are worth another attempt.
        retry_on: Many<Choice<ErrorClass>>,
        /// Variables of the environment.
        env: Table<Text>,
        /// The working directory, relative to the project's.
        workdir: Text,
        /// Skip the frame unless this holds: `LEFT == RIGHT`, `LEFT != RIGHT` or `{variable}`.
        when: Text,
        /// The file of another plan, relative to this one, whose frames nest under this frame.
        uses: Text,
        /// The inputs of the plan that is used.
        with: Table<Text>,
        /// Frames that nest under this frame.
        frames: List<Rc<FrameKeys>>,
        /// The nested frame whose results are this frame's; by default the only last one.
        result: Text,
    }

    /// Settings for frames that do not have their own.
    struct DefaultsKeys {
        /// The tool of frames that have a goal or a prompt but name no tool; of a list the first,
        /// and after it those that are tried when it fails with one of the errors of `fallback_on`.
        tool: Many<Text>,
        /// The classes of error on which the next tool of the list is tried.
        fallback_on: Many<Choice<ErrorClass>>,
        /// What happens when an agent asks whether it may do something: `ask` (a human), `allow`,
        /// `deny`.
        permissions: Choice<Permissions>,
        /// The model that tools are to use.
        model: Text,
        /// The pool whose slots tasks take beside the global ones.
        pool: Text,
        /// Higher goes first; 0 by default.
        priority: Priority,
        /// A task is ended when it has run this long.
        timeout: Deadline,
        /// A task is ended when it has written nothing for this long.
        silence_timeout: Deadline,
        /// How many further attempts there may be after the first.
        retries: Retries,
        /// The wait before the first further attempt; it doubles with each one after.
        backoff: Backoff,
        /// The classes of error that are worth another attempt.
        retry_on: Many<Choice<ErrorClass>>,
        /// Variables of the environment.
        env: Table<Text>,
        /// The working directory, relative to the project's.
        workdir: Text,
    }

    /// `fornax.yaml`: a project's tools, pools and defaults.
    struct ConfigKeys {
        /// The project's tools. One of a preset's name replaces the preset.
        tools: Table<ToolKeys>,
        /// Pools: how many tasks may run at once in each.
        pools: Table<Limit>,
        /// Limits of the whole project.
        limits: LimitsKeys,
        /// What agents are told of the frames around their own.
        context: ContextKeys,
        /// Settings for all frames for which neither their plan nor their tool says otherwise.
        defaults: DefaultsKeys,
        /// What is taken out of everything that is written down.
        redact: RedactKeys,
    }

    /// A wrapper of a command-line program.
    struct ToolKeys {
        /// How it is attached: `batch`.
        mode: Choice<Mode>,
        /// The argument vector. Variables fill parts of single arguments and never split them.
        cmd: List<Text> = required,
        /// Variables of the environment.
        env: Table<Text>,
        /// The model where neither the frame nor its plan names one.
        model: Text,
        /// A task is ended when it has run this many seconds.
        timeout_sec: Count<1, 31_536_000>,
        /// A task is ended when it has written nothing for this many seconds.
        silence_sec: Count<1, 31_536_000>,
        /// What is written to standard input; by default nothing.
        stdin: Text,
        /// How the results are read off its output: `text` (the default), `jsonl` or `none`.
        output: Choice<OutputFormat>,
        /// Where its lines of JSON say what matters, with `output: jsonl`.
        jsonl: MappingKeys,
        /// What speaks with its agent. `cmd` is then the program and arguments of your own; the
        /// driver adds prompt, model and what its protocol needs.
        driver: Choice<DriverKind>,
        /// What happens when its agent asks whether it may do something: `ask` (a human; the
        /// default), `allow`, `deny`.
        permissions: Choice<Permissions>,
        /// How often its agent may try a model call again without progress; 8 by default.
        model_retries: Retries,
        /// Where the frames that its agent pushes are worked on: `apart` (each in a task of its own;
        /// the default), `here` (in the conversation that pushed them), or `off` (it is told nothing
        /// of frames).
        stack: Choice<StackUse>,
        /// Exit codes that count as success; 0 by default.
        success_exit_codes: Many<ExitCode>,
        /// Whether secrets are taken out of its logs; true by default.
        redact: Flag,
    }

    /// Where a line of JSON says what matters: dotted paths, such as `usage.input_tokens`.
    struct MappingKeys {
        /// The result; of several lines that have it, the last counts.
        result: Text,
        /// An error's message: a line that has it means that the task failed.
        error: Text,
        /// The session's id.
        session: Text,
        /// The model's name.
        model: Text,
        /// Input tokens that were not cached.
        input: Text,
        /// Output tokens.
        output: Text,
        /// Input tokens that were read from a cache.
        cache_read: Text,
        /// Input tokens that were written to a cache.
        cache_write: Text,
        /// The cost in US dollars.
        cost_usd: Text,
        /// Whether these are running totals, of which the last counts.
        cumulative: Flag,
    }

    /// Limits of the whole project.
    struct LimitsKeys {
        /// How many tasks may run at once; by default as many as there are processors.
        tasks: Limit,
        /// How deep frames that agents add may lie within one another; 12 by default.
        depth: Count<1, 1_000>,
        /// How many frames agents may add to a run; 500 by default.
        frames: Count<0, 1_000_000>,
        /// Tokens that a run may use before agents may add no more frames to it.
        tokens: Count<1, 1_000_000_000_000>,
        /// What a run may cost, in US dollars, before agents may add no more frames to it.
        cost_usd: Count<1, 1_000_000>,
    }

    /// What agents are told of the frames around their own.
    struct ContextKeys {
        /// How many tokens it may have; 4000 by default.
        budget: Count<200, 200_000>,
    }

    /// What is taken out of everything that is written down, beside what is known as secret.
    struct RedactKeys {
        /// Rules of the project's own.
        rules: List<RuleKeys>,
    }

    /// A rule of redaction.
    struct RuleKeys {
        /// What stands in place of what was taken out.
        name: Text = required,
        /// A regular expression for what is secret.
        pattern: Text = required,
    }

    /// The waits between attempts.
    struct BackoffKeys {
        /// The wait before the first further attempt.
        initial: Delay,
        /// The longest wait; `60s` by default.
        max: Delay,
    }

    /// An input of a plan.
    struct DescribedInput {
        /// What it is for.
        description: Text,
        /// What it is when nothing is given; without a default it must be given.
        default: Text,
    }
}

/// An input: nothing (it must be given), its default, or a mapping.
#[derive(Debug)]
pub(crate) struct InputKeys(pub DescribedInput);

impl Read for InputKeys {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let mut input = DescribedInput::default();
        match &node.value {
            Value::Null => {}
            Value::Scalar { .. } => input.default = super::read::read_at(node, report),
            Value::Map(_) => return DescribedInput::read(node, report).map(InputKeys),
            Value::List(_) => return expected("a default or a mapping", node, report),
        }
        Some(InputKeys(input))
    }
}

impl JsonSchema for InputKeys {
    fn schema_name() -> Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let described = generator.subschema_for::<DescribedInput>();
        let default = generator.subschema_for::<Text>();
        json_schema!({ "anyOf": [{ "type": "null" }, default, described] })
    }
}

/// A duration, or a mapping with the first wait and the longest.
#[derive(Debug)]
pub(crate) struct Backoff(pub BackoffKeys);

impl Read for Backoff {
    fn read(node: &Node, report: &mut Report) -> Option<Self> {
        if let Value::Map(_) = &node.value {
            return BackoffKeys::read(node, report).map(Backoff);
        }
        let initial = super::read::read_at(node, report);
        initial.is_some().then(|| {
            Backoff(BackoffKeys {
                initial,
                ..BackoffKeys::default()
            })
        })
    }
}

impl JsonSchema for Backoff {
    fn schema_name() -> Cow<'static, str> {
        "Waits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<BackoffKeys>();
        let initial = generator.subschema_for::<Delay>();
        json_schema!({ "anyOf": [initial, keys] })
    }
}
