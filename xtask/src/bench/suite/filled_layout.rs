//! A cache of very many packages, of which only the specs are real: an image layout, written directly.

use super::super::Outcome;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use strata_oci::{BlobSource, Digest, Manifest, media_type};

/// The layout: its blobs are written once, and which tags it has can be changed again and again.
pub(super) struct FilledLayout {
    directory: PathBuf,
    /// The entries of all packages, as the index of the layout has them.
    entries: Vec<Value>,
}

impl FilledLayout {
    /// Writes the blobs for every package of a build cache index, which is given as JSON.
    pub(super) fn write(directory: &Path, index: &str) -> Outcome<Self> {
        let index: Value = serde_json::from_str(index)?;
        let records = index["database"]["installs"].as_object().ok_or("no records")?;
        let mut layout = Self { directory: directory.to_owned(), entries: Vec::new() };
        fs::create_dir_all(directory.join("blobs/sha256"))?;
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let archive = BlobSource::bytes(b"nobody reads this".to_vec());
        layout.blob(b"nobody reads this")?;
        let layer = archive.descriptor(media_type::OCI_LAYER_GZIP);
        for (hash, record) in records.iter().filter(|(_, record)| record["spec"].get("external").is_none()) {
            let config = config(records, hash, &layer.digest, layer.size).to_string().into_bytes();
            let blob = BlobSource::bytes(config.clone());
            let manifest = Manifest::new(blob.descriptor(media_type::OCI_CONFIG), vec![layer.clone()]);
            let bytes = manifest.to_bytes()?;
            layout.blob(&config)?;
            layout.blob(&bytes)?;
            let text = |key: &str| record["spec"][key].as_str().unwrap_or_default();
            let tag = format!("{}-{}-{hash}.spack", text("name"), text("version"));
            layout.entries.push(json!({
                "mediaType": manifest.media_type,
                "digest": Digest::of(&bytes).to_string(),
                "size": bytes.len(),
                "annotations": {"org.opencontainers.image.ref.name": tag},
            }));
        }
        Ok(layout)
    }

    /// How many packages there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes these the tags: of the first packages, as many as that, and what else is given.
    pub(super) fn set_tags(&self, packages: usize, others: &[Value]) -> Outcome<()> {
        let manifests: Vec<&Value> = self.entries.iter().take(packages).chain(others).collect();
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests});
        let (path, new) = (self.directory.join("index.json"), self.directory.join("index.json.new"));
        fs::write(&new, index.to_string())?;
        Ok(fs::rename(new, path)?)
    }

    /// The entry of the cache's own index, once somebody wrote one.
    pub(super) fn index_entry(&self) -> Outcome<Value> {
        let index: Value = serde_json::from_slice(&fs::read(self.directory.join("index.json"))?)?;
        let entries = index["manifests"].as_array().ok_or("no manifests")?;
        let is_index =
            |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == "index.spack";
        Ok(entries.iter().find(is_index).ok_or("no index.spack")?.clone())
    }

    fn blob(&self, bytes: &[u8]) -> Outcome<()> {
        let path = self.directory.join("blobs/sha256").join(Digest::of(bytes).hex());
        Ok(fs::write(path, bytes)?)
    }
}

/// What Spack and strata find out about a package.
fn config(records: &Map<String, Value>, hash: &str, layer: &Digest, size: u64) -> Value {
    let mut nodes = Vec::new();
    closure(records, hash, &mut HashSet::new(), &mut nodes);
    json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.to_string()]},
        "config": {"Env": []},
        "spec": {"_meta": {"version": 5}, "nodes": nodes},
        "buildcache_layout_version": 2,
        "binary_cache_checksum": {"hash_algorithm": "sha256", "hash": layer.hex().to_string()},
        "archive_size": size,
        "archive_timestamp": "2026-01-17T00:00:00+00:00",
        "archive_compression": "gzip",
    })
}

/// The package and what it needs, itself first.
fn closure<'r>(
    records: &'r Map<String, Value>,
    hash: &'r str,
    seen: &mut HashSet<&'r str>,
    nodes: &mut Vec<&'r Value>,
) {
    let Some(record) = records.get(hash).filter(|_| seen.insert(hash)) else { return };
    nodes.push(&record["spec"]);
    for edge in record["spec"]["dependencies"].as_array().into_iter().flatten() {
        closure(records, edge["hash"].as_str().unwrap_or_default(), seen, nodes);
    }
}
