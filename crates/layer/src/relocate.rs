//! Relocation: files that name the prefixes of the machine they were built on made to name those of this one.
//!
//! The rules are Spack's (`relocate_text.py`, `relocate.py`, `util/elf.py`, `hooks/sbang.py`), so that a package
//! installed by either is the same. [`PrefixMap`] says what becomes what; [`Fit`] tells beforehand whether that can
//! work; [`relocate_noted`] does it to what was just unpacked, and [`relocate_tree`] to any tree; [`leftovers()`] counts what keeps an old name.
//!
//! # What is dangerous in Spack's rules
//! - **No right boundary.** `/opt/spack` also matches in `/opt/spack-old/x` and in `/opt/spack2`, in text, C strings,
//!   links and RPATHs alike. Prefixes of packages end in a hash, so only the last pair, root to root, is at risk.
//!   Kept, because a boundary would give other files than Spack.
//! - **In text, what precedes decides.** A prefix behind a word is replaced (`-L/opt/x`, but `~me/opt/x` as well),
//!   one behind a path is not (`/sysroot/opt/x`, `file:///opt/x`, `//opt/x`). Kept.
//! - **In binaries there is no left boundary**: `/sysroot/opt/x` is changed in the middle. Kept.
//! - **Shared tails.** A C string must keep its last seven bytes because other strings may be its tail; strings of
//!   eight and more bytes that share a tail with a path are still at risk, as with Spack.
//!
//! # Where this is better, with the same result wherever Spack's is right
//! - An RPATH that shares bytes with the name of a symbol, library or version is moved instead of being shortened
//!   in place, which renames the other.
//! - A new RPATH or interpreter is not searched again for old prefixes: moving from `/opt/x` to `/home/opt/x` gives
//!   `/home/opt/x`, where Spack finds `/opt/x` in it and fails.
//! - A longer RPATH stays RUNPATH if it was RUNPATH, and stays there if only the interpreter has to grow.
//! - ELF files without section headers are read by DT_STRSZ.
//! - Hard-linked files keep being one file, also when they get a line for sbang or grow.
//! - A file that is listed twice is relocated once.
//! - Python byte-code stays valid ([`keep_bytecode_valid`]).

mod beneath;
mod binary;
mod bytecode;
mod c_string;
pub(crate) mod elf;
mod file;
mod fit;
mod large;
mod leftovers;
mod prefix_map;
mod shebang;
mod text;
mod tree;

use std::io;
use std::path::PathBuf;

pub use binary::BinaryError;
pub use bytecode::keep_bytecode_valid;
pub use c_string::{CStringError, replace_c_strings};
pub use elf::GrowError;
pub use fit::{DoesNotFit, Fit, Misfit};
pub use leftovers::{LeftoverKind, Leftovers, leftovers};
pub use prefix_map::{PrefixMap, PrefixMapError, PrefixPair};
pub(crate) use shebang::{FIRST_LINE_LIMIT, has_long_shebang};
pub use shebang::{LongShebang, SHEBANG_LIMIT, filter_shebang};
pub use text::replace_text;
pub use tree::{Destination, Relocated, relocate_noted, relocate_tree};

/// The binary format of the platform a package is for (not of single files: packages for Linux carry Mach-O files
/// as templates, and those are data).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux and others.
    Elf,
    /// macOS.
    MachO,
}

/// Why a package could not be relocated. Paths are relative to the package's prefix unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RelocateError {
    /// The package is for macOS.
    #[error("{}: Mach-O packages are recognised but cannot be relocated yet", .path.display())]
    MachO {
        /// Where the package's files lie now.
        path: PathBuf,
    },
    /// A path listed for relocation is absolute, has `..` in it, or leads through a symbolic link.
    #[error("the layer lists {} for relocation, which is not a file within the package", .path.display())]
    UnsafePath {
        /// The path as listed.
        path: PathBuf,
    },
    /// A file listed for relocation is not there.
    #[error("the layer lists {} for relocation, but does not contain it", .path.display())]
    Missing {
        /// The path as listed.
        path: PathBuf,
    },
    /// Something listed for relocation is not what the list is for.
    #[error("the layer lists {} for relocation, which is no {expected}", .path.display())]
    WrongType {
        /// The path as listed.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// A binary file has no room for a new prefix.
    #[error("cannot relocate {}", .path.display())]
    Binary {
        /// The file.
        path: PathBuf,
        /// What has no room.
        #[source]
        source: BinaryError,
    },
    /// A text would become absurdly long.
    #[error("{} would grow by more than {limit} bytes", .path.display())]
    TextGrows {
        /// The file.
        path: PathBuf,
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// The path of sbang is too long for a `#!` line.
    #[error("the path of sbang has {length} bytes and may have {SHEBANG_LIMIT}: {}", .path.display())]
    SbangTooLong {
        /// The absolute path of sbang.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}
