//! What can go wrong while a layer is read or unpacked.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::name::NameProblem;
use crate::build_info::BuildInfoError;

/// Why a layer was not unpacked. `entry` is the name the layer gives, made printable.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// The layer cannot be read or inflated. The source is the error of the reader given, unchanged, or
    /// carries a [`GzipError`](crate::gzip::reader::GzipError) or a
    /// [`ZstdError`](crate::zstd::reader::ZstdError).
    #[error("cannot read the layer")]
    Read {
        /// The reader's error.
        source: io::Error,
    },
    /// The destination is not an empty directory.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The destination.
        path: PathBuf,
    },
    /// Something could not be written or read back: no space, no permission, a read-only file system.
    #[error("cannot write {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The uncompressed stream ends within an entry or without an end-of-archive marker.
    #[error("the layer's tar archive is cut short: it ends at byte {offset}")]
    Truncated {
        /// Uncompressed bytes before the end.
        offset: u64,
    },
    /// A tar header or extended header cannot be understood, or readers would not agree on it.
    #[error("the layer's tar archive is malformed: {reason}, in the header at byte {offset}")]
    Malformed {
        /// Where the header is, in uncompressed bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// An entry's name is not a plain relative path.
    #[error("the layer's entry \"{entry}\" has a bad name: {problem}")]
    Name {
        /// The name.
        entry: String,
        /// What is wrong with it.
        problem: NameProblem,
    },
    /// An entry that no package needs: a device, a FIFO, a kind that is not in POSIX.
    #[error("the layer's entry {entry} is {kind}, which is not allowed")]
    Kind {
        /// The name.
        entry: String,
        /// What it is.
        kind: String,
    },
    /// A file would change who runs it.
    #[error(
        "the layer's entry {entry} has mode {mode:04o}: set-user-id and set-group-id files are not allowed"
    )]
    SetId {
        /// The name.
        entry: String,
        /// The mode in the archive.
        mode: u32,
    },
    /// A hard link to something that is not a file the same layer gave before.
    #[error("the layer's entry {entry} is a hard link to \"{target}\", {problem}")]
    HardLink {
        /// The name.
        entry: String,
        /// The link's target as the archive gives it.
        target: String,
        /// What is wrong with it.
        problem: HardLinkProblem,
    },
    /// The entry lies below a symbolic link or a file.
    #[error("the layer's entry {entry} lies below {parent}, which is {kind} and not a directory")]
    NotBelowDirectory {
        /// The name.
        entry: String,
        /// The part of it that is not a directory.
        parent: String,
        /// What that is.
        kind: &'static str,
    },
    /// The name was used before.
    #[error("the layer has two entries {entry}: the first is {kind}")]
    Duplicate {
        /// The name.
        entry: String,
        /// What the first is.
        kind: &'static str,
    },
    /// Something other than a parent directory lies outside the package's prefix.
    #[error("the layer's entry {entry} lies outside the package's prefix {prefix}")]
    OutsidePrefix {
        /// The name.
        entry: String,
        /// The prefix in the layer.
        prefix: String,
    },
    /// More bytes than the layer may have.
    #[error(
        "the layer is too large: with its entry {entry} it has {reached} or more bytes uncompressed, and \
         {limit} are allowed"
    )]
    TooLarge {
        /// The entry at which the limit is passed, or what else is.
        entry: String,
        /// Uncompressed bytes up to the entry's end.
        reached: u64,
        /// What [`Limits`](super::Limits) allow.
        limit: u64,
    },
    /// Names with far more parent directories than the layer lists: a way to fill a disk.
    #[error("the layer does not list the directories it needs: with its entry {entry} too many are missing")]
    UnlistedDirectories {
        /// The entry at which it is too many.
        entry: String,
    },
    /// There is no `.spack/binary_distribution`, so this is not a package's layer.
    #[error("the layer is not a Spack package: it has no .spack/binary_distribution")]
    NoBuildInfo,
    /// The only `.spack/binary_distribution` lies at the archive's root, so there is no prefix.
    #[error("the layer has no package prefix: its .spack/binary_distribution is at the top")]
    NoPrefix,
    /// The prefix in the layer is not the one that was asked for.
    #[error("the package's prefix in the layer is {found}, not {expected}")]
    OtherPrefix {
        /// The prefix found.
        found: String,
        /// The prefix asked for.
        expected: String,
    },
    /// `.spack/binary_distribution` is larger than any real one.
    #[error("the layer's entry {entry} has {size} bytes, and {limit} are allowed")]
    BuildInfoSize {
        /// The name.
        entry: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// `.spack/binary_distribution` cannot be understood.
    #[error("the layer's entry {entry} cannot be read")]
    BuildInfo {
        /// The name.
        entry: String,
        /// What is wrong.
        source: BuildInfoError,
    },
    /// The function that was given a file returned an error.
    #[error("cannot go through the layer's entry {entry}")]
    Visitor {
        /// The file.
        entry: String,
        /// The function's error.
        source: Box<dyn StdError + Send + Sync>,
    },
}

/// Why a hard link is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HardLinkProblem {
    /// The target is not a plain relative path.
    #[error("a bad name: {0}")]
    Name(#[from] NameProblem),
    /// No entry of that name came before.
    #[error("which the layer did not give before")]
    Missing,
    /// The target is not a regular file.
    #[error("which is not a regular file")]
    NotFile,
}
