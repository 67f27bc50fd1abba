//! `logs`: what a task wrote.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::view::{ProjectView, RunDetail, TaskView};
use fornax_daemon::files::open_beneath;

use super::Context;
use crate::cli::Logs;
use crate::daemon::{Daemon, Log, Stream};
use crate::failure::{Failure, Outcome, fail};
use crate::log_text::LogText;
use crate::out::{self, BOLD, paint};
use crate::render::time;
use crate::target::Target;

/// How much is read at once when the end of a log is looked for, in bytes.
const STEP_BYTES: usize = 64 << 10;
/// How many lines are asked for at once.
const HITS_MAX: usize = 10_000;
/// How many tasks an advice names.
const NAMED_MAX: usize = 10;

pub async fn logs(context: &Context, args: Logs) -> Outcome {
    let (daemon, project) = context.project().await?;
    let target = Target::find(&daemon, &project, &args.id).await?;
    let tasks = chosen(&daemon, &project, target, args.since).await?;
    if tasks.is_empty() {
        out::note("no task of it was running within that time");
    }
    if args.follow && tasks.len() > 1 {
        let help = format!("follow one of them:\n{}", listed(&tasks));
        return fail(
            ErrorKind::Usage,
            "several tasks cannot be followed at once",
            help,
        );
    }
    let many = tasks.len() > 1;
    for task in tasks {
        if many {
            out::print(&paint(BOLD, &format!("==> {} <==", task.id)))?;
        }
        let log = Log {
            run: task.run,
            task: task.id,
            stream: match (args.stderr, args.both) {
                (_, true) => Stream::Merged,
                (true, _) => Stream::Stderr,
                _ => Stream::Stdout,
            },
        };
        match &args.grep {
            Some(text) => find(&daemon, &project, &log, (text, args.regex)).await?,
            None => print(&daemon, &project, &log, &args).await?,
        }
    }
    Ok(0)
}

/// The tasks whose logs are meant.
async fn chosen(
    daemon: &Daemon,
    project: &ProjectView,
    target: Target,
    since_ms: Option<u64>,
) -> Result<Vec<TaskView>, Failure> {
    let tasks = match target {
        Target::Task(task) => vec![daemon.task(project, &task.to_string()).await?.task],
        Target::Frame(detail) => match detail.tasks.last() {
            Some(task) => vec![task.clone()],
            None => {
                let message = format!("{} has had no task yet", detail.frame.id);
                return fail(
                    ErrorKind::NotFound,
                    message,
                    "`fornax show` says what it waits for",
                );
            }
        },
        Target::Run(run) => {
            let detail = daemon.run(project, run).await?;
            match since_ms {
                Some(_) => detail.tasks.rows().collect(),
                None => vec![the_one(detail)?],
            }
        }
    };
    let Some(since_ms) = since_ms else {
        return Ok(tasks);
    };
    let since = time::now_ms() - i64::try_from(since_ms).unwrap_or(i64::MAX);
    let ran = |task: &TaskView| {
        task.started_ms.is_some() && task.ended_ms.is_none_or(|ended| ended >= since)
    };
    Ok(tasks.into_iter().filter(ran).collect())
}

/// The only task of a run, or the only one that runs.
fn the_one(detail: RunDetail) -> Result<TaskView, Failure> {
    let run = detail.run.id;
    let all: Vec<_> = detail.tasks.rows().collect();
    let running: Vec<_> = all.iter().filter(|task| task.state.has_process()).collect();
    match (running.as_slice(), all.as_slice()) {
        ([one], _) => Ok((*one).clone()),
        (_, [one]) => Ok(one.clone()),
        (_, []) => fail(
            ErrorKind::NotFound,
            format!("{run} has had no task yet"),
            format!("`fornax tree {run}` shows what it waits for"),
        ),
        (several, all) => {
            let some: Vec<_> = if several.is_empty() {
                all.to_vec()
            } else {
                several.iter().map(|task| (*task).clone()).collect()
            };
            let message = format!("{run} has {} tasks", all.len());
            fail(
                ErrorKind::Usage,
                message,
                format!("name one of them:\n{}", listed(&some)),
            )
        }
    }
}

fn listed(tasks: &[TaskView]) -> String {
    let mut lines: Vec<_> = tasks
        .iter()
        .rev()
        .take(NAMED_MAX)
        .map(|task| format!("  {}  {}", task.id, task.state))
        .collect();
    if tasks.len() > NAMED_MAX {
        lines.push(format!("  and {} more", tasks.len() - NAMED_MAX));
    }
    lines.join("\n")
}

/// Prints the lines in which a text is found, with their numbers.
async fn find(
    daemon: &Daemon,
    project: &ProjectView,
    log: &Log,
    what: (&str, bool),
) -> Result<(), Failure> {
    let mut from = 0;
    loop {
        let hits = daemon.find(project, log, what, from, HITS_MAX).await?;
        for hit in &hits {
            let number = paint(BOLD, &hit.line.to_string());
            out::print(&format!("{number}:{}", hit.text))?;
        }
        match hits.last() {
            Some(last) if hits.len() == HITS_MAX => from = last.offset + 1,
            _ => break,
        }
    }
    Ok(())
}

async fn print(
    daemon: &Daemon,
    project: &ProjectView,
    log: &Log,
    args: &Logs,
) -> Result<(), Failure> {
    // What is not read by a person is passed on as it is.
    let mut fit = out::is_terminal().then(|| LogText::new(out::has_color()));
    let mut write = |bytes: &[u8]| match &mut fit {
        Some(fit) => out::raw(fit.push(bytes).as_bytes()),
        None => out::raw(bytes),
    };
    let mut from = 0;
    if let Some(lines) = args.tail {
        from = tail(&log.file(project)?, lines, &mut write)?;
    }
    if args.follow || args.tail.is_none() {
        let mut body = daemon.log(project, log, from, args.follow).await?;
        while let Some(bytes) = body.next().await? {
            write(&bytes)?;
        }
    }
    match &mut fit {
        Some(fit) => out::raw(fit.finish().as_bytes()),
        None => Ok(()),
    }
}

/// Writes the last so many lines of a file, and tells where they end.
fn tail(
    path: &Path,
    lines: u64,
    mut write: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let cannot = |error: io::Error| {
        Error::new(
            ErrorKind::Storage,
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let folder = path.parent().unwrap_or(path);
    let name = path.strip_prefix(folder).unwrap_or(path);
    // A task may have put anything in the place of its log.
    let file = match open_beneath(folder, name) {
        // A task that has not started has written nothing yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        file => file.map_err(cannot)?,
    };
    let size = file.metadata().map_err(cannot)?.len();
    let mut at = tail_begins(&file, size, lines).map_err(cannot)?;
    let mut block = vec![0; STEP_BYTES];
    while at < size {
        let count = file.read_at(&mut block, at).map_err(cannot)?;
        if count == 0 {
            break;
        }
        write(&block[..count])?;
        at += count as u64;
    }
    Ok(at)
}

/// Where the last so many lines begin. Reads backwards from the end, no further than it needs to.
fn tail_begins(file: &File, size: u64, lines: u64) -> io::Result<u64> {
    if lines == 0 {
        return Ok(size);
    }
    let mut found = 0;
    let mut block = vec![0; STEP_BYTES];
    let mut end = size;
    while end > 0 {
        let begin = end.saturating_sub(STEP_BYTES as u64);
        let block = &mut block[..(end - begin) as usize];
        file.read_exact_at(block, begin)?;
        for (at, _) in block
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n')
        {
            let next = begin + at as u64 + 1;
            // The newline at the very end does not begin another line.
            found += u64::from(next < size);
            if found == lines {
                return Ok(next);
            }
        }
        end = begin;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &str, lines: u64) -> String {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("stdout.log");
        std::fs::write(&path, text).unwrap();
        let mut written = Vec::new();
        let end = tail(&path, lines, |bytes| {
            written.extend_from_slice(bytes);
            Ok(())
        });
        assert_eq!(end.unwrap(), text.len() as u64);
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn the_last_lines_are_whole() {
        assert_eq!(last("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(last("a\nb\nc", 2), "b\nc");
        assert_eq!(last("a\nb", 9), "a\nb");
        assert_eq!(last("a\n\n", 1), "\n");
        assert_eq!(last("a", 0), "");
        assert_eq!(last("", 3), "");
        let long = "x".repeat(3 * STEP_BYTES);
        assert_eq!(last(&format!("a\n{long}\nb\n"), 2), format!("{long}\nb\n"));
    }

    #[test]
    fn a_log_that_is_not_there_is_empty() {
        let written = tail(Path::new("/nowhere/stdout.log"), 3, |_| unreachable!());
        assert_eq!(written.unwrap(), 0);
    }
}
