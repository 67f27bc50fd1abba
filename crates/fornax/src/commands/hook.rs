//! `fornax hook`: what Claude Code's and Codex's hooks call. It tells the daemon what happened in a
//! session, and tells the agent the context of its frame.
//!
//! Nothing here ever holds an agent up or fails before it: where the daemon is not there, or does not
//! answer in time, nothing is said.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fornax_core::error::{EXIT_DONE, Error};
use fornax_core::frame::{Report, SessionId};
use fornax_core::request::{Caller, ReportRequest, ToolRequest};
use fornax_core::tools::Reply;
use fornax_daemon::client::Client;
use fornax_daemon::home::Home;
use serde_json::{Value, json};

use super::install::name_of;
use super::wait;
use crate::agent_session::agent_session;
use crate::failure::Outcome;

/// The longest that an agent waits for all of it.
const PATIENCE: Duration = Duration::from_secs(3);
/// The largest event that is read, in bytes: a tool's whole answer is in it.
const EVENT_MAX_BYTES: u64 = 64 << 20;
/// The longest text that is told, in characters.
const TEXT_MAX_CHARS: usize = 20_000;
/// How much of the end of a transcript is read for its last message, in bytes.
const TRANSCRIPT_BYTES: usize = 1 << 20;
/// What the tools of this very program are called there.
const OWN_TOOLS: &str = "mcp__fornax__";

/// `fornax hook AGENT`
pub fn hook(args: &crate::agents_cli::Hook) -> Outcome {
    // A task of Fornax's own is followed by its host, which knows more.
    if std::env::var_os("FORNAX_SESSION_TOKEN").is_some() {
        return Ok(EXIT_DONE);
    }
    let Some(socket) = socket().filter(|socket| socket.exists()) else {
        return Ok(EXIT_DONE);
    };
    let mut text = String::new();
    let read = std::io::stdin()
        .lock()
        .take(EVENT_MAX_BYTES)
        .read_to_string(&mut text);
    let Ok(event) = read.and_then(|_| Ok(serde_json::from_str::<Value>(&text)?)) else {
        return Ok(EXIT_DONE);
    };
    let agent = name_of(args.agent);
    let Ok(main) = agent_session(agent) else {
        return Ok(EXIT_DONE);
    };
    let teller = Teller {
        socket,
        dir: PathBuf::from(event["cwd"].as_str().unwrap_or(".")),
        session: main,
        agent,
        event,
    };
    wait(async move {
        // Too late and refused are the same here: the agent goes on.
        if let Ok(Ok(Some(said))) = tokio::time::timeout(PATIENCE, teller.tell()).await {
            let _ = std::io::stdout().write_all(said.as_bytes());
        }
        Ok(EXIT_DONE)
    })
}

/// The daemon's socket, without making its folder.
fn socket() -> Option<PathBuf> {
    if let Some(socket) = std::env::var_os("FORNAX_SOCKET") {
        return Some(PathBuf::from(socket));
    }
    Home::dir_from_env().map(|dir| dir.join("daemon.sock"))
}

/// One event, and whom it is told.
struct Teller {
    socket: PathBuf,
    dir: PathBuf,
    session: SessionId,
    agent: &'static str,
    event: Value,
}

impl Teller {
    /// Tells the daemon; what the agent is to read on the hook's standard output.
    async fn tell(&self) -> Result<Option<String>, Error> {
        // A daemon of another protocol is as good as none.
        Client::compatible(self.socket.clone()).await?;
        let name = self.text("hook_event_name");
        for (session, report) in self.reports(name) {
            let request = ReportRequest {
                caller: self.caller(&session),
                report,
            };
            let client = Client::at(self.socket.clone()).await?;
            client
                .post_json::<()>("/api/sessions/report", &request)
                .await?;
        }
        match name {
            // Of a subagent that begins the agent takes no context but its prompt.
            "UserPromptSubmit" => self.context(name).await,
            // What was told before is gone.
            "SessionStart" if self.text("source") == "compact" => self.context(name).await,
            "PreCompact" => self.to_keep().await,
            _ => Ok(None),
        }
    }

    fn text(&self, field: &str) -> &str {
        self.event[field].as_str().unwrap_or_default()
    }

    fn caller(&self, session: &SessionId) -> Caller {
        Caller {
            dir: Some(self.dir.clone()),
            session: Some(session.to_string()),
            ..Caller::default()
        }
    }

    /// The subagent that the event is of.
    fn child(&self) -> Option<SessionId> {
        let id = self.event["agent_id"].as_str()?;
        format!("{}:{id}", self.agent).parse().ok()
    }

    /// What happened, and in which session.
    fn reports(&self, name: &str) -> Vec<(SessionId, Report)> {
        let whose = || self.child().unwrap_or_else(|| self.session.clone());
        let own = |report| vec![(self.session.clone(), report)];
        match name {
            "UserPromptSubmit" => {
                let text = cut(self.text("prompt"));
                let title = first_line(&text).to_owned();
                // A session that is known already is not begun again.
                let mut told = own(Report::Began { title });
                told.extend(own(Report::Prompted { text }));
                told
            }
            "PostToolUse" | "PostToolUseFailure" => {
                let tool = self.text("tool_name");
                if tool.starts_with(OWN_TOOLS) {
                    return Vec::new();
                }
                let success = name == "PostToolUse";
                let files = if success { self.files() } else { Vec::new() };
                let ended = Report::ToolEnded {
                    tool: tool.to_owned(),
                    title: self.tool_title(),
                    success,
                };
                let changed = files.into_iter().map(|path| Report::FileChanged { path });
                let told = std::iter::once(ended).chain(changed);
                told.map(|report| (whose(), report)).collect()
            }
            "SubagentStart" => self.child().map_or_else(Vec::new, |child| {
                let title = match self.text("agent_type") {
                    "" => "subagent",
                    kind => kind,
                };
                own(Report::ChildBegan {
                    child,
                    title: title.to_owned(),
                    began: None,
                })
            }),
            "SubagentStop" => self.child().map_or_else(Vec::new, |child| {
                own(Report::ChildEnded {
                    child,
                    success: true,
                    result: self.last_message(),
                })
            }),
            "PostCompact" => own(Report::Compacted {
                summary: cut(self.text("compact_summary")),
                tokens_before: None,
                tokens_after: None,
            }),
            "Stop" => own(Report::TurnEnded),
            // The process goes on, with an empty conversation or another one.
            "SessionEnd" if ["clear", "resume"].contains(&self.text("reason")) => Vec::new(),
            "SessionEnd" => own(Report::Ended),
            _ => Vec::new(),
        }
    }

    fn tool_title(&self) -> String {
        let input = &self.event["tool_input"];
        let said = [
            "command",
            "file_path",
            "notebook_path",
            "pattern",
            "description",
        ]
        .iter()
        .find_map(|field| input[field].as_str());
        first_line(said.unwrap_or_default()).to_owned()
    }

    /// The files that the tool wrote.
    fn files(&self) -> Vec<String> {
        let input = &self.event["tool_input"];
        let named = |field: &str| input[field].as_str().map(str::to_owned);
        match self.text("tool_name") {
            "Write" | "Edit" | "MultiEdit" => named("file_path").into_iter().collect(),
            "NotebookEdit" => named("notebook_path").into_iter().collect(),
            "apply_patch" => named("command").map_or_else(Vec::new, |patch| files_of(&patch)),
            _ => Vec::new(),
        }
    }

    /// The last thing that a subagent said.
    fn last_message(&self) -> String {
        match self.text("last_assistant_message") {
            "" => cut(&last_in(Path::new(self.text("agent_transcript_path")))),
            said => cut(said),
        }
    }

    /// The context of the frame that the session works in, for the agent.
    async fn context(&self, event: &str) -> Result<Option<String>, Error> {
        let request = ToolRequest {
            caller: self.caller(&self.session),
            cmd_id: None,
            arguments: json!({}),
        };
        let client = Client::at(self.socket.clone()).await?;
        let reply: Reply = client
            .post_json("/api/tools/flame_context_preview", &request)
            .await?;
        let said = json!({
            "hookSpecificOutput": { "hookEventName": event, "additionalContext": reply.text },
        });
        Ok(Some(said.to_string()))
    }

    /// What a compaction is to keep. Claude Code takes what a hook prints for instructions; Codex does
    /// not.
    async fn to_keep(&self) -> Result<Option<String>, Error> {
        if self.agent != "claude" {
            return Ok(None);
        }
        let client = Client::at(self.socket.clone()).await?;
        let caller = self.caller(&self.session);
        let reply: Value = client
            .post_json("/api/sessions/compacting", &caller)
            .await?;
        Ok(reply["text"]
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned))
    }
}

/// The files that a patch of Codex's is about.
fn files_of(patch: &str) -> Vec<String> {
    let named = |line: &str| {
        ["*** Add File: ", "*** Update File: ", "*** Delete File: "]
            .iter()
            .find_map(|mark| Some(line.strip_prefix(mark)?.trim().to_owned()))
    };
    patch.lines().filter_map(named).collect()
}

/// The last text of the assistant in a transcript; empty where none can be read.
fn last_in(transcript: &Path) -> String {
    let Ok(bytes) = std::fs::read(transcript) else {
        return String::new();
    };
    let end = &bytes[bytes.len().saturating_sub(TRANSCRIPT_BYTES)..];
    let end = String::from_utf8_lossy(end);
    let said = |line: &str| -> Option<String> {
        let entry: Value = serde_json::from_str(line).ok()?;
        if entry["type"] != "assistant" {
            return None;
        }
        let parts = entry["message"]["content"].as_array()?;
        let texts: Vec<&str> = parts
            .iter()
            .filter_map(|part| part["text"].as_str())
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    };
    end.lines().rev().find_map(said).unwrap_or_default()
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX_CHARS).collect()
}

fn first_line(text: &str) -> &str {
    let line = text.trim().lines().next().unwrap_or_default();
    match line.char_indices().nth(200) {
        Some((end, _)) => &line[..end],
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(agent: &'static str, event: Value) -> Vec<(String, Value)> {
        let teller = Teller {
            socket: PathBuf::new(),
            dir: PathBuf::new(),
            session: format!("{agent}:7.1").parse().unwrap(),
            agent,
            event,
        };
        let reports = teller.reports(teller.text("hook_event_name"));
        reports
            .into_iter()
            .map(|(session, report)| (session.to_string(), serde_json::to_value(report).unwrap()))
            .collect()
    }

    #[test]
    fn a_tool_is_told_with_the_files_that_it_wrote_in_the_session_that_used_it() {
        let event = json!({
            "hook_event_name": "PostToolUse", "tool_name": "Write", "agent_id": "a1",
            "tool_input": { "file_path": "/p/a.rs", "content": "x" },
        });
        let session = "claude:a1".to_owned();
        assert_eq!(
            told("claude", event),
            [
                (
                    session.clone(),
                    json!({"type": "tool_ended", "tool": "Write", "title": "/p/a.rs", "success": true})
                ),
                (session, json!({"type": "file_changed", "path": "/p/a.rs"})),
            ]
        );
        let patch =
            "*** Begin Patch\n*** Add File: a b.rs\n+x\n*** Update File: c.rs\n*** End Patch";
        let event = json!({
            "hook_event_name": "PostToolUse", "tool_name": "apply_patch", "tool_input": { "command": patch },
        });
        let paths: Vec<_> = told("codex", event)
            .into_iter()
            .filter_map(|(_, report)| report["path"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(paths, ["a b.rs", "c.rs"]);
        let own = json!({"hook_event_name": "PostToolUse", "tool_name": "mcp__fornax__flame_push"});
        assert_eq!(told("claude", own), []);
    }

    #[test]
    fn a_failed_tool_wrote_nothing() {
        let event = json!({
            "hook_event_name": "PostToolUseFailure", "tool_name": "Edit",
            "tool_input": { "file_path": "/p/a.rs" }, "error": "no such text",
        });
        let told = told("claude", event);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1["success"], false);
    }

    #[test]
    fn a_subagents_last_message_is_its_result() {
        let temp = tempfile::tempdir().unwrap();
        let transcript = temp.path().join("agent-a1.jsonl");
        let lines = [
            json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "first"}]}}),
            json!({"type": "assistant", "message": {"content": [{"type": "text", "text": "42"}]}}),
            json!({"type": "assistant", "message": {"content": [{"type": "tool_use"}]}}),
            json!({"type": "user", "message": {"content": "thanks"}}),
        ];
        let text: Vec<_> = lines.iter().map(Value::to_string).collect();
        std::fs::write(&transcript, text.join("\n")).unwrap();
        let stop = |said: Option<&str>| {
            let event = json!({
                "hook_event_name": "SubagentStop", "agent_id": "a1",
                "agent_transcript_path": transcript, "last_assistant_message": said,
            });
            told("claude", event)[0].1["result"].clone()
        };
        assert_eq!(stop(None), "42");
        assert_eq!(stop(Some("43")), "43");
    }

    #[test]
    fn a_conversation_that_is_cleared_is_not_the_end_of_its_session() {
        let end = |reason: &str| {
            told(
                "claude",
                json!({"hook_event_name": "SessionEnd", "reason": reason}),
            )
        };
        assert_eq!(end("clear"), []);
        assert_eq!(end("other")[0].1, json!({"type": "ended"}));
    }
}
