//! Gemini, as a client reads it.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use common::{Reply, get, post, start};
use fornax_stub_model::{Api, StubModel};
use serde_json::{Value, json};

const STREAM: &str = "/v1beta/models/gemini-x:streamGenerateContent?alt=sse";
const WHOLE: &str = "/v1beta/models/gemini-x:generateContent";

async fn call(stub: &StubModel, path: &str, body: &Value) -> Reply {
    post(stub, path, &[("x-goog-api-key", "k")], body)
        .await
        .unwrap()
}

fn ask(user: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": user}]}]})
}

fn chunks(reply: &Reply) -> Vec<Value> {
    assert!(reply.whole);
    let events = reply.events();
    events
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn parts(response: &Value) -> Vec<Value> {
    response["candidates"][0]["content"]["parts"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_stream_gives_thoughts_text_and_whole_calls() {
    let args = json!({"file_path": "/w/ü", "content": "\"a\"\n"});
    let stub = start(&json!({"fallback": {
        "thinking": "Hm, let me think.", "text": "Grüße: 日本語.", "chunk_size": 3,
        "usage": {"input": 1000, "output": 50, "cache_read": 200, "cache_write": 30, "reasoning": 20},
        "tools": [{"name": "write_file", "args": args}, {"name": "list"}],
    }}))
    .await;
    let streamed = chunks(&call(&stub, STREAM, &ask("x")).await);
    let all: Vec<Value> = streamed.iter().flat_map(parts).collect();
    let joined = |thought: bool| -> String {
        let texts = all
            .iter()
            .filter(|part| (part["thought"] == true) == thought);
        texts
            .filter_map(|part| part["text"].as_str())
            .inspect(|piece| assert!(piece.chars().count() <= 3))
            .collect()
    };
    assert_eq!(
        (joined(true).as_str(), joined(false).as_str()),
        ("Hm, let me think.", "Grüße: 日本語.")
    );
    let calls: Vec<&Value> = all
        .iter()
        .filter_map(|part| part.get("functionCall"))
        .collect();
    assert_eq!(
        (&calls[0]["name"], &calls[0]["args"]),
        (&json!("write_file"), &args)
    );
    assert_eq!((calls.len(), &calls[1]["args"]), (2, &json!({})));
    let (last, before) = streamed.split_last().unwrap();
    assert!(
        before
            .iter()
            .all(|chunk| chunk["candidates"][0].get("finishReason").is_none())
    );

    let whole = call(&stub, WHOLE, &ask("x")).await.json();
    assert_eq!(parts(&whole).len(), 4);
    assert_eq!(parts(&whole)[2]["functionCall"]["args"], args);
    for response in [last, &whole] {
        assert_eq!(response["candidates"][0]["finishReason"], "STOP");
        assert_eq!(response["modelVersion"], "gemini-x");
        assert_eq!(
            response["usageMetadata"],
            json!({
                "promptTokenCount": 1230, "cachedContentTokenCount": 200,
                "candidatesTokenCount": 30, "thoughtsTokenCount": 20, "totalTokenCount": 1280,
            })
        );
    }
}

#[tokio::test]
async fn why_it_stopped_and_no_usage_are_said_in_the_apis_words() {
    for (stop, expected) in [
        ("end", "STOP"),
        ("tool", "STOP"),
        ("length", "MAX_TOKENS"),
        ("refusal", "SAFETY"),
    ] {
        let stub = start(&json!({"fallback": {"text": "x", "stop": stop, "usage": null}})).await;
        let whole = call(&stub, WHOLE, &ask("x")).await.json();
        let streamed = chunks(&call(&stub, STREAM, &ask("x")).await);
        for response in [&whole, streamed.last().unwrap()] {
            assert_eq!(response["candidates"][0]["finishReason"], expected);
            assert!(response.get("usageMetadata").is_none());
        }
    }
}

#[tokio::test]
async fn the_conversation_is_read_without_the_agents_own_words() {
    let stub = start(&json!({"rules": [
        {"id": "all", "when": {"user": "^add tests$", "system": "sys", "model": "gemini-x",
            "tools": "write_file", "tool_result": "^two$", "round": 2}, "reply": {"text": "x"}},
    ]}))
    .await;
    let call_part = json!({"role": "model", "parts": [{"functionCall": {"name": "write_file"}}]});
    let gave = |response: Value| {
        let part = json!({"functionResponse": {"name": "write_file", "response": response}});
        json!({"role": "user", "parts": [part]})
    };
    let mut body = json!({
        "systemInstruction": {"parts": [{"text": "sys"}]},
        "tools": [{"functionDeclarations": [{"name": "write_file"}]}],
        "contents": [
            {"role": "user", "parts": [{"text": "<session_context>today</session_context>"}]},
            {"role": "user", "parts": [{"text": "add tests"}]},
            call_part, gave(json!({"output": "one"})), call_part, gave(json!({"output": "two"})),
        ],
    });
    call(&stub, STREAM, &body).await;
    body["contents"][5] = gave(json!({"error": "no"}));
    call(&stub, WHOLE, &body).await;
    let requests = stub.requests();
    assert_eq!(requests[0].rule.as_deref(), Some("all"), "{requests:#?}");
    assert_eq!(
        (requests[0].api, requests[0].stream),
        (Some(Api::Gemini), true)
    );
    assert_eq!(
        (requests[1].last_tool_result.as_str(), requests[1].stream),
        (r#"{"error":"no"}"#, false)
    );
}

#[tokio::test]
async fn errors_are_the_providers_before_and_within_a_stream() {
    for (error, status, name, message) in [
        (
            json!({"kind": "auth"}),
            400,
            "INVALID_ARGUMENT",
            "API key not valid",
        ),
        (json!({"status": 401}), 401, "UNAUTHENTICATED", ""),
        (
            json!({"kind": "context_overflow"}),
            400,
            "INVALID_ARGUMENT",
            "exceeds the maximum number of tokens",
        ),
        (
            json!({"kind": "rate_limit", "retry_after_s": 7}),
            429,
            "RESOURCE_EXHAUSTED",
            "",
        ),
        (json!({"status": 500}), 500, "INTERNAL", ""),
        (
            json!({"kind": "overloaded"}),
            503,
            "UNAVAILABLE",
            "overloaded",
        ),
    ] {
        let stub = start(&json!({"fallback": {"error": error}})).await;
        let reply = call(&stub, STREAM, &ask("x")).await;
        let said = &reply.json()["error"];
        assert_eq!(
            (reply.status, &said["code"], &said["status"]),
            (status, &json!(status), &json!(name))
        );
        assert!(
            said["message"].as_str().unwrap().contains(message),
            "{said}"
        );
        if status == 429 {
            assert_eq!(said["details"][0]["retryDelay"], "7s");
            assert_eq!(reply.headers["retry-after"], "7");
        }
    }

    let late =
        json!({"text": "half of it", "chunk_size": 2, "error": {"kind": "overloaded", "after": 2}});
    let stub = start(&json!({"fallback": late})).await;
    let streamed = chunks(&call(&stub, STREAM, &ask("x")).await);
    assert_eq!(
        (streamed.len(), &parts(&streamed[1])[0]["text"]),
        (3, &json!("lf"))
    );
    assert_eq!(streamed[2]["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed() {
    let stub = start(&json!({})).await;
    let body = ask("how long is this?");
    let counted = call(&stub, "/v1beta/models/m:countTokens", &body)
        .await
        .json();
    assert_eq!(counted["totalTokens"], body.to_string().len() / 4);
    let models = get(&stub, "/v1beta/models").await.json();
    assert_eq!(models["models"][0]["name"], "models/stub-model");
    // Without this its stream has another format, which the stub does not speak.
    let path = "/v1beta/models/m:streamGenerateContent";
    assert_eq!(call(&stub, path, &body).await.status, 404);
    assert!(stub.requests().iter().all(|request| request.n.is_none()));
}
