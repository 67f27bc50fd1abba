//! Opening a project for writing: the lock, the open runs, and what a crash left.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fornax_core::event::Event;
use fornax_core::ids::RunId;
use fornax_core::record::Record;

use crate::counters::Counters;
use crate::disk;
use crate::error::{At, Damage, DamageKind, JournalError, is_storage_full};
use crate::lock::Lock;
use crate::log::Head;
use crate::project::Project;
use crate::reader::{Stream, Torn};
use crate::writer::Writer;

/// What was found when a project was opened for writing.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The open runs, oldest first.
    pub open: Vec<OpenRun>,
    /// What crashes had left at the ends of journals, and was cut off.
    pub torn: Vec<TornTail>,
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
    /// Its records; none where [`Project::writer_with`] has handed them out already.
    pub records: Vec<Record>,
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

impl Project {
    /// Becomes the project's writer. The records of the open runs are in the [`Recovery`].
    ///
    /// # Errors
    /// When another process is the writer, when a journal of an open run is damaged other than at
    /// its end, or when the system refuses.
    pub fn writer(&self) -> Result<(Writer, Recovery), JournalError> {
        let mut records: Vec<Record> = Vec::new();
        let (writer, mut recovery) = self.writer_with(|record| records.push(record))?;
        // They came run by run, in the order of the runs.
        let mut rest = records.into_iter().peekable();
        for open in &mut recovery.open {
            while rest.next_if(|record| record.run_id < open.run).is_some() {}
            while let Some(record) = rest.next_if(|record| record.run_id == open.run) {
                open.records.push(record);
            }
        }
        Ok((writer, recovery))
    }

    /// Like [`Project::writer`], with the records handed to `each` as they are read, so that they
    /// need not be in memory all at once: run by run, oldest run first. Records of a run that turns
    /// out to be finished may be among them.
    ///
    /// # Errors
    /// Those of [`Project::writer`]; `each` may have got records by then.
    pub fn writer_with(
        &self,
        mut each: impl FnMut(Record),
    ) -> Result<(Writer, Recovery), JournalError> {
        let lock = Lock::take(self.data_dir().join("lock"))?;
        let mut folders = self.run_folders()?;
        folders.reverse();
        let counters = Counters::load(self, &folders)?;
        let mut writer = Writer::new(self.clone(), lock, counters);
        let mut recovery = Recovery {
            runs_seen: folders.len(),
            ..Recovery::default()
        };
        for run in folders {
            if !self.is_open(run) {
                continue;
            }
            recovery.runs_read += 1;
            if let Some(head) = recover(self, run, &mut each, &mut recovery.torn)? {
                writer.adopt(run, head);
                recovery.open.push(OpenRun {
                    run,
                    head,
                    records: Vec::new(),
                });
            }
        }
        Ok((writer, recovery))
    }
}

/// Whether a run is finished after `record`, given whether it was before.
pub(crate) fn finished_after(record: &Record, before: bool) -> bool {
    match record.event {
        Event::RunFinished(_) => true,
        Event::StateReset(_) => false,
        _ => before,
    }
}

/// Reads an open run and puts the end of its journal right. None where the run is finished or
/// never began: a crash fell between that and the marker.
fn recover(
    project: &Project,
    run: RunId,
    each: &mut impl FnMut(Record),
    torn: &mut Vec<TornTail>,
) -> Result<Option<Head>, JournalError> {
    let mut reader = match project.read_run(run) {
        Err(JournalError::NoRun { .. }) => return unmark(project, run).map(|()| None),
        reader => reader?,
    };
    let (mut seq, mut finished) = (0, false);
    let mut hole: Option<Damage> = None;
    for record in &mut reader {
        match (record, &hole) {
            (Ok(record), None) => {
                seq = record.seq;
                finished = finished_after(&record, finished);
                each(record);
            }
            (Err(damage), None) if damage.kind == DamageKind::Hole => hole = Some(damage),
            (Err(damage), None) => return Err(damage.into()),
            (Err(damage), Some(_)) if is_no_record(damage.kind) => {}
            // What a power loss leaves has nothing whole behind it.
            (_, Some(hole)) => return Err(hole.clone().into()),
        }
    }
    // After a hole, too, this is where the last whole step ends.
    let bytes = reader.position();
    if let Some(cut) = reader.torn() {
        torn.push(cut_off(project, run, cut, "torn")?);
    }
    if seq == 0 {
        // The run never began; its number stays used.
        let file = project.stream_file(run, Stream::Events);
        disk::remove(&file).at("remove", &file)?;
    }
    if finished || seq == 0 {
        return unmark(project, run).map(|()| None);
    }
    Ok(Some(Head { seq, bytes }))
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
    let file = disk::open_append(&torn.file).at("open", &torn.file)?;
    file.set_len(torn.byte)
        .and_then(|()| file.sync_all())
        .at("cut the torn end off", &torn.file)?;
    Ok(TornTail { run, torn, kept })
}

fn keep(torn: &Torn, kept: &Path) -> io::Result<()> {
    let mut from = disk::open(&torn.file)?;
    from.seek(SeekFrom::Start(torn.byte))?;
    let mut to = File::create(kept)?;
    io::copy(&mut from.take(torn.bytes), &mut to)?;
    to.sync_all()
}
