//! Which task starts next: lanes of ready tasks, the slots they share, and tasks whose time is to
//! come.
//!
//! Priorities age: a step of priority is worth one ageing interval of waiting. Since all waiting
//! tasks age alike, their order never changes while they wait, and a task's place is fixed when it
//! is queued: `queued - priority * ageing`. So nothing starves and nothing is sorted again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{RunId, TaskId};
use crate::time::Time;

/// How much may run at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Tasks in the whole project.
    pub tasks: u32,
    /// Tasks in each of the project's pools.
    pub pools: BTreeMap<String, u32>,
    /// How long a task waits to gain one step of priority.
    pub ageing_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tasks: 4,
            pools: BTreeMap::new(),
            ageing_ms: 60_000,
        }
    }
}

/// A queued task's place in its lane: its aged moment, then first come, first served.
pub(super) type Place = (i64, u64);

#[derive(Debug, Clone, Default)]
pub(super) struct Queue {
    limits: Limits,
    lanes: BTreeMap<Arc<str>, Lane>,
    running: BTreeSet<TaskId>,
    delayed: BTreeSet<(Time, TaskId)>,
    /// Lanes whose provider wants no call before this moment.
    held: BTreeMap<Arc<str>, Time>,
    arrivals: u64,
}

#[derive(Debug, Clone, Default)]
struct Lane {
    /// The limit of a pool that a run brought along; a project's pool has its own in the limits.
    own_limit: Option<u32>,
    running: u32,
    ready: BTreeSet<(Place, TaskId)>,
}

impl Queue {
    pub fn new(limits: Limits) -> Queue {
        Queue {
            limits,
            ..Queue::default()
        }
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub fn running(&self) -> &BTreeSet<TaskId> {
        &self.running
    }

    pub fn next_due(&self) -> Option<Time> {
        let delayed = self.delayed.first().map(|(due, _)| *due);
        // A lane in which nobody waits needs nobody to wake up for it.
        let waiting = |lane: &Arc<str>| {
            let lane = self.lanes.get(lane);
            lane.is_some_and(|lane| !lane.ready.is_empty())
        };
        let held = self.held.iter().filter(|(lane, _)| waiting(lane));
        let released = held.map(|(_, until)| *until).min();
        delayed.into_iter().chain(released).min()
    }

    /// Nothing of the lane starts before `until`.
    pub fn hold(&mut self, lane: &Arc<str>, until: Time) {
        let held = self.held.entry(Arc::clone(lane)).or_insert(until);
        *held = until.max(*held);
    }

    /// Lets lanes go on whose time has come.
    pub fn release(&mut self, now: Time) {
        self.held.retain(|_, until| *until > now);
    }

    /// The lane of a pool: a run's own pool goes before the project's of the same name. Pools that
    /// neither knows have no limit of their own. An agent outside of all pools has a lane with the
    /// others of its tool, so that what its provider refuses holds only them up.
    pub fn lane(
        &mut self,
        run: RunId,
        own_pools: &BTreeMap<String, u32>,
        pool: Option<&str>,
        agent: Option<&str>,
    ) -> Arc<str> {
        let own_limit = pool.and_then(|pool| own_pools.get(pool)).copied();
        let name: Arc<str> = match (pool, own_limit) {
            (None, _) => agent.map_or_else(|| "".into(), |tool| format!("agent:{tool}").into()),
            (Some(pool), None) => pool.into(),
            (Some(pool), Some(_)) => format!("{run}/{pool}").into(),
        };
        if let Some((known, _)) = self.lanes.get_key_value(&name) {
            return Arc::clone(known);
        }
        let lane = Lane {
            own_limit,
            ..Lane::default()
        };
        self.lanes.insert(Arc::clone(&name), lane);
        name
    }

    /// The place of a task that is queued now.
    pub fn place(&mut self, now: Time, priority: i32) -> Place {
        self.arrivals += 1;
        let head_start = i64::from(priority) * i64::from(self.limits.ageing_ms);
        (now.0.saturating_sub(head_start), self.arrivals)
    }

    /// Puts a task into its lane, or aside until it is due.
    pub fn push(&mut self, task: TaskId, lane: &Arc<str>, place: Place, due: Option<Time>) {
        match due {
            Some(due) => {
                self.delayed.insert((due, task));
            }
            None => {
                let lane = self.lanes.entry(Arc::clone(lane)).or_default();
                lane.ready.insert((place, task));
            }
        }
    }

    /// Takes a queued task out, wherever it is.
    pub fn remove(&mut self, task: TaskId, lane: &Arc<str>, place: Place, due: Option<Time>) {
        if let Some(due) = due {
            self.delayed.remove(&(due, task));
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.ready.remove(&(place, task));
        }
    }

    /// A delayed task that is due by `now`.
    pub fn pop_due(&mut self, now: Time) -> Option<TaskId> {
        let (due, _) = self.delayed.first()?;
        if *due > now {
            return None;
        }
        self.delayed.pop_first().map(|(_, task)| task)
    }

    /// The task that starts next, if there is a slot for one.
    pub fn next(&self) -> Option<TaskId> {
        if self.running.len() >= self.limits.tasks as usize {
            return None;
        }
        let open = self.lanes.iter().filter(|(name, lane)| {
            lane.running < self.limit(name, lane) && !self.held.contains_key(*name)
        });
        let heads = open.filter_map(|(_, lane)| lane.ready.first());
        heads.min().map(|(_, task)| *task)
    }

    fn limit(&self, name: &str, lane: &Lane) -> u32 {
        let limit = lane
            .own_limit
            .or_else(|| self.limits.pools.get(name).copied());
        limit.unwrap_or(u32::MAX)
    }

    pub fn started(&mut self, task: TaskId, lane: &Arc<str>) {
        if self.running.insert(task) {
            self.lanes.entry(Arc::clone(lane)).or_default().running += 1;
        }
    }

    pub fn ended(&mut self, task: TaskId, lane: &Arc<str>) {
        if self.running.remove(&task)
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            lane.running = lane.running.saturating_sub(1);
        }
    }

    /// Lets go of the lanes that a run brought along.
    pub fn forget(&mut self, run: RunId) {
        let prefix = format!("{run}/");
        self.lanes.retain(|name, _| !name.starts_with(&prefix));
    }
}
