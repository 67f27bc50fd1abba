//! The domain of Fornax, pure: no I/O, no clock, no randomness, no async. Time is an argument.

pub mod event;
pub mod ids;
pub mod record;
pub mod spec;
pub mod status;
pub mod template;
pub mod time;
