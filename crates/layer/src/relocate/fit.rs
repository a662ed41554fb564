//! Whether a package can be relocated to a root, before anything is written; and if not, to which it could.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::c_string::{CString, How, sight};
use super::elf::{self, FileImage, GrowError};
use super::file::LARGE;
use super::large::{FileFrom, WINDOW, Window, within};
use super::prefix_map::{PrefixMap, PrefixPair, last};
use super::shebang::SHEBANG_LIMIT;

const SBANG_BELOW_ROOT: &[u8] = b"/bin/sbang";

/// How much of a string that does not fit is kept for the message, in bytes.
const STRING_KEPT: usize = 200;

/// Looks at binary files one by one and gathers what would fail under a root.
///
/// Only needed if [`PrefixMap::may_fail`]. Nothing is changed; the strings of ELF headers that can be moved
/// are no obstacle.
#[derive(Debug)]
pub struct Fit<'a> {
    map: &'a PrefixMap,
    root: &'a [u8],
    misfits: Vec<Misfit>,
    limit: Option<usize>,
}

/// Something that prevents relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// A string has no room for the new prefix.
    String {
        /// The file, as given to [`Fit::check`].
        path: PathBuf,
        /// The string from its prefix on, without NUL, at most 200 bytes of it.
        string: Vec<u8>,
        /// How long a new prefix may be there, in bytes.
        room: usize,
        /// How long the new prefix is, in bytes.
        needed: usize,
    },
    /// RPATH or interpreter have no room and the file cannot grow.
    Elf {
        /// The file, as given to [`Fit::check`].
        path: PathBuf,
        /// What is in the way.
        cause: GrowError,
    },
    /// The path of sbang is longer than 127 bytes.
    Sbang {
        /// Its length in bytes.
        length: usize,
    },
}

/// The answer of [`Fit::finish`] if something does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct DoesNotFit {
    /// What does not fit, at most one per file, in the order of the checks; never empty.
    pub misfits: Vec<Misfit>,
    /// The length in bytes of the longest root under which all strings checked would fit, if the root is what
    /// decides; 0 if none is short enough.
    pub longest_root: Option<usize>,
}

impl<'a> Fit<'a> {
    /// `root` is the root that new prefixes start with (padding included), `sbang` the absolute path of sbang.
    pub fn new(map: &'a PrefixMap, root: &'a [u8], sbang: &[u8]) -> Fit<'a> {
        let mut fit = Fit { map, root, misfits: Vec::new(), limit: None };
        // With a padded root sbang lies under the unpadded one, whose length is another matter.
        if sbang.strip_prefix(root) == Some(SBANG_BELOW_ROOT) {
            fit.limit = Some(SHEBANG_LIMIT - SBANG_BELOW_ROOT.len());
        }
        if sbang.len() > SHEBANG_LIMIT {
            fit.misfits.push(Misfit::Sbang { length: sbang.len() });
        }
        fit
    }

    /// Looks at the content of one binary file.
    pub fn check(&mut self, path: &Path, bytes: &[u8]) {
        if !self.map.occurs_in(bytes) {
            return;
        }
        let mut scratch = bytes.to_vec();
        let settled = match elf::substitute(self.map, &mut scratch) {
            Ok(edit) => edit.settled,
            Err(cause) => {
                self.misfits.push(Misfit::Elf { path: path.to_owned(), cause });
                return;
            }
        };
        let mut misfit = None;
        self.check_strings(path, &scratch, scratch.len(), &settled, &mut misfit);
        self.misfits.extend(misfit);
    }

    /// As [`Fit::check`], for a whole file on disk, wherever its position is: a large one is not held in memory.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn check_file(&mut self, path: &Path, file: &File) -> io::Result<()> {
        if file.metadata()?.len() > LARGE {
            return self.check_in_windows(path, file, WINDOW);
        }
        let mut bytes = Vec::new();
        FileFrom { file, offset: 0 }.read_to_end(&mut bytes)?;
        self.check(path, &bytes);
        Ok(())
    }

    fn check_in_windows(&mut self, path: &Path, file: &File, window: usize) -> io::Result<()> {
        let mut image = FileImage::new(file)?;
        let substituted = elf::substitute(self.map, &mut image);
        image.check()?;
        let settled = match substituted {
            Ok(edit) => edit.settled,
            Err(cause) => {
                self.misfits.push(Misfit::Elf { path: path.to_owned(), cause });
                return Ok(());
            }
        };
        let sight = sight(self.map).max(STRING_KEPT);
        let mut buffer = Vec::new();
        let mut window = Window::new(image.reader(), window.max(2 * sight), &mut buffer)?;
        let mut misfit = None;
        loop {
            let settled = within(&settled, window.start());
            let before = window.decided(sight);
            let done = self.check_strings(path, window.bytes(), before, &settled, &mut misfit);
            if window.is_last() {
                self.misfits.extend(misfit);
                return Ok(());
            }
            window.advance(done)?;
        }
    }

    /// Looks at the strings that start before `before`; returns how many bytes are done with. The first that does not fit
    /// becomes the `misfit`, if there is none yet.
    fn check_strings(
        &mut self,
        path: &Path,
        bytes: &[u8],
        before: usize,
        settled: &[Range<usize>],
        misfit: &mut Option<Misfit>,
    ) -> usize {
        let mut from = 0;
        while let Some(found) =
            CString::find(self.map, bytes, from, settled).filter(|found| found.start < before)
        {
            let PrefixPair { old, new } = &self.map.pairs()[found.pair];
            let how = found.how(old, new);
            if matches!(how, How::CannotGrow | How::CannotShrink) && misfit.is_none() {
                let string = &bytes[found.start..bytes.len().min(found.start + STRING_KEPT)];
                let end = memchr::memchr(0, string).unwrap_or(string.len());
                *misfit = Some(Misfit::String {
                    path: path.to_owned(),
                    string: string[..end].to_vec(),
                    room: room(&found, old, new),
                    needed: new.len(),
                });
            }
            if let Some(rest) = self.below_root(new) {
                let longest = room(&found, old, rest).saturating_sub(rest.len());
                self.limit = Some(self.limit.map_or(longest, |limit| limit.min(longest)));
            }
            from = found.end;
        }
        from.max(before)
    }

    /// The longest root, in bytes, under which all that was checked so far would fit; `None` if nothing depends on
    /// the root. Any root that is not longer does.
    pub fn longest_root(&self) -> Option<usize> {
        self.limit
    }

    /// Whether everything fits.
    ///
    /// # Errors
    /// If something does not, with all that does not.
    pub fn finish(self) -> Result<(), DoesNotFit> {
        if self.misfits.is_empty() {
            return Ok(());
        }
        Err(DoesNotFit { misfits: self.misfits, longest_root: self.limit })
    }

    /// What follows the root in a new prefix; `None` if the prefix lies elsewhere, as in an upstream store.
    fn below_root<'n>(&self, new: &'n [u8]) -> Option<&'n [u8]> {
        new.strip_prefix(self.root).filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

/// How long a new prefix that ends in `end` may be at this place, in bytes: as long as the old one if the bytes that
/// must stay do so whatever comes before `end`, else 8 bytes less.
fn room(found: &CString, old: &[u8], end: &[u8]) -> usize {
    let must_agree = found.must_agree();
    if end.len() >= must_agree && last(old, must_agree) == last(end, must_agree) {
        old.len()
    } else {
        old.len().saturating_sub(super::c_string::SUFFIX_SAFETY + 1)
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::String { path, string, room, needed } => write!(
                f,
                "cannot relocate {}: its string {:?} has room for {room} bytes and the new prefix needs {needed}",
                path.display(),
                String::from_utf8_lossy(string)
            ),
            Misfit::Elf { path, cause } => {
                write!(
                    f,
                    "cannot relocate {}: its RPATH or interpreter must grow, but {cause}",
                    path.display()
                )
            }
            Misfit::Sbang { length } => {
                write!(f, "the path of bin/sbang has {length} bytes and may have {SHEBANG_LIMIT}")
            }
        }
    }
}

impl fmt::Display for DoesNotFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.misfits.first() {
            write!(f, "{first}")?;
        }
        if self.misfits.len() > 1 {
            write!(f, " (and {} more)", self.misfits.len() - 1)?;
        }
        match self.longest_root {
            Some(0) => f.write_str(
                "; no install root is short enough: rebuild with config:install_tree:padded_length",
            ),
            Some(longest) => write!(
                f,
                "; the longest install root that works is {longest} bytes: use --store with a shorter path, or rebuild \
                 with config:install_tree:padded_length"
            ),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relocate::replace_c_strings;
    use proptest::prelude::*;

    #[test]
    fn a_misfit_says_how_long_the_root_may_be() {
        let map = PrefixMap::new([("/opt/spack/linux/zlib-1.2-hash", "/srv/software/linux/zlib-1.2-hash")])
            .unwrap();
        let mut fit = Fit::new(&map, b"/srv/software", b"/srv/software/bin/sbang");
        assert_eq!(fit.longest_root(), Some(117));
        fit.check(Path::new("lib/none.so"), b"nothing here");
        fit.check(Path::new("lib/libz.so"), b"..\0/opt/spack/linux/zlib-1.2-hash/lib/x\0..");
        let error = fit.finish().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot relocate lib/libz.so: its string \"/opt/spack/linux/zlib-1.2-hash/lib/x\" has room for 30 bytes \
             and the new prefix needs 33; the longest install root that works is 10 bytes: use --store with a \
             shorter path, or rebuild with config:install_tree:padded_length"
        );
    }

    #[test]
    fn a_short_string_that_must_be_cut_needs_eight_bytes() {
        // Other last bytes than before, and the string ends with the prefix.
        let map = PrefixMap::new([("/opt/spack/linux/zlib-old", "/srv/x/linux/zlib-new")]).unwrap();
        let mut fit = Fit::new(&map, b"/srv/x", b"/elsewhere/bin/sbang");
        assert_eq!(fit.longest_root(), None);
        fit.check(Path::new("bin/x"), b"/opt/spack/linux/zlib-old\0");
        assert_eq!(fit.longest_root(), Some(25 - 8 - 15));
        let error = fit.finish().unwrap_err();
        assert!(matches!(error.misfits[..], [Misfit::String { room: 17, needed: 21, .. }]), "{error:?}");
    }

    #[test]
    fn a_prefix_elsewhere_does_not_depend_on_the_root() {
        let map = PrefixMap::new([("/opt/zlib", "/upstream/zlib"), ("/opt", "/srv")]).unwrap();
        let mut fit = Fit::new(&map, b"/srv", b"/srv/bin/sbang");
        fit.check(Path::new("bin/x"), b"/opt/zlib/lib/something\0");
        assert_eq!(fit.longest_root(), Some(117));
        assert!(fit.finish().is_err());
        let map = PrefixMap::new([("/opt", "/srvother")]).unwrap();
        let mut fit = Fit::new(&map, b"/srv", b"");
        fit.check(Path::new("bin/x"), b"/opt/zlib/lib/something\0");
        assert_eq!(fit.longest_root(), None, "/srvother is not below /srv");
    }

    #[test]
    fn a_long_sbang_is_a_misfit() {
        let root = format!("/{}", "r".repeat(120));
        let map = PrefixMap::new([("/opt", "/o")]).unwrap();
        let fit = Fit::new(&map, root.as_bytes(), format!("{root}/bin/sbang").as_bytes());
        let error = fit.finish().unwrap_err();
        assert_eq!(error.misfits, [Misfit::Sbang { length: 131 }]);
        assert_eq!(error.longest_root, Some(117));
        assert!(
            error
                .to_string()
                .starts_with("the path of bin/sbang has 131 bytes and may have 127; the longest")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Fit foretells what the replacement does, and its longest root works.
        #[test]
        fn what_fit_says_is_what_happens(
            bytes in "(/old/root(/pkg|/lib)?[ab]{0,9}|\0|x){0,8}",
            rest in "(/pkg|/p|/lib|)",
            letter in "[abot]",
            length in 1usize..16,
        ) {
            let to = |length: usize| {
                let root = format!("/{}", letter.repeat(length - 1));
                let map = PrefixMap::new([
                    ("/old/root/pkg".to_owned(), format!("{root}{rest}")),
                    ("/old/root".into(), root.clone()),
                ]).unwrap();
                (root, map)
            };
            let works = |map: &PrefixMap| replace_c_strings(map, &mut bytes.clone().into_bytes()).is_ok();
            let (root, map) = to(length);
            let mut fit = Fit::new(&map, root.as_bytes(), b"/s");
            fit.check(Path::new("f"), bytes.as_bytes());
            let longest = fit.longest_root();
            prop_assert_eq!(fit.finish().is_ok(), works(&map));
            if !map.may_fail() {
                prop_assert!(works(&map));
            }
            for shorter in 1..=longest.unwrap_or(15) {
                prop_assert!(works(&to(shorter).1), "{} of {:?}", shorter, longest);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn a_file_in_windows_says_the_same(
            bytes in "(/old/root(/pkg|/lib)?[ab]{0,9}|\0|x){0,40}",
            length in 1usize..16,
            window in 1usize..600,
        ) {
            let root = format!("/{}", "r".repeat(length - 1));
            let map = PrefixMap::new([
                ("/old/root/pkg".to_owned(), format!("{root}/p")),
                ("/old/root".into(), root.clone()),
            ]).unwrap();
            let file = tempfile::tempfile().unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, bytes.as_bytes(), 0).unwrap();
            let fit = || Fit::new(&map, root.as_bytes(), b"/s");
            let (mut whole, mut in_windows) = (fit(), fit());
            whole.check(Path::new("f"), bytes.as_bytes());
            in_windows.check_in_windows(Path::new("f"), &file, window).unwrap();
            prop_assert_eq!(whole.longest_root(), in_windows.longest_root());
            prop_assert_eq!(whole.finish(), in_windows.finish());
        }
    }
}
