//! `mirrors.yaml`: where packages are fetched from and pushed to.
//!
//! An entry is a URL, or a mapping with `url`, or `fetch` and `push` (each a URL or a mapping with `url`),
//! an [`AccessPair`] beside each `url`, and flags: `binary`, `source` and `signed`, which are true unless said
//! otherwise. The section may be
//! written `mirrors::`, which makes Spack ignore the scopes below. Keys not known here are left alone.

mod edit;
mod new_mirror;

use std::path::{Path, PathBuf};

pub(crate) use edit::{add, remove};
pub use new_mirror::NewMirror;

use crate::document::{self, Node};
use crate::error::Direction;
use crate::{AccessPair, ConfigError, save};

/// A named mirror. URLs are verbatim: what has no scheme is a path to Spack, and is for the caller to refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Its name.
    pub name: String,
    /// Whether it holds binary packages.
    pub binary: bool,
    /// Whether it holds source archives.
    pub source: bool,
    /// Whether packages from it must be signed. Never with OCI mirrors, as in Spack: there is no signing for
    /// them.
    pub signed: bool,
    fetch: Option<String>,
    push: Option<String>,
    fetch_access: Option<AccessPair>,
    push_access: Option<AccessPair>,
}

impl Mirror {
    /// Where to fetch from.
    ///
    /// # Errors
    /// [`ConfigError::NoUrl`] if the entry gives a URL for pushing alone.
    pub fn fetch_url(&self) -> Result<&str, ConfigError> {
        self.url(self.fetch.as_deref(), Direction::Fetch)
    }

    /// Where to push to.
    ///
    /// # Errors
    /// [`ConfigError::NoUrl`] if the entry gives a URL for fetching alone.
    pub fn push_url(&self) -> Result<&str, ConfigError> {
        self.url(self.push.as_deref(), Direction::Push)
    }

    /// Who to be in that direction: the direction's own access pair, else that of the entry.
    pub fn access_pair(&self, direction: Direction) -> Option<&AccessPair> {
        match direction {
            Direction::Fetch => self.fetch_access.as_ref(),
            Direction::Push => self.push_access.as_ref(),
        }
    }

    fn url<'a>(&self, url: Option<&'a str>, direction: Direction) -> Result<&'a str, ConfigError> {
        url.ok_or_else(|| ConfigError::NoUrl { mirror: self.name.clone(), direction })
    }
}

/// The mirrors of one file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrors {
    path: PathBuf,
    replaces_lower_scopes: bool,
    mirrors: Vec<Mirror>,
}

impl Mirrors {
    /// Reads a `mirrors.yaml`; one that does not exist is empty.
    ///
    /// # Errors
    /// [`ConfigError::Read`], [`ConfigError::Syntax`] or [`ConfigError::Invalid`], with the file, line and
    /// column.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, save::read(path)?.as_deref().unwrap_or_default())
    }

    /// Reads `text`, the content of the file `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut mirrors =
            Mirrors { path: path.to_owned(), replaces_lower_scopes: false, mirrors: Vec::new() };
        let Some(document) = document::parse(path, text)? else { return Ok(mirrors) };
        let root = Node::new(path, &document);
        let Some((key, section)) = section(root)? else { return Ok(mirrors) };
        mirrors.replaces_lower_scopes = key == "mirrors:";
        if section.is_null() {
            return Ok(mirrors);
        }
        let entries =
            section.pairs().ok_or_else(|| section.invalid("the section `mirrors` is not a mapping"))?;
        for (name, entry) in entries {
            let quote = "a mirror's name must be text: put it in quotes";
            let name = name.text().ok_or_else(|| name.invalid(quote))?;
            mirrors.mirrors.push(mirror(name, entry)?);
        }
        Ok(mirrors)
    }

    /// The mirror of that name.
    pub fn get(&self, name: &str) -> Option<&Mirror> {
        self.mirrors.iter().find(|mirror| mirror.name == name)
    }

    /// The mirror of that name, or an error that lists those that there are.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchMirror`].
    pub fn require(&self, name: &str) -> Result<&Mirror, ConfigError> {
        self.get(name).ok_or_else(|| ConfigError::NoSuchMirror {
            name: name.to_owned(),
            path: self.path.clone(),
            existing: self.iter().map(|mirror| mirror.name.clone()).collect(),
        })
    }

    /// The file, which need not exist.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All of them, in the file's order.
    pub fn iter(&self) -> std::slice::Iter<'_, Mirror> {
        self.mirrors.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.mirrors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.mirrors.is_empty()
    }

    /// Whether the section is written `mirrors::`, so that scopes of lower precedence do not count.
    pub fn replaces_lower_scopes(&self) -> bool {
        self.replaces_lower_scopes
    }
}

impl<'a> IntoIterator for &'a Mirrors {
    type Item = &'a Mirror;
    type IntoIter = std::slice::Iter<'a, Mirror>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The section's key as YAML sees it, `mirrors` or `mirrors:`, and its value.
fn section<'a>(root: Node<'a>) -> Result<Option<(&'a str, Node<'a>)>, ConfigError> {
    let pairs = root.pairs().ok_or_else(|| root.invalid("this is not a mapping with a section `mirrors`"))?;
    let mut found = None;
    for (key, value) in pairs {
        match key.text() {
            Some(name @ ("mirrors" | "mirrors:")) if found.is_none() => found = Some((name, value)),
            Some("mirrors" | "mirrors:") => {
                return Err(key.invalid("there is more than one section `mirrors`"));
            }
            Some(other) => return Err(key.invalid(format!("there is no section `{other}` in this file"))),
            None => return Err(key.invalid("a section's name must be text")),
        }
    }
    Ok(found)
}

fn mirror(name: &str, entry: Node<'_>) -> Result<Mirror, ConfigError> {
    let mut mirror = Mirror {
        name: name.to_owned(),
        binary: true,
        source: true,
        signed: true,
        fetch: None,
        push: None,
        fetch_access: None,
        push_access: None,
    };
    if let Some(url) = entry.text() {
        mirror.fetch = Some(url.to_owned());
        mirror.push = mirror.fetch.clone();
    } else if entry.pairs().is_some() {
        let both = url(name, entry)?;
        mirror.fetch = direction(name, entry, "fetch")?.or_else(|| both.clone());
        mirror.push = direction(name, entry, "push")?.or(both);
        mirror.fetch_access = access(name, entry, "fetch")?;
        mirror.push_access = access(name, entry, "push")?;
        for (key, flag) in
            [("binary", &mut mirror.binary), ("source", &mut mirror.source), ("signed", &mut mirror.signed)]
        {
            if let Some(value) = entry.get(key) {
                let message = || format!("`{key}` of the mirror {name} must be true or false");
                *flag = value.flag().ok_or_else(|| value.invalid(message()))?;
            }
        }
    }
    if mirror.fetch.is_none() && mirror.push.is_none() {
        return Err(entry.invalid(format!("the mirror {name} has no URL")));
    }
    if mirror.fetch.as_deref().is_some_and(is_oci) {
        mirror.signed = false;
    }
    Ok(mirror)
}

/// The URL of one direction, if the entry has one of its own.
fn direction(name: &str, entry: Node<'_>, key: &str) -> Result<Option<String>, ConfigError> {
    match entry.get(key) {
        None => Ok(None),
        Some(value) => match value.text() {
            Some(url) => Ok(Some(url.to_owned())),
            None if value.pairs().is_some() => url(name, value),
            None => Err(value.invalid(format!("`{key}` of the mirror {name} must be a URL or a mapping"))),
        },
    }
}

/// The access pair of one direction. One that says `null` has none, whatever the entry says.
fn access(name: &str, entry: Node<'_>, key: &str) -> Result<Option<AccessPair>, ConfigError> {
    let own = entry.get(key).and_then(|direction| direction.get("access_pair"));
    match own.or_else(|| entry.get("access_pair")) {
        Some(value) => AccessPair::read(name, value),
        None => Ok(None),
    }
}

/// The `url` of a mapping.
fn url(name: &str, mapping: Node<'_>) -> Result<Option<String>, ConfigError> {
    let Some(value) = mapping.get("url") else { return Ok(None) };
    match value.text() {
        Some(url) => Ok(Some(url.to_owned())),
        None => Err(value.invalid(format!("`url` of the mirror {name} must be text"))),
    }
}

fn is_oci(url: &str) -> bool {
    ["oci://", "oci+http://", "oci+file://"].iter().any(|scheme| url.starts_with(scheme))
}

#[cfg(test)]
mod tests;
