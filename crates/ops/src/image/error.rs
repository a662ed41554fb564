//! What can go wrong with an image.

use super::archive::ArchiveError;
use crate::error::shortened;
use std::path::PathBuf;

/// Something is wrong with an image, with what it is made of, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// More layers are wanted than a base leaves room for.
    #[error(
        "the base has {base} layers, which leaves room for {room} of the {} that an image can have; {wanted} are wanted",
        super::budget::MOST
    )]
    NoRoomForLayers {
        /// How many layers the base has.
        base: usize,
        /// How many layers there are to be on top of it.
        wanted: usize,
        /// How many there may be.
        room: usize,
    },
    /// The packages cannot be packed into so few layers.
    #[error("too few layers: an image needs {least} at least, and may have {budget}")]
    TooFewLayers {
        /// How many there may be.
        budget: usize,
        /// How many there must be.
        least: usize,
    },
    /// Packages of several architectures in one image.
    #[error(
        "{one} is for {one_architecture}, and {other} for {other_architecture}: they cannot be in one image"
    )]
    SeveralArchitectures {
        /// Label of a package.
        one: String,
        /// Its architecture.
        one_architecture: String,
        /// Label of another.
        other: String,
        /// The architecture of that.
        other_architecture: String,
    },
    /// A base image that nothing can be put on.
    #[error("base image {base} cannot be used: {reason}")]
    BadBase {
        /// The image.
        base: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The packages need another C library, or a newer one, than the base has.
    #[error("base {base} has {has}, and {package} needs {needs}")]
    BaseLibc {
        /// The base image.
        base: String,
        /// What it has: `glibc@2.28`.
        has: String,
        /// Label of a package.
        package: String,
        /// What that needs: `glibc@2.36`.
        needs: String,
    },
    /// No C library was found in the base, and the packages need one.
    #[error("base {base} has no C library, and {package} needs {needs}: nothing would run")]
    BaseWithoutLibc {
        /// The base image.
        base: String,
        /// Label of a package.
        package: String,
        /// What that needs: `glibc@2.36`.
        needs: String,
    },
    /// Packages that belong into an image are not to be had.
    #[error("the image would not be whole: {place} does not have {}", shortened(packages))]
    Incomplete {
        /// Where they were looked for.
        place: String,
        /// Labels of the packages.
        packages: Vec<String>,
    },
    /// A variable that no program could be started with.
    #[error(
        "{name} of the image's environment has {length} bytes, and no program starts with more than {limit}"
    )]
    VariableTooLong {
        /// Its name.
        name: String,
        /// Bytes, of name and value.
        length: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A tag that is for packages.
    #[error("`{tag}` cannot be the tag of an image: tags that end in .spack are those of packages")]
    PackageTag {
        /// The tag.
        tag: String,
    },
    /// An image was not tagged because packages of it failed.
    #[error("{tag} was not tagged, because of the packages that failed")]
    ImageNotTagged {
        /// The tag.
        tag: String,
    },
    /// Layers cannot be merged.
    #[error("cannot merge the layers of {packages}")]
    Merge {
        /// Labels of the packages.
        packages: String,
        /// What is wrong.
        source: strata_layer::merge::MergeError,
    },
    /// Two targets that would be the same image to whoever pulls it.
    #[error("targets {} and {} are both of {platform}: an index has one image for each platform", targets[0], targets[1])]
    SamePlatform {
        /// The platform.
        platform: String,
        /// The targets.
        targets: [String; 2],
    },
    /// Two images for one place of an index.
    #[error("{} and {} are both for {platform}: an index has one image for each platform", images[0], images[1])]
    SameImagePlatform {
        /// The platform.
        platform: String,
        /// The images.
        images: [String; 2],
    },
    /// Media types of both families, which engines refuse in one index.
    #[error("{} uses {}'s media types, and {} {}'s: an index has images of one kind", .0[0].0, .0[0].1, .0[1].0, .0[1].1)]
    MixedFamilies([(String, &'static str); 2]),
    /// An image that does not say what it runs on.
    #[error("{image} does not say for which platform it is")]
    NoPlatform {
        /// The image.
        image: String,
    },
    /// An index in an index.
    #[error("{image} is an index within an index: add its images")]
    NestedIndex {
        /// The index within.
        image: String,
    },
    /// What is under a reference is something else than an image.
    #[error("{reference} is no container image")]
    NoImage {
        /// The reference.
        reference: String,
        /// What its config lacks.
        source: strata_oci::ManifestError,
    },
    /// Others write an index all the time.
    #[error("others kept writing {reference}: it may lack what was to be changed")]
    IndexContended {
        /// The index.
        reference: String,
    },
    /// An index would have no image any more.
    #[error("{reference} would have no image left")]
    NothingLeft {
        /// The index.
        reference: String,
    },
    /// The layer of a package cannot be read.
    #[error("the layer of {package} in {place} cannot be read")]
    UnreadableLayer {
        /// Label of the package.
        package: String,
        /// The repository.
        place: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A layer of an old kind, which has no place in an image.
    #[error(
        "the layer of {package} does not say where its files belong: it is of an old kind, which is no layer of an image"
    )]
    NoPrefix {
        /// Label of the package.
        package: String,
    },
    /// There can be no view in that directory.
    #[error("a view cannot be made at {}: {reason}", root.display())]
    ViewRoot {
        /// The directory asked for.
        root: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An image cannot be written to an archive.
    #[error("cannot write the archive {}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why not.
        source: Box<ArchiveError>,
    },
}
