//! Gemini: `generateContent`, and `streamGenerateContent` as server-sent events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::fault::Fault;
use super::{Answer, MODEL, event, list, pieces, text_of};
use crate::conversation::Conversation;
use crate::reply::{Stop, Usage};

/// Where a path asks for a stream.
pub(super) const STREAM: &str = ":streamGenerateContent";

pub(super) fn read(path: &str, body: &Value) -> Conversation {
    let last = path.rsplit('/').next().unwrap_or_default();
    let mut talk = Conversation {
        model: last.split(':').next().unwrap_or_default().to_owned(),
        stream: path.ends_with(STREAM),
        wants_usage: true,
        system: text_of(&body["systemInstruction"]["parts"]),
        ..Conversation::default()
    };
    talk.tools = list(&body["tools"])
        .flat_map(|tool| list(&tool["functionDeclarations"]))
        .filter_map(|function| function["name"].as_str().map(str::to_owned))
        .collect();
    for content in list(&body["contents"]) {
        if content["role"] == "model" {
            talk.model_answered();
            continue;
        }
        for part in list(&content["parts"]) {
            if let Some(gave) = part.get("functionResponse") {
                talk.tool_gave(result_text(&gave["response"]));
            }
        }
        talk.user_said(&text_of(&content["parts"]));
    }
    talk
}

pub(super) fn whole(answer: &Answer) -> Value {
    let mut parts: Vec<Value> = Vec::new();
    parts.extend(thought(&answer.thinking));
    parts.extend(said(&answer.text));
    parts.extend(calls(answer));
    last(answer, parts)
}

pub(super) fn frames(answer: &Answer) -> Vec<Bytes> {
    let size = answer.chunk_chars;
    let mut parts: Vec<Value> = pieces(&answer.thinking, size).flat_map(thought).collect();
    parts.extend(pieces(&answer.text, size).flat_map(said));
    parts.extend(calls(answer));
    let end = parts.pop().into_iter().collect();
    let mut chunks: Vec<Value> = parts
        .into_iter()
        .map(|part| chunk(answer, vec![part]))
        .collect();
    chunks.push(last(answer, end));
    chunks
        .iter()
        .map(|chunk| event(&chunk.to_string()))
        .collect()
}

pub(super) fn error(fault: &Fault) -> Value {
    let mut details = Vec::new();
    if let Some(reason) = &fault.code {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason, "domain": "googleapis.com",
        }));
    }
    if let Some(seconds) = fault.retry_after_s {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{seconds}s"),
        }));
    }
    let mut error = json!({"code": fault.status, "message": fault.message, "status": fault.name});
    if !details.is_empty() {
        error["details"] = Value::Array(details);
    }
    json!({"error": error})
}

pub(super) fn models() -> Value {
    json!({"models": [{
        "name": format!("models/{MODEL}"),
        "displayName": "Stub",
        "inputTokenLimit": 100_000,
        "outputTokenLimit": 8_000,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }]})
}

/// What a function gave: any JSON. Most give text, under a name of their own.
fn result_text(response: &Value) -> String {
    match response.get("output") {
        Some(Value::String(text)) => text.clone(),
        _ => response.to_string(),
    }
}

fn thought(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!({"text": text, "thought": true}))
}

fn said(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!({"text": text}))
}

/// This API sends a call in one piece.
fn calls(answer: &Answer) -> impl Iterator<Item = Value> {
    answer.calls.iter().map(|call| {
        json!({"functionCall": {"id": format!("call_{}", call.id), "name": call.name, "args": call.args}})
    })
}

fn chunk(answer: &Answer, parts: Vec<Value>) -> Value {
    json!({
        "candidates": [{"index": 0, "content": {"role": "model", "parts": parts}}],
        "modelVersion": answer.model,
        "responseId": answer.id,
    })
}

fn last(answer: &Answer, parts: Vec<Value>) -> Value {
    let mut chunk = chunk(answer, parts);
    chunk["candidates"][0]["finishReason"] = json!(match answer.stop {
        // That tools are called is no reason of its own.
        Stop::End | Stop::Tool => "STOP",
        Stop::Length => "MAX_TOKENS",
        Stop::Refusal => "SAFETY",
    });
    if let Some(usage) = &answer.usage {
        chunk["usageMetadata"] = usage_of(usage);
    }
    chunk
}

/// This API counts cached tokens among the prompt's, and reasoning apart from the output.
fn usage_of(usage: &Usage) -> Value {
    let prompt = usage.input + usage.cache_read + usage.cache_write;
    json!({
        "promptTokenCount": prompt,
        "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": prompt + usage.output,
    })
}
