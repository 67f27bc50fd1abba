//! Starting the daemon beside this process.
//!
//! The child is `fornax up --as-child`: it leaves the terminal's session, and says on its standard
//! output, in one line, how its start went. The end of that pipe wakes us also when it dies.
//!
//! A daemon that was killed a moment ago may still accept connections, hold its lock, or both. So a
//! daemon counts as running only once it has answered, and a lock that is held is waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fornax_core::error::{Error, ErrorKind};
use fornax_daemon::home::Home;
use fornax_daemon::http::Origin;
use fornax_daemon::instance::{self, peer};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

/// The longest line that the child may say, in bytes.
const WORD_MAX_BYTES: u64 = 64 << 10;
/// How much of what a child that died wrote to standard error is shown, in bytes.
const LAST_WORDS_BYTES: u64 = 2 << 10;
/// How long an earlier daemon may take to end, or to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a start waits for the end of an earlier daemon before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// The same where there is no process to wait for.
const LOOK_AGAIN_SOON: Duration = Duration::from_millis(20);
/// How many children that are killed while they start are replaced.
const KILLED_MAX: u32 = 3;
/// Any answer will do, and every version answers this.
const PROBE: &[u8] = b"GET /api/alive HTTP/1.1\r\nHost: fornax\r\nConnection: close\r\n\r\n";

/// How a start went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The daemon can be reached; its page is here.
    Ready(String),
    /// It did not start.
    Refused(Error),
}

/// What is at the daemon's socket.
enum Probe {
    /// Nobody accepts connections.
    Nobody,
    /// A daemon that answers.
    Answers,
    /// A daemon that accepts connections and does not answer.
    Silent(Option<Pid>),
    /// A process that ended the connection, as one that dies does.
    Dying(Option<OwnedFd>),
}

/// How a child ended its start.
enum Start {
    Ready(String),
    Refused(Error),
    /// It died without a word.
    Died(io::Result<ExitStatus>),
}

/// Whether a process accepts connections at the home's socket.
pub fn is_running(home: &Home) -> bool {
    UnixStream::connect(home.socket()).is_ok()
}

/// Starts a daemon where none runs. Returns the address of its page where it was this call that
/// started it.
///
/// # Errors
/// What the daemon says that keeps it from starting; `Unavailable` where it dies without a word, or
/// where one that runs does not answer.
pub fn start(
    home: &Home,
    bind: Option<SocketAddr>,
    embed_origins: &[Origin],
) -> Result<Option<String>, Error> {
    // Two commands at once: the second waits here until the first one's daemon can be reached.
    let path = home.dir().join("start.lock");
    let turn = private(&path).and_then(|file| file.lock().map(|()| file));
    let _turn = turn.map_err(|error| cannot(&format!("lock {}: {error}", path.display())))?;
    let errors = home.dir().join("daemon.err");
    let deadline = Instant::now() + PATIENCE;
    let mut killed = 0;
    loop {
        match probe(home, deadline) {
            Probe::Answers => return Ok(None),
            Probe::Silent(pid) => return Err(silent(pid)),
            Probe::Dying(process) => wait_for_end(process.as_slice(), deadline),
            Probe::Nobody => {}
        }
        let is_late = Instant::now() >= deadline;
        match spawn(bind, embed_origins, &errors)? {
            Start::Ready(url) => return Ok(Some(url)),
            Start::Refused(error) if error.kind == ErrorKind::Conflict && !is_late => {
                wait_for_end(&predecessors(home), Instant::now() + LOOK_AGAIN);
            }
            Start::Refused(error) => return Err(error),
            Start::Died(Err(error)) => {
                return Err(cannot(&format!("wait for the daemon: {error}")));
            }
            Start::Died(Ok(status)) => {
                killed += 1;
                let was_killed = status.signal() == Some(libc::SIGKILL);
                if !was_killed || killed > KILLED_MAX {
                    return Err(died(&errors));
                }
            }
        }
    }
}

/// Asks the daemon for any answer.
fn probe(home: &Home, deadline: Instant) -> Probe {
    let Ok(mut stream) = UnixStream::connect(home.socket()) else {
        return Probe::Nobody;
    };
    let pid = peer(&stream).map(|peer| peer.pid);
    let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Some(left.max(LOOK_AGAIN_SOON));
    let answer = stream
        .set_read_timeout(left)
        .and_then(|()| stream.set_write_timeout(left))
        .and_then(|()| stream.write_all(PROBE))
        .and_then(|()| stream.read(&mut [0; 1]));
    match answer {
        Ok(1..) => Probe::Answers,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Probe::Silent(pid),
        _ => Probe::Dying(process),
    }
}

/// The processes that may keep a daemon from starting.
fn predecessors(home: &Home) -> Vec<OwnedFd> {
    let lock = home.lock_holder().and_then(|pid| i32::try_from(pid).ok());
    let pids = [lock.and_then(Pid::from_raw), instance::holder(home.dir())];
    let open = |pid| pidfd_open(pid, PidfdFlags::empty()).ok();
    pids.into_iter().flatten().filter_map(open).collect()
}

/// Waits until one of the processes has ended or it is time; a moment where there is none.
fn wait_for_end(processes: &[OwnedFd], until: Instant) {
    if processes.is_empty() {
        // Nothing reports that a process which is not known has let go.
        std::thread::sleep(LOOK_AGAIN_SOON);
        return;
    }
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut ends: Vec<_> = processes
            .iter()
            .map(|process| PollFd::new(process, PollFlags::IN))
            .collect();
        match poll(&mut ends, left.try_into().ok().as_ref()) {
            Err(Errno::INTR) => {}
            // What cannot be waited for is looked at again by the caller.
            _ => return,
        }
    }
}

/// Starts a child and waits for its word.
fn spawn(
    bind: Option<SocketAddr>,
    embed_origins: &[Origin],
    errors: &Path,
) -> Result<Start, Error> {
    let stderr = private(errors)
        .and_then(|file| file.set_len(0).map(|()| file))
        .map_err(|error| cannot(&format!("write {}: {error}", errors.display())))?;
    let program =
        std::env::current_exe().map_err(|error| cannot(&format!("find this program: {error}")))?;
    let mut command = Command::new(program);
    command.args(["up", "--as-child"]);
    if let Some(bind) = bind {
        command.args(["--bind", &bind.to_string()]);
    }
    for origin in embed_origins {
        command.args(["--embed-origin", &origin.to_string()]);
    }
    // Not in the current directory: the daemon outlives it, and should not keep a disk busy.
    let mut child = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(|error| cannot(&format!("start the daemon: {error}")))?;
    let mut word = String::new();
    if let Some(stdout) = child.stdout.take() {
        // What cannot be read is no word.
        let _ = BufReader::new(stdout.take(WORD_MAX_BYTES)).read_line(&mut word);
    }
    let word = serde_json::from_str(&word);
    if let Ok(Word::Ready(url)) = word {
        return Ok(Start::Ready(url));
    }
    // It ends by itself; what is told is told once it has.
    let ended = child.wait();
    Ok(match word {
        Ok(Word::Refused(error)) => Start::Refused(error),
        _ => Start::Died(ended),
    })
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn cannot(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot {what}"))
}

fn silent(pid: Option<Pid>) -> Error {
    let who = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let what = format!(
        "the daemon{who} accepts connections but has not answered for {} seconds",
        PATIENCE.as_secs()
    );
    Error::new(ErrorKind::Unavailable, what)
        .with_help("`fornax up --restart` replaces it; tasks live on")
}

fn died(errors: &Path) -> Error {
    let mut last_words = Vec::new();
    let read = File::open(errors).and_then(|mut file| {
        let bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(bytes.saturating_sub(LAST_WORDS_BYTES)))?;
        file.read_to_end(&mut last_words)
    });
    let mut message = "the daemon ended before it could be reached".to_owned();
    if read.is_ok() && !last_words.is_empty() {
        message += &format!(":\n{}", String::from_utf8_lossy(&last_words).trim_end());
    }
    Error::new(ErrorKind::Unavailable, message)
        .with_help("`fornax up` starts it in the foreground, `fornax doctor` looks for the cause")
}
