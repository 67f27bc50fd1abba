//! The supervisor's thread: it watches all tasks at once.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::process::Signal;

use crate::folder::{Look, is_want, look, remove_socket, wait_for_lock};
use crate::forker::ForkServer;
use crate::procs::{Identity, boot_id};
use crate::spec::{Exit, ExitCause, Report, TaskSpec};
use crate::sweep::sweep_marked;
use crate::wire::{Lines, Wish, Word};

/// How often a start is repeated whose shim vanished before it had claimed the folder.
const STARTS_MAX: u32 = 3;

/// When a task that cannot be watched now is tried again.
const AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
};

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
}

/// How a task is watched.
enum Link {
    /// Not at this moment.
    None,
    /// By its shim's word.
    Shim(Lines, u64),
    /// By its folder's lock, which another thread waits for.
    Lock(Option<Identity>),
    /// Its shim is dead; another thread sweeps.
    Sweep,
}

/// The state of the thread.
pub struct Watch {
    epoll: OwnedFd,
    orders: Orders,
    receiver: Receiver<Order>,
    server: ForkServer,
    sweeper: Option<Sender<Remains>>,
    boot_id: String,
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
            server: ForkServer::new(shim_argv)?,
            sweeper: None,
            boot_id: boot_id()?,
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
            let timeout = (!self.unwatched.is_empty()).then_some(&AGAIN);
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout) {
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
                    Order::Quit => return,
                }
            }
        }
    }

    fn ensure(&mut self, spec: TaskSpec) {
        let key = (spec.task_id.clone(), spec.attempt);
        if let Some(task) = self.tasks.get(&key) {
            if let Some(pid) = task.pid {
                self.started(&key, pid);
            }
            return;
        }
        let task = Task {
            spec,
            link: Link::None,
            pid: None,
            stop: false,
            suspended: false,
            starts: 0,
            unwatched: false,
        };
        self.tasks.insert(key.clone(), task);
        self.resolve(&key);
    }

    fn stop(&mut self, task_id: &str) {
        for (_, task) in self.tasks.iter_mut().filter(|((id, _), _)| id == task_id) {
            task.stop = true;
            match &task.link {
                // A shim that does not take the word is gone or about to be; either is an event.
                Link::Shim(lines, _) => lines.send(&Wish::Stop),
                Link::Lock(Some(shim)) => shim.signal(Signal::TERM),
                Link::Lock(None) | Link::Sweep | Link::None => continue,
            };
        }
    }

    fn suspend(&mut self, task_id: &str, on: bool) {
        for (_, task) in self.tasks.iter_mut().filter(|((id, _), _)| id == task_id) {
            task.suspended = on;
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
        let spec = &task.spec;
        match look(&spec.dir, spec.attempt, &self.boot_id) {
            Look::Absent => self.absent(key),
            Look::Ended(exit) => self.ended(key, exit),
            Look::Live(fd) => self.attach(key, fd),
            Look::Locked { dir, shim } => {
                task.link = Link::Lock(shim);
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
            Look::Dead { reason, child } => self.lose(key, reason, child),
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

    /// Listens to a shim.
    fn attach(&mut self, key: &Key, fd: OwnedFd) {
        let token = self.next_token;
        let data = epoll::EventData::new_u64(token);
        let added = epoll::add(&self.epoll, &fd, data, epoll::EventFlags::IN);
        if let Err(error) = added {
            // The kernel's limit on watches. The task goes on. If its shim has not yet claimed its
            // folder, it may be started once more: only one of the two will have it.
            return self.postpone(key, &error.into());
        }
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        let lines = Lines::new(fd);
        if task.suspended {
            lines.send(&Wish::Suspend);
        }
        if task.stop {
            lines.send(&Wish::Stop);
        }
        task.link = Link::Shim(lines, token);
        self.tokens.insert(token, key.clone());
        self.next_token += 1;
        if std::mem::take(&mut task.unwatched) {
            self.tell(key, |task_id, attempt| Report::Resumed { task_id, attempt });
        }
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
            });
        }
    }

    /// Takes in what a shim says, and that it says nothing more.
    fn hear(&mut self, token: u64) {
        let Some(key) = self.tokens.get(&token).cloned() else {
            return;
        };
        let task = self.tasks.get_mut(&key).map(|task| &mut task.link);
        let Some(Link::Shim(lines, _)) = task else {
            return;
        };
        let (words, open) = lines.receive::<Word>();
        for word in words {
            match word {
                Word::Started { pid } => self.started(&key, pid),
                Word::Stalled { reason } => {
                    self.tell(&key, |task_id, attempt| Report::Stalled {
                        task_id,
                        attempt,
                        reason,
                    });
                }
                Word::Resumed => {
                    self.tell(&key, |task_id, attempt| Report::Resumed {
                        task_id,
                        attempt,
                    });
                }
                Word::Ended { exit } => self.ended(&key, *exit),
                Word::Refused { reason } => self.not_started(&key, reason),
                Word::Unknown => {}
            }
        }
        // Had it ended in an orderly way, the token would be gone by now.
        if !open && self.tokens.remove(&token).is_some() {
            self.resolve(&key);
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

    /// Has what a dead shim left swept; then the task is lost.
    fn lose(&mut self, key: &Key, reason: String, child: Option<Identity>) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.link = Link::Sweep;
        let remains = Remains {
            key: key.clone(),
            dir: task.spec.dir.clone(),
            child,
            reason,
        };
        let orders = &self.orders;
        let sweeper = self.sweeper.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            let orders = orders.clone();
            std::thread::spawn(move || sweep_all(&receiver, &orders));
            sender
        });
        if let Err(unsent) = sweeper.send(remains) {
            let reason = unsent.0.reason + "; what it left could not be swept";
            self.lost(key, reason);
        }
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
        if let Some(Link::Shim(_, token)) = task.map(|task| task.link) {
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

/// A lost task, to be swept.
struct Remains {
    key: Key,
    dir: PathBuf,
    child: Option<Identity>,
    reason: String,
}

fn sweep_all(remains: &Receiver<Remains>, orders: &Orders) {
    while let Ok(task) = remains.recv() {
        let swept = match sweep_marked(&task.key.0, &task.dir, task.child) {
            Ok((0, 0)) => String::new(),
            Ok((killed, 0)) => format!("; {killed} of its processes were killed"),
            Ok((killed, left)) => {
                format!("; {killed} of its processes were killed, {left} cannot be")
            }
            Err(error) => format!("; what it left could not be swept: {error}"),
        };
        remove_socket(&task.dir);
        orders.give(Order::Swept(task.key, task.reason + &swept));
    }
}
