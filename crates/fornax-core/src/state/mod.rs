//! The state of a project's runs, and the only ways to change it.
//!
//! A [`Command`] is decided ([`State::execute`]) into facts; each fact becomes a [`Record`] and is
//! applied; what follows from the new state by itself (a frame whose dependencies are completed, a
//! free slot) is decided in the same way until nothing follows any more. The records are the truth:
//! applying them again, in their order, gives the same state.
//!
//! Nothing in here reads a clock, a file or a random number.

mod agents;
mod apply;
mod command;
mod decide;
mod doing;
mod follow;
mod go_on;
mod launch;
mod pause;
mod queue;
mod rerun;
mod reset;
mod stack;
mod summary;
mod views;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_agents;
#[cfg(test)]
mod tests_doing;
#[cfg(test)]
mod tests_pause;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::agent::{Activity, Order, Permission, Usage};
use crate::error::Error;
use crate::event::{Artifact, Event, TaskEnding};
use crate::frame::{Checkpoint, FrameDecision, FrameLimits, SessionId, Summary};
use crate::ids::{CmdId, FrameId, RunId, TaskId};
use crate::record::{Actor, Labels, Record};
use crate::spec::{FrameSpec, OnFailure};
use crate::status::{FrameStatus, RunStatus, TaskState};
use crate::time::Time;
use crate::view::{Answer, Counts, Span};

pub use command::{AgentOutcome, Command, Outcome, Target};
pub use launch::{Launch, LaunchContext};
pub use queue::Limits;
use queue::Queue;
use stack::Subagents;
pub use stack::{Answering, Auto, AutonomyReply, Invalidation, Subagent, new_frames};

/// How many answers to commands are remembered, so that a command sent twice is carried out once.
const ANSWERS_MAX: usize = 10_000;

/// How many ids an [`Answer`] lists.
const ANSWER_IDS_MAX: usize = 100;

/// All runs that go on, and those that ended lately.
#[derive(Debug, Clone, Default)]
pub struct State {
    runs: BTreeMap<RunId, Run>,
    frames: HashMap<FrameId, Frame>,
    tasks: HashMap<TaskId, Task>,
    queue: Queue,
    answers: HashMap<CmdId, Answer>,
    answers_order: VecDeque<CmdId>,
    /// Conversations that are no task's own, and where tasks' own have gone from their frame.
    sessions: BTreeMap<SessionId, Session>,
    subagents: Subagents,
    /// What is seen in sessions' traces, and what comes of it. Not from the journal.
    autonomy: stack::Autonomy,
    /// Counts what is applied, so that one can tell whether a frame has changed.
    version: u64,
    /// Frames that others depend on but that have not been created yet, with those who wait.
    awaited: HashMap<FrameId, Vec<FrameId>>,
    /// Frames for which something may follow from the last changes. Derived: it can be made again
    /// from the rest, and a frame that is in it for nothing is passed over.
    agenda: VecDeque<FrameId>,
    /// Frames of which something has changed that no record of theirs tells.
    news: BTreeSet<FrameId>,
}

/// A session: where it stands in the call stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its run.
    pub run: RunId,
    /// The frame that it began in: it cannot be popped by accident of what is above it.
    pub home: FrameId,
    /// The frame that it works in now.
    pub active: FrameId,
    /// Since when.
    pub since: Time,
}

/// A question to a human that nobody has answered, or the answer to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// What is asked.
    pub checkpoint: Checkpoint,
    /// Who waits.
    pub session: SessionId,
    /// Since when.
    pub since: Time,
    /// The answer.
    pub answer: Option<String>,
}

/// What a conversation was shortened to, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortened {
    /// The session whose conversation it was.
    pub session: SessionId,
    /// When.
    pub at: Time,
    /// What to.
    pub summary: Summary,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The plan's name.
    pub name: String,
    /// The plan's file.
    pub plan: Option<String>,
    /// Where it stands.
    pub status: RunStatus,
    /// Why, where that is not plain.
    pub reason: Option<String>,
    /// The root frame, once it is created.
    pub root: Option<FrameId>,
    /// Its frames in the order of their creation.
    pub frames: Vec<FrameId>,
    /// The number of its newest event.
    pub seq: u64,
    /// When it began.
    pub started: Time,
    /// When it ended.
    pub ended: Option<Time>,
    /// Its frames by status, groups not counted.
    pub counts: Counts,
    /// Tasks that have a process.
    pub tasks_running: u32,
    /// Tasks that wait for a slot or for their time.
    pub tasks_queued: u32,
    /// What the model calls of its tasks used.
    pub usage: Usage,
    /// Whether a human holds it.
    pub paused: bool,
    /// How much agents may add to it now.
    pub limits: FrameLimits,
    /// How many frames agents added to it.
    pub added: u32,
    first_limits: FrameLimits,
    on_failure: OnFailure,
    pools: BTreeMap<String, u32>,
    /// How it will end once nothing runs any more, while it is being stopped.
    ends_as: Option<RunStatus>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Its run.
    pub run: RunId,
    /// Its parent.
    pub parent: Option<FrameId>,
    /// Frames within it.
    pub children: Vec<FrameId>,
    /// Frames that must be completed before it starts.
    pub depends_on: Vec<FrameId>,
    /// Frames that wait for it.
    pub dependants: Vec<FrameId>,
    /// What the plan says of it.
    pub spec: Arc<FrameSpec>,
    /// Where it stands.
    pub status: FrameStatus,
    /// Each status it had, since when and why.
    pub history: Vec<(FrameStatus, Time, Option<String>)>,
    /// Whether its condition did not hold.
    pub skipped: bool,
    /// What it is to achieve, as it is now.
    pub goal: String,
    /// What came of it.
    pub results: String,
    /// The same in short, where somebody wrote that.
    pub results_compact: String,
    /// The files that came of it.
    pub artifacts: Vec<Artifact>,
    /// What was decided in it.
    pub decisions: Vec<FrameDecision>,
    /// What was asked of humans in it.
    pub checkpoints: Vec<Asked>,
    /// What its conversation was shortened to, each time.
    pub summaries: Vec<Shortened>,
    /// What the summary that somebody asked for is to heed, until it comes.
    pub summary_wanted: Option<String>,
    /// The session that made it; none for a plan's own.
    pub made_by: Option<SessionId>,
    /// Where it is a subagent's: the session that began the subagent.
    pub subagent_of: Option<SessionId>,
    /// What the subagent whose frame it is used, as far as that is written down.
    pub subagent_usage: Usage,
    /// Whether something that it was built on was invalidated since it was completed.
    pub stale: bool,
    /// How its task's agent said that it will end, once the task has ended.
    pub ends_as: Option<FrameStatus>,
    /// The number of the newest event about it.
    pub seq: u64,
    /// How many attempts there have been, ever.
    pub attempts: u32,
    /// When work on it first began, since it was last planned.
    pub started: Option<Time>,
    /// When it was settled.
    pub ended: Option<Time>,
    /// What was done in it since it started; empty while it has been worked on all the time.
    pub spans: Vec<Span>,
    /// Whether a human holds it, and all within it.
    pub paused: bool,
    result_from: Option<FrameId>,
    /// Attempts that do not count against its retries: it was planned again after them, another
    /// tool is tried since, or its provider said when to come back.
    attempts_forgiven: u32,
    /// The place of the tool that is tried now, in its chain of tools.
    fallback: u32,
    /// How often in a row its provider said when to come back.
    rate_limited: u32,
    /// Dependencies that are not completed, and its parent while that is not in progress.
    waiting_on: u32,
    /// Dependencies (and its parent) that are settled without being completed.
    broken: u32,
    /// Children that are not settled.
    open_children: u32,
    /// How many frames lie around it.
    depth: u32,
    /// When it last changed, by the state's count, and when a frame within it last did.
    version: u64,
    family_version: u64,
}

/// A task.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its run.
    pub run: RunId,
    /// Where it stands.
    pub state: TaskState,
    /// Why it was told to stop, if it was.
    pub stopping: Option<String>,
    /// When it was queued.
    pub queued: Time,
    /// The moment before which it will not start.
    pub due: Option<Time>,
    /// When it started.
    pub started: Option<Time>,
    /// When it ended.
    pub ended: Option<Time>,
    /// How it ended.
    pub ending: Option<TaskEnding>,
    /// The place of its tool in the frame's chain of tools.
    pub fallback: u32,
    /// Whether it goes on with the conversation of the attempt before, which pushed frames.
    pub continues: bool,
    /// What its agent has been told, in this order.
    pub orders: Vec<Order>,
    /// What its agent asks, and nobody has answered.
    pub waits: Vec<Permission>,
    /// Whether its agent waits for a prompt.
    pub idle: bool,
    /// What was seen of its agent. Not from the journal.
    pub activity: Option<Box<Activity>>,
    /// The ids of all that its agent ever asked.
    asked: Vec<String>,
    /// The frames of its agent's subagents, and of theirs.
    subagents: Vec<FrameId>,
    /// What of its usage is in its run's.
    counted: Usage,
    /// The queue's lane that it waits or runs in.
    lane: Arc<str>,
    /// Its place in the lane, for as long as it is queued.
    place: queue::Place,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// The records to be written; they have been applied.
    pub records: Vec<Record>,
    /// What the caller is told once they are durable.
    pub answer: Answer,
}

/// Something that was decided: a record that has no number yet.
#[derive(Debug, Clone)]
struct Fact {
    run: RunId,
    frame: Option<FrameId>,
    task: Option<TaskId>,
    event: Event,
}

impl State {
    /// A state without runs.
    #[must_use]
    pub fn new(limits: Limits) -> State {
        State {
            queue: Queue::new(limits),
            ..State::default()
        }
    }

    /// Carries a command out, with all that follows from it.
    ///
    /// # Errors
    /// Where the command does not fit the state, which is then unchanged.
    pub fn execute(
        &mut self,
        now: Time,
        actor: &Actor,
        cmd_id: Option<&CmdId>,
        command: &Command,
    ) -> Result<Executed, Error> {
        if let Some(answer) = cmd_id.and_then(|id| self.answer_to(id)) {
            return Ok(Executed {
                records: Vec::new(),
                answer,
            });
        }
        if let Command::Report {
            session, report, ..
        } = command
        {
            self.see_subagent(now, session, report);
        }
        let facts = self.decide(now, command)?;
        let mut records = Vec::with_capacity(facts.len());
        self.commit(now, actor, cmd_id, facts, &mut records);
        let answer = cmd_id.and_then(|id| self.answers.get(id)).cloned();
        while let Some(facts) = self.next_facts(now) {
            self.commit(now, &Actor::SCHEDULER, None, facts, &mut records);
        }
        self.heed(&records);
        mark_step(&mut records);
        Ok(Executed {
            records,
            answer: answer.unwrap_or_default(),
        })
    }

    /// What a command came to that was given before with the same id.
    #[must_use]
    pub fn answer_to(&self, cmd_id: &CmdId) -> Option<Answer> {
        let answer = self.answers.get(cmd_id)?.clone();
        Some(Answer {
            repeated: true,
            ..answer
        })
    }

    /// Gives facts their numbers and applies them.
    fn commit(
        &mut self,
        now: Time,
        actor: &Actor,
        cmd_id: Option<&CmdId>,
        facts: Vec<Fact>,
        records: &mut Vec<Record>,
    ) {
        for fact in facts {
            let record = self.record(now, actor, cmd_id, fact);
            self.apply(&record);
            records.push(record);
        }
    }

    fn record(&self, now: Time, actor: &Actor, cmd_id: Option<&CmdId>, fact: Fact) -> Record {
        let summary = self.summary(&fact);
        let labels = match (&fact.event, fact.frame.and_then(|id| self.frames.get(&id))) {
            // The event's own fields have the other two.
            (Event::FrameCreated(created), _) => Labels {
                phase: None,
                agent_role: None,
                ..labels_of(&created.spec, 0)
            },
            (_, Some(frame)) => labels_of(&frame.spec, self.chain_place(&fact, frame)),
            _ => Labels::default(),
        };
        Record {
            seq: self.runs.get(&fact.run).map_or(0, |run| run.seq) + 1,
            ts: now,
            run_id: fact.run,
            frame_id: fact.frame,
            task_id: fact.task,
            labels,
            event: fact.event,
            actor: actor.clone(),
            cmd_id: cmd_id.cloned(),
            summary,
            more: false,
        }
    }

    /// The place, in its frame's chain, of the tool that a fact is about.
    fn chain_place(&self, fact: &Fact, frame: &Frame) -> u32 {
        match (&fact.event, fact.task.and_then(|id| self.tasks.get(&id))) {
            (Event::TaskRetryScheduled(retry), _) => retry.fallback,
            (_, Some(task)) => task.fallback,
            (_, None) => frame.fallback,
        }
    }

    /// Takes up runs from their records, as after a start of the daemon. Nothing follows from it
    /// until the next command.
    pub fn load<'a>(&mut self, now: Time, records: impl IntoIterator<Item = &'a Record>) {
        for record in records {
            self.apply(record);
        }
        let open = self
            .frames
            .iter()
            .filter(|(_, frame)| !frame.status.is_settled());
        let mut open: Vec<FrameId> = open.map(|(id, _)| *id).collect();
        open.sort_unstable();
        for id in &open {
            self.forget_set_back_clock(now, *id);
        }
        self.agenda = open.into();
    }

    /// A retry waits no longer than its longest wait, though the clock was set back since.
    fn forget_set_back_clock(&mut self, now: Time, id: FrameId) {
        let Some(frame) = self.frames.get(&id) else {
            return;
        };
        let latest = now.plus_ms(frame.spec.retry.backoff_max_ms);
        let newest = frame
            .newest_task(id)
            .and_then(|id| Some((id, self.tasks.get_mut(&id)?)));
        if let Some((task_id, task)) = newest
            && task.state == TaskState::Queued
            && task.due.is_some_and(|due| due > latest)
        {
            self.queue.remove(task_id, &task.lane, task.place, task.due);
            task.due = Some(latest);
            self.queue_or_park(id);
        }
    }

    /// Lets go of a run that has ended. Its journal stays; it can be loaded again.
    pub fn forget(&mut self, id: RunId) {
        if self.runs.get(&id).is_none_or(|run| run.ended.is_none()) {
            return;
        }
        let Some(run) = self.runs.remove(&id) else {
            return;
        };
        for frame_id in run.frames {
            if let Some(frame) = self.frames.remove(&frame_id) {
                for task in frame.tasks(frame_id) {
                    self.tasks.remove(&task);
                }
                self.subagents.forget_frame(&frame);
            }
        }
        self.sessions.retain(|_, session| session.run != id);
        self.subagents.forget(id);
        self.forget_traces();
        self.queue.forget(id);
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = (RunId, &Run)> {
        self.runs.iter().map(|(id, run)| (*id, run))
    }

    /// A run.
    #[must_use]
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id)
    }

    /// A frame.
    #[must_use]
    pub fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(&id)
    }

    /// A task.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.get(&id)
    }

    /// The tasks that should have a process now; those among them that are `stopping` should not
    /// have it much longer. Effects are derived from this and from nothing else.
    pub fn running(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        let tasks = self.queue.running().iter();
        tasks.filter_map(|id| Some((*id, self.tasks.get(id)?)))
    }

    /// The next moment at which something becomes due by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        let autonomy = self.autonomy.next_expiry();
        let all = [self.queue.next_due(), autonomy, self.subagents_due()];
        all.into_iter().flatten().min()
    }

    /// Changes the limits; a lower one lets what runs go on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.queue.set_limits(limits);
    }
}

/// Marks the records of one step, run by run: all but the last of each run have more to come.
fn mark_step(records: &mut [Record]) {
    let mut ended = BTreeSet::new();
    for record in records.iter_mut().rev() {
        record.more = !ended.insert(record.run_id);
    }
}

/// The labels of a frame, with the tool at a place of its chain.
fn labels_of(spec: &FrameSpec, place: u32) -> Labels {
    let invocation = spec.invocation_at(place);
    Labels {
        phase: spec.phase.clone(),
        agent_role: spec.agent_role.clone(),
        tool: invocation.map(|invocation| invocation.tool.clone()),
        mode: invocation.map(|invocation| invocation.mode),
    }
}

impl Frame {
    /// Whether it only holds other frames together.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.spec.invocation.is_none() && self.made_by.is_none()
    }

    /// Whether sessions work in it, and no task of its own.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.spec.invocation.is_none() && self.made_by.is_some()
    }

    /// What its conversation was shortened to last, where that was told.
    #[must_use]
    pub fn last_summary(&self) -> Option<&str> {
        let mut texts = self.summaries.iter().map(|short| short.summary.text.trim());
        texts.rfind(|text| !text.is_empty())
    }

    /// Its tasks, oldest first. `id` is the frame's own.
    pub fn tasks(&self, id: FrameId) -> impl DoubleEndedIterator<Item = TaskId> + use<> {
        (1..=self.attempts).map(move |attempt| TaskId { frame: id, attempt })
    }

    /// Its newest task. `id` is the frame's own.
    #[must_use]
    pub fn newest_task(&self, id: FrameId) -> Option<TaskId> {
        self.tasks(id).next_back()
    }

    /// Why it has the status it has.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.history.last()?.2.as_deref()
    }
}
