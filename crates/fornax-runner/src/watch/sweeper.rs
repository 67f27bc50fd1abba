//! What may take a while: sweeping after a dead shim, and ending a task from outside.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Key, Order, Orders};
use crate::folder::{left_in, open_dir, write_exit};
use crate::key::TaskKey;
use crate::look::remove_socket;
use crate::place::{FileId, StateDir};
use crate::procs::{Identity, Marks};
use crate::proof::{ExitProof, PROTOCOL, seal_exit};
use crate::spec::Exit;
use crate::sweep::{end_from_outside, sweep_marked};

/// What is left of a task.
pub struct Remains {
    pub key: Key,
    pub dir: PathBuf,
    /// By which its processes are known.
    pub marks: Vec<Marks>,
    /// Whether somebody else listens on the socket in its folder, who is left alone.
    pub is_taken: bool,
}

/// A task that is ended from outside.
pub struct Ending {
    pub remains: Remains,
    pub shim: Identity,
    pub folder: Option<FileId>,
    pub task_key: TaskKey,
    pub state: StateDir,
    pub boot_id: String,
    pub exit: Exit,
}

/// What the sweeper is given.
pub enum Work {
    /// Sweep; then the task is lost, for this reason.
    Lost(Remains, String),
    /// End it.
    End(Box<Ending>),
}

/// Starts the sweeper's thread; it ends when nobody can give it work any more.
pub fn start(orders: Orders) -> Sender<Work> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || work_all(&receiver, &orders));
    sender
}

fn work_all(work: &Receiver<Work>, orders: &Orders) {
    while let Ok(work) = work.recv() {
        match work {
            Work::Lost(remains, reason) => {
                let swept = sweep(&remains.marks);
                if !remains.is_taken {
                    remove_socket(&remains.dir);
                }
                orders.give(Order::Swept(remains.key, reason + &swept));
            }
            Work::End(ending) => {
                let (key, exit) = end(*ending);
                orders.give(Order::EndedFromOutside(key, Box::new(exit)));
            }
        }
    }
}

fn sweep(marks: &[Marks]) -> String {
    match sweep_marked(marks) {
        Ok((0, 0)) => String::new(),
        Ok((killed, 0)) => format!("; {killed} of its processes were killed"),
        Ok((killed, left)) => {
            format!("; {killed} of its processes were killed, {left} cannot be")
        }
        Err(error) => format!("; what it left could not be swept: {error}"),
    }
}

fn end(ending: Ending) -> (Key, Exit) {
    let mut exit = ending.exit.clone();
    let mut note = |text: String| {
        let error = exit.error.take().unwrap_or_default();
        exit.error = Some(format!("{error}; {text}"));
    };
    match end_from_outside(ending.shim, &ending.remains.marks) {
        Ok(0) => {}
        Ok(left) => {
            note(format!("{left} of its processes cannot be killed"));
            exit.left = u32::try_from(left).unwrap_or(u32::MAX);
        }
        Err(error) => note(format!("what it left could not be swept: {error}")),
    }
    // The daemon knows the end even if the folder cannot take it.
    let _ = record(&ending, &mut exit);
    remove_socket(&ending.remains.dir);
    (ending.remains.key, exit)
}

/// Leaves the record that the shim would have left.
fn record(ending: &Ending, exit: &mut Exit) -> io::Result<()> {
    let dir = open_dir(&ending.remains.dir)?;
    let folder = FileId::of(&dir)?;
    if ending.folder != Some(folder) {
        return Err(io::Error::other("another folder is there"));
    }
    let files = left_in(&dir);
    let size = |name| files.get(name).map_or(0, |file| file.size);
    exit.stdout_bytes = size("stdout.log");
    exit.stderr_bytes = size("stderr.log");
    exit.proof = Some(Box::new(ExitProof {
        protocol: PROTOCOL,
        boot_id: ending.boot_id.clone(),
        folder,
        state: ending.state.clone(),
        files,
        mac: String::new(),
    }));
    seal_exit(exit, &ending.task_key);
    write_exit(&dir, exit)?.keep()
}
