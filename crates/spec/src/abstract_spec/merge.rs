//! Two specs that are to hold together: what they ask for jointly, or the contradiction between them.

use super::{
    AbstractSpec, ArchitectureConstraint, CompilerFlag, DependencyConstraint, VariantConstraint, VariantValue,
};
use crate::target::{family, runs};
use crate::version::UnknownReference;

/// How many items the lists of targets that are intersected may have.
const MAX_TARGETS: usize = 200;

/// Nothing can be as both specs ask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Two values of one thing.
    #[error("{0} contradicts {1}")]
    Values(String, String),
    /// It takes a git repository to tell.
    #[error(transparent)]
    Reference(#[from] UnknownReference),
    /// A dependency without a name cannot be told from others.
    #[error("a dependency without a name cannot be asked of `{0}` in addition")]
    NamelessDependency(String),
    /// Lists of targets that are longer than anyone writes.
    #[error("a list of more than {MAX_TARGETS} targets")]
    TooManyTargets,
}

fn contradiction(own: impl Into<String>, other: impl Into<String>) -> Contradiction {
    Contradiction::Values(own.into(), other.into())
}

impl AbstractSpec {
    /// Asks in addition for all that `other` asks for, of its node and of its dependencies: Spack's `Spec.constrain`, as far
    /// as it needs no recipes.
    ///
    /// # Errors
    /// If no package can be both.
    pub fn constrain(&mut self, other: &Self) -> Result<(), Contradiction> {
        self.constrain_node(other)?;
        let nameless = |edge: &DependencyConstraint| edge.spec.name.is_none();
        let within = |edge: &DependencyConstraint| edge.spec.dependencies.iter().any(nameless);
        if other.dependencies.iter().any(|edge| nameless(edge) || within(edge)) {
            return Err(Contradiction::NamelessDependency(self.to_string()));
        }
        for edge in &other.dependencies {
            let same = |known: &&mut DependencyConstraint| {
                known.spec.name == edge.spec.name && known.when == edge.when
            };
            match self.dependencies.iter_mut().find(same) {
                None => self.dependencies.push(edge.clone()),
                Some(known) => {
                    known.spec.constrain(&edge.spec)?;
                    known.types = known.types | edge.types;
                    known.virtuals.extend(edge.virtuals.iter().cloned());
                    known.virtuals.sort();
                    known.virtuals.dedup();
                    known.direct |= edge.direct;
                }
            }
        }
        self.put_in_order();
        Ok(())
    }

    /// Asks in addition for what `other` asks of its node; dependencies are left as they are.
    ///
    /// # Errors
    /// If no package can be both.
    pub fn constrain_node(&mut self, other: &Self) -> Result<(), Contradiction> {
        if let Some(hash) = &other.hash {
            match &self.hash {
                Some(own) if own.starts_with(hash.as_str()) => {}
                Some(own) if !hash.starts_with(own.as_str()) => {
                    return Err(contradiction(format!("/{own}"), format!("/{hash}")));
                }
                _ => self.hash = Some(hash.clone()),
            }
        }
        equal_or_taken(&mut self.name, &other.name)?;
        equal_or_taken(&mut self.namespace, &other.namespace)?;
        self.versions = self
            .versions
            .intersection(&other.versions)?
            .ok_or_else(|| contradiction(format!("@{}", self.versions), format!("@{}", other.versions)))?;
        for (name, variant) in &other.variants {
            match self.variants.get_mut(name) {
                Some(own) => own.constrain(name, variant)?,
                None => {
                    self.variants.insert(name.clone(), variant.clone());
                }
            }
        }
        for (kind, flags) in &other.flags {
            match self.flags.get_mut(kind) {
                Some(own) => merge_flags(own, flags),
                None => {
                    self.flags.insert(kind.clone(), flags.clone());
                }
            }
        }
        self.architecture.constrain(&other.architecture)
    }
}

fn equal_or_taken(own: &mut Option<String>, other: &Option<String>) -> Result<(), Contradiction> {
    match (&own, other) {
        (Some(own), Some(other)) if own != other => Err(contradiction(own, other)),
        (None, Some(other)) => {
            *own = Some(other.clone());
            Ok(())
        }
        _ => Ok(()),
    }
}

impl VariantConstraint {
    fn constrain(&mut self, name: &str, other: &Self) -> Result<(), Contradiction> {
        use VariantValue::{Any, AtLeast, Bool, Exactly};
        let within = |few: &[String], many: &[String]| few.iter().all(|value| many.contains(value));
        let both = match (&self.value, &other.value) {
            (Any, value) | (value, Any) => Some(value.clone()),
            (Bool(own), Bool(other)) => (own == other).then_some(Bool(*own)),
            (AtLeast(own), AtLeast(other)) => {
                let mut values = [own.as_slice(), other.as_slice()].concat();
                values.sort();
                values.dedup();
                Some(AtLeast(values))
            }
            (Exactly(own), Exactly(other)) => (own == other).then(|| Exactly(own.clone())),
            (Exactly(all), AtLeast(some)) | (AtLeast(some), Exactly(all)) => {
                within(some, all).then(|| Exactly(all.clone()))
            }
            (Bool(_), AtLeast(_) | Exactly(_)) | (AtLeast(_) | Exactly(_), Bool(_)) => None,
        };
        self.value = both.ok_or_else(|| contradiction(self.written(name), other.written(name)))?;
        self.propagate &= other.propagate;
        Ok(())
    }
}

/// A flag that only one of the two propagates is not propagated.
fn merge_flags(own: &mut Vec<CompilerFlag>, other: &[CompilerFlag]) {
    let known = own.len();
    for flag in other {
        match own[..known].iter_mut().find(|own| own.flag == flag.flag) {
            Some(own) => own.propagate &= flag.propagate,
            None => own.push(flag.clone()),
        }
    }
}

impl ArchitectureConstraint {
    fn constrain(&mut self, other: &Self) -> Result<(), Contradiction> {
        equal_or_taken(&mut self.platform, &other.platform)?;
        equal_or_taken(&mut self.os, &other.os)?;
        match (&self.target, &other.target) {
            (Some(own), Some(asked)) => {
                let both = targets_in_both(own, asked)?;
                self.target = Some(both.ok_or_else(|| contradiction(own, asked))?);
            }
            (None, Some(asked)) => self.target = Some(asked.clone()),
            _ => {}
        }
        Ok(())
    }
}

/// What two lists of targets and ranges have in common, as Spack computes it: `*` and a name have nothing in common.
pub(super) fn targets_in_both(own: &str, asked: &str) -> Result<Option<String>, Contradiction> {
    if own.split(',').count().max(asked.split(',').count()) > MAX_TARGETS {
        return Err(Contradiction::TooManyTargets);
    }
    let mut common = Vec::new();
    for own in own.split(',') {
        common.extend(asked.split(',').filter_map(|asked| target_in_both(own, asked)));
    }
    let is_single = |targets: &str| !targets.contains([',', ':']);
    Ok(match common.is_empty() {
        true => None,
        false if is_single(own) => Some(own.to_owned()),
        false if is_single(asked) => Some(asked.to_owned()),
        false => Some(common.join(",")),
    })
}

fn target_in_both(own: &str, asked: &str) -> Option<String> {
    let in_range = |name: &str, low: &str, high: &str| {
        (low.is_empty() || runs(name, low)) && (high.is_empty() || runs(high, name))
    };
    let (own_ends, asked_ends) = (own.split_once(':'), asked.split_once(':'));
    let ((own_low, own_high), (low, high)) = match (own_ends, asked_ends) {
        (None, None) => return (own == asked).then(|| own.to_owned()),
        (None, Some((low, high))) => return in_range(own, low, high).then(|| own.to_owned()),
        (Some((low, high)), None) => return in_range(asked, low, high).then(|| asked.to_owned()),
        (Some(own), Some(asked)) => (own, asked),
    };
    let high = closer(own_high, high, |one, other| runs(other, one))?;
    let low = closer(own_low, low, runs)?;
    match (low, high) {
        ("", "") => None,
        (low, high) if low == high => Some(low.to_owned()),
        (low, high) if !low.is_empty() && !high.is_empty() => {
            (family(low) == family(high) && runs(high, low)).then(|| format!("{low}:{high}"))
        }
        (low, high) => Some(format!("{low}:{high}")),
    }
}

/// The end that binds more, if the two can be compared; an open end binds nothing.
fn closer<'t>(own: &'t str, asked: &'t str, binds: impl Fn(&str, &str) -> bool) -> Option<&'t str> {
    match (own, asked) {
        ("", end) | (end, "") => Some(end),
        (own, asked) if binds(own, asked) => Some(own),
        (own, asked) => binds(asked, own).then_some(asked),
    }
}
