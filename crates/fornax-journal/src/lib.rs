//! A project's `.fornax/` on disk: journals, payload files, numbers, derived files.
//!
//! Synchronous: whoever calls from async code does so from a thread of its own. The journal of a
//! run, `runs/RUN/events.jsonl`, is the only truth; everything else here can be made again from it.
//!
//! - [`Project`] finds things and reads them; anybody may have one.
//! - [`Writer`] appends to journals and hands out numbers; there is one, and it holds the lock.
//! - [`TelemetryWriter`] takes what agents tell of themselves.
//! - [`Derived`] writes the files that repeat what the journals say.

mod binding;
mod chain;
mod counters;
mod derived;
mod disk;
mod error;
mod heads;
mod installation;
mod key;
mod lines;
mod lock;
mod log;
mod payload;
mod private;
mod project;
mod reader;
mod recovery;
pub mod repair;
mod telemetry;
mod trace;
mod tree;
mod verify;
mod writer;

pub use binding::Exclusion;
pub use derived::{Derivation, Derived};
pub use error::{AcceptError, AppendError, Damage, DamageKind, JournalError};
pub use installation::Installation;
pub use key::Key;
pub use log::Head;
pub use project::Project;
pub use reader::{Chunk, RunReader, Stream, Torn};
pub use recovery::{Candidate, OpenRun, Recovery, TornTail};
pub use telemetry::{Ingested, TelemetryWriter};
pub use tree::Tree;
pub use verify::{Finding, FindingKind, Severity};
pub use writer::Writer;
