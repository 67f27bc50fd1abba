//! Reading a project's configuration and its plans from disk.

use std::io::Read;
use std::path::Path;

use fornax_core::error::{Error, ErrorKind};
use fornax_plan::config::Config;
use fornax_plan::{Diagnostic, Plan, Source};

/// The project's configuration file.
pub const CONFIG_FILE: &str = "fornax.yaml";

/// The largest file that is read as a plan or a configuration, in bytes.
const FILE_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// A file that could not be used: what is wrong with it, or that it cannot be read.
#[derive(Debug)]
pub enum BadFile {
    /// It cannot be read.
    Unreadable(Error),
    /// It says something wrong.
    Wrong(Vec<Diagnostic>),
}

impl From<BadFile> for Error {
    fn from(bad: BadFile) -> Error {
        match bad {
            BadFile::Unreadable(error) => error,
            BadFile::Wrong(diagnostics) => {
                let text: Vec<String> = diagnostics
                    .iter()
                    .map(|found| found.render().trim_end().to_owned())
                    .collect();
                let text = text.join("\n\n");
                // Whoever prints an error says that it is one.
                Error::new(
                    ErrorKind::Usage,
                    text.strip_prefix("error: ").unwrap_or(&text),
                )
            }
        }
    }
}

/// The configuration of the project in `dir`; without a `fornax.yaml` there are the built-in tools.
///
/// # Errors
/// Where the file cannot be read or says something wrong.
pub fn load_config(dir: &Path) -> Result<Config, BadFile> {
    let path = dir.join(CONFIG_FILE);
    if !path.exists() {
        return Config::load(None).map_err(BadFile::Wrong);
    }
    let source = read(dir, &path).map_err(BadFile::Unreadable)?;
    Config::load(Some(source)).map_err(BadFile::Wrong)
}

/// A plan and all plans that it uses, checked. `path` is absolute or relative to the project.
///
/// # Errors
/// Where a file cannot be read or says something wrong.
pub fn load_plan(dir: &Path, path: &Path, config: &Config) -> Result<Plan, BadFile> {
    let source = read(dir, &dir.join(path)).map_err(BadFile::Unreadable)?;
    let loader = |from: &str, path: &str| {
        let base = dir.join(from);
        let base = base.parent().unwrap_or(dir);
        read(dir, &base.join(path)).map_err(|error| error.message)
    };
    fornax_plan::load(source, config, &loader).map_err(BadFile::Wrong)
}

/// Reads a file. It is named relative to the project where it is inside of it, and always in the
/// same way, whichever path led to it.
fn read(dir: &Path, path: &Path) -> Result<Source, Error> {
    let cannot = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Usage,
        };
        Error::new(kind, format!("cannot read {}: {error}", path.display()))
    };
    let path = path.canonicalize().map_err(cannot)?;
    // What says that it is empty may be endless all the same: a device, a pipe.
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).map_err(cannot)?;
    file.take(FILE_MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > FILE_MAX_BYTES {
        let message = format!(
            "{} is too large: {FILE_MAX_BYTES} bytes at most",
            path.display()
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::new(
            ErrorKind::Usage,
            format!("{} is not UTF-8: {error}", path.display()),
        )
    })?;
    let root = dir.canonicalize().map_err(cannot)?;
    let name = path.strip_prefix(&root).unwrap_or(&path);
    Ok(Source {
        name: name.display().to_string(),
        text,
    })
}
