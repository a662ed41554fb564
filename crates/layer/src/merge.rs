//! Several layers as one.
//!
//! Every layer is read by the parser that unpacks layers, with all that it refuses; what it accepts is passed on block by
//! block. The layers that are merged are those of packages, each with a prefix of its own, so the only names that two may
//! share are those of the directories above.

mod names;

use std::fmt;
use std::io::{self, Read, Write};

use names::{Clash, Given, Names};

use crate::gzip::writer::{CompressorPool, Finished, MemberWriter};
use crate::pack::{BLOCK, RECORD};
use crate::unpack::{Archive, Body, Kind, UnpackError, UnpackOptions, with_archive};

/// Writes the entries of `layers`, each given with its diff id, in that order as one layer to `output`: each tar less its end, directories that an
/// earlier one has already left out (the first one's mode counts), headers and contents as they are. At the end come two
/// empty blocks, and zeros to a multiple of 10,240 bytes.
///
/// The outcome depends on the uncompressed tars alone, and so on the diff ids. Each layer is read to its end, so that its
/// reader may report there that a digest is wrong. The limits of `options` are each layer's own. Memory does not depend on the sizes of layers and
/// files; some 50 bytes are kept for each entry.
///
/// # Errors
/// [`MergeError`], which says which of the layers it is about. What was written to `output` until then is of no use.
pub fn merge<R: Read, W: Write + Send>(
    layers: impl IntoIterator<Item = (R, [u8; 32])>,
    options: &UnpackOptions,
    pool: &CompressorPool,
    output: W,
) -> Result<Finished<W>, MergeError> {
    let mut merger = Merger { output: MemberWriter::new(pool, output), written: 0, names: Names::default() };
    for (number, (layer, expected)) in layers.into_iter().enumerate() {
        let found = with_archive(layer, options, |archive| merger.layer(number, archive))
            .map_err(|source| MergeError::Layer { number, source })??;
        if found != expected {
            return Err(MergeError::DiffId { number, expected, found });
        }
    }
    merger.finish().map_err(MergeError::Write)
}

/// Why layers could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// One of them is not a layer, or cannot be read.
    #[error("cannot merge layer {number}")]
    Layer {
        /// Which, from 0.
        number: usize,
        /// What is wrong with it.
        source: UnpackError,
    },
    /// Two have a file of the same name, or one has a file where the other has a directory.
    #[error("layers {first} and {second} both have {name}")]
    Twice {
        /// Which, from 0.
        first: usize,
        /// The later one.
        second: usize,
        /// The name of the entry.
        name: String,
    },
    /// One of them does not unpack to what it is said to unpack to.
    #[error(
        "layer {number} unpacks to sha256:{}, and it is said to unpack to sha256:{}",
        Hexadecimal(found),
        Hexadecimal(expected)
    )]
    DiffId {
        /// Which, from 0.
        number: usize,
        /// The diff id that was given with it.
        expected: [u8; 32],
        /// The one that it has.
        found: [u8; 32],
    },
    /// The outcome could not be written.
    #[error("cannot write the merged layer")]
    Write(#[from] io::Error),
}

/// A digest as text.
struct Hexadecimal<'a>(&'a [u8; 32]);

impl fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

struct Merger<'p, W: Write + Send> {
    output: MemberWriter<'p, W>,
    written: u64,
    names: Names,
}

impl<W: Write + Send> Merger<'_, W> {
    /// Takes in one layer; gives its diff id. The outer error is the layer's own.
    fn layer(
        &mut self,
        number: usize,
        archive: &mut Archive<'_>,
    ) -> Result<Result<[u8; 32], MergeError>, UnpackError> {
        archive.keep_headers();
        while let Some(entry) = archive.next()? {
            let name = entry.name;
            let given = match &entry.kind {
                Kind::Directory => Given::Directory,
                Kind::Symlink { .. } => Given::Symlink,
                Kind::File { .. } => Given::File,
                Kind::HardLink { target } => {
                    if let Err(problem) = self.names.may_link_to(target, number) {
                        let (entry, target) = (name.to_string(), target.to_string());
                        return Err(UnpackError::HardLink { entry, target, problem });
                    }
                    Given::File
                }
            };
            match self.names.add(&name, number, given) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(clash) if clash.first == number => return Err(within(&clash)),
                Err(Clash { first, name, .. }) => {
                    return Ok(Err(MergeError::Twice { first, second: number, name }));
                }
            }
            if let Err(error) = self.write(archive.headers()) {
                return Ok(Err(error.into()));
            }
            let Kind::File { size, .. } = entry.kind else { continue };
            loop {
                let chunk = archive.chunk()?;
                if chunk.is_empty() {
                    break;
                }
                if let Err(error) = self.write(chunk) {
                    return Ok(Err(error.into()));
                }
                let length = chunk.len();
                archive.consume(length);
            }
            let padding = size.wrapping_neg() % BLOCK as u64;
            if let Err(error) = self.write(&[0; BLOCK][..padding as usize]) {
                return Ok(Err(error.into()));
            }
        }
        archive.finish().map(Ok)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.output.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<Finished<W>> {
        self.write(&[0; 2 * BLOCK])?;
        while !self.written.is_multiple_of(RECORD) {
            self.write(&[0; BLOCK])?;
        }
        self.output.finish()
    }
}

/// What is wrong with a layer that is at odds with itself.
fn within(clash: &Clash) -> UnpackError {
    let kind = if clash.directory { "a directory" } else { "a file or link" };
    match &clash.below {
        None => UnpackError::Duplicate { entry: clash.name.clone(), kind },
        Some(entry) => {
            UnpackError::NotBelowDirectory { entry: entry.clone(), parent: clash.name.clone(), kind }
        }
    }
}
