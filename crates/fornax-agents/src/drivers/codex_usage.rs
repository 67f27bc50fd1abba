//! Codex counts over a whole thread, also over one that is resumed: from its running totals to what
//! was added.

use std::collections::BTreeMap;

use fornax_core::agent::Usage;
use serde_json::Value;

/// The running totals of threads.
#[derive(Debug, Default)]
pub(super) struct Totals {
    threads: BTreeMap<String, Usage>,
    calls: u32,
}

impl Totals {
    /// A thread that earlier tasks have counted so far.
    pub fn counted(&mut self, thread: &str, usage: Usage) {
        self.threads.insert(thread.to_owned(), usage);
    }

    /// What was added since the thread's last total, and a name for it; none where that is nothing.
    pub fn added(&mut self, thread: &str, total: Usage) -> Option<(String, Usage)> {
        let before = self.threads.entry(thread.to_owned()).or_default();
        let added = total.since(before);
        *before = total;
        if added.is_zero() {
            return None;
        }
        self.calls += 1;
        Some((format!("{thread}-{}", self.calls), added))
    }
}

/// A total as Codex tells it: its input includes what was cached. `camel` tells how its fields are
/// spelled.
pub(super) fn total(told: &Value, camel: bool) -> Usage {
    let count = |camel_name: &str, snake_name: &str| {
        let name = if camel { camel_name } else { snake_name };
        told[name].as_u64().unwrap_or(0)
    };
    let cached = count("cachedInputTokens", "cached_input_tokens");
    let written = count("cacheWriteInputTokens", "cache_write_input_tokens");
    Usage {
        input: count("inputTokens", "input_tokens").saturating_sub(cached + written),
        output: count("outputTokens", "output_tokens"),
        cache_read: cached,
        cache_write: written,
        reasoning: count("reasoningOutputTokens", "reasoning_output_tokens"),
        cost_usd: None,
        estimated: false,
    }
}
