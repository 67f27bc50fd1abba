//! The drivers: one module for each protocol.

mod acp;
mod claude;
mod claude_events;
mod claude_print;
mod claude_usage;
mod codex;
mod codex_exec;
mod codex_items;
mod codex_settings;
mod codex_usage;
mod jsonl;
mod jsonrpc;
mod opencode;
mod opencode_parts;
mod opencode_run;

use fornax_core::agent::{DriverKind, Failure};
use fornax_core::spec::ErrorClass;

use crate::driver::Driver;
use crate::job::Job;

/// The driver for a job.
#[must_use]
pub fn of(job: &Job) -> Box<dyn Driver> {
    match job.driver {
        DriverKind::Claude => Box::new(claude::Claude::new(job)),
        DriverKind::ClaudePrint => Box::new(claude_print::ClaudePrint::new(job)),
        DriverKind::Codex => Box::new(codex::Codex::new(job)),
        DriverKind::CodexExec => Box::new(codex_exec::CodexExec::new(job)),
        DriverKind::Acp => Box::new(acp::Acp::new(job)),
        DriverKind::Jsonl => Box::new(jsonl::Jsonl::new(job)),
        DriverKind::Opencode => Box::new(opencode::Opencode::new(job)),
        DriverKind::OpencodeRun => Box::new(opencode_run::OpencodeRun::new(job)),
    }
}

/// Why a turn ended with its process.
fn ended(code: Option<i32>, signal: Option<i32>) -> Failure {
    let (class, message) = match (code, signal) {
        (_, Some(signal)) => (
            ErrorClass::Signal,
            format!("the agent was ended by signal {signal} in mid-turn"),
        ),
        (Some(0), None) => (
            ErrorClass::ExitNonzero,
            "the agent ended without a word about its turn".to_owned(),
        ),
        (Some(code), None) => (
            ErrorClass::ExitNonzero,
            format!("the agent ended in mid-turn with exit code {code}"),
        ),
        (None, None) => (ErrorClass::Lost, "the agent's end is not known".to_owned()),
    };
    Failure {
        class,
        message,
        retry_at: None,
    }
}
