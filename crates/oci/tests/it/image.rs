//! A smallest image to put into repositories.

use strata_oci::{BlobSource, Digest, ImageConfig, Manifest, Repository, TagName, media_type};

/// An image of one layer: a gzip-compressed tar without entries, and a comment that makes it one of many.
pub(crate) struct Image {
    pub(crate) layer: BlobSource,
    pub(crate) config: BlobSource,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    pub(crate) fn new(comment: &str) -> Self {
        let tar = [0; 1024];
        let layer = BlobSource::bytes(stored_gzip(&tar, 0xefb5_af2e, comment));
        let mut config = ImageConfig::new("amd64", "linux");
        config.root_fs.diff_ids.push(Digest::of(&tar));
        config.extra.set("comment", comment).unwrap();
        let config = BlobSource::bytes(config.to_bytes().unwrap());
        let manifest = Manifest::new(
            config.descriptor(media_type::OCI_CONFIG),
            vec![layer.descriptor(media_type::OCI_LAYER_GZIP)],
        );
        Self { layer, config, manifest: manifest.to_bytes().unwrap() }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    pub(crate) fn put(&self, repository: &dyn Repository, tag: &str) -> Digest {
        let _ = repository.put_blob(&self.layer).unwrap();
        let _ = repository.put_blob(&self.config).unwrap();
        self.put_manifest(repository, tag).unwrap()
    }

    pub(crate) fn put_manifest(
        &self,
        repository: &dyn Repository,
        tag: &str,
    ) -> Result<Digest, strata_oci::Error> {
        repository.put_manifest(&name(tag), media_type::OCI_MANIFEST, &self.manifest)
    }
}

pub(crate) fn name(tag: &str) -> TagName {
    tag.parse().unwrap()
}

/// A gzip member (RFC 1952) with `content` as one stored block and `comment` in its header.
fn stored_gzip(content: &[u8], crc: u32, comment: &str) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap();
    let mut gzip = vec![0x1f, 0x8b, 8, 16, 0, 0, 0, 0, 0, 255];
    gzip.extend_from_slice(comment.as_bytes());
    gzip.push(0);
    gzip.push(1);
    gzip.extend_from_slice(&length.to_le_bytes());
    gzip.extend_from_slice(&(!length).to_le_bytes());
    gzip.extend_from_slice(content);
    gzip.extend_from_slice(&crc.to_le_bytes());
    gzip.extend_from_slice(&u32::from(length).to_le_bytes());
    gzip
}
