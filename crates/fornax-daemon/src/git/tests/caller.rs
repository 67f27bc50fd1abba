//! The environment of the caller: the user's own configuration takes effect, `GIT_*` variables and
//! relative entries of `PATH` do not. Each case is a process of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::support::{Sandbox, plain_git, write_program};
use crate::git::Git;

/// What the other process does, and prints.
#[test]
#[ignore = "the other tests of this file start it"]
fn caller() {
    let dir = std::env::var("FORNAX_TEST_DIR").unwrap();
    let (dir, git) = (Path::new(&dir), Git::default());
    match git.status(dir) {
        Ok(status) => println!("status: {:?}", status.is_dirty),
        Err(error) => println!("status: {error}"),
    }
    let path = dir.join("../worktree");
    match git.add_worktree(dir, &path, "HEAD") {
        Ok(()) => println!(
            "content: {}",
            fs::read_to_string(path.join("f.txt")).unwrap()
        ),
        Err(error) => println!("worktree: {error}"),
    }
    if path.exists() {
        git.remove_worktree(dir, &path).unwrap();
    }
}

fn call(sandbox: &Sandbox, env: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "git::tests::caller::caller",
            "--ignored",
            "--nocapture",
        ])
        .current_dir(sandbox.repository())
        .env("FORNAX_TEST_DIR", sandbox.repository())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", sandbox.path("global"))
        .envs(env.iter().copied())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn global(sandbox: &Sandbox, text: &str) {
    fs::write(sandbox.path("global"), text).unwrap();
}

#[test]
fn a_filter_of_the_user_runs() {
    let sandbox = Sandbox::new();
    let trap = sandbox.trap("user", 0);
    let filter = format!("[filter \"x\"]\nclean = {trap}\nsmudge = {trap}\nrequired\n");
    let conditional = format!(
        "[includeIf \"gitdir:**\"]\npath = {}\n",
        sandbox.path("included").display()
    );
    fs::write(sandbox.path("included"), &filter).unwrap();
    for text in [&filter, &conditional] {
        global(&sandbox, text);
        sandbox.touch("f.txt");
        let text = call(&sandbox, &[]);
        assert!(text.contains("status: Some(false)"), "{text}");
        assert!(text.contains("content: secret"), "{text}");
        assert_eq!(sandbox.proofs(), ["user"]);
    }
    // The repository's own command of that name does not, nor does the user's in its place.
    let other = sandbox.trap("repository", 0);
    for key in ["clean", "smudge", "process"] {
        let key = format!("filter.x.{key}");
        sandbox.git(&["config", &key, &other]);
        sandbox.touch("f.txt");
        let text = call(&sandbox, &[]);
        assert!(text.contains("status: None"), "{key}: {text}");
        assert!(
            text.contains("worktree: cannot check out \"f.txt\""),
            "{key}: {text}"
        );
        assert_eq!(sandbox.proofs(), [""; 0], "{key}");
        // Turned off, it would write what the user's filter changes.
        sandbox.git(&["config", &key, ""]);
        sandbox.touch("f.txt");
        let text = call(&sandbox, &[]);
        if key == "filter.x.process" {
            // The user has no such command; the other two still run.
            assert!(text.contains("status: Some(false)"), "{text}");
            assert!(text.contains("content: secret"), "{text}");
            assert_eq!(sandbox.proofs(), ["user"]);
        } else {
            assert!(text.contains("status: None"), "{key}: {text}");
            assert!(text.contains("worktree: cannot check out"), "{key}: {text}");
            assert_eq!(sandbox.proofs(), [""; 0], "{key}");
        }
        sandbox.git(&["config", "--unset", &key]);
    }
    // The same command is the user's own.
    sandbox.git(&["config", "filter.x.clean", &trap]);
    let text = call(&sandbox, &[]);
    assert!(text.contains("status: Some(false)"), "{text}");
}

#[test]
fn variables_of_the_caller_have_no_effect() {
    let sandbox = Sandbox::new();
    global(&sandbox, "");
    let trap = sandbox.trap("variable", 1);
    let other = Sandbox::new();
    other.write("new", "");
    let other_dir = other.repository();
    let (other_git, trace) = (other_dir.join(".git"), other.path("trace"));
    let parameters = format!("'filter.x.clean={trap}'");
    let variables = [
        ("GIT_DIR", other_git.to_str().unwrap()),
        ("GIT_WORK_TREE", other_dir.to_str().unwrap()),
        ("GIT_INDEX_FILE", "/dev/null"),
        ("GIT_OBJECT_DIRECTORY", "/dev/null"),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "/dev/null"),
        ("GIT_EXTERNAL_DIFF", &trap),
        ("GIT_SSH", &trap),
        ("GIT_SSH_COMMAND", &trap),
        ("GIT_PROXY_COMMAND", &trap),
        ("GIT_ASKPASS", &trap),
        ("GIT_EDITOR", &trap),
        ("GIT_PAGER", &trap),
        ("GIT_ALLOW_PROTOCOL", "ext"),
        ("GIT_CONFIG_PARAMETERS", &parameters),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_0", &trap),
        ("GIT_TRACE", trace.to_str().unwrap()),
        ("GIT_TEMPLATE_DIR", "/dev/null"),
    ];
    sandbox.touch("f.txt");
    let text = call(&sandbox, &variables);
    assert!(text.contains("status: Some(false)"), "{text}");
    assert!(text.contains("content: secret"), "{text}");
    assert_eq!(sandbox.proofs(), [""; 0]);
    assert!(!other.path("trace").exists());
}

#[test]
fn a_program_of_the_repository_is_not_git() {
    let sandbox = Sandbox::new();
    global(&sandbox, "");
    let trap = sandbox.trap("path", 0);
    for name in ["git", "sh", "cat"] {
        fs::copy(&trap, sandbox.repository().join(name)).unwrap();
    }
    sandbox.commit("programs");
    let path = format!(".:{}", std::env::var("PATH").unwrap());
    let text = call(&sandbox, &[("PATH", &path)]);
    assert!(text.contains("status: Some(false)"), "{text}");
    assert_eq!(sandbox.proofs(), [""; 0]);
}

#[test]
fn a_git_that_is_missing_old_or_stuck_is_an_error() {
    let sandbox = Sandbox::new();
    global(&sandbox, "");
    let text = call(&sandbox, &[("PATH", "/nowhere:.")]);
    assert!(text.contains("status: git is not installed"), "{text}");
    let bin = sandbox.path("bin");
    fs::create_dir(&bin).unwrap();
    let found =
        String::from_utf8(plain_git(&sandbox.repository(), &["--exec-path"]).stdout).unwrap();
    let real = format!("{}/git", found.trim());
    // What Debian 10 answers to the first and to the second call.
    let old = [
        "#!/bin/sh\necho --path-format=absolute; echo .git; echo .git; pwd\n".to_owned(),
        format!(
            "#!/bin/sh\ncase \"$*\" in *show-scope*) echo unknown option >&2; exit 129;; esac\n\
             exec {real} \"$@\"\n"
        ),
    ];
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for script in old {
        write_program(&bin.join("git"), &script);
        let text = call(&sandbox, &[("PATH", &path)]);
        let is_named = text.contains("older than 2.31") || text.contains("too old: unknown option");
        assert!(is_named && text.contains("worktree: "), "{text}");
    }
    // Killed with what it started; a pipe that somebody holds open does not matter.
    let stuck = "#!/bin/sh\nsleep 600 & echo $! >> ../pids; sleep 600\n";
    write_program(&bin.join("git"), stuck);
    let dir = sandbox.repository();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "git::tests::caller::stuck",
            "--ignored",
            "--nocapture",
        ])
        .env("FORNAX_TEST_DIR", &dir)
        .env("PATH", &path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("status: git rev-parse did not finish within 5 s"),
        "{text}"
    );
    for pid in fs::read_to_string(sandbox.path("pids")).unwrap().lines() {
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        // One that is gone cannot be opened.
        if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
            let mut watched = [PollFd::new(&process, PollFlags::IN)];
            let patience = Timespec {
                tv_sec: 20,
                tv_nsec: 0,
            };
            assert_eq!(poll(&mut watched, Some(&patience)), Ok(1), "{pid:?} lives");
        }
    }
}

#[test]
#[ignore = "the other tests of this file start it"]
fn stuck() {
    let dir = std::env::var("FORNAX_TEST_DIR").unwrap();
    if let Err(error) = Git::default().status(Path::new(&dir)) {
        println!("status: {error}");
    }
}
