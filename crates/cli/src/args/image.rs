//! `strata image …`.

use super::{Unify, values};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use strata_oci::{ImageReference, Platform};
use strata_ops::image::build::Destination;

#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// Make an image of packages that a cache has, without installing them
    ///
    /// Where image and packages are in one repository, only a config and a manifest are written. Layers that are elsewhere are
    /// mounted if the registry can, else copied.
    Build(Box<Build>),
    /// Put images of several platforms under one tag
    Index(Index),
    /// Say what is in an image
    ///
    /// Any image can be looked at. Which packages a layer holds is known of images that Spack or strata made. No layer is
    /// read.
    Inspect(Inspect),
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// What is to run in the image: specs as Spack knows them, or /HASH; or else the roots of the environment (-e)
    pub(crate) specs: Vec<String>,
    /// Name of a mirror, or URL of a cache; may be given more than once [default: all configured mirrors]
    #[arg(short, long, value_name = "MIRROR")]
    pub(crate) mirror: Vec<String>,
    // No comment of documentation, in which what may be left out would be a link.
    #[arg(
        short,
        long,
        value_name = "REF",
        help = "Where the image goes: a tag in the one mirror given, or [oci://|oci+http://]HOST/NAME:TAG, \
                oci+file:///DIR:TAG, oci-archive:FILE[:NAME], docker-archive:FILE[:NAME:TAG]"
    )]
    pub(crate) tag: Destination,
    /// The image to put the packages on, by its reference as with docker pull; oci+http:// and oci+file:// are
    /// understood, too
    #[arg(long, value_name = "REF")]
    pub(crate) base_image: Option<ImageReference>,
    /// Layers on top of the base, at most [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_layers: Option<u16>,
    /// A directory of the image in which links bring together what the roots have in bin, lib, share, …; the roots'
    /// layers are read for it
    #[arg(long, value_name = "DIR")]
    pub(crate) view: Option<PathBuf>,
    /// Put packages on the base whether its C library can run them or not
    #[arg(long)]
    pub(crate) no_libc_check: bool,
    /// Make the image although packages that it needs are in no cache
    #[arg(long)]
    pub(crate) allow_incomplete: bool,
    /// The processor that the image is for, by archspec's name; several times for an index of several images
    /// [default: this machine's; that of an environment's packages]
    #[arg(long, value_name = "TARGET")]
    pub(crate) target: Vec<String>,
    /// The operating system that the packages were built on, by Spack's name [default: any; with a base, its C library
    /// decides]
    #[arg(long, value_name = "OS")]
    pub(crate) os: Option<String>,
    /// How several specs relate to each other
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) unify: Unify,
    /// Say what the image would be made of, and write nothing
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    // The last, because its heading is that of all options which follow it.
    #[command(flatten)]
    pub(crate) runtime: Runtime,
}

/// How a container is started.
#[derive(Debug, Args)]
#[command(next_help_heading = "Starting a container")]
pub(crate) struct Runtime {
    /// The program that is started: a JSON array, or the option once for each word. No word is ever split
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub(crate) entrypoint: Vec<String>,
    /// What is run, or the arguments of the entrypoint, in the same way
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub(crate) cmd: Vec<String>,
    /// Set a variable after all others; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Give the image a label; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::variable)]
    pub(crate) label: Vec<(String, String)>,
    /// The directory to start in, as an absolute path
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<String>,
    /// The user to start as
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Index {
    /// The index, made if it is not there: [oci://|oci+http://]HOST/NAME:TAG or oci+file:///DIR:TAG
    #[arg(value_name = "REF")]
    pub(crate) reference: ImageReference,
    /// An image to put in, or an index whose images are put in; takes the place of what is there for the same platform
    #[arg(long, value_name = "REF", required_unless_present = "remove")]
    pub(crate) add: Vec<ImageReference>,
    /// Remove what is there for a platform: OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) remove: Vec<Platform>,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The image: [oci://|oci+http://]HOST/NAME:TAG, with @DIGEST instead of :TAG, or oci+file:///DIR:TAG
    #[arg(value_name = "REF")]
    pub(crate) reference: ImageReference,
    /// Of an index, only the image for OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    pub(crate) platform: Option<Platform>,
    /// Do not look which layers other tags of the repository have
    #[arg(long)]
    pub(crate) no_shared: bool,
}
