//! `image index`: images of several platforms under one tag.
//!
//! Registries have no conditional PUT: of two writers that read the same index, the slower one replaces what the faster one
//! wrote. What keeps images from getting lost all the same:
//!
//! 1. Images are copied first; between reading the index and writing it there is nothing but putting it together.
//! 2. Who wrote it waits some three times as long as that took, and then looks whether what is there still has the images;
//!    if not, it starts over from what is there.
//! 3. Writers that know the same images write the same bytes: the order of the entries depends on them alone.
//!
//! So an image is lost only if another writer stood still between reading and writing for longer than this one waited.
//! Of two writers of the same platform, the last one's image is there.

mod compose;
mod member;

pub(crate) use compose::compose_new;
pub(crate) use member::Member;

use crate::error::Error;
use crate::image::ImageError;
use crate::package_tag;
use crate::report::Reporter;
use compose::{Change, Composed};
pub(crate) use member::config_of;
use member::{copy, find, of_image};
use serde::Serialize;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use strata_oci::{
    Digest, ImageIndex, ImageReference, ManifestRef, Platform, RawManifest, Repository, TagName, media_type,
};

/// How often an update starts over. Each time another writer was in between.
const ROUNDS: u32 = 30;
/// The shortest and the longest time after which is looked whether the index still has the images.
const SETTLE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(2));
/// The longest pause before the second round; it doubles up to a limit.
const PAUSE: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(1500));

/// An image, or an index of some, that is to be in the index.
pub struct Addition {
    /// Which it is.
    pub reference: ImageReference,
    /// Its repository.
    pub repository: Box<dyn Repository>,
}

/// What an update of an image index did.
#[derive(Debug, Serialize)]
pub struct IndexSummary {
    /// Where the index is.
    pub reference: String,
    /// Its digest.
    pub digest: String,
    /// Whether it was written (it is not when nothing changed).
    pub written: bool,
    /// The images in it, in order.
    pub images: Vec<IndexedImage>,
    /// Entries of no platform, such as attestations.
    pub others: usize,
    /// Platforms whose image was added.
    pub added: Vec<String>,
    /// Platforms whose image was replaced by another.
    pub replaced: Vec<String>,
    /// Platforms whose image was removed.
    pub removed: Vec<String>,
}

/// An image of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IndexedImage {
    /// What it runs on.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: String,
}

/// Makes or updates the index `tag` of `repository`: `additions` take the place of what is there for the same platform, and
/// what is there for the platforms `removals` is removed.
///
/// # Errors
/// If an addition is not there or has no platform, if media types of both families would be mixed, if there is nothing to
/// remove, and what the repositories have to say. The index is then what it was. [`ImageError::IndexContended`] if others write
/// it all the time.
pub fn update(
    repository: &dyn Repository,
    tag: &TagName,
    additions: &[Addition],
    removals: &[Platform],
    reporter: &dyn Reporter,
) -> Result<IndexSummary, Error> {
    package_tag::refuse(tag)?;
    let reference = ImageReference::new(repository.url().clone(), tag.clone()).to_string();
    let (members, sources): (Vec<Member>, Vec<&dyn Repository>) = find(additions)?.into_iter().unzip();
    let change = Change { members: &members, removals, reference: &reference };
    // What is refused is refused before anything is copied.
    next(read(repository, tag)?.as_ref(), &change, true)?;
    copy(&members, &sources, repository, reporter)?;
    let mut summary = None;
    let mut replaced_before: Vec<Digest> = Vec::new();
    for round in 1..=ROUNDS {
        let since = Instant::now();
        let present = read(repository, tag)?;
        let composed = next(present.as_ref(), &change, round == 1)?;
        let bytes = composed.index.to_bytes()?;
        let digest = Digest::of(&bytes);
        let first = summary.get_or_insert_with(|| composed.summary(&reference));
        first.digest = digest.to_string();
        first.images = composed.images();
        first.others = composed.others();
        if let Some(Present::Index { digest: there, .. }) = &present
            && *there == digest
        {
            break;
        }
        repository.put_manifest(tag, &composed.index.media_type, &bytes)?;
        first.written = true;
        replaced_before.extend(composed.taken_out.iter().copied());
        std::thread::sleep((since.elapsed() * 3).clamp(SETTLE.0, SETTLE.1));
        if holds(read(repository, tag)?.as_ref(), &digest, &composed, &replaced_before) {
            break;
        }
        if round == ROUNDS {
            return Err(Error::Image(ImageError::IndexContended { reference }));
        }
        pause(round);
    }
    summary.ok_or(Error::Panicked)
}

/// What comes after what is there.
fn next(present: Option<&Present>, change: &Change<'_>, strict: bool) -> Result<Composed, Error> {
    let current = match present {
        None if strict && !change.removals.is_empty() => {
            return Err(strata_oci::Error::NoSuchImage { reference: change.reference.to_owned() }.into());
        }
        None => None,
        Some(Present::Index { index, .. }) => Some(index.clone()),
        Some(Present::Image(member)) => Some(compose::index_of(member)),
    };
    compose::compose(current.as_ref(), change, strict)
}

/// What a tag leads to.
enum Present {
    Index { digest: Digest, index: ImageIndex },
    Image(Member),
}

fn read(repository: &dyn Repository, tag: &TagName) -> Result<Option<Present>, Error> {
    let Some(raw) = repository.manifest(&ManifestRef::Tag(tag.clone()))? else { return Ok(None) };
    let RawManifest { digest, .. } = raw;
    if is_index(&raw) {
        return Ok(Some(Present::Index { digest, index: ImageIndex::parse(&raw.bytes)? }));
    }
    let reference = ImageReference::new(repository.url().clone(), tag.clone()).to_string();
    Ok(Some(Present::Image(of_image(repository, &raw, &reference)?)))
}

/// Whether an entry of an index is an image, and not an attestation or of no platform.
pub(crate) fn is_image_entry(entry: &strata_oci::Descriptor) -> bool {
    compose::key(entry).is_some()
}

/// Whether a document is an index, by the type it came as or else by what it says itself.
pub(crate) fn is_index(raw: &RawManifest) -> bool {
    let delivered = media_type::essence(&raw.media_type);
    media_type::is_index(&delivered)
        || (!media_type::is_manifest(&delivered)
            && matches!(raw.parse(), Err(strata_oci::ManifestError::IsIndex { .. })))
}

/// Whether what is there now has what was written: the same, or what another writer made of it. An image of one of our
/// platforms that is neither ours nor one that we replaced is a newer one.
fn holds(present: Option<&Present>, written: &Digest, composed: &Composed, replaced: &[Digest]) -> bool {
    match present {
        // Somebody has deleted it, or tagged another image: it is theirs now.
        None | Some(Present::Image(_)) => true,
        Some(Present::Index { digest, .. }) if digest == written => true,
        Some(Present::Index { index, .. }) => {
            let has = |digest: &Digest| index.manifests.iter().any(|entry| entry.digest == *digest);
            let is_replaced = |key: &compose::Key| {
                index.manifests.iter().any(|entry| {
                    compose::key(entry).as_ref() == Some(key) && !replaced.contains(&entry.digest)
                })
            };
            composed.put.iter().all(|(key, digest)| has(digest) || is_replaced(key))
                && !composed.taken_out.iter().any(has)
        }
    }
}

/// Some time, another for each writer.
fn pause(round: u32) {
    let longest = PAUSE.1.min(PAUSE.0 * 2_u32.saturating_pow(round.min(10)));
    let random = RandomState::new().hash_one(round) % 1000;
    std::thread::sleep(longest * u32::try_from(random).unwrap_or_default() / 1000);
}
