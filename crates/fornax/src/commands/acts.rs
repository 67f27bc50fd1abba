//! Changing something: `run`, `task`, `stop`, `pause`, `unpause`, `retry`.

use std::io::Read;

use fornax_core::error::{EXIT_DONE, ErrorKind};
use fornax_core::request::Request;

use super::follow::command;
use super::{Context, plan};
use crate::cli::{Pause, Retry, Run, Stop, Task, TaskAgain};
use crate::failure::{Failure, Outcome, fail};
use crate::out;
use crate::text::safe;

/// The longest prompt that is read from standard input, in bytes.
const PROMPT_MAX_BYTES: u64 = 512 << 10;

pub async fn run(context: &Context, args: Run) -> Outcome {
    // Checked here first, so that what is wrong with it is shown where it stands, and nothing is
    // started or written for a plan that cannot run.
    let inputs = plan::inputs(args.inputs)?;
    let path = plan::check(context, &args.plan, &inputs)?;
    let (daemon, project) = context.project().await?;
    command(
        &daemon,
        &project,
        Request::RunPlan { path, inputs },
        args.follow.manner(),
    )
    .await
}

pub async fn task(context: &Context, args: Task) -> Outcome {
    let (request, manner) = match (args.again, args.tool, args.prompt) {
        (Some(TaskAgain::Rerun(again)), ..) => {
            let request = Request::Rerun {
                target: again.id,
                tool: again.tool,
                model: again.model,
            };
            (request, again.follow.manner())
        }
        (Some(TaskAgain::Resume(further)), ..) => {
            let request = Request::Resume {
                target: further.id,
                prompt: text_or_stdin(further.prompt)?,
                fork: further.fork,
            };
            (request, further.follow.manner())
        }
        (None, Some(tool), Some(prompt)) => {
            let request = Request::RunTask {
                tool,
                prompt: text_or_stdin(prompt)?,
                model: args.model,
                timeout_ms: args.timeout,
            };
            (request, args.follow.manner())
        }
        // The command line's own check sees to it that this does not happen.
        (None, ..) => {
            return fail(
                ErrorKind::Usage,
                "no tool and no prompt",
                "`fornax task TOOL PROMPT`, or `fornax task rerun ID`",
            );
        }
    };
    let (daemon, project) = context.project().await?;
    command(&daemon, &project, request, manner).await
}

/// The text, or for `-` what standard input holds.
pub fn text_or_stdin(text: String) -> Result<String, Failure> {
    if text == "-" {
        prompt_from_stdin()
    } else {
        Ok(text)
    }
}

fn prompt_from_stdin() -> Result<String, Failure> {
    let mut prompt = String::new();
    let read = std::io::stdin()
        .take(PROMPT_MAX_BYTES + 1)
        .read_to_string(&mut prompt);
    match read {
        Ok(bytes) if bytes as u64 <= PROMPT_MAX_BYTES => Ok(prompt),
        Ok(_) => fail(
            ErrorKind::TooLarge,
            format!("the prompt is longer than {PROMPT_MAX_BYTES} bytes"),
            "put it into a file and tell the agent to read that",
        ),
        Err(error) => fail(
            ErrorKind::Usage,
            format!("cannot read the prompt from standard input: {error}"),
            "a prompt is text in UTF-8",
        ),
    }
}

pub async fn stop(context: &Context, args: Stop) -> Outcome {
    let (daemon, project) = context.project().await?;
    let all = args.id.is_none();
    let target = args.id.unwrap_or_else(|| "all".to_owned());
    let request = Request::Stop {
        target: target.clone(),
        reason: args.reason,
    };
    match daemon.command(&project, request).await {
        // That nothing runs is what `--all` is after.
        Err(Failure::Error(error)) if all && error.kind == ErrorKind::Conflict => {
            out::note(&safe(&error.message));
        }
        answer => {
            answer?;
            let what = if all { "every run" } else { &target };
            out::print(&format!("stopping {}", safe(what)))?;
        }
    }
    Ok(EXIT_DONE)
}

pub async fn pause(context: &Context, args: Pause) -> Outcome {
    let (daemon, project) = context.project().await?;
    let target = args.id.clone();
    daemon.command(&project, Request::Pause { target }).await?;
    out::print(&format!("paused {}", safe(&args.id)))?;
    Ok(EXIT_DONE)
}

pub async fn unpause(context: &Context, args: Pause) -> Outcome {
    let (daemon, project) = context.project().await?;
    let target = args.id.clone();
    daemon
        .command(&project, Request::Unpause { target })
        .await?;
    out::print(&format!("{} goes on", safe(&args.id)))?;
    Ok(EXIT_DONE)
}

pub async fn retry(context: &Context, args: Retry) -> Outcome {
    let (daemon, project) = context.project().await?;
    let request = Request::Retry {
        target: args.id,
        from: args.from,
    };
    command(&daemon, &project, request, args.follow.manner()).await
}
