//! What can go wrong in an operation.

use std::path::{Path, PathBuf};
use strata_oci::{Digest, ErrorKind};
use strata_spec::spec_json::InvalidSpec;

/// An operation failed. Each variant names the file, URL or spec it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing of that description is there.
    #[error("no spec matches `{spec}` in {place}")]
    NoSuchSpec {
        /// What was asked for.
        spec: String,
        /// Where it was looked for.
        place: String,
    },
    /// No cache has a binary that can be used, or none that could be asked.
    #[error("{0}")]
    NoBinary(Box<crate::explain::Explanation>),
    /// An index lacks a package that its cache has.
    #[error("no index lists `{spec}`, but the tags of {place} have {package}")]
    NotIndexed {
        /// What was asked for.
        spec: String,
        /// Label of what is there.
        package: String,
        /// The mirrors that have it.
        place: String,
    },
    /// The specs that were asked for do not go together.
    #[error("{0}")]
    Conflict(crate::resolve::Conflict),
    /// A spec without a name is one of several packages.
    #[error("`{spec}` is true of {} packages in {place}: {}", packages.len(), shortened(packages))]
    ManyPackages {
        /// What was asked for.
        spec: String,
        /// Where it was looked for.
        place: String,
        /// Their names.
        packages: Vec<String>,
    },
    /// A record of an index or a database is not what it has to be.
    #[error("the record of {package} cannot be used: {reason}")]
    BadRecord {
        /// Label of the package.
        package: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There are binaries, and none runs on this machine.
    #[error("{} for `{spec}` in {place}, and none runs on this machine: {reason}", binaries(*count))]
    NoneRunsHere {
        /// What was asked for.
        spec: String,
        /// Where it was looked for.
        place: String,
        /// How many there are.
        count: usize,
        /// Why the most of them do not.
        reason: String,
    },
    /// A package is not in a cache.
    #[error("{package} is not in {place}")]
    NotCached {
        /// Label of the package.
        package: String,
        /// The repository.
        place: String,
    },
    /// What a package consists of does not fit together.
    #[error("{package} in {place} is not whole: {reason}")]
    NotWhole {
        /// Label of the package, or its tag.
        package: String,
        /// The repository.
        place: String,
        /// What is missing or does not fit.
        reason: String,
    },
    /// There is no index.
    #[error("{place} has no index")]
    NoIndex {
        /// The repository.
        place: String,
    },
    /// The index is not that of the tags.
    #[error(
        "the index of {place} is out of date: it lacks {unindexed} of the packages that are there, and has {missing} that are not"
    )]
    StaleIndex {
        /// The repository.
        place: String,
        /// How many packages are in it and not in the cache.
        missing: usize,
        /// How many packages are in the cache and not in it.
        unindexed: usize,
    },
    /// A spec is listed under a hash that is not its own.
    #[error("the index of {place} is wrong: {mismatch}")]
    WrongHash {
        /// The repository.
        place: String,
        /// What is wrong.
        mismatch: Box<strata_spec::dag_hash::HashMismatch>,
    },
    /// More than one spec is meant.
    #[error("`{spec}` matches {} specs in {place}:\n  {}", candidates.len(), shortened_lines(candidates))]
    Ambiguous {
        /// What was asked for.
        spec: String,
        /// Where it was looked for.
        place: String,
        /// One line each.
        candidates: Vec<String>,
    },
    /// A mirror could not be asked, and no other has the spec.
    #[error("cannot tell whether there is a binary of `{spec}`: {} could not be asked", failures.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>().join(", "))]
    Unasked {
        /// What was asked for.
        spec: String,
        /// Mirror and what happened.
        failures: Vec<(String, String)>,
    },
    /// No mirror was named and none is configured.
    #[error("no mirror to read from: none is named, and none is configured")]
    NoMirrors,
    /// A package is recorded as installed, and its prefix is gone.
    #[error("it is recorded as installed, but its prefix {} does not exist", prefix.display())]
    PrefixMissing {
        /// Where it should be.
        prefix: PathBuf,
    },
    /// Nothing that was asked for is installed.
    #[error("nothing to push: {}", packages.iter().map(|p| format!("{} ({})", p.package, p.reason)).collect::<Vec<_>>().join(", "))]
    NothingInstalled {
        /// What was asked for.
        packages: Vec<crate::push::Unavailable>,
    },
    /// A thread that worked on a package panicked: a bug.
    #[error("strata has a bug: the panic message above says where")]
    Panicked,
    /// The root of the install tree that is there is not the one asked for.
    #[error("{} is an install tree already, and its root is not padded to {length} bytes", existing.display())]
    OtherPadding {
        /// The root that is there.
        existing: PathBuf,
        /// The length asked for.
        length: usize,
    },
    /// A tag that should be a package is not one.
    #[error("{tag} in {place} is not a package: its config has no spec, or it has no layer")]
    NotAPackage {
        /// The tag.
        tag: String,
        /// The repository.
        place: String,
    },
    /// The spec in a package's config cannot be read.
    #[error("the config of {tag} in {place} holds no usable spec")]
    InvalidSpec {
        /// The tag.
        tag: String,
        /// The repository.
        place: String,
        /// What is wrong with it.
        source: InvalidSpec,
    },
    /// A tag leads to another package than its name says.
    #[error("{tag} in {place} holds {found}, not the package its name says")]
    WrongPackage {
        /// The tag.
        tag: String,
        /// The repository.
        place: String,
        /// Label of what is there.
        found: String,
    },
    /// The index cannot be read.
    #[error("the index of {place} cannot be read: {reason}")]
    InvalidIndex {
        /// The repository.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A dependency is in no mirror.
    #[error("{dependent} needs {dependency}, which no mirror has")]
    MissingDependency {
        /// Label of the package that needs it.
        dependent: String,
        /// Label of what is missing.
        dependency: String,
    },
    /// A package that this one needs could not be installed.
    #[error("not installed because {dependency}, which it needs, could not be installed")]
    DependencyFailed {
        /// Label of the dependency.
        dependency: String,
    },
    /// A package that this one needs was there, and went away while this one was being installed.
    #[error("not installed because {dependency}, which it needs, was uninstalled meanwhile")]
    DependencyGone {
        /// Label of the dependency.
        dependency: String,
    },
    /// A spliced spec: its files refer to the packages it was built with, not to those it runs with.
    #[error("{package} is a spliced spec, which strata cannot install yet")]
    Spliced {
        /// Label of the package.
        package: String,
    },
    /// Paths in the files cannot hold the new root.
    #[error("{package} cannot be installed under {}: {reason}{}", root.display(), longest(*longest_root))]
    DoesNotFit {
        /// Label of the package.
        package: String,
        /// The root asked for.
        root: PathBuf,
        /// Which string in which file.
        reason: String,
        /// Length in bytes of the longest root that works, if any does.
        longest_root: Option<usize>,
    },
    /// The layout of the package is newer than strata.
    #[error("{tag} in {place} has layout version {version}, which this version of strata does not know")]
    UnknownLayout {
        /// The tag.
        tag: String,
        /// The repository.
        place: String,
        /// The version.
        version: u64,
    },
    /// The uncompressed layer is not what the config says.
    #[error("the layer of {package} in {place} unpacks to {found}, and its config says {expected}")]
    DiffId {
        /// Label of the package.
        package: String,
        /// The repository.
        place: String,
        /// What the config says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The layer holds no `.spack/spec.json`.
    #[error("the layer of {package} has no .spack/spec.json: it is not a Spack package")]
    NoSpecFile {
        /// Label of the package.
        package: String,
    },
    /// Something that is not ours lies where the package should go.
    #[error("{package} cannot be installed: {} exists and is not recorded as this package", prefix.display())]
    ForeignPrefix {
        /// Label of the package.
        package: String,
        /// The prefix.
        prefix: PathBuf,
    },
    /// Two packages would go to one place.
    #[error("{one} and {other} would both be installed in {}", prefix.display())]
    SamePrefix {
        /// Label of the one.
        one: String,
        /// Label of the other.
        other: String,
        /// Where both would go.
        prefix: PathBuf,
    },
    /// What was to be changed is in a store that is only read.
    #[error("{package} is installed in the upstream {upstream} ({}), which strata only reads", root.display())]
    Upstream {
        /// Label of the package.
        package: String,
        /// Name of the upstream.
        upstream: String,
        /// Its root.
        root: PathBuf,
    },
    /// The projections of the install tree.
    #[error(transparent)]
    Projection(#[from] strata_store::ProjectionError),
    /// The permissions of a package.
    #[error(transparent)]
    Access(#[from] strata_store::AccessError),
    /// Others still depend on it.
    #[error("{package} is needed by {}", dependents.join(", "))]
    HasDependents {
        /// Label of the package.
        package: String,
        /// Labels of the packages that need it.
        dependents: Vec<String>,
    },
    /// Files of a package are not what was installed, or lack what they need.
    #[error("{package}: {count} of its files {what}")]
    Differs {
        /// Label of the package.
        package: String,
        /// How many files.
        count: usize,
        /// What is the matter with them.
        what: &'static str,
    },
    /// A prefix that is not taken for a package.
    #[error("{} is left out: {reason}", prefix.display())]
    PrefixLeftOut {
        /// The prefix.
        prefix: PathBuf,
        /// Why.
        reason: strata_store::Reason,
    },
    /// Somebody came to need a package, or removed it, after it was chosen for removal.
    #[error("{package} was not needed when this began, and is now, or is gone")]
    NeededMeanwhile {
        /// Label of the package.
        package: String,
    },
    /// A node of the DAG is not recorded.
    #[error(transparent)]
    MissingNode(#[from] strata_spec::dag::MissingNode),
    /// A registry or a layout.
    #[error(transparent)]
    Repository(Box<strata_oci::Error>),
    /// A URL that is none of a cache, or a tag that cannot be one.
    #[error(transparent)]
    Reference(#[from] strata_oci::ReferenceError),
    /// The name or version of a package cannot be part of a tag.
    #[error(transparent)]
    Tag(#[from] strata_oci::TagError),
    /// A manifest or config.
    #[error(transparent)]
    Document(#[from] strata_oci::ManifestError),
    /// The install tree.
    #[error(transparent)]
    Store(#[from] strata_store::StoreError),
    /// Where the install tree is.
    #[error(transparent)]
    Root(#[from] strata_store::RootError),
    /// The root is too long for scripts.
    #[error(transparent)]
    SbangTooLong(#[from] strata_store::root::SbangTooLong),
    /// sbang cannot be written.
    #[error(transparent)]
    Sbang(#[from] strata_store::sbang::SbangError),
    /// Staging a package.
    #[error(transparent)]
    Stage(#[from] strata_store::stage::StageError),
    /// Writing the install manifest.
    #[error(transparent)]
    InstallManifest(#[from] strata_store::install_manifest::ManifestError),
    /// Recording packages.
    #[error(transparent)]
    Registration(#[from] strata_store::RegistrationError),
    /// Removing a package.
    #[error(transparent)]
    Removal(#[from] strata_store::removal::RemovalError),
    /// Packing a prefix.
    #[error(transparent)]
    Pack(#[from] strata_layer::pack::PackError),
    /// Layers cannot be written where they are to wait for their upload.
    #[error("cannot write a layer to {}", path.display())]
    Spool {
        /// The directory.
        path: PathBuf,
        /// Whether it is a directory for temporary files; else it belongs to the cache itself.
        temporary: bool,
        /// Why not.
        source: std::io::Error,
    },
    /// Extracting a layer.
    #[error("cannot extract the layer of {package}")]
    Unpack {
        /// Label of the package.
        package: String,
        /// What is wrong with it.
        source: strata_layer::unpack::UnpackError,
    },
    /// Relocating a package.
    #[error("cannot relocate {package}")]
    Relocate {
        /// Label of the package.
        package: String,
        /// What is wrong with it.
        source: strata_layer::relocate::RelocateError,
    },
    /// The prefixes that a layer names make no sense.
    #[error("cannot relocate {package}")]
    Prefixes {
        /// Label of the package.
        package: String,
        /// What is wrong with them.
        source: strata_layer::relocate::PrefixMapError,
    },
    /// The threads that compress cannot be started.
    #[error("cannot start threads to compress layers: {0}")]
    Threads(std::io::Error),
    /// An environment whose specs were not made concrete.
    #[error("environment {} has no spack.lock", directory.display())]
    NoLockfile {
        /// Its directory.
        directory: PathBuf,
    },
    /// The lockfile of an environment cannot be understood.
    #[error("{}", path.display())]
    Lockfile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: strata_spec::lockfile::InvalidLockfile,
    },
    /// The lockfile of an environment cannot be written.
    #[error("{} cannot be written", path.display())]
    UnwritableLockfile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Box<strata_spec::lockfile::UnwritableLockfile>,
    },
    /// Specs of an environment do not go together.
    #[error("{conflict}")]
    EnvironmentConflict {
        /// Which, and why.
        conflict: crate::resolve::Conflict,
        /// Whether one of them is in the lockfile already.
        with_kept: bool,
    },
    /// An environment without specs.
    #[error("environment {} has no specs", directory.display())]
    EmptyEnvironment {
        /// Its directory.
        directory: PathBuf,
    },
    /// What an environment consists of is not in the store.
    #[error("environment {} has specs that are not installed here: {}", directory.display(), shortened(packages))]
    NotInstalled {
        /// Its directory.
        directory: PathBuf,
        /// Labels of the specs.
        packages: Vec<String>,
    },
    /// A view, or its place on disk.
    #[error(transparent)]
    View(#[from] strata_store::ViewError),
    /// A view is described with something that is no spec.
    #[error("the view {view} names `{spec}`, which is no spec")]
    ViewSpec {
        /// The name of the view.
        view: String,
        /// What it names.
        spec: String,
        /// What is wrong with it.
        source: Box<strata_spec::SpecSyntaxError>,
    },
    /// A package cannot be put where a view's projections want it.
    #[error(
        "the view {view} has the projection `{projection}`, which cannot be used for {package}: {reason}"
    )]
    ViewProjection {
        /// The name of the view.
        view: String,
        /// Label of the package.
        package: String,
        /// The projection.
        projection: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two packages of one name would be in one directory of a view.
    #[error("the view {} has no place for both {first} and {second}", root.display())]
    SameProjection {
        /// The view.
        root: PathBuf,
        /// Label of the one.
        first: String,
        /// Label of the other.
        second: String,
    },
    /// A configuration file.
    #[error(transparent)]
    Config(#[from] strata_config::ConfigError),
    /// Something is needed that was left out.
    #[error("{package} needs {dependency}, which is not installed and is not to be")]
    LeftOut {
        /// Labels of what was asked for.
        package: String,
        /// Label of what is not there.
        dependency: String,
    },
    /// Environments need what was to be uninstalled.
    #[error("{} {} needed by environment {}", shortened(packages), if packages.len() == 1 { "is" } else { "are" }, shortened(environments))]
    NeededByEnvironments {
        /// Labels of the packages.
        packages: Vec<String>,
        /// Names of the environments.
        environments: Vec<String>,
    },
    /// Specs that are not part of an environment.
    #[error("nothing in environment {name} matches `{spec}`")]
    NotInEnvironment {
        /// What was asked for.
        spec: String,
        /// The environment.
        name: String,
    },
    /// An environment as a directory.
    #[error(transparent)]
    Managed(#[from] crate::environment::managed::ManagedError),
    /// Files cannot be shared between packages.
    #[error(transparent)]
    FileCache(#[from] strata_store::FileCacheError),
    /// It is about an image.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    /// JSON that should always serialise did not.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Disk.
    #[error("{}", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl From<strata_oci::Error> for Error {
    fn from(error: strata_oci::Error) -> Self {
        Self::Repository(Box::new(error))
    }
}

impl Error {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// Whether the error says that a cache gave no answer at all.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Repository(error) if error.kind() == ErrorKind::Unreachable)
    }

    /// Whether the error is about what a cache holds, and not about reaching it.
    pub(crate) fn is_about_content(&self) -> bool {
        match self {
            Self::Repository(error) => {
                matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt | ErrorKind::Invalid)
            }
            Self::NotAPackage { .. } | Self::InvalidSpec { .. } | Self::WrongPackage { .. } => true,
            Self::InvalidIndex { .. } | Self::NotWhole { .. } => true,
            Self::Document(_) | Self::Tag(_) => true,
            _ => false,
        }
    }
}

fn binaries(count: usize) -> String {
    if count == 1 { "there is 1 binary".to_owned() } else { format!("there are {count} binaries") }
}

/// The end of the message of [`Error::DoesNotFit`].
fn longest(root: Option<usize>) -> String {
    match root {
        Some(0) => "; no root is short enough".to_owned(),
        Some(length) => format!("; the longest root that works has {length} bytes"),
        None => String::new(),
    }
}

/// The first few lines of a list that may be long.
fn shortened_lines(lines: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = lines.len().saturating_sub(SHOWN);
    let shown = lines[..lines.len() - more].join("\n  ");
    if more > 0 { format!("{shown}\n  and {more} more") } else { shown }
}

/// The first few names of a list that may be long.
pub(crate) fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// The error and its causes on one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
