//! The tar of an archive: plain files of one owner, mode and time.

use std::io::{self, Seek, SeekFrom, Write};

use tar::{EntryType, Header};

/// Bytes of a header, and what files are padded to.
const BLOCK: u64 = 512;

/// What the whole tar is padded to.
const RECORD: u64 = 10_240;

/// Writes the tar of an archive. Names are ASCII of at most 100 bytes.
pub(super) struct TarFile<W> {
    output: W,
    offset: u64,
}

impl<W: Write> TarFile<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, offset: 0 }
    }

    /// A directory; `name` ends in a slash.
    pub(super) fn directory(&mut self, name: &str) -> io::Result<()> {
        let header = header(name, EntryType::Directory, 0)?;
        self.data(header.as_bytes())
    }

    /// A file in one piece.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.start_file(name, content.len() as u64)?;
        self.data(content)?;
        self.end_file()
    }

    /// The header of a file; `size` bytes through [`Self::data`] and one [`Self::end_file`] must follow.
    pub(super) fn start_file(&mut self, name: &str, size: u64) -> io::Result<()> {
        let header = header(name, EntryType::Regular, size)?;
        self.data(header.as_bytes())
    }

    /// A piece of a file's content.
    pub(super) fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.output.write_all(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Pads the content of a file to the next block.
    pub(super) fn end_file(&mut self) -> io::Result<()> {
        let padding = self.offset.wrapping_neg() % BLOCK;
        self.data(&[0; BLOCK as usize][..padding as usize])
    }

    /// Ends the tar: two empty blocks, then zeros to the end of the record.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let end = (self.offset + 2 * BLOCK).next_multiple_of(RECORD);
        while self.offset < end {
            self.data(&[0; BLOCK as usize])?;
        }
        self.output.flush()
    }
}

impl<W: Write + Seek> TarFile<W> {
    /// A file of which nobody knows the size before it is written: `content` gives it to this, by [`Self::data`], and the
    /// header is written once that is done.
    pub(super) fn file_of_any_size<E>(
        &mut self,
        name: &str,
        content: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> io::Result<Result<(), E>> {
        let start = self.offset;
        self.start_file(name, 0)?;
        if let Err(error) = content(self) {
            return Ok(Err(error));
        }
        let size = self.offset - start - BLOCK;
        self.end_file()?;
        let header = header(name, EntryType::Regular, size)?;
        // Relative, because the tar need not be at the start of what is written to.
        let back = i64::try_from(self.offset - start).map_err(io::Error::other)?;
        self.output.seek(SeekFrom::Current(-back))?;
        self.output.write_all(header.as_bytes())?;
        self.output.seek(SeekFrom::Current(back - BLOCK as i64))?;
        Ok(Ok(()))
    }
}

/// One ustar header. A size that its field cannot hold in octal digits is in it as a binary number, as GNU tar began to
/// write them and all readers of such archives read them: its length does not depend on the size.
fn header(name: &str, kind: EntryType, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An output that keeps headers and forgets what is in files.
    #[derive(Default)]
    struct Sparse {
        position: u64,
        kept: std::collections::BTreeMap<u64, Vec<u8>>,
    }

    impl Write for Sparse {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() == BLOCK as usize {
                self.kept.insert(self.position, bytes.to_vec());
            }
            self.position += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let SeekFrom::Current(by) = to else { return Err(io::ErrorKind::Unsupported.into()) };
            self.position = self.position.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
            Ok(self.position)
        }
    }

    #[test]
    fn the_size_is_filled_in_and_may_be_more_than_octal_digits_hold() {
        let piece = vec![7; 1 << 20];
        for pieces in [0_u64, 3, 9 << 10] {
            let mut sparse = Sparse::default();
            let mut tar = TarFile::new(&mut sparse);
            tar.file("before", b"x").unwrap();
            let written: io::Result<Result<(), ()>> = tar.file_of_any_size("large", |tar| {
                (0..pieces).try_for_each(|_| tar.data(&piece)).map_err(drop)?;
                tar.data(b"x").map_err(drop)
            });
            written.unwrap().unwrap();
            tar.file("after", b"y").unwrap();
            tar.finish().unwrap();
            let mut large = Header::new_old();
            large.as_mut_bytes().copy_from_slice(&sparse.kept[&1024]);
            assert_eq!(large.path_bytes(), &b"large"[..]);
            let size = (pieces << 20) + 1;
            assert_eq!(large.entry_size().unwrap(), size);
            let mut sum = large.clone();
            sum.set_cksum();
            assert_eq!(sum.cksum().unwrap(), large.cksum().unwrap());
            assert!(sparse.kept[&(1536 + size.next_multiple_of(512))].starts_with(b"after\0"));
            assert_eq!(sparse.position % RECORD, 0);
        }
    }
}
