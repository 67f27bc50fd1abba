//! Tasks with an agent: from the invocation to the host's job, what is heard of the agent while it
//! works, what it is told, and the servers that some agents need.

pub(super) mod messenger;
mod reports;
pub(super) mod services;
pub(super) mod sessions;
mod telemetry;

use std::path::{Path, PathBuf};

use fornax_agents::job::{Job, Limits, Resume};
use fornax_core::agent::DriverKind;
use fornax_core::frame::StackUse;
use fornax_core::ids::TaskId;
use fornax_core::spec::{ErrorClass, Invocation};
use fornax_core::state::{Frame, Launch, State};
use fornax_runner::RedactSpec;

/// What an agent is told when an earlier attempt's conversation is gone on with: it has the task
/// already.
const RESUME_PROMPT: &str = "You were interrupted before you had finished. Look at what is done \
                             already, then go on with the task and finish it.";

/// What an agent is told when the frames that it pushed have ended: it has the task already.
const CONTINUE_PROMPT: &str = "The frames that you pushed have ended; their results stand above. Go on \
                               with your task.";

/// What a task's session has in its environment, to work the call stack with.
pub(super) struct SessionEnv {
    /// Where the daemon is called.
    pub socket: String,
    /// What the session proves who it is with.
    pub token: String,
    /// The project's directory.
    pub project_dir: String,
}

impl SessionEnv {
    /// As variables.
    pub fn vars(&self) -> [(String, String); 3] {
        [
            ("FORNAX_SOCKET", &self.socket),
            ("FORNAX_SESSION_TOKEN", &self.token),
            ("FORNAX_PROJECT_DIR", &self.project_dir),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
    }
}

/// What a host is to do for a task. `context_budget` bounds what its agent is told of the frames around
/// its own, in tokens.
pub(super) fn job(
    state: &State,
    id: TaskId,
    task_dir: &Path,
    launch: &Launch,
    redact: &RedactSpec,
    context_budget: usize,
) -> Option<Job> {
    let frame = state.frame(id.frame)?;
    let place = state.task(id)?.fallback;
    let invocation = frame.spec.invocation_at(place)?;
    let driver = invocation.driver?;
    let continues = state.task(id).is_some_and(|task| task.continues);
    let (resume, prompt) = match earlier(state, frame, id, driver) {
        Some(resume) if continues => (Some(resume), CONTINUE_PROMPT.to_owned()),
        Some(resume) => (Some(resume), RESUME_PROMPT.to_owned()),
        None => (
            invocation.resume.clone(),
            launch.prompt.clone().unwrap_or_default(),
        ),
    };
    let told = driver.takes_tools() && invocation.stack != StackUse::Off;
    let context = state
        .context(id.frame, context_budget)
        .filter(|_| told && (resume.is_none() || continues));
    let prompt = match context {
        Some(context) => format!("{}\n{prompt}", context.xml),
        None => prompt,
    };
    Some(Job {
        prompt,
        model: invocation.model.clone(),
        title: frame.spec.title.clone(),
        resume,
        permissions: invocation.permissions,
        limits: limits(invocation),
        mapping: invocation.mapping.clone().unwrap_or_default(),
        stdin: launch.stdin.clone(),
        success_exit_codes: invocation.success_exit_codes.clone(),
        prices: prices(),
        secrets: redact.secrets.clone(),
        redact_rules: redact.custom.clone(),
        redact: invocation.redact,
        ..Job::new(
            task_dir.to_owned(),
            driver,
            launch.argv.clone(),
            launch.cwd.clone(),
        )
    })
}

fn limits(invocation: &Invocation) -> Limits {
    let default = Limits::default();
    Limits {
        silence_ms: invocation.silence_ms,
        retries: invocation.model_retries.unwrap_or(default.retries),
        ..default
    }
}

/// The user's own price table: `$XDG_CONFIG_HOME/fornax/prices.json`.
fn prices() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    let file = config.join("fornax/prices.json");
    file.is_file().then_some(file)
}

/// The conversation that an attempt goes on with: that of the attempt before, where the same tool
/// was cut off in the middle of its work, or pushed frames that have ended since. After any other end
/// the agent starts anew.
fn earlier(state: &State, frame: &Frame, id: TaskId, driver: DriverKind) -> Option<Resume> {
    if !driver.resumes() {
        return None;
    }
    let own = state.task(id)?;
    let place = own.fallback;
    let mut earlier = frame
        .tasks(id.frame)
        .filter(|task| task.attempt < id.attempt);
    let last_id = earlier.next_back()?;
    let last = state.task(last_id)?;
    let ending = last.ending.as_ref().filter(|_| last.fallback == place)?;
    let cut_off = matches!(
        ending.error_class,
        Some(
            ErrorClass::Signal
                | ErrorClass::Timeout
                | ErrorClass::Silence
                | ErrorClass::RateLimit
                | ErrorClass::Api
                | ErrorClass::Cancelled
                | ErrorClass::Lost
        )
    );
    let goes_on = cut_off || own.continues;
    let session = ending.session_id.clone().filter(|_| goes_on)?;
    Some(Resume {
        // The agent may count over its whole conversation; what earlier attempts counted is theirs.
        counted: state.counted(last_id, &session),
        session,
        shared: frame.spec.invocation_at(place)?.resume.is_some(),
        fork: false,
    })
}
