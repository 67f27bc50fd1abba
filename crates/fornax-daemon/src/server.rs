//! The daemon as a process: from its lock to its end.

use std::ffi::OsString;
use std::net::SocketAddr;

use fornax_core::error::{Error, ErrorKind};

use crate::home::{DaemonInfo, Home};
use crate::http::{self, Auth};
use crate::hub::Hub;
use crate::log;

/// How many descriptors the daemon wants.
const DESCRIPTORS: u64 = 16_384;

/// What a daemon is started with.
pub struct Options<R> {
    /// Its directory.
    pub home: Home,
    /// Where it listens; none for the usual port of the loopback address.
    pub bind: Option<SocketAddr>,
    /// The pages that may frame a run.
    pub embed_origins: Vec<http::Origin>,
    /// The command line of the task shims.
    pub shim_argv: Vec<OsString>,
    /// Told, with the page's address, when requests are answered.
    pub ready: R,
}

/// Runs the daemon until it is told to end. Tasks live on after it.
///
/// # Errors
/// When another daemon runs, when the daemon's directory cannot be used, or when it cannot listen.
pub fn run(options: Options<impl FnOnce(&str)>) -> Result<(), Error> {
    let lock = options.home.lock()?;
    log::start(&options.home)?;
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                format!("the runtime cannot start: {error}"),
            )
        })?;
    let served = runtime.block_on(serve(options));
    if let Err(error) = &served {
        tracing::error!(%error, "the daemon ends");
    }
    drop(lock);
    served
}

/// Every task, page and terminal is a descriptor or a few, and the usual limit is low. What the daemon
/// starts has the same limit: it stays one that programs can bear that go through all of theirs.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if current.is_some_and(|current| current < wanted) {
        let limit = Rlimit {
            current: Some(wanted),
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
}

async fn serve(options: Options<impl FnOnce(&str)>) -> Result<(), Error> {
    let home = options.home;
    let listeners = http::bind(&home, options.bind).await?;
    let auth = Auth::open(&home, listeners.addr())?.embedded_by(&options.embed_origins);
    let hub = Hub::open(home.clone(), options.shim_argv).await?;
    home.set_info(&DaemonInfo {
        pid: std::process::id(),
        url: auth.url().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_ms: jiff::Timestamp::now().as_millisecond(),
    })?;
    tracing::info!(url = auth.url(), "the daemon is ready");
    (options.ready)(auth.url());
    let end = async {
        tokio::select! {
            () = hub.ended() => {}
            () = told_by_signal() => {}
        }
    };
    let served = http::serve(std::sync::Arc::clone(&hub), listeners, auth, end).await;
    home.clear_info()?;
    tracing::info!("the daemon ends; tasks that run live on");
    served
}

/// Resolves when the process is asked to end.
async fn told_by_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals are not heard: end the daemon with `fornax down`");
            std::future::pending().await
        }
    }
}
