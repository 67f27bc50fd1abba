//! Journals are bound to the installation that wrote them: what was planted, edited, copied or put back
//! is noticed, and a person may accept it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::Path;

use common::{DAY, finished, heads_file, installation, lose_heads, records, run, writer_of};
use fornax_core::event::{Event, FrameCompleted};
use fornax_core::record::{LINE_MAX_BYTES, Record};
use fornax_journal::{
    AcceptError, AppendError, Exclusion, Installation, Key, Project, Recovery, Stream,
};
use proptest::prelude::*;

/// A project whose run 1 is open with three records, the second of which has a payload file.
fn project(dir: &Path) -> (Project, Vec<Record>) {
    let project = Project::open(dir).unwrap();
    let mut written = records(run(1), 1..4);
    written[1].event = Event::FrameCompleted(FrameCompleted {
        results: "r".repeat(LINE_MAX_BYTES),
        ..FrameCompleted::default()
    });
    let (mut writer, _) = writer_of(&project).unwrap();
    writer.append(&written[..2]).unwrap();
    writer.append(&written[2..]).unwrap();
    (project, written)
}

fn journal(project: &Project) -> std::path::PathBuf {
    project.stream_file(run(1), Stream::Events)
}

/// Why run 1 is excluded; none where it is open.
fn exclusion(recovery: &Recovery) -> Option<Exclusion> {
    let own = recovery.open.iter().any(|open| open.run == run(1));
    let found = recovery.excluded.iter().find(|(id, _)| *id == run(1));
    assert_ne!(own, found.is_some(), "{recovery:?}");
    found.map(|(_, why)| why.clone())
}

#[test]
fn what_others_wrote_is_foreign_and_left_as_it_is() {
    let dir = common::fast_dir();
    let (project, _) = project(dir.path());
    let before = fs::read(journal(&project)).unwrap();
    let other_key = Installation::new(Key::new([8; 32]), dir.path().join("other"));
    let old_state = installation(&project);
    let fresh_state = Installation::new(Key::new([7; 32]), dir.path().join("fresh"));
    for (installation, own) in [
        (&other_key, false),
        (&fresh_state, true),
        (&old_state, true),
    ] {
        let (_writer, recovery) = project.writer(installation).unwrap();
        let expected = (!own).then_some(Exclusion::Foreign);
        assert_eq!(exclusion(&recovery), expected);
        assert_eq!(fs::read(journal(&project)).unwrap(), before);
    }
}

#[test]
fn a_foreign_run_is_not_written_to_and_keeps_no_other_from_it() {
    let dir = common::fast_dir();
    let (project, _) = project(dir.path());
    let other = Installation::new(Key::new([8; 32]), dir.path().join("other"));
    let (mut writer, _) = project.writer(&other).unwrap();
    let error = writer.append(&records(run(1), 4..5)).unwrap_err();
    assert!(matches!(error, AppendError::Excluded { .. }), "{error}");
    assert!(
        fornax_core::error::Error::from(error)
            .help
            .unwrap()
            .contains("fornax trust RUN-")
    );
    let new = writer.next_run_id(DAY).unwrap();
    assert_ne!(new, run(1));
    writer.append(&records(new, 1..3)).unwrap();
    assert!(writer.began(new) && !writer.began(run(1)));
}

/// What can be done to the files of a run whose folder somebody can write to.
type Change = (&'static str, fn(&Project));
const CHANGES: &[Change] = &[
    ("a value is changed", |project| {
        edit(project, |text| text.replacen("scheduler", "schedulex", 1))
    }),
    ("a record is added", |project| {
        edit(project, |text| {
            let line = records(run(1), 4..5)[0].to_line(None).unwrap();
            format!("{text}{line}\n")
        });
    }),
    ("a sealed record is repeated", |project| {
        edit(project, |text| {
            let last = text
                .lines()
                .last()
                .unwrap()
                .replace("\"seq\":3", "\"seq\":4");
            format!("{text}{last}\n")
        });
    }),
    ("a record is left out", |project| {
        edit(project, |text| {
            let lines: Vec<&str> = text.lines().collect();
            format!(
                "{}\n{}\n",
                lines[0],
                lines[2].replace("\"seq\":3", "\"seq\":2")
            )
        });
    }),
    ("a payload is changed", |project| {
        let file = project.run_dir(run(1)).join("payloads/00000002.json");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen("rr", "rx", 1)).unwrap();
    }),
    ("codes are taken away", |project| {
        edit(project, |text| {
            let lines = text
                .lines()
                .map(|line| format!("{}}}\n", line.split(",\"mac\"").next().unwrap()));
            lines.collect()
        });
    }),
    ("another run's journal is put there", |project| {
        let (mut writer, _) = writer_of(project).unwrap();
        writer.append(&records(run(2), 1..6)).unwrap();
        let other = fs::read_to_string(project.stream_file(run(2), Stream::Events)).unwrap();
        fs::write(journal(project), other.replace("-002\"", "-001\"")).unwrap();
    }),
];

fn edit(project: &Project, change: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(journal(project)).unwrap();
    let changed = change(&text);
    assert_ne!(changed, text);
    fs::write(journal(project), changed).unwrap();
}

#[test]
fn every_change_is_noticed_with_and_without_heads() {
    for (what, change) in CHANGES {
        for with_heads in [true, false] {
            let dir = common::fast_dir();
            let (project, _) = project(dir.path());
            change(&project);
            if !with_heads {
                lose_heads(&project);
            }
            let (_writer, recovery) = writer_of(&project).unwrap();
            assert_eq!(
                exclusion(&recovery),
                Some(Exclusion::Foreign),
                "{what}, {with_heads}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_edit_of_a_journal_is_taken_for_ours(at in 0.0_f64..1.0, cut in 0_usize..40, put in prop::collection::vec(any::<u8>(), 0..40)) {
        let dir = common::fast_dir();
        let (project, written) = project(dir.path());
        let mut bytes = fs::read(journal(&project)).unwrap();
        let at = (bytes.len() as f64 * at) as usize;
        let end = (at + cut).min(bytes.len());
        let before = bytes.clone();
        bytes.splice(at..end, put);
        fs::write(journal(&project), &bytes).unwrap();
        let (_writer, recovery) = writer_of(&project).unwrap();
        // What is open is what was written, but for an end that reads as torn.
        if let Some(open) = recovery.open.first() {
            prop_assert!(written.starts_with(&open.records));
            prop_assert!(bytes == before || open.records.len() + 2 > written.len());
        }
    }
}

#[test]
fn an_older_copy_is_asked_about_and_a_torn_end_is_not() {
    for (cut_line, keep, expected) in [
        (
            2,
            0,
            Some(Exclusion::Restored {
                written: 3,
                found: 2,
            }),
        ),
        (
            1,
            0,
            Some(Exclusion::Restored {
                written: 3,
                found: 1,
            }),
        ),
        (0, 0, None),
        (2, 10, None),
        (
            1,
            10,
            Some(Exclusion::Restored {
                written: 3,
                found: 1,
            }),
        ),
    ] {
        let dir = common::fast_dir();
        let (project, _) = project(dir.path());
        let text = fs::read_to_string(journal(&project)).unwrap();
        let end = text
            .split_inclusive('\n')
            .take(cut_line)
            .map(str::len)
            .sum::<usize>();
        if cut_line == 0 {
            // Deleted, which is no older copy.
            fs::remove_file(journal(&project)).unwrap();
            let (_writer, recovery) = writer_of(&project).unwrap();
            assert_eq!(
                (recovery.open.len(), recovery.deleted.as_slice()),
                (0, [run(1)].as_slice())
            );
            continue;
        }
        fs::write(journal(&project), &text[..end + keep]).unwrap();
        let (_writer, recovery) = writer_of(&project).unwrap();
        assert_eq!(exclusion(&recovery), expected, "{cut_line} {keep}");
    }
}

#[test]
fn lines_of_garbage_behind_an_older_copy_are_no_torn_end() {
    for garbage in ["\0\n", "x\n", "{\"v\":1"] {
        let dir = common::fast_dir();
        let (project, _) = project(dir.path());
        let text = fs::read_to_string(journal(&project)).unwrap();
        let first = text.split_inclusive('\n').next().unwrap();
        let rest = format!("\0\n{}", garbage.repeat(9));
        fs::write(journal(&project), format!("{first}{rest}")).unwrap();
        let (_writer, recovery) = writer_of(&project).unwrap();
        assert!(exclusion(&recovery).is_some(), "{garbage:?}");
    }
}

#[test]
fn a_run_is_open_though_its_marker_was_taken_away_and_once_deleted_is_reported_once() {
    let dir = common::fast_dir();
    let (project, _) = project(dir.path());
    fs::remove_file(project.run_dir(run(1)).join("open")).unwrap();
    let (writer, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.open.len(), 1);
    drop(writer);
    fs::remove_dir_all(project.run_dir(run(1))).unwrap();
    for deleted in [&[run(1)][..], &[]] {
        let (mut writer, recovery) = writer_of(&project).unwrap();
        assert_eq!(
            (recovery.open.len(), recovery.deleted.as_slice()),
            (0, deleted)
        );
        assert_ne!(
            writer.next_run_id(DAY).unwrap(),
            run(1),
            "a number is never given twice"
        );
    }
}

#[test]
fn a_closed_run_is_checked_when_it_is_acted_on() {
    let dir = common::fast_dir();
    let (project, mut written) = project(dir.path());
    let (mut writer, _) = writer_of(&project).unwrap();
    written.push(finished(run(1), 4));
    writer.append(&written[3..]).unwrap();
    assert_eq!(writer.read_run(run(1)).unwrap().unwrap(), written);
    edit(&project, |text| text.replacen("scheduler", "schedulex", 1));
    let (_, recovery) = {
        drop(writer);
        writer_of(&project).unwrap()
    };
    assert_eq!(
        (recovery.runs_read, recovery.excluded.len()),
        (0, 0),
        "not read at the start"
    );
    let (writer, _) = writer_of(&project).unwrap();
    assert_eq!(writer.read_run(run(1)).unwrap(), Err(Exclusion::Foreign));
}

#[test]
fn what_a_person_accepts_is_what_was_shown_and_is_carried_on() {
    let dir = common::fast_dir();
    let (project, written) = project(dir.path());
    let other = Installation::new(Key::new([8; 32]), dir.path().join("other"));
    let shown = project.read_candidate(run(1)).unwrap();
    assert_eq!(shown.records, written);
    let payload = project.run_dir(run(1)).join("payloads/00000002.json");
    let before = fs::read_to_string(&payload).unwrap();
    let (mut writer, _) = project.writer(&other).unwrap();
    fs::write(&payload, before.replacen("rr", "rx", 1)).unwrap();
    let error = writer.accept(run(1), &shown.digest()).unwrap_err();
    assert!(matches!(error, AcceptError::Changed(_)), "{error}");
    fs::write(&payload, &before).unwrap();
    // Until it is confirmed, a crash leaves a person to be asked again.
    writer.accept(run(1), &shown.digest()).unwrap();
    drop(writer);
    let (mut writer, recovery) = project.writer(&other).unwrap();
    assert_eq!(exclusion(&recovery), Some(Exclusion::Foreign));
    writer.accept(run(1), &shown.digest()).unwrap();
    writer.append(&records(run(1), 4..5)).unwrap();
    drop(writer);
    let (mut writer, recovery) = project.writer(&other).unwrap();
    assert_eq!(exclusion(&recovery), Some(Exclusion::Foreign));
    let shown = project.read_candidate(run(1)).unwrap();
    writer.accept(run(1), &shown.digest()).unwrap();
    writer.confirm_accepted(run(1)).unwrap();
    writer.append(&records(run(1), 5..6)).unwrap();
    drop(writer);
    let (writer, recovery) = project.writer(&other).unwrap();
    assert_eq!(recovery.open[0].records.len(), 5);
    assert_eq!(recovery.open[0].accepted_seq, 4);
    drop(writer);

    // What was accepted is bound as well as what came after it.
    for (from, to) in [
        ("run_started 1", "run_started x"),
        ("\"seq\":5", "\"seq\":6"),
    ] {
        let text = fs::read_to_string(journal(&project)).unwrap();
        edit(&project, |text| text.replacen(from, to, 1));
        let (_, recovery) = project.writer(&other).unwrap();
        assert!(exclusion(&recovery).is_some(), "{from}");
        fs::write(journal(&project), text).unwrap();
    }
    let (_, recovery) = project.writer(&other).unwrap();
    assert_eq!(exclusion(&recovery), None);
}

#[test]
fn files_that_are_replaced_under_the_writer_are_noticed_before_anything_is_acknowledged() {
    type Displacement = fn(&Project);
    let displacements: [Displacement; 5] = [
        |project| fs::remove_file(journal(project)).unwrap(),
        |project| fs::remove_dir_all(project.data_dir()).unwrap(),
        |project| {
            let copy = fs::read(journal(project)).unwrap();
            fs::remove_file(journal(project)).unwrap();
            fs::write(journal(project), copy).unwrap();
        },
        |project| fs::rename(project.data_dir(), project.root().join("moved")).unwrap(),
        |project| fs::write(journal(project), "").unwrap(),
    ];
    for displace in displacements {
        let dir = common::fast_dir();
        let (project, _) = project(dir.path());
        let (mut writer, _) = writer_of(&project).unwrap();
        writer.append(&records(run(1), 4..5)).unwrap();
        displace(&project);
        let error = writer.append(&records(run(1), 5..6)).unwrap_err();
        assert!(matches!(error, AppendError::Displaced { .. }), "{error}");
    }
}

#[test]
fn heads_that_are_damaged_cost_nothing_but_what_only_they_know() {
    let dir = common::fast_dir();
    let (project, _) = project(dir.path());
    for garbage in [&b""[..], b"garbage", &[0; 600]] {
        fs::write(heads_file(&project), garbage).unwrap();
        let (_, recovery) = writer_of(&project).unwrap();
        assert_eq!(exclusion(&recovery), None);
    }
}
