//! [`Route`]: what a path is about.
//!
//! Names have slashes in them, so paths are taken apart from behind. Escapes (`%3A`) are resolved first and once, as
//! other registries do; what then is no name or no digest is refused, whatever it was spelled as.

use strata_oci::{Digest, DigestError, TagName};

use crate::failure::{Code, Failure};
use crate::name::Name;

/// A resource of the registry.
#[derive(Debug)]
pub(crate) enum Route {
    /// `/v2/`: whether this is a registry at all.
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/NAME/tags/list`
    Tags(Name),
    /// `/v2/NAME/manifests/REFERENCE`, where the reference need not be a good one.
    Manifest(Name, String),
    /// `/v2/NAME/blobs/DIGEST`
    Blob(Name, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(Name),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(Name, String),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(Name, Digest),
}

impl Route {
    /// What `path` is about, which is as in the request line: with escapes, without a query.
    pub(crate) fn of(path: &str) -> Result<Self, Failure> {
        let unknown =
            || Failure::new(Code::NotFound, "there is nothing at this path; a registry's begin with /v2/");
        let path = unescape(path).ok_or_else(unknown)?;
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return Ok(Self::Base),
            Some(rest) => rest.strip_prefix('/').ok_or_else(unknown)?,
            None => return Err(unknown()),
        };
        if rest == "_catalog" {
            return Ok(Self::Catalog);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(Name::parse(name)?));
        }
        if let Some(name) = rest.strip_suffix("/blobs/uploads/").or(rest.strip_suffix("/blobs/uploads")) {
            return Ok(Self::Uploads(Name::parse(name)?));
        }
        let (before, last) = rest.rsplit_once('/').ok_or_else(unknown)?;
        if let Some(name) = before.strip_suffix("/blobs/uploads") {
            Ok(Self::Upload(Name::parse(name)?, last.to_string()))
        } else if let Some(name) = before.strip_suffix("/blobs") {
            Ok(Self::Blob(Name::parse(name)?, digest(last)?))
        } else if let Some(name) = before.strip_suffix("/manifests") {
            Ok(Self::Manifest(Name::parse(name)?, last.to_string()))
        } else if let Some(name) = before.strip_suffix("/referrers") {
            Ok(Self::Referrers(Name::parse(name)?, digest(last)?))
        } else {
            Err(unknown())
        }
    }
}

/// # Errors
/// `DIGEST_INVALID`; `UNSUPPORTED` for a digest of another algorithm.
pub(crate) fn digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: DigestError| {
        let code = match &error {
            DigestError::Algorithm { algorithm, .. } if algorithm == "sha512" => Code::DigestUnsupported,
            _ => Code::DigestInvalid,
        };
        Failure::new(code, error.to_string())
    })
}

/// # Errors
/// `TAG_INVALID`.
pub(crate) fn tag(text: &str) -> Result<TagName, Failure> {
    text.parse().map_err(|error: strata_oci::TagError| Failure::new(Code::TagInvalid, error.to_string()))
}

/// Resolves `%XX` (RFC 3986 section 2.1); `None` if what comes out is not text, or an escape is malformed.
fn unescape(path: &str) -> Option<String> {
    if !path.contains('%') {
        return Some(path.to_string());
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = tail;
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let value = |digit: u8| char::from(digit).to_digit(16);
        bytes.push(u8::try_from(value(digits[0])? * 16 + value(digits[1])?).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_with_slashes_and_awkward_components_are_told_apart() {
        let cases = [
            ("/v2", "Base".to_string()),
            ("/v2/", "Base".to_string()),
            ("/v2/_catalog", "Catalog".to_string()),
            ("/v2/a/b/tags/list", r#"Tags(Name("a/b"))"#.to_string()),
            ("/v2/a/blobs/uploads/", r#"Uploads(Name("a"))"#.to_string()),
            ("/v2/a/blobs/uploads", r#"Uploads(Name("a"))"#.to_string()),
            ("/v2/a/blobs/uploads/u", r#"Upload(Name("a"), "u")"#.to_string()),
            ("/v2/manifests/tags/manifests/list", r#"Manifest(Name("manifests/tags"), "list")"#.to_string()),
            ("/v2/a/referrers/tags/list", r#"Tags(Name("a/referrers"))"#.to_string()),
            (&format!("/v2/a/blobs/sha256%3a{HEX}"), format!(r#"Blob(Name("a"), sha256:{HEX})"#)),
            (
                &format!("/v2/a%2Fb/referrers/sha256:{HEX}"),
                format!(r#"Referrers(Name("a/b"), sha256:{HEX})"#),
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(format!("{:?}", Route::of(path).unwrap()), expected, "{path}");
        }
    }

    #[test]
    fn what_is_elsewhere_or_malformed_is_refused() {
        for (path, code) in [
            ("/", Code::NotFound),
            ("/v1/", Code::NotFound),
            ("/v2x", Code::NotFound),
            ("/v2/a", Code::NotFound),
            ("/v2/a/b", Code::NotFound),
            ("/v2/a/tags/other", Code::NotFound),
            ("/v2/%zz/tags/list", Code::NotFound),
            ("/v2/%", Code::NotFound),
            ("/v2/%ff/tags/list", Code::NotFound),
            ("/v2/%2e%2e/tags/list", Code::NameInvalid),
            ("/v2/../../etc/tags/list", Code::NameInvalid),
            ("/v2//etc/tags/list", Code::NameInvalid),
            ("/v2/a%00/tags/list", Code::NameInvalid),
            ("/v2/a/blobs/x/manifests/y", Code::NameInvalid),
            ("/v2/a/blobs/sha256:x", Code::DigestInvalid),
            ("/v2/a/blobs/latest", Code::DigestInvalid),
            (&format!("/v2/a/referrers/sha512:{HEX}{HEX}"), Code::DigestUnsupported),
        ] {
            assert_eq!(Route::of(path).unwrap_err().code(), code, "{path}");
        }
    }
}
