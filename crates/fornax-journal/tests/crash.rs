//! What a crash or a power loss leaves, at every place where it can fall.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs::{self, OpenOptions};

use common::{finished, records, run, writer_of};
use fornax_core::event::{Event, FrameCompleted};
use fornax_core::record::{LINE_MAX_BYTES, Record};
use fornax_journal::{Exclusion, Project, Stream};
use proptest::prelude::*;

/// Cuts the journal of run 1 at `length` and checks everything that must hold then.
fn check_cut(project: &Project, content: &[u8], length: usize, written: &[Record]) {
    let file = project.stream_file(run(1), Stream::Events);
    fs::write(&file, &content[..length]).unwrap();
    fs::write(project.run_dir(run(1)).join("open"), "").unwrap();
    common::lose_heads(project);
    // The records of whole lines, but for those of a step that goes on.
    let mut ends = vec![0];
    ends.extend((1..=length).filter(|&end| content[end - 1] == b'\n'));
    while ends.len() > 1 && written[ends.len() - 2].more {
        ends.pop();
    }
    let (whole, end) = (ends.len() - 1, ends[ends.len() - 1]);

    // A reader sees the whole records and says where the torn one is.
    let mut reader = project.read_run(run(1)).unwrap();
    let read: Vec<Record> = reader.by_ref().map(Result::unwrap).collect();
    assert_eq!(read, written[..whole], "cut at {length}");
    assert_eq!(reader.position(), end as u64);
    assert_eq!(
        reader.torn().map(|torn| torn.bytes),
        (end < length).then_some((length - end) as u64)
    );

    // The writer cuts it off, keeps it, and goes on behind the last whole record.
    let (mut writer, recovery) = writer_of(project).unwrap();
    assert_eq!(recovery.torn.len(), usize::from(end < length));
    if let Some(tail) = recovery.torn.first() {
        let kept = fs::read(tail.kept.as_ref().unwrap()).unwrap();
        assert_eq!(kept, content[end..length]);
    }
    if whole < written.len() {
        let open = recovery.open.first();
        let records = open.map_or([].as_slice(), |open| &open.records);
        assert_eq!(records, &written[..whole]);
        assert_eq!(project.runs().unwrap().len(), usize::from(whole > 0));
        writer.append(&written[whole..]).unwrap();
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

/// A project with one run of these batches; its records and its journal's bytes.
fn write(dir: &std::path::Path, batches: &[usize]) -> (Project, Vec<Record>, Vec<u8>) {
    let project = Project::open(dir).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let mut written = Vec::new();
    for &length in batches {
        let next = written.len() as u64 + 1;
        let mut batch = records(run(1), next..next + length as u64);
        if let Some(last) = batch
            .last_mut()
            .filter(|_| next > 3 && next.is_multiple_of(2))
        {
            last.event = Event::FrameCompleted(FrameCompleted {
                results: "r".repeat(LINE_MAX_BYTES),
                ..FrameCompleted::default()
            });
        }
        // Steps of one to three records; the last of a batch ends its step.
        for (record, place) in batch.iter_mut().zip(0..) {
            record.more = place % 3 != 2 && place + 1 < length;
        }
        writer.append(&batch).unwrap();
        written.extend(batch);
    }
    drop(writer);
    let content = fs::read(project.stream_file(run(1), Stream::Events)).unwrap();
    (project, written, content)
}

#[test]
fn a_cut_at_every_byte_leaves_whole_records() {
    let dir = common::fast_dir();
    let (project, written, content) = write(dir.path(), &[1, 2, 1]);
    for length in 0..=content.len() {
        check_cut(&project, &content, length, &written);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_batches_cut_anywhere_leave_whole_records(
        batches in proptest::collection::vec(1usize..12, 1..6),
        place in 0.0f64..=1.0,
    ) {
        let dir = common::fast_dir();
        let (project, written, content) = write(dir.path(), &batches);
        let length = (content.len() as f64 * place) as usize;
        check_cut(&project, &content, length, &written);
    }
}

#[test]
fn a_hole_at_the_end_is_cut_off() {
    let dir = common::fast_dir();
    let (project, written, content) = write(dir.path(), &[2, 4]);
    let file = project.stream_file(run(1), Stream::Events);
    let third = content
        .iter()
        .enumerate()
        .filter(|&(_, &byte)| byte == b'\n')
        .nth(1)
        .map(|(at, _)| at + 1)
        .unwrap();
    // The file got its length, and of the content all but some pages.
    let mut holed = content.clone();
    holed[third + 10..content.len() - 5].fill(0);
    fs::write(&file, &holed).unwrap();
    common::lose_heads(&project);
    let (mut writer, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.open[0].records, written[..2]);
    assert_eq!(recovery.torn[0].torn.byte, third as u64);
    assert_eq!(recovery.torn[0].torn.line, 3);
    writer.append(&written[2..]).unwrap();
    drop(writer);

    // Within a step, what came of the step before it goes as well.
    let mut holed = content.clone();
    let fourth = third
        + 1
        + content[third..]
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap();
    assert!(written[2].more);
    holed[fourth + 10..].fill(0);
    fs::write(&file, &holed).unwrap();
    common::lose_heads(&project);
    let (writer, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.open[0].records, written[..2]);
    assert_eq!(fs::read(&file).unwrap(), content[..third]);
    drop(writer);

    // With whole records behind it, it is not what a power loss leaves.
    let mut holed = content.clone();
    holed[third + 10..third + 20].fill(0);
    fs::write(&file, &holed).unwrap();
    let place = format!("line 3 (byte {third})");
    assert!(damage_of(&project).contains(&place));
    assert_eq!(fs::read(&file).unwrap(), holed);
}

/// What is wrong with the journal of run 1, which must not keep the project from opening.
fn damage_of(project: &Project) -> String {
    let (_, recovery) = writer_of(project).unwrap();
    assert!(recovery.open.is_empty());
    let [(excluded, Exclusion::Damaged(what))] = recovery.excluded.as_slice() else {
        panic!("{:?}", recovery.excluded);
    };
    assert_eq!(*excluded, run(1));
    let help = recovery.excluded[0].1.error(run(1)).help.unwrap();
    assert!(help.contains("fornax doctor"), "{help}");
    what.clone()
}

#[test]
fn damage_elsewhere_refuses_and_says_where() {
    let dir = common::fast_dir();
    let (project, _, content) = write(dir.path(), &[6]);
    let file = project.stream_file(run(1), Stream::Events);
    let lines: Vec<&[u8]> = content.split_inclusive(|&byte| byte == b'\n').collect();
    let (garbage, other) = (b"garbage\n".as_slice(), b"{\"v\":2,\"seq\":3}\n".as_slice());
    for (third, what) in [
        (garbage, "not a record"),
        (b"".as_slice(), "record 4 stands where 3 should"),
        (b"\n".as_slice(), "not a record"),
        (other, "not a record"),
        (lines[1], "record 2 stands where 3 should"),
    ] {
        let damaged = [&[lines[0], lines[1], third], &lines[3..]]
            .concat()
            .concat();
        fs::write(&file, &damaged).unwrap();
        let error = damage_of(&project);
        assert!(error.contains(what), "{error}");
        let place = format!("line 3 (byte {})", lines[0].len() + lines[1].len());
        assert!(error.contains(&place), "{error}");
        assert_eq!(
            fs::read(&file).unwrap(),
            damaged,
            "nothing is written to a damaged journal"
        );
    }
}

#[test]
fn a_journal_that_somebody_else_wrote_to_is_left_alone() {
    let dir = common::fast_dir();
    let (project, written, _) = write(dir.path(), &[3]);
    let (mut writer, _) = writer_of(&project).unwrap();
    let file = project.stream_file(run(1), Stream::Events);
    let mut other = OpenOptions::new().append(true).open(&file).unwrap();
    std::io::Write::write_all(&mut other, b"{}\n").unwrap();
    let before = fs::read(&file).unwrap();
    let error = writer.append(&records(run(1), 4..5)).unwrap_err();
    assert!(error.to_string().contains("bytes, "), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(written.len(), 3);
}

#[test]
fn a_finished_run_with_a_torn_end_is_finished() {
    let dir = common::fast_dir();
    let (project, _, _) = write(dir.path(), &[3]);
    {
        let (mut writer, _) = writer_of(&project).unwrap();
        writer.append(&[finished(run(1), 4)]).unwrap();
    }
    let file = project.stream_file(run(1), Stream::Events);
    let mut content = fs::read(&file).unwrap();
    content.extend(b"{\"v\":1,\"seq\":5");
    fs::write(&file, content).unwrap();
    fs::write(project.run_dir(run(1)).join("open"), "").unwrap();
    let (_writer, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.torn.len(), 1);
    assert!(recovery.open.is_empty());
    assert!(!project.is_open(run(1)));
}
