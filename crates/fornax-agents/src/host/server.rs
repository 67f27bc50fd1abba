//! A server that agents share: its stream of events, and requests, on threads of their own.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Input;
use crate::opencode_server::{Address, address, ask, client};

/// How long a server may take to say where it listens: the first start on a machine is slow.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How often its folder is looked at meanwhile. A file that another process writes line by line
/// tells nobody when the line is there.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The longest event, in bytes.
const EVENT_MAX_BYTES: usize = 16 << 20;
/// How long a request may take. None of those that are made waits for the model.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks the server.
pub(super) struct Server {
    calls: Sender<Call>,
}

struct Call {
    number: u64,
    method: &'static str,
    path: String,
    body: Option<Value>,
}

/// Follows the server's events from now on, whichever instance of it runs, and takes requests.
///
/// # Errors
/// When no thread can be started.
pub(super) fn connect(
    server_dir: &Path,
    events_path: String,
    inbox: Sender<Input>,
) -> io::Result<Server> {
    let (calls, pending) = mpsc::channel::<Call>();
    let dir = server_dir.to_owned();
    let replies = inbox.clone();
    std::thread::Builder::new()
        .name("server-events".to_owned())
        .spawn({
            let dir = dir.clone();
            move || follow(&dir, &events_path, &inbox)
        })?;
    std::thread::Builder::new()
        .name("server-calls".to_owned())
        .spawn(move || {
            for call in pending {
                let (status, body) = answer(&dir, &call);
                let reply = Input::Reply {
                    call: call.number,
                    status,
                    body,
                };
                if replies.send(reply).is_err() {
                    return;
                }
            }
        })?;
    Ok(Server { calls })
}

impl Server {
    /// Asks; the answer comes into the inbox.
    pub fn call(&self, number: u64, method: &'static str, path: &str, body: Option<&Value>) {
        let call = Call {
            number,
            method,
            path: path.to_owned(),
            body: body.cloned(),
        };
        // Its thread has ended with the inbox: nobody waits for the answer.
        let _ = self.calls.send(call);
    }
}

fn answer(dir: &Path, call: &Call) -> (u16, String) {
    let asked = address(dir).and_then(|address| {
        let address = address.ok_or_else(|| io::Error::other("the server does not run"))?;
        ask(
            &address,
            call.method,
            &call.path,
            call.body.as_ref(),
            CALL_TIMEOUT,
        )
    });
    asked.unwrap_or_else(|error| (0, error.to_string()))
}

/// Keeps a stream of events open until nobody listens or no server comes.
fn follow(dir: &Path, path: &str, inbox: &Sender<Input>) {
    let mut again = false;
    let mut last_problem = String::new();
    let mut deadline = Instant::now() + START_PATIENCE;
    loop {
        match address(dir) {
            Ok(Some(address)) => match read_events(&address, path, inbox, &mut again) {
                Ok(true) => deadline = Instant::now() + START_PATIENCE,
                Ok(false) => return,
                Err(error) => last_problem = error.to_string(),
            },
            Ok(None) => {}
            Err(error) => last_problem = error.to_string(),
        }
        if Instant::now() > deadline {
            let why = format!(
                "the agent's server does not run ({last_problem}); its log is in {}",
                dir.display()
            );
            // Nobody listens any more.
            let _ = inbox.send(Input::ServerGone(why));
            return;
        }
        // See there why it is looked at again and again.
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Reads one stream to its end. Whether anybody listens still.
fn read_events(
    address: &Address,
    path: &str,
    inbox: &Sender<Input>,
    again: &mut bool,
) -> io::Result<bool> {
    let mut response = client(None)
        .get(format!("{}{path}", address.url))
        .header("authorization", &address.authorization)
        .header("accept", "text/event-stream")
        .call()
        .map_err(io::Error::other)?;
    if response.status() != 200 {
        return Err(io::Error::other(format!(
            "it answered {}",
            response.status()
        )));
    }
    let connected = Input::Connected { again: *again };
    *again = true;
    if inbox.send(connected).is_err() {
        return Ok(false);
    }
    let mut reader = BufReader::new(response.body_mut().with_config().limit(u64::MAX).reader());
    let mut data = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return Ok(true),
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            if !data.is_empty() && inbox.send(Input::Event(std::mem::take(&mut data))).is_err() {
                return Ok(false);
            }
        } else if let Some(more) = text.strip_prefix("data:")
            && data.len() + more.len() < EVENT_MAX_BYTES
        {
            if !data.is_empty() {
                data.push('\n');
            }
            data.push_str(more.strip_prefix(' ').unwrap_or(more));
        }
    }
}
