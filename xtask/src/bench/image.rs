//! Images to be copied, whose layers nobody has seen before.

use super::Outcome;
use std::path::Path;
use strata_oci::{
    BlobSource, Descriptor, Manifest, Repository, RepositoryUrl, TagName, Transport, media_type,
    open_or_create,
};

/// Images: how many, of how many layers, and of how many bytes each.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) images: usize,
    pub(super) layers: usize,
    pub(super) size: usize,
}

impl Case {
    /// The tags of its images.
    pub(super) fn tags(&self) -> Vec<String> {
        (0..self.images).map(|number| format!("image-{number}")).collect()
    }
}

/// Puts images of pseudo-random layers into an image layout: others for each `seed`.
pub(super) fn make(layout: &Path, case: &Case, seed: u64) -> Outcome<()> {
    let url = RepositoryUrl::from_directory(layout)?;
    let repository = open_or_create(&url, &Transport::default(), None)?;
    let mut state = case.size as u64 + seed;
    for tag in case.tags() {
        put(&*repository, case, &tag.parse()?, &mut state)?;
    }
    Ok(())
}

fn put(repository: &dyn Repository, case: &Case, tag: &TagName, state: &mut u64) -> Outcome<()> {
    let mut layers = Vec::new();
    for _ in 0..case.layers {
        let mut bytes = Vec::with_capacity(case.size);
        while bytes.len() < case.size {
            // xorshift64: cheap, and nothing that compresses.
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        let blob = BlobSource::bytes(bytes);
        let _ = repository.put_blob(&blob)?;
        layers.push(blob.descriptor(media_type::OCI_LAYER_GZIP));
    }
    let config = BlobSource::bytes(config(&layers).into_bytes());
    let _ = repository.put_blob(&config)?;
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), layers);
    repository.put_manifest(tag, &manifest.media_type, &manifest.to_bytes()?)?;
    Ok(())
}

/// A config that skopeo takes: as many diff ids as layers.
fn config(layers: &[Descriptor]) -> String {
    let ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", layer.digest)).collect();
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    )
}
