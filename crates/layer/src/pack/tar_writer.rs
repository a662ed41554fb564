//! A tar stream, byte for byte as Python's `tarfile` writes it in its default (PAX) format.
//!
//! Entries are what Spack makes of them: uid, gid and mtime 0, no owner names. A name that does not fit the
//! ustar header, or is not ASCII, goes into a PAX extended header before the entry, and the ustar field holds
//! what `tarfile` leaves there: the first 100 characters with `?` for each that is not ASCII. The ustar `prefix`
//! field is never used. Formats: POSIX.1-2017 `pax`; what is left open there is taken from CPython 3.11.

use std::io::{self, Write};

use super::names::{FIRST_ESCAPE, LAST_ESCAPE, code_points};

/// Bytes in a header, and what the content of a file is padded to.
pub(crate) const BLOCK: usize = 512;

/// What the whole stream is padded to.
pub(crate) const RECORD: u64 = 10_240;

/// Characters that fit the `name` and `linkname` fields.
const NAME_FIELD: usize = 100;

/// The first size that eleven octal digits cannot hold.
const SIZE_LIMIT: u64 = 8 << 30;

const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Writes entries to `output` in the order they come.
pub(crate) struct TarWriter<W> {
    output: W,
    /// Bytes written so far.
    offset: u64,
    entries: u64,
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(output: W) -> Self {
        Self { output, offset: 0, entries: 0 }
    }

    /// How many entries were written; extended headers do not count.
    pub(crate) fn entries(&self) -> u64 {
        self.entries
    }

    /// A directory; `name` has no trailing slash.
    pub(crate) fn directory(&mut self, name: &[u8]) -> io::Result<()> {
        let mut slashed = Vec::with_capacity(name.len() + 1);
        slashed.extend_from_slice(name);
        slashed.push(b'/');
        self.header(b'5', &slashed, b"", 0o755, 0)
    }

    /// A symbolic link with `target` verbatim.
    pub(crate) fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.header(b'2', name, target, 0o755, 0)
    }

    /// A second name of the entry named `first`.
    pub(crate) fn hard_link(&mut self, name: &[u8], first: &[u8], mode: u32) -> io::Result<()> {
        self.header(b'1', name, first, mode, 0)
    }

    /// The header of a regular file; `size` bytes through [`Self::data`] and one [`Self::end_file`] must follow.
    pub(crate) fn start_file(&mut self, name: &[u8], mode: u32, size: u64) -> io::Result<()> {
        self.header(b'0', name, b"", mode, size)
    }

    /// A piece of a file's content.
    pub(crate) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Pads the content of a file to the next block.
    pub(crate) fn end_file(&mut self) -> io::Result<()> {
        let past = (self.offset % BLOCK as u64) as usize;
        if past == 0 { Ok(()) } else { self.data(&ZEROS[past..]) }
    }

    /// Ends the stream: two empty blocks, then zeros to the end of the record.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.data(&ZEROS)?;
        self.data(&ZEROS)?;
        while !self.offset.is_multiple_of(RECORD) {
            self.data(&ZEROS)?;
        }
        Ok(self.output)
    }

    fn header(&mut self, kind: u8, name: &[u8], link: &[u8], mode: u32, size: u64) -> io::Result<()> {
        let mut records = Records::default();
        if needs_record(name) {
            records.push("path", name);
        }
        if needs_record(link) {
            records.push("linkpath", link);
        }
        let mut field_size = size;
        if size >= SIZE_LIMIT {
            records.push("size", size.to_string().as_bytes());
            field_size = 0;
        }
        if let Some(records) = records.finish() {
            self.data(&block(b'x', b"././@PaxHeader", b"", 0, records.len() as u64))?;
            self.data(&records)?;
            self.end_file()?;
        }
        self.entries += 1;
        self.data(&block(kind, name, link, mode, field_size))
    }
}

/// Whether `tarfile` puts `value` into an extended header: too long for its field, or not ASCII.
fn needs_record(value: &[u8]) -> bool {
    !value.is_ascii() || value.len() > NAME_FIELD
}

/// The records of one PAX extended header.
#[derive(Default)]
struct Records {
    bytes: Vec<u8>,
    undecodable: bool,
}

impl Records {
    fn push(&mut self, keyword: &str, value: &[u8]) {
        self.undecodable |= code_points(value).any(|c| (FIRST_ESCAPE..=LAST_ESCAPE).contains(&c));
        let rest = keyword.len() + value.len() + 3; // space, `=` and newline
        // The length counts its own digits; one more digit can push it over the next power of ten.
        let mut length = rest;
        while rest + length.to_string().len() != length {
            length = rest + length.to_string().len();
        }
        self.bytes.extend_from_slice(format!("{length} {keyword}=").as_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'\n');
    }

    /// The content of the header, or nothing if there is nothing to say. If any value is not UTF-8, all are
    /// declared to be raw bytes, which is what they are either way.
    fn finish(self) -> Option<Vec<u8>> {
        if self.undecodable {
            return Some([b"21 hdrcharset=BINARY\n", self.bytes.as_slice()].concat());
        }
        (!self.bytes.is_empty()).then_some(self.bytes)
    }
}

/// One ustar header.
fn block(kind: u8, name: &[u8], link: &[u8], mode: u32, size: u64) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    text(&mut header[0..100], name);
    octal(&mut header[100..108], u64::from(mode));
    octal(&mut header[108..116], 0); // uid
    octal(&mut header[116..124], 0); // gid
    octal(&mut header[124..136], size);
    octal(&mut header[136..148], 0); // mtime
    header[148..156].fill(b' '); // the checksum counts its own field as spaces
    header[156] = kind;
    text(&mut header[157..257], link);
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    octal(&mut header[148..155], sum);
    header
}

/// Fills `field` with the characters of `value` that fit, `?` for those that are not ASCII.
fn text(field: &mut [u8], value: &[u8]) {
    for (slot, point) in field.iter_mut().zip(code_points(value)) {
        *slot = u8::try_from(point).ok().filter(u8::is_ascii).unwrap_or(b'?');
    }
}

/// Fills `field` with `value` in octal digits and a NUL. The callers' values fit.
fn octal(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for slot in field[..digits].iter_mut().rev() {
        *slot = b'0' + (value & 7) as u8;
        value >>= 3;
    }
    field[digits] = 0;
}

#[cfg(test)]
mod tests;
