//! Runs tasks: one shim per task, which supervises the task's processes whether or not the daemon
//! lives, captures what they write, and leaves a record of their end.
//!
//! ```text
//! daemon: Supervisor ──specification──► fork server ──fork──► shim ──vfork, exec──► command
//!             ▲                         (`fornax __shim`)      │  │
//!             └────────── started, stalled, ended ─────────────┘  └► the task's folder
//! ```
//!
//! The truth about a task is its folder. No folder: never started. `exit.json`: ended. A locked
//! folder: its shim lives, attach to `shim.sock`. Otherwise: lost. So a supervisor that is started
//! again needs nothing but the specifications of the tasks that it should know.

mod attached;
mod begin;
mod capture;
mod folder;
mod forker;
mod ladder;
mod order;
mod procs;
mod server;
mod shim;
mod spawn;
mod spec;
mod supervisor;
mod suspend;
mod sweep;
mod sys;
mod watch;
mod wire;

pub use folder::{LOGS, read_exit};
pub use order::{LONGEST_LINE_BYTES, ORDER, Order, Run};
pub use procs::{DIR_MARK, TASK_MARK, boot_id};
pub use server::{SHIM_ARG, shim_main};
pub use spec::{Exit, ExitCause, Grace, RedactSpec, Report, TaskSpec};
pub use supervisor::{Running, Supervisor};
