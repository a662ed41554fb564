//! Paths as configuration writes them: `$spack`, `~` and the like (`util/path.py` in Spack).
//!
//! First Spack's own variables, in any case, then those of the environment, then `~` and `~user`; what has no value stays as it
//! is written. A URL is left alone but for its variables, and `file:` is taken off.

use std::fs;
use std::path::{Component, Path, PathBuf};

use data_encoding::BASE32_NOPAD;
use sha1::{Digest, Sha1};

use crate::Surroundings;

impl Surroundings {
    /// `text` made absolute, from `relative_to` or else the working directory; `environment` is the directory of the active
    /// one. See [`Configuration::path`](crate::Configuration::path).
    pub fn path(&self, text: &str, relative_to: Option<&Path>, environment: Option<&Path>) -> PathBuf {
        let text = self.expanded(text, environment);
        let text = match text.split_once(':') {
            Some(("file", rest)) => rest.strip_prefix("//").unwrap_or(rest).to_owned(),
            Some((scheme, _)) if is_scheme(scheme) && !text.starts_with('/') => return text.into(),
            _ => text,
        };
        normalized(&relative_to.unwrap_or(&self.working_directory).join(text))
    }

    /// `text` with what its variables and its `~` stand for.
    pub fn expanded(&self, text: &str, environment: Option<&Path>) -> String {
        let own = substituted(text, char::is_alphanumeric, |name| self.spack_variable(name, environment));
        let all = substituted(&own, |c| c.is_ascii_alphanumeric(), |name| self.variables.get(name).cloned());
        self.with_home(&all)
    }

    /// Where Spack keeps what it can make again.
    pub fn user_cache_path(&self) -> PathBuf {
        let named = self.variables.get("SPACK_USER_CACHE_PATH").filter(|value| !value.is_empty());
        let text = self.with_home(named.map_or("~/.spack", String::as_str));
        self.working_directory.join(text)
    }

    /// Why a path cannot be used, if it names something of Spack's that has no value here.
    pub(crate) fn unknown_variable(&self, text: &str) -> Option<String> {
        let mut unknown = None;
        substituted(text, char::is_alphanumeric, |name| {
            let why = match name.to_lowercase().as_str() {
                "spack" | "spack_instance_id" | "spack_short_version" if self.spack_root.is_none() => {
                    format!("`${name}` is about the Spack in use, and there is none: set SPACK_ROOT")
                }
                "os" | "operating_system" | "arch" | "architecture" if self.os().is_none() => {
                    format!("`${name}` is not known: this operating system has no name")
                }
                _ => return None,
            };
            unknown.get_or_insert(why);
            None
        });
        unknown
    }

    /// Where Spack keeps its clone of a repository with configuration.
    pub(crate) fn git_include(&self, repository: &str) -> PathBuf {
        let hash = base32(repository);
        self.user_cache_path().join("includes").join(&hash[hash.len() - 7..])
    }

    fn spack_variable(&self, name: &str, environment: Option<&Path>) -> Option<String> {
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        Some(match name.to_lowercase().as_str() {
            "spack" => shown(self.spack_root.as_deref()?),
            "user" => self.user.clone(),
            "tempdir" => shown(&self.temporary),
            "user_cache_path" => shown(&self.user_cache_path()),
            "spack_instance_id" => base32(&shown(self.spack_root.as_deref()?))[..7].to_owned(),
            "architecture" | "arch" => {
                format!("{}-{}-{}", self.platform, self.os()?, self.target())
            }
            "platform" => self.platform.clone(),
            "os" | "operating_system" => self.os()?.to_owned(),
            "target" => self.target().to_owned(),
            "target_family" => self.target_family().to_owned(),
            "date" => self.date.clone(),
            "env" => shown(environment?),
            "spack_short_version" => self.spack_short_version()?,
            _ => return None,
        })
    }

    /// The first two parts of the version that the Spack in use says it has.
    fn spack_short_version(&self) -> Option<String> {
        let file = self.spack_root.as_ref()?.join("lib/spack/spack/__init__.py");
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with("__version__"))?;
        let version = line.split_once('=')?.1.trim().trim_matches(['"', '\'']);
        Some(version.split('.').take(2).collect::<Vec<_>>().join("."))
    }

    /// `~` is the home directory, `~name` that of somebody else.
    fn with_home(&self, text: &str) -> String {
        let Some(rest) = text.strip_prefix('~') else { return text.to_owned() };
        let (name, below) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let home = if name.is_empty() {
            Some(self.home.to_string_lossy().into_owned())
        } else {
            let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
            let home = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
            home.into_iter()
                .find(|user| user.first() == Some(&name))
                .and_then(|user| Some((*user.get(5)?).to_owned()))
        };
        home.map_or_else(|| text.to_owned(), |home| format!("{}{below}", home.trim_end_matches('/')))
    }
}

/// `text` with the values of `$name` and `${name}`, as far as they have one. A name is of underscores and what `is_part` says.
fn substituted(
    text: &str,
    is_part: impl Fn(char) -> bool,
    mut value: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (start, braced) = after.strip_prefix('{').map_or((after, false), |inside| (inside, true));
        let end = start.find(|c: char| !(c == '_' || is_part(c))).unwrap_or(start.len());
        let closed = !braced || start[end..].starts_with('}');
        let found = if end > 0 && closed { value(&start[..end]) } else { None };
        rest = match found {
            Some(value) => {
                result.push_str(&value);
                &start[end + usize::from(braced)..]
            }
            None => {
                result.push('$');
                after
            }
        };
    }
    result + rest
}

/// What Python's `urllib` takes for the scheme of a URL.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// Without `.`, `..` and double slashes, as text: links are not followed.
fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            part => result.push(part),
        }
    }
    result
}

/// The hash by which Spack names its own things.
fn base32(text: &str) -> String {
    BASE32_NOPAD.encode(&Sha1::digest(text.as_bytes())).to_lowercase()
}

#[cfg(test)]
mod tests;
