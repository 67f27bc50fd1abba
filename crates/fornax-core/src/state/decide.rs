//! Deciding commands: what happens, or why it cannot.

use std::sync::Arc;

use crate::agent::Failure;
use crate::error::{Error, ErrorKind};
use crate::event::{
    Event, FrameCompleted, FrameCreated, FrameEnded, FrameUpdated, RetryScheduled, RunStarted,
    RunStopping, Signalled, TaskEnding,
};
use crate::ids::{FrameId, RunId, TaskId, mix};
use crate::spec::{ErrorClass, OnFailure, Retry, RunSpec};
use crate::status::{FrameStatus, RunStatus, TaskState};
use crate::time::Time;

use super::stack::{ConversationEnd, ended_within};
use super::{Command, Fact, Frame, Outcome, Run, State, Target, Task};

/// How often in a row a frame waits until the moment that its provider names, without that being
/// counted against its retries.
const RATE_LIMITED_MAX: u32 = 20;
/// The longest such wait; a provider that names a later moment is asked again then.
const RATE_LIMIT_WAIT_MAX_MS: u64 = 6 * 60 * 60 * 1_000;

impl State {
    pub(super) fn decide(&self, now: Time, command: &Command) -> Result<Vec<Fact>, Error> {
        match command {
            Command::StartRun { run, frames, spec } => self.decide_start(*run, frames, spec),
            Command::TaskEnded { task, outcome } => Ok(self.decide_task_ended(now, *task, outcome)),
            Command::Stop { target, reason } => self.decide_stop(*target, reason),
            Command::Pause { target } => self.decide_pause(*target),
            Command::Unpause { target } => self.decide_unpause(*target),
            Command::Retry { target, from } => self.decide_retry(*target, *from),
            Command::Asked { task, permission } => Ok(self.decide_asked(*task, permission)),
            Command::Answered {
                task,
                permission,
                decision,
            } => Ok(self.decide_answered(*task, permission, *decision)),
            Command::Idle { task, taken } => Ok(self.decide_idle(*task, *taken)),
            Command::Tell { task, order } => self.decide_tell(*task, order),
            Command::OpenSession {
                session,
                run,
                frame,
                title,
                limits,
            } => Ok(self.decide_open(session, *run, *frame, title, limits)),
            Command::Report {
                session,
                report,
                id,
            } => Ok(self.decide_report(now, session, report, *id)),
            Command::Call {
                session,
                call,
                ids,
                artifact,
            } => self.decide_call(session, call, ids, artifact.as_ref()),
            Command::Auto { auto, id } => self.decide_auto(auto, *id),
            Command::UndoAuto { frame } => self.decide_undo(*frame),
            Command::Checkpoint {
                frame,
                session,
                question,
            } => self.decide_checkpoint(session, *frame, question.as_deref()),
            Command::Resolve { checkpoint, answer } => self.decide_resolve(checkpoint, answer),
            Command::Tick => Ok(Vec::new()),
        }
    }

    fn decide_start(
        &self,
        run: RunId,
        ids: &[FrameId],
        spec: &RunSpec,
    ) -> Result<Vec<Fact>, Error> {
        let malformed = spec.frames.iter().enumerate().any(|(place, frame)| {
            let parent_first = frame.parent.map_or(place == 0, |parent| parent < place);
            let known = |other: &usize| *other < spec.frames.len();
            !parent_first
                || !frame.depends_on.iter().all(known)
                || !frame.result_from.iter().all(known)
        });
        let used =
            self.runs.contains_key(&run) || ids.iter().any(|id| self.frames.contains_key(id));
        if malformed || used || spec.frames.is_empty() || ids.len() != spec.frames.len() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{run} cannot be started: its frames or its ids are not in order"),
            ));
        }
        let started = Fact {
            run,
            frame: None,
            task: None,
            event: Event::RunStarted(RunStarted {
                name: spec.name.clone(),
                plan: spec.plan.clone(),
                inputs: spec.inputs.clone(),
                on_failure: spec.on_failure,
                pools: spec.pools.clone(),
                frames: u32::try_from(ids.len()).unwrap_or(u32::MAX),
                limits: spec.limits,
            }),
        };
        let created = spec.frames.iter().zip(ids).map(|(frame, id)| Fact {
            run,
            frame: Some(*id),
            task: None,
            event: Event::FrameCreated(FrameCreated {
                parent_id: frame.parent.map(|place| ids[place]),
                depends_on: frame.depends_on.iter().map(|place| ids[*place]).collect(),
                result_from: frame.result_from.map(|place| ids[place]),
                session_id: None,
                subagent_of: None,
                spec: Arc::new(frame.clone()),
            }),
        });
        Ok(std::iter::once(started).chain(created).collect())
    }

    fn decide_task_ended(&self, now: Time, id: TaskId, outcome: &Outcome) -> Vec<Fact> {
        // A task that is over already, or an attempt that never was: a late or doubled word.
        let Some(task) = self.tasks.get(&id).filter(|task| task.state.has_process()) else {
            return Vec::new();
        };
        let (Some(frame), Some(run)) = (self.frames.get(&id.frame), self.runs.get(&task.run))
        else {
            return Vec::new();
        };
        let mut facts = vec![task_fact(task, id, end_event(id, outcome))];
        // What nobody wants any more has ended before its task has.
        if frame.status.is_settled() {
            let why = frame.reason().unwrap_or_default();
            facts.extend(self.left_open(id, ConversationEnd::stopped(why)));
            return facts;
        }
        match &outcome.verdict {
            Ok(()) => {
                let left_open = self.left_open(id, ConversationEnd::Well(&outcome.results));
                let closed = ended_within(self, id.frame, &left_open);
                let goes_on =
                    frame.open_children as usize > closed || self.has_untold_results(id, frame);
                facts.extend(left_open);
                facts.push(frame_fact(
                    frame,
                    id.frame,
                    work_done(frame, outcome, goes_on),
                ));
            }
            Err((class, message)) => {
                let retry_at = outcome.agent.as_ref().and_then(|agent| agent.retry_at);
                let failure = Failure {
                    class: *class,
                    message: message.clone(),
                    retry_at,
                };
                self.decide_failure(now, run, frame, task, (id, &failure), &mut facts);
            }
        }
        facts
    }

    fn decide_failure(
        &self,
        now: Time,
        run: &Run,
        frame: &Frame,
        task: &Task,
        (id, failure): (TaskId, &Failure),
        facts: &mut Vec<Fact>,
    ) {
        let (class, message) = (failure.class, failure.message.as_str());
        if class == ErrorClass::Cancelled {
            let reason = task.stopping.clone().unwrap_or_else(|| message.to_owned());
            facts.extend(self.left_open(id, ConversationEnd::stopped(&reason)));
            facts.push(blocked(frame, id.frame, format!("stopped: {reason}"), None));
            return;
        }
        let wanted = task.stopping.is_none() && run.ends_as.is_none();
        if wanted && let Some(retry) = further_attempt(now, frame, id, failure) {
            let next = TaskId {
                frame: id.frame,
                attempt: retry.attempt,
            };
            facts.extend(self.left_open(id, ConversationEnd::failed(message, true)));
            facts.push(task_fact(task, next, Event::TaskRetryScheduled(retry)));
            return;
        }
        facts.extend(self.left_open(id, ConversationEnd::failed(message, false)));
        let failed = Event::FrameFailed(FrameEnded {
            reason: message.to_owned(),
            error_class: Some(class),
            blocked_by: None,
        });
        facts.push(frame_fact(frame, id.frame, failed));
        if run.on_failure == OnFailure::Stop && run.ends_as.is_none() {
            let reason = format!(
                "{} failed, and the plan says on_failure: stop",
                frame.spec.key
            );
            facts.extend(self.stop_run(frame.run, run, &reason, RunStatus::Failed, Some(id.frame)));
        }
    }

    fn decide_stop(&self, target: Target, reason: &str) -> Result<Vec<Fact>, Error> {
        let facts: Vec<Fact> = match target {
            Target::Run(id) => {
                let run = self.known_run(id)?;
                if run.ended.is_some() || run.ends_as.is_some() {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!("{id} is {} already", run.status),
                    ));
                }
                self.stop_run(id, run, reason, RunStatus::Cancelled, None)
            }
            Target::Frame(id) => self.stop_frame(id, reason)?,
            Target::Task(id) => {
                let task = self.known_task(id)?;
                if task.state.is_over() || task.stopping.is_some() {
                    let state = if task.state.is_over() {
                        task.state.as_str()
                    } else {
                        "being stopped"
                    };
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!("{id} is {state} already"),
                    ));
                }
                self.stop_frame_alone(id.frame, reason)
            }
        };
        if facts.is_empty() {
            return Err(Error::new(ErrorKind::Conflict, "there is nothing to stop"));
        }
        Ok(facts)
    }

    /// Stops a run; `except` is a frame that is settled by the same decision.
    fn stop_run(
        &self,
        id: RunId,
        run: &Run,
        reason: &str,
        ends_as: RunStatus,
        except: Option<FrameId>,
    ) -> Vec<Fact> {
        let stopping = Fact {
            run: id,
            frame: None,
            task: None,
            event: Event::RunStopping(RunStopping {
                reason: reason.to_owned(),
                ends_as,
            }),
        };
        let frames = run.frames.iter().filter(|id| Some(**id) != except);
        std::iter::once(stopping)
            .chain(frames.flat_map(|id| self.stop_frame_alone(*id, reason)))
            .collect()
    }

    fn stop_frame(&self, id: FrameId, reason: &str) -> Result<Vec<Fact>, Error> {
        let frame = self.known_frame(id)?;
        if frame.status.is_settled() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{id} ({}) is {} already", frame.spec.key, frame.status),
            ));
        }
        let family = self.family(id);
        Ok(family
            .into_iter()
            .flat_map(|id| self.stop_frame_alone(id, reason))
            .collect())
    }

    /// Stops a frame but not what is within it: its running task is told to stop, and what has not
    /// begun is blocked.
    pub(super) fn stop_frame_alone(&self, id: FrameId, reason: &str) -> Vec<Fact> {
        let Some(frame) = self
            .frames
            .get(&id)
            .filter(|frame| !frame.status.is_settled())
        else {
            return Vec::new();
        };
        let block = || blocked(frame, id, format!("stopped: {reason}"), None);
        let newest = frame
            .newest_task(id)
            .and_then(|id| Some((id, self.tasks.get(&id)?)));
        match newest {
            Some((task_id, task)) if task.state.has_process() => {
                if task.stopping.is_some() {
                    return Vec::new();
                }
                let event = Event::TaskSignalled(Signalled {
                    attempt: task_id.attempt,
                    reason: reason.to_owned(),
                });
                vec![task_fact(task, task_id, event)]
            }
            Some((task_id, task)) if task.state == TaskState::Queued => {
                let event = Event::TaskCancelled(TaskEnding {
                    attempt: task_id.attempt,
                    error_class: Some(ErrorClass::Cancelled),
                    error: Some(reason.to_owned()),
                    ..TaskEnding::default()
                });
                vec![task_fact(task, task_id, event), block()]
            }
            // A group in progress ends by itself when all within it has ended.
            _ if frame.status == FrameStatus::InProgress && frame.is_group() => Vec::new(),
            _ => vec![block()],
        }
    }

    pub(super) fn known_run(&self, id: RunId) -> Result<&Run, Error> {
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no run {id}"));
        self.runs
            .get(&id)
            .ok_or_else(|| missing().with_help("`fornax runs` lists them"))
    }

    pub(super) fn known_frame(&self, id: FrameId) -> Result<&Frame, Error> {
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no frame {id}"));
        self.frames
            .get(&id)
            .ok_or_else(|| missing().with_help("`fornax tree` shows them"))
    }

    pub(super) fn known_task(&self, id: TaskId) -> Result<&Task, Error> {
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no task {id}"));
        self.tasks
            .get(&id)
            .ok_or_else(|| missing().with_help("`fornax ps` lists them"))
    }
}

pub(super) fn frame_fact(frame: &Frame, id: FrameId, event: Event) -> Fact {
    Fact {
        run: frame.run,
        frame: Some(id),
        task: None,
        event,
    }
}

pub(super) fn task_fact(task: &Task, id: TaskId, event: Event) -> Fact {
    Fact {
        run: task.run,
        frame: Some(id.frame),
        task: Some(id),
        event,
    }
}

pub(super) fn blocked(frame: &Frame, id: FrameId, reason: String, by: Option<FrameId>) -> Fact {
    let event = Event::FrameBlocked(FrameEnded {
        reason,
        error_class: None,
        blocked_by: by,
    });
    frame_fact(frame, id, event)
}

fn end_event(id: TaskId, outcome: &Outcome) -> Event {
    let agent = outcome.agent.as_ref();
    let ending = TaskEnding {
        note: outcome.note.clone(),
        retry_at: agent.and_then(|agent| agent.retry_at),
        usage: agent.map(|agent| agent.usage),
        turns: agent.map(|agent| agent.turns),
        session_id: agent.and_then(|agent| agent.session.clone()),
        model: agent.and_then(|agent| agent.model.clone()),
        attempt: id.attempt,
        exit_code: outcome.exit_code,
        signal: outcome.signal,
        duration_ms: outcome.duration_ms,
        artifacts: outcome.artifacts.clone(),
        error_class: outcome.verdict.as_ref().err().map(|(class, _)| *class),
        error: outcome
            .verdict
            .as_ref()
            .err()
            .map(|(_, message)| message.clone()),
    };
    match ending.error_class {
        None => Event::TaskCompleted(ending),
        Some(ErrorClass::Timeout | ErrorClass::Silence) => Event::TaskTimeout(ending),
        Some(ErrorClass::Cancelled) => Event::TaskCancelled(ending),
        Some(ErrorClass::Lost) => Event::TaskLost(ending),
        Some(_) => Event::TaskFailed(ending),
    }
}

/// What becomes of a frame whose task has ended well: it has ended as its agent said, or it waits for
/// the frames that were pushed in it.
fn work_done(frame: &Frame, outcome: &Outcome, goes_on: bool) -> Event {
    let said = !frame.results.trim().is_empty() && frame.ends_as.is_some();
    let results = if said {
        frame.results.as_str()
    } else {
        outcome.results.as_str()
    };
    let results = match (results.trim(), frame.ends_as) {
        ("", None | Some(FrameStatus::Completed)) => frame.last_summary().unwrap_or_default(),
        _ => results,
    };
    let mut artifacts = frame.artifacts.clone();
    artifacts.retain(|known| !outcome.artifacts.iter().any(|new| new.path == known.path));
    artifacts.extend(outcome.artifacts.iter().cloned());
    let ended = || FrameEnded {
        reason: match results.trim() {
            "" => "its agent said so".to_owned(),
            reason => reason.to_owned(),
        },
        error_class: None,
        blocked_by: None,
    };
    match frame.ends_as {
        Some(FrameStatus::Failed) => Event::FrameFailed(ended()),
        Some(FrameStatus::Blocked) => Event::FrameBlocked(ended()),
        _ if goes_on => Event::FrameUpdated(FrameUpdated {
            results: Some(results.to_owned()),
            artifacts: Some(artifacts),
            ..FrameUpdated::default()
        }),
        _ => Event::FrameCompleted(FrameCompleted {
            results: results.to_owned(),
            results_compact: frame.results_compact.clone(),
            artifacts,
            skipped: false,
        }),
    }
}

/// The further attempt that a failed one has, if any: later where the provider named a moment, with
/// the same tool while that has retries, or with the next of the chain.
fn further_attempt(
    now: Time,
    frame: &Frame,
    id: TaskId,
    failure: &Failure,
) -> Option<RetryScheduled> {
    let retry = &frame.spec.retry;
    let spent = frame.attempts.saturating_sub(frame.attempts_forgiven);
    let next = TaskId {
        frame: id.frame,
        attempt: id.attempt + 1,
    };
    let again = RetryScheduled {
        attempt: next.attempt,
        due: now,
        fallback: frame.fallback,
        forgiven: false,
    };
    let other_tool = frame.spec.fallback_on.contains(&failure.class)
        && frame.spec.invocation_at(frame.fallback + 1).is_some();
    let named = failure
        .retry_at
        .filter(|_| failure.class == ErrorClass::RateLimit && retry.on.contains(&failure.class));
    if let Some(at) = named
        && !other_tool
        && frame.rate_limited < RATE_LIMITED_MAX
    {
        let due = at.max(now).min(now.plus_ms(RATE_LIMIT_WAIT_MAX_MS));
        return Some(RetryScheduled {
            due,
            forgiven: true,
            ..again
        });
    }
    if spent <= retry.retries && retry.on.contains(&failure.class) {
        let due = now.plus_ms(backoff_ms(retry, spent, next));
        return Some(RetryScheduled { due, ..again });
    }
    other_tool.then_some(RetryScheduled {
        fallback: frame.fallback + 1,
        ..again
    })
}

/// The wait before a further attempt: doubled with each one, and spread over its upper half so that
/// tasks which failed together do not come back together. The spread is made of the task's id, so
/// that the same history always gives the same wait.
fn backoff_ms(retry: &Retry, spent: u32, next: TaskId) -> u64 {
    let doubled = retry.backoff_ms.saturating_mul(
        1u64.checked_shl(spent.saturating_sub(1))
            .unwrap_or(u64::MAX),
    );
    let full = doubled.min(retry.backoff_max_ms);
    let noise = next
        .to_string()
        .bytes()
        .fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    full / 2 + noise % (full / 2 + 1)
}
