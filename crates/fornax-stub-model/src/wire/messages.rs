//! Anthropic Messages.

use bytes::Bytes;
use serde_json::{Value, json};

use super::fault::Fault;
use super::{Answer, MODEL, list, named_event, pieces, text_of};
use crate::conversation::Conversation;
use crate::reply::{Stop, Usage};

/// What a client gives back with a thought, unread.
const SIGNATURE: &str = "c3R1Yg==";

pub(super) fn read(body: &Value) -> Conversation {
    let mut talk = Conversation {
        model: body["model"].as_str().unwrap_or_default().to_owned(),
        stream: body["stream"] == true,
        wants_usage: true,
        system: text_of(&body["system"]),
        ..Conversation::default()
    };
    talk.tools = list(&body["tools"])
        .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
        .collect();
    for message in list(&body["messages"]) {
        let content = &message["content"];
        match message["role"].as_str() {
            Some("assistant") => talk.model_answered(),
            Some("system") => talk.system.extend(["\n", text_of(content).as_str()]),
            // What tools gave comes in the user's name, and what the user typed meanwhile
            // comes beside it.
            Some("user") => {
                for part in list(content).filter(|part| part["type"] == "tool_result") {
                    talk.tool_gave(text_of(&part["content"]));
                }
                talk.user_said(&text_of(content));
            }
            _ => {}
        }
    }
    talk
}

pub(super) fn whole(answer: &Answer) -> Value {
    let blocks = blocks(answer).into_iter().map(|block| block.done);
    let mut message = envelope(answer, usage_of(answer.usage.as_ref()));
    message["content"] = blocks.collect();
    message["stop_reason"] = json!(stop_reason(answer));
    message
}

pub(super) fn frames(answer: &Answer) -> Vec<Bytes> {
    let mut usage = usage_of(answer.usage.as_ref());
    let end = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
        "usage": usage,
    });
    // Not known yet when the answer begins.
    usage["output_tokens"] = json!(1);
    let mut events = vec![
        json!({"type": "message_start", "message": envelope(answer, usage)}),
        json!({"type": "ping"}),
    ];
    for (index, block) in blocks(answer).into_iter().enumerate() {
        let start =
            json!({"type": "content_block_start", "index": index, "content_block": block.start});
        events.push(start);
        events.extend(
            block.deltas.into_iter().map(
                |delta| json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(end);
    events.push(json!({"type": "message_stop"}));
    events.iter().map(named_event).collect()
}

pub(super) fn error(fault: &Fault) -> Value {
    json!({"type": "error", "error": {"type": fault.name, "message": fault.message}})
}

pub(super) fn models() -> Value {
    let model = json!({
        "type": "model", "id": MODEL, "display_name": "Stub",
        "created_at": "1970-01-01T00:00:00Z",
    });
    json!({"data": [model], "has_more": false, "first_id": MODEL, "last_id": MODEL})
}

/// A part of the answer: how it begins, what is streamed of it, and what it is in the end.
struct Block {
    start: Value,
    deltas: Vec<Value>,
    done: Value,
}

fn blocks(answer: &Answer) -> Vec<Block> {
    let size = answer.chunk_chars;
    let mut blocks = Vec::new();
    if !answer.thinking.is_empty() {
        let mut deltas: Vec<Value> = pieces(&answer.thinking, size)
            .map(|piece| json!({"type": "thinking_delta", "thinking": piece}))
            .collect();
        deltas.push(json!({"type": "signature_delta", "signature": SIGNATURE}));
        blocks.push(Block {
            start: json!({"type": "thinking", "thinking": "", "signature": ""}),
            deltas,
            done: json!({"type": "thinking", "thinking": answer.thinking, "signature": SIGNATURE}),
        });
    }
    if !answer.text.is_empty() {
        blocks.push(Block {
            start: json!({"type": "text", "text": ""}),
            deltas: pieces(&answer.text, size)
                .map(|piece| json!({"type": "text_delta", "text": piece}))
                .collect(),
            done: json!({"type": "text", "text": answer.text}),
        });
    }
    blocks.extend(answer.calls.iter().map(|call| {
        let block = |input: &Value| {
            json!({
                "type": "tool_use", "id": format!("toolu_{}", call.id),
                "name": call.name, "input": input,
            })
        };
        Block {
            start: block(&json!({})),
            deltas: pieces(&call.args_text(), size)
                .map(|piece| json!({"type": "input_json_delta", "partial_json": piece}))
                .collect(),
            done: block(&call.args),
        }
    }));
    blocks
}

fn envelope(answer: &Answer, usage: Value) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage,
    })
}

fn stop_reason(answer: &Answer) -> &'static str {
    match answer.stop {
        Stop::End => "end_turn",
        Stop::Tool => "tool_use",
        Stop::Length => "max_tokens",
        Stop::Refusal => "refusal",
    }
}

/// This API counts apart what was cached, has no word for reasoning, and always reports.
fn usage_of(usage: Option<&Usage>) -> Value {
    let none = Usage::NONE;
    let usage = usage.unwrap_or(&none);
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": 0,
        },
        "output_tokens": usage.output,
    })
}
