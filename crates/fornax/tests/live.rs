//! The command line with a real daemon and real tasks.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Ended, PATIENCE, Place, flat, stable, wait_for_file, wait_until};

/// Waits in a task until the test makes the file `go`.
const WAIT: &str = "until [ -e go ]; do sleep 0.02; done";

const FAILING: &str = "\
name: failing
frames:
- {id: first, run: echo one}
- {id: second, run: \"echo two >&2; exit 3\", depends_on: [first], retries: 1, backoff: 10ms}
- {id: third, run: echo three, depends_on: [second]}
";

/// The place of a run that was started detached: its id.
fn detached(place: &Place, args: &[&str]) -> String {
    place.ok(&[args, &["--detach"]].concat()).trim().to_owned()
}

fn waiting_task(place: &Place) -> String {
    let run = detached(
        place,
        &["task", "shell", &format!("echo began; touch began; {WAIT}")],
    );
    wait_for_file(&place.dir().join("began"));
    run
}

fn status_of(place: &Place, run: &str) -> String {
    place.json(&["show", run, "--json"])["run"]["status"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A frame of the newest run, by its key.
fn frame(place: &Place, key: &str) -> String {
    let tree = place.json(&["tree", "--json"]);
    let frames = &tree["frames"];
    let at = frames["key"]
        .as_array()
        .unwrap()
        .iter()
        .position(|known| known == key)
        .unwrap();
    frames["id"][at].as_str().unwrap().to_owned()
}

fn daemon_pid(place: &Place) -> Pid {
    let pid = place.json(&["status", "--json"])["pid"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// How many daemons run that a command started.
fn daemons(place: &Place) -> usize {
    let processes = place.processes();
    let serves = |(_, command): &&(i32, String)| command.contains("as-child");
    processes.iter().filter(serves).count()
}

fn started(place: &Place, args: &[&str]) -> Child {
    let mut command = place.command(args);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn a_run_that_fails_is_told_step_by_step() {
    let place = Place::new();
    place.write("plan.yaml", FAILING);
    let ended = place.run(&["run", "plan.yaml"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let shown = stable(&ended.stdout, &place);
    // Whether a step is told by itself or with the next one is a matter of timing; the last line,
    // and how each frame ended, is not.
    for line in [
        "✓ first  f-[id]  completed [took]",
        "✗ second  f-[id]  failed [took]  exit code 3",
        "■ third  f-[id]  blocked  waits for f-[id] (second), which is failed",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert_snapshot!(flat(&place.ok(&["tree"]), &place), @r"
    RUN-[date]-001  failing  failed [took]  1/3 done, 1 failed, 1 blocked  1 of 3 frames failed: f-[id] (second) exit code 3
    ├─ ✓ First  f-[id] [took]  shell
    ├─ ✗ Second  f-[id] [took]  shell  attempt 2  exit code 3
    └─ ■ Third  f-[id]  shell  waits for f-[id] (second), which is failed
    ");
    assert_snapshot!(flat(&place.ok(&["runs"]), &place), @r"
    RUN  STATUS  DONE  STARTED  TOOK  PLAN  REASON
    RUN-[date]-001  failed  1/3  [time] [took]  failing  1 of 3 frames failed: f-[id] (second) exit code 3
    ");
    let second = frame(&place, "second");
    assert_snapshot!(flat(&place.ok(&["show", &second]), &place), @r"
    Frame  f-[id]  second
    Title  Second
    Run  RUN-[date]-001
    Status  ✗ failed  exit code 3
    Took [took]
    Tool  shell
    Waits for  f-[id]
    Needed by  f-[id]

    History
    [time]  ○ planned
    [time]  ● in_progress
    [time]  ✗ failed  exit code 3

    Tasks
    TASK  STATE  TIME  ERROR
    t-[id]-1  failed [took]  exit code 3
    t-[id]-2  failed [took]  exit code 3
    ");
    let task = format!("t-{}-2", &second[2..]);
    assert_snapshot!(flat(&place.ok(&["show", &task]), &place), @r"
    Task  t-[id]-2  attempt 2
    Frame  f-[id]
    Run  RUN-[date]-001
    State  failed
    Tool  shell
    Queued  [time]
    Not before  [time]
    Started  [time]
    Ended  [time]
    Took [took]
    Exit code  3
    Error  exit code 3
    Directory  [temp]/project

    Command
    sh -c 'echo two >&2; exit 3'
    ");
    assert_eq!(
        place.json(&["show", &second[..7], "--json"])["frame"]["id"],
        second
    );
    assert_eq!(place.ok(&["logs", &second, "--stderr"]), "two\n");
}

#[test]
fn exit_codes_tell_how_a_run_ended() {
    let place = Place::new();
    assert_eq!(place.run(&["task", "shell", "true"]).code, 0);
    assert_eq!(place.run(&["task", "shell", "exit 5"]).code, 1);

    let watched = started(&place, &["task", "shell", &format!("touch began; {WAIT}")]);
    wait_for_file(&place.dir().join("began"));
    assert_eq!(place.ok(&["stop", "--all"]), "stopping every run\n");
    assert_eq!(Ended::of(watched.wait_with_output().unwrap()).code, 130);
    assert_eq!(place.run(&["stop", "--all"]).code, 0);

    fs::remove_file(place.dir().join("began")).unwrap();
    place.write(
        "plan.yaml",
        &format!("name: x\nframes: [{{id: a, run: 'touch began; {WAIT}'}}]\n"),
    );
    let watched = started(&place, &["run", "plan.yaml", "--json"]);
    wait_for_file(&place.dir().join("began"));
    place.ok(&["stop", &frame(&place, "a")]);
    let ended = Ended::of(watched.wait_with_output().unwrap());
    assert_eq!(ended.code, 3, "{ended:?}");
    let run: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(run["status"], "blocked");
}

#[test]
fn ids_may_be_cut_short_where_they_are_unique() {
    let place = Place::new();
    let first = place.json(&["task", "shell", "true", "--json"])["id"].clone();
    let second = detached(&place, &["task", "shell", "true"]);
    assert_eq!(
        place.json(&["show", first.as_str().unwrap(), "--json"])["run"]["id"],
        first
    );
    let ended = place.run(&["tree", &second[..second.len() - 1]]);
    assert_eq!(ended.code, 2);
    let candidates = format!(
        "help: it could be\n  {second}\n  {}\n",
        first.as_str().unwrap()
    );
    assert!(ended.stderr.ends_with(&candidates), "{ended:?}");
    let ended = place.run(&["show", "RUN-1"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(place.run(&["show", "f-!"]).code, 4);
    assert_eq!(place.run(&["show", "t-/../x"]).code, 4);
    assert_eq!(place.run(&["show", "it"]).code, 2);
}

#[test]
fn a_detached_run_is_followed_stopped_and_tried_again() {
    let place = Place::new();
    place.write(
        "plan.yaml",
        &format!("name: x\nframes:\n- {{id: a, run: echo a}}\n- {{id: b, run: 'touch began; {WAIT}; echo b', depends_on: [a]}}\n"),
    );
    let run = detached(&place, &["run", "plan.yaml"]);
    wait_for_file(&place.dir().join("began"));
    let ps = place.json(&["ps", "--json"]);
    assert_eq!(
        (ps[0]["frame_key"].as_str(), ps[0]["state"].as_str()),
        (Some("b"), Some("running"))
    );
    let watcher = started(&place, &["tree", "--watch"]);
    assert_eq!(
        place.ok(&["stop", &run, "--reason", "enough"]),
        format!("stopping {run}\n")
    );
    assert_eq!(Ended::of(watcher.wait_with_output().unwrap()).code, 130);
    assert_eq!(place.run(&["stop", &run]).code, 5);

    place.write("go", "");
    assert_eq!(place.run(&["retry", &run]).code, 0);
    assert_eq!(place.run(&["retry", &run]).code, 5);
    let again = place.json(&["retry", &run, "--from", "a", "--json"]);
    assert_eq!(
        (again["id"].as_str(), again["status"].as_str()),
        (Some(&*run), Some("completed"))
    );
    let attempts = place.json(&["tree", "--json"])["tasks"]["attempt"].clone();
    assert_eq!(attempts, serde_json::json!([1, 2, 1, 2, 3]));
}

#[test]
fn logs_are_followed_cut_and_passed_on_as_they_are() {
    let place = Place::new();
    let script = format!("printf 'a\\n\\033[31mb\\033[2J\\n'; touch began; {WAIT}; echo c");
    let run = detached(&place, &["task", "shell", &script]);
    wait_for_file(&place.dir().join("began"));
    // What a task has written is in its log a moment later.
    let both = "a\n\x1b[31mb\x1b[2J\n";
    assert!(wait_until(PATIENCE, || place.ok(&["logs", &run]) == both));
    let mut follower = started(&place, &["logs", &run, "-f", "-n", "1"]);
    let mut follower_says = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert_eq!(follower_says.next().unwrap().unwrap(), "\x1b[31mb\x1b[2J");
    assert_eq!(
        place.ok(&["logs", &run, "-n", "1", "--since", "10m"]),
        "\x1b[31mb\x1b[2J\n"
    );
    place.write("go", "");
    assert_eq!(follower_says.next().unwrap().unwrap(), "c");
    assert!(follower_says.next().is_none());
    assert!(follower.wait().unwrap().success());

    place.write("plan.yaml", FAILING);
    let failed = detached(&place, &["run", "plan.yaml"]);
    place.run(&["tree", &failed, "--watch"]);
    let ended = place.run(&["logs", &failed]);
    assert_eq!(ended.code, 2);
    assert!(
        ended
            .stderr
            .contains("has 3 tasks\nhelp: name one of them:\n  t-"),
        "{ended:?}"
    );
    let all = place.ok(&["logs", &failed, "--since", "10m"]);
    assert_eq!(all.matches("==> t-").count(), 3, "{all}");
}

#[test]
fn the_journal_is_printed_followed_verified_and_replayed() {
    let place = Place::new();
    let run = waiting_task(&place);
    let follower = started(&place, &["events", "-f", "--json"]);
    place.write("go", "");
    let followed = Ended::of(follower.wait_with_output().unwrap());
    let file = place
        .dir()
        .join(".fornax/runs")
        .join(&run)
        .join("events.jsonl");
    let journal = fs::read_to_string(&file).unwrap();
    assert_eq!((followed.code, &followed.stdout), (0, &journal));
    assert_eq!(place.ok(&["events", "--run", &run, "--json"]), journal);
    let told = stable(&place.ok(&["events"]), &place);
    assert!(
        told.lines().last().unwrap().ends_with("run completed"),
        "{told}"
    );

    let mut live = place.json(&["tree", &run, "--json"]);
    place.ok(&["down"]);
    let mut replayed = place.json(&["replay", &run, "--json"]);
    for state in [&mut live, &mut replayed] {
        state["run"]["project"] = Value::Null;
    }
    assert_eq!(replayed, live);
    let early = place.json(&["replay", &run, "--until", "3", "--json"]);
    assert_eq!(
        (
            early["run"]["seq"].as_u64(),
            early["run"]["status"].as_str()
        ),
        (Some(3), Some("running"))
    );

    assert_eq!(place.ok(&["verify"]), "all runs are undamaged\n");
    let damaged = journal.replacen("\"seq\":2", "\"seq\":7", 1);
    fs::write(&file, damaged).unwrap();
    let ended = place.run(&["verify", &run]);
    assert_eq!(ended.code, 1);
    assert!(ended.stdout.contains("events.jsonl:2: "), "{ended:?}");
    assert_eq!(place.run(&["replay", &run]).code, 8);
    let ended = place.run(&["doctor"]);
    assert!(
        ended.code == 1 && ended.stdout.contains("✗ records"),
        "{ended:?}"
    );
    fs::write(&file, journal).unwrap();
    assert_eq!(place.processes(), []);
}

#[test]
fn commands_at_once_start_one_daemon() {
    let place = Place::new();
    let children: Vec<_> = (0..6)
        .map(|_| started(&place, &["up", "--detach"]))
        .collect();
    let ended = children
        .into_iter()
        .map(|child| Ended::of(child.wait_with_output().unwrap()));
    let said: Vec<_> = ended.map(|ended| (ended.code, ended.stdout)).collect();
    let first = |(code, said): &&(i32, String)| *code == 0 && said.starts_with("fornax is up: ");
    assert_eq!(said.iter().filter(first).count(), 1, "{said:?}");
    let already =
        |(code, said): &&(i32, String)| *code == 0 && said.starts_with("fornax is up already: ");
    assert_eq!(said.iter().filter(already).count(), 5, "{said:?}");
    assert_eq!(daemons(&place), 1, "{:?}", place.processes());
}

#[test]
fn commands_at_once_open_one_project() {
    let place = Place::new();
    let task = |n| started(&place, &["task", "shell", &format!("echo {n}")]);
    let children: Vec<_> = (0..6).map(task).collect();
    for child in children {
        let ended = Ended::of(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(place.json(&["runs", "--json"]).as_array().unwrap().len(), 6);
}

#[test]
fn the_daemon_ends_while_tasks_live_on() {
    let place = Place::new();
    let run = waiting_task(&place);
    assert_eq!(place.ok(&["down"]), "fornax is down\n");
    assert!(!place.processes().is_empty());
    assert_eq!(place.run(&["status"]).code, 7);
    assert_eq!(status_of(&place, &run), "running");

    // The watcher's daemon dies: it says so, and what to do.
    let mut watcher = started(&place, &["tree", "--watch"]);
    let mut line = String::new();
    BufReader::new(watcher.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    kill_process(daemon_pid(&place), Signal::KILL).unwrap();
    let ended = Ended::of(watcher.wait_with_output().unwrap());
    assert_eq!(ended.code, 7, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains(&format!("`fornax tree {run} --watch`")),
        "{ended:?}"
    );
    // A process that is killed lets go of its memory first and of its socket last.
    let socket = place.state().join("fornax/daemon.sock");
    assert!(wait_until(PATIENCE, || UnixStream::connect(&socket).is_err()));
    let doctor = place.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("none runs; one that died left"),
        "{doctor:?}"
    );

    place.write("go", "");
    assert_eq!(place.run(&["tree", &run, "--watch"]).code, 0);
    place.ok(&["down", "--stop-tasks"]);
    assert_eq!(place.processes(), []);
}

#[test]
fn down_stops_the_tasks_where_it_is_told_to() {
    let place = Place::new();
    let run = waiting_task(&place);
    place.ok(&["down", "--stop-tasks"]);
    assert!(
        wait_until(PATIENCE, || place.processes().is_empty()),
        "{:?}",
        place.processes()
    );
    assert_ne!(status_of(&place, &run), "running");
}

#[test]
fn up_serves_in_the_foreground_until_it_is_interrupted() {
    let place = Place::new();
    place.write("fornax.yaml", "");
    let mut up = started(&place, &["up", "--bind", "127.0.0.1:0"]);
    let mut lines = BufReader::new(up.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(
        first.starts_with("fornax is up: http://127.0.0.1:"),
        "{first}"
    );
    assert!(wait_until(PATIENCE, || {
        place.json(&["status", "--json"])["projects"]
            .as_array()
            .unwrap()
            .len()
            == 1
    }));
    let ended = place.run(&["up"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(place.ok(&["open", "--print"]).contains("/login?code="));
    interrupt(&up);
    assert_eq!(up.wait().unwrap().code(), Some(0));
}

#[test]
fn the_daemon_holds_nothing_of_the_shell_open() {
    let place = Place::new();
    let shell = place.command(&[]);
    let line = format!(
        "exec 7>&1 >/dev/null; exec {} up -d",
        env!("CARGO_BIN_EXE_fornax")
    );
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", &line])
        .env_clear()
        .current_dir(place.dir());
    command.envs(
        shell
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(command.output().unwrap()));
    assert!(
        ended
            .recv_timeout(PATIENCE)
            .expect("its output ends")
            .status
            .success()
    );
    assert_eq!(daemons(&place), 1);
}

#[test]
fn what_keeps_the_daemon_from_starting_is_told() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = place.run(&[
        "up",
        "-d",
        "--bind",
        &taken.local_addr().unwrap().to_string(),
    ]);
    assert_ne!(ended.code, 0);
    assert!(ended.stderr.starts_with("error: "), "{ended:?}");
    let ended = place.run(&["up", "-d", "--bind", "0.0.0.0:0"]);
    assert_ne!(ended.code, 0, "{ended:?}");
    assert_eq!(place.processes(), []);
}

#[test]
fn another_version_of_the_same_protocol_is_only_noted() {
    let place = Place::new();
    place.ok(&["up", "-d"]);
    let file = place.state().join("fornax/daemon.json");
    let info = fs::read_to_string(&file).unwrap();
    fs::write(&file, info.replace(env!("CARGO_PKG_VERSION"), "0.0.1")).unwrap();
    let doctor = place.run(&["doctor"]);
    assert!(doctor.stdout.contains("✓ daemon"), "{doctor:?}");
    assert!(doctor.stdout.contains("version 0.0.1 runs"), "{doctor:?}");
    for args in [&["ps"][..], &["up", "-d"], &["task", "shell", "true"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("version"), "{args:?}: {ended:?}");
    }
}

#[test]
fn an_interrupt_where_nobody_can_be_asked_detaches() {
    let place = Place::new();
    let mut watcher = started(&place, &["task", "shell", &format!("touch began; {WAIT}")]);
    wait_for_file(&place.dir().join("began"));
    let mut first = String::new();
    let mut stdout = BufReader::new(watcher.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    let run = first.split(' ').next().unwrap().to_owned();
    interrupt(&watcher);
    let ended = Ended::of(watcher.wait_with_output().unwrap());
    assert_eq!(ended.code, 130);
    assert!(
        ended.stderr.contains(&format!("{run} goes on without you")),
        "{ended:?}"
    );
    assert_eq!(status_of(&place, &run), "running");
    place.write("go", "");
    assert_eq!(place.run(&["tree", "--watch"]).code, 0);
}

#[test]
fn a_prompt_is_read_from_standard_input() {
    let place = Place::new();
    let mut task = place
        .command(&["task", "shell", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut task.stdin.take().unwrap(), b"echo 'from $stdin'").unwrap();
    assert!(task.wait().unwrap().success());
    let run = place.json(&["runs", "--json"])[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(place.ok(&["logs", &run]), "from $stdin\n");
}

#[test]
fn text_from_agents_does_not_reach_the_terminal_raw() {
    let place = Place::new();
    let hostile = "printf 'x\\033]0;owned\\007\\n' # \u{1b}[2J\u{202e}\u{9b}1m";
    let run = detached(&place, &["task", "shell", hostile]);
    place.run(&["tree", &run, "--watch"]);
    let frame = frame(&place, "task");
    let task = format!("t-{}-1", &frame[2..]);
    let colors = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for args in [
        &["tree"][..],
        &["runs"],
        &["events"],
        &["show", &frame],
        &["show", &task],
    ] {
        for color in ["never", "always"] {
            let said = place.ok(&[args, &["--color", color]].concat());
            let plain = colors.replace_all(&said, "");
            let acts = plain.contains(['\x1b', '\u{202e}', '\u{9b}']);
            assert!(!acts, "{args:?}: {said:?}");
        }
    }
}
