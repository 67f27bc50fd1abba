//! The HTTP API and the page: see docs/api.md.

pub mod backend;
