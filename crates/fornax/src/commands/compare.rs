//! `compare`: two runs side by side, frame by frame.

use std::collections::BTreeMap;
use std::path::Path;

use fornax_core::agent::Usage;
use fornax_core::error::{EXIT_DONE, Error, ErrorKind};
use fornax_core::ids::{FrameId, RunId};
use fornax_core::view::{FrameDetail, ProjectView, RunView, TaskView};
use fornax_daemon::git::Git;
use serde::Serialize;

use super::Context;
use crate::cli::Compare;
use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome, fail};
use crate::out::{self, BOLD, DIM, paint};
use crate::render::table::Table;
use crate::render::{time, usage};
use crate::target::run_or_newest;
use crate::text::{one_line, safe};

/// The longest difference that is shown of one file, in bytes.
const DIFF_MAX_BYTES: usize = 256 * 1024;

/// Two runs.
#[derive(Serialize)]
struct Comparison {
    one: RunView,
    other: RunView,
    frames: Vec<Pair>,
}

/// The frames of both that have the same key.
#[derive(Serialize)]
struct Pair {
    key: String,
    one: Option<Side>,
    other: Option<Side>,
    /// Differences of results and artifacts, as unified diffs.
    differences: Vec<Difference>,
}

/// One frame of one run.
#[derive(Serialize)]
struct Side {
    frame: FrameId,
    status: String,
    tool: Option<String>,
    model: Option<String>,
    tool_version: Option<String>,
    commit: Option<String>,
    attempts: usize,
    duration_ms: Option<i64>,
    usage: Usage,
    #[serde(skip)]
    detail: Box<FrameDetail>,
}

/// What differs.
#[derive(Serialize)]
struct Difference {
    /// `results`, or an artifact's path.
    what: String,
    diff: String,
}

pub async fn compare(context: &Context, args: Compare) -> Outcome {
    let (daemon, project) = context.project().await?;
    let one = run_or_newest(&daemon, &project, Some(&args.one)).await?;
    let other = run_or_newest(&daemon, &project, Some(&args.other)).await?;
    let (one, mut ones) = sides(&daemon, &project, one).await?;
    let (other, mut others) = sides(&daemon, &project, other).await?;
    // A task that was done again alone has a frame of its own name only.
    if ones.len() == 1 && others.len() == 1 {
        let keys = (ones.keys().next().cloned(), others.keys().next().cloned());
        if let (Some(key), Some(old)) = keys
            && let Some(side) = others.remove(&old)
        {
            others.insert(key, side);
        }
    }
    let mut keys: Vec<String> = ones.keys().chain(others.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    let mut frames = Vec::new();
    for key in keys {
        let (one_side, other_side) = (ones.remove(&key), others.remove(&key));
        let differences = match (&one_side, &other_side) {
            (Some(a), Some(b)) => differences(Path::new(&project.dir), (&one, a), (&other, b))?,
            _ => Vec::new(),
        };
        frames.push(Pair {
            key,
            one: one_side,
            other: other_side,
            differences,
        });
    }
    let comparison = Comparison { one, other, frames };
    if args.output.json {
        out::json(&comparison)?;
    } else {
        out::print(&render(&comparison))?;
    }
    Ok(EXIT_DONE)
}

/// A run's frames that did work, by key.
async fn sides(
    daemon: &Daemon,
    project: &ProjectView,
    run: RunId,
) -> Result<(RunView, BTreeMap<String, Side>), Failure> {
    let detail = daemon.run(project, run).await?;
    let mut sides = BTreeMap::new();
    for frame in detail.frames.rows().filter(|frame| !frame.group) {
        let detail = daemon.frame(project, &frame.id.to_string()).await?;
        let record = match detail.tasks.last() {
            Some(task) => daemon.task(project, &task.id.to_string()).await?.record,
            None => None,
        };
        let text = |pointer: &str| {
            let value = record.as_ref()?.pointer(pointer)?;
            value.as_str().map(str::to_owned)
        };
        let side = Side {
            frame: frame.id,
            status: frame.status.to_string(),
            model: last_model(&detail.tasks),
            tool: frame.tool.clone(),
            tool_version: text("/tool_version"),
            commit: text("/git/commit"),
            attempts: detail.tasks.len(),
            duration_ms: frame.started_ms.zip(frame.ended_ms).map(|(a, b)| b - a),
            usage: detail.tasks.iter().filter_map(|task| task.usage).fold(
                Usage::default(),
                |mut all, used| {
                    all.add(&used);
                    all
                },
            ),
            detail: Box::new(detail),
        };
        sides.insert(frame.key, side);
    }
    Ok((detail.run, sides))
}

fn last_model(tasks: &[TaskView]) -> Option<String> {
    tasks.iter().rev().find_map(|task| task.model.clone())
}

/// What differs in what two frames gave.
fn differences(
    project: &Path,
    (one_run, one): (&RunView, &Side),
    (other_run, other): (&RunView, &Side),
) -> Result<Vec<Difference>, Failure> {
    let mut all = Vec::new();
    let temp = tempfile::Builder::new().prefix("fornax-compare-").tempdir();
    let temp = temp.map_err(cannot_compare)?;
    let file = |name: &str, text: &str| {
        let path = temp.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    if one.detail.results != other.detail.results {
        let a = file("one", &one.detail.results).map_err(cannot_compare)?;
        let b = file("other", &other.detail.results).map_err(cannot_compare)?;
        all.push(Difference {
            what: "results".to_owned(),
            diff: diff(&a, &b)?,
        });
    }
    let artifacts = |side: &Side| {
        let named = side.detail.artifacts.iter();
        named
            .map(|artifact| (artifact.path.clone(), artifact.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let (ones, mut others) = (artifacts(one), artifacts(other));
    for (path, artifact) in ones {
        let Some(twin) = others.remove(&path) else {
            all.push(only_in(path, one_run.id));
            continue;
        };
        if artifact.sha256 == twin.sha256 {
            continue;
        }
        let copy = |run: &RunView, copy: Option<&String>| {
            let folder = project.join(".fornax/runs").join(run.id.to_string());
            copy.map(|copy| folder.join(copy))
                .filter(|copy| copy.is_file())
        };
        let copies = copy(one_run, artifact.copy.as_ref()).zip(copy(other_run, twin.copy.as_ref()));
        all.push(Difference {
            what: path,
            diff: match copies {
                Some((a, b)) => diff(&a, &b)?,
                None => "they differ; no copies were kept of files so large".to_owned(),
            },
        });
    }
    all.extend(others.into_keys().map(|path| only_in(path, other_run.id)));
    Ok(all)
}

fn only_in(path: String, run: RunId) -> Difference {
    Difference {
        what: path,
        diff: format!("only in {run}"),
    }
}

fn cannot_compare(error: std::io::Error) -> Failure {
    let failed: Result<(), Failure> = fail(
        ErrorKind::Storage,
        format!("cannot write to the folder for temporary files: {error}"),
        "set TMPDIR to a folder that can be written",
    );
    failed.err().unwrap_or_else(|| Failure::from(error))
}

/// The difference of two files.
fn diff(one: &Path, other: &Path) -> Result<String, Failure> {
    let diff = Git::default().diff_files(one, other, DIFF_MAX_BYTES);
    let (mut text, is_cut) = diff.map_err(Error::from)?;
    if is_cut {
        text.push_str("\n… cut");
    }
    Ok(text)
}

fn render(comparison: &Comparison) -> String {
    let mut table = Table::new(&[
        "FRAME", "RUN", "STATUS", "TIME", "TRIES", "TOKENS", "COST", "TOOL", "MODEL", "VERSION",
        "COMMIT",
    ]);
    for run in [&comparison.one, &comparison.other] {
        table.row(vec![
            paint(BOLD, "(run)"),
            run.id.to_string(),
            run.status.to_string(),
            run.ended_ms
                .map(|ended| time::duration(ended - run.started_ms))
                .unwrap_or_default(),
            String::new(),
            usage::tokens(Some(&run.usage)),
            usage::cost(Some(&run.usage)),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ]);
    }
    for pair in &comparison.frames {
        let sides = [
            (&pair.one, &comparison.one),
            (&pair.other, &comparison.other),
        ];
        for (side, run) in sides {
            table.row(row(&pair.key, run, side.as_ref()));
        }
    }
    let mut text = table.render(usize::MAX);
    for pair in &comparison.frames {
        for difference in &pair.differences {
            let heading = format!("{}: {}", one_line(&pair.key), one_line(&difference.what));
            text += &format!("\n\n{}\n{}", paint(BOLD, &heading), safe(&difference.diff));
        }
    }
    if comparison
        .frames
        .iter()
        .all(|pair| pair.differences.is_empty())
    {
        text += &format!("\n\n{}", paint(DIM, "results and artifacts are the same"));
    }
    text
}

fn row(key: &str, run: &RunView, side: Option<&Side>) -> Vec<String> {
    let Some(side) = side else {
        let mut cells = vec![one_line(key), run.id.to_string(), "absent".to_owned()];
        cells.resize(11, String::new());
        return cells;
    };
    let text = |value: &Option<String>| value.as_deref().map(one_line).unwrap_or_default();
    vec![
        one_line(key),
        run.id.to_string(),
        side.status.clone(),
        side.duration_ms.map(time::duration).unwrap_or_default(),
        side.attempts.to_string(),
        usage::tokens(Some(&side.usage)),
        usage::cost(Some(&side.usage)),
        text(&side.tool),
        text(&side.model),
        text(&side.tool_version),
        text(&side.commit).chars().take(10).collect(),
    ]
}
