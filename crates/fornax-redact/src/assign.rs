//! A secret's name with its value: `DB_PASSWORD=x`, `"apiKey": "x"`, `--token x`,
//! `Authorization: Bearer x`, `Cookie: a=b`.

use super::names::{NAME_MAX, Name, classify};
use super::spans::{
    Span, Stop, VALUE_HELD, bare, ends_at_marker, header_ends, opening, peek, quoted, scheme,
    spaces,
};
use super::text::{Found, IDENT, Text, Then, Verdict, WORD};
use super::tokens;
use super::values::{Joint, VALUE_MIN, Value, placeholder, word};

/// The longest name of a type between a name and its value.
const TYPE_MAX: usize = 64;

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
    let place = Place {
        name,
        joint,
        shouted,
    };
    match place.value(text, from) {
        Err(Stop::More) => Ok(Verdict::More(from)),
        said => said,
    }
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
        // A path of Rust, a match of Perl, a default of a shell's `${NAME:-x}`.
        (_, Some(b':' | b'~')) | (Some(b':'), Some(b'-' | b'+' | b'?')) => return Err(Stop::No),
        (Some(b'='), _) if after == at => (Joint::Tight, after + 1),
        _ => (Joint::Loose, after + 1),
    };
    let from = spaces(text, at)?;
    if joint == Joint::Tight && from > at {
        return Ok((Joint::Loose, from));
    }
    Ok((joint, from))
}

/// Where the value begins: at `from`, or at the quote in `name: type = "value"`.
fn after_type(text: &Text<'_>, from: usize) -> Result<usize, Stop> {
    let end = text.run(from, IDENT, from + TYPE_MAX);
    if end == from || end == from + TYPE_MAX {
        return Ok(from);
    }
    let at = spaces(text, end)?;
    if at == end || peek(text, at)? != Some(b'=') || peek(text, at + 1)? == Some(b'=') {
        return Ok(from);
    }
    let value = spaces(text, at + 1)?;
    match peek(text, value)? {
        Some(b'"' | b'\'') => Ok(value),
        _ => Err(Stop::No),
    }
}

/// A secret's name, and how its value is joined to it.
struct Place {
    name: Name,
    joint: Joint,
    shouted: bool,
}

impl Place {
    /// Judges the value that begins at `from`, perhaps after a type, a quote, a scheme.
    fn value(&self, text: &Text<'_>, from: usize) -> Result<Verdict<'static>, Stop> {
        let from = match self.joint {
            Joint::Loose => after_type(text, from)?,
            _ => from,
        };
        let (quote, start) = opening(text, from)?;
        if self.name == Name::Cookie {
            return cookie(text, start, quote.is_some());
        }
        if text.starts_with(start, b"-----BEGIN") == Some(true) {
            return Err(Stop::No);
        }
        let (start, scheme) = scheme(text, start)?;
        let span = match quote {
            Some((quote, depth)) => quoted(text, start, quote, depth)?,
            None => bare(text, start)?,
        };
        Ok(self.judge(text, &span, scheme))
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

/// A header's cookies: all up to the end of the line, or of the string around the header.
fn cookie(text: &Text<'_>, start: usize, quoted: bool) -> Result<Verdict<'static>, Stop> {
    let name = text.run(start, WORD, start + NAME_MAX);
    if peek(text, name)? != Some(b'=') || name == start {
        return Err(Stop::No);
    }
    let mut end = name;
    while end - start < VALUE_HELD {
        match peek(text, end)? {
            None => break,
            Some(byte) if header_ends(byte) => break,
            Some(b'[') if ends_at_marker(text, end)? => break,
            Some(_) => end += 1,
        }
    }
    let value = &text.bytes[name + 1..end];
    if value.len() < VALUE_MIN || placeholder(value) || (word(value) && !quoted) {
        return Err(Stop::No);
    }
    let whole = end - start < VALUE_HELD;
    Ok(Verdict::Found(Found {
        start,
        end,
        kind: kind(Name::Cookie),
        then: if whole { Then::Plain } else { Then::Header },
    }))
}
