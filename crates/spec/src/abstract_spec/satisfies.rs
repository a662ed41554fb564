//! Whether everything that one abstract spec stands for is also what another asks for: Spack's `Spec.satisfies` with an
//! abstract left side.
//!
//! Spack looks into recipes for the kinds of variants; here a variant with one value is taken for one that has one value.

use super::{
    AbstractSpec, ArchitectureConstraint, DependencyConstraint, VariantConstraint, VariantValue, merge,
};
use crate::dag::DependencyTypes;
use crate::matching::virtuals;

impl AbstractSpec {
    /// Whether whatever `self` stands for is also what `other` asks for.
    pub fn satisfies(&self, other: &Self) -> bool {
        match self.names_differ(other) {
            // Nothing else is asked of a provider.
            true => virtuals::is_provided_by(self, other) && self.hash_satisfies(other),
            false => self.meets_alone(other) && self.dependencies_satisfy(other),
        }
    }

    /// As [`satisfies`](Self::satisfies), dependencies and virtual packages apart.
    pub(crate) fn meets_alone(&self, other: &Self) -> bool {
        let namespaces_differ =
            self.namespace.is_some() && other.namespace.is_some() && self.namespace != other.namespace;
        self.hash_satisfies(other)
            && !self.names_differ(other)
            && !namespaces_differ
            && (other.versions.is_any() || self.versions.satisfies(&other.versions))
            && self.variants_satisfy(other)
            && self.architecture.satisfies(&other.architecture)
            && other.flags.iter().all(|(kind, asked)| {
                self.flags
                    .get(kind)
                    .is_some_and(|own| asked.iter().all(|asked| own.iter().any(|own| own.flag == asked.flag)))
            })
    }

    /// Of a spec without a name, Spack asks no name.
    fn names_differ(&self, other: &Self) -> bool {
        self.name.is_some() && other.name.is_some() && self.name != other.name
    }

    fn hash_satisfies(&self, other: &Self) -> bool {
        let begins = |asked: &String| self.hash.as_ref().is_some_and(|own| own.starts_with(asked.as_str()));
        other.hash.as_ref().is_none_or(begins)
    }

    fn variants_satisfy(&self, other: &Self) -> bool {
        let has = |name: &String, asked: &VariantConstraint| {
            let own = self.variants.get(name).filter(|own| !own.propagate);
            own.is_some_and(|own| own.value.satisfies(&asked.value))
        };
        let own = other.variants.iter().filter(|(_, asked)| !asked.propagate);
        own.into_iter().all(|(name, asked)| has(name, asked))
            && propagated_without_contradiction(other, self)
            && propagated_without_contradiction(self, other)
    }

    fn dependencies_satisfy(&self, other: &Self) -> bool {
        other.dependencies.iter().all(|edge| {
            let applies =
                edge.when.as_ref().is_none_or(|condition| self.clone().constrain(condition).is_ok());
            !applies
                || self.has_dependency(edge)
                    && edge.spec.dependencies.iter().all(|below| {
                        // What is asked of a dependency's own dependencies is asked of whichever has its name.
                        let parent = self.part(edge.spec.name.as_deref());
                        parent.is_some_and(|parent| parent.has_direct(below))
                    })
        })
    }

    /// The root or the dependency of that name.
    fn part(&self, name: Option<&str>) -> Option<&Self> {
        if name.is_none() || self.name.as_deref() == name {
            return Some(self);
        }
        self.dependencies.iter().map(|edge| &edge.spec).find(|spec| spec.name.as_deref() == name)
    }

    fn has_dependency(&self, asked: &DependencyConstraint) -> bool {
        if asked.direct {
            return self.has_direct(asked);
        }
        let Some(name) = asked.spec.name.as_deref() else {
            return self.below().any(|edge| edge.spec.meets_alone(&asked.spec));
        };
        let candidates: Vec<&DependencyConstraint> =
            self.below().filter(|edge| edge.is_called(name) && edge.applies_where(asked)).collect();
        let provides = |name: &String| {
            let is = |edge: &&DependencyConstraint| edge.is_called(name);
            candidates.iter().any(is)
        };
        asked.virtuals.iter().all(provides)
            && candidates.iter().any(|edge| {
                edge.spec.meets_alone(&asked.spec)
                    || edge.spec.names_differ(&asked.spec)
                        && virtuals::is_provided_by(&edge.spec, &asked.spec)
            })
    }

    fn has_direct(&self, asked: &DependencyConstraint) -> bool {
        let name = asked.spec.name.as_deref();
        let is_virtual = name.is_some_and(virtuals::is_known_virtual);
        let mut wanted = asked.virtuals.clone();
        wanted.extend(name.filter(|_| is_virtual).map(str::to_owned));
        self.dependencies.iter().any(|edge| {
            let is_named = name.is_none() || edge.spec.name.as_deref() == name;
            let provides = wanted.iter().all(|name| edge.virtuals.contains(name));
            let is_meant = if is_virtual { is_named || provides } else { is_named && provides };
            is_meant
                && edge.types.contains(asked.types)
                && edge.applies_where(asked)
                && edge.spec.satisfies(&asked.spec)
        })
    }

    /// All edges below, those of dependencies too.
    fn below(&self) -> impl Iterator<Item = &DependencyConstraint> {
        let runtime = |edge: &&DependencyConstraint| {
            edge.types.is_empty() || edge.types.intersects(DependencyTypes::RUNTIME)
        };
        let deeper = self.dependencies.iter().filter(runtime).flat_map(|edge| &edge.spec.dependencies);
        self.dependencies.iter().chain(deeper)
    }
}

impl DependencyConstraint {
    fn is_called(&self, name: &str) -> bool {
        self.spec.name.as_deref() == Some(name)
            || self.virtuals.iter().any(|virtual_name| virtual_name == name)
    }

    /// Whether the dependency is there wherever `asked` asks for it.
    fn applies_where(&self, asked: &Self) -> bool {
        match (&self.when, &asked.when) {
            (None, _) => true,
            (Some(own), Some(asked)) => asked.satisfies(own),
            (Some(_), None) => false,
        }
    }
}

/// Whether no part of `of` contradicts what `by` asks of all of its dependencies.
fn propagated_without_contradiction(by: &AbstractSpec, of: &AbstractSpec) -> bool {
    by.variants.iter().filter(|(_, asked)| asked.propagate).all(|(name, asked)| {
        let fits =
            |part: &AbstractSpec| part.variants.get(name).is_none_or(|own| own.value.satisfies(&asked.value));
        fits(of) && of.dependencies.iter().all(|edge| fits(&edge.spec))
    })
}

impl VariantValue {
    fn satisfies(&self, asked: &Self) -> bool {
        use VariantValue::{Any, AtLeast, Bool, Exactly};
        let has_all = |own: &[String], asked: &[String]| asked.iter().all(|value| own.contains(value));
        match (self, asked) {
            (_, Any) => true,
            (Any, _) => false,
            (Bool(own), Bool(asked)) => own == asked,
            (AtLeast(own) | Exactly(own), AtLeast(asked)) => has_all(own, asked),
            (Exactly(own), Exactly(asked)) => own == asked,
            (AtLeast(own), Exactly(asked)) => own.len() == 1 && own == asked,
            (Bool(_), AtLeast(_) | Exactly(_)) | (AtLeast(_) | Exactly(_), Bool(_)) => false,
        }
    }
}

impl ArchitectureConstraint {
    /// Spack leaves the rest unasked once the platform or the system may be any.
    fn satisfies(&self, asked: &Self) -> bool {
        for (own, asked) in [(&self.platform, &asked.platform), (&self.os, &asked.os)] {
            match (own, asked.as_deref()) {
                (Some(_), Some("*")) => return true,
                (own, Some(asked)) if own.as_deref() != Some(asked) => return false,
                _ => {}
            }
        }
        match (&self.target, asked.target.as_deref()) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(_), Some("*")) => true,
            (Some(own), Some(asked)) => matches!(merge::targets_in_both(own, asked), Ok(Some(_))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::AbstractSpec;

    fn satisfies(one: &str, other: &str) -> bool {
        one.parse::<AbstractSpec>().unwrap().satisfies(&other.parse().unwrap())
    }

    #[test]
    fn what_asks_for_more_satisfies_what_asks_for_less() {
        let pairs = [
            ("zlib@1.3", "zlib"),
            ("zlib@1.3.1", "zlib@1.3"),
            ("zlib+pic~shared", "~shared"),
            ("hdf5 ^zlib@1.3 %gcc@12", "hdf5 ^zlib"),
            ("hdf5 %gcc@12.2", "%gcc@12"),
            ("openmpi@4.1", "mpi"),
            ("a cflags='-O2 -g'", "cflags=-g"),
        ];
        for (one, other) in pairs {
            assert!(satisfies(one, other), "{one} {other}");
            assert!(!satisfies(other, one), "{other} {one}");
        }
        // Targets satisfy each other where they have one in common, as in Spack.
        assert!(satisfies("libs target=zen2", "target=x86_64_v3:"));
        assert!(satisfies("target=x86_64_v3:", "libs target=zen2"));
        assert!(!satisfies("libs target=zen2", "target=aarch64:"));
        // One value is all of them, as where Spack leaves members of a matrix out.
        assert!(satisfies("a build_type=Release", "build_type:=Release"));
        assert!(!satisfies("a build_type=Release", "build_type:=Debug"));
    }
}
