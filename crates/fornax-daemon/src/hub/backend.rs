//! What HTTP asks of the hub.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{FrameId, RunId, TaskId};
use fornax_core::record::Actor;
use fornax_core::request::{Caller, CommandRequest, ReportRequest, Request, ToolRequest};
use fornax_core::state::{Command, State, Target};
use fornax_core::tools::Reply;
use fornax_core::view::{
    Answer, CandidateView, FrameColumns, FrameDetail, ProjectView, RunDetail, RunView, Snapshot,
    TaskColumns, TaskView,
};

use super::callers::Known;
use super::{Ending, Entry, Hub, Relocation, blocking};
use crate::engine::Engine;
use crate::feed::Feed;
use crate::find;
use crate::history;
use crate::http::backend::{Backend, Ingested, ProjectStatus, Rejected, RunPage};
use crate::pool;
use crate::tools::Found;
use crate::trust::{Decided, Decision, Review};

/// How many of a project's newest runs a snapshot names, beside those that go on.
const RECENT_RUNS: usize = 20;

impl Backend for Hub {
    fn feed(&self) -> &Feed {
        &self.shared.feed
    }

    async fn register(&self, dir: &Path, answer: Option<Relocation>) -> Result<ProjectView, Error> {
        self.register_project(dir, answer).await
    }

    async fn forget(&self, project: &str) -> Result<(), Error> {
        self.forget_project(project).await
    }

    async fn candidate(&self, project: &str, run: RunId) -> Result<CandidateView, Error> {
        self.show_candidate(project, run).await
    }

    async fn accept(&self, project: &str, run: RunId, digest: String) -> Result<(), Error> {
        self.accept_candidate(project, run, digest).await
    }

    async fn status(&self) -> Vec<ProjectStatus> {
        let mut all = Vec::new();
        for entry in self.entries() {
            let engine = match entry {
                Entry::Open(engine) => engine,
                Entry::Failed(project) => {
                    all.push(ProjectStatus {
                        project,
                        running: Vec::new(),
                        queued: 0,
                    });
                    continue;
                }
            };
            let busy = engine.look(|look| {
                let running = look
                    .state
                    .running()
                    .filter_map(|(id, _)| look.state.task_view(id));
                let queued = look.state.runs().map(|(_, run)| run.tasks_queued).sum();
                (running.collect::<Vec<_>>(), queued)
            });
            if let (Ok(project), Ok((running, queued))) = (engine.project_view().await, busy.await)
            {
                all.push(ProjectStatus {
                    project,
                    running,
                    queued,
                });
            }
        }
        all
    }

    async fn tools_of(&self, project: &str) -> Result<Vec<Found>, Error> {
        let engine = self.engine(project)?;
        let tools = Arc::clone(&self.shared.tools);
        let trust = self.trust.clone();
        let look = move || {
            let root = engine.project().root();
            Ok::<_, Error>(tools.of_project(&trust.read(root)?, root))
        };
        pool::FILES.run(look).await?
    }

    async fn review(&self, dir: &Path) -> Result<Review, Error> {
        let (trust, dir) = (self.trust.clone(), dir.to_owned());
        pool::FILES.run(move || trust.review(&dir)).await?
    }

    async fn decided(&self) -> Result<Decided, Error> {
        let trust = self.trust.clone();
        pool::RECORDS.run(move || trust.decided()).await?
    }

    async fn decide(&self, decision: Decision) -> Result<Review, Error> {
        let trust = self.trust.clone();
        // A decision may be the first that is heard of a project, or about one that was moved.
        let _changing = self.changing.lock().await;
        pool::FILES.run(move || trust.decide(&decision)).await?
    }

    async fn snapshot(&self) -> Snapshot {
        // First the number, then the state: what changes in between is told again, and whole
        // entities may be told twice.
        let mut snapshot = Snapshot {
            epoch: self.shared.feed.epoch().to_owned(),
            seq: self.shared.feed.head(),
            now_ms: now_ms(),
            projects: Vec::new(),
            runs: Vec::new(),
            frames: FrameColumns::default(),
            tasks: TaskColumns::default(),
        };
        for entry in self.entries() {
            let engine = match entry {
                Entry::Open(engine) => engine,
                Entry::Failed(view) => {
                    snapshot.projects.push(view);
                    continue;
                }
            };
            let Ok(project) = engine.project_view().await else {
                continue;
            };
            let part = engine.look(|look| {
                let runs: Vec<RunView> = look
                    .state
                    .runs()
                    .filter_map(|(id, _)| look.run(id))
                    .collect();
                let open = || runs.iter().filter(|run| run.ended_ms.is_none());
                let frames: Vec<_> = open()
                    .flat_map(|run| look.state.run_frames(run.id))
                    .collect();
                let tasks: Vec<_> = open()
                    .flat_map(|run| look.state.run_tasks(run.id))
                    .collect();
                (runs, frames, tasks)
            });
            let Ok((runs, frames, tasks)) = part.await else {
                continue;
            };
            snapshot
                .runs
                .extend(self.with_recent(engine, project.id.clone(), runs).await);
            snapshot.projects.push(project);
            frames
                .into_iter()
                .for_each(|frame| snapshot.frames.push(frame));
            tasks.into_iter().for_each(|task| snapshot.tasks.push(task));
        }
        snapshot.runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        snapshot
    }

    async fn runs(
        &self,
        project: &str,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<RunPage, Error> {
        let engine = self.engine(project)?;
        let known = engine.look(|look| {
            let runs = look
                .state
                .runs()
                .filter_map(|(id, _)| Some((id, look.run(id)?)));
            runs.collect::<BTreeMap<_, _>>()
        });
        let (known, project) = (known.await?, project.to_owned());
        let reader = Arc::clone(&engine);
        let page = move || history::page(reader.project(), &project, known, before, limit);
        let mut page = blocking(page).await??;
        page.runs = self.with_origin(&engine, page.runs).await?;
        Ok(page)
    }

    async fn run(&self, project: &str, run: RunId) -> Result<RunDetail, Error> {
        let engine = self.engine(project)?;
        let known = engine.look(move |look| {
            let mut detail = look.state.run_detail(look.project, run)?;
            detail.run = look.run(run)?;
            Some(detail)
        });
        if let Some(detail) = known.await? {
            return Ok(detail);
        }
        let project = project.to_owned();
        let read = move |state: &State| state.run_detail(&project, run);
        let detail = from_history(Arc::clone(&engine), run, read).await?;
        self.detail_with_origin(&engine, detail).await
    }

    async fn frame(&self, project: &str, id_or_prefix: &str) -> Result<FrameDetail, Error> {
        let engine = self.engine(project)?;
        let id = match find::target(&engine, id_or_prefix).await? {
            Target::Frame(id) => id,
            Target::Task(task) => task.frame,
            Target::Run(_) => return Err(not_a(id_or_prefix, "frame")),
        };
        self.frame_detail(engine, id).await
    }

    async fn task(&self, project: &str, id_or_prefix: &str) -> Result<(TaskView, PathBuf), Error> {
        let engine = self.engine(project)?;
        let Target::Task(id) = find::target(&engine, id_or_prefix).await? else {
            return Err(not_a(id_or_prefix, "task"));
        };
        let journal = engine.project().clone();
        let detail = self.frame_detail(engine, id.frame).await?;
        let task = detail.tasks.into_iter().find(|task| task.id == id);
        let task = task.ok_or_else(|| no_task(id))?;
        let dir = journal.task_dir(task.run, id);
        Ok((task, dir))
    }

    async fn run_dir(&self, project: &str, run: RunId) -> Result<PathBuf, Error> {
        let engine = self.engine(project)?;
        let dir = engine.project().run_dir(run);
        if !dir.is_dir() {
            return Err(
                Error::new(ErrorKind::NotFound, format!("there is no run {run}"))
                    .with_help("`fornax runs` lists them"),
            );
        }
        Ok(dir)
    }

    async fn command(&self, request: CommandRequest, actor: Actor) -> Result<Answer, Error> {
        // A command that is sent again is answered as it was, whatever its words would mean now.
        let engine = self.engine(&request.project)?;
        let id = request.cmd_id.clone();
        if let Some(answer) = engine.look(move |look| look.state.answer_to(&id)).await? {
            return Ok(answer);
        }
        match &request.command {
            Request::RunPlan { .. } | Request::RunTask { .. } => self.start(&request, actor).await,
            Request::Rerun { .. } => self.rerun(&request, actor).await,
            Request::Resume { .. } => self.resume(&request, actor).await,
            Request::Stop { .. } => self.stop(&request, actor).await,
            Request::Retry { .. } => self.retry(&request, actor).await,
            Request::Pause { .. } | Request::Unpause { .. } => self.pause(&request, actor).await,
            Request::Checkpoint { .. } => self.checkpoint(&request, actor).await,
            Request::UndoAuto { .. } => self.undo(&request, actor).await,
            Request::Prompt { .. }
            | Request::Interrupt { .. }
            | Request::Decide { .. }
            | Request::Compact { .. } => self.tell(&request, actor).await,
            Request::Answer { checkpoint, answer } => {
                let resolve = Command::Resolve {
                    checkpoint: checkpoint.clone(),
                    answer: engine.rules().redact(answer).into_owned(),
                };
                engine
                    .command(resolve, actor, Some(request.cmd_id.clone()))
                    .await
            }
        }
    }

    async fn tool(&self, name: &str, request: ToolRequest) -> Result<Reply, Error> {
        self.call(name, request).await
    }

    async fn report(&self, request: ReportRequest) -> Result<(), Error> {
        let known = self.known(&request.caller).await?;
        let actor = known.actor();
        known
            .engine
            .report(known.session, request.report, actor)
            .await
    }

    async fn compacting(&self, caller: Caller) -> Result<String, Error> {
        let Known { engine, session } = self.known(&caller).await?;
        let guide = engine.look(move |look| look.state.compaction_guide(&session));
        Ok(guide.await?.unwrap_or_default())
    }

    async fn trace(&self, project: &str, run: RunId, body: Bytes) -> Result<Ingested, Error> {
        let engine = self.engine(project)?;
        let ingested = blocking(move || engine.trace(run, &body)).await??;
        let rejected = ingested
            .rejected
            .into_iter()
            .map(|(line, why)| Rejected { line, why });
        Ok(Ingested {
            accepted: ingested.accepted,
            rejected: rejected.collect(),
        })
    }

    async fn shutdown(&self, stop_tasks: bool) {
        self.end.send_replace(Some(Ending { stop_tasks }));
    }
}

impl Hub {
    /// The runs in memory, and the project's newest besides: after a start of the daemon those that
    /// have ended are on the disk only.
    async fn with_recent(
        &self,
        engine: Arc<Engine>,
        project: String,
        known: Vec<RunView>,
    ) -> Vec<RunView> {
        let mut runs: BTreeMap<RunId, RunView> =
            known.into_iter().map(|run| (run.id, run)).collect();
        let in_memory = runs.clone();
        let reader = Arc::clone(&engine);
        let read = move || history::page(reader.project(), &project, in_memory, None, RECENT_RUNS);
        let page = blocking(read).await.and_then(|page| page);
        let page = match page {
            Ok(page) => self.with_origin(&engine, page.runs).await,
            Err(error) => Err(error),
        };
        match page {
            Ok(page) => runs.extend(page.into_iter().map(|run| (run.id, run))),
            Err(error) => tracing::warn!(%error, "a project's runs cannot be listed"),
        }
        runs.into_values().collect()
    }

    async fn frame_detail(&self, engine: Arc<Engine>, id: FrameId) -> Result<FrameDetail, Error> {
        if let Some(detail) = engine.look(move |look| look.state.frame_detail(id)).await? {
            return Ok(detail);
        }
        let run = find::run_of_frame(&engine, id).await?;
        from_history(engine, run, move |state| state.frame_detail(id)).await
    }
}

/// Reads something of a run that is not in memory any more.
async fn from_history<T: Send + 'static>(
    engine: Arc<Engine>,
    run: RunId,
    read: impl FnOnce(&State) -> Option<T> + Send + 'static,
) -> Result<T, Error> {
    let work = move || {
        let state = history::load(engine.project(), run)?;
        let missing = || {
            Error::new(
                ErrorKind::Damaged,
                format!("the journal of {run} does not hold what was asked"),
            )
        };
        read(&state).ok_or_else(missing)
    };
    blocking(work).await?
}

fn not_a(text: &str, what: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("`{text}` is no {what}"))
}

fn no_task(id: TaskId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no task {id}"))
        .with_help("`fornax ps` lists them")
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
