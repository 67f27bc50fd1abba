//! The drivers: one module for each protocol.

use fornax_core::agent::DriverKind;

use crate::driver::Driver;
use crate::job::Job;

/// The driver for a job.
#[must_use]
pub fn of(job: &Job) -> Box<dyn Driver> {
    match job.driver {
        DriverKind::Opencode
        | DriverKind::OpencodeRun
        | DriverKind::Claude
        | DriverKind::ClaudePrint
        | DriverKind::Codex
        | DriverKind::CodexExec
        | DriverKind::Acp
        | DriverKind::Jsonl => unreachable!("replaced as the drivers come"),
    }
}
