//! Files that repeat what the journals say, for those who look into the folders: one for each
//! frame, one for each run, one for the structure of all.
//!
//! One thread writes them, some time after; whoever hands content in never waits. They are not
//! synced: deleting any of them, or losing them in a power cut, loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fornax_core::ids::{FrameId, RunId};

use crate::disk;
use crate::error::{At, JournalError};
use crate::lock::Lock;
use crate::project::Project;
use crate::tree::{self, Change, Tree};

/// Content that changes again within this time is written once.
const DELAY: Duration = Duration::from_millis(100);

/// `index.json` is written no more often than this, and never for more than a twentieth of the
/// time, however large it is.
const INDEX_DELAY: Duration = Duration::from_millis(500);

/// After a failure, this long until the next try.
const RETRY: Duration = Duration::from_secs(5);

/// Content that waits, in bytes. What comes beyond it is noted by its id only.
const PENDING_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Writes the derived files of a project. Only whoever has the project's [`crate::Writer`] has one.
#[derive(Debug)]
pub struct Derived {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    project: Project,
    pending: Mutex<Pending>,
    /// Something came in, or something is wanted at once.
    wake: Condvar,
    /// A round is over.
    done: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    content: Content,
    bytes: usize,
    behind: BTreeSet<FrameId>,
    /// Since when something waits that is not the index.
    files_since: Option<Instant>,
    /// Before this, the index is not written again.
    index_not_before: Option<Instant>,
    retry_at: Option<Instant>,
    /// How many flushes were asked for, and how many are done.
    flushes: (u64, u64),
    stop: bool,
    problem: Option<String>,
    index_lost: bool,
}

#[derive(Debug, Default)]
struct Content {
    frames: BTreeMap<FrameId, String>,
    runs: BTreeMap<RunId, String>,
    trees: BTreeMap<RunId, Change>,
}

impl Content {
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.runs.is_empty() && self.trees.is_empty()
    }
}

impl Derived {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(project: &Project) -> Result<Derived, JournalError> {
        let index = project.index_file();
        let shared = Arc::new(Shared {
            project: project.clone(),
            pending: Mutex::new(Pending {
                index_lost: !index.exists() && !project.run_folders()?.is_empty(),
                ..Pending::default()
            }),
            wake: Condvar::new(),
            done: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("fornax-derived".to_owned())
            .spawn(move || for_thread.work())
            .at("start a thread for", &index)?;
        Ok(Derived {
            shared,
            thread: Some(thread),
        })
    }

    /// Content for a frame's `metadata.json`.
    pub fn frame(&self, frame: FrameId, json: String) {
        let mut pending = self.shared.lock();
        let old = pending.content.frames.get(&frame).map_or(0, String::len);
        if pending.bytes - old + json.len() > PENDING_MAX_BYTES {
            // What waits for this frame is out of date.
            pending.content.frames.remove(&frame);
            pending.bytes -= old;
            pending.behind.insert(frame);
        } else {
            pending.bytes += json.len();
            pending.bytes -= old;
            pending.behind.remove(&frame);
            pending.content.frames.insert(frame, json);
        }
        self.shared.touch_files(pending);
    }

    /// Content for a run's `run.json`.
    pub fn run(&self, run: RunId, json: String) {
        let mut pending = self.shared.lock();
        pending.bytes += json.len();
        let old = pending.content.runs.insert(run, json);
        pending.bytes -= old.map_or(0, |old| old.len());
        self.shared.touch_files(pending);
    }

    /// The whole tree of a run, for `index.json`.
    pub fn structure(&self, run: RunId, tree: Tree) {
        self.change(run, Change::Replace(tree));
    }

    /// New frames of a run, each with its parent, for `index.json`. Those that are there already
    /// are passed over.
    pub fn grow(&self, run: RunId, links: Vec<(Option<FrameId>, FrameId)>) {
        self.change(run, Change::Grow(links));
    }

    fn change(&self, run: RunId, change: Change) {
        let mut pending = self.shared.lock();
        match pending.content.trees.get_mut(&run) {
            Some(earlier) => earlier.then(change),
            None => {
                pending.content.trees.insert(run, change);
            }
        }
        self.shared.wake.notify_one();
    }

    /// Takes up to `max` frames whose content came when too much was waiting already. Their files
    /// are out of date until it is handed in again.
    #[must_use]
    pub fn take_behind(&self, max: usize) -> Vec<FrameId> {
        let mut pending = self.shared.lock();
        let taken: Vec<FrameId> = pending.behind.iter().copied().take(max).collect();
        for frame in &taken {
            pending.behind.remove(frame);
        }
        taken
    }

    /// What keeps files from being written at present. It is tried again every few seconds.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.shared.lock().problem.clone()
    }

    /// Whether `index.json` was missing or not ours: runs are missing from it that did not change
    /// since. Their trees may be handed in at leisure.
    #[must_use]
    pub fn index_lost(&self) -> bool {
        self.shared.lock().index_lost
    }

    /// Waits until all that was handed in is written, or was tried.
    pub fn flush(&self) {
        let mut pending = self.shared.lock();
        pending.flushes.0 += 1;
        let mine = pending.flushes.0;
        self.shared.wake.notify_one();
        while pending.flushes.1 < mine {
            pending = wait(&self.shared.done, pending);
        }
    }
}

impl Drop for Derived {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

fn wait<'a>(condvar: &Condvar, guard: MutexGuard<'a, Pending>) -> MutexGuard<'a, Pending> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

impl Pending {
    /// When there is something to do next; none while nothing waits.
    fn due(&self, now: Instant) -> Option<Instant> {
        if self.stop || self.flushes.1 < self.flushes.0 {
            return Some(now);
        }
        if self.content.is_empty() {
            return None;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        let files = self.files_since.map(|since| since + DELAY);
        let trees = !self.content.trees.is_empty();
        let index = trees.then(|| self.index_not_before.unwrap_or(now));
        [files, index].into_iter().flatten().min()
    }

    /// Takes what is due.
    fn take(&mut self, now: Instant) -> Content {
        let all = self.stop || self.flushes.1 < self.flushes.0 || self.retry_at.is_some();
        self.files_since = None;
        self.retry_at = None;
        self.bytes = 0;
        let mut taken = std::mem::take(&mut self.content);
        if !all && self.index_not_before.is_some_and(|at| at > now) {
            self.content.trees = std::mem::take(&mut taken.trees);
        }
        taken
    }

    /// Puts back what could not be written, behind what has come since.
    fn put_back(&mut self, failed: Content) {
        for (frame, json) in failed.frames {
            if self.behind.contains(&frame) {
                continue;
            }
            if let std::collections::btree_map::Entry::Vacant(entry) =
                self.content.frames.entry(frame)
            {
                self.bytes += json.len();
                entry.insert(json);
            }
        }
        for (run, json) in failed.runs {
            if let std::collections::btree_map::Entry::Vacant(entry) = self.content.runs.entry(run)
            {
                self.bytes += json.len();
                entry.insert(json);
            }
        }
        for (run, mut change) in failed.trees {
            if let Some(later) = self.content.trees.remove(&run) {
                change.then(later);
            }
            self.content.trees.insert(run, change);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch_files(&self, mut pending: MutexGuard<'_, Pending>) {
        if pending.files_since.is_none() {
            pending.files_since = Some(Instant::now());
            self.wake.notify_one();
        }
    }

    fn work(&self) {
        let mut first = true;
        let mut pending = self.lock();
        loop {
            let now = Instant::now();
            match pending.due(now) {
                None => {
                    pending = wait(&self.wake, pending);
                    continue;
                }
                Some(due) if due > now => {
                    let waited = self.wake.wait_timeout(pending, due - now);
                    pending = waited.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                Some(_) => {}
            }
            let stop = pending.stop;
            let flushes = pending.flushes.0;
            let content = pending.take(now);
            drop(pending);
            let round = self.write(content, first);
            first &= round.index_took.is_none();
            pending = self.lock();
            if let Some(taken) = round.index_took {
                pending.index_not_before = Some(Instant::now() + INDEX_DELAY.max(20 * taken));
            }
            pending.index_lost |= round.index_lost;
            if round.problem.is_some() {
                pending.put_back(round.failed);
                pending.retry_at = Some(Instant::now() + RETRY);
            }
            pending.problem = round.problem;
            pending.flushes.1 = flushes;
            self.done.notify_all();
            if stop {
                return;
            }
        }
    }

    fn write(&self, content: Content, first: bool) -> Round {
        let mut round = Round::default();
        for (frame, json) in content.frames {
            let path = self.project.frame_dir(frame).join("metadata.json");
            if let Err(error) = replace(&path, &json) {
                round.problem = Some(format!("cannot write {}: {error}", path.display()));
                round.failed.frames.insert(frame, json);
            }
        }
        for (run, json) in content.runs {
            let path = self.project.run_file(run);
            if let Err(error) = replace(&path, &json) {
                round.problem = Some(format!("cannot write {}: {error}", path.display()));
                round.failed.runs.insert(run, json);
            }
        }
        if !content.trees.is_empty() {
            let started = Instant::now();
            let path = self.project.index_file();
            // Runs whose folder is gone leave the index at the first writing after a start.
            let keep = |run| !first || self.project.run_dir(run).exists();
            match tree::update(&path, &content.trees, keep) {
                Ok(whole) => round.index_lost = !whole,
                Err(error) => {
                    round.problem = Some(format!("cannot write {}: {error}", path.display()));
                    round.failed.trees = content.trees;
                }
            }
            round.index_took = Some(started.elapsed());
        }
        round
    }
}

#[derive(Default)]
struct Round {
    failed: Content,
    problem: Option<String>,
    index_lost: bool,
    index_took: Option<Duration>,
}

/// Whether a file has this content.
fn is_content(path: &Path, text: &str) -> io::Result<bool> {
    let mut old = Vec::new();
    let file = disk::open(path)?;
    file.take(text.len() as u64 + 1).read_to_end(&mut old)?;
    Ok(old == text.as_bytes())
}

/// Replaces a file unless it has this content already; creates its folder where it is missing, and the
/// folder of the frames. Nothing above them: where `.fornax` is gone, the project is elsewhere.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if path.parent().is_some_and(Path::is_symlink) {
        return Err(io::Error::other(
            "its folder is a link, which may lead anywhere",
        ));
    }
    match is_content(path, text) {
        Ok(true) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            for folder in [path.ancestors().nth(2), path.parent()]
                .into_iter()
                .flatten()
            {
                disk::make_dir(folder)?;
            }
        }
        _ => {}
    }
    let draft = disk::draft_of(path);
    disk::create(&draft)?.write_all(text.as_bytes())?;
    fs::rename(&draft, path)
}

/// All that is derived from one run's journal.
#[derive(Debug, Default)]
pub struct Derivation {
    /// The content of its `run.json`.
    pub run: String,
    /// The content of each of its frames' `metadata.json`.
    pub frames: Vec<(FrameId, String)>,
    /// Its tree.
    pub tree: Tree,
}

impl Project {
    pub(crate) fn index_file(&self) -> PathBuf {
        self.data_dir().join("index.json")
    }

    pub(crate) fn run_file(&self, run: RunId) -> PathBuf {
        self.run_dir(run).join("run.json")
    }

    /// The content of a run's `run.json`, for a list of runs. None where it was not written yet,
    /// or was lost: the journal has it all.
    #[must_use]
    pub fn run_summary(&self, run: RunId) -> Option<String> {
        let text = disk::read_text(&self.run_file(run), 1024 * 1024).ok()?;
        // A power cut may leave an empty file.
        (!text.is_empty()).then_some(text)
    }

    /// Makes all derived files anew; `derive` says what is in them. Returns how many runs there
    /// were.
    ///
    /// # Errors
    /// When a daemon works the project, when `derive` fails, or the system refuses.
    pub fn rebuild_derived<E: From<JournalError>>(
        &self,
        mut derive: impl FnMut(RunId) -> Result<Derivation, E>,
    ) -> Result<usize, E> {
        let _lock = Lock::take(self.data_dir().join("lock"))?;
        let index = self.index_file();
        disk::remove(&index).at("remove", &index)?;
        let mut runs = self.runs()?;
        runs.reverse();
        // In portions: a portion's trees are in memory together.
        for portion in runs.chunks(256) {
            let mut trees = BTreeMap::new();
            for &run in portion {
                let derivation = derive(run)?;
                let path = self.run_file(run);
                replace(&path, &derivation.run).at("write", &path)?;
                for (frame, json) in derivation.frames {
                    let path = self.frame_dir(frame).join("metadata.json");
                    replace(&path, &json).at("write", &path)?;
                }
                trees.insert(run, Change::Replace(derivation.tree));
            }
            tree::update(&index, &trees, |_| true).at("write", &index)?;
        }
        Ok(runs.len())
    }
}
