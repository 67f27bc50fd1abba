//! Reading a project's configuration and its plans from disk.

use std::fs::File;
use std::io;
use std::path::Path;

use fornax_core::error::{Error, ErrorKind};
use fornax_plan::config::Config;
use fornax_plan::{Diagnostic, Plan, Source};

use crate::files;
use crate::trust::Trust;

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

/// The configuration of the project in `dir`, to look at: nothing that it holds may be executed
/// before [`Trust::config`] allows it. Without a `fornax.yaml` there are the built-in tools.
///
/// # Errors
/// Where others own or can replace the file, where it cannot be read, or where it is wrong.
pub fn load_config(dir: &Path, trust: &Trust) -> Result<Config, BadFile> {
    trust.read(dir).map(|reading| reading.config)
}

/// Reads and parses the `fornax.yaml` of a project, whoever owns it.
pub(crate) fn parse_config(dir: &Path) -> Result<Config, BadFile> {
    // A link that leads nowhere is there, and cannot be read.
    if std::fs::symlink_metadata(dir.join(CONFIG_FILE))
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        return Config::load(None).map_err(BadFile::Wrong);
    }
    let source = read_beneath(dir, Path::new(CONFIG_FILE), dir).map_err(BadFile::Unreadable)?;
    Config::load(Some(source)).map_err(BadFile::Wrong)
}

/// Who names a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy {
    /// A person, who consents to it by that: it may be anywhere.
    Person,
    /// An agent: it is a file of the project.
    Agent,
}

/// A plan and all plans that it uses, checked. `path` is absolute or relative to the project.
///
/// # Errors
/// Where a file cannot be read, or leads out of its place, or is wrong.
pub fn load_plan(
    dir: &Path,
    path: &Path,
    config: &Config,
    named_by: NamedBy,
) -> Result<Plan, BadFile> {
    let source = match named_by {
        NamedBy::Person => read_named(dir, &dir.join(path)),
        NamedBy::Agent => read_of_agent(dir, path),
    };
    let source = source.map_err(BadFile::Unreadable)?;
    // Plans that a plan uses are files of its place: the project, or the plan's own directory.
    let outermost = dir.join(&source.name);
    let place = match Path::new(&source.name).is_absolute() {
        true => outermost.parent().unwrap_or(dir).to_owned(),
        false => dir.to_owned(),
    };
    let loader = |from: &str, path: &str| {
        let base = dir.join(from);
        let base = base.parent().unwrap_or(dir);
        read_beneath(&place, &base.join(path), dir).map_err(|error| error.message)
    };
    fornax_plan::load(source, config, &loader).map_err(BadFile::Wrong)
}

/// Reads a file that a person named, wherever it is.
fn read_named(dir: &Path, path: &Path) -> Result<Source, Error> {
    let real = path.canonicalize().map_err(|error| cannot(path, &error))?;
    source(dir, &real, files::open_regular(&real))
}

/// Reads a file of the project that an agent named.
fn read_of_agent(dir: &Path, path: &Path) -> Result<Source, Error> {
    let real = dir.canonicalize().map_err(|error| cannot(dir, &error))?;
    let inside = path
        .strip_prefix(&real)
        .or_else(|_| path.strip_prefix(dir))
        .unwrap_or(path);
    if inside.is_absolute() {
        let what = format!("{} is not a file of the project", path.display());
        return Err(Error::new(ErrorKind::Forbidden, what)
            .with_help("name a plan in the project, relative to its directory"));
    }
    read_beneath(dir, inside, dir)
}

/// Reads a file below `place`, named relative to it or by a path within it.
fn read_beneath(place: &Path, path: &Path, dir: &Path) -> Result<Source, Error> {
    let name = path.strip_prefix(place).unwrap_or(path);
    source(dir, &place.join(name), files::open_beneath(place, name))
}

/// The text of an open file. It is named relative to the project where it is inside of it, and
/// always in the same way, whichever path led to it.
fn source(dir: &Path, path: &Path, file: io::Result<File>) -> Result<Source, Error> {
    let content = file
        .and_then(|file| files::read(file, FILE_MAX_BYTES))
        .map_err(|error| cannot(path, &error))?;
    let text = String::from_utf8(content.bytes).map_err(|error| {
        Error::new(
            ErrorKind::Usage,
            format!("{} is not UTF-8: {error}", path.display()),
        )
    })?;
    let real = |path: &Path| path.canonicalize().map_err(|error| cannot(path, &error));
    let (root, path) = (real(dir)?, real(path)?);
    let name = path.strip_prefix(&root).unwrap_or(&path);
    Ok(Source {
        name: name.display().to_string(),
        text,
    })
}

fn cannot(path: &Path, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::FileTooLarge => ErrorKind::TooLarge,
        _ => ErrorKind::Usage,
    };
    Error::new(kind, format!("cannot read {}: {error}", path.display()))
}
