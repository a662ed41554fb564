//! The base of an image: found for a platform, made available where the image is to be, and checked for a C library that
//! the packages run with.

use super::{kept, layer_type, libc};
use crate::error::Error;
use crate::image::ImageError;
use crate::parallel;
use crate::report::{Event, Reporter};
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use strata_oci::media_type::Family;
use strata_oci::{
    Copied, Descriptor, Digest, ImageConfig, ImageReference, Location, ManifestRef, Platform, Repository,
    copy_blob, image_for,
};
use strata_spec::host::{Host, Libc, Unfit, unfit};
use strata_spec::{Catalog, DagHash, Node, NodeSource};

/// Layers copied at the same time.
const COPIES: usize = 4;

/// Where a base image is.
pub struct BaseSource {
    /// Which image.
    pub reference: ImageReference,
    /// Its repository.
    pub repository: Box<dyn Repository>,
    /// Whether to look for its C library, and refuse one that cannot run the packages.
    pub libc_check: bool,
    /// Where it is noted which C library an image has, so that its layers are read once.
    pub kept: Option<PathBuf>,
}

impl fmt::Debug for BaseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseSource").field("reference", &self.reference).finish_non_exhaustive()
    }
}

/// A base image for one platform.
#[derive(Debug)]
pub(crate) struct Base {
    /// As it was asked for.
    pub(crate) reference: String,
    /// What others may find it by: as `docker pull` takes it. A directory of this machine has no such name.
    pub(crate) name: Option<String>,
    /// Of its manifest.
    pub(crate) digest: Digest,
    /// Which media types it uses, and thus everything made on top of it.
    pub(crate) family: Family,
    /// Its layers, of types of that family.
    pub(crate) layers: Vec<Descriptor>,
    /// Its config.
    pub(crate) config: ImageConfig,
    /// Its C library, if it was looked for and found.
    pub(crate) libc: Option<Libc>,
    /// Whether it was looked for.
    pub(super) libc_check: bool,
}

impl Base {
    /// Reads it. Unless its C library is known, layers are read until it is found, the topmost first.
    ///
    /// # Errors
    /// If there is no such image, none for that platform, or one that nothing can be put on.
    pub(crate) fn load(
        source: &BaseSource,
        platform: &Platform,
        reporter: &dyn Reporter,
    ) -> Result<Self, Error> {
        let reference = source.reference.to_string();
        let image = image_for(&*source.repository, &source.reference, Some(platform))?;
        let bad = |reason| Error::Image(ImageError::BadBase { base: reference.clone(), reason });
        let (layers, diff_ids) = (image.manifest.layers, &image.config.root_fs.diff_ids);
        if layers.len() != diff_ids.len() {
            let (layers, ids) = (layers.len(), diff_ids.len());
            return Err(bad(format!("its manifest has {layers} layers, and its config {ids}")));
        }
        let family = Family::of_manifest(&image.manifest.media_type);
        let of_family = layers.iter().map(|layer| of_family(layer, family).map_err(bad));
        let libc = match source.libc_check {
            true => libc_of(source, &image.digest, &layers, platform, reporter)?,
            false => None,
        };
        Ok(Self {
            layers: of_family.collect::<Result<_, _>>()?,
            digest: image.digest,
            family,
            config: image.config,
            libc,
            libc_check: source.libc_check,
            name: name(&source.reference),
            reference,
        })
    }

    /// Its layers, as manifests of `family` name them: its own family, or OCI's, which has a type for whatever Docker's has.
    pub(super) fn layers_for(&self, family: Family) -> Vec<Descriptor> {
        let named = |layer: &Descriptor| of_family(layer, family).unwrap_or_else(|_| layer.clone());
        self.layers.iter().map(named).collect()
    }

    /// Makes its layers available in `to`: mounted, or copied.
    pub(crate) fn provide(
        &self,
        source: &BaseSource,
        to: &dyn Repository,
        reporter: &dyn Reporter,
    ) -> Result<(), Error> {
        if !self.layers.is_empty() {
            reporter.event(Event::Phase("Providing the layers of the base"));
        }
        parallel::map(&self.layers, COPIES, |layer| {
            let how = match copy_blob(&*source.repository, to, layer)? {
                Copied::Existed => "is there already",
                Copied::Mounted => "was mounted: nothing was sent",
                Copied::Sent => "was copied",
            };
            reporter.event(Event::Detail(&format!("layer {} of {} {how}", layer.digest, self.reference)));
            Ok::<_, Error>(())
        })?;
        Ok(())
    }

    /// Refuses packages that its C library cannot run, with both versions named. What they depend on, and with it the C library
    /// that they were built against, is in `source`.
    pub(crate) fn refuse_unfit(&self, source: &dyn NodeSource, nodes: &[&Node]) -> Result<(), Error> {
        if !self.libc_check {
            return Ok(());
        }
        let mut reached: HashMap<&DagHash, &Node> = HashMap::new();
        let mut stack = nodes.to_vec();
        while let Some(node) = stack.pop() {
            if reached.insert(&node.hash, node).is_none() {
                stack.extend(node.dependencies.iter().filter_map(|edge| source.node(&edge.hash)));
            }
        }
        let catalog = Catalog::of_nodes(reached.into_values().map(|node| (node, false)));
        let host = Host { libc: self.libc.clone(), ..Host::default() };
        for node in nodes {
            let Some(found) = catalog.with_hash(node.hash.as_str()).next() else { continue };
            let (base, package) = (self.reference.clone(), node.label());
            if self.libc.is_none() {
                if let Some(libc) = strata_spec::host::libc(found) {
                    return Err(Error::Image(ImageError::BaseWithoutLibc {
                        base,
                        package,
                        needs: as_spec(&libc.to_string()),
                    }));
                }
            } else if let Some(Unfit::Libc { built_against, host }) = unfit(found, &host) {
                let (has, needs) = (as_spec(&host), as_spec(&built_against));
                return Err(Error::Image(ImageError::BaseLibc { base, has, package, needs }));
            }
        }
        Ok(())
    }
}

/// A reference without a scheme, as the specification of OCI's annotations wants it.
fn name(reference: &ImageReference) -> Option<String> {
    let Location::Registry { host, name, .. } = reference.repository().location() else { return None };
    // What Docker Hub is called, and not where it is.
    let host = if host == "index.docker.io" { "docker.io" } else { host };
    Some(match reference.manifest() {
        ManifestRef::Tag(tag) => format!("{host}/{name}:{tag}"),
        ManifestRef::Digest(digest) => format!("{host}/{name}@{digest}"),
    })
}

/// `glibc 2.36` as Spack writes it: `glibc@2.36`.
fn as_spec(libc: &str) -> String {
    libc.trim_end().replacen(' ', "@", 1)
}

/// The descriptor of a base layer with the type that `family` has for what it is.
fn of_family(layer: &Descriptor, family: Family) -> Result<Descriptor, String> {
    let Some(compression) = layer_type::compression(&layer.media_type) else {
        return Err(format!("its layer {} is of type {}", layer.digest, layer.media_type));
    };
    let media_type = layer_type::media_type(compression, family).ok_or_else(|| {
        let digest = layer.digest;
        format!("its layer {digest} is compressed with zstd, for which Docker's manifests have no type")
    })?;
    let mut layer = layer.clone();
    media_type.clone_into(&mut layer.media_type);
    if family == Family::Docker {
        layer.annotations.clear();
    }
    Ok(layer)
}

/// The C library of an image, as it was noted or as its layers say.
fn libc_of(
    source: &BaseSource,
    digest: &Digest,
    layers: &[Descriptor],
    platform: &Platform,
    reporter: &dyn Reporter,
) -> Result<Option<Libc>, Error> {
    let place = source.kept.as_ref().map(|directory| directory.join("libc"));
    let noted = place.as_ref().and_then(|directory| std::fs::read(directory.join(digest.hex())).ok());
    if let Some(noted) = noted.and_then(|text| serde_json::from_slice::<Option<(String, String)>>(&text).ok())
    {
        return Ok(noted.map(|(name, version)| Libc { name, version }));
    }
    reporter.event(Event::Phase("Looking for the C library of the base"));
    let found = libc::of_layers(&*source.repository, layers, &platform.architecture)?;
    if let Some(directory) = &place {
        let note = found.as_ref().map(|libc| (&libc.name, &libc.version));
        if let Err(error) = kept::write(directory, &digest.hex(), &note) {
            let text = format!("cannot note the C library of a base in {}: {error}", directory.display());
            reporter.event(Event::Detail(&text));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_oci::media_type;

    #[test]
    fn a_base_is_named_as_engines_name_it() {
        let named = |text: &str| name(&text.parse().unwrap());
        let digest = Digest::of(b"");
        for (reference, expected) in [
            ("debian:12", "docker.io/library/debian:12"),
            ("oci+http://localhost:5000/a/b", "localhost:5000/a/b:latest"),
            (&format!("oci://ghcr.io/a/b@{digest}"), &format!("ghcr.io/a/b@{digest}")),
        ] {
            assert_eq!(named(reference).as_deref(), Some(expected));
        }
        assert_eq!(named("oci+file:///some/where:1"), None);
    }

    #[test]
    fn layers_get_the_types_of_one_family() {
        let layer = |media_type: &str| {
            let mut layer = Descriptor::of(media_type, b"");
            layer.annotations.insert("a".into(), "b".into());
            layer
        };
        for (from, family, to) in [
            (media_type::DOCKER_LAYER_GZIP, Family::Oci, Some(media_type::OCI_LAYER_GZIP)),
            (media_type::OCI_LAYER_GZIP, Family::Docker, Some(media_type::DOCKER_LAYER_GZIP)),
            (media_type::OCI_LAYER_TAR, Family::Docker, Some(media_type::DOCKER_LAYER_TAR)),
            (media_type::OCI_LAYER_ZSTD, Family::Oci, Some(media_type::OCI_LAYER_ZSTD)),
            (
                "application/vnd.docker.image.rootfs.diff.tar.zstd",
                Family::Oci,
                Some(media_type::OCI_LAYER_ZSTD),
            ),
            (media_type::OCI_LAYER_ZSTD, Family::Docker, None),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Family::Docker, None),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", Family::Oci, None),
        ] {
            let found = of_family(&layer(from), family);
            assert_eq!(found.as_ref().ok().map(|l| l.media_type.as_str()), to, "{from}");
            if let Ok(found) = found {
                assert_eq!(found.annotations.is_empty(), family == Family::Docker);
            }
        }
    }
}
