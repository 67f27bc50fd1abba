//! The daemon's side: one thread that starts tasks, adopts them, and hears of their ends.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Signal;

use crate::folder::{Look, look, wait_for_lock};
use crate::procs::{Identity, boot_id};
use crate::shim::never_started;
use crate::spec::{Exit, ExitCause, Report, TaskSpec};
use crate::sweep::sweep_marked;
use crate::wire::{Lines, Wish, Word, send_spec};

/// How often a start is repeated whose shim vanished before it had claimed the folder.
const STARTS_MAX: u32 = 3;

/// A task and its attempt.
type Key = (String, u32);
type Pids = Arc<Mutex<BTreeMap<Key, u32>>>;

/// A command that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The task.
    pub task_id: String,
    /// Its fencing token.
    pub attempt: u32,
    /// The command's process.
    pub pid: u32,
}

/// Starts tasks, adopts them and reports on them. Dropping it, or killing its process, does not
/// disturb a task: the next supervisor that is told to [`ensure`](Supervisor::ensure) it finds it.
pub struct Supervisor {
    orders: Orders,
    pids: Pids,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// A supervisor that forks its shims from `shim_argv`, a program that calls
    /// [`shim_main`](crate::shim_main), and that calls `reports` from a thread of its own.
    ///
    /// # Errors
    /// When the program cannot be executed or the process has no descriptors left.
    pub fn new(
        shim_argv: Vec<OsString>,
        reports: impl Fn(Report) + Send + 'static,
    ) -> io::Result<Supervisor> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &wake,
            epoll::EventData::new_u64(WAKE),
            epoll::EventFlags::IN,
        )?;
        let (sender, receiver) = channel();
        let orders = Orders { sender, wake };
        let pids = Pids::default();
        let mut server = ForkServer {
            argv: shim_argv,
            live: None,
        };
        server.start()?;
        let mut watch = Watch {
            epoll,
            orders: orders.clone(),
            receiver,
            server,
            sweeper: None,
            boot_id: boot_id()?,
            tasks: HashMap::new(),
            tokens: HashMap::new(),
            next_token: WAKE + 1,
            pids: Arc::clone(&pids),
            reports: Box::new(reports),
        };
        let thread = std::thread::Builder::new()
            .name("fornax-tasks".into())
            .spawn(move || watch.run())?;
        Ok(Supervisor {
            orders,
            pids,
            thread: Some(thread),
        })
    }

    /// Sees to it that the task runs, or has run, once, and reports on it from now on. What is
    /// found is reported first, each time anew.
    pub fn ensure(&self, spec: TaskSpec) {
        self.orders.give(Order::Ensure(Box::new(spec)));
    }

    /// Begins the task's stop ladder. Again is no different from once; a task that was never
    /// ensured here is left alone.
    pub fn stop(&self, task_id: &str) {
        self.orders.give(Order::Stop(task_id.to_owned()));
    }

    /// The commands that run now, as far as they are known here.
    pub fn pids(&self) -> Vec<Running> {
        let pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
        let running = |((task_id, attempt), pid): (&Key, &u32)| Running {
            task_id: task_id.clone(),
            attempt: *attempt,
            pid: *pid,
        };
        pids.iter().map(running).collect()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.orders.give(Order::Quit);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

enum Order {
    Ensure(Box<TaskSpec>),
    Stop(String),
    /// The lock of an unreachable shim's folder is free.
    Released(Key),
    /// Nothing is left of a lost task.
    Swept(Key, String),
    Quit,
}

#[derive(Clone)]
struct Orders {
    sender: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Orders {
    fn give(&self, order: Order) {
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
    starts: u32,
}

/// How a task is watched.
enum Link {
    /// Not yet.
    None,
    /// By its shim's word.
    Shim(Lines, u64),
    /// By its folder's lock, which another thread waits for.
    Lock(Option<Identity>),
    /// Its shim is dead; another thread sweeps.
    Sweep,
}

struct Watch {
    epoll: OwnedFd,
    orders: Orders,
    receiver: Receiver<Order>,
    server: ForkServer,
    sweeper: Option<Sender<Remains>>,
    boot_id: String,
    tasks: HashMap<Key, Task>,
    tokens: HashMap<u64, Key>,
    next_token: u64,
    pids: Pids,
    reports: Box<dyn Fn(Report) + Send>,
}

impl Watch {
    fn run(&mut self) {
        let mut events = Vec::with_capacity(256);
        loop {
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // Only a broken program gets here: the descriptor is ours and valid.
                Err(_) => return,
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    WAKE => {
                        let _ = rustix::io::read(&self.orders.wake, &mut [0_u8; 8]);
                    }
                    token => self.hear(token),
                }
            }
            while let Ok(order) = self.receiver.try_recv() {
                match order {
                    Order::Ensure(spec) => self.ensure(*spec),
                    Order::Stop(task_id) => self.stop(&task_id),
                    Order::Released(key) => self.resolve(&key),
                    Order::Swept(key, reason) => self.lost(key, reason),
                    Order::Quit => return,
                }
            }
        }
    }

    fn ensure(&mut self, spec: TaskSpec) {
        let key = (spec.task_id.clone(), spec.attempt);
        if let Some(task) = self.tasks.get(&key) {
            if let Some(pid) = task.pid {
                self.report(
                    |(task_id, attempt)| Report::Started {
                        task_id,
                        attempt,
                        pid,
                    },
                    key,
                );
            }
            return;
        }
        let task = Task {
            spec,
            link: Link::None,
            pid: None,
            stop: false,
            starts: 0,
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

    /// Finds out how it stands with a task, and does what follows.
    fn resolve(&mut self, key: &Key) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.link = Link::None;
        let spec = &task.spec;
        let other_boot = spec
            .boot_id
            .as_ref()
            .is_some_and(|boot_id| *boot_id != self.boot_id);
        match look(&spec.dir, spec.attempt, &self.boot_id) {
            Look::Absent if task.pid.is_some() => {
                self.lose(key, "the task's folder has been deleted".into(), None);
            }
            Look::Absent if other_boot => {
                let reason = "the machine was restarted when the task had just been started, or \
                              before; its folder is not there";
                self.lose(key, reason.into(), None);
            }
            Look::Absent => self.start(key),
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
            Look::Dead { reason, child } => self.lose(key, reason, child),
        }
    }

    /// Hands a task to the fork server.
    fn start(&mut self, key: &Key) {
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        task.starts += 1;
        let sent = if task.starts > STARTS_MAX {
            Err(io::Error::other(
                "its shim vanished each time before it had claimed the folder",
            ))
        } else if !task.spec.dir.is_absolute() {
            Err(io::Error::other(
                "the task's folder is not an absolute path",
            ))
        } else {
            self.server.start_shim(&task.spec)
        };
        match sent {
            Ok(fd) => self.attach(key, fd),
            Err(error) => self.not_started(key, format!("cannot start a shim: {error}")),
        }
    }

    fn not_started(&mut self, key: &Key, error: String) {
        if let Some(task) = self.tasks.get(key) {
            let exit = never_started(&task.spec, ExitCause::SpawnFailed, Some(error));
            self.ended(key, exit);
        }
    }

    /// Listens to a shim.
    fn attach(&mut self, key: &Key, fd: OwnedFd) {
        let token = self.next_token;
        self.next_token += 1;
        let data = epoll::EventData::new_u64(token);
        let added = epoll::add(&self.epoll, &fd, data, epoll::EventFlags::IN);
        let Some(task) = self.tasks.get_mut(key) else {
            return;
        };
        if let Err(error) = added {
            // The kernel's limit on watches; the task runs, and can be found by a later `ensure`.
            let reason = format!("the task cannot be watched: {error}");
            self.tasks.remove(key);
            self.report(
                |(task_id, attempt)| Report::Stalled {
                    task_id,
                    attempt,
                    reason,
                },
                key.clone(),
            );
            return;
        }
        let lines = Lines::new(fd);
        if task.stop {
            lines.send(&Wish::Stop);
        }
        task.link = Link::Shim(lines, token);
        self.tokens.insert(token, key.clone());
    }

    /// Takes in what a shim says.
    fn hear(&mut self, token: u64) {
        let Some(key) = self.tokens.get(&token).cloned() else {
            return;
        };
        let Some(task) = self.tasks.get_mut(&key) else {
            return;
        };
        let Link::Shim(lines, _) = &mut task.link else {
            return;
        };
        let (words, open) = lines.receive::<Word>();
        for word in words {
            match word {
                Word::Started { pid } => {
                    task.pid = Some(pid);
                    // What only a start needs, prompts and secrets above all, is not kept.
                    task.spec.stdin = None;
                    task.spec.env = Vec::new();
                    task.spec.redact = None;
                    self.pids
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(key.clone(), pid);
                    let (task_id, attempt) = key.clone();
                    (self.reports)(Report::Started {
                        task_id,
                        attempt,
                        pid,
                    });
                }
                Word::Stalled { reason } => {
                    let (task_id, attempt) = key.clone();
                    (self.reports)(Report::Stalled {
                        task_id,
                        attempt,
                        reason,
                    });
                }
                Word::Resumed => {
                    let (task_id, attempt) = key.clone();
                    (self.reports)(Report::Resumed { task_id, attempt });
                }
                Word::Ended { exit } => return self.ended(&key, *exit),
                Word::Refused { reason } => return self.not_started(&key, reason),
                Word::Unknown => {}
            }
        }
        if !open {
            self.tokens.remove(&token);
            self.resolve(&key);
        }
    }

    fn ended(&mut self, key: &Key, exit: Exit) {
        self.forget(key);
        self.report(
            |(task_id, attempt)| Report::Ended {
                task_id,
                attempt,
                exit,
            },
            key.clone(),
        );
    }

    /// Has what a dead shim left swept, and then reports the task lost.
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
        let orders = self.orders.clone();
        let sweeper = self.sweeper.get_or_insert_with(|| {
            let (sender, receiver) = channel();
            std::thread::spawn(move || sweep_all(&receiver, &orders));
            sender
        });
        if let Err(unsent) = sweeper.send(remains) {
            let Remains { key, reason, .. } = unsent.0;
            self.lost(key, format!("{reason}; what it left could not be swept"));
        }
    }

    fn lost(&mut self, key: Key, reason: String) {
        self.forget(&key);
        self.report(
            |(task_id, attempt)| Report::Lost {
                task_id,
                attempt,
                reason,
            },
            key,
        );
    }

    fn forget(&mut self, key: &Key) {
        if let Some(Task {
            link: Link::Shim(_, token),
            ..
        }) = self.tasks.remove(key)
        {
            self.tokens.remove(&token);
        }
        self.pids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(key);
    }

    fn report(&self, report: impl FnOnce(Key) -> Report, key: Key) {
        (self.reports)(report(key));
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
    while let Ok(Remains {
        key,
        dir,
        child,
        reason,
    }) = remains.recv()
    {
        let swept = match sweep_marked(&key.0, &dir, child) {
            Ok((0, 0)) => String::new(),
            Ok((killed, 0)) => format!("; {killed} processes that it left were killed"),
            Ok((killed, left)) => {
                format!("; {killed} processes that it left were killed, {left} cannot be")
            }
            Err(error) => format!("; what it left could not be swept: {error}"),
        };
        crate::folder::remove_socket(&dir);
        orders.give(Order::Swept(key, reason + &swept));
    }
}

/// The process that shims are forked from.
struct ForkServer {
    argv: Vec<OsString>,
    live: Option<(OwnedFd, std::process::Child)>,
}

impl ForkServer {
    /// Has a shim forked for `spec` and returns the connection to it.
    fn start_shim(&mut self, spec: &TaskSpec) -> io::Result<OwnedFd> {
        let text = serde_json::to_vec(spec)?;
        let (ours, shims) = pair()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        rustix::io::ioctl_fionbio(&shims, true)?;
        if let Some((server, _)) = &self.live {
            match send_spec(server, &text, &shims) {
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                Err(_) => self.end(),
                Ok(()) => return Ok(ours),
            }
        }
        // It has died, or this is the first task after it could not be started.
        let server = self.start()?;
        send_spec(server, &text, &shims)?;
        Ok(ours)
    }

    fn start(&mut self) -> io::Result<&OwnedFd> {
        let (ours, its) = pair()?;
        let (program, args) = self.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        // Shims have no use for our environment, and must not be taken for a task's processes by
        // the marks in it.
        let child = std::process::Command::new(program)
            .args(args)
            .env_clear()
            .stdin(its)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let (fd, _) = self.live.insert((ours, child));
        Ok(fd)
    }

    fn end(&mut self) {
        if let Some((fd, mut child)) = self.live.take() {
            drop(fd);
            // It ends when the connection does. Not waiting would leave a zombie.
            let _ = child.wait();
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        self.end();
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        flags,
        None,
    )?)
}
