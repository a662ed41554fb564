//! The bytes of an ELF file, in memory or still on disk.
//!
//! What relocation needs of an ELF file is little and lies apart: headers, the dynamic section, its strings and symbols. Of a
//! large file only that is read, and what is to be written is kept aside until somebody wants it written.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// How much of a file is read at a time for the sake of a few bytes.
const BLOCK: usize = 64 << 10;

/// Bytes that can be read anywhere. Everything answers `None` outside of them: offsets come from strangers.
pub(in crate::relocate) trait Image {
    /// How many bytes there are.
    fn size(&self) -> usize;

    /// Fills `into` with the bytes from `at` on, if there are as many.
    fn read(&self, at: usize, into: &mut [u8]) -> Option<()>;

    /// The bytes of a range.
    fn part(&self, range: Range<usize>) -> Option<Vec<u8>> {
        // Before so much memory is asked for.
        (range.start <= range.end && range.end <= self.size()).then_some(())?;
        let mut part = vec![0; range.len()];
        self.read(range.start, &mut part)?;
        Some(part)
    }

    /// Where in the range the first NUL is.
    fn first_nul(&self, range: Range<usize>) -> Option<usize> {
        let mut start = range.start;
        while start < range.end {
            let piece = self.part(start..range.end.min(start.saturating_add(BLOCK)))?;
            if let Some(at) = memchr::memchr(0, &piece) {
                return Some(start + at);
            }
            start += piece.len();
        }
        None
    }

    /// Where in the range the last NUL is.
    fn last_nul(&self, range: Range<usize>) -> Option<usize> {
        let mut end = range.end;
        while range.start < end {
            let start = range.start.max(end.saturating_sub(BLOCK));
            if let Some(at) = memchr::memrchr(0, &self.part(start..end)?) {
                return Some(start + at);
            }
            end = start;
        }
        None
    }
}

/// Bytes that can be replaced and added to.
pub(in crate::relocate) trait ImageMut: Image {
    /// Replaces the bytes from `at` on, if there are as many.
    fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()>;

    /// Makes the image end with `bytes`, which start at `at`; there are zeros before them.
    fn extend(&mut self, at: usize, bytes: &[u8]);

    /// Replaces a range by zeros.
    fn blank(&mut self, range: &Range<usize>) -> Option<()> {
        self.write(range.start, &vec![0; range.len()])
    }
}

impl Image for [u8] {
    fn size(&self) -> usize {
        self.len()
    }

    fn read(&self, at: usize, into: &mut [u8]) -> Option<()> {
        into.copy_from_slice(self.get(at..)?.get(..into.len())?);
        Some(())
    }

    fn first_nul(&self, range: Range<usize>) -> Option<usize> {
        let start = range.start;
        Some(start + memchr::memchr(0, self.get(range)?)?)
    }

    fn last_nul(&self, range: Range<usize>) -> Option<usize> {
        let start = range.start;
        Some(start + memchr::memrchr(0, self.get(range)?)?)
    }
}

impl Image for Vec<u8> {
    fn size(&self) -> usize {
        self.len()
    }

    fn read(&self, at: usize, into: &mut [u8]) -> Option<()> {
        self.as_slice().read(at, into)
    }

    fn first_nul(&self, range: Range<usize>) -> Option<usize> {
        self.as_slice().first_nul(range)
    }

    fn last_nul(&self, range: Range<usize>) -> Option<usize> {
        self.as_slice().last_nul(range)
    }
}

impl ImageMut for Vec<u8> {
    fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        self.get_mut(at..at.checked_add(bytes.len())?)?.copy_from_slice(bytes);
        Some(())
    }

    fn extend(&mut self, at: usize, bytes: &[u8]) {
        self.resize(at, 0);
        self.extend_from_slice(bytes);
    }
}

/// A file, with what is to be written to it.
pub(in crate::relocate) struct FileImage<'f> {
    file: &'f File,
    file_size: usize,
    size: usize,
    /// Offsets and bytes in the order of writing.
    writes: Vec<(usize, Vec<u8>)>,
    /// Offset and bytes of what was read last.
    block: RefCell<(usize, Vec<u8>)>,
    /// The first failure to read, after which everything is `None`.
    failure: RefCell<Option<io::Error>>,
}

impl<'f> FileImage<'f> {
    pub(in crate::relocate) fn new(file: &'f File) -> io::Result<FileImage<'f>> {
        let size = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Ok(FileImage {
            file,
            file_size: size,
            size,
            writes: Vec::new(),
            block: RefCell::default(),
            failure: RefCell::default(),
        })
    }

    /// What went wrong while reading: what was answered before is worth nothing then.
    pub(in crate::relocate) fn check(&self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Writes to the file what was written to the image.
    pub(in crate::relocate) fn flush(self) -> io::Result<()> {
        self.writes.iter().try_for_each(|(at, bytes)| self.file.write_all_at(bytes, *at as u64))
    }

    /// The image from its first byte to its last.
    pub(in crate::relocate) fn reader(&self) -> impl Read {
        ImageReader { image: self, at: 0 }
    }

    fn read_file(&self, mut at: usize, mut into: &mut [u8]) -> io::Result<()> {
        if into.len() >= BLOCK {
            return self.file.read_exact_at(into, at as u64);
        }
        let mut block = self.block.borrow_mut();
        while !into.is_empty() {
            let start = at - at % BLOCK;
            if block.0 != start || block.1.is_empty() {
                let (offset, bytes) = &mut *block;
                bytes.resize(BLOCK.min(self.file_size - start), 0);
                *offset = start;
                if let Err(error) = self.file.read_exact_at(bytes, start as u64) {
                    bytes.clear();
                    return Err(error);
                }
            }
            let known = &block.1[at - start..];
            let count = known.len().min(into.len());
            let (now, later) = into.split_at_mut(count);
            now.copy_from_slice(&known[..count]);
            at += count;
            into = later;
        }
        Ok(())
    }
}

impl Image for FileImage<'_> {
    fn size(&self) -> usize {
        self.size
    }

    fn read(&self, at: usize, into: &mut [u8]) -> Option<()> {
        let end = at.checked_add(into.len()).filter(|&end| end <= self.size)?;
        let in_file = self.file_size.clamp(at, end) - at;
        into[in_file..].fill(0);
        if let Err(error) = self.read_file(at, &mut into[..in_file]) {
            self.failure.borrow_mut().get_or_insert(error);
            return None;
        }
        for (start, bytes) in &self.writes {
            let (from, to) = (at.max(*start), end.min(start + bytes.len()));
            if from < to {
                into[from - at..to - at].copy_from_slice(&bytes[from - start..to - start]);
            }
        }
        Some(())
    }
}

impl ImageMut for FileImage<'_> {
    fn write(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        at.checked_add(bytes.len()).filter(|&end| end <= self.size)?;
        self.writes.push((at, bytes.to_vec()));
        Some(())
    }

    fn extend(&mut self, at: usize, bytes: &[u8]) {
        self.size = at + bytes.len();
        self.writes.push((at, bytes.to_vec()));
    }
}

struct ImageReader<'i, 'f> {
    image: &'i FileImage<'f>,
    at: usize,
}

impl Read for ImageReader<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.image.size - self.at);
        if self.image.read(self.at, &mut into[..count]).is_none() {
            self.image.check()?;
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_like_its_bytes_with_what_was_written_to_it() {
        let mut bytes: Vec<u8> = (0..2 * BLOCK + 100).map(|index| (index % 251) as u8 + 1).collect();
        bytes[BLOCK + 7] = 0;
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let mut image = FileImage::new(&file).unwrap();
        let agree = |image: &FileImage<'_>, bytes: &Vec<u8>| {
            for at in
                [0, BLOCK - 3, BLOCK, 2 * BLOCK - 1, 2 * BLOCK + 96, bytes.len() - 2, bytes.len(), usize::MAX]
            {
                for length in [0, 2, 8, BLOCK, BLOCK + 4] {
                    let range = at..at.saturating_add(length);
                    assert_eq!(image.part(range.clone()), bytes.part(range.clone()), "{range:?}");
                    assert_eq!(image.first_nul(range.clone()), bytes.first_nul(range.clone()), "{range:?}");
                    assert_eq!(image.last_nul(range.clone()), bytes.last_nul(range.clone()), "{range:?}");
                }
            }
            let mut content = Vec::new();
            image.reader().read_to_end(&mut content).unwrap();
            assert_eq!(&content, bytes);
        };
        agree(&image, &bytes);
        for (at, written) in [(BLOCK - 2, &[0, 9, 9, 9][..]), (BLOCK - 1, &[8]), (0, &[7; 70_000])] {
            image.write(at, written).unwrap();
            bytes.write(at, written).unwrap();
        }
        assert_eq!(image.write(bytes.len() - 1, &[1, 2]), None);
        let end = bytes.len() + BLOCK;
        image.extend(end, b"behind a hole");
        ImageMut::extend(&mut bytes, end, b"behind a hole");
        image.blank(&(end - 1..end + 3)).unwrap();
        bytes.blank(&(end - 1..end + 3)).unwrap();
        agree(&image, &bytes);
        image.flush().unwrap();
        agree(&FileImage::new(&file).unwrap(), &bytes);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_one_that_is_not_for_us() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(100).unwrap();
        let image = FileImage::new(&file).unwrap();
        file.set_len(50).unwrap();
        assert_eq!(image.part(60..70), None);
        assert!(image.check().is_err());
        assert_eq!(image.part(90..110), None);
        assert!(image.check().is_ok(), "nobody asked the file");
    }
}
