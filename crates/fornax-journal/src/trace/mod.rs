//! Trace events: from what agents send to lines of `telemetry.jsonl`.
//!
//! Nearly all events are well-formed, short and without secrets. Those are read once, checked
//! field by field where they lie, and copied; [`mend`] takes the others apart.

mod descriptor;
mod fields;
mod inspect;
mod mend;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use fornax_core::ids::{FrameId, RunId, TaskId};
use fornax_core::record::{LINE_MAX_BYTES, VERSION};
use fornax_core::time::Time;
use fornax_redact::Rules;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use fields::{HEAD, Kind};

/// The longest line that is taken, in bytes. What is longer than a record may be is shortened.
const INPUT_LINE_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The most fields that an event may have.
const FIELDS_MAX: usize = 64;

/// How many rejections are told one by one.
pub(crate) const REJECTED_MAX: usize = 100;

/// Events that were checked, as lines that lack their beginning: the version and the number, which
/// are known only when they are written.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    text: Vec<u8>,
    /// Where each event's text ends.
    ends: Vec<usize>,
    /// Line numbers from 1, and why.
    pub(crate) rejected: Vec<(u64, String)>,
    pub(crate) rejected_total: u64,
}

impl Checked {
    pub(crate) fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// The lines, the first with the number after `seq`.
    pub(crate) fn lines(&self, seq: u64) -> Vec<u8> {
        let mut lines = Vec::with_capacity(self.text.len() + 24 * self.ends.len());
        let mut start = 0;
        let mut number = itoa::Buffer::new();
        for (&end, seq) in self.ends.iter().zip(seq + 1..) {
            lines.extend_from_slice(b"{\"v\":1,\"seq\":");
            lines.extend_from_slice(number.format(seq).as_bytes());
            lines.extend_from_slice(&self.text[start..end]);
            start = end;
        }
        lines
    }
}

/// One event on its way: raw JSON, in the order in which it is written.
struct Draft<'a> {
    kind: Kind,
    head: [Option<Cow<'a, str>>; HEAD.len()],
    /// The event's own fields and those that nobody knows.
    own: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

/// Checks events, one on each line.
pub(crate) fn check(ndjson: &[u8], run: RunId, rules: &Rules, now: Time) -> Checked {
    let mut checker = Checker {
        rules,
        run: format!("\"{run}\""),
        now: format!("\"{now}\""),
        day: String::new(),
        scratch: Vec::new(),
    };
    let mut checked = Checked {
        text: Vec::with_capacity(ndjson.len() + ndjson.len() / 4),
        ..Checked::default()
    };
    for (line, number) in ndjson.split(|&byte| byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let before = checked.text.len();
        match checker.line(line, &mut checked.text) {
            Ok(()) => checked.ends.push(checked.text.len()),
            Err(why) => {
                checked.text.truncate(before);
                checked.rejected_total += 1;
                if checked.rejected.len() < REJECTED_MAX {
                    checked.rejected.push((number, why));
                }
            }
        }
    }
    checked
}

/// Whether an event is one of the five.
pub(crate) fn is_known(event: &str) -> bool {
    Kind::parse(&format!("\"{event}\"")).is_some()
}

struct Checker<'r> {
    rules: &'r Rules,
    /// Both as JSON.
    run: String,
    now: String,
    /// The last day that was seen to be one, as it begins a timestamp.
    day: String,
    scratch: Vec<u8>,
}

impl Checker<'_> {
    fn line(&mut self, line: &[u8], text: &mut Vec<u8>) -> Result<(), String> {
        if line.len() > INPUT_LINE_MAX_BYTES {
            return Err(format!("longer than {INPUT_LINE_MAX_BYTES} bytes"));
        }
        let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        let fields: Fields<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let mut draft = self.sort(fields)?;
        if self.needs_mending(line, &draft)? {
            mend::mend(&mut draft, self.rules)?;
        }
        let before = text.len();
        draft.write(text);
        // The beginning that is still missing is 33 bytes at most.
        if text.len() - before + 33 > LINE_MAX_BYTES {
            return Err(format!(
                "longer than {LINE_MAX_BYTES} bytes, even shortened"
            ));
        }
        Ok(())
    }

    /// Puts the fields where they belong and checks each.
    fn sort<'a>(&mut self, fields: Fields<'a>) -> Result<Draft<'a>, String> {
        let kind = fields.kind()?;
        let mut draft = Draft {
            kind,
            head: [const { None }; HEAD.len()],
            own: Vec::with_capacity(fields.0.len()),
        };
        for (key, raw) in fields.0 {
            if raw != "null" {
                fields::check(kind, &key, raw)?;
            }
            match fields::head_place(&key) {
                Some(place) if draft.head[place].is_some() => return Err(twice(&key)),
                Some(place) => draft.head[place] = self.head(&key, raw)?,
                None if draft.own.iter().any(|(other, _)| *other == key) => {
                    return Err(twice(&key));
                }
                None => draft.own.push((key, Cow::Borrowed(raw))),
            }
        }
        for required in kind.required() {
            let head = fields::head_place(required).and_then(|place| draft.head[place].as_ref());
            let own = || draft.own.iter().find(|(key, _)| key == required);
            if head
                .or_else(|| own().map(|(_, raw)| raw))
                .is_none_or(|raw| raw == "null")
            {
                return Err(format!("a {} needs `{required}`", kind.name()));
            }
        }
        let ts = fields::head_place("ts").unwrap_or(0);
        draft.head[ts].get_or_insert_with(|| Cow::Owned(self.now.clone()));
        let run = fields::head_place("run_id").unwrap_or(0);
        draft.head[run].get_or_insert_with(|| Cow::Owned(self.run.clone()));
        Ok(draft)
    }

    /// Checks a field of the head; none where it is not taken over.
    fn head<'a>(&mut self, key: &str, raw: &'a str) -> Result<Option<Cow<'a, str>>, String> {
        let bad = |error: serde_json::Error| format!("`{key}`: {error}");
        if raw == "null" {
            return Ok(None);
        }
        match key {
            "v" if raw != "1" => return Err(format!("`v` is {raw}; {VERSION} is known here")),
            // Both are ours to say.
            "v" | "seq" => return Ok(None),
            "ts" if !self.is_canonical(raw) => {
                let time: Time = serde_json::from_str(raw).map_err(bad)?;
                let ts = format!("\"{time}\"");
                self.day = ts[..11].to_owned();
                return Ok(Some(Cow::Owned(ts)));
            }
            "run_id" if raw != self.run => {
                return Err(format!("`run_id` is {raw}; this is {}", self.run));
            }
            "frame_id" => {
                serde_json::from_str::<FrameId>(raw).map_err(bad)?;
            }
            "task_id" => {
                serde_json::from_str::<TaskId>(raw).map_err(bad)?;
            }
            _ => {}
        }
        Ok(Some(Cow::Borrowed(raw)))
    }

    /// Whether a timestamp is written as ours are, on the day of an earlier one.
    fn is_canonical(&self, raw: &str) -> bool {
        let raw = raw.as_bytes();
        let (shape, max) = (b"T00:00:00.000Z\"", b"T29:59:59.999Z\"");
        raw.len() == 26
            && raw.starts_with(self.day.as_bytes())
            && !self.day.is_empty()
            && raw[11..]
                .iter()
                .zip(shape.iter().zip(max))
                .all(|(byte, (low, high))| (low..=high).contains(&byte))
            && (raw[12] < b'2' || raw[13] < b'4')
    }

    /// Whether the event must be taken apart: it may hold a secret, or more than it may.
    fn needs_mending(&mut self, line: &str, draft: &Draft<'_>) -> Result<bool, String> {
        let mut mend = line.len() > LINE_MAX_BYTES || draft.exceeds_limits();
        for (key, raw) in &draft.own {
            mend |= !draft.kind.knows(key) && Rules::is_secret_name(key);
            let found = inspect::inspect(raw)?;
            mend |= found.is_odd || found.has_secret_name;
        }
        if memchr::memchr(b'\\', line.as_bytes()).is_none() {
            return Ok(mend || self.is_secret(line.as_bytes()));
        }
        // A secret may hide behind escapes, and an escape in front of it looks like a letter.
        let mut scratch = std::mem::take(&mut self.scratch);
        inspect::unescape(line, &mut scratch)?;
        mend = mend || self.is_secret(&scratch);
        self.scratch = scratch;
        Ok(mend)
    }

    fn is_secret(&self, bytes: &[u8]) -> bool {
        matches!(self.rules.redact_bytes(bytes), Cow::Owned(_))
    }
}

fn twice(key: &str) -> String {
    format!("`{key}` is there twice")
}

impl Draft<'_> {
    fn exceeds_limits(&self) -> bool {
        let summary = self.head[fields::SUMMARY].as_ref();
        summary.is_some_and(|raw| raw.len() > fields::SUMMARY_MAX_CHARS + 2)
            || self
                .own
                .iter()
                .any(|(key, raw)| fields::exceeds(self.kind, key, raw))
    }

    /// The event but for its beginning.
    fn write(&self, text: &mut Vec<u8>) {
        let head = HEAD.iter().zip(&self.head);
        let head = head.filter_map(|(key, raw)| Some((*key, raw.as_deref()?)));
        for (key, raw) in head {
            text.extend_from_slice(b",\"");
            text.extend_from_slice(key.as_bytes());
            text.extend_from_slice(b"\":");
            text.extend_from_slice(raw.as_bytes());
        }
        for (key, raw) in &self.own {
            text.push(b',');
            match key {
                // It was borrowed because nothing in it is escaped.
                Cow::Borrowed(key) => {
                    text.push(b'"');
                    text.extend_from_slice(key.as_bytes());
                    text.push(b'"');
                }
                Cow::Owned(key) => {
                    text.extend_from_slice(
                        serde_json::Value::from(key.as_str()).to_string().as_bytes(),
                    );
                }
            }
            text.push(b':');
            text.extend_from_slice(raw.as_bytes());
        }
        text.extend_from_slice(b"}\n");
    }
}

/// The fields of a JSON object as they stand in it.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl Fields<'_> {
    fn kind(&self) -> Result<Kind, String> {
        let raw = self.0.iter().find(|(key, _)| key == "event");
        let raw = raw.ok_or("`event` is missing")?.1;
        Kind::parse(raw).ok_or_else(|| format!("`event` is {raw}, none of the five trace events"))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::with_capacity(24);
                while let Some((Key(key), raw)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if fields.len() == FIELDS_MAX {
                        return Err(serde::de::Error::custom(format_args!(
                            "more than {FIELDS_MAX} fields"
                        )));
                    }
                    fields.push((key, raw.get()));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A key, borrowed where nothing in it is escaped.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
