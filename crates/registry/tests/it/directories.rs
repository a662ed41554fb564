//! Which directory a repository is, and what else may be there.

use std::fs;
use std::path::Path;

use reqwest::{Method, StatusCode};
use strata_oci::{
    BlobSource, Descriptor, Digest, LayoutRepository, ManifestRef, Repository, RepositoryUrl, media_type,
};
use strata_registry::{Registry, RegistryOptions};

use crate::served::{Image, Served, header, refused};

fn layout(directory: &Path) -> LayoutRepository {
    LayoutRepository::open_or_create(&RepositoryUrl::from_directory(directory).unwrap()).unwrap()
}

fn put(repository: &LayoutRepository, tag: &str, image: &Image) {
    for blob in [&image.config, &image.layer] {
        let _ = repository.put_blob(&BlobSource::bytes(blob.clone())).unwrap();
    }
    repository.put_manifest(&tag.parse().unwrap(), media_type::OCI_MANIFEST, &image.manifest).unwrap();
}

async fn over(directory: &Path) -> Served {
    Served::over(directory, RegistryOptions::default(), None).await
}

#[tokio::test]
async fn a_repository_is_the_layout_of_its_name_also_for_others() {
    let served = Served::start().await;
    let pushed = served.put_image("org/cache", "v1", "pushed").await;
    let repository = layout(&served.directory.join("org/cache"));
    let raw = repository.manifest(&ManifestRef::Tag("v1".parse().unwrap())).unwrap().unwrap();
    assert_eq!(raw.bytes, pushed.manifest);
    let layer = Descriptor::of("x", &pushed.layer);
    assert_eq!(strata_oci::blob_bytes(&repository, &layer, 1 << 20).unwrap(), pushed.layer);
    // What is written there beside the registry is served at once.
    let other = Image::new("written");
    put(&repository, "v2", &other);
    assert_eq!(served.tags("org/cache").await, ["v1", "v2"]);
    let response = served.get("/v2/org/cache/manifests/v2").await;
    assert_eq!(header(&response, "docker-content-digest"), other.digest().to_string());
    // And where it was removed, there is nothing, until it is made anew.
    drop(repository);
    fs::remove_dir_all(served.directory.join("org/cache")).unwrap();
    refused(served.get("/v2/org/cache/tags/list").await, 404, "NAME_UNKNOWN").await;
    served.put_image("org/cache", "v3", "again").await;
    assert_eq!(served.tags("org/cache").await, ["v3"]);
}

#[tokio::test]
async fn a_registry_and_another_writer_of_its_directory_lose_nothing_of_each_other() {
    let served = Served::start().await;
    served.put_image("a", "first", "first").await;
    let directory = served.directory.join("a");
    let beside = tokio::task::spawn_blocking(move || {
        let repository = layout(&directory);
        for number in 0..30 {
            put(&repository, &format!("beside-{number}"), &Image::new(&format!("beside {number}")));
        }
    });
    futures_util::future::join_all((0..4).map(|writer| {
        let served = &served;
        async move {
            for number in 0..10 {
                let tag = format!("pushed-{writer}-{number}");
                served.put_image("a", &tag, &tag).await;
            }
        }
    }))
    .await;
    beside.await.unwrap();
    let tags = served.tags("a").await;
    assert_eq!(tags.len(), 71, "{tags:?}");
    for tag in tags {
        assert_eq!(served.manifest_status("a", &tag).await, StatusCode::OK, "{tag}");
    }
}

#[tokio::test]
async fn a_layout_is_served_as_the_one_repository_that_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("My.Cache");
    let image = Image::new("one");
    put(&layout(&cache), "v1", &image);
    let registry = Registry::open(&cache, RegistryOptions::default()).unwrap();
    assert_eq!(registry.name(), Some("my.cache"));
    assert_eq!(registry.repositories(), ["my.cache"]);
    let served = over(&cache).await;
    assert_eq!(served.tags("my.cache").await, ["v1"]);
    served.put_image("my.cache", "v2", "two").await;
    assert_eq!(layout(&cache).tags().unwrap(), ["v1", "v2"]);
    for path in ["/v2/other/tags/list", "/v2/my.cache/below/tags/list"] {
        let message = refused(served.get(path).await, 404, "NAME_UNKNOWN").await;
        assert!(message.contains("my.cache"), "{message}");
    }
    let response = served.request(Method::POST, "/v2/other/blobs/uploads/").send().await.unwrap();
    refused(response, 404, "NAME_UNKNOWN").await;
    assert_eq!(served.get("/v2/_catalog").await.text().await.unwrap(), r#"{"repositories":["my.cache"]}"#);
}

#[tokio::test]
async fn names_may_lie_within_one_another_in_either_order() {
    let served = Served::start().await;
    served.put_image("a/b/c", "v1", "deep").await;
    served.put_image("a", "v2", "shallow").await;
    served.put_image("a/b", "v3", "between").await;
    served.put_image("a/d", "v4", "beside").await;
    for (name, tag) in [("a/b/c", "v1"), ("a", "v2"), ("a/b", "v3"), ("a/d", "v4")] {
        assert_eq!(served.tags(name).await, [tag], "{name}");
    }
    let served = served.restart().await;
    let registry = Registry::open(&served.directory, RegistryOptions::default()).unwrap();
    assert_eq!(registry.name(), None);
    assert_eq!(registry.repositories(), ["a", "a/b", "a/b/c", "a/d"]);
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone() {
    let served = Served::start().await;
    let thesis = served.directory.join("thesis");
    fs::create_dir_all(thesis.join("chapters")).unwrap();
    fs::write(thesis.join("chapters/one.tex"), "years of work").unwrap();
    fs::write(served.directory.join("file"), "").unwrap();
    let before = served.files();
    for name in ["thesis", "thesis/chapters", "file", "file/below"] {
        let post = || served.request(Method::POST, &format!("/v2/{name}/blobs/uploads/")).send();
        assert!(post().await.unwrap().status().is_client_error(), "{name}");
        refused(served.get(&format!("/v2/{name}/tags/list")).await, 404, "NAME_UNKNOWN").await;
    }
    assert_eq!(served.files(), before);
}

#[tokio::test]
async fn damage_is_the_registrys_fault_and_not_the_clients() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    let directory = served.directory.join("a");
    fs::write(directory.join("blobs/sha256").join(image.digest().hex()), "{}").unwrap();
    let message = refused(served.get("/v2/a/manifests/v1").await, 500, "UNKNOWN").await;
    assert!(message.contains("damaged"), "{message}");
    fs::write(directory.join("index.json"), "not json").unwrap();
    for path in ["/v2/a/manifests/v1", "/v2/a/tags/list"] {
        let message = refused(served.get(path).await, 500, "UNKNOWN").await;
        assert!(message.contains("damaged"), "{message}");
        assert!(!message.contains(&directory.display().to_string()), "{message}");
    }
    let response = served.put_manifest("a", "v1", media_type::OCI_MANIFEST, &image.manifest).await;
    refused(response, 500, "UNKNOWN").await;
}

#[tokio::test]
async fn what_is_no_file_is_no_blob_and_keeps_nobody_waiting() {
    let served = Served::start().await;
    served.put_image("a", "v1", "one").await;
    let blobs = served.directory.join("a/blobs/sha256");
    let [pipe, directory] = [Digest::of(b"pipe"), Digest::of(b"directory")];
    fs::create_dir(blobs.join(directory.hex())).unwrap();
    let made = std::process::Command::new("mkfifo").arg(blobs.join(pipe.hex())).status().unwrap();
    assert!(made.success());
    for digest in [pipe, directory] {
        refused(served.get(&format!("/v2/a/blobs/{digest}")).await, 404, "BLOB_UNKNOWN").await;
    }
}

#[tokio::test]
async fn images_of_several_platforms_in_a_layout_of_skopeos_are_pulled() {
    // skopeo lists only the index; the manifests below it are mere blobs of the layout.
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let repository = layout(&cache);
    let image = Image::new("one of several");
    for blob in [&image.config, &image.layer, &image.manifest] {
        let _ = repository.put_blob(&BlobSource::bytes(blob.clone())).unwrap();
    }
    let mut index = strata_oci::ImageIndex::default();
    index.manifests.push(Descriptor::of(media_type::OCI_MANIFEST, &image.manifest));
    let index = index.to_bytes().unwrap();
    repository.put_manifest(&"all".parse().unwrap(), media_type::OCI_INDEX, &index).unwrap();
    let served = over(&cache).await;
    let response = served.get(&format!("/v2/cache/manifests/{}", image.digest())).await;
    assert_eq!(header(&response, "content-type"), media_type::OCI_MANIFEST);
    assert_eq!(response.bytes().await.unwrap(), image.manifest);
}

#[tokio::test]
async fn a_read_only_registry_gives_and_takes_nothing() {
    let served = Served::start().await;
    let image = served.put_image("a", "v1", "one").await;
    let location = served.begin("a").await;
    let digest = Digest::of(&image.layer);
    let read_only = RegistryOptions { read_only: true, ..RegistryOptions::default() };
    let reader = Served::over(&served.directory, read_only.clone(), None).await;
    let before = served.files();
    assert_eq!(reader.tags("a").await, ["v1"]);
    assert_eq!(reader.manifest_status("a", "v1").await, StatusCode::OK);
    assert_eq!(reader.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap(), image.layer);
    for (method, path) in [
        (Method::POST, "/v2/a/blobs/uploads/".to_string()),
        (Method::POST, format!("/v2/b/blobs/uploads/?mount={digest}&from=a")),
        (Method::PATCH, location.clone()),
        (Method::PUT, format!("{location}?digest={digest}")),
        (Method::DELETE, location.clone()),
        (Method::PUT, "/v2/a/manifests/v2".to_string()),
        (Method::DELETE, "/v2/a/manifests/v1".to_string()),
        (Method::DELETE, format!("/v2/a/blobs/{digest}")),
    ] {
        let response = reader.request(method.clone(), &path).body("x").send().await.unwrap();
        let message = refused(response, 405, "UNSUPPORTED").await;
        assert_eq!(message, "this registry is read-only", "{method} {path}");
    }
    assert_eq!(served.files(), before);
    let absent = served.directory.join("absent");
    let error = Registry::open(&absent, read_only).err().expect("nothing is there").to_string();
    assert!(error.contains("absent"), "{error}");
    assert!(!absent.exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_served_and_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let image = Image::new("one");
    put(&layout(&cache), "v1", &image);
    let modes = |mode| {
        for path in
            [cache.clone(), cache.join("blobs/sha256"), cache.join(".strata"), cache.join(".strata/writers")]
        {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    modes(0o555);
    if fs::write(cache.join("probe"), "").is_ok() {
        return strata_testkit::golden::skipped(
            "directories::a_directory_that_cannot_be_written_is_served_and_says_so",
            "permissions do not bind the user who runs the tests",
        );
    }
    let served = over(&cache).await;
    assert_eq!(served.tags("cache").await, ["v1"]);
    let response = served.request(Method::POST, "/v2/cache/blobs/uploads/").send().await.unwrap();
    let message = refused(response, 405, "UNSUPPORTED").await;
    assert!(message.contains("directory does not allow it"), "{message}");
    let response = served.delete("/v2/cache/manifests/v1").await;
    refused(response, 405, "UNSUPPORTED").await;
    modes(0o755);
}
