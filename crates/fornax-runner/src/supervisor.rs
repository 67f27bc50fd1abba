//! The daemon's side of tasks: what it may ask for. The answers come as reports.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::PoisonError;
use std::thread::JoinHandle;

use crate::spec::{Report, TaskSpec};
use crate::watch::{Order, Orders, Pids, Watch};

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
    /// A supervisor that forks its shims from `shim_argv`, a program and its arguments that calls
    /// [`shim_main`](crate::shim_main), and that calls `reports` from a thread of its own. It adopts
    /// only the shims of the installation whose state is in `state_dir`.
    ///
    /// # Errors
    /// When the program cannot be executed or the process has no descriptors left.
    pub fn new(
        shim_argv: Vec<OsString>,
        state_dir: &Path,
        reports: impl Fn(Report) + Send + 'static,
    ) -> io::Result<Supervisor> {
        let pids = Pids::default();
        let (orders, mut watch) =
            Watch::new(shim_argv, state_dir, pids.clone(), Box::new(reports))?;
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
    /// found is reported first, each time anew:
    ///
    /// - no folder, or an empty one: the task is started, and a `Started` follows;
    /// - a living shim: `Started` again, with the same process;
    /// - a record: `Ended`;
    /// - neither: what is left of the task is killed, then `Lost`.
    pub fn ensure(&self, spec: TaskSpec) {
        self.orders.give(Order::Ensure(Box::new(spec)));
    }

    /// Begins the task's stop ladder. Again is no different from once; a task that was never
    /// ensured here is left alone.
    pub fn stop(&self, task_id: &str) {
        self.orders.give(Order::Stop(task_id.to_owned()));
    }

    /// Suspends the task's processes, or lets them go on; while they are suspended, no deadline of the
    /// task runs on. Again is no different from once; a task that was never ensured here is left alone.
    pub fn suspend(&self, task_id: &str, on: bool) {
        self.orders.give(Order::Suspend(task_id.to_owned(), on));
    }

    /// The commands that run now, as far as they are known here.
    #[must_use]
    pub fn pids(&self) -> Vec<Running> {
        let pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
        pids.iter()
            .map(|((task_id, attempt), &pid)| Running {
                task_id: task_id.clone(),
                attempt: *attempt,
                pid,
            })
            .collect()
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
