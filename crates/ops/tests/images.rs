//! Images that a push writes: on bases, of several packages, with shared layers.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_oci::media_type::Family;
use strata_oci::{ImageReference, ManifestRef, Repository, RepositoryUrl, Transport};
use strata_ops::image::ImageError;
use strata_ops::image::{BaseSource, Budget};
use strata_ops::push::{Only, PushPlan, PushRequest, PushSummary, execute, plan};
use strata_ops::{Error, Silent};
use strata_spec::Database;
use strata_store::StoreRoot;
use strata_testkit::base_image::BaseImage;
use strata_testkit::registry::TestRegistry;

/// Packages of the store: `p0` needs all others, each of which needs the next.
const COUNT: usize = 12;

fn hash(name: &str) -> String {
    // Hashes are base32, which has not all digits.
    let letters = name.chars().map(|c| c.to_digit(10).map_or(c, |digit| (b'b' + digit as u8) as char));
    format!("{:a<32}", letters.collect::<String>())
}

struct World {
    directory: tempfile::TempDir,
    database: Database,
}

impl World {
    /// A store of packages that were built against this version of glibc.
    fn new(glibc: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let architecture = json!({"platform": "linux", "platform_os": "debian12", "target": "x86_64"});
        let edge = |name: &str, virtuals: Value| {
            let parameters = json!({"deptypes": ["link"], "virtuals": virtuals});
            json!({"name": name, "hash": hash(name), "parameters": parameters})
        };
        let mut installs = serde_json::Map::new();
        for number in 0..COUNT {
            let name = format!("p{number}");
            let prefix = root.join(format!("linux-x86_64/{name}-1.0-{}", hash(&name)));
            std::fs::create_dir_all(prefix.join(".spack")).unwrap();
            std::fs::create_dir_all(prefix.join("bin")).unwrap();
            std::fs::write(prefix.join(".spack/spec.json"), "{}").unwrap();
            std::fs::write(prefix.join("bin").join(&name), name.repeat(1000)).unwrap();
            let mut needs = vec![edge("glibc", json!(["libc"]))];
            let others = if number == 0 { 1..COUNT } else { number + 1..COUNT.min(number + 2) };
            needs.extend(others.map(|other| edge(&format!("p{other}"), json!([]))));
            let spec = json!({
                "name": name, "version": "1.0", "namespace": "test", "parameters": {}, "dependencies": needs,
                "arch": architecture, "hash": hash(&name), "annotations": {"original_specfile_version": 5},
            });
            let record = json!({
                "spec": spec, "path": prefix, "installed": true, "explicit": number == 0, "ref_count": 0,
                "installation_time": 1_700_000_000 + number,
            });
            installs.insert(hash(&name), record);
        }
        let spec = json!({
            "name": "glibc", "version": glibc, "namespace": "test", "parameters": {}, "arch": architecture,
            "external": {"path": "/usr", "module": null, "extra_attributes": {}}, "hash": hash("glibc"),
            "annotations": {"original_specfile_version": 5},
        });
        installs.insert(
            hash("glibc"),
            json!({"spec": spec, "path": "/usr", "installed": true, "explicit": false, "ref_count": 1}),
        );
        let database =
            Database::parse(&json!({"database": {"version": "8", "installs": installs}}).to_string());
        Self { directory, database: database.unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn request(&self) -> PushRequest {
        PushRequest { jobs: 2, kept: Some(self.path("kept")), ..PushRequest::default() }
    }

    fn plan(&self, repository: &dyn Repository, request: &PushRequest) -> Result<PushPlan, Error> {
        plan(&self.database, repository, request, &Silent)
    }

    fn push(&self, repository: &dyn Repository, request: &PushRequest) -> PushSummary {
        let plan = self.plan(repository, request).unwrap();
        let root = StoreRoot::open_or_new(&self.path("store"), None).unwrap();
        execute(&self.database, &root, repository, request, plan, &|_| None, &Silent).unwrap()
    }
}

fn open(url: &str) -> Box<dyn Repository> {
    strata_oci::open_or_create(&url.parse().unwrap(), &Transport::default(), None).unwrap()
}

fn layout(directory: &Path) -> Box<dyn Repository> {
    let url = RepositoryUrl::from_directory(directory).unwrap();
    strata_oci::open_or_create(&url, &Transport::default(), None).unwrap()
}

/// The base `tag` of a repository, opened anew.
fn base(url: &str, tag: &str) -> BaseSource {
    let reference: ImageReference = format!("{url}:{tag}").parse().unwrap();
    BaseSource { reference, repository: open(url), libc_check: true, kept: None }
}

/// The manifest and the config of a tag, as they are stored.
fn image(repository: &dyn Repository, tag: &str) -> (Value, Value) {
    let raw = repository.manifest(&ManifestRef::Tag(tag.parse().unwrap())).unwrap().unwrap();
    let manifest = raw.parse().unwrap();
    let config = strata_oci::blob_bytes(repository, &manifest.config, 1 << 20).unwrap();
    (serde_json::from_slice(&raw.bytes).unwrap(), serde_json::from_slice(&config).unwrap())
}

fn tag(name: &str) -> String {
    format!("{name}-1.0-{}.spack", hash(name))
}

fn diff_ids(config: &Value) -> Vec<&str> {
    config["rootfs"]["diff_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

#[test]
fn packages_get_a_base_without_being_packed_again() {
    let world = World::new("2.36");
    let registry = TestRegistry::start();
    let elsewhere = TestRegistry::start();
    let bases =
        [(Family::Oci, elsewhere.url("base"), "2.36"), (Family::Docker, registry.url("base"), "2.38")];
    for (family, url, glibc) in bases {
        BaseImage::of_glibc("amd64", glibc).push(&*open(&url), "1", family).unwrap();
    }
    let cache = open(&registry.url("cache"));
    assert_eq!(world.push(&*cache, &world.request()).pushed.len(), COUNT);
    let (_, before) = image(&*cache, &tag("p0"));

    for (url, family, mounted) in
        [(elsewhere.url("base"), Family::Oci, 0), (registry.url("base"), Family::Docker, 1)]
    {
        registry.log().clear();
        let request = PushRequest { force: true, base: Some(base(&url, "1")), ..world.request() };
        let plan = world.plan(&*cache, &request).unwrap();
        assert!(plan.to_push.iter().all(|package| package.retag));
        assert_eq!(world.push(&*cache, &request).pushed.len(), COUNT);
        // One config each, and the layer of the base.
        let uploads = registry.log().matching("POST", "/cache/blobs/uploads/");
        let mounts = uploads.iter().filter(|entry| entry.parameter("mount").is_some()).count();
        assert_eq!((uploads.len(), mounts), (COUNT + 1, mounted), "{:#?}", registry.log().lines());
        let (manifest, config) = image(&*cache, &tag("p0"));
        assert_eq!(manifest["mediaType"], family.manifest());
        let layers = manifest["layers"].as_array().unwrap();
        assert!(layers.iter().all(|layer| layer["mediaType"] == family.layer()));
        assert_eq!(diff_ids(&config)[1..], diff_ids(&before)[..]);
        assert_eq!(config["history"].as_array().unwrap().len(), COUNT + 1);
        for key in ["spec", "binary_cache_checksum", "archive_size", "archive_timestamp"] {
            assert_eq!(config[key].to_string(), before[key].to_string(), "{key}");
        }
        let path = config["config"]["Env"][0].as_str().unwrap();
        assert!(
            path.starts_with("PATH=/")
                && path.ends_with(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        );
    }
    // Without a base again, everything is packed anew, and is as it was.
    world.push(&*cache, &PushRequest { force: true, ..world.request() });
    assert_eq!(image(&*cache, &tag("p0")).1, before);
}

#[test]
fn a_package_whose_layer_the_cache_has_lost_is_packed_again() {
    let world = World::new("2.36");
    let cache = layout(&world.path("cache"));
    BaseImage::of_glibc("amd64", "2.36").push(&*layout(&world.path("bases")), "1", Family::Oci).unwrap();
    world.push(&*cache, &world.request());
    let (manifest, before) = image(&*cache, &tag("p3"));
    let layer = manifest["layers"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap().to_owned();
    let blob = world.path("cache/blobs").join(layer.replace(':', "/"));
    std::fs::remove_file(&blob).unwrap();

    let bases = RepositoryUrl::from_directory(world.path("bases")).unwrap().to_string();
    let request = PushRequest { force: true, base: Some(base(&bases, "1")), ..world.request() };
    let plan = world.plan(&*cache, &request).unwrap();
    let packed: Vec<&str> = plan.to_push.iter().filter(|p| !p.retag).map(|p| p.name.as_str()).collect();
    assert_eq!(packed, ["p3"]);
    let summary = world.push(&*cache, &request);
    assert_eq!((summary.pushed.len(), summary.failed.len(), blob.exists()), (COUNT, 0, true));
    assert_eq!(diff_ids(&image(&*cache, &tag("p3")).1)[1..], diff_ids(&before)[..]);
}

#[test]
fn a_tag_has_all_roots_whoever_pushed_their_layers() {
    let world = World::new("2.36");
    let cache = layout(&world.path("cache"));
    world.push(&*cache, &PushRequest { specs: vec!["p4".parse().unwrap()], ..world.request() });
    let of_two = PushRequest {
        specs: vec!["p4".parse().unwrap(), "p2".parse().unwrap()],
        tag: Some("two".parse().unwrap()),
        ..world.request()
    };
    let summary = world.push(&*cache, &of_two);
    let written = summary.image.unwrap();
    assert_eq!((summary.pushed.len(), summary.present.len()), (2, COUNT - 4));
    assert_eq!((written.layers, written.packages.len()), (COUNT - 2, COUNT - 2));
    let (manifest, config) = image(&*cache, "two");
    assert_eq!(config["created"], "2023-11-14T22:13:31Z");
    assert_eq!(config["history"].as_array().unwrap().len(), COUNT - 2);
    assert!(config.get("spec").is_none());
    assert!(
        manifest["annotations"]["org.opencontainers.image.description"]
            .as_str()
            .unwrap()
            .starts_with("p4@1.0")
    );
    // The same again is the same image.
    assert_eq!(world.push(&*cache, &of_two).image.unwrap().digest, written.digest);
    let epoch = jiff::Timestamp::from_second(86400).unwrap();
    let dated = PushRequest { timestamp: Some(epoch), ..of_two };
    assert_ne!(world.push(&*cache, &dated).image.unwrap().digest, written.digest);
    assert_eq!(image(&*cache, "two").1["created"], "1970-01-02T00:00:00Z");
}

#[test]
fn an_image_that_would_lack_layers_is_refused_by_name() {
    let world = World::new("2.36");
    let cache = layout(&world.path("cache"));
    let alone = PushRequest {
        specs: vec!["p10".parse().unwrap()],
        only: Only::Package,
        tag: Some("alone".parse().unwrap()),
        ..world.request()
    };
    let summary = world.push(&*cache, &alone);
    assert!(summary.image.is_none() && summary.pushed.len() == 1);
    assert!(summary.failed[0].message.contains("p11@1.0"), "{}", summary.failed[0].message);
    assert!(cache.resolve(&"alone".parse().unwrap()).unwrap().is_none());
    let written = world.push(&*cache, &PushRequest { allow_incomplete: true, ..alone }).image.unwrap();
    assert_eq!((written.layers, written.missing_layers.len()), (1, 1));

    let reserved = PushRequest { tag: Some("x.spack".parse().unwrap()), ..world.request() };
    assert!(matches!(world.plan(&*cache, &reserved), Err(Error::Image(ImageError::PackageTag { .. }))));
}

#[test]
fn packages_share_layers_where_there_are_too_many() {
    let world = World::new("2.36");
    let cache = layout(&world.path("cache"));
    let budget = Budget { layers: 4, explicit: true };
    let request = PushRequest { budget, tag: Some("all".parse().unwrap()), ..world.request() };
    let summary = world.push(&*cache, &request);
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    assert_eq!(summary.image.unwrap().layers, 4);
    for number in 0..COUNT {
        let (manifest, config) = image(&*cache, &tag(&format!("p{number}")));
        let layers = manifest["layers"].as_array().unwrap();
        assert!(layers.len() <= 4 && layers.len() == diff_ids(&config).len());
        // What makes it a package: its own layer is last, and what the config says of it holds.
        let own = format!("sha256:{}", config["binary_cache_checksum"]["hash"].as_str().unwrap());
        assert_eq!(layers[layers.len() - 1]["digest"], own);
        assert_eq!(layers[layers.len() - 1]["size"], config["archive_size"]);
    }
    // All packages are in the image, each once.
    let (manifest, config) = image(&*cache, "all");
    let out = world.path("out");
    std::fs::create_dir(&out).unwrap();
    for layer in manifest["layers"].as_array().unwrap() {
        let hex = layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let blob = world.path("cache/blobs/sha256").join(hex);
        assert!(Command::new("tar").arg("-xzf").arg(blob).arg("-C").arg(&out).status().unwrap().success());
    }
    let store = world.path("store/linux-x86_64");
    let unpacked = out.join(store.strip_prefix("/").unwrap());
    assert_eq!(std::fs::read_dir(&unpacked).unwrap().count(), COUNT);
    let comments: Vec<&str> = config["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["comment"].as_str().unwrap())
        .collect();
    for number in 0..COUNT {
        let label = format!("p{number}@1.0/{}", hash(&format!("p{number}")));
        assert_eq!(comments.iter().filter(|comment| comment.contains(&label)).count(), 1, "{label}");
    }
    // What was merged is remembered, unless it is gone.
    let made = |repository: &dyn Repository| world.push(repository, &request).image.unwrap().digest;
    let digest = made(&*cache);
    let merged = manifest["layers"][0]["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let blob = world.path("cache/blobs/sha256").join(merged);
    let written = std::fs::metadata(&blob).unwrap().modified().unwrap();
    assert_eq!(made(&*layout(&world.path("cache"))), digest);
    assert_eq!(std::fs::metadata(&blob).unwrap().modified().unwrap(), written);
    std::fs::remove_file(&blob).unwrap();
    assert_eq!(made(&*layout(&world.path("cache"))), digest);
    assert!(blob.exists());

    let too_few =
        PushRequest { budget: Budget { layers: 1, explicit: true }, force: true, ..world.request() };
    let refused = world.plan(&*cache, &too_few).unwrap_err().to_string();
    assert!(refused.contains("needs 2 at least"), "{refused}");
    // The last one needs nothing else.
    let last = PushRequest { specs: vec![format!("p{}", COUNT - 1).parse().unwrap()], ..too_few };
    assert_eq!(world.push(&*cache, &last).pushed.len(), 1);
}

#[test]
fn a_base_that_cannot_run_the_packages_is_refused_before_anything_is_done() {
    let world = World::new("2.36");
    let registry = TestRegistry::start();
    let (bases, cache) = (registry.url("base"), open(&registry.url("cache")));
    let repository = open(&bases);
    BaseImage::of_glibc("amd64", "2.28").push(&*repository, "old", Family::Oci).unwrap();
    BaseImage::of_glibc("amd64", "2.36").push(&*repository, "same", Family::Docker).unwrap();
    BaseImage::new("amd64").with_files(&[("etc/motd", b"")]).push(&*repository, "none", Family::Oci).unwrap();
    BaseImage::of_glibc("arm64", "2.36").push(&*repository, "arm", Family::Oci).unwrap();
    let refusal = |base: BaseSource| {
        let request = PushRequest { base: Some(base), ..world.request() };
        world.plan(&*cache, &request).err().map(|error| error.to_string())
    };
    for (name, words) in [
        ("old", &["base:old has glibc@2.28, and p", "needs glibc@2.36"][..]),
        ("none", &["has no C library", "needs glibc@2.36"]),
        ("arm", &["linux/arm64"]),
        ("missing", &["missing"]),
    ] {
        let text = refusal(base(&bases, name)).unwrap();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    assert_eq!(refusal(base(&bases, "same")), None);
    for name in ["old", "none"] {
        assert_eq!(refusal(BaseSource { libc_check: false, ..base(&bases, name) }), None);
    }
    // Its layers are read once.
    let kept = || BaseSource { kept: Some(world.path("kept")), ..base(&bases, "old") };
    let first = refusal(kept());
    registry.log().clear();
    assert_eq!(refusal(kept()), first);
    assert_eq!(registry.log().count("GET", "/base/blobs/"), 1, "the config alone");
}
