//! An abstract spec taken apart into its single constraints, so that each can be asked for by itself.

use super::Lack;
use strata_spec::AbstractSpec;
use strata_spec::abstract_spec::ArchitectureConstraint;
use strata_spec::catalog::NodeRef;
use strata_spec::matching::{mismatch, satisfies};

/// An abstract spec, whole and in parts.
pub(super) struct Parts<'s> {
    whole: &'s AbstractSpec,
    /// Each a spec of the same name with one constraint more; the first has none more.
    parts: Vec<AbstractSpec>,
}

impl<'s> Parts<'s> {
    pub(super) fn of(spec: &'s AbstractSpec) -> Self {
        let name = AbstractSpec { name: spec.name.clone(), ..AbstractSpec::default() };
        let mut parts = vec![name.clone()];
        let mut add = |part: AbstractSpec| {
            if part != name {
                parts.push(part);
            }
        };
        add(AbstractSpec { hash: spec.hash.clone(), ..name.clone() });
        add(AbstractSpec { namespace: spec.namespace.clone(), ..name.clone() });
        add(AbstractSpec { versions: spec.versions.clone(), ..name.clone() });
        for variant in spec.variants.clone() {
            add(AbstractSpec { variants: [variant].into(), ..name.clone() });
        }
        let ArchitectureConstraint { platform, os, target } = spec.architecture.clone();
        for architecture in [
            ArchitectureConstraint { platform, ..Default::default() },
            ArchitectureConstraint { os, ..Default::default() },
            ArchitectureConstraint { target, ..Default::default() },
        ] {
            add(AbstractSpec { architecture, ..name.clone() });
        }
        for flags in spec.flags.clone() {
            add(AbstractSpec { flags: [flags].into(), ..name.clone() });
        }
        for dependency in spec.dependencies.clone() {
            add(AbstractSpec { dependencies: vec![dependency], ..name.clone() });
        }
        Self { whole: spec, parts }
    }

    /// The numbers of the parts that `node` does not meet. If it is of another package, that is all there is to say.
    pub(super) fn unmet(&self, node: NodeRef<'_>) -> Vec<usize> {
        let unmet = |at: &usize| !satisfies(node, &self.parts[*at]);
        if unmet(&0) { vec![0] } else { (1..self.parts.len()).filter(unmet).collect() }
    }

    /// How many parts that are about `node` itself it does not meet, those of another package being the farthest. What is
    /// below it is not looked at: that would be a walk for each of many.
    pub(super) fn count_unmet_alone(&self, node: NodeRef<'_>) -> usize {
        let mut parts = self.parts.iter().filter(|part| part.dependencies.is_empty());
        let is_package = parts.next().is_none_or(|name| satisfies(node, name));
        if is_package { parts.filter(|part| !satisfies(node, part)).count() } else { usize::MAX }
    }

    /// What `node` has instead of each of the parts. Constraints can contradict a node only together: then it is the first
    /// mismatch with the whole.
    pub(super) fn mismatches(&self, node: NodeRef<'_>, unmet: &[usize]) -> Vec<Lack> {
        if unmet.is_empty() {
            return mismatch(node, self.whole).map(Lack::Mismatch).into_iter().collect();
        }
        let lack = |at: &usize| {
            if self.is_provision(node, *at) {
                return Some(Lack::Provision { provision: self.parts[*at].to_string() });
            }
            mismatch(node, &self.parts[*at]).map(Lack::Mismatch)
        };
        unmet.iter().filter_map(lack).collect()
    }

    /// Whether a part asks for another version of a virtual package than the one that `node` provides.
    fn is_provision(&self, node: NodeRef<'_>, part: usize) -> bool {
        !self.parts[part].versions.is_any()
            && self.parts[part].name.as_deref().is_some_and(|name| name != node.name())
    }

    /// The spec without some of its parts, and with the version or hash of `node` instead of those.
    pub(super) fn without(&self, unmet: &[usize], node: NodeRef<'_>) -> AbstractSpec {
        let mut rest = self.whole.clone();
        for part in unmet.iter().map(|at| &self.parts[*at]) {
            if part.hash.is_some() {
                rest.hash = node.hash().get(..7).map(str::to_owned);
            }
            if part.namespace.is_some() {
                rest.namespace = None;
            }
            if !part.versions.is_any() {
                let exact = format!("@{}", node.version()).parse::<AbstractSpec>();
                let is_package = rest.name.as_deref() == Some(node.name());
                rest.versions = exact.ok().filter(|_| is_package).unwrap_or_default().versions;
            }
            rest.variants.retain(|name, _| !part.variants.contains_key(name));
            rest.flags.retain(|name, _| !part.flags.contains_key(name));
            rest.dependencies.retain(|dependency| !part.dependencies.contains(dependency));
            let (rest, part) = (&mut rest.architecture, &part.architecture);
            rest.platform = rest.platform.take().filter(|_| part.platform.is_none());
            rest.os = rest.os.take().filter(|_| part.os.is_none());
            rest.target = rest.target.take().filter(|_| part.target.is_none());
        }
        rest
    }
}
