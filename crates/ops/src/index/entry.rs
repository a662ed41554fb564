//! A node as the index passes it on: its JSON as text, and which nodes it needs. Nothing else of it is looked at, so that
//! an index of a hundred thousand specs is brought up to date without taking it apart.

use serde::Deserialize;
use serde::de::{Error, IgnoredAny};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use strata_spec::minify::minify;
use strata_spec::{DagHash, Node, database, upgrade};

/// How an index begins that is written without white space between its tokens.
const COMPACT: &str = "{\"database\":{\"version\":\"";

/// A node, with the DAG hashes of its direct dependencies in the order written.
#[derive(Clone, Debug)]
pub(super) struct Entry<'t> {
    pub(super) json: Cow<'t, str>,
    pub(super) dependencies: Vec<Cow<'t, str>>,
}

impl Entry<'static> {
    /// The entry of a node that was read from a document of version `version`.
    ///
    /// # Errors
    /// If Spack would not read an index that has it.
    pub(super) fn of(node: &Node, version: u32) -> Result<Self, serde_json::Error> {
        let json = upgrade::to_current(node, version)?;
        let spec = Spec::read(&json)?;
        let dependencies = spec.dependencies.iter().map(|edge| Cow::Owned(edge.hash.to_owned())).collect();
        Ok(Self { json: Cow::Owned(json), dependencies })
    }
}

/// What the records of a present index say, by DAG hash. It borrows from the index's text.
#[derive(Debug, Default)]
pub(super) struct Known<'t> {
    pub(super) entries: HashMap<&'t str, Entry<'t>>,
    /// Hashes of the packages that the cache has, or had.
    pub(super) cached: HashSet<&'t str>,
}

impl<'t> Known<'t> {
    /// Whether the cache has this package, or had it.
    pub(super) fn has(&self, hash: &DagHash) -> bool {
        self.cached.contains(hash.as_str())
    }

    /// Reads an index. Records that make no sense are left out: their tags are read instead.
    ///
    /// # Errors
    /// If it is no index, or one of another version: nodes of several formats must not be mixed.
    pub(super) fn parse(text: &'t str) -> Result<Self, String> {
        let file: File<'t> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let version = file.database.version.get().trim_matches('"');
        if version != database::CURRENT_VERSION.to_string() {
            return Err(format!("it is of version {version}"));
        }
        let is_compact = text.starts_with(COMPACT);
        let mut known = Self::default();
        known.entries.reserve(file.database.installs.0.len());
        for (hash, record) in file.database.installs.0 {
            let Ok(record) = serde_json::from_str::<Record<'t>>(record.get()) else { continue };
            let Ok(spec) = Spec::read(record.spec.get()) else { continue };
            if spec.hash != hash {
                continue;
            }
            if record.in_buildcache {
                known.cached.insert(hash);
            }
            let json = record.spec.get();
            let json = if is_compact { Cow::Borrowed(json) } else { Cow::Owned(minify(json)) };
            let dependencies = spec.dependencies.into_iter().map(|edge| Cow::Borrowed(edge.hash)).collect();
            known.entries.insert(hash, Entry { json, dependencies });
        }
        Ok(known)
    }
}

#[derive(Deserialize)]
struct File<'t> {
    #[serde(borrow)]
    database: Database<'t>,
}

#[derive(Deserialize)]
struct Database<'t> {
    #[serde(borrow)]
    version: &'t RawValue,
    #[serde(borrow)]
    installs: Installs<'t>,
}

/// The records in the order written, keys as they are: a DAG hash has nothing to escape.
struct Installs<'t>(Vec<(&'t str, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Installs<'t> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Records<'t>(std::marker::PhantomData<&'t ()>);
        impl<'de: 't, 't> serde::de::Visitor<'de> for Records<'t> {
            type Value = Installs<'t>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("records by DAG hash")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Installs<'t>, A::Error> {
                let mut records = Vec::new();
                while let Some(record) = map.next_entry()? {
                    records.push(record);
                }
                Ok(Installs(records))
            }
        }
        deserializer.deserialize_map(Records(std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
struct Record<'t> {
    #[serde(borrow)]
    spec: &'t RawValue,
    #[serde(default)]
    in_buildcache: bool,
}

/// What every node has; one that lacks it would keep Spack from reading the whole index.
#[derive(Deserialize)]
struct Spec<'t> {
    #[serde(rename = "name", borrow)]
    _name: Cow<'t, str>,
    #[serde(rename = "version", borrow)]
    _version: Cow<'t, str>,
    #[serde(rename = "arch")]
    _architecture: IgnoredAny,
    hash: &'t str,
    #[serde(borrow, default)]
    dependencies: Vec<Edge<'t>>,
    compiler: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Edge<'t> {
    #[serde(rename = "name", borrow)]
    _name: Cow<'t, str>,
    hash: &'t str,
    #[serde(rename = "parameters")]
    _parameters: EdgeParameters,
}

#[derive(Deserialize)]
struct EdgeParameters {
    #[serde(rename = "deptypes")]
    _deptypes: IgnoredAny,
    #[serde(rename = "virtuals")]
    _virtuals: IgnoredAny,
}

impl<'t> Spec<'t> {
    fn read(json: &'t str) -> Result<Self, serde_json::Error> {
        if !json.starts_with('{') {
            return Err(Error::custom("a node that is not an object"));
        }
        let spec: Self = serde_json::from_str(json)?;
        match (&spec.compiler, &spec.annotations) {
            (Some(_), None) => Err(Error::custom("a node with a compiler, of a version that has none")),
            _ => Ok(spec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"spec": {"name": "a", "version": "1", "arch": {}, "hash": "HASH", "note": "b  c",
        "dependencies": [{"name": "b", "hash": "bb", "parameters": {"deptypes": [], "virtuals": []}}]}, "ref_count": 0, "in_buildcache": true}"#;

    fn index(records: &str) -> String {
        format!("{{\"database\": {{\"version\": \"8\", \"installs\": {{{records}}}}}}}")
    }

    #[test]
    fn white_space_goes_and_text_stays() {
        let text = index(&format!("\"aa\": {}", RECORD.replace("HASH", "aa")));
        let known = Known::parse(&text).unwrap();
        let entry = &known.entries["aa"];
        assert!(entry.json.starts_with(r#"{"name":"a","version":"1","arch":{},"#), "{}", entry.json);
        assert!(entry.json.contains(r#""b  c""#));
        assert_eq!(entry.dependencies, ["bb"]);
        assert_eq!(known.cached, HashSet::from(["aa"]));
    }

    #[test]
    fn a_record_that_makes_no_sense_is_not_known() {
        let records = [
            format!("\"aa\": {}", RECORD.replace("HASH", "another")),
            "\"bb\": 7, \"cc\": {\"spec\": {\"name\": \"c\"}}".to_owned(),
            format!("\"ee\": {}", RECORD.replace("HASH", "ee").replace("\"deptypes\": [], ", "")),
            format!("\"ff\": {}", RECORD.replace("HASH", "ff").replace("\"note\"", "\"compiler\"")),
            format!("\"dd\": {}", RECORD.replace("HASH", "dd")),
        ];
        let text = index(&records.join(","));
        assert_eq!(Known::parse(&text).unwrap().entries.into_keys().collect::<Vec<_>>(), ["dd"]);
    }

    #[test]
    fn another_version_is_not_mixed_with_ours() {
        for other in [index("").replace("\"8\"", "\"7\""), index("").replace("\"8\"", "9"), "[]".to_owned()] {
            assert!(Known::parse(&other).is_err(), "{other}");
        }
        assert!(Known::parse(&index("").replace("\"8\"", "8")).is_ok());
    }
}
