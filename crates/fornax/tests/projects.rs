//! Whose folder and whose run it is: clones, pulls, copies, moves, restored backups. The table in
//! docs/security.md has a line for each test.

#![allow(clippy::unwrap_used, reason = "what a test cannot do without ends it")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Ended, PATIENCE, Place, wait_until};

/// A run of two frames, one after the other. The first waits until [`release`] is called in the folder
/// in which it runs; both leave a line in the ledger.
const PLAN: &str = r#"
name: two
frames:
  - {id: first, run: "echo first >> ../ledger; read line < ../pipe; echo done"}
  - {id: second, run: "echo second >> ../ledger", depends_on: [first]}
"#;

struct World {
    place: Place,
}

impl World {
    fn new() -> World {
        let world = World {
            place: Place::new(),
        };
        world.place.write("plan.yaml", PLAN);
        sh(&world.root(), "mkfifo pipe");
        world
    }

    /// The folder that holds the project, the ledger and the pipe.
    fn root(&self) -> PathBuf {
        self.place.dir().parent().unwrap().to_owned()
    }

    /// Starts the run and waits until its first frame runs.
    fn begin(&self) -> String {
        let run = self.place.ok(&["run", "plan.yaml", "--detach"]);
        self.await_ledger("first");
        run.trim().to_owned()
    }

    /// The same, as a version did it whose records were not bound to an installation: their lines ended
    /// without a code, and the state directory held nothing about the project. No daemon runs afterwards.
    fn begin_with_older_version(&self) -> String {
        let run = self.begin();
        self.down();
        let journal = self.run_dir(&run).join("events.jsonl");
        let text = fs::read_to_string(&journal).unwrap();
        let bare = text
            .lines()
            .map(|line| format!("{}}}\n", line.split(",\"mac\":").next().unwrap()));
        fs::write(&journal, bare.collect::<String>()).unwrap();
        sh(&self.root(), "rm -rf state/fornax/projects");
        run
    }

    fn run_dir(&self, run: &str) -> PathBuf {
        self.place.dir().join(".fornax/runs").join(run)
    }

    /// The folder of the run's only task so far.
    fn task_dir(&self, run: &str) -> PathBuf {
        let mut tasks = fs::read_dir(self.run_dir(run).join("tasks")).unwrap();
        tasks.next().unwrap().unwrap().path()
    }

    fn await_ledger(&self, line: &str) {
        let there = || self.ledger().iter().any(|found| found == line);
        assert!(wait_until(PATIENCE, there), "{line}: {:?}", self.ledger());
    }

    fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.root().join("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Lets the first frame end.
    fn release(&self) {
        fs::write(self.root().join("pipe"), "go\n").unwrap();
    }

    fn at(&self, dir: &Path, args: &[&str]) -> Ended {
        let mut command = self.place.command(args);
        Ended::of(command.current_dir(dir).output().unwrap())
    }

    fn ok_at(&self, dir: &Path, args: &[&str]) -> String {
        let ended = self.at(dir, args);
        assert_eq!(ended.code, 0, "fornax {args:?}: {ended:?}");
        ended.stdout
    }

    fn run_at(&self, dir: &Path, run: &str) -> Value {
        let runs: Value = serde_json::from_str(&self.ok_at(dir, &["runs", "--json"])).unwrap();
        let runs = runs.as_array().unwrap().clone();
        let found = runs.into_iter().find(|found| found["id"] == run);
        found.unwrap_or_default()
    }

    fn await_status(&self, dir: &Path, run: &str, status: &str) {
        let is = || self.run_at(dir, run)["status"] == status;
        assert!(
            wait_until(PATIENCE, is),
            "{run} is not {status}: {:#}\n{}",
            self.run_at(dir, run),
            self.ok_at(dir, &["tree", run])
        );
    }

    /// Checks that a run is shown, read-only, and that nothing is done with it.
    fn check_read_only(&self, dir: &Path, run: &str) {
        let view = self.run_at(dir, run);
        assert!(view["foreign"].is_string(), "{view:#}");
        for command in ["retry", "pause"] {
            let refused = self.at(dir, &[command, run]);
            assert_eq!(refused.code, 6, "{command}: {refused:?}");
            let hint = format!("fornax trust {run}");
            assert!(refused.stderr.contains(&hint), "{refused:?}");
        }
        // It can be read, and new runs start beside it.
        self.ok_at(dir, &["tree", run]);
        self.ok_at(dir, &["task", "shell", "true"]);
    }

    fn down(&self) {
        self.place.ok(&["down"]);
    }
}

/// Deletes a folder; the daemon may write into it until then.
fn remove(dir: &Path) {
    let is_gone = || fs::remove_dir_all(dir).is_ok() || !dir.exists();
    assert!(wait_until(PATIENCE, is_gone), "{}", dir.display());
}

fn sh(dir: &Path, script: &str) {
    let status = Command::new("sh")
        .args(["-ec", script])
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "a")
        .env("GIT_AUTHOR_EMAIL", "a@example.invalid")
        .env("GIT_COMMITTER_NAME", "a")
        .env("GIT_COMMITTER_EMAIL", "a@example.invalid")
        .status()
        .unwrap();
    assert!(status.success(), "{script}");
}

/// The journal of an open run of somebody else, which would leave `mark` if it were carried on.
fn plant(dir: &Path, mark: &Path) -> String {
    let other = World::new();
    other.place.write("fornax.yaml", "limits: {tasks: 1}\n");
    let plan = format!(
        "name: planted\nframes:\n- {{id: hold, run: read line < ../pipe}}\n- {{id: go, run: touch {}}}\n",
        mark.display()
    );
    other.place.write("plan.yaml", &plan);
    let run = other.place.ok(&["run", "plan.yaml", "--detach"]);
    let run = run.trim().to_owned();
    let running = || other.place.json(&["runs", "--json"])[0]["tasks_running"] == 1;
    assert!(wait_until(PATIENCE, running));
    let from = other.place.dir().join(".fornax/runs").join(&run);
    // A number that the other side's own runs do not have.
    let planted = format!("{}-777", &run[..12]);
    let to = dir.join(".fornax/runs").join(&planted);
    fs::create_dir_all(&to).unwrap();
    let text = fs::read_to_string(from.join("events.jsonl")).unwrap();
    let text = text.replace(&run, &planted);
    fs::write(to.join("events.jsonl"), text).unwrap();
    fs::write(to.join("open"), "").unwrap();
    planted
}

#[test]
fn what_comes_with_a_clone_a_pull_a_branch_or_an_archive_is_read_only() {
    for way in ["clone", "pull", "branch", "archive"] {
        let world = World::new();
        let (root, dir) = (world.root(), world.place.dir());
        let mark = root.join("mark");
        let upstream = root.join("upstream");
        sh(
            &root,
            "git init -q upstream && cp project/plan.yaml upstream/ && cd upstream && git add . && git commit -qm one",
        );
        remove(&dir);
        if way != "clone" {
            sh(&root, "git clone -q upstream project");
            world.place.ok(&["task", "shell", "true"]);
            world.down();
        }
        let planted = plant(&upstream, &mark);
        sh(
            &upstream,
            "git checkout -q -b other && git add -f .fornax && git commit -qm two && git checkout -q -",
        );
        match way {
            "clone" => sh(&root, "git clone -q -b other upstream project"),
            "pull" => sh(
                &root,
                "cd upstream && git merge -q other && cd ../project && git pull -q",
            ),
            "branch" => sh(&root, "cd project && git fetch -q && git checkout -q other"),
            _ => sh(
                &root,
                "cd upstream && git checkout -q other && git archive other | tar -x -C ../project",
            ),
        }
        world.check_read_only(&dir, &planted);
        assert!(!mark.exists(), "{way}");
        let shown = world.at(&dir, &["trust", &planted]);
        assert!(shown.stdout.contains("touch "), "{way}: {shown:?}");
        // That was a person's word: now it is carried on.
        assert_eq!(shown.code, 0, "{way}: {shown:?}");
        assert!(wait_until(PATIENCE, || mark.exists()), "{way}");
    }
}

#[test]
fn a_copy_does_not_touch_the_original() {
    let world = World::new();
    let (root, dir) = (world.root(), world.place.dir());
    let run = world.begin();
    sh(&root, "cp -a project copy");
    let copy = root.join("copy");
    let noted = world.at(&copy, &["ps"]);
    assert!(noted.stderr.contains("is a copy of"), "{noted:?}");
    world.check_read_only(&copy, &run);
    world.release();
    world.await_status(&dir, &run, "completed");
    assert_eq!(world.ledger(), ["first", "second"]);
    // Its number is the copy's own from now on.
    assert_eq!(world.run_at(&copy, &run)["status"], "blocked");
    // A person may accept it there: what ran is lost, and is not started again.
    world.ok_at(&copy, &["trust", &run]);
    world.await_status(&copy, &run, "failed");
    assert_eq!(world.ledger(), ["first", "second"]);
}

#[test]
fn a_renamed_project_continues_with_and_without_a_daemon() {
    for running in [true, false] {
        let world = World::new();
        let root = world.root();
        let run = world.begin();
        if !running {
            world.down();
        }
        let moved = root.join("moved");
        fs::rename(world.place.dir(), &moved).unwrap();
        if !running {
            let noted = world.at(&moved, &["runs"]);
            assert!(noted.stderr.contains("was moved from"), "{noted:?}");
        }
        world.release();
        world.await_status(&moved, &run, "completed");
        assert_eq!(world.ledger(), ["first", "second"]);
        assert!(!world.place.dir().exists(), "made anew at the old place");
        fs::create_dir(world.place.dir()).unwrap();
    }
}

#[test]
fn a_project_on_another_disk_is_asked_about() {
    let world = World::new();
    let (root, dir) = (world.root(), world.place.dir());
    let done = world.place.ok(&["task", "shell", "true", "--detach"]);
    let done = done.trim();
    world.await_status(&dir, done, "completed");
    world.down();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let there = elsewhere.path().join("project");
    sh(
        &root,
        &format!("cp -a project {} && mv project away", there.display()),
    );
    let asked = world.at(&there, &["runs"]);
    assert_eq!(asked.code, 6, "{asked:?}");
    assert!(asked.stderr.contains("fornax trust --moved"), "{asked:?}");
    world.ok_at(&there, &["trust", "--moved"]);
    assert_eq!(world.run_at(&there, done)["foreign"], Value::Null);
    let own = world.at(&there, &["trust", done]);
    assert!(own.stderr.contains("nothing to accept"), "{own:?}");
    // What comes back at the old place is the original; the other is a copy then.
    sh(&root, "mv away project");
    assert_eq!(world.run_at(&dir, done)["foreign"], Value::Null);
    assert!(world.run_at(&there, done)["foreign"].is_string());
    remove(&there);
}

#[test]
fn a_copy_whose_original_is_gone_may_be_called_one() {
    let world = World::new();
    let root = world.root();
    let run = world.place.ok(&["task", "shell", "true", "--detach"]);
    world.await_status(&world.place.dir(), run.trim(), "completed");
    world.down();
    sh(&root, "cp -a project copy && mv project away");
    let copy = root.join("copy");
    let noted = world.at(&copy, &["trust", "--copied"]);
    assert_eq!(noted.code, 0, "{noted:?}");
    assert!(world.run_at(&copy, run.trim())["foreign"].is_string());
    sh(&root, "mv away project");
}

#[test]
fn an_older_backup_is_asked_about_and_nothing_of_it_runs_again() {
    let world = World::new();
    let (root, dir) = (world.root(), world.place.dir());
    let run = world.begin();
    world.down();
    sh(&root, "cp -a project/.fornax backup");
    world.release();
    world.await_status(&dir, &run, "completed");
    world.down();
    sh(
        &root,
        "rm -rf project/.fornax && cp -a backup project/.fornax",
    );
    let view = world.run_at(&dir, &run);
    assert!(
        view["foreign"].as_str().unwrap().contains("older copy"),
        "{view:#}"
    );
    let accepted = world.ok_at(&dir, &["trust", &run]);
    assert!(accepted.contains("lost"), "{accepted}");
    let over = || !world.run_at(&dir, &run)["ended_ms"].is_null();
    assert!(
        wait_until(PATIENCE, over),
        "{}",
        world.ok_at(&dir, &["tree", &run])
    );
    assert_eq!(world.ledger(), ["first", "second"], "nothing ran again");
    // Nor of a run that had ended, whose journal of before is put back without its marker.
    world.down();
    let journal = format!(".fornax/runs/{run}/events.jsonl");
    sh(
        &root,
        &format!(
            "cp backup/runs/{run}/events.jsonl project/{journal} && rm -f project/.fornax/runs/{run}/open"
        ),
    );
    world.ok_at(&dir, &["trust", &run]);
    assert!(
        wait_until(PATIENCE, over),
        "{}",
        world.ok_at(&dir, &["tree", &run])
    );
    assert_eq!(world.ledger(), ["first", "second"], "nothing ran again");
    // A person may have it done again.
    world.ok_at(&dir, &["retry", &run, "--detach"]);
    world.release();
    world.await_status(&dir, &run, "completed");
}

#[test]
fn a_state_directory_that_is_older_or_gone_loses_nothing() {
    let world = World::new();
    let (root, dir) = (world.root(), world.place.dir());
    world.place.ok(&["task", "shell", "true"]);
    world.down();
    sh(&root, "cp -a state older");
    let run = world.begin();
    world.down();
    sh(&root, "rm -rf state && cp -a older state");
    let view = world.run_at(&dir, &run);
    assert_eq!(
        (&view["foreign"], &view["status"]),
        (&Value::Null, &"running".into()),
        "{view:#}"
    );
    world.down();
    // Without any: it is nobody's until a person accepts it, and then it continues.
    sh(&root, "rm -rf state && mkdir state");
    world.check_read_only(&dir, &run);
    world.release();
    world.ok_at(&dir, &["trust", &run]);
    let over = || !world.run_at(&dir, &run)["ended_ms"].is_null();
    assert!(
        wait_until(PATIENCE, over),
        "{}",
        world.ok_at(&dir, &["tree", &run])
    );
    assert_eq!(
        world
            .ledger()
            .iter()
            .filter(|line| *line == "first")
            .count(),
        1
    );
}

#[test]
fn data_that_is_deleted_under_the_daemon_ends_its_runs_and_begins_anew() {
    let world = World::new();
    let dir = world.place.dir();
    let run = world.begin();
    remove(&dir.join(".fornax"));
    // Nothing runs unseen: the task of the run that is gone is stopped, whether or not somebody asks.
    let gone = || {
        !world
            .place
            .processes()
            .iter()
            .any(|(_, command)| command.contains("read line"))
    };
    assert!(wait_until(PATIENCE, gone), "{:?}", world.place.processes());
    let next = world.place.ok(&["task", "shell", "true", "--detach"]);
    assert_ne!(next.trim(), run, "a number is never given twice");
    world.await_status(&dir, next.trim(), "completed");
    world.down();
    world.place.ok(&["ps"]);
}

#[test]
fn a_journal_that_is_deleted_under_the_daemon_ends_its_run_alone() {
    let world = World::new();
    let dir = world.place.dir();
    let run = world.begin();
    remove(&dir.join(".fornax/runs").join(&run));
    world.release();
    let gone = || world.run_at(&dir, &run).is_null();
    assert!(wait_until(PATIENCE, gone), "{:#}", world.run_at(&dir, &run));
    world.place.ok(&["task", "shell", "true"]);
    assert_eq!(world.ledger(), ["first"]);
}

#[test]
fn a_journal_that_is_replaced_by_the_same_bytes_costs_nothing() {
    let world = World::new();
    let (root, dir) = (world.root(), world.place.dir());
    let run = world.begin();
    let journal = format!("project/.fornax/runs/{run}/events.jsonl");
    sh(&root, &format!("cp {journal} kept && mv kept {journal}"));
    world.release();
    world.await_status(&dir, &run, "completed");
    assert_eq!(world.ledger(), ["first", "second"]);
}

#[test]
fn a_closed_run_whose_head_was_lost_proves_itself() {
    let world = World::new();
    let dir = world.place.dir();
    let run = world.place.ok(&["task", "shell", "true", "--detach"]);
    world.await_status(&dir, run.trim(), "completed");
    world.down();
    sh(&world.root(), "rm state/fornax/projects/*/heads");
    for _ in 0..2 {
        assert_eq!(world.run_at(&dir, run.trim())["foreign"], Value::Null);
    }
}

#[test]
fn folders_that_are_no_runs_keep_no_run_from_starting() {
    let world = World::new();
    let dir = world.place.dir();
    world.place.ok(&["task", "shell", "true"]);
    let runs = dir.join(".fornax/runs");
    fs::write(runs.join("RUN-20200101-001"), "a file").unwrap();
    sh(
        &runs,
        "mkdir RUN-20200101-002 && ln -s / RUN-20200101-002/events.jsonl && touch RUN-20200101-002/open",
    );
    sh(
        &runs,
        "mkdir -p RUN-20200101-003/events.jsonl && mkfifo RUN-20200101-003/open",
    );
    world.down();
    world.place.ok(&["task", "shell", "true"]);
    world.place.ok(&["runs"]);
}

#[test]
fn a_second_path_to_a_project_is_the_same_project() {
    let world = World::new();
    let (root, dir) = (world.root(), world.place.dir());
    let run = world.begin();
    sh(&root, "ln -s project link");
    assert_eq!(world.run_at(&root.join("link"), &run)["status"], "running");
    let status = world.place.json(&["status", "--json"]);
    assert_eq!(status["projects"].as_array().unwrap().len(), 1);
    world.release();
    world.await_status(&dir, &run, "completed");
    assert_eq!(world.ledger(), ["first", "second"]);
}

#[test]
fn what_an_older_version_left_open_is_read_only_until_a_person_accepts_it() {
    let world = World::new();
    let dir = world.place.dir();
    let run = world.begin_with_older_version();
    world.check_read_only(&dir, &run);
    world.ok_at(&dir, &["trust", &run]);
    world.release();
    world.await_status(&dir, &run, "completed");
    assert_eq!(
        world.ledger(),
        ["first", "second"],
        "the living task was adopted"
    );
}

#[test]
fn what_a_person_accepted_stays_accepted_when_the_daemon_is_started_again() {
    let world = World::new();
    let dir = world.place.dir();
    let run = world.begin_with_older_version();
    world.ok_at(&dir, &["trust", &run]);
    world.down();
    // The task ends while no daemon runs, and its supervisor is of the older version: no proof.
    let task = world.task_dir(&run);
    world.release();
    assert!(wait_until(PATIENCE, || task.join("exit.json").exists()));
    let text = fs::read_to_string(task.join("exit.json")).unwrap();
    let mut exit: Value = serde_json::from_str(&text).unwrap();
    exit.as_object_mut().unwrap().remove("proof").unwrap();
    fs::write(task.join("exit.json"), exit.to_string()).unwrap();
    world.await_status(&dir, &run, "completed");
    assert_eq!(world.ledger(), ["first", "second"]);
}

#[test]
fn what_others_started_is_not_started_again_after_it_was_accepted() {
    let world = World::new();
    let dir = world.place.dir();
    let run = world.begin_with_older_version();
    world.ok_at(&dir, &["trust", &run]);
    world.down();
    // As in a clone: the task's folder did not come with the records.
    let task = world.task_dir(&run);
    world.release();
    assert!(wait_until(PATIENCE, || task.join("exit.json").exists()));
    fs::remove_dir_all(&task).unwrap();
    world.await_status(&dir, &run, "failed");
    assert_eq!(
        world.ledger(),
        ["first"],
        "it is lost, and does not run twice"
    );
}

#[test]
fn a_living_task_of_a_read_only_run_is_listed_and_can_be_stopped() {
    let world = World::new();
    let (root, dir) = (world.root(), world.place.dir());
    let run = world.begin();
    world.down();
    let journal = dir.join(".fornax/runs").join(&run).join("events.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let name = "\"name\":\"two\"";
    assert!(text.contains(name));
    fs::write(&journal, text.replace(name, "\"name\":\"Two\"")).unwrap();
    let view = world.run_at(&dir, &run);
    assert_eq!(
        (&view["status"], &view["tasks_running"]),
        (&"blocked".into(), &1.into()),
        "{view:#}"
    );
    let listed = world.place.json(&["ps", "--json"]);
    let task = listed[0]["id"].as_str().unwrap().to_owned();
    world.place.ok(&["stop", &task]);
    let ended = || {
        world
            .place
            .json(&["ps", "--json"])
            .as_array()
            .unwrap()
            .is_empty()
    };
    assert!(wait_until(PATIENCE, ended));
    assert_eq!(world.run_at(&dir, &run)["tasks_running"], 0);
    // Nothing of it came to be recorded, and nothing else was started.
    assert!(fs::read_to_string(&journal).unwrap().lines().count() == text.lines().count());
    assert_eq!(world.ledger(), ["first"]);
    sh(&root, "test -e project");
}

#[test]
fn a_project_is_forgotten_and_its_numbers_are_not() {
    let world = World::new();
    let dir = world.place.dir();
    let run = world.begin();
    let refused = world.place.run(&["forget"]);
    assert_ne!(refused.code, 0, "a run of it is open");
    assert!(refused.stderr.contains(&run), "{refused:?}");
    world.release();
    world.await_status(&dir, &run, "completed");
    world.place.ok(&["forget"]);
    let status = world.place.json(&["status", "--json"]);
    assert_eq!(status["projects"].as_array().unwrap().len(), 0);
    let next = world.place.ok(&["task", "shell", "true", "--detach"]);
    assert_ne!(next.trim(), run);
    assert_eq!(world.run_at(&dir, &run)["foreign"], Value::Null);
    world.await_status(&dir, next.trim(), "completed");
    // Also one whose folder is gone.
    world.down();
    world.place.ok(&["up", "-d"]);
    remove(&dir.join(".fornax"));
    let path = dir.canonicalize().unwrap();
    world.at(&world.root(), &["forget", path.to_str().unwrap()]);
    let status: Value =
        serde_json::from_str(&world.ok_at(&world.root(), &["status", "--json"])).unwrap();
    assert_eq!(
        status["projects"].as_array().unwrap().len(),
        0,
        "{status:#}"
    );
}
