//! Images: named by digest alone, chosen by platform, mounted and copied.

use strata_oci::media_type::{self, Family};
use strata_oci::{
    Copied, Digest, Error, ErrorKind, ImageConfig, ImageReference, LayoutRepository, Manifest, Platform,
    Repository, copy_blob, copy_image, image_for,
};

use super::*;

fn platform(text: &str) -> Platform {
    text.parse().unwrap()
}

/// Puts an image without a tag, and gives an entry for an index.
fn put_image(repository: &dyn Repository, family: Family, platform: &Platform, comment: &str) -> Descriptor {
    let image = Image::new(comment);
    let mut config = ImageConfig::new(platform.architecture.as_str(), platform.os.as_str());
    config.root_fs.diff_ids.push(Digest::of(&[0; 1024]));
    config.extra.set("comment", comment).unwrap();
    config.set_variant(platform.variant.as_deref()).unwrap();
    let config = BlobSource::bytes(config.to_bytes().unwrap());
    for blob in [&image.layer, &config] {
        let _ = repository.put_blob(blob).unwrap();
    }
    let layers = vec![image.layer.descriptor(family.layer())];
    let mut manifest = Manifest::new(config.descriptor(family.config()), layers);
    manifest.media_type = family.manifest().to_string();
    let manifest = manifest.to_bytes().unwrap();
    repository.put_manifest_untagged(family.manifest(), &manifest).unwrap();
    let mut entry = Descriptor::of(family.manifest(), &manifest);
    let mut written = serde_json::json!({"architecture": platform.architecture, "os": platform.os});
    if let Some(variant) = &platform.variant {
        written["variant"] = variant.as_str().into();
    }
    entry.extra.set("platform", &written).unwrap();
    entry
}

/// The bytes of an index.
fn index_of(family: Family, manifests: &[Descriptor]) -> Vec<u8> {
    ImageIndex {
        media_type: family.index().to_string(),
        manifests: manifests.to_vec(),
        ..ImageIndex::default()
    }
    .to_bytes()
    .unwrap()
}

fn put_index(repository: &dyn Repository, family: Family, tag: &str, manifests: &[Descriptor]) {
    repository.put_manifest(&name(tag), family.index(), &index_of(family, manifests)).unwrap();
}

fn find(repository: &dyn Repository, tag: &str, wanted: Option<&str>) -> Result<strata_oci::Image, Error> {
    let reference = ImageReference::new(repository.url().clone(), name(tag));
    let wanted = wanted.map(platform);
    image_for(repository, &reference, wanted.as_ref())
}

pub(super) fn a_manifest_without_a_tag_is_had_by_its_digest(backend: &dyn Backend) {
    let repository = backend.open();
    let image = Image::new("nameless");
    let put = || repository.put_manifest_untagged(media_type::OCI_MANIFEST, &image.manifest);
    let _ = repository.put_blob(&image.config).unwrap();
    let error = put().unwrap_err();
    assert!(error.to_string().contains(&image.layer.digest.hex()), "{error}");
    assert_eq!(repository.manifest(&image.digest().into()).unwrap(), None);
    let _ = repository.put_blob(&image.layer).unwrap();
    for _ in 0..2 {
        assert_eq!(put().unwrap(), image.digest());
    }
    assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
    put_index(&*repository, Family::Oci, "all", &[Descriptor::of(media_type::OCI_MANIFEST, &image.manifest)]);
    let other = backend.open();
    assert_eq!(other.tags().unwrap(), ["all"]);
    assert_eq!(other.manifest(&image.digest().into()).unwrap().unwrap().bytes, image.manifest);
    // With an index elsewhere in its place, it is still there.
    put_index(&*repository, Family::Oci, "all", &[]);
    assert_eq!(put().unwrap(), image.digest());
    assert_eq!(other.manifest(&image.digest().into()).unwrap().unwrap().bytes, image.manifest);
}

pub(super) fn a_blob_of_a_neighbour_is_mounted(backend: &dyn Backend) {
    let (repository, neighbour) = (backend.open(), backend.open_neighbour());
    let blob = BlobSource::bytes(long_content());
    let descriptor = blob.descriptor("x");
    let _ = neighbour.put_blob(&blob).unwrap();
    for _ in 0..2 {
        assert!(repository.mount_blob(&descriptor, neighbour.url()).unwrap());
    }
    assert!(backend.open().mount_blob(&descriptor, neighbour.url()).unwrap());
    assert_eq!(read(&*backend.open(), &descriptor).unwrap(), long_content());
    assert!(repository.put_blob(&blob).unwrap().existed);

    let absent = Descriptor::of("x", b"absent");
    let elsewhere: RepositoryUrl = "oci://127.0.0.1:1/some/neighbour".parse().unwrap();
    let nowhere = RepositoryUrl::from_directory("/nonexistent/layout").unwrap();
    for from in [neighbour.url(), &elsewhere, &nowhere] {
        assert!(!repository.mount_blob(&absent, from).unwrap(), "{from}");
    }
    assert_eq!(repository.blob_size(&absent.digest).unwrap(), None);
    assert!(!repository.put_blob(&BlobSource::bytes(b"absent".to_vec())).unwrap().existed);
}

pub(super) fn blobs_are_copied_from_elsewhere(backend: &dyn Backend) {
    let (repository, neighbour) = (backend.open(), backend.open_neighbour());
    let directory = tempfile::tempdir().unwrap();
    let layout = RepositoryUrl::from_directory(directory.path().join("layout")).unwrap();
    let layout = LayoutRepository::open_or_create(&layout).unwrap();
    let blobs = [BlobSource::bytes(long_content()), BlobSource::bytes(b"small".to_vec())];
    for blob in &blobs {
        let descriptor = blob.descriptor("x");
        let error = copy_blob(&layout, &*repository, &descriptor).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let _ = layout.put_blob(blob).unwrap();
        let copied = copy_blob(&layout, &*repository, &descriptor).unwrap();
        // Two directories are neighbours.
        let linked = matches!(backend.url().location(), strata_oci::Location::Layout { .. });
        assert_eq!(copied, if linked { Copied::Mounted } else { Copied::Sent });
        let again = copy_blob(&layout, &*backend.open(), &descriptor).unwrap();
        assert_ne!(again, Copied::Sent);
        assert_eq!(copy_blob(&*repository, &*neighbour, &descriptor).unwrap(), Copied::Mounted);
        assert_eq!(copy_blob(&*repository, &*repository, &descriptor).unwrap(), Copied::Existed);
        let expected = blob_bytes(&layout, &descriptor, u64::MAX).unwrap();
        assert_eq!(read(&*neighbour, &descriptor).unwrap(), expected);
        // And back.
        let other = directory.path().join(format!("back-{}", blob.size));
        let other = LayoutRepository::open_or_create(&RepositoryUrl::from_directory(other).unwrap()).unwrap();
        assert_ne!(copy_blob(&*neighbour, &other, &descriptor).unwrap(), Copied::Existed);
        assert_eq!(read(&other, &descriptor).unwrap(), expected);
        let left: Vec<_> = fs::read_dir(other.scratch_dir().unwrap()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "the lock alone: {left:?}");
    }

    let mut foreign = blobs[0].descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    for at in 0..2 {
        let error = copy_blob(&layout, &*repository, &foreign).unwrap_err();
        assert!(matches!(error, Error::ForeignLayer { .. }), "{at}: {error}");
        assert!(error.to_string().contains(&foreign.digest.hex()), "{error}");
        foreign = blobs[0].descriptor(media_type::OCI_LAYER_GZIP);
        foreign.extra.set("urls", &["https://example.org/layer"]).unwrap();
    }

    // What is damaged there does not get here.
    let damaged = BlobSource::bytes(vec![1; 2 << 20]);
    let _ = layout.put_blob(&damaged).unwrap();
    fs::write(layout.blob_path(&damaged.digest), vec![2; 1 << 20]).unwrap();
    assert!(copy_blob(&layout, &*repository, &damaged.descriptor("x")).is_err());
    assert_eq!(repository.blob_size(&damaged.digest).unwrap(), None);
}

pub(super) fn images_are_copied_byte_for_byte(backend: &dyn Backend) {
    let (repository, neighbour) = (backend.open(), backend.open_neighbour());
    let entry = put_image(&*neighbour, Family::Docker, &platform("linux/amd64"), "copied");
    let written = neighbour.manifest(&entry.digest.into()).unwrap().unwrap().bytes;
    let copied = copy_image(&*neighbour, &*repository, &entry).unwrap();
    assert_eq!(copied.manifest.digest, entry.digest);
    assert_eq!(copied.manifest.media_type, media_type::DOCKER_MANIFEST);
    assert_eq!(copied.blobs.len(), 2);
    assert!(copied.blobs.iter().all(|(_, how)| *how == Copied::Mounted), "{copied:?}");
    assert_eq!(repository.manifest(&entry.digest.into()).unwrap().unwrap().bytes, written);
    put_index(&*repository, Family::Docker, "all", std::slice::from_ref(&entry));
    assert_eq!(find(&*backend.open(), "all", Some("linux/amd64")).unwrap().digest, entry.digest);
    let again = copy_image(&*repository, &*repository, &entry).unwrap();
    assert!(again.blobs.iter().all(|(_, how)| *how == Copied::Existed));

    let absent = Descriptor::of(media_type::OCI_MANIFEST, b"absent");
    let error = copy_image(&*neighbour, &*repository, &absent).unwrap_err();
    assert!(matches!(error, Error::NoSuchImage { .. }), "{error}");
    assert!(error.to_string().contains(&absent.digest.hex()), "{error}");
}

pub(super) fn an_image_is_chosen_by_platform(backend: &dyn Backend) {
    let repository = &*backend.open();
    let put = |text: &str| put_image(repository, Family::Oci, &platform(text), text);
    let error = find(repository, "none", Some("linux/amd64")).unwrap_err();
    assert!(matches!(error, Error::NoSuchImage { .. }), "{error}");
    assert!(error.to_string().contains(&format!("{}:none", backend.url())), "{error}");

    // One image says what it is for in its config.
    let arm = put("linux/arm64/v8");
    let manifest = repository.manifest(&arm.digest.into()).unwrap().unwrap();
    repository.put_manifest(&name("arm"), media_type::OCI_MANIFEST, &manifest.bytes).unwrap();
    for wanted in [None, Some("linux/arm64"), Some("linux/arm64/v8"), Some("linux/arm64/v9")] {
        let image = find(repository, "arm", wanted).unwrap();
        assert_eq!((image.digest, image.config.architecture.as_str()), (arm.digest, "arm64"));
        assert_eq!(image.manifest.to_bytes().unwrap(), manifest.bytes);
    }
    for wanted in ["linux/amd64", "windows/arm64", "linux/arm64/v7"] {
        let error = find(repository, "arm", Some(wanted)).unwrap_err();
        assert!(matches!(error, Error::NoSuchPlatform { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(wanted) && message.contains("linux/arm64/v8"), "{message}");
    }

    let amd64 = put("linux/amd64");
    let newer = put("linux/amd64/v3");
    let mut attestation = put("linux/amd64/v2");
    attestation
        .extra
        .set("platform", &serde_json::json!({"architecture": "unknown", "os": "unknown"}))
        .unwrap();
    let mut marked = put("linux/amd64/v1");
    marked.annotations.insert("vnd.docker.reference.type".into(), "attestation-manifest".into());
    let mut silent = put("linux/s390x");
    silent.extra = Default::default();
    put_index(
        repository,
        Family::Oci,
        "all",
        &[attestation.clone(), marked.clone(), silent.clone(), newer.clone(), arm.clone(), amd64.clone()],
    );
    for (wanted, expected) in [
        ("linux/amd64", &amd64),
        ("linux/amd64/v2", &amd64),
        ("linux/amd64/v3", &newer),
        ("linux/amd64/v4", &newer),
        ("linux/arm64", &arm),
    ] {
        assert_eq!(find(repository, "all", Some(wanted)).unwrap().digest, expected.digest, "{wanted}");
    }
    let error = find(repository, "all", Some("linux/s390x")).unwrap_err().to_string();
    assert!(error.contains("it is for linux/amd64/v3, linux/arm64/v8, linux/amd64"), "{error}");
    assert!(!error.contains("unknown"), "{error}");
    let error = find(repository, "all", None).unwrap_err();
    assert!(matches!(error, Error::ManyPlatforms { .. }), "{error}");

    // Attestations beside a single image do not make it several.
    put_index(repository, Family::Oci, "one", &[amd64.clone(), attestation.clone(), marked]);
    assert_eq!(find(repository, "one", None).unwrap().digest, amd64.digest);
    put_index(repository, Family::Oci, "nothing", &[attestation.clone()]);
    let error = find(repository, "nothing", Some("linux/amd64")).unwrap_err().to_string();
    assert!(error.contains("it is for none"), "{error}");
    assert!(matches!(find(repository, "nothing", None), Err(Error::NoSuchPlatform { .. })));
    // Where no entry says a platform, the configs do.
    put_index(repository, Family::Oci, "silent", &[attestation, silent.clone()]);
    for wanted in [Some("linux/s390x"), None] {
        assert_eq!(find(repository, "silent", wanted).unwrap().digest, silent.digest);
    }
    let error = find(repository, "silent", Some("linux/amd64")).unwrap_err().to_string();
    assert!(error.contains("it is for linux/s390x"), "{error}");
}

pub(super) fn an_image_is_found_in_indexes_of_either_family(backend: &dyn Backend) {
    let repository = &*backend.open();
    for family in [Family::Oci, Family::Docker] {
        let tag = format!("{family:?}");
        let amd64 = put_image(repository, family, &platform("linux/amd64"), "x");
        let arm = put_image(repository, family, &platform("linux/arm64"), "x");
        let inner = index_of(family, std::slice::from_ref(&arm));
        repository.put_manifest_untagged(family.index(), &inner).unwrap();
        // The same index many times is read once; and what has a platform of its own may still be an index.
        let mut nested = vec![amd64.clone()];
        nested.extend((0..100).map(|_| Descriptor::of(family.index(), &inner)));
        put_index(repository, family, &tag, &nested);
        for entry in [&amd64, &arm] {
            let wanted = Platform::of_entry(entry).unwrap().to_string();
            let image = find(repository, &tag, Some(&wanted)).unwrap();
            assert_eq!(image.digest, entry.digest);
            assert_eq!(image.manifest.media_type, family.manifest());
            assert_eq!(Family::of_manifest(&image.manifest.media_type), family);
            assert_eq!(image.manifest.config.media_type, family.config());
        }
    }
}

pub(super) fn what_an_index_lacks_is_named(backend: &dyn Backend) {
    let repository = &*backend.open();
    let amd64 = put_image(repository, Family::Oci, &platform("linux/amd64"), "gone");
    let arm = put_image(repository, Family::Oci, &platform("linux/arm64"), "there");
    put_index(repository, Family::Oci, "all", &[amd64.clone(), arm.clone()]);
    assert!(repository.delete_manifest(&amd64.digest.into()).unwrap());
    assert_eq!(find(repository, "all", Some("linux/arm64")).unwrap().digest, arm.digest);
    let error = find(repository, "all", Some("linux/amd64")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let message = error.to_string();
    assert!(message.contains(&amd64.digest.to_string()) && message.contains("linux/amd64"), "{message}");

    // Indexes in indexes, deeper than anybody means it.
    let mut bytes = index_of(Family::Oci, &[arm]);
    for _ in 0..12 {
        repository.put_manifest_untagged(media_type::OCI_INDEX, &bytes).unwrap();
        bytes = index_of(Family::Oci, &[Descriptor::of(media_type::OCI_INDEX, &bytes)]);
    }
    repository.put_manifest(&name("deep"), media_type::OCI_INDEX, &bytes).unwrap();
    let error = find(repository, "deep", Some("linux/arm64")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("too deep"), "{error}");
}
