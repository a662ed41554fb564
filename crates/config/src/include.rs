//! One entry of an `include` section: a path, or a mapping with conditions, and the scope that it stands for.

use std::path::{Path, PathBuf};

use crate::condition::Conditions;
use crate::configuration::{Scope, ScopeKind};
use crate::value::{Origin, Value};
use crate::{ConfigError, Surroundings};

/// One entry.
pub(crate) struct Include<'v> {
    value: &'v Value,
    place: Place<'v>,
    name: Option<&'v str>,
    when: Option<&'v Value>,
    optional: bool,
    prefer_modify: bool,
}

/// Where it is.
enum Place<'v> {
    /// A path, or a URL, unless an environment variable has another.
    Path { text: &'v str, variable: Option<&'v str>, sha256: Option<&'v str> },
    /// Files in a git repository.
    Git { repository: &'v str, paths: Vec<&'v str> },
}

/// A scope that another includes, and where it says so.
pub(crate) struct Included {
    pub(crate) scope: Scope,
    pub(crate) origin: Origin,
}

impl<'v> Include<'v> {
    /// Reads an entry, which has been validated.
    pub(crate) fn read(value: &'v Value) -> Result<Self, ConfigError> {
        let text = |key: &str| value.get(key).and_then(Value::text).filter(|text| !text.is_empty());
        let flag = |key: &str| value.get(key).and_then(Value::flag).unwrap_or_default();
        let place = match (value.text().or_else(|| text("path")), text("git")) {
            (Some(path), _) => {
                Place::Path { text: path, variable: text("path_override_env_var"), sha256: text("sha256") }
            }
            (None, Some(repository)) => {
                if ["branch", "commit", "tag"].iter().all(|key| text(key).is_none()) {
                    return Err(value.invalid("an include from git needs a branch, a commit or a tag"));
                }
                let paths = value.get("paths").and_then(Value::items).unwrap_or_default();
                let paths: Vec<&str> = paths.iter().filter_map(Value::text).collect();
                if paths.is_empty() {
                    return Err(value.invalid("an include from git needs `paths`"));
                }
                Place::Git { repository, paths }
            }
            (None, None) => return Err(value.invalid("an include needs a `path`, or `git` and `paths`")),
        };
        Ok(Self {
            value,
            place,
            name: text("name"),
            when: value.get("when"),
            optional: flag("optional"),
            prefer_modify: flag("prefer_modify"),
        })
    }

    /// Whether its condition holds.
    pub(crate) fn applies(&self, conditions: &Conditions<'_>) -> Result<bool, ConfigError> {
        match self.when {
            Some(when) if when.text() != Some("") => conditions.hold(when),
            _ => Ok(true),
        }
    }

    /// The scopes that it stands for; none if it is optional and cannot be had.
    pub(crate) fn scopes(
        &self,
        parent: &Scope,
        surroundings: &Surroundings,
        environment: Option<&Path>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Included>, ConfigError> {
        let mut paths = Vec::new();
        match &self.place {
            Place::Path { text, variable, sha256 } => {
                let variable = variable.and_then(|name| surroundings.variables.get(name));
                let text = variable.filter(|value| !value.is_empty()).map_or(*text, String::as_str);
                if let Some(unknown) = surroundings.unknown_variable(text) {
                    return Err(self.value.invalid(format!("`{text}` cannot be included: {unknown}")));
                }
                let directory = match &parent.kind {
                    ScopeKind::Directory(directory) => Some(directory.as_path()),
                    ScopeKind::File { path, .. } => path.parent(),
                    ScopeKind::Internal(_) => None,
                };
                let path = surroundings.path(text, directory, environment);
                if is_remote(&path) {
                    let url = path.to_string_lossy().into_owned();
                    paths.extend(self.fetched(&url, cached_file(surroundings, &url, *sha256), warnings)?);
                } else {
                    paths.push((text.to_owned(), path));
                }
            }
            Place::Git { repository, paths: files } => {
                let clone = surroundings.git_include(repository);
                let clone = Some(clone).filter(|directory| directory.join(".git").exists());
                if let Some((_, clone)) = self.fetched(repository, clone, warnings)? {
                    paths.extend(files.iter().map(|file| ((*file).to_owned(), clone.join(file))));
                }
            }
        }
        paths.into_iter().map(|(text, path)| self.scope(&text, path, parent)).collect()
    }

    /// What Spack has fetched before; an error if that is nothing, or a warning if the entry is optional.
    fn fetched(
        &self,
        url: &str,
        cached: Option<PathBuf>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<(String, PathBuf)>, ConfigError> {
        if let Some(path) = cached {
            return Ok(Some((url.to_owned(), path)));
        }
        let message = format!("{url} is not fetched here: let Spack fetch it, or include a copy of it");
        if self.optional {
            warnings.push(format!("{}: {message}; it is left out", self.value.origin));
            return Ok(None);
        }
        Err(self.value.invalid(message))
    }

    fn scope(&self, text: &str, path: PathBuf, parent: &Scope) -> Result<Included, ConfigError> {
        let name = self.name.map_or_else(|| name(parent, &path), str::to_owned);
        let (exists, is_directory) = (path.exists(), path.is_dir());
        if !exists && !self.optional {
            let message =
                format!("`{text}` is to be included and is not there: there is no {}", path.display());
            return Err(self.value.invalid(message));
        }
        let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned());
        let is_yaml = extension.as_deref().is_some_and(|extension| ["yaml", "yml"].contains(&extension));
        let scope = if (exists && !is_directory) || is_yaml {
            Scope::file_of_sections(name, path)
        } else if extension.is_some() && !is_directory {
            let message =
                format!("`{text}` is to be included: a file needs the ending .yaml, a directory none");
            return Err(self.value.invalid(message));
        } else {
            Scope::directory(name, path)
        };
        let scope = Scope { prefer_modify: self.prefer_modify, ..scope };
        Ok(Included { scope, origin: self.value.origin.clone() })
    }
}

/// The name of a scope that has none of its own: that of the scope that includes it, and the path from there.
fn name(parent: &Scope, path: &Path) -> String {
    let shown = path.to_string_lossy();
    let below = parent.path().filter(|directory| shown.starts_with(&*directory.to_string_lossy()));
    let relative = below.map(|directory| relative_path(directory, path));
    format!("{}:{}", parent.name, relative.unwrap_or_else(|| shown.into_owned()))
}

/// `path` from `directory`; both are absolute and without `..`.
fn relative_path(directory: &Path, path: &Path) -> String {
    let common = directory.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = directory.components().skip(common).map(|_| "..".to_owned());
    let down = path.components().skip(common).map(|part| part.as_os_str().to_string_lossy().into_owned());
    let parts: Vec<String> = up.chain(down).collect();
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

fn is_remote(path: &Path) -> bool {
    let text = path.to_string_lossy();
    !path.is_absolute() && text.contains("://")
}

/// Where Spack keeps a file that it has fetched.
fn cached_file(surroundings: &Surroundings, url: &str, sha256: Option<&str>) -> Option<PathBuf> {
    let file = url.rsplit('/').next()?;
    let path = surroundings.user_cache_path().join("includes").join(sha256?).join(file);
    path.is_file().then_some(path)
}
