//! From nodes to the JSON of an index.
//!
//! The bytes are a function of the packages alone, and not of how the index came to be: packages in the order of their
//! tags, each after what it needs, with the number of records that need it. So writers that know the same packages write
//! the same bytes, and who finds nothing to change writes nothing.

use super::entry::Entry;
use std::collections::HashMap;
use strata_spec::{DagHash, database};

/// Records in the order in which they are written.
pub(super) struct Composition<'n> {
    read: &'n HashMap<DagHash, Entry<'static>>,
    known: &'n HashMap<&'n str, Entry<'n>>,
    rows: Vec<Row<'n>>,
    places: HashMap<&'n str, Place>,
}

struct Row<'n> {
    hash: &'n str,
    entry: &'n Entry<'n>,
    in_buildcache: bool,
}

#[derive(Clone, Copy)]
enum Place {
    /// What it needs is being added: to come upon it now is to go in a circle.
    Begun,
    Row(usize),
}

impl<'n> Composition<'n> {
    /// An empty one, for nodes that were read and others that are known.
    pub(super) fn new(
        read: &'n HashMap<DagHash, Entry<'static>>,
        known: &'n HashMap<&'n str, Entry<'n>>,
    ) -> Self {
        Self { read, known, rows: Vec::new(), places: HashMap::new() }
    }

    fn find(&self, hash: &str) -> Option<(&'n str, &'n Entry<'n>)> {
        let read = self.read.get_key_value(hash).map(|(hash, entry)| (hash.as_str(), entry));
        read.or_else(|| self.known.get_key_value(hash).map(|(hash, entry)| (*hash, entry)))
    }

    /// Adds a package that the cache has and, before it, what it needs. On an error nothing is added.
    ///
    /// # Errors
    /// In words, if a node is missing or needs itself.
    pub(super) fn add(&mut self, hash: &str) -> Result<(), String> {
        let (first_new, mut begun) = (self.rows.len(), Vec::new());
        match self.add_node(hash, &mut begun) {
            Ok(row) => {
                self.rows[row].in_buildcache = true;
                Ok(())
            }
            Err(reason) => {
                self.rows.truncate(first_new);
                for hash in begun {
                    self.places.remove(hash);
                }
                Err(reason)
            }
        }
    }

    /// Depth first with a stack of our own: a DAG can be deeper than a thread's stack likes.
    fn add_node(&mut self, hash: &str, begun: &mut Vec<&'n str>) -> Result<usize, String> {
        if let Some(Place::Row(row)) = self.places.get(hash) {
            return Ok(*row);
        }
        let missing = |hash: &str| format!("the node of {hash} is missing");
        let (hash, entry) = self.find(hash).ok_or_else(|| missing(hash))?;
        self.places.insert(hash, Place::Begun);
        begun.push(hash);
        let mut stack = vec![(hash, entry, 0)];
        while let Some((hash, entry, next)) = stack.pop() {
            let Some(below) = entry.dependencies.get(next) else {
                self.places.insert(hash, Place::Row(self.rows.len()));
                self.rows.push(Row { hash, entry, in_buildcache: false });
                continue;
            };
            stack.push((hash, entry, next + 1));
            match self.places.get(&**below) {
                Some(Place::Row(_)) => {}
                Some(Place::Begun) => return Err(format!("{below} depends on itself")),
                None => {
                    let (below, entry) = self
                        .find(below)
                        .ok_or_else(|| format!("{}, which {hash} depends on", missing(below)))?;
                    self.places.insert(below, Place::Begun);
                    begun.push(below);
                    stack.push((below, entry, 0));
                }
            }
        }
        Ok(self.rows.len() - 1)
    }

    /// How many packages the cache has.
    pub(super) fn packages(&self) -> usize {
        self.rows.iter().filter(|row| row.in_buildcache).count()
    }

    /// Whether the cache has this package.
    pub(super) fn has(&self, hash: &str) -> bool {
        matches!(self.places.get(hash), Some(Place::Row(row)) if self.rows[*row].in_buildcache)
    }

    /// The index, byte for byte as Spack writes it.
    pub(super) fn to_json(&self) -> String {
        let mut needed_by = vec![0_u32; self.rows.len()];
        for row in &self.rows {
            for below in &row.entry.dependencies {
                if let Some(Place::Row(row)) = self.places.get(&**below) {
                    needed_by[*row] += 1;
                }
            }
        }
        let size: usize = self.rows.iter().map(|row| row.entry.json.len() + 100).sum();
        let mut json = String::with_capacity(size + 100);
        json.push_str(&format!(
            "{{\"database\":{{\"version\":\"{}\",\"installs\":{{",
            database::CURRENT_VERSION
        ));
        for (row, needed_by) in self.rows.iter().zip(needed_by) {
            if !json.ends_with('{') {
                json.push(',');
            }
            let in_buildcache = if row.in_buildcache { "true" } else { "false" };
            json.extend(["\"", row.hash, "\":{\"spec\":", &*row.entry.json]);
            json.extend([
                ",\"ref_count\":",
                &needed_by.to_string(),
                ",\"in_buildcache\":",
                in_buildcache,
                "}",
            ]);
        }
        json.push_str("}}}");
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn entries(of: &[(&'static str, &[&'static str])]) -> HashMap<&'static str, Entry<'static>> {
        let entry = |needs: &[&'static str]| Entry {
            json: Cow::Borrowed("{}"),
            dependencies: needs.iter().map(|hash| Cow::Borrowed(*hash)).collect(),
        };
        of.iter().map(|(hash, needs)| (*hash, entry(needs))).collect()
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let entries = entries(&[
            ("top", &["leaf", "gone"]),
            ("leaf", &[]),
            ("round", &["leaf", "about"]),
            ("about", &["round"]),
            ("self", &["self"]),
        ]);
        let read = HashMap::new();
        let mut composition = Composition::new(&read, &entries);
        let empty = composition.to_json();
        for (hash, reason) in [("top", "gone"), ("round", "itself"), ("self", "itself"), ("none", "missing")]
        {
            let error = composition.add(hash).unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert_eq!(composition.to_json(), empty);
        }
        composition.add("leaf").unwrap();
        assert!(composition.add("top").is_err());
        assert_eq!(composition.packages(), 1);
    }

    #[test]
    fn a_dag_deeper_than_a_stack() {
        let names: Vec<&'static str> =
            (0..200_000).map(|n| &*Box::leak(n.to_string().into_boxed_str())).collect();
        let chain: Vec<_> = names.windows(2).map(|pair| (pair[0], &pair[1..])).collect();
        let mut entries = entries(&chain);
        entries.extend(self::entries(&[(names[names.len() - 1], &[])]));
        let read = HashMap::new();
        let mut composition = Composition::new(&read, &entries);
        composition.add("0").unwrap();
        assert_eq!(composition.rows.len(), names.len());
    }
}
