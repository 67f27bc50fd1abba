//! Calls of tools: those that change or read the call stack go to the project's engine, those that
//! start work and follow it to what the surfaces use as well.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::event::Artifact;
use fornax_core::ids::{CmdId, RunId};
use fornax_core::record::Actor;
use fornax_core::request::{CommandRequest, Request, ToolRequest};
use fornax_core::state::Target;
use fornax_core::tools::{self, Call, LogStream, Reply, Scope};
use fornax_core::view::Answer;
use serde_json::json;

use super::callers::Known;
use super::requests::{fresh_id, stop_all, task_of};
use super::{Hub, blocking};
use crate::engine::{Asked, Engine};
use crate::files::open_beneath;
use crate::find;
use crate::http::backend::Backend;
use crate::plans::{NamedBy, load_config, load_plan};
use crate::pool;
use crate::trust::{self, Trust};

/// How long a question waits for its answer where the call does not say, and at most.
const ANSWER_WAIT_S: u64 = 600;
const ANSWER_WAIT_MAX_S: u64 = 24 * 3_600;
/// How much of a log a call gets where it does not say, and at most, in bytes.
const LOG_BYTES: u64 = 8 * 1024;
const LOG_BYTES_MAX: u64 = 64 * 1024;
/// The largest file whose digest is taken for an artifact, in bytes.
const DIGEST_MAX_BYTES: u64 = 1 << 30;

impl Hub {
    /// Carries a call out.
    pub(super) async fn call(&self, name: &str, request: ToolRequest) -> Result<Reply, Error> {
        let known = self.known(&request.caller).await?;
        let by_agent = known.actor() != Actor::HUMAN;
        let reply = self.call_of(known, name, request).await;
        reply.map_err(|error| match by_agent {
            true => trust::for_agent(error),
            false => error,
        })
    }

    async fn call_of(
        &self,
        known: Known,
        name: &str,
        request: ToolRequest,
    ) -> Result<Reply, Error> {
        let mut arguments = request.arguments;
        // What agents say is kept in the journal, and a secret has no place there.
        known.engine.rules().redact_json(&mut arguments);
        let call = Call::parse(name, arguments)?;
        let actor = known.actor();
        match call {
            Call::RunPlan(run) => {
                let (path, inputs) = (run.path, run.inputs);
                self.begin(&known, Request::RunPlan { path, inputs }, request.cmd_id)
                    .await
            }
            Call::TaskStart(start) => {
                let command = Request::RunTask {
                    tool: start.tool,
                    prompt: start.prompt,
                    model: start.model,
                    timeout_ms: start.timeout.map(|seconds| seconds.saturating_mul(1_000)),
                };
                self.begin(&known, command, request.cmd_id).await
            }
            Call::PlanCheck(check) => check_plan(&known, check, &self.trust).await,
            Call::TaskStatus(status) => self.task_status(&known.engine, &status.id).await,
            Call::TaskLogs(logs) => self.task_logs(&known.engine, logs).await,
            Call::TaskStop(stop) => {
                let (target, reason) = (stop.id, stop.reason);
                let text = format!("{target} is being stopped.");
                let answer = self
                    .act(&known, Request::Stop { target, reason }, request.cmd_id)
                    .await?;
                Ok(replied(text, &answer))
            }
            Call::RunStatus(status) => self.run_status(&known, status.id).await,
            Call::StopAll(stop) if stop.scope == Scope::All && known.session.task().is_some() => {
                let message = "a task's agent stops its own run or project, and not all of them";
                Err(Error::new(ErrorKind::Forbidden, message)
                    .with_help("use scope `run` or `project`"))
            }
            Call::StopAll(stop) if stop.scope != Scope::Run => {
                self.stop_more(&known, stop.scope, &stop.reason, actor)
                    .await
            }
            call @ (Call::AutonomyConfig(_)
            | Call::ShouldPush(_)
            | Call::ShouldPop(_)
            | Call::AutoSuggest(_)
            | Call::AutonomyStats(_)) => {
                let (text, data) = known.engine.autonomy(known.session, call).await?;
                Ok(Reply { text, data })
            }
            call => {
                if let Some(frame) = call.frame_named() {
                    // A frame of a run that ended long ago is read again; what names nothing is for
                    // the engine to refuse.
                    if let Ok(target) = find::target(&known.engine, frame).await {
                        find::take_up(&known.engine, target).await?;
                    }
                }
                let artifact = match &call {
                    Call::AddArtifact(add) => {
                        let (root, named) = (
                            known.engine.project().root().to_owned(),
                            add.artifact.clone(),
                        );
                        Some(pool::FILES.run(move || look_at(&root, &named)).await??)
                    }
                    _ => None,
                };
                let wait = match &call {
                    Call::RequestInput(request) => {
                        let seconds = request.timeout.unwrap_or(ANSWER_WAIT_S);
                        Some(Duration::from_secs(seconds.clamp(1, ANSWER_WAIT_MAX_S)))
                    }
                    _ => None,
                };
                let asked = Asked {
                    session: known.session.clone(),
                    actor,
                    cmd_id: request.cmd_id,
                    call,
                    artifact,
                };
                let reply = known.engine.call(asked).await?;
                match wait {
                    Some(wait) => self.answered(&known.engine, reply, wait).await,
                    None => Ok(reply),
                }
            }
        }
    }

    /// Does what a person could ask for as well.
    async fn act(
        &self,
        known: &Known,
        command: Request,
        cmd_id: Option<CmdId>,
    ) -> Result<Answer, Error> {
        let request = CommandRequest {
            cmd_id: cmd_id.map_or_else(fresh_id, Ok)?,
            project: known.engine.id().to_owned(),
            command,
        };
        self.command(request, known.actor()).await
    }

    async fn begin(
        &self,
        known: &Known,
        command: Request,
        cmd_id: Option<CmdId>,
    ) -> Result<Reply, Error> {
        let answer = self.act(known, command, cmd_id).await?;
        let run = answer.run.map(|run| run.to_string()).unwrap_or_default();
        let text = format!("{run} has begun. Follow it with run_status and task_status.");
        Ok(replied(text, &answer))
    }

    /// Waits until a human has answered.
    async fn answered(
        &self,
        engine: &Engine,
        reply: Reply,
        wait: Duration,
    ) -> Result<Reply, Error> {
        let id = reply.data["checkpoint"]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let deadline = tokio::time::Instant::now() + wait;
        let mut changes = self.feed().watch();
        loop {
            let asked = id.clone();
            let answer = engine.look(move |look| {
                let found = look.state.checkpoint(&asked);
                found.and_then(|(_, asked)| asked.answer.clone())
            });
            if let Some(answer) = answer.await? {
                let data = json!({ "checkpoint": id, "answer": answer });
                return Ok(Reply { text: answer, data });
            }
            let more = tokio::time::timeout_at(deadline, changes.changed()).await;
            if !matches!(more, Ok(Ok(()))) {
                let text = format!(
                    "Nobody has answered yet. The question ({id}) stays open: go on with what does not \
                     need the answer, and ask the same again to wait for it."
                );
                return Ok(Reply {
                    text,
                    data: json!({ "checkpoint": id, "answer": null }),
                });
            }
        }
    }

    async fn stop_more(
        &self,
        known: &Known,
        scope: Scope,
        reason: &str,
        actor: Actor,
    ) -> Result<Reply, Error> {
        let engines = match scope {
            Scope::All => self.engines().collect(),
            Scope::Run | Scope::Project => vec![std::sync::Arc::clone(&known.engine)],
        };
        let mut stopped = 0;
        for engine in engines {
            match stop_all(&engine, reason, actor.clone()).await {
                Ok(answer) => stopped += answer.moved,
                // No run of it goes on.
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Reply {
            text: format!("Stopped: {reason}. What was in progress is blocked, its work kept."),
            data: json!({ "moved": stopped }),
        })
    }

    async fn task_status(&self, engine: &Engine, id: &str) -> Result<Reply, Error> {
        let task = task_of(engine, id).await?;
        let looked = engine.look(move |look| {
            let frame = look.state.frame(task.frame)?;
            Some((look.state.task_view(task)?, frame.results.clone()))
        });
        let (view, results) = looked.await?.ok_or_else(|| gone(&task.to_string()))?;
        let mut text = format!("{task} ({}) is {}.", view.tool, view.state);
        for (what, said) in [
            ("It does", view.step.as_deref()),
            ("Why", view.error.as_deref()),
            ("Results", Some(results.as_str())),
        ] {
            if let Some(said) = said.filter(|said| !said.is_empty()) {
                text.push_str(&format!("\n{what}: {said}"));
            }
        }
        let mut data = serde_json::to_value(&view).unwrap_or_default();
        data["results"] = json!(results);
        Ok(Reply { text, data })
    }

    async fn task_logs(&self, engine: &Engine, wanted: tools::TaskLogs) -> Result<Reply, Error> {
        let task = task_of(engine, &wanted.id).await?;
        let run = find::run_of_frame(engine, task.frame).await?;
        let name = match wanted.stream.unwrap_or_default() {
            LogStream::Stdout => "stdout.log",
            LogStream::Stderr => "stderr.log",
        };
        let file = engine.project().task_dir(run, task).join(name);
        let bytes = wanted.bytes.unwrap_or(LOG_BYTES).clamp(1, LOG_BYTES_MAX);
        let (text, size) = blocking(move || end_of_file(&file, bytes))
            .await?
            .map_err(|error| {
                Error::new(
                    ErrorKind::Storage,
                    format!("the log of {task} cannot be read: {error}"),
                )
            })?;
        Ok(Reply {
            data: json!({ "task": task, "bytes": size, "shown": text.len() }),
            text,
        })
    }

    async fn run_status(&self, known: &Known, id: Option<String>) -> Result<Reply, Error> {
        let run: RunId = match id {
            Some(id) => match find::target(&known.engine, &id).await? {
                Target::Run(run) => run,
                Target::Frame(id) => find::run_of_frame(&known.engine, id).await?,
                Target::Task(id) => find::run_of_frame(&known.engine, id.frame).await?,
            },
            None => {
                let session = known.session.clone();
                let own = known.engine.look(move |look| look.state.session(&session));
                let own = own.await?.ok_or_else(|| {
                    Error::new(ErrorKind::Usage, "you work in no run").with_help("name one: `id`")
                })?;
                own.run
            }
        };
        let detail = self.run(known.engine.id(), run).await?;
        let mut text = format!("{run} ({}) is {}.\n", detail.run.name, detail.run.status);
        for frame in detail.frames.clone().rows() {
            let reason = frame
                .reason
                .map(|reason| format!(": {reason}"))
                .unwrap_or_default();
            text.push_str(&format!(
                "{} [{}] {}{reason}\n",
                frame.id, frame.status, frame.title
            ));
        }
        Ok(Reply {
            text,
            data: serde_json::to_value(&detail).unwrap_or_default(),
        })
    }
}

fn replied(text: String, answer: &Answer) -> Reply {
    Reply {
        text,
        data: serde_json::to_value(answer).unwrap_or_default(),
    }
}

fn gone(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {what}"))
}

async fn check_plan(known: &Known, check: tools::PlanCheck, trust: &Trust) -> Result<Reply, Error> {
    let root = known.engine.project().root().to_owned();
    let named_by = match known.actor() == Actor::HUMAN {
        true => NamedBy::Person,
        false => NamedBy::Agent,
    };
    let trust = trust.clone();
    let checked = pool::FILES.run(move || {
        let config = load_config(&root, &trust)?;
        let plan = load_plan(&root, Path::new(&check.path), &config, named_by)?;
        let warnings: Vec<String> = plan
            .warnings
            .iter()
            .map(fornax_plan::Diagnostic::render)
            .collect();
        Ok::<_, Error>((plan.frame_count(), warnings))
    });
    let (frames, warnings) = checked.await??;
    let text = format!(
        "The plan is right: {frames} frames.\n{}",
        warnings.join("\n")
    );
    Ok(Reply {
        text: text.trim_end().to_owned(),
        data: json!({ "frames": frames, "warnings": warnings }),
    })
}

/// What is known of an artifact: of a file in the project its size and digest; an address, or a file
/// that is not there (yet), is taken by its name.
fn look_at(root: &Path, named: &str) -> Result<Artifact, Error> {
    let named = named.trim();
    let bare = |path: &str| Artifact {
        path: path.to_owned(),
        bytes: 0,
        sha256: String::new(),
        copy: None,
    };
    if named.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            "an artifact has a path or a URL",
        ));
    }
    if named.contains("://") {
        return Ok(bare(named));
    }
    let outside = |to: &Path| {
        let message = format!("{named} leads out of the project, to {}", to.display());
        Err(Error::new(ErrorKind::Usage, message).with_help("name a file in the project, or a URL"))
    };
    let path = root.join(named);
    let Ok(real) = path.canonicalize() else {
        // It is not there yet: where it will be is all that can be told.
        return match stays_within(root, &path) {
            true => Ok(bare(named)),
            false => outside(&path),
        };
    };
    let Ok(within) = real.strip_prefix(root) else {
        return outside(&real);
    };
    let path = within.display().to_string();
    let size =
        std::fs::metadata(&real).map_or(0, |meta| if meta.is_file() { meta.len() } else { 0 });
    if size > DIGEST_MAX_BYTES || !real.is_file() {
        return Ok(Artifact {
            bytes: size,
            ..bare(&path)
        });
    }
    let (bytes, sha256) = crate::engine::digest(&real).map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("{path} cannot be read: {error}"),
        )
    })?;
    Ok(Artifact {
        bytes,
        sha256,
        ..bare(&path)
    })
}

/// Whether a path names something in the root, by its words alone.
fn stays_within(root: &Path, path: &Path) -> bool {
    let Ok(within) = path.strip_prefix(root) else {
        return false;
    };
    let mut depth = 0_i64;
    within.components().all(|part| {
        depth += match part {
            std::path::Component::ParentDir => -1,
            std::path::Component::Normal(_) => 1,
            _ => 0,
        };
        depth >= 0
    })
}

/// The end of a file as text, and the file's size; nothing where there is no file yet.
fn end_of_file(path: &Path, bytes: u64) -> std::io::Result<(String, u64)> {
    let folder = path.parent().unwrap_or(path);
    let name = path.strip_prefix(folder).unwrap_or(path);
    let mut file = match open_beneath(folder, name) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((String::new(), 0));
        }
        Err(error) => return Err(error),
    };
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    Ok((String::from_utf8_lossy(&end).into_owned(), size))
}
