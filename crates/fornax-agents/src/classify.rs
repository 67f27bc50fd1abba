//! What a provider's refusal means, whoever passes it on: by its status, its type, its words.

use fornax_core::spec::ErrorClass;

/// The class of an error of a provider's. `status` is the HTTP status, `kind` the type or code that
/// the provider or the agent gives, `message` what is said.
#[must_use]
pub fn classify(status: Option<u16>, kind: Option<&str>, message: &str) -> ErrorClass {
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    let message = message.to_ascii_lowercase();
    let says = |words: &[&str]| {
        words
            .iter()
            .any(|word| kind.contains(word) || message.contains(word))
    };
    // Before the status: an overflow is a 400 or a 413 with most providers, and a spent quota a 429
    // that no waiting mends.
    if says(&[
        "context_length_exceeded",
        "contextlengthexceeded",
        "context_overflow",
        "contextoverflow",
        "contextwindowexceeded",
        "context_window_exceeded",
        "context length",
        "context window",
        "prompt is too long",
        "input is too long",
        "maximum context",
        "exceeds the maximum number of tokens",
        "input token count",
    ]) {
        return ErrorClass::ContextOverflow;
    }
    match status {
        Some(401 | 403) => return ErrorClass::Auth,
        Some(429) => return ErrorClass::RateLimit,
        Some(400..=599) => return ErrorClass::Api,
        _ => {}
    }
    if says(&[
        "authentication",
        "unauthorized",
        "invalid api key",
        "invalid_api_key",
        "incorrect api key",
        "api key not valid",
        "invalid x-api-key",
        "providerautherror",
        "not logged in",
        "please run /login",
        "login required",
        "401",
    ]) {
        return ErrorClass::Auth;
    }
    if says(&[
        "rate_limit",
        "rate limit",
        "ratelimit",
        "too many requests",
        "usage limit",
        "usagelimit",
        "quota",
        "429",
    ]) {
        return ErrorClass::RateLimit;
    }
    ErrorClass::Api
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_providers_words_are_understood() {
        use ErrorClass as E;
        let cases = [
            (Some(401), None, "invalid x-api-key", E::Auth),
            (
                Some(429),
                Some("rate_limit_error"),
                "slow down",
                E::RateLimit,
            ),
            (Some(529), Some("overloaded_error"), "overloaded", E::Api),
            (None, None, "Incorrect API key provided.", E::Auth),
            (
                None,
                None,
                "API key not valid. Please pass a valid one.",
                E::Auth,
            ),
            (
                Some(400),
                None,
                "prompt is too long: 9 > 8",
                E::ContextOverflow,
            ),
            (
                Some(400),
                Some("context_length_exceeded"),
                "",
                E::ContextOverflow,
            ),
            (
                Some(400),
                None,
                "The input token count (9) exceeds the maximum number of tokens allowed (8).",
                E::ContextOverflow,
            ),
            (None, Some("ProviderAuthError"), "", E::Auth),
            (None, Some("authentication_failed"), "", E::Auth),
            (None, Some("usageLimitExceeded"), "", E::RateLimit),
            (None, None, "stream closed before it was complete", E::Api),
        ];
        for (status, kind, message, class) in cases {
            assert_eq!(classify(status, kind, message), class, "{kind:?} {message}");
        }
    }
}
