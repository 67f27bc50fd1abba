//! The routes of the tools: what there are, a call, and what agents' plugins and hooks tell.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use fornax_core::error::Error;
use fornax_core::request::{Caller, ReportRequest, ToolRequest};
use fornax_core::tools::{Profile, Reply, Tool};
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::{Fail, Input, Path, Query};
use super::backend::Backend;
use crate::mcp::{Callee, McpServer};

type Site<B> = State<Arc<App<B>>>;

/// A tool, as MCP names its parts.
#[derive(Serialize)]
pub(crate) struct Definition {
    name: &'static str,
    description: &'static str,
    input_schema: serde_json::Value,
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// `core`, `all`, or names with commas between them.
    #[serde(default)]
    profile: Option<String>,
}

/// `GET /api/tools`
pub(crate) async fn list(Query(wanted): Query<Wanted>) -> Result<Json<Vec<Definition>>, Fail> {
    let profile: Profile = wanted.profile.as_deref().unwrap_or("core").parse()?;
    let tools = profile.tools().map(|tool| Definition {
        name: tool.name,
        description: tool.about,
        input_schema: tool.input_schema(),
        read_only: tool.read_only,
    });
    Ok(Json(tools.collect()))
}

/// Who speaks MCP, where no session's token says so, and which tools they are offered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Speaker {
    #[serde(default)]
    tools: Option<String>,
    #[serde(default)]
    project: Option<String>,
    #[serde(default)]
    dir: Option<PathBuf>,
    #[serde(default)]
    session: Option<String>,
}

/// `POST /mcp`: the Model Context Protocol over streamable HTTP.
pub(crate) async fn mcp<B: Backend>(
    State(app): Site<B>,
    Query(speaker): Query<Speaker>,
    request: Request,
) -> Result<Response, Fail> {
    let profile = speaker.tools.as_deref().unwrap_or("core").parse()?;
    let callee = Speaking {
        app,
        caller: Caller {
            project: speaker.project,
            dir: speaker.dir,
            session: speaker.session,
            token: None,
        },
    };
    let answer = McpServer::new(callee, profile).http().handle(request).await;
    Ok(answer.map(Body::new))
}

/// A client of the protocol, as a caller of tools.
struct Speaking<B> {
    app: Arc<App<B>>,
    caller: Caller,
}

impl<B> Clone for Speaking<B> {
    fn clone(&self) -> Self {
        Speaking {
            app: Arc::clone(&self.app),
            caller: self.caller.clone(),
        }
    }
}

impl<B: Backend> Callee for Speaking<B> {
    async fn call(
        &self,
        tool: &'static Tool,
        arguments: serde_json::Value,
        token: Option<String>,
    ) -> Result<Reply, Error> {
        let mut caller = self.caller.clone();
        // The installation's own token lets one speak for any session, as the socket does.
        caller.token = token.filter(|token| self.app.auth.is_of_session(token));
        let request = ToolRequest {
            caller,
            cmd_id: None,
            arguments,
        };
        self.app.backend.tool(tool.name, request).await
    }
}

/// `POST /api/tools/{name}`
pub(crate) async fn call<B: Backend>(
    State(app): Site<B>,
    Path(name): Path<String>,
    Input(request): Input<ToolRequest>,
) -> Result<Json<Reply>, Fail> {
    Ok(Json(app.backend.tool(&name, request).await?))
}

/// `POST /api/sessions/report`
pub(crate) async fn report<B: Backend>(
    State(app): Site<B>,
    Input(request): Input<ReportRequest>,
) -> Result<StatusCode, Fail> {
    app.backend.report(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Answer of `POST /api/sessions/compacting`.
#[derive(Serialize)]
pub(crate) struct Guide {
    text: String,
}

/// `POST /api/sessions/compacting`
pub(crate) async fn compacting<B: Backend>(
    State(app): Site<B>,
    Input(caller): Input<Caller>,
) -> Result<Json<Guide>, Fail> {
    let text = app.backend.compacting(caller).await?;
    Ok(Json(Guide { text }))
}
