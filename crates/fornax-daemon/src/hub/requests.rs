//! Requests that change something: from what was asked to the command that the engine decides.

use std::path::Path;

use fornax_core::agent::OrderKind;
use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{CmdId, FrameId, RunId, TaskId};
use fornax_core::record::Actor;
use fornax_core::request::{CommandRequest, Request};
use fornax_core::spec::RunSpec;
use fornax_core::state::{Command, Limits, Target};
use fornax_core::view::Answer;
use fornax_plan::config::Config;
use fornax_redact::Rules;

use super::Hub;
use super::callers::by_hand;
use crate::engine::{Engine, Look, Settings};
use crate::find;
use crate::plans::{BadFile, NamedBy, load_plan};
use crate::pool;
use crate::trust::Trust;

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
        let (wanted, trust) = (request.command.clone(), self.trust.clone());
        let named_by = match actor == Actor::HUMAN {
            true => NamedBy::Person,
            false => NamedBy::Agent,
        };
        let work = move || resolve(&root, wanted, &trust, named_by);
        let (spec, settings) = pool::FILES.run(work).await??;
        engine
            .start(spec, settings, actor, request.cmd_id.clone())
            .await
    }

    /// Does a task once more, in a run of its own.
    pub(super) async fn rerun(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let Request::Rerun {
            target,
            tool,
            model,
        } = &request.command
        else {
            return Err(Error::new(ErrorKind::Internal, "not a rerun"));
        };
        let engine = self.engine(&request.project)?;
        let task = task_of(&engine, target).await?;
        let spec = engine.rerun(task).await?;
        let root = engine.project().root().to_owned();
        let (tool, model, trust) = (tool.clone(), model.clone(), self.trust.clone());
        let resolved = pool::FILES.run(move || {
            let config = trust.config(&root)?;
            let spec = with_tool(spec, tool, model, &config)?;
            let settings = settings(&config);
            refuse_secrets(&spec, &settings.rules)?;
            Ok::<_, Error>((spec, settings))
        });
        let (spec, settings) = resolved.await??;
        engine
            .start(spec, settings, actor, request.cmd_id.clone())
            .await
    }

    /// Goes on with the conversation of a task that is over, in a run of its own.
    pub(super) async fn resume(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let Request::Resume {
            target,
            prompt,
            fork,
        } = &request.command
        else {
            return Err(Error::new(ErrorKind::Internal, "not a resumption"));
        };
        if prompt.trim().is_empty() {
            return Err(Error::new(ErrorKind::Usage, "there is nothing to tell it"));
        }
        let engine = self.engine(&request.project)?;
        let task = task_of(&engine, target).await?;
        let spec = engine.go_on(task, prompt.clone(), *fork).await?;
        let root = engine.project().root().to_owned();
        let trust = self.trust.clone();
        let resolved = pool::FILES.run(move || {
            let settings = settings(&trust.config(&root)?);
            refuse_secrets(&spec, &settings.rules)?;
            Ok::<_, Error>((spec, settings))
        });
        let (spec, settings) = resolved.await??;
        engine
            .start(spec, settings, actor, request.cmd_id.clone())
            .await
    }

    /// Tells a task's agent something.
    pub(super) async fn tell(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let engine = self.engine(&request.project)?;
        let (target, order) = match &request.command {
            Request::Prompt { target, text } => {
                if text.trim().is_empty() {
                    return Err(Error::new(ErrorKind::Usage, "there is nothing to tell it"));
                }
                refuse_secret_text(text, &engine.rules())?;
                (target, OrderKind::Prompt { text: text.clone() })
            }
            Request::Interrupt { target } => (target, OrderKind::Interrupt),
            Request::Compact { target } => (target, OrderKind::Compact { guide: None }),
            Request::Decide {
                target,
                permission,
                decision,
                note,
            } => {
                let task = task_of(&engine, target).await?;
                let permission = match permission {
                    Some(permission) => permission.clone(),
                    None => only_permission(&engine, task).await?,
                };
                let decide = OrderKind::Decide {
                    permission,
                    decision: *decision,
                    note: note.clone(),
                };
                (target, decide)
            }
            _ => return Err(Error::new(ErrorKind::Internal, "nothing to tell")),
        };
        let task = task_of(&engine, target).await?;
        let tell = Command::Tell { task, order };
        engine
            .command(tell, actor, Some(request.cmd_id.clone()))
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
        let run = find::run_of(&engine, target).await?;
        if engine
            .look(move |look| look.exclusion(run))
            .await?
            .is_some()
        {
            return self.stop_read_only(&engine, run, target).await;
        }
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
        let (root, trust) = (engine.project().root().to_owned(), self.trust.clone());
        pool::FILES.run(move || trust.config(&root)).await??;
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

impl Hub {
    /// Pauses something, or lets it go on.
    pub(super) async fn pause(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let engine = self.engine(&request.project)?;
        let (Request::Pause { target } | Request::Unpause { target }) = &request.command else {
            return Err(Error::new(ErrorKind::Internal, "not a pause"));
        };
        let target = find::target(&engine, target).await?;
        find::take_up(&engine, target).await?;
        let command = match &request.command {
            Request::Pause { .. } => Command::Pause { target },
            _ => Command::Unpause { target },
        };
        engine
            .command(command, actor, Some(request.cmd_id.clone()))
            .await
    }

    /// Has a frame wait for a human before it begins.
    pub(super) async fn checkpoint(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let Request::Checkpoint { frame, question } = &request.command else {
            return Err(Error::new(ErrorKind::Internal, "not a checkpoint"));
        };
        let engine = self.engine(&request.project)?;
        let rules = engine.rules();
        let question = question.as_deref();
        let frame = frame_of(&engine, frame).await?;
        let checkpoint = Command::Checkpoint {
            frame,
            session: by_hand()?,
            question: question.map(|question| rules.redact(question).into_owned()),
        };
        engine
            .command(checkpoint, actor, Some(request.cmd_id.clone()))
            .await
    }

    /// Undoes what was last done in a frame by itself.
    pub(super) async fn undo(
        &self,
        request: &CommandRequest,
        actor: Actor,
    ) -> Result<Answer, Error> {
        let Request::UndoAuto { frame } = &request.command else {
            return Err(Error::new(ErrorKind::Internal, "not an undo"));
        };
        let engine = self.engine(&request.project)?;
        let frame = frame_of(&engine, frame).await?;
        let undo = Command::UndoAuto { frame };
        engine
            .command(undo, actor, Some(request.cmd_id.clone()))
            .await
    }
}

/// The frame that is meant, which must be one.
async fn frame_of(engine: &Engine, text: &str) -> Result<FrameId, Error> {
    let target = find::target(engine, text).await?;
    let Target::Frame(frame) = target else {
        return Err(Error::new(ErrorKind::Usage, format!("{text} is no frame")));
    };
    find::take_up(engine, target).await?;
    Ok(frame)
}

/// The task that is meant: itself, or a frame's newest.
pub(super) async fn task_of(engine: &Engine, text: &str) -> Result<TaskId, Error> {
    let target = find::target(engine, text).await?;
    find::take_up(engine, target).await?;
    match target {
        Target::Task(id) => Ok(id),
        Target::Frame(id) => {
            let newest = engine.look(move |look| look.state.frame(id)?.newest_task(id));
            newest
                .await?
                .ok_or_else(|| Error::new(ErrorKind::Conflict, format!("{id} has had no task yet")))
        }
        Target::Run(id) => Err(
            Error::new(ErrorKind::Usage, format!("{id} is a run, not a task"))
                .with_help("`fornax tree` shows its frames"),
        ),
    }
}

/// The permission that a task asks, where it asks only one.
async fn only_permission(engine: &Engine, task: TaskId) -> Result<String, Error> {
    let asked = engine.look(move |look| look.state.task(task).map(|task| task.waits.clone()));
    let asked = asked.await?.unwrap_or_default();
    match asked.as_slice() {
        [one] => Ok(one.id.clone()),
        [] => Err(
            Error::new(ErrorKind::Conflict, format!("{task} asks nothing"))
                .with_help("`fornax inbox` lists what waits for you"),
        ),
        many => {
            let ids: Vec<&str> = many.iter().map(|wait| wait.id.as_str()).collect();
            let message = format!("{task} asks {} things: {}", many.len(), ids.join(", "));
            Err(Error::new(ErrorKind::Usage, message).with_help("name the one that you mean"))
        }
    }
}

/// The run with another tool or model for its task.
fn with_tool(
    mut spec: RunSpec,
    tool: Option<String>,
    model: Option<String>,
    config: &Config,
) -> Result<RunSpec, Error> {
    let Some(old) = spec
        .frames
        .last_mut()
        .and_then(|frame| frame.invocation.as_mut())
    else {
        return Ok(spec);
    };
    if let Some(tool) = tool {
        let task = fornax_plan::Task {
            tool,
            prompt: "as before".to_owned(),
            model: model.clone(),
            ..fornax_plan::Task::default()
        };
        let other = fornax_plan::single_task(&task, config);
        let mut other = other.map_err(|found| Error::from(BadFile::Wrong(found)))?;
        let new = other.frames.pop().and_then(|frame| frame.invocation);
        let mut new = new.ok_or_else(|| Error::new(ErrorKind::Internal, "a task without work"))?;
        new.prompt = old.prompt.take();
        new.workdir = old.workdir.take();
        *old = new;
    } else if model.is_some() {
        old.model = model;
    }
    Ok(spec)
}

/// What an agent is told is kept in the journal.
fn refuse_secret_text(text: &str, rules: &Rules) -> Result<(), Error> {
    if let std::borrow::Cow::Borrowed(_) = rules.redact(text) {
        return Ok(());
    }
    let message = "this holds what looks like a secret, and what agents are told is kept";
    Err(Error::new(ErrorKind::Usage, message)
        .with_help("put it into the environment and tell the agent the variable's name"))
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

pub(super) fn fresh_id() -> Result<CmdId, Error> {
    let id = uuid::Uuid::now_v7().to_string().parse();
    id.map_err(|error| Error::new(ErrorKind::Internal, format!("{error}")))
}

/// What a request to start something comes to, by the project's files as they are now.
fn resolve(
    root: &Path,
    request: Request,
    trust: &Trust,
    named_by: NamedBy,
) -> Result<(RunSpec, Settings), Error> {
    let config = trust.config(root)?;
    let wrong = |found| Error::from(BadFile::Wrong(found));
    let mut spec = match request {
        Request::RunPlan { path, inputs } => {
            let plan = load_plan(root, Path::new(&path), &config, named_by)?;
            plan.resolve(inputs).map_err(wrong)?
        }
        Request::RunTask {
            tool,
            prompt,
            model,
            timeout_ms,
        } => {
            let task = fornax_plan::Task {
                tool,
                prompt,
                model,
                timeout_ms,
                ..fornax_plan::Task::default()
            };
            fornax_plan::single_task(&task, &config).map_err(wrong)?
        }
        _ => {
            return Err(Error::new(ErrorKind::Internal, "nothing to start"));
        }
    };
    spec.limits = config.limits;
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
        context_budget: config.context_budget,
        frame_limits: config.limits,
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
