//! What the config of a package that is in a cache says beyond what follows from the prefixes: what its recipe said.

use super::cached::is_inspected;
use super::computed::executables;
use super::prefixes::{Prefixes, is_whole, mentions};
use super::variables::Environment;
use super::weave::{entries, is_list, separator, weave};
use super::{Cached, Inspections};
use std::collections::{BTreeSet, HashMap, HashSet};
use strata_spec::dag::{MissingNode, topological};
use strata_spec::{DependencyTypes, Node, NodeSource};

/// What a config says, as if the packages lay where they lie `here`. Where they lay when it was written is told by the
/// config itself. What still names the store of whoever wrote it, is left out, and the root is named as not clear.
pub(super) fn moved(
    source: &(impl NodeSource + ?Sized),
    root: &Node,
    cached: &Cached,
    here: &dyn Fn(&Node) -> Option<String>,
) -> Result<Cached, MissingNode> {
    let nodes = topological(source, &[root], DependencyTypes::RUNTIME)?;
    let there = Prefixes::find(source, &nodes, [(root, &Environment::of_entries(&cached.env))])?;
    let own = nodes.iter().filter(|node| !node.is_external());
    let all: HashMap<&str, String> = own.filter_map(|node| Some((there.get(node)?, here(node)?))).collect();
    let moved: HashMap<&str, String> =
        all.iter().filter(|(old, new)| *old != new).map(|(old, new)| (*old, new.clone())).collect();
    if moved.is_empty() {
        return Ok(cached.clone());
    }
    let stores: BTreeSet<&str> = moved.iter().filter_map(|(old, new)| store_of(old, new)).collect();
    let without: HashMap<&str, String> = all.keys().map(|old| (*old, String::new())).collect();
    let is_foreign = |text: &str| {
        let rest = relocated(text, &without);
        stores.iter().any(|store| mentions(&rest, store))
    };
    let mut env: Vec<String> = Vec::with_capacity(cached.env.len());
    let mut is_whole = true;
    for entry in &cached.env {
        let Some((name, value)) = entry.split_once('=').filter(|(_, value)| is_foreign(value)) else {
            env.push(relocated(entry, &moved));
            continue;
        };
        is_whole = false;
        if is_list_of(name, value, Inspections::spacks()) {
            let mut list = entries(name, value);
            list.retain(|entry| !is_foreign(entry));
            if !list.is_empty() {
                env.push(format!("{name}={}", relocated(&list.join(separator(name)), &moved)));
            }
        }
    }
    let mut cached = Cached { env, ..cached.clone() };
    if !is_whole && !cached.unclear.contains(&root.label()) {
        cached.unclear.push(root.label());
    }
    Ok(cached)
}

/// The store in which a prefix `old` lies, if the same directory of another one is `new`.
fn store_of<'p>(old: &'p str, new: &str) -> Option<&'p str> {
    let shared = old.rsplit('/').zip(new.rsplit('/')).take_while(|(a, b)| a == b);
    let length: usize = shared.map(|(part, _)| part.len() + 1).sum();
    let store = old.get(..old.len().checked_sub(length)?)?;
    (length > 0 && !store.is_empty()).then_some(store)
}

/// What is worth keeping of a config when a package is installed: all of it, if it says more than prefixes do anyway; else
/// that it does not.
pub(crate) fn condensed(
    source: &(impl NodeSource + ?Sized),
    root: &Node,
    cached: Cached,
) -> Result<Cached, MissingNode> {
    let nodes = topological(source, &[root], DependencyTypes::RUNTIME)?;
    let said = Environment::of_entries(&cached.env);
    let there = Prefixes::find(source, &nodes, [(root, &said)])?;
    let system = Environment::of_base(None);
    let says_more = said.iter().any(|(name, value)| {
        entries(name, value).iter().any(|entry| {
            let is_base = if cached.has_base {
                !there.named_in(entry, &nodes)
            } else {
                system.get(name).is_some_and(|list| list.split(':').any(|known| known == entry))
            };
            let is_executable = || {
                let mut prefixes = nodes.iter().filter_map(|node| there.get(node));
                name == "PATH" && prefixes.any(|prefix| executables(prefix).iter().any(|e| e == entry))
            };
            !is_base && !is_inspected(name, entry, &nodes, &there) && !is_executable()
        })
    });
    Ok(if says_more { cached } else { Cached { env: Vec::new(), has_base: false, ..cached } })
}

/// Whether a variable is a list whose entries are put in one by one.
pub(super) fn is_list_of(name: &str, value: &str, inspections: &Inspections) -> bool {
    inspections.has(name) || Inspections::spacks().has(name) || is_list(name, [value])
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
pub(crate) fn relocated(text: &str, moved: &HashMap<&str, String>) -> String {
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
            ("-I/a/x-1/include:/a/x-1-b", "-I/new/x/include:/new/xb"),
            ("-L/a/x-1/lib -Wl,-rpath,/a/x-1/lib", "-L/new/x/lib -Wl,-rpath,/new/x/lib"),
            ("file:///a/x-1/share b//a/x-1", "file:///new/x/share b//a/x-1"),
            ("here/a/x-1 here/-I/a/x-1", "here/a/x-1 here/-I/a/x-1"),
            ("/a/x-12/bin:/a/x-1", "/a/x-12/bin:/new/x"),
            ("--path=/a/x-1 /b/a/x-1", "--path=/new/x /b/a/x-1"),
            ("", ""),
        ] {
            assert_eq!(relocated(text, &moved), expected);
        }
    }

    #[test]
    fn the_store_of_a_prefix_is_what_two_of_them_do_not_share() {
        for (old, new, expected) in [
            ("/a/b/linux/x-1", "/c/linux/x-1", Some("/a/b")),
            ("/a/store/x-1", "/a/store/pad/x-1", Some("/a/store")),
            ("/x-1", "/c/x-1", None),
            ("/a/x-1", "/c/y-1", None),
        ] {
            assert_eq!(store_of(old, new), expected, "{old} {new}");
        }
        assert!(mentions("--with=/a/b/gcc-1/bin", "/a/b") && mentions("x/a/b", "/a/b"));
        assert!(!mentions("/a/bc:/a/b-2", "/a/b"));
    }
}
