//! The journal of one run, as its writer sees it, and what a batch adds to it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fornax_core::ids::RunId;
use fornax_core::record::{LINE_MAX_BYTES, Record};
use serde::Deserialize;

use crate::binding::{Binding, Verified};
use crate::chain::{self, Chain};
use crate::disk;
use crate::error::{AppendError, At, JournalError};
use crate::heads::{Accepted, HeadEntry};
use crate::payload;
use crate::project::Project;
use crate::reader::Stream;
use crate::recovery::{Candidate, finished_after};

/// Where a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of its last record.
    pub seq: u64,
    /// Its length in bytes, all of it durable.
    pub bytes: u64,
}

/// The journal of one run.
#[derive(Debug)]
pub(crate) struct Log {
    run: RunId,
    dir: PathBuf,
    path: PathBuf,
    marker: PathBuf,
    pub(crate) head: Head,
    /// The number of the last record before the newest batch.
    previous: u64,
    /// The place in the run's chain of authentication codes after its last record.
    chain: Chain,
    accepted: Option<Accepted>,
    /// Whether the run is this installation's: one that a person accepts is so only once that is durable.
    confirmed: bool,
    finished: bool,
    /// Whether the run is marked as open, durably.
    marked: bool,
    file: Option<File>,
    /// Whether a batch was begun to be written that is not settled.
    dirty: bool,
    /// The batch that used it last.
    pub(crate) used: u64,
    /// Why nothing more can be written.
    closed: Option<String>,
}

/// What a batch adds to one journal.
pub(crate) struct Addition {
    pub(crate) run: RunId,
    lines: Vec<u8>,
    /// Files and their contents.
    payloads: Vec<(PathBuf, Vec<u8>)>,
    last_seq: u64,
    chain: Chain,
    finished: bool,
}

impl Log {
    /// The journal of an open run.
    pub(crate) fn of_open_run(
        project: &Project,
        run: RunId,
        head: Head,
        verified: Verified,
    ) -> Log {
        Log {
            run,
            dir: project.run_dir(run),
            path: project.stream_file(run, Stream::Events),
            marker: project.open_marker(run),
            head,
            previous: head.seq,
            chain: verified.chain,
            accepted: verified.accepted,
            confirmed: true,
            finished: false,
            marked: true,
            file: None,
            dirty: false,
            used: 0,
            closed: None,
        }
    }

    /// The journal of a run that is not known to be open: a new one, or a finished one.
    pub(crate) fn find(
        project: &Project,
        binding: &Binding,
        run: RunId,
    ) -> Result<Log, AppendError> {
        let path = project.stream_file(run, Stream::Events);
        let head = match disk::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Head { seq: 0, bytes: 0 },
            file => read_head(&mut file.at("open", &path)?, &path)?,
        };
        let verified = verified(project, binding, run, head)?;
        let marked = head.seq > 0 && project.is_open(run);
        Ok(Log {
            finished: head.seq > 0 && !marked,
            marked,
            ..Log::of_open_run(project, run, head, verified)
        })
    }

    /// The journal of a run that a person accepts.
    pub(crate) fn accepted(
        project: &Project,
        run: RunId,
        candidate: &Candidate,
        verified: Verified,
    ) -> Log {
        Log {
            confirmed: false,
            finished: candidate.is_finished,
            marked: !candidate.is_finished,
            ..Log::of_open_run(project, run, candidate.head, verified)
        }
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub(crate) fn confirm(&mut self) {
        self.confirmed = true;
    }

    /// Where the journal ends, for the state directory.
    pub(crate) fn head_entry(&self) -> HeadEntry {
        HeadEntry {
            seq: self.head.seq,
            previous: self.previous,
            bytes: self.head.bytes,
            mac: self.chain.mac(),
            is_finished: self.finished,
            accepted: self.accepted,
        }
    }

    /// Checks and renders what a batch has for this run.
    pub(crate) fn prepare(&self, records: &[&Record]) -> Result<Addition, AppendError> {
        let run = self.run;
        if let Some(why) = self.closed.clone() {
            return Err(AppendError::Closed { run, why });
        }
        let mut addition = Addition {
            run,
            lines: Vec::with_capacity(records.len() * 400),
            payloads: Vec::new(),
            last_seq: self.head.seq,
            chain: self.chain.clone(),
            finished: self.finished,
        };
        for record in records {
            let expected = addition.last_seq + 1;
            if record.seq != expected {
                return Err(AppendError::OutOfOrder {
                    run,
                    expected,
                    found: record.seq,
                });
            }
            addition.last_seq = expected;
            addition.finished = finished_after(record, addition.finished);
            addition.render(record, &self.dir)?;
        }
        Ok(addition)
    }

    pub(crate) fn write(&mut self, addition: &Addition) -> Result<(), AppendError> {
        self.open()?;
        self.check_in_place()?;
        self.dirty = true;
        addition.write_payloads()?;
        self.with_file("write", |mut file| file.write_all(&addition.lines))
    }

    /// Whether the open file is still the one at its path, and nobody else has written to it.
    fn check_in_place(&self) -> Result<(), AppendError> {
        let Some(file) = &self.file else {
            return Err(self.displaced("it is not open"));
        };
        let storage = |error: io::Error| AppendError::storage("look at", &self.path, error);
        let open = file.metadata().map_err(storage)?;
        let found = match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.displaced("there is no file"));
            }
            found => found.map_err(storage)?,
        };
        if (found.dev(), found.ino()) != (open.dev(), open.ino()) {
            return Err(self.displaced("it was replaced"));
        }
        if open.len() != self.head.bytes {
            let (found, written) = (open.len(), self.head.bytes);
            let what = format!("it has {found} bytes, {written} were written");
            return Err(self.displaced(&what));
        }
        Ok(())
    }

    fn displaced(&self, what: &str) -> AppendError {
        AppendError::Displaced {
            file: self.path.clone(),
            what: what.to_owned(),
        }
    }

    pub(crate) fn sync(&self) -> Result<(), AppendError> {
        self.with_file("sync", File::sync_data)
    }

    fn with_file(
        &self,
        doing: &'static str,
        action: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), AppendError> {
        let closed = || Err(io::Error::other("it was closed"));
        let done = self.file.as_ref().map_or_else(closed, action);
        done.map_err(|error| AppendError::storage(doing, &self.path, error))
    }

    /// Opens its file; on the run's first record, makes all that a run needs to be found again.
    fn open(&mut self) -> Result<(), AppendError> {
        let storage = AppendError::storage;
        if !self.marked {
            disk::make_dir(&self.dir).map_err(|error| storage("create", &self.dir, error))?;
            // The folder is what is synced, below: an empty file has nothing else.
            disk::create(&self.marker).map_err(|error| storage("create", &self.marker, error))?;
        }
        if self.file.is_none() {
            let is_new = self.head.bytes == 0;
            let file = match disk::open_append(&self.path, is_new) {
                Err(error) if !is_new && error.kind() == io::ErrorKind::NotFound => {
                    return Err(self.displaced("there is no file"));
                }
                file => file.map_err(|error| storage("open", &self.path, error))?,
            };
            self.file = Some(file);
        }
        if !self.marked {
            // The marker comes first: a journal without one would not be read after a crash.
            let folders = [Some(self.dir.as_path()), self.dir.parent()];
            folders
                .into_iter()
                .flatten()
                .try_for_each(disk::sync_dir)
                .map_err(|error| storage("sync", &self.dir, error))?;
            self.marked = true;
        }
        Ok(())
    }

    /// Whether there is something about it that cannot be found out again from the disk alone, or
    /// that will be asked for soon.
    pub(crate) fn is_needed(&self) -> bool {
        self.marked || !self.confirmed || self.closed.is_some()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// Notes what was written.
    pub(crate) fn settle(&mut self, addition: &Addition) {
        self.previous = self.head.seq;
        self.head.seq = addition.last_seq;
        self.head.bytes += addition.lines.len() as u64;
        self.chain = addition.chain.clone();
        self.dirty = false;
        self.finished = addition.finished;
        if self.finished {
            self.unmark();
        }
    }

    /// Puts everything back to what it was before a batch that failed.
    pub(crate) fn take_back(&mut self, addition: &Addition) {
        if let Some(file) = self.file.as_ref().filter(|_| self.dirty) {
            // Synced, so that a power loss does not bring it back.
            let cut = file
                .set_len(self.head.bytes)
                .and_then(|()| file.sync_data());
            if let Err(error) = cut {
                self.closed = Some(format!(
                    "a failed write could not be taken back from {}: {error}",
                    self.path.display()
                ));
                return;
            }
        }
        self.dirty = false;
        // What cannot be removed does no harm: a payload that no record names, an empty journal.
        for (path, _) in &addition.payloads {
            let _ = disk::remove(path);
        }
        if self.head.seq == 0 {
            let _ = disk::remove(&self.path);
            self.file = None;
            self.unmark();
        }
        if self.finished {
            self.unmark();
        }
    }

    /// A marker that cannot be removed costs the next opening a look at the run, and goes then.
    fn unmark(&mut self) {
        let _ = disk::remove(&self.marker);
        self.marked = false;
    }
}

impl Addition {
    fn render(&mut self, record: &Record, dir: &Path) -> Result<(), AppendError> {
        let too_long = |bytes| AppendError::TooLong {
            run: record.run_id,
            seq: record.seq,
            bytes,
        };
        let not_json = |error: serde_json::Error| {
            AppendError::storage("render a record for", dir, error.into())
        };
        let mut line = record.to_line(None).map_err(not_json)?;
        let mut payload = None;
        let max_bytes = LINE_MAX_BYTES - chain::MEMBER_BYTES;
        if line.len() > max_bytes {
            let fields = serde_json::to_string(&record.event).map_err(not_json)?;
            if fields.len() > payload::MAX_BYTES {
                return Err(too_long(fields.len()));
            }
            let name = payload::name(record.seq);
            line = record.to_line(Some(&name)).map_err(not_json)?;
            if line.len() > max_bytes {
                return Err(too_long(line.len()));
            }
            self.payloads
                .push((dir.join(name), fields.clone().into_bytes()));
            payload = Some(fields);
        }
        self.chain
            .seal(&mut line, payload.as_deref().map(str::as_bytes));
        // A line that no reader can read would keep the whole run from opening.
        Record::parse(&line, |_| Ok(payload.unwrap_or_default())).map_err(|error| {
            AppendError::Unreadable {
                run: record.run_id,
                seq: record.seq,
                why: error.to_string(),
            }
        })?;
        self.lines.extend_from_slice(line.as_bytes());
        self.lines.push(b'\n');
        Ok(())
    }

    /// Durable before the lines that name them.
    fn write_payloads(&self) -> Result<(), AppendError> {
        let Some(folder) = self.payloads.first().and_then(|(path, _)| path.parent()) else {
            return Ok(());
        };
        disk::make_dir(folder).map_err(|error| AppendError::storage("create", folder, error))?;
        for (path, fields) in &self.payloads {
            disk::write_synced(path, fields)
                .map_err(|error| AppendError::storage("write", path, error))?;
        }
        [Some(folder), folder.parent()]
            .into_iter()
            .flatten()
            .try_for_each(disk::sync_dir)
            .map_err(|error| AppendError::storage("sync", folder, error))
    }
}

/// Where the chain of a run's journal continues.
fn verified(
    project: &Project,
    binding: &Binding,
    run: RunId,
    head: Head,
) -> Result<Verified, AppendError> {
    if head.bytes == 0 {
        return Ok(Verified {
            chain: binding.root(run),
            accepted: None,
            accepted_seq: 0,
        });
    }
    // What is acted on was verified when it was read; here it need only be the same.
    let written = binding.heads.get(run);
    if let Some(written) =
        written.filter(|written| (written.seq, written.bytes) == (head.seq, head.bytes))
    {
        return Ok(Verified {
            chain: binding.root(run).at(written.mac),
            accepted: written.accepted,
            accepted_seq: 0,
        });
    }
    let read = project.read_own_run(binding, run)?;
    read.map(|own| own.verified)
        .map_err(|why| AppendError::Excluded { run, why })
}

/// Where a whole journal ends, read off its last line.
pub(crate) fn read_head(file: &mut File, path: &Path) -> Result<Head, JournalError> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    let bytes = file.metadata().at("read", path)?.len();
    if bytes == 0 {
        return Ok(Head { seq: 0, bytes });
    }
    let start = bytes.saturating_sub(LINE_MAX_BYTES as u64 + 2);
    file.seek(SeekFrom::Start(start)).at("read", path)?;
    let mut end = Vec::new();
    file.take(bytes - start)
        .read_to_end(&mut end)
        .at("read", path)?;
    let whole = end.pop() == Some(b'\n');
    let newline = end.iter().rposition(|&byte| byte == b'\n');
    let line_start = newline.map_or(0, |at| at + 1);
    let what = match serde_json::from_slice::<Numbered>(&end[line_start..]) {
        Ok(Numbered { seq }) if whole => return Ok(Head { seq, bytes }),
        Ok(_) => "its last line is torn".to_owned(),
        Err(error) => format!("its last line is no record: {error}"),
    };
    Err(JournalError::BadFile {
        path: path.to_owned(),
        what,
    })
}
