//! Decisions on the disk: `trust.json` for paths, `trust/ID.json` for each project.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ownership::PathRecord;
use super::{Standing, TrustedProject, hex};
use crate::home::{read_json, replace_json, storage};

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
    /// The project's directory.
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

    fn dir(&self) -> Result<&Path, Error> {
        self.dir.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Usage, "there is no directory for the state")
                .with_help("set HOME or XDG_STATE_HOME to an absolute path")
        })
    }

    /// The file of a project, by the digest of its path.
    fn file(dir: &Path, root: &Path) -> PathBuf {
        let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
        dir.join("trust")
            .join(format!("{}.json", hex(&digest[..16])))
    }

    /// What was decided about a project; none where nothing was.
    pub fn decisions(&self, root: &Path) -> Result<Option<Decisions>, Error> {
        let Some(dir) = &self.dir else {
            return Ok(None);
        };
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let decisions: Option<Decisions> = read_json(&Store::file(dir, &root))?;
        Ok(decisions.filter(|decisions| decisions.dir == root))
    }

    /// Changes what was decided about a project.
    pub fn change(&self, root: &Path, change: impl FnOnce(&mut Decisions)) -> Result<(), Error> {
        let dir = self.dir()?;
        let file = Store::file(dir, root);
        let folder = dir.join("trust");
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map_err(|error| storage("make", &folder, &error))?;
        let mut decisions = self.decisions(root)?.unwrap_or_default();
        change(&mut decisions);
        decisions.v = VERSION;
        decisions.dir = root.to_owned();
        replace_json(&file, &decisions)
    }

    /// Forgets what was decided about a project.
    pub fn remove(&self, root: &Path) -> Result<(), Error> {
        let file = Store::file(self.dir()?, root);
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
        let folder = dir.join("trust");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| storage("list", &folder, &error))?,
        };
        let mut projects = BTreeMap::new();
        for entry in entries {
            let path = entry
                .map_err(|error| storage("list", &folder, &error))?
                .path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let Some(decisions) = read_json::<Decisions>(&path)? else {
                continue;
            };
            let project = TrustedProject {
                dir: decisions.dir.clone(),
                always: decisions.always,
                digests: decisions.trusted,
            };
            projects.insert(decisions.dir, project);
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
