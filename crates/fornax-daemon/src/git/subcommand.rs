//! The calls of `git` that exist, with their fixed arguments.

/// One way in which `git` is called. The arguments that vary follow the fixed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subcommand {
    /// Finds the repository of a directory.
    FindRepository,
    /// Lists the settings of a repository with the scope of each.
    ListConfig,
    /// Names the commit of a revision.
    ResolveCommit,
    /// Compares the work tree with what is committed.
    Status,
    /// Lists the paths of the index.
    ListIndex,
    /// Lists the paths of the index and those that could be added.
    ListWorkTree,
    /// Reads a commit into an index, without the work tree.
    ReadTree,
    /// The filters of paths, by the attributes of the work tree.
    FiltersOfWorkTree,
    /// The filters of paths, by the attributes of the index.
    FiltersOfIndex,
    /// Adds a worktree that is not checked out.
    AddWorktree,
    /// Checks out a commit into a worktree that is empty.
    CheckOut,
    /// Removes a worktree with its files.
    RemoveWorktree,
    /// Compares two files that are in no repository.
    DiffFiles,
}

impl Subcommand {
    /// All of them.
    pub const ALL: [Subcommand; 13] = [
        Subcommand::FindRepository,
        Subcommand::ListConfig,
        Subcommand::ResolveCommit,
        Subcommand::Status,
        Subcommand::ListIndex,
        Subcommand::ListWorkTree,
        Subcommand::ReadTree,
        Subcommand::FiltersOfWorkTree,
        Subcommand::FiltersOfIndex,
        Subcommand::AddWorktree,
        Subcommand::CheckOut,
        Subcommand::RemoveWorktree,
        Subcommand::DiffFiles,
    ];

    /// The subcommand with the arguments that do not vary.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Subcommand::FindRepository => &[
                "rev-parse",
                "--path-format=absolute",
                "--git-dir",
                "--git-common-dir",
                "--show-toplevel",
            ],
            Subcommand::ListConfig => &["config", "--list", "--show-scope", "--null"],
            Subcommand::ResolveCommit => &["rev-parse", "--verify", "--quiet", "--end-of-options"],
            Subcommand::Status => &[
                "status",
                "--porcelain=v2",
                "--branch",
                "--no-ahead-behind",
                "--no-renames",
                "--ignore-submodules=dirty",
                "-z",
            ],
            Subcommand::ListIndex => &["ls-files", "-z", "--cached", "--full-name"],
            Subcommand::ListWorkTree => &[
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
                "--full-name",
            ],
            Subcommand::ReadTree => &["read-tree"],
            Subcommand::FiltersOfWorkTree => &["check-attr", "-z", "--stdin", "filter"],
            Subcommand::FiltersOfIndex => &["check-attr", "-z", "--stdin", "--cached", "filter"],
            Subcommand::AddWorktree => &[
                "worktree",
                "add",
                "--no-checkout",
                "--detach",
                "--quiet",
                "--end-of-options",
            ],
            Subcommand::CheckOut => &["reset", "--hard", "--quiet", "--no-recurse-submodules"],
            Subcommand::RemoveWorktree => &["worktree", "remove", "--force", "--end-of-options"],
            Subcommand::DiffFiles => &[
                "diff",
                "--no-index",
                "--no-ext-diff",
                "--no-textconv",
                "--no-color",
                "--end-of-options",
            ],
        }
    }

    /// The subcommand's own name.
    pub(super) fn name(self) -> &'static str {
        self.arguments()[0]
    }
}
