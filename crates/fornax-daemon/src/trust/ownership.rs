//! Whose files are followed: those of the user or of root, in places where nobody else can replace
//! them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fornax_core::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use super::DATA_DIR;
use crate::plans::CONFIG_FILE;

/// The access control list of a file: its mode then shows a mask, and not what the group may do.
const ACL: &str = "system.posix_acl_access";

/// Who asks, and therefore whose files are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The effective user id of this process.
    pub uid: u32,
    /// The primary group of that user.
    pub gid: u32,
}

/// A file or folder that a person lets through although others own it or can write to it. Once its
/// owner or mode changes, the record does not match any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRecord {
    /// Which file or folder; absolute.
    pub path: PathBuf,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl PathRecord {
    fn of(path: &Path, meta: &Metadata) -> PathRecord {
        PathRecord {
            path: path.to_owned(),
            uid: meta.uid(),
            gid: meta.gid(),
            mode: meta.mode() & 0o7777,
        }
    }
}

/// Why a file or folder is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offence {
    /// What was found.
    pub found: PathRecord,
    /// Why that is not enough.
    pub why: Reason,
}

/// Why a file or folder is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It belongs to another user.
    Owner,
    /// Every user can write to it.
    World,
    /// A group that is not the user's own can write to it.
    Group,
}

impl User {
    /// The user of this process.
    #[must_use]
    pub fn current() -> User {
        let uid = rustix::process::geteuid().as_raw();
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let gid = primary_group(&passwd, uid);
        User {
            uid,
            gid: gid.unwrap_or_else(|| rustix::process::getgid().as_raw()),
        }
    }

    fn owns(self, meta: &Metadata) -> bool {
        meta.uid() == self.uid || meta.uid() == 0
    }
}

/// The primary group of a user by the text of `/etc/passwd`.
fn primary_group(passwd: &str, uid: u32) -> Option<u32> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let of_user = fields.next()?.parse() == Ok(uid);
        fields.next()?.parse().ok().filter(|_| of_user)
    })
}

/// Everything about the project in `root` that this user must not follow: its `fornax.yaml`, its
/// `.fornax`, and the folder itself where it has one of the two, or is about to have (`is_new`).
///
/// # Errors
/// `Forbidden` for a link that leads out of the project; `Storage` where they cannot be
/// looked at.
pub fn offences(root: &Path, user: User, is_new: bool) -> Result<Vec<Offence>, Error> {
    let look = |path: &Path, look: fn(&Path) -> io::Result<Metadata>| match look(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let what = format!("cannot look at {}: {error}", path.display());
            Err(Error::new(ErrorKind::Storage, what))
        }
    };
    let config = root.join(CONFIG_FILE);
    let data = root.join(DATA_DIR);
    check_link(root, &data)?;
    check_link(root, &config)?;
    // A link is judged itself, and so is what it leads to: whoever owns the link chooses.
    let mut entries = Vec::new();
    for path in [&config, &data] {
        let Some(link) = look(path, |path| fs::symlink_metadata(path))? else {
            continue;
        };
        let target = match link.is_symlink() {
            true => look(path, |path| fs::metadata(path))?,
            false => None,
        };
        entries.push((path, link, target));
    }
    let mut found = Vec::new();
    if entries.is_empty() && !is_new {
        return Ok(found);
    }
    let Some(folder) = look(root, |path| fs::metadata(path))? else {
        return Ok(found);
    };
    let by_owner_only = ignores_modes(root);
    let mut push = |path: &Path, meta: &Metadata, why: Option<Reason>| {
        if let Some(why) = why {
            found.push(Offence {
                found: PathRecord::of(path, meta),
                why,
            });
        }
    };
    for (path, link, target) in &entries {
        if link.is_symlink() {
            push(path, link, (!user.owns(link)).then_some(Reason::Owner));
        }
        let meta = target.as_ref().unwrap_or(link);
        if !meta.is_symlink() {
            push(path, meta, reason(path, meta, user, by_owner_only));
        }
    }
    // In a sticky folder nobody but its owner replaces what another owns, and what others add is theirs.
    if folder.mode() & 0o1000 == 0 || !user.owns(&folder) {
        push(root, &folder, reason(root, &folder, user, by_owner_only));
    }
    Ok(found)
}

/// What leads elsewhere is not of this project: a `.fornax` would have the records of another place
/// carried out here, a `fornax.yaml` may be a device.
fn check_link(root: &Path, path: &Path) -> Result<(), Error> {
    if !fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink()) {
        return Ok(());
    }
    let target = path.canonicalize().ok();
    let root = root.canonicalize().ok();
    if let (Some(target), Some(root)) = (&target, &root)
        && target.starts_with(root)
    {
        return Ok(());
    }
    let place = fs::read_link(path).unwrap_or_default();
    let what = format!(
        "{} is a symbolic link that leads out of the project, to {}",
        path.display(),
        place.display()
    );
    Err(Error::new(ErrorKind::Forbidden, what).with_help(format!(
        "replace the link by what it leads to: {}",
        path.display()
    )))
}

/// Why a file or folder is not followed; none where it is.
fn reason(path: &Path, meta: &Metadata, user: User, by_owner_only: bool) -> Option<Reason> {
    if !user.owns(meta) {
        return Some(Reason::Owner);
    }
    if by_owner_only {
        return None;
    }
    let mode = meta.mode();
    if mode & 0o002 != 0 {
        return Some(Reason::World);
    }
    let is_own_group = meta.gid() == user.gid && !has_acl(path);
    (mode & 0o020 != 0 && !is_own_group).then_some(Reason::Group)
}

fn has_acl(path: &Path) -> bool {
    rustix::fs::getxattr(path, ACL, &mut [0_u8; 0]).is_ok()
}

/// Whether others can replace a program: it, or the folder that it is in, can be written by all.
pub(crate) fn all_can_write(path: &Path) -> bool {
    let is_open = |path: &Path| {
        fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o002 != 0 && meta.mode() & 0o1000 == 0)
    };
    !ignores_modes(path) && (is_open(path) || path.parent().is_some_and(is_open))
}

/// Whether `chmod` has no effect where `path` is: such file systems give every file the same mode.
#[must_use]
pub fn ignores_modes(path: &Path) -> bool {
    /// The types in `statfs` of vfat, exFAT, NTFS (both drivers), SMB (three versions), 9p (WSL 2),
    /// WSL 1, VirtualBox and VMware folders.
    const WITHOUT_MODES: [u32; 11] = [
        0x4d44,
        0x2011_bab0,
        0x5346_544e,
        0x7366_746e,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x0102_1997,
        0x5346_4846,
        0x786f_4256,
        0xbacb_acbc,
    ];
    const FUSE: u32 = 0x6573_5546;
    let Ok(stat) = rustix::fs::statfs(path) else {
        return false;
    };
    let kind = stat.f_type as u32;
    WITHOUT_MODES.contains(&kind) || (kind == FUSE && is_fuse_block_device(path))
}

/// Whether a FUSE file system is on a block device, as NTFS by `ntfs-3g` is. Others have modes.
fn is_fuse_block_device(path: &Path) -> bool {
    let (Ok(meta), Ok(mounts)) = (
        fs::metadata(path),
        fs::read_to_string("/proc/self/mountinfo"),
    ) else {
        return false;
    };
    let dev = meta.dev();
    let device = format!("{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
    mounts.lines().any(|line| {
        let of_device = line.split(' ').nth(2) == Some(device.as_str());
        let kind = line
            .split_once(" - ")
            .and_then(|(_, rest)| rest.split(' ').next());
        of_device && kind == Some("fuseblk")
    })
}

/// Refuses a project with offences that no record lets through.
///
/// # Errors
/// `Forbidden` for the first of them.
pub fn refuse(root: &Path, offences: &[Offence], accepted: &[PathRecord]) -> Result<(), Error> {
    let open = offences
        .iter()
        .find(|offence| !accepted.contains(&offence.found));
    open.map_or(Ok(()), |offence| Err(offence.error(root)))
}

impl Offence {
    fn error(&self, root: &Path) -> Error {
        let PathRecord {
            path,
            uid,
            gid,
            mode,
        } = &self.found;
        let place = path.display();
        let (what, chmod) = match self.why {
            Reason::Owner => (format!("{place} belongs to user {uid}"), None),
            Reason::World => (format!("every user can write to {place}"), Some("go-w")),
            Reason::Group => (format!("group {gid} can write to {place}"), Some("g-w")),
        };
        let message =
            format!("{what} (owner {uid}, group {gid}, mode {mode:04o}), so it is not followed");
        let root = root.display();
        let help = match chmod {
            Some(change) => {
                format!(
                    "`chmod {change} {place}`, or if you trust them: `fornax trust --path {root}`"
                )
            }
            None => format!(
                "if you trust them: `fornax trust --path {root}`; for a project of your own below \
                 it: `touch {CONFIG_FILE}` in the project's directory"
            ),
        };
        Error::new(ErrorKind::Forbidden, message).with_help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    fn place() -> (tempfile::TempDir, User) {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join(CONFIG_FILE), "").unwrap();
        let gid = fs::metadata(temp.path()).unwrap().gid();
        (
            temp,
            User {
                gid,
                ..User::current()
            },
        )
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn reasons(root: &Path, user: User) -> Vec<Reason> {
        let found = offences(root, user, false).unwrap();
        found.into_iter().map(|offence| offence.why).collect()
    }

    #[test]
    fn modes_of_the_file_and_of_its_folder_decide() {
        let (temp, user) = place();
        let (root, file) = (temp.path(), temp.path().join(CONFIG_FILE));
        let other_group = User {
            gid: user.gid + 1,
            ..user
        };
        for (folder, config, own, other) in [
            (0o755, 0o644, vec![], vec![]),
            (0o700, 0o600, vec![], vec![]),
            (0o775, 0o644, vec![], vec![Reason::Group]),
            (0o755, 0o664, vec![], vec![Reason::Group]),
            (0o775, 0o664, vec![], vec![Reason::Group, Reason::Group]),
            (0o777, 0o644, vec![Reason::World], vec![Reason::World]),
            (0o755, 0o666, vec![Reason::World], vec![Reason::World]),
            (0o1777, 0o644, vec![], vec![]),
            (0o1777, 0o646, vec![Reason::World], vec![Reason::World]),
        ] {
            chmod(root, folder);
            chmod(&file, config);
            assert_eq!(reasons(root, user), own, "{folder:o} {config:o}");
            assert_eq!(reasons(root, other_group), other, "{folder:o} {config:o}");
        }
    }

    #[test]
    fn a_folder_without_either_is_nobodys_configuration() {
        let temp = tempfile::tempdir().unwrap();
        chmod(temp.path(), 0o777);
        assert_eq!(reasons(temp.path(), User::current()), []);
        // Unless Fornax is about to keep its records there.
        let found = offences(temp.path(), User::current(), true).unwrap();
        assert_eq!(found[0].why, Reason::World);
        chmod(temp.path(), 0o1777);
        assert_eq!(offences(temp.path(), User::current(), true).unwrap(), []);
    }

    #[test]
    fn another_owner_is_refused_and_root_is_not() {
        let (temp, user) = place();
        let stranger = User {
            uid: user.uid + 1,
            ..user
        };
        let of_root = user.uid == 0;
        let expected = match of_root {
            true => vec![],
            false => vec![Reason::Owner, Reason::Owner],
        };
        assert_eq!(reasons(temp.path(), stranger), expected);
        if of_root {
            let file = temp.path().join(CONFIG_FILE);
            chown(&file, Some(65_534), None).unwrap();
            assert_eq!(reasons(temp.path(), user), [Reason::Owner]);
            // Sticky or not: what lies there is not the user's.
            chmod(temp.path(), 0o1777);
            assert_eq!(reasons(temp.path(), user), [Reason::Owner]);
            chown(temp.path(), Some(65_534), None).unwrap();
            chown(&file, Some(0), None).unwrap();
            chmod(temp.path(), 0o755);
            assert_eq!(reasons(temp.path(), user), [Reason::Owner]);
        }
    }

    #[test]
    fn a_record_holds_until_owner_or_mode_change() {
        let (temp, user) = place();
        let file = temp.path().join(CONFIG_FILE);
        chmod(&file, 0o666);
        let found = offences(temp.path(), user, false).unwrap();
        let error = refuse(temp.path(), &found, &[]).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Forbidden);
        assert!(error.message.contains("mode 0666"), "{error}");
        let help = error.help.unwrap();
        assert!(
            help.contains("chmod go-w") && help.contains("fornax trust --path"),
            "{help}"
        );
        let accepted = [found[0].found.clone()];
        refuse(temp.path(), &found, &accepted).unwrap();
        chmod(&file, 0o667);
        let found = offences(temp.path(), user, false).unwrap();
        refuse(temp.path(), &found, &accepted).unwrap_err();
    }

    #[test]
    fn a_data_folder_that_leads_elsewhere_is_refused() {
        let (temp, user) = place();
        let outside = tempfile::tempdir().unwrap();
        let data = temp.path().join(DATA_DIR);
        symlink(outside.path(), &data).unwrap();
        let error = offences(temp.path(), user, false).unwrap_err();
        assert!(
            error.message.contains("leads out of the project"),
            "{error}"
        );
        fs::remove_file(&data).unwrap();
        symlink("nowhere", &data).unwrap();
        offences(temp.path(), user, false).unwrap_err();
        fs::remove_file(&data).unwrap();
        fs::create_dir(temp.path().join("records")).unwrap();
        symlink("records", &data).unwrap();
        assert_eq!(offences(temp.path(), user, false).unwrap(), []);
    }

    #[test]
    fn the_primary_group_is_read_from_the_list_of_users() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbad\n::\na:x:1000:1001::/:/bin/sh\n";
        assert_eq!(primary_group(passwd, 0), Some(0));
        assert_eq!(primary_group(passwd, 1000), Some(1001));
        assert_eq!(primary_group(passwd, 7), None);
    }
}
