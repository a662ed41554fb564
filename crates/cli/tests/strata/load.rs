//! `load`, `unload` and `env activate`: what they say and refuse, and what a package keeps of its config.

use crate::shells::evaluated;
use crate::support::{World, exit_code, install, text};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use strata_oci::{
    BlobSource, ManifestRef, RepositoryUrl, Transport, image_config, image_manifest, media_type,
};

type Variables = BTreeMap<String, String>;

fn path_alone() -> Variables {
    Variables::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())])
}

fn prefix(world: &World, root: &Path, name: &str) -> String {
    world.ok(["--store", text(root), "location", name]).trim_end().to_owned()
}

/// Puts variables into the config of a package in a layout, as a recipe would have them set for the builder's prefixes.
fn set_in_config(cache: &Path, tag: &str, change: impl Fn(&mut Vec<String>)) {
    let url = RepositoryUrl::from_directory(cache).unwrap();
    let repository = strata_oci::open(&url, &Transport::default(), None).unwrap();
    let tag: strata_oci::TagName = tag.parse().unwrap();
    let (_, mut manifest) = image_manifest(&*repository, &ManifestRef::Tag(tag.clone())).unwrap().unwrap();
    let mut config = image_config(&*repository, &manifest).unwrap();
    change(&mut config.config.env);
    let source = BlobSource::bytes(config.to_bytes().unwrap());
    let _ = repository.put_blob(&source).unwrap();
    manifest.config = source.descriptor(media_type::OCI_CONFIG);
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
}

fn kept(root: &Path) -> Vec<PathBuf> {
    let store = strata_store::StoreRoot::open(root).unwrap();
    let directory = store.database_directory().join("strata-environment");
    std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn what_recipes_set_is_kept_when_a_package_is_installed_and_names_its_new_place() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let hello = store.package("hello");
    let (old, greet) = (text(&hello.prefix).to_owned(), text(&store.package("greet").prefix).to_owned());
    let tag = format!("hello-2.1-{}.spack", hello.hash);
    set_in_config(&world.path("cache"), &tag, |env| {
        env.push(format!("HELLO_HOME={old}/share"));
        env.push(format!("HELLO_FLAGS=--greet={greet} -R {old}/lib"));
        env.push(format!("HELLO_PATH={old}/a:{greet}/b"));
        let path = env.iter_mut().find(|entry| entry.starts_with("PATH=")).unwrap();
        *path = path.replacen("PATH=", &format!("PATH={old}/tools:"), 1);
    });
    let root = world.path("store");
    assert_eq!(install(&world, &root, &cache, "hello").code, Some(0));
    assert!(kept(&root).len() >= 3, "{:?}", kept(&root));

    let ran = world.run(["--store", text(&root), "load", "hello"]);
    assert!(ran.code == Some(0) && ran.stderr.is_empty(), "nobody else has to be asked: {}", ran.stderr);
    let (new, greet) = (prefix(&world, &root, "hello"), prefix(&world, &root, "greet"));
    let before = path_alone();
    let after = evaluated(&world, "sh", &before, &["--store", text(&root), "load", "hello"]).unwrap();
    assert_eq!(after["HELLO_HOME"], format!("{new}/share"));
    assert_eq!(after["HELLO_FLAGS"], format!("--greet={greet} -R {new}/lib"));
    assert_eq!(after["HELLO_PATH"], format!("{new}/a:{greet}/b"));
    assert!(after["PATH"].starts_with(&format!("{new}/tools:{new}/bin:")), "{}", after["PATH"]);
    assert!(after["PATH"].ends_with(":/usr/bin:/bin") && !after["PATH"].contains("/bin:/usr/bin:/usr/bin"));
    assert_eq!(after["SPACK_LOADED_HASHES"], hello.hash);
    for name in ["bash", "zsh", "tcsh", "csh", "fish"] {
        let other = evaluated(&world, name, &before, &["--store", text(&root), "load", "hello"]);
        assert!(other.is_none_or(|other| other == after), "{name}");
    }
    let again = evaluated(&world, "sh", &after, &["--store", text(&root), "load", "hello"]).unwrap();
    assert_eq!(again, after);
    let restored = evaluated(&world, "sh", &after, &["--store", text(&root), "unload", "hello"]).unwrap();
    assert_eq!(restored, before);

    world.ok(["--store", text(&root), "uninstall", "hello"]);
    assert!(!kept(&root).iter().any(|file| text(file).contains(&hello.hash)), "{:?}", kept(&root));
}

#[test]
fn variables_of_a_base_image_are_not_a_packages() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let hello = store.package("hello");
    let old = text(&hello.prefix).to_owned();
    let tag = format!("hello-2.1-{}.spack", hello.hash);
    set_in_config(&world.path("cache"), &tag, |env| {
        env.extend(["LANG=C.UTF-8".to_owned(), format!("HELLO_HOME={old}")]);
        let path = env.iter_mut().find(|entry| entry.starts_with("PATH=")).unwrap();
        path.push_str(":/base/bin");
    });
    let url = RepositoryUrl::from_directory(world.path("cache")).unwrap();
    let repository = strata_oci::open(&url, &Transport::default(), None).unwrap();
    let tag: strata_oci::TagName = tag.parse().unwrap();
    let (_, mut manifest) = image_manifest(&*repository, &ManifestRef::Tag(tag.clone())).unwrap().unwrap();
    manifest.annotations.insert("org.opencontainers.image.base.name".to_owned(), "debian:12".into());
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();

    let root = world.path("store");
    assert_eq!(install(&world, &root, &cache, "hello").code, Some(0));
    let after = evaluated(&world, "sh", &path_alone(), &["--store", text(&root), "load", "hello"]).unwrap();
    assert_eq!(after["HELLO_HOME"], prefix(&world, &root, "hello"));
    assert!(!after.contains_key("LANG") && !after["PATH"].contains("/base/bin"), "{after:?}");
}

#[test]
fn one_of_two_is_unloaded_and_the_other_keeps_what_it_needs() {
    let world = World::new();
    let store = world.sample_store();
    let root = text(&store.unpadded_root);
    let load = |before: &Variables, arguments: &[&str]| {
        let all: Vec<&str> = ["--store", root].iter().chain(arguments).copied().collect();
        evaluated(&world, "sh", before, &all).unwrap()
    };
    let before = path_alone();
    let hello = load(&before, &["load", "hello"]);
    let greet = load(&before, &["load", "greet"]);
    for both in [load(&before, &["load", "hello", "greet"]), load(&hello, &["load", "greet"])] {
        assert_eq!(load(&both, &["unload", "hello"])["SPACK_LOADED_HASHES"], greet["SPACK_LOADED_HASHES"]);
        for entry in greet["CMAKE_PREFIX_PATH"].split(':') {
            assert!(load(&both, &["unload", "hello"])["CMAKE_PREFIX_PATH"].contains(entry));
        }
        assert_eq!(load(&load(&both, &["unload", "hello"]), &["unload", "greet"]), before);
        assert_eq!(load(&load(&both, &["unload", "greet"]), &["unload", "--all"]), before);
        assert_eq!(load(&both, &["unload"]), before);
    }
    // A shell that lost its PATH, but not what it believes.
    let mut lost = hello.clone();
    lost.insert("PATH".to_owned(), "/usr/bin:/bin".to_owned());
    assert_eq!(load(&lost, &["load", "hello"]), hello);

    let mut listed = world.command();
    listed.args(["--store", root, "load", "--list"]).envs(&hello);
    assert_eq!(String::from_utf8(listed.output().unwrap().stdout).unwrap(), "hello@2.1\n");
}

#[test]
fn programs_get_the_variables_themselves() {
    let world = World::new();
    let store = world.sample_store();
    let ran = world.run(["--json", "--store", text(&store.unpadded_root), "load", "hello"]).json();
    assert_eq!(ran["result"]["loaded"][0]["name"], "hello");
    assert_eq!(ran["result"]["variables"]["SPACK_LOADED_HASHES"], store.package("hello").hash.as_str());
    assert!(ran["result"]["variables"]["HOME"].is_null() && ran["result"]["variables"].get("HOME").is_none());
}

#[test]
fn what_cannot_be_done_is_said_and_nothing_is_printed() {
    let world = World::new();
    let store = world.sample_store();
    let root = text(&store.unpadded_root);
    let missing = world.run(["--store", root, "load", "nothing"]);
    missing.fails(exit_code::NOT_FOUND, &["nothing"]);
    assert_eq!(missing.stdout, "");
    world.run(["--store", root, "unload", "hello"]).fails(exit_code::NOT_FOUND, &["hello", "what is loaded"]);
    world.run(["--store", root, "load"]).fails(exit_code::USAGE, &["SPECS"]);
    world.run(["--store", root, "load", "--sh", "--csh", "hello"]).fails(exit_code::USAGE, &["--csh"]);
    world.run(["env", "deactivate"]).fails(exit_code::USAGE, &["no environment is active"]);
    world.run(["env", "activate", "nowhere"]).fails(exit_code::USAGE, &["nowhere"]);
    world.run(["-e", "x", "env", "activate", "y"]).fails(exit_code::USAGE, &["-e"]);
    let mut odd = world.command();
    odd.args(["--store", root, "load", "hello"])
        .env("CMAKE_PREFIX_PATH", std::ffi::OsStr::from_bytes(b"/\xff"));
    let odd = odd.output().unwrap();
    assert_eq!(odd.status.code(), Some(exit_code::USAGE));
    assert!(odd.stdout.is_empty() && String::from_utf8_lossy(&odd.stderr).contains("CMAKE_PREFIX_PATH"));
}

#[test]
fn an_environment_is_made_on_the_way_and_one_that_is_gone_can_be_left() {
    let world = World::new();
    let before = path_alone();
    let default = evaluated(&world, "sh", &before, &["env", "activate"]).unwrap();
    assert!(default["SPACK_ENV"].ends_with("/default"), "{default:?}");
    let other = world.path("new");
    let entered =
        evaluated(&world, "sh", &default, &["env", "activate", "--create", "-d", text(&other)]).unwrap();
    assert_eq!(entered["SPACK_ENV"], text(&other));
    assert_eq!(entered["SPACK_ENV_VIEW"], "default");
    assert!(entered["PATH"].starts_with(&format!("{}/.spack-env/view/bin:", text(&other))));
    assert!(!entered["PATH"].contains("default/"), "the former one was left: {}", entered["PATH"]);
    assert_eq!(evaluated(&world, "sh", &entered, &["env", "deactivate"]).unwrap(), before);
    std::fs::remove_dir_all(&other).unwrap();
    let left = evaluated(&world, "sh", &entered, &["env", "deactivate"]).unwrap();
    assert!(!left.contains_key("SPACK_ENV") && !left.contains_key("SPACK_ENV_VIEW"));
    let temporary = evaluated(&world, "sh", &before, &["env", "activate", "--temp", "-V"]).unwrap();
    assert!(!temporary.contains_key("SPACK_ENV_VIEW"));
    std::fs::remove_dir_all(&temporary["SPACK_ENV"]).unwrap();
    world
        .run(["env", "activate", "--with-view", "none", "default"])
        .fails(exit_code::USAGE, &["no view `none`"]);
}
