//! The filters that a repository's attributes may name, and which of them may run.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::config::{Scope, Setting};

/// The most commands of filters that are listed. Nobody can accept more, so none of the others runs.
const FILTERS_MAX: usize = 64;

/// Which command of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FilterKind {
    /// Turns the content of a file into what is saved.
    Clean,
    /// Turns what is saved into the content of a file.
    Smudge,
    /// Does both for many files, in one process.
    Process,
}

impl FilterKind {
    const ALL: [FilterKind; 3] = [FilterKind::Clean, FilterKind::Smudge, FilterKind::Process];

    /// The name of its setting.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FilterKind::Clean => "clean",
            FilterKind::Smudge => "smudge",
            FilterKind::Process => "process",
        }
    }
}

impl fmt::Display for FilterKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A command that a repository's own configuration defines for a filter.
#[derive(Clone, PartialEq, Eq)]
pub struct FilterCommand {
    name: Vec<u8>,
    kind: FilterKind,
    command: Vec<u8>,
}

impl FilterCommand {
    /// The name by which attributes refer to the filter.
    #[must_use]
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// Which command of the filter.
    #[must_use]
    pub fn kind(&self) -> FilterKind {
        self.kind
    }

    /// The command, as the shell gets it. An empty one turns the user's own filter off.
    #[must_use]
    pub fn command(&self) -> String {
        String::from_utf8_lossy(&self.command).into_owned()
    }

    /// SHA-256 over the name, the kind and the command, each preceded by its length.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let kind = self.kind.as_str().as_bytes();
        for part in [b"git filter", self.name.as_slice(), kind, &self.command] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

impl fmt::Debug for FilterCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, command) = (self.name(), self.command());
        write!(formatter, "filter.{name}.{} = {command:?}", self.kind)
    }
}

/// Decides which filters of a repository's own configuration may run: those that a person has allowed.
pub trait FilterTrust: Send + Sync {
    /// Whether this command, of the repository with this common directory, may run. The digest identifies it.
    fn is_trusted(&self, common_dir: &Path, filter: &FilterCommand) -> bool;
}

/// Trusts no filter.
pub struct TrustNothing;

impl FilterTrust for TrustNothing {
    fn is_trusted(&self, _: &Path, _: &FilterCommand) -> bool {
        false
    }
}

/// The filters of a repository.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// What the overlay's configuration says of them.
    settings: Vec<Setting>,
    /// A command of each filter that may not run, by the name of the filter.
    untrusted: BTreeMap<Vec<u8>, FilterCommand>,
}

/// One filter, as all files of configuration together define it.
#[derive(Default)]
struct Definition {
    commands: BTreeMap<FilterKind, Vec<(Scope, Vec<u8>)>>,
    /// Whether a failure of the filter is an error. A repository cannot take that back.
    is_required: bool,
}

impl Definition {
    /// The command that takes effect, and whether the user's own configuration has the same one.
    fn effective(&self, kind: FilterKind) -> Option<(&[u8], bool)> {
        let all = self.commands.get(&kind)?;
        let (_, command) = all.last()?;
        let user = all.iter().rev().find(|(scope, _)| *scope == Scope::User);
        let is_users = match user {
            Some((_, own)) => own == command,
            // To git, an empty process command turns the other two commands off. A repository cannot
            // do that to the user's own.
            None if command.is_empty() => return None,
            None => false,
        };
        Some((command, is_users))
    }

    /// The commands that are not the user's own.
    fn of_repository(&self, name: &[u8]) -> impl Iterator<Item = FilterCommand> {
        FilterKind::ALL.into_iter().filter_map(move |kind| {
            let (command, is_users) = self.effective(kind)?;
            (!is_users).then(|| FilterCommand {
                name: name.to_vec(),
                kind,
                command: command.to_vec(),
            })
        })
    }
}

impl Filters {
    /// Decides for each filter whether it may run.
    pub fn new(settings: &[Setting], common_dir: &Path, trust: &dyn FilterTrust) -> Filters {
        let mut filters = Filters::default();
        for (name, definition) in definitions(settings) {
            let setting = |key: &str, value: &[u8]| Setting {
                scope: Scope::Repository,
                section: b"filter".to_vec(),
                subsection: Some(name.clone()),
                name: key.as_bytes().to_vec(),
                value: value.to_vec(),
            };
            let is_untrusted = |filter: &FilterCommand| !trust.is_trusted(common_dir, filter);
            let untrusted = definition.of_repository(&name).find(is_untrusted);
            if let Some(command) = untrusted {
                // The user's own file may define the same name.
                let off = FilterKind::ALL.map(|kind| setting(kind.as_str(), b""));
                filters.settings.extend(off);
                filters.settings.push(setting("required", b"false"));
                filters.untrusted.insert(name, command);
                continue;
            }
            for kind in FilterKind::ALL {
                if let Some((command, _)) = definition.effective(kind) {
                    filters.settings.push(setting(kind.as_str(), command));
                }
            }
            let required = if definition.is_required {
                "true"
            } else {
                "false"
            };
            filters
                .settings
                .push(setting("required", required.as_bytes()));
        }
        filters
    }

    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Whether every filter may run.
    pub fn are_all_trusted(&self) -> bool {
        self.untrusted.is_empty()
    }

    /// A command of the filter with this name that may not run.
    pub fn untrusted(&self, name: &[u8]) -> Option<&FilterCommand> {
        self.untrusted.get(name)
    }
}

/// The commands of filters that a repository's own configuration defines.
pub(super) fn of_repository(settings: &[Setting]) -> Vec<FilterCommand> {
    let definitions = definitions(settings);
    let commands = definitions
        .iter()
        .flat_map(|(name, definition)| definition.of_repository(name));
    commands.take(FILTERS_MAX).collect()
}

fn definitions(settings: &[Setting]) -> BTreeMap<Vec<u8>, Definition> {
    let mut definitions: BTreeMap<Vec<u8>, Definition> = BTreeMap::new();
    for setting in settings.iter().filter(|one| one.section == b"filter") {
        let Some(name) = &setting.subsection else {
            continue;
        };
        let definition = definitions.entry(name.clone()).or_default();
        let is_kind = |kind: &FilterKind| kind.as_str().as_bytes() == setting.name;
        if let Some(kind) = FilterKind::ALL.into_iter().find(is_kind) {
            let command = (setting.scope, setting.value.clone());
            definition.commands.entry(kind).or_default().push(command);
        } else if setting.name == b"required" {
            let value = setting.value.to_ascii_lowercase();
            definition.is_required |=
                !matches!(value.as_slice(), b"false" | b"no" | b"off" | b"0" | b"");
        }
    }
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(scope: Scope, name: &str, key: &str, value: &str) -> Setting {
        Setting {
            scope,
            section: b"filter".to_vec(),
            subsection: Some(name.into()),
            name: key.into(),
            value: value.into(),
        }
    }

    /// Which filters of these settings may not run.
    fn untrusted(settings: &[Setting]) -> Vec<String> {
        let filters = Filters::new(settings, Path::new("/"), &TrustNothing);
        let commands = filters.untrusted.values();
        commands.map(|command| format!("{command:?}")).collect()
    }

    #[test]
    fn the_users_filters_run_and_the_repositorys_do_not() {
        use Scope::{Repository, User};
        let user = setting(User, "lfs", "clean", "git-lfs clean");
        let same = setting(Repository, "lfs", "clean", "git-lfs clean");
        let other = setting(Repository, "lfs", "clean", "evil");
        let off = setting(Repository, "lfs", "clean", "");
        assert_eq!(untrusted(std::slice::from_ref(&user)), [""; 0]);
        assert_eq!(untrusted(&[user.clone(), same]), [""; 0]);
        let found = untrusted(&[user.clone(), other.clone()]);
        assert_eq!(found, ["filter.lfs.clean = \"evil\""]);
        // To turn it off would save what the user's filter changes, for example secrets.
        let found = untrusted(&[user.clone(), off.clone()]);
        assert_eq!(found, ["filter.lfs.clean = \"\""]);
        assert_eq!(untrusted(&[off]), [""; 0]);
        let no_process = setting(Repository, "lfs", "process", "");
        let filters = Filters::new(&[user.clone(), no_process], Path::new("/"), &TrustNothing);
        assert!(filters.are_all_trusted());
        assert!(filters.settings().iter().all(|one| one.name != b"process"));
        // The last definition takes effect, as in git.
        assert_eq!(untrusted(&[other.clone(), user]), [""; 0]);
        assert_eq!(untrusted(&[other]).len(), 1);
        let process = setting(Repository, "a", "process", "evil");
        assert_eq!(untrusted(&[process]), ["filter.a.process = \"evil\""]);
    }

    #[test]
    fn a_repository_cannot_make_the_users_filter_optional() {
        let settings = [
            setting(Scope::User, "lfs", "clean", "git-lfs clean"),
            setting(Scope::User, "lfs", "required", "true"),
            setting(Scope::Repository, "lfs", "required", "false"),
        ];
        let filters = Filters::new(&settings, Path::new("/"), &TrustNothing);
        let last = filters.settings().last().unwrap();
        assert_eq!(
            (last.name.as_slice(), last.value.as_slice()),
            (&b"required"[..], &b"true"[..])
        );
    }

    #[test]
    fn a_digest_depends_on_every_part() {
        let command = |name: &str, kind, command: &str| FilterCommand {
            name: name.into(),
            kind,
            command: command.into(),
        };
        let all = [
            command("a", FilterKind::Clean, "bc"),
            command("ab", FilterKind::Clean, "c"),
            command("a", FilterKind::Smudge, "bc"),
            command("a", FilterKind::Clean, "bd"),
        ];
        let digests: std::collections::BTreeSet<_> =
            all.iter().map(FilterCommand::digest).collect();
        assert_eq!(digests.len(), all.len());
    }
}
