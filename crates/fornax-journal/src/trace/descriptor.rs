//! Value descriptors: what a variable held, in bounded space.
//!
//! `{t: type, v: value}` where small, else `{t, n: length, k: keys, preview, truncated}`.

use serde_json::{Map, Value, json};

/// The longest text in a descriptor, in characters.
const TEXT_MAX_CHARS: usize = 200;
/// The longest name of a type or key, in characters.
const NAME_MAX_CHARS: usize = 80;
/// The most keys that are named.
const KEYS_MAX: usize = 20;
/// How deep a value may be nested.
const DEPTH_MAX: usize = 4;
/// The longest descriptor, in bytes of JSON.
pub(super) const MAX_BYTES: usize = 2048;

/// A descriptor of any value.
pub(super) fn of(value: Value) -> Value {
    let kind = type_of(&value);
    bounded(json!({"t": kind, "v": value}))
}

/// The descriptor that was given, within its bounds; a plain value becomes one.
pub(super) fn bounded(given: Value) -> Value {
    let Value::Object(mut map) = given else {
        return of(given);
    };
    if !map.get("t").is_some_and(Value::is_string) {
        return of(Value::Object(map));
    }
    let descriptor = Value::Object(map);
    if is_small(&descriptor, DEPTH_MAX + 1) && descriptor.to_string().len() <= MAX_BYTES {
        return descriptor;
    }
    let Value::Object(given) = descriptor else {
        return descriptor;
    };
    map = given;
    shorten(map)
}

fn shorten(mut map: Map<String, Value>) -> Value {
    let value = map.remove("v").unwrap_or(Value::Null);
    let mut keys = match (map.remove("k"), &value) {
        (Some(Value::Array(keys)), _) => keys,
        (_, Value::Object(object)) => object.keys().map(|key| json!(key)).collect(),
        _ => Vec::new(),
    };
    keys.truncate(KEYS_MAX);
    for key in &mut keys {
        *key = json!(cut(&text_of(key), NAME_MAX_CHARS));
    }
    let preview = map.remove("preview").unwrap_or(value.clone());
    let mut preview = cut(&text_of(&preview), TEXT_MAX_CHARS);
    loop {
        let mut short = Map::new();
        let kind = map.get("t").and_then(Value::as_str).unwrap_or("value");
        short.insert("t".to_owned(), json!(cut(kind, NAME_MAX_CHARS)));
        let length = map.get("n").and_then(Value::as_u64);
        if let Some(length) = length.or_else(|| length_of(&value)) {
            short.insert("n".to_owned(), json!(length));
        }
        if !keys.is_empty() {
            short.insert("k".to_owned(), json!(keys));
        }
        short.insert("preview".to_owned(), json!(preview));
        short.insert("truncated".to_owned(), json!(true));
        let short = Value::Object(short);
        if short.to_string().len() <= MAX_BYTES {
            return short;
        }
        // Characters that JSON writes with six letters each get it this far.
        keys.truncate(keys.len() / 2);
        preview = cut(&preview, preview.chars().count() / 2);
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn length_of(value: &Value) -> Option<u64> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => return None,
    };
    Some(length as u64)
}

/// Whether all texts are short, all objects narrow, and nothing is nested deeper than `depth`.
fn is_small(value: &Value, depth: usize) -> bool {
    let short = |text: &str| text.len() <= TEXT_MAX_CHARS || text.chars().count() <= TEXT_MAX_CHARS;
    match value {
        Value::String(text) => short(text),
        Value::Array(items) => depth > 0 && items.iter().all(|item| is_small(item, depth - 1)),
        Value::Object(map) => {
            let keys = map.get("k").and_then(Value::as_array);
            depth > 0
                && keys.is_none_or(|keys| keys.len() <= KEYS_MAX)
                && map
                    .iter()
                    .all(|(key, item)| short(key) && is_small(item, depth - 1))
        }
        _ => true,
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The first `max` characters.
pub(super) fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}
