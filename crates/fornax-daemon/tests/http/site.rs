//! A daemon's HTTP half, really listening, over a small state in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{RunId, TaskId};
use fornax_core::record::Actor;
use fornax_core::request::{Caller, CommandRequest, ReportRequest, ToolRequest};
use fornax_core::status::{RunStatus, TaskState};
use fornax_core::tools::Reply;
use fornax_core::view::{
    Answer, CandidateView, Change, Counts, FrameColumns, FrameDetail, ProjectView, RunDetail,
    RunView, Snapshot, TaskColumns, TaskView,
};
use fornax_daemon::feed::Feed;
use fornax_daemon::home::Home;
use fornax_daemon::http::backend::{Backend, Ingested, ProjectStatus, Rejected, RunPage};
use fornax_daemon::http::{self, Auth, Origin};
use fornax_daemon::hub::Relocation;
use fornax_daemon::tools::{Found, Tools};
use fornax_daemon::trust::{Decided, Decision, Reading, Review, Standing, Trust};
use fornax_plan::config::Config;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The one project.
pub const PROJECT: &str = "0123abcd";
/// The one task.
pub const TASK: &str = "t-4k2p9x-1";
/// The one run.
pub const RUN: &str = "RUN-20261120-001";

/// A state of one project, one run and one task.
pub struct Memory {
    pub feed: Feed,
    /// How often HTTP asked for anything.
    pub calls: AtomicUsize,
    pub dir: PathBuf,
    pub task: Mutex<TaskView>,
    pub run: Mutex<RunView>,
    /// Whether `shutdown` was called, and with what.
    pub told_to_end: Mutex<Option<bool>>,
    trust: Trust,
}

impl Memory {
    fn new(dir: PathBuf, feed: Feed, trust: Trust) -> Memory {
        let task: TaskId = TASK.parse().unwrap();
        let run: RunId = RUN.parse().unwrap();
        Memory {
            feed,
            calls: AtomicUsize::new(0),
            dir,
            task: Mutex::new(TaskView {
                id: task,
                run,
                frame: task.frame,
                attempt: 1,
                state: TaskState::Running,
                stopping: false,
                tool: "shell".into(),
                queued_ms: 1,
                due_ms: None,
                started_ms: Some(2),
                ended_ms: None,
                exit_code: None,
                signal: None,
                error_class: None,
                error: None,
                driver: None,
                session: None,
                model: None,
                turns: 0,
                step: None,
                usage: None,
                waits: Vec::new(),
                idle: false,
            }),
            run: Mutex::new(RunView {
                project: PROJECT.into(),
                id: run,
                name: "demo".into(),
                plan: None,
                root: task.frame,
                status: RunStatus::Running,
                reason: None,
                paused: false,
                foreign: None,
                started_ms: 1,
                ended_ms: None,
                counts: Counts::default(),
                tasks_running: 1,
                tasks_queued: 0,
                stalled: Vec::new(),
                usage: Default::default(),
                seq: 1,
            }),
            told_to_end: Mutex::new(None),
            trust,
        }
    }

    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("runs").join(RUN)
    }

    pub fn task_dir(&self) -> PathBuf {
        self.run_dir().join("tasks").join(TASK)
    }

    /// Ends the task in the state, then tells it.
    pub fn end_task(&self) {
        self.task.lock().unwrap().state = TaskState::Completed;
        self.tell_task_over();
    }

    /// Tells that a task of this id is over, without it being so here.
    pub fn tell_task_over(&self) {
        let mut task = self.task.lock().unwrap().clone();
        task.state = TaskState::Completed;
        self.feed.publish(Change {
            tasks: vec![task],
            ..Change::default()
        });
    }

    pub fn end_run(&self) {
        let mut run = self.run.lock().unwrap();
        run.status = RunStatus::Completed;
        self.feed.publish(Change {
            runs: vec![run.clone()],
            ..Change::default()
        });
    }

    fn project(&self) -> ProjectView {
        ProjectView {
            id: PROJECT.into(),
            name: "demo".into(),
            dir: self.dir.display().to_string(),
            problem: None,
            notice: None,
        }
    }

    fn check(&self, project: &str) -> Result<(), Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if project == PROJECT {
            return Ok(());
        }
        Err(
            Error::new(ErrorKind::NotFound, format!("no project `{project}`"))
                .with_help("`fornax status` lists them"),
        )
    }
}

impl Backend for Memory {
    fn feed(&self) -> &Feed {
        &self.feed
    }

    async fn register(
        &self,
        dir: &Path,
        _answer: Option<Relocation>,
    ) -> Result<ProjectView, Error> {
        self.check(PROJECT)?;
        Ok(ProjectView {
            dir: dir.display().to_string(),
            ..self.project()
        })
    }

    async fn forget(&self, project: &str) -> Result<(), Error> {
        self.check(project)
    }

    async fn candidate(&self, project: &str, run: RunId) -> Result<CandidateView, Error> {
        self.check(project)?;
        Ok(CandidateView {
            run: self.run(project, run).await?.run,
            digest: "00".repeat(32),
            why: "this installation of Fornax did not write its records".to_owned(),
            loses_open_work: false,
            work: Vec::new(),
        })
    }

    async fn accept(&self, project: &str, _run: RunId, _digest: String) -> Result<(), Error> {
        self.check(project)
    }

    async fn status(&self) -> Vec<ProjectStatus> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let running = vec![self.task.lock().unwrap().clone()];
        vec![ProjectStatus {
            project: self.project(),
            running,
            queued: 3,
        }]
    }

    async fn tools_of(&self, project: &str) -> Result<Vec<Found>, Error> {
        self.check(project)?;
        let reading = Reading {
            config: Config::load(None).unwrap(),
            digest: None,
            standing: Standing::ExecutesNothing,
        };
        Ok(Tools::default().of_project(&reading, &self.dir))
    }

    async fn review(&self, dir: &Path) -> Result<Review, Error> {
        self.trust.review(dir)
    }

    async fn decided(&self) -> Result<Decided, Error> {
        self.trust.decided()
    }

    async fn decide(&self, decision: Decision) -> Result<Review, Error> {
        self.trust.decide(&decision)
    }

    async fn snapshot(&self) -> Snapshot {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Snapshot {
            epoch: self.feed.epoch().to_owned(),
            seq: self.feed.head(),
            now_ms: 0,
            projects: vec![self.project()],
            runs: vec![self.run.lock().unwrap().clone()],
            frames: FrameColumns::default(),
            tasks: [self.task.lock().unwrap().clone()].into_iter().collect(),
        }
    }

    async fn runs(
        &self,
        project: &str,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<RunPage, Error> {
        self.check(project)?;
        let run = self.run.lock().unwrap().clone();
        let runs = if before.is_some_and(|before| before <= run.id) {
            vec![]
        } else {
            vec![run]
        };
        Ok(RunPage {
            runs,
            more: limit == 1,
        })
    }

    async fn run(&self, project: &str, _: RunId) -> Result<RunDetail, Error> {
        self.check(project)?;
        Ok(RunDetail {
            run: self.run.lock().unwrap().clone(),
            frames: FrameColumns::default(),
            tasks: TaskColumns::default(),
        })
    }

    async fn frame(&self, project: &str, frame: &str) -> Result<FrameDetail, Error> {
        self.check(project)?;
        Err(Error::new(
            ErrorKind::NotFound,
            format!("no frame `{frame}`"),
        ))
    }

    async fn task(&self, project: &str, task: &str) -> Result<(TaskView, PathBuf), Error> {
        self.check(project)?;
        if !TASK.starts_with(task) {
            return Err(Error::new(ErrorKind::NotFound, format!("no task `{task}`")));
        }
        Ok((self.task.lock().unwrap().clone(), self.task_dir()))
    }

    async fn run_dir(&self, project: &str, _: RunId) -> Result<PathBuf, Error> {
        self.check(project)?;
        Ok(Memory::run_dir(self))
    }

    async fn command(&self, request: CommandRequest, actor: Actor) -> Result<Answer, Error> {
        self.check(&request.project)?;
        assert_eq!(actor, Actor::HUMAN);
        Ok(Answer {
            moved: 7,
            ..Answer::default()
        })
    }

    async fn tool(&self, name: &str, request: ToolRequest) -> Result<Reply, Error> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Ok(Reply {
            text: format!("{name} for {:?}", request.caller.session),
            data: request.arguments,
        })
    }

    async fn report(&self, request: ReportRequest) -> Result<(), Error> {
        self.check(request.caller.project.as_deref().unwrap_or_default())
    }

    async fn compacting(&self, caller: Caller) -> Result<String, Error> {
        self.check(caller.project.as_deref().unwrap_or_default())?;
        Ok("keep the port".to_owned())
    }

    async fn trace(&self, project: &str, _: RunId, body: Bytes) -> Result<Ingested, Error> {
        self.check(project)?;
        let accepted = body
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .count();
        let rejected = vec![Rejected {
            line: 2,
            why: "for the test".into(),
        }];
        Ok(Ingested {
            accepted: accepted as u64,
            rejected,
        })
    }

    async fn shutdown(&self, stop_tasks: bool) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        *self.told_to_end.lock().unwrap() = Some(stop_tasks);
    }
}

/// A daemon that listens, until it is dropped.
pub struct Site {
    pub memory: Arc<Memory>,
    pub home: Home,
    pub addr: SocketAddr,
    pub token: String,
    /// Login links made 61 seconds ago and now.
    pub old_link: String,
    pub new_link: String,
    end: watch::Sender<bool>,
    served: JoinHandle<Result<(), Error>>,
    temp: tempfile::TempDir,
}

impl Site {
    pub async fn start() -> Site {
        Site::start_with(Feed::new()).await
    }

    pub async fn start_with(feed: Feed) -> Site {
        Site::start_in(tempfile::tempdir().unwrap(), feed, &[]).await
    }

    /// One that pages of these origins may frame.
    pub async fn framed_by(origins: &[&str]) -> Site {
        let origins: Vec<_> = origins
            .iter()
            .map(|origin| origin.parse().unwrap())
            .collect();
        Site::start_in(tempfile::tempdir().unwrap(), Feed::new(), &origins).await
    }

    async fn start_in(temp: tempfile::TempDir, feed: Feed, embed_origins: &[Origin]) -> Site {
        let home = Home::open(temp.path().join("fornax")).unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let listeners = http::bind(&home, Some(any)).await.unwrap();
        let addr = listeners.addr();
        let auth = Auth::open(&home, addr).unwrap().embedded_by(embed_origins);
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_millis() as i64;
        let old_link = auth.new_login(now_ms - 61_000).unwrap();
        let new_link = auth.new_login(now_ms).unwrap();
        let memory = Arc::new(Memory::new(
            temp.path().join("project"),
            feed,
            Trust::of(&home),
        ));
        std::fs::create_dir_all(&memory.dir).unwrap();
        let (end, mut ended) = watch::channel(false);
        let shutdown = async move { drop(ended.wait_for(|end| *end).await) };
        let served = tokio::spawn(http::serve(Arc::clone(&memory), listeners, auth, shutdown));
        let token = home.token().unwrap();
        Site {
            memory,
            home,
            addr,
            token,
            old_link,
            new_link,
            end,
            served,
            temp,
        }
    }

    /// Ends the daemon and waits for it.
    pub async fn end(self) -> tempfile::TempDir {
        self.end.send_replace(true);
        self.served.await.unwrap().unwrap();
        self.temp
    }

    /// Ends the daemon and starts another one in its home.
    pub async fn restart(self) -> Site {
        Site::start_in(self.end().await, Feed::new(), &[]).await
    }

    /// The head of a request with these headers beside `Host` and the right token; a header that
    /// is given replaces, and one that is given empty is left out.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut all = BTreeMap::new();
        all.insert("host".to_owned(), self.addr.to_string());
        all.insert("authorization".to_owned(), format!("Bearer {}", self.token));
        for (name, value) in headers {
            all.insert((*name).to_owned(), (*value).to_owned());
        }
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in all.iter().filter(|(_, value)| !value.is_empty()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }
}
