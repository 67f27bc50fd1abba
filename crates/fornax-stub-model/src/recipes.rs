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
