//! The settings of a repository, as `git config` lists them, and which of them an overlay takes over.

use std::path::Path;

use super::error::GitError;
use super::process::{Call, Deadline, Network};
use super::subcommand::Subcommand;

/// The most that is read of the list of settings.
const CONFIG_MAX_BYTES: usize = 4 * 1024 * 1024;

/// The settings of a repository that take effect in an overlay. None of them names a program. What is
/// missing here has git's default value, or the user's own.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "attributesfile",
            "autocrlf",
            "bigfilethreshold",
            "checkroundtripencoding",
            "checkstat",
            "eol",
            "excludesfile",
            "filemode",
            "ignorecase",
            "longpaths",
            "precomposeunicode",
            "protecthfs",
            "protectntfs",
            "repositoryformatversion",
            "safecrlf",
            "sparsecheckout",
            "sparsecheckoutcone",
            "symlinks",
            "trustctime",
        ],
    ),
    (
        "extensions",
        &[
            "compatobjectformat",
            "noop",
            "objectformat",
            "preciousobjects",
            "refstorage",
        ],
    ),
    ("index", &["sparse"]),
    ("lfs", &["fetchexclude", "fetchinclude", "url"]),
    ("status", &["showuntrackedfiles"]),
];

/// What a fetch of missing objects needs besides. The transports are limited for each call.
const ALLOWED_FOR_FETCH: &[(&str, &[&str])] = &[
    ("extensions", &["partialclone"]),
    (
        "remote",
        &[
            "fetch",
            "lfsurl",
            "partialclonefilter",
            "promisor",
            "tagopt",
            "url",
        ],
    ),
    ("url", &["insteadof"]),
];

/// Whose configuration a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The system's or the user's own, with the files that these include.
    User,
    /// The repository's, its worktree's, and every file that these include.
    Repository,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub scope: Scope,
    /// In lower case.
    pub section: Vec<u8>,
    /// As it was written.
    pub subsection: Option<Vec<u8>>,
    /// In lower case.
    pub name: Vec<u8>,
    pub value: Vec<u8>,
}

impl Setting {
    fn parse(scope: &[u8], entry: &[u8]) -> Option<Setting> {
        let scope = match scope {
            b"system" | b"global" => Scope::User,
            // Our own.
            b"command" => return None,
            _ => Scope::Repository,
        };
        let (key, value) = match entry.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&entry[..end], &entry[end + 1..]),
            // A name alone means true.
            None => (entry, b"true".as_slice()),
        };
        let start = key.iter().position(|byte| *byte == b'.')?;
        let end = key.iter().rposition(|byte| *byte == b'.')?;
        Some(Setting {
            scope,
            section: key[..start].to_ascii_lowercase(),
            subsection: (start < end).then(|| key[start + 1..end].to_vec()),
            name: key[end + 1..].to_ascii_lowercase(),
            value: value.to_vec(),
        })
    }

    /// Whether an overlay takes it over as it is.
    pub fn is_allowed(&self, network: Network) -> bool {
        let is_in = |list: &[(&str, &[&str])]| {
            list.iter().any(|(section, names)| {
                section.as_bytes() == self.section
                    && names.iter().any(|name| name.as_bytes() == self.name)
            })
        };
        // Git reads the user's own remotes from the user's own files.
        let is_for_fetch = || network == Network::On && self.scope == Scope::Repository;
        is_in(ALLOWED) || (is_for_fetch() && is_in(ALLOWED_FOR_FETCH))
    }

    /// Adds it to the text of a configuration file.
    pub fn write_to(&self, text: &mut Vec<u8>) {
        text.push(b'[');
        text.extend_from_slice(&self.section);
        if let Some(subsection) = &self.subsection {
            text.extend_from_slice(b" \"");
            for byte in subsection {
                if matches!(byte, b'"' | b'\\') {
                    text.push(b'\\');
                }
                text.push(*byte);
            }
            text.push(b'"');
        }
        text.extend_from_slice(b"]\n\t");
        text.extend_from_slice(&self.name);
        text.extend_from_slice(b" = \"");
        for byte in &self.value {
            match byte {
                b'\n' => text.extend_from_slice(b"\\n"),
                b'"' | b'\\' => text.extend_from_slice(&[b'\\', *byte]),
                _ => text.push(*byte),
            }
        }
        text.extend_from_slice(b"\"\n");
    }
}

/// All settings that hold in a directory, in the order in which git reads them.
pub(super) fn settings(dir: &Path, deadline: Deadline) -> Result<Vec<Setting>, GitError> {
    let listed = Call::new(Subcommand::ListConfig, dir)
        .stdout_max_bytes(CONFIG_MAX_BYTES)
        .output(deadline)?;
    let mut fields = listed.split(|byte| *byte == 0);
    let mut settings = Vec::new();
    while let (Some(scope), Some(entry)) = (fields.next(), fields.next()) {
        settings.extend(Setting::parse(scope, entry));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_split_at_its_first_and_last_dot() {
        let parse = |scope: &str, text: &str| Setting::parse(scope.as_bytes(), text.as_bytes());
        let setting = parse("local", "filter.a.B\"c.clean\ncat\n-").unwrap();
        assert_eq!(setting.scope, Scope::Repository);
        assert_eq!(setting.section, b"filter");
        assert_eq!(setting.subsection.as_deref(), Some(b"a.B\"c".as_slice()));
        assert_eq!(setting.name, b"clean");
        assert_eq!(setting.value, b"cat\n-");
        assert_eq!(parse("global", "core.bare").unwrap().value, b"true");
        assert_eq!(parse("global", "core.bare").unwrap().scope, Scope::User);
        assert_eq!(parse("command", "core.bare\ntrue"), None);
        // A scope that is not known is the repository's: it could be anybody's.
        let unknown = parse("submodule", "core.bare\ntrue").unwrap();
        assert_eq!(unknown.scope, Scope::Repository);
        assert_eq!(parse("local", "nonsense"), None);
    }

    #[test]
    fn no_allowed_setting_names_a_program() {
        let programs = [
            "alias.status",
            "core.alternaterefscommand",
            "core.askpass",
            "core.editor",
            "core.fsmonitor",
            "core.gitproxy",
            "core.hookspath",
            "core.pager",
            "core.sshcommand",
            "core.worktree",
            "credential.helper",
            "diff.external",
            "filter.clean",
            "gpg.program",
            "http.proxy",
            "include.path",
            "lfs.standalonetransferagent",
            "merge.driver",
            "protocol.allow",
            "remote.receivepack",
            "remote.uploadpack",
            "remote.vcs",
            "submodule.update",
            "trailer.command",
            "uploadpack.packobjectshook",
        ];
        for program in programs {
            let entry = format!("{program}\nx");
            let setting = Setting::parse(b"local", entry.as_bytes()).unwrap();
            assert!(!setting.is_allowed(Network::On), "{program}");
        }
    }
}
