//! Where the fields of ELF structures lie, for both classes and byte orders.
//!
//! Source: System V ABI, chapters 4 and 5 (gABI), "ELF Header", "Section Header", "Program Header", "Dynamic
//! Section". Offsets and addresses are `u64` for both classes. Every read and write is bounds-checked and answers
//! `None` outside the file: the bytes come from strangers.

use super::image::{Image, ImageMut};

/// The class (32 or 64 bits) and byte order of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) wide: bool,
    pub(super) big_endian: bool,
}

/// A program header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) physical_address: u64,
    pub(super) file_size: u64,
    pub(super) memory_size: u64,
    pub(super) alignment: u64,
}

/// The fields of a section header that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Layout {
    /// The layout that `e_ident` declares, if the bytes start like an ELF file.
    pub(super) fn of(image: &(impl Image + ?Sized)) -> Option<Layout> {
        let bytes: [u8; 16] = field(image, 0)?;
        if !bytes.starts_with(b"\x7fELF") {
            return None;
        }
        let wide = match bytes[4] {
            1 => false,
            2 => true,
            _ => return None,
        };
        let big_endian = match bytes[5] {
            1 => false,
            2 => true,
            _ => return None,
        };
        Some(Layout { wide, big_endian })
    }

    /// The value for 64-bit files or that for 32-bit files.
    pub(super) fn pick(self, wide: usize, narrow: usize) -> usize {
        if self.wide { wide } else { narrow }
    }

    pub(super) fn header_size(self) -> usize {
        self.pick(64, 52)
    }

    pub(super) fn segment_size(self) -> usize {
        self.pick(56, 32)
    }

    pub(super) fn section_size(self) -> usize {
        self.pick(64, 40)
    }

    pub(super) fn dynamic_size(self) -> usize {
        self.pick(16, 8)
    }

    pub(super) fn symbol_size(self) -> usize {
        self.pick(24, 16)
    }

    pub(super) fn u16(self, image: &(impl Image + ?Sized), at: usize) -> Option<u16> {
        let field = field(image, at)?;
        Some(if self.big_endian { u16::from_be_bytes(field) } else { u16::from_le_bytes(field) })
    }

    pub(super) fn u32(self, image: &(impl Image + ?Sized), at: usize) -> Option<u32> {
        let field = field(image, at)?;
        Some(if self.big_endian { u32::from_be_bytes(field) } else { u32::from_le_bytes(field) })
    }

    /// An address, offset or size: 8 bytes in 64-bit files, 4 in 32-bit files.
    pub(super) fn word(self, image: &(impl Image + ?Sized), at: usize) -> Option<u64> {
        if !self.wide {
            return self.u32(image, at).map(u64::from);
        }
        let field = field(image, at)?;
        Some(if self.big_endian { u64::from_be_bytes(field) } else { u64::from_le_bytes(field) })
    }

    pub(super) fn put_u16(self, image: &mut impl ImageMut, at: usize, value: u16) -> Option<()> {
        let field = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        image.write(at, &field)
    }

    pub(super) fn put_u32(self, image: &mut impl ImageMut, at: usize, value: u32) -> Option<()> {
        let field = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        image.write(at, &field)
    }

    /// `None` also if the value does not fit into a 32-bit file's field.
    pub(super) fn put_word(self, image: &mut impl ImageMut, at: usize, value: u64) -> Option<()> {
        if !self.wide {
            return self.put_u32(image, at, u32::try_from(value).ok()?);
        }
        let field = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        image.write(at, &field)
    }

    pub(super) fn segment(self, image: &(impl Image + ?Sized), at: usize) -> Option<Segment> {
        let word = |wide, narrow| self.word(image, at + self.pick(wide, narrow));
        Some(Segment {
            kind: self.u32(image, at)?,
            flags: self.u32(image, at + self.pick(4, 24))?,
            offset: word(8, 4)?,
            address: word(16, 8)?,
            physical_address: word(24, 12)?,
            file_size: word(32, 16)?,
            memory_size: word(40, 20)?,
            alignment: word(48, 28)?,
        })
    }

    pub(super) fn put_segment(self, image: &mut impl ImageMut, at: usize, segment: &Segment) -> Option<()> {
        self.put_u32(image, at, segment.kind)?;
        self.put_u32(image, at + self.pick(4, 24), segment.flags)?;
        let fields = [
            (8, 4, segment.offset),
            (16, 8, segment.address),
            (24, 12, segment.physical_address),
            (32, 16, segment.file_size),
            (40, 20, segment.memory_size),
            (48, 28, segment.alignment),
        ];
        fields
            .iter()
            .try_for_each(|&(wide, narrow, value)| self.put_word(image, at + self.pick(wide, narrow), value))
    }

    pub(super) fn section(self, image: &(impl Image + ?Sized), at: usize) -> Option<Section> {
        let word = |wide, narrow| self.word(image, at + self.pick(wide, narrow));
        Some(Section {
            kind: self.u32(image, at + 4)?,
            flags: word(8, 8)?,
            address: word(16, 12)?,
            offset: word(24, 16)?,
            size: word(32, 20)?,
        })
    }

    /// Writes address, offset and size of the section header at `at`; its other fields stay.
    pub(super) fn move_section(
        self,
        image: &mut impl ImageMut,
        at: usize,
        address: u64,
        offset: u64,
        size: u64,
    ) -> Option<()> {
        self.put_word(image, at + self.pick(16, 12), address)?;
        self.put_word(image, at + self.pick(24, 16), offset)?;
        self.put_word(image, at + self.pick(32, 20), size)
    }
}

fn field<const SIZE: usize>(image: &(impl Image + ?Sized), at: usize) -> Option<[u8; SIZE]> {
    let mut field = [0; SIZE];
    image.read(at, &mut field)?;
    Some(field)
}
