//! Fetching and reading `index.spack`.

use super::update::collect;
use crate::error::{Error, chain};
use crate::package_tag;
use crate::report::{Event, Reporter};
use strata_oci::{Digest, ManifestRef, Repository, blob_bytes, image_manifest};
use strata_spec::Database;

/// An index of more bytes than this is refused: the largest public ones have some 200 MB.
const LARGEST_INDEX: u64 = 4 << 30;

/// What is done where an index cannot be read and only packages are looked for.
pub(crate) const READING_TAGS: &str = "reading the tags instead";

/// The index of a cache and the digest of its JSON; none if the cache has no index.
pub fn read(repository: &dyn Repository) -> Result<Option<(Database, Digest)>, Error> {
    let index = ManifestRef::Tag(package_tag::index()?);
    let Some((_, manifest)) = image_manifest(repository, &index)? else { return Ok(None) };
    let invalid = |reason: String| Error::InvalidIndex { place: repository.url().to_string(), reason };
    let layer = manifest.layers.first().ok_or_else(|| invalid("its manifest has no layer".to_owned()))?;
    let json = blob_bytes(repository, layer, LARGEST_INDEX)?;
    let json = String::from_utf8(json).map_err(|e| invalid(e.to_string()))?;
    let database = Database::parse(&json).map_err(|e| invalid(e.to_string()))?;
    Ok(Some((database, layer.digest)))
}

/// As [`read`], and none if the cache has none that can be read: that is reported, with what is done `instead`.
pub(crate) fn read_usable(
    repository: &dyn Repository,
    instead: &str,
    reporter: &dyn Reporter,
) -> Result<Option<(Database, Digest)>, Error> {
    match read(repository) {
        Ok(found) => Ok(found),
        Err(error) if error.is_about_content() => {
            reporter.event(Event::Warning(&format!("{}; {instead}", chain(&error))));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The index, or, for a cache that has none, what it would be: a missing index is never fatal.
pub fn read_or_collect(repository: &dyn Repository, reporter: &dyn Reporter) -> Result<Database, Error> {
    if let Some((database, _)) = read_usable(repository, READING_TAGS, reporter)? {
        return Ok(database);
    }
    let place = repository.url();
    reporter.event(Event::Detail(&format!("{place} has no usable index; reading its tags instead")));
    let (database, bad_tags) = collect(repository, None, &repository.tags()?)?;
    for bad in bad_tags {
        reporter.event(Event::Warning(&format!("ignoring tag {} of {place}: {}", bad.tag, bad.reason)));
    }
    Ok(database)
}
