//! A request reduced to what rules look at, the same for every API.

/// What one model call shows of the agent's conversation.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// The model asked for.
    pub(crate) model: String,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// Whether the answer is to report its usage.
    pub(crate) wants_usage: bool,
    /// The system prompt.
    pub(crate) system: String,
    /// The names of the tools offered.
    pub(crate) tools: Vec<String>,
    /// Those of the tools that take free text, and no JSON.
    pub(crate) free_text_tools: Vec<String>,
    /// The last message that a user, and not the agent in the user's name, wrote.
    pub(crate) last_user: String,
    /// The newest result of a tool.
    pub(crate) last_tool_result: String,
    /// Model calls answered since the last user message.
    pub(crate) round: u64,
}

/// Where agents put bookkeeping of their own into user messages: how it begins and ends.
const NOTES: [(&str, &str); 12] = [
    // Claude Code, and who follows it.
    ("<system-reminder>", "</system-reminder>"),
    ("<task-notification>", "</task-notification>"),
    ("<local-command-caveat>", "</local-command-caveat>"),
    ("<local-command-stdout>", "</local-command-stdout>"),
    // Codex.
    ("# AGENTS.md instructions for ", "</INSTRUCTIONS>"),
    ("<environment_context>", "</environment_context>"),
    ("<user_instructions>", "</user_instructions>"),
    ("<turn_aborted>", "</turn_aborted>"),
    ("<subagent_notification>", "</subagent_notification>"),
    ("<context_window_reminder>", "</context_window_reminder>"),
    // Gemini and Qwen.
    ("<session_context>", "</session_context>"),
    ("<current_datetime>", "</current_datetime>"),
];

impl Conversation {
    /// Adds a message in the user's name.
    pub(crate) fn user_said(&mut self, text: &str) {
        let said = without_notes(text);
        let said = said.trim();
        if !said.is_empty() {
            self.last_user = said.to_owned();
            self.round = 0;
        }
    }

    /// Adds an answer that the model gave.
    pub(crate) fn model_answered(&mut self) {
        self.round += 1;
    }

    /// Adds what a tool gave.
    pub(crate) fn tool_gave(&mut self, text: String) {
        self.last_tool_result = text;
    }

    /// Whether the request offers this tool.
    pub(crate) fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|offered| offered == tool)
    }
}

fn without_notes(text: &str) -> String {
    let mut said = text.to_owned();
    for (open, close) in NOTES {
        let mut from = 0;
        while let Some(start) = said[from..].find(open).map(|at| from + at)
            && let Some(length) = said[start..].find(close)
        {
            said.replace_range(start..start + length + close.len(), "");
            from = start;
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_note_is_no_user_message() {
        let mut talk = Conversation::default();
        talk.user_said("<system-reminder>be brief</system-reminder>\n add tests ");
        talk.model_answered();
        talk.user_said("<system-reminder>\nstill there?</system-reminder>");
        assert_eq!((talk.last_user.as_str(), talk.round), ("add tests", 1));
        talk.user_said("a <system-reminder> never closed");
        assert_eq!(
            (talk.last_user.as_str(), talk.round),
            ("a <system-reminder> never closed", 0)
        );
    }

    #[test]
    fn instructions_of_a_project_are_no_user_message() {
        let mut talk = Conversation::default();
        talk.user_said(
            "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>\nBe kind.\n</INSTRUCTIONS>\n\
             <environment_context>\n<cwd>/w</cwd>\n</environment_context>",
        );
        assert_eq!(talk.last_user, "");
    }

    #[test]
    fn notes_are_taken_out_from_the_middle() {
        let text =
            "a<user_instructions>x</user_instructions>b<user_instructions>y</user_instructions>c";
        assert_eq!(without_notes(text), "abc");
    }
}
