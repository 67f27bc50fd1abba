//! What a script can make the model say: the parts of a reply, as they are written.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use axum::http::HeaderMap;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// One answer of the model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reply {
    pub(crate) text: String,
    pub(crate) thinking: String,
    pub(crate) tools: Vec<OneOrMany<ToolCall>>,
    /// The outer option: does the reply say; the inner one: does the provider report any.
    #[serde(deserialize_with = "present")]
    pub(crate) usage: Option<Option<Usage>>,
    pub(crate) stop: Option<Stop>,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) chunk_delay_ms: Option<u64>,
    pub(crate) chunk_size: Option<NonZeroUsize>,
    pub(crate) error: Option<ErrorReply>,
    pub(crate) hang: Option<Break>,
    pub(crate) cut: Option<Break>,
    pub(crate) raw: Option<Raw>,
}

/// What a reply takes from the script where it does not say itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Defaults {
    #[serde(deserialize_with = "present")]
    usage: Option<Option<Usage>>,
    delay_ms: Option<u64>,
    chunk_delay_ms: Option<u64>,
    chunk_size: Option<NonZeroUsize>,
}

/// A call of one of the agent's tools.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolCall {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) args: serde_json::Map<String, Value>,
}

/// Tokens of one call. `input` is what was not cached; `output` includes `reasoning`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write: u64,
    pub(crate) reasoning: u64,
}

impl Usage {
    /// What an API that must report says where there is nothing to report.
    pub(crate) const NONE: Self = Self {
        input: 0,
        output: 0,
        cache_read: 0,
        cache_write: 0,
        reasoning: 0,
    };
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            input: 10,
            output: 5,
            cache_read: 0,
            cache_write: 0,
            reasoning: 0,
        }
    }
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stop {
    End,
    Tool,
    Length,
    Refusal,
}

/// An error of the provider's, in the shape of its API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ErrorReply {
    /// What went wrong. There is a kind or a status.
    pub(crate) kind: Option<ErrorKind>,
    pub(crate) status: Option<u16>,
    /// The provider's word for it, where the script says another.
    #[serde(rename = "type")]
    pub(crate) name: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) retry_after_s: Option<u64>,
    /// Told in the stream, after so many frames of the answer.
    pub(crate) after: Option<usize>,
}

/// What went wrong at the provider, whichever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorKind {
    InvalidRequest,
    Auth,
    Permission,
    NotFound,
    ContextOverflow,
    RateLimit,
    Quota,
    Server,
    Overloaded,
}

/// An answer sent as it stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Raw {
    #[serde(default = "ok_status")]
    pub(crate) status: u16,
    #[serde(default, deserialize_with = "headers")]
    pub(crate) headers: HeaderMap,
    #[serde(default)]
    pub(crate) body: Value,
}

fn ok_status() -> u16 {
    200
}

/// Where an answer breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// Before a single byte of it.
    AtOnce,
    /// After so many frames.
    After(usize),
}

impl Reply {
    /// Takes from `defaults` what the reply leaves open.
    pub(crate) fn or(mut self, defaults: &Defaults) -> Self {
        self.usage = self.usage.or(defaults.usage);
        self.delay_ms = self.delay_ms.or(defaults.delay_ms);
        self.chunk_delay_ms = self.chunk_delay_ms.or(defaults.chunk_delay_ms);
        self.chunk_size = self.chunk_size.or(defaults.chunk_size);
        self
    }

    /// What is wrong with it as a whole, where something is.
    pub(crate) fn fault(&self) -> Option<String> {
        let speaks = !(self.text.is_empty() && self.thinking.is_empty() && self.tools.is_empty());
        let ways = [
            ("text, thinking or tools", speaks),
            ("error", self.error.is_some()),
            ("raw", self.raw.is_some()),
        ];
        let chosen: Vec<_> = ways
            .iter()
            .filter(|(_, given)| *given)
            .map(|(key, _)| *key)
            .collect();
        // An error in the stream comes after some of the answer.
        let late = self.error.as_ref().is_some_and(|e| e.after.is_some()) && self.raw.is_none();
        if chosen.len() > 1 && !late {
            let hint = if speaks && self.error.is_some() {
                ", or give the error an after, so that it comes in the stream"
            } else {
                ""
            };
            return Some(format!("it has {}: choose one{hint}", chosen.join(" and ")));
        }
        if self.hang.is_some() && self.cut.is_some() {
            return Some("it has hang and cut: choose one".to_owned());
        }
        if let Some(error) = &self.error {
            match error.status {
                None if error.kind.is_none() => {
                    return Some("error has no kind and no status: give it one".to_owned());
                }
                Some(status) if !(400..=599).contains(&status) => {
                    return Some(format!(
                        "error.status is {status}, which is no error: use 400 to 599"
                    ));
                }
                _ => {}
            }
        }
        if let Some(raw) = &self.raw
            && !(200..=599).contains(&raw.status)
        {
            return Some(format!("raw.status is {}: use 200 to 599", raw.status));
        }
        if let Some(OneOrMany(_)) = self.tools.iter().find(|entry| entry.0.is_empty()) {
            return Some("an entry of tools is an empty list: name at least one call".to_owned());
        }
        match self.usage {
            Some(Some(usage)) if usage.reasoning > usage.output => Some(format!(
                "usage.reasoning ({}) is part of usage.output ({}) and cannot be more",
                usage.reasoning, usage.output
            )),
            _ => None,
        }
    }

    /// Every string of the reply that variables are filled into.
    pub(crate) fn strings_mut(&mut self) -> Vec<&mut String> {
        let mut found = vec![&mut self.text, &mut self.thinking];
        for call in self.tools.iter_mut().flat_map(|entry| &mut entry.0) {
            found.push(&mut call.name);
            call.args
                .values_mut()
                .for_each(|value| strings_in(value, &mut found));
        }
        if let Some(error) = &mut self.error {
            found.extend(error.name.as_mut());
            found.extend(error.code.as_mut());
            found.extend(error.message.as_mut());
        }
        if let Some(raw) = &mut self.raw {
            strings_in(&mut raw.body, &mut found);
        }
        found
    }
}

fn strings_in<'a>(value: &'a mut Value, found: &mut Vec<&'a mut String>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter_mut().for_each(|item| strings_in(item, found)),
        Value::Object(map) => map.values_mut().for_each(|item| strings_in(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
    let headers = HashMap::<String, String>::deserialize(deserializer)?;
    HeaderMap::try_from(&headers).map_err(de::Error::custom)
}

/// Tells a key that is `null` from a key that is not there.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// An object. Alone, a struct would be read from a list too, by the order of its fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entry<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Entry(PhantomData))
    }
}

/// One value, or a list of them. Unlike an untagged enum it keeps the place of an error.
#[derive(Debug, Clone)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entry<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one value or a list of them")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(OneOrMany)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                T::deserialize(number.into_deserializer()).map(|one| OneOrMany(vec![one]))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(StrDeserializer::new(text)).map(|one| OneOrMany(vec![one]))
            }
        }

        deserializer.deserialize_any(Entry(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Break {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Where;

        impl Visitor<'_> for Where {
            type Value = Break;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true or a number of frames")
            }

            fn visit_bool<E: de::Error>(self, at_once: bool) -> Result<Break, E> {
                if at_once {
                    return Ok(Break::AtOnce);
                }
                Err(E::invalid_value(de::Unexpected::Bool(false), &self))
            }

            fn visit_u64<E: de::Error>(self, frames: u64) -> Result<Break, E> {
                usize::try_from(frames).map(Break::After).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Where)
    }
}
