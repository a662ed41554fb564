//! Going through the files of a layer without writing any.

use std::error::Error as StdError;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::Sink;
use super::archive::{Body, BodyReader};
use super::error::UnpackError;
use super::name::{EntryName, printable};

/// Reads nothing but what the caller reads itself.
pub(super) struct Nothing;

impl Sink for Nothing {}

/// Shows each regular file below a known prefix to a function.
pub(super) struct Visit<'a, F> {
    pub(super) prefix: &'a [u8],
    pub(super) visit: F,
}

impl<F> Visit<'_, F> {
    /// The part of `name` below the prefix; none for the prefix and its parents.
    fn below<'n>(&self, name: &'n EntryName, directory: bool) -> Result<Option<&'n [u8]>, UnpackError> {
        let name_bytes = name.bytes();
        if let Some(rest) = name_bytes.strip_prefix(self.prefix) {
            if let Some(rest) = rest.strip_prefix(b"/") {
                return Ok(Some(rest));
            }
            if rest.is_empty() && directory {
                return Ok(None);
            }
        }
        let parent =
            name.is_root() || self.prefix.strip_prefix(name_bytes).is_some_and(|rest| rest.starts_with(b"/"));
        if directory && parent {
            return Ok(None);
        }
        Err(UnpackError::OutsidePrefix { entry: name.to_string(), prefix: printable(self.prefix) })
    }
}

impl<F, E> Sink for Visit<'_, F>
where
    F: FnMut(&Path, u64, &mut dyn Read) -> Result<(), E>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    fn directory(&mut self, name: &EntryName) -> Result<(), UnpackError> {
        self.below(name, true).map(drop)
    }

    fn file(
        &mut self,
        name: &EntryName,
        _executable: bool,
        size: u64,
        body: &mut dyn Body,
    ) -> Result<(), UnpackError> {
        let Some(below) = self.below(name, false)? else { return Ok(()) };
        (self.visit)(Path::new(OsStr::from_bytes(below)), size, &mut BodyReader(body))
            .map_err(|error| UnpackError::Visitor { entry: name.to_string(), source: error.into() })
    }

    fn symlink(&mut self, name: &EntryName, _target: &[u8]) -> Result<(), UnpackError> {
        self.below(name, false).map(drop)
    }

    fn hard_link(&mut self, name: &EntryName, target: &EntryName) -> Result<(), UnpackError> {
        self.below(name, false)?;
        self.below(target, false).map(drop)
    }
}
