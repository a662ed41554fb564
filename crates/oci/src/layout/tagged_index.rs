//! [`TaggedIndex`]: the document `index.json` in memory, and what each change makes of it.

use std::collections::HashMap;

use super::changes::{Action, Replaced};
use crate::descriptor::REF_NAME;
use crate::{Descriptor, Digest, ImageIndex, TagName};

/// The index, and where in it each tag is.
#[derive(Clone, Default)]
pub(super) struct TaggedIndex {
    document: ImageIndex,
    by_tag: HashMap<String, usize>,
}

impl TaggedIndex {
    pub(super) fn new(document: ImageIndex) -> Self {
        let mut by_tag = HashMap::new();
        for (at, entry) in document.manifests.iter().enumerate() {
            if let Some(tag) = entry.ref_name() {
                // Should somebody else have written a tag twice, skopeo takes the first.
                by_tag.entry(tag.to_string()).or_insert(at);
            }
        }
        Self { document, by_tag }
    }

    pub(super) fn document(&self) -> &ImageIndex {
        &self.document
    }

    pub(super) fn entry(&self, tag: &TagName) -> Option<&Descriptor> {
        self.by_tag.get(tag.as_str()).map(|&at| &self.document.manifests[at])
    }

    /// Some entry of the manifest with this digest.
    pub(super) fn entry_of(&self, digest: &Digest) -> Option<&Descriptor> {
        self.entries().iter().find(|entry| entry.digest == *digest)
    }

    /// All entries, with a tag or without one.
    pub(super) fn entries(&self) -> &[Descriptor] {
        &self.document.manifests
    }

    /// All tags, in no order.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.by_tag.keys().map(String::as_str)
    }

    /// Whether what `action` is about is here, whatever it then makes of it.
    pub(super) fn has(&self, action: &Action) -> bool {
        match action {
            Action::Tag { tag, .. } | Action::RemoveTag { tag, .. } => self.entry(tag).is_some(),
            Action::Keep { manifest, .. } => self.entry_of(&manifest.digest).is_some(),
            Action::RemoveManifest(digest) => self.entry_of(digest).is_some(),
        }
    }

    /// Whether `action` would change nothing.
    pub(super) fn agrees_with(&self, action: &Action) -> bool {
        match action {
            Action::Tag { tag, manifest, lists, .. } => {
                self.entry(tag).is_some_and(|entry| same_target(entry, manifest)) && !self.has_needless(lists)
            }
            Action::Keep { manifest, lists } => {
                self.entry_of(&manifest.digest).is_some_and(|entry| same_target(entry, manifest))
                    && !self.has_needless(lists)
            }
            Action::RemoveTag { .. } | Action::RemoveManifest(_) => !self.has(action),
        }
    }

    /// Does it; true if what it is about was here.
    pub(super) fn apply(&mut self, action: &Action) -> bool {
        let had = self.has(action);
        if self.agrees_with(action) {
            return had;
        }
        match action {
            Action::Tag { tag, manifest, replaced, lists } => {
                self.set(tag, manifest, *replaced);
                self.drop_needless(lists);
            }
            Action::Keep { manifest, lists } => {
                if !self.entry_of(&manifest.digest).is_some_and(|entry| same_target(entry, manifest)) {
                    self.document.manifests.push(manifest.clone());
                }
                self.drop_needless(lists);
            }
            Action::RemoveTag { tag, replaced } => {
                let former = self.entry(tag).cloned();
                self.retain(|entry| entry.ref_name() != Some(tag.as_str()));
                self.keep_former(former, *replaced);
            }
            Action::RemoveManifest(digest) => self.retain(|entry| entry.digest != *digest),
        }
        had
    }

    /// Whether there are entries that say no more than that something is there which an index lists.
    fn has_needless(&self, lists: &[Digest]) -> bool {
        !lists.is_empty() && self.entries().iter().any(|entry| is_needless(entry, lists))
    }

    fn drop_needless(&mut self, lists: &[Digest]) {
        if self.has_needless(lists) {
            self.retain(|entry| !is_needless(entry, lists));
        }
    }

    /// Makes `tag` point at `manifest` alone. What else its entry said (a platform, say) was about another manifest.
    fn set(&mut self, tag: &TagName, manifest: &Descriptor, replaced: Replaced) {
        let mut manifest = manifest.clone();
        manifest.annotations.insert(REF_NAME.to_string(), tag.to_string());
        let entries = &mut self.document.manifests;
        let Some(&at) = self.by_tag.get(tag.as_str()) else {
            // An entry that says no more than that the manifest is there has nothing left to say.
            let place = match replaced {
                Replaced::KeptByDigest => entries.iter().position(|entry| is_bare(entry, &manifest)),
                Replaced::Forgotten => None,
            };
            let place = place.unwrap_or(entries.len());
            self.by_tag.insert(tag.to_string(), place);
            if place == entries.len() {
                entries.push(manifest);
            } else {
                entries[place] = manifest;
            }
            return;
        };
        let former = std::mem::replace(&mut entries[at], manifest);
        let is_tag = |entry: &Descriptor| entry.ref_name() == Some(tag.as_str());
        if entries[at + 1..].iter().any(is_tag) {
            let mut position = 0..;
            self.retain(|entry| position.next() == Some(at) || !is_tag(entry));
        }
        self.keep_former(Some(former), replaced);
    }

    /// Leaves an entry without a tag for a manifest that has just lost its last one.
    fn keep_former(&mut self, former: Option<Descriptor>, replaced: Replaced) {
        let Some(former) = former else { return };
        if replaced == Replaced::KeptByDigest && self.entry_of(&former.digest).is_none() {
            let bare = Descriptor::new(former.media_type, former.digest, former.size);
            self.document.manifests.push(bare);
        }
    }

    fn retain(&mut self, keep: impl FnMut(&Descriptor) -> bool) {
        self.document.manifests.retain(keep);
        *self = Self::new(std::mem::take(&mut self.document));
    }
}

/// Whether both point at the same manifest, whatever else they say of it.
fn same_target(one: &Descriptor, other: &Descriptor) -> bool {
    (&one.media_type, one.digest, one.size) == (&other.media_type, other.digest, other.size)
}

/// Whether `entry` points at `manifest` and says nothing else.
fn is_bare(entry: &Descriptor, manifest: &Descriptor) -> bool {
    same_target(entry, manifest) && says_nothing(entry)
}

/// Whether `entry` says no more than that something is there which an index with these members lists.
fn is_needless(entry: &Descriptor, lists: &[Digest]) -> bool {
    says_nothing(entry) && lists.contains(&entry.digest)
}

fn says_nothing(entry: &Descriptor) -> bool {
    entry.annotations.is_empty() && entry.extra.is_empty()
}
