//! The tags under which a cache holds packages: `NAME-VERSION-DAGHASH.spack`.

use crate::error::Error;
use crate::image::ImageError;
use strata_oci::{TagError, TagName};
use strata_spec::{DagHash, Node};

/// The tag of the index.
pub(crate) const INDEX: &str = "index.spack";
const SUFFIX: &str = ".spack";

/// The tag of a package.
///
/// # Errors
/// If the name has letters outside of ASCII, which Spack keeps and no registry takes.
pub(crate) fn of(node: &Node) -> Result<TagName, TagError> {
    named(&node.name, &node.version, node.hash.as_str())
}

/// The tag of the package of that name, version and DAG hash. Errors as [`of`].
pub(crate) fn named(name: &str, version: &str, hash: &str) -> Result<TagName, TagError> {
    TagName::sanitized(&format!("{name}-{version}-{hash}{SUFFIX}"))
}

/// The tag of the index, as a tag.
pub(crate) fn index() -> Result<TagName, TagError> {
    INDEX.parse()
}

/// Whether a tag is one that only packages and the index may have.
pub(crate) fn is_reserved(tag: &TagName) -> bool {
    tag.as_str().ends_with(SUFFIX)
}

/// The DAG hash in the tag of a package; none for the index and for tags of images. A tag that had to be cut to
/// fit keeps its end, so the hash is always there.
pub(crate) fn hash(tag: &str) -> Option<DagHash> {
    let (_, hash) = tag.strip_suffix(SUFFIX)?.rsplit_once('-')?;
    DagHash::parse(hash).ok()
}

/// Refuses a tag for something that is neither a package nor the index: readers of the cache would take it for a package.
pub(crate) fn refuse(tag: &TagName) -> Result<(), Error> {
    if is_reserved(tag) { Err(Error::Image(ImageError::PackageTag { tag: tag.to_string() })) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_read_back() {
        let hash_of = |tag| hash(tag).map(|h| h.as_str().to_owned());
        let zlib = "zlib-ng-2.1-6mhn66ae67iweh46tg4uhwn247xusqdu.spack";
        assert_eq!(hash_of(zlib).as_deref(), Some("6mhn66ae67iweh46tg4uhwn247xusqdu"));
        for other in ["index.spack", "devenv", "zlib-1.2.spack", "6mhn66ae67iweh46tg4uhwn247xusqdu"] {
            assert_eq!(hash_of(other), None, "{other}");
        }
    }
}
