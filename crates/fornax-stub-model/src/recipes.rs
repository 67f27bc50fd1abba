//! How real agents are pointed at a stub: the environment and settings that keep them off the
//! network and out of the user's own settings.
//!
//! Everything an agent keeps goes under a folder that the caller gives. Add the environment to
//! the inherited one; what there leads elsewhere (other keys, other clouds, a proxy) is made
//! empty by it. A value of the caller's own, such as another number of retries, goes after it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::wire::MODEL;

/// A key for agents that do not start without one.
const KEY: &str = "none-needed";
/// Hosts that no proxy is asked for.
const LOCAL: &str = "127.0.0.1,localhost";

/// What an agent needs to talk to a stub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Environment variables, by name and value.
    pub env: Vec<(String, String)>,
    /// Files that must be there before the agent starts, by path and text; all of them under
    /// the folder given.
    pub files: Vec<(PathBuf, String)>,
}

impl Recipe {
    /// The recipe for an agent by the name of its program: `opencode`, `claude`, `codex`,
    /// `gemini` or `qwen`; `None` for any other.
    pub fn of(agent: &str, base_url: &str, state_dir: &Path) -> Option<Self> {
        match agent {
            "opencode" => Some(opencode(base_url, state_dir)),
            "claude" => Some(claude(base_url, state_dir)),
            "codex" => Some(codex(base_url, state_dir, CodexPatience::default())),
            "gemini" => Some(gemini(base_url, state_dir)),
            "qwen" => Some(qwen(base_url, state_dir)),
            _ => None,
        }
    }

    fn new<const N: usize>(env: [(&str, String); N]) -> Self {
        Self {
            env: named(env),
            files: Vec::new(),
        }
    }

    fn with_file(mut self, path: PathBuf, text: String) -> Self {
        self.files.push((path, text));
        self
    }

    /// Writes the files, over older ones, and makes the folders they are in.
    ///
    /// # Errors
    /// Where one cannot be made; its path is in the message.
    pub fn write_files(&self) -> io::Result<()> {
        for (path, text) in &self.files {
            let folder = path.parent().unwrap_or(path);
            fs::create_dir_all(folder)
                .and_then(|()| fs::write(path, text))
                .map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?;
        }
        Ok(())
    }
}

/// How often Codex tries again, and how long it waits for a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodexPatience {
    /// Tries after a refused request.
    pub request_max_retries: u32,
    /// Tries after a stream that broke off.
    pub stream_max_retries: u32,
    /// Milliseconds of silence after which a stream counts as broken off.
    pub stream_idle_timeout_ms: u64,
}

impl Default for CodexPatience {
    /// Less than its own (4, 5 and five minutes): a stub answers at once or never.
    fn default() -> Self {
        Self {
            request_max_retries: 2,
            stream_max_retries: 2,
            stream_idle_timeout_ms: 60_000,
        }
    }
}

/// OpenCode: see [`opencode_env`].
pub fn opencode(base_url: &str, state_dir: &Path) -> Recipe {
    Recipe {
        env: opencode_env(base_url, state_dir),
        files: Vec::new(),
    }
}

/// Claude Code. It asks for models by their real names, and so reckons with their prices.
pub fn claude(base_url: &str, state_dir: &Path) -> Recipe {
    let on = || "1".to_owned();
    Recipe::new([
        ("CLAUDE_CONFIG_DIR", folder(state_dir, "claude")),
        ("ANTHROPIC_BASE_URL", base_url.to_owned()),
        ("ANTHROPIC_API_KEY", KEY.to_owned()),
        ("ANTHROPIC_AUTH_TOKEN", String::new()),
        ("ANTHROPIC_CUSTOM_HEADERS", String::new()),
        ("CLAUDE_CODE_OAUTH_TOKEN", String::new()),
        ("CLAUDE_CODE_USE_BEDROCK", String::new()),
        ("CLAUDE_CODE_USE_VERTEX", String::new()),
        ("CLAUDE_CODE_USE_FOUNDRY", String::new()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", on()),
        ("DISABLE_AUTOUPDATER", on()),
        ("DISABLE_TELEMETRY", on()),
        ("DISABLE_ERROR_REPORTING", on()),
        // Its own is ten, with growing pauses, even for a key that is refused.
        ("CLAUDE_CODE_MAX_RETRIES", "3".to_owned()),
        ("NO_PROXY", LOCAL.to_owned()),
        ("no_proxy", LOCAL.to_owned()),
    ])
}

/// Codex. Its settings are a file, which is written anew for each stub.
pub fn codex(base_url: &str, state_dir: &Path, patience: CodexPatience) -> Recipe {
    let home = state_dir.join("codex");
    // A string of JSON is one of TOML too.
    let base = json!(format!("{base_url}/v1"));
    let CodexPatience {
        request_max_retries,
        stream_max_retries,
        stream_idle_timeout_ms,
    } = patience;
    let config = format!(
        r#"model = "{MODEL}"
model_provider = "stub"
check_for_update_on_startup = false

[model_providers.stub]
name = "Stub"
base_url = {base}
env_key = "STUB_KEY"
wire_api = "responses"
request_max_retries = {request_max_retries}
stream_max_retries = {stream_max_retries}
stream_idle_timeout_ms = {stream_idle_timeout_ms}

[features]
plugins = false # they are fetched from github.com

[skills]
include_instructions = false # those in the user's home are not for a stub

[skills.bundled]
enabled = false

[analytics]
enabled = false

[feedback]
enabled = false

[otel]
exporter = "none"
"#
    );
    Recipe::new([
        ("CODEX_HOME", home.to_string_lossy().into_owned()),
        // Not FORNAX_…: Fornax keeps what is called so from its tasks.
        ("STUB_KEY", KEY.to_owned()),
        ("NO_PROXY", LOCAL.to_owned()),
        ("no_proxy", LOCAL.to_owned()),
    ])
    .with_file(home.join("config.toml"), config)
}

/// Gemini CLI. Its settings are found by `HOME` only, and so are those of the programs it runs.
pub fn gemini(base_url: &str, state_dir: &Path) -> Recipe {
    let home = state_dir.join("gemini");
    let settings = json!({
        "privacy": {"usageStatisticsEnabled": false},
        "general": {"enableAutoUpdate": false},
        "security": {"auth": {"selectedType": "gemini-api-key"}},
    });
    Recipe::new([
        ("HOME", home.to_string_lossy().into_owned()),
        ("GOOGLE_GEMINI_BASE_URL", base_url.to_owned()),
        ("GEMINI_API_KEY", KEY.to_owned()),
        ("GOOGLE_API_KEY", String::new()),
        ("GOOGLE_GENAI_USE_VERTEXAI", String::new()),
        ("GEMINI_TELEMETRY_ENABLED", "false".to_owned()),
        ("GEMINI_CLI_TRUST_WORKSPACE", "true".to_owned()),
        ("NO_BROWSER", "1".to_owned()),
        ("NO_PROXY", LOCAL.to_owned()),
        ("no_proxy", LOCAL.to_owned()),
    ])
    .with_file(home.join(".gemini/settings.json"), settings.to_string())
}

/// Qwen Code, over chat completions: start it with `--auth-type openai`. Its settings are found
/// by `HOME` only, and so are those of the programs it runs.
pub fn qwen(base_url: &str, state_dir: &Path) -> Recipe {
    let home = state_dir.join("qwen");
    let settings = json!({
        "privacy": {"usageStatisticsEnabled": false},
        "general": {"enableAutoUpdate": false},
    });
    Recipe::new([
        ("HOME", home.to_string_lossy().into_owned()),
        ("OPENAI_BASE_URL", format!("{base_url}/v1")),
        ("OPENAI_API_KEY", KEY.to_owned()),
        ("OPENAI_MODEL", MODEL.to_owned()),
        ("NO_PROXY", LOCAL.to_owned()),
        ("no_proxy", LOCAL.to_owned()),
    ])
    .with_file(home.join(".qwen/settings.json"), settings.to_string())
}

fn folder(state_dir: &Path, name: &str) -> String {
    state_dir.join(name).to_string_lossy().into_owned()
}

fn named<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The environment in which OpenCode talks to the stub at `base_url`, and keeps everything of
/// its own under `state_dir` (which it creates).
///
/// Add it to the inherited environment, and set `PWD` together with the working directory:
/// OpenCode takes the project from `PWD`, whatever the directory is.
pub fn opencode_env(base_url: &str, state_dir: &Path) -> Vec<(String, String)> {
    let config = json!({
        "autoupdate": false,
        "share": "disabled",
        "enabled_providers": ["stub"],
        "model": format!("stub/{MODEL}"),
        "small_model": format!("stub/{MODEL}"),
        "provider": {"stub": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Stub",
            "options": {"baseURL": format!("{base_url}/v1"), "apiKey": KEY},
            "models": {MODEL: {
                "name": "Stub",
                "tool_call": true,
                "limit": {"context": 100_000, "output": 8_000},
                // US dollars for a million tokens.
                "cost": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75},
            }},
        }},
    });
    let folder = |name| folder(state_dir, name);
    named([
        ("XDG_DATA_HOME", folder("data")),
        ("XDG_CONFIG_HOME", folder("config")),
        ("XDG_STATE_HOME", folder("state")),
        ("XDG_CACHE_HOME", folder("cache")),
        // Its name for "the home whose settings are read"; HOME stays, for git.
        ("OPENCODE_TEST_HOME", folder("home")),
        ("OPENCODE_CONFIG_CONTENT", config.to_string()),
        ("OPENCODE_DISABLE_AUTOUPDATE", "1".to_owned()),
        ("OPENCODE_DISABLE_MODELS_FETCH", "1".to_owned()),
        ("OPENCODE_DISABLE_LSP_DOWNLOAD", "1".to_owned()),
        ("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1".to_owned()),
        // Else it fetches a package from npm for each folder of settings.
        ("npm_config_offline", "true".to_owned()),
        ("NO_PROXY", LOCAL.to_owned()),
        ("no_proxy", LOCAL.to_owned()),
    ])
}

/// The environment of [`claude`]'s recipe.
pub fn claude_env(base_url: &str, state_dir: &Path) -> Vec<(String, String)> {
    claude(base_url, state_dir).env
}

/// The environment of [`codex`]'s recipe, with its files written.
///
/// # Errors
/// Where one cannot be.
pub fn codex_env(base_url: &str, state_dir: &Path) -> io::Result<Vec<(String, String)>> {
    let recipe = codex(base_url, state_dir, CodexPatience::default());
    recipe.write_files()?;
    Ok(recipe.env)
}
