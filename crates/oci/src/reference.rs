//! [`RepositoryUrl`]: the URL of a mirror that is a repository, `oci://`, `oci+http://` or `oci+file://`.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::image_name::ImageName;
use crate::{DigestError, TagError};

pub(crate) const HTTPS: &str = "oci://";
pub(crate) const HTTP: &str = "oci+http://";
pub(crate) const FILE: &str = "oci+file://";

/// A repository: `oci://HOST/NAME` (https), `oci+http://HOST/NAME` (plain http, never by downgrade), or
/// `oci+file:///DIR`, an image layout in a directory.
///
/// Host and name are completed and lower-cased as Spack does it; the text form is the completed one and parses to
/// an equal value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryUrl(Location);

/// What a [`RepositoryUrl`] points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Location {
    /// A repository in a registry.
    Registry {
        /// Whether the registry is spoken to with TLS.
        https: bool,
        /// Host and, if given, port: `ghcr.io`, `localhost:5000`, `[::1]:5000`.
        host: String,
        /// The repository's name there, such as `org/cache`.
        name: String,
    },
    /// An image layout.
    Layout {
        /// Its directory, absolute.
        directory: PathBuf,
    },
}

/// Why a text is no [`RepositoryUrl`], or no [`ImageReference`](crate::ImageReference).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// A scheme that is not one of the three.
    #[error(
        "{url}: {scheme} is not understood; a mirror is oci://HOST/NAME, oci+http://HOST/NAME or oci+file:///DIRECTORY"
    )]
    Scheme {
        /// The URL, without a password.
        url: String,
        /// Its scheme with `://`, or "a URL without a scheme".
        scheme: String,
    },
    /// Nothing after the scheme.
    #[error("{url}: no name; expected oci://HOST/NAME")]
    NoName {
        /// The URL.
        url: String,
    },
    /// A host alone. Docker's rules would look for a repository of that name at Docker Hub.
    #[error(
        "{url}: {host} looks like a registry's host, and the name of a repository is missing: {url}/NAME"
    )]
    HostWithoutName {
        /// The URL.
        url: String,
        /// What looks like a host.
        host: String,
    },
    /// A tag; a mirror is a whole repository.
    #[error("{url}: a mirror is a whole repository, so leave out the tag \":{tag}\"")]
    HasTag {
        /// The URL.
        url: String,
        /// The tag.
        tag: String,
    },
    /// A digest; a mirror is a whole repository.
    #[error("{url}: a mirror is a whole repository, so leave out the digest")]
    HasDigest {
        /// The URL.
        url: String,
    },
    /// `USER:PASSWORD@`. The URL is left out of the message on purpose.
    #[error("a mirror's URL must not hold a user or password; give them as the mirror's access pair")]
    HasCredentials,
    /// Anything else that does not fit the grammar.
    #[error("{url}: not a repository's name; expected HOST/NAME, such as ghcr.io/organization/name")]
    Malformed {
        /// The URL.
        url: String,
    },
    /// An `oci+file` URL or a path that is not absolute.
    #[error("{path}: the directory of an image layout must be absolute: oci+file:///DIRECTORY")]
    NotAbsolute {
        /// The path or URL.
        path: String,
    },
    /// An image with a scheme that is not one of the three.
    #[error(
        "{image}: {scheme} is not understood; an image is HOST/NAME:TAG (https), oci+http://HOST/NAME:TAG or \
         oci+file:///DIRECTORY:TAG"
    )]
    ImageScheme {
        /// What was given, without a password.
        image: String,
        /// Its scheme with `://`.
        scheme: String,
    },
    /// An image without a name.
    #[error("{image:?}: no name of an image; expected HOST/NAME:TAG, such as docker.io/library/ubuntu:24.04")]
    NoImageName {
        /// What was given.
        image: String,
    },
    /// A host alone, where an image was due.
    #[error(
        "{image}: {host} looks like a registry's host, and the name of an image is missing: {host}/NAME:TAG"
    )]
    HostWithoutImage {
        /// What was given.
        image: String,
        /// What looks like a host.
        host: String,
    },
    /// What stands after the `:` of an image is no tag.
    #[error("{image}: {cause}")]
    Tag {
        /// What was given.
        image: String,
        /// Why not.
        cause: TagError,
    },
    /// What stands after the `@` of an image is no digest.
    #[error("{image}: {cause}")]
    Digest {
        /// What was given.
        image: String,
        /// Why not.
        cause: DigestError,
    },
    /// An `@` that no digest follows. The text is left out of the message on purpose.
    #[error(
        "after the @ of an image its digest is due: NAME@sha256:DIGEST. An image holds no user and no password; \
         `strata login HOST` keeps those"
    )]
    AtWithoutDigest,
}

impl RepositoryUrl {
    /// The URL of the image layout in `directory`.
    ///
    /// # Errors
    /// [`ReferenceError::NotAbsolute`] if the path is relative.
    pub fn from_directory(directory: impl AsRef<Path>) -> Result<Self, ReferenceError> {
        let directory = directory.as_ref();
        if !directory.is_absolute() {
            return Err(ReferenceError::NotAbsolute { path: directory.display().to_string() });
        }
        // One spelling per directory: without `.`, doubled or trailing slashes. `..` stays, for it may follow a link.
        let directory = directory.components().filter(|c| *c != Component::CurDir).collect();
        Ok(Self(Location::Layout { directory }))
    }

    /// The URL of a repository whose host and name have been found well formed.
    pub(crate) fn in_registry(https: bool, host: String, name: String) -> Self {
        Self(Location::Registry { https, host, name })
    }

    /// What the URL points at.
    pub fn location(&self) -> &Location {
        &self.0
    }
}

impl FromStr for RepositoryUrl {
    type Err = ReferenceError;

    fn from_str(url: &str) -> Result<Self, ReferenceError> {
        let registry = |https, rest: &str| {
            let ImageName { host, name } = ImageName::parse(url, rest)?;
            Ok(Self::in_registry(https, host, name))
        };
        if let Some(rest) = url.strip_prefix(HTTPS) {
            registry(true, rest)
        } else if let Some(rest) = url.strip_prefix(HTTP) {
            registry(false, rest)
        } else if let Some(rest) = url.strip_prefix(FILE) {
            let directory = PathBuf::from(OsString::from_vec(percent_decoded(rest)));
            Self::from_directory(directory).map_err(|_| ReferenceError::NotAbsolute { path: url.to_string() })
        } else {
            let scheme = match url.split_once("://") {
                Some((scheme, _)) => format!("{scheme}://"),
                None => "a URL without a scheme".to_string(),
            };
            Err(ReferenceError::Scheme { url: without_password(url), scheme })
        }
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Location::Registry { https, host, name } => {
                write!(f, "{}{host}/{name}", if *https { HTTPS } else { HTTP })
            }
            Location::Layout { directory } => write!(f, "{FILE}{}", percent_encoded(directory)),
        }
    }
}

impl TryFrom<String> for RepositoryUrl {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<RepositoryUrl> for String {
    fn from(url: RepositoryUrl) -> Self {
        url.to_string()
    }
}

/// `url` with what stands before an `@` in its host part replaced: it may be a password, and this goes to a log.
pub(crate) fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let host_end = rest.find('/').unwrap_or(rest.len());
    match rest[..host_end].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => url.to_string(),
    }
}

/// Bytes of `text` with `%XX` replaced; a `%` that starts no such escape stands for itself.
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some((&byte, rest)) = bytes.split_first() {
        let escaped = match (byte, rest) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                bytes = &rest[2..];
            }
            None => {
                decoded.push(byte);
                bytes = rest;
            }
        }
    }
    decoded
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// The path as part of a URL: escaped is only what could not be read back, or would end the URL in running text.
fn percent_encoded(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || matches!(character, '%' | ' ' | '?' | '#' | '"' | '<' | '>') {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    text.push_str(&format!("%{byte:02X}"));
                }
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<RepositoryUrl, ReferenceError> {
        text.parse()
    }

    #[test]
    fn the_three_schemes() {
        let registry = |https, host: &str, name: &str| {
            RepositoryUrl(Location::Registry { https, host: host.into(), name: name.into() })
        };
        assert_eq!(parse("oci://ghcr.io/Org/Cache").unwrap(), registry(true, "ghcr.io", "org/cache"));
        assert_eq!(parse("oci+http://localhost:5000/x").unwrap(), registry(false, "localhost:5000", "x"));
        assert_eq!(
            parse("oci+file:///srv/cache/").unwrap(),
            RepositoryUrl::from_directory("/srv/cache").unwrap()
        );
    }

    #[test]
    fn the_text_form_is_the_completed_one() {
        for (text, completed) in [
            ("oci://ubuntu", "oci://index.docker.io/library/ubuntu"),
            ("oci://GHCR.io/Org", "oci://GHCR.io/org"),
            ("oci+http://[::1]:5000/x", "oci+http://[::1]:5000/x"),
            ("oci+file:///a//b/./c/", "oci+file:///a/b/c"),
            ("oci+file:///a b/100%/%41", "oci+file:///a%20b/100%25/A"),
            ("oci+file:///", "oci+file:///"),
        ] {
            let url = parse(text).unwrap();
            assert_eq!(url.to_string(), completed);
            assert_eq!(parse(completed).unwrap(), url);
        }
    }

    #[test]
    fn other_schemes_are_refused_and_the_understood_ones_named() {
        for (text, scheme) in [
            ("https://ghcr.io/org/cache", "https://"),
            ("s3://bucket/prefix", "s3://"),
            ("file:///srv", "file://"),
            ("oci+https://x/y", "oci+https://"),
            ("ghcr.io/org/cache", "without a scheme"),
            ("", "without a scheme"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            for words in [scheme, "oci://HOST/NAME", "oci+http://HOST/NAME", "oci+file:///DIRECTORY"] {
                assert!(message.contains(words), "{message}");
            }
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        for text in ["https://me:secret@ghcr.io/x", "oci://me:secret@ghcr.io/x", "oci+http://secret@h.x/y"] {
            assert!(!parse(text).unwrap_err().to_string().contains("secret"));
        }
    }

    #[test]
    fn relative_directories_are_refused() {
        for text in ["oci+file://srv/cache", "oci+file://", "oci+file://./x"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, ReferenceError::NotAbsolute { .. }), "{error}");
            assert!(error.to_string().contains(text));
        }
        assert!(RepositoryUrl::from_directory("srv/cache").is_err());
    }

    #[test]
    fn messages_name_the_url_and_what_to_write() {
        let message = parse("oci://ghcr.io").unwrap_err().to_string();
        assert!(message.contains("oci://ghcr.io/NAME"), "{message}");
        let message = parse("oci://ghcr.io/a/b:v1").unwrap_err().to_string();
        assert!(message.contains("leave out the tag \":v1\""), "{message}");
    }

    #[test]
    fn json_is_the_text() {
        let url = parse("oci://ghcr.io/a").unwrap();
        assert_eq!(serde_json::to_string(&url).unwrap(), "\"oci://ghcr.io/a\"");
        assert!(serde_json::from_str::<RepositoryUrl>("\"http://x\"").is_err());
    }

    proptest! {
        #[test]
        fn every_directory_survives_its_url(bytes in prop::collection::vec(1u8.., 0..40)) {
            let directory = Path::new("/").join(OsString::from_vec(bytes));
            let url = RepositoryUrl::from_directory(&directory).unwrap();
            prop_assert_eq!(parse(&url.to_string()).unwrap(), url);
        }

        #[test]
        fn no_text_panics(text in "(oci|oci\\+http|oci\\+file|s3)?(://)?\\PC*") {
            let _ = parse(&text);
        }
    }
}
