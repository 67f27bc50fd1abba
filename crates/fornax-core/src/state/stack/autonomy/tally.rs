//! How often advice was given, and what became of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::autonomy::Advice;

use super::Fate;

/// Counts in all, and by heuristic.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub(super) struct Stats {
    #[serde(flatten)]
    pub all: Tally,
    /// Of these, how many had a heuristic's word; one suggestion may have that of several.
    pub by_heuristic: BTreeMap<&'static str, Tally>,
}

/// Counts of suggestions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(super) struct Tally {
    pub suggested: u32,
    pub acted_upon: u32,
    pub dismissed: u32,
    /// Those whose signs were gone before anybody did anything.
    pub withdrawn: u32,
}

impl Stats {
    pub fn suggested(&mut self, advice: &Advice) {
        self.count(advice, |tally| &mut tally.suggested);
    }

    pub fn ended(&mut self, advice: &Advice, fate: Fate) {
        self.count(advice, |tally| match fate {
            Fate::ActedUpon => &mut tally.acted_upon,
            Fate::Dismissed => &mut tally.dismissed,
            Fate::Withdrawn => &mut tally.withdrawn,
        });
    }

    fn count(&mut self, advice: &Advice, which: impl Fn(&mut Tally) -> &mut u32) {
        *which(&mut self.all) += 1;
        for share in advice.shares.iter().filter(|share| share.score > 0) {
            *which(self.by_heuristic.entry(share.heuristic).or_default()) += 1;
        }
    }
}
