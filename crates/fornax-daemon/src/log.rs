//! The daemon's own log: JSON lines in a file that does not grow for ever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use fornax_core::error::{Error, ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::home::{Home, storage};

/// The file is put aside when it is this long; one older one is kept.
const FILE_MAX_BYTES: u64 = 10 << 20;

/// Sends what the process logs to the home's `daemon.jsonl`, from now until the process ends.
/// `FORNAX_LOG` says what is logged (`info` where it is not set; the syntax of `RUST_LOG`).
///
/// # Errors
/// `Storage` where the file cannot be opened; `Usage` where `FORNAX_LOG` is malformed; `Internal`
/// where the process logs elsewhere already.
pub fn start(home: &Home) -> Result<(), Error> {
    let path = home.log();
    let file =
        Rotating::open(&path, FILE_MAX_BYTES).map_err(|error| storage("open", &path, &error))?;
    let wanted = std::env::var("FORNAX_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| {
        Error::new(ErrorKind::Usage, format!("FORNAX_LOG=`{wanted}`: {error}"))
            .with_help("try FORNAX_LOG=debug")
    })?;
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(Mutex::new(file))
        .try_init()
        .map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                format!("cannot start the log: {error}"),
            )
        })
}

/// A file that is put aside and begun anew when it is long enough.
struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
}

impl Rotating {
    fn open(path: &Path, max_bytes: u64) -> io::Result<Rotating> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        Ok(Rotating {
            path: path.to_owned(),
            bytes: file.metadata()?.len(),
            file,
            max_bytes,
        })
    }

    /// Whether the file is still the one at its path.
    fn is_current(&self) -> bool {
        let (Ok(ours), Ok(found)) = (self.file.metadata(), fs::metadata(&self.path)) else {
            return false;
        };
        (found.dev(), found.ino()) == (ours.dev(), ours.ino())
    }
}

impl Write for Rotating {
    /// Takes one whole line, as the log's formatter gives them, and never parts it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !self.is_current() {
            // Deleted with its directory, or moved away. Where there is no directory to begin
            // another in, the old file takes the line.
            if let Ok(file) = Rotating::open(&self.path, self.max_bytes) {
                *self = file;
            }
        }
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.max_bytes {
            fs::rename(&self.path, self.path.with_extension("jsonl.1"))?;
            *self = Rotating::open(&self.path, self.max_bytes)?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bound_and_parts_no_line() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("daemon.jsonl");
        for start in [0, 50] {
            let mut log = Rotating::open(&path, 100).unwrap();
            for number in start..start + 50 {
                log.write_all(format!("{{\"n\":{number:04}}}\n").as_bytes())
                    .unwrap();
            }
        }
        let older = fs::read_to_string(path.with_extension("jsonl.1")).unwrap();
        let newer = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
        assert!(older.len() <= 100 && newer.len() <= 100);
        let lines: Vec<_> = older.lines().chain(newer.lines()).collect();
        let expected: Vec<_> = (100 - lines.len()..100)
            .map(|n| format!("{{\"n\":{n:04}}}"))
            .collect();
        assert_eq!(lines, expected);
    }
}
