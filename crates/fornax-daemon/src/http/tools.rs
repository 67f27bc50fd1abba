//! The routes of the tools: what there are, a call, and what agents' plugins and hooks tell.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use fornax_core::request::{ReportRequest, ToolRequest};
use fornax_core::tools::{Profile, Reply};
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::{Fail, Input, Path, Query};
use super::backend::Backend;

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
