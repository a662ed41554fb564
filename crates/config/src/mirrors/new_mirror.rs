//! [`NewMirror`]: what is written for a mirror that is added, in the shape and order in which Spack writes it.

use crate::edit::Content;
use crate::{AccessPair, ConfigError, IdSource};

/// A mirror to be added. What is `None` is left out of the file and has the default; if all is, the entry is
/// the bare URL, as Spack writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMirror {
    /// Its name.
    pub name: String,
    /// Its URL, for fetching and pushing.
    pub url: String,
    /// Who to be for it, for fetching and pushing.
    pub access_pair: Option<AccessPair>,
    /// Whether it holds binary packages.
    pub binary: Option<bool>,
    /// Whether it holds source archives.
    pub source: Option<bool>,
    /// Whether Spack pushes to it after each install.
    pub autopush: Option<bool>,
    /// Whether packages from it must be signed.
    pub signed: Option<bool>,
}

impl NewMirror {
    /// A mirror with a URL and nothing else.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        NewMirror {
            name: name.into(),
            url: url.into(),
            access_pair: None,
            binary: None,
            source: None,
            autopush: None,
            signed: None,
        }
    }

    /// Refuses what cannot stand on one line of a file. A secret is not quoted.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_text("name", &self.name)?;
        check_text("URL", &self.url)?;
        self.access_pair.iter().try_for_each(|pair| check_pair(&self.name, pair))
    }

    /// What is written.
    pub(super) fn content(&self) -> Content {
        let url = Content::text(&self.url);
        let flag = |flag: Option<bool>| flag.map(Content::Flag);
        let fields: Vec<(String, Content)> = [
            ("access_pair", self.access_pair.as_ref().map(pair)),
            ("binary", flag(self.binary)),
            ("source", flag(self.source)),
            ("autopush", flag(self.autopush)),
            ("signed", flag(self.signed)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect();
        if fields.is_empty() {
            return url;
        }
        Content::Mapping(std::iter::once(("url".to_owned(), url)).chain(fields).collect())
    }
}

/// How an access pair is written.
pub(super) fn pair(pair: &AccessPair) -> Content {
    match pair {
        AccessPair::PlainText { id, secret } => {
            Content::List(vec![Content::text(id), Content::text(secret.expose())])
        }
        AccessPair::Variables { id, secret_variable } => {
            let (key, id) = match id {
                IdSource::Text(id) => ("id", id),
                IdSource::Variable(name) => ("id_variable", name),
            };
            Content::Mapping(vec![
                (key.to_owned(), Content::text(id)),
                ("secret_variable".to_owned(), Content::text(secret_variable)),
            ])
        }
    }
}

/// Refuses an access pair that cannot stand on one line of a file. A secret is not quoted.
pub(super) fn check_pair(mirror: &str, pair: &AccessPair) -> Result<(), ConfigError> {
    match pair {
        AccessPair::PlainText { secret, .. } if !usable(secret.expose()) => {
            Err(ConfigError::UnusableSecret { mirror: mirror.to_owned() })
        }
        AccessPair::PlainText { id, .. } => check_text("user", id),
        AccessPair::Variables { id, secret_variable } => {
            match id {
                IdSource::Text(id) => check_text("user", id)?,
                IdSource::Variable(name) => check_text("variable for the user", name)?,
            }
            check_text("variable for the password", secret_variable)
        }
    }
}

/// Refuses what cannot stand on one line of a file.
pub(super) fn check_text(what: &'static str, value: &str) -> Result<(), ConfigError> {
    if usable(value) { Ok(()) } else { Err(ConfigError::Unusable { what, value: value.to_owned() }) }
}

fn usable(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(char::is_control)
}
