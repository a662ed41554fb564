//! `install`: from specs in caches to relocated, registered packages in a store.
//!
//! [`resolve`](crate::resolve) finds the specs, [`plan`] says what is missing and where each package comes from,
//! [`execute`] installs. Every package appears complete or not at all: it is staged beside the database, renamed
//! into place and recorded, dependencies before dependents.

mod commit;
mod downloads;
mod execute;
mod fit;
mod package;
mod plan;
mod share;
mod site;
mod workers;

pub use execute::execute;
pub(crate) use plan::is_there;
pub use plan::{InstallPlan, Only, PlanOptions, PlannedInstall, plan};
pub use site::Site;

use crate::resolve::Chosen;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use strata_store::LinkMode;

/// How to install.
#[derive(Clone, Copy, Debug, Default)]
pub struct InstallOptions {
    /// Packages worked on at the same time.
    pub jobs: usize,
    /// Count what still names an old prefix afterwards; reads every file once more.
    pub count_leftovers: bool,
    /// Wait until the contents of files are on the disk before they are recorded; names always are.
    pub flush: bool,
    /// How files are installed that another package of the store has as well.
    pub link: LinkMode,
}

/// What became of an installation.
#[derive(Debug, Default, Serialize)]
pub struct InstallSummary {
    /// What was chosen for each spec that was asked for.
    pub chosen: Vec<Chosen>,
    /// Packages that are installed now.
    pub installed: Vec<Installed>,
    /// Labels of packages that were there already.
    pub present: Vec<String>,
    /// Packages that failed, and why.
    pub failed: Vec<Failure>,
}

/// A package that was installed.
#[derive(Debug, Serialize)]
pub struct Installed {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: String,
    /// Where it is.
    pub prefix: PathBuf,
    /// Whether it was asked for.
    pub explicit: bool,
    /// Whether it took the place of what was there.
    pub replaced: bool,
    /// Regular files in it.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Files, links and first lines that relocation changed.
    pub relocated: u64,
    /// How many files still name an old prefix, by kind of file; empty unless it was counted.
    pub leftovers: BTreeMap<String, usize>,
}

/// A package that could not be installed.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Label of the package.
    pub package: String,
    /// What went wrong.
    pub message: String,
    /// Whether it was asked for.
    pub explicit: bool,
    /// The error itself, for its kind.
    #[serde(skip)]
    pub error: crate::Error,
}
