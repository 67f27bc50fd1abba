//! Whether what stands after a secret's name can be a secret: not a placeholder, not code, not prose.

use super::names::{Name, classify};
use super::text::{IDENT, WORD};

/// How name and value stand together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Joint {
    /// `name=value`, without a space
    Tight,
    /// `name: value`, `name = value`
    Loose,
    /// `name == value`
    Compared,
    /// `--name value`
    Flag,
}

/// A value and its surroundings.
pub(super) struct Value<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) name: Name,
    pub(super) joint: Joint,
    pub(super) quoted: bool,
    /// The name is written as environment variables are: `DB_PASSWORD`.
    pub(super) shouted: bool,
    /// A scheme such as `Bearer` stood before it.
    pub(super) schemed: bool,
    /// What follows; `None` at the end of the text.
    pub(super) next: Option<u8>,
}

/// A value shorter than this is let be.
pub(super) const VALUE_MIN: usize = 6;

/// Words that say something of a secret rather than being one.
#[rustfmt::skip]
const ORDINARY: &[&str] = &[
    "accepted", "boolean", "buffer", "changed", "checked", "created", "default", "deleted",
    "denied", "disabled", "double", "enabled", "encrypted", "expired", "failed", "failure",
    "false", "hidden", "incorrect", "integer", "invalid", "masked", "mismatch", "missing",
    "mixed", "nothing", "number", "object", "omitted", "option", "optional", "passed", "present",
    "provided", "readonly", "record", "redacted", "rejected", "removed", "required", "revoked",
    "rotated", "string", "success", "symbol", "unchanged", "undefined", "unknown", "unset",
    "updated", "verified",
];

const TYPES: &[&str] = &["base64", "uint8array", "sha256", "bytes32", "cowstr"];

impl Value<'_> {
    /// Whether the value is to be hidden.
    pub(super) fn plausible(&self) -> bool {
        let v = self.bytes;
        if v.len() < VALUE_MIN || placeholder(v) || self.label() {
            return false;
        }
        if self.quoted {
            return self.plausible_quoted();
        }
        if self.joint == Joint::Compared || code(v) || path(v) || constant(v) {
            return false;
        }
        if self.schemed {
            return !word(v) || self.line_ends();
        }
        match (self.name, self.joint) {
            (Name::Weak, _) => random(v),
            (_, Joint::Tight) => !(word(v) && matches!(self.next, Some(b',' | b')'))),
            (Name::Password | Name::Phrase, Joint::Loose) => {
                !word(v) || (self.line_ends() && (self.shouted || v[0].is_ascii_lowercase()))
            }
            (Name::Password | Name::Phrase, Joint::Flag) => !word(v),
            (_, Joint::Loose) if self.shouted => !word(v) || self.line_ends(),
            _ => random(v),
        }
    }

    fn plausible_quoted(&self) -> bool {
        let v = self.bytes;
        let spaced = v.iter().any(|b| b.is_ascii_whitespace());
        match self.name {
            Name::Phrase => true,
            _ if spaced => false,
            Name::Weak => random(v) && !path(v),
            Name::Password => !path(v),
            _ => v.is_ascii() && !path(v),
        }
    }

    fn line_ends(&self) -> bool {
        // A marker, too, ends a value as the end of the text does.
        matches!(
            self.next,
            None | Some(b'\n' | b'\r' | b'"' | b'\'' | b'\\' | b'[')
        )
    }

    /// The value names a secret rather than being one: `type: "access_token"`, `password=password`.
    fn label(&self) -> bool {
        let v = self.bytes;
        if !v[0].is_ascii_alphabetic() || !v.iter().all(|b| WORD.has(*b)) {
            return false;
        }
        let is = |words: &[&str]| {
            words
                .iter()
                .any(|word| v.eq_ignore_ascii_case(word.as_bytes()))
        };
        if is(ORDINARY) || is(TYPES) {
            return true;
        }
        let Some(name) = classify(v) else {
            return false;
        };
        let compound = v.iter().any(|b| matches!(b, b'_' | b'-'))
            || v.windows(2)
                .any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
        compound || name != Name::Password || is(&["password", "passwd", "passcode"])
    }
}

/// Stands for a value: `${VAR}`, `<token>`, `***`, `xxxxxx`, `your-key`, `%s`, `[redacted:x]`.
pub(super) fn placeholder(v: &[u8]) -> bool {
    let stands = match v {
        [b'<' | b'{' | b'[', ..] | [b'#', b'{', ..] => true,
        // A variable, a reference, a format: `$TOKEN`, `&token`, `%TOKEN%`.
        [b'$' | b'%' | b'&' | b'*', name @ ..] => {
            let name = name.strip_suffix(b"%").unwrap_or(name);
            word(name)
                || name
                    .iter()
                    .all(|b| IDENT.has(*b) && !b.is_ascii_lowercase())
        }
        _ => false,
    };
    if stands {
        return true;
    }
    let refers = v.windows(3).any(|w| {
        matches!(
            w,
            [b'$', b'{' | b'(', _]
                | [_, b'$', b'{' | b'(']
                | [b'{', b'{', _]
                | [_, b'{', b'{']
                | b"://"
                | b"..."
                | [0xe2, 0x80, 0xa6]
        )
    });
    if refers {
        return true;
    }
    let letters = v.iter().filter(|b| !matches!(b, b'-' | b'_' | b'.' | b' '));
    let first = letters.clone().next().copied().unwrap_or(b'x');
    if letters.clone().all(|b| b.eq_ignore_ascii_case(&first))
        || letters.clone().all(|b| matches!(b, b'x' | b'X' | b'*'))
    {
        return true;
    }
    let begins = |word: &[u8]| v.len() >= word.len() && v[..word.len()].eq_ignore_ascii_case(word);
    [
        b"your-".as_slice(),
        b"your_",
        b"yourt",
        b"yourp",
        b"yours",
        b"youra",
        b"-----",
        b"op://",
        b"placeholder",
        b"example",
        b"redacted",
    ]
    .iter()
    .any(|w| begins(w))
        || v.eq_ignore_ascii_case(b"null")
}

/// One word of a program or of prose: letters and underscores or hyphens, with two digits at its end at most.
pub(super) fn word(v: &[u8]) -> bool {
    let digits = v.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (stem, _) = v.split_at(v.len() - digits);
    digits <= 2
        && stem.iter().all(|b| WORD.has(*b) && !b.is_ascii_digit())
        && stem
            .first()
            .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
}

/// An expression: a call, an index, a path of names, a generic type.
fn code(v: &[u8]) -> bool {
    if v.iter()
        .any(|b| matches!(b, b'(' | b'[' | b'{' | b'<' | b'|'))
        || v.windows(2).any(|w| w == b"::" || w == b"->" || w == b"?.")
    {
        return true;
    }
    let v = v
        .strip_suffix(b".")
        .or(v.strip_suffix(b"?"))
        .or(v.strip_suffix(b"!"))
        .unwrap_or(v);
    v.contains(&b'.')
        && v.split(|b| *b == b'.')
            .all(|part| !part.is_empty() && word(part))
}

/// The name of a constant, `ERROR_NO_2_TOKEN`, or a number, `0x8004400a`.
fn constant(v: &[u8]) -> bool {
    let digits = v.iter().filter(|b| b.is_ascii_digit()).count();
    let shouted = v
        .iter()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
    (shouted && v[0].is_ascii_uppercase() && v.contains(&b'_') && digits * 3 < v.len())
        || (v.starts_with(b"0x") && v.len() <= 18)
}

/// A path: `/run/secrets/token`, `./key.pem`, `~/.ssh/id`, `C:\keys`.
fn path(v: &[u8]) -> bool {
    let rooted = match v {
        [b'/', ..] | [b'.', b'/', ..] | [b'~', b'/', ..] | [b'.', b'.', b'/', ..] => true,
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    };
    rooted
        && !v.iter().any(|b| matches!(b, b'+' | b'='))
        && (v[0] != b'/'
            || v.len() < 24
            || v.iter().filter(|b| b.is_ascii_uppercase()).count() * 5 < v.len())
}

/// Looks made by a machine: letters and digits, and no word with a number after it.
pub(super) fn random(v: &[u8]) -> bool {
    let digits = v.iter().filter(|b| b.is_ascii_digit()).count();
    let letters = v.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let joins = v.iter().filter(|b| matches!(b, b':' | b'@')).count();
    v.len() >= 8 && digits >= 2 && letters >= 2 && joins <= 1 && !word(v)
}
