//! How a command fails: what is said of it, and with which exit code.

use std::io;
use std::process::ExitCode;

use fornax_core::error::{
    EXIT_BLOCKED, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, Error, ErrorKind,
};
use fornax_daemon::trust::{self, caller::Caller};
use fornax_plan::Diagnostic;

use crate::commands::plan::rendered;
use crate::out::{self, BOLD, GREEN, RED, paint};
use crate::text::safe;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// It was refused, or went wrong.
    Error(Error),
    /// A plan or the configuration is wrong.
    Plan(Vec<Diagnostic>),
    /// Nobody reads standard output any more (`fornax runs | head`).
    NobodyReads,
}

/// The exit code of a command, or why it failed.
pub type Outcome = Result<u8, Failure>;

impl Failure {
    /// As an error of the product's own.
    pub fn into_error(self) -> Error {
        match self {
            Failure::Error(error) => error,
            Failure::Plan(diagnostics) => Error::new(ErrorKind::Usage, rendered(&diagnostics)),
            Failure::NobodyReads => Error::new(ErrorKind::Storage, "nobody reads the output"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

/// An error of standard output: other errors of I/O say with which file.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::NobodyReads;
        }
        Failure::Error(Error::new(
            ErrorKind::Storage,
            format!("cannot write the output: {error}"),
        ))
    }
}

/// A failure with advice.
pub fn fail<T>(
    kind: ErrorKind,
    message: impl Into<String>,
    help: impl Into<String>,
) -> Result<T, Failure> {
    Err(Failure::Error(Error::new(kind, message).with_help(help)))
}

/// Says what went wrong and gives the exit code.
pub fn conclude(outcome: Outcome) -> ExitCode {
    ExitCode::from(match outcome {
        Ok(code) => code,
        Err(Failure::NobodyReads) => EXIT_DONE,
        Err(Failure::Plan(diagnostics)) => {
            out::note(rendered(&diagnostics).trim_end());
            ErrorKind::Usage.exit_code()
        }
        Err(Failure::Error(error)) => {
            let is_for_agent =
                error.kind == ErrorKind::Forbidden && Caller::of_this_process() != Caller::Person;
            let error = match is_for_agent {
                true => trust::for_agent(error),
                false => error,
            };
            tell(&error);
            error.kind.exit_code()
        }
    })
}

/// Says an error on standard error.
pub fn tell(error: &Error) {
    out::note(&format!(
        "{}: {}",
        paint(RED.bold(), "error"),
        safe(&error.message)
    ));
    if let Some(help) = &error.help {
        out::note(&format!("{}: {}", paint(GREEN, "help"), safe(help)));
    }
}

/// Says something that went wrong without ending the command.
pub fn warn(message: &str) {
    out::note(&format!("{}: {}", paint(BOLD, "warning"), safe(message)));
}

/// The section of the long help, made of the table in `fornax_core::error`.
pub fn exit_codes() -> String {
    let mut rows = vec![
        (EXIT_DONE, "done".to_owned()),
        (
            EXIT_FAILED,
            "the run or task failed, or a check found a fault".to_owned(),
        ),
        (
            EXIT_BLOCKED,
            "the run is blocked: nothing failed, something is waited for".to_owned(),
        ),
        (
            EXIT_INTERRUPTED,
            "interrupted, or the run was stopped".to_owned(),
        ),
    ];
    for kind in ErrorKind::ALL {
        let word = kind.as_str().replace('_', " ");
        match rows.iter_mut().find(|(code, _)| *code == kind.exit_code()) {
            Some((_, meaning)) => *meaning = format!("{meaning}, {word}"),
            None => rows.push((kind.exit_code(), word)),
        }
    }
    rows.sort_by_key(|(code, _)| *code);
    let lines: Vec<_> = rows
        .iter()
        .map(|(code, meaning)| format!("  {code:>3}  {meaning}"))
        .collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}
