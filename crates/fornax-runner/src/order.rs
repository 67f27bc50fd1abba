//! In which order a command's two outputs came: `order.idx` beside the logs.
//!
//! The file holds the lengths of runs of whole lines, standard output's and standard error's in turn,
//! each as a varint (LEB128); a run may be empty, so that either can begin. A run is written down when
//! the other output goes on, and before anything of that is in its log. So what no run holds yet is of
//! one output only, and its place is known too: behind all runs. Both logs put together in this order
//! are the merged log. It only ever grows.
//!
//! The order is the one in which the outputs came to us: what a command writes to both within the same
//! moment can be in another order than it wrote it. A line that has not ended has no place yet, unless
//! it is very long.

use std::os::fd::OwnedFd;

use memchr::{memchr, memrchr};
use rustix::fs::OFlags;

use crate::folder::PRIVATE;

/// The file's name in the task's folder.
pub const ORDER: &str = "order.idx";
/// Of a line longer than this, the begin counts as a whole line.
pub const LONGEST_LINE_BYTES: u64 = 64 << 10;
/// How large the file may get, beside a small part of what the logs hold. A command that goes from
/// one output to the other with every few bytes gets an order of stretches and not of lines.
const FREE_BYTES: u64 = 256 << 10;
const PART_OF_LOGS: u64 = 1 << 10;
/// How much waits for a disk that is full before the order is given up.
const WAITING_MAX_BYTES: usize = 64 << 10;

/// What has been written of one output since its last run.
#[derive(Clone, Copy, Default)]
struct Since {
    /// Lines that have ended.
    lines: u64,
    /// Of the line that has not.
    partial: u64,
}

impl Since {
    /// What belongs into a run.
    fn whole(self) -> u64 {
        if self.partial > LONGEST_LINE_BYTES {
            self.lines + self.partial
        } else {
            self.lines
        }
    }
}

/// Writes down the order.
pub struct Recorder {
    /// The task's folder.
    dir: OwnedFd,
    /// Made when it is needed: most commands need none.
    file: Option<OwnedFd>,
    since: [Since; 2],
    /// Which output's lines came first, where both wait for their runs.
    first: usize,
    /// Whose run is to be written next.
    turn: usize,
    /// What is not in the file yet.
    waiting: Vec<u8>,
    written: u64,
    logged: u64,
    broken: bool,
}

impl Recorder {
    pub fn new(dir: OwnedFd) -> Recorder {
        Recorder {
            dir,
            file: None,
            since: [Since::default(); 2],
            first: 0,
            turn: 0,
            waiting: Vec::new(),
            written: 0,
            logged: 0,
            broken: false,
        }
    }

    /// To be told before these bytes are written to the log of an output.
    pub fn before(&mut self, which: usize, bytes: &[u8]) {
        let completes = || {
            let partial = self.since[which].partial + bytes.len() as u64;
            partial > LONGEST_LINE_BYTES || memchr(b'\n', bytes).is_some()
        };
        if self.since[1 - which].whole() == 0 || self.broken || !completes() {
            return;
        }
        if self.written < FREE_BYTES + self.logged / PART_OF_LOGS {
            self.settle();
        }
    }

    /// To be told when they are.
    pub fn wrote(&mut self, which: usize, bytes: &[u8]) {
        self.logged += bytes.len() as u64;
        let since = &mut self.since[which];
        match memrchr(b'\n', bytes) {
            Some(at) => {
                since.lines += since.partial + at as u64 + 1;
                since.partial = (bytes.len() - at - 1) as u64;
            }
            None => since.partial += bytes.len() as u64,
        }
        if self.since[1 - which].whole() == 0 {
            self.first = which;
        }
    }

    /// Writes down all that has no run yet.
    fn settle(&mut self) {
        for which in [self.first, 1 - self.first] {
            let length = self.since[which].whole();
            if length == 0 {
                continue;
            }
            if self.turn != which {
                self.waiting.push(0);
            }
            push_varint(&mut self.waiting, length);
            self.turn = 1 - which;
            let since = &mut self.since[which];
            if since.whole() > since.lines {
                since.partial = 0;
            }
            since.lines = 0;
        }
        let written = self.write();
        self.broken = written.is_err() && self.waiting.len() > WAITING_MAX_BYTES;
        if self.broken {
            self.waiting = Vec::new();
        }
    }

    fn write(&mut self) -> rustix::io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&self.dir, ORDER, flags, PRIVATE)?;
                self.file.insert(file)
            }
        };
        while !self.waiting.is_empty() {
            let count = rustix::io::retry_on_intr(|| rustix::io::write(file, &self.waiting))?;
            self.written += count as u64;
            self.waiting.drain(..count);
        }
        Ok(())
    }
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number at the begin of `bytes` and how long it is; none where it is cut or too large.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, &byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// A stretch of the merged log that one output wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// 0 for standard output, 1 for standard error.
    pub which: usize,
    /// Where it begins in the merged log.
    pub at: u64,
    /// Where it begins in its output's log.
    pub from: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// The order that a file holds. Takes little more memory than the file.
#[derive(Debug, Default)]
pub struct Order {
    bytes: Vec<u8>,
    /// A place to begin at, every so many runs.
    places: Vec<Place>,
    end: Place,
}

const RUNS_A_PLACE: usize = 256;

/// A place between two runs.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// In the file.
    byte: usize,
    /// In the merged log.
    at: u64,
    /// In the two logs.
    logs: [u64; 2],
    which: usize,
}

impl Place {
    /// The run here, empty ones left out, and the place after it.
    fn next(mut self, bytes: &[u8]) -> Option<(Run, Place)> {
        loop {
            let (length, taken) = varint(bytes.get(self.byte..)?)?;
            let run = Run {
                which: self.which,
                at: self.at,
                from: self.logs[self.which],
                length,
            };
            self.byte += taken;
            self.at = self.at.checked_add(length)?;
            self.logs[self.which] += length;
            self.which = 1 - self.which;
            if length > 0 {
                return Some((run, self));
            }
        }
    }
}

impl Order {
    /// Reads what a file holds. What is torn at its end has not been written.
    #[must_use]
    pub fn parse(bytes: Vec<u8>) -> Order {
        let mut places = Vec::new();
        let mut end = Place::default();
        let mut count = 0;
        while let Some((_, next)) = end.next(&bytes) {
            if count % RUNS_A_PLACE == 0 {
                places.push(end);
            }
            count += 1;
            end = next;
        }
        Order { bytes, places, end }
    }

    /// How much of the two logs is in runs.
    #[must_use]
    pub fn of_logs(&self) -> [u64; 2] {
        self.end.logs
    }

    /// How long all runs are together.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.end.at
    }

    /// The runs that do not end before a place of the merged log.
    pub fn runs_from(&self, at: u64) -> impl Iterator<Item = Run> + '_ {
        let before = self.places.partition_point(|place| place.at <= at);
        let mut place = before.checked_sub(1).map(|last| self.places[last]);
        let runs = std::iter::from_fn(move || {
            let (run, next) = place?.next(&self.bytes)?;
            place = Some(next);
            Some(run)
        });
        runs.skip_while(move |run| run.at + run.length <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    /// Two logs, the order of their lines, and what a reader was given meanwhile.
    struct Logs {
        temp: tempfile::TempDir,
        recorder: Recorder,
        logs: [Vec<u8>; 2],
    }

    impl Logs {
        fn new() -> Logs {
            let temp = tempfile::tempdir().unwrap();
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::open(temp.path(), flags, rustix::fs::Mode::empty()).unwrap();
            Logs {
                temp,
                recorder: Recorder::new(dir),
                logs: [Vec::new(), Vec::new()],
            }
        }

        fn write(&mut self, which: usize, bytes: &[u8]) {
            self.recorder.before(which, bytes);
            self.logs[which].extend_from_slice(bytes);
            self.recorder.wrote(which, bytes);
        }

        fn order(&self) -> Order {
            Order::parse(fs::read(self.temp.path().join(ORDER)).unwrap_or_default())
        }

        /// The outputs' parts in their order: what has its run, then whose lines have none yet.
        fn merged(&self) -> Vec<u8> {
            let order = self.order();
            let mut merged = Vec::new();
            for run in order.runs_from(0) {
                assert_eq!(run.at, merged.len() as u64);
                let part = run.from as usize..(run.from + run.length) as usize;
                merged.extend_from_slice(&self.logs[run.which][part]);
            }
            assert_eq!(order.length(), merged.len() as u64);
            let rests = [0, 1].map(|which| &self.logs[which][order.of_logs()[which] as usize..]);
            let lines = rests.map(|rest| memrchr(b'\n', rest).map_or(0, |at| at + 1));
            assert!(lines[0] == 0 || lines[1] == 0, "the order is not known");
            merged.extend_from_slice(&rests[0][..lines[0]]);
            merged.extend_from_slice(&rests[1][..lines[1]]);
            merged
        }
    }

    proptest! {
        #[test]
        fn whole_lines_are_in_the_order_in_which_they_ended(
            writes in proptest::collection::vec((0..2_usize, "[ab\n]{0,6}"), 0..60),
        ) {
            let mut logs = Logs::new();
            let (mut open, mut expected) = ([String::new(), String::new()], String::new());
            for (which, text) in writes {
                logs.write(which, text.as_bytes());
                open[which].push_str(&text);
                if let Some(end) = open[which].rfind('\n') {
                    expected.extend(open[which].drain(..=end));
                }
                let merged = logs.merged();
                prop_assert_eq!(String::from_utf8(merged).unwrap(), expected.as_str());
            }
        }

        #[test]
        fn runs_are_found_from_any_place(
            lengths in proptest::collection::vec(0..200_u64, 0..2_000), at in 0..100_000_u64,
        ) {
            let mut bytes = Vec::new();
            for length in lengths {
                push_varint(&mut bytes, length);
            }
            let order = Order::parse(bytes);
            let all: Vec<_> = order.runs_from(0).collect();
            let from: Vec<_> = order.runs_from(at).collect();
            let expected: Vec<_> =
                all.into_iter().filter(|run| run.at + run.length > at).collect();
            prop_assert_eq!(from, expected);
        }

        #[test]
        fn numbers_are_read_as_they_were_written_and_damage_is_an_end(
            value in 0..1_u64 << 62, damage in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = Vec::new();
            push_varint(&mut bytes, value);
            prop_assert_eq!(varint(&bytes), Some((value, bytes.len())));
            prop_assert_eq!(varint(&bytes[..bytes.len() - 1]), None);
            let order = Order::parse(damage);
            let length: u64 = order.runs_from(0).map(|run| run.length).sum();
            prop_assert_eq!(length, order.length());
        }
    }

    #[test]
    fn one_output_alone_needs_no_file() {
        let mut logs = Logs::new();
        for _ in 0..100 {
            logs.write(1, b"a line\n");
        }
        logs.write(0, b"no line yet");
        assert!(!logs.temp.path().join(ORDER).exists());
        assert_eq!(logs.merged(), logs.logs[1]);
    }

    #[test]
    fn a_line_without_end_has_its_place_in_the_end() {
        let mut logs = Logs::new();
        logs.write(0, &vec![b'x'; LONGEST_LINE_BYTES as usize]);
        logs.write(1, b"a\n");
        assert_eq!(logs.order().length(), 0, "it may still end");
        logs.write(0, b"xx");
        logs.write(1, b"b\n");
        let runs: Vec<_> = logs
            .order()
            .runs_from(0)
            .map(|run| (run.which, run.length))
            .collect();
        assert_eq!(runs, [(1, 2), (0, LONGEST_LINE_BYTES + 2)]);
    }

    #[test]
    fn the_file_stays_a_small_part_of_what_is_logged() {
        let mut logs = Logs::new();
        for _ in 0..1_000_000 {
            logs.write(0, b"\n");
            logs.write(1, b"\n");
        }
        let size = fs::metadata(logs.temp.path().join(ORDER)).unwrap().len();
        assert!(
            size > FREE_BYTES && size < FREE_BYTES + 2_000_000 / PART_OF_LOGS + 16,
            "{size}"
        );
        // What came too fast for it is in stretches, and nothing is missing or twice.
        let order = logs.order();
        let [out, err] = order.of_logs();
        assert!(out > 990_000 && err > 990_000, "{out} {err}");
    }

    #[test]
    fn what_the_disk_has_no_room_for_is_written_later() {
        let mut logs = Logs::new();
        let path = logs.temp.path().join(ORDER);
        // Stands in the way, as a full disk does.
        fs::create_dir(&path).unwrap();
        logs.write(0, b"a\n");
        logs.write(1, b"b\n");
        fs::remove_dir(&path).unwrap();
        logs.write(0, b"c\n");
        assert_eq!(logs.merged(), b"a\nb\nc\n");
    }
}
