//! The agent's process: its pipes, its end.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use fornax_core::agent::Failure;
use fornax_core::spec::ErrorClass;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::Input;
use crate::job::Job;

/// The longest line that is taken as one, in bytes.
const LINE_MAX_BYTES: usize = 16 << 20;
/// How long the outputs of a process that has ended are read on: a descendant may hold them open.
const DRAIN: Duration = Duration::from_millis(700);
/// How long an agent has between SIGTERM and SIGKILL.
const TERMINATE_GRACE: Duration = Duration::from_secs(2);
/// How many lines of its standard error tell why it ended.
const LAST_LINES: usize = 5;

/// A process that was started.
pub(super) struct Process {
    pid: Pid,
    input: Option<Sender<String>>,
    gone: mpsc::Receiver<()>,
}

/// How a process ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit code, where it had one.
    pub code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// The last that it wrote to standard error.
    pub last_words: String,
}

impl Ended {
    /// How it ended, for people.
    pub fn words(&self) -> String {
        let how = match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("ended by signal {signal}"),
            (None, None) => "its end is not known".to_owned(),
        };
        if self.last_words.is_empty() {
            return how;
        }
        format!("{how}; it said: {}", self.last_words)
    }
}

/// Starts the agent in a process group of its own, so that signals meant for the host do not reach
/// it before the host has spoken with it.
pub(super) fn start(
    job: &Job,
    argv: &[String],
    env: &[(String, String)],
    converse: bool,
    inbox: &Sender<Input>,
) -> Result<Process, Failure> {
    let cannot = |class, message: String| Failure {
        class,
        message,
        retry_at: None,
    };
    let Some((program, arguments)) = argv.split_first() else {
        return Err(cannot(ErrorClass::Spawn, "the command is empty".to_owned()));
    };
    let piped = converse || job.stdin.is_some();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(&job.cwd)
        .env("PWD", &job.cwd)
        .stdin(if piped { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    for (name, value) in env {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => cannot(
            ErrorClass::ToolMissing,
            format!("{program} cannot be run: {error}; `fornax agents` says how to install it"),
        ),
        _ => cannot(
            ErrorClass::Spawn,
            format!("{program} cannot be started: {error}"),
        ),
    })?;
    let pid = Pid::from_child(&child);
    let input = child.stdin.take().map(|input| write_lines(input, inbox));
    let (done, gone) = mpsc::channel();
    let process = Process { pid, input, gone };
    if let (Some(text), Some(input)) = (&job.stdin, &process.input)
        && !converse
    {
        // It has ended already: its end tells.
        let _ = input.send(text.clone());
    }
    let mut process = process;
    if !converse {
        process.close_input();
    }
    follow(child, inbox.clone(), done);
    Ok(process)
}

impl Process {
    /// Writes a line to its standard input, in its own time: an agent that does not read holds
    /// nobody up.
    pub fn write(&mut self, line: &str) {
        if let Some(input) = &self.input {
            // It has ended: its end tells.
            let _ = input.send(format!("{line}\n"));
        }
    }

    /// Closes its standard input, after what was written.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It has ended: its end tells.
        let _ = kill_process(self.pid, signal);
    }

    /// Ends it, with all of its process group. What is in sessions of its own is the shim's to
    /// sweep.
    pub fn end(&mut self) {
        let _ = kill_process_group(self.pid, Signal::TERM);
        if let Err(RecvTimeoutError::Timeout) = self.gone.recv_timeout(TERMINATE_GRACE) {
            let _ = kill_process_group(self.pid, Signal::KILL);
            // The kernel ends it now, or it is stuck there and the shim says so.
            let _ = self.gone.recv_timeout(TERMINATE_GRACE);
        }
    }
}

fn write_lines(mut input: ChildStdin, inbox: &Sender<Input>) -> Sender<String> {
    let (lines, pending) = mpsc::channel::<String>();
    let inbox = inbox.clone();
    std::thread::spawn(move || {
        for line in pending {
            if let Err(error) = input
                .write_all(line.as_bytes())
                .and_then(|()| input.flush())
            {
                // Its end, if that is why, is told by others.
                let _ = inbox.send(Input::ErrorLine(format!(
                    "(the agent does not read its input any more: {error})"
                )));
                return;
            }
        }
    });
    lines
}

/// Reads its outputs and waits for its end, on threads.
fn follow(mut child: Child, inbox: Sender<Input>, done: Sender<()>) {
    let (read, all_read) = mpsc::channel::<Vec<String>>();
    if let Some(output) = child.stdout.take() {
        let (inbox, read) = (inbox.clone(), read.clone());
        std::thread::spawn(move || {
            let too_long = || drop(inbox.send(Input::TooLong));
            lines(output, |line| drop(inbox.send(Input::Line(line))), too_long);
            drop(read.send(Vec::new()));
        });
    }
    if let Some(output) = child.stderr.take() {
        let inbox = inbox.clone();
        std::thread::spawn(move || {
            let mut last = VecDeque::new();
            let keep = |line: Vec<u8>| {
                let line = String::from_utf8_lossy(&line).into_owned();
                if !line.trim().is_empty() {
                    last.push_back(line.clone());
                    if last.len() > LAST_LINES {
                        last.pop_front();
                    }
                }
                drop(inbox.send(Input::ErrorLine(line)));
            };
            lines(output, keep, || {});
            drop(read.send(last.into()));
        });
    }
    std::thread::spawn(move || {
        let status = child.wait();
        // Completion waits on the process, not on the end of its outputs.
        let mut last_words = Vec::new();
        for _ in 0..2 {
            match all_read.recv_timeout(DRAIN) {
                Ok(last) => last_words.extend(last),
                Err(_) => break,
            }
        }
        let status = status.ok();
        let ended = Ended {
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            last_words: last_words.join(" | "),
        };
        // Whoever waited for it has given up.
        let _ = done.send(());
        drop(inbox.send(Input::Exited(ended)));
    });
}

/// Hands on each line of what is read, without its end.
fn lines(output: impl Read, mut take: impl FnMut(Vec<u8>), mut too_long: impl FnMut()) {
    let mut reader = BufReader::with_capacity(64 << 10, output);
    loop {
        let mut line = Vec::new();
        let limit = LINE_MAX_BYTES as u64 + 1;
        match reader.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        if line.len() > LINE_MAX_BYTES {
            too_long();
            if reader.skip_until(b'\n').is_err() {
                return;
            }
            continue;
        }
        while line
            .last()
            .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
        {
            line.pop();
        }
        take(line);
    }
}

/// Hands on the signals that the host itself is sent. The flag is set by SIGCONT before the host does
/// anything else.
pub fn signals(sender: Sender<Input>) -> io::Result<Arc<AtomicBool>> {
    use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
    let went_on = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGCONT, Arc::clone(&went_on))?;
    let all = [SIGINT, SIGTERM, SIGHUP, SIGCONT];
    let mut signals = signal_hook::iterator::Signals::new(all)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let input = if signal == SIGCONT {
                    Input::GoOn
                } else {
                    Input::Signal
                };
                if sender.send(input).is_err() {
                    return;
                }
            }
        })?;
    Ok(went_on)
}
