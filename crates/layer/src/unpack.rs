//! Layer → files.
//!
//! A layer is a compressed tar of one install prefix under its full path, from a registry that may be anybody's.
//! What is read is counted, hashed and checked; what is written stays in the directory given. Which directory
//! of the layer is the prefix is said by the path of `.spack/binary_distribution`, by convention the last
//! entry. Relocating and recording what was unpacked are left to others.
//!
//! Refused are names that are absolute or have `..`, files outside the prefix, hard links to anything but a
//! file that the layer gave before, entries below a symbolic link, devices and FIFOs, set-user-id and
//! set-group-id files, a second entry of the same name (a directory may be listed again), and whatever tar
//! readers would understand differently. Symbolic links may point anywhere: nothing follows them here.

mod archive;
mod error;
mod extended;
mod name;
mod names;
pub(crate) mod notes;
mod peek;
mod promote;
mod stream;
mod tree;
mod visit;
mod writers;

use std::error::Error as StdError;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;

pub use error::{HardLinkProblem, UnpackError};
pub use name::NameProblem;
pub use notes::{FileNote, Note, Noted, Notes, Owned};
pub use peek::leading_directories;

pub(crate) use archive::{Archive, Body, Kind};
pub(crate) use extended::{PaxRecords, decimal};
pub(crate) use name::{EntryName, printable};
use stream::TarStream;
use tree::Tree;
use visit::{Nothing, Visit};

use crate::BuildInfo;
use crate::compression::Decompressor;
use crate::gzip::reader::GzipError;
use crate::zstd::reader::ZstdError;

/// The most a `.spack/binary_distribution` may have, in bytes. It lists files; that of the largest packages
/// has a few hundred thousand.
const MAX_BUILD_INFO: u64 = 64 << 20;

/// What a layer may need at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the uncompressed stream.
    pub uncompressed: u64,
}

impl Limits {
    /// The limit for a layer of `compressed` bytes: 1 GiB, or 200 times its size if that is more. Gzip
    /// reaches 1,000; packages compress to between a tenth and a half.
    pub fn for_layer(compressed: u64) -> Self {
        Limits { uncompressed: compressed.saturating_mul(200).max(1 << 30) }
    }
}

/// How to read a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnpackOptions {
    /// What it may need at most.
    pub limits: Limits,
    /// Threads that inflate, where the layer allows it, and as many that write; 0 or 1 for the calling thread alone.
    pub threads: usize,
}

/// What was in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The content of `.spack/binary_distribution`.
    pub build_info: BuildInfo,
    /// The prefix's path in the layer, without a leading `/`.
    pub prefix_in_layer: String,
    /// SHA-256 of the whole uncompressed stream.
    pub diff_id: [u8; 32],
    /// Regular files; a hard link is not another one.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// Unpacks a layer into `destination`, an existing empty directory that becomes the prefix.
///
/// `layer` gives the compressed bytes. It is read to its end before this returns, so it may report there that
/// a digest is wrong; it gets to do so also when the bytes make no sense. Files get mode 0755 if their owner
/// may execute them and else 0644, directories 0755, whatever the umask; owners and times are the system's.
/// Nothing is synced to disk.
///
/// # Errors
/// See [`UnpackError`]. What was written is removed again where possible.
pub fn unpack(
    layer: impl Read,
    destination: &Path,
    options: &UnpackOptions,
) -> Result<Unpacked, UnpackError> {
    unpack_noted(layer, destination, options).map(|(unpacked, _)| unpacked)
}

/// As [`unpack`], with what is known of everything that was written.
///
/// # Errors
/// See [`UnpackError`].
pub fn unpack_noted(
    layer: impl Read,
    destination: &Path,
    options: &UnpackOptions,
) -> Result<(Unpacked, Notes), UnpackError> {
    let mut tree = Tree::start(destination, options.threads)?;
    let result = match go_through(layer, options, &mut tree) {
        Ok(unpacked) => tree.finish(unpacked.prefix_in_layer.as_bytes()).map(|notes| (unpacked, notes)),
        Err(error) => {
            // Its threads would write on otherwise.
            drop(tree);
            Err(error)
        }
    };
    if result.is_err() {
        clear(destination);
    }
    result
}

/// Reads a layer to its end for what it says about itself, and writes nothing.
///
/// Entries are checked one by one as for [`unpack`]; how they go together (prefix, links, duplicates) is not.
///
/// # Errors
/// See [`UnpackError`].
pub fn read_build_info(layer: impl Read, options: &UnpackOptions) -> Result<Unpacked, UnpackError> {
    go_through(layer, options, &mut Nothing)
}

/// Shows each regular file of a layer to `visit`, in order, and writes nothing.
///
/// `visit` gets the path in the prefix, the size in bytes and the contents, of which it may leave the rest
/// unread. Hard links are not shown. `prefix_in_layer` is as [`read_build_info`] gave it: the layer says it
/// only at its end.
///
/// # Errors
/// See [`UnpackError`]; an error of `visit` ends it as [`UnpackError::Visitor`].
pub fn for_each_file<E>(
    layer: impl Read,
    prefix_in_layer: &str,
    options: &UnpackOptions,
    visit: impl FnMut(&Path, u64, &mut dyn Read) -> Result<(), E>,
) -> Result<Unpacked, UnpackError>
where
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let unpacked = go_through(layer, options, &mut Visit { prefix: prefix_in_layer.as_bytes(), visit })?;
    if unpacked.prefix_in_layer != prefix_in_layer {
        let (found, expected) = (unpacked.prefix_in_layer, prefix_in_layer.to_owned());
        return Err(UnpackError::OtherPrefix { found, expected });
    }
    Ok(unpacked)
}

/// Where entries go.
trait Sink {
    fn directory(&mut self, _name: &EntryName) -> Result<(), UnpackError> {
        Ok(())
    }

    fn file(
        &mut self,
        _name: &EntryName,
        _executable: bool,
        _size: u64,
        _body: &mut dyn Body,
    ) -> Result<(), UnpackError> {
        Ok(())
    }

    fn symlink(&mut self, _name: &EntryName, _target: &[u8]) -> Result<(), UnpackError> {
        Ok(())
    }

    fn hard_link(&mut self, _name: &EntryName, _target: &EntryName) -> Result<(), UnpackError> {
        Ok(())
    }
}

fn go_through(
    layer: impl Read,
    options: &UnpackOptions,
    sink: &mut dyn Sink,
) -> Result<Unpacked, UnpackError> {
    with_archive(layer, options, |archive| entries(archive, sink))
}

/// Lets `read` go through the archive of a layer. If that fails over bytes that make no sense, the rest of the layer is
/// read all the same.
pub(crate) fn with_archive<T>(
    layer: impl Read,
    options: &UnpackOptions,
    read: impl FnOnce(&mut Archive<'_>) -> Result<T, UnpackError>,
) -> Result<T, UnpackError> {
    let plain = Decompressor::new(layer, options.threads).map_err(stream::read)?;
    let mut archive = Archive::new(TarStream::new(Box::new(plain), options.limits.uncompressed));
    let result = read(&mut archive);
    if let Err(error) = &result
        && is_nonsense(error)
    {
        // If the bytes are not those that were asked for, that is the better thing to say.
        archive.blocks().drain_compressed().map_err(stream::read)?;
        if is_about_the_start(error)
            && let Some(other) = archive.blocks().no_layer()
        {
            return Err(stream::read(other));
        }
    }
    result
}

/// Whether the cause may be that the layer's bytes are not those that its maker wrote.
fn is_nonsense(error: &UnpackError) -> bool {
    match error {
        UnpackError::Read { source } => {
            source.get_ref().is_some_and(|inner| inner.is::<GzipError>() || inner.is::<ZstdError>())
        }
        UnpackError::Truncated { .. } | UnpackError::Malformed { .. } => true,
        _ => false,
    }
}

/// Whether a tar is none from its very first header on.
fn is_about_the_start(error: &UnpackError) -> bool {
    match error {
        UnpackError::Truncated { offset } => *offset < stream::BLOCK as u64,
        UnpackError::Malformed { offset, .. } => *offset == 0,
        _ => false,
    }
}

fn entries(archive: &mut Archive<'_>, sink: &mut dyn Sink) -> Result<Unpacked, UnpackError> {
    let (mut files, mut bytes) = (0, 0);
    let mut build_info: Option<(EntryName, Bytes)> = None;
    while let Some(entry) = archive.next()? {
        let name = entry.name;
        match entry.kind {
            Kind::Directory => sink.directory(&name)?,
            Kind::Symlink { target } => sink.symlink(&name, &target)?,
            Kind::HardLink { target } => sink.hard_link(&name, &target)?,
            Kind::File { executable, size } => {
                files += 1;
                bytes += size;
                // A package may hold another one's; the outermost is its own.
                let outermost =
                    build_info.as_ref().is_none_or(|(best, _)| name.bytes().len() < best.bytes().len());
                if name.prefix_of_build_info().is_some() && outermost {
                    let content = Bytes::from(read_whole(archive, &name, size)?);
                    sink.file(&name, executable, size, &mut content.clone())?;
                    build_info = Some((name, content));
                } else {
                    sink.file(&name, executable, size, archive)?;
                }
            }
        }
    }
    let diff_id = archive.finish()?;

    let (name, content) = build_info.ok_or(UnpackError::NoBuildInfo)?;
    let prefix = name.prefix_of_build_info().unwrap_or_default();
    if prefix.is_empty() {
        return Err(UnpackError::NoPrefix);
    }
    let prefix_in_layer = String::from_utf8(prefix.to_vec())
        .map_err(|_| UnpackError::Name { entry: printable(prefix), problem: NameProblem::NotText })?;
    let build_info = BuildInfo::parse(&content)
        .map_err(|source| UnpackError::BuildInfo { entry: name.to_string(), source })?;
    Ok(Unpacked { build_info, prefix_in_layer, diff_id, files, bytes })
}

/// The contents of a `.spack/binary_distribution`.
fn read_whole(archive: &mut Archive<'_>, name: &EntryName, size: u64) -> Result<Vec<u8>, UnpackError> {
    if size > MAX_BUILD_INFO {
        return Err(UnpackError::BuildInfoSize { entry: name.to_string(), size, limit: MAX_BUILD_INFO });
    }
    let mut content = Vec::new();
    loop {
        let chunk = archive.chunk()?;
        if chunk.is_empty() {
            return Ok(content);
        }
        content.extend_from_slice(chunk);
        let length = chunk.len();
        archive.consume(length);
    }
}

/// Empties a directory that was empty before, as far as that is possible.
fn clear(destination: &Path) {
    for entry in std::fs::read_dir(destination).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = match entry.file_type() {
            Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(path),
            _ => std::fs::remove_file(path),
        };
    }
}
