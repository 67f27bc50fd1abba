//! The way out of damage: what is damaged is moved to `.fornax/set-aside/` whole, and what can be
//! made again is. Nothing is deleted.
//!
//! [`plan`] only reads; [`execute`] does what a plan says, under the project's lock. A run is damaged
//! where its journal is, other than at a torn end, which every start cuts off.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fornax_core::ids::RunId;
use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::{At, DamageKind, JournalError};
use crate::lock::Lock;
use crate::project::{Project, now};

/// Where damaged things are moved to, in `.fornax`.
const SET_ASIDE: &str = "set-aside";
/// The longest derived file that is read to see whether it is JSON, in bytes.
const DERIVED_MAX_BYTES: u64 = 64 << 20;
/// The same for `project.json`.
const IDENTITY_MAX_BYTES: u64 = 64 << 10;

/// Something damaged, and what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// What is damaged or missing.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// What it is, and so what takes its place.
    pub subject: Subject,
    /// The tasks that still run in it: it is not touched before they have ended.
    pub living: Vec<LivingTask>,
}

/// What can be repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A run's folder. The run is gone from the project; its files are kept.
    Run(RunId),
    /// A file of settings: the defaults apply.
    Settings,
    /// A file that holds nothing, such as a lock: it is created when it is needed.
    Marker,
    /// The mark of an open run, which holds nothing: an empty one takes its place.
    OpenMarker(RunId),
    /// A file that repeats what journals say: it is written again from them.
    Derived,
    /// The project's key: it is written again where it is known from elsewhere, else a new one is
    /// drawn when the project is opened.
    Identity,
}

/// A task whose shim lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LivingTask {
    /// The task's folder.
    pub dir: PathBuf,
    /// The shim's process, as `task.json` has it.
    pub pid: Option<u32>,
}

/// How much a plan looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Open runs, these many of the newest, and the project's own files.
    Newest(usize),
    /// Everything.
    All,
}

/// A repair that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// What was damaged.
    pub path: PathBuf,
    /// Where it is now; none where it was missing.
    pub moved_to: Option<PathBuf>,
    /// What it was.
    pub subject: Subject,
}

/// What is damaged in the project in `root`, which may be unreadable as a whole. Writes nothing and
/// needs no lock; of a run that is being written, only the end may look torn.
///
/// # Errors
/// When `.fornax` is no folder, or cannot be listed.
pub fn plan(root: &Path, scope: Scope) -> Result<Vec<Repair>, JournalError> {
    let project = Project::at(root.canonicalize().at("open", root)?);
    let data = project.data_dir();
    if !fs::symlink_metadata(&data).at("look at", &data)?.is_dir() {
        return Err(JournalError::BadFile {
            path: data,
            what: "it is no folder: move it away, and `fornax up -d` creates one".to_owned(),
        });
    }
    let mut plan = Plan {
        project: &project,
        repairs: Vec::new(),
    };
    let folders = plan.runs(scope)?;
    plan.project_files(&folders);
    plan.derived(scope, &folders);
    Ok(plan.repairs)
}

/// Makes the repairs of a plan, those of runs with living tasks excepted. `name` begins the names of
/// what is set aside; `key` is the project's key where somebody knows it and its own file is damaged.
///
/// Derived files are only set aside here: [`Project::rebuild_derived`] writes them.
///
/// # Errors
/// When a daemon has the project, or the system refuses; what was done by then stays done.
pub fn execute(
    root: &Path,
    repairs: &[Repair],
    name: &str,
    key: Option<u64>,
) -> Result<Vec<Repaired>, JournalError> {
    let project = Project::at(root.canonicalize().at("open", root)?);
    let path = project.data_dir().join("lock");
    let mut done = Vec::new();
    if !matches!(disk_kind(&path)?, Kind::File | Kind::Missing) {
        set_aside_into(&project, &path, name, Subject::Marker, &mut done)?;
    }
    let _lock = Lock::take(path.clone())?;
    // By now the lock is the file that this process holds.
    let is_due = |repair: &&Repair| repair.living.is_empty() && repair.path != path;
    for repair in repairs.iter().filter(is_due) {
        set_aside_into(&project, &repair.path, name, repair.subject, &mut done)?;
        match (repair.subject, key) {
            (Subject::OpenMarker(run), _) => {
                let marker = project.open_marker(run);
                disk::write_synced(&marker, b"").at("write", &marker)?;
            }
            (Subject::Identity, Some(key)) => write_identity(&project, key)?,
            _ => {}
        }
    }
    Ok(done)
}

/// Moves something into the folder for it. A name that is taken gets a number.
fn set_aside_into(
    project: &Project,
    path: &Path,
    name: &str,
    subject: Subject,
    done: &mut Vec<Repaired>,
) -> Result<(), JournalError> {
    let moved_to = match disk_kind(path)? {
        Kind::Missing => None,
        _ => {
            let data = project.data_dir();
            let dir = data.join(SET_ASIDE);
            disk::make_dir(&dir).at("create", &dir)?;
            let inside = path.strip_prefix(&data).unwrap_or(path);
            let place = inside.to_string_lossy().replace('/', "-");
            Some(move_into(path, &dir, &format!("{name}-{place}"))?)
        }
    };
    done.push(Repaired {
        path: path.to_owned(),
        moved_to,
        subject,
    });
    Ok(())
}

/// Moves `path` into `dir` under a name that nothing has there, durably. Returns where it is.
///
/// # Errors
/// When the system refuses.
pub fn move_into(path: &Path, dir: &Path, name: &str) -> Result<PathBuf, JournalError> {
    let mut number = 1;
    loop {
        let to = match number {
            1 => dir.join(name),
            _ => dir.join(format!("{name}-{number}")),
        };
        let moved = rustix::fs::renameat_with(
            rustix::fs::CWD,
            path,
            rustix::fs::CWD,
            &to,
            RenameFlags::NOREPLACE,
        );
        match moved.map_err(io::Error::from) {
            Ok(()) => {
                disk::sync_dir(dir).at("sync", dir)?;
                if let Some(parent) = path.parent() {
                    disk::sync_dir(parent).at("sync", parent)?;
                }
                return Ok(to);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error).at("move", path),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Missing,
    File,
    Folder,
    Other,
}

/// What is at a path; links are not followed.
fn disk_kind(path: &Path) -> Result<Kind, JournalError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kind::Missing),
        Err(error) => Err(error).at("look at", path),
        Ok(meta) if meta.is_file() => Ok(Kind::File),
        Ok(meta) if meta.is_dir() => Ok(Kind::Folder),
        Ok(_) => Ok(Kind::Other),
    }
}

struct Plan<'p> {
    project: &'p Project,
    repairs: Vec<Repair>,
}

impl Plan<'_> {
    fn add(&mut self, path: PathBuf, subject: Subject, problem: impl Into<String>) {
        self.repairs.push(Repair {
            path,
            problem: problem.into(),
            subject,
            living: Vec::new(),
        });
    }

    /// Adds a repair where something else than a file, or nothing, is at the path. Whether a file is.
    fn is_file(&mut self, path: &Path, subject: Subject) -> bool {
        match disk_kind(path) {
            Ok(Kind::File) => return true,
            Ok(Kind::Missing) => {}
            Ok(_) => self.add(path.to_owned(), subject, "it is no file"),
            Err(error) => self.add(path.to_owned(), subject, error.to_string()),
        }
        false
    }

    /// Looks at the runs; returns those that stay.
    fn runs(&mut self, scope: Scope) -> Result<Vec<RunId>, JournalError> {
        let dir = self.project.runs_dir();
        match disk_kind(&dir)? {
            Kind::Missing => return Ok(Vec::new()),
            Kind::Folder => {}
            _ => {
                self.add(dir, Subject::Marker, "it is no folder");
                return Ok(Vec::new());
            }
        }
        let mut stay = Vec::new();
        for (place, run) in self.project.run_folders()?.into_iter().enumerate() {
            let is_looked_at = match scope {
                Scope::All => true,
                Scope::Newest(count) => place < count || self.project.is_open(run),
            };
            let problem = is_looked_at.then(|| run_problem(self.project, run));
            match problem.flatten() {
                None => {
                    self.is_file(&self.project.open_marker(run), Subject::OpenMarker(run));
                    stay.push(run);
                }
                Some(problem) => self.repairs.push(Repair {
                    path: self.project.run_dir(run),
                    problem,
                    subject: Subject::Run(run),
                    living: living_tasks(&self.project.run_dir(run)),
                }),
            }
        }
        Ok(stay)
    }

    fn project_files(&mut self, runs: &[RunId]) {
        let data = self.project.data_dir();
        let identity = self.project.identity_file();
        if let Some(problem) = identity_problem(self.project) {
            self.add(identity, Subject::Identity, problem);
        } else if !runs.is_empty() && !identity.exists() {
            self.add(identity, Subject::Identity, "it is missing");
        }
        for name in ["lock", ".gitignore"] {
            self.is_file(&data.join(name), Subject::Marker);
        }
        for name in ["autonomy.json", "subagents.json"] {
            let path = data.join(name);
            if self.is_file(&path, Subject::Settings)
                && let Some(problem) = json_problem(&path)
            {
                self.add(path, Subject::Settings, problem);
            }
        }
    }

    fn derived(&mut self, scope: Scope, runs: &[RunId]) {
        let index = self.project.index_file();
        let mut files = vec![index];
        files.extend(runs.iter().map(|&run| self.project.run_file(run)));
        let frames = self.project.frames_dir();
        match disk_kind(&frames) {
            Ok(Kind::Folder) if scope == Scope::All => {
                let entries = fs::read_dir(&frames).into_iter().flatten().flatten();
                files.extend(entries.map(|entry| entry.path().join("metadata.json")));
            }
            Ok(Kind::Folder | Kind::Missing) => {}
            _ => self.add(frames, Subject::Derived, "it is no folder"),
        }
        if let Scope::Newest(count) = scope {
            files.truncate(count + 1);
        }
        for path in files {
            // A frame's folder may be a file.
            let parent = path.parent().map_or(Path::new(""), |parent| parent);
            if disk_kind(parent).is_ok_and(|kind| kind != Kind::Folder) {
                self.add(parent.to_owned(), Subject::Derived, "it is no folder");
            } else if self.is_file(&path, Subject::Derived)
                && let Some(problem) = json_problem(&path)
            {
                self.add(path, Subject::Derived, problem);
            }
        }
    }
}

/// Why the project's key cannot be read, if something is there. A file of a newer version is not
/// damaged.
fn identity_problem(project: &Project) -> Option<String> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let path = project.identity_file();
    match disk_kind(&path) {
        Ok(Kind::Missing) => return None,
        Ok(Kind::File) => {}
        Ok(_) => return Some("it is no file".to_owned()),
        Err(error) => return Some(error.to_string()),
    }
    let what = match project.key().err()? {
        JournalError::BadFile { what, .. } => what,
        JournalError::Io { source, .. } => source.to_string(),
        error => error.to_string(),
    };
    let text = disk::read_text(&path, IDENTITY_MAX_BYTES).unwrap_or_default();
    let version = serde_json::from_str::<Version>(&text);
    let is_newer = version.is_ok_and(|version| version.v > crate::project::VERSION);
    (!is_newer).then_some(what)
}

fn write_identity(project: &Project, key: u64) -> Result<(), JournalError> {
    let path = project.identity_file();
    let identity = serde_json::json!({
        "v": crate::project::VERSION, "key": format!("{key:016x}"), "created": now(),
    });
    disk::replace_durably(&path, format!("{identity}\n").as_bytes()).at("write", &path)
}

/// Why a small file is not JSON. One that a newer version wrote differently is none of our business.
fn json_problem(path: &Path) -> Option<String> {
    match disk::read_text(path, DERIVED_MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => None,
        Err(error) => Some(error.to_string()),
        Ok(text) => serde_json::from_str::<serde::de::IgnoredAny>(&text)
            .err()
            .map(|error| error.to_string()),
    }
}

/// Why a run cannot be used: damage that no start of the daemon puts right.
fn run_problem(project: &Project, run: RunId) -> Option<String> {
    let dir = project.run_dir(run);
    let journal = project.stream_file(run, crate::Stream::Events);
    match (disk_kind(&dir), disk_kind(&journal)) {
        (Ok(Kind::Folder), Ok(Kind::File)) => {}
        // Claimed and never begun: the number stays used.
        (Ok(Kind::Folder), Ok(Kind::Missing)) => return None,
        (Ok(Kind::Folder), Ok(_)) => return Some("its journal is no file".to_owned()),
        (Ok(_), _) => return Some("it is no folder".to_owned()),
        (Err(error), _) => return Some(error.to_string()),
    }
    let mut reader = match project.read_run(run) {
        Ok(reader) => reader,
        Err(error) => return Some(error.to_string()),
    };
    let mut hole = None;
    for record in &mut reader {
        match (record, &hole) {
            (Ok(_), None) => {}
            // Not damaged: for another version of this program.
            (Err(damage), None) if damage.kind == DamageKind::NewerVersion => return None,
            (Err(damage), None) if damage.kind == DamageKind::Hole => hole = Some(damage),
            // What a power loss leaves has nothing whole behind it.
            (Err(damage), Some(_))
                if matches!(
                    damage.kind,
                    DamageKind::Hole | DamageKind::NotARecord | DamageKind::TooLong
                ) => {}
            (Err(damage), None) => return Some(damage.to_string()),
            (_, Some(hole)) => return Some(hole.to_string()),
        }
    }
    None
}

/// The tasks in a run's folder whose shims live: a shim holds a lock on its task's folder.
fn living_tasks(run_dir: &Path) -> Vec<LivingTask> {
    #[derive(Deserialize)]
    struct Task {
        shim: Process,
    }
    #[derive(Deserialize)]
    struct Process {
        pid: u32,
    }
    let entries = fs::read_dir(run_dir.join("tasks"));
    let mut living = Vec::new();
    for entry in entries.into_iter().flatten().flatten() {
        let dir = entry.path();
        let is_locked = entry.file_type().is_ok_and(|kind| kind.is_dir())
            && fs::File::open(&dir).is_ok_and(|folder| {
                matches!(folder.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
            });
        if is_locked {
            let task = disk::read_text(&dir.join("task.json"), 1 << 20).ok();
            let task = task.and_then(|text| serde_json::from_str::<Task>(&text).ok());
            let pid = task.map(|task| task.shim.pid);
            living.push(LivingTask { dir, pid });
        }
    }
    living
}
