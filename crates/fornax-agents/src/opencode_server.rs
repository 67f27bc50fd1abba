//! OpenCode's server: how it is started, where it is, and what it can be told from outside.
//!
//! Its folder is written by whoever runs it: `password` holds the password, `current` the name of
//! the sub-folder of the instance that runs now, and that has its `stdout.log`, in which the server
//! says where it listens.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use ureq::Agent;

/// The user name that the server expects.
const USER: &str = "opencode";
/// How long any request may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The command line of the server.
#[must_use]
pub fn argv(program: &[String]) -> Vec<String> {
    let fixed = ["serve", "--port", "0", "--hostname", "127.0.0.1"].map(str::to_owned);
    program.iter().cloned().chain(fixed).collect()
}

/// What the server needs in its environment. Without a password it would take requests from any
/// web page.
#[must_use]
pub fn env(password: &str) -> Vec<(String, String)> {
    vec![("OPENCODE_SERVER_PASSWORD".to_owned(), password.to_owned())]
}

/// Fornax's own plugin for OpenCode.
pub const PLUGIN: &str = include_str!("../../../integrations/opencode/fornax.js");

/// The variable that holds a configuration, beside the files that OpenCode reads.
const CONFIG: &str = "OPENCODE_CONFIG_CONTENT";

/// Has OpenCode load a plugin, beside whatever the environment configures. A configuration that cannot
/// be read is left as it is: OpenCode will say what is wrong with it.
pub fn plug_in(env: &mut Vec<(String, String)>, plugin: &Path) {
    let set = env.iter().find(|(name, _)| name == CONFIG);
    let config = set.map_or(Ok(json!({})), |(_, text)| serde_json::from_str(text));
    let Ok(Value::Object(mut config)) = config else {
        return;
    };
    let url = format!("file://{}", plugin.display());
    match config.entry("plugin").or_insert_with(|| json!([])) {
        Value::Array(plugins) if !plugins.iter().any(|known| known == &url) => {
            plugins.push(json!(url));
        }
        _ => return,
    }
    env.retain(|(name, _)| name != CONFIG);
    env.push((CONFIG.to_owned(), Value::Object(config).to_string()));
}

/// The command line of a terminal in which a session is open.
#[must_use]
pub fn attach_argv(program: &str, url: &str, session: &str, directory: &Path) -> Vec<String> {
    let directory = directory.display().to_string();
    let words = [
        program,
        "attach",
        url,
        "--session",
        session,
        "--dir",
        &directory,
    ];
    words.map(str::to_owned).to_vec()
}

/// Where the server says that it listens.
#[must_use]
pub fn url_in(log: &str) -> Option<&str> {
    let after = log.split("opencode server listening on ").nth(1)?;
    let url = after.split_whitespace().next()?;
    // What is not complete yet has no end of line.
    after.contains('\n').then_some(url)
}

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Which instance it is.
    pub instance: String,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// The value of the header `authorization`.
    pub authorization: String,
}

/// The server's present instance, once it says where it listens; none where it does not yet, or has
/// ended.
///
/// # Errors
/// When the folder cannot be read.
pub fn address(server_dir: &Path) -> io::Result<Option<Address>> {
    let read = |path: PathBuf| match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let Some(instance) = read(server_dir.join("current"))? else {
        return Ok(None);
    };
    let instance = instance.trim().to_owned();
    let dir = server_dir.join(&instance);
    if dir.join("exit.json").exists() {
        return Ok(None);
    }
    let (Some(log), Some(password)) = (
        read(dir.join("stdout.log"))?,
        read(server_dir.join("password"))?,
    ) else {
        return Ok(None);
    };
    Ok(url_in(&log).map(|url| Address {
        instance,
        url: url.to_owned(),
        authorization: basic(password.trim()),
    }))
}

/// Basic authentication, RFC 7617.
fn basic(password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{USER}:{password}")))
}

/// A client of servers on this machine.
pub(crate) fn client(timeout: Option<Duration>) -> Agent {
    let config = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_global(timeout)
        .http_status_as_error(false)
        .proxy(None)
        .build();
    config.into()
}

/// Asks the server something; the status and the body.
///
/// # Errors
/// When it does not answer; [`io::ErrorKind::ConnectionRefused`] where it cannot have heard it.
pub fn ask(
    address: &Address,
    method: &str,
    path: &str,
    body: Option<&Value>,
    timeout: Duration,
) -> io::Result<(u16, String)> {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", address.url))
        .header("authorization", &address.authorization)
        .header("content-type", "application/json");
    let body = body.map(ToString::to_string).unwrap_or_default();
    let request = request.body(body).map_err(io::Error::other)?;
    let mut response = client(Some(timeout))
        .run(request)
        .map_err(ureq::Error::into_io)?;
    let status = response.status().as_u16();
    let text = response
        .body_mut()
        .with_config()
        .limit(64 << 20)
        .read_to_string()
        .map_err(io::Error::other)?;
    Ok((status, text))
}

/// Something that a terminal in which a session is open can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TuiWord {
    /// A short note.
    Toast(String),
    /// Text for the prompt, not sent.
    Draft(String),
}

/// Tells the terminals of a directory something.
///
/// # Errors
/// When the server does not run, or refuses.
pub fn tell_tui(server_dir: &Path, directory: &Path, word: &TuiWord) -> io::Result<()> {
    let address = address(server_dir)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the server does not run"))?;
    let (path, body) = match word {
        TuiWord::Toast(text) => (
            "/tui/show-toast",
            json!({ "message": text, "variant": "info" }),
        ),
        TuiWord::Draft(text) => ("/tui/append-prompt", json!({ "text": text })),
    };
    let path = format!(
        "{path}?directory={}",
        encoded(&directory.display().to_string())
    );
    let (status, answer) = ask(&address, "POST", &path, Some(&body), TIMEOUT)?;
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(io::Error::other(format!("it answered {status}: {answer}")))
}

/// Ends what a session does.
///
/// # Errors
/// When the server does not run.
pub fn abort(server_dir: &Path, directory: &Path, session: &str) -> io::Result<()> {
    let Some(address) = address(server_dir)? else {
        return Ok(());
    };
    let directory = encoded(&directory.display().to_string());
    let path = format!("/session/{}/abort?directory={directory}", encoded(session));
    ask(&address, "POST", &path, None, TIMEOUT).map(drop)
}

/// A text as a part of a URL, RFC 3986.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_where_it_listens_counts_once_it_is_whole() {
        let log = "Warning: x\nopencode server listening on http://127.0.0.1:4096";
        assert_eq!(url_in(log), None);
        assert_eq!(url_in(&format!("{log}\n")), Some("http://127.0.0.1:4096"));
    }

    #[test]
    fn a_server_that_is_gone_refuses() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let gone = Address {
            instance: "1".to_owned(),
            url: format!("http://{}", port.local_addr().unwrap()),
            authorization: basic("x"),
        };
        drop(port);
        let error = ask(&gone, "GET", "/", None, TIMEOUT).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{error}");
    }
}
