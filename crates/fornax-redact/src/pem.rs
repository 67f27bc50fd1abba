//! Private keys between BEGIN and END lines, and dropping what is longer than may be held.

use super::spans::{bare_ends, closes, header_ends};
use super::text::{BASE64, Found, Text, Then, Verdict};

/// A line of a key's body has at least this many base64 characters, its last line aside.
const LINE_MIN: usize = 40;
/// What may stand between BEGIN and the body: headers of the key, the prefix of a log line.
const HEAD_MAX: usize = 256;
/// What may stand between two lines of the body: escapes, indents, prefixes of log lines, and the
/// last, shorter line before END.
const GAP_MAX: usize = 120;
/// The longest BEGIN line.
const LABEL_MAX: usize = 48;
const KIND: &str = "private-key";

/// Judges `BEGIN`: a private key begins where its dashes end, if a body follows. The BEGIN and END
/// lines stay.
pub(super) fn begin(text: &Text<'_>, at: usize) -> Verdict<'static> {
    let dashed = at >= text.floor + 5 && matches!(&text.bytes[at - 5..at], b"-----" | b"---- ");
    match text.starts_with(at, b"BEGIN ") {
        Some(true) if dashed => {}
        None if dashed => return Verdict::More(text.len()),
        _ => return Verdict::No,
    }
    let mut end = at;
    while let Some(byte) = text.get(end) {
        if byte == b'-' || end > at + LABEL_MAX {
            break;
        }
        end += 1;
    }
    if text.open(end) {
        return Verdict::More(text.len());
    }
    let label = &text.bytes[at..end];
    if memchr::memmem::find(label, b"PRIVATE KEY").is_none() {
        return Verdict::No;
    }
    let start = text.bytes[end..]
        .iter()
        .position(|b| *b != b'-')
        .map_or(text.len(), |n| end + n);
    match look(text, start, HEAD_MAX) {
        Look::Line(line) => Verdict::Found(Found {
            start,
            end: line + LINE_MIN,
            kind: KIND,
            then: Then::Key,
        }),
        Look::Open => Verdict::More(start),
        Look::End(_) | Look::Other => Verdict::No,
    }
}

enum Look {
    /// A line of the body begins here.
    Line(usize),
    /// The END line begins here.
    End(usize),
    Other,
    Open,
}

/// What comes next within `reach` bytes.
fn look(text: &Text<'_>, from: usize, reach: usize) -> Look {
    let mut at = from;
    while at <= from + reach {
        if text.open(at) {
            return Look::Open;
        }
        let Some(byte) = text.get(at) else {
            return Look::Other;
        };
        if byte == b'-' || byte == b'[' {
            for (mark, said) in [
                (b"-----END".as_slice(), Look::End(at)),
                (b"---- END", Look::End(at)),
                (b"-----BEGIN", Look::Other),
                (b"[redacted:", Look::Other),
            ] {
                match text.starts_with(at, mark) {
                    Some(true) => return said,
                    Some(false) => {}
                    None => return Look::Open,
                }
            }
        }
        let end = text.run(at, BASE64, at + LINE_MIN);
        if end - at == LINE_MIN {
            return Look::Line(at);
        }
        if text.open(end) {
            return Look::Open;
        }
        at = end.max(at + 1);
    }
    Look::Other
}

/// Drops what belongs to a secret that was found before: how far it goes, and what to do there.
pub(super) fn swallow(text: &Text<'_>, from: usize, then: Then) -> (usize, Then) {
    let len = text.len();
    let rest = &text.bytes[from..];
    let ended = match then {
        Then::Plain => Some(from),
        Then::Run(class) => rest.iter().position(|b| !class.has(*b)).map(|n| from + n),
        Then::Key => return swallow_key(text, from),
        Then::Header => rest.iter().position(|b| header_ends(*b)).map(|n| from + n),
        Then::Bare => rest.iter().position(|b| bare_ends(*b)).map(|n| from + n),
        Then::Quoted {
            quote,
            depth,
            mut slashes,
        } => {
            for (n, byte) in rest.iter().enumerate() {
                match *byte {
                    b'\n' => return (from + n, Then::Plain),
                    b'\\' => slashes = slashes.saturating_add(1),
                    b if b == quote && closes(slashes, depth) => return (from + n, Then::Plain),
                    _ => slashes = 0,
                }
            }
            let then = if text.last {
                Then::Plain
            } else {
                Then::Quoted {
                    quote,
                    depth,
                    slashes,
                }
            };
            return (len, then);
        }
    };
    match ended {
        Some(at) => (at, Then::Plain),
        None if text.last => (len, Then::Plain),
        None => (len, then),
    }
}

fn swallow_key(text: &Text<'_>, from: usize) -> (usize, Then) {
    let mut at = from;
    loop {
        at = text.run(at, BASE64, text.len());
        match look(text, at, GAP_MAX) {
            Look::Line(line) => at = line + LINE_MIN,
            Look::End(end) => return (end, Then::Plain),
            Look::Other => return (at, Then::Plain),
            Look::Open => return (at, Then::Key),
        }
    }
}
