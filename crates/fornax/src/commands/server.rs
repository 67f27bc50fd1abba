//! The daemon itself: `up`, `status`, `down`, `open`.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::process::{Command, Stdio};

use fornax_core::error::{EXIT_FAILED, Error, ErrorKind};
use fornax_daemon::home::Home;
use fornax_daemon::protocol::{PROTOCOL, mismatch};
use fornax_daemon::server;
use fornax_runner::SHIM_ARG;
use serde_json::json;

use super::{Context, wait};
use crate::cli::Json;
use crate::daemon::{AnyStatus, Daemon};
use crate::daemon_cli::{Down, Up};
use crate::failure::{Failure, Outcome, fail, warn};
use crate::out::{self, BOLD, DIM, RED, paint};
use crate::render::table::Table;
use crate::render::{task_state, time};
use crate::shutdown::{self, Shutdown};
use crate::start::{self, Word};
use crate::text::{one_line, safe};

/// How often a daemon that is killed just after its start is started again.
const REGISTER_TRIES: u32 = 3;

pub fn up(context: &Context, args: Up) -> Outcome {
    let home = Home::from_env()?;
    if args.as_child {
        return serve_as_child(home, &args);
    }
    if args.restart {
        let ended = wait(shutdown::replace(&home))?;
        if ended != Shutdown::NotRunning {
            out::note("the earlier daemon has ended; tasks live on");
        }
    } else if !args.detach {
        return serve(context, home, &args);
    }
    show_up(
        &home,
        &args,
        start::start(&home, args.bind, &args.embed_origins)?,
    )?;
    for _ in 0..REGISTER_TRIES {
        match wait(register_known(context, &home)) {
            // It was killed meanwhile.
            Err(Failure::Error(error)) if error.kind == ErrorKind::Unavailable => {
                start::start(&home, args.bind, &args.embed_origins)?;
            }
            registered => return registered,
        }
    }
    wait(register_known(context, &home))
}

/// Says where the daemon is, and which options did not count because it ran already.
fn show_up(home: &Home, args: &Up, started: Option<String>) -> Result<(), Failure> {
    if let Some(url) = started {
        return out::print(&format!("fornax is up: {url}"));
    }
    // Only for the message: a file that cannot be read is for `fornax doctor`.
    let info = home.info().ok().flatten();
    let url = info.map(|info| info.url).unwrap_or_default();
    out::print(&format!("fornax is up already: {url}"))?;
    if args.bind.is_some() {
        warn("--bind counts only when the daemon starts: use it with `fornax up --restart`");
    }
    if !args.embed_origins.is_empty() {
        warn(
            "--embed-origin counts only when the daemon starts: use it with `fornax up --restart`",
        );
    }
    Ok(())
}

/// The daemon looks after the project in which it was started, where it is one. A daemon of another
/// protocol is left alone, with a note.
async fn register_known(context: &Context, home: &Home) -> Outcome {
    let Some(daemon) = Daemon::of_any_protocol(home).await? else {
        return fail(ErrorKind::Unavailable, "the daemon has ended", "try again");
    };
    let protocol = daemon.protocol().await?;
    if protocol != PROTOCOL {
        let Error { message, help, .. } = mismatch(protocol);
        warn(&format!("{message}: {}", help.unwrap_or_default()));
        return Ok(0);
    }
    context.known_project().await?;
    Ok(0)
}

/// Serves in the foreground until Ctrl-C.
fn serve(context: &Context, home: Home, args: &Up) -> Outcome {
    let project = context.project_dir()?;
    let here = home.clone();
    let ready = move |url: &str| {
        out::note(&format!("fornax is up: {url}"));
        out::note("Ctrl-C ends it, tasks live on; `fornax open` opens the page");
        // From outside, as every command does; the daemon answers once this has returned.
        std::thread::spawn(move || match project.is_known {
            true => wait(async {
                Daemon::reach(&here)
                    .await?
                    .register(&project.dir)
                    .await
                    .map(|_| 0)
            }),
            false => Ok(0),
        });
    };
    server::run(server::Options {
        home,
        bind: args.bind,
        embed_origins: args.embed_origins.clone(),
        shim_argv: shim_argv()?,
        ready,
    })?;
    Ok(0)
}

/// Serves as the child of a command that wants a daemon, and tells that command how the start went.
fn serve_as_child(home: Home, args: &Up) -> Outcome {
    close_inherited();
    // Out of the terminal's session: its hang-up and its Ctrl-C are not meant for the daemon. That
    // it leads one already is no reason not to serve.
    let _ = rustix::process::setsid();
    let ready = |url: &str| tell_parent(&Word::Ready(url.to_owned()));
    let shim_argv = shim_argv()?;
    if let Err(error) = server::run(server::Options {
        home,
        bind: args.bind,
        embed_origins: args.embed_origins.clone(),
        shim_argv,
        ready,
    }) {
        tell_parent(&Word::Refused(error.clone()));
        return Err(error.into());
    }
    Ok(0)
}

/// Lets go of the descriptors that came from the shell by way of the command: whoever waits for the
/// other end of one would wait as long as the daemon lives.
#[allow(unsafe_code)]
fn close_inherited() {
    // SAFETY: this process has opened nothing yet that it keeps, beside the three standard
    // descriptors, so nothing in it owns what is closed.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if closed != 0 {
        out::note("descriptors from the shell stay open: the kernel is older than 5.9");
    }
}

/// The command line that makes this binary a task's shim.
fn shim_argv() -> Result<Vec<OsString>, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            format!("cannot find this program: {error}"),
        )
    })?;
    Ok(vec![program.into_os_string(), SHIM_ARG.into()])
}

/// Says a word to the parent, once; from then on nobody listens.
fn tell_parent(word: &Word) {
    // A parent that is gone needs no word.
    if let Ok(word) = serde_json::to_string(word) {
        let _ = out::raw(format!("{word}\n").as_bytes());
    }
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        // Should it fail, standard output stays a pipe that nobody reads: no harm either.
        let _ = rustix::stdio::dup2_stdout(null);
    }
}

pub async fn status(args: Json) -> Outcome {
    let home = Home::from_env()?;
    let Some(daemon) = Daemon::of_any_protocol(&home).await? else {
        let unreachable = shutdown::unreachable(&home);
        if args.json {
            let mut value = json!({ "running": false });
            if let Some(pid) = unreachable {
                value["unreachable_pid"] = pid.as_raw_pid().into();
            }
            out::json(&value)?;
        } else if let Some(pid) = unreachable {
            out::print(&format!(
                "fornax cannot be reached: process {pid} runs, but its socket {} is gone; \
                 `fornax down` ends it (tasks live on)",
                home.socket().display()
            ))?;
        } else {
            out::print("fornax is not running: `fornax up -d` starts it, as do most commands")?;
        }
        return Ok(ErrorKind::Unavailable.exit_code());
    };
    let status = match daemon.status().await? {
        AnyStatus::Known(status) => status,
        AnyStatus::Other {
            pid,
            version,
            protocol,
            url,
        } => return short_status(&args, pid, &version, protocol, &url),
    };
    if args.json {
        let mut value = serde_json::to_value(&status).map_err(std::io::Error::from)?;
        value["running"] = true.into();
        out::json(&value)?;
        return Ok(0);
    }
    let now_ms = time::now_ms();
    out::print(&format!(
        "fornax {}  {}  process {}, up {}",
        one_line(&status.version),
        paint(BOLD, &one_line(&status.url)),
        status.pid,
        time::duration(now_ms - status.started_ms),
    ))?;
    note_differences(&status.version, status.protocol);
    for project in &status.projects {
        let view = &project.project;
        out::print(&format!(
            "\n{}  {}",
            paint(BOLD, &one_line(&view.name)),
            paint(DIM, &one_line(&view.dir))
        ))?;
        if let Some(problem) = &view.problem {
            out::print(&format!("  {} {}", paint(RED, "problem:"), safe(problem)))?;
        }
        out::print(&format!(
            "  {} running, {} waiting",
            project.running.len(),
            project.queued
        ))?;
        let mut table = Table::new(&["  TASK", "STATE", "TIME", "TOOL", "RUN"]);
        for task in &project.running {
            table.row(vec![
                format!("  {}", task.id),
                task_state(task.state),
                time::span(task.started_ms, None, now_ms),
                one_line(&task.tool),
                task.run.to_string(),
            ]);
        }
        if !project.running.is_empty() {
            out::print(&table.render(out::columns()))?;
        }
    }
    Ok(0)
}

/// The status of a daemon whose answer has another form.
fn short_status(args: &Json, pid: u32, version: &str, protocol: u32, url: &str) -> Outcome {
    if args.json {
        out::json(&json!({
            "running": true, "pid": pid, "version": version, "protocol": protocol, "url": url,
        }))?;
        return Ok(0);
    }
    out::print(&format!(
        "fornax {}  {}  process {pid}",
        one_line(version),
        paint(BOLD, &one_line(url)),
    ))?;
    note_differences(version, protocol);
    Ok(0)
}

/// Notes in which way the daemon is not of this program's version.
fn note_differences(version: &str, protocol: u32) {
    if protocol != PROTOCOL {
        let Error { message, help, .. } = mismatch(protocol);
        out::note(&format!("{message}: {}", help.unwrap_or_default()));
    } else if version != env!("CARGO_PKG_VERSION") {
        out::note(&format!(
            "the daemon is version {}, this program is version {}; they work together",
            one_line(version),
            env!("CARGO_PKG_VERSION")
        ));
    }
}

pub async fn down(args: Down) -> Outcome {
    let home = Home::from_env()?;
    match shutdown::end(&home, args.stop_tasks).await? {
        Shutdown::NotRunning => out::note("fornax is not running"),
        Shutdown::Asked => out::print("fornax is down")?,
        Shutdown::Signalled if args.stop_tasks => {
            out::print("fornax is down")?;
            warn(
                "the daemon could not be reached and was ended by a signal; its tasks live on: \
                 `fornax up -d` in their project finds them, then `fornax down --stop-tasks`",
            );
            return Ok(EXIT_FAILED);
        }
        Shutdown::Signalled => {
            out::print("fornax is down")?;
            out::note("the daemon could not be reached and was ended by a signal; tasks live on");
        }
    }
    Ok(0)
}

pub async fn open(context: &Context, print: bool) -> Outcome {
    let daemon = match context.known_project().await? {
        Some((daemon, _)) => daemon,
        None => Daemon::reach(&Home::from_env()?).await?,
    };
    let link = daemon.login_link().await?;
    if print {
        return out::print(&link).map(|()| 0);
    }
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let opened = Command::new(opener)
        .arg(&link)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if opened.is_ok_and(|status| status.success()) {
        return Ok(0);
    }
    out::note("no browser could be opened here; this link opens the page once, within a minute:");
    out::print(&link)?;
    Ok(0)
}
