//! Settings of the command line, `-c section:key:value`: a path of keys, and a value in YAML, merged one after the other.
//!
//! A key may be followed by two colons, and be quoted: `mirrors:'a:b':"oci://host/name"`.

use crate::schema::{self, Shape};
use crate::value::{Data, Key, Mapping, Mark, Origin, Value};
use crate::{ConfigError, merge, reader};

const SCOPE: &str = "command_line";

/// What the settings say, as a mapping of sections.
pub(crate) fn sections(settings: &[String]) -> Result<Value, ConfigError> {
    let mut all = mapping(Vec::new());
    for setting in settings {
        let one =
            read(setting).map_err(|message| ConfigError::Setting { setting: setting.clone(), message })?;
        all = added(all, one);
    }
    Ok(all)
}

/// `over` on top of `below`: as between scopes, but what is new comes last.
fn added(below: Value, over: Value) -> Value {
    let (Data::Mapping(_), Data::Mapping(_)) = (&below.data, &over.data) else {
        return merge::merge(below, over);
    };
    let (Data::Mapping(below), Data::Mapping(over)) = (below.data, over.data) else {
        return mapping(Vec::new());
    };
    let mut entries = below.into_entries();
    for (key, value) in over.into_entries() {
        let known = entries.iter().position(|(known, _)| known.name == key.name);
        match known {
            Some(at) if key.mark == Mark::Merge => {
                let (_, lower) = std::mem::replace(&mut entries[at], (key, mapping(Vec::new())));
                entries[at].1 = added(lower, value);
            }
            known => {
                known.map(|at| entries.remove(at));
                entries.push((key, value));
            }
        }
    }
    mapping(entries)
}

fn mapping(entries: Vec<(Key, Value)>) -> Value {
    Value { data: Data::Mapping(Mapping::new(entries)), origin: Origin::internal(SCOPE) }
}

/// One setting, as nested mappings.
fn read(setting: &str) -> Result<Value, String> {
    let (keys, value) = parts(setting)?;
    let mut value = match value {
        Last::Text(text) => Value { data: Data::Text(text), origin: Origin::internal(SCOPE) },
        Last::Yaml(text) => reader::inline(SCOPE, &text)?,
    };
    let section = keys.first().map(|key| key.name.as_str()).unwrap_or_default();
    if !schema::SECTIONS.contains(&section) {
        return Err(format!("there is no section `{section}`; there are: {}", schema::SECTIONS.join(", ")));
    }
    let names = keys.iter().map(|key| key.name.as_str());
    // One value for a list is a list of one.
    if matches!(schema::below(names), Some(Shape::List(_)))
        && !matches!(value.data, Data::List(_) | Data::Null)
    {
        let origin = value.origin.clone();
        value = Value { data: Data::List(vec![value]), origin };
    }
    let is_half_a_url = value.text().is_some_and(|text| text.starts_with("//"));
    for key in keys.iter().rev() {
        value = mapping(vec![(key.clone(), value)]);
    }
    let section_value = value.get(section).cloned().unwrap_or_else(|| value.clone());
    schema::check(schema::of_section(section), &section_value, section).map_err(|error| match error {
        _ if is_half_a_url => {
            "a value with colons needs quotes of its own: mirrors:NAME:'oci://…'".to_owned()
        }
        ConfigError::Invalid { message, .. } => message,
        other => other.to_string(),
    })?;
    Ok(value)
}

/// The last part of a setting.
enum Last {
    /// It was in quotes.
    Text(String),
    /// It is YAML.
    Yaml(String),
}

/// The keys and the value.
fn parts(setting: &str) -> Result<(Vec<Key>, Last), String> {
    let mut keys = Vec::new();
    let mut rest = setting;
    loop {
        let Some((name, is_quoted, after)) = element(rest) else {
            // What cannot be a key is the value.
            return end(keys, Last::Yaml(rest.to_owned()));
        };
        let written = &rest[..rest.len() - after.len()];
        let without_colons = after.trim_start_matches(':');
        if without_colons.is_empty() {
            let last = if is_quoted { Last::Text(name.to_owned()) } else { Last::Yaml(written.to_owned()) };
            return end(keys, last);
        }
        // Spack takes these two off, and does nothing about them.
        let name = if is_quoted { name } else { name.trim_end_matches(['+', '-']) };
        let replaces = after.len() - without_colons.len() > 1;
        let mark = if replaces { Mark::Replace } else { Mark::Merge };
        if mark == Mark::Replace && keys.iter().any(|key: &Key| key.mark == Mark::Replace) {
            return Err("`::` means nothing below another `::`".to_owned());
        }
        keys.push(Key { name: name.to_owned(), mark, origin: Origin::internal(SCOPE) });
        rest = without_colons;
    }
}

fn end(keys: Vec<Key>, last: Last) -> Result<(Vec<Key>, Last), String> {
    if keys.is_empty() { Err("it is not SECTION:KEY:VALUE".to_owned()) } else { Ok((keys, last)) }
}

/// One key at the start of a text, without its quotes, whether it has any, and what follows, which is a colon or nothing.
fn element(text: &str) -> Option<(&str, bool, &str)> {
    let quote = text.chars().next().filter(|c| ['"', '\''].contains(c));
    let (name, after) = match quote {
        Some(quote) => text[1..].split_once(quote)?,
        None => text.split_at(text.find([':', '"', '\'']).unwrap_or(text.len())),
    };
    let follows = after.is_empty() || after.starts_with(':');
    (!name.is_empty() && follows).then_some((name, quote.is_some(), after))
}

#[cfg(test)]
mod tests;
