//! Rules that a person adds: a name and a regular expression.

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::meta::Regex;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, Input};

use super::exact::{Hit, around};
use super::text::{Text, Verdict};

/// The longest match of a rule, in bytes: so much of a stream may have to be held back.
const MATCH_MAX: usize = 1024;
/// The shortest: less would be found everywhere.
const MATCH_MIN: usize = 4;
/// The longest name.
const NAME_MAX: usize = 32;
/// The largest automaton, in bytes.
const AUTOMATON_MAX: usize = 2 << 20;

/// Why a rule cannot be used. The text says where and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustomRuleError {
    /// The name would not make a marker.
    #[error(
        "redaction rule {name:?}: a name is 1 to {NAME_MAX} lower-case letters, digits and hyphens, \
         because matches become [redacted:<name>]"
    )]
    Name {
        /// The name as given.
        name: String,
    },
    /// The pattern is no regular expression.
    #[error("redaction rule {name:?}: the pattern cannot be read. {reason}")]
    Syntax {
        /// The rule.
        name: String,
        /// What is wrong, with the place marked in the pattern.
        reason: String,
    },
    /// A match could be of any length.
    #[error(
        "redaction rule {name:?}: a match of {pattern:?} can be of any length; a log is redacted as it \
         is written, so replace *, + and {{n,}} by bounds, such as {{16,64}}"
    )]
    Unbounded {
        /// The rule.
        name: String,
        /// The pattern as given.
        pattern: String,
    },
    /// A match can be too long or too short.
    #[error(
        "redaction rule {name:?}: a match of {pattern:?} has {shortest} to {longest} bytes; \
         {MATCH_MIN} to {MATCH_MAX} are allowed"
    )]
    Length {
        /// The rule.
        name: String,
        /// The pattern as given.
        pattern: String,
        /// The shortest match, in bytes.
        shortest: usize,
        /// The longest match, in bytes.
        longest: usize,
    },
    /// `\A` or `\z`, which a stream has not.
    #[error(
        "redaction rule {name:?}: {pattern:?} asks for the start or end of the whole text; \
         use ^ and $, which stand for those of a line"
    )]
    Anchor {
        /// The rule.
        name: String,
        /// The pattern as given.
        pattern: String,
    },
    /// The pattern needs too much memory.
    #[error(
        "redaction rule {name:?}: {pattern:?} is too large; use shorter repetitions ({reason})"
    )]
    TooLarge {
        /// The rule.
        name: String,
        /// The pattern as given.
        pattern: String,
        /// The limit that was met.
        reason: String,
    },
}

/// A rule of a person's own.
pub(super) struct Custom {
    pub(super) kind: String,
    longest: usize,
    search: Regex,
    /// Says of a place near the end of what has come whether a match can still begin there.
    alive: dense::DFA<Vec<u32>>,
}

impl Custom {
    pub(super) fn new(name: &str, pattern: &str) -> Result<Self, CustomRuleError> {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(fits) {
            return Err(CustomRuleError::Name {
                name: name.to_owned(),
            });
        }
        let (name, pattern) = (name.to_owned(), pattern.to_owned());
        // Bytes, since logs need not be UTF-8, and lines, since a stream has no start or end.
        let config = syntax::Config::new()
            .unicode(false)
            .utf8(false)
            .multi_line(true);
        let hir = match syntax::parse_with(&pattern, &config) {
            Ok(hir) => hir,
            Err(error) => {
                let reason = error.to_string();
                return Err(CustomRuleError::Syntax { name, reason });
            }
        };
        let properties = hir.properties();
        if properties.look_set().contains_anchor_haystack() {
            return Err(CustomRuleError::Anchor { name, pattern });
        }
        let Some(longest) = properties.maximum_len() else {
            return Err(CustomRuleError::Unbounded { name, pattern });
        };
        let shortest = properties.minimum_len().unwrap_or(0);
        if longest > MATCH_MAX || shortest < MATCH_MIN {
            return Err(CustomRuleError::Length {
                name,
                pattern,
                shortest,
                longest,
            });
        }
        let too_large = |reason: String| CustomRuleError::TooLarge {
            name: name.clone(),
            pattern: pattern.clone(),
            reason,
        };
        let search = Regex::builder()
            .configure(
                Regex::config()
                    .utf8_empty(false)
                    .nfa_size_limit(Some(AUTOMATON_MAX)),
            )
            .syntax(config)
            .build(&pattern)
            .map_err(|error| too_large(error.to_string()))?;
        let alive = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .dfa_size_limit(Some(AUTOMATON_MAX))
                    .determinize_size_limit(Some(AUTOMATON_MAX)),
            )
            .syntax(config)
            .thompson(regex_automata::nfa::thompson::Config::new().utf8(false))
            .build(&pattern)
            .map_err(|error| too_large(error.to_string()))?;
        Ok(Custom {
            kind: name,
            longest,
            search,
            alive,
        })
    }

    /// The first match from `from` on. One that touches a marker is none.
    pub(super) fn find(&self, text: &Text<'_>, from: usize) -> Hit {
        let mut at = from;
        loop {
            let hit = self.find_any(text, at);
            let place = match hit {
                Hit::At { start, .. } | Hit::Maybe(start) => start,
                Hit::None => return hit,
            };
            at = match (around(text, place), hit) {
                (Verdict::Skip(end), _) => end,
                (Verdict::More(_), _) => return Hit::Maybe(place),
                (_, Hit::At { start, end }) if has_marker(&text.bytes[start..end]) => start + 1,
                _ => return hit,
            };
        }
    }

    fn find_any(&self, text: &Text<'_>, from: usize) -> Hit {
        let found = self.search.find(Input::new(text.bytes).range(from..));
        let hit = found.map_or(Hit::None, |found| Hit::At {
            start: found.start(),
            end: found.end(),
        });
        if text.last {
            return hit;
        }
        // What begins before this place has its whole match, and the byte after it, at hand.
        let known = text.len().saturating_sub(self.longest).max(from);
        let end = match hit {
            Hit::At { start, .. } => start + 1,
            _ => text.len(),
        };
        (known..end)
            .find(|place| self.alive_at(text, *place))
            .map_or(hit, Hit::Maybe)
    }

    /// Whether more could still make, or lengthen, a match at `at`.
    fn alive_at(&self, text: &Text<'_>, at: usize) -> bool {
        let config = start::Config::new()
            .anchored(Anchored::Yes)
            .look_behind(text.before(at));
        let Ok(mut state) = self.alive.start_state(&config) else {
            return true;
        };
        text.bytes[at..].iter().all(|byte| {
            state = self.alive.next_state(state, *byte);
            !self.alive.is_dead_state(state)
        })
    }
}

fn has_marker(found: &[u8]) -> bool {
    memchr::memmem::find(found, b"[redacted:").is_some()
}
