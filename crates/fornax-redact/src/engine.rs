//! One pass over the input: from anchor to anchor, replacing what a rule finds.
//!
//! The pass is the same for a whole text and for a stream. A rule that meets the end of what has
//! come says so, and the pass stops in front of what could be a secret until more has come; so how
//! a stream is cut into chunks never changes the result.
//!
//! Secrets that are known exactly come first: each is a wall, and the rules see the text between
//! two walls as a text of its own. The same text with the walls redacted gives the same result, so
//! redacting twice changes nothing.

use super::rules::Rules;
use super::scan::{self, GRAM, Rule};
use super::text::{Found, Text, Then, Verdict};
use super::walls::{Reach, Walls};
use super::{assign, pem, shapes::SHAPES, tokens};

/// Bytes before a place that a rule may look at.
pub(super) const LEFT_CONTEXT: usize = 128;

/// Where the pass stands in the bytes at hand.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    /// Anchors before this place are dealt with.
    pub(super) scan: usize,
    /// Bytes before this place are out, or dropped.
    pub(super) done: usize,
    /// The start of the input, or the end of the last replacement.
    floor: usize,
    /// What goes on at `done`.
    then: Then,
    walls: Walls,
    /// Whether anything was replaced.
    pub(super) replaced: bool,
}

impl Cursor {
    pub(super) fn new() -> Self {
        Cursor {
            scan: 0,
            done: 0,
            floor: 0,
            then: Then::Plain,
            walls: Walls::default(),
            replaced: false,
        }
    }

    /// What comes before this place is not looked at again.
    pub(super) fn settled(&self) -> usize {
        self.scan
            .min(self.done)
            .min(self.walls.settled())
            .saturating_sub(LEFT_CONTEXT)
    }

    /// Forgets the first `count` bytes.
    pub(super) fn forget(&mut self, count: usize) {
        self.scan -= count;
        self.done -= count;
        self.walls.forget(count);
        self.floor = self.floor.saturating_sub(count);
    }

    /// Writes what lies before a secret, and its marker.
    fn replace(&mut self, bytes: &[u8], found: Found<'_>, out: &mut Vec<u8>) {
        debug_assert!(
            found.start >= self.done,
            "what is held begins no later than the secret"
        );
        out.extend_from_slice(&bytes[self.done..found.start]);
        out.extend_from_slice(b"[redacted:");
        out.extend_from_slice(found.kind.as_bytes());
        out.push(b']');
        self.replaced = true;
        self.then = found.then;
        self.go_on(found.end);
    }

    fn go_on(&mut self, at: usize) {
        self.scan = at;
        self.done = at;
        self.floor = at;
    }
}

/// Goes on through `bytes`, which is all there is if `last`. Writes what lies before each
/// replacement, and the replacement; what lies between `cursor.done` and the returned place is
/// for the caller to write.
pub(super) fn advance(
    rules: &Rules,
    bytes: &[u8],
    last: bool,
    cursor: &mut Cursor,
    out: &mut Vec<u8>,
) -> usize {
    cursor.walls.more(rules);
    let all = Text {
        bytes,
        floor: 0,
        last,
    };
    loop {
        // A known secret that begins inside what was replaced may end outside of it.
        let (end, known) = cursor.walls.overlap(rules, &all, cursor.done);
        if end > cursor.done {
            cursor.go_on(end);
        }
        if !known {
            return cursor.done;
        }
        let floor = cursor.floor;
        let reach = cursor.walls.reach(rules, &all);
        let mut text = match reach {
            Reach::Wall { start, .. } => Text {
                bytes: &bytes[..start],
                floor,
                last: true,
            },
            Reach::Maybe(start) => Text {
                bytes: &bytes[..start],
                floor,
                last: false,
            },
            Reach::End => Text { floor, ..all },
        };
        if cursor.then != Then::Plain {
            let (at, then) = pem::swallow(&text, cursor.done, cursor.then);
            cursor.then = then;
            cursor.go_on(at);
            text.floor = at;
            if then != Then::Plain {
                return at;
            }
        }
        match next(&text, cursor.scan) {
            Step::Found(found) => cursor.replace(bytes, found, out),
            Step::Skip(end) => {
                cursor.scan = end;
                cursor.floor = end;
            }
            Step::Wait { scan, hold } => {
                cursor.scan = scan;
                let Reach::Wall { start, end, kind } = reach else {
                    return hold.max(cursor.done);
                };
                cursor.replace(
                    bytes,
                    Found {
                        start,
                        end,
                        kind,
                        then: Then::Plain,
                    },
                    out,
                );
                cursor.walls.pass(start);
            }
        }
    }
}

enum Step<'r> {
    Found(Found<'r>),
    Skip(usize),
    /// Go on at `scan` when more has come; bytes from `hold` on may belong to a secret.
    Wait {
        scan: usize,
        hold: usize,
    },
}

/// The next thing to do from `from` on: of all secrets, the one that begins first.
fn next(text: &Text<'_>, from: usize) -> Step<'static> {
    let mut best: Option<Found<'static>> = None;
    // The first anchor that says something, and where the first secret may begin.
    let mut first = text.len();
    let mut hold = text.len();
    let mut at = from;
    while let Some(hit) = scan::next(text.bytes, at) {
        if hit >= hold || best.is_some_and(|best| hit >= best.start) {
            break;
        }
        at = hit + 1;
        match judge(text, hit) {
            Verdict::No => continue,
            Verdict::Skip(end) if first > hit => return Step::Skip(end),
            Verdict::Skip(_) => {}
            Verdict::More(from) => hold = hold.min(from),
            Verdict::Found(found) if best.is_none_or(|best| found.start < best.start) => {
                best = Some(found)
            }
            Verdict::Found(_) => {}
        }
        first = first.min(hit);
    }
    if let Some(found) = best
        && (found.start < hold || text.last)
    {
        return Step::Found(found);
    }
    if !text.last {
        let (scan, held) = tail(text, from);
        first = first.min(scan);
        hold = hold.min(held);
    }
    Step::Wait { scan: first, hold }
}

/// What the last bytes, too few for an anchor, may still become: where to go on, what to hold.
fn tail(text: &Text<'_>, from: usize) -> (usize, usize) {
    let len = text.len();
    let mut scan = len;
    let mut hold = len;
    for at in (from.max(len.saturating_sub(GRAM - 1))..len).rev() {
        let rest = &text.bytes[at..];
        if scan::begins_anchor(rest, |_| true) {
            scan = at;
        }
        let starts = |rule| match rule {
            Rule::Shape(index) => SHAPES[usize::from(index)].begins(text, at),
            Rule::Jwt => text.word_starts(at),
            Rule::Telegram => text.before(at).is_some_and(|b| b.is_ascii_digit()),
            _ => false,
        };
        if scan::begins_anchor(rest, starts) {
            hold = at;
        }
    }
    (scan, hold)
}

/// What the rules say of the anchor at `at`.
fn judge(text: &Text<'_>, at: usize) -> Verdict<'static> {
    let mut verdict = Verdict::No;
    for anchor in scan::anchors(text.bytes, at) {
        verdict = verdict.or(match anchor.rule {
            Rule::Shape(index) => SHAPES[usize::from(index)].at(text, at),
            Rule::Name(word) => assign::at(text, at, word),
            Rule::Bearer => tokens::bearer(text, at),
            Rule::Basic => tokens::basic(text, at),
            Rule::Twilio => tokens::twilio(text, at),
            Rule::Telegram => tokens::telegram(text, at),
            Rule::Url => tokens::url(text, at),
            Rule::Jwt => tokens::jwt(text, at),
            Rule::Key => pem::begin(text, at),
            Rule::Marker => tokens::marker(text, at),
        });
    }
    verdict
}
