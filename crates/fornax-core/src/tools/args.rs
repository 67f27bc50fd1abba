//! What each tool takes.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::SessionId;
use crate::status::FrameStatus;

/// Declares the arguments of tools. Whatever may be left out is an `Option` or has a default.
macro_rules! args {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
        }
    )+};
}

args! {
    /// `flame_push`
    Push {
        /// What it is to achieve
        goal: String,
        /// 2 to 5 words
        #[serde(default)]
        title: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        success_criteria: Option<String>,
        /// Ids of frames that must be completed first
        #[serde(default)]
        depends_on: Vec<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        phase: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        agent_role: Option<String>,
    }
    /// `flame_pop`
    Pop {
        #[allow(missing_docs)]
        #[serde(default)]
        status: PopStatus,
        /// What came of it: all that the frame above needs
        #[serde(default)]
        results: String,
        /// The same in a sentence or two
        #[serde(default)]
        results_compact: Option<String>,
        /// Else the active one
        #[serde(default)]
        frame_id: Option<String>,
    }
    /// `flame_status`
    Status {}
    /// `flame_set_goal`
    SetGoal {
        #[allow(missing_docs)]
        goal: String,
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
    }
    /// `flame_add_artifact`
    AddArtifact {
        /// Path or URL
        artifact: String,
        #[allow(missing_docs)]
        #[serde(default)]
        description: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
    }
    /// `flame_add_decision`
    AddDecision {
        #[allow(missing_docs)]
        decision: String,
        #[allow(missing_docs)]
        #[serde(default)]
        reason: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        alternatives: Vec<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
    }
    /// `flame_context_info`
    ContextInfo {
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
    }
    /// `flame_context_preview`
    ContextPreview {
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        max_tokens: Option<usize>,
    }
    /// `flame_plan`
    Plan {
        #[allow(missing_docs)]
        goal: String,
        #[allow(missing_docs)]
        #[serde(default)]
        title: Option<String>,
        /// Else the active one
        #[serde(default)]
        parent_id: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        depends_on: Vec<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        success_criteria: Option<String>,
    }
    /// `flame_plan_children`
    PlanChildren {
        #[allow(missing_docs)]
        children: Vec<Child>,
        /// Else the active one
        #[serde(default)]
        parent_id: Option<String>,
    }
    /// One of the children that `flame_plan_children` plans.
    Child {
        /// Its name among these
        #[serde(default)]
        key: Option<String>,
        #[allow(missing_docs)]
        goal: String,
        #[allow(missing_docs)]
        #[serde(default)]
        title: Option<String>,
        /// Keys of others of these, or ids
        #[serde(default)]
        depends_on: Vec<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        success_criteria: Option<String>,
    }
    /// `flame_activate`
    Activate {
        #[allow(missing_docs)]
        frame_id: String,
    }
    /// `flame_navigate`
    Navigate {
        #[allow(missing_docs)]
        frame_id: String,
    }
    /// `flame_invalidate`
    Invalidate {
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
        #[allow(missing_docs)]
        reason: String,
        #[allow(missing_docs)]
        #[serde(default)]
        preview: bool,
    }
    /// `flame_tree`
    Tree {
        #[allow(missing_docs)]
        #[serde(default)]
        root_id: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        depth: Option<u32>,
        #[allow(missing_docs)]
        #[serde(default)]
        show_details: bool,
    }
    /// `flame_get_state`
    GetState {
        /// The cursor of an earlier answer
        #[serde(default)]
        since: Option<u64>,
    }
    /// `flame_stop_all`
    StopAll {
        #[allow(missing_docs)]
        reason: String,
        #[allow(missing_docs)]
        #[serde(default)]
        scope: Scope,
    }
    /// `flame_details`
    Details {
        #[allow(missing_docs)]
        frame_id: String,
    }
    /// `flame_cache_clear`
    CacheClear {
        /// Else all of the project
        #[serde(default)]
        session_id: Option<SessionId>,
    }
    /// `flame_summarize`
    Summarize {
        /// What the summary is to heed
        #[serde(default)]
        note: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
    }
    /// `flame_compaction_info`
    CompactionInfo {
        #[allow(missing_docs)]
        #[serde(default)]
        session_id: Option<SessionId>,
    }
    /// `flame_get_summary`
    GetSummary {
        #[allow(missing_docs)]
        #[serde(default)]
        frame_id: Option<String>,
    }
    /// `flame_subagent_config`
    SubagentConfig {
        #[allow(missing_docs)]
        #[serde(default)]
        enabled: Option<bool>,
        /// A subagent that lives this long has a frame (60000)
        #[serde(default)]
        min_duration_ms: Option<u64>,
        /// So has one that writes so many messages (3)
        #[serde(default)]
        min_messages: Option<u32>,
        #[allow(missing_docs)]
        #[serde(default)]
        auto_complete_on_idle: Option<bool>,
        #[allow(missing_docs)]
        #[serde(default)]
        idle_delay_ms: Option<u64>,
        /// Of titles of sessions that are subagents
        #[serde(default)]
        add_pattern: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        remove_pattern: Option<String>,
    }
    /// `flame_subagent_stats`
    SubagentStats {
        #[allow(missing_docs)]
        #[serde(default)]
        reset: bool,
    }
    /// `flame_subagent_complete`
    SubagentComplete {
        #[allow(missing_docs)]
        #[serde(default)]
        session_id: Option<SessionId>,
        #[allow(missing_docs)]
        #[serde(default)]
        status: PopStatus,
        #[allow(missing_docs)]
        #[serde(default)]
        summary: Option<String>,
    }
    /// `flame_subagent_list`
    SubagentList {
        #[allow(missing_docs)]
        #[serde(default)]
        filter: SubagentFilter,
    }
    /// `flame_autonomy_config`
    AutonomyConfig {
        #[allow(missing_docs)]
        #[serde(default)]
        level: Option<Level>,
        /// 1 to 100 (70)
        #[serde(default)]
        push_threshold: Option<u8>,
        /// 1 to 100 (80)
        #[serde(default)]
        pop_threshold: Option<u8>,
        /// A heuristic
        #[serde(default)]
        enable: Option<String>,
        /// A heuristic
        #[serde(default)]
        disable: Option<String>,
        #[allow(missing_docs)]
        #[serde(default)]
        suggest_in_context: Option<bool>,
        #[allow(missing_docs)]
        #[serde(default)]
        reset: bool,
    }
    /// `flame_should_push`
    ShouldPush {
        /// What would be pushed
        #[serde(default)]
        goal: Option<String>,
        /// Else those read from the trace
        #[serde(default)]
        signals: Option<serde_json::Map<String, serde_json::Value>>,
    }
    /// `flame_should_pop`
    ShouldPop {
        /// Else those read from the trace
        #[serde(default)]
        signals: Option<serde_json::Map<String, serde_json::Value>>,
    }
    /// `flame_auto_suggest`
    AutoSuggest {
        #[allow(missing_docs)]
        #[serde(default)]
        enable: Option<bool>,
        #[allow(missing_docs)]
        #[serde(default)]
        clear_pending: bool,
        #[allow(missing_docs)]
        #[serde(default)]
        show_history: bool,
    }
    /// `flame_autonomy_stats`
    AutonomyStats {
        #[allow(missing_docs)]
        #[serde(default)]
        reset: bool,
    }
    /// `flame_request_input`
    RequestInput {
        #[allow(missing_docs)]
        question: String,
        #[allow(missing_docs)]
        #[serde(default)]
        options: Vec<String>,
        /// Seconds (600)
        #[serde(default)]
        timeout: Option<u64>,
    }
    /// `run_plan`
    RunPlan {
        /// The plan's file
        path: String,
        #[allow(missing_docs)]
        #[serde(default)]
        inputs: BTreeMap<String, String>,
    }
    /// `plan_check`
    PlanCheck {
        /// The plan's file
        path: String,
    }
    /// `task_start`
    TaskStart {
        #[allow(missing_docs)]
        tool: String,
        #[allow(missing_docs)]
        prompt: String,
        #[allow(missing_docs)]
        #[serde(default)]
        model: Option<String>,
        /// Seconds
        #[serde(default)]
        timeout: Option<u64>,
    }
    /// `task_status`
    TaskStatus {
        /// A task, or a frame for its newest
        id: String,
    }
    /// `task_logs`
    TaskLogs {
        /// A task, or a frame for its newest
        id: String,
        /// stdout or stderr (stdout)
        #[serde(default)]
        stream: Option<LogStream>,
        /// The last bytes (8192)
        #[serde(default)]
        bytes: Option<u64>,
    }
    /// `task_stop`
    TaskStop {
        /// A task, a frame or a run
        id: String,
        #[allow(missing_docs)]
        #[serde(default)]
        reason: Option<String>,
    }
    /// `run_status`
    RunStatus {
        /// Else the session's own
        #[serde(default)]
        id: Option<String>,
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub enum $name { $($(#[$fdoc])* $variant,)+ }
    )+};
}

words! {
    /// How a frame ends.
    PopStatus { #[default] Completed, Failed, Blocked }
    /// Which sessions are listed.
    SubagentFilter { #[default] All, Active, Completed, WithFrame, WithoutFrame }
    /// What comes of signs that a frame should be pushed or popped.
    Level { Manual, #[default] Suggest, Auto }
    /// How much is stopped.
    Scope { #[default] Run, Project, All }
    /// Which of a task's outputs.
    LogStream { #[default] Stdout, Stderr }
}

impl PopStatus {
    /// The status that the frame has then.
    #[must_use]
    pub fn frame_status(self) -> FrameStatus {
        match self {
            PopStatus::Completed => FrameStatus::Completed,
            PopStatus::Failed => FrameStatus::Failed,
            PopStatus::Blocked => FrameStatus::Blocked,
        }
    }
}
