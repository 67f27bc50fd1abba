//! From a process's end to the outcome that the engine decides on: results, declared outputs, and
//! why it did not succeed.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use fornax_core::agent::Failure;
use fornax_core::event::Artifact;
use fornax_core::ids::{RunId, TaskId};
use fornax_core::spec::{ErrorClass, Invocation, OutputFormat};
use fornax_core::state::{AgentOutcome, Outcome};
use fornax_journal::Project;
use fornax_runner::{Exit, ExitCause, Report};
use sha2::{Digest, Sha256};

use super::agents::sessions::Sessions;
use super::left;
use super::{Message, SharedRules, Stall, artifacts_dir};
use crate::files::open_regular;

/// The longest results, in bytes; of more, the end is kept.
const RESULTS_MAX_BYTES: u64 = 16 * 1024;
/// The largest output that is copied into the task's folder, in bytes.
const COPY_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// How many files a task may leave as artifacts; what is more is not recorded.
const ARTIFACTS_MAX: usize = 1_000;

/// How a task ended by its agent's host's word, and what the agent said in the end.
type Word = (Option<Failure>, String);

/// Turns the supervisor's reports into the engine's messages.
#[derive(Clone)]
pub(super) struct Collector {
    root: Arc<Path>,
    /// Where the folders of agents' servers are.
    services: Arc<Path>,
    rules: SharedRules,
    sessions: Sessions,
    expected: Arc<Mutex<HashMap<TaskId, Expected>>>,
    mailbox: mpsc::Sender<Message>,
}

/// What a task should leave.
#[derive(Clone)]
struct Expected {
    task: TaskId,
    run: RunId,
    /// Whether an agent works on it, whose host says how it went.
    agent: bool,
    dir: PathBuf,
    workdir: PathBuf,
    outputs: Vec<String>,
    success_exit_codes: Vec<i32>,
    output: OutputFormat,
}

impl Collector {
    pub fn new(
        project: &Project,
        services: &Path,
        rules: SharedRules,
        sessions: Sessions,
        mailbox: mpsc::Sender<Message>,
    ) -> Collector {
        Collector {
            root: project.root().into(),
            services: services.into(),
            rules,
            sessions,
            expected: Arc::default(),
            mailbox,
        }
    }

    /// What a task should leave is noted before it starts.
    pub fn expect(
        &self,
        id: TaskId,
        run: RunId,
        dir: &Path,
        invocation: &Invocation,
        outputs: &[String],
    ) {
        let expected = Expected {
            task: id,
            run,
            agent: invocation.driver.is_some(),
            dir: dir.to_owned(),
            workdir: invocation.workdir.as_deref().unwrap_or_default().into(),
            outputs: outputs.to_vec(),
            success_exit_codes: invocation.success_exit_codes.clone(),
            output: invocation.output,
        };
        self.expected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, expected);
    }

    /// Takes a report of the supervisor's.
    pub fn take(&self, report: Report) {
        match report {
            Report::Started { task_id, .. } => self.started(&task_id),
            Report::Ended { task_id, exit, .. } => self.ended(&task_id, exit),
            Report::Lost {
                task_id, reason, ..
            } => {
                self.tell(&task_id, |expected| Outcome {
                    agent: self.agent(expected).map(|(_, agent)| agent),
                    ..lost(reason)
                });
            }
            Report::Stalled {
                task_id,
                reason,
                needs_you,
                ..
            } => self.stalled(&task_id, Some(Stall { reason, needs_you })),
            Report::Resumed { task_id, .. } => self.stalled(&task_id, None),
            Report::ShimContinued { task_id, shim, .. } => {
                tracing::warn!(
                    task_id,
                    shim,
                    "the task's supervisor was stopped by a signal; it was sent SIGCONT"
                );
            }
        }
    }

    fn started(&self, task_id: &str) {
        let known = task_id.parse().ok().and_then(|id| self.expected(id));
        if let Some(expected) = known.filter(|expected| expected.agent) {
            self.sessions
                .follow(expected.run, expected.task, &expected.dir);
        }
    }

    fn expected(&self, id: TaskId) -> Option<Expected> {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.get(&id).cloned()
    }

    /// What an agent came to: its host's word, and what is known of it. None for a plain command.
    fn agent(&self, expected: &Expected) -> Option<(Option<Word>, AgentOutcome)> {
        if !expected.agent {
            return None;
        }
        let ended = self
            .sessions
            .finish(expected.run, expected.task, &expected.dir);
        if ended.word.is_none()
            && let Some(session) = &ended.activity.session
        {
            quiet(&expected.dir, session, &self.services);
        }
        let failure = ended
            .word
            .as_ref()
            .and_then(|(failure, _)| failure.as_ref());
        let agent = AgentOutcome {
            retry_at: failure.and_then(|failure| failure.retry_at),
            session: ended.activity.session,
            model: ended.activity.model,
            usage: ended.activity.usage,
            turns: ended.activity.turns,
        };
        Some((ended.word, agent))
    }

    fn stalled(&self, task_id: &str, stall: Option<Stall>) {
        if let Ok(id) = task_id.parse() {
            // The engine has ended: it will ask again when it is started.
            let _ = self.mailbox.send(Message::Stalled(id, stall));
        }
    }

    fn ended(&self, task_id: &str, exit: Exit) {
        let collect = self.clone();
        let big = task_id.parse().is_ok_and(|id| self.expects_files(id));
        let task_id = task_id.to_owned();
        let work = move || collect.tell(&task_id, |expected| collect.outcome(expected, exit));
        // Reading large outputs must not hold up the reports of other tasks.
        if big {
            std::thread::spawn(work);
        } else {
            work();
        }
    }

    fn expects_files(&self, id: TaskId) -> bool {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.get(&id).is_some_and(|expected| {
            let own = std::fs::read_dir(artifacts_dir(&expected.dir));
            !expected.outputs.is_empty() || own.is_ok_and(|mut own| own.next().is_some())
        })
    }

    fn tell(&self, task_id: &str, outcome: impl FnOnce(&Expected) -> Outcome) {
        let Ok(id) = task_id.parse() else {
            tracing::error!(task_id, "a report about no task of ours");
            return;
        };
        let Some(expected) = self.expected(id) else {
            return;
        };
        // The engine has ended: it will ask again when it is started.
        let _ = self
            .mailbox
            .send(Message::Ended(id, Box::new(outcome(&expected))));
        self.expected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }

    fn outcome(&self, expected: &Expected, exit: Exit) -> Outcome {
        let mut artifacts = Vec::new();
        let files = left::Files::new(&expected.dir, exit.proof.as_deref());
        let session = files.check(left::SESSION);
        let (word, agent) = self.agent(expected).unzip();
        // What was put in the place of its host's record says nothing.
        let word = word.map(|word| word.filter(|_| session.is_ok()));
        let verdict = match &word {
            None => judge(&exit, &expected.success_exit_codes),
            Some(word) => judge_agent(&exit, word.as_ref()),
        };
        let verdict = verdict.and_then(|()| self.collect_outputs(expected, &mut artifacts));
        self.collect_own(expected, &mut artifacts);
        Outcome {
            results: match (word.flatten(), expected.output) {
                (Some((_, result)), _) => self.rules.get().redact(end_of(&result)).into_owned(),
                (None, OutputFormat::Text) => self.results(&files),
                (None, OutputFormat::Jsonl | OutputFormat::None) => String::new(),
            },
            verdict: verdict.map_err(|(class, message)| {
                (class, self.rules.get().redact(&message).into_owned())
            }),
            note: note(&exit, &files),
            exit_code: exit.code,
            signal: exit.signal,
            duration_ms: exit.duration_ms,
            artifacts,
            agent,
        }
    }

    /// What stands at the end of standard output.
    fn results(&self, files: &left::Files<'_>) -> String {
        let text = files
            .read_tail(left::STDOUT, RESULTS_MAX_BYTES)
            .unwrap_or_default();
        self.rules.get().redact(text.trim_end()).into_owned()
    }

    /// The declared outputs; each must be there.
    fn collect_outputs(
        &self,
        expected: &Expected,
        artifacts: &mut Vec<Artifact>,
    ) -> Result<(), (ErrorClass, String)> {
        for output in &expected.outputs {
            let path = expected.workdir.join(output);
            let missing = |why: String| {
                (
                    ErrorClass::OutputMissing,
                    format!("the declared output {output} {why}"),
                )
            };
            let real = self.root.join(&path).canonicalize();
            let real = real.map_err(|error| missing(format!("is not there: {error}")))?;
            if !real.starts_with(&self.root) {
                return Err(missing(format!(
                    "leads out of the project, to {}",
                    real.display()
                )));
            }
            let files =
                files_of(&real).map_err(|error| missing(format!("cannot be read: {error}")))?;
            for file in files {
                if artifacts.len() < ARTIFACTS_MAX {
                    let collected = self.collect(&file, expected, artifacts.len());
                    artifacts.push(
                        collected.map_err(|error| missing(format!("cannot be read: {error}")))?,
                    );
                }
            }
        }
        Ok(())
    }

    /// The files that the task itself put into its folder for artifacts.
    fn collect_own(&self, expected: &Expected, artifacts: &mut Vec<Artifact>) {
        let dir = artifacts_dir(&expected.dir);
        let copies: Vec<_> = artifacts
            .iter()
            .filter_map(|artifact| artifact.copy.clone())
            .collect();
        for file in files_of(&dir).unwrap_or_default() {
            let Ok(name) = file.strip_prefix(&dir) else {
                continue;
            };
            let copy = copy_name(expected, name);
            if artifacts.len() >= ARTIFACTS_MAX || copies.contains(&copy) {
                continue;
            }
            let Ok((bytes, sha256)) = digest(&file) else {
                continue;
            };
            let path = file
                .strip_prefix(&self.root)
                .unwrap_or(&file)
                .display()
                .to_string();
            artifacts.push(Artifact {
                path,
                bytes,
                sha256,
                copy: Some(copy),
            });
        }
    }

    fn collect(&self, file: &Path, expected: &Expected, number: usize) -> io::Result<Artifact> {
        let (bytes, sha256) = digest(file)?;
        let path = file.strip_prefix(&self.root).unwrap_or(file);
        let mut copy = None;
        if bytes <= COPY_MAX_BYTES {
            let dir = artifacts_dir(&expected.dir);
            let base = file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let name = if dir.join(&base).exists() {
                format!("{number}-{base}")
            } else {
                base
            };
            // The copy is a convenience: path and digest are recorded with or without it.
            let to = dir.join(&name);
            let copied = std::fs::create_dir_all(&dir).and_then(|()| std::fs::copy(file, &to));
            match copied {
                Ok(_) => copy = Some(copy_name(expected, Path::new(&name))),
                Err(error) => {
                    tracing::warn!(%error, file = %file.display(), "an output was not copied");
                    // A part of it would be taken for the whole.
                    let _ = std::fs::remove_file(&to);
                }
            }
        }
        Ok(Artifact {
            path: path.display().to_string(),
            bytes,
            sha256,
            copy,
        })
    }
}

/// Where a copy is, relative to the run's folder.
fn copy_name(expected: &Expected, name: &Path) -> String {
    let task = expected
        .dir
        .file_name()
        .map(Path::new)
        .unwrap_or(Path::new(""));
    Path::new("tasks")
        .join(task)
        .join("artifacts")
        .join(name)
        .display()
        .to_string()
}

/// What a person should know of how a task went, whatever came of it.
fn note(exit: &Exit, files: &left::Files<'_>) -> Option<String> {
    let times = exit.shim_continued;
    let stopped = (times > 0)
        .then(|| format!("its supervisor was stopped by a signal, and continued ({times} times)"));
    let names = [left::STDOUT, left::STDERR, left::SESSION];
    let replaced = names.into_iter().filter_map(|name| files.check(name).err());
    let notes: Vec<String> = stopped.into_iter().chain(replaced).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

fn judge(exit: &Exit, success_exit_codes: &[i32]) -> Result<(), (ErrorClass, String)> {
    let error = || exit.error.clone();
    let with_error = |what: &str| match &exit.error {
        Some(error) => format!("{what}; {error}"),
        None => what.to_owned(),
    };
    Err(match exit.cause {
        ExitCause::Timeout => (
            ErrorClass::Timeout,
            with_error("it ran longer than its timeout and was ended"),
        ),
        ExitCause::Silence => (
            ErrorClass::Silence,
            "it wrote nothing for longer than it may and was ended".to_owned(),
        ),
        ExitCause::Stopped => (ErrorClass::Cancelled, with_error("it was stopped")),
        ExitCause::SpawnFailed if exit.tool_missing => (
            ErrorClass::ToolMissing,
            error().unwrap_or_else(|| "its program is not there".to_owned()),
        ),
        ExitCause::SpawnFailed => (
            ErrorClass::Spawn,
            error().unwrap_or_else(|| "it could not be started".to_owned()),
        ),
        ExitCause::Exited => match (exit.code, exit.signal) {
            (Some(code), _) if success_exit_codes.contains(&code) => return Ok(()),
            (Some(code), _) => (ErrorClass::ExitNonzero, format!("exit code {code}")),
            (None, Some(signal)) => (ErrorClass::Signal, format!("ended by signal {signal}")),
            (None, None) => (
                ErrorClass::Lost,
                "it left neither an exit code nor a signal".to_owned(),
            ),
        },
    })
}

/// How an agent's task went. What ended its host from outside goes before what the host said.
fn judge_agent(exit: &Exit, word: Option<&Word>) -> Result<(), (ErrorClass, String)> {
    match (exit.cause, word) {
        (ExitCause::Exited, Some((None, _))) => Ok(()),
        (ExitCause::Exited, Some((Some(failure), _))) => {
            Err((failure.class, failure.message.clone()))
        }
        // Its host was ended before it could say anything: what the process left tells.
        _ => judge(exit, &[]),
    }
}

/// The largest `task.json` that is read, in bytes.
const RECORD_MAX_BYTES: u64 = 1 << 20;

/// A host that was killed could not end what its agent does at a server that many tasks share.
fn quiet(task_dir: &Path, session: &str, services: &Path) {
    // What is there may be anything: a pipe would never end.
    let record = crate::files::open_regular(&task_dir.join("task.json"))
        .and_then(|file| crate::files::read(file, RECORD_MAX_BYTES))
        .map(|content| content.bytes)
        .unwrap_or_default();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap_or_default();
    let (Some(server), Some(cwd)) = (
        record["agent"]["server"].as_str().map(PathBuf::from),
        record["cwd"].as_str().map(PathBuf::from),
    ) else {
        return;
    };
    // The record lies in the project: it may name a server of somebody else.
    if server.parent() != Some(services) || server.file_name().is_none() {
        return;
    }
    let session = session.to_owned();
    // The server may take its time, and nobody waits for it.
    std::thread::spawn(move || {
        if let Err(error) = fornax_agents::opencode_server::abort(&server, &cwd, &session) {
            tracing::warn!(session, %error, "a session of OpenCode's could not be ended");
        }
    });
}

/// The end of a text that is too long for results.
fn end_of(text: &str) -> &str {
    let mut from = text.len().saturating_sub(RESULTS_MAX_BYTES as usize);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].trim()
}

/// The outcome of a task of which it is not known how it ended.
pub(super) fn lost(reason: String) -> Outcome {
    Outcome {
        verdict: Err((ErrorClass::Lost, reason)),
        note: None,
        exit_code: None,
        signal: None,
        duration_ms: 0,
        results: String::new(),
        artifacts: Vec::new(),
        agent: None,
    }
}

/// The file itself, or all files below a directory; links are not followed.
fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        // Opening a pipe would wait for its writer for ever.
        return Err(io::Error::other("it is neither a file nor a directory"));
    }
    let mut files = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() && files.len() < ARTIFACTS_MAX {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

pub(crate) fn digest(path: &Path) -> io::Result<(u64, String)> {
    let mut file = open_regular(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, crate::secret::hex(&hash.finalize())));
        }
        bytes += read as u64;
        hash.update(&buffer[..read]);
    }
}
