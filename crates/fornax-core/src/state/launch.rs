//! From a task to the command line that is run: filling the templates.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};
use crate::ids::{FrameId, TaskId};
use crate::spec::Invocation;
use crate::template::{Template, Variable};

use super::State;

/// A command line, ready to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Launch {
    /// The argument vector.
    pub argv: Vec<String>,
    /// Variables set on top of the daemon's environment.
    pub env: Vec<(String, String)>,
    /// What is written to standard input.
    pub stdin: Option<String>,
    /// The filled prompt.
    pub prompt: Option<String>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
}

/// What a launch needs to know of the machine.
pub struct LaunchContext<'a> {
    /// The project's directory, absolute.
    pub project_dir: &'a Path,
    /// The task's own folder for artifacts, absolute.
    pub artifacts_dir: &'a Path,
    /// Looks a variable of the daemon's environment up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl State {
    /// The command line of a task.
    ///
    /// # Errors
    /// Where a variable has no value, or the task is not there.
    pub fn launch(&self, id: TaskId, context: &LaunchContext<'_>) -> Result<Launch, Error> {
        let frame = self.known_frame(id.frame)?;
        let place = self.task(id).map_or(0, |task| task.fallback);
        let invocation = frame.spec.invocation_at(place).ok_or_else(|| {
            let message = format!("{} ({}) has no work of its own", id.frame, frame.spec.key);
            Error::new(ErrorKind::Internal, message)
        })?;
        let plain = |variable: &Variable| self.value(id.frame, invocation, context, variable);
        let prompt = invocation
            .prompt
            .as_ref()
            .map(|prompt| prompt.fill(plain))
            .transpose()?;
        let fill = |template: &Template| {
            template.fill(|variable| match variable {
                Variable::Prompt => Ok(prompt.clone().unwrap_or_default()),
                other => plain(other),
            })
        };
        let mut env = Vec::with_capacity(invocation.env.len() + 4);
        for (name, value) in &invocation.env {
            env.push((name.clone(), fill(value)?));
        }
        let own = [
            ("FORNAX_RUN_ID", frame.run.to_string()),
            ("FORNAX_FRAME_ID", id.frame.to_string()),
            ("FORNAX_TASK_ID", id.to_string()),
            (
                "FORNAX_ARTIFACTS_DIR",
                context.artifacts_dir.display().to_string(),
            ),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Ok(Launch {
            argv: invocation.cmd.iter().map(fill).collect::<Result<_, _>>()?,
            env,
            stdin: invocation.stdin.as_ref().map(fill).transpose()?,
            cwd: working_dir(context.project_dir, invocation),
            prompt,
        })
    }

    pub(super) fn value(
        &self,
        frame_id: FrameId,
        invocation: &Invocation,
        context: &LaunchContext<'_>,
        variable: &Variable,
    ) -> Result<String, Error> {
        let frame = self.known_frame(frame_id)?;
        Ok(match variable {
            // A prompt cannot hold itself; elsewhere the filled prompt is put in before this is asked.
            Variable::Prompt => String::new(),
            Variable::Model => invocation.model.clone().unwrap_or_default(),
            Variable::Goal => frame.spec.goal.clone(),
            Variable::ArtifactsDir => context.artifacts_dir.display().to_string(),
            Variable::FrameId => frame_id.to_string(),
            Variable::RunId => frame.run.to_string(),
            Variable::Env(name) => (context.env)(name).ok_or_else(|| {
                let message = format!(
                    "{{env.{name}}} of {} is not set in the daemon's environment",
                    frame.spec.key
                );
                Error::new(ErrorKind::Usage, message).with_help(format!(
                    "export {name}, then `fornax down && fornax up`, and retry"
                ))
            })?,
            Variable::DepOutputs(_) => {
                let paths = self.dependency_value(frame_id, variable)?;
                let absolute = paths
                    .lines()
                    .map(|path| context.project_dir.join(path).display().to_string());
                absolute.collect::<Vec<_>>().join("\n")
            }
            Variable::Input(_) | Variable::DepResults(_) | Variable::DepStatus(_) => {
                self.dependency_value(frame_id, variable)?
            }
        })
    }

    /// What a variable says of a frame's dependency. Ids are those of the plan that the frame is in,
    /// where all that it depends on is too; keys carry the groups around them in front.
    pub(super) fn dependency_value(
        &self,
        frame_id: FrameId,
        variable: &Variable,
    ) -> Result<String, Error> {
        let frame = self.known_frame(frame_id)?;
        let (Variable::DepResults(id) | Variable::DepOutputs(id) | Variable::DepStatus(id)) =
            variable
        else {
            let message = format!("{{{variable}}} of {} has no value here", frame.spec.key);
            return Err(Error::new(ErrorKind::Usage, message));
        };
        let mut dependencies = frame.depends_on.iter().filter_map(|id| self.frames.get(id));
        let dependency = dependencies.find(|other| other.spec.key.rsplit('.').next() == Some(id));
        let dependency = dependency.ok_or_else(|| {
            let message = format!(
                "{} uses {{{variable}}} but does not depend on {id}",
                frame.spec.key
            );
            Error::new(ErrorKind::Usage, message)
        })?;
        Ok(match variable {
            Variable::DepResults(_) => dependency.results.clone(),
            Variable::DepStatus(_) => dependency.status.to_string(),
            _ => {
                let paths = dependency
                    .artifacts
                    .iter()
                    .map(|artifact| artifact.path.as_str());
                paths.collect::<Vec<_>>().join("\n")
            }
        })
    }
}

/// The directory in which an invocation works, absolute.
#[must_use]
pub fn working_dir(project_dir: &Path, invocation: &Invocation) -> PathBuf {
    match &invocation.workdir {
        Some(workdir) => project_dir.join(workdir),
        None => project_dir.to_owned(),
    }
}
