//! Taking an event apart: secrets go, what is too long is shortened.

use std::borrow::Cow;

use fornax_core::record::LINE_MAX_BYTES;
use fornax_redact::Rules;
use serde_json::{Map, Value, json};

use super::Draft;
use super::descriptor;
use super::fields::{DIFF_MAX_LINES, HEAD, Kind, OUTPUT_MAX_BYTES, SUMMARY_MAX_CHARS};

/// Fields of the head that were checked to be what they are: they hold no text of anybody's.
const TYPED: [&str; 7] = ["v", "seq", "ts", "run_id", "frame_id", "task_id", "event"];

/// The most that is kept of a failure's local variables, and of how many.
const LOCALS_MAX_BYTES: usize = 32 * 1024;
const LOCALS_MAX: usize = 64;

/// What a text is shortened to where the whole line is too long.
const TEXT_MAX_BYTES: usize = 2048;

pub(super) fn mend(draft: &mut Draft<'_>, rules: &Rules) -> Result<(), String> {
    for (key, raw) in HEAD.iter().zip(&mut draft.head) {
        let Some(raw) = raw.as_mut().filter(|_| !TYPED.contains(key)) else {
            continue;
        };
        let (_, mut value) = redacted(key, raw, rules)?;
        if let (&"summary", Value::String(text)) = (key, &mut value) {
            *text = descriptor::cut(text, SUMMARY_MAX_CHARS);
        }
        *raw = Cow::Owned(value.to_string());
    }
    let mut own = Vec::with_capacity(draft.own.len() + 2);
    let mut truncated = Vec::new();
    for (key, raw) in std::mem::take(&mut draft.own) {
        let (new_key, value) = redacted(&key, &raw, rules)?;
        let value = match value {
            Value::Object(map) if draft.kind == Kind::Failure && key == "locals" => {
                locals(map, rules)
            }
            value => value,
        };
        let (value, flag) = limited(draft.kind, &key, value);
        truncated.extend(flag);
        own.push((
            if new_key == key {
                key
            } else {
                Cow::Owned(new_key)
            },
            value,
        ));
    }
    for flag in truncated {
        own.retain(|(key, _)| key != flag);
        own.push((Cow::Borrowed(flag), Value::Bool(true)));
    }
    let texts = own
        .into_iter()
        .map(|(key, value)| (key, Cow::Owned(value.to_string())));
    draft.own = texts.collect();
    fit(draft)
}

/// A field without its secrets; its key may be one.
fn redacted(key: &str, raw: &str, rules: &Rules) -> Result<(String, Value), String> {
    let value = serde_json::from_str(raw).map_err(|error| format!("`{key}`: {error}"))?;
    Ok(redact_field(key, value, rules))
}

fn redact_field(key: &str, value: Value, rules: &Rules) -> (String, Value) {
    let mut object = Value::Object(Map::from_iter([(key.to_owned(), value)]));
    rules.redact_json(&mut object);
    let Value::Object(map) = object else {
        return (key.to_owned(), Value::Null);
    };
    let field = map.into_iter().next();
    field.unwrap_or_else(|| (key.to_owned(), Value::Null))
}

/// A field within its limits, and the field that tells where it was not.
fn limited(kind: Kind, key: &str, value: Value) -> (Value, Option<&'static str>) {
    match (kind, key, value) {
        (Kind::ToolOutput, "stdout" | "stderr", Value::String(text)) => {
            let flag = match key {
                "stdout" => "stdout_truncated",
                _ => "stderr_truncated",
            };
            match head_and_tail(&text, OUTPUT_MAX_BYTES) {
                Some(short) => (Value::String(short), Some(flag)),
                None => (Value::String(text), None),
            }
        }
        (Kind::GitDiff, "diff", Value::String(text)) => {
            match text.match_indices('\n').nth(DIFF_MAX_LINES - 1) {
                Some((at, _)) if at + 1 < text.len() => {
                    (Value::String(text[..=at].to_owned()), Some("truncated"))
                }
                _ => (Value::String(text), None),
            }
        }
        (Kind::Failure, "error", Value::Object(mut map)) => {
            for text in map.values_mut() {
                let short = text
                    .as_str()
                    .and_then(|text| head_and_tail(text, OUTPUT_MAX_BYTES));
                if let Some(short) = short {
                    *text = Value::String(short);
                }
            }
            (Value::Object(map), None)
        }
        (_, _, value) => (value, None),
    }
}

fn locals(map: Map<String, Value>, rules: &Rules) -> Value {
    let count = map.len();
    let mut kept = Map::new();
    let mut bytes = 0;
    for (name, value) in map {
        let mut value = descriptor::bounded(value);
        if Rules::is_secret_name(&name) {
            // The name says it, but a descriptor stands between the name and the value.
            let (_, hidden) = redact_field(&name, json!("hidden"), rules);
            value = json!({"t": value["t"], "v": hidden});
        }
        let name = descriptor::cut(&name, SUMMARY_MAX_CHARS);
        bytes += name.len() + value.to_string().len();
        if bytes > LOCALS_MAX_BYTES || kept.len() == LOCALS_MAX {
            let left_out = json!({"t": "left out", "n": count - kept.len()});
            kept.insert("\u{2026}".to_owned(), left_out);
            break;
        }
        kept.insert(name, value);
    }
    Value::Object(kept)
}

/// The beginning and the end of a text that is longer than `max_bytes`, as long as that together.
fn head_and_tail(text: &str, max_bytes: usize) -> Option<String> {
    if text.len() <= max_bytes {
        return None;
    }
    // The number is at most as long as the longest line's.
    let half = (max_bytes - "\n[... 1234567 bytes left out ...]\n".len()) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    let left_out = tail - head;
    let (head, tail) = (&text[..head], &text[tail..]);
    Some(format!(
        "{head}\n[... {left_out} bytes left out ...]\n{tail}"
    ))
}

/// Shortens the longest fields until the line is no longer than a line may be.
fn fit(draft: &mut Draft<'_>) -> Result<(), String> {
    for _ in 0..draft.own.len() {
        let mut line = Vec::new();
        draft.write(&mut line);
        if line.len() + 64 <= LINE_MAX_BYTES {
            break;
        }
        let longest = draft.own.iter_mut().max_by_key(|(_, raw)| raw.len());
        let Some((_, raw)) = longest else {
            break;
        };
        let value: Value = serde_json::from_str(raw).map_err(|error| error.to_string())?;
        let short = match value {
            Value::String(text) => {
                Value::String(head_and_tail(&text, TEXT_MAX_BYTES).unwrap_or(text))
            }
            other => descriptor::of(other),
        };
        *raw = Cow::Owned(short.to_string());
    }
    Ok(())
}
