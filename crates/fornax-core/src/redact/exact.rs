//! Exact values: secrets that are known, wherever they stand.

use super::scan::{self, Filter, GRAM, gram_at};
use super::text::{Text, Verdict};
use super::tokens;

/// Values shorter than this, in bytes, are not looked for: they would be found everywhere.
const SECRET_MIN: usize = 6;
/// How redactions begin, which no value is looked for in.
const MARKER: &[u8; GRAM] = b"[red";

/// Known secrets, and the filter that leads to them.
#[derive(Clone)]
pub(super) struct Exact {
    filter: Filter,
    /// The longest first.
    values: Vec<Box<[u8]>>,
}

/// What the search for an exact value came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// One stands here.
    At { start: usize, end: usize },
    /// One may begin here; more must come to say.
    Maybe(usize),
    /// None.
    None,
}

impl Exact {
    pub(super) fn new() -> Self {
        let marker = scan::fold(u32::from_le_bytes(*MARKER));
        Exact {
            filter: Filter::empty().with(marker),
            values: Vec::new(),
        }
    }

    /// Adds a value as it is, and as it looks inside a JSON string.
    pub(super) fn add(&mut self, secret: String) {
        if secret.len() < SECRET_MIN {
            return;
        }
        let quoted = serde_json::Value::from(secret.as_str()).to_string();
        let inner = &quoted.as_bytes()[1..quoted.len() - 1];
        for value in [secret.as_bytes(), inner] {
            let Some(gram) = gram_at(value, 0) else {
                continue;
            };
            self.filter = self.filter.clone().with(gram);
            let place = self.values.binary_search_by(|v| {
                value
                    .len()
                    .cmp(&v.len())
                    .then_with(|| v.as_ref().cmp(value))
            });
            if let Err(place) = place {
                self.values.insert(place, value.into());
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The first value from `from` on.
    pub(super) fn find(&self, text: &Text<'_>, from: usize) -> Hit {
        let mut at = from;
        while let Some(place) = self.filter.next(text.bytes, at) {
            match tokens::marker(text, place) {
                Verdict::Skip(end) => {
                    at = end;
                    continue;
                }
                Verdict::More(_) => return Hit::Maybe(place),
                _ => {}
            }
            match self.at(text, place) {
                Hit::None => at = place + 1,
                hit => return hit,
            }
        }
        if text.last {
            return Hit::None;
        }
        let tail = at.max(text.len().saturating_sub(GRAM - 1));
        let begins = |at: &usize| {
            let rest = &text.bytes[*at..];
            MARKER.starts_with(rest) || self.values.iter().any(|value| value.starts_with(rest))
        };
        (tail..text.len())
            .find(begins)
            .map_or(Hit::None, Hit::Maybe)
    }

    /// The longest value at `at`.
    pub(super) fn at(&self, text: &Text<'_>, at: usize) -> Hit {
        for value in &self.values {
            match text.starts_with(at, value) {
                Some(false) => {}
                Some(true) => {
                    let end = at + value.len();
                    return Hit::At { start: at, end };
                }
                None => return Hit::Maybe(at),
            }
        }
        Hit::None
    }
}
