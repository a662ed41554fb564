//! An image layout in a tar: `oci-archive:` of skopeo, podman and Apptainer.

use std::collections::HashSet;
use std::io::Write;

use serde_json::json;
use strata_oci::{
    Descriptor, Digest, ImageIndex, ManifestError, ManifestRef, RawManifest, Repository, media_type,
};

use super::tar_file::TarFile;
use super::{ArchiveError, copy, unreadable};

/// The annotation that names an image in a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// How deep indexes may be within each other.
const DEEPEST: usize = 8;

/// Writes an image, or an index with all its images, as an OCI archive, under `name` if given: manifests, configs and
/// layers as they are in `repository`, each once.
///
/// # Errors
/// [`ArchiveError`]; what was written to `output` until then is of no use.
pub fn write_oci_archive(
    repository: &dyn Repository,
    root: &RawManifest,
    name: Option<&str>,
    output: impl Write,
) -> Result<(), ArchiveError> {
    let mut contents = Contents::default();
    let media_type = contents.gather(repository, root, 0)?;

    let mut descriptor = Descriptor::new(media_type, root.digest, root.bytes.len() as u64);
    if let Some(name) = name {
        descriptor.annotations.insert(REF_NAME.to_owned(), name.to_owned());
    }
    let index = ImageIndex { manifests: vec![descriptor], ..ImageIndex::default() };
    let malformed = |cause| ArchiveError::Image { image: root.digest, reason: format!("{cause}") };
    let index = index.to_bytes().map_err(malformed)?;

    let mut tar = TarFile::new(output);
    let begin = |tar: &mut TarFile<_>| {
        tar.file("oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string().as_bytes())?;
        tar.file("index.json", &index)?;
        tar.directory("blobs/")?;
        tar.directory("blobs/sha256/")
    };
    begin(&mut tar).map_err(ArchiveError::Write)?;
    for (digest, bytes) in &contents.documents {
        tar.file(&path(digest), bytes).map_err(ArchiveError::Write)?;
    }
    for blob in &contents.blobs {
        let reader = repository.blob(blob)?;
        tar.start_file(&path(&blob.digest), blob.size).map_err(ArchiveError::Write)?;
        // The reader gives as many bytes as the descriptor says, or an error.
        copy(reader, |bytes| tar.data(bytes))
            .map_err(ArchiveError::Write)?
            .map_err(|error| unreadable(blob.digest, error))?;
        tar.end_file().map_err(ArchiveError::Write)?;
    }
    tar.finish().map_err(ArchiveError::Write)
}

fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// What goes into the archive, each thing once, what points before what is pointed at.
#[derive(Default)]
struct Contents {
    seen: HashSet<Digest>,
    documents: Vec<(Digest, Vec<u8>)>,
    blobs: Vec<Descriptor>,
}

impl Contents {
    /// Takes in a manifest or index with all that belongs to it; gives its media type.
    fn gather(
        &mut self,
        repository: &dyn Repository,
        raw: &RawManifest,
        depth: usize,
    ) -> Result<String, ArchiveError> {
        let refused = |reason: String| ArchiveError::Image { image: raw.digest, reason };
        if self.seen.insert(raw.digest) {
            self.documents.push((raw.digest, raw.bytes.clone()));
        }
        let manifest = match raw.parse() {
            Ok(manifest) => manifest,
            Err(ManifestError::IsIndex { media_type, .. }) => {
                if depth == DEEPEST {
                    return Err(refused("indexes within indexes without end".to_owned()));
                }
                let index = ImageIndex::parse(&raw.bytes).map_err(|cause| refused(cause.to_string()))?;
                for child in &index.manifests {
                    self.child(repository, raw, child, depth)?;
                }
                return Ok(media_type);
            }
            Err(cause) => return Err(refused(cause.to_string())),
        };
        for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
            if let Some(reason) = super::not_to_be_had(blob) {
                return Err(refused(reason));
            }
            if self.seen.insert(blob.digest) {
                self.blobs.push(blob.clone());
            }
        }
        Ok(manifest.media_type)
    }

    fn child(
        &mut self,
        repository: &dyn Repository,
        index: &RawManifest,
        child: &Descriptor,
        depth: usize,
    ) -> Result<(), ArchiveError> {
        if self.seen.contains(&child.digest) {
            return Ok(());
        }
        let Some(raw) = repository.manifest(&ManifestRef::Digest(child.digest))? else {
            return Err(strata_oci::Error::MissingBlob {
                location: repository.url().to_string(),
                manifest: index.digest.into(),
                role: "manifest",
                digest: child.digest,
            }
            .into());
        };
        // Who delivers it may say no more than that it is JSON; the index says what.
        let said = media_type::ALL_MANIFESTS.contains(&media_type::essence(&raw.media_type).as_str());
        let raw = if said { raw } else { RawManifest { media_type: child.media_type.clone(), ..raw } };
        self.gather(repository, &raw, depth + 1).map(drop)
    }
}
