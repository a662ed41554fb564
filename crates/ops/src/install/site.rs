//! [`Site`]: where packages are installed, and what holds for all that is installed there.

use std::collections::HashMap;
use strata_store::{AccessPolicy, Installed, LockSettings, Projections, StoreRoot};

/// A store that packages go to, which need not exist yet.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where it is.
    pub root: StoreRoot,
    /// How it is locked, and who is told of waiting.
    pub locks: LockSettings,
    /// Which directories new packages get.
    pub projections: Projections,
    /// Who may read and write packages, by their names. What it says nothing of is for everybody to read and for the
    /// owner to write.
    pub access: HashMap<String, AccessPolicy>,
    /// Who may read and write those that `access` does not name, if anything is said of them.
    pub access_of_others: Option<AccessPolicy>,
    /// What is there already, in the store and in those below it.
    pub installed: Installed,
}

impl Site {
    /// A store with nothing in it, and Spack's defaults.
    pub fn new(root: StoreRoot) -> Self {
        Self {
            root,
            locks: LockSettings::default(),
            projections: Projections::default(),
            access: HashMap::new(),
            access_of_others: None,
            installed: Installed::default(),
        }
    }

    /// The same with what is installed there.
    #[must_use]
    pub fn with(self, installed: Installed) -> Self {
        Self { installed, ..self }
    }

    /// What is said of the permissions of a package.
    pub(super) fn access_of(&self, package: &str) -> Option<&AccessPolicy> {
        self.access.get(package).or(self.access_of_others.as_ref())
    }
}
