//! Real packages: an image without a base, python on a Debian, and python and vim in one image.

use crate::registries::{Registry, engines, made};
use crate::support::{World, text};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_oci::media_type::Family;
use strata_testkit::base_image::BaseImage;
use strata_testkit::engine::EngineImage;
use strata_testkit::golden;

/// What python was built with, all of it from other packages' libraries.
const IMPORTS: &str =
    "import ssl, ctypes, lzma, bz2, zlib, hashlib, uuid, readline; print(ssl.OPENSSL_VERSION)";

const BOTH: &str = "python3 -V; vim --version | head -n 1; command -v python3; command -v vim";

/// A store that has zlib, python and vim on disk.
struct Golden {
    store: PathBuf,
    installed: Vec<Value>,
}

impl Golden {
    fn find(world: &World, test: &str) -> Option<Self> {
        let found = golden::stores().into_iter().find_map(|store| {
            let installed = world.run(["--json", "--store", text(&store), "find"]).json();
            let golden = Self { store, installed: installed["result"]["specs"].as_array().unwrap().clone() };
            let has = |name: &&str| golden.package(name).is_some();
            (["zlib", "python", "vim"].iter().filter(|name| has(name)).count() == 3).then_some(golden)
        });
        if found.is_none() {
            golden::skipped(test, "STRATA_STORES has no store with zlib, python and vim");
        }
        found
    }

    fn package(&self, name: &str) -> Option<&Value> {
        self.installed.iter().find(|package| {
            package["name"] == name && Path::new(package["prefix"].as_str().unwrap()).is_dir()
        })
    }

    fn text(&self, name: &str, key: &str) -> &str {
        self.package(name).unwrap()[key].as_str().unwrap()
    }

    /// The tag of a package.
    fn tag(&self, name: &str) -> String {
        let part = |key| self.text(name, key);
        format!("{name}-{}-{}.spack", part("version"), part("hash"))
    }

    fn push(&self, world: &World, url: &str, options: &[&str], specs: &[&str]) -> Value {
        let fixed = ["--json", "--store", text(&self.store), "buildcache", "push"];
        let words = fixed.iter().chain(options).chain([&url]).chain(specs);
        let ran = world.run(words);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran.json()
    }
}

#[test]
fn an_image_without_a_base_has_files_and_nothing_to_run_them_with() {
    const TEST: &str = "an_image_without_a_base_has_files_and_nothing_to_run_them_with";
    let world = World::new();
    let (Some(golden), Some(engines)) = (Golden::find(&world, TEST), engines(TEST)) else { return };
    for registry in Registry::all(&world, TEST) {
        golden.push(&world, &registry.url("cache"), &[], &["zlib"]);
        for engine in &engines {
            let image = format!("{}/cache:{}", registry.host(), golden.tag("zlib"));
            let image = engine.pull(&image).unwrap_or_else(|error| panic!("{registry}, {engine}: {error}"));
            let ran = image.run(&["bash"]);
            assert_eq!(ran.code, Some(127), "{registry}, {engine}: {ran:?}");
            // Each engine says it in its own words.
            let words = ["executable file not found in $PATH", "executable file `bash` not found"];
            assert!(words.iter().any(|words| ran.stderr.contains(words)), "{registry}, {engine}: {ran:?}");
        }
    }
}

#[test]
fn python_and_vim_run_on_a_debian() {
    const TEST: &str = "python_and_vim_run_on_a_debian";
    let world = World::new();
    let (Some(golden), Some(engines)) = (Golden::find(&world, TEST), engines(TEST)) else { return };
    let Some(base) = made(TEST, BaseImage::debian()) else { return };
    for registry in Registry::all(&world, TEST) {
        let repository = registry.open("base");
        for (tag, family) in [("oci", Family::Oci), ("docker", Family::Docker)] {
            base.push(&*repository, tag, family).unwrap();
            // Packages that the cache has without a base are not packed again for one.
            let cache = format!("cache/{tag}");
            golden.push(&world, &registry.url(&cache), &[], &["python"]);
            let base = format!("{}:{tag}", registry.url("base"));
            let on_base = ["--force", "--base-image", &base];
            golden.push(&world, &registry.url(&cache), &on_base, &["python"]);
            let options = ["--base-image", &base, "--tag", "py-and-vim"];
            golden.push(&world, &registry.url(&cache), &options, &["python", "vim"]);
            if let Some(raw) = registry.skopeo(&["--raw"], &format!("{cache}:py-and-vim")) {
                assert_eq!(raw["mediaType"], family.manifest());
                let layers = raw["layers"].as_array().unwrap();
                assert!(layers.iter().all(|layer| layer["mediaType"] == family.layer()), "{raw}");
            }
        }
        for engine in &engines {
            // Kept until the last is pulled: layers are the same, and each comes out of each registry once.
            let mut images = Vec::new();
            for cache in ["cache/oci", "cache/docker"] {
                let context = format!("{registry}, {engine}, {cache}");
                let pull = |tag: &str| {
                    let image = engine.pull(&format!("{}/{cache}:{tag}", registry.host()));
                    image.unwrap_or_else(|error| panic!("{context}: {error}"))
                };
                let (python, both) = (pull(&golden.tag("python")), pull("py-and-vim"));
                python_runs(&golden, &python, &context);
                both_run(&golden, &both, &context);
                images.extend([python, both]);
            }
        }
        installs(&world, &registry, "cache/oci");
    }
}

fn python_runs(golden: &Golden, image: &EngineImage<'_>, context: &str) {
    let ran = image.run(&["python3", "-c", IMPORTS]);
    let version = golden.text("openssl", "version");
    assert!(ran.ok().starts_with(&format!("OpenSSL {version} ")), "{context}: {ran:?}");
}

fn both_run(golden: &Golden, image: &EngineImage<'_>, context: &str) {
    let ran = image.run(&["sh", "-c", BOTH]);
    let lines: Vec<&str> = ran.ok().lines().collect();
    let [python, vim, python_at, vim_at] = lines[..] else { panic!("{context}: {ran:?}") };
    assert_eq!(python, format!("Python {}", golden.text("python", "version")), "{context}");
    assert!(vim.starts_with("VIM - Vi IMproved "), "{context}: {vim}");
    assert_eq!(python_at, format!("{}/bin/python3", golden.text("python", "prefix")), "{context}");
    assert_eq!(vim_at, format!("{}/bin/vim", golden.text("vim", "prefix")), "{context}");
}

/// Packages are packages, whatever images they are in.
fn installs(world: &World, registry: &Registry, cache: &str) {
    let root = world.path(&format!("root-{}-{}", registry.host(), cache.replace('/', "-")));
    world.ok(["--store", text(&root), "install", "--mirror", &registry.url(cache), "python", "vim"]);
    let installed = world.run(["--json", "--store", text(&root), "find"]).json();
    let specs = installed["result"]["specs"].as_array().unwrap();
    let prefix = |name: &str| specs.iter().find(|spec| spec["name"] == name).unwrap()["prefix"].clone();
    let python = Path::new(prefix("python").as_str().unwrap()).join("bin/python3");
    let ran = Command::new(python).args(["-c", IMPORTS]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
