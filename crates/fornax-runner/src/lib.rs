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
//!
//! The folder can be a copy, and the task can write to it. So a shim proves on its socket, and in
//! `exit.json`, with a key that only it and the daemon have, that this very folder is its task's;
//! `task.json` is a hint for people. Processes of a dead shim are known by a mark that is made with
//! that key.

mod attached;
mod begin;
mod capture;
mod folder;
mod forker;
mod key;
mod ladder;
mod legacy;
mod look;
mod order;
mod place;
mod procs;
mod proof;
mod server;
mod shim;
mod shims;
mod spawn;
mod spec;
mod stop;
mod supervisor;
mod suspend;
mod sweep;
mod sys;
mod watch;
mod wire;

pub use folder::LOGS;
pub use key::TaskKey;
pub use look::read_exit;
pub use order::{LONGEST_LINE_BYTES, ORDER, Order, Run};
pub use place::{FileId, StateDir};
pub use procs::{DIR_MARK, FOLDER_MARK, Identity, TASK_MARK, boot_id};
pub use proof::{ExitProof, LeftFile};
pub use server::{SHIM_ARG, shim_main};
pub use shims::{RunningShim, shim_of, shims};
pub use spec::{Exit, ExitCause, Grace, RedactSpec, Report, TaskSpec};
pub use stop::{StopOutcome, stop_task};
pub use supervisor::{Running, Supervisor};
