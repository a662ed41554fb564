//! [`Headway`]: how much of a blob must get through for its transfer to count as going on.
//!
//! A transfer that breaks off is gone on with as long as there is progress. If a single byte were enough, a registry
//! that gives one to each connection would be asked as often as the blob has bytes.

/// The most that is wanted at a time: a line that brings less in several attempts brings nothing.
const MOST: u64 = 64 << 10;

/// Of how many pieces each is progress, if they are not bigger than [`MOST`].
const PIECES: u64 = 1024;

/// What got through since there last was progress.
pub(super) struct Headway {
    wanted: u64,
    made: u64,
}

impl Headway {
    /// Of the transfer of a blob of `size` bytes.
    pub(super) fn through(size: u64) -> Self {
        Self { wanted: (size / PIECES).clamp(1, MOST), made: 0 }
    }

    /// Another `bytes` got through; whether that makes enough for progress.
    pub(super) fn made(&mut self, bytes: u64) -> bool {
        self.made = self.made.saturating_add(bytes);
        let enough = self.made >= self.wanted;
        if enough {
            self.made = 0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_progress_once_it_has_become_enough() {
        let mut headway = Headway::through(10 << 20);
        assert!(!headway.made(0));
        assert!(!headway.made(10_000));
        assert!(headway.made(240));
        assert!(!headway.made(10_000), "and again");
        assert!(headway.made(u64::MAX));
    }

    #[test]
    fn of_a_small_blob_less_is_enough_and_of_none_too_much_is_wanted() {
        assert!(Headway::through(0).made(1));
        assert!(!Headway::through(0).made(0));
        assert!(Headway::through(100).made(1));
        assert!(!Headway::through(u64::MAX).made(MOST - 1));
        assert!(Headway::through(u64::MAX).made(MOST));
    }
}
