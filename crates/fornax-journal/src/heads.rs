//! Where the journals of a project end, as this installation wrote them: a file in the state directory
//! that nobody who can write only to the project can change.
//!
//! One line of fixed width for each run, replaced in place. It is written after the journal is durable
//! and is not synced itself: after a power cut it may be older than the journal, whose further lines
//! prove themselves, and never newer.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fornax_core::ids::RunId;

use crate::chain::{Mac, hex, unhex};
use crate::disk;
use crate::error::{At, JournalError};

/// The width of a line with its newline, in bytes: a divisor of a disk's sectors, so that a power cut
/// leaves the old line or the new one.
const WIDTH: usize = 256;

/// The largest file that is read, in bytes: a million runs.
const FILE_MAX_BYTES: u64 = 256 << 20;

/// Where the journal of one run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadEntry {
    /// The number of its last record.
    pub(crate) seq: u64,
    /// The number of the last record before the newest batch: a disk that loses the end of a file may
    /// tear that batch, and nothing before it.
    pub(crate) previous: u64,
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// The authentication code of its last record.
    pub(crate) mac: Mac,
    /// Whether the run is finished.
    pub(crate) is_finished: bool,
    /// What a person accepted, where the run was begun elsewhere.
    pub(crate) accepted: Option<Accepted>,
}

/// The beginning of a journal that a person accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// The SHA-256 of its bytes.
    pub(crate) sha256: [u8; 32],
}

/// The heads of all runs of a project.
#[derive(Debug)]
pub(crate) struct Heads {
    path: PathBuf,
    file: File,
    entries: HashMap<RunId, (u64, HeadEntry)>,
    /// How many lines the file has.
    lines: u64,
    /// Runs whose newest head could not be written.
    unwritten: BTreeSet<RunId>,
}

impl Heads {
    /// Opens the file; creates it where it is missing. A line that cannot be read counts as missing:
    /// its run then proves itself by its chain alone.
    pub(crate) fn open(path: PathBuf) -> Result<Heads, JournalError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(disk::NO_LINK)
            .open(&path)
            .at("open", &path)?;
        let text = disk::read_bytes(&path, FILE_MAX_BYTES).at("read", &path)?;
        let mut entries = HashMap::with_capacity(text.len() / WIDTH);
        for (line, bytes) in (0..).zip(text.chunks(WIDTH)) {
            if let Some((run, entry)) = parse(bytes) {
                entries.insert(run, (line, entry));
            }
        }
        Ok(Heads {
            path,
            file,
            entries,
            lines: (text.len().div_ceil(WIDTH)) as u64,
            unwritten: BTreeSet::new(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn get(&self, run: RunId) -> Option<&HeadEntry> {
        self.entries.get(&run).map(|(_, entry)| entry)
    }

    /// The runs that this installation began or a person accepted.
    pub(crate) fn runs(&self) -> impl Iterator<Item = RunId> {
        self.entries.keys().copied()
    }

    /// Replaces the head of a run.
    ///
    /// # Errors
    /// When it cannot be written. It is remembered all the same, and written with the next one.
    pub(crate) fn set(&mut self, run: RunId, entry: HeadEntry) -> io::Result<()> {
        let lines = &mut self.lines;
        let slot = self.entries.entry(run).or_insert_with(|| {
            *lines += 1;
            (*lines - 1, entry)
        });
        slot.1 = entry;
        self.unwritten.insert(run);
        while let Some(run) = self.unwritten.first().copied() {
            if let Some((line, entry)) = self.entries.get(&run) {
                self.file
                    .write_all_at(&render(run, entry), line * WIDTH as u64)?;
            }
            self.unwritten.pop_first();
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn render(run: RunId, entry: &HeadEntry) -> Vec<u8> {
    let state = if entry.is_finished {
        "finished"
    } else {
        "open"
    };
    let accepted = entry.accepted.map_or_else(
        || "-".to_owned(),
        |accepted| format!("{} {}", accepted.bytes, hex(&accepted.sha256)),
    );
    let mac = hex(&entry.mac);
    let HeadEntry {
        seq,
        previous,
        bytes,
        ..
    } = entry;
    let text = format!("{run} {seq} {previous} {bytes} {mac} {state} {accepted}");
    format!("{text:<width$}\n", width = WIDTH - 1).into_bytes()
}

fn parse(line: &[u8]) -> Option<(RunId, HeadEntry)> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let mut words = text.split_ascii_whitespace();
    let run = words.next()?.parse().ok()?;
    let entry = HeadEntry {
        seq: words.next()?.parse().ok()?,
        previous: words.next()?.parse().ok()?,
        bytes: words.next()?.parse().ok()?,
        mac: unhex(words.next()?)?,
        is_finished: match words.next()? {
            "open" => false,
            "finished" => true,
            _ => return None,
        },
        accepted: match words.next()? {
            "-" => None,
            bytes => Some(Accepted {
                bytes: bytes.parse().ok()?,
                sha256: unhex(words.next()?)?,
            }),
        },
    };
    Some((run, entry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(seq: u64, accepted: bool) -> HeadEntry {
        HeadEntry {
            seq,
            previous: seq / 2,
            bytes: u64::MAX - seq,
            mac: [seq as u8; 16],
            is_finished: seq.is_multiple_of(2),
            accepted: accepted.then_some(Accepted {
                bytes: seq,
                sha256: [7; 32],
            }),
        }
    }

    #[test]
    fn heads_are_replaced_in_place_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heads");
        let run = |number| RunId {
            date: 20_261_129,
            number,
        };
        let mut heads = Heads::open(path.clone()).unwrap();
        for number in 1..=3 {
            heads
                .set(run(number), entry(u64::from(number), number == 2))
                .unwrap();
        }
        heads.set(run(u32::MAX), entry(u64::MAX, true)).unwrap();
        heads.set(run(1), entry(9, false)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 4 * WIDTH as u64);
        drop(heads);

        // A line that is not readable is missing; the others are there, and it is not written over.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[2 * WIDTH..3 * WIDTH].fill(b'?');
        std::fs::write(&path, &bytes).unwrap();
        let mut heads = Heads::open(path.clone()).unwrap();
        assert_eq!(heads.get(run(1)), Some(&entry(9, false)));
        assert_eq!(heads.get(run(2)), Some(&entry(2, true)));
        assert_eq!(heads.get(run(3)), None);
        assert_eq!(heads.get(run(u32::MAX)), Some(&entry(u64::MAX, true)));
        heads.set(run(3), entry(3, false)).unwrap();
        let heads = Heads::open(path).unwrap();
        assert_eq!(heads.runs().count(), 4);
    }

    proptest! {
        #[test]
        fn any_file_can_be_opened(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("heads");
            std::fs::write(&path, &bytes).unwrap();
            Heads::open(path).unwrap();
        }
    }
}
