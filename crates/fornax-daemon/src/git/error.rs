//! Why a call of `git` failed.

use std::io;
use std::path::PathBuf;

use fornax_core::error::{Error, ErrorKind};

use super::filters::FilterCommand;

/// The longest part of a command or of git's own message that an error shows, in characters.
const SHOWN_MAX_CHARS: usize = 300;

/// What is done with files of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Their content is put into the object store.
    Save,
    /// Their content is taken from the object store.
    CheckOut,
}

/// Why a call of `git` failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// No absolute directory of `PATH` has it.
    #[error("git is not installed: no directory in PATH contains it")]
    NotInstalled,
    /// It rejects an option that is needed.
    #[error("this version of git is too old: {0}")]
    TooOld(String),
    /// The directory is in no work tree, or git refuses to use the repository.
    #[error("{} is in no git work tree that can be used: {reason}", dir.display())]
    NoWorkTree {
        /// The directory.
        dir: PathBuf,
        /// What git reported.
        reason: String,
    },
    /// The text is no name of a commit.
    #[error("{0:?} is not a valid revision")]
    InvalidRevision(String),
    /// It did not finish in time and was killed.
    #[error("git {subcommand} did not finish within {seconds} s")]
    TimedOut {
        /// Which call.
        subcommand: &'static str,
        /// The time that it had.
        seconds: u64,
    },
    /// It wrote more than is read.
    #[error("git {0} wrote too much output")]
    OutputTooLarge(&'static str),
    /// It ended with an error.
    #[error("git {subcommand} failed: {message}")]
    Failed {
        /// Which call.
        subcommand: &'static str,
        /// What it wrote to standard error.
        message: String,
    },
    /// A path uses a filter that the repository's own configuration defines and nobody has trusted.
    #[error("{}", untrusted(*.operation, .path, .filter))]
    UntrustedFilter {
        /// What was to be done.
        operation: Operation,
        /// The path, relative to the work tree.
        path: String,
        /// The first command of the filter that is not trusted.
        filter: FilterCommand,
    },
    /// A file or a process failed.
    #[error("cannot call git: {0}")]
    Io(#[from] io::Error),
}

fn untrusted(operation: Operation, path: &str, filter: &FilterCommand) -> String {
    let verb = match operation {
        Operation::Save => "save",
        Operation::CheckOut => "check out",
    };
    format!(
        "cannot {verb} {path:?}: it uses the filter {:?}, whose {} command {:?} comes from the \
         repository's own configuration and is not trusted",
        filter.name(),
        filter.kind(),
        cut(&filter.command()),
    )
}

/// The beginning of a text that others wrote.
pub(super) fn cut(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(SHOWN_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl From<GitError> for Error {
    fn from(error: GitError) -> Error {
        let (kind, help) = match &error {
            GitError::NotInstalled => (ErrorKind::NotFound, "install git"),
            GitError::TooOld(_) => (ErrorKind::NotFound, "install git 2.31 or newer"),
            GitError::NoWorkTree { .. } => (
                ErrorKind::Conflict,
                "use a directory in a git repository that has a work tree and belongs to you",
            ),
            GitError::InvalidRevision(_) => (
                ErrorKind::Usage,
                "name a branch, a tag or a commit that exists",
            ),
            GitError::TimedOut { .. } => (ErrorKind::Unavailable, "try again when git is faster"),
            GitError::OutputTooLarge(_) => (ErrorKind::TooLarge, "use a smaller repository"),
            GitError::Failed { .. } => (
                ErrorKind::Conflict,
                "repair the repository; `git fsck` and `git status` may show more",
            ),
            GitError::UntrustedFilter { .. } => (
                ErrorKind::Forbidden,
                "a person can read the command and allow it with `fornax trust`",
            ),
            GitError::Io(_) => (ErrorKind::Storage, "set TMPDIR to a directory with room"),
        };
        Error::new(kind, error.to_string()).with_help(help)
    }
}
