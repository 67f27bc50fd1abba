//! The projects that this installation knows: `projects.json` in the state directory.
//!
//! A project is identified by a key that its `.fornax/project.json` holds, together with the place where
//! it was seen last: path, device and inode of its `.fornax`. [`identify`] decides what a folder with a
//! key is; it is pure.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fornax_core::error::Error;
use serde::{Deserialize, Serialize};

use crate::home::{Home, read_json, replace_json};

/// The file, and the version of its format.
const FILE: &str = "projects.json";
const VERSION: u32 = 2;

/// How many earlier paths of a project are kept, the newest of them.
const FORMER_MAX: usize = 16;

/// A place on a disk: what a file system calls a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inode {
    /// The device's number. It may be another after a restart of the machine.
    pub device: u64,
    /// The inode's number on the device.
    pub inode: u64,
}

impl Inode {
    /// The inode of the `.fornax` in a project's folder; none where there is no such folder.
    #[must_use]
    pub fn of_data(root: &Path) -> Option<Inode> {
        let meta = fs::symlink_metadata(root.join(".fornax")).ok()?;
        meta.is_dir().then(|| Inode {
            device: meta.dev(),
            inode: meta.ino(),
        })
    }
}

/// A project that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its key: sixteen hexadecimal digits.
    pub key: String,
    /// Its folder.
    pub path: PathBuf,
    /// Where its `.fornax` was when it was seen last.
    pub inode: Inode,
    /// Earlier folders of it from which it was moved across disks, oldest first. What comes back there is
    /// the original.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<PathBuf>,
    /// Whether the daemon looks after it; a project that was forgotten is still known.
    pub is_registered: bool,
}

/// What a folder with a project's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The project, where it was.
    Same,
    /// A project that this installation has never seen.
    New,
    /// The project under a second path (a bind mount, a link): it keeps its first one.
    Alias(PathBuf),
    /// The project, renamed: its old path is gone and the inode is the same.
    Moved(PathBuf),
    /// The project on another disk or restored elsewhere, or a copy whose original was deleted: a person
    /// decides.
    MovedOrCopied(PathBuf),
    /// A copy of a project that is where it was.
    Copy(PathBuf),
    /// The original, which is back at a path from which it was said to have moved.
    Original(PathBuf),
}

/// What is at the path where a project was seen last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldPlace {
    /// No project with this key.
    Gone,
    /// A project with this key, its `.fornax` there.
    There(Inode),
}

/// Decides what the folder `path`, which has a known project's key, is.
#[must_use]
pub fn identify(known: &Known, path: &Path, inode: Inode, old: OldPlace) -> Identity {
    if known.path == path {
        return Identity::Same;
    }
    match old {
        OldPlace::There(old) if old == inode => Identity::Alias(known.path.clone()),
        _ if known.former.iter().any(|former| former == path) => {
            Identity::Original(known.path.clone())
        }
        OldPlace::There(_) => Identity::Copy(known.path.clone()),
        OldPlace::Gone if known.inode == inode => Identity::Moved(known.path.clone()),
        OldPlace::Gone => Identity::MovedOrCopied(known.path.clone()),
    }
}

/// All projects that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    v: u32,
    /// The folders that version 1 registered, until each was seen again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dirs: Vec<PathBuf>,
    #[serde(default)]
    projects: Vec<Known>,
}

impl Registry {
    /// Reads it; empty where there is none.
    ///
    /// # Errors
    /// `Damaged`, `Storage`.
    pub fn load(home: &Home) -> Result<Registry, Error> {
        Registry::load_from(home.dir())
    }

    /// Reads that of a state directory, which need not exist.
    ///
    /// # Errors
    /// `Damaged`, `Storage`.
    pub fn load_from(state_dir: &Path) -> Result<Registry, Error> {
        Ok(read_json(&state_dir.join(FILE))?.unwrap_or_default())
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// `Storage`.
    pub fn save(&mut self, home: &Home) -> Result<(), Error> {
        self.v = VERSION;
        replace_json(&home.dir().join(FILE), self)
    }

    /// The folders that the daemon looks after.
    pub fn registered(&self) -> impl Iterator<Item = &Path> {
        let known = self.projects.iter().filter(|known| known.is_registered);
        known
            .map(|known| known.path.as_path())
            .chain(self.dirs.iter().map(PathBuf::as_path))
    }

    /// The project with a key.
    #[must_use]
    pub fn by_key(&self, key: &str) -> Option<&Known> {
        self.projects.iter().find(|known| known.key == key)
    }

    /// The project that was seen last at a path.
    #[must_use]
    pub fn by_path(&self, path: &Path) -> Option<&Known> {
        let at_path = self.projects.iter().filter(|known| known.path == path);
        // Of several that were there one after the other, the last one.
        at_path.max_by_key(|known| known.is_registered)
    }

    /// Notes that a project is registered at a path. `moved_from` is where it was before, where it was
    /// moved in such a way that it may come back there.
    pub fn set(&mut self, key: &str, path: &Path, inode: Inode, moved_from: Option<PathBuf>) {
        self.dirs.retain(|dir| dir != path);
        // What was at this path before is no longer there.
        for other in &mut self.projects {
            if other.path == path && other.key != key {
                other.is_registered = false;
            }
        }
        let known = self.projects.iter().position(|known| known.key == key);
        let known = match known {
            Some(at) => &mut self.projects[at],
            None => {
                self.projects.push(Known {
                    key: key.to_owned(),
                    path: path.to_owned(),
                    inode,
                    former: Vec::new(),
                    is_registered: true,
                });
                return;
            }
        };
        known.former.retain(|former| former != path);
        known.former.extend(moved_from);
        let excess = known.former.len().saturating_sub(FORMER_MAX);
        known.former.drain(..excess);
        known.path = path.to_owned();
        known.inode = inode;
        known.is_registered = true;
    }

    /// Notes that the daemon no longer looks after what is at a path.
    pub fn forget(&mut self, path: &Path) {
        self.dirs.retain(|dir| dir != path);
        for known in &mut self.projects {
            if known.path == path {
                known.is_registered = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Inode = Inode {
        device: 1,
        inode: 7,
    };
    const ELSEWHERE: Inode = Inode {
        device: 1,
        inode: 8,
    };

    fn known() -> Known {
        Known {
            key: "00000000000000aa".to_owned(),
            path: "/old".into(),
            inode: HERE,
            former: vec!["/former".into()],
            is_registered: true,
        }
    }

    #[test]
    fn what_a_folder_with_a_known_key_is() {
        let old = || PathBuf::from("/old");
        let rebooted = Inode { device: 9, ..HERE };
        for (path, inode, place, expected) in [
            ("/old", HERE, OldPlace::There(HERE), Identity::Same),
            // After a reboot, a restore, in a container: whatever the device and the inode are.
            ("/old", rebooted, OldPlace::There(rebooted), Identity::Same),
            (
                "/old",
                ELSEWHERE,
                OldPlace::There(ELSEWHERE),
                Identity::Same,
            ),
            ("/link", HERE, OldPlace::There(HERE), Identity::Alias(old())),
            (
                "/link",
                rebooted,
                OldPlace::There(rebooted),
                Identity::Alias(old()),
            ),
            ("/new", HERE, OldPlace::Gone, Identity::Moved(old())),
            (
                "/new",
                ELSEWHERE,
                OldPlace::Gone,
                Identity::MovedOrCopied(old()),
            ),
            (
                "/new",
                rebooted,
                OldPlace::Gone,
                Identity::MovedOrCopied(old()),
            ),
            (
                "/new",
                ELSEWHERE,
                OldPlace::There(HERE),
                Identity::Copy(old()),
            ),
            // The recorded inode does not count where the old place is there.
            (
                "/new",
                HERE,
                OldPlace::There(ELSEWHERE),
                Identity::Copy(old()),
            ),
            (
                "/former",
                ELSEWHERE,
                OldPlace::There(HERE),
                Identity::Original(old()),
            ),
            (
                "/former",
                ELSEWHERE,
                OldPlace::Gone,
                Identity::Original(old()),
            ),
        ] {
            let found = identify(&known(), Path::new(path), inode, place);
            assert_eq!(found, expected, "{path} {inode:?} {place:?}");
        }
    }

    #[test]
    fn it_is_read_back_and_keeps_what_was_forgotten() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(temp.path().join("fornax")).unwrap();
        let mut registry = Registry::load(&home).unwrap();
        assert_eq!(registry, Registry::default());
        registry.set("aa", Path::new("/a b"), HERE, None);
        registry.set("bb", Path::new("/b"), ELSEWHERE, None);
        registry.forget(Path::new("/b"));
        registry.set("aa", Path::new("/c"), HERE, Some("/a b".into()));
        registry.save(&home).unwrap();
        let read = Registry::load(&home).unwrap();
        assert_eq!(read, registry);
        assert_eq!(read.registered().collect::<Vec<_>>(), [Path::new("/c")]);
        assert!(!read.by_path(Path::new("/b")).unwrap().is_registered);
        assert_eq!(read.by_key("aa").unwrap().former, [PathBuf::from("/a b")]);

        fs::write(home.dir().join(FILE), r#"{"v":1,"dirs":["/x"]}"#).unwrap();
        let mut read = Registry::load(&home).unwrap();
        assert_eq!(read.registered().collect::<Vec<_>>(), [Path::new("/x")]);
        read.set("cc", Path::new("/x"), HERE, None);
        assert_eq!(read.registered().count(), 1);
        // What begins anew at a path takes the place of what was there.
        read.set("dd", Path::new("/x"), HERE, None);
        assert_eq!(read.registered().count(), 1);
        for _ in 0..50 {
            read.set("dd", Path::new("/y"), HERE, Some("/x".into()));
        }
        assert!(read.by_key("dd").unwrap().former.len() <= FORMER_MAX);
    }
}
