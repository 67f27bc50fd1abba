//! The routes that answer with JSON.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::RunId;
use fornax_core::record::Actor;
use fornax_core::request::CommandRequest;
use fornax_core::view::{Answer, CandidateView, FrameDetail, ProjectView, RunDetail, Snapshot};
use serde::{Deserialize, Serialize};

use super::answer::{Fail, Input, Path, Query, Trace, usage};
use super::auth::Sender;
use super::backend::{Backend, Ingested, RunPage, Status, TaskDetail};
use super::{App, files, now_ms};
use crate::home::storage;
use crate::hub::Relocation;
use crate::protocol::PROTOCOL;
use crate::tools::Found;
use crate::trust::{Decision, Review};

/// How many runs a page has where the request does not say.
const RUNS_DEFAULT: usize = 50;
/// How many runs a page has at most.
const RUNS_MAX: usize = 500;
/// The largest `task.json` or `exit.json` that is shown.
const RECORD_MAX_BYTES: u64 = 1 << 20;

/// What only a person does.
const TRUSTS: &str = "decides what is trusted";

type Site<B> = State<Arc<App<B>>>;
type Reply<T> = Result<Json<T>, Fail>;

/// Which project.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfProject {
    pub project: String,
}

/// `GET /api/status`
pub(crate) async fn status<B: Backend>(State(app): Site<B>) -> Json<Status> {
    Json(Status {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        url: app.auth.url().to_owned(),
        epoch: app.backend.feed().epoch().to_owned(),
        started_ms: app.started_ms,
        projects: app.backend.status().await,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    dir: PathBuf,
    /// What a person says of a project whose old place is gone.
    #[serde(default)]
    relocation: Option<Relocation>,
}

/// `POST /api/projects`
pub(crate) async fn register<B: Backend>(
    State(app): Site<B>,
    Extension(sender): Extension<Sender>,
    Input(body): Input<Register>,
) -> Reply<ProjectView> {
    absolute(&body.dir)?;
    if body.relocation.is_some() {
        sender.require_person(TRUSTS).await?;
    }
    Ok(Json(
        app.backend.register(&body.dir, body.relocation).await?,
    ))
}

/// `GET /api/runs/{run}/acceptance`: what accepting a read-only run would execute.
pub(crate) async fn candidate<B: Backend>(
    State(app): Site<B>,
    Path(run): Path<RunId>,
    Query(query): Query<OfProject>,
) -> Reply<CandidateView> {
    Ok(Json(app.backend.candidate(&query.project, run).await?))
}

/// A read-only run that a person accepts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    /// Which records the person was shown.
    digest: String,
}

/// `POST /api/runs/{run}/acceptance`
pub(crate) async fn accept<B: Backend>(
    State(app): Site<B>,
    Extension(sender): Extension<Sender>,
    Path(run): Path<RunId>,
    Query(query): Query<OfProject>,
    Input(body): Input<Accept>,
) -> Result<StatusCode, Fail> {
    sender.require_person(TRUSTS).await?;
    let accepted = app.backend.accept(&query.project, run, body.digest);
    accepted.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/projects/{id}`
pub(crate) async fn forget<B: Backend>(
    State(app): Site<B>,
    Path(project): Path<String>,
) -> Result<StatusCode, Fail> {
    app.backend.forget(&project).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfDirectory {
    dir: Option<PathBuf>,
}

/// `GET /api/trust`: what the configuration in a directory executes and where it stands; without a
/// directory, all decisions.
pub(crate) async fn review<B: Backend>(
    State(app): Site<B>,
    Query(of): Query<OfDirectory>,
) -> Result<Response, Fail> {
    Ok(match of.dir {
        Some(dir) => Json(app.backend.review(absolute(&dir)?).await?).into_response(),
        None => Json(app.backend.decided().await?).into_response(),
    })
}

/// `POST /api/trust`: a person's decision.
pub(crate) async fn decide<B: Backend>(
    State(app): Site<B>,
    Extension(sender): Extension<Sender>,
    Input(decision): Input<Decision>,
) -> Reply<Review> {
    sender.require_person(TRUSTS).await?;
    absolute(decision.dir())?;
    Ok(Json(app.backend.decide(decision).await?))
}

fn absolute(dir: &std::path::Path) -> Result<&std::path::Path, Fail> {
    match dir.is_absolute() {
        true => Ok(dir),
        false => Err(usage(format!(
            "`{}` is not an absolute path",
            dir.display()
        ))),
    }
}

/// `GET /api/projects/{id}/tools`
pub(crate) async fn tools<B: Backend>(
    State(app): Site<B>,
    Path(project): Path<String>,
) -> Reply<Vec<Found>> {
    Ok(Json(app.backend.tools_of(&project).await?))
}

/// `GET /api/snapshot`
pub(crate) async fn snapshot<B: Backend>(State(app): Site<B>) -> Json<Snapshot> {
    Json(app.backend.snapshot().await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Runs {
    project: String,
    before: Option<RunId>,
    limit: Option<usize>,
}

/// `GET /api/runs`
pub(crate) async fn runs<B: Backend>(
    State(app): Site<B>,
    Query(query): Query<Runs>,
) -> Reply<RunPage> {
    let limit = query.limit.unwrap_or(RUNS_DEFAULT);
    if !(1..=RUNS_MAX).contains(&limit) {
        return Err(usage(format!("`limit` must be 1 to {RUNS_MAX}")));
    }
    Ok(Json(
        app.backend
            .runs(&query.project, query.before, limit)
            .await?,
    ))
}

/// `GET /api/runs/{run}`
pub(crate) async fn run<B: Backend>(
    State(app): Site<B>,
    Path(run): Path<RunId>,
    Query(query): Query<OfProject>,
) -> Reply<RunDetail> {
    Ok(Json(app.backend.run(&query.project, run).await?))
}

/// `GET /api/frames/{frame}`
pub(crate) async fn frame<B: Backend>(
    State(app): Site<B>,
    Path(frame): Path<String>,
    Query(query): Query<OfProject>,
) -> Reply<FrameDetail> {
    Ok(Json(app.backend.frame(&query.project, &frame).await?))
}

/// `GET /api/tasks/{task}`
pub(crate) async fn task<B: Backend>(
    State(app): Site<B>,
    Path(task): Path<String>,
    Query(query): Query<OfProject>,
) -> Reply<TaskDetail> {
    let (task, dir) = app.backend.task(&query.project, &task).await?;
    Ok(Json(TaskDetail {
        task,
        record: record(dir.clone(), "task.json").await?,
        exit: record(dir, "exit.json").await?,
    }))
}

async fn record(dir: PathBuf, name: &'static str) -> Result<Option<serde_json::Value>, Error> {
    let path = dir.join(name);
    let text = files::on_disk(move || {
        let mut text = String::new();
        let file = files::open_beneath(&dir, name.as_ref())?;
        file.take(RECORD_MAX_BYTES).read_to_string(&mut text)?;
        Ok(text)
    });
    match text.await {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| {
            Error::new(ErrorKind::Damaged, format!("{}: {error}", path.display()))
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(storage("read", &path, &error)),
    }
}

/// `POST /api/commands`
pub(crate) async fn command<B: Backend>(
    State(app): Site<B>,
    Input(request): Input<CommandRequest>,
) -> Reply<Answer> {
    Ok(Json(app.backend.command(request, Actor::HUMAN).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfRun {
    project: String,
    run: RunId,
}

/// `POST /api/trace`
pub(crate) async fn trace<B: Backend>(
    State(app): Site<B>,
    Query(query): Query<OfRun>,
    Trace(body): Trace,
) -> Reply<Ingested> {
    Ok(Json(
        app.backend.trace(&query.project, query.run, body).await?,
    ))
}

/// Answer of `POST /api/login-links`.
#[derive(Serialize)]
pub(crate) struct LoginLink {
    url: String,
}

/// `POST /api/login-links`
pub(crate) async fn login_link<B: Backend>(
    State(app): Site<B>,
    Extension(sender): Extension<Sender>,
) -> Reply<LoginLink> {
    // A browser that is logged in speaks for a person.
    if let Sender::Process(_) = sender {
        sender.require_person("logs a browser in").await?;
    }
    let url = app.auth.new_login(now_ms())?;
    Ok(Json(LoginLink { url }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    stop_tasks: bool,
}

/// `POST /api/shutdown`
pub(crate) async fn shutdown<B: Backend>(
    State(app): Site<B>,
    Input(body): Input<Shutdown>,
) -> StatusCode {
    app.backend.shutdown(body.stop_tasks).await;
    StatusCode::ACCEPTED
}
