//! The routes of a task's logs: as bytes, by line, searched, and both as one.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use fornax_core::view::TaskView;
use serde::Deserialize;
use serde_json::json;

use super::super::App;
use super::super::answer::{Fail, Path, Query, usage};
use super::super::backend::Backend;
use super::super::files::{self, Kind, ReadAt};
use super::lines::{LineCounts, LineStart, LogKey};
use super::merged::{self, Merged};
use super::search::{Pattern, Search};
use super::{Follow, follow, give_of, no_file, open, task_over};
use crate::home::storage;

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
        Some(Log { log, size, .. }) => give_of(log, size, &headers, text),
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
