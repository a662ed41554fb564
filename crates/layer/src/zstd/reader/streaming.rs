//! A frame of any size, piece by piece.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::super::frame::MAX_WINDOW;
use super::ZstdError;
use crate::gzip::reader::source::Source;

/// How much of a frame is decompressed at a time, in bytes.
const BLOCK: usize = 256 << 10;

/// The inside of one frame after another. What zstd allocates for one serves the next: a layer may be of millions.
pub(super) struct Streaming {
    context: DCtx<'static>,
    /// Where the frame starts.
    offset: u64,
    ended: bool,
}

impl Streaming {
    /// To go on with the frame that starts at the compressed byte `offset`.
    pub(super) fn new(offset: u64) -> io::Result<Self> {
        let no_memory = || ZstdError::NoMemory { offset }.into_io();
        let mut context = DCtx::try_create().ok_or_else(no_memory)?;
        let limit = DParameter::WindowLogMax(MAX_WINDOW.ilog2());
        context.set_parameter(limit).map_err(|code| io::Error::other(get_error_name(code)))?;
        Ok(Self { context, offset, ended: false })
    }

    /// Goes on with the frame that starts at the compressed byte `offset`, after the end of another.
    pub(super) fn begin(&mut self, offset: u64) {
        self.offset = offset;
        self.ended = false;
    }

    /// The next plain bytes; none at the end of the frame, of which nothing is left in `source` then.
    pub(super) fn next<R: Read>(&mut self, source: &mut Source<R>) -> io::Result<Option<Bytes>> {
        let mut block = Vec::with_capacity(BLOCK);
        let mut output = OutBuffer::around(&mut block);
        while !self.ended && output.pos() < BLOCK {
            let mut input = InBuffer::around(source.fill_buf()?);
            let is_cut = input.src.is_empty();
            let before = output.pos();
            let hint = self
                .context
                .decompress_stream(&mut output, &mut input)
                .map_err(|code| ZstdError::of_code(code, self.offset).into_io())?;
            let consumed = input.pos();
            source.consume(consumed);
            self.ended = hint == 0;
            if is_cut && !self.ended && output.pos() == before {
                return Err(ZstdError::Truncated { offset: source.position() }.into_io());
            }
        }
        // Whoever keeps a few bytes of it keeps all of its memory.
        block.shrink_to_fit();
        Ok((!block.is_empty()).then(|| block.into()))
    }
}
