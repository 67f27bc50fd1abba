//! What the machine itself can do: the floor beside which Fornax is measured.
//!
//! ```text
//! floor run COUNT SLOTS DIR events|nothing PROGRAM [ARGUMENT...]
//!     runs a program COUNT times, SLOTS at once, each with its output in files of its own; with
//!     `events` it keeps three events of 300 bytes a task, durable before the next step
//! floor stamp FILE
//!     adds to FILE when it started and when it ended, in nanoseconds
//! floor write MIB TEXT
//!     writes a text file over and over to standard output, as fast as it is taken
//! ```
//!
//! Built with `cargo build --release -p fornax-runner --example floor`.

#![allow(
    clippy::print_stderr,
    reason = "a measurement that cannot go on says why"
)]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{WaitOptions, wait};
use rustix::time::{ClockId, clock_gettime};

/// What is written at once to standard output: what `cat` writes, too.
const CHUNK_BYTES: usize = 128 << 10;

const EVENT_BYTES: usize = 300;

fn main() -> ExitCode {
    let started = monotonic_ns();
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let text = |at: usize| arguments.get(at).and_then(|text| text.to_str());
    let number = |at: usize| text(at).and_then(|text| text.parse().ok());
    let done = match (text(0), number(1), number(2), text(3), text(4)) {
        (Some("run"), Some(count), Some(slots), Some(dir), Some(keep)) if arguments.len() > 5 => {
            let journal = (keep == "events").then(|| Path::new(dir).join("events.jsonl"));
            run(
                count,
                slots,
                Path::new(dir),
                journal.as_deref(),
                &arguments[5..],
            )
        }
        (Some("stamp"), ..) if arguments.len() == 2 => stamp(Path::new(&arguments[1]), started),
        (Some("write"), Some(mib), ..) if arguments.len() == 3 => {
            write(mib, Path::new(&arguments[2]))
        }
        _ => Err(io::Error::other(
            "see the top of bench/floor.rs for its use",
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One loop, as of a scheduler that does nothing but this: what has ended is noted, what comes next
/// is noted, both are made durable by one sync, and then the next ones are started.
fn run(
    count: usize,
    slots: usize,
    dir: &Path,
    journal: Option<&Path>,
    argv: &[OsString],
) -> io::Result<()> {
    let mut journal = journal.map(File::create).transpose()?;
    let (mut started, mut ended) = (0, 0);
    let mut noted_ends = 0;
    while ended < count {
        let next = started..count.min(ended + slots);
        if let Some(journal) = &mut journal {
            note(journal, 2 * (ended - noted_ends) + next.len())?;
            noted_ends = ended;
        }
        for number in next {
            start(dir, number, argv)?;
            started += 1;
        }
        // One is waited for; whoever else has ended meanwhile is taken along.
        let mut options = WaitOptions::empty();
        while started > ended
            && let Some((_, status)) = wait(options)?
        {
            if status.exit_status() != Some(0) {
                return Err(io::Error::other(format!("a task ended with {status:?}")));
            }
            ended += 1;
            options = WaitOptions::NOHANG;
        }
    }
    match &mut journal {
        Some(journal) => note(journal, 2 * (ended - noted_ends)),
        None => Ok(()),
    }
}

/// The standard library starts it by `posix_spawn`, which is a vfork and an exec.
fn start(dir: &Path, number: usize, argv: &[OsString]) -> io::Result<()> {
    Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(Stdio::null())
        .stdout(File::create(dir.join(format!("{number}.out")))?)
        .stderr(File::create(dir.join(format!("{number}.err")))?)
        .spawn()
        .map(drop)
}

fn note(journal: &mut File, events: usize) -> io::Result<()> {
    let mut lines = Vec::with_capacity(events * EVENT_BYTES);
    for _ in 0..events {
        let start = lines.len();
        lines.extend_from_slice(br#"{"v":1,"event":"task_completed","summary":""#);
        lines.resize(start + EVENT_BYTES - 3, b'.');
        lines.extend_from_slice(b"\"}\n");
    }
    journal.write_all(&lines)?;
    journal.sync_data()
}

fn stamp(file: &Path, started: i128) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    let line = format!("{started} {}\n", monotonic_ns());
    file.write_all(line.as_bytes())
}

fn write(mib: usize, text: &Path) -> io::Result<()> {
    let text = std::fs::read(text)?;
    let mut left = mib << 20;
    for chunk in text.chunks(CHUNK_BYTES).cycle() {
        if left == 0 {
            break;
        }
        let chunk = &chunk[..chunk.len().min(left)];
        let mut written = 0;
        // Straight to the descriptor: the standard library's output would look for ends of lines.
        while written < chunk.len() {
            written += rustix::io::write(rustix::stdio::stdout(), &chunk[written..])?;
        }
        left -= written;
    }
    Ok(())
}

fn monotonic_ns() -> i128 {
    let now = clock_gettime(ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}
