//! The one writer of a project's journals.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use fornax_core::ids::{FrameId, RunId};
use fornax_core::record::Record;

use crate::binding::{Binding, Exclusion, Verified};
use crate::counters::Counters;
use crate::disk;
use crate::error::{AcceptError, AppendError, At, JournalError};
use crate::heads::{Accepted, HeadEntry};
use crate::lock::Lock;
use crate::log::{Addition, Head, Log};
use crate::project::Project;
use crate::recovery::{Candidate, cut_off};

/// How many journals are kept open. One that is needed again is opened again.
const HANDLES_MAX: usize = 128;

/// Appends to the journals of a project. There is one writer of a project at a time.
#[derive(Debug)]
pub struct Writer {
    project: Project,
    binding: Binding,
    counters: Counters,
    /// The journals of the open runs; of others only while a batch is about them.
    logs: HashMap<RunId, Log>,
    /// Counts batches, to tell which journal was not used for longest.
    batches: u64,
    /// Why the state directory does not have the newest heads.
    head_problem: Option<String>,
    /// Let go last: a successor must not come before everything is closed.
    _lock: Lock,
}

impl Writer {
    pub(crate) fn new(
        project: Project,
        binding: Binding,
        lock: Lock,
        counters: Counters,
    ) -> Writer {
        Writer {
            project,
            binding,
            counters,
            logs: HashMap::new(),
            batches: 0,
            head_problem: None,
            _lock: lock,
        }
    }

    /// Takes up an open run that was found.
    pub(crate) fn adopt(&mut self, run: RunId, head: Head, verified: Verified, is_finished: bool) {
        let log = Log::of_open_run(&self.project, run, head, verified);
        let entry = HeadEntry {
            is_finished,
            ..log.head_entry()
        };
        self.note_head(run, entry);
        if !is_finished {
            self.logs.insert(run, log);
        }
    }

    /// Notes that an open run has gone.
    pub(crate) fn finish_head(&mut self, run: RunId) {
        if let Some(&entry) = self.binding.heads.get(run) {
            let entry = HeadEntry {
                is_finished: true,
                ..entry
            };
            self.note_head(run, entry);
        }
    }

    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Notes in the state directory where a journal ends.
    pub(crate) fn note_head(&mut self, run: RunId, entry: HeadEntry) {
        if self.binding.heads.get(run) == Some(&entry) {
            return;
        }
        // An older head is safe: what follows it proves itself.
        self.head_problem = self.binding.heads.set(run, entry).err().map(|error| {
            format!(
                "cannot write {}: {error}",
                self.binding.heads.path().display()
            )
        });
    }

    /// Why the state directory does not have the newest heads: then an older copy of a journal may
    /// go unnoticed. None where it has them.
    #[must_use]
    pub fn head_problem(&self) -> Option<&str> {
        self.head_problem.as_deref()
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Where the journal of an open run ends; none for a run that is not open.
    #[must_use]
    pub fn head(&self, run: RunId) -> Option<Head> {
        self.logs.get(&run).map(|log| log.head)
    }

    /// Claims the next run id of a day (`YYYYMMDD` as a decimal number). It is never given again,
    /// not even when the run's folder was deleted.
    ///
    /// # Errors
    /// When the claim cannot be written.
    pub fn next_run_id(&mut self, date: u32) -> Result<RunId, JournalError> {
        let begun = self.binding.heads.runs();
        let highest = begun
            .filter(|run| run.date == date)
            .map(|run| run.number)
            .max();
        self.counters.next_run(date, highest.unwrap_or(0))
    }

    /// Reads a run, all of whose records must be this installation's.
    ///
    /// # Errors
    /// When there is no such run, or the system refuses. The inner error says why the run may not be
    /// acted on.
    pub fn read_run(&self, run: RunId) -> Result<Result<Vec<Record>, Exclusion>, JournalError> {
        let own = self.project.read_own_run(&self.binding, run)?;
        Ok(own.map(|own| own.records))
    }

    /// Why a run may not be acted on, from its records; none where it may. Notes in the state directory
    /// where its journal ends, if that was lost.
    ///
    /// # Errors
    /// When there is no such run, or the system refuses.
    pub fn check_run(&mut self, run: RunId) -> Result<Option<Exclusion>, JournalError> {
        let own = match self.project.read_own_run(&self.binding, run)? {
            Ok(own) => own,
            Err(why) => return Ok(Some(why)),
        };
        if !self.began(run) {
            let log = Log::of_open_run(&self.project, run, own.head, own.verified);
            let entry = HeadEntry {
                is_finished: own.is_finished,
                ..log.head_entry()
            };
            self.note_head(run, entry);
        }
        Ok(None)
    }

    /// Whether this installation began a run, or a person accepted it, as far as the state directory
    /// tells: its records are not read.
    #[must_use]
    pub fn began(&self, run: RunId) -> bool {
        self.binding.heads.get(run).is_some()
    }

    /// Takes on a run that was begun elsewhere, so that records can be appended to it. It is this
    /// installation's only once [`Writer::confirm_accepted`] has returned. `digest` says which records
    /// were shown to the person who accepts ([`Project::read_candidate`]).
    ///
    /// # Errors
    /// When the records are not, or are no longer, those; or when the system refuses.
    pub fn accept(
        &mut self,
        run: RunId,
        digest: &str,
    ) -> Result<(Candidate, Exclusion), AcceptError> {
        let Err(why) = self.project.read_own_run(&self.binding, run)? else {
            return Err(AcceptError::Own(run));
        };
        let candidate = self.project.read_candidate(run)?;
        if candidate.digest() != digest {
            return Err(AcceptError::Changed(run));
        }
        if let Some(torn) = candidate.torn.clone() {
            cut_off(&self.project, run, torn, "torn")?;
        }
        let accepted = Accepted {
            bytes: candidate.head.bytes,
            sha256: candidate.sha256,
        };
        let verified = Verified {
            chain: self.binding.root(run).after_accepted(&accepted.sha256),
            accepted: Some(accepted),
            accepted_seq: candidate.head.seq,
        };
        let marker = self.project.open_marker(run);
        if !candidate.is_finished {
            disk::write_synced(&marker, b"").at("create", &marker)?;
        }
        let log = Log::accepted(&self.project, run, &candidate, verified);
        self.logs.insert(run, log);
        Ok((candidate, why))
    }

    /// Makes a run that was taken on this installation's, durably. What was appended to it by then is
    /// durable already: a crash in between leaves the run as it was, with a person to be asked again.
    ///
    /// # Errors
    /// When it cannot be written, or the run was not taken on.
    pub fn confirm_accepted(&mut self, run: RunId) -> Result<(), JournalError> {
        let Some(log) = self.logs.get(&run) else {
            let project = self.project.root().to_owned();
            return Err(JournalError::NoRun { run, project });
        };
        let entry = log.head_entry();
        if entry.is_finished {
            self.logs.remove(&run);
        }
        if let Some(log) = self.logs.get_mut(&run) {
            log.confirm();
        }
        let path = self.binding.heads.path().to_owned();
        let noted = self.binding.heads.set(run, entry);
        noted
            .and_then(|()| self.binding.heads.sync())
            .at("write", &path)
    }

    /// Takes ids for `count` new frames. They are never given again, also when they are not used.
    ///
    /// # Errors
    /// When the project has used all its numbers, or the claim cannot be written.
    pub fn reserve_frames(&mut self, count: u32) -> Result<Vec<FrameId>, JournalError> {
        self.counters.take_frames(count)
    }

    /// Appends records, durably: one write and one sync for each run among them. The records of a
    /// run follow its last one without a gap; the first one of a new run is number 1.
    ///
    /// # Errors
    /// When the disk is full or fails, or a record does not follow. Nothing of the batch is in any
    /// journal then, and the same records can be given again.
    pub fn append(&mut self, records: &[Record]) -> Result<(), AppendError> {
        self.batches += 1;
        let mut additions = Vec::new();
        let appended = self
            .prepare(records, &mut additions)
            .and_then(|()| self.write(&additions));
        for addition in &additions {
            let Some(log) = self.logs.get_mut(&addition.run) else {
                continue;
            };
            match appended {
                Ok(()) => {
                    log.settle(addition);
                    let entry = log.head_entry();
                    if log.is_confirmed() {
                        self.note_head(addition.run, entry);
                    }
                }
                Err(_) => log.take_back(addition),
            }
        }
        self.forget_unused(records);
        appended
    }

    /// Checks and renders; changes nothing on the disk.
    fn prepare(
        &mut self,
        records: &[Record],
        additions: &mut Vec<Addition>,
    ) -> Result<(), AppendError> {
        let mut ordered: Vec<&Record> = records.iter().collect();
        // Stable: the order within a run stays.
        ordered.sort_by_key(|record| record.run_id);
        for records in ordered.chunk_by(|a, b| a.run_id == b.run_id) {
            let run = records[0].run_id;
            let log = match self.logs.entry(run) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(Log::find(&self.project, &self.binding, run)?),
            };
            log.used = self.batches;
            additions.push(log.prepare(records)?);
        }
        Ok(())
    }

    /// All the writes before the first sync: the disk works while we go on writing.
    fn write(&mut self, additions: &[Addition]) -> Result<(), AppendError> {
        for addition in additions {
            if let Some(log) = self.logs.get_mut(&addition.run) {
                log.write(addition)?;
            }
        }
        for addition in additions {
            if let Some(log) = self.logs.get(&addition.run) {
                log.sync()?;
            }
        }
        Ok(())
    }

    /// Keeps the open runs only, and not all their files open.
    fn forget_unused(&mut self, records: &[Record]) {
        for records in records.chunk_by(|a, b| a.run_id == b.run_id) {
            if let Entry::Occupied(entry) = self.logs.entry(records[0].run_id)
                && !entry.get().is_needed()
            {
                entry.remove();
            }
        }
        if self.logs.len() <= HANDLES_MAX {
            return;
        }
        while self.logs.values().filter(|log| log.is_open()).count() > HANDLES_MAX {
            let open = self.logs.values_mut().filter(|log| log.is_open());
            if let Some(oldest) = open.min_by_key(|log| log.used) {
                oldest.close();
            }
        }
    }
}
