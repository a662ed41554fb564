//! The decompressor that a layer needs.

use std::io::{self, Cursor, ErrorKind, Read};

use bytes::Bytes;

use super::Compression;
use super::plain::PlainReader;
use crate::blocks::Blocks;
use crate::gzip::reader::InflateReader;
use crate::zstd::reader::FrameReader;

/// A reader of which the first bytes were looked at.
type Start<R> = io::Chain<Cursor<Vec<u8>>, R>;

/// The uncompressed bytes of a layer, however it is compressed. What its media type says does not matter: its first bytes
/// do.
pub(crate) struct Decompressor<R: Read> {
    decoder: Decoder<Start<R>>,
    start: Vec<u8>,
}

enum Decoder<R: Read> {
    None(PlainReader<R>),
    Gzip(Box<InflateReader<R>>),
    Zstd(Box<FrameReader<R>>),
}

impl<R: Read> Decompressor<R> {
    /// Finds out how `layer` is compressed. What strata wrote is decompressed on up to `threads` threads.
    ///
    /// # Errors
    /// Those of `layer`, from which the first bytes are read.
    pub(crate) fn new(mut layer: R, threads: usize) -> io::Result<Self> {
        let mut start = Vec::new();
        layer.by_ref().take(4).read_to_end(&mut start)?;
        let layer = Cursor::new(start.clone()).chain(layer);
        let decoder = match Compression::of(&start) {
            Compression::None => Decoder::None(PlainReader::new(layer)),
            Compression::Gzip => Decoder::Gzip(Box::new(InflateReader::new(layer, threads))),
            Compression::Zstd => Decoder::Zstd(Box::new(FrameReader::new(layer, threads))),
        };
        Ok(Self { decoder, start })
    }

    /// How the layer is compressed.
    pub(crate) fn compression(&self) -> Compression {
        match &self.decoder {
            Decoder::None(_) => Compression::None,
            Decoder::Gzip(_) => Compression::Gzip,
            Decoder::Zstd(_) => Compression::Zstd,
        }
    }
}

impl<R: Read> Blocks for Decompressor<R> {
    fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.decoder {
            Decoder::None(reader) => reader.next_block(),
            Decoder::Gzip(reader) => Blocks::next_block(&mut **reader),
            Decoder::Zstd(reader) => reader.next_block(),
        }
    }

    fn drain_compressed(&mut self) -> io::Result<()> {
        match &mut self.decoder {
            Decoder::None(reader) => reader.drain_compressed(),
            Decoder::Gzip(reader) => Blocks::drain_compressed(&mut **reader),
            Decoder::Zstd(reader) => reader.drain_compressed(),
        }
    }

    fn no_layer(&self) -> Option<io::Error> {
        match (&self.decoder, &self.start[..]) {
            (Decoder::None(_), []) => {
                Some(io::Error::new(ErrorKind::UnexpectedEof, "it is no layer: it has no bytes at all"))
            }
            (Decoder::None(_), start) => {
                let text = format!(
                    "it is no layer: neither a tar, nor compressed with gzip or zstd: it starts with the bytes \
                     {start:02x?}"
                );
                Some(io::Error::new(ErrorKind::InvalidData, text))
            }
            _ => None,
        }
    }
}
