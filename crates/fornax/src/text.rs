//! Text from elsewhere, made fit for a terminal.
//!
//! What agents, plans and logs say is data: an escape sequence in it must not move the cursor, and
//! a bidirectional override must not make it read as something else.

use std::borrow::Cow;
use std::fmt::Write;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The text with every control character and every invisible one that reorders what is read written
/// out: `\x1b`, `\u{202e}`. Line ends and tabs stay.
pub fn safe(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// The same on one line: line ends and tabs become spaces.
pub fn one_line(text: &str) -> String {
    let flat: String = text
        .trim()
        .chars()
        .map(|c| {
            if matches!(c, '\n' | '\r' | '\t') {
                ' '
            } else {
                c
            }
        })
        .collect();
    escape(&flat, |_| false).into_owned()
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let bad = |c: char| is_unsafe(c) && !keep(c);
    if !text.chars().any(bad) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if bad(c) {
            write_out(&mut safe, c)
        } else {
            safe.push(c)
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal would act on the character, or show something else than what is there.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Appends the character as an escape that can be read.
pub fn write_out(to: &mut String, c: char) {
    let code = u32::from(c);
    // Writing to a string cannot fail.
    let _ = if code < 0x80 {
        write!(to, "\\x{code:02x}")
    } else {
        write!(to, "\\u{{{code:x}}}")
    };
}

/// How many columns the text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, cut to so many columns; where something is cut, an ellipsis stands for it.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut kept = String::new();
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        kept.push(c);
    }
    if columns > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_written_out() {
        assert_eq!(
            safe("a\x1b[31mb\u{9b}2J\u{7f}"),
            "a\\x1b[31mb\\u{9b}2J\\x7f"
        );
        assert_eq!(safe("rm \u{202e}txt.exe"), "rm \\u{202e}txt.exe");
        assert_eq!(safe("two\n\tlines\r"), "two\n\tlines\\x0d");
        assert_eq!(one_line(" two\r\n\tlines\x07 "), "two   lines\\x07");
        assert!(matches!(safe("Grüße, 你好 👩‍👩‍👧"), Cow::Borrowed(_)));
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("你好吗", 5), "你好…");
        assert_eq!(cut("你好吗", 4), "你…");
        assert_eq!(cut("hello", 0), "");
    }
}
