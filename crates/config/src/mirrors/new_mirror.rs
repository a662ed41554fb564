//! [`NewMirror`]: what is written for a mirror that is added, in the shape and order in which Spack writes it.

use saphyr::{Scalar, Yaml};
use yaml_edit::{Mapping, Sequence};

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

/// A value in an entry.
enum Value<'a> {
    Flag(bool),
    /// Keys and texts.
    Mapping(Vec<(&'static str, &'a str)>),
    List(Vec<&'a str>),
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
        let mut texts = vec![("name", &*self.name), ("URL", &*self.url)];
        if let Some(pair) = &self.access_pair {
            match pair {
                AccessPair::PlainText { secret, .. } if !usable(secret.expose()) => {
                    return Err(ConfigError::UnusableSecret { mirror: self.name.clone() });
                }
                AccessPair::PlainText { id, .. } => texts.push(("user", id)),
                AccessPair::Variables { id, secret_variable } => {
                    texts.push(match id {
                        IdSource::Text(id) => ("user", id),
                        IdSource::Variable(name) => ("variable for the user", name),
                    });
                    texts.push(("variable for the password", secret_variable));
                }
            }
        }
        match texts.into_iter().find(|(_, value)| !usable(value)) {
            Some((what, value)) => Err(ConfigError::Unusable { what, value: value.to_owned() }),
            None => Ok(()),
        }
    }

    /// The keys beside the URL, in the order in which Spack writes them.
    fn fields(&self) -> Vec<(&'static str, Value<'_>)> {
        let pair = self.access_pair.as_ref().map(|pair| match pair {
            AccessPair::PlainText { id, secret } => Value::List(vec![id, secret.expose()]),
            AccessPair::Variables { id, secret_variable } => {
                let id = match id {
                    IdSource::Text(id) => ("id", &**id),
                    IdSource::Variable(name) => ("id_variable", &**name),
                };
                Value::Mapping(vec![id, ("secret_variable", secret_variable)])
            }
        });
        [
            ("access_pair", pair),
            ("binary", self.binary.map(Value::Flag)),
            ("source", self.source.map(Value::Flag)),
            ("autopush", self.autopush.map(Value::Flag)),
            ("signed", self.signed.map(Value::Flag)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }

    /// Writes the entry as the first of `section`.
    pub(super) fn put_first(&self, section: &Mapping) {
        let fields = self.fields();
        if fields.is_empty() {
            section.insert_at_index(0, &*self.name, &*self.url);
            return;
        }
        let flow = section.is_flow_style();
        let mapping = || if flow { Mapping::new_flow() } else { Mapping::new() };
        let entry = mapping();
        entry.set("url", &*self.url);
        for (key, value) in fields {
            match value {
                Value::Flag(flag) => entry.set(key, flag),
                Value::Mapping(pairs) => {
                    let nested = mapping();
                    pairs.iter().for_each(|(key, text)| nested.set(*key, *text));
                    entry.set(key, nested);
                }
                Value::List(texts) => {
                    let list = if flow { Sequence::new_flow() } else { Sequence::new() };
                    texts.iter().for_each(|text| list.push(*text));
                    entry.set(key, list);
                }
            }
        }
        section.insert_at_index(0, &*self.name, entry);
    }

    /// What the entry has to mean to a parser.
    pub(super) fn meaning(&self) -> (Yaml<'static>, Yaml<'static>) {
        let fields = self.fields();
        if fields.is_empty() {
            return (scalar(&self.name), scalar(&self.url));
        }
        let field = |(key, value): (&str, Value<'_>)| {
            let value = match value {
                Value::Flag(flag) => Yaml::Value(Scalar::Boolean(flag)),
                Value::Mapping(pairs) => Yaml::Mapping(
                    pairs.into_iter().map(|(key, value)| (scalar(key), scalar(value))).collect(),
                ),
                Value::List(texts) => Yaml::Sequence(texts.into_iter().map(scalar).collect()),
            };
            (scalar(key), value)
        };
        let pairs = std::iter::once((scalar("url"), scalar(&self.url))).chain(fields.into_iter().map(field));
        (scalar(&self.name), Yaml::Mapping(pairs.collect()))
    }
}

/// A text as a parser gives it.
pub(super) fn scalar(text: &str) -> Yaml<'static> {
    Yaml::Value(Scalar::String(text.to_owned().into()))
}

fn usable(value: &str) -> bool {
    !value.is_empty() && !value.chars().any(char::is_control)
}
