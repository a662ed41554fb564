//! Virtual packages: which names are virtual, and which nodes provide them.
//!
//! Spack reads this from its recipes. We have a table of the facts (`data/virtuals.txt`); where it does not know a
//! package, the edges of the catalog tell which nodes somebody uses as a provider.

use super::{satisfies, satisfies_alone};
use crate::abstract_spec::{AbstractSpec, VariantValue};
use crate::catalog::{Catalog, NodeRef};
use std::collections::{HashMap, HashSet};
use std::sync::{LazyLock, OnceLock};

/// What a package provides under one condition.
struct Provision {
    when: AbstractSpec,
    virtuals: Vec<AbstractSpec>,
}

/// The lines of one package: as they are in the table, and read, once somebody asks.
struct Provider {
    lines: Vec<(&'static str, &'static str)>,
    provisions: OnceLock<Vec<Provision>>,
}

struct Table {
    providers: HashMap<&'static str, Provider>,
    names: HashSet<&'static str>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table { providers: HashMap::new(), names: HashSet::new() };
    for line in include_str!("../../data/virtuals.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('|').map(str::trim);
        let (Some(package), Some(when), Some(virtuals)) = (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let names = virtuals.split(' ').map(|spec| spec.split('@').next().unwrap_or(spec));
        table.names.extend(names);
        let provider = table.providers.entry(package);
        let new = || Provider { lines: Vec::new(), provisions: OnceLock::new() };
        provider.or_insert_with(new).lines.push((when, virtuals));
    }
    table
});

impl Provider {
    fn provisions(&self) -> &[Provision] {
        self.provisions.get_or_init(|| {
            let read = |(when, virtuals): &(&str, &str)| {
                let virtuals: Result<_, _> = virtuals.split(' ').map(str::parse).collect();
                Some(Provision { when: when.parse().ok()?, virtuals: virtuals.ok()? })
            };
            self.lines.iter().filter_map(read).collect()
        })
    }
}

impl Provision {
    fn has(&self, name: &str) -> bool {
        self.virtuals.iter().any(|provided| provided.name.as_deref() == Some(name))
    }
}

/// Whether `name` is the name of a virtual package: the table or the edges of the catalog know it as one.
pub(crate) fn is_virtual(catalog: &Catalog, name: &str) -> bool {
    TABLE.names.contains(name)
        || (catalog.providers(name).next().is_some() && catalog.named(name).next().is_none())
}

/// Whether whatever `spec` stands for provides what `asked` names, as far as the table knows.
pub(crate) fn is_provided_by(spec: &AbstractSpec, asked: &AbstractSpec) -> bool {
    let (Some(name), Some(wanted)) = (&spec.name, &asked.name) else { return false };
    let provisions = TABLE.providers.get(name.as_str()).map(Provider::provisions).unwrap_or_default();
    let fits = |provided: &AbstractSpec| {
        provided.name.as_ref() == Some(wanted) && provided.versions.intersects(&asked.versions)
    };
    let provides =
        |provision: &Provision| spec.meets_alone(&provision.when) && provision.virtuals.iter().any(fits);
    TABLE.names.contains(wanted.as_str()) && provisions.iter().any(provides)
}

/// Whether the table knows `name` as the name of a virtual package.
pub(crate) fn is_known_virtual(name: &str) -> bool {
    TABLE.names.contains(name)
}

/// The packages that can provide the virtual package `name`, as far as the table knows, by name.
pub fn known_providers(name: &str) -> Vec<&'static str> {
    if !TABLE.names.contains(name) {
        return Vec::new();
    }
    let provides = |virtuals: &str| virtuals.split(' ').any(|spec| spec.split('@').next() == Some(name));
    let providers = TABLE.providers.iter().filter(|(_, p)| p.lines.iter().any(|(_, v)| provides(v)));
    let mut names: Vec<&'static str> = providers.map(|(package, _)| *package).collect();
    names.sort_unstable();
    names
}

/// Whether `node` provides the virtual package that `asked` names, in a version that it asks for.
///
/// Spack's own rule is kept with its edges: the condition of a provision that has another name on the same line counts, if
/// some package provides both.
pub(super) fn provides(node: NodeRef<'_>, asked: &AbstractSpec) -> bool {
    let Some(name) = asked.name.as_deref() else { return false };
    if is_virtual(node.catalog(), node.name()) {
        return false;
    }
    let builtin = node.namespace().is_none_or(|namespace| namespace == "builtin");
    let provisions = match TABLE.providers.get(node.name()) {
        Some(provider) if builtin => provider.provisions(),
        _ => &[],
    };
    if !provisions.iter().any(|provision| provision.has(name)) {
        return node.catalog().providers(name).any(|provider| provider == node);
    }
    provisions.iter().any(|provision| provision.has(name) && satisfies(node, &provision.when))
        && provisions.iter().any(|provision| {
            satisfies_alone(node, &provision.when)
                && provision.virtuals.iter().any(|provided| agree(provided, asked))
        })
}

/// Whether the package `name` of which no more than a range of versions is known provides `asked`.
pub(super) fn compiler_provides(compiler: &AbstractSpec, asked: &AbstractSpec) -> bool {
    let Some(provider) = compiler.name.as_deref().and_then(|name| TABLE.providers.get(name)) else {
        return false;
    };
    provider.provisions().iter().any(|provision| {
        let when = &provision.when;
        when.variants.is_empty()
            && when.dependencies.is_empty()
            && compiler.versions.satisfies(&when.versions)
            && provision.virtuals.iter().any(|provided| agree(provided, asked))
    })
}

/// Whether something can be both the `provided` and the `asked` virtual.
fn agree(provided: &AbstractSpec, asked: &AbstractSpec) -> bool {
    if provided.name == asked.name {
        return provided.versions.intersects(&asked.versions);
    }
    let asked_for = ways(asked);
    ways(provided).iter().any(|(package, when)| {
        asked_for.iter().any(|(other, other_when)| package == other && compatible(when, other_when))
    })
}

/// Packages and conditions under which there is the virtual package.
fn ways(asked: &AbstractSpec) -> Vec<(&'static str, &'static AbstractSpec)> {
    let table: &'static Table = &TABLE;
    let mut ways = Vec::new();
    for (package, provider) in &table.providers {
        for provision in provider.provisions() {
            let fits = |provided: &AbstractSpec| {
                provided.name == asked.name && provided.versions.intersects(&asked.versions)
            };
            if provision.virtuals.iter().any(fits) {
                ways.push((*package, &provision.when));
            }
        }
    }
    ways
}

/// Whether one package can meet two conditions of the table.
fn compatible(one: &AbstractSpec, other: &AbstractSpec) -> bool {
    let contradicts = |(name, value): (&String, &crate::abstract_spec::VariantConstraint)| match (
        &value.value,
        other.variants.get(name).map(|other| &other.value),
    ) {
        (VariantValue::Bool(one), Some(VariantValue::Bool(other))) => one != other,
        _ => false,
    };
    one.versions.intersects(&other.versions) && !one.variants.iter().any(contradicts)
}
