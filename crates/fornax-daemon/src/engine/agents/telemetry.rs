//! From an agent's session to trace events: each once, also when the session is read again after
//! the daemon was started again.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader};

use fornax_agents::happening::{Entry, Happening};
use fornax_core::agent::{Activity, Usage};
use fornax_core::ids::{RunId, TaskId};
use fornax_core::time::Time;
use fornax_journal::{Project, Stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::files::open_regular;

/// Makes trace events of one task's session.
pub(super) struct Tracer {
    pub run: RunId,
    task: TaskId,
    /// What was written before: a session is read from its beginning again.
    known: HashSet<String>,
    /// Tools that run: the arguments, and since when.
    open: HashMap<String, (Value, Time)>,
}

/// The calls of a task that are in its run's telemetry already.
pub(super) fn known_calls(project: &Project, run: RunId, task: TaskId) -> HashSet<String> {
    #[derive(Deserialize)]
    struct Line {
        task_id: Option<String>,
        call_id: Option<String>,
    }
    let mut known = HashSet::new();
    let task = task.to_string();
    let Ok(file) = open_regular(&project.stream_file(run, Stream::Telemetry)) else {
        return known;
    };
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        // Most lines are of other tasks: only those that name it are taken apart.
        if memchr::memmem::find(&line, task.as_bytes()).is_none() {
            continue;
        }
        let Ok(line) = serde_json::from_slice::<Line>(&line) else {
            continue;
        };
        if line.task_id.as_ref() == Some(&task) {
            known.extend(line.call_id);
        }
    }
    known
}

impl Tracer {
    pub fn new(run: RunId, task: TaskId, known: HashSet<String>) -> Tracer {
        Tracer {
            run,
            task,
            known,
            open: HashMap::new(),
        }
    }

    /// The trace events of these entries, one a line.
    pub fn trace(&mut self, entries: &[Entry], activity: &Activity) -> String {
        let mut lines = String::new();
        for entry in entries {
            let Some((call, mut event)) = self.event(entry, activity) else {
                continue;
            };
            if !self.known.insert(call.clone()) {
                continue;
            }
            event["call_id"] = json!(call);
            event["ts"] = json!(entry.ts);
            event["frame_id"] = json!(self.task.frame);
            event["task_id"] = json!(self.task);
            if let Some(session) = &activity.session {
                event["session_id"].as_str().is_none().then(|| {
                    event["session_id"] = json!(session);
                });
            }
            lines.push_str(&event.to_string());
            lines.push('\n');
        }
        lines
    }

    fn event(&mut self, entry: &Entry, activity: &Activity) -> Option<(String, Value)> {
        match &entry.happening {
            Happening::ModelCall {
                call,
                model,
                provider,
                usage,
                duration_ms,
                child,
            } => {
                let mut event = llm_call(usage);
                event["model"] = json!(model.as_ref().or(activity.model.as_ref()));
                event["provider"] = json!(provider);
                event["duration_ms"] = json!(duration_ms);
                if let Some(child) = child {
                    event["session_id"] = json!(child);
                }
                drop_nulls(&mut event);
                Some((call.clone(), event))
            }
            Happening::ToolCall { call, input, .. } => {
                self.open.insert(call.clone(), (input.clone(), entry.ts));
                None
            }
            Happening::ToolResult {
                call,
                tool,
                success,
                output,
                exit_code,
            } => {
                let open = self.open.remove(call);
                let mut event = json!({
                    "event": "tool_output",
                    "tool": tool,
                    "args": open.as_ref().map(|(input, _)| input),
                    "stdout": output,
                    "exit_code": exit_code,
                    "success": success,
                    "duration_ms": open.as_ref().map(|(_, since)| entry.ts.ms_since(*since)),
                });
                drop_nulls(&mut event);
                Some((format!("tool:{call}"), event))
            }
            Happening::PermissionAnswered { id, decision, by } => Some((
                format!("permission:{id}"),
                json!({
                    "event": "decision",
                    "question": format!("permission {id}"),
                    "answer": decision.as_str(),
                    "reason": format!("by {by}"),
                }),
            )),
            _ => None,
        }
    }
}

fn llm_call(usage: &Usage) -> Value {
    json!({
        "event": "llm_call",
        "tokens_in": usage.input,
        "tokens_out": usage.output,
        "tokens_cache_read": usage.cache_read,
        "tokens_cache_write": usage.cache_write,
        "tokens_reasoning": usage.reasoning,
        "tokens_total": usage.total(),
        "cost_usd": usage.cost_usd,
        "estimated": usage.estimated,
    })
}

fn drop_nulls(event: &mut Value) {
    if let Some(fields) = event.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
}
