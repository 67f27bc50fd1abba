//! Trace events on disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;

use common::run;
use fornax_core::ids::RunId;
use fornax_journal::{AppendError, Ingested, JournalError, Project, Stream, TelemetryWriter};
use fornax_redact::Rules;
use serde_json::Value;

fn calls(count: u64) -> Vec<u8> {
    let call = |n| format!("{{\"event\":\"llm_call\",\"tokens_in\":{n}}}\n");
    (0..count).map(call).collect::<String>().into_bytes()
}

fn project(dir: &tempfile::TempDir) -> Project {
    let project = Project::open(dir.path()).unwrap();
    for number in 1..4 {
        fs::create_dir_all(project.run_dir(run(number))).unwrap();
    }
    project
}

fn numbers(project: &Project, run: RunId) -> Vec<u64> {
    let text = fs::read_to_string(project.stream_file(run, Stream::Telemetry)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let number = |line| {
        serde_json::from_str::<Value>(line).unwrap()["seq"]
            .as_u64()
            .unwrap()
    };
    text.lines().map(number).collect()
}

fn append(telemetry: &TelemetryWriter, number: u32, events: &[u8]) -> Ingested {
    telemetry
        .append(run(number), events, &Rules::builtin())
        .unwrap()
}

#[test]
fn each_run_counts_its_own_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir);
    for round in 0..3 {
        let telemetry = TelemetryWriter::start(&project).unwrap();
        let ingested = append(&telemetry, 1, &calls(2));
        assert_eq!((ingested.accepted, ingested.rejected_total), (2, 0));
        let mixed = [calls(1), b"x\n".to_vec(), calls(1)].concat();
        let ingested = append(&telemetry, 2, &mixed);
        assert_eq!((ingested.accepted, ingested.rejected_total), (2, 1));
        assert_eq!(ingested.rejected[0].0, 2);
        assert_eq!(
            append(&telemetry, 3, b"x"),
            Ingested {
                rejected_total: 1,
                rejected: ingested
                    .rejected
                    .iter()
                    .map(|(_, why)| (1, why.clone()))
                    .collect(),
                ..Ingested::default()
            }
        );
        assert_eq!(telemetry.head(run(1)).unwrap().seq, 2 * (round + 1));
        telemetry.flush().unwrap();
        assert_eq!(telemetry.problem(), None);
    }
    let expected: Vec<u64> = (1..=6).collect();
    assert_eq!(numbers(&project, run(1)), expected);
    assert_eq!(numbers(&project, run(2)), expected);
    assert!(!project.stream_file(run(3), Stream::Telemetry).exists());
    let chunk = project
        .read_lines(run(2), Stream::Telemetry, 0, None, 0)
        .unwrap();
    assert_eq!(
        chunk.next,
        fs::metadata(project.stream_file(run(2), Stream::Telemetry))
            .unwrap()
            .len()
    );
}

#[test]
fn threads_do_not_mix_lines() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir);
    let telemetry = TelemetryWriter::start(&project).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| drop(append(&telemetry, 1, &calls(20)))));
        }
    });
    assert_eq!(numbers(&project, run(1)), (1..=4000).collect::<Vec<u64>>());
}

#[test]
fn a_run_that_is_not_there_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir);
    let telemetry = TelemetryWriter::start(&project).unwrap();
    let error = telemetry
        .append(run(9), &calls(1), &Rules::builtin())
        .unwrap_err();
    assert!(
        matches!(error, AppendError::Journal(JournalError::NoRun { .. })),
        "{error}"
    );
    assert!(!project.run_dir(run(9)).exists());
}

#[test]
fn what_a_crash_left_is_cut_off_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir);
    append(&TelemetryWriter::start(&project).unwrap(), 1, &calls(3));
    let file = project.stream_file(run(1), Stream::Telemetry);
    let whole = fs::read(&file).unwrap();
    let second = whole.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let third = second
        + whole[second..]
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap()
        + 1;

    // A torn line; one that has only its newline left; a hole over the last two.
    let torn = whole[..whole.len() - 5].to_vec();
    let mut garbage = whole.clone();
    garbage[third..whole.len() - 1].fill(b'x');
    let mut hole = whole.clone();
    hole[second + 3..].fill(0);
    for (content, end, next) in [(torn, third, 3), (garbage, third, 3), (hole, second, 2)] {
        fs::write(&file, &content).unwrap();
        let telemetry = TelemetryWriter::start(&project).unwrap();
        let ingested = append(&telemetry, 1, &calls(1));
        let tail = ingested.torn.unwrap();
        assert_eq!(tail.torn.byte, end as u64);
        assert_eq!(fs::read(tail.kept.unwrap()).unwrap(), content[end..]);
        assert_eq!(numbers(&project, run(1)), (1..=next).collect::<Vec<u64>>());
        assert_eq!(append(&telemetry, 1, &calls(1)).torn, None);
    }
}

#[test]
fn more_runs_than_files_may_be_open() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir);
    let telemetry = TelemetryWriter::start(&project).unwrap();
    for round in 1..=2 {
        for number in 1..150 {
            fs::create_dir_all(project.run_dir(run(number))).unwrap();
            append(&telemetry, number, &calls(1));
            if number % 60 == 0 {
                telemetry.flush().unwrap();
            }
        }
        telemetry.flush().unwrap();
        for number in 1..150 {
            assert_eq!(numbers(&project, run(number)).len(), round);
        }
    }
    // With the next batch, whatever is synced and too much is closed.
    append(&telemetry, 1, &calls(1));
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let open = open.filter(|fd| {
        let target = fs::read_link(fd.as_ref().unwrap().path()).unwrap_or_default();
        target.starts_with(dir.path().canonicalize().unwrap())
    });
    assert!(open.count() <= 65);
}
