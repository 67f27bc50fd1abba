//! The record: one line of a run's `events.jsonl`, the only truth about the run.
//!
//! A record is a head that every event has and the event's own fields beside it. Fields are added,
//! never renamed; a reader ignores what it does not know, unknown events included.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::ids::{CmdId, FrameId, RunId, TaskId};
use crate::spec::Mode;
use crate::time::Time;

/// The version of the format that is written.
pub const VERSION: u32 = 1;

/// The longest line, in bytes without its newline. What is longer has its own fields in a file.
pub const LINE_MAX_BYTES: usize = 64 * 1024;

/// One event with its circumstances.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number in the run, from 1 without gaps.
    pub seq: u64,
    /// When it was decided.
    pub ts: Time,
    /// The run.
    pub run_id: RunId,
    /// The frame, where it is about one.
    pub frame_id: Option<FrameId>,
    /// The task, where it is about one.
    pub task_id: Option<TaskId>,
    /// Labels of the frame, for readers that do not follow the state.
    pub labels: Labels,
    /// What happened.
    pub event: Event,
    /// Whose doing it is.
    pub actor: Actor,
    /// The command that caused it.
    pub cmd_id: Option<CmdId>,
    /// One line that a person can read.
    pub summary: String,
    /// Whether the next record of the run belongs to the same step. A step counts as a whole: where
    /// a journal ends in the middle of one, as after a power cut, none of it has happened.
    pub more: bool,
}

/// Labels of a frame that its records repeat.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Labels {
    /// The process stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// The semantic worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_role: Option<String>,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// How the tool is attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// Whose doing something is: `human`, `scheduler`, `daemon`, `agent:<session>`, `worker:<name>` or
/// `hook:<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(pub Cow<'static, str>);

impl Actor {
    /// A person, by any of the surfaces.
    pub const HUMAN: Actor = Actor(Cow::Borrowed("human"));
    /// The scheduler: what follows from the state by itself.
    pub const SCHEDULER: Actor = Actor(Cow::Borrowed("scheduler"));
    /// The daemon: what it saw of processes and timers.
    pub const DAEMON: Actor = Actor(Cow::Borrowed("daemon"));
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The head of a line. The order of its fields is the order in the journal.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    v: u32,
    seq: u64,
    ts: Time,
    run_id: RunId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frame_id: Option<FrameId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_id: Option<TaskId>,
    #[serde(flatten)]
    labels: Cow<'a, Labels>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<Cow<'a, str>>,
    actor: Cow<'a, Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cmd_id: Option<Cow<'a, CmdId>>,
    summary: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_paths: Option<LogPaths>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    /// The file that holds the event's own fields, where they do not fit into a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Cow<'a, str>>,
}

/// Where a task's logs are, relative to the run's folder.
#[derive(Serialize, Deserialize)]
struct LogPaths {
    stdout: String,
    stderr: String,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(flatten)]
    event: Option<&'a Event>,
}

/// A line that is not a record.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// It is no JSON object with the fields of a record.
    #[error("not a record: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by a version whose format this one cannot read.
    #[error("format version {0} is newer than this program reads (it reads {VERSION})")]
    Version(u32),
    /// The file with its own fields could not be read.
    #[error("its payload file {path} cannot be read: {error}")]
    Payload {
        /// The file, relative to the run's folder.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
}

impl Record {
    /// The record as a line of JSON, without a newline. With `payload`, the event's own fields are
    /// left out and the file that holds them is named instead.
    ///
    /// # Errors
    /// None in practice: all that a record holds can be written as JSON.
    pub fn to_line(&self, payload: Option<&str>) -> serde_json::Result<String> {
        let log_paths = self.task_id.map(|task| LogPaths {
            stdout: format!("tasks/{task}/stdout.log"),
            stderr: format!("tasks/{task}/stderr.log"),
        });
        serde_json::to_string(&Line {
            head: Head {
                v: VERSION,
                seq: self.seq,
                ts: self.ts,
                run_id: self.run_id,
                frame_id: self.frame_id,
                task_id: self.task_id,
                labels: Cow::Borrowed(&self.labels),
                event: self.event.kind().into(),
                status: self.event.status().map(Cow::Borrowed),
                actor: Cow::Borrowed(&self.actor),
                cmd_id: self.cmd_id.as_ref().map(Cow::Borrowed),
                summary: self.summary.as_str().into(),
                log_paths,
                more: self.more,
                payload: payload.map(Cow::Borrowed),
            },
            event: payload.is_none().then_some(&self.event),
        })
    }

    /// Reads a line. `payload` reads a payload file, by its path relative to the run's folder.
    ///
    /// # Errors
    /// Where the line is no record; what is unknown in it is passed over.
    pub fn parse(
        line: &str,
        payload: impl FnOnce(&str) -> std::io::Result<String>,
    ) -> Result<Record, BadLine> {
        let head: Head<'_> = serde_json::from_str(line)?;
        if head.v > VERSION {
            return Err(BadLine::Version(head.v));
        }
        let event = match &head.payload {
            None => Event::parse(&head.event, line)?,
            Some(path) => {
                let fields = payload(path).map_err(|error| BadLine::Payload {
                    path: path.clone().into_owned(),
                    error,
                })?;
                Event::parse(&head.event, &fields)?
            }
        };
        Ok(Record {
            seq: head.seq,
            ts: head.ts,
            run_id: head.run_id,
            frame_id: head.frame_id,
            task_id: head.task_id,
            labels: head.labels.into_owned(),
            event,
            actor: head.actor.into_owned(),
            cmd_id: head.cmd_id.map(Cow::into_owned),
            summary: head.summary.into_owned(),
            more: head.more,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TaskEnding;
    use crate::spec::ErrorClass;

    fn record() -> Record {
        let frame = FrameId::nth(1, 1);
        Record {
            seq: 7,
            ts: Time(1_795_226_400_007),
            run_id: "RUN-20261121-001".parse().unwrap(),
            frame_id: Some(frame),
            task_id: Some(TaskId { frame, attempt: 1 }),
            labels: Labels {
                tool: Some("shell".to_owned()),
                mode: Some(Mode::Batch),
                ..Labels::default()
            },
            event: Event::TaskFailed(TaskEnding {
                attempt: 1,
                exit_code: Some(3),
                duration_ms: 12,
                error_class: Some(ErrorClass::ExitNonzero),
                error: Some("exit code 3".to_owned()),
                ..TaskEnding::default()
            }),
            actor: Actor::DAEMON,
            cmd_id: Some("c1".parse().unwrap()),
            summary: "lint failed: exit code 3".to_owned(),
            more: false,
        }
    }

    #[test]
    fn the_head_comes_first_and_in_order() {
        insta::assert_snapshot!(record().to_line(None).unwrap(), @r#"{"v":1,"seq":7,"ts":"2026-11-21T02:00:00.007Z","run_id":"RUN-20261121-001","frame_id":"f-7zx0gm","task_id":"t-7zx0gm-1","tool":"shell","mode":"batch","event":"task_failed","status":"failed","actor":"daemon","cmd_id":"c1","summary":"lint failed: exit code 3","log_paths":{"stdout":"tasks/t-7zx0gm-1/stdout.log","stderr":"tasks/t-7zx0gm-1/stderr.log"},"attempt":1,"exit_code":3,"duration_ms":12,"error_class":"exit_nonzero","error":"exit code 3"}"#);
    }

    #[test]
    fn a_line_is_read_back() {
        let line = record().to_line(None).unwrap();
        let read = Record::parse(&line, |_| unreachable!()).unwrap();
        assert_eq!(read, record());
    }

    #[test]
    fn fields_in_a_file_are_read_from_there() {
        let line = record().to_line(Some("payloads/7.json")).unwrap();
        let fields = serde_json::to_string(&record().event).unwrap();
        let read = Record::parse(&line, |path| {
            assert_eq!(path, "payloads/7.json");
            Ok(fields)
        });
        assert_eq!(read.unwrap(), record());
    }

    #[test]
    fn what_a_newer_version_adds_is_passed_over() {
        let line = record().to_line(None).unwrap();
        let newer = line
            .replace("task_failed", "task_teleported")
            .replace("\"attempt\"", "\"extra\":[1],\"attempt\"");
        let read = Record::parse(&newer, |_| unreachable!()).unwrap();
        assert_eq!(read.event.kind(), "task_teleported");
        let other = line.replace("{\"v\":1", "{\"v\":2");
        assert!(matches!(
            Record::parse(&other, |_| unreachable!()),
            Err(BadLine::Version(2))
        ));
    }
}
