//! Finding the places worth a look.
//!
//! Every rule names an anchor: four bytes (case aside) that any text of its kind contains. A
//! filter of 64 Ki bits, filled while compiling, says for each four bytes of the input whether
//! they can be an anchor. Unlike an automaton it has no chain of dependent loads, so it reads at
//! more than a gigabyte a second, and it costs nothing to build.

use super::shapes::SHAPES;
use super::text::WORD;

/// Bytes of an anchor.
pub(super) const GRAM: usize = 4;

/// The rule that an anchor leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// `SHAPES[.0]`
    Shape(u8),
    /// The name of a secret, with a value after it
    Name,
    /// `Bearer x`
    Bearer,
    /// `Basic x`
    Basic,
    /// `twilio_...=SK...`
    Twilio,
    /// `123456:AAxyz`
    Telegram,
    /// `scheme://user:pass@host`
    Url,
    /// A JSON web token
    Jwt,
    /// `-----BEGIN ... PRIVATE KEY`
    Key,
    /// `[redacted:x]`, which stays
    Marker,
}

/// The anchors of the rules that are no token shapes. Three bytes stand for any four that begin so.
const ANCHORS: &[(&str, Rule)] = &[
    ("pass", Rule::Name),
    ("_pwd", Rule::Name),
    ("pwd=", Rule::Name),
    ("secr", Rule::Name),
    ("toke", Rule::Name),
    ("apik", Rule::Name),
    ("_key", Rule::Name),
    ("-key", Rule::Name),
    ("sskey", Rule::Name),
    ("tekey", Rule::Name),
    ("ntkey", Rule::Name),
    ("ngkey", Rule::Name),
    ("thkey", Rule::Name),
    ("onkey", Rule::Name),
    ("erkey", Rule::Name),
    ("gekey", Rule::Name),
    ("auth", Rule::Name),
    ("cook", Rule::Name),
    ("cred", Rule::Name),
    ("mnem", Rule::Name),
    ("phra", Rule::Name),
    ("bear", Rule::Bearer),
    ("basi", Rule::Basic),
    ("twil", Rule::Twilio),
    (":AA", Rule::Telegram),
    ("://", Rule::Url),
    ("eyJ", Rule::Jwt),
    ("BEGI", Rule::Key),
    ("[red", Rule::Marker),
];

#[derive(Clone, Copy)]
pub(super) struct Anchor {
    gram: u32,
    mask: u32,
    pub(super) rule: Rule,
}

const COUNT: usize = SHAPES.len() + ANCHORS.len();

const fn gram_of(text: &[u8]) -> (u32, u32) {
    let mut bytes = [0; GRAM];
    let mut at = 0;
    while at < GRAM && at < text.len() {
        bytes[at] = text[at];
        at += 1;
    }
    let mask = if text.len() == 3 {
        0x00ff_ffff
    } else {
        u32::MAX
    };
    (fold(u32::from_le_bytes(bytes)) & mask, mask)
}

/// The anchors in the order of their first byte, and where each first byte's begin.
static TABLE: ([Anchor; COUNT], [u8; 257]) = {
    let none = Anchor {
        gram: 0,
        mask: 0,
        rule: Rule::Marker,
    };
    let mut all = [none; COUNT];
    let mut at = 0;
    while at < COUNT {
        let (text, rule) = if at < SHAPES.len() {
            (SHAPES[at].prefix, Rule::Shape(at as u8))
        } else {
            ANCHORS[at - SHAPES.len()]
        };
        let (gram, mask) = gram_of(text.as_bytes());
        let new = Anchor { gram, mask, rule };
        let mut place = at;
        while place > 0 && (all[place - 1].gram & 0xff) > (gram & 0xff) {
            all[place] = all[place - 1];
            place -= 1;
        }
        all[place] = new;
        at += 1;
    }
    assert!(COUNT < 256, "the anchors' places fit in a byte");
    let mut starts = [0; 257];
    let mut first = 0;
    while first < 257 {
        let mut count = 0;
        while count < COUNT && ((all[count].gram & 0xff) as usize) < first {
            count += 1;
        }
        starts[first] = count as u8;
        first += 1;
    }
    (all, starts)
};

/// The anchors that these four bytes are.
pub(super) fn anchors(gram: u32) -> impl Iterator<Item = &'static Anchor> {
    let first = (gram & 0xff) as usize;
    let range = usize::from(TABLE.1[first])..usize::from(TABLE.1[first + 1]);
    TABLE.0[range]
        .iter()
        .filter(move |a| a.gram == gram & a.mask)
}

/// Whether `tail`, at most three bytes, could be the beginning of an anchor of a rule for which
/// `wanted` holds.
pub(super) fn begins_anchor(tail: &[u8], wanted: impl Fn(Rule) -> bool) -> bool {
    let mut bytes = [0; GRAM];
    bytes[..tail.len()].copy_from_slice(tail);
    let mask = (1_u32 << (8 * tail.len())) - 1;
    let gram = fold(u32::from_le_bytes(bytes)) & mask;
    let first = (gram & 0xff) as usize;
    let range = usize::from(TABLE.1[first])..usize::from(TABLE.1[first + 1]);
    TABLE.0[range]
        .iter()
        .any(|a| a.gram & mask == gram && wanted(a.rule))
}

/// Takes case away, and a few differences between other bytes; the rules look again.
pub(super) const fn fold(gram: u32) -> u32 {
    gram | 0x2020_2020
}

/// The four bytes at `at`, folded.
pub(super) fn gram_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + GRAM)?;
    Some(fold(u32::from_le_bytes([
        four[0], four[1], four[2], four[3],
    ])))
}

/// The set of four bytes that are worth a look; it may hold a few more.
#[derive(Clone)]
pub(super) struct Filter([u64; 1024]);

/// The filter of the built-in rules.
pub(super) static BUILTIN: Filter = {
    let mut filter = Filter::empty();
    let mut at = 0;
    while at < SHAPES.len() {
        let prefix = SHAPES[at].prefix.as_bytes();
        if prefix.len() == 3 {
            filter = filter.with_open(prefix, Some(at));
        } else {
            filter = filter.with(gram_of(prefix).0);
        }
        at += 1;
    }
    at = 0;
    while at < ANCHORS.len() {
        let text = ANCHORS[at].0.as_bytes();
        if text.len() == 3 {
            filter = filter.with_open(text, None);
        } else {
            filter = filter.with(gram_of(text).0);
        }
        at += 1;
    }
    filter
};

const fn slot(gram: u32) -> usize {
    (gram.wrapping_mul(0x9E37_79B1) >> 16) as usize
}

impl Filter {
    pub(super) const fn empty() -> Self {
        Filter([0; 1024])
    }

    /// Adds four folded bytes.
    pub(super) const fn with(mut self, gram: u32) -> Self {
        let slot = slot(gram);
        self.0[slot >> 6] |= 1 << (slot & 63);
        self
    }

    /// Adds three bytes with each fourth one that the shape's class (or else a word) has.
    const fn with_open(mut self, three: &[u8], shape: Option<usize>) -> Self {
        let class = match shape {
            Some(at) => SHAPES[at].class(),
            None => WORD,
        };
        let mut fourth = 0;
        while fourth < 256 {
            if class.has(fourth as u8) || (shape.is_none() && three[0] == b':' && fourth > 0x20) {
                let bytes = [three[0], three[1], three[2], fourth as u8];
                self = self.with(fold(u32::from_le_bytes(bytes)));
            }
            fourth += 1;
        }
        self
    }

    fn has(&self, gram: u32) -> bool {
        let slot = slot(gram);
        self.0[slot >> 6] >> (slot & 63) & 1 != 0
    }

    /// The first place from `from` on whose four bytes are in the set.
    pub(super) fn next(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while let Some(block) = bytes.get(at..at + 11) {
            let block: &[u8; 11] = block.try_into().ok()?;
            let [a, b, c, d, e, f, g, h, i, j, k] = *block;
            let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let high = u64::from_le_bytes([d, e, f, g, h, i, j, k]);
            let mut hits = 0_u32;
            for shift in 0..5 {
                hits |= u32::from(self.has(fold((low >> (8 * shift)) as u32))) << shift;
            }
            for shift in 2..5 {
                hits |= u32::from(self.has(fold((high >> (8 * shift)) as u32))) << (shift + 3);
            }
            if hits != 0 {
                return Some(at + hits.trailing_zeros() as usize);
            }
            at += 8;
        }
        while let Some(gram) = gram_at(bytes, at) {
            if self.has(gram) {
                return Some(at);
            }
            at += 1;
        }
        None
    }
}
