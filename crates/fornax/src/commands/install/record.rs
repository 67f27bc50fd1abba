//! What was installed, beside the daemon's state: `installed.json`.

use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::edits::Edit;
use super::files::{Current, write};
use crate::failure::Failure;

const NAME: &str = "installed.json";
const VERSION: u32 = 1;

/// What was done to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The file.
    pub path: PathBuf,
    /// Whether it was there before.
    pub existed: bool,
    /// What it was after it.
    pub digest: String,
    /// What was put in, in this order.
    pub edits: Vec<Edit>,
    /// The folders that were made for it, outermost first.
    pub dirs: Vec<PathBuf>,
}

/// All that was installed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Installed {
    v: u32,
    files: Vec<Record>,
}

impl Installed {
    /// Reads it; nothing was installed where there is no such file.
    pub fn read(home: &Path) -> Result<Installed, Failure> {
        let path = home.join(NAME);
        let current = Current::read(&path)?;
        if !current.exists() {
            return Ok(Installed::default());
        }
        let read = serde_json::from_str(current.text());
        Ok(read.map_err(|error| {
            Error::new(ErrorKind::Damaged, format!("{}: {error}", path.display())).with_help(
                "remove the file: what is installed is then taken out by what it looks like",
            )
        })?)
    }

    /// Writes it.
    pub fn write(&mut self, home: &Path) -> Result<(), Failure> {
        self.v = VERSION;
        let path = home.join(NAME);
        let mut text = serde_json::to_string_pretty(self).map_err(std::io::Error::from)?;
        text.push('\n');
        write(&path, &Current::read(&path)?, &text, true)?;
        Ok(())
    }

    /// What was done to a file.
    pub fn of(&self, path: &Path) -> Option<&Record> {
        self.files.iter().find(|record| record.path == path)
    }

    /// Nothing was done to it, as far as is known.
    pub fn forget(&mut self, path: &Path) {
        self.files.retain(|record| record.path != path);
    }

    /// This was done.
    pub fn add(&mut self, record: Record) {
        self.files.push(record);
    }
}
