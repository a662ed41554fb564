//! The gzip stream of a layer: many small members, each of which says how long it is.
//!
//! A layer is a tar stream cut into blocks of [`BLOCK_SIZE`] bytes (the last one shorter), and each block is a gzip
//! member of its own. Any gzip reader takes the concatenation as one stream. Because a member's header names
//! its compressed size in an extra field, a reader that knows the field finds every member without inflating
//! the one before, and inflates them in parallel. RFC 1952 section 2.3.1.1 is where extra fields are defined;
//! readers that do not know one skip it.

pub mod reader;
pub mod writer;

/// Bytes of uncompressed stream in every member but the last, which may be shorter.
pub const BLOCK_SIZE: usize = 1 << 20;

/// The identifier (SI1, SI2) of the extra subfield that holds the size of its member in bytes, header, deflate
/// data and trailer together, as a little endian `u32`.
pub const MEMBER_SIZE_SUBFIELD: [u8; 2] = *b"ST";

/// Bytes of a member's header as the writer makes it: 10 of RFC 1952, 2 of `XLEN`, 4 of subfield header, 4 of
/// subfield value.
pub const HEADER_SIZE: usize = 20;

/// Bytes of a member's trailer: CRC-32 and uncompressed size modulo 2³², both little endian.
pub const TRAILER_SIZE: usize = 8;
