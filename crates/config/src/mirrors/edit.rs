//! Adding and removing an entry, with everything else left as the user wrote it.
//!
//! The text is edited by yaml-edit and then read by another parser: only if the result means what the old
//! text meant but for the one entry is it written.

use std::path::Path;
use std::str::FromStr;

use saphyr::{LoadableYamlNode, Yaml};
use yaml_edit::{Mapping, YamlFile};

use super::new_mirror::scalar;
use super::{Mirrors, NewMirror};
use crate::ConfigError;
use crate::document::{self, Node};

/// The text of the file `path` with `new` as the first mirror; `text` is what it was.
pub(crate) fn add(path: &Path, text: &str, new: &NewMirror) -> Result<String, ConfigError> {
    new.check()?;
    let mirrors = Mirrors::parse(path, text)?;
    if mirrors.get(&new.name).is_some() {
        return Err(ConfigError::MirrorExists { name: new.name.clone(), path: path.to_owned() });
    }
    let edited = match above_first(path, text)? {
        Some((position, column)) => {
            let section = Mapping::new();
            new.put_first(&section);
            insert_lines(text, position, column, &section.to_string())
        }
        None => edit(path, text, |section| new.put_first(section))?,
    };
    let edited = checked(path, text, edited, |section| {
        *section = std::iter::once(new.meaning()).chain(std::mem::take(section)).collect();
    })?;
    leaves(path, &mirrors, &new.name, edited, 1)
}

/// The text of the file `path` without the mirror `name`; `text` is what it was.
pub(crate) fn remove(path: &Path, text: &str, name: &str) -> Result<String, ConfigError> {
    let mirrors = Mirrors::parse(path, text)?;
    mirrors.require(name)?;
    let edited = edit(path, text, |section| {
        section.remove(name);
    })?;
    let edited = checked(path, text, edited, |section| {
        section.remove(&scalar(name));
    })?;
    leaves(path, &mirrors, name, edited, 0)
}

/// The edited text, if apart from the mirror `name`, of which there are now `count`, it has the mirrors of
/// `before`.
///
/// With merge keys (`<<`), which the other check does not follow, an entry may come from elsewhere.
fn leaves(
    path: &Path,
    before: &Mirrors,
    name: &str,
    edited: String,
    count: usize,
) -> Result<String, ConfigError> {
    let after = Mirrors::parse(path, &edited)?;
    let others =
        |mirrors: &Mirrors| mirrors.iter().filter(|mirror| mirror.name != name).cloned().collect::<Vec<_>>();
    let found = after.len() - others(&after).len();
    if found == count && others(&after) == others(before) {
        Ok(edited)
    } else {
        Err(ConfigError::CannotEdit { path: path.to_owned() })
    }
}

/// Where in `text` lines go that are to come before the first mirror and the comment directly above it, and
/// the column of mirrors' names. None if the first has no line of its own.
///
/// yaml-edit would put a new entry between the comment and the entry that it is about.
fn above_first(path: &Path, text: &str) -> Result<Option<(usize, usize)>, ConfigError> {
    let Some(document) = document::parse(path, text)? else { return Ok(None) };
    let Some((_, section)) = super::section(Node::new(path, &document))? else { return Ok(None) };
    let Some((line, column)) = section.first_key() else { return Ok(None) };
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.match_indices('\n').map(|(end, _)| end + 1));
    let line_at =
        |line: usize| starts.get(line).map(|start| text[*start..].lines().next().unwrap_or_default());
    let mut first = line - 1;
    let indent = line_at(first).map(|line| line.len() - line.trim_start_matches(' ').len());
    if column == 0
        || indent != Some(column)
        || line_at(first).is_some_and(|line| line[column..].starts_with('?'))
    {
        return Ok(None);
    }
    while first > 0 && line_at(first - 1).is_some_and(|line| line.trim_start().starts_with('#')) {
        first -= 1;
    }
    Ok(starts.get(first).map(|position| (*position, column)))
}

fn insert_lines(text: &str, position: usize, column: usize, lines: &str) -> String {
    let (before, after) = text.split_at(position);
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut edited = before.to_owned();
    for line in lines.lines() {
        edited.extend(std::iter::repeat_n(' ', column));
        edited.push_str(line);
        edited.push_str(line_end);
    }
    edited + after
}

/// Applies `change` to the section of the document in `text`, which is valid.
fn edit(path: &Path, text: &str, change: impl FnOnce(&Mapping)) -> Result<String, ConfigError> {
    let cannot = || ConfigError::CannotEdit { path: path.to_owned() };
    let file = YamlFile::from_str(text).map_err(|_| cannot())?;
    let Some(root) = file.document().and_then(|document| document.as_mapping()) else {
        // Nothing but comments, if anything.
        let section = Mapping::new();
        change(&section);
        let new = Mapping::new();
        new.set("mirrors", section);
        let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{text}{line_end}{}\n", new.to_string().trim_end()));
    };
    let key = if root.contains_key("mirrors:") { "mirrors:" } else { "mirrors" };
    if root.get_mapping(key).is_none() {
        // An empty section, or none.
        root.set(key, Mapping::new());
    }
    change(&root.get_mapping(key).ok_or_else(cannot)?);
    Ok(file.to_string())
}

/// The edited text, if it means what `text` means after `change`.
fn checked(
    path: &Path,
    text: &str,
    edited: String,
    change: impl FnOnce(&mut saphyr::Mapping<'_>),
) -> Result<String, ConfigError> {
    let cannot = || ConfigError::CannotEdit { path: path.to_owned() };
    let mut expected = Yaml::load_from_str(text).map_err(|_| cannot())?.pop();
    let found = Yaml::load_from_str(&edited).map_err(|_| cannot())?;
    let root = match &mut expected {
        Some(Yaml::Mapping(root)) => root,
        other => match other.insert(Yaml::Mapping(saphyr::Mapping::default())) {
            Yaml::Mapping(root) => root,
            _ => return Err(cannot()),
        },
    };
    let key = Some(scalar("mirrors:")).filter(|key| root.contains_key(key)).unwrap_or(scalar("mirrors"));
    let section = root.entry(key).or_insert_with(|| Yaml::Mapping(saphyr::Mapping::default()));
    if !section.is_mapping() {
        *section = Yaml::Mapping(saphyr::Mapping::default());
    }
    let Yaml::Mapping(section) = section else { return Err(cannot()) };
    change(section);
    if found.len() == 1 && found.first() == expected.as_ref() { Ok(edited) } else { Err(cannot()) }
}
