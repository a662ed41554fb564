//! Changes to the mirrors of one scope, with everything else left as the user wrote it.

use std::path::{Path, PathBuf};

use saphyr::Yaml;

use super::change::{self, MirrorChange};
use super::new_mirror::check_text;
use super::{Mirrors, NewMirror, SECTION};
use crate::edit::{Edit, Place, Step, create, edit_file};
use crate::{AccessPair, ConfigError, Configuration, Scope, ScopeKind, Value, reader, schema};

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditedScope {
    /// The scope, by its name.
    pub scope: String,
    /// Its file.
    pub file: PathBuf,
    /// Whether the file says something else now.
    pub changed: bool,
}

/// Edits of one scope each: the one of that name, or else the one that [`Configuration::to_change`] gives. Comments, order and
/// quoting of what is not asked for stay; several processes may edit at once and none is lost, as each locks the directory
/// (`flock`). A file that is made for a password in plain text is for its owner alone.
///
/// All of them can end as reading does ([`Mirrors::of_scope`]), and with [`ConfigError::Write`], [`ConfigError::NotWritable`],
/// [`ConfigError::NoSuchScope`] and [`ConfigError::CannotEdit`]; the file is then as it was.
impl Configuration {
    /// Adds a mirror before those that the scope has, as Spack does: the first has precedence.
    ///
    /// # Errors
    /// [`ConfigError::MirrorExists`] if the scope has one of that name; and see above.
    pub fn add_mirror(&self, scope: Option<&str>, new: &NewMirror) -> Result<EditedScope, ConfigError> {
        let scope = self.to_change(scope)?;
        let file = file_of(scope)?;
        if let ScopeKind::Directory(directory) = &scope.kind {
            create(directory)?;
        }
        let secret = matches!(new.access_pair, Some(AccessPair::PlainText { .. }));
        edit_file(&file, secret, |text| Ok((add(&Text::new(scope, &file, text), new)?, ())))?;
        Ok(EditedScope { scope: scope.name.clone(), file, changed: true })
    }

    /// Changes a mirror of the scope; [`EditedScope::changed`] says whether it was not so already.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchMirror`], which says which other scope has it; [`ConfigError::HalfAccessPair`]; and see above.
    pub fn change_mirror(
        &self,
        scope: Option<&str>,
        name: &str,
        change: &MirrorChange,
    ) -> Result<EditedScope, ConfigError> {
        self.edit_mirror(scope, name, |text| set(text, name, change))
    }

    /// Gives a mirror of the scope another name; it stays where it is among the others.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchMirror`], [`ConfigError::MirrorExists`]; and see above.
    pub fn rename_mirror(
        &self,
        scope: Option<&str>,
        name: &str,
        to: &str,
    ) -> Result<EditedScope, ConfigError> {
        self.edit_mirror(scope, name, |text| rename(text, name, to))
    }

    /// Removes a mirror from the scope of that name, or else from the highest that has it, or from all.
    ///
    /// A comment on the line of the entry goes with it; those above stay, as they may be about more.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchMirror`]; and see above.
    pub fn remove_mirror(
        &self,
        scope: Option<&str>,
        name: &str,
        all_scopes: bool,
    ) -> Result<Vec<EditedScope>, ConfigError> {
        if scope.is_some() {
            return Ok(vec![self.edit_mirror(scope, name, |text| remove(text, name))?]);
        }
        let mut having = self.scopes_with_mirror(name)?;
        if having.is_empty() {
            return Err(Mirrors::of(self)?.require(name).err().unwrap_or_else(|| {
                // It is built in, or said on the command line.
                ConfigError::NotWritable { name: self.origin_of(name) }
            }));
        }
        if !all_scopes {
            having.truncate(1);
        }
        having.iter().map(|scope| self.edit_mirror(Some(scope), name, |text| remove(text, name))).collect()
    }

    fn edit_mirror(
        &self,
        scope: Option<&str>,
        name: &str,
        change: impl FnOnce(&Text<'_>) -> Result<String, ConfigError>,
    ) -> Result<EditedScope, ConfigError> {
        let scope = self.to_change(scope)?;
        let file = file_of(scope)?;
        if Mirrors::of_scope(self, scope)?.get(name).is_none() {
            let others = self.scopes_with_mirror(name)?;
            return Err(missing(&Mirrors::of_scope(self, scope)?, name, others));
        }
        let changed = edit_file(&file, false, |text| {
            let edited = change(&Text::new(scope, &file, text))?;
            let changed = edited != text;
            Ok((edited, changed))
        })?;
        Ok(EditedScope { scope: scope.name.clone(), file, changed })
    }

    /// The scopes with a file that has that mirror, the highest first.
    ///
    /// # Errors
    /// As [`Mirrors::of_scope`].
    pub fn scopes_with_mirror(&self, name: &str) -> Result<Vec<String>, ConfigError> {
        let mut having = Vec::new();
        for scope in self.scopes().iter().rev().filter(|scope| scope.file(SECTION).is_some()) {
            if Mirrors::of_scope(self, scope)?.get(name).is_some() {
                having.push(scope.name.clone());
            }
        }
        Ok(having)
    }

    fn origin_of(&self, name: &str) -> String {
        let mirrors = Mirrors::of(self).ok();
        mirrors.and_then(|it| it.get(name).map(|it| it.origin.scope.to_string())).unwrap_or_default()
    }
}

fn missing(mirrors: &Mirrors, name: &str, elsewhere: Vec<String>) -> ConfigError {
    ConfigError::NoSuchMirror {
        name: name.to_owned(),
        path: mirrors.path().map(Path::to_owned),
        existing: mirrors.iter().map(|mirror| mirror.name.clone()).collect(),
        elsewhere,
    }
}

fn file_of(scope: &Scope) -> Result<PathBuf, ConfigError> {
    let not_writable = || ConfigError::NotWritable { name: scope.name.clone() };
    scope.file(SECTION).filter(|_| scope.writable).ok_or_else(not_writable)
}

/// A file of a scope.
pub(super) struct Text<'t> {
    path: &'t Path,
    text: &'t str,
    scope: &'t str,
    kind: ScopeKind,
}

impl<'t> Text<'t> {
    fn new(scope: &'t Scope, path: &'t Path, text: &'t str) -> Self {
        Self { path, text, scope: &scope.name, kind: scope.kind.clone() }
    }

    #[cfg(test)]
    pub(super) fn of(path: &'t Path, text: &'t str) -> Self {
        Self { path, text, scope: "user", kind: ScopeKind::Directory("some".into()) }
    }

    /// The mirrors in a text of this file.
    pub(super) fn mirrors(&self, text: &str) -> Result<Mirrors, ConfigError> {
        let path = Some(self.path.to_owned());
        let Some(root) = reader::file(self.path, self.scope, text)? else { return Mirrors::read(path, None) };
        let sections = if self.is_manifest() { root.get("spack") } else { Some(&root) };
        let section = sections.and_then(|sections| sections.get(SECTION));
        // A section with nothing in it is not valid, but can be filled.
        let is_empty = section.is_some_and(Value::is_null) || sections.is_some_and(Value::is_null);
        if !is_empty {
            schema::of_file(SECTION, &self.kind).check(&root)?;
        }
        Mirrors::read(path, section)
    }

    fn is_manifest(&self) -> bool {
        matches!(self.kind, ScopeKind::File { is_manifest: true, .. })
    }

    /// The steps to the section, which may be written `mirrors::`.
    fn section(&self, edit: &Edit<'_>) -> Vec<Step<'static>> {
        let above: &[Step<'_>] = if self.is_manifest() { &[Step::Key("spack")] } else { &[] };
        let at = |key| [above, &[Step::Key(key)]].concat();
        let replacing = at("mirrors:");
        if edit.get(&replacing).is_some() { replacing } else { at(SECTION) }
    }
}

pub(super) fn add(file: &Text<'_>, new: &NewMirror) -> Result<String, ConfigError> {
    new.check()?;
    let before = file.mirrors(file.text)?;
    if before.get(&new.name).is_some() {
        return Err(ConfigError::MirrorExists { name: new.name.clone(), path: file.path.to_owned() });
    }
    let mut edit = Edit::new(file.path, file.text);
    edit.insert(&file.section(&edit), Place::First, &new.name, &new.content())?;
    let edited = leaves(file, &before, &new.name, edit.finish(), 1)?;
    // A colon at the end is a mark in configuration, and no part of a text.
    let url = file.mirrors(&edited)?.require(&new.name)?.fetch.clone();
    if url.as_deref() == Some(&*new.url) { Ok(edited) } else { Err(cannot_edit(file)) }
}

pub(super) fn remove(file: &Text<'_>, name: &str) -> Result<String, ConfigError> {
    let before = file.mirrors(file.text)?;
    before.require(name)?;
    let mut edit = Edit::new(file.path, file.text);
    let mut at = file.section(&edit);
    at.push(Step::Key(name));
    edit.remove(&at)?;
    leaves(file, &before, name, edit.finish(), 0)
}

pub(super) fn rename(file: &Text<'_>, name: &str, to: &str) -> Result<String, ConfigError> {
    check_text("name", to)?;
    let before = file.mirrors(file.text)?;
    before.require(name)?;
    if before.get(to).is_some() {
        return Err(ConfigError::MirrorExists { name: to.to_owned(), path: file.path.to_owned() });
    }
    let mut edit = Edit::new(file.path, file.text);
    let mut at = file.section(&edit);
    at.push(Step::Key(name));
    edit.rename(&at, to)?;
    let edited = edit.finish();
    let after = file.mirrors(&edited).map_err(|_| cannot_edit(file))?;
    let is_same = after.len() == before.len()
        && before.iter().zip(&after).all(|(old, new)| {
            let mut old = old.clone();
            if old.name == name {
                to.clone_into(&mut old.name);
            }
            old.says_the_same(new)
        });
    if is_same { Ok(edited) } else { Err(cannot_edit(file)) }
}

pub(super) fn set(file: &Text<'_>, name: &str, change: &MirrorChange) -> Result<String, ConfigError> {
    change.check(name)?;
    let before = file.mirrors(file.text)?;
    let mirror = before.require(name)?;
    let pair = change.access_pair(mirror)?;
    let mut edit = Edit::new(file.path, file.text);
    let mut at = file.section(&edit);
    at.push(Step::Key(name));
    match edit.get(&at) {
        Some(Yaml::Mapping(_) | Yaml::Value(_)) => change::write(&mut edit, &at, change, pair.as_ref())?,
        _ => return Err(cannot_edit(file)),
    }
    leaves(file, &before, name, edit.finish(), 1)
}

/// The edited text, if apart from the mirror `name`, of which there are now `count`, it has the mirrors of
/// `before`.
///
/// With merge keys (`<<`), which the check of each edit does not follow, an entry may come from elsewhere.
fn leaves(
    file: &Text<'_>,
    before: &Mirrors,
    name: &str,
    edited: String,
    count: usize,
) -> Result<String, ConfigError> {
    let after = file.mirrors(&edited).map_err(|_| cannot_edit(file))?;
    let others = |mirrors: &Mirrors| -> Vec<_> {
        mirrors.iter().filter(|mirror| mirror.name != name).cloned().collect()
    };
    let (old, new) = (others(before), others(&after));
    let found = after.len() - new.len();
    let is_same = old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| a.says_the_same(b));
    if found == count && is_same { Ok(edited) } else { Err(cannot_edit(file)) }
}

fn cannot_edit(file: &Text<'_>) -> ConfigError {
    ConfigError::CannotEdit { path: file.path.to_owned() }
}
