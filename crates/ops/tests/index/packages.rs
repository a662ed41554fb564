//! Packages made of nothing but their specs: one empty layer serves them all.

use serde_json::{Value, json};
use std::path::Path;
use strata_oci::{
    BlobSource, Descriptor, Digest, ImageConfig, Manifest, Repository, RepositoryUrl, TagName, Transport,
    media_type,
};

/// Opens a cache as one process does.
pub(crate) fn open(url: &str) -> Box<dyn Repository> {
    let url: RepositoryUrl = url.parse().unwrap();
    strata_oci::open_or_create(&url, &Transport::default(), None).unwrap()
}

/// A DAG hash out of a word or a number.
pub(crate) fn hash(of: &str) -> String {
    let letters = of.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'2'..=b'7' => char::from(byte),
        other => char::from(b'a' + other % 26),
    });
    let marks =
        Digest::of(of.as_bytes()).hex().bytes().map(|byte| char::from(b'a' + byte % 26)).collect::<String>();
    (letters.collect::<String>() + &marks)[..32].to_owned()
}

/// A node that needs those.
pub(crate) fn node(name: &str, needs: &[&str]) -> Value {
    let edge = |below: &&str| json!({"name": below, "hash": hash(below), "parameters": {"deptypes": ["link"], "virtuals": []}});
    json!({
        "name": name, "version": "1.0", "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64"},
        "namespace": "test", "parameters": {}, "dependencies": needs.iter().map(edge).collect::<Vec<_>>(),
        "annotations": {"original_specfile_version": 5}, "hash": hash(name),
    })
}

/// The tag of the package.
pub(crate) fn tag(name: &str) -> TagName {
    TagName::sanitized(&format!("{name}-1.0-{}.spack", hash(name))).unwrap()
}

/// The `spec` of a package with those nodes, root first.
pub(crate) fn spec(nodes: &[Value]) -> Value {
    json!({"_meta": {"version": 5}, "nodes": nodes})
}

/// The config of a package.
pub(crate) fn config(spec: &Value) -> Vec<u8> {
    let mut config = ImageConfig::new("amd64", "linux");
    config.extra.set("spec", spec).unwrap();
    config.to_bytes().unwrap()
}

fn layer() -> BlobSource {
    BlobSource::bytes(b"a layer".to_vec())
}

/// The manifest of a package with this config.
pub(crate) fn manifest(config: &BlobSource) -> Manifest {
    let layers = vec![layer().descriptor(media_type::OCI_LAYER_GZIP)];
    Manifest::new(config.descriptor(media_type::OCI_CONFIG), layers)
}

/// Puts a package into a cache under some tag.
pub(crate) fn put(repository: &dyn Repository, tag: &TagName, spec: &Value) {
    let config = BlobSource::bytes(config(spec));
    let _ = repository.put_blob(&config).unwrap();
    let _ = repository.put_blob(&layer()).unwrap();
    let manifest = manifest(&config);
    repository.put_manifest(tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
}

/// Puts a package that needs another, which the cache need not have.
pub(crate) fn put_package(repository: &dyn Repository, name: &str) {
    put(repository, &tag(name), &spec(&[node(name, &["shared"]), node("shared", &[])]));
}

/// Writes a layout of many packages, faster than they could be put one by one.
pub(crate) fn write_layout(directory: &Path, names: &[String]) {
    let blobs = directory.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    let write = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
        digest
    };
    write(b"a layer");
    let mut manifests = Vec::new();
    for name in names {
        let config = BlobSource::bytes(config(&spec(&[node(name, &["shared"]), node("shared", &[])])));
        let manifest = manifest(&config).to_bytes().unwrap();
        write(&self::config(&spec(&[node(name, &["shared"]), node("shared", &[])])));
        let mut descriptor =
            Descriptor::new(media_type::OCI_MANIFEST, write(&manifest), manifest.len() as u64);
        descriptor.annotations.insert("org.opencontainers.image.ref.name".to_owned(), tag(name).to_string());
        manifests.push(descriptor);
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    std::fs::write(directory.join("index.json"), index.to_string()).unwrap();
}

/// The names of the packages that the index of a cache says it has, sorted.
pub(crate) fn in_index(repository: &dyn Repository) -> Vec<String> {
    let (index, _) = strata_ops::index::read(repository).unwrap().expect("an index");
    let cached = index.records.values().filter(|record| record.in_buildcache);
    let mut names: Vec<String> = cached.map(|record| record.node.name.clone()).collect();
    names.sort();
    names
}
