//! [`FileStamp`]: whether a file is still what it was when it was read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Tells one state of a file from the next: a rename brings another inode, an edit in place another size or other times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    /// Device and inode.
    file: (u64, u64),
    /// In bytes.
    size: u64,
    /// Seconds and nanoseconds of the last change of the content, and of the inode.
    changed: [(i64, i64); 2],
}

impl FileStamp {
    /// Of the state that `metadata` is of. Taken from an open file it is that of what is read from it.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            changed: [(metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec())],
        }
    }
}
