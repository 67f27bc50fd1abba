//! The real OpenCode, pinned, against a stub: it is told to write a file, and writes it.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fornax_stub_model::{Options, Outcome, Script, StubModel, recipes};
use serde_json::{Value, json};

/// Generous: a cold start on a busy machine takes seconds, a hanging one for ever.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the user's own settings say.
const USERS_OWN: &str = "Always answer in the voice of a heron.\n";

/// The OpenCode that `scripts/setup-agents` installed.
fn opencode() -> PathBuf {
    let agents = std::env::var_os("FORNAX_TEST_AGENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/agents"),
        PathBuf::from,
    );
    let program = agents.join("node_modules/.bin/opencode");
    assert!(
        program.is_file(),
        "there is no OpenCode at {}: run `make setup`",
        program.display()
    );
    program
}

/// A fresh git repository with one commit.
fn repository(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::write(path.join("README.md"), "# Larder\n\nKeeps things.\n").unwrap();
    for args in [
        &["init", "--quiet"][..],
        &["add", "README.md"],
        &[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.org",
            "commit",
            "--quiet",
            "-m",
            "Begin",
        ],
    ] {
        let done = Command::new("git")
            .args(args)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .current_dir(path)
            .status()
            .unwrap();
        assert!(done.success(), "git {args:?}");
    }
}

/// Runs OpenCode in `project` with a prompt; kills it where it does not end.
async fn run(stub: &StubModel, project: &Path, state: &Path, prompt: &str) -> Output {
    // A user's home with settings of their own, which must not play a part.
    let home = project.with_file_name("home");
    for file in [
        ".claude/CLAUDE.md",
        ".config/opencode/AGENTS.md",
        ".opencode/AGENTS.md",
    ] {
        fs::create_dir_all(home.join(file).parent().unwrap()).unwrap();
        fs::write(home.join(file), USERS_OWN).unwrap();
    }
    let running = tokio::process::Command::new(opencode())
        .args(["run", "--format", "json", prompt])
        .envs(recipes::opencode_env(&stub.base_url(), state))
        .current_dir(project)
        // OpenCode takes the project from here, whatever the directory is.
        .env("PWD", project)
        .env("HOME", &home)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(DEADLINE, running)
        .await
        .expect("OpenCode did not end")
        .unwrap()
}

/// The events of `--format json` of this type.
fn events<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines
        .iter()
        .filter(|line| line["type"] == kind)
        .map(|line| &line["part"])
        .collect()
}

/// The processes that bear the state folder in their environment.
fn left_behind(state: &Path) -> Vec<String> {
    let mark = state.to_str().unwrap().as_bytes();
    let bears_it = |process: &PathBuf| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|part| part == mark)
    };
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path()));
    processes
        .filter(bears_it)
        .map(|process| process.display().to_string())
        .collect()
}

#[tokio::test]
async fn opencode_writes_the_file_that_the_script_says() {
    let folder = tempfile::tempdir().unwrap();
    let (project, state) = (folder.path().join("larder"), folder.path().join("state"));
    repository(&project);
    let log = folder.path().join("requests.jsonl");
    let usage = json!({"input": 1000, "output": 50, "cache_read": 200, "reasoning": 20});
    let script = json!({"defaults": {"usage": usage}, "rules": [
        {"id": "title", "when": {"tools": false}, "reply": {"text": "Write a greeting"}},
        {"id": "work", "when": {"user": "GREETING"}, "replies": [
            {"text": "Writing it.", "thinking": "A file, then.", "tools": [
                {"name": "write", "args": {"filePath": "{{dir}}/greeting.txt", "content": "héllo\n"}},
            ]},
            {"text": "Done: greeting.txt is written."},
        ]},
    ]});
    let options = Options {
        vars: [("dir".to_owned(), project.display().to_string())].into(),
        log: Some(log.clone()),
        log_bodies: true,
        ..Options::default()
    };
    let script = Script::parse(&script.to_string()).unwrap();
    let stub = StubModel::start(script, options).await.unwrap();

    let output = run(&stub, &project, &state, "Write the GREETING please").await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{stdout}\n{stderr}",
        output.status
    );

    // What it did.
    assert_eq!(
        fs::read_to_string(project.join("greeting.txt")).unwrap(),
        "héllo\n"
    );
    assert_eq!(left_behind(&state), Vec::<String>::new());

    // What it said it did, with the stub's usage.
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let tools = events(&lines, "tool_use");
    assert_eq!(tools.len(), 1, "{stdout}");
    assert_eq!(
        (&tools[0]["tool"], &tools[0]["state"]["status"]),
        (&json!("write"), &json!("completed"))
    );
    let texts: Vec<_> = events(&lines, "text")
        .iter()
        .map(|part| part["text"].clone())
        .collect();
    assert_eq!(texts, ["Writing it.", "Done: greeting.txt is written."]);
    let finishes = events(&lines, "step_finish");
    assert_eq!(finishes.len(), 2);
    for (finish, reason) in finishes.iter().zip(["tool-calls", "stop"]) {
        assert_eq!(finish["reason"], reason);
        assert_eq!(finish["tokens"]["input"], 1000);
        assert_eq!(finish["tokens"]["cache"]["read"], 200);
        assert_eq!(finish["tokens"]["reasoning"], 20);
    }

    // What the stub saw: the two rounds of the work, and perhaps the request for a title.
    stub.settle().await.unwrap();
    let requests = stub.requests();
    assert!(
        requests
            .iter()
            .all(|request| request.outcome == Outcome::Ok),
        "{requests:#?}"
    );
    let work: Vec<_> = requests
        .iter()
        .filter(|request| request.rule.as_deref() == Some("work"))
        .collect();
    let rounds: Vec<u64> = work.iter().map(|request| request.round).collect();
    assert_eq!(rounds, [0, 1]);
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
    assert!(
        requests
            .iter()
            .all(|request| request.rule.as_deref() != Some("fallback"))
    );

    // The log is the same story, and OpenCode knew the project by PWD.
    stub.shutdown().await.unwrap();
    let logged = fs::read_to_string(&log).unwrap();
    assert_eq!(logged.lines().count(), requests.len());
    assert!(
        !logged.contains("heron"),
        "the user's own settings played a part"
    );
    assert!(logged.contains(&format!("Working directory: {}", project.display())));
}

#[tokio::test]
async fn opencode_fails_when_the_provider_refuses_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let (project, state) = (folder.path().join("larder"), folder.path().join("state"));
    repository(&project);
    let script = json!({"rules": [{"id": "auth", "reply": {"error": {"status": 401, "message": "bad key"}}}]});
    let script = Script::parse(&script.to_string()).unwrap();
    let stub = StubModel::start(script, Options::default()).await.unwrap();
    let output = run(&stub, &project, &state, "anything").await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("bad key"), "{stdout}");
    assert!(stub.wait_for("auth").await.unwrap() >= 1);
    assert_eq!(left_behind(&state), Vec::<String>::new());
}

#[tokio::test]
async fn the_example_plans_script_makes_opencode_report_on_the_repository() {
    let folder = tempfile::tempdir().unwrap();
    let (project, state) = (folder.path().join("larder"), folder.path().join("state"));
    repository(&project);
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../plans/agent-write/model-script.json"
    );
    let stub = StubModel::start(Script::load(Path::new(script)).unwrap(), Options::default())
        .await
        .unwrap();
    let output = run(
        &stub,
        &project,
        &state,
        "Describe this repository in REPORT.md",
    )
    .await;
    assert!(output.status.success(), "{output:?}");
    let report = fs::read_to_string(project.join("REPORT.md")).unwrap();
    assert!(report.starts_with("# Report\n"), "{report}");
    // What only this repository has.
    assert!(
        report.contains("\nREADME.md\n") && report.contains(" Begin\n"),
        "{report}"
    );
    assert_eq!(stub.wait_for("report").await.unwrap(), 3);
    assert_eq!(left_behind(&state), Vec::<String>::new());
}
