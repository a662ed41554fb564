//! Mirrors: where packages are fetched from and pushed to.
//!
//! An entry is a URL, or a mapping with `url`, or `fetch` and `push` (each a URL or a mapping with `url`),
//! an [`AccessPair`] beside each `url`, and flags: `binary`, `source` and `signed`, which are true unless said
//! otherwise, and `autopush`, which is not. Keys not known here are left alone.

mod change;
mod edit;
mod new_mirror;

use std::path::{Path, PathBuf};

pub use change::{AccessChange, MirrorChange};
pub use edit::EditedScope;
pub use new_mirror::NewMirror;

use crate::error::Direction;
use crate::value::{Origin, Value};
use crate::{AccessPair, ConfigError, Configuration, Scope};

/// The section.
const SECTION: &str = "mirrors";

/// A named mirror. URLs are verbatim: what has no scheme is a path to Spack, and is for the caller to refuse.
#[derive(Clone, Debug)]
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
    /// Whether Spack pushes to it after each install.
    pub autopush: bool,
    /// Where the entry is written; of one that several scopes have written, the highest.
    pub origin: Origin,
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

    /// Whether both say the same, wherever they are written.
    fn says_the_same(&self, other: &Self) -> bool {
        let said = |it: &Self| {
            let flags = (it.binary, it.source, it.signed, it.autopush);
            let urls = (it.fetch.clone(), it.push.clone());
            (it.name.clone(), flags, urls, it.fetch_access.clone(), it.push_access.clone())
        };
        said(self) == said(other)
    }

    fn read(name: &str, entry: &Value) -> Result<Self, ConfigError> {
        let mut mirror = Self {
            name: name.to_owned(),
            binary: true,
            source: true,
            signed: true,
            autopush: false,
            origin: entry.origin.clone(),
            fetch: None,
            push: None,
            fetch_access: None,
            push_access: None,
        };
        if let Some(url) = entry.text() {
            mirror.fetch = Some(url.to_owned());
            mirror.push = mirror.fetch.clone();
        } else if entry.mapping().is_some() {
            let both = url(name, entry)?;
            mirror.fetch = direction(name, entry, "fetch")?.or_else(|| both.clone());
            mirror.push = direction(name, entry, "push")?.or(both);
            mirror.fetch_access = access(name, entry, "fetch")?;
            mirror.push_access = access(name, entry, "push")?;
            for (key, flag) in [
                ("binary", &mut mirror.binary),
                ("source", &mut mirror.source),
                ("signed", &mut mirror.signed),
                ("autopush", &mut mirror.autopush),
            ] {
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
}

/// Mirrors, in the order in which they are asked.
#[derive(Clone, Debug)]
pub struct Mirrors {
    /// The file, if they are those of one.
    path: Option<PathBuf>,
    mirrors: Vec<Mirror>,
}

impl Mirrors {
    /// What all scopes together say.
    ///
    /// # Errors
    /// [`ConfigError::Read`], [`ConfigError::Syntax`] or [`ConfigError::Invalid`], with the file, line and
    /// column.
    pub fn of(configuration: &Configuration) -> Result<Self, ConfigError> {
        Self::read(None, configuration.section(SECTION)?.as_ref())
    }

    /// What one scope says.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn of_scope(configuration: &Configuration, scope: &Scope) -> Result<Self, ConfigError> {
        Self::read(scope.file(SECTION), configuration.section_of(scope, SECTION)?.as_ref())
    }

    fn read(path: Option<PathBuf>, section: Option<&Value>) -> Result<Self, ConfigError> {
        let mut mirrors = Vec::new();
        if let Some(section) = section.filter(|section| !section.is_null()) {
            let entries =
                section.mapping().ok_or_else(|| section.invalid("the section `mirrors` is not a mapping"))?;
            for (key, entry) in entries.iter() {
                mirrors.push(Mirror::read(&key.name, entry)?);
            }
        }
        Ok(Self { path, mirrors })
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
            elsewhere: Vec::new(),
        })
    }

    /// The file, which need not exist; none if these are the mirrors of all scopes.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// All of them, in order.
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
}

impl<'a> IntoIterator for &'a Mirrors {
    type Item = &'a Mirror;
    type IntoIter = std::slice::Iter<'a, Mirror>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The URL of one direction, if the entry has one of its own.
fn direction(name: &str, entry: &Value, key: &str) -> Result<Option<String>, ConfigError> {
    match entry.get(key) {
        None => Ok(None),
        Some(value) => match value.text() {
            Some(url) => Ok(Some(url.to_owned())),
            None if value.mapping().is_some() => url(name, value),
            None => Err(value.invalid(format!("`{key}` of the mirror {name} must be a URL or a mapping"))),
        },
    }
}

/// The access pair of one direction. One that says `null` has none, whatever the entry says.
fn access(name: &str, entry: &Value, key: &str) -> Result<Option<AccessPair>, ConfigError> {
    let own = entry.get(key).and_then(|direction| direction.get("access_pair"));
    match own.or_else(|| entry.get("access_pair")) {
        Some(value) => AccessPair::read(name, value),
        None => Ok(None),
    }
}

/// The `url` of a mapping.
fn url(name: &str, mapping: &Value) -> Result<Option<String>, ConfigError> {
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
