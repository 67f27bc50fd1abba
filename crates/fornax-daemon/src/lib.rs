//! The daemon: the engine loop, HTTP, SSE, auth and the embedded page.

pub mod client;
pub mod feed;
pub mod home;
pub mod http;
pub mod log;
mod secret;
pub mod tools;
