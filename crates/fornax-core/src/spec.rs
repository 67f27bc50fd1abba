//! What is to be done: a plan after everything in it has been checked and resolved.
//!
//! A [`RunSpec`] holds all that the engine needs to work a run; journals carry its parts, so that a
//! run can be repeated after its plan's file has changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::{DriverKind, Mapping, Permissions, Resume};
use crate::frame::{FrameLimits, StackUse};
use crate::template::{Template, Variable};

/// One execution of a plan, ready to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The plan's name.
    pub name: String,
    /// Where the plan was read from, relative to the project where it is inside of it; absent for a
    /// task that was started by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The inputs, defaults filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// What a failed frame means for the rest.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Limits of the plan's own pools: name and how many tasks may run in it at once. A frame's
    /// `pool` is looked up here first, then among the project's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, u32>,
    /// How much agents may add to the run.
    #[serde(default, skip_serializing_if = "FrameLimits::is_default")]
    pub limits: FrameLimits,
    /// The frames. The first is the root; every other follows its parent.
    pub frames: Vec<FrameSpec>,
}

/// What the rest of a run does when a frame has failed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Frames that do not depend on the failed one go on.
    #[default]
    Continue,
    /// Nothing new starts and what runs is stopped.
    Stop,
}

/// One frame of a [`RunSpec`]. `parent` and `depends_on` are places in its list of frames.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct FrameSpec {
    /// The frame's name in the plan; names of nested frames are joined with dots: `build.test`.
    pub key: String,
    /// The parent; none for the root only.
    #[serde(skip)]
    pub parent: Option<usize>,
    /// The frames that must be completed before this one starts.
    #[serde(skip)]
    pub depends_on: Vec<usize>,
    /// On a group: the frame within it whose results become its own.
    #[serde(skip)]
    pub result_from: Option<usize>,
    /// What it is called on the page: a few words.
    pub title: String,
    /// What it is to achieve.
    pub goal: String,
    /// How one sees that it is achieved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success_criteria: Option<String>,
    /// How it is done: one invocation of a tool. None for a frame that only holds others together:
    /// it starts with its first child and ends with its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation: Option<Invocation>,
    /// The tools that are tried after it, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Invocation>,
    /// The classes of error on which the next tool is tried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_on: Vec<ErrorClass>,
    /// Files that must exist when the work is done, relative to the working directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// The process stage: research, architecture, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The semantic worker: architecture-agent, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_role: Option<String>,
    /// The pool whose slots its tasks take beside the global ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Higher goes first. One step is worth one ageing interval of waiting.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Skip the frame unless this holds; judged when its dependencies are completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Condition>,
    /// What happens when a task of it does not succeed.
    #[serde(default)]
    pub retry: Retry,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_zero(value: &i32) -> bool {
    *value == 0
}

/// One use of a tool: the tool's settings with the frame's on top.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Invocation {
    /// The tool's name.
    pub tool: String,
    /// How it is attached.
    #[serde(default)]
    pub mode: Mode,
    /// The argument vector. Each template becomes exactly one argument.
    pub cmd: Vec<Template>,
    /// What is written to standard input; none means that it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Template>,
    /// What `{prompt}` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Template>,
    /// What `{model}` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Variables set on top of the daemon's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Template>,
    /// The working directory, relative to the project's; absent for the project's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// The task is ended when it has run this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The task is ended when it has written nothing for this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_ms: Option<u64>,
    /// Exit codes that count as success.
    pub success_exit_codes: Vec<i32>,
    /// How the results are read off what it wrote.
    #[serde(default)]
    pub output: OutputFormat,
    /// Whether secrets are taken out of the logs as they are written.
    #[serde(default = "yes")]
    pub redact: bool,
    /// What speaks with the agent; none for a plain command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverKind>,
    /// What happens when the agent asks whether it may do something.
    #[serde(default, skip_serializing_if = "is_ask")]
    pub permissions: Permissions,
    /// How often the agent may try a model call again without progress; none for the driver's own
    /// limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_retries: Option<u32>,
    /// Where the frames that the agent pushes are worked on.
    #[serde(default, skip_serializing_if = "StackUse::is_default")]
    pub stack: StackUse,
    /// Where the lines of JSON that the tool writes say what matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// The conversation that the agent goes on with; none for one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
}

fn yes() -> bool {
    true
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
fn is_ask(permissions: &Permissions) -> bool {
    *permissions == Permissions::Ask
}

impl FrameSpec {
    /// The invocation of a place in the chain of tools: 0 is the frame's own, the others are its
    /// fallbacks.
    #[must_use]
    pub fn invocation_at(&self, place: u32) -> Option<&Invocation> {
        match place.checked_sub(1) {
            None => self.invocation.as_ref(),
            Some(fallback) => self.fallbacks.get(fallback as usize),
        }
    }
}

/// How a task is attached to its tool.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Standard output and error apart, into files.
    #[default]
    Batch,
}

/// How a frame's results are read off what its task wrote.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// The results are what stands on standard output; of a long one, its end.
    #[default]
    Text,
    /// Lines of JSON; the tool's mapping says where the results are.
    Jsonl,
    /// There are no results.
    None,
}

/// When and how often a frame is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How many further attempts there may be after the first.
    pub retries: u32,
    /// The wait before the first further attempt; it doubles with each one after.
    pub backoff_ms: u64,
    /// The longest wait.
    pub backoff_max_ms: u64,
    /// The classes of error that are worth another attempt.
    pub on: Vec<ErrorClass>,
}

impl Default for Retry {
    fn default() -> Self {
        use ErrorClass as E;
        Retry {
            retries: 0,
            backoff_ms: 1_000,
            backoff_max_ms: 60_000,
            // Not among them: what another attempt cannot mend (a missing tool, a bad key), what a
            // human wanted (cancelled), and `lost`: whether the work was done is not known, so only
            // a plan that says its frame may be done twice has it done twice.
            on: vec![
                E::ExitNonzero,
                E::Signal,
                E::Timeout,
                E::Silence,
                E::Spawn,
                E::RateLimit,
                E::Api,
                E::OutputMissing,
            ],
        }
    }
}

/// Why a task did not succeed.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ErrorClass {
    /// It ended with an exit code that does not count as success.
    ExitNonzero,
    /// It was ended by a signal that was not ours.
    Signal,
    /// It ran longer than it may.
    Timeout,
    /// It wrote nothing for longer than it may.
    Silence,
    /// It could not be started.
    Spawn,
    /// Its program is not there.
    ToolMissing,
    /// The provider refused the credentials.
    Auth,
    /// The provider asked to slow down.
    RateLimit,
    /// The conversation outgrew the model's window.
    ContextOverflow,
    /// The provider failed otherwise.
    Api,
    /// A gate did not pass.
    Gate,
    /// A declared output is not there.
    OutputMissing,
    /// Its changes did not merge.
    MergeConflict,
    /// It met the budget's wall.
    Budget,
    /// Somebody stopped it.
    Cancelled,
    /// Its outcome is not known.
    Lost,
}

/// A comparison of two texts after their variables are filled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The left side.
    pub left: Template,
    /// How the sides are compared.
    pub compare: Compare,
    /// The right side.
    pub right: Template,
}

/// How a [`Condition`] compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Condition {
    /// Whether it holds.
    ///
    /// # Errors
    /// The first error of `lookup`.
    pub fn holds<E>(
        &self,
        mut lookup: impl FnMut(&Variable) -> Result<String, E>,
    ) -> Result<bool, E> {
        let equal = self.left.fill(&mut lookup)? == self.right.fill(&mut lookup)?;
        Ok(match self.compare {
            Compare::Equal => equal,
            Compare::NotEqual => !equal,
        })
    }
}
