//! New frames: pushed and begun at once, or planned for later.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::event::{Empty, Event, FrameCreated};
use crate::frame::{SessionId, StackUse};
use crate::ids::FrameId;
use crate::spec::{FrameSpec, Invocation, Retry};
use crate::status::FrameStatus;
use crate::template::Template;
use crate::title;

use super::super::{Fact, Frame, State};
use super::{CHILDREN_MAX, activated, conflict, said};

/// A frame that is to be made.
#[derive(Default)]
pub(super) struct New<'a> {
    pub key: Option<&'a str>,
    pub goal: &'a str,
    pub title: Option<&'a str>,
    pub criteria: Option<&'a str>,
    pub depends_on: &'a [String],
    pub phase: Option<&'a str>,
    pub agent_role: Option<&'a str>,
}

impl State {
    pub(super) fn decide_push(
        &self,
        session: &SessionId,
        new: &New<'_>,
        ids: &[FrameId],
    ) -> Result<Vec<Fact>, Error> {
        let parent = self.standing(session)?.active;
        self.refuse_where_held_back(parent)?;
        if let Some(wall) = self.wall(session, parent, 1)? {
            return Ok(wall);
        }
        let mut facts = self.create(session, parent, std::slice::from_ref(new), ids)?;
        let [created] = facts.as_slice() else {
            return Ok(facts);
        };
        let (Some(id), Event::FrameCreated(frame)) = (created.frame, &created.event) else {
            return Ok(facts);
        };
        if frame.spec.invocation.is_some() {
            return Ok(facts);
        }
        if let Some(open) = frame.depends_on.iter().find(|id| !self.is_completed(**id)) {
            return Err(conflict(format!("{open} is not completed yet"))
                .with_help("plan the frame instead: flame_plan"));
        }
        let run = created.run;
        let begin = [Event::FrameStarted(Empty {}), activated(session)];
        facts.extend(begin.map(|event| Fact {
            run,
            frame: Some(id),
            task: None,
            event,
        }));
        Ok(facts)
    }

    pub(super) fn decide_plan(
        &self,
        session: &SessionId,
        parent: FrameId,
        new: &[New<'_>],
        ids: &[FrameId],
    ) -> Result<Vec<Fact>, Error> {
        if let Some(wall) = self.wall(session, parent, new.len())? {
            return Ok(wall);
        }
        self.create(session, parent, new, ids)
    }

    fn is_completed(&self, id: FrameId) -> bool {
        let frame = self.frames.get(&id);
        frame.is_some_and(|frame| frame.status == FrameStatus::Completed)
    }

    /// Frames within another, all or none.
    pub(super) fn create(
        &self,
        session: &SessionId,
        parent_id: FrameId,
        new: &[New<'_>],
        ids: &[FrameId],
    ) -> Result<Vec<Fact>, Error> {
        let parent = self.known_frame(parent_id)?;
        if parent.status.is_settled() {
            return Err(conflict(format!("{parent_id} is {}", parent.status))
                .with_help("frames are added to one that is planned or in progress"));
        }
        if new.is_empty() || new.len() > CHILDREN_MAX || ids.len() != new.len() {
            let message = format!("plan 1 to {CHILDREN_MAX} frames at once, not {}", new.len());
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let mut keys = HashMap::new();
        for (new, id) in new.iter().zip(ids) {
            if let Some(key) = new.key
                && keys.insert(key, *id).is_some()
            {
                let message = format!("two of the frames have the key `{key}`");
                return Err(Error::new(ErrorKind::Usage, message));
            }
        }
        let mut facts = Vec::with_capacity(new.len());
        let mut depends = Vec::with_capacity(new.len());
        for (new, id) in new.iter().zip(ids) {
            let depends_on = self.dependencies(parent, new, &keys)?;
            depends.push((*id, depends_on.clone()));
            facts.push(Fact {
                run: parent.run,
                frame: Some(*id),
                task: None,
                event: Event::FrameCreated(FrameCreated {
                    parent_id: Some(parent_id),
                    depends_on,
                    result_from: None,
                    session_id: Some(session.clone()),
                    subagent_of: None,
                    spec: Arc::new(self.new_spec(session, parent, new, *id)?),
                }),
            });
        }
        refuse_cycles(depends)?;
        Ok(facts)
    }

    fn dependencies(
        &self,
        parent: &Frame,
        new: &New<'_>,
        keys: &HashMap<&str, FrameId>,
    ) -> Result<Vec<FrameId>, Error> {
        let mut found = Vec::with_capacity(new.depends_on.len());
        for text in new.depends_on {
            let id = match keys.get(text.as_str()) {
                Some(id) => *id,
                None => {
                    let id = self.find_frame(text)?;
                    let frame = self.known_frame(id)?;
                    if frame.run != parent.run {
                        return Err(conflict(format!("{id} is of another run, {}", frame.run)));
                    }
                    if frame.status == FrameStatus::Invalidated {
                        return Err(conflict(format!("{id} is invalidated")));
                    }
                    if self.is_around(id, parent) {
                        let message =
                            format!("{id} lies around the frame and cannot end before it");
                        return Err(conflict(message));
                    }
                    id
                }
            };
            if !found.contains(&id) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Whether a frame is `inner`'s parent frame or lies around it.
    fn is_around(&self, id: FrameId, parent: &Frame) -> bool {
        let is_parent = self
            .frames
            .get(&id)
            .is_some_and(|frame| std::ptr::eq(frame, parent));
        let mut above = parent.parent;
        while let Some(ancestor) = above {
            if ancestor == id {
                return true;
            }
            above = self.frames.get(&ancestor).and_then(|frame| frame.parent);
        }
        is_parent
    }

    fn new_spec(
        &self,
        session: &SessionId,
        parent: &Frame,
        new: &New<'_>,
        id: FrameId,
    ) -> Result<FrameSpec, Error> {
        let goal = said("a goal", new.goal)?;
        let key = match new.key {
            Some(key) => key.to_owned(),
            None => id.to_string(),
        };
        let key = match parent.spec.key.as_str() {
            "" => key,
            around => format!("{around}.{key}"),
        };
        let invocation = self.worked_apart(session).map(|invocation| Invocation {
            prompt: Some(Template::literal(prompt(goal, new.criteria))),
            // Its conversation is its own, whatever that of the one who makes it goes on with.
            resume: None,
            ..invocation.clone()
        });
        Ok(FrameSpec {
            key,
            title: titled(new.title, goal),
            goal: goal.to_owned(),
            success_criteria: new.criteria.map(str::to_owned),
            phase: new
                .phase
                .map(str::to_owned)
                .or_else(|| parent.spec.phase.clone()),
            agent_role: new.agent_role.map(str::to_owned),
            pool: invocation.as_ref().and(parent.spec.pool.clone()),
            priority: parent.spec.priority,
            retry: match invocation {
                Some(_) => parent.spec.retry.clone(),
                None => Retry::default(),
            },
            invocation,
            ..FrameSpec::default()
        })
    }

    /// The invocation with which frames that a session makes are worked on, where that is in a task
    /// of their own.
    pub(super) fn worked_apart(&self, session: &SessionId) -> Option<&Invocation> {
        let task = session.task()?;
        let place = self.tasks.get(&task)?.fallback;
        let frame = self.frames.get(&task.frame)?;
        let invocation = frame.spec.invocation_at(place)?;
        let resumes = invocation.driver.is_some_and(|driver| driver.resumes());
        (invocation.stack == StackUse::Apart && resumes).then_some(invocation)
    }
}

/// A title of its own, or the goal's first words.
fn titled(title: Option<&str>, goal: &str) -> String {
    let title = title.map_or_else(|| title::of("", goal), str::to_owned);
    match title.trim() {
        "" => goal.chars().take(40).collect(),
        title => title.to_owned(),
    }
}

fn prompt(goal: &str, criteria: Option<&str>) -> String {
    match criteria
        .map(str::trim)
        .filter(|criteria| !criteria.is_empty())
    {
        Some(criteria) => format!("{goal}\n\nIt is done when: {criteria}"),
        None => goal.to_owned(),
    }
}

fn refuse_cycles(mut open: Vec<(FrameId, Vec<FrameId>)>) -> Result<(), Error> {
    loop {
        let waiting: std::collections::HashSet<FrameId> = open.iter().map(|(id, _)| *id).collect();
        let before = open.len();
        open.retain(|(_, depends_on)| depends_on.iter().any(|id| waiting.contains(id)));
        if open.is_empty() {
            return Ok(());
        }
        if open.len() == before {
            let message = "the frames wait for one another in a circle";
            return Err(Error::new(ErrorKind::Usage, message));
        }
    }
}
