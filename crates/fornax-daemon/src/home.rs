//! The daemon's own folder, `$XDG_STATE_HOME/fornax`: one a user, and one daemon in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use fornax_journal::{Installation, Key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::secret;

/// The largest of its small files, in bytes.
const FILE_MAX_BYTES: u64 = 1 << 20;

/// The folder.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

/// Where a daemon can be reached: `daemon.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Its process.
    pub pid: u32,
    /// Where its page is.
    pub url: String,
    /// Its version.
    pub version: String,
    /// The protocol that it speaks; 0 for daemons from before the number.
    #[serde(default)]
    pub protocol: u32,
    /// When it started.
    pub started_ms: i64,
}

/// Makes its holder the daemon of this home. The system lets it go when the process dies.
#[derive(Debug)]
pub struct DaemonLock {
    file: File,
}

impl DaemonLock {
    /// Whether the lock's file is still the one at its path: not so once the state directory was
    /// deleted, moved away or replaced. What cannot be looked at counts as unchanged.
    #[must_use]
    pub fn is_current(&self, home: &Home) -> bool {
        let (Ok(ours), found) = (self.file.metadata(), fs::metadata(home.lock_file())) else {
            return true;
        };
        match found {
            Ok(found) => (found.dev(), found.ino()) == (ours.dev(), ours.ino()),
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ),
        }
    }
}

impl Home {
    /// The home that the environment names: `$XDG_STATE_HOME/fornax`, else
    /// `~/.local/state/fornax`.
    ///
    /// # Errors
    /// As [`Home::open`]; and where neither variable is an absolute path.
    pub fn from_env() -> Result<Home, Error> {
        Home::dir_from_env()
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Usage,
                    "there is no folder for the daemon's state",
                )
                .with_help("set HOME or XDG_STATE_HOME to an absolute path")
            })
            .and_then(Home::open)
    }

    /// The folder that the environment names, whether it is there or not.
    #[must_use]
    pub fn dir_from_env() -> Option<PathBuf> {
        let absolute = |name: &str| {
            let dir = PathBuf::from(std::env::var_os(name)?);
            dir.is_absolute().then_some(dir)
        };
        absolute("XDG_STATE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".local/state")))
            .map(|state| state.join("fornax"))
    }

    /// The home in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// `Forbidden` where the folder is another user's, or others may write into it; `Storage`
    /// where it cannot be made.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Home, Error> {
        let dir = dir.into();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        made.map_err(|error| storage("make", &dir, &error))?;
        let dir = dir
            .canonicalize()
            .map_err(|error| storage("look at", &dir, &error))?;
        let meta = fs::metadata(&dir).map_err(|error| storage("look at", &dir, &error))?;
        let user = rustix::process::geteuid().as_raw();
        if meta.uid() != user {
            let what = format!("{} belongs to user {}", dir.display(), meta.uid());
            return Err(Error::new(ErrorKind::Forbidden, what)
                .with_help("set XDG_STATE_HOME to a folder of your own"));
        }
        if meta.mode() & 0o022 != 0 {
            let what = format!("other users may write into {}", dir.display());
            let help = format!("chmod go-w {}", dir.display());
            return Err(Error::new(ErrorKind::Forbidden, what).with_help(help));
        }
        Ok(Home { dir })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The daemon's Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("daemon.sock")
    }

    /// The daemon's own log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("daemon.jsonl")
    }

    /// The browser sessions, hashed.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.dir.join("sessions.json")
    }

    fn lock_file(&self) -> PathBuf {
        self.dir.join("daemon.lock")
    }

    /// The process that holds the lock; none where nobody does, or where the process cannot be
    /// seen from here.
    #[must_use]
    pub fn lock_holder(&self) -> Option<u32> {
        let file = File::open(self.lock_file()).ok()?;
        if !matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return None;
        }
        let mut pid = String::new();
        (&file).take(16).read_to_string(&mut pid).ok()?;
        let pid = pid.trim().parse().ok()?;
        // A holder that has not written its number yet leaves its predecessor's, and that number
        // may be another process's by now: only who has the file open can hold its lock.
        let lock = file.metadata().ok()?;
        let open_files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        open_files
            .filter_map(|entry| fs::metadata(entry.ok()?.path()).ok())
            .any(|open| (open.dev(), open.ino()) == (lock.dev(), lock.ino()))
            .then_some(pid)
    }

    /// Becomes the daemon of this home, until the lock is dropped.
    ///
    /// # Errors
    /// `Conflict` where another process is; `Storage`.
    pub fn lock(&self) -> Result<DaemonLock, Error> {
        let path = self.lock_file();
        let opened = private_file().read(true).truncate(false).open(&path);
        let mut file = opened.map_err(|error| storage("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Only for the message; the lock itself is the system's.
                let read = (&file).take(16).read_to_string(&mut pid);
                let who = match read {
                    Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
                    _ => "another process".to_owned(),
                };
                let what = format!("a daemon is running already: {who}");
                return Err(Error::new(ErrorKind::Conflict, what)
                    .with_help("`fornax status` shows it, `fornax down` ends it"));
            }
            Err(TryLockError::Error(error)) => return Err(storage("lock", &path, &error)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| storage("write", &path, &error))?;
        Ok(DaemonLock { file })
    }

    /// The token that stands for the user over TCP; made at first use.
    ///
    /// # Errors
    /// `Forbidden` where others may read it, `Damaged` where it is no token, `Storage`.
    pub fn token(&self) -> Result<String, Error> {
        let path = self.dir.join("token");
        let Some(text) = read(&path)? else {
            let token = secret::new().map_err(|error| storage("make", &path, &error))?;
            replace(&path, token.as_bytes())?;
            return Ok(token);
        };
        let meta = fs::metadata(&path).map_err(|error| storage("look at", &path, &error))?;
        let help = format!(
            "remove {}: a new one is made at the next start",
            path.display()
        );
        if meta.mode() & 0o077 != 0 {
            let what = format!("other users may read {}", path.display());
            return Err(Error::new(ErrorKind::Forbidden, what).with_help(help));
        }
        if text.trim().len() != secret::TEXT_BYTES {
            let what = format!("{} does not hold a token", path.display());
            let help = "`fornax doctor --fix` shows how it would set the file aside, and asks";
            return Err(Error::new(ErrorKind::Damaged, what).with_help(help));
        }
        Ok(text.trim().to_owned())
    }

    /// The installation's key: what is written into projects is bound to the installation with keys
    /// that are derived from it. It is created at first use and is independent of the token, which a
    /// person may replace.
    ///
    /// # Errors
    /// `Forbidden` where others can read it, `Damaged` where it is no key, `Storage`.
    pub fn key(&self) -> Result<Key, Error> {
        let path = self.dir.join("key");
        let Some(text) = read(&path)? else {
            let bytes = secret::random().map_err(|error| storage("make", &path, &error))?;
            create_durably(&path, secret::hex(&bytes).as_bytes())?;
            return self.key();
        };
        let meta = fs::metadata(&path).map_err(|error| storage("look at", &path, &error))?;
        if meta.mode() & 0o077 != 0 {
            let what = format!("other users can read {}", path.display());
            return Err(Error::new(ErrorKind::Forbidden, what).with_help(format!(
                "if nobody else has read it: chmod 600 {}; else remove it: all existing runs then \
                 need `fornax trust RUN`",
                path.display()
            )));
        }
        unhex(text.trim()).map(Key::new).ok_or_else(|| {
            let what = format!("{} does not hold a key of 64 hexadecimal digits", path.display());
            Error::new(ErrorKind::Damaged, what).with_help(
                "restore it from a backup, or remove it: all existing runs then need `fornax trust RUN`",
            )
        })
    }

    /// What binds projects to this installation.
    ///
    /// # Errors
    /// As [`Home::key`].
    pub fn installation(&self) -> Result<Installation, Error> {
        Ok(Installation::new(self.key()?, self.dir.join("projects")))
    }

    /// Where the daemon can be reached; none where no daemon has said so.
    ///
    /// # Errors
    /// `Damaged`, `Storage`.
    pub fn info(&self) -> Result<Option<DaemonInfo>, Error> {
        read_json(&self.dir.join("daemon.json"))
    }

    /// Tells where this daemon can be reached.
    ///
    /// # Errors
    /// `Storage`.
    pub fn set_info(&self, info: &DaemonInfo) -> Result<(), Error> {
        replace_json(&self.dir.join("daemon.json"), info)
    }

    /// Tells that this daemon cannot be reached any more: its socket goes as well.
    ///
    /// # Errors
    /// `Storage`.
    pub fn clear_info(&self) -> Result<(), Error> {
        for path in [self.dir.join("daemon.json"), self.socket()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(storage("remove", &path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A small JSON file; none where it is missing.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let Some(text) = read(path)? else {
        return Ok(None);
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Error::new(ErrorKind::Damaged, format!("{}: {error}", path.display()))
            .with_help("`fornax doctor --fix` shows how it would set the file aside, and asks")
    })
}

/// Replaces a small JSON file: whoever reads it sees the old content or the new.
pub(crate) fn replace_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|error| storage("write", path, &error.into()))?;
    bytes.push(b'\n');
    replace(path, &bytes)
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    let mut text = String::new();
    // A pipe in its place would never end.
    let read = crate::files::open_regular(path).and_then(|file| {
        let bytes = file.take(FILE_MAX_BYTES + 1).read_to_string(&mut text)?;
        if bytes as u64 > FILE_MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    });
    match read {
        Ok(()) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(storage("read", path, &error)),
    }
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let draft = path.with_extension("draft");
    let replaced = private_file().open(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        path.parent()
            .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    });
    replaced.map_err(|error| storage("write", path, &error))
}

/// Creates a file with this content unless it exists: of two processes that do so at once, one wins
/// and both read its content.
fn create_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let created = private_file().open(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => fs::remove_file(&draft)?,
        }
        path.parent()
            .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    });
    created.map_err(|error| storage("create", path, &error))
}

/// The bytes that 64 hexadecimal digits stand for.
fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// How a file is written that only its user may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
}

pub(crate) fn storage(doing: &str, path: &Path, error: &io::Error) -> Error {
    let what = format!("cannot {doing} {}: {error}", path.display());
    Error::new(ErrorKind::Storage, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home) {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::open(temp.path().join("state/fornax")).unwrap();
        (temp, home)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn is_the_users_alone() {
        let (_temp, home) = home();
        assert_eq!(mode(home.dir()), 0o700);
        for open_to_others in [0o770, 0o702] {
            fs::set_permissions(home.dir(), fs::Permissions::from_mode(open_to_others)).unwrap();
            let error = Home::open(home.dir()).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Forbidden);
            assert!(error.help.unwrap().starts_with("chmod go-w "));
        }
    }

    #[test]
    fn the_token_is_made_once_and_private() {
        let (_temp, home) = home();
        let token = home.token().unwrap();
        assert_eq!(home.token().unwrap(), token);
        let path = home.dir().join("token");
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(home.token().unwrap_err().kind, ErrorKind::Forbidden);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "short").unwrap();
        assert_eq!(home.token().unwrap_err().kind, ErrorKind::Damaged);
    }

    #[test]
    fn the_key_is_created_once_private_and_independent_of_the_token() {
        let (_temp, home) = home();
        let key = *home.key().unwrap().as_bytes();
        let path = home.dir().join("key");
        assert_eq!(mode(&path), 0o600);
        home.token().unwrap();
        fs::remove_file(home.dir().join("token")).unwrap();
        home.token().unwrap();
        assert_eq!(home.key().unwrap().as_bytes(), &key);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(home.key().unwrap_err().kind, ErrorKind::Forbidden);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "short", &"g".repeat(64), &"a".repeat(65)] {
            fs::write(&path, bad).unwrap();
            assert_eq!(home.key().unwrap_err().kind, ErrorKind::Damaged, "{bad}");
        }
    }

    #[test]
    fn one_daemon_at_a_time_and_the_other_is_named() {
        let (_temp, home) = home();
        let lock = home.lock().unwrap();
        let error = home.lock().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict);
        assert!(
            error.message.contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(lock);
        home.lock().unwrap();
    }

    #[test]
    fn what_is_set_is_read_back_and_damage_is_told() {
        let (_temp, home) = home();
        assert_eq!(home.info().unwrap(), None);
        let info = DaemonInfo {
            pid: 7,
            url: "http://127.0.0.1:7717".into(),
            version: "0.1.0".into(),
            protocol: 1,
            started_ms: 5,
        };
        home.set_info(&info).unwrap();
        assert_eq!(home.info().unwrap(), Some(info));
        home.clear_info().unwrap();
        home.clear_info().unwrap();
        assert_eq!(home.info().unwrap(), None);
        fs::write(home.dir().join("daemon.json"), "{").unwrap();
        assert_eq!(home.info().unwrap_err().kind, ErrorKind::Damaged);
    }
}
