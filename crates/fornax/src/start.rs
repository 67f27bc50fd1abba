//! Starting the daemon beside this process.
//!
//! The child is `fornax up --as-child`: it leaves the terminal's session, and says on its standard
//! output, in one line, how its start went. The end of that pipe wakes us also when it dies.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fornax_core::error::{Error, ErrorKind};
use fornax_daemon::home::Home;
use fornax_daemon::http::Origin;
use serde::{Deserialize, Serialize};

/// The longest line that the child may say, in bytes.
const WORD_MAX_BYTES: u64 = 64 << 10;
/// How much of what a child that died wrote to standard error is shown, in bytes.
const LAST_WORDS_BYTES: u64 = 2 << 10;

/// How a start went.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The daemon can be reached; its page is here.
    Ready(String),
    /// It did not start.
    Refused(Error),
}

/// Whether a daemon answers at the home's socket.
pub fn is_running(home: &Home) -> bool {
    UnixStream::connect(home.socket()).is_ok()
}

/// Starts a daemon where none runs. Returns the address of its page where it was this call that
/// started it.
///
/// # Errors
/// What the daemon says that keeps it from starting; `Unavailable` where it dies without a word.
pub fn start(
    home: &Home,
    bind: Option<SocketAddr>,
    embed_origins: &[Origin],
) -> Result<Option<String>, Error> {
    // Two commands at once: the second waits here until the first one's daemon can be reached.
    let path = home.dir().join("start.lock");
    let turn = private(&path).and_then(|file| file.lock().map(|()| file));
    let _turn = turn.map_err(|error| cannot(&format!("lock {}: {error}", path.display())))?;
    if is_running(home) {
        return Ok(None);
    }
    let errors = home.dir().join("daemon.err");
    let stderr = private(&errors)
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
        return Ok(Some(url));
    }
    // It ends by itself; what is told is told once it has.
    let ended = child.wait();
    Err(match (word, ended) {
        (Ok(Word::Refused(error)), _) => error,
        (_, Err(error)) => cannot(&format!("wait for the daemon: {error}")),
        _ => died(&errors),
    })
}

fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

fn cannot(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot {what}"))
}

fn died(errors: &PathBuf) -> Error {
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
