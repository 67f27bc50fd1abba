//! Going on with the conversation of a task that is over: the run of one frame that does so.

use crate::agent::{Resume, Usage};
use crate::error::{Error, ErrorKind};
use crate::ids::TaskId;
use crate::spec::RunSpec;
use crate::template::Template;

use super::{LaunchContext, State};

impl State {
    /// A run of one frame that tells the agent of a task something further, in its conversation or,
    /// with `fork`, in a copy of it.
    ///
    /// # Errors
    /// Where there is no such task, it is not over, or its agent cannot do that.
    pub fn go_on(
        &self,
        id: TaskId,
        prompt: &str,
        fork: bool,
        context: &LaunchContext<'_>,
    ) -> Result<RunSpec, Error> {
        let resume = self.conversation(id, fork)?;
        let mut spec = self.rerun(id, context)?;
        let title = crate::title::of("task", prompt);
        for frame in &mut spec.frames {
            frame.title.clone_from(&title);
            prompt.clone_into(&mut frame.goal);
            // They were what the first prompt asked for.
            frame.outputs.clear();
            if let Some(invocation) = &mut frame.invocation {
                invocation.prompt = Some(Template::literal(prompt));
                invocation.resume = Some(resume.clone());
            }
        }
        spec.name = title;
        Ok(spec)
    }

    /// A task's conversation, for a further task.
    fn conversation(&self, id: TaskId, fork: bool) -> Result<Resume, Error> {
        let conflict = |why: String| Error::new(ErrorKind::Conflict, why);
        let task = self.known_task(id)?;
        if !task.state.is_over() {
            let message = format!("{id} is {}: its conversation goes on", task.state);
            return Err(conflict(message).with_help(format!("`fornax tell {id} TEXT`")));
        }
        let frame = self.known_frame(id.frame)?;
        let invocation = frame.spec.invocation_at(task.fallback);
        let driver = invocation.and_then(|invocation| invocation.driver);
        let can = driver.is_some_and(|driver| {
            if fork {
                driver.forks()
            } else {
                driver.resumes()
            }
        });
        if !can {
            let tool = invocation.map_or("its tool", |invocation| invocation.tool.as_str());
            let what = if fork { "a copy of a" } else { "a" };
            let message = format!("{tool} cannot go on with {what} conversation");
            return Err(conflict(message).with_help(format!("`fornax task rerun {id}`")));
        }
        let ending = task.ending.as_ref();
        let session = ending.and_then(|ending| ending.session_id.clone());
        let session = session.ok_or_else(|| conflict(format!("{id} had no conversation")))?;
        if !fork && let Some(other) = self.at_work_in(&session) {
            let message = format!("{other} is at work in the conversation of {id}");
            return Err(conflict(message).with_help(format!("`fornax tell {other} TEXT`")));
        }
        Ok(Resume {
            counted: self.counted(id, &session),
            session,
            shared: true,
            fork,
        })
    }

    /// The task whose agent works in a conversation. Two at once would confuse it.
    fn at_work_in(&self, session: &str) -> Option<TaskId> {
        let works = self.tasks.iter().find(|(_, task)| {
            let seen = task.activity.as_ref();
            let seen = seen.and_then(|activity| activity.session.as_deref());
            task.state.has_process() && seen == Some(session)
        });
        works.map(|(id, _)| *id)
    }

    /// What the tasks of a frame, up to this one, counted for a conversation, and those before them
    /// whose conversation they went on with.
    #[must_use]
    pub fn counted(&self, id: TaskId, session: &str) -> Usage {
        let mut counted = Usage::default();
        let Some(frame) = self.frame(id.frame) else {
            return counted;
        };
        let place = self.task(id).map_or(0, |task| task.fallback);
        let resumed = frame
            .spec
            .invocation_at(place)
            .and_then(|at| at.resume.as_ref());
        if let Some(resumed) = resumed {
            counted.add(&resumed.counted);
        }
        for task in frame
            .tasks(id.frame)
            .take_while(|task| task.attempt <= id.attempt)
        {
            let ending = self.task(task).and_then(|task| task.ending.as_ref());
            let same = ending.filter(|ending| ending.session_id.as_deref() == Some(session));
            if let Some(usage) = same.and_then(|ending| ending.usage) {
                counted.add(&usage);
            }
        }
        counted
    }
}
