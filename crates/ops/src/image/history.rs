//! Which packages are in which layer: the `history` of an image config, as it is written, and read again.
//!
//! Registries (Quay) want as many entries as there are layers, beside those that are marked empty: a history that says
//! otherwise is worse than none.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use strata_oci::HistoryEntry;
use strata_spec::{DagHash, Node};

/// How every `created_by` of ours begins.
const BY: &str = "strata: ";
/// The rest of it for a view.
const VIEW: &str = "view";

/// What a layer of ours holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Packages: one, or several that share it.
    Packages(Vec<Held>),
    /// The links of a view.
    View,
}

/// A package in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Package name.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// DAG hash.
    pub(crate) hash: DagHash,
}

impl From<&Node> for Held {
    fn from(node: &Node) -> Self {
        Self { name: node.name.clone(), version: node.version.clone(), hash: node.hash.clone() }
    }
}

impl Held {
    /// `name@version/hash7`.
    pub(crate) fn label(&self) -> String {
        strata_spec::label(&self.name, &self.version, &self.hash)
    }

    fn read(text: &str) -> Option<Self> {
        // Versions that name a branch may have a `/` in them.
        let (label, hash) = text.rsplit_once('/')?;
        let (name, version) = label.split_once('@')?;
        let hash = DagHash::parse(hash).ok()?;
        Some(Self { name: name.to_owned(), version: version.to_owned(), hash })
    }
}

impl Content {
    /// The entry for a layer that holds this.
    pub(crate) fn entry(&self, created: Option<Timestamp>) -> HistoryEntry {
        let (by, comment) = match self {
            Self::View => (VIEW.to_owned(), None),
            Self::Packages(packages) => {
                let by = match packages.as_slice() {
                    [one] => one.label(),
                    several => format!("{} packages", several.len()),
                };
                let full = packages.iter().map(|p| format!("{}@{}/{}", p.name, p.version, p.hash));
                (by, Some(full.collect::<Vec<_>>().join(", ")))
            }
        };
        HistoryEntry {
            created: created.map(text),
            created_by: Some(format!("{BY}{by}")),
            comment,
            ..HistoryEntry::default()
        }
    }

    /// What the entry of a layer says it holds; none if it is no entry of ours.
    pub(crate) fn read(created_by: &str, comment: Option<&str>) -> Option<Self> {
        let by = created_by.strip_prefix(BY)?;
        if by == VIEW && comment.is_none() {
            return Some(Self::View);
        }
        let packages: Option<Vec<Held>> = comment?.split(", ").map(Held::read).collect();
        packages.map(Self::Packages)
    }
}

/// The entry of a layer of which nothing is known but the base it belongs to.
pub(crate) fn of_base_layer(base: &str) -> HistoryEntry {
    HistoryEntry { created_by: Some(base.to_owned()), ..HistoryEntry::default() }
}

/// The entries of a history, if they are as many as the layers.
pub(crate) fn consistent(history: &RawValue, layers: usize) -> Option<Vec<Box<RawValue>>> {
    #[derive(Deserialize)]
    struct Emptiness {
        #[serde(default)]
        empty_layer: bool,
    }
    let entries: Vec<Box<RawValue>> = serde_json::from_str(history.get()).ok()?;
    let mut filled = 0;
    for entry in &entries {
        let Emptiness { empty_layer } = serde_json::from_str(entry.get()).ok()?;
        filled += usize::from(!empty_layer);
    }
    (filled == layers).then_some(entries)
}

/// Whether every entry of a history is one that strata writes for a layer of its own: there is nothing below.
pub(crate) fn is_ours(history: &RawValue) -> bool {
    let entries: Result<Vec<HistoryEntry>, _> = serde_json::from_str(history.get());
    let is_ours = |entry: &HistoryEntry| {
        let by = entry.created_by.as_deref();
        by.is_some_and(|by| Content::read(by, entry.comment.as_deref()).is_some())
    };
    entries.is_ok_and(|entries| entries.iter().all(is_ours))
}

/// A time as image configs have it, to the second.
pub(crate) fn text(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(name: &str, version: &str) -> Held {
        let hash = DagHash::parse("6mhn66ae67iweh46tg4uhwn247xusqdu").unwrap();
        Held { name: name.to_owned(), version: version.to_owned(), hash }
    }

    fn written(entry: &HistoryEntry) -> Box<RawValue> {
        serde_json::value::to_raw_value(entry).unwrap()
    }

    #[test]
    fn entries_are_read_as_they_were_written() {
        let created = Timestamp::from_microsecond(1_700_000_000_250_000).unwrap();
        for content in [
            Content::View,
            Content::Packages(vec![held("zlib", "1.2.13")]),
            Content::Packages(vec![held("a", "git.feature/x=1.0"), held("b", "2")]),
        ] {
            let entry = written(&content.entry(Some(created)));
            let value: serde_json::Value = serde_json::from_str(entry.get()).unwrap();
            assert_eq!(value["created"], "2023-11-14T22:13:20Z");
            let read = Content::read(value["created_by"].as_str().unwrap(), value["comment"].as_str());
            assert_eq!(read, Some(content));
            let history = |entries: &str| is_ours(&serde_json::from_str::<Box<RawValue>>(entries).unwrap());
            assert!(history(&format!("[{entry}]")));
            assert!(!history(&format!(r#"[{{"created_by":"/bin/sh"}},{entry}]"#)) && !history("null"));
        }
        let one = written(&Content::Packages(vec![held("zlib", "1.2.13")]).entry(None));
        assert_eq!(
            one.get(),
            r#"{"created_by":"strata: zlib@1.2.13/6mhn66a","comment":"zlib@1.2.13/6mhn66ae67iweh46tg4uhwn247xusqdu"}"#
        );
        for (by, comment) in [
            ("/bin/sh -c apt-get install", Some("zlib@1/6mhn66ae67iweh46tg4uhwn247xusqdu")),
            ("strata: zlib@1/6mhn66a", None),
            ("strata: zlib@1/6mhn66a", Some("whatever")),
            ("strata: x", Some("zlib@1/short")),
        ] {
            assert_eq!(Content::read(by, comment), None, "{by} {comment:?}");
        }
    }

    #[test]
    fn a_history_counts_if_it_has_as_many_entries_as_there_are_layers() {
        let entries = |text: &str, layers| {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            consistent(&raw, layers).map(|entries| entries.len())
        };
        let two = r#"[{"created_by":"a"},{"empty_layer":true,"x":1},{"created_by":"b","empty_layer":false}]"#;
        assert_eq!(entries(two, 2), Some(3));
        assert_eq!(entries(two, 3), None);
        assert_eq!(entries("[]", 0), Some(0));
        assert_eq!(entries("[]", 1), None);
        for broken in ["null", "{}", "[1]", r#"[{"empty_layer":"yes"}]"#] {
            assert_eq!(entries(broken, 1), None, "{broken}");
        }
    }
}
