//! What the operations report and refuse.

use std::fs;
use std::time::{Duration, Instant};

use fornax_core::error::{Error, ErrorKind};

use super::support::{Sandbox, git_that_trusts, plain_git};
use crate::git::{FilterKind, Git, GitError, Operation};

fn is_dirty(sandbox: &Sandbox) -> Option<bool> {
    let status = Git::default().status(&sandbox.repository()).unwrap();
    assert_eq!(status.commit, sandbox.git(&["rev-parse", "HEAD"]));
    assert_eq!(status.is_dirty.is_none(), status.unknown_reason.is_some());
    status.is_dirty
}

#[test]
fn a_status_names_the_commit_and_whether_anything_differs() {
    let sandbox = Sandbox::new();
    assert_eq!(is_dirty(&sandbox), Some(false));
    sandbox.touch("f.txt");
    assert_eq!(is_dirty(&sandbox), Some(false));
    for change in ["new.txt", "f.txt", "h.md"] {
        sandbox.write(change, "changed\n");
        assert_eq!(is_dirty(&sandbox), Some(true), "{change}");
        sandbox.git(&["add", "-A"]);
        assert_eq!(is_dirty(&sandbox), Some(true), "{change}");
        sandbox.commit("changed");
    }
    assert_eq!(is_dirty(&sandbox), Some(false));
    sandbox.git(&["config", "status.showUntrackedFiles", "no"]);
    sandbox.write("new", "");
    assert_eq!(is_dirty(&sandbox), Some(false));
    let empty = sandbox.path("empty");
    fs::create_dir(&empty).unwrap();
    plain_git(&empty, &["init", "-q"]);
    let status = Git::default().status(&empty).unwrap();
    assert_eq!(
        (status.commit.as_str(), status.is_dirty),
        ("(initial)", Some(false))
    );
}

#[test]
fn without_a_filter_its_paths_are_neither_clean_nor_dirty() {
    let sandbox = Sandbox::new();
    let trap = sandbox.trap("clean", 0);
    sandbox.git(&["config", "filter.x.clean", &trap]);
    assert_eq!(is_dirty(&sandbox), None);
    sandbox.touch("f.txt");
    assert_eq!(is_dirty(&sandbox), None);
    sandbox.write("f.txt", "changed\n");
    assert_eq!(is_dirty(&sandbox), None);
    let reason = Git::default().status(&sandbox.repository()).unwrap();
    let reason = reason.unknown_reason.unwrap();
    assert!(
        reason.contains("f.txt") && reason.contains("\"x\""),
        "{reason}"
    );
    // What needs no filter is known.
    sandbox.write("h.md", "changed\n");
    assert_eq!(is_dirty(&sandbox), Some(true));
    sandbox.git(&["checkout", "-q", "--", "h.md"]);
    fs::remove_file(sandbox.repository().join("sub/g.txt")).unwrap();
    assert_eq!(is_dirty(&sandbox), Some(true));
    sandbox.git(&["rm", "-q", "--cached", "sub/g.txt"]);
    assert_eq!(is_dirty(&sandbox), Some(true));
    sandbox.proofs();
    assert_eq!(is_dirty(&sandbox), Some(true));
    assert_eq!(sandbox.proofs(), [""; 0]);
}

#[test]
fn a_filter_that_no_path_uses_changes_nothing() {
    let sandbox = Sandbox::new();
    let trap = sandbox.trap("other", 1);
    sandbox.git(&["config", "filter.other.process", &trap]);
    assert_eq!(is_dirty(&sandbox), Some(false));
    Git::default().check_save(&sandbox.repository()).unwrap();
    let path = sandbox.path("worktree");
    let git = Git::default();
    git.add_worktree(&sandbox.repository(), &path, "HEAD")
        .unwrap();
    assert_eq!(fs::read_to_string(path.join("f.txt")).unwrap(), "secret\n");
    assert_eq!(plain_git(&path, &["status", "--porcelain"]).stdout, b"");
    git.remove_worktree(&sandbox.repository(), &path).unwrap();
    assert!(!sandbox.git(&["worktree", "list"]).contains("worktree\n"));
}

#[test]
fn names_that_look_like_no_value_hide_no_filter() {
    for name in ["set", "unset", "unspecified"] {
        let sandbox = Sandbox::new();
        sandbox.write(".gitattributes", &format!("*.txt filter={name}\n"));
        sandbox.commit("attributes");
        let trap = sandbox.trap(name, 1);
        sandbox.git(&["config", &format!("filter.{name}.clean"), &trap]);
        sandbox.touch("f.txt");
        assert_eq!(is_dirty(&sandbox), None, "{name}");
        assert_eq!(sandbox.proofs(), [""; 0]);
    }
}

#[test]
fn saving_or_checking_out_without_the_filter_is_refused() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    sandbox.git(&["rm", "-q", "sub/g.txt"]);
    sandbox.commit("f.txt is the only one");
    for kind in [FilterKind::Clean, FilterKind::Smudge, FilterKind::Process] {
        let trap = sandbox.trap("refused", 0);
        let key = format!("filter.x.{kind}");
        sandbox.git(&["config", &key, &trap]);
        let path = sandbox.path("worktree");
        let results = [
            (Operation::Save, Git::default().check_save(&dir)),
            (
                Operation::CheckOut,
                Git::default().add_worktree(&dir, &path, "HEAD"),
            ),
        ];
        for (expected, result) in results {
            let error = result.unwrap_err();
            let GitError::UntrustedFilter {
                operation,
                path,
                filter,
            } = &error
            else {
                panic!("{error}");
            };
            assert_eq!((*operation, path.as_str()), (expected, "f.txt"));
            assert_eq!((filter.name(), filter.kind()), ("x".to_owned(), kind));
            assert_eq!(filter.command(), trap);
            let error = Error::from(error);
            assert_eq!(error.kind, ErrorKind::Forbidden);
            assert!(error.message.contains("\"x\""), "{error}");
            assert!(error.help.unwrap().contains("fornax trust"));
        }
        assert!(!path.exists());
        assert!(!dir.join(".git/worktrees").exists());
        sandbox.git(&["config", "--unset", &key]);
    }
    sandbox.proofs();
    // Also a file that is not known yet would be saved.
    sandbox.git(&["config", "filter.new.clean", &sandbox.trap("new", 0)]);
    Git::default().check_save(&dir).unwrap();
    sandbox.write(".gitattributes", "*.key filter=new\n");
    sandbox.write("a.key", "secret\n");
    let error = Git::default().check_save(&dir).unwrap_err();
    assert!(error.to_string().contains("a.key"), "{error}");
    assert_eq!(sandbox.proofs(), [""; 0]);
}

#[test]
fn what_is_checked_out_decides_which_filters_are_needed() {
    let sandbox = Sandbox::new();
    sandbox.git(&["config", "filter.x.smudge", &sandbox.trap("smudge", 0)]);
    // The work tree has no attributes any more, the commit has.
    fs::remove_file(sandbox.repository().join(".gitattributes")).unwrap();
    let path = sandbox.path("worktree");
    let error = Git::default().add_worktree(&sandbox.repository(), &path, "HEAD");
    assert!(matches!(error, Err(GitError::UntrustedFilter { .. })));
    // And the other way round.
    sandbox.commit("no attributes");
    sandbox.write(".gitattributes", "*.txt filter=x\n");
    Git::default()
        .add_worktree(&sandbox.repository(), &path, "HEAD")
        .unwrap();
    assert_eq!(sandbox.proofs(), [""; 0]);
}

#[test]
fn a_trusted_filter_runs() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    let git = git_that_trusts("tr ");
    sandbox.git(&["config", "filter.x.clean", "tr a-z n-za-m"]);
    sandbox.git(&["config", "filter.x.smudge", "tr n-za-m a-z"]);
    sandbox.git(&["config", "filter.x.required", "true"]);
    sandbox.touch("f.txt");
    assert_eq!(git.status(&dir).unwrap().is_dirty, Some(true));
    sandbox.git(&["add", "--renormalize", "."]);
    sandbox.git(&["commit", "-q", "-m", "filtered"]);
    sandbox.touch("f.txt");
    assert_eq!(git.status(&dir).unwrap().is_dirty, Some(false));
    git.check_save(&dir).unwrap();
    assert_eq!(sandbox.git(&["cat-file", "blob", "HEAD:f.txt"]), "frperg");
    let path = sandbox.path("worktree");
    git.add_worktree(&dir, &path, "main").unwrap();
    assert_eq!(fs::read_to_string(path.join("f.txt")).unwrap(), "secret\n");
    assert_eq!(plain_git(&path, &["status", "--porcelain"]).stdout, b"");
    // One command of two is not enough.
    let trap = sandbox.trap("other", 0);
    sandbox.git(&["config", "filter.x.process", &trap]);
    assert_eq!(git.status(&dir).unwrap().is_dirty, None);
    assert_eq!(sandbox.proofs(), [""; 0]);
}

#[test]
fn a_trusted_filter_that_fails_leaves_no_worktree() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    sandbox.git(&["config", "filter.x.smudge", "false trusted"]);
    sandbox.git(&["config", "filter.x.required", "true"]);
    let path = sandbox.path("worktree");
    let error = git_that_trusts("trusted").add_worktree(&dir, &path, "HEAD");
    assert!(matches!(error, Err(GitError::Failed { .. })), "{error:?}");
    assert!(!path.exists());
    assert!(!sandbox.git(&["worktree", "list"]).contains('\n'));
}

#[test]
fn missing_objects_are_fetched_for_a_check_out_only() {
    let sandbox = Sandbox::new();
    let origin = sandbox.repository();
    sandbox.git(&["config", "uploadpack.allowFilter", "true"]);
    sandbox.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let url = format!("file://{}", origin.display());
    let clone = sandbox.path("clone");
    let arguments = ["clone", "-q", "--no-checkout", "--filter=blob:none", &url];
    let cloned = plain_git(
        &sandbox.path(""),
        &[&arguments[..], &[clone.to_str().unwrap()]].concat(),
    );
    assert!(cloned.status.success(), "{cloned:?}");
    let trap = sandbox.trap("upload-pack", 1);
    plain_git(&clone, &["config", "remote.origin.uploadpack", &trap]);
    let count = || plain_git(&clone, &["count-objects", "-v"]).stdout;
    let before = count();
    Git::default().status(&clone).unwrap();
    assert_eq!(count(), before);
    let path = sandbox.path("worktree");
    Git::default().add_worktree(&clone, &path, "HEAD").unwrap();
    assert_eq!(fs::read_to_string(path.join("h.md")).unwrap(), "h2\n");
    assert_ne!(count(), before);
    assert_eq!(sandbox.proofs(), [""; 0]);
    plain_git(&clone, &["fetch"]);
    assert_eq!(sandbox.proofs(), ["upload-pack"], "the trap does not work");
}

/// As in the attack: the tree of the commit is missing, and the remote's program would fetch it.
#[test]
fn a_look_at_an_incomplete_repository_fetches_nothing() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    let tree = sandbox.git(&["rev-parse", "HEAD^{tree}"]);
    let trap = sandbox.trap("upload-pack", 1);
    let config = [
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "/nowhere"),
        ("remote.origin.uploadpack", &trap),
    ];
    for (key, value) in config {
        sandbox.git(&["config", key, value]);
    }
    let (folder, file) = tree.split_at(2);
    fs::remove_file(dir.join(".git/objects").join(folder).join(file)).unwrap();
    fs::remove_file(dir.join(".git/index")).unwrap();
    let status = Git::default().status(&dir);
    assert!(status.is_ok_and(|status| status.is_dirty.is_none()));
    let path = sandbox.path("worktree");
    let error = Git::default().add_worktree(&dir, &path, "HEAD");
    assert!(matches!(error, Err(GitError::Failed { .. })), "{error:?}");
    assert_eq!(sandbox.proofs(), [""; 0]);
    plain_git(&dir, &["status"]);
    assert_eq!(sandbox.proofs(), ["upload-pack"], "the trap does not work");
}

#[test]
fn revisions_that_could_be_options_are_refused() {
    let sandbox = Sandbox::new();
    let long = "a".repeat(300);
    let path = sandbox.path("worktree");
    for revision in [
        "",
        "-f",
        "--exec=x",
        "a b",
        "a\nb",
        "no-such",
        "HEAD:h.md",
        &long,
    ] {
        let error = Git::default().add_worktree(&sandbox.repository(), &path, revision);
        let error = error.unwrap_err();
        assert!(
            matches!(error, GitError::InvalidRevision(_)),
            "{revision:?}: {error}"
        );
    }
    // A path that begins with a hyphen is a path.
    let path = sandbox.path("-f");
    Git::default()
        .add_worktree(&sandbox.repository(), &path, "HEAD~1")
        .unwrap();
    assert_eq!(fs::read_to_string(path.join("h.md")).unwrap(), "h\n");
}

#[test]
fn another_work_tree_than_the_directorys_own_is_not_looked_at() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    let outside = sandbox.path("outside");
    fs::create_dir(&outside).unwrap();
    for work_tree in [
        outside.to_str().unwrap(),
        "/",
        sandbox.path("").to_str().unwrap(),
    ] {
        sandbox.git(&["config", "core.worktree", work_tree]);
        let error = Git::default().status(&dir).unwrap_err();
        assert!(
            matches!(error, GitError::NoWorkTree { .. }),
            "{work_tree}: {error}"
        );
    }
    // A directory that only looks like a repository.
    let bare = dir.join("bare");
    plain_git(
        &sandbox.path(""),
        &["init", "-q", "--bare", bare.to_str().unwrap()],
    );
    let trap = sandbox.trap("fsmonitor", 1);
    plain_git(&bare, &["config", "core.fsmonitor", &trap]);
    plain_git(&bare, &["config", "core.bare", "false"]);
    plain_git(&bare, &["config", "core.worktree", ".."]);
    assert!(Git::default().status(&bare).is_err());
    assert!(Git::default().status(&outside).is_err());
    assert_eq!(sandbox.proofs(), [""; 0]);
}

#[test]
fn a_repository_of_another_user_is_not_used() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    let other = rustix::fs::Uid::from_raw(12_345);
    // Only root can give files away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for path in [dir.clone(), dir.join(".git")] {
        rustix::fs::chown(&path, Some(other), None).unwrap();
    }
    let error = Git::default().status(&dir).unwrap_err();
    assert!(error.to_string().contains("ownership"), "{error}");
    let path = sandbox.path("worktree");
    assert!(Git::default().add_worktree(&dir, &path, "HEAD").is_err());
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_block() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    let attributes = dir.join(".gitattributes");
    fs::remove_file(&attributes).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &attributes,
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let started = Instant::now();
    let error = Git::default().status(&dir).map(|status| status.is_dirty);
    assert!(!matches!(error, Ok(Some(false))), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn files_are_compared_outside_of_every_repository() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    sandbox.write(".git/info/attributes", "* filter=x diff=x\n");
    let trap = sandbox.trap("diff", 0);
    for key in ["filter.x.clean", "diff.x.textconv", "diff.external"] {
        sandbox.git(&["config", key, &trap]);
    }
    sandbox.write("-one", "a\nb\n");
    sandbox.write("other", "a\nc\n");
    let (one, other) = (dir.join("-one"), dir.join("other"));
    let diff = |max_bytes| Git::default().diff_files(&one, &other, max_bytes).unwrap();
    assert_eq!(
        diff(10_000),
        ("@@ -1,2 +1,2 @@\n a\n-b\n+c\n".to_owned(), false)
    );
    assert!(diff(200).1 || diff(50).1);
    let same = Git::default().diff_files(&one, &one, 10_000).unwrap();
    assert_eq!(same, (String::new(), false));
    let missing = Git::default().diff_files(&one, &dir.join("missing"), 10_000);
    assert!(missing.is_err(), "{missing:?}");
    assert_eq!(sandbox.proofs(), [""; 0]);
}
