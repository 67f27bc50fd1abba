//! The rules in force: the built-in ones, and the exact values of secrets that are known.

use std::borrow::Cow;
use std::sync::Arc;

use super::custom::{Custom, CustomRuleError};
use super::engine::{Cursor, advance};
use super::exact::Exact;
use super::names::classify;
use super::stream::Stream;

/// What is a secret. Cheap to clone.
#[derive(Clone, Default)]
pub struct Rules {
    exact: Option<Arc<Exact>>,
    customs: Arc<Vec<Arc<Custom>>>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values = self.exact.as_ref().map_or(0, |exact| exact.len());
        let customs: Vec<&str> = self
            .customs
            .iter()
            .map(|custom| custom.kind.as_str())
            .collect();
        f.debug_struct("Rules")
            .field("values", &values)
            .field("customs", &customs)
            .finish()
    }
}

impl Rules {
    /// The rules that everyone has: token shapes, credentials in URLs and headers, private keys,
    /// values of names that say that they are secret. Costs nothing to build.
    #[must_use]
    pub fn builtin() -> Rules {
        Rules::default()
    }

    /// Adds exact values, which become `[redacted:env]` wherever they stand, also as they look
    /// inside a JSON string. Values of fewer than 6 bytes are left out.
    #[must_use]
    pub fn with_secrets(self, secrets: impl IntoIterator<Item = String>) -> Rules {
        let exact = Exact::new(self.exact.as_deref(), secrets);
        Rules {
            exact: exact.map(Arc::new),
            customs: self.customs,
        }
    }

    /// Adds a rule of a person's own: what the regular expression matches becomes
    /// `[redacted:<name>]`. `^` and `$` stand for the ends of a line, classes are ASCII.
    ///
    /// # Errors
    /// If the name makes no marker, the pattern cannot be read, or its matches have no bound.
    pub fn with_custom(mut self, name: &str, pattern: &str) -> Result<Rules, CustomRuleError> {
        let custom = Custom::new(name, pattern)?;
        Arc::make_mut(&mut self.customs).push(Arc::new(custom));
        Ok(self)
    }

    /// Redacts a text. Borrows it where nothing is to be hidden.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.redact_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(
                String::from_utf8(bytes)
                    .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()),
            ),
        }
    }

    /// Redacts bytes, which need not be UTF-8.
    #[must_use]
    pub fn redact_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut out = Vec::new();
        let mut cursor = Cursor::new();
        let end = advance(self, bytes, true, &mut cursor, &mut out);
        if !cursor.replaced {
            return Cow::Borrowed(bytes);
        }
        out.extend_from_slice(&bytes[cursor.done..end]);
        Cow::Owned(out)
    }

    /// Redacts every string of a JSON value however deep, keys too, and masks the string or number
    /// under a key that names a secret. Returns whether anything changed.
    pub fn redact_json(&self, value: &mut serde_json::Value) -> bool {
        super::json::redact(self, value)
    }

    /// Whether an environment variable or a key of this name holds a secret: `DB_PASSWORD`,
    /// `apiKey`, `x-auth-token`. Counters such as `tokens_in` and ids such as `cmd_id` do not.
    #[must_use]
    pub fn is_secret_name(name: &str) -> bool {
        classify(name.as_bytes()).is_some()
    }

    /// Redaction of bytes that come in chunks.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream::new(self.clone())
    }

    pub(super) fn exact(&self) -> Option<&Exact> {
        self.exact.as_deref()
    }

    pub(super) fn customs(&self) -> &[Arc<Custom>] {
        &self.customs
    }
}
