//! Opening files whose content others may control: projects come from clones, archives and other
//! users.
//!
//! What is opened is a regular file of bounded size. It is looked at before it is opened for
//! reading, so no device is touched and no pipe is waited for.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// A file that was read: its bytes and its metadata, both of the same open file.
#[derive(Debug)]
pub struct Content {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The metadata, taken before the bytes were read.
    pub meta: std::fs::Metadata,
}

/// Opens a regular file. Symbolic links in the path are followed: the path comes from a person.
///
/// # Errors
/// `InvalidInput` where it is not a regular file; what the system says.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    reopen(&found)
}

/// Opens a regular file below `root` by a relative name. Symbolic links are followed where they
/// stay below `root`.
///
/// # Errors
/// `InvalidInput` where it leads out of `root`, or is not a regular file; what the system says.
pub fn open_beneath(root: &Path, name: &Path) -> io::Result<File> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root_fd = rustix::fs::open(root, folder, Mode::empty())?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(&root_fd, name, flags, Mode::empty(), beneath) {
        Ok(found) => reopen(&found),
        Err(Errno::XDEV | Errno::LOOP) => Err(leads_out()),
        // Kernels before 5.6, and sandboxes that do not know the call.
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
            let real = root.join(name).canonicalize()?;
            if !real.starts_with(root.canonicalize()?) {
                return Err(leads_out());
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            reopen(&rustix::fs::openat(CWD, &real, flags, Mode::empty())?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a file whole, where it has at most `max_bytes`.
///
/// # Errors
/// `FileTooLarge`; what the system says.
pub fn read(file: File, max_bytes: u64) -> io::Result<Content> {
    let meta = file.metadata()?;
    let too_large = || {
        let what = format!("it is larger than {max_bytes} bytes");
        io::Error::new(io::ErrorKind::FileTooLarge, what)
    };
    if meta.len() > max_bytes {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // A file may grow meanwhile, and some say that they are empty and are not.
    file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(too_large());
    }
    Ok(Content { bytes, meta })
}

/// Opens what an `O_PATH` descriptor names for reading, where it is a regular file.
fn reopen(found: &OwnedFd) -> io::Result<File> {
    use rustix::fs::FileType;
    let kind = FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode);
    let what = match kind {
        FileType::RegularFile => {
            let path = format!("/proc/self/fd/{}", found.as_fd().as_raw_fd());
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            return Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?));
        }
        FileType::Directory => "it is a directory",
        FileType::Fifo => "it is a pipe",
        FileType::Socket => "it is a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "it is a device",
        _ => "it is not a regular file",
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{what}, and only regular files are read"),
    ))
}

fn leads_out() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "it leads out of the project's directory",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::write(at("plain"), "text").unwrap();
        symlink("plain", at("link")).unwrap();
        symlink("/dev/ptmx", at("device")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        symlink("loop", at("loop")).unwrap();
        fs::create_dir(at("dir")).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, at("pipe"), fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for name in ["plain", "link"] {
            assert_eq!(
                read(open_regular(&at(name)).unwrap(), 4).unwrap().bytes,
                b"text"
            );
        }
        for (name, what) in [
            ("device", "a device"),
            ("zero", "a device"),
            ("dir", "a directory"),
            ("pipe", "a pipe"),
            ("socket", "a socket"),
        ] {
            let error = open_regular(&at(name)).unwrap_err();
            assert!(error.to_string().contains(what), "{name}: {error}");
        }
        for name in ["loop", "missing"] {
            open_regular(&at(name)).unwrap_err();
        }
        let error = read(open_regular(&at("plain")).unwrap(), 3).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn links_are_followed_within_a_folder_and_not_out_of_it() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("in");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(temp.path().join("out"), "").unwrap();
        fs::write(root.join("sub/file"), "").unwrap();
        symlink("sub/file", root.join("inner")).unwrap();
        symlink("../out", root.join("outer")).unwrap();
        symlink(temp.path().join("out"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();
        let open = |name: &str| open_beneath(&root, Path::new(name));
        for name in ["sub/file", "inner"] {
            open(name).unwrap();
        }
        for name in [
            "outer",
            "absolute",
            "up/out",
            "../out",
            "sub/../../out",
            "sub",
            "/etc/passwd",
        ] {
            let error = open(name).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}: {error}");
        }
    }
}
