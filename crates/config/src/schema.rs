//! What may stand in a section: the shapes of those that strata reads, as Spack has them (`schema/*.py`). What does not fit is an
//! error with its line and column.
//!
//! Sections that only Spack reads are known by their names and hold anything.

mod concretizer;
mod config;
mod include;
mod mirrors;
mod modules;
mod packages;
mod view;

use crate::ConfigError;
use crate::configuration::ScopeKind;
use crate::value::{Data, Value};

/// The sections of Spack's configuration.
pub const SECTIONS: [&str; 17] = [
    "compilers",
    "concretizer",
    "definitions",
    "env_vars",
    "include",
    "view",
    "develop",
    "mirrors",
    "repos",
    "packages",
    "modules",
    "config",
    "upstreams",
    "bootstrap",
    "ci",
    "cdash",
    "toolchains",
];

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// Nothing.
    Null,
    /// Text.
    Text,
    /// One of these texts.
    Word(&'static [&'static str]),
    /// Text that begins like this.
    Start(&'static str),
    /// `true` or `false`.
    Flag,
    /// A whole number, this or more.
    Integer(i64),
    /// Any number.
    Number,
    /// A list of these.
    List(&'static Shape),
    /// A mapping.
    Mapping(&'static Fields),
    /// One of these.
    Either(&'static [Shape]),
}

/// What may stand in a mapping.
#[derive(Debug)]
pub(crate) struct Fields {
    /// The keys that are known, and what they hold.
    pub(crate) known: &'static [(&'static str, &'static Shape)],
    /// What other keys hold; none if there must not be others.
    pub(crate) others: Option<&'static Shape>,
    /// Keys that must be there.
    pub(crate) required: &'static [&'static str],
    /// Keys of which one must be there, unless it is empty.
    pub(crate) one_of: &'static [&'static str],
}

/// Of these keys, and no others.
const fn closed(known: &'static [(&'static str, &'static Shape)]) -> Fields {
    Fields { known, others: None, required: &[], one_of: &[] }
}

/// Of these keys, and of others that hold anything.
const fn open(known: &'static [(&'static str, &'static Shape)]) -> Fields {
    Fields { known, others: Some(&Shape::Any), required: &[], one_of: &[] }
}

/// Of any keys that hold this.
const fn each(shape: &'static Shape) -> Fields {
    Fields { known: &[], others: Some(shape), required: &[], one_of: &[] }
}

const TEXTS: Shape = Shape::List(&Shape::Text);
/// Specs and format strings.
const PROJECTIONS: Shape = Shape::Mapping(&each(&Shape::Text));
const UPSTREAMS: Shape = Shape::Mapping(&each(&Shape::Mapping(&closed(&[
    ("install_tree", &Shape::Text),
    ("modules", &Shape::Mapping(&open(&[("tcl", &Shape::Text), ("lmod", &Shape::Text)]))),
]))));

/// What all files with several sections may hold.
const FILE: Fields = closed(&SECTIONS_AND_SHAPES);
const SECTIONS_AND_SHAPES: [(&str, &Shape); 18] = [
    ("bootstrap", &Shape::Any),
    ("cdash", &Shape::Any),
    ("ci", &Shape::Any),
    ("compilers", &Shape::Any),
    ("concretizer", &concretizer::SHAPE),
    ("config", &config::SHAPE),
    ("container", &Shape::Any),
    ("definitions", &Shape::Any),
    ("develop", &Shape::Any),
    ("env_vars", &Shape::Any),
    ("include", &include::SHAPE),
    ("mirrors", &mirrors::SHAPE),
    ("modules", &modules::SHAPE),
    ("packages", &packages::SHAPE),
    ("repos", &Shape::Any),
    ("toolchains", &Shape::Any),
    ("upstreams", &UPSTREAMS),
    ("view", &view::SHAPE),
];
/// A manifest: what is below `spack`.
const MANIFEST: Fields = closed(&[("spack", &Shape::Mapping(&ENVIRONMENT))]);
const ENVIRONMENT: Fields = Fields {
    known: &[
        ("specs", &Shape::Any),
        ("include_concrete", &TEXTS),
        ("concretizer", &concretizer::SHAPE),
        ("config", &config::SHAPE),
        ("include", &include::SHAPE),
        ("mirrors", &mirrors::SHAPE),
        ("modules", &modules::SHAPE),
        ("packages", &packages::SHAPE),
        ("upstreams", &UPSTREAMS),
        ("view", &view::SHAPE),
        ("bootstrap", &Shape::Any),
        ("cdash", &Shape::Any),
        ("ci", &Shape::Any),
        ("compilers", &Shape::Any),
        ("container", &Shape::Any),
        ("definitions", &Shape::Any),
        ("develop", &Shape::Any),
        ("env_vars", &Shape::Any),
        ("repos", &Shape::Any),
        ("toolchains", &Shape::Any),
    ],
    others: None,
    required: &[],
    one_of: &[],
};

/// The shape of a whole file.
pub(crate) enum FileShape<'s> {
    /// That of a section's own file.
    Section(&'s str),
    /// One with several sections.
    Fields(&'static Fields),
}

/// What the file of a scope that has `section` may hold.
pub(crate) fn of_file<'s>(section: &'s str, kind: &ScopeKind) -> FileShape<'s> {
    match kind {
        ScopeKind::Directory(_) => FileShape::Section(section),
        ScopeKind::File { is_manifest: true, .. } => FileShape::Fields(&MANIFEST),
        ScopeKind::File { is_manifest: false, .. } | ScopeKind::Internal(_) => FileShape::Fields(&FILE),
    }
}

/// The shape of a section; anything if it is not known.
pub(crate) fn of_section(section: &str) -> &'static Shape {
    field(&FILE, section).unwrap_or(&Shape::Any)
}

/// The shape of what is below `keys`, if it is known.
pub(crate) fn below<'k>(keys: impl IntoIterator<Item = &'k str>) -> Option<&'static Shape> {
    let mut shape = &Shape::Mapping(&FILE);
    for key in keys {
        let Shape::Mapping(fields) = first(shape) else { return None };
        shape = field(fields, key)?;
    }
    Some(first(shape))
}

/// Of several shapes the one that Spack takes where nothing says which.
fn first(shape: &'static Shape) -> &'static Shape {
    match shape {
        Shape::Either([shape, ..]) => first(shape),
        shape => shape,
    }
}

fn field(fields: &Fields, name: &str) -> Option<&'static Shape> {
    fields.known.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape).or(fields.others)
}

impl FileShape<'_> {
    /// An error at what does not fit.
    pub(crate) fn check(&self, value: &Value) -> Result<(), ConfigError> {
        let fields = match self {
            Self::Fields(fields) => return check(&Shape::Mapping(fields), value, "the file"),
            Self::Section(section) => (*section, of_section(section)),
        };
        let (section, shape) = fields;
        let Some(mapping) = value.mapping() else {
            return Err(value.invalid(format!("this is not a mapping with a section `{section}`")));
        };
        for (key, value) in mapping.iter() {
            if key.name != section {
                return Err(at_key(key, format!("there is no section `{}` in this file", key.name)));
            }
            check(shape, value, section)?;
        }
        Ok(())
    }
}

/// An error if `value`, which is called `name`, does not fit.
pub(crate) fn check(shape: &Shape, value: &Value, name: &str) -> Result<(), ConfigError> {
    match (shape, &value.data) {
        (Shape::List(shape), Data::List(items)) => {
            items.iter().try_for_each(|item| check(shape, item, &format!("an item of `{name}`")))
        }
        (Shape::Mapping(fields), Data::Mapping(_)) => check_mapping(fields, value, name),
        (Shape::Either(shapes), _) => {
            let mut errors = Vec::new();
            for shape in *shapes {
                match check(shape, value, name) {
                    Ok(()) => return Ok(()),
                    // The one that is about something inside says more.
                    Err(error) if of_same_kind(shape, value) => errors.push(error),
                    Err(_) => {}
                }
            }
            Err(errors.pop().unwrap_or_else(|| wrong(shape, value, name)))
        }
        _ if fits(shape, &value.data) => Ok(()),
        _ => Err(wrong(shape, value, name)),
    }
}

fn fits(shape: &Shape, data: &Data) -> bool {
    match (shape, data) {
        (Shape::Any, _) | (Shape::Null, Data::Null) | (Shape::Text, Data::Text(_)) => true,
        (Shape::Flag, Data::Boolean(_)) | (Shape::Number, Data::Integer(_) | Data::Float(_)) => true,
        (Shape::Word(words), Data::Text(text)) => words.contains(&text.as_str()),
        (Shape::Start(start), Data::Text(text)) => text.starts_with(start),
        (Shape::Integer(least), Data::Integer(number)) => number >= least,
        (Shape::Integer(least), Data::Float(number)) => number.fract() == 0.0 && *number >= *least as f64,
        _ => false,
    }
}

fn of_same_kind(shape: &Shape, value: &Value) -> bool {
    matches!((shape, &value.data), (Shape::List(_), Data::List(_)) | (Shape::Mapping(_), Data::Mapping(_)))
}

fn wrong(shape: &Shape, value: &Value, name: &str) -> ConfigError {
    let name = if name.contains('`') { name.to_owned() } else { format!("`{name}`") };
    value.invalid(format!("{name} must be {}", described(shape)))
}

fn check_mapping(fields: &Fields, value: &Value, name: &str) -> Result<(), ConfigError> {
    let Some(mapping) = value.mapping() else { return Ok(()) };
    for (key, value) in mapping.iter() {
        match field(fields, &key.name) {
            Some(shape) => check(shape, value, &key.name)?,
            None => {
                let known: Vec<&str> = fields.known.iter().map(|(name, _)| *name).collect();
                let message =
                    format!("`{}` is not known in `{name}`; there are: {}", key.name, known.join(", "));
                return Err(at_key(key, message));
            }
        }
    }
    if let Some(missing) = fields.required.iter().find(|key| mapping.get(key).is_none()) {
        return Err(value.invalid(format!("`{name}` needs `{missing}`")));
    }
    if !fields.one_of.is_empty() && !fields.one_of.iter().any(|key| mapping.get(key).is_some()) {
        return Err(value.invalid(format!("`{name}` needs one of: {}", fields.one_of.join(", "))));
    }
    Ok(())
}

fn at_key(key: &crate::value::Key, message: String) -> ConfigError {
    Value { data: Data::Null, origin: key.origin.clone() }.invalid(message)
}

/// A shape in words.
fn described(shape: &Shape) -> String {
    match shape {
        Shape::Any => "anything".to_owned(),
        Shape::Null => "nothing".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Word(words) => format!("one of: {}", words.join(", ")),
        Shape::Start(start) => format!("text that begins with `{start}`"),
        Shape::Flag => "true or false".to_owned(),
        Shape::Integer(least) => format!("a whole number, {least} or more"),
        Shape::Number => "a number".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::Mapping(_) => "a mapping".to_owned(),
        Shape::Either(shapes) => shapes.iter().map(described).collect::<Vec<_>>().join(", or "),
    }
}

#[cfg(test)]
mod tests;
