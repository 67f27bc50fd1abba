//! What is done in a frame while it is open: the spans that charts draw.

use crate::ids::FrameId;
use crate::status::{FrameStatus, TaskState};
use crate::time::Time;
use crate::view::{Doing, Span};

use super::{Frame, State};

/// How many spans of a frame are kept. Of more, the oldest two become one.
const SPANS_MAX: usize = 256;

impl State {
    /// Notes what is done in a frame now, where that is something else than before.
    pub(super) fn note_doing(&mut self, id: FrameId, now: Time) {
        let doing = self.frames.get(&id).and_then(|frame| self.doing(id, frame));
        let Some(frame) = self.frames.get_mut(&id) else {
            return;
        };
        match (frame.started, doing) {
            (Some(started), Some(doing)) => note(&mut frame.spans, started, doing, now),
            // What began in the moment of the end took no time.
            (Some(_), None) => {
                frame.spans.pop_if(|span| span.from_ms >= now.0);
                forget_if_always_working(&mut frame.spans);
            }
            (None, _) => {}
        }
    }

    /// What is done in a frame; none before it starts and after it has ended.
    fn doing(&self, id: FrameId, frame: &Frame) -> Option<Doing> {
        match frame.status {
            FrameStatus::Blocked => return Some(Doing::Blocked),
            FrameStatus::InProgress => {}
            _ => return None,
        }
        let newest = frame.newest_task(id).and_then(|id| self.tasks.get(&id));
        let task = newest.filter(|task| !task.state.is_over());
        let asks = frame.asks().next().is_some();
        Some(
            if asks || task.is_some_and(|task| task.idle || !task.waits.is_empty()) {
                Doing::Waiting
            } else if self.paused_by(id).is_some() {
                Doing::Paused
            } else if task.is_some_and(|task| task.state == TaskState::Queued) {
                Doing::Queued
            } else {
                Doing::Working
            },
        )
    }
}

/// Adds a span where something else is done from now on. Of what happens within one moment the last
/// counts, and a clock that was set back does not bring the spans out of order.
fn note(spans: &mut Vec<Span>, started: Time, doing: Doing, now: Time) {
    let last = spans.last().copied().unwrap_or(Span {
        doing: Doing::Working,
        from_ms: started.0,
    });
    if last.doing == doing {
        return;
    }
    if spans.is_empty() {
        spans.push(last);
    }
    let from_ms = now.0.max(last.from_ms);
    if from_ms == last.from_ms {
        spans.pop();
    }
    if spans.last().is_none_or(|span| span.doing != doing) {
        spans.push(Span { doing, from_ms });
    }
    if spans.len() > SPANS_MAX {
        spans.remove(1);
        if spans[0].doing == spans[1].doing {
            spans.remove(1);
        }
    }
    forget_if_always_working(spans);
}

fn forget_if_always_working(spans: &mut Vec<Span>) {
    if let [first] = spans.as_slice()
        && first.doing == Doing::Working
    {
        spans.clear();
    }
}
