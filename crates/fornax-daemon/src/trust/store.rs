//! Decisions on the disk: `trust.json` for paths, `projects/KEY/trust.json` for each project.
//!
//! A project is named by its key, not by its path: another repository at the same path is another project, and one
//! that was moved is the same. What its key is decides [`locate`](crate::locate).

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::ownership::PathRecord;
use super::{Standing, TrustedProject};
use crate::home::{read_json, replace_json, storage};
use crate::locate::{self, DECISIONS_FILE};
use crate::registry::Registry;

/// The version of the files' formats.
const VERSION: u32 = 1;
/// How many digests of one project are kept; then the oldest goes.
const DIGESTS_MAX: usize = 64;
/// The longest executing part that is kept for the next difference, in bytes.
const LAST_MAX_BYTES: usize = 256 << 10;

#[derive(Debug, Clone)]
pub(super) struct Store {
    dir: Option<PathBuf>,
}

/// What was decided about one project.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Decisions {
    v: u32,
    /// The project's directory when something was decided last.
    dir: PathBuf,
    /// Whether its file is followed whatever it holds.
    #[serde(default)]
    pub always: bool,
    /// Digests that were accepted, newest last.
    #[serde(default)]
    pub trusted: Vec<String>,
    /// Digests that were declined, newest last.
    #[serde(default)]
    pub declined: Vec<String>,
    /// The executing part that was accepted last.
    #[serde(default)]
    pub last: Option<String>,
    /// Filters of the repository that were accepted, newest last.
    #[serde(default)]
    pub filters: Vec<TrustedFilter>,
}

/// A filter that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TrustedFilter {
    pub digest: String,
    pub name: String,
    pub kind: String,
    pub command: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Paths {
    v: u32,
    paths: Vec<PathRecord>,
}

impl Decisions {
    pub fn standing(&self, digest: &str) -> Standing {
        let holds = |list: &[String]| list.iter().any(|known| known == digest);
        if self.always {
            Standing::Always
        } else if holds(&self.trusted) {
            Standing::Trusted
        } else if holds(&self.declined) {
            Standing::Declined
        } else {
            Standing::Undecided
        }
    }

    pub fn trust(&mut self, digest: &str, text: &str) {
        self.declined.retain(|known| known != digest);
        push(&mut self.trusted, digest);
        self.last = (text.len() <= LAST_MAX_BYTES).then(|| text.to_owned());
    }

    pub fn trusts_filter(&self, digest: &str) -> bool {
        self.always || self.filters.iter().any(|known| known.digest == digest)
    }

    pub fn trust_filter(&mut self, filter: TrustedFilter) {
        self.filters.retain(|known| known.digest != filter.digest);
        self.filters.push(filter);
        let excess = self.filters.len().saturating_sub(DIGESTS_MAX);
        self.filters.drain(..excess);
    }

    /// Whoever declines a text does not want it followed, whatever they chose before.
    pub fn decline(&mut self, digest: &str) {
        self.always = false;
        self.trusted.retain(|known| known != digest);
        push(&mut self.declined, digest);
    }
}

fn push(list: &mut Vec<String>, digest: &str) {
    list.retain(|known| known != digest);
    list.push(digest.to_owned());
    if list.len() > DIGESTS_MAX {
        list.remove(0);
    }
}

impl Store {
    pub fn new(dir: Option<PathBuf>) -> Store {
        Store { dir }
    }

    pub fn dir(&self) -> Result<&Path, Error> {
        self.dir.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "there is no directory for the state")
                .with_help("set HOME or XDG_STATE_HOME to an absolute path")
        })
    }

    /// The project in a folder, if it is one that is known. A folder that is new here, or a copy, is not.
    pub fn key(&self, root: &Path) -> Result<Option<u64>, Error> {
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        match root.canonicalize() {
            Ok(root) => locate::find_key(dir, &root),
            // A project that is gone: the last that was there.
            Err(_) => Ok(Registry::load_from(dir)?
                .by_path(root)
                .and_then(|known| u64::from_str_radix(&known.key, 16).ok())),
        }
    }

    fn folder(dir: &Path, key: u64) -> PathBuf {
        dir.join("projects").join(format!("{key:016x}"))
    }

    /// What was decided about a project; none where nothing was.
    pub fn decisions(&self, root: &Path) -> Result<Option<Decisions>, Error> {
        match (&self.dir, self.key(root)?) {
            (Some(dir), Some(key)) => read_json(&Store::folder(dir, key).join(DECISIONS_FILE)),
            _ => Ok(None),
        }
    }

    /// Changes what was decided about the project with this key, which is in `root`.
    pub fn change(
        &self,
        key: u64,
        root: &Path,
        change: impl FnOnce(&mut Decisions),
    ) -> Result<(), Error> {
        let folder = Store::folder(self.dir()?, key);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(|error| storage("make", &folder, &error))?;
        let file = folder.join(DECISIONS_FILE);
        let mut decisions: Decisions = read_json(&file)?.unwrap_or_default();
        change(&mut decisions);
        decisions.v = VERSION;
        decisions.dir = root.to_owned();
        replace_json(&file, &decisions)
    }

    /// Forgets what was decided about the project with this key.
    pub fn remove(&self, key: u64) -> Result<(), Error> {
        let file = Store::folder(self.dir()?, key).join(DECISIONS_FILE);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(storage("remove", &file, &error))
            }
            _ => Ok(()),
        }
    }

    /// The projects about which something was decided, by their directories.
    pub fn projects(&self) -> Result<Vec<TrustedProject>, Error> {
        let Some(dir) = &self.dir else {
            return Ok(Vec::new());
        };
        let folder = dir.join("projects");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| storage("list", &folder, &error))?,
        };
        let registry = Registry::load_from(dir)?;
        let mut projects = BTreeMap::new();
        for entry in entries {
            let entry = entry.map_err(|error| storage("list", &folder, &error))?;
            let Some(decisions) = read_json::<Decisions>(&entry.path().join(DECISIONS_FILE))?
            else {
                continue;
            };
            let key = entry.file_name().to_string_lossy().into_owned();
            let known = registry.by_key(&key);
            let project = TrustedProject {
                dir: known.map_or(decisions.dir, |known| known.path.clone()),
                always: decisions.always,
                digests: decisions.trusted,
                filters: decisions
                    .filters
                    .into_iter()
                    .map(|filter| filter.digest)
                    .collect(),
            };
            projects.insert((project.dir.clone(), key), project);
        }
        Ok(projects.into_values().collect())
    }

    /// The files and folders that are let through.
    pub fn paths(&self) -> Result<Vec<PathRecord>, Error> {
        let Some(dir) = &self.dir else {
            return Ok(Vec::new());
        };
        let paths: Option<Paths> = read_json(&dir.join("trust.json"))?;
        Ok(paths.unwrap_or_default().paths)
    }

    /// Changes which files and folders are let through.
    pub fn change_paths(&self, change: impl FnOnce(&mut Vec<PathRecord>)) -> Result<(), Error> {
        let mut paths = self.paths()?;
        let before = paths.clone();
        change(&mut paths);
        if paths == before {
            return Ok(());
        }
        let file = self.dir()?.join("trust.json");
        replace_json(&file, &Paths { v: VERSION, paths })
    }
}
