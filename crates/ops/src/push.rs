//! `buildcache push`: installed packages → layers, configs, manifests and tags of a cache.
//!
//! [`plan`] says what would be pushed and what not, and why; [`execute`] does it.

mod bases;
mod environments;
mod execute;
mod journal;
mod pack;
mod package;
mod plan;
mod reuse;
pub(crate) mod scratch;
mod size;
mod tagged_image;
mod tagging;

pub use environments::Sources;
pub use execute::execute;
pub use plan::{Only, Planned, PlannedImage, PushPlan, PushRequest, Unavailable, plan};

use serde::Serialize;
use strata_oci::Repository;
use strata_spec::DagHash;

/// Opens the cache at a URL that packages came from; none if it cannot be used.
pub type CacheOpener<'o> = &'o dyn Fn(&str) -> Option<Box<dyn Repository>>;

/// What became of a push.
#[derive(Debug, Default, Serialize)]
pub struct PushSummary {
    /// Packages whose manifest was written.
    pub pushed: Vec<Pushed>,
    /// Labels of packages that the cache had already.
    pub present: Vec<String>,
    /// Packages that are recorded but not installed.
    pub unavailable: Vec<Unavailable>,
    /// Packages that failed.
    pub failed: Vec<Failure>,
    /// Labels of packages whose layer an interrupted push had uploaded, so that it was neither packed nor sent again.
    pub resumed: Vec<String>,
    /// Labels of packages that came from another cache and are as they came: their layers were taken from there.
    pub reused: Vec<String>,
    /// The image of all roots, if one was asked for and written. It is told beside the summary of packages.
    #[serde(skip)]
    pub image: Option<PushedImage>,
}

/// An image of several packages that is in the cache now.
#[derive(Debug, Serialize)]
pub struct PushedImage {
    /// What it is called.
    pub reference: String,
    /// Of its manifest.
    pub digest: String,
    /// What it was put on.
    pub base: Option<String>,
    /// How many layers it has, those of the base included.
    pub layers: usize,
    /// Bytes of all its layers.
    pub size: u64,
    /// Labels of its roots.
    pub roots: Vec<String>,
    /// Labels of the packages in it, dependencies first.
    pub packages: Vec<String>,
    /// Labels of packages whose layers the cache lacks: the image may not run.
    pub missing_layers: Vec<String>,
}

impl PushSummary {
    /// The hashes of the packages whose manifest was written.
    pub fn hashes(&self) -> Vec<DagHash> {
        self.pushed.iter().map(|pushed| pushed.hash.clone()).collect()
    }
}

/// A package that is in the cache now.
#[derive(Debug, Serialize)]
pub struct Pushed {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: DagHash,
    /// The tag written.
    pub tag: String,
    /// Digest of the layer.
    pub layer: String,
    /// Digest of the uncompressed tar.
    pub diff_id: String,
    /// Size of the layer in bytes.
    pub size: u64,
    /// Labels of runtime dependencies whose layers the cache lacks: the package installs, its image does not run.
    pub missing_layers: Vec<String>,
}

/// A package that could not be pushed.
#[derive(Debug, Serialize)]
pub struct Failure {
    /// Label of the package.
    pub package: String,
    /// What went wrong.
    pub message: String,
    /// The error itself, for its kind.
    #[serde(skip)]
    pub error: crate::Error,
}

impl Failure {
    pub(crate) fn new(package: String, error: crate::Error) -> Self {
        Self { package, message: crate::error::chain(&error), error }
    }
}
