//! How real agents are pointed at a stub: the environment that keeps them off the network
//! and out of the user's own settings.

use std::path::Path;

use serde_json::json;

use crate::wire::MODEL;

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
            "options": {"baseURL": format!("{base_url}/v1"), "apiKey": "none-needed"},
            "models": {MODEL: {
                "name": "Stub",
                "tool_call": true,
                "limit": {"context": 100_000, "output": 8_000},
                // US dollars for a million tokens.
                "cost": {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75},
            }},
        }},
    });
    let folder = |name: &str| state_dir.join(name).to_string_lossy().into_owned();
    let pairs = [
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
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The environment in which Claude Code talks to the stub at `base_url`, and keeps everything of its
/// own under `state_dir`.
pub fn claude_env(base_url: &str, state_dir: &Path) -> Vec<(String, String)> {
    let pairs = [
        ("ANTHROPIC_BASE_URL", base_url.to_owned()),
        ("ANTHROPIC_API_KEY", "none-needed".to_owned()),
        (
            "CLAUDE_CONFIG_DIR",
            state_dir.to_string_lossy().into_owned(),
        ),
        ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ("DISABLE_TELEMETRY", "1".to_owned()),
        ("DISABLE_ERROR_REPORTING", "1".to_owned()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The environment in which Codex talks to the stub at `base_url`, and keeps everything of its own
/// under `state_dir`, in which this writes its configuration.
///
/// # Errors
/// When that cannot be written.
pub fn codex_env(base_url: &str, state_dir: &Path) -> std::io::Result<Vec<(String, String)>> {
    // Numbers of tries as low as fit into a test; whoever wants others changes the file.
    let config = format!(
        r#"model = "{MODEL}"
model_provider = "stub"
check_for_update_on_startup = false

[model_providers.stub]
name = "Stub"
base_url = "{base_url}/v1"
env_key = "STUB_KEY"
wire_api = "responses"
request_max_retries = 2
stream_max_retries = 2
stream_idle_timeout_ms = 20000

[features]
plugins = false

[analytics]
enabled = false

[feedback]
enabled = false

[otel]
exporter = "none"
"#
    );
    std::fs::create_dir_all(state_dir)?;
    std::fs::write(state_dir.join("config.toml"), config)?;
    Ok(vec![
        (
            "CODEX_HOME".to_owned(),
            state_dir.to_string_lossy().into_owned(),
        ),
        ("STUB_KEY".to_owned(), "none-needed".to_owned()),
    ])
}
