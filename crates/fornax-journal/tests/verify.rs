//! Each kind of damage, and what is told of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::Path;

use common::{completed, created, finished, frame, run, started, task, writer_of};
use fornax_core::event::{Attempt, Event, FrameCompleted};
use fornax_core::record::LINE_MAX_BYTES;
use fornax_journal::{DamageKind, FindingKind, JournalError, Project, Severity, TelemetryWriter};
use fornax_redact::Rules;

/// A project with one finished run that has a bit of everything; run 2 is open.
fn project(dir: &Path) -> Project {
    let project = Project::open(dir).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    writer.next_run_id(common::DAY).unwrap();
    writer.reserve_frames(1).unwrap();
    let one = run(1);
    let long = Event::FrameCompleted(FrameCompleted {
        results: "r".repeat(LINE_MAX_BYTES),
        ..FrameCompleted::default()
    });
    let records = [
        started(one),
        created(one, 2, frame()),
        common::record(one, 3, Event::TaskStarted(Attempt { attempt: 1 })),
        completed(one, 4),
        common::record(one, 5, long),
        finished(one, 6),
    ];
    writer.append(&records).unwrap();
    writer.append(&[started(run(2))]).unwrap();
    let task_dir = project.task_dir(one, task());
    fs::create_dir_all(&task_dir).unwrap();
    let exit = format!(
        r#"{{"v":1,"task_id":"{}","attempt":1,"code":0,"cause":"exited"}}"#,
        task()
    );
    fs::write(task_dir.join("exit.json"), exit).unwrap();
    fs::write(task_dir.join("stdout.log"), "").unwrap();
    fs::write(task_dir.join("stderr.log"), "").unwrap();
    let telemetry = TelemetryWriter::start(&project).unwrap();
    let calls = "{\"event\":\"llm_call\"}\n".repeat(4);
    telemetry
        .append(one, calls.as_bytes(), &Rules::builtin())
        .unwrap();
    drop(telemetry);
    project
}

fn edit(path: &Path, edit: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(path).unwrap();
    let edited = edit(text.clone());
    assert_ne!(edited, text);
    fs::write(path, edited).unwrap();
}

/// Replaces the `number`-th line, counted from 1.
fn edit_line(path: &Path, number: usize, change: impl Fn(&str) -> String) {
    edit(path, |text| {
        let lines = text.split_inclusive('\n').zip(1..);
        let change = |(line, n)| {
            if n == number {
                change(line)
            } else {
                str::to_owned(line)
            }
        };
        lines.map(change).collect()
    });
}

type Damage = fn(events: &Path, telemetry: &Path, task: &Path);

/// The kind, the severity, the file's name, the line.
type Told<'a> = (FindingKind, Severity, &'a str, Option<u64>);

/// What is done, and what is told of it.
const TABLE: &[(Damage, &[Told<'static>])] = {
    use DamageKind as D;
    use FindingKind as F;
    use Severity::{Damage, Info, Warning};
    const LINE_3: Option<u64> = Some(3);
    &[
        (|_, _, _| (), &[]),
        (
            |events, _, _| edit_line(events, 3, |_| "garbage\n".to_owned()),
            &[(F::Line(D::NotARecord), Damage, "events.jsonl", LINE_3)],
        ),
        (
            |events, _, _| edit_line(events, 3, |line| line.replace("seq\":3", "seq\":\0\0")),
            &[(F::Line(D::Hole), Damage, "events.jsonl", LINE_3)],
        ),
        (
            |events, _, _| {
                edit_line(events, 3, |line| {
                    line.replace(
                        "summary\":\"",
                        &format!("summary\":\"{}", "x".repeat(LINE_MAX_BYTES)),
                    )
                })
            },
            &[(F::Line(D::TooLong), Damage, "events.jsonl", LINE_3)],
        ),
        (
            |events, _, _| edit_line(events, 3, |line| line.replace("{\"v\":1", "{\"v\":2")),
            &[(F::Line(D::NewerVersion), Damage, "events.jsonl", LINE_3)],
        ),
        (
            |events, _, _| edit_line(events, 3, |_| String::new()),
            &[(F::Line(D::Gap), Damage, "events.jsonl", LINE_3)],
        ),
        (
            |events, _, _| {
                edit_line(events, 3, |line| {
                    line.replace("RUN-20261121-001", "RUN-20261121-007")
                })
            },
            &[(F::Line(D::WrongRun), Damage, "events.jsonl", LINE_3)],
        ),
        (
            |events, _, _| {
                fs::remove_file(events.with_file_name("payloads").join("00000005.json")).unwrap()
            },
            &[(F::Line(D::Payload), Damage, "events.jsonl", Some(5))],
        ),
        (
            |events, _, _| {
                edit_line(events, 5, |line| {
                    line.replace("payloads/00000005.json", "../../../../etc/passwd")
                })
            },
            &[(F::Line(D::Payload), Damage, "events.jsonl", Some(5))],
        ),
        (
            |events, _, _| edit(events, |text| text + "{\"v\":1,\"se"),
            &[(F::Torn, Warning, "events.jsonl", Some(7))],
        ),
        (
            |events, _, _| {
                edit_line(events, 3, |line| {
                    line.replace("task_started", "task_teleported")
                })
            },
            &[(F::UnknownEvent, Info, "events.jsonl", LINE_3)],
        ),
        (
            |events, _, _| edit_line(events, 6, |_| String::new()),
            &[(F::NotMarkedOpen, Damage, "events.jsonl", None)],
        ),
        (
            |_, _, task| {
                edit(&task.join("exit.json"), |text| {
                    text.replace("\"code\":0", "\"code\":1")
                })
            },
            &[(F::ExitDiffers, Damage, "events.jsonl", Some(4))],
        ),
        (
            |_, _, task| {
                edit(&task.join("exit.json"), |text| {
                    text.replace("\"code\":0", "\"signal\":9")
                })
            },
            &[(F::ExitDiffers, Damage, "events.jsonl", Some(4))],
        ),
        (
            |_, _, task| edit(&task.join("exit.json"), |text| text.replace("-1\"", "-2\"")),
            &[(F::ExitDiffers, Damage, "events.jsonl", Some(4))],
        ),
        (
            |_, _, task| edit(&task.join("exit.json"), |text| text.replace('}', "")),
            &[(F::NoExit, Warning, "exit.json", None)],
        ),
        (
            |_, _, task| fs::remove_dir_all(task).unwrap(),
            &[(F::NoExit, Warning, "exit.json", None)],
        ),
        (
            |_, _, task| fs::remove_file(task.join("stderr.log")).unwrap(),
            &[(F::NoLog, Warning, "stderr.log", None)],
        ),
        (
            |_, telemetry, _| edit_line(telemetry, 3, |_| "[]\n".to_owned()),
            &[(F::Line(D::NotARecord), Warning, "telemetry.jsonl", LINE_3)],
        ),
        (
            |_, telemetry, _| edit_line(telemetry, 3, |_| String::new()),
            &[(F::Line(D::Gap), Warning, "telemetry.jsonl", LINE_3)],
        ),
        (
            |_, telemetry, _| edit_line(telemetry, 3, |line| line.replace("1-001", "1-002")),
            &[(F::Line(D::WrongRun), Warning, "telemetry.jsonl", LINE_3)],
        ),
        (
            |_, telemetry, _| edit(telemetry, |text| text.replace("llm_call", "llm_dream")),
            &[(F::UnknownEvent, Info, "telemetry.jsonl", Some(1))],
        ),
        (
            |_, telemetry, _| edit(telemetry, |text| text + "{"),
            &[(F::Torn, Warning, "telemetry.jsonl", Some(5))],
        ),
        (|_, telemetry, _| fs::remove_file(telemetry).unwrap(), &[]),
        (
            |events, _, _| {
                let data = events.ancestors().nth(3).unwrap();
                fs::write(data.join("project.json"), "{}").unwrap();
            },
            &[(F::ProjectFile, Damage, "project.json", None)],
        ),
    ]
};

#[test]
fn each_damage_has_its_finding() {
    for (number, (damage, expected)) in TABLE.iter().enumerate() {
        let dir = common::fast_dir();
        let project = project(dir.path());
        let folder = project.run_dir(run(1));
        let events = folder.join("events.jsonl");
        damage(
            &events,
            &folder.join("telemetry.jsonl"),
            &project.task_dir(run(1), task()),
        );
        let findings = project.verify(None).unwrap();
        let told: Vec<Told<'_>> = findings
            .iter()
            .map(|f| {
                (
                    f.kind,
                    f.severity,
                    f.file.file_name().unwrap().to_str().unwrap(),
                    f.line,
                )
            })
            .collect();
        assert_eq!(told, *expected, "damage {number}: {findings:#?}");
        for finding in &findings {
            assert!(finding.file.starts_with(project.data_dir()));
            assert!(!finding.what.is_empty() && !finding.help.is_empty());
            if let (Some(line), Some(byte)) = (finding.line, finding.byte) {
                let content = fs::read(&finding.file).unwrap();
                let before = &content[..byte as usize];
                assert!(byte == 0 || before.ends_with(b"\n"));
                let newlines = before.iter().filter(|&&byte| byte == b'\n').count();
                assert_eq!(newlines as u64 + 1, line);
            }
        }
        if findings.iter().all(|finding| finding.run.is_some()) {
            assert_eq!(project.verify(Some(run(1))).unwrap(), findings);
        }
        assert_eq!(project.verify(Some(run(2))).unwrap(), []);
    }
}

#[test]
fn findings_are_bounded_and_told_in_plain_words() {
    let dir = common::fast_dir();
    let project = project(dir.path());
    let events = project.run_dir(run(1)).join("events.jsonl");
    edit(&events, |text| text + &"x\n".repeat(10_000));
    let findings = project.verify(Some(run(1))).unwrap();
    assert_eq!(findings.len(), 201);
    assert_eq!(findings[200].kind, FindingKind::More);
    let json = serde_json::to_value(&findings[0]).unwrap();
    assert_eq!(json["kind"], "not_a_record");
    assert_eq!(json["severity"], "damage");
    assert_eq!(json["run"], "RUN-20261121-001");
    let error = project.verify(Some(run(9))).unwrap_err();
    assert!(matches!(error, JournalError::NoRun { .. }), "{error}");
}
