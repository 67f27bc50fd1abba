//! What Codex is told on its command line, however it is run.

use serde_json::json;

use crate::job::{Job, McpServer};

/// The settings that name Fornax's server. It gets a bare environment: what it needs of the agent's is
/// named, and no value stands in the command line.
pub(super) fn mcp_settings(job: &Job) -> Vec<String> {
    let Some(server) = &job.mcp else {
        return Vec::new();
    };
    let names: Vec<&String> = server.env.keys().collect();
    let settings = [
        ("command", json!(server.command)),
        ("args", json!(server.args)),
        ("env_vars", json!(names)),
        // What changes nothing but frames needs no leave.
        ("default_tools_approval_mode", json!("approve")),
    ];
    // A JSON string or list of strings is one of TOML's as well.
    let pairs = settings.into_iter().flat_map(|(name, value)| {
        let setting = format!("mcp_servers.{}.{name}={value}", McpServer::NAME);
        ["-c".to_owned(), setting]
    });
    pairs.collect()
}
