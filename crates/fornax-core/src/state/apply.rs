//! Applying records. Total: a record that does not fit (of a newer version, say) changes nothing
//! that it cannot change, and never fails.

use crate::agent::Usage;
use crate::event::{Event, FrameCreated, FrameEnded, RunStarted, StateReset, TaskEnding};
use crate::ids::{FrameId, TaskId};
use crate::record::Record;
use crate::status::{FrameStatus, RunStatus, TaskState};
use crate::time::Time;
use crate::view::Counts;

use super::{ANSWER_IDS_MAX, ANSWERS_MAX, Frame, Run, State, Target, Task};

impl State {
    /// Changes the state as the record says.
    pub fn apply(&mut self, record: &Record) {
        if let Event::RunStarted(started) = &record.event {
            self.apply_run_started(record, started);
        }
        let Some(run) = self.runs.get_mut(&record.run_id) else {
            return;
        };
        run.seq = record.seq;
        self.version += 1;
        match &record.event {
            Event::RunStopping(stopping) => {
                run.status = RunStatus::Stopping;
                run.reason = Some(stopping.reason.clone());
                run.ends_as = Some(stopping.ends_as);
                self.take_pause_off(Target::Run(record.run_id), record.ts);
            }
            Event::RunPaused(_) => self.set_paused(Target::Run(record.run_id), true, record.ts),
            Event::RunUnpaused(_) => self.set_paused(Target::Run(record.run_id), false, record.ts),
            Event::RunFinished(finished) => {
                run.status = finished.status;
                run.reason.clone_from(&finished.reason);
                run.ended = Some(record.ts);
                run.ends_as = None;
                self.take_pause_off(Target::Run(record.run_id), record.ts);
            }
            Event::StateReset(reset) => self.apply_reset(record, reset),
            event => self.apply_to_frame(record, event),
        }
        if let Some(id) = record.frame_id {
            self.note_doing(id, record.ts);
        }
        self.remember_answer(record);
    }

    fn apply_run_started(&mut self, record: &Record, started: &RunStarted) {
        let run = Run {
            name: started.name.clone(),
            plan: started.plan.clone(),
            status: RunStatus::Running,
            reason: None,
            root: None,
            frames: Vec::with_capacity(started.frames.min(100_000) as usize),
            seq: record.seq,
            started: record.ts,
            ended: None,
            counts: Counts::default(),
            tasks_running: 0,
            tasks_queued: 0,
            usage: Usage::default(),
            paused: false,
            limits: started.limits,
            added: 0,
            first_limits: started.limits,
            on_failure: started.on_failure,
            pools: started.pools.clone(),
            ends_as: None,
        };
        self.runs.insert(record.run_id, run);
    }

    fn apply_to_frame(&mut self, record: &Record, event: &Event) {
        let Some(id) = record.frame_id else {
            return;
        };
        let now = record.ts;
        if let Some(frame) = self.frames.get_mut(&id) {
            frame.seq = record.seq;
        }
        match event {
            Event::FrameCreated(created) => self.apply_created(record, id, created),
            Event::FrameStarted(_) => self.apply_started(id, now),
            Event::FramePaused(_) => self.set_paused(Target::Frame(id), true, now),
            Event::FrameUnpaused(_) => self.set_paused(Target::Frame(id), false, now),
            Event::FrameCompleted(done) => {
                if let Some(frame) = self.frames.get_mut(&id) {
                    frame.results.clone_from(&done.results);
                    frame.results_compact.clone_from(&done.results_compact);
                    frame.artifacts.clone_from(&done.artifacts);
                    frame.skipped = done.skipped;
                }
                let reason = done
                    .skipped
                    .then(|| "skipped: its condition does not hold".to_owned());
                self.settle(id, FrameStatus::Completed, now, reason);
            }
            Event::FrameFailed(FrameEnded { reason, .. }) => {
                self.settle(id, FrameStatus::Failed, now, Some(reason.clone()));
            }
            Event::FrameBlocked(FrameEnded { reason, .. }) => {
                self.settle(id, FrameStatus::Blocked, now, Some(reason.clone()));
            }
            event if self.apply_to_stack(record, id, event) => {}
            event => {
                if let Some(task) = record.task_id {
                    self.apply_to_task(record, task, event);
                }
            }
        }
    }

    fn apply_created(&mut self, record: &Record, id: FrameId, created: &FrameCreated) {
        let around = created.parent_id.and_then(|id| self.frames.get(&id));
        let mut frame = Frame {
            run: record.run_id,
            parent: created.parent_id,
            children: Vec::new(),
            depends_on: created.depends_on.clone(),
            dependants: self.awaited.remove(&id).unwrap_or_default(),
            spec: std::sync::Arc::clone(&created.spec),
            status: FrameStatus::Planned,
            history: vec![(FrameStatus::Planned, record.ts, None)],
            skipped: false,
            goal: created.spec.goal.clone(),
            results: String::new(),
            results_compact: String::new(),
            artifacts: Vec::new(),
            decisions: Vec::new(),
            checkpoints: Vec::new(),
            summaries: Vec::new(),
            summary_wanted: None,
            made_by: created.session_id.clone(),
            subagent_of: created.subagent_of.clone(),
            subagent_usage: Usage::default(),
            stale: false,
            ends_as: None,
            seq: record.seq,
            attempts: 0,
            started: None,
            ended: None,
            spans: Vec::new(),
            paused: false,
            result_from: created.result_from,
            attempts_forgiven: 0,
            fallback: 0,
            rate_limited: 0,
            waiting_on: 0,
            broken: 0,
            open_children: 0,
            depth: around.map_or(0, |around| around.depth + 1),
            version: self.version,
            family_version: self.version,
        };
        for dependency in &created.depends_on {
            match self.frames.get_mut(dependency) {
                Some(dependency) => dependency.dependants.push(id),
                None => self.awaited.entry(*dependency).or_default().push(id),
            }
        }
        if let Some(parent) = created
            .parent_id
            .and_then(|parent| self.frames.get_mut(&parent))
        {
            parent.children.push(id);
            parent.open_children += 1;
            parent.family_version = self.version;
        }
        (frame.waiting_on, frame.broken) = self.obstacles(&frame);
        if let Some(run) = self.runs.get_mut(&record.run_id) {
            run.frames.push(id);
            if !frame.is_group() {
                run.counts.planned += 1;
            }
            run.added += u32::from(frame.made_by.is_some() && frame.parent.is_some());
            if created.parent_id.is_none() {
                run.root = Some(id);
            }
        }
        if let (Some(of), Some(child)) = (&created.subagent_of, &created.session_id) {
            self.note_subagent_frame(of, child, id);
        }
        self.frames.insert(id, frame);
        self.agenda.push_back(id);
    }

    /// What stands between a frame and its start: how many frames it waits for, and how many of
    /// them will not be completed by themselves.
    pub(super) fn obstacles(&self, frame: &Frame) -> (u32, u32) {
        let (mut waiting_on, mut broken) = (0, 0);
        let is_broken =
            |status: FrameStatus| status.is_settled() && status != FrameStatus::Completed;
        for id in &frame.depends_on {
            let status = self
                .frames
                .get(id)
                .map_or(FrameStatus::Planned, |frame| frame.status);
            waiting_on += u32::from(status != FrameStatus::Completed);
            broken += u32::from(is_broken(status));
        }
        if let Some(parent) = frame.parent.and_then(|id| self.frames.get(&id)) {
            waiting_on += u32::from(parent.status != FrameStatus::InProgress);
            broken += u32::from(is_broken(parent.status));
        }
        (waiting_on, broken)
    }

    fn apply_started(&mut self, id: FrameId, now: Time) {
        let Some(frame) = self.set_status(id, FrameStatus::InProgress, now, None) else {
            return;
        };
        frame.started.get_or_insert(now);
        if frame.children.is_empty() && !frame.is_group() {
            return;
        }
        let children = frame.children.clone();
        // A group whose frames are all settled already is done as soon as it starts.
        self.agenda.push_back(id);
        for child in children {
            self.unblock(child, |child| {
                child.waiting_on = child.waiting_on.saturating_sub(1)
            });
        }
    }

    /// A frame will not move by itself any more: tells those who wait for it.
    pub(super) fn settle(
        &mut self,
        id: FrameId,
        status: FrameStatus,
        now: Time,
        reason: Option<String>,
    ) {
        let was_open = self
            .frames
            .get(&id)
            .is_some_and(|frame| !frame.status.is_settled());
        let Some(frame) = self.set_status(id, status, now, reason) else {
            return;
        };
        frame.ended = Some(now);
        self.take_pause_off(Target::Frame(id), now);
        let Some(frame) = self.frames.get(&id).filter(|_| was_open) else {
            return;
        };
        let completed = status == FrameStatus::Completed;
        let (parent, skipped) = (frame.parent, frame.skipped);
        let (mut waiting, within) = (frame.dependants.clone(), frame.children.clone());
        if parent.is_none() {
            self.agenda.push_back(id);
        }
        if completed && skipped {
            self.agenda.extend(within);
        } else if !completed {
            waiting.extend(within);
        }
        for other in waiting {
            self.unblock(other, |frame| {
                if completed {
                    frame.waiting_on = frame.waiting_on.saturating_sub(1);
                } else {
                    frame.broken += 1;
                }
            });
        }
        if let Some((parent_id, parent)) =
            parent.and_then(|id| Some((id, self.frames.get_mut(&id)?)))
        {
            parent.open_children = parent.open_children.saturating_sub(1);
            if parent.open_children == 0 {
                self.agenda.push_back(parent_id);
            }
        }
    }

    pub(super) fn unblock(&mut self, id: FrameId, change: impl FnOnce(&mut Frame)) {
        if let Some(frame) = self.frames.get_mut(&id) {
            change(frame);
            if frame.waiting_on == 0 || frame.broken > 0 {
                self.agenda.push_back(id);
            }
        }
    }

    /// Gives a frame its status and keeps the run's counts.
    pub(super) fn set_status(
        &mut self,
        id: FrameId,
        status: FrameStatus,
        now: Time,
        reason: Option<String>,
    ) -> Option<&mut Frame> {
        let frame = self.frames.get_mut(&id)?;
        if !frame.is_group()
            && let Some(run) = self.runs.get_mut(&frame.run)
        {
            *run.counts.of(frame.status) -= 1;
            *run.counts.of(status) += 1;
        }
        frame.status = status;
        frame.history.push((status, now, reason));
        self.touch(id);
        self.frames.get_mut(&id)
    }

    fn apply_reset(&mut self, record: &Record, reset: &StateReset) {
        self.put_back(&reset.frames, record.ts, &reset.reason);
        if let Some(run) = self.runs.get_mut(&record.run_id) {
            run.status = RunStatus::Running;
            run.reason = None;
            run.ended = None;
        }
    }

    fn apply_to_task(&mut self, record: &Record, id: TaskId, event: &Event) {
        match event {
            Event::TaskQueued(queued) => {
                self.enqueue(record, id, None);
                if queued.continues {
                    self.apply_continues(id);
                }
            }
            Event::TaskRetryScheduled(retry) => {
                self.apply_retry(id, retry);
                self.enqueue(record, id, Some(retry.due));
            }
            Event::TaskStarted(_) => self.apply_task_started(record, id),
            Event::TaskPaused(_) => self.move_task(id, TaskState::Running, TaskState::Paused),
            Event::TaskResumed(_) => self.move_task(id, TaskState::Paused, TaskState::Running),
            Event::TaskSignalled(signalled) => {
                if let Some(task) = self.tasks.get_mut(&id) {
                    task.stopping = Some(signalled.reason.clone());
                }
            }
            event => match event.task_end() {
                Some((state, ending)) => self.apply_task_end(record, id, state, ending),
                None => self.apply_to_agent(id, event),
            },
        }
    }

    fn move_task(&mut self, id: TaskId, from: TaskState, to: TaskState) {
        if let Some(task) = self.tasks.get_mut(&id).filter(|task| task.state == from) {
            task.state = to;
        }
    }

    /// A further task that is no further try.
    fn apply_continues(&mut self, id: TaskId) {
        if let Some(frame) = self.frames.get_mut(&id.frame) {
            frame.attempts_forgiven += 1;
            // What was said of the frame's end was said before its results were known.
            frame.ends_as = None;
        }
        if let Some(task) = self.tasks.get_mut(&id) {
            task.continues = true;
        }
    }

    fn enqueue(&mut self, record: &Record, id: TaskId, due: Option<Time>) {
        let (Some(frame), Some(run)) = (
            self.frames.get_mut(&id.frame),
            self.runs.get_mut(&record.run_id),
        ) else {
            return;
        };
        frame.attempts = frame.attempts.max(id.attempt);
        run.tasks_queued += 1;
        let invocation = frame.spec.invocation_at(frame.fallback);
        let agent = invocation.filter(|invocation| invocation.driver.is_some());
        let lane = self.queue.lane(
            record.run_id,
            &run.pools,
            frame.spec.pool.as_deref(),
            agent.map(|invocation| invocation.tool.as_str()),
        );
        let place = self.queue.place(record.ts, frame.spec.priority);
        let task = Task {
            run: record.run_id,
            state: TaskState::Queued,
            stopping: None,
            queued: record.ts,
            due,
            started: None,
            ended: None,
            ending: None,
            fallback: frame.fallback,
            continues: false,
            orders: Vec::new(),
            waits: Vec::new(),
            idle: false,
            activity: None,
            asked: Vec::new(),
            subagents: Vec::new(),
            counted: Usage::default(),
            lane,
            place,
        };
        self.tasks.insert(id, task);
        self.queue_or_park(id.frame);
    }

    fn apply_task_started(&mut self, record: &Record, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        self.queue.remove(id, &task.lane, task.place, task.due);
        self.queue.started(id, &task.lane);
        task.state = TaskState::Running;
        task.started = Some(record.ts);
        if let Some(run) = self.runs.get_mut(&record.run_id) {
            run.tasks_queued = run.tasks_queued.saturating_sub(1);
            run.tasks_running += 1;
        }
    }

    fn apply_task_end(
        &mut self,
        record: &Record,
        id: TaskId,
        state: TaskState,
        ending: &TaskEnding,
    ) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        let run = self.runs.get_mut(&record.run_id);
        match (task.state, run) {
            (TaskState::Queued, Some(run)) => run.tasks_queued = run.tasks_queued.saturating_sub(1),
            (TaskState::Running | TaskState::Paused, Some(run)) => {
                run.tasks_running = run.tasks_running.saturating_sub(1)
            }
            _ => {}
        }
        self.queue.remove(id, &task.lane, task.place, task.due);
        self.queue.ended(id, &task.lane);
        if let Some(until) = ending.retry_at {
            self.queue.hold(&task.lane, until);
        }
        task.state = state;
        task.ended = Some(record.ts);
        task.ending = Some(ending.clone());
        task.waits.clear();
        task.idle = false;
        self.settle_usage(id);
        self.leave_sessions(record.ts, id);
    }

    fn remember_answer(&mut self, record: &Record) {
        let Some(cmd_id) = &record.cmd_id else {
            return;
        };
        if !self.answers.contains_key(cmd_id) {
            self.answers_order.push_back(cmd_id.clone());
            if self.answers_order.len() > ANSWERS_MAX
                && let Some(oldest) = self.answers_order.pop_front()
            {
                self.answers.remove(&oldest);
            }
        }
        let answer = self.answers.entry(cmd_id.clone()).or_default();
        answer.run = Some(record.run_id);
        answer.moved += u32::from(record.frame_id.is_some());
        let frames = match &record.event {
            Event::StateReset(reset) => reset.frames.as_slice(),
            _ => record.frame_id.as_slice(),
        };
        let room = ANSWER_IDS_MAX.saturating_sub(answer.frames.len());
        answer.frames.extend(frames.iter().take(room));
        answer.frames.dedup();
        if answer.tasks.len() < ANSWER_IDS_MAX {
            answer.tasks.extend(record.task_id);
            answer.tasks.dedup();
        }
    }
}

impl Counts {
    /// The count of one status.
    pub fn of(&mut self, status: FrameStatus) -> &mut u32 {
        match status {
            FrameStatus::Planned => &mut self.planned,
            FrameStatus::InProgress => &mut self.in_progress,
            FrameStatus::Completed => &mut self.completed,
            FrameStatus::Failed => &mut self.failed,
            FrameStatus::Blocked => &mut self.blocked,
            FrameStatus::Invalidated => &mut self.invalidated,
        }
    }
}
