//! The real Codex, pinned, against a stub.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod agents;

use std::fs;
use std::process::Output;

use agents::{Place, by_rule, errand, lines};
use fornax_stub_model::recipes::CodexPatience;
use fornax_stub_model::{Outcome, StubModel, recipes};
use serde_json::{Value, json};

async fn run(place: &Place, stub: &StubModel, prompt: &str) -> Output {
    let recipe = recipes::codex(&stub.base_url(), &place.state, CodexPatience::default());
    // It need not be kept in: the script says what it runs, and containers have no sandbox.
    let mut args = vec!["exec", "--json", "--skip-git-repo-check"];
    args.extend(["--sandbox", "danger-full-access", prompt]);
    place.run("codex", &recipe, &args).await
}

/// The completed items of this type.
fn items<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line["type"] == "item.completed" && line["item"]["type"] == kind)
        .map(|line| &line["item"])
        .collect()
}

#[tokio::test]
async fn codex_writes_runs_and_reports_what_the_script_says() {
    let place = Place::new();
    fs::write(place.project.join("AGENTS.md"), "Keep the larder tidy.\n").unwrap();
    let stub = place.stub(&errand()).await;
    let lines = lines(&run(&place, &stub, "Write the GREETING please").await);

    place.is_greeted();

    // What it said it did.
    let said: Vec<&Value> = items(&lines, "agent_message")
        .iter()
        .map(|item| &item["text"])
        .collect();
    assert_eq!(said, ["Writing it.", "Done."]);
    assert_eq!(items(&lines, "reasoning")[0]["text"], "A file, then.");
    let changes = items(&lines, "file_change");
    assert_eq!(
        (changes.len(), &changes[0]["status"]),
        (1, &json!("completed")),
        "{lines:#?}"
    );
    let commands = items(&lines, "command_execution");
    assert_eq!(commands.last().unwrap()["aggregated_output"], "7\n");
    let last = lines.last().unwrap();
    assert_eq!(last["type"], "turn.completed");
    assert_eq!(
        last["usage"],
        json!({
            "input_tokens": 3690, "cached_input_tokens": 600, "cache_write_input_tokens": 90,
            "output_tokens": 150, "reasoning_output_tokens": 60,
        })
    );

    // What the stub saw.
    let requests = place.requests(stub).await;
    let work = by_rule(&requests, "work");
    let rounds: Vec<u64> = work.iter().map(|request| request.round).collect();
    assert_eq!(rounds, [0, 1, 2]);
    assert!(work.iter().all(|request| request.stream
        && request.system_chars > 0
        && request.headers["authorization"] == "(set)"));
    assert!(
        work[1].last_tool_result.contains("greeting.txt"),
        "{}",
        work[1].last_tool_result
    );
    assert!(
        work[2].last_tool_result.ends_with("7\n"),
        "{}",
        work[2].last_tool_result
    );
}

#[tokio::test]
async fn codex_gets_over_an_overload_and_a_stream_that_breaks_off() {
    let place = Place::new();
    let stub = place
        .stub(&json!({"rules": [
            {"id": "busy", "times": 1, "reply": {"error": {"kind": "server"}}},
            {"id": "cut", "times": 1, "reply": {"text": "half of an answer", "chunk_size": 4, "cut": 6}},
            {"id": "turn", "reply": {"text": "Here after all."}},
        ]}))
        .await;
    let lines = lines(&run(&place, &stub, "anything").await);
    let said = items(&lines, "agent_message");
    assert_eq!(said.last().unwrap()["text"], "Here after all.");
    stub.settle().await.unwrap();
    let requests = stub.requests();
    assert_eq!(by_rule(&requests, "busy")[0].outcome, Outcome::Error);
    assert_eq!(by_rule(&requests, "cut")[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn codex_knows_a_full_context_and_a_refused_key_by_their_words() {
    for (kind, words) in [
        ("context_overflow", "context window"),
        ("auth", "Incorrect API key provided"),
        ("quota", "Quota exceeded"),
    ] {
        let place = Place::new();
        let stub = place
            .stub(&json!({"fallback": {"error": {"kind": kind}}}))
            .await;
        let output = run(&place, &stub, "anything").await;
        assert_eq!(output.status.code(), Some(1), "{kind}: {output:?}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        assert_eq!(last["type"], "turn.failed", "{kind}: {stdout}");
        let message = last["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{kind}: {message}");
    }
}
