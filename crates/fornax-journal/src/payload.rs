//! Files that hold an event's own fields where these do not fit into a line.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::disk;

/// The folder of the payload files, within the run's.
pub(crate) const FOLDER: &str = "payloads";

/// The largest payload, in bytes.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The name of a record's payload file, relative to the run's folder.
pub(crate) fn name(seq: u64) -> String {
    format!("{FOLDER}/{seq:08}.json")
}

/// Where a payload file is that a record names. The name comes from a file that may have been
/// copied from anywhere, so it must lead into the run's folder and nowhere else.
pub(crate) fn locate(run_dir: &Path, name: &str) -> io::Result<PathBuf> {
    let outside = || io::Error::other(format!("`{name}` leads out of the run's folder"));
    let inside = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !inside {
        return Err(outside());
    }
    let path = run_dir.join(name);
    // Folders on the way may be links as well.
    if !path.canonicalize()?.starts_with(run_dir.canonicalize()?) {
        return Err(outside());
    }
    Ok(path)
}

/// Reads a payload file that a record names.
pub(crate) fn read(run_dir: &Path, name: &str) -> io::Result<String> {
    disk::read_text(&locate(run_dir, name)?, MAX_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        std::fs::create_dir_all(run.join("payloads")).unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::fs::write(run.join("payloads/00000001.json"), "{}").unwrap();
        std::os::unix::fs::symlink(dir.path(), run.join("up")).unwrap();
        std::os::unix::fs::symlink("../../secret", run.join("payloads/2.json")).unwrap();

        assert_eq!(read(&run, &name(1)).unwrap(), "{}");
        let absolute = dir.path().join("secret");
        for bad in [
            "",
            ".",
            "../secret",
            "payloads/../../secret",
            "up/secret",
            "payloads/2.json",
            absolute.to_str().unwrap(),
        ] {
            assert!(read(&run, bad).is_err(), "{bad}");
        }
    }
}
