//! Which scopes there are, in which order: those of the Spack in use and what they include, the environment's, and those of the
//! command line. Where there is no Spack, the user's and the system's are what a Spack would take.

use std::path::{Path, PathBuf};

use crate::condition::Conditions;
use crate::configuration::{Scope, ScopeKind};
use crate::include::{Include, Included};
use crate::value::{Data, Key, Mapping, Origin, Value};
use crate::{Asked, ConfigError, PrefixInspections, Surroundings, inline};

/// How deep includes may be nested, as in Spack.
const DEEPEST: usize = 100;

/// What [`find`] found.
pub(crate) struct Found {
    /// The lowest first.
    pub(crate) scopes: Vec<Scope>,
    /// The names of those that no `include::` takes out.
    pub(crate) defaults: Vec<String>,
    /// What was left out, and why.
    pub(crate) warnings: Vec<String>,
}

/// Finds the scopes.
pub(crate) fn find(surroundings: &Surroundings, asked: &Asked) -> Result<Found, ConfigError> {
    let environment = asked.environment.as_ref().map(|(_, path)| path.as_path());
    let mut stack = Stack { surroundings, environment, scopes: Vec::new(), group: 0, warnings: Vec::new() };
    stack.push(Scope::internal("_builtin", built_in(surroundings.spack_root.is_some())), &[])?;
    let etc = surroundings.spack_root.as_ref().map(|root| root.join("etc/spack"));
    if let Some(etc) = &etc {
        stack.push(Scope::directory("defaults", etc.join("defaults")), &[])?;
        if !etc.join("defaults/include.yaml").exists() {
            stack.platform("defaults", &etc.join("defaults"))?;
        }
    }
    let defaults = stack.scopes.iter().map(|scope| scope.name.clone()).collect();
    stack.group = stack.scopes.len();
    match &etc {
        Some(etc) if etc.join("include.yaml").exists() => {
            stack.push(Scope::directory("spack", etc.clone()), &[])?;
        }
        etc => stack.without_include_file(etc.as_deref())?,
    }
    if let Some((name, path)) = &asked.environment {
        stack.group = stack.scopes.len();
        let file = path.join("spack.yaml");
        // An environment may have a lock alone.
        if file.exists() {
            let scope = Scope::manifest(format!("env:{name}"), file);
            refuse_environments_root(&scope)?;
            stack.push(scope, &[])?;
        }
    }
    stack.group = stack.scopes.len();
    for (at, path) in asked.custom_scopes.iter().enumerate() {
        stack.custom(at, path)?;
    }
    stack.group = stack.scopes.len();
    stack.push(Scope::internal("command_line", inline::sections(&asked.settings)?), &[])?;
    Ok(Found { scopes: stack.scopes, defaults, warnings: stack.warnings })
}

/// An environment cannot say where environments are.
fn refuse_environments_root(scope: &Scope) -> Result<(), ConfigError> {
    let config = scope.section_as_written("config")?;
    let config = config.as_ref().and_then(|section| section.get("config"));
    match config.and_then(|config| config.get("environments_root")) {
        Some(value) => Err(value.invalid("an environment cannot set `config:environments_root`")),
        None => Ok(()),
    }
}

/// The scopes so far.
struct Stack<'s> {
    surroundings: &'s Surroundings,
    environment: Option<&'s Path>,
    scopes: Vec<Scope>,
    /// Where the scopes of the same kind begin: a name is used once.
    group: usize,
    warnings: Vec<String>,
}

impl Stack<'_> {
    /// Puts a scope on top, and right below it what it includes. `above` are the paths of the scopes that include it.
    fn push(&mut self, mut scope: Scope, above: &[PathBuf]) -> Result<(), ConfigError> {
        let (replaces, mut included) = self.included(&scope)?;
        let mut known: Vec<String> = Vec::new();
        included.retain(|one| {
            let is_new = !known.contains(&one.scope.name);
            if is_new {
                known.push(one.scope.name.clone());
            } else {
                let name = &one.scope.name;
                self.warnings
                    .push(format!("{}: `{name}` is included twice; the second is left out", one.origin));
            }
            is_new
        });
        scope.replaces_includes = replaces;
        scope.includes = known;
        let mut chain = above.to_vec();
        chain.extend(scope.path().map(identity));
        for Included { scope: below, origin } in included.into_iter().rev() {
            let path = below.path().map(identity);
            let invalid =
                |message: String| Value { data: Data::Null, origin: origin.clone() }.invalid(message);
            if path.is_some_and(|path| chain.contains(&path)) {
                return Err(invalid(format!("`{}` includes itself", below.name)));
            }
            if chain.len() > DEEPEST {
                return Err(invalid(format!("includes are nested more than {DEEPEST} deep")));
            }
            self.push(below, &chain)?;
        }
        self.scopes.retain(|known| known.name != scope.name);
        self.scopes.push(scope);
        Ok(())
    }

    /// Whether a scope says `include::`, and what it includes, as far as that is there.
    fn included(&mut self, scope: &Scope) -> Result<(bool, Vec<Included>), ConfigError> {
        let Some(section) = scope.section_as_written("include")? else { return Ok((false, Vec::new())) };
        let Some((key, list)) = section.mapping().and_then(|mapping| mapping.iter().next()) else {
            return Ok((false, Vec::new()));
        };
        let replaces = key.mark == crate::value::Mark::Replace;
        let conditions = Conditions::new(self.surroundings);
        let mut found = Vec::new();
        for item in list.items().unwrap_or_default() {
            let include = Include::read(item)?;
            if include.applies(&conditions)? {
                found.extend(include.scopes(
                    scope,
                    self.surroundings,
                    self.environment,
                    &mut self.warnings,
                )?);
            }
        }
        Ok((replaces, found))
    }

    /// The scopes of a Spack that has no `include.yaml`, which came with 1.1, or of no Spack: system, site, user.
    fn without_include_file(&mut self, etc: Option<&Path>) -> Result<(), ConfigError> {
        let surroundings = self.surroundings;
        let named = |variable: &str, or: &str| {
            let named = surroundings.variables.get(variable).filter(|value| !value.is_empty());
            surroundings.path(named.map_or(or, String::as_str), None, None)
        };
        let local = !surroundings.variables.contains_key("SPACK_DISABLE_LOCAL_CONFIG");
        let system = local.then(|| named("SPACK_SYSTEM_CONFIG_PATH", "/etc/spack"));
        let user = local.then(|| named("SPACK_USER_CONFIG_PATH", "~/.spack"));
        for (name, path) in [("system", system), ("site", etc.map(Path::to_owned)), ("user", user)] {
            let Some(path) = path else { continue };
            self.push(Scope { prefer_modify: name == "user", ..Scope::directory(name, path.clone()) }, &[])?;
            if etc.is_some() {
                self.platform(name, &path)?;
            }
        }
        Ok(())
    }

    /// The directory of a scope that is for this platform alone, which every scope had before Spack 1.1.
    fn platform(&mut self, name: &str, directory: &Path) -> Result<(), ConfigError> {
        let platform = &self.surroundings.platform;
        let below = directory.join(platform);
        if !below.is_dir() {
            return Ok(());
        }
        self.push(Scope { writable: false, ..Scope::directory(format!("{name}/{platform}"), below) }, &[])
    }

    /// A scope that the command line names: an environment, a directory, or a file.
    fn custom(&mut self, at: usize, path: &Path) -> Result<(), ConfigError> {
        let name = format!("cmd_scope_{at}");
        let is_name = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let managed = is_name.then(|| self.environments_root()).transpose()?.flatten();
        let managed = managed.map(|root| root.join(path)).filter(|path| path.join("spack.yaml").is_file());
        let directory = self.surroundings.working_directory.join(path);
        let manifest = match managed {
            Some(environment) => Some(environment.join("spack.yaml")),
            None => Some(directory.join("spack.yaml")).filter(|file| file.is_file()),
        };
        let mut scope = match manifest {
            Some(file) => Scope::manifest(format!("{name}:env:{}", path.display()), file),
            None if directory.is_dir() => Scope::directory(name, directory),
            None if directory.is_file() => Scope::file_of_sections(name, directory),
            None => return Err(ConfigError::NoCustomScope { path: path.to_owned() }),
        };
        scope.writable = false;
        self.push(scope, &[])
    }

    /// Where environments with names are, as far as the scopes so far say.
    fn environments_root(&self) -> Result<Option<PathBuf>, ConfigError> {
        for scope in self.scopes.iter().rev() {
            let section = scope.section_as_written("config")?;
            let config = section.as_ref().and_then(|section| section.get("config"));
            if let Some(root) = config.and_then(|config| config.get("environments_root")?.text()) {
                let directory = scope.path().and_then(Path::parent);
                return Ok(Some(self.surroundings.path(root, directory, self.environment)));
            }
        }
        Ok(self.surroundings.spack_root.as_ref().map(|root| root.join("var/spack/environments")))
    }
}

/// A path by which a file is known again.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl Scope {
    /// What no file says.
    fn internal(name: &str, sections: Value) -> Self {
        let kind = ScopeKind::Internal(sections);
        Self { writable: false, ..Self::new(name.to_owned(), kind) }
    }

    /// A directory with a file for each section.
    pub(crate) fn directory(name: impl Into<String>, path: PathBuf) -> Self {
        Self::new(name.into(), ScopeKind::Directory(path))
    }

    /// One file with all sections.
    pub(crate) fn file_of_sections(name: String, path: PathBuf) -> Self {
        Self::new(name, ScopeKind::File { path, is_manifest: false })
    }

    /// The sections beside `specs` in the manifest of an environment.
    pub fn manifest(name: impl Into<String>, path: PathBuf) -> Self {
        Self::new(name.into(), ScopeKind::File { path, is_manifest: true })
    }

    fn new(name: String, kind: ScopeKind) -> Self {
        let includes = Vec::new();
        Self { name, kind, writable: true, prefer_modify: false, includes, replaces_includes: false }
    }
}

/// What Spack has built in, as far as it does not depend on the machine. Without a Spack, and so without its defaults, the prefix
/// inspections come from here.
fn built_in(has_defaults: bool) -> Value {
    let origin = || Origin::internal("_builtin");
    let value = |data| Value { data, origin: origin() };
    let mapping = |entries: Vec<(&str, Value)>| {
        let key = |name: &str| Key { name: name.to_owned(), mark: Default::default(), origin: origin() };
        let entries = entries.into_iter().map(|(name, value)| (key(name), value)).collect();
        value(Data::Mapping(Mapping::new(entries)))
    };
    let text = |text: &str| value(Data::Text(text.to_owned()));
    let config = mapping(vec![
        ("debug", value(Data::Boolean(false))),
        ("connect_timeout", value(Data::Integer(10))),
        ("verify_ssl", value(Data::Boolean(true))),
        ("checksum", value(Data::Boolean(true))),
        ("dirty", value(Data::Boolean(false))),
        ("build_stage", text("$tempdir/spack-stage")),
    ]);
    let externals = mapping(vec![("completion", text("default_variants"))]);
    let mut sections = vec![("config", config), ("concretizer", mapping(vec![("externals", externals)]))];
    if !has_defaults {
        let names = |names: &[String]| names.iter().map(|name| text(name)).collect();
        let inspections = PrefixInspections::default();
        let inspections = inspections.iter().map(|(path, list)| (path, value(Data::List(names(list)))));
        sections.push(("modules", mapping(vec![("prefix_inspections", mapping(inspections.collect()))])));
    }
    mapping(sections)
}
