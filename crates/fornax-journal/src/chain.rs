//! The chain of authentication codes that binds a run's records to the installation that wrote them.
//!
//! Each line of `events.jsonl` ends with a member `mac`: the first 128 bits, as hexadecimal digits, of
//! the HMAC-SHA256 over the code of the line before, the line without this member, and the payload
//! file that the line names. The key is derived from the installation's key, the project's key and the
//! run's id. So no line can be added, changed, left out or taken from another run without the key.

use fornax_core::ids::RunId;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::key::Key;

/// An authentication code.
pub(crate) type Mac = [u8; 16];

/// What precedes the code in a line, and what follows it.
const BEFORE: &str = ",\"mac\":\"";
const AFTER: &str = "\"}";

/// How many bytes the member adds to a line.
pub(crate) const MEMBER_BYTES: usize = BEFORE.len() + 32 + 1;

/// A place in the chain of one run.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    key: Key,
    mac: Mac,
}

impl Chain {
    /// The beginning of a run's chain, before its first record.
    pub(crate) fn root(installation: &Key, project_key: u64, run: RunId) -> Chain {
        let project_key = project_key.to_le_bytes();
        let key = installation.derive("journal", &[&project_key, run.to_string().as_bytes()]);
        let mac = shorten(key.mac(&[b"root"]));
        Chain { key, mac }
    }

    /// The place in the chain after the line that has this code.
    pub(crate) fn at(self, mac: Mac) -> Chain {
        Chain { mac, ..self }
    }

    /// The place in the chain after records of another origin that a person accepted, by the SHA-256 of
    /// their lines.
    pub(crate) fn after_accepted(self, sha256: &[u8; 32]) -> Chain {
        let mac = shorten(self.key.mac(&[b"accepted", sha256]));
        self.at(mac)
    }

    /// The code of the line before this place.
    pub(crate) fn mac(&self) -> Mac {
        self.mac
    }

    /// Adds its code to a line and moves behind it.
    pub(crate) fn seal(&mut self, line: &mut String, payload: Option<&[u8]>) {
        self.mac = self.code(line.as_bytes(), payload);
        // The closing brace.
        line.pop();
        line.push_str(BEFORE);
        line.push_str(&hex(&self.mac));
        line.push_str(AFTER);
    }

    /// Whether a line follows here; moves behind it.
    pub(crate) fn check(&mut self, line: &[u8], payload: Option<&[u8]>) -> bool {
        let Some((bare, found)) = split(line) else {
            return false;
        };
        let expected = self.code(&bare, payload);
        self.mac = expected;
        found.ct_eq(&expected).into()
    }

    fn code(&self, line: &[u8], payload: Option<&[u8]>) -> Mac {
        shorten(match payload {
            None => self.key.mac(&[&self.mac, line]),
            Some(payload) => {
                let digest = Sha256::digest(payload);
                self.key.mac(&[&self.mac, line, &digest])
            }
        })
    }
}

/// A line without its code, and the code.
fn split(line: &[u8]) -> Option<(Vec<u8>, Mac)> {
    let rest = line.strip_suffix(AFTER.as_bytes())?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(32)?)?;
    let bare = rest.strip_suffix(BEFORE.as_bytes())?;
    let mac = unhex(std::str::from_utf8(digits).ok()?)?;
    Some(([bare, b"}"].concat(), mac))
}

fn shorten(code: [u8; 32]) -> Mac {
    let mut mac = Mac::default();
    mac.copy_from_slice(&code[..16]);
    mac
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that lower-case hexadecimal digits stand for.
pub(crate) fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if digits.len() != 2 * N || !digits.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(key: u8, project: u64, run: &str) -> Chain {
        Chain::root(&Key::new([key; 32]), project, run.parse().unwrap())
    }

    fn sealed(chain: &mut Chain, lines: &[&str]) -> Vec<String> {
        let seal = |line: &&str| {
            let mut line = (*line).to_owned();
            chain.seal(&mut line, None);
            line
        };
        lines.iter().map(seal).collect()
    }

    #[test]
    fn what_was_sealed_is_accepted_in_its_order_and_nowhere_else() {
        let lines = sealed(
            &mut chain(1, 2, "RUN-20261129-001"),
            &[r#"{"a":1}"#, r#"{"b":2}"#],
        );
        assert_eq!(lines[0].len(), r#"{"a":1}"#.len() + MEMBER_BYTES);
        let accepts = |mut chain: Chain, lines: &[&String]| {
            lines.iter().all(|line| chain.check(line.as_bytes(), None))
        };
        let own = || chain(1, 2, "RUN-20261129-001");
        assert!(accepts(own(), &[&lines[0], &lines[1]]));
        assert!(!accepts(own(), &[&lines[1], &lines[0]]));
        assert!(!accepts(own(), &[&lines[0], &lines[0]]));
        assert!(!accepts(own(), &[&lines[1]]));
        for other in [
            chain(9, 2, "RUN-20261129-001"),
            chain(1, 9, "RUN-20261129-001"),
            chain(1, 2, "RUN-20261129-002"),
        ] {
            assert!(!accepts(other, &[&lines[0]]));
        }
    }

    #[test]
    fn a_payload_is_a_part_of_its_line() {
        let mut line = "{}".to_owned();
        chain(1, 2, "RUN-20261129-001").seal(&mut line, Some(b"payload"));
        let check = |payload| chain(1, 2, "RUN-20261129-001").check(line.as_bytes(), payload);
        assert!(check(Some(b"payload")));
        assert!(!check(Some(b"Payload")));
        assert!(!check(None));
    }

    proptest! {
        #[test]
        fn no_other_bytes_are_accepted(at in 0_usize..200, flip in 1_u8..) {
            let line = &sealed(&mut chain(1, 2, "RUN-20261129-001"), &[r#"{"seq":1,"x":"y"}"#])[0];
            let mut bytes = line.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let accepted = chain(1, 2, "RUN-20261129-001").check(&bytes, None);
            prop_assert!(!accepted);
        }

        #[test]
        fn lines_of_others_are_refused_whatever_they_hold(line in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(!chain(1, 2, "RUN-20261129-001").check(&line, None));
        }
    }
}
