//! Search in a log: line by line through its text as it is shown, from one place to the end. What is
//! found goes out at once, and how far the search has come; it ends when nobody wants it any more.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use memchr::{memchr, memchr_iter, memrchr};
use regex::bytes::{Regex, RegexBuilder};
use serde::Serialize;

use super::super::answer::{Fail, usage};
use super::super::files::{ReadAt, on_disk, read_whole};
use super::lines::LineStart;
use super::shown::shown;

/// How much is searched before the client hears of it.
const STEP_BYTES: usize = 2 << 20;
/// A line longer than this is searched in parts that overlap.
const LONGEST_LINE_BYTES: usize = 4 << 20;
const OVERLAP_BYTES: usize = 64 << 10;
const PATTERN_MAX_BYTES: usize = 1 << 10;
/// What a pattern may take as a program, and its matching as memory.
const PROGRAM_MAX_BYTES: usize = 1 << 20;
/// Of a line that is found: how much is given, how much of that before the match, in characters.
const TEXT_MAX: usize = 400;
const TEXT_BEFORE: usize = 80;
/// How many matches in one line are told.
const MARKS_MAX: usize = 32;

/// What is looked for.
pub(super) struct Pattern {
    regex: Regex,
    /// Whether no match can reach over a line's end.
    within_line: bool,
}

impl Pattern {
    /// `ignore_case`: none means that a pattern without capitals finds both cases.
    pub(super) fn new(
        text: &str,
        is_regex: bool,
        ignore_case: Option<bool>,
    ) -> Result<Pattern, Fail> {
        if text.is_empty() || text.len() > PATTERN_MAX_BYTES {
            let what = format!("`pattern` is 1 to {PATTERN_MAX_BYTES} bytes long");
            return Err(usage(what));
        }
        if text.contains(['\n', '\r']) {
            return Err(usage(
                "`pattern` is looked for within lines: it cannot have one's end",
            ));
        }
        let source = if is_regex {
            text.to_owned()
        } else {
            regex::escape(text)
        };
        let capitals = || text.chars().any(char::is_uppercase);
        let regex = RegexBuilder::new(&source)
            .case_insensitive(ignore_case.unwrap_or_else(|| !capitals()))
            .size_limit(PROGRAM_MAX_BYTES)
            .dfa_size_limit(PROGRAM_MAX_BYTES)
            .build()
            .map_err(|error| usage(format!("`pattern` is no regular expression: {error}")))?;
        Ok(Pattern {
            regex,
            within_line: !is_regex,
        })
    }

    /// The first line at or after the place `at`, at which one begins, in which there is a match.
    fn next_line<'a>(&self, text: &'a [u8], at: usize) -> Option<Found<'a>> {
        let line = |start: usize| {
            let end = memchr(b'\n', &text[start..]).map_or(text.len(), |end| start + end);
            Found {
                start,
                line: &text[start..end],
            }
        };
        if self.within_line {
            let found = self.regex.find_at(text, at)?;
            let start = memrchr(b'\n', &text[at..found.start()]).map_or(at, |end| at + end + 1);
            return Some(line(start));
        }
        let mut at = at;
        while at < text.len() {
            let found = line(at);
            if self.regex.is_match(found.line) {
                return Some(found);
            }
            at += found.line.len() + 1;
        }
        None
    }
}

struct Found<'a> {
    /// Where the line begins in the text.
    start: usize,
    line: &'a [u8],
}

/// A line that is found.
#[derive(Serialize)]
struct Hit {
    line: u64,
    /// Where the line begins in the log.
    offset: u64,
    /// The matches in the text of the line as it is shown: from, to, in UTF-16 units.
    marks: Vec<[usize; 2]>,
    /// The line's text as it is shown, or a part of it around the first match.
    text: String,
    /// Where that part begins, in UTF-16 units.
    text_from: usize,
}

/// How far the search is.
#[derive(Serialize)]
struct Progress {
    /// Up to where, as far as lines are whole.
    searched: u64,
    /// How many lines are found.
    lines: u64,
    /// Whether it is at its end.
    done: bool,
}

/// A search that goes on.
pub(super) struct Search {
    log: Arc<dyn ReadAt>,
    /// Where the log ended when the search began.
    size: u64,
    pattern: Pattern,
    /// How many hits are given; the others are counted.
    limit: u64,
    lines: u64,
    /// What has been read and not been searched, and where it begins in the log.
    rest: Vec<u8>,
    rest_at: u64,
    /// The line that `rest` begins in, whether behind its begin, and whether it is found already.
    line: LineStart,
    within: bool,
    found: bool,
    done: bool,
    step_bytes: usize,
}

impl Search {
    /// A search from the begin of a line to the end of the log.
    pub(super) fn new(
        log: Arc<dyn ReadAt>,
        size: u64,
        pattern: Pattern,
        limit: u64,
        from: LineStart,
    ) -> Search {
        Search {
            log,
            size,
            pattern,
            limit,
            lines: 0,
            rest: Vec::new(),
            rest_at: from.offset,
            line: from,
            within: false,
            found: false,
            done: false,
            step_bytes: STEP_BYTES,
        }
    }

    /// Lines of JSON: hits, and after each step how far it is.
    pub(super) fn stream(self) -> Body {
        Body::from_stream(stream::try_unfold(self, |mut search| async {
            if search.done {
                return Ok(None);
            }
            // A step is one piece of work: when the client is gone, the next does not begin.
            let step = on_disk(move || {
                let told = search.step()?;
                Ok((told, search))
            });
            step.await.map(Some)
        }))
    }

    /// Searches the next stretch.
    fn step(&mut self) -> io::Result<Bytes> {
        let at = self.rest_at + self.rest.len() as u64;
        let wanted = self.size.saturating_sub(at).min(self.step_bytes as u64) as usize;
        let block = read_whole(&*self.log, at, wanted)?;
        self.done = at + block.len() as u64 >= self.size || block.is_empty();
        let mut raw = std::mem::take(&mut self.rest);
        raw.extend_from_slice(&block);
        let (searched, kept_from) = match memrchr(b'\n', &raw) {
            _ if self.done => (raw.len(), raw.len()),
            Some(end) => (end + 1, end + 1),
            None if raw.len() > LONGEST_LINE_BYTES => (raw.len(), raw.len() - OVERLAP_BYTES),
            None => (0, 0),
        };
        let mut out = Vec::new();
        self.search(&raw[..searched], &mut out)?;
        self.within |= searched > kept_from;
        self.rest_at += kept_from as u64;
        raw.drain(..kept_from);
        self.rest = raw;
        let progress = Progress {
            // A line that has not ended is to be searched again once it goes on.
            searched: if self.done {
                self.line.offset
            } else {
                self.rest_at
            },
            lines: self.lines,
            done: self.done,
        };
        push_json(&mut out, &progress)?;
        Ok(out.into())
    }

    /// Searches lines, all of them whole but perhaps the first and the last.
    fn search(&mut self, raw: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let text = shown(raw);
        // The ends of lines are the same in both: the two are walked side by side.
        let mut ends = memchr_iter(b'\n', raw);
        let mut at = 0;
        loop {
            let found = self.pattern.next_line(&text, at);
            let begin = found.as_ref().map_or(text.len(), |found| found.start);
            let passed = memchr_iter(b'\n', &text[at..begin]).count();
            self.pass(passed, &mut ends);
            let Some(found) = found else {
                return Ok(());
            };
            if !self.found {
                self.lines += 1;
                if self.lines <= self.limit {
                    push_json(out, &self.hit(found.line))?;
                }
                self.found = true;
            }
            at = begin + found.line.len();
            if at == text.len() {
                return Ok(());
            }
            at += 1;
            self.pass(1, &mut ends);
        }
    }

    /// Passes the ends of so many lines.
    fn pass(&mut self, count: usize, ends: &mut impl Iterator<Item = usize>) {
        if let Some(end) = count.checked_sub(1).and_then(|last| ends.nth(last)) {
            self.line.line += count as u64;
            self.line.offset = self.rest_at + end as u64 + 1;
            self.found = false;
            self.within = false;
        }
    }

    fn hit(&self, line: &[u8]) -> Hit {
        let matches = self.pattern.regex.find_iter(line);
        let mut first = None;
        let mut marks = Vec::new();
        let (mut counted, mut units) = (0, 0);
        for found in matches.take(MARKS_MAX) {
            first.get_or_insert(found.start());
            let from = units + utf16_length(&line[counted..found.start()]);
            (counted, units) = (found.end(), from + utf16_length(found.as_bytes()));
            // Where the begin of the line is not at hand, its matches have no place in it.
            if !found.is_empty() && !self.within {
                marks.push([from, units]);
            }
        }
        let (before, after) = line.split_at(first.unwrap_or(0));
        let before = String::from_utf8_lossy(before);
        let kept = before.char_indices().rev().take(TEXT_BEFORE).last();
        let (left_out, mut text) = kept.map_or((before.as_ref(), String::new()), |(at, _)| {
            (&before[..at], before[at..].to_owned())
        });
        let text_from = left_out.encode_utf16().count();
        // A character has four bytes at most.
        let after = String::from_utf8_lossy(&after[..after.len().min(4 * TEXT_MAX)]);
        text.extend(after.chars().take(TEXT_MAX));
        Hit {
            line: self.line.line,
            offset: self.line.offset,
            marks,
            text,
            text_from,
        }
    }
}

fn utf16_length(bytes: &[u8]) -> usize {
    String::from_utf8_lossy(bytes).encode_utf16().count()
}

fn push_json(out: &mut Vec<u8>, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The line numbers, offsets and count that a search finds.
    fn search(
        text: &[u8],
        pattern: &str,
        is_regex: bool,
        ignore_case: Option<bool>,
    ) -> Vec<(u64, u64)> {
        search_by(STEP_BYTES, text, pattern, is_regex, ignore_case)
    }

    fn search_by(
        step_bytes: usize,
        text: &[u8],
        pattern: &str,
        is_regex: bool,
        ignore_case: Option<bool>,
    ) -> Vec<(u64, u64)> {
        let pattern = Pattern::new(pattern, is_regex, ignore_case).unwrap_or_else(|_| panic!());
        let from = LineStart { line: 1, offset: 0 };
        let log = Arc::new(text.to_vec());
        let mut search = Search::new(log, text.len() as u64, pattern, u64::MAX, from);
        search.step_bytes = step_bytes;
        let mut hits = Vec::new();
        while !search.done {
            for line in search.step().unwrap().split(|&byte| byte == b'\n') {
                let Ok(told) = serde_json::from_slice::<Value>(line) else {
                    continue;
                };
                if let (Some(line), Some(offset)) = (told["line"].as_u64(), told["offset"].as_u64())
                {
                    hits.push((line, offset));
                }
            }
        }
        assert_eq!(hits.len() as u64, search.lines);
        hits
    }

    /// Line by line, the plain way.
    fn naive(text: &str, matches: impl Fn(&str) -> bool) -> Vec<(u64, u64)> {
        let mut offset = 0;
        let mut found = Vec::new();
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let plain = line.trim_end_matches('\n');
            let plain = plain.replace("\x1b[31m", "").replace("\x1b[0m", "");
            if matches(&plain) {
                found.push((number, offset));
            }
            offset += line.len() as u64;
        }
        found
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("a"), Just("B"), Just("ab"), Just("é"), Just("."), Just("\n"), Just("\n"), Just(" "),
                    Just("\x1b[31m"), Just("\x1b[0m"), Just("LONG"),
                ], 0..60),
            pattern in "[abBé.]{1,3}", step in 1..200_usize,
        ) {
            let text = pieces.concat().replace("LONG", &"-".repeat(80));
            let search = |pattern: &str, is_regex, ignore_case| {
                search_by(step, text.as_bytes(), pattern, is_regex, ignore_case)
            };
            let plain = naive(&text, |line| line.contains(&pattern));
            prop_assert_eq!(search(&pattern, false, Some(false)), plain);
            let lower = pattern.to_lowercase();
            let folded = naive(&text, |line| line.to_lowercase().contains(&lower));
            prop_assert_eq!(search(&pattern, false, Some(true)), folded);
            let smart = naive(&text, |line| {
                if pattern == lower { line.to_lowercase().contains(&lower) } else { line.contains(&pattern) }
            });
            prop_assert_eq!(search(&pattern, false, None), smart);
            let first = pattern.chars().next().unwrap();
            let anchored = naive(&text, |line| line.starts_with(first));
            let regex = format!("^{}[^x]*$", regex::escape(&first.to_string()));
            prop_assert_eq!(search(&regex, true, Some(false)), anchored);
        }
    }

    #[test]
    fn lines_longer_than_any_step_are_found_once_and_what_follows_them_too() {
        let mut text = vec![b'-'; 3 * LONGEST_LINE_BYTES];
        // Over the border of two parts, and in the overlap.
        text[LONGEST_LINE_BYTES - 2..LONGEST_LINE_BYTES + 4].copy_from_slice(b"needle");
        text[3 * STEP_BYTES - 100..3 * STEP_BYTES - 94].copy_from_slice(b"needle");
        text.extend_from_slice(b"\nneedle\nhay\n needle");
        let long = 3 * LONGEST_LINE_BYTES as u64;
        let lines = [(1, 0), (2, long + 1), (4, long + 12)];
        assert_eq!(search(&text, "needle", false, None), lines);
        assert_eq!(search(&text, "n[e]+dle", true, None), lines);
    }

    #[test]
    fn a_hit_tells_its_text_and_where_the_matches_are() {
        let long = format!("{}🔥é needle {}", "x".repeat(200), "y".repeat(1_000));
        let text = format!("\x1b[1mne\x1b[0medle 🔥 needle\n{long}\n\u{feff}needle\n");
        let pattern = Pattern::new("needle", false, None).unwrap_or_else(|_| panic!());
        let from = LineStart { line: 1, offset: 0 };
        let log = Arc::new(text.clone().into_bytes());
        let mut search = Search::new(log, text.len() as u64, pattern, 2, from);
        let told = String::from_utf8(search.step().unwrap().to_vec()).unwrap();
        let told: Vec<Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(told.len(), 3, "two hits are wanted");
        assert_eq!(told[0]["text"], "needle 🔥 needle");
        assert_eq!(told[0]["marks"], serde_json::json!([[0, 6], [10, 16]]));
        assert_eq!(told[1]["marks"], serde_json::json!([[204, 210]]));
        assert_eq!(told[1]["text_from"], 123);
        let text = told[1]["text"].as_str().unwrap();
        assert!(
            text.starts_with("xxx") && text.contains("🔥é needle yyy"),
            "{text}"
        );
        assert_eq!(text.chars().count(), TEXT_BEFORE + TEXT_MAX);
        assert_eq!(told[2]["lines"], 3);
        assert_eq!(told[2]["done"], true);
    }

    #[test]
    fn a_pattern_that_cannot_be_is_refused() {
        let refused = |pattern: &str, is_regex| Pattern::new(pattern, is_regex, None).is_err();
        assert!(refused("", false) && refused("a\nb", false) && refused("(", true));
        assert!(refused(&"x".repeat(PATTERN_MAX_BYTES + 1), false));
        assert!(
            refused(r"(\w{100}){100}", true),
            "its program would be large"
        );
        assert!(!refused("(", false) && !refused(r"\d+\b", true));
    }
}
