//! The tools over the Model Context Protocol: on the daemon's port, and on the standard input and
//! output of `fornax mcp`. The only place that knows the protocol's library.

use std::future::Future;
use std::sync::Arc;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::tools::{Profile, Reply, Tool};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    InitializeResult, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ToolAnnotations,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::Value;

/// What a model is told of the tools as a whole.
const INSTRUCTIONS: &str = "Frames are the call stack of your work. flame_status shows where you are; push a \
    frame for a piece of work with a goal of its own, and pop it with its results.";

/// Who carries calls out.
pub trait Callee: Clone + Send + Sync + 'static {
    /// Has a tool called; `token` is what the request itself proves who it is with, if anything.
    fn call(
        &self,
        tool: &'static Tool,
        arguments: Value,
        token: Option<String>,
    ) -> impl Future<Output = Result<Reply, Error>> + Send;
}

/// The tools as an MCP server.
#[derive(Clone)]
pub struct McpServer<C> {
    callee: C,
    profile: Profile,
}

impl<C: Callee> McpServer<C> {
    /// A server that offers the tools of a profile.
    pub fn new(callee: C, profile: Profile) -> McpServer<C> {
        McpServer { callee, profile }
    }

    /// Serves on standard input and output until the input ends.
    ///
    /// # Errors
    /// Where the client does not speak the protocol.
    pub async fn serve_stdio(self) -> Result<(), Error> {
        let cannot = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Usage, format!("this is no MCP client: {error}"))
                .with_help("`fornax mcp` is started by agents; `fornax frame` is for people")
        };
        let serving = self.serve(rmcp::transport::stdio()).await;
        let serving = serving.map_err(|error| cannot(&error))?;
        serving.waiting().await.map_err(|error| cannot(&error))?;
        Ok(())
    }

    /// The same over streamable HTTP. Each request stands for itself, so nothing is lost when the
    /// daemon is started again.
    pub(crate) fn http(self) -> StreamableHttpService<Self, LocalSessionManager> {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            // The daemon's own guard has looked at host and origin already, their port included.
            .disable_allowed_hosts()
            .disable_allowed_origins();
        StreamableHttpService::new(move || Ok(self.clone()), Arc::default(), config)
    }
}

impl<C: Callee> ServerHandler for McpServer<C> {
    fn get_info(&self) -> InitializeResult {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        InitializeResult::new(capabilities)
            .with_server_info(Implementation::new("fornax", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.profile.tools().map(definition).collect();
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let offered = self.profile.tools().find(|tool| tool.name == request.name);
        let Some(tool) = offered else {
            let message = format!("there is no tool {}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let arguments = request.arguments.map_or(Value::Null, Value::Object);
        let reply = self.callee.call(tool, arguments, bearer(&context)).await;
        // What went wrong is for the model to read and to act upon.
        let result = match reply {
            Ok(reply) => CallToolResult::success(vec![ContentBlock::text(reply.text)]),
            Err(Error { message, help, .. }) => {
                let help = help.map_or_else(String::new, |help| format!("\n{help}"));
                CallToolResult::error(vec![ContentBlock::text(message + &help)])
            }
        };
        Ok(result.into())
    }
}

fn definition(tool: &'static Tool) -> rmcp::model::Tool {
    let schema = match tool.input_schema() {
        Value::Object(schema) => schema,
        _ => serde_json::Map::new(),
    };
    rmcp::model::Tool::new(tool.name, tool.about, schema)
        .with_annotations(ToolAnnotations::new().read_only(tool.read_only))
}

/// The token that came with an HTTP request.
fn bearer(context: &RequestContext<RoleServer>) -> Option<String> {
    let parts = context.extensions.get::<axum::http::request::Parts>()?;
    let said = parts
        .headers
        .get(axum::http::header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = said.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}
