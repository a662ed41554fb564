//! A package in the caches: found in the first mirror that has it, and checked to be what its tag says.

use crate::error::Error;
use crate::index::spec_in;
use crate::package_tag;
use crate::report::Reporter;
use crate::resolve::{Mirror, Resolved};
use strata_oci::{
    Descriptor, ErrorKind, ImageConfig, Manifest, ManifestRef, Repository, image_config, image_manifest,
};
use strata_spec::Node;

/// The newest `buildcache_layout_version` that is understood.
const NEWEST_LAYOUT: u64 = 3;

/// What a mirror has of a package.
pub(crate) struct Located {
    /// Index into the mirrors.
    pub(crate) mirror: usize,
    /// The manifest of its tag.
    pub(crate) manifest: Manifest,
    /// The package's own layer.
    pub(crate) layer: Descriptor,
    /// The config, with the right spec, of a layout that is understood.
    pub(crate) config: ImageConfig,
}

/// Finds a package in the first mirror that has it; those whose index says so are asked first. None if they all say that they
/// do not have it.
///
/// # Errors
/// If a mirror that may have it gives no answer and no other has it, and if a tag is not what its name says.
pub(crate) fn locate(
    node: &Node,
    mirrors: &[Mirror],
    resolved: &Resolved,
    reporter: &dyn Reporter,
) -> Result<Option<Located>, Error> {
    locate_in(node, mirrors, resolved.mirrors_with(&node.hash), reporter)
}

/// As [`locate`], where the mirrors that are `known` to have the package are asked first.
pub(crate) fn locate_in(
    node: &Node,
    mirrors: &[Mirror],
    known: &[usize],
    reporter: &dyn Reporter,
) -> Result<Option<Located>, Error> {
    let mut failures = Vec::new();
    let others = (0..mirrors.len()).filter(|at| !known.contains(at));
    for at in known.iter().copied().chain(others) {
        let mirror = &mirrors[at];
        let question = || within(node, at, &*mirror.repository);
        if let Some(located) = mirror.ask(mirrors.len() > 1, &mut failures, reporter, question)? {
            return Ok(Some(located));
        }
    }
    if failures.is_empty() { Ok(None) } else { Err(Error::Unasked { spec: node.label(), failures }) }
}

fn within(node: &Node, mirror: usize, repository: &dyn Repository) -> Result<Option<Located>, Error> {
    let tag = package_tag::of(node)?;
    let place = || repository.url().to_string();
    let not_a_package = || Error::NotAPackage { tag: tag.to_string(), place: place() };
    let Some((_, manifest)) = image_manifest(repository, &ManifestRef::Tag(tag.clone()))? else {
        return Ok(None);
    };
    let config = image_config(repository, &manifest).map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_a_package(),
        _ => error.into(),
    })?;
    let layer = manifest.layers.last().cloned().ok_or_else(not_a_package)?;
    let version = config.extra.get("buildcache_layout_version").and_then(|v| v.get().parse::<u64>().ok());
    if let Some(version) = version.filter(|version| *version > NEWEST_LAYOUT) {
        return Err(Error::UnknownLayout { tag: tag.to_string(), place: place(), version });
    }
    let spec = spec_in(&config, repository, tag.as_str())?;
    if spec.root().hash != node.hash {
        return Err(Error::WrongPackage { tag: tag.to_string(), place: place(), found: spec.root().label() });
    }
    Ok(Some(Located { mirror, manifest, layer, config }))
}
