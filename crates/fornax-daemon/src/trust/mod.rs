//! Which configuration is followed, and who decides it.
//!
//! Three questions are kept apart. [`ownership`]: may anybody else have put this file here? This
//! module: has a person accepted what the file executes? [`caller`]: is it a person who accepts?
//!
//! A run uses the bytes whose digest was checked: a `fornax.yaml` is read once, and the digest, the
//! configuration and the question to the person come from that reading.

pub mod caller;
mod filters;
pub mod ownership;
mod shown;
mod store;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fornax_core::error::{Error, ErrorKind};
use fornax_plan::config::Config;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::git::Git;
use crate::home::Home;
use crate::locate::{self, Relocation};
use crate::plans::{self, BadFile};
pub use filters::FilterReview;
use filters::ProjectFilters;
use ownership::{PathRecord, User};
use shown::Shown;
use store::{Store, TrustedFilter};

/// The folder in a project that holds its records.
pub(crate) const DATA_DIR: &str = ".fornax";
/// What separates these digests from digests of other things.
const DIGEST_DOMAIN: &[u8] = b"fornax.yaml executing part v1\n";
/// How long a difference may be looked for; then it is coarser.
const DIFF_TIMEOUT: Duration = Duration::from_millis(500);

/// What a person has decided about projects, kept in the state directory.
#[derive(Debug, Clone)]
pub struct Trust {
    store: Store,
    /// Held while decisions are changed.
    changing: Arc<Mutex<()>>,
}

/// Where a project's configuration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It executes nothing, so nobody is asked.
    ExecutesNothing,
    /// A person has accepted this digest.
    Trusted,
    /// A person follows whatever this project's file holds.
    Always,
    /// Nobody has decided about this digest.
    Undecided,
    /// A person has declined this digest.
    Declined,
}

impl Standing {
    /// Whether the configuration is followed.
    #[must_use]
    pub fn is_followed(self) -> bool {
        match self {
            Standing::ExecutesNothing | Standing::Trusted | Standing::Always => true,
            Standing::Undecided | Standing::Declined => false,
        }
    }
}

/// A configuration that was read once, and where it stands.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What the file holds.
    pub config: Config,
    /// The digest of its executing part; none where it executes nothing.
    pub digest: Option<String>,
    /// Whether it is followed.
    pub standing: Standing,
}

/// What a person looks at before they decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The project's directory.
    pub dir: PathBuf,
    /// Where its configuration stands.
    pub standing: Standing,
    /// The digest of the executing part; none where the file executes nothing.
    pub digest: Option<String>,
    /// Everything that the file executes.
    pub executes: String,
    /// How that differs from what was trusted last; none where nothing was, or nothing differs.
    pub diff: Option<String>,
    /// Programs that are files of the project: their content is not part of the digest.
    pub programs: Vec<String>,
    /// The filters that the configuration of the project's repository defines.
    #[serde(default)]
    pub filters: Vec<FilterReview>,
    /// Why the files are not followed, whatever they hold: their owner or mode.
    pub refused: Option<Error>,
}

/// A decision of a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// Follow the configuration and the filters of the repository, and let the folder through where others own it.
    /// Without any digest, what is there now is accepted; with one, only what has one of these digests.
    Accept {
        /// The project's directory.
        dir: PathBuf,
        /// The digest of the configuration that was shown.
        #[serde(default)]
        digest: Option<String>,
        /// The digests of the filters that were shown.
        #[serde(default)]
        filters: Vec<String>,
        /// Also follow whatever the file and the repository hold later.
        #[serde(default)]
        always: bool,
    },
    /// Do not follow it, and do not ask about it again.
    Decline {
        /// The project's directory.
        dir: PathBuf,
        /// The digest that was shown.
        digest: String,
    },
    /// Forget all decisions about a project.
    Revoke {
        /// The project's directory.
        dir: PathBuf,
    },
    /// Let a folder through although others own it or can write to it.
    Path {
        /// The folder.
        dir: PathBuf,
    },
}

/// A project about which something was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustedProject {
    /// Its directory.
    pub dir: PathBuf,
    /// Whether its file is followed whatever it holds.
    pub always: bool,
    /// The digests that are trusted, newest last.
    pub digests: Vec<String>,
    /// The digests of the filters that are trusted, newest last.
    #[serde(default)]
    pub filters: Vec<String>,
}

/// All decisions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Decided {
    /// Projects, by their directory.
    pub projects: Vec<TrustedProject>,
    /// Files and folders that are let through.
    pub paths: Vec<PathRecord>,
}

impl Trust {
    /// The decisions in a state directory.
    #[must_use]
    pub fn of(home: &Home) -> Trust {
        Trust::in_dir(home.dir())
    }

    /// The decisions in the state directory that the environment names. Creates nothing: without
    /// one, nothing was decided.
    #[must_use]
    pub fn from_env() -> Trust {
        Trust {
            store: Store::new(Home::dir_from_env()),
            changing: Arc::default(),
        }
    }

    /// The decisions in the state directory `dir`.
    pub(crate) fn in_dir(dir: &Path) -> Trust {
        Trust {
            store: Store::new(Some(dir.to_owned())),
            changing: Arc::default(),
        }
    }

    /// Calls of git in which the filters that are trusted in the project in `root` run.
    #[must_use]
    pub fn git(&self, root: &Path) -> Git {
        Git::new(Arc::new(ProjectFilters::new(self.clone(), root)))
    }

    /// The filters that the configuration of a project's repository defines. Runs none of them.
    ///
    /// # Errors
    /// `Damaged`, `Storage`.
    pub fn filters(&self, root: &Path) -> Result<Vec<FilterReview>, Error> {
        let decisions = self.store.decisions(root)?.unwrap_or_default();
        let filters = filters::of_project(root);
        let review = |filter| FilterReview::new(filter, &decisions);
        Ok(filters.iter().map(review).collect())
    }

    /// Refuses a project whose `fornax.yaml` or `.fornax` others own or can replace.
    ///
    /// # Errors
    /// `Forbidden`, with what to do about it; `Storage`.
    pub fn check_place(&self, root: &Path) -> Result<(), Error> {
        self.check(root, false)
    }

    /// The same for a project in which Fornax is about to keep its records: its folder is judged
    /// although it may hold nothing of Fornax's yet.
    ///
    /// # Errors
    /// As [`Trust::check_place`].
    pub fn check_new_place(&self, root: &Path) -> Result<(), Error> {
        self.check(root, true)
    }

    fn check(&self, root: &Path, is_new: bool) -> Result<(), Error> {
        let offences = ownership::offences(root, User::current(), is_new)?;
        if offences.is_empty() {
            return Ok(());
        }
        ownership::refuse(root, &offences, &self.store.paths()?)
    }

    /// Reads a project's configuration, and where it stands. Nothing that it holds may be executed
    /// unless it [is followed](Standing::is_followed).
    ///
    /// # Errors
    /// Where others own or can replace the file, where it cannot be read, or where it is wrong.
    pub fn read(&self, root: &Path) -> Result<Reading, BadFile> {
        self.check_place(root).map_err(BadFile::Unreadable)?;
        let config = plans::parse_config(root)?;
        let digest = digest(&config);
        let standing = self.standing(root, digest.as_deref());
        Ok(Reading {
            standing: standing.map_err(BadFile::Unreadable)?,
            config,
            digest,
        })
    }

    /// The configuration of a project, to execute what it holds.
    ///
    /// # Errors
    /// As [`Trust::read`]; `Forbidden` where no person has accepted it.
    pub fn config(&self, root: &Path) -> Result<Config, Error> {
        let reading = self.read(root)?;
        match reading.standing.is_followed() {
            true => Ok(reading.config),
            false => Err(self.refusal(root, &reading)),
        }
    }

    fn standing(&self, root: &Path, digest: Option<&str>) -> Result<Standing, Error> {
        let Some(digest) = digest else {
            return Ok(Standing::ExecutesNothing);
        };
        let decisions = self.store.decisions(root)?;
        Ok(decisions.map_or(Standing::Undecided, |decisions| decisions.standing(digest)))
    }

    fn refusal(&self, root: &Path, reading: &Reading) -> Error {
        let file = root.join(plans::CONFIG_FILE);
        let was_trusted = self.store.decisions(root).ok().flatten();
        let was_trusted = was_trusted.is_some_and(|decisions| !decisions.trusted.is_empty());
        let why = match reading.standing {
            Standing::Declined => "a person has declined what it executes",
            _ if was_trusted => "what it executes has changed since a person accepted it",
            _ => "no person has accepted what it executes",
        };
        let digest = reading.digest.as_deref().unwrap_or_default();
        Error::new(
            ErrorKind::Forbidden,
            format!("{} is not trusted: {why}", file.display()),
        )
        .with_help(format!(
            "`fornax trust list` shows what it executes, `fornax trust` accepts it, \
             `fornax trust --always` also accepts what it holds later \
             (in {}; digest {digest})",
            root.display()
        ))
    }

    /// What a person looks at before they decide. Executes nothing.
    ///
    /// # Errors
    /// Where the file cannot be read or is wrong; `Storage`.
    pub fn review(&self, root: &Path) -> Result<Review, Error> {
        let root = &real(root)?;
        let refused = match self.check_new_place(root) {
            Err(error) if error.kind != ErrorKind::Forbidden => return Err(error),
            checked => checked.err(),
        };
        let config = plans::parse_config(root)?;
        let digest = digest(&config);
        let decisions = self.store.decisions(root)?.unwrap_or_default();
        let executes = config.executing.text().to_owned();
        Ok(Review {
            standing: digest.as_ref().map_or(Standing::ExecutesNothing, |digest| {
                decisions.standing(digest)
            }),
            dir: root.clone(),
            diff: decisions
                .last
                .as_deref()
                .and_then(|last| unified_diff(last, &executes)),
            programs: config.executing.programs().to_vec(),
            filters: self.filters(root)?,
            executes,
            digest,
            refused,
        })
    }

    /// Carries out a person's decision. Whether it is a person's is for the caller to know.
    ///
    /// # Errors
    /// `Conflict` where the file does not have the digest that was shown; where the file cannot be
    /// read or is wrong; `Storage`.
    pub fn decide(&self, decision: &Decision) -> Result<Review, Error> {
        let _changing = self.lock();
        let root = match decision {
            Decision::Accept { dir, .. }
            | Decision::Decline { dir, .. }
            | Decision::Path { dir } => real(dir)?,
            // A project that is gone can be revoked too.
            Decision::Revoke { dir } => real(dir).unwrap_or_else(|_| dir.clone()),
        };
        match decision {
            Decision::Accept {
                digest,
                filters,
                always,
                ..
            } => {
                let shown = Shown { digest, filters };
                self.accept(&root, shown, *always)?;
            }
            Decision::Decline { digest, .. } => {
                let key = self.locate(&root, None)?;
                self.store
                    .change(key, &root, |decisions| decisions.decline(digest))?;
            }
            Decision::Revoke { .. } => {
                if let Some(key) = self.store.key(&root)? {
                    self.store.remove(key)?;
                }
                self.store.change_paths(|paths| {
                    paths.retain(|record| !is_of_project(&record.path, &root));
                })?;
                if !root.is_dir() {
                    return Ok(Review::of_nothing(root));
                }
            }
            Decision::Path { .. } => {
                self.let_through(&root)?;
                return Ok(Review::of_nothing(root));
            }
        }
        self.review(&root)
    }

    fn accept(&self, root: &Path, shown: Shown, always: bool) -> Result<(), Error> {
        let config = plans::parse_config(root)?;
        let digest = digest(&config);
        let filters = filters::of_project(root);
        shown.check(root, digest.as_deref(), &filters)?;
        self.let_through(root)?;
        self.check_new_place(root)?;
        // A project that a person trusts here, and whose old place is gone, was moved here.
        let key = self.locate(root, Some(Relocation::Moved))?;
        let text = config.executing.text();
        self.store.change(key, root, |decisions| {
            if let Some(digest) = &digest
                && shown.has_config()
            {
                decisions.trust(digest, text);
            }
            for filter in filters.iter().filter(|filter| shown.has_filter(filter)) {
                decisions.trust_filter(filter.into());
            }
            decisions.always |= always;
        })
    }

    /// Records the owner and mode of everything in `root` that is refused.
    fn let_through(&self, root: &Path) -> Result<(), Error> {
        let offences = ownership::offences(root, User::current(), true)?;
        if offences.is_empty() {
            return Ok(());
        }
        self.store.change_paths(|paths| {
            for offence in offences {
                paths.retain(|record| record.path != offence.found.path);
                paths.push(offence.found);
            }
        })
    }

    /// Trusts a configuration that a command of Fornax itself has written for its user, and those of the filters that
    /// are trusted where it was copied from.
    ///
    /// # Errors
    /// `Storage`.
    pub fn record_own(
        &self,
        root: &Path,
        config: &Config,
        filters: &[FilterReview],
    ) -> Result<(), Error> {
        let _changing = self.lock();
        let digest = digest(config);
        let trusted = || filters.iter().filter(|filter| filter.is_trusted);
        if digest.is_none() && trusted().next().is_none() {
            return Ok(());
        }
        let root = real(root)?;
        let key = self.locate(&root, None)?;
        self.store.change(key, &root, |decisions| {
            if let Some(digest) = &digest {
                decisions.trust(digest, config.executing.text());
            }
            for filter in trusted() {
                decisions.trust_filter(TrustedFilter {
                    digest: filter.digest.clone(),
                    name: filter.name.clone(),
                    kind: filter.kind.clone(),
                    command: filter.command.clone(),
                });
            }
        })
    }

    /// Finds out which project the folder `root` is, as the daemon does when it opens one.
    fn locate(&self, root: &Path, answer: Option<Relocation>) -> Result<u64, Error> {
        let home = Home::open(self.store.dir()?)?;
        let located = locate::locate(&home, &home.installation()?, root, answer)?;
        // Otherwise the decision would be kept and not be found.
        if self.store.key(root)? != Some(located.key) {
            let file = root.join(DATA_DIR).join("project.json");
            let what = format!("{} does not say which project this is", file.display());
            return Err(Error::new(ErrorKind::Damaged, what)
                .with_help("`fornax doctor --fix` repairs it; then run the command again"));
        }
        Ok(located.key)
    }

    /// All decisions.
    ///
    /// # Errors
    /// `Damaged`, `Storage`.
    pub fn decided(&self) -> Result<Decided, Error> {
        Ok(Decided {
            projects: self.store.projects()?,
            paths: self.store.paths()?,
        })
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Decision {
    /// The directory that it is about.
    #[must_use]
    pub fn dir(&self) -> &Path {
        match self {
            Decision::Accept { dir, .. }
            | Decision::Decline { dir, .. }
            | Decision::Revoke { dir }
            | Decision::Path { dir } => dir,
        }
    }
}

impl Review {
    fn of_nothing(dir: PathBuf) -> Review {
        Review {
            dir,
            standing: Standing::ExecutesNothing,
            digest: None,
            executes: String::new(),
            diff: None,
            programs: Vec::new(),
            filters: Vec::new(),
            refused: None,
        }
    }
}

/// Whether a record is of a project's folder, its `fornax.yaml` or its `.fornax`.
fn is_of_project(path: &Path, root: &Path) -> bool {
    path == root || path == root.join(plans::CONFIG_FILE) || path == root.join(DATA_DIR)
}

fn real(dir: &Path) -> Result<PathBuf, Error> {
    dir.canonicalize().map_err(|error| {
        let what = format!("cannot open {}: {error}", dir.display());
        Error::new(ErrorKind::NotFound, what).with_help("name the project's directory")
    })
}

/// The digest of a configuration's executing part; none where it executes nothing.
fn digest(config: &Config) -> Option<String> {
    if config.executing.is_empty() {
        return None;
    }
    let mut hash = Sha256::new();
    hash.update(DIGEST_DOMAIN);
    hash.update(config.executing.text().as_bytes());
    Some(crate::secret::hex(&hash.finalize()))
}

fn unified_diff(old: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let mut config = similar::TextDiff::configure();
    let diff = config.timeout(DIFF_TIMEOUT).diff_lines(old, new);
    let text = diff
        .unified_diff()
        .context_radius(3)
        .header("trusted", "now")
        .to_string();
    Some(text)
}

/// A refusal as an agent gets it: what a person could type is left out.
#[must_use]
pub fn for_agent(mut error: Error) -> Error {
    let names_command = |text: &str| text.contains("fornax trust");
    if error.kind == ErrorKind::Forbidden && error.help.as_deref().is_some_and(names_command) {
        error.help = Some("a person has to decide this: tell them what you need it for".to_owned());
    }
    error
}

#[cfg(test)]
mod tests;
