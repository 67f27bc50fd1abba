//! Identifiers. All are small `Copy` values inside the program and opaque text outside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Crockford's base 32 alphabet, lower case: no `i`, `l`, `o`, `u`.
const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what} id (expected something like `{example}`)")]
pub struct InvalidId {
    what: &'static str,
    example: &'static str,
    text: String,
}

impl InvalidId {
    /// What was expected, an example of it, and what there was instead.
    pub(crate) fn new(what: &'static str, example: &'static str, text: &str) -> InvalidId {
        InvalidId {
            what,
            example,
            text: text.chars().take(80).collect(),
        }
    }
}

/// A run: `RUN-YYYYMMDD-###`. The date is the local day on which the run began; the number counts
/// the day's runs from 1, has at least three digits, and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct RunId {
    /// The day as a decimal number, `YYYYMMDD`.
    pub date: u32,
    /// The number of the run within the day, from 1.
    pub number: u32,
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RUN-{:08}-{:03}", self.date, self.number)
    }
}

impl FromStr for RunId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parse = || {
            let (date, number) = text.strip_prefix("RUN-")?.split_once('-')?;
            let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
            if date.len() != 8 || number.len() < 3 || !digits(date) || !digits(number) {
                return None;
            }
            let id = RunId {
                date: date.parse().ok()?,
                number: number.parse().ok()?,
            };
            // One spelling for one run: what is printed must be what was read.
            (id.number > 0 && id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| InvalidId {
            what: "run",
            example: "RUN-20261120-001",
            text: text.to_owned(),
        })
    }
}

/// A frame: `f-` and six characters of Crockford base 32, unique in the project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct FrameId(u32);

impl FrameId {
    /// How many frames a project can hold: 2^30.
    pub const COUNT: u32 = 1 << 30;

    /// The id of a project's `number`-th frame. Two numbers never share an id, and ids that follow
    /// one another do not look alike: a four-round Feistel network over 30 bits, keyed by the
    /// project's random `key`.
    #[must_use]
    pub fn nth(key: u64, number: u32) -> FrameId {
        const HALF: u32 = (1 << 15) - 1;
        let (mut left, mut right) = ((number >> 15) & HALF, number & HALF);
        for round in 0..4 {
            let mixed = mix(key ^ (u64::from(right) << 8) ^ round);
            (left, right) = (right, left ^ (mixed as u32 & HALF));
        }
        FrameId((left << 15) | right)
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit moves every output bit.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("f-")?;
        self.write_code(f)
    }
}

impl FrameId {
    fn write_code(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..6).rev() {
            let digit = (self.0 >> (5 * place)) & 31;
            fmt::Write::write_char(f, char::from(CROCKFORD[digit as usize]))?;
        }
        Ok(())
    }

    fn parse_code(code: &str) -> Option<FrameId> {
        if code.len() != 6 {
            return None;
        }
        code.bytes()
            .try_fold(0, |value: u32, byte| {
                let digit = CROCKFORD.iter().position(|&letter| letter == byte)?;
                Some((value << 5) | digit as u32)
            })
            .map(FrameId)
    }
}

impl FromStr for FrameId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix("f-")
            .and_then(FrameId::parse_code)
            .ok_or_else(|| InvalidId {
                what: "frame",
                example: "f-4k2p9x",
                text: text.to_owned(),
            })
    }
}

/// A task: `t-`, the six characters of its frame, and its attempt, as in `t-4k2p9x-1`. The attempt
/// is the fencing token: a late word of an older attempt names an older task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct TaskId {
    /// The frame that the task works for.
    pub frame: FrameId,
    /// Which try of the frame this is, counted from 1 over the frame's whole life.
    pub attempt: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("t-")?;
        self.frame.write_code(f)?;
        write!(f, "-{}", self.attempt)
    }
}

impl FromStr for TaskId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let parse = || {
            let (code, attempt) = text.strip_prefix("t-")?.split_once('-')?;
            let id = TaskId {
                frame: FrameId::parse_code(code)?,
                attempt: attempt.parse().ok()?,
            };
            (id.attempt > 0 && id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| InvalidId {
            what: "task",
            example: "t-4k2p9x-1",
            text: text.to_owned(),
        })
    }
}

/// The id that makes a command idempotent: any text of 1 to 64 visible ASCII characters, chosen by
/// whoever gives the command (the command line uses UUIDs of version 7).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CmdId(std::sync::Arc<str>);

impl fmt::Display for CmdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CmdId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits {
            return Ok(CmdId(text.into()));
        }
        let example = "019a9c5e-0000-7000-8000-000000000000";
        Err(InvalidId::new("command", example, text))
    }
}

macro_rules! serde_as_text {
    ($($id:ty),+) => {$(
        impl Serialize for $id {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $id {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
serde_as_text!(RunId, FrameId, TaskId, CmdId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn frame_numbers_never_share_an_id() {
        let ids: HashSet<_> = (0..100_000).map(|n| FrameId::nth(42, n)).collect();
        assert_eq!(ids.len(), 100_000);
    }

    #[test]
    fn only_one_spelling_is_accepted() {
        for bad in [
            "RUN-20261120-01",
            "RUN-20261120-0001",
            "run-20261120-001",
            "RUN-20261120-000",
            "RUN-2026112-001",
            "RUN-20261120-+01",
        ] {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
        for bad in [
            "f-4k2p9",
            "f-4k2p9xx",
            "f-4k2p9l",
            "4k2p9x",
            "f-4K2P9X",
            "f-../..",
            "f-é2p9x",
        ] {
            assert!(bad.parse::<FrameId>().is_err(), "{bad}");
        }
        for bad in [
            "t-4k2p9x-0",
            "t-4k2p9x-01",
            "t-4k2p9x",
            "t-4k2p9x-1/..",
            "t-4k2p9x--1",
        ] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
        for bad in ["", "a b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<CmdId>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(date in 10_000_000u32..99_999_999, number in 1u32.., key: u64, nth in 0..FrameId::COUNT, attempt in 1u32..) {
            let run = RunId { date, number };
            prop_assert_eq!(run.to_string().parse::<RunId>().unwrap(), run);
            let frame = FrameId::nth(key, nth);
            prop_assert_eq!(frame.to_string().parse::<FrameId>().unwrap(), frame);
            let task = TaskId { frame, attempt };
            prop_assert_eq!(task.to_string().parse::<TaskId>().unwrap(), task);
        }
    }
}
