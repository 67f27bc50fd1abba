//! A project with one real agent and the model that it talks to.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use fornax_agents::opencode_server;
use fornax_stub_model::{Options, Script, StubModel, recipes};
use serde_json::Value;

use crate::PATIENCE;
use crate::support::{Ended, Place};

/// What the tool `agent` is, for each agent.
const TOOLS: &str = "tools:\n  agent:\n    driver: AGENT\n    cmd: [AGENT]\n    model_retries: 2\n";

pub struct Stage {
    pub place: Place,
    agent: String,
    env: Vec<(String, String)>,
    stub: Option<StubModel>,
    runtime: tokio::runtime::Runtime,
    asked: AtomicU64,
}

fn bin() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let set = std::env::var_os("FORNAX_TEST_AGENTS").map(PathBuf::from);
    let bin = set
        .unwrap_or_else(|| root.join("target/agents"))
        .join("node_modules/.bin");
    for agent in ["opencode", "claude", "codex"] {
        assert!(
            bin.join(agent).exists(),
            "{agent} is not in {}: run `make setup`",
            bin.display()
        );
    }
    bin.canonicalize().unwrap()
}

impl Stage {
    /// A project whose tool `agent` is the agent.
    pub fn set(agent: &str) -> Stage {
        Stage::with_tools(agent, &TOOLS.replace("AGENT", agent))
    }

    /// A project whose tool `agent` is the agent, with a model of its own script.
    pub fn with_script(agent: &str, script: &str) -> Stage {
        Stage::with(agent, &TOOLS.replace("AGENT", agent), script)
    }

    /// A project with these tools, where the agent can be run and asks the scripted model.
    pub fn with_tools(agent: &str, tools: &str) -> Stage {
        Stage::with(agent, tools, include_str!("model.json"))
    }

    fn with(agent: &str, tools: &str, script: &str) -> Stage {
        let place = Place::new();
        let dir = place.dir().canonicalize().unwrap();
        let init = Command::new("git").args(["init", "-q"]).arg(&dir).status();
        assert!(init.unwrap().success());
        place.configure(tools);
        let script = Script::parse(script).unwrap();
        let options = Options {
            vars: [("dir".to_owned(), dir.display().to_string())].into(),
            log_bodies: true,
            ..Options::default()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let stub = runtime.block_on(StubModel::start(script, options)).unwrap();
        let home = place.state().join("agent");
        let mut env = match agent {
            "opencode" => recipes::opencode_env(&stub.base_url(), &home),
            "claude" => recipes::claude_env(&stub.base_url(), &home),
            _ => recipes::codex_env(&stub.base_url(), &home).unwrap(),
        };
        for (name, value) in &mut env {
            // OpenCode asks only about what its settings say.
            if name == "OPENCODE_CONFIG_CONTENT" {
                let mut config: Value = serde_json::from_str(value).unwrap();
                config["permission"] = serde_json::json!({ "bash": "ask", "edit": "ask" });
                *value = config.to_string();
            }
        }
        env.retain(|(name, _)| name != "XDG_STATE_HOME");
        let path = std::env::var("PATH").unwrap();
        env.push(("PATH".to_owned(), format!("{}:{path}", bin().display())));
        Stage {
            place,
            agent: agent.to_owned(),
            env,
            stub: Some(stub),
            runtime,
            asked: AtomicU64::new(0),
        }
    }

    /// Runs the binary with the agent's environment, which the daemon inherits when this starts it.
    pub fn fornax(&self, args: &[&str]) -> Ended {
        let env = self.env.iter().map(|(name, value)| (name, value));
        Ended::of(self.place.command(args).envs(env).output().unwrap())
    }

    pub fn place_ok(&self, args: &[&str]) -> String {
        let ended = self.fornax(args);
        assert_eq!(ended.code, 0, "fornax {args:?}: {ended:?}");
        ended.stdout.trim().to_owned()
    }

    /// Starts a task; its run.
    pub fn start(&self, prompt: &str) -> String {
        self.place_ok(&["task", "agent", prompt, "--detach"])
    }

    pub fn run(&self, run: &str) -> Value {
        self.place.json(&["show", run, "--json"])
    }

    pub fn task(&self, run: &str) -> String {
        let detail = self.run(run);
        detail["tasks"]["id"][0].as_str().unwrap().to_owned()
    }

    pub fn frame(&self, run: &str) -> String {
        let detail = self.run(run);
        detail["tasks"]["frame"][0].as_str().unwrap().to_owned()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place.dir().join(name)).unwrap_or_default()
    }

    /// Answers all that is asked now; how much that was.
    pub fn answer_all(&self, word: &str) -> u64 {
        let inbox = self.place.json(&["inbox", "--json"]);
        let mut answered = 0;
        for wait in inbox.as_array().unwrap() {
            if let Some(permission) = wait["permission"].as_str() {
                let task = wait["task"].as_str().unwrap();
                // It may have been answered already, or its task have ended.
                answered += u64::from(self.place.run(&[word, task, permission]).code == 0);
            }
        }
        self.asked.fetch_add(answered, Ordering::Relaxed);
        answered
    }

    pub fn allow_until(&self, mut holds: impl FnMut() -> bool) {
        self.wait("what is asked is allowed until it begins", || {
            self.answer_all("allow");
            holds()
        });
    }

    pub fn answer_all_until_over(&self, run: &str, word: &str) -> u64 {
        self.wait("the run is over", || {
            self.answer_all(word);
            self.is_over(run)
        });
        self.asked.load(Ordering::Relaxed)
    }

    pub fn allow_all_until_over(&self, run: &str) -> u64 {
        self.answer_all_until_over(run, "allow")
    }

    pub fn wait_for_end(&self, run: &str) {
        self.wait("the run is over", || self.is_over(run));
    }

    fn is_over(&self, run: &str) -> bool {
        !self.run(run)["run"]["ended_ms"].is_null()
    }

    /// How many answers the model gave by these rules, whole ones only.
    pub fn answered(&self, rules: &[&str]) -> u64 {
        let requests = self.stub.as_ref().unwrap().requests();
        let of_rule = requests.iter().filter(|request| {
            let rule = request.rule.as_deref();
            rule.is_some_and(|rule| rules.contains(&rule))
        });
        of_rule.count() as u64
    }

    /// What the model was asked by a rule, each request as it came.
    pub fn bodies(&self, rule: &str) -> Vec<String> {
        let requests = self.stub.as_ref().unwrap().requests();
        let of_rule = requests
            .into_iter()
            .filter(|request| request.rule.as_deref() == Some(rule));
        of_rule
            .map(|request| {
                request
                    .body
                    .map_or_else(String::new, |body| body.to_string())
            })
            .collect()
    }

    /// How many answers the model gave within conversations: titles are nobody's usage.
    pub fn answered_whole(&self) -> u64 {
        let requests = self.stub.as_ref().unwrap().requests();
        let whole = requests.iter().filter(|request| {
            request.api.is_some()
                && request.rule.as_deref() != Some("title")
                && request.outcome == fornax_stub_model::Outcome::Ok
        });
        whole.count() as u64
    }

    /// How many of its own answers "The second is done." the model was last told of.
    pub fn remembered(&self) -> usize {
        let requests = self.stub.as_ref().unwrap().requests();
        let asked = requests
            .iter()
            .rfind(|request| request.rule.as_deref() == Some("second"));
        let body = asked.unwrap().body.as_ref().unwrap().to_string();
        assert!(body.contains("The first answer."), "{body}");
        body.matches("The second is done.").count() + 1
    }

    /// The kinds of all that happened in the agents' sessions.
    pub fn happened(&self) -> Vec<String> {
        let sessions = walk(&self.place.dir().join(".fornax"), "session.jsonl");
        let texts = sessions
            .iter()
            .map(|file| fs::read_to_string(file).unwrap());
        let text: String = texts.collect();
        // The last line may be being written.
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .map(|line| line["type"].as_str().unwrap().to_owned())
            .collect()
    }

    /// How often the model was asked anything.
    pub fn stub_requests(&self) -> usize {
        self.stub.as_ref().unwrap().requests().len()
    }

    /// The tokens that the run's telemetry tells.
    pub fn telemetry_tokens(&self, run: &str) -> u64 {
        let file = self.place.dir().join(".fornax/runs").join(run);
        let text = fs::read_to_string(file.join("telemetry.jsonl")).unwrap();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let calls = lines.filter(|line| line["event"] == "llm_call");
        calls
            .map(|line| line["tokens_total"].as_u64().unwrap())
            .sum()
    }

    /// The lines of the events of OpenCode's server, from now on.
    pub fn listen_at_server(&self) -> impl Iterator<Item = String> + use<> {
        // Their folders are in the state directory, one for each project.
        let projects = fs::read_dir(self.place.state().join("fornax/projects")).unwrap();
        let services = projects.map(|entry| entry.unwrap().path().join("services"));
        let mut servers =
            services.flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten());
        let server = servers.find_map(|entry| opencode_server::address(&entry.path()).unwrap());
        let server = server.expect("the server runs");
        let host = server.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let dir = self.place.dir().canonicalize().unwrap();
        let request = format!(
            "GET /event?directory={} HTTP/1.1\r\nhost: {host}\r\nauthorization: {}\r\n\r\n",
            dir.display(),
            server.authorization
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        // From this word on nothing is missed.
        let connected = lines.any(|line| line.contains("server.connected"));
        assert!(connected, "the server tells no events");
        lines
    }

    /// Kills the daemon, as a crash would.
    pub fn kill_daemon(&self) {
        let status = self.place.json(&["status", "--json"]);
        kill(status["pid"].as_i64().unwrap());
        // The next command starts another; with the agent's environment, for what it starts itself.
        self.wait("another daemon runs", || self.fornax(&["ps"]).code == 0);
    }

    /// Kills the agent's own process, as a crash would.
    pub fn kill_agent(&self) {
        self.kill(match self.agent.as_str() {
            "opencode" => "serve --port",
            "claude" => "--input-format stream-json",
            _ => "app-server",
        });
    }

    /// Kills the processes whose command line has the word.
    pub fn kill(&self, word: &str) {
        let running = self.place.processes();
        let meant = running.iter().filter(|(_, command)| command.contains(word));
        let killed = meant.map(|(pid, _)| kill((*pid).into())).count();
        assert!(killed > 0, "no {word} runs: {running:?}");
    }

    /// Tells all that could explain why something does not come.
    pub fn tell(&self) {
        println!("{}", self.place.run(&["ps"]).stdout);
        for request in self.stub.as_ref().unwrap().requests() {
            println!("{:?} {:?} {}", request.rule, request.outcome, request.path);
        }
        let sessions = walk(&self.place.dir().join(".fornax"), "session.jsonl");
        for session in sessions {
            println!(
                "{}\n{}",
                session.display(),
                fs::read_to_string(&session).unwrap()
            );
        }
    }
}

fn kill(pid: i64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

fn walk(dir: &Path, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path, name));
        } else if path.ends_with(name) {
            found.push(path);
        }
    }
    found
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The place goes after this and sees to it that nothing is left.
        if let Some(stub) = self.stub.take() {
            let _ = self.runtime.block_on(stub.shutdown());
        }
    }
}
