//! `image build`: an image of packages that caches have. Nothing is installed, and no layer passes through here that the
//! registry can take from the cache itself.
//!
//! [`plan`] resolves the specs for each target and finds the layers; [`execute`] makes the layers available where the image
//! is to be, and writes configs, manifests and the tag. [`Destination`] says where that is.

mod destination;
mod execute;
mod layers;
mod plan;
mod prefix_view;

pub use destination::{Destination, InvalidDestination};
pub use execute::{execute, to_archive};
pub use plan::{BuildPlan, PlannedImage, plan};

use super::{BaseSource, Budget, Runtime};
use crate::resolve::{Mirror, Unify};
use jiff::Timestamp;
use serde::Serialize;
use std::path::Path;
use strata_spec::AbstractSpec;

/// What to build.
pub struct BuildRequest<'r> {
    /// The roots.
    pub specs: &'r [AbstractSpec],
    /// How they relate to each other.
    pub unify: Unify,
    /// The processors that the images are for, by archspec's name: one image for each. Without any, the packages that
    /// are found decide.
    pub targets: &'r [String],
    /// The operating system that the packages were built on, by Spack's name.
    pub os: Option<&'r str>,
    /// The caches that have the packages.
    pub mirrors: &'r [Mirror],
    /// Where indexes are kept.
    pub kept: Option<&'r Path>,
    /// What is below.
    pub base: Option<&'r BaseSource>,
    /// How a container is started.
    pub runtime: &'r Runtime,
    /// How many layers there may be.
    pub budget: Budget,
    /// A directory of the image with links to what the roots have.
    pub view: Option<&'r Path>,
    /// Leave out packages that no cache has, instead of refusing.
    pub allow_incomplete: bool,
    /// Where it is noted which layers were merged to what.
    pub merged: Option<&'r Path>,
    /// Threads that compress.
    pub jobs: usize,
    /// `created` of the image (`SOURCE_DATE_EPOCH`); the time of the newest package otherwise.
    pub created: Option<Timestamp>,
}

/// What a build did.
#[derive(Debug, Serialize)]
pub struct BuildSummary {
    /// Where the image is.
    pub reference: String,
    /// Digest of what the reference leads to: the manifest, or the index of several.
    pub digest: String,
    /// The images, one for each platform.
    pub images: Vec<BuiltImage>,
}

/// An image that was written.
#[derive(Debug, Serialize)]
pub struct BuiltImage {
    /// What it runs on: `linux/amd64`.
    pub platform: String,
    /// Labels of the packages that were asked for.
    pub roots: Vec<String>,
    /// Digest of its manifest.
    pub digest: String,
    /// Digest of its config.
    pub config: String,
    /// The base image, as it was asked for, and the digest of its manifest.
    pub base: Option<BaseUsed>,
    /// How many packages are in it.
    pub packages: usize,
    /// How many layers it has, the base's included.
    pub layers: usize,
    /// Size of all layers in bytes, compressed.
    pub size: u64,
    /// How many of them were put together of several packages' layers, or were there from an earlier time.
    pub merged: usize,
    /// What became of the packages' own layers.
    pub moved: Moved,
    /// Labels of packages that are not in it, because no cache has them.
    pub missing: Vec<String>,
    /// Labels of packages whose environment is not known as a whole.
    pub unclear: Vec<String>,
    /// How many paths several roots have, of which the view has one only.
    pub hidden: usize,
}

/// The base of an image.
#[derive(Clone, Debug, Serialize)]
pub struct BaseUsed {
    /// As it was asked for.
    pub reference: String,
    /// Digest of its manifest for the platform.
    pub digest: String,
}

/// How the layers of packages came to be where the image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Layers that were there.
    pub there: usize,
    /// Layers that the registry took from another of its repositories.
    pub mounted: usize,
    /// Layers that were downloaded and uploaded.
    pub sent: usize,
    /// The bytes of these.
    pub bytes_sent: u64,
}
