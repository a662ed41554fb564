//! [`AccessPair`]: who to be for a mirror, as `mirrors.yaml` says it: `access_pair` of an entry or of one of its
//! directions.
//!
//! Spack has two forms, a mapping of `id` or `id_variable` and `secret_variable`, and until its version 1.0 a list of
//! an id and a secret in plain text. Nothing is looked up in the environment here: the caller gives the variables.

use crate::ConfigError;
use crate::value::{Origin, Value};
use std::fmt;

/// A user and a password, or where they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessPair {
    /// `[id, secret]`: both in the file itself, which Spack 1.1 and later do not read any more.
    PlainText {
        /// The user.
        id: String,
        /// The password or token.
        secret: PlainText,
    },
    /// `{id or id_variable, secret_variable}`.
    Variables {
        /// The user.
        id: IdSource,
        /// The environment variable that holds the password or token.
        secret_variable: String,
    },
}

/// Where a user's name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdSource {
    /// Here.
    Text(String),
    /// In the environment variable of this name.
    Variable(String),
}

/// A secret as it stands in a file. It cannot be printed by accident: it has no `Display`, and its `Debug` form says
/// nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainText(String);

impl PlainText {
    /// Takes a text to keep to itself.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whom it is meant.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainText(…)")
    }
}

impl AccessPair {
    /// The pair of the mirror `mirror`, which is written at `origin`: user and secret, with `variable` giving the value of an
    /// environment variable.
    ///
    /// # Errors
    /// [`ConfigError::VariableNotSet`].
    pub fn resolve(
        &self,
        mirror: &str,
        origin: &Origin,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(String, PlainText), ConfigError> {
        let value = |name: &str, what| {
            variable(name).filter(|value| !value.is_empty()).ok_or_else(|| ConfigError::VariableNotSet {
                mirror: mirror.to_owned(),
                place: origin.to_string(),
                what,
                variable: name.to_owned(),
            })
        };
        match self {
            Self::PlainText { id, secret } => Ok((id.clone(), secret.clone())),
            Self::Variables { id, secret_variable } => {
                let id = match id {
                    IdSource::Text(id) => id.clone(),
                    IdSource::Variable(name) => value(name, "user")?,
                };
                Ok((id, PlainText(value(secret_variable, "password")?)))
            }
        }
    }

    /// Reads the `access_pair` of the mirror `mirror`. None if it is empty: a list with nothing in it was how Spack
    /// wrote that there is none.
    pub(crate) fn read(mirror: &str, value: &Value) -> Result<Option<Self>, ConfigError> {
        let shape = || {
            let forms = "a mapping with id or id_variable, and secret_variable";
            value.invalid(format!("`access_pair` of the mirror {mirror} must be {forms}"))
        };
        if value.is_null() {
            return Ok(None);
        }
        match value.items() {
            Some(items) => Self::from_list(mirror, items, &shape),
            None if value.mapping().is_some() => Self::from_mapping(mirror, value, &shape).map(Some),
            None => Err(shape()),
        }
    }

    fn from_list(
        mirror: &str,
        items: &[Value],
        shape: &dyn Fn() -> ConfigError,
    ) -> Result<Option<Self>, ConfigError> {
        let [id, secret] = items else { return Err(shape()) };
        let part = |value: &Value| match value.text() {
            Some(text) => Ok(text.to_owned()),
            None if value.is_null() => Ok(String::new()),
            None => Err(not_text(mirror, "the parts of the access pair", value)),
        };
        let (id, secret) = (part(id)?, part(secret)?);
        let empty = id.is_empty() || secret.is_empty();
        Ok((!empty).then_some(Self::PlainText { id, secret: PlainText(secret) }))
    }

    fn from_mapping(
        mirror: &str,
        value: &Value,
        shape: &dyn Fn() -> ConfigError,
    ) -> Result<Self, ConfigError> {
        let text = |key: &str| match value.get(key) {
            None => Ok(None),
            Some(found) => match found.text() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(not_text(mirror, &format!("`{key}` in the access pair"), found)),
            },
        };
        let id = match (text("id")?, text("id_variable")?) {
            (Some(id), None) => IdSource::Text(id),
            (None, Some(variable)) => IdSource::Variable(variable),
            (Some(_), Some(_)) => {
                let message = format!("the access pair of the mirror {mirror} has both id and id_variable");
                return Err(value.invalid(message));
            }
            (None, None) => return Err(shape()),
        };
        Ok(Self::Variables { id, secret_variable: text("secret_variable")?.ok_or_else(shape)? })
    }
}

/// What is not text may still be a secret: it is not quoted.
fn not_text(mirror: &str, what: &str, value: &Value) -> ConfigError {
    value.invalid(format!("{what} of the mirror {mirror} must be text: put it in quotes"))
}
