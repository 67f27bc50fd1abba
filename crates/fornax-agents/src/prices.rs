//! What model calls cost where their agent does not say: list prices, which a user can edit.

use std::collections::BTreeMap;
use std::path::Path;

use fornax_core::agent::Usage;
use serde::Deserialize;

/// The built-in prices; also the form in which a user writes their own.
pub const BUILT_IN: &str = include_str!("prices.json");

/// Prices by the beginning of a model's name.
#[derive(Debug, Clone, Default)]
pub struct Table(BTreeMap<String, Price>);

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input that was not cached.
    pub input: f64,
    /// Output, thinking included.
    pub output: f64,
    /// Input that was read from a cache; without it, as other input.
    pub cache_read: Option<f64>,
    /// Input that was written to a cache; without it, as other input.
    pub cache_write: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    #[allow(dead_code, reason = "for people who read the file")]
    about: String,
    models: BTreeMap<String, Price>,
}

impl Table {
    /// The built-in prices with those of a user's file over them, and what is wrong with that file
    /// where it has to be left out.
    #[must_use]
    pub fn load(file: Option<&Path>) -> (Table, Option<String>) {
        let mut table = Table::parse(BUILT_IN).unwrap_or_default();
        let own = file.map(|file| {
            let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
            let own = text.and_then(|text| Table::parse(&text));
            own.map_err(|why| format!("{} is left out: {why}", file.display()))
        });
        match own {
            Some(Ok(own)) => {
                table.0.extend(own.0);
                (table, None)
            }
            Some(Err(why)) => (table, Some(why)),
            None => (table, None),
        }
    }

    /// Reads a table.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Table, String> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| format!("not a price table: {error}"))?;
        let wrong = document.models.iter().find(|(_, price)| {
            let all = [
                Some(price.input),
                Some(price.output),
                price.cache_read,
                price.cache_write,
            ];
            all.into_iter()
                .flatten()
                .any(|price| !price.is_finite() || price < 0.0)
        });
        match wrong {
            Some((model, _)) => Err(format!("a price of {model} is below zero")),
            None => Ok(Table(document.models)),
        }
    }

    /// What the usage costs with this model, in US dollars; none where the model is not known.
    #[must_use]
    pub fn cost(&self, model: Option<&str>, _provider: Option<&str>, usage: &Usage) -> Option<f64> {
        let price = self.price(model?)?;
        let million = |tokens: u64, price: f64| {
            #[allow(
                clippy::cast_precision_loss,
                reason = "token counts are far below 2^52"
            )]
            let tokens = tokens as f64;
            tokens / 1e6 * price
        };
        Some(
            million(usage.input, price.input)
                + million(usage.output, price.output)
                + million(usage.cache_read, price.cache_read.unwrap_or(price.input))
                + million(usage.cache_write, price.cache_write.unwrap_or(price.input)),
        )
    }

    /// The price of a model: the longest name in the table that its own begins with. A provider
    /// before a slash does not count.
    fn price(&self, model: &str) -> Option<&Price> {
        let name = model
            .rsplit('/')
            .next()
            .unwrap_or(model)
            .to_ascii_lowercase();
        let known = self
            .0
            .iter()
            .filter(|(known, _)| name.starts_with(known.as_str()));
        known
            .max_by_key(|(known, _)| known.len())
            .map(|(_, price)| price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_name_gives_the_price() {
        let (table, _) = Table::load(None);
        let usage = Usage {
            input: 1_000_000,
            output: 100_000,
            cache_read: 1_000_000,
            ..Usage::default()
        };
        let cost = |model| table.cost(Some(model), None, &usage);
        assert_eq!(cost("openai/gpt-5-mini-2026"), Some(0.25 + 0.2 + 0.025));
        assert_eq!(cost("gpt-5"), Some(1.25 + 1.0 + 0.125));
        assert_eq!(cost("stub-model"), None);
    }

    #[test]
    fn a_users_prices_go_before_the_built_in_ones() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let own = r#"{"models": {"stub": {"input": 1, "output": 2}, "gpt-5": {"input": 0, "output": 0}}}"#;
        std::fs::write(temp.path(), own).unwrap();
        let (table, wrong) = Table::load(Some(temp.path()));
        assert_eq!(wrong, None);
        let usage = Usage {
            input: 1_000_000,
            cache_read: 1_000_000,
            ..Usage::default()
        };
        assert_eq!(table.cost(Some("stub-model"), None, &usage), Some(2.0));
        assert_eq!(table.cost(Some("gpt-5"), None, &usage), Some(0.0));
        assert!(Table::parse(r#"{"models": {"a": {"input": -1, "output": 0}}}"#).is_err());
        assert!(Table::parse(r#"{"models": {"a": {"inputs": 1, "output": 0}}}"#).is_err());
        std::fs::write(temp.path(), "{").unwrap();
        let (table, wrong) = Table::load(Some(temp.path()));
        assert!(wrong.unwrap().contains("is left out"));
        assert!(table.cost(Some("gpt-5"), None, &usage).is_some());
    }
}
