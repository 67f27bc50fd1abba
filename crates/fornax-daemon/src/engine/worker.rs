//! The engine's thread: batches, their durability, and what is told after.

mod autonomy;
mod origin;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use fornax_core::context::Cache;
use fornax_core::error::Error;
use fornax_core::event::Event;
use fornax_core::frame::{FrameLimits, SessionId};
use fornax_core::ids::{FrameId, RunId, TaskId};
use fornax_core::record::{Actor, Record};
use fornax_core::state::{Command, Limits, State};
use fornax_core::status::TaskState;
use fornax_core::time::Time;
use fornax_core::view::{Answer, Change, StalledTask};
use fornax_journal::{
    AppendError, Derived, Exclusion, JournalError, Project, Recovery, TelemetryWriter, Writer,
};
use tokio::sync::oneshot;

use super::agents::sessions::Seen;
use super::launcher::Launcher;
use super::place::{Anchor, Place};
use super::{
    Ask, Look, Message, Settings, Shared, SharedRules, Stall, Start, project_view, storage,
};

/// How many messages share one batch at most.
const BATCH_MAX: usize = 512;

/// How many ended runs stay in memory.
const ENDED_RUNS_MAX: usize = 32;

/// How often the engine looks, while tasks run, whether the project's data is still there: nothing may run
/// unseen. This and the next are all that it does by the clock alone.
const PLACE_CHECK: Duration = Duration::from_secs(2);

/// How often a full disk is tried again.
const STORAGE_RETRY: Duration = Duration::from_secs(1);

/// What is done with the outcome of a command once it is durable.
pub(super) type Reply = Box<dyn FnOnce(&mut Worker, Result<Answer, Error>) + Send>;
pub(super) type Replies = Vec<(Reply, Result<Answer, Error>)>;

/// Sends the answer to whoever waits for it; where nobody does any more, there is nothing to tell.
pub(super) fn answer_to(waiting: oneshot::Sender<Result<Answer, Error>>) -> Reply {
    Box::new(|_, answer| drop(waiting.send(answer)))
}

/// What the launcher was told of a task.
#[derive(Clone, Copy)]
struct Ensured {
    stop: bool,
    suspended: bool,
}

pub(super) struct Worker {
    id: String,
    pub(super) project: Project,
    shared: Shared,
    pub(super) state: State,
    limits: Limits,
    /// None while the disk refuses: then nothing is decided, so that nothing is decided in vain.
    pub(super) writer: Option<Writer>,
    problem: Option<String>,
    stalled: BTreeMap<TaskId, StalledTask>,
    /// Tasks that the launcher has been given, and what it was told of them.
    ensured: HashMap<TaskId, Ensured>,
    /// How many of a task's orders are on their way to its agent.
    told: HashMap<TaskId, usize>,
    launcher: Launcher,
    rules: SharedRules,
    derived: Derived,
    contexts: RefCell<Cache>,
    context_budget: usize,
    pub(super) frame_limits: FrameLimits,
    /// An id for the next frame that comes of a report, whichever that is.
    pub(super) spare: Option<FrameId>,
    pub(super) clock: Clock,
    ended_runs: VecDeque<RunId>,
    /// Open runs that are not carried on, and why.
    excluded: BTreeMap<RunId, Exclusion>,
    /// Runs that a person accepts in this batch: not this installation's before it is durable.
    accepted: Vec<RunId>,
    /// Why the state directory lacks the newest heads, as it was logged.
    head_problem: Option<String>,
    anchor: Anchor,
    /// Where the data went, once it is no longer where it was opened: nothing can be recorded then.
    displaced: Option<Place>,
}

/// The wall clock, read once; from then on time goes by monotonically, whatever is done to the
/// wall clock.
pub(super) struct Clock {
    wall_ms: i64,
    since: Instant,
}

impl Clock {
    fn start() -> Clock {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Clock {
            wall_ms: wall.map_or(0, |wall| {
                i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)
            }),
            since: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Time {
        Time(self.wall_ms)
            .plus_ms(u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

impl Worker {
    pub fn open(
        id: String,
        project: Project,
        settings: Settings,
        shared: Shared,
        telemetry: Arc<TelemetryWriter>,
        rules: SharedRules,
        mailbox: mpsc::Sender<Message>,
    ) -> Result<Worker, Error> {
        let own_rules = rules.clone();
        let data = project.data_dir();
        let anchor = Anchor::open(&data).map_err(|error| {
            let message = format!("cannot open {}: {error}", data.display());
            Error::new(fornax_core::error::ErrorKind::Storage, message)
        })?;
        let launcher =
            Launcher::start(&id, &project, &shared, &settings, telemetry, rules, mailbox)?;
        let derived = Derived::start(&project)?;
        let mut worker = Worker {
            id,
            derived,
            project,
            shared,
            state: State::default(),
            limits: settings.limits,
            writer: None,
            problem: None,
            stalled: BTreeMap::new(),
            ensured: HashMap::new(),
            told: HashMap::new(),
            launcher,
            contexts: RefCell::default(),
            context_budget: settings.context_budget,
            frame_limits: settings.frame_limits,
            spare: None,
            rules: own_rules,
            clock: Clock::start(),
            ended_runs: VecDeque::new(),
            excluded: BTreeMap::new(),
            accepted: Vec::new(),
            head_problem: None,
            anchor,
            displaced: None,
        };
        worker.read_subagent_settings();
        worker.read_journals()?;
        worker.read_autonomy();
        Ok(worker)
    }

    /// Takes the state up from the journals, as they are.
    fn read_journals(&mut self) -> Result<(), Error> {
        self.writer = None;
        let mut state = State::new(self.limits.clone());
        let now = self.clock.now();
        let (writer, recovery) = self.project.writer(&self.shared.installation)?;
        log_recovery(&recovery);
        for run in &recovery.open {
            state.load(now, &run.records);
        }
        state.keep_unrecorded(&mut self.state);
        self.state = state;
        self.adopt_accepted(&recovery);
        self.excluded = recovery.excluded.into_iter().collect();
        self.spare = None;
        self.writer = Some(writer);
        Ok(())
    }

    /// A file of settings of this project, in the state directory.
    pub(super) fn read_settings(&self, name: &str) -> Result<Option<String>, JournalError> {
        let key = self.project.key()?;
        self.shared.installation.read_settings(key, name)
    }

    pub(super) fn write_settings(&self, name: &str, text: &str) -> Result<(), JournalError> {
        let key = self.project.key()?;
        self.shared.installation.write_settings(key, name, text)
    }

    /// Works until it is closed.
    pub fn work(mut self, inbox: &mpsc::Receiver<Message>) {
        // What follows from the state as it was found: tasks to adopt, retries that are due.
        let mut open = self.batch(Vec::new());
        while open {
            let messages = self.receive(inbox);
            open = self.batch(messages);
        }
    }

    /// Waits for messages, or for something to become due.
    fn receive(&self, inbox: &mpsc::Receiver<Message>) -> Vec<Message> {
        let due = self
            .state
            .next_due()
            .map(|due| Duration::from_millis(due.ms_since(self.clock.now())));
        let wait = if self.displaced.is_some() {
            None
        } else if self.writer.is_none() {
            Some(STORAGE_RETRY)
        } else if self.ensured.is_empty() {
            due
        } else {
            Some(due.map_or(PLACE_CHECK, |due| due.min(PLACE_CHECK)))
        };
        let first = match wait {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(wait) => inbox.recv_timeout(wait),
        };
        match first {
            Ok(first) => {
                let mut messages = vec![first];
                messages.extend(inbox.try_iter().take(BATCH_MAX - 1));
                messages
            }
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => vec![Message::Close],
        }
    }

    /// Carries out a batch; false when it was the last.
    fn batch(&mut self, messages: Vec<Message>) -> bool {
        if self.writer.is_none() {
            self.try_storage_again();
        } else if messages.is_empty() {
            self.check_place();
        }
        let mut open = true;
        let mut records = Vec::new();
        let mut replies: Replies = Vec::new();
        let mut queries = Vec::new();
        let mut observed = Vec::new();
        for message in messages {
            match message {
                Message::Command(ask) => self.ask(*ask, &mut records, &mut replies),
                Message::Start(start) => self.start_run(*start, &mut records, &mut replies),
                Message::Report(ask) => self.report(*ask, &mut records, &mut replies),
                Message::Call(ask) => self.call(*ask, &mut records, &mut replies),
                Message::Ended(task, outcome) => {
                    self.stalled.remove(&task);
                    let outcome = *outcome;
                    let ended = Command::TaskEnded { task, outcome };
                    self.execute(&Actor::DAEMON, None, &ended, &mut records);
                }
                Message::Seen(seen) => observed.extend(self.see(*seen, &mut records)),
                Message::Autonomy(ask) => self.answer_about_autonomy(*ask),
                Message::Stalled(task, stall) => self.set_stalled(task, stall),
                Message::Query(query) => queries.push(query),
                Message::TakeUp(run, reply) => {
                    // Nobody waits any more: nothing to tell.
                    let _ = reply.send(self.take_up(run));
                }
                Message::Accept(acceptance) => self.accept(*acceptance, &mut records, &mut replies),
                Message::Origin(run, reply) => {
                    // Nobody waits any more: nothing to tell.
                    let _ = reply.send(self.origin(run));
                }
                Message::Place(reply) => {
                    // Nobody waits any more: nothing to tell.
                    let _ = reply.send(self.check_place());
                }
                Message::Close => open = false,
            }
        }
        self.report_what_is_due(&mut records);
        self.execute(&Actor::DAEMON, None, &Command::Tick, &mut records);
        self.make_durable(&records, replies);
        self.tell_observed(&observed);
        self.tell_advice();
        for query in queries {
            query(&self.look());
        }
        if !open {
            self.launcher.close();
        }
        open
    }

    /// Takes in what was seen of an agent. The task, where that is news.
    fn see(&mut self, seen: Seen, records: &mut Vec<Record>) -> Option<TaskId> {
        let task = seen.task;
        let asked = seen
            .asked
            .into_iter()
            .map(|permission| Command::Asked { task, permission });
        let answered = seen
            .answered
            .into_iter()
            .map(|(permission, decision)| Command::Answered {
                task,
                permission,
                decision,
            });
        let idle = seen.idle_after.map(|taken| Command::Idle { task, taken });
        for command in asked.chain(answered).chain(idle) {
            self.execute(&Actor::DAEMON, None, &command, records);
        }
        self.hear_story(task, &seen.story, seen.shortened, records);
        self.notice(&SessionId::of_task(task), &seen.reports, records);
        self.state.observe(task, seen.activity).then_some(task)
    }

    /// Tells of agents and frames of which no record tells.
    fn tell_observed(&mut self, observed: &[TaskId]) {
        let frames = self.state.frame_news();
        if observed.is_empty() && frames.is_empty() {
            return;
        }
        let look = self.look();
        let runs: BTreeSet<RunId> = observed
            .iter()
            .filter_map(|id| Some(self.state.task(*id)?.run))
            .collect();
        let tasks: BTreeSet<TaskId> = observed.iter().copied().collect();
        self.shared.feed.publish(Change {
            runs: runs.into_iter().filter_map(|id| look.run(id)).collect(),
            frames: frames
                .into_iter()
                .filter_map(|id| self.state.frame_view(id))
                .collect(),
            tasks: tasks
                .into_iter()
                .filter_map(|id| self.state.task_view(id))
                .collect(),
            ..Change::default()
        });
    }

    pub(super) fn look(&self) -> Look<'_> {
        Look {
            project: &self.id,
            state: &self.state,
            problem: self.problem.as_deref(),
            now: self.clock.now(),
            contexts: &self.contexts,
            context_budget: self.context_budget,
            stalled: &self.stalled,
            excluded: &self.excluded,
            writer: self.writer.as_ref(),
        }
    }

    pub(super) fn execute(
        &mut self,
        actor: &Actor,
        cmd_id: Option<&fornax_core::ids::CmdId>,
        command: &Command,
        records: &mut Vec<Record>,
    ) -> Option<Result<Answer, Error>> {
        // While the disk refuses, processes' ends are not taken in: they are asked for again.
        self.writer.as_ref()?;
        let executed = self.state.execute(self.clock.now(), actor, cmd_id, command);
        Some(executed.map(|executed| {
            records.extend(executed.records);
            executed.answer
        }))
    }

    fn ask(&mut self, ask: Ask, records: &mut Vec<Record>, replies: &mut Replies) {
        let outcome = self.execute(&ask.actor, ask.cmd_id.as_ref(), &ask.command, records);
        let outcome = outcome.unwrap_or_else(|| Err(self.refused()));
        replies.push((answer_to(ask.reply), outcome));
    }

    fn start_run(&mut self, start: Start, records: &mut Vec<Record>, replies: &mut Replies) {
        let outcome = self.claim_and_start(&start, records);
        replies.push((answer_to(start.reply), outcome));
    }

    fn claim_and_start(
        &mut self,
        start: &Start,
        records: &mut Vec<Record>,
    ) -> Result<Answer, Error> {
        if let Some(answer) = self.state.answer_to(&start.cmd_id) {
            return Ok(answer);
        }
        let Some(writer) = &mut self.writer else {
            return Err(self.refused());
        };
        self.limits = start.settings.limits.clone();
        self.state.set_limits(self.limits.clone());
        self.launcher.use_settings(&start.settings);
        self.context_budget = start.settings.context_budget;
        self.frame_limits = start.settings.frame_limits;
        let count = u32::try_from(start.spec.frames.len()).unwrap_or(u32::MAX);
        let command = Command::StartRun {
            run: writer.next_run_id(start.date)?,
            frames: writer.reserve_frames(count)?,
            spec: Arc::clone(&start.spec),
        };
        let started = self.execute(&start.actor, Some(&start.cmd_id), &command, records);
        started.unwrap_or_else(|| Err(self.refused()))
    }

    pub(super) fn refused(&self) -> Error {
        let problem = self
            .problem
            .clone()
            .unwrap_or_else(|| "the disk cannot be written".to_owned());
        Error::new(fornax_core::error::ErrorKind::Storage, problem)
            .with_help("Fornax goes on by itself as soon as it can write again; then repeat this")
    }

    /// Writes a batch; then, and only then, tells of it and starts its effects.
    fn make_durable(&mut self, records: &[Record], replies: Replies) {
        let accepted = std::mem::take(&mut self.accepted);
        let appended = match &mut self.writer {
            Some(writer) => append(writer, records, &accepted),
            None => Ok(()),
        };
        if let Err(error) = appended {
            tracing::error!(%error, "the journal cannot be written");
            self.roll_back(&error);
            let told = match &self.problem {
                Some(_) => self.refused(),
                // What is on the disk was read anew, and work continues.
                None => error.into(),
            };
            for (reply, _) in replies {
                reply(self, Err(told.clone()));
            }
            return;
        }
        if self.writer.is_some() {
            self.effects();
        }
        for run in accepted {
            self.publish_accepted(run);
        }
        self.log_head_problem();
        if !records.is_empty() {
            self.tell(records);
            self.derive(records);
            self.let_go_of_ended(records.iter().map(|record| record.run_id));
        }
        for (reply, answer) in replies {
            reply(self, answer);
        }
    }

    /// The journal refused a batch: none of it has happened. The state is read again from what is
    /// durable, and what processes did in the meantime will be asked for again.
    fn roll_back(&mut self, error: &AppendError) {
        // What processes did is asked for again, whatever becomes of the journals.
        self.ensured.clear();
        self.told.clear();
        if self.check_place() != Place::Here {
            return;
        }
        if matches!(
            error,
            AppendError::Displaced { .. } | AppendError::Excluded { .. }
        ) {
            self.read_replaced_journals();
            return;
        }
        let problem = error.to_string();
        if let Err(error) = self.read_journals() {
            tracing::error!(%error, "the journals cannot be read");
        }
        self.writer = None;
        self.set_problem(Some(problem));
    }

    fn try_storage_again(&mut self) {
        if self.check_place() != Place::Here {
            return;
        }
        if !storage::has_room(&self.project.data_dir()) {
            return;
        }
        match self.read_journals() {
            Ok(()) => {
                tracing::info!("the journal can be written again");
                self.set_problem(None);
            }
            Err(error) => self.set_problem(Some(error.message)),
        }
    }

    fn set_problem(&mut self, problem: Option<String>) {
        if self.problem == problem {
            return;
        }
        self.problem = problem;
        let view = project_view(&self.id, self.project.root(), self.problem.as_deref());
        self.tell_open_runs(Change {
            projects: vec![view],
            ..Change::default()
        });
    }

    fn set_stalled(&mut self, task: TaskId, stall: Option<Stall>) {
        match stall {
            Some(Stall { reason, needs_you }) => {
                let since_ms = self.clock.now().0;
                let stalled = StalledTask {
                    task,
                    reason,
                    needs_you,
                    since_ms,
                };
                self.stalled.insert(task, stalled)
            }
            None => self.stalled.remove(&task),
        };
        self.tell_open_runs(Change::default());
    }

    fn tell_open_runs(&self, change: Change) {
        let open = self.state.runs().filter(|(_, run)| run.ended.is_none());
        let look = self.look();
        let change = Change {
            runs: open.filter_map(|(id, _)| look.run(id)).collect(),
            ..change
        };
        self.shared.feed.publish(change);
    }

    fn tell(&self, records: &[Record]) {
        let mut change = self.state.change(&self.id, records);
        let look = self.look();
        change.runs = change
            .runs
            .iter()
            .filter_map(|run| look.run(run.id))
            .collect();
        self.shared.feed.publish(change);
    }

    /// Brings the processes to what the state wants.
    fn effects(&mut self) {
        let mut running = 0;
        for (id, task) in self.state.running() {
            running += 1;
            let wanted = Ensured {
                stop: task.stopping.is_some(),
                suspended: task.state == TaskState::Paused,
            };
            let known = self.ensured.insert(id, wanted);
            if known.is_none() {
                self.launcher.ensure(&self.state, id);
            }
            // One that runs already may have been told something else by the daemon before this one.
            if known.is_none_or(|known| known.suspended != wanted.suspended) {
                self.launcher.suspend(id, wanted.suspended);
            }
            if wanted.stop && known.is_none_or(|known| !known.stop) {
                self.launcher.stop(id);
            }
            if !task.orders.is_empty() {
                let told = self.told.entry(id).or_default();
                for order in task.orders.iter().skip(*told) {
                    self.launcher.tell(task.run, id, order);
                }
                *told = task.orders.len();
            }
        }
        if self.ensured.len() > running {
            let state = &self.state;
            self.ensured
                .retain(|id, _| state.task(*id).is_some_and(|task| !task.state.is_over()));
            let ensured = &self.ensured;
            self.told.retain(|id, _| ensured.contains_key(id));
        }
    }

    /// Hands the files that repeat the journal what has changed.
    fn derive(&self, records: &[Record]) {
        let mut frames = BTreeSet::new();
        let mut runs = BTreeSet::new();
        let mut links: BTreeMap<RunId, Vec<_>> = BTreeMap::new();
        for record in records {
            frames.extend(record.frame_id);
            match &record.event {
                Event::RunStarted(_) | Event::RunFinished(_) => {
                    runs.insert(record.run_id);
                }
                Event::StateReset(reset) => {
                    runs.insert(record.run_id);
                    frames.extend(&reset.frames);
                }
                Event::FrameInvalidated(dropped) => {
                    frames.extend(dropped.cascaded.iter().chain(&dropped.stale));
                }
                Event::FrameCreated(created) => {
                    let link = record.frame_id.map(|id| (created.parent_id, id));
                    links.entry(record.run_id).or_default().extend(link);
                }
                _ => {}
            }
        }
        frames.extend(self.derived.take_behind(frames.len()));
        for id in frames {
            self.hand_over(self.state.frame_detail(id), |json| {
                self.derived.frame(id, json)
            });
        }
        for id in runs {
            self.hand_over(self.state.run_view(&self.id, id), |json| {
                self.derived.run(id, json)
            });
        }
        for (run, links) in links {
            self.derived.grow(run, links);
        }
    }

    fn hand_over(&self, view: Option<impl serde::Serialize>, take: impl FnOnce(String)) {
        match view.map(|view| serde_json::to_string(&view)) {
            Some(Ok(json)) => take(json),
            Some(Err(error)) => tracing::error!(%error, "a derived file cannot be made"),
            None => {}
        }
    }

    fn take_up(&mut self, run: RunId) -> Result<(), Error> {
        if self.state.run(run).is_none() {
            let records = self.own_records(run)?;
            self.state.load(self.clock.now(), &records);
            self.let_go_of_ended(std::iter::once(run));
        }
        Ok(())
    }

    /// Keeps only so many runs that have ended; the journals have them all.
    fn let_go_of_ended(&mut self, touched: impl Iterator<Item = RunId>) {
        for id in touched {
            let ended = self.state.run(id).is_some_and(|run| run.ended.is_some());
            if ended && !self.ended_runs.contains(&id) {
                self.ended_runs.push_back(id);
            }
        }
        while self.ended_runs.len() > ENDED_RUNS_MAX {
            if let Some(oldest) = self.ended_runs.pop_front() {
                self.state.forget(oldest);
            }
        }
    }
}

/// Appends a batch, then makes the runs that it accepts this installation's. Nothing of it is published
/// and no process is started before.
fn append(writer: &mut Writer, records: &[Record], accepted: &[RunId]) -> Result<(), AppendError> {
    if !records.is_empty() {
        writer.append(records)?;
    }
    accepted
        .iter()
        .try_for_each(|&run| writer.confirm_accepted(run).map_err(AppendError::from))
}

fn log_recovery(recovery: &Recovery) {
    for torn in &recovery.torn {
        tracing::warn!(run = %torn.run, ?torn, "the end of a journal was torn; it is cut off");
    }
    for (run, why) in &recovery.excluded {
        tracing::warn!(%run, %why, "an open run is read-only");
    }
    for run in &recovery.deleted {
        tracing::warn!(%run, "the folder of an open run was deleted; the run has ended");
    }
    for file in &recovery.set_aside {
        tracing::warn!(file = %file.display(), "a damaged file was set aside");
    }
}
