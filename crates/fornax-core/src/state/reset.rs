//! Doing things again: which frames a retry puts back, and putting them back.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind};
use crate::event::{Event, StateReset};
use crate::ids::{FrameId, RunId};
use crate::status::FrameStatus;
use crate::time::Time;

use super::{Fact, State, Target};

/// How far doing a frame again reaches.
#[derive(Clone, Copy)]
struct Reach {
    /// To what is completed or open, too.
    completed: bool,
    /// To what is within the frame, and not only to the frame as the group around another.
    within: bool,
}

impl State {
    pub(super) fn decide_retry(
        &self,
        target: Target,
        from: Option<FrameId>,
    ) -> Result<Vec<Fact>, Error> {
        let (run_id, frames, reason) = match (target, from) {
            (Target::Run(run), None) => (run, self.unfinished(run)?, "retry".to_owned()),
            (Target::Run(run), Some(from)) => {
                if self.known_frame(from)?.run != run {
                    return Err(Error::new(
                        ErrorKind::NotFound,
                        format!("{from} is no frame of {run}"),
                    ));
                }
                (
                    run,
                    self.downstream(from, true),
                    format!("retry from {from}"),
                )
            }
            (Target::Frame(id), _) => (
                self.known_frame(id)?.run,
                self.downstream_of_failed(id)?,
                format!("retry of {id}"),
            ),
            (Target::Task(task), _) => {
                let id = task.frame;
                (
                    self.known_task(task)?.run,
                    self.downstream_of_failed(id)?,
                    format!("retry of {id}"),
                )
            }
        };
        // What a conversation held that is over is history: whoever does the frame around it again
        // begins what it needs anew.
        let mut frames = frames;
        frames.retain(|id| {
            let frame = self.frames.get(id);
            !frame.is_some_and(|frame| self.is_of_a_task(frame))
        });
        let run = self.known_run(run_id)?;
        if run.ends_as.is_some() {
            return Err(
                Error::new(ErrorKind::Conflict, format!("{run_id} is being stopped"))
                    .with_help("retry it when it has ended"),
            );
        }
        if frames.is_empty() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("nothing in {run_id} needs to be retried"),
            )
            .with_help("`fornax retry RUN --from FRAME` does a frame again though it succeeded"));
        }
        let has_task = |id: &FrameId| {
            self.frames
                .get(id)
                .is_some_and(|frame| self.has_open_task(*id, frame))
        };
        if let Some(busy) = frames.iter().find(|id| has_task(id)) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{busy} is still being worked on"),
            )
            .with_help(format!("stop it first: `fornax stop {busy}`")));
        }
        Ok(vec![Fact {
            run: run_id,
            frame: None,
            task: None,
            event: Event::StateReset(StateReset { reason, frames }),
        }])
    }

    /// All frames of a run that failed or are blocked.
    fn unfinished(&self, run: RunId) -> Result<Vec<FrameId>, Error> {
        let frames = self.known_run(run)?.frames.iter().copied();
        Ok(frames.filter(|id| self.is_unfinished(*id)).collect())
    }

    fn is_unfinished(&self, id: FrameId) -> bool {
        let frame = self.frames.get(&id);
        frame
            .is_some_and(|frame| matches!(frame.status, FrameStatus::Failed | FrameStatus::Blocked))
    }

    /// A frame that did not succeed, with what is blocked because of it.
    fn downstream_of_failed(&self, id: FrameId) -> Result<Vec<FrameId>, Error> {
        if !self.is_unfinished(id) {
            let frame = self.known_frame(id)?;
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{id} ({}) is {}", frame.spec.key, frame.status),
            )
            .with_help(format!(
                "`fornax retry {} --from {id}` does it again all the same",
                frame.run
            )));
        }
        Ok(self.downstream(id, false))
    }

    /// A frame with all within it, all that depends on it, and the groups that this opens again.
    /// What is completed is left alone unless `completed` says otherwise, or it depends on something
    /// completed that is done again.
    fn downstream(&self, id: FrameId, completed: bool) -> Vec<FrameId> {
        let mut found = BTreeSet::new();
        let mut open = vec![(
            id,
            Reach {
                completed,
                within: true,
            },
        )];
        while let Some((id, reach)) = open.pop() {
            let Some(frame) = self.frames.get(&id) else {
                continue;
            };
            let reached = match frame.status {
                FrameStatus::Completed => reach.completed || !reach.within,
                FrameStatus::Invalidated => false,
                FrameStatus::Planned | FrameStatus::InProgress => reach.completed && reach.within,
                FrameStatus::Failed | FrameStatus::Blocked => true,
            };
            if !reached || !found.insert(id) {
                continue;
            }
            let again = Reach {
                completed: reach.completed || frame.status == FrameStatus::Completed,
                within: true,
            };
            open.extend(frame.dependants.iter().map(|id| (*id, again)));
            if reach.within {
                open.extend(frame.children.iter().map(|id| (*id, again)));
            }
            open.extend(frame.parent.map(|id| {
                (
                    id,
                    Reach {
                        within: false,
                        ..again
                    },
                )
            }));
        }
        // In the order of creation, which is the order in which people read them.
        let run = self
            .frames
            .get(&id)
            .and_then(|frame| self.runs.get(&frame.run));
        let frames = run.into_iter().flat_map(|run| run.frames.iter().copied());
        frames.filter(|id| found.contains(id)).collect()
    }

    /// Puts frames back to `planned` and counts again what stands in the way of whom.
    pub(super) fn put_back(&mut self, frames: &[FrameId], now: Time, reason: &str) {
        for id in frames {
            let Some(frame) =
                self.set_status(*id, FrameStatus::Planned, now, Some(reason.to_owned()))
            else {
                continue;
            };
            frame.attempts_forgiven = frame.attempts;
            frame.fallback = 0;
            frame.rate_limited = 0;
            frame.skipped = false;
            frame.results.clear();
            frame.results_compact.clear();
            frame.artifacts.clear();
            frame.ends_as = None;
            frame.started = None;
            frame.ended = None;
            frame.spans.clear();
        }
        self.recount_around(frames);
    }

    /// Counts again what stands in the way of whom, around frames whose status went back.
    pub(super) fn recount_around(&mut self, frames: &[FrameId]) {
        let mut touched: BTreeSet<FrameId> = frames.iter().copied().collect();
        for frame in frames.iter().filter_map(|id| self.frames.get(id)) {
            touched.extend(&frame.dependants);
            touched.extend(&frame.children);
            touched.extend(&frame.parent);
        }
        self.recount(touched);
    }

    fn recount(&mut self, touched: BTreeSet<FrameId>) {
        for id in &touched {
            let Some(frame) = self.frames.get(id) else {
                continue;
            };
            let (waiting_on, broken) = self.obstacles(frame);
            let children = frame.children.iter().filter_map(|id| self.frames.get(id));
            let open_children = children.filter(|child| !child.status.is_settled()).count();
            if let Some(frame) = self.frames.get_mut(id) {
                frame.waiting_on = waiting_on;
                frame.broken = broken;
                frame.open_children = u32::try_from(open_children).unwrap_or(u32::MAX);
            }
        }
        self.agenda.extend(touched);
    }
}
