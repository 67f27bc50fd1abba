//! What Claude Code tells of the tokens and the cost of its model calls.

use fornax_core::agent::Usage;
use serde_json::Value;

use crate::driver::Out;
use crate::happening::Happening;

/// What of a subagent's usage there is in the rest of a model's, with its part of the cost: that is
/// told for all of the model's calls together.
pub(super) fn share_of(rest: &Usage, said: &Usage, whole: &Usage) -> Usage {
    let share = Usage {
        input: said.input.min(rest.input),
        output: said.output.min(rest.output),
        cache_read: said.cache_read.min(rest.cache_read),
        cache_write: said.cache_write.min(rest.cache_write),
        ..Usage::default()
    };
    let part = weight(&share) / weight(whole).max(1.0);
    Usage {
        cost_usd: whole.cost_usd.map(|cost| cost * part.min(1.0)),
        ..share
    }
}

/// How the kinds of tokens are priced beside one another.
#[allow(clippy::cast_precision_loss, reason = "counts of tokens are small")]
fn weight(usage: &Usage) -> f64 {
    let count = |tokens: u64| tokens as f64;
    count(usage.input)
        + count(usage.output) * 5.0
        + count(usage.cache_read) * 0.1
        + count(usage.cache_write) * 1.25
}

pub(super) fn tell_call(
    call: String,
    model: &str,
    usage: Usage,
    child: Option<&str>,
    event: &Value,
    out: &mut Out,
) {
    if usage.is_zero() {
        return;
    }
    out.tell(Happening::ModelCall {
        call,
        model: Some(model.to_owned()),
        provider: Some("anthropic".to_owned()),
        usage,
        duration_ms: event["duration_api_ms"]
            .as_u64()
            .filter(|_| child.is_none()),
        child: child.map(str::to_owned),
    });
}

pub(super) fn usage_of_model(told: &Value) -> Usage {
    let count = |field: &str| told[field].as_u64().unwrap_or(0);
    Usage {
        input: count("inputTokens"),
        output: count("outputTokens"),
        cache_read: count("cacheReadInputTokens"),
        cache_write: count("cacheCreationInputTokens"),
        reasoning: 0,
        cost_usd: told["costUSD"].as_f64(),
        estimated: false,
    }
}

pub(super) fn usage_of_message(usage: &Value) -> Usage {
    let count = |field: &str| usage[field].as_u64().unwrap_or(0);
    Usage {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
        ..Usage::default()
    }
}
