//! What a tool wrote, made fit for a terminal: its colours stay, all else that a terminal would act
//! on goes or is written out.

use crate::text;

/// The longest control sequence that is looked at, in bytes; the rest of a longer one is text.
const SEQUENCE_MAX_BYTES: usize = 4096;

/// Makes a stream of bytes fit for a terminal, chunk by chunk; what a chunk cuts in two is kept for
/// the next.
pub struct LogText {
    color: bool,
    pending: Vec<u8>,
    colored: bool,
    after_return: bool,
}

impl LogText {
    /// `color`: whether its colours stay.
    pub fn new(color: bool) -> LogText {
        LogText {
            color,
            pending: Vec::new(),
            colored: false,
            after_return: false,
        }
    }

    /// The next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        self.take(false)
    }

    /// What is left when nothing more comes, and the end of a colour that was left open.
    pub fn finish(&mut self) -> String {
        let mut text = self.take(true);
        if std::mem::take(&mut self.colored) {
            text.push_str("\x1b[0m");
        }
        text
    }

    fn take(&mut self, at_end: bool) -> String {
        let bytes = std::mem::take(&mut self.pending);
        let mut text = String::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let Some(&first) = rest.first() {
            let taken = if first == 0x1b {
                self.sequence(rest, &mut text)
            } else {
                self.character(rest, &mut text)
            };
            match taken {
                Some(count) => rest = &rest[count..],
                None if at_end => {
                    text.push_str(if first == 0x1b { "\\x1b" } else { "\u{fffd}" });
                    rest = &rest[1..];
                }
                None => break,
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// A control sequence at the beginning of `bytes`: its length, none where it is not whole yet.
    fn sequence(&mut self, bytes: &[u8], text: &mut String) -> Option<usize> {
        let end = match bytes.get(1)? {
            b'[' => sequence_end(bytes, |_, byte| (0x40..=0x7e).contains(&byte)),
            // Titles, links and other strings to the terminal, until BEL or ESC \.
            b']' | b'P' | b'X' | b'^' | b'_' => sequence_end(bytes, |before, byte| {
                byte == 0x07 || (before == 0x1b && byte == b'\\')
            }),
            _ => Some(Some(0)),
        }?;
        let Some(count) = end.filter(|&count| count > 0) else {
            text.push_str("\\x1b");
            return Some(1);
        };
        let sequence = &bytes[..count];
        let colors = sequence
            .strip_prefix(b"\x1b[")
            .and_then(|rest| rest.strip_suffix(b"m"));
        if let Some(kept) = colors.filter(|_| self.color).and_then(colors_of) {
            self.colored = true;
            text.push_str(&format!("\x1b[{kept}m"));
        }
        Some(count)
    }

    /// A character at the beginning of `bytes`: its length, none where it is not whole yet.
    fn character(&mut self, bytes: &[u8], text: &mut String) -> Option<usize> {
        let valid = match std::str::from_utf8(&bytes[..bytes.len().min(4)]) {
            Ok(valid) => valid,
            Err(error) if error.valid_up_to() > 0 => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(error) => {
                let count = error.error_len()?;
                text.push('\u{fffd}');
                return Some(count);
            }
        };
        let c = valid.chars().next()?;
        let after_return = std::mem::replace(&mut self.after_return, c == '\r');
        match c {
            // A line that is written over again and again becomes as many lines.
            '\r' => text.push('\n'),
            '\n' if after_return => {}
            '\n' | '\t' => text.push(c),
            c if text::is_unsafe(c) => text::write_out(text, c),
            c => text.push(c),
        }
        Some(c.len_utf8())
    }
}

/// Where a sequence ends: none where that is not known yet, `Some(None)` where it is too long.
fn sequence_end(bytes: &[u8], is_last: impl Fn(u8, u8) -> bool) -> Option<Option<usize>> {
    let looked_at = &bytes[..bytes.len().min(SEQUENCE_MAX_BYTES)];
    let last = (2..looked_at.len()).find(|&at| is_last(looked_at[at - 1], looked_at[at]));
    match last {
        Some(last) => Some(Some(last + 1)),
        None if looked_at.len() == SEQUENCE_MAX_BYTES => Some(None),
        None => None,
    }
}

/// The parameters that choose colours and weights; blinking and hiding go.
fn colors_of(parameters: &[u8]) -> Option<String> {
    let parameters = std::str::from_utf8(parameters).ok()?;
    if !parameters
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b";:".contains(&byte))
    {
        return None;
    }
    let mut kept = Vec::new();
    let mut all = parameters.split(';');
    while let Some(parameter) = all.next() {
        match parameter.split(':').next().unwrap_or_default() {
            "38" | "48" if !parameter.contains(':') => {
                // A colour by number takes one more parameter, one by its parts three.
                let kind = all.next()?;
                let count = match kind {
                    "5" => 1,
                    "2" => 3,
                    _ => return None,
                };
                kept.extend([parameter, kind]);
                for _ in 0..count {
                    kept.push(all.next()?);
                }
            }
            "5" | "6" | "8" | "25" | "28" => {}
            _ => kept.push(parameter),
        }
    }
    (!kept.is_empty()).then(|| kept.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> String {
        let mut log = LogText::new(true);
        let text = log.push(bytes);
        text + &log.finish()
    }

    const CASES: &[(&[u8], &str)] = &[
        (b"plain\n", "plain\n"),
        (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m\x1b[0m"),
        (b"\x1b[38;5;8;1mx", "\x1b[38;5;8;1mx\x1b[0m"),
        (b"\x1b[8mhidden", "hidden"),
        (b"\x1b[31;8mx", "\x1b[31mx\x1b[0m"),
        (b"\x1b[2J\x1b[1;1Hgone", "gone"),
        (b"\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
        (b"\x1b[?1049h", ""),
        (b"\x1bc!", "\\x1bc!"),
        (b"a\x07\x08b", "a\\x07\\x08b"),
        (b"10%\r20%\r\nend", "10%\n20%\nend"),
        (
            "rm \u{202e}x \u{9b}2J".as_bytes(),
            "rm \\u{202e}x \\u{9b}2J",
        ),
        ("你好 é".as_bytes(), "你好 é"),
        (
            b"bad \xff\xfe utf8 \xe4",
            "bad \u{fffd}\u{fffd} utf8 \u{fffd}",
        ),
        (b"cut \x1b[3", "cut \\x1b[3"),
    ];

    #[test]
    fn only_colours_act_on_the_terminal() {
        for (bytes, expected) in CASES {
            assert_eq!(whole(bytes), *expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn where_chunks_are_cut_makes_no_difference() {
        for (bytes, _) in CASES {
            for size in 1..bytes.len() {
                let mut log = LogText::new(true);
                let mut text: String = bytes.chunks(size).map(|chunk| log.push(chunk)).collect();
                text += &log.finish();
                assert_eq!(text, whole(bytes), "{} in {size}s", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn colours_go_where_none_are_wanted() {
        assert_eq!(LogText::new(false).push(b"\x1b[31mred\x1b[0m"), "red");
    }

    #[test]
    fn a_sequence_without_end_becomes_text() {
        let mut bytes = b"\x1b]0;".to_vec();
        bytes.resize(3 * SEQUENCE_MAX_BYTES, b'x');
        let mut log = LogText::new(true);
        assert!(log.push(&bytes).starts_with("\\x1b]0;xxx"));
        assert!(log.pending.is_empty());
    }
}
