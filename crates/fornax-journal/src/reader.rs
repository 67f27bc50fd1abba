//! Reading a run: its records one after the other, or whole lines from a place on.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fornax_core::event::Event;
use fornax_core::ids::{FrameId, RunId};
use fornax_core::record::{BadLine, LINE_MAX_BYTES, Record};

use crate::binding::{AcceptedDigest, Verifier};
use crate::disk;
use crate::error::{At, Damage, DamageKind, JournalError};
use crate::lines::{Lines, Next};
use crate::payload;
use crate::project::Project;

/// One of the two streams of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// `events.jsonl`: lifecycle, the truth.
    Events,
    /// `telemetry.jsonl`: trace events.
    Telemetry,
}

impl Stream {
    /// The name of its file.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Stream::Events => "events.jsonl",
            Stream::Telemetry => "telemetry.jsonl",
        }
    }
}

/// Bytes at the end of a journal that are not a whole line, or are lines of a step that is not
/// whole: what a crash leaves, or what is being written at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub file: PathBuf,
    /// The line they are on, from 1.
    pub line: u64,
    /// Where they begin.
    pub byte: u64,
    /// How many they are.
    pub bytes: u64,
}

/// Reads the records of a run in their order, holding one step in memory at a time: a step that is
/// not whole has not happened. After a damaged line it goes on with the next one; a caller that
/// must not guess stops at the first.
#[derive(Debug)]
pub struct RunReader {
    run: RunId,
    dir: PathBuf,
    file: PathBuf,
    lines: Lines,
    /// The number that the next record must have.
    expected: u64,
    /// What was read of a step, and how much of it may be handed out.
    step: VecDeque<(Place, Result<Record, Damage>)>,
    ready: usize,
    place: Place,
    /// Where the last whole step ends: the line after it, from 1, and the byte.
    end: Place,
    done: bool,
    /// What the lines are checked with, where they are.
    check: Check,
    /// The frames that were created so far: a frame's parent is one of them.
    frames: HashSet<FrameId>,
}

/// What is done with each line besides reading it.
#[derive(Debug)]
pub(crate) enum Check {
    /// Nothing.
    None,
    /// It must be one that this installation wrote.
    Own(Box<Verifier>),
    /// Its digest is taken, for a person who accepts the run; the second is that of the whole steps.
    Digest(AcceptedDigest, AcceptedDigest),
}

impl Check {
    fn line(&mut self, seq: u64, end: u64, line: &[u8], payload: Option<&[u8]>) -> bool {
        match self {
            Check::None => true,
            Check::Own(verifier) => verifier.line(seq, end, line, payload),
            Check::Digest(digest, _) => {
                digest.line(line, payload);
                true
            }
        }
    }

    fn commit(&mut self, seq: u64) {
        match self {
            Check::None => {}
            Check::Own(verifier) => verifier.commit(seq),
            Check::Digest(digest, committed) => committed.clone_from(digest),
        }
    }
}

/// A line: its number from 1, and where it begins, in bytes.
type Place = (u64, u64);

impl RunReader {
    pub(crate) fn open(project: &Project, run: RunId) -> Result<RunReader, JournalError> {
        let path = project.stream_file(run, Stream::Events);
        let file = match disk::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(JournalError::NoRun {
                    run,
                    project: project.root().to_owned(),
                });
            }
            file => file.at("open", &path)?,
        };
        Ok(RunReader {
            run,
            dir: project.run_dir(run),
            file: path,
            lines: Lines::new(file),
            expected: 1,
            step: VecDeque::new(),
            ready: 0,
            place: (1, 0),
            end: (1, 0),
            done: false,
            check: Check::None,
            frames: HashSet::new(),
        })
    }

    /// Checks each line. One that this installation did not write is damage of the kind
    /// [`DamageKind::Foreign`].
    pub(crate) fn checked(self, check: Check) -> RunReader {
        RunReader { check, ..self }
    }

    /// What the lines were checked with.
    pub(crate) fn into_check(self) -> Check {
        self.check
    }

    /// Where the last whole step read so far ends, in bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.1
    }

    /// The place of the last record that was handed out: its line, from 1, and where the line
    /// begins, in bytes.
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        self.place
    }

    /// What stands after the last whole step. Known once the iterator has ended.
    #[must_use]
    pub fn torn(&self) -> Option<Torn> {
        let (line, byte) = self.end;
        let bytes = self.lines.next_byte - byte;
        (self.done && bytes > 0).then(|| Torn {
            file: self.file.clone(),
            line,
            byte,
            bytes,
        })
    }

    /// Reads one line; none at the end.
    fn read(&mut self) -> Option<Result<Record, Damage>> {
        let expected = self.expected;
        // Until a record says otherwise: a line that cannot be read was one record.
        self.expected += 1;
        let (byte, next) = match self.lines.next() {
            Ok(next) => next,
            Err(error) => {
                self.done = true;
                let what = format!("cannot be read: {error}");
                let at = (self.lines.number + 1, self.lines.next_byte);
                return Some(Err(damage(&self.file, at, DamageKind::Unreadable, what)));
            }
        };
        let parsed = match next {
            Next::Line(line) => {
                let end = byte + line.len() as u64 + 1;
                let mut payload = None;
                let parsed = parse(line, self.run, &self.dir, expected, &mut payload);
                let payload = payload.as_deref().map(str::as_bytes);
                parsed.and_then(|record| {
                    check_parent(&mut self.frames, &record)?;
                    if self.check.line(record.seq, end, line, payload) {
                        return Ok(record);
                    }
                    Err(Bad {
                        kind: DamageKind::Foreign,
                        what: "this installation did not write the record".to_owned(),
                        seq: Some(record.seq),
                    })
                })
            }
            Next::TooLong(start) => Err(Bad {
                kind: hole_or(start, DamageKind::TooLong),
                what: format!("longer than {LINE_MAX_BYTES} bytes"),
                seq: None,
            }),
            Next::Torn(_) | Next::End => return None,
        };
        Some(parsed.map_err(|bad| {
            if let Some(seq) = bad.seq {
                self.expected = seq.saturating_add(1);
            }
            damage(&self.file, (self.lines.number, byte), bad.kind, bad.what)
        }))
    }
}

impl Iterator for RunReader {
    type Item = Result<Record, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready == 0 {
            if self.done {
                return None;
            }
            let begins = self.lines.next_byte;
            let Some(read) = self.read() else {
                self.done = true;
                self.step.clear();
                return None;
            };
            match &read {
                Ok(record) if record.more => {}
                Ok(record) => {
                    self.end = (self.lines.number + 1, self.lines.next_byte);
                    self.check.commit(record.seq);
                }
                Err(_) => self.step.clear(),
            }
            let is_last = read.as_ref().map_or(true, |record| !record.more);
            self.step.push_back(((self.lines.number, begins), read));
            if is_last {
                self.ready = self.step.len();
            }
        }
        self.ready -= 1;
        let (place, item) = self.step.pop_front()?;
        self.place = place;
        Some(item)
    }
}

fn damage(file: &Path, (line, byte): (u64, u64), kind: DamageKind, what: String) -> Damage {
    Damage {
        file: file.to_owned(),
        line,
        byte,
        kind,
        what,
    }
}

/// A frame comes after its parent: a circle of parents would never end.
fn check_parent(frames: &mut HashSet<FrameId>, record: &Record) -> Result<(), Bad> {
    let Event::FrameCreated(created) = &record.event else {
        return Ok(());
    };
    if let Some(parent) = created.parent_id.filter(|parent| !frames.contains(parent)) {
        return Err(Bad {
            kind: DamageKind::NotARecord,
            what: format!("the frame's parent {parent} was not created before it"),
            seq: Some(record.seq),
        });
    }
    frames.extend(record.frame_id);
    Ok(())
}

struct Bad {
    kind: DamageKind,
    what: String,
    /// The number that the line has, where it has one.
    seq: Option<u64>,
}

fn hole_or(line: &[u8], other: DamageKind) -> DamageKind {
    if line.contains(&0) {
        DamageKind::Hole
    } else {
        other
    }
}

fn parse(
    line: &[u8],
    run: RunId,
    dir: &Path,
    expected: u64,
    payload: &mut Option<String>,
) -> Result<Record, Bad> {
    let text = std::str::from_utf8(line).map_err(|error| Bad {
        kind: hole_or(line, DamageKind::NotARecord),
        what: format!("not a record: {error}"),
        seq: None,
    })?;
    let read = |name: &str| {
        let fields = payload::read(dir, name)?;
        Ok(payload.insert(fields).clone())
    };
    let record = Record::parse(text, read).map_err(|error| Bad {
        kind: match error {
            BadLine::Version(_) => DamageKind::NewerVersion,
            BadLine::Payload { .. } => DamageKind::Payload,
            BadLine::Json(_) => hole_or(line, DamageKind::NotARecord),
        },
        what: error.to_string(),
        seq: None,
    })?;
    let bad = |kind, what| Bad {
        kind,
        what,
        seq: Some(record.seq),
    };
    if record.run_id != run {
        let what = format!("the record is of {}, the folder of {run}", record.run_id);
        return Err(bad(DamageKind::WrongRun, what));
    }
    if record.seq != expected {
        let what = format!("record {} stands where {expected} should", record.seq);
        return Err(bad(DamageKind::Gap, what));
    }
    Ok(record)
}

/// Whole lines of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chunk {
    /// The lines, each with its newline.
    pub lines: Vec<u8>,
    /// Where the next line begins or will begin.
    pub next: u64,
}

impl Project {
    /// Reads whole lines of a stream from the byte `from`, which must be where a line begins: 0 or
    /// the `next` of an earlier chunk. Reads about `max_bytes`, yet always a line where there is
    /// one; nothing from `until` on, where that is given (see [`crate::Writer::head`]: lines
    /// beyond it may still be taken back). An empty chunk means that there is nothing more now.
    ///
    /// # Errors
    /// When the stream cannot be read, or no line begins at `from`.
    pub fn read_lines(
        &self,
        run: RunId,
        stream: Stream,
        from: u64,
        until: Option<u64>,
        max_bytes: usize,
    ) -> Result<Chunk, JournalError> {
        let path = self.stream_file(run, stream);
        let nothing = Chunk {
            lines: Vec::new(),
            next: from,
        };
        let mut file = match disk::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && from == 0 => {
                return Ok(nothing);
            }
            file => file.at("open", &path)?,
        };
        check_line_begins(&mut file, &path, from)?;
        let max = (max_bytes as u64).max(LINE_MAX_BYTES as u64 + 1);
        let max = until.map_or(max, |until| max.min(until.saturating_sub(from)));
        let mut lines = Vec::new();
        file.take(max).read_to_end(&mut lines).at("read", &path)?;
        let whole = lines.iter().rposition(|&byte| byte == b'\n');
        lines.truncate(whole.map_or(0, |at| at + 1));
        let next = from + lines.len() as u64;
        Ok(Chunk { lines, next })
    }

    /// Reads the file that holds the own fields of a record's event, as the record's line names it.
    ///
    /// # Errors
    /// When it cannot be read, or the name leads out of the run's folder.
    pub fn read_payload(&self, run: RunId, name: &str) -> io::Result<String> {
        payload::read(&self.run_dir(run), name)
    }
}

/// Leaves the file at `from`.
fn check_line_begins(file: &mut File, path: &Path, from: u64) -> Result<(), JournalError> {
    let Some(before) = from.checked_sub(1) else {
        return Ok(());
    };
    let mut byte = [0];
    file.seek(SeekFrom::Start(before)).at("read", path)?;
    if file.read(&mut byte).at("read", path)? == 1 && byte == *b"\n" {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("no line begins at byte {from}"),
    ))
    .at("read", path)
}
