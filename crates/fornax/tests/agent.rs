//! A plan that drives a real coding agent, against a scripted model on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fornax_stub_model::{Options, Script, StubModel, recipes};
use support::{Ended, Place};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Where the pinned agents are.
fn agents() -> PathBuf {
    let set = std::env::var_os("FORNAX_TEST_AGENTS").map(PathBuf::from);
    let bin = set
        .unwrap_or_else(|| root().join("target/agents"))
        .join("node_modules/.bin");
    assert!(
        bin.join("opencode").exists(),
        "OpenCode is not in {}: run `make setup`",
        bin.display()
    );
    bin
}

fn git(dir: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
    let done = Command::new("git")
        .args(identity)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(done.status.success(), "git {args:?}: {done:?}");
}

#[test]
fn opencode_writes_a_file_in_a_git_repository() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let example = root().join("plans/agent-write");
    let script = Script::load(&example.join("model-script.json")).unwrap();
    let place = Place::new();
    let dir = place.dir();
    fs::create_dir(dir.join("plans")).unwrap();
    fs::copy(
        example.join("plan.yaml"),
        dir.join("plans/agent-write.yaml"),
    )
    .unwrap();
    place.write("src/lib.rs", "//! A library of one line.\n");
    git(&dir, &["init", "-q"]);
    git(&dir, &["add", "-A"]);
    git(&dir, &["commit", "-qm", "Begin"]);

    let options = Options {
        vars: [(
            "dir".to_owned(),
            dir.canonicalize().unwrap().display().to_string(),
        )]
        .into_iter()
        .collect(),
        ..Options::default()
    };
    let stub = runtime.block_on(StubModel::start(script, options)).unwrap();
    let mut command = place.command(&["run", "plans/agent-write.yaml"]);
    let mut path = agents().into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    command.env("PATH", path);
    let home = place.state().join("agent");
    command.envs(recipes::opencode_env(&stub.base_url(), &home));
    // The daemon is started with this environment, and its tasks inherit it.
    command.env("XDG_STATE_HOME", place.state());
    let ended = Ended::of(command.output().unwrap());
    assert_eq!(ended.code, 0, "{ended:?}\n{:#?}", stub.requests());

    let report = fs::read_to_string(dir.join("REPORT.md")).unwrap();
    assert!(report.split_whitespace().count() >= 5, "{report}");
    assert!(
        stub.requests().len() >= 2,
        "the agent asked the scripted model"
    );
    let tree = place.ok(&["tree"]);
    assert!(tree.contains("write") || tree.contains("REPORT"), "{tree}");
    runtime.block_on(stub.shutdown()).unwrap();
}
