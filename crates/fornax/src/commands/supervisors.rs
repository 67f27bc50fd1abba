//! The supervisors that run and that no daemon looks after: their project was deleted, forgotten or moved
//! away while a task ran. They are only shown; a person ends them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use fornax_daemon::home::Home;
use fornax_daemon::registry::Registry;
use fornax_runner::{shim_of, shims};

/// A supervisor that no daemon looks after.
#[derive(Debug, PartialEq, Eq)]
pub struct Stray {
    pub pid: u32,
    /// What it supervises, and why nobody looks after it.
    pub what: String,
}

/// Finds those of this state directory that belong to no task folder of a known project, and the agents'
/// servers that a version started which kept them in the project. `here` is the project of the caller,
/// which the registry may not have.
///
/// # Errors
/// Where the registry, the state directory or `/proc` cannot be read.
pub fn strays(home: &Home, here: &Path) -> Result<Vec<Stray>, Error> {
    let unreadable = |error: io::Error| {
        let dir = home.dir().display();
        let message = format!("cannot find the supervisors of {dir}: {error}");
        Error::new(ErrorKind::Storage, message)
    };
    let registry = Registry::load(home)?;
    let mut roots: BTreeSet<&Path> = registry.registered().collect();
    roots.insert(here);
    let mut strays = old_servers(home, &roots).map_err(unreadable)?;
    for shim in shims(home.dir()).map_err(unreadable)? {
        let is_known = folders(home, &roots, &shim.name).any(|dir| shim.holds(&dir));
        // One that has ended since has no folder either.
        if !is_known && shim.identity.open().is_some() {
            let folder = shim.dir.filter(|dir| dir.is_dir());
            let folder = folder.map_or_else(String::new, |dir| format!(" {}", dir.display()));
            let what = format!("{}: its folder{folder} is in no known project", shim.name);
            strays.push(Stray {
                pid: shim.pid,
                what,
            });
        }
    }
    Ok(strays)
}

/// The agents' servers that still run of those whose folders are in a project.
fn old_servers(home: &Home, roots: &BTreeSet<&Path>) -> io::Result<Vec<Stray>> {
    let servers = roots
        .iter()
        .flat_map(|root| entries(&root.join(".fornax/services")));
    let mut strays = Vec::new();
    for dir in servers.flat_map(|server| entries(&server)) {
        if let Some(pid) = shim_of(&dir, home.dir())? {
            let what = format!(
                "the agents' server of an earlier version in {}",
                dir.display()
            );
            strays.push(Stray { pid, what });
        }
    }
    Ok(strays)
}

/// Where the folder of a task or of an agents' server with this name can be.
fn folders<'a>(
    home: &Home,
    roots: &'a BTreeSet<&Path>,
    name: &'a str,
) -> impl Iterator<Item = PathBuf> + use<'a> {
    let runs = roots
        .iter()
        .flat_map(|root| entries(&root.join(".fornax/runs")));
    let tasks = runs.map(move |run| run.join("tasks").join(name));
    let projects = entries(&home.dir().join("projects"));
    let servers = projects.flat_map(|project| entries(&project.join("services")));
    let instances = servers.flat_map(|server| entries(&server));
    tasks.chain(instances)
}

/// What is in a folder; nothing where it cannot be read.
fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}
