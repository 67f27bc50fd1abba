//! The state as contexts see it.

use crate::context::{Context, Entry, Stack, Stamp, assemble};
use crate::ids::FrameId;
use crate::time::Time;

use super::super::State;

impl Stack for State {
    fn entry(&self, id: FrameId) -> Option<Entry<'_>> {
        let frame = self.frames.get(&id)?;
        Some(Entry {
            parent: frame.parent,
            children: &frame.children,
            depends_on: &frame.depends_on,
            title: &frame.spec.title,
            goal: &frame.goal,
            criteria: frame.spec.success_criteria.as_deref().unwrap_or_default(),
            status: frame.status,
            reason: frame.reason().unwrap_or_default(),
            results: &frame.results,
            results_compact: &frame.results_compact,
            artifacts: &frame.artifacts,
            decisions: &frame.decisions,
            at: frame.history.last().map_or(Time(0), |(_, at, _)| *at),
            stale: frame.stale,
            advice: self.autonomy.told(id),
        })
    }
}

impl State {
    /// What an agent is told of the call stack around a frame.
    #[must_use]
    pub fn context(&self, id: FrameId, budget: usize) -> Option<Context> {
        assemble(self, id, budget)
    }

    /// What a frame's context is made of, as of now: while this is the same, the context is.
    #[must_use]
    pub fn context_stamp(&self, id: FrameId) -> Stamp {
        let mut stamp = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next
            && let Some(frame) = self.frames.get(&id)
        {
            stamp.push((id, frame.version.max(frame.family_version)));
            next = frame.parent;
        }
        let own = self
            .frames
            .get(&id)
            .map(|frame| frame.depends_on.as_slice());
        for id in own.unwrap_or_default() {
            stamp.push((*id, self.frames.get(id).map_or(0, |frame| frame.version)));
        }
        // Advice is in no record, so that no frame's number tells of it.
        stamp.extend(self.autonomy.version(id).map(|version| (id, version)));
        stamp
    }
}
