//! Tasks whose supervisor is stopped: the inbox names them until a person acts.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

mod support;

use fornax_core::status::RunStatus;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{PATIENCE, Place, wait_until};

/// Stops its own supervisor, again and again, until the file `go` is there.
const STOPS_ITS_SUPERVISOR: &str = "while [ ! -e go ]; do kill -STOP $PPID; sleep 0.05; done";

/// What waits for a person.
fn inbox(place: &Place) -> Vec<Value> {
    place.json(&["inbox", "--json"]).as_array().unwrap().clone()
}

fn run_of(place: &Place, id: &str) -> Value {
    let runs = place.json(&["runs", "--json"]);
    let mut runs = runs.as_array().unwrap().iter();
    runs.find(|run| run["id"] == id).unwrap().clone()
}

/// Starts the task and waits until the inbox names it; the run's id and the item.
fn stalled(place: &Place) -> (String, Value) {
    let run = place.json(&["task", "shell", STOPS_ITS_SUPERVISOR, "--detach", "--json"]);
    let run = run["id"].as_str().unwrap().to_owned();
    let found = wait_until(PATIENCE, || !inbox(place).is_empty());
    assert!(found, "{:#}", run_of(place, &run));
    (run, inbox(place).remove(0))
}

fn check_item(item: &Value) {
    let reason = item["asks"].as_str().unwrap();
    assert_eq!(item["kind"], "stalled", "{item:#}");
    assert!(reason.contains("stopped by a signal, again"), "{reason}");
    assert!(reason.contains("`fornax stop` ends it"), "{reason}");
}

#[test]
fn a_supervisor_that_is_stopped_again_waits_for_a_person_who_stops_the_task() {
    let place = Place::new();
    let (run, item) = stalled(&place);
    check_item(&item);
    let view = run_of(&place, &run);
    assert_eq!(view["status"], "blocked", "{view:#}");
    assert_eq!(view["stalled"][0]["task"], item["task"], "{view:#}");
    assert_eq!(view["stalled"][0]["needs_you"], true, "{view:#}");
    let task = item["task"].as_str().unwrap();
    let shown = place.run(&["inbox"]);
    assert!(shown.stdout.contains(task), "{shown:?}");
    assert!(shown.stderr.contains("fornax stop TASK"), "{shown:?}");
    place.ok(&["stop", task]);
    let ended = wait_until(PATIENCE, || !run_of(&place, &run)["ended_ms"].is_null());
    let view = run_of(&place, &run);
    assert!(ended, "{view:#}");
    assert_eq!(view["stalled"], Value::Array(Vec::new()), "{view:#}");
    assert!(inbox(&place).is_empty());
}

#[test]
fn one_that_is_continued_by_hand_waits_for_nobody_any_more() {
    let place = Place::new();
    let (run, item) = stalled(&place);
    check_item(&item);
    let dir = place.dir().join(".fornax/runs").join(&run).join("tasks");
    let record = dir.join(item["task"].as_str().unwrap()).join("task.json");
    let record: Value = serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap();
    let shim = record["shim"]["pid"].as_i64().unwrap();
    let shim = Pid::from_raw(i32::try_from(shim).unwrap()).unwrap();
    place.write("go", "");
    let ended = wait_until(PATIENCE, || {
        // It has ended once it is done.
        let _ = kill_process(shim, Signal::CONT);
        run_of(&place, &run)["status"] == RunStatus::Completed.to_string()
    });
    assert!(ended, "{:#}", run_of(&place, &run));
    assert!(inbox(&place).is_empty());
}
