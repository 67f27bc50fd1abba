//! The numbers of a project that are never used again: of its runs and of its frames.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

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

/// The file, and the version of its format.
const FILE: &str = "counters.json";
const VERSION: u32 = 2;

/// The largest file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// `counters.json` in the project's folder of the state directory: nothing that comes with a clone or
/// a copy decides which numbers are used.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Stored {
    v: u32,
    /// The first frame number that no block has taken.
    next_frame: u32,
    /// The highest number of each day's runs.
    #[serde(default)]
    runs: BTreeMap<u32, u32>,
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
    /// Runs that were begun elsewhere, or before the count was lost: their frames may have any id.
    adopted: BTreeSet<RunId>,
    /// Ids in the adopted runs; read when first needed.
    adopted_ids: Option<HashSet<FrameId>>,
}

impl Counters {
    /// Loads the counters. `folders` are the runs on the disk, `begun` tells which of them this
    /// installation began. A file that is damaged is set aside and its path returned: the count then
    /// begins anew, and no id that any run has is given again.
    pub(crate) fn load(
        project: &Project,
        dir: &Path,
        folders: &[RunId],
        begun: impl Fn(RunId) -> bool,
    ) -> Result<(Counters, Option<PathBuf>), JournalError> {
        let path = dir.join(FILE);
        let mut set_aside = None;
        let stored = match read(&path) {
            Ok(stored) => stored,
            Err(JournalError::BadFile { .. }) => {
                set_aside = Some(disk::set_aside(&path).at("set aside", &path)?);
                None
            }
            Err(error) => return Err(error),
        };
        let is_new = stored.is_none();
        let stored = stored.unwrap_or_else(|| Stored {
            v: VERSION,
            ..Stored::default()
        });
        let adopted = folders.iter().copied().filter(|&run| is_new || !begun(run));
        let counters = Counters {
            path,
            project: project.clone(),
            key: project.key()?,
            block: stored.next_frame..stored.next_frame,
            stored,
            adopted: adopted.collect(),
            adopted_ids: None,
        };
        Ok((counters, set_aside))
    }

    fn highest(&self, date: u32) -> u32 {
        self.stored.runs.get(&date).copied().unwrap_or(0)
    }

    fn store(&self) -> Result<(), JournalError> {
        store(&self.path, &self.stored)
    }

    /// Claims the next run of a day by making its folder. `highest` is the highest number of that day
    /// that is known from elsewhere.
    pub(crate) fn next_run(&mut self, date: u32, highest: u32) -> Result<RunId, JournalError> {
        let mut number = self.highest(date).max(highest);
        loop {
            number = number
                .checked_add(1)
                .ok_or(JournalError::NumbersExhausted)?;
            let run = RunId { date, number };
            let dir = self.project.run_dir(run);
            if dir.symlink_metadata().is_ok() {
                self.adopt(run);
                continue;
            }
            self.stored.runs.insert(date, number);
            self.store()?;
            if disk::make_dir(&dir).at("create", &dir)? {
                return Ok(run);
            }
            self.adopt(run);
        }
    }

    /// A run that something else has put there.
    fn adopt(&mut self, run: RunId) {
        if self.adopted.insert(run) {
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
        let has_adopted = !self.adopted.is_empty();
        let frames = has_adopted.then(|| disk::open_dir(&self.project.frames_dir()).ok());
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
        for &run in &self.adopted {
            // A claimed folder without a journal, or something that is no journal: it has no ids.
            let Ok(records) = self.project.read_run(run) else {
                continue;
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

/// Gives a project that begins anew in the place of another the numbers that follow that one's: a
/// number that a person may have written down never names two runs.
pub(crate) fn inherit(from: &Path, to: &Path) -> Result<(), JournalError> {
    let path = to.join(FILE);
    // A damaged file has no numbers to give.
    let Some(old) = read(&from.join(FILE)).ok().flatten() else {
        return Ok(());
    };
    let mut stored = read(&path)?.unwrap_or_default();
    stored.v = VERSION;
    for (date, number) in old.runs {
        let highest = stored.runs.entry(date).or_default();
        *highest = number.max(*highest);
    }
    store(&path, &stored)
}

fn read(path: &Path) -> Result<Option<Stored>, JournalError> {
    let bad = |what: String| JournalError::BadFile {
        path: path.to_owned(),
        what,
    };
    match disk::read_text(path, FILE_MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(bad(error.to_string())),
        text => serde_json::from_str(&text.at("read", path)?)
            .map(Some)
            .map_err(|error| bad(error.to_string())),
    }
}

fn store(path: &Path, stored: &Stored) -> Result<(), JournalError> {
    let text = format!("{}\n", serde_json::json!(stored));
    disk::replace_durably(path, text.as_bytes()).at("write", path)
}
