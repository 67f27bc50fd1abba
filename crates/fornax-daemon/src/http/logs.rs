//! The routes that give files: logs, events, artifacts.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{RunId, TaskId};
use fornax_core::view::TaskView;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::App;
use super::answer::{Fail, Path, Query, usage};
use super::api::OfProject;
use super::backend::Backend;
use super::files::{self, Growing, Kind, ReadAt};
use super::range::{self, Wanted};
use crate::feed::{Feed, Published, TooOld, is_over};
use crate::home::storage;

mod lines;
mod merged;
mod search;
mod shown;

pub(crate) use lines::LineCounts;
pub(crate) use merged::Merged;

use lines::{LineStart, LogKey};
use search::{Pattern, Search};

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

/// Which log of a task is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    One(&'static str),
    Merged,
}

/// A task's log as it is at a moment.
struct Log {
    log: Arc<dyn ReadAt>,
    size: u64,
    key: LogKey,
}

fn which(stream: &str) -> Result<Which, Fail> {
    match stream {
        "stdout" => Ok(Which::One("stdout.log")),
        "stderr" => Ok(Which::One("stderr.log")),
        "merged" => Ok(Which::Merged),
        _ => Err(usage(
            "a task has the logs stdout and stderr, and both as merged",
        )),
    }
}

/// The task, and its log as it is now; none where the task has not started.
async fn log_of<B: Backend>(
    app: &App<B>,
    project: &str,
    task: &str,
    which: Which,
) -> Result<(TaskView, PathBuf, Option<Log>), Fail> {
    let (task, dir) = app.backend.task(project, task).await?;
    let log = match which {
        Which::One(name) => {
            let file = open(&dir, name).await?;
            file.map(|file| Log::of_file(&dir, name, file)).transpose()
        }
        Which::Merged => merged_of(&dir, task.state.is_over())
            .await?
            .map(|(merged, inode)| {
                Ok(Log {
                    size: merged.size(),
                    log: Arc::new(merged),
                    key: (dir.clone(), "merged", inode),
                })
            })
            .transpose(),
    };
    let log = log.map_err(|error| storage("read", &dir, &error))?;
    Ok((task, dir, log))
}

/// Both logs as one, and the number of the first one's file; none where the task has not started.
async fn merged_of(dir: &FilePath, over: bool) -> Result<Option<(Merged, u64)>, Fail> {
    let of = dir.to_owned();
    let merged = files::on_disk(move || {
        let logs = merged::open_logs(&of)?;
        let inode = logs[0].as_ref().map(|log| log.metadata()).transpose()?;
        let merged = Merged::open(&of, logs, over)?;
        Ok(inode.map(|inode| (merged, inode.ino())))
    });
    merged.await.map_err(|error| no_file(dir, &error))
}

impl Log {
    fn of_file(dir: &FilePath, name: &'static str, file: File) -> io::Result<Log> {
        let about = file.metadata()?;
        Ok(Log {
            log: Arc::new(file),
            size: about.len(),
            key: (dir.to_owned(), name, about.ino()),
        })
    }
}

/// `GET /api/tasks/{task}/logs/{stream}`
pub(crate) async fn log<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Path((task, stream)): Path<(String, String)>,
    Query(query): Query<Follow>,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let which = which(&stream)?;
    let (task, dir, log) = log_of(&app, &query.project, &task, which).await?;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    if query.follow {
        let over = task_over(Arc::clone(&app), query.project, task.id);
        let kind = match which {
            Which::One(name) => Kind::Bytes(name),
            Which::Merged => Kind::Merged,
        };
        let body = follow(&app, dir, kind, query.offset, over);
        return Ok(([(header::CONTENT_TYPE, text)], body).into_response());
    }
    if query.offset > 0 {
        return Err(usage(
            "`offset` goes with `follow=true`; else use the header `Range`",
        ));
    }
    // A task that has not started has written nothing yet.
    match log {
        Some(Log { log, size, .. }) => give(log, size, &headers, text),
        None => Ok(([(header::CONTENT_TYPE, text)], "").into_response()),
    }
}

/// A line by its number, or by a byte in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfLine {
    project: String,
    line: Option<u64>,
    offset: Option<u64>,
}

/// `GET /api/tasks/{task}/logs/{stream}/line`
pub(crate) async fn line<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Path((task, stream)): Path<(String, String)>,
    Query(query): Query<OfLine>,
) -> Result<Response, Fail> {
    let (_, dir, log) = log_of(&app, &query.project, &task, which(&stream)?).await?;
    let nothing = || LineStart { line: 1, offset: 0 };
    let found = match (query.line, query.offset, log) {
        (Some(line @ 1..), None, Some(Log { log, size, key })) => {
            app.line_counts.start_of(key, log, size, line).await
        }
        (None, Some(offset), Some(Log { log, size, key })) => {
            let line = app.line_counts.line_of(key, log, size, offset).await;
            line.map(|line| LineStart {
                line,
                offset: offset.min(size),
            })
        }
        (Some(1..), None, None) | (None, Some(_), None) => Ok(nothing()),
        _ => return Err(usage("either `line`, from 1 on, or `offset`")),
    };
    let LineStart { line, offset } = found.map_err(|error| storage("read", &dir, &error))?;
    Ok(Json(json!({ "line": line, "offset": offset })).into_response())
}

/// What is looked for in a log, and from where on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookFor {
    project: String,
    pattern: String,
    #[serde(default)]
    regex: bool,
    ignore_case: Option<bool>,
    #[serde(default)]
    offset: u64,
    #[serde(default = "hits")]
    limit: u64,
}

fn hits() -> u64 {
    1_000
}

const HITS_MAX: u64 = 10_000;

/// `GET /api/tasks/{task}/logs/{stream}/search`
pub(crate) async fn search<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Path((task, stream)): Path<(String, String)>,
    Query(query): Query<LookFor>,
) -> Result<Response, Fail> {
    let pattern = Pattern::new(&query.pattern, query.regex, query.ignore_case)?;
    if !(1..=HITS_MAX).contains(&query.limit) {
        return Err(usage(format!("`limit` is 1 to {HITS_MAX}")));
    }
    let (_, dir, log) = log_of(&app, &query.project, &task, which(&stream)?).await?;
    let (log, size, from) = match log {
        Some(Log { log, size, key }) => {
            let from = from_line(&app.line_counts, key, &log, size, query.offset);
            let from = from.await.map_err(|error| storage("read", &dir, &error))?;
            (log, size, from)
        }
        None => (
            Arc::new(Merged::default()) as _,
            0,
            LineStart { line: 1, offset: 0 },
        ),
    };
    let found = Search::new(log, size, pattern, query.limit, from).stream();
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], found).into_response())
}

/// The first line that begins at a place or behind it.
async fn from_line(
    counts: &LineCounts,
    key: LogKey,
    log: &Arc<dyn ReadAt>,
    size: u64,
    offset: u64,
) -> io::Result<LineStart> {
    let Some(before) = offset.min(size).checked_sub(1) else {
        return Ok(LineStart { line: 1, offset: 0 });
    };
    let line = counts.line_of(key.clone(), Arc::clone(log), size, before);
    let next = line.await? + 1;
    let found = counts.start_of(key, Arc::clone(log), size, next).await?;
    // Behind the last line nothing is left to search.
    Ok(if found.line == next {
        found
    } else {
        LineStart {
            line: next,
            offset: size,
        }
    })
}

/// A stretch of the merged log.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    project: String,
    from: u64,
    to: u64,
}

/// Longer stretches are not described at once.
const STRETCH_MAX_BYTES: u64 = 1 << 20;

/// `GET /api/tasks/{task}/logs/merged/streams`
pub(crate) async fn streams<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Path(task): Path<String>,
    Query(query): Query<Stretch>,
) -> Result<Response, Fail> {
    let Stretch { from, to, .. } = query;
    if !(from..=from.saturating_add(STRETCH_MAX_BYTES)).contains(&to) {
        let what = format!("`to` is not before `from`, and {STRETCH_MAX_BYTES} behind it at most");
        return Err(usage(what));
    }
    let (task, dir) = app.backend.task(&query.project, &task).await?;
    let merged = merged_of(&dir, task.state.is_over()).await?;
    let merged = merged.map(|(merged, _)| merged).unwrap_or_default();
    let runs = merged.runs_from(from).take_while(|run| run.at < to);
    let of_stderr = runs.filter(|run| run.which == 1);
    let clipped = of_stderr.map(|run| [run.at.max(from), (run.at + run.length).min(to)]);
    let told = json!({
        "stderr": clipped.collect::<Vec<_>>(),
        "size": merged.size(),
        "ordered_to": merged.ordered_to(),
    });
    Ok(Json(told).into_response())
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

/// `GET /api/tasks/{task}/artifacts/{name}`
pub(crate) async fn artifact<B: Backend>(
    State(app): State<Arc<App<B>>>,
    Path((task, name)): Path<(String, String)>,
    Query(query): Query<OfProject>,
    headers: HeaderMap,
) -> Result<Response, Fail> {
    let (task, dir) = app.backend.task(&query.project, &task).await?;
    let Some(file) = open(&dir.join("artifacts"), &name).await? else {
        let what = format!("the task {} has no artifact `{name}`", task.id);
        return Err(Error::new(ErrorKind::NotFound, what).into());
    };
    let bytes = HeaderValue::from_static("application/octet-stream");
    let size = file.metadata().map(|about| about.len());
    let size = size.map_err(|error| storage("read", &dir, &error))?;
    let mut response = give(Arc::new(file), size, &headers, bytes)?;
    let called = name.rsplit('/').next().unwrap_or_default();
    let called = utf8_percent_encode(called, NON_ALPHANUMERIC);
    let download = HeaderValue::try_from(format!("attachment; filename*=UTF-8''{called}"))
        .map_err(|error| usage(error.to_string()))?;
    response
        .headers_mut()
        .insert(header::CONTENT_DISPOSITION, download);
    Ok(response)
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

/// A file of this size, or the part of it that the request wants.
fn give(
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
