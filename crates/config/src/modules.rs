//! `modules.yaml`, as far as it says what is found in prefixes: `modules:prefix_inspections`.
//!
//! A scope's mapping comes before that of the scopes below, and so do the variables of one directory; a key with `::`
//! replaces what the scopes below say of it. Directories are compared as they are written: `bin` and `./bin` are two.

use std::path::Path;

use crate::document::{self, Node};
use crate::{ConfigError, Configuration, Value, save};

const SECTION: &str = "modules";
const INSPECTIONS: &str = "prefix_inspections";

/// Spack's own.
const DEFAULTS: &[(&str, &str)] = &[
    ("./bin", "PATH"),
    ("./man", "MANPATH"),
    ("./share/man", "MANPATH"),
    ("./share/aclocal", "ACLOCAL_PATH"),
    ("./lib/pkgconfig", "PKG_CONFIG_PATH"),
    ("./lib64/pkgconfig", "PKG_CONFIG_PATH"),
    ("./share/pkgconfig", "PKG_CONFIG_PATH"),
    ("./", "CMAKE_PREFIX_PATH"),
];

/// Which directories of a prefix are prepended to which variables, in order. The default is Spack's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrefixInspections(Vec<(String, Vec<String>)>);

impl Default for PrefixInspections {
    fn default() -> Self {
        Self(DEFAULTS.iter().map(|(path, name)| ((*path).to_owned(), vec![(*name).to_owned()])).collect())
    }
}

impl PrefixInspections {
    /// Directories as they are written, relative to a prefix, and the variables of each.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(path, names)| (path.as_str(), names.as_slice()))
    }

    /// Those that the scopes say together, or Spack's own where they say nothing.
    ///
    /// # Errors
    /// If the scopes cannot be read or say something that means nothing, with the file, line and column.
    pub fn of(configuration: &Configuration) -> Result<Self, ConfigError> {
        let Some(section) = configuration.section(SECTION)? else { return Ok(Self::default()) };
        let Some(inspections) = section.get(INSPECTIONS).and_then(Value::mapping) else {
            return Ok(Self::default());
        };
        let mut found = Vec::new();
        for (directory, list) in inspections.iter() {
            let mut names = Vec::new();
            for name in list.items().unwrap_or_default() {
                match name.text() {
                    Some(text) if is_name(text) => names.push(text.to_owned()),
                    Some(text) => {
                        return Err(name.invalid(format!("{text:?} cannot be the name of a variable")));
                    }
                    None => return Err(name.invalid("the name of a variable must be text: put it in quotes")),
                }
            }
            found.push((directory.name.clone(), names));
        }
        Ok(Self(found))
    }

    /// Those of a scope whose `modules.yaml` is `path`, which need not exist, and of the scopes below, which are `self`.
    ///
    /// # Errors
    /// [`ConfigError::Read`], [`ConfigError::Syntax`] or [`ConfigError::Invalid`], with the file, line and column.
    pub fn with_file(self, path: &Path) -> Result<Self, ConfigError> {
        self.with_text(path, save::read(path)?.as_deref().unwrap_or_default())
    }

    fn with_text(mut self, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let Some(document) = document::parse(path, text)? else { return Ok(self) };
        let root = Node::new(path, &document);
        let no_section = || root.invalid(format!("this is not a mapping with a section `{SECTION}`"));
        let Some((marks, section)) = entry(&root.pairs().ok_or_else(no_section)?, SECTION)? else {
            return Ok(self);
        };
        if marks.replaces {
            // What is not said anywhere is what Spack does without any configuration.
            self = Self::default();
        }
        if section.is_null() {
            return Ok(self);
        }
        let not_mapping = || section.invalid(format!("the section `{SECTION}` is not a mapping"));
        let Some((own, mapping)) = entry(&section.pairs().ok_or_else(not_mapping)?, INSPECTIONS)? else {
            return Ok(self);
        };
        if own.replaces || marks.replaces {
            self.0.clear();
        }
        self.merge(mapping)?;
        Ok(self)
    }

    /// Puts what a scope says before what is there.
    fn merge(&mut self, mapping: Node<'_>) -> Result<(), ConfigError> {
        let not_mapping =
            || mapping.invalid(format!("`{INSPECTIONS}` is not a mapping of directories to variables"));
        let mut merged: Vec<(String, Vec<String>)> = Vec::new();
        for (key, value) in mapping.pairs().ok_or_else(not_mapping)? {
            let quote = "a directory's name must be text: put it in quotes";
            let marks = Marks::of(key.text().ok_or_else(|| key.invalid(quote))?);
            if merged.iter().any(|(known, _)| known == marks.key) {
                return Err(key.invalid(format!("the directory `{}` is listed twice", marks.key)));
            }
            let names = variables(marks.key, value)?;
            let below = self.0.iter().position(|(known, _)| known == marks.key);
            let mut below = below.map(|at| self.0.remove(at).1).unwrap_or_default();
            below.retain(|name| !names.contains(name));
            let names = if marks.replaces { names } else { [names, below].concat() };
            merged.push((marks.key.to_owned(), names));
        }
        merged.append(&mut self.0);
        self.0 = merged;
        Ok(())
    }
}

/// The names of variables in a list.
fn variables(directory: &str, list: Node<'_>) -> Result<Vec<String>, ConfigError> {
    let not_list = || list.invalid(format!("the directory `{directory}` needs a list of variables"));
    let names = list.items().ok_or_else(not_list)?.into_iter().map(|name| match name.text() {
        Some(text) if is_name(text) => Ok(text.to_owned()),
        Some(text) => Err(name.invalid(format!("{text:?} cannot be the name of a variable"))),
        None => Err(name.invalid("the name of a variable must be text: put it in quotes")),
    });
    names.collect()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == '=' || c.is_control())
}

/// A key as Spack reads it: it may end with a colon of its own, written `KEY::`.
struct Marks<'t> {
    key: &'t str,
    replaces: bool,
}

impl<'t> Marks<'t> {
    fn of(text: &'t str) -> Self {
        // A colon after an `@` belongs to a spec, as Spack has it.
        let plain = text.strip_suffix(':').filter(|_| !text.contains('@'));
        Self { key: plain.unwrap_or(text), replaces: plain.is_some() }
    }
}

/// The one pair of that name.
fn entry<'a>(
    pairs: &[(Node<'a>, Node<'a>)],
    name: &str,
) -> Result<Option<(Marks<'a>, Node<'a>)>, ConfigError> {
    let mut found = None;
    for (key, value) in pairs {
        let Some(marks) = key.text().map(Marks::of).filter(|marks| marks.key == name) else { continue };
        if found.is_some() {
            return Err(key.invalid(format!("there is more than one `{name}`")));
        }
        found = Some((marks, *value));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
