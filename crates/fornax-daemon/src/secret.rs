//! Random secrets: making them, and comparing them without telling by the time it takes.

use std::io;

use fornax_core::frame::SessionId;
use hmac::{Hmac, KeyInit, Mac};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How many random bytes a secret is made of.
const BYTES: usize = 32;
/// How long a secret is as text.
pub(crate) const TEXT_BYTES: usize = (BYTES * 8).div_ceil(6);

/// A new secret: 256 random bits as text that is safe in URLs, headers and cookies.
pub(crate) fn new() -> io::Result<String> {
    random().map(|bytes| base64url(&bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 256 random bits.
pub(crate) fn random() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let mut filled = 0;
    while filled < BYTES {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// What is kept of a secret that need only be recognised.
#[derive(Clone, Copy)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    pub(crate) fn of(secret: &str) -> Hash {
        Hash(Sha256::digest(secret).into())
    }

    /// The hash as text.
    pub(crate) fn to_text(self) -> String {
        base64url(&self.0)
    }

    /// Whether both are of the same secret; takes the same time whether or not.
    pub(crate) fn is(&self, other: &Hash) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What sessions prove with who they are: a token says its project and its session, and an HMAC
/// (RFC 2104, with SHA-256) under the installation's own token that they are true. So a token is good for
/// as long as the installation is, and nothing has to be kept of it.
#[derive(Clone)]
pub struct SessionKey(Hmac<Sha256>);

/// Who a session's token says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proven {
    /// The project's id.
    pub project: String,
    /// The session; or, with `*` at its end, any that begins so.
    session: String,
}

impl Proven {
    /// The session that is meant: the one that the token is of, or a given one of those that it is of.
    pub fn session(&self, given: Option<&str>) -> Option<SessionId> {
        let fits = |given: &str| match self.session.strip_suffix('*') {
            Some(beginning) => given.starts_with(beginning) && given != self.session,
            None => given == self.session,
        };
        given
            .unwrap_or(&self.session)
            .parse()
            .ok()
            .filter(|id: &SessionId| fits(id.as_str()))
    }
}

impl SessionKey {
    /// The key that belongs to an installation's token.
    pub(crate) fn of(installation: &str) -> SessionKey {
        let mac = Hmac::<Sha256>::new_from_slice(installation.as_bytes());
        // HMAC takes keys of any length.
        SessionKey(mac.unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// The token of a session.
    pub(crate) fn token(&self, project: &str, session: &str) -> String {
        let claim = format!("{project}.{session}");
        let mac = self.0.clone().chain_update(&claim).finalize().into_bytes();
        format!("{claim}.{}", base64url(&mac))
    }

    /// Who a token is of; none where it is none of ours.
    pub(crate) fn check(&self, token: &str) -> Option<Proven> {
        let (claim, _) = token.rsplit_once('.')?;
        let (project, session) = claim.split_once('.')?;
        let good = Hash::of(token).is(&Hash::of(&self.token(project, session)));
        good.then(|| Proven {
            project: project.to_owned(),
            session: session.to_owned(),
        })
    }
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(6));
    for group in bytes.chunks(3) {
        let word = group.iter().enumerate().fold(0u32, |word, (at, &byte)| {
            word | u32::from(byte) << (16 - 8 * at)
        });
        for digit in 0..=group.len() {
            let value = (word >> (18 - 6 * digit)) & 63;
            text.push(char::from(DIGITS[value as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_that_of_the_rfc() {
        let cases = [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, text) in cases {
            assert_eq!(base64url(plain.as_bytes()), text);
        }
        assert_eq!(base64url(&[0xfb, 0xff, 0xbf]), "-_-_");
    }

    #[test]
    fn a_sessions_token_is_good_for_it_alone() {
        let (key, other) = (SessionKey::of("one"), SessionKey::of("other"));
        let token = key.token("0123abcd", "t-918789-5");
        let proven = key.check(&token).unwrap();
        assert_eq!(proven.project, "0123abcd");
        assert_eq!(proven.session(None), "t-918789-5".parse().ok());
        assert_eq!(proven.session(Some("t-918789-6")), None);
        assert_eq!(other.check(&token), None);
        assert_eq!(key.check(&token.replace("-5.", "-6.")), None);
        assert_eq!(key.check(""), None);
        let any = key.check(&key.token("0123abcd", "opencode:*")).unwrap();
        assert_eq!(
            any.session(Some("opencode:ses_1")),
            "opencode:ses_1".parse().ok()
        );
        assert_eq!(any.session(Some("claude:1")), None);
        assert_eq!(any.session(None), None);
        // What stands in a name cannot be read as another's.
        let dotted = key.token("0123abcd", "claude:12.34");
        assert_eq!(
            key.check(&dotted).unwrap().session(None),
            "claude:12.34".parse().ok()
        );
    }

    #[test]
    fn secrets_differ_and_are_recognised() {
        let (one, two) = (new().unwrap(), new().unwrap());
        assert_eq!(one.len(), TEXT_BYTES);
        assert_ne!(one, two);
        assert!(Hash::of(&one).is(&Hash::of(&one)));
        assert!(!Hash::of(&one).is(&Hash::of(&two)));
    }
}
