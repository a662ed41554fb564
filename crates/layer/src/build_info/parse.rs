//! From the YAML tree to [`BuildInfo`], whichever Spack wrote it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::BuildInfo;
use super::tree::{self, Node};

/// Why a `.spack/binary_distribution` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildInfoError {
    /// YAML is UTF-8.
    #[error("not UTF-8")]
    NotUtf8 {
        /// Where the bytes stop being UTF-8.
        source: std::str::Utf8Error,
    },
    /// The parser objects.
    #[error("not YAML: line {line}, column {column}: {problem}")]
    Yaml {
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// In the parser's words.
        problem: String,
    },
    /// More levels of nesting than the format has any use for.
    #[error("line {line}: nested too deep")]
    TooDeep {
        /// Counted from 1.
        line: usize,
    },
    /// YAML aliases are not supported; Spack does not write any.
    #[error("line {line}: YAML aliases are not supported here")]
    Alias {
        /// Counted from 1.
        line: usize,
    },
    /// Something follows the document.
    #[error("line {line}: a second YAML document")]
    SeveralDocuments {
        /// Counted from 1.
        line: usize,
    },
    /// The document is empty, a list or a scalar.
    #[error("not a mapping but {found}")]
    NotAMapping {
        /// What it is.
        found: &'static str,
    },
    /// A key that nothing can stand in for.
    #[error("`{key}` is missing")]
    MissingKey {
        /// The key.
        key: &'static str,
    },
    /// A key occurs twice.
    #[error("`{key}` occurs twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// The value under a key, or one inside it, is of the wrong kind.
    #[error("`{key}` has to be {expected}, found {found}")]
    WrongKind {
        /// The key.
        key: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Neither `hash_to_prefix` nor `prefix_to_hash`: made by a Spack so old that its layers cannot be relocated.
    #[error("neither `hash_to_prefix` nor `prefix_to_hash` is there: too old to be relocated")]
    NoPrefixes,
}

/// The document's pairs; fields are taken out of it one by one.
struct Fields(HashMap<String, Node>);

pub(super) fn build_info(bytes: &[u8]) -> Result<BuildInfo, BuildInfoError> {
    let mut fields = Fields::read(bytes)?;
    Ok(BuildInfo {
        sbang_install_path: fields.text("sbang_install_path")?,
        buildpath: fields.text("buildpath")?.ok_or(BuildInfoError::MissingKey { key: "buildpath" })?,
        // Nothing that is installed depends on these two, and the first Spacks did not write them.
        spackprefix: fields.text("spackprefix")?.unwrap_or_default(),
        relative_prefix: fields.text("relative_prefix")?.unwrap_or_default(),
        hardlinks_deduped: fields.flag("hardlinks_deduped")?,
        hash_to_prefix: fields.prefixes()?,
        relocate_binaries: fields.required_names("relocate_binaries")?,
        relocate_links: fields.names("relocate_links")?.unwrap_or_default(),
        relocate_textfiles: fields.required_names("relocate_textfiles")?,
        relative_rpaths: fields.flag("relative_rpaths")?,
    })
}

impl Fields {
    fn read(bytes: &[u8]) -> Result<Self, BuildInfoError> {
        let pairs = match tree::read(bytes)? {
            Some(Node::Mapping(pairs)) => pairs,
            other => {
                let found = other.map_or("an empty document", |node| node.kind());
                return Err(BuildInfoError::NotAMapping { found });
            }
        };
        let mut fields = HashMap::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = string("binary_distribution", "a mapping with text keys", key)?;
            if fields.contains_key(&key) {
                return Err(BuildInfoError::DuplicateKey { key });
            }
            fields.insert(key, value);
        }
        Ok(Self(fields))
    }

    fn take(&mut self, key: &str) -> Option<Node> {
        self.0.remove(key)
    }

    fn text(&mut self, key: &'static str) -> Result<Option<String>, BuildInfoError> {
        self.take(key).map(|node| string(key, "text", node)).transpose()
    }

    /// A boolean as YAML 1.2 writes it; false where there is none.
    fn flag(&mut self, key: &'static str) -> Result<bool, BuildInfoError> {
        let Some(node) = self.take(key) else { return Ok(false) };
        match &node {
            Node::Scalar { text, plain: true } => match text.as_slice() {
                b"true" | b"True" | b"TRUE" => Ok(true),
                b"false" | b"False" | b"FALSE" => Ok(false),
                _ => Err(wrong(key, "true or false", &node)),
            },
            _ => Err(wrong(key, "true or false", &node)),
        }
    }

    fn names(&mut self, key: &'static str) -> Result<Option<Vec<OsString>>, BuildInfoError> {
        let items = match self.take(key) {
            None => return Ok(None),
            Some(Node::Sequence(items)) => items,
            Some(node) => return Err(wrong(key, "a list of paths", &node)),
        };
        let name = |node| match node {
            Node::Scalar { text, .. } => Ok(OsString::from_vec(text)),
            node => Err(wrong(key, "a list of paths", &node)),
        };
        items.into_iter().map(name).collect::<Result<_, _>>().map(Some)
    }

    fn required_names(&mut self, key: &'static str) -> Result<Vec<OsString>, BuildInfoError> {
        self.names(key)?.ok_or(BuildInfoError::MissingKey { key })
    }

    /// Hash and prefix pairs, from either layout.
    fn prefixes(&mut self) -> Result<Vec<(String, String)>, BuildInfoError> {
        if let Some(node) = self.take("hash_to_prefix") {
            return pairs("hash_to_prefix", node);
        }
        let node = self.take("prefix_to_hash").ok_or(BuildInfoError::NoPrefixes)?;
        let mut prefixes: Vec<(String, String)> = Vec::new();
        let mut places = HashMap::new();
        for (prefix, hash) in pairs("prefix_to_hash", node)? {
            // One hash may have had several prefixes (externals). As in Spack, the last one is meant, and the
            // place in the order is the first one's.
            let place = *places.entry(hash.clone()).or_insert(prefixes.len());
            match prefixes.get_mut(place) {
                Some((_, known)) => *known = prefix,
                None => prefixes.push((hash, prefix)),
            }
        }
        Ok(prefixes)
    }
}

fn pairs(key: &'static str, node: Node) -> Result<Vec<(String, String)>, BuildInfoError> {
    let expected = "a mapping from text to text";
    let Node::Mapping(pairs) = node else { return Err(wrong(key, expected, &node)) };
    let mut seen = HashSet::with_capacity(pairs.len());
    let mut out = Vec::with_capacity(pairs.len());
    for (left, right) in pairs {
        let left = string(key, expected, left)?;
        if !seen.insert(left.clone()) {
            return Err(BuildInfoError::DuplicateKey { key: left });
        }
        out.push((left, string(key, expected, right)?));
    }
    Ok(out)
}

fn string(key: &'static str, expected: &'static str, node: Node) -> Result<String, BuildInfoError> {
    match node {
        Node::Scalar { text, plain } => String::from_utf8(text)
            .map_err(|error| wrong(key, expected, &Node::Scalar { text: error.into_bytes(), plain })),
        node => Err(wrong(key, expected, &node)),
    }
}

fn wrong(key: &'static str, expected: &'static str, node: &Node) -> BuildInfoError {
    let found = match node {
        Node::Scalar { text, .. } => format!("`{}`", text.escape_ascii()),
        node => node.kind().to_owned(),
    };
    BuildInfoError::WrongKind { key, expected, found }
}
