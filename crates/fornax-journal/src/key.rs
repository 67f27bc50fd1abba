//! Keys for message authentication codes: HMAC (RFC 2104) with SHA-256.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A secret key of 256 bits. `Debug` hides it.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; 32],
    /// The state after the key block, so that each code costs only its own input.
    hmac: Hmac<Sha256>,
}

impl Key {
    /// The key that consists of `bytes`.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Key {
        let hmac = Hmac::<Sha256>::new_from_slice(&bytes);
        Key {
            bytes,
            // A key of the hash's own block size or less is always accepted.
            hmac: hmac.unwrap_or_else(|_| Hmac::new(&Default::default())),
        }
    }

    /// The bytes, for those who must hand the key on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The authentication code of a sequence of parts. Each part is preceded by its length, so that no
    /// two sequences have the same code.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut hmac = self.hmac.clone();
        for part in parts {
            hmac.update(&(part.len() as u64).to_le_bytes());
            hmac.update(part);
        }
        hmac.finalize().into_bytes().into()
    }

    /// A key of its own for a purpose. It says nothing about this key or about keys for other parts.
    #[must_use]
    pub fn derive(&self, purpose: &str, parts: &[&[u8]]) -> Key {
        let mut all = vec![purpose.as_bytes()];
        all.extend(parts);
        Key::new(self.mac(&all))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_depends_on_the_key_and_on_where_parts_end() {
        let key = Key::new([1; 32]);
        assert_eq!(key.mac(&[b"ab", b"c"]), key.mac(&[b"ab", b"c"]));
        assert_ne!(key.mac(&[b"ab", b"c"]), key.mac(&[b"a", b"bc"]));
        assert_ne!(key.mac(&[b"a"]), Key::new([2; 32]).mac(&[b"a"]));
        assert_ne!(
            key.derive("task", &[b"a"]).mac(&[b""]),
            key.derive("journal", &[b"a"]).mac(&[b""])
        );
        assert_eq!(format!("{key:?}"), "Key(..)");
    }
}
