//! The text of lines as a person sees it: without escape sequences and control characters, and of a line
//! that is written over, as progress bars do, the last state. The page shows lines in the same way
//! (web/src/logs/ansi.ts), so that what is found here is seen there.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr_iter, memrchr};
use regex::bytes::Regex;

/// CSI; OSC, DCS and the like, to their terminator or to the line's end; two characters with
/// intermediates. Then control characters other than the tab, as many as there are in a row.
static CONTROLS: LazyLock<Regex> = LazyLock::new(|| {
    let sequences = [
        r"\x1b\[[0-?]*[ -/]*[@-~]?",
        r"\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?",
        r"\x1b[ -/]*[0-~]?",
        r"\xc2\x9b[0-?]*[ -/]*[@-~]?",
        r"\xc2[\x80-\x9f]",
        r"[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f]+",
    ];
    #[allow(clippy::unwrap_used, reason = "it is fixed, and a test uses it")]
    Regex::new(&format!("(?s-u){}", sequences.join("|"))).unwrap()
});

/// Lines as they are shown. There are as many of them, ended in the same way.
pub(super) fn shown(lines: &[u8]) -> Cow<'_, [u8]> {
    if !lines.chunks(4 << 10).any(may_have_controls) {
        return Cow::Borrowed(lines);
    }
    let mut out = Vec::with_capacity(lines.len());
    let mut from = 0;
    for end in memchr_iter(b'\n', lines) {
        push_line(&lines[from..end], &mut out);
        out.push(b'\n');
        from = end + 1;
    }
    push_line(&lines[from..], &mut out);
    Cow::Owned(out)
}

/// Looks at all bytes, without a branch for each.
fn may_have_controls(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| {
        found
            | ((byte < 0x20) & (byte != b'\n') & (byte != b'\t'))
            | (byte == 0x7f)
            | (byte == 0xc2)
    })
}

fn push_line(mut line: &[u8], out: &mut Vec<u8>) {
    while let [rest @ .., b'\r'] = line {
        line = rest;
    }
    if let Some(at) = memrchr(b'\r', line) {
        line = &line[at + 1..];
    }
    if !may_have_controls(line) {
        out.extend_from_slice(line);
        return;
    }
    let mut from = 0;
    for found in CONTROLS.find_iter(line) {
        out.extend_from_slice(&line[from..found.start()]);
        from = found.end();
    }
    out.extend_from_slice(&line[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_dropped_and_text_is_kept() {
        // The same as in web/tests/unit/logs.test.ts.
        for escape in [
            "\x1b]0;t\x07",
            "\x1b]52;c;ZXZpbA==\x1b\\",
            "\x1b]8;;http://x\x07",
            "\x1b[2J",
            "\x1b[10;3H",
            "\x1bP1$q\x1b\\",
            "\x1b(B",
            "\x1b=",
            "\x07",
            "\x08",
            "\u{9b}31m",
            "\x1b[?25l",
            "\x1b[1;31m",
            "\u{85}",
            "\x7f",
        ] {
            let line = format!("x{escape}y");
            assert_eq!(*shown(line.as_bytes()), *b"xy", "{escape:?}");
        }
        for (line, text) in [
            ("10 %\r50 %\r100 %\r", "100 %"),
            ("a\r\nb\r\n", "a\nb\n"),
            ("tab\tstays", "tab\tstays"),
            ("\x1b]never ended\nnext", "\nnext"),
            ("\u{a0}é漢🔥", "\u{a0}é漢🔥"),
            ("a\0\0\x07\0b\0\x1b[m\0c", "abc"),
            ("", ""),
            ("\n\n\x1b", "\n\n"),
        ] {
            assert_eq!(*shown(line.as_bytes()), *text.as_bytes(), "{line:?}");
        }
        assert_eq!(*shown(b"\xff\xc2\x1b[m\xfe"), *b"\xff\xc2\xfe");
    }
}
