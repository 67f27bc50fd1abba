//! The files that a task left in its folder, as its supervisor proved them: one that was replaced or cut
//! after the task's end is not taken for the task's.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use fornax_runner::{ExitProof, LOGS, LeftFile};
use rustix::fs::OFlags;

pub const STDOUT: &str = LOGS[0];
pub const STDERR: &str = LOGS[1];
/// What an agent's host wrote down.
pub const SESSION: &str = "session.jsonl";

/// The files of one task.
pub struct Files<'a> {
    dir: &'a Path,
    /// None where the task was started by a version whose supervisors prove nothing.
    proof: Option<&'a ExitProof>,
}

impl<'a> Files<'a> {
    /// The files in the task's folder `dir`.
    pub fn new(dir: &'a Path, proof: Option<&'a ExitProof>) -> Files<'a> {
        Files { dir, proof }
    }

    /// Whether a file is as the supervisor left it.
    ///
    /// # Errors
    /// A sentence about it, where it is not.
    pub fn check(&self, name: &str) -> Result<(), String> {
        match self.open(name) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(format!("{name} {error}"))
            }
            // One that is not there, or cannot be read, is not mistaken for anything.
            _ => Ok(()),
        }
    }

    /// The last `max` bytes of a file as text, whole characters only, marked where something is missing.
    ///
    /// # Errors
    /// Where it cannot be read, or is not what the supervisor left: `InvalidData`.
    pub fn read_tail(&self, name: &str, max: u64) -> io::Result<String> {
        let (mut file, size) = self.open(name)?;
        let from = size.saturating_sub(max);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(size - from).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        if from == 0 {
            return Ok(text.into_owned());
        }
        let text = text.trim_start_matches(char::REPLACEMENT_CHARACTER);
        Ok(format!("…{text}"))
    }

    /// The file, and how much of it is the task's.
    fn open(&self, name: &str) -> io::Result<(File, u64)> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(self.dir.join(name));
        let replaced = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let file = match file {
            // A link is in its place.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(replaced("was replaced by a link"));
            }
            file => file?,
        };
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(replaced("was replaced by something that is not a file"));
        }
        let Some(proof) = self.proof else {
            return Ok((file, meta.len()));
        };
        match proof.files.get(name) {
            Some(LeftFile { inode, size }) if *inode == meta.ino() => match meta.len() >= *size {
                true => Ok((file, *size)),
                false => Err(replaced("was cut after the task ended")),
            },
            _ => Err(replaced("was replaced after the task ended")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fornax_runner::{FileId, StateDir};
    use std::fs;

    fn proof(dir: &Path) -> ExitProof {
        let meta = fs::metadata(dir.join(STDOUT)).unwrap();
        let id = FileId {
            device: meta.dev(),
            inode: 1,
        };
        let left = LeftFile {
            inode: meta.ino(),
            size: meta.len(),
        };
        ExitProof {
            protocol: 2,
            boot_id: String::new(),
            folder: id,
            state: StateDir {
                path: String::new(),
                id,
            },
            files: [(STDOUT.to_owned(), left)].into(),
            mac: String::new(),
        }
    }

    #[test]
    fn only_what_the_supervisor_left_is_read() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(STDOUT);
        fs::write(&path, "äbc").unwrap();
        let proof = proof(temp.path());
        let files = Files::new(temp.path(), Some(&proof));
        assert_eq!(files.read_tail(STDOUT, 100).unwrap(), "äbc");
        assert_eq!(files.read_tail(STDOUT, 3).unwrap(), "…bc");
        // What was added since is not the task's.
        fs::OpenOptions::new().append(true).open(&path).unwrap();
        fs::write(&path, "äbc and more").unwrap();
        assert_eq!(files.read_tail(STDOUT, 100).unwrap(), "äbc");
        fs::write(&path, "x").unwrap();
        assert!(files.check(STDOUT).unwrap_err().contains("cut"));

        let kept = temp.path().join("kept");
        fs::rename(&path, &kept).unwrap();
        assert!(files.check(STDOUT).is_ok(), "what is not there is nothing");
        assert!(files.read_tail(STDOUT, 100).is_err());
        fs::write(&path, "äbc").unwrap();
        assert!(files.check(STDOUT).unwrap_err().contains("replaced"));
        assert!(files.read_tail(STDOUT, 100).is_err());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&kept, &path).unwrap();
        assert!(files.check(STDOUT).unwrap_err().contains("link"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(files.check(STDOUT).is_err());
        // A file that the supervisor did not see is none of the task's.
        fs::write(temp.path().join(SESSION), "{}").unwrap();
        assert!(files.check(SESSION).is_err());
    }
}
