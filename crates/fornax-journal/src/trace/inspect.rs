//! A look at raw JSON without taking it apart.

use fornax_redact::Rules;

/// How deep a field may be nested. Readers that take JSON apart by recursion stop at 128.
const DEPTH_MAX: usize = 64;

/// What was seen in a value.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// An object has a key that names a secret.
    pub(super) has_secret_name: bool,
    /// Something that only taking it apart can judge: an escape in a key, a number with an
    /// exponent.
    pub(super) is_odd: bool,
}

/// Looks through well-formed JSON.
pub(super) fn inspect(raw: &str) -> Result<Found, String> {
    let bytes = raw.as_bytes();
    let mut found = Found::default();
    match bytes.first() {
        Some(b'{' | b'[') => {}
        Some(b'-' | b'0'..=b'9') => {
            found.is_odd = memchr::memchr2(b'e', b'E', bytes).is_some();
            return Ok(found);
        }
        _ => return Ok(found),
    }
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            // Not the `e` of a word: that follows a letter.
            b'e' | b'E' => found.is_odd |= bytes[at - 2].is_ascii_digit(),
            b'"' => {
                let (end, escaped) = end_of_string(bytes, at);
                let text = &raw[at..end];
                at = end + 1;
                if bytes[at..].trim_ascii_start().first() == Some(&b':') {
                    found.is_odd |= escaped;
                    found.has_secret_name |= Rules::is_secret_name(text);
                }
            }
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(format!("nested deeper than {DEPTH_MAX}"));
        }
    }
    Ok(found)
}

/// Where the string that begins at `at` ends, and whether something in it is escaped.
fn end_of_string(bytes: &[u8], mut at: usize) -> (usize, bool) {
    let mut escaped = false;
    while let Some(next) = memchr::memchr2(b'"', b'\\', &bytes[at..]) {
        at += next;
        if bytes[at] == b'"' {
            break;
        }
        escaped = true;
        at += 2;
    }
    (at, escaped)
}

/// Writes well-formed JSON with its escapes undone to `out`. What comes out is no JSON any more,
/// but what is in its strings stands there as it is.
pub(super) fn unescape(json: &str, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    let mut rest = json;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        out.push(match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let (letter, after) = unicode(rest).ok_or("half a surrogate pair in a text")?;
                out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
            itself => itself,
        });
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The character that the digits of `\u` mean, and what follows it.
fn unicode(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(text)?;
    if let Some(letter) = char::from_u32(first) {
        return Some((letter, &text[4..]));
    }
    let second = unit(text[4..].strip_prefix("\\u")?)?;
    if !(0xd800..0xdc00).contains(&first) || !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let letter = char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
    Some((letter, &text[10..]))
}
