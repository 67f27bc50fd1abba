//! Finding the places worth a look.
//!
//! Every rule names an anchor: four bytes (case aside) that any text of its kind contains. A
//! table, filled while compiling, knows for each pair of bytes which groups of anchors begin with
//! it and which end with it; a place is worth a look where its two pairs have a group in common.
//! Unlike an automaton this has no chain of dependent loads, and it costs nothing to build.

use super::shapes::SHAPES;
use super::text::{Class, WORD};

/// Bytes of an anchor.
pub(super) const GRAM: usize = 4;

/// The rule that an anchor leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// `SHAPES[.0]`
    Shape(u8),
    /// The name of a secret that ends with this word, with a value after it
    Name(&'static str),
    /// `Bearer x`
    Bearer,
    /// `Basic x`
    Basic,
    /// `twilio_...=SK...`
    Twilio,
    /// `123456:AAxyz`
    Telegram,
    /// `scheme://user:pass@host`
    Url,
    /// A JSON web token
    Jwt,
    /// `-----BEGIN ... PRIVATE KEY`
    Key,
    /// `[redacted:x]`, which stays
    Marker,
}

/// The words that end the names of secrets, or nearly so. Their first four bytes are anchors.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passcode",
    "passphrase",
    "_pass",
    "_pwd",
    "pwd=",
    "secret",
    "token",
    "apikey",
    "_key",
    "-key",
    "sskey",
    "tekey",
    "ntkey",
    "ngkey",
    "thkey",
    "onkey",
    "erkey",
    "gekey",
    "lekey",
    "authorization",
    "authorisation",
    "cookie",
    "credential",
    "creds",
    "mnemonic",
    "phrase",
];

/// The anchors of the other rules. Three bytes stand for any four that begin so.
const OTHERS: &[(&str, Rule)] = &[
    ("bear", Rule::Bearer),
    ("basi", Rule::Basic),
    ("twil", Rule::Twilio),
    (":AA", Rule::Telegram),
    ("://", Rule::Url),
    ("eyJ", Rule::Jwt),
    ("BEGI", Rule::Key),
    ("[red", Rule::Marker),
];

#[derive(Clone, Copy)]
pub(super) struct Anchor {
    gram: u32,
    mask: u32,
    pub(super) rule: Rule,
}

const COUNT: usize = SHAPES.len() + NAMES.len() + OTHERS.len();

const fn anchor(at: usize) -> (&'static [u8], Rule) {
    if at < SHAPES.len() {
        return (SHAPES[at].prefix.as_bytes(), Rule::Shape(at as u8));
    }
    let at = at - SHAPES.len();
    if at < NAMES.len() {
        return (NAMES[at].as_bytes(), Rule::Name(NAMES[at]));
    }
    let (text, rule) = OTHERS[at - NAMES.len()];
    (text.as_bytes(), rule)
}

/// Takes case away, and a few differences between other bytes; the rules look again.
const fn fold(gram: u32) -> u32 {
    gram | 0x2020_2020
}

const fn gram_of(text: &[u8]) -> (u32, u32) {
    let fourth = if text.len() > 3 { text[3] } else { 0 };
    let mask = if text.len() > 3 {
        u32::MAX
    } else {
        0x00ff_ffff
    };
    let gram = u32::from_le_bytes([text[0], text[1], text[2], fourth]);
    (fold(gram) & mask, mask)
}

/// The anchors in the order of their first byte, and where each first byte's begin.
static ANCHORS: ([Anchor; COUNT], [u8; 257]) = {
    let none = Anchor {
        gram: 0,
        mask: 0,
        rule: Rule::Marker,
    };
    let mut all = [none; COUNT];
    let mut at = 0;
    while at < COUNT {
        let (text, rule) = anchor(at);
        let (gram, mask) = gram_of(text);
        let mut place = at;
        while place > 0 && (all[place - 1].gram & 0xff) > (gram & 0xff) {
            all[place] = all[place - 1];
            place -= 1;
        }
        all[place] = Anchor { gram, mask, rule };
        at += 1;
    }
    assert!(COUNT < 256, "the anchors' places fit in a byte");
    let mut starts = [0; 257];
    let mut first = 0;
    while first < 257 {
        let mut count = 0;
        while count < COUNT && ((all[count].gram & 0xff) as usize) < first {
            count += 1;
        }
        starts[first] = count as u8;
        first += 1;
    }
    (all, starts)
};

fn anchors_from(first: u32) -> &'static [Anchor] {
    let first = (first & 0xff) as usize;
    &ANCHORS.0[usize::from(ANCHORS.1[first])..usize::from(ANCHORS.1[first + 1])]
}

/// The anchors that the four bytes at `at` are.
pub(super) fn anchors(bytes: &[u8], at: usize) -> impl Iterator<Item = &'static Anchor> {
    let four = bytes
        .get(at..at + GRAM)
        .and_then(|four| <[u8; GRAM]>::try_from(four).ok());
    let gram = four.map_or(0, |four| fold(u32::from_le_bytes(four)));
    anchors_from(gram)
        .iter()
        .filter(move |a| a.gram == gram & a.mask)
}

/// Whether `tail`, one to three bytes, could be the beginning of an anchor of a rule for which
/// `wanted` holds.
pub(super) fn begins_anchor(tail: &[u8], wanted: impl Fn(Rule) -> bool) -> bool {
    let mut bytes = [0; GRAM];
    bytes[..tail.len()].copy_from_slice(tail);
    let mask = u32::MAX >> (8 * (GRAM - tail.len()));
    let gram = fold(u32::from_le_bytes(bytes)) & mask;
    anchors_from(gram)
        .iter()
        .any(|a| a.gram & mask == gram && wanted(a.rule))
}

/// For each pair of bytes, the groups of anchors that begin with it, and in the upper byte the
/// groups that end with it.
static PAIRS: [u16; 1 << 16] = {
    let mut pairs = [0; 1 << 16];
    let mut at = 0;
    while at < COUNT {
        let (text, rule) = anchor(at);
        let group = 1_u16 << ((text[0] + 3 * (text[1] & 31)) & 7);
        pairs = with_pair(pairs, text[0], text[1], group);
        if text.len() > 3 {
            pairs = with_pair(pairs, text[2], text[3], group << 8);
        } else {
            let mut fourth = 0x20;
            while fourth < 0x7f {
                if fourth_class(rule).has(fourth) {
                    pairs = with_pair(pairs, text[2], fourth, group << 8);
                }
                fourth += 1;
            }
        }
        at += 1;
    }
    pairs
};

/// What may stand fourth where an anchor has three bytes.
const fn fourth_class(rule: Rule) -> Class {
    match rule {
        Rule::Shape(at) => SHAPES[at as usize].class(),
        Rule::Url => Class::VISIBLE,
        _ => WORD,
    }
}

/// Adds a pair in each case.
const fn with_pair(mut pairs: [u16; 1 << 16], a: u8, b: u8, groups: u16) -> [u16; 1 << 16] {
    let (a, b) = (a.to_ascii_lowercase(), b.to_ascii_lowercase());
    let (upper_a, upper_b) = (a.to_ascii_uppercase(), b.to_ascii_uppercase());
    pairs[u16::from_le_bytes([a, b]) as usize] |= groups;
    pairs[u16::from_le_bytes([upper_a, b]) as usize] |= groups;
    pairs[u16::from_le_bytes([a, upper_b]) as usize] |= groups;
    pairs[u16::from_le_bytes([upper_a, upper_b]) as usize] |= groups;
    pairs
}

/// The first place from `from` on that is worth a look.
#[inline(never)]
pub(super) fn next(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(block) = bytes.get(at..at + 11) {
        let (Ok(low), Ok(high)) = (block[..8].try_into(), block[3..].try_into()) else {
            break;
        };
        let (low, high) = (u64::from_le_bytes(low), u64::from_le_bytes(high));
        let groups = |place: usize| {
            let word = if place < 7 {
                low >> (8 * place)
            } else {
                high >> (8 * (place - 3))
            };
            PAIRS[usize::from(word as u16)]
        };
        let mut ends = [groups(0), groups(1)];
        let mut hit = 0;
        for place in 0..8 {
            let [begins, middle] = ends;
            let end = groups(place + 2);
            hit |= u32::from(begins & end >> 8 != 0) << place;
            ends = [middle, end];
        }
        if hit != 0 {
            return Some(at + hit.trailing_zeros() as usize);
        }
        at += 8;
    }
    let groups = |at: usize| PAIRS[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))];
    while at + GRAM <= bytes.len() {
        if groups(at) & groups(at + 2) >> 8 != 0 {
            return Some(at);
        }
        at += 1;
    }
    None
}
