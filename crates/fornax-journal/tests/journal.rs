//! Writing and reading journals on a real disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;

use common::{finished, records, run, started, summary, writer_of};
use fornax_core::event::{Event, FrameCompleted, Unknown};
use fornax_core::record::{LINE_MAX_BYTES, Record};
use fornax_journal::{AppendError, Project, Stream};

#[test]
fn what_is_appended_is_read_back_by_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, recovery) = writer_of(&project).unwrap();
    assert!(recovery.open.is_empty());
    // Records of two runs, mixed: each run's keep their order.
    let (one, two) = (records(run(1), 1..4), records(run(2), 1..3));
    let mixed = [&one[0], &two[0], &one[1], &one[2], &two[1]].map(Record::clone);
    writer.append(&mixed).unwrap();
    writer.append(&records(run(1), 4..6)).unwrap();

    let found = Project::find(&dir.path().join(".fornax")).unwrap();
    assert_eq!(found.runs().unwrap(), [run(2), run(1)]);
    let read: Vec<Record> = found
        .read_run(run(1))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read, records(run(1), 1..6));
    let length = fs::metadata(found.stream_file(run(1), Stream::Events))
        .unwrap()
        .len();
    assert_eq!(writer.head(run(1)).unwrap().bytes, length);
    assert_eq!(writer.head(run(1)).unwrap().seq, 5);
}

#[test]
fn open_runs_are_handed_out_and_finished_ones_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    {
        let (mut writer, _) = writer_of(&project).unwrap();
        writer.append(&records(run(1), 1..4)).unwrap();
        writer.append(&records(run(2), 1..4)).unwrap();
        writer.append(&[finished(run(1), 4)]).unwrap();
        assert_eq!(writer.head(run(1)), None);
        assert!(!project.is_open(run(1)));
        assert!(project.is_open(run(2)));
    }
    {
        let (mut writer, recovery) = writer_of(&project).unwrap();
        assert_eq!(recovery.open.len(), 1);
        assert_eq!(recovery.open[0].run, run(2));
        assert_eq!(recovery.open[0].records, records(run(2), 1..4));
        assert_eq!((recovery.runs_seen, recovery.runs_read), (2, 1));
        // A finished run is taken up again by its next number only.
        let wrong = writer.append(&records(run(1), 4..5)).unwrap_err();
        assert!(
            matches!(
                wrong,
                AppendError::OutOfOrder {
                    expected: 5,
                    found: 4,
                    ..
                }
            ),
            "{wrong}"
        );
        assert!(!project.is_open(run(1)));
        writer.append(&[common::reset(run(1), 5)]).unwrap();
        assert!(project.is_open(run(1)));
    }
    let (mut writer, recovery) = writer_of(&project).unwrap();
    let open: Vec<_> = recovery.open.iter().map(|open| open.run).collect();
    assert_eq!(open, [run(1), run(2)]);
    // A late word about a finished run leaves it finished.
    writer.append(&[finished(run(2), 4)]).unwrap();
    writer.append(&records(run(2), 5..6)).unwrap();
    assert!(!project.is_open(run(2)));
}

#[test]
fn a_stale_marker_goes_at_the_next_opening() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    {
        let (mut writer, _) = writer_of(&project).unwrap();
        writer
            .append(&[started(run(1)), finished(run(1), 2)])
            .unwrap();
        // A crash between the last record and the marker, and one before the first record.
        fs::write(project.run_dir(run(1)).join("open"), "").unwrap();
        let claimed = writer.next_run_id(run(1).date).unwrap();
        fs::write(project.run_dir(claimed).join("open"), "").unwrap();
    }
    let (_writer, recovery) = writer_of(&project).unwrap();
    assert!(recovery.open.is_empty());
    assert_eq!(recovery.runs_read, 2);
    drop(_writer);
    assert_eq!(writer_of(&project).unwrap().1.runs_read, 0);
}

#[test]
fn a_number_that_does_not_follow_reaches_no_disk() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    for bad in [
        records(run(1), 2..3),
        [records(run(1), 1..3), records(run(1), 2..3)].concat(),
    ] {
        // The run that is right is not written either.
        let batch = [records(run(2), 1..2), bad].concat();
        let error = writer.append(&batch).unwrap_err();
        assert!(matches!(error, AppendError::OutOfOrder { .. }), "{error}");
        assert!(project.runs().unwrap().is_empty());
    }
    writer.append(&records(run(2), 1..2)).unwrap();
    assert_eq!(project.runs().unwrap(), [run(2)]);
}

#[test]
fn long_records_have_their_fields_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let mut written = records(run(1), 1..4);
    for (record, length) in written
        .iter_mut()
        .zip([LINE_MAX_BYTES / 2, LINE_MAX_BYTES, 1 << 20])
    {
        record.event = Event::FrameCompleted(FrameCompleted {
            results: "r".repeat(length),
            ..FrameCompleted::default()
        });
    }
    writer.append(&written).unwrap();
    let read: Vec<Record> = project
        .read_run(run(1))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read, written);
    let payloads = project.run_dir(run(1)).join("payloads");
    assert!(!payloads.join("00000001.json").exists());
    assert!(payloads.join("00000002.json").exists());
    let chunk = project
        .read_lines(run(1), Stream::Events, 0, None, 1 << 20)
        .unwrap();
    for line in chunk.lines.split(|&byte| byte == b'\n') {
        assert!(line.len() <= LINE_MAX_BYTES);
    }
    let fields = project
        .read_payload(run(1), "payloads/00000003.json")
        .unwrap();
    assert!(fields.len() > 1 << 20);

    // What cannot be shortened is refused.
    let mut giant = records(run(1), 4..5);
    giant[0].summary = "s".repeat(LINE_MAX_BYTES);
    let error = writer.append(&giant).unwrap_err();
    assert!(matches!(error, AppendError::TooLong { .. }), "{error}");
    writer.append(&records(run(1), 4..5)).unwrap();

    fs::remove_file(payloads.join("00000002.json")).unwrap();
    drop(writer);
    let (_, recovery) = writer_of(&project).unwrap();
    let (_, why) = &recovery.excluded[0];
    assert!(why.to_string().contains("line 2"), "{why}");
}

#[test]
fn lines_are_followed_from_where_one_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let read = |from, until| project.read_lines(run(1), Stream::Events, from, until, 0);
    assert_eq!(read(0, None).unwrap().lines, b"");
    writer.append(&records(run(1), 1..3)).unwrap();
    let first = read(0, None).unwrap();
    assert_eq!(first.lines.iter().filter(|&&byte| byte == b'\n').count(), 2);
    assert_eq!(first.next, writer.head(run(1)).unwrap().bytes);
    assert_eq!(read(first.next, None).unwrap().lines, b"");

    writer.append(&records(run(1), 3..4)).unwrap();
    // Not beyond what is durable, and never half a line.
    assert_eq!(read(first.next, Some(first.next)).unwrap().lines, b"");
    assert_eq!(read(first.next, Some(first.next + 9)).unwrap().lines, b"");
    let second = read(first.next, None).unwrap();
    assert!(second.lines.starts_with(b"{\"v\":1,\"seq\":3,"));
    assert!(read(first.next + 1, None).is_err());
    assert!(read(second.next + 1, None).is_err());
}

#[test]
fn summaries_with_any_text_stay_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let text = "a\nb\r\u{2028}\u{0}\u{7f}\u{1b}[31m\"\\ \u{1F980}";
    writer.append(&[summary(run(1), 1, text)]).unwrap();
    let mut reader = project.read_run(run(1)).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().summary, text);
    assert!(reader.next().is_none());
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    writer.append(&records(run(1), 1..3)).unwrap();
    let newer = Event::Unknown(Unknown {
        kind: "task_failed".to_owned(),
    });
    let batch = [
        records(run(1), 3..4),
        vec![common::record(run(1), 4, newer)],
    ]
    .concat();
    let error = writer.append(&batch).unwrap_err();
    assert!(
        matches!(error, AppendError::Unreadable { seq: 4, .. }),
        "{error}"
    );
    writer.append(&records(run(1), 3..4)).unwrap();
    assert_eq!(project.read_run(run(1)).unwrap().flatten().count(), 3);
}

#[test]
fn more_runs_are_open_than_files() {
    let dir = common::fast_dir();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    for seq in 1..3 {
        for number in 1..=200 {
            writer.append(&records(run(number), seq..seq + 1)).unwrap();
        }
    }
    // One batch may be about more runs than files stay open.
    let batch: Vec<Record> = (1..=200)
        .flat_map(|number| records(run(number), 3..4))
        .collect();
    writer.append(&batch).unwrap();
    let root = dir.path().canonicalize().unwrap();
    let open = fs::read_dir("/proc/self/fd").unwrap().filter(|fd| {
        let target = fs::read_link(fd.as_ref().unwrap().path()).unwrap_or_default();
        target.starts_with(&root)
    });
    // Beside them the lock and the heads.
    assert!(open.count() <= 130);
    drop(writer);
    let (_, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.open.len(), 200);
    for open in recovery.open {
        assert_eq!(open.records, records(open.run, 1..4));
    }
}
