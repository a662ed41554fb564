//! Reads of an ELF file what relocation needs: its segments, interpreter, dynamic entries and RPATH.
//!
//! The notion of what is *not for us* is Spack's: anything but ET_EXEC and ET_DYN, and whatever is malformed. Such
//! a file is left alone by this step (the C-string step still sees it), because packages carry broken and foreign
//! ELF files on purpose, as test data.

use std::ops::Range;

use super::image::Image;
use super::layout::{Layout, Section, Segment};

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
pub(super) const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
pub(super) const PT_INTERP: u32 = 3;
pub(super) const PT_PHDR: u32 = 6;
const DT_NULL: u64 = 0;
pub(super) const DT_NEEDED: u64 = 1;
pub(super) const DT_STRTAB: u64 = 5;
pub(super) const DT_STRSZ: u64 = 10;
pub(super) const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const SHT_STRTAB: u32 = 3;

/// An executable or shared library. Ranges are of file offsets and leave out the NUL of strings.
#[derive(Debug)]
pub(super) struct Elf {
    pub(super) layout: Layout,
    /// ET_EXEC, so that it is loaded at its own addresses, rather than ET_DYN.
    pub(super) fixed_address: bool,
    pub(super) machine: u16,
    /// File offset of the program headers.
    pub(super) segments_at: usize,
    pub(super) segments: Vec<Segment>,
    /// (file offset of the header, header), in file order; empty when they were stripped.
    pub(super) sections: Vec<(usize, Section)>,
    pub(super) interpreter: Option<Range<usize>>,
    pub(super) dynamic: Vec<DynamicEntry>,
    pub(super) strings: Option<StringTable>,
    pub(super) rpath: Option<Rpath>,
}

/// One entry of the dynamic section.
#[derive(Clone, Copy, Debug)]
pub(super) struct DynamicEntry {
    pub(super) tag: u64,
    pub(super) value: u64,
    /// Its file offset.
    pub(super) at: usize,
}

/// The string table of the dynamic section.
#[derive(Clone, Debug)]
pub(super) struct StringTable {
    pub(super) range: Range<usize>,
}

/// The one DT_RPATH or DT_RUNPATH.
#[derive(Clone, Debug)]
pub(super) struct Rpath {
    pub(super) entry: DynamicEntry,
    pub(super) range: Range<usize>,
}

impl Elf {
    /// Parses `image`; `None` means the file is not for us.
    pub(super) fn parse(image: &(impl Image + ?Sized)) -> Option<Elf> {
        let layout = Layout::of(image)?;
        if image.size() < layout.header_size() {
            return None;
        }
        let fixed_address = match layout.u16(image, 16)? {
            ET_EXEC => true,
            ET_DYN => false,
            _ => return None,
        };
        let segments_at = usize::try_from(layout.word(image, layout.pick(32, 28))?).ok()?;
        let count = usize::from(layout.u16(image, layout.pick(56, 44))?);
        let table = image.part(segments_at..segments_at.checked_add(count * layout.segment_size())?)?;
        let segments: Vec<Segment> = (0..count)
            .map(|index| layout.segment(&table, index * layout.segment_size()))
            .collect::<Option<_>>()?;
        let mut elf = Elf {
            layout,
            fixed_address,
            machine: layout.u16(image, 18)?,
            segments_at,
            segments,
            sections: sections(layout, image),
            interpreter: None,
            dynamic: Vec::new(),
            strings: None,
            rpath: None,
        };
        if let Some(segment) = elf.last_of(PT_INTERP) {
            let range = file_range(image, segment.offset, segment.file_size)?;
            elf.interpreter = Some(c_string(image, range.start, range.end)?);
        }
        if let Some(segment) = elf.last_of(PT_DYNAMIC)
            && elf.last_of(PT_LOAD).is_some()
        {
            elf.parse_dynamic(image, &segment)?;
        }
        Some(elf)
    }

    /// The last segment of a kind that is not empty in the file. An empty one counts as absent: files with
    /// detached debug information keep headers without content.
    pub(super) fn last_of(&self, kind: u32) -> Option<Segment> {
        self.segments.iter().rfind(|segment| segment.kind == kind && segment.file_size > 0).copied()
    }

    fn parse_dynamic(&mut self, image: &(impl Image + ?Sized), segment: &Segment) -> Option<()> {
        let layout = self.layout;
        let start = usize::try_from(segment.offset).ok()?;
        let count = usize::try_from(segment.file_size).ok()? / layout.dynamic_size();
        for index in 0..count {
            let at = start.checked_add(index * layout.dynamic_size())?;
            let tag = layout.word(image, at)?;
            let value = layout.word(image, at + layout.pick(8, 4))?;
            if tag == DT_NULL {
                break;
            }
            self.dynamic.push(DynamicEntry { tag, value, at });
        }
        let mut rpaths = self.dynamic.iter().filter(|entry| matches!(entry.tag, DT_RPATH | DT_RUNPATH));
        let rpath = rpaths.next().copied();
        if rpaths.next().is_some() {
            return None;
        }
        let mut tables = self.dynamic.iter().filter(|entry| entry.tag == DT_STRTAB);
        let address = tables.next()?.value;
        if tables.next().is_some() {
            return None;
        }
        let named: Vec<u64> = self
            .dynamic
            .iter()
            .filter(|entry| matches!(entry.tag, DT_NEEDED | DT_SONAME | DT_RPATH | DT_RUNPATH))
            .map(|entry| entry.value)
            .collect();
        if named.is_empty() {
            return Some(());
        }
        let offset = self.offset_of(address)?;
        // Spack asks the section headers alone for the size and leaves a file without them to the C-string step,
        // which cannot drop or lengthen an RPATH. DT_STRSZ says the same and is always there.
        let by_section = self
            .sections
            .iter()
            .find(|(_, section)| section.kind == SHT_STRTAB && section.offset == offset)
            .map(|(_, section)| section.size);
        let size = by_section.or_else(|| self.value_of(DT_STRSZ))?;
        let range = file_range(image, offset, size)?;
        // Every string in the table ends if the one that begins last does. Looking for the end of each would take
        // hours if millions of entries name strings of many MiB.
        let last = usize::try_from(named.into_iter().max()?).ok()?;
        c_string(image, range.start.checked_add(last)?, range.end)?;
        self.rpath = match rpath {
            Some(entry) => {
                let start = range.start.checked_add(usize::try_from(entry.value).ok()?)?;
                Some(Rpath { entry, range: c_string(image, start, range.end)? })
            }
            None => None,
        };
        self.strings = Some(StringTable { range });
        Some(())
    }

    /// The value of the first dynamic entry with this tag.
    pub(super) fn value_of(&self, tag: u64) -> Option<u64> {
        self.dynamic.iter().find(|entry| entry.tag == tag).map(|entry| entry.value)
    }

    /// The file offset of a virtual address: by the loaded segment with the greatest address not above it.
    pub(super) fn offset_of(&self, address: u64) -> Option<u64> {
        let segment = self
            .segments
            .iter()
            .filter(|segment| segment.kind == PT_LOAD && segment.file_size > 0 && segment.address <= address)
            .max_by_key(|segment| segment.address)?;
        segment.offset.checked_add(address - segment.address)
    }
}

/// The section headers with their file offsets; none if the table is absent or does not lie in the file.
fn sections(layout: Layout, image: &(impl Image + ?Sized)) -> Vec<(usize, Section)> {
    let table = || {
        let at = usize::try_from(layout.word(image, layout.pick(40, 32))?).ok()?;
        let count = usize::from(layout.u16(image, layout.pick(60, 48))?);
        let table = image.part(at..at.checked_add(count * layout.section_size())?)?;
        (0..count)
            .map(|index| {
                let header = index * layout.section_size();
                Some((at + header, layout.section(&table, header)?))
            })
            .collect::<Option<Vec<_>>>()
    };
    table().unwrap_or_default()
}

/// `size` bytes from `offset`, if they lie in the file.
fn file_range(image: &(impl Image + ?Sized), offset: u64, size: u64) -> Option<Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    (end <= image.size()).then_some(start..end)
}

/// The string at `start` whose NUL lies before `end`.
fn c_string(image: &(impl Image + ?Sized), start: usize, end: usize) -> Option<Range<usize>> {
    Some(start..image.first_nul(start..end)?)
}
