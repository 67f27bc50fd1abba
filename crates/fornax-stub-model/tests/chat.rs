//! OpenAI chat completions, as a client reads them.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use common::{ask, ask_whole, call, get, post, start};
use fornax_stub_model::Outcome;
use serde_json::{Value, json};

/// The pieces at `key` of the deltas, joined; and the longest one's length in characters.
fn joined(chunks: &[Value], key: &str) -> (String, usize) {
    let pieces: Vec<&str> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"][key].as_str())
        .collect();
    let longest = pieces.iter().map(|piece| piece.chars().count()).max();
    (pieces.concat(), longest.unwrap_or(0))
}

fn with_usage(mut body: Value) -> Value {
    body["stream_options"] = json!({"include_usage": true});
    body
}

#[tokio::test]
async fn a_stream_gives_the_thinking_and_the_text_in_pieces() {
    let stub = start(&json!({"rules": [{"reply": {
        "thinking": "Hm, let me think.", "text": "Grüße: 日本語, end.", "chunk_size": 3,
    }}]}))
    .await;
    let reply = call(&stub, &ask("x")).await.unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "text/event-stream");
    let chunks = reply.chunks();
    assert_eq!(
        joined(&chunks, "content"),
        ("Grüße: 日本語, end.".to_owned(), 3)
    );
    assert_eq!(
        joined(&chunks, "reasoning_content"),
        ("Hm, let me think.".to_owned(), 3)
    );
    assert_eq!(
        chunks[0]["choices"][0]["delta"],
        json!({"role": "assistant", "content": ""})
    );
    // The thinking is over before the text begins.
    let first = |key: &str| {
        let has = |chunk: &Value| {
            chunk["choices"][0]["delta"][key]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        };
        (
            chunks.iter().position(has).unwrap(),
            chunks.iter().rposition(has).unwrap(),
        )
    };
    assert!(first("reasoning_content").1 < first("content").0);

    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(
        last["choices"][0],
        json!({"index": 0, "delta": {}, "finish_reason": "stop"})
    );
    for chunk in before {
        assert_eq!(chunk["choices"][0]["finish_reason"], Value::Null);
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["model"]), (&last["id"], &json!("m")));
    }
    // Nobody asked for usage.
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn usage_comes_in_a_last_chunk_of_its_own_when_asked_for() {
    let usage = json!({
        "input": 1000, "output": 50, "cache_read": 200, "cache_write": 30, "reasoning": 20
    });
    let expected = json!({
        "prompt_tokens": 1230, "completion_tokens": 50, "total_tokens": 1280,
        "prompt_tokens_details": {"cached_tokens": 200},
        "completion_tokens_details": {"reasoning_tokens": 20},
    });
    let stub = start(&json!({"defaults": {"usage": usage}, "rules": [
        {"when": {"user": "none"}, "reply": {"text": "x", "usage": null}},
        {"when": {"user": "own"}, "reply": {"text": "x", "usage": {"input": 1, "output": 2}}},
        {"reply": {"text": "some text"}},
    ]}))
    .await;
    let chunks = call(&stub, &with_usage(ask("x"))).await.unwrap().chunks();
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!((&last["usage"], &last["choices"]), (&expected, &json!([])));
    assert!(
        before
            .iter()
            .all(|chunk| chunk.get("usage") == Some(&Value::Null))
    );

    let whole = call(&stub, &ask_whole("x")).await.unwrap().json();
    assert_eq!(whole["usage"], expected);
    let own = call(&stub, &ask_whole("own")).await.unwrap().json();
    assert_eq!(own["usage"]["total_tokens"], 3);

    // A provider that reports none.
    let chunks = call(&stub, &with_usage(ask("none")))
        .await
        .unwrap()
        .chunks();
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    assert!(
        call(&stub, &ask_whole("none"))
            .await
            .unwrap()
            .json()
            .get("usage")
            .is_none()
    );
}

#[tokio::test]
async fn tool_calls_come_as_a_head_and_pieces_of_their_arguments() {
    let args = json!({"filePath": "/w/ü.txt", "content": "line\n\"quoted\"\n"});
    let stub = start(
        &json!({"rules": [{"reply": {"text": "Writing.", "chunk_size": 5, "tools": [
            {"name": "write", "args": args},
            {"name": "list"},
        ]}}]}),
    )
    .await;
    let chunks = call(&stub, &ask("x")).await.unwrap().chunks();
    let mut calls: Vec<(Value, Value, String)> = Vec::new();
    for chunk in &chunks {
        let Some(delta) = chunk["choices"][0]["delta"]["tool_calls"].get(0) else {
            continue;
        };
        let arguments = delta["function"]["arguments"].as_str().unwrap();
        if let Some(name) = delta["function"].get("name") {
            assert_eq!(
                (delta["index"].clone(), arguments),
                (json!(calls.len()), "")
            );
            assert_eq!(delta["type"], "function");
            calls.push((delta["id"].clone(), name.clone(), String::new()));
        } else {
            assert!(arguments.chars().count() <= 5);
            let at = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
            calls[at].2.push_str(arguments);
        }
    }
    let parsed = |at: usize| serde_json::from_str::<Value>(&calls[at].2).unwrap();
    assert_eq!((&calls[0].1, parsed(0)), (&json!("write"), args.clone()));
    assert_eq!((&calls[1].1, parsed(1)), (&json!("list"), json!({})));
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].0, calls[1].0);
    assert_eq!(
        chunks.last().unwrap()["choices"][0]["finish_reason"],
        "tool_calls"
    );

    let whole = call(&stub, &ask_whole("x")).await.unwrap().json();
    let message = &whole["choices"][0]["message"];
    assert_eq!(whole["object"], "chat.completion");
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(message["content"], "Writing.");
    let arguments = message["tool_calls"][0]["function"]["arguments"]
        .as_str()
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), args);
    // No two answers share an id of a call, so a conversation cannot hold one twice.
    assert_ne!(message["tool_calls"][0]["id"], calls[0].0);
}

#[tokio::test]
async fn why_it_stopped_is_said_in_the_apis_words() {
    for (stop, expected) in [
        ("end", "stop"),
        ("tool", "tool_calls"),
        ("length", "length"),
        ("refusal", "content_filter"),
    ] {
        let stub = start(&json!({"fallback": {"text": "half", "stop": stop}})).await;
        let whole = call(&stub, &ask_whole("x")).await.unwrap().json();
        assert_eq!(whole["choices"][0]["finish_reason"], expected);
        let chunks = call(&stub, &ask("x")).await.unwrap().chunks();
        assert_eq!(
            chunks.last().unwrap()["choices"][0]["finish_reason"],
            expected
        );
    }
}

#[tokio::test]
async fn an_error_has_its_status_its_words_and_its_retry_after() {
    let stub = start(&json!({"rules": [
        {"when": {"user": "busy"}, "reply": {"error": {"status": 429, "retry_after_s": 7}}},
        {"when": {"user": "auth"}, "reply": {"error": {
            "status": 401, "type": "no_key", "message": "bad key"}}},
        {"reply": {"error": {"status": 503}}},
    ]}))
    .await;
    let busy = call(&stub, &ask("busy")).await.unwrap();
    assert_eq!(
        (busy.status, &busy.headers["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(busy.json()["error"]["code"], "rate_limit_exceeded");
    let auth = call(&stub, &ask_whole("auth")).await.unwrap();
    assert_eq!(auth.status, 401);
    assert_eq!(
        auth.json(),
        json!({"error": {"type": "no_key", "message": "bad key", "param": null, "code": null}})
    );
    let down = call(&stub, &ask("down")).await.unwrap();
    assert_eq!(
        (down.status, down.headers.contains_key("retry-after")),
        (503, false)
    );
    assert_eq!(down.json()["error"]["type"], "server_error");
}

#[tokio::test]
async fn an_error_has_a_kind_and_can_come_in_the_stream() {
    let stub = start(&json!({"rules": [
        {"when": {"user": "full"}, "reply": {"error": {"kind": "context_overflow"}}},
        {"reply": {"text": "half of it", "chunk_size": 2, "error": {"kind": "server", "after": 3}}},
    ]}))
    .await;
    let full = call(&stub, &ask("full")).await.unwrap();
    assert_eq!(full.status, 400);
    assert_eq!(full.json()["error"]["code"], "context_length_exceeded");

    let late = call(&stub, &ask("x")).await.unwrap();
    assert!(late.whole && late.status == 200);
    let events: Vec<Value> = late
        .events()
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(joined(&events, "content").0, "half");
    assert_eq!(
        (events.len(), &events[3]["error"]["type"]),
        (4, &json!("server_error"))
    );
    stub.settle().await.unwrap();
    assert!(
        stub.requests()
            .iter()
            .all(|request| request.outcome == Outcome::Error)
    );
    assert_eq!(call(&stub, &ask_whole("x")).await.unwrap().status, 500);
}

#[tokio::test]
async fn a_raw_reply_is_sent_as_it_is() {
    let stub = start(&json!({"rules": [
        {"when": {"user": "text"}, "reply": {"raw": {
            "status": 202, "headers": {"content-type": "text/html", "x-a": "b"}, "body": "<p>"}}},
        {"when": {"user": "json"}, "reply": {"raw": {"body": {"a": [1]}}}},
        {"reply": {"raw": {"status": 204}}},
    ]}))
    .await;
    let text = call(&stub, &ask("text")).await.unwrap();
    assert_eq!((text.status, text.body.as_str()), (202, "<p>"));
    assert_eq!(
        (&text.headers["content-type"], &text.headers["x-a"]),
        (&"text/html".parse().unwrap(), &"b".parse().unwrap())
    );
    let json = call(&stub, &ask("json")).await.unwrap();
    assert_eq!((json.status, json.json()), (200, json!({"a": [1]})));
    let empty = call(&stub, &ask("")).await.unwrap();
    assert_eq!((empty.status, empty.body.as_str()), (204, ""));
}

#[tokio::test]
async fn models_are_listed_and_other_paths_are_not_known() {
    let stub = start(&json!({})).await;
    for path in ["/models", "/v1/models", "/agent-a/v1/models/"] {
        let list = get(&stub, path).await;
        assert_eq!(
            (list.status, &list.json()["data"][0]["id"]),
            (200, &json!("stub-model"))
        );
    }
    assert_eq!(get(&stub, "/v1/chat/completions").await.status, 404);
    let unknown = post(&stub, "/v1/embeddings", &[], &ask("x")).await.unwrap();
    assert_eq!(unknown.status, 404);
    let message = &unknown.json()["error"]["message"];
    assert_eq!(message, "the stub model does not know POST /v1/embeddings");
    let no_object = call(&stub, &json!([1])).await.unwrap();
    assert_eq!(no_object.status, 400);
    // None of these was a model call.
    assert!(stub.requests().iter().all(|request| request.n.is_none()));
    assert_eq!(stub.requests().len(), 6);
}
