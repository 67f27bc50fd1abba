//! Servers that agents need: one for a project and an environment, under a shim of its own, so that
//! it outlives the daemon as tasks do. It is started when a task first needs it, again when it dies
//! while it is needed, and ended when nobody has needed it for a while.

use std::collections::{BTreeMap, HashSet};
use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fornax_agents::opencode_server;
use fornax_core::ids::TaskId;
use fornax_journal::{Installation, Project};
use fornax_runner::{Grace, RedactSpec, Supervisor, TaskSpec};
use serde_json::Map;
use sha2::{Digest, Sha256};

use super::super::task_keys::TaskKeys;
use super::SessionEnv;
use crate::secret::hex;

/// What the ids of servers begin with where tasks' begin with `t-`.
const PREFIX: &str = "server-";
/// How long a server that nobody needs is kept.
const IDLE: Duration = Duration::from_secs(600);
/// A server that ends this often while it is needed is not started again.
const STARTS_MAX: u32 = 5;
/// The file that names the folder of a server's present instance.
const CURRENT: &str = "current";

/// The servers of one project.
pub(in crate::engine) struct Services {
    root: PathBuf,
    dir: PathBuf,
    redact: RedactSpec,
    task_keys: TaskKeys,
    servers: BTreeMap<String, Server>,
}

struct Server {
    instance: u32,
    /// How it is started; none where it was found running and nobody has asked for it yet.
    wanted: Option<Wanted>,
    users: HashSet<TaskId>,
    unused_since: Instant,
    /// How often it was started since it last served a task to its end.
    starts: u32,
    running: bool,
}

#[derive(Clone)]
struct Wanted {
    argv: Vec<String>,
    env: Vec<(String, String)>,
}

impl Services {
    /// Where the folders of a project's servers are: in the state directory, so that nothing that lies in
    /// the project decides where agents' prompts are sent.
    pub fn dir(installation: &Installation, project_key: u64) -> PathBuf {
        installation.project_dir(project_key).join("services")
    }

    /// The servers of `project`, whose folders are in `dir`.
    pub fn new(
        project: &Project,
        dir: PathBuf,
        redact: RedactSpec,
        task_keys: TaskKeys,
    ) -> Services {
        Services {
            root: project.root().to_owned(),
            dir,
            redact,
            task_keys,
            servers: BTreeMap::new(),
        }
    }

    /// Whether a report is about one of them.
    pub fn is_server(task_id: &str) -> bool {
        task_id.starts_with(PREFIX)
    }

    /// Takes up the servers that a former daemon left running, so that they end when nobody needs
    /// them.
    pub fn adopt(&mut self, supervisor: &Supervisor) {
        for entry in std::fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(instance) = read_current(&entry.path()) else {
                continue;
            };
            // Whether it has ended, only the supervisor can tell: the record may be forged.
            if !entry.path().join(instance.to_string()).exists() {
                continue;
            }
            self.servers.insert(name.clone(), Server::new(instance));
            // What runs is adopted; the command line of what does not is never used.
            supervisor.ensure(self.spec(&name, instance, &Wanted::unknown()));
        }
    }

    /// Sees to it that OpenCode's server runs for a task; its folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn opencode(
        &mut self,
        supervisor: &Supervisor,
        task: TaskId,
        program: &[String],
        mut env: Vec<(String, String)>,
        own_env: &[(String, String)],
        plugged: Option<&SessionEnv>,
    ) -> io::Result<PathBuf> {
        let kind = if plugged.is_some() {
            "opencode"
        } else {
            "opencode-bare"
        };
        let name = format!("{kind}-{}", key(program, own_env));
        let dir = self.dir.join(&name);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let password = password(&dir)?;
        env.retain(|(name, _)| !name.starts_with("FORNAX_") && name != "PWD");
        env.push(("PWD".to_owned(), self.root.display().to_string()));
        env.extend(opencode_server::env(&password));
        if let Some(session) = plugged {
            env.extend(session.vars());
            opencode_server::plug_in(&mut env, &self.plugin()?);
        }
        let wanted = Wanted {
            argv: opencode_server::argv(program),
            env,
        };
        let server = self
            .servers
            .entry(name.clone())
            .or_insert_with(|| Server::new(read_current(&dir).unwrap_or(0)));
        server.users.insert(task);
        server.wanted = Some(wanted);
        if !server.running {
            server.starts = 0;
            self.start(supervisor, &name)?;
        }
        Ok(dir)
    }

    /// The file of Fornax's own plugin for OpenCode, as this version has it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn plugin(&self) -> io::Result<PathBuf> {
        let file = self.dir.join("fornax.js");
        if std::fs::read_to_string(&file).is_ok_and(|text| text == opencode_server::PLUGIN) {
            return Ok(file);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)?;
        let new = self.dir.join("fornax.js.new");
        std::fs::write(&new, opencode_server::PLUGIN)?;
        std::fs::rename(new, &file)?;
        Ok(file)
    }

    /// A task is over; it needs no server any more.
    pub fn release(&mut self, task: TaskId) {
        for server in self.servers.values_mut() {
            if server.users.remove(&task) {
                server.unused_since = Instant::now();
                server.starts = 0;
            }
        }
    }

    /// A server has ended.
    pub fn ended(&mut self, supervisor: &Supervisor, task_id: &str) {
        let Some((name, instance)) = parse_id(task_id) else {
            return;
        };
        let Some(server) = self.servers.get_mut(name) else {
            return;
        };
        if server.instance != instance {
            return;
        }
        server.running = false;
        if server.users.is_empty() {
            self.servers.remove(name);
        } else if server.starts < STARTS_MAX {
            tracing::warn!(
                server = name,
                "an agents' server has ended; it is started again"
            );
            let name = name.to_owned();
            if let Err(error) = self.start(supervisor, &name) {
                tracing::error!(server = name, %error, "an agents' server cannot be started");
            }
        } else {
            tracing::error!(
                server = name,
                "an agents' server ends again and again; see its log"
            );
        }
    }

    /// Ends the servers that nobody has needed for a while. When to look again.
    pub fn end_idle(&mut self, supervisor: &Supervisor) -> Option<Duration> {
        let mut next = None;
        for (name, server) in &self.servers {
            if !server.users.is_empty() || !server.running {
                continue;
            }
            let left = IDLE.saturating_sub(server.unused_since.elapsed());
            if left.is_zero() {
                supervisor.stop(&id(name, server.instance));
            } else {
                next = Some(next.map_or(left, |next: Duration| next.min(left)));
            }
        }
        next
    }

    /// Ends the servers that nobody needs now.
    pub fn end_unused(&self, supervisor: &Supervisor) {
        for (name, server) in &self.servers {
            if server.users.is_empty() && server.running {
                supervisor.stop(&id(name, server.instance));
            }
        }
    }

    fn start(&mut self, supervisor: &Supervisor, name: &str) -> io::Result<()> {
        let dir = self.dir.join(name);
        let Some(server) = self.servers.get_mut(name) else {
            return Ok(());
        };
        let Some(wanted) = server.wanted.clone() else {
            return Ok(());
        };
        // An instance that was found is adopted where its shim lives. Where it does not, the supervisor
        // reports its end, and the next one is started.
        if server.instance == 0 || server.starts > 0 {
            server.instance += 1;
            write_current(&dir, server.instance)?;
        }
        server.starts += 1;
        server.running = true;
        let instance = server.instance;
        supervisor.ensure(self.spec(name, instance, &wanted));
        Ok(())
    }

    fn spec(&self, name: &str, instance: u32, wanted: &Wanted) -> TaskSpec {
        TaskSpec {
            run_id: String::new(),
            frame_id: String::new(),
            task_id: id(name, instance),
            attempt: instance,
            dir: self.dir.join(name).join(instance.to_string()),
            argv: wanted.argv.clone(),
            env: wanted.env.clone(),
            cwd: self.root.clone(),
            stdin: None,
            timeout_ms: None,
            silence_ms: None,
            grace: Grace::default(),
            redact: Some(self.redact.clone()),
            boot_id: fornax_runner::boot_id().ok(),
            record: Map::new(),
            key: self.task_keys.of_server(&id(name, instance)),
            accept_unproved: false,
        }
    }
}

impl Server {
    fn new(instance: u32) -> Server {
        Server {
            instance,
            wanted: None,
            users: HashSet::new(),
            unused_since: Instant::now(),
            starts: 0,
            running: false,
        }
    }
}

impl Wanted {
    fn unknown() -> Wanted {
        Wanted {
            argv: vec!["false".to_owned()],
            env: Vec::new(),
        }
    }
}

fn id(name: &str, instance: u32) -> String {
    format!("{PREFIX}{name}.{instance}")
}

fn parse_id(id: &str) -> Option<(&str, u32)> {
    let (name, instance) = id.strip_prefix(PREFIX)?.rsplit_once('.')?;
    Some((name, instance.parse().ok()?))
}

/// Tasks that set the same variables for the same program share a server.
fn key(program: &[String], own_env: &[(String, String)]) -> String {
    let mut digest = Sha256::new();
    let own = own_env
        .iter()
        .filter(|(name, _)| !name.starts_with("FORNAX_"));
    let texts = own.flat_map(|(name, value)| [name, value]).chain(program);
    for text in texts {
        digest.update(text.as_bytes());
        digest.update([0]);
    }
    hex(&digest.finalize()[..4])
}

/// The server's password: made once, and readable for its user only.
fn password(dir: &Path) -> io::Result<String> {
    let file = dir.join("password");
    match std::fs::read_to_string(&file) {
        Ok(password) if !password.trim().is_empty() => return Ok(password.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let password = uuid::Uuid::new_v4().simple().to_string();
    let mut options = std::fs::File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(password.as_bytes())?;
    Ok(password)
}

fn read_current(dir: &Path) -> Option<u32> {
    std::fs::read_to_string(dir.join(CURRENT))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Written beside its place and renamed: its readers never see half of it.
fn write_current(dir: &Path, instance: u32) -> io::Result<()> {
    let new = dir.join("current.new");
    std::fs::write(&new, instance.to_string())?;
    std::fs::rename(new, dir.join(CURRENT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fornax_journal::Key;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A project and its folder in the state directory; a supervisor that can start nothing.
    struct World {
        temp: tempfile::TempDir,
        project: Project,
        supervisor: Supervisor,
    }

    impl World {
        fn new() -> World {
            let temp = tempfile::tempdir().unwrap();
            let root = temp.path().join("project");
            fs::create_dir(&root).unwrap();
            let project = Project::open(&root).unwrap();
            let supervisor = Supervisor::new(vec!["false".into()], temp.path(), drop).unwrap();
            World {
                temp,
                project,
                supervisor,
            }
        }

        /// Where the servers' folders are.
        fn dir(&self) -> PathBuf {
            let state = self.temp.path().join("state");
            let installation = Installation::new(Key::new([7; 32]), state);
            Services::dir(&installation, self.project.key().unwrap())
        }

        fn services(&self) -> Services {
            let keys = TaskKeys::new(&Key::new([7; 32]), &self.project).unwrap();
            Services::new(&self.project, self.dir(), RedactSpec::default(), keys)
        }

        /// The folder of the server that a task is given.
        fn server(&self, services: &mut Services) -> PathBuf {
            let task = "t-4k2p9x-1".parse().unwrap();
            let program = ["opencode".to_owned()];
            let server = services.opencode(&self.supervisor, task, &program, Vec::new(), &[], None);
            server.unwrap()
        }
    }

    #[test]
    fn what_lies_in_the_project_decides_nothing() {
        let world = World::new();
        let dir = world.server(&mut world.services());
        assert_eq!(dir.parent(), Some(&*world.dir()));
        assert!(dir.starts_with(world.temp.path().join("state")));
        let name = dir.file_name().unwrap();
        // A clone brings a server that somebody else listens at.
        let planted = world.project.data_dir().join("services").join(name);
        fs::create_dir_all(planted.join("9")).unwrap();
        for (file, text) in [
            ("password", "known"),
            ("current", "9"),
            (
                "9/stdout.log",
                "opencode server listening on http://127.0.0.1:9\n",
            ),
        ] {
            fs::write(planted.join(file), text).unwrap();
        }
        fs::remove_dir_all(world.dir()).unwrap();
        let mut services = world.services();
        services.adopt(&world.supervisor);
        assert!(services.servers.is_empty());
        assert_eq!(world.server(&mut services), dir);
        assert_eq!(read_current(&dir), Some(1));
        assert_ne!(fs::read_to_string(dir.join("password")).unwrap(), "known");
        for (path, mode) in [(dir.clone(), 0o700), (dir.join("password"), 0o600)] {
            let found = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode);
        }
    }

    #[test]
    fn only_the_supervisor_says_that_a_server_has_ended() {
        let world = World::new();
        let dir = world.server(&mut world.services());
        fs::create_dir(dir.join("1")).unwrap();
        fs::write(dir.join("1/exit.json"), "{}").unwrap();
        let mut services = world.services();
        assert_eq!(world.server(&mut services), dir);
        assert_eq!(
            read_current(&dir),
            Some(1),
            "a record without proof is no end"
        );
        let name = dir.file_name().unwrap().to_str().unwrap();
        services.ended(&world.supervisor, &id(name, 1));
        assert_eq!(read_current(&dir), Some(2));
        services.ended(&world.supervisor, &id(name, 1));
        assert_eq!(read_current(&dir), Some(2), "the same end, reported again");
    }
}
