//! What the config of a package that is in a cache says beyond what follows from the prefixes: what its recipe said.

use super::cached::is_inspected;
use super::computed::executables;
use super::prefixes::{Prefixes, is_whole};
use super::variables::Environment;
use super::weave::{entries, is_list, separator, weave};
use super::{Cached, Inspections};
use std::collections::{BTreeSet, HashMap, HashSet};
use strata_spec::dag::{MissingNode, topological};
use strata_spec::{DependencyTypes, Node, NodeSource};

/// What a config says, as if the packages lay where they lie `here`. Where they lay when it was written is told by the
/// config itself.
pub(super) fn moved(
    source: &(impl NodeSource + ?Sized),
    root: &Node,
    cached: &Cached,
    here: &dyn Fn(&Node) -> Option<String>,
) -> Result<Cached, MissingNode> {
    let nodes = topological(source, &[root], DependencyTypes::RUNTIME)?;
    let there = Prefixes::find(source, &nodes, [(root, &Environment::of_entries(&cached.env))])?;
    let moved: HashMap<&str, String> = nodes
        .iter()
        .filter(|node| !node.is_external())
        .filter_map(|node| Some((there.get(node)?, here(node)?)))
        .filter(|(old, new)| old != new)
        .collect();
    if moved.is_empty() {
        return Ok(cached.clone());
    }
    let env = cached.env.iter().map(|entry| relocated(entry, &moved)).collect();
    Ok(Cached { env, ..cached.clone() })
}

/// Whether each list of `environment` is part of the list of that name in `other`, in whatever order, and all else is the same.
pub(super) fn is_part(environment: &Environment, other: &Environment) -> bool {
    environment.iter().all(|(name, value)| {
        let mut there: HashMap<String, usize> = HashMap::new();
        for entry in other.get(name).map(|list| entries(name, list)).unwrap_or_default() {
            *there.entry(entry).or_default() += 1;
        }
        entries(name, value).iter().all(|entry| match there.get_mut(entry) {
            None | Some(0) => false,
            Some(count) => {
                *count -= 1;
                true
            }
        })
    })
}

/// Adds to `environment`, which is that of an image on top of `base`, what `cached` says of `root`.
pub(super) fn add(
    environment: &mut Environment,
    base: &Environment,
    source: &(impl NodeSource + ?Sized),
    root: &Node,
    cached: &Cached,
    inspections: &Inspections,
) -> Result<(), MissingNode> {
    let nodes = topological(source, &[root], DependencyTypes::RUNTIME)?;
    let said = Environment::of_entries(&cached.env);
    let there = Prefixes::find(source, &nodes, [(root, &said)])?;
    let externals: Vec<&Node> = nodes.iter().copied().filter(|node| node.is_external()).collect();
    let system = Environment::of_base(None);
    for (name, value) in said.iter() {
        let is_new = |entry: &str| {
            // What externals have differs between machines; what packages of ours have does not, and is there already.
            let explained = is_inspected(name, entry, &externals, &there)
                || externals.iter().filter_map(|node| there.get(node)).any(|prefix| {
                    inspections.explains(name, entry, prefix)
                        || executables(prefix).iter().any(|e| e == entry)
                });
            let told = if cached.has_base {
                there.named_in(entry, &nodes)
            } else {
                !system.get(name).is_some_and(|list| list.split(':').any(|known| known == entry))
            };
            told && !explained
        };
        let list = environment.get(name).map(|list| entries(name, list));
        if inspections.has(name)
            || Inspections::spacks().has(name)
            || (list.is_some() && is_list(name, [value]))
        {
            let wanted: Vec<(String, bool)> = entries(name, value)
                .into_iter()
                .map(|e| {
                    let new = is_new(&e);
                    (e, new)
                })
                .collect();
            if wanted.iter().any(|(_, new)| *new) {
                // The base's come last, whatever is put in.
                let mut list = list.unwrap_or_default();
                let below = base
                    .get(name)
                    .map(|below| entries(name, below))
                    .filter(|below| list.ends_with(below))
                    .unwrap_or_default();
                list.truncate(list.len() - below.len());
                let from: Vec<String> = wanted.iter().map(|(entry, _)| entry.clone()).collect();
                weave(&mut list, &from, |entry| wanted.iter().any(|(e, new)| *new && e == entry));
                list.extend(below);
                environment.set(name, &list.join(separator(name)));
            }
        } else if (!cached.has_base || there.named_in(value, &nodes))
            && base.get(name).is_none_or(|b| b != value)
        {
            environment.set(name, value);
        }
    }
    Ok(())
}

/// `text` with the prefixes that packages had replaced by those they have: the longest of those that begin at a place.
fn relocated(text: &str, moved: &HashMap<&str, String>) -> String {
    let lengths: BTreeSet<usize> = moved.keys().map(|old| old.len()).collect();
    let first: HashSet<char> = moved.keys().filter_map(|old| old.chars().next()).collect();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.char_indices().filter(|(_, c)| first.contains(c)) {
        if at < done {
            continue;
        }
        let mut found = lengths.iter().rev().filter_map(|length| {
            let new = moved.get(text.get(at..at + length)?)?;
            is_whole(text, at, *length).then_some((*length, new))
        });
        if let Some((length, new)) = found.next() {
            out.push_str(&text[done..at]);
            out.push_str(new);
            done = at + length;
        }
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_replaced_as_a_whole() {
        let moved = HashMap::from([("/a/x-1", "/new/x".to_owned()), ("/a/x-1-b", "/new/xb".to_owned())]);
        for (text, expected) in [
            ("/a/x-1/bin", "/new/x/bin"),
            ("-I/a/x-1/include:/a/x-1-b", "-I/a/x-1/include:/new/xb"),
            ("/a/x-12/bin:/a/x-1", "/a/x-12/bin:/new/x"),
            ("--path=/a/x-1 /b/a/x-1", "--path=/new/x /b/a/x-1"),
            ("", ""),
        ] {
            assert_eq!(relocated(text, &moved), expected);
        }
    }
}
