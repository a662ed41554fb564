//! `packages:NAME:externals`: what is installed by others and used as it is.

use std::path::PathBuf;

use super::texts;
use crate::value::{Origin, Value};
use crate::{ConfigError, Configuration};

/// A package that is there without having been installed by Spack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The name that it is listed under.
    pub package: String,
    /// What it is.
    pub spec: String,
    /// Where it is.
    pub prefix: Option<PathBuf>,
    /// The modules to load for it.
    pub modules: Vec<String>,
    /// Whether the package may be built, or taken from a cache, as well.
    pub is_buildable: bool,
    /// Where it is written.
    pub origin: Origin,
}

impl External {
    /// Those that the scopes list, in order.
    ///
    /// # Errors
    /// If they cannot be read or say something that means nothing.
    pub fn all(configuration: &Configuration) -> Result<Vec<Self>, ConfigError> {
        let Some(packages) = configuration.section("packages")? else { return Ok(Vec::new()) };
        let buildable = |value: Option<&Value>| value.and_then(|value| value.get("buildable")?.flag());
        let all_buildable = buildable(packages.get("all")).unwrap_or(true);
        let mut found = Vec::new();
        for (key, package) in packages.mapping().into_iter().flat_map(|mapping| mapping.iter()) {
            for external in package.get("externals").and_then(Value::items).unwrap_or_default() {
                let prefix =
                    external.get("prefix").map(|prefix| configuration.path_of(prefix)).transpose()?;
                found.push(Self {
                    package: key.name.clone(),
                    spec: external.get("spec").and_then(Value::text).unwrap_or_default().to_owned(),
                    prefix,
                    modules: texts(external.get("modules")),
                    is_buildable: buildable(Some(package)).unwrap_or(all_buildable),
                    origin: external.origin.clone(),
                });
            }
        }
        Ok(found)
    }
}
