//! `doctor`: looks for what could be wrong, and says what to do about it. Changes
//! nothing without `--fix`, which is in `repair`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use fornax_core::error::{EXIT_DONE, EXIT_FAILED, Error, ErrorKind};
use fornax_daemon::home::Home;
use fornax_daemon::plans::BadFile;
use fornax_daemon::protocol::{PROTOCOL, mismatch};
use fornax_daemon::tools::{Tools, Wanted};
use fornax_daemon::trust::ownership::ignores_modes;
use fornax_daemon::trust::{Reading, Standing, Trust};
use fornax_journal::repair::Scope;
use fornax_journal::{Project, Severity};
use serde::Serialize;

use super::repair::{self, Damage};
use super::supervisors::{Stray, strays};
use super::{Context, plan};
use crate::daemon::Daemon;
use crate::daemon_cli::Doctor;
use crate::failure::{Failure, Outcome};
use crate::out::{self, DIM, GREEN, RED, YELLOW, paint};
use crate::shutdown;
use crate::text::{one_line, safe};

/// Less free space than this is worth a warning, in bytes.
const SPACE_WARN_BYTES: u64 = 1 << 30;
/// With less than this, work will soon stop, in bytes.
const SPACE_FAIL_BYTES: u64 = 100 << 20;
/// Fewer inotify instances than this are used up by an editor and a file watcher or two.
const INOTIFY_INSTANCES_MIN: u64 = 64;
/// The daemon watches one file for each log or journal that is followed.
const INOTIFY_WATCHES_MIN: u64 = 4096;

/// How many runs are looked at for damage.
const RUNS_LOOKED_AT: usize = 20;

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// A check and what it found.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    level: Level,
    message: String,
    help: Option<String>,
}

impl Check {
    fn ok(name: &'static str, message: impl Into<String>) -> Check {
        Check {
            name,
            level: Level::Ok,
            message: message.into(),
            help: None,
        }
    }

    fn warn(name: &'static str, message: impl Into<String>, help: impl Into<String>) -> Check {
        Check {
            name,
            level: Level::Warn,
            message: message.into(),
            help: Some(help.into()),
        }
    }

    fn fail(name: &'static str, error: Error) -> Check {
        Check {
            name,
            level: Level::Fail,
            message: error.message,
            help: error.help,
        }
    }
}

pub fn doctor(context: &Context, args: Doctor) -> Outcome {
    if args.fix {
        return repair::fix(context, args.yes);
    }
    let dir = context.anyones_project_dir()?;
    let mut checks = Vec::new();
    match Home::from_env() {
        Ok(home) => {
            checks.push(Check::ok(
                "home",
                format!("{} is yours alone", home.dir().display()),
            ));
            checks.extend([
                token(&home),
                daemon(&home),
                space("disk of the home", home.dir()),
            ]);
            checks.extend(damage(&home, &dir.dir));
            checks.extend(supervisors(&home, &dir.dir));
        }
        Err(error) => checks.push(Check::fail("home", error)),
    }
    checks.push(space("disk of the project", &dir.dir));
    checks.extend(records(&dir.dir));
    checks.extend([
        inotify(),
        program("git", "agents and plans that use branches need it"),
    ]);
    checks.push(node());
    checks.extend(of_tools(&dir.dir));

    let failed = checks.iter().any(|check| check.level == Level::Fail);
    if args.json {
        out::json(&checks)?;
    } else {
        print(&checks)?;
    }
    Ok(if failed { EXIT_FAILED } else { EXIT_DONE })
}

fn print(checks: &[Check]) -> Result<(), Failure> {
    let width = checks
        .iter()
        .map(|check| check.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let sign = match check.level {
            Level::Ok => paint(GREEN, "✓"),
            Level::Warn => paint(YELLOW, "!"),
            Level::Fail => paint(RED, "✗"),
        };
        text += &format!(
            "{sign} {:width$}  {}\n",
            check.name,
            one_line(&check.message)
        );
        if let Some(help) = &check.help {
            for line in safe(help).lines() {
                text += &format!("  {:width$}  {}\n", "", paint(DIM, line));
            }
        }
    }
    out::print(&text)
}

fn token(home: &Home) -> Check {
    const NAME: &str = "token";
    if !home.dir().join("token").exists() {
        return Check::ok(NAME, "none yet: it is made when the daemon first starts");
    }
    match home.token() {
        Ok(_) => Check::ok(NAME, "only you can read it"),
        Err(error) => Check::fail(NAME, error),
    }
}

fn daemon(home: &Home) -> Check {
    const NAME: &str = "daemon";
    let info = match home.info() {
        Ok(info) => info,
        Err(error) => return Check::fail(NAME, error),
    };
    let ours = env!("CARGO_PKG_VERSION");
    let reached = super::wait(async {
        match Daemon::of_any_protocol(home).await? {
            Some(daemon) => Ok(Some((daemon.protocol().await?, daemon.process().await?))),
            None => Ok(None),
        }
    });
    match reached.map_err(Failure::into_error) {
        Err(error) => return Check::fail(NAME, error),
        Ok(Some((protocol, _))) if protocol != PROTOCOL => {
            return Check::fail(NAME, mismatch(protocol));
        }
        Ok(Some((_, pid))) => {
            let pid = pid.map_or_else(String::new, |pid| format!(" as process {pid}"));
            let theirs = info.map_or_else(|| ours.to_owned(), |info| info.version);
            let message = match theirs == ours {
                true => format!("version {ours} runs{pid}"),
                false => format!("version {theirs} runs{pid}; this is {ours}, they work together"),
            };
            return Check::ok(NAME, message);
        }
        Ok(None) => {}
    }
    if let Some(pid) = shutdown::unreachable(home) {
        return Check::warn(
            NAME,
            format!(
                "process {pid} runs, but its socket {} is gone",
                home.socket().display()
            ),
            "`fornax down` ends it (tasks live on), the next command starts another",
        );
    }
    if home.socket().exists() || info.is_some() {
        return Check::warn(
            NAME,
            format!("none runs; one that died left {}", home.socket().display()),
            "`fornax up -d` starts it again and finds the tasks that live on",
        );
    }
    Check::ok(NAME, "none runs: most commands start it")
}

fn space(name: &'static str, dir: &Path) -> Check {
    let stat = match rustix::fs::statvfs(dir) {
        Ok(stat) => stat,
        Err(error) => return Check::fail(name, unreadable(dir, &error.into())),
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let message = format!("{} free in {}", size(free), dir.display());
    let help = "make room: old runs in .fornax/runs may be moved away";
    // Some file systems have no fixed number of files, and say 0 of 0.
    let no_files_left = stat.f_files > 0 && stat.f_favail == 0;
    if free < SPACE_FAIL_BYTES || no_files_left {
        let error = Error::new(ErrorKind::Storage, message);
        return Check::fail(name, error.with_help(help));
    }
    if free < SPACE_WARN_BYTES {
        return Check::warn(name, message, help);
    }
    if fs::metadata(dir).is_ok_and(|meta| meta.mode() & 0o200 == 0) {
        let message = format!("{} cannot be written", dir.display());
        return Check::warn(name, message, format!("chmod u+w {}", dir.display()));
    }
    Check::ok(name, message)
}

/// A number of bytes for a person.
fn size(bytes: u64) -> String {
    let units = [
        ("TiB", 1u64 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ];
    let unit = units.iter().find(|(_, unit)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(name, unit)| format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
    )
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot look at {}: {error}", path.display());
    Error::new(ErrorKind::Storage, message)
}

/// What `doctor --fix` would repair, as far as it is found without looking at everything.
fn damage(home: &Home, dir: &Path) -> Vec<Check> {
    const NAME: &str = "damage";
    const SHOWN_MAX: usize = 20;
    let damage = match Damage::find(home, dir, Scope::Newest(RUNS_LOOKED_AT)) {
        Ok(damage) => damage,
        Err(error) => return vec![Check::fail(NAME, error)],
    };
    let check = |message| {
        let error = Error::new(ErrorKind::Damaged, message);
        Check::fail(
            NAME,
            error.with_help("`fornax doctor --fix` shows how it would repair that, and asks"),
        )
    };
    let mut checks: Vec<Check> = damage.messages().take(SHOWN_MAX).map(check).collect();
    let more = damage.messages().count().saturating_sub(SHOWN_MAX);
    if more > 0 {
        checks.push(check(format!("and {more} more")));
    }
    checks
}

/// Supervisors that run and that no daemon looks after.
fn supervisors(home: &Home, dir: &Path) -> Vec<Check> {
    const NAME: &str = "supervisors";
    let strays = match strays(home, dir) {
        Ok(strays) => strays,
        Err(error) => return vec![Check::fail(NAME, error)],
    };
    let check = |Stray { pid, what }| {
        Check::warn(
            NAME,
            format!("process {pid} supervises {what}"),
            format!(
                "`kill {pid}` ends it with all that it started; it is ended only on a person's \
                 command. A `fornax` command in a project that was moved finds its tasks again"
            ),
        )
    };
    strays.into_iter().map(check).collect()
}

/// The newest runs on the disk; `fornax verify` looks at all of them.
fn records(dir: &Path) -> Option<Check> {
    const NAME: &str = "records";
    if !dir.join(".fornax").exists() {
        return None;
    }
    let looked = Project::find(dir).and_then(|project| {
        let runs = project.runs()?;
        let mut findings = Vec::new();
        for run in runs.iter().take(RUNS_LOOKED_AT) {
            findings.extend(project.verify(Some(*run))?);
        }
        Ok((runs.len().min(RUNS_LOOKED_AT), findings))
    });
    let (runs, findings) = match looked {
        Ok(looked) => looked,
        Err(error) => return Some(Check::fail(NAME, error.into())),
    };
    let worst = findings.iter().max_by_key(|finding| finding.severity);
    Some(match worst.map(|worst| (worst.severity, worst)) {
        Some((Severity::Damage, worst)) => {
            let message = format!("{}: {}", worst.file.display(), worst.what);
            let error = Error::new(ErrorKind::Damaged, message);
            Check::fail(
                NAME,
                error.with_help(
                    "`fornax verify` shows all that is damaged, `fornax doctor --fix` what it \
                     would repair",
                ),
            )
        }
        Some((Severity::Warning, worst)) => {
            let message = format!("{}: {}", worst.file.display(), worst.what);
            Check::warn(NAME, message, "`fornax verify` shows all that is missing")
        }
        _ => Check::ok(NAME, format!("the newest {runs} runs are undamaged")),
    })
}

/// The page's logs and journals are followed by inotify.
fn inotify() -> Check {
    const NAME: &str = "inotify";
    let limit = |what: &str| -> Option<u64> {
        let path = format!("/proc/sys/fs/inotify/max_user_{what}");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    let (Some(instances), Some(watches)) = (limit("instances"), limit("watches")) else {
        return Check::warn(
            NAME,
            "its limits cannot be read",
            "logs may not be followed live",
        );
    };
    let message = format!("{instances} instances, {watches} watches for a user");
    if instances < INOTIFY_INSTANCES_MIN || watches < INOTIFY_WATCHES_MIN {
        return Check::warn(
            NAME,
            message,
            "sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=65536",
        );
    }
    Check::ok(NAME, message)
}

fn program(name: &'static str, needed_for: &str) -> Check {
    let wanted = [Wanted {
        name: name.to_owned(),
        program: name.to_owned(),
        is_trusted: true,
    }];
    match Tools::default().look(&wanted, None).pop() {
        Some(found) if found.usable => {
            Check::ok(name, found.version.unwrap_or_else(|| "is there".to_owned()))
        }
        found => {
            let problem = found.and_then(|found| found.problem);
            Check::warn(
                name,
                problem.unwrap_or_else(|| "is not there".to_owned()),
                needed_for,
            )
        }
    }
}

/// Fornax itself does without it.
fn node() -> Check {
    let check = program("node", "");
    match check.level {
        Level::Ok => check,
        _ => Check::ok(
            "node",
            "not there; only agents that are installed with npm need it",
        ),
    }
}

/// The filters of the project's repository that nobody has accepted.
fn filters(trust: &Trust, dir: &Path) -> Option<Check> {
    const NAME: &str = "git filters";
    let filters = match trust.filters(dir) {
        Ok(filters) => filters,
        Err(error) => return Some(Check::fail(NAME, error)),
    };
    let untrusted = filters.iter().filter(|filter| !filter.is_trusted);
    let mut names: Vec<&str> = untrusted.map(|filter| filter.name.as_str()).collect();
    names.dedup();
    (!names.is_empty()).then(|| {
        let message = format!(
            "{names:?}, defined by the repository's own configuration, are not trusted: whether files that use \
             them have changed is not known, and they are not checked out"
        );
        Check::warn(
            NAME,
            message,
            "`fornax trust list` shows their commands, `fornax trust` accepts them",
        )
    })
}

/// What a person has decided about the project's configuration, and where only owners count.
fn trusted(dir: &Path, reading: &Reading) -> Vec<Check> {
    const NAME: &str = "trust";
    let mut checks = vec![match reading.standing {
        Standing::ExecutesNothing => Check::ok(NAME, "fornax.yaml executes nothing of its own"),
        Standing::Trusted => Check::ok(NAME, "what fornax.yaml executes is trusted"),
        Standing::Always => Check::ok(
            NAME,
            "fornax.yaml is followed whatever it executes: you chose always for this project",
        ),
        Standing::Undecided | Standing::Declined => Check::warn(
            NAME,
            "what fornax.yaml executes is not trusted, so nothing is started here",
            "`fornax trust list` shows it, `fornax trust` accepts it",
        ),
    }];
    if ignores_modes(dir) {
        let message = "chmod has no effect on this file system: only the owner of a file counts";
        checks.push(Check::ok("ownership", message));
    }
    checks
}

/// The configuration and the tools. A tool that is not there is no fault until a plan uses it.
fn of_tools(dir: &Path) -> Vec<Check> {
    const CONFIGURATION: &str = "configuration";
    let trust = Trust::from_env();
    let reading = match trust.read(dir) {
        Ok(reading) => reading,
        Err(BadFile::Wrong(diagnostics)) => {
            let message = "fornax.yaml cannot be used";
            let error = Error::new(ErrorKind::Usage, message);
            return vec![Check::fail(
                CONFIGURATION,
                error.with_help(plan::rendered(&diagnostics)),
            )];
        }
        Err(BadFile::Unreadable(error)) => return vec![Check::fail(CONFIGURATION, error)],
    };
    let mut checks = vec![Check::ok(
        CONFIGURATION,
        format!("{} tools", reading.config.tools.len()),
    )];
    checks.extend(trusted(dir, &reading));
    checks.extend(filters(&trust, dir));
    checks.extend(
        Tools::default()
            .of_project(&reading, dir)
            .into_iter()
            .map(|tool| {
                let version = tool.version.as_deref().unwrap_or("no version");
                match tool.problem {
                    Some(problem) if !tool.usable => Check::warn(
                        "tool",
                        format!("{}: {problem}", tool.name),
                        tool.help.unwrap_or_default(),
                    ),
                    Some(problem) => {
                        Check::ok("tool", format!("{}: {version} ({problem})", tool.name))
                    }
                    None => Check::ok("tool", format!("{}: {version}", tool.name)),
                }
            }),
    );
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let cases = [
            (5, "5 bytes"),
            (1536, "1.5 KiB"),
            (100 << 20, "100.0 MiB"),
            (3 << 40, "3.0 TiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
