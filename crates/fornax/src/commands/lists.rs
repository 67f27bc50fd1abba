//! Reading what there is: `ps`, `runs`, `tree`, `show`, `events`.

use std::collections::HashMap;

use fornax_core::view::{RunDetail, RunView};
use serde::Serialize;

use super::Context;
use super::follow::{follow, watching};
use crate::cli::{Events, Json, Runs, Show, Tree};
use crate::failure::Outcome;
use crate::out::{self, DIM, YELLOW, paint};
use crate::render::table::Table;
use crate::render::tree::tree;
use crate::render::{detail, events, run_status, task_state, time, usage};
use crate::run_state::RunState;
use crate::target::{Target, run_or_newest};
use crate::text::one_line;

/// How many runs are asked for at once.
const PAGE: usize = 500;

/// A task in `ps --json`: with the key of its frame.
#[derive(Serialize)]
struct Process {
    #[serde(flatten)]
    task: fornax_core::view::TaskView,
    frame_key: String,
}

pub async fn ps(context: &Context, args: Json) -> Outcome {
    let Some((daemon, project)) = context.known_project().await? else {
        return nothing_here(context, args.json);
    };
    let runs = daemon.runs(&project, None, PAGE).await?.runs;
    let mut processes = Vec::new();
    for run in runs
        .iter()
        .filter(|run| run.tasks_running + run.tasks_queued > 0)
    {
        let Some(detail) = daemon.run_unless_damaged(&project, run.id).await? else {
            continue;
        };
        let keys: HashMap<_, _> = detail
            .frames
            .rows()
            .map(|frame| (frame.id, frame.key))
            .collect();
        let live = detail.tasks.rows().filter(|task| !task.state.is_over());
        processes.extend(live.map(|task| Process {
            frame_key: keys.get(&task.frame).cloned().unwrap_or_default(),
            task,
        }));
    }
    // What runs first, the longest first.
    processes.sort_by_key(|process| {
        (
            process.task.started_ms.is_none(),
            process.task.started_ms,
            process.task.queued_ms,
        )
    });
    if args.json {
        out::json(&processes)?;
        return Ok(0);
    }
    if processes.is_empty() {
        out::note("nothing runs");
        return Ok(0);
    }
    let now_ms = time::now_ms();
    let mut table = Table::new(&[
        "TASK", "STATE", "TIME", "TOOL", "TOKENS", "COST", "FRAME", "RUN", "DOES",
    ]);
    for Process { task, frame_key } in processes {
        let state = if task.stopping {
            "stopping".to_owned()
        } else if task.idle || !task.waits.is_empty() {
            paint(YELLOW, "waits for you")
        } else {
            task_state(task.state)
        };
        table.row(vec![
            task.id.to_string(),
            state,
            time::span(task.started_ms, None, now_ms),
            one_line(&task.tool),
            usage::tokens(task.usage.as_ref()),
            usage::cost(task.usage.as_ref()),
            one_line(&frame_key),
            task.run.to_string(),
            step(&task),
        ]);
    }
    out::print(&table.render(out::columns()))?;
    Ok(0)
}

/// What a task's agent does, or what it waits for.
fn step(task: &fornax_core::view::TaskView) -> String {
    let asks = |wait: &fornax_core::agent::Permission| {
        one_line(&format!("asks to use {}: {}", wait.tool, wait.title))
    };
    match task.waits.first() {
        Some(wait) => asks(wait),
        None => task.step.as_deref().map(one_line).unwrap_or_default(),
    }
}

pub async fn runs(context: &Context, args: Runs) -> Outcome {
    let Some((daemon, project)) = context.known_project().await? else {
        return nothing_here(context, args.output.json);
    };
    let limit = args.limit as usize;
    let mut runs: Vec<RunView> = Vec::new();
    let mut more = true;
    while more && runs.len() < limit {
        let wanted = PAGE.min(limit - runs.len());
        let page = daemon
            .runs(&project, runs.last().map(|run| run.id), wanted)
            .await?;
        more = page.more && !page.runs.is_empty();
        runs.extend(page.runs);
    }
    if args.output.json {
        out::json(&runs)?;
        return Ok(0);
    }
    if runs.is_empty() {
        return nothing_here(context, false);
    }
    let now_ms = time::now_ms();
    let mut table = Table::new(&[
        "RUN", "STATUS", "DONE", "STARTED", "TOOK", "TOKENS", "COST", "PLAN", "REASON",
    ]);
    for run in &runs {
        let counts = run.counts;
        let all = counts.planned
            + counts.in_progress
            + counts.completed
            + counts.failed
            + counts.blocked
            + counts.invalidated;
        table.row(vec![
            run.id.to_string(),
            run_status(run.status),
            format!("{}/{all}", counts.completed + counts.invalidated),
            time::moment(run.started_ms, now_ms),
            time::span(Some(run.started_ms), run.ended_ms, now_ms),
            usage::tokens(Some(&run.usage)),
            usage::cost(Some(&run.usage)),
            one_line(&run.name),
            run.reason.as_deref().map(one_line).unwrap_or_default(),
        ]);
    }
    out::print(&table.render(out::columns()))?;
    if more {
        out::note(&paint(
            DIM,
            &format!("older ones: `fornax runs -n {}`", limit * 5),
        ));
    }
    Ok(0)
}

/// An answer for a directory in which nothing ever ran.
fn nothing_here(context: &Context, json: bool) -> Outcome {
    if json {
        out::raw(b"[]\n")?;
    } else {
        let dir = context.project_dir()?.dir;
        out::note(&format!(
            "no runs in {} yet: `fornax run PLAN` starts one",
            crate::text::safe(&dir.to_string_lossy())
        ));
    }
    Ok(0)
}

pub async fn show_tree(context: &Context, args: Tree) -> Outcome {
    let (daemon, project) = context.project().await?;
    let run = run_or_newest(&daemon, &project, args.run.as_deref()).await?;
    if args.watch {
        let changes = daemon.changes().await?;
        return follow(&daemon, &project, changes, run, watching()).await;
    }
    let detail = daemon.run(&project, run).await?;
    print_tree(detail, args.output.json)
}

/// A run's frames as a tree, or the run whole as JSON.
pub fn print_tree(detail: RunDetail, json: bool) -> Outcome {
    if json {
        out::json(&detail)?;
    } else {
        let state = RunState::new(detail);
        out::print(&tree(&state, time::now_ms(), usize::MAX, None).join("\n"))?;
    }
    Ok(0)
}

pub async fn show(context: &Context, args: Show) -> Outcome {
    let (daemon, project) = context.project().await?;
    let now_ms = time::now_ms();
    match Target::find(&daemon, &project, &args.id).await? {
        Target::Run(run) => print_tree(daemon.run(&project, run).await?, args.output.json),
        Target::Frame(frame) if args.output.json => out::json(&*frame).map(|()| 0),
        Target::Frame(frame) => {
            out::print(&detail::frame(&frame, now_ms, out::columns())).map(|()| 0)
        }
        Target::Task(task) => {
            let task = daemon.task(&project, &task.to_string()).await?;
            if args.output.json {
                out::json(&task)?;
            } else {
                out::print(&detail::task(&task, now_ms))?;
            }
            Ok(0)
        }
    }
}

pub async fn show_events(context: &Context, args: Events) -> Outcome {
    let (daemon, project) = context.project().await?;
    let run = run_or_newest(&daemon, &project, args.run.as_deref()).await?;
    let mut body = daemon.events(&project, run, args.follow).await?;
    let mut pending = Vec::new();
    while let Some(bytes) = body.next().await? {
        if args.json {
            out::raw(&bytes)?;
            continue;
        }
        pending.extend_from_slice(&bytes);
        let whole = pending
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let columns = out::columns();
        let now_ms = time::now_ms();
        let lines: Vec<_> = String::from_utf8_lossy(&pending[..whole])
            .lines()
            .map(|line| crate::render::table::cut_styled(&events::line(line, now_ms), columns))
            .collect();
        pending.drain(..whole);
        if !lines.is_empty() {
            out::print(&lines.join("\n"))?;
        }
    }
    Ok(0)
}
