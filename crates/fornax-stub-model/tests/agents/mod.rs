//! Running the real agents, pinned, against a stub.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fornax_stub_model::recipes::Recipe;
use fornax_stub_model::{Options, Outcome, RequestRecord, Script, StubModel};
use serde_json::{Value, json};

/// Generous: a cold start on a busy machine takes seconds, a hanging one for ever.
const DEADLINE: Duration = Duration::from_secs(120);

/// What the user's own settings say.
const USERS_OWN: &str = "Always answer in the voice of a heron.\n";

/// Where agents look for the user's own settings.
const USERS_FILES: [&str; 5] = [
    ".claude/CLAUDE.md",
    ".codex/AGENTS.md",
    ".agents/skills/heron/SKILL.md",
    ".config/opencode/AGENTS.md",
    ".opencode/AGENTS.md",
];

/// A project, and a folder for what an agent keeps.
pub struct Place {
    folder: tempfile::TempDir,
    pub project: PathBuf,
    pub state: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (project, state) = (folder.path().join("larder"), folder.path().join("state"));
        repository(&project);
        Self {
            folder,
            project,
            state,
        }
    }

    /// The stub's log, with all that the agent said.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("requests.jsonl")
    }

    /// Starts a stub with this script, which knows the project as `{{dir}}`.
    pub async fn stub(&self, script: &Value) -> StubModel {
        let options = Options {
            vars: [("dir".to_owned(), self.project.display().to_string())].into(),
            log: Some(self.log()),
            log_bodies: true,
            ..Options::default()
        };
        let script = Script::parse(&script.to_string()).unwrap();
        StubModel::start(script, options).await.unwrap()
    }

    /// Runs an agent in the project as the recipe says; kills it where it does not end.
    pub async fn run(&self, agent: &str, recipe: &Recipe, args: &[&str]) -> Output {
        // A user's home with settings of their own, which must not play a part.
        let home = self.folder.path().join("home");
        let skill = format!("---\nname: heron\ndescription: {USERS_OWN}---\n{USERS_OWN}");
        for file in USERS_FILES {
            fs::create_dir_all(home.join(file).parent().unwrap()).unwrap();
            fs::write(home.join(file), &skill).unwrap();
        }
        recipe.write_files().unwrap();
        let running = tokio::process::Command::new(program(agent))
            .args(args)
            .current_dir(&self.project)
            // OpenCode takes the project from here, whatever the directory is.
            .env("PWD", &self.project)
            .env("HOME", &home)
            .envs(recipe.env.clone())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        tokio::time::timeout(DEADLINE, running)
            .await
            .unwrap_or_else(|_| panic!("{agent} did not end"))
            .unwrap()
    }

    /// The processes that bear the state folder in their environment.
    pub fn left_behind(&self) -> Vec<String> {
        let mark = self.state.to_str().unwrap().as_bytes();
        let bears_it = |process: &PathBuf| {
            let environment = fs::read(process.join("environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|part| part == mark)
        };
        let processes = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| Some(entry.ok()?.path()));
        processes
            .filter(bears_it)
            .map(|process| process.display().to_string())
            .collect()
    }

    /// Checks that the errand was run, and nothing is left of the agent.
    pub fn is_greeted(&self) {
        let written = fs::read_to_string(self.project.join("greeting.txt")).unwrap();
        assert_eq!(written, "héllo\n");
        assert_eq!(self.left_behind(), Vec::<String>::new());
    }

    /// The requests that came to the stub, which is shut down: all were answered, each by a
    /// rule, and none of them spoke of the user's own settings.
    pub async fn requests(&self, stub: StubModel) -> Vec<RequestRecord> {
        stub.settle().await.unwrap();
        let requests = stub.requests();
        stub.shutdown().await.unwrap();
        for request in &requests {
            assert_eq!(request.outcome, Outcome::Ok, "{request:#?}");
            assert_ne!(request.rule.as_deref(), Some("fallback"), "{request:#?}");
        }
        let logged = fs::read_to_string(self.log()).unwrap();
        assert_eq!(logged.lines().count(), requests.len());
        assert!(
            !logged.contains("heron"),
            "the user's own settings played a part"
        );
        requests
    }
}

/// A script that makes any of the agents write a file and count its bytes: 7.
pub fn errand() -> Value {
    let usage = json!({
        "input": 1000, "output": 50, "cache_read": 200, "cache_write": 30, "reasoning": 20,
    });
    let write = json!([
        {"name": "write", "args": {"filePath": "{{dir}}/greeting.txt", "content": "héllo\n"}},
        {"name": "Write", "args": {"file_path": "{{dir}}/greeting.txt", "content": "héllo\n"}},
        {"name": "exec_command", "args": {"cmd": "apply_patch <<'EOF'\n*** Begin Patch\n\
            *** Add File: greeting.txt\n+héllo\n*** End Patch\nEOF"}},
    ]);
    let count = json!([
        {"name": "bash", "args": {"command": "wc -c < greeting.txt", "description": "Count"}},
        {"name": "Bash", "args": {"command": "wc -c < greeting.txt", "description": "Count"}},
        {"name": "exec_command", "args": {"cmd": "wc -c < greeting.txt"}},
    ]);
    json!({"defaults": {"usage": usage}, "rules": [
        {"id": "title", "when": {"tools": false}, "reply": {"text": "Write a greeting"}},
        {"id": "work", "when": {"user": "^\"?Write the GREETING please\"?$", "system": "."}, "replies": [
            {"text": "Writing it.", "thinking": "A file, then.", "tools": [write]},
            {"tools": [count]},
            {"text": "Done."},
        ]},
    ]})
}

/// Those of the requests that this rule answered.
pub fn by_rule<'a>(requests: &'a [RequestRecord], rule: &str) -> Vec<&'a RequestRecord> {
    let answered = |request: &&RequestRecord| request.rule.as_deref() == Some(rule);
    requests.iter().filter(answered).collect()
}

/// The lines of JSON that an agent wrote, which has ended well.
pub fn lines(output: &Output) -> Vec<Value> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{stdout}\n{stderr}",
        output.status
    );
    let parse = |line| serde_json::from_str(line).unwrap();
    stdout.lines().map(parse).collect()
}

/// The agent that `scripts/setup-agents` installed.
fn program(agent: &str) -> PathBuf {
    let agents = std::env::var_os("FORNAX_TEST_AGENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/agents"),
        PathBuf::from,
    );
    let program = agents.join("node_modules/.bin").join(agent);
    assert!(
        program.is_file(),
        "there is no {agent} at {}: run `make setup`",
        program.display()
    );
    program
}

/// A fresh git repository with one commit.
fn repository(path: &Path) {
    fs::create_dir(path).unwrap();
    fs::write(path.join("README.md"), "# Larder\n\nKeeps things.\n").unwrap();
    let commit = "-c user.name=T -c user.email=t@example.org commit --quiet -m Begin";
    for args in ["init --quiet", "add README.md", commit] {
        let done = Command::new("git")
            .args(args.split(' '))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .current_dir(path)
            .status()
            .unwrap();
        assert!(done.success(), "git {args}");
    }
}
