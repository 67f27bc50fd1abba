//! The program: its files, its control routes, how it ends, and what it says when it cannot.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::{ask, get, get_with, post, start};
use fornax_stub_model::StubModel;
use serde_json::{Value, json};

const SCRIPT: &str = r#"{"rules": [
    {"id": "hi", "when": {"user": "hi"}, "reply": {"text": "in {{dir}}"}},
    {"id": "mute", "when": {"user": "mute"}, "reply": {"hang": true}}
]}"#;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fornax-stub-model"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running program, killed where a test ends without having ended it.
struct Running(Option<Child>);

impl Running {
    /// Sends SIGTERM and waits.
    fn terminate(mut self) -> Output {
        let child = self.0.take().unwrap();
        let killed = Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap();
        assert!(killed.success());
        child.wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// What a program that cannot start says.
fn complaint(args: &[&str]) -> String {
    let output = program().args(args).output().unwrap();
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

fn write_script(folder: &Path) -> String {
    let path = folder.join("script.json");
    std::fs::write(&path, SCRIPT).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let (port_file, log) = (folder.path().join("port"), folder.path().join("log.jsonl"));
    let mut child = program()
        .args([
            "--script",
            &write_script(folder.path()),
            "--var",
            "dir=/w=1",
            "--log-bodies",
        ])
        .args([
            Path::new("--port-file"),
            &port_file,
            Path::new("--log"),
            &log,
        ])
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let running = Running(Some(child));
    let port: u16 = std::fs::read_to_string(&port_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert_eq!(
        line,
        format!("fornax-stub-model: http://127.0.0.1:{port}\n")
    );

    assert_eq!(
        get(&port, "/__stub/health").await.json(),
        json!({"ok": true})
    );
    let reply = common::call(&port, &ask("hi there")).await.unwrap();
    assert_eq!(reply.text(), "in /w=1");
    let waited = get(&port, "/__stub/wait?rule=hi&timeout_ms=10000").await;
    assert_eq!((waited.status, waited.json()), (200, json!({"fired": 1})));

    // One that hangs is ended with the program, and logged.
    let hanging = tokio::spawn(async move { common::call(&port, &ask("mute")).await.is_err() });
    assert_eq!(get(&port, "/__stub/wait?rule=mute").await.status, 200);
    let output = running.terminate();
    assert!(output.status.success(), "{output:?}");
    assert!(hanging.await.unwrap());
    let log = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["rule"], &lines[0]["outcome"]),
        (&json!("hi"), &json!("ok"))
    );
    assert_eq!(lines[0]["body"]["messages"][0]["content"], "hi there");
    assert_eq!(
        (&lines[1]["rule"], &lines[1]["outcome"]),
        (&json!("mute"), &json!("stopped"))
    );
}

#[tokio::test]
async fn without_a_script_it_serves_a_rehearsal() {
    let mut child = program().spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let running = Running(Some(child));
    let port: u16 = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    let title = common::call(&port, &ask("hi")).await.unwrap().text();
    assert_eq!(title, "Rehearsal");
    let turn = common::with_tools(ask("hi"), &["write"]);
    let turn = common::call(&port, &turn).await.unwrap().text();
    assert!(turn.starts_with("This is a rehearsal"), "{turn}");
    assert!(running.terminate().status.success());
}

#[test]
fn it_says_why_it_cannot_start() {
    let folder = tempfile::tempdir().unwrap();
    let script = write_script(folder.path());
    let bad = folder.path().join("bad.json");
    std::fs::write(&bad, r#"{"rules": [{"when": {"usr": "x"}}]}"#).unwrap();

    let said = complaint(&[
        "--script",
        bad.to_str().unwrap(),
        "--port-file",
        "/nowhere/port",
    ]);
    assert!(
        said.starts_with("fornax-stub-model: ") && said.contains("at rules[0].when.usr"),
        "{said}"
    );
    let said = complaint(&["--script", &script]);
    assert!(
        said.contains("{{dir}} is used but not given: pass --var dir=VALUE"),
        "{said}"
    );
    let said = complaint(&["--script", &script, "--var", "dir"]);
    assert!(said.contains("write NAME=VALUE"), "{said}");
    let given = ["--script", &script, "--var", "dir=x"];
    let said = complaint(&[&given[..], &["--log", "/nowhere/log"]].concat());
    assert!(said.contains("cannot write the log /nowhere/log"), "{said}");
    let said = complaint(&[&given[..], &["--port-file", "/nowhere/port"]].concat());
    assert!(
        said.contains("cannot write the port file /nowhere/port"),
        "{said}"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = complaint(&[&given[..], &["--port", &port]].concat());
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{said}"
    );
}

async fn one_rule() -> StubModel {
    start(&json!({"rules": [{"id": "one", "when": {"user": "one"}, "reply": {"text": "x"}}]})).await
}

#[tokio::test]
async fn the_list_shows_what_came_without_keys_and_bodies() {
    let stub = one_rule().await;
    let headers = [("Authorization", "Bearer abc"), ("x-session", "s1")];
    post(
        &stub.port(),
        "/v1/chat/completions?a=b",
        &headers,
        &ask("one, please"),
    )
    .await
    .unwrap();
    stub.settle().await.unwrap();
    let list = get(&stub.port(), "/__stub/requests").await;
    assert!(!list.body.contains("abc"), "{}", list.body);
    let list = list.json();
    assert_eq!(list["dropped"], 0);
    let request = &list["requests"][0];
    let expected = json!({
        "n": 1, "seq": 1, "api": "chat", "method": "POST", "path": "/v1/chat/completions?a=b",
        "model": "m", "stream": true, "rule": "one", "round": 0, "last_user": "one, please",
        "tools": [], "outcome": "ok", "status": 200, "frames_sent": 4,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&request[key], value, "{key}");
    }
    assert_eq!(request["headers"]["authorization"], "(set)");
    assert_eq!(request["headers"]["x-session"], "s1");
    assert!(request.get("body").is_none());
}

#[tokio::test]
async fn a_wait_ends_with_the_rule_or_its_time() {
    let stub = one_rule().await;
    let port = stub.port();
    assert_eq!(
        get(&port, "/__stub/wait?rule=one&timeout_ms=1")
            .await
            .status,
        408
    );
    let unknown = get(&port, "/__stub/wait?rule=two").await;
    assert_eq!(
        (unknown.status, unknown.json()),
        (404, json!({"error": "the script has no rule \"two\""}))
    );
    assert_eq!(
        get(&port, "/__stub/wait?rule=one&timeout_s=1").await.status,
        400
    );

    let waiting = tokio::spawn(async move { get(&port, "/__stub/wait?rule=one").await });
    common::call(&port, &ask("one")).await.unwrap();
    assert_eq!(waiting.await.unwrap().json(), json!({"fired": 1}));
    common::call(&port, &ask("other")).await.unwrap();
    assert_eq!(stub.wait_for("fallback").await.unwrap(), 1);
    let error = stub.wait_for("two").await.unwrap_err();
    assert_eq!(error.to_string(), "the script has no rule \"two\"");
}

#[tokio::test]
async fn a_web_page_is_kept_out() {
    let stub = one_rule().await;
    let port = stub.port();
    for headers in [
        [("host", "evil.example:80")],
        [("host", "127.0.0.1.evil.example")],
        [("origin", "http://127.0.0.1")],
    ] {
        assert_eq!(
            get_with(&port, "/__stub/requests", &headers).await.status,
            403,
            "{headers:?}"
        );
    }
    for host in ["localhost", "127.0.0.1", "localhost:1234"] {
        assert_eq!(
            get_with(&port, "/__stub/health", &[("host", host)])
                .await
                .status,
            200
        );
    }
}
