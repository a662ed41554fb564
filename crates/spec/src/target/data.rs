//! archspec's table of targets, read once, when the first question about a target needs it.

use indexmap::IndexMap;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// One target of archspec's table.
#[derive(Debug)]
pub struct Microarchitecture {
    /// `x86_64_v3`
    pub name: &'static str,
    /// The names of all that is older and runs on it, nearest first.
    pub ancestors: Vec<&'static str>,
    /// Who makes it, as `/proc/cpuinfo` spells it; `generic` if it is a level and no product.
    pub vendor: &'static str,
    /// What a processor must be able to do to be one, as `/proc/cpuinfo` calls it.
    pub features: HashSet<&'static str>,
    /// Of Power processors.
    pub generation: u32,
    /// Of Arm processors: the number of the model, as `/proc/cpuinfo` has it; empty if archspec does not say.
    pub cpu_part: &'static str,
}

impl Microarchitecture {
    /// The root of the lineage.
    pub fn family(&self) -> &'static str {
        let is_root = |name: &&&'static str| named(name).is_some_and(|known| known.ancestors.is_empty());
        self.ancestors.iter().find(is_root).copied().unwrap_or(self.name)
    }

    /// The level with the longest lineage that it is or descends from.
    pub fn generic(&self) -> &'static str {
        let mut best: Option<&Self> = None;
        for level in std::iter::once(self.name).chain(self.ancestors.iter().copied()).filter_map(named) {
            let longer = best.is_none_or(|best| level.ancestors.len() > best.ancestors.len());
            if level.vendor == "generic" && longer {
                best = Some(level);
            }
        }
        best.map_or(self.name, |level| level.name)
    }
}

/// The target of that name.
pub(super) fn named(name: &str) -> Option<&'static Microarchitecture> {
    TABLE.targets.get(name)
}

/// All targets that archspec knows, in its order.
pub fn known() -> impl DoubleEndedIterator<Item = &'static Microarchitecture> {
    TABLE.targets.values()
}

/// Who made an Arm processor, by the `CPU implementer` of `/proc/cpuinfo`.
pub fn arm_vendor(implementer: &str) -> Option<&'static str> {
    TABLE.arm_vendors.get(implementer).copied()
}

struct Table {
    targets: IndexMap<&'static str, Microarchitecture>,
    arm_vendors: HashMap<&'static str, &'static str>,
}

/// What we read of the file.
#[derive(Deserialize)]
struct File {
    #[serde(borrow)]
    microarchitectures: IndexMap<&'static str, Entry>,
    conversions: Conversions,
}

#[derive(Deserialize)]
struct Conversions {
    #[serde(borrow)]
    arm_vendors: HashMap<&'static str, &'static str>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(borrow)]
    from: Vec<&'static str>,
    vendor: &'static str,
    #[serde(borrow)]
    features: Vec<&'static str>,
    #[serde(default)]
    generation: u32,
    #[serde(default)]
    cpupart: &'static str,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // A file of ours that cannot be read is found by the tests; without it all targets are merely unknown.
    match serde_json::from_str(include_str!("../../data/archspec/microarchitectures.json")) {
        Ok(file) => table(file),
        Err(_) => Table { targets: IndexMap::new(), arm_vendors: HashMap::new() },
    }
});

fn table(file: File) -> Table {
    let mut ancestors = HashMap::new();
    for name in file.microarchitectures.keys() {
        lineage(name, &file.microarchitectures, &mut ancestors);
    }
    let mut targets = IndexMap::new();
    for (name, entry) in file.microarchitectures {
        let mut features: HashSet<_> = entry.features.into_iter().collect();
        if features.contains("ssse3") {
            // Linux does not list sse3, which everything with ssse3 has.
            features.insert("sse3");
        }
        let target = Microarchitecture {
            name,
            ancestors: ancestors.remove(name).unwrap_or_default(),
            vendor: entry.vendor,
            features,
            generation: entry.generation,
            cpu_part: entry.cpupart,
        };
        targets.insert(name, target);
    }
    Table { targets, arm_vendors: file.conversions.arm_vendors }
}

/// Fills in the ancestors of `name`: its parents, then what those add in their order.
fn lineage(
    name: &'static str,
    entries: &IndexMap<&'static str, Entry>,
    known: &mut HashMap<&'static str, Vec<&'static str>>,
) {
    if known.contains_key(name) {
        return;
    }
    let parents = entries.get(name).map(|entry| entry.from.clone()).unwrap_or_default();
    let mut ancestors = parents.clone();
    for parent in parents {
        lineage(parent, entries, known);
        let further: Vec<_> =
            known[parent].iter().copied().filter(|name| !ancestors.contains(name)).collect();
        ancestors.extend(further);
    }
    known.insert(name, ancestors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_can_be_read() {
        assert!(known().count() >= 70);
        assert_eq!(named("zen2").unwrap().family(), "x86_64");
        assert_eq!(named("power9").unwrap().generation, 9);
        assert_eq!(arm_vendor("0x41"), Some("ARM"));
        for target in known() {
            for ancestor in &target.ancestors {
                assert!(named(ancestor).is_some(), "{} descends from {ancestor}", target.name);
            }
            assert!(target.ancestors.is_empty() || target.family() != target.name);
        }
    }
}
