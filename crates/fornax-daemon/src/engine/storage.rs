//! When the disk does not do what it should.

use std::path::Path;

/// Room that must be there before a full disk counts as mended, in bytes.
const ROOM: usize = 256 * 1024;

/// Whether there is room again: tries it, since free blocks, quotas and inodes all count.
pub(super) fn has_room(data_dir: &Path) -> bool {
    let probe = data_dir.join("room.probe");
    let tried = std::fs::write(&probe, vec![0u8; ROOM]);
    let removed = std::fs::remove_file(&probe);
    tried.is_ok() && removed.is_ok()
}
