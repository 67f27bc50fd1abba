//! Projects and runs that a person decides about: `forget`, and `trust` with a run.

use std::path::Path;

use fornax_core::error::{EXIT_DONE, ErrorKind};
use fornax_core::ids::RunId;
use fornax_core::view::{CandidateView, OpenWork, ProjectView};
use fornax_daemon::home::Home;

use super::Context;
use crate::cli::Forget;
use crate::daemon::{AnyStatus, Daemon};
use crate::failure::{Failure, Outcome, fail};
use crate::out::{self, BOLD, DIM, YELLOW, paint};
use crate::render::run_status;
use crate::text::{one_line, safe};
use crate::trust_cli::Trust;

/// No longer looks after a project.
pub async fn forget(context: &Context, args: Forget) -> Outcome {
    let Some(daemon) = Daemon::if_running(&Home::from_env()?).await? else {
        return fail(
            ErrorKind::Unavailable,
            "fornax is not running",
            "`fornax up -d` starts it",
        );
    };
    let AnyStatus::Known(status) = daemon.status().await? else {
        return fail(
            ErrorKind::Conflict,
            "the daemon's answer has the form of another version",
            "`fornax up --restart` replaces the daemon with this version; tasks live on",
        );
    };
    let projects = status.projects.into_iter();
    let projects: Vec<ProjectView> = projects.map(|status| status.project).collect();
    let wanted = match &args.project {
        Some(wanted) => wanted.clone(),
        None => context.project_dir()?.dir.display().to_string(),
    };
    let real = Path::new(&wanted).canonicalize().unwrap_or_default();
    let is_it = |project: &&ProjectView| {
        project.id == wanted || project.dir == wanted || Path::new(&project.dir) == real
    };
    let Some(project) = projects.iter().find(is_it) else {
        return fail(
            ErrorKind::NotFound,
            format!("the daemon looks after no project {wanted}"),
            "`fornax status` lists the projects; name one by its folder or its id",
        );
    };
    daemon.forget(project).await?;
    out::print(&format!(
        "{} is forgotten; its data stays in its .fornax",
        one_line(&project.dir)
    ))?;
    Ok(EXIT_DONE)
}

/// Shows what a read-only run would execute, and accepts it.
pub async fn accept_run(context: &Context, run: RunId, how: Trust) -> Outcome {
    let (daemon, project) = context.project().await?;
    let candidate = daemon.candidate(&project, run).await?;
    if how.json {
        out::json(&candidate)?;
    } else {
        out::print(&shown(&candidate))?;
    }
    if !how.yes && out::can_ask_aside() && !out::confirm("Accept it? [y/N] ")? {
        out::note("nothing was changed");
        return Ok(EXIT_DONE);
    }
    let digest = how.digest.into_iter().next().unwrap_or(candidate.digest);
    daemon.accept(&project, run, &digest).await?;
    if !how.json {
        out::print(&match candidate.loses_open_work {
            true => format!("{run} is accepted; `fornax retry {run}` repeats what is lost"),
            false => format!("{run} is accepted and continues"),
        })?;
    }
    Ok(EXIT_DONE)
}

fn shown(candidate: &CandidateView) -> String {
    let run = &candidate.run;
    let mut text = format!(
        "{}  {}  {}\n{}\n",
        paint(BOLD, &run.id.to_string()),
        one_line(&run.name),
        run_status(run.status),
        paint(YELLOW, &format!("read-only: {}", safe(&candidate.why))),
    );
    text += match (candidate.work.is_empty(), candidate.loses_open_work) {
        (true, _) => "\nNothing in it is open: accepting it executes nothing.\n",
        (false, true) => {
            "\nWhat was open may have run since: accepting it marks this as lost and runs nothing.\n"
        }
        (false, false) => "\nAccepting it executes, as its frames become ready:\n",
    };
    for work in &candidate.work {
        text += &shown_work(work);
    }
    text + &format!("\n{}", paint(DIM, &format!("digest {}", candidate.digest)))
}

fn shown_work(work: &OpenWork) -> String {
    let argv: Vec<String> = work.argv.iter().map(|word| one_line(word)).collect();
    let mut text = format!(
        "\n  {}  {} ({})\n    {}\n",
        work.frame,
        one_line(&work.title),
        one_line(&work.tool),
        argv.join(" ")
    );
    let parts = [
        ("prompt", work.prompt.as_deref()),
        ("stdin", work.stdin.as_deref()),
        ("in", work.workdir.as_deref()),
    ];
    for (name, part) in parts {
        let Some(part) = part else { continue };
        text += &format!("    {name}:\n");
        for line in safe(part).lines() {
            text += &format!("      {line}\n");
        }
    }
    for variable in &work.env {
        text += &format!("    env: {}\n", one_line(variable));
    }
    text
}

/// Tells a person what is worth knowing of how a project was found.
pub fn note(project: &ProjectView) {
    if let Some(notice) = &project.notice {
        out::note(&one_line(notice));
    }
}

/// Asks whether a project whose old place is gone was moved here; `None` where nobody can be asked.
///
/// # Errors
/// Where the terminal cannot be read.
pub fn ask_relocation(problem: &str) -> Result<Option<&'static str>, Failure> {
    if !out::can_ask() {
        return Ok(None);
    }
    out::note(&one_line(problem));
    let moved = out::confirm(
        "Was it moved here? `n` treats it as a copy, whose runs are read-only. [y/N] ",
    )?;
    Ok(Some(if moved { "moved" } else { "copied" }))
}
