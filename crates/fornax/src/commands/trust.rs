//! `trust`: what a person decides about a project, and the question at the terminal.

use std::io::{IsTerminal, stderr, stdin};
use std::path::Path;

use fornax_core::error::{EXIT_DONE, ErrorKind};
use fornax_daemon::home::Home;
use fornax_daemon::trust::caller::Caller;
use fornax_daemon::trust::{Decided, Decision, FilterReview, Review, Standing};

use super::Context;
use super::projects::accept_run;
use crate::daemon::Daemon;
use crate::failure::{Failure, Outcome, fail};
use crate::out::{self, BOLD, DIM, GREEN, RED, paint};
use crate::text::{one_line, safe};
use crate::trust_cli::Trust;

pub async fn trust(context: &Context, args: Trust) -> Outcome {
    match args.target.as_deref() {
        Some("list") => return list(context, args.json).await,
        Some("revoke") => return revoke(context, args.json).await,
        Some(run) => {
            let Ok(run) = run.parse() else {
                return fail(
                    ErrorKind::Usage,
                    format!("`{run}` is neither a run nor `list` or `revoke`"),
                    "`fornax trust` alone accepts the project; `fornax trust --help` shows more",
                );
            };
            return accept_run(context, run, args).await;
        }
        None => {}
    }
    if args.moved || args.copied {
        return relocate(context, args.moved).await;
    }
    if let Some(dir) = &args.path {
        return path(dir, args.json).await;
    }
    let dir = context.anyones_project_dir()?.dir;
    let daemon = Daemon::reach(&Home::from_env()?).await?;
    let (digest, filters) = match args.digest.is_empty() {
        true => (None, Vec::new()),
        false => sorted(args.digest, &daemon.review(&dir).await?),
    };
    let review = daemon
        .decide(&Decision::Accept {
            dir: dir.clone(),
            digest,
            filters,
            always: args.always,
        })
        .await?;
    if out::can_ask() {
        daemon.register(&dir).await?;
    } else {
        // A project that a person trusts here, and whose old place is gone, was moved here.
        daemon.register_as(&dir, Some("moved")).await?;
    }
    if args.json {
        out::json(&review)?;
        return Ok(EXIT_DONE);
    }
    print_accepted(&review)?;
    Ok(EXIT_DONE)
}

/// Of the digests that a person named, that of the configuration, and those of filters.
fn sorted(named: Vec<String>, review: &Review) -> (Option<String>, Vec<String>) {
    let is_filter = |digest: &String| review.filters.iter().any(|one| one.digest == *digest);
    let (filters, mut others): (Vec<_>, Vec<_>) = named.into_iter().partition(is_filter);
    // What is neither is refused as something that has changed.
    others.sort_by_key(|digest| review.digest.as_ref() == Some(digest));
    (others.into_iter().next(), filters)
}

/// Says what became of a project whose old place is gone.
async fn relocate(context: &Context, is_moved: bool) -> Outcome {
    let dir = context.project_dir()?.dir;
    let daemon = Daemon::reach(&Home::from_env()?).await?;
    let answer = if is_moved { "moved" } else { "copied" };
    let view = daemon.register_as(&dir, Some(answer)).await?;
    out::print(&format!("{} is {answer}", safe(&view.dir)))?;
    Ok(EXIT_DONE)
}

fn print_accepted(review: &Review) -> Result<(), Failure> {
    let dir = review.dir.to_string_lossy();
    let how = match review.standing {
        Standing::Always => "from now on, whatever it holds",
        _ => "until that changes",
    };
    let mut text = match &review.digest {
        Some(digest) if review.standing.is_followed() => format!(
            "{} is trusted; its fornax.yaml is followed {how} (digest {digest}):\n{}",
            safe(&dir),
            indented(&review.executes)
        ),
        Some(_) => format!(
            "what the fornax.yaml of {} executes is not trusted",
            safe(&dir)
        ),
        None => format!("{} is trusted", safe(&dir)),
    };
    let mut trusted = review.filters.iter().filter(|filter| filter.is_trusted);
    if let Some(first) = trusted.next() {
        text = format!(
            "{}\nits git repository may run these filters:\n",
            text.trim_end()
        );
        for filter in std::iter::once(first).chain(trusted) {
            text += &shown_filter(filter);
        }
    }
    out::print(&text)
}

/// A filter with its command, and with the command that was trusted before.
fn shown_filter(filter: &FilterReview) -> String {
    let name = format!("filter.{}.{}", filter.name, filter.kind);
    let line = |sign: &str, command: &str| {
        // Each line begins a command of the shell, so each is shown as one.
        let lines: Vec<_> = command.split('\n').map(safe).collect();
        format!("  {sign}{} = {}\n", one_line(&name), lines.join("\n      "))
    };
    let command = match &filter.trusted_before {
        Some(before) => line("- ", before) + &line("+ ", &filter.command),
        None => line("", &filter.command),
    };
    let digest = paint(DIM, &format!("digest {}", filter.digest));
    format!("{command}    {digest}\n")
}

/// The filters that wait for a decision.
fn shown_filters(review: &Review) -> Option<String> {
    let waiting = || review.filters.iter().filter(|filter| !filter.is_trusted);
    waiting().next()?;
    let dir = review.dir.to_string_lossy();
    let filters: String = waiting().map(shown_filter).collect();
    Some(format!(
        "the git repository of {} defines filters that are not trusted and do not run:\n{filters}",
        safe(&dir)
    ))
}

async fn path(dir: &Path, json: bool) -> Outcome {
    let dir = match dir.canonicalize() {
        Ok(dir) => dir,
        Err(error) => {
            return fail(
                ErrorKind::NotFound,
                format!("cannot open {}: {error}", dir.display()),
                "name the directory that is to be let through",
            );
        }
    };
    let daemon = Daemon::reach(&Home::from_env()?).await?;
    let review = daemon.decide(&Decision::Path { dir }).await?;
    if json {
        out::json(&review)?;
    } else {
        let dir = review.dir.to_string_lossy();
        out::print(&format!(
            "{} is let through until its owner or mode changes",
            safe(&dir)
        ))?;
    }
    Ok(EXIT_DONE)
}

async fn revoke(context: &Context, json: bool) -> Outcome {
    let dir = context.anyones_project_dir()?.dir;
    let daemon = Daemon::reach(&Home::from_env()?).await?;
    let review = daemon.decide(&Decision::Revoke { dir }).await?;
    if json {
        out::json(&review)?;
    } else {
        let dir = review.dir.to_string_lossy();
        out::print(&format!("{} is not trusted any more", safe(&dir)))?;
    }
    Ok(EXIT_DONE)
}

async fn list(context: &Context, json: bool) -> Outcome {
    let dir = context.anyones_project_dir()?.dir;
    let daemon = Daemon::reach(&Home::from_env()?).await?;
    let decided = daemon.decided().await?;
    let review = daemon.review(&dir).await;
    if json {
        let review = review.ok();
        out::json(&serde_json::json!({ "decided": decided, "review": review }))?;
        return Ok(EXIT_DONE);
    }
    print_decided(&decided)?;
    let review = review?;
    if let Some(error) = &review.refused {
        out::print(&format!("\n{}", safe(&error.message)))?;
    }
    if !review.standing.is_followed() {
        out::print(&format!("\n{}", shown(&review)))?;
    }
    if let Some(filters) = shown_filters(&review) {
        out::print(&format!("\n{filters}"))?;
    }
    Ok(EXIT_DONE)
}

fn print_decided(decided: &Decided) -> Result<(), Failure> {
    if decided.projects.is_empty() && decided.paths.is_empty() {
        return out::print("nothing has been decided yet");
    }
    let mut text = String::new();
    for project in &decided.projects {
        let dir = project.dir.to_string_lossy();
        let how = match (project.always, project.digests.len()) {
            (true, _) => "always".to_owned(),
            (false, 0) if project.filters.is_empty() => "declined".to_owned(),
            (false, 0) => "no version".to_owned(),
            (false, 1) => "1 version".to_owned(),
            (false, count) => format!("{count} versions"),
        };
        let filters = match project.filters.len() {
            0 => String::new(),
            1 => ", 1 filter".to_owned(),
            count => format!(", {count} filters"),
        };
        text += &format!("{}  {how}{filters}\n", safe(&dir));
    }
    for path in &decided.paths {
        let place = path.path.to_string_lossy();
        text += &format!(
            "{}  let through: owner {}, group {}, mode {:04o}\n",
            safe(&place),
            path.uid,
            path.gid,
            path.mode
        );
    }
    out::print(&text)
}

/// Asks the person at the terminal about a configuration that nobody has decided about. Whether it
/// is followed now, so that what was refused can be tried again.
pub async fn ask(daemon: &Daemon, dir: &Path) -> Result<bool, Failure> {
    let can_ask = stdin().is_terminal()
        && stderr().is_terminal()
        && Caller::of_this_process() == Caller::Person;
    loop {
        let review = daemon.review(dir).await?;
        let Some(digest) = review.digest.clone() else {
            return Ok(false);
        };
        if review.refused.is_some() || review.standing != Standing::Undecided || !can_ask {
            return Ok(review.refused.is_none() && review.standing.is_followed());
        }
        out::note(&shown(&review));
        if let Some(filters) = shown_filters(&review) {
            out::note(&filters);
        }
        let filters = review.filters.iter().map(|filter| filter.digest.clone());
        let filters = filters.collect();
        let answer = question(&paint(
            BOLD,
            "Follow it? [y]es, [n]o, [a]lways in this project: ",
        ))?;
        let dir = review.dir.clone();
        let decision = match answer.as_deref() {
            Some("y" | "yes") => Decision::Accept {
                dir,
                digest: Some(digest),
                filters,
                always: false,
            },
            Some("a" | "always") => Decision::Accept {
                dir,
                digest: Some(digest),
                filters,
                always: true,
            },
            Some("n" | "no") => Decision::Decline { dir, digest },
            Some(_) => continue,
            None => return Ok(false),
        };
        match daemon.decide(&decision).await {
            // The file has changed while the question was open: it is shown again.
            Err(Failure::Error(error)) if error.kind == ErrorKind::Conflict => {
                out::note(&safe(&error.message));
            }
            decided => return Ok(decided?.standing.is_followed()),
        }
    }
}

/// What is asked about: everything that the file executes, or what has changed in it.
fn shown(review: &Review) -> String {
    let file = review.dir.join("fornax.yaml");
    let file = file.to_string_lossy();
    let mut text = match &review.diff {
        Some(diff) => format!(
            "What {} executes has changed since you trusted it:\n{}",
            safe(&file),
            coloured(diff)
        ),
        None => format!(
            "{} executes, and you have not trusted it yet:\n{}",
            safe(&file),
            indented(&review.executes)
        ),
    };
    for program in &review.programs {
        text += &format!("{} is a file of the project\n", safe(program));
    }
    if let Some(digest) = &review.digest {
        text += &paint(DIM, &format!("digest {digest}"));
    }
    text
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("  {}\n", safe(line)));
    lines.collect()
}

fn coloured(diff: &str) -> String {
    let line = |line: &str| {
        let text = safe(line);
        let text = match line.as_bytes().first() {
            Some(b'+') => paint(GREEN, &text),
            Some(b'-') => paint(RED, &text),
            _ => text.into_owned(),
        };
        format!("  {text}\n")
    };
    diff.lines().map(line).collect()
}

/// The person's answer, in small letters; none at the end of the input.
fn question(text: &str) -> Result<Option<String>, Failure> {
    out::note(text);
    let mut line = String::new();
    let bytes = stdin().read_line(&mut line)?;
    Ok((bytes > 0).then(|| line.trim().to_ascii_lowercase()))
}
