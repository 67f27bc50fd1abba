//! The format that version 1 writes, kept in `fixtures/v1`: it stays readable for ever.
//!
//! The files were made by [`make_fixture`] and are never made again: when the format changes, a
//! fixture is added, and this one stays.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{DAY, completed, finished, frame, record, reset, run, started, task, writer_of};
use fornax_core::event::{Artifact, Attempt, Event, FrameCompleted, FrameEnded, TaskEnding};
use fornax_core::ids::{FrameId, TaskId};
use fornax_core::record::{Labels, Record};
use fornax_core::spec::{ErrorClass, Mode};
use fornax_journal::{Derived, Exclusion, FindingKind, Project, Stream, TelemetryWriter};
use fornax_redact::Rules;
use serde_json::{Value, json};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1/fornax")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn version_1_is_read_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(), &dir.path().join(".fornax"));
    let project = Project::find(dir.path()).unwrap();
    let bad = project.verify(None).unwrap();
    let told: Vec<FindingKind> = bad.iter().map(|finding| finding.kind).collect();
    assert_eq!(told, [FindingKind::Torn], "{bad:#?}");
    assert_eq!(project.runs().unwrap(), [run(2), run(1)]);

    let read: Vec<Record> = project
        .read_run(run(1))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let kinds: Vec<&str> = read.iter().map(|record| record.event.kind()).collect();
    assert_eq!(
        kinds,
        [
            "run_started",
            "frame_created",
            "frame_created",
            "frame_created",
            "frame_started",
            "task_queued",
            "task_started",
            "task_signalled",
            "task_failed",
            "task_retry_scheduled",
            "task_timeout",
            "task_cancelled",
            "task_lost",
            "frame_failed",
            "frame_blocked",
            "run_stopping",
            "run_finished",
            "state_reset",
            "task_completed",
            "frame_completed",
            "frame_completed",
            "run_finished",
        ]
    );
    check_records(&read);

    let telemetry = project
        .read_lines(run(1), Stream::Telemetry, 0, None, 0)
        .unwrap();
    let lines = String::from_utf8(telemetry.lines).unwrap();
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<&str> = events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["failure", "llm_call", "tool_output", "git_diff", "decision"]
    );
    assert_eq!(
        project.run_summary(run(1)).unwrap(),
        "{\"status\":\"completed\"}"
    );

    // What was written before journals were bound to an installation is nobody's until a person
    // accepts it; then it is carried on.
    let (mut writer, recovery) = writer_of(&project).unwrap();
    assert!(recovery.open.is_empty());
    assert_eq!(recovery.excluded, [(run(2), Exclusion::Foreign)]);
    let shown = project.read_candidate(run(2)).unwrap();
    assert_eq!(shown.records, open_records());
    let (accepted, why) = writer.accept(run(2), &shown.digest()).unwrap();
    assert_eq!(why, Exclusion::Foreign);
    assert_eq!(accepted.records, open_records());
    writer.confirm_accepted(run(2)).unwrap();
    writer.append(&[completed(run(2), 4)]).unwrap();
    assert_eq!(writer.next_run_id(DAY).unwrap(), run(3));
    // The ids of runs that were not begun here are not given again.
    let id = writer.reserve_frames(1).unwrap()[0];
    assert_ne!(id, frame());
    drop(writer);
    let (_, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.open[0].records.len(), open_records().len() + 1);
}

fn check_records(read: &[Record]) {
    let Event::RunStarted(started) = &read[0].event else {
        panic!()
    };
    assert_eq!(
        (started.name.as_str(), started.inputs["who"].as_str()),
        ("fixture", "world")
    );
    let Event::FrameCreated(created) = &read[2].event else {
        panic!()
    };
    assert_eq!(created.parent_id, Some(frame()));
    let invocation = created.spec.invocation.as_ref().unwrap();
    assert_eq!(
        (invocation.tool.as_str(), invocation.timeout_ms),
        ("shell", Some(60_000))
    );
    assert_eq!(created.spec.retry.retries, 2);
    assert!(created.spec.when.is_some());
    assert!(read[1].more && read[2].more && !read[3].more);
    let (_, ending) = read[8].event.task_end().unwrap();
    assert_eq!(
        (ending.exit_code, ending.error_class),
        (Some(3), Some(ErrorClass::ExitNonzero))
    );
    assert_eq!(ending.artifacts[0].bytes, 12);
    assert_eq!(read[8].labels.mode, Some(Mode::Batch));
    assert_eq!(read[8].cmd_id.as_ref().unwrap().to_string(), "c1");
    let Event::FrameCompleted(done) = &read[20].event else {
        panic!()
    };
    assert_eq!(done.results.len(), 70_000);
}

fn open_records() -> Vec<Record> {
    let attempt = |seq| record(run(2), seq, Event::TaskStarted(Attempt { attempt: 1 }));
    vec![started(run(2)), attempt(2), attempt(3)]
}

fn spec(key: &str) -> Value {
    json!({
        "key": key, "title": "A title", "goal": "A goal", "outputs": ["out.txt"], "phase": "build",
        "agent_role": "builder", "pool": "cpu", "priority": 3,
        "when": {"left": "{inputs.who}", "compare": "equal", "right": "world"},
        "retry": {"retries": 2, "backoff_ms": 10, "backoff_max_ms": 100, "on": ["exit_nonzero"]},
        "invocation": {
            "tool": "shell", "mode": "batch", "cmd": ["echo", "{inputs.who}"], "stdin": "in",
            "prompt": "p", "model": "m", "env": {"A": "b"}, "workdir": "sub", "timeout_ms": 60_000,
            "silence_ms": 30_000, "success_exit_codes": [0], "output": "text", "redact": true,
        },
    })
}

fn event<T: serde::de::DeserializeOwned>(event: impl FnOnce(T) -> Event, fields: Value) -> Event {
    event(serde_json::from_value(fields).unwrap())
}

fn all_events() -> Vec<Event> {
    let failed = TaskEnding {
        attempt: 1,
        exit_code: Some(3),
        duration_ms: 12,
        artifacts: vec![Artifact {
            path: "out.txt".to_owned(),
            bytes: 12,
            sha256: "00".repeat(32),
            copy: Some(format!("tasks/{}/artifacts/out.txt", task())),
        }],
        error_class: Some(ErrorClass::ExitNonzero),
        error: Some("exit code 3".to_owned()),
        ..TaskEnding::default()
    };
    let killed = TaskEnding {
        exit_code: None,
        signal: Some(9),
        ..failed.clone()
    };
    let ended = FrameEnded {
        reason: "a task failed".to_owned(),
        error_class: Some(ErrorClass::ExitNonzero),
        blocked_by: Some(frame()),
    };
    let created = |key, parent: Option<FrameId>| {
        let mut fields = spec(key);
        if let Some(parent) = parent {
            fields["parent_id"] = json!(parent);
            fields["depends_on"] = json!([parent]);
        }
        event(Event::FrameCreated, fields)
    };
    let completed_with = |results| {
        Event::FrameCompleted(FrameCompleted {
            results,
            ..FrameCompleted::default()
        })
    };
    let one = run(1);
    vec![
        event(
            Event::RunStarted,
            json!({
                "name": "fixture", "plan": "plans/fixture.yaml", "inputs": {"who": "world"},
                "on_failure": "stop", "pools": {"cpu": 2}, "frames": 3,
            }),
        ),
        created("main", None),
        created("main.one", Some(frame())),
        created("main.two", Some(frame())),
        event(Event::FrameStarted, json!({})),
        event(Event::TaskQueued, json!({"attempt": 1})),
        event(Event::TaskStarted, json!({"attempt": 1})),
        event(
            Event::TaskSignalled,
            json!({"attempt": 1, "reason": "asked to"}),
        ),
        Event::TaskFailed(failed.clone()),
        event(
            Event::TaskRetryScheduled,
            json!({"attempt": 2, "due": "2026-11-21T02:00:01.000Z"}),
        ),
        Event::TaskTimeout(TaskEnding {
            attempt: 2,
            ..killed.clone()
        }),
        Event::TaskCancelled(TaskEnding {
            attempt: 3,
            ..killed
        }),
        Event::TaskLost(TaskEnding {
            attempt: 4,
            ..TaskEnding::default()
        }),
        Event::FrameFailed(ended.clone()),
        Event::FrameBlocked(ended),
        event(
            Event::RunStopping,
            json!({"reason": "stop all", "ends_as": "cancelled"}),
        ),
        finished(one, 17).event,
        reset(one, 18).event,
        Event::TaskCompleted(TaskEnding {
            attempt: 5,
            exit_code: Some(0),
            duration_ms: 12,
            ..TaskEnding::default()
        }),
        completed_with("short".to_owned()),
        completed_with("r".repeat(70_000)),
        finished(one, 22).event,
    ]
}

fn fixture_record(seq: u64, event: Event) -> Record {
    // The own fields of a new frame say these two.
    let label = |text: &str| (event.kind() != "frame_created").then(|| text.to_owned());
    let labels = Labels {
        phase: label("build"),
        agent_role: label("builder"),
        tool: Some("shell".to_owned()),
        mode: Some(Mode::Batch),
    };
    let ending = event.task_end().map(|(_, ending)| ending.attempt);
    let mut record = record(run(1), seq, event);
    if let (Some(task), Some(attempt)) = (&mut record.task_id, ending) {
        task.attempt = attempt;
    }
    Record {
        labels,
        cmd_id: Some("c1".parse().unwrap()),
        more: seq == 2 || seq == 3,
        ..record
    }
}

/// Makes the fixture, into the folder that `FORNAX_FIXTURE` names.
#[test]
#[ignore = "writes the fixture anew, which nobody should"]
fn make_fixture() {
    let to = PathBuf::from(std::env::var_os("FORNAX_FIXTURE").unwrap());
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let identity =
        json!({"v": 1, "key": "0123456789abcdef", "created": "2026-11-21T02:00:00.000Z"});
    fs::write(
        project.data_dir().join("project.json"),
        format!("{identity}\n"),
    )
    .unwrap();

    let (mut writer, _) = writer_of(&project).unwrap();
    assert_eq!(
        [(); 2].map(|()| writer.next_run_id(DAY).unwrap()),
        [run(1), run(2)]
    );
    writer.reserve_frames(3).unwrap();
    let events: Vec<Record> = (1..)
        .zip(all_events())
        .map(|(seq, event)| fixture_record(seq, event))
        .collect();
    writer.append(&events).unwrap();
    writer.append(&open_records()).unwrap();

    let telemetry = TelemetryWriter::start(&project).unwrap();
    let batch = [
        json!({"event": "failure", "error": {"type": "E", "message": "m"}, "locals": {"x": 1}}),
        json!({"event": "llm_call", "model": "m", "tokens_in": 1, "tokens_out": 2}),
        json!({"event": "tool_output", "tool": "bash", "stdout": "x", "exit_code": 0}),
        json!({"event": "git_diff", "commit": "c", "files_changed": 1, "diff": "+x\n"}),
        json!({"event": "decision", "question": "q", "answer": "a"}),
    ];
    let batch: String = batch.iter().map(|event| format!("{event}\n")).collect();
    telemetry
        .append(run(1), batch.as_bytes(), &Rules::builtin())
        .unwrap();
    let derived = Derived::start(&project).unwrap();
    derived.frame(frame(), "{}".to_owned());
    derived.run(run(1), "{\"status\":\"completed\"}".to_owned());
    derived.grow(run(1), vec![(None, frame())]);
    drop((telemetry, derived, writer));

    let open = project.stream_file(run(2), Stream::Events);
    let torn = fs::read_to_string(&open).unwrap() + "{\"v\":1,\"seq\":4,\"t";
    fs::write(&open, torn).unwrap();
    let task = TaskId {
        attempt: 5,
        ..task()
    };
    let task_dir = project.task_dir(run(1), task);
    fs::create_dir_all(&task_dir).unwrap();
    let exit = json!({"v": 1, "task_id": task, "attempt": 5, "code": 0, "cause": "exited"});
    fs::write(task_dir.join("exit.json"), exit.to_string()).unwrap();
    fs::write(task_dir.join("stdout.log"), "hello\n").unwrap();
    fs::write(task_dir.join("stderr.log"), "").unwrap();
    copy(&project.data_dir(), &to);
    fs::remove_file(to.join(".gitignore")).unwrap();
    fs::remove_file(to.join("lock")).unwrap();
}
