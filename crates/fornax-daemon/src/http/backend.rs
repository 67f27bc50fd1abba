//! What HTTP asks of the rest of the daemon, and the shapes of answers that only HTTP has.

use std::future::Future;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fornax_core::error::Error;
use fornax_core::ids::RunId;
use fornax_core::record::Actor;
use fornax_core::request::{Caller, CommandRequest, ReportRequest, ToolRequest};
use fornax_core::tools::Reply;
use fornax_core::view::{
    Answer, CandidateView, FrameDetail, ProjectView, RunDetail, RunView, Snapshot, TaskView,
};
use serde::{Deserialize, Serialize};

use crate::feed::Feed;
use crate::hub::Relocation;
use crate::tools::Found;
use crate::trust::{Decided, Decision, Review};

/// The state behind the HTTP API. Implementations write these as `async fn`.
///
/// `project` is a project's id as it came in the request: unknown ones are `NotFound`.
pub trait Backend: Send + Sync + 'static {
    /// The changes. A change is published after it is durable, and after [`Backend::snapshot`],
    /// [`Backend::task`] and the like tell it.
    fn feed(&self) -> &Feed;

    /// Looks after a directory from now on. Doing so twice gives the same project. One that may have been
    /// moved or copied is `Forbidden` until a person says which.
    fn register(
        &self,
        dir: &Path,
        answer: Option<Relocation>,
    ) -> impl Future<Output = Result<ProjectView, Error>> + Send;

    /// Looks after a project no longer. `Conflict` while it has runs that go on.
    fn forget(&self, project: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// A read-only run, as it is shown to a person who may accept it.
    fn candidate(
        &self,
        project: &str,
        run: RunId,
    ) -> impl Future<Output = Result<CandidateView, Error>> + Send;

    /// Accepts a read-only run whose records have this digest. `Conflict` where they have changed.
    fn accept(
        &self,
        project: &str,
        run: RunId,
        digest: String,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// The projects and what they are doing.
    fn status(&self) -> impl Future<Output = Vec<ProjectStatus>> + Send;

    /// What the configuration in a directory executes, and where it stands.
    fn review(&self, dir: &Path) -> impl Future<Output = Result<Review, Error>> + Send;

    /// All decisions about what is trusted.
    fn decided(&self) -> impl Future<Output = Result<Decided, Error>> + Send;

    /// Carries out a person's decision about what is trusted.
    fn decide(&self, decision: Decision) -> impl Future<Output = Result<Review, Error>> + Send;

    /// A project's tools, and whether they can be used.
    fn tools_of(&self, project: &str) -> impl Future<Output = Result<Vec<Found>, Error>> + Send;

    /// All that is in memory, as of a change of the feed.
    fn snapshot(&self) -> impl Future<Output = Snapshot> + Send;

    /// A project's runs, newest first, those before a run; `limit` is 1 to 500.
    fn runs(
        &self,
        project: &str,
        before: Option<RunId>,
        limit: usize,
    ) -> impl Future<Output = Result<RunPage, Error>> + Send;

    /// A run with its frames and tasks.
    fn run(
        &self,
        project: &str,
        run: RunId,
    ) -> impl Future<Output = Result<RunDetail, Error>> + Send;

    /// A frame, by its id or by a prefix that only one has.
    fn frame(
        &self,
        project: &str,
        id_or_prefix: &str,
    ) -> impl Future<Output = Result<FrameDetail, Error>> + Send;

    /// A task and its folder, by its id or by a prefix that only one has.
    fn task(
        &self,
        project: &str,
        id_or_prefix: &str,
    ) -> impl Future<Output = Result<(TaskView, PathBuf), Error>> + Send;

    /// The folder of a run.
    fn run_dir(
        &self,
        project: &str,
        run: RunId,
    ) -> impl Future<Output = Result<PathBuf, Error>> + Send;

    /// Does what is asked, on behalf of `actor`. Answered when it is durable.
    fn command(
        &self,
        request: CommandRequest,
        actor: Actor,
    ) -> impl Future<Output = Result<Answer, Error>> + Send;

    /// Has a session call a tool. Answered when what it changes is durable.
    fn tool(
        &self,
        name: &str,
        request: ToolRequest,
    ) -> impl Future<Output = Result<Reply, Error>> + Send;

    /// Takes in what happened in a session.
    fn report(&self, request: ReportRequest) -> impl Future<Output = Result<(), Error>> + Send;

    /// What an agent's compaction prompt is to say of the frame that its session works in; nothing
    /// where it works in none.
    fn compacting(&self, caller: Caller) -> impl Future<Output = Result<String, Error>> + Send;

    /// Takes trace events, one a line, into a run's telemetry.
    fn trace(
        &self,
        project: &str,
        run: RunId,
        body: Bytes,
    ) -> impl Future<Output = Result<Ingested, Error>> + Send;

    /// Begins the end of the daemon; returns without waiting for it. Tasks live on unless they are
    /// to be stopped.
    fn shutdown(&self, stop_tasks: bool) -> impl Future<Output = ()> + Send;
}

/// Answer of `GET /api/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's process.
    pub pid: u32,
    /// The version of Fornax that it runs.
    pub version: String,
    /// The protocol that it speaks; 0 for daemons from before the number.
    #[serde(default)]
    pub protocol: u32,
    /// Where the page is.
    pub url: String,
    /// The life of the daemon that numbers the changes.
    pub epoch: String,
    /// When it started.
    pub started_ms: i64,
    /// The projects.
    pub projects: Vec<ProjectStatus>,
}

/// A project and what it is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProjectStatus {
    /// The project.
    pub project: ProjectView,
    /// The tasks that have a process.
    pub running: Vec<TaskView>,
    /// How many tasks wait.
    pub queued: u32,
}

/// Answer of `GET /api/runs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    /// Runs, newest first.
    pub runs: Vec<RunView>,
    /// Whether there are older ones.
    pub more: bool,
}

/// Answer of `GET /api/tasks/{task}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// The task.
    pub task: TaskView,
    /// Its `task.json`: how it was started. None before.
    pub record: Option<serde_json::Value>,
    /// Its `exit.json`: how it ended. None before.
    pub exit: Option<serde_json::Value>,
}

/// Answer of `POST /api/trace`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ingested {
    /// How many lines were taken.
    pub accepted: u64,
    /// Those that were not, 100 at most.
    pub rejected: Vec<Rejected>,
}

/// A line of a trace that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which line of the body, from 1.
    pub line: u64,
    /// Why.
    pub why: String,
}
