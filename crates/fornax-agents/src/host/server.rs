//! A server that agents share: its stream of events, and requests, on threads of their own.

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
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
/// How long a request may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one may take that waits for the model: the shortening of a conversation.
const MODEL_TIMEOUT: Duration = Duration::from_secs(900);
/// How long a request waits for a server that is being started again.
const CALL_PATIENCE: Duration = Duration::from_secs(60);

/// Asks the server.
pub(super) struct Server {
    dir: PathBuf,
    replies: Sender<Input>,
}

struct Call {
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
    let dir = server_dir.to_owned();
    let server = Server {
        dir: dir.clone(),
        replies: inbox.clone(),
    };
    std::thread::Builder::new()
        .name("server-events".to_owned())
        .spawn(move || follow(&dir, &events_path, &inbox))?;
    Ok(server)
}

impl Server {
    /// Asks; the answer comes into the inbox. Requests do not wait for one another, so that an
    /// interrupt comes through whatever else is asked.
    pub fn call(&self, number: u64, method: &'static str, path: &str, body: Option<&Value>) {
        let call = Call {
            method,
            path: path.to_owned(),
            body: body.cloned(),
        };
        let (dir, replies) = (self.dir.clone(), self.replies.clone());
        let started = std::thread::Builder::new()
            .name("server-call".to_owned())
            .spawn(move || {
                let (status, body) = answer(&dir, &call);
                // Where the inbox is gone nobody waits for the answer.
                let _ = replies.send(Input::Reply {
                    call: number,
                    status,
                    body,
                });
            });
        if let Err(error) = started {
            let _ = self.replies.send(Input::Reply {
                call: number,
                status: 0,
                body: error.to_string(),
            });
        }
    }
}

/// Asks the present instance of the server, or waits for one. What may have been heard is not asked
/// twice.
fn answer(dir: &Path, call: &Call) -> (u16, String) {
    let timeout = if call.path.contains("/summarize?") {
        MODEL_TIMEOUT
    } else {
        CALL_TIMEOUT
    };
    let deadline = Instant::now() + CALL_PATIENCE;
    loop {
        let why = match address(dir) {
            Ok(Some(address)) => {
                let body = call.body.as_ref();
                match ask(&address, call.method, &call.path, body, timeout) {
                    Ok(answer) => return answer,
                    // Nobody listens there any more, or not yet.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => error,
                    Err(error) => return (0, error.to_string()),
                }
            }
            Ok(None) => io::Error::other("the server does not run"),
            Err(error) => error,
        };
        if Instant::now() > deadline {
            return (0, why.to_string());
        }
        // As above: nothing tells when a server is there.
        std::thread::sleep(LOOK_AGAIN);
    }
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
    let mut events = Events::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let room = EVENT_MAX_BYTES as u64 + 1;
        match (&mut reader).take(room).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return Ok(true),
            Ok(_) => {}
        }
        if let Some(input) = events.line(&line)
            && inbox.send(input).is_err()
        {
            return Ok(false);
        }
    }
}

/// Puts server-sent events together from lines, as HTML's section 9.2.6 has it.
#[derive(Default)]
struct Events {
    data: String,
    /// The present line, or a line of the present event, is too long.
    line_too_long: bool,
    too_long: bool,
}

impl Events {
    /// Takes a line with its end, or a piece of one that is too long; what it completes.
    fn line(&mut self, line: &[u8]) -> Option<Input> {
        let ends = line.last() == Some(&b'\n');
        let goes_on = std::mem::replace(&mut self.line_too_long, !ends);
        if goes_on || !ends || self.data.len() + line.len() > EVENT_MAX_BYTES {
            self.too_long = true;
            return None;
        }
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            let data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.too_long) {
                return Some(Input::TooLong);
            }
            return (!data.is_empty()).then_some(Input::Event(data));
        }
        if let Some(more) = text.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push('\n');
            }
            self.data.push_str(more.strip_prefix(' ').unwrap_or(more));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(lines: &[&str]) -> Vec<String> {
        let mut events = Events::default();
        let inputs = lines.iter().filter_map(|line| events.line(line.as_bytes()));
        inputs
            .map(|input| match input {
                Input::Event(data) => data,
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn events_are_put_together_from_lines() {
        let lines = [
            ": hello\n",
            "event: x\r\n",
            "data: {\"a\":\n",
            "data:1}\n",
            "\n",
            "\n",
            "data: 2\r\n",
            "\r\n",
        ];
        assert_eq!(events(&lines), ["{\"a\":\n1}", "2"]);
    }

    #[test]
    fn one_that_is_too_long_is_left_out_and_said_to_be() {
        let long = "x".repeat(EVENT_MAX_BYTES + 1);
        let half = format!("data: {}\n", "x".repeat(EVENT_MAX_BYTES * 2 / 3));
        let lines = [
            "data: 1\n",
            &long,
            "rest\n",
            "\n",
            "data: 2\n",
            "\n",
            &half,
            &half,
            "\n",
            "data: 3\n",
            "\n",
        ];
        assert_eq!(events(&lines), ["TooLong", "2", "TooLong", "3"]);
    }
}
