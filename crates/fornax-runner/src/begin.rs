//! The beginning of a task: its folder is claimed, its command started.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::MemfdFlags;
use serde_json::{Map, Value};

use crate::capture::{Capture, RETRY, no_space};
use crate::folder::{Claim, Folder, task_record};
use crate::procs::{DIR_MARK, FOLDER_MARK, Identity, TASK_MARK};
use crate::spawn::{Command, Failure, spawn};
use crate::spec::{Exit, ExitCause, TaskSpec, now_ms};
use crate::sys::Signals;
use crate::wire::{Lines, Wish, Word};

/// A task that is this shim's to run.
pub struct Begun {
    /// Its folder.
    pub folder: Folder,
    /// The content of its `task.json` so far.
    pub task: Map<String, Value>,
    /// The signals that this shim gets.
    pub signals: Signals,
}

/// Makes this process a shim and claims the task's folder. `None` if there is nothing to run: the
/// daemon has been told why, or sees it in the folder.
pub fn begin(spec: &TaskSpec, control: &mut Lines, boot_id: &str) -> Option<Begun> {
    let task = task_record(spec, boot_id, Identity::of(std::process::id()), now_ms());
    let begun = become_supervisor().and_then(|signals| Ok((signals, claim(spec, &task, control)?)));
    let (cause, error) = match begun {
        Ok((signals, Claimed::Mine(folder))) => {
            return Some(Begun {
                folder,
                task,
                signals,
            });
        }
        Ok((_, Claimed::NotMine)) => return None,
        Ok((_, Claimed::Stopped)) => (ExitCause::Stopped, None),
        Err(error) => {
            let dir = spec.dir.display();
            let text = format!("cannot create the task's folder {dir}: {error}");
            (ExitCause::SpawnFailed, Some(text))
        }
    };
    let exit = Exit::never_started(&spec.task_id, spec.attempt, cause, error);
    control.send(&Word::Ended {
        exit: Box::new(exit),
    });
    None
}

/// Makes this process the one that inherits and hears of all its descendants.
fn become_supervisor() -> io::Result<Signals> {
    rustix::process::setsid()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Signals::block(&[
        libc::SIGCHLD,
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        // Goes on in any case; that it comes tells that the shim had been stopped.
        libc::SIGCONT,
    ])
}

enum Claimed {
    Mine(Folder),
    NotMine,
    Stopped,
}

/// Claims the task's folder, waiting for room where the disk is full.
fn claim(spec: &TaskSpec, task: &Map<String, Value>, control: &mut Lines) -> io::Result<Claimed> {
    let mut stalled = false;
    loop {
        match Folder::claim(&spec.dir, task) {
            Ok(Claim::Taken) => return Ok(Claimed::NotMine),
            Ok(Claim::Mine(folder)) => {
                if stalled {
                    control.send(&Word::Resumed);
                }
                return Ok(Claimed::Mine(folder));
            }
            Err(error) if !no_space(&error) => return Err(error),
            Err(error) if !stalled => {
                let dir = spec.dir.display();
                let reason = format!("the task's folder {dir} cannot be created: {error}");
                control.send(&Word::Stalled { reason });
                stalled = true;
            }
            Err(_) => {}
        }
        let mut fds = [PollFd::new(&*control, PollFlags::IN)];
        // An interruption only means that we try sooner.
        let _ = poll(&mut fds, Timespec::try_from(RETRY).ok().as_ref());
        let (wishes, open) = control.receive::<Wish>();
        if wishes.contains(&Wish::Stop) {
            return Ok(Claimed::Stopped);
        }
        if !open {
            // Nothing has been claimed: whoever comes next may start the task or forget it.
            return Ok(Claimed::NotMine);
        }
    }
}

/// Starts the command. Returns its process and, where the logs are redacted, the capture of its
/// outputs; otherwise it writes its log files itself.
///
/// # Errors
/// When it cannot be started.
pub fn launch(spec: &TaskSpec, folder: &Folder) -> Result<(u32, Vec<Capture>), Failure> {
    let unprepared = |error: io::Error| Failure {
        tool_missing: false,
        message: format!("cannot prepare the command's input and output: {error}"),
    };
    let stdin = input(spec.stdin.as_deref()).map_err(unprepared)?;
    let mut env = spec.env.clone();
    env.retain(|(name, _)| ![TASK_MARK, DIR_MARK, FOLDER_MARK].contains(&name.as_str()));
    env.push((TASK_MARK.into(), spec.task_id.clone()));
    env.push((DIR_MARK.into(), spec.dir.to_string_lossy().into_owned()));
    env.push((FOLDER_MARK.into(), spec.key.mark(folder.id)));
    let mut captures = Vec::new();
    let mut writers = Vec::new();
    if let Some(redact) = &spec.redact {
        let rules = redact.rules();
        for (which, log) in folder.logs.iter().enumerate() {
            let log = log.try_clone().map_err(unprepared)?;
            let (capture, writer) = Capture::new(which, log, rules.stream()).map_err(unprepared)?;
            captures.push(capture);
            writers.push(writer);
        }
    }
    let outputs = if writers.is_empty() {
        &folder.logs[..]
    } else {
        &writers
    };
    let pid = spawn(&Command {
        argv: &spec.argv,
        env: &env,
        cwd: &spec.cwd,
        stdio: [stdin.as_fd(), outputs[0].as_fd(), outputs[1].as_fd()],
    })?;
    Ok((pid, captures))
}

/// The command's standard input: a file in memory, so that nobody has to feed it.
fn input(text: Option<&str>) -> io::Result<OwnedFd> {
    let Some(text) = text else {
        return Ok(File::open("/dev/null")?.into());
    };
    let mut file = File::from(rustix::fs::memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}
