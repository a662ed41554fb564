//! Paths in ELF headers: RPATH or RUNPATH, and the interpreter.
//!
//! These are looked up by name and not by searching the file, so they may be shortened, and lengthened by moving
//! them ([`grow`]). The string step afterwards leaves what was written here alone.

mod displace;
mod grow;
mod image;
mod layout;
mod needed;
mod parse;
mod sharing;

use std::ops::Range;

pub use grow::GrowError;
use image::Image;
pub(super) use image::{FileImage, ImageMut};
pub(crate) use needed::{Kind, Needs, kind, needs};
use parse::Elf;

use super::prefix_map::PrefixMap;

/// What was done to the bytes of an image. Ranges are of file offsets, unordered, and may overlap.
#[derive(Debug, Default)]
pub(super) struct Edit {
    /// What was written.
    pub(super) changed: Vec<Range<usize>>,
    /// New strings, which must not be searched for old prefixes.
    pub(super) settled: Vec<Range<usize>>,
    /// Whether the file became longer.
    pub(super) grown: bool,
}

/// A string of the header that is to change.
struct Change {
    /// Where it is.
    old: Range<usize>,
    new: Vec<u8>,
    /// It does not fit, or others use its bytes.
    moves: bool,
}

/// Replaces old prefixes at the start of RPATH or RUNPATH entries and of the interpreter.
///
/// As Spack does it: empty entries (colons used as padding) are dropped, an entry changes only if it starts with an
/// old prefix, and what becomes shorter is filled with NUL so that no old path remains. If a string does not fit, or
/// if symbols or other strings share bytes that would change, the file grows; the kind of entry stays (Spack's
/// patchelf call turns RUNPATH into RPATH, and removes the RPATH when only the interpreter has to grow).
///
/// A file that is no ELF file for us is left alone.
pub(super) fn substitute(map: &PrefixMap, image: &mut impl ImageMut) -> Result<Edit, GrowError> {
    let mut edit = Edit::default();
    let Some(elf) = Elf::parse(image) else { return Ok(edit) };
    let rpath = rpath_change(map, &elf, image);
    let interpreter = elf.interpreter.clone().and_then(|old| {
        let new = map.replace_start(&image.part(old.clone())?)?;
        Some(Change { moves: new.len() > old.len(), old, new })
    });
    let mut moved: [Option<Vec<u8>>; 2] = [None, None];
    for (change, moved) in [rpath, interpreter].into_iter().zip(&mut moved) {
        match change {
            Some(Change { new, moves: true, .. }) => *moved = Some(new),
            Some(Change { old, new, .. }) => {
                let end = old.start + new.len();
                let mut padded = new;
                padded.resize(old.len(), 0);
                // Reading found it there, so it lies in the image.
                let _ = image.write(old.start, &padded);
                edit.settled.push(old.start..end);
                edit.changed.push(old);
            }
            None => {}
        }
    }
    let [rpath, interpreter] = moved;
    if rpath.is_some() || interpreter.is_some() {
        // After writing what fits, because growing may move the bytes it was written to.
        grow::grow(image, &elf, rpath.as_deref(), interpreter.as_deref(), &mut edit)?;
    }
    Ok(edit)
}

fn rpath_change(map: &PrefixMap, elf: &Elf, image: &impl Image) -> Option<Change> {
    let rpath = elf.rpath.as_ref()?;
    let strings = elf.strings.as_ref()?;
    let old = image.part(rpath.range.clone())?;
    let mut replaced = false;
    let entries: Vec<Vec<u8>> = old
        .split(|&byte| byte == b':')
        .filter(|entry| !entry.is_empty())
        .map(|entry| match map.replace_start(entry) {
            Some(new) => {
                replaced = true;
                new
            }
            None => entry.to_vec(),
        })
        .collect();
    if !replaced {
        return None;
    }
    let new = entries.join(&b':');
    let moves = new.len() > old.len()
        || sharing::first_shared_byte(elf, image, strings, rpath).is_some_and(|shared| {
            // Strings that share the tail do not mind if the tail stays what and where it is.
            shared == 0 || new.len() < old.len() || new[shared..] != old[shared..]
        });
    Some(Change { old: rpath.range.clone(), new, moves })
}

#[cfg(test)]
mod tests;
