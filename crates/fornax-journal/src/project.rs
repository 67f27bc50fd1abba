//! Where things are in a project, and the reading of them.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fornax_core::ids::{FrameId, RunId, TaskId};
use fornax_core::time::Time;
use rustix::rand::GetRandomFlags;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::{At, JournalError};
use crate::log::{Head, read_head};
use crate::private;
use crate::reader::{RunReader, Stream};

/// The version of the layout that is written.
pub(crate) const VERSION: u32 = 1;

/// A project: the folder that Fornax looks after. Having one claims nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    root: PathBuf,
    /// Its key, where that is known from elsewhere than its file.
    key: Option<u64>,
}

/// `project.json`.
#[derive(Serialize, Deserialize)]
struct Identity {
    v: u32,
    /// Sixteen hexadecimal digits: as a number, half the world's JSON readers would round it.
    key: String,
    created: Time,
}

impl Project {
    /// The project in `dir`; makes its `.fornax` where there is none.
    ///
    /// # Errors
    /// When `dir` is missing or cannot be written, or when a newer version made its `.fornax`.
    pub fn open(dir: &Path) -> Result<Project, JournalError> {
        let root = dir.canonicalize().at("open", dir)?;
        Project { root, key: None }.create()
    }

    /// The project in `dir` with a key that is known, whatever its file says.
    ///
    /// # Errors
    /// As [`Project::open`].
    pub fn open_with_key(dir: &Path, key: u64) -> Result<Project, JournalError> {
        let root = dir.canonicalize().at("open", dir)?;
        let key = Some(key);
        Project { root, key }.create()
    }

    /// The same, to look at: creates nothing.
    #[must_use]
    pub fn with_key(dir: &Path, key: u64) -> Project {
        Project {
            root: dir.to_owned(),
            key: Some(key),
        }
    }

    /// Gives the project in `dir` a new key: it is a copy of another one.
    ///
    /// # Errors
    /// When its file cannot be replaced.
    pub fn replace_key(dir: &Path) -> Result<(), JournalError> {
        let root = dir.canonicalize().at("open", dir)?;
        let project = Project { root, key: None };
        let path = project.identity_file();
        disk::replace_durably(&path, project.new_identity()?.1.as_bytes()).at("write", &path)
    }

    /// Sees to it that the file of the project in `dir` has this key. Another one is set aside.
    ///
    /// # Errors
    /// When its file cannot be read or replaced, or was written by a newer version.
    pub fn restore_key(dir: &Path, key: u64) -> Result<(), JournalError> {
        match Project::key_of(dir) {
            Ok(Some(found)) if found == key => return Ok(()),
            Ok(_) | Err(JournalError::BadFile { .. }) => {}
            Err(error) => return Err(error),
        }
        Project::set_aside_key(dir)?;
        Project::open_with_key(dir, key).map(drop)
    }

    /// Renames the file with the key of the project in `dir`, if there is one, so that it does not count
    /// any more.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn set_aside_key(dir: &Path) -> Result<(), JournalError> {
        let path = Project::at(dir.to_owned()).identity_file();
        match disk::set_aside(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            aside => aside.map(drop).at("set aside", &path),
        }
    }

    fn create(self) -> Result<Project, JournalError> {
        let project = self;
        let data = project.data_dir();
        match fs::DirBuilder::new().mode(0o700).create(&data) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error).at("create", &data);
            }
            _ => {}
        }
        private::close(&data).at("close to others", &data)?;
        project.create_identity()?;
        project.key()?;
        for folder in [project.runs_dir(), project.frames_dir()] {
            disk::make_dir(&folder).at("create", &folder)?;
        }
        disk::sync_dir(&data).at("sync", &data)?;
        Ok(project)
    }

    /// The project that `dir` is in: the nearest folder upward that has a `.fornax`. Writes
    /// nothing.
    ///
    /// # Errors
    /// When there is none, or when a newer version made it.
    pub fn find(dir: &Path) -> Result<Project, JournalError> {
        let from = dir.canonicalize().at("open", dir)?;
        for root in from.ancestors() {
            let project = Project {
                root: root.to_owned(),
                key: None,
            };
            if project.identity_file().is_file() {
                project.key()?;
                return Ok(project);
            }
        }
        Err(JournalError::NoProject(from))
    }

    /// The project in `root`, whether or not what is there can be read.
    pub(crate) fn at(root: PathBuf) -> Project {
        Project { root, key: None }
    }

    /// Two processes may do this at once: one of the keys becomes the project's, for both.
    fn create_identity(&self) -> Result<(), JournalError> {
        let path = self.identity_file();
        let ignore = self.data_dir().join(".gitignore");
        if ignore.symlink_metadata().is_err() {
            disk::write_synced(&ignore, b"*\n").at("write", &ignore)?;
        }
        if path.exists() {
            return Ok(());
        }

        let (key, text) = self.new_identity()?;
        let draft = self.data_dir().join(format!("project.json.{key}"));
        disk::write_synced(&draft, text.as_bytes()).at("write", &draft)?;
        // Unlike a rename, a link never replaces what another process has put there meanwhile.
        let linked = fs::hard_link(&draft, &path);
        disk::remove(&draft).at("remove", &draft)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(error).at("create", &path)
            }
            _ => Ok(()),
        }
    }

    /// A key, known or drawn, and the file that holds it.
    fn new_identity(&self) -> Result<(String, String), JournalError> {
        let key = match self.key {
            Some(key) => key,
            None => {
                let mut key = [0; 8];
                rustix::rand::getrandom(&mut key, GetRandomFlags::empty())
                    .map_err(io::Error::from)
                    .at("draw a key for", &self.identity_file())?;
                u64::from_le_bytes(key)
            }
        };
        let identity = Identity {
            v: VERSION,
            key: format!("{key:016x}"),
            created: now(),
        };
        let text = format!("{}\n", serde_json::json!(identity));
        Ok((identity.key, text))
    }

    /// The project's own random number, from which its frames get their ids.
    ///
    /// # Errors
    /// When its file cannot be read, or was written by a newer version.
    pub fn key(&self) -> Result<u64, JournalError> {
        if let Some(key) = self.key {
            return Ok(key);
        }
        let path = self.identity_file();
        let bad = |what: String| JournalError::BadFile {
            path: path.clone(),
            what,
        };
        let text = match disk::read_text(&path, 64 * 1024) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(bad(error.to_string()));
            }
            text => text.at("read", &path)?,
        };
        let identity: Identity =
            serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
        if identity.v > VERSION {
            return Err(JournalError::NewerVersion {
                path,
                version: identity.v,
                known: VERSION,
            });
        }
        u64::from_str_radix(&identity.key, 16).map_err(|error| bad(format!("its key: {error}")))
    }

    /// The folder that Fornax looks after.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The key of the project in `dir`; none where its `.fornax` has no file with one.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or was written by a newer version.
    pub fn key_of(dir: &Path) -> Result<Option<u64>, JournalError> {
        let project = Project {
            root: dir.to_owned(),
            key: None,
        };
        match project.key() {
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            key => key.map(Some),
        }
    }

    /// Its `.fornax`.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.root.join(".fornax")
    }

    /// The folder of a run. It may not be there.
    #[must_use]
    pub fn run_dir(&self, run: RunId) -> PathBuf {
        self.runs_dir().join(run.to_string())
    }

    /// The folder of a task. It may not be there.
    #[must_use]
    pub fn task_dir(&self, run: RunId, task: TaskId) -> PathBuf {
        self.run_dir(run).join("tasks").join(task.to_string())
    }

    /// The folder of a frame. It may not be there.
    #[must_use]
    pub fn frame_dir(&self, frame: FrameId) -> PathBuf {
        self.frames_dir().join(frame.to_string())
    }

    pub(crate) fn frames_dir(&self) -> PathBuf {
        self.data_dir().join("frames")
    }

    pub(crate) fn runs_dir(&self) -> PathBuf {
        self.data_dir().join("runs")
    }

    pub(crate) fn identity_file(&self) -> PathBuf {
        self.data_dir().join("project.json")
    }

    /// The file of one of a run's streams.
    #[must_use]
    pub fn stream_file(&self, run: RunId, stream: Stream) -> PathBuf {
        self.run_dir(run).join(stream.file_name())
    }

    /// The marker that a run has while it is open.
    pub(crate) fn open_marker(&self, run: RunId) -> PathBuf {
        self.run_dir(run).join("open")
    }

    /// The folders in `runs/` that are named like a run, newest first; claimed ones without a
    /// journal included.
    pub(crate) fn run_folders(&self) -> Result<Vec<RunId>, JournalError> {
        let dir = self.runs_dir();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at("list", &dir)?,
        };
        let mut runs = Vec::new();
        for entry in entries {
            let name = entry.at("list", &dir)?.file_name();
            runs.extend(name.to_str().and_then(|name| name.parse::<RunId>().ok()));
        }
        runs.sort_unstable_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    /// The runs, newest first.
    ///
    /// # Errors
    /// When their folder cannot be listed.
    pub fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let mut runs = self.run_folders()?;
        runs.retain(|&run| self.stream_file(run, Stream::Events).exists());
        Ok(runs)
    }

    /// Whether a run is open: not finished, as far as its folder tells.
    #[must_use]
    pub fn is_open(&self, run: RunId) -> bool {
        self.open_marker(run).exists()
    }

    /// Where a run's journal ends, by its file. Of an open run the writer knows better.
    ///
    /// # Errors
    /// When there is no such run, or its last line is no record.
    pub fn head(&self, run: RunId) -> Result<Head, JournalError> {
        let path = self.stream_file(run, Stream::Events);
        let mut file = disk::open(&path).at("open", &path)?;
        read_head(&mut file, &path)
    }

    /// Reads a run's journal from its beginning.
    ///
    /// # Errors
    /// When there is no such run, or its journal cannot be opened.
    pub fn read_run(&self, run: RunId) -> Result<RunReader, JournalError> {
        RunReader::open(self, run)
    }
}

/// This moment, by the system's clock.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(since.map_or(0, |since| since.as_millis() as i64))
}
