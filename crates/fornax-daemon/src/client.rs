//! The command line's side of the API: HTTP over the daemon's Unix socket.

use std::collections::VecDeque;
use std::fmt::Display;
use std::path::PathBuf;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use fornax_core::error::{Error, ErrorKind};
use fornax_core::view::Change;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::process::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::home::{DaemonInfo, Home, read_json};
use crate::instance::peer;
use crate::protocol::{PROTOCOL, mismatch};

/// The largest answer that is read whole: a snapshot of a million frames fits.
const ANSWER_MAX_BYTES: usize = 1 << 30;
/// The largest event of a stream.
const EVENT_MAX_BYTES: usize = 256 << 20;

/// What may stand in a part of a path or in a parameter's value as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A daemon that can be asked. Each request has a connection of its own.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

/// One message of the feed.
#[derive(Debug, Clone, PartialEq)]
pub enum SseItem {
    /// What changed.
    Change(Change),
    /// Changes were missed: take a new snapshot, and read on from it.
    Reset,
}

/// Bytes as they come.
pub type Bytestream = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;
/// Messages of the feed as they come.
pub type SseStream = Pin<Box<dyn Stream<Item = Result<SseItem, Error>> + Send>>;

/// `text` as a part of a path, or as a parameter's value.
pub fn encode(text: &str) -> impl Display + '_ {
    utf8_percent_encode(text, PLAIN)
}

impl Client {
    /// The daemon of a home.
    ///
    /// # Errors
    /// `Unavailable` where none is running.
    pub async fn connect(home: &Home) -> Result<Client, Error> {
        Client::at(home.socket()).await
    }

    /// The daemon at a socket.
    ///
    /// # Errors
    /// `Unavailable` where none is running.
    pub async fn at(socket: PathBuf) -> Result<Client, Error> {
        let client = Client { socket };
        client.dial().await?;
        Ok(client)
    }

    /// The same, where the daemon speaks this program's protocol.
    ///
    /// # Errors
    /// `Unavailable` where none is running; `Conflict` where it speaks another protocol.
    pub async fn compatible(socket: PathBuf) -> Result<Client, Error> {
        let client = Client::at(socket).await?;
        match client.protocol().await? {
            PROTOCOL => Ok(client),
            theirs => Err(mismatch(theirs)),
        }
    }

    /// The process that listens; none where it is of another process namespace.
    ///
    /// # Errors
    /// `Unavailable` where none is running.
    pub async fn process(&self) -> Result<Option<Pid>, Error> {
        Ok(peer(self.dial().await?).map(|peer| peer.pid))
    }

    /// The protocol that the daemon speaks. Its `daemon.json` tells, without a question to the
    /// daemon, where the file is by the process that listens.
    ///
    /// # Errors
    /// The daemon's; `Unavailable` where it cannot be reached.
    pub async fn protocol(&self) -> Result<u32, Error> {
        #[derive(Deserialize)]
        struct Protocol {
            #[serde(default)]
            protocol: u32,
        }
        let process = self.process().await?.map(Pid::as_raw_pid);
        // A file that cannot be read is no reason not to ask.
        let info = read_json::<DaemonInfo>(&self.socket.with_file_name("daemon.json"));
        if let Ok(Some(info)) = info
            && process.is_some_and(|process| i64::from(process) == i64::from(info.pid))
        {
            return Ok(info.protocol);
        }
        Ok(self.get_json::<Protocol>("/api/status").await?.protocol)
    }

    /// The answer to a GET.
    ///
    /// # Errors
    /// The daemon's; `Unavailable` where it cannot be reached.
    pub async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let response = self.send(Method::GET, path, None).await?;
        json(response).await
    }

    /// The answer to a POST. Where it has no body, `T` is `()`.
    ///
    /// # Errors
    /// The daemon's; `Unavailable` where it cannot be reached.
    pub async fn post_json<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| internal(&error))?;
        let response = self.send(Method::POST, path, Some(body.into())).await?;
        json(response).await
    }

    /// A DELETE.
    ///
    /// # Errors
    /// The daemon's; `Unavailable` where it cannot be reached.
    pub async fn delete(&self, path: &str) -> Result<(), Error> {
        let response = self.send(Method::DELETE, path, None).await?;
        json(response).await
    }

    /// The bytes of an answer to a GET, as they come: logs, events, artifacts.
    ///
    /// # Errors
    /// The daemon's; `Unavailable` where it cannot be reached, or leaves before the end.
    pub async fn stream_bytes(&self, path: &str) -> Result<Bytestream, Error> {
        let response = self.send(Method::GET, path, None).await?;
        let bytes = response.into_body().into_data_stream();
        Ok(Box::pin(
            bytes.map(|chunk| chunk.map_err(|error| broke_off(&error))),
        ))
    }

    /// The feed after `EPOCH:SEQ`, or from now on. It ends when the daemon does.
    ///
    /// # Errors
    /// `Unavailable` where the daemon cannot be reached, or breaks off; `Internal` where what it
    /// says is no feed.
    pub async fn sse(&self, after: Option<&str>) -> Result<SseStream, Error> {
        let path = match after {
            Some(after) => format!("/api/events?after={}", encode(after)),
            None => "/api/events".to_owned(),
        };
        let bytes = self.stream_bytes(&path).await?;
        let state = (bytes, Events::default());
        Ok(Box::pin(stream::try_unfold(
            state,
            |(mut bytes, mut events)| async {
                loop {
                    if let Some(item) = events.next() {
                        return Ok(Some((item?, (bytes, events))));
                    }
                    match bytes.next().await {
                        Some(chunk) => events.push(&chunk?)?,
                        None => return Ok(None),
                    }
                }
            },
        )))
    }

    async fn dial(&self) -> Result<UnixStream, Error> {
        UnixStream::connect(&self.socket).await.map_err(|error| {
            let what = match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                    "no daemon is running".to_owned()
                }
                _ => format!(
                    "cannot reach the daemon at {}: {error}",
                    self.socket.display()
                ),
            };
            Error::new(ErrorKind::Unavailable, what).with_help("start it with `fornax up`")
        })
    }

    /// Sends a request; an answer that is no success is an error.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>, Error> {
        let stream = TokioIo::new(self.dial().await?);
        let (mut sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| broke_off(&error))?;
        tokio::spawn(async move {
            // What goes wrong here is told to whoever waits for the answer.
            let _ = connection.await;
        });
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "fornax");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| Error::new(ErrorKind::Usage, format!("`{path}`: {error}")))?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broke_off(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: Error,
}

async fn refusal(response: Response<Incoming>) -> Error {
    let status = response.status();
    match whole(response).await {
        Err(error) => error,
        Ok(body) => serde_json::from_slice(&body).map_or_else(
            |_| Error::new(ErrorKind::Internal, format!("the daemon answered {status}")),
            |refusal: Refusal| refusal.error,
        ),
    }
}

async fn json<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Error> {
    let body = whole(response).await?;
    let body = if body.is_empty() { b"null" } else { &body[..] };
    serde_json::from_slice(body).map_err(|error| internal(&error))
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Error> {
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES)
        .collect()
        .await;
    body.map(http_body_util::Collected::to_bytes)
        .map_err(|error| broke_off(&*error))
}

fn broke_off(error: &dyn std::error::Error) -> Error {
    let what = format!("the connection to the daemon broke off: {error}");
    Error::new(ErrorKind::Unavailable, what).with_help("`fornax status` shows whether it runs")
}

fn internal(error: &dyn std::error::Error) -> Error {
    let what = format!("cannot read what the daemon answered: {error}");
    Error::new(ErrorKind::Internal, what)
        .with_help("it may be of another version: `fornax up --restart` (tasks live on)")
}

/// Server-sent events out of bytes.
#[derive(Default)]
struct Events {
    /// What follows the last whole line.
    rest: BytesMut,
    /// How much of it is known to hold no line's end.
    searched: usize,
    event: String,
    data: BytesMut,
    items: VecDeque<Result<SseItem, Error>>,
}

impl Events {
    fn next(&mut self) -> Option<Result<SseItem, Error>> {
        self.items.pop_front()
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        self.rest.extend_from_slice(chunk);
        while let Some(at) = self.rest[self.searched..]
            .iter()
            .position(|&byte| byte == b'\n')
        {
            let line = self.rest.split_to(self.searched + at + 1);
            self.searched = 0;
            self.line(&line[..line.len() - 1]);
        }
        self.searched = self.rest.len();
        if self.rest.len() + self.data.len() > EVENT_MAX_BYTES {
            let what = format!("an event of the feed is longer than {EVENT_MAX_BYTES} bytes");
            return Err(Error::new(ErrorKind::TooLarge, what));
        }
        Ok(())
    }

    /// Takes one line, as far as the daemon writes them: no carriage returns, one `data` an event.
    fn line(&mut self, line: &[u8]) {
        if let Some(event) = line.strip_prefix(b"event: ") {
            self.event = String::from_utf8_lossy(event).into_owned();
        } else if let Some(data) = line.strip_prefix(b"data: ") {
            self.data.extend_from_slice(data);
        } else if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            match std::mem::take(&mut self.event).as_str() {
                "reset" => self.items.push_back(Ok(SseItem::Reset)),
                "change" => self.items.push_back(
                    serde_json::from_slice(&data)
                        .map(SseItem::Change)
                        .map_err(|error| internal(&error)),
                ),
                // A comment's end, or news of a later version.
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let feed = crate::feed::Feed::new();
        for _ in 0..3 {
            feed.publish(Change::default());
        }
        let mut bytes = b"retry: 1000\n\n:\n\n".to_vec();
        for change in feed.after(0).unwrap() {
            bytes.extend_from_slice(&change.bytes);
        }
        bytes.extend_from_slice(b"event: later\ndata: 1\n\nid: x:9\nevent: reset\ndata: {}\n\n");
        for size in 1..bytes.len() {
            let mut events = Events::default();
            let mut seen = Vec::new();
            for chunk in bytes.chunks(size) {
                events.push(chunk).unwrap();
                while let Some(item) = events.next() {
                    seen.push(match item.unwrap() {
                        SseItem::Change(change) => change.seq,
                        SseItem::Reset => 0,
                    });
                }
            }
            assert_eq!(seen, [1, 2, 3, 0], "chunks of {size}");
        }
    }

    #[test]
    fn what_is_encoded_cannot_leave_its_place() {
        assert_eq!(encode("f-4k2p9x").to_string(), "f-4k2p9x");
        assert_eq!(
            encode("a/../b?c=d&e#é").to_string(),
            "a%2F..%2Fb%3Fc%3Dd%26e%23%C3%A9"
        );
    }

    #[tokio::test]
    async fn without_a_daemon_it_says_what_to_do() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(temp.path().join("fornax")).unwrap();
        let error = Client::connect(&home).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(error.help.as_deref(), Some("start it with `fornax up`"));
    }
}
