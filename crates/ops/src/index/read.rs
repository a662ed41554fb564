//! Reading `index.spack`, or what is kept of it.

use super::collect::collect;
use super::kept::Place;
use super::published::{invalid, published, usable};
use crate::error::Error;
use crate::report::{Event, Reporter};
use std::path::Path;
use std::time::SystemTime;
use strata_oci::{Digest, Repository, RepositoryUrl};
use strata_spec::catalog::Skipped;
use strata_spec::{Catalog, Database};

/// How many records that are not understood are named one by one.
const NAMED_RECORDS: usize = 5;

/// What is done where an index cannot be read and only packages are looked for.
const READING_TAGS: &str = "reading the tags instead";

/// The index of a cache and the digest of its JSON; none if the cache has no index.
pub fn read(repository: &dyn Repository) -> Result<Option<(Database, Digest)>, Error> {
    let Some(published) = published(repository)? else { return Ok(None) };
    let database = Database::parse(&published.json(repository)?).map_err(|e| invalid(repository, &e))?;
    Ok(Some((database, published.layer.digest)))
}

/// The index of a cache, arranged for questions; none if the cache has no index that can be read, which is reported.
///
/// `kept` is the directory in which indexes are kept in a form that need not be parsed: one that is still the cache's is not
/// fetched again.
///
/// # Errors
/// If the cache cannot be asked. [`last_known`] has what it said before.
pub fn catalog(
    repository: &dyn Repository,
    kept: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<Option<Catalog>, Error> {
    usable(current(repository, kept, reporter), READING_TAGS, reporter)
}

/// As [`catalog`], and what the index would be for a cache that has none.
///
/// # Errors
/// If the cache cannot be asked.
pub fn catalog_or_collect(
    repository: &dyn Repository,
    kept: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<Catalog, Error> {
    match catalog(repository, kept, reporter)? {
        Some(catalog) => Ok(catalog),
        None => Ok(Catalog::of_database(&collected(repository, reporter)?)),
    }
}

/// What a cache had when it was last asked.
#[derive(Debug)]
pub struct LastKnown {
    /// Its index.
    pub catalog: Catalog,
    /// When it was found to have it.
    pub as_of: SystemTime,
}

/// The index that is kept of a cache, which is not asked; none if none is, or it is damaged.
pub fn last_known(cache: &RepositoryUrl, kept: &Path) -> Option<LastKnown> {
    let kept = Place::of(kept, cache).open(None).ok()??;
    Some(LastKnown { catalog: kept.catalog, as_of: kept.as_of })
}

fn current(
    repository: &dyn Repository,
    kept: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<Option<Catalog>, Error> {
    let Some(published) = published(repository)? else { return Ok(None) };
    let digest = published.layer.digest;
    let place = kept.map(|directory| Place::of(directory, repository.url()));
    if let Some(place) = &place {
        match place.open(Some(&digest)) {
            Ok(Some(kept)) => {
                place.confirm();
                report(repository, &kept.skipped, reporter);
                return Ok(Some(kept.catalog));
            }
            Ok(None) => {}
            Err(error) => {
                let text = format!("not using what is kept of the index of {}: {error}", repository.url());
                reporter.event(Event::Detail(&text));
            }
        }
    }
    let json = published.json(repository)?;
    let (catalog, skipped) = Catalog::parse(json).map_err(|e| invalid(repository, &e))?;
    report(repository, &skipped, reporter);
    if let Some((directory, place)) = kept.zip(place)
        && let Err(error) = place.keep(&digest, &catalog, &skipped)
    {
        let (url, directory) = (repository.url(), directory.display());
        let text = format!("the index of {url} cannot be kept in {directory}: {error}");
        reporter.event(Event::Warning(&text));
    }
    Ok(Some(catalog))
}

/// Says which records are not understood.
fn report(repository: &dyn Repository, skipped: &[Skipped], reporter: &dyn Reporter) {
    let place = repository.url();
    for Skipped { record, reason } in skipped.iter().take(NAMED_RECORDS) {
        let text = format!("ignoring record {record} of the index of {place}: {reason}");
        reporter.event(Event::Warning(&text));
    }
    if let Some(more) = skipped.len().checked_sub(NAMED_RECORDS).filter(|more| *more > 0) {
        let text = format!("ignoring {more} more records of the index of {place} that are not understood");
        reporter.event(Event::Warning(&text));
    }
}

/// What the index of a cache without one would be.
fn collected(repository: &dyn Repository, reporter: &dyn Reporter) -> Result<Database, Error> {
    let place = repository.url();
    reporter.event(Event::Detail(&format!("{place} has no usable index; reading its tags instead")));
    let (database, bad_tags) = collect(repository, &repository.tags()?)?;
    for bad in bad_tags {
        reporter.event(Event::Warning(&format!("ignoring tag {} of {place}: {}", bad.tag, bad.reason)));
    }
    Ok(database)
}
