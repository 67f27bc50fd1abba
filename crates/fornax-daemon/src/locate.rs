//! Which project a folder is: the same as before, a new one, moved, or a copy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use fornax_journal::{Installation, JournalError, Project};

use serde::Deserialize;

use crate::home::{Home, storage};
use crate::registry::{Identity, Inode, Known, OldPlace, Registry, identify};

/// What a person has decided about a project, in the project's folder of the state directory.
pub(crate) const DECISIONS_FILE: &str = "trust.json";

/// What a person is told to do about a project whose old place is gone.
pub const MOVED_OR_COPIED_HELP: &str = "if it was moved: `fornax trust --moved`; if it is a copy: \
     `fornax trust --copied` (its runs then stay read-only)";

/// What a person says of a project that was found at another place while its old place is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Relocation {
    /// It was moved: it is the same project.
    Moved,
    /// It is a copy: its runs stay read-only.
    Copied,
}

/// A project that was found.
pub(crate) struct Located {
    pub project: Project,
    pub key: u64,
    /// What a person should know of it.
    pub notice: Option<String>,
}

/// Finds out which project the folder `dir` is, creates its `.fornax` where there is none, and notes in
/// the registry where it is.
///
/// # Errors
/// `Forbidden` where a person must say whether it was moved or copied; `Damaged`, `Storage`.
pub(crate) fn locate(
    home: &Home,
    installation: &Installation,
    dir: &Path,
    answer: Option<Relocation>,
) -> Result<Located, Error> {
    let mut registry = Registry::load(home)?;
    let located = Locator {
        installation,
        registry: &mut registry,
        dir,
        answer,
    }
    .locate()?;
    registry.save(home)?;
    Ok(located)
}

/// The key that [`locate`] would find for the folder `dir`, and that it has already: none for a folder that is
/// new here, a copy, or one that a person must be asked about. Writes nothing. `state_dir` is the state directory.
///
/// # Errors
/// `Damaged`, `Storage`.
pub(crate) fn find_key(state_dir: &Path, dir: &Path) -> Result<Option<u64>, Error> {
    let Some(inode) = Inode::of_data(dir) else {
        return Ok(None);
    };
    let installation = Home::open(state_dir)?.installation()?;
    let registry = Registry::load_from(state_dir)?;
    Ok(match judge(&installation, &registry, dir, inode)? {
        Verdict::Same(key)
        | Verdict::Alias(_, key)
        | Verdict::Moved(_, key)
        | Verdict::Original(_, key) => Some(key),
        Verdict::New | Verdict::Keyless | Verdict::MovedOrCopied(..) | Verdict::Copy(_) => None,
    })
}

/// What a folder with a `.fornax` is. Paths are where the project was, or is as well.
enum Verdict {
    /// A project with a key that this installation has not seen.
    New,
    /// It has no key that can be read.
    Keyless,
    /// The project with this key, whatever its file says.
    Same(u64),
    /// The project under a second path; this is its first.
    Alias(PathBuf, u64),
    Moved(PathBuf, u64),
    /// The original of what is in the other place now.
    Original(PathBuf, u64),
    MovedOrCopied(PathBuf, u64),
    /// It has the key of the project in this place, and is not that project.
    Copy(PathBuf),
}

/// Decides what a folder is, without writing anything.
fn judge(
    installation: &Installation,
    registry: &Registry,
    dir: &Path,
    inode: Inode,
) -> Result<Verdict, Error> {
    let found = match Project::key_of(dir) {
        Err(JournalError::BadFile { .. }) => None,
        found => found?,
    };
    if let Some(before) = registry.by_path(dir)
        && let Some(key) = parse_key(&before.key)
    {
        let (same_key, same_inode) = (found == Some(key), before.inode == inode);
        let is_it = (same_key && same_inode)
            || ((same_key || same_inode) && is_proven(installation, dir, key, same_inode)?);
        if is_it {
            return Ok(Verdict::Same(key));
        }
    }
    let Some(key) = found else {
        return Ok(Verdict::Keyless);
    };
    let Some(known) = registry.by_key(&format_key(key)) else {
        return Ok(Verdict::New);
    };
    Ok(match identify(known, dir, inode, old_place(known, key)) {
        // Another project was here meanwhile.
        Identity::Same if is_proven(installation, dir, key, known.inode == inode)? => {
            Verdict::Same(key)
        }
        // What it holds does not prove that it is: something else is in its place.
        Identity::Same => Verdict::Copy(dir.to_owned()),
        Identity::New => Verdict::New,
        Identity::Alias(first) => Verdict::Alias(first, key),
        Identity::Copy(of) => Verdict::Copy(of),
        Identity::Moved(from) if is_proven(installation, dir, key, true)? => {
            Verdict::Moved(from, key)
        }
        Identity::Original(other) if is_proven(installation, dir, key, true)? => {
            Verdict::Original(other, key)
        }
        Identity::MovedOrCopied(from) if is_proven(installation, dir, key, false)? => {
            Verdict::MovedOrCopied(from, key)
        }
        Identity::Moved(from) | Identity::Original(from) | Identity::MovedOrCopied(from) => {
            Verdict::Copy(from)
        }
    })
}

/// Whether the folder holds the data of the project with this key, and not only its key or its inode's number,
/// both of which others can come by: one of its runs must be this installation's. Of a project without runs the
/// place must do.
fn is_proven(
    installation: &Installation,
    dir: &Path,
    key: u64,
    is_same_place: bool,
) -> Result<bool, Error> {
    if !installation.knows_runs(key) {
        return Ok(is_same_place);
    }
    Ok(installation.wrote(&Project::with_key(dir, key))?)
}

fn old_place(known: &Known, key: u64) -> OldPlace {
    match Project::key_of(&known.path) {
        Ok(Some(old)) if old == key => {
            Inode::of_data(&known.path).map_or(OldPlace::Gone, OldPlace::There)
        }
        _ => OldPlace::Gone,
    }
}

struct Locator<'a> {
    installation: &'a Installation,
    registry: &'a mut Registry,
    dir: &'a Path,
    answer: Option<Relocation>,
}

impl Locator<'_> {
    fn locate(mut self) -> Result<Located, Error> {
        let data = self.dir.join(".fornax");
        let Some(inode) = Inode::of_data(self.dir) else {
            if data.symlink_metadata().is_ok() {
                let message = format!("{} is not a folder", data.display());
                return Err(Error::new(ErrorKind::Forbidden, message)
                    .with_help("remove it, or work in another folder"));
            }
            return self.begin();
        };
        let here = self.dir.to_owned();
        match judge(self.installation, self.registry, self.dir, inode)? {
            Verdict::New => self.begin(),
            Verdict::Keyless => {
                Project::set_aside_key(self.dir)?;
                self.begin()
            }
            Verdict::Same(key) => {
                // Its file may be missing, damaged or replaced; the state directory knows better.
                Project::restore_key(self.dir, key)?;
                self.at(here, key, None, None)
            }
            Verdict::Alias(first, key) => {
                let notice = format!(
                    "{} is {} under another path",
                    here.display(),
                    first.display()
                );
                self.at(first, key, None, Some(notice))
            }
            Verdict::Moved(from, key) => {
                let notice = moved_notice(&from, self.dir);
                self.at(here, key, None, Some(notice))
            }
            Verdict::Original(other, key) => {
                let notice = format!(
                    "the original of the project in {} is back at {}",
                    other.display(),
                    here.display()
                );
                self.at(here, key, None, Some(notice))
            }
            Verdict::MovedOrCopied(from, key) => self.moved_or_copied(key, from),
            Verdict::Copy(of) if of == here => {
                Project::replace_key(self.dir)?;
                self.begin()
            }
            Verdict::Copy(of) => self.copy(&of),
        }
    }

    /// A project that this installation has not seen.
    fn begin(&mut self) -> Result<Located, Error> {
        let key = Project::open(self.dir)?.key()?;
        let project = Project::open_with_key(self.dir, key)?;
        self.forget_unproved_decisions(key)?;
        let before = self.registry.by_path(self.dir).cloned();
        let mut notice = None;
        if let Some(before) = before.filter(|before| before.key != format_key(key)) {
            if let Some(from) = parse_key(&before.key) {
                self.installation.inherit_numbers(from, key)?;
            }
            notice = Some(format!(
                "the data of {} was deleted or replaced: it begins anew",
                self.dir.display()
            ));
        }
        self.note(key, None)?;
        Ok(Located {
            project,
            key,
            notice,
        })
    }

    /// Removes what a person decided about the project with this key, unless the records in this folder prove that
    /// it is that project: a clone can bring any key, and a new folder can get the inode of a deleted one.
    fn forget_unproved_decisions(&self, key: u64) -> Result<(), Error> {
        let file = self.installation.project_dir(key).join(DECISIONS_FILE);
        if !file.exists() || self.installation.wrote(&Project::with_key(self.dir, key))? {
            return Ok(());
        }
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(storage("remove", &file, &error))
            }
            _ => Ok(()),
        }
    }

    fn moved_or_copied(&mut self, key: u64, from: PathBuf) -> Result<Located, Error> {
        match self.answer {
            Some(Relocation::Copied) => self.copy(&from),
            Some(Relocation::Moved) => {
                let notice = moved_notice(&from, self.dir);
                self.at(self.dir.to_owned(), key, Some(from), Some(notice))
            }
            None => {
                let message = format!(
                    "{} looks like the project that was in {}, which is no longer there",
                    self.dir.display(),
                    from.display()
                );
                Err(Error::new(ErrorKind::Forbidden, message).with_help(MOVED_OR_COPIED_HELP))
            }
        }
    }

    /// Makes a project of its own of a copy: its runs are not this project's.
    fn copy(&mut self, of: &Path) -> Result<Located, Error> {
        Project::replace_key(self.dir)?;
        let key = Project::open(self.dir)?.key()?;
        let project = Project::open_with_key(self.dir, key)?;
        self.note(key, None)?;
        let notice = format!(
            "{} is a copy of {}: its runs are read-only here, new runs start beside them",
            self.dir.display(),
            of.display()
        );
        Ok(Located {
            project,
            key,
            notice: Some(notice),
        })
    }

    fn at(
        &mut self,
        dir: PathBuf,
        key: u64,
        moved_from: Option<PathBuf>,
        notice: Option<String>,
    ) -> Result<Located, Error> {
        let project = Project::open_with_key(&dir, key)?;
        let inode = Inode::of_data(&dir).ok_or_else(|| gone(&dir))?;
        self.registry.set(&format_key(key), &dir, inode, moved_from);
        Ok(Located {
            project,
            key,
            notice,
        })
    }

    fn note(&mut self, key: u64, moved_from: Option<PathBuf>) -> Result<(), Error> {
        let inode = Inode::of_data(self.dir).ok_or_else(|| gone(self.dir))?;
        self.registry
            .set(&format_key(key), self.dir, inode, moved_from);
        Ok(())
    }
}

fn moved_notice(from: &Path, to: &Path) -> String {
    format!(
        "the project was moved from {} to {}: it continues there",
        from.display(),
        to.display()
    )
}

fn gone(dir: &Path) -> Error {
    let message = format!("{} has just been removed", dir.join(".fornax").display());
    Error::new(ErrorKind::Storage, message).with_help("run the command again")
}

fn format_key(key: u64) -> String {
    format!("{key:016x}")
}

fn parse_key(key: &str) -> Option<u64> {
    u64::from_str_radix(key, 16).ok()
}
