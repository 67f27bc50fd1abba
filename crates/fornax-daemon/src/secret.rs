//! Random secrets: making them, and comparing them without telling by the time it takes.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How many random bytes a secret is made of.
const BYTES: usize = 32;
/// How long a secret is as text.
pub(crate) const TEXT_BYTES: usize = (BYTES * 8).div_ceil(6);

/// A new secret: 256 random bits as text that is safe in URLs, headers and cookies.
pub(crate) fn new() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    let mut filled = 0;
    while filled < BYTES {
        match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(base64url(&bytes))
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
    fn secrets_differ_and_are_recognised() {
        let (one, two) = (new().unwrap(), new().unwrap());
        assert_eq!(one.len(), TEXT_BYTES);
        assert_ne!(one, two);
        assert!(Hash::of(&one).is(&Hash::of(&one)));
        assert!(!Hash::of(&one).is(&Hash::of(&two)));
    }
}
