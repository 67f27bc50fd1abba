//! The routes that give files: logs, events, artifacts.

use std::fs::File;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{RunId, TaskId};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::watch;

use super::App;
use super::answer::{Fail, Path, Query, usage};
use super::backend::Backend;
use super::files::{self, Growing, Kind, ReadAt};
use super::images;
use super::range::{self, Wanted};
use crate::feed::{Feed, Published, TooOld, is_over};
use crate::home::storage;

mod lines;
mod merged;
mod of_task;
mod search;
mod shown;

pub(crate) use lines::LineCounts;
pub(crate) use merged::Merged;
pub(crate) use of_task::{line, log, search, streams};

/// Which part of a file, and whether to stay.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Follow {
    project: String,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    follow: bool,
}

/// `GET /api/runs/{run}/events`
pub(crate) async fn events<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Path(run): Path<RunId>,
    Query(query): Query<Follow>,
) -> Result<Response, Fail> {
    const NAME: &str = "events.jsonl";
    let dir = app.backend.run_dir(&query.project, run).await?;
    let mut file = open(&dir, NAME).await?;
    if query.offset > 0 {
        file = match file {
            Some(file) => Some(at_line_start(file, query.offset).await?),
            None => return Err(not_a_line(query.offset)),
        };
    }
    let body = if query.follow {
        let over = run_over(Arc::clone(&app), query.project, run);
        follow(&app, dir, Kind::Lines(NAME), query.offset, over)
    } else {
        file.map_or_else(Body::empty, |file| files::lines(file, query.offset))
    };
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Which artifact, and whether it is to be looked at in the page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preview {
    project: String,
    /// An image is given as one, for the page to show; anything else is a download as ever.
    #[serde(default)]
    preview: bool,
}

/// `GET /api/tasks/{task}/artifacts/{name}`
pub(crate) async fn artifact<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Path((task, name)): Path<(String, String)>,
    Query(query): Query<Preview>,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let (task, dir) = app.backend.task(&query.project, &task).await?;
    let Some(file) = open(&dir.join("artifacts"), &name).await? else {
        let what = format!("the task {} has no artifact `{name}`", task.id);
        return Err(Error::new(ErrorKind::NotFound, what).into());
    };
    let (file, image) = match query.preview {
        true => sniff(file).await?,
        false => (file, None),
    };
    let kind = HeaderValue::from_static(image.unwrap_or("application/octet-stream"));
    let mut response = give(file, &headers, kind).await?;
    let fields = response.headers_mut();
    // Whoever opens it by its address gets a document that can do nothing.
    fields.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    if image.is_some() {
        return Ok(response);
    }
    let called = name.rsplit('/').next().unwrap_or_default();
    let called = utf8_percent_encode(called, NON_ALPHANUMERIC);
    let download = HeaderValue::try_from(format!("attachment; filename*=UTF-8''{called}"))
        .map_err(|error| usage(error.to_string()))?;
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, download);
    Ok(response)
}

/// What an artifact may do in a browser, whatever it is: nothing.
const SANDBOX: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
/// The file, and the kind of image that it is by its first bytes: its name, which an agent chose, is
/// not asked.
async fn sniff(file: File) -> Result<(File, Option<&'static str>), Fail> {
    let read = files::on_disk(move || {
        let mut begin = [0; images::SNIFFED_BYTES];
        let read = ReadAt::read_at(&file, &mut begin, 0)?;
        Ok((file, begin, read))
    });
    let (file, begin, read) = read
        .await
        .map_err(|error| storage("read", "the artifact".as_ref(), &error))?;
    Ok((file, images::kind(&begin[..read])))
}

/// A file of a task or a run; none where it is not there.
async fn open(dir: &FilePath, name: &str) -> Result<Option<File>, Fail> {
    let (dir, name) = (dir.to_owned(), PathBuf::from(name));
    let path = dir.join(&name);
    match files::on_disk(move || files::open_beneath(&dir, &name)).await {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(no_file(&path, &error)),
    }
}

fn no_file(path: &FilePath, error: &io::Error) -> Fail {
    if error.kind() == io::ErrorKind::InvalidInput {
        let what = format!("{}: {error}", path.display());
        return Error::new(ErrorKind::NotFound, what).into();
    }
    storage("open", path, error).into()
}

/// A file, or the part of it that the request wants.
async fn give(file: File, headers: &HeaderMap, kind: HeaderValue) -> Result<Response, Fail> {
    let size = file
        .metadata()
        .map_err(|error| storage("read", "".as_ref(), &error))?
        .len();
    give_of(Arc::new(file), size, headers, kind)
}

/// The same of whatever is read from and of this size.
fn give_of(
    file: Arc<dyn ReadAt>,
    size: u64,
    headers: &HeaderMap,
    kind: HeaderValue,
) -> Result<Response, Fail> {
    // Files here have no validators, so that a condition on one never holds.
    let conditional = headers.contains_key(header::IF_RANGE);
    let asked = headers.get(header::RANGE).filter(|_| !conditional);
    let asked = asked.and_then(|value| value.to_str().ok());
    let (status, part, content_range) = match range::wanted(asked, size) {
        Wanted::All => (StatusCode::OK, 0..size, None),
        Wanted::Part(part) => {
            let range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            (StatusCode::PARTIAL_CONTENT, part, Some(range))
        }
        Wanted::Nothing => {
            let range = format!("bytes */{size}");
            let headers = [(header::CONTENT_RANGE, range)];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let mut fields: Vec<(HeaderName, HeaderValue)> = vec![
        (header::CONTENT_TYPE, kind),
        (header::ACCEPT_RANGES, HeaderValue::from_static("bytes")),
        (header::CONTENT_LENGTH, (part.end - part.start).into()),
    ];
    if let Some(range) = content_range {
        let range = HeaderValue::try_from(range).map_err(|error| usage(error.to_string()))?;
        fields.push((header::CONTENT_RANGE, range));
    }
    let mut response = (status, files::part(file, part)).into_response();
    response.headers_mut().extend(fields);
    Ok(response)
}

/// The file, where one of its lines begins at `offset`.
async fn at_line_start(file: File, offset: u64) -> Result<File, Fail> {
    use std::os::unix::fs::FileExt;
    let mut before = [0];
    let read = files::on_disk(move || {
        file.read_exact_at(&mut before, offset - 1)?;
        Ok((file, before))
    });
    match read.await {
        Ok((file, [b'\n'])) => Ok(file),
        Ok(_) => Err(not_a_line(offset)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(not_a_line(offset)),
        Err(error) => Err(storage("read", "events.jsonl".as_ref(), &error).into()),
    }
}

fn not_a_line(offset: u64) -> Fail {
    usage(format!("no line begins at byte {offset}; begin at 0"))
}

fn follow<B: Backend>(
    app: &Arc<App<B>>,
    dir: PathBuf,
    kind: Kind,
    offset: u64,
    over: impl Future<Output = ()> + Send + 'static,
) -> Body {
    Growing {
        dir,
        kind,
        offset,
        over: Box::pin(over),
        closing: app.closing.subscribe(),
        watches: Arc::clone(&app.watches),
    }
    .follow()
}

/// Ends when the task is over, or is not known any more.
async fn task_over<B: Backend>(app: Arc<App<B>>, project: String, task: TaskId) {
    let feed = app.backend.feed();
    let mut ahead = Ahead::of(feed);
    loop {
        match app.backend.task(&project, &task.to_string()).await {
            Ok((task, _)) if !task.state.is_over() => {}
            _ => return,
        }
        ahead
            .of_hint(feed, |change| change.tasks_over.contains(&task))
            .await;
    }
}

/// Ends when the run has ended, or is not known any more.
async fn run_over<B: Backend>(app: Arc<App<B>>, project: String, run: RunId) {
    let feed = app.backend.feed();
    let mut ahead = Ahead::of(feed);
    loop {
        match app.backend.run(&project, run).await {
            Ok(detail) if !is_over(detail.run.status) => {}
            _ => return,
        }
        ahead
            .of_hint(feed, |change| change.runs_over.contains(&run))
            .await;
    }
}

/// Reads ahead in the feed to learn when it is worth to ask again. Made before the first question,
/// so that no change falls between.
struct Ahead {
    head: watch::Receiver<u64>,
    cursor: u64,
}

impl Ahead {
    fn of(feed: &Feed) -> Ahead {
        Ahead {
            head: feed.watch(),
            cursor: feed.head(),
        }
    }

    /// Ends after a change that hints at what is waited for, or that was missed. Only a hint: ids
    /// are a project's own, and another project's change may name the same.
    async fn of_hint(&mut self, feed: &Feed, hints: impl Fn(&Published) -> bool) {
        loop {
            match feed.after(self.cursor) {
                Err(TooOld) => {
                    self.cursor = feed.head();
                    return;
                }
                Ok(batch) if batch.is_empty() => {
                    if self.head.changed().await.is_err() {
                        return;
                    }
                }
                Ok(batch) => {
                    self.cursor += batch.len() as u64;
                    if batch.iter().any(|change| hints(change)) {
                        return;
                    }
                }
            }
        }
    }
}
