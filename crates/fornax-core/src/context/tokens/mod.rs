//! How many tokens a text has, estimated where no agent has counted them.
//!
//! The estimate is meant to be no smaller than what a byte-pair tokenizer counts, so that a text
//! which fits by the estimate fits in truth. It is `ceil(bytes / 4)`, or a count by runs of
//! characters where that is more: such tokenizers never join letters with digits, split digits in
//! threes, have few signs in one token and fall back to single bytes for what they have rarely seen.
//! What two of them know of words, signs and characters beyond ASCII stands in `table` and
//! `words.bin`, which a test makes again from their vocabularies; of a word that they do not know
//! the number of pieces is guessed, and rather too many.
//!
//! The sum of estimates bounds the estimate of the whole where the parts meet at a sign, at a line's
//! end or at a space: words are not joined there, and pairs of signs only become more.

mod table;

#[cfg(test)]
pub(super) mod tests;

use crate::ids::mix;

use table::{BLOCKS, PAIRS, SIGNS, THREE_BYTES, TWO_BYTES};

/// The words of small letters that are one token after a space, as a Bloom filter.
static WORDS: &[u8; 1 << 15] = include_bytes!("words.bin");

/// Words of fewer letters are most often one token without a space before them, too; and words of
/// fewer than [`LONG`] with a capital.
const SHORT: usize = 5;
const LONG: usize = 7;

/// The estimated number of tokens.
#[must_use]
pub fn estimate(text: &str) -> usize {
    text.len().div_ceil(4).max(by_runs(text))
}

/// What belongs to one run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
    Space,
    Line,
    Sign,
    /// All that is beyond ASCII.
    Other,
}

/// What each byte belongs to, and each sign's place in [`SIGNS`]: looked up, since every context is
/// counted again and again.
static CLASSES: [Class; 256] = classes();
static PLACES: [u8; 128] = places_of_signs();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' => Class::Space,
            b'\n' | b'\r' => Class::Line,
            _ => Class::Sign,
        };
        byte += 1;
    }
    classes
}

const fn places_of_signs() -> [u8; 128] {
    let mut places = [u8::MAX; 128];
    let mut place = 0;
    while place < SIGNS.len() {
        places[SIGNS[place] as usize] = place as u8;
        place += 1;
    }
    places
}

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

fn by_runs(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut tokens = 0;
    let mut start = 0;
    while let Some(first) = bytes.get(start) {
        let class = class(*first);
        let end = end_of_run(bytes, start, class);
        let run = &bytes[start..end];
        let before = start.checked_sub(1).map(|at| bytes[at]);
        let after = bytes.get(end).map(|byte| self::class(*byte));
        start = end;
        tokens += match class {
            // A capital goes with the small letters after it.
            Class::Upper if after == Some(Class::Lower) => {
                start = end_of_run(bytes, end, Class::Lower);
                let (capitals, first) = run.split_at(run.len() - 1);
                let before_first = capitals.last().copied().or(before);
                let with_first = &bytes[end - first.len()..start];
                word(capitals, before) + word(with_first, before_first)
            }
            Class::Lower | Class::Upper => word(run, before),
            Class::Digit => run.len().div_ceil(3),
            Class::Space => spaces(run, after),
            Class::Line => run.len().div_ceil(4),
            Class::Sign => signs(run),
            Class::Other => others(&text[end - run.len()..end]),
        };
    }
    tokens
}

fn end_of_run(bytes: &[u8], start: usize, class: Class) -> usize {
    let rest = &bytes[start..];
    let length = rest.iter().position(|byte| self::class(*byte) != class);
    start + length.unwrap_or(rest.len())
}

/// Letters of ASCII: small ones, perhaps with a capital before them, or only capitals.
fn word(word: &[u8], before: Option<u8>) -> usize {
    let length = word.len();
    // Where letters and digits alternate, it is no language.
    let after_digit = before.is_some_and(|byte| byte.is_ascii_digit());
    if length == 0 {
        return 0;
    }
    if length < 3 {
        let inside = before.is_some_and(|byte| byte.is_ascii_alphabetic());
        return match after_digit || (inside && word[0].is_ascii_uppercase()) {
            true => length,
            false => 1,
        };
    }
    let capitals = word.iter().filter(|letter| letter.is_ascii_uppercase());
    let capitals = capitals.take(2).count();
    if is_known(word) {
        let alone = before != Some(b' ');
        return match capitals {
            0 => 1 + usize::from(alone && length >= SHORT),
            // Few short words stand with a capital inside of others.
            1 if length == 3 && before.is_some_and(|byte| byte.is_ascii_lowercase()) => 2,
            1 => 1 + usize::from(length >= LONG),
            _ => length.div_ceil(3),
        };
    }
    let vowels = word.iter().filter(|letter| is_vowel(**letter)).count();
    let speakable = vowels * 5 >= length && length <= 24 && capitals < 2;
    let pieces = match speakable {
        true => (length * 2).div_ceil(5).max(2),
        false => length.div_ceil(2),
    };
    pieces + usize::from(after_digit)
}

/// Whether a word is one token after a space, whatever the size of its letters. It errs for one in a
/// hundred of those that are not.
fn is_known(word: &[u8]) -> bool {
    let is_set = |place: &usize| WORDS[place / 8] & (1 << (place % 8)) != 0;
    places(word).iter().all(is_set)
}

/// The bits of [`WORDS`] that stand for a word.
fn places(word: &[u8]) -> [usize; 3] {
    let hash = word.iter().fold(0_u64, |hash, letter| {
        (hash ^ u64::from(letter.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = mix(hash);
    [0, 20, 40].map(|shift| (hash >> shift) as usize % (WORDS.len() * 8))
}

fn is_vowel(letter: u8) -> bool {
    matches!(letter | 0x20, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// The last space goes with the word or the signs after it; with digits it does not.
fn spaces(run: &[u8], after: Option<Class>) -> usize {
    let whole = |length: usize| length.div_ceil(16);
    match after {
        None | Some(Class::Line) => whole(run.len()),
        Some(Class::Digit | Class::Other) => whole(run.len() - 1) + 1,
        Some(_) if run.ends_with(b"\t") => whole(run.len() - 1) + 1,
        Some(_) => whole(run.len() - 1),
    }
}

/// Two signs that are often together are one token; so are four of those that rules are drawn with.
fn signs(run: &[u8]) -> usize {
    let mut tokens = 0;
    let mut rest = run;
    while let [first, after @ ..] = rest {
        tokens += 1;
        rest = match after {
            _ if is_rule(rest) => &after[3..],
            [second, others @ ..] if is_pair(*first, *second) && !is_rule(after) => others,
            _ => after,
        };
    }
    tokens
}

fn is_pair(one: u8, other: u8) -> bool {
    let [one, other] = [one, other].map(|sign| PLACES[usize::from(sign)]);
    let after = PAIRS.get(usize::from(one)).copied().unwrap_or_default();
    other < 32 && after & (1 << other) != 0
}

fn is_rule(signs: &[u8]) -> bool {
    matches!(signs, [one, more @ ..] if b"-=*#_./~+".contains(one)
        && more.len() >= 3 && more[..3].iter().all(|sign| sign == one))
}

/// Characters beyond ASCII. Of Cyrillic letters, two and more are often one token.
fn others(run: &str) -> usize {
    let cyrillic = run.chars().filter(|c| matches!(c, '\u{400}'..='\u{4ff}'));
    run.chars().map(other).sum::<usize>() - cyrillic.count() / 3
}

/// A character beyond ASCII: those often seen are one token, rare ones single bytes.
fn other(c: char) -> usize {
    let code = u32::from(c);
    let is_set = |bits: &[u64], at: u32| {
        let word = bits.get(at as usize / 64);
        word.is_some_and(|word| word & (1 << (at % 64)) != 0)
    };
    match c.len_utf8() {
        2 if is_set(&TWO_BYTES, code - 0x80) => 1,
        3 if u16::try_from(code).is_ok_and(|code| THREE_BYTES.binary_search(&code).is_ok()) => 1,
        3 if is_set(&BLOCKS, code / 64) => 2,
        length => length,
    }
}
