//! Conversations that are gone on with: by a further task, in a copy, shortened; and words for the
//! terminals that show them.

use serde_json::Value;

use crate::stage::Stage;
use crate::{CALL_TOKENS, total};

macro_rules! each_agent {
    ($($case:ident),+ $(,)?) => {
        mod opencode { $(#[test] fn $case() { super::$case("opencode"); })+ }
        mod claude { $(#[test] fn $case() { super::$case("claude"); })+ }
        mod codex { $(#[test] fn $case() { super::$case("codex"); })+ }
    };
}

each_agent!(
    is_gone_on_with_and_copied,
    is_shortened_after_an_interrupt,
    is_shortened_on_an_order_in_mid_turn,
);

/// A task that goes on with the conversation of another; its run when it is over.
fn further(stage: &Stage, arguments: &[&str]) -> Value {
    let before = stage.answered(&["second"]);
    let command = [&["task", "resume", "--detach"], arguments].concat();
    let run = stage.place_ok(&command);
    stage.wait_for_end(&run);
    let detail = stage.run(&run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    let frame = stage.place.json(&["show", &stage.frame(&run), "--json"]);
    assert_eq!(frame["results"], "The second is done.");
    // What the conversation used before was counted before.
    let calls = stage.answered(&["second"]) - before;
    let usage = &detail["run"]["usage"];
    assert_eq!(total(usage), calls * CALL_TOKENS, "{arguments:?} {usage}");
    assert_eq!(stage.telemetry_tokens(&run), calls * CALL_TOKENS);
    detail
}

fn session(detail: &Value) -> &str {
    detail["tasks"]["session"][0].as_str().unwrap()
}

fn task(detail: &Value) -> &str {
    detail["tasks"]["id"][0].as_str().unwrap()
}

fn is_gone_on_with_and_copied(agent: &str) {
    let stage = Stage::set(agent);
    let run = stage.start("BUSYLESS please");
    stage.wait_for_end(&run);
    let first = stage.run(&run);
    let second = further(&stage, &[task(&first), "SECOND please"]);
    assert_eq!(session(&second), session(&first));
    assert_eq!(stage.remembered(), 1, "it does not know what was said");
    let third = further(&stage, &[task(&second), "SECOND again"]);
    assert_eq!(session(&third), session(&first));
    assert_eq!(stage.remembered(), 2);
    // The first task's conversation has gone on since; what that used is not counted again.
    let fourth = further(&stage, &[task(&first), "SECOND once more"]);
    assert_eq!(session(&fourth), session(&first));
    let copy = further(&stage, &["--fork", task(&fourth), "SECOND in a copy"]);
    assert_ne!(session(&copy), session(&first));
    assert_eq!(stage.remembered(), 4);
    let after = further(&stage, &[task(&copy), "SECOND in the copy"]);
    assert_eq!(session(&after), session(&copy));
}

/// Starts a turn that goes on until it is ended.
fn at_work(stage: &Stage) -> (String, String) {
    let run = stage.start("SLOW please");
    stage.allow_until(|| stage.place.dir().join("began").exists());
    let task = stage.task(&run);
    (run, task)
}

/// All that the run's agent used, as the model knows it, is counted.
fn ends_well(stage: &Stage, run: &str) {
    stage.wait_for_end(run);
    let detail = stage.run(run);
    assert_eq!(detail["run"]["status"], "completed", "{detail:#}");
    let frame = stage.place.json(&["show", &stage.frame(run), "--json"]);
    assert_eq!(frame["results"], "The second is done.");
    assert_eq!(detail["tasks"]["turns"][0], 2, "{detail:#}");
    let happened = stage.happened();
    let place = |wanted: &[&str]| {
        let place = happened
            .iter()
            .rposition(|kind| wanted.contains(&kind.as_str()));
        place.unwrap_or_else(|| panic!("no {wanted:?}: {happened:?}"))
    };
    let shortened = place(&["compacted", "warning"]);
    assert!(shortened < place(&["turn_ended"]), "{happened:?}");
}

fn is_shortened_after_an_interrupt(agent: &str) {
    let stage = Stage::set(agent);
    let (run, task) = at_work(&stage);
    stage.place.ok(&["interrupt", &task]);
    stage.wait("the agent waits for a prompt", || {
        stage.run(&run)["tasks"]["idle"][0] == true
    });
    stage.place.ok(&["compact", &task]);
    // Claude Code finds that there is too little yet that could be shortened, and says so.
    stage.wait("the conversation is shortened", || {
        let shortened = |kind: &String| kind == "compacted" || kind == "warning";
        stage.happened().iter().any(shortened)
    });
    // To be shortened is no turn: it still waits.
    assert_eq!(stage.run(&run)["tasks"]["idle"][0], true);
    stage.place.ok(&["tell", &task, "SECOND please"]);
    ends_well(&stage, &run);
}

fn is_shortened_on_an_order_in_mid_turn(agent: &str) {
    let stage = Stage::set(agent);
    let (run, task) = at_work(&stage);
    stage.place.ok(&["compact", &task]);
    stage.place.ok(&["tell", &task, "SECOND please"]);
    stage.wait("both are heard", || {
        let taken = stage.happened();
        taken.iter().filter(|kind| *kind == "order_taken").count() >= 3
    });
    stage.place.write("go", "");
    ends_well(&stage, &run);
}
