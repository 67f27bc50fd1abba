//! The call stack's faces: the command line, MCP on standard input and output, MCP over HTTP, and the
//! HTTP API, all on one daemon; questions; crashes; two sessions at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use fornax_core::request::{Caller, ToolRequest};
use fornax_core::tools::Reply;
use fornax_daemon::client::Client;
use serde_json::{Value, json};
use support::{PATIENCE, Place, wait_until};

/// An agent's side of `fornax mcp`.
struct Mcp {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    asked: u64,
}

impl Mcp {
    fn start(place: &Place, args: &[&str]) -> Mcp {
        let mut child = place
            .command(&[&["mcp"], args].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut mcp = Mcp {
            child,
            input,
            output: BufReader::new(output),
            asked: 0,
        };
        let client = json!({ "name": "test", "version": "1" });
        let params =
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        let hello = mcp.ask("initialize", &params);
        assert_eq!(hello["serverInfo"]["name"], "fornax", "{hello}");
        mcp.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        mcp
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.asked += 1;
        self.send(
            &json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params }),
        );
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], self.asked, "{answer}");
        answer["result"].clone()
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask(
            "tools/call",
            &json!({ "name": tool, "arguments": arguments }),
        )
    }

    fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn one_stack_has_many_faces() {
    let place = Place::new();
    let pushed = place.ok(&[
        "frame",
        "push",
        "Build the login page",
        "--title",
        "Login page",
    ]);
    assert!(pushed.contains("(Login page) now"), "{pushed}");
    // An agent that stands in the same frame, by MCP on its standard input and output.
    let mut mcp = Mcp::start(&place, &["--session", "cli"]);
    let tools = mcp.ask("tools/list", &json!({}));
    let names: Vec<&str> = tools["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 12, "{names:?}");
    let hints = &tools["tools"][names
        .iter()
        .position(|name| *name == "flame_status")
        .unwrap()];
    assert_eq!(hints["annotations"]["readOnlyHint"], true, "{hints}");
    let status = mcp.call("flame_status", &json!({}));
    assert!(
        text(&status).contains("Login page  <- you work here"),
        "{status}"
    );
    let pushed = mcp.call("flame_push", &json!({ "goal": "Hash passwords" }));
    assert!(text(&pushed).contains("<context>"), "{pushed}");
    // What is wrong is told to the model, with what to do.
    let wrong = mcp.call("flame_push", &json!({ "gaol": "x" }));
    assert_eq!(wrong["isError"], true);
    assert!(text(&wrong).contains("unknown field `gaol`"), "{wrong}");
    let popped = mcp.call("flame_pop", &json!({ "results": "argon2id, see auth.rs" }));
    assert!(text(&popped).contains("argon2id, see auth.rs"), "{popped}");
    // The daemon dies; the next call finds the next one, and nothing is lost.
    let pid = place.json(&["status", "--json"])["pid"].as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let status = mcp.call("flame_status", &json!({}));
    assert!(
        text(&status).contains("Login page  <- you work here"),
        "{status}"
    );
    mcp.end();
    // The same over HTTP, with the installation's token; and with none, or a page's origin, not at all.
    let with = |headers: &str, session: &str| {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "flame_status", "arguments": {} } });
        let dir = place.dir().canonicalize().unwrap();
        let path = format!("/mcp?dir={}&session={session}", dir.display());
        http(&place, &path, headers, &call)
    };
    let token = std::fs::read_to_string(place.state().join("fornax/token")).unwrap();
    let bearer = format!("authorization: Bearer {}\r\n", token.trim());
    let answer = with(&bearer, "cli");
    assert!(answer.contains("Login page  <- you work here"), "{answer}");
    assert!(with(&bearer, "other").contains("works in no frame yet"));
    assert!(
        with("", "cli").starts_with("HTTP/1.1 401"),
        "{}",
        with("", "cli")
    );
    let foreign = format!("{bearer}origin: http://evil.example\r\n");
    assert!(with(&foreign, "cli").starts_with("HTTP/1.1 403"));
    let tree = place.ok(&["frame", "tree"]);
    assert!(tree.contains("[completed] Hash passwords"), "{tree}");
}

/// A POST to the daemon's port; the whole answer.
fn http(place: &Place, path: &str, headers: &str, body: &Value) -> String {
    let url = place.json(&["status", "--json"])["url"]
        .as_str()
        .unwrap()
        .to_owned();
    let host = url.strip_prefix("http://").unwrap();
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_question_waits_for_its_answer() {
    let place = Place::new();
    place.ok(&["frame", "push", "Choose a database"]);
    let mut asking = place
        .command(&[
            "frame",
            "request-input",
            "Which one?",
            "--options",
            "sqlite",
            "--options",
            "postgres",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut asked = String::new();
    assert!(wait_until(PATIENCE, || {
        let inbox = place.json(&["inbox", "--json"]);
        asked = inbox[0]["checkpoint"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        !asked.is_empty()
    }));
    let refused = place.run(&["answer", &asked, "oracle"]);
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("sqlite, postgres"), "{refused:?}");
    place.ok(&["answer", &asked, "sqlite"]);
    let mut answer = String::new();
    asking
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut answer)
        .unwrap();
    assert!(asking.wait().unwrap().success());
    assert_eq!(answer.trim(), "sqlite");
    assert_eq!(place.json(&["inbox", "--json"]), json!([]));
    // Whoever gives up waiting is told that the question stays.
    let gone = place.ok(&["frame", "request-input", "And the port?", "--timeout", "1"]);
    assert!(gone.contains("Nobody has answered yet"), "{gone}");
}

#[test]
fn bad_input_changes_nothing_and_says_what_to_do() {
    let place = Place::new();
    place.ok(&["frame", "push", "Something"]);
    let before = place.json(&["frame", "get-state", "--json"]);
    for (args, told) in [
        (
            vec!["frame", "pop", "--frame-id", "f-zzzzzz"],
            "there is no frame",
        ),
        (vec!["frame", "push", "  "], "a goal must not be empty"),
        (
            vec!["frame", "plan-children", "--children", "[]"],
            "1 to 100 frames",
        ),
        (
            vec!["frame", "add-artifact", "../outside"],
            "leads out of the project",
        ),
        (
            vec!["frame", "invalidate", "no more", "--frame-id", "f-zzzzzz"],
            "there is no frame",
        ),
        (
            vec!["answer", "c-zzzzzz-1", "yes"],
            "there is no checkpoint",
        ),
        (vec!["mcp", "--tools", "flame_fly"], "there is no tool"),
    ] {
        let ended = place.run(&args);
        assert_ne!(ended.code, 0, "{args:?}");
        assert!(ended.stderr.contains(told), "{args:?}: {ended:?}");
    }
    assert_eq!(place.json(&["frame", "get-state", "--json"]), before);
}

#[test]
fn a_secret_that_an_agent_says_is_not_kept() {
    let place = Place::new();
    let secret = format!("sk-ant-api03-{}", "Ab1".repeat(31));
    place.ok(&["frame", "push", &format!("Use the key {secret}")]);
    let runs = place.dir().join(".fornax/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap();
    let journal = std::fs::read_to_string(run.path().join("events.jsonl")).unwrap();
    assert!(journal.contains("[redacted:"), "{journal}");
    assert!(!journal.contains(&secret));
}

#[test]
fn two_sessions_at_once_never_move_each_other() {
    const OPERATIONS: u64 = 1_000;
    let place = Place::new();
    place.ok(&["frame", "push", "Of the first", "--session", "first"]);
    let project = place.json(&["status", "--json"])["projects"][0]["project"]["id"].clone();
    let socket = place.state().join("fornax/daemon.sock");
    let work = |session: &'static str, seed: u64| {
        let (project, socket) = (project.as_str().unwrap().to_owned(), socket.clone());
        async move {
            let client = Client::at(socket).await.unwrap();
            let (mut random, mut stack): (u64, Vec<String>) = (seed, Vec::new());
            for step in 0..OPERATIONS {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let deep = stack.len();
                let (tool, arguments) = match deep > 1 && (deep > 8 || random >> 63 == 0) {
                    true => ("flame_pop", json!({ "results": format!("step {step}") })),
                    false => (
                        "flame_push",
                        json!({ "goal": format!("step {step} of {session}") }),
                    ),
                };
                let request = ToolRequest {
                    caller: Caller {
                        project: Some(project.clone()),
                        session: Some(session.to_owned()),
                        ..Caller::default()
                    },
                    cmd_id: None,
                    arguments,
                };
                let path = format!("/api/tools/{tool}");
                let reply: Reply = client.post_json(&path, &request).await.unwrap();
                let active = reply.data["frame"]["id"].as_str().unwrap().to_owned();
                if tool == "flame_push" {
                    stack.push(active);
                } else {
                    stack.pop();
                    assert_eq!(
                        Some(&active),
                        stack.last(),
                        "step {step} of {session}, seed {seed}"
                    );
                }
            }
        }
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let one = tokio::spawn(work("one", 42));
        let two = tokio::spawn(work("two", 4_242));
        one.await.unwrap();
        two.await.unwrap();
    });
}

#[test]
fn an_agent_that_orchestrates_starts_work_and_follows_it() {
    let place = Place::new();
    place.write("two.yaml", "name: Two\nframes:\n- {id: one, run: echo hello}\n- {id: two, run: echo bye, depends_on: one}\n");
    let mut mcp = Mcp::start(&place, &["--tools", "all", "--session", "conductor"]);
    // Whoever works in a directory that nobody looks after is told what to do.
    let stranger = mcp.call("run_plan", &json!({ "path": "two.yaml" }));
    assert_eq!(stranger["isError"], true, "{stranger}");
    assert!(
        text(&stranger).contains("run a `fornax` command in it"),
        "{stranger}"
    );
    place.ok(&["frame", "tree"]);
    let checked = mcp.call("plan_check", &json!({ "path": "two.yaml" }));
    assert!(text(&checked).contains("2 frames"), "{checked}");
    let wrong = mcp.call("plan_check", &json!({ "path": "none.yaml" }));
    assert_eq!(wrong["isError"], true);
    let begun = mcp.call("run_plan", &json!({ "path": "two.yaml" }));
    let run = text(&begun).split(' ').next().unwrap().to_owned();
    assert!(wait_until(PATIENCE, || {
        let status = mcp.call("run_status", &json!({ "id": run }));
        text(&status).contains("is completed")
    }));
    let detail = place.json(&["show", &run, "--json"]);
    let task = detail["tasks"]["id"][0].as_str().unwrap().to_owned();
    let status = mcp.call("task_status", &json!({ "id": task }));
    assert!(text(&status).contains("is completed"), "{status}");
    let logs = mcp.call("task_logs", &json!({ "id": task }));
    assert_eq!(text(&logs), "hello\n");
    let slow = mcp.call(
        "task_start",
        &json!({ "tool": "shell", "prompt": "touch began; sleep 600" }),
    );
    let run = text(&slow).split(' ').next().unwrap().to_owned();
    support::wait_for_file(&place.dir().join("began"));
    let stopped = mcp.call("task_stop", &json!({ "id": run, "reason": "enough" }));
    assert!(text(&stopped).contains("is being stopped"), "{stopped}");
    assert!(wait_until(PATIENCE, || {
        !place.json(&["show", &run, "--json"])["run"]["ended_ms"].is_null()
    }));
    mcp.end();
}

#[test]
fn what_is_dropped_is_as_the_preview_says_and_its_task_stops() {
    let place = Place::new();
    place.write(
        "plan.yaml",
        "name: P\nframes:\n- {id: slow, run: 'touch began; sleep 600'}\n\
         - {id: after, run: echo after, depends_on: slow}\n- {id: beside, run: echo beside}\n",
    );
    let run = place
        .ok(&["run", "plan.yaml", "--detach"])
        .trim()
        .to_owned();
    support::wait_for_file(&place.dir().join("began"));
    let frames = place.json(&["show", &run, "--json"])["frames"].clone();
    let id = |key: &str| {
        let at = frames["key"]
            .as_array()
            .unwrap()
            .iter()
            .position(|known| known == key);
        frames["id"][at.unwrap()].as_str().unwrap().to_owned()
    };
    let (slow, after) = (id("slow"), id("after"));
    let drop = [
        "frame",
        "invalidate",
        "no longer wanted",
        "--frame-id",
        &slow,
        "--json",
    ];
    let preview = place.json(&[&drop[..], &["--preview"]].concat());
    assert_eq!(
        preview["invalidation"]["cascaded"],
        json!([after]),
        "{preview}"
    );
    assert_eq!(
        preview["invalidation"]["tasks"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        place.json(&["show", &slow, "--json"])["frame"]["status"],
        "in_progress"
    );
    let done = place.json(&drop);
    assert_eq!(done["invalidation"], preview["invalidation"]);
    assert!(wait_until(PATIENCE, || {
        !place.json(&["show", &run, "--json"])["run"]["ended_ms"].is_null()
    }));
    for id in [&slow, &after] {
        assert_eq!(
            place.json(&["show", id, "--json"])["frame"]["status"],
            "invalidated"
        );
    }
    let task = place.json(&["show", &slow, "--json"])["tasks"][0]["state"].clone();
    assert_eq!(task, "cancelled");
}

#[test]
fn a_script_acts_for_its_own_task_and_for_no_other() {
    let place = Place::new();
    let fornax = env!("CARGO_BIN_EXE_fornax");
    let run = format!(
        "{fornax} frame add-decision 'Use it' && {fornax} frame status && ! {fornax} frame set-goal x \
         --frame-id f-zzzzzz && echo $FORNAX_SESSION_TOKEN"
    );
    place.write(
        "plan.yaml",
        &format!("name: P\nframes:\n- id: own\n  run: \"{run}\"\n"),
    );
    let run = place
        .ok(&["run", "plan.yaml", "--detach"])
        .trim()
        .to_owned();
    assert!(wait_until(PATIENCE, || {
        !place.json(&["show", &run, "--json"])["run"]["ended_ms"].is_null()
    }));
    let detail = place.json(&["show", &run, "--json"]);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    let frame = detail["frames"]["id"][1].as_str().unwrap();
    let frame = place.json(&["show", frame, "--json"]);
    assert_eq!(frame["decisions"][0]["decision"], "Use it", "{frame:#}");
    // The token that it had is in no log, and is good for nothing once the task is over.
    let results = frame["results"].as_str().unwrap();
    assert!(
        results.contains("[redacted:") && results.contains("you work here"),
        "{results}"
    );
}
