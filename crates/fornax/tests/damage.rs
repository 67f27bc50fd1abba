//! One damaged file never locks a project: the other runs work, `doctor` names the file, and
//! `doctor --fix` leads out without deleting anything.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{Place, wait_for_file, wait_until};

/// Ways to damage a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Truncate,
    Flip,
    Empty,
    Garbage,
    Folder,
}

const WAYS: [Way; 5] = [
    Way::Truncate,
    Way::Flip,
    Way::Empty,
    Way::Garbage,
    Way::Folder,
];

/// Damages a file. Returns what has to be found afterwards: a file and its bytes, by the path below
/// the damaged one.
fn damage(path: &Path, way: Way) -> (PathBuf, Vec<u8>) {
    let mut bytes = fs::read(path).unwrap();
    match way {
        Way::Truncate => bytes.truncate(bytes.len() / 2),
        // The first byte is structure in all of these files.
        Way::Flip => bytes[0] ^= 0x40,
        Way::Empty => bytes.clear(),
        Way::Garbage => {
            bytes = (0..200u8)
                .map(|byte| byte.wrapping_mul(37) | 0x80)
                .collect()
        }
        Way::Folder => {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
            fs::write(path.join("inside"), b"kept").unwrap();
            return (PathBuf::from("inside"), b"kept".to_vec());
        }
    }
    fs::write(path, &bytes).unwrap();
    (PathBuf::new(), bytes)
}

fn below(name: &str, inside: &Path) -> PathBuf {
    let path = PathBuf::from(name);
    match inside.as_os_str().is_empty() {
        true => path,
        false => path.join(inside),
    }
}

/// Damages a line in the middle of a journal, so that it is no torn end.
fn damage_journal(path: &Path, way: Way) -> (PathBuf, Vec<u8>) {
    let text = fs::read(path).unwrap();
    let first = text.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let second = first
        + text[first..]
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap()
        + 1;
    let middle = match way {
        Way::Truncate => text[first..first + (second - first) / 2].to_vec(),
        Way::Flip => {
            let mut line = text[first..second].to_vec();
            line[0] ^= 0x40;
            line
        }
        // Neither leaves anything in the middle: the line is missing.
        Way::Empty => Vec::new(),
        Way::Garbage => b"\xff\xfe no record\n".to_vec(),
        Way::Folder => return damage(path, way),
    };
    let bytes = [&text[..first], &middle, &text[second..]].concat();
    fs::write(path, &bytes).unwrap();
    (PathBuf::new(), bytes)
}

/// The files below a folder, with their bytes, but for those that the daemon derives from journals: it
/// writes them some time after what they repeat.
fn files_below(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(files_below(&path));
        } else if kind.is_file() && !is_derived(&path) {
            files.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    files
}

fn is_derived(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    let name = name.trim_end_matches(".tmp");
    ["index.json", "run.json", "metadata.json"].contains(&name)
}

/// A project with a run that has ended and one that waits; the daemon is down.
struct Damaged {
    place: Place,
    ended: String,
    open: String,
}

fn run_of(text: &str) -> String {
    let run = text
        .split_whitespace()
        .find(|word| word.starts_with("RUN-"));
    run.unwrap().to_owned()
}

/// A run that is open and has no living task: it waits for an answer.
fn project() -> Damaged {
    let place = Place::new();
    place.ok(&["task", "shell", "echo one"]);
    let runs = place.json(&["runs", "--json"]);
    let ended = runs[0]["id"].as_str().unwrap().to_owned();
    place.ok(&["frame", "push", "Wait for a person"]);
    let runs = place.json(&["runs", "--json"]);
    let open = runs[0]["id"].as_str().unwrap().to_owned();
    assert_ne!(open, ended);
    place.ok(&["down"]);
    Damaged { place, ended, open }
}

impl Damaged {
    fn data(&self) -> PathBuf {
        self.place.dir().join(".fornax")
    }

    fn state(&self) -> PathBuf {
        self.place.state().join("fornax")
    }

    fn runs(&self) -> Vec<String> {
        let runs = self.place.json(&["runs", "--json"]);
        let ids = runs.as_array().unwrap().iter();
        ids.map(|run| run["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// `doctor` names the file, and `--fix` leads out; nothing is deleted.
    fn repair(&self, path: &Path, (inside, bytes): &(PathBuf, Vec<u8>), what: &str) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let doctor = self.place.run(&["doctor"]);
        assert_eq!(doctor.code, 1, "{what}: {doctor:?}");
        let named = doctor
            .stdout
            .lines()
            .any(|line| line.contains("✗ damage") && line.contains(name));
        assert!(named, "{what}: {doctor:?}");

        // Without a terminal and without consent it only shows.
        let before = files_below(&self.place.dir());
        let preview = self.place.run(&["doctor", "--fix"]);
        assert_eq!(preview.code, 6, "{what}: {preview:?}");
        assert!(preview.stdout.contains(name), "{what}: {preview:?}");
        assert!(
            preview.stderr.contains("`fornax doctor --fix --yes`"),
            "{what}: {preview:?}"
        );
        let changed = files_below(&self.place.dir()) != before;
        assert!(!changed, "{what}: the preview changes something");

        let fixed = self.place.run(&["doctor", "--fix", "--yes"]);
        assert_eq!(fixed.code, 0, "{what}: {fixed:?}");
        let line = fixed
            .stdout
            .lines()
            .find(|line| line.starts_with("moved ") && line.contains(name));
        let line = line.unwrap_or_else(|| panic!("{what}: {fixed:?}"));
        let to = Path::new(line.rsplit_once(" to ").unwrap().1);
        let kept = match inside.as_os_str().is_empty() {
            true => fs::read(to),
            false => fs::read(to.join(inside)),
        };
        assert_eq!(&kept.unwrap(), bytes, "{what}");
        assert!(
            to.parent().unwrap().ends_with("set-aside"),
            "{what}: {line}"
        );

        let again = self.place.run(&["doctor", "--fix", "--yes"]);
        assert_eq!(
            (again.code, again.stdout.as_str()),
            (0, "nothing is damaged\n"),
            "{what}"
        );
        let doctor = self.place.run(&["doctor"]);
        assert!(!doctor.stdout.contains("✗"), "{what}: {doctor:?}");
    }
}

#[test]
fn a_damaged_open_run_is_set_aside_and_its_number_stays_used() {
    for way in WAYS {
        let what = format!("{way:?}");
        let damaged = project();
        let dir = damaged.data().join("runs").join(&damaged.open);
        let journal = dir.join("events.jsonl");
        let (inside, bytes) = damage_journal(&journal, way);
        let place = &damaged.place;
        // The others work, and no command is locked out.
        assert!(damaged.runs().contains(&damaged.ended), "{what}");
        place.ok(&["task", "shell", "true"]);
        for args in [
            &["ps"][..],
            &["status"],
            &["inbox"],
            &["tree", &damaged.ended],
        ] {
            place.ok(args);
        }
        let stopped = place.run(&["stop", &damaged.open]);
        assert_ne!(stopped.code, 0, "{what}: {stopped:?}");
        assert!(stopped.stderr.contains("help: "), "{what}: {stopped:?}");
        damaged.repair(&dir, &(below("events.jsonl", &inside), bytes), &what);
        let runs = damaged.runs();
        assert!(!runs.contains(&damaged.open), "{what}: {runs:?}");
        place.ok(&["task", "shell", "true"]);
        assert!(!damaged.runs().contains(&damaged.open), "{what}");
    }
}

#[test]
fn a_damaged_run_that_has_ended_is_set_aside() {
    for way in [Way::Flip, Way::Garbage, Way::Folder] {
        let what = format!("{way:?}");
        let damaged = project();
        let dir = damaged.data().join("runs").join(&damaged.ended);
        let (inside, bytes) = damage_journal(&dir.join("events.jsonl"), way);
        damaged.place.ok(&["task", "shell", "true"]);
        damaged.repair(&dir, &(below("events.jsonl", &inside), bytes), &what);
        assert!(damaged.runs().contains(&damaged.open), "{what}");
    }
}

#[test]
fn a_damaged_project_file_is_written_again_with_its_key() {
    for way in WAYS {
        let what = format!("{way:?}");
        let damaged = project();
        let path = damaged.data().join("project.json");
        let key = |text: &str| -> serde_json::Value {
            serde_json::from_str::<serde_json::Value>(text).unwrap()["key"].clone()
        };
        let key_before = key(&fs::read_to_string(&path).unwrap());
        let before = damage(&path, way);
        damaged.repair(&path, &before, &what);
        assert_eq!(
            key(&fs::read_to_string(&path).unwrap()),
            key_before,
            "{what}"
        );
        let known = damaged.runs();
        assert!(
            known.contains(&damaged.ended) && known.contains(&damaged.open),
            "{what}: {known:?}"
        );
        let next = run_of(&damaged.place.ok(&["task", "shell", "true", "--detach"]));
        assert!(!known.contains(&next), "{what}");
    }
}

/// The one project's folder in the state directory.
fn state_of_project(damaged: &Damaged) -> PathBuf {
    let mut all = fs::read_dir(damaged.state().join("projects")).unwrap();
    all.next().unwrap().unwrap().path()
}

#[test]
fn no_number_is_given_twice_where_the_counters_are_damaged() {
    for way in WAYS {
        let what = format!("{way:?}");
        let damaged = project();
        let path = state_of_project(&damaged).join("counters.json");
        let before = damage(&path, way);
        damaged.repair(&path, &before, &what);
        let next = run_of(&damaged.place.ok(&["task", "shell", "true", "--detach"]));
        assert!(next > damaged.open, "{what}: {next} after {}", damaged.open);
    }
}

#[test]
fn a_run_that_is_set_aside_keeps_its_number_where_the_counters_are_lost() {
    let damaged = project();
    let dir = damaged.data().join("runs").join(&damaged.open);
    damage_journal(&dir.join("events.jsonl"), Way::Garbage);
    fs::write(state_of_project(&damaged).join("counters.json"), "{").unwrap();
    let fixed = damaged.place.run(&["doctor", "--fix", "--yes"]);
    assert_eq!(fixed.code, 0, "{fixed:?}");
    let next = run_of(&damaged.place.ok(&["task", "shell", "true", "--detach"]));
    assert!(next > damaged.open, "{next} after {}", damaged.open);
}

#[test]
fn damaged_derived_files_and_settings_are_made_again() {
    for name in ["index.json", "autonomy.json", "run.json", "frames"] {
        for way in WAYS {
            let what = format!("{name} {way:?}");
            let damaged = project();
            let path = match name {
                "run.json" => damaged.data().join("runs").join(&damaged.ended).join(name),
                _ => damaged.data().join(name),
            };
            let before = match name {
                // A power cut leaves an empty one, which is as good as none.
                "frames" => {
                    fs::rename(&path, damaged.place.dir().join("frames-before")).unwrap();
                    fs::write(&path, "x").unwrap();
                    (PathBuf::new(), b"x".to_vec())
                }
                "autonomy.json" => {
                    fs::write(&path, "{}").unwrap();
                    damage(&path, way)
                }
                _ => damage(&path, way),
            };
            if name == "frames" {
                let ended = damaged.place.run(&["ps"]);
                assert_ne!(ended.code, 0, "{what}: {ended:?}");
                assert!(
                    ended.stderr.contains("`fornax doctor --fix`"),
                    "{what}: {ended:?}"
                );
            } else {
                damaged.place.ok(&["ps"]);
            }
            damaged.place.ok(&["down"]);
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file())
                && name == "index.json"
                && damaged.place.run(&["doctor", "--fix"]).stdout == "nothing is damaged\n"
            {
                // The daemon has written it again already.
                continue;
            }
            damaged.repair(&path, &before, &what);
            match name {
                "autonomy.json" => assert!(!path.exists(), "{what}"),
                "frames" => assert!(fs::read_dir(&path).unwrap().next().is_some(), "{what}"),
                _ => {
                    let text = fs::read_to_string(&path).unwrap();
                    serde_json::from_str::<serde_json::Value>(&text).unwrap();
                }
            }
        }
    }
}

#[test]
fn damaged_files_of_the_state_directory_are_set_aside() {
    for name in [
        "projects.json",
        "key",
        "token",
        "sessions.json",
        "daemon.json",
    ] {
        for way in WAYS {
            let what = format!("{name} {way:?}");
            let damaged = project();
            // A token is random: with another byte in it, it is another token.
            if ["token", "key"].contains(&name) && way == Way::Flip {
                continue;
            }
            let path = damaged.state().join(name);
            if !path.exists() {
                fs::write(&path, "[]").unwrap();
            }
            let before = damage(&path, way);
            damaged.repair(&path, &before, &what);
            damaged.place.ok(&["task", "shell", "true"]);
            assert!(damaged.runs().contains(&damaged.ended), "{what}");
        }
    }
}

#[test]
fn the_daemon_is_restarted_around_a_repair_and_living_tasks_hold_it_up() {
    let place = Place::new();
    let wait = "touch began; until [ -e go ]; do sleep 0.05; done";
    let run = run_of(&place.ok(&["task", "shell", wait, "--detach"]));
    wait_for_file(&place.dir().join("began"));
    let pid = place.json(&["status", "--json"])["pid"].clone();
    let dir = place.dir().join(".fornax/runs").join(&run);
    let (_, bytes) = damage_journal(&dir.join("events.jsonl"), Way::Garbage);

    let ended = place.run(&["doctor", "--fix", "--yes"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("still runs: `kill "), "{ended:?}");
    assert_eq!(fs::read(dir.join("events.jsonl")).unwrap(), bytes);
    assert_eq!(
        place.json(&["status", "--json"])["pid"],
        pid,
        "nothing was to be done"
    );

    place.write("go", "");
    let task = fs::read_dir(dir.join("tasks"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    wait_for_file(&task.path().join("exit.json"));
    assert!(wait_until(support::PATIENCE, || {
        place.run(&["doctor", "--fix", "--yes"]).code == 0
    }));
    assert!(!dir.exists());
    assert_ne!(
        place.json(&["status", "--json"])["pid"],
        pid,
        "the daemon runs again"
    );
    place.ok(&["task", "shell", "true"]);
}
