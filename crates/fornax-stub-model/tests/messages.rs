//! Anthropic Messages, as a client reads them.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use common::{Reply, get_with, post, start};
use fornax_stub_model::{Api, StubModel};
use serde_json::{Value, json};

const PATH: &str = "/v1/messages?beta=true";

async fn call(stub: &StubModel, body: &Value) -> Reply {
    post(stub, PATH, &[("x-api-key", "k")], body).await.unwrap()
}

fn ask(user: &str, stream: bool) -> Value {
    json!({"model": "m", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": user}]})
}

fn a_bit_of_everything() -> Value {
    json!({
        "thinking": "Hm, let me think.", "text": "Grüße: 日本語.", "chunk_size": 3,
        "usage": {"input": 1000, "output": 50, "cache_read": 200, "cache_write": 30, "reasoning": 20},
        "tools": [{"name": "Write", "args": {"file_path": "/w/ü", "content": "\"a\"\n"}}, {"name": "List"}],
    })
}

fn usage(output: u64) -> Value {
    json!({
        "input_tokens": 1000, "output_tokens": output,
        "cache_read_input_tokens": 200, "cache_creation_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 0},
    })
}

/// The content that a stream's events make, as a client puts it together.
fn content(events: &[Value]) -> Vec<Value> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut open = None;
    let mut json = String::new();
    for event in events {
        let delta = &event["delta"];
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!((open, &event["index"]), (None, &json!(blocks.len())));
                open = Some(blocks.len());
                json.clear();
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                let block = &mut blocks[open.unwrap()];
                let key = match delta["type"].as_str().unwrap() {
                    "input_json_delta" => "partial_json",
                    other => other.strip_suffix("_delta").unwrap(),
                };
                let piece = delta[key].as_str().unwrap();
                assert!(key == "signature" || piece.chars().count() <= 3);
                if key == "partial_json" {
                    json.push_str(piece);
                } else {
                    block[key] = json!(block[key].as_str().unwrap().to_owned() + piece);
                }
            }
            "content_block_stop" => {
                if !json.is_empty() {
                    blocks[open.unwrap()]["input"] = serde_json::from_str(&json).unwrap();
                }
                open = None;
            }
            _ => assert_eq!(open, None),
        }
    }
    blocks
}

#[tokio::test]
async fn a_stream_makes_the_same_content_as_the_whole_answer() {
    let stub = start(&json!({"fallback": a_bit_of_everything()})).await;
    let reply = call(&stub, &ask("x", true)).await;
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let events = reply.named_events();
    let streamed = content(&events);
    let types: Vec<&Value> = streamed.iter().map(|block| &block["type"]).collect();
    assert_eq!(types, ["thinking", "text", "tool_use", "tool_use"]);
    assert_eq!(streamed[0]["thinking"], "Hm, let me think.");
    assert_eq!(streamed[1]["text"], "Grüße: 日本語.");
    assert_eq!(streamed[2]["input"]["content"], "\"a\"\n");
    assert_eq!(
        (&streamed[3]["name"], &streamed[3]["input"]),
        (&json!("List"), &json!({}))
    );
    assert_ne!(streamed[2]["id"], streamed[3]["id"]);

    let start = &events[0]["message"];
    assert_eq!(
        (&start["usage"], &start["content"]),
        (&usage(1), &json!([]))
    );
    let [.., delta, stop] = &events[..] else {
        panic!()
    };
    assert_eq!(
        delta["delta"],
        json!({"stop_reason": "tool_use", "stop_sequence": null})
    );
    assert_eq!(
        (&delta["usage"], &stop["type"]),
        (&usage(50), &json!("message_stop"))
    );

    let whole = call(&stub, &ask("x", false)).await.json();
    assert_eq!(
        (&whole["usage"], &whole["stop_reason"]),
        (&usage(50), &json!("tool_use"))
    );
    assert_eq!(
        (&whole["role"], &whole["model"]),
        (&json!("assistant"), &json!("m"))
    );
    // But for their ids, which no two answers share.
    let without_ids = |blocks: &[Value]| -> Vec<Value> {
        let mut blocks = blocks.to_vec();
        blocks
            .iter_mut()
            .for_each(|block| block["id"] = Value::Null);
        blocks
    };
    let content = whole["content"].as_array().unwrap();
    assert_eq!(without_ids(content), without_ids(&streamed));
    assert_ne!(content[2]["id"], streamed[2]["id"]);
}

#[tokio::test]
async fn why_it_stopped_and_no_usage_are_said_in_the_apis_words() {
    for (stop, expected) in [
        ("end", "end_turn"),
        ("tool", "tool_use"),
        ("length", "max_tokens"),
        ("refusal", "refusal"),
    ] {
        let stub = start(&json!({"fallback": {"text": "x", "stop": stop, "usage": null}})).await;
        let whole = call(&stub, &ask("x", false)).await.json();
        assert_eq!(whole["stop_reason"], expected);
        assert_eq!(whole["usage"]["input_tokens"], 0);
        let events = call(&stub, &ask("x", true)).await.named_events();
        assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], expected);
    }
}

#[tokio::test]
async fn the_conversation_is_read_without_the_agents_own_words() {
    let stub = start(&json!({"rules": [
        {"id": "all", "when": {"user": "^add tests$", "system": "sys.*later", "model": "m", "tools": "Write",
            "tool_result": "^two$", "round": 2}, "reply": {"text": "x"}},
    ]}))
    .await;
    let call_of = |id: &str| json!({"type": "tool_use", "id": id, "name": "Write", "input": {}});
    let body = json!({
        "model": "m", "system": [{"type": "text", "text": "sys"}], "tools": [{"name": "Write"}],
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "<system-reminder>be brief</system-reminder>"},
                {"type": "text", "text": "add tests"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "y"}, call_of("a")]},
            {"role": "system", "content": "later"},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "one"}]},
            {"role": "assistant", "content": [call_of("b")]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "two"}]},
                {"type": "text", "text": "<system-reminder>still there?</system-reminder>"}]},
        ],
    });
    call(&stub, &body).await;
    let mut typed = body.clone();
    typed["messages"][5]["content"][1]["text"] = json!("stop that");
    call(&stub, &typed).await;
    let requests = stub.requests();
    assert_eq!(requests[0].rule.as_deref(), Some("all"), "{requests:#?}");
    assert_eq!(requests[0].api, Some(Api::Messages));
    assert_eq!(requests[0].headers["x-api-key"], "(set)");
    assert_eq!(
        (requests[1].last_user.as_str(), requests[1].round),
        ("stop that", 0)
    );
}

#[tokio::test]
async fn errors_are_the_providers_before_and_within_a_stream() {
    for (error, status, name, message) in [
        (
            json!({"kind": "auth"}),
            401,
            "authentication_error",
            "invalid x-api-key",
        ),
        (
            json!({"kind": "context_overflow"}),
            400,
            "invalid_request_error",
            "prompt is too long",
        ),
        (
            json!({"status": 429, "retry_after_s": 7}),
            429,
            "rate_limit_error",
            "rate limit",
        ),
        (
            json!({"status": 500}),
            500,
            "api_error",
            "Internal server error",
        ),
        (
            json!({"kind": "overloaded"}),
            529,
            "overloaded_error",
            "Overloaded",
        ),
        (
            json!({"status": 413, "type": "request_too_large", "message": "big"}),
            413,
            "request_too_large",
            "big",
        ),
    ] {
        let stub = start(&json!({"fallback": {"error": error}})).await;
        let reply = call(&stub, &ask("x", true)).await;
        let body = reply.json();
        assert_eq!((reply.status, &body["type"]), (status, &json!("error")));
        assert_eq!(body["error"]["type"], name);
        assert!(
            body["error"]["message"].as_str().unwrap().contains(message),
            "{body}"
        );
        assert_eq!(reply.headers.contains_key("retry-after"), status == 429);
    }

    let late =
        json!({"text": "half of it", "chunk_size": 2, "error": {"kind": "overloaded", "after": 4}});
    let stub = start(&json!({"fallback": late})).await;
    let reply = call(&stub, &ask("x", true)).await;
    let events = reply.named_events();
    assert_eq!((reply.status, events.len()), (200, 5));
    assert_eq!(events[3]["delta"]["text"], "ha");
    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
    assert_eq!(events[4], json!({"type": "error", "error": error}));
    // Who does not stream gets it at once.
    assert_eq!(call(&stub, &ask("x", false)).await.status, 529);
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed() {
    let stub = start(&json!({})).await;
    let path = "/v1/messages/count_tokens?beta=true";
    let body = ask("how long is this?", false);
    let counted = post(&stub, path, &[], &body).await.unwrap().json();
    assert_eq!(counted["input_tokens"], body.to_string().len() / 4);
    let models = get_with(&stub, "/v1/models", &[("anthropic-version", "2023-06-01")])
        .await
        .json();
    assert_eq!(
        (&models["data"][0]["type"], &models["has_more"]),
        (&json!("model"), &json!(false))
    );
    // Neither is a model call.
    assert!(stub.requests().iter().all(|request| request.n.is_none()));
}
