//! OpenAI chat completions.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Answer, pieces};
use crate::conversation::Conversation;
use crate::reply::{ErrorReply, Stop, Usage};

/// The end of a stream.
const DONE: &str = "[DONE]";

pub(super) fn read(body: &Value) -> Conversation {
    let mut talk = Conversation {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == true,
        stream_usage: body["stream_options"]["include_usage"] == true,
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
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.args},
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

pub(super) fn frames(answer: &Answer, with_usage: bool) -> Vec<Bytes> {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    let size = answer.chunk_chars;
    deltas.extend(pieces(&answer.thinking, size).map(|piece| json!({"reasoning_content": piece})));
    deltas.extend(pieces(&answer.text, size).map(|piece| json!({"content": piece})));
    for (index, call) in answer.calls.iter().enumerate() {
        deltas.push(json!({"tool_calls": [{
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }]}));
        deltas.extend(pieces(&call.args, size).map(
            |piece| json!({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}),
        ));
    }

    let usage = answer.usage.as_ref().filter(|_| with_usage).map(usage_of);
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

pub(super) fn error(error: &ErrorReply) -> Value {
    let (kind, message) = match error.status {
        401 => ("authentication_error", "Incorrect API key provided."),
        429 => ("rate_limit_error", "Rate limit reached."),
        400..=499 => ("invalid_request_error", "The request is not valid."),
        _ => (
            "server_error",
            "The server had an error while processing the request.",
        ),
    };
    json!({"error": {
        "message": error.message.as_deref().unwrap_or(message),
        "type": error.kind.as_deref().unwrap_or(kind),
        "param": null,
        "code": null,
    }})
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

fn event(data: &str) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
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

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The text of a message: a string, or parts of which some have text.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
