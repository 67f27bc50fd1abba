//! What the logs hold.

use std::fs;

use fornax_runner::{ORDER, Order, RedactSpec};

use crate::kit::{Daemon, Tasks, Test, myself, text};

pub const TESTS: &[Test] = &[
    ("capture::outputs_are_apart_and_whole", whole),
    ("capture::a_secret_in_pieces_is_redacted", secret_in_pieces),
    (
        "capture::without_redaction_the_command_owns_its_logs",
        unredacted,
    ),
    ("capture::the_order_of_both_outputs_is_kept", order),
    (
        "capture::what_is_written_right_before_the_end_is_in_the_log",
        last_words,
    ),
];

fn whole() {
    const BYTES: usize = 64 << 20;
    let daemon = Daemon::start();
    for redacted in [false, true] {
        let tasks = Tasks::new();
        let mut spec = tasks.spec(&[&myself(), "__emit", "both", &BYTES.to_string()]);
        if !redacted {
            spec.redact = None;
        }
        let exit = daemon.run(&spec);
        assert_eq!((exit.code, exit.error), (Some(0), None));
        assert_eq!(
            (exit.stdout_bytes, exit.stderr_bytes),
            (BYTES as u64, BYTES as u64)
        );
        for (log, name) in [("stdout.log", "out"), ("stderr.log", "err")] {
            assert!(
                fs::read(spec.dir.join(log)).unwrap() == text(name, BYTES),
                "{log} differs"
            );
        }
    }
}

fn order() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    // Each line waits until the one before is in its log.
    let script = "heard() { until grep -q $1 $FORNAX_TASK_DIR/$2.log; do :; done; }
        echo one; heard one stdout; echo two >&2; heard two stderr; printf thr; echo four >&2
        heard four stderr; echo ee; heard three stdout; echo five >&2";
    let exit = daemon.run(&tasks.sh(script));
    assert_eq!(
        (exit.code, exit.stdout_bytes, exit.stderr_bytes),
        (Some(0), 10, 14)
    );
    let dir = tasks.root.join("t-4k2p9x-1");
    let order = Order::parse(fs::read(dir.join(ORDER)).unwrap());
    let runs: Vec<_> = order
        .runs_from(0)
        .map(|run| (run.which, run.length))
        .collect();
    assert_eq!(runs, [(0, 4), (1, 9), (0, 6)]);
    // A single output, and a command that writes its logs itself, need no such file.
    for redacted in [true, false] {
        let tasks = Tasks::new();
        let mut spec = tasks.sh(if redacted {
            "echo one"
        } else {
            "echo one; echo two >&2"
        });
        if !redacted {
            spec.redact = None;
        }
        daemon.run(&spec);
        assert!(!spec.dir.join(ORDER).exists());
    }
}

fn last_words() {
    let daemon = Daemon::start();
    for _ in 0..20 {
        let tasks = Tasks::new();
        let spec = tasks.sh("head -c 900000 /dev/zero; kill -9 $$");
        let exit = daemon.run(&spec);
        assert_eq!((exit.signal, exit.stdout_bytes), (Some(9), 900_000));
    }
}

fn secret_in_pieces() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    // A piece at a time, with pauses, so that each arrives alone; and across a chunk's border.
    let secret = "correct-horse-battery-staple";
    let mut script = "head -c 131060 /dev/zero | tr '\\0' x; ".to_owned();
    for piece in ["correct-h", "orse-batt", "ery-staple"] {
        script += &format!("printf {piece}; printf {piece} >&2; sleep 0.05; ");
    }
    let mut spec = tasks.sh(&script);
    spec.redact = Some(RedactSpec {
        secrets: vec![secret.into(), "in the arguments".into()],
        ..RedactSpec::default()
    });
    spec.argv.push("a secret in the arguments".into());
    spec.record
        .insert("note".into(), format!("it is {secret}").into());
    let exit = daemon.run(&spec);
    assert_eq!(exit.code, Some(0));
    assert_eq!(crate::kit::log(&spec, "stderr.log"), "[redacted:env]");
    let stdout = crate::kit::log(&spec, "stdout.log");
    assert!(
        stdout == "x".repeat(131_060) + "[redacted:env]",
        "{}",
        &stdout[131_000..]
    );
    assert_eq!(exit.stdout_bytes, stdout.len() as u64);
    let task = fs::read_to_string(spec.dir.join("task.json")).unwrap();
    assert!(
        !task.contains(secret) && !task.contains("in the arguments"),
        "{task}"
    );
}

fn unredacted() {
    let daemon = Daemon::start();
    let tasks = Tasks::new();
    let mut spec =
        tasks.sh("echo token=abcdefghijklmnop; log=$(readlink /proc/$$/fd/1); echo $log >&2");
    spec.redact = None;
    daemon.run(&spec);
    assert_eq!(
        crate::kit::log(&spec, "stdout.log"),
        "token=abcdefghijklmnop\n"
    );
    let stderr = crate::kit::log(&spec, "stderr.log");
    assert_eq!(stderr.trim(), spec.dir.join("stdout.log").to_str().unwrap());
}
