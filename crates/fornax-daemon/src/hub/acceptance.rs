//! Runs that were begun elsewhere: what a person is shown of one before accepting it.

use std::io;
use std::sync::Arc;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{FrameId, RunId, TaskId};
use fornax_core::spec::Invocation;
use fornax_core::state::{Frame, State, Target};
use fornax_core::status::{FrameStatus, RunStatus, TaskState};
use fornax_core::time::Time;
use fornax_core::view::{Answer, CandidateView, OpenWork, RunDetail, RunView, TaskColumns};
use fornax_journal::Exclusion;

use super::{Hub, blocking};
use crate::engine::{Engine, TaskKeys};

/// How many task folders of a read-only run are looked at.
const TASKS_MAX: usize = 2_000;

impl Hub {
    /// What accepting a run would execute.
    ///
    /// # Errors
    /// `Conflict` where it is this installation's own; `Damaged`, `NotFound`, `Storage`.
    pub(super) async fn show_candidate(
        &self,
        project: &str,
        run: RunId,
    ) -> Result<CandidateView, Error> {
        let engine = self.engine(project)?;
        let why = exclusion(&engine, run).await?;
        if let Exclusion::Damaged(_) = why {
            return Err(why.error(run));
        }
        let reader = Arc::clone(&engine);
        let candidate = blocking(move || reader.project().read_candidate(run)).await??;
        let mut state = State::default();
        state.load(Time::default(), &candidate.records);
        let view = state.run_view(project, run);
        let view = view.ok_or_else(|| {
            let message = format!("the journal of {run} does not begin a run");
            Error::new(ErrorKind::Damaged, message)
        })?;
        let frames = state.run(run).map(|run| run.frames.clone());
        let open = frames.into_iter().flatten().filter_map(|id| {
            let frame = state.frame(id)?;
            is_open(frame.status).then_some((id, frame))
        });
        Ok(CandidateView {
            digest: candidate.digest(),
            loses_open_work: matches!(why, Exclusion::Restored { .. }),
            why: why.to_string(),
            work: open.flat_map(|(id, frame)| work_of(id, frame)).collect(),
            run: view,
        })
    }

    /// Accepts a run of which a person was shown the records with this digest.
    ///
    /// # Errors
    /// `Conflict` where they have changed since, or the run is this installation's own.
    pub(super) async fn accept_candidate(
        &self,
        project: &str,
        run: RunId,
        digest: String,
    ) -> Result<(), Error> {
        self.engine(project)?.accept(run, digest).await
    }
}

impl Hub {
    /// Runs with the reason for which they are read-only, where they are.
    pub(super) async fn with_origin(
        &self,
        engine: &Arc<Engine>,
        runs: Vec<RunView>,
    ) -> Result<Vec<RunView>, Error> {
        let asked: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let excluded = engine.look(move |look| {
            let excluded = asked.into_iter().map(|run| look.exclusion(run));
            excluded.collect::<Vec<_>>()
        });
        let mut runs = runs;
        for (run, why) in runs.iter_mut().zip(excluded.await?) {
            let why = match why {
                // The state directory may only have lost sight of it.
                Some(Exclusion::Foreign) => engine.origin(run.id).await.unwrap_or(why),
                why => why,
            };
            if let Some(why) = why {
                mark_read_only(run, &why);
            }
        }
        for run in runs.iter_mut().filter(|run| is_open_elsewhere(run)) {
            let living = self.living_tasks(engine, run.id).await?;
            run.tasks_running = u32::try_from(living.len()).unwrap_or(u32::MAX);
        }
        Ok(runs)
    }

    /// The same for one run, with its tasks: of one that has no supervisor here, nobody knows how it
    /// ended.
    pub(super) async fn detail_with_origin(
        &self,
        engine: &Arc<Engine>,
        mut detail: RunDetail,
    ) -> Result<RunDetail, Error> {
        for view in self.with_origin(engine, vec![detail.run.clone()]).await? {
            detail.run = view;
        }
        if is_open_elsewhere(&detail.run) {
            let living = self.living_tasks(engine, detail.run.id).await?;
            let mut tasks = TaskColumns::default();
            for mut task in detail.tasks.rows() {
                if !task.state.is_over() && !living.contains(&task.id) {
                    task.state = TaskState::Lost;
                }
                tasks.push(task);
            }
            detail.tasks = tasks;
        }
        Ok(detail)
    }

    /// Asks the supervisors of a read-only run's tasks to stop them: all of them, or one task's.
    ///
    /// # Errors
    /// `Conflict` where none of them runs here; `Forbidden` where what runs is not this installation's.
    pub(super) async fn stop_read_only(
        &self,
        engine: &Arc<Engine>,
        run: RunId,
        target: Target,
    ) -> Result<Answer, Error> {
        let is_meant = |task: &TaskId| match target {
            Target::Run(_) => true,
            Target::Frame(frame) => task.frame == frame,
            Target::Task(id) => *task == id,
        };
        let living = self.living_tasks(engine, run).await?;
        let meant: Vec<TaskId> = living.into_iter().filter(is_meant).collect();
        if meant.is_empty() {
            let message = format!("nothing of {run} runs: it is read-only");
            return Err(Error::new(ErrorKind::Conflict, message)
                .with_help(format!("`fornax tree {run}` shows it")));
        }
        let (shared, project) = (self.shared.clone(), engine.project().clone());
        let stop = move || {
            let keys = TaskKeys::new(shared.installation.key(), &project)?;
            let (mut moved, mut refused) = (0, None);
            for task in meant {
                let dir = project.task_dir(run, task);
                let key = keys.of_task(run, task);
                let stopped = fornax_runner::stop_task(&dir, &key, &shared.state_dir);
                match stopped {
                    Ok(_) => moved += 1,
                    // The others are stopped all the same.
                    Err(error) => {
                        let message = format!("{task} was not stopped: {error}");
                        refused = Some(Error::new(ErrorKind::Forbidden, message));
                    }
                }
            }
            refused.map_or(Ok(moved), Err)
        };
        let moved = blocking(stop).await??;
        Ok(Answer {
            run: Some(run),
            moved,
            ..Answer::default()
        })
    }

    /// The tasks of a read-only run that have a supervisor of this installation.
    async fn living_tasks(&self, engine: &Engine, run: RunId) -> Result<Vec<TaskId>, Error> {
        let (state_dir, tasks) = (
            self.shared.state_dir.clone(),
            engine.project().run_dir(run).join("tasks"),
        );
        let find = move || {
            let entries = match std::fs::read_dir(&tasks) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                entries => entries?,
            };
            let mut living = Vec::new();
            for entry in entries.flatten().take(TASKS_MAX) {
                let id = entry
                    .file_name()
                    .to_str()
                    .and_then(|name| name.parse().ok());
                let Some(id) = id else { continue };
                // Also one that a version before proofs started, where that runs on.
                if fornax_runner::shim_of(&entry.path(), &state_dir)?.is_some() {
                    living.push(id);
                }
            }
            Ok::<_, io::Error>(living)
        };
        blocking(find).await?.map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("the tasks of {run} cannot be listed: {error}"),
            )
        })
    }
}

/// Whether a run is read-only and, as far as its journal says, open.
fn is_open_elsewhere(run: &RunView) -> bool {
    run.foreign.is_some() && run.ended_ms.is_none()
}

/// Nothing of a read-only run is carried on, whatever its journal says of it.
fn mark_read_only(run: &mut RunView, why: &Exclusion) {
    run.foreign = Some(why.to_string());
    if run.ended_ms.is_none() {
        run.status = RunStatus::Blocked;
        run.reason = Some(format!("read-only: {why}"));
        run.tasks_running = 0;
        run.tasks_queued = 0;
    }
}

/// Why a run is read-only.
async fn exclusion(engine: &Engine, run: RunId) -> Result<Exclusion, Error> {
    engine.origin(run).await?.ok_or_else(|| {
        let message = format!("{run} is this installation's own: there is nothing to accept");
        Error::new(ErrorKind::Conflict, message)
    })
}

/// Whether a frame with this status may still be worked on.
fn is_open(status: FrameStatus) -> bool {
    use FrameStatus::{Blocked, Completed, Failed, InProgress, Invalidated, Planned};
    match status {
        Planned | InProgress | Blocked => true,
        Completed | Failed | Invalidated => false,
    }
}

fn work_of(id: FrameId, frame: &Frame) -> Vec<OpenWork> {
    let own = frame.spec.invocation.iter();
    let all = own.chain(&frame.spec.fallbacks);
    all.map(|invocation| open_work(id, &frame.spec.title, invocation))
        .collect()
}

fn open_work(frame: FrameId, title: &str, invocation: &Invocation) -> OpenWork {
    let env = invocation.env.iter();
    OpenWork {
        frame,
        title: title.to_owned(),
        tool: invocation.tool.clone(),
        argv: invocation.cmd.iter().map(ToString::to_string).collect(),
        prompt: invocation.prompt.as_ref().map(ToString::to_string),
        stdin: invocation.stdin.as_ref().map(ToString::to_string),
        env: env.map(|(name, value)| format!("{name}={value}")).collect(),
        workdir: invocation.workdir.clone(),
    }
}
