//! A tar archive as a sequence of entries, with everything refused that readers disagree on.
//!
//! Headers are decoded by the `tar` crate. Walking over them is done here because that crate keeps extended
//! headers of any size in memory, splits their records at newlines instead of by length, and takes the end of
//! the stream for the end of the archive. POSIX.1-2001 (pax) and GNU long names are read; sparse files are
//! not.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tar::Header;

use super::error::{HardLinkProblem, UnpackError};
use super::extended::Extensions;
use super::name::{EntryName, NameProblem, printable};
use super::stream::{BLOCK, TarStream, read};
use crate::blocks::Blocks;

/// The most a pax header or a GNU long name may have, in bytes. Real ones have a few hundred.
const MAX_EXTENSION: u64 = 1 << 20;

/// An entry without its contents.
pub(crate) struct Entry {
    pub(crate) name: EntryName,
    pub(crate) kind: Kind,
}

/// What an entry is.
pub(crate) enum Kind {
    Directory,
    /// A regular file; executable if its owner may execute it. Its contents follow.
    File {
        executable: bool,
        size: u64,
    },
    /// The target is verbatim and may be anything but empty.
    Symlink {
        target: Vec<u8>,
    },
    HardLink {
        target: EntryName,
    },
}

/// The contents of a file, lent in pieces.
pub(crate) trait Body {
    /// The next bytes, as many as are at hand; empty at the end of the file.
    fn chunk(&mut self) -> Result<&[u8], UnpackError>;

    /// Moves on by `amount`, at most what [`Body::chunk`] gave last.
    fn consume(&mut self, amount: usize);

    /// The next bytes, which are consumed, as many as are at hand; empty at the end of the file. They are not copied.
    fn take(&mut self) -> Result<Bytes, UnpackError>;
}

impl Body for Bytes {
    fn chunk(&mut self) -> Result<&[u8], UnpackError> {
        Ok(self)
    }

    fn consume(&mut self, amount: usize) {
        self.advance(amount);
    }

    fn take(&mut self) -> Result<Bytes, UnpackError> {
        Ok(std::mem::take(self))
    }
}

/// A [`Body`] as a plain reader. An [`UnpackError`] becomes the inner error of an [`io::Error`].
pub(crate) struct BodyReader<'a>(pub(crate) &'a mut dyn Body);

impl Read for BodyReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let chunk = self.0.chunk().map_err(|error| match error {
            UnpackError::Read { source } => source,
            cut @ UnpackError::Truncated { .. } => io::Error::new(io::ErrorKind::UnexpectedEof, cut),
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        })?;
        let length = chunk.len().min(into.len());
        into[..length].copy_from_slice(&chunk[..length]);
        self.0.consume(length);
        Ok(length)
    }
}

/// The entries of an archive, in order.
pub(crate) struct Archive<'l> {
    stream: TarStream<'l>,
    /// Bytes of the current file that were not read.
    remaining: u64,
    /// Zeros between its end and the next header.
    padding: u64,
    ended: bool,
    /// The blocks that say what the current entry is, if they are wanted.
    headers: Option<Vec<u8>>,
}

impl<'l> Archive<'l> {
    pub(super) fn new(stream: TarStream<'l>) -> Self {
        Archive { stream, remaining: 0, padding: 0, ended: false, headers: None }
    }

    /// From now on [`Archive::headers`] has the blocks of each entry's headers.
    pub(crate) fn keep_headers(&mut self) {
        self.headers = Some(Vec::new());
    }

    /// The blocks before the contents of the entry that [`Archive::next`] gave last: its header and the extended ones that
    /// describe it. Global ones are left out: nothing here heeds them, and they would describe whatever follows. Empty
    /// unless they are kept.
    pub(crate) fn headers(&self) -> &[u8] {
        self.headers.as_deref().unwrap_or_default()
    }

    /// The next entry; none at the end-of-archive marker. What was not read of the file before is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, UnpackError> {
        if self.ended {
            return Ok(None);
        }
        self.stream.skip(self.remaining)?;
        self.stream.skip(self.padding)?;
        (self.remaining, self.padding) = (0, 0);
        self.headers.iter_mut().for_each(Vec::clear);
        let mut extensions = Extensions::default();
        loop {
            let offset = self.stream.position();
            let malformed = |reason: &str| UnpackError::Malformed { offset, reason: reason.to_owned() };
            self.stream.allow(BLOCK as u64, || "after the last".to_owned())?;
            let mut header = Header::new_old();
            if !self.stream.read_block(header.as_mut_bytes())? {
                return Err(UnpackError::Truncated { offset });
            }
            if header.as_bytes().iter().all(|byte| *byte == 0) {
                if !extensions.is_empty() {
                    return Err(malformed("an extended header describes no entry"));
                }
                self.ended = true;
                return Ok(None);
            }
            let checksum = checksum(&header);
            if header.cksum().ok() != Some(checksum) {
                return Err(malformed("its checksum is wrong"));
            }
            let size = size(&header).ok_or_else(|| malformed("its size is not a number"))?;
            let flag = header.as_old().linkflag[0];
            if matches!(flag, b'x' | b'g' | b'L' | b'K') {
                let data = self.extension(size, offset)?;
                if flag != b'g' {
                    self.keep(header.as_bytes());
                    self.keep(&data);
                    self.keep(&[0; BLOCK][..data.len().wrapping_neg() % BLOCK]);
                }
                extensions.add(flag, data).map_err(malformed)?;
                continue;
            }
            self.keep(header.as_bytes());
            return self.entry(&header, extensions, size, offset).map(Some);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.headers.iter_mut().for_each(|headers| headers.extend_from_slice(bytes));
    }

    fn entry(
        &mut self,
        header: &Header,
        extensions: Extensions,
        size: u64,
        offset: u64,
    ) -> Result<Entry, UnpackError> {
        let malformed = |reason: &str| UnpackError::Malformed { offset, reason: reason.to_owned() };
        let raw = extensions.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extensions.link.or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
        let size = extensions.size.unwrap_or(size);
        let named = |parsed: Result<EntryName, NameProblem>| {
            parsed.map_err(|problem| UnpackError::Name { entry: printable(&raw), problem })
        };
        let not_allowed = |kind: &str| UnpackError::Kind { entry: printable(&raw), kind: kind.to_owned() };
        let mode = || header.mode().map_err(|_| malformed("its mode is not a number"));
        let refuse_set_id = |mode: u32| match mode & 0o6000 {
            0 => Ok(mode),
            _ => Err(UnpackError::SetId { entry: printable(&raw), mode: mode & 0o7777 }),
        };

        if extensions.sparse {
            return Err(not_allowed("a sparse file"));
        }
        let (name, kind) = match header.as_old().linkflag[0] {
            // Before POSIX a directory was a file whose name ends in a slash.
            b'5' | 0 if header.as_old().linkflag[0] == b'5' || raw.ends_with(b"/") => {
                (named(EntryName::parse(&raw))?, Kind::Directory)
            }
            b'0' | 0 => {
                let name = named(EntryName::parse_file(&raw))?;
                let executable = refuse_set_id(mode()?)? & 0o100 != 0;
                (name, Kind::File { executable, size })
            }
            b'1' => {
                let name = named(EntryName::parse_file(&raw))?;
                refuse_set_id(mode()?)?;
                let link = link.unwrap_or_default();
                let target = EntryName::parse_file(&link).map_err(|problem| UnpackError::HardLink {
                    entry: name.to_string(),
                    target: printable(&link),
                    problem: HardLinkProblem::Name(problem),
                })?;
                (name, Kind::HardLink { target })
            }
            b'2' => {
                let name = named(EntryName::parse_file(&raw))?;
                let target = link.filter(|target| !target.is_empty() && !target.contains(&0));
                let target = target.ok_or_else(|| malformed("a symbolic link has no proper target"))?;
                (name, Kind::Symlink { target })
            }
            b'3' => return Err(not_allowed("a character device")),
            b'4' => return Err(not_allowed("a block device")),
            b'6' => return Err(not_allowed("a FIFO")),
            b'S' => return Err(not_allowed("a sparse file")),
            other => return Err(not_allowed(&format!("of unknown type {:?}", char::from(other)))),
        };
        // Some readers skip these bytes and some read headers there, so that they see different archives.
        if size != 0 && !matches!(kind, Kind::File { .. }) {
            return Err(malformed("an entry that is not a file has contents"));
        }
        let padding = size.wrapping_neg() % BLOCK as u64;
        self.stream.allow(size.saturating_add(padding), || name.to_string())?;
        (self.remaining, self.padding) = (size, padding);
        Ok(Entry { name, kind })
    }

    /// The data of the extended header at `offset`.
    fn extension(&mut self, size: u64, offset: u64) -> Result<Vec<u8>, UnpackError> {
        if size > MAX_EXTENSION {
            return Err(UnpackError::Malformed {
                offset,
                reason: format!("an extended header has {size} bytes, and {MAX_EXTENSION} are allowed"),
            });
        }
        let padding = size.wrapping_neg() % BLOCK as u64;
        self.stream.allow(size + padding, || "with an extended header".to_owned())?;
        let mut data = Vec::new();
        (self.remaining, self.padding) = (size, 0);
        while self.remaining > 0 {
            let chunk = self.chunk()?;
            data.extend_from_slice(chunk);
            let length = chunk.len();
            self.consume(length);
        }
        self.stream.skip(padding)?;
        Ok(data)
    }

    /// Reads what follows the archive to the end of the stream, and gives the diff id.
    pub(crate) fn finish(&mut self) -> Result<[u8; 32], UnpackError> {
        self.stream.finish()
    }

    /// Where the archive came from, once it is of no more use.
    pub(super) fn blocks(&mut self) -> &mut dyn Blocks {
        self.stream.blocks()
    }
}

/// The contents of the file that [`Archive::next`] gave last.
impl Body for Archive<'_> {
    fn chunk(&mut self) -> Result<&[u8], UnpackError> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let offset = self.stream.position();
        let chunk = self.stream.chunk(self.remaining).map_err(read)?;
        if chunk.is_empty() {
            return Err(UnpackError::Truncated { offset });
        }
        Ok(chunk)
    }

    fn consume(&mut self, amount: usize) {
        self.stream.consume(amount);
        self.remaining -= amount as u64;
    }

    fn take(&mut self) -> Result<Bytes, UnpackError> {
        let bytes = self.stream.take(self.remaining).map_err(read)?;
        if bytes.is_empty() && self.remaining > 0 {
            return Err(UnpackError::Truncated { offset: self.stream.position() });
        }
        self.remaining -= bytes.len() as u64;
        Ok(bytes)
    }
}

/// The sum of a header's bytes, those of the checksum itself counted as spaces.
fn checksum(header: &Header) -> u32 {
    let bytes = header.as_bytes();
    let sum = |part: &[u8]| part.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..])
}

/// The size field; none if it is not a number below 2⁶⁴. (The crate looks at the last eight bytes of a binary
/// one.)
fn size(header: &Header) -> Option<u64> {
    let field = &header.as_old().size;
    if field[0] & 0x80 != 0 && field[..4] != [0x80, 0, 0, 0] {
        return None;
    }
    header.entry_size().ok()
}
