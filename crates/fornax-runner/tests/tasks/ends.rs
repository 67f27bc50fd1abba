//! How commands begin and end.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use fornax_runner::{ExitCause, Report};

use crate::kit::{Daemon, Tasks, Test, first_line, json, kill, log, pid_in_task, until};

pub const TESTS: &[Test] = &[
    (
        "ends::exit_codes_and_signals_are_told_as_they_are",
        exit_codes_and_signals,
    ),
    ("ends::standard_input_is_the_given_text", standard_input),
    (
        "ends::a_missing_tool_is_told_apart_from_a_missing_directory",
        missing,
    ),
    (
        "ends::the_environment_is_complete_and_its_values_stay_secret",
        environment,
    ),
    ("ends::the_command_starts_clean", clean_start),
    ("ends::a_long_path_does_not_matter", long_path),
    (
        "ends::a_folder_that_cannot_be_made_fails_the_start",
        impossible_folder,
    ),
    ("ends::a_thousand_tasks_leak_nothing", thousand),
    ("ends::a_killed_fork_server_is_started_again", fork_server),
    ("ends::a_shim_stays_small", small),
];

fn exit_codes_and_signals() {
    let daemon = Daemon::start();
    for (script, code, signal) in [
        ("exit 0", Some(0), None),
        ("exit 7", Some(7), None),
        ("kill -9 $$", None, Some(9)),
        ("kill -15 $$", None, Some(15)),
    ] {
        let tasks = Tasks::new();
        let spec = tasks.sh(script);
        let exit = daemon.run(&spec);
        assert_eq!(
            (exit.code, exit.signal, exit.cause),
            (code, signal, ExitCause::Exited),
            "{script}"
        );
        assert_eq!((exit.error.as_deref(), exit.swept, exit.left), (None, 0, 0));
        assert!(exit.max_rss_kib > 100, "{exit:?}");
        let record = json(spec.dir.join("exit.json"));
        assert_eq!(record, serde_json::to_value(&exit).unwrap());
        assert_eq!(fornax_runner::read_exit(&spec.dir).unwrap(), Some(exit));
        assert!(!spec.dir.join("shim.sock").exists());
        let names: HashSet<_> = fs::read_dir(&tasks.root)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}

fn standard_input() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec = tasks.spec(&["cat"]);
    let text = "a prompt, \"quoted\"\n".repeat(100_000);
    spec.stdin = Some(text.clone());
    let exit = daemon.run(&spec);
    assert_eq!(exit.code, Some(0));
    assert!(log(&spec, "stdout.log") == text);
    assert_eq!(json(spec.dir.join("task.json"))["stdin_bytes"], text.len());

    let tasks = Tasks::new();
    let spec = tasks.spec(&["cat"]);
    assert_eq!(daemon.run(&spec).stdout_bytes, 0);
}

fn missing() {
    let daemon = Daemon::start();
    let fails = |change: &dyn Fn(&mut fornax_runner::TaskSpec)| {
        let tasks = Tasks::new();
        let mut spec = tasks.sh("true");
        change(&mut spec);
        let exit = daemon.run(&spec);
        assert_eq!((exit.cause, exit.code), (ExitCause::SpawnFailed, None));
        assert_eq!(
            fornax_runner::read_exit(&spec.dir).unwrap().as_ref(),
            Some(&exit)
        );
        (exit.tool_missing, exit.error.unwrap())
    };
    let (tool_missing, error) = fails(&|spec| spec.argv = vec!["no-such-tool-here".into()]);
    assert!(
        tool_missing && error.contains("`no-such-tool-here`"),
        "{error}"
    );
    let (tool_missing, error) = fails(&|spec| spec.argv = vec!["/proc/self/status".into()]);
    assert!(tool_missing && error.contains("denied"), "{error}");
    let (tool_missing, _) = fails(&|spec| spec.env = vec![("PATH".into(), "/nowhere".into())]);
    assert!(tool_missing);
    let (tool_missing, error) = fails(&|spec| spec.cwd = "/no/such/directory".into());
    assert!(
        !tool_missing && error.contains("/no/such/directory"),
        "{error}"
    );
    let (tool_missing, error) = fails(&|spec| spec.argv = vec!["true".into(), "a\0b".into()]);
    assert!(!tool_missing && error.contains("NUL"), "{error}");
    let (_, error) = fails(&|spec| spec.argv = Vec::new());
    assert!(error.contains("empty"), "{error}");
}

fn environment() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec = tasks.sh("env; pwd");
    spec.env
        .push(("GREETING".into(), "correct horse battery".into()));
    spec.cwd = tasks.root.clone();
    spec.record.insert("tool".into(), "shell".into());
    spec.redact = None;
    daemon.run(&spec);
    let output = log(&spec, "stdout.log");
    let lines: HashSet<&str> = output.lines().collect();
    let dir = format!("FORNAX_TASK_DIR={}", spec.dir.display());
    for line in [
        "GREETING=correct horse battery",
        "FORNAX_TASK=t-4k2p9x-1",
        &dir,
        tasks.root.to_str().unwrap(),
    ] {
        assert!(lines.contains(line), "{line} is not in {lines:?}");
    }
    // The shell adds three of its own.
    let own = lines.iter().filter(|line| {
        ["PWD=", "SHLVL=", "OLDPWD=", "_="]
            .iter()
            .any(|own| line.starts_with(own))
    });
    assert_eq!(lines.len() - own.count(), 6, "{lines:?}");
    let task = fs::read_to_string(spec.dir.join("task.json")).unwrap();
    assert!(
        !task.contains("battery") && task.contains("GREETING"),
        "{task}"
    );
    let task = json(spec.dir.join("task.json"));
    assert_eq!(
        (&task["tool"], &task["attempt"]),
        (&"shell".into(), &1.into())
    );
    let mode = |name: &str| {
        fs::metadata(spec.dir.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (mode(""), mode("stdout.log"), mode("exit.json")),
        (0o700, 0o600, 0o600)
    );
}

fn clean_start() {
    let daemon = Daemon::start();
    // Descriptors that are not close-on-exec, as careless libraries open them.
    let careless = fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&careless, rustix::io::FdFlags::empty()).unwrap();
    for redacted in [false, true] {
        let tasks = Tasks::new();
        let mut spec = tasks.spec(&[
            "sh",
            "-c",
            "ls /proc/$$/fd; ps -o sid= -p $$; echo $$; exec cat /proc/self/status",
        ]);
        if !redacted {
            spec.redact = None;
        }
        daemon.run(&spec);
        let output = log(&spec, "stdout.log");
        let words: Vec<&str> = output.split_whitespace().collect();
        assert_eq!(words[..3], ["0", "1", "2"], "{output}");
        assert_eq!(words[3], words[4], "the command leads a session of its own");
        for signals in ["SigBlk:", "SigIgn:", "SigCgt:"] {
            let line = output
                .lines()
                .find(|line| line.starts_with(signals))
                .unwrap();
            assert!(line.ends_with("\t0000000000000000"), "{line}");
        }
    }
}

fn long_path() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let deep = tasks.root.join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    let mut spec = crate::kit::spec_in(&deep, &["sh", "-c", "echo ready; exec sleep 600"]);
    spec.redact = None;
    daemon.supervisor.ensure(spec.clone());
    let pid = daemon.started();
    drop(daemon);
    let daemon = Daemon::start();
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.started(), pid);
    daemon.supervisor.stop(&spec.task_id);
    assert_eq!(daemon.ended().signal, Some(2));
}

fn impossible_folder() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec = tasks.sh("true");
    spec.dir = tasks.root.join("no-parent/t-4k2p9x-1");
    let exit = daemon.run(&spec);
    assert_eq!(exit.cause, ExitCause::SpawnFailed);
    assert!(exit.error.unwrap().contains("no-parent"));
    spec.dir = "relative/t-4k2p9x-1".into();
    let exit = daemon.run(&spec);
    assert!(exit.error.unwrap().contains("absolute"));
}

fn open_fds(pid: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

fn children_of(pid: u32) -> Vec<u32> {
    let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent = stat
            .rsplit_once(") ")?
            .1
            .split(' ')
            .nth(1)?
            .parse::<u32>()
            .ok()?;
        Some((pid, parent))
    });
    stats
        .filter(|(_, parent)| *parent == pid)
        .map(|(pid, _)| pid)
        .collect()
}

/// The fork server of the shim that runs `spec`.
fn server_of(spec: &fornax_runner::TaskSpec) -> u32 {
    let shim = pid_in_task(spec, "shim");
    let stat = fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
    stat.rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn thousand() {
    // Other tests of this process open descriptors at the same time; nextest runs each alone.
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let spec_of = |number: u32| {
        let mut spec = tasks.spec(&["true"]);
        spec.task_id = format!("t-4k2p9x-{number}");
        spec.attempt = number;
        spec.dir = tasks.root.join(&spec.task_id);
        spec
    };
    let mut holder = spec_of(5000);
    holder.argv = vec!["sleep".into(), "600".into()];
    daemon.supervisor.ensure(holder.clone());
    daemon.started();
    let server = server_of(&holder);
    let before = open_fds(&server.to_string());
    for number in 1..=4 {
        daemon.run(&spec_of(number));
    }
    let ours = open_fds("self");
    // Eight at a time: the disk is the slow part.
    for number in 5..=1008 {
        if number <= 1000 {
            daemon.supervisor.ensure(spec_of(number));
        }
        if number > 12 {
            assert_eq!(daemon.ended().code, Some(0));
        }
    }
    assert_eq!(open_fds(&server.to_string()), before);
    let allowed = if std::env::var_os("NEXTEST").is_some() {
        0
    } else {
        200
    };
    assert!(
        open_fds("self") <= ours + allowed,
        "{} descriptors, before {ours}",
        open_fds("self")
    );
    // No zombies either: of a thousand shims the sleeper's is the only child left.
    let shim = pid_in_task(&holder, "shim");
    until("the last shims end", || {
        (children_of(server) == [shim]).then_some(())
    });
    assert_eq!(daemon.supervisor.pids().len(), 1);
    daemon.supervisor.stop(&holder.task_id);
    daemon.ended();
    assert!(daemon.supervisor.pids().is_empty());
}

fn fork_server() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut holder = tasks.sh("echo ready; exec sleep 600");
    holder.task_id = "t-4k2p9x-7".into();
    holder.dir = tasks.root.join("t-4k2p9x-7");
    holder.redact = None;
    daemon.supervisor.ensure(holder.clone());
    daemon.started();
    first_line(&holder);
    kill(server_of(&holder), rustix::process::Signal::KILL);
    let spec = tasks.sh("exit 3");
    daemon.supervisor.ensure(spec.clone());
    assert_eq!(daemon.ended().code, Some(3));
    // Its earlier shims did not notice.
    daemon.supervisor.stop(&holder.task_id);
    let signal = daemon.wait(|report| match report {
        Report::Ended { exit, .. } => Some(exit.signal),
        _ => None,
    });
    assert_eq!(signal, Some(2));
}

fn small() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let spec = tasks.sh("head -c 8000000 /dev/zero; exec sleep 600");
    daemon.supervisor.ensure(spec.clone());
    daemon.started();
    until("the output is captured", || {
        (fs::metadata(spec.dir.join("stdout.log")).ok()?.len() > 7_000_000).then_some(())
    });
    let shim = pid_in_task(&spec, "shim");
    let status = fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    // The program's own pages are shared by all shims, and larger in a build for debugging.
    assert!(kib("RssAnon") < 4096, "{status}");
    daemon.supervisor.stop(&spec.task_id);
    daemon.ended();
}
