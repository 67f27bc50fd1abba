//! What each agent gets, and where.

use std::path::{Path, PathBuf};

use fornax_agents::opencode_server::PLUGIN;
use fornax_core::error::ErrorKind;
use serde_json::{Value, json};

use super::json::Entry;
use super::name_of;
use crate::agents_cli::{InstallScope, InstalledAgent};
use crate::failure::{Failure, fail};

/// The moments at which Claude Code tells its hooks something that matters to frames.
const CLAUDE_EVENTS: &[&str] = &[
    "SessionStart",
    "UserPromptSubmit",
    "PostToolUse",
    "PostToolUseFailure",
    "SubagentStart",
    "SubagentStop",
    "PreCompact",
    "PostCompact",
    "Stop",
    "SessionEnd",
];
/// The same for Codex.
const CODEX_EVENTS: &[&str] = &[
    "SessionStart",
    "UserPromptSubmit",
    "PostToolUse",
    "SubagentStart",
    "SubagentStop",
    "PostCompact",
    "Stop",
    "SessionEnd",
];
/// How long an agent waits for a hook, in seconds. It answers at once; this is for a machine in need.
const HOOK_TIMEOUT_S: u32 = 10;

/// What is to stand in a file.
pub enum Content {
    /// This and nothing else.
    Whole(&'static str),
    /// These, among others.
    Json(Vec<Entry>),
    /// This table, among others.
    Toml(String),
}

/// A file that an agent reads.
pub struct Wanted {
    /// Where it is.
    pub path: PathBuf,
    /// What links must not lead out of.
    pub root: PathBuf,
    /// What is to stand in it.
    pub content: Content,
    /// Whether only its user may read it, where it is made.
    pub private: bool,
}

/// The user's home.
pub fn user_home() -> Result<PathBuf, Failure> {
    match folder("HOME") {
        Some(home) => Ok(home),
        None => fail(
            ErrorKind::Usage,
            "there is no home to install into",
            "set HOME to an absolute path, or install with --scope project",
        ),
    }
}

fn folder(variable: &str) -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os(variable)?);
    dir.is_absolute().then_some(dir)
}

/// The files of an agent, in a project or in the user's home.
pub fn wanted(
    agent: InstalledAgent,
    scope: InstallScope,
    base: &Path,
) -> Result<Vec<Wanted>, Failure> {
    let program = program();
    let is_user = scope == InstallScope::User;
    // A folder that a variable names is taken as it is, also where it lies outside of the home.
    let named = |variable: &str, usual: &str| {
        let dir = folder(variable).filter(|_| is_user);
        dir.unwrap_or_else(|| base.join(usual))
    };
    let file = |dir: &Path, name: &str, content: Content| Wanted {
        path: dir.join(name),
        root: if dir.starts_with(base) { base } else { dir }.to_owned(),
        content,
        private: is_user,
    };
    Ok(match agent {
        InstalledAgent::Opencode => {
            let dir = match is_user {
                true => folder("XDG_CONFIG_HOME")
                    .unwrap_or_else(|| base.join(".config"))
                    .join("opencode/plugin"),
                false => base.join(".opencode/plugin"),
            };
            vec![file(&dir, "fornax.js", Content::Whole(PLUGIN))]
        }
        InstalledAgent::Claude => {
            let dir = named("CLAUDE_CONFIG_DIR", ".claude");
            let hooks = Content::Json(hooks(agent, CLAUDE_EVENTS, &program));
            let servers = Content::Json(vec![Entry {
                path: vec!["mcpServers"],
                name: Some("fornax"),
                value: json!({
                    "type": "stdio",
                    "command": program,
                    "args": ["mcp", "--agent", "claude"],
                }),
            }]);
            let server = match (is_user, folder("CLAUDE_CONFIG_DIR")) {
                (true, Some(dir)) => file(&dir, ".claude.json", servers),
                (true, None) => file(base, ".claude.json", servers),
                (false, _) => file(base, ".mcp.json", servers),
            };
            vec![file(&dir, "settings.json", hooks), server]
        }
        InstalledAgent::Codex => {
            let dir = named("CODEX_HOME", ".codex");
            let hooks = Content::Json(hooks(agent, CODEX_EVENTS, &program));
            let server = Content::Toml(codex_server(&program));
            vec![
                file(&dir, "config.toml", server),
                file(&dir, "hooks.json", hooks),
            ]
        }
    })
}

fn hooks(agent: InstalledAgent, events: &[&'static str], program: &str) -> Vec<Entry> {
    let command = format!("{} hook {}", quoted(program), name_of(agent));
    let value: Value = json!({
        "hooks": [{ "type": "command", "command": command, "timeout": HOOK_TIMEOUT_S }],
    });
    let entry = |event: &&'static str| Entry {
        path: vec!["hooks", event],
        name: None,
        value: value.clone(),
    };
    events.iter().map(entry).collect()
}

fn codex_server(program: &str) -> String {
    // Its servers get an environment of few variables; these lead to the daemon.
    format!(
        "[mcp_servers.fornax]\n\
         command = {}\n\
         args = [\"mcp\", \"--agent\", \"codex\"]\n\
         env_vars = [\"XDG_STATE_HOME\", \"FORNAX_SOCKET\"]\n\
         default_tools_approval_mode = \"approve\"\n",
        toml_edit::Value::from(program)
    )
}

/// How this program is called: by its name where that finds it, else by its path.
fn program() -> String {
    let Ok(exe) = std::env::current_exe() else {
        return "fornax".to_owned();
    };
    let real = exe.canonicalize().unwrap_or(exe);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path)
        .map(|dir| dir.join("fornax"))
        .find(|file| file.is_file());
    match first.and_then(|file| file.canonicalize().ok()) {
        Some(found) if found == real => "fornax".to_owned(),
        _ => real.display().to_string(),
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// What is left for the person to do.
pub fn advice(agent: InstalledAgent, scope: InstallScope) -> &'static [&'static str] {
    match (agent, scope) {
        (InstalledAgent::Opencode, _) => &["OpenCode loads it at its next start."],
        (InstalledAgent::Claude, InstallScope::Project) => &[
            "Claude Code asks once whether the servers of this project's .mcp.json may be used.",
            "To let it call the tools unasked: \"permissions\": {\"allow\": [\"mcp__fornax\"]}.",
        ],
        (InstalledAgent::Claude, InstallScope::User) => {
            &["To let it call the tools unasked: \"permissions\": {\"allow\": [\"mcp__fornax\"]}."]
        }
        (InstalledAgent::Codex, InstallScope::Project) => &[
            "Codex reads this folder's .codex only where the project is trusted.",
            "Codex runs hooks only once you trust them: type /hooks in it.",
        ],
        (InstalledAgent::Codex, InstallScope::User) => {
            &["Codex runs hooks only once you trust them: type /hooks in it."]
        }
    }
}
