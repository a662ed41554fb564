//! What is in a layer that anybody may have written: its entries in order, with the contents of those files that are
//! wanted.
//!
//! Layers of base images have devices, set-user-id files, white-outs and names that no package layer may have, so this
//! reader refuses less than [`crate::unpack`]: it writes nothing. What tars leave open is read as container engines do.

mod tape;

use std::io::{self, Read};
use std::ops::ControlFlow;

use crate::compression::Decompressed;
use tape::Tape;

/// What an entry of a layer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file of so many bytes.
    File {
        /// Its size.
        size: u64,
    },
    /// A symbolic link with this target, verbatim.
    Symlink(Vec<u8>),
    /// Another name of an entry, which is named as entries are.
    HardLink(Vec<u8>),
    /// Anything else: devices, FIFOs, sparse files.
    Other,
}

/// Threads that inflate a layer that strata wrote; all others are inflated by one.
const THREADS: usize = 4;

/// Shows every entry of `layer` to `visit`, by its name without leading `/` or `./`, with a reader of its contents, of
/// which it may leave the rest unread. The layer's root directory has the empty name. The compression is found out from
/// the first bytes.
///
/// The layer is read to its end, so that it may report there that a digest is wrong; it gets to do so also when the bytes
/// make no sense. Only when `visit` breaks off is the rest left unread. Memory is bounded whatever the layer says.
///
/// # Errors
/// A layer that cannot be read or is no tar, as an [`io::Error`] (that of `layer` unchanged); those of `visit`.
pub fn for_each_entry<E: From<io::Error>>(
    layer: impl Read,
    mut visit: impl FnMut(&[u8], &EntryKind, &mut dyn Read) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut tape = Tape::new(Decompressed::new(layer, THREADS)?);
    loop {
        match tape.next() {
            Ok(Some((name, kind))) => {
                if visit(&name, &kind, &mut tape)?.is_break() {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => {
                // If the bytes are not those that were asked for, that is the better thing to say.
                tape.inner().drain_compressed()?;
                return Err(error.into());
            }
        }
    }
}
