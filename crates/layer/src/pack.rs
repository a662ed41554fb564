//! Install prefix → layer, in one pass over the files.
//!
//! The tar stream is what Spack's `tarfile_of_spec_prefix` writes, byte for byte: the parent directories of the
//! prefix, the prefix depth first, and at the end a fresh `.spack/binary_distribution`. While a file goes by it
//! is scanned for what relocation will have to change. Per regular file that costs one `openat`, one `fstat`, one
//! `read` per MiB and one `close`; per directory one `openat` and its `getdents`; per symbolic link one `readlinkat`.

pub(crate) mod names;
mod prefix_search;
mod prefix_tar;
mod scan;
mod tar_writer;
mod walk;

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::BuildInfo;
use crate::gzip::writer::{CompressorPool, MemberWriter};

pub use names::compare_names;
pub use prefix_tar::{TarContents, write_tar};
pub(crate) use tar_writer::{BLOCK, RECORD, TarWriter};

/// What to pack.
#[derive(Clone, Debug)]
pub struct PackRequest<'a> {
    /// Absolute path of the install prefix, without `..`. The entries' names are this path without the first slash.
    pub prefix: &'a Path,
    /// What `.spack/binary_distribution` shall say; the three `relocate_` lists are filled by packing.
    pub build_info: BuildInfo,
    /// The prefixes to look for in texts and links: Spack takes those of `build_info.hash_to_prefix`, the path of
    /// sbang and the root of the install tree. Empty ones are ignored.
    pub prefixes: Vec<Vec<u8>>,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Packed {
    /// SHA-256 of the tar stream.
    pub diff_id: [u8; 32],
    /// SHA-256 of the layer, that is, of the gzip stream.
    pub digest: [u8; 32],
    /// Bytes of the layer.
    pub size: u64,
    /// Bytes of the tar stream.
    pub uncompressed_size: u64,
    /// Entries of the tar, parent directories and `binary_distribution` included.
    pub entries: u64,
    /// What the `.spack/binary_distribution` in the layer says.
    pub build_info: BuildInfo,
}

/// Why a prefix could not be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The names of the entries are made from the prefix, so it has to be absolute and say where it is.
    #[error("`{}` cannot be packed: a prefix is an absolute path without `..`, and not the root", prefix.display())]
    PrefixPath {
        /// The prefix.
        prefix: PathBuf,
    },
    /// There is nothing at the prefix, or no directory.
    #[error("there is no directory at prefix {}", prefix.display())]
    PrefixMissing {
        /// The prefix.
        prefix: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file, directory or link below the prefix could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file ended before the size it had when it was opened: somebody is writing to the prefix.
    #[error("{} became shorter while it was packed: {read} of {expected} bytes", path.display())]
    Shrunk {
        /// Its path.
        path: PathBuf,
        /// Its size in bytes when it was opened.
        expected: u64,
        /// How many bytes there were.
        read: u64,
    },
    /// Something that was a regular file in its directory was none when it was opened.
    #[error("{} stopped being a regular file while it was packed", path.display())]
    NotRegular {
        /// Its path.
        path: PathBuf,
    },
    /// The prefixes are too many or too long to be searched for.
    #[error("cannot search for these prefixes")]
    Prefixes {
        /// Why not.
        source: aho_corasick::BuildError,
    },
    /// The layer could not be written, or a block not compressed.
    #[error("cannot write the layer of {}", prefix.display())]
    Output {
        /// The prefix.
        prefix: PathBuf,
        /// What the output said.
        source: io::Error,
    },
}

/// Packs a prefix into a layer, written to `out`.
///
/// The layer depends on the request and on what is in the prefix alone: not on threads, machine or time. Memory is
/// bounded whatever the size: this thread's buffers, and at most 48 blocks of 1 MiB on their way through `pool`.
///
/// # Errors
/// [`PackError`]; what was written to `out` until then is of no use.
pub fn pack(
    request: PackRequest<'_>,
    pool: &CompressorPool,
    out: impl Write + Send,
) -> Result<Packed, PackError> {
    let prefix = request.prefix;
    let mut gzip = MemberWriter::new(pool, out);
    let packed = write_tar(request, &mut gzip)?;
    let finished = gzip.finish().map_err(|source| PackError::Output { prefix: prefix.to_owned(), source })?;
    Ok(Packed {
        diff_id: finished.diff_id,
        digest: finished.digest,
        size: finished.size,
        uncompressed_size: finished.uncompressed_size,
        entries: packed.entries,
        build_info: packed.build_info,
    })
}

/// The name of the prefix in a tar: no leading slash, no `.`, no doubled slashes.
fn tar_name(prefix: &Path) -> Result<Vec<u8>, PackError> {
    let refused = || PackError::PrefixPath { prefix: prefix.to_owned() };
    let mut name = Vec::new();
    for component in prefix.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(part) => {
                if !name.is_empty() {
                    name.push(b'/');
                }
                name.extend_from_slice(part.as_bytes());
            }
            _ => return Err(refused()),
        }
    }
    if prefix.is_absolute() && !name.is_empty() { Ok(name) } else { Err(refused()) }
}
