//! One store used by many at once: strata processes that install overlapping sets, and somebody who locks and writes as Spack
//! does.

use crate::kill::start;
use crate::support::{World, text, tree};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use strata_testkit::golden;
use strata_testkit::sample_store::SampleStore;

/// Packages of the store that is installed from.
const PACKAGES: usize = 40;

/// Reads and writes the database as Spack does, again and again: `fcntl.lockf` on the whole of `.spack-db/lock`, the index replaced
/// by a rename, a new verifier after it; and locks prefixes in between. Each time it adds a record of its own, of an external that
/// nobody needs. Arguments: the database directory, how often, and the hashes of prefixes.
const AS_SPACK: &str = r#"
import base64, fcntl, json, os, random, sys, time, uuid
directory, times, hashes = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
path = lambda name: os.path.join(directory, name)
def poll(descriptor, *range):
    while True:
        try:
            return fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *range)
        except OSError:
            time.sleep(0.01)
database, prefixes = (os.open(path(n), os.O_RDWR | os.O_CREAT) for n in ("lock", "prefix_lock"))
for at in range(times):
    own = base64.b32encode(b"theirs%014d" % at).decode().lower()
    digest = base64.b32decode(random.choice(hashes).upper())
    offset = int.from_bytes(digest[:8], "big") >> 1
    poll(prefixes, 1, offset, os.SEEK_SET)
    time.sleep(random.random() / 50)
    poll(database)
    with open(path("index.json")) as file:
        content = json.load(file)
    time.sleep(random.random() / 100)
    arch = {"platform": "linux", "platform_os": "debian12", "target": "x86_64"}
    node = {"name": "theirs", "version": str(at), "arch": arch, "namespace": "builtin", "parameters": {},
            "external": {"path": "/usr", "module": None, "extra_attributes": {}}, "annotations": {"original_specfile_version": 5},
            "hash": own}
    content["database"]["installs"][own] = {"spec": node, "ref_count": 0, "path": "/usr", "installed": True,
            "explicit": True, "installation_time": 1.0, "deprecated_for": None}
    temporary = path("index.json.theirs.temp")
    with open(temporary, "w") as file:
        json.dump(content, file)
    os.rename(temporary, path("index.json"))
    with open(path("index_verifier"), "w") as file:
        file.write(str(uuid.uuid4()))
    fcntl.lockf(database, fcntl.LOCK_UN)
    fcntl.lockf(prefixes, fcntl.LOCK_UN, 1, offset, os.SEEK_SET)
print("done")
"#;

/// What a store holds, as far as two ways to the same packages must agree.
#[derive(Debug, PartialEq)]
pub(crate) struct Holds {
    /// References and whether it is installed, by hash.
    pub(crate) records: BTreeMap<String, (u64, bool)>,
    /// The paths below each prefix.
    pub(crate) prefixes: BTreeMap<PathBuf, Vec<PathBuf>>,
}

impl Holds {
    pub(crate) fn of(root: &Path) -> Self {
        let index: Value =
            serde_json::from_slice(&std::fs::read(root.join(".spack-db/index.json")).unwrap()).unwrap();
        let installs = index["database"]["installs"].as_object().unwrap();
        let records =
            installs.iter().filter(|(_, record)| record["spec"]["name"] != "theirs").map(|(hash, record)| {
                let state = (record["ref_count"].as_u64().unwrap(), record["installed"].as_bool().unwrap());
                (hash.clone(), state)
            });
        let below =
            |prefix: &str| (Path::new(prefix).strip_prefix(root).unwrap().to_owned(), tree(prefix.as_ref()));
        let prefixes = installs.values().filter_map(|record| record["path"].as_str());
        let prefixes = prefixes.filter(|path| path.starts_with(text(root))).map(below);
        Self { records: records.collect(), prefixes: prefixes.collect() }
    }

    /// Directories that look like prefixes and that no record has.
    pub(crate) fn unclaimed(&self, root: &Path) -> Vec<PathBuf> {
        let prefixes = tree(root).into_iter().filter(|path| path.ends_with(".spack"));
        prefixes
            .filter_map(|path| Some(path.parent()?.to_owned()))
            .filter(|p| !self.prefixes.contains_key(p))
            .collect()
    }
}

#[test]
fn eight_installs_and_somebody_who_writes_as_spack_does() {
    const TIMES: usize = 60;
    let world = World::new();
    let store = SampleStore::build_many(&world.path("built"), 128, PACKAGES).unwrap();
    let cache = world.layout("cache");
    world.ok(["-q", "--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &cache]);
    let install = |root: &Path, specs: &[&str]| {
        let mut command = world.command();
        command.args(["-q", "--store", text(root), "install", "--mirror", &cache]).args(specs);
        command
    };
    let reference = world.path("reference");
    assert!(install(&reference, &[SampleStore::MANY]).status().unwrap().success());
    let expected = Holds::of(&reference);
    assert!(expected.prefixes.len() >= PACKAGES - 1, "{}", expected.prefixes.len());

    let root = world.path("root");
    // So that there is a database for the other one to find.
    assert!(install(&root, &["leaf-000"]).status().unwrap().success());
    let hashes: Vec<&str> = store.packages.iter().map(|package| package.hash.as_str()).collect();
    let mut theirs = Command::new("python3");
    theirs.args(["-c", AS_SPACK, text(&root.join(".spack-db")), &TIMES.to_string()]).args(&hashes);
    let theirs = theirs.stdout(Stdio::null()).spawn();
    if theirs.is_err() {
        golden::skipped("eight_installs_and_somebody_who_writes_as_spack_does", "no python3: strata alone");
    }
    let sets: [&[&str]; 8] = [
        &[SampleStore::MANY],
        &["link-000"],
        &["link-005", "leaf-001", "leaf-002"],
        &[SampleStore::MANY],
        &["leaf-003", "leaf-004", "leaf-005", "leaf-006"],
        &["link-002", "leaf-010"],
        &["leaf-001", "leaf-007", "leaf-011"],
        &["link-001", SampleStore::MANY],
    ];
    let mut children: Vec<Child> = sets.iter().map(|specs| start(&mut install(&root, specs))).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let has_theirs = theirs.is_ok_and(|mut child| child.wait().unwrap().success());

    let held = Holds::of(&root);
    assert_eq!(held, expected, "no lost record, no duplicate, no half prefix");
    assert_eq!(held.unclaimed(&root), Vec::<PathBuf>::new());
    let found = world.run(["--json", "--store", text(&root), "find"]).json();
    let specs = found["result"]["specs"].as_array().unwrap();
    let of_theirs = specs.iter().filter(|spec| spec["name"] == "theirs").count();
    assert_eq!(of_theirs, if has_theirs { TIMES } else { 0 }, "none of theirs was lost");
    // What each of them asked for is marked as that.
    let explicit: BTreeSet<&str> = specs
        .iter()
        .filter(|spec| spec["explicit"] == true && spec["name"] != "theirs")
        .map(|spec| spec["name"].as_str().unwrap())
        .collect();
    let mut asked: BTreeSet<&str> = sets.iter().flat_map(|set| set.iter().copied()).collect();
    asked.insert("leaf-000");
    assert_eq!(explicit, asked);
    let left = tree(&root.join(".spack-db"));
    assert!(
        !left.iter().any(|path| path.starts_with("strata-stage") || text(path).ends_with(".temp")),
        "{left:?}"
    );
}

/// Holds a read lock on a prefix, as Spack does with what it depends on until it has done. Arguments: the lock file, the hash.
const HOLD: &str = r#"
import base64, fcntl, os, sys, time
offset = int.from_bytes(base64.b32decode(sys.argv[2].upper())[:8], "big") >> 1
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_SH, 1, offset, os.SEEK_SET)
print("held", flush=True)
time.sleep(100)
"#;

#[test]
fn what_others_have_installed_and_still_use_is_not_waited_for() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let root = world.path("root");
    let command = |arguments: &[&str]| {
        let mut command = world.command();
        command.args(arguments).args(["--store", text(&root), "install", "-m", &cache]);
        command
    };
    assert!(start(command(&[]).arg("runner")).wait().unwrap().success());
    let greet = store.packages.iter().find(|package| package.name == "greet").unwrap();
    let database = root.join(".spack-db");
    let mut holder = Command::new("python3");
    holder.args(["-c", HOLD, text(&database.join("prefix_lock")), greet.hash.as_str()]);
    let Ok(mut holder) = holder.stdout(Stdio::piped()).spawn() else {
        return golden::skipped("what_others_have_installed_and_still_use_is_not_waited_for", "no python3");
    };
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0; 5]).unwrap();
    let mut waits = start(command(&[]).arg("hello"));
    // It has staged one package and holds its lock, and would wait for the other one.
    let is_staged = || {
        let mut staged = tree(&database.join("strata-stage")).into_iter();
        staged.any(|path| path.ends_with(".spack/install_manifest.json"))
    };
    let until = |condition: &mut dyn FnMut() -> bool| {
        let end = Instant::now() + Duration::from_secs(60);
        while !condition() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        condition()
    };
    let has_staged = until(&mut || is_staged());
    // Whoever does not lock may install what the holder is using.
    let installed = start(command(&["-c", "config:locks:false"]).arg("greet")).wait().unwrap();
    let ends = until(&mut || waits.try_wait().unwrap().is_some());
    for child in [&mut waits, &mut holder] {
        let _ = child.kill();
    }
    holder.wait().unwrap();
    assert!(has_staged && installed.success() && ends);
    assert!(waits.wait().unwrap().success());
    assert_eq!(world.installed(&root), ["greet@1.0", "hello@2.1", "runner@0.3"]);
}

#[test]
fn who_waits_to_uninstall_keeps_nobody_waiting() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    let root = world.path("root");
    let mut install = world.command();
    install.args(["--store", text(&root), "install", "-m", &cache, "hello"]);
    assert!(start(&mut install).wait().unwrap().success());
    let mut hashes: Vec<&str> = store.packages.iter().map(|package| package.hash.as_str()).collect();
    hashes.sort_unstable();
    let held = |hash: &str| {
        let mut holder = Command::new("python3");
        holder.args(["-c", HOLD, text(&root.join(".spack-db/prefix_lock")), hash]);
        let mut holder = holder.stdout(Stdio::piped()).spawn().ok()?;
        // It waits where it cannot have the lock.
        let lock = std::thread::spawn({
            let mut said = holder.stdout.take().unwrap();
            move || std::io::Read::read_exact(&mut said, &mut [0; 5]).is_ok()
        });
        Some((holder, lock))
    };
    let Some((mut user, lock)) = held(hashes[hashes.len() - 1]) else {
        return golden::skipped("who_waits_to_uninstall_keeps_nobody_waiting", "no python3");
    };
    assert!(lock.join().unwrap());
    let mut uninstall = world.command();
    uninstall.args(["--store", text(&root), "uninstall", "-y", "--all"]).stderr(Stdio::piped());
    let mut uninstall = uninstall.stdout(Stdio::null()).spawn().unwrap();
    let mut word = [0; 16];
    std::io::Read::read_exact(uninstall.stderr.as_mut().unwrap(), &mut word).unwrap();
    assert_eq!(&word, b"warning: waiting");
    let (mut other, lock) = held(hashes[0]).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let has_lock = lock.is_finished();
    for holder in [&mut user, &mut other] {
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
    assert!(has_lock);
    assert!(uninstall.wait().unwrap().success());
    assert_eq!(world.installed(&root), Vec::<String>::new());
}
