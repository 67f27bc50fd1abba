//! Records for tests.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses some of it; a test that cannot go on fails"
)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use fornax_core::event::{
    Attempt, Event, FrameCreated, RunFinished, RunStarted, StateReset, TaskEnding,
};
use fornax_core::ids::{FrameId, RunId, TaskId};
use fornax_core::record::{Actor, Labels, Record};
use fornax_core::spec::{FrameSpec, OnFailure, Retry};
use fornax_core::status::RunStatus;
use fornax_core::time::Time;
use fornax_journal::{Installation, JournalError, Key, Project, Recovery, Writer};

/// A folder in memory where the system has that: for tests that open a project thousands of times.
pub fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The installation of the tests, whose state directory lies in the project's folder.
pub fn installation(project: &Project) -> Installation {
    Installation::new(Key::new([7; 32]), project.root().join("state"))
}

/// The project's writer, by the installation of the tests.
pub fn writer_of(project: &Project) -> Result<(Writer, Recovery), JournalError> {
    project.writer(&installation(project))
}

/// The file that holds the heads of the project's journals.
pub fn heads_file(project: &Project) -> PathBuf {
    let key = project.key().unwrap();
    installation(project).project_dir(key).join("heads")
}

/// Leaves the state directory as a power cut may: older than the journals.
pub fn lose_heads(project: &Project) {
    std::fs::remove_file(heads_file(project)).unwrap();
}

/// The day of the tests.
pub const DAY: u32 = 20_261_121;

/// The day's `number`-th run.
pub fn run(number: u32) -> RunId {
    RunId { date: DAY, number }
}

/// The frame that the records are about.
pub fn frame() -> FrameId {
    FrameId::nth(7, 1)
}

/// Its first task.
pub fn task() -> TaskId {
    TaskId {
        frame: frame(),
        attempt: 1,
    }
}

/// Any record.
pub fn record(run_id: RunId, seq: u64, event: Event) -> Record {
    let is_task = event.kind().starts_with("task_");
    let is_frame = is_task || event.kind().starts_with("frame_");
    Record {
        seq,
        ts: Time(1_795_226_400_000 + seq as i64),
        run_id,
        frame_id: is_frame.then(frame),
        task_id: is_task.then(task),
        labels: Labels::default(),
        summary: format!("{} {seq}", event.kind()),
        more: false,
        event,
        actor: Actor::SCHEDULER,
        cmd_id: None,
    }
}

/// The first record of a run.
pub fn started(run_id: RunId) -> Record {
    let event = RunStarted {
        limits: fornax_core::frame::FrameLimits::default(),
        name: "test".to_owned(),
        plan: None,
        inputs: BTreeMap::new(),
        on_failure: OnFailure::Continue,
        pools: BTreeMap::new(),
        frames: 1,
    };
    record(run_id, 1, Event::RunStarted(event))
}

/// A record with any summary.
pub fn summary(run_id: RunId, seq: u64, text: &str) -> Record {
    Record {
        summary: text.to_owned(),
        more: false,
        ..record(run_id, seq, Event::TaskStarted(Attempt { attempt: 1 }))
    }
}

/// A frame comes to be.
pub fn created(run_id: RunId, seq: u64, id: FrameId) -> Record {
    let spec = FrameSpec {
        success_criteria: None,
        key: "main".to_owned(),
        parent: None,
        depends_on: Vec::new(),
        result_from: None,
        title: "Main".to_owned(),
        goal: String::new(),
        invocation: None,
        fallbacks: Vec::new(),
        fallback_on: Vec::new(),
        outputs: Vec::new(),
        phase: None,
        agent_role: None,
        pool: None,
        priority: 0,
        when: None,
        retry: Retry::default(),
    };
    let event = FrameCreated {
        session_id: None,
        parent_id: None,
        depends_on: Vec::new(),
        result_from: None,
        subagent_of: None,
        spec: spec.into(),
    };
    Record {
        frame_id: Some(id),
        ..record(run_id, seq, Event::FrameCreated(event))
    }
}

/// The task ends with exit code 0.
pub fn completed(run_id: RunId, seq: u64) -> Record {
    let ending = TaskEnding {
        attempt: 1,
        exit_code: Some(0),
        duration_ms: 12,
        ..TaskEnding::default()
    };
    record(run_id, seq, Event::TaskCompleted(ending))
}

/// The last record of a run.
pub fn finished(run_id: RunId, seq: u64) -> Record {
    let event = RunFinished {
        status: RunStatus::Completed,
        reason: None,
        duration_ms: 5,
    };
    record(run_id, seq, Event::RunFinished(event))
}

/// A finished run goes on.
pub fn reset(run_id: RunId, seq: u64) -> Record {
    let event = StateReset {
        reason: "again".to_owned(),
        frames: vec![frame()],
    };
    record(run_id, seq, Event::StateReset(event))
}

/// Records with the numbers of `seqs`; number 1 starts the run.
pub fn records(run_id: RunId, seqs: Range<u64>) -> Vec<Record> {
    seqs.map(|seq| match seq {
        1 => started(run_id),
        seq if seq % 3 == 0 => completed(run_id, seq),
        seq => record(run_id, seq, Event::TaskStarted(Attempt { attempt: 1 })),
    })
    .collect()
}
