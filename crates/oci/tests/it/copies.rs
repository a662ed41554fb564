//! What it takes of requests to make a blob available elsewhere, and what registries make of it.

use std::thread;

use strata_oci::{
    Copied, LayoutRepository, Platform, Repository, RepositoryUrl, copy_blob, copy_image, image_for,
    media_type,
};
use strata_testkit::faults::rules::{on, when};
use strata_testkit::faults::{Answer, Fault, rewrite};
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{TokenOptions, TokenServer};

use crate::client::{NAME, blob, open, open_at, options, read};
use crate::image::{Image, name};

const OTHER: &str = "other/cache";

const UPLOADS: &str = "/blobs/uploads/";

/// Method and path of all requests since the last time, without host and query.
fn requests(registry: &TestRegistry) -> Vec<String> {
    let kind = |target: &str| match target {
        target if target.contains(UPLOADS) => "upload",
        target if target.contains("/blobs/") => "blob",
        _ => "manifest",
    };
    let lines = registry.log().entries();
    let lines = lines.iter().map(|entry| format!("{} {}", entry.method, kind(&entry.target))).collect();
    registry.log().clear();
    lines
}

#[test]
fn a_mount_is_one_request() {
    let registry = TestRegistry::start();
    let (repository, other) = (open(&registry), open_at(&registry.url(OTHER), options(), None));
    let layers: Vec<_> = (0..3).map(|seed| blob(100_000, seed)).collect();
    for layer in &layers {
        let _ = other.put_blob(layer).unwrap();
    }
    requests(&registry);
    assert!(repository.mount_blob(&layers[0].descriptor("x"), other.url()).unwrap());
    assert_eq!(requests(&registry), ["POST upload"]);
    assert_eq!(copy_blob(&other, &repository, &layers[1].descriptor("x")).unwrap(), Copied::Mounted);
    assert_eq!(requests(&registry), ["POST upload"]);
    // What this handle has put is known to be there.
    assert!(repository.mount_blob(&layers[0].descriptor("x"), other.url()).unwrap());
    assert!(repository.put_blob(&layers[1]).unwrap().existed);
    assert_eq!(requests(&registry), Vec::<String>::new());
    // From itself to itself nothing is to be done.
    assert_eq!(
        copy_blob(&repository, &open(&registry), &layers[0].descriptor("x")).unwrap(),
        Copied::Existed
    );
    assert_eq!(requests(&registry), Vec::<String>::new());
    // Many threads, one request.
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| copy_blob(&other, &repository, &layers[2].descriptor("x")).map(drop).unwrap());
        }
    });
    assert_eq!(requests(&registry), ["POST upload"]);
    read(&repository, &layers[2]).unwrap();
}

#[test]
fn a_registry_that_only_begins_an_upload_is_asked_once() {
    let registry = TestRegistry::start();
    let (repository, other) = (open(&registry), open_at(&registry.url(OTHER), options(), None));
    let layers: Vec<_> = (0..3).map(|seed| blob(2_000_000, seed)).collect();
    for layer in &layers {
        let _ = other.put_blob(layer).unwrap();
    }
    requests(&registry);
    // As registries do that do not mount: the answer is a place to upload to.
    registry.faults().add(when(
        |entry| entry.is("POST", UPLOADS) && entry.parameter("mount").is_some(),
        move |_| {
            let at = format!("/v2/{NAME}/blobs/uploads/00000000-0000-0000-0000-000000000000");
            Fault::Answer(Answer::status(202).header("location", at).header("range", "0-0"))
        },
    ));
    assert!(!repository.mount_blob(&layers[0].descriptor("x"), other.url()).unwrap());
    assert_eq!(requests(&registry), ["POST upload", "DELETE upload"]);
    // It did not work once, so it will not; what is to be copied is copied.
    assert!(!repository.mount_blob(&layers[1].descriptor("x"), other.url()).unwrap());
    assert_eq!(requests(&registry), Vec::<String>::new());
    assert_eq!(copy_blob(&other, &repository, &layers[1].descriptor("x")).unwrap(), Copied::Sent);
    assert_eq!(requests(&registry), ["HEAD blob", "GET blob", "HEAD blob", "POST upload", "PUT upload"]);
    // What this handle has put is known to be there; another one asks.
    assert_ne!(copy_blob(&other, &repository, &layers[1].descriptor("x")).unwrap(), Copied::Sent);
    assert_eq!(requests(&registry), Vec::<String>::new());
    let again = open(&registry);
    assert_eq!(copy_blob(&other, &again, &layers[1].descriptor("x")).unwrap(), Copied::Existed);
    assert_eq!(requests(&registry), ["POST upload", "DELETE upload", "HEAD blob"]);
    read(&repository, &layers[1]).unwrap();
}

#[test]
fn a_session_that_the_registry_does_not_let_go_of_is_no_reason_to_fail() {
    let registry = TestRegistry::start();
    let (repository, other) = (open(&registry), open_at(&registry.url(OTHER), options(), None));
    let layer = blob(100_000, 1);
    // A real session, because nobody has the blob.
    registry
        .faults()
        .add(on("DELETE", UPLOADS, |_| Fault::Answer(Answer::error(405, "UNSUPPORTED", "no way"))));
    assert!(!repository.mount_blob(&layer.descriptor("x"), other.url()).unwrap());
    assert_eq!(requests(&registry), ["POST upload", "DELETE upload"]);
    assert!(!repository.put_blob(&layer).unwrap().existed);
}

#[test]
fn what_may_not_be_mounted_is_copied() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let layers = [blob(100_000, 1), blob(2_000_000, 2)];
    let other = open_at(&registry.url(OTHER), options(), None);
    for layer in &layers {
        let _ = other.put_blob(layer).unwrap();
    }
    // The token for both is refused; each alone is given.
    tokens.faults().add(when(
        |entry| {
            let scopes: Vec<String> = entry.parameters().into_iter().map(|(_, scope)| scope).collect();
            let asks = |name: &str| scopes.iter().any(|scope| scope.contains(name));
            asks(OTHER) && asks(NAME)
        },
        |_| Fault::Answer(Answer::error(403, "DENIED", "not both")),
    ));
    let repository = open(&registry);
    for layer in &layers {
        assert_eq!(copy_blob(&other, &repository, &layer.descriptor("x")).unwrap(), Copied::Sent);
        read(&repository, layer).unwrap();
    }
    let error = |status| Answer::error(status, "UNSUPPORTED", "not that");
    let no_session = Answer::status(202);
    for answer in [400, 401, 403, 404, 405, 500, 501].map(error).into_iter().chain([
        Answer::page(403),
        Answer::page(405),
        no_session,
    ]) {
        let label = format!("{answer:?}");
        let registry = TestRegistry::start();
        let other = open_at(&registry.url(OTHER), options(), None);
        let _ = other.put_blob(&layers[0]).unwrap();
        registry.faults().add(when(
            |entry| entry.is("POST", UPLOADS) && entry.parameter("mount").is_some(),
            move |_| Fault::Answer(answer.clone()),
        ));
        let repository = open(&registry);
        let copied = copy_blob(&other, &repository, &layers[0].descriptor("x"));
        assert_eq!(copied.unwrap_or_else(|error| panic!("{label}: {error}")), Copied::Sent, "{label}");
        read(&repository, &layers[0]).unwrap();
    }
}

#[test]
fn the_token_to_mount_is_for_both() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let layer = blob(1000, 1);
    let other = open_at(&registry.url(OTHER), options(), None);
    let _ = other.put_blob(&layer).unwrap();
    assert!(open(&registry).mount_blob(&layer.descriptor("x"), other.url()).unwrap());
    assert_eq!(tokens.count(&["repository:other/cache:pull", "repository:some/cache:pull,push"]), 1);
}

#[test]
fn of_many_threads_one_downloads() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    let layer = blob(3_000_000, 7);
    let _ = open(&source).put_blob(&layer).unwrap();
    requests(&source);
    let descriptor = layer.descriptor("x");
    let copied: Vec<Copied> = thread::scope(|scope| {
        // With handles of their own, as a base that several commands of one process provide.
        let copy = || copy_blob(&open(&source), &open(&target), &descriptor).unwrap();
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(copy)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(copied.iter().filter(|copied| **copied == Copied::Sent).count(), 1, "{copied:?}");
    assert_eq!(requests(&source), ["GET blob"]);
    assert_eq!(target.log().count("PUT", UPLOADS), 1);
    read(&open(&target), &layer).unwrap();
}

#[test]
fn what_arrives_damaged_goes_nowhere() {
    let (source, target) = (TestRegistry::start(), TestRegistry::start());
    let (from, to) = (open(&source), open(&target));
    for layer in [blob(3_000_000, 8), blob(1000, 9)] {
        let _ = from.put_blob(&layer).unwrap();
        let kept = source.directory().join(NAME).join("blobs/sha256").join(layer.digest.hex());
        let mut bytes = std::fs::read(&kept).unwrap();
        bytes[500] ^= 1;
        std::fs::write(&kept, bytes).unwrap();
        let error = copy_blob(&from, &to, &layer.descriptor("x")).unwrap_err();
        assert_eq!(error.kind(), strata_oci::ErrorKind::Corrupt, "{error}");
        assert_eq!(to.blob_size(&layer.digest).unwrap(), None);
    }
    assert_eq!(target.log().count("POST", UPLOADS), 0);
    let directory = tempfile::tempdir().unwrap();
    let url = RepositoryUrl::from_directory(directory.path().join("layout")).unwrap();
    let layout = LayoutRepository::open_or_create(&url).unwrap();
    assert!(copy_blob(&from, &layout, &blob(3_000_000, 8).descriptor("x")).is_err());
    let left: Vec<_> = std::fs::read_dir(layout.scratch_dir().unwrap()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "the lock alone: {left:?}");
}

#[test]
fn an_image_takes_a_request_for_each_blob_and_two_for_its_manifest() {
    let registry = TestRegistry::start();
    let (repository, other) = (open(&registry), open_at(&registry.url(OTHER), options(), None));
    let image = Image::new("x");
    image.put(&other, "t");
    let entry = other.resolve(&name("t")).unwrap().unwrap();
    requests(&registry);
    let copied = copy_image(&other, &repository, &entry).unwrap();
    assert_eq!(copied.manifest.digest, image.digest());
    assert_eq!(requests(&registry), ["GET manifest", "POST upload", "POST upload", "PUT manifest"]);
    assert_eq!(repository.manifest(&image.digest().into()).unwrap().unwrap().bytes, image.manifest);
}

/// What an index lists is of the type that the index says, where the registry has a general one to say.
#[test]
fn an_image_is_chosen_in_three_requests_whatever_the_registry_calls_it() {
    let registry = TestRegistry::start();
    let repository = open(&registry);
    let image = Image::new("x");
    image.put(&repository, "t");
    let mut entry = repository.resolve(&name("t")).unwrap().unwrap();
    entry.extra.set("platform", &serde_json::json!({"architecture": "amd64", "os": "linux"})).unwrap();
    let index = strata_oci::ImageIndex { manifests: vec![entry], ..Default::default() };
    repository.put_manifest(&name("all"), media_type::OCI_INDEX, &index.to_bytes().unwrap()).unwrap();
    registry
        .faults()
        .add(on("GET", "/manifests/sha256:", |_| rewrite::set_header("content-type", "text/plain")));
    requests(&registry);
    let reference = strata_oci::ImageReference::new(repository.url().clone(), name("all"));
    let chosen = image_for(&repository, &reference, Some(&Platform::linux("amd64"))).unwrap();
    assert_eq!(chosen.digest, image.digest());
    assert_eq!(requests(&registry), ["GET manifest", "GET manifest", "GET blob"]);
}

/// On one file system a blob gets a second name; on another it is copied.
#[test]
fn between_directories_blobs_are_linked_where_that_can_be() {
    use std::os::unix::fs::MetadataExt;

    const TEST: &str = "copies::between_directories_blobs_are_linked_where_that_can_be";
    let layout = |directory: &std::path::Path| {
        let url = RepositoryUrl::from_directory(directory).unwrap();
        LayoutRepository::open_or_create(&url).unwrap()
    };
    let here = tempfile::tempdir().unwrap();
    let (from, to) = (layout(&here.path().join("from")), layout(&here.path().join("to")));
    let layer = blob(2_000_000, 11);
    let descriptor = layer.descriptor("x");
    let _ = from.put_blob(&layer).unwrap();
    assert_eq!(copy_blob(&from, &to, &descriptor).unwrap(), Copied::Mounted);
    let inode = |layout: &LayoutRepository| layout.blob_path(&layer.digest).metadata().unwrap().ino();
    assert_eq!(inode(&from), inode(&to));
    // Where the blob is a link itself, it is the file that is linked.
    let linked = layout(&here.path().join("linked"));
    linked.create().unwrap();
    let target = std::path::Path::new("../../../from/blobs/sha256").join(layer.digest.hex());
    std::os::unix::fs::symlink(target, linked.blob_path(&layer.digest)).unwrap();
    let further = layout(&here.path().join("further/away"));
    assert_eq!(copy_blob(&linked, &further, &descriptor).unwrap(), Copied::Mounted);
    assert_eq!(inode(&from), further.blob_path(&layer.digest).symlink_metadata().unwrap().ino());
    // A damaged file in its place is not taken for it.
    let damaged = layout(&here.path().join("damaged"));
    damaged.create().unwrap();
    std::fs::write(damaged.blob_path(&layer.digest), b"half").unwrap();
    let _ = copy_blob(&from, &damaged, &descriptor).unwrap();
    read(&damaged, &layer).unwrap();

    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        return strata_testkit::golden::skipped(TEST, "/dev/shm cannot be written");
    };
    if elsewhere.path().metadata().unwrap().dev() == here.path().metadata().unwrap().dev() {
        return strata_testkit::golden::skipped(TEST, "there is only one file system");
    }
    let far = layout(elsewhere.path());
    assert!(!far.mount_blob(&descriptor, from.url()).unwrap());
    assert_eq!(copy_blob(&from, &far, &descriptor).unwrap(), Copied::Sent);
    assert_eq!(read(&far, &layer).unwrap(), read(&from, &layer).unwrap());
}
