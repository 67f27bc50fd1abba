//! The same tests as an ordinary user, where these are run by the superuser.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;

/// Nobody in particular.
const USER: u32 = 65534;

/// A place where an ordinary user can run this program.
pub struct OrdinaryUser {
    program: PathBuf,
    temp: tempfile::TempDir,
}

impl OrdinaryUser {
    /// None where this is an ordinary user already, or there is no `setpriv`.
    pub fn new() -> Option<OrdinaryUser> {
        let is_root = rustix::process::geteuid().is_root();
        let found = is_root && Command::new("setpriv").arg("--version").output().is_ok();
        if !found {
            return None;
        }
        let temp = tempfile::tempdir().unwrap();
        chown(temp.path(), Some(USER), Some(USER)).unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let program = temp.path().join("tasks");
        fs::copy(crate::kit::myself(), &program).unwrap();
        chown(&program, Some(USER), Some(USER)).unwrap();
        Some(OrdinaryUser { program, temp })
    }

    /// Runs one test of this program.
    pub fn run(&self, name: &str) -> Result<(), Failed> {
        let id = USER.to_string();
        let output = Command::new("setpriv")
            .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
            .arg(&self.program)
            .args(["--exact", name])
            .env("TMPDIR", self.temp.path())
            .env("HOME", self.temp.path())
            .current_dir(self.temp.path())
            .output()?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        Err(Failed::from(String::from_utf8_lossy(&text)))
    }
}
