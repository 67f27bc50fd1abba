//! The HTTP half of the daemon over real sockets, with a small state in memory behind the trait.
#![allow(clippy::unwrap_used)]

mod api;
mod auth;
mod embed;
mod events;
mod files;
mod logs;
mod site;
mod wire;
