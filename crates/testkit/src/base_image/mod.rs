//! [`BaseImage`]: images to put packages on top of, made on the spot and pushed without any other program.

mod debian;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use std::io::{self, Write};
use std::sync::Arc;
use strata_oci::media_type::{self, Family};
use strata_oci::{
    BlobSource, Descriptor, Digest, Error, ImageConfig, ImageIndex, Manifest, Repository, TagName,
};

/// When everything here was made: the same bytes each time.
const CREATED: &str = "2024-01-01T00:00:00Z";

/// A layer: gzip'd, and the digest of what is in it.
#[derive(Clone)]
struct Layer {
    bytes: Arc<[u8]>,
    diff_id: Digest,
}

/// An image that is not in a repository yet.
#[derive(Clone)]
pub struct BaseImage {
    /// Its config, for tests that want it otherwise. `diff_ids` are set when it is pushed.
    pub config: ImageConfig,
    layers: Vec<Layer>,
}

impl BaseImage {
    /// An image for `architecture` (as Go names them), without layers.
    ///
    /// # Panics
    /// Never: what it sets can be written as JSON.
    pub fn new(architecture: &str) -> Self {
        let mut config = ImageConfig::new(architecture, "linux");
        config
            .config
            .env
            .push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
        config.config.extra.set("Cmd", &["/bin/sh"]).expect("JSON");
        config.extra.set("created", CREATED).expect("JSON");
        Self { config, layers: Vec::new() }
    }

    /// Debian with a shell and coreutils: the root file system that `STRATA_BASE_ROOTFS` names, else one put together from
    /// this machine's own Debian packages.
    ///
    /// # Errors
    /// Why there is none: this is no Debian.
    pub fn debian() -> Result<Self, String> {
        Ok(Self::of_this_machine(debian::named()?))
    }

    /// The same, smaller, and always from this machine's packages: for images of so many layers that a storage which copies
    /// what is below each of them could not hold them otherwise.
    ///
    /// # Errors
    /// As for [`debian`](Self::debian).
    pub fn small_debian() -> Result<Self, String> {
        Ok(Self::of_this_machine(debian::composed()?))
    }

    fn of_this_machine(layer: Layer) -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let mut image = Self::new(architecture);
        image.add(layer);
        image
    }

    /// An image that calls itself one with that version of glibc, in which nothing runs.
    pub fn of_glibc(architecture: &str, version: &str) -> Self {
        let text = format!("GNU C Library (Debian GLIBC {version}-1) stable release version {version}.\n");
        let library = "usr/lib/x86_64-linux-gnu/libc.so.6";
        Self::new(architecture).with_files(&[(library, text.as_bytes())])
    }

    /// With a layer of these files, everybody's to read and to run.
    ///
    /// # Panics
    /// If a name is too long for a tar.
    pub fn with_files(mut self, files: &[(&str, &[u8])]) -> Self {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in files {
            append(&mut archive, tar::EntryType::Regular, name, 0o755, content).expect("an archive");
        }
        self.add(compressed(&archive.into_inner().expect("an archive")).expect("memory"));
        self
    }

    /// How many layers it has.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    fn add(&mut self, layer: Layer) {
        self.layers.push(layer);
    }

    /// Puts it into a repository, with the media types of `family`.
    ///
    /// # Errors
    /// What the repository says.
    ///
    /// # Panics
    /// If `tag` is none.
    pub fn push(&self, repository: &dyn Repository, tag: &str, family: Family) -> Result<Digest, Error> {
        let bytes = self.put_blobs(repository, family)?;
        repository.put_manifest(&tag_name(tag), family.manifest(), &bytes)
    }

    /// Puts everything but the manifest, which it returns.
    fn put_blobs(&self, repository: &dyn Repository, family: Family) -> Result<Vec<u8>, Error> {
        let mut config = self.config.clone();
        config.root_fs.diff_ids = self.layers.iter().map(|layer| layer.diff_id).collect();
        if config.extra.get("history").is_none() {
            let entry = json!({"created": CREATED, "created_by": "made for a test"});
            config.extra.set("history", &vec![entry; self.layers.len()]).expect("JSON");
        }
        let config = put(repository, config.to_bytes().expect("JSON"), family.config())?;
        let layers = self.layers.iter().map(|layer| put(repository, layer.bytes.to_vec(), family.layer()));
        let mut manifest = Manifest::new(config, layers.collect::<Result<_, _>>()?);
        manifest.media_type = family.manifest().to_owned();
        Ok(manifest.to_bytes().expect("JSON"))
    }
}

/// Puts an index of images, each with the platform that its config says and followed by an attestation of it, as builders
/// of images write them.
///
/// # Errors
/// What the repository says.
///
/// # Panics
/// If `tag` is none.
pub fn push_index(
    repository: &dyn Repository,
    tag: &str,
    family: Family,
    images: &[BaseImage],
) -> Result<Digest, Error> {
    let mut index = ImageIndex { media_type: family.index().to_owned(), ..ImageIndex::default() };
    for image in images {
        let bytes = image.put_blobs(repository, family)?;
        let digest = repository.put_manifest_untagged(family.manifest(), &bytes)?;
        let mut entry = Descriptor::new(family.manifest(), digest, bytes.len() as u64);
        let platform = json!({"architecture": image.config.architecture, "os": image.config.os});
        entry.extra.set("platform", &platform).expect("JSON");
        index.manifests.push(entry);
        index.manifests.push(put_attestation(repository, &digest)?);
    }
    repository.put_manifest(&tag_name(tag), family.index(), &index.to_bytes().expect("JSON"))
}

/// What Docker's builder says of how it made an image: a manifest whose one layer is no file system.
fn put_attestation(repository: &dyn Repository, of: &Digest) -> Result<Descriptor, Error> {
    let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": of.hex()}]});
    let config = json!({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}});
    let config = put(repository, config.to_string().into_bytes(), media_type::OCI_CONFIG)?;
    let layer = put(repository, statement.to_string().into_bytes(), "application/vnd.in-toto+json")?;
    let bytes = Manifest::new(config, vec![layer]).to_bytes().expect("JSON");
    let digest = repository.put_manifest_untagged(media_type::OCI_MANIFEST, &bytes)?;
    let mut entry = Descriptor::new(media_type::OCI_MANIFEST, digest, bytes.len() as u64);
    entry.annotations.insert("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned());
    entry.annotations.insert("vnd.docker.reference.digest".to_owned(), of.to_string());
    entry.extra.set("platform", &json!({"architecture": "unknown", "os": "unknown"})).expect("JSON");
    Ok(entry)
}

fn put(repository: &dyn Repository, bytes: Vec<u8>, media_type: &str) -> Result<Descriptor, Error> {
    let source = BlobSource::bytes(bytes);
    let _ = repository.put_blob(&source)?;
    Ok(source.descriptor(media_type))
}

fn tag_name(tag: &str) -> TagName {
    tag.parse().map_err(|error: strata_oci::TagError| error.to_string()).expect("a tag")
}

fn compressed(tar: &[u8]) -> io::Result<Layer> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(tar)?;
    Ok(Layer { bytes: gzip.finish()?.into(), diff_id: Digest::of(tar) })
}

/// Appends an entry of nobody's and no time.
fn append(
    archive: &mut tar::Builder<Vec<u8>>,
    kind: tar::EntryType,
    name: &str,
    mode: u32,
    content: &[u8],
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content)
}
