//! Opening a project for writing: the lock, the open runs, and what a crash left.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fornax_core::event::Event;
use fornax_core::ids::RunId;
use fornax_core::record::Record;

use crate::binding::{AcceptedDigest, Binding, Exclusion, Verified};
use crate::chain::hex;
use crate::counters::Counters;
use crate::disk;
use crate::error::{At, Damage, DamageKind, JournalError, is_storage_full};
use crate::installation::Installation;
use crate::lock::Lock;
use crate::log::Head;
use crate::project::Project;
use crate::reader::{Check, RunReader, Stream, Torn};
use crate::writer::Writer;

/// What was found when a project was opened for writing.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The open runs, oldest first.
    pub open: Vec<OpenRun>,
    /// What crashes had left at the ends of journals, and was cut off.
    pub torn: Vec<TornTail>,
    /// Open runs that are not carried on, oldest first.
    pub excluded: Vec<(RunId, Exclusion)>,
    /// Open runs of this installation whose folders were deleted.
    pub deleted: Vec<RunId>,
    /// Files that were damaged and set aside: where they are now.
    pub set_aside: Vec<PathBuf>,
    /// How many runs the project has.
    pub runs_seen: usize,
    /// How many journals were read: those of open runs.
    pub runs_read: usize,
}

/// A run that is not finished.
#[derive(Debug)]
pub struct OpenRun {
    /// The run.
    pub run: RunId,
    /// Where its journal ends.
    pub head: Head,
    /// Its records.
    pub records: Vec<Record>,
    /// The number of the last record that a person accepted; 0 where this installation began the run.
    pub accepted_seq: u64,
}

/// An end that was cut off a journal: a torn line, or a step that was not whole; never acknowledged
/// to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The run.
    pub run: RunId,
    /// What was cut.
    pub torn: Torn,
    /// Where the bytes are kept; none where there was no room for them.
    pub kept: Option<PathBuf>,
}

/// A run, all of whose records are this installation's.
pub(crate) struct OwnRun {
    pub(crate) records: Vec<Record>,
    pub(crate) head: Head,
    pub(crate) torn: Option<Torn>,
    pub(crate) is_finished: bool,
    pub(crate) verified: Verified,
}

/// A run that a person is asked to accept.
#[derive(Debug)]
pub struct Candidate {
    /// Its records.
    pub records: Vec<Record>,
    /// Where its journal ends.
    pub head: Head,
    /// Whether it is finished.
    pub is_finished: bool,
    pub(crate) sha256: [u8; 32],
    pub(crate) torn: Option<Torn>,
}

impl Candidate {
    /// The SHA-256 of its records, as hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(&self.sha256)
    }
}

impl Project {
    /// Becomes the project's writer. The records of the open runs are in the [`Recovery`]. A run that
    /// is damaged, or not this installation's, does not keep the others from being opened.
    ///
    /// # Errors
    /// When another process is the writer, or when the system refuses.
    pub fn writer(&self, installation: &Installation) -> Result<(Writer, Recovery), JournalError> {
        let lock = Lock::take(self.data_dir().join("lock"))?;
        let mut folders = self.run_folders()?;
        folders.reverse();
        let key = self.key()?;
        let binding = Binding::open(installation, key)?;
        let begun = |run| binding.heads.get(run).is_some();
        let state_dir = installation.project_dir(key);
        let (counters, set_aside) = Counters::load(self, &state_dir, &folders, begun)?;
        let mut writer = Writer::new(self.clone(), binding, lock, counters);
        let mut recovery = Recovery {
            runs_seen: folders.len(),
            set_aside: set_aside.into_iter().collect(),
            ..Recovery::default()
        };
        for run in self.open_runs(&folders, &mut writer, &mut recovery) {
            recovery.runs_read += 1;
            self.recover(run, &mut writer, &mut recovery)?;
        }
        Ok((writer, recovery))
    }

    /// The runs that their markers, or the state directory, call open, oldest first.
    fn open_runs(
        &self,
        folders: &[RunId],
        writer: &mut Writer,
        recovery: &mut Recovery,
    ) -> Vec<RunId> {
        let heads = &writer.binding().heads;
        let is_unfinished = |run| heads.get(run).is_some_and(|head| !head.is_finished);
        let open = folders
            .iter()
            .copied()
            .filter(|&run| is_unfinished(run) || self.is_open(run))
            .collect();
        let is_here = |run: &RunId| self.stream_file(*run, Stream::Events).exists();
        let gone = heads.runs().filter(|&run| is_unfinished(run));
        recovery.deleted = gone.filter(|run| !is_here(run)).collect();
        recovery.deleted.sort_unstable();
        for &run in &recovery.deleted {
            // It is reported once.
            writer.finish_head(run);
        }
        open
    }

    /// Reads an open run, puts the end of its journal right and hands it to the writer.
    fn recover(
        &self,
        run: RunId,
        writer: &mut Writer,
        recovery: &mut Recovery,
    ) -> Result<(), JournalError> {
        let own = match self.read_own_run(writer.binding(), run) {
            // Claimed and never begun, or deleted.
            Err(JournalError::NoRun { .. }) => match unmark(self, run) {
                Ok(()) => return Ok(()),
                // The others open all the same.
                Err(error) => Err(Exclusion::Damaged(error.to_string())),
            },
            Err(error) => Err(Exclusion::Damaged(error.to_string())),
            Ok(own) => own,
        };
        let own = match own {
            Ok(own) => own,
            Err(why) => {
                recovery.excluded.push((run, why));
                return Ok(());
            }
        };
        if let Some(torn) = own.torn {
            recovery.torn.push(cut_off(self, run, torn, "torn")?);
        }
        if own.head.seq == 0 {
            // The run never began; its number stays used.
            let file = self.stream_file(run, Stream::Events);
            disk::remove(&file).at("remove", &file)?;
            return unmark(self, run);
        }
        let accepted_seq = own.verified.accepted_seq;
        writer.adopt(run, own.head, own.verified, own.is_finished);
        if own.is_finished {
            return unmark(self, run);
        }
        recovery.open.push(OpenRun {
            run,
            head: own.head,
            records: own.records,
            accepted_seq,
        });
        Ok(())
    }

    /// Reads a run and checks that this installation wrote all of it.
    ///
    /// # Errors
    /// When there is no such run, or it cannot be opened.
    pub(crate) fn read_own_run(
        &self,
        binding: &Binding,
        run: RunId,
    ) -> Result<Result<OwnRun, Exclusion>, JournalError> {
        let check = Check::Own(Box::new(binding.verifier(run)));
        let mut reader = self.read_run(run)?.checked(check);
        let (records, is_finished) = match read_all(&mut reader) {
            Ok(read) => read,
            Err(damage) if damage.kind == DamageKind::Foreign => {
                return Ok(Err(Exclusion::Foreign));
            }
            Err(damage) => return Ok(Err(damage.into())),
        };
        let head = Head {
            seq: records.last().map_or(0, |record| record.seq),
            bytes: reader.position(),
        };
        let torn = reader.torn();
        let Check::Own(verifier) = reader.into_check() else {
            return Ok(Err(Exclusion::Foreign));
        };
        Ok(verifier.finish(torn.is_some()).map(|verified| OwnRun {
            records,
            head,
            torn,
            is_finished,
            verified,
        }))
    }

    /// Reads a run of any origin, for a person to accept.
    ///
    /// # Errors
    /// When there is no such run, or its journal is damaged.
    pub fn read_candidate(&self, run: RunId) -> Result<Candidate, JournalError> {
        let check = Check::Digest(AcceptedDigest::default(), AcceptedDigest::default());
        let mut reader = self.read_run(run)?.checked(check);
        let (records, is_finished) = read_all(&mut reader)?;
        let head = Head {
            seq: records.last().map_or(0, |record| record.seq),
            bytes: reader.position(),
        };
        let torn = reader.torn();
        let sha256 = match reader.into_check() {
            Check::Digest(_, whole) => whole.finish(),
            Check::None | Check::Own(_) => AcceptedDigest::default().finish(),
        };
        Ok(Candidate {
            records,
            head,
            is_finished,
            sha256,
            torn,
        })
    }
}

/// The records of a run, and whether it is finished. What a power cut leaves behind them is passed
/// over.
fn read_all(reader: &mut RunReader) -> Result<(Vec<Record>, bool), Damage> {
    let (mut records, mut finished) = (Vec::new(), false);
    let mut hole: Option<Damage> = None;
    for record in reader {
        match (record, &hole) {
            (Ok(record), None) => {
                finished = finished_after(&record, finished);
                records.push(record);
            }
            (Err(damage), None) if damage.kind == DamageKind::Hole => hole = Some(damage),
            (Err(damage), None) => return Err(damage),
            (Err(damage), Some(_)) if is_no_record(damage.kind) => {}
            // What a power loss leaves has nothing whole behind it.
            (_, Some(hole)) => return Err(hole.clone()),
        }
    }
    Ok((records, finished))
}

/// Whether a run is finished after `record`, given whether it was before.
pub(crate) fn finished_after(record: &Record, before: bool) -> bool {
    match record.event {
        Event::RunFinished(_) => true,
        Event::StateReset(_) => false,
        _ => before,
    }
}

fn is_no_record(kind: DamageKind) -> bool {
    use DamageKind::{Hole, NotARecord, TooLong};
    matches!(kind, Hole | NotARecord | TooLong)
}

fn unmark(project: &Project, run: RunId) -> Result<(), JournalError> {
    let marker = project.open_marker(run);
    disk::remove(&marker).at("remove", &marker)
}

/// Cuts the end off a journal; what is cut is kept in a file beside it.
pub(crate) fn cut_off(
    project: &Project,
    run: RunId,
    torn: Torn,
    name: &str,
) -> Result<TornTail, JournalError> {
    let name = format!("{name}-{}.bin", torn.byte);
    let kept = project.run_dir(run).join(name);
    let kept = match keep(&torn, &kept) {
        Ok(()) => Some(kept),
        // A full disk is what tears lines; it must not keep the project from opening as well.
        Err(error) if is_storage_full(&error) => {
            disk::remove(&kept).at("remove", &kept)?;
            None
        }
        Err(error) => return Err(error).at("write", &kept),
    };
    let file = disk::open_append(&torn.file, false).at("open", &torn.file)?;
    file.set_len(torn.byte)
        .and_then(|()| file.sync_all())
        .at("cut the torn end off", &torn.file)?;
    Ok(TornTail { run, torn, kept })
}

fn keep(torn: &Torn, kept: &Path) -> io::Result<()> {
    let mut from = disk::open(&torn.file)?;
    from.seek(SeekFrom::Start(torn.byte))?;
    let mut to = disk::create(kept)?;
    io::copy(&mut from.take(torn.bytes), &mut to)?;
    to.sync_all()
}
