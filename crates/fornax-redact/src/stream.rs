//! Redaction of bytes that come in chunks, as a log does.

use super::engine::{Cursor, advance};
use super::rules::Rules;

/// Bytes that are looked at in one go, so that a large chunk does not become a large buffer.
const PIECE: usize = 64 * 1024;

/// Redacts chunks as they come; what comes out is the same as for the whole text, however it was
/// cut. Bytes that may belong to a secret not yet complete are held back, a few KiB at most (or as
/// much as the longest exact value); all others are passed on at once.
#[derive(Debug)]
pub struct Stream {
    rules: Rules,
    /// What is held back, after as much of what went before as the rules look at.
    buffer: Vec<u8>,
    cursor: Cursor,
}

impl Stream {
    pub(super) fn new(rules: Rules) -> Self {
        Stream {
            rules,
            buffer: Vec::new(),
            cursor: Cursor::new(),
        }
    }

    /// Takes a chunk and appends to `out` what is settled.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        for piece in chunk.chunks(PIECE) {
            self.buffer.extend_from_slice(piece);
            self.advance(false, out);
            self.forget();
        }
    }

    /// Ends the input and appends what was held to `out`. The stream can then be used anew.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.advance(true, out);
        self.buffer.clear();
        self.cursor = Cursor::new();
    }

    /// How many bytes are held back, because they may belong to a secret.
    #[must_use]
    pub fn held(&self) -> usize {
        self.buffer.len() - self.cursor.done
    }

    fn advance(&mut self, last: bool, out: &mut Vec<u8>) {
        let end = advance(&self.rules, &self.buffer, last, &mut self.cursor, out);
        out.extend_from_slice(&self.buffer[self.cursor.done..end]);
        self.cursor.done = end;
    }

    /// Drops what no rule will look at again.
    fn forget(&mut self) {
        let settled = self.cursor.settled();
        if settled > 0 {
            self.buffer.drain(..settled);
            self.cursor.forget(settled);
        }
    }
}
