//! What the host writes down: `session.jsonl`, `protocol.jsonl`, and the transcript.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fornax_core::time::Time;
use fornax_redact::Rules;
use serde_json::Value;

use super::transcript;
use crate::happening::{Entry, Happening, VERSION};
use crate::job::Job;

/// The longest text within an entry, in bytes; of a longer one, head and tail are kept.
const TEXT_MAX_BYTES: usize = 20 << 10;
/// The most that each file may hold, in bytes. Beyond it only what matters is written.
const FILE_MAX_BYTES: u64 = 64 << 20;

/// Writes a task's session down, with secrets taken out.
pub(super) struct Recorder {
    session: File,
    protocol: File,
    rules: Option<Rules>,
    seq: u64,
    session_bytes: u64,
    protocol_bytes: u64,
}

impl Recorder {
    pub fn open(task_dir: &Path, rules: Option<Rules>) -> io::Result<Recorder> {
        let create = |name: &str| {
            let mut options = File::options();
            options.append(true).create_new(true).mode(0o600);
            options.open(task_dir.join(name))
        };
        Ok(Recorder {
            session: create("session.jsonl")?,
            protocol: create("protocol.jsonl")?,
            rules,
            seq: 0,
            session_bytes: 0,
            protocol_bytes: 0,
        })
    }

    /// The wall clock.
    pub fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Time(since.map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        }))
    }

    /// Something happened.
    pub fn happening(&mut self, happening: Happening) {
        if self.session_bytes > FILE_MAX_BYTES && !matters(&happening) {
            return;
        }
        let entry = Entry {
            v: VERSION,
            seq: self.seq + 1,
            ts: self.now(),
            happening,
        };
        let Ok(mut value) = serde_json::to_value(&entry) else {
            return;
        };
        shorten(&mut value);
        if let Some(rules) = &self.rules {
            rules.redact_json(&mut value);
        }
        let line = format!("{value}\n");
        // A full disk costs lines of the session, and neither the task nor what comes after.
        if let Err(error) = self.session.write_all(line.as_bytes()) {
            return transcript::complain(&format!("the session cannot be written: {error}"));
        }
        self.seq += 1;
        self.session_bytes += line.len() as u64;
        if let Ok(entry) = serde_json::from_value::<Entry>(value) {
            transcript::print(&entry.happening);
        }
    }

    /// Something was said in the agent's own protocol.
    pub fn protocol(&mut self, direction: &str, text: &str) {
        if self.protocol_bytes > FILE_MAX_BYTES || text.is_empty() {
            return;
        }
        let text = match &self.rules {
            Some(rules) => rules.redact(text),
            None => text.into(),
        };
        let line = serde_json::json!({ "at": self.now(), "dir": direction, "line": text });
        let line = format!("{line}\n");
        self.protocol_bytes += line.len() as u64;
        if self.protocol.write_all(line.as_bytes()).is_err() {
            // It helps people only: a full disk ends it.
            self.protocol_bytes = u64::MAX;
        }
    }

    /// A line that is not the protocol: it stands in the log as it is.
    pub fn garbage(&self, line: &[u8]) {
        transcript::raw(&String::from_utf8_lossy(line));
    }

    /// A line of the agent's standard error.
    pub fn stderr(&self, line: &str) {
        transcript::complain(line);
    }

    /// All is written.
    pub fn close(&mut self) {
        if let Err(error) = self.session.sync_data() {
            transcript::complain(&format!("the session may not be on the disk: {error}"));
        }
    }
}

/// Whether a happening is written however long the session is.
fn matters(happening: &Happening) -> bool {
    !matches!(
        happening,
        Happening::Text { .. }
            | Happening::Thinking { .. }
            | Happening::ToolCall { .. }
            | Happening::ToolResult { .. }
            | Happening::Garbage { .. }
            | Happening::FileChanged { .. }
            | Happening::Warning { .. }
    )
}

/// Shortens every text in the value.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT_MAX_BYTES => *text = head_and_tail(text),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

fn head_and_tail(text: &str) -> String {
    let mut head = TEXT_MAX_BYTES / 2;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - TEXT_MAX_BYTES / 2;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let (head, cut, tail) = (&text[..head], tail - head, &text[tail..]);
    format!("{head}\n… {cut} bytes left out …\n{tail}")
}

/// What is taken out of what is written.
pub(super) fn rules(job: &Job) -> Option<Rules> {
    job.redact.then(|| {
        let known = Rules::builtin().with_secrets(job.secrets.iter().cloned());
        job.redact_rules
            .iter()
            .fold(known, |rules, (name, pattern)| {
                // One that does not compile has been refused where it was written.
                rules.clone().with_custom(name, pattern).unwrap_or(rules)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_head_and_tail_are_kept() {
        let text = format!("{}{}", "é".repeat(20_000), "z".repeat(20_000));
        let mut value = serde_json::json!({ "a": [text.clone()] });
        shorten(&mut value);
        let short = value["a"][0].as_str().unwrap();
        assert!(short.len() < TEXT_MAX_BYTES + 100);
        assert!(short.starts_with("éé") && short.ends_with("zz"));
        assert!(short.contains("bytes left out"));
    }
}
