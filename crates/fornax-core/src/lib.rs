//! The domain of Fornax, pure: no I/O, no clock, no randomness, no async. Time is an argument.

pub mod ids;
pub mod spec;
pub mod template;
pub mod time;
