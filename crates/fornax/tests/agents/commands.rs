//! The commands about agents, as a person types them.

use std::process::Command;

use serde_json::Value;

use crate::stage::Stage;

#[test]
fn agents_are_found_and_their_versions_told() {
    let stage = Stage::set("claude");
    let ended = stage.fornax(&["agents", "--json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let rows: Value = serde_json::from_str(&ended.stdout).unwrap();
    let row = |name: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap().clone()
    };
    for agent in ["opencode", "claude", "codex"] {
        let row = row(agent);
        assert_eq!(row["usable"], true, "{row}");
        assert_eq!(row["support"], "known", "{row}");
    }
    let missing = row("copilot");
    assert_eq!(missing["usable"], false, "{missing}");
    let advice = missing["advice"].as_str().unwrap();
    assert!(advice.contains("npm"), "{advice}");
    let table = stage.fornax(&["agents"]).stdout;
    assert!(
        table.contains("copilot") && table.contains(advice),
        "{table}"
    );
}

#[test]
fn an_agent_is_tested_with_one_harmless_turn() {
    for agent in ["opencode", "claude", "codex"] {
        let stage = Stage::set(agent);
        let ended = stage.fornax(&["agents", "test", agent]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(stage.answered(&["ready"]) >= 1, "the model was not asked");
        assert_eq!(stage.place.files(), [".fornax", ".git", "fornax.yaml"]);
    }
    let stage = Stage::set("claude");
    let ended = stage.place.run(&["agents", "test", "copilot"]);
    assert_ne!(ended.code, 0);
    assert!(ended.stderr.contains("copilot cannot be used"), "{ended:?}");
}

#[test]
fn a_task_is_done_again_and_compared() {
    let stage = Stage::set("claude");
    let first = stage.start("BUSYLESS please");
    stage.wait_for_end(&first);
    let task = stage.task(&first);
    let second = stage.place_ok(&["task", "rerun", &task, "--detach"]);
    stage.wait_for_end(&second);
    assert_ne!(first, second);
    let both = stage.place.json(&["compare", &first, &second, "--json"]);
    let pair = &both["frames"][0];
    for side in ["one", "other"] {
        assert_eq!(pair[side]["status"], "completed", "{both:#}");
        assert_eq!(pair[side]["tool"], "agent");
        assert!(pair[side]["tool_version"].is_string(), "{both:#}");
        assert_eq!(pair[side]["usage"]["input"], 1_000);
    }
    let differences = pair["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{both:#}");
    let diff = differences[0]["diff"].as_str().unwrap();
    assert!(diff.contains("-The first answer."), "{diff}");
    assert!(diff.contains("+The second answer."), "{diff}");
    let text = stage.place.ok(&["compare", &first, &second]);
    assert!(text.contains("+The second answer."), "{text}");
}

#[test]
fn a_conversation_can_be_opened() {
    for (agent, words) in [
        ("opencode", "attach"),
        ("claude", "--resume"),
        ("codex", "resume"),
    ] {
        let stage = Stage::set(agent);
        let run = stage.start("BUSYLESS please");
        stage.wait_for_end(&run);
        let command = stage.place.ok(&["open", &stage.frame(&run), "--print"]);
        let session = stage.run(&run)["tasks"]["session"][0].clone();
        assert!(command.contains(words), "{command}");
        assert!(command.contains(session.as_str().unwrap()), "{command}");
        // A password stays in its file.
        assert!(!command.contains("PASSWORD=") || command.contains("$(cat "));
    }
}

#[test]
fn terminals_that_show_a_conversation_can_be_told_something() {
    let stage = Stage::set("opencode");
    let run = stage.start("SLOW please");
    stage.allow_until(|| stage.place.dir().join("began").exists());
    let task = stage.task(&run);
    let heard = stage.listen_at_server();
    stage.place.ok(&["tell", &task, "look here", "--toast"]);
    stage.place.ok(&["tell", &task, "a draft", "--draft"]);
    let mut wanted = vec![
        ("tui.toast.show", "look here"),
        ("tui.prompt.append", "a draft"),
    ];
    for line in heard {
        wanted.retain(|(kind, text)| !(line.contains(kind) && line.contains(text)));
        if wanted.is_empty() {
            break;
        }
    }
    assert!(wanted.is_empty(), "{wanted:?} did not come");
    stage.place.ok(&["stop", &task]);
    // Another agent has no terminals that could be told.
    let claude = Stage::set("claude");
    let run = claude.start("BUSYLESS please");
    claude.wait_for_end(&run);
    let refused = claude
        .place
        .run(&["tell", &claude.task(&run), "look", "--toast"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("only OpenCode's can"),
        "{refused:?}"
    );
}

#[test]
fn a_plan_is_rehearsed_beside_the_work_at_no_cost() {
    let stage = Stage::set("claude");
    let dir = stage.place.dir();
    let plan = "name: Rehearsed\nframes:\n- {id: a, tool: agent, prompt: PAINT the shed, permissions: allow}\n- {id: b, depends_on: [a], run: cat painted.txt}\n";
    stage.place.write("plan.yaml", plan);
    stage.place.write("kept.txt", "kept\n");
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
        let mut git = Command::new("git");
        let output = git.args(identity).args(args).current_dir(&dir).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    git(&["add", "-A"]);
    git(&["commit", "-qm", "Begin"]);
    let script = r#"{"rules": [
        {"id": "paint", "when": {"user": "PAINT"}, "replies": [
          {"tools": [[{"name": "Bash", "args": {"command": "echo red > painted.txt", "description": "paints"}}]]},
          {"text": "Painted."}]}],
      "fallback": {"text": "Something else."}}"#;
    stage.place.write("script.json", script);
    let before = stage.stub_requests();
    let ended = stage.fornax(&["rehearse", "plan.yaml", "--script", "script.json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("paint 2"), "{ended:?}");
    // Neither the work nor the model that the agent is set to was touched.
    assert!(!dir.join("painted.txt").exists());
    assert_eq!(stage.stub_requests(), before);
    assert_eq!(git(&["worktree", "list"]).lines().count(), 1);
    // Trusting its configuration has created its records; no run is in them.
    let runs = std::fs::read_dir(dir.join(".fornax/runs")).unwrap();
    assert_eq!(runs.count(), 0);
    let without = stage.fornax(&["rehearse", "plan.yaml"]);
    assert!(without.stderr.contains("model calls"), "{without:?}");
}
