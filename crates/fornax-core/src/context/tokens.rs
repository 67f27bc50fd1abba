//! How many tokens a text has, estimated where no agent has counted them.
//!
//! The estimate is meant to be no smaller than what a byte-pair tokenizer counts, so that a text
//! which fits by the estimate fits in truth. It is `ceil(bytes / 4)`, or a count by runs of
//! characters where that is more: such tokenizers never join letters with digits or punctuation,
//! split digits in threes, and fall back to single bytes for what they have rarely seen.

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
    /// Punctuation: only the same sign makes a run.
    Sign(char),
    /// All else, which counts for itself.
    Other,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' => Class::Lower,
        'A'..='Z' => Class::Upper,
        '0'..='9' => Class::Digit,
        ' ' | '\t' => Class::Space,
        '\n' | '\r' => Class::Line,
        c if c.is_ascii() => Class::Sign(c),
        _ => Class::Other,
    }
}

fn by_runs(text: &str) -> usize {
    let mut tokens = 0;
    let mut chars = text.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        let class = class(c);
        let mut length = 1;
        let mut vowels = usize::from(is_vowel(c));
        while let Some(next) = chars
            .peek()
            .copied()
            .filter(|next| self::class(*next) == class)
        {
            length += 1;
            vowels += usize::from(is_vowel(next));
            chars.next();
            if class == Class::Other {
                tokens += other(next);
            }
        }
        tokens += match class {
            Class::Other => other(c),
            Class::Digit => usize::div_ceil(length, 3),
            // A single space goes with the word after it.
            Class::Space if length == 1 && c == ' ' && chars.peek().is_some() => 0,
            Class::Space => usize::div_ceil(length, 16),
            Class::Line => usize::div_ceil(length, 4),
            Class::Sign(_) => usize::div_ceil(length, 2),
            // A capital goes with the small letters after it.
            Class::Upper if length == 1 && chars.peek().is_some_and(char::is_ascii_lowercase) => 0,
            Class::Upper => usize::div_ceil(length, 2),
            Class::Lower if is_word(length, vowels) => usize::div_ceil(length, 5),
            Class::Lower => usize::div_ceil(length, 2),
        };
        // Where letters of both cases and digits alternate, it is no language.
        if class == Class::Lower && before == Some(Class::Digit) {
            tokens += usize::from(length > 2);
        }
        before = Some(class);
    }
    tokens
}

/// Whether small letters could be a word of a language.
fn is_word(length: usize, vowels: usize) -> bool {
    length < 4 || (vowels * 5 >= length && length <= 24)
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y')
}

/// A character beyond ASCII: whole words of large alphabets are tokens, rare ones single bytes.
fn other(c: char) -> usize {
    match u32::from(c) {
        // Latin with accents, Greek, Cyrillic.
        0x00a0..=0x024f | 0x0370..=0x052f => 1,
        // Chinese, Japanese, Korean.
        0x3000..=0x30ff | 0x4e00..=0x9fff | 0xac00..=0xd7af | 0xff00..=0xffef => 2,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_cost_about_a_quarter_of_their_bytes() {
        let text = "the quick brown fox jumps over the lazy dog and runs away";
        assert!((text.len() / 4..=text.len() / 3).contains(&estimate(text)));
    }

    #[test]
    fn what_is_joined_costs_no_more_than_its_parts() {
        for (one, other) in [
            ("hel", "lo"),
            ("a ", " b"),
            ("12", "34"),
            ("漢", "字"),
            ("--", "--"),
        ] {
            assert!(estimate(&format!("{one}{other}")) <= estimate(one) + estimate(other));
        }
    }
}
