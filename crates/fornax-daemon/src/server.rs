//! The daemon as a process: from its lock to its end.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use fornax_core::error::{Error, ErrorKind};
use tokio::time::MissedTickBehavior;

use crate::home::{DaemonInfo, DaemonLock, Home};
use crate::http::{self, Auth};
use crate::hub::Hub;
use crate::instance::Instance;
use crate::log;
use crate::protocol::PROTOCOL;

/// How often the daemon looks whether its state directory is still there.
const STATE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long the end waits for blocking work.
const STUCK_TIMEOUT: Duration = Duration::from_secs(2);
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
    let instance = Instance::claim(options.home.dir())?;
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
    let served = runtime.block_on(serve(options, &lock, &instance));
    if let Err(error) = &served {
        tracing::error!(%error, "the daemon ends");
    }
    // A thread that waits for a disk that does not answer is left behind.
    runtime.shutdown_timeout(STUCK_TIMEOUT);
    drop(instance);
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

async fn serve(
    options: Options<impl FnOnce(&str)>,
    lock: &DaemonLock,
    instance: &Instance,
) -> Result<(), Error> {
    let home = options.home;
    let listeners = http::bind(&home, options.bind).await?;
    let auth = Auth::open(&home, listeners.addr())?.embedded_by(&options.embed_origins);
    let hub = Hub::open(home.clone(), options.shim_argv).await?;
    home.set_info(&DaemonInfo {
        pid: std::process::id(),
        url: auth.url().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        started_ms: jiff::Timestamp::now().as_millisecond(),
    })?;
    tracing::info!(url = auth.url(), "the daemon is ready");
    (options.ready)(auth.url());
    let mut is_lost = false;
    let end = async {
        tokio::select! {
            () = hub.ended() => {}
            () = told_by_signal() => {}
            () = lost(lock, instance, &home) => is_lost = true,
        }
    };
    let served = http::serve(std::sync::Arc::clone(&hub), listeners, auth, end).await;
    if is_lost {
        // What is at the path by now, if anything, is not this daemon's to remove.
        let what = format!(
            "the state directory {} was deleted or replaced while the daemon ran: the daemon ends, \
             tasks live on",
            home.dir().display()
        );
        let help = "`fornax up -d` starts a daemon with a new state directory";
        return Err(Error::new(ErrorKind::Storage, what).with_help(help));
    }
    home.clear_info()?;
    tracing::info!("the daemon ends; tasks that run live on");
    served
}

/// Resolves when the state directory is no longer the one that the daemon was started with. Nobody
/// can reach the daemon then, and its changes of the directory go nowhere. Looks now and then, and at
/// once when somebody looks who holds the daemon's sign: it may be a daemon that waits to start.
async fn lost(lock: &DaemonLock, instance: &Instance, home: &Home) {
    let mut ticks = tokio::time::interval(STATE_CHECK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listener = instance.listener().unwrap_or_else(|error| {
        tracing::warn!(%error, "others cannot see that this daemon lives");
        None
    });
    let connection = async || match &listener {
        Some(listener) => listener.accept().await.map(drop),
        None => std::future::pending().await,
    };
    while lock.is_current(home) {
        tokio::select! {
            _ = ticks.tick() => {}
            looked = connection() => {
                if let Err(error) = looked {
                    tracing::warn!(%error, "cannot take a connection");
                    ticks.tick().await;
                }
            }
        }
    }
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
