//! Doing a task once more as it was done: the run of one frame that does so.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use crate::ids::TaskId;
use crate::spec::{FrameSpec, Invocation, OnFailure, RunSpec};
use crate::template::{Template, Variable};

use super::{LaunchContext, State};

impl State {
    /// A run of one frame that does what a task did, told the same, in the state of the files as
    /// they are now. What the frame got from those that it depended on is filled in for good.
    ///
    /// # Errors
    /// Where there is no such task, or something that it was told is not known any more.
    pub fn rerun(&self, id: TaskId, context: &LaunchContext<'_>) -> Result<RunSpec, Error> {
        let task = self.known_task(id)?;
        let frame = self.known_frame(id.frame)?;
        let missing = || Error::new(ErrorKind::Internal, format!("{id} has no work"));
        let mut invocation = frame
            .spec
            .invocation_at(task.fallback)
            .ok_or_else(missing)?
            .clone();
        let fill_in = |template: &Template| self.fill_in(id, &invocation, context, template);
        let cmd = invocation
            .cmd
            .iter()
            .map(fill_in)
            .collect::<Result<_, _>>()?;
        let stdin = invocation.stdin.as_ref().map(fill_in).transpose()?;
        let prompt = invocation.prompt.as_ref().map(fill_in).transpose()?;
        let env = invocation.env.iter();
        let env = env.map(|(name, value)| Ok::<_, Error>((name.clone(), fill_in(value)?)));
        let env = env.collect::<Result<BTreeMap<_, _>, _>>()?;
        (invocation.cmd, invocation.stdin) = (cmd, stdin);
        (invocation.prompt, invocation.env) = (prompt, env);
        let key = frame.spec.key.rsplit('.').next().unwrap_or_default();
        let again = FrameSpec {
            key: key.to_owned(),
            parent: Some(0),
            depends_on: Vec::new(),
            result_from: None,
            invocation: Some(invocation),
            fallbacks: Vec::new(),
            fallback_on: Vec::new(),
            when: None,
            // A pool of the run's own is not there.
            pool: None,
            ..(*frame.spec).clone()
        };
        let name = format!("rerun of {id}");
        let root = FrameSpec {
            key: String::new(),
            parent: None,
            result_from: Some(1),
            title: name.clone(),
            goal: frame.spec.goal.clone(),
            invocation: None,
            outputs: Vec::new(),
            ..again.clone()
        };
        Ok(RunSpec {
            name,
            plan: None,
            inputs: BTreeMap::new(),
            on_failure: OnFailure::Continue,
            pools: BTreeMap::new(),
            limits: crate::frame::FrameLimits::default(),
            frames: vec![root, again],
        })
    }

    /// The template with all filled in that another run cannot know. What it finds in its own
    /// circumstances stays, secrets of the environment above all.
    fn fill_in(
        &self,
        id: TaskId,
        invocation: &Invocation,
        context: &LaunchContext<'_>,
        template: &Template,
    ) -> Result<Template, Error> {
        let mut error = None;
        let settled = template.fill_some(|variable| match variable {
            Variable::DepResults(_) | Variable::DepStatus(_) | Variable::DepOutputs(_) => {
                let value = self.value(id.frame, invocation, context, variable);
                value.map_err(|wrong| error = Some(wrong)).ok()
            }
            _ => None,
        });
        error.map_or(Ok(settled), Err)
    }
}
