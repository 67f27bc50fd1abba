//! `rehearse`: a plan with the real agents and tools but a scripted model, in a throw-away worktree,
//! under a daemon of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fornax_core::agent::DriverKind;
use fornax_core::error::{Error, ErrorKind};
use fornax_daemon::git::{Git, GitError};
use fornax_daemon::home::Home;
use fornax_daemon::trust::Trust;
use fornax_stub_model::{Options, Script, StubModel, recipes};

use super::{Context, plan};
use crate::cli::Rehearse;
use crate::failure::{Failure, Outcome, fail};
use crate::out::{self, DIM, paint};
use crate::text::{one_line, safe};

/// Keys of real providers: nothing in a rehearsal has a use for them.
const REAL_KEYS: [&str; 8] = [
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
    "DASHSCOPE_API_KEY",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "ANTHROPIC_AUTH_TOKEN",
];

pub async fn rehearse(context: &Context, args: Rehearse) -> Outcome {
    let project = context.project_dir()?.dir;
    let inputs = plan::inputs(args.inputs.clone())?;
    let path = plan::check(context, &args.plan, &inputs)?;
    // A rehearsal executes what a run executes: a person has to trust it in the project.
    let trust = Trust::from_env();
    let config = trust.config(&project)?;
    only_known_agents(context, &path)?;
    let script = script(args.script.as_deref())?;
    let stage = Stage::build(&project, &trust.git(&project))?;
    let plan = stage.bring(&project, Path::new(&path))?;
    let staged = Trust::of(&Home::open(stage.state().join("fornax"))?);
    staged.record_own(&stage.work, &config, &trust.filters(&project)?)?;
    let stub = StubModel::start(script, Options::default()).await;
    let stub = match stub {
        Ok(stub) => stub,
        Err(error) => {
            return fail(
                ErrorKind::Usage,
                format!("the scripted model cannot start: {error}"),
                "crates/fornax-stub-model/SCRIPT.md describes scripts",
            );
        }
    };
    let env = stage.environment(&stub.base_url())?;
    out::note(&paint(
        DIM,
        &format!(
            "rehearsing in {}, with no model but a script",
            safe(&stage.work.to_string_lossy())
        ),
    ));
    let mut arguments: Vec<OsString> = vec!["run".into(), plan.into()];
    for (name, value) in &inputs {
        arguments.extend(["--input".into(), format!("{name}={value}").into()]);
    }
    // The stub answers on this runtime meanwhile.
    let status = {
        let (work, env) = (stage.work.clone(), env.clone());
        let run = move || fornax(&arguments, &work, &env, true);
        tokio::task::spawn_blocking(run).await
    };
    let status = status.map_err(|error| Failure::from(std::io::Error::other(error)))??;
    let calls = stub.requests();
    summary(&calls)?;
    if args.keep {
        let state = format!("XDG_STATE_HOME={}", stage.state().display());
        out::note(&format!(
            "kept: {}\nits runs: {} fornax -C {} runs\nwhen you are done: {state} fornax down --stop-tasks; git worktree remove --force {}",
            safe(&stage.work.to_string_lossy()),
            safe(&state),
            safe(&stage.work.to_string_lossy()),
            safe(&stage.work.to_string_lossy()),
        ));
        stage.keep();
    } else {
        let down = ["down".into(), "--stop-tasks".into()];
        fornax(&down, &stage.work, &env, false)?;
        stage.clear(&project);
    }
    // It has answered all there was; what it still holds open ends with this process.
    let _ = stub.shutdown().await;
    Ok(status)
}

fn script(path: Option<&Path>) -> Result<Script, Failure> {
    let script = match path {
        Some(path) => Script::load(path),
        None => return Ok(Script::rehearsal()),
    };
    script.or_else(|error| {
        fail(
            ErrorKind::Usage,
            error.to_string(),
            "crates/fornax-stub-model/SCRIPT.md describes scripts",
        )
    })
}

/// A plan with an agent that cannot be led to the script would ask its real model.
fn only_known_agents(context: &Context, plan: &str) -> Result<(), Failure> {
    let dir = context.project_dir()?.dir;
    let config = plan::config(&dir)?;
    let text = std::fs::read_to_string(dir.join(plan)).unwrap_or_default();
    let unknown = config.tools.iter().find(|(name, tool)| {
        let driver = tool.driver.is_some_and(|driver| driver == DriverKind::Acp);
        // A name in a comment is refused as well: better that than a bill.
        let named = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
        driver && named.into_iter().any(|word| word == name.as_str())
    });
    match unknown {
        None => Ok(()),
        Some((name, _)) => fail(
            ErrorKind::Conflict,
            format!("{name} cannot be rehearsed: it would ask its real model"),
            "opencode, claude and codex can",
        ),
    }
}

/// What the model was asked, by rule.
fn summary(calls: &[fornax_stub_model::RequestRecord]) -> Result<(), Failure> {
    let mut rules: Vec<(String, usize)> = Vec::new();
    for call in calls.iter().filter_map(|call| call.rule.as_ref()) {
        match rules.iter_mut().find(|(rule, _)| rule == call) {
            Some((_, count)) => *count += 1,
            None => rules.push((call.clone(), 1)),
        }
    }
    let all: usize = rules.iter().map(|(_, count)| count).sum();
    let rules = rules
        .iter()
        .map(|(rule, count)| format!("{} {count}", one_line(rule)));
    let rules = rules.collect::<Vec<_>>().join(", ");
    out::note(&format!(
        "{all} model calls were answered by the script: {rules}"
    ));
    Ok(())
}

/// Where a rehearsal takes place.
struct Stage {
    temp: tempfile::TempDir,
    work: PathBuf,
}

impl Stage {
    /// A worktree of what is checked out, beside the project's own.
    fn build(project: &Path, git: &Git) -> Result<Stage, Failure> {
        let temp = tempfile::Builder::new()
            .prefix("fornax-rehearsal-")
            .tempdir();
        let temp = temp.or_else(|error| {
            fail(
                ErrorKind::Storage,
                format!("no folder for the rehearsal can be made: {error}"),
                "set TMPDIR to a folder with room",
            )
        })?;
        let work = temp.path().join("work");
        match git.add_worktree(project, &work, "HEAD") {
            Ok(()) => Ok(Stage { temp, work }),
            // "HEAD" names no commit before the first one.
            Err(error @ (GitError::NoWorkTree { .. } | GitError::InvalidRevision(_))) => fail(
                ErrorKind::Conflict,
                format!("no worktree can be made: {error}"),
                "a rehearsal needs a git repository with at least one commit",
            ),
            Err(error) => Err(Failure::from(Error::from(error))),
        }
    }

    /// Brings the plan and the configuration as they are now, committed or not; the plan's place.
    fn bring(&self, project: &Path, plan: &Path) -> Result<PathBuf, Failure> {
        let absolute = project.join(plan);
        let inside = absolute.strip_prefix(project).ok().map(Path::to_owned);
        let Some(inside) = inside else {
            return Ok(absolute);
        };
        for file in [inside.as_path(), Path::new("fornax.yaml")] {
            let (from, to) = (project.join(file), self.work.join(file));
            if !from.is_file() {
                continue;
            }
            let copied = to
                .parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::copy(&from, &to));
            if let Err(error) = copied {
                return fail(
                    ErrorKind::Storage,
                    format!("{} cannot be copied: {error}", from.display()),
                    "set TMPDIR to a folder with room",
                );
            }
        }
        Ok(inside)
    }

    fn state(&self) -> PathBuf {
        self.temp.path().join("state")
    }

    /// What leads every agent to the stub, and keeps it out of the user's own settings.
    fn environment(&self, base_url: &str) -> Result<Vec<(String, String)>, Failure> {
        let home = |name: &str| self.temp.path().join("agents").join(name);
        let mut env = recipes::opencode_env(base_url, &home("opencode"));
        env.extend(recipes::claude_env(base_url, &home("claude")));
        env.extend(recipes::codex_env(base_url, &home("codex"))?);
        // Fornax's own comes last: it and OpenCode read the same variable.
        let state = self.state();
        env.retain(|(name, _)| name != "XDG_STATE_HOME");
        env.push((
            "XDG_STATE_HOME".to_owned(),
            state.to_string_lossy().into_owned(),
        ));
        Ok(env)
    }

    fn keep(self) {
        let _ = self.temp.keep();
    }

    /// Takes the worktree away: nothing in it was anybody's work.
    fn clear(self, project: &Path) {
        if Git::default().remove_worktree(project, &self.work).is_err() {
            out::note("the worktree could not be taken away: `git worktree prune` forgets it");
        }
    }
}

/// Runs this program once more; its exit code.
fn fornax(
    arguments: &[OsString],
    work: &Path,
    env: &[(String, String)],
    shown: bool,
) -> Result<u8, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("-C")
        .arg(work)
        .args(arguments)
        .current_dir(work)
        .envs(env.iter().map(|(name, value)| (name, value)));
    for key in REAL_KEYS {
        command.env_remove(key);
    }
    if !shown {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    let status = command.status()?;
    Ok(u8::try_from(status.code().unwrap_or(130)).unwrap_or(1))
}
