//! A secret's name with its value: `DB_PASSWORD=x`, `"apiKey": "x"`, `--token x`,
//! `Authorization: Bearer x`, `Cookie: a=b`.

use super::names::{NAME_MAX, Name, classify};
use super::text::{Found, Text, Then, Verdict, WORD};
use super::tokens::{self, Marked};
use super::values::{Joint, VALUE_MIN, Value, placeholder, word};

/// Bytes of a value that are held at most; what is longer is dropped as it comes.
const VALUE_HELD: usize = 2048;
/// Spaces around a separator.
const SPACES_MAX: usize = 32;

/// Stops a rule: the text does not fit, or it ends too early to say.
enum Stop {
    No,
    More,
}

/// Judges the name around `word`, the beginning of which was seen at `at`.
pub(super) fn at(text: &Text<'_>, at: usize, word: &str) -> Verdict<'static> {
    match find(text, at, word) {
        Ok(verdict) => verdict,
        Err(Stop::No) => Verdict::No,
        Err(Stop::More) => Verdict::More(text.len()),
    }
}

fn find(text: &Text<'_>, at: usize, word: &str) -> Result<Verdict<'static>, Stop> {
    for (place, letter) in word.bytes().enumerate() {
        match peek(text, at + place)? {
            Some(byte) if byte.to_ascii_lowercase() == letter => {}
            _ => return Err(Stop::No),
        }
    }
    goes_on(text, at + word.len())?;
    let end = text.run(at, WORD, at + NAME_MAX);
    peek(text, end)?;
    let (joint, from) = joint(text, end)?;
    let start = text.ident_start(at, NAME_MAX);
    let written = &text.bytes[start..end];
    let name = if written.eq_ignore_ascii_case(b"pwd") && joint == Joint::Tight {
        Name::Password
    } else {
        classify(written).ok_or(Stop::No)?
    };
    if joint == Joint::Flag && !written.starts_with(b"-") {
        return Err(Stop::No);
    }
    let shouted = !written.iter().any(u8::is_ascii_lowercase);
    let mut place = Place {
        name,
        joint,
        shouted,
    };
    let verdict = place.value(text, from)?;
    if let Verdict::No = verdict
        && let Some(from) = annotated(text, from)?
    {
        place.joint = Joint::Loose;
        return place.value(text, from);
    }
    Ok(verdict)
}

/// Stops where the word that ends at `end` goes on (`tokens`, `secretary`), but for `cookies` and
/// `credentials`, which are secrets as well.
fn goes_on(text: &Text<'_>, end: usize) -> Result<(), Stop> {
    let letter = |at: usize| Ok(peek(text, at)?.filter(u8::is_ascii_alphabetic));
    let last = text.bytes[end - 1];
    let Some(next) = letter(end)? else {
        return Ok(());
    };
    let same_case = next.is_ascii_lowercase() || last.is_ascii_uppercase();
    let plural = next.eq_ignore_ascii_case(&b's')
        && matches!(last, b'e' | b'E' | b'l' | b'L')
        && letter(end + 1)?.is_none();
    if same_case && !plural {
        Err(Stop::No)
    } else {
        Ok(())
    }
}

/// The byte at `at`, `Stop::More` where it is still to come.
fn peek(text: &Text<'_>, at: usize) -> Result<Option<u8>, Stop> {
    if text.open(at) {
        Err(Stop::More)
    } else {
        Ok(text.get(at))
    }
}

fn spaces(text: &Text<'_>, from: usize) -> Result<usize, Stop> {
    let mut at = from;
    while matches!(peek(text, at)?, Some(b' ' | b'\t')) {
        at += 1;
        if at > from + SPACES_MAX {
            return Err(Stop::No);
        }
    }
    Ok(at)
}

/// Reads what stands between a name that ends at `end` and its value.
fn joint(text: &Text<'_>, end: usize) -> Result<(Joint, usize), Stop> {
    let mut at = end;
    while peek(text, at)? == Some(b'\\') && at < end + 7 {
        at += 1;
    }
    let quoted = matches!(peek(text, at)?, Some(b'"' | b'\'' | b'`'));
    if quoted {
        at += 1;
    } else if at > end {
        return Err(Stop::No);
    }
    if peek(text, at)? == Some(b']') {
        at += 1;
    }
    let after = spaces(text, at)?;
    let first = peek(text, after)?;
    match first {
        Some(b'=' | b':') => {}
        Some(b',') if quoted => return Ok((Joint::Flag, spaces(text, after + 1)?)),
        Some(b'"' | b'\'' | b',' | b';' | b'\n' | b'\r') | None => return Err(Stop::No),
        Some(_) if after > at => return Ok((Joint::Flag, after)),
        Some(_) => return Err(Stop::No),
    }
    let second = peek(text, after + 1)?;
    let (joint, at) = match (first, second) {
        (Some(b'='), Some(b'=')) => {
            let third = peek(text, after + 2)? == Some(b'=');
            (Joint::Compared, after + 2 + usize::from(third))
        }
        (Some(b'='), Some(b'>')) | (Some(b':'), Some(b'=')) => (Joint::Loose, after + 2),
        (_, Some(b':' | b'~')) => return Err(Stop::No),
        (Some(b'='), _) if after == at => (Joint::Tight, after + 1),
        _ => (Joint::Loose, after + 1),
    };
    let from = spaces(text, at)?;
    if joint == Joint::Tight && from > at {
        return Ok((Joint::Loose, from));
    }
    Ok((joint, from))
}

/// After `name: type = `, where the value begins.
fn annotated(text: &Text<'_>, from: usize) -> Result<Option<usize>, Stop> {
    let end = text.run(from, WORD, from + 32);
    if end == from {
        return Ok(None);
    }
    let at = spaces(text, end)?;
    if peek(text, at)? != Some(b'=') || peek(text, at + 1)? == Some(b'=') {
        return Ok(None);
    }
    let at = spaces(text, at + 1)?;
    Ok(matches!(peek(text, at)?, Some(b'"' | b'\'')).then_some(at))
}

/// A secret's name, and how its value is joined to it.
struct Place {
    name: Name,
    joint: Joint,
    shouted: bool,
}

/// The extent of a value.
struct Span {
    start: usize,
    end: usize,
    /// How it goes on, where it is longer than what is held.
    then: Then,
    quoted: bool,
}

impl Place {
    fn value(&self, text: &Text<'_>, from: usize) -> Result<Verdict<'static>, Stop> {
        let (quote, start) = opening(text, from)?;
        if self.name == Name::Cookie {
            return Ok(cookie(text, start, quote.is_some()));
        }
        let held = |stop: Stop, start| match stop {
            Stop::More => Ok(Verdict::More(start)),
            Stop::No => Err(Stop::No),
        };
        if text.starts_with(start, b"-----BEGIN") == Some(true) {
            return Err(Stop::No);
        }
        let (start, scheme) = match scheme(text, start) {
            Ok(said) => said,
            Err(stop) => return held(stop, start),
        };
        let span = match quote {
            Some((quote, depth)) => quoted(text, start, quote, depth),
            None => bare(text, start),
        };
        match span {
            Ok(span) => Ok(self.judge(text, &span, scheme)),
            Err(stop) => held(stop, start),
        }
    }

    fn judge(
        &self,
        text: &Text<'_>,
        span: &Span,
        scheme: Option<&'static str>,
    ) -> Verdict<'static> {
        let bytes = &text.bytes[span.start..span.end];
        let value = Value {
            bytes,
            name: self.name,
            joint: self.joint,
            quoted: span.quoted,
            shouted: self.shouted,
            schemed: scheme.is_some(),
            next: text.get(span.end),
        };
        if !value.plausible() {
            return Verdict::No;
        }
        Verdict::Found(Found {
            start: span.start,
            end: span.end,
            kind: tokens::kind(bytes).or(scheme).unwrap_or(kind(self.name)),
            then: span.then,
        })
    }
}

/// The kind that a name gives to a value without a shape of its own.
pub(super) fn kind(name: Name) -> &'static str {
    match name {
        Name::Password | Name::Phrase => "password",
        Name::Secret | Name::Weak => "secret",
        Name::Authorization => "authorization",
        Name::Cookie => "cookie",
    }
}

/// The quote that opens a value, with the backslashes before it, and where the value begins.
fn opening(text: &Text<'_>, from: usize) -> Result<(Option<(u8, u8)>, usize), Stop> {
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
fn scheme(text: &Text<'_>, from: usize) -> Result<(usize, Option<&'static str>), Stop> {
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

fn quoted(text: &Text<'_>, start: usize, quote: u8, depth: u8) -> Result<Span, Stop> {
    let mut slashes = 0_u8;
    let mut at = start;
    let span = |end, then| Span {
        start,
        end,
        then,
        quoted: true,
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
fn ends_at_marker(text: &Text<'_>, at: usize) -> Result<bool, Stop> {
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

fn bare(text: &Text<'_>, start: usize) -> Result<Span, Stop> {
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

/// A header's cookies: all up to the end of the line, or of the string around the header.
fn cookie(text: &Text<'_>, start: usize, quoted: bool) -> Verdict<'static> {
    let name = text.run(start, WORD, start + NAME_MAX);
    if text.open(name) {
        return Verdict::More(start);
    }
    if name == start || text.get(name) != Some(b'=') {
        return Verdict::No;
    }
    let mut end = name;
    while end - start < VALUE_HELD {
        if text.open(end) {
            return Verdict::More(start);
        }
        match text.get(end) {
            None | Some(b'\n' | b'\r' | b'"' | b'\'') => break,
            Some(b'[') => match ends_at_marker(text, end) {
                Ok(true) => break,
                Ok(false) => {}
                Err(Stop::More) => return Verdict::More(start),
                Err(Stop::No) => return Verdict::No,
            },
            Some(_) => {}
        }
        end += 1;
    }
    let value = &text.bytes[name + 1..end];
    if value.len() < VALUE_MIN || placeholder(value) || (word(value) && !quoted) {
        return Verdict::No;
    }
    let then = if end - start < VALUE_HELD {
        Then::Plain
    } else {
        Then::Header
    };
    Verdict::Found(Found {
        start,
        end,
        kind: kind(Name::Cookie),
        then,
    })
}
