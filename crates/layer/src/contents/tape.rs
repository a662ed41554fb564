//! The entries of a tar that anybody may have written, with what readers disagree on read as Go's `archive/tar` does, which
//! is what container engines unpack with.

use std::io::{self, BufRead, ErrorKind, Read};

use tar::Header;

use super::EntryKind;
use crate::pack::BLOCK;
use crate::unpack::{PaxRecords, decimal};

/// The most a pax header or a GNU long name may have, in bytes; Go's limit.
const MAX_EXTENSION: u64 = 1 << 20;

/// A tar, as a reader of the contents of the current entry.
pub(super) struct Tape<R> {
    inner: R,
    position: u64,
    /// Bytes of the current entry that were not read.
    remaining: u64,
    /// Bytes between its end and the next header.
    padding: u64,
    ended: bool,
}

/// What the extended headers before an entry say of it; the last word counts.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    /// The name of a sparse file whose `path` is that of a part.
    sparse_name: Option<Vec<u8>>,
}

impl<R: BufRead> Tape<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, position: 0, remaining: 0, padding: 0, ended: false }
    }

    /// The reader given.
    pub(super) fn inner(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Name and kind of the next entry; none at the end, which is the end of the stream too.
    pub(super) fn next(&mut self) -> io::Result<Option<(Vec<u8>, EntryKind)>> {
        self.skip(self.remaining)?;
        self.skip(self.padding)?;
        (self.remaining, self.padding) = (0, 0);
        let mut extended = Extended::default();
        loop {
            let offset = self.position;
            let mut header = Header::new_old();
            // A missing end marker is forgiven by everybody; half a header is not.
            if self.ended
                || !self.block(header.as_mut_bytes())?
                || header.as_bytes().iter().all(|byte| *byte == 0)
            {
                self.ended = true;
                while !self.chunk()?.is_empty() {
                    let length = self.chunk()?.len();
                    self.consume(length);
                }
                return Ok(None);
            }
            if !checksum_is_right(&header) {
                return Err(if offset == 0 {
                    invalid("it is no layer: neither a tar, nor compressed with gzip or zstd".to_owned())
                } else {
                    malformed(offset, "its checksum is wrong")
                });
            }
            let size = size(&header).ok_or_else(|| malformed(offset, "its size is not a number"))?;
            match header.as_old().linkflag[0] {
                b'g' => self.skip_padded(size)?,
                flag @ (b'x' | b'L' | b'K') => {
                    let data = self.extension(size, offset)?;
                    extended.add(flag, data).map_err(|reason| malformed(offset, reason))?;
                }
                flag => return self.entry(flag, &header, extended, size).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        flag: u8,
        header: &Header,
        extended: Extended,
        size: u64,
    ) -> io::Result<(Vec<u8>, EntryKind)> {
        let path = extended.sparse_name.or(extended.path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extended.link.or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
        let link = link.unwrap_or_default();
        let mut size = extended.size.unwrap_or(size);
        let kind = match flag {
            b'5' => EntryKind::Directory,
            // Before POSIX a directory was a file whose name ends in a slash.
            b'0' | 0 if path.ends_with(b"/") => EntryKind::Directory,
            b'0' | 0 | b'7' if !extended.sparse => EntryKind::File { size },
            b'1' => EntryKind::HardLink(clean(&link)),
            b'2' => EntryKind::Symlink(link),
            _ => EntryKind::Other,
        };
        if flag == b'S' {
            self.skip_sparse_map(header)?;
        }
        // Some writers give these the size of what they link to, and no contents.
        if matches!(flag, b'1'..=b'6') {
            size = 0;
        }
        (self.remaining, self.padding) = (size, padding(size));
        Ok((clean(&path), kind))
    }

    /// Skips the blocks in which GNU tar goes on with the map of a sparse file that has many holes.
    fn skip_sparse_map(&mut self, header: &Header) -> io::Result<()> {
        let mut continued = header.as_bytes()[482] != 0;
        let mut block = [0; BLOCK];
        while continued {
            if !self.block(&mut block)? {
                return Err(cut(self.position));
            }
            continued = block[504] != 0;
        }
        Ok(())
    }

    /// The data of the extended header at `offset`.
    fn extension(&mut self, size: u64, offset: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            let reason = format!("an extended header has {size} bytes, and {MAX_EXTENSION} are allowed");
            return Err(malformed(offset, &reason));
        }
        self.remaining = size;
        let mut data = Vec::new();
        self.read_to_end(&mut data)?;
        self.skip(padding(size))?;
        Ok(data)
    }

    fn skip_padded(&mut self, size: u64) -> io::Result<()> {
        self.skip(size)?;
        self.skip(padding(size))
    }

    /// Fills `block`; false if the stream ends before its first byte.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            let chunk = self.chunk()?;
            let length = chunk.len().min(BLOCK - filled);
            if length == 0 {
                return if filled == 0 { Ok(false) } else { Err(cut(self.position)) };
            }
            block[filled..filled + length].copy_from_slice(&chunk[..length]);
            self.consume(length);
            filled += length;
        }
        Ok(true)
    }

    fn skip(&mut self, mut amount: u64) -> io::Result<()> {
        while amount > 0 {
            let available = self.chunk()?.len();
            if available == 0 {
                return Err(cut(self.position));
            }
            let length = usize::try_from(amount).unwrap_or(usize::MAX).min(available);
            self.consume(length);
            amount -= length as u64;
        }
        Ok(())
    }

    /// The next bytes of the tar; none at its end.
    fn chunk(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.inner.fill_buf() {
                // Asked again below, because of the borrow; that costs nothing while bytes are buffered.
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.position += amount as u64;
    }
}

/// The contents of the entry that [`Tape::next`] gave last.
impl<R: BufRead> Read for Tape<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(into.len());
        if wanted == 0 {
            return Ok(0);
        }
        let chunk = self.chunk()?;
        let length = chunk.len().min(wanted);
        if length == 0 {
            return Err(cut(self.position));
        }
        into[..length].copy_from_slice(&chunk[..length]);
        self.consume(length);
        self.remaining -= length as u64;
        Ok(length)
    }
}

impl Extended {
    /// Takes the data of an extended header of type `flag`: `x`, `L` or `K`.
    fn add(&mut self, flag: u8, mut data: Vec<u8>) -> Result<(), &'static str> {
        if flag != b'x' {
            data.truncate(data.iter().position(|byte| *byte == 0).unwrap_or(data.len()));
            *(if flag == b'L' { &mut self.path } else { &mut self.link }) = Some(data);
            return Ok(());
        }
        for record in PaxRecords(&data) {
            let (key, value) = record?;
            // An empty value takes back what was said before.
            let text = || Some(value.to_vec()).filter(|value| !value.is_empty());
            match key {
                b"path" => self.path = text(),
                b"linkpath" => self.link = text(),
                b"size" if value.is_empty() => self.size = None,
                b"size" => {
                    let size = decimal(value).filter(|size| *size <= i64::MAX.unsigned_abs());
                    self.size = Some(size.ok_or("a pax size is not a number")?);
                }
                b"GNU.sparse.name" => (self.sparse, self.sparse_name) = (true, text()),
                _ => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(())
    }
}

/// A name as components joined by `/`, none of them ``, `.` or `..`: taken from the root, as it will be unpacked.
fn clean(raw: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(raw.len());
    for component in raw.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => name.truncate(memchr::memrchr(b'/', &name).unwrap_or(0)),
            _ => {
                if !name.is_empty() {
                    name.push(b'/');
                }
                name.extend_from_slice(component);
            }
        }
    }
    name
}

/// Whether a header has its checksum, of which some old writers took the bytes for signed.
fn checksum_is_right(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let summed = || bytes[..148].iter().chain(&[b' '; 8]).chain(&bytes[156..]);
    let unsigned = summed().map(|byte| i64::from(*byte)).sum::<i64>();
    let signed = summed().map(|byte| i64::from(byte.cast_signed())).sum::<i64>();
    header.cksum().is_ok_and(|stated| [unsigned, signed].contains(&i64::from(stated)))
}

/// The size field, which some leave empty where there is nothing.
fn size(header: &Header) -> Option<u64> {
    if header.as_old().size.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Some(0);
    }
    header.entry_size().ok().filter(|size| *size <= i64::MAX.unsigned_abs())
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn cut(offset: u64) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, format!("the tar is cut short: it ends at byte {offset}"))
}

fn malformed(offset: u64, reason: &str) -> io::Error {
    invalid(format!("the tar is malformed: {reason}, in the header at byte {offset}"))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_the_root() {
        for (raw, name) in [
            ("./usr/lib/", "usr/lib"),
            ("/usr//lib", "usr/lib"),
            ("usr/./lib/../bin", "usr/bin"),
            ("../../etc/passwd", "etc/passwd"),
            ("a/../..", ""),
            ("./", ""),
            ("..a/...", "..a/..."),
        ] {
            assert_eq!(clean(raw.as_bytes()), name.as_bytes(), "{raw}");
        }
    }
}
