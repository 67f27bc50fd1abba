//! Agents at work: what they ask, what they are told, what is seen of them.

use std::collections::BTreeSet;

use crate::agent::{Activity, Decision, DriverKind, Order, OrderKind, Permission};
use crate::error::{Error, ErrorKind};
use crate::event::{
    Event, InputGiven, InputRequested, PermissionRequested, PermissionResolved, RetryScheduled,
};
use crate::frame::SessionId;
use crate::ids::{FrameId, TaskId};
use crate::status::TaskState;

use super::decide::task_fact;
use super::views::task_usage;
use super::{Fact, State, Task};

/// How many orders one task takes; a conversation that long wants another task.
const ORDERS_MAX: usize = 10_000;

impl State {
    /// A task whose agent works.
    fn working(&self, id: TaskId) -> Option<&Task> {
        let task = self.tasks.get(&id)?;
        task.state.has_process().then_some(task)
    }

    /// An agent's question is noted once, however often it is heard of.
    pub(super) fn decide_asked(&self, id: TaskId, permission: &Permission) -> Vec<Fact> {
        let Some(task) = self.working(id) else {
            return Vec::new();
        };
        if task.has_asked(&permission.id) {
            return Vec::new();
        }
        let event = Event::PermissionRequested(PermissionRequested {
            permission: permission.clone(),
        });
        vec![task_fact(task, id, event)]
    }

    pub(super) fn decide_answered(
        &self,
        id: TaskId,
        permission: &str,
        decision: Decision,
    ) -> Vec<Fact> {
        let open = |task: &&Task| task.waits.iter().any(|wait| wait.id == permission);
        let Some(task) = self.working(id).filter(open) else {
            return Vec::new();
        };
        let event = Event::PermissionResolved(PermissionResolved {
            permission: permission.to_owned(),
            decision,
            note: Some("answered by the agent itself, or in its own surface".to_owned()),
            order_id: None,
        });
        vec![task_fact(task, id, event)]
    }

    /// An interrupted agent waits for a prompt, unless it was given one since.
    pub(super) fn decide_idle(&self, id: TaskId, taken: u32) -> Vec<Fact> {
        let is_prompt = |order: &Order| matches!(order.kind, OrderKind::Prompt { .. });
        let waits = |task: &&Task| {
            let prompted = task
                .orders
                .iter()
                .any(|order| order.id > taken && is_prompt(order));
            !task.idle && !prompted
        };
        let Some(task) = self.working(id).filter(waits) else {
            return Vec::new();
        };
        let event = Event::InputRequested(InputRequested {
            reason: "its turn was interrupted".to_owned(),
        });
        vec![task_fact(task, id, event)]
    }

    pub(super) fn decide_tell(&self, id: TaskId, kind: &OrderKind) -> Result<Vec<Fact>, Error> {
        let task = self.known_task(id)?;
        let conflict = |why: String| Error::new(ErrorKind::Conflict, why);
        if task.state == TaskState::Paused {
            return Err(conflict(format!("{id} is paused, and hears nothing"))
                .with_help(format!("`fornax unpause {id}`")));
        }
        if task.state != TaskState::Running {
            return Err(conflict(format!(
                "{id} is {}: only an agent at work can be told something",
                task.state
            ))
            .with_help(format!("`fornax retry {id}` does its frame again")));
        }
        if task.stopping.is_some() {
            return Err(conflict(format!("{id} is being stopped")));
        }
        let frame = self.known_frame(id.frame)?;
        let invocation = frame.spec.invocation_at(task.fallback);
        let driver = invocation.and_then(|invocation| invocation.driver);
        if !driver.is_some_and(|driver| driver.converses()) {
            let tool = invocation.map_or("its tool", |invocation| invocation.tool.as_str());
            return Err(
                conflict(format!("{tool} cannot be told anything while it works"))
                    .with_help("use a tool whose driver converses: opencode, claude, codex or acp"),
            );
        }
        if task.orders.len() >= ORDERS_MAX {
            return Err(conflict(format!("{id} has been told enough")));
        }
        let order_id = task.next_order();
        let event = match kind {
            OrderKind::Decide {
                permission,
                decision,
                note,
            } => {
                if !task.waits.iter().any(|wait| wait.id == *permission) {
                    return Err(if task.has_asked(permission) {
                        conflict(format!("{permission} of {id} is answered already"))
                    } else {
                        let message = format!("{id} has not asked {permission}");
                        Error::new(ErrorKind::NotFound, message)
                    });
                }
                Event::PermissionResolved(PermissionResolved {
                    permission: permission.clone(),
                    decision: *decision,
                    note: note.clone(),
                    order_id: Some(order_id),
                })
            }
            OrderKind::Interrupt if task.idle => {
                return Err(conflict(format!(
                    "{id} is interrupted already and waits for a prompt"
                )));
            }
            // What to keep goes with the order, for the one agent that takes it so.
            OrderKind::Compact { guide: None }
                if driver.is_some_and(DriverKind::compacts_with_a_guide) =>
            {
                let guide = self.compaction_guide(&SessionId::of_task(id));
                let kind = OrderKind::Compact { guide };
                Event::InputGiven(InputGiven {
                    order: Order { id: order_id, kind },
                })
            }
            kind => Event::InputGiven(InputGiven {
                order: Order {
                    id: order_id,
                    kind: kind.clone(),
                },
            }),
        };
        Ok(vec![task_fact(task, id, event)])
    }

    pub(super) fn apply_to_agent(&mut self, id: TaskId, event: &Event) {
        let Some(task) = self.tasks.get_mut(&id) else {
            return;
        };
        match event {
            Event::PermissionRequested(asked) => {
                task.asked.push(asked.permission.id.clone());
                task.waits.push(asked.permission.clone());
            }
            Event::PermissionResolved(resolved) => {
                task.waits.retain(|wait| wait.id != resolved.permission);
                if let Some(id) = resolved.order_id {
                    let kind = OrderKind::Decide {
                        permission: resolved.permission.clone(),
                        decision: resolved.decision,
                        note: resolved.note.clone(),
                    };
                    task.orders.push(Order { id, kind });
                }
            }
            Event::InputRequested(_) => task.idle = true,
            Event::InputGiven(given) => {
                if let OrderKind::Prompt { .. } = given.order.kind {
                    task.idle = false;
                }
                task.orders.push(given.order.clone());
            }
            _ => {}
        }
    }

    pub(super) fn apply_retry(&mut self, id: TaskId, retry: &RetryScheduled) {
        let Some(frame) = self.frames.get_mut(&id.frame) else {
            return;
        };
        if retry.forgiven {
            frame.attempts_forgiven += 1;
            frame.rate_limited += 1;
        } else {
            frame.rate_limited = 0;
        }
        if retry.fallback != frame.fallback {
            frame.attempts_forgiven = frame.attempts;
            frame.fallback = retry.fallback;
        }
    }

    /// Notes what was seen of a task's agent. Whether that is news.
    pub fn observe(&mut self, id: TaskId, activity: Activity) -> bool {
        let Some(task) = self.tasks.get_mut(&id) else {
            return false;
        };
        if task.activity.as_deref() == Some(&activity) {
            return false;
        }
        task.activity = Some(Box::new(activity));
        self.news.insert(id.frame);
        self.news.extend(&task.subagents);
        self.settle_usage(id);
        true
    }

    /// The frames of which something has changed since this was last asked that no record of theirs
    /// tells: what they used, whether they are paused.
    pub fn frame_news(&mut self) -> BTreeSet<FrameId> {
        std::mem::take(&mut self.news)
    }

    /// Counts in a task's run what the task used since it was last counted.
    pub(super) fn settle_usage(&mut self, id: TaskId) {
        let Some(now) = self.tasks.get_mut(&id) else {
            return;
        };
        let used = task_usage(now.activity.as_deref(), now.ending.as_ref());
        let Some(used) = used.filter(|used| *used != now.counted) else {
            return;
        };
        let before = std::mem::replace(&mut now.counted, used);
        if let Some(run) = self.runs.get_mut(&now.run) {
            let mut rest = run.usage.since(&before);
            rest.estimated = run.usage.estimated;
            rest.add(&used);
            run.usage = rest;
        }
    }
}

impl Task {
    /// Whether its agent has asked this before.
    fn has_asked(&self, permission: &str) -> bool {
        self.asked.iter().any(|id| id == permission)
    }

    fn next_order(&self) -> u32 {
        self.orders.last().map_or(1, |order| order.id + 1)
    }
}
