//! The state as the surfaces are told of it.

use std::collections::BTreeSet;

use crate::agent::{Activity, Usage};
use crate::event::{Event, FrameCreated, FrameUpdated, TaskEnding};
use crate::ids::{FrameId, RunId, TaskId};
use crate::record::Record;
use crate::status::FrameStatus;
use crate::view::{
    Change, EventView, FrameDetail, FrameView, RunDetail, RunView, StatusChange, TaskView,
};

use super::{Frame, State, Task};

impl State {
    /// A run.
    #[must_use]
    pub fn run_view(&self, project: &str, id: RunId) -> Option<RunView> {
        let run = self.runs.get(&id)?;
        Some(RunView {
            project: project.to_owned(),
            id,
            name: run.name.clone(),
            plan: run.plan.clone(),
            root: run.root?,
            status: run.status,
            reason: run.reason.clone(),
            paused: run.paused,
            foreign: None,
            started_ms: run.started.0,
            ended_ms: run.ended.map(|at| at.0),
            counts: run.counts,
            tasks_running: run.tasks_running,
            tasks_queued: run.tasks_queued,
            stalled: Vec::new(),
            usage: run.usage,
            seq: run.seq,
        })
    }

    /// A run with all its frames and tasks.
    #[must_use]
    pub fn run_detail(&self, project: &str, id: RunId) -> Option<RunDetail> {
        Some(RunDetail {
            run: self.run_view(project, id)?,
            frames: self.run_frames(id).collect(),
            tasks: self.run_tasks(id).collect(),
        })
    }

    /// The frames of a run, parents before their children.
    pub fn run_frames(&self, id: RunId) -> impl Iterator<Item = FrameView> {
        let frames = self.runs.get(&id).into_iter().flat_map(|run| &run.frames);
        frames.filter_map(|id| self.frame_view(*id))
    }

    /// The tasks of a run, by frame and attempt.
    pub fn run_tasks(&self, id: RunId) -> impl Iterator<Item = TaskView> {
        let frames = self.runs.get(&id).into_iter().flat_map(|run| &run.frames);
        let frames = frames.filter_map(|id| Some((*id, self.frames.get(id)?)));
        let tasks = frames.flat_map(|(id, frame)| frame.tasks(id));
        tasks.filter_map(|id| self.task_view(id))
    }

    /// A frame.
    #[must_use]
    pub fn frame_view(&self, id: FrameId) -> Option<FrameView> {
        let frame = self.frames.get(&id)?;
        let invocation = frame.spec.invocation_at(frame.fallback);
        Some(FrameView {
            id,
            run: frame.run,
            parent: frame.parent,
            key: frame.spec.key.clone(),
            title: frame.spec.title.clone(),
            status: frame.status,
            reason: frame.reason().map(str::to_owned),
            group: frame.is_group(),
            skipped: frame.skipped,
            phase: frame.spec.phase.clone(),
            agent_role: frame.spec.agent_role.clone(),
            tool: invocation.map(|invocation| invocation.tool.clone()),
            depends_on: frame.depends_on.clone(),
            task: frame.newest_task(id),
            seq: frame.seq,
            created_ms: created_ms(frame),
            started_ms: frame.started.map(|at| at.0),
            ended_ms: frame.ended.map(|at| at.0),
            asks: frame.asks().map(|asked| asked.checkpoint.clone()).collect(),
            advice: self.autonomy.advice(id).map(str::to_owned),
            usage: Some(self.frame_usage(id)).filter(|usage| !usage.is_zero()),
            turns: self.frame_turns(id, frame),
            artifacts: u32::try_from(frame.artifacts.len()).unwrap_or(u32::MAX),
            stale: frame.stale,
            paused: self.paused_by(id).is_some(),
            spans: frame.spans.clone(),
        })
    }

    /// Everything about a frame.
    #[must_use]
    pub fn frame_detail(&self, id: FrameId) -> Option<FrameDetail> {
        let frame = self.frames.get(&id)?;
        let history = frame
            .history
            .iter()
            .map(|(status, at, reason)| StatusChange {
                status: *status,
                at_ms: at.0,
                reason: reason.clone(),
            });
        Some(FrameDetail {
            frame: self.frame_view(id)?,
            goal: frame.goal.clone(),
            success_criteria: frame.spec.success_criteria.clone(),
            results_compact: frame.results_compact.clone(),
            decisions: frame.decisions.clone(),
            made_by: frame.made_by.clone(),
            stale: frame.stale,
            status_history: history.collect(),
            results: frame.results.clone(),
            artifacts: frame.artifacts.clone(),
            usage: self.frame_usage(id),
            usage_within: self.usage_within(id),
            children: frame.children.clone(),
            dependants: frame.dependants.clone(),
            tasks: frame
                .tasks(id)
                .filter_map(|id| self.task_view(id))
                .collect(),
            spec: std::sync::Arc::clone(&frame.spec),
        })
    }

    /// What the model calls in a frame used, each counted in one frame only: a task's usage is its
    /// subagents' too, and theirs is that of their own frames.
    #[must_use]
    pub fn frame_usage(&self, id: FrameId) -> Usage {
        let Some(frame) = self.frames.get(&id) else {
            return Usage::default();
        };
        let mut usage = self.subagent_usage(frame);
        for task in frame.tasks(id).filter_map(|id| self.tasks.get(&id)) {
            let used = task_usage(task.activity.as_deref(), task.ending.as_ref());
            let mut theirs = Usage::default();
            let subagents = task.subagents.iter().filter_map(|id| self.frames.get(id));
            subagents.for_each(|frame| theirs.add(&self.subagent_usage(frame)));
            usage.add(&used.unwrap_or_default().since(&theirs));
        }
        usage
    }

    /// Turns that the agents in a frame have begun: those of its tasks, and a subagent's messages in
    /// the frame of a subagent.
    fn frame_turns(&self, id: FrameId, frame: &Frame) -> u32 {
        let tasks = frame.tasks(id).filter_map(|id| self.tasks.get(&id));
        let turns = tasks.fold(0, |turns: u32, task| {
            turns.saturating_add(task_turns(task.activity.as_deref(), task.ending.as_ref()))
        });
        turns.saturating_add(self.subagent_messages(frame))
    }

    /// What the model calls in a frame and in all frames within it used.
    #[must_use]
    pub fn usage_within(&self, id: FrameId) -> Usage {
        let mut usage = Usage::default();
        for id in self.family(id) {
            usage.add(&self.frame_usage(id));
        }
        usage
    }

    /// A task.
    #[must_use]
    pub fn task_view(&self, id: TaskId) -> Option<TaskView> {
        let Task {
            run,
            state,
            stopping,
            queued,
            due,
            started,
            ended: ended_at,
            ending,
            fallback,
            waits,
            idle,
            activity,
            ..
        } = self.tasks.get(&id)?;
        let frame = self.frames.get(&id.frame)?;
        let invocation = frame.spec.invocation_at(*fallback);
        let seen = activity.as_deref();
        let ended = ending.as_ref();
        let session = ended.and_then(|ending| ending.session_id.as_ref());
        let model = ended.and_then(|ending| ending.model.as_ref());
        Some(TaskView {
            id,
            run: *run,
            frame: id.frame,
            attempt: id.attempt,
            state: *state,
            stopping: stopping.is_some() && !state.is_over(),
            tool: invocation
                .map(|invocation| invocation.tool.clone())
                .unwrap_or_default(),
            queued_ms: queued.0,
            due_ms: due.map(|at| at.0),
            started_ms: started.map(|at| at.0),
            ended_ms: ended_at.map(|at| at.0),
            exit_code: ending.as_ref().and_then(|ending| ending.exit_code),
            signal: ending.as_ref().and_then(|ending| ending.signal),
            error_class: ending.as_ref().and_then(|ending| ending.error_class),
            error: ending.as_ref().and_then(|ending| ending.error.clone()),
            driver: invocation.and_then(|invocation| invocation.driver),
            session: session
                .or(seen.and_then(|seen| seen.session.as_ref()))
                .cloned(),
            model: model.or(seen.and_then(|seen| seen.model.as_ref())).cloned(),
            turns: task_turns(seen, ended),
            step: seen
                .filter(|_| !state.is_over())
                .and_then(|seen| seen.step.clone()),
            usage: task_usage(activity.as_deref(), ending.as_ref()),
            waits: waits.clone(),
            idle: *idle,
        })
    }

    /// What the surfaces are told when these records have been applied. It has no number yet.
    #[must_use]
    pub fn change(&self, project: &str, records: &[Record]) -> Change {
        let mut runs = BTreeSet::new();
        let mut frames = BTreeSet::new();
        let mut tasks = BTreeSet::new();
        for record in records {
            runs.insert(record.run_id);
            frames.extend(record.frame_id);
            tasks.extend(record.task_id);
            if let Event::StateReset(reset) = &record.event {
                frames.extend(&reset.frames);
            }
            if let Event::FrameInvalidated(dropped) = &record.event {
                frames.extend(dropped.cascaded.iter().chain(&dropped.stale));
            }
            // What a subagent used is counted in its frame, and no longer in that of its task.
            if let Event::FrameCreated(FrameCreated {
                subagent_of: Some(_),
                ..
            })
            | Event::FrameUpdated(FrameUpdated { usage: Some(_), .. }) = &record.event
            {
                frames.extend(
                    record
                        .frame_id
                        .and_then(|id| self.frame_around_subagent(id)),
                );
            }
        }
        Change {
            seq: 0,
            projects: Vec::new(),
            runs: runs
                .iter()
                .filter_map(|id| self.run_view(project, *id))
                .collect(),
            frames: frames
                .iter()
                .filter_map(|id| self.frame_view(*id))
                .collect(),
            tasks: tasks
                .iter()
                .filter_map(|id: &TaskId| self.task_view(*id))
                .collect(),
            events: records.iter().map(event_view).collect(),
        }
    }

    /// The frames whose id, written out, begins with `prefix`; used to find one by a part of its id.
    pub fn frames_like(&self, prefix: &str) -> impl Iterator<Item = FrameId> {
        self.frames
            .keys()
            .copied()
            .filter(move |id| id.to_string().starts_with(prefix))
    }
}

/// What a task's model calls used: as its end says, and until then as it was seen.
pub(super) fn task_usage(seen: Option<&Activity>, ending: Option<&TaskEnding>) -> Option<Usage> {
    let ended = ending.and_then(|ending| ending.usage);
    ended.or(seen.map(|seen| seen.usage))
}

/// Turns that a task's agent has begun: as its end says, and until then as it was seen.
fn task_turns(seen: Option<&Activity>, ending: Option<&TaskEnding>) -> u32 {
    let ended = ending.and_then(|ending| ending.turns);
    ended.or(seen.map(|seen| seen.turns)).unwrap_or(0)
}

fn created_ms(frame: &Frame) -> i64 {
    frame.history.first().map_or(0, |(_, at, _)| at.0)
}

fn event_view(record: &Record) -> EventView {
    EventView {
        run: record.run_id,
        seq: record.seq,
        ts_ms: record.ts.0,
        event: record.event.kind().to_owned(),
        flame: flame_name(&record.event).map(str::to_owned),
        frame: record.frame_id,
        task: record.task_id,
        cmd_id: record.cmd_id.clone(),
        summary: record.summary.clone(),
    }
}

/// The name under which flame-graph plug-ins know an event.
fn flame_name(event: &Event) -> Option<&'static str> {
    match event {
        Event::FrameCreated(_) => Some("flame.frame.created"),
        Event::FrameStarted(_) | Event::FrameActivated(_) => Some("flame.frame.activated"),
        Event::FrameInvalidated(_) => Some("flame.frame.invalidated"),
        Event::FrameUpdated(_)
        | Event::ArtifactAdded(_)
        | Event::DecisionAdded(_)
        | Event::SummaryRecorded(_) => Some("flame.frame.updated"),
        Event::StateReset(_) => Some("flame.state.reset"),
        event => {
            let frame_status = [
                FrameStatus::Completed,
                FrameStatus::Failed,
                FrameStatus::Blocked,
            ];
            let about_frame = event.kind().starts_with("frame_");
            let changed = about_frame
                && frame_status
                    .iter()
                    .any(|s| event.status() == Some(s.as_str()));
            changed.then_some("flame.frame.updated")
        }
    }
}
