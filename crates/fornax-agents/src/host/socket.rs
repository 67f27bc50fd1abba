//! Orders: a Unix socket in the task's folder, for the daemon whenever it lives.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use fornax_core::agent::Order;
use serde::{Deserialize, Serialize};

use super::Input;

/// The socket's name in the task's folder.
const SOCKET: &str = "agent.sock";
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest order, in bytes.
const ORDER_MAX_BYTES: u64 = 1 << 20;

/// Whether an order was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Why not, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Brings an order to the host of a task.
///
/// # Errors
/// When the host cannot be reached: not yet, or not any more.
pub fn send_order(task_dir: &Path, order: &Order) -> io::Result<Taken> {
    let (_dir, address) = address(task_dir)?;
    let mut stream = UnixStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream.take(ORDER_MAX_BYTES)).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}

/// Listens for orders on a thread.
pub(super) fn listen(task_dir: &Path, inbox: Sender<Input>) -> io::Result<()> {
    let (_dir, address) = address(task_dir)?;
    let listener = match UnixListener::bind(&address) {
        Ok(listener) => listener,
        // Some file systems have no sockets: the task runs there all the same.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    std::fs::set_permissions(&address, std::fs::Permissions::from_mode(0o600))?;
    std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let inbox = inbox.clone();
                // One that says nothing holds nobody up.
                std::thread::spawn(move || drop(answer(stream, &inbox)));
            }
        })?;
    Ok(())
}

/// Takes the socket away: what stays in the folder are plain files.
pub(super) fn remove(task_dir: &Path) {
    // A name without a listener, if it stays.
    let _ = std::fs::remove_file(task_dir.join(SOCKET));
}

fn answer(stream: UnixStream, inbox: &Sender<Input>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    BufReader::new(stream.try_clone()?.take(ORDER_MAX_BYTES)).read_line(&mut text)?;
    let order: Order = serde_json::from_str(&text)?;
    let (reply, taken) = mpsc::channel();
    if inbox.send(Input::Order(order, reply)).is_err() {
        return Ok(());
    }
    // Without an answer the daemon asks again.
    let taken = taken.recv_timeout(PATIENCE).map_err(io::Error::other)?;
    let mut line = serde_json::to_vec(&taken)?;
    line.push(b'\n');
    (&stream).write_all(&line)
}

/// The socket's address by way of the folder's descriptor: a socket's path ends at 108 bytes.
fn address(task_dir: &Path) -> io::Result<(std::fs::File, PathBuf)> {
    let dir = std::fs::File::open(task_dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(SOCKET);
    Ok((dir, path))
}
