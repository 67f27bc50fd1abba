//! The real OpenCode, pinned, against a stub: it is told to write a file, and writes it.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod agents;

use std::fs;
use std::path::Path;
use std::process::Output;

use agents::{Place, by_rule, errand, lines};
use fornax_stub_model::{Options, Script, StubModel, recipes};
use serde_json::{Value, json};

async fn run(place: &Place, stub: &StubModel, prompt: &str) -> Output {
    let recipe = recipes::opencode(&stub.base_url(), &place.state);
    let args = ["run", "--format", "json", prompt];
    place.run("opencode", &recipe, &args).await
}

/// The events of `--format json` of this type.
fn events<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line["type"] == kind)
        .map(|line| &line["part"])
        .collect()
}

#[tokio::test]
async fn opencode_writes_the_file_that_the_script_says() {
    let place = Place::new();
    let stub = place.stub(&errand()).await;
    let lines = lines(&run(&place, &stub, "Write the GREETING please").await);

    place.is_greeted();

    // What it said it did, with the stub's usage.
    let tools = events(&lines, "tool_use");
    for (tool, name) in tools.iter().zip(["write", "bash"]) {
        assert_eq!(
            (&tool["tool"], &tool["state"]["status"]),
            (&json!(name), &json!("completed"))
        );
    }
    assert_eq!(tools.len(), 2, "{lines:#?}");
    assert_eq!(tools[1]["state"]["output"], "7\n");
    let texts: Vec<_> = events(&lines, "text")
        .iter()
        .map(|part| part["text"].clone())
        .collect();
    assert_eq!(texts, ["Writing it.", "Done."]);
    let finishes = events(&lines, "step_finish");
    assert_eq!(finishes.len(), 3);
    for (finish, reason) in finishes.iter().zip(["tool-calls", "tool-calls", "stop"]) {
        assert_eq!(finish["reason"], reason);
        // Chat completions have no word for what was written to a cache: it is input.
        assert_eq!(
            finish["tokens"],
            json!({
                "total": 1280, "input": 1030, "output": 30, "reasoning": 20,
                "cache": {"read": 200, "write": 0},
            })
        );
    }

    // What the stub saw: the rounds of the work, and perhaps the request for a title.
    let requests = place.requests(stub).await;
    let work = by_rule(&requests, "work");
    let rounds: Vec<u64> = work.iter().map(|request| request.round).collect();
    assert_eq!(rounds, [0, 1, 2]);
    for request in &work {
        assert_eq!(
            (request.model.as_str(), request.stream),
            ("stub-model", true)
        );
        assert!(
            request.last_user.contains("GREETING"),
            "{}",
            request.last_user
        );
        assert!(
            request.tools.iter().any(|tool| tool == "write"),
            "{:?}",
            request.tools
        );
        assert!(request.system_chars > 0);
        assert_eq!(request.headers["authorization"], "(set)");
    }
    assert!(
        work[1].last_tool_result.contains("rote file"),
        "{}",
        work[1].last_tool_result
    );
    // It knew the project by PWD.
    let logged = fs::read_to_string(place.log()).unwrap();
    let directory = format!("Working directory: {}", place.project.display());
    assert!(logged.contains(&directory));
}

#[tokio::test]
async fn opencode_fails_when_the_provider_refuses_its_key() {
    let place = Place::new();
    let script = json!({"rules": [{"id": "auth", "reply": {"error": {"status": 401, "message": "bad key"}}}]});
    let stub = place.stub(&script).await;
    let output = run(&place, &stub, "anything").await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("bad key"), "{stdout}");
    assert!(stub.wait_for("auth").await.unwrap() >= 1);
    assert_eq!(place.left_behind(), Vec::<String>::new());
}

#[tokio::test]
async fn the_example_plans_script_makes_opencode_report_on_the_repository() {
    let place = Place::new();
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../plans/agent-write/model-script.json"
    );
    let stub = StubModel::start(Script::load(Path::new(script)).unwrap(), Options::default())
        .await
        .unwrap();
    let output = run(&place, &stub, "Describe this repository in REPORT.md").await;
    assert!(output.status.success(), "{output:?}");
    let report = fs::read_to_string(place.project.join("REPORT.md")).unwrap();
    assert!(report.starts_with("# Report\n"), "{report}");
    // What only this repository has.
    assert!(
        report.contains("\nREADME.md\n") && report.contains(" Begin\n"),
        "{report}"
    );
    assert_eq!(stub.wait_for("report").await.unwrap(), 3);
    assert_eq!(place.left_behind(), Vec::<String>::new());
}
