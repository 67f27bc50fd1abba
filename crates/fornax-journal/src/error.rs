//! What can go wrong with files, said so that a person knows what to do next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::RunId;
use serde::Serialize;

use crate::binding::Exclusion;

/// A place in a file that does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {line} (byte {byte}): {what}", file.display())]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u64,
    /// Where the line begins, in bytes from the file's beginning.
    pub byte: u64,
    /// What sort of damage it is.
    pub kind: DamageKind,
    /// What is wrong there.
    pub what: String,
}

/// Sorts of damage to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DamageKind {
    /// The line is no record.
    NotARecord,
    /// The line holds zero bytes: a power loss leaves such holes, and nothing else does.
    Hole,
    /// The line is longer than any that is written.
    TooLong,
    /// The line was written by a newer version.
    NewerVersion,
    /// The file with the record's own fields is missing or cannot be read.
    Payload,
    /// This installation did not write the record, or not there.
    Foreign,
    /// The record's number does not follow the last one's.
    Gap,
    /// The record is another run's.
    WrongRun,
    /// The system could not read on.
    Unreadable,
}

/// Why a project could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `create`, ...
        doing: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no `.fornax` in the folder nor in any that holds it.
    #[error("{} is not in a Fornax project", .0.display())]
    NoProject(PathBuf),
    /// There is no such run.
    #[error("there is no run {run} in {}", project.display())]
    NoRun {
        /// The run asked for.
        run: RunId,
        /// The project.
        project: PathBuf,
    },
    /// Another process has the project.
    #[error("{} is in use by {}", path.display(), Holder(*pid))]
    Locked {
        /// The lock's file.
        path: PathBuf,
        /// The process that holds it, where it has said so.
        pid: Option<u32>,
    },
    /// A journal is damaged.
    #[error("damaged: {0}")]
    Damaged(#[from] Damage),
    /// A file that is not a journal does not hold what it should.
    #[error("{} is damaged: {what}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file was written by a newer version of Fornax.
    #[error("{} has version {version}, this program knows {known}", path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// All frame numbers of a project have been used.
    #[error(
        "the project has used all its {} frame numbers",
        fornax_core::ids::FrameId::COUNT
    )]
    NumbersExhausted,
}

struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) => write!(f, "process {pid}"),
            None => f.write_str("another process"),
        }
    }
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Error {
        let (kind, help) = match &error {
            JournalError::Io { source, .. } if is_in_the_place_of_another(source) => {
                (ErrorKind::Damaged, Some(REPAIR))
            }
            JournalError::Io { .. } => (ErrorKind::Storage, None),
            JournalError::NoProject(_) => (
                ErrorKind::NotFound,
                Some("go to a folder with a `.fornax`, or start the daemon in this one"),
            ),
            JournalError::NoRun { .. } => {
                (ErrorKind::NotFound, Some("`fornax runs` lists the runs"))
            }
            JournalError::Locked { .. } => (
                ErrorKind::Conflict,
                Some("one daemon works a project at a time: use that one, or stop it"),
            ),
            JournalError::Damaged(_) | JournalError::BadFile { .. } => {
                (ErrorKind::Damaged, Some(REPAIR))
            }
            JournalError::NewerVersion { .. } => (
                ErrorKind::Damaged,
                Some("use the version of fornax that wrote it, or a newer one"),
            ),
            JournalError::NumbersExhausted => {
                (ErrorKind::Conflict, Some("go on in a new project folder"))
            }
        };
        let full = matches!(&error, JournalError::Io { source, .. } if is_storage_full(source));
        let help = if full { Some(MAKE_ROOM) } else { help };
        Error {
            help: help.map(str::to_owned),
            ..Error::new(kind, error.to_string())
        }
    }
}

const REPAIR: &str = "`fornax doctor --fix` shows how it would repair that, and asks";

/// Whether a folder stands in the place of a file, or the other way round.
fn is_in_the_place_of_another(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists
    )
}

const MAKE_ROOM: &str =
    "make room on that disk (old runs in `.fornax/runs` may be moved away), then try again";

/// Why records were not taken. Nothing of the batch is on the disk then.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The system refused to write.
    #[error("cannot {doing} {}: {source} ({free_bytes} bytes free)", file.display())]
    Storage {
        /// What was tried: `write`, `sync`, ...
        doing: &'static str,
        /// With which file.
        file: PathBuf,
        /// Free space on its disk, in bytes; 0 where that cannot be told.
        free_bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A record does not follow the last one. A fault of the caller.
    #[error("{run}: the next record is number {expected}, not {found}")]
    OutOfOrder {
        /// The run.
        run: RunId,
        /// The number that comes next.
        expected: u64,
        /// The number that the record has.
        found: u64,
    },
    /// A record is too long even without its event's own fields, or those are longer than a
    /// payload may be. A fault of the caller.
    #[error("{run}: record {seq} is too long: {bytes} bytes")]
    TooLong {
        /// The run.
        run: RunId,
        /// The record's number.
        seq: u64,
        /// The length of its line, or of its payload.
        bytes: usize,
    },
    /// A record's line could not be read back: it would make the journal unreadable. A fault of
    /// Fornax itself.
    #[error("{run}: record {seq} cannot be read back: {why}")]
    Unreadable {
        /// The run.
        run: RunId,
        /// The record's number.
        seq: u64,
        /// Why not.
        why: String,
    },
    /// An earlier failure left the run's journal in a state that could not be put right.
    #[error("{run} takes no more records: {why}")]
    Closed {
        /// The run.
        run: RunId,
        /// What happened.
        why: String,
    },
    /// The journal is no longer where it was written: its folder was moved, replaced or deleted.
    #[error("{} is not the file that was written: {what}", file.display())]
    Displaced {
        /// The file's path.
        file: PathBuf,
        /// What is there.
        what: String,
    },
    /// The run is not this installation's to write to.
    #[error("{run} cannot be written: {why}")]
    Excluded {
        /// The run.
        run: RunId,
        /// Why not.
        why: Exclusion,
    },
    /// The run's journal could not be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl AppendError {
    /// Whether it is for want of room: trying again after room was made will do.
    #[must_use]
    pub fn is_storage_full(&self) -> bool {
        match self {
            AppendError::Storage { source, .. }
            | AppendError::Journal(JournalError::Io { source, .. }) => is_storage_full(source),
            _ => false,
        }
    }

    pub(crate) fn storage(doing: &'static str, file: &Path, source: io::Error) -> AppendError {
        let free_bytes = file
            .parent()
            .and_then(|dir| rustix::fs::statvfs(dir).ok())
            .map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        AppendError::Storage {
            doing,
            file: file.to_owned(),
            free_bytes,
            source,
        }
    }
}

impl From<AppendError> for Error {
    fn from(error: AppendError) -> Error {
        let message = error.to_string();
        match error {
            AppendError::Journal(error) => error.into(),
            AppendError::Storage { .. } if error.is_storage_full() => {
                Error::new(ErrorKind::Storage, message).with_help(MAKE_ROOM)
            }
            AppendError::Storage { .. } => Error::new(ErrorKind::Storage, message)
                .with_help("see whether the disk is healthy and the folder can be written"),
            AppendError::Closed { .. } => Error::new(ErrorKind::Storage, message)
                .with_help("restart the daemon: it reads the journal again"),
            AppendError::Displaced { .. } => Error::new(ErrorKind::Storage, message)
                .with_help("run any `fornax` command where the project is now"),
            AppendError::Excluded { run, why } => why.error(run),
            AppendError::OutOfOrder { .. }
            | AppendError::TooLong { .. }
            | AppendError::Unreadable { .. } => Error::new(ErrorKind::Internal, message),
        }
    }
}

/// Why a run was not accepted. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// Its records are not those that were shown.
    #[error("{0} has changed since it was shown")]
    Changed(RunId),
    /// It is this installation's already.
    #[error("{0} is this installation's own: there is nothing to accept")]
    Own(RunId),
    /// The system refuses, or the journal is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl From<AcceptError> for Error {
    fn from(error: AcceptError) -> Error {
        match error {
            AcceptError::Journal(error) => error.into(),
            AcceptError::Own(_) => Error::new(ErrorKind::Conflict, error.to_string()),
            AcceptError::Changed(run) => Error::new(ErrorKind::Conflict, error.to_string())
                .with_help(format!("look at it again: `fornax trust {run}`")),
        }
    }
}

pub(crate) fn is_storage_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Says what was tried with which file when the system refuses.
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, JournalError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, JournalError> {
        self.map_err(|source| JournalError::Io {
            doing,
            path: path.to_owned(),
            source,
        })
    }
}
