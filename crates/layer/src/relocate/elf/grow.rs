//! Lengthens the RPATH or the interpreter of an ELF file that has no room for it.
//!
//! A new loaded segment at the end of the file takes what does not fit: the new interpreter, and a copy of the
//! dynamic string table with the new RPATH behind it. It needs one more program header, and so what stands behind
//! those ([`super::displace`]) moves into the new segment as well. No byte that code refers to moves, so this works
//! for programs at fixed addresses too. Section headers follow, in their order, so that `strip`, `nm` and `readelf`
//! go on working. (patchelf does it much the same way, and was the standard to compare with.)
//!
//! Where what stands behind the program headers cannot move, they move themselves. Linux before 5.18 computes their
//! address as *first segment's address − its file offset + e_phoff* instead of looking for the segment that holds
//! them (fs/binfmt_elf.c), so in an executable the new segment then keeps that distance; the hole this makes in the
//! file if the program has uninitialised data is never written and takes no disk space.

use std::ops::Range;

use super::Edit;
use super::displace::{address_of, file_range, in_the_way};
use super::image::{Image, ImageMut};
use super::layout::Segment;
use super::parse::{DT_STRSZ, DT_STRTAB, Elf, PT_INTERP, PT_LOAD, PT_PHDR};
use super::sharing;

const PF_R: u32 = 4;
/// Entries of the dynamic section whose values are addresses of tables that may move: HASH, STRTAB, SYMTAB,
/// GNU_HASH, VERSYM, VERDEF, VERNEED.
const MOVABLE_TABLES: [u64; 7] = [4, 5, 6, 0x6fff_fef5, 0x6fff_fff0, 0x6fff_fffc, 0x6fff_fffe];

/// The largest hole left in an executable for the sake of old kernels, in bytes. A program with more uninitialised
/// data than this gets no hole, and needs Linux 5.18.
const LARGEST_HOLE: u64 = 64 << 20;

/// Why an ELF file cannot be given a longer RPATH or interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrowError {
    /// Its program headers have a size that no loader accepts.
    #[error("its program headers are {0} bytes each")]
    HeaderSize(u16),
    /// It has as many program headers as the format can count.
    #[error("it has {0} program headers, and the format has room for no more")]
    TooManySegments(usize),
    /// It has nothing that is loaded, so that nothing can be put behind it.
    #[error("it has no loaded segment")]
    NothingLoaded,
    /// There is no room behind its last segment, in the file or in memory.
    #[error("its addresses leave no room for another segment")]
    NoRoom,
}

/// Gives the file the new `rpath` and `interpreter` (without NUL). On an error the image is as before.
///
/// `edit` says what was already changed; it is added to.
pub(super) fn grow(
    image: &mut impl ImageMut,
    elf: &Elf,
    rpath: Option<&[u8]>,
    interpreter: Option<&[u8]>,
    edit: &mut Edit,
) -> Result<(), GrowError> {
    let layout = elf.layout;
    let entry_size = layout.u16(image, layout.pick(54, 42)).unwrap_or(0);
    if usize::from(entry_size) != layout.segment_size() {
        return Err(GrowError::HeaderSize(entry_size));
    }
    let old_count = elf.segments.len();
    // 0xffff says that the count is elsewhere.
    let count = u16::try_from(old_count + 1).ok().filter(|&count| count < u16::MAX);
    let count = count.ok_or(GrowError::TooManySegments(old_count))?;
    let table_size = usize::from(count) * layout.segment_size();
    let block = in_the_way(elf, image);
    let (address, offset) = place(elf, image.size() as u64, block.is_some())?;
    let plan = Plan::new(image, elf, rpath, interpreter, table_size, block)?;
    plan.check(layout.wide, address, offset)?;
    let grown = apply(image, elf, &plan, address, offset, count, edit);
    // All places written were read before, and all values were checked to fit.
    debug_assert!(grown.is_some());
    grown.ok_or(GrowError::NoRoom)
}

/// The address and file offset of the new segment, both multiples of the page size.
fn place(elf: &Elf, file_end: u64, headers_stay: bool) -> Result<(u64, u64), GrowError> {
    let alignment = page_size(elf.machine);
    let up = |value: u64| value.checked_next_multiple_of(alignment).ok_or(GrowError::NoRoom);
    let loads = || elf.segments.iter().filter(|segment| segment.kind == PT_LOAD);
    let first = loads().next().ok_or(GrowError::NothingLoaded)?;
    let mut memory_end = 0;
    for segment in loads() {
        let end = segment.address.checked_add(segment.memory_size).ok_or(GrowError::NoRoom)?;
        memory_end = up(end)?.max(memory_end);
    }
    let free = up(file_end)?;
    if !headers_stay
        && (elf.fixed_address || elf.interpreter.is_some())
        && let Some(distance) = first.address.checked_sub(first.offset)
        && distance.is_multiple_of(alignment)
        && let Some(beside) = free.checked_add(distance)
    {
        let address = memory_end.max(beside);
        if address - distance - free <= LARGEST_HOLE {
            return Ok((address, address - distance));
        }
    }
    Ok((memory_end, free))
}

/// The largest page size of kernels for a machine, in bytes, as linkers assume it.
fn page_size(machine: u16) -> u64 {
    match machine {
        // MIPS, PowerPC, PowerPC64, AArch64, LoongArch.
        8 | 20 | 21 | 183 | 258 => 0x1_0000,
        // SPARC V9.
        43 => 0x10_0000,
        _ => 0x1000,
    }
}

/// The content of the new segment; ranges are within it.
struct Plan {
    content: Vec<u8>,
    /// The program headers, if they move.
    table: Option<Range<usize>>,
    interpreter: Option<Range<usize>>,
    /// Where in the old file what is in the way stands, and where its copy is.
    block: Option<(Range<usize>, Range<usize>)>,
    strings: Option<Strings>,
}

/// The copy of the string table.
struct Strings {
    table: Range<usize>,
    rpath: Range<usize>,
}

impl Plan {
    /// Lays out the segment. Its sections keep the order they had in the file, without which `strip` warns.
    fn new(
        image: &impl Image,
        elf: &Elf,
        rpath: Option<&[u8]>,
        interpreter: Option<&[u8]>,
        table_size: usize,
        block: Option<Range<usize>>,
    ) -> Result<Plan, GrowError> {
        // Ranges that were found by reading lie in the image; one that cannot be read now is the reader's failure.
        let part = |range: &Range<usize>| image.part(range.clone()).ok_or(GrowError::NoRoom);
        let mut content = Vec::new();
        let table = block.is_none().then(|| {
            content.resize(table_size, 0);
            0..table_size
        });
        let interpreter = interpreter.map(|new| append(&mut content, &[new, b"\0"]));
        let block = match block.filter(|block| !block.is_empty()) {
            Some(old) => {
                // As aligned as it was, whatever its parts ask for.
                let was_at = address_of(elf, old.start).unwrap_or(0) % 64;
                // The segment starts on a page.
                let is_at = content.len() as u64 % 64;
                content.resize(content.len() + ((64 + was_at - is_at) % 64) as usize, 0);
                let copy = append(&mut content, &[&part(&old)?]);
                Some((old, copy))
            }
            None => None,
        };
        let strings = match (rpath, &elf.strings, &elf.rpath) {
            (Some(new), Some(strings), Some(old)) => {
                content.resize(content.len().next_multiple_of(16), 0);
                let table = append(&mut content, &[&part(&strings.range)?, new, b"\0"]);
                // The old one may be the tail of other strings, which go on using it.
                let own = sharing::first_shared_byte(elf, image, strings, old).unwrap_or(old.range.len());
                let old_start = table.start + (old.range.start - strings.range.start);
                content[old_start..old_start + own].fill(0);
                Some(Strings { rpath: table.end - 1 - new.len()..table.end - 1, table })
            }
            _ => None,
        };
        let mut plan = Plan { content, table, interpreter, block, strings };
        // Strings that have a new place are blanked in the copy of the block, which may contain them.
        let blank = [
            plan.interpreter.is_some().then(|| elf.interpreter.clone()).flatten(),
            plan.strings.is_some().then(|| elf.rpath.as_ref().map(|rpath| rpath.range.clone())).flatten(),
        ];
        for range in blank.into_iter().flatten() {
            if let Some(copy) = plan.in_block(&range) {
                plan.content[copy].fill(0);
            }
        }
        Ok(plan)
    }

    /// Whether the segment's addresses and offsets can be written down.
    fn check(&self, wide: bool, address: u64, offset: u64) -> Result<(), GrowError> {
        let last = if wide { i64::MAX as u64 } else { u64::from(u32::MAX) };
        let size = self.content.len() as u64;
        let fits = |start: u64| start.checked_add(size).is_some_and(|end| end <= last);
        (fits(address) && fits(offset) && usize::try_from(offset + size).is_ok())
            .then_some(())
            .ok_or(GrowError::NoRoom)
    }

    /// Where a range of the old file is in the copy of the block, if it was in the way.
    fn in_block(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let (old, copy) = self.block.as_ref()?;
        (old.start <= range.start && range.end <= old.end)
            .then(|| copy.start + (range.start - old.start)..copy.start + (range.end - old.start))
    }
}

fn append(content: &mut Vec<u8>, parts: &[&[u8]]) -> Range<usize> {
    let start = content.len();
    parts.iter().for_each(|part| content.extend_from_slice(part));
    start..content.len()
}

/// Writes everything. `None` if a place or value is out of bounds, which the checks before exclude.
fn apply(
    image: &mut impl ImageMut,
    elf: &Elf,
    plan: &Plan,
    address: u64,
    offset: u64,
    count: u16,
    edit: &mut Edit,
) -> Option<()> {
    let layout = elf.layout;
    let start = usize::try_from(offset).ok()?;
    image.extend(start, &plan.content);
    edit.changed.push(start..image.size());
    edit.grown = true;

    // What is blanked comes first: the longer table goes over part of it.
    let mut blank: Vec<Range<usize>> = plan.block.iter().map(|(old, _)| old.clone()).collect();
    blank.extend(plan.interpreter.as_ref().and(elf.interpreter.clone()));
    blank.extend(plan.strings.as_ref().and(elf.rpath.as_ref()).map(|rpath| rpath.range.clone()));
    for range in blank {
        image.blank(&range)?;
        edit.changed.push(range);
    }
    let moved = |range: &Range<usize>| plan.in_block(range).map(|part| start + part.start..start + part.end);
    let settled: Vec<Range<usize>> = edit.settled.iter().filter_map(moved).collect();
    edit.settled.extend(settled);
    let new_strings = [plan.interpreter.clone(), plan.strings.as_ref().map(|strings| strings.rpath.clone())];
    edit.settled.extend(new_strings.into_iter().flatten().map(|part| start + part.start..start + part.end));

    let table_at = if plan.table.is_some() { start } else { elf.segments_at };
    for (index, segment) in segments(elf, plan, address, offset, count)?.iter().enumerate() {
        layout.put_segment(image, table_at + index * layout.segment_size(), segment)?;
    }
    edit.changed.push(table_at..table_at + usize::from(count) * layout.segment_size());
    layout.put_word(image, layout.pick(32, 28), table_at as u64)?;
    layout.put_u16(image, layout.pick(56, 44), count)?;
    edit.changed.push(0..layout.header_size());

    for (at, section) in &elf.sections {
        let Some(Range { start: old, end }) = file_range(section.offset, section.size) else { continue };
        let part = match (&plan.interpreter, &plan.strings) {
            // Both kinds of content have exactly one loaded section, if any.
            (Some(part), _) if section.address != 0 && starts_at(elf.interpreter.as_ref(), old) => {
                part.clone()
            }
            (_, Some(strings)) if section.address != 0 && is_string_table(elf, old, end) => {
                strings.table.clone()
            }
            _ => match plan.in_block(&(old..end)) {
                Some(part) if section.address != 0 => part,
                _ => continue,
            },
        };
        let (new_address, new_offset) = (address + part.start as u64, offset + part.start as u64);
        layout.move_section(image, *at, new_address, new_offset, part.len() as u64)?;
        edit.changed.push(*at..*at + layout.section_size());
    }
    // The addresses of what was in the way, which in_the_way says is in one segment.
    let block = plan.block.as_ref().and_then(|(old, copy)| Some((address_of(elf, old.start)?, copy)));
    for entry in &elf.dynamic {
        let value = match &plan.strings {
            Some(strings) if entry.tag == DT_STRTAB => address + strings.table.start as u64,
            Some(strings) if entry.tag == DT_STRSZ => strings.table.len() as u64,
            Some(strings) if elf.rpath.as_ref().is_some_and(|rpath| rpath.entry.at == entry.at) => {
                (strings.rpath.start - strings.table.start) as u64
            }
            _ if MOVABLE_TABLES.contains(&entry.tag) => {
                let within = |(old, copy): (u64, &Range<usize>)| {
                    let distance = entry.value.checked_sub(old)?;
                    (distance < copy.len() as u64).then(|| address + copy.start as u64 + distance)
                };
                match block.and_then(within) {
                    Some(value) => value,
                    None => continue,
                }
            }
            _ => continue,
        };
        let at = entry.at + layout.pick(8, 4);
        layout.put_word(image, at, value)?;
        edit.changed.push(at..at + layout.pick(8, 4));
    }
    Some(())
}

/// The program headers as they shall be, the new one after the last that is loaded.
fn segments(elf: &Elf, plan: &Plan, address: u64, offset: u64, count: u16) -> Option<Vec<Segment>> {
    let put = |segment: &mut Segment, part: &Range<usize>| {
        segment.offset = offset + part.start as u64;
        segment.address = address + part.start as u64;
        segment.physical_address = segment.address;
        segment.file_size = part.len() as u64;
        segment.memory_size = part.len() as u64;
    };
    let mut segments = elf.segments.clone();
    for segment in segments.iter_mut().filter(|segment| segment.kind != PT_LOAD) {
        if segment.kind == PT_PHDR {
            segment.file_size = u64::from(count) * elf.layout.segment_size() as u64;
            segment.memory_size = segment.file_size;
            plan.table.iter().for_each(|part| put(segment, part));
        } else if segment.kind == PT_INTERP && segment.file_size > 0 && plan.interpreter.is_some() {
            plan.interpreter.iter().for_each(|part| put(segment, part));
        } else if segment.file_size > 0 {
            // One that is not in the file at all is not in the way either.
            let part = file_range(segment.offset, segment.file_size).and_then(|old| plan.in_block(&old));
            part.iter().for_each(|part| put(segment, part));
        }
    }
    let mut load =
        Segment { kind: PT_LOAD, flags: PF_R, alignment: page_size(elf.machine), ..Segment::default() };
    put(&mut load, &(0..plan.content.len()));
    let behind = segments.iter().rposition(|segment| segment.kind == PT_LOAD)? + 1;
    segments.insert(behind, load);
    Some(segments)
}

fn starts_at(range: Option<&Range<usize>>, offset: usize) -> bool {
    range.is_some_and(|range| range.start == offset)
}

fn is_string_table(elf: &Elf, start: usize, end: usize) -> bool {
    elf.strings.as_ref().is_some_and(|strings| strings.range == (start..end))
}
