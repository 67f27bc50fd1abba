//! Whether a project's data is still where it was opened.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The `.fornax` of a project, held open: a rename does not lose it.
pub(super) struct Anchor {
    dir: File,
    path: PathBuf,
}

/// Where the data of a project is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Where it was opened.
    Here,
    /// In this folder of a project now.
    Moved(PathBuf),
    /// Nowhere: it was deleted, or moved to another disk.
    Deleted,
}

impl Anchor {
    pub fn open(data: &Path) -> io::Result<Anchor> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let dir = File::options()
            .read(true)
            .custom_flags(flags.bits() as i32)
            .open(data)?;
        Ok(Anchor {
            dir,
            path: data.to_owned(),
        })
    }

    pub fn place(&self) -> Place {
        let same = |other: io::Result<std::fs::Metadata>| {
            let own = self.dir.metadata();
            matches!((own, other), (Ok(own), Ok(other))
                if (own.dev(), own.ino()) == (other.dev(), other.ino()))
        };
        if same(self.path.symlink_metadata()) {
            return Place::Here;
        }
        let link = format!("/proc/self/fd/{}", self.dir.as_raw_fd());
        let now = std::fs::read_link(link).unwrap_or_default();
        // Of a deleted folder the kernel makes up a path, at which nothing or something else is.
        match now.parent() {
            Some(root) if now.ends_with(".fornax") && same(now.symlink_metadata()) => {
                Place::Moved(root.to_owned())
            }
            _ => Place::Deleted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_rename_is_followed_and_a_deletion_noticed() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        let data = root.join("p/.fornax");
        fs::create_dir_all(&data).unwrap();
        let anchor = Anchor::open(&data).unwrap();
        assert_eq!(anchor.place(), Place::Here);
        fs::rename(root.join("p"), root.join("q")).unwrap();
        assert_eq!(anchor.place(), Place::Moved(root.join("q")));
        // Something else in its place is not it.
        fs::create_dir_all(&data).unwrap();
        assert_eq!(anchor.place(), Place::Moved(root.join("q")));
        fs::rename(root.join("q/.fornax"), root.join("q/set-aside")).unwrap();
        assert_eq!(anchor.place(), Place::Deleted);
        fs::remove_dir_all(root.join("q")).unwrap();
        assert_eq!(anchor.place(), Place::Deleted);
        fs::remove_dir_all(root.join("p")).unwrap();
        assert_eq!(anchor.place(), Place::Deleted);
    }
}
