//! Framing: `/embed/...` may be shown within a page of a tool on the same machine, if the daemon was
//! told its origin.
//!
//! What is framed shows and does nothing, so that nobody can be led to click on what he does not see.
//! The browser keeps every other page from seeing it (`frame-ancestors`), and sends the session's
//! `SameSite=Strict` cookie only where both pages have the same host name: ports do not count for that.

use std::fmt;
use std::str::FromStr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use fornax_core::error::{Error, ErrorKind};

/// Where what may be framed is.
const PREFIX: &str = "/embed/";

/// The origin of a page on this machine: `http://localhost:3000`. Policies know no IPv6 addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl FromStr for Origin {
    type Err = Error;

    fn from_str(text: &str) -> Result<Origin, Error> {
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
        let known = ["127.0.0.1", "localhost"].iter().any(|host| {
            text.strip_prefix("http://")
                .and_then(|rest| rest.strip_prefix(host))
                .is_some_and(|rest| rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
        });
        if known {
            return Ok(Origin(text.to_owned()));
        }
        let what = format!("`{text}` is no origin of a page on this machine");
        Err(Error::new(ErrorKind::Usage, what)
            .with_help("such as http://localhost:3000 or http://127.0.0.1:3000, without a path"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may frame.
#[derive(Default)]
pub(super) struct Embedding {
    /// The policy of what may be framed; none while nobody may frame anything.
    policy: Option<HeaderValue>,
}

impl Embedding {
    /// What `policy` says, with these instead of nobody as those who may frame.
    pub(super) fn by(origins: &[Origin], policy: &HeaderValue) -> Embedding {
        let origins: Vec<_> = origins.iter().map(|origin| origin.0.as_str()).collect();
        let policy = policy.to_str().ok().filter(|_| !origins.is_empty());
        let policy = policy.and_then(|policy| {
            let framed = format!("frame-ancestors {}", origins.join(" "));
            HeaderValue::try_from(policy.replace("frame-ancestors 'none'", &framed)).ok()
        });
        Embedding { policy }
    }

    /// Whether a page of another origin, which the browser calls `site`, may ask for this: only the
    /// document of a frame, and only from the same host name.
    pub(super) fn lets_frame(&self, request: &Request, site: &str) -> bool {
        let says = |name: &'static str, wanted: &str| {
            let mut values = request
                .headers()
                .get_all(HeaderName::from_static(name))
                .iter();
            values.next().is_some_and(|value| value == wanted) && values.next().is_none()
        };
        self.policy.is_some()
            && site == "same-site"
            && request.method() == Method::GET
            && request.uri().path().starts_with(PREFIX)
            && says("sec-fetch-mode", "navigate")
            && says("sec-fetch-dest", "iframe")
    }

    /// Puts on the answer to a request for `path` what lets it be framed, where it may be.
    pub(super) fn mark(&self, path: &str, headers: &mut HeaderMap) {
        if let Some(policy) = self.policy.as_ref().filter(|_| path.starts_with(PREFIX)) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
            headers.remove(header::X_FRAME_OPTIONS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_of_this_machine_and_nothing_else() {
        for good in [
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:65535",
        ] {
            assert_eq!(good.parse::<Origin>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "*",
            "null",
            "localhost:3000",
            "https://localhost:3000",
            "http://localhost:",
            "http://localhost:0",
            "http://localhost:99999",
            "http://localhost:3000/",
            "http://localhost:3000 *",
            "http://localhost.evil.example",
            "http://evil.example",
            "http://localhost:3000;",
            "http://user@localhost",
            "http://[::1]:3000",
            "http://127.0.0.1.evil:80",
            "HTTP://localhost",
        ] {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }
}
