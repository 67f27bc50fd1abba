//! What Fornax knows of coding agents.
//!
//! ```text
//! shim ─exec─► host (`fornax __agent`) ─spawn─► agent
//!                │  ▲                             │
//!                │  └── lines, events ◄───────────┤
//!                │       driver (no I/O) ──says───►
//!                ├──► session.jsonl: happenings   (read by the daemon, whenever it lives)
//!                └──◄ agent.sock: orders          (prompt, interrupt, decide, compact)
//! ```
//!
//! A task with a driver runs a *host*: a small process between shim and agent that speaks the
//! agent's protocol. It needs no daemon: it goes on through a daemon's crash, and what it heard
//! stands in the task's folder. A [`Driver`] is pure: it is told what the agent says and what a
//! human orders, and says what to send and what happened. So it is tested on recorded streams.

pub mod classify;
pub mod detect;
pub mod driver;
pub mod drivers;
pub mod happening;
pub mod host;
pub mod job;
pub mod opencode_server;
pub mod prices;
pub mod session;

pub use driver::{Driver, Heard, Out, Say};
pub use happening::{Entry, Happening, TurnEnd};
pub use job::Job;
