//! A file of lines, read from its beginning in constant memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use fornax_core::record::LINE_MAX_BYTES;

/// Reads lines and keeps count of them.
#[derive(Debug)]
pub(crate) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    /// The number of the last line, from 1.
    pub(crate) number: u64,
    /// Where the next line begins.
    pub(crate) next_byte: u64,
}

/// What comes next in a file of lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A whole line, without its newline.
    Line(&'a [u8]),
    /// The beginning of a line that is longer than any may be; the rest was passed over.
    TooLong(&'a [u8]),
    /// Bytes at the end without a newline: how many.
    Torn(u64),
    /// Nothing.
    End,
}

impl Lines {
    pub(crate) fn new(file: File) -> Lines {
        Lines {
            reader: BufReader::with_capacity(128 * 1024, file),
            line: Vec::new(),
            number: 0,
            next_byte: 0,
        }
    }

    /// Reads the next line; returns where it begins and what it is.
    pub(crate) fn next(&mut self) -> io::Result<(u64, Next<'_>)> {
        self.line.clear();
        let at = self.next_byte;
        let limit = LINE_MAX_BYTES as u64 + 1;
        let read = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut self.line)? as u64;
        if read == 0 {
            return Ok((at, Next::End));
        }
        self.number += 1;
        self.next_byte += read;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok((at, Next::Line(&self.line)));
        }
        if read < limit {
            return Ok((at, Next::Torn(read)));
        }
        let (skipped, whole) = self.skip_line()?;
        self.next_byte += skipped;
        if whole {
            Ok((at, Next::TooLong(&self.line)))
        } else {
            Ok((at, Next::Torn(read + skipped)))
        }
    }

    /// Passes over the rest of a line: how many bytes, and whether it ends with a newline.
    fn skip_line(&mut self) -> io::Result<(u64, bool)> {
        let mut skipped = 0;
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok((skipped, false));
            }
            let newline = buffer.iter().position(|&byte| byte == b'\n');
            let used = newline.map_or(buffer.len(), |at| at + 1);
            self.reader.consume(used);
            skipped += used as u64;
            if newline.is_some() {
                return Ok((skipped, true));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    fn read(content: &[u8]) -> Vec<(u64, String)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let mut lines = Lines::new(file);
        let mut all = Vec::new();
        loop {
            let (at, next) = lines.next().unwrap();
            if next == Next::End {
                return all;
            }
            let text = match next {
                Next::Line(line) => format!("line {}", line.len()),
                Next::TooLong(line) => format!("too long {}", line.len()),
                Next::Torn(bytes) => format!("torn {bytes}"),
                Next::End => unreachable!(),
            };
            all.push((at, text));
        }
    }

    #[test]
    fn lines_torn_ends_and_giants_are_told_apart() {
        let max = LINE_MAX_BYTES;
        assert_eq!(read(b""), []);
        assert_eq!(
            read(b"a\n\nbc"),
            [
                (0, "line 1".to_owned()),
                (2, "line 0".to_owned()),
                (3, "torn 2".to_owned())
            ]
        );
        let longest = [vec![b'x'; max], b"\ny\n".to_vec()].concat();
        assert_eq!(
            read(&longest),
            [
                (0, format!("line {max}")),
                (max as u64 + 1, "line 1".to_owned())
            ]
        );
        let giant = [vec![b'x'; 3 * max], b"\ny\n".to_vec()].concat();
        assert_eq!(
            read(&giant),
            [
                (0, format!("too long {}", max + 1)),
                (3 * max as u64 + 1, "line 1".to_owned())
            ]
        );
        assert_eq!(
            read(&vec![b'x'; 3 * max]),
            [(0, format!("torn {}", 3 * max))]
        );
    }
}
