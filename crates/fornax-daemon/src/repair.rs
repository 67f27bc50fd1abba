//! The way out of damage in the state directory, and the derived files of a project written again.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use fornax_core::event::Event;
use fornax_core::state::State;
use fornax_core::time::Time;
use fornax_journal::{Derivation, Project, repair};
use serde::Serialize;

use crate::history;
use crate::home::{Home, storage};
use crate::hub::projects::id_of;
use crate::registry::{Inode, Registry};

/// A file of the state directory that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateRepair {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// What follows once it is set aside.
    pub consequence: &'static str,
}

/// What follows for each file that has no entry of its own.
const CREATED_WHEN_NEEDED: &str = "it is created again when it is needed";

/// The files that the daemon keeps, and what follows when one of them is new.
const FILES: &[(&str, &str)] = &[
    (
        "projects.json",
        "the daemon has no projects until a `fornax` command is run in each",
    ),
    (
        "trust.json",
        "folders of others have to be let through with `fornax trust --path` again",
    ),
    (
        "token",
        "a new token is created; browsers have to log in again",
    ),
    ("sessions.json", "browsers have to log in again"),
    (
        "key",
        "a new key is created; runs that go on have to be accepted with `fornax trust RUN`",
    ),
    ("daemon.json", CREATED_WHEN_NEEDED),
    ("daemon.lock", CREATED_WHEN_NEEDED),
    ("start.lock", CREATED_WHEN_NEEDED),
    ("daemon.jsonl", CREATED_WHEN_NEEDED),
    ("daemon.err", CREATED_WHEN_NEEDED),
];

/// The same for the directory of a project, `projects/KEY`.
const OF_PROJECTS: &[(&str, &str)] = &[
    (
        "counters.json",
        "numbers are counted again from the runs that are known, and none is given twice",
    ),
    (
        "heads",
        "runs that go on have to be accepted with `fornax trust RUN`",
    ),
    (
        "trust.json",
        "what the project executes has to be accepted with `fornax trust` again",
    ),
    ("autonomy.json", "the defaults apply"),
    ("subagents.json", "the defaults apply"),
];

/// The damaged files of the state directory. Writes nothing.
///
/// # Errors
/// When the directory cannot be listed.
pub fn plan(home: &Home) -> Result<Vec<StateRepair>, Error> {
    let mut repairs = Vec::new();
    for name in names(home.dir())? {
        let known = FILES.iter().find(|(file, _)| *file == name);
        if known.is_none() && !name.ends_with(".json") {
            continue;
        }
        if let Some(problem) = problem(home, &name) {
            repairs.push(StateRepair {
                path: home.dir().join(&name),
                problem,
                consequence: known.map_or(CREATED_WHEN_NEEDED, |(_, consequence)| consequence),
            });
        }
    }
    let projects = home.dir().join("projects");
    for key in names(&projects)? {
        for name in names(&projects.join(&key))? {
            let path = projects.join(&key).join(&name);
            let known = OF_PROJECTS.iter().find(|(file, _)| *file == name);
            if let Some((_, consequence)) = known
                && let Some(problem) = not_a_file(&path).or_else(|| not_json(&path))
            {
                repairs.push(StateRepair {
                    path,
                    problem,
                    consequence,
                });
            }
        }
    }
    Ok(repairs)
}

/// What is in a directory, in order; nothing where there is none.
fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(dir) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries.map_err(|error| storage("list", dir, &error))?,
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Moves the damaged files of a plan to `set-aside` in the state directory. `name` begins their names
/// there. Returns where each was and is.
///
/// # Errors
/// When the system refuses; what was done by then stays done.
pub fn execute(
    home: &Home,
    repairs: &[StateRepair],
    name: &str,
) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let dir = home.dir().join("set-aside");
    let mut moved = Vec::new();
    for repair in repairs {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|error| storage("create", &dir, &error))?;
        let file = repair
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let to = repair::move_into(&repair.path, &dir, &format!("{name}-{file}"))?;
        moved.push((repair.path.clone(), to));
    }
    Ok(moved)
}

/// Why a file cannot be read. Wrong permissions are no damage: their own message tells the way out.
fn problem(home: &Home, name: &str) -> Option<String> {
    let path = home.dir().join(name);
    if let Some(problem) = not_a_file(&path) {
        return Some(problem);
    }
    let read = match name {
        "projects.json" => Registry::load(home).map(drop),
        "daemon.json" => home.info().map(drop),
        "token" => home.token().map(drop),
        "key" => home.key().map(drop),
        _ => return not_json(&path),
    };
    told(&path, read.err()?)
}

fn not_a_file(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    (!meta.is_file()).then(|| "it is no file".to_owned())
}

fn not_json(path: &Path) -> Option<String> {
    if path.extension().is_none_or(|extension| extension != "json") {
        return None;
    }
    let read = crate::home::read_json::<serde::de::IgnoredAny>(path);
    told(path, read.err()?)
}

/// The message without the path, which is told beside it; none where it is about no damage.
fn told(path: &Path, error: Error) -> Option<String> {
    let is_damage = matches!(error.kind, ErrorKind::Damaged | ErrorKind::Storage);
    let prefix = format!("{}: ", path.display());
    let message = error.message;
    is_damage.then(|| message.strip_prefix(&prefix).unwrap_or(&message).to_owned())
}

/// The key of the project in `dir`, as the registry has it for this very folder.
#[must_use]
pub fn known_key(home: &Home, dir: &Path) -> Option<u64> {
    let registry = Registry::load(home).ok()?;
    let dir = dir.canonicalize().ok()?;
    let known = registry.by_path(&dir)?;
    let is_same = Inode::of_data(&dir) == Some(known.inode);
    u64::from_str_radix(&known.key, 16).ok().filter(|_| is_same)
}

/// Writes all derived files of a project again from its journals. A run whose journal cannot be read
/// gets none. Returns how many runs there were.
///
/// # Errors
/// When a daemon has the project, or the system refuses.
pub fn rebuild_derived(project: &Project) -> Result<usize, Error> {
    let id = id_of(&project.key()?.to_le_bytes());
    project.rebuild_derived(|run| {
        let Ok(records) = history::records(project, run) else {
            return Ok(Derivation::default());
        };
        let mut state = State::default();
        state.load(Time::default(), &records);
        let mut derivation = Derivation {
            run: to_json(state.run_view(&id, run).as_ref())?,
            ..Derivation::default()
        };
        for record in &records {
            if let (Event::FrameCreated(created), Some(frame)) = (&record.event, record.frame_id) {
                derivation.tree.grow([(created.parent_id, frame)]);
                let json = to_json(state.frame_detail(frame).as_ref())?;
                derivation.frames.push((frame, json));
            }
        }
        Ok(derivation)
    })
}

/// The JSON of a derived file; empty where the journal holds nothing for it.
fn to_json(value: Option<&impl Serialize>) -> Result<String, Error> {
    let json = value.map(serde_json::to_string).transpose();
    json.map(Option::unwrap_or_default).map_err(|error| {
        let what = format!("a derived file cannot be written: {error}");
        Error::new(ErrorKind::Internal, what)
    })
}
