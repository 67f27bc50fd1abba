//! Requests that change something: from what was asked to the command that the engine decides.

use std::path::Path;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{CmdId, RunId};
use fornax_core::plan;
use fornax_core::plan::config::Config;
use fornax_core::record::Actor;
use fornax_core::redact::Rules;
use fornax_core::request::{CommandRequest, Request};
use fornax_core::spec::RunSpec;
use fornax_core::state::{Command, Limits, Target};
use fornax_core::view::Answer;

use super::{Hub, blocking};
use crate::engine::{Engine, Look, Settings};
use crate::find;
use crate::plans::{BadFile, load_config, load_plan};

/// How many tasks run at once in a project that does not say so: agents mostly wait for their
/// models, so a machine of few cores runs a few all the same.
const TASKS_AT_LEAST: u32 = 4;

impl Hub {
    pub(super) async fn start(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let engine = self.engine(&request.project)?;
        let root = engine.project().root().to_owned();
        let wanted = request.command.clone();
        let (spec, settings) = blocking(move || resolve(&root, wanted)).await??;
        engine
            .start(spec, settings.limits, actor, request.cmd_id.clone())
            .await
    }

    pub(super) async fn stop(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let Request::Stop { target, reason } = &request.command else {
            return Err(Error::new(ErrorKind::Internal, "not a stop"));
        };
        let engine = self.engine(&request.project)?;
        let reason = reason.clone().unwrap_or_else(|| format!("by {actor}"));
        if target == "all" {
            return stop_all(&engine, &reason, actor).await;
        }
        let target = find::target(&engine, target).await?;
        find::take_up(&engine, target).await?;
        engine
            .command(
                Command::Stop { target, reason },
                actor,
                Some(request.cmd_id.clone()),
            )
            .await
    }

    pub(super) async fn retry(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let Request::Retry { target, from } = &request.command else {
            return Err(Error::new(ErrorKind::Internal, "not a retry"));
        };
        let engine = self.engine(&request.project)?;
        let target = find::target(&engine, target).await?;
        find::take_up(&engine, target).await?;
        let from = match (target, from) {
            (_, None) => None,
            (Target::Run(run), Some(from)) => Some(find::frame_of_run(&engine, run, from).await?),
            (_, Some(_)) => {
                let message =
                    "`from` goes with a run: it names the frame of it from which to do it again";
                return Err(Error::new(ErrorKind::Usage, message));
            }
        };
        engine
            .command(
                Command::Retry { target, from },
                actor,
                Some(request.cmd_id.clone()),
            )
            .await
    }
}

/// Stops every run of a project that goes on.
pub(super) async fn stop_all(engine: &Engine, reason: &str, actor: Actor) -> Result<Answer, Error> {
    let open = |look: &Look<'_>| {
        let open = look.state.runs().filter(|(_, run)| run.ended.is_none());
        open.map(|(id, _)| id).collect::<Vec<RunId>>()
    };
    let mut all = Answer::default();
    for run in engine.look(open).await? {
        let stop = Command::Stop {
            target: Target::Run(run),
            reason: reason.to_owned(),
        };
        match engine.command(stop, actor.clone(), Some(fresh_id()?)).await {
            Ok(answer) => {
                all.run = answer.run;
                all.moved += answer.moved;
            }
            // It has ended meanwhile, or is being stopped already.
            Err(error) if error.kind == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    if all.run.is_none() {
        return Err(Error::new(
            ErrorKind::Conflict,
            "there is nothing to stop: no run goes on",
        ));
    }
    Ok(all)
}

fn fresh_id() -> Result<CmdId, Error> {
    let id = uuid::Uuid::now_v7().to_string().parse();
    id.map_err(|error| Error::new(ErrorKind::Internal, format!("{error}")))
}

/// What a request to start something comes to, by the project's files as they are now.
fn resolve(root: &Path, request: Request) -> Result<(RunSpec, Settings), Error> {
    let config = load_config(root)?;
    let wrong = |found| Error::from(BadFile::Wrong(found));
    let spec = match request {
        Request::RunPlan { path, inputs } => {
            let plan = load_plan(root, Path::new(&path), &config)?;
            plan.resolve(inputs).map_err(wrong)?
        }
        Request::RunTask {
            tool,
            prompt,
            model,
            timeout_ms,
        } => {
            let task = plan::Task {
                tool,
                prompt,
                model,
                timeout_ms,
                ..plan::Task::default()
            };
            plan::single_task(&task, &config).map_err(wrong)?
        }
        Request::Stop { .. } | Request::Retry { .. } => {
            return Err(Error::new(ErrorKind::Internal, "nothing to start"));
        }
    };
    let settings = settings(&config);
    refuse_secrets(&spec, &settings.rules)?;
    Ok((spec, settings))
}

/// What a project's configuration says to its engine.
pub(super) fn settings(config: &Config) -> Settings {
    Settings {
        limits: Limits {
            tasks: config.max_tasks.unwrap_or_else(default_tasks),
            pools: config.pools.clone(),
            ..Limits::default()
        },
        rules: config.rules.clone(),
        custom_rules: config
            .redact
            .iter()
            .map(|rule| (rule.name.clone(), rule.pattern.clone()))
            .collect(),
    }
}

pub(super) fn default_tasks() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores).unwrap_or(u32::MAX).max(TASKS_AT_LEAST)
}

/// What a run is to do is written to its journal as it is, so that it can be done again. A secret
/// does not belong there, and cannot be taken out without changing what is done.
fn refuse_secrets(spec: &RunSpec, rules: &Rules) -> Result<(), Error> {
    let mut inputs = serde_json::json!(spec.inputs);
    if rules.redact_json(&mut inputs) {
        let message = "an input holds what looks like a secret, and inputs are kept in the journal";
        return Err(Error::new(ErrorKind::Usage, message).with_help(
            "leave it in the environment: $NAME in a shell script, {env.NAME} elsewhere",
        ));
    }
    for frame in &spec.frames {
        let strings = serde_json::to_value(frame)
            .map(|value| strings_of(&value))
            .unwrap_or_default();
        let mut redacted = strings.iter().filter_map(|text| match rules.redact(text) {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(redacted) => Some(redacted),
        });
        if let Some(redacted) = redacted.next() {
            let kind = redacted
                .split("[redacted:")
                .nth(1)
                .and_then(|rest| rest.split(']').next());
            let kind = kind.unwrap_or("secret");
            let message = format!(
                "frame {} holds what looks like a secret ({kind})",
                frame.key
            );
            return Err(Error::new(ErrorKind::Usage, message).with_help(
                "what a frame runs is kept in the journal: let it read the secret from the environment, \
                 as $NAME in a shell script or {env.NAME} elsewhere",
            ));
        }
    }
    Ok(())
}

/// All strings of a value, however deep.
fn strings_of(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(strings_of).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(strings_of).collect(),
        _ => Vec::new(),
    }
}
