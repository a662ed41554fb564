//! The indexes of caches as they are read: what is fetched, what is kept, and what is made of either when it is damaged.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use strata_oci::{BlobSource, Descriptor, Manifest, Repository, Transport, media_type, open, open_or_create};
use strata_ops::index::{catalog, catalog_or_collect, last_known};
use strata_ops::report::Silent;
use strata_ops::{Event, Reporter};
use strata_spec::Catalog;
use strata_testkit::registry::TestRegistry;

/// An index of packages of these names.
fn index(names: &[&str]) -> String {
    let record = |(number, name): (usize, &&str)| {
        let hash = format!("{}{}", ["a", "b", "c"][number], "q".repeat(31));
        format!(
            r#""{hash}":{{"spec":{{"name":"{name}","version":"1","arch":{{"platform":"linux","platform_os":"debian12","target":"x86_64"}},"parameters":{{}},"hash":"{hash}"}},"ref_count":0,"in_buildcache":true}}"#
        )
    };
    let records: Vec<String> = names.iter().enumerate().map(record).collect();
    format!(r#"{{"database":{{"version":"8","installs":{{{}}}}}}}"#, records.join(","))
}

fn put(repository: &dyn Repository, json: &str) {
    let (blob, config) = (BlobSource::bytes(json.into()), BlobSource::bytes(b"{}".to_vec()));
    let _ = repository.put_blob(&blob).unwrap();
    let _ = repository.put_blob(&config).unwrap();
    let layers: Vec<Descriptor> = vec![blob.descriptor(media_type::OCI_LAYER_GZIP)];
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), layers);
    let tag = "index.spack".parse().unwrap();
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
}

fn at(url: &str) -> Box<dyn Repository> {
    open_or_create(&url.parse().unwrap(), &Transport::default(), None).unwrap()
}

fn names(catalog: &Catalog) -> Vec<&str> {
    catalog.names().collect()
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Reporter for Told {
    fn event(&self, event: Event<'_>) {
        if let Event::Warning(text) = event {
            self.0.lock().unwrap().push(text.to_owned());
        }
    }
}

/// Asks a cache as a process of its own would.
fn ask(url: &str, kept: Option<&Path>) -> (Vec<String>, Vec<String>) {
    let told = Told::default();
    let found = catalog(&*at(url), kept, &told).unwrap();
    let names = found.iter().flat_map(Catalog::names).map(str::to_owned).collect();
    (names, told.0.into_inner().unwrap())
}

/// The files in a directory, those included that are being written.
fn files(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn an_index_that_is_kept_costs_one_request() {
    let registry = TestRegistry::start();
    let (url, directory) = (registry.url("cache"), tempfile::tempdir().unwrap());
    let kept = directory.path().join("index");
    assert_eq!(ask(&url, Some(&kept)).0, [""; 0], "there is none");
    put(&*at(&url), &index(&["zlib", "bzip2"]));
    registry.log().clear();
    assert_eq!(ask(&url, Some(&kept)).0, ["bzip2", "zlib"]);
    assert_eq!(registry.log().entries().len(), 2, "{:?}", registry.log().lines());
    registry.log().clear();
    for _ in 0..3 {
        assert_eq!(ask(&url, Some(&kept)).0, ["bzip2", "zlib"]);
    }
    assert_eq!(registry.log().entries().len(), 3, "{:?}", registry.log().lines());
    assert_eq!(registry.log().count("GET", "/manifests/index.spack"), 3);
    put(&*at(&url), &index(&["xz"]));
    registry.log().clear();
    assert_eq!(ask(&url, Some(&kept)).0, ["xz"]);
    assert_eq!(registry.log().count("GET", "/blobs/"), 1);
    assert_eq!(files(&kept).len(), 1, "the old one is replaced");
    registry.log().clear();
    assert_eq!(ask(&url, None).0, ["xz"]);
    assert_eq!(registry.log().count("GET", "/blobs/"), 1, "nothing is used if nothing is to be kept");
}

#[test]
fn caches_and_layouts_are_kept_apart() {
    let registry = TestRegistry::start();
    let directory = tempfile::tempdir().unwrap();
    let layout = format!("oci+file://{}", directory.path().join("layout").display());
    let urls = [registry.url("one"), registry.url("two"), layout];
    let kept = directory.path().join("index");
    for (url, name) in urls.iter().zip(["one", "two", "three"]) {
        put(&*at(url), &index(&[name]));
    }
    for _ in 0..2 {
        for (url, name) in urls.iter().zip(["one", "two", "three"]) {
            assert_eq!(ask(url, Some(&kept)).0, [name]);
        }
    }
    assert_eq!(files(&kept).len(), 3);
}

#[test]
fn what_is_damaged_is_fetched_again() {
    let registry = TestRegistry::start();
    let (url, directory) = (registry.url("cache"), tempfile::tempdir().unwrap());
    let kept = directory.path().join("index");
    put(&*at(&url), &index(&["zlib", "bzip2"]));
    ask(&url, Some(&kept));
    let [path] = &files(&kept)[..] else { panic!("one") };
    let whole = fs::read(path).unwrap();
    for length in (0..whole.len()).step_by(11) {
        fs::write(path, &whole[..length]).unwrap();
        let (found, told) = ask(&url, Some(&kept));
        assert_eq!((found, told.len()), (vec!["bzip2".to_owned(), "zlib".to_owned()], 0), "cut at {length}");
        assert_eq!(fs::read(path).unwrap().len(), whole.len(), "and written again");
    }
    for at in (0..whole.len()).step_by(13) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(path, &damaged).unwrap();
        assert_eq!(ask(&url, Some(&kept)).0, ["bzip2", "zlib"], "byte {at}");
    }
    fs::remove_file(path).unwrap();
    fs::create_dir(path).unwrap();
    let (found, told) = ask(&url, Some(&kept));
    assert_eq!((found.len(), told.len()), (2, 1), "{told:?}");
}

#[test]
fn an_index_that_cannot_be_kept_is_read_all_the_same() {
    let registry = TestRegistry::start();
    let (url, directory) = (registry.url("cache"), tempfile::tempdir().unwrap());
    put(&*at(&url), &index(&["zlib"]));
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let (found, told) = ask(&url, Some(&file.join("index")));
    assert_eq!(found, ["zlib"]);
    assert!(told.len() == 1 && told[0].contains("cannot be kept"), "{told:?}");
}

#[test]
fn records_that_are_not_understood_are_told_each_time() {
    let registry = TestRegistry::start();
    let (url, directory) = (registry.url("cache"), tempfile::tempdir().unwrap());
    let odd = r#""installs":{"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz":{"spec":{"name":"odd"}},"#;
    put(&*at(&url), &index(&["zlib"]).replace(r#""installs":{"#, odd));
    for _ in 0..2 {
        let (found, told) = ask(&url, Some(directory.path()));
        assert_eq!(found, ["zlib"]);
        assert!(told.len() == 1 && told[0].contains("zzzz") && told[0].contains("missing field"), "{told:?}");
    }
    assert_eq!(registry.log().count("GET", "/blobs/"), 1);
}

#[test]
fn what_cannot_be_read_is_told_and_the_tags_are_read_instead() {
    let registry = TestRegistry::start();
    let (url, directory) = (registry.url("cache"), tempfile::tempdir().unwrap());
    for (json, reason) in [("<html>", "Spack database"), (&index(&[]).replace("\"8\"", "\"9\""), "version 9")]
    {
        put(&*at(&url), json);
        let told = Told::default();
        let found = catalog_or_collect(&*at(&url), Some(directory.path()), &told).unwrap();
        assert!(found.is_empty());
        let told = told.0.into_inner().unwrap();
        assert!(told.len() == 1 && told[0].contains(reason) && told[0].contains("tags instead"), "{told:?}");
    }
    assert_eq!(files(directory.path()).len(), 0, "and nothing is kept of it");
}

#[test]
fn a_cache_that_cannot_be_reached_is_not_taken_for_what_it_was() {
    let registry = TestRegistry::start();
    let (url, directory) = (registry.url("cache"), tempfile::tempdir().unwrap());
    let parsed = url.parse().unwrap();
    assert!(last_known(&parsed, directory.path()).is_none());
    put(&*at(&url), &index(&["zlib"]));
    let before = std::time::SystemTime::now() - std::time::Duration::from_secs(2);
    ask(&url, Some(directory.path()));
    drop(registry);
    assert!(catalog(&*at(&url), Some(directory.path()), &Silent).is_err());
    let known = last_known(&parsed, directory.path()).unwrap();
    assert_eq!(names(&known.catalog), ["zlib"]);
    assert!(known.catalog.nodes().next().unwrap().json().contains("debian12"));
    assert!(known.as_of > before);
}

#[test]
fn many_may_fetch_and_keep_it_at_once() {
    let registry = TestRegistry::start();
    let (url, directory) = (registry.url("cache"), tempfile::tempdir().unwrap());
    let kept = directory.path().join("index");
    let [old, new] = [index(&["zlib", "bzip2"]), index(&["xz"])];
    put(&*at(&url), &old);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let repository = open(&url.parse().unwrap(), &Transport::default(), None).unwrap();
                    let found = catalog(&*repository, Some(&kept), &Silent).unwrap().unwrap();
                    let found: Vec<(&str, bool)> =
                        found.nodes().map(|node| (node.name(), !node.json().is_empty())).collect();
                    assert!(
                        found == [("zlib", true), ("bzip2", true)] || found == [("xz", true)],
                        "{found:?}"
                    );
                }
            });
        }
        scope.spawn(|| {
            for number in 0..10 {
                put(&*at(&url), if number % 2 == 0 { &new } else { &old });
            }
        });
    });
    assert_eq!(files(&kept).len(), 1, "and no draft is left");
}
