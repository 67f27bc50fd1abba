//! Tokens and money.

use fornax_core::agent::Usage;

/// All tokens, in few characters; nothing where none were used.
pub fn tokens(usage: Option<&Usage>) -> String {
    match usage.map_or(0, Usage::total) {
        0 => String::new(),
        total => short(total),
    }
}

/// What was spent, with `~` where a part of it is reckoned; nothing where that is not known.
pub fn cost(usage: Option<&Usage>) -> String {
    let Some((usage, cost)) = usage.and_then(|usage| Some((usage, usage.cost_usd?))) else {
        return String::new();
    };
    let mark = if usage.estimated { "~" } else { "" };
    match cost {
        0.0 => String::new(),
        small if small < 0.01 => format!("{mark}${small:.4}"),
        _ => format!("{mark}${cost:.2}"),
    }
}

/// Every kind of token.
pub fn in_full(usage: &Usage) -> String {
    let mut text = format!(
        "{}  ({} in, {} out",
        usage.total(),
        usage.input,
        usage.output
    );
    for (count, what) in [
        (usage.cache_read, "read from the cache"),
        (usage.cache_write, "written to the cache"),
        (usage.reasoning, "of the output thinking"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text + ")"
}

fn short(count: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
    let number = count as f64;
    match count {
        0..1_000 => count.to_string(),
        1_000..10_000 => format!("{:.1}k", number / 1e3),
        10_000..1_000_000 => format!("{:.0}k", number / 1e3),
        _ => format!("{:.1}M", number / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_counts_are_short_and_estimates_are_marked() {
        let usage = Usage {
            input: 12_345,
            output: 678,
            reasoning: 100,
            cost_usd: Some(0.004_2),
            estimated: true,
            ..Usage::default()
        };
        assert_eq!(tokens(Some(&usage)), "13k");
        assert_eq!(cost(Some(&usage)), "~$0.0042");
        assert_eq!(
            in_full(&usage),
            "13023  (12345 in, 678 out, 100 of the output thinking)"
        );
        assert_eq!(short(1_234), "1.2k");
        assert_eq!(short(2_500_000), "2.5M");
        assert_eq!(tokens(None), "");
    }
}
