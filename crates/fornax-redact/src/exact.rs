//! Exact values: secrets that are known, wherever they stand.
//!
//! Every value is longer than a gram of four bytes, so the search need not look at every place: it
//! knows the grams at the first `step` places of each value and looks at every `step`-th place.

use std::collections::BTreeSet;

use super::text::{Text, Verdict};
use super::tokens::{self, MARKER_MAX};

/// Values shorter than this, in bytes, are not looked for: they would be found everywhere.
const SECRET_MIN: usize = 6;
/// Bytes that the search compares at a place.
const GRAM: usize = 4;
/// The widest step: more grams would make the filter less sharp.
const STEP_MAX: usize = 8;

/// Known secrets.
pub(super) struct Exact {
    /// A bit for each hash of a gram.
    filter: Box<[u64; 1024]>,
    step: usize,
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
    /// The values of `before`, and `secrets` as they are and as they look inside a JSON string.
    pub(super) fn new(
        before: Option<&Exact>,
        secrets: impl IntoIterator<Item = String>,
    ) -> Option<Self> {
        let mut values: BTreeSet<Box<[u8]>> = before
            .iter()
            .flat_map(|exact| exact.values.iter().cloned())
            .collect();
        for secret in secrets
            .into_iter()
            .filter(|secret| secret.len() >= SECRET_MIN)
        {
            let quoted = serde_json::Value::from(secret.as_str()).to_string();
            values.insert(quoted.as_bytes()[1..quoted.len() - 1].into());
            values.insert(secret.into_bytes().into_boxed_slice());
        }
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let step = (values.last()?.len() + 1 - GRAM).min(STEP_MAX);
        let mut filter = Box::new([0; 1024]);
        for value in &values {
            for gram in value.windows(GRAM).take(step) {
                let slot = slot(gram);
                filter[slot >> 6] |= 1 << (slot & 63);
            }
        }
        Some(Exact {
            filter,
            step,
            values,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The first value from `from` on.
    pub(super) fn find(&self, text: &Text<'_>, from: usize) -> Hit {
        let mut at = from;
        loop {
            let found = self.next(text.bytes, at);
            let partial = self
                .partial(text, at)
                .filter(|start| found.is_none_or(|found| *start < found));
            let Some(place) = partial.or(found) else {
                return Hit::None;
            };
            match around(text, place) {
                Verdict::Skip(end) => at = end,
                Verdict::More(_) => return Hit::Maybe(place),
                _ => return self.at(text, place),
            }
        }
    }

    /// Where the first value from `from` on begins that is all there.
    fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while let Some(gram) = bytes.get(at..at + GRAM) {
            let slot = slot(gram);
            if self.filter[slot >> 6] >> (slot & 63) & 1 != 0 {
                let first = from.max((at + 1).saturating_sub(self.step));
                let stands = |place: &usize| {
                    self.values
                        .iter()
                        .any(|value| bytes[*place..].starts_with(value))
                };
                if let Some(place) = (first..=at).find(stands) {
                    return Some(place);
                }
            }
            at += self.step;
        }
        None
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

    /// The first place from `from` on where a value begins and the text ends.
    fn partial(&self, text: &Text<'_>, from: usize) -> Option<usize> {
        if text.last {
            return None;
        }
        let longest = self.values.first()?.len();
        let from = from.max((text.len() + 1).saturating_sub(longest));
        (from..text.len()).find(|at| {
            let rest = &text.bytes[*at..];
            self.values
                .iter()
                .any(|value| value.len() > rest.len() && value.starts_with(rest))
        })
    }
}

fn slot(gram: &[u8]) -> usize {
    let gram = <[u8; GRAM]>::try_from(gram).map_or(0, u32::from_le_bytes);
    (gram.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

/// The marker in which `at` lies: nothing in it is a secret.
pub(super) fn around(text: &Text<'_>, at: usize) -> Verdict<'static> {
    let first = text.floor.max(at.saturating_sub(MARKER_MAX + 11));
    (first..=at)
        .rev()
        .filter(|place| text.bytes[*place] == b'[')
        .map(|place| tokens::marker(text, place))
        .find(|said| match said {
            Verdict::Skip(end) => *end > at,
            Verdict::More(_) => true,
            _ => false,
        })
        .unwrap_or(Verdict::No)
}
