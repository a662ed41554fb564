//! What real Spack wrote, read and written back.

use std::fs;
use std::path::{Path, PathBuf};

use strata_oci::{
    Digest, ImageConfig, Manifest, RawObject, Repository, RepositoryUrl, TagName, Transport, blob_bytes,
    image_config, image_manifest, media_type, open,
};
use strata_testkit::golden;

/// The JSON files of a golden directory; says that `test` is skipped if there are none.
fn json_files(test: &str, name: &str) -> Vec<PathBuf> {
    let files = golden::json_files(name);
    if files.is_empty() {
        golden::skipped(test, &format!("no JSON in {name} of the golden data"));
    }
    files
}

fn tag_of(path: &Path) -> TagName {
    path.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn manifests_are_written_as_spack_wrote_them() {
    for path in json_files("golden::manifests_are_written_as_spack_wrote_them", "push/manifests") {
        let bytes = fs::read(&path).unwrap();
        let manifest = Manifest::parse(media_type::OCI_MANIFEST, &bytes).unwrap();
        assert_eq!(
            String::from_utf8(manifest.to_bytes().unwrap()).unwrap(),
            String::from_utf8(bytes).unwrap(),
            "{}",
            path.display()
        );
        assert!(!manifest.layers.is_empty());
        assert_eq!(TagName::sanitized(tag_of(&path).as_str()).unwrap(), tag_of(&path));
    }
}

#[test]
fn configs_are_the_blobs_their_manifests_name_and_are_written_as_spack_wrote_them() {
    const TEST: &str =
        "golden::configs_are_the_blobs_their_manifests_name_and_are_written_as_spack_wrote_them";
    for path in json_files(TEST, "push/configs") {
        let bytes = fs::read(&path).unwrap();
        let manifest = path.parent().unwrap().with_file_name("manifests").join(path.file_name().unwrap());
        let manifest = Manifest::parse("", &fs::read(manifest).unwrap()).unwrap();
        assert_eq!(manifest.config.digest, Digest::of(&bytes), "{}", path.display());
        assert_eq!(manifest.config.size, bytes.len() as u64);
        let config = ImageConfig::parse(&bytes).unwrap();
        assert_eq!(config.root_fs.diff_ids.len(), manifest.layers.len());
        assert_eq!(
            String::from_utf8(config.to_bytes().unwrap()).unwrap(),
            String::from_utf8(bytes).unwrap(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_tag_spack_made_is_a_tag() {
    let Some(path) = golden::file("push/tags.json") else {
        return golden::skipped("golden::every_tag_spack_made_is_a_tag", "no push/tags.json");
    };
    let tags: Vec<String> = serde_json::from_str(&golden::text(&path)).unwrap();
    for tag in tags {
        assert_eq!(TagName::sanitized(&tag).unwrap().as_str(), tag);
    }
}

#[test]
fn a_layout_of_what_spack_pushed_is_read_without_a_trace() {
    let Some(cache) = golden::file("cache") else {
        return golden::skipped(
            "golden::a_layout_of_what_spack_pushed_is_read_without_a_trace",
            "no cache/ in the golden directory (set STRATA_GOLDEN)",
        );
    };
    let cache = fs::canonicalize(cache).unwrap();
    let entries = || {
        let mut names: Vec<_> =
            fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = entries();
    let repository =
        open(&RepositoryUrl::from_directory(&cache).unwrap(), &Transport::default(), None).unwrap();
    let tags = repository.tags().unwrap();
    assert!(!tags.is_empty());
    for tag in &tags {
        check_image(&*repository, &tag.parse().unwrap());
    }
    assert_eq!(entries(), before);
}

fn check_image(repository: &dyn Repository, tag: &TagName) {
    let (digest, manifest) = image_manifest(repository, &tag.clone().into()).unwrap().expect("it is listed");
    assert_eq!(repository.resolve(tag).unwrap().unwrap().digest, digest);
    for layer in &manifest.layers {
        assert_eq!(repository.blob_size(&layer.digest).unwrap(), Some(layer.size), "{tag}");
        let bytes = blob_bytes(repository, layer, u64::MAX).unwrap();
        assert_eq!(bytes.len() as u64, layer.size);
    }
    let config = blob_bytes(repository, &manifest.config, u64::MAX).unwrap();
    // The index's config is an empty object: what it tags is no image.
    if serde_json::from_slice::<RawObject>(&config).unwrap().is_empty() {
        assert!(image_config(repository, &manifest).is_err());
        return;
    }
    let config = image_config(repository, &manifest).unwrap();
    assert_eq!(config.root_fs.diff_ids.len(), manifest.layers.len(), "{tag}");
    // An image of an environment has several roots, and no spec.
    assert_eq!(config.extra.get("spec").is_some(), tag.as_str().ends_with(".spack"), "{tag}");
}
