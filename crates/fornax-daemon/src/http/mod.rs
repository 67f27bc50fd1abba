//! The HTTP API and the page: see docs/api.md.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

mod answer;
mod api;
mod auth;
pub mod backend;
mod embed;
mod files;
mod images;
mod listen;
mod logs;
mod page;
mod patience;
mod range;
mod routes;
mod sse;
mod tools;
mod watch;

pub use auth::Auth;
pub use embed::Origin;
pub use listen::{Listeners, bind, serve};
pub use routes::routes;

/// What the routes share.
struct App<B> {
    backend: Arc<B>,
    auth: Auth,
    watches: Arc<watch::Watches>,
    line_counts: logs::LineCounts,
    started_ms: i64,
    /// Turns true when the daemon ends, so that streams end as well.
    closing: tokio::sync::watch::Sender<bool>,
}

/// The daemon's clock.
fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
