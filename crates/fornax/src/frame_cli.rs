//! What `fornax frame`, `mcp` and `answer` take. `fornax frame VERB` is a subcommand for each tool of the call stack, made of the tools' own schemas, so
//! that the command line and MCP cannot drift apart.

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use fornax_core::tools::{TOOLS, Tool, named_tool, verb};
use serde_json::{Map, Value};

#[derive(Args)]
pub struct Frame {
    /// Act for this session: a name of your own, or an agent's, such as `opencode:ses_1`
    #[arg(long, global = true)]
    pub session: Option<String>,

    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub call: FrameCall,
}

#[derive(Args)]
pub struct Mcp {
    /// Which tools to offer: `core`, `all`, or names with commas between them
    #[arg(long, default_value = "core")]
    pub tools: String,

    /// Act for this session
    #[arg(long)]
    pub session: Option<String>,

    /// Act for the session of the agent that started this: the one that its hooks tell of
    #[arg(long, value_name = "NAME", conflicts_with = "session")]
    pub agent: Option<String>,

    /// Print the tools and what they cost in a model's prompt
    #[arg(long)]
    pub explain: bool,
}

#[derive(Args)]
pub struct Answer {
    /// The question, as `fornax inbox` names it
    pub checkpoint: String,

    /// The answer; `-` for standard input
    pub text: String,
}

/// What begins the names of the tools that are offered here; the others have commands of their own.
const PREFIX: &str = "flame_";

/// What is to be done, as typed.
pub enum FrameCall {
    /// A tool is called.
    Tool {
        /// The tool.
        tool: &'static Tool,
        /// Its arguments.
        arguments: Value,
    },
    /// What Fornax last did in a frame by itself is undone. People may do that, and agents not.
    Undo {
        /// The frame.
        frame: String,
    },
}

/// A parameter of a tool, by its schema.
struct Parameter<'a> {
    name: &'a str,
    schema: &'a Value,
    required: bool,
}

impl Parameter<'_> {
    fn is(&self, kind: &str) -> bool {
        self.schema["type"] == kind
    }

    /// A list of plain words: one option for each.
    fn is_list(&self) -> bool {
        self.is("array") && self.schema["items"]["type"] == "string"
    }

    fn arg(&self) -> Arg {
        let about = self.schema["description"].as_str().unwrap_or_default();
        let arg = Arg::new(self.name.to_owned()).help(about.to_owned());
        let arg = match self.required && !self.is("array") {
            true => arg.required(true),
            false => arg
                .long(self.name.replace('_', "-"))
                .required(self.required),
        };
        if self.is("boolean") {
            // Where it may be left out, what it is then is the tool's to say.
            return arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(["true", "false"])
                .value_name("BOOL");
        }
        let arg = arg.value_name(self.name.to_uppercase());
        if let Some(words) = self.schema["enum"].as_array() {
            let words = words.iter().filter_map(Value::as_str).map(str::to_owned);
            return arg.value_parser(words.collect::<Vec<_>>());
        }
        match () {
            () if self.is_list() => arg.action(ArgAction::Append),
            () if self.is("integer") => arg.value_parser(clap::value_parser!(u64)),
            () if self.is("string") => arg,
            () => arg
                .value_name("JSON")
                .value_parser(ValueParser::new(|text: &str| {
                    serde_json::from_str::<Value>(text)
                })),
        }
    }

    fn value(&self, matches: &ArgMatches) -> Option<Value> {
        if self.is_list() {
            let values = matches.get_many::<String>(self.name)?;
            return Some(values.cloned().collect());
        }
        if self.is("integer") {
            return matches.get_one::<u64>(self.name).copied().map(Value::from);
        }
        if self.is("array") || self.is("object") {
            return matches.get_one::<Value>(self.name).cloned();
        }
        let text = matches.get_one::<String>(self.name)?;
        Some(match self.is("boolean") {
            true => Value::Bool(text == "true"),
            false => Value::String(text.clone()),
        })
    }
}

/// Calls something with each parameter of a tool, those that are required first.
fn each_parameter(tool: &Tool, mut take: impl FnMut(&Parameter<'_>)) {
    let schema = tool.input_schema();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    let parameter = |name| Parameter {
        name,
        schema: &properties[name],
        required: required.contains(&name),
    };
    let others = properties.keys().map(String::as_str);
    let others = others.filter(|name| !required.contains(name));
    for name in required.iter().copied().chain(others) {
        take(&parameter(name));
    }
}

fn frame_tools() -> impl Iterator<Item = &'static Tool> {
    TOOLS.iter().filter(|tool| tool.name.starts_with(PREFIX))
}

impl Subcommand for FrameCall {
    fn augment_subcommands(mut cmd: Command) -> Command {
        for tool in frame_tools() {
            let mut sub = Command::new(verb(tool.name)).about(tool.about.trim_end_matches('.'));
            each_parameter(tool, |parameter| {
                sub = std::mem::take(&mut sub).arg(parameter.arg())
            });
            cmd = cmd.subcommand(sub);
        }
        let undo = Command::new("undo")
            .about("Undo what Fornax last did in a frame by itself: it pushed or popped it")
            .arg(Arg::new("frame_id").value_name("FRAME_ID").required(true));
        cmd.subcommand(undo)
            .subcommand(ContextArgs::augment_args(Command::new("context").about(
                "Show a frame's context as an agent gets it, or what it is made of",
            )))
    }

    fn augment_subcommands_for_update(cmd: Command) -> Command {
        Self::augment_subcommands(cmd)
    }

    fn has_subcommand(name: &str) -> bool {
        name == "context" || name == "undo" || frame_tools().any(|tool| verb(tool.name) == name)
    }
}

// Two tools in one command.
#[derive(Args)]
struct ContextArgs {
    /// The frame; without it the one that you work in
    frame_id: Option<String>,

    /// Show what is in it, what was cut and why, and what changed since the last time
    #[arg(long)]
    explain: bool,

    /// The most tokens it may have
    #[arg(long, conflicts_with = "explain")]
    max_tokens: Option<u64>,
}

impl FromArgMatches for FrameCall {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let mut arguments = Map::new();
        if name == "undo" {
            let frame = matches.get_one::<String>("frame_id").cloned();
            return frame
                .map(|frame| FrameCall::Undo { frame })
                .ok_or_else(missing);
        }
        if name == "context" {
            let args = ContextArgs::from_arg_matches(matches)?;
            let name = if args.explain {
                "flame_context_info"
            } else {
                "flame_context_preview"
            };
            arguments.extend(args.frame_id.map(|id| ("frame_id".to_owned(), id.into())));
            arguments.extend(
                args.max_tokens
                    .map(|most| ("max_tokens".to_owned(), most.into())),
            );
            return Ok(FrameCall::Tool {
                tool: named_tool(name).map_err(|_| missing())?,
                arguments: Value::Object(arguments),
            });
        }
        let tool = frame_tools()
            .find(|tool| verb(tool.name) == name)
            .ok_or_else(missing)?;
        each_parameter(tool, |parameter| {
            if let Some(value) = parameter.value(matches) {
                arguments.insert(parameter.name.to_owned(), value);
            }
        });
        Ok(FrameCall::Tool {
            tool,
            arguments: Value::Object(arguments),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = FrameCall::from_arg_matches(matches)?;
        Ok(())
    }
}
