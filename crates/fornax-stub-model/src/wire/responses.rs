//! OpenAI Responses.

use bytes::Bytes;
use serde_json::{Value, json};

use super::fault::Fault;
use super::{Answer, Call, list, named_event, pieces, text_of};
use crate::conversation::Conversation;
use crate::reply::{Stop, Usage};

pub(super) fn read(body: &Value) -> Conversation {
    let mut talk = Conversation {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == true,
        wants_usage: true,
        system: body["instructions"].as_str().unwrap_or_default().to_owned(),
        ..Conversation::default()
    };
    offer(&mut talk, &body["tools"]);
    if let Some(text) = body["input"].as_str() {
        talk.user_said(text);
    }
    // The items of one answer follow each other: they are one round.
    let mut answering = false;
    for item in list(&body["input"]) {
        let kind = item["type"].as_str().unwrap_or("message");
        let text = text_of(&item["content"]);
        let before = std::mem::replace(&mut answering, false);
        match (kind, item["role"].as_str()) {
            ("message", Some("user")) => talk.user_said(&text),
            ("message", Some("system" | "developer")) => {
                talk.system.extend(["\n", text.as_str()]);
            }
            ("additional_tools", _) => {
                offer(&mut talk, &item["tools"]);
                answering = before;
            }
            _ if kind.ends_with("_call_output") => talk.tool_gave(text_of(&item["output"])),
            _ => {
                answering = kind == "message" || kind == "reasoning" || kind.ends_with("_call");
                if answering && !before {
                    talk.model_answered();
                }
            }
        }
    }
    talk
}

/// Tools are offered by name, or in a namespace: those are called `namespace/name`.
fn offer(talk: &mut Conversation, tools: &Value) {
    for tool in list(tools) {
        let Some(name) = tool["name"].as_str() else {
            // The provider's own tools have a type only.
            talk.tools.extend(tool["type"].as_str().map(str::to_owned));
            continue;
        };
        match tool["type"].as_str() {
            Some("namespace") => talk.tools.extend(
                list(&tool["tools"])
                    .filter_map(|inner| inner["name"].as_str())
                    .map(|inner| format!("{name}/{inner}")),
            ),
            kind => {
                if kind == Some("custom") {
                    talk.free_text_tools.push(name.to_owned());
                }
                talk.tools.push(name.to_owned());
            }
        }
    }
}

pub(super) fn whole(answer: &Answer) -> Value {
    let output: Vec<Value> = parts(answer)
        .iter()
        .map(|part| part.item(answer, true))
        .collect();
    ended(answer, output)
}

pub(super) fn frames(answer: &Answer) -> Vec<Bytes> {
    let mut events = Events(Vec::new());
    let begun = envelope(answer, "in_progress");
    events.add("response.created", json!({"response": begun}));
    events.add("response.in_progress", json!({"response": begun}));
    let mut output = Vec::new();
    for (index, part) in parts(answer).iter().enumerate() {
        let at = json!({"output_index": index, "item": part.item(answer, false)});
        events.add("response.output_item.added", at);
        part.stream(answer, index, &mut events);
        let item = part.item(answer, true);
        let at = json!({"output_index": index, "item": item});
        events.add("response.output_item.done", at);
        output.push(item);
    }
    let response = ended(answer, output);
    let name = match response["status"].as_str() {
        Some("incomplete") => "response.incomplete",
        _ => "response.completed",
    };
    events.add(name, json!({"response": response}));
    events.0.iter().map(named_event).collect()
}

pub(super) fn error_event(answer: &Answer, fault: &Fault, sequence_number: usize) -> Value {
    let mut response = envelope(answer, "failed");
    let code = fault.code.as_ref().unwrap_or(&fault.name);
    response["error"] = json!({"code": code, "message": fault.message});
    json!({
        "type": "response.failed", "sequence_number": sequence_number, "response": response,
    })
}

/// Events so far; each knows its number.
struct Events(Vec<Value>);

impl Events {
    fn add(&mut self, name: &str, mut event: Value) {
        event["type"] = json!(name);
        event["sequence_number"] = json!(self.0.len());
        self.0.push(event);
    }
}

/// An item of the output.
enum Part<'a> {
    Reasoning(&'a str),
    Message(&'a str),
    Call(&'a Call),
}

fn parts(answer: &Answer) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    if !answer.thinking.is_empty() {
        parts.push(Part::Reasoning(&answer.thinking));
    }
    if !answer.text.is_empty() {
        parts.push(Part::Message(&answer.text));
    }
    parts.extend(answer.calls.iter().map(Part::Call));
    parts
}

impl Part<'_> {
    fn id(&self, answer: &Answer) -> String {
        match self {
            Self::Reasoning(_) => format!("rs_{}", answer.id),
            Self::Message(_) => format!("msg_{}", answer.id),
            Self::Call(call) => format!("fc_{}", call.id),
        }
    }

    /// The item as it ends, or as it begins: without what will be streamed.
    fn item(&self, answer: &Answer, done: bool) -> Value {
        let id = self.id(answer);
        let status = if done { "completed" } else { "in_progress" };
        match self {
            Self::Reasoning(text) => {
                let summary = done.then(|| summary_text(text));
                json!({"id": id, "type": "reasoning", "summary": Vec::from_iter(summary)})
            }
            Self::Message(text) => {
                let content = done.then(|| output_text(text));
                json!({
                    "id": id, "type": "message", "role": "assistant",
                    "status": status, "content": Vec::from_iter(content),
                })
            }
            Self::Call(call) => {
                let (kind, field, text) = call_words(call);
                let (namespace, name) = match call.name.split_once('/') {
                    Some((namespace, name)) => (Some(namespace), name),
                    None => (None, call.name.as_str()),
                };
                let mut item = json!({
                    "id": id, "type": kind, "status": status,
                    "call_id": format!("call_{}", call.id), "name": name,
                });
                item[field] = json!(if done { text.as_str() } else { "" });
                if let Some(namespace) = namespace {
                    item["namespace"] = json!(namespace);
                }
                item
            }
        }
    }

    fn stream(&self, answer: &Answer, index: usize, events: &mut Events) {
        let size = answer.chunk_chars;
        let at = json!({"item_id": self.id(answer), "output_index": index});
        match self {
            Self::Reasoning(text) => {
                let at = with(&at, "summary_index", json!(0));
                let added = with(&at, "part", summary_text(""));
                events.add("response.reasoning_summary_part.added", added);
                for piece in pieces(text, size) {
                    let delta = with(&at, "delta", json!(piece));
                    events.add("response.reasoning_summary_text.delta", delta);
                }
                let whole = with(&at, "text", json!(text));
                events.add("response.reasoning_summary_text.done", whole);
                let done = with(&at, "part", summary_text(text));
                events.add("response.reasoning_summary_part.done", done);
            }
            Self::Message(text) => {
                let at = with(&at, "content_index", json!(0));
                let added = with(&at, "part", output_text(""));
                events.add("response.content_part.added", added);
                for piece in pieces(text, size) {
                    let delta = with(&at, "delta", json!(piece));
                    events.add("response.output_text.delta", delta);
                }
                events.add("response.output_text.done", with(&at, "text", json!(text)));
                let done = with(&at, "part", output_text(text));
                events.add("response.content_part.done", done);
            }
            Self::Call(call) => {
                let (kind, field, text) = call_words(call);
                let name = match kind {
                    "custom_tool_call" => "response.custom_tool_call_input",
                    _ => "response.function_call_arguments",
                };
                for piece in pieces(&text, size) {
                    let delta = with(&at, "delta", json!(piece));
                    events.add(&format!("{name}.delta"), delta);
                }
                events.add(&format!("{name}.done"), with(&at, field, json!(text)));
            }
        }
    }
}

/// A call's type, the field for what it is given, and that.
fn call_words(call: &Call) -> (&'static str, &'static str, String) {
    match &call.free_text {
        Some(text) => ("custom_tool_call", "input", text.clone()),
        None => ("function_call", "arguments", call.args_text()),
    }
}

fn with(event: &Value, key: &str, value: Value) -> Value {
    let mut event = event.clone();
    event[key] = value;
    event
}

fn summary_text(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn ended(answer: &Answer, output: Vec<Value>) -> Value {
    let cut_short = match answer.stop {
        Stop::End | Stop::Tool => None,
        Stop::Length => Some("max_output_tokens"),
        Stop::Refusal => Some("content_filter"),
    };
    let status = if cut_short.is_some() {
        "incomplete"
    } else {
        "completed"
    };
    let mut response = envelope(answer, status);
    response["output"] = Value::Array(output);
    if let Some(reason) = cut_short {
        response["incomplete_details"] = json!({"reason": reason});
    }
    if let Some(usage) = &answer.usage {
        response["usage"] = usage_of(usage);
    }
    response
}

fn envelope(answer: &Answer, status: &str) -> Value {
    json!({
        "id": format!("resp_{}", answer.id),
        "object": "response",
        "created_at": answer.created_s,
        "model": answer.model,
        "status": status,
        "output": [],
        "error": null,
        "incomplete_details": null,
        "usage": null,
    })
}

/// This API counts what was cached, read or written, among the input's tokens.
fn usage_of(usage: &Usage) -> Value {
    let input = usage.input + usage.cache_read + usage.cache_write;
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": input + usage.output,
    })
}
