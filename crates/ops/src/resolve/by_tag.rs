//! Specs from tags alone: for caches without an index, and for what an index does not have yet.

use crate::error::Error;
use crate::index::spec_of;
use crate::report::{Event, Reporter};
use crate::{package_tag, parallel};
use std::collections::{HashMap, HashSet};
use strata_oci::Repository;
use strata_spec::catalog::NodeRef;
use strata_spec::matching::known_providers;
use strata_spec::{AbstractSpec, Catalog, DagHash, Node};

/// The tags of a cache, those of packages.
pub(super) struct Tags {
    tags: Vec<(String, DagHash)>,
    /// Whether an index has the others.
    has_index: bool,
}

impl Tags {
    /// Lists them.
    pub(super) fn list(repository: &dyn Repository) -> Result<Self, Error> {
        let tags = repository.tags()?.into_iter();
        let tags = tags.filter_map(|tag| package_tag::hash(&tag).map(|hash| (tag, hash))).collect();
        Ok(Self { tags, has_index: false })
    }

    /// Without those that an index has.
    pub(super) fn beyond(self, index: &Catalog) -> Self {
        let is_new = |hash: &DagHash| !index.with_hash(hash.as_str()).any(NodeRef::in_buildcache);
        let (tags, has_index) = (self.tags.into_iter().filter(|(_, hash)| is_new(hash)).collect(), true);
        Self { tags, has_index }
    }

    /// The packages that may be meant by `specs`, with everything below them. Which of those the cache has, the tags tell.
    pub(super) fn matching(
        &self,
        repository: &dyn Repository,
        specs: &[&AbstractSpec],
        reporter: &dyn Reporter,
    ) -> Result<Catalog, Error> {
        let mut wanted: Vec<&str> = Vec::new();
        for spec in specs {
            let named: Vec<&str> = self.tags.iter().filter(|tag| may_be(tag, spec)).map(tag_of).collect();
            // A name that no tag begins with may be that of a virtual package, and then any may provide it.
            let everything = named.is_empty() && spec.hash.is_none() && !self.has_index;
            wanted.extend(if everything { self.tags.iter().map(tag_of).collect() } else { named });
        }
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.len() > parallel::REQUESTS {
            let index = if self.has_index { "an index that lacks packages" } else { "no usable index" };
            let text = format!("{} has {index}; reading {} by their tags", repository.url(), wanted.len());
            reporter.event(Event::Detail(&text));
        }
        let specs = parallel::map(&wanted, parallel::REQUESTS, |tag| match spec_of(repository, tag) {
            Ok(spec) => Ok(Some(spec)),
            // One bad tag must not hide the others.
            Err(error) if error.is_about_content() && wanted.len() > 1 => {
                reporter
                    .event(Event::Warning(&format!("ignoring tag {tag}: {}", crate::error::chain(&error))));
                Ok(None)
            }
            Err(error) => Err(error),
        })?;
        let cached: HashSet<&DagHash> = self.tags.iter().map(|(_, hash)| hash).collect();
        let mut nodes: HashMap<&DagHash, &Node> = HashMap::new();
        for spec in specs.iter().flatten() {
            nodes.extend(spec.nodes().map(|node| (&node.hash, node)));
        }
        let mut nodes: Vec<&Node> = nodes.into_values().collect();
        nodes.sort_unstable_by(|a, b| a.hash.cmp(&b.hash));
        Ok(Catalog::of_nodes(nodes.into_iter().map(|node| (node, cached.contains(&node.hash)))))
    }
}

fn tag_of((tag, _): &(String, DagHash)) -> &str {
    tag
}

/// Whether the package of a tag, `NAME-VERSION-HASH.spack`, can be one that is asked for by name or hash.
fn may_be((tag, hash): &(String, DagHash), spec: &AbstractSpec) -> bool {
    let hash_fits = spec.hash.as_ref().is_none_or(|prefix| hash.as_str().starts_with(prefix.as_str()));
    // With a hash the name is not needed, and may be that of a virtual package.
    let name_fits = match (&spec.name, &spec.hash) {
        (Some(name), None) => {
            let begins = |name: &str| tag.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
            begins(name) || known_providers(name).into_iter().any(begins)
        }
        _ => true,
    };
    hash_fits && name_fits
}
