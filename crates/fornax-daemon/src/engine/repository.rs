//! What is known of the repositories in which tasks run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::git::{Git, Status};

/// How long a look at a repository is remembered.
const GIT_REMEMBERED: Duration = Duration::from_secs(1);

/// The repositories that were looked at lately.
pub(super) struct Repositories {
    git: Git,
    known: HashMap<PathBuf, (Instant, Value)>,
}

impl Repositories {
    /// `git` decides which filters run.
    pub fn new(git: Git) -> Repositories {
        Repositories {
            git,
            known: HashMap::new(),
        }
    }

    /// The commit that is checked out, and whether the work tree differs from it: null, with a reason,
    /// where that is not known. Null in place of both where git cannot name the commit.
    pub fn look(&mut self, dir: &Path) -> Value {
        if let Some((at, known)) = self.known.get(dir)
            && at.elapsed() < GIT_REMEMBERED
        {
            return known.clone();
        }
        let found = if dir.ancestors().any(|dir| dir.join(".git").exists()) {
            self.git.status(dir).map_or(Value::Null, record)
        } else {
            Value::Null
        };
        self.known
            .retain(|_, (at, _)| at.elapsed() < GIT_REMEMBERED);
        self.known
            .insert(dir.to_owned(), (Instant::now(), found.clone()));
        found
    }
}

fn record(status: Status) -> Value {
    let mut record = json!({ "commit": status.commit, "dirty": status.is_dirty });
    if let Some(reason) = status.unknown_reason {
        record["dirty_unknown"] = json!(reason);
    }
    record
}
