//! [`Configuration`]: the scopes of Spack's configuration, and what they say together.
//!
//! From the lowest to the highest: what is built in, the defaults of the Spack in use, `spack` (its `etc/spack`, which includes
//! system, site and user), the environment, custom scopes (`-C`), the command line (`-c`). What a scope includes lies directly
//! below it (`create_incremental` and `push_scope_incremental` in Spack's `config.py`, and `_main` in its `main.py`). How they
//! are found is in `scopes.rs`.

use std::path::{Path, PathBuf};

use crate::value::{Data, Key, Mapping, Value};
use crate::{Asked, ConfigError, Surroundings, merge, old_formats, reader, save, schema, scopes};

/// One place that configuration comes from.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its name: `defaults`, `site`, `user`, `env:NAME`, ….
    pub name: String,
    /// What it is.
    pub kind: ScopeKind,
    /// Whether commands may change it.
    pub writable: bool,
    /// Whether commands that would change the scope that includes this one change this one instead.
    pub prefer_modify: bool,
    /// The names of the scopes that it includes, as it lists them: the first counts most.
    pub includes: Vec<String>,
    /// Whether it says `include::`, so that what lower scopes include does not count.
    pub replaces_includes: bool,
}

/// What a scope is.
#[derive(Clone, Debug)]
pub enum ScopeKind {
    /// A directory with a file for each section.
    Directory(PathBuf),
    /// One file with all sections; below `spack:` if it is the manifest of an environment.
    File {
        /// The file.
        path: PathBuf,
        /// Whether the sections are below the key `spack`.
        is_manifest: bool,
    },
    /// Built in, or said on the command line: a mapping of sections.
    Internal(Value),
}

impl Scope {
    /// The file that has a section, which need not exist; none for what is in no file.
    pub fn file(&self, section: &str) -> Option<PathBuf> {
        match &self.kind {
            ScopeKind::Directory(directory) => Some(directory.join(format!("{section}.yaml"))),
            ScopeKind::File { path, .. } => Some(path.clone()),
            ScopeKind::Internal(_) => None,
        }
    }

    /// Its directory or its file; none for what is in no file.
    pub fn path(&self) -> Option<&Path> {
        match &self.kind {
            ScopeKind::Directory(path) | ScopeKind::File { path, .. } => Some(path),
            ScopeKind::Internal(_) => None,
        }
    }

    /// Whether it is there, or is in no file.
    pub fn exists(&self) -> bool {
        self.path().is_none_or(Path::exists)
    }

    /// What it says under `section`, as a mapping with that section as its only entry, so that the section's key keeps its
    /// mark; none if it says nothing. Validated, and in today's form.
    pub(crate) fn section_as_written(&self, section: &str) -> Result<Option<Value>, ConfigError> {
        let read = |path: &Path, is_manifest| -> Result<Option<Value>, ConfigError> {
            let Some(text) = save::read(path)? else { return Ok(None) };
            let Some(value) = reader::file(path, &self.name, &text)? else { return Ok(None) };
            schema::of_file(section, &self.kind).check(&value)?;
            Ok(if is_manifest { value.get("spack").cloned() } else { Some(value) })
        };
        let sections = match &self.kind {
            ScopeKind::Internal(value) => Some(value.clone()),
            ScopeKind::Directory(directory) => read(&directory.join(format!("{section}.yaml")), false)?,
            ScopeKind::File { path, is_manifest } => read(path, *is_manifest)?,
        };
        let Some(mut sections) = sections else { return Ok(None) };
        let Data::Mapping(mapping) = &mut sections.data else { return Ok(None) };
        let Some((key, mut value)) = mapping.remove(section) else { return Ok(None) };
        old_formats::update(section, &mut value);
        Ok(Some(Value { data: Data::Mapping(Mapping::new(vec![(key, value)])), origin: sections.origin }))
    }
}

/// All scopes that count.
#[derive(Clone, Debug)]
pub struct Configuration {
    scopes: Vec<Scope>,
    defaults: Vec<String>,
    warnings: Vec<String>,
    surroundings: Surroundings,
    environment: Option<PathBuf>,
}

impl Configuration {
    /// Finds the scopes.
    ///
    /// # Errors
    /// If what decides about scopes, such as an `include.yaml`, cannot be read, or what `asked` says means nothing.
    pub fn load(surroundings: Surroundings, asked: &Asked) -> Result<Self, ConfigError> {
        let environment = asked.environment.as_ref().map(|(_, path)| path.clone());
        let found = scopes::find(&surroundings, asked)?;
        Ok(Self {
            scopes: found.scopes,
            defaults: found.defaults,
            warnings: found.warnings,
            surroundings,
            environment,
        })
    }

    /// One that says nothing, for what can do without.
    pub fn nothing() -> Self {
        Self {
            scopes: Vec::new(),
            defaults: Vec::new(),
            warnings: Vec::new(),
            surroundings: Surroundings::default(),
            environment: None,
        }
    }

    /// The scopes, the lowest first.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// What was left out while the scopes were found, and why: sentences for people.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The scope of that name.
    ///
    /// # Errors
    /// [`ConfigError::NoSuchScope`], which lists those that there are.
    pub fn scope(&self, name: &str) -> Result<&Scope, ConfigError> {
        self.scopes.iter().find(|scope| scope.name == name).ok_or_else(|| ConfigError::NoSuchScope {
            name: name.to_owned(),
            existing: self.scopes.iter().map(|scope| scope.name.clone()).collect(),
        })
    }

    /// The scope that a command changes: the one of that name, or else the highest that may be changed, or what that one
    /// includes to be changed in its place (`user`, in the end, where no environment is active).
    ///
    /// # Errors
    /// [`ConfigError::NoSuchScope`].
    pub fn to_change(&self, name: Option<&str>) -> Result<&Scope, ConfigError> {
        if let Some(name) = name {
            return self.scope(name);
        }
        let highest = self.scopes.iter().rev().find(|scope| scope.writable);
        let none = || ConfigError::NoSuchScope { name: "user".to_owned(), existing: Vec::new() };
        let mut chosen = highest.ok_or_else(none)?;
        // No scope includes itself, or it would not have been found: but names may be used twice.
        for _ in 0..self.scopes.len() {
            let included = chosen.includes.iter().filter_map(|name| self.scope(name).ok());
            match included.into_iter().find(|scope| scope.writable && scope.prefer_modify) {
                Some(preferred) => chosen = preferred,
                None => break,
            }
        }
        Ok(chosen)
    }

    /// The scopes that count, the lowest first: without those that an `include::` takes out.
    pub fn active_scopes(&self) -> Vec<&Scope> {
        let Some(last) = self.scopes.iter().rposition(|scope| scope.replaces_includes) else {
            return self.scopes.iter().collect();
        };
        let mut kept: Vec<&str> = self.defaults.iter().map(String::as_str).collect();
        let mut waiting = vec![&self.scopes[last]];
        while let Some(scope) = waiting.pop() {
            if !kept.contains(&scope.name.as_str()) {
                kept.push(&scope.name);
                waiting.extend(scope.includes.iter().filter_map(|name| self.scope(name).ok()));
            }
        }
        let counts = |(at, scope): &(usize, &Scope)| *at >= last || kept.contains(&scope.name.as_str());
        self.scopes.iter().enumerate().filter(counts).map(|(_, scope)| scope).collect()
    }

    /// What all scopes together say under `section`; none if no scope says anything.
    ///
    /// # Errors
    /// If a file cannot be read, with the line and column.
    pub fn section(&self, section: &str) -> Result<Option<Value>, ConfigError> {
        Ok(self.section_with_key(section)?.map(|(_, value)| value))
    }

    /// As [`section`](Self::section), with the key as the highest scope writes it.
    ///
    /// # Errors
    /// As [`section`](Self::section).
    pub fn section_with_key(&self, section: &str) -> Result<Option<(Key, Value)>, ConfigError> {
        let mut merged: Option<Value> = None;
        for scope in self.active_scopes() {
            if let Some(value) = scope.section_as_written(section)? {
                let value = if section == "include" { unmarked(value) } else { value };
                merged = Some(match merged {
                    None => value,
                    Some(below) => merge::merge(below, value),
                });
            }
        }
        let Some(Value { data: Data::Mapping(mut mapping), .. }) = merged else { return Ok(None) };
        Ok(mapping.remove(section))
    }

    /// What one scope says under `section`.
    ///
    /// # Errors
    /// If its file cannot be read, with the line and column.
    pub fn section_of(&self, scope: &Scope, section: &str) -> Result<Option<Value>, ConfigError> {
        Ok(scope.section_as_written(section)?.and_then(|value| value.get(section).cloned()))
    }

    /// The value at `path`, keys with colons between: `config:install_tree:root`.
    ///
    /// # Errors
    /// As [`section`](Self::section).
    pub fn get(&self, path: &str) -> Result<Option<Value>, ConfigError> {
        let mut keys = path.split(':');
        let Some(mut value) = self.section(keys.next().unwrap_or_default())? else { return Ok(None) };
        for key in keys {
            let Some(below) = value.get(key).cloned() else { return Ok(None) };
            value = below;
        }
        Ok(Some(value))
    }

    /// A path as configuration writes it, made absolute: variables, `~`, and relative to the directory `relative_to`. What
    /// is not known stays as it is written; see [`path_of`](Self::path_of).
    pub fn path(&self, text: &str, relative_to: Option<&Path>) -> PathBuf {
        self.surroundings.path(text, relative_to, self.environment.as_deref())
    }

    /// The path that a value says, relative to its file.
    ///
    /// # Errors
    /// If the value is not text, or it names something that is not known here, such as `$spack` without a Spack in use.
    pub fn path_of(&self, value: &Value) -> Result<PathBuf, ConfigError> {
        let text = value.text().ok_or_else(|| value.invalid("a path must be text: put it in quotes"))?;
        if let Some(variable) = self.surroundings.unknown_variable(text) {
            return Err(value.invalid(format!("`{text}` cannot be used: {variable}")));
        }
        Ok(self.path(text, value.origin.directory()))
    }

    /// Where environments with names are: `config:environments_root`, or where the Spack in use has them; none if there is
    /// neither.
    ///
    /// # Errors
    /// If the scopes cannot be read.
    pub fn environments_root(&self) -> Result<Option<PathBuf>, ConfigError> {
        match self.get("config:environments_root")? {
            Some(value) if !value.is_null() => self.path_of(&value).map(Some),
            _ => Ok(self.surroundings.spack_root.as_ref().map(|root| root.join("var/spack/environments"))),
        }
    }

    /// The directory of the active environment.
    pub fn environment(&self) -> Option<&Path> {
        self.environment.as_deref()
    }

    /// The process and the machine.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }
}

/// The section without the mark on its key: which scopes `include::` takes out is decided before.
fn unmarked(mut value: Value) -> Value {
    if let Data::Mapping(mapping) = std::mem::replace(&mut value.data, Data::Null) {
        let entries = mapping.into_entries().into_iter();
        let plain = entries.map(|(key, value)| (Key { mark: Default::default(), ..key }, value));
        value.data = Data::Mapping(Mapping::new(plain.collect()));
    }
    value
}
