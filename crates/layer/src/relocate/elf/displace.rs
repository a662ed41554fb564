//! What stands in the way of one more program header behind the others.
//!
//! The program headers should stay where they are, right behind the file header in the first segment: Linux before
//! 5.18 looks for them nowhere else, and BFD's `strip` puts them back there without asking what that overwrites. What
//! follows them is in practice the interpreter, notes, and tables that the dynamic section points to; all of these
//! can move, because every reference to them is in a header.

use std::ops::Range;

use super::image::Image;
use super::layout::{Section, Segment};
use super::parse::{Elf, PT_INTERP, PT_LOAD, PT_PHDR};

const PT_NOTE: u32 = 4;
const PT_GNU_PROPERTY: u32 = 0x6474_e553;
const SHT_NULL: u32 = 0;
const SHT_NOBITS: u32 = 8;
/// STRTAB, HASH, NOTE, DYNSYM, GNU_HASH, GNU_verdef, GNU_verneed, GNU_versym.
const MOVABLE: [u32; 8] = [3, 5, 7, 11, 0x6fff_fff6, 0x6fff_fffd, 0x6fff_fffe, 0x6fff_ffff];
const SHF_WRITE: u64 = 1;
const SHF_ALLOC: u64 = 2;

/// The file range that has to move as one block to make room for one more program header; empty if there is room.
/// `None` if it is unknown what is there, or it is something that must not move.
pub(super) fn in_the_way(elf: &Elf, image: &impl Image) -> Option<Range<usize>> {
    let size = elf.layout.segment_size();
    let table_end = elf.segments_at.checked_add(elf.segments.len() * size)?;
    let wanted = table_end..table_end.checked_add(size)?;
    let load = elf.segments.iter().find(|segment| {
        segment.kind == PT_LOAD
            && segment.offset <= elf.segments_at as u64
            && segment.offset.checked_add(segment.file_size).is_some_and(|end| wanted.end as u64 <= end)
    })?;
    if elf.sections.is_empty() {
        return None;
    }
    let headers = elf.sections.first()?.0..elf.sections.last()?.0 + elf.layout.section_size();
    let mut block = wanted.clone();
    // Whatever begins within the block belongs to it as a whole, which may make the block longer; what begins
    // there because of that comes later in the order.
    for (range, movable) in occupants(elf)? {
        if overlaps(&range, &block) {
            (movable && range.start >= table_end).then_some(())?;
            block.end = block.end.max(range.end);
        }
    }
    let load_end = load.offset.checked_add(load.file_size)?;
    if overlaps(&headers, &block) || block.end as u64 > load_end || block.end > image.size() {
        return None;
    }
    let first = elf
        .sections
        .iter()
        .filter_map(|(_, section)| occupied(section))
        .map(|(range, _)| range.start)
        .filter(|start| block.contains(start))
        .min();
    match first {
        Some(first) => {
            // A gap before the first section, or none: the gap is padding.
            block.start = first;
            Some(block)
        }
        None => image.part(wanted.clone())?.iter().all(|&byte| byte == 0).then_some(wanted.end..wanted.end),
    }
}

/// The address in memory of a byte of the file, if it is loaded.
pub(super) fn address_of(elf: &Elf, offset: usize) -> Option<u64> {
    let offset = offset as u64;
    let holds = |segment: &&Segment| {
        segment.kind == PT_LOAD
            && segment.offset <= offset
            && segment.offset.checked_add(segment.file_size).is_some_and(|end| offset < end)
    };
    let load = elf.segments.iter().find(holds)?;
    load.address.checked_add(offset - load.offset)
}

/// What lies in the file, sections and segments alike, in the order of where it starts, and whether it may lie
/// elsewhere: only headers refer to it. `None` if a segment is nowhere.
fn occupants(elf: &Elf) -> Option<Vec<(Range<usize>, bool)>> {
    let interpreter = elf.last_of(PT_INTERP).map(|segment| (segment.offset, segment.file_size));
    let sections =
        elf.sections.iter().filter_map(|(_, section)| occupied(section)).map(|(range, section)| {
            let of_the_loader =
                MOVABLE.contains(&section.kind) || interpreter == Some((section.offset, section.size));
            Some((range, section.flags & (SHF_ALLOC | SHF_WRITE) == SHF_ALLOC && of_the_loader))
        });
    let segments = elf.segments.iter().filter(|segment| segment.file_size > 0);
    let segments = segments.filter(|segment| !matches!(segment.kind, PT_LOAD | PT_PHDR)).map(|segment| {
        let range = file_range(segment.offset, segment.file_size)?;
        Some((range, matches!(segment.kind, PT_INTERP | PT_NOTE | PT_GNU_PROPERTY)))
    });
    let mut occupants = sections.chain(segments).collect::<Option<Vec<_>>>()?;
    occupants.sort_unstable_by_key(|(range, _)| range.start);
    Some(occupants)
}

fn occupied(section: &Section) -> Option<(Range<usize>, &Section)> {
    if matches!(section.kind, SHT_NULL | SHT_NOBITS) || section.size == 0 {
        return None;
    }
    Some((file_range(section.offset, section.size)?, section))
}

/// The range of `size` bytes from `offset`, if there can be one; it need not lie in the file.
pub(super) fn file_range(offset: u64, size: u64) -> Option<Range<usize>> {
    Some(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(size)?).ok()?)
}

fn overlaps(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}
