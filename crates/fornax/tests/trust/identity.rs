//! Decisions are about a project, not about a path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{config, decisions, git, is_asked, runs};
use crate::support::{Ended, PATIENCE, Place, wait_until};

/// A project with a tool that is followed whatever it is, and that has run.
fn project(trust: &[&str]) -> Place {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    place.ok(trust);
    runs(&place, "one");
    place
}

/// Another repository, with the same configuration and `files`.
fn other(place: &Place, files: &[(&str, &str)]) -> PathBuf {
    let dir = place.state().join("other");
    fs::create_dir_all(&dir).unwrap();
    git(&dir, &["init", "-q"]);
    for (name, text) in [("fornax.yaml", config("one").as_str())]
        .iter()
        .chain(files)
    {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    git(&dir, &["add", "-Af"]);
    git(&dir, &["commit", "-qm", "one"]);
    dir
}

fn clone(from: &Path, to: &Path) {
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    git(Path::new("/"), &["clone", "-q", from, to]);
}

fn sh(command: &str, dir: &Path) {
    let ended = Command::new("sh")
        .args(["-c", command])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(ended.status.success(), "{command}: {ended:?}");
}

/// What running the tool in a folder ends with.
fn mark_at(place: &Place, dir: &Path) -> Ended {
    let mut command = place.command(&["task", "mark", "x"]);
    Ended::of(command.current_dir(dir).output().unwrap())
}

fn is_asked_at(place: &Place, dir: &Path) {
    let ended = mark_at(place, dir);
    assert_eq!(ended.code, 6, "{}: {ended:?}", dir.display());
    assert!(!dir.join("one").exists());
}

fn runs_at(place: &Place, dir: &Path) {
    let ended = mark_at(place, dir);
    assert_eq!(ended.code, 0, "{}: {ended:?}", dir.display());
    fs::remove_file(dir.join("one")).unwrap();
}

/// Deletes a project; the daemon may write into its data until then.
fn remove(dir: &Path) {
    let is_gone = || fs::remove_dir_all(dir).is_ok() || !dir.exists();
    assert!(wait_until(PATIENCE, is_gone), "{}", dir.display());
}

fn project_file(dir: &Path) -> String {
    fs::read_to_string(dir.join(".fornax/project.json")).unwrap()
}

#[test]
fn another_repository_at_the_same_path_is_asked_about() {
    for is_running in [true, false] {
        for trust in [&["trust"][..], &["trust", "--always"]] {
            let place = project(trust);
            let other = other(&place, &[]);
            if !is_running {
                place.ok(&["down"]);
            }
            remove(&place.dir());
            clone(&other, &place.dir());
            is_asked(&place, "one");
            place.ok(&["ps"]);
            is_asked(&place, "one");
            place.ok(&["trust"]);
            runs(&place, "one");
        }
    }
}

#[test]
fn a_clone_that_brings_records_or_a_key_is_asked_about() {
    let key = project_file(&project(&["trust"]).dir());
    for is_known in [false, true] {
        let place = project(&["trust", "--always"]);
        let key = match is_known {
            true => project_file(&place.dir()),
            false => key.clone(),
        };
        for files in [
            &[(".fornax/project.json", key.as_str())][..],
            &[(".fornax/project.json", "{")],
            &[(".fornax/runs/x", "")],
        ] {
            let other = other(&place, files);
            // At a place of its own, and where the project was.
            let elsewhere = place.state().join("elsewhere");
            clone(&other, &elsewhere);
            assert_ne!(mark_at(&place, &elsewhere).code, 0, "{files:?}");
            assert!(!elsewhere.join("one").exists(), "{files:?}");
            sh("mv project aside", place.dir().parent().unwrap());
            clone(&other, &place.dir());
            assert_ne!(mark_at(&place, &place.dir()).code, 0, "{files:?}");
            assert!(!place.dir().join("one").exists(), "{files:?}");
            sh(
                "until rm -rf project 2> /dev/null; do :; done && rm -rf state/elsewhere state/other && mv aside project",
                place.dir().parent().unwrap(),
            );
        }
    }
}

#[test]
fn a_key_that_is_known_no_longer_proves_nothing() {
    let place = project(&["trust", "--always"]);
    let key = project_file(&place.dir());
    let other = other(&place, &[(".fornax/project.json", &key)]);
    place.ok(&["down"]);
    fs::remove_file(place.state().join("fornax/projects.json")).unwrap();
    let elsewhere = place.state().join("elsewhere");
    clone(&other, &elsewhere);
    is_asked_at(&place, &elsewhere);
    assert!(decisions(&place).is_empty());
}

#[test]
fn a_renamed_project_is_not_asked_about_again() {
    for is_running in [true, false] {
        let place = project(&["trust"]);
        let moved = place.dir().parent().unwrap().join("moved");
        if !is_running {
            place.ok(&["down"]);
        }
        fs::rename(place.dir(), &moved).unwrap();
        runs_at(&place, &moved);
        fs::rename(&moved, place.dir()).unwrap();
        runs(&place, "one");
        assert_eq!(decisions(&place).len(), 1);
    }
}

#[test]
fn a_copy_is_asked_about_and_its_original_is_not() {
    let place = project(&["trust", "--always"]);
    let root = place.dir().parent().unwrap().to_owned();
    sh("cp -a project copy", &root);
    is_asked_at(&place, &root.join("copy"));
    runs(&place, "one");
    let mut trust = place.command(&["trust"]);
    let ended = Ended::of(trust.current_dir(root.join("copy")).output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    runs_at(&place, &root.join("copy"));
    assert_eq!(decisions(&place).len(), 2);
}

#[test]
fn an_original_that_is_back_at_its_place_is_not_asked_about() {
    let place = project(&["trust", "--always"]);
    let root = place.dir().parent().unwrap().to_owned();
    let other = other(&place, &[]);
    sh("mv project aside", &root);
    clone(&other, &place.dir());
    is_asked(&place, "one");
    sh(
        "until rm -rf project 2> /dev/null; do :; done && mv aside project",
        &root,
    );
    runs(&place, "one");

    // On another disk, then back, then restored from an archive: its records prove what it is.
    let disk = tempfile::tempdir_in("/dev/shm").unwrap();
    let there = disk.path().join("project");
    sh(
        &format!("cp -a project {} && mv project aside", there.display()),
        &root,
    );
    is_asked_at(&place, &there);
    let mut moved = place.command(&["trust", "--moved"]);
    let ended = Ended::of(moved.current_dir(&there).output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}");
    runs_at(&place, &there);
    sh("mv aside project", &root);
    runs(&place, "one");
    is_asked_at(&place, &there);
    sh(
        "cp -a project aside && until rm -rf project 2> /dev/null; do :; done && mv aside project",
        &root,
    );
    runs(&place, "one");
}
