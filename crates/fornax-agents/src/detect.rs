//! What can be said of the agents on this machine: which versions are known to work, whether
//! somebody is logged in, what to do about the rest.

use std::path::PathBuf;

use fornax_core::agent::DriverKind;
use serde::Serialize;

/// An agent that Fornax knows.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    /// The tool's name.
    pub name: &'static str,
    /// Its program.
    pub program: &'static str,
    /// Its package on npm.
    pub package: &'static str,
    /// What speaks with it.
    pub driver: DriverKind,
    /// The oldest version that is known to work, and the newest that was tried.
    pub versions: (&'static str, &'static str),
    /// Variables any of which is as good as a login.
    keys: &'static [&'static str],
    /// A variable that names the folder of its credentials, that folder below the home directory
    /// where it is not set, and the file in it.
    credentials: (&'static str, &'static str, &'static str),
    /// How to log in.
    login: &'static str,
}

/// All agents that Fornax knows, the best known first.
pub const AGENTS: [Agent; 6] = [
    Agent {
        name: "opencode",
        program: "opencode",
        package: "opencode-ai",
        driver: DriverKind::Opencode,
        versions: ("1.18.0", "1.18.33"),
        keys: &[
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "GEMINI_API_KEY",
            "OPENROUTER_API_KEY",
            "OPENCODE_CONFIG_CONTENT",
        ],
        credentials: ("XDG_DATA_HOME", ".local/share", "opencode/auth.json"),
        login: "opencode auth login",
    },
    Agent {
        name: "claude",
        program: "claude",
        package: "@anthropic-ai/claude-code",
        driver: DriverKind::Claude,
        versions: ("2.1.0", "2.1.329"),
        keys: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
        ],
        credentials: ("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"),
        login: "claude, then /login",
    },
    Agent {
        name: "codex",
        program: "codex",
        package: "@openai/codex",
        driver: DriverKind::Codex,
        versions: ("0.160.0", "0.169.0"),
        keys: &["OPENAI_API_KEY", "CODEX_API_KEY"],
        credentials: ("CODEX_HOME", ".codex", "auth.json"),
        login: "codex login",
    },
    Agent {
        name: "gemini",
        program: "gemini",
        package: "@google/gemini-cli",
        driver: DriverKind::Acp,
        versions: ("0.50.0", "0.61.0"),
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        credentials: ("GEMINI_CLI_HOME", ".gemini", "oauth_creds.json"),
        login: "gemini, then choose how to log in",
    },
    Agent {
        name: "qwen",
        program: "qwen",
        package: "@qwen-code/qwen-code",
        driver: DriverKind::Acp,
        versions: ("0.10.0", "0.15.10"),
        keys: &["OPENAI_API_KEY", "DASHSCOPE_API_KEY"],
        credentials: ("QWEN_HOME", ".qwen", "oauth_creds.json"),
        login: "qwen, then /auth",
    },
    Agent {
        name: "copilot",
        program: "copilot",
        package: "@github/copilot",
        driver: DriverKind::Acp,
        versions: ("1.0.0", "1.0.102"),
        keys: &["COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"],
        credentials: ("COPILOT_HOME", ".copilot", "config.json"),
        login: "copilot, then /login",
    },
];

/// Whether a version is one that is known to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// It is.
    Known,
    /// It is older than any that is known to work.
    TooOld,
    /// It is newer than any that was tried; most likely it works.
    Newer,
    /// The program does not say its version.
    Unknown,
}

/// Whether somebody is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// This variable is set.
    Variable(&'static str),
    /// This file is there.
    File(PathBuf),
    /// Neither is.
    No,
}

/// What the machine says.
pub struct Machine<'a> {
    /// A variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Whether a file is there.
    pub is_file: &'a dyn Fn(&std::path::Path) -> bool,
}

impl Agent {
    /// The agent of a tool's name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Agent> {
        AGENTS.iter().find(|agent| agent.name == name)
    }

    /// Whether a version is known to work.
    #[must_use]
    pub fn support(&self, version: Option<&str>) -> Support {
        let Some(version) = version.and_then(numbers) else {
            return Support::Unknown;
        };
        let (oldest, newest) = self.versions;
        if numbers(oldest).is_some_and(|oldest| version < oldest) {
            Support::TooOld
        } else if numbers(newest).is_some_and(|newest| version > newest) {
            Support::Newer
        } else {
            Support::Known
        }
    }

    /// Whether somebody is logged in, as far as that shows without reading any secret.
    #[must_use]
    pub fn login(&self, machine: &Machine<'_>) -> Login {
        let set = |name: &&&str| (machine.env)(name).is_some_and(|value| !value.is_empty());
        if let Some(name) = self.keys.iter().find(set) {
            return Login::Variable(name);
        }
        let (variable, folder, file) = self.credentials;
        let named = (machine.env)(variable).filter(|dir| !dir.is_empty());
        let home = || Some(PathBuf::from((machine.env)("HOME")?).join(folder));
        let dir = named.map(PathBuf::from).or_else(home);
        let path = dir.map(|dir| dir.join(file));
        match path.filter(|path| (machine.is_file)(path)) {
            Some(path) => Login::File(path),
            None => Login::No,
        }
    }

    /// What to do, if anything.
    #[must_use]
    pub fn advice(&self, installed: bool, support: Support, login: &Login) -> Option<String> {
        if !installed {
            return Some(format!("npm install -g {}", self.package));
        }
        if support == Support::TooOld {
            let (oldest, _) = self.versions;
            let package = self.package;
            return Some(format!(
                "npm install -g {package}@latest ({oldest} or newer is needed)"
            ));
        }
        if *login == Login::No {
            return Some(format!("log in: {}", self.login));
        }
        None
    }
}

/// The numbers of a version, for comparison; what follows them does not count.
fn numbers(version: &str) -> Option<Vec<u64>> {
    let plain = version.split(['-', '+', ' ']).next()?;
    plain.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let claude = Agent::named("claude").unwrap();
        for (version, support) in [
            (Some("2.1.197"), Support::Known),
            (Some("2.0.99"), Support::TooOld),
            (Some("10.0.0"), Support::Newer),
            (Some("2.1.329-beta.1"), Support::Known),
            (Some("tomorrow"), Support::Unknown),
            (None, Support::Unknown),
        ] {
            assert_eq!(claude.support(version), support, "{version:?}");
        }
    }

    #[test]
    fn a_login_is_seen_and_never_read() {
        let codex = Agent::named("codex").unwrap();
        let login = |env: &dyn Fn(&str) -> Option<String>, file: &str| {
            let is_file = |path: &std::path::Path| path.to_str() == Some(file);
            let is_file = &is_file;
            codex.login(&Machine { env, is_file })
        };
        let home = |name: &str| (name == "HOME").then(|| "/h".to_owned());
        assert_eq!(login(&home, ""), Login::No);
        let file = "/h/.codex/auth.json";
        assert_eq!(login(&home, file), Login::File(file.into()));
        let key = |name: &str| (name == "OPENAI_API_KEY").then(|| "x".to_owned());
        assert_eq!(login(&key, ""), Login::Variable("OPENAI_API_KEY"));
        let moved = |name: &str| (name == "CODEX_HOME").then(|| "/m".to_owned());
        assert_eq!(
            login(&moved, "/m/auth.json"),
            Login::File("/m/auth.json".into())
        );
    }

    #[test]
    fn advice_is_about_the_first_obstacle() {
        let claude = Agent::named("claude").unwrap();
        let advice = |installed, support, login| claude.advice(installed, support, &login);
        let install = advice(false, Support::Unknown, Login::No).unwrap();
        assert_eq!(install, "npm install -g @anthropic-ai/claude-code");
        assert!(
            advice(true, Support::TooOld, Login::No)
                .unwrap()
                .contains("2.1.0")
        );
        assert!(
            advice(true, Support::Known, Login::No)
                .unwrap()
                .contains("/login")
        );
        assert_eq!(advice(true, Support::Newer, Login::Variable("X")), None);
    }
}
