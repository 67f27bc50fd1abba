//! The second stream of a run: `telemetry.jsonl`, what agents tell of themselves.
//!
//! It is synced within 200 ms and not before anybody is answered: what a power cut takes from it
//! is no state.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fornax_core::ids::RunId;
use fornax_redact::Rules;

use crate::disk;
use crate::error::{AppendError, At, JournalError};
use crate::lines::{Lines, Next};
use crate::log::{Head, read_head};
use crate::project::{Project, now};
use crate::reader::{Stream, Torn};
use crate::recovery::{TornTail, cut_off};
use crate::trace;

/// From the first event that is not synced to the sync; the rest of the 200 ms is the disk's.
const SYNC_DELAY: Duration = Duration::from_millis(100);

/// How many files are kept open.
const FILES_MAX: usize = 64;

/// The longest that a run's telemetry may become.
const FILE_MAX_BYTES: u64 = 8 * 1024 * 1024 * 1024;

/// Writes the trace events of all runs. Only whoever has the project's [`crate::Writer`] has one.
#[derive(Debug)]
pub struct TelemetryWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What became of a batch of trace events.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ingested {
    /// How many were written.
    pub accepted: u64,
    /// How many were not.
    pub rejected_total: u64,
    /// The first 100 of those: the line in the batch, from 1, and what is wrong with it.
    pub rejected: Vec<(u64, String)>,
    /// What a crash had left at the end of the file and was cut off now.
    pub torn: Option<TornTail>,
}

#[derive(Debug)]
struct Shared {
    project: Project,
    files: Mutex<Files>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Files {
    open: HashMap<RunId, Telemetry>,
    /// Since when something is not synced.
    dirty_since: Option<Instant>,
    batches: u64,
    stop: bool,
    problem: Option<String>,
}

/// The telemetry of one run.
#[derive(Debug)]
struct Telemetry {
    path: PathBuf,
    file: Arc<File>,
    head: Head,
    dirty: bool,
    /// The batch that used it last.
    used: u64,
}

impl TelemetryWriter {
    /// Starts the thread that syncs.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(project: &Project) -> Result<TelemetryWriter, JournalError> {
        let shared = Arc::new(Shared {
            project: project.clone(),
            files: Mutex::default(),
            wake: Condvar::new(),
        });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("fornax-telemetry".to_owned())
            .spawn(move || for_thread.work())
            .at("start a thread for", &project.runs_dir())?;
        Ok(TelemetryWriter {
            shared,
            thread: Some(thread),
        })
    }

    /// Takes trace events of a run, one JSON object a line. Those that are not what they should be
    /// are left out and told; secrets are taken out of the others, and what is too long is
    /// shortened.
    ///
    /// # Errors
    /// When there is no such run, or the events cannot be written: none of them is, then.
    pub fn append(
        &self,
        run: RunId,
        ndjson: &[u8],
        rules: &Rules,
    ) -> Result<Ingested, AppendError> {
        // All the work is done before the lock is taken.
        let checked = trace::check(ndjson, run, rules, now());
        let mut ingested = Ingested {
            accepted: checked.len(),
            rejected_total: checked.rejected_total,
            ..Ingested::default()
        };
        if checked.len() > 0 {
            let mut files = self.shared.lock();
            ingested.torn = files.open(&self.shared.project, run)?;
            files.append(run, &checked)?;
            files.close_some();
            if files.dirty_since.is_none() {
                files.dirty_since = Some(Instant::now());
                self.shared.wake.notify_one();
            }
        }
        ingested.rejected = checked.rejected;
        Ok(ingested)
    }

    /// Where the telemetry of a run ends, as far as it was written since the start; not all of it
    /// is durable.
    #[must_use]
    pub fn head(&self, run: RunId) -> Option<Head> {
        self.shared.lock().open.get(&run).map(|open| open.head)
    }

    /// Syncs all that was written.
    ///
    /// # Errors
    /// When the disk fails; what was written may be lost then.
    pub fn flush(&self) -> Result<(), AppendError> {
        let mut files = self.shared.lock();
        // All of them: the thread may be at those that are no longer dirty.
        files.open.values_mut().for_each(|open| open.dirty = true);
        let all = files.take_dirty();
        drop(files);
        sync(all)
    }

    /// The failure of the last sync, where it failed.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.shared.lock().problem.clone()
    }
}

impl Drop for TelemetryWriter {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, there would be nobody to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut files = self.lock();
        loop {
            let since = files.dirty_since.map(|since| since.elapsed());
            match since {
                _ if files.stop => {}
                None => {
                    files = self
                        .wake
                        .wait(files)
                        .unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                Some(since) if since < SYNC_DELAY => {
                    let waited = self.wake.wait_timeout(files, SYNC_DELAY - since);
                    files = waited.unwrap_or_else(PoisonError::into_inner).0;
                    continue;
                }
                Some(_) => {}
            }
            let stop = files.stop;
            let dirty = files.take_dirty();
            drop(files);
            let synced = sync(dirty);
            files = self.lock();
            files.problem = synced.err().map(|error| error.to_string());
            if stop {
                return;
            }
        }
    }
}

fn sync(files: Vec<(PathBuf, Arc<File>)>) -> Result<(), AppendError> {
    let mut synced = Ok(());
    for (path, file) in files {
        if let Err(error) = file.sync_data() {
            synced = Err(AppendError::storage("sync", &path, error));
        }
    }
    synced
}

impl Files {
    fn take_dirty(&mut self) -> Vec<(PathBuf, Arc<File>)> {
        self.dirty_since = None;
        let dirty = self.open.values_mut().filter(|open| open.dirty);
        let take = |open: &mut Telemetry| {
            open.dirty = false;
            (open.path.clone(), Arc::clone(&open.file))
        };
        dirty.map(take).collect()
    }

    /// Opens the telemetry of a run, where it is not open.
    fn open(&mut self, project: &Project, run: RunId) -> Result<Option<TornTail>, AppendError> {
        if self.open.contains_key(&run) {
            return Ok(None);
        }
        let path = project.stream_file(run, Stream::Telemetry);
        let file = match disk::open_append(&path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let project = project.root().to_owned();
                return Err(JournalError::NoRun { run, project }.into());
            }
            file => file.map_err(|error| AppendError::storage("open", &path, error))?,
        };
        let mut file = file;
        let (head, torn) = match read_head(&mut file, &path) {
            Ok(head) => (head, None),
            Err(_) => {
                let (head, torn) = find_end(&path)?;
                let torn = torn.map(|torn| cut_off(project, run, torn, "torn-telemetry"));
                (head, torn.transpose()?)
            }
        };
        let open = Telemetry {
            path,
            file: Arc::new(file),
            head,
            dirty: false,
            used: 0,
        };
        self.open.insert(run, open);
        Ok(torn)
    }

    fn append(&mut self, run: RunId, checked: &trace::Checked) -> Result<(), AppendError> {
        self.batches += 1;
        let Some(open) = self.open.get_mut(&run) else {
            return Ok(());
        };
        open.used = self.batches;
        let lines = checked.lines(open.head.seq);
        let bytes = open.head.bytes + lines.len() as u64;
        if bytes > FILE_MAX_BYTES {
            let why = format!("its telemetry has reached {FILE_MAX_BYTES} bytes");
            return Err(AppendError::Closed { run, why });
        }
        if let Err(error) = (&*open.file).write_all(&lines) {
            let error = AppendError::storage("write", &open.path, error);
            // Where this fails as well, opening it again finds the last whole line.
            if open.file.set_len(open.head.bytes).is_err() {
                self.open.remove(&run);
            }
            return Err(error);
        }
        open.head.bytes = bytes;
        open.head.seq += checked.len();
        open.dirty = true;
        Ok(())
    }

    /// Closes what was not used for longest. What is not synced stays open until it is.
    fn close_some(&mut self) {
        while self.open.len() > FILES_MAX {
            let idle = self.open.iter().filter(|(_, open)| !open.dirty);
            let Some((&run, _)) = idle.min_by_key(|(_, open)| open.used) else {
                return;
            };
            self.open.remove(&run);
        }
    }
}

/// Looks for the last line before the first that is damaged: where a power cut fell between two
/// syncs, whatever is behind that was not on the disk yet.
fn find_end(path: &std::path::Path) -> Result<(Head, Option<Torn>), JournalError> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        seq: u64,
    }
    let file = disk::open(path).at("open", path)?;
    let length = file.metadata().at("read", path)?.len();
    let mut lines = Lines::new(file);
    let mut head = Head { seq: 0, bytes: 0 };
    loop {
        let (_, next) = lines.next().at("read", path)?;
        let seq = match next {
            Next::Line(line) => serde_json::from_slice::<Numbered>(line).ok(),
            Next::End => return Ok((head, None)),
            Next::TooLong(_) | Next::Torn(_) => None,
        };
        let Some(Numbered { seq }) = seq else {
            let torn = Torn {
                file: path.to_owned(),
                line: lines.number,
                byte: head.bytes,
                bytes: length - head.bytes,
            };
            return Ok((head, Some(torn)));
        };
        head = Head {
            seq,
            bytes: lines.next_byte,
        };
    }
}
