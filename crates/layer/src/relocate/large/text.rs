//! A large text: once through it to see how long it becomes, and once more to write it.
//!
//! Where the new text runs ahead of the old one, the old one is first moved towards the end of the file, far enough for the
//! new text never to overtake what is still to be read. So nothing but the file itself is needed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::super::file::FileError;
use super::super::prefix_map::PrefixMap;
use super::super::text::Replacement;
use super::window::{FileFrom, Window};

/// What the first look at a text tells.
struct Survey {
    /// Offset of the first prefix that is replaced.
    first: u64,
    size: u64,
    new_size: u64,
    /// By how many bytes the new text is ahead of the old one where it is most.
    ahead: u64,
}

/// Replaces the old prefixes in a text, which may become `growth` bytes longer; returns whether there were any.
///
/// `window` is how much of it is in memory at a time, in `buffer`.
pub(in crate::relocate) fn relocate_large_text(
    map: &PrefixMap,
    file: &File,
    growth: u64,
    window: usize,
    buffer: &mut Vec<u8>,
) -> Result<bool, FileError> {
    let window = window.max(2 * map.longest());
    let Some(survey) = survey(map, file, growth, window, buffer)? else { return Ok(false) };
    if survey.ahead > 0 {
        move_back(file, &survey, window, buffer).map_err(FileError::Write)?;
    }
    rewrite(map, file, &survey, window, buffer)?;
    file.set_len(survey.new_size).map_err(FileError::Write)?;
    Ok(true)
}

/// Goes through the text without changing it; none if nothing is to be replaced.
fn survey(
    map: &PrefixMap,
    file: &File,
    growth: u64,
    window: usize,
    buffer: &mut Vec<u8>,
) -> Result<Option<Survey>, FileError> {
    let size = file.metadata().map_err(FileError::Read)?.len();
    let most = size.saturating_add(growth);
    let mut window = Window::new(FileFrom { file, offset: 0 }, window, buffer).map_err(FileError::Read)?;
    let mut replacement = Replacement::default();
    let mut first = None;
    // Offsets in the old text and in the new one that mean the same place.
    let (mut old_end, mut new_end) = (0u64, 0u64);
    let mut ahead = 0;
    loop {
        let (start, before) = (window.start() as u64, window.decided(map.longest()));
        let done = replacement.go_on(map, window.bytes(), before, |found| {
            let (found_at, found_end) = (start + found.start as u64, start + found.end as u64);
            first.get_or_insert(found_at);
            new_end += found_at - old_end + map.pairs()[found.place].new.len() as u64;
            old_end = found_end;
            ahead = new_end.saturating_sub(old_end).max(ahead);
            if new_end > most { Err(FileError::TextGrows) } else { Ok(()) }
        })?;
        if window.is_last() {
            let size = start + window.bytes().len() as u64;
            let new_size = new_end + (size - old_end);
            return match first {
                Some(_) if new_size > most => Err(FileError::TextGrows),
                Some(first) => Ok(Some(Survey { first, size, new_size, ahead })),
                None => Ok(None),
            };
        }
        window.advance(done).map_err(FileError::Read)?;
    }
}

/// Moves what begins with the first prefix `ahead` bytes towards the end, the last bytes first.
fn move_back(file: &File, survey: &Survey, piece: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(piece, 0);
    let mut end = survey.size;
    while survey.first < end {
        let start = survey.first.max(end.saturating_sub(piece as u64));
        let bytes = &mut buffer[..(end - start) as usize];
        file.read_exact_at(bytes, start)?;
        file.write_all_at(bytes, start + survey.ahead)?;
        end = start;
    }
    Ok(())
}

/// Writes the new text from the first prefix on.
fn rewrite(
    map: &PrefixMap,
    file: &File,
    survey: &Survey,
    window: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), FileError> {
    let old_text = FileFrom { file, offset: survey.first + survey.ahead };
    let flush_at = window;
    let mut window = Window::new(old_text, window, buffer).map_err(FileError::Read)?;
    // As it is before a prefix that is replaced.
    let mut replacement = Replacement::default();
    let mut new_text = Output { file, offset: survey.first, bytes: Vec::new(), flush_at };
    loop {
        let before = window.decided(map.longest());
        let bytes = &*window.bytes();
        let mut copied = 0;
        let done = replacement.go_on(map, bytes, before, |found| {
            new_text.push(&bytes[copied..found.start])?;
            new_text.push(&map.pairs()[found.place].new)?;
            copied = found.end;
            Ok(())
        });
        let done = done.map_err(FileError::Write)?;
        new_text.push(&bytes[copied..done]).and_then(|()| new_text.flush()).map_err(FileError::Write)?;
        if window.is_last() {
            return Ok(());
        }
        window.advance(done).map_err(FileError::Read)?;
    }
}

/// Text on its way into the file. It is behind what the window has read, wherever that is.
struct Output<'f> {
    file: &'f File,
    offset: u64,
    bytes: Vec<u8>,
    /// New prefixes may make a window's text much longer than the window.
    flush_at: usize,
}

impl Output<'_> {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() < self.flush_at { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.bytes, self.offset)?;
        self.offset += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::io::Seek;

    use proptest::prelude::*;

    use super::*;
    use crate::relocate::text::replace_text_within;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn a_text_becomes_what_it_becomes_in_memory(
            pairs in prop::collection::vec(("/[a./-]{0,3}", "/[ab]{0,9}"), 1..4),
            text in "([a/._:-]|/a|/a/|é| /a ){0,150}",
            window in 1usize..48,
            growth in prop::sample::select(vec![0, 10, 100, 10_000]),
        ) {
            let map = PrefixMap::new(pairs).unwrap();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all_at(text.as_bytes(), 0).unwrap();
            let changed = relocate_large_text(&map, &file, growth as u64, window, &mut Vec::new());
            match replace_text_within(&map, text.as_bytes(), growth) {
                Err(_) => prop_assert!(matches!(changed, Err(FileError::TextGrows))),
                Ok(expected) => {
                    prop_assert_eq!(changed.unwrap(), expected.is_some());
                    let mut content = Vec::new();
                    file.rewind().unwrap();
                    file.read_to_end(&mut content).unwrap();
                    prop_assert_eq!(content, expected.unwrap_or_else(|| text.into_bytes()));
                }
            }
        }
    }
}
