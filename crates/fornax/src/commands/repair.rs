//! `doctor --fix`: shows what is damaged and how it would be repaired, asks, and repairs. Nothing is
//! deleted: what is damaged is moved aside.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::path::Path;

use fornax_core::error::{EXIT_DONE, EXIT_FAILED, Error, ErrorKind};
use fornax_daemon::home::{DaemonLock, Home};
use fornax_daemon::repair::{self as state, StateRepair};
use fornax_journal::Project;
use fornax_journal::repair::{self as project, LivingTask, Repair, Repaired, Scope, Subject};

use super::{Context, wait};
use crate::failure::{Failure, Outcome, fail};
use crate::out::{self, BOLD, DIM, paint};
use crate::shutdown::{self, Shutdown};
use crate::start;
use crate::text::{one_line, safe};

/// All that is damaged where a command looks.
#[derive(Default)]
pub struct Damage {
    state: Vec<StateRepair>,
    project: Vec<Repair>,
}

impl Damage {
    /// Looks at the state directory and at the project in `dir`, if there is one. Writes nothing.
    pub fn find(home: &Home, dir: &Path, scope: Scope) -> Result<Damage, Error> {
        let project = match dir.join(".fornax").exists() {
            true => project::plan(dir, scope)?,
            false => Vec::new(),
        };
        Ok(Damage {
            state: state::plan(home)?,
            project,
        })
    }

    /// What is damaged, one message for each.
    pub fn messages(&self) -> impl Iterator<Item = String> {
        let state = self.state.iter().map(|one| (&one.path, &one.problem));
        let project = self.project.iter().map(|one| (&one.path, &one.problem));
        state.chain(project).map(|(path, problem)| {
            match problem.contains(&*path.to_string_lossy()) {
                true => problem.clone(),
                false => format!("{}: {problem}", path.display()),
            }
        })
    }

    fn is_empty(&self) -> bool {
        self.state.is_empty() && self.project.is_empty()
    }

    fn living(&self) -> impl Iterator<Item = &LivingTask> {
        self.project.iter().flat_map(|repair| &repair.living)
    }

    /// Whether anything can be repaired now.
    fn is_due(&self) -> bool {
        !self.state.is_empty() || self.project.iter().any(|repair| repair.living.is_empty())
    }

    /// Only what was damaged before as well: nothing is repaired that was not shown.
    fn that_was_in(mut self, shown: &Damage) -> Damage {
        let paths: BTreeSet<&Path> = shown.paths().collect();
        self.state.retain(|one| paths.contains(&*one.path));
        self.project.retain(|one| paths.contains(&*one.path));
        self
    }

    fn paths(&self) -> impl Iterator<Item = &Path> {
        let state = self.state.iter().map(|one| &*one.path);
        state.chain(self.project.iter().map(|one| &*one.path))
    }
}

/// `fornax doctor --fix`
pub fn fix(context: &Context, yes: bool) -> Outcome {
    let home = Home::from_env()?;
    let dir = context.project_dir()?.dir;
    let damage = Damage::find(&home, &dir, Scope::All)?;
    if damage.is_empty() {
        out::print("nothing is damaged")?;
        return Ok(EXIT_DONE);
    }
    show(&damage)?;
    if !damage.is_due() {
        return Ok(EXIT_FAILED);
    }
    if !yes && !agrees()? {
        out::print("nothing was changed")?;
        return Ok(EXIT_FAILED);
    }
    let ended = wait(shutdown::replace(&home))?;
    let repaired = repair(&home, &dir, &damage);
    // Whatever came of it: what ran before runs afterwards.
    if ended != Shutdown::NotRunning {
        start::start(&home, None, &[])?;
        out::note("the daemon was restarted; tasks live on");
    }
    let is_new_key = repaired?;
    if is_new_key {
        out::note("the project gets a new key: `fornax trust RUN` accepts a run that is to go on");
    }
    let left = Damage::find(&home, &dir, Scope::All)?;
    for message in left.messages() {
        out::note(&format!("still damaged: {}", safe(&message)));
    }
    Ok(if left.is_empty() {
        EXIT_DONE
    } else {
        EXIT_FAILED
    })
}

/// Shows what is damaged and what would be done.
fn show(damage: &Damage) -> Result<(), Failure> {
    let mut text = String::new();
    let mut add = |path: &Path, problem: &str, action: &str| {
        text += &format!(
            "{}\n  {}\n  {} {}\n",
            paint(BOLD, &one_line(&path.to_string_lossy())),
            paint(DIM, &one_line(problem)),
            paint(BOLD, "→"),
            action
        );
    };
    for one in &damage.state {
        let action = format!("move it to set-aside/ beside it; {}", one.consequence);
        add(&one.path, &one.problem, &action);
    }
    for one in &damage.project {
        add(&one.path, &one.problem, &action(one));
    }
    text += "What is damaged is moved as it is; nothing is deleted. A daemon that runs is restarted, \
             tasks live on.\n";
    out::print(text.trim_end())?;
    for task in damage.living() {
        let end = match task.pid {
            Some(pid) => format!("`kill {pid}` ends it"),
            None => "it has to end first".to_owned(),
        };
        out::note(&format!("{} still runs: {end}", task.dir.display()));
    }
    Ok(())
}

fn action(repair: &Repair) -> String {
    const MOVE: &str = "move it to .fornax/set-aside/";
    if !repair.living.is_empty() {
        return "nothing now: tasks of it still run; end them, then repeat this command".to_owned();
    }
    let then = match repair.subject {
        Subject::Run(_) => "the run is no longer listed, its number is not given again",
        Subject::Settings => "the defaults apply",
        Subject::Marker => "it is created again when it is needed",
        Subject::OpenMarker(_) => "create an empty one",
        Subject::Derived => "write it again from the journals",
        Subject::Identity => "write it again, with the same key where that is known",
    };
    match repair.path.exists() || repair.path.is_symlink() {
        true => format!("{MOVE}; {then}"),
        false => then.to_owned(),
    }
}

/// Asks the person at the terminal.
fn agrees() -> Result<bool, Failure> {
    if !out::can_ask() {
        return fail(
            ErrorKind::Forbidden,
            "nothing was changed: there is no terminal to ask at",
            "`fornax doctor --fix --yes` repairs what is shown above",
        );
    }
    let mut stdout = std::io::stdout();
    write!(stdout, "Repair this? [y/N] ").and_then(|()| stdout.flush())?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Repairs what was shown and is still damaged. Whether the project gets a new key.
fn repair(home: &Home, dir: &Path, shown: &Damage) -> Result<bool, Failure> {
    let name = jiff::Zoned::now().strftime("%Y%m%d-%H%M%S").to_string();
    let _lock = lock(home, shown, &name)?;
    let damage = Damage::find(home, dir, Scope::All)?.that_was_in(shown);
    for (from, to) in state::execute(home, &damage.state, &name)? {
        moved(&from, &to)?;
    }
    if damage.project.is_empty() {
        return Ok(false);
    }
    let key = state::known_key(home, dir);
    let repaired = project::execute(dir, &damage.project, &name, key).map_err(Error::from)?;
    for Repaired { path, moved_to, .. } in &repaired {
        if let Some(to) = moved_to {
            moved(path, to)?;
        }
    }
    let has = |subject| repaired.iter().any(|one| one.subject == subject);
    if has(Subject::Derived) {
        let project = Project::find(dir).map_err(Error::from)?;
        let runs = state::rebuild_derived(&project)?;
        out::print(&format!("wrote the derived files of {runs} runs again"))?;
    }
    for one in &repaired {
        if matches!(one.subject, Subject::Identity | Subject::OpenMarker(_)) && one.path.exists() {
            out::print(&format!("wrote {} again", one.path.display()))?;
        }
    }
    Ok(has(Subject::Identity) && key.is_none())
}

/// Takes the daemon's place, so that none starts meanwhile. A lock that is no file is moved first.
fn lock(home: &Home, shown: &Damage, name: &str) -> Result<DaemonLock, Failure> {
    let is_lock = |one: &&StateRepair| one.path.ends_with("daemon.lock");
    let locks: Vec<StateRepair> = shown.state.iter().filter(is_lock).cloned().collect();
    for (from, to) in state::execute(home, &locks, name)? {
        moved(&from, &to)?;
    }
    Ok(home.lock()?)
}

fn moved(from: &Path, to: &Path) -> Result<(), Failure> {
    out::print(&format!("moved {} to {}", from.display(), to.display()))
}
