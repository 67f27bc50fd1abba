//! Which project a folder is: the same as before, a new one, moved, or a copy.

use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use fornax_journal::{Installation, JournalError, Project};

use serde::Deserialize;

use crate::home::Home;
use crate::registry::{Identity, Inode, OldPlace, Registry, identify};

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
pub(super) struct Located {
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
pub(super) fn locate(
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
        let found = match Project::key_of(self.dir) {
            Err(JournalError::BadFile { .. }) => None,
            found => found?,
        };
        if let Some(before) = self.registry.by_path(self.dir).cloned()
            && let Some(key) = parse_key(&before.key)
            && ((found == Some(key) && before.inode == inode)
                || ((found == Some(key) || before.inode == inode)
                    && self.is_proven(key, before.inode == inode)?))
        {
            // Its file may be missing, damaged or replaced; the state directory knows better.
            Project::restore_key(self.dir, key)?;
            return self.at(self.dir.to_owned(), key, None, None);
        }
        match found {
            Some(key) => self.with_key(key, inode),
            None => {
                Project::set_aside_key(self.dir)?;
                self.begin()
            }
        }
    }

    /// Whether the folder holds the data of the project with this key, and not only its key or its
    /// inode's number, both of which others can come by: one of its runs must be this installation's.
    /// Of a project without runs the place must do.
    fn is_proven(&self, key: u64, is_same_place: bool) -> Result<bool, Error> {
        if !self.installation.knows_runs(key) {
            return Ok(is_same_place);
        }
        let project = Project::open_with_key(self.dir, key)?;
        Ok(self.installation.wrote(&project)?)
    }

    /// A project that this installation has not seen.
    fn begin(&mut self) -> Result<Located, Error> {
        let key = Project::open(self.dir)?.key()?;
        let project = Project::open_with_key(self.dir, key)?;
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

    fn with_key(&mut self, key: u64, inode: Inode) -> Result<Located, Error> {
        let Some(known) = self.registry.by_key(&format_key(key)) else {
            return self.begin();
        };
        let old = match Project::key_of(&known.path) {
            Ok(Some(old)) if old == key => {
                Inode::of_data(&known.path).map_or(OldPlace::Gone, OldPlace::There)
            }
            _ => OldPlace::Gone,
        };
        let here = self.dir.display();
        match identify(known, self.dir, inode, old) {
            // What it holds does not prove that it is: something else is in its place.
            Identity::Same | Identity::New => {
                Project::replace_key(self.dir)?;
                self.begin()
            }
            Identity::Alias(first) => {
                let notice = format!("{here} is {} under another path", first.display());
                self.at(first, key, None, Some(notice))
            }
            Identity::Moved(from) | Identity::Original(from) if !self.is_proven(key, true)? => {
                self.copy(&from)
            }
            Identity::Moved(from) => {
                let notice = moved_notice(&from, self.dir);
                self.at(self.dir.to_owned(), key, None, Some(notice))
            }
            Identity::Original(other) => {
                let notice = format!(
                    "the original of the project in {} is back at {here}",
                    other.display()
                );
                self.at(self.dir.to_owned(), key, None, Some(notice))
            }
            Identity::Copy(of) => self.copy(&of),
            Identity::MovedOrCopied(from) => self.moved_or_copied(key, from),
        }
    }

    fn moved_or_copied(&mut self, key: u64, from: PathBuf) -> Result<Located, Error> {
        if !self.is_proven(key, false)? {
            return self.copy(&from);
        }
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
