//! Secrets known by their structure rather than by a prefix: web tokens, credentials in URLs and
//! after `Bearer` and `Basic`, Telegram's and Twilio's keys.

use super::scan::{self, Rule};
use super::shapes::SHAPES;
use super::text::{BASE64, DIGITS, Found, HEX, IDENT, TOKEN68, Text, Then, Verdict, WORD};
use super::values::{placeholder, random};

/// Bytes of a web token that are held at most; what is longer is dropped as it comes.
const JWT_HELD: usize = 2048;
/// The longest header of a web token.
const JWT_HEADER_MAX: usize = 1024;
/// The longest credential after `Bearer` or `Basic` that is held.
const CREDENTIAL_HELD: usize = 1024;
/// The longest `user:password@host` of a URL.
const AUTHORITY_MAX: usize = 512;
/// The longest kind in a marker.
pub(super) const MARKER_MAX: usize = 48;

/// The kind of a value that is one token from end to end.
pub(super) fn kind(value: &[u8]) -> Option<&'static str> {
    let text = Text::whole(value);
    scan::anchors(value, 0).find_map(|anchor| {
        let verdict = match anchor.rule {
            Rule::Shape(index) => SHAPES[usize::from(index)].at(&text, 0),
            Rule::Jwt => jwt(&text, 0),
            _ => Verdict::No,
        };
        match verdict {
            Verdict::Found(found)
                if found.start == 0 && (found.end == value.len() || found.then != Then::Plain) =>
            {
                Some(found.kind)
            }
            _ => None,
        }
    })
}

/// Judges `eyJ`: three parts, the first of which decodes to a JSON object with `alg` (or `enc`).
pub(super) fn jwt(text: &Text<'_>, at: usize) -> Verdict<'static> {
    if !text.word_starts(at) {
        return Verdict::No;
    }
    let dot = text.run(at, WORD, at + JWT_HEADER_MAX);
    if text.open(dot) {
        return if dot < at + JWT_HEADER_MAX {
            Verdict::More(at)
        } else {
            Verdict::No
        };
    }
    if text.get(dot) != Some(b'.') || !is_jwt_header(&text.bytes[at..dot]) {
        return Verdict::No;
    }
    let mut end = dot;
    let mut parts = 1;
    while text.get(end) == Some(b'.') && parts < 5 {
        let part = text.run(end + 1, WORD, at + JWT_HELD);
        if part >= at + JWT_HELD {
            return Verdict::Found(Found {
                start: at,
                end: part,
                kind: "jwt",
                then: Then::Run(super::text::DOTTED),
            });
        }
        if text.open(part) {
            return Verdict::More(at);
        }
        if part == end + 1 && parts >= 2 {
            break;
        }
        parts += 1;
        end = part;
    }
    if text.open(end) {
        return Verdict::More(at);
    }
    if parts >= 3 {
        Verdict::found(at, end, "jwt")
    } else {
        Verdict::No
    }
}

fn is_jwt_header(part: &[u8]) -> bool {
    let Some(json) = decode64(part) else {
        return false;
    };
    json.first() == Some(&b'{')
        && json.last() == Some(&b'}')
        && [b"\"alg\"".as_slice(), b"\"enc\""]
            .iter()
            .any(|name| memchr::memmem::find(&json, name).is_some())
}

/// Base64 of either alphabet, with or without padding.
fn decode64(part: &[u8]) -> Option<Vec<u8>> {
    let part = part
        .strip_suffix(b"==")
        .or(part.strip_suffix(b"="))
        .unwrap_or(part);
    if part.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(part.len() * 3 / 4);
    for four in part.chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            let value = match four.get(at).copied().unwrap_or(b'A') {
                byte @ b'A'..=b'Z' => byte - b'A',
                byte @ b'a'..=b'z' => byte - b'a' + 26,
                byte @ b'0'..=b'9' => byte - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

/// Where the credential after a scheme's name of `len` letters begins.
fn credential(text: &Text<'_>, at: usize, scheme: &[u8]) -> Result<usize, Verdict<'static>> {
    let letters = text.bytes.get(at..).unwrap_or_default();
    let common = letters.len().min(scheme.len());
    if !letters[..common].eq_ignore_ascii_case(&scheme[..common]) || !text.word_starts(at) {
        return Err(Verdict::No);
    }
    let mut start = at + scheme.len();
    while matches!(text.get(start), Some(b' ' | b'\t')) && start < at + scheme.len() + 4 {
        start += 1;
    }
    if text.open(start) {
        return Err(Verdict::More(text.len()));
    }
    if start == at + scheme.len() {
        Err(Verdict::No)
    } else {
        Ok(start)
    }
}

/// Judges `Bearer`, wherever it stands.
pub(super) fn bearer(text: &Text<'_>, at: usize) -> Verdict<'static> {
    let start = match credential(text, at, b"bearer") {
        Ok(start) => start,
        Err(verdict) => return verdict,
    };
    let end = text.run(start, TOKEN68, start + CREDENTIAL_HELD);
    if text.open(end) && end < start + CREDENTIAL_HELD {
        return Verdict::More(start);
    }
    let value = &text.bytes[start..end];
    if value.is_empty() || placeholder(value) || !random(value) {
        return Verdict::No;
    }
    let whole = end < start + CREDENTIAL_HELD;
    Verdict::Found(Found {
        start,
        end,
        kind: kind(value).unwrap_or("bearer"),
        then: if whole {
            Then::Plain
        } else {
            Then::Run(TOKEN68)
        },
    })
}

/// Judges `Basic`: base64 of `user:password`.
pub(super) fn basic(text: &Text<'_>, at: usize) -> Verdict<'static> {
    let start = match credential(text, at, b"basic") {
        Ok(start) => start,
        Err(verdict) => return verdict,
    };
    let end = text.run(start, BASE64, start + CREDENTIAL_HELD);
    if text.open(end) && end < start + CREDENTIAL_HELD {
        return Verdict::More(start);
    }
    if end - start < 6 || !is_user_and_password(&text.bytes[start..end]) {
        return Verdict::No;
    }
    Verdict::found(start, end, "basic")
}

fn is_user_and_password(value: &[u8]) -> bool {
    decode64(value).is_some_and(|plain| {
        plain.contains(&b':') && plain.iter().all(|b| (0x20..0x7f).contains(b))
    })
}

/// Judges `://`: the password between `user:` and `@`.
pub(super) fn url(text: &Text<'_>, at: usize) -> Verdict<'static> {
    if !text.before(at).is_some_and(|b| b.is_ascii_alphanumeric())
        || text.starts_with(at, b"://") == Some(false)
    {
        return Verdict::No;
    }
    let from = at + 3;
    let mut password = None;
    let mut host = None;
    let mut end = from;
    loop {
        if end > from + AUTHORITY_MAX {
            break;
        }
        if text.open(end) {
            return Verdict::More(password.unwrap_or(end));
        }
        match text.get(end) {
            Some(b':') if password.is_none() => password = Some(end + 1),
            Some(b'@') => host = Some(end),
            Some(b'[') => match marked(text, end) {
                Some(Marked::Not) => {}
                Some(Marked::Env) => break,
                Some(Marked::Other) => return Verdict::No,
                None => return Verdict::More(password.unwrap_or(end)),
            },
            Some(
                b'/'
                | b'?'
                | b'#'
                | b'"'
                | b'\''
                | b'`'
                | b'<'
                | b'>'
                | b'\\'
                | b'|'
                | b','
                | b'('
                | b')'
                | 0..=b' ',
            )
            | None => break,
            Some(_) => {}
        }
        end += 1;
    }
    let (Some(start), Some(end)) = (password, host) else {
        return Verdict::No;
    };
    let example = matches!(&text.bytes[from..start - 1], b"user" | b"username")
        && matches!(&text.bytes[start..end], b"pass" | b"password");
    if start >= end || example || placeholder(&text.bytes[start..end]) {
        return Verdict::No;
    }
    Verdict::found(
        start,
        end,
        kind(&text.bytes[start..end]).unwrap_or("password"),
    )
}

/// Judges `:AA` after a bot's number.
pub(super) fn telegram(text: &Text<'_>, at: usize) -> Verdict<'static> {
    let bound = text.floor.max(at.saturating_sub(12));
    let digits = text.bytes[bound..at]
        .iter()
        .rev()
        .take_while(|b| DIGITS.has(**b))
        .count();
    if !(8..=11).contains(&digits) || text.starts_with(at, b":AA") != Some(true) {
        return Verdict::No;
    }
    let end = text.run(at + 1, WORD, at + 40);
    if text.open(end) {
        return Verdict::More(at + 1);
    }
    if end - at - 1 == 35 {
        Verdict::found(at + 1, end, "telegram")
    } else {
        Verdict::No
    }
}

/// Judges `twilio`: `SK` and 32 digits as the value of a name that says so.
pub(super) fn twilio(text: &Text<'_>, at: usize) -> Verdict<'static> {
    let name = text.run(at, IDENT, at + 48);
    let mut start = name;
    while matches!(
        text.get(start),
        Some(b' ' | b'=' | b':' | b'"' | b'\'' | b'\\' | b'/')
    ) && start < name + 8
    {
        start += 1;
    }
    if text.open(start) {
        return Verdict::More(text.len());
    }
    if start == name || text.starts_with(start, b"SK") == Some(false) {
        return Verdict::No;
    }
    let end = text.run(start + 2, HEX, start + 35);
    if text.open(end.max(start + 2)) {
        return Verdict::More(start);
    }
    let bordered = !text.get(end).is_some_and(|b| IDENT.has(b));
    if end == start + 34 && bordered {
        Verdict::found(start, end, "twilio")
    } else {
        Verdict::No
    }
}

/// Whose marker begins at a place.
pub(super) enum Marked {
    /// A known secret's.
    Env,
    /// Another secret's.
    Other,
    /// None does.
    Not,
}

/// Says whether a marker begins at `at`; `None` where the text ends too early.
pub(super) fn marked(text: &Text<'_>, at: usize) -> Option<Marked> {
    if text.starts_with(at, b"[redacted:env]")? {
        return Some(Marked::Env);
    }
    let other = text.starts_with(at, b"[redacted:")?;
    Some(if other { Marked::Other } else { Marked::Not })
}

/// Judges `[redacted:kind]`, which stays as it is.
pub(super) fn marker(text: &Text<'_>, at: usize) -> Verdict<'static> {
    match text.starts_with(at, b"[redacted:") {
        Some(true) => {}
        Some(false) => return Verdict::No,
        None => return Verdict::More(text.len()),
    }
    let kind = at + 10;
    let end = text.run(kind, WORD, kind + MARKER_MAX);
    if text.open(end) {
        return Verdict::More(text.len());
    }
    if end > kind && text.get(end) == Some(b']') {
        Verdict::Skip(end + 1)
    } else {
        Verdict::No
    }
}
