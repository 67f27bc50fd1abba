//! Durations: `500ms`, `30s`, `5m`, `2h`, `1h30m`, `1d`. The unit is always written.

/// The units, largest first, with their milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A year: whoever writes more has mistaken the unit.
const MAX_MS: u64 = 365 * 86_400_000;

pub(crate) const HELP: &str = "write whole numbers with units, the largest first: `500ms`, `30s`, \
    `5m`, `2h`, `1h30m`, `1d`";

/// The same for a JSON Schema.
pub(crate) const PATTERN: &str = r"^(?=\d)(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?$";

/// The milliseconds, or what is wrong.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut allowed = &UNITS[..];
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err("a number is missing".to_owned());
        }
        if unit.is_empty() {
            return Err(match after.is_empty() {
                true => "the unit is missing".to_owned(),
                false => "only whole numbers and units are allowed".to_owned(),
            });
        }
        let Some(place) = allowed.iter().position(|(name, _)| *name == unit) else {
            return Err(match UNITS.iter().any(|(name, _)| *name == unit) {
                true => format!("`{unit}` stands after a unit that is not larger"),
                false => format!(
                    "there is no unit `{}`",
                    unit.chars().take(20).collect::<String>()
                ),
            });
        };
        let ms = number.parse::<u64>().ok();
        let ms = ms.and_then(|number| number.checked_mul(allowed[place].1));
        total = ms
            .and_then(|ms| total.checked_add(ms))
            .filter(|total| *total <= MAX_MS)
            .ok_or_else(|| "it is longer than a year".to_owned())?;
        allowed = &allowed[place + 1..];
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn durations_are_read_in_milliseconds() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (text, error) in [
            ("", "it is empty"),
            ("90", "the unit is missing"),
            ("1.5h", "only whole numbers and units are allowed"),
            ("-5s", "a number is missing"),
            ("5 s", "only whole numbers and units are allowed"),
            ("s", "a number is missing"),
            ("5min", "there is no unit `min`"),
            ("30m1h", "`h` stands after a unit that is not larger"),
            ("5m5m", "`m` stands after a unit that is not larger"),
            ("400d", "it is longer than a year"),
            ("99999999999999999999s", "it is longer than a year"),
            ("18446744073709551615ms", "it is longer than a year"),
            ("٣s", "a number is missing"),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()), "{text}");
        }
    }
}
