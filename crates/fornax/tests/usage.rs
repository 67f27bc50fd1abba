//! What the command line does without a daemon: help, bad input, plans, journals.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

mod support;

use std::process::Command;
use std::time::Instant;

use insta::assert_snapshot;
use support::Place;

const PLAN: &str = "\
name: release
inputs:
  version: {description: What is released}
frames:
- {id: build, run: make}
- {id: test, run: make test, depends_on: [build]}
- {id: publish, run: \"echo {inputs.version}\", depends_on: [test]}
";

#[test]
fn help_names_every_command() {
    let place = Place::new();
    assert_snapshot!(place.run(&["--help"]).shown(&place));
}

#[test]
fn help_without_arguments_is_a_usage_error() {
    let place = Place::new();
    let ended = place.run(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("Usage: fornax"));
}

/// Whatever is malformed ends with code 2 before anything is written or started.
#[test]
fn bad_input_is_refused_and_leaves_nothing() {
    let table: &[&[&str]] = &[
        &["frobnicate"],
        &["run"],
        &["run", "plan.yaml", "-i", "no-value"],
        &["run", "plan.yaml", "-i", "=x"],
        &["run", "plan.yaml", "-i", "version=1", "-i", "version=2"],
        &["run", "plan.yaml", "-i", "versoin=1"],
        &["run", "plan.yaml"],
        &["run", "broken.yaml"],
        &["run", "binary.yaml"],
        &["run", "plan.yaml", "--watch", "--detach"],
        &["run", "plan.yaml", "--watch", "--json"],
        &["task", "shell"],
        &["task", "shell", "ls", "--timeout", "soon"],
        &["task", "shell", "ls", "--timeout", "-5s"],
        &["logs", "t-4k2p9x-1", "--since", "yesterday"],
        &["logs", "t-4k2p9x-1", "--tail", "-3"],
        &["runs", "-n", "0"],
        &["runs", "-n", "many"],
        &["stop"],
        &["stop", "RUN-20261120-001", "--all"],
        &["replay"],
        &["up", "--bind", "everywhere"],
        &["completions", "tcsh"],
        &["--color", "mauve", "tools"],
        &["plan", "check", "broken.yaml"],
        &["plan", "graph", "broken.yaml"],
    ];
    let place = Place::new();
    place.write("plan.yaml", PLAN);
    place.write("broken.yaml", "name: [\n");
    std::fs::write(place.dir().join("binary.yaml"), [0xff, 0xfe, 0]).unwrap();
    let before = place.files();
    for args in table {
        let ended = place.run(args);
        assert_eq!(ended.code, 2, "fornax {args:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "fornax {args:?}");
        assert!(ended.stderr.contains("error"), "fornax {args:?}: {ended:?}");
    }
    assert_eq!(place.files(), before);
    assert_eq!(place.processes(), []);
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    let place = Place::new();
    for args in [
        &["run", "missing.yaml"][..],
        &["-C", "missing", "ps"],
        &["verify"],
        &["replay", "RUN-20261120-001"],
    ] {
        let ended = place.run(args);
        assert_eq!(ended.code, 4, "fornax {args:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    }
    assert_eq!(place.files(), [] as [&str; 0]);
}

#[test]
fn a_plan_is_checked() {
    let place = Place::new();
    place.write("plan.yaml", PLAN);
    let given = ["plan", "check", "plan.yaml", "-i", "version=1.0"];
    assert_snapshot!(place.run(&given).shown(&place), @r"
    exit code 0
    --- stdout
    release is fine: 3 frames
    --- stderr
    ");
    assert_eq!(place.json(&[&given[..], &["--json"]].concat())["ok"], true);
    assert_snapshot!(place.run(&["plan", "check", "plan.yaml"]).shown(&place), @r"
    exit code 2
    --- stdout
    --- stderr
    plan.yaml:3:3: error: the input `version` is missing (What is released)
    3 |   version: {description: What is released}
      |   ^^^^^^^
    help: give it: `--input version=...`
    ");
    let unknown = PLAN.replace("[build]", "[biuld]");
    place.write("sub/plan.yaml", &unknown);
    let ended = place.run(&["plan", "check", "sub/plan.yaml", "-i", "version=1.0"]);
    assert_snapshot!(ended.shown(&place), @r"
    exit code 2
    --- stdout
    --- stderr
    sub/plan.yaml:6:43: error: unknown dependency `biuld`
    6 | - {id: test, run: make test, depends_on: [biuld]}
      |                                           ^^^^^
    help: did you mean `build`?
    ");
    let ended = place.run(&["plan", "check", "sub/plan.yaml", "--json"]);
    assert_eq!(ended.code, 2);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["diagnostics"][0]["place"]["line"], 6);
}

#[test]
fn a_plan_is_drawn() {
    let place = Place::new();
    place.write("plan.yaml", PLAN);
    assert_snapshot!(place.ok(&["plan", "graph", "plan.yaml"]), @r"
    release (3 frames, 3 layers)

       1 build  Build

       2 test  Test  <- build

       3 publish  Publish  <- test
    ");
    let json = place.json(&["plan", "graph", "plan.yaml", "-i", "version=1", "--json"]);
    assert_eq!(json["frames"][3]["depends_on"][0], "test");
}

#[test]
fn the_schema_is_json() {
    let place = Place::new();
    assert_eq!(place.json(&["plan", "schema"])["title"], "Fornax plan");
}

#[test]
fn control_characters_of_a_plan_do_not_reach_the_terminal() {
    let place = Place::new();
    place.write(
        "plan.yaml",
        "name: \"a\\e[2Jb\\u202e\"\nframes: [{id: x, run: ls}]\n",
    );
    let ended = place.run(&["plan", "check", "plan.yaml"]);
    let shown = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!shown.contains(['\x1b', '\u{202e}']), "{shown:?}");
}

#[test]
fn tools_say_what_is_wrong() {
    let place = Place::new();
    place.configure(
        "tools:\n  absent: {cmd: [no-such-program-here, \"{prompt}\"]}\n  \
         shell: {cmd: [./bin/version, \"{prompt}\"]}\n",
    );
    place.write("bin/version", "#!/bin/sh\necho version 1.2.3\n");
    let program = place.dir().join("bin/version");
    let mut mode = std::fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    std::fs::set_permissions(&program, mode).unwrap();

    let tools = place.json(&["tools", "--json"]);
    let tool = |name: &str| {
        let all = tools.as_array().unwrap();
        all.iter()
            .find(|tool| tool["name"] == name)
            .cloned()
            .unwrap()
    };
    // It can be used, and looking runs nothing of the project.
    assert_eq!(tool("shell")["usable"], true);
    assert!(tool("shell")["version"].is_null());
    assert_eq!(
        tool("shell")["problem"],
        "not asked for its version: its path is relative"
    );
    assert_eq!(tool("absent")["usable"], false);
    assert_eq!(
        tool("absent")["problem"],
        "`no-such-program-here` is not on the PATH"
    );
    let text = place.ok(&["tools"]);
    assert!(
        text.contains("change the command of `absent` in fornax.yaml"),
        "{text}"
    );
}

#[test]
fn doctor_tells_faults_and_changes_nothing() {
    let place = Place::new();
    let checks = place.json(&["doctor", "--json"]);
    let level = |name: &str| {
        let all = checks.as_array().unwrap();
        let check = all.iter().find(|check| check["name"] == name);
        check.unwrap_or_else(|| panic!("no check {name}: {checks}"))["level"].clone()
    };
    assert_eq!(level("home"), "ok");
    assert_eq!(level("daemon"), "ok");
    assert_eq!(place.files(), [] as [&str; 0]);

    let home = place.state().join("fornax");
    std::fs::write(home.join("token"), "short").unwrap();
    std::os::unix::net::UnixListener::bind(home.join("daemon.sock")).unwrap();
    place.write("fornax.yaml", "tolls: {}\n");
    let ended = place.run(&["doctor"]);
    std::fs::remove_file(home.join("daemon.sock")).unwrap();
    assert_eq!(ended.code, 1, "{ended:?}");
    for fault in [
        "✗ token",
        "! daemon",
        "✗ configuration",
        "did you mean `tools`?",
    ] {
        assert!(ended.stdout.contains(fault), "{fault}: {}", ended.stdout);
    }
}

#[test]
fn a_home_that_others_may_write_is_refused() {
    let place = Place::new();
    let home = place.state().join("fornax");
    std::fs::create_dir(&home).unwrap();
    let mut mode = std::fs::metadata(&home).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o777);
    std::fs::set_permissions(&home, mode).unwrap();
    let ended = place.run(&["status"]);
    assert_eq!(ended.code, 6);
    assert!(ended.stderr.contains("help: chmod go-w "), "{ended:?}");
}

#[test]
fn status_and_down_do_not_start_what_does_not_run() {
    let place = Place::new();
    let ended = place.run(&["status"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    assert_eq!(
        place.run(&["status", "--json"]).stdout,
        "{\n  \"running\": false\n}\n"
    );
    assert_eq!(place.run(&["down"]).code, 0);
    assert_eq!(place.ok(&["ps", "--json"]), "[]\n");
    assert_eq!(place.ok(&["runs", "--json"]), "[]\n");
    assert_eq!(place.processes(), []);
}

#[test]
fn completions_are_for_each_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.ok(&["completions", shell]);
        assert!(script.contains("retry"), "{shell}");
        let Ok(mut check) = Command::new(shell)
            .args(["-n", "/dev/stdin"])
            .stdin(std::process::Stdio::piped())
            .spawn()
        else {
            // The shell is not on this machine; its script was made all the same.
            continue;
        };
        std::io::Write::write_all(&mut check.stdin.take().unwrap(), script.as_bytes()).unwrap();
        assert!(check.wait().unwrap().success(), "{shell}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = place
        .command(&["completions", "bash"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((status.status.code(), status.stderr.len()), (Some(0), 0));
}

/// Generous: the budget of 10 ms is for a release build on an idle machine.
#[test]
fn the_version_is_told_at_once() {
    let place = Place::new();
    let fastest = (0..5)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(
                place.ok(&["--version"]),
                format!("fornax {}\n", env!("CARGO_PKG_VERSION"))
            );
            start.elapsed()
        })
        .min()
        .unwrap();
    assert!(fastest.as_millis() < 100, "{fastest:?}");
    assert_eq!(std::fs::read_dir(place.state()).unwrap().count(), 0);
}
