//! The records of a project are its user's alone: journals, prompts and results are in them.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// What group and others may do with a file.
const OTHERS: u32 = 0o077;
/// Folders below which nothing is touched: what tasks made, and checkouts.
const OF_TASKS: [&str; 2] = ["artifacts", "worktrees"];

/// Closes the folder of a project's records to other users, and everything that Fornax wrote into
/// it, where it is open to them. Files of other users stay as they are, links are not followed.
///
/// # Errors
/// When the folder cannot be looked at. Where `chmod` has no effect, nothing is changed.
pub(crate) fn close(data: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(data)?;
    // A folder that is closed was closed before anything was written into it.
    if !meta.is_dir() || meta.mode() & OTHERS == 0 || !tighten(data, &meta)? {
        return Ok(());
    }
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        // What went away meanwhile, or cannot be entered, is not open to others either.
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let is_of_task = OF_TASKS.iter().any(|name| entry.file_name() == *name);
            if is_of_task || meta.is_symlink() {
                continue;
            }
            if meta.mode() & OTHERS != 0 && (meta.is_file() || meta.is_dir()) {
                tighten(&entry.path(), &meta)?;
            }
            if meta.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Takes away what group and others may do. Whether that had an effect.
fn tighten(path: &Path, seen: &Metadata) -> io::Result<bool> {
    if seen.uid() != rustix::process::geteuid().as_raw() {
        return Ok(false);
    }
    let file = match open(path) {
        Ok(file) => file,
        // It went away, or was replaced by a link or a pipe; or it cannot be read.
        Err(_) => return Ok(false),
    };
    let meta = file.metadata()?;
    if (meta.dev(), meta.ino()) != (seen.dev(), seen.ino()) || meta.nlink() > 1 && meta.is_file() {
        return Ok(false);
    }
    let mode = meta.mode() & 0o7777 & !OTHERS;
    match file.set_permissions(Permissions::from_mode(mode)) {
        Ok(()) => Ok(file.metadata()?.mode() & OTHERS == 0),
        // A file system without modes, or one that is read-only.
        Err(_) => Ok(false),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_fornax_wrote_is_closed_and_what_tasks_made_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().join(".fornax");
        let task = data.join("runs/RUN-1/tasks/t-1");
        fs::create_dir_all(task.join("artifacts")).unwrap();
        fs::create_dir_all(data.join("worktrees/w")).unwrap();
        for file in [
            "project.json",
            "runs/RUN-1/events.jsonl",
            "runs/RUN-1/tasks/t-1/stdout.log",
            "runs/RUN-1/tasks/t-1/artifacts/report",
            "worktrees/w/file",
        ] {
            fs::write(data.join(file), "").unwrap();
            chmod(&data.join(file), 0o644);
        }
        fs::write(temp.path().join("mine"), "").unwrap();
        chmod(&temp.path().join("mine"), 0o644);
        symlink("../mine", data.join("link")).unwrap();
        for folder in [&data, &data.join("runs"), &task, &task.join("artifacts")] {
            chmod(folder, 0o755);
        }
        close(&data).unwrap();
        for folder in ["", "runs", "runs/RUN-1/tasks/t-1"] {
            assert_eq!(mode(&data.join(folder)), 0o700, "{folder}");
        }
        for file in [
            "project.json",
            "runs/RUN-1/events.jsonl",
            "runs/RUN-1/tasks/t-1/stdout.log",
        ] {
            assert_eq!(mode(&data.join(file)), 0o600, "{file}");
        }
        assert_eq!(mode(&task.join("artifacts")), 0o755);
        assert_eq!(mode(&task.join("artifacts/report")), 0o644);
        assert_eq!(mode(&data.join("worktrees/w/file")), 0o644);
        assert_eq!(mode(&temp.path().join("mine")), 0o644);
        close(&data).unwrap();
    }
}
