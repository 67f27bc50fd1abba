//! Which line of a log is where: counted once, remembered in steps, for the logs asked for last.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memchr_iter;

use super::super::files::{ReadAt, on_disk, read_whole};

/// How far apart the places are whose line is remembered, in bytes; twice as far where a log has more
/// of them than [`PLACES_MAX`].
const APART: u64 = 256 << 10;
const PLACES_MAX: usize = 1 << 16;
/// How many logs are remembered, each in half a megabyte at most.
const LOGS_MAX: usize = 16;
/// How much is counted before somebody else has a turn, and whoever asked may have left.
const STEP_BYTES: u64 = 4 << 20;

/// A line and the place where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineStart {
    /// Counted from 1.
    pub line: u64,
    pub offset: u64,
}

/// How many lines end in the first stretches of a log.
#[derive(Debug)]
struct Counts {
    apart: u64,
    /// Of each place, a multiple of `apart`: the newlines before it. The first is 0.
    before: Vec<u64>,
}

impl Counts {
    fn new() -> Counts {
        Counts {
            apart: APART,
            before: vec![0],
        }
    }

    /// The last place counted up to.
    fn counted(&self) -> u64 {
        self.apart * (self.before.len() as u64 - 1)
    }

    fn last(&self) -> u64 {
        self.before[self.before.len() - 1]
    }

    /// Counts on, for one step, towards where `enough` holds or the last place before `size`.
    /// `true` when it is there.
    fn go_on(
        &mut self,
        log: &dyn ReadAt,
        size: u64,
        enough: impl Fn(&Counts) -> bool,
    ) -> io::Result<bool> {
        let until = self.counted() + STEP_BYTES;
        while !enough(self) {
            let from = self.counted();
            if from + self.apart > size {
                return Ok(true);
            }
            if from >= until {
                return Ok(false);
            }
            let count = newlines(log, from, from + self.apart)?;
            self.before.push(self.last() + count);
            if self.before.len() > PLACES_MAX {
                self.apart *= 2;
                self.before = self.before.iter().step_by(2).copied().collect();
            }
        }
        Ok(true)
    }

    /// The line that the byte at `offset` is in, where it is counted so far.
    fn line_of(&self, log: &dyn ReadAt, offset: u64) -> io::Result<u64> {
        let place = ((offset / self.apart) as usize).min(self.before.len() - 1);
        let from = self.apart * place as u64;
        Ok(self.before[place] + newlines(log, from, offset)? + 1)
    }

    /// Where a line begins, or the last one before it.
    fn start_of(&self, log: &dyn ReadAt, size: u64, line: u64) -> io::Result<LineStart> {
        let wanted = line.saturating_sub(1);
        // The last place with fewer newlines before it than there are before the line.
        let place = self.before.partition_point(|&before| before < wanted);
        let place = place.saturating_sub(1);
        let mut found = LineStart {
            line: self.before[place] + 1,
            offset: self.apart * place as u64,
        };
        // What begins within a line is only known to begin at its end, unless that is the first.
        let mut known = place == 0;
        let mut at = found.offset;
        while at < size && !(known && found.line >= line.max(1)) {
            let block = read_whole(log, at, (size - at).min(APART) as usize)?;
            if block.is_empty() {
                break;
            }
            for newline in memchr_iter(b'\n', &block) {
                let next = at + newline as u64 + 1;
                if next >= size || (known && found.line >= line) {
                    break;
                }
                found = LineStart {
                    line: found.line + 1,
                    offset: next,
                };
                known = true;
            }
            at += block.len() as u64;
        }
        if known {
            return Ok(found);
        }
        // The last line is a long one, and begins before the last place.
        self.start_of(log, size, self.before[place] + 1)
    }
}

fn newlines(log: &dyn ReadAt, from: u64, to: u64) -> io::Result<u64> {
    let mut count = 0;
    let mut at = from;
    while at < to {
        let block = read_whole(log, at, (to - at).min(APART) as usize)?;
        if block.is_empty() {
            break;
        }
        count += memchr_iter(b'\n', &block).count() as u64;
        at += block.len() as u64;
    }
    Ok(count)
}

/// What a log is known by: its folder, its name, and the file's number, since a folder may come to hold
/// another log.
pub(super) type LogKey = (PathBuf, &'static str, u64);

/// The counts of the logs that were asked for last.
#[derive(Default)]
pub(crate) struct LineCounts {
    logs: Mutex<VecDeque<(LogKey, Arc<Mutex<Counts>>)>>,
}

impl LineCounts {
    /// The counts of a log, the last to be forgotten from now on.
    fn of(&self, key: LogKey) -> Arc<Mutex<Counts>> {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let known = logs.iter().position(|(known, _)| *known == key);
        let entry = known
            .and_then(|at| logs.remove(at))
            .unwrap_or_else(|| (key, Arc::new(Mutex::new(Counts::new()))));
        let counts = Arc::clone(&entry.1);
        logs.push_front(entry);
        logs.truncate(LOGS_MAX);
        counts
    }

    /// The line that the byte at `offset` is in; beyond the end, the one that is to come there.
    pub(super) async fn line_of(
        &self,
        key: LogKey,
        log: Arc<dyn ReadAt>,
        size: u64,
        offset: u64,
    ) -> io::Result<u64> {
        let offset = offset.min(size);
        self.ask(
            key,
            log,
            size,
            move |counts| counts.counted() >= offset,
            move |counts, log| counts.line_of(log, offset),
        )
        .await
    }

    /// Where a line begins; where there are not so many, the last one.
    pub(super) async fn start_of(
        &self,
        key: LogKey,
        log: Arc<dyn ReadAt>,
        size: u64,
        line: u64,
    ) -> io::Result<LineStart> {
        self.ask(
            key,
            log,
            size,
            move |counts| counts.last() >= line,
            move |counts, log| counts.start_of(log, size, line),
        )
        .await
    }

    /// Counts until it is enough, then answers. Each step is a piece of work of its own: when whoever
    /// asked is gone, the next does not begin; and two that ask share what is counted.
    async fn ask<T: Send + 'static>(
        &self,
        key: LogKey,
        log: Arc<dyn ReadAt>,
        size: u64,
        enough: impl Fn(&Counts) -> bool + Copy + Send + 'static,
        answer: impl FnOnce(&Counts, &dyn ReadAt) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let counts = self.of(key);
        loop {
            let (counts, log) = (Arc::clone(&counts), Arc::clone(&log));
            let step = on_disk(move || {
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                if counts.counted() > size {
                    // It has been cut, which nobody does to a log that is in use.
                    *counts = Counts::new();
                }
                counts.go_on(&*log, size, enough)
            });
            if step.await? {
                break;
            }
        }
        on_disk(move || {
            answer(
                &counts.lock().unwrap_or_else(PoisonError::into_inner),
                &*log,
            )
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn key() -> LogKey {
        (PathBuf::from("/t"), "stdout", 7)
    }

    /// Where each line of a text begins. What follows the last newline is a line if there is anything.
    fn starts(text: &[u8]) -> Vec<u64> {
        let after = memchr_iter(b'\n', text).map(|at| at as u64 + 1);
        let starts: Vec<u64> = [0].into_iter().chain(after).collect();
        let is_line = |&start: &u64| start == 0 || start < text.len() as u64;
        starts.into_iter().filter(is_line).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn lines_and_places_are_those_of_a_plain_count(
            lengths in proptest::collection::vec(prop_oneof![0..80_usize, 100_000..400_000_usize], 0..12),
            ends: bool, at in 0.0..1.1_f64, asked in 0..15_u64,
        ) {
            let mut text: Vec<u8> = Vec::new();
            for length in lengths {
                text.resize(text.len() + length, b'x');
                text.push(b'\n');
            }
            if !ends {
                text.extend_from_slice(b"not ended");
            }
            let starts = starts(&text);
            let size = text.len() as u64;
            let log: Arc<dyn ReadAt> = Arc::new(text.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let counts = LineCounts::default();
            let offset = (at * size as f64) as u64;
            let line = runtime.block_on(counts.line_of(key(), Arc::clone(&log), size, offset)).unwrap();
            let before = &text[..(offset as usize).min(text.len())];
            prop_assert_eq!(line, memchr_iter(b'\n', before).count() as u64 + 1);
            let found = runtime.block_on(counts.start_of(key(), log, size, asked)).unwrap();
            let expected = (asked.max(1) as usize).min(starts.len());
            prop_assert_eq!(found, LineStart { line: expected as u64, offset: starts[expected - 1] });
        }
    }

    #[tokio::test]
    async fn a_log_that_grows_is_counted_on_and_one_that_is_cut_anew() {
        let counts = LineCounts::default();
        let long = vec![b'\n'; 1 << 20];
        let (short, longer) = (long[..600_000].to_vec(), long.clone());
        for text in [short.clone(), longer, short] {
            let size = text.len() as u64;
            let line = counts
                .line_of(key(), Arc::new(text), size, size)
                .await
                .unwrap();
            assert_eq!(line, size + 1);
        }
    }

    /// Counts the bytes that are read of it.
    struct Counted(Vec<u8>, Arc<AtomicU64>);

    impl ReadAt for Counted {
        fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
            let read = self.0.read_at(buffer, at)?;
            self.1.fetch_add(read as u64, Ordering::Relaxed);
            Ok(read)
        }
    }

    #[tokio::test]
    async fn what_was_counted_is_not_read_again() {
        let size = 40 * APART + 7;
        let mut text = vec![b'x'; size as usize];
        text.iter_mut().step_by(100).for_each(|byte| *byte = b'\n');
        let read = Arc::new(AtomicU64::new(0));
        let log: Arc<dyn ReadAt> = Arc::new(Counted(text, Arc::clone(&read)));
        let counts = LineCounts::default();
        let last = counts
            .start_of(key(), Arc::clone(&log), size, u64::MAX)
            .await
            .unwrap();
        assert!(read.swap(0, Ordering::Relaxed) >= size);
        for line in [1, last.line / 2, last.line] {
            let found = counts
                .start_of(key(), Arc::clone(&log), size, line)
                .await
                .unwrap();
            assert_eq!(found.line, line);
            let again = counts
                .line_of(key(), Arc::clone(&log), size, found.offset)
                .await
                .unwrap();
            assert_eq!(again, line);
        }
        let again = read.load(Ordering::Relaxed);
        assert!(again <= 8 * APART, "{again} bytes were read");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let counts = LineCounts::default();
        for inode in 0..100 {
            counts.of((PathBuf::from("/t"), "stdout", inode));
        }
        assert_eq!(counts.logs.lock().unwrap().len(), LOGS_MAX);
        let mut of_one = Counts {
            apart: APART,
            before: (0..PLACES_MAX as u64).collect(),
        };
        let counted = of_one.counted();
        let next = vec![b'\n'; 1];
        // Beyond the end there is nothing to count, only to remember.
        let log: &dyn ReadAt = &next;
        assert!(of_one.go_on(log, counted + APART, |_| false).unwrap());
        assert_eq!(
            (of_one.apart, of_one.before.len()),
            (2 * APART, PLACES_MAX / 2 + 1)
        );
        assert_eq!(of_one.counted(), counted + APART);
    }
}
