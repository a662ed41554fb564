//! Which directories of a prefix are prepended to which variables: Spack's *prefix inspections*.

use super::computed::below;
use super::variables::normal;
use std::path::PathBuf;
use std::sync::LazyLock;
use strata_config::PrefixInspections;

/// Which directories of a prefix are prepended to which variables, in the order in which they are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspections(pub Vec<(PathBuf, Vec<String>)>);

impl Default for Inspections {
    /// Those of Spack's own `modules.yaml`.
    fn default() -> Self {
        Self::from(&PrefixInspections::default())
    }
}

impl From<&PrefixInspections> for Inspections {
    fn from(configured: &PrefixInspections) -> Self {
        Self(configured.iter().map(|(path, names)| (PathBuf::from(normal(path)), names.to_vec())).collect())
    }
}

impl Inspections {
    /// Those of Spack's own `modules.yaml`.
    pub(super) fn spacks() -> &'static Self {
        static SPACKS: LazyLock<Inspections> = LazyLock::new(Inspections::default);
        &SPACKS
    }

    /// Whether a variable is one of theirs.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(_, names)| names.iter().any(|known| known == name))
    }

    /// Whether they can have put `entry` into a variable because of `prefix`.
    pub(crate) fn explains(&self, name: &str, entry: &str, prefix: &str) -> bool {
        if !entry.starts_with(prefix) {
            return false;
        }
        let mut of_name = self.0.iter().filter(|(_, names)| names.iter().any(|known| known == name));
        of_name.any(|(directory, _)| normal(&below(prefix, directory)) == entry)
    }
}
