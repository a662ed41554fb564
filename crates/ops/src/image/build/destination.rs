//! Where an image goes, as `--tag` says it.

use crate::error::Error;
use crate::image::archive;
use crate::package_tag;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use strata_oci::{ImageReference, ManifestRef, ReferenceError, TagName};

/// The prefix of an archive that is an OCI layout, as skopeo and podman name it.
const OCI_ARCHIVE: &str = "oci-archive:";
/// That of one which `docker load` reads.
const DOCKER_ARCHIVE: &str = "docker-archive:";

/// Where an image goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A tag beside the packages: in the one cache they come from.
    Beside(TagName),
    /// A tag of some repository.
    Repository(ImageReference),
    /// A tar file of an OCI layout.
    OciArchive {
        /// The file.
        file: PathBuf,
        /// What the image is called in it.
        name: Option<String>,
    },
    /// A tar file as `docker save` writes it.
    DockerArchive {
        /// The file.
        file: PathBuf,
        /// `NAME:TAG`, what the image is called once it is loaded.
        name: Option<String>,
    },
}

/// Why a text is no [`Destination`].
#[derive(Debug, thiserror::Error)]
pub enum InvalidDestination {
    /// An archive without a file.
    #[error("{0} names no file: {1}FILE, or {1}FILE:NAME")]
    NoFile(String, &'static str),
    /// An image by its digest, which nobody can write.
    #[error("{0} names an image by its digest: an image is written under a tag")]
    Digest(String),
    /// No reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl FromStr for Destination {
    type Err = InvalidDestination;

    /// A tag alone has neither `:` nor `/`; everything else names where it goes.
    fn from_str(text: &str) -> Result<Self, InvalidDestination> {
        if let Some(archive) = text.strip_prefix(OCI_ARCHIVE) {
            let (file, name) = file_and_name(text, archive, OCI_ARCHIVE)?;
            return Ok(Self::OciArchive { file, name });
        }
        if let Some(archive) = text.strip_prefix(DOCKER_ARCHIVE) {
            let (file, name) = file_and_name(text, archive, DOCKER_ARCHIVE)?;
            // Whoever loads it looks for a tag.
            let name = name.map(|name| if has_tag(&name) { name } else { name + ":latest" });
            return Ok(Self::DockerArchive { file, name });
        }
        if let Ok(tag) = text.parse::<TagName>() {
            return Ok(Self::Beside(tag));
        }
        let reference: ImageReference = text.parse()?;
        match reference.manifest() {
            ManifestRef::Tag(_) => Ok(Self::Repository(reference)),
            ManifestRef::Digest(_) => Err(InvalidDestination::Digest(text.to_owned())),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, scheme, file: &PathBuf, name: &Option<String>| {
            write!(f, "{scheme}{}", file.display())?;
            name.iter().try_for_each(|name| write!(f, ":{name}"))
        };
        match self {
            Self::Beside(tag) => tag.fmt(f),
            Self::Repository(reference) => reference.fmt(f),
            Self::OciArchive { file, name } => named(f, OCI_ARCHIVE, file, name),
            Self::DockerArchive { file, name } => named(f, DOCKER_ARCHIVE, file, name),
        }
    }
}

impl Destination {
    /// The tag that is written, if it is one of a repository.
    pub fn tag(&self) -> Option<&TagName> {
        match self {
            Self::Beside(tag) => Some(tag),
            Self::Repository(reference) => match reference.manifest() {
                ManifestRef::Tag(tag) => Some(tag),
                ManifestRef::Digest(_) => None,
            },
            Self::OciArchive { .. } | Self::DockerArchive { .. } => None,
        }
    }

    /// Refuses a tag that has to be a package's.
    ///
    /// # Errors
    /// [`ImageError::PackageTag`](crate::image::ImageError::PackageTag).
    pub fn refuse_package_tag(&self) -> Result<(), Error> {
        self.tag().map_or(Ok(()), package_tag::refuse)
    }

    /// Refuses an archive that could not be written, or not loaded under its name: to be asked before layers are fetched
    /// for it.
    ///
    /// # Errors
    /// [`Error::Io`] and [`ImageError::Archive`](crate::image::ImageError::Archive).
    pub fn refuse_unwritable(&self) -> Result<(), Error> {
        match self {
            Self::Beside(_) | Self::Repository(_) => Ok(()),
            Self::OciArchive { file, .. } => archive::check(file, None),
            Self::DockerArchive { file, name } => archive::check(file, name.as_deref()),
        }
    }
}

/// `FILE[:NAME]`. As with skopeo, the file's own name has no `:`.
fn file_and_name(
    text: &str,
    archive: &str,
    scheme: &'static str,
) -> Result<(PathBuf, Option<String>), InvalidDestination> {
    let (file, name) = archive.split_once(':').map_or((archive, None), |(file, name)| (file, Some(name)));
    if file.is_empty() {
        return Err(InvalidDestination::NoFile(text.to_owned(), scheme));
    }
    Ok((file.into(), name.filter(|name| !name.is_empty()).map(str::to_owned)))
}

fn has_tag(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageError;

    #[test]
    fn archives_have_a_file_and_perhaps_a_name() {
        for (text, expected) in [
            ("oci-archive:a.tar", "oci-archive:a.tar"),
            ("oci-archive:/x/a.tar:py", "oci-archive:/x/a.tar:py"),
            ("docker-archive:a.tar:", "docker-archive:a.tar"),
            ("docker-archive:a.tar:py", "docker-archive:a.tar:py:latest"),
            ("docker-archive:a.tar:localhost:5000/py:1", "docker-archive:a.tar:localhost:5000/py:1"),
            ("docker-archive:a.tar:localhost:5000/py", "docker-archive:a.tar:localhost:5000/py:latest"),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), expected);
        }
        for text in ["oci-archive:", "docker-archive::x"] {
            let error = text.parse::<Destination>().unwrap_err().to_string();
            assert!(error.contains("names no file") && error.contains("FILE"), "{error}");
        }
    }

    #[test]
    fn a_word_alone_is_a_tag_beside_the_packages() {
        assert_eq!(
            "py-3.11".parse::<Destination>().unwrap(),
            Destination::Beside("py-3.11".parse().unwrap())
        );
        let tagged = |text: &str| text.parse::<Destination>().unwrap().refuse_package_tag();
        assert!(tagged("py").is_ok());
        assert!(matches!(tagged("py.spack"), Err(Error::Image(ImageError::PackageTag { .. }))));
    }
}
