//! The daemon is killed again and again while it works, and nothing is lost.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::user::OrdinaryUser;
use support::{PATIENCE, Place, wait_until};

/// How often the daemon is killed in all; `FORNAX_CRASH_KILLS` sets another number.
const KILLS: usize = 200;
/// How often it is killed as an ordinary user.
const USER_KILLS: &str = "20";
/// The frames of the plan: ten layers of five.
const LAYERS: usize = 10;
const WIDTH: usize = 5;
const LINES: usize = 40;

/// SplitMix64, so that a printed seed gives the same moments again.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Fifty frames. Each says who works for it, and notices if it is worked for twice at once.
fn plan() -> String {
    let mut text = String::from("name: fifty\nframes:\n");
    for layer in 0..LAYERS {
        for place in 0..WIDTH {
            let key = format!("k{layer}-{place}");
            let depends = match layer {
                0 => String::new(),
                _ => format!(
                    "k{}-{place}, k{}-{}",
                    layer - 1,
                    layer - 1,
                    (place + 1) % WIDTH
                ),
            };
            let script = format!(
                "mkdir at-work-{key} || echo {key} >> twice; echo $FORNAX_TASK_ID >> began-{key}; \
                 for i in $(seq {LINES}); do echo line $i of {key}; done; sleep 0.{}; rmdir at-work-{key}",
                3 + (layer * WIDTH + place) % 5
            );
            text += &format!("  - {{ id: {key}, depends_on: [{depends}], run: '{script}' }}\n");
        }
    }
    text
}

fn daemon_pid(place: &Place) -> Option<i32> {
    let info = fs::read(place.state().join("fornax/daemon.json")).ok()?;
    let info: Value = serde_json::from_slice(&info).ok()?;
    Some(info["pid"].as_i64()? as i32)
}

/// Kills a process and waits until all its threads are gone, and its files closed with them.
fn kill(pid: i32) {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // One that has ended before it was killed has ended all the same.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    let _ = pidfd_send_signal(&process, Signal::KILL);
    let mut ends = [PollFd::new(&process, PollFlags::IN)];
    let ended = poll(&mut ends, Some(&PATIENCE.try_into().unwrap())).unwrap();
    assert_eq!(ended, 1, "a killed daemon goes");
}

fn status(place: &Place, run: &str) -> String {
    let runs = place.json(&["runs", "--json"]);
    let all = runs.as_array().or_else(|| runs["runs"].as_array()).unwrap();
    let found = all.iter().find(|found| found["id"] == run).unwrap();
    found["status"].as_str().unwrap().to_owned()
}

#[test]
fn a_daemon_killed_200_times_loses_nothing() {
    let seed = std::env::var("FORNAX_CRASH_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        now.as_millis() as u64
    });
    println!("FORNAX_CRASH_SEED={seed} kills at the same moments again");
    let mut random = Random(seed);
    let place = Place::new();
    place.write("plan.yaml", &plan());
    let wanted = std::env::var("FORNAX_CRASH_KILLS").ok();
    let wanted = wanted.and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let mut kills = 0;
    let mut runs = Vec::new();
    while kills < wanted {
        clean(&place);
        let run = place.ok(&["run", "plan.yaml", "--detach"]);
        let run = run
            .split_whitespace()
            .find(|word| word.starts_with("RUN-"))
            .unwrap()
            .to_owned();
        kills += kill_until_done(&place, &run, &mut random, wanted - kills);
        finish(&place, &run);
        check_files(&place);
        check_journal(&place, &run);
        runs.push(run);
    }
    println!("{kills} kills over {} runs", runs.len());
    place.ok(&["verify"]);
}

/// What an earlier run's frames left for the check.
fn clean(place: &Place) {
    for name in place.files() {
        if name.starts_with("began-") {
            fs::remove_file(place.dir().join(name)).unwrap();
        }
    }
}

/// Kills the daemon at random moments while the run goes on; how often it did.
fn kill_until_done(place: &Place, run: &str, random: &mut Random, most: usize) -> usize {
    let mut kills = 0;
    while kills < most {
        let Some(pid) = daemon_pid(place) else {
            place.ok(&["up", "--detach"]);
            continue;
        };
        // A random moment of its life, from its first breath on: not a wait for anything.
        std::thread::park_timeout(Duration::from_millis(random.below(120)));
        kill(pid);
        kills += 1;
        place.ok(&["up", "--detach"]);
        if kills % 10 == 0 && status(place, run) != "running" {
            break;
        }
    }
    kills
}

fn finish(place: &Place, run: &str) {
    let began = Instant::now();
    let done = wait_until(PATIENCE, || status(place, run) != "running");
    assert!(
        done,
        "{run} goes on after {:?}: {}",
        began.elapsed(),
        place.ok(&["tree", run])
    );
    assert_eq!(
        status(place, run),
        "completed",
        "{}",
        place.ok(&["tree", run])
    );
}

fn check_files(place: &Place) {
    let files = place.files();
    assert!(
        !files.contains(&"twice".to_owned()),
        "a frame was worked for twice at once"
    );
    assert!(
        !files.iter().any(|name| name.starts_with("at-work-")),
        "work was cut off: {files:?}"
    );
    for layer in 0..LAYERS {
        for number in 0..WIDTH {
            let began =
                fs::read_to_string(place.dir().join(format!("began-k{layer}-{number}"))).unwrap();
            assert_eq!(
                began.lines().count(),
                1,
                "k{layer}-{number} began {began:?}"
            );
        }
    }
}

fn check_journal(place: &Place, run: &str) {
    let dir = place.dir().join(".fornax/runs").join(run);
    let journal = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let mut completed: BTreeMap<String, usize> = BTreeMap::new();
    for line in journal.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["event"] == "frame_completed" {
            *completed
                .entry(record["frame_id"].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
        if record["event"] == "task_completed" {
            let log = dir.join(record["log_paths"]["stdout"].as_str().unwrap());
            let log = fs::read_to_string(log).unwrap();
            assert_eq!(log.lines().count(), LINES, "a log is whole");
            assert!(log.contains("line 1 of") && log.contains(&format!("line {LINES} of")));
        }
    }
    // The root is a frame too.
    assert_eq!(completed.len(), LAYERS * WIDTH + 1);
    assert!(
        completed.values().all(|times| *times == 1),
        "completed more than once: {completed:?}"
    );
}

#[test]
fn a_new_binary_takes_over_what_the_old_one_started() {
    let place = Place::new();
    place.write(
        "plan.yaml",
        "name: p\nframes:\n\
         \x20 - { id: a, run: 'touch began; until [ -e go ]; do sleep 0.05; done; echo whole' }\n\
         \x20 - { id: b, depends_on: [a], run: 'test {deps.a.results} = whole' }\n",
    );
    let old = place.state().join("fornax-of-yesterday");
    fs::copy(support::binary(), &old).unwrap();
    let mut command = std::process::Command::new(&old);
    command
        .args(["run", "plan.yaml", "--detach"])
        .current_dir(place.dir())
        .env("XDG_STATE_HOME", place.state())
        .stdin(std::process::Stdio::null());
    let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let run = said
        .split_whitespace()
        .find(|word| word.starts_with("RUN-"))
        .unwrap();
    support::wait_for_file(&place.dir().join("began"));

    kill(daemon_pid(&place).unwrap());
    fs::remove_file(&old).unwrap();
    place.ok(&["up", "--detach"]);
    assert_eq!(status(&place, run), "running");
    place.write("go", "");
    finish(&place, run);
}

#[test]
fn an_ordinary_user_loses_nothing() {
    // The superuser sees in /proc what is hidden from others.
    let Some(user) = OrdinaryUser::new() else {
        return;
    };
    let few = [("FORNAX_CRASH_KILLS", USER_KILLS)];
    user.run("a_daemon_killed_200_times_loses_nothing", &few);
    user.run("a_new_binary_takes_over_what_the_old_one_started", &[]);
}
