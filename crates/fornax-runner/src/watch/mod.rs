//! The supervisor's thread: it watches all tasks at once.

mod clock;
mod health;
mod join;
mod sweeper;
mod vitals;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::process::Signal;

use self::clock::Clock;
use self::join::Joining;
use self::sweeper::{Remains, Work};
use self::vitals::Vitals;
use crate::forker::ForkServer;
use crate::legacy;
use crate::look::{Look, Search, is_want, look, wait_for_lock};
use crate::place::{FileId, StateDir};
use crate::procs::{Identity, Marks, boot_id};
use crate::proof::ShimProof;
use crate::spec::{Exit, ExitCause, Report, TaskSpec};
use crate::wire::{Lines, Wish, Word};

/// How often a start is repeated whose shim vanished before it had claimed the folder.
const STARTS_MAX: u32 = 3;

/// When a task that cannot be watched now is tried again.
const AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

/// How often the shims are looked after, while there are tasks.
const TICK: Duration = Duration::from_secs(1);

/// A task and its attempt.
pub type Key = (String, u32);
/// The processes of the commands that run.
pub type Pids = Arc<Mutex<BTreeMap<Key, u32>>>;

/// What the thread is asked to do.
pub enum Order {
    /// See [`Supervisor::ensure`](crate::Supervisor::ensure).
    Ensure(Box<TaskSpec>),
    /// See [`Supervisor::stop`](crate::Supervisor::stop).
    Stop(String),
    /// See [`Supervisor::suspend`](crate::Supervisor::suspend).
    Suspend(String, bool),
    /// The lock of an unreachable shim's folder is free.
    Released(Key),
    /// Nothing is left of a lost task, and this is why it is lost.
    Swept(Key, String),
    /// Nothing is left of a task that was ended from outside.
    EndedFromOutside(Key, Box<Exit>),
    /// End.
    Quit,
}

/// The way to give orders.
#[derive(Clone)]
pub struct Orders {
    sender: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Orders {
    /// Gives an order; it is carried out soon.
    pub fn give(&self, order: Order) {
        // Without a receiver the supervisor is gone, and with it whoever would want an answer.
        if self.sender.send(order).is_ok() {
            // Fails only when the counter is full, and then the thread is awake.
            let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        }
    }
}

/// The event of new orders; connections have the numbers after it.
const WAKE: u64 = 0;

struct Task {
    spec: TaskSpec,
    link: Link,
    pid: Option<u32>,
    stop: bool,
    suspended: bool,
    starts: u32,
    /// It could not be watched, and that was told.
    unwatched: bool,
    /// Gives each task its turn to be looked after.
    number: u64,
    /// The folder, once it is known which one is the task's.
    folder: Option<FileId>,
    /// The shim, once it has proved itself; or (`is_vouched`) the kernel shows that it is one.
    shim: Option<Identity>,
    is_vouched: bool,
    /// Whether the shim is of a version that answers.
    answers: bool,
    /// What the shim was last challenged with.
    nonce: String,
    /// How often something was joined that proved nothing.
    joins: u32,
    vitals: Vitals,
}

impl Task {
    fn remains(&self, key: &Key) -> Remains {
        let folder = self.folder.iter();
        let marks = folder.map(|&folder| Marks::new(&key.0, &self.spec.key, folder));
        Remains {
            key: key.clone(),
            dir: self.spec.dir.clone(),
            is_taken: false,
            marks: marks.chain(legacy::marks(&self.spec)).collect(),
        }
    }
}

/// How a task is watched.
enum Link {
    /// Not at this moment.
    None,
    /// Something listens that is still to prove that it is the shim.
    Joining(Joining),
    /// By its shim's word.
    Shim(Lines, u64),
    /// By its folder's lock, which another thread waits for.
    Lock(Option<Identity>),
    /// Its shim is dead, or about to be; another thread sweeps.
    Sweep,
}

impl Link {
    fn token(&self) -> Option<u64> {
        match self {
            Link::Shim(_, token) => Some(*token),
            Link::Joining(joining) => Some(joining.token),
            Link::None | Link::Lock(_) | Link::Sweep => None,
        }
    }
}

/// The state of the thread.
pub struct Watch {
    epoll: OwnedFd,
    orders: Orders,
    receiver: Receiver<Order>,
    server: ForkServer,
    sweeper: Option<Sender<Work>>,
    boot_id: String,
    state: StateDir,
    clock: Clock,
    /// Which look after the shims this is.
    round: u64,
    ticked: Instant,
    numbered: u64,
    tasks: HashMap<Key, Task>,
    tokens: HashMap<u64, Key>,
    next_token: u64,
    /// Tasks that cannot be watched now.
    unwatched: Vec<Key>,
    pids: Pids,
    reports: Box<dyn Fn(Report) + Send>,
}

impl Watch {
    /// A watch without tasks, and the way to give it orders.
    ///
    /// # Errors
    /// When the fork server cannot be started or there are no descriptors left.
    pub fn new(
        shim_argv: Vec<OsString>,
        state_dir: &Path,
        pids: Pids,
        reports: Box<dyn Fn(Report) + Send>,
    ) -> io::Result<(Orders, Watch)> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = Arc::new(eventfd(0, flags)?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(WAKE);
        epoll::add(&epoll, &wake, data, epoll::EventFlags::IN)?;
        let (sender, receiver) = channel();
        let orders = Orders { sender, wake };
        let watch = Watch {
            epoll,
            orders: orders.clone(),
            receiver,
            server: ForkServer::new(shim_argv, state_dir)?,
            sweeper: None,
            boot_id: boot_id()?,
            state: StateDir::at(state_dir)?,
            clock: Clock::start(),
            round: 0,
            ticked: Instant::now(),
            numbered: 0,
            tasks: HashMap::new(),
            tokens: HashMap::new(),
            next_token: WAKE + 1,
            unwatched: Vec::new(),
            pids,
            reports,
        };
        Ok((orders, watch))
    }

    /// Carries out orders and hears shims until it is told to quit.
    pub fn run(&mut self) {
        let mut events = Vec::with_capacity(256);
        loop {
            let timeout = self.patience();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(0) => {
                    for key in std::mem::take(&mut self.unwatched) {
                        self.resolve(&key);
                    }
                }
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // Only a broken program gets here: the descriptor is ours and valid.
                Err(_) => return,
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    WAKE => {
                        // Emptied before the orders are taken, so that none is slept over.
                        let _ = rustix::io::read(&self.orders.wake, &mut [0_u8; 8]);
                    }
                    token => self.hear(token),
                }
            }
            while let Ok(order) = self.receiver.try_recv() {
                match order {
                    Order::Ensure(spec) => self.ensure(*spec),
                    Order::Stop(task_id) => self.stop(&task_id),
                    Order::Suspend(task_id, on) => self.suspend(&task_id, on),
                    Order::Released(key) => self.resolve(&key),
                    Order::Swept(key, reason) => self.lost(&key, reason),
                    Order::EndedFromOutside(key, exit) => self.ended(&key, *exit),
                    Order::Quit => return,
                }
            }
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                self.look_after_all();
            }
        }
    }

    /// How long to wait for events: for ever where there is nothing to look after.
    fn patience(&self) -> Option<Timespec> {
        if !self.unwatched.is_empty() {
            return Some(AGAIN);
        }
        let left = TICK.saturating_sub(self.ticked.elapsed());
        (!self.tasks.is_empty()).then(|| Timespec::try_from(left).unwrap_or(AGAIN))
    }

    fn ensure(&mut self, spec: TaskSpec) {
        let key = (spec.task_id.clone(), spec.attempt);
        if let Some(task) = self.tasks.get(&key) {
            if let Some(pid) = task.pid {
                self.started(&key, pid);
            }
            return;
        }
        self.numbered += 1;
        let task = Task {
            spec,
            link: Link::None,
            pid: None,
            stop: false,
            suspended: false,
            starts: 0,
            unwatched: false,
            number: self.numbered,
            folder: None,
            shim: None,
            is_vouched: false,
            answers: true,
            nonce: String::new(),
            joins: 0,
            vitals: Vitals::new(self.clock.now()),
        };
        self.tasks.insert(key.clone(), task);
        self.resolve(&key);
    }

    fn stop(&mut self, task_id: &str) {
        let now = self.clock.now();
        let mut unreachable = Vec::new();
        for (key, task) in self.tasks.iter_mut().filter(|((id, _), _)| id == task_id) {
            task.stop = true;
            task.vitals.stop(now);
            match &task.link {
                // A shim that does not take the word is gone or about to be; either is an event.
                Link::Shim(lines, _) => drop(lines.send(&Wish::Stop)),
                Link::Lock(Some(shim)) => drop(shim.signal(Signal::TERM)),
                Link::Lock(None) => unreachable.push(key.clone()),
                Link::Joining(_) | Link::Sweep | Link::None => {}
            }
        }
        for key in unreachable {
            let reason = "the task's folder is locked by a process that cannot be seen from here";
            self.lose(&key, reason.to_owned(), None);
        }
    }

    fn suspend(&mut self, task_id: &str, on: bool) {
        let now = self.clock.now();
        for (_, task) in self.tasks.iter_mut().filter(|((id, _), _)| id == task_id) {
            if std::mem::replace(&mut task.suspended, on) != on {
                task.vitals.suspend(now, on);
            }
            // One that cannot be reached now is told when it can be.
            if let Link::Shim(lines, _) = &task.link {
                lines.send(if on { &Wish::Suspend } else { &Wish::GoOn });
            }
        }
    }

    /// Finds out how it stands with a task, and does what follows.
    fn resolve(&mut self, key: &Key) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.link = Link::None;
        let search = Search {
            spec: &task.spec,
            boot_id: &self.boot_id,
            state: &self.state,
            shim: task.shim,
        };
        match look(&search) {
            Look::Absent => self.absent(key),
            Look::Ended(exit) => self.ended(key, exit),
            Look::Live(live) => self.join(key, live),
            Look::Locked { dir, shim } => {
                task.link = Link::Lock(shim);
                task.folder = FileId::of(&dir).ok();
                if let Some(shim) = shim {
                    task.adopt(shim, self.clock.now());
                }
                if let Some(shim) = shim.filter(|_| task.stop) {
                    shim.signal(Signal::TERM);
                }
                let (orders, key) = (self.orders.clone(), key.clone());
                // One thread for each shim whose socket somebody has deleted.
                std::thread::spawn(move || {
                    // If the lock cannot be waited for, looking again is what is left.
                    let _ = wait_for_lock(&dir);
                    orders.give(Order::Released(key));
                });
            }
            Look::Unseen(error) => self.postpone(key, &error),
            Look::Dead { reason, folder } => self.lose(key, reason, folder),
        }
    }

    /// A task without a folder is started, unless it once had one.
    fn absent(&mut self, key: &Key) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let earlier_boot = task.spec.boot_id.as_ref();
        if task.pid.is_some() {
            self.lose(key, "the task's folder was deleted".into(), None);
        } else if earlier_boot.is_some_and(|boot_id| *boot_id != self.boot_id) {
            let reason = "the machine was restarted right after the task had been started, or \
                          before: it has no folder";
            self.lose(key, reason.into(), None);
        } else {
            task.starts += 1;
            let started = if task.starts > STARTS_MAX {
                Err(io::Error::other(
                    "each ended before it had claimed the task's folder",
                ))
            } else if !task.spec.dir.is_absolute() {
                Err(io::Error::other(
                    "the task's folder is not an absolute path",
                ))
            } else {
                self.server.start_shim(&task.spec)
            };
            match started {
                Ok(fd) => self.attach(key, fd),
                Err(error) if is_want(&error) => {
                    task.starts -= 1;
                    self.postpone(key, &error);
                }
                Err(error) => self.not_started(key, format!("cannot start a shim: {error}")),
            }
        }
    }

    /// Listens to a shim that needs no proof: this daemon has just started it, or it is one of
    /// protocol 1. One that was started here says who it is before it starts the command.
    fn attach(&mut self, key: &Key, fd: OwnedFd) {
        let Some(token) = self.listen(key, &fd) else {
            return;
        };
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.nonce = String::new();
        task.vitals = Vitals::new(now);
        task.link = Link::Shim(Lines::new(fd), token);
        task.send_wishes();
        if task.stop {
            task.vitals.stop(now);
        }
        let was_unwatched = std::mem::take(&mut task.unwatched);
        self.tokens.insert(token, key.clone());
        if was_unwatched {
            self.resumed(key);
        }
    }

    fn resumed(&self, key: &Key) {
        self.tell(key, |task_id, attempt| Report::Resumed { task_id, attempt });
    }

    /// A task cannot be seen or watched for now: it is looked at again soon.
    fn postpone(&mut self, key: &Key, error: &io::Error) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.link = Link::None;
        self.unwatched.push(key.clone());
        if !std::mem::replace(&mut task.unwatched, true) {
            let reason = format!("the task cannot be watched: {error}");
            self.tell(key, |task_id, attempt| Report::Stalled {
                task_id,
                attempt,
                reason,
                needs_you: false,
            });
        }
    }

    /// Takes in what a shim says, and that it says nothing more.
    fn hear(&mut self, token: u64) {
        let Some(key) = self.tokens.get(&token).cloned() else {
            return;
        };
        let task = self.tasks.get_mut(&key).map(|task| &mut task.link);
        let lines = match task {
            Some(Link::Shim(lines, _)) => lines,
            Some(Link::Joining(_)) => return self.hear_joining(&key, token),
            _ => return,
        };
        let (words, open) = lines.receive::<Word>();
        self.take_in(&key, words);
        // Had it ended in an orderly way, the token would be gone by now.
        if !open && self.tokens.remove(&token).is_some() {
            self.resolve(&key);
        }
    }

    /// Takes in what a task's shim says.
    fn take_in(&mut self, key: &Key, words: Vec<Word>) {
        for word in words {
            match word {
                Word::Started { pid } => self.started(key, pid),
                Word::Stalled { reason } => {
                    self.tell(key, |task_id, attempt| Report::Stalled {
                        task_id,
                        attempt,
                        reason,
                        needs_you: false,
                    });
                }
                Word::Resumed => self.resumed(key),
                Word::Ended { exit } => self.ended(key, *exit),
                Word::Refused { reason } => self.not_started(key, reason),
                Word::Proof { nonce, proof } => self.answered(key, &nonce, proof),
                Word::Unknown => {}
            }
        }
    }

    /// Takes in a sign of life.
    fn answered(
        &mut self,
        key: &Key,
        nonce: &str,
        proof: serde_json::Map<String, serde_json::Value>,
    ) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.nonce == nonce) else {
            return;
        };
        let Some(proof) = ShimProof::open(proof, &task.spec.key, nonce) else {
            return;
        };
        task.folder = Some(proof.folder);
        task.adopt(proof.shim, now);
        if task
            .vitals
            .answered(now, Duration::from_millis(proof.ran_ms))
        {
            self.resumed(key);
        }
    }

    fn started(&mut self, key: &Key, pid: u32) {
        if let Some(task) = self.tasks.get_mut(key) {
            task.pid = Some(pid);
            // Prompts and secrets are not kept longer than needed.
            task.spec.forget_input();
        }
        self.running().insert(key.clone(), pid);
        self.tell(key, |task_id, attempt| Report::Started {
            task_id,
            attempt,
            pid,
        });
    }

    fn not_started(&mut self, key: &Key, error: String) {
        let cause = ExitCause::SpawnFailed;
        let exit = Exit::never_started(&key.0, key.1, cause, Some(error));
        self.ended(key, exit);
    }

    fn ended(&mut self, key: &Key, exit: Exit) {
        self.forget(key);
        self.tell(key, |task_id, attempt| Report::Ended {
            task_id,
            attempt,
            exit,
        });
    }

    /// Has what a dead shim left in its folder swept; then the task is lost.
    fn lose(&mut self, key: &Key, reason: String, folder: Option<FileId>) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.link = Link::Sweep;
        task.folder = task.folder.or(folder);
        let remains = task.remains(key);
        self.give_sweeper(Work::Lost(remains, reason));
    }

    fn give_sweeper(&mut self, work: Work) {
        let orders = &self.orders;
        let sweeper = self
            .sweeper
            .get_or_insert_with(|| sweeper::start(orders.clone()));
        let Err(unsent) = sweeper.send(work) else {
            return;
        };
        // Its thread has panicked.
        let (key, reason) = match unsent.0 {
            Work::Lost(remains, reason) => (remains.key, reason),
            Work::End(ending) => (ending.remains.key, "it was to be ended".to_owned()),
        };
        self.lost(&key, reason + "; what it left could not be swept");
    }

    fn lost(&mut self, key: &Key, reason: String) {
        self.forget(key);
        self.tell(key, |task_id, attempt| Report::Lost {
            task_id,
            attempt,
            reason,
        });
    }

    fn forget(&mut self, key: &Key) {
        let task = self.tasks.remove(key);
        if let Some(token) = task.and_then(|task| task.link.token()) {
            self.tokens.remove(&token);
        }
        self.running().remove(key);
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Key, u32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, key: &Key, report: impl FnOnce(String, u32) -> Report) {
        (self.reports)(report(key.0.clone(), key.1));
    }
}
