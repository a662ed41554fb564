//! The next index: what is there, with images put in the place of others. A pure function.

use super::member::Member;
use super::{IndexSummary, IndexedImage};
use crate::error::Error;
use crate::image::ImageError;
use std::collections::BTreeMap;
use strata_oci::media_type::Family;
use strata_oci::{Descriptor, Digest, ImageIndex, Platform, RawManifest, RawObject};

/// What an attestation says it is of.
const REFERRED: &str = "vnd.docker.reference.digest";
/// What an attestation says it is.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// What two entries that take each other's place have in common: operating system, architecture, variant, and the version
/// of the operating system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    os: String,
    architecture: String,
    variant: String,
    version: String,
}

impl Key {
    fn is_of(&self, platform: &Platform) -> bool {
        let variant = platform.variant.as_deref();
        self.os == platform.os
            && self.architecture == platform.architecture
            && variant.is_none_or(|variant| usual(&self.architecture, variant) == self.variant)
    }

    /// Whether `other` says the same, or more where this says nothing.
    pub(super) fn is_refined_by(&self, other: &Self) -> bool {
        let agree = |ours: &str, theirs: &str| ours.is_empty() || ours == theirs;
        self.os == other.os
            && self.architecture == other.architecture
            && agree(&self.variant, &other.variant)
            && agree(&self.version, &other.version)
    }

    fn text(&self) -> String {
        let variant = Some(self.variant.clone()).filter(|variant| !variant.is_empty());
        let (os, architecture) = (self.os.clone(), self.architecture.clone());
        Platform { os, architecture, variant }.to_string()
    }
}

/// The variant as it is compared: that of arm64 which everybody means who names none is none.
fn usual(architecture: &str, variant: &str) -> String {
    let usual = matches!((architecture, variant), ("arm64", "v8") | ("amd64", "v1"));
    if usual { String::new() } else { variant.to_owned() }
}

/// The `platform` of an entry.
pub(super) fn platform_of(entry: &Descriptor) -> Option<RawObject> {
    serde_json::from_str(entry.extra.get("platform")?.get()).ok()
}

/// What platform an entry is of; none for attestations, and for what has no platform.
pub(super) fn key(entry: &Descriptor) -> Option<Key> {
    if entry.annotations.contains_key(REFERENCE_TYPE) {
        return None;
    }
    let mut platform = platform_of(entry)?;
    let mut text = |key: &str| platform.take::<String>(key).ok().flatten().unwrap_or_default();
    let (os, architecture) = (text("os"), text("architecture"));
    if os.is_empty() || architecture.is_empty() || os == "unknown" || architecture == "unknown" {
        return None;
    }
    let variant = usual(&architecture, &text("variant"));
    Some(Key { os, architecture, variant, version: text("os.version") })
}

/// What is to become of an index.
pub(super) struct Change<'c> {
    pub(super) members: &'c [Member],
    pub(super) removals: &'c [Platform],
    /// The index, for messages.
    pub(super) reference: &'c str,
}

/// The next index.
#[derive(Debug)]
pub(super) struct Composed {
    pub(super) index: ImageIndex,
    /// What was put in.
    pub(super) put: Vec<(Key, Digest)>,
    /// What was there and is no longer.
    pub(super) taken_out: Vec<Digest>,
    added: Vec<Key>,
    replaced: Vec<Key>,
    removed: Vec<Key>,
}

/// An index of one image.
pub(super) fn index_of(member: &Member) -> ImageIndex {
    ImageIndex {
        media_type: member.family.index().to_owned(),
        manifests: vec![member.entry.clone()],
        ..ImageIndex::default()
    }
}

/// The index of several new images.
pub(crate) fn compose_new(members: Vec<Member>, reference: &str) -> Result<RawManifest, Error> {
    let change = Change { members: &members, removals: &[], reference };
    let index = compose(None, &change, true)?.index;
    let bytes = index.to_bytes()?;
    Ok(RawManifest { digest: Digest::of(&bytes), media_type: index.media_type, bytes })
}

/// Changes `current`, the index that is there. That what is to be removed is there is asked of the first index only
/// (`strict`): afterwards, somebody else may have removed it.
pub(super) fn compose(
    current: Option<&ImageIndex>,
    change: &Change<'_>,
    strict: bool,
) -> Result<Composed, Error> {
    let mut index = match (current, change.members.first()) {
        (Some(current), _) => current.clone(),
        (None, first) => {
            let family = first.map(|member| member.family).unwrap_or_default();
            ImageIndex { media_type: family.index().to_owned(), ..ImageIndex::default() }
        }
    };
    let family = Family::of_manifest(&index.media_type);
    if let Some(other) = change.members.iter().find(|member| member.family != family) {
        let with = match current {
            Some(_) => change.reference.to_owned(),
            None => change.members[0].name.clone(),
        };
        let names = [(other.name.clone(), other.family), (with, family)];
        return Err(Error::Image(ImageError::MixedFamilies(
            names.map(|(name, family)| (name, family_name(family))),
        )));
    }
    let mut images: BTreeMap<Key, Descriptor> = BTreeMap::new();
    let mut others: Vec<Descriptor> = Vec::new();
    for entry in index.manifests.drain(..) {
        match key(&entry) {
            // Two of one platform, which nobody can tell apart: readers take the first.
            Some(key) if images.contains_key(&key) => others.push(entry),
            Some(key) => drop(images.insert(key, entry)),
            None => others.push(entry),
        }
    }
    let (mut taken_out, mut removed) = (Vec::new(), Vec::new());
    for platform in change.removals {
        let keys: Vec<Key> = images.keys().filter(|key| key.is_of(platform)).cloned().collect();
        if keys.is_empty() && strict {
            return Err(strata_oci::Error::NoSuchPlatform {
                reference: change.reference.to_owned(),
                wanted: platform.to_string(),
                has: images.keys().map(Key::text).collect(),
            }
            .into());
        }
        for key in keys {
            taken_out.extend(images.remove(&key).map(|entry| entry.digest));
            removed.push(key);
        }
    }
    let (mut put, mut added, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
    let mut names: BTreeMap<Key, &str> = BTreeMap::new();
    for member in change.members {
        let Some(key) = key(&member.entry) else {
            return Err(Error::Image(ImageError::NoPlatform { image: member.name.clone() }));
        };
        let again = put.iter().any(|(_, digest)| *digest == member.entry.digest);
        if let Some(other) = names.insert(key.clone(), &member.name).filter(|_| !again) {
            let (platform, images) = (key.text(), [other.to_owned(), member.name.clone()]);
            return Err(Error::Image(ImageError::SameImagePlatform { platform, images }));
        }
        match images.insert(key.clone(), member.entry.clone()) {
            Some(old) if old.digest == member.entry.digest => {}
            Some(old) => {
                taken_out.push(old.digest);
                replaced.push(key.clone());
            }
            None => added.push(key.clone()),
        }
        put.push((key, member.entry.digest));
    }
    // An image may be there for another platform still, or have been put again.
    taken_out.retain(|digest| !images.values().any(|entry| entry.digest == *digest));
    // What is attested of an image that is gone is of no use to anybody.
    others.retain(|entry| {
        let referred = entry.annotations.get(REFERRED);
        !referred.is_some_and(|digest| taken_out.iter().any(|gone| gone.to_string() == *digest))
    });
    if images.is_empty() {
        return Err(Error::Image(ImageError::NothingLeft { reference: change.reference.to_owned() }));
    }
    index.manifests = images.into_values().chain(others).collect();
    Ok(Composed { index, put, taken_out, added, replaced, removed })
}

impl Composed {
    /// The images in order.
    pub(super) fn images(&self) -> Vec<IndexedImage> {
        let of = |entry: &Descriptor| {
            Some(IndexedImage { platform: key(entry)?.text(), digest: entry.digest.to_string() })
        };
        self.index.manifests.iter().filter_map(of).collect()
    }

    /// How many entries are no images.
    pub(super) fn others(&self) -> usize {
        self.index.manifests.iter().filter(|entry| key(entry).is_none()).count()
    }

    pub(super) fn summary(&self, reference: &str) -> IndexSummary {
        let texts = |keys: &[Key]| {
            let mut keys = keys.to_vec();
            keys.sort();
            keys.iter().map(Key::text).collect()
        };
        IndexSummary {
            reference: reference.to_owned(),
            digest: String::new(),
            written: false,
            images: Vec::new(),
            others: 0,
            added: texts(&self.added),
            replaced: texts(&self.replaced),
            removed: texts(&self.removed),
        }
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::Oci => "OCI",
        Family::Docker => "Docker",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::media_type::OCI_MANIFEST;

    fn member(platform: &str, content: &str) -> Member {
        Member::new(&platform.parse().unwrap(), OCI_MANIFEST, content.as_bytes()).unwrap()
    }

    fn changed(
        current: Option<&ImageIndex>,
        members: &[Member],
        removals: &[&str],
    ) -> Result<Composed, Error> {
        let removals: Vec<Platform> = removals.iter().map(|platform| platform.parse().unwrap()).collect();
        compose(current, &Change { members, removals: &removals, reference: "it" }, true)
    }

    fn platforms(composed: &Composed) -> Vec<String> {
        composed.images().into_iter().map(|image| image.platform).collect()
    }

    #[test]
    fn the_order_of_additions_does_not_matter() {
        let all = ["linux/arm64", "linux/arm/v7", "linux/amd64", "linux/arm/v6", "linux/amd64/v3"];
        let mut bytes = Vec::new();
        for turn in 0..all.len() {
            let mut index = None;
            for at in 0..all.len() {
                let platform = all[(at + turn) % all.len()];
                index = Some(changed(index.as_ref(), &[member(platform, platform)], &[]).unwrap().index);
            }
            bytes.push(index.unwrap().to_bytes().unwrap());
        }
        let members: Vec<Member> = all.iter().map(|platform| member(platform, platform)).collect();
        let at_once = changed(None, &members, &[]).unwrap();
        assert!(bytes.iter().all(|bytes| *bytes == at_once.index.to_bytes().unwrap()));
        let sorted = ["linux/amd64", "linux/amd64/v3", "linux/arm/v6", "linux/arm/v7", "linux/arm64"];
        assert_eq!(platforms(&at_once), sorted);
    }

    #[test]
    fn the_usual_variant_is_none() {
        let index = changed(None, &[member("linux/arm64/v8", "old")], &[]).unwrap().index;
        let composed = changed(Some(&index), &[member("linux/arm64", "new")], &[]).unwrap();
        assert_eq!(
            (composed.replaced.len(), composed.added.len(), composed.index.manifests.len()),
            (1, 0, 1)
        );
        assert!(matches!(
            changed(Some(&composed.index), &[], &["linux/arm64/v8"]),
            Err(Error::Image(ImageError::NothingLeft { .. }))
        ));
    }

    #[test]
    fn a_removal_without_a_variant_is_of_all_of_them() {
        let members = ["linux/arm/v6", "linux/arm/v7", "linux/amd64"].map(|it| member(it, it));
        let index = changed(None, &members, &[]).unwrap().index;
        assert_eq!(platforms(&changed(Some(&index), &[], &["linux/arm"]).unwrap()), ["linux/amd64"]);
        let one = changed(Some(&index), &[], &["linux/arm/v6"]).unwrap();
        assert_eq!(platforms(&one), ["linux/amd64", "linux/arm/v7"]);
    }

    #[test]
    fn versions_of_a_system_are_told_apart_and_other_entries_kept() {
        let windows = |version: &str| {
            let mut member = member("windows/amd64", version);
            let mut platform = platform_of(&member.entry).unwrap();
            platform.set("os.version", version).unwrap();
            member.entry.extra.set("platform", &platform).unwrap();
            member
        };
        let mut index = changed(None, &[windows("10.1"), windows("10.2")], &[]).unwrap().index;
        assert_eq!(index.manifests.len(), 2);
        index.manifests.insert(0, Descriptor::of(OCI_MANIFEST, b"of no platform"));
        index.extra.set("annotations", &BTreeMap::from([("k", "v")])).unwrap();
        let composed = changed(Some(&index), &[member("linux/amd64", "x")], &[]).unwrap();
        assert_eq!((composed.images().len(), composed.others()), (3, 1));
        assert!(composed.index.extra.get("annotations").is_some());
    }

    #[test]
    fn an_image_that_stays_is_not_taken_out() {
        // The same manifest for two platforms.
        let index =
            changed(None, &[member("linux/amd64", "x"), member("linux/arm64", "x")], &[]).unwrap().index;
        let composed = changed(Some(&index), &[member("linux/amd64", "y")], &[]).unwrap();
        assert_eq!(composed.taken_out, []);
        assert_eq!(composed.index.manifests.len(), 2);
    }
}
