//! Looking for damage: whether what is on the disk has the form that it should.
//!
//! What the records mean, taken together, is for the state machine to judge.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fornax_core::event::{Event, TaskEnding};
use fornax_core::ids::{RunId, TaskId};
use fornax_core::record::Record;
use serde::{Deserialize, Serialize};

use crate::disk;
use crate::error::{At, Damage, DamageKind, JournalError};
use crate::lines::{Lines, Next};
use crate::project::Project;
use crate::reader::Stream;
use crate::recovery::finished_after;
use crate::trace;

/// How many findings are told of one run; the last of them says that there are more.
const FINDINGS_MAX: usize = 200;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What sort of thing it is.
    pub kind: FindingKind,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Where the line begins, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is wrong.
    Info,
    /// Something is missing that nobody needs to go on.
    Warning,
    /// What is there cannot be trusted.
    Damage,
}

/// Sorts of [`Finding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A torn line or a step that is not whole, at the end.
    Torn,
    /// An event that this version does not know.
    UnknownEvent,
    /// A run that is neither finished nor marked as open.
    NotMarkedOpen,
    /// A task's `exit.json` is missing or is none.
    NoExit,
    /// A task's `exit.json` and the journal say different things.
    ExitDiffers,
    /// A task's log is missing.
    NoLog,
    /// A file of the project itself is damaged.
    ProjectFile,
    /// There are more findings than are told.
    More,
    /// A line that is damaged.
    #[serde(untagged)]
    Line(DamageKind),
}

/// What is needed of a task's `exit.json`.
#[derive(Deserialize)]
struct Exit {
    task_id: String,
    #[serde(default)]
    code: Option<i32>,
    #[serde(default)]
    signal: Option<i32>,
}

impl Project {
    /// Looks for damage in one run, or in the whole project. Writes nothing, and needs no lock: of
    /// a run that is being written, the end may look torn.
    ///
    /// # Errors
    /// When there is no such run, or the runs cannot be listed.
    pub fn verify(&self, run: Option<RunId>) -> Result<Vec<Finding>, JournalError> {
        let mut findings = Vec::new();
        match run {
            Some(run) => self.verify_run(run, &mut findings)?,
            None => {
                self.verify_project(&mut findings);
                for run in self.runs()? {
                    self.verify_run(run, &mut findings)?;
                }
            }
        }
        Ok(findings)
    }

    fn verify_project(&self, findings: &mut Vec<Finding>) {
        if let Err(error) = self.key() {
            let (file, what) = match error {
                JournalError::BadFile { path, what } => (path, what),
                JournalError::Io { ref path, .. } => (path.clone(), error.to_string()),
                other => (self.data_dir(), other.to_string()),
            };
            let found = Finding {
                severity: Severity::Damage,
                kind: FindingKind::ProjectFile,
                run: None,
                file,
                line: None,
                byte: None,
                what,
                help: "restore it from a copy, or run `fornax doctor --fix`".to_owned(),
            };
            if !findings.contains(&found) {
                findings.push(found);
            }
        }
    }

    fn verify_run(&self, run: RunId, findings: &mut Vec<Finding>) -> Result<(), JournalError> {
        let mut check = RunCheck {
            project: self,
            run,
            findings: Vec::new(),
            unknown: BTreeSet::new(),
        };
        check.events()?;
        check.telemetry()?;
        findings.append(&mut check.findings);
        Ok(())
    }
}

struct RunCheck<'p> {
    project: &'p Project,
    run: RunId,
    findings: Vec<Finding>,
    /// Names of unknown events that were told.
    unknown: BTreeSet<String>,
}

impl RunCheck<'_> {
    fn events(&mut self) -> Result<(), JournalError> {
        let file = self.project.stream_file(self.run, Stream::Events);
        let mut reader = self.project.read_run(self.run)?;
        let mut finished = false;
        let mut damaged = false;
        while let Some(record) = reader.next() {
            let place = reader.place();
            match record {
                Ok(record) => {
                    finished = finished_after(&record, finished);
                    self.record(&file, place, &record);
                }
                Err(damage) => {
                    damaged = true;
                    self.damage(damage);
                }
            }
        }
        // Behind damage everything counts as torn; it has been told.
        if let Some(torn) = reader.torn().filter(|_| !damaged) {
            self.torn(&file, torn.line, torn.byte, torn.bytes);
        }
        if !finished && !self.project.is_open(self.run) {
            self.add(
                (Severity::Damage, FindingKind::NotMarkedOpen),
                &file,
                None,
                "the run is not finished, and nothing marks it as open: no start goes on with it"
                    .to_owned(),
                "to go on with it, make an empty file `open` beside its journal and restart",
            );
        }
        Ok(())
    }

    fn record(&mut self, file: &Path, place: (u64, u64), record: &Record) {
        if let Event::Unknown(unknown) = &record.event {
            self.unknown_event(file, place, &unknown.kind);
        }
        if let (Some(task), Some((_, ending))) = (record.task_id, record.event.task_end()) {
            let completed = matches!(record.event, Event::TaskCompleted(_));
            self.task(file, place, task, ending, completed);
        }
    }

    fn unknown_event(&mut self, file: &Path, place: (u64, u64), kind: &str) {
        if self.unknown.len() < FINDINGS_MAX && self.unknown.insert(kind.to_owned()) {
            self.add(
                (Severity::Info, FindingKind::UnknownEvent),
                file,
                Some(place),
                format!("the event `{kind}` is not known here: a newer version wrote it"),
                "it changes nothing here; a newer fornax shows it",
            );
        }
    }

    /// Compares a task's end with what its supervisor left.
    fn task(
        &mut self,
        file: &Path,
        place: (u64, u64),
        task: TaskId,
        ending: &TaskEnding,
        completed: bool,
    ) {
        let dir = self.project.task_dir(self.run, task);
        // A task that never had a process has no folder.
        if !completed && !dir.exists() {
            return;
        }
        let path = dir.join("exit.json");
        let exit = match read_exit(&path) {
            Ok(exit) => exit,
            // It was lost, or ended before its supervisor could say so.
            Err(error) if !completed && error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                let what = format!("{task} ended, but its exit.json cannot be read: {error}");
                let help = "the journal stands; where exit codes matter, run the frame again";
                let kind = (Severity::Warning, FindingKind::NoExit);
                return self.add(kind, &path, None, what, help);
            }
        };
        let differs = exit.task_id != task.to_string()
            || (completed || ending.exit_code.is_some() || ending.signal.is_some())
                && (exit.code, exit.signal) != (ending.exit_code, ending.signal);
        if differs {
            let what = format!(
                "the journal has {task} end with {}, its exit.json has {} end with {}",
                outcome(ending.exit_code, ending.signal),
                exit.task_id,
                outcome(exit.code, exit.signal)
            );
            let help = "do not rely on the frame's results: reset the frame to do it again";
            let kind = (Severity::Damage, FindingKind::ExitDiffers);
            self.add(kind, file, Some(place), what, help);
        }
        for log in ["stdout.log", "stderr.log"] {
            let path = dir.join(log);
            if !path.exists() {
                let what = format!("the log of {task} is missing");
                let help = "restore it from a copy if it is needed; nothing else depends on it";
                let kind = (Severity::Warning, FindingKind::NoLog);
                self.add(kind, &path, None, what, help);
            }
        }
    }

    fn telemetry(&mut self) -> Result<(), JournalError> {
        #[derive(Deserialize)]
        struct Line {
            seq: u64,
            run_id: RunId,
            event: String,
        }
        let path = self.project.stream_file(self.run, Stream::Telemetry);
        let file = match disk::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file.at("open", &path)?,
        };
        let mut lines = Lines::new(file);
        let mut expected = 1;
        loop {
            let (byte, next) = lines.next().at("read", &path)?;
            let parsed = match next {
                Next::End => return Ok(()),
                Next::Torn(bytes) => {
                    self.torn(&path, lines.number, byte, bytes);
                    return Ok(());
                }
                Next::TooLong(_) => Err("longer than a line may be".to_owned()),
                Next::Line(line) => {
                    serde_json::from_slice::<Line>(line).map_err(|error| error.to_string())
                }
            };
            let place = (lines.number, byte);
            let wanted = expected;
            expected += 1;
            let (kind, what) = match parsed {
                Err(why) => (DamageKind::NotARecord, format!("not a trace event: {why}")),
                Ok(line) => {
                    if !trace::is_known(&line.event) {
                        self.unknown_event(&path, place, &line.event);
                    }
                    expected = line.seq.saturating_add(1);
                    if line.run_id != self.run {
                        let what = format!("the event is of {}", line.run_id);
                        (DamageKind::WrongRun, what)
                    } else if line.seq != wanted {
                        let what = format!("event {} stands where {wanted} should", line.seq);
                        (DamageKind::Gap, what)
                    } else {
                        continue;
                    }
                }
            };
            let help = "the run itself is not touched by it; restore the file from a copy if its \
                        counts matter";
            self.add(
                (Severity::Warning, FindingKind::Line(kind)),
                &path,
                Some(place),
                what,
                help,
            );
        }
    }

    fn damage(&mut self, damage: Damage) {
        let help = match damage.kind {
            DamageKind::NewerVersion => "use the version of fornax that wrote it, or a newer one",
            DamageKind::Payload => "restore the payload file from a copy of the run's folder",
            DamageKind::WrongRun => {
                "a run's folder keeps its name: rename the folder to the run that its records are of"
            }
            DamageKind::Foreign => "`fornax trust RUN` shows the run and accepts it",
            DamageKind::Unreadable => "see whether the disk is healthy; copy the run's folder now",
            DamageKind::NotARecord | DamageKind::Hole | DamageKind::TooLong | DamageKind::Gap => {
                "restore the journal from a copy of the run's folder; all lines before this one \
                 are whole"
            }
        };
        let place = Some((damage.line, damage.byte));
        let kind = (Severity::Damage, FindingKind::Line(damage.kind));
        self.add(kind, &damage.file, place, damage.what, help);
    }

    fn torn(&mut self, file: &Path, line: u64, byte: u64, bytes: u64) {
        self.add(
            (Severity::Warning, FindingKind::Torn),
            file,
            Some((line, byte)),
            format!("the last {bytes} bytes are not whole: they were being written"),
            "nothing: the daemon cuts them off when it goes on with the run, and keeps them aside",
        );
    }

    fn add(
        &mut self,
        (severity, kind): (Severity, FindingKind),
        file: &Path,
        place: Option<(u64, u64)>,
        what: String,
        help: &str,
    ) {
        let finding = Finding {
            severity,
            kind,
            run: Some(self.run),
            file: file.to_owned(),
            line: place.map(|(line, _)| line),
            byte: place.map(|(_, byte)| byte),
            what,
            help: help.to_owned(),
        };
        match self.findings.len() {
            ..FINDINGS_MAX => self.findings.push(finding),
            FINDINGS_MAX => self.findings.push(Finding {
                kind: FindingKind::More,
                what: "and more, from here on".to_owned(),
                ..finding
            }),
            _ => {}
        }
    }
}

fn read_exit(path: &Path) -> io::Result<Exit> {
    let text = disk::read_text(path, 1024 * 1024)?;
    serde_json::from_str(&text).map_err(io::Error::from)
}

fn outcome(code: Option<i32>, signal: Option<i32>) -> String {
    match (code, signal) {
        (_, Some(signal)) => format!("signal {signal}"),
        (Some(code), _) => format!("exit code {code}"),
        (None, None) => "no exit code".to_owned(),
    }
}
