//! A project with ten thousand finished runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::fs;
use std::path::Path;

use common::{DAY, finished, records, run, started, writer_of};
use fornax_journal::Project;

const RUNS: u32 = 10_000;

/// Finished runs, written as a writer leaves them, without its syncs. Their journals are no
/// records: whoever reads one, fails.
fn fill(project: &Project) {
    for number in 1..=RUNS {
        let dir = project.run_dir(run(number));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("events.jsonl"), "not to be read\n").unwrap();
    }
    let head = |number| {
        let text = format!("{} 2 0 15 {} finished -", run(number), "0".repeat(32));
        format!("{text:<255}\n")
    };
    let heads: String = (1..=RUNS).map(head).collect();
    fs::write(common::heads_file(project), heads).unwrap();
}

fn make(dir: &Path) -> Project {
    let project = Project::open(dir).unwrap();
    {
        let (mut writer, _) = writer_of(&project).unwrap();
        writer.reserve_frames(1).unwrap();
    }
    fill(&project);
    let (mut writer, _) = writer_of(&project).unwrap();
    let open = writer.next_run_id(DAY).unwrap();
    assert_eq!(open, run(RUNS + 1));
    writer.append(&records(open, 1..5)).unwrap();
    let done = writer.next_run_id(DAY).unwrap();
    writer.append(&[started(done), finished(done, 2)]).unwrap();
    project
}

#[test]
fn only_open_runs_are_read() {
    let dir = common::fast_dir();
    let project = make(dir.path());
    let (mut writer, recovery) = writer_of(&project).unwrap();
    assert_eq!(recovery.runs_seen, RUNS as usize + 2);
    assert_eq!(recovery.runs_read, 1);
    assert_eq!(recovery.open[0].records, records(run(RUNS + 1), 1..5));
    // Nor for new numbers.
    assert_eq!(writer.reserve_frames(5000).unwrap().len(), 5000);
    let runs = project.runs().unwrap();
    assert_eq!(runs.len(), RUNS as usize + 2);
    assert_eq!(runs[0], run(RUNS + 2));
}
