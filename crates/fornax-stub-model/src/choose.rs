//! Which rule answers a request, and with which of its replies.

use axum::http::HeaderMap;

use crate::conversation::Conversation;
use crate::reply::{OneOrMany, Reply};
use crate::script::{FALLBACK, Index, Offer, Pattern, Rule, Script, When};

/// What rules look at.
pub(crate) struct Seen<'a> {
    /// The request's number among the model calls, from 1.
    pub(crate) n: u64,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) talk: &'a Conversation,
}

impl Script {
    /// The first rule that fits, by name, and its reply. `uses` counts how often each rule
    /// has fired, in the order of the rules.
    pub(crate) fn choose(&self, uses: &mut [u64], seen: &Seen<'_>) -> (&str, Reply) {
        for (rule, used) in self.rules.iter().zip(uses) {
            if rule.times.is_some_and(|times| *used >= times.get()) || !rule.when.holds(seen) {
                continue;
            }
            let reply = rule.reply_for(*used, seen.talk.round);
            *used += 1;
            return (&rule.id, reply.clone().or(&self.defaults));
        }
        (FALLBACK, self.fallback.clone().or(&self.defaults))
    }
}

impl Rule {
    fn reply_for(&self, used: u64, round: u64) -> &Reply {
        let at = match self.index {
            Index::Round => round,
            Index::Use => used,
        };
        let last = self.replies.len() - 1;
        &self.replies[usize::try_from(at).map_or(last, |at| at.min(last))]
    }
}

impl When {
    fn holds(&self, seen: &Seen<'_>) -> bool {
        let talk = seen.talk;
        is_among(self.n.as_ref(), seen.n)
            && is_among(self.round.as_ref(), talk.round)
            && is_found(self.user.as_ref(), &talk.last_user)
            && is_found(self.system.as_ref(), &talk.system)
            && is_found(self.model.as_ref(), &talk.model)
            && is_found(self.path.as_ref(), seen.path)
            && is_found(self.tool_result.as_ref(), &talk.last_tool_result)
            && self.tools.as_ref().is_none_or(|offer| match offer {
                Offer::Any(some) => talk.tools.is_empty() != *some,
                Offer::Named(name) => talk.offers(name),
            })
            && self.headers.iter().all(|(name, pattern)| {
                let mut values = seen.headers.get_all(name.as_str()).iter();
                values.any(|value| {
                    pattern
                        .0
                        .is_match(&String::from_utf8_lossy(value.as_bytes()))
                })
            })
    }
}

fn is_among(wanted: Option<&OneOrMany<u64>>, number: u64) -> bool {
    wanted.is_none_or(|wanted| wanted.0.contains(&number))
}

fn is_found(wanted: Option<&Pattern>, text: &str) -> bool {
    wanted.is_none_or(|pattern| pattern.0.is_match(text))
}
