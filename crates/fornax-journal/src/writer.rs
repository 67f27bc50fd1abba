//! The one writer of a project's journals.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use fornax_core::ids::{FrameId, RunId};
use fornax_core::record::Record;

use crate::counters::Counters;
use crate::error::{AppendError, JournalError};
use crate::lock::Lock;
use crate::log::{Addition, Head, Log};
use crate::project::Project;

/// How many journals are kept open. One that is needed again is opened again.
const HANDLES_MAX: usize = 128;

/// Appends to the journals of a project. There is one writer of a project at a time.
#[derive(Debug)]
pub struct Writer {
    project: Project,
    counters: Counters,
    /// The journals of the open runs; of others only while a batch is about them.
    logs: HashMap<RunId, Log>,
    /// Counts batches, to tell which journal was not used for longest.
    batches: u64,
    /// Let go last: a successor must not come before everything is closed.
    _lock: Lock,
}

impl Writer {
    pub(crate) fn new(project: Project, lock: Lock, counters: Counters) -> Writer {
        Writer {
            project,
            counters,
            logs: HashMap::new(),
            batches: 0,
            _lock: lock,
        }
    }

    /// Takes up an open run that was found.
    pub(crate) fn adopt(&mut self, run: RunId, head: Head) {
        let log = Log::of_open_run(&self.project, run, head);
        self.logs.insert(run, log);
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
        self.counters.next_run(date)
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
                Ok(()) => log.settle(addition),
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
                Entry::Vacant(entry) => entry.insert(Log::find(&self.project, run)?),
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
