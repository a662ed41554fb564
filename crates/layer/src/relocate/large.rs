//! Files too large to be held in memory, looked at piece by piece.

mod window;

pub(super) use window::Window;

/// How much of a file is in memory at a time, in bytes.
pub(super) const WINDOW: usize = 1 << 20;
