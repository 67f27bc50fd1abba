//! The domain of Fornax, pure: no I/O, no clock, no randomness, no async. Time is an argument.

pub mod agent;
pub mod autonomy;
pub mod context;
pub mod error;
pub mod event;
pub mod frame;
pub mod ids;
pub mod record;
pub mod request;
pub mod spec;
pub mod state;
pub mod status;
pub mod subagents;
pub mod template;
pub mod time;
pub mod title;
pub mod tools;
pub mod view;
