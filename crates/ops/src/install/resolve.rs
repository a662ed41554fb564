//! From what the user asks for to concrete specs that a cache has.

use crate::error::{Error, chain};
use crate::index::{READING_TAGS, read_usable, spec_of};
use crate::report::{Event, Reporter};
use crate::{package_tag, parallel, select};
use std::collections::HashMap;
use std::sync::OnceLock;
use strata_oci::Repository;
use strata_spec::dag::{DependencyTypes, preorder};
use strata_spec::{DagHash, Database, Node, NodeSource, Selector};

/// A cache to install from.
pub struct Mirror {
    /// What the user calls it: its name, or its URL.
    pub name: String,
    /// The cache itself.
    pub repository: Box<dyn Repository>,
    down: OnceLock<String>,
}

impl Mirror {
    /// A cache that was not asked for anything yet.
    pub fn new(name: String, repository: Box<dyn Repository>) -> Self {
        Self { name, repository, down: OnceLock::new() }
    }

    /// Asks the mirror, unless it was found to be out of reach: then the answer is what was said that time. A failure
    /// is reported, and is the error where there is no other mirror to ask; what failed is in `failures`.
    ///
    /// Not a network's slowness but its absence is remembered, lest each of a thousand packages waits for it anew.
    pub(super) fn ask<T>(
        &self,
        others: bool,
        failures: &mut Vec<(String, String)>,
        reporter: &dyn Reporter,
        question: impl FnOnce() -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        if let Some(message) = self.down.get() {
            failures.push((self.name.clone(), message.clone()));
            return Ok(None);
        }
        match question() {
            // With one mirror there is nothing to fall back on: its own error says the most.
            Err(error) if others => {
                let message = chain(&error);
                let first = !error.is_unreachable() || self.down.set(message.clone()).is_ok();
                if first {
                    reporter.event(Event::Warning(&format!("mirror {}: {message}", self.name)));
                }
                failures.push((self.name.clone(), message));
                Ok(None)
            }
            answer => answer,
        }
    }
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.repository.url())
    }
}

/// The specs that were found, with every node below them.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The specs asked for, in that order.
    pub roots: Vec<DagHash>,
    nodes: HashMap<DagHash, Node>,
}

impl NodeSource for Resolved {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.nodes.get(hash)
    }
}

impl Resolved {
    fn take(&mut self, source: &impl NodeSource, root: &Node) -> Result<(), Error> {
        for node in preorder(source, source.node(&root.hash).unwrap_or(root), DependencyTypes::ALL)? {
            self.nodes.entry(node.hash.clone()).or_insert_with(|| node.clone());
        }
        if !self.roots.contains(&root.hash) {
            self.roots.push(root.hash.clone());
        }
        Ok(())
    }
}

/// What was learnt of one mirror so far.
enum Index {
    Unknown,
    Absent,
    Present(Database),
}

/// Finds each spec in the first mirror that has it.
///
/// A mirror that cannot be asked is reported and the next one tried; but if none has the spec, the answer is not
/// "there is none": it is [`Error::Unasked`].
pub fn resolve(
    selectors: &[Selector],
    mirrors: &[Mirror],
    reporter: &dyn Reporter,
) -> Result<Resolved, Error> {
    reporter.event(Event::Phase("Looking for binary packages"));
    let mut indexes: Vec<Index> = mirrors.iter().map(|_| Index::Unknown).collect();
    let mut resolved = Resolved::default();
    'selectors: for selector in selectors {
        let mut failures = Vec::new();
        for (mirror, index) in mirrors.iter().zip(&mut indexes) {
            let question = || match find(mirror, index, selector, &mut resolved, reporter) {
                Err(error @ (Error::Ambiguous { .. } | Error::MissingNode(_))) => Ok(Some(Err(error))),
                answer => Ok(answer?.then_some(Ok(()))),
            };
            if let Some(found) = mirror.ask(mirrors.len() > 1, &mut failures, reporter, question)? {
                found?;
                continue 'selectors;
            }
        }
        return Err(if failures.is_empty() {
            let places: Vec<String> = mirrors.iter().map(|m| m.repository.url().to_string()).collect();
            Error::NoSuchSpec { spec: selector.to_string(), place: places.join(", ") }
        } else {
            Error::Unasked { spec: selector.to_string(), failures }
        });
    }
    Ok(resolved)
}

/// Looks in one mirror; whether it has the spec.
fn find(
    mirror: &Mirror,
    index: &mut Index,
    selector: &Selector,
    resolved: &mut Resolved,
    reporter: &dyn Reporter,
) -> Result<bool, Error> {
    let repository = &*mirror.repository;
    if let Index::Unknown = index {
        *index = match read_usable(repository, READING_TAGS, reporter)? {
            Some((database, _)) => Index::Present(database),
            None => Index::Absent,
        };
    }
    if let Index::Present(database) = index {
        let in_cache = database.records.values().filter(|record| record.in_buildcache);
        match select::one(in_cache, selector, &mirror.name) {
            Ok(record) => {
                resolved.take(&*database, &record.node)?;
                return Ok(true);
            }
            // The index may be older than the tags; a hash can be looked up among those.
            Err(Error::NoSuchSpec { .. }) if selector.has_hash() => {}
            Err(Error::NoSuchSpec { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    find_by_tag(mirror, selector, resolved)
}

/// Looks among the tags alone: for caches without an index, and for hashes that the index does not have.
fn find_by_tag(mirror: &Mirror, selector: &Selector, resolved: &mut Resolved) -> Result<bool, Error> {
    let repository = &*mirror.repository;
    let mut tags = repository.tags()?;
    tags.retain(|tag| package_tag::hash(tag).is_some_and(|hash| selector.may_match(tag, &hash)));
    let specs = parallel::map(&tags, parallel::REQUESTS, |tag| match spec_of(repository, tag) {
        Ok(spec) => Ok(Some(spec)),
        Err(error) if error.is_about_content() && tags.len() > 1 => Ok(None),
        Err(error) => Err(error),
    })?;
    let matching: Vec<_> = specs.into_iter().flatten().filter(|s| selector.matches(s.root())).collect();
    match &matching[..] {
        [] => Ok(false),
        [spec] => {
            resolved.take(spec, spec.root())?;
            Ok(true)
        }
        several => Err(Error::Ambiguous {
            spec: selector.to_string(),
            place: mirror.name.clone(),
            candidates: several.iter().map(|spec| select::describe(spec.root())).collect(),
        }),
    }
}
