//! The real agents as first-class tasks, with a scripted model behind them: what they ask, what they
//! are told, how they fail, and that nothing of them is left.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod chains;
mod commands;
mod conversations;
mod frames;
mod stage;
mod surfaces;

use std::time::Duration;

use frames::pushes_a_frame_and_goes_on_with_its_results;
use serde_json::Value;
use stage::Stage;
use support::wait_until;

/// Tokens of every scripted answer: input, output, read from the cache.
const CALL_TOKENS: u64 = 1_250;

macro_rules! each_agent {
    ($($case:ident),+ $(,)?) => {
        mod opencode { $(#[test] fn $case() { super::$case("opencode"); })+ }
        mod claude { $(#[test] fn $case() { super::$case("claude"); })+ }
        mod codex { $(#[test] fn $case() { super::$case("codex"); })+ }
    };
}

each_agent!(
    works_and_is_allowed,
    is_denied,
    meets_every_kind_of_trouble,
    is_interrupted_and_prompted_again,
    outlives_the_daemon,
    goes_on_after_its_own_end,
    pushes_a_frame_and_goes_on_with_its_results,
);

fn works_and_is_allowed(agent: &str) {
    let stage = Stage::set(agent);
    // A subagent has a frame with its first word.
    stage.place_ok(&["frame", "subagent-config", "--min-messages", "1"]);
    let run = stage.start("WORK please");
    let asked = stage.allow_all_until_over(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    assert!(asked > 0, "nothing was asked");
    assert_eq!(stage.read("hello.txt"), "hello\n");
    assert_eq!(stage.read("ran.txt"), "ran\n");
    // Every scripted answer counts once, the subagent's too, wherever it is told.
    let calls = stage.answered(&["work", "child"]);
    assert!(calls >= 5, "the subagent was not asked: {calls}");
    let usage = &detail["run"]["usage"];
    assert_eq!(total(usage), calls * CALL_TOKENS, "{usage}");
    assert_eq!(usage["input"], calls * 1_000);
    assert_eq!(usage["cache_read"], calls * 200);
    assert_eq!(stage.telemetry_tokens(&run), calls * CALL_TOKENS);
    let task = stage.task(&run);
    let text = stage.place.ok(&["show", &task]);
    assert!(
        text.contains(&format!("{}  (", calls * CALL_TOKENS)),
        "{text}"
    );
    let log = stage.place.ok(&["logs", &task]);
    assert!(log.contains("All is done."), "{log}");
    let frame = stage.place.json(&["show", &stage.frame(&run), "--json"]);
    assert_eq!(frame["results"], "All is done.");
    let child = stage
        .place
        .json(&["show", &frame_within(&detail, &stage.frame(&run)), "--json"]);
    assert_eq!(child["frame"]["status"], "completed", "{child:#}");
    assert_eq!(child["results"], "the child is done");
    let made_by = child["made_by"].as_str().unwrap();
    assert!(made_by.starts_with(&format!("{agent}:")), "{made_by}");
    // What it used counts in its own frame, and not in its parent's as well.
    assert_eq!(total(&child["usage"]), CALL_TOKENS, "{child:#}");
    assert_eq!(
        total(&frame["usage"]),
        (calls - 1) * CALL_TOKENS,
        "{frame:#}"
    );
    assert_eq!(total(&frame["usage_within"]), calls * CALL_TOKENS);
}

/// The only frame within another.
fn frame_within(run: &Value, parent: &str) -> String {
    let frames = &run["frames"];
    let parents = frames["parent"].as_array().unwrap();
    let within = parents.iter().enumerate().filter(|(_, id)| **id == parent);
    let within: Vec<usize> = within.map(|(place, _)| place).collect();
    assert_eq!(within.len(), 1, "{frames:#}");
    frames["id"][within[0]].as_str().unwrap().to_owned()
}

fn is_denied(agent: &str) {
    let stage = Stage::set(agent);
    let run = stage.start("FORBIDDEN please");
    let asked = stage.answer_all_until_over(&run, "deny");
    assert!(asked > 0, "nothing was asked");
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    assert!(!stage.place.dir().join("forbidden.txt").exists());
    let events = stage.place.ok(&["events", "--json", "--run", &run]);
    assert!(
        events.contains(r#""event":"permission_requested""#),
        "{events}"
    );
    assert!(events.contains(r#""decision":"deny""#), "{events}");
}

fn meets_every_kind_of_trouble(agent: &str) {
    let stage = Stage::set(agent);
    let frames = ["AUTH", "BUSY", "BROKEN", "CUT", "HANG", "LONG", "FULL"];
    let plan: String = frames
        .iter()
        .map(|word| format!("- {{id: {word}, tool: agent, prompt: {word} please}}\n"))
        .collect();
    let head = "name: Trouble\ndefaults: {silence_timeout: 12s}\nframes:\n";
    stage.place.write("trouble.yaml", &format!("{head}{plan}"));
    let ended = stage.fornax(&["run", "trouble.yaml", "--json"]);
    let run: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let id = run["run"]["id"].as_str().or(run["id"].as_str()).unwrap();
    let detail = stage.run(id);
    let found = |word: &str| {
        let keys = detail["frames"]["key"].as_array().unwrap();
        let at = keys.iter().position(|key| key == word).unwrap();
        let frame = &detail["frames"]["id"][at];
        let tasks = detail["tasks"]["frame"].as_array().unwrap();
        let task = tasks.iter().position(|of| of == frame).unwrap();
        (
            detail["frames"]["status"][at].as_str().unwrap().to_owned(),
            detail["tasks"]["error_class"][task]
                .as_str()
                .map(str::to_owned),
            detail["tasks"]["error"][task].clone(),
        )
    };
    let failed = |class: &str| ("failed".to_owned(), Some(class.to_owned()));
    let fine = || ("completed".to_owned(), None);
    for (word, expected) in [
        ("AUTH", failed("auth")),
        ("BUSY", fine()),
        ("BROKEN", failed("api")),
        ("CUT", fine()),
        ("HANG", failed("silence")),
        ("LONG", failed("api")),
        ("FULL", failed("context_overflow")),
    ] {
        let (status, class, error) = found(word);
        assert_eq!((status, class), expected, "{word}: {error}");
    }
}

fn is_interrupted_and_prompted_again(agent: &str) {
    let stage = Stage::set(agent);
    let run = stage.start("SLOW please");
    stage.allow_until(|| stage.place.dir().join("began").exists());
    let task = stage.task(&run);
    stage.place.ok(&["interrupt", &task]);
    stage.wait("the agent waits for a prompt", || {
        let inbox = stage.place.json(&["inbox", "--json"]);
        inbox
            .as_array()
            .unwrap()
            .iter()
            .any(|wait| wait["kind"] == "input")
    });
    // Its tool's processes are gone with the turn.
    stage.wait("the tool's process is gone", || {
        let running = stage.place.processes();
        !running
            .iter()
            .any(|(_, command)| command.contains("touch began"))
    });
    stage.place.ok(&["tell", &task, "SECOND please"]);
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    assert_eq!(detail["tasks"]["turns"][0], 2);
    let frame = stage.place.json(&["show", &stage.frame(&run), "--json"]);
    assert_eq!(frame["results"], "The second is done.");
}

fn outlives_the_daemon(agent: &str) {
    let stage = Stage::set(agent);
    let run = stage.start("SLOW please");
    stage.allow_until(|| stage.place.dir().join("began").exists());
    stage.kill_daemon();
    stage.place.write("go", "");
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    assert_eq!(detail["tasks"]["attempt"].as_array().unwrap().len(), 1);
    let calls = stage.answered(&["slow"]);
    assert_eq!(total(&detail["run"]["usage"]), calls * CALL_TOKENS);
    assert_eq!(stage.telemetry_tokens(&run), calls * CALL_TOKENS);
}

fn goes_on_after_its_own_end(agent: &str) {
    let stage = Stage::set(agent);
    let plan = "name: Resumed\nframes:\n- {id: a, tool: agent, prompt: SLOW please, retries: 1, backoff: 100ms}\n";
    stage.place.write("resumed.yaml", plan);
    let run = stage.place_ok(&["run", "resumed.yaml", "--detach"]);
    stage.allow_until(|| stage.place.dir().join("began").exists());
    let session = |detail: &Value, task: usize| detail["tasks"]["session"][task].clone();
    stage.wait("its session is known", || {
        session(&stage.run(&run), 0).is_string()
    });
    stage.kill_agent();
    stage.place.write("go", "");
    let mut asked = 0;
    stage.wait("the run is over", || {
        asked += stage.answer_all("allow");
        !stage.run(&run)["run"]["ended_ms"].is_null()
    });
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    assert_eq!(detail["tasks"]["error_class"][0], "signal", "{detail:#}");
    assert_eq!(
        session(&detail, 0),
        session(&detail, 1),
        "the same conversation"
    );
    // Nothing of the first attempt is counted again. What the answer used in the midst of which the
    // agent was killed, only an agent can tell that had time to.
    let calls = stage.answered_whole();
    let counted = total(&detail["run"]["usage"]);
    assert!(
        (calls - 1) * CALL_TOKENS <= counted && counted <= calls * CALL_TOKENS,
        "{counted} of {calls} calls"
    );
    assert_eq!(stage.telemetry_tokens(&run), counted);
}

/// OpenCode's server is shared: what a task began there must not go on after it, however it ended.
#[test]
fn a_killed_host_leaves_nothing_at_work_at_the_server() {
    let stage = Stage::set("opencode");
    let run = stage.start("SLOW please");
    stage.allow_until(|| stage.place.dir().join("began").exists());
    let session = || stage.run(&run)["tasks"]["session"][0].is_string();
    stage.wait("its session is known", session);
    stage.kill("__agent");
    stage.wait("the tool's process is gone", || {
        let running = stage.place.processes();
        !running
            .iter()
            .any(|(_, command)| command.contains("touch began"))
    });
    stage.wait_for_end(&run);
    assert_eq!(stage.run(&run)["tasks"]["error_class"][0], "signal");
}

fn total(usage: &Value) -> u64 {
    let count = |field: &str| usage[field].as_u64().unwrap();
    count("input") + count("output") + count("cache_read") + count("cache_write")
}

/// The longest that anything of a real agent is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

impl Stage {
    fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        if !wait_until(PATIENCE, &mut holds) {
            self.tell();
            panic!("in vain: {what}");
        }
    }
}
