//! What people read in the task's log: what the agent says and does, line by line.

use std::io::Write;

use crate::happening::{Happening, TurnEnd};

/// The longest line about a tool, in characters.
const TITLE_MAX: usize = 160;

/// Prints what happened, where that is for people.
pub(super) fn print(happening: &Happening) {
    if let Some(text) = text(happening) {
        raw(&text);
    }
}

/// Prints a text on standard output; what could steer a terminal is written out.
pub(super) fn raw(text: &str) {
    // Whoever reads the log is not there: the session has it all.
    let _ = writeln!(std::io::stdout(), "{}", plain(text));
}

/// Prints a line on standard error.
pub(super) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", plain(line));
}

fn text(happening: &Happening) -> Option<String> {
    Some(match happening {
        Happening::SessionStarted {
            session,
            model,
            resumed,
            ..
        } => {
            let what = if *resumed { "resumed" } else { "started" };
            let model = model.as_ref().map(|model| format!(" with {model}"));
            format!("[session {session} {what}{}]", model.unwrap_or_default())
        }
        Happening::ChildStarted { title, .. } => format!("[subagent: {}]", short(title)),
        Happening::TurnStarted { turn, prompt } if *turn > 1 => {
            format!("\n[told: {}]", short(prompt))
        }
        Happening::Text { text, child: None } => text.clone(),
        Happening::Text { text, .. } => format!("  {}", text.replace('\n', "\n  ")),
        Happening::ToolCall { tool, title, .. } => format!("→ {tool}: {}", short(title)),
        Happening::ToolResult {
            success: false,
            tool,
            output,
            ..
        } => format!("✗ {tool}: {}", short(output)),
        Happening::Retry {
            message, attempt, ..
        } => format!("[try {attempt}: {}]", short(message)),
        Happening::PermissionAsked(asked) => {
            format!("[asks to use {}: {}]", asked.tool, short(&asked.title))
        }
        Happening::PermissionAnswered { decision, by, .. } => {
            format!("[{} by {by}]", decision.as_str())
        }
        Happening::Compacted { .. } => "[the conversation was shortened]".to_owned(),
        Happening::TurnEnded(TurnEnd::Interrupted) => "[interrupted]".to_owned(),
        Happening::Warning { message } => format!("[{}]", short(message)),
        Happening::Ended {
            failure: Some(failure),
            ..
        } => format!("[failed: {}]", failure.message),
        _ => return None,
    })
}

/// The text on one line, not too long.
fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TITLE_MAX) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

/// The text without what could steer a terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_an_agent_says_steers_a_terminal() {
        assert_eq!(plain("a\u{1b}[2J\tb\nc\u{9b}"), "a\\u{1b}[2J\tb\nc\\u{9b}");
    }
}
