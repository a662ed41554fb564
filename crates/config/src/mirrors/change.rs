//! [`MirrorChange`]: what is to be different about a mirror, and how it is written with the entry kept in the form that it has
//! where that can say it.

use saphyr::{Scalar, Yaml};

use super::Mirror;
use super::new_mirror::{self, check_pair, check_text};
use crate::edit::{Content, Edit, Place, Step};
use crate::{AccessPair, ConfigError, Direction, IdSource, PlainText};

/// What is to be different; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorChange {
    /// Change the URL and the access pair of this direction alone; the flags are of the mirror as a whole.
    pub direction: Option<Direction>,
    /// The URL.
    pub url: Option<String>,
    /// Who to be.
    pub access: AccessChange,
    /// Whether it holds binary packages.
    pub binary: Option<bool>,
    /// Whether it holds source archives.
    pub source: Option<bool>,
    /// Whether packages from it must be signed.
    pub signed: Option<bool>,
    /// Whether Spack pushes to it after each install.
    pub autopush: Option<bool>,
}

/// Parts of an access pair; what is not said is taken from the pair that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessChange {
    /// The user.
    pub id: Option<IdSource>,
    /// The environment variable that holds the password or token.
    pub secret_variable: Option<String>,
    /// The password itself, which takes the place of the variable.
    pub secret: Option<PlainText>,
}

impl MirrorChange {
    /// Refuses what cannot stand on one line of a file.
    pub(super) fn check(&self, mirror: &str) -> Result<(), ConfigError> {
        if let Some(url) = &self.url {
            check_text("URL", url)?;
        }
        match &self.access.secret {
            Some(secret) => {
                let id = String::from("-");
                check_pair(mirror, &AccessPair::PlainText { id, secret: secret.clone() })
            }
            None => Ok(()),
        }
    }

    /// The access pair that `mirror` is to have; none if it is to stay.
    pub(super) fn access_pair(&self, mirror: &Mirror) -> Result<Option<AccessPair>, ConfigError> {
        let AccessChange { id, secret_variable, secret } = &self.access;
        if id.is_none() && secret_variable.is_none() && secret.is_none() {
            return Ok(None);
        }
        let known = mirror.access_pair(self.direction.unwrap_or(Direction::Fetch));
        let known_id = known.map(|pair| match pair {
            AccessPair::PlainText { id, .. } => IdSource::Text(id.clone()),
            AccessPair::Variables { id, .. } => id.clone(),
        });
        let known_variable = known.and_then(|pair| match pair {
            AccessPair::Variables { secret_variable, .. } => Some(secret_variable.clone()),
            AccessPair::PlainText { .. } => None,
        });
        let id = id.clone().or(known_id);
        let half = || ConfigError::HalfAccessPair { mirror: mirror.name.clone() };
        let pair = match (id, secret, secret_variable.clone().or(known_variable)) {
            (Some(IdSource::Text(id)), Some(secret), _) => {
                AccessPair::PlainText { id, secret: secret.clone() }
            }
            (Some(id), None, Some(secret_variable)) => AccessPair::Variables { id, secret_variable },
            _ => return Err(half()),
        };
        check_pair(&mirror.name, &pair)?;
        Ok(Some(pair))
    }

    /// Keys and values, in the order in which Spack writes them.
    fn fields(&self, pair: Option<&AccessPair>) -> Vec<(String, Content)> {
        let flag = |flag: Option<bool>| flag.filter(|_| self.direction.is_none()).map(Content::Flag);
        [
            ("url", self.url.as_ref().map(Content::text)),
            ("access_pair", pair.map(new_mirror::pair)),
            ("binary", flag(self.binary)),
            ("source", flag(self.source)),
            ("signed", flag(self.signed)),
            ("autopush", flag(self.autopush)),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
    }
}

/// Writes a change of the entry at `at`.
pub(super) fn write(
    edit: &mut Edit<'_>,
    at: &[Step<'_>],
    change: &MirrorChange,
    pair: Option<&AccessPair>,
) -> Result<(), ConfigError> {
    let fields = change.fields(pair);
    if fields.is_empty() {
        return Ok(());
    }
    let Some(direction) = change.direction else { return update(edit, at, fields) };
    let key = match direction {
        Direction::Fetch => "fetch",
        Direction::Push => "push",
    };
    let below = [at, &[Step::Key(key)]].concat();
    if edit.get(&below).is_some() {
        return update(edit, &below, fields);
    }
    let own = match &fields[..] {
        [(name, url)] if name == "url" => url.clone(),
        _ => Content::Mapping(fields),
    };
    match edit.get(at) {
        Some(Yaml::Value(url)) => {
            let both = vec![("url".to_owned(), again(edit, at, url)), (key.to_owned(), own)];
            edit.replace(at, &Content::Mapping(both))
        }
        _ => edit.insert(at, Place::Last, key, &own),
    }
}

/// Writes fields into what is a URL or a mapping.
fn update(edit: &mut Edit<'_>, at: &[Step<'_>], fields: Vec<(String, Content)>) -> Result<(), ConfigError> {
    match edit.get(at) {
        Some(Yaml::Value(url @ Scalar::String(_))) => {
            if let [(name, new)] = &fields[..]
                && name == "url"
            {
                let is_same = new.meaning() == Yaml::Value(url);
                return if is_same { Ok(()) } else { edit.replace(at, new) };
            }
            let mut all = fields;
            if all[0].0 != "url" {
                all.insert(0, ("url".to_owned(), again(edit, at, url)));
            }
            edit.replace(at, &Content::Mapping(all))
        }
        _ => fields.into_iter().try_for_each(|(key, value)| put(edit, at, &key, &value)),
    }
}

/// Writes one field of a mapping; a mapping in it field by field.
fn put(edit: &mut Edit<'_>, at: &[Step<'_>], key: &str, value: &Content) -> Result<(), ConfigError> {
    let below = [at, &[Step::Key(key)]].concat();
    match (edit.get(&below), value) {
        (None, _) => edit.insert(at, Place::Last, key, value),
        (Some(known), _) if known == value.meaning() => Ok(()),
        (Some(Yaml::Mapping(known)), Content::Mapping(fields)) => {
            let has = |name: &str| {
                known.keys().any(|key| matches!(key, Yaml::Value(Scalar::String(it)) if it == name))
            };
            // The user's name takes the place of the variable that held it, and the other way round.
            for (old, new) in [("id", "id_variable"), ("id_variable", "id")] {
                if has(old) && !has(new) && fields.iter().any(|(name, _)| name == new) {
                    edit.rename(&[&below[..], &[Step::Key(old)]].concat(), new)?;
                }
            }
            for (name, field) in fields {
                put(edit, &below, name, field)?;
            }
            for (name, _) in &known {
                if let Yaml::Value(Scalar::String(name)) = name
                    && !fields.iter().any(|(kept, _)| *kept == **name)
                    && edit.get(&[&below[..], &[Step::Key(name)]].concat()).is_some()
                {
                    edit.remove(&[&below[..], &[Step::Key(name)]].concat())?;
                }
            }
            Ok(())
        }
        _ => edit.replace(&below, value),
    }
}

/// The scalar at `at`, to be written elsewhere as it is: with its quotes and its anchor, or as an alias.
fn again(edit: &Edit<'_>, at: &[Step<'_>], value: Scalar<'static>) -> Content {
    match (edit.written(at), value) {
        (Some(written), value) => Content::Verbatim { written, meaning: Yaml::Value(value) },
        (None, Scalar::String(text)) => Content::text(text.into_owned()),
        (None, other) => Content::Verbatim { written: "null".to_owned(), meaning: Yaml::Value(other) },
    }
}
