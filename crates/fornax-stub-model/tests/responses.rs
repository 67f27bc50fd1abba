//! OpenAI Responses, as a client reads them.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use common::{Reply, get, get_with, post, start};
use fornax_stub_model::{Api, Outcome, StubModel};
use serde_json::{Value, json};

async fn call(stub: &StubModel, body: &Value) -> Reply {
    post(stub, "/v1/responses", &[], body).await.unwrap()
}

fn ask(user: &str, stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "input": user, "tools": [
        {"type": "function", "name": "exec"},
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "mcp__kit", "tools": [{"type": "function", "name": "echo"}]},
    ]})
}

fn a_bit_of_everything() -> Value {
    json!({
        "thinking": "Hm, let me think.", "text": "Grüße: 日本語.", "chunk_size": 3,
        "usage": {"input": 1000, "output": 50, "cache_read": 200, "cache_write": 30, "reasoning": 20},
        "tools": [
            {"name": "exec", "args": {"cmd": "echo \"ü\"\n"}},
            {"name": "apply_patch", "args": {"input": "*** Begin Patch\n"}},
            {"name": "mcp__kit/echo", "args": {}},
        ],
    })
}

/// The pieces of this kind, joined, for one item; none is longer than asked.
fn joined(events: &[Value], name: &str, index: usize) -> String {
    let deltas = events
        .iter()
        .filter(|event| event["type"] == name && event["output_index"] == index)
        .map(|event| event["delta"].as_str().unwrap());
    deltas
        .inspect(|piece| assert!(piece.chars().count() <= 3))
        .collect()
}

#[tokio::test]
async fn a_stream_opens_fills_and_closes_each_item_and_ends_with_the_whole() {
    let stub = start(&json!({"fallback": a_bit_of_everything()})).await;
    let events = call(&stub, &ask("x", true)).await.named_events();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    assert_eq!(events[0]["type"], "response.created");
    assert_eq!(events[1]["response"]["status"], "in_progress");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    let output = last["response"]["output"].as_array().unwrap();
    let of_type = |name: &str| -> Vec<&Value> {
        events
            .iter()
            .filter(|event| event["type"] == name)
            .collect()
    };
    let (added, done) = (
        of_type("response.output_item.added"),
        of_type("response.output_item.done"),
    );
    assert_eq!((added.len(), done.len(), output.len()), (5, 5, 5));
    for (index, item) in output.iter().enumerate() {
        assert_eq!(
            (&done[index]["item"], &done[index]["output_index"]),
            (item, &json!(index))
        );
        assert_eq!(added[index]["item"]["id"], item["id"]);
    }
    assert_eq!(added[1]["item"]["content"], json!([]));
    assert_eq!(
        joined(&events, "response.reasoning_summary_text.delta", 0),
        "Hm, let me think."
    );
    assert_eq!(
        joined(&events, "response.output_text.delta", 1),
        "Grüße: 日本語."
    );
    let arguments = joined(&events, "response.function_call_arguments.delta", 2);
    assert_eq!(
        serde_json::from_str::<Value>(&arguments).unwrap(),
        json!({"cmd": "echo \"ü\"\n"})
    );
    assert_eq!(
        joined(&events, "response.custom_tool_call_input.delta", 3),
        "*** Begin Patch\n"
    );

    assert_eq!(output[0]["summary"][0]["text"], "Hm, let me think.");
    assert_eq!(output[1]["content"][0]["text"], "Grüße: 日本語.");
    assert_eq!(
        (&output[2]["type"], &output[2]["arguments"]),
        (&json!("function_call"), &json!(arguments))
    );
    assert_eq!(
        (&output[3]["type"], &output[3]["input"]),
        (&json!("custom_tool_call"), &json!("*** Begin Patch\n"))
    );
    assert_eq!(
        (&output[4]["namespace"], &output[4]["name"]),
        (&json!("mcp__kit"), &json!("echo"))
    );

    let whole = call(&stub, &ask("x", false)).await.json();
    for response in [&whole, &last["response"]] {
        assert_eq!(
            (&response["status"], &response["error"]),
            (&json!("completed"), &Value::Null)
        );
        assert_eq!(
            response["usage"],
            json!({
                "input_tokens": 1230,
                "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 30},
                "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 1280,
            })
        );
    }
    assert_eq!(whole["output"][2]["arguments"], output[2]["arguments"]);
    assert_ne!(whole["output"][2]["call_id"], output[2]["call_id"]);
}

#[tokio::test]
async fn why_it_stopped_and_no_usage_are_said_in_the_apis_words() {
    for (stop, status, reason) in [
        ("end", "completed", Value::Null),
        ("tool", "completed", Value::Null),
        (
            "length",
            "incomplete",
            json!({"reason": "max_output_tokens"}),
        ),
        ("refusal", "incomplete", json!({"reason": "content_filter"})),
    ] {
        let stub = start(&json!({"fallback": {"text": "x", "stop": stop, "usage": null}})).await;
        let whole = call(&stub, &ask("x", false)).await.json();
        let events = call(&stub, &ask("x", true)).await.named_events();
        let last = events.last().unwrap();
        assert_eq!(last["type"], format!("response.{status}"));
        for response in [&whole, &last["response"]] {
            assert_eq!(
                (&response["status"], &response["incomplete_details"]),
                (&json!(status), &reason)
            );
            assert_eq!(response["usage"], Value::Null);
        }
    }
}

#[tokio::test]
async fn the_conversation_is_read_without_the_agents_own_words() {
    let stub = start(&json!({"rules": [
        {"id": "all", "when": {"user": "^add tests$", "system": "base.*rules", "model": "m",
            "tools": "mcp__kit/echo", "tool_result": "^two$", "round": 2}, "reply": {"text": "x"}},
    ]}))
    .await;
    let mut body = ask("", true);
    body["instructions"] = json!("base");
    let text = |role: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]});
    body["input"] = json!([
        text("developer", "rules"),
        text("user", "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nBe kind.\n</INSTRUCTIONS>"),
        text("user", "add tests"),
        text("user", "<environment_context>\n<cwd>/w</cwd>\n</environment_context>"),
        {"type": "reasoning", "summary": []},
        text("assistant", "y"),
        {"type": "function_call", "call_id": "a", "name": "exec", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "one"},
        {"type": "custom_tool_call", "call_id": "b", "name": "apply_patch", "input": ""},
        {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "two"}]},
    ]);
    call(&stub, &body).await;
    call(&stub, &ask("plain text", true)).await;
    let requests = stub.requests();
    assert_eq!(requests[0].rule.as_deref(), Some("all"), "{requests:#?}");
    assert_eq!(
        (requests[0].api, requests[0].tools.len()),
        (Some(Api::Responses), 3)
    );
    assert_eq!(
        (requests[1].last_user.as_str(), requests[1].round),
        ("plain text", 0)
    );
}

#[tokio::test]
async fn errors_are_the_providers_before_and_within_a_stream() {
    for (error, status, code) in [
        (json!({"kind": "auth"}), 401, json!("invalid_api_key")),
        (json!({"kind": "quota"}), 429, json!("insufficient_quota")),
        (
            json!({"status": 429, "retry_after_s": 7}),
            429,
            json!("rate_limit_exceeded"),
        ),
        (json!({"status": 500}), 500, json!("server_error")),
        (
            json!({"status": 400, "kind": "context_overflow"}),
            400,
            json!("context_length_exceeded"),
        ),
        (
            json!({"status": 400, "type": "odd", "code": "own"}),
            400,
            json!("own"),
        ),
    ] {
        let stub = start(&json!({"fallback": {"error": error}})).await;
        let reply = call(&stub, &ask("x", true)).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (status, &code),
            "{error}"
        );
        assert_eq!(
            reply.headers.contains_key("retry-after"),
            error["retry_after_s"] == 7
        );
    }

    // A context that is full shows in the stream, and so can any other error.
    let stub = start(&json!({"rules": [
        {"when": {"user": "full"}, "reply": {"error": {"kind": "context_overflow"}}},
        {"reply": {"text": "half of it", "chunk_size": 2, "error": {"kind": "overloaded", "after": 5}}},
    ]}))
    .await;
    for (user, events, code) in [
        ("full", 3, "context_length_exceeded"),
        ("late", 6, "server_is_overloaded"),
    ] {
        let reply = call(&stub, &ask(user, true)).await;
        let all = reply.named_events();
        let last = all.last().unwrap();
        assert_eq!((reply.status, all.len()), (200, events));
        assert_eq!(
            (&last["type"], &last["sequence_number"]),
            (&json!("response.failed"), &json!(events - 1))
        );
        assert_eq!(last["response"]["status"], "failed");
        assert_eq!(last["response"]["error"]["code"], code);
    }
    assert_eq!(call(&stub, &ask("full", false)).await.status, 400);
    stub.settle().await.unwrap();
    assert!(
        stub.requests()
            .iter()
            .all(|request| request.outcome == Outcome::Error)
    );
}

#[tokio::test]
async fn a_web_socket_is_refused_and_models_are_listed() {
    let stub = start(&json!({})).await;
    let upgrade = [("connection", "Upgrade"), ("upgrade", "websocket")];
    assert_eq!(get_with(&stub, "/v1/responses", &upgrade).await.status, 426);
    // Codex has its own shape.
    let models = get(&stub, "/v1/models?client_version=0.169.0").await.json();
    assert_eq!(models, json!({"models": []}));
}
