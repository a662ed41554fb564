//! [`ChunkSize`]: in pieces of which size a blob is sent, and what is learnt from a registry that finds them too big.

/// The first size that is tried on a registry that does not take a blob whole.
const FIRST: u64 = 16 << 20;

/// Smaller chunks are not tried: who does not take these means something else.
const LAST: u64 = 1 << 20;

/// In pieces of which size a blob is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkSize {
    /// In one.
    Whole,
    /// In pieces of this many bytes.
    Bytes(u64),
}

impl ChunkSize {
    /// How many of the `left` bytes to send next to a registry that wants `least` in all chunks but the last.
    pub(super) fn next(self, left: u64, least: u64) -> u64 {
        match self {
            Self::Whole => left,
            Self::Bytes(bytes) => left.min(bytes.max(least).max(1)),
        }
    }

    /// A smaller size for a blob of `size` bytes; `None` if there is none worth trying.
    pub(super) fn smaller(self, size: u64, least: u64) -> Option<Self> {
        let floor = least.max(LAST);
        let mut bytes = match self {
            Self::Whole => FIRST.max(least),
            Self::Bytes(bytes) if bytes.max(least) > floor => (bytes.max(least) / 2).max(floor),
            Self::Bytes(_) => return None,
        };
        // The whole blob in one chunk is what was refused.
        while bytes >= size && bytes > floor {
            bytes = (bytes / 2).max(floor);
        }
        (bytes < size).then_some(Self::Bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn all(size: u64, least: u64) -> Vec<u64> {
        std::iter::successors(Some(ChunkSize::Whole), |chunk| chunk.smaller(size, least))
            .filter_map(|chunk| match chunk {
                ChunkSize::Whole => None,
                ChunkSize::Bytes(bytes) => Some(bytes),
            })
            .collect()
    }

    #[test]
    fn chunks_are_halved_down_to_what_the_registry_takes_at_least() {
        assert_eq!(all(100 * MIB, 0), [16, 8, 4, 2, 1].map(|mib| mib * MIB));
        assert_eq!(all(100 * MIB, 5 * MIB), [16 * MIB, 8 * MIB, 5 * MIB]);
        assert_eq!(all(100 * MIB, 20 * MIB), [20 * MIB]);
        assert!(all(100 * MIB, 200 * MIB).is_empty());
        assert_eq!(all(10 * MIB, 0), [8, 4, 2, 1].map(|mib| mib * MIB));
        assert!(all(MIB, 0).is_empty());
        assert!(all(0, 0).is_empty());
    }

    #[test]
    fn a_chunk_is_never_empty_and_never_more_than_there_is() {
        assert_eq!(ChunkSize::Whole.next(7, 100), 7);
        assert_eq!(ChunkSize::Bytes(0).next(7, 0), 1);
        assert_eq!(ChunkSize::Bytes(3).next(7, 5), 5);
        assert_eq!(ChunkSize::Bytes(30).next(7, 50), 7);
    }
}
