//! The header `Range`, as far as it is of use here: one range of bytes (RFC 9110, section 14).

use std::ops::Range;

/// What part of a file a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range was asked for, or none that is understood.
    All,
    /// These bytes; never empty, never beyond the end.
    Part(Range<u64>),
    /// Bytes that are not there.
    Nothing,
}

/// What `header` asks of a file of `size` bytes. An empty file is given whole, whatever is asked;
/// several ranges at once are not supported and give the whole file, as the standard allows.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header.and_then(parse).filter(|_| size > 0) else {
        return Wanted::All;
    };
    match (first, last) {
        (Some(first), last) if first < size => {
            Wanted::Part(first..last.map_or(size, |last| last.saturating_add(1).min(size)))
        }
        (None, Some(length)) if length > 0 => Wanted::Part(size.saturating_sub(length)..size),
        _ => Wanted::Nothing,
    }
}

/// `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LENGTH`.
fn parse(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large to be held is beyond any file's end all the same.
        digits.then(|| (!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
    };
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (Some(first), Some(last)) if last < first => None,
        range => Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_edge() {
        let cases = [
            ("bytes=0-", Wanted::Part(0..10)),
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=9-", Wanted::Part(9..10)),
            ("bytes=9-9", Wanted::Part(9..10)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=2-99", Wanted::Part(2..10)),
            ("bytes=-1", Wanted::Part(9..10)),
            ("bytes=-10", Wanted::Part(0..10)),
            ("bytes=-11", Wanted::Part(0..10)),
            ("Bytes= 3-4 ", Wanted::Part(3..5)),
            ("bytes=0-99999999999999999999999", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-20", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("bytes=--1", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("", Wanted::All),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
            assert_eq!(wanted(Some(header), 0), Wanted::All, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_nor_beyond_the_end(header in "(bytes=)?[0-9]{0,21}-[0-9]{0,21}|.{0,20}", size: u64) {
            if let Wanted::Part(part) = wanted(Some(&header), size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }

        #[test]
        fn a_part_is_what_the_plain_reading_gives(first in 0u64..200, last in 0u64..200, size in 1u64..150) {
            let content: Vec<u64> = (0..size).collect();
            let expected: Vec<u64> =
                content.iter().copied().filter(|at| (first..=last).contains(at)).collect();
            let expected = match expected.as_slice() {
                _ if last < first => Wanted::All,
                [] => Wanted::Nothing,
                [start, ..] => Wanted::Part(*start..expected[expected.len() - 1] + 1),
            };
            prop_assert_eq!(wanted(Some(&format!("bytes={first}-{last}")), size), expected);
        }
    }
}
