//! The feed: every change of the state, numbered, in a bounded ring that readers pull from.
//!
//! A change is made into bytes once, for all who read it. A reader keeps its own cursor, so a slow
//! one costs the others and the writer nothing; one that falls out of the ring is told so, and takes
//! a new snapshot.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fornax_core::ids::{RunId, TaskId};
use fornax_core::status::RunStatus;
use fornax_core::view::Change;
use tokio::sync::watch;

/// How many changes are kept.
const KEPT_CHANGES: usize = 65_536;
/// How many bytes of changes are kept.
const KEPT_BYTES: usize = 64 << 20;
/// How many bytes one call of [`Feed::after`] hands out, about.
const BATCH_BYTES: usize = 256 << 10;

/// The changes of one life of the daemon.
pub struct Feed {
    epoch: String,
    /// Held while a change is made into bytes, so that numbers are given in the order of the ring
    /// and readers need not wait for it.
    publishing: Mutex<()>,
    ring: Mutex<Ring>,
    head: watch::Sender<u64>,
    kept_changes: usize,
    kept_bytes: usize,
}

#[derive(Default)]
struct Ring {
    changes: VecDeque<Arc<Published>>,
    bytes: usize,
    /// The number of the newest change; 0 before the first.
    head: u64,
}

/// A change as it goes out.
#[derive(Debug)]
pub struct Published {
    /// Its number.
    pub seq: u64,
    /// The whole server-sent event, the empty line at its end included.
    pub bytes: Bytes,
    /// The tasks that are over after it, of whatever project.
    pub tasks_over: Box<[TaskId]>,
    /// The runs that are over after it, of whatever project.
    pub runs_over: Box<[RunId]>,
}

/// What comes after the asked-for number is not in the ring: it fell out, or never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the changes after this one are not kept any more")]
pub struct TooOld;

impl Default for Feed {
    fn default() -> Feed {
        Feed::new()
    }
}

impl Feed {
    /// An empty feed with an epoch of its own.
    #[must_use]
    pub fn new() -> Feed {
        Feed::bounded(KEPT_CHANGES, KEPT_BYTES)
    }

    /// An empty feed that keeps at most so many changes and so many bytes of them.
    #[must_use]
    pub fn bounded(kept_changes: usize, kept_bytes: usize) -> Feed {
        let mut epoch = uuid::Uuid::new_v4().simple().to_string();
        epoch.truncate(16);
        Feed {
            epoch,
            publishing: Mutex::new(()),
            ring: Mutex::default(),
            head: watch::Sender::new(0),
            kept_changes,
            kept_bytes,
        }
    }

    /// The life of the daemon that numbers the changes.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The number of the newest change; 0 before the first.
    #[must_use]
    pub fn head(&self) -> u64 {
        lock(&self.ring).head
    }

    /// Gives the change the next number, keeps it, wakes the readers, and returns the number. What
    /// `seq` the change came with does not matter.
    pub fn publish(&self, mut change: Change) -> u64 {
        let _order = lock(&self.publishing);
        let seq = self.head() + 1;
        change.seq = seq;
        let published = Arc::new(Published {
            seq,
            bytes: self.event(&change),
            tasks_over: change
                .tasks
                .iter()
                .filter(|task| task.state.is_over())
                .map(|task| task.id)
                .collect(),
            runs_over: change
                .runs
                .iter()
                .filter(|run| is_over(run.status))
                .map(|run| run.id)
                .collect(),
        });
        lock(&self.ring).push(published, self.kept_changes, self.kept_bytes);
        self.head.send_replace(seq);
        seq
    }

    /// The changes after number `seq`, oldest first: as many as make a chunk of some 256 KiB, at
    /// least one where there is one.
    ///
    /// # Errors
    /// [`TooOld`] when the next change is not in the ring, or `seq` was never given.
    pub fn after(&self, seq: u64) -> Result<Vec<Arc<Published>>, TooOld> {
        let ring = lock(&self.ring);
        let kept_after = ring.head - ring.changes.len() as u64;
        if seq < kept_after || seq > ring.head {
            return Err(TooOld);
        }
        let mut bytes = 0;
        let batch = ring.changes.iter().skip((seq - kept_after) as usize);
        Ok(batch
            .take_while(|change| {
                let taken = bytes < BATCH_BYTES;
                bytes += change.bytes.len();
                taken
            })
            .cloned()
            .collect())
    }

    /// The number of the newest change, to be waited on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn event(&self, change: &Change) -> Bytes {
        let head = format!("id: {}:{}\nevent: change\ndata: ", self.epoch, change.seq);
        let mut bytes = head.into_bytes();
        // Plain structs with text keys: the only way to fail is a writer that fails.
        if serde_json::to_writer(&mut bytes, change).is_err() {
            unreachable!("a vector takes every byte");
        }
        bytes.extend_from_slice(b"\n\n");
        Bytes::from(bytes)
    }
}

impl Ring {
    fn push(&mut self, change: Arc<Published>, kept_changes: usize, kept_bytes: usize) {
        self.head = change.seq;
        self.bytes += change.bytes.len();
        self.changes.push_back(change);
        while self.changes.len() > kept_changes || self.bytes > kept_bytes {
            let Some(oldest) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes.len();
        }
    }
}

/// Whether nothing more will be written about the run, unless it is taken up again.
pub(crate) fn is_over(status: RunStatus) -> bool {
    !matches!(status, RunStatus::Running | RunStatus::Stopping)
}

/// The lock, also after a panic elsewhere: what it guards is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fornax_core::view::ProjectView;

    fn change(name: &str) -> Change {
        Change {
            projects: vec![ProjectView {
                id: "0123abcd".into(),
                name: name.into(),
                dir: "/".into(),
                problem: None,
                notice: None,
            }],
            ..Change::default()
        }
    }

    fn seqs(feed: &Feed, after: u64) -> Result<Vec<u64>, TooOld> {
        Ok(feed.after(after)?.iter().map(|change| change.seq).collect())
    }

    #[test]
    fn numbers_follow_one_another_and_the_bytes_are_an_event() {
        let feed = Feed::new();
        assert_eq!(feed.publish(change("a\nb")), 1);
        assert_eq!(feed.publish(change("c")), 2);
        assert_eq!(seqs(&feed, 0), Ok(vec![1, 2]));
        assert_eq!(seqs(&feed, 1), Ok(vec![2]));
        assert_eq!(seqs(&feed, 2), Ok(vec![]));
        let first = &feed.after(0).unwrap()[0];
        let text = std::str::from_utf8(&first.bytes).unwrap();
        let prefix = format!("id: {}:1\nevent: change\ndata: ", feed.epoch());
        let data = text
            .strip_prefix(&prefix)
            .unwrap()
            .strip_suffix("\n\n")
            .unwrap();
        assert!(!data.contains('\n'));
        let read: Change = serde_json::from_str(data).unwrap();
        assert_eq!((read.seq, read.projects[0].name.as_str()), (1, "a\nb"));
    }

    #[test]
    fn what_fell_out_or_never_was_is_too_old() {
        let feed = Feed::bounded(3, usize::MAX);
        for _ in 0..5 {
            feed.publish(change("x"));
        }
        assert_eq!(seqs(&feed, 1), Err(TooOld));
        assert_eq!(seqs(&feed, 2), Ok(vec![3, 4, 5]));
        assert_eq!(seqs(&feed, 6), Err(TooOld));
    }

    #[test]
    fn bytes_are_bounded_and_a_change_larger_than_the_ring_leaves_it_empty() {
        let feed = Feed::bounded(1000, 1000);
        for _ in 0..50 {
            feed.publish(change("x"));
        }
        assert!(lock(&feed.ring).bytes <= 1000);
        feed.publish(change(&"x".repeat(2000)));
        assert_eq!(seqs(&feed, 50), Err(TooOld));
        assert_eq!(seqs(&feed, 51), Ok(vec![]));
        feed.publish(change("y"));
        assert_eq!(seqs(&feed, 51), Ok(vec![52]));
    }

    #[test]
    fn a_batch_is_bounded_and_never_empty_before_the_head() {
        let feed = Feed::new();
        for _ in 0..10 {
            feed.publish(change(&"x".repeat(100_000)));
        }
        assert_eq!(seqs(&feed, 0), Ok(vec![1, 2, 3]));
        feed.publish(change(&"x".repeat(1_000_000)));
        assert_eq!(seqs(&feed, 10), Ok(vec![11]));
    }

    #[test]
    fn publishers_at_once_leave_no_gap() {
        let feed = Feed::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        feed.publish(change("x"));
                    }
                });
            }
        });
        let mut cursor = 0;
        while let Some(last) = feed.after(cursor).unwrap().last() {
            cursor = last.seq;
        }
        assert_eq!((cursor, *feed.watch().borrow()), (2000, 2000));
        let all: Vec<u64> = lock(&feed.ring).changes.iter().map(|c| c.seq).collect();
        assert_eq!(all, (1..=2000).collect::<Vec<_>>());
    }
}
