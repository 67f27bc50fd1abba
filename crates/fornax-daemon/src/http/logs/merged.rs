//! The two logs of a task as one, in the order in which its shim heard them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use fornax_runner::{LOGS, LONGEST_LINE_BYTES, ORDER, Order, Run};
use memchr::memrchr;

use super::super::files::{ReadAt, open_beneath, read_whole};

/// More than any order takes whose logs fit onto a disk.
const ORDER_MAX_BYTES: u64 = 64 << 20;
/// How often it is tried to see all files at the same moment while they are written.
const TRIES: usize = 100;

/// The merged log as it is at a moment. What it holds stays as it is; only more will follow.
#[derive(Default)]
pub(crate) struct Merged {
    logs: [Option<Arc<File>>; 2],
    order: Order,
    /// What follows the runs of the order.
    rest: Vec<Run>,
    size: u64,
    /// Up to where the order is known; behind it, standard output's rest comes first.
    ordered_to: u64,
}

impl Merged {
    /// Looks at the logs in the folder `dir` of a task. Until the task is over, lines that have not
    /// ended, and those whose order is not known, are left out.
    pub(crate) fn open(dir: &Path, logs: [Option<Arc<File>>; 2], over: bool) -> io::Result<Merged> {
        let size = |which: usize| -> io::Result<u64> {
            let log = logs[which].as_ref();
            log.map_or(Ok(0), |log| Ok(log.metadata()?.len()))
        };
        let mut seen = None;
        let mut file = None;
        for _ in 0..TRIES {
            if file.is_none() {
                file = open_order(dir)?;
            }
            let ordered = |file: &Option<File>| -> io::Result<u64> {
                file.as_ref()
                    .map_or(Ok(0), |file| Ok(file.metadata()?.len()))
            };
            let before = (ordered(&file)?, size(1)?);
            let stdout = size(0)?;
            // As standard error's log and the order stood still meanwhile, and the order was there if
            // it is there now, this is how all three were at one moment.
            if before == (ordered(&file)?, size(1)?)
                && (file.is_some() || open_order(dir)?.is_none())
            {
                seen = Some((before.0, [stdout, before.1]));
                break;
            }
        }
        let (ordered, sizes) = match seen {
            Some((ordered, sizes)) => (ordered, Some(sizes)),
            None => (
                file.as_ref()
                    .map_or(Ok(0), |file| file.metadata().map(|data| data.len()))?,
                None,
            ),
        };
        let mut bytes = Vec::new();
        if let Some(file) = &file {
            file.take(ordered.min(ORDER_MAX_BYTES))
                .read_to_end(&mut bytes)?;
        }
        let order = Order::parse(bytes);
        let mut merged = Merged {
            size: order.length(),
            ordered_to: order.length(),
            logs,
            order,
            rest: Vec::new(),
        };
        if let Some(sizes) = sizes {
            merged.add_rest(sizes, over)?;
        }
        Ok(merged)
    }

    /// Adds what no run holds yet.
    fn add_rest(&mut self, sizes: [u64; 2], over: bool) -> io::Result<()> {
        if (0..2).any(|which| self.order.of_logs()[which] > sizes[which]) {
            // A power cut took what was written last: the order is of another log than this.
            (self.order, self.size, self.ordered_to) = (Order::default(), 0, 0);
        }
        let from = self.order.of_logs();
        let whole = [
            self.whole(0, from[0], sizes[0])?,
            self.whole(1, from[1], sizes[1])?,
        ];
        let is_ordered = whole[0] == from[0] || whole[1] == from[1];
        let first = usize::from(whole[0] == from[0] && whole[1] > from[1]);
        if is_ordered {
            self.push(first, from[first], whole[first]);
            self.ordered_to = self.size;
        }
        if over {
            let after = if is_ordered {
                whole[first]
            } else {
                from[first]
            };
            self.push(first, after, sizes[first]);
            self.push(1 - first, from[1 - first], sizes[1 - first]);
            if is_ordered {
                self.ordered_to = self.size;
            }
        }
        Ok(())
    }

    fn push(&mut self, which: usize, from: u64, to: u64) {
        if from == to {
            return;
        }
        self.rest.push(Run {
            which,
            at: self.size,
            from,
            length: to - from,
        });
        self.size += to - from;
    }

    /// Where the last whole line ends in a log that has no runs from one place to its end.
    fn whole(&self, which: usize, from: u64, to: u64) -> io::Result<u64> {
        let Some(log) = &self.logs[which] else {
            return Ok(from);
        };
        let begin = from.max(to.saturating_sub(LONGEST_LINE_BYTES + 1));
        let end = read_whole(&**log, begin, (to - begin) as usize)?;
        Ok(match memrchr(b'\n', &end) {
            Some(at) => begin + at as u64 + 1,
            None if to - from > LONGEST_LINE_BYTES => to,
            None => from,
        })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn ordered_to(&self) -> u64 {
        self.ordered_to
    }

    /// The runs that do not end before a place.
    pub(super) fn runs_from(&self, at: u64) -> impl Iterator<Item = Run> + '_ {
        let rest = self.rest.iter().copied();
        self.order
            .runs_from(at)
            .chain(rest.skip_while(move |run| run.at + run.length <= at))
    }
}

impl ReadAt for Merged {
    /// What is of one log is read at once, however many runs it is in.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let end = at + buffer.len() as u64;
        let clipped = |run: Run| {
            let skipped = at.saturating_sub(run.at);
            let length = (run.at + run.length).min(end) - run.at - skipped;
            (run.which, run.from + skipped, length as usize)
        };
        let runs: Vec<_> = self
            .runs_from(at)
            .take_while(|run| run.at < end)
            .map(clipped)
            .collect();
        let mut parts = [Vec::new(), Vec::new()];
        for (which, part) in parts.iter_mut().enumerate() {
            let of_log = || runs.iter().filter(|run| run.0 == which);
            let length = of_log().map(|run| run.2).sum();
            if let (Some(log), Some(first)) = (&self.logs[which], of_log().next()) {
                *part = read_whole(&**log, first.1, length)?;
            }
        }
        let mut taken = [0, 0];
        let mut filled = 0;
        for (which, _, length) in runs {
            let Some(run) = parts[which].get(taken[which]..taken[which] + length) else {
                break;
            };
            buffer[filled..filled + length].copy_from_slice(run);
            taken[which] += length;
            filled += length;
        }
        Ok(filled)
    }
}

/// The log files, those that are there.
pub(crate) fn open_logs(dir: &Path) -> io::Result<[Option<Arc<File>>; 2]> {
    let [stdout, stderr] = LOGS.map(|name| optional(open_beneath(dir, Path::new(name))));
    Ok([stdout?.map(Arc::new), stderr?.map(Arc::new)])
}

fn open_order(dir: &Path) -> io::Result<Option<File>> {
    optional(open_beneath(dir, Path::new(ORDER)))
}

fn optional(file: io::Result<File>) -> io::Result<Option<File>> {
    match file {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}
