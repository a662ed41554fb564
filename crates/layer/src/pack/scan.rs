//! Which files a new prefix must be written into: ELF and Mach-O files, and texts that name an old prefix.
//!
//! The rules are Spack's (`file_type` in its `binary_distribution`), applied to the bytes on their way into the
//! tar, in pieces of any size, so that no file is read twice or held in memory:
//! - under 8 bytes: neither;
//! - ELF or Mach-O magic: binary;
//! - else UTF-8 throughout, or ISO-8859-1 without NUL and without 0x7F..=0x9F: text, listed if a prefix matches.

use super::prefix_search::{PrefixSearch, SearchState};

/// What has to be done with a file when its prefix changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relocation {
    /// Nothing.
    None,
    /// It has ELF or Mach-O magic.
    Binary,
    /// It is text and a prefix occurs in it.
    Text,
}

/// Bytes that decide between binary and text.
const MAGIC: usize = 8;

/// The scan of one file.
pub(crate) struct FileScan<'s> {
    search: &'s PrefixSearch,
    /// Where the search stands, until a prefix is found.
    state: Option<SearchState>,
    head: [u8; MAGIC],
    seen: usize,
    binary: bool,
    utf8: Utf8,
    latin1: bool,
}

impl<'s> FileScan<'s> {
    pub(crate) fn new(search: &'s PrefixSearch) -> Self {
        Self {
            search,
            state: Some(SearchState::default()),
            head: [0; MAGIC],
            seen: 0,
            binary: false,
            utf8: Utf8::default(),
            latin1: true,
        }
    }

    /// Takes the next piece of the file.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        if self.seen < MAGIC {
            let take = piece.len().min(MAGIC - self.seen);
            self.head[self.seen..self.seen + take].copy_from_slice(&piece[..take]);
            self.seen += take;
            self.binary = self.seen == MAGIC && is_binary(&self.head);
        }
        if self.binary || !(self.utf8.valid || self.latin1) {
            return;
        }
        self.utf8.feed(piece);
        self.latin1 = self.latin1 && is_latin1_text(piece);
        if (self.utf8.valid || self.latin1)
            && let Some(state) = &mut self.state
            && self.search.feed(state, piece)
        {
            self.state = None;
        }
    }

    /// The verdict, once the whole file was fed.
    pub(crate) fn finish(self) -> Relocation {
        let text = self.utf8.is_complete() || self.latin1;
        match () {
            () if self.seen < MAGIC => Relocation::None,
            () if self.binary => Relocation::Binary,
            () if text && self.state.is_none() => Relocation::Text,
            () => Relocation::None,
        }
    }
}

/// ELF or Mach-O, by the first bytes. A universal Mach-O begins like a Java class file; there the next four bytes
/// are a count of architectures, here a class file version, which has been at least 45 since the first Java.
fn is_binary(head: &[u8; MAGIC]) -> bool {
    let [a, b, c, d, counted @ ..] = *head;
    match [a, b, c, d] {
        [0x7f, b'E', b'L', b'F'] | [0xcf | 0xce, 0xfa, 0xed, 0xfe] | [0xfe, 0xed, 0xfa, 0xcf | 0xce] => true,
        [0xca, 0xfe, 0xba, 0xbe] => u32::from_be_bytes(counted) < 10,
        [0xbe, 0xba, 0xfe, 0xca] => u32::from_le_bytes(counted) < 10,
        _ => false,
    }
}

/// No control characters that a Latin-1 text would not have. Tabs, newlines and the like below 0x20 pass, as they
/// do in Spack; NUL does not.
fn is_latin1_text(piece: &[u8]) -> bool {
    // Whole blocks without a branch inside, so that the compiler can use vector instructions.
    piece.chunks(4096).all(|block| {
        !block.iter().fold(false, |odd, &byte| odd | (byte == 0) | (byte.wrapping_sub(0x7f) <= 0x9f - 0x7f))
    })
}

/// Strict UTF-8 over pieces that may cut a character.
struct Utf8 {
    valid: bool,
    /// The beginning of a character that the last piece ended in.
    open: [u8; 4],
    open_len: usize,
}

impl Default for Utf8 {
    fn default() -> Self {
        Self { valid: true, open: [0; 4], open_len: 0 }
    }
}

impl Utf8 {
    fn feed(&mut self, mut piece: &[u8]) {
        while self.valid && self.open_len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return };
            self.open[self.open_len] = byte;
            self.open_len += 1;
            piece = rest;
            match std::str::from_utf8(&self.open[..self.open_len]) {
                Ok(_) => self.open_len = 0,
                Err(error) => self.valid = error.error_len().is_none(),
            }
        }
        if !self.valid {
            return;
        }
        if let Err(error) = std::str::from_utf8(piece) {
            match error.error_len() {
                Some(_) => self.valid = false,
                None => {
                    let tail = &piece[error.valid_up_to()..];
                    self.open[..tail.len()].copy_from_slice(tail);
                    self.open_len = tail.len();
                }
            }
        }
    }

    /// Valid, and not in the middle of a character.
    fn is_complete(&self) -> bool {
        self.valid && self.open_len == 0
    }
}

#[cfg(test)]
mod tests;
