//! `buildcache push --compression`: what comes out, who is told about it, and that it is installed all the same.

use crate::support::{World, install, text, tree};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use strata_oci::{ManifestRef, Repository, RepositoryUrl, Transport, image_config, image_manifest};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::sample_store::SampleStore;

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn open(url: &str) -> Box<dyn Repository> {
    strata_oci::open(&url.parse::<RepositoryUrl>().unwrap(), &Transport::default(), None).unwrap()
}

/// Media type, digest and diff id of each package's own layer, and what its config says of the compression, by tag.
fn layers(url: &str) -> Vec<[String; 5]> {
    let repository = open(url);
    let mut tags = repository.tags().unwrap();
    tags.retain(|tag| tag != "index.spack" && tag.ends_with(".spack"));
    tags.sort();
    let layer = |tag: String| {
        let (_, manifest) =
            image_manifest(&*repository, &ManifestRef::Tag(tag.parse().unwrap())).unwrap().unwrap();
        let config = image_config(&*repository, &manifest).unwrap();
        let own = manifest.layers.last().unwrap();
        let said =
            |key: &str| -> Value { serde_json::from_str(config.extra.get(key).unwrap().get()).unwrap() };
        assert_eq!(said("binary_cache_checksum")["hash"], own.digest.hex());
        assert_eq!(said("archive_size"), own.size);
        assert_eq!(repository.blob_size(&own.digest).unwrap(), Some(own.size));
        [
            tag,
            own.media_type.clone(),
            own.digest.to_string(),
            config.root_fs.diff_ids.last().unwrap().to_string(),
            said("archive_compression").as_str().unwrap().to_owned(),
        ]
    };
    tags.into_iter().map(layer).collect()
}

fn push(world: &World, store: &SampleStore, url: &str, options: &[&str]) -> String {
    let fixed = ["--store", text(&store.unpadded_root), "buildcache", "push", url];
    let ran = world.run(fixed.iter().chain(options));
    assert_eq!(ran.code, Some(0), "{options:?}: {}", ran.stderr);
    ran.stderr
}

/// The files of an installation with what is in them, but for the notes of when and from where it was installed.
fn contents(root: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let told = |path: &PathBuf| {
        let text = path.to_string_lossy();
        !text.contains(".spack-db")
            && !text.ends_with("install_times.json")
            && !text.ends_with("install_manifest.json")
    };
    let paths = tree(root).into_iter().filter(told);
    paths.map(|path| (path.clone(), fs::read(root.join(&path)).ok())).collect()
}

#[test]
fn what_is_compressed_otherwise_is_the_same_package() {
    let world = World::new();
    let store = world.sample_store();
    let root = world.path("installed");
    let installed = |cache: &str| {
        let ran = install(&world, &root, cache, "hello");
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let found = contents(&root);
        fs::remove_dir_all(&root).unwrap();
        found
    };
    let plain = world.layout("gzip");
    assert!(!push(&world, &store, &plain, &[]).contains("warning"));
    let expected = installed(&plain);
    assert!(expected.iter().any(|(_, content)| content.as_ref().is_some_and(|content| !content.is_empty())));
    let of_gzip = layers(&plain);
    assert!(of_gzip.len() >= 3 && of_gzip.iter().all(|layer| layer[1] == format!("{OCI_LAYER}+gzip")));
    assert!(of_gzip.iter().all(|layer| layer[4] == "gzip"));

    let registry = DockerRegistry::start();
    for (how, suffix, name, told) in [
        ("zstd", "+zstd", "zstd", "Spack only if it runs on Python 3.14"),
        ("zstd:19", "+zstd", "zstd", "Docker from version 23"),
        ("none", "", "none", "not compressed"),
    ] {
        let caches =
            [world.layout(how)].into_iter().chain(registry.as_ref().map(|r| r.url(&how.replace(':', "-"))));
        let mut first = None;
        for cache in caches {
            let said = push(&world, &store, &cache, &["--compression", how, "-j", "1"]);
            assert!(said.contains("warning") && said.contains(told), "{how}: {said}");
            let found = layers(&cache);
            for (layer, of_gzip) in found.iter().zip(&of_gzip) {
                assert_eq!((&layer[0], &layer[3]), (&of_gzip[0], &of_gzip[3]), "the same tar");
                assert_eq!(layer[1], format!("{OCI_LAYER}{suffix}"));
                assert_eq!(layer[4], name);
                assert_eq!(layer[2] == layer[3], how == "none");
            }
            assert_eq!(found.len(), of_gzip.len());
            assert!(*first.get_or_insert_with(|| found.clone()) == found, "the same bytes everywhere");
            assert!(installed(&cache) == expected, "{how} from {cache}");
            world.ok(["buildcache", "check", "--mirror", &cache, "hello"]);
        }
        let again = world.layout(&format!("{how} again"));
        push(&world, &store, &again, &["--compression", how, "-j", "3"]);
        assert_eq!(Some(layers(&again)), first, "whatever the number of threads");
    }
}

#[test]
fn what_is_there_stays_as_it_is() {
    let world = World::new();
    let store = world.sample_store();
    let cache = world.layout("cache");
    push(&world, &store, &cache, &["--compression", "zstd"]);
    let before = layers(&cache);
    let said = push(&world, &store, &cache, &["--compression", "none"]);
    assert!(!said.contains("warning"), "nothing is pushed, so nobody need be warned: {said}");
    assert_eq!(layers(&cache), before);
    // Copied as they are.
    let copy = world.path("copy");
    world.ok(["buildcache", "download", "--mirror", &cache, "--path", text(&copy), "hello"]);
    assert_eq!(layers(&format!("oci+file://{}", copy.display())), before);
    push(&world, &store, &cache, &["--force", "--compression", "gzip"]);
    assert!(layers(&cache).iter().all(|layer| layer[4] == "gzip"));
}

#[test]
fn images_of_such_packages_say_what_their_layers_are() {
    let world = World::new();
    let store = world.sample_store();
    let cache = world.layout("cache");
    push(&world, &store, &cache, &["--compression", "zstd", "--tag", "all", "--max-layers", "2"]);
    let types = |tag: &str| -> Vec<String> {
        let reference = ManifestRef::Tag(tag.parse().unwrap());
        let (_, manifest) = image_manifest(&*open(&cache), &reference).unwrap().unwrap();
        manifest.layers.into_iter().map(|layer| layer.media_type).collect()
    };
    assert_eq!(types("all"), vec![format!("{OCI_LAYER}+zstd"); 2], "the shared layer is no exception");
    let built = format!("{cache}:built");
    world.ok(["image", "build", "--mirror", &cache, "--max-layers", "1", "--tag", &built, "hello"]);
    assert_eq!(types("built"), [format!("{OCI_LAYER}+zstd")]);
    world.ok(["image", "inspect", &built]);
}

#[test]
fn what_is_no_compression_is_refused() {
    let world = World::new();
    let refused = |how: &str| world.run(["buildcache", "push", "x", "--compression", how]);
    refused("xz").fails(2, &["`xz` is no compression", "gzip, zstd, zstd:LEVEL and none"]);
    refused("zstd:23").fails(2, &["`23` is no level of zstd"]);
    refused("gzip:9").fails(2, &["gzip takes no level"]);
}
