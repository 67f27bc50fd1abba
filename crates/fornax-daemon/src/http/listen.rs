//! Listening, and what becomes of each connection.

use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fornax_core::error::{Error, ErrorKind};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use super::auth::{Auth, Peer};
use super::backend::Backend;
use super::logs::LineCounts;
use super::patience::Patience;
use super::{App, now_ms, routes, watch::Watches};
use crate::home::{Home, storage};
use crate::trust::caller::ProcessId;

/// The port that is tried first, so that bookmarks hold.
const PORT: u16 = 7717;
/// How many connections there are at most, of each kind: one kind cannot shut the other out.
const CONNECTIONS_MAX: usize = 2048;
/// How long the head of a request may take to come, and a kept connection to bring the next one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client over TCP may take nothing of an answer that is ready.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long requests may go on when the daemon ends.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the daemon listens.
pub struct Listeners {
    tcp: TcpListener,
    unix: UnixListener,
    addr: SocketAddr,
}

impl Listeners {
    /// The address of the page.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Listens on the home's Unix socket and on `addr`: where none is given, on port 7717 of 127.0.0.1,
/// or on a free one where that is taken. The home's lock must be held, for a socket that an earlier
/// daemon left behind is removed.
///
/// # Errors
/// `Forbidden` for an address that other machines can reach, `Unavailable` where it is taken,
/// `Storage` where the socket cannot be made.
pub async fn bind(home: &Home, addr: Option<SocketAddr>) -> Result<Listeners, Error> {
    let taken = |addr: SocketAddr, error: io::Error| {
        Error::new(
            ErrorKind::Unavailable,
            format!("cannot listen on {addr}: {error}"),
        )
        .with_help("choose another address with --bind, or leave it out")
    };
    let tcp = match addr {
        Some(addr) if !addr.ip().is_loopback() => return Err(not_loopback(addr)),
        Some(addr) => TcpListener::bind(addr)
            .await
            .map_err(|error| taken(addr, error))?,
        None => {
            let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
            let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            match TcpListener::bind(usual).await {
                Ok(tcp) => tcp,
                Err(_) => TcpListener::bind(free)
                    .await
                    .map_err(|error| taken(free, error))?,
            }
        }
    };
    let path = home.socket();
    let unix = fs::remove_file(&path)
        .or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| UnixListener::bind(&path))
        .and_then(|unix| {
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(unix)
        })
        .map_err(|error| storage("make", &path, &error))?;
    let addr = tcp
        .local_addr()
        .map_err(|error| storage("listen on", &path, &error))?;
    Ok(Listeners { tcp, unix, addr })
}

fn not_loopback(addr: SocketAddr) -> Error {
    let port = addr.port();
    let what = format!("{addr} can be reached from other machines, and Fornax speaks no TLS");
    Error::new(ErrorKind::Forbidden, what).with_help(format!(
        "listen on 127.0.0.1:{port}, and reach it from elsewhere with \
         `ssh -L {port}:127.0.0.1:{port} HOST`"
    ))
}

/// Serves until `shutdown` ends; then streams end, requests may finish for 5 seconds, and all
/// connections are closed.
///
/// # Errors
/// `Internal` where the system cannot watch files.
pub async fn serve<B: Backend>(
    backend: Arc<B>,
    listeners: Listeners,
    auth: Auth,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let watches = Watches::new().map(Arc::new).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("cannot watch files: {error}"))
            .with_help("raise fs.inotify.max_user_instances with sysctl")
    })?;
    let app = Arc::new(App {
        backend,
        auth,
        watches: Arc::clone(&watches),
        line_counts: LineCounts::default(),
        started_ms: now_ms(),
        closing: watch::Sender::new(false),
    });
    let telling = async {
        let ended = watches.run().await;
        tracing::error!(
            ?ended,
            "files are not watched any more: followed logs stand still"
        );
        std::future::pending::<()>().await;
    };
    let mut connections = JoinSet::new();
    tokio::select! {
        () = shutdown => {}
        () = telling => {}
        () = accept(&app, &listeners, &mut connections) => {}
    }
    drop(listeners);
    app.closing.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(END_TIMEOUT, ended).await.is_err() {
        tracing::warn!(
            left = connections.len(),
            "closing connections that did not end"
        );
        connections.shutdown().await;
    }
    Ok(())
}

/// Takes connections in, for ever.
async fn accept<B: Backend>(
    app: &Arc<App<B>>,
    listeners: &Listeners,
    connections: &mut JoinSet<()>,
) {
    let router = routes::router(Arc::clone(app));
    let [tcp_room, unix_room] = [(); 2].map(|()| Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    loop {
        tokio::select! {
            (stream, permit) = next(&tcp_room, || accept_tcp(&listeners.tcp)) => {
                let stream = Patience::new(stream, WRITE_TIMEOUT);
                let talk = talk(stream, Peer::Tcp, router.clone(), app.closing.subscribe(), permit);
                connections.spawn(talk);
            }
            ((stream, process), permit) = next(&unix_room, || accept_unix(&listeners.unix)) => {
                let peer = Peer::Unix(process);
                let talk = talk(stream, peer, router.clone(), app.closing.subscribe(), permit);
                connections.spawn(talk);
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a request was given up");
                }
            }
        }
    }
}

/// The next connection that there is room for.
async fn next<S, F: Future<Output = io::Result<S>>>(
    room: &Arc<Semaphore>,
    accept: impl Fn() -> F,
) -> (S, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = Arc::clone(room).acquire_owned().await else {
            // Nobody closes the semaphore.
            std::future::pending::<()>().await;
            continue;
        };
        match accept().await {
            Ok(stream) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The connection, and the process that made it, where that still lives.
async fn accept_unix(listener: &UnixListener) -> io::Result<(UnixStream, Option<ProcessId>)> {
    let (stream, _) = listener.accept().await?;
    let credentials = stream.peer_cred()?;
    let user = credentials.uid();
    if user != rustix::process::geteuid().as_raw() {
        let what = format!("user {user} is not the daemon's");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok());
    Ok((stream, pid.and_then(ProcessId::of)))
}

/// Answers the requests of one connection.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: Peer,
    router: Router,
    mut closing: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        // It is only ever set once.
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // Clients leave as they like: nothing is wrong here.
        tracing::debug!(%error, "a connection broke off");
    }
}
