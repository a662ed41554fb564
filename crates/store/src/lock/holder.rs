//! Who holds an open file description lock. The kernel gives no process id for one, since the lock belongs to the open
//! file; but under `/proc` each open file says which locks it has.

use super::Holder;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The process that has an open file description lock on `file`, if it can be seen: one of the same user, on this
/// machine. This process itself is named only if there is no other.
pub(super) fn named(file: &File) -> Option<Holder> {
    // `lock:	1: OFDLCK ADVISORY  WRITE -1 fe:01:1234 0 EOF`; the device is written differently on some file systems.
    let inode = format!(":{} ", file.metadata().ok()?.ino());
    let own = i32::try_from(std::process::id()).ok();
    let mut is_ours = false;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        if has_lock(&entry.path().join("fdinfo"), &inode) {
            if Some(id) != own {
                return Some(Holder::Process(id));
            }
            is_ours = true;
        }
    }
    is_ours.then_some(Holder::Ourselves)
}

fn has_lock(open_files: &Path, inode: &str) -> bool {
    // Other users' cannot be looked into.
    let Ok(entries) = std::fs::read_dir(open_files) else { return false };
    entries.flatten().any(|entry| {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        text.lines().any(|line| line.starts_with("lock:") && line.contains("OFDLCK") && line.contains(inode))
    })
}
