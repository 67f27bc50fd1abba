//! A running stub, as other crates' tests use it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::playback::Closing;
use crate::record::{Recorder, RequestRecord, now_ms};
use crate::script::{Script, ScriptError};
use crate::server::{self, Counters, Shared};

/// How long [`StubModel::wait_for`] and [`StubModel::settle`] wait.
const WAIT: Duration = Duration::from_secs(30);
/// How long connections have to end once all their answers are stopped.
const GRACE: Duration = Duration::from_secs(2);

/// How a stub is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// What `{{NAME}}` in the script stands for.
    pub vars: BTreeMap<String, String>,
    /// A file that gets one JSON line for each request that ended.
    pub log: Option<PathBuf>,
    /// Whether the bodies of requests are kept and logged: all that the agent said.
    pub log_bodies: bool,
}

/// What can go wrong with a stub.
#[derive(Debug, thiserror::Error)]
pub enum StubError {
    /// The script and the variables do not fit together.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The port is not to be had.
    #[error(
        "cannot listen on 127.0.0.1:{port}: {source}; choose another port, or 0 for a free one"
    )]
    Listen {
        /// The port asked for.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The log cannot be opened or written.
    #[error("cannot write the log {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server ended with an error.
    #[error("the stub's server failed: {0}")]
    Server(#[source] io::Error),
    /// The script has no such rule, so it cannot fire.
    #[error("the script has no rule \"{0}\"")]
    NoSuchRule(String),
    /// What was waited for did not happen.
    #[error("{awaited} did not happen within {} s; so far came: {came}", WAIT.as_secs())]
    Timeout {
        /// What.
        awaited: String,
        /// The rules that fired, in order.
        came: String,
    },
}

/// A running stub. Dropping it shuts it down without waiting.
pub struct StubModel {
    address: SocketAddr,
    shared: Arc<Shared>,
    log: Option<PathBuf>,
    close: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
}

impl StubModel {
    /// Starts a stub on 127.0.0.1, inside the current tokio runtime. It listens when this returns.
    ///
    /// # Errors
    /// Where the script uses a variable that is not given, the log cannot be opened, or the
    /// port cannot be had.
    pub async fn start(script: Script, options: Options) -> Result<Self, StubError> {
        script.check_vars(&options.vars)?;
        let recorder = Recorder::new(options.log.as_deref(), options.log_bodies)
            .map_err(|source| log_error(options.log.as_ref(), source))?;
        let port = options.port;
        let listen = |source| StubError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let (close, told) = watch::channel(false);
        let closing = Closing::new(told);
        let shared = Arc::new(Shared {
            vars: options.vars,
            recorder,
            closing: closing.clone(),
            salt: format!("{:x}", now_ms()),
            counters: Mutex::new(Counters {
                calls: 0,
                uses: vec![0; script.rules.len()],
            }),
            script,
        });
        let router = server::router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let mut closing = closing;
            let closed = async move { closing.begun().await };
            axum::serve(listener, router)
                .with_graceful_shutdown(closed)
                .await
        });
        Ok(Self {
            address,
            shared,
            log: options.log,
            close,
            server,
        })
    }

    /// Where it listens: `http://127.0.0.1:PORT`. APIs are found under any path below it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The newest requests, oldest first. One that is being answered is there, with
    /// [`Outcome::Pending`](crate::Outcome::Pending).
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.recorder.list().0
    }

    /// Returns once the rule has fired, with how often it has.
    ///
    /// # Errors
    /// At once where the script has no such rule; after 30 s where it has not fired.
    pub async fn wait_for(&self, rule: &str) -> Result<u64, StubError> {
        if !self.shared.script.has_rule(rule) {
            return Err(StubError::NoSuchRule(rule.to_owned()));
        }
        let fired = tokio::time::timeout(WAIT, self.shared.recorder.fired(rule)).await;
        fired.map_err(|_| self.timeout(&format!("rule \"{rule}\"")))
    }

    /// Returns once no request is being answered: then every record's outcome is final. A
    /// client can have its whole answer a moment before.
    ///
    /// # Errors
    /// After 30 s.
    pub async fn settle(&self) -> Result<(), StubError> {
        let settled = tokio::time::timeout(WAIT, self.shared.recorder.settled()).await;
        settled.map_err(|_| self.timeout("the end of all requests"))
    }

    /// Ends every answer and stops listening.
    ///
    /// # Errors
    /// Where the log could not be written, or the server failed.
    pub async fn shutdown(mut self) -> Result<(), StubError> {
        self.close.send_replace(true);
        // A connection that is in the middle of a request's head would hold the server up.
        match tokio::time::timeout(GRACE, &mut self.server).await {
            Ok(Ok(ended)) => ended.map_err(StubError::Server)?,
            Ok(Err(panicked)) => return Err(StubError::Server(io::Error::other(panicked))),
            Err(_) => self.server.abort(),
        }
        match self.shared.recorder.take_log_error() {
            Some(source) => Err(log_error(self.log.as_ref(), source)),
            None => Ok(()),
        }
    }

    fn timeout(&self, awaited: &str) -> StubError {
        let rules: Vec<String> = self
            .requests()
            .into_iter()
            .filter_map(|request| request.rule)
            .collect();
        let came = if rules.is_empty() {
            "nothing".to_owned()
        } else {
            rules.join(", ")
        };
        StubError::Timeout {
            awaited: awaited.to_owned(),
            came,
        }
    }
}

impl fmt::Debug for StubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StubModel")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for StubModel {
    fn drop(&mut self) {
        self.close.send_replace(true);
    }
}

fn log_error(path: Option<&PathBuf>, source: io::Error) -> StubError {
    StubError::Log {
        path: path.cloned().unwrap_or_default(),
        source,
    }
}
