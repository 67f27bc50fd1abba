//! Durations and moments, as short as a person wants them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A duration: `240ms`, `2.1s`, `1m 05s`, `3h 20m`, `2d 4h`.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1_000;
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{}.{}s", seconds, ms % 1_000 / 100),
        10_000..60_000 => format!("{seconds}s"),
        60_000..3_600_000 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600_000..86_400_000 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// From one moment to another, or until now.
pub fn span(started_ms: Option<i64>, ended_ms: Option<i64>, now_ms: i64) -> String {
    started_ms.map_or_else(String::new, |started| {
        duration(ended_ms.unwrap_or(now_ms) - started)
    })
}

/// The local time of day, and the date where it is not today's.
pub fn moment(at_ms: i64, now_ms: i64) -> String {
    let zone = TimeZone::system();
    let local = |ms| Timestamp::from_millisecond(ms).map(|stamp| stamp.to_zoned(zone.clone()));
    let (Ok(at), Ok(now)) = (local(at_ms), local(now_ms)) else {
        return "?".to_owned();
    };
    let format = if at.date() == now.date() {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M"
    };
    at.strftime(format).to_string()
}

/// Now, in milliseconds since the Unix epoch.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let cases = [
            (-5, "0ms"),
            (999, "999ms"),
            (2_149, "2.1s"),
            (59_999, "59s"),
            (65_000, "1m 05s"),
            (12_000_000, "3h 20m"),
            (187_200_000, "2d 4h"),
        ];
        for (ms, text) in cases {
            assert_eq!(duration(ms), text);
        }
    }
}
