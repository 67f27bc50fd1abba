//! One daemon for one state directory: in the moment of a crash, and where the directory is deleted.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Ended, PATIENCE, Place, wait_for_file, wait_until};

/// How often a daemon is killed while `up -d` runs; `FORNAX_START_KILLS` sets another number.
const KILLS: usize = 6;

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

fn number<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The daemons that a command started.
fn daemons(place: &Place) -> Vec<Pid> {
    let processes = place.processes();
    let serves = processes
        .iter()
        .filter(|(_, command)| command.contains("as-child"));
    serves.filter_map(|(pid, _)| Pid::from_raw(*pid)).collect()
}

fn daemon(place: &Place) -> Pid {
    let pid = place.json(&["status", "--json"])["pid"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

#[test]
fn up_succeeds_in_the_moment_of_a_crash() {
    let seed = number("FORNAX_START_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        now.as_millis() as u64
    });
    let kills = number("FORNAX_START_KILLS").unwrap_or(KILLS);
    println!("FORNAX_START_SEED={seed} FORNAX_START_KILLS={kills} kills at the same moments again");
    let mut random = Random(seed);
    let place = Place::new();
    place.write("fornax.yaml", "");
    place.ok(&["up", "-d"]);
    for round in 0..kills {
        // Before the start, and now and then once more while it goes on.
        kill_process(daemon(&place), Signal::KILL).unwrap();
        let moment = Duration::from_micros(random.below(20_000));
        std::thread::park_timeout(moment);
        let up = place
            .command(&["up", "-d"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        if random.below(2) == 0 {
            std::thread::park_timeout(Duration::from_micros(random.below(60_000)));
            for pid in daemons(&place) {
                // It may have ended by now.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let ended = Ended::of(up.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "round {round}: {ended:?}");
        assert!(ended.stdout.starts_with("fornax is up"), "{ended:?}");
        // The second kill may have come after the command's last look.
        place.ok(&["up", "-d"]);
    }
}

#[test]
fn up_waits_for_a_daemon_that_is_ending() {
    let place = Place::new();
    place.ok(&["up", "-d"]);
    let first = daemon(&place);
    kill_process(first, Signal::TERM).unwrap();
    place.ok(&["up", "-d"]);
    // Either it answered before it heard the signal, and is gone now, or another has its place.
    assert!(wait_until(PATIENCE, || place.run(&["up", "-d"]).code == 0
        && daemon(&place) != first));
}

#[test]
fn stale_files_of_a_dead_daemon_keep_nobody_from_starting() {
    let place = Place::new();
    place.ok(&["up", "-d"]);
    let first = daemon(&place);
    kill_process(first, Signal::KILL).unwrap();
    let home = place.state().join("fornax");
    assert!(wait_until(PATIENCE, || place.run(&["status"]).code == 7));
    assert!(home.join("daemon.json").exists() && home.join("daemon.sock").exists());
    // The number of a process that has nothing to do with it.
    fs::write(
        home.join("daemon.lock"),
        format!("{}\n", std::process::id()),
    )
    .unwrap();
    assert_eq!(place.run(&["down"]).code, 0);
    place.ok(&["up", "-d"]);
    assert_ne!(daemon(&place), first);
}

#[test]
fn a_daemon_that_does_not_answer_is_replaced_on_demand() {
    let place = Place::new();
    let run = place.ok(&[
        "task",
        "shell",
        "until [ -e go ]; do sleep 0.05; done; echo done",
        "--detach",
    ]);
    let run = run
        .split_whitespace()
        .find(|word| word.starts_with("RUN-"))
        .unwrap()
        .to_owned();
    let first = daemon(&place);
    kill_process(first, Signal::STOP).unwrap();
    // A stopped process takes no signal but the last.
    let ended = place.run(&["up", "--restart"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_ne!(daemon(&place), first);
    place.write("go", "");
    assert_eq!(place.run(&["tree", &run, "--watch"]).code, 0);
}

/// Starts a task that waits for the file `go`, and removes the state directory.
fn delete_state(place: &Place) -> Pid {
    place.ok(&[
        "task",
        "shell",
        "touch began; until [ -e go ]; do sleep 0.05; done; touch done",
        "--detach",
    ]);
    wait_for_file(&place.dir().join("began"));
    let pid = daemon(place);
    fs::remove_dir_all(place.state().join("fornax")).unwrap();
    pid
}

#[test]
fn no_second_daemon_starts_beside_one_whose_state_directory_was_deleted() {
    let place = Place::new();
    let first = delete_state(&place);
    // It either waits for the first one's end or comes after it: never beside it. Not in the project:
    // what made it this installation's was deleted with the directory.
    let up = place
        .command(&["up", "-d"])
        .current_dir(place.state())
        .output();
    let ended = Ended::of(up.unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!daemons(&place).contains(&first), "the first one is gone");
    assert_eq!(daemons(&place).len(), 1);
    // The task lives on.
    assert!(!place.dir().join("done").exists());
    place.write("go", "");
    wait_for_file(&place.dir().join("done"));
}

#[test]
fn a_daemon_whose_state_directory_is_gone_ends_by_itself() {
    for replace in [false, true] {
        let place = Place::new();
        let first = delete_state(&place);
        let home = place.state().join("fornax");
        if replace {
            fs::create_dir(&home).unwrap();
            fs::write(home.join("daemon.json"), "{}").unwrap();
        }
        assert!(
            wait_until(PATIENCE, || daemons(&place).is_empty()),
            "{first} lives on"
        );
        assert!(!place.dir().join("done").exists(), "the task lives on");
        if replace {
            let log = fs::read_to_string(home.join("daemon.jsonl")).unwrap();
            assert!(log.contains("was deleted or replaced"), "{log}");
            assert_eq!(fs::read_to_string(home.join("daemon.json")).unwrap(), "{}");
            fs::remove_file(home.join("daemon.json")).unwrap();
        } else {
            assert!(!home.exists(), "it makes nothing anew");
        }
        place.write("go", "");
        wait_for_file(&place.dir().join("done"));
    }
}

#[test]
fn down_ends_a_daemon_that_cannot_be_reached() {
    let place = Place::new();
    let first = delete_state(&place);
    // A stopped daemon does not notice by itself that its directory is gone.
    kill_process(first, Signal::STOP).unwrap();
    let status = place.run(&["status"]);
    assert_eq!(status.code, 7, "{status:?}");
    assert!(
        status
            .stdout
            .contains(&format!("process {first} runs, but its socket")),
        "{status:?}"
    );
    let json = place.run(&["status", "--json"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["unreachable_pid"], first.as_raw_pid());
    let doctor = place.run(&["doctor"]);
    assert!(
        doctor.stdout.contains("`fornax down` ends it"),
        "{doctor:?}"
    );
    kill_process(first, Signal::CONT).unwrap();
    // It may notice first.
    assert_eq!(place.run(&["down"]).code, 0);
    assert_eq!(daemons(&place), []);
    assert!(!place.dir().join("done").exists(), "the task lives on");
    place.write("go", "");
    wait_for_file(&place.dir().join("done"));
}
