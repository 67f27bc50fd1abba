//! `GET /api/events`: the feed as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::App;
use super::answer::{Fail, Query};
use super::backend::Backend;
use crate::feed::{Feed, Published};

/// Chunks are at least this far apart: a single change goes out at once, many go out together.
const PACE: Duration = Duration::from_millis(10);
/// How long nothing is said at most, so that either side sees a dead connection.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    after: Option<String>,
}

/// `GET /api/events`
pub(crate) async fn events<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Query(query): Query<Since>,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let last = headers.get("last-event-id");
    let since = match last {
        Some(last) => Some(last.to_str().unwrap_or_default()),
        None => query.after.as_deref(),
    };
    let feed = app.backend.feed();
    let place = match since {
        None => Place::After(feed.head()),
        Some(since) => since
            .split_once(':')
            .filter(|(epoch, _)| *epoch == feed.epoch())
            .and_then(|(_, seq)| seq.parse().ok())
            .map_or(Place::Lost, Place::After),
    };
    let reader = Reader {
        head: feed.watch(),
        closing: app.closing.subscribe(),
        place,
        // The browser comes back a second after the connection broke.
        pending: Some(Bytes::from_static(b"retry: 1000\n\n")),
        spoke: Instant::now(),
        app,
    };
    let body = Body::from_stream(stream::unfold(reader, |mut reader| async {
        let chunk = reader.next().await?;
        Some((Ok::<_, Infallible>(chunk), reader))
    }));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

/// How far a subscriber has read.
enum Place {
    /// It has all up to this number.
    After(u64),
    /// Where it was is not in the ring.
    Lost,
    /// It has been told so, and nothing else follows.
    Told,
}

struct Reader<B> {
    app: Arc<App<B>>,
    head: watch::Receiver<u64>,
    closing: watch::Receiver<bool>,
    place: Place,
    pending: Option<Bytes>,
    spoke: Instant,
}

impl<B: Backend> Reader<B> {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.pending.take() {
            return Some(first);
        }
        let mut waited = false;
        loop {
            let feed = self.app.backend.feed();
            let after = match self.place {
                Place::After(after) => after,
                Place::Lost => {
                    self.place = Place::Told;
                    return Some(reset(feed));
                }
                Place::Told => return None,
            };
            if *self.closing.borrow() {
                return None;
            }
            self.head.mark_unchanged();
            match feed.after(after) {
                Err(_) => self.place = Place::Lost,
                Ok(changes) if !changes.is_empty() => {
                    // What comes meanwhile goes with it.
                    let due = self.spoke + PACE;
                    if !waited && due > Instant::now() {
                        waited = true;
                        tokio::time::sleep_until(due).await;
                        continue;
                    }
                    self.place = Place::After(after + changes.len() as u64);
                    self.spoke = Instant::now();
                    return Some(join(&changes));
                }
                Ok(_) => tokio::select! {
                    _ = self.head.changed() => {}
                    // It is only ever set once.
                    _ = self.closing.changed() => return None,
                    () = tokio::time::sleep_until(self.spoke + COMMENT_EVERY) => {
                        self.spoke = Instant::now();
                        return Some(Bytes::from_static(b":\n\n"));
                    }
                },
            }
        }
    }
}

/// Tells the subscriber to take a new snapshot. It carries the newest number, so that whoever comes
/// back by itself goes on from there: a snapshot taken after this has all that was before.
fn reset(feed: &Feed) -> Bytes {
    let head = format!(
        "id: {}:{}\nevent: reset\ndata: {{}}\n\n",
        feed.epoch(),
        feed.head()
    );
    Bytes::from(head)
}

fn join(changes: &[Arc<Published>]) -> Bytes {
    if let [one] = changes {
        return one.bytes.clone();
    }
    let mut bytes = BytesMut::with_capacity(changes.iter().map(|change| change.bytes.len()).sum());
    for change in changes {
        bytes.extend_from_slice(&change.bytes);
    }
    bytes.freeze()
}
