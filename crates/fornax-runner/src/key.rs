//! The key of a task: what its shim proves with that it is the task's shim.
//!
//! The daemon derives it and hands it over in the specification. It is kept nowhere, and no process
//! of the task gets it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::place::FileId;

/// The member of a sealed object that holds the seal.
const SEAL: &str = "mac";

/// The secret that a daemon shares with the shim of one task.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskKey([u8; 32]);

impl fmt::Debug for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskKey(..)")
    }
}

impl From<[u8; 32]> for TaskKey {
    fn from(bytes: [u8; 32]) -> TaskKey {
        TaskKey(bytes)
    }
}

impl From<TaskKey> for String {
    fn from(key: TaskKey) -> String {
        hex(&key.0)
    }
}

impl TryFrom<String> for TaskKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<TaskKey, Self::Error> {
        let bytes = unhex(&text).and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(TaskKey)
            .ok_or("a task's key is 64 hexadecimal digits")
    }
}

impl TaskKey {
    /// The value of the variable that marks the processes of the task whose folder is `folder`. A copy
    /// of the folder has another inode, and so another mark.
    pub(crate) fn mark(&self, folder: FileId) -> String {
        let parts = [
            &folder.device.to_le_bytes()[..],
            &folder.inode.to_le_bytes(),
        ];
        hex(&self.hmac("mark", &parts).finalize().into_bytes()[..16])
    }

    /// Adds to `object` the seal over all that is in it. `purpose` and `context` are sealed with it.
    pub(crate) fn seal(&self, purpose: &str, context: &str, object: &mut Map<String, Value>) {
        object.remove(SEAL);
        let mac = self.object_mac(purpose, context, object).finalize();
        object.insert(SEAL.to_owned(), hex(&mac.into_bytes()).into());
    }

    /// Whether `object` is as it was sealed with this key, for this purpose and context.
    pub(crate) fn is_sealed(
        &self,
        purpose: &str,
        context: &str,
        object: &Map<String, Value>,
    ) -> bool {
        let seal = object.get(SEAL).and_then(Value::as_str).and_then(unhex);
        let mut content = object.clone();
        content.remove(SEAL);
        // The comparison takes the same time whatever is in the seal.
        seal.is_some_and(|seal| {
            self.object_mac(purpose, context, &content)
                .verify_slice(&seal)
                .is_ok()
        })
    }

    fn object_mac(
        &self,
        purpose: &str,
        context: &str,
        object: &Map<String, Value>,
    ) -> Hmac<Sha256> {
        let mut text = Vec::new();
        write_object(object, &mut text);
        self.hmac(purpose, &[context.as_bytes(), &text])
    }

    /// The parts carry their lengths, so that no two lists of parts have the same MAC.
    fn hmac(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        // HMAC takes keys of any length.
        let mut mac = mac.unwrap_or_else(|_| Hmac::new(&Default::default()));
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part);
        }
        mac
    }
}

/// Writes JSON with sorted keys and without spaces: the same value is always the same text.
fn write_value(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Object(object) => write_object(object, text),
        Value::Array(values) => {
            text.push(b'[');
            for value in values {
                write_value(value, text);
                text.push(b',');
            }
            text.push(b']');
        }
        scalar => text.extend_from_slice(scalar.to_string().as_bytes()),
    }
}

fn write_object(object: &Map<String, Value>, text: &mut Vec<u8>) {
    let mut members: Vec<_> = object.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    text.push(b'{');
    for (name, value) in members {
        text.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
        text.push(b':');
        write_value(value, text);
        text.push(b',');
    }
    text.push(b'}');
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = digits.chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_key_survives_its_text_and_is_not_shown() {
        let key = TaskKey::from([0xa7; 32]);
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<TaskKey>(&text).unwrap(), key);
        for bad in ["\"\"", "\"a7\"", "7", "\"zz\""] {
            assert!(serde_json::from_str::<TaskKey>(bad).is_err(), "{bad}");
        }
        assert!(!format!("{key:?}").contains("a7"));
    }

    #[test]
    fn a_seal_holds_for_its_key_purpose_context_and_content_only() {
        let key = TaskKey::from([1; 32]);
        let mut sealed = object(json!({"b": [1, {"x": "ü\n"}], "a": null}));
        key.seal("exit", "", &mut sealed);
        assert!(key.is_sealed("exit", "", &sealed));
        // The order in which the members stand means nothing.
        let again = serde_json::to_string(&sealed).unwrap();
        assert!(key.is_sealed("exit", "", &serde_json::from_str(&again).unwrap()));
        assert!(!TaskKey::from([2; 32]).is_sealed("exit", "", &sealed));
        assert!(!key.is_sealed("shim", "", &sealed));
        assert!(!key.is_sealed("exit", "n", &sealed));
        for (name, value) in [
            ("a", json!(0)),
            ("b", json!([1])),
            ("c", json!(1)),
            ("mac", json!("00")),
            ("mac", json!("")),
            ("mac", json!(7)),
        ] {
            let mut changed = sealed.clone();
            changed.insert(name.to_owned(), value);
            assert!(!key.is_sealed("exit", "", &changed), "{name}");
        }
        sealed.remove("mac");
        assert!(!key.is_sealed("exit", "", &sealed));
    }

    #[test]
    fn a_mark_is_of_one_folder_and_one_key() {
        let key = TaskKey::from([1; 32]);
        let id = |device, inode| FileId { device, inode };
        let mark = key.mark(id(1, 2));
        assert_eq!(mark, key.mark(id(1, 2)));
        for other in [
            key.mark(id(1, 3)),
            key.mark(id(2, 1)),
            TaskKey::from([2; 32]).mark(id(1, 2)),
        ] {
            assert_ne!(mark, other);
        }
    }
}
