//! [`ImageReference`]: one image of a repository, by tag or digest, as `docker pull` and Spack's `--base-image` take it.

use std::fmt;
use std::str::FromStr;

use crate::image_name::ImageName;
use crate::reference::{FILE, HTTP, HTTPS, without_password};
use crate::{Digest, Location, ManifestRef, ReferenceError, RepositoryUrl, TagError, TagName};

/// The tag that is meant where none is given.
const LATEST: &str = "latest";

/// An image: a repository, and a tag or digest in it.
///
/// `ubuntu:24.04`, `docker.io/library/ubuntu@sha256:…`, `HOST/NAME:TAG` (https), with any scheme of a
/// [`RepositoryUrl`] before it: `oci+http://localhost:5000/base:1`, `oci+file:///DIR:TAG`. Without tag and digest it
/// is `latest`; with both, the digest counts. `docker.io` is where Docker Hub's registry is, `index.docker.io`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    repository: RepositoryUrl,
    manifest: ManifestRef,
}

impl ImageReference {
    /// That image of that repository.
    pub fn new(repository: RepositoryUrl, manifest: impl Into<ManifestRef>) -> Self {
        Self { repository, manifest: manifest.into() }
    }

    /// Where it is.
    pub fn repository(&self) -> &RepositoryUrl {
        &self.repository
    }

    /// Which it is there.
    pub fn manifest(&self) -> &ManifestRef {
        &self.manifest
    }

    /// `text` is the whole, `rest` what follows the scheme.
    fn in_registry(text: &str, rest: &str, https: bool) -> Result<Self, ReferenceError> {
        let (named, digest) = match rest.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (rest, None),
        };
        // What comes before it may then be a password, and is not repeated.
        if digest.is_some_and(|digest| !is_meant_as_digest(digest)) {
            return Err(ReferenceError::AtWithoutDigest);
        }
        let (name, tag) = split_tag(named);
        if name.is_empty() {
            return Err(ReferenceError::NoImageName { image: text.to_string() });
        }
        if !name.contains('/') && is_host(name) {
            let (image, host) = (text.to_string(), named.to_string());
            return Err(ReferenceError::HostWithoutImage { image, host });
        }
        let ImageName { host, name } = ImageName::parse(text, name)
            .and_then(|name| name.at_docker_hub(text))
            .map_err(|error| match error {
                // Those of mirrors.
                ReferenceError::HasTag { .. } | ReferenceError::NoName { .. } => malformed(text),
                error => error,
            })?;
        let manifest = manifest_ref(text, tag, digest)?;
        Ok(Self { repository: RepositoryUrl::in_registry(https, host, name), manifest })
    }

    fn in_layout(text: &str, rest: &str) -> Result<Self, ReferenceError> {
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (named, digest) = match rest[last..].rfind('@').map(|at| rest.split_at(last + at)) {
            Some((named, digest)) if is_meant_as_digest(&digest[1..]) => (named, Some(&digest[1..])),
            _ => (rest, None),
        };
        let (directory, tag) = split_tag(named);
        if directory.is_empty() {
            return Err(ReferenceError::NoImageName { image: text.to_string() });
        }
        let repository = format!("{FILE}{directory}").parse()?;
        Ok(Self { repository, manifest: manifest_ref(text, tag, digest)? })
    }
}

/// Splits at the last `:` of what follows the last `/`.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    // Between brackets it belongs to an address.
    let end_of_address = text[last..].rfind(']').map_or(last, |bracket| last + bracket);
    match text[end_of_address..].rfind(':') {
        Some(colon) => (&text[..end_of_address + colon], Some(&text[end_of_address + colon + 1..])),
        None => (text, None),
    }
}

/// Whether this is a digest, if perhaps a malformed one: `sha256:…`, `sha512:…`.
fn is_meant_as_digest(text: &str) -> bool {
    let is_algorithm =
        |name: &str| name.strip_prefix("sha").is_some_and(|bits| bits.bytes().all(|b| b.is_ascii_digit()));
    !text.contains(['/', '@']) && text.split_once(':').is_some_and(|(name, _)| is_algorithm(name))
}

/// Whether this is the host of a registry rather than the name of an image at Docker Hub.
fn is_host(name: &str) -> bool {
    name == "localhost" || name.starts_with('[') || name.contains('.')
}

fn manifest_ref(text: &str, tag: Option<&str>, digest: Option<&str>) -> Result<ManifestRef, ReferenceError> {
    let image = || text.to_string();
    let tag: Option<TagName> = tag
        .map(|tag| tag.parse().map_err(|cause: TagError| ReferenceError::Tag { image: image(), cause }))
        .transpose()?;
    if let Some(digest) = digest {
        let digest: Digest =
            digest.parse().map_err(|cause| ReferenceError::Digest { image: image(), cause })?;
        return Ok(digest.into());
    }
    match tag {
        Some(tag) => Ok(tag.into()),
        None => Ok(ManifestRef::Tag(
            LATEST.parse().map_err(|cause| ReferenceError::Tag { image: image(), cause })?,
        )),
    }
}

fn malformed(text: &str) -> ReferenceError {
    ReferenceError::Malformed { url: text.to_string() }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if let Some(rest) = text.strip_prefix(HTTPS) {
            Self::in_registry(text, rest, true)
        } else if let Some(rest) = text.strip_prefix(HTTP) {
            Self::in_registry(text, rest, false)
        } else if let Some(rest) = text.strip_prefix(FILE) {
            Self::in_layout(text, rest)
        } else if let Some((scheme, _)) = text.split_once("://") {
            let scheme = format!("{scheme}://");
            Err(ReferenceError::ImageScheme { image: without_password(text), scheme })
        } else {
            Self::in_registry(text, text, true)
        }
    }
}

impl TryFrom<String> for ImageReference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

/// In the form that parses to an equal value, with its scheme.
impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.repository.to_string();
        match self.repository.location() {
            Location::Layout { .. } => {
                // In the last part of the path, these would be taken for what comes before a tag or digest.
                let last = url.rfind('/').map_or(0, |slash| slash + 1);
                f.write_str(&url[..last])?;
                f.write_str(&url[last..].replace('@', "%40").replace(':', "%3A").replace(']', "%5D"))?;
            }
            Location::Registry { .. } => f.write_str(&url)?,
        }
        match &self.manifest {
            ManifestRef::Tag(tag) => write!(f, ":{tag}"),
            ManifestRef::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn parse(text: &str) -> Result<ImageReference, ReferenceError> {
        text.parse()
    }

    #[test]
    fn as_docker_and_spack_take_them() {
        for (text, repository, manifest) in [
            ("ubuntu:24.04", "oci://index.docker.io/library/ubuntu", "24.04"),
            ("ubuntu", "oci://index.docker.io/library/ubuntu", "latest"),
            ("debian:12", "oci://index.docker.io/library/debian", "12"),
            ("registry:5000", "oci://index.docker.io/library/registry", "5000"),
            ("user/name", "oci://index.docker.io/user/name", "latest"),
            ("docker.io/library/ubuntu", "oci://index.docker.io/library/ubuntu", "latest"),
            ("docker.io/ubuntu:24.04", "oci://index.docker.io/library/ubuntu", "24.04"),
            ("Docker.IO/user/name:1", "oci://index.docker.io/user/name", "1"),
            ("index.docker.io/ubuntu", "oci://index.docker.io/library/ubuntu", "latest"),
            ("oci://docker.io/ubuntu", "oci://index.docker.io/library/ubuntu", "latest"),
            ("localhost:5000/base:1", "oci://localhost:5000/base", "1"),
            ("localhost:5000/base", "oci://localhost:5000/base", "latest"),
            ("localhost/base", "oci://localhost/base", "latest"),
            ("[::1]:5000/x:y", "oci://[::1]:5000/x", "y"),
            ("[::1]:5000/x", "oci://[::1]:5000/x", "latest"),
            ("127.0.0.1:5000/a/b/c:_x-1.Y", "oci://127.0.0.1:5000/a/b/c", "_x-1.Y"),
            ("ghcr.io/Org/Name:Tag", "oci://ghcr.io/org/name", "Tag"),
            ("oci://ghcr.io/org/name", "oci://ghcr.io/org/name", "latest"),
            ("oci+http://localhost:5000/base:1", "oci+http://localhost:5000/base", "1"),
            ("oci+file:///srv/images:v1", "oci+file:///srv/images", "v1"),
            ("oci+file:///srv/images", "oci+file:///srv/images", "latest"),
            ("oci+file:///srv/images/", "oci+file:///srv/images", "latest"),
            ("oci+file:///srv/a:b:v1", "oci+file:///srv/a:b", "v1"),
            ("oci+file:///srv/a:b/c", "oci+file:///srv/a:b/c", "latest"),
            ("oci+file:///srv/me@home:v1", "oci+file:///srv/me@home", "v1"),
            ("oci+file:///srv/x%3Ay", "oci+file:///srv/x:y", "latest"),
            ("oci+file:///:v1", "oci+file:///", "v1"),
        ] {
            let reference = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(reference.repository().to_string(), repository, "{text}");
            assert_eq!(reference.manifest().to_string(), manifest, "{text}");
        }
    }

    #[test]
    fn with_a_digest_it_counts() {
        for (name, repository) in [
            ("ubuntu", "oci://index.docker.io/library/ubuntu"),
            ("ubuntu:24.04", "oci://index.docker.io/library/ubuntu"),
            ("localhost:5000/base:1", "oci://localhost:5000/base"),
            ("[::1]:5000/x", "oci://[::1]:5000/x"),
            ("oci+http://h.x/a:b", "oci+http://h.x/a"),
            ("oci+file:///srv/images", "oci+file:///srv/images"),
            ("oci+file:///srv/a:b:v1", "oci+file:///srv/a:b"),
            ("oci+file:///srv/me@home", "oci+file:///srv/me@home"),
        ] {
            let reference = parse(&format!("{name}@{DIGEST}")).unwrap();
            assert_eq!(reference.repository().to_string(), repository);
            assert_eq!(reference.manifest(), &ManifestRef::Digest(DIGEST.parse().unwrap()));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("", "no name"),
            (":tag", "no name"),
            ("oci://", "no name"),
            ("oci+file://", "no name"),
            ("ubuntu:", "\"\" is not a tag"),
            ("ubuntu:24 04", "\"24 04\" is not a tag"),
            ("ghcr.io/a/b:.x", "\".x\" is not a tag"),
            ("oci+file:///srv/x:-y", "\"-y\" is not a tag"),
            ("ubuntu@sha256:abc", "sha256:abc"),
            ("ghcr.io/a/b@sha512:abc", "only sha256 is understood"),
            ("oci+file:///srv/x@sha256:abc", "sha256:abc"),
            ("ubuntu@latest", "sha256:DIGEST"),
            ("ubuntu@", "sha256:DIGEST"),
            ("ghcr.io", "ghcr.io/NAME"),
            ("localhost:5000", "localhost:5000/NAME"),
            ("[::1]", "[::1]/NAME"),
            ("[::1]:5000", "[::1]:5000/NAME"),
            ("oci://ghcr.io:443", "ghcr.io:443/NAME"),
            ("ghcr.io/", "not a repository's name"),
            ("a/b:c/d", "not a repository's name"),
            ("ghcr.io/a b:1", "not a repository's name"),
            ("docker://ubuntu", "docker:// is not understood"),
            ("https://ghcr.io/a:b", "https:// is not understood"),
            ("oci+file://srv/x:y", "must be absolute"),
        ] {
            let error = parse(text).map(|reference| reference.to_string()).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("mirror"), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for text in [
            "me:secret@ghcr.io/x",
            "me:secret@ghcr.io",
            "oci://me:secret@ghcr.io/x:y",
            "oci+http://me:secret@localhost:5000/x",
            "oci://me:secret@sha.example.org:443/x",
            "me:secret@sha.example.org:443",
            "https://me:secret@ghcr.io/x",
            "me:se/cret@ghcr.io/x",
            "me:se@cret@ghcr.io/x",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("cret"), "{error}");
        }
    }

    fn round_trip(reference: &ImageReference) -> Result<(), TestCaseError> {
        prop_assert_eq!(&parse(&reference.to_string()).unwrap(), reference);
        Ok(())
    }

    proptest! {
        #[test]
        fn what_parses_parses_again_to_the_same(
            text in "(oci://|oci\\+http://|oci\\+file:///)?[a-zA-Z0-9._:/@\\[\\]-]{0,40}",
        ) {
            if let Ok(reference) = parse(&text) {
                round_trip(&reference)?;
            }
        }

        #[test]
        fn every_directory_survives_with_tag_and_with_digest(
            bytes in prop::collection::vec(1u8.., 0..30),
            confusing in "[:@\\]a]{0,6}(@sha256)?(:x)?",
        ) {
            let mut directory = Path::new("/").join(OsString::from_vec(bytes)).into_os_string();
            directory.push(confusing);
            let repository = RepositoryUrl::from_directory(&directory).unwrap();
            let hexadecimal: TagName = DIGEST["sha256:".len()..].parse().unwrap();
            round_trip(&ImageReference::new(repository.clone(), hexadecimal))?;
            round_trip(&ImageReference::new(repository, DIGEST.parse::<Digest>().unwrap()))?;
        }

        #[test]
        fn no_text_panics(text in "(oci|oci\\+http|oci\\+file|s3)?(://)?\\PC*") {
            let _ = parse(&text);
        }
    }
}
