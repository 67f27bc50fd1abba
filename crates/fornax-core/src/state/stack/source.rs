//! The state as contexts see it.

use crate::context::{Context, Entry, FAMILY_MAX, Stack, Stamp, assemble, shown_above};
use crate::ids::FrameId;
use crate::time::Time;

use super::super::State;

impl Stack for State {
    fn entry(&self, id: FrameId) -> Option<Entry<'_>> {
        let frame = self.frames.get(&id)?;
        Some(Entry {
            parent: frame.parent,
            depth: frame.depth as usize,
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

    fn root(&self, id: FrameId) -> Option<FrameId> {
        self.runs.get(&self.frames.get(&id)?.run)?.root
    }
}

impl State {
    /// What an agent is told of the call stack around a frame.
    #[must_use]
    pub fn context(&self, id: FrameId, budget: usize) -> Option<Context> {
        assemble(self, id, budget)
    }

    /// What a frame's context is made of, as of now: while this is the same, the context is. Only what
    /// a context looks at is in it, so that it costs the same in a large tree as in a small one.
    #[must_use]
    pub fn context_stamp(&self, id: FrameId) -> Stamp {
        let Some(own) = self.frames.get(&id) else {
            return Stamp::new();
        };
        let with_family = |id: FrameId| {
            let frame = self.frames.get(&id);
            let version = frame.map_or(0, |frame| frame.version.max(frame.family_version));
            (id, version)
        };
        let above = shown_above(self, id, own.parent);
        let mut stamp: Stamp = std::iter::once(id).chain(above).map(with_family).collect();
        let unseen = own.depends_on.len().saturating_sub(FAMILY_MAX);
        for id in &own.depends_on[unseen..] {
            stamp.push((*id, self.frames.get(id).map_or(0, |frame| frame.version)));
        }
        // Advice is in no record, so that no frame's number tells of it.
        stamp.extend(self.autonomy.version(id).map(|version| (id, version)));
        stamp
    }
}
