//! Runs that are not this installation's, and data that is no longer where it was opened.

use std::collections::BTreeSet;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{RunId, TaskId};
use fornax_core::record::{Actor, Record};
use fornax_core::state::{Command, Target};
use fornax_core::status::RunStatus;
use fornax_core::view::{Answer, Change};
use fornax_journal::{Exclusion, JournalError, Recovery};

use super::super::collector::lost;
use super::super::{Acceptance, Place};
use super::{Replies, Worker};

impl Worker {
    /// The records of a run that may be acted on.
    pub(super) fn own_records(&self, run: RunId) -> Result<Vec<Record>, Error> {
        if let Some(why) = self.excluded.get(&run) {
            return Err(why.error(run));
        }
        let Some(writer) = &self.writer else {
            return Err(self.refused());
        };
        let damaged = |error: JournalError| match error {
            JournalError::Damaged(_) => Exclusion::Damaged(error.to_string()).error(run),
            error => error.into(),
        };
        let records = writer.read_run(run).map_err(damaged)?;
        records.map_err(|why| why.error(run))
    }

    /// Carries on a run that a person has accepted.
    pub(super) fn accept(
        &mut self,
        acceptance: Acceptance,
        records: &mut Vec<Record>,
        replies: &mut Replies,
    ) {
        let accepted = self.accept_run(acceptance.run, &acceptance.digest, records);
        let answer = accepted.map(|()| Answer::default());
        let reply = acceptance.reply;
        let tell = move |_: &mut Worker, answer: Result<Answer, Error>| {
            // Nobody waits any more: nothing to tell.
            let _ = reply.send(answer.map(drop));
        };
        replies.push((Box::new(tell), answer));
    }

    fn accept_run(
        &mut self,
        run: RunId,
        digest: &str,
        records: &mut Vec<Record>,
    ) -> Result<(), Error> {
        if self.state.run(run).is_some() {
            let message = format!("{run} is this installation's own: there is nothing to accept");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let Some(writer) = &mut self.writer else {
            return Err(self.refused());
        };
        let (candidate, why) = writer.accept(run, digest)?;
        self.accepted.push(run);
        self.state.load(self.clock.now(), &candidate.records);
        // Not those that begin because of what follows.
        self.launcher.adopt_only(self.running_in(run));
        if matches!(why, Exclusion::Restored { .. }) {
            self.lose_open_work(run, records);
        } else {
            self.lose_tasks_without_folder(run, records);
        }
        Ok(())
    }

    /// Publishes a run that has just become this installation's.
    pub(super) fn publish_accepted(&mut self, run: RunId) {
        self.excluded.remove(&run);
        self.let_go_of_ended(std::iter::once(run));
        let look = self.look();
        let change = Change {
            runs: look.run(run).into_iter().collect(),
            frames: self.state.run_frames(run).collect(),
            tasks: self.state.run_tasks(run).collect(),
            ..Change::default()
        };
        self.shared.feed.publish(change);
    }

    /// Why a run is read-only, from its records; none where it may be acted on. The state directory may
    /// lack the head of a run of ours, after a power cut: then it is noted.
    pub(super) fn origin(&mut self, run: RunId) -> Result<Option<Exclusion>, Error> {
        if let Some(why) = self.excluded.get(&run) {
            return Ok(Some(why.clone()));
        }
        if self.state.run(run).is_some() {
            return Ok(None);
        }
        let Some(writer) = &mut self.writer else {
            return Err(self.refused());
        };
        Ok(writer.check_run(run)?)
    }

    /// Logs once why an older copy of a journal may go unnoticed.
    pub(super) fn log_head_problem(&mut self) {
        let problem = self
            .writer
            .as_ref()
            .and_then(|writer| writer.head_problem());
        if problem != self.head_problem.as_deref() {
            if let Some(problem) = problem {
                tracing::error!(problem, "the state directory lacks where journals end");
            }
            self.head_problem = problem.map(str::to_owned);
        }
    }

    /// A task that was started elsewhere and has no folder here is lost: it must not start again.
    fn lose_tasks_without_folder(&mut self, run: RunId, records: &mut Vec<Record>) {
        for task in self.running_in(run) {
            if self.project.task_dir(run, task).is_dir() {
                continue;
            }
            let outcome = lost("it was started elsewhere, and its folder is not here".to_owned());
            let ended = Command::TaskEnded { task, outcome };
            self.execute(&Actor::DAEMON, None, &ended, records);
        }
    }

    /// Tasks that were running when a person accepted their run: a supervisor of an earlier version, or
    /// of another installation, may still run them, and they never start again.
    pub(super) fn adopt_accepted(&mut self, recovery: &Recovery) {
        for open in recovery.open.iter().filter(|open| open.accepted_seq > 0) {
            let accepted = open
                .records
                .iter()
                .take_while(|record| record.seq <= open.accepted_seq);
            let started: BTreeSet<TaskId> = accepted.filter_map(|record| record.task_id).collect();
            let running = self.running_in(open.run);
            let adopted = running.into_iter().filter(|task| started.contains(task));
            self.launcher.adopt_only(adopted);
        }
    }

    fn running_in(&self, run: RunId) -> Vec<TaskId> {
        let running = self.state.running().filter(|(_, task)| task.run == run);
        running.map(|(id, _)| id).collect()
    }

    /// After an older copy of a journal was put back, whatever was open in it may have run since:
    /// nothing of it runs again unless a person retries it.
    fn lose_open_work(&mut self, run: RunId, records: &mut Vec<Record>) {
        let reason =
            "an older copy of the journal was put back: what was open in it may have run since";
        let tasks = self.running_in(run);
        let stop = Command::Stop {
            target: Target::Run(run),
            reason: reason.to_owned(),
        };
        let stopped = self.execute(&Actor::DAEMON, None, &stop, records);
        if let Some(Err(error)) = stopped {
            // It had ended.
            tracing::info!(%run, %error, "nothing of a run that was put back is open");
        }
        for task in tasks {
            let outcome = lost(reason.to_owned());
            let ended = Command::TaskEnded { task, outcome };
            self.execute(&Actor::DAEMON, None, &ended, records);
        }
    }

    /// Journals were changed by something else while they were open. What is on the disk now is read;
    /// runs whose journals are gone have ended.
    pub(super) fn read_replaced_journals(&mut self) {
        let open: Vec<RunId> = self.open_runs();
        let tasks: Vec<(RunId, TaskId)> = self
            .state
            .running()
            .map(|(id, task)| (task.run, id))
            .collect();
        let look = self.look();
        let views: Vec<_> = open.iter().filter_map(|&run| look.run(run)).collect();
        if let Err(error) = self.read_journals() {
            tracing::error!(%error, "the journals cannot be read");
            self.set_problem(Some(error.message));
            return;
        }
        let gone = |run: RunId| self.state.run(run).is_none();
        let mut change = Change::default();
        for mut view in views.into_iter().filter(|view| gone(view.id)) {
            view.status = RunStatus::Failed;
            view.ended_ms = Some(self.clock.now().0);
            let why = self.excluded.get(&view.id);
            view.reason = Some(match why {
                Some(why) => format!("it is read-only from now on: {why}"),
                None => "its journal was deleted while it ran; its tasks are stopped".to_owned(),
            });
            view.foreign = why.map(ToString::to_string);
            change.runs.push(view);
        }
        for (run, task) in tasks {
            if gone(run) && !self.excluded.contains_key(&run) {
                self.launcher.stop(task);
            }
        }
        self.shared.feed.publish(change);
    }

    fn open_runs(&self) -> Vec<RunId> {
        let open = self.state.runs().filter(|(_, run)| run.ended.is_none());
        open.map(|(id, _)| id).collect()
    }

    /// Whether the project's data is where it was opened. Where it was deleted, nothing can be recorded
    /// any more: the tasks are stopped, and the runs are reported as failed.
    pub(super) fn check_place(&mut self) -> Place {
        if let Some(place) = &self.displaced {
            return place.clone();
        }
        let place = self.anchor.place();
        if place == Place::Here {
            return place;
        }
        tracing::warn!(
            ?place,
            "the project's data is no longer where it was opened"
        );
        let (reason, ended) = match &place {
            Place::Moved(to) => (format!("the project was moved to {}", to.display()), false),
            _ => (
                "the project's data was deleted while the run was open; its tasks are stopped"
                    .to_owned(),
                true,
            ),
        };
        if ended {
            self.end_unrecorded(&reason);
        }
        self.writer = None;
        self.displaced = Some(place.clone());
        self.set_problem(Some(reason));
        // A hub that has ended needs no word.
        let _ = self.shared.displaced.send((self.id.clone(), place.clone()));
        place
    }

    /// Ends all open runs of which nothing can be recorded.
    fn end_unrecorded(&mut self, reason: &str) {
        let now = self.clock.now().0;
        let look = self.look();
        let runs = self.open_runs().into_iter().filter_map(|run| {
            let mut view = look.run(run)?;
            view.status = RunStatus::Failed;
            view.reason = Some(reason.to_owned());
            view.ended_ms = Some(now);
            Some(view)
        });
        let change = Change {
            runs: runs.collect(),
            ..Change::default()
        };
        self.shared.feed.publish(change);
        let running: Vec<TaskId> = self.state.running().map(|(id, _)| id).collect();
        for task in running {
            self.launcher.stop(task);
        }
    }
}
