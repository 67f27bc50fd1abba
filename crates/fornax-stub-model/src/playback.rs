//! Sending an answer at the pace, and with the accident, that a reply asks for.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;

use crate::record::{Outcome, Ticket};
use crate::reply::{Break, Reply};

/// Tells everyone who waits that the stub shuts down.
#[derive(Clone)]
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    pub(crate) fn new(told: watch::Receiver<bool>) -> Self {
        Self(told)
    }

    /// Returns when the stub shuts down.
    pub(crate) async fn begun(&mut self) {
        // An error means that the stub itself is gone, which is the same.
        drop(self.0.wait_for(|closing| *closing).await);
    }
}

/// How an answer is sent.
pub(crate) struct Pace {
    delay: Option<Duration>,
    chunk_delay: Option<Duration>,
    accident: Option<(Accident, Break)>,
}

#[derive(Debug, Clone, Copy)]
enum Accident {
    /// Silence until the client leaves.
    Hang,
    /// The connection is dropped.
    Cut,
}

impl Accident {
    /// Plays it; what is left to do then is to drop the connection. A client that leaves a
    /// silent stub drops this future.
    async fn play(self, closing: &mut Closing) -> Outcome {
        match self {
            Self::Cut => Outcome::Cut,
            Self::Hang => {
                closing.begun().await;
                Outcome::Stopped
            }
        }
    }
}

impl Pace {
    pub(crate) fn of(reply: &Reply) -> Self {
        let hang = reply.hang.map(|at| (Accident::Hang, at));
        let cut = reply.cut.map(|at| (Accident::Cut, at));
        Self {
            delay: reply.delay_ms.map(Duration::from_millis),
            chunk_delay: reply.chunk_delay_ms.map(Duration::from_millis),
            accident: hang.or(cut),
        }
    }
}

/// Plays what comes before an answer's first byte: the delay, and an accident that leaves no
/// answer at all. Gives the ticket back if there is still something to answer. A client that
/// leaves meanwhile drops this future, and the ticket with it.
pub(crate) async fn before(
    pace: &Pace,
    mut ticket: Ticket,
    closing: &mut Closing,
) -> Result<Ticket, Response> {
    if let Some(delay) = pace.delay
        && pause(delay, closing).await.is_err()
    {
        ticket.record.outcome = Outcome::Stopped;
        return Err(no_answer());
    }
    match pace.accident {
        Some((accident, Break::AtOnce)) => {
            ticket.record.outcome = accident.play(closing).await;
            Err(no_answer())
        }
        _ => Ok(ticket),
    }
}

/// A streamed answer, frame by frame. `outcome` is what has come of it when all are sent.
pub(crate) fn stream(
    frames: Vec<Bytes>,
    outcome: Outcome,
    pace: Pace,
    ticket: Ticket,
    closing: Closing,
) -> Response {
    let playback = Playback {
        frames: frames.into_iter(),
        outcome,
        pace,
        ticket,
        closing,
    };
    let mut response = Response::new(Body::from_stream(stream::unfold(playback, Playback::next)));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// An answer in one piece. It is one frame: an accident after less than one leaves nothing of
/// it, any later accident comes too late.
pub(crate) async fn whole(
    response: Response,
    outcome: Outcome,
    pace: &Pace,
    mut ticket: Ticket,
    mut closing: Closing,
) -> Response {
    if let Some((accident, Break::After(0))) = pace.accident {
        ticket.record.outcome = accident.play(&mut closing).await;
        return no_answer();
    }
    ticket.record.status = Some(response.status().as_u16());
    ticket.record.outcome = outcome;
    response
}

struct Playback {
    frames: std::vec::IntoIter<Bytes>,
    outcome: Outcome,
    pace: Pace,
    ticket: Ticket,
    closing: Closing,
}

impl Playback {
    async fn next(mut self) -> Option<(io::Result<Bytes>, Self)> {
        // Giving way lets the server send what it has: so each frame is a write of its own,
        // and a cut comes after the frames before it and not instead of them.
        tokio::task::yield_now().await;
        self.ticket.record.status = Some(StatusCode::OK.as_u16());
        if let Some(accident) = self.accident_now() {
            let outcome = accident.play(&mut self.closing).await;
            return self.broken(outcome);
        }
        if let Some(delay) = self.pace.chunk_delay
            && self.frames.len() > 0
            && pause(delay, &mut self.closing).await.is_err()
        {
            return self.broken(Outcome::Stopped);
        }
        match self.frames.next() {
            Some(frame) => {
                self.ticket.record.frames_sent += 1;
                // Some clients leave with the last frame, and do not wait for the end.
                if self.frames.len() == 0 && self.accident_now().is_none() {
                    self.ticket.record.outcome = self.outcome;
                }
                Some((Ok(frame), self))
            }
            None => {
                self.ticket.record.outcome = self.outcome;
                None
            }
        }
    }

    /// The accident that the script has in place of what would come now.
    fn accident_now(&self) -> Option<Accident> {
        match self.pace.accident {
            Some((accident, Break::After(frames))) if frames == self.ticket.record.frames_sent => {
                Some(accident)
            }
            _ => None,
        }
    }

    fn broken(mut self, outcome: Outcome) -> Option<(io::Result<Bytes>, Self)> {
        self.ticket.record.outcome = outcome;
        Some((
            Err(io::Error::other("the script ends the connection here")),
            self,
        ))
    }
}

/// Waits, or says that the stub shuts down first.
async fn pause(delay: Duration, closing: &mut Closing) -> Result<(), ()> {
    tokio::select! {
        () = tokio::time::sleep(delay) => Ok(()),
        () = closing.begun() => Err(()),
    }
}

/// A response of which nothing reaches the client: the server meets the error before it has
/// written a byte, and drops the connection.
fn no_answer() -> Response {
    let error = io::Error::other("the script gives no answer here");
    Response::new(Body::from_stream(stream::once(async {
        Err::<Bytes, _>(error)
    })))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::record::Recorder;
    use crate::record::tests::record;

    /// How a stream of two frames ends for a client that leaves after so many.
    async fn left_after(frames: usize, hang: Option<Break>) -> Outcome {
        let recorder = Recorder::new(None, false).unwrap();
        let reply = Reply {
            hang,
            ..Reply::default()
        };
        let (_close, told) = watch::channel(false);
        let mut response = stream(
            vec![Bytes::from("a"), Bytes::from("b")],
            Outcome::Ok,
            Pace::of(&reply),
            recorder.open(record("r")),
            Closing::new(told),
        );
        for _ in 0..frames {
            response.body_mut().frame().await.unwrap().unwrap();
        }
        drop(response);
        recorder.list().0[0].outcome
    }

    #[tokio::test]
    async fn who_leaves_with_the_last_frame_has_had_it_all() {
        assert_eq!(left_after(1, None).await, Outcome::ClientLeft);
        assert_eq!(left_after(2, None).await, Outcome::Ok);
        let silent = Some(Break::After(2));
        assert_eq!(left_after(2, silent).await, Outcome::ClientLeft);
    }
}
