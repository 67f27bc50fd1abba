//! The one line of a record that a person reads.

use crate::agent::{Decision, OrderKind, Permission};
use crate::event::{Event, FrameUpdated, TaskEnding};

use super::{Fact, State};

/// The longest summary, in characters.
const SUMMARY_MAX: usize = 200;

impl State {
    pub(super) fn summary(&self, fact: &Fact) -> String {
        let frame = fact.frame.and_then(|id| self.frames.get(&id));
        let key = frame.map_or("", |frame| frame.spec.key.as_str());
        let attempt = |attempt: u32| {
            if attempt > 1 {
                format!(" (attempt {attempt})")
            } else {
                String::new()
            }
        };
        let text = match &fact.event {
            Event::RunStarted(run) => format!("run of {} started: {} frames", run.name, run.frames),
            Event::RunStopping(stopping) => format!("stopping: {}", stopping.reason),
            Event::RunFinished(run) => match &run.reason {
                Some(reason) => format!("run {}: {reason}", run.status),
                None => format!("run {}", run.status),
            },
            Event::RunPaused(_) => "run paused".to_owned(),
            Event::RunUnpaused(_) => "run goes on".to_owned(),
            Event::FramePaused(_) => format!("{key} paused"),
            Event::StateReset(reset) => format!(
                "{}: {} frames are planned again",
                reset.reason,
                reset.frames.len()
            ),
            Event::FrameCreated(created) => {
                format!("{} planned: {}", created.spec.key, created.spec.title)
            }
            Event::FrameStarted(_) => format!("{key} started"),
            Event::FrameCompleted(done) if done.skipped => {
                format!("{key} skipped: its condition does not hold")
            }
            Event::FrameCompleted(_) => format!("{key} completed"),
            Event::FrameFailed(ended) => format!("{key} failed: {}", ended.reason),
            Event::FrameBlocked(ended) => format!("{key} blocked: {}", ended.reason),
            Event::FrameUpdated(FrameUpdated {
                goal: Some(goal), ..
            }) => {
                format!("{key} has another goal: {goal}")
            }
            Event::FrameUpdated(_) => format!("{key} told what came of it so far"),
            Event::FrameActivated(activated) => {
                format!("{} works in {key}", activated.session_id)
            }
            Event::FrameUnblocked(_) | Event::FrameUnpaused(_) => format!("{key} goes on"),
            Event::FrameInvalidated(dropped) => match dropped.cascaded.len() {
                0 => format!("{key} dropped: {}", dropped.reason),
                more => format!("{key} and {more} others dropped: {}", dropped.reason),
            },
            Event::ArtifactAdded(added) => format!("{key} made {}", added.artifact.path),
            Event::DecisionAdded(decision) => format!("{key} decided: {}", decision.decision),
            Event::SummaryRecorded(_) => format!("{key}'s conversation was shortened"),
            Event::CheckpointRequired(asked) => {
                format!("{key} asks: {}", asked.checkpoint.question)
            }
            Event::CheckpointResolved(resolved) => {
                format!("{key} was answered: {}", resolved.decision)
            }
            Event::TaskQueued(queued) if queued.continues => {
                format!("{key} goes on with what was pushed in it")
            }
            Event::TaskQueued(queued) => format!("{key} queued{}", attempt(queued.attempt)),
            Event::TaskStarted(started) => format!("{key} runs{}", attempt(started.attempt)),
            Event::TaskPaused(_) => format!("{key}'s processes are suspended"),
            Event::TaskResumed(_) => format!("{key}'s processes go on"),
            Event::TaskSignalled(signalled) => format!("{key} told to stop: {}", signalled.reason),
            Event::TaskRetryScheduled(retry) => {
                let tool = frame.and_then(|frame| frame.spec.invocation_at(retry.fallback));
                let tool = tool.filter(|_| retry.fallback > 0);
                let with = tool.map_or_else(String::new, |tool| format!(" with {}", tool.tool));
                format!("{key} will be tried again{with}{}", attempt(retry.attempt))
            }
            Event::PermissionRequested(asked) => {
                let Permission { tool, title, .. } = &asked.permission;
                format!("{key} asks to use {tool}: {title}")
            }
            Event::PermissionResolved(resolved) => match resolved.decision {
                Decision::Deny => format!("{key} was denied what it asked"),
                Decision::Allow | Decision::Always => format!("{key} was allowed what it asked"),
            },
            Event::InputRequested(wanted) => format!("{key} waits for input: {}", wanted.reason),
            Event::InputGiven(given) => match &given.order.kind {
                OrderKind::Prompt { text } => format!("{key} was told: {text}"),
                OrderKind::Interrupt => format!("{key} was interrupted"),
                OrderKind::Compact { .. } => format!("{key} was told to shorten its conversation"),
                OrderKind::Decide { .. } => format!("{key} was answered"),
            },
            Event::TaskCompleted(ending) => {
                let note = ending.note.iter().map(|note| format!("; {note}"));
                let note: String = note.collect();
                format!("{key} succeeded after {} ms{note}", ending.duration_ms)
            }
            Event::TaskFailed(ending) => format!("{key} did not succeed: {}", why(ending)),
            Event::TaskTimeout(ending) => format!("{key} was ended: {}", why(ending)),
            Event::TaskCancelled(ending) => format!("{key} was stopped: {}", why(ending)),
            Event::TaskLost(ending) => format!("{key} is lost: {}", why(ending)),
            Event::Unknown(_) => String::new(),
        };
        one_line(&text)
    }
}

fn why(ending: &TaskEnding) -> &str {
    ending.error.as_deref().unwrap_or("no reason is known")
}

/// The text on one line, cut to the length of a summary.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().nth(SUMMARY_MAX).is_none() {
        return text.chars().map(plain).collect();
    }
    let cut = text.chars().take(SUMMARY_MAX - 1).map(plain);
    cut.chain(std::iter::once('…')).collect()
}
