//! `strata buildcache …`.

use super::{From, values};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use strata_layer::compression::Method;
use strata_oci::{ImageReference, TagName};

#[derive(Debug, Subcommand)]
pub(crate) enum Buildcache {
    /// Push installed packages and what they need at run time into a cache
    Push(Push),
    /// Write the index that tells readers which packages a cache has
    #[command(visible_alias = "rebuild-index")]
    UpdateIndex(UpdateIndex),
    /// List the packages of a cache
    List(List),
    /// Say whether packages are in a cache, whole and readable
    Check(Check),
    /// Compare the index of a cache with what it has
    CheckIndex(CheckIndex),
    /// Copy packages from a cache to a directory that can be installed from
    Download(Download),
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Name of a mirror, or URL of a cache
    pub(crate) mirror: String,
    /// What to push, each the spec of one installed package; if none is given, the roots of the environment (-e), or else every
    /// explicitly installed package
    pub(crate) specs: Vec<String>,
    /// Push what the cache has already, too; with --base-image, only its images are made anew, and no layer is packed
    #[arg(short, long)]
    pub(crate) force: bool,
    /// The image to put the packages on, by its reference as with docker pull; oci+http:// and oci+file:// are
    /// understood, too
    #[arg(long, value_name = "REF")]
    pub(crate) base_image: Option<ImageReference>,
    /// Write one image of all that was named, and what it needs at run time, under this tag as well
    #[arg(short, long, value_name = "TAG")]
    pub(crate) tag: Option<TagName>,
    /// Layers of one image on top of the base, at most [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_layers: Option<u16>,
    /// Put packages on the base whether its C library can run them or not
    #[arg(long, requires = "base_image")]
    pub(crate) no_libc_check: bool,
    /// Write the image of --tag although layers are missing from it
    #[arg(long, requires = "tag")]
    pub(crate) allow_incomplete: bool,
    /// Push the packages named alone, or their dependencies alone
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) only: Option<Only>,
    /// Push what the packages were built with, too, as far as it is installed
    #[arg(long, conflicts_with = "without_build_dependencies")]
    pub(crate) with_build_dependencies: bool,
    /// Push what is needed at run time alone, which is what happens anyway
    #[arg(long)]
    pub(crate) without_build_dependencies: bool,
    /// Update the index of the cache afterwards, which is what happens anyway
    #[arg(long, visible_alias = "rebuild-index")]
    pub(crate) update_index: bool,
    /// Leave the index of the cache as it is: what is pushed is not found there until it is updated
    #[arg(long, conflicts_with = "update_index")]
    pub(crate) no_update_index: bool,
    /// How layers are compressed: gzip, zstd, zstd:LEVEL (1 to 22; 3 if none is given) or none. Any Spack installs from gzip and none;
    /// zstd takes strata, or Spack on Python 3.14 or newer, and Docker 23 or newer, podman or skopeo for the images
    /// [default: gzip]
    #[arg(long, value_name = "HOW")]
    pub(crate) compression: Option<Method>,
    /// Packages packed at the same time [default: number of cores]
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Say what would be pushed, and push nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Accepted for command lines written for Spack: packages in OCI caches are never signed
    #[arg(short, long)]
    pub(crate) unsigned: bool,
    /// How blobs are sent: monolithic, single-post, chunked or chunked:SIZE, for registries that want it otherwise
    #[arg(long, value_name = "HOW", default_value = "monolithic", value_parser = values::upload_mode)]
    pub(crate) upload: strata_oci::UploadMode,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Only {
    Package,
    Dependencies,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateIndex {
    /// Name of a mirror, or URL of a cache
    pub(crate) mirror: String,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Specs of packages to list; all if none is given
    pub(crate) specs: Vec<String>,
    /// Name of a mirror, or URL of a cache; all configured mirrors if none is given
    #[arg(short, long, value_name = "MIRROR")]
    pub(crate) mirror: Vec<String>,
    /// List what does not run on this machine, too, and say why it does not
    #[arg(short, long, visible_alias = "allarch")]
    pub(crate) all: bool,
    /// Show the hash of each package
    #[arg(short, long)]
    pub(crate) long: bool,
    /// Show the whole hash of each package
    #[arg(short = 'L', long)]
    pub(crate) very_long: bool,
    /// Show namespaces
    #[arg(short = 'N', long)]
    pub(crate) namespaces: bool,
    /// Show variants, compiler flags and architecture; -v does, too
    #[arg(long)]
    pub(crate) variants: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Specs of packages that are installed, or else all that match in any of the mirrors; every explicitly installed
    /// package if none is given
    pub(crate) specs: Vec<String>,
    /// Name of a mirror, or URL of a cache; all configured mirrors if none is given, each of which must have everything
    #[arg(short, long, value_name = "MIRROR", visible_alias = "mirror-url")]
    pub(crate) mirror: Vec<String>,
    /// Write what has to be built again to this file, as JSON, by mirror
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckIndex {
    /// Name of a mirror, or URL of a cache
    pub(crate) mirror: String,
    /// What to look at
    #[arg(long, value_enum, value_name = "WHAT", num_args = 1.., value_delimiter = ',', default_value = "manifests")]
    pub(crate) verify: Vec<Verify>,
    /// Write the findings to this file, as JSON
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verify {
    /// That there is an index
    Exists,
    /// That it has a package for each tag, and the other way round
    Manifests,
    /// That the config and layers of each package are there
    Blobs,
    /// That each spec has the hash that it is listed under
    Hashes,
    /// All of these
    All,
}

#[derive(Debug, Args)]
pub(crate) struct Download {
    /// Specs of packages; of each, what `strata install` would take
    #[arg(required_unless_present = "spec")]
    pub(crate) specs: Vec<String>,
    /// Another spec, for command lines written for Spack
    #[arg(short, long, value_name = "SPEC")]
    pub(crate) spec: Option<String>,
    /// The directory, which becomes an OCI image layout or has to be one
    #[arg(short, long, value_name = "DIR")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) from: From,
    /// Copy the packages named alone, or what they need at run time alone
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) only: Option<Only>,
}
