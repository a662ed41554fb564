//! One YAML document of one file, with positions for messages.

use std::path::Path;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, ScanError, YamlData};

use crate::ConfigError;

/// A value in a YAML file.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    path: &'a Path,
    value: &'a MarkedYaml<'a>,
}

/// Parses `text`, the content of the file `path`; none if it has no document or an empty one.
pub(crate) fn parse<'a>(path: &Path, text: &'a str) -> Result<Option<MarkedYaml<'a>>, ConfigError> {
    let mut documents = MarkedYaml::load_from_str(text).map_err(|error| syntax(path, &error))?;
    if documents.len() > 1 {
        let message = "there is more than one YAML document".to_owned();
        let (line, column) = position(&documents[1]);
        return Err(ConfigError::Invalid { path: path.to_owned(), line, column, message });
    }
    Ok(documents.pop().filter(|value| !matches!(value.data, YamlData::Value(Scalar::Null))))
}

fn syntax(path: &Path, error: &ScanError) -> ConfigError {
    let marker = error.marker();
    let (line, column) = (marker.line(), marker.col() + 1);
    ConfigError::Syntax { path: path.to_owned(), line, column, message: error.info().to_owned() }
}

fn position(value: &MarkedYaml<'_>) -> (usize, usize) {
    (value.span.start.line(), value.span.start.col() + 1)
}

impl<'a> Node<'a> {
    pub(crate) fn new(path: &'a Path, value: &'a MarkedYaml<'a>) -> Self {
        Node { path, value }
    }

    fn with(&self, value: &'a MarkedYaml<'a>) -> Self {
        Node { value, ..*self }
    }

    /// An error at this value.
    pub(crate) fn invalid(&self, message: impl Into<String>) -> ConfigError {
        let (line, column) = position(self.value);
        ConfigError::Invalid { path: self.path.to_owned(), line, column, message: message.into() }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value.data, YamlData::Value(Scalar::Null))
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        match &self.value.data {
            YamlData::Value(Scalar::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; none if this is not one.
    pub(crate) fn items(&self) -> Option<Vec<Node<'a>>> {
        let YamlData::Sequence(items) = &self.value.data else { return None };
        Some(items.iter().map(|item| self.with(item)).collect())
    }

    /// The pairs of a mapping; none if this is not one. Merge keys (`<<`) are followed, as Spack's YAML does:
    /// what they bring comes last and does not replace what is there.
    pub(crate) fn pairs(&self) -> Option<Vec<(Node<'a>, Node<'a>)>> {
        let YamlData::Mapping(mapping) = &self.value.data else { return None };
        let mut pairs: Vec<(Node<'a>, Node<'a>)> = Vec::new();
        let mut merged = Vec::new();
        for (key, value) in mapping {
            match &value.data {
                _ if self.with(key).text() != Some("<<") => pairs.push((self.with(key), self.with(value))),
                YamlData::Sequence(sources) => merged.extend(sources.iter().map(|source| self.with(source))),
                _ => merged.push(self.with(value)),
            }
        }
        for (key, value) in merged.iter().filter_map(Node::pairs).flatten() {
            if !pairs.iter().any(|(known, _)| known.value == key.value) {
                pairs.push((key, value));
            }
        }
        Some(pairs)
    }

    /// The value of `name` in a mapping.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        let pairs = self.pairs()?;
        pairs.into_iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }
}
