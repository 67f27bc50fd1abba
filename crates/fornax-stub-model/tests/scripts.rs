//! Which rule answers which request, and what is said of a bad script.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::collections::BTreeMap;

use common::{ask, ask_in_round, ask_whole, call, post, start, start_with, with_tools};
use fornax_stub_model::{Options, Script, StubModel};
use serde_json::{Value, json};

/// The text of the answer to `body`.
async fn text(stub: &StubModel, body: &Value) -> String {
    call(stub, body).await.unwrap().text()
}

#[tokio::test]
async fn the_first_rule_that_fits_answers() {
    let stub = start(&json!({"rules": [
        {"when": {"user": "tests"}, "reply": {"text": "first"}},
        {"id": "second", "when": {"user": "add"}, "reply": {"text": "second"}},
    ], "fallback": {"text": "none"}}))
    .await;
    assert_eq!(text(&stub, &ask("add tests")).await, "first");
    assert_eq!(text(&stub, &ask("add docs")).await, "second");
    assert_eq!(text(&stub, &ask("hello")).await, "none");
    stub.settle().await.unwrap();
    let rules: Vec<_> = stub
        .requests()
        .into_iter()
        .map(|request| request.rule.unwrap())
        .collect();
    assert_eq!(rules, ["rules[0]", "second", "fallback"]);
}

#[tokio::test]
async fn a_rule_with_times_gives_way_when_they_are_used_up() {
    let stub = start(&json!({"rules": [
        {"times": 2, "reply": {"error": {"status": 529}}},
        {"reply": {"text": "recovered"}},
    ]}))
    .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(call(&stub, &ask("x")).await.unwrap().status);
    }
    assert_eq!(statuses, [529, 529, 200, 200]);
}

#[tokio::test]
async fn every_condition_can_fail_and_hold() {
    let body = json!({"model": "big-1", "messages": [
        {"role": "system", "content": "You are\nterse."},
        {"role": "user", "content": [{"type": "text", "text": "line one\nline two"}]},
        {"role": "assistant", "content": null},
        {"role": "tool", "tool_call_id": "c", "content": "exit 7"},
    ]});
    let body = with_tools(body, &["bash"]);
    let cases = [
        (json!({"n": 1}), json!({"n": 2})),
        (json!({"n": [1, 5]}), json!({"n": [2, 5]})),
        (json!({"user": "one.line"}), json!({"user": "^two"})),
        (json!({"user": r"(?i)LINE\s+\w"}), json!({"user": "LINE"})),
        (json!({"system": "terse"}), json!({"system": "verbose"})),
        (json!({"model": "^big-"}), json!({"model": "^small-"})),
        (
            json!({"path": "^/agent-a/v1/"}),
            json!({"path": "^/agent-b/"}),
        ),
        (
            json!({"headers": {"X-Session": "^s1$"}}),
            json!({"headers": {"x-session": "^s2$"}}),
        ),
        (
            json!({"headers": {"x-session": ""}}),
            json!({"headers": {"x-other": ""}}),
        ),
        (json!({"tools": true}), json!({"tools": false})),
        (json!({"tools": "bash"}), json!({"tools": "write"})),
        (json!({"round": 1}), json!({"round": 0})),
        (json!({"round": [0, 1]}), json!({"round": [2]})),
        (
            json!({"tool_result": "exit [1-9]"}),
            json!({"tool_result": "exit 0"}),
        ),
        (json!({}), json!({"user": "line", "round": 5})),
    ];
    for (holds, fails) in cases {
        for (when, expected) in [(&holds, "rule"), (&fails, "fallback")] {
            let stub = start(&json!({
                "rules": [{"when": when, "reply": {"text": "rule"}}],
                "fallback": {"text": "fallback"},
            }))
            .await;
            let headers = [("x-session", "s1")];
            let reply = post(&stub, "/agent-a/v1/chat/completions", &headers, &body)
                .await
                .unwrap();
            assert_eq!(reply.text(), expected, "when {when}");
        }
    }
}

#[tokio::test]
async fn replies_follow_the_round_of_the_conversation_or_the_use_of_the_rule() {
    let replies = json!([{"text": "a"}, {"text": "b"}, {"text": "c"}]);
    let stub = start(&json!({"rules": [
        {"when": {"user": "by use"}, "index": "use", "replies": replies},
        {"replies": replies},
    ]}))
    .await;
    // A retry of the same round gets the same answer, whatever came between.
    for (round, expected) in [(0, "a"), (1, "b"), (0, "a"), (1, "b"), (2, "c"), (9, "c")] {
        assert_eq!(
            text(&stub, &ask_in_round("go", round)).await,
            expected,
            "round {round}"
        );
    }
    for expected in ["a", "b", "c", "c"] {
        assert_eq!(text(&stub, &ask_in_round("by use", 0)).await, expected);
    }
}

#[tokio::test]
async fn of_alternatives_the_first_tool_offered_is_called() {
    let stub = start(&json!({"rules": [{"reply": {"tools": [
        [{"name": "write", "args": {"filePath": "a"}}, {"name": "Write", "args": {"file_path": "a"}}],
        {"name": "bash", "args": {"command": "true"}},
    ]}}]}))
    .await;
    for (offered, expected) in [
        (vec!["Write", "Bash"], ["Write", "bash"]),
        (vec!["Write", "write"], ["write", "bash"]),
        (vec![], ["write", "bash"]),
    ] {
        let reply = call(&stub, &with_tools(ask_whole("x"), &offered))
            .await
            .unwrap()
            .json();
        let calls = reply["choices"][0]["message"]["tool_calls"]
            .as_array()
            .unwrap();
        let names: Vec<_> = calls
            .iter()
            .map(|call| call["function"]["name"].clone())
            .collect();
        assert_eq!(names, expected, "offered {offered:?}");
        assert_ne!(calls[0]["id"], calls[1]["id"]);
    }
}

#[tokio::test]
async fn variables_are_filled_in_everywhere_and_once() {
    let script = json!({"rules": [
        {"when": {"user": "raw"}, "reply": {"raw": {"body": {"deep": ["{{dir}}"]}}}},
        {"when": {"user": "error"}, "reply": {"error": {"status": 500, "message": "no {{dir}}"}}},
        {"reply": {
            "text": "{{n}} {{model}} {{last_user}} {{last_tool_result}}",
            "tools": [{"name": "write", "args": {"paths": [{"at": "{{dir}}/f"}]}}],
        }},
    ]});
    let vars = BTreeMap::from([("dir".to_owned(), "/w \"{{n}}\"".to_owned())]);
    let stub = start_with(
        &script,
        Options {
            vars,
            ..Options::default()
        },
    )
    .await;

    let reply = call(&stub, &ask_in_round("say {{dir}}", 1))
        .await
        .unwrap()
        .json();
    let message = &reply["choices"][0]["message"];
    assert_eq!(message["content"], "1 m say {{dir}} result 0");
    let args = message["tool_calls"][0]["function"]["arguments"]
        .as_str()
        .unwrap();
    let args: Value = serde_json::from_str(args).unwrap();
    assert_eq!(args, json!({"paths": [{"at": "/w \"{{n}}\"/f"}]}));

    let raw = call(&stub, &ask("raw")).await.unwrap();
    assert_eq!(raw.json(), json!({"deep": ["/w \"{{n}}\""]}));
    let error = call(&stub, &ask("error")).await.unwrap().json();
    assert_eq!(error["error"]["message"], "no /w \"{{n}}\"");
}

#[tokio::test]
async fn a_variable_that_nobody_gave_is_found_at_the_start() {
    let script = json!({"rules": [{"reply": {"text": "x"}}, {"replies": [
        {"text": "y"},
        {"tools": [{"name": "write", "args": {"filePath": "{{dir}}/x"}}]},
    ]}]});
    let script = Script::parse(&script.to_string()).unwrap();
    let error = StubModel::start(script, Options::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "bad script, at rules[1], reply 2: {{dir}} is used but not given: pass --var dir=VALUE"
    );
    let vars = BTreeMap::from([("last_user".to_owned(), "x".to_owned())]);
    let script = Script::parse("{}").unwrap();
    let error = StubModel::start(
        script,
        Options {
            vars,
            ..Options::default()
        },
    )
    .await
    .unwrap_err();
    assert!(
        error.to_string().contains("the variable \"last_user\""),
        "{error}"
    );
}

/// Each bad script with what its error must say: the place and the remedy.
const BAD: [(&str, &[&str]); 27] = [
    (
        r#"{"rules": [{"when": [], "reply": {}}]}"#,
        &["at rules[0].when", "expected an object"],
    ),
    (
        r#"{"rules": [{"reply": [{}]}]}"#,
        &["at rules[0].reply", "expected an object"],
    ),
    ("", &["at the top", "EOF"]),
    ("[]", &["at the top", "invalid type: sequence"]),
    ("{} {}", &["at the end", "trailing characters"]),
    (
        r#"{"rule": []}"#,
        &[
            "at rule",
            "unknown field `rule`",
            "`rules`",
            "line 1 column 7",
        ],
    ),
    (
        r#"{"rules": [{"reply": {}}, {"reply": {}, "tmies": 1}]}"#,
        &["at rules[1].tmies", "`times`"],
    ),
    (
        r#"{"rules": [{"when": {"usr": "x"}, "reply": {}}]}"#,
        &["at rules[0].when.usr", "unknown field `usr`", "`user`"],
    ),
    (
        r#"{"rules": [{"when": {"user": "("}, "reply": {}}]}"#,
        &["at rules[0].when.user", "unclosed group"],
    ),
    (
        r#"{"rules": [{"when": {"headers": {"a": 1}}, "reply": {}}]}"#,
        &["at rules[0].when.headers.a", "expected a string"],
    ),
    (
        r#"{"rules": [{"when": {"tools": 3}, "reply": {}}]}"#,
        &["at rules[0].when.tools", "name of a tool"],
    ),
    (
        r#"{"rules": [{"when": {"n": "one"}, "reply": {}}]}"#,
        &["at rules[0].when.n", "string \"one\""],
    ),
    (
        r#"{"rules": [{"reply": {"tools": [[{"name": "a"}, {"nam": "b"}]]}}]}"#,
        &[
            "at rules[0].reply.tools[0][1].nam",
            "unknown field `nam`",
            "`name`",
        ],
    ),
    (
        r#"{"rules": [{"reply": {"tools": [[]]}}]}"#,
        &["at rules[0], reply 1", "empty list"],
    ),
    (
        r#"{"rules": [{"reply": {"chunk_size": 0}}]}"#,
        &["at rules[0].reply.chunk_size", "nonzero"],
    ),
    (
        r#"{"rules": [{"reply": {"hang": false}}]}"#,
        &["at rules[0].reply.hang", "true or a number of frames"],
    ),
    (
        r#"{"rules": [{"reply": {"stop": "stop"}}]}"#,
        &["at rules[0].reply.stop", "`end`"],
    ),
    (
        r#"{"rules": [{"times": 0, "reply": {}}]}"#,
        &["at rules[0].times", "nonzero"],
    ),
    (
        r#"{"rules": [{"id": "a"}]}"#,
        &["at rules[0]", "give it a reply"],
    ),
    (
        r#"{"rules": [{"reply": {}, "replies": [{}]}]}"#,
        &["at rules[0]", "choose one"],
    ),
    (
        r#"{"rules": [{"replies": [{}, {"text": "x", "error": {"status": 500}}]}]}"#,
        &[
            "at rules[0], reply 2",
            "text, thinking or tools and error: choose one, or give the error an after",
        ],
    ),
    (
        r#"{"fallback": {"raw": {}, "error": {"kind": "server", "after": 1}}}"#,
        &["at fallback", "error and raw: choose one"],
    ),
    (
        r#"{"fallback": {"error": {"message": "x"}}}"#,
        &["at fallback", "give it one"],
    ),
    (
        r#"{"fallback": {"error": {"kind": "busy"}}}"#,
        &[
            "at fallback.error.kind",
            "unknown variant `busy`",
            "`overloaded`",
        ],
    ),
    (
        r#"{"rules": [{"id": "a", "reply": {}}, {"id": "a", "reply": {}}]}"#,
        &["at rules[1]", "\"a\" is taken"],
    ),
    (
        r#"{"fallback": {"error": {"status": 200}}}"#,
        &["at fallback", "use 400 to 599"],
    ),
    (
        r#"{"fallback": {"raw": {"headers": {"a b": "c"}}}}"#,
        &["at fallback.raw.headers", "invalid HTTP header name"],
    ),
];

#[test]
fn a_bad_script_is_refused_with_its_place_and_the_remedy() {
    for (text, expected) in BAD {
        let error = Script::parse(text).expect_err(text).to_string();
        for part in expected {
            assert!(
                error.contains(part),
                "{text}\n  says: {error}\n  not:  {part}"
            );
        }
    }
}

#[test]
fn an_error_in_a_file_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("script.json");
    let error = Script::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("cannot read the script") && error.contains("script.json"),
        "{error}"
    );
    std::fs::write(&path, "{\n  \"rles\": []\n}").unwrap();
    let error = Script::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("script.json: bad script, at rles"),
        "{error}"
    );
    assert!(error.contains("line 2 column 8"), "{error}");
}
