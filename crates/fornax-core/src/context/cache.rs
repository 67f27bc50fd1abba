//! Contexts that were assembled before, for as long as no frame that they show has changed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::FrameId;

use super::Context;

/// What a context was made of: for each frame on the way to the root, each dependency and the frame
/// itself, the number of the last change to it or to a frame directly within it.
pub type Stamp = Vec<(FrameId, u64)>;

/// The most contexts that are kept.
const KEPT_MAX: usize = 256;

/// Contexts by frame and budget. It knows no clock.
#[derive(Debug, Default)]
pub struct Cache {
    entries: HashMap<(FrameId, usize), Cached>,
    /// Counts uses, so that the one not used longest can go.
    uses: u64,
}

#[derive(Debug)]
struct Cached {
    stamp: Stamp,
    context: Arc<Context>,
    /// The one before it that differed.
    before: Option<Arc<Context>>,
    used: u64,
}

impl Cache {
    /// The context, if it is known and still holds; else it is made and kept.
    pub fn get(
        &mut self,
        id: FrameId,
        budget: usize,
        stamp: Stamp,
        make: impl FnOnce() -> Option<Context>,
    ) -> Option<Arc<Context>> {
        self.uses += 1;
        if let Some(known) = self.entries.get_mut(&(id, budget))
            && known.stamp == stamp
        {
            known.used = self.uses;
            return Some(Arc::clone(&known.context));
        }
        let context = Arc::new(make()?);
        let old = self.entries.remove(&(id, budget));
        let before = old.map(|old| match old.context == context {
            true => old.before,
            false => Some(old.context),
        });
        if self.entries.len() >= KEPT_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, cached)| cached.used);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.entries.remove(&key);
            }
        }
        let cached = Cached {
            stamp,
            context: Arc::clone(&context),
            before: before.flatten(),
            used: self.uses,
        };
        self.entries.insert((id, budget), cached);
        Some(context)
    }

    /// The context that the frame had before the one it has now; none where it never differed.
    #[must_use]
    pub fn before(&self, id: FrameId, budget: usize) -> Option<Arc<Context>> {
        self.entries.get(&(id, budget))?.before.clone()
    }

    /// Lets go of those that are wanted; how many there were.
    pub fn clear(&mut self, wanted: impl Fn(FrameId) -> bool) -> usize {
        let before = self.entries.len();
        self.entries.retain(|(id, _), _| !wanted(*id));
        before - self.entries.len()
    }
}

impl Context {
    /// How many bytes at its start are those of another: what a provider's prefix cache can reuse.
    #[must_use]
    pub fn shared_prefix(&self, other: &Context) -> usize {
        let pairs = self.xml.bytes().zip(other.xml.bytes());
        pairs.take_while(|(one, other)| one == other).count()
    }
}
