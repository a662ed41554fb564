//! What kind of failure it was, how the process ends, and what to do about it: decided here and nowhere else.

mod environment;
mod hint;
mod image;
mod view;

use crate::settings::InvalidSetting;
use serde_json::{Value, json};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use strata_oci::{CredentialError, ErrorKind};
use strata_ops::Error;
use strata_registry::RegistryError;
use strata_store::removal::RemovalError;
use strata_store::stage::StageError;
use strata_store::{AccessError, FileCacheError, LockError, StoreError};

/// Some of it failed.
pub(crate) const SOME_FAILED: u8 = 1;
/// The command line cannot be understood, or does not say enough.
const USAGE: u8 = 2;
/// No such package or binary.
const NOT_FOUND: u8 = 3;
/// Data is corrupt.
const CORRUPT: u8 = 65;
/// A cache cannot be reached.
const UNREACHABLE: u8 = 69;
/// The disk refused something.
pub(crate) const DISK: u8 = 74;
/// It may work later.
const TRY_AGAIN: u8 = 75;
/// Not allowed.
const NOT_ALLOWED: u8 = 77;

/// A kind of failure: its name in JSON, and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind(&'static str, u8);

const KIND_FAILED: Kind = Kind("failed", SOME_FAILED);
const KIND_USAGE: Kind = Kind("usage", USAGE);
const KIND_NOT_FOUND: Kind = Kind("not-found", NOT_FOUND);
const KIND_CORRUPT: Kind = Kind("corrupt", CORRUPT);
const KIND_UNREACHABLE: Kind = Kind("unreachable", UNREACHABLE);
const KIND_DISK: Kind = Kind("disk", DISK);
const KIND_TRY_AGAIN: Kind = Kind("try-again", TRY_AGAIN);
const KIND_NOT_ALLOWED: Kind = Kind("not-allowed", NOT_ALLOWED);

/// A failure as people and programs are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Diagnosis {
    kind: Kind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    package: Option<String>,
}

impl Diagnosis {
    /// How the process ends if this is all there is to say.
    pub(crate) fn exit_code(&self) -> u8 {
        self.kind.1
    }

    /// The failure of one package of several.
    pub(crate) fn of_package(package: String, error: &Error) -> Self {
        Self { package: Some(package), ..Self::of(error) }
    }

    /// The command line could not be parsed.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        Self { message: error.to_string().trim_end().to_owned(), ..Self::new(KIND_USAGE, error, None) }
    }

    /// Something was asked for in a way that cannot be done.
    pub(crate) fn misuse(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), Some(hint.into()).filter(|hint: &String| !hint.is_empty()));
        Self { kind: KIND_USAGE, message, causes: Vec::new(), hint, package: None }
    }

    /// What went wrong, in a line.
    pub(crate) fn message(&self) -> String {
        std::iter::once(&self.message).chain(&self.causes).map(String::as_str).collect::<Vec<_>>().join(": ")
    }

    /// The same, with something else to do about it.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        Self { hint: Some(hint.to_owned()), ..self }
    }

    /// Standard input or the terminal could not be read.
    pub(crate) fn input(error: &io::Error) -> Self {
        Self::system("cannot read what was to be typed or piped", error)
    }

    /// The system refused something that no operation of a library is about.
    pub(crate) fn system(what: impl fmt::Display, error: &io::Error) -> Self {
        Self {
            message: format!("{what}: {error}"),
            ..Self::new(system_kind(error).unwrap_or(KIND_FAILED), error, None)
        }
    }

    /// Standard output could not be written.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        Self {
            message: format!("cannot write to standard output: {error}"),
            ..Self::new(KIND_DISK, error, None)
        }
    }

    /// As it appears in the JSON envelope.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "kind": self.kind.0,
            "message": self.message(),
            "hint": self.hint,
            "retryable": matches!(self.kind, KIND_TRY_AGAIN | KIND_UNREACHABLE),
            "package": self.package,
        })
    }

    fn new(kind: Kind, error: &(dyn StdError + 'static), hint: Option<String>) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if causes.last() != Some(&text) {
                causes.push(text);
            }
            cause = error.source();
        }
        let message = error.to_string();
        causes.retain(|cause| !message.contains(cause.as_str()));
        Self { kind, message, causes, hint, package: None }
    }

    fn of(error: &Error) -> Self {
        Self::new(kind(error), error, hint::of(error))
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.package {
            Some(package) if !self.message.contains(package) => {
                write!(f, "error: {package}: {}", self.message)?;
            }
            _ => write!(f, "error: {}", self.message)?,
        }
        for cause in &self.causes {
            write!(f, "\ncaused by: {cause}")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl From<Error> for Diagnosis {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

impl From<strata_config::ConfigError> for Diagnosis {
    fn from(error: strata_config::ConfigError) -> Self {
        Error::from(error).into()
    }
}

impl From<strata_ops::environment::managed::ManagedError> for Diagnosis {
    fn from(error: strata_ops::environment::managed::ManagedError) -> Self {
        Error::from(error).into()
    }
}

impl From<strata_spec::format::TemplateError> for Diagnosis {
    fn from(error: strata_spec::format::TemplateError) -> Self {
        let hint = "a format string is like {name}{@version}{/hash:7}{variants}{ target=architecture.target}";
        Self::new(KIND_USAGE, &error, Some(hint.to_owned()))
    }
}

impl From<strata_spec::SpecSyntaxError> for Diagnosis {
    fn from(error: strata_spec::SpecSyntaxError) -> Self {
        let hint = error.hint.clone();
        Self::new(KIND_USAGE, &error, hint)
    }
}

impl From<InvalidSetting> for Diagnosis {
    fn from(error: InvalidSetting) -> Self {
        let hint = match error {
            InvalidSetting::Epoch { .. } => Some("unset it, or set it to what `date +%s` prints".to_owned()),
            InvalidSetting::Half { .. } => None,
        };
        Self::new(KIND_USAGE, &error, hint)
    }
}

impl From<strata_oci::Error> for Diagnosis {
    fn from(error: strata_oci::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<CredentialError> for Diagnosis {
    fn from(error: CredentialError) -> Self {
        Self::new(kind_of(error.kind()), &error, None)
    }
}

impl From<RegistryError> for Diagnosis {
    fn from(error: RegistryError) -> Self {
        Self::new(system_kind(&error).unwrap_or(KIND_USAGE), &error, None)
    }
}

impl From<serde_json::Error> for Diagnosis {
    fn from(error: serde_json::Error) -> Self {
        Error::from(error).into()
    }
}

/// What kind of failure it is that a layer could not be read.
fn layer_kind(source: &io::Error) -> Kind {
    match strata_oci::BlobError::of(source) {
        Some(blob) => repository_kind(blob, blob.kind()),
        None => system_kind(source).unwrap_or(KIND_CORRUPT),
    }
}

/// What kind of failure an error is.
fn kind(error: &Error) -> Kind {
    use strata_layer::relocate::RelocateError;
    use strata_layer::unpack::UnpackError;
    match error {
        Error::NoSuchSpec { .. }
        | Error::NoneRunsHere { .. }
        | Error::NotCached { .. }
        | Error::NoIndex { .. }
        | Error::MissingDependency { .. }
        | Error::PrefixMissing { .. }
        | Error::LeftOut { .. }
        | Error::NotInEnvironment { .. }
        | Error::NotInstalled { .. }
        | Error::NothingInstalled { .. } => KIND_NOT_FOUND,
        Error::NoBinary(explanation) if explanation.is_uncertain() => KIND_UNREACHABLE,
        Error::NoBinary(_) | Error::NotIndexed { .. } => KIND_NOT_FOUND,
        Error::BadRecord { .. } => KIND_CORRUPT,
        Error::Ambiguous { .. }
        | Error::ManyPackages { .. }
        | Error::Conflict(_)
        | Error::EnvironmentConflict { .. }
        | Error::OtherPadding { .. }
        | Error::NoMirrors
        | Error::DoesNotFit { .. }
        | Error::SbangTooLong(_)
        | Error::SamePrefix { .. }
        | Error::Projection(_)
        | Error::NoLockfile { .. }
        | Error::EmptyEnvironment { .. }
        | Error::Reference(_) => KIND_USAGE,
        Error::Access(AccessError::NotInGroup { .. }) | Error::Upstream { .. } => KIND_NOT_ALLOWED,
        Error::Access(_) => system_kind(error).unwrap_or(KIND_USAGE),
        Error::Root(root) | Error::Store(StoreError::Root(root)) => system_kind(root).unwrap_or(KIND_USAGE),
        Error::Unasked { .. } => KIND_UNREACHABLE,
        Error::DependencyGone { .. } | Error::NeededMeanwhile { .. } => KIND_TRY_AGAIN,
        Error::NotAPackage { .. }
        | Error::InvalidSpec { .. }
        | Error::WrongPackage { .. }
        | Error::InvalidIndex { .. }
        | Error::NotWhole { .. }
        | Error::WrongHash { .. }
        | Error::UnknownLayout { .. }
        | Error::DiffId { .. }
        | Error::NoSpecFile { .. }
        | Error::Lockfile { .. }
        | Error::UnwritableLockfile { .. }
        | Error::Prefixes { .. }
        | Error::MissingNode(_)
        | Error::Document(_)
        | Error::Tag(_)
        | Error::Json(_) => KIND_CORRUPT,
        Error::DependencyFailed { .. }
        | Error::Panicked
        | Error::Spliced { .. }
        | Error::HasDependents { .. }
        | Error::PrefixLeftOut { .. }
        | Error::Differs { .. }
        | Error::NeededByEnvironments { .. }
        | Error::StaleIndex { .. }
        | Error::ForeignPrefix { .. }
        | Error::Registration(_) => KIND_FAILED,
        Error::Managed(error) => environment::kind(error),
        Error::Image(error) => image::kind(error),
        Error::View(_)
        | Error::ViewSpec { .. }
        | Error::ViewProjection { .. }
        | Error::SameProjection { .. } => view::kind(error),
        Error::Repository(error) => repository_kind(error, error.kind()),
        Error::Unpack { source: UnpackError::Read { source }, .. } => layer_kind(source),
        Error::Unpack { source: source @ UnpackError::Io { .. }, .. } => {
            system_kind(source).unwrap_or(KIND_DISK)
        }
        Error::Unpack { .. } => KIND_CORRUPT,
        Error::Relocate { source: source @ RelocateError::Io { .. }, .. } => {
            system_kind(source).unwrap_or(KIND_DISK)
        }
        Error::Relocate {
            source: RelocateError::Binary { .. } | RelocateError::SbangTooLong { .. }, ..
        } => KIND_USAGE,
        Error::Relocate { source: RelocateError::MachO { .. }, .. } => KIND_FAILED,
        Error::Relocate { .. } => KIND_CORRUPT,
        Error::Store(StoreError::Index(index)) => system_kind(index).unwrap_or(KIND_CORRUPT),
        Error::Store(StoreError::Lock(lock))
        | Error::Stage(StageError::Lock(lock))
        | Error::Removal(RemovalError::Stage(StageError::Lock(lock))) => lock_kind(lock),
        // What makes temporary files wraps the system's error, so that only its kind can be told.
        Error::Spool { source, .. } => refused(source),
        Error::FileCache(FileCacheError::Unsupported { .. }) => KIND_USAGE,
        Error::Config(_) => system_kind(error).unwrap_or(KIND_USAGE),
        Error::Pack(_)
        | Error::Store(_)
        | Error::Sbang(_)
        | Error::Stage(_)
        | Error::InstallManifest(_)
        | Error::Removal(_)
        | Error::Threads(_)
        | Error::FileCache(FileCacheError::Io { .. })
        | Error::Io { .. } => system_kind(error).unwrap_or(KIND_FAILED),
    }
}

fn lock_kind(error: &LockError) -> Kind {
    match error {
        LockError::Timeout { .. } => KIND_TRY_AGAIN,
        LockError::ReadOnly { .. } => KIND_NOT_ALLOWED,
        _ => system_kind(error).unwrap_or(KIND_DISK),
    }
}

fn repository_kind(error: &(dyn StdError + 'static), kind: ErrorKind) -> Kind {
    match kind {
        ErrorKind::Io => system_kind(error).unwrap_or(KIND_DISK),
        _ => kind_of(kind),
    }
}

/// The kind of a failure of which no more is known.
fn kind_of(kind: ErrorKind) -> Kind {
    match kind {
        ErrorKind::NotFound => KIND_NOT_FOUND,
        ErrorKind::Denied => KIND_NOT_ALLOWED,
        ErrorKind::Unreachable => KIND_UNREACHABLE,
        ErrorKind::Corrupt => KIND_CORRUPT,
        ErrorKind::TryAgain => KIND_TRY_AGAIN,
        ErrorKind::Io => KIND_DISK,
        _ => KIND_USAGE,
    }
}

/// How the process ends after such a failure.
pub(crate) fn code_of(kind: ErrorKind) -> u8 {
    kind_of(kind).1
}

/// What it is that the operating system refused.
fn refused(error: &io::Error) -> Kind {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => KIND_NOT_ALLOWED,
        _ => KIND_DISK,
    }
}

/// The kind of the operating system's error among an error and its causes, if there is one.
fn system_kind(error: &(dyn StdError + 'static)) -> Option<Kind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(system) = error.downcast_ref::<io::Error>().filter(|e| e.raw_os_error().is_some()) {
            return Some(refused(system));
        }
        next = error.source();
    }
    None
}
