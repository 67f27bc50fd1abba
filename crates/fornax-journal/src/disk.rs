//! Small file operations that say what they guarantee.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The flag that keeps a symbolic link from leading out of the project.
pub(crate) const NO_LINK: i32 = OFlags::NOFOLLOW.bits() as i32;
/// The flag that keeps a pipe from making us wait for its writer.
const NO_WAIT: i32 = OFlags::NONBLOCK.bits() as i32;
/// What is written is its user's alone, whatever the umask.
const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIR: u32 = 0o700;

/// Opens a file of the project for reading.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(NO_LINK | NO_WAIT)
        .open(path)?;
    regular(file)
}

/// Opens a folder of the project.
pub(crate) fn open_dir(path: &Path) -> io::Result<File> {
    let flags = NO_LINK | OFlags::DIRECTORY.bits() as i32;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The file, where it is a regular one: others may end never, or not be what was written.
fn regular(file: File) -> io::Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        )),
    }
}

/// Makes an empty file of the project, or empties it.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(PRIVATE_FILE)
        .custom_flags(NO_LINK | NO_WAIT)
        .open(path)
}

/// Opens a file of the project for appending and reading; `create` makes it where it is missing.
pub(crate) fn open_append(path: &Path, create: bool) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .read(true)
        .create(create)
        .mode(PRIVATE_FILE)
        .custom_flags(NO_LINK | NO_WAIT)
        .open(path)?;
    regular(file)
}

/// Makes a file with `bytes` in it, durably but for its folder.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes what was created, renamed or removed in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Replaces a file: whoever reads sees the old content or the new, also after a power loss.
pub(crate) fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_of(path);
    write_synced(&draft, bytes)?;
    fs::rename(&draft, path)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Renames something that cannot be used so that nothing is lost: its name gets the first free ending
/// of `.damaged-1`, `.damaged-2`, ... Returns where it is now.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    for number in 1..=u32::MAX {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{number}"));
        let to = PathBuf::from(name);
        if to.symlink_metadata().is_err() {
            fs::rename(path, &to)?;
            return Ok(to);
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// The name under which a file's next content is written.
pub(crate) fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Reads a whole text file of at most `max_bytes`.
pub(crate) fn read_text(path: &Path, max_bytes: u64) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.take(max_bytes + 1).read_to_string(&mut text)?;
    if text.len() as u64 > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {max_bytes} bytes"),
        ));
    }
    Ok(text)
}

/// Reads a whole file of at most `max_bytes`.
pub(crate) fn read_bytes(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("longer than {max_bytes} bytes"),
        ));
    }
    Ok(bytes)
}

/// Makes a folder; true where it was not there.
pub(crate) fn make_dir(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(PRIVATE_DIR).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_dir(path) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there is a folder, and not a link to one: what lies in it would lie elsewhere.
pub(crate) fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Removes a file that may be missing.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
