//! A real OpenCode server with a scripted model, kept as the daemon keeps it, and tasks at it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fornax_agents::happening::{Entry, Happening, TurnEnd};
use fornax_agents::host::{self, send_order};
use fornax_agents::job::Job;
use fornax_agents::opencode_server as server;
use fornax_core::agent::{DriverKind, Failure, Order, OrderKind, Usage};
use fornax_stub_model::{Options, Script, StubModel, recipes};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Generous: a first start on a busy machine takes seconds, a hanging one for ever.
const DEADLINE: Duration = Duration::from_secs(120);
const PASSWORD: &str = "only-for-this-test";

/// A server, its model, and the folder in which its tasks work.
pub struct Bench {
    pub folder: TempDir,
    pub project: PathBuf,
    pub dir: PathBuf,
    pub stub: StubModel,
    /// In which the model runs.
    _runtime: tokio::runtime::Runtime,
    config: Value,
    since: Instant,
    instance: Mutex<(u32, Option<Child>)>,
}

/// OpenCode as `scripts/setup-agents` installed it.
pub fn opencode() -> PathBuf {
    let agents = std::env::var_os("FORNAX_TEST_AGENTS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/agents"),
        PathBuf::from,
    );
    let program = agents.join("node_modules/.bin/opencode");
    assert!(
        program.is_file(),
        "there is no OpenCode at {}: run `make setup`",
        program.display()
    );
    program.canonicalize().unwrap()
}

impl Bench {
    /// Without a server yet. `config` goes over the usual configuration.
    pub fn new(rules: &Value, config: Value) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        let dir = folder.path().join("server");
        fs::create_dir_all(&project).unwrap();
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("password"), format!("{PASSWORD}\n")).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let script = json!({
            "defaults": {"usage": {"input": 1000, "output": 50, "cache_read": 200, "reasoning": 20}},
            "rules": rules,
            "fallback": {"text": "Nothing to do."},
        });
        let script = Script::parse(&script.to_string()).unwrap();
        let options = Options {
            vars: [("dir".to_owned(), project.display().to_string())].into(),
            ..Options::default()
        };
        let stub = runtime.block_on(StubModel::start(script, options)).unwrap();
        Bench {
            folder,
            project,
            dir,
            stub,
            _runtime: runtime,
            config,
            since: Instant::now(),
            instance: Mutex::new((0, None)),
        }
    }

    /// The environment in which this OpenCode talks to this model.
    pub fn env(&self) -> Vec<(String, String)> {
        let state = self.folder.path().join("state");
        let mut env = recipes::opencode_env(&self.stub.base_url(), &state);
        for (name, value) in &mut env {
            if name == "OPENCODE_CONFIG_CONTENT" {
                let mut config: Value = serde_json::from_str(value).unwrap();
                for (key, own) in self.config.as_object().unwrap() {
                    config[key] = own.clone();
                }
                *value = config.to_string();
            }
        }
        env.push(("PWD".to_owned(), self.project.display().to_string()));
        env
    }

    /// Starts the next instance of the server.
    pub fn serve(&self) {
        let mut instance = self.instance.lock().unwrap();
        instance.0 += 1;
        let name = instance.0.to_string();
        let dir = self.dir.join(&name);
        fs::create_dir(&dir).unwrap();
        let argv = server::argv(&[opencode().display().to_string()]);
        let child = Command::new(&argv[0])
            .args(&argv[1..])
            .envs(self.env())
            .envs(server::env(PASSWORD))
            .current_dir(&self.project)
            .stdin(Stdio::null())
            .stdout(File::create(dir.join("stdout.log")).unwrap())
            .stderr(File::create(dir.join("stderr.log")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        instance.1 = Some(child);
        let new = self.dir.join("current.new");
        fs::write(&new, format!("{name}\n")).unwrap();
        fs::rename(new, self.dir.join("current")).unwrap();
    }

    /// Kills the server with SIGKILL, as a crash would.
    pub fn crash(&self) {
        let mut instance = self.instance.lock().unwrap();
        let Some(mut child) = instance.1.take() else {
            return;
        };
        let group = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        child.wait().unwrap();
        let dir = self.dir.join(instance.0.to_string());
        fs::write(dir.join("exit.json"), "{}").unwrap();
    }

    /// A job for this server.
    pub fn job(&self, prompt: &str) -> Job {
        let tasks = self.folder.path().join("tasks");
        fs::create_dir_all(&tasks).unwrap();
        let dir = tempfile::Builder::new().tempdir_in(tasks).unwrap().keep();
        let argv = vec![opencode().display().to_string()];
        let mut job = Job::new(dir, DriverKind::Opencode, argv, self.project.clone());
        job.prompt = prompt.to_owned();
        job.title = prompt.to_owned();
        job.model = Some("stub/stub-model".to_owned());
        job.server_dir = Some(self.dir.clone());
        job
    }

    /// A job for a process of its own. The host is in this process, and hands its environment on:
    /// what the agent needs is set by `env`.
    pub fn job_alone(&self, prompt: &str) -> Job {
        let mut job = self.job(prompt);
        job.driver = DriverKind::OpencodeRun;
        let set = self.env().into_iter();
        let set = set.map(|(name, value)| format!("{name}={value}"));
        let argv = ["env".to_owned()].into_iter().chain(set);
        job.argv = argv.chain(job.argv).collect();
        job
    }

    /// Asks the server.
    pub fn get(&self, path: &str) -> Value {
        let address = server::address(&self.dir).unwrap().expect("it runs");
        let path = format!("{path}?directory={}", self.project.display());
        let (status, body) =
            server::ask(&address, "GET", &path, None, Duration::from_secs(30)).unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The processes at work in the project whose command line has this in it. Another test run's
    /// are none of them.
    pub fn processes(&self, mark: &str) -> Vec<String> {
        let mut found = Vec::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let at = fs::read_link(process.path().join("cwd")).unwrap_or_default();
            if line.contains(mark) && at.starts_with(&self.project) {
                found.push(line);
            }
        }
        found
    }

    /// Waits for the end of the processes at work in the project whose command line has this in it:
    /// the server says that a turn is over while it still ends them.
    pub fn ended(&self, mark: &str) {
        while !self.processes(mark).is_empty() {
            assert!(self.since.elapsed() < 2 * DEADLINE, "{mark} goes on");
            std::thread::yield_now();
        }
    }

    /// What the server counts for a session and its subagents.
    pub fn totals(&self, session: &str) -> Usage {
        let mut sum = Usage::default();
        let mut all = self.get(&format!("/session/{session}/children"));
        let own = self.get(&format!("/session/{session}"));
        all.as_array_mut().unwrap().push(own);
        for session in all.as_array().unwrap() {
            let tokens = &session["tokens"];
            let count = |at: &str| tokens.pointer(at).unwrap().as_u64().unwrap();
            sum.add(&Usage {
                input: count("/input"),
                output: count("/output") + count("/reasoning"),
                cache_read: count("/cache/read"),
                cache_write: count("/cache/write"),
                reasoning: count("/reasoning"),
                cost_usd: session["cost"].as_f64(),
                estimated: false,
            });
        }
        sum
    }

    /// Whether the server works on a session.
    pub fn works(&self, session: &str) -> bool {
        let status = self.get("/session/status");
        !matches!(status[session]["type"].as_str(), None | Some("idle"))
    }
}

/// Where the agent's words are to be kept, for the tests that play them back: the folder named by
/// `FORNAX_RECORD`.
pub fn recordings() -> Option<PathBuf> {
    std::env::var_os("FORNAX_RECORD").map(PathBuf::from)
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.crash();
    }
}

/// A task whose host runs.
pub struct Task {
    pub dir: PathBuf,
    host: JoinHandle<i32>,
    orders: u32,
}

/// How a task ended.
pub struct End {
    pub entries: Vec<Happening>,
    pub failure: Option<Failure>,
    pub result: String,
}

impl Task {
    pub fn start(job: Job) -> Task {
        Task {
            dir: job.task_dir.clone(),
            host: std::thread::spawn(move || host::run(job)),
            orders: 0,
        }
    }

    fn entries(&self) -> Vec<Happening> {
        let text = fs::read_to_string(self.dir.join("session.jsonl")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let entries = whole.lines().map(|line| {
            serde_json::from_str::<Entry>(line)
                .unwrap_or_else(|error| panic!("{error}: {line}"))
                .happening
        });
        entries.collect()
    }

    /// Waits for a happening; what `pick` makes of it.
    pub fn wait<T>(&self, what: &str, pick: impl Fn(&Happening) -> Option<T>) -> T {
        self.wait_nth(what, 1, pick)
    }

    /// Waits for the `nth` happening that is picked, from 1.
    pub fn wait_nth<T>(&self, what: &str, nth: usize, pick: impl Fn(&Happening) -> Option<T>) -> T {
        let watch =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
        let of = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        inotify::add_watch(&watch, &self.dir, of).unwrap();
        let deadline = Instant::now() + DEADLINE;
        loop {
            let entries = self.entries();
            if let Some(found) = entries.iter().filter_map(&pick).nth(nth - 1) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let over = entries
                .iter()
                .any(|entry| matches!(entry, Happening::Ended { .. }));
            assert!(!over && !left.is_zero(), "no {what} in {entries:#?}");
            let mut fds = [PollFd::new(&watch, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::try_from(left).unwrap())).unwrap();
            let mut room = [std::mem::MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(&watch, &mut room);
            while reader.next().is_ok() {}
        }
    }

    pub fn session(&self) -> String {
        self.wait("session", |entry| match entry {
            Happening::SessionStarted { session, .. } => Some(session.clone()),
            _ => None,
        })
    }

    pub fn order(&mut self, kind: OrderKind) {
        self.orders += 1;
        let order = Order {
            id: self.orders,
            kind,
        };
        let taken = send_order(&self.dir, &order).unwrap();
        assert_eq!(taken.refused, None, "{order:?}");
    }

    pub fn prompt(&mut self, text: &str) {
        self.order(OrderKind::Prompt {
            text: text.to_owned(),
        });
    }

    /// Waits for the end of its `nth` turn.
    pub fn turn_ended(&self, nth: usize) -> TurnEnd {
        self.wait_nth("turn's end", nth, |entry| match entry {
            Happening::TurnEnded(end) => Some(end.clone()),
            _ => None,
        })
    }

    /// Waits until a tool runs.
    pub fn tool_runs(&self, name: &str) {
        self.wait("tool", |entry| match entry {
            Happening::ToolCall { tool, .. } if tool == name => Some(()),
            _ => None,
        });
    }

    /// Waits for the task's end.
    pub fn end(self) -> End {
        self.wait("end", |entry| match entry {
            Happening::Ended { .. } => Some(()),
            _ => None,
        });
        let entries = self.entries();
        let code = self.host.join().unwrap();
        if let Some(folder) = recordings() {
            record(&self.dir, &folder);
        }
        let Some(Happening::Ended { failure, result }) = entries.last().cloned() else {
            panic!("the end is not the last: {entries:#?}");
        };
        assert_eq!(code == 0, failure.is_none(), "{failure:?}");
        let turns = |pick: fn(&Happening) -> bool| entries.iter().filter(|it| pick(it)).count();
        assert_eq!(
            turns(|entry| matches!(entry, Happening::TurnStarted { .. })),
            turns(|entry| matches!(entry, Happening::TurnEnded(_))),
            "{entries:#?}"
        );
        End {
            entries,
            failure,
            result,
        }
    }
}

impl End {
    pub fn count(&self, pick: impl Fn(&Happening) -> bool) -> usize {
        self.entries.iter().filter(|entry| pick(entry)).count()
    }

    pub fn usage(&self) -> Usage {
        let mut sum = Usage::default();
        for entry in &self.entries {
            if let Happening::ModelCall { usage, .. } = entry {
                sum.add(usage);
            }
        }
        sum
    }

    /// The result of each tool's call: tool, success, output.
    pub fn tools(&self) -> Vec<(String, bool, String)> {
        let results = self.entries.iter().filter_map(|entry| match entry {
            Happening::ToolResult {
                tool,
                success,
                output,
                ..
            } => Some((tool.clone(), *success, output.clone())),
            _ => None,
        });
        results.collect()
    }
}

/// Keeps what was said in a task, under the first word of its prompt.
fn record(task: &Path, folder: &Path) {
    let spoken = fs::read_to_string(task.join("protocol.jsonl")).unwrap();
    let place = task
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .display()
        .to_string();
    let spoken = spoken
        .replace(&server_name(&place), "%2Ftmp%2Fx")
        .replace(place.trim_start_matches('/'), "tmp/x");
    let mut name = None;
    let lines = spoken.lines().filter_map(|line| {
        let said: Value = serde_json::from_str(line).unwrap();
        let (direction, line) = (said["dir"].as_str()?, said["line"].as_str()?);
        if let (None, Some((_, text))) = (&name, line.split_once("\"text\":\"")) {
            let word = text
                .split(|c: char| !(c.is_alphanumeric() || c == '-'))
                .next()?;
            name = Some(word.to_lowercase());
        }
        // What tells nothing of a session makes most of it.
        let noise = [
            "\"plugin.",
            "\"catalog.",
            "\"reference.",
            "\"integration.",
            "heartbeat",
            "session.diff",
        ];
        let noise = noise.iter().any(|noise| line.contains(noise));
        (!noise).then(|| json!({"dir": direction, "line": line}).to_string() + "\n")
    });
    let lines: String = lines.collect();
    fs::create_dir_all(folder).unwrap();
    fs::write(
        folder.join(format!("{}.jsonl", name.unwrap_or_default())),
        lines,
    )
    .unwrap();
}

/// A path as it stands in a URL.
fn server_name(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Whether two usages are the same to the token, and to a millionth of a cent.
pub fn same(one: &Usage, other: &Usage) -> bool {
    let close = (one.cost_usd.unwrap_or(0.0) - other.cost_usd.unwrap_or(0.0)).abs() < 1e-8;
    let tokens = |usage: &Usage| Usage {
        cost_usd: None,
        estimated: false,
        ..*usage
    };
    close && tokens(one) == tokens(other)
}
