//! Redaction: secrets become `[redacted:<kind>]`, everything else stays byte for byte.
//!
//! [`Rules`] hold what is a secret; they redact a text at a time, a JSON value, or a [`Stream`] of
//! chunks, with the same result however the text is cut. A new token shape is a line in `shapes`.

mod assign;
mod custom;
mod engine;
mod exact;
mod json;
mod names;
mod pem;
mod rules;
mod scan;
mod shapes;
mod spans;
mod stream;
mod text;
mod tokens;
mod values;
mod walls;

#[cfg(test)]
mod tests;

pub use custom::CustomRuleError;
pub use rules::Rules;
pub use stream::Stream;
