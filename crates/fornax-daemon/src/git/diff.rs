//! The difference of two files that are in no repository.

use std::path::Path;
use std::time::Duration;

use super::Git;
use super::error::GitError;
use super::process::{Call, Deadline};
use super::subcommand::Subcommand;

/// How long a comparison may take.
const DIFF_TIMEOUT: Duration = Duration::from_secs(60);

/// The exit code for files that differ.
const EXIT_DIFFERENT: i32 = 1;

impl Git {
    /// The unified diff of two files, without its header, and whether it is cut at `max_bytes`.
    /// Neither the attributes nor the configuration of any repository or user take effect.
    ///
    /// # Errors
    /// What goes wrong with git.
    pub fn diff_files(
        &self,
        one: &Path,
        other: &Path,
        max_bytes: usize,
    ) -> Result<(String, bool), GitError> {
        let nowhere = tempfile::Builder::new().prefix("fornax-git-").tempdir()?;
        let output = Call::new(Subcommand::DiffFiles, nowhere.path())
            .argument(std::path::absolute(one)?)
            .argument(std::path::absolute(other)?)
            .env("GIT_DIR", nowhere.path().join("none"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .stdout_max_bytes(max_bytes)
            .run(Deadline::after(DIFF_TIMEOUT))?;
        let code = output.status.map(|status| status.code());
        // A file that cannot be read ends with the code for a difference too.
        let is_compared = match code {
            None | Some(Some(0)) => true,
            Some(Some(EXIT_DIFFERENT)) => !output.stdout.is_empty(),
            Some(_) => false,
        };
        if !is_compared {
            return Err(output.error());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        // The names of the files mean nothing to a reader.
        let body = text.find("\n@@").map_or(&*text, |at| &text[at + 1..]);
        Ok((body.to_owned(), code.is_none()))
    }
}
