//! [`Value`]: what configuration says, and where it says so.
//!
//! The data model of YAML's core schema with Spack's marks on keys: a key that ends in `:` (written `key::`) replaces what
//! lower scopes say instead of adding to it. Spack has two more, `+` and `-`, for values that it makes itself: neither its files
//! nor its command line have them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value or a key is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The scope, by its name: `user`, `site`, `env:NAME`, `command_line`, ….
    pub scope: Arc<str>,
    /// The file; none for what is built in or was said on the command line.
    pub file: Option<Arc<Path>>,
    /// Line from 1; 0 without a file.
    pub line: usize,
    /// Column from 1, in characters; 0 without a file.
    pub column: usize,
}

impl Origin {
    /// Of something that no file says.
    pub fn internal(scope: &str) -> Self {
        Self { scope: scope.into(), file: None, line: 0, column: 0 }
    }

    /// An error at this place.
    pub fn invalid(&self, message: impl Into<String>) -> crate::ConfigError {
        let path = self.file.as_deref().map_or_else(|| PathBuf::from(&*self.scope), Path::to_owned);
        crate::ConfigError::Invalid { path, line: self.line, column: self.column, message: message.into() }
    }

    /// The directory of the file: relative paths start there.
    pub fn directory(&self) -> Option<&Path> {
        self.file.as_deref().and_then(Path::parent)
    }
}

/// `FILE:LINE`, or the name of the scope.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}:{}", file.display(), self.line),
            None => f.write_str(&self.scope),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug)]
pub struct Value {
    /// What it is.
    pub data: Data,
    /// Where it is written.
    pub origin: Origin,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Data {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping, in order.
    Mapping(Mapping),
}

/// How a key relates to what lower scopes say under the same name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Mappings are merged, lists are put before, scalars replace.
    #[default]
    Merge,
    /// `key::`
    Replace,
    /// `key+:`
    Prepend,
    /// `key-:`
    Append,
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name, without marks.
    pub name: String,
    /// Its mark.
    pub mark: Mark,
    /// Where it is written.
    pub origin: Origin,
}

/// A mapping, in order. Names are unique.
#[derive(Clone, Debug, Default)]
pub struct Mapping(Vec<(Key, Value)>);

impl Mapping {
    /// Of these entries.
    pub fn new(entries: Vec<(Key, Value)>) -> Self {
        Self(entries)
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The value of that name, to be changed.
    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0.iter_mut().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    /// All entries, in order, with values to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&Key, &mut Value)> {
        self.0.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the entry of that name out.
    pub fn remove(&mut self, name: &str) -> Option<(Key, Value)> {
        let at = self.0.iter().position(|(key, _)| key.name == name)?;
        Some(self.0.remove(at))
    }

    /// Puts an entry at the end.
    pub fn push(&mut self, key: Key, value: Value) {
        self.0.push((key, value));
    }

    /// The entries.
    pub fn into_entries(self) -> Vec<(Key, Value)> {
        self.0
    }
}

/// The YAML file `path` as a value whose origins name `scope`; none if it is not there, or has nothing in it. It is not
/// validated.
///
/// # Errors
/// If it cannot be read, or is no YAML that could be configuration.
pub fn read(path: &Path, scope: &str) -> Result<Option<Value>, crate::ConfigError> {
    match crate::save::read(path)? {
        Some(text) => crate::reader::file(path, scope, &text),
        None => Ok(None),
    }
}

impl Value {
    /// The text, if it is text.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The flag, if it is one.
    pub fn flag(&self) -> Option<bool> {
        match self.data {
            Data::Boolean(flag) => Some(flag),
            _ => None,
        }
    }

    /// The number, if it is a whole one.
    pub fn integer(&self) -> Option<i64> {
        match self.data {
            Data::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub fn items(&self) -> Option<&[Value]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping, if it is one.
    pub fn mapping(&self) -> Option<&Mapping> {
        match &self.data {
            Data::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    /// The value of `name`, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.mapping()?.get(name)
    }

    /// An error at this value.
    pub fn invalid(&self, message: impl Into<String>) -> crate::ConfigError {
        self.origin.invalid(message)
    }
}
