//! Tests again as an ordinary user, where they are run by the superuser.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Nobody in particular.
const USER: u32 = 65534;

/// A folder in which an ordinary user can run this test program and the binary.
pub struct OrdinaryUser {
    temp: tempfile::TempDir,
    tests: PathBuf,
    binary: PathBuf,
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
        // The folders of the originals may be closed to others.
        let copy = |from: &Path, name: &str| {
            let to = temp.path().join(name);
            fs::copy(from, &to).unwrap();
            chown(&to, Some(USER), Some(USER)).unwrap();
            to
        };
        Some(OrdinaryUser {
            tests: copy(&std::env::current_exe().unwrap(), "tests"),
            binary: copy(&super::binary(), "fornax"),
            temp,
        })
    }

    /// Runs one test of this program, which must pass.
    pub fn run(&self, test: &str, env: &[(&str, &str)]) {
        let id = USER.to_string();
        let output = Command::new("setpriv")
            .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"])
            .arg(&self.tests)
            .args(["--exact", test, "--nocapture"])
            .env("TMPDIR", self.temp.path())
            .env("HOME", self.temp.path())
            .env(super::BINARY, &self.binary)
            .envs(env.iter().copied())
            .current_dir(self.temp.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "there is no test {test}: {text}");
    }
}
