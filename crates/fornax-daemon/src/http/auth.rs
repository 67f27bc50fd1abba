//! Who may call, decided in one place before anything is routed: what is not let in is kept out.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fornax_core::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::answer::{self, Fail};
use super::backend::Backend;
use super::embed::{Embedding, Origin};
use super::{App, page};
use crate::home::{self, Home, storage};
use crate::pool;
use crate::secret::{self, Hash, SessionKey};
use crate::trust;
use crate::trust::caller::{Caller, ProcessId};

/// Where MCP is spoken: the one place to which sessions' own tokens let in.
pub(super) const MCP_PATH: &str = "/mcp";
/// The cookie that holds a browser's session.
pub(crate) const COOKIE: &str = "fornax_session";
/// The longest refusal, in bytes.
const REFUSAL_MAX_BYTES: usize = 1 << 20;
/// How long a login link works.
const LOGIN_MS: i64 = 60_000;
/// How many login links work at once; a new one puts the oldest out.
const LOGINS_MAX: usize = 16;
/// How long a browser stays logged in.
const SESSION_MS: i64 = 30 * 24 * 3_600_000;
/// How many browsers are logged in at once; a new one puts the oldest out.
const SESSIONS_MAX: usize = 64;

/// How a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Over the Unix socket, from this process of the daemon's user; none where it has ended.
    Unix(Option<ProcessId>),
    /// Over TCP, from anybody on this machine, web pages in browsers included.
    Tcp,
}

/// Who sent a request, by what let it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A process of the daemon's user, over the Unix socket.
    Process(Option<ProcessId>),
    /// A browser that is logged in.
    Browser,
    /// Somebody who knows the installation's token, over TCP.
    Token,
    /// A session of an agent, by its own token.
    Session,
    /// A browser that is about to log in.
    Login,
}

impl Sender {
    /// Refuses everybody who is not a person, or cannot be told from a program; `does` is what only
    /// a person does.
    pub async fn require_person(self, does: &'static str) -> Result<(), Error> {
        match self {
            Sender::Browser => Ok(()),
            Sender::Process(process) => {
                let caller = move || process.map_or(Caller::Unknown, ProcessId::caller);
                pool::RECORDS.run(caller).await?.require_person(does)
            }
            Sender::Token | Sender::Session | Sender::Login => {
                let what = format!("only a person {does}, and a token proves none");
                Err(Error::new(ErrorKind::Forbidden, what)
                    .with_help("a person has to do it, in a terminal of their own or on the page"))
            }
        }
    }
}

/// The credentials of one home, and the names under which the daemon answers.
pub struct Auth {
    home: Home,
    token: Hash,
    session_key: SessionKey,
    url: String,
    /// What `Host` may say.
    hosts: Vec<String>,
    embedding: Embedding,
    logins: Mutex<Vec<Login>>,
    sessions: Mutex<Vec<Session>>,
}

/// A login link that has not been used.
struct Login {
    code: Hash,
    until_ms: i64,
}

/// A browser that is logged in, as `sessions.json` keeps it.
#[derive(Clone, Serialize, Deserialize)]
struct Session {
    /// The hash of the cookie's value.
    hash: String,
    until_ms: i64,
}

impl Auth {
    /// The credentials in `home`, for a daemon that listens at `addr`.
    ///
    /// # Errors
    /// As [`Home::token`]. Damaged sessions are forgotten: browsers log in again.
    pub fn open(home: &Home, addr: SocketAddr) -> Result<Auth, Error> {
        let port = addr.port();
        let mut hosts = vec![
            format!("127.0.0.1:{port}"),
            format!("localhost:{port}"),
            format!("[::1]:{port}"),
        ];
        if !hosts.contains(&addr.to_string()) {
            hosts.push(addr.to_string());
        }
        let sessions = home::read_json(&home.sessions()).unwrap_or_else(|error| {
            tracing::warn!(%error, "the browsers have to log in again");
            None
        });
        let token = home.token()?;
        Ok(Auth {
            token: Hash::of(&token),
            session_key: SessionKey::of(&token),
            home: home.clone(),
            url: format!("http://{addr}"),
            hosts,
            embedding: Embedding::default(),
            logins: Mutex::default(),
            sessions: Mutex::new(sessions.unwrap_or_default()),
        })
    }

    /// Lets pages of these origins frame what is made for that.
    #[must_use]
    pub fn embedded_by(mut self, origins: &[Origin]) -> Auth {
        self.embedding = Embedding::by(origins, &answer::CSP);
        self
    }

    /// Where the page is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A link that logs one browser in, once, within the next 60 seconds.
    ///
    /// # Errors
    /// `Storage` where the system gives no random numbers.
    pub fn new_login(&self, now_ms: i64) -> Result<String, Error> {
        let code = secret::new().map_err(|error| storage("make", self.home.dir(), &error))?;
        let mut logins = lock(&self.logins);
        logins.retain(|login| login.until_ms > now_ms);
        if logins.len() >= LOGINS_MAX {
            logins.remove(0);
        }
        logins.push(Login {
            code: Hash::of(&code),
            until_ms: now_ms + LOGIN_MS,
        });
        Ok(format!("{}/login?code={code}", self.url))
    }

    /// Uses up a login link's code: the `Set-Cookie` of a new session; none where the code is not
    /// good. Waits for the disk.
    ///
    /// # Errors
    /// `Storage` where the session cannot be kept.
    pub(crate) fn redeem(&self, code: &str, now_ms: i64) -> Result<Option<String>, Error> {
        let code = Hash::of(code);
        let known = {
            let mut logins = lock(&self.logins);
            logins.retain(|login| login.until_ms > now_ms);
            let before = logins.len();
            logins.retain(|login| !login.code.is(&code));
            logins.len() < before
        };
        if !known {
            return Ok(None);
        }
        let path = self.home.sessions();
        let cookie = secret::new().map_err(|error| storage("make", &path, &error))?;
        let mut sessions = lock(&self.sessions);
        sessions.retain(|session| session.until_ms > now_ms);
        if sessions.len() >= SESSIONS_MAX {
            sessions.remove(0);
        }
        sessions.push(Session {
            hash: Hash::of(&cookie).to_text(),
            until_ms: now_ms + SESSION_MS,
        });
        home::replace_json(&path, &*sessions)?;
        let max_age = SESSION_MS / 1000;
        Ok(Some(format!(
            "{COOKIE}={cookie}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict"
        )))
    }

    /// Whether the request may go on.
    fn admit(&self, request: &Request, peer: Peer, now_ms: i64) -> Result<Sender, Error> {
        let sender = match peer {
            Peer::Unix(process) => Sender::Process(process),
            Peer::Tcp => self.admit_tcp(request, now_ms)?,
        };
        check_content_type(request)?;
        Ok(sender)
    }

    fn admit_tcp(&self, request: &Request, now_ms: i64) -> Result<Sender, Error> {
        self.check_names(request)?;
        if request.uri().path() == "/login" && request.method() == Method::GET {
            return Ok(Sender::Login);
        }
        if request.uri().path() == MCP_PATH
            && bearer(request.headers()).is_some_and(|token| self.is_of_session(token))
        {
            return Ok(Sender::Session);
        }
        self.sender(request.headers(), now_ms).ok_or_else(|| {
            Error::new(ErrorKind::Unauthorized, "Fornax does not know you")
                .with_help("run `fornax open`, or send the token of its home")
        })
    }

    /// Whether the request was meant for this daemon, by a page of its own or by no page at all.
    fn check_names(&self, request: &Request) -> Result<(), Error> {
        let one_of_ours = |host: &str| {
            self.hosts
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(host))
        };
        let mut hosts = texts(request.headers(), &header::HOST);
        let host_is_ours = hosts.next().is_some_and(one_of_ours) && hosts.next().is_none();
        let authority = request.uri().authority();
        if !host_is_ours || authority.is_some_and(|name| !one_of_ours(name.as_str())) {
            return Err(
                forbidden("the request names another host").with_help(format!("use {}", self.url))
            );
        }
        let foreign = |origin: &str| !origin.strip_prefix("http://").is_some_and(one_of_ours);
        if texts(request.headers(), &header::ORIGIN).any(foreign) {
            return Err(forbidden("the request comes from another site"));
        }
        let site = HeaderName::from_static("sec-fetch-site");
        let other = |site: &str| {
            site != "same-origin" && site != "none" && !self.embedding.lets_frame(request, site)
        };
        if texts(request.headers(), &site).any(other) {
            return Err(forbidden("the request comes from another site"));
        }
        Ok(())
    }

    /// Whether a token is one of a session's.
    pub(crate) fn is_of_session(&self, token: &str) -> bool {
        self.session_key.check(token).is_some()
    }

    /// Who the request says it is: by the token, else by a browser's session.
    fn sender(&self, headers: &HeaderMap, now_ms: i64) -> Option<Sender> {
        if headers.contains_key(header::AUTHORIZATION) {
            let is_ours = bearer(headers).is_some_and(|token| Hash::of(token).is(&self.token));
            return is_ours.then_some(Sender::Token);
        }
        texts(headers, &header::COOKIE)
            .flat_map(|cookies| cookies.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == COOKIE && self.knows_session(value, now_ms))
            .then_some(Sender::Browser)
    }

    fn knows_session(&self, cookie: &str, now_ms: i64) -> bool {
        // The hash is compared as plain text: without its preimage, timing tells nothing of use.
        let hash = Hash::of(cookie).to_text();
        lock(&self.sessions)
            .iter()
            .any(|session| session.hash == hash && session.until_ms > now_ms)
    }
}

/// Lets a request in or answers it itself, and puts on every answer what every answer carries.
pub(crate) async fn guard<B: Backend>(
    State(app): State<std::sync::Arc<App<B>>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A listener that does not say what it is counts as the one that is not trusted.
    let peer = request.extensions().get().copied().unwrap_or(Peer::Tcp);
    let path = request.uri().path().to_owned();
    let mut response = match app.auth.admit(&request, peer, super::now_ms()) {
        Ok(sender) => {
            request.extensions_mut().insert(sender);
            without_commands(sender, next.run(request).await).await
        }
        Err(error) => {
            tracing::debug!(path, %error, "refused");
            if error.kind == ErrorKind::Unauthorized && page::wanted(&request) {
                page::please_log_in("You are not logged in.")
            } else {
                Fail(error).into_response()
            }
        }
    };
    answer::secure(response.headers_mut());
    app.auth.embedding.mark(&path, response.headers_mut());
    response
}

/// The answer as its sender gets it: a refusal tells an agent that a person has to decide, and not
/// which command does it.
async fn without_commands(sender: Sender, response: Response) -> Response {
    let Sender::Process(process) = sender else {
        return response;
    };
    if response.status() != StatusCode::FORBIDDEN {
        return response;
    }
    let caller = move || process.map_or(Caller::Unknown, ProcessId::caller);
    if matches!(pool::RECORDS.run(caller).await, Ok(Caller::Person)) {
        return response;
    }
    #[derive(Deserialize)]
    struct Refusal {
        error: Error,
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, REFUSAL_MAX_BYTES).await;
    let body = body.unwrap_or_default();
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => Fail(trust::for_agent(refusal.error)).into_response(),
        Err(_) => Response::from_parts(parts, body.into()),
    }
}

/// A body that a plain form or a plain text could send from another site is not taken.
fn check_content_type(request: &Request) -> Result<(), Error> {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::DELETE
    ) {
        return Ok(());
    }
    let wanted = match request.uri().path() {
        "/api/trace" => "application/x-ndjson",
        _ => "application/json",
    };
    let given = texts(request.headers(), &header::CONTENT_TYPE).next();
    let essence = given.and_then(|given| given.split(';').next());
    if essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    let what = format!("the body must be `Content-Type: {wanted}`");
    Err(Error::new(ErrorKind::Usage, what))
}

fn forbidden(what: &str) -> Error {
    Error::new(ErrorKind::Forbidden, what)
}

/// The token that a request bears.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let credentials = texts(headers, &header::AUTHORIZATION).next()?;
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A header's values; one that is no text reads as a text that nothing equals.
fn texts<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.map(|value| value.to_str().unwrap_or("\u{fffd}"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    fn auth() -> (tempfile::TempDir, Auth) {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(temp.path().join("fornax")).unwrap();
        let auth = Auth::open(&home, "127.0.0.1:7717".parse().unwrap()).unwrap();
        (temp, auth)
    }

    fn code(auth: &Auth, now_ms: i64) -> String {
        let link = auth.new_login(now_ms).unwrap();
        link.strip_prefix("http://127.0.0.1:7717/login?code=")
            .unwrap()
            .to_owned()
    }

    fn cookie(set_cookie: &str) -> &str {
        set_cookie.split(['=', ';']).nth(1).unwrap()
    }

    #[test]
    fn a_link_works_once_and_for_a_minute() {
        let (_temp, auth) = auth();
        let first = code(&auth, NOW);
        assert!(auth.redeem("", NOW).unwrap().is_none());
        assert!(auth.redeem(&first, NOW + LOGIN_MS - 1).unwrap().is_some());
        assert!(auth.redeem(&first, NOW + LOGIN_MS - 1).unwrap().is_none());
        let second = code(&auth, NOW);
        assert!(auth.redeem(&second, NOW + LOGIN_MS).unwrap().is_none());
    }

    #[test]
    fn links_are_bounded_and_the_oldest_goes() {
        let (_temp, auth) = auth();
        let codes: Vec<_> = (0..=LOGINS_MAX).map(|_| code(&auth, NOW)).collect();
        assert!(auth.redeem(&codes[0], NOW).unwrap().is_none());
        for code in &codes[1..] {
            assert!(auth.redeem(code, NOW).unwrap().is_some());
        }
    }

    #[test]
    fn sessions_outlive_the_daemon_end_after_thirty_days_and_are_kept_hashed() {
        let (_temp, auth) = auth();
        let set = auth.redeem(&code(&auth, NOW), NOW).unwrap().unwrap();
        let value = cookie(&set).to_owned();
        assert!(set.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Strict"));
        let home = auth.home.clone();
        drop(auth);
        let kept = std::fs::read_to_string(home.sessions()).unwrap();
        assert!(!kept.contains(&value));
        let again = Auth::open(&home, "127.0.0.1:1".parse().unwrap()).unwrap();
        assert!(again.knows_session(&value, NOW + SESSION_MS - 1));
        assert!(!again.knows_session(&value, NOW + SESSION_MS));
        assert!(!again.knows_session("", NOW));
    }

    #[test]
    fn sessions_are_bounded_and_damage_only_logs_out() {
        let (_temp, auth) = auth();
        let sets: Vec<_> = (0..=SESSIONS_MAX)
            .map(|_| auth.redeem(&code(&auth, NOW), NOW).unwrap().unwrap())
            .collect();
        assert!(!auth.knows_session(cookie(&sets[0]), NOW));
        assert!(
            sets[1..]
                .iter()
                .all(|set| auth.knows_session(cookie(set), NOW))
        );
        std::fs::write(auth.home.sessions(), "[{").unwrap();
        let again = Auth::open(&auth.home, "127.0.0.1:1".parse().unwrap()).unwrap();
        assert!(!again.knows_session(cookie(&sets[1]), NOW));
    }
}
