//! Bringing `index.spack` up to date, with any number of others doing the same.
//!
//! Registries have no conditional PUT: of two writers that read the same index the slower one replaces what the faster one
//! wrote. What keeps the index right all the same:
//!
//! 1. A package is tagged first, and then the index is brought up to date.
//! 2. An index is composed of *all* tags there are; the present index only saves reading configs again.
//! 3. Who wrote the index lists the tags again afterwards. If they are others than those it was composed of, it starts over.
//!
//! So the last index that anybody writes has every package. Its writer listed the tags after writing it, and found those it
//! has. A package tagged later than that has a pusher who brings the index up to date later still, finds it lacking, and
//! writes: then it was not the last. That holds for a writer that finds nothing to write, too: it relies on what somebody
//! else wrote, and who replaces that with less will list the tags afterwards. A writer that is killed between writing and
//! listing may leave an index that lacks a package; the next update adds it. So may one that gets no answer for a tag, for
//! it can replace an index that has the package: it says so and ends with an error. Whenever it starts over it asks again,
//! and what another writer's index knows by then it need not ask.
//!
//! Writers that know the same tags write the same bytes (`compose.rs`), which ends the race; a pause of random length before
//! starting over ends it sooner.

use super::collect::{BadTag, Packages, package_tags};
use super::compose::Composition;
use super::entry::Known;
use super::published::{published, usable};
use crate::error::Error;
use crate::package_tag;
use crate::report::{Event, Reporter};
use serde::Serialize;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;
use strata_oci::{BlobKind, BlobSource, Descriptor, Digest, Location, Manifest, Repository, media_type};
use strata_spec::{DagHash, Database};

/// How often an update starts over. Each time there were new tags, so that only a cache into which packages are pushed all
/// the time gets this far.
const ROUNDS: u32 = 30;

/// The longest pause before the second round; it doubles up to a limit.
const PAUSE: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(1500));

/// The config of an index.
const CONFIG: &[u8] = b"{}";

/// The index that the cache has, or that was just written.
struct Present {
    json: String,
    digest: Digest,
    /// The digest of its manifest's config.
    config: Digest,
}

/// What an update of the index did.
#[derive(Debug, Default, Serialize)]
pub struct IndexSummary {
    /// Packages in the index now.
    pub packages: usize,
    /// Packages that were not in it before.
    pub added: usize,
    /// Packages that are no longer in it because their tag is gone, or leads to no package.
    pub dropped: usize,
    /// Whether the index was written (it is not when nothing changed).
    pub written: bool,
    /// Tags that look like packages and are not in the index.
    pub bad_tags: Vec<BadTag>,
    /// Why a tag gave no answer, if one did not; its package may be missing from the index.
    #[serde(skip)]
    pub trouble: Option<Error>,
}

/// Makes the index that of the tags, reusing what the present one knows, and writes it if it changed.
///
/// # Errors
/// If the cache gives no answer, or the index cannot be written. Single tags that are no packages, or give no answer, are
/// part of the summary.
pub fn update(repository: &dyn Repository, reporter: &dyn Reporter) -> Result<IndexSummary, Error> {
    run(repository, Packages::default(), reporter)
}

/// The same after a push of the packages `pushed` from a store: their configs are not fetched.
///
/// # Errors
/// As [`update`], and if the store's database lacks a node of theirs.
pub fn add(
    repository: &dyn Repository,
    database: &Database,
    pushed: &[DagHash],
    reporter: &dyn Reporter,
) -> Result<IndexSummary, Error> {
    run(repository, Packages::pushed(database, pushed)?, reporter)
}

fn run(
    repository: &dyn Repository,
    mut packages: Packages,
    reporter: &dyn Reporter,
) -> Result<IndexSummary, Error> {
    reporter.event(Event::Phase("Updating the index"));
    // A registry may list a tag some moments after it took it.
    let pushed: BTreeSet<String> = packages.tags().cloned().collect();
    let list = || -> Result<Vec<String>, Error> {
        let mut tags: BTreeSet<String> = package_tags(&repository.tags()?).cloned().collect();
        tags.extend(pushed.iter().cloned());
        Ok(tags.into_iter().collect())
    };
    let mut tags = list()?;
    let mut summary = IndexSummary::default();
    let mut ours: Option<Present> = None;
    for round in 1.. {
        let present = usable(fetch(repository, ours.take()), "writing a new one", reporter)?;
        let known = present.as_ref().map(|present| Known::parse(&present.json));
        let known = match known {
            Some(Err(reason)) => {
                let text =
                    format!("the index of {} cannot be read: {reason}; writing a new one", repository.url());
                reporter.event(Event::Warning(&text));
                Known::default()
            }
            Some(Ok(known)) => known,
            None => Known::default(),
        };
        let composed = packages.compose(repository, &tags, &known)?;
        let json = summary.take(composed, &known);
        let index = BlobSource { mount_from: own_name(repository), ..BlobSource::bytes(json.into_bytes()) };
        if present.as_ref().is_some_and(|present| present.digest == index.digest) {
            break;
        }
        drop(known);
        write(repository, &index, present.map(|present| present.config))?;
        summary.written = true;
        // Another writer may have tagged packages, or written an index of its own, in the meantime.
        let now = list()?;
        if now == tags {
            break;
        }
        if round == ROUNDS {
            let text = "packages are still being pushed: the index may lack some of the last, until it is updated again";
            reporter.event(Event::Warning(text));
            break;
        }
        tags = now;
        ours = as_present(index);
        pause(round);
    }
    for bad in &summary.bad_tags {
        reporter.event(Event::Warning(&format!("tag {} is not in the index: {}", bad.tag, bad.reason)));
    }
    summary.trouble = packages.trouble.take();
    Ok(summary)
}

/// The index of the cache. It is not fetched if it is `ours`.
fn fetch(repository: &dyn Repository, ours: Option<Present>) -> Result<Option<Present>, Error> {
    let Some(published) = published(repository)? else { return Ok(None) };
    let (digest, config) = (published.layer.digest, published.config);
    let json = match ours.filter(|ours| ours.digest == digest) {
        Some(ours) => ours.json,
        None => published.json(repository)?,
    };
    Ok(Some(Present { json, digest, config }))
}

impl IndexSummary {
    /// Takes down what a round came to; the index to write.
    fn take(&mut self, (composition, bad_tags): (Composition<'_>, Vec<BadTag>), known: &Known<'_>) -> String {
        let kept = known.cached.iter().filter(|hash| composition.has(hash)).count();
        self.packages = composition.packages();
        // A later round compares with the index that an earlier one wrote.
        self.added += self.packages - kept;
        self.dropped += known.cached.len() - kept;
        self.bad_tags = bad_tags;
        composition.to_json()
    }
}

/// The name of the repository in its registry: an index is most likely new, and mounting it from there takes one request less
/// than asking whether it is there.
fn own_name(repository: &dyn Repository) -> Option<String> {
    match repository.url().location() {
        Location::Registry { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// Uploads the JSON as Spack does: raw, though labelled as a compressed tar, with `{}` for a config. `config` is that of the
/// index that is there: if it is the same one, the repository has it.
fn write(repository: &dyn Repository, index: &BlobSource, config: Option<Digest>) -> Result<(), Error> {
    let ours = BlobSource::bytes(CONFIG.to_vec());
    let layers = vec![Descriptor::new(media_type::OCI_LAYER_GZIP, index.digest, index.size)];
    let manifest = Manifest::new(ours.descriptor(media_type::OCI_CONFIG), layers);
    let (tag, bytes) = (package_tag::index()?, manifest.to_bytes()?);
    let _ = repository.put_blob(index)?;
    if config == Some(ours.digest) && repository.put_manifest(&tag, &manifest.media_type, &bytes).is_ok() {
        return Ok(());
    }
    let _ = repository.put_blob(&ours)?;
    repository.put_manifest(&tag, &manifest.media_type, &bytes)?;
    Ok(())
}

/// The index that was just written, for comparison with the one that is there then.
fn as_present(index: BlobSource) -> Option<Present> {
    let BlobKind::Bytes(bytes) = index.kind else { return None };
    let json = String::from_utf8(bytes).ok()?;
    Some(Present { json, digest: index.digest, config: Digest::of(CONFIG) })
}

/// Some time, another for each writer.
fn pause(round: u32) {
    let longest = PAUSE.1.min(PAUSE.0 * 2_u32.saturating_pow(round.min(10)));
    let random = RandomState::new().hash_one(round) % 1000;
    std::thread::sleep(longest * u32::try_from(random).unwrap_or_default() / 1000);
}
