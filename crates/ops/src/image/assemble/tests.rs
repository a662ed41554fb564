//! Configs and manifests of images on bases of all kinds.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::image::ImageError;
use crate::report::Silent;
use serde_json::{Value, json};
use strata_oci::{RepositoryUrl, Transport};
use strata_spec::Database;

const HASHES: [&str; 2] = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"];

/// `app`, which needs `library`.
fn database(target: &str) -> Database {
    let node = |name: &str, hash: &str, needs: Value| {
        json!({
            "name": name, "version": "1.0", "namespace": "test", "parameters": {}, "dependencies": needs, "hash": hash,
            "arch": {"platform": "linux", "platform_os": "debian12", "target": target},
        })
    };
    let edge =
        json!([{"name": "library", "hash": HASHES[0], "parameters": {"deptypes": ["link"], "virtuals": []}}]);
    let record =
        |spec| json!({"spec": spec, "path": "/x", "installed": true, "explicit": true, "ref_count": 0});
    let installs = json!({
        HASHES[0]: record(node("library", HASHES[0], json!([]))),
        HASHES[1]: record(node("app", HASHES[1], edge)),
    });
    Database::parse(&json!({"database": {"version": "8", "installs": installs}}).to_string()).unwrap()
}

fn info(content: &[u8]) -> LayerInfo {
    let diff_id = Digest::of(content);
    LayerInfo {
        digest: Digest::of(diff_id.as_bytes()),
        diff_id,
        size: content.len() as u64,
        compression: Compression::Gzip,
    }
}

fn base(family: Family, config: &str, layers: usize) -> Base {
    let mut config = ImageConfig::parse(config.as_bytes()).unwrap();
    let infos: Vec<LayerInfo> = (0..layers).map(|n| info(format!("base {n}").as_bytes())).collect();
    config.root_fs.diff_ids = infos.iter().map(|layer| layer.diff_id).collect();
    Base {
        reference: "oci://example.org/base:1".to_owned(),
        name: Some("example.org/base:1".to_owned()),
        digest: Digest::of(b"base"),
        family,
        layers: infos.iter().map(|l| Descriptor::new(family.layer(), l.digest, l.size)).collect(),
        config,
        libc: None,
        libc_check: false,
    }
}

struct Made {
    manifest: Value,
    config: Value,
    digest: String,
}

/// What is made of the two packages: the image of the second, or one of both.
fn made(base: Option<&Base>, package: Option<RawObject>, created: Option<i64>, runtime: &Runtime) -> Made {
    try_made(base, package, created, runtime, "x86_64_v2").unwrap()
}

fn try_made(
    base: Option<&Base>,
    package: Option<RawObject>,
    created: Option<i64>,
    runtime: &Runtime,
    second: &str,
) -> Result<Made, Error> {
    let directory = tempfile::tempdir().unwrap();
    let url = RepositoryUrl::from_directory(directory.path().join("layout")).unwrap();
    let repository = strata_oci::open_or_create(&url, &Transport::default(), None).unwrap();
    let (database, other) = (database("x86_64_v2"), database(second));
    let of = |database: &'static Database, hash| &database.records[&DagHash::parse(hash).unwrap()].node;
    let (database, other): (&'static Database, &'static Database) =
        (Box::leak(Box::new(database)), Box::leak(Box::new(other)));
    let nodes = [of(database, HASHES[0]), of(other, HASHES[1])];
    let layers =
        nodes.iter().map(|node| (node.hash.clone(), info(node.name.as_bytes()))).collect::<HashMap<_, _>>();
    let environment = Environment::of_base(base.map(|base| &base.config));
    let assembly = Assembly {
        nodes: &nodes,
        layers: &layers,
        elsewhere: &HashMap::new(),
        roots: &nodes[1..],
        base,
        environment: &environment,
        runtime,
        budget: Budget::default(),
        merger: &Merger::new(None, 1, None),
        created: created.map(|seconds| Timestamp::from_second(seconds).unwrap()),
        view: None,
        package,
    };
    let assembled = assemble(&assembly, &*repository, &Silent)?;
    let config = strata_oci::image_config(&*repository, &assembled.manifest).unwrap().to_bytes().unwrap();
    let manifest = assembled.manifest.to_bytes().unwrap();
    Ok(Made {
        digest: Digest::of(&manifest).to_string(),
        manifest: serde_json::from_slice(&manifest).unwrap(),
        config: serde_json::from_slice(&config).unwrap(),
    })
}

fn keys() -> RawObject {
    serde_json::from_str(r#"{"spec":{ "nodes":[1.0] },"archive_size":3}"#).unwrap()
}

const MINIMAL: &str = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}"#;
const FULL: &str = r#"{"architecture":"arm64","variant":"v8","os":"linux","created":"2020-01-01T00:00:00Z",
    "author":"somebody","rootfs":{"type":"layers"},
    "config":{"Env":["PATH=/base/bin","LANG=C"],"Cmd":["/bin/sh"],"Labels":{"a":"b"},"User":"me","Weird":[1.0]},
    "history":[{"created_by":"one","x":1},{"created_by":"env","empty_layer":true},{"created_by":"two"}]}"#;

#[test]
fn an_image_has_the_same_digest_whenever_it_is_made() {
    let package = || made(None, Some(keys()), None, &Runtime::default()).digest;
    let image = |created| made(None, None, Some(created), &Runtime::default()).digest;
    let full = base(Family::Docker, FULL, 2);
    let on_base = made(Some(&full), None, Some(1_700_000_000), &Runtime::default()).digest;
    assert_eq!(
        [package(), image(1_700_000_000), image(0), on_base],
        [
            "sha256:6a32835398583d7947f4f79dfa71375a2db5b5cae918d2be671068c54c65736d",
            "sha256:f6ecdc944dc1888d3ec9664cc4dcdf4e796c645a9710a61cff7f12657a3f6cb3",
            "sha256:feda537894a4400f319c6b52db7c54e67a0b71457f2e35c7fb23e93abf37d78b",
            "sha256:53aaabd162f8b00d30c41c04ab1e623723b4ae9e0059793378ec9a3982e58f56",
        ]
    );
}

#[test]
fn the_image_of_a_package_without_a_base_is_what_spack_writes() {
    let Made { manifest, config, .. } = made(None, Some(keys()), None, &Runtime::default());
    let keys: Vec<&str> = config.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["architecture", "os", "rootfs", "config", "spec", "archive_size"]);
    assert_eq!((&config["architecture"], &config["os"]), (&json!("amd64"), &json!("linux")));
    assert_eq!(config["config"], json!({"Env": ["PATH=/bin:/usr/bin"]}));
    assert_eq!(config["rootfs"]["diff_ids"], json!([info(b"library").diff_id, info(b"app").diff_id]));
    assert_eq!(manifest["layers"][1]["digest"], json!(info(b"app").digest));
    let described = manifest["annotations"][DESCRIPTION].as_str().unwrap();
    assert_eq!(described, "app@=1.0 platform=linux os=debian12 target=x86_64_v2");
    assert_eq!(manifest["annotations"].as_object().unwrap().len(), 1);
}

#[test]
fn a_base_keeps_all_that_nobody_asked_to_be_otherwise() {
    for family in [Family::Oci, Family::Docker] {
        let base = base(family, FULL, 2);
        let Made { manifest, config, .. } = made(Some(&base), Some(keys()), None, &Runtime::default());
        assert_eq!(manifest["mediaType"], family.manifest());
        assert_eq!(manifest["config"]["mediaType"], family.config());
        let layers = manifest["layers"].as_array().unwrap();
        assert!(layers.len() == 4 && layers.iter().all(|layer| layer["mediaType"] == family.layer()));
        assert_eq!((&config["architecture"], &config["variant"]), (&json!("arm64"), &json!("v8")));
        assert_eq!(config["created"], "2020-01-01T00:00:00Z");
        assert_eq!(config["author"], "somebody");
        let run = &config["config"];
        assert_eq!(run["Env"], json!(["PATH=/base/bin", "LANG=C"]));
        assert_eq!((&run["Cmd"], &run["Weird"]), (&json!(["/bin/sh"]), &json!([1.0])));
        let history = config["history"].as_array().unwrap();
        assert_eq!(history.len(), 5);
        assert_eq!(history[0], json!({"created_by": "one", "x": 1}));
        assert_eq!(history[4]["created_by"], "strata: app@1.0/bbbbbbb");
        let notes = if family == Family::Oci { &manifest["annotations"] } else { &run["Labels"] };
        assert_eq!(notes[BASE_NAME], "example.org/base:1");
        assert_eq!(notes[BASE_DIGEST], json!(Digest::of(b"base")));
        assert_eq!(manifest.get("annotations").is_none(), family == Family::Docker);
        assert_eq!(run["Labels"]["a"], "b");
        assert_eq!(config["archive_size"], 3);
    }
}

#[test]
fn histories_have_as_many_entries_as_there_are_layers() {
    let with = |history: &str| format!("{},\"history\":{history}}}", &MINIMAL[..MINIMAL.len() - 1]);
    let filled = |config: &Value| {
        let entries = config["history"].as_array().unwrap();
        entries.iter().filter(|entry| entry["empty_layer"] != true).count()
    };
    for (text, is_kept) in [
        (MINIMAL.to_owned(), false),
        (with("[]"), false),
        (with("null"), false),
        (with(r#"[{"created_by":"one"}]"#), false),
        (with(r#"[{},{},{}]"#), false),
        (with(r#"[{"created_by":"a"},{"empty_layer":true},{}]"#), true),
    ] {
        let base = base(Family::Oci, &text, 2);
        let image = made(Some(&base), None, Some(0), &Runtime::default());
        assert_eq!(filled(&image.config), 4, "{text}");
        let package = made(Some(&base), Some(keys()), None, &Runtime::default());
        match is_kept {
            true => assert_eq!(filled(&package.config), 4),
            false => assert!(package.config.get("history").is_none(), "{text}"),
        }
        // Quay refuses configs of Docker's type that have none.
        let base = Base { family: Family::Docker, ..base };
        assert_eq!(filled(&made(Some(&base), Some(keys()), None, &Runtime::default()).config), 4, "{text}");
    }
    let empty = base(Family::Oci, MINIMAL, 0);
    assert_eq!(filled(&made(Some(&empty), None, Some(0), &Runtime::default()).config), 2);
}

#[test]
fn a_container_starts_as_it_was_said() {
    let base = base(Family::Oci, FULL, 2);
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let runtime = Runtime {
        entrypoint: words(&["/x"]),
        env: vec![("LANG".into(), "de".into()), ("NEW".into(), "1".into())],
        labels: BTreeMap::from([("a".into(), "c".into()), ("d".into(), "e".into())]),
        workdir: Some("/w".into()),
        ..Runtime::default()
    };
    let run = made(Some(&base), None, Some(0), &runtime).config["config"].clone();
    assert_eq!(run["Env"], json!(["PATH=/base/bin", "LANG=de", "NEW=1"]));
    assert!(run["Entrypoint"] == json!(["/x"]) && run.get("Cmd").is_none());
    assert_eq!(run["Labels"], json!({"a": "c", "d": "e"}));
    assert!(run["WorkingDir"] == "/w" && run["User"] == "me");
    let runtime = Runtime { cmd: words(&["y"]), ..runtime };
    assert_eq!(made(Some(&base), None, Some(0), &runtime).config["config"]["Cmd"], json!(["y"]));
}

#[test]
fn an_image_on_a_package_is_not_that_package() {
    let text = format!("{},\"spec\":{{}},\"archive_size\":1}}", &MINIMAL[..MINIMAL.len() - 1]);
    let base = base(Family::Oci, &text, 1);
    let config = made(Some(&base), None, Some(0), &Runtime::default()).config;
    assert!(config.get("spec").is_none() && config.get("archive_size").is_none());
    let config = made(Some(&base), Some(keys()), None, &Runtime::default()).config;
    assert_eq!((&config["spec"], &config["archive_size"]), (&json!({"nodes": [1.0]}), &json!(3)));
}

#[test]
fn one_image_is_for_one_architecture() {
    let refused = try_made(None, None, Some(0), &Runtime::default(), "aarch64").err().unwrap().to_string();
    assert!(refused.contains("amd64") && refused.contains("arm64"), "{refused}");
}

#[test]
fn what_is_missing_is_left_out_and_a_full_base_refused() {
    let base = base(Family::Oci, MINIMAL, 124);
    let refused = try_made(Some(&base), Some(keys()), None, &Runtime::default(), "x86_64").err().unwrap();
    assert!(
        matches!(refused, Error::Image(ImageError::NoRoomForLayers { base: 124, wanted: 2, room: 1 })),
        "{refused}"
    );
}
