//! Opening a project with ten thousand finished runs, and appending to one.
//!
//! `cargo bench -p fornax-journal --bench open`

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;

use common::{finished, records, run, started, writer_of};
use divan::Bencher;
use fornax_core::record::Record;
use fornax_journal::{Project, Writer};

fn main() {
    divan::main();
}

#[divan::bench(args = [0, 10_000])]
fn open_with_finished_runs(bencher: Bencher<'_, '_>, runs: u32) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    let (mut writer, _) = writer_of(&project).unwrap();
    for _ in 0..runs {
        let run = writer.next_run_id(common::DAY).unwrap();
        writer.append(&[started(run), finished(run, 2)]).unwrap();
    }
    drop(writer);
    bencher.bench_local(|| writer_of(&project).unwrap().1.runs_seen);
}

#[divan::bench]
fn list_10_000_runs(bencher: Bencher<'_, '_>) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::open(dir.path()).unwrap();
    for number in 1..=10_000 {
        let dir = project.run_dir(run(number));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("events.jsonl"), "").unwrap();
    }
    bencher.bench_local(|| project.runs().unwrap().len());
}

/// A journal that goes on.
struct Journal {
    _dir: tempfile::TempDir,
    writer: Writer,
    next: u64,
}

impl Journal {
    fn new() -> Journal {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _) = writer_of(&Project::open(dir.path()).unwrap()).unwrap();
        writer.append(&records(run(1), 1..2)).unwrap();
        Journal {
            _dir: dir,
            writer,
            next: 2,
        }
    }

    fn records(&mut self, count: u64) -> Vec<Record> {
        let records = records(run(1), self.next..self.next + count);
        self.next += count;
        records
    }
}

#[divan::bench(args = [1, 10, 100, 1000])]
fn append(bencher: Bencher<'_, '_>, count: u64) {
    let mut journal = Journal::new();
    bencher
        .counter(divan::counter::ItemsCount::new(count))
        .bench_local(|| {
            let records = journal.records(count);
            journal.writer.append(&records).unwrap();
        });
}

/// The floor of the above: a write of as many bytes, and a sync.
#[divan::bench(args = [1, 10, 100, 1000])]
fn append_floor(bencher: Bencher<'_, '_>, count: u64) {
    use std::io::Write;
    let mut file = tempfile::tempfile().unwrap();
    let line = records(run(1), 2..3)[0].to_line(None).unwrap() + "\n";
    let text = line.repeat(count as usize);
    bencher
        .counter(divan::counter::ItemsCount::new(count))
        .bench_local(|| {
            file.write_all(text.as_bytes()).unwrap();
            file.sync_data().unwrap();
        });
}

#[divan::bench]
fn begin_and_finish_a_run(bencher: Bencher<'_, '_>) {
    let mut journal = Journal::new();
    bencher.bench_local(|| {
        let run = journal.writer.next_run_id(common::DAY + 1).unwrap();
        journal
            .writer
            .append(&[started(run), finished(run, 2)])
            .unwrap();
    });
}

#[divan::bench]
fn claim_a_run(bencher: Bencher<'_, '_>) {
    let mut journal = Journal::new();
    bencher.bench_local(|| journal.writer.next_run_id(common::DAY + 1).unwrap());
}

#[divan::bench(args = [1, 1000, 100_000])]
fn reserve_frames(bencher: Bencher<'_, '_>, count: u32) {
    let mut journal = Journal::new();
    bencher.bench_local(|| journal.writer.reserve_frames(count).unwrap().len());
}

/// Records a second, read and parsed.
#[divan::bench]
fn replay_100_000_records(bencher: Bencher<'_, '_>) {
    let mut journal = Journal::new();
    let records = journal.records(100_000);
    journal.writer.append(&records).unwrap();
    let project = journal.writer.project().clone();
    bencher
        .counter(divan::counter::ItemsCount::new(100_001_u64))
        .bench_local(|| project.read_run(run(1)).unwrap().flatten().count());
}
