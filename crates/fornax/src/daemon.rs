//! The daemon, as far as the commands need it: its API's routes as functions.

use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{CmdId, RunId, TaskId};
use fornax_core::request::{CommandRequest, Request};
use fornax_core::view::{Answer, CandidateView, Change, FrameDetail, ProjectView, RunDetail};
use fornax_daemon::client::{Bytestream, Client, SseItem, SseStream, encode};
use fornax_daemon::home::Home;
use fornax_daemon::http::backend::{RunPage, Status, TaskDetail};
use fornax_daemon::hub::MOVED_OR_COPIED_HELP;
use fornax_daemon::trust::{Decided, Decision, Review};
use fornax_journal::Project;
use futures_util::StreamExt;
use rustix::process::Pid;
use serde::Deserialize;
use serde_json::json;

use crate::commands::projects::{ask_relocation, note};
use crate::failure::{Failure, warn};
use crate::start;

/// A daemon that runs.
pub struct Daemon {
    client: Client,
}

/// The changes of all projects, as they come.
pub struct Changes(SseStream);

/// What the feed says.
pub enum News {
    /// Something changed.
    Change(Box<Change>),
    /// Changes were missed: what is known must be read again.
    Reset,
}

/// Which of a task's outputs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
    /// Both, in the order in which they came.
    Merged,
}

/// A task's log.
pub struct Log {
    /// The run of the task.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// Of which output.
    pub stream: Stream,
}

/// A line of a log in which something was found.
#[derive(Deserialize)]
pub struct Hit {
    /// From 1.
    pub line: u64,
    /// Where it begins in the log.
    pub offset: u64,
    /// Its text, or a part of it around the first match.
    pub text: String,
}

/// What a daemon of any protocol tells of itself.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum AnyStatus {
    /// In the form of this version.
    Known(Status),
    /// In another form: what every version has.
    Other {
        pid: u32,
        version: String,
        #[serde(default)]
        protocol: u32,
        #[serde(default)]
        url: String,
    },
}

/// Bytes as they come.
pub struct Body(Bytestream);

#[derive(Deserialize)]
struct Link {
    url: String,
}

impl Daemon {
    /// The daemon, started where none runs.
    pub async fn reach(home: &Home) -> Result<Daemon, Failure> {
        if let Some(daemon) = Daemon::if_running(home).await? {
            return Ok(daemon);
        }
        start::start(home, None, &[])?;
        let client = Client::compatible(home.socket()).await?;
        Ok(Daemon { client })
    }

    /// The daemon, if one runs. One that speaks another protocol is an error.
    pub async fn if_running(home: &Home) -> Result<Option<Daemon>, Failure> {
        if !start::is_running(home) {
            return Ok(None);
        }
        let client = Client::compatible(home.socket()).await?;
        Ok(Some(Daemon { client }))
    }

    /// The daemon, if one runs, whatever protocol it speaks. Only for what every version answers:
    /// [`Daemon::status`], [`Daemon::shutdown`], [`Daemon::process`] and [`Daemon::protocol`].
    pub async fn of_any_protocol(home: &Home) -> Result<Option<Daemon>, Failure> {
        if !start::is_running(home) {
            return Ok(None);
        }
        let client = Client::connect(home).await?;
        Ok(Some(Daemon { client }))
    }

    /// The daemon's process, where it can be seen from here.
    pub async fn process(&self) -> Result<Option<Pid>, Failure> {
        Ok(self.client.process().await?)
    }

    /// The protocol that the daemon speaks.
    pub async fn protocol(&self) -> Result<u32, Failure> {
        Ok(self.client.protocol().await?)
    }

    /// The answer to `GET /api/status`, as far as it has the form of this version.
    pub async fn status(&self) -> Result<AnyStatus, Failure> {
        Ok(self.client.get_json("/api/status").await?)
    }

    /// The project in a directory; the daemon looks after it from now on. A person is asked, where that is
    /// possible, whether a project whose old place is gone was moved.
    pub async fn register(&self, dir: &Path) -> Result<ProjectView, Failure> {
        match self.register_as(dir, None).await {
            Err(Failure::Error(error)) if error.help.as_deref() == Some(MOVED_OR_COPIED_HELP) => {
                match ask_relocation(&error.message)? {
                    Some(answer) => self.register_as(dir, Some(answer)).await,
                    None => Err(error.into()),
                }
            }
            registered => registered,
        }
    }

    /// The same, with what a person says of a project whose old place is gone: `moved` or `copied`.
    pub async fn register_as(
        &self,
        dir: &Path,
        relocation: Option<&str>,
    ) -> Result<ProjectView, Failure> {
        let body = json!({ "dir": dir, "relocation": relocation });
        let view: ProjectView = self.client.post_json("/api/projects", &body).await?;
        note(&view);
        Ok(view)
    }

    /// No longer looks after a project.
    pub async fn forget(&self, project: &ProjectView) -> Result<(), Failure> {
        let path = format!("/api/projects/{}", encode(&project.id));
        Ok(self.client.delete(&path).await?)
    }

    /// A read-only run, as it is shown to who may accept it.
    pub async fn candidate(
        &self,
        project: &ProjectView,
        run: RunId,
    ) -> Result<CandidateView, Failure> {
        let path = format!("/api/runs/{run}/acceptance?project={}", encode(&project.id));
        Ok(self.client.get_json(&path).await?)
    }

    /// Accepts a read-only run whose records have this digest.
    pub async fn accept(
        &self,
        project: &ProjectView,
        run: RunId,
        digest: &str,
    ) -> Result<(), Failure> {
        let path = format!("/api/runs/{run}/acceptance?project={}", encode(&project.id));
        Ok(self
            .client
            .post_json(&path, &json!({ "digest": digest }))
            .await?)
    }

    /// What the configuration in a directory executes, and where it stands.
    pub async fn review(&self, dir: &Path) -> Result<Review, Failure> {
        let dir = dir.to_string_lossy();
        let path = format!("/api/trust?dir={}", encode(&dir));
        Ok(self.client.get_json(&path).await?)
    }

    /// All decisions about what is trusted.
    pub async fn decided(&self) -> Result<Decided, Failure> {
        Ok(self.client.get_json("/api/trust").await?)
    }

    /// Sends a person's decision.
    pub async fn decide(&self, decision: &Decision) -> Result<Review, Failure> {
        Ok(self.client.post_json("/api/trust", decision).await?)
    }

    pub async fn runs(
        &self,
        project: &ProjectView,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<RunPage, Failure> {
        let before = before.map_or_else(String::new, |run| format!("&before={run}"));
        let path = format!(
            "/api/runs?project={}&limit={limit}{before}",
            encode(&project.id)
        );
        Ok(self.client.get_json(&path).await?)
    }

    pub async fn run(&self, project: &ProjectView, run: RunId) -> Result<RunDetail, Failure> {
        let path = format!("/api/runs/{run}?project={}", encode(&project.id));
        Ok(self.client.get_json(&path).await?)
    }

    /// The same for one run of many: none, with a warning, where it is damaged, so that it does not
    /// keep the others from being seen.
    pub async fn run_unless_damaged(
        &self,
        project: &ProjectView,
        run: RunId,
    ) -> Result<Option<RunDetail>, Failure> {
        match self.run(project, run).await {
            Err(Failure::Error(error)) if error.kind == ErrorKind::Damaged => {
                warn(&format!(
                    "{run} is left out: {}; {}",
                    error.message,
                    error.help.unwrap_or_default()
                ));
                Ok(None)
            }
            detail => detail.map(Some),
        }
    }

    /// A frame, by its id or the beginning of it.
    pub async fn frame(&self, project: &ProjectView, id: &str) -> Result<FrameDetail, Failure> {
        let path = format!("/api/frames/{}?project={}", encode(id), encode(&project.id));
        Ok(self.client.get_json(&path).await?)
    }

    /// A task, by its id or the beginning of it.
    pub async fn task(&self, project: &ProjectView, id: &str) -> Result<TaskDetail, Failure> {
        let path = format!("/api/tasks/{}?project={}", encode(id), encode(&project.id));
        Ok(self.client.get_json(&path).await?)
    }

    /// Gives a command.
    pub async fn command(
        &self,
        project: &ProjectView,
        command: Request,
    ) -> Result<Answer, Failure> {
        let request = CommandRequest {
            cmd_id: fresh_id()?,
            project: project.id.clone(),
            command,
        };
        Ok(self.client.post_json("/api/commands", &request).await?)
    }

    /// The changes from now on.
    pub async fn changes(&self) -> Result<Changes, Failure> {
        Ok(Changes(self.client.sse(None).await?))
    }

    /// A log from a byte on; with `follow`, until the task is over.
    pub async fn log(
        &self,
        project: &ProjectView,
        log: &Log,
        from: u64,
        follow: bool,
    ) -> Result<Body, Failure> {
        let follow = if follow {
            format!("&follow=true&offset={from}")
        } else {
            String::new()
        };
        let project = encode(&project.id);
        let path = format!("{}?project={project}{follow}", log.path());
        Ok(Body(self.client.stream_bytes(&path).await?))
    }

    /// The lines of a log in which a text is found, from a byte on, so many at most.
    pub async fn find(
        &self,
        project: &ProjectView,
        log: &Log,
        (text, is_regex): (&str, bool),
        from: u64,
        limit: usize,
    ) -> Result<Vec<Hit>, Failure> {
        let (project, text) = (encode(&project.id), encode(text));
        let path = format!(
            "{}/search?project={project}&pattern={text}&regex={is_regex}&offset={from}&limit={limit}",
            log.path()
        );
        let mut body = Body(self.client.stream_bytes(&path).await?);
        let (mut hits, mut rest) = (Vec::new(), Vec::new());
        while let Some(bytes) = body.next().await? {
            rest.extend_from_slice(&bytes);
            let whole = rest
                .iter()
                .rposition(|&byte| byte == b'\n')
                .map_or(0, |at| at + 1);
            let told = rest.drain(..whole).collect::<Vec<u8>>();
            // Between the hits it is told how far the search is.
            let lines = told.split(|&byte| byte == b'\n');
            hits.extend(lines.filter_map(|line| serde_json::from_slice::<Hit>(line).ok()));
            if hits.len() >= limit {
                break;
            }
        }
        Ok(hits)
    }

    /// The lines of a run's journal; with `follow`, until the run ends.
    pub async fn events(
        &self,
        project: &ProjectView,
        run: RunId,
        follow: bool,
    ) -> Result<Body, Failure> {
        let project = encode(&project.id);
        let path = format!("/api/runs/{run}/events?project={project}&follow={follow}");
        Ok(Body(self.client.stream_bytes(&path).await?))
    }

    /// A link that opens the page once.
    pub async fn login_link(&self) -> Result<String, Failure> {
        let link: Link = self
            .client
            .post_json("/api/login-links", &json!({}))
            .await?;
        Ok(link.url)
    }

    /// Tells the daemon to end.
    pub async fn shutdown(&self, stop_tasks: bool) -> Result<(), Failure> {
        let body = json!({ "stop_tasks": stop_tasks });
        Ok(self.client.post_json("/api/shutdown", &body).await?)
    }
}

/// An id that no command had before.
pub fn fresh_id() -> Result<CmdId, Error> {
    let id = uuid::Uuid::now_v7().to_string().parse();
    id.map_err(|error| Error::new(ErrorKind::Internal, format!("{error}")))
}

impl Changes {
    /// The next news.
    pub async fn next(&mut self) -> Result<News, Failure> {
        match self.0.next().await {
            Some(Ok(SseItem::Change(change))) => Ok(News::Change(Box::new(change))),
            Some(Ok(SseItem::Reset)) => Ok(News::Reset),
            Some(Err(error)) => Err(error.into()),
            None => Err(Error::new(ErrorKind::Unavailable, "the daemon has ended").into()),
        }
    }
}

impl Body {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        match self.0.next().await {
            Some(Ok(bytes)) => Ok(Some(bytes.to_vec())),
            Some(Err(error)) => Err(error.into()),
            None => Ok(None),
        }
    }
}

impl Log {
    fn path(&self) -> String {
        let stream = match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Merged => "merged",
        };
        format!("/api/tasks/{}/logs/{stream}", self.task)
    }

    /// The log's file: a project is on the same disk as the command line. Both as one are in none.
    pub fn file(&self, project: &ProjectView) -> Result<PathBuf, Failure> {
        let project = Project::find(Path::new(&project.dir)).map_err(Error::from)?;
        let name = if self.stream == Stream::Stderr {
            "stderr.log"
        } else {
            "stdout.log"
        };
        Ok(project.task_dir(self.run, self.task).join(name))
    }
}
