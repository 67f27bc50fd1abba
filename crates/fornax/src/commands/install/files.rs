//! Settings files on the disk: read whole, written whole, nowhere but where they belong.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use tempfile::NamedTempFile;

use crate::failure::{Failure, fail};

/// The largest file that is taken for settings, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// A file as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current(Option<String>);

impl Current {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Current, Failure> {
        let mut bytes = Vec::new();
        let read =
            File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Current(None)),
            Err(error) => return Err(storage("read", path, &error)),
        }
        match String::from_utf8(bytes) {
            Ok(text) if text.len() as u64 <= MAX_BYTES => Ok(Current(Some(text))),
            _ => fail(
                ErrorKind::Conflict,
                format!("{}:1: this is no settings file", path.display()),
                "it is not UTF-8, or larger than 64 MiB: look at what is in it",
            ),
        }
    }

    /// Its text; empty where there is none.
    pub fn text(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there is such a file.
    pub fn exists(&self) -> bool {
        self.0.is_some()
    }
}

/// Where a file really is. A link that leads out of the root is refused.
pub fn within(root: &Path, path: &Path) -> Result<PathBuf, Failure> {
    let refused = |why: String| {
        let what = format!("{}: {why}", path.display());
        fail(
            ErrorKind::Forbidden,
            what,
            "write there yourself, or put a file in the link's place",
        )
    };
    let real_root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    // The deepest that exists; what lies below it will be made.
    for ancestor in path.ancestors() {
        if ancestor.symlink_metadata().is_err() {
            continue;
        }
        let Ok(real) = ancestor.canonicalize() else {
            return refused("it is a link that leads nowhere".to_owned());
        };
        if ancestor.starts_with(root) && !real.starts_with(&real_root) {
            return refused(format!(
                "it leads to {}, out of {}",
                real.display(),
                root.display()
            ));
        }
        let below = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
        return Ok(match below.as_os_str().is_empty() {
            true => real,
            false => real.join(below),
        });
    }
    Ok(path.to_owned())
}

/// Replaces a file that is still as it was read; the folders that were made for it, outermost first.
pub fn write(
    path: &Path,
    before: &Current,
    text: &str,
    private: bool,
) -> Result<Vec<PathBuf>, Failure> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let mut made: Vec<PathBuf> = dir
        .ancestors()
        .take_while(missing)
        .map(Path::to_owned)
        .collect();
    made.reverse();
    let mode = match fs::metadata(path) {
        Ok(meta) => meta.permissions(),
        Err(_) if private => Permissions::from_mode(0o600),
        Err(_) => Permissions::from_mode(0o644),
    };
    unchanged(path, before)?;
    let written = fs::create_dir_all(dir).and_then(|()| {
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(mode)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(dir)?.sync_all()
    });
    written.map_err(|error| storage("write", path, &error))?;
    Ok(made)
}

/// Removes a file that is still as it was read.
pub fn remove(path: &Path, before: &Current) -> Result<(), Failure> {
    unchanged(path, before)?;
    fs::remove_file(path).map_err(|error| storage("remove", path, &error))
}

/// Removes those of the folders that are empty.
pub fn remove_empty(dirs: &[PathBuf]) {
    for dir in dirs.iter().rev() {
        // One with something in it stays.
        let _ = fs::remove_dir(dir);
    }
}

fn unchanged(path: &Path, before: &Current) -> Result<(), Failure> {
    if Current::read(path)? == *before {
        return Ok(());
    }
    fail(
        ErrorKind::Conflict,
        format!(
            "{} has been changed just now by another program",
            path.display()
        ),
        "do it again",
    )
}

fn storage(doing: &str, path: &Path, error: &io::Error) -> Failure {
    let what = format!("cannot {doing} {}: {error}", path.display());
    Failure::Error(Error::new(ErrorKind::Storage, what))
}
