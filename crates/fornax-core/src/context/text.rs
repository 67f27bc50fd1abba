//! Texts of frames as they stand in a context: escaped, and shortened at borders that read well.

use std::borrow::Cow;

use super::tokens::estimate;

/// What stands for what was cut off.
const ELLIPSIS: &str = " …";

/// The text with all escaped that could end its element, and without what XML cannot hold.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |c: char| !matches!(c, '<' | '>' | '&' | '"') && is_xml(c);
    if text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            c if is_xml(c) => escaped.push(c),
            _ => escaped.push('\u{fffd}'),
        }
    }
    Cow::Owned(escaped)
}

/// The characters of XML 1.0, production 2; a carriage return would be read as a line feed.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The text escaped and in at most `tokens` tokens, and whether it was shortened for that: at the end
/// of a sentence where one is near, else of a word, else of a character.
pub(crate) fn fit(text: &str, tokens: usize) -> (String, bool) {
    let text = text.trim();
    if text.len().div_ceil(4) <= tokens {
        let whole = escape(text);
        if estimate(&whole) <= tokens {
            return (whole.into_owned(), false);
        }
    }
    let room = tokens.saturating_sub(estimate(ELLIPSIS));
    // A token has no more than four bytes by the estimate: what is behind need not be read.
    let all = text;
    let text = &all[..floor_char(all, all.len().min(room * 4))];
    let (mut low, mut high) = (0, text.len());
    while low < high {
        let middle = floor_char(text, (low + high).div_ceil(2));
        if middle <= low {
            // The next character begins after the middle.
            let next = ceil_char(text, low + 1);
            if next > high || estimate(&escape(&text[..next])) > room {
                break;
            }
            low = next;
        } else if estimate(&escape(&text[..middle])) <= room {
            low = middle;
        } else {
            high = floor_char(text, middle - 1);
        }
    }
    // A word's beginning can have more tokens than the word: what was found may not end well.
    let ends = [good_end(all, low), all[..low].trim_end().len()];
    let cut = ends.map(|end| escape(&all[..end]));
    let cut = cut.into_iter().find(|cut| estimate(cut) <= room);
    match cut.filter(|cut| !cut.is_empty()) {
        Some(cut) => (cut.into_owned() + ELLIPSIS, true),
        None => (String::new(), true),
    }
}

fn floor_char(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil_char(text: &str, mut at: usize) -> usize {
    while at < text.len() && !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

/// The place at or before `at` where a reader would stop.
fn good_end(text: &str, at: usize) -> usize {
    let kept = &text[..at];
    let enough = |end: &usize| *end * 2 >= at;
    let sentence = kept
        .char_indices()
        .filter(|(place, c)| {
            let next = text[place + c.len_utf8()..].chars().next();
            *c == '\n'
                || (matches!(c, '.' | '!' | '?') && next.is_none_or(char::is_whitespace))
                || matches!(c, '。' | '！' | '？')
        })
        .map(|(place, c)| place + c.len_utf8())
        .next_back()
        .filter(enough);
    let word = || kept.rfind(char::is_whitespace).filter(enough);
    let end = sentence.or_else(word).unwrap_or(at);
    text[..end].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shortens_at_a_sentence_then_at_a_word() {
        let text = "The parser is done. It reads every format that the old one read, and more.";
        assert_eq!(fit(text, 9).0, "The parser is done. …");
        assert_eq!(
            fit("one two three four five six seven eight", 8).0,
            "one two three four five …"
        );
        assert_eq!(fit("short", 10), ("short".to_owned(), false));
    }

    proptest! {
        #[test]
        fn never_longer_than_it_may_be(text in "\\PC{0,200}|[a-z<>&\" .\n]{0,300}", tokens in 0usize..80) {
            let (cut, shortened) = fit(&text, tokens);
            prop_assert!(estimate(&cut) <= tokens || cut.is_empty(), "{} > {}", estimate(&cut), tokens);
            prop_assert!(shortened || cut == escape(text.trim()));
            prop_assert!(!cut.contains('<') && !cut.contains('>'));
        }
    }
}
