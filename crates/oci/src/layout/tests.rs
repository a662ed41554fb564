//! How changes of the index share replacements of the file, and what a registry's operations leave in it.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::BlobSource;

fn layout(directory: &Path) -> LayoutRepository {
    LayoutRepository::open_or_create(&RepositoryUrl::from_directory(directory).unwrap()).unwrap()
}

fn tag(name: &str) -> TagName {
    name.parse().unwrap()
}

/// A manifest without layers, whose annotation makes it one of many; its config is put.
fn manifest(repository: &LayoutRepository, comment: &str) -> Vec<u8> {
    let config = BlobSource::bytes(b"{}".to_vec());
    let _ = repository.put_blob(&config).unwrap();
    let mut manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), Vec::new());
    manifest.annotations.insert("comment".into(), comment.into());
    manifest.to_bytes().unwrap()
}

fn rewrites(repository: &LayoutRepository) -> usize {
    repository.index.rewrites.load(Ordering::Relaxed)
}

#[test]
fn changes_that_wait_are_made_at_once() {
    const THREADS: usize = 16;
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let bytes = manifest(&repository, "one");
    let incomplete = String::from_utf8(bytes.clone()).unwrap().replace("44136f", "000000").into_bytes();
    let other = layout(&directory.path().join("cache"));
    let guard = other.access().unwrap().lock_index().unwrap();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (repository, bytes) = (&repository, &bytes);
            scope.spawn(move || {
                repository.put_manifest(&tag(&number.to_string()), media_type::OCI_MANIFEST, bytes).unwrap();
            });
        }
        // One of them waits for the lock of the file, the others for their turn.
        let deadline = Instant::now() + Duration::from_secs(60);
        while repository.index.waiting() < THREADS - 1 {
            assert!(Instant::now() < deadline, "{} wait", repository.index.waiting());
            thread::sleep(Duration::from_millis(1));
        }
        // Nothing that is refused holds the others up.
        let refused = repository.put_manifest(&tag("refused"), media_type::OCI_MANIFEST, &incomplete);
        assert!(matches!(refused, Err(Error::MissingBlob { role: "config", .. })), "{refused:?}");
        drop(guard);
    });
    assert_eq!(repository.tags().unwrap().len(), THREADS);
    assert!(rewrites(&repository) <= 2, "{} rewrites", rewrites(&repository));
}

#[test]
fn two_thousand_tags_from_sixteen_threads_take_far_fewer_rewrites() {
    const THREADS: usize = 16;
    const TAGS: usize = 2000;
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let bytes = manifest(&repository, "popular");
    let other = layout(&directory.path().join("cache"));
    thread::scope(|scope| {
        for first in 0..THREADS {
            let (repository, bytes) = (&repository, &bytes);
            scope.spawn(move || {
                for number in (first..TAGS).step_by(THREADS) {
                    let name = tag(&format!("pkg-{number}.spack"));
                    repository.put_manifest(&name, media_type::OCI_MANIFEST, bytes).unwrap();
                    assert!(
                        repository.resolve(&name).unwrap().is_some(),
                        "it is there when the call returns"
                    );
                }
            });
        }
        // Somebody else writes at the same time.
        for number in 0..20 {
            other.put_manifest(&tag(&format!("other-{number}")), media_type::OCI_MANIFEST, &bytes).unwrap();
        }
    });
    assert_eq!(layout(repository.directory()).tags().unwrap().len(), TAGS + 20);
    assert!(rewrites(&repository) < TAGS / 4, "{} rewrites", rewrites(&repository));
}

#[test]
fn a_change_that_lost_its_needs_while_it_waited_fails_alone() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let good = manifest(&repository, "good");
    let layer = BlobSource::bytes(b"layer".to_vec());
    let _ = repository.put_blob(&layer).unwrap();
    let mut doomed = Manifest::parse("", &good).unwrap();
    doomed.layers.push(layer.descriptor(media_type::OCI_LAYER_GZIP));
    let doomed = doomed.to_bytes().unwrap();
    let other = layout(&directory.path().join("cache"));
    let guard = other.access().unwrap().lock_index().unwrap();
    thread::scope(|scope| {
        let repository = &repository;
        let put = |name: &'static str, bytes| {
            scope.spawn(move || repository.put_manifest(&tag(name), media_type::OCI_MANIFEST, bytes))
        };
        let outcomes = [put("a", &good), put("doomed", &doomed), put("b", &good)];
        let deadline = Instant::now() + Duration::from_secs(60);
        while repository.index.waiting() < 2 {
            assert!(Instant::now() < deadline);
            thread::sleep(Duration::from_millis(1));
        }
        repository.blobs.remove(&layer.digest).unwrap();
        drop(guard);
        let outcomes = outcomes.map(|outcome| outcome.join().unwrap());
        assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
        assert!(matches!(outcomes[1], Err(Error::MissingBlob { role: "layer", .. })), "{outcomes:?}");
    });
    assert_eq!(repository.tags().unwrap(), ["a", "b"]);
}

#[test]
fn each_of_those_that_wait_learns_of_a_failure_and_can_try_again() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let bytes = manifest(&repository, "x");
    repository.put_manifest(&tag("first"), media_type::OCI_MANIFEST, &bytes).unwrap();
    let index = repository.directory().join("index.json");
    let text = std::fs::read(&index).unwrap();
    std::fs::write(&index, "not json").unwrap();
    let put = |name: &str| repository.put_manifest(&tag(name), media_type::OCI_MANIFEST, &bytes);
    thread::scope(|scope| {
        let put = &put;
        let all: Vec<_> = (0..8).map(|number| scope.spawn(move || put(&number.to_string()))).collect();
        for outcome in all {
            assert!(matches!(outcome.join().unwrap(), Err(Error::Document { .. })));
        }
    });
    std::fs::write(&index, text).unwrap();
    put("again").unwrap();
    assert!(repository.tags().unwrap().contains(&"again".to_string()));
}

#[test]
fn what_loses_its_last_tag_stays_where_a_registry_moved_it() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let [one, two, three] = ["one", "two", "three"].map(|comment| manifest(&repository, comment));
    let push = |name: &str, bytes: &[u8]| {
        repository.put_manifest_keeping_former(&tag(name), media_type::OCI_MANIFEST, bytes).unwrap()
    };
    let shape = || -> Vec<(Option<String>, Digest)> {
        let entries = repository.entries().unwrap();
        entries.iter().map(|entry| (entry.ref_name().map(str::to_string), entry.digest)).collect()
    };
    let a = || Some("a".to_string());
    let b = || Some("b".to_string());
    let (first, second) = (push("a", &one), push("a", &two));
    assert_eq!(shape(), [(a(), second), (None, first)]);
    // It is tagged again: then the entry without a tag has nothing more to say.
    push("b", &one);
    assert_eq!(shape(), [(a(), second), (b(), first)]);
    // Another tag holds it.
    push("b", &two);
    assert_eq!(shape(), [(a(), second), (b(), second), (None, first)]);
    assert!(repository.remove_tag(&tag("a")).unwrap());
    assert!(!repository.remove_tag(&tag("a")).unwrap());
    assert_eq!(shape(), [(b(), second), (None, first)]);
    assert!(repository.remove_tag(&tag("b")).unwrap());
    assert_eq!(shape(), [(None, first), (None, second)]);
    // Once more changes nothing.
    repository.put_manifest_untagged(media_type::OCI_MANIFEST, &one).unwrap();
    let third = repository.put_manifest_untagged(media_type::OCI_MANIFEST, &three).unwrap();
    assert_eq!(shape(), [(None, first), (None, second), (None, third)]);
    assert!(repository.delete_manifest(&ManifestRef::Digest(first)).unwrap());
    assert!(!repository.delete_manifest(&ManifestRef::Digest(first)).unwrap());
    assert_eq!(shape(), [(None, second), (None, third)]);
    assert!(!repository.blob_path(&first).exists());
}

#[test]
fn what_an_index_lists_needs_no_entry_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let [one, two, three] = ["one", "two", "three"].map(|comment| manifest(&repository, comment));
    let ordinary: &dyn Repository = &repository;
    let put = |bytes: &[u8]| ordinary.put_manifest_untagged(media_type::OCI_MANIFEST, bytes).unwrap();
    let index_of = |members: &[(&str, &[u8])]| {
        let manifests =
            members.iter().map(|(media_type, bytes)| Descriptor::of(*media_type, bytes)).collect();
        ImageIndex { manifests, ..ImageIndex::default() }.to_bytes().unwrap()
    };
    let shape = || -> Vec<(Option<String>, Digest)> {
        let entries = repository.entries().unwrap();
        entries.iter().map(|entry| (entry.ref_name().map(str::to_string), entry.digest)).collect()
    };
    ordinary.put_manifest(&tag("two"), media_type::OCI_MANIFEST, &two).unwrap();
    let (first, second, third) = (put(&one), put(&two), put(&three));
    assert_eq!(shape(), [(Some("two".into()), second), (None, first), (None, third)]);
    let inner = index_of(&[(media_type::OCI_MANIFEST, &one), (media_type::OCI_MANIFEST, &two)]);
    let nested = ordinary.put_manifest_untagged(media_type::OCI_INDEX, &inner).unwrap();
    assert_eq!(shape(), [(Some("two".into()), second), (None, third), (None, nested)]);
    let outer = index_of(&[(media_type::OCI_INDEX, &inner)]);
    let put_outer = || ordinary.put_manifest(&tag("all"), media_type::OCI_INDEX, &outer).unwrap();
    let all = put_outer();
    let expected = [(Some("two".into()), second), (None, third), (Some("all".into()), all)];
    assert_eq!(shape(), expected);
    for digest in [first, second, nested] {
        assert!(ordinary.manifest(&ManifestRef::Digest(digest)).unwrap().is_some());
        assert!(repository.listed(&digest).unwrap().is_some());
    }
    // The same index once more, after a member was put again.
    ordinary.put_manifest_untagged(media_type::OCI_INDEX, &inner).unwrap();
    assert_eq!(shape().len(), 4);
    assert_eq!(put_outer(), all);
    assert_eq!(shape(), expected);

    // A registry keeps what was put by its digest, whatever becomes of the index.
    repository.put_manifest_untagged(media_type::OCI_MANIFEST, &one).unwrap();
    repository.put_manifest_keeping_former(&tag("inner"), media_type::OCI_INDEX, &inner).unwrap();
    assert!(shape().contains(&(None, first)));
    assert!(repository.remove_tag(&tag("inner")).unwrap());
    assert!(repository.delete_manifest(&ManifestRef::Digest(nested)).unwrap());
    assert!(repository.listed(&first).unwrap().is_some());
}

#[test]
fn an_ordinary_writer_replaces_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let [one, two] = ["one", "two"].map(|comment| manifest(&repository, comment));
    repository.put_manifest(&tag("a"), media_type::OCI_MANIFEST, &one).unwrap();
    repository.put_manifest(&tag("a"), media_type::OCI_MANIFEST, &two).unwrap();
    assert_eq!(repository.entries().unwrap().len(), 1);
    assert!(repository.delete_manifest(&ManifestRef::Tag(tag("a"))).unwrap());
    assert_eq!(repository.entries().unwrap(), []);
}

#[test]
fn deleting_where_there_is_nothing_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let repository = layout(&cache);
    assert!(!repository.delete_manifest(&ManifestRef::Tag(tag("a"))).unwrap());
    assert!(!repository.delete_manifest(&ManifestRef::Digest(Digest::of(b"a"))).unwrap());
    assert!(!repository.delete_blob(&Digest::of(b"a")).unwrap());
    assert!(!cache.exists());
}

#[test]
fn putting_and_deleting_at_the_same_time_leave_no_tag_without_its_manifest() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let bytes = manifest(&repository, "contested");
    let digest = Digest::of(&bytes);
    for round in 0..20 {
        thread::scope(|scope| {
            let (repository, bytes) = (&repository, &bytes);
            for number in 0..4 {
                scope.spawn(move || {
                    let name = tag(&format!("{round}-{number}"));
                    repository.put_manifest(&name, media_type::OCI_MANIFEST, bytes).unwrap();
                });
                scope.spawn(move || repository.delete_manifest(&ManifestRef::Digest(digest)).unwrap());
            }
        });
        for name in repository.tags().unwrap() {
            assert_eq!(repository.manifest(&ManifestRef::Tag(tag(&name))).unwrap().unwrap().bytes, bytes);
        }
    }
}

#[test]
fn a_blob_is_not_deleted_under_the_name_of_a_manifest_nor_the_reverse() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let bytes = manifest(&repository, "one");
    let digest = repository.put_manifest(&tag("a"), media_type::OCI_MANIFEST, &bytes).unwrap();
    let config = Digest::of(b"{}");
    assert!(!repository.delete_blob(&digest).unwrap());
    assert!(!repository.delete_manifest(&ManifestRef::Digest(config)).unwrap());
    assert!(repository.blob_path(&digest).exists() && repository.blob_path(&config).exists());
    assert!(repository.delete_blob(&config).unwrap());
}

#[test]
fn what_only_an_index_lists_is_found_and_mere_blobs_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let [child, blob] = ["child", "blob"].map(|comment| manifest(&repository, comment));
    for bytes in [&child, &blob] {
        let _ = repository.put_blob(&BlobSource::bytes(bytes.clone())).unwrap();
    }
    let (child, blob) = (Descriptor::of(media_type::OCI_MANIFEST, &child), Digest::of(&blob));
    let mut bytes = Vec::new();
    for nested in [vec![child.clone()], vec![]] {
        let mut index = ImageIndex { manifests: nested, ..ImageIndex::default() };
        if !bytes.is_empty() {
            index.manifests.push(Descriptor::of(media_type::OCI_INDEX, &bytes));
        }
        bytes = index.to_bytes().unwrap();
        let _ = repository.put_blob(&BlobSource::bytes(bytes.clone())).unwrap();
    }
    assert_eq!(repository.listed(&child.digest).unwrap(), None);
    repository.put_manifest(&tag("several"), media_type::OCI_INDEX, &bytes).unwrap();
    assert_eq!(repository.listed(&child.digest).unwrap(), Some(child.clone()));
    assert_eq!(repository.listed(&blob).unwrap(), None);
    assert!(repository.delete_manifest(&ManifestRef::Digest(child.digest)).unwrap());
    assert_eq!(repository.listed(&child.digest).unwrap(), None);
}

#[test]
fn a_blob_of_another_layout_is_linked_and_a_damaged_one_replaced() {
    use std::os::unix::fs::MetadataExt;
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| layout(&directory.path().join(name)));
    let blob = BlobSource::bytes(b"shared".to_vec());
    assert!(!to.link_blob_from(&from, &blob.digest).unwrap());
    assert!(!to.directory().exists());
    let _ = from.put_blob(&blob).unwrap();
    assert!(to.link_blob_from(&from, &blob.digest).unwrap());
    let inode = |repository: &LayoutRepository| repository.blob_path(&blob.digest).metadata().unwrap().ino();
    assert_eq!(inode(&from), inode(&to));
    assert!(to.link_blob_from(&from, &blob.digest).unwrap());
    std::fs::remove_file(to.blob_path(&blob.digest)).unwrap();
    std::fs::write(to.blob_path(&blob.digest), "sha").unwrap();
    assert!(to.link_blob_from(&from, &blob.digest).unwrap());
    assert_eq!(std::fs::read(to.blob_path(&blob.digest)).unwrap(), b"shared");
}

#[test]
fn a_handle_goes_on_after_its_layout_was_removed() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let bytes = manifest(&repository, "x");
    repository.put_manifest(&tag("a"), media_type::OCI_MANIFEST, &bytes).unwrap();
    std::fs::remove_dir_all(repository.directory()).unwrap();
    assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
    let bytes = manifest(&repository, "x");
    repository.put_manifest(&tag("b"), media_type::OCI_MANIFEST, &bytes).unwrap();
    assert_eq!(repository.tags().unwrap(), ["b"]);
}

#[test]
fn an_index_that_is_being_written_in_place_is_waited_for() {
    use std::io::Write;
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let bytes = manifest(&repository, "x");
    repository.put_manifest(&tag("a"), media_type::OCI_MANIFEST, &bytes).unwrap();
    let path = repository.directory().join("index.json");
    let text = std::fs::read(&path).unwrap();
    for written in [0, text.len() / 2] {
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(&text[..written]).unwrap();
        thread::scope(|scope| {
            let reading = scope.spawn(|| repository.tags());
            thread::sleep(Duration::from_millis(50));
            file.write_all(&text[written..]).unwrap();
            assert_eq!(reading.join().unwrap().unwrap(), ["a"]);
        });
    }
}

#[test]
fn a_replacement_that_fails_leaves_nothing_to_fill_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let repository = layout(&directory.path().join("cache"));
    let blob = BlobSource::bytes(b"in the way".to_vec());
    let access = repository.access().unwrap();
    let scratch = || std::fs::read_dir(access.directory()).unwrap().count();
    let before = scratch();
    for path in [repository.directory().join("target"), repository.blob_path(&blob.digest)] {
        std::fs::create_dir_all(path.join("something")).unwrap();
    }
    assert!(access.replace(&repository.directory().join("target"), b"{}").is_err());
    assert!(repository.put_blob(&blob).is_err());
    assert_eq!(scratch(), before);
}
