//! Pausing what runs and holding what has not begun, with a real daemon and real processes.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

mod support;

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{PATIENCE, Place, wait_for_file, wait_until};

/// Two processes of a task count until the file `go` is there, one of them in a session of its own.
const COUNT: &str = "\
count() { until [ -e go ]; do echo x >> $1; sleep 0.01; done; }
setsid sh -c 'until [ -e go ]; do echo x >> apart; sleep 0.01; done' &
count here
wait
";

const PLAN: &str = "\
name: counting
frames:
- {id: count, run: sh count.sh}
- {id: after, run: touch after, depends_on: [count]}
";

/// A run of the plan, whose task counts.
fn counting(place: &Place) -> String {
    place.write("count.sh", COUNT);
    place.write("plan.yaml", PLAN);
    let run = place.ok(&["run", "plan.yaml", "--detach"]);
    wait_for_file(&place.dir().join("here"));
    wait_for_file(&place.dir().join("apart"));
    run.trim().to_owned()
}

fn sizes(place: &Place) -> [u64; 2] {
    ["here", "apart"].map(|name| fs::metadata(place.dir().join(name)).unwrap().len())
}

fn frame(place: &Place, run: &str, key: &str) -> Value {
    let frames = &place.json(&["tree", run, "--json"])["frames"];
    let mut keys = frames["key"].as_array().unwrap().iter();
    let at = keys.position(|known| known == key).unwrap();
    let column = |name: &str| (name.to_owned(), frames[name][at].clone());
    ["id", "task", "paused", "status", "asks", "spans"]
        .map(column)
        .into_iter()
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn state_of(place: &Place, task: &str) -> String {
    text(&place.json(&["show", task, "--json"])["task"]["state"])
}

fn status_of(place: &Place, run: &str) -> String {
    text(&place.json(&["show", run, "--json"])["run"]["status"])
}

/// How the kernel calls the states of a task's processes.
fn kernel_states(task: &str) -> Vec<char> {
    let mark = format!("FORNAX_TASK={task}");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let marked = entries.filter(|entry| {
        let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
    });
    let state = |stat: String| stat.rsplit_once(") ")?.1.chars().next();
    marked
        .filter_map(|entry| state(fs::read_to_string(entry.path().join("stat")).ok()?))
        .collect()
}

fn wait_until_suspended(task: &str, processes: usize) {
    let suspended = || {
        let states = kernel_states(task);
        states.len() >= processes && states.iter().all(|state| matches!(state, 'T' | 'D'))
    };
    let all = wait_until(PATIENCE, suspended);
    assert!(all, "{:?}", kernel_states(task));
}

fn kill_daemon(place: &Place) {
    let pid = place.json(&["status", "--json"])["pid"].as_i64().unwrap();
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    let proc = format!("/proc/{}", pid.as_raw_nonzero());
    let gone = || !fs::exists(&proc).unwrap() || kernel_says_zombie(&proc);
    assert!(wait_until(PATIENCE, gone), "a killed daemon goes");
}

fn kernel_says_zombie(proc: &str) -> bool {
    let stat = fs::read_to_string(format!("{proc}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_none_or(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn what_is_paused_makes_no_progress_until_it_goes_on() {
    let place = Place::new();
    let run = counting(&place);
    let task = text(&frame(&place, &run, "count")["task"]);
    place.ok(&["pause", &run]);
    assert_eq!(state_of(&place, &task), "paused");
    wait_until_suspended(&task, 3);
    let before = sizes(&place);
    // Another run comes and goes meanwhile.
    place.ok(&["task", "shell", "true"]);
    assert_eq!(sizes(&place), before);
    let again = place.run(&["pause", &run]);
    assert_eq!(again.code, 5, "{again:?}");
    assert!(again.stderr.contains("paused already"), "{again:?}");

    kill_daemon(&place);
    place.ok(&["task", "shell", "true"]);
    assert_eq!(state_of(&place, &task), "paused");
    wait_until_suspended(&task, 3);
    assert_eq!(
        sizes(&place),
        before,
        "a crash of the daemon changes nothing"
    );

    place.ok(&["unpause", &run]);
    assert_eq!(state_of(&place, &task), "running");
    let grown = || {
        let now = sizes(&place);
        now[0] > before[0] && now[1] > before[1]
    };
    assert!(wait_until(PATIENCE, grown), "both go on");
    place.write("go", "");
    wait_for_file(&place.dir().join("after"));
    let over = || status_of(&place, &run) == "completed";
    assert!(wait_until(PATIENCE, over), "the run goes on to its end");
    let doing = frame(&place, &run, "count")["spans"].clone();
    let doing: Vec<String> = doing
        .as_array()
        .unwrap()
        .iter()
        .map(|span| text(&span["doing"]))
        .collect();
    assert_eq!(doing, ["working", "paused", "working"]);
}

#[test]
fn what_is_paused_can_be_stopped() {
    let place = Place::new();
    let run = counting(&place);
    let count = frame(&place, &run, "count");
    let task = text(&count["task"]);
    place.ok(&["pause", &task]);
    wait_until_suspended(&task, 3);
    assert_eq!(frame(&place, &run, "count")["paused"], true);
    assert_eq!(frame(&place, &run, "after")["paused"], false);
    place.ok(&["stop", &run]);
    let over = || status_of(&place, &run) == "cancelled";
    assert!(wait_until(PATIENCE, over), "{}", place.ok(&["tree", &run]));
    assert!(kernel_states(&task).is_empty(), "nothing of it is left");
    assert_eq!(frame(&place, &run, "count")["paused"], false);
}

#[test]
fn a_frame_that_is_held_begins_when_it_is_answered() {
    let place = Place::new();
    let run = counting(&place);
    let after = text(&frame(&place, &run, "after")["id"]);
    place.ok(&["checkpoint", &after, "Are the numbers right?"]);
    let late = place.run(&["checkpoint", &text(&frame(&place, &run, "count")["id"])]);
    assert_eq!(late.code, 5, "{late:?}");
    let inbox = place.json(&["inbox", "--json"]);
    assert_eq!(inbox[0]["kind"], "approval");
    assert_eq!(inbox[0]["asks"], "Are the numbers right?");
    place.write("go", "");
    let done = || frame(&place, &run, "count")["status"] == "completed";
    assert!(wait_until(PATIENCE, done));
    assert_eq!(frame(&place, &run, "after")["status"], "planned");
    let checkpoint = text(&inbox[0]["checkpoint"]);
    let wrong = place.run(&["answer", &checkpoint, "perhaps"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    place.ok(&["answer", &checkpoint, "go on"]);
    wait_for_file(&place.dir().join("after"));
    let over = || status_of(&place, &run) == "completed";
    assert!(wait_until(PATIENCE, over));
}

#[test]
fn an_agents_silence_does_not_count_while_it_is_paused() {
    let place = Place::new();
    let talk = "echo '{\"begun\": true}'; touch talking; until [ -e go ]; do sleep 0.02; done; \
                echo '{\"result\": \"well\"}'";
    place.write("talk.sh", talk);
    place.configure(
        "tools:\n  talker:\n    cmd: [sh, talk.sh, '{prompt}']\n    output: jsonl\n    \
         jsonl: {result: result}\n    silence_sec: 5\n",
    );
    let run = place.ok(&["task", "talker", "talk", "--detach"]);
    wait_for_file(&place.dir().join("talking"));
    let began = Instant::now();
    place.ok(&["pause", run.trim()]);
    let tasks = &place.json(&["tree", run.trim(), "--json"])["tasks"];
    wait_until_suspended(&text(&tasks["id"][0]), 2);
    let silent = || began.elapsed() > Duration::from_millis(5_500);
    assert!(wait_until(PATIENCE, silent), "its silence would be over");
    place.write("go", "");
    place.ok(&["unpause", run.trim()]);
    let over = || status_of(&place, run.trim()) != "running";
    assert!(wait_until(PATIENCE, over));
    assert_eq!(status_of(&place, run.trim()), "completed");
}
