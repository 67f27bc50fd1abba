//! Redaction of JSON values.

use serde_json::{Map, Value};

use super::assign::kind;
use super::names::{Name, classify};
use super::rules::Rules;
use super::tokens;

/// Redacts in place, without recursion. Returns whether anything changed.
pub(super) fn redact(rules: &Rules, root: &mut Value) -> bool {
    let mut changed = false;
    let mut stack = vec![(root, None)];
    while let Some((value, name)) = stack.pop() {
        match value {
            Value::Object(map) => {
                changed |= redact_keys(rules, map);
                stack.extend(
                    map.iter_mut()
                        .map(|(key, value)| (value, classify(key.as_bytes()))),
                );
            }
            Value::Array(items) => stack.extend(items.iter_mut().map(|item| (item, name))),
            Value::String(text) => {
                if let Some(new) = redact_string(rules, text, name) {
                    *text = new;
                    changed = true;
                }
            }
            Value::Number(_) => {
                if let Some(name) = name {
                    *value = Value::from(format!("[redacted:{}]", kind(name)));
                    changed = true;
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
    changed
}

fn redact_string(rules: &Rules, text: &str, name: Option<Name>) -> Option<String> {
    if let Some(name) = name
        && !stands_for_value(text)
    {
        let kind = tokens::kind(text.as_bytes()).unwrap_or(kind(name));
        return Some(format!("[redacted:{kind}]"));
    }
    match rules.redact(text) {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(new) => Some(new),
    }
}

/// Nothing, a reference to a variable, or hidden already.
fn stands_for_value(text: &str) -> bool {
    text.is_empty()
        || (text.starts_with("[redacted:") && text.ends_with(']'))
        || (text.starts_with("${") && text.ends_with('}'))
        || text.strip_prefix('$').is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        })
}

/// Redacts the keys; two that become the same are told apart by a number.
fn redact_keys(rules: &Rules, map: &mut Map<String, Value>) -> bool {
    if map
        .keys()
        .all(|key| matches!(rules.redact(key), std::borrow::Cow::Borrowed(_)))
    {
        return false;
    }
    for (key, value) in std::mem::take(map) {
        let base = rules.redact(&key).into_owned();
        let mut new = base.clone();
        let mut number = 2;
        while map.contains_key(&new) {
            new = format!("{base} {number}");
            number += 1;
        }
        map.insert(new, value);
    }
    true
}
