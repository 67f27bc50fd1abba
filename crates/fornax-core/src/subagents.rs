//! When a subagent, a child session of an agent's, has a frame of its own.

use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::time::Time;
use crate::tools::SubagentConfig;

/// The most patterns, and the longest one in bytes.
const PATTERNS_MAX: usize = 50;
const PATTERN_MAX_BYTES: usize = 200;
/// How large a pattern may become when it is compiled, in bytes.
const PATTERN_MAX_COMPILED: usize = 256 * 1024;

/// When subagents have frames.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubagentSettings {
    /// Whether they have any.
    pub enabled: bool,
    /// One that has lived this long has a frame.
    pub min_duration_ms: u64,
    /// So has one that has written so many messages.
    pub min_messages: u32,
    /// Whether one that does nothing any more has ended, though nobody says so.
    pub auto_complete_on_idle: bool,
    /// How long it does nothing before that.
    pub idle_delay_ms: u64,
    /// What titles of sessions look like that are subagents, where the agent does not say whose:
    /// regular expressions, case ignored.
    pub patterns: Vec<String>,
    /// Statistics count from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted_since: Option<Time>,
}

impl Default for SubagentSettings {
    fn default() -> Self {
        SubagentSettings {
            enabled: true,
            min_duration_ms: 60_000,
            min_messages: 3,
            auto_complete_on_idle: true,
            idle_delay_ms: 5_000,
            patterns: [r"@.*subagent", r"subagent", r"\[Task\]"]
                .map(str::to_owned)
                .into(),
            counted_since: None,
        }
    }
}

impl SubagentSettings {
    /// The settings as a call of `flame_subagent_config` wants them.
    ///
    /// # Errors
    /// Where a pattern is no regular expression, or one that is to go is not there.
    pub fn changed(&self, call: &SubagentConfig) -> Result<SubagentSettings, Error> {
        let mut new = self.clone();
        new.enabled = call.enabled.unwrap_or(new.enabled);
        new.min_duration_ms = call.min_duration_ms.unwrap_or(new.min_duration_ms);
        new.min_messages = call.min_messages.unwrap_or(new.min_messages);
        let idle = call.auto_complete_on_idle;
        new.auto_complete_on_idle = idle.unwrap_or(new.auto_complete_on_idle);
        new.idle_delay_ms = call.idle_delay_ms.unwrap_or(new.idle_delay_ms);
        if let Some(gone) = &call.remove_pattern {
            if !new.patterns.contains(gone) {
                let message = format!("there is no pattern `{gone}`");
                let there = format!("there are {}", new.patterns.join("  "));
                return Err(Error::new(ErrorKind::NotFound, message).with_help(there));
            }
            new.patterns.retain(|pattern| pattern != gone);
        }
        if let Some(added) = &call.add_pattern {
            compile(added)?;
            if !new.patterns.contains(added) {
                new.patterns.push(added.clone());
            }
            if new.patterns.len() > PATTERNS_MAX {
                let message = format!("there may be {PATTERNS_MAX} patterns");
                return Err(Error::new(ErrorKind::Usage, message));
            }
        }
        Ok(new)
    }

    /// Whether a session's title is that of a subagent.
    #[must_use]
    pub fn matches(&self, title: &str) -> bool {
        self.patterns
            .iter()
            .any(|pattern| compile(pattern).is_ok_and(|pattern| pattern.is_match(title)))
    }
}

fn compile(pattern: &str) -> Result<regex::Regex, Error> {
    let wrong = |why: String| {
        Error::new(ErrorKind::Usage, why)
            .with_help("patterns are regular expressions; `\\[Task\\]` matches [Task]")
    };
    if pattern.is_empty() || pattern.len() > PATTERN_MAX_BYTES {
        return Err(wrong(format!(
            "a pattern has 1 to {PATTERN_MAX_BYTES} bytes"
        )));
    }
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(PATTERN_MAX_COMPILED)
        .build()
        .map_err(|error| wrong(format!("`{pattern}` is no pattern: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: serde_json::Value) -> SubagentConfig {
        serde_json::from_value(arguments).unwrap()
    }

    #[test]
    fn settings_change_one_by_one_and_wrong_patterns_change_nothing() {
        let first = SubagentSettings::default();
        let new = first
            .changed(&call(
                serde_json::json!({ "min_messages": 1, "add_pattern": "helper$" }),
            ))
            .unwrap();
        assert_eq!(new.min_messages, 1);
        assert_eq!(new.min_duration_ms, 60_000);
        assert!(new.matches("My Helper") && !first.matches("My Helper"));
        let without = new
            .changed(&call(serde_json::json!({ "remove_pattern": "helper$" })))
            .unwrap();
        assert!(!without.matches("My Helper"));
        for wrong in [
            serde_json::json!({ "add_pattern": "(" }),
            serde_json::json!({ "add_pattern": "" }),
            serde_json::json!({ "remove_pattern": "never there" }),
        ] {
            assert!(first.changed(&call(wrong.clone())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_usual_titles_of_subagents_match() {
        let settings = SubagentSettings::default();
        for title in ["Explore (@explore subagent)", "[Task] look", "A Subagent"] {
            assert!(settings.matches(title), "{title}");
        }
        assert!(!settings.matches("Task: fix the parser"));
    }

    #[test]
    fn an_older_file_of_settings_is_read_with_the_rest_as_it_is_by_default() {
        let read: SubagentSettings = serde_json::from_str(r#"{"min_messages":1}"#).unwrap();
        assert_eq!(read.min_messages, 1);
        assert!(read.enabled && !read.patterns.is_empty());
    }
}
