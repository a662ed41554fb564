//! The commands a user meets first, on the sample store.

use crate::support::{World, text};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden;

fn output(program: &std::path::Path) -> String {
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn push_install_run_and_uninstall() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    std::fs::remove_dir_all(&store.unpadded_root).unwrap();
    let root = world.path("a/new/root");
    let root = text(&root);
    world.ok(["mirror", "add", "sample", &cache]);
    assert_eq!(world.ok(["mirror", "list"]), format!("sample [sb] {cache}\n"));
    world.ok(["--store", root, "install", "hello"]);
    assert_eq!(world.installed(Path::new(root)), ["greet@1.0", "hello@2.1", "runner@0.3"]);
    assert_eq!(world.ok(["--store", root, "find", "--explicit"]), "hello@2.1\n");

    let prefix = world.ok(["--store", root, "location", "-i", "hello"]);
    let prefix = Path::new(prefix.trim());
    assert_eq!(output(&prefix.join("bin/hello")), "hello from a relocated library\n");
    let script = output(&prefix.join("bin/hello-script"));
    assert!(
        script.starts_with("run by runner\n") && script.contains(&format!("prefix = {}", prefix.display()))
    );
    assert!(!script.contains("built"), "{script}");

    let in_use = world.run(["--store", root, "uninstall", "greet"]);
    in_use.fails(1, &["greet@1.0", "is needed by hello@2.1", "hint: uninstall those first"]);
    world.ok(["--store", root, "uninstall", "-y", "hello"]);
    assert!(!prefix.exists());
    assert_eq!(world.installed(Path::new(root)), ["greet@1.0", "runner@0.3"]);
    world.ok(["--store", root, "uninstall", "greet", "runner"]);
    assert!(world.installed(Path::new(root)).is_empty());
    world.ok(["mirror", "remove", "sample"]);
    assert_eq!(world.ok(["mirror", "list"]), "");
}

#[test]
fn installing_again_does_nothing_and_asking_makes_explicit() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    let install = |spec: &str| {
        world.run(["--json", "--store", text(&root), "install", "--mirror", &cache, spec]).json()["result"]
            .clone()
    };
    assert_eq!(install("hello")["installed"].as_array().unwrap().len(), 3);
    let again = install("greet");
    assert_eq!(
        (again["installed"].as_array().unwrap().len(), again["present"].as_array().unwrap().len()),
        (0, 1)
    );
    assert_eq!(world.ok(["--store", text(&root), "find", "-x"]), "greet@1.0\nhello@2.1\n");
}

#[test]
fn a_configuration_that_spack_uses_too() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    world.ok(["mirror", "add", "--unsigned", "ours", &cache]);
    let file = world.path("user-scope/mirrors.yaml");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("signed: false"), "{written}");
    let elsewhere = "  public: https://binaries.example.org/releases\n  gone: oci+file:///no/such/cache\n";
    std::fs::write(&file, format!("{}\n{elsewhere}", written.trim_end())).unwrap();
    let root = world.path("root");
    let flags = ["--cache-only", "--no-check-signature"];
    let ran = world.run([&["--store", text(&root), "install"], &flags[..], &["greet"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for left_out in ["leaving out mirror public: ", "leaving out mirror gone: "] {
        assert!(ran.stderr.contains(left_out), "{}", ran.stderr);
    }
    // A mirror that is named has to be usable, and one has to be left.
    let named = world.run(["--store", text(&root), "install", "-m", "public", "greet"]);
    named.fails(2, &["https://binaries.example.org/releases"]);
    world.ok(["mirror", "remove", "ours"]);
    world
        .run(["--store", text(&root), "install", "hello"])
        .fails(2, &["https://binaries.example.org/releases"]);
}

#[test]
fn specs_are_found_by_name_version_and_hash_with_an_index_or_without() {
    let world = World::new();
    let store = world.sample_store();
    let hash = &store.package("greet").hash;
    for (name, index) in [("with", true), ("without", false)] {
        let cache = world.layout(name);
        let mut arguments = vec!["--store", text(&store.unpadded_root), "buildcache", "push", &cache];
        arguments.extend((!index).then_some("--no-update-index"));
        world.ok(&arguments);
        for (number, spec) in
            ["greet", "greet@1", "greet@=1.0", &format!("/{hash}"), &format!("greet/{}", &hash[..5])]
                .iter()
                .enumerate()
        {
            let root = world.path(&format!("{name}-{number}"));
            world.ok(["--store", text(&root), "install", "-m", &cache, spec]);
            assert_eq!(world.installed(&root), ["greet@1.0"], "{spec} {name} index");
        }
        assert_eq!(world.ok(["buildcache", "list", "-m", &cache]), "greet@1.0\nhello@2.1\nrunner@0.3\n");
    }
}

#[test]
fn what_to_push_can_be_said() {
    let world = World::new();
    let store = world.sample_store();
    let pushed = |arguments: &[&str]| {
        let cache = world.layout(&format!("cache{}", arguments.join("_")));
        let all =
            [&["--json", "--store", text(&store.unpadded_root), "buildcache", "push", &cache], arguments];
        let result = world.run(all.concat()).json()["result"].clone();
        let key =
            if arguments.contains(&"--dry-run") { &result["to_push"] } else { &result["push"]["pushed"] };
        let mut names: Vec<String> =
            key.as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        (names, result, cache)
    };
    assert_eq!(pushed(&[]).0, ["greet", "hello", "runner"], "every explicit spec and its closure");
    assert_eq!(pushed(&["greet"]).0, ["greet"]);
    assert_eq!(pushed(&["hello", "--only", "dependencies"]).0, ["greet", "runner"]);
    let (names, result, _) = pushed(&["hello", "--only", "package"]);
    assert_eq!(names, ["hello"]);
    let missing = &result["push"]["pushed"][0]["missing_layers"];
    assert_eq!(missing.as_array().unwrap().len(), 2, "its image does not run, and that is said: {missing}");
    let (names, _, cache) = pushed(&["hello", "--dry-run"]);
    assert_eq!(names, ["greet", "hello", "runner"]);
    assert!(!std::path::Path::new(cache.strip_prefix("oci+file://").unwrap()).exists());

    // What is recorded and not on disk does not stop the rest.
    std::fs::remove_dir_all(&store.package("runner").prefix).unwrap();
    let ran = world.run(["--store", text(&store.unpadded_root), "buildcache", "push", &world.layout("some")]);
    ran.fails(1, &["error: runner@0.3"]);
    assert!(
        ran.stdout.contains("pushed 2 packages to") && ran.stdout.contains("; 1 failed"),
        "{}",
        ran.stdout
    );
}

#[test]
fn force_pushes_again_and_gives_the_same_bytes() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let push = |force: bool| {
        let mut arguments =
            vec!["--json", "--store", text(&store.unpadded_root), "buildcache", "push", &cache];
        arguments.extend(force.then_some("--force"));
        world.run(&arguments).json()["result"]["push"].clone()
    };
    let index = std::fs::read(world.path("cache/index.json")).unwrap();
    assert_eq!(push(false)["pushed"], json!([]));
    assert_eq!(push(true)["pushed"].as_array().unwrap().len(), 3);
    assert_eq!(std::fs::read(world.path("cache/index.json")).unwrap(), index, "the same digests");
}

#[test]
fn the_index_follows_the_tags() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let update = || world.run(["--json", "buildcache", "update-index", &cache]).json()["result"].clone();
    assert_eq!(update()["written"], false);

    // A tag that looks like a package and is none is reported, and the others stay in the index.
    let repository =
        strata_oci::open_or_create(&cache.parse().unwrap(), &strata_oci::Transport::default(), None).unwrap();
    let config = strata_oci::BlobSource::bytes(b"{}".to_vec());
    let _ = repository.put_blob(&config).unwrap();
    let manifest = strata_oci::Manifest::new(config.descriptor(strata_oci::media_type::OCI_CONFIG), vec![]);
    let bytes = manifest.to_bytes().unwrap();
    let tag = "odd-1.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.spack".parse().unwrap();
    repository.put_manifest(&tag, &manifest.media_type, &bytes).unwrap();
    let updated = update();
    assert_eq!((&updated["packages"], &updated["bad_tags"][0]["tag"]), (&json!(3), &json!(tag.to_string())));

    // A tag that is gone leaves the index.
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.path("cache/index.json")).unwrap()).unwrap();
    let mut without = index.clone();
    let hash = &store.package("hello").hash;
    without["manifests"].as_array_mut().unwrap().retain(|m| !m.to_string().contains(hash.as_str()));
    std::fs::write(world.path("cache/index.json"), without.to_string()).unwrap();
    let updated = update();
    assert_eq!((&updated["packages"], &updated["dropped"]), (&json!(2), &json!(1)));
}

#[test]
fn a_registry_serves_as_well_as_a_layout() {
    let Some(registry) = DockerRegistry::start() else {
        return golden::skipped("a_registry_serves_as_well_as_a_layout", "there is no docker-registry");
    };
    let world = World::new();
    let store = world.sample_store();
    let cache = registry.url("group/sample");
    assert_eq!(world.ok(["buildcache", "list", "-m", &cache]), "", "nothing was pushed yet");
    world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &cache]);
    let root = world.path("root");
    world.ok(["--store", text(&root), "install", "-m", &cache, "hello"]);
    let prefix = world.ok(["--store", text(&root), "location", "-i", "hello"]);
    assert_eq!(
        output(&std::path::Path::new(prefix.trim()).join("bin/hello")),
        "hello from a relocated library\n"
    );

    // skopeo takes it from the registry into a layout, and strata installs from that.
    let tag = format!("hello-2.1-{}.spack", store.package("hello").hash);
    let source = format!("docker://{}:{tag}", cache.strip_prefix("oci+http://").unwrap());
    let copy = world.path("copy");
    let skopeo = Command::new("skopeo")
        .args([
            "copy",
            "--quiet",
            "--src-tls-verify=false",
            &source,
            &format!("oci:{}:{tag}", copy.display()),
        ])
        .output();
    match skopeo {
        Err(_) => golden::skipped("a_registry_serves_as_well_as_a_layout", "there is no skopeo"),
        Ok(skopeo) => {
            assert!(skopeo.status.success(), "{}", String::from_utf8_lossy(&skopeo.stderr));
            let listed = world.ok(["buildcache", "list", "-m", &world.layout("copy")]);
            assert_eq!(listed, "hello@2.1\n");
        }
    }
}

#[test]
fn an_image_of_a_package_names_its_programs_in_path() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let repository =
        strata_oci::open(&cache.parse().unwrap(), &strata_oci::Transport::default(), None).unwrap();
    let hello = store.package("hello");
    let tag = format!("hello-2.1-{}.spack", hello.hash).parse().unwrap();
    let (_, manifest) =
        strata_oci::image_manifest(&*repository, &strata_oci::ManifestRef::Tag(tag)).unwrap().unwrap();
    let config = strata_oci::image_config(&*repository, &manifest).unwrap();
    let path = config.config.env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap();
    let (hello, runner) = (hello.prefix.display(), store.package("runner").prefix.display());
    // What is run comes before what is found by looking at prefixes, and here it is the same: so says Spack.
    let programs = format!("{hello}/bin:{runner}/bin");
    assert_eq!(path, format!("{programs}:{programs}:/bin:/usr/bin"));
}

#[test]
fn json_is_one_envelope_even_when_it_fails() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let ran = world.run(["--json", "--store", text(&world.path("x")), "install", "-m", &cache, "nothing"]);
    let envelope = ran.json();
    assert_eq!(ran.code, Some(3));
    assert_eq!(
        (&envelope["schema"], &envelope["ok"], &envelope["command"]),
        (&json!(1), &json!(false), &json!("install"))
    );
    assert_eq!(envelope["errors"][0]["kind"], "not-found");
    let found = world.run(["--json", "buildcache", "list", "-m", &cache]).json();
    assert_eq!((&found["ok"], &found["errors"]), (&json!(true), &json!([])));
}

#[test]
fn an_empty_default_store_lists_nothing() {
    let world = World::new();
    assert_eq!(world.ok(["find"]), "");
    assert_eq!(world.run(["--json", "find"]).json()["result"]["specs"], json!([]));
}

#[test]
fn a_command_line_that_is_not_understood_has_an_envelope_too() {
    let world = World::new();
    let ran = world.run(["--json", "instal", "hello"]);
    ran.fails(2, &["instal"]);
    let envelope = ran.json();
    assert_eq!((&envelope["schema"], &envelope["ok"]), (&json!(1), &json!(false)));
    assert_eq!(envelope["errors"][0]["kind"], "usage");
    assert!(envelope["errors"][0]["message"].as_str().unwrap().contains("instal"));
    assert_eq!(world.run(["--json", "--help"]).code, Some(0));
}

#[test]
fn a_tilde_that_no_shell_expanded_is_the_home_directory() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    world.ok(["--store=~/store", "install", "-m", &cache, "greet"]);
    assert!(world.path("home/store/.spack-db").is_dir());
}

#[test]
fn a_package_whose_prefix_vanished_is_put_back_as_explicit_as_it_was() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    let root = world.path("root");
    let install = |spec: &str| world.ok(["--store", text(&root), "install", "-m", &cache, spec]);
    install("greet");
    let prefix = world.ok(["--store", text(&root), "location", "greet"]);
    std::fs::remove_dir_all(prefix.trim()).unwrap();
    install("hello");
    assert!(std::path::Path::new(prefix.trim()).is_dir());
    assert_eq!(world.ok(["--store", text(&root), "find", "-x"]), "greet@1.0\nhello@2.1\n");
}

#[test]
fn many_processes_install_overlapping_sets_at_once() {
    let world = World::new();
    let (_, cache) = world.sample_cache();
    for round in 0..3 {
        let root = world.path(&format!("root-{round}"));
        let sets: [&[&str]; 6] =
            [&["hello"], &["greet"], &["runner", "greet"], &["hello"], &["greet", "hello"], &["runner"]];
        let children: Vec<_> = sets
            .iter()
            .map(|specs| {
                let mut command = world.command();
                command.args(["--store", text(&root), "install", "-j", "2", "-m", &cache]).args(*specs);
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        let mut installed = 0;
        for child in children {
            let ran = crate::support::Ran::from(child.wait_with_output().unwrap());
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            installed += ran.stderr.matches("installed ").count();
        }
        assert_eq!(installed, 3, "each package is installed by one process");
        // All three were asked for, be it by whoever was faster or by another.
        let explicit = world.run(["--json", "--store", text(&root), "find", "-x"]).json();
        let specs = explicit["result"]["specs"].as_array().unwrap().clone();
        let names: Vec<&str> = specs.iter().map(|spec| spec["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["greet", "hello", "runner"]);
        for spec in &specs {
            assert!(
                std::path::Path::new(spec["prefix"].as_str().unwrap()).join(".spack/spec.json").is_file()
            );
        }
        let left = crate::support::tree(&root.join(".spack-db"));
        assert!(!left.iter().any(|path| path.starts_with("strata-stage")), "{left:?}");
    }
}

#[test]
fn a_copied_store_does_not_lose_records_of_what_lies_elsewhere() {
    let world = World::new();
    let store = world.sample_store();
    let copy = world.path("copy/.spack-db");
    std::fs::create_dir_all(&copy).unwrap();
    let index = std::fs::read(store.root.join(".spack-db/index.json")).unwrap();
    std::fs::write(copy.join("index.json"), &index).unwrap();
    let copy = world.path("copy");
    world.run(["--store", text(&copy), "uninstall", "hello"]).fails(1, &["outside the store", text(&copy)]);
    assert_eq!(std::fs::read(copy.join(".spack-db/index.json")).unwrap(), index);
    assert!(store.package("hello").prefix.is_dir());
}
