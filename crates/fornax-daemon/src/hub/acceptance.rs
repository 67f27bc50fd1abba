//! Runs that were begun elsewhere: what a person is shown of one before accepting it.

use std::sync::Arc;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{FrameId, RunId};
use fornax_core::spec::Invocation;
use fornax_core::state::{Frame, State};
use fornax_core::status::FrameStatus;
use fornax_core::time::Time;
use fornax_core::view::{CandidateView, OpenWork};
use fornax_journal::Exclusion;

use super::{Hub, blocking};
use crate::engine::Engine;

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
        let engine = self.engine(project)?;
        exclusion(&engine, run).await?;
        engine.accept(run, digest).await
    }
}

/// Why a run is read-only. A closed run is read for that.
async fn exclusion(engine: &Engine, run: RunId) -> Result<Exclusion, Error> {
    if let Some(why) = engine.look(move |look| look.exclusion(run)).await? {
        return Ok(why);
    }
    let own = engine.take_up(run).await;
    match own {
        Ok(()) => {
            let message = format!("{run} is this installation's own: there is nothing to accept");
            Err(Error::new(ErrorKind::Conflict, message))
        }
        Err(error) if error.kind == ErrorKind::Forbidden => Ok(Exclusion::Foreign),
        Err(error) => Err(error),
    }
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
