//! Which fields a trace event has, and what they may hold.

/// The fields of a record's head, in the order in which they are written after `v` and `seq`.
pub(super) const HEAD: [&str; 17] = [
    "v",
    "seq",
    "ts",
    "run_id",
    "frame_id",
    "task_id",
    "session_id",
    "phase",
    "agent_role",
    "tool",
    "mode",
    "event",
    "status",
    "actor",
    "cmd_id",
    "summary",
    "log_paths",
];

/// The place of `summary` in [`HEAD`].
pub(super) const SUMMARY: usize = 15;

/// The longest summary, in characters.
pub(super) const SUMMARY_MAX_CHARS: usize = 200;

/// The most that is kept of each output of a tool, in bytes.
pub(super) const OUTPUT_MAX_BYTES: usize = 10_240;

/// The most lines that are kept of a diff.
pub(super) const DIFF_MAX_LINES: usize = 50;

/// The longest name of a thing: a session, a tool, a model, ...
const NAME_MAX_BYTES: usize = 1024;

/// The five trace events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Failure,
    LlmCall,
    ToolOutput,
    GitDiff,
    Decision,
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// A short text.
    Name,
    /// A text.
    Text,
    /// A whole number that is not negative.
    Count,
    /// A whole number.
    Int,
    /// A number that is not negative.
    Amount,
    Bool,
    Object,
    Anything,
}

/// The place of a field in the head.
pub(super) fn head_place(key: &str) -> Option<usize> {
    Some(match key {
        "v" => 0,
        "seq" => 1,
        "ts" => 2,
        "run_id" => 3,
        "frame_id" => 4,
        "task_id" => 5,
        "session_id" => 6,
        "phase" => 7,
        "agent_role" => 8,
        "tool" => 9,
        "mode" => 10,
        "event" => 11,
        "status" => 12,
        "actor" => 13,
        "cmd_id" => 14,
        "summary" => SUMMARY,
        "log_paths" => 16,
        _ => return None,
    })
}

impl Kind {
    /// Reads the value of `event`, as JSON.
    pub(super) fn parse(raw: &str) -> Option<Kind> {
        Some(match raw {
            "\"failure\"" => Kind::Failure,
            "\"llm_call\"" => Kind::LlmCall,
            "\"tool_output\"" => Kind::ToolOutput,
            "\"git_diff\"" => Kind::GitDiff,
            "\"decision\"" => Kind::Decision,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Failure => "failure",
            Kind::LlmCall => "llm_call",
            Kind::ToolOutput => "tool_output",
            Kind::GitDiff => "git_diff",
            Kind::Decision => "decision",
        }
    }

    /// The fields without which it says nothing.
    pub(super) fn required(self) -> &'static [&'static str] {
        match self {
            Kind::Failure => &["error"],
            Kind::ToolOutput => &["tool"],
            Kind::Decision => &["question"],
            Kind::LlmCall | Kind::GitDiff => &[],
        }
    }

    /// Whether a field is one of the event's own.
    pub(super) fn knows(self, key: &str) -> bool {
        holds(self, key).is_some()
    }
}

fn holds(kind: Kind, key: &str) -> Option<Holds> {
    use Holds::{Amount, Anything, Bool, Count, Int, Name, Object, Text};
    Some(match (kind, key) {
        (_, "session_id" | "phase" | "agent_role" | "tool" | "mode") => Name,
        (_, "status" | "actor" | "cmd_id") => Name,
        (_, "summary") => Text,
        (_, "log_paths") => Object,

        (Kind::Failure, "error" | "location" | "locals") => Object,
        (Kind::Failure, "trace_id" | "span_id") => Name,

        (Kind::LlmCall, "model" | "provider" | "call_id") => Name,
        (Kind::LlmCall, "tokens_in" | "tokens_out" | "tokens_total" | "tokens_reasoning") => Count,
        (Kind::LlmCall, "tokens_cache_read" | "tokens_cache_write") => Count,
        (Kind::LlmCall | Kind::ToolOutput, "duration_ms") => Amount,
        (Kind::LlmCall, "cost_usd") => Amount,
        (Kind::LlmCall, "estimated") => Bool,

        (Kind::ToolOutput, "args") => Anything,
        (Kind::ToolOutput, "stdout" | "stderr") => Text,
        (Kind::ToolOutput, "stdout_truncated" | "stderr_truncated" | "success") => Bool,
        (Kind::ToolOutput, "exit_code") => Int,

        (Kind::GitDiff, "turn") => Anything,
        (Kind::GitDiff, "commit") => Name,
        (Kind::GitDiff, "dirty" | "truncated") => Bool,
        (Kind::GitDiff, "files_changed" | "lines_added" | "lines_removed") => Count,
        (Kind::GitDiff, "diff") => Text,

        (Kind::Decision, "question" | "reason") => Text,
        (Kind::Decision, "answer" | "alternatives") => Anything,
        _ => return None,
    })
}

/// Checks a field's value, as JSON. Fields that nobody knows may hold anything.
pub(super) fn check(kind: Kind, key: &str, raw: &str) -> Result<(), String> {
    let bytes = raw.as_bytes();
    let digits = |bytes: &[u8]| {
        // Up to 15 digits every reader gets right.
        (1..=15).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_digit)
    };
    let (right, what) = match holds(kind, key) {
        None | Some(Holds::Anything) => return Ok(()),
        Some(Holds::Name) if bytes[0] == b'"' && raw.len() > NAME_MAX_BYTES + 2 => {
            return Err(format!("`{key}` is longer than {NAME_MAX_BYTES} bytes"));
        }
        Some(Holds::Name | Holds::Text) => (bytes[0] == b'"', "a text"),
        Some(Holds::Count) => (digits(bytes), "a whole number, not negative"),
        Some(Holds::Int) => (
            digits(bytes.strip_prefix(b"-").unwrap_or(bytes)),
            "a whole number",
        ),
        Some(Holds::Amount) => (
            bytes[0].is_ascii_digit() && raw.parse().is_ok_and(f64::is_finite),
            "a number, not negative",
        ),
        Some(Holds::Bool) => (raw == "true" || raw == "false", "true or false"),
        Some(Holds::Object) => (bytes[0] == b'{', "an object"),
    };
    if right {
        return Ok(());
    }
    let shown: String = raw.chars().take(40).collect();
    Err(format!("`{key}` is {shown}, not {what}"))
}

/// Whether a field may hold more than it is allowed to; looking closer tells.
pub(super) fn exceeds(kind: Kind, key: &str, raw: &str) -> bool {
    match (kind, key) {
        (Kind::ToolOutput, "stdout" | "stderr") => raw.len() > OUTPUT_MAX_BYTES + 2,
        (Kind::GitDiff, "diff") => raw.len() > DIFF_MAX_LINES,
        (Kind::Failure, "locals") => true,
        (Kind::Failure, "error") => raw.len() > OUTPUT_MAX_BYTES,
        _ => false,
    }
}
