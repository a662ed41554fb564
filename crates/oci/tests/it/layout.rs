//! What is special about an image layout: making one, refusing what is none, and what killed writers leave behind.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use strata_oci::{
    BlobSource, Error, ErrorKind, LayoutRepository, ManifestError, Repository, RepositoryUrl, Transport,
    media_type, open, open_or_create,
};

use crate::image::{Image, name};

fn url(directory: &Path) -> RepositoryUrl {
    RepositoryUrl::from_directory(directory).unwrap()
}

fn writable(directory: &Path) -> LayoutRepository {
    LayoutRepository::open_or_create(&url(directory)).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_layout_is_made_by_the_first_write_and_is_as_the_specification_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("not/yet/there");
    let repository = writable(&cache);
    repository.tags().unwrap();
    assert!(Image::new("x").put_manifest(&repository, "v1").is_err());
    assert!(!cache.exists(), "reading or a refused write leaves nothing");

    let image = Image::new("x");
    image.put(&repository, "v1");
    drop(repository);
    assert_eq!(names(&cache), [".strata", "blobs", "index.json", "oci-layout"]);
    assert_eq!(fs::read_to_string(cache.join("oci-layout")).unwrap(), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = concat!(
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#,
        r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"DIGEST","size":SIZE,"#,
        r#""annotations":{"org.opencontainers.image.ref.name":"v1"}}]}"#,
    );
    let index = index.replace("DIGEST", &image.digest().to_string());
    let index = index.replace("SIZE", &image.manifest.len().to_string());
    assert_eq!(fs::read_to_string(cache.join("index.json")).unwrap(), index);
    let mut expected = [image.layer.digest, image.config.digest, image.digest()].map(|digest| digest.hex());
    expected.sort();
    assert_eq!(names(&cache.join("blobs/sha256")), expected);
    assert_eq!(names(&cache.join(".strata/writers")), Vec::<String>::new());
}

#[test]
fn reading_what_does_not_exist_says_that_there_is_no_such_cache() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent");
    for place in [absent.as_path(), directory.path()] {
        let error = open(&url(place), &Transport::default(), None).err().expect("nothing is there");
        assert!(matches!(error, Error::NoSuchCache { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no such cache"), "{error}");
        assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
    }
    assert!(!absent.exists());
}

#[test]
fn a_cache_that_goes_away_does_not_pass_for_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let image = Image::new("x");
    image.put(&writable(&cache), "v1");
    let repository = open(&url(&cache), &Transport::default(), None).unwrap();
    assert_eq!(repository.tags().unwrap(), ["v1"]);
    fs::rename(&cache, directory.path().join("moved")).unwrap();
    assert!(matches!(repository.tags(), Err(Error::NoSuchCache { .. })));
    assert!(matches!(repository.resolve(&name("v1")), Err(Error::NoSuchCache { .. })));
    assert!(matches!(repository.manifest(&image.digest().into()), Err(Error::NoSuchCache { .. })));
    assert!(matches!(repository.blob_size(&image.digest()), Err(Error::NoSuchCache { .. })));
    assert!(matches!(repository.put_blob(&image.layer).err(), None | Some(Error::NoSuchCache { .. })));
    assert!(!cache.join("oci-layout").exists());
}

#[test]
fn other_directories_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let refuse = |prepare: &dyn Fn(&Path), words: &str| {
        let place = tempfile::tempdir_in(&directory).unwrap();
        prepare(place.path());
        let before = names(place.path());
        for outcome in [
            open(&url(place.path()), &Transport::default(), None),
            open_or_create(&url(place.path()), &Transport::default(), None),
        ] {
            let error = outcome.err().expect("it is no layout");
            assert!(matches!(error, Error::NotALayout { .. }), "{error}");
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(names(place.path()), before);
    };
    let write = |name: &'static str, text: &'static str| {
        move |place: &Path| fs::write(place.join(name), text).unwrap()
    };
    refuse(&write("thesis.tex", "years of work"), "thesis.tex");
    refuse(&write("oci-layout", "{}"), "malformed");
    refuse(&write("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#), "2.0.0");
    refuse(&write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#), "no index.json");

    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open_or_create(&url(&file), &Transport::default(), None).err().expect("a file is no layout");
    assert!(error.to_string().contains("not a directory"), "{error}");
}

#[test]
fn a_layout_that_somebody_was_killed_while_making_is_finished() {
    let directory = tempfile::tempdir().unwrap();
    for steps in 0..4 {
        let cache = directory.path().join(steps.to_string());
        fs::create_dir_all(cache.join(".strata/writers")).unwrap();
        if steps > 0 {
            fs::create_dir_all(cache.join("blobs/sha256")).unwrap();
        }
        if steps > 1 {
            fs::write(cache.join(".strata/index.json"), "{\"schema").unwrap();
        }
        if steps > 2 {
            let index = r#"{"schemaVersion":2,"manifests":[]}"#;
            fs::write(cache.join("index.json"), index).unwrap();
        }
        assert!(
            matches!(open(&url(&cache), &Transport::default(), None), Err(Error::NoSuchCache { .. })),
            "{steps}"
        );
        Image::new("x").put(&writable(&cache), "v1");
        assert_eq!(open(&url(&cache), &Transport::default(), None).unwrap().tags().unwrap(), ["v1"]);
    }
}

#[test]
fn what_killed_writers_left_is_removed_and_what_living_ones_use_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let living = writable(&cache);
    let scratch = living.scratch_dir().unwrap();
    fs::write(scratch.join("spool"), "half a layer").unwrap();

    let writers = cache.join(".strata/writers");
    for (dead, lock) in [("writer-dead", true), ("writer-dead-early", false)] {
        fs::create_dir(writers.join(dead)).unwrap();
        fs::write(writers.join(dead).join("blob-1"), "half a blob").unwrap();
        if lock {
            File::create(writers.join(dead).join("lock")).unwrap();
        }
    }
    let other = writable(&cache);
    Image::new("x").put(&other, "v1");
    assert_eq!(names(&writers).len(), 2, "{:?}", names(&writers));
    assert_eq!(fs::read_to_string(scratch.join("spool")).unwrap(), "half a layer");
    drop(living);
    drop(other);
    assert_eq!(names(&writers), Vec::<String>::new());
    assert_eq!(open(&url(&cache), &Transport::default(), None).unwrap().tags().unwrap(), ["v1"]);
}

#[test]
fn a_refused_blob_leaves_nothing_in_the_scratch_directory() {
    let directory = tempfile::tempdir().unwrap();
    let repository = writable(&directory.path().join("cache"));
    let mut blob = BlobSource::bytes(b"content".to_vec());
    blob.digest = strata_oci::Digest::of(b"other");
    assert!(repository.put_blob(&blob).is_err());
    assert_eq!(names(&repository.scratch_dir().unwrap()), ["lock"]);
}

#[test]
fn what_is_written_can_be_read_by_others() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let repository = writable(&cache);
    // A spool file that only its owner can read, as tempfile makes them.
    let spool = tempfile::NamedTempFile::new_in(repository.scratch_dir().unwrap()).unwrap();
    fs::write(spool.path(), "layer").unwrap();
    let blob = BlobSource::file(spool.path(), strata_oci::Digest::of(b"layer"), 5);
    let _ = repository.put_blob(&blob).unwrap();
    Image::new("x").put(&repository, "v1");
    // Whatever the umask is, a plainly made file has the same.
    let plain = directory.path().join("plain");
    File::create(&plain).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    for file in ["index.json", "oci-layout"] {
        assert_eq!(mode(&cache.join(file)), mode(&plain), "{file}");
    }
    let blobs = cache.join("blobs/sha256");
    for name in names(&blobs) {
        assert_eq!(mode(&blobs.join(&name)), mode(&plain), "{name}");
    }
}

#[test]
fn a_truncated_blob_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let image = Image::new("x");
    let repository = writable(&cache);
    image.put(&repository, "v1");
    let file = cache.join("blobs/sha256").join(image.layer.digest.hex());
    fs::write(&file, "").unwrap();
    let error = Image::new("x").put_manifest(&repository, "v2").unwrap_err();
    assert!(
        matches!(&error, Error::MissingBlob { role: "layer", digest, .. } if *digest == image.layer.digest),
        "{error}"
    );
    assert!(!repository.put_blob(&image.layer).unwrap().existed);
    image.put_manifest(&repository, "v2").unwrap();
}

#[test]
fn foreign_entries_and_keys_of_the_index_survive_our_writes() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let repository = writable(&cache);
    let image = Image::new("x");
    image.put(&repository, "v1");
    let foreign = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"platform":{{"os":"linux"}}}}"#,
        image.digest(),
        image.manifest.len()
    );
    let index = cache.join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    let text = text.replacen("[{", &format!("[{foreign},{{"), 1);
    let text = format!(r#"{},"annotations":{{"by":"hand"}}}}"#, text.strip_suffix('}').unwrap());
    fs::write(&index, text).unwrap();
    Image::new("y").put(&repository, "v2");
    let text = fs::read_to_string(&index).unwrap();
    assert!(text.contains(&foreign), "{text}");
    assert!(text.ends_with(r#","annotations":{"by":"hand"}}"#), "{text}");
    assert_eq!(repository.tags().unwrap(), ["v1", "v2"]);
}

#[test]
fn damage_is_reported_with_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let image = Image::new("x");
    image.put(&writable(&cache), "v1");
    let repository = open(&url(&cache), &Transport::default(), None).unwrap();
    let manifest = cache.join("blobs/sha256").join(image.digest().hex());

    fs::write(&manifest, "{}").unwrap();
    let error = repository.manifest(&name("v1").into()).unwrap_err();
    assert!(matches!(error, Error::ManifestDigest { .. }), "{error}");
    assert!(error.to_string().contains(manifest.to_str().unwrap()), "{error}");

    fs::remove_file(&manifest).unwrap();
    let error = repository.manifest(&name("v1").into()).unwrap_err();
    assert!(matches!(&error, Error::DanglingTag { tag, .. } if tag == "v1"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);

    fs::write(cache.join("index.json"), "not json").unwrap();
    let error = repository.tags().unwrap_err();
    assert!(matches!(error, Error::Document { .. }), "{error}");
    assert!(error.to_string().contains("index.json"), "{error}");
}

#[test]
fn what_is_no_manifest_cannot_be_tagged() {
    let directory = tempfile::tempdir().unwrap();
    let repository = writable(&directory.path().join("cache"));
    let image = Image::new("x");
    image.put(&repository, "v1");
    for (media_type, bytes) in [
        ("application/json", image.manifest.as_slice()),
        (media_type::OCI_MANIFEST, b"{}"),
        (media_type::OCI_INDEX, &image.manifest),
        (media_type::DOCKER_MANIFEST, &image.manifest),
    ] {
        let error = repository.put_manifest(&name("v2"), media_type, bytes).unwrap_err();
        assert!(matches!(error, Error::Document { .. }), "{media_type}: {error}");
    }
    let error = repository.put_manifest(&name("v2"), "text/plain", b"").unwrap_err();
    assert!(matches!(error, Error::Document { cause: ManifestError::MediaType(_), .. }), "{error}");
    assert_eq!(repository.tags().unwrap(), ["v1"]);
}

#[test]
fn reading_needs_and_leaves_nothing_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let image = Image::new("x");
    image.put(&writable(&cache), "v1");
    fs::remove_dir_all(cache.join(".strata")).unwrap();
    let before = names(&cache);
    let repository = writable(&cache);
    assert_eq!(repository.tags().unwrap(), ["v1"]);
    assert_eq!(repository.manifest(&name("v1").into()).unwrap().unwrap().bytes, image.manifest);
    assert!(repository.put_blob(&image.layer).unwrap().existed);
    assert_eq!(names(&cache), before);
    // And what is not ours becomes ours when written to.
    Image::new("y").put(&repository, "v2");
    assert_eq!(open(&url(&cache), &Transport::default(), None).unwrap().tags().unwrap(), ["v1", "v2"]);
}

#[test]
fn a_tag_that_somebody_wrote_twice_is_listed_once_and_can_be_moved() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let repository = writable(&cache);
    let (first, second) = (Image::new("first"), Image::new("second"));
    first.put(&repository, "a");
    second.put(&repository, "b");
    let index = cache.join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace(r#"name":"b""#, r#"name":"a""#)).unwrap();
    assert_eq!(repository.tags().unwrap(), ["a"]);
    assert_eq!(repository.resolve(&name("a")).unwrap().unwrap().digest, first.digest());
    let third = Image::new("third");
    third.put(&repository, "a");
    assert_eq!(repository.resolve(&name("a")).unwrap().unwrap().digest, third.digest());
    assert_eq!(fs::read_to_string(&index).unwrap().matches("ref.name").count(), 1);
}

#[test]
fn a_handle_sees_what_others_tag() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    Image::new("x").put(&writable(&cache), "a");
    let reader = open(&url(&cache), &Transport::default(), None).unwrap();
    for number in 0..20 {
        let image = Image::new(&number.to_string());
        image.put(&writable(&cache), "moving");
        assert_eq!(reader.resolve(&name("moving")).unwrap().unwrap().digest, image.digest());
    }
}
