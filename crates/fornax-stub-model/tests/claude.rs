//! The real Claude Code, pinned, against a stub.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod agents;

use std::fs;
use std::process::Output;

use agents::{Place, by_rule, lines};
use fornax_stub_model::{Outcome, StubModel, recipes};
use serde_json::{Value, json};

async fn run(place: &Place, stub: &StubModel, prompt: &str) -> Output {
    let recipe = recipes::claude(&stub.base_url(), &place.state);
    let mut args = vec!["-p", prompt, "--output-format", "stream-json", "--verbose"];
    args.extend(["--allowedTools", "Write", "Bash"]);
    place.run("claude", &recipe, &args).await
}

/// The blocks of this type in the messages of one side.
fn blocks<'a>(lines: &'a [Value], side: &str, kind: &str) -> Vec<&'a Value> {
    let messages = lines.iter().filter(|line| line["type"] == side);
    messages
        .flat_map(|line| line["message"]["content"].as_array().into_iter().flatten())
        .filter(|block| block["type"] == kind)
        .collect()
}

fn result(lines: &[Value]) -> &Value {
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "result");
    last
}

#[tokio::test]
async fn claude_writes_runs_and_reports_what_the_script_says() {
    let place = Place::new();
    let usage =
        json!({"input": 1000, "output": 50, "cache_read": 200, "cache_write": 30, "reasoning": 20});
    let stub = place
        .stub(&json!({"defaults": {"usage": usage}, "rules": [
            {"id": "title", "when": {"tools": false}, "reply": {"text": "Write a greeting"}},
            {"id": "work", "when": {"user": "^Write the GREETING please$"}, "replies": [
                {"text": "Writing it.", "thinking": "A file, then.", "tools": [
                    {"name": "Write", "args": {"file_path": "{{dir}}/greeting.txt", "content": "héllo\n"}},
                ]},
                {"tools": [{"name": "Bash", "args": {
                    "command": "wc -c < greeting.txt", "description": "Count"}}]},
                {"text": "Done: {{last_tool_result}} bytes."},
            ]},
        ]}))
        .await;
    let lines = lines(&run(&place, &stub, "Write the GREETING please").await);

    let written = fs::read_to_string(place.project.join("greeting.txt")).unwrap();
    assert_eq!(written, "héllo\n");
    assert_eq!(place.left_behind(), Vec::<String>::new());

    // What it said it did.
    let thoughts = blocks(&lines, "assistant", "thinking");
    assert_eq!(
        (thoughts.len(), &thoughts[0]["thinking"]),
        (1, &json!("A file, then."))
    );
    let tools: Vec<&Value> = blocks(&lines, "assistant", "tool_use")
        .iter()
        .map(|block| &block["name"])
        .collect();
    assert_eq!(tools, ["Write", "Bash"]);
    let results = blocks(&lines, "user", "tool_result");
    assert_eq!((results.len(), &results[1]["content"]), (2, &json!("7")));
    let result = result(&lines);
    assert_eq!(
        (&result["is_error"], &result["result"], &result["num_turns"]),
        (&json!(false), &json!("Done: 7 bytes."), &json!(3))
    );
    // It has no word for reasoning: that is part of the output.
    let usage = &result["usage"];
    assert_eq!(usage["input_tokens"], 3000);
    assert_eq!(usage["output_tokens"], 150);
    assert_eq!(usage["cache_read_input_tokens"], 600);
    assert_eq!(usage["cache_creation_input_tokens"], 90);
    assert!(result["total_cost_usd"].as_f64().unwrap() > 0.0);

    // What the stub saw.
    let requests = place.requests(stub).await;
    let work = by_rule(&requests, "work");
    let rounds: Vec<u64> = work.iter().map(|request| request.round).collect();
    assert_eq!(rounds, [0, 1, 2]);
    assert!(work.iter().all(|request| request.stream
        && request.system_chars > 0
        && request.headers["x-api-key"] == "(set)"));
    let created = &work[1].last_tool_result;
    assert!(created.contains("created successfully"), "{created}");
    assert_eq!(work[2].last_tool_result, "7");
}

#[tokio::test]
async fn claude_gets_over_an_overload_and_a_stream_that_breaks_off() {
    let place = Place::new();
    let stub = place
        .stub(&json!({"rules": [
            {"id": "title", "when": {"tools": false}, "reply": {"text": "A title"}},
            {"id": "busy", "times": 1, "reply": {"error": {"kind": "overloaded", "retry_after_s": 0}}},
            {"id": "late", "times": 1, "reply": {
                "text": "half of an answer", "chunk_size": 4, "error": {"kind": "overloaded", "after": 4}}},
            {"id": "turn", "reply": {"text": "Here after all."}},
        ]}))
        .await;
    let lines = lines(&run(&place, &stub, "anything").await);
    assert_eq!(result(&lines)["result"], "Here after all.");
    stub.settle().await.unwrap();
    let requests = stub.requests();
    for (rule, status) in [("busy", 529), ("late", 200)] {
        let failed = by_rule(&requests, rule);
        assert_eq!(
            (failed[0].outcome, failed[0].status),
            (Outcome::Error, Some(status))
        );
    }
}

#[tokio::test]
async fn claude_knows_a_full_context_and_a_refused_key_by_their_words() {
    for (kind, status, words) in [
        ("context_overflow", 400, "Prompt is too long"),
        ("auth", 401, "Invalid API key"),
    ] {
        let place = Place::new();
        let error = json!({"error": {"kind": kind}});
        let stub = place.stub(&json!({"fallback": error})).await;
        let output = run(&place, &stub, "anything").await;
        assert_eq!(output.status.code(), Some(1), "{kind}: {output:?}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        let result: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        assert_eq!(result["is_error"], true, "{kind}: {stdout}");
        assert_eq!(result["api_error_status"], status, "{kind}: {stdout}");
        let said = result["result"].as_str().unwrap();
        assert!(said.starts_with(words), "{kind}: {said}");
    }
}
