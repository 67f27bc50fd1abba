//! Kinds of error, and the one table of what each means outside: exit code, HTTP status.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, exit $exit:literal, http $http:literal;)+) => {
        /// What sort of thing went wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(test, derive(ts_rs::TS))]
        pub enum ErrorKind { $($(#[$doc])* $name,)+ }

        impl ErrorKind {
            /// All of them, in the order of the table.
            pub const ALL: &[ErrorKind] = &[$(ErrorKind::$name,)+];

            /// The word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorKind::$name => $text,)+ }
            }

            /// The exit code of a command that ends with it.
            #[must_use]
            pub fn exit_code(self) -> u8 {
                match self { $(ErrorKind::$name => $exit,)+ }
            }

            /// The status of an HTTP answer that tells it.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(ErrorKind::$name => $http,)+ }
            }
        }
    };
}

kinds! {
    /// What was asked is not well formed: a bad plan, an unknown option, a malformed id.
    Usage = "usage", exit 2, http 400;
    /// What it names is not there.
    NotFound = "not_found", exit 4, http 404;
    /// It does not fit the state that things are in.
    Conflict = "conflict", exit 5, http 409;
    /// The caller did not say who it is.
    Unauthorized = "unauthorized", exit 6, http 401;
    /// The caller may not do this from where it is.
    Forbidden = "forbidden", exit 6, http 403;
    /// It is larger than is accepted.
    TooLarge = "too_large", exit 2, http 413;
    /// The daemon cannot be reached, or cannot start.
    Unavailable = "unavailable", exit 7, http 503;
    /// There is no room on the disk, or it does not answer.
    Storage = "storage", exit 8, http 507;
    /// What is on the disk is damaged.
    Damaged = "damaged", exit 8, http 500;
    /// A fault of Fornax itself.
    Internal = "internal", exit 70, http 500;
}

/// Exit code of a command whose work was done.
pub const EXIT_DONE: u8 = 0;
/// Exit code of a command whose run or task failed.
pub const EXIT_FAILED: u8 = 1;
/// Exit code of a command whose run is blocked: nothing failed, something is waited for.
pub const EXIT_BLOCKED: u8 = 3;
/// Exit code of a command that was interrupted, or whose run was stopped.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Something that was refused or went wrong, as every surface tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[error("{message}")]
pub struct Error {
    /// What sort of thing.
    pub kind: ErrorKind,
    /// What happened, and where.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub help: Option<String>,
}

impl Error {
    /// An error without advice.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            help: None,
        }
    }

    /// The error with advice on what to do next.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Error {
        self.help = Some(help.into());
        self
    }
}
