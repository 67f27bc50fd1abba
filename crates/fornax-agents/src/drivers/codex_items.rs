//! What the items and errors of Codex's app server say.

use fornax_core::spec::ErrorClass;
use serde_json::{Value, json};

use crate::classify::classify;
use crate::happening::Happening;

/// The tool that is used as this item begins; none where it is none of a tool.
pub(super) fn started(item: &Value, child: Option<String>) -> Option<Happening> {
    let call = item["id"].as_str()?;
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    let (tool, title, input) = match item["type"].as_str() {
        Some("commandExecution") => {
            let input = json!({ "command": item["command"], "cwd": item["cwd"] });
            ("command".to_owned(), text("command"), input)
        }
        Some("fileChange") => {
            let paths = paths(item).join(", ");
            ("file_change".to_owned(), paths, item["changes"].clone())
        }
        Some("mcpToolCall") => {
            let tool = format!("{}/{}", text("server"), text("tool"));
            let title = item["arguments"].to_string();
            (tool, title, item["arguments"].clone())
        }
        Some("collabAgentToolCall") => {
            let input = json!({ "prompt": item["prompt"] });
            (text("tool"), text("prompt"), input)
        }
        Some("webSearch") => {
            let input = json!({ "query": item["query"] });
            ("web_search".to_owned(), text("query"), input)
        }
        _ => return None,
    };
    Some(Happening::ToolCall {
        call: call.to_owned(),
        tool,
        title,
        input,
        child,
    })
}

/// Codex names the kind of an error as a word or as an object with one key.
pub(super) fn classify_error(error: &Value) -> ErrorClass {
    let info = &error["codexErrorInfo"];
    let inner = info.as_object().and_then(|info| info.iter().next());
    let kind = info.as_str().or(inner.map(|(kind, _)| kind.as_str()));
    let status = inner.and_then(|(_, fields)| fields["httpStatusCode"].as_u64());
    let status = status.and_then(|status| u16::try_from(status).ok());
    let text = |field: &str| error[field].as_str().unwrap_or_default();
    let words = format!("{} {}", text("message"), text("additionalDetails"));
    match kind {
        Some("unauthorized") => ErrorClass::Auth,
        _ => classify(status, kind, &words),
    }
}

/// The files that a change is about.
pub(super) fn paths(item: &Value) -> Vec<&str> {
    let changes = item["changes"].as_array().into_iter().flatten();
    changes
        .filter_map(|change| change["path"].as_str())
        .collect()
}
