//! Whose files are followed, and what is opened.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use super::{config, mark, runs};
use crate::support::{Ended, Place, wait_until};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn what_others_can_write_is_refused_until_it_is_let_through() {
    let place = Place::new();
    let file = place.dir().join("fornax.yaml");
    place.write("fornax.yaml", &config("one"));
    place.ok(&["trust"]);
    for (path, mode, was) in [(&file, 0o666, 0o644), (&place.dir(), 0o777, 0o755)] {
        chmod(path, mode);
        for args in [
            &["task", "mark", "x"][..],
            &["ps"],
            &["tools"],
            &["plan", "check", "x"],
        ] {
            let ended = place.run(args);
            assert_eq!(ended.code, 6, "{args:?}: {ended:?}");
            let said = &ended.stderr;
            assert!(said.contains(&format!("mode {mode:04o}")), "{said}");
            assert!(
                said.contains("chmod go-w") && said.contains("fornax trust --path"),
                "{said}"
            );
        }
        let dir = place.dir();
        place.ok(&["trust", "--path", dir.to_str().unwrap()]);
        runs(&place, "one");
        // Another mode than the one that was let through.
        chmod(path, mode | 0o1000);
        chmod(path, mode & !0o020);
        assert_eq!(mark(&place).code, 6);
        chmod(path, was);
        runs(&place, "one");
    }
    let listed = place.ok(&["trust", "list"]);
    assert!(listed.contains("let through"), "{listed}");
}

#[test]
fn one_line_accepts_folder_and_configuration() {
    let place = Place::new();
    place.write("fornax.yaml", &config("one"));
    chmod(&place.dir(), 0o777);
    assert_eq!(mark(&place).code, 6);
    place.ok(&["trust"]);
    runs(&place, "one");
}

#[test]
fn a_sticky_folder_is_fine_and_a_strangers_file_in_it_decides_nothing() {
    let place = Place::new();
    let shared = place.dir().join("shared");
    let mine = shared.join("mine");
    fs::create_dir_all(&mine).unwrap();
    chmod(&shared, 0o1777);
    let at = |args: &[&str]| {
        let mut command = place.command(args);
        Ended::of(command.current_dir(&mine).output().unwrap())
    };
    fs::write(shared.join("fornax.yaml"), "limits: {tasks: 1}\n").unwrap();
    assert_eq!(at(&["task", "shell", "true"]).code, 0);
    if !is_root() {
        return;
    }
    for name in ["fornax.yaml", ".fornax"] {
        chown(shared.join(name), Some(65_534), None).unwrap();
        let ended = at(&["task", "shell", "true"]);
        assert_eq!(ended.code, 6, "{name}: {ended:?}");
        assert!(ended.stderr.contains("belongs to user 65534"), "{ended:?}");
        chown(shared.join(name), Some(0), None).unwrap();
    }
    // A project of one's own below it is not touched by what lies above.
    chown(shared.join("fornax.yaml"), Some(65_534), None).unwrap();
    fs::write(mine.join("fornax.yaml"), "").unwrap();
    assert_eq!(at(&["task", "shell", "true"]).code, 0);
}

#[test]
fn a_plan_is_consented_to_by_naming_it() {
    let place = Place::new();
    place.write(
        "plan.yaml",
        "name: p\nframes: [{id: a, run: 'touch one'}]\n",
    );
    if is_root() {
        chown(place.dir().join("plan.yaml"), Some(65_534), None).unwrap();
    }
    chmod(&place.dir().join("plan.yaml"), 0o666);
    place.ok(&["run", "plan.yaml"]);
    assert!(place.dir().join("one").exists());
}

#[test]
fn records_that_lie_elsewhere_are_refused() {
    let place = Place::new();
    let elsewhere = place.state().join("records");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, place.dir().join(".fornax")).unwrap();
    for args in [&["ps"][..], &["task", "shell", "true"], &["trust"]] {
        let ended = place.run(args);
        assert_eq!(ended.code, 6, "{args:?}: {ended:?}");
        assert!(
            ended.stderr.contains("leads out of the project"),
            "{ended:?}"
        );
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

#[test]
fn pipes_and_devices_are_refused_and_the_daemon_still_ends() {
    let place = Place::new();
    place.ok(&["task", "shell", "true"]);
    let pipe = |name: &str| {
        let made = Command::new("mkfifo").arg(place.dir().join(name)).status();
        assert!(made.unwrap().success());
    };
    pipe("pipe.yaml");
    place.write(
        "outer.yaml",
        "name: p\nframes: [{id: a, uses: pipe.yaml}]\n",
    );
    for args in [
        &["run", "pipe.yaml"][..],
        &["run", "outer.yaml"],
        &["plan", "check", "pipe.yaml"],
        &["run", "/dev/ptmx"],
        &["run", "/dev/zero"],
    ] {
        let ended = place.run(args);
        assert_eq!(ended.code, 2, "{args:?}: {ended:?}");
    }
    for (name, make) in [
        ("a pipe", Box::new(|| pipe("fornax.yaml")) as Box<dyn Fn()>),
        (
            "a device",
            Box::new(|| symlink("/dev/ptmx", place.dir().join("fornax.yaml")).unwrap()),
        ),
    ] {
        make();
        for args in [
            &["task", "shell", "true"][..],
            &["tools"],
            &["trust"],
            &["doctor"],
        ] {
            let ended = place.run(args);
            assert_ne!(ended.code, 0, "{name} {args:?}: {ended:?}");
        }
        fs::remove_file(place.dir().join("fornax.yaml")).unwrap();
    }
    place.ok(&["task", "shell", "true"]);
    place.ok(&["down"]);
    assert!(wait_until(crate::support::PATIENCE, || place
        .processes()
        .is_empty()));
}

#[test]
fn records_are_closed_to_others_whatever_the_umask() {
    let place = Place::new();
    fs::create_dir(place.dir().join(".fornax")).unwrap();
    chmod(&place.dir().join(".fornax"), 0o755);
    let mut up = Command::new("sh");
    let up = up
        .args([
            "-c",
            "umask 000; exec \"$0\" task shell 'echo private; touch made'",
        ])
        .arg(env!("CARGO_BIN_EXE_fornax"))
        .current_dir(place.dir())
        .env_clear()
        .envs(
            place
                .command(&[])
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    assert!(up.output().unwrap().status.success());
    let mut open = Vec::new();
    let mut folders = vec![place.dir().join(".fornax")];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        for path in entries.chain([folder.clone()]) {
            let meta = fs::symlink_metadata(&path).unwrap();
            if !path.ends_with("artifacts") && meta.permissions().mode() & 0o077 != 0 {
                open.push(path.clone());
            }
            if meta.is_dir() && path != folder && !path.ends_with("artifacts") {
                folders.push(path);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    // What the task made is as its umask says.
    let made = fs::metadata(place.dir().join("made")).unwrap();
    assert_eq!(made.permissions().mode() & 0o777, 0o666);
}
