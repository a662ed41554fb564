//! What there is to choose from: the indexes of mirrors, packages found by their tags, and what is installed.
//!
//! Gathering is the only part of resolving that asks anybody anything. A mirror without an index is read by its tags,
//! and only by those that can matter: a spec with a name needs the tags of that name.

use super::Mirror;
use super::by_tag::Tags;
use super::candidates::of_the_kind;
use super::fitness::Fitness;
use crate::error::Error;
use crate::index::LastKnown;
use crate::report::{Event, Reporter};
use crate::{index, parallel};
use serde::Serialize;
use std::path::Path;
use strata_spec::catalog::NodeRef;
use strata_spec::host::Host;
use strata_spec::{AbstractSpec, Catalog, Database, matching};

/// What there is to choose from.
pub struct Stock<'m> {
    mirrors: &'m [Mirror],
    database: &'m Database,
    holdings: Vec<Holding>,
    installed: Catalog,
    unasked: Vec<Unasked>,
    /// What mirrors had that could not be asked: never chosen from, only told.
    remembered: Vec<(usize, LastKnown)>,
    /// What the only mirror said, where there is one and it could not be asked.
    refusal: Option<Error>,
    /// Whether a package may be chosen although something that it needs is in no mirror.
    tolerates_missing: bool,
}

/// What is known of one mirror: its index, or some of its packages.
struct Holding {
    mirror: usize,
    catalog: Catalog,
}

/// A mirror that could not be asked, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unasked {
    /// What the user calls it.
    pub mirror: String,
    /// What happened.
    pub reason: String,
}

impl<'m> Stock<'m> {
    /// Asks all mirrors for what may be meant by `specs` on `host`, or on any machine.
    ///
    /// `kept` is where indexes are kept, as for [`index::catalog`]. A mirror that cannot be asked does not end it: whether
    /// that matters depends on what the others have.
    pub fn gather(
        specs: &[AbstractSpec],
        host: Option<&Host>,
        mirrors: &'m [Mirror],
        database: &'m Database,
        kept: Option<&Path>,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        reporter.event(Event::Phase("Looking for binary packages"));
        // Whether a mirror has the binary is not the store's to say.
        let installed = Catalog::of_nodes(database.records.values().map(|record| (&record.node, false)));
        let mut stock = Self {
            mirrors,
            database,
            holdings: Vec::new(),
            installed,
            unasked: Vec::new(),
            remembered: Vec::new(),
            refusal: None,
            tolerates_missing: false,
        };
        let mut without_index = Vec::new();
        for (at, catalog) in stock.ask(&all(mirrors), reporter, |mirror| {
            Ok(Some(index::catalog(&*mirror.repository, kept, reporter)?))
        })? {
            match catalog {
                Some(catalog) => stock.holdings.push(Holding { mirror: at, catalog }),
                None => without_index.push(at),
            }
        }
        if let Some(kept) = kept {
            stock.remember(kept);
        }
        if !without_index.is_empty() {
            let specs: Vec<&AbstractSpec> = specs.iter().collect();
            let found = stock.ask(&without_index, reporter, |mirror| {
                let tags = Tags::list(&*mirror.repository)?;
                Ok(Some(tags.matching(&*mirror.repository, &specs, reporter)?))
            })?;
            stock.holdings.extend(found.into_iter().map(|(mirror, catalog)| Holding { mirror, catalog }));
        }
        // An index may be older than the tags: hashes and names can be looked up among those.
        let unknown: Vec<&AbstractSpec> = specs.iter().filter(|spec| !stock.knows(spec, host)).collect();
        if !unknown.is_empty() {
            stock.read_beyond(&without_index, &unknown, reporter)?;
        }
        // The order of mirrors decides, not that of answers.
        stock.holdings.sort_by_key(|holding| holding.mirror);
        Ok(stock)
    }

    /// Asks some mirrors at the same time; the answers of those that gave one, in the order of the mirrors.
    fn ask<T: Send>(
        &mut self,
        which: &[usize],
        reporter: &dyn Reporter,
        question: impl Fn(&Mirror) -> Result<Option<T>, Error> + Sync,
    ) -> Result<Vec<(usize, T)>, Error> {
        let others = self.mirrors.len() > 1;
        let answers = parallel::map(which, parallel::REQUESTS, |at| {
            let mirror = &self.mirrors[*at];
            let mut failures = Vec::new();
            let answer = mirror.ask(others, &mut failures, reporter, || question(mirror));
            Ok::<_, Error>((*at, answer, failures))
        })?;
        let mut found = Vec::new();
        for (at, answer, failures) in answers {
            match answer {
                Ok(answer) => found.extend(answer.map(|answer| (at, answer))),
                Err(error) => {
                    let reason = crate::error::chain(&error);
                    self.note(Unasked { mirror: self.mirrors[at].name.clone(), reason });
                    self.refusal = Some(error);
                }
            }
            for (mirror, reason) in failures {
                self.note(Unasked { mirror, reason });
            }
        }
        Ok(found)
    }

    fn remember(&mut self, kept: &Path) {
        let is_unasked = |name: &str| self.unasked.iter().any(|unasked| unasked.mirror == name);
        let unasked = self.mirrors.iter().enumerate().filter(|(_, mirror)| is_unasked(&mirror.name));
        let known =
            unasked.filter_map(|(at, mirror)| Some((at, index::last_known(mirror.repository.url(), kept)?)));
        self.remembered = known.collect();
    }

    fn note(&mut self, unasked: Unasked) {
        if !self.unasked.iter().any(|known| known.mirror == unasked.mirror) {
            self.unasked.push(unasked);
        }
    }

    /// Reads what the tags of mirrors have beyond their indexes.
    fn read_beyond(
        &mut self,
        without_index: &[usize],
        specs: &[&AbstractSpec],
        reporter: &dyn Reporter,
    ) -> Result<(), Error> {
        let indexes: Vec<(usize, Catalog)> = self
            .holdings
            .iter()
            .filter(|holding| !without_index.contains(&holding.mirror))
            .map(|holding| (holding.mirror, holding.catalog.clone()))
            .collect();
        let mirrors = self.mirrors;
        let index_of = |mirror: &Mirror| {
            indexes
                .iter()
                .find(|(at, _)| std::ptr::eq(&raw const mirrors[*at], mirror))
                .map(|(_, index)| index)
        };
        let which: Vec<usize> = indexes.iter().map(|(at, _)| *at).collect();
        let found = self.ask(&which, reporter, |mirror| {
            let Some(index) = index_of(mirror) else { return Ok(None) };
            let tags = match Tags::list(&*mirror.repository) {
                // Of what has no hash, the index has said what there is to say.
                Err(error) if !specs.iter().any(|spec| spec.hash.is_some()) => {
                    let (name, error) = (&mirror.name, crate::error::chain(&error));
                    let text = format!("cannot tell whether {name} has more than is in its index: {error}");
                    reporter.event(Event::Warning(&text));
                    return Ok(None);
                }
                tags => tags?.beyond(index),
            };
            Ok(Some(tags.matching(&*mirror.repository, specs, reporter)?))
        })?;
        for (mirror, catalog) in found {
            let new = catalog.nodes().filter(|node| node.in_buildcache()).count();
            if new > 0 {
                let name = self.mirror_name(mirror);
                let text = format!(
                    "the index of {name} lacks packages that were found by their tags; `strata buildcache update-index \
                     {name}` brings it up to date"
                );
                reporter.event(Event::Warning(&text));
                self.holdings.push(Holding { mirror, catalog });
            }
        }
        Ok(())
    }

    /// Whether there is anything to choose from for `spec`. Without a name, tags could not be told apart anyway.
    fn knows(&self, spec: &AbstractSpec, host: Option<&Host>) -> bool {
        let Some(hash) = &spec.hash else {
            let fitness = Fitness::new(self, host);
            let mut candidates = of_the_kind(self, spec).into_iter();
            return spec.name.is_none()
                || candidates
                    .any(|node| matching::satisfies(node, spec) && fitness.obstacle(node).is_none());
        };
        let in_indexes = self.holdings.iter().flat_map(|holding| holding.catalog.with_hash(hash));
        in_indexes.filter(|node| node.in_buildcache()).count() > 0
            || self.installed.with_hash(hash).any(|node| self.is_installed(node.hash()))
    }

    /// The catalogs of what mirrors have, in the order of the mirrors, and last that of the store.
    pub(crate) fn catalogs(&self) -> impl Iterator<Item = &Catalog> {
        self.holdings.iter().map(|holding| &holding.catalog).chain(std::iter::once(&self.installed))
    }

    /// Whether the package is installed, and its prefix is there.
    pub(crate) fn is_installed(&self, hash: &str) -> bool {
        self.database.records.get(hash).is_some_and(crate::install::is_there)
    }

    /// The mirrors that have the binary, in their order.
    pub(crate) fn mirrors_with<'s>(&'s self, hash: &'s str) -> impl Iterator<Item = usize> + 's {
        let has = move |catalog: &Catalog| catalog.with_hash(hash).any(NodeRef::in_buildcache);
        let mut last = None;
        let with = self.holdings.iter().filter(move |h| has(&h.catalog)).map(|holding| holding.mirror);
        with.filter(move |mirror| last.replace(*mirror) != Some(*mirror))
    }

    /// Whether any mirror has the binary.
    pub(crate) fn has_binary(&self, hash: &str) -> bool {
        self.mirrors_with(hash).next().is_some()
    }

    /// Whether there is a record of the package being installed.
    pub(crate) fn is_recorded(&self, hash: &str) -> bool {
        self.database.records.get(hash).is_some_and(|record| record.installed)
    }

    /// Whether anything is installed at all.
    pub(crate) fn has_store(&self) -> bool {
        !self.database.records.is_empty()
    }

    /// What the user calls the mirrors that gave an answer.
    pub(crate) fn answered(&self) -> impl Iterator<Item = &str> {
        let names = self.mirrors.iter().map(|mirror| mirror.name.as_str());
        names.filter(|name| !self.unasked.iter().any(|unasked| unasked.mirror == *name))
    }

    /// What the user calls the mirror.
    pub(crate) fn mirror_name(&self, mirror: usize) -> &str {
        &self.mirrors[mirror].name
    }

    /// What the user calls the mirrors.
    pub(crate) fn mirror_names(&self) -> Vec<String> {
        self.mirrors.iter().map(|mirror| mirror.name.clone()).collect()
    }

    /// Where was looked, for messages: the names of the mirrors.
    pub(crate) fn place(&self) -> String {
        self.mirrors.iter().map(|mirror| mirror.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Lets packages be chosen whose dependencies are in no mirror, for what is to be done without these.
    pub fn tolerate_missing(&mut self, tolerates: bool) {
        self.tolerates_missing = tolerates;
    }

    /// Whether a package may be chosen although something that it needs is in no mirror.
    pub(crate) fn tolerates_missing(&self) -> bool {
        self.tolerates_missing
    }

    /// The mirrors that could not be asked.
    pub fn unasked(&self) -> &[Unasked] {
        &self.unasked
    }

    /// What mirrors had that could not be asked, by what the user calls them.
    pub(crate) fn remembered(&self) -> impl Iterator<Item = (&str, &LastKnown)> {
        self.remembered.iter().map(|(mirror, known)| (self.mirror_name(*mirror), known))
    }

    /// What the only mirror said when it could not be asked: it says more than that there is nothing.
    pub fn refusal(&mut self) -> Option<Error> {
        self.refusal.take()
    }
}

impl std::fmt::Debug for Stock<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.mirrors).finish()
    }
}

fn all(mirrors: &[Mirror]) -> Vec<usize> {
    (0..mirrors.len()).collect()
}
