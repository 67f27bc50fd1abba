//! What an agent's host wrote down, as the call stack is told of it.

use std::collections::HashMap;

use fornax_agents::happening::Happening;
use fornax_core::frame::Report;

/// How many calls of tools are remembered that have not ended.
const OPEN_MAX: usize = 1_000;

/// The calls of tools that go on: what a tool was called for is told when it begins, and how it went
/// when it ends.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<String, Call>,
}

#[derive(Debug)]
struct Call {
    title: String,
    /// Whether a subagent made it.
    by_child: bool,
}

impl Calls {
    /// What the call stack is told of a happening. What subagents do is theirs.
    pub fn report(&mut self, happening: &Happening) -> Option<Report> {
        match happening {
            Happening::TurnStarted { prompt, .. } => Some(Report::Prompted {
                text: prompt.clone(),
            }),
            Happening::ToolCall {
                call, title, child, ..
            } => {
                if self.open.len() < OPEN_MAX {
                    let by_child = child.is_some();
                    let title = title.clone();
                    self.open.insert(call.clone(), Call { title, by_child });
                }
                None
            }
            Happening::ToolResult {
                call,
                tool,
                success,
                exit_code,
                ..
            } => {
                let known = self.open.remove(call);
                if known.as_ref().is_some_and(|call| call.by_child) {
                    return None;
                }
                Some(Report::ToolEnded {
                    tool: tool.clone(),
                    title: known.map(|call| call.title).unwrap_or_default(),
                    success: *success && exit_code.is_none_or(|code| code == 0),
                })
            }
            Happening::FileChanged { path } => Some(Report::FileChanged { path: path.clone() }),
            Happening::ModelCall {
                usage, child: None, ..
            } => Some(Report::Used {
                tokens: usage.total(),
            }),
            Happening::Compacted { .. } => Some(Report::Compacted {
                summary: String::new(),
                tokens_before: None,
                tokens_after: None,
            }),
            Happening::TurnEnded(_) => Some(Report::TurnEnded),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What is told of the happenings of a recorded session.
    fn told(lines: &[Value]) -> Vec<Value> {
        let mut calls = Calls::default();
        let happenings = lines
            .iter()
            .map(|line| serde_json::from_value(line.clone()).unwrap());
        happenings
            .filter_map(|happening| calls.report(&happening))
            .map(|report| json!(report))
            .collect()
    }

    #[test]
    fn a_tool_is_told_once_with_its_title_and_how_it_went() {
        let call = |call: &str, child: Value| {
            json!({ "type": "tool_call", "call": call, "tool": "bash", "title": "cargo test",
                "input": {}, "child": child })
        };
        let result = |call: &str, exit_code: u32| {
            json!({ "type": "tool_result", "call": call, "tool": "bash", "success": true,
                "output": "", "exit_code": exit_code })
        };
        let told = told(&[
            json!({ "type": "turn_started", "turn": 1, "prompt": "Mend it" }),
            call("1", Value::Null),
            call("2", json!("ses_2")),
            result("2", 0),
            result("1", 101),
            call("3", Value::Null),
            result("3", 0),
            json!({ "type": "file_changed", "path": "a.rs" }),
            json!({ "type": "turn_ended", "end": "completed", "result": "done" }),
        ]);
        let ended = |success: bool| {
            json!({ "type": "tool_ended", "tool": "bash", "title": "cargo test",
                "success": success })
        };
        assert_eq!(
            told,
            [
                json!({ "type": "prompted", "text": "Mend it" }),
                ended(false),
                ended(true),
                json!({ "type": "file_changed", "path": "a.rs" }),
                json!({ "type": "turn_ended" }),
            ]
        );
    }

    #[test]
    fn what_subagents_use_is_theirs() {
        let used = |child: Value| {
            json!({ "type": "model_call", "call": "1", "usage": { "input": 7, "output": 3 },
                "child": child })
        };
        let told = told(&[used(Value::Null), used(json!("ses_2"))]);
        assert_eq!(told, [json!({ "type": "used", "tokens": 10 })]);
    }
}
