//! Tasks that a version before proofs started. Its shim is imitated: this program again, with what
//! that version wrote and sent.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fornax_runner::{
    ExitCause, Identity, SHIM_ARG, StopOutcome, TaskSpec, shim_of, shims, stop_task,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::kit::{Daemon, KEY, Tasks, Test, is_alive, kill, myself, pid_in_task, state_dir, until};

pub const TESTS: &[Test] = &[
    ("legacy::only_an_accepted_task_is_adopted", adopted),
    ("legacy::an_adopted_task_is_stopped", stopped),
    (
        "legacy::a_task_of_no_run_of_ours_is_found_and_stopped",
        found,
    ),
    ("legacy::a_copy_of_its_folder_is_not_the_task", copied),
    ("legacy::a_dead_shim_leaves_nothing", killed),
];

/// The environment variable that names the folder for which this program is an old shim.
pub const FOLDER: &str = "TEST_OLD_SHIM_OF";

/// The shim of protocol 1: it answers no challenge and writes no proof. Its command reads a line from
/// the pipe `go` beside the folder, and ends with 7.
pub fn shim(dir: &Path) -> ! {
    let lock = File::open(dir).unwrap();
    lock.lock().unwrap();
    let terminations = block_termination();
    let mut command = Command::new("sh")
        .args(["-c", "read line < ../go; exit 7"])
        .current_dir(dir)
        .env("FORNAX_TASK", "t-4k2p9x-1")
        .env("FORNAX_TASK_DIR", dir)
        .spawn()
        .unwrap();
    let pid = command.id();
    let listener = UnixListener::bind(dir.join("shim.sock")).unwrap();
    let task = json!({
        "v": 1, "task_id": "t-4k2p9x-1", "attempt": 1, "boot_id": fornax_runner::boot_id().unwrap(),
        "shim": Identity::of(std::process::id()), "child": Identity::of(pid),
    });
    fs::write(dir.join("task.json"), task.to_string()).unwrap();
    let clients = std::sync::Mutex::new(Vec::new());
    let clients = &clients;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            wait_for(terminations);
            kill(pid, Signal::KILL);
        });
        scope.spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                // Who has gone already is let go, whatever it had sent.
                if writeln!(client, "{}", json!({"is": "started", "pid": pid})).is_err() {
                    continue;
                }
                clients.lock().unwrap().push(client.try_clone().unwrap());
                std::thread::spawn(move || {
                    for line in BufReader::new(client).lines().map_while(Result::ok) {
                        let wish: Value = serde_json::from_str(&line).unwrap();
                        if wish["do"] == "stop" {
                            kill(pid, Signal::KILL);
                        }
                    }
                });
            }
        });
        let code = command.wait().unwrap().code();
        let exit = json!({
            "v": 1, "task_id": "t-4k2p9x-1", "attempt": 1, "code": code,
            "cause": if code.is_some() { "exited" } else { "stopped" },
            "started_at_ms": 1, "ended_at_ms": 2, "duration_ms": 1,
            "stdout_bytes": 0, "stderr_bytes": 0,
        });
        fs::write(dir.join("exit.json"), exit.to_string()).unwrap();
        fs::remove_file(dir.join("shim.sock")).unwrap();
        for client in clients.lock().unwrap().iter_mut() {
            // Who has gone needs no word.
            let _ = writeln!(client, "{}", json!({"is": "ended", "exit": exit}));
        }
        std::process::exit(0)
    })
}

/// Has SIGTERM wait for [`wait_for`], in this thread and those that it starts.
#[allow(unsafe_code)]
fn block_termination() -> libc::sigset_t {
    // SAFETY: the set is initialised by the first call, and outlives the others.
    unsafe {
        let mut signals = std::mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
        signals
    }
}

#[allow(unsafe_code)]
fn wait_for(signals: libc::sigset_t) {
    let mut signal = 0;
    // SAFETY: both point to living values of this frame.
    unsafe { libc::sigwait(&raw const signals, &raw mut signal) };
}

/// A task that an old version started and left alone, and its shim.
struct Old {
    tasks: Tasks,
    spec: TaskSpec,
    shim: Child,
}

impl Old {
    fn start() -> Old {
        let tasks = Tasks::new();
        let mut spec = tasks.sh("echo a new version started it > ../again");
        // As the engine has it for what a person accepted: adopted where it lives, never started.
        spec.boot_id = Some("before a person accepted the run".to_owned());
        fs::create_dir(&spec.dir).unwrap();
        let made = Command::new("mkfifo").arg(tasks.root.join("go")).status();
        assert!(made.unwrap().success());
        let shim = Command::new(myself())
            .arg(SHIM_ARG)
            .env(FOLDER, &spec.dir)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        until("the old shim", || {
            spec.dir.join("task.json").exists().then_some(())
        });
        Old { tasks, spec, shim }
    }

    fn command(&self) -> u32 {
        pid_in_task(&self.spec, "child")
    }

    /// Lets the command end by itself.
    fn release(&self) {
        fs::write(self.tasks.root.join("go"), "go\n").unwrap();
    }
}

impl Drop for Old {
    fn drop(&mut self) {
        // It ends by itself where the test went well.
        if std::thread::panicking() {
            let _ = self.shim.kill();
        }
        self.shim.wait().unwrap();
        assert!(
            !self.tasks.root.join("again").exists(),
            "it was started again"
        );
    }
}

fn adopted() {
    let old = Old::start();
    let daemon = Daemon::start();
    daemon.supervisor.ensure(old.spec.clone());
    assert!(daemon.lost().contains("did not prove"));
    assert!(is_alive(old.command()), "it is left alone");
    drop(daemon);

    let mut spec = old.spec.clone();
    spec.accept_unproved = true;
    // A daemon may be started again and again meanwhile.
    for _ in 0..2 {
        let daemon = Daemon::start();
        daemon.supervisor.ensure(spec.clone());
        assert_eq!(daemon.started(), old.command());
    }
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    old.release();
    let exit = daemon.ended();
    assert_eq!((exit.code, exit.cause), (Some(7), ExitCause::Exited));
    drop(daemon);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec);
    assert_eq!(daemon.ended(), exit, "the record says the same");
}

fn stopped() {
    let old = Old::start();
    let mut spec = old.spec.clone();
    spec.accept_unproved = true;
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().cause, ExitCause::Stopped);
    assert!(!is_alive(old.command()));
}

fn found() {
    let old = Old::start();
    let (dir, state) = (&old.spec.dir, state_dir());
    assert_eq!(shim_of(dir, &state).unwrap(), Some(old.shim.id()));
    let listed = shims(&state).unwrap();
    let is_listed = listed.iter().any(|shim| shim.pid == old.shim.id());
    assert!(
        !is_listed,
        "it names no state directory, so it is nobody's but its folder's"
    );
    let outcome = stop_task(dir, &KEY.into(), &state).unwrap();
    assert_eq!(outcome, StopOutcome::Stopping);
    until("its record", || {
        dir.join("exit.json").exists().then_some(())
    });
    until("its end", || (!is_alive(old.shim.id())).then_some(()));
    assert_eq!(shim_of(dir, &state).unwrap(), None);
}

fn copied() {
    let old = Old::start();
    let mut copy = old.spec.clone();
    copy.dir = old.tasks.root.join("copy");
    copy.accept_unproved = true;
    let copied = Command::new("cp")
        .arg("-a")
        .args([&old.spec.dir, &copy.dir])
        .status();
    assert!(copied.unwrap().success());
    assert_eq!(shim_of(&copy.dir, &state_dir()).unwrap(), None);
    let outcome = stop_task(&copy.dir, &KEY.into(), &state_dir()).unwrap();
    assert_eq!(outcome, StopOutcome::NotRunning);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(copy);
    let reason = daemon.lost();
    assert!(
        reason.contains("copy") && !reason.contains("killed"),
        "{reason}"
    );
    assert!(is_alive(old.command()));
    old.release();
}

fn killed() {
    let mut old = Old::start();
    let command = old.command();
    let mut spec = old.spec.clone();
    spec.accept_unproved = true;
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec);
    daemon.started();
    old.shim.kill().unwrap();
    let reason = daemon.lost();
    assert!(
        reason.contains("1 of its processes were killed"),
        "{reason}"
    );
    assert!(!is_alive(command));
}
