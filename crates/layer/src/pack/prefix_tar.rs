//! A prefix as a tar stream, scanned on the way.

use std::collections::HashMap;
use std::ffi::{CStr, OsString};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use super::prefix_search::PrefixSearch;
use super::scan::{FileScan, Relocation};
use super::tar_writer::TarWriter;
use super::walk::{Directory, Kind, Walk, absolute};
use super::{PackError, PackRequest, tar_name};
use crate::BuildInfo;

/// Where Spack keeps what it knows about the layer; relative to the prefix.
const BINARY_DISTRIBUTION: &[u8] = b".spack/binary_distribution";

/// Bytes read at once.
const READ: usize = 1 << 20;

/// What a tar stream was made of.
#[derive(Clone, Debug)]
pub struct TarContents {
    /// Entries, parent directories and `binary_distribution` included.
    pub entries: u64,
    /// What the `.spack/binary_distribution` in the stream says.
    pub build_info: BuildInfo,
}

/// Writes the prefix to `out` as an uncompressed tar stream: a layer before compression.
///
/// # Errors
/// [`PackError`]; what was written to `out` until then is of no use.
pub fn write_tar(request: PackRequest<'_>, out: impl Write) -> Result<TarContents, PackError> {
    let PackRequest { prefix, build_info, prefixes } = request;
    let name = tar_name(prefix)?;
    let search = PrefixSearch::new(&prefixes).map_err(|source| PackError::Prefixes { source })?;
    let walk = Walk::new(prefix)?;
    let mut packer = Packer {
        prefix,
        name,
        search,
        skipped: rustix::fs::statat(walk.root(), BINARY_DISTRIBUTION, AtFlags::SYMLINK_NOFOLLOW)
            .ok()
            .map(|stat| inode(&stat)),
        first_names: HashMap::new(),
        tar: TarWriter::new(out),
        buffer: vec![0; READ],
        build_info: BuildInfo {
            relocate_binaries: Vec::new(),
            relocate_links: Vec::new(),
            relocate_textfiles: Vec::new(),
            ..build_info
        },
    };
    packer.parents()?;
    for directory in walk {
        packer.directory(&directory?)?;
    }
    packer.finish()
}

/// Device and number: what makes two names one file.
type Inode = (u64, u64);

struct Packer<'a, W> {
    prefix: &'a Path,
    /// The prefix's name in the tar.
    name: Vec<u8>,
    search: PrefixSearch,
    /// The inode of the `binary_distribution` that is already there. Like Spack, leave it out under any name.
    skipped: Option<Inode>,
    /// The tar name under which a file with several links was packed.
    first_names: HashMap<Inode, Vec<u8>>,
    tar: TarWriter<W>,
    buffer: Vec<u8>,
    build_info: BuildInfo,
}

impl<W: Write> Packer<'_, W> {
    /// The directories that lead to the prefix, outermost first.
    fn parents(&mut self) -> Result<(), PackError> {
        for end in memchr::memchr_iter(b'/', &self.name) {
            let written = self.tar.directory(&self.name[..end]);
            written.map_err(|source| output_error(self.prefix, source))?;
        }
        Ok(())
    }

    fn directory(&mut self, directory: &Directory) -> Result<(), PackError> {
        let name = self.entry_name(&directory.relative);
        let written = self.tar.directory(&name);
        self.written(written)?;
        for (name, kind) in &directory.entries {
            let relative = directory.path_of(name);
            match kind {
                _ if relative == BINARY_DISTRIBUTION => {}
                Kind::Symlink => self.symlink(&directory.fd, name, relative)?,
                Kind::File => self.file(&directory.fd, name, relative)?,
            }
        }
        Ok(())
    }

    fn symlink(&mut self, directory: &OwnedFd, name: &CStr, relative: Vec<u8>) -> Result<(), PackError> {
        let target = rustix::fs::readlinkat(directory, name, Vec::new());
        let target = target.map_err(|errno| self.unreadable(&relative, errno.into()))?;
        let target = target.to_bytes();
        let entry = self.entry_name(&relative);
        let written = self.tar.symlink(&entry, target);
        self.written(written)?;
        if target.starts_with(b"/") && self.search.is_at_start(target) {
            self.build_info.relocate_links.push(OsString::from_vec(relative));
        }
        Ok(())
    }

    fn file(&mut self, directory: &OwnedFd, name: &CStr, relative: Vec<u8>) -> Result<(), PackError> {
        // Neither follow nor wait for whatever may have taken the file's place since its directory was read.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(directory, name, flags, Mode::empty());
        let file = opened.map_err(|errno| self.unreadable(&relative, errno.into()))?;
        let stat = rustix::fs::fstat(&file).map_err(|errno| self.unreadable(&relative, errno.into()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(PackError::NotRegular { path: absolute(self.prefix, &relative) });
        }
        let inode = inode(&stat);
        if self.skipped == Some(inode) {
            return Ok(());
        }
        let entry = self.entry_name(&relative);
        let mode = if stat.st_mode & 0o100 != 0 { 0o755 } else { 0o644 };
        if stat.st_nlink > 1 {
            if let Some(first) = self.first_names.get(&inode) {
                let written = self.tar.hard_link(&entry, first, mode);
                return self.written(written);
            }
            self.first_names.insert(inode, entry.clone());
        }
        let size = stat.st_size.cast_unsigned();
        let written = self.tar.start_file(&entry, mode, size);
        self.written(written)?;
        match self.content(&file, &relative, size)? {
            Relocation::None => {}
            Relocation::Binary => self.build_info.relocate_binaries.push(OsString::from_vec(relative)),
            Relocation::Text => self.build_info.relocate_textfiles.push(OsString::from_vec(relative)),
        }
        Ok(())
    }

    /// Copies the first `size` bytes of a file into the tar. As in Spack, a file that grows meanwhile is cut there.
    fn content(&mut self, file: &OwnedFd, relative: &[u8], size: u64) -> Result<Relocation, PackError> {
        let own = relative == b".spack" || relative.starts_with(b".spack/");
        let mut scan = FileScan::new(&self.search);
        let mut read = 0;
        while read < size {
            let wanted = usize::try_from(size - read).unwrap_or(READ).min(READ);
            let count = match rustix::io::read(file, &mut self.buffer[..wanted]) {
                Ok(0) => {
                    let path = absolute(self.prefix, relative);
                    return Err(PackError::Shrunk { path, expected: size, read });
                }
                Ok(count) => count,
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(self.unreadable(relative, errno.into())),
            };
            let piece = &self.buffer[..count];
            if !own {
                scan.feed(piece);
            }
            self.tar.data(piece).map_err(|source| output_error(self.prefix, source))?;
            read += count as u64;
        }
        let verdict = scan.finish();
        let written = self.tar.end_file();
        self.written(written)?;
        Ok(verdict)
    }

    /// The fresh `binary_distribution`, and the end.
    fn finish(mut self) -> Result<TarContents, PackError> {
        let yaml = self.build_info.to_yaml();
        let name = self.entry_name(BINARY_DISTRIBUTION);
        let prefix = self.prefix;
        let written = self
            .tar
            .start_file(&name, 0o644, yaml.len() as u64)
            .and_then(|()| self.tar.data(&yaml))
            .and_then(|()| self.tar.end_file());
        written.map_err(|source| output_error(prefix, source))?;
        let entries = self.tar.entries();
        self.tar.finish().map_err(|source| output_error(prefix, source))?;
        Ok(TarContents { entries, build_info: self.build_info })
    }

    fn entry_name(&self, relative: &[u8]) -> Vec<u8> {
        if relative.is_empty() { self.name.clone() } else { [&self.name, b"/".as_slice(), relative].concat() }
    }

    fn unreadable(&self, relative: &[u8], source: io::Error) -> PackError {
        PackError::Read { path: absolute(self.prefix, relative), source }
    }

    fn written(&self, result: io::Result<()>) -> Result<(), PackError> {
        result.map_err(|source| output_error(self.prefix, source))
    }
}

fn output_error(prefix: &Path, source: io::Error) -> PackError {
    PackError::Output { prefix: prefix.to_owned(), source }
}

// The fields' types differ between platforms.
#[allow(clippy::unnecessary_cast)]
fn inode(stat: &Stat) -> Inode {
    (stat.st_dev as u64, stat.st_ino as u64)
}
