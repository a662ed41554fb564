//! `install --link-mode`: files that packages have in common.

use crate::support::exit_code::USAGE;
use crate::support::{World, is_root, text, tree};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use strata_testkit::golden;

/// Contents that `greet` and `hello` both have; some in the second under another name.
const COMMON: [(&str, &str); 8] = [
    ("share/one", "share/one"),
    ("share/big", "share/large"),
    ("share/twin1", "share/twin1"),
    ("share/twin2", "share/twin2"),
    ("share/module.py", "share/module.py"),
    ("share/empty", "share/empty"),
    ("share/tool", "share/tool"),
    (".spack/note", ".spack/note"),
];

/// A cache with packages that have files in common, and what is installed from it.
struct Site {
    world: World,
    cache: String,
    root: PathBuf,
}

impl Site {
    fn new() -> Self {
        let world = World::new();
        let store = world.sample_store();
        let own = |prefix: &Path| text(prefix).to_owned();
        for (package, second) in [("greet", false), ("hello", true)] {
            let prefix = &store.package(package).prefix;
            for (one, other) in COMMON {
                let path = prefix.join(if second { other } else { one });
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                let content = match one {
                    "share/big" => "big ".repeat(100_000),
                    "share/empty" => String::new(),
                    // What is the same before relocation need not be so after it, and the other way round.
                    "share/tool" => format!("root {}\n", own(&store.root)),
                    name if name.contains("twin") => "twin".to_owned(),
                    name => name.to_owned(),
                };
                fs::write(&path, content).unwrap();
            }
            let mode = if second { 0o755 } else { 0o644 };
            fs::write(prefix.join("share/mode"), "mode").unwrap();
            fs::set_permissions(prefix.join("share/mode"), PermissionsExt::from_mode(mode)).unwrap();
            fs::write(prefix.join("share/linked"), "linked").unwrap();
            fs::hard_link(prefix.join("share/linked"), prefix.join("share/linked-too")).unwrap();
        }
        let cache = world.layout("cache");
        world.ok(["--store", text(&store.unpadded_root), "buildcache", "push", "--update-index", &cache]);
        let root = world.path("root");
        Self { world, cache, root }
    }

    fn install(&self, mode: &str, spec: &str) {
        let store = text(&self.root);
        // One after the other: two packages that are new at the same time may each keep a file of their own.
        let alone = ["--store", store, "install", "--jobs", "1", "--link-mode", mode];
        self.world.ok(alone.into_iter().chain(["--mirror", &self.cache, spec]));
    }

    fn prefix(&self, spec: &str) -> PathBuf {
        self.world.ok(["--store", text(&self.root), "location", "-i", spec]).trim().into()
    }

    fn kept(&self) -> PathBuf {
        self.root.join(".spack-db/strata-files")
    }

    /// What `greet` and `hello` have as one file.
    fn shared(&self) -> Vec<&'static str> {
        let (greet, hello) = (self.prefix("greet"), self.prefix("hello"));
        let inode = |path: PathBuf| path.symlink_metadata().unwrap().ino();
        let same = |(one, other): &&(&str, &str)| inode(greet.join(one)) == inode(hello.join(other));
        COMMON.iter().filter(same).map(|(one, _)| *one).collect()
    }

    fn verify(&self) {
        self.world.ok(["--store", text(&self.root), "verify", "--all"]);
    }

    /// The layers that the store would push.
    fn layers(&self, to: &str) -> Vec<String> {
        let to = self.world.layout(to);
        let pushed = self.world.run(["--json", "--store", text(&self.root), "buildcache", "push", &to]);
        let pushed = pushed.json()["result"]["push"]["pushed"].clone();
        let mut layers: Vec<String> =
            pushed.as_array().unwrap().iter().map(|one| one["layer"].to_string()).collect();
        layers.sort();
        layers
    }
}

#[test]
fn hard_links_are_made_of_what_is_the_same_and_of_nothing_else() {
    let site = Site::new();
    site.install("hardlink", "hello");
    let twin = ["share/twin1", "share/twin2"];
    let (twins, shared): (Vec<_>, Vec<_>) = site.shared().into_iter().partition(|name| twin.contains(name));
    assert_eq!(shared, ["share/one", "share/big"]);
    assert!(twins.len() <= 1, "{twins:?}");
    for package in ["greet", "hello"] {
        let prefix = site.prefix(package);
        let status = |name: &str| prefix.join(name).symlink_metadata().unwrap();
        assert_ne!(status("share/twin1").ino(), status("share/twin2").ino(), "two files stay two");
        assert_eq!((status("share/linked").nlink(), status("share/mode").nlink()), (2, 2));
        assert_eq!(status("share/linked").ino(), status("share/linked-too").ino());
        for (alone, _) in [COMMON[4], COMMON[5], COMMON[6], COMMON[7]] {
            assert_eq!(status(alone).nlink(), 1, "{alone} in {package}");
        }
        assert!(fs::read_to_string(prefix.join("share/tool")).unwrap().contains(text(&site.root)));
    }
    site.verify();
    let linked = site.layers("linked");
    fs::remove_dir_all(&site.root).unwrap();
    site.install("copy", "hello");
    assert!(site.shared().is_empty() && !site.kept().exists());
    assert_eq!(site.layers("copied"), linked, "a link to another package is none in a layer");
}

#[test]
fn what_was_edited_or_lost_is_not_installed() {
    let site = Site::new();
    site.install("hardlink", "greet");
    let one = site.prefix("greet").join("share/one");
    let modified = fs::metadata(&one).unwrap().modified().unwrap();
    fs::write(&one, "SHARE/ONE").unwrap();
    fs::File::options().write(true).open(&one).unwrap().set_modified(modified).unwrap();
    site.install("hardlink", "hello");
    assert_eq!(fs::read_to_string(site.prefix("hello").join("share/one")).unwrap(), "share/one");
    assert_eq!(fs::read_to_string(&one).unwrap(), "SHARE/ONE");
    assert!(!site.shared().contains(&"share/one"));
    // It took the place of what was edited.
    let store = text(&site.root);
    let again =
        ["--store", store, "install", "--overwrite", "--link-mode", "hardlink", "--mirror", &site.cache];
    site.world.ok(again.iter().copied().chain(["greet"]));
    assert!(site.shared().contains(&"share/one"));
    site.verify();

    fs::remove_dir_all(site.kept()).unwrap();
    site.world.ok(again.iter().copied().chain(["hello"]));
    site.verify();
}

#[test]
fn a_package_goes_and_the_others_stay_and_what_none_has_is_pruned() {
    let site = Site::new();
    site.install("hardlink", "hello");
    let store = text(&site.root);
    let prune = |rule: &[&str]| {
        let ran = site.world.run(["--json", "--store", store, "cache", "prune"].iter().chain(rule)).json();
        let number = |key: &str| ran["result"]["files"][key].as_u64().unwrap();
        (number("files"), number("kept"), number("kept_bytes"))
    };
    assert_eq!(prune(&["--all"]), (0, 0, 0), "all of it is in a package");
    let greet = site.prefix("greet");
    site.world.ok(["--store", store, "uninstall", "-y", "hello"]);
    assert!(!tree(&greet).is_empty());
    site.verify();
    site.world.ok(["--store", store, "uninstall", "-y", "greet"]);
    let (removed, kept, bytes) = prune(&["--unused-for", "1"]);
    assert!(removed == 0 && kept >= 4 && bytes > 400_000, "{removed} {kept} {bytes}");
    assert!(site.world.ok(["--store", store, "cache", "info"]).contains("without a package"));
    assert!(prune(&["--max-size", "399K"]).2 <= 399_000, "the big one was too much");
    prune(&["--all"]);
    assert_eq!(prune(&["--all"]), (0, 0, 0));
}

#[test]
fn another_file_system_is_refused_or_copied_to() {
    const TEST: &str = "another_file_system_is_refused_or_copied_to";
    let site = Site::new();
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        return golden::skipped(TEST, "there is no /dev/shm");
    };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(elsewhere.path()) == device(&site.world.path("")) {
        return golden::skipped(TEST, "/dev/shm is the file system of the test");
    }
    fs::create_dir_all(site.root.join(".spack-db")).unwrap();
    symlink(elsewhere.path(), site.kept()).unwrap();
    for (mode, words) in [("hardlink", "hard links"), ("reflink", "clones")] {
        let store = ["--store", text(&site.root), "install", "--mirror", &site.cache];
        let ran = site.world.run(store.into_iter().chain(["--link-mode", mode, "hello"]));
        let kept = site.kept();
        let words = [words, "strata-stage", text(&kept), "hint: ", "--link-mode copy"];
        ran.fails(USAGE, &words);
        assert!(site.world.installed(&site.root).is_empty());
    }
    site.install("auto", "hello");
    assert!(site.shared().is_empty());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing is left there");
    site.verify();
}

/// Mounted while it lives.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn clones_have_inodes_of_their_own_and_blocks_in_common() {
    const TEST: &str = "clones_have_inodes_of_their_own_and_blocks_in_common";
    let mut site = Site::new();
    if !is_root() {
        return golden::skipped(TEST, "only root can mount");
    }
    let (image, point) = (site.world.path("image"), site.world.path("mounted"));
    fs::File::create(&image).unwrap().set_len(512 << 20).unwrap();
    fs::create_dir(&point).unwrap();
    let ran = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !ran("mkfs.xfs", &["-q", "-m", "reflink=1", text(&image)])
        || !ran("mount", &["-o", "loop", text(&image), text(&point)])
    {
        return golden::skipped(TEST, "there is no mkfs.xfs, or nothing can be mounted");
    }
    let _mounted = Mounted(point.clone());
    for mode in ["reflink", "auto"] {
        site.root = point.join(mode);
        site.install(mode, "hello");
        assert!(site.shared().is_empty(), "inodes are their own");
        let (greet, hello) = (site.prefix("greet"), site.prefix("hello"));
        let blocks = |path: PathBuf| {
            let output = Command::new("filefrag").args(["-v", text(&path)]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        for path in [greet.join("share/big"), hello.join("share/large")] {
            assert_eq!(fs::metadata(&path).unwrap().nlink(), 1);
            let blocks = blocks(path);
            assert!(blocks.contains("shared"), "{blocks}");
        }
        assert!(!blocks(greet.join("share/tool")).contains("shared"));
        fs::write(greet.join("share/one"), "edited").unwrap();
        assert_eq!(fs::read_to_string(hello.join("share/one")).unwrap(), "share/one");
        fs::write(greet.join("share/one"), "share/one").unwrap();
        let store = text(&site.root);
        site.world.ok(["--store", store, "cache", "prune", "--all"]);
        site.world.ok(["--store", store, "verify", "hello"]);
    }
}
