//! The packages that tags lead to: known from the present index, given by who pushed them, or read from their configs.

use super::compose::Composition;
use super::entry::{Entry, Known};
use super::package;
use crate::error::{Error, chain};
use crate::package_tag;
use crate::parallel;
use serde::Serialize;
use std::collections::{HashMap, hash_map};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use strata_oci::Repository;
use strata_spec::dag::{DependencyTypes, preorder};
use strata_spec::spec_json::InvalidSpec;
use strata_spec::{ConcreteSpec, DagHash, Database};

/// After so many tags in a row that give no answer it is the cache that gives none.
const TROUBLES: usize = 32;

/// A tag that ends in `.spack` but is no package, or gives no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadTag {
    /// The tag.
    pub tag: String,
    /// Why it cannot be used.
    pub reason: String,
    /// Whether it may be a good one: it gave no answer this time.
    pub temporary: bool,
}

/// Packages that the present index need not know.
#[derive(Default)]
pub(super) struct Packages {
    nodes: HashMap<DagHash, Entry<'static>>,
    /// What became of the tags that were read.
    read: HashMap<String, Result<(), BadTag>>,
    /// Why a tag gave no answer: the first of those.
    pub(super) trouble: Option<Error>,
}

/// The tags that should be packages.
pub(crate) fn package_tags(tags: &[String]) -> impl Iterator<Item = &String> {
    tags.iter().filter(|tag| tag.ends_with(".spack") && *tag != package_tag::INDEX)
}

impl Packages {
    /// Packages that were just pushed from a store: their specs are known, and need not be read.
    ///
    /// # Errors
    /// If a node or one that it needs is not in the store's database.
    pub(super) fn pushed(database: &Database, hashes: &[DagHash]) -> Result<Self, Error> {
        let mut packages = Self::default();
        let version = database.spec_version();
        for node in hashes.iter().filter_map(|hash| database.records.get(hash)).map(|record| &record.node) {
            for node in preorder(database, node, DependencyTypes::ALL)? {
                if !packages.nodes.contains_key(&node.hash) {
                    let entry = Entry::of(node, version)?;
                    packages.nodes.insert(node.hash.clone(), entry);
                }
            }
            packages.read.insert(package_tag::of(node)?.to_string(), Ok(()));
        }
        Ok(packages)
    }

    /// The tags of packages that were given or found good.
    pub(super) fn tags(&self) -> impl Iterator<Item = &String> {
        self.read.iter().filter(|(_, found)| found.is_ok()).map(|(tag, _)| tag)
    }

    /// What the index of `tags` is, and the tags that cannot be used. Configs are read of those alone that neither `known`
    /// nor this has.
    pub(super) fn compose<'n>(
        &'n mut self,
        repository: &dyn Repository,
        tags: &[String],
        known: &'n Known<'_>,
    ) -> Result<(Composition<'n>, Vec<BadTag>), Error> {
        // In an earlier round; perhaps they answer now.
        self.read.retain(|_, found| !matches!(found, Err(BadTag { temporary: true, .. })));
        self.trouble = None;
        let new: Vec<&str> = package_tags(tags)
            .map(String::as_str)
            .filter(|tag| !package_tag::hash(tag).is_some_and(|hash| known.has(&hash)))
            .collect();
        self.read(repository, &new)?;
        let (_, _, unfounded) = self.composition(tags, known);
        if !unfounded.is_empty() {
            // The index has a package and not all that it needs: its config has.
            self.read(repository, &unfounded)?;
        }
        let (composition, bad_tags, _) = self.composition(tags, known);
        Ok((composition, bad_tags))
    }

    /// With the tags that only the present index knows, and does not know enough of.
    fn composition<'n, 't>(
        &'n self,
        tags: &'t [String],
        known: &'n Known<'_>,
    ) -> (Composition<'n>, Vec<BadTag>, Vec<&'t str>) {
        let mut composition = Composition::new(&self.nodes, &known.entries);
        let (mut bad_tags, mut unfounded) = (Vec::new(), Vec::new());
        for tag in package_tags(tags) {
            let Some(hash) = package_tag::hash(tag) else {
                if let Some(Err(bad)) = self.read.get(tag) {
                    bad_tags.push(bad.clone());
                }
                continue;
            };
            let found = self.read.get(tag);
            // What the index knows is not read. So it counts for more than what came of reading it in an earlier round,
            // when the index did not know it: another writer has read it since.
            if let Some(Err(bad)) = found
                && !known.has(&hash)
            {
                bad_tags.push(bad.clone());
                continue;
            }
            let outcome = composition.add(hash.as_str());
            match (outcome, found) {
                (Ok(()), _) => {}
                (Err(_), Some(Err(bad))) => bad_tags.push(bad.clone()),
                (Err(reason), Some(Ok(_))) => {
                    bad_tags.push(BadTag { tag: tag.clone(), reason, temporary: false });
                }
                (Err(_), None) => unfounded.push(tag.as_str()),
            }
        }
        (composition, bad_tags, unfounded)
    }

    /// Reads the configs of those tags that were not read yet.
    fn read(&mut self, repository: &dyn Repository, tags: &[&str]) -> Result<(), Error> {
        let mut unread: Vec<&str> = tags.to_vec();
        unread.retain(|tag| !self.read.contains_key(*tag));
        let numbered: Vec<(usize, &str)> = unread.into_iter().enumerate().collect();
        // Several configs hold the same node, perhaps with other annotations: as for Spack, the first tag's counts, whatever
        // order they arrive in.
        let nodes: Mutex<HashMap<DagHash, (usize, Entry<'static>)>> = Mutex::default();
        let (troubles, trouble) = (AtomicUsize::new(0), Mutex::new(None));
        let read = parallel::map(&numbered, parallel::REQUESTS, |(number, tag)| {
            let error = match package_of(repository, tag, *number, &nodes) {
                Ok(()) => {
                    troubles.store(0, Ordering::Relaxed);
                    return Ok(Ok(()));
                }
                Err(error) => error,
            };
            let temporary = !error.is_about_content();
            let bad = BadTag { tag: (*tag).to_owned(), reason: chain(&error), temporary };
            if temporary {
                if troubles.fetch_add(1, Ordering::Relaxed) + 1 >= TROUBLES {
                    return Err(error);
                }
                parallel::lock(&trouble).get_or_insert(error);
            } else {
                troubles.store(0, Ordering::Relaxed);
            }
            Ok(Err(bad))
        })?;
        for ((_, tag), found) in numbered.into_iter().zip(read) {
            self.read.insert(tag.to_owned(), found);
        }
        let found = std::mem::take(&mut *parallel::lock(&nodes));
        for (hash, (_, entry)) in found {
            self.nodes.entry(hash).or_insert(entry);
        }
        self.trouble = self.trouble.take().or_else(|| parallel::lock(&trouble).take());
        Ok(())
    }
}

/// Reads the spec of a tag, which must be the one that the tag is named after: who looks for a package looks for its tag.
/// Its nodes are kept, but for those that a tag before this one has.
fn package_of(
    repository: &dyn Repository,
    tag: &str,
    number: usize,
    nodes: &Mutex<HashMap<DagHash, (usize, Entry<'static>)>>,
) -> Result<(), Error> {
    let place = || repository.url().to_string();
    let spec = package::spec_of(repository, tag)?;
    if package_tag::hash(tag).as_ref() != Some(&spec.root().hash) {
        return Err(Error::WrongPackage { tag: tag.to_owned(), place: place(), found: spec.root().label() });
    }
    take(&spec, number, nodes).map_err(|reason| Error::InvalidSpec {
        tag: tag.to_owned(),
        place: place(),
        source: InvalidSpec::Malformed(reason),
    })
}

/// Keeps the nodes of a spec that no tag before this one has.
fn take(
    spec: &ConcreteSpec,
    number: usize,
    nodes: &Mutex<HashMap<DagHash, (usize, Entry<'static>)>>,
) -> Result<(), serde_json::Error> {
    for node in spec.nodes() {
        if parallel::lock(nodes).get(&node.hash).is_some_and(|(first, _)| *first <= number) {
            continue;
        }
        let entry = Entry::of(node, spec.version)?;
        match parallel::lock(nodes).entry(node.hash.clone()) {
            hash_map::Entry::Vacant(place) => {
                place.insert((number, entry));
            }
            hash_map::Entry::Occupied(mut kept) if kept.get().0 > number => {
                kept.insert((number, entry));
            }
            hash_map::Entry::Occupied(_) => {}
        }
    }
    Ok(())
}

/// The index of what `tags` name, for a cache that has none, and the tags that cannot be used.
///
/// # Errors
/// Also if only some of the tags gave an answer: what the others are is not known.
pub(super) fn collect(
    repository: &dyn Repository,
    tags: &[String],
) -> Result<(Database, Vec<BadTag>), Error> {
    let (mut packages, known) = (Packages::default(), Known::default());
    let (json, bad_tags) = {
        let (composition, bad_tags) = packages.compose(repository, tags, &known)?;
        (composition.to_json(), bad_tags)
    };
    if let Some(trouble) = packages.trouble.take() {
        return Err(trouble);
    }
    let unreadable = |error: strata_spec::database::InvalidDatabase| Error::InvalidIndex {
        place: repository.url().to_string(),
        reason: error.to_string(),
    };
    Ok((Database::parse(&json).map_err(unreadable)?, bad_tags))
}
