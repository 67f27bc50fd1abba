//! The command line beside daemons of other protocols: a fake daemon, which is this test's program in
//! a process of its own, answers as an older or newer one would.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fornax_daemon::protocol::PROTOCOL;
use serde_json::{Value, json};
use support::{Place, wait_for_file};

/// What the fake is told: JSON.
const FAKE: &str = "FORNAX_TEST_FAKE_DAEMON";

/// How a fake daemon differs from this version's.
#[derive(Clone, Copy)]
struct Fake {
    /// None as daemons from before the number, which tell none.
    protocol: Option<u32>,
    /// Whether its status has the form of this version.
    is_known_form: bool,
    /// Whether it knows how to be ended.
    is_endable: bool,
    /// Whether it says where it is.
    has_info: bool,
}

/// The one before the number, as version 0.1.0 was.
const OLD: Fake = Fake {
    protocol: None,
    is_known_form: true,
    is_endable: true,
    has_info: true,
};
const NEW: Fake = Fake {
    protocol: Some(PROTOCOL + 1),
    is_known_form: false,
    is_endable: true,
    has_info: true,
};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by now.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

fn start(place: &Place, fake: Fake) -> Running {
    let home = place.state().join("fornax");
    place.run(&["status"]);
    let mut status = json!({ "version": "0.0.9", "url": "http://127.0.0.1:7717", "projects": [] });
    if fake.is_known_form {
        status["epoch"] = "x".into();
        status["started_ms"] = 0.into();
    } else {
        status["projects"] = json!([{ "unknown": "form" }]);
    }
    if let Some(protocol) = fake.protocol {
        status["protocol"] = protocol.into();
    }
    let told = json!({
        "home": home, "status": status, "endable": fake.is_endable, "info": fake.has_info,
    });
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fake_daemon", "--nocapture"])
        .env(FAKE, told.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    wait_for_file(&home.join("fake-is-ready"));
    running
}

/// Not a test: what [`start`] starts.
#[test]
fn fake_daemon() {
    let Ok(told) = std::env::var(FAKE) else {
        return;
    };
    let told: Value = serde_json::from_str(&told).unwrap();
    let home = Path::new(told["home"].as_str().unwrap());
    let lock = File::create(home.join("daemon.lock")).unwrap();
    lock.lock().unwrap();
    writeln!(&lock, "{}", std::process::id()).unwrap();
    let mut status = told["status"].clone();
    status["pid"] = std::process::id().into();
    // One that was killed leaves its socket.
    let _ = fs::remove_file(home.join("daemon.sock"));
    let listener = UnixListener::bind(home.join("daemon.sock")).unwrap();
    if told["info"] == true {
        let mut info = status.clone();
        info["started_ms"] = 0.into();
        fs::write(home.join("daemon.json"), info.to_string()).unwrap();
    }
    let mut requests = File::create(home.join("fake-requests")).unwrap();
    fs::write(home.join("fake-is-ready"), "").unwrap();
    for stream in listener.incoming() {
        let mut stream = BufReader::new(stream.unwrap());
        let Some((request, _)) = read_request(&mut stream) else {
            continue;
        };
        writeln!(requests, "{request}").unwrap();
        let ends = request == "POST /api/shutdown" && told["endable"] == true;
        let (code, body) = match request.as_str() {
            "GET /api/status" => (200, status.to_string()),
            _ if ends => (202, String::new()),
            _ => (
                404,
                json!({ "error": { "kind": "not_found", "message": "no such route" } }).to_string(),
            ),
        };
        let answer = format!(
            "HTTP/1.1 {code} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        // The client may have left.
        let _ = stream.get_mut().write_all(answer.as_bytes());
        if ends {
            fs::remove_file(home.join("daemon.sock")).unwrap();
            // As a daemon whose requests still finish.
            std::thread::park_timeout(std::time::Duration::from_millis(200));
            return;
        }
    }
}

/// The first line of a request, without its version, and the body.
fn read_request(stream: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let request = line.rsplit_once(' ')?.0.to_owned();
    let mut bytes = 0;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        match header.trim().split_once(": ") {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                bytes = value.parse().ok()?;
            }
            Some(_) => {}
        }
    }
    let mut body = vec![0; bytes];
    stream.read_exact(&mut body).ok()?;
    Some((request, body))
}

/// What the fake was asked, beside what every version answers.
fn other_requests(place: &Place) -> Vec<String> {
    let requests = fs::read_to_string(place.state().join("fornax/fake-requests")).unwrap();
    let every = ["GET /api/status", "GET /api/alive", "POST /api/shutdown"];
    let all = requests.lines().filter(|line| !every.contains(line));
    all.map(str::to_owned).collect()
}

/// Removes what is left of a fake, as a test's end expects no socket without a daemon.
fn clean(place: &Place) {
    for name in ["daemon.sock", "daemon.json", "fake-is-ready"] {
        // The fake may have done so.
        let _ = fs::remove_file(place.state().join("fornax").join(name));
    }
}

#[test]
fn other_commands_name_the_way_out_and_ask_nothing_else() {
    let without_info = Fake {
        has_info: false,
        ..OLD
    };
    for fake in [OLD, NEW, without_info] {
        let place = Place::new();
        place.write("fornax.yaml", "");
        let running = start(&place, fake);
        let theirs = fake.protocol.unwrap_or(0);
        for args in [
            &["ps"][..],
            &["runs"],
            &["task", "shell", "true"],
            &["stop", "t-aaaaaa"],
            &["logs", "t-aaaaaa"],
            &["trust"],
            &["inbox"],
            &["open", "--print"],
            &["frame", "status"],
        ] {
            let ended = place.run(args);
            assert_eq!(ended.code, 5, "{args:?}: {ended:?}");
            assert!(
                ended
                    .stderr
                    .contains(&format!("the running daemon speaks protocol {theirs}")),
                "{args:?}: {ended:?}"
            );
            assert!(
                ended
                    .stderr
                    .contains("`fornax up --restart` replaces the daemon"),
                "{args:?}: {ended:?}"
            );
        }
        assert_eq!(other_requests(&place), [] as [&str; 0]);
        drop(running);
        clean(&place);
    }
}

#[test]
fn status_doctor_up_and_down_work_with_every_protocol() {
    for fake in [OLD, NEW] {
        let place = Place::new();
        place.write("fornax.yaml", "");
        let mut running = start(&place, fake);
        let pid = running.0.id();
        let status = place.run(&["status"]);
        assert_eq!(status.code, 0, "{status:?}");
        assert!(status.stdout.starts_with("fornax 0.0.9"), "{status:?}");
        assert!(status.stderr.contains("fornax up --restart"), "{status:?}");
        let json = place.json(&["status", "--json"]);
        assert_eq!(
            (&json["pid"], &json["running"]),
            (&json!(pid), &json!(true))
        );
        assert_eq!(json["protocol"], fake.protocol.unwrap_or(0));
        let doctor = place.run(&["doctor"]);
        assert_eq!(doctor.code, 1, "{doctor:?}");
        assert!(doctor.stdout.contains("✗ daemon"), "{doctor:?}");
        assert!(doctor.stdout.contains("fornax up --restart"), "{doctor:?}");
        let up = place.run(&["up", "-d"]);
        assert_eq!(up.code, 0, "{up:?}");
        assert!(up.stdout.starts_with("fornax is up already"), "{up:?}");
        assert!(up.stderr.contains("fornax up --restart"), "{up:?}");
        assert_eq!(place.ok(&["down"]), "fornax is down\n");
        assert!(
            running.0.try_wait().unwrap().is_some(),
            "down waits for the end"
        );
        clean(&place);
    }
}

#[test]
fn restart_replaces_a_daemon_of_any_protocol() {
    let stubborn = Fake {
        is_endable: false,
        ..OLD
    };
    for fake in [OLD, NEW, stubborn] {
        let place = Place::new();
        place.write("fornax.yaml", "");
        let mut running = start(&place, fake);
        let ended = place.run(&["up", "--restart"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.stdout.starts_with("fornax is up: http"), "{ended:?}");
        assert!(running.0.try_wait().unwrap().is_some());
        assert_eq!(place.json(&["status", "--json"])["protocol"], PROTOCOL);
        place.ok(&["task", "shell", "true"]);
        // One of its own version is replaced as well; with none it is a plain start.
        let first = place.json(&["status", "--json"])["pid"].clone();
        place.ok(&["up", "--restart"]);
        assert_ne!(place.json(&["status", "--json"])["pid"], first);
        place.ok(&["down"]);
        place.ok(&["up", "--restart"]);
    }
}

#[test]
fn a_hook_is_silent_beside_another_protocol() {
    for fake in [OLD, NEW] {
        let place = Place::new();
        place.write("fornax.yaml", "");
        let running = start(&place, fake);
        let mut hook = place
            .command(&["hook", "claude"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let event = json!({
            "hook_event_name": "UserPromptSubmit", "prompt": "hello", "cwd": place.dir(),
        });
        hook.stdin
            .take()
            .unwrap()
            .write_all(event.to_string().as_bytes())
            .unwrap();
        let ended = support::Ended::of(hook.wait_with_output().unwrap());
        assert_eq!(
            (ended.code, ended.stdout, ended.stderr),
            (0, String::new(), String::new())
        );
        assert_eq!(other_requests(&place), [] as [&str; 0]);
        drop(running);
        clean(&place);
    }
}

#[test]
fn mcp_answers_a_tool_error_and_connects_again() {
    let place = Place::new();
    place.write("fornax.yaml", "");
    let running = start(&place, OLD);
    let mut mcp = place
        .command(&["mcp"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, output) = (mcp.stdin.take().unwrap(), mcp.stdout.take().unwrap());
    let mut output = BufReader::new(output);
    let mut ask = |id: u32, method: &str, params: Value| -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        writeln!(input, "{request}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()["result"].take()
    };
    let client = json!({ "name": "test", "version": "1" });
    ask(
        1,
        "initialize",
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client }),
    );
    let call = json!({ "name": "flame_status", "arguments": {} });
    let answer = ask(2, "tools/call", call.clone());
    assert_eq!(answer["isError"], true, "{answer}");
    let text = answer["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("speaks protocol 0"), "{text}");
    assert!(text.contains("`fornax up --restart`"), "{text}");
    assert_eq!(other_requests(&place), [] as [&str; 0]);

    place.ok(&["up", "--restart"]);
    let answer = ask(3, "tools/call", call);
    assert_ne!(answer["isError"], true, "{answer}");
    drop(input);
    assert!(mcp.wait().unwrap().success());
    drop(running);
}
