//! What the tests share.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use fornax_runner::{Exit, Grace, RedactSpec, Report, SHIM_ARG, Supervisor, TaskSpec};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

/// A test's name and body.
pub type Test = (&'static str, fn());

/// No event takes this long; when one does, the test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The key of these tests' tasks.
pub const KEY: [u8; 32] = [7; 32];

/// This program, as anything but the harness.
pub fn myself() -> String {
    std::env::current_exe()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

pub fn shim_argv() -> Vec<OsString> {
    vec![myself().into(), SHIM_ARG.into()]
}

/// The state directory of these tests' installation. Any directory will do.
pub fn state_dir() -> PathBuf {
    std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned()
}

/// A supervisor and what it reports.
pub struct Daemon {
    pub supervisor: Supervisor,
    reports: Receiver<Report>,
}

impl Daemon {
    pub fn start() -> Daemon {
        let (sender, reports) = channel();
        // Nobody listens any more once the test is over.
        let tell = move |report| drop(sender.send(report));
        Daemon {
            supervisor: Supervisor::new(shim_argv(), &state_dir(), tell).unwrap(),
            reports,
        }
    }

    pub fn next(&self) -> Report {
        self.reports.recv_timeout(PATIENCE).expect("no report came")
    }

    /// The next report that `pick` likes.
    pub fn wait<T>(&self, pick: impl Fn(&Report) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(&self.next()) {
                return picked;
            }
        }
    }

    pub fn ended(&self) -> Exit {
        self.wait(|report| match report {
            Report::Ended { exit, .. } => Some(exit.clone()),
            Report::Lost { reason, .. } => panic!("lost: {reason}"),
            _ => None,
        })
    }

    pub fn started(&self) -> u32 {
        self.wait(|report| match report {
            Report::Started { pid, .. } => Some(*pid),
            Report::Ended { exit, .. } => panic!("ended: {exit:?}"),
            Report::Lost { reason, .. } => panic!("lost: {reason}"),
            _ => None,
        })
    }

    pub fn lost(&self) -> String {
        self.wait(|report| match report {
            Report::Lost { reason, .. } => Some(reason.clone()),
            Report::Ended { exit, .. } => panic!("ended: {exit:?}"),
            _ => None,
        })
    }

    pub fn stalled(&self) -> String {
        self.wait(|report| match report {
            Report::Stalled { reason, .. } => Some(reason.clone()),
            Report::Ended { exit, .. } => panic!("ended: {exit:?}"),
            _ => None,
        })
    }

    /// Runs one task to its end.
    pub fn run(&self, spec: &TaskSpec) -> Exit {
        self.supervisor.ensure(spec.clone());
        self.ended()
    }
}

/// A folder of tasks.
pub struct Tasks {
    pub root: PathBuf,
    _temp: tempfile::TempDir,
}

impl Tasks {
    pub fn new() -> Tasks {
        let temp = tempfile::tempdir().unwrap();
        Tasks {
            root: temp.path().to_owned(),
            _temp: temp,
        }
    }

    pub fn spec(&self, argv: &[&str]) -> TaskSpec {
        spec_in(&self.root, argv)
    }

    /// A task that a shell runs, its logs redacted.
    pub fn sh(&self, script: &str) -> TaskSpec {
        self.spec(&["sh", "-c", script])
    }
}

/// A task in the folder `root`, its logs redacted.
pub fn spec_in(root: &Path, argv: &[&str]) -> TaskSpec {
    TaskSpec {
        run_id: "RUN-20261120-001".into(),
        frame_id: "f-4k2p9x".into(),
        task_id: "t-4k2p9x-1".into(),
        attempt: 1,
        dir: root.join("t-4k2p9x-1"),
        argv: argv.iter().map(|&arg| arg.to_owned()).collect(),
        env: vec![("PATH".into(), std::env::var("PATH").unwrap())],
        cwd: "/".into(),
        stdin: None,
        timeout_ms: None,
        silence_ms: None,
        grace: Grace {
            interrupt_ms: 10_000,
            terminate_ms: 10_000,
            drain_ms: 500,
        },
        redact: Some(RedactSpec::default()),
        boot_id: None,
        record: serde_json::Map::new(),
        key: KEY.into(),
        accept_unproved: false,
    }
}

pub fn log(spec: &TaskSpec, name: &str) -> String {
    fs::read_to_string(spec.dir.join(name)).unwrap()
}

pub fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The process that `member` of the task's `task.json` names.
pub fn pid_in_task(spec: &TaskSpec, member: &str) -> u32 {
    // The command's is written down after its start is told.
    until("the process in task.json", || {
        json(spec.dir.join("task.json"))[member]["pid"].as_u64()
    }) as u32
}

/// Waits, looking often, for something that no event tells of.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for the first line that the task's command writes, where it goes directly into the log.
pub fn first_line(spec: &TaskSpec) -> String {
    until("a line in the log", || {
        let text = fs::read_to_string(spec.dir.join("stdout.log")).ok()?;
        text.split_once('\n').map(|(line, _)| line.to_owned())
    })
}

/// Whether the process is there and has not ended.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The living processes that bear the mark of the task in `spec`.
pub fn marked(spec: &TaskSpec) -> Vec<u32> {
    let mark = format!("FORNAX_TASK_DIR={}", spec.dir.display());
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ
            .split(|&byte| byte == 0)
            .any(|entry| entry == mark.as_bytes())
            && is_alive(*pid)
    })
    .collect()
}

pub fn kill(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A daemon in a process of its own, to be killed: ensures the task whose specification the file
/// holds, writes a line for each report, and ends only by force.
pub fn daemon(file: &str) -> ! {
    let spec: TaskSpec = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let report = |report| {
        println!("{report:?}");
        std::io::stdout().flush().unwrap();
    };
    let supervisor = Supervisor::new(shim_argv(), &state_dir(), report).unwrap();
    supervisor.ensure(spec);
    loop {
        std::thread::park();
    }
}

/// A daemon that has no descriptor left when it is given a task, and then has again. It says what it
/// is told.
pub fn starved(file: &str) -> ! {
    let spec: TaskSpec = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let daemon = Daemon::start();
    let usual = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        ..usual
    };
    setrlimit(Resource::Nofile, none).unwrap();
    daemon.supervisor.ensure(spec);
    let reason = daemon.stalled();
    setrlimit(Resource::Nofile, usual).unwrap();
    println!("stalled: {reason}");
    println!("started {}", daemon.started());
    println!("ended {:?}", daemon.ended().code);
    std::process::exit(0)
}

/// The text that `__emit` writes: `bytes` of numbered lines that begin with `name`.
pub fn text(name: &str, bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 80);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        writeln!(
            text,
            "{name} line {number:09}: the quick brown fox jumps over the dog"
        )
        .unwrap();
    }
    text.truncate(bytes);
    text
}

/// Writes `bytes` to standard output and, where `kind` is `both`, as many others to standard error
/// at the same time.
pub fn emit(kind: &str, bytes: &str) -> ! {
    let bytes = bytes.parse().unwrap();
    let both = kind == "both";
    let stderr = std::thread::spawn(move || {
        if both {
            std::io::stderr().write_all(&text("err", bytes)).unwrap();
        }
    });
    std::io::stdout().write_all(&text("out", bytes)).unwrap();
    stderr.join().unwrap();
    std::process::exit(0)
}
