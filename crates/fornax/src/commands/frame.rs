//! The call stack by hand, `frame`, and for agents, `mcp`; and answers to what is asked in it, `answer`.

use std::path::PathBuf;
use std::time::Duration;

use fornax_core::error::{EXIT_DONE, Error, ErrorKind};
use fornax_core::request::{Caller, Request, ToolRequest};
use fornax_core::tools::{Profile, Reply, Tool};
use fornax_daemon::client::{Client, encode};
use fornax_daemon::home::Home;
use fornax_daemon::mcp::{Callee, McpServer};
use serde_json::Value;

use super::Context;
use super::acts::text_or_stdin;
use crate::agent_session::agent_session;
use crate::daemon::{Daemon, fresh_id};
use crate::failure::{Failure, Outcome};
use crate::frame_cli::{Answer, Frame, FrameCall, Mcp};
use crate::out;
use crate::render::table::Table;
use crate::text::safe;

/// What tasks find in their environment: where the daemon is called, and with which token.
const SOCKET: &str = "FORNAX_SOCKET";
const TOKEN: &str = "FORNAX_SESSION_TOKEN";

/// How often and how long a daemon that does not answer is tried again: it may just be started again.
const TRIES: u32 = 40;
const AGAIN: Duration = Duration::from_millis(250);

pub async fn frame(context: &Context, args: Frame) -> Outcome {
    let (tool, arguments) = match args.call {
        FrameCall::Tool { tool, arguments } => (tool, arguments),
        FrameCall::Undo { frame } => return undo(context, frame).await,
    };
    let caller = match std::env::var(TOKEN).ok().filter(|_| args.session.is_none()) {
        Some(token) => Caller {
            token: Some(token),
            ..Caller::default()
        },
        None => {
            let (_, project) = context.project().await?;
            Caller {
                project: Some(project.id),
                session: args.session,
                ..Caller::default()
            }
        }
    };
    let request = ToolRequest {
        caller,
        cmd_id: None,
        arguments,
    };
    let reply = call(tool, &request).await?;
    if args.json {
        out::json(&reply.data)?;
    } else {
        out::print(&safe(reply.text.trim_end()))?;
    }
    Ok(EXIT_DONE)
}

async fn undo(context: &Context, frame: String) -> Outcome {
    let (daemon, project) = context.project().await?;
    let request = Request::UndoAuto {
        frame: frame.clone(),
    };
    daemon.command(&project, request).await?;
    out::print(&format!("undone in {}", safe(&frame)))?;
    Ok(EXIT_DONE)
}

pub async fn answer(context: &Context, args: Answer) -> Outcome {
    let request = Request::Answer {
        checkpoint: args.checkpoint.clone(),
        answer: text_or_stdin(args.text)?,
    };
    let (daemon, project) = context.project().await?;
    daemon.command(&project, request).await?;
    out::print(&format!("answered {}", safe(&args.checkpoint)))?;
    Ok(EXIT_DONE)
}

pub async fn mcp(context: &Context, args: Mcp) -> Outcome {
    let profile: Profile = args.tools.parse()?;
    if args.explain {
        return explain(&profile);
    }
    let token = std::env::var(TOKEN).ok();
    let caller = match token.filter(|_| args.session.is_none()) {
        Some(token) => Caller {
            token: Some(token),
            ..Caller::default()
        },
        None => Caller {
            dir: Some(context.project_dir()?.dir),
            session: match &args.agent {
                Some(agent) => Some(agent_session(agent)?.to_string()),
                None => args.session,
            },
            ..Caller::default()
        },
    };
    let server = McpServer::new(Speaking { caller }, profile);
    server.serve_stdio().await?;
    Ok(EXIT_DONE)
}

/// The tools of a profile and what they cost in a prompt.
fn explain(profile: &Profile) -> Outcome {
    let mut table = Table::new(&["TOOL", "TOKENS", "CHANGES", "WHAT IT DOES"]);
    for tool in profile.tools() {
        let changes = if tool.read_only { "nothing" } else { "frames" };
        table.row(vec![
            tool.name.to_owned(),
            tool.tokens().to_string(),
            changes.to_owned(),
            tool.about.to_owned(),
        ]);
    }
    out::print(&table.render(out::columns()))?;
    out::print(&format!(
        "{} tools, about {} tokens in a prompt (estimated)",
        profile.tools().count(),
        profile.tokens()
    ))?;
    Ok(EXIT_DONE)
}

/// A client of the protocol that speaks over standard input and output.
#[derive(Clone)]
struct Speaking {
    caller: Caller,
}

impl Callee for Speaking {
    async fn call(
        &self,
        tool: &'static Tool,
        arguments: Value,
        _token: Option<String>,
    ) -> Result<Reply, Error> {
        let request = ToolRequest {
            caller: self.caller.clone(),
            cmd_id: None,
            arguments,
        };
        call(tool, &request).await
    }
}

/// Calls a tool. A daemon that dies meanwhile is found again, and the call's id sees to it that it is
/// carried out once.
async fn call(tool: &Tool, request: &ToolRequest) -> Result<Reply, Error> {
    let request = ToolRequest {
        cmd_id: Some(fresh_id()?),
        ..request.clone()
    };
    let path = format!("/api/tools/{}", encode(tool.name));
    let mut tries = 0;
    loop {
        let reply = match reach().await {
            Ok(client) => client.post_json(&path, &request).await,
            Err(error) => Err(error),
        };
        match reply {
            Err(error) if error.kind == ErrorKind::Unavailable && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(AGAIN).await;
            }
            reply => return reply,
        }
    }
}

/// The daemon of the task that this runs in; else the user's own, started where none runs.
async fn reach() -> Result<Client, Error> {
    if let Some(socket) = std::env::var_os(SOCKET) {
        return Client::compatible(PathBuf::from(socket)).await;
    }
    let home = Home::from_env()?;
    let reached = Daemon::reach(&home).await;
    reached.map_err(Failure::into_error)?;
    Client::connect(&home).await
}
