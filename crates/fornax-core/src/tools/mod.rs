//! The tools with which agents and people work the call stack, and with which an agent that
//! orchestrates starts work and follows it.
//!
//! One definition has four faces: MCP, the command line, HTTP and the page. What a tool does is where
//! its state is; here is what it is called, what it takes, and what is said of it.

mod args;
mod schema;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::error::{Error, ErrorKind};

pub use args::*;

/// What is known of a tool without calling it.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// What it does, for a model.
    pub about: &'static str,
    /// Whether it changes nothing.
    pub read_only: bool,
    /// Whether it is one of the few that every agent is offered.
    pub core: bool,
    schema: fn() -> schemars::Schema,
}

impl Tool {
    /// The JSON Schema of its arguments: small, with nothing in it that a model does not need.
    #[must_use]
    pub fn input_schema(&self) -> Value {
        schema::small((self.schema)().into())
    }

    /// The tokens that its definition takes in a model's prompt, estimated.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let definition = serde_json::json!({
            "name": self.name,
            "description": self.about,
            "input_schema": self.input_schema(),
        });
        crate::context::tokens::estimate(&definition.to_string())
    }
}

/// What a tool answers.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Reply {
    /// For those who read.
    pub text: String,
    /// For those who compute.
    pub data: Value,
}

macro_rules! tools {
    ($($variant:ident = $name:literal, $core:ident, $access:ident, $about:literal;)+) => {
        /// A call of a tool, its arguments checked.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Call {
            $(#[doc = $about] $variant(args::$variant),)+
        }

        /// All tools.
        pub const TOOLS: &[Tool] = &[
            $(Tool {
                name: $name,
                about: $about,
                read_only: tools!(@access $access),
                core: tools!(@core $core),
                schema: || schemars::generate::SchemaSettings::draft2020_12()
                    .with(|settings| settings.inline_subschemas = true)
                    .into_generator()
                    .into_root_schema_for::<args::$variant>(),
            },)+
        ];

        impl Call {
            /// Reads a call.
            ///
            /// # Errors
            /// Where there is no such tool, or the arguments are not what it takes.
            pub fn parse(name: &str, arguments: Value) -> Result<Call, Error> {
                let arguments = match arguments {
                    Value::Null => Value::Object(serde_json::Map::new()),
                    arguments => arguments,
                };
                match name {
                    $($name => read(name, arguments).map(Call::$variant),)+
                    _ => Err(unknown(name)),
                }
            }

            /// The tool that is called.
            #[must_use]
            pub fn tool(&self) -> &'static Tool {
                let name = match self { $(Call::$variant(_) => $name,)+ };
                // Each variant's name stands in the table.
                TOOLS.iter().find(|tool| tool.name == name).unwrap_or(&TOOLS[0])
            }
        }
    };
    (@access read) => { true };
    (@access write) => { false };
    (@core core) => { true };
    (@core more) => { false };
}

tools! {
    Push = "flame_push", core, write,
        "Push a frame for a piece of work with a goal of its own. Returns its context, or says that it is worked on apart.";
    Pop = "flame_pop", core, write,
        "End a frame with its results; the frame above gets them. Returns that frame's context.";
    Status = "flame_status", core, read,
        "Active frame, path from the root, counts, budget.";
    SetGoal = "flame_set_goal", core, write, "Change a frame's goal.";
    AddArtifact = "flame_add_artifact", core, write, "Record a file or URL that came of a frame.";
    AddDecision = "flame_add_decision", core, write, "Record a decision, for those who work near.";
    ContextInfo = "flame_context_info", more, read,
        "What a frame's context holds by section, what was cut and why.";
    ContextPreview = "flame_context_preview", core, read, "A frame's context as an agent gets it.";
    Plan = "flame_plan", core, write, "Plan a frame to be done later.";
    PlanChildren = "flame_plan_children", core, write,
        "Plan several frames, all or none; they may depend on each other by key.";
    Activate = "flame_activate", core, write, "Begin a planned frame, or go on with a blocked or failed one.";
    Navigate = "flame_navigate", more, write,
        "Make a frame in progress this session's active one. Returns its context.";
    Invalidate = "flame_invalidate", more, write,
        "Drop a frame with all that is open in it and all that waits for it; preview shows what would go.";
    Tree = "flame_tree", core, read, "The frames as a tree.";
    GetState = "flame_get_state", more, read, "Every frame, or what changed since a cursor, as JSON.";
    StopAll = "flame_stop_all", more, write,
        "Stop a run, the project or everything; work is kept.";
    Details = "flame_details", core, read, "Everything about one frame, uncut.";
    CacheClear = "flame_cache_clear", more, write, "Forget assembled contexts.";
    Summarize = "flame_summarize", more, write,
        "Have the next compaction be a summary of the frame, and begin it where the agent can.";
    CompactionInfo = "flame_compaction_info", more, read, "Compactions of a session, done and pending.";
    GetSummary = "flame_get_summary", more, read, "What a frame's conversation was shortened to.";
    SubagentConfig = "flame_subagent_config", more, write, "Read or change when subagents get frames.";
    SubagentStats = "flame_subagent_stats", more, write, "Subagents: counts, durations, tokens.";
    SubagentComplete = "flame_subagent_complete", more, write, "End a subagent's frame.";
    SubagentList = "flame_subagent_list", more, read, "Subagents' sessions with their frames.";
    AutonomyConfig = "flame_autonomy_config", more, write,
        "Read or change what comes of signs that a frame should be pushed or popped.";
    ShouldPush = "flame_should_push", more, read, "Whether to push a frame now: a score and why.";
    ShouldPop = "flame_should_pop", more, read, "Whether to pop the frame now: a score and why.";
    AutoSuggest = "flame_auto_suggest", more, write, "Suggestions: pending ones, history, on or off.";
    AutonomyStats = "flame_autonomy_stats", more, write, "Suggestions made, followed, dismissed.";
    RequestInput = "flame_request_input", more, write, "Ask a human and wait for the answer.";
    RunPlan = "run_plan", more, write, "Start a run of a plan.";
    PlanCheck = "plan_check", more, read, "Check a plan without running it.";
    TaskStart = "task_start", more, write, "Start one task with a tool.";
    TaskStatus = "task_status", more, read, "A task's state, results and usage.";
    TaskLogs = "task_logs", more, read, "The end of what a task wrote.";
    TaskStop = "task_stop", more, write, "Stop a task, a frame or a run.";
    RunStatus = "run_status", more, read, "A run's state and its frames.";
}

impl Call {
    /// The frame that it names, where it names one.
    #[must_use]
    pub fn frame_named(&self) -> Option<&str> {
        match self {
            Call::Pop(call) => call.frame_id.as_deref(),
            Call::SetGoal(call) => call.frame_id.as_deref(),
            Call::AddArtifact(call) => call.frame_id.as_deref(),
            Call::AddDecision(call) => call.frame_id.as_deref(),
            Call::ContextInfo(call) => call.frame_id.as_deref(),
            Call::ContextPreview(call) => call.frame_id.as_deref(),
            Call::Plan(call) => call.parent_id.as_deref(),
            Call::PlanChildren(call) => call.parent_id.as_deref(),
            Call::Activate(call) => Some(&call.frame_id),
            Call::Navigate(call) => Some(&call.frame_id),
            Call::Invalidate(call) => call.frame_id.as_deref(),
            Call::Tree(call) => call.root_id.as_deref(),
            Call::Details(call) => Some(&call.frame_id),
            Call::Summarize(call) => call.frame_id.as_deref(),
            Call::GetSummary(call) => call.frame_id.as_deref(),
            _ => None,
        }
    }
}

/// Which tools an agent is offered.
#[derive(Debug, Clone, Default)]
pub enum Profile {
    /// Those that every agent needs.
    #[default]
    Core,
    /// All.
    All,
    /// These.
    List(Vec<&'static Tool>),
}

impl Profile {
    /// Its tools.
    pub fn tools(&self) -> impl Iterator<Item = &'static Tool> + '_ {
        TOOLS.iter().filter(move |tool| match self {
            Profile::Core => tool.core,
            Profile::All => true,
            Profile::List(tools) => tools.iter().any(|listed| listed.name == tool.name),
        })
    }

    /// The tokens that its definitions take in a model's prompt, estimated.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tools().map(Tool::tokens).sum()
    }
}

impl std::str::FromStr for Profile {
    type Err = Error;

    /// `core`, `all`, or names with commas between them.
    fn from_str(text: &str) -> Result<Profile, Error> {
        match text {
            "core" => Ok(Profile::Core),
            "all" => Ok(Profile::All),
            list => {
                let named = list
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty());
                named
                    .map(named_tool)
                    .collect::<Result<_, _>>()
                    .map(Profile::List)
            }
        }
    }
}

/// The tool of a name.
///
/// # Errors
/// Where there is none.
pub fn named_tool(name: &str) -> Result<&'static Tool, Error> {
    let found = TOOLS.iter().find(|tool| tool.name == name);
    found.ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Error {
    let mut names: Vec<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    names.sort_unstable();
    let name: String = name.chars().take(80).collect();
    Error::new(ErrorKind::NotFound, format!("there is no tool `{name}`"))
        .with_help(format!("there are {}", names.join(", ")))
}

fn read<T: serde::de::DeserializeOwned>(name: &str, arguments: Value) -> Result<T, Error> {
    serde_json::from_value(arguments).map_err(|error| {
        Error::new(
            ErrorKind::Usage,
            format!("{name} cannot be called so: {error}"),
        )
        .with_help(format!(
            "`fornax frame {} --help` tells what it takes",
            verb(name)
        ))
    })
}

/// The tool's name on the command line: without `flame_`, with hyphens.
#[must_use]
pub fn verb(name: &str) -> String {
    name.strip_prefix("flame_")
        .unwrap_or(name)
        .replace('_', "-")
}
