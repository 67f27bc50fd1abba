//! What is said of frames by those who work in them: sessions, decisions, questions, limits.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::agent::Usage;
use crate::ids::{InvalidId, TaskId};
use crate::time::Time;

/// A session: one conversation with an agent, or a person at the command line. Each has its own
/// active frame. A task's main conversation bears the task's id; a conversation that an agent has
/// outside of Fornax bears the agent's name and its own id, as in `opencode:ses_1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// The longest, in bytes.
    const MAX_BYTES: usize = 128;

    /// The session of a task's main conversation.
    #[must_use]
    pub fn of_task(task: TaskId) -> SessionId {
        SessionId(task.to_string().into())
    }

    /// The task whose main conversation it is.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        self.0.parse().ok()
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The agent's name in front of its own id; none for tasks and people.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        Some(self.0.split_once(':')?.0)
    }

    /// The agent's own id of the conversation; none for tasks and people.
    #[must_use]
    pub fn agent_session(&self) -> Option<&str> {
        Some(self.0.split_once(':')?.1)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if (1..=SessionId::MAX_BYTES).contains(&text.len()) && visible {
            return Ok(SessionId(text.into()));
        }
        Err(InvalidId::new("session", "opencode:ses_1", text))
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Something that was decided in a frame, for those who work near it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FrameDecision {
    /// What was decided.
    pub decision: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub reason: Option<String>,
    /// What else could have been.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(as = "Option<Vec<String>>", optional))]
    pub alternatives: Vec<String>,
    /// Where nobody decided it, but signs in a trace: what was done, so that it can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub by_itself: Option<ByItself>,
}

/// What Fornax did in a frame by itself, because of signs in a session's trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum ByItself {
    /// It pushed the frame.
    Pushed,
    /// It popped the frame.
    Popped {
        /// The session that worked in it.
        session: SessionId,
        /// Which of the frame's changes of status that was, counted from 1.
        nth: u32,
    },
    /// The last of these was undone by a person.
    Undone,
}

/// What a human is asked before something goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Checkpoint {
    /// Its id: `c-`, the six characters of its frame, and a number.
    pub id: String,
    /// What it is about.
    #[serde(flatten)]
    pub kind: CheckpointKind,
    /// What is asked.
    pub question: String,
    /// Answers to choose from; none where any text will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, ts(as = "Option<Vec<String>>", optional))]
    pub options: Vec<String>,
}

/// What a checkpoint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum CheckpointKind {
    /// A session asks a question and waits for the answer.
    Question,
    /// A human put it before a frame: the frame does not begin until a human says so.
    Approval,
    /// A limit on what agents may add to a run is reached. `raise` raises it by as much again.
    Limit {
        /// Which.
        limit: Limit,
    },
}

/// Why a conversation was shortened.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum CompactionKind {
    /// It did not fit into the model's context any more.
    #[default]
    Overflow,
    /// Its frame was done.
    FrameCompletion,
    /// Somebody asked for it.
    ManualSummary,
}

/// What a frame's conversation was shortened to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Summary {
    /// Why.
    pub kind: CompactionKind,
    /// The text; empty where the agent does not tell it.
    pub text: String,
    /// How many tokens the conversation had, where that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub tokens_before: Option<u64>,
    /// How many it has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub tokens_after: Option<u64>,
}

/// What happened in a session that matters to the call stack, as the agent's host, its plugin or its
/// hooks tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Report {
    /// A conversation outside of Fornax began: it has a run of its own from now on.
    Began {
        /// What it is about.
        title: String,
    },
    /// It has ended.
    Ended,
    /// A subagent began.
    ChildBegan {
        /// Its session.
        child: SessionId,
        /// What it is to do.
        title: String,
        /// Since when, where that is known better than by when it is told.
        #[serde(default)]
        began: Option<Time>,
    },
    /// A subagent did something.
    ChildWorked {
        /// Its session.
        child: SessionId,
        /// Messages that it wrote since the last word about it.
        #[serde(default)]
        messages: u32,
        /// What its model calls used since then.
        #[serde(default)]
        usage: Usage,
    },
    /// A subagent does nothing at the moment, and has not said that it has ended.
    ChildIdle {
        /// Its session.
        child: SessionId,
        /// Its last message.
        #[serde(default)]
        result: String,
    },
    /// A subagent has ended.
    ChildEnded {
        /// Its session.
        child: SessionId,
        /// Whether it did what it should.
        success: bool,
        /// Its last message.
        result: String,
    },
    /// The conversation was shortened.
    Compacted {
        /// What to, where that is told.
        #[serde(default)]
        summary: String,
        /// How many tokens it had.
        #[serde(default)]
        tokens_before: Option<u64>,
        /// How many it has now.
        #[serde(default)]
        tokens_after: Option<u64>,
    },
    /// One of the agent's tools wrote a file.
    FileChanged {
        /// Where it is, as the agent named it.
        path: String,
    },
    /// The agent was told something.
    Prompted {
        /// What.
        text: String,
    },
    /// One of its tools has ended.
    ToolEnded {
        /// The tool.
        tool: String,
        /// One line about it: the command, the file.
        #[serde(default)]
        title: String,
        /// Whether it did what it should.
        success: bool,
    },
    /// A model call was made.
    Used {
        /// All its tokens.
        tokens: u64,
    },
    /// A turn is over.
    TurnEnded,
}

/// How much agents may add to a run, so that one that runs away meets a wall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrameLimits {
    /// How deep frames may lie within one another, counted from the run's root.
    pub depth: u32,
    /// How many frames agents may add to a run.
    pub count: u32,
    /// Tokens that a run may use before agents may add no more to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What a run may cost before agents may add no more to it, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

impl Default for FrameLimits {
    fn default() -> Self {
        FrameLimits {
            depth: 12,
            count: 500,
            tokens: None,
            cost_usd: None,
        }
    }
}

impl Eq for FrameLimits {}

/// Which limit of [`FrameLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(ts_rs::TS))]
pub enum Limit {
    /// On depth.
    Depth,
    /// On the number of frames.
    Count,
    /// On tokens.
    Tokens,
    /// On cost.
    Cost,
}

impl FrameLimits {
    /// Whether nobody said otherwise.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == FrameLimits::default()
    }

    /// The limits with one of them raised by what it was at first.
    pub fn raise(&mut self, limit: Limit, first: &FrameLimits) {
        match limit {
            Limit::Depth => self.depth = self.depth.saturating_add(first.depth),
            Limit::Count => self.count = self.count.saturating_add(first.count),
            Limit::Tokens => {
                let more = first.tokens.unwrap_or(0);
                self.tokens = self.tokens.map(|tokens| tokens.saturating_add(more));
            }
            Limit::Cost => {
                let more = first.cost_usd.unwrap_or(0.0);
                self.cost_usd = self.cost_usd.map(|cost| cost + more);
            }
        }
    }
}

/// Where the frames that an agent pushes or plans are worked on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StackUse {
    /// Each in a task and a conversation of its own, with the same tool; whoever pushed it goes on
    /// with its results. Where the agent cannot go on with a conversation: as `here`.
    #[default]
    Apart,
    /// In the conversation that pushed them.
    Here,
    /// The agent is told nothing of frames.
    Off,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
impl StackUse {
    /// Whether nobody said otherwise.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == StackUse::default()
    }
}
