//! What is noted of files while they are written, against what is found on the disk afterwards.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};
use strata_layer::BuildInfo;
use strata_layer::relocate::{Destination, Platform, PrefixMap, relocate_noted, relocate_tree};
use strata_layer::unpack::{Noted, Notes};

use crate::support::unpacked;

/// Asserts that `notes` say of the tree at `root` what is true, and everything.
fn assert_true(notes: &Notes, root: &Path) {
    let mut left = vec![PathBuf::new()];
    let mut found = BTreeSet::new();
    while let Some(path) = left.pop() {
        if root.join(&path).symlink_metadata().unwrap().is_dir() {
            let entries = std::fs::read_dir(root.join(&path)).unwrap();
            left.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        }
        found.insert(path);
    }
    let noted: Vec<&PathBuf> = notes.iter().map(|note| &note.path).collect();
    assert_eq!(noted, found.iter().collect::<Vec<_>>());
    for note in notes.iter() {
        let at = root.join(&note.path);
        let status = at.symlink_metadata().unwrap();
        let owned = (note.owned.mode, note.owned.owner, note.owned.group);
        assert_eq!(owned, (status.mode(), status.uid(), status.gid()), "{}", at.display());
        match (&note.noted, notes.file(note)) {
            (Noted::Directory, None) => assert!(status.is_dir(), "{}", at.display()),
            (Noted::Symlink(target), None) => assert_eq!(&std::fs::read_link(&at).unwrap(), target),
            (Noted::File(_) | Noted::HardLink(_), Some(file)) => {
                let sha1: [u8; 20] = Sha1::digest(std::fs::read(&at).unwrap()).into();
                let modified = (status.mtime(), status.mtime_nsec() as u32);
                assert_eq!(
                    (file.sha1, file.size, file.modified),
                    (sha1, status.len(), modified),
                    "{}",
                    at.display()
                );
            }
            other => panic!("{other:?}"),
        }
        if let Noted::HardLink(first) = note.noted {
            let first = notes.iter().nth(first).unwrap();
            assert_eq!(root.join(&first.path).metadata().unwrap().ino(), status.ino(), "{}", at.display());
        }
    }
}

/// A package with something of everything.
fn sample() -> (tempfile::TempDir, BuildInfo) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["bin", "lib", "share/a.b", "share/a/b", "empty"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    let long = format!("#!/built/sample/{}\nmore\n", "x".repeat(120));
    let far = format!("#!/elsewhere/{}\n", "y".repeat(200));
    for (name, content) in [
        ("bin/becomes-long", format!("#!/built/sample/{}\n", "s".repeat(90))),
        ("bin/becomes-short", long.clone()),
        ("bin/stays-long", far.clone()),
        ("bin/listed-and-long", format!("{far}/built/sample/bin")),
        ("lib/no-program", far),
        ("lib/text", "prefix=/built/sample\n".repeat(50)),
        ("lib/listed-without-prefix", "nothing here\n".to_owned()),
        ("lib/binary", "\x7fNOT ELF /built/sample/lib\0".to_owned()),
        ("lib/large", "0123456789 /built/sample\n".repeat(40_000)),
        ("lib/nothing", String::new()),
    ] {
        std::fs::write(at(name), content).unwrap();
        let mode = if name.starts_with("bin") { 0o755 } else { 0o644 };
        std::fs::set_permissions(at(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    for number in 0..300 {
        std::fs::write(at(&format!("share/a/{number}")), "text\n".repeat(number)).unwrap();
        std::fs::write(at(&format!("share/a.b/{number}")), vec![b'b'; number * 40]).unwrap();
    }
    std::fs::write(at("share/a/b/large"), vec![b'z'; 3 << 20]).unwrap();
    std::fs::hard_link(at("lib/text"), at("share/a/another-text")).unwrap();
    std::fs::hard_link(at("bin/listed-and-long"), at("lib/again")).unwrap();
    std::fs::hard_link(at("share/a/b/large"), at("share/z")).unwrap();
    symlink("/built/sample/lib", at("lib/absolute")).unwrap();
    symlink("../lib", at("lib/relative")).unwrap();
    let paths = |names: &[&str]| names.iter().map(OsString::from).collect::<Vec<_>>();
    let info = BuildInfo {
        buildpath: "/built".to_owned(),
        relative_prefix: "sample".to_owned(),
        relocate_textfiles: paths(&[
            "bin/becomes-long",
            "bin/becomes-short",
            "bin/listed-and-long",
            "lib/text",
            "lib/listed-without-prefix",
            "lib/large",
            "share/a/another-text",
        ]),
        relocate_binaries: paths(&["lib/binary"]),
        relocate_links: paths(&["lib/absolute", "lib/relative"]),
        ..BuildInfo::default()
    };
    (directory, info)
}

/// Every path with its contents or target.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut left, mut found) = (vec![root.to_owned()], Vec::new());
    while let Some(path) = left.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let relative = path.strip_prefix(root).unwrap().to_owned();
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if metadata.is_symlink() {
            found.push((relative, std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
        } else {
            found.push((relative, std::fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_noted_is_true_before_and_after_relocation() {
    let (source, info) = sample();
    for (new, threads) in
        [(format!("/{}", "n".repeat(200)), 1), ("/n".to_owned(), 2), ("/built".to_owned(), 4)]
    {
        let (walked, _) = unpacked(source.path(), &info, threads);
        let (root, mut notes) = unpacked(source.path(), &info, threads);
        assert_true(&notes, root.path());
        let map = PrefixMap::new([("/built", &*new)]).unwrap();
        let destination = Destination { map: &map, sbang: b"/n/bin/sbang" };
        // A longer path has no room in a binary.
        let info = BuildInfo {
            relocate_binaries: if new.len() > 6 { Vec::new() } else { info.relocate_binaries.clone() },
            ..info.clone()
        };
        let relocated = relocate_noted(root.path(), &info, &destination, Platform::Elf, &mut notes).unwrap();
        assert_true(&notes, root.path());
        let as_before = relocate_tree(walked.path(), &info, &destination, Platform::Elf).unwrap();
        assert_eq!(relocated, as_before);
        assert!(relocated.shebangs >= 2, "{relocated:?}");
        assert!(contents(root.path()) == contents(walked.path()));
    }
}
