//! One binary file in memory: its ELF header first, then all other C strings.

use std::ops::Range;

use super::c_string::{CStringError, replace_c_strings_before};
use super::elf::{self, Edit, GrowError};
use super::prefix_map::PrefixMap;

/// Why a binary file cannot be relocated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// A string cannot be replaced in place.
    #[error(transparent)]
    CString(#[from] CStringError),
    /// The RPATH or interpreter does not fit and the file cannot grow.
    #[error("its RPATH or interpreter has no room for the new prefix, and it cannot grow: {0}")]
    Grow(#[from] GrowError),
}

/// What [`relocate_binary`] did.
pub(super) struct BinaryEdit {
    /// What to write back, in ascending order; empty if the file is as it was.
    pub(super) changed: Vec<Range<usize>>,
    /// Whether the file became longer.
    pub(super) grown: bool,
}

/// Replaces the old prefixes in a file of any binary format. Of ELF files the header's strings may grow.
///
/// On an error the bytes may be changed in part.
pub(super) fn relocate_binary(map: &PrefixMap, bytes: &mut Vec<u8>) -> Result<BinaryEdit, BinaryError> {
    if !map.occurs_in(bytes) {
        return Ok(BinaryEdit { changed: Vec::new(), grown: false });
    }
    let Edit { mut changed, settled, grown } = elf::substitute(map, bytes)?;
    let length = bytes.len();
    replace_c_strings_before(map, bytes, length, &settled, &mut changed)?;
    Ok(BinaryEdit { changed: coalesce(changed), grown })
}

/// Ranges in order, without overlaps; those a page or less apart are joined, because one write is cheaper than two.
pub(super) fn coalesce(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match joined.last_mut() {
            Some(last) if range.start <= last.end + 4096 => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init)]
    fn near_ranges_are_written_together() {
        assert_eq!(coalesce(vec![9000..9001, 5..10, 8..9, 100..100, 20..30]), [5..30, 9000..9001]);
        assert_eq!(coalesce(vec![0..10, 2..3, 5000..5001]), [0..10, 5000..5001]);
        assert!(coalesce(vec![]).is_empty());
    }

    #[test]
    fn a_file_of_any_format_has_its_strings_replaced() {
        let map = PrefixMap::new([("/opt/spack", "/o")]).unwrap();
        let mut bytes = b"\xcf\xfa\xed\xfe a Mach-O template: /opt/spack/share/cmake/Templates\0".to_vec();
        let edit = relocate_binary(&map, &mut bytes).unwrap();
        assert_eq!(bytes, b"\xcf\xfa\xed\xfe a Mach-O template: /////////o/share/cmake/Templates\0");
        assert_eq!(edit.changed.first(), Some(&(24..34)));
        assert_eq!(edit.changed.len(), 1);
        assert!(!edit.grown);
        assert!(relocate_binary(&map, &mut bytes).unwrap().changed.is_empty());
    }
}
