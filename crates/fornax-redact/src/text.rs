//! What a rule looks at: a window of bytes, classes of bytes, and where words begin.

use super::engine::LEFT_CONTEXT;

/// A set of bytes, as a mask over the groups below.
#[derive(Clone, Copy)]
pub(super) struct Class(u16);

const DIGIT: u16 = 1;
const LOWER_AF: u16 = 1 << 1;
const LOWER_GZ: u16 = 1 << 2;
const UPPER_AF: u16 = 1 << 3;
const UPPER_GZ: u16 = 1 << 4;
const UNDERSCORE: u16 = 1 << 5;
const DASH: u16 = 1 << 6;
const DOT: u16 = 1 << 7;
const SLASH: u16 = 1 << 8;
const PLUS: u16 = 1 << 9;
const EQUALS: u16 = 1 << 10;
const TILDE: u16 = 1 << 11;
const PERCENT: u16 = 1 << 12;
const OTHER: u16 = 1 << 13;

/// `0-9`
pub(super) const DIGITS: Class = Class(DIGIT);
/// `0-9a-f`
pub(super) const HEX: Class = Class(DIGIT | LOWER_AF);
/// `0-9A-Z`
pub(super) const UPPER: Class = Class(DIGIT | UPPER_AF | UPPER_GZ);
/// `0-9A-Za-z`
pub(super) const ALNUM: Class = Class(UPPER.0 | LOWER_AF | LOWER_GZ);
/// `0-9A-Za-z_`
pub(super) const IDENT: Class = Class(ALNUM.0 | UNDERSCORE);
/// `0-9A-Za-z_-`, which is also base64url
pub(super) const WORD: Class = Class(IDENT.0 | DASH);
/// `0-9A-Za-z_-.`
pub(super) const DOTTED: Class = Class(WORD.0 | DOT);
/// `0-9A-Za-z+/=`
pub(super) const BASE64: Class = Class(ALNUM.0 | PLUS | SLASH | EQUALS);
/// Base64 of either alphabet
pub(super) const TOKEN: Class = Class(BASE64.0 | WORD.0);
/// `0-9A-Za-z_-/`
pub(super) const PATH: Class = Class(WORD.0 | SLASH);
/// Base64 as it stands in a query string
pub(super) const QUERY: Class = Class(BASE64.0 | WORD.0 | PERCENT);
/// `0-9A-Za-z_-.~`
pub(super) const UNRESERVED: Class = Class(DOTTED.0 | TILDE);
/// What a bearer credential is made of (RFC 6750)
pub(super) const TOKEN68: Class = Class(UNRESERVED.0 | BASE64.0);

const GROUPS: [u16; 256] = {
    let mut groups = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        groups[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => LOWER_AF,
            b'g'..=b'z' => LOWER_GZ,
            b'A'..=b'F' => UPPER_AF,
            b'G'..=b'Z' => UPPER_GZ,
            b'_' => UNDERSCORE,
            b'-' => DASH,
            b'.' => DOT,
            b'/' => SLASH,
            b'+' => PLUS,
            b'=' => EQUALS,
            b'~' => TILDE,
            b'%' => PERCENT,
            b'!'..=b'~' => OTHER,
            _ => 0,
        };
        byte += 1;
    }
    groups
};

impl Class {
    /// All printable ASCII but the space.
    pub(super) const VISIBLE: Class = Class(TOKEN68.0 | PERCENT | OTHER);

    /// Whether the byte is in the set.
    pub(super) const fn has(self, byte: u8) -> bool {
        GROUPS[byte as usize] & self.0 != 0
    }
}

/// The window a rule sees.
///
/// `floor` is where what may be looked at begins: the start of the input, or the end of the last
/// replacement. `last` says that nothing follows; until then the end of the window decides nothing.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) floor: usize,
    pub(super) last: bool,
}

impl<'a> Text<'a> {
    /// A text that stands alone.
    pub(super) fn whole(bytes: &'a [u8]) -> Self {
        Text {
            bytes,
            floor: 0,
            last: true,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The byte before `at`, unless the text begins there.
    pub(super) fn before(&self, at: usize) -> Option<u8> {
        if at > self.floor {
            self.get(at - 1)
        } else {
            None
        }
    }

    /// Whether the byte at `at` is still to come.
    pub(super) fn open(&self, at: usize) -> bool {
        at >= self.bytes.len() && !self.last
    }

    /// The end of the run of `class` from `from`, not past `limit`.
    pub(super) fn run(&self, from: usize, class: Class, limit: usize) -> usize {
        let limit = limit.min(self.bytes.len());
        let mut end = from;
        while end < limit && class.has(self.bytes[end]) {
            end += 1;
        }
        end
    }

    /// Compares with `word` at `at`: `None` where the text ends before the comparison does.
    pub(super) fn starts_with(&self, at: usize, word: &[u8]) -> Option<bool> {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let common = rest.len().min(word.len());
        if rest[..common] != word[..common] {
            return Some(false);
        }
        if common < word.len() && !self.last {
            return None;
        }
        Some(common == word.len())
    }

    /// Whether a word can begin at `at`: what precedes is no letter, digit or underscore, or it
    /// is the tail of an escape sequence.
    pub(super) fn word_starts(&self, at: usize) -> bool {
        match self.before(at) {
            None => true,
            Some(byte) if !IDENT.has(byte) => true,
            Some(_) => self.after_escape(at),
        }
    }

    /// Whether an escape ends at `at`: `\n`, `\x1b`, `\u0022`, `%3D` or a terminal colour `ESC[1;32m`.
    pub(super) fn after_escape(&self, at: usize) -> bool {
        let left = &self.bytes[self.floor.max(at.saturating_sub(LEFT_CONTEXT / 2))..at];
        let hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
        match left {
            [.., b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0'] => true,
            [.., b'\\', b'x', a, b] if hex(&[*a, *b]) => true,
            [.., b'\\', b'u', a, b, c, d] if hex(&[*a, *b, *c, *d]) => true,
            [.., b'%', a, b] if hex(&[*a, *b]) => true,
            [head @ .., b'm'] => {
                let digits = head
                    .iter()
                    .rev()
                    .take(16)
                    .take_while(|b| b.is_ascii_digit() || **b == b';')
                    .count();
                matches!(
                    &head[..head.len() - digits],
                    [.., 0x1b, b'['] | [.., b'1', b'b' | b'B', b'['] | [.., b'3', b'3', b'[']
                )
            }
            _ => false,
        }
    }

    /// The start of the identifier that ends at `end`, at most `limit` bytes back. The tail of an
    /// escape sequence is no part of it.
    pub(super) fn ident_start(&self, end: usize, limit: usize) -> usize {
        let bound = self.floor.max(end.saturating_sub(limit));
        let mut start = end;
        while start > bound && WORD.has(self.bytes[start - 1]) {
            start -= 1;
        }
        let escape = match (self.before(start), &self.bytes[start..end]) {
            (Some(b'\\'), [b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'0', ..]) => 1,
            (Some(b'\\'), [b'x', ..]) => 3,
            (Some(b'\\'), [b'u', ..]) => 5,
            (Some(b'%'), _) => 2,
            (Some(b'[' | b';'), name) => {
                let digits = name.iter().take_while(|b| b.is_ascii_digit()).count();
                if name.get(digits) == Some(&b'm') {
                    digits + 1
                } else {
                    0
                }
            }
            _ => 0,
        };
        (start + escape).min(end)
    }
}

/// What a rule says of the place it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<'r> {
    /// No secret here.
    No,
    /// Not known yet; if it is a secret, it begins at this index or later.
    More(usize),
    /// Not a secret, and nothing up to this index is to be looked at.
    Skip(usize),
    /// A secret.
    Found(Found<'r>),
}

/// A secret: `bytes[start..end]` becomes `[redacted:kind]`, and what `then` says is dropped after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'r> {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) kind: &'r str,
    pub(super) then: Then,
}

/// How a secret that is longer than what is held goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It does not.
    Plain,
    /// Drop while the bytes are of this class.
    Run(Class),
    /// Drop up to the closing quote, or the line's end. `depth` backslashes belong to the quote;
    /// `slashes` were seen just before.
    Quoted { quote: u8, depth: u8, slashes: u8 },
    /// Drop up to a byte that ends a header's value.
    Header,
    /// Drop up to white space, a quote or a separator.
    Bare,
    /// Drop the body of a private key.
    Key,
}

impl std::fmt::Debug for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Class({:#x})", self.0)
    }
}

impl PartialEq for Class {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Class {}

impl<'r> Verdict<'r> {
    pub(super) fn found(start: usize, end: usize, kind: &'r str) -> Self {
        Verdict::Found(Found {
            start,
            end,
            kind,
            then: Then::Plain,
        })
    }

    /// Of two verdicts on one place, the one that counts: what is not known yet comes first, then
    /// the secret that begins first, then the longest.
    pub(super) fn or(self, other: Self) -> Self {
        use Verdict::{Found, More, No, Skip};
        match (self, other) {
            (No, v) | (v, No) => v,
            (More(a), More(b)) => More(a.min(b)),
            (More(a), Found(b)) | (Found(b), More(a)) => More(a.min(b.start)),
            (More(a), Skip(_)) | (Skip(_), More(a)) => More(a),
            (Skip(a), Skip(b)) => Skip(a.max(b)),
            (Skip(_), Found(f)) | (Found(f), Skip(_)) => Found(f),
            (Found(a), Found(b)) => {
                let better =
                    (b.start, std::cmp::Reverse(b.end)) < (a.start, std::cmp::Reverse(a.end));
                Found(if better { b } else { a })
            }
        }
    }
}
