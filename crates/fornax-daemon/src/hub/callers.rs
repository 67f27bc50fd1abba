//! Who calls: from a token, or from names, to the project's engine and the session.

use std::path::Path;
use std::sync::Arc;

use fornax_core::agent::Activity;
use fornax_core::error::{Error, ErrorKind};
use fornax_core::frame::SessionId;
use fornax_core::record::Actor;
use fornax_core::request::Caller;
use fornax_core::state::State;

use super::Hub;
use crate::engine::Engine;

/// The session of whoever acts by hand and does not say for whom.
const BY_HAND: &str = "cli";

/// The session of whoever acts by hand.
pub(super) fn by_hand() -> Result<SessionId, Error> {
    session(BY_HAND)
}

fn session(text: &str) -> Result<SessionId, Error> {
    text.parse()
        .map_err(|error| Error::new(ErrorKind::Usage, format!("{error}")))
}

/// Somebody who calls.
pub(super) struct Known {
    pub engine: Arc<Engine>,
    pub session: SessionId,
}

impl Known {
    /// On whose behalf what they do is done.
    pub fn actor(&self) -> Actor {
        let agent = self.session.task().is_some() || self.session.agent().is_some();
        match agent {
            true => Actor(format!("agent:{}", self.session).into()),
            false => Actor::HUMAN,
        }
    }
}

impl Hub {
    /// Who calls.
    ///
    /// # Errors
    /// Where the token is none of ours, or of a task that is over; where there is no such project.
    pub(super) async fn known(&self, caller: &Caller) -> Result<Known, Error> {
        let given = caller.session.as_deref();
        let Some(token) = &caller.token else {
            let engine = match (&caller.project, &caller.dir) {
                (Some(id), _) => self.engine(id)?,
                (None, Some(dir)) => self.engine_around(dir)?,
                (None, None) => {
                    return Err(Error::new(
                        ErrorKind::Usage,
                        "say which project: `project` or `dir`",
                    ));
                }
            };
            let session = session(given.unwrap_or(BY_HAND))?;
            let session = acting(&engine, session).await?;
            return Ok(Known { engine, session });
        };
        let refused = |why: &str| {
            Err(Error::new(
                ErrorKind::Unauthorized,
                format!("this session's token {why}"),
            ))
        };
        let Some(proven) = self.shared.sessions.check(token) else {
            return refused("is not one of ours");
        };
        let Some(session) = proven.session(given) else {
            return refused("is of another session");
        };
        let engine = self.engine(&proven.project)?;
        let session = acting(&engine, session).await?;
        // An agents' server serves tasks: a conversation that is of none has no business here.
        let of_server = proven.session(None).is_none();
        let named = session.clone();
        if of_server && !engine.look(move |look| look.state.is_open(&named)).await? {
            return refused("serves tasks, and this conversation is of none");
        }
        if let Some(task) = session.task() {
            let open =
                move |state: &State| state.task(task).is_some_and(|task| !task.state.is_over());
            if !engine.look(move |look| open(look.state)).await? {
                return refused("was of a task that is over");
            }
        }
        Ok(Known { engine, session })
    }

    /// The project around a directory: of several, the innermost.
    fn engine_around(&self, dir: &Path) -> Result<Arc<Engine>, Error> {
        let real = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let around = self
            .engines()
            .filter(|engine| real.starts_with(engine.project().root()));
        let innermost = around.max_by_key(|engine| engine.project().root().as_os_str().len());
        innermost.ok_or_else(|| {
            let message = format!("no project of Fornax's holds {}", dir.display());
            Error::new(ErrorKind::NotFound, message).with_help("run a `fornax` command in it")
        })
    }
}

/// The session for which an agent's conversation acts: a task's own, where it is that; a subagent that
/// has no frame acts for the one that began it.
async fn acting(engine: &Engine, session: SessionId) -> Result<SessionId, Error> {
    let Some(conversation) = session.agent_session().map(str::to_owned) else {
        return Ok(session);
    };
    let named = session.clone();
    let known = engine.look(move |look| {
        let mut running = look.state.running();
        let is_it = |seen: &Activity| seen.session.as_ref() == Some(&conversation);
        let of_task = running.find(|(_, task)| task.activity.as_deref().is_some_and(is_it));
        let of_task = of_task.map(|(id, _)| SessionId::of_task(id));
        of_task.or_else(|| look.state.acting_for(&named))
    });
    Ok(known.await?.unwrap_or(session))
}
