//! The keys with which the shims of a project's tasks prove what they are.

use fornax_core::error::Error;
use fornax_core::ids::{RunId, TaskId};
use fornax_journal::{Key, Project};
use fornax_runner::TaskKey;

/// Derives the keys of one project's tasks. The same task has the same key after a restart, so that
/// none is stored.
#[derive(Clone)]
pub struct TaskKeys {
    installation: Key,
    project: u64,
}

impl TaskKeys {
    /// The keys of `project`, in the installation with this key.
    ///
    /// # Errors
    /// When the project's own key cannot be read.
    pub fn new(installation: &Key, project: &Project) -> Result<TaskKeys, Error> {
        Ok(TaskKeys {
            installation: installation.clone(),
            project: project.key()?,
        })
    }

    /// The key of a task, whose id has its attempt in it.
    pub fn of_task(&self, run: RunId, task: TaskId) -> TaskKey {
        self.derive("task", &run.to_string(), &task.to_string())
    }

    /// The key of an instance of an agents' server.
    pub fn of_server(&self, id: &str) -> TaskKey {
        self.derive("server", "", id)
    }

    fn derive(&self, purpose: &str, run: &str, id: &str) -> TaskKey {
        let project = self.project.to_le_bytes();
        let parts = [&project[..], run.as_bytes(), id.as_bytes()];
        TaskKey::from(*self.installation.derive(purpose, &parts).as_bytes())
    }
}
