//! A disk that is really full: a small tmpfs in a mount namespace of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "to say that something was not tested")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{DAY, finished, records, run, writer_of};
use fornax_core::event::{Event, FrameCompleted};
use fornax_core::record::{LINE_MAX_BYTES, Record};
use fornax_journal::{Derived, Project, Stream, TelemetryWriter};
use fornax_redact::Rules;

const SMALL_DISK: &str = "FORNAX_TEST_SMALL_DISK";

/// Runs a test of this file again, with a small disk of its own.
fn on_a_small_disk(test: &str) -> Option<PathBuf> {
    if let Some(disk) = std::env::var_os(SMALL_DISK) {
        return Some(disk.into());
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m,mode=700 tmpfs \"$0\" || exit 77; exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(SMALL_DISK, dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() {
        assert!(told.contains("1 passed"), "{told}");
        return None;
    }
    // 77 is ours; 1 without a run of tests is unshare's.
    let refused = output.status.code() == Some(77) || !told.contains("running 1 test");
    assert!(refused && std::env::var_os("CI").is_none(), "{told}");
    eprintln!("NOT TESTED: a tmpfs could not be mounted here: {told}");
    None
}

/// Takes all the room but `left` bytes, in whole pages.
fn fill(disk: &Path, left: u64) -> PathBuf {
    let stat = rustix::fs::statvfs(disk).unwrap();
    let take = stat.f_bavail * stat.f_frsize - left;
    let filler = disk.join("filler");
    fs::write(&filler, vec![1; take as usize]).unwrap();
    filler
}

fn read(project: &Project, number: u32) -> Vec<Record> {
    let reader = project.read_run(run(number)).unwrap();
    reader.map(Result::unwrap).collect()
}

#[test]
fn a_batch_is_refused_whole_and_taken_when_there_is_room() {
    let Some(disk) = on_a_small_disk("a_batch_is_refused_whole_and_taken_when_there_is_room")
    else {
        return;
    };
    let project = Project::open(&disk).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    writer.append(&records(run(1), 1..4)).unwrap();
    writer.append(&records(run(2), 1..4)).unwrap();
    writer.append(&[finished(run(2), 4)]).unwrap();
    let filler = fill(&disk, 40 * 1024);

    // Room for one of the runs, not for the other; for a part of a line; for a new run's files.
    let long = |number, seqs: std::ops::Range<u64>| {
        let mut records = records(run(number), seqs);
        for record in &mut records {
            record.summary = "s".repeat(30 * 1024);
        }
        records
    };
    let mut payload = records(run(1), 4..5);
    payload[0].event = Event::FrameCompleted(FrameCompleted {
        results: "r".repeat(LINE_MAX_BYTES),
        ..FrameCompleted::default()
    });
    let reopened = vec![common::reset(run(2), 5)];
    let batches = [
        long(1, 4..9),
        [long(1, 4..5), long(2, 5..7)].concat(),
        [long(1, 4..5), long(3, 1..3)].concat(),
        [reopened, long(2, 6..9)].concat(),
        payload,
    ];
    for batch in &batches {
        let error = writer.append(batch).unwrap_err();
        assert!(error.is_storage_full(), "{error}");
        let told = fornax_core::error::Error::from(error);
        assert!(told.message.contains(".fornax/runs/RUN-"), "{told}");
        assert!(told.message.contains("bytes free"), "{told}");
        assert!(told.help.unwrap().contains("make room"));
        assert_eq!(read(&project, 1), records(run(1), 1..4));
        assert_eq!(read(&project, 2).len(), 4);
        assert!(!project.is_open(run(2)));
        assert_eq!(project.runs().unwrap(), [run(2), run(1)]);
        let payloads = project.run_dir(run(1)).join("payloads/00000004.json");
        assert!(!payloads.exists());
    }
    // What fits is taken all the while.
    writer.append(&long(1, 4..5)).unwrap();

    fs::remove_file(filler).unwrap();
    writer
        .append(&[long(1, 5..6), long(3, 1..3)].concat())
        .unwrap();
    assert_eq!(read(&project, 1).len(), 5);
    assert_eq!(read(&project, 3), long(3, 1..3));
    drop(writer);
    let (_, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.open.len(), 2);
    assert!(recovery.torn.is_empty());
}

#[test]
fn numbers_are_not_given_without_room_and_nothing_is_lost() {
    let Some(disk) = on_a_small_disk("numbers_are_not_given_without_room_and_nothing_is_lost")
    else {
        return;
    };
    let project = Project::open(&disk).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    let first = writer.next_run_id(DAY).unwrap();
    let ids = writer.reserve_frames(1).unwrap();
    let filler = fill(&disk, 0);
    writer.next_run_id(DAY).unwrap_err();
    writer.reserve_frames(10_000).unwrap_err();
    // The block that was taken before is still there.
    let more = writer.reserve_frames(10).unwrap();
    assert!(!more.contains(&ids[0]));
    fs::remove_file(filler).unwrap();
    assert!(writer.next_run_id(DAY).unwrap() > first);
    assert_eq!(writer.reserve_frames(10_000).unwrap().len(), 10_000);
}

#[test]
fn a_project_opens_on_a_full_disk_and_its_torn_end_goes() {
    let Some(disk) = on_a_small_disk("a_project_opens_on_a_full_disk_and_its_torn_end_goes") else {
        return;
    };
    let project = Project::open(&disk).unwrap();
    {
        let (mut writer, _) = writer_of(&project).unwrap();
        for number in 1..4 {
            assert_eq!(writer.next_run_id(DAY).unwrap(), run(number));
        }
        writer.append(&records(run(1), 1..4)).unwrap();
    }
    let file = project.stream_file(run(1), Stream::Events);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole[..], &vec![b'x'; 50_000]].concat()).unwrap();
    fill(&disk, 0);
    let (_writer, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.torn.len(), 1);
    assert_eq!(recovery.torn[0].kept, None);
    assert_eq!(recovery.open[0].records.len(), 3);
    assert_eq!(fs::read(&file).unwrap(), whole);
}

#[test]
fn telemetry_is_refused_whole_and_goes_on_when_there_is_room() {
    let Some(disk) = on_a_small_disk("telemetry_is_refused_whole_and_goes_on_when_there_is_room")
    else {
        return;
    };
    let project = Project::open(&disk).unwrap();
    fs::create_dir(project.run_dir(run(1))).unwrap();
    let telemetry = TelemetryWriter::start(&project).unwrap();
    let rules = Rules::builtin();
    let event = b"{\"event\":\"llm_call\"}\n";
    telemetry.append(run(1), event, &rules).unwrap();
    let file = project.stream_file(run(1), Stream::Telemetry);
    let before = fs::read(&file).unwrap();
    let filler = fill(&disk, 20 * 1024);
    let error = telemetry
        .append(run(1), &event.repeat(1000), &rules)
        .unwrap_err();
    assert!(error.is_storage_full(), "{error}");
    assert_eq!(fs::read(&file).unwrap(), before);
    telemetry.append(run(1), event, &rules).unwrap();
    fs::remove_file(filler).unwrap();
    telemetry
        .append(run(1), &event.repeat(1000), &rules)
        .unwrap();
    assert_eq!(telemetry.head(run(1)).unwrap().seq, 1002);
}

#[test]
fn derived_files_wait_for_room() {
    let Some(disk) = on_a_small_disk("derived_files_wait_for_room") else {
        return;
    };
    let project = Project::open(&disk).unwrap();
    let derived = Derived::start(&project).unwrap();
    let frame = common::frame();
    let file = project.frame_dir(frame).join("metadata.json");
    derived.frame(frame, "{\"old\":1}".to_owned());
    derived.flush();
    let filler = fill(&disk, 0);
    derived.frame(frame, "{\"new\":1}".to_owned());
    derived.grow(run(1), vec![(None, frame)]);
    derived.flush();
    assert!(derived.problem().unwrap().contains("No space left"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"old\":1}");
    fs::remove_file(filler).unwrap();
    derived.flush();
    assert_eq!(derived.problem(), None);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"new\":1}");
}
