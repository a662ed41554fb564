//! `concretize`, `add` and `remove`: environments made concrete from caches.

use crate::support::{Ran, World, exit_code, text};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use strata_oci::{BlobSource, Descriptor, Digest, Manifest, RepositoryUrl, media_type};

/// A package of an index that nobody ever built; its hash is made of its name and version.
fn package(name: &str, version: &str, needs: &[&Value]) -> Value {
    let letters = |text: &str| text.replace('.', "").replace(|c: char| c.is_ascii_digit(), "b");
    let number: String = version.chars().filter(|c| ('2'..='7').contains(c)).collect();
    let hash = format!("{:a<32}", format!("{}{}{number}", letters(version), letters(name)));
    let edge = |node: &&Value| json!({"name": node["name"], "hash": node["hash"], "parameters": {"deptypes": ["link"], "virtuals": []}});
    json!({
        "name": name, "version": version,
        "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64_v2"},
        "namespace": "builtin", "parameters": {"build_system": "generic"},
        "package_hash": "zu5yh4h3yjrbagzxmkqoxbwdebvyxypz4q2q6hmy3hnhqdqmfdaa====",
        "unknown key": [1.50, "ü"],
        "dependencies": needs.iter().map(edge).collect::<Vec<_>>(),
        "annotations": {"original_specfile_version": 5}, "hash": hash,
    })
}

/// `left` and `right` in two versions each, whose newest ones need different packages of `shared`; and `third`.
fn packages() -> Vec<Value> {
    let (one, two) = (package("shared", "1.3", &[]), package("shared", "2.4", &[]));
    let left = [package("left", "1.3", &[&one]), package("left", "2.4", &[&two])];
    let right = [package("right", "1.3", &[&two]), package("right", "2.4", &[&one])];
    let third = package("third", "1.3", &[&one]);
    let [left1, left2] = left;
    let [right1, right2] = right;
    vec![one, two, left1, left2, right1, right2, third]
}

/// A layout with nothing but an index of these packages.
fn cache(world: &World, name: &str, packages: &[Value]) -> String {
    let record = |node: &Value| {
        (
            node["hash"].as_str().unwrap().to_owned(),
            json!({"spec": node, "ref_count": 0, "in_buildcache": true}),
        )
    };
    let installs: serde_json::Map<String, Value> = packages.iter().map(record).collect();
    let index = json!({"database": {"version": "8", "installs": installs}}).to_string().into_bytes();
    let url = RepositoryUrl::from_directory(world.path(name)).unwrap();
    let repository = strata_oci::open_or_create(&url, &strata_oci::Transport::default(), None).unwrap();
    let layer = Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(&index), index.len() as u64);
    let config = BlobSource::bytes(b"{}".to_vec());
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), vec![layer]);
    let _ = repository.put_blob(&BlobSource::bytes(index)).unwrap();
    let _ = repository.put_blob(&config).unwrap();
    let tag = "index.spack".parse().unwrap();
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
    world.layout(name)
}

/// An environment in a world, and a cache to make it concrete from.
struct Place {
    world: World,
    directory: PathBuf,
    cache: String,
}

impl Place {
    fn new(manifest: &str) -> Self {
        let world = World::new();
        let cache = cache(&world, "cache", &packages());
        let directory = world.path("env");
        fs::create_dir(&directory).unwrap();
        let place = Self { world, directory, cache };
        place.want(manifest);
        place
    }

    fn want(&self, manifest: &str) {
        fs::write(self.directory.join("spack.yaml"), manifest).unwrap();
    }

    fn manifest(&self) -> String {
        fs::read_to_string(self.directory.join("spack.yaml")).unwrap()
    }

    fn lock_file(&self) -> PathBuf {
        self.directory.join("spack.lock")
    }

    fn lock(&self) -> Value {
        serde_json::from_slice(&fs::read(self.lock_file()).unwrap()).unwrap()
    }

    /// What the lockfile says that each root became, `SPEC=VERSION`.
    fn roots(&self) -> Vec<String> {
        let lock = self.lock();
        let root = |root: &Value| {
            let node = &lock["concrete_specs"][root["hash"].as_str().unwrap()];
            format!("{}={}", root["spec"].as_str().unwrap(), node["version"].as_str().unwrap())
        };
        lock["roots"].as_array().unwrap().iter().map(root).collect()
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let store = self.world.path("store");
        let all = [&["--store", text(&store), "-e", text(&self.directory)], arguments].concat();
        self.world.run(all)
    }

    fn concretize(&self, arguments: &[&str]) -> Ran {
        self.run(&[&["concretize", "--no-host-check", "-m", &self.cache], arguments].concat())
    }

    #[track_caller]
    fn ok(&self, ran: &Ran) {
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    }
}

fn environment(specs: &str, unify: &str) -> String {
    format!("spack:\n  specs: [{specs}]\n  concretizer:\n    unify: {unify}\n")
}

#[test]
fn what_is_concrete_stays_and_what_is_new_goes_with_it() {
    let place = Place::new(&environment("left, third", "true"));
    let first = place.concretize(&[]);
    place.ok(&first);
    assert!(first.stdout.contains("made 2 specs concrete"), "{}", first.stdout);
    assert_eq!(place.roots(), ["left=1.3", "third=1.3"], "they share one package");
    let lock = place.lock();
    assert_eq!(
        lock["_meta"],
        json!({"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5})
    );
    assert_eq!(lock["concrete_specs"].as_object().unwrap().len(), 3, "the shared one is there once");
    let bytes = fs::read(place.lock_file()).unwrap();
    assert!(
        String::from_utf8_lossy(&bytes).contains("\"unknown key\":[1.5,\"\\u00fc\"]"),
        "as Python writes it"
    );

    let again = place.concretize(&["-m", "oci+http://127.0.0.1:1/nobody"]);
    place.ok(&again);
    assert!(again.stdout.contains("nothing to do: 2 specs"), "{}", again.stdout);
    assert_eq!(fs::read(place.lock_file()).unwrap(), bytes);

    // `left@2.4` alone would be better; the one that is there stays.
    place.want(&environment("left, right, third", "true"));
    place.ok(&place.concretize(&[]));
    assert_eq!(place.roots(), ["left=1.3", "third=1.3", "right=2.4"]);
    // What nobody wants any more goes, and nobody is asked for it.
    place.want(&environment("right", "true"));
    let dropped = place.run(&["--json", "concretize", "-m", "oci+http://127.0.0.1:1/nobody"]);
    place.ok(&dropped);
    assert_eq!(dropped.json()["result"]["dropped"], json!(["left", "third"]));
    assert_eq!(
        (place.roots(), place.lock()["concrete_specs"].as_object().unwrap().len()),
        (vec!["right=2.4".to_owned()], 2)
    );
    place.want(&environment("", "true"));
    place.ok(&place.concretize(&[]));
    assert!(!place.lock_file().exists(), "without specs there is no lockfile");
}

#[test]
fn unify_says_whether_specs_share_packages() {
    let place = Place::new(&environment("left@2, third, right@2", "when_possible"));
    place.ok(&place.concretize(&[]));
    assert_eq!(place.roots(), ["left@2=2.4", "third=1.3", "right@2=2.4"]);
    place.want(&environment("left, right", "false"));
    place.ok(&place.concretize(&[]));
    assert_eq!(place.roots(), ["left=2.4", "right=2.4"]);

    let conflict = Place::new(&environment("left@2, third", "true"));
    let refused = conflict.concretize(&[]);
    refused.fails(
        exit_code::USAGE,
        &["`left@2` and `third`", "shared@2.4", "shared@1.3", "unify:when_possible"],
    );
    assert!(!conflict.lock_file().exists());
    // What is concrete stands in the way of what is new, and --force takes it away.
    conflict.want(&environment("left", "true"));
    conflict.ok(&conflict.concretize(&[]));
    assert_eq!(conflict.roots(), ["left=2.4"]);
    conflict.want(&environment("left, third", "true"));
    let before = fs::read(conflict.lock_file()).unwrap();
    conflict.concretize(&[]).fails(exit_code::USAGE, &["concretize --force"]);
    assert_eq!(fs::read(conflict.lock_file()).unwrap(), before);
    conflict.ok(&conflict.concretize(&["--force"]));
    assert_eq!(conflict.roots(), ["left=1.3", "third=1.3"]);
    conflict.want(&environment("left", "sometimes"));
    conflict.concretize(&[]).fails(exit_code::USAGE, &["spack.yaml:4:12"]);
}

#[test]
fn every_spec_without_a_binary_is_named_and_nothing_is_written() {
    let place = Place::new(&environment("left@7, third, nothing, 'right@8:'", "true"));
    let missed = place.run(&["--json", "concretize", "--no-host-check", "-m", &place.cache]);
    assert_eq!(missed.code, Some(exit_code::NOT_FOUND), "{}", missed.stderr);
    let errors = missed.json()["errors"].as_array().unwrap().clone();
    let messages: Vec<&str> = errors.iter().map(|error| error["message"].as_str().unwrap()).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(
        messages[0].contains("left@7") && messages[0].contains("version 2.4, asked for @7"),
        "{}",
        messages[0]
    );
    assert!(messages[1].contains("nothing") && messages[2].contains("right@8:"), "{messages:?}");
    assert!(!place.lock_file().exists());
    place.want(&environment("left@7", "true"));
    place.concretize(&[]).fails(exit_code::NOT_FOUND, &["no spec matches `left@7`", "hint: "]);
}

#[test]
fn a_cache_that_cannot_be_reached_is_no_cache_without_binaries() {
    let place = Place::new(&environment("left", "true"));
    place.ok(&place.concretize(&[]));
    let before = fs::read(place.lock_file()).unwrap();
    place.want(&environment("left, third", "true"));
    let nobody = "oci+http://127.0.0.1:1/nobody";
    place.run(&["concretize", "-m", nobody]).fails(exit_code::UNREACHABLE, &["127.0.0.1:1"]);
    place.want(&environment("left, nothing", "true"));
    place.concretize(&["-m", nobody]).fails(exit_code::UNREACHABLE, &["nothing", nobody]);
    assert_eq!(fs::read(place.lock_file()).unwrap(), before);
}

#[test]
fn matrices_and_definitions_are_made_concrete() {
    let place = Place::new(
        "spack:\n  definitions:\n  - sides: [left, right]\n  specs:\n  - matrix:\n    - [$sides]\n    - ['@1', '@2']\n    \
         exclude: [right@2]\n  concretizer: {unify: false}\n",
    );
    place.ok(&place.concretize(&[]));
    assert_eq!(place.roots(), ["left@1=1.3", "left@2=2.4", "right@1=1.3"]);
}

#[test]
fn environments_that_are_included_come_along() {
    let place = Place::new(&environment("left@1", "true"));
    place.ok(&place.concretize(&[]));
    let outer = place.world.path("outer");
    fs::create_dir(&outer).unwrap();
    let manifest = format!("spack:\n  include_concrete: [{}]\n  specs: [right]\n", text(&place.directory));
    fs::write(outer.join("spack.yaml"), manifest).unwrap();
    let run = || {
        let store = place.world.path("store");
        place.world.run([
            "--store",
            text(&store),
            "-e",
            text(&outer),
            "concretize",
            "--no-host-check",
            "-m",
            &place.cache,
        ])
    };
    place.ok(&run());
    let lock: Value = serde_json::from_slice(&fs::read(outer.join("spack.lock")).unwrap()).unwrap();
    assert_eq!(lock["roots"][0]["spec"], "right");
    let included = &lock["include_concrete"][text(&place.directory)];
    assert_eq!(included["roots"], place.lock()["roots"]);
    assert_eq!(included["concrete_specs"], place.lock()["concrete_specs"]);
    // Unified with what is included: the newest right needs what left has.
    let hash = lock["roots"][0]["hash"].as_str().unwrap();
    assert_eq!(lock["concrete_specs"][hash]["version"], "2.4");
    fs::remove_file(place.lock_file()).unwrap();
    run().fails(exit_code::USAGE, &["has no spack.lock", text(&place.directory), "concretize"]);
}

#[test]
fn specs_are_added_once_and_removed_as_they_are_written() {
    let place = Place::new(
        "spack:\n  definitions:\n  - more: [third]\n  specs:\n  - left   # the first\n  - $more\n",
    );
    let added = place.run(&["add", "right@1:", "left"]);
    place.ok(&added);
    assert!(
        added.stdout.contains("added right@1: to") && added.stdout.contains("left is in"),
        "{}",
        added.stdout
    );
    assert_eq!(
        place.manifest(),
        "spack:\n  definitions:\n  - more: [third]\n  specs:\n  - left   # the first\n  - $more\n  - 'right@1:'\n"
    );
    place.ok(&place.run(&["add", "-l", "more", "shared"]));
    assert!(place.manifest().contains("more: [third, shared]"), "{}", place.manifest());
    place.run(&["add", "-l", "less", "shared"]).fails(exit_code::USAGE, &["less"]);
    place.run(&["add", "left@"]).fails(exit_code::USAGE, &["left@"]);
    place.run(&["add", "+shared"]).fails(exit_code::USAGE, &["names no package"]);

    let stuck = place.run(&["remove", "third"]);
    assert!(stuck.stderr.contains("cannot be removed"), "{}", stuck.stderr);
    place.run(&["remove", "left@9"]).fails(exit_code::USAGE, &["no spec `left@9`"]);
    place.ok(&place.concretize(&[]));
    place.ok(&place.run(&["remove", "right"]));
    assert!(!place.manifest().contains("right"), "{}", place.manifest());
    assert!(
        place.roots().iter().any(|root| root.starts_with("right")),
        "the lockfile is for concretize to change"
    );
    place.ok(&place.run(&["remove", "-f", "left"]));
    assert!(
        !place.roots().iter().any(|root| root.starts_with("left") || root.starts_with("right")),
        "{:?}",
        place.roots()
    );
    place.ok(&place.run(&["remove", "-l", "more", "third"]));
    assert!(place.manifest().contains("more: [shared]"), "{}", place.manifest());
    place.ok(&place.run(&["remove", "--all"]));
    assert!(!place.lock_file().exists());
    place.ok(&place.run(&["concretize"]));
}

#[test]
fn a_lockfile_that_is_not_understood_is_left_alone() {
    let place = Place::new(&environment("left", "true"));
    let newer = r#"{"_meta":{"file-type":"spack-lockfile","lockfile-version":99,"specfile-version":9},"roots":[],"concrete_specs":{}}"#;
    fs::write(place.lock_file(), newer).unwrap();
    for arguments in
        [&["concretize"][..], &["concretize", "--force"], &["remove", "--all"], &["add", "third"]]
    {
        place.run(arguments).fails(exit_code::CORRUPT, &["spack.lock", "version 99", "newer"]);
    }
    assert_eq!(fs::read_to_string(place.lock_file()).unwrap(), newer);
    assert_eq!(place.manifest(), environment("left", "true"));
    fs::write(place.lock_file(), "{").unwrap();
    place.concretize(&[]).fails(exit_code::CORRUPT, &["spack.lock", "hint: "]);
}

#[test]
fn bad_manifests_are_refused_with_line_and_column() {
    let place = Place::new("");
    let cases = [
        ("spack:\n  specs: [left\n", "spack.yaml:"),
        ("spack:\n  specs:\n  - left\n  - 'xz@'\n", "spack.yaml:4:5"),
        ("spack:\n  specs:\n  - $nothing\n", "spack.yaml:3:5"),
        ("spack:\n  specs:\n  - matrix: [[left], ['@1'], ['@2']]\n", "spack.yaml:3:5"),
        ("spack:\n  specs: left\n", "spack.yaml:2:10"),
        ("env:\n  specs: [left]\n", "spack.yaml:1:1"),
        ("", "spack.yaml:1:1"),
    ];
    for (manifest, position) in cases {
        place.want(manifest);
        place.concretize(&[]).fails(exit_code::USAGE, &[position]);
    }
    fs::remove_file(place.directory.join("spack.yaml")).unwrap();
    for command in ["concretize", "add", "remove"] {
        let arguments = if command == "concretize" { vec![command] } else { vec![command, "left"] };
        place.run(&arguments).fails(exit_code::USAGE, &["spack.yaml"]);
    }
    place.world.run(["concretize"]).fails(exit_code::USAGE, &["none is active", "-e ENV"]);
}

/// Python's `fcntl.lockf`, which is what Spack locks with.
#[test]
fn who_changes_an_environment_waits_for_spack() {
    let place = Place::new(&environment("left", "true"));
    place.ok(&place.concretize(&[]));
    let lock = place.directory.join(".spack-env/transaction_lock");
    let script = "import fcntl, sys, time\nfile = open(sys.argv[1], 'r+')\nfcntl.lockf(file, fcntl.LOCK_EX)\nprint('locked', flush=True)\ntime.sleep(2)\n";
    let Ok(mut holder) = std::process::Command::new("python3")
        .args(["-c", script, text(&lock)])
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        return strata_testkit::golden::skipped("who_changes_an_environment_waits_for_spack", "no python3");
    };
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line)
        .unwrap();
    let started = std::time::Instant::now();
    let waited = place.run(&["add", "third"]);
    place.ok(&waited);
    assert!(started.elapsed() > Duration::from_millis(1000), "{:?}", started.elapsed());
    assert!(waited.stderr.contains("waiting"), "{}", waited.stderr);
    holder.wait().unwrap();
}

#[test]
fn a_kill_leaves_the_old_lockfile_or_the_new_one() {
    let place = Place::new(&environment("left", "false"));
    place.ok(&place.concretize(&[]));
    let old = fs::read(place.lock_file()).unwrap();
    place.want(&environment("left, right, third", "false"));
    place.ok(&place.concretize(&[]));
    let new = fs::read(place.lock_file()).unwrap();
    for milliseconds in (0..60).step_by(3) {
        fs::write(place.lock_file(), &old).unwrap();
        let mut command = place.world.command();
        let store = place.world.path("store");
        command.args([
            "--store",
            text(&store),
            "-e",
            text(&place.directory),
            "concretize",
            "--no-host-check",
        ]);
        let mut child = crate::kill::start(command.args(["-m", &place.cache]));
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = fs::read(place.lock_file()).unwrap();
        assert!(found == old || found == new, "after {milliseconds} ms");
    }
    place.ok(&place.concretize(&[]));
    assert_eq!(fs::read(place.lock_file()).unwrap(), new);
}
