//! From what a person types to what it names: whole ids, unique prefixes of ids, keys of frames.

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{FrameId, RunId, TaskId};
use fornax_core::state::{Frame, Target};

use crate::engine::Engine;
use crate::history;

/// How many candidates an ambiguous prefix lists.
const CANDIDATES_MAX: usize = 8;

/// The run, frame or task that an id or a unique prefix of one names.
///
/// # Errors
/// Where it names nothing, or more than one.
pub(crate) async fn target(engine: &Engine, text: &str) -> Result<Target, Error> {
    if let Some(whole) = whole_id(text) {
        return Ok(whole);
    }
    let wanted = text.to_owned();
    let known = engine.look(move |look| {
        let runs = look.state.runs().map(|(id, _)| id.to_string());
        let frames: Vec<FrameId> = look.state.frames_like("f-").collect();
        let tasks = frames
            .iter()
            .filter_map(|id| Some((id, look.state.frame(*id)?)));
        let tasks = tasks
            .flat_map(|(id, frame)| frame.tasks(*id))
            .map(|id| id.to_string());
        let all = runs
            .chain(frames.iter().map(FrameId::to_string))
            .chain(tasks);
        all.filter(|id| id.starts_with(&wanted)).collect::<Vec<_>>()
    });
    let mut candidates = known.await?;
    candidates.extend(history::ids_like(engine.project(), text)?);
    candidates.sort();
    candidates.dedup();
    match candidates.as_slice() {
        [] => Err(
            Error::new(ErrorKind::NotFound, format!("nothing is called `{text}`")).with_help(
                "`fornax runs` lists runs, `fornax tree` the frames of one, `fornax ps` tasks",
            ),
        ),
        [one] => {
            whole_id(one).ok_or_else(|| Error::new(ErrorKind::Internal, format!("{one} is no id")))
        }
        many => {
            let named: Vec<&str> = many
                .iter()
                .take(CANDIDATES_MAX)
                .map(String::as_str)
                .collect();
            let more = if many.len() > CANDIDATES_MAX {
                ", ..."
            } else {
                ""
            };
            let message = format!(
                "`{text}` may be any of {} ids: {}{more}",
                many.len(),
                named.join(", ")
            );
            Err(Error::new(ErrorKind::Usage, message).with_help("type more of it"))
        }
    }
}

fn whole_id(text: &str) -> Option<Target> {
    let run = || text.parse::<RunId>().ok().map(Target::Run);
    let frame = || text.parse::<FrameId>().ok().map(Target::Frame);
    let task = || text.parse::<TaskId>().ok().map(Target::Task);
    run().or_else(frame).or_else(task)
}

/// The frame of a run that an id, a unique prefix of one or a key names.
///
/// # Errors
/// Where there is none.
pub(crate) async fn frame_of_run(
    engine: &Engine,
    run: RunId,
    text: &str,
) -> Result<FrameId, Error> {
    let key = text.to_owned();
    let by_key = engine.look(move |look| {
        let frames = look
            .state
            .run(run)
            .into_iter()
            .flat_map(|run| run.frames.iter().copied());
        let is_it = |frame: &Frame| frame.spec.key == key;
        let mut named = frames.filter(|id| look.state.frame(*id).is_some_and(is_it));
        named.next()
    });
    if let Some(id) = by_key.await? {
        return Ok(id);
    }
    match target(engine, text).await? {
        Target::Frame(id) => Ok(id),
        Target::Task(task) => Ok(task.frame),
        Target::Run(_) => Err(Error::new(
            ErrorKind::Usage,
            format!("`{text}` is no frame"),
        )),
    }
}

/// The run of a frame, in memory or not.
///
/// # Errors
/// Where there is no such frame.
pub(crate) async fn run_of_frame(engine: &Engine, id: FrameId) -> Result<RunId, Error> {
    if let Some(run) = engine
        .look(move |look| look.state.frame(id).map(|frame| frame.run))
        .await?
    {
        return Ok(run);
    }
    history::run_of_frame(engine.project(), id)
}

/// Takes the run of a target back into memory, where it ended long ago.
///
/// # Errors
/// Where there is no such run, or its journal is damaged.
pub(crate) async fn take_up(engine: &Engine, target: Target) -> Result<(), Error> {
    engine.take_up(run_of(engine, target).await?).await
}

/// The run of a target, in memory or not.
///
/// # Errors
/// Where there is no such frame.
pub(crate) async fn run_of(engine: &Engine, target: Target) -> Result<RunId, Error> {
    match target {
        Target::Run(run) => Ok(run),
        Target::Frame(id) => run_of_frame(engine, id).await,
        Target::Task(id) => run_of_frame(engine, id.frame).await,
    }
}
