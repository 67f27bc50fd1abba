//! The daemon: the engine loop, HTTP, SSE, auth and the embedded page.

pub mod client;
pub mod engine;
pub mod feed;
pub mod files;
mod find;
pub mod git;
mod history;
pub mod home;
pub mod http;
pub mod hub;
pub mod instance;
mod locate;
pub mod log;
pub mod mcp;
pub mod plans;
mod pool;
pub mod protocol;
pub mod registry;
pub mod repair;
mod secret;
pub mod server;
pub mod tools;
pub mod trust;
