//! Large logs, and disks without room.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{PATIENCE, Place, wait_for_file, wait_until};

const GIB: u64 = 1 << 30;

fn daemon_pid(place: &Place) -> u64 {
    place.json(&["status", "--json"])["pid"].as_u64().unwrap()
}

/// A figure of `/proc/PID/FILE`, in the file's own unit.
fn proc_figure(pid: u64, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn run_id(said: &str) -> String {
    said.split_whitespace()
        .find(|word| word.starts_with("RUN-"))
        .unwrap()
        .to_owned()
}

fn run_of(place: &Place, id: &str) -> Value {
    let runs = place.json(&["runs", "--json"]);
    let all = runs.as_array().or_else(|| runs["runs"].as_array()).unwrap();
    all.iter().find(|run| run["id"] == id).unwrap().clone()
}

#[test]
fn a_log_is_searched_and_both_outputs_are_one() {
    let place = Place::new();
    // Each line waits until the one before is in its log.
    let heard = "until grep -q $1 $FORNAX_TASK_DIR/$2.log; do :; done";
    let script = format!(
        "heard() {{ {heard}; }}; seq 1 20000; printf '\\033[31mEr\\033[0mror: one\\n'; \
         heard one stdout; echo error two >&2; heard two stderr; echo the end"
    );
    let said = place.ok(&["task", "shell", &script, "--json"]);
    let run = serde_json::from_str::<Value>(&said).unwrap()["id"].clone();
    let run = run.as_str().unwrap();
    assert_eq!(
        place.ok(&["logs", run, "--grep", "error"]),
        "20001:Error: one\n"
    );
    assert_eq!(
        place.ok(&["logs", run, "--stderr", "--grep", "error"]),
        "1:error two\n"
    );
    let both = place.ok(&["logs", run, "--both"]);
    assert!(both.ends_with("ror: one\nerror two\nthe end\n"), "{both}");
    let lines = "20001:Error: one\n20002:error two\n";
    assert_eq!(place.ok(&["logs", run, "--both", "--grep", "error"]), lines);
    let found = place.ok(&["logs", run, "--grep", "^[0-9]+$", "--regex"]);
    assert_eq!(
        found.lines().count(),
        20_000,
        "more than are asked for at once"
    );
    assert_eq!(place.ok(&["logs", run, "--grep", "nothing has this"]), "");
    assert_eq!(place.run(&["logs", run, "--grep", "(", "--regex"]).code, 2);
    assert_eq!(place.run(&["logs", run, "--both", "--stderr"]).code, 2);
}

#[test]
fn a_gibibyte_of_log_costs_the_daemon_nothing() {
    let place = Place::new();
    place.configure("tools:\n  raw: { cmd: [sh, -c, '{prompt}'], redact: false }\n");
    place.write(
        "plan.yaml",
        &format!(
            "name: big\nframes:\n  - id: write\n    tool: raw\n    prompt: |\n      \
             yes 'a line of a log that is not short at all, and goes on and on' | head -c {GIB}; \
             echo; echo the very end\n"
        ),
    );
    place.ok(&["up", "--detach"]);
    let pid = daemon_pid(&place);
    let before_kib = proc_figure(pid, "status", "VmRSS");
    place.ok(&["run", "plan.yaml"]);
    let frame = place.json(&["tree", "--json"]).to_string();
    let task = frame
        .split('"')
        .find(|word| word.starts_with("t-"))
        .unwrap()
        .to_owned();

    let read_before = proc_figure(pid, "io", "rchar");
    let end = place.ok(&["logs", &task, "--tail", "1"]);
    assert_eq!(end, "the very end\n");
    let followed = place.ok(&["logs", &task, "-f", "--tail", "1"]);
    assert_eq!(followed, "the very end\n");
    let read = proc_figure(pid, "io", "rchar") - read_before;
    assert!(
        read < 4 << 20,
        "the daemon read {read} bytes to show the end of a log"
    );
    let grown_kib = proc_figure(pid, "status", "VmHWM").saturating_sub(before_kib);
    assert!(
        grown_kib < 32 << 10,
        "the daemon's memory grew by {grown_kib} KiB"
    );
}

/// A small file system of its own, mounted where the project keeps its data.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, bytes: u64) -> Option<SmallDisk> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={bytes},mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "fornax-test"])
            .arg(at)
            .status()
            .unwrap();
        if mounted.success() {
            return Some(SmallDisk(at.to_owned()));
        }
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must be able to mount a tmpfs"
        );
        println!("not checked: mounting a tmpfs needs root");
        None
    }

    /// Takes all the room there is.
    fn fill(&self) {
        let mut filler = fs::File::create(self.0.join("filler")).unwrap();
        let chunk = [0u8; 4096];
        while std::io::Write::write_all(&mut filler, &chunk).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The daemon may still have files open in there: it goes when they are closed.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_blocks_a_run_and_does_not_fail_it() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(&place.dir().join(".fornax"), 4 << 20) else {
        return;
    };
    place.write(
        "plan.yaml",
        "name: patient\nframes:\n\
         \x20 - { id: wait, run: 'touch began; until [ -e go ]; do sleep 0.05; done; echo waited' }\n\
         \x20 - { id: after, depends_on: [wait], run: 'echo after' }\n",
    );
    let run = run_id(&place.ok(&["run", "plan.yaml", "--detach"]));
    wait_for_file(&place.dir().join("began"));
    disk.fill();
    place.write("go", "");

    let blocked = wait_until(PATIENCE, || run_of(&place, &run)["status"] == "blocked");
    let view = run_of(&place, &run);
    assert!(blocked, "{view}");
    let reason = view["reason"].as_str().unwrap();
    assert!(reason.contains("No space left on device"), "{reason}");
    // It resumes as soon as there is space: nobody has to act.
    assert_eq!(place.json(&["inbox", "--json"]), serde_json::json!([]));
    let refused = place.run(&["run", "plan.yaml", "--detach"]);
    assert_eq!(refused.code, 8, "{refused:?}");
    assert!(
        refused.stderr.contains("No space left on device"),
        "{refused:?}"
    );

    disk.make_room();
    let done = wait_until(PATIENCE, || run_of(&place, &run)["status"] == "completed");
    assert!(done, "{}", run_of(&place, &run));
    place.ok(&["verify"]);
}
