//! Files too large to be held in memory, relocated piece by piece.
//!
//! The result is byte for byte what [`super::text`] and [`super::binary`] make of the whole content. The inode stays the
//! same, and with it hard links and modes. If it fails, the file may be changed in part.

mod binary;
mod text;
mod window;

pub(super) use binary::{relocate_large_binary, within};
pub(super) use text::relocate_large_text;
pub(super) use window::{FileFrom, Window};

#[cfg(test)]
pub(super) use binary::tests::assert_same_in_windows;

/// How much of a file is in memory at a time, in bytes.
pub(super) const WINDOW: usize = 1 << 20;
