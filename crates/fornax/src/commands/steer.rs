//! Steering what goes on: `inbox`, `allow`, `deny`, `checkpoint`, `tell`, `interrupt`, `compact`.

use fornax_agents::opencode_server::TuiWord;
use fornax_core::agent::Decision;
use fornax_core::error::EXIT_DONE;
use fornax_core::frame::{Checkpoint as Asked, CheckpointKind};
use fornax_core::request::Request;
use fornax_core::view::{FrameView, RunView, StalledTask, TaskView};
use serde::Serialize;

use super::Context;
use super::acts::text_or_stdin;
use super::session::tell_terminals;
use crate::cli::{Allow, Checkpoint, Deny, Interrupt, Json, Tell};
use crate::failure::Outcome;
use crate::out::{self, DIM, paint};
use crate::render::table::Table;
use crate::render::time;
use crate::text::{one_line, safe};

/// How many runs are looked through.
const RUNS: usize = 500;

/// Something that waits for a human.
#[derive(Serialize)]
struct Waits {
    /// The task that waits; none where it is a frame's question.
    task: Option<String>,
    run: String,
    frame: String,
    tool: String,
    /// `question`, `approval`, `limit`, `permission`, `input` or `stalled`.
    kind: &'static str,
    /// The permission's id.
    permission: Option<String>,
    /// The question's id.
    checkpoint: Option<String>,
    /// What is asked.
    asks: String,
    /// Answers to choose from.
    options: Vec<String>,
}

pub async fn inbox(context: &Context, args: Json) -> Outcome {
    let mut all = Vec::new();
    if let Some((daemon, project)) = context.known_project().await? {
        let runs = daemon.runs(&project, None, RUNS).await?.runs;
        // What a read-only run asks cannot be answered.
        let is_open = |run: &&RunView| run.ended_ms.is_none() && run.foreign.is_none();
        for run in runs.iter().filter(is_open) {
            let Some(detail) = daemon.run_unless_damaged(&project, run.id).await? else {
                continue;
            };
            for frame in detail.frames.rows() {
                all.extend(questions(&frame));
            }
            for task in detail.tasks.rows() {
                all.extend(waits(&task));
                all.extend(stalls(&task, &detail.run.stalled));
            }
        }
    }
    if args.json {
        out::json(&all)?;
        return Ok(EXIT_DONE);
    }
    if all.is_empty() {
        out::note("nothing waits for you");
        return Ok(EXIT_DONE);
    }
    let mut table = Table::new(&["WHO", "TOOL", "WAITS FOR", "WHAT", "ASKS"]);
    for wait in &all {
        let asked = wait.checkpoint.as_ref().or(wait.permission.as_ref());
        let asks = match wait.options.as_slice() {
            [] => one_line(&wait.asks),
            options => format!(
                "{} ({})",
                one_line(&wait.asks),
                one_line(&options.join(" or "))
            ),
        };
        table.row(vec![
            wait.task.as_ref().unwrap_or(&wait.frame).clone(),
            one_line(&wait.tool),
            wait.kind.to_owned(),
            one_line(asked.map_or("", String::as_str)),
            asks,
        ]);
    }
    out::print(&table.render(usize::MAX))?;
    out::note(&paint(
        DIM,
        "`fornax answer WHAT TEXT`, `fornax allow TASK`, `fornax deny TASK`, `fornax tell TASK TEXT`, \
         `fornax stop TASK`",
    ));
    Ok(EXIT_DONE)
}

/// What is asked in a frame.
fn questions(frame: &FrameView) -> Vec<Waits> {
    let wait = |asked: &Asked| Waits {
        task: None,
        run: frame.run.to_string(),
        frame: frame.id.to_string(),
        tool: frame.tool.clone().unwrap_or_default(),
        kind: match asked.kind {
            CheckpointKind::Question => "question",
            CheckpointKind::Approval => "approval",
            CheckpointKind::Limit { .. } => "limit",
        },
        permission: None,
        checkpoint: Some(asked.id.clone()),
        asks: asked.question.clone(),
        options: asked.options.clone(),
    };
    frame.asks.iter().map(wait).collect()
}

fn waits(task: &TaskView) -> Vec<Waits> {
    let asked = task.waits.iter().map(|asked| Waits {
        permission: Some(asked.id.clone()),
        ..of_task(
            task,
            "permission",
            format!("{}: {}", asked.tool, asked.title),
        )
    });
    let since = time::span(task.started_ms, None, time::now_ms());
    let idle = task.idle.then(|| {
        let asks = format!("interrupted; it has been at work for {since}");
        of_task(task, "input", asks)
    });
    asked.chain(idle).collect()
}

/// A task that does not proceed until a person acts.
fn stalls(task: &TaskView, stalled: &[StalledTask]) -> Option<Waits> {
    let mut stalled = stalled.iter().filter(|stall| stall.needs_you);
    let stall = stalled.find(|stall| stall.task == task.id)?;
    Some(of_task(task, "stalled", stall.reason.clone()))
}

fn of_task(task: &TaskView, kind: &'static str, asks: String) -> Waits {
    Waits {
        task: Some(task.id.to_string()),
        run: task.run.to_string(),
        frame: task.frame.to_string(),
        tool: task.tool.clone(),
        kind,
        permission: None,
        checkpoint: None,
        asks,
        options: Vec::new(),
    }
}

pub async fn allow(context: &Context, args: Allow) -> Outcome {
    let decision = if args.always {
        Decision::Always
    } else {
        Decision::Allow
    };
    let request = Request::Decide {
        target: args.id,
        permission: args.permission,
        decision,
        note: None,
    };
    give(context, request, "allowed").await
}

pub async fn deny(context: &Context, args: Deny) -> Outcome {
    let request = Request::Decide {
        target: args.id,
        permission: args.permission,
        decision: Decision::Deny,
        note: args.note,
    };
    give(context, request, "denied").await
}

pub async fn checkpoint(context: &Context, args: Checkpoint) -> Outcome {
    let question = args.question.map(text_or_stdin).transpose()?;
    let (daemon, project) = context.project().await?;
    let frame = args.frame.clone();
    let request = Request::Checkpoint { frame, question };
    daemon.command(&project, request).await?;
    out::print(&format!("{} waits for you", safe(&args.frame)))?;
    out::note(&paint(
        DIM,
        "`fornax inbox` shows what it asks, `fornax answer` lets it begin",
    ));
    Ok(EXIT_DONE)
}

pub async fn tell(context: &Context, args: Tell) -> Outcome {
    if args.toast || args.draft {
        let text = text_or_stdin(args.text)?;
        let word = if args.toast {
            TuiWord::Toast(text)
        } else {
            TuiWord::Draft(text)
        };
        return tell_terminals(context, &args.id, word).await;
    }
    let request = Request::Prompt {
        target: args.id,
        text: text_or_stdin(args.text)?,
    };
    give(context, request, "told").await
}

pub async fn interrupt(context: &Context, args: Interrupt) -> Outcome {
    let request = Request::Interrupt { target: args.id };
    give(context, request, "interrupting").await
}

pub async fn compact(context: &Context, args: Interrupt) -> Outcome {
    let request = Request::Compact { target: args.id };
    give(context, request, "told to shorten its conversation:").await
}

async fn give(context: &Context, request: Request, done: &str) -> Outcome {
    let (daemon, project) = context.project().await?;
    let answer = daemon.command(&project, request).await?;
    let task = answer.tasks.first().map(ToString::to_string);
    out::print(&format!("{done} {}", safe(&task.unwrap_or_default())))?;
    Ok(EXIT_DONE)
}
