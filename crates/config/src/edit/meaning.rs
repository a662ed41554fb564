//! What an edit has to change, told to a parser: the old text's meaning, changed, must be that of the new text.

use saphyr::{LoadableYamlNode, Mapping, Scalar, Yaml};

use super::content::text_node;
use super::{Place, Step};

/// One change, at a place that is said beside it.
pub(super) enum Change<'c> {
    /// A new entry of the mapping there.
    Insert { place: Place, key: &'c str, content: Yaml<'static> },
    /// A new last item of the list there.
    Push(Yaml<'static>),
    /// The value there, and its key, go.
    Remove,
    /// Another value.
    Replace(Yaml<'static>),
    /// Another key.
    Rename(&'c str),
}

/// The meaning of a text of one document or none; the outer none if it has no meaning.
#[allow(clippy::option_option, reason = "an empty document is not a broken one")]
pub(super) fn read(text: &str) -> Option<Option<Yaml<'static>>> {
    let mut documents = Yaml::load_from_str(text).ok()?;
    if documents.len() > 1 {
        return None;
    }
    Some(documents.pop().map(own))
}

/// The value at `at`.
pub(super) fn find<'y>(root: &'y Yaml<'static>, at: &[Step<'_>]) -> Option<&'y Yaml<'static>> {
    at.iter().try_fold(root, |value, step| match (value, step) {
        (Yaml::Mapping(mapping), Step::Key(key)) => mapping.get(&text_node(key)),
        (Yaml::Sequence(items), Step::Item(number)) => items.get(*number),
        _ => None,
    })
}

/// Whether `after` means what `before` means but for `change`, which is at `at`. The order of entries counts.
pub(super) fn is_changed(before: &str, after: &str, at: &[Step<'_>], change: Change<'_>) -> bool {
    let (Some(before), Some(Some(after))) = (read(before), read(after)) else { return false };
    let mut expected = before.unwrap_or(Yaml::Value(Scalar::Null));
    changed(&mut expected, at, change).is_some() && expected == after
}

fn changed(root: &mut Yaml<'static>, at: &[Step<'_>], change: Change<'_>) -> Option<()> {
    match change {
        Change::Insert { place, key, content } => {
            let mapping = mapping(make(root, at)?)?;
            if mapping.contains_key(&text_node(key)) {
                return None;
            }
            let new = std::iter::once((text_node(key), content));
            let old = std::mem::take(mapping);
            *mapping = match place {
                Place::First => new.chain(old).collect(),
                Place::Last => old.into_iter().chain(new).collect(),
            };
        }
        Change::Push(content) => match make(root, at)? {
            Yaml::Sequence(items) => items.push(content),
            nothing if is_null(nothing) => *nothing = Yaml::Sequence(vec![content]),
            _ => return None,
        },
        Change::Replace(content) => *at_mut(root, at)? = content,
        Change::Remove => {
            let (last, parents) = at.split_last()?;
            match (at_mut(root, parents)?, last) {
                (Yaml::Mapping(mapping), Step::Key(key)) => drop(mapping.remove(&text_node(key))?),
                (Yaml::Sequence(items), Step::Item(number)) if *number < items.len() => {
                    drop(items.remove(*number));
                }
                _ => return None,
            }
        }
        Change::Rename(to) => {
            let (Step::Key(name), parents) = at.split_last()? else { return None };
            let Yaml::Mapping(mapping) = at_mut(root, parents)? else { return None };
            if mapping.contains_key(&text_node(to)) {
                return None;
            }
            let name = text_node(name);
            let renamed = |(key, value)| if key == name { (text_node(to), value) } else { (key, value) };
            *mapping = std::mem::take(mapping).into_iter().map(renamed).collect();
        }
    }
    Some(())
}

fn at_mut<'y>(root: &'y mut Yaml<'static>, at: &[Step<'_>]) -> Option<&'y mut Yaml<'static>> {
    at.iter().try_fold(root, |value, step| match (value, step) {
        (Yaml::Mapping(mapping), Step::Key(key)) => mapping.get_mut(&text_node(key)),
        (Yaml::Sequence(items), Step::Item(number)) => items.get_mut(*number),
        _ => None,
    })
}

/// The value at `at`, with the mappings on the way made where they are missing.
fn make<'y>(root: &'y mut Yaml<'static>, at: &[Step<'_>]) -> Option<&'y mut Yaml<'static>> {
    at.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => {
            // Not by way of `entry`, which moves what is there to the end.
            let mapping = mapping(value)?;
            if !mapping.contains_key(&text_node(key)) {
                mapping.insert(text_node(key), Yaml::Value(Scalar::Null));
            }
            mapping.get_mut(&text_node(key))
        }
        Step::Item(_) => at_mut(value, &[*step]),
    })
}

/// The mapping, which is made out of nothing.
fn mapping<'y>(value: &'y mut Yaml<'static>) -> Option<&'y mut Mapping<'static>> {
    if is_null(value) {
        *value = Yaml::Mapping(Mapping::default());
    }
    match value {
        Yaml::Mapping(mapping) => Some(mapping),
        _ => None,
    }
}

fn is_null(value: &Yaml<'_>) -> bool {
    matches!(value, Yaml::Value(Scalar::Null))
}

/// The value without what it borrows.
fn own(value: Yaml<'_>) -> Yaml<'static> {
    use std::borrow::Cow;
    match value {
        Yaml::Representation(text, style, tag) => Yaml::Representation(
            Cow::Owned(text.into_owned()),
            style,
            tag.map(|tag| Cow::Owned(tag.into_owned())),
        ),
        Yaml::Value(scalar) => Yaml::Value(match scalar {
            Scalar::Null => Scalar::Null,
            Scalar::Boolean(flag) => Scalar::Boolean(flag),
            Scalar::Integer(number) => Scalar::Integer(number),
            Scalar::FloatingPoint(number) => Scalar::FloatingPoint(number),
            Scalar::String(text) => Scalar::String(Cow::Owned(text.into_owned())),
        }),
        Yaml::Sequence(items) => Yaml::Sequence(items.into_iter().map(own).collect()),
        Yaml::Mapping(mapping) => {
            Yaml::Mapping(mapping.into_iter().map(|(key, value)| (own(key), own(value))).collect())
        }
        Yaml::Tagged(tag, value) => Yaml::Tagged(Cow::Owned(tag.into_owned()), Box::new(own(*value))),
        Yaml::Alias(number) => Yaml::Alias(number),
        Yaml::BadValue => Yaml::BadValue,
    }
}
