//! Which project a command is about.

use std::path::{Path, PathBuf};

use fornax_core::error::ErrorKind;
use fornax_daemon::trust::Trust;

use crate::failure::{Failure, fail};

/// The directory of the project, absolute.
#[derive(Debug, Clone)]
pub struct ProjectDir {
    /// The directory.
    pub dir: PathBuf,
    /// Whether Fornax has been here: it has a `.fornax` or a `fornax.yaml`.
    pub is_known: bool,
}

impl ProjectDir {
    /// The project that `from` is in; refused where its `fornax.yaml` or its `.fornax` is one that
    /// others own or can replace.
    pub fn find(from: Option<&Path>, trust: &Trust) -> Result<ProjectDir, Failure> {
        let project = ProjectDir::find_anyones(from)?;
        trust.check_place(&project.dir)?;
        Ok(project)
    }

    /// The project that `from` (else the current directory) is in: the nearest directory upward
    /// with a `fornax.yaml` or a `.fornax`, whoever owns them, else the git repository's, else
    /// `from` itself.
    pub fn find_anyones(from: Option<&Path>) -> Result<ProjectDir, Failure> {
        let from = from.unwrap_or(Path::new("."));
        let from = match from.canonicalize() {
            Ok(dir) if dir.is_dir() => dir,
            Ok(_) => {
                let message = format!("{} is not a directory", from.display());
                return fail(
                    ErrorKind::Usage,
                    message,
                    "name the project's directory with -C",
                );
            }
            Err(error) => {
                let message = format!("cannot open {}: {error}", from.display());
                return fail(
                    ErrorKind::NotFound,
                    message,
                    "name the project's directory with -C",
                );
            }
        };
        let has = |names: &[&str]| {
            from.ancestors().find(|dir| {
                names
                    .iter()
                    .any(|name| dir.join(name).symlink_metadata().is_ok())
            })
        };
        let known = has(&["fornax.yaml", ".fornax"]);
        let dir = known.or_else(|| has(&[".git"])).unwrap_or(&from);
        Ok(ProjectDir {
            dir: dir.to_owned(),
            is_known: known.is_some(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_nearest_sign_wins_and_git_comes_second() {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        let deep = top.join("a/b/c");
        fs::create_dir_all(&deep).unwrap();
        let found = || ProjectDir::find_anyones(Some(&deep)).unwrap();
        assert_eq!((found().dir, found().is_known), (deep.clone(), false));
        fs::create_dir(top.join("a/.git")).unwrap();
        assert_eq!((found().dir, found().is_known), (top.join("a"), false));
        fs::write(top.join("fornax.yaml"), "").unwrap();
        assert_eq!((found().dir, found().is_known), (top.clone(), true));
        fs::create_dir(top.join("a/b/.fornax")).unwrap();
        assert_eq!(found().dir, top.join("a/b"));
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        assert!(ProjectDir::find_anyones(Some(&temp.path().join("missing"))).is_err());
        fs::write(temp.path().join("file"), "").unwrap();
        assert!(ProjectDir::find_anyones(Some(&temp.path().join("file"))).is_err());
    }
}
