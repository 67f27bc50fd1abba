//! Follows what the hosts of agents write down: `session.jsonl` in each task's folder. What is read
//! goes to the engine and, as trace events, into the run's telemetry.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use fornax_agents::happening::{Entry, Happening, TurnEnd};
use fornax_agents::session::{Follow, fold};
use fornax_core::agent::{Activity, Decision, Failure, Permission};
use fornax_core::frame::Report;
use fornax_core::ids::{RunId, TaskId};
use fornax_core::time::Time;
use fornax_journal::{Project, TelemetryWriter};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::super::{Message, SharedRules};
use super::reports::Calls;
use super::telemetry::{self, Tracer};
use crate::files;

/// The file that a host writes.
const FILE: &str = "session.jsonl";
/// How much of it is read at once, in bytes.
const READ_BYTES: usize = 256 * 1024;

/// What was seen of an agent since the last word about it.
pub(in crate::engine) struct Seen {
    /// The task.
    pub task: TaskId,
    /// What it asks.
    pub asked: Vec<Permission>,
    /// What was answered without an order.
    pub answered: Vec<(String, Decision)>,
    /// Whether it waits for a prompt: the number of the newest order that its host had taken then.
    pub idle_after: Option<u32>,
    /// What it did, as far as that matters to the call stack, each with its moment.
    pub reports: Vec<(Time, Report)>,
    /// Where it stands.
    pub activity: Activity,
    /// What is told of its subagents, and when its conversation was shortened.
    pub story: Vec<Entry>,
    /// How often it had been shortened before.
    pub shortened: usize,
}

/// All that the sessions of a project's running tasks say.
#[derive(Clone)]
pub(in crate::engine) struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    project: Project,
    telemetry: Arc<TelemetryWriter>,
    rules: SharedRules,
    mailbox: mpsc::Sender<Message>,
    watches: OwnedFd,
    followed: Mutex<HashMap<TaskId, Followed>>,
    by_watch: Mutex<HashMap<i32, TaskId>>,
}

/// One session that is followed.
struct Followed {
    dir: PathBuf,
    file: Option<File>,
    follow: Follow,
    activity: Activity,
    ended: Option<(Option<Failure>, String)>,
    taken: u32,
    shortened: usize,
    calls: Calls,
    tracer: Tracer,
}

/// What a session came to.
pub(in crate::engine) struct Ended {
    /// Where the agent stood.
    pub activity: Activity,
    /// How the task ended by its host's word, and what the agent said in the end; none where the
    /// host could not say.
    pub word: Option<(Option<Failure>, String)>,
}

impl Sessions {
    /// Starts the thread that follows. It ends with the daemon.
    pub fn start(
        project: &Project,
        telemetry: Arc<TelemetryWriter>,
        rules: SharedRules,
        mailbox: mpsc::Sender<Message>,
    ) -> io::Result<Sessions> {
        let inner = Arc::new(Inner {
            project: project.clone(),
            telemetry,
            rules,
            mailbox,
            watches: inotify::init(CreateFlags::CLOEXEC)?,
            followed: Mutex::default(),
            by_watch: Mutex::default(),
        });
        let weak = Arc::downgrade(&inner);
        let watches = inner.watches.try_clone()?;
        std::thread::Builder::new()
            .name("sessions".to_owned())
            .spawn(move || watch(&watches, &weak))?;
        Ok(Sessions { inner })
    }

    /// A task's session is to be followed from its beginning. Its folder is there by now.
    pub fn follow(&self, run: RunId, task: TaskId, dir: &Path) {
        if lock(&self.inner.followed).contains_key(&task) {
            return;
        }
        let known = telemetry::known_calls(&self.inner.project, run, task);
        let followed = Followed {
            dir: dir.to_owned(),
            file: None,
            follow: Follow::default(),
            activity: Activity::default(),
            ended: None,
            taken: 0,
            shortened: 0,
            calls: Calls::default(),
            tracer: Tracer::new(run, task, known),
        };
        lock(&self.inner.followed).insert(task, followed);
        // Growth of a file in a folder is told for the folder.
        let flags = WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.inner.watches, dir, flags) {
            Ok(watch) => {
                lock(&self.inner.by_watch).insert(watch, task);
            }
            Err(error) => {
                tracing::warn!(%task, %error, "an agent's session cannot be followed live");
            }
        }
        self.inner.advance(task);
    }

    /// Reads the rest of a session whose task has ended, and lets go of it.
    pub fn finish(&self, run: RunId, task: TaskId, dir: &Path) -> Ended {
        self.follow(run, task, dir);
        self.inner.advance(task);
        let followed = lock(&self.inner.followed).remove(&task);
        lock(&self.inner.by_watch).retain(|watch, other| {
            if *other == task {
                // It fails where the folder is gone, and then there is nothing to remove.
                let _ = inotify::remove_watch(&self.inner.watches, *watch);
            }
            *other != task
        });
        followed.map_or(
            Ended {
                activity: Activity::default(),
                word: None,
            },
            |followed| Ended {
                activity: followed.activity,
                word: followed.ended,
            },
        )
    }
}

impl Inner {
    /// Reads what a session says anew.
    fn advance(&self, task: TaskId) {
        let mut all = lock(&self.followed);
        let Some(followed) = all.get_mut(&task) else {
            return;
        };
        let entries = match followed.read() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(%task, %error, "an agent's session cannot be read");
                return;
            }
        };
        if entries.is_empty() {
            return;
        }
        let seen = followed.take(task, &entries);
        let trace = followed.tracer.trace(&entries, &followed.activity);
        let run = followed.tracer.run;
        if !trace.is_empty()
            && let Err(error) = self
                .telemetry
                .append(run, trace.as_bytes(), &self.rules.get())
        {
            tracing::error!(%task, %error, "what an agent used cannot be written down");
        }
        drop(all);
        // The engine has ended: it will read the session again when it is started.
        let _ = self.mailbox.send(Message::Seen(Box::new(seen)));
    }
}

impl Followed {
    fn read(&mut self) -> io::Result<Vec<Entry>> {
        if self.file.is_none() {
            match files::open_beneath(&self.dir, Path::new(FILE)) {
                Ok(file) => self.file = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let mut entries = Vec::new();
        let Some(file) = &mut self.file else {
            return Ok(entries);
        };
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(entries),
                count => entries.extend(self.follow.push(&buffer[..count])),
            }
        }
    }

    fn take(&mut self, task: TaskId, entries: &[Entry]) -> Seen {
        let mut seen = Seen {
            task,
            asked: Vec::new(),
            answered: Vec::new(),
            idle_after: None,
            reports: Vec::new(),
            activity: Activity::default(),
            story: entries
                .iter()
                .filter(|entry| is_story(entry))
                .cloned()
                .collect(),
            shortened: self.shortened,
        };
        for entry in entries {
            fold(&mut self.activity, entry);
            let report = self.calls.report(&entry.happening);
            seen.reports.extend(report.map(|report| (entry.ts, report)));
            match &entry.happening {
                Happening::PermissionAsked(permission) => seen.asked.push(permission.clone()),
                Happening::PermissionAnswered { id, decision, by } if by != "human" => {
                    seen.answered.push((id.clone(), *decision));
                }
                Happening::OrderTaken { order } => self.taken = self.taken.max(*order),
                Happening::TurnStarted { .. } => seen.idle_after = None,
                Happening::TurnEnded(TurnEnd::Interrupted) => seen.idle_after = Some(self.taken),
                Happening::Compacted { .. } => self.shortened += 1,
                Happening::Ended { failure, result } => {
                    self.ended = Some((failure.clone(), result.clone()));
                }
                _ => {}
            }
        }
        seen.activity = self.activity.clone();
        seen
    }
}

/// Whether an entry matters to the call stack.
fn is_story(entry: &Entry) -> bool {
    match &entry.happening {
        Happening::ChildStarted { .. }
        | Happening::ChildEnded { .. }
        | Happening::Compacted { .. } => true,
        Happening::Text { child, .. }
        | Happening::ToolCall { child, .. }
        | Happening::ModelCall { child, .. } => child.is_some(),
        _ => false,
    }
}

/// Reads on where something was written, until nobody follows anything any more.
fn watch(watches: &OwnedFd, inner: &std::sync::Weak<Inner>) {
    let mut space = [MaybeUninit::uninit(); 8192];
    let mut events = inotify::Reader::new(watches, &mut space);
    let mut changed = HashSet::new();
    loop {
        match events.next() {
            Ok(event) => changed.insert(event.wd()),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => {
                tracing::error!(%error, "sessions of agents are not followed any more");
                return;
            }
        };
        if !events.is_buffer_empty() {
            continue;
        }
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let tasks: Vec<TaskId> = {
            let by_watch = lock(&inner.by_watch);
            changed
                .drain()
                .filter_map(|watch| by_watch.get(&watch).copied())
                .collect()
        };
        for task in tasks {
            inner.advance(task);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
