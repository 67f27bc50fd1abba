//! OpenAI chat completions.

use bytes::Bytes;
use serde_json::{Value, json};

use super::fault::Fault;
use super::{Answer, Call, MODEL, event, list, pieces, text_of};
use crate::conversation::Conversation;
use crate::reply::{Stop, Usage};

/// The end of a stream.
const DONE: &str = "[DONE]";

pub(super) fn read(body: &Value) -> Conversation {
    let stream = body["stream"] == true;
    let mut talk = Conversation {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream,
        wants_usage: !stream || body["stream_options"]["include_usage"] == true,
        ..Conversation::default()
    };
    talk.tools = list(&body["tools"])
        .filter_map(|tool| tool["function"]["name"].as_str().map(str::to_owned))
        .collect();
    for message in list(&body["messages"]) {
        let text = text_of(&message["content"]);
        match message["role"].as_str() {
            Some("system" | "developer") => talk.system.extend([text.as_str(), "\n"]),
            Some("user") => talk.user_said(&text),
            Some("assistant") => talk.model_answered(),
            Some("tool") => talk.tool_gave(text),
            _ => {}
        }
    }
    talk
}

pub(super) fn whole(answer: &Answer) -> Value {
    let calls: Vec<Value> = answer
        .calls
        .iter()
        .map(|call| {
            json!({
                "id": call_id(call),
                "type": "function",
                "function": {"name": call.name, "arguments": call.args_text()},
            })
        })
        .collect();
    let mut message = json!({"role": "assistant", "content": null});
    if !answer.text.is_empty() || calls.is_empty() {
        message["content"] = json!(answer.text);
    }
    if !answer.thinking.is_empty() {
        message["reasoning_content"] = json!(answer.thinking);
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish_reason(answer)});
    let mut body = envelope(answer, "chat.completion", json!([choice]));
    if let Some(usage) = &answer.usage {
        body["usage"] = usage_of(usage);
    }
    body
}

pub(super) fn frames(answer: &Answer) -> Vec<Bytes> {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    let size = answer.chunk_chars;
    deltas.extend(pieces(&answer.thinking, size).map(|piece| json!({"reasoning_content": piece})));
    deltas.extend(pieces(&answer.text, size).map(|piece| json!({"content": piece})));
    for (index, call) in answer.calls.iter().enumerate() {
        deltas.push(json!({"tool_calls": [{
            "index": index,
            "id": call_id(call),
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }]}));
        deltas.extend(pieces(&call.args_text(), size).map(
            |piece| json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
        ));
    }

    let usage = answer.usage.as_ref().map(usage_of);
    let chunk = |choices: Value, value: Value| {
        let mut chunk = envelope(answer, "chat.completion.chunk", choices);
        if usage.is_some() {
            // Every chunk has the key then; only the last has the value.
            chunk["usage"] = value;
        }
        event(&chunk.to_string())
    };
    let choice = |delta: Value, reason: Value| json!([{"index": 0, "delta": delta, "finish_reason": reason}]);
    let mut frames: Vec<Bytes> = deltas
        .into_iter()
        .map(|delta| chunk(choice(delta, Value::Null), Value::Null))
        .collect();
    frames.push(chunk(
        choice(json!({}), json!(finish_reason(answer))),
        Value::Null,
    ));
    if let Some(usage) = usage.clone() {
        frames.push(chunk(json!([]), usage));
    }
    frames.push(event(DONE));
    frames
}

/// The Responses API has the same errors.
pub(super) fn error(fault: &Fault) -> Value {
    json!({"error": {
        "message": fault.message,
        "type": fault.name,
        "param": null,
        "code": fault.code,
    }})
}

pub(super) fn models() -> Value {
    let model = json!({"id": MODEL, "object": "model", "created": 0, "owned_by": "stub"});
    json!({"object": "list", "data": [model]})
}

fn call_id(call: &Call) -> String {
    format!("call_{}", call.id)
}

fn envelope(answer: &Answer, object: &str, choices: Value) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": object,
        "created": answer.created_s,
        "model": answer.model,
        "choices": choices,
    })
}

fn finish_reason(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::End => "stop",
        Stop::Tool => "tool_calls",
        Stop::Length => "length",
        Stop::Refusal => "content_filter",
    }
}

/// This API counts cached tokens among the prompt's, and has no word for writing a cache.
fn usage_of(usage: &Usage) -> Value {
    let prompt = usage.input + usage.cache_read + usage.cache_write;
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}
