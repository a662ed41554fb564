//! The environment variables of a package's image, from the directories its runtime closure has.
//!
//! These are the generic entries that Spack's default prefix inspections give. What recipes add
//! (`setup_run_environment`) is not known here.

use std::collections::BTreeMap;
use std::path::Path;

/// Spack's default `modules:prefix_inspections`: a directory of the prefix and the variable it is prepended to.
const INSPECTIONS: &[(&str, &str)] = &[
    ("bin", "PATH"),
    ("man", "MANPATH"),
    ("share/man", "MANPATH"),
    ("share/aclocal", "ACLOCAL_PATH"),
    ("lib/pkgconfig", "PKG_CONFIG_PATH"),
    ("lib64/pkgconfig", "PKG_CONFIG_PATH"),
    ("share/pkgconfig", "PKG_CONFIG_PATH"),
    ("", "CMAKE_PREFIX_PATH"),
];

/// Variables and their values.
#[derive(Debug)]
pub(super) struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// The environment of an image without a base: the system's directories alone.
    pub(super) fn without_base() -> Self {
        Self(BTreeMap::from([("PATH", "/bin:/usr/bin".to_owned())]))
    }

    /// Prepends the directories that exist in `prefix`. Call it for dependencies before dependents.
    pub(super) fn prepend_prefix(&mut self, prefix: &Path) {
        for (directory, variable) in INSPECTIONS {
            let path = if directory.is_empty() { prefix.to_owned() } else { prefix.join(directory) };
            let Some(path) = path.to_str().filter(|_| path.is_dir()) else { continue };
            let value = self.0.entry(variable).or_default();
            *value = if value.is_empty() { path.to_owned() } else { format!("{path}:{value}") };
        }
    }

    /// `NAME=value` for each variable, `PATH` first and the others by name, as Spack writes them.
    pub(super) fn to_entries(&self) -> Vec<String> {
        let (path, others): (Vec<_>, Vec<_>) = self.0.iter().partition(|(name, _)| **name == "PATH");
        path.into_iter().chain(others).map(|(name, value)| format!("{name}={value}")).collect()
    }
}
