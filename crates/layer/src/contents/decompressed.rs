//! A layer's tar, however it is compressed.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use crate::gzip::reader::InflateReader;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of any number of members.
    Gzip,
    /// zstd.
    Zstd,
}

impl Compression {
    /// That of something that starts with these bytes, four at least if it has as many.
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one that is to be skipped, with which seekable archives may begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// The most memory that a zstd stream may ask for, as a power of two: what `zstd` itself allows without being told.
const ZSTD_WINDOW: u32 = 27;

/// Bytes of a compressed layer that are read at once.
const CHUNK: usize = 128 << 10;

/// The uncompressed bytes of a layer. Errors of the reader given arrive unchanged.
pub struct Decompressed<R: Read> {
    compression: Compression,
    decoder: Decoder<Start<R>>,
}

/// A reader of which the first bytes were looked at.
type Start<R> = io::Chain<Cursor<Vec<u8>>, R>;

enum Decoder<R: Read> {
    None(BufReader<R>),
    Gzip(Box<InflateReader<R>>),
    Zstd(BufReader<zstd::Decoder<'static, BufReader<R>>>),
}

impl<R: Read> Decompressed<R> {
    /// Finds out how `layer` is compressed. What strata wrote is inflated on up to `threads` threads.
    ///
    /// # Errors
    /// Those of `layer`, from which the first bytes are read.
    pub fn new(mut layer: R, threads: usize) -> io::Result<Self> {
        let mut start = Vec::new();
        layer.by_ref().take(4).read_to_end(&mut start)?;
        let compression = Compression::of(&start);
        let layer = Cursor::new(start).chain(layer);
        let decoder = match compression {
            Compression::None => Decoder::None(BufReader::with_capacity(CHUNK, layer)),
            Compression::Gzip => Decoder::Gzip(Box::new(InflateReader::new(layer, threads))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(CHUNK, layer))?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Decoder::Zstd(BufReader::with_capacity(CHUNK, decoder))
            }
        };
        Ok(Self { compression, decoder })
    }

    /// How the layer is compressed.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Reads the layer to its end without decompressing it, so that a reader which verifies a digest there gets to say so.
    /// For use after an error, or after the uncompressed end.
    ///
    /// # Errors
    /// Those of the reader given, unchanged.
    pub fn drain_compressed(&mut self) -> io::Result<()> {
        match &mut self.decoder {
            Decoder::None(layer) => io::copy(layer, &mut io::sink()).map(drop),
            Decoder::Gzip(layer) => layer.drain_compressed(),
            Decoder::Zstd(layer) => io::copy(layer.get_mut().get_mut(), &mut io::sink()).map(drop),
        }
    }
}

impl<R: Read> BufRead for Decompressed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.decoder {
            Decoder::None(layer) => layer.fill_buf(),
            Decoder::Gzip(layer) => layer.fill_buf(),
            Decoder::Zstd(layer) => layer.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.decoder {
            Decoder::None(layer) => layer.consume(amount),
            Decoder::Gzip(layer) => layer.consume(amount),
            Decoder::Zstd(layer) => layer.consume(amount),
        }
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(into)?;
        self.consume(length);
        Ok(length)
    }
}
