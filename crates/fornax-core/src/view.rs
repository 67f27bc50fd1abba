//! What the surfaces are told: the shapes of the HTTP API, which the page and the command line read.
//!
//! Moments are milliseconds since the Unix epoch. A snapshot holds frames and tasks as columns, one
//! array a field, so that a page can take them over into typed arrays; changes hold whole entities.

use serde::{Deserialize, Serialize};

use crate::agent::{DriverKind, Permission, Usage};
use crate::event::Artifact;
use crate::frame::{Checkpoint, FrameDecision, SessionId};
use crate::ids::{CmdId, FrameId, RunId, TaskId};
use crate::spec::{ErrorClass, FrameSpec};
use crate::status::{FrameStatus, RunStatus, TaskState};

/// A project that the daemon looks after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ProjectView {
    /// Its id: eight hexadecimal digits, made of its key.
    pub id: String,
    /// The name of its directory.
    pub name: String,
    /// Its directory, absolute.
    pub dir: String,
    /// Why nothing of it can go on at the moment (a full disk, a damaged journal); absent when well.
    pub problem: Option<String>,
    /// What a person should know of how it was found: that it was moved, or is a copy. Only in the answer
    /// to who registers it.
    #[serde(default)]
    pub notice: Option<String>,
}

/// How many frames of a run have each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Counts {
    /// To be done.
    pub planned: u32,
    /// Being worked on.
    pub in_progress: u32,
    /// Done.
    pub completed: u32,
    /// Failed.
    pub failed: u32,
    /// Waiting for something outside.
    pub blocked: u32,
    /// No longer wanted.
    pub invalidated: u32,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RunView {
    /// The project's id.
    pub project: String,
    /// Its id.
    pub id: RunId,
    /// The plan's name.
    pub name: String,
    /// The plan's file, relative to the project where it is inside of it.
    pub plan: Option<String>,
    /// Its root frame.
    pub root: FrameId,
    /// Where it stands. A run whose project has a problem reads `blocked`.
    pub status: RunStatus,
    /// Why, where that is not plain.
    pub reason: Option<String>,
    /// Whether a human holds it.
    #[serde(default)]
    pub paused: bool,
    /// Why it is read-only: this installation did not write its records, or not these. Absent where it may
    /// be acted on.
    #[serde(default)]
    pub foreign: Option<String>,
    /// When it began.
    pub started_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Its frames by status, the frames that only hold others not counted.
    pub counts: Counts,
    /// Tasks that have a process.
    pub tasks_running: u32,
    /// Tasks that wait for a slot or for their time.
    pub tasks_queued: u32,
    /// Running tasks that do not proceed, and why. The run reads `blocked`.
    #[serde(default)]
    pub stalled: Vec<StalledTask>,
    /// What the model calls of its tasks used, those that go on included.
    pub usage: Usage,
    /// The seq of its newest event.
    pub seq: u64,
}

/// A running task that does not proceed, or whose supervisor does not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StalledTask {
    /// The task.
    pub task: TaskId,
    /// Why.
    pub reason: String,
    /// Whether a person has to act. Otherwise it resumes as soon as it can, for example when the disk has
    /// space.
    pub needs_you: bool,
    /// Since when.
    pub since_ms: i64,
}

/// A read-only run, as it is shown to a person who may accept it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct CandidateView {
    /// The run.
    pub run: RunView,
    /// Which records these are: the SHA-256 of them and of their payloads, in hexadecimal digits. What is
    /// accepted must have the same.
    pub digest: String,
    /// Why it is read-only.
    pub why: String,
    /// Whether its open work is marked as lost instead of executed when it is accepted, because it may
    /// have run since.
    pub loses_open_work: bool,
    /// What it would execute: the work of its open frames, in their order.
    pub work: Vec<OpenWork>,
}

/// What an open frame executes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct OpenWork {
    /// The frame.
    pub frame: FrameId,
    /// Its title.
    pub title: String,
    /// The name of the tool.
    pub tool: String,
    /// The argument vector; `{...}` stands for what is filled in when it starts.
    pub argv: Vec<String>,
    /// What `{prompt}` stands for: for a shell, the script.
    pub prompt: Option<String>,
    /// What is written to its standard input.
    pub stdin: Option<String>,
    /// Variables that are set, each as `NAME=value`.
    pub env: Vec<String>,
    /// The folder in which it runs, relative to the project's.
    pub workdir: Option<String>,
}

/// What is done in a frame that work has begun on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Doing {
    /// It is worked on.
    Working,
    /// It waits for a human.
    Waiting,
    /// It cannot go on.
    Blocked,
    /// A human holds it.
    Paused,
    /// It waits for a slot, or for the time of a further attempt.
    Queued,
}

/// What is done in a frame from a moment on, up to the next span or the frame's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Span {
    /// What.
    pub doing: Doing,
    /// Since when.
    pub from_ms: i64,
}

/// A row, and the same rows as columns: one array a field.
macro_rules! rows_and_columns {
    ($(#[$doc:meta])* $row:ident, $(#[$cdoc:meta])* $columns:ident {
        $($(#[$fdoc:meta])* $field:ident: $type:ty,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub struct $row { $($(#[$fdoc])* pub $field: $type,)+ }

        $(#[$cdoc])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub struct $columns { $($(#[$fdoc])* pub $field: Vec<$type>,)+ }

        impl $columns {
            /// Adds a row at the end.
            pub fn push(&mut self, row: $row) {
                $(self.$field.push(row.$field);)+
            }

            /// The rows again.
            pub fn rows(self) -> impl Iterator<Item = $row> {
                $(let mut $field = self.$field.into_iter();)+
                std::iter::from_fn(move || Some($row { $($field: $field.next()?,)+ }))
            }
        }

        impl FromIterator<$row> for $columns {
            fn from_iter<I: IntoIterator<Item = $row>>(rows: I) -> Self {
                let mut columns = Self::default();
                for row in rows {
                    columns.push(row);
                }
                columns
            }
        }
    };
}

rows_and_columns! {
    /// A frame, as far as lists and charts need it.
    FrameView,
    /// Frames as columns.
    FrameColumns {
        /// Its id.
        id: FrameId,
        /// Its run.
        run: RunId,
        /// Its parent; none for a run's root.
        parent: Option<FrameId>,
        /// Its name in the plan.
        key: String,
        /// What it is called: a few words.
        title: String,
        /// Where it stands.
        status: FrameStatus,
        /// Why, where that is not plain.
        reason: Option<String>,
        /// Whether it only holds other frames together.
        group: bool,
        /// Whether its condition did not hold, so that nothing was done.
        skipped: bool,
        /// The process stage.
        phase: Option<String>,
        /// The semantic worker.
        agent_role: Option<String>,
        /// The tool.
        tool: Option<String>,
        /// The frames that it waits for.
        depends_on: Vec<FrameId>,
        /// Its newest task.
        task: Option<TaskId>,
        /// The number of the newest event about it.
        seq: u64,
        /// When it came to be.
        created_ms: i64,
        /// When work on it first began.
        started_ms: Option<i64>,
        /// When it was last settled; none while it is planned or in progress.
        ended_ms: Option<i64>,
        /// What is asked of a human in it, and not answered.
        asks: Vec<Checkpoint>,
        /// What the signs in its trace call for; none where they call for nothing.
        advice: Option<String>,
        /// What the model calls in it used, those within it not counted; none where nothing was.
        usage: Option<Usage>,
        /// Turns that the agents in it have begun.
        turns: u32,
        /// How many files and addresses came of it.
        artifacts: u32,
        /// Whether something that it was built on was invalidated since it was completed.
        stale: bool,
        /// Whether a human holds it, or something around it.
        paused: bool,
        /// What was done in it since it started; empty while it has been worked on all the time.
        spans: Vec<Span>,
    }
}

rows_and_columns! {
    /// A task.
    TaskView,
    /// Tasks as columns.
    TaskColumns {
        /// Its id.
        id: TaskId,
        /// Its run.
        run: RunId,
        /// Its frame.
        frame: FrameId,
        /// Which try it is, from 1.
        attempt: u32,
        /// Where it stands.
        state: TaskState,
        /// Whether it has been told to stop.
        stopping: bool,
        /// The tool.
        tool: String,
        /// When it was queued.
        queued_ms: i64,
        /// The moment before which it will not start.
        due_ms: Option<i64>,
        /// When it started.
        started_ms: Option<i64>,
        /// When it ended.
        ended_ms: Option<i64>,
        /// Its exit code.
        exit_code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// Why it did not succeed.
        error_class: Option<ErrorClass>,
        /// The same in words.
        error: Option<String>,
        /// What speaks with its agent; none for a plain command.
        driver: Option<DriverKind>,
        /// The agent's own id of its conversation.
        session: Option<String>,
        /// The model that it uses.
        model: Option<String>,
        /// Turns that its agent has begun.
        turns: u32,
        /// What its agent does now, in one line.
        step: Option<String>,
        /// What its model calls used so far.
        usage: Option<Usage>,
        /// What its agent asks a human.
        waits: Vec<Permission>,
        /// Whether its agent was interrupted and waits for a prompt.
        idle: bool,
    }
}

/// Everything about one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FrameDetail {
    /// What lists show of it.
    pub frame: FrameView,
    /// What it is to achieve.
    pub goal: String,
    /// How one sees that it is achieved.
    pub success_criteria: Option<String>,
    /// What was decided in it.
    pub decisions: Vec<FrameDecision>,
    /// The session that made it; none for a plan's own.
    pub made_by: Option<SessionId>,
    /// Whether something that it was built on was invalidated since it was completed.
    pub stale: bool,
    /// Each status it had.
    pub status_history: Vec<StatusChange>,
    /// What came of it.
    pub results: String,
    /// The same in short, where somebody wrote that.
    pub results_compact: String,
    /// The files that came of it.
    pub artifacts: Vec<Artifact>,
    /// What the model calls in it used, those of its subagents' frames not counted.
    pub usage: Usage,
    /// The same with all frames within it.
    pub usage_within: Usage,
    /// Frames within it.
    pub children: Vec<FrameId>,
    /// Frames that wait for it.
    pub dependants: Vec<FrameId>,
    /// Its tasks, oldest first.
    pub tasks: Vec<TaskView>,
    /// What the plan says of it.
    #[cfg_attr(test, ts(type = "unknown"))]
    pub spec: std::sync::Arc<FrameSpec>,
}

/// A status and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StatusChange {
    /// The status.
    pub status: FrameStatus,
    /// Since when.
    pub at_ms: i64,
    /// Why.
    pub reason: Option<String>,
}

/// One run with all its frames and tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RunDetail {
    /// The run.
    pub run: RunView,
    /// Its frames, parents before their children.
    pub frames: FrameColumns,
    /// Its tasks, oldest first.
    pub tasks: TaskColumns,
}

/// All that the daemon has in memory: the projects, the runs that go on and those that ended lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Snapshot {
    /// The life of the daemon that numbers the changes.
    pub epoch: String,
    /// The number of the last change that the snapshot includes.
    pub seq: u64,
    /// The daemon's clock.
    pub now_ms: i64,
    /// The projects.
    pub projects: Vec<ProjectView>,
    /// Runs, newest first.
    pub runs: Vec<RunView>,
    /// The frames of the runs that go on.
    pub frames: FrameColumns,
    /// The tasks of the runs that go on.
    pub tasks: TaskColumns,
}

/// What changed, as whole entities: replace those with the same id.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Change {
    /// The number of this change; the next has the next number.
    pub seq: u64,
    /// Projects.
    pub projects: Vec<ProjectView>,
    /// Runs.
    pub runs: Vec<RunView>,
    /// Frames.
    pub frames: Vec<FrameView>,
    /// Tasks.
    pub tasks: Vec<TaskView>,
    /// The events behind it.
    pub events: Vec<EventView>,
}

/// An event, in one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EventView {
    /// Its run.
    pub run: RunId,
    /// Its number in the run.
    pub seq: u64,
    /// When it was decided.
    pub ts_ms: i64,
    /// Its name.
    pub event: String,
    /// The name under which the flame plug-ins know it: `flame.frame.created`, ...
    pub flame: Option<String>,
    /// The frame.
    pub frame: Option<FrameId>,
    /// The task.
    pub task: Option<TaskId>,
    /// The command that led to it.
    #[cfg_attr(test, ts(type = "string | null"))]
    pub cmd_id: Option<CmdId>,
    /// One line that a person can read.
    pub summary: String,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Answer {
    /// The run it concerned.
    pub run: Option<RunId>,
    /// The frames it moved, 100 at most.
    pub frames: Vec<FrameId>,
    /// The tasks it moved, 100 at most.
    pub tasks: Vec<TaskId>,
    /// How many frames and tasks it moved in all.
    pub moved: u32,
    /// Whether this is the answer to an earlier sending of the same command.
    pub repeated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ts_rs::{Config, TS};

    /// The page's types are made of these. When they change, this test writes the file again and
    /// fails once, so that the new file is looked at and committed.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "the test writes the page's file")]
    fn the_pages_types_are_up_to_date() {
        let config = Config::new().with_large_int("number");
        let mut types = vec![
            "// Made of crates/fornax-core/src/view.rs by `cargo test -p fornax-core`. Do not edit."
                .to_owned(),
        ];
        macro_rules! declare {
            ($($name:ty),+ $(,)?) => {$(types.push(format!("export {}", <$name as TS>::decl(&config)));)+};
        }
        declare!(
            crate::error::ErrorKind,
            crate::error::Error,
            ErrorClass,
            RunStatus,
            FrameStatus,
            TaskState,
            RunId,
            FrameId,
            TaskId,
            Artifact,
            crate::agent::Decision,
            DriverKind,
            Permission,
            Usage,
            crate::frame::Limit,
            crate::frame::CheckpointKind,
            Checkpoint,
            crate::frame::ByItself,
            FrameDecision,
            SessionId,
            ProjectView,
            Counts,
            StalledTask,
            RunView,
            OpenWork,
            CandidateView,
            Doing,
            Span,
            FrameView,
            FrameColumns,
            TaskView,
            TaskColumns,
            StatusChange,
            FrameDetail,
            RunDetail,
            Snapshot,
            Change,
            EventView,
            Answer,
            crate::request::Request,
            crate::request::CommandRequest,
        );
        let new = types.join("\n\n") + "\n";
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../web/src/api/types.gen.ts"
        );
        let old = std::fs::read_to_string(file).unwrap_or_default();
        if new != old {
            std::fs::create_dir_all(std::path::Path::new(file).parent().unwrap()).unwrap();
            std::fs::write(file, new).unwrap();
            panic!(
                "web/src/api/types.gen.ts was stale; it is written again: look at it and commit it"
            );
        }
    }
}
