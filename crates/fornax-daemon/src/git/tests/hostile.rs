//! Every subcommand with every setting that names a program: no program runs.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::CALLS;
use super::support::{Sandbox, plain_git};
use crate::git::{Git, GitError, Subcommand};

/// A setting that names a program, and the plain git that runs it, if one call is enough for that.
struct Hostile {
    name: &'static str,
    /// `TRAP` stands for the program.
    config: &'static str,
    control: Option<&'static [&'static str]>,
}

const fn hostile(name: &'static str, config: &'static str) -> Hostile {
    Hostile {
        name,
        config,
        control: None,
    }
}

const fn controlled(
    name: &'static str,
    config: &'static str,
    control: &'static [&'static str],
) -> Hostile {
    Hostile {
        name,
        config,
        control: Some(control),
    }
}

const STATUS: &[&str] = &["status", "--porcelain"];
const DIFF: &[&str] = &["diff", "HEAD~1"];
const ARCHIVE: &[&str] = &["archive", "HEAD"];
const COMMIT: &[&str] = &["commit", "--allow-empty", "-m", "x"];

/// Where git looks for hooks by itself.
const HOOKS: [&str; 6] = [
    "fsmonitor-watchman",
    "post-checkout",
    "post-index-change",
    "pre-auto-gc",
    "reference-transaction",
    "sendemail-validate",
];

const HOSTILE: &[Hostile] = &[
    controlled("clean", "[filter \"x\"]\nclean = TRAP\n", STATUS),
    controlled(
        "clean-required",
        "[filter \"x\"]\nclean = TRAP\nrequired\n",
        STATUS,
    ),
    controlled("process", "[filter \"x\"]\nprocess = TRAP\n", STATUS),
    controlled("smudge", "[filter \"x\"]\nsmudge = TRAP\n", ARCHIVE),
    controlled("fsmonitor", "[core]\nfsmonitor = TRAP\n", STATUS),
    hostile("hooks-path", "[core]\nhooksPath = HOOKS\n"),
    hostile(
        "pager",
        "[core]\npager = TRAP\n[pager]\nstatus = TRAP\nconfig = TRAP\ndiff = TRAP\n",
    ),
    hostile(
        "pager-set",
        "[core]\npager = TRAP\n[pager]\nstatus\nconfig\ndiff\nworktree\n",
    ),
    controlled(
        "editor",
        "[core]\neditor = TRAP\n",
        &["commit", "--allow-empty"],
    ),
    hostile("sequence-editor", "[sequence]\neditor = TRAP\n"),
    hostile("askpass", "[core]\naskPass = TRAP\n"),
    hostile(
        "credential",
        "[credential]\nhelper = !TRAP\n[credential \"https://a.invalid\"]\nhelper = !TRAP\n",
    ),
    controlled(
        "ssh",
        "[core]\nsshCommand = TRAP\n",
        &["ls-remote", "ssh://a.invalid/b"],
    ),
    hostile(
        "ssh-variant",
        "[ssh]\nvariant = simple\n[core]\nsshCommand = TRAP\n",
    ),
    controlled(
        "proxy",
        "[core]\ngitProxy = TRAP\n",
        &["ls-remote", "git://a.invalid/b"],
    ),
    hostile("alternate-refs", "[core]\nalternateRefsCommand = TRAP\n"),
    controlled("diff-external", "[diff]\nexternal = TRAP\n", DIFF),
    controlled(
        "diff-textconv",
        "[diff \"x\"]\ntextconv = TRAP\n",
        &["diff", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"],
    ),
    controlled(
        "diff-command",
        "[diff \"x\"]\ncommand = TRAP\n",
        &["diff", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"],
    ),
    hostile(
        "merge-driver",
        "[merge \"x\"]\ndriver = TRAP\n[merge]\ndefault = x\n",
    ),
    hostile("diff-filter", "[interactive]\ndiffFilter = TRAP\n"),
    controlled(
        "gpg",
        "[gpg]\nprogram = TRAP\n[commit]\ngpgSign\n[tag]\ngpgSign\n[log]\nshowSignature\n",
        COMMIT,
    ),
    hostile(
        "gpg-ssh",
        "[gpg]\nformat = ssh\n[gpg \"ssh\"]\nprogram = TRAP\ndefaultKeyCommand = TRAP\n[commit]\ngpgSign\n",
    ),
    hostile(
        "gpg-x509",
        "[gpg]\nformat = x509\n[gpg \"x509\"]\nprogram = TRAP\n[commit]\ngpgSign\n",
    ),
    hostile(
        "alias",
        "[alias]\nstatus = !TRAP\nconfig = !TRAP\nrev-parse = !TRAP\nworktree = !TRAP\nreset = !TRAP\n\
         ls-files = !TRAP\ncheck-attr = !TRAP\nread-tree = !TRAP\ndiff = !TRAP\n",
    ),
    controlled("alias-new", "[alias]\nnew = !TRAP\n", &["new"]),
    controlled(
        "upload-pack",
        "[remote \"origin\"]\nurl = REPOSITORY\nuploadpack = TRAP\npromisor\npartialclonefilter = blob:none\n",
        &["ls-remote", "origin"],
    ),
    controlled(
        "ext",
        "[protocol \"ext\"]\nallow = always\n[remote \"origin\"]\nurl = ext::TRAP\npromisor\n",
        &["ls-remote", "origin"],
    ),
    controlled(
        "instead-of",
        "[protocol]\nallow = always\n[url \"ext::TRAP\"]\ninsteadOf = https://a.invalid\n\
         [remote \"origin\"]\nurl = https://a.invalid\npromisor\n",
        &["ls-remote", "origin"],
    ),
    hostile(
        "vcs",
        "[remote \"origin\"]\nvcs = ext\nurl = TRAP\npromisor\n",
    ),
    hostile("pack-objects", "[uploadpack]\npackObjectsHook = TRAP\n"),
    hostile(
        "submodule",
        "[submodule]\nrecurse\n[submodule \"s\"]\nactive\nurl = REPOSITORY\nupdate = !TRAP\n",
    ),
    hostile(
        "trailer",
        "[trailer \"x\"]\ncommand = TRAP\ncmd = TRAP\nkey = x\nifmissing = add\n",
    ),
    hostile(
        "gc",
        "[gc]\nauto = 1\nautoDetach = false\nrecentObjectsHook = TRAP\n[maintenance]\nauto\n",
    ),
    hostile(
        "lfs-transfer",
        "[lfs]\nstandalonetransferagent = a\n[lfs \"customtransfer.a\"]\npath = TRAP\n",
    ),
    hostile(
        "tools",
        "[difftool \"x\"]\ncmd = TRAP\n[mergetool \"x\"]\ncmd = TRAP\n[diff]\ntool = x\n[merge]\ntool = x\n",
    ),
    hostile(
        "remote-proxy",
        "[http]\nproxy = TRAP\n[remote \"origin\"]\nproxy = TRAP\nreceivepack = TRAP\n",
    ),
];

impl Hostile {
    fn text(&self, sandbox: &Sandbox) -> String {
        self.config
            .replace("TRAP", &sandbox.trap(self.name, 1))
            .replace("HOOKS", hooks(sandbox).to_str().unwrap())
            .replace("REPOSITORY", sandbox.repository().to_str().unwrap())
    }

    fn is_filter(&self) -> bool {
        self.config.contains("[filter")
    }
}

/// A directory in which every hook is a trap.
fn hooks(sandbox: &Sandbox) -> PathBuf {
    let dir = sandbox.path("hooks");
    if !dir.exists() {
        fs::create_dir(&dir).unwrap();
        let trap = sandbox.trap("hook", 0);
        for hook in HOOKS {
            symlink(&trap, dir.join(hook)).unwrap();
        }
    }
    dir
}

/// How a hostile setting gets into the configuration of a repository.
#[derive(Debug, Clone, Copy)]
enum Vehicle {
    Local,
    Include,
    IncludeIfGitDir,
    IncludeIfBranch,
    NestedInclude,
    WorktreeConfig,
}

impl Vehicle {
    const ALL: [Vehicle; 6] = [
        Vehicle::Local,
        Vehicle::Include,
        Vehicle::IncludeIfGitDir,
        Vehicle::IncludeIfBranch,
        Vehicle::NestedInclude,
        Vehicle::WorktreeConfig,
    ];

    /// Writes the settings for the git directory `dir`, whose own configuration is `base`.
    fn write(self, dir: &Path, base: &str, text: &str) {
        let other = dir.join("other.cfg");
        let include = |condition: &str| format!("{base}[{condition}]\npath = other.cfg\n");
        let config = match self {
            Vehicle::Local => format!("{base}{text}"),
            Vehicle::Include => include("include"),
            Vehicle::IncludeIfGitDir => include("includeIf \"gitdir:**\""),
            Vehicle::IncludeIfBranch => include("includeIf \"onbranch:**\""),
            Vehicle::NestedInclude => {
                fs::write(dir.join("third.cfg"), text).unwrap();
                include("include")
            }
            Vehicle::WorktreeConfig => {
                fs::write(dir.join("config.worktree"), text).unwrap();
                let version = "[core]\nrepositoryformatversion = 1\n";
                format!("{base}{version}[extensions]\nworktreeConfig = true\n")
            }
        };
        let included = match self {
            Vehicle::NestedInclude => "[include]\npath = third.cfg\n",
            _ => text,
        };
        fs::write(other, included).unwrap();
        fs::write(dir.join("config"), config).unwrap();
    }
}

/// An operation of the module's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Status,
    CheckSave,
    Worktree,
    DiffFiles,
}

/// An operation that makes the call. A subcommand that is new does not compile until it is named here,
/// and fails the table until the operation really makes the call.
fn operation(subcommand: Subcommand) -> Operation {
    match subcommand {
        Subcommand::FindRepository
        | Subcommand::ListConfig
        | Subcommand::Status
        | Subcommand::ListIndex
        | Subcommand::FiltersOfWorkTree => Operation::Status,
        Subcommand::ListWorkTree => Operation::CheckSave,
        Subcommand::ResolveCommit
        | Subcommand::ReadTree
        | Subcommand::FiltersOfIndex
        | Subcommand::AddWorktree
        | Subcommand::CheckOut
        | Subcommand::RemoveWorktree => Operation::Worktree,
        Subcommand::DiffFiles => Operation::DiffFiles,
    }
}

/// Does all of it in a directory; whether a filter was refused.
fn exercise(sandbox: &Sandbox, dir: &Path) -> bool {
    let git = Git::default();
    let operations: HashSet<Operation> = Subcommand::ALL.into_iter().map(operation).collect();
    let mut is_refused = false;
    let mut note = |result: Result<(), GitError>| match result {
        Ok(()) => {}
        Err(GitError::UntrustedFilter { .. }) => is_refused = true,
        Err(error) => panic!("{error}"),
    };
    for operation in operations {
        match operation {
            Operation::Status => {
                git.status(dir).unwrap();
            }
            Operation::CheckSave => note(git.check_save(dir)),
            Operation::Worktree => {
                let path = sandbox.path("worktree");
                let added = git.add_worktree(dir, &path, "HEAD");
                if added.is_ok() {
                    assert!(path.join("h.md").is_file());
                    git.remove_worktree(dir, &path).unwrap();
                }
                assert!(!path.exists());
                note(added);
            }
            Operation::DiffFiles => {
                let (one, other) = (dir.join("h.md"), dir.join(".gitattributes"));
                git.diff_files(&one, &other, 10_000).unwrap();
            }
        }
    }
    is_refused
}

/// A filter that no attribute names: it makes the module look at the attributes of all paths.
fn base_config(sandbox: &Sandbox) -> String {
    let config = fs::read_to_string(sandbox.repository().join(".git/config")).unwrap();
    let trap = sandbox.trap("unused", 1);
    format!("{config}\n[filter \"unused\"]\nclean = {trap}\nsmudge = {trap}\n")
}

#[test]
fn no_call_runs_a_program_that_a_setting_names() {
    let sandbox = Sandbox::new();
    let base = base_config(&sandbox);
    let dir = sandbox.repository();
    for setting in HOSTILE {
        Vehicle::Local.write(&dir.join(".git"), &base, &setting.text(&sandbox));
        sandbox.touch("f.txt");
        CALLS.take();
        let is_refused = exercise(&sandbox, &dir);
        assert_eq!(sandbox.proofs(), [""; 0], "{} ran", setting.name);
        assert_eq!(is_refused, setting.is_filter(), "{}", setting.name);
        if !is_refused {
            let all = HashSet::from(Subcommand::ALL);
            assert_eq!(CALLS.take(), all, "{}", setting.name);
        }
        if let Some(control) = setting.control {
            let output = plain_git(&dir, control);
            let proofs = sandbox.proofs();
            let is_sprung = proofs.iter().any(|proof| proof == setting.name);
            assert!(
                is_sprung,
                "{}: the trap does not work: {output:?}",
                setting.name
            );
        }
    }
}

#[test]
fn no_hook_of_the_repository_runs() {
    let sandbox = Sandbox::new();
    let base = base_config(&sandbox);
    let dir = sandbox.repository();
    fs::remove_dir_all(dir.join(".git/hooks")).unwrap();
    symlink(hooks(&sandbox), dir.join(".git/hooks")).unwrap();
    Vehicle::Local.write(&dir.join(".git"), &base, "");
    sandbox.touch("f.txt");
    assert!(!exercise(&sandbox, &dir));
    assert_eq!(sandbox.proofs(), [""; 0]);
    sandbox.git(&["checkout", "-q", "-b", "other"]);
    assert_eq!(sandbox.proofs(), ["hook"], "the trap does not work");
}

#[test]
fn no_way_into_the_configuration_makes_a_difference() {
    let sandbox = Sandbox::new();
    let base = base_config(&sandbox);
    let all: String = HOSTILE.iter().map(|one| one.text(&sandbox)).collect();
    let dir = sandbox.repository();
    for vehicle in Vehicle::ALL {
        vehicle.write(&dir.join(".git"), &base, &all);
        sandbox.touch("f.txt");
        assert!(exercise(&sandbox, &dir), "{vehicle:?}");
        assert_eq!(sandbox.proofs(), [""; 0], "{vehicle:?}");
        let status = Git::default().status(&dir).unwrap();
        assert_eq!(status.is_dirty, None, "{vehicle:?}");
        // Plain git reads the settings by this way: the traps are set.
        plain_git(&dir, &["status"]);
        assert!(
            !sandbox.proofs().is_empty(),
            "{vehicle:?}: the traps do not work"
        );
        fs::remove_file(dir.join(".git/config.worktree")).ok();
    }
}

#[test]
fn a_submodule_and_a_linked_worktree_are_no_way_in() {
    let sandbox = Sandbox::new();
    let dir = sandbox.repository();
    let url = dir.to_str().unwrap();
    sandbox.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        url,
        "module",
    ]);
    sandbox.commit("module");
    let linked = sandbox.path("linked");
    sandbox.git(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    let all: String = HOSTILE.iter().map(|one| one.text(&sandbox)).collect();
    let module = dir.join(".git/modules/module");
    let work = [
        (
            dir.join("module"),
            module.clone(),
            "[core]\nworktree = ../../../module\n",
        ),
        (linked, dir.join(".git"), ""),
        (dir.join("sub"), dir.join(".git"), ""),
    ];
    for (work, git_dir, base) in work {
        let config = fs::read_to_string(git_dir.join("config")).unwrap();
        Vehicle::Local.write(&git_dir, base, &all);
        for file in ["f.txt", "g.txt"].map(|file| work.join(file)) {
            if let Ok(file) = fs::File::options().append(true).open(file) {
                file.set_modified(UNIX_EPOCH).unwrap();
            }
        }
        let status = Git::default().status(&work).unwrap();
        assert_eq!(status.is_dirty, None, "{work:?}");
        let error = Git::default().check_save(&work).unwrap_err();
        assert!(matches!(error, GitError::UntrustedFilter { .. }), "{error}");
        let path = sandbox.path("worktree");
        let error = Git::default()
            .add_worktree(&work, &path, "HEAD")
            .unwrap_err();
        assert!(matches!(error, GitError::UntrustedFilter { .. }), "{error}");
        assert_eq!(sandbox.proofs(), [""; 0], "{work:?}");
        plain_git(&work, &["status"]);
        assert!(
            !sandbox.proofs().is_empty(),
            "{work:?}: the traps do not work"
        );
        fs::write(git_dir.join("config"), config).unwrap();
    }
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// Other combinations each day. `FORNAX_GIT_SEED` repeats those of another one.
#[test]
fn no_combination_of_settings_runs_a_program() {
    let seed = std::env::var("FORNAX_GIT_SEED").ok();
    let seed: u64 = seed.map_or_else(
        || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs()
                / 86_400
        },
        |seed| seed.parse().unwrap(),
    );
    println!("FORNAX_GIT_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let sandbox = Sandbox::new();
    let base = base_config(&sandbox);
    let dir = sandbox.repository();
    for round in 0..12 {
        let mut chosen: Vec<&Hostile> = Vec::new();
        for _ in 0..=random.below(8) {
            chosen.push(&HOSTILE[random.below(HOSTILE.len())]);
        }
        let names: Vec<&str> = chosen.iter().map(|one| one.name).collect();
        let text: String = chosen.iter().map(|one| one.text(&sandbox)).collect();
        let vehicle = Vehicle::ALL[random.below(Vehicle::ALL.len())];
        let attributes = ["*", "f.*", "**/*.txt", "/f.txt", "[f]*"][random.below(5)];
        let file = [".git/info/attributes", ".gitattributes", "attributes"][random.below(3)];
        sandbox.write(
            file,
            &format!("{attributes} filter=x diff=x merge=x text\n"),
        );
        let global = format!(
            "{base}[core]\nattributesFile = {}\n",
            dir.join("attributes").display()
        );
        vehicle.write(&dir.join(".git"), &global, &text);
        sandbox.touch("f.txt");
        let change = ["f.txt", "h.md", "new.txt"][random.below(3)];
        sandbox.write(change, &format!("{round}\n"));
        exercise(&sandbox, &dir);
        let context = format!("seed {seed}, round {round}: {names:?} by {vehicle:?}, {file}");
        assert_eq!(sandbox.proofs(), [""; 0], "{context}");
        fs::remove_file(dir.join(".git/config.worktree")).ok();
    }
}
