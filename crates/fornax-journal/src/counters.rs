//! The numbers of a project that are never used again: of its runs and of its frames.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use fornax_core::event::Event;
use fornax_core::ids::{FrameId, RunId};
use rustix::fs::AtFlags;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::{At, JournalError};
use crate::project::Project;

/// Frame numbers are taken from the disk's count in blocks of this size, so that most calls touch
/// no disk. A crash wastes at most one block of 2^18.
const BLOCK: u32 = 4096;

/// `counters.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    v: u32,
    /// The project's key that the frame numbers are used with.
    #[serde(default)]
    key: String,
    /// The first frame number that no block has taken.
    next_frame: u32,
    /// The highest number of each day's runs. One entry a day: all of them are kept, because
    /// without them the runs of old days would look as if they came from elsewhere.
    #[serde(default)]
    runs: BTreeMap<u32, u32>,
    /// Runs that came from elsewhere: their frames were not numbered here.
    #[serde(default)]
    adopted: BTreeSet<RunId>,
}

/// Hands out numbers; each is durably taken before it is used.
#[derive(Debug)]
pub(crate) struct Counters {
    path: PathBuf,
    project: Project,
    key: u64,
    stored: Stored,
    /// Taken from the disk's count and not used yet.
    block: Range<u32>,
    /// Ids in the adopted runs; read when first needed.
    adopted_ids: Option<HashSet<FrameId>>,
}

impl Counters {
    /// Loads the counters and notes which of `folders` are not of their making.
    pub(crate) fn load(project: &Project, folders: &[RunId]) -> Result<Counters, JournalError> {
        let path = project.data_dir().join("counters.json");
        let stored = match disk::read_text(&path, 64 * 1024 * 1024) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored {
                v: 1,
                ..Stored::default()
            },
            text => serde_json::from_str(&text.at("read", &path)?).map_err(|error| {
                JournalError::BadFile {
                    path: path.clone(),
                    what: error.to_string(),
                }
            })?,
        };
        let key = project.key()?;
        let mut counters = Counters {
            path,
            project: project.clone(),
            key,
            block: stored.next_frame..stored.next_frame,
            stored,
            adopted_ids: None,
        };
        let key = format!("{key:016x}");
        // With another key the numbers mean other ids: whatever there is came from elsewhere.
        let is_new = counters.stored.key != key;
        counters.stored.key = key;
        let is_foreign = |run: &RunId| {
            is_new || run.number > counters.highest(run.date) || counters.is_adopted(*run)
        };
        let adopted: BTreeSet<RunId> = folders.iter().copied().filter(is_foreign).collect();
        // Found again at each opening until something else is stored with it.
        counters.stored.adopted = adopted;
        Ok(counters)
    }

    fn highest(&self, date: u32) -> u32 {
        self.stored.runs.get(&date).copied().unwrap_or(0)
    }

    fn is_adopted(&self, run: RunId) -> bool {
        self.stored.adopted.contains(&run)
    }

    fn store(&self) -> Result<(), JournalError> {
        let text = format!("{}\n", serde_json::json!(self.stored));
        disk::replace_durably(&self.path, text.as_bytes()).at("write", &self.path)
    }

    /// Claims the next run of a day by making its folder.
    pub(crate) fn next_run(&mut self, date: u32) -> Result<RunId, JournalError> {
        loop {
            let number = self.highest(date) + 1;
            self.stored.runs.insert(date, number);
            self.store()?;
            let run = RunId { date, number };
            let dir = self.project.run_dir(run);
            if disk::make_dir(&dir).at("create", &dir)? {
                return Ok(run);
            }
            // Somebody has put it there.
            self.stored.adopted.insert(run);
            self.adopted_ids = None;
        }
    }

    /// Takes ids for `count` frames.
    pub(crate) fn take_frames(&mut self, count: u32) -> Result<Vec<FrameId>, JournalError> {
        if self.adopted_ids.is_none() {
            self.adopted_ids = Some(self.read_adopted_ids()?);
        }
        // Looked into only where something came from elsewhere: a million look-ups of what is not
        // there cost seconds, and the system's memory. It may be missing: it is derived.
        let has_adopted = !self.stored.adopted.is_empty();
        let frames = has_adopted.then(|| disk::open(&self.project.frames_dir()).ok());
        let frames = frames.flatten();
        let mut ids = Vec::with_capacity(count as usize);
        while ids.len() < count as usize {
            let missing = count - ids.len() as u32;
            // First all the numbers, so that a call that fails uses none up.
            if let more @ 1.. = missing.saturating_sub(self.block.len() as u32) {
                self.extend_block(more)?;
            }
            let numbers = self.block.start..self.block.start + missing;
            self.block.start = numbers.end;
            ids.extend(
                numbers
                    .map(|number| FrameId::nth(self.key, number))
                    .filter(|&id| !self.is_taken(id, frames.as_ref())),
            );
        }
        Ok(ids)
    }

    fn extend_block(&mut self, needed: u32) -> Result<(), JournalError> {
        let start = self.stored.next_frame;
        let end = start.saturating_add(needed.max(BLOCK)).min(FrameId::COUNT);
        if end - start < needed {
            return Err(JournalError::NumbersExhausted);
        }
        self.stored.next_frame = end;
        if let Err(error) = self.store() {
            self.stored.next_frame = start;
            return Err(error);
        }
        self.block.end = end;
        Ok(())
    }

    /// Whether a frame has the id already. One of this project's own making never has; one of an
    /// adopted run may, and so may all after `counters.json` was lost.
    fn is_taken(&self, id: FrameId, frames: Option<&File>) -> bool {
        let adopted = self.adopted_ids.as_ref();
        adopted.is_some_and(|ids| ids.contains(&id))
            || frames.is_some_and(|frames| {
                rustix::fs::statat(frames, id.to_string(), AtFlags::SYMLINK_NOFOLLOW).is_ok()
            })
    }

    fn read_adopted_ids(&self) -> Result<HashSet<FrameId>, JournalError> {
        let mut ids = HashSet::new();
        for &run in &self.stored.adopted {
            let records = match self.project.read_run(run) {
                // A claimed folder without a journal, or one that was deleted meanwhile.
                Err(JournalError::NoRun { .. }) => continue,
                records => records?,
            };
            // Damaged lines are for `verify` to tell of.
            let created = records
                .flatten()
                .filter(|record| matches!(record.event, Event::FrameCreated(_)));
            ids.extend(created.filter_map(|record| record.frame_id));
        }
        Ok(ids)
    }
}
