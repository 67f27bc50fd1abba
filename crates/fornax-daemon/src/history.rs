//! Runs that are not in memory: read from their journals.

use std::collections::BTreeMap;
use std::path::Path;

use fornax_core::error::{Error, ErrorKind};
use fornax_core::ids::{FrameId, RunId};
use fornax_core::record::Record;
use fornax_core::state::State;
use fornax_core::time::Time;
use fornax_core::view::RunView;
use fornax_journal::{JournalError, Project};

use crate::files;
use crate::http::backend::RunPage;

/// The largest description of a frame that is read.
const METADATA_MAX_BYTES: u64 = 64 << 20;

/// The records of a run.
///
/// # Errors
/// Where there is no such run, or its journal is damaged.
pub(crate) fn records(project: &Project, run: RunId) -> Result<Vec<Record>, Error> {
    let records = project.read_run(run)?.collect::<Result<Vec<_>, _>>();
    Ok(records.map_err(JournalError::from)?)
}

/// The state of one run alone.
///
/// # Errors
/// Where there is no such run, or its journal is damaged.
pub(crate) fn load(project: &Project, run: RunId) -> Result<State, Error> {
    let mut state = State::default();
    state.load(Time::default(), &records(project, run)?);
    Ok(state)
}

/// A page of a project's runs, newest first. `known` are those in memory; of the others their
/// summaries are read.
///
/// # Errors
/// Where the runs cannot be listed.
pub(crate) fn page(
    project: &Project,
    id: &str,
    known: BTreeMap<RunId, RunView>,
    before: Option<RunId>,
    limit: usize,
) -> Result<RunPage, Error> {
    let all = project.runs()?.into_iter();
    let mut older = all.filter(|run| before.is_none_or(|before| *run < before));
    let mut runs = Vec::new();
    for run in older.by_ref().take(limit) {
        let view = known
            .get(&run)
            .cloned()
            .map_or_else(|| summary(project, id, run), Ok);
        match view {
            Ok(view) => runs.push(view),
            // The others can be listed all the same; `fornax verify` names the damage.
            Err(error) => tracing::warn!(%run, %error, "a run cannot be read"),
        }
    }
    Ok(RunPage {
        runs,
        more: older.next().is_some(),
    })
}

/// The summary that was left when the run ended, else what its journal says. A daemon that was
/// killed may have left one that is older than the journal's end.
fn summary(project: &Project, id: &str, run: RunId) -> Result<RunView, Error> {
    let left = project
        .run_summary(run)
        .and_then(|json| serde_json::from_str::<RunView>(&json).ok());
    if let Some(view) = left
        && view.seq == project.head(run)?.seq
    {
        // The run may have been copied from another project.
        return Ok(RunView {
            project: id.to_owned(),
            ..view
        });
    }
    let view = load(project, run)?.run_view(id, run);
    view.ok_or_else(|| Error::new(ErrorKind::Damaged, format!("the journal of {run} is empty")))
}

/// The ids of runs and frames on disk that begin with `prefix`.
///
/// # Errors
/// Where the runs cannot be listed.
pub(crate) fn ids_like(project: &Project, prefix: &str) -> Result<Vec<String>, Error> {
    let runs = project.runs()?.into_iter().map(|run| run.to_string());
    let mut ids: Vec<String> = runs.filter(|id| id.starts_with(prefix)).collect();
    let frames = std::fs::read_dir(project.data_dir().join("frames"))
        .into_iter()
        .flatten()
        .flatten();
    let frames = frames.filter_map(|entry| entry.file_name().into_string().ok());
    ids.extend(frames.filter(|id| id.starts_with(prefix) && id.parse::<FrameId>().is_ok()));
    Ok(ids)
}

/// The run of a frame, by the frame's file.
///
/// # Errors
/// Where there is no such frame.
pub(crate) fn run_of_frame(project: &Project, id: FrameId) -> Result<RunId, Error> {
    let missing = || Error::new(ErrorKind::NotFound, format!("there is no frame {id}"));
    let json = files::open_beneath(&project.frame_dir(id), Path::new("metadata.json"))
        .and_then(|file| files::read(file, METADATA_MAX_BYTES))
        .map_err(|_| missing())?;
    let metadata: serde_json::Value = serde_json::from_slice(&json.bytes).map_err(|error| {
        Error::new(
            ErrorKind::Damaged,
            format!("the file of {id} is damaged: {error}"),
        )
    })?;
    let run = metadata["frame"]["run"]
        .as_str()
        .and_then(|run| run.parse().ok());
    run.ok_or_else(missing)
}
