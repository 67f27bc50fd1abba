//! What a shim proves: on its socket, who it is; in `exit.json`, that the record is its own.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key::TaskKey;
use crate::place::{FileId, StateDir};
use crate::procs::Identity;
use crate::spec::{Exit, TaskSpec};

/// The version of what daemon and shim have agreed on. Shims of version 1 prove nothing; see
/// [`crate::legacy`].
pub const PROTOCOL: u32 = 2;

const SHIM: &str = "shim";
const EXIT: &str = "exit";
/// The member of an exit record that holds its proof.
const PROOF: &str = "proof";

/// What a shim answers to a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimProof {
    /// See [`PROTOCOL`].
    pub protocol: u32,
    /// The task.
    pub task_id: String,
    /// Its fencing token.
    pub attempt: u32,
    /// The shim's process.
    pub shim: Identity,
    /// The task's folder.
    pub folder: FileId,
    /// Whose shim it is.
    pub state: StateDir,
    /// How long the command has run, the time in which it was suspended left out.
    pub ran_ms: u64,
}

impl ShimProof {
    /// What this process can prove, as the shim of the task in `spec`.
    pub fn new(spec: &TaskSpec, folder: FileId, state: &StateDir, ran: Duration) -> ShimProof {
        ShimProof {
            protocol: PROTOCOL,
            task_id: spec.task_id.clone(),
            attempt: spec.attempt,
            shim: Identity::of(std::process::id()).unwrap_or_default(),
            folder,
            state: state.clone(),
            ran_ms: u64::try_from(ran.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The answer to the challenge `nonce`.
    pub fn seal(&self, key: &TaskKey, nonce: &str) -> Map<String, Value> {
        // It has nothing in it that JSON cannot hold.
        let object = serde_json::to_value(self).unwrap_or_default();
        let mut object = object.as_object().cloned().unwrap_or_default();
        key.seal(SHIM, nonce, &mut object);
        object
    }

    /// Reads an answer to the challenge `nonce`; none where the key or the nonce is another one.
    pub fn open(answer: Map<String, Value>, key: &TaskKey, nonce: &str) -> Option<ShimProof> {
        if !key.is_sealed(SHIM, nonce, &answer) {
            return None;
        }
        serde_json::from_value(Value::Object(answer)).ok()
    }
}

/// One of the files that a task leaves in its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFile {
    /// Its inode, on the folder's device.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
}

/// The member `proof` of `exit.json`: where the record belongs, and the files that belong to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitProof {
    /// See [`PROTOCOL`].
    pub protocol: u32,
    /// The boot in which it was written: devices have other numbers in another one.
    pub boot_id: String,
    /// The task's folder.
    pub folder: FileId,
    /// Whose shim wrote it.
    pub state: StateDir,
    /// The logs, by their names.
    pub files: BTreeMap<String, LeftFile>,
    /// The HMAC with the task's key over the whole record.
    #[serde(default)]
    pub mac: String,
}

impl ExitProof {
    /// Whether it was written for this folder.
    pub fn is_of(&self, folder: FileId, boot_id: &str) -> bool {
        let same_device = self.folder.device == folder.device || self.boot_id != boot_id;
        self.folder.inode == folder.inode && same_device
    }
}

/// Adds the proof to a record.
pub fn seal_exit(exit: &mut Exit, key: &TaskKey) {
    let Some(mut object) = object_of(exit) else {
        return;
    };
    let mac = sealed(&mut object, key);
    if let (Some(proof), Some(mac)) = (&mut exit.proof, mac) {
        proof.mac = mac;
    }
}

fn object_of(exit: &Exit) -> Option<Map<String, Value>> {
    match serde_json::to_value(exit) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// Moves the MAC from the proof to where seals are, and makes it anew.
fn sealed(object: &mut Map<String, Value>, key: &TaskKey) -> Option<String> {
    object.get_mut(PROOF)?.as_object_mut()?.remove("mac");
    key.seal(EXIT, "", object);
    Some(object.get("mac")?.as_str()?.to_owned())
}

/// A record as it was found.
pub enum Record {
    /// The task's shim wrote it.
    Proved(Exit),
    /// It says nothing about who wrote it.
    Unproved(Exit),
    /// It is not what a shim of this task wrote: why.
    Refused(String),
}

/// Reads a record. The caller compares where it belongs.
pub fn read_exit(text: &[u8], key: &TaskKey) -> Record {
    let mut object = match serde_json::from_slice(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Record::Refused("it is not an object".to_owned()),
        Err(error) => return Record::Refused(format!("it is damaged: {error}")),
    };
    let exit = match serde_json::from_value::<Exit>(Value::Object(object.clone())) {
        Ok(exit) => exit,
        Err(error) => return Record::Refused(format!("it is damaged: {error}")),
    };
    if object.get(PROOF).is_none_or(Value::is_null) {
        return Record::Unproved(exit);
    }
    let mac = object
        .get_mut(PROOF)
        .and_then(Value::as_object_mut)
        .and_then(|proof| proof.remove("mac"));
    // A seal of its own in the record would be covered by the proof's.
    object.insert("mac".to_owned(), mac.unwrap_or_default());
    if key.is_sealed(EXIT, "", &object) {
        Record::Proved(exit)
    } else {
        Record::Refused("its proof was not made with this task's key".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ExitCause;
    use proptest::prelude::*;

    fn exit(key: &TaskKey) -> Exit {
        let mut exit = Exit::never_started("t-4k2p9x-1", 1, ExitCause::Exited, None);
        exit.code = Some(0);
        let id = FileId {
            device: 1,
            inode: 2,
        };
        exit.proof = Some(Box::new(ExitProof {
            protocol: PROTOCOL,
            boot_id: "boot".into(),
            folder: id,
            state: StateDir {
                path: "/state".into(),
                id,
            },
            files: [("stdout.log".into(), LeftFile { inode: 3, size: 4 })].into(),
            mac: String::new(),
        }));
        seal_exit(&mut exit, key);
        exit
    }

    fn is_proved(text: &[u8], key: &TaskKey) -> bool {
        matches!(read_exit(text, key), Record::Proved(_))
    }

    #[test]
    fn a_record_proves_itself_and_nothing_in_it_can_be_changed() {
        let key = TaskKey::from([1; 32]);
        let exit = exit(&key);
        let text = serde_json::to_vec_pretty(&exit).unwrap();
        let Record::Proved(read) = read_exit(&text, &key) else {
            panic!("not proved");
        };
        assert_eq!(read, exit);
        assert!(!is_proved(&text, &TaskKey::from([2; 32])));
        let value: Value = serde_json::from_slice(&text).unwrap();
        for (name, _) in value.as_object().unwrap() {
            for new in [Value::from(7), Value::from("x"), Value::Null] {
                let mut changed = value.clone();
                if changed[name] == new {
                    continue;
                }
                changed[name] = new;
                assert!(!is_proved(changed.to_string().as_bytes(), &key), "{name}");
            }
        }
        for (name, new) in [("mac", "00"), ("mac", ""), ("boot_id", "other")] {
            let mut changed = value.clone();
            changed["proof"][name] = new.into();
            assert!(!is_proved(changed.to_string().as_bytes(), &key), "{name}");
        }
        let mut without = value.clone();
        without.as_object_mut().unwrap().remove("proof");
        let read = read_exit(without.to_string().as_bytes(), &key);
        assert!(matches!(read, Record::Unproved(_)));
        // What a later version adds to its own record is covered like all else.
        let mut more = value.clone();
        more["mood"] = "good".into();
        assert!(!is_proved(more.to_string().as_bytes(), &key));
    }

    #[test]
    fn a_folder_is_known_by_its_inode_and_within_a_boot_by_its_device_too() {
        let proof = exit(&TaskKey::from([1; 32])).proof.unwrap();
        let id = |device, inode| FileId { device, inode };
        assert!(proof.is_of(id(1, 2), "boot"));
        assert!(!proof.is_of(id(9, 2), "boot"));
        assert!(proof.is_of(id(9, 2), "next boot"));
        assert!(!proof.is_of(id(1, 9), "next boot"));
    }

    #[test]
    fn an_answer_is_to_one_challenge() {
        let key = TaskKey::from([1; 32]);
        let id = FileId {
            device: 1,
            inode: 2,
        };
        let proof = ShimProof {
            protocol: PROTOCOL,
            task_id: "t-4k2p9x-1".into(),
            attempt: 1,
            shim: Identity { pid: 7, start: 8 },
            folder: id,
            state: StateDir {
                path: "/state".into(),
                id,
            },
            ran_ms: 5,
        };
        let answer = proof.seal(&key, "nonce");
        let open = |key: &TaskKey, nonce| ShimProof::open(answer.clone(), key, nonce);
        assert_eq!(open(&key, "nonce"), Some(proof.clone()));
        assert_eq!(open(&key, "another"), None);
        assert_eq!(open(&TaskKey::from([2; 32]), "nonce"), None);
        assert_eq!(ShimProof::open(Map::new(), &key, "nonce"), None);
    }

    proptest! {
        #[test]
        fn what_others_wrote_is_never_an_end(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            let key = TaskKey::from([1; 32]);
            prop_assert!(!is_proved(&text, &key));
        }

        #[test]
        fn a_record_with_changed_bytes_is_no_end_or_says_the_same(
            at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
        ) {
            let key = TaskKey::from([1; 32]);
            let exit = exit(&key);
            let mut text = serde_json::to_vec_pretty(&exit).unwrap();
            let at = at.index(text.len());
            if cut { text.truncate(at) } else { text[at] = byte }
            if let Record::Proved(read) = read_exit(&text, &key) {
                prop_assert_eq!(read, exit);
            }
        }
    }
}
