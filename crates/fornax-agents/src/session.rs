//! Reading `session.jsonl`: what the daemon does while an agent works, and after.

use fornax_core::agent::Activity;

use crate::happening::{Entry, Happening};

/// The longest step, in characters.
const STEP_MAX: usize = 200;
/// The longest line that is taken for an entry, in bytes; no host writes one so long.
const LINE_MAX_BYTES: usize = 4 << 20;

/// Turns bytes into entries, whatever their borders. What is no entry is passed over.
#[derive(Debug, Default)]
pub struct Follow {
    rest: Vec<u8>,
}

impl Follow {
    /// The entries that are whole by now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Entry> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            if self.rest.len() > LINE_MAX_BYTES {
                self.rest.clear();
            }
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        let lines = whole.split(|byte| *byte == b'\n');
        lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

/// Takes an entry into what is seen of an agent.
pub fn fold(activity: &mut Activity, entry: &Entry) {
    match &entry.happening {
        Happening::SessionStarted { session, model, .. } => {
            activity.session = Some(session.clone());
            if model.is_some() {
                activity.model.clone_from(model);
            }
        }
        Happening::TurnStarted { turn, .. } => {
            activity.turns = *turn;
            activity.idle = false;
            activity.step = Some("thinks".to_owned());
        }
        Happening::Text { text, child: None } => activity.step = Some(one_line(text)),
        Happening::ToolCall { tool, title, .. } => {
            activity.step = Some(one_line(&format!("{tool}: {title}")));
        }
        Happening::ToolResult { .. } => activity.step = Some("thinks".to_owned()),
        Happening::Retry { message, .. } => {
            activity.step = Some(one_line(&format!("tries again: {message}")));
        }
        Happening::ModelCall {
            usage,
            model,
            child,
            ..
        } => {
            activity.usage.add(usage);
            if activity.model.is_none() && child.is_none() {
                activity.model.clone_from(model);
            }
        }
        Happening::PermissionAsked(asked) => activity.waits.push(asked.clone()),
        Happening::PermissionAnswered { id, .. } => activity.waits.retain(|wait| wait.id != *id),
        Happening::TurnEnded(end) => {
            activity.waits.clear();
            activity.step = None;
            activity.idle = matches!(end, crate::happening::TurnEnd::Interrupted);
        }
        Happening::Ended { .. } => {
            activity.idle = false;
            activity.step = None;
        }
        _ => {}
    }
}

fn one_line(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(STEP_MAX) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}
