//! How far a value goes: from its quote to the closing one, or to white space.

use super::text::{Text, Then, WORD};
use super::tokens::{self, Marked};

/// Bytes of a value that are held at most; what is longer is dropped as it comes.
pub(super) const VALUE_HELD: usize = 2048;
/// Spaces around a separator.
const SPACES_MAX: usize = 32;

/// Stops a rule: the text does not fit, or it ends too early to say.
pub(super) enum Stop {
    No,
    More,
}

/// The extent of a value.
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// How it goes on, where it is longer than what is held.
    pub(super) then: Then,
    pub(super) quoted: bool,
}

/// The byte at `at`, `Stop::More` where it is still to come.
pub(super) fn peek(text: &Text<'_>, at: usize) -> Result<Option<u8>, Stop> {
    if text.open(at) {
        Err(Stop::More)
    } else {
        Ok(text.get(at))
    }
}

pub(super) fn spaces(text: &Text<'_>, from: usize) -> Result<usize, Stop> {
    let mut at = from;
    while matches!(peek(text, at)?, Some(b' ' | b'\t')) {
        at += 1;
        if at > from + SPACES_MAX {
            return Err(Stop::No);
        }
    }
    Ok(at)
}

/// The quote that opens a value, with the backslashes before it, and where the value begins.
pub(super) fn opening(text: &Text<'_>, from: usize) -> Result<(Option<(u8, u8)>, usize), Stop> {
    let mut at = from;
    if matches!(
        peek(text, at)?,
        Some(b'b' | b'r' | b'u' | b'f' | b'B' | b'R')
    ) && matches!(peek(text, at + 1)?, Some(b'"' | b'\''))
    {
        at += 1;
    }
    let mut depth = 0;
    while peek(text, at)? == Some(b'\\') && depth < 7 {
        at += 1;
        depth += 1;
    }
    match peek(text, at)? {
        Some(quote @ (b'"' | b'\'' | b'`')) => Ok((Some((quote, depth)), at + 1)),
        Some(b'\n' | b'\r' | b' ' | b'\t') | None => Err(Stop::No),
        Some(_) if depth > 0 => Err(Stop::No),
        Some(_) => Ok((None, from)),
    }
}

/// Steps over `Bearer `, `Basic ` and the like before the credential itself, and says which kind
/// of secret follows.
pub(super) fn scheme(text: &Text<'_>, from: usize) -> Result<(usize, Option<&'static str>), Stop> {
    const SCHEMES: &[(&str, &str)] = &[
        ("bearer", "bearer"),
        ("basic", "basic"),
        ("token", "authorization"),
        ("bot", "authorization"),
        ("apikey", "authorization"),
        ("negotiate", "authorization"),
    ];
    let end = text.run(from, WORD, from + 10);
    let letters = &text.bytes[from..end];
    let begins = |(name, _): &&(&str, &str)| {
        letters.len() <= name.len()
            && letters.eq_ignore_ascii_case(&name.as_bytes()[..letters.len()])
    };
    let Some((name, kind)) = SCHEMES.iter().find(begins) else {
        return Ok((from, None));
    };
    if text.open(end) {
        return Err(Stop::More);
    }
    if end - from != name.len() || peek(text, end)? != Some(b' ') {
        return Ok((from, None));
    }
    let after = spaces(text, end)?;
    peek(text, after)?;
    Ok((after, Some(kind)))
}

/// Whether a quote after so many backslashes closes a value whose own quotes have `depth` of them.
pub(super) fn closes(slashes: u8, depth: u8) -> bool {
    let level = (u16::from(depth) + 1) * 2;
    u16::from(slashes) % level == u16::from(depth)
}

pub(super) fn quoted(text: &Text<'_>, start: usize, quote: u8, depth: u8) -> Result<Span, Stop> {
    let mut slashes = 0_u8;
    let mut at = start;
    let span = |end, then| Span {
        start,
        end,
        then,
        // Between back quotes stands code, in Markdown and in shells.
        quoted: quote != b'`',
    };
    loop {
        if at - start >= VALUE_HELD {
            return Ok(span(
                at,
                Then::Quoted {
                    quote,
                    depth,
                    slashes,
                },
            ));
        }
        match peek(text, at)? {
            None | Some(b'\n') => return Ok(span(at, Then::Plain)),
            Some(b'\\') => slashes = slashes.saturating_add(1),
            Some(byte) if byte == quote && closes(slashes, depth) => {
                let end = at - usize::from(slashes.min(depth));
                return Ok(span(end.max(start), Then::Plain));
            }
            Some(b'[') if ends_at_marker(text, at)? => return Ok(span(at, Then::Plain)),
            Some(_) => slashes = 0,
        }
        at += 1;
    }
}

/// Whether a value ends at the `[` at `at`. It does at a known secret's marker, as it did at that
/// secret. A value with another marker in it was judged before, so it is none now.
pub(super) fn ends_at_marker(text: &Text<'_>, at: usize) -> Result<bool, Stop> {
    match tokens::marked(text, at) {
        Some(Marked::Env) => Ok(true),
        Some(Marked::Not) => Ok(false),
        Some(Marked::Other) => Err(Stop::No),
        None => Err(Stop::More),
    }
}

/// Whether the byte ends an unquoted value wherever it stands.
pub(super) fn bare_ends(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'"' | b'\'' | b'`' | b',' | b';' | b'&' | b'|' | b'>' | b'\\' | 0x1b | 0
        )
}

pub(super) fn bare(text: &Text<'_>, start: usize) -> Result<Span, Stop> {
    let mut at = start;
    let span = |end, then| Span {
        start,
        end,
        then,
        quoted: false,
    };
    loop {
        if at - start >= VALUE_HELD {
            return Ok(span(at, Then::Bare));
        }
        let Some(byte) = peek(text, at)? else {
            return Ok(span(at, Then::Plain));
        };
        let ends = match byte {
            b')' | b'}' | b']' => peek(text, at + 1)?
                .is_none_or(|next| bare_ends(next) || matches!(next, b')' | b'}' | b']' | b'.')),
            b'[' => ends_at_marker(text, at)?,
            byte => bare_ends(byte),
        };
        if ends {
            return Ok(span(at, Then::Plain));
        }
        at += 1;
    }
}

/// Whether the byte ends the value of a header.
pub(super) fn header_ends(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'\\')
}
