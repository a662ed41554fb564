//! A large binary: what its ELF header needs, then all C strings, window by window, in place.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::super::binary::coalesce;
use super::super::c_string::{replace_c_strings_before, sight};
use super::super::elf::{self, FileImage};
use super::super::file::{FileEdit, FileError};
use super::super::prefix_map::PrefixMap;
use super::window::{FileFrom, Window};

/// Replaces the old prefixes in a file of any binary format. Of ELF files the header's strings may grow.
///
/// `window` is how much of it is in memory at a time, in `buffer`.
pub(in crate::relocate) fn relocate_large_binary(
    map: &PrefixMap,
    file: &File,
    window: usize,
    buffer: &mut Vec<u8>,
) -> Result<FileEdit, FileError> {
    let mut image = FileImage::new(file).map_err(FileError::Read)?;
    let substituted = elf::substitute(map, &mut image);
    // A failure to read looks like a file that is not for us, or cannot grow.
    image.check().map_err(FileError::Read)?;
    let edit = substituted.map_err(|error| FileError::Binary(error.into()))?;
    image.flush().map_err(FileError::Write)?;

    let mut is_changed = edit.changed.iter().any(|range| !range.is_empty());
    let sight = sight(map);
    let from_start = FileFrom { file, offset: 0 };
    let mut window = Window::new(from_start, window.max(2 * sight), buffer).map_err(FileError::Read)?;
    loop {
        let (start, before) = (window.start(), window.decided(sight));
        let settled = within(&edit.settled, start);
        let mut changed = Vec::new();
        let bytes = window.bytes();
        let done = replace_c_strings_before(map, bytes, before, &settled, &mut changed)
            .map_err(|error| FileError::Binary(error.into()))?;
        for range in coalesce(changed) {
            is_changed = true;
            file.write_all_at(&bytes[range.clone()], (start + range.start) as u64)
                .map_err(FileError::Write)?;
        }
        if window.is_last() {
            return Ok(FileEdit { changed: is_changed, grown: edit.grown });
        }
        window.advance(done).map_err(FileError::Read)?;
    }
}

/// Ranges of a file as ranges of a window that begins at `start`; they may reach beyond its end.
pub(in crate::relocate) fn within(ranges: &[Range<usize>], start: usize) -> Vec<Range<usize>> {
    let ahead = ranges.iter().filter(|range| range.end > start);
    ahead.map(|range| range.start.saturating_sub(start)..range.end - start).collect()
}

#[cfg(test)]
pub(in crate::relocate) mod tests;
