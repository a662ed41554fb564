//! Whole trees: what is changed, what is left, and what a hostile or broken list does.

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use strata_layer::BuildInfo;
use strata_layer::relocate::{
    BinaryError, CStringError, Destination, Platform, PrefixMap, RelocateError, Relocated, relocate_tree,
};

const SBANG: &[u8] = b"/new/bin/sbang";

/// A directory to relocate in.
struct Package(tempfile::TempDir);

impl Package {
    fn new(files: &[(&str, &[u8])]) -> Package {
        let package = Package(tempfile::tempdir().unwrap());
        for (name, content) in files {
            let path = package.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        package
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn content(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    fn relocate(&self, info: &BuildInfo) -> Result<Relocated, RelocateError> {
        let map = PrefixMap::new([("/old/store/pkg-hash", "/new/pkg-hash"), ("/old/store", "/new")]).unwrap();
        relocate_tree(self.0.path(), info, &Destination { map: &map, sbang: SBANG }, Platform::Elf)
    }
}

fn paths(paths: &[&str]) -> Vec<OsString> {
    paths.iter().map(OsString::from).collect()
}

fn texts(list: &[&str]) -> BuildInfo {
    BuildInfo { relocate_textfiles: paths(list), ..BuildInfo::default() }
}

fn binaries(list: &[&str]) -> BuildInfo {
    BuildInfo { relocate_binaries: paths(list), ..BuildInfo::default() }
}

fn links(list: &[&str]) -> BuildInfo {
    BuildInfo { relocate_links: paths(list), ..BuildInfo::default() }
}

#[test]
fn text_binaries_and_links_are_relocated_and_counted() {
    let package = Package::new(&[
        ("etc/conf", b"prefix=/old/store/pkg-hash\n"),
        ("etc/longer", b"/old/store/x"),
        ("etc/none", b"nothing"),
        ("etc/unlisted", b"/old/store"),
        ("lib/data", b"\x00/old/store/pkg-hash/share/data\0"),
    ]);
    symlink("/old/store/pkg-hash/etc/conf", package.path("lib/absolute")).unwrap();
    symlink("../etc/conf", package.path("lib/relative")).unwrap();
    symlink("/usr/old/store", package.path("lib/other")).unwrap();
    let before = package.path("etc/none").metadata().unwrap();
    let info = BuildInfo {
        relocate_textfiles: paths(&["etc/conf", "etc/longer", "etc/none"]),
        relocate_binaries: paths(&["lib/data"]),
        relocate_links: paths(&["lib/absolute", "lib/relative", "lib/other"]),
        ..BuildInfo::default()
    };
    let relocated = package.relocate(&info).unwrap();
    assert_eq!(relocated, Relocated { files_changed: 3, links_changed: 1, shebangs: 0, elf_grown: 0 });
    assert_eq!(package.content("etc/conf"), "prefix=/new/pkg-hash\n");
    assert_eq!(package.content("etc/longer"), "/new/x");
    assert_eq!(package.content("etc/unlisted"), "/old/store");
    assert_eq!(package.content("lib/data"), "\0///////new/pkg-hash/share/data\0");
    let target = |name: &str| std::fs::read_link(package.path(name)).unwrap();
    assert_eq!(target("lib/absolute"), Path::new("/new/pkg-hash/etc/conf"));
    assert_eq!(target("lib/relative"), Path::new("../etc/conf"));
    assert_eq!(target("lib/other"), Path::new("/usr/old/store"));
    let after = package.path("etc/none").metadata().unwrap();
    assert_eq!((before.mtime_nsec(), before.ino()), (after.mtime_nsec(), after.ino()), "not written");
    let again = package.relocate(&info).unwrap();
    assert_eq!(again, Relocated::default(), "a second time there is nothing left to do");
}

#[test]
fn an_inode_is_relocated_once_however_often_it_is_listed() {
    // The new prefix contains the old one, so a second time would change it again.
    let map = PrefixMap::new([("/opt/x", "/opt/x/y")]).unwrap();
    for deduped in [false, true] {
        let package = Package::new(&[("a", b"/opt/x/file and more")]);
        std::fs::hard_link(package.path("a"), package.path("b")).unwrap();
        let inode = package.path("a").metadata().unwrap().ino();
        let info = BuildInfo { hardlinks_deduped: deduped, ..texts(&["a", "b"]) };
        let destination = Destination { map: &map, sbang: SBANG };
        let relocated = relocate_tree(package.0.path(), &info, &destination, Platform::Elf).unwrap();
        assert_eq!(relocated.files_changed, 1);
        for name in ["a", "b"] {
            assert_eq!(package.content(name), "/opt/x/y/file and more");
            assert_eq!(package.path(name).metadata().unwrap().ino(), inode);
        }
    }
}

#[test]
fn modes_stay_and_read_only_files_are_written() {
    let package = Package::new(&[("a", b"/old/store")]);
    std::fs::set_permissions(package.path("a"), std::fs::Permissions::from_mode(0o444)).unwrap();
    package.relocate(&texts(&["a"])).unwrap();
    assert_eq!(package.content("a"), "/new");
    assert_eq!(package.path("a").metadata().unwrap().mode() & 0o7777, 0o444);
}

#[test]
fn metadata_is_left_alone_even_if_listed() {
    let package = Package::new(&[(".spack/spec.json", b"/old/store"), (".spackx", b"/old/store")]);
    package.relocate(&texts(&[".spack/spec.json", ".spackx"])).unwrap();
    assert_eq!(package.content(".spack/spec.json"), "/old/store");
    assert_eq!(package.content(".spackx"), "/new");
    // Links are not: Spack lists those in there as well, and changes them.
    symlink("/old/store/x", package.path(".spack/link")).unwrap();
    package.relocate(&links(&[".spack/link"])).unwrap();
    assert_eq!(std::fs::read_link(package.path(".spack/link")).unwrap(), Path::new("/new/x"));
}

#[test]
fn relocated_scripts_get_sbang_if_their_line_became_too_long() {
    let long = format!("/{}", "n".repeat(120));
    let map = PrefixMap::new([("/old/store".to_owned(), long.clone())]).unwrap();
    let package = Package::new(&[
        ("bin/script", b"#!/old/store/bin/python3\npass\n"),
        ("lib/data", b"#!/old/store/x\n"),
    ]);
    std::fs::set_permissions(package.path("bin/script"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let info = texts(&["bin/script", "lib/data"]);
    let destination = Destination { map: &map, sbang: SBANG };
    let relocated = relocate_tree(package.0.path(), &info, &destination, Platform::Elf).unwrap();
    assert_eq!((relocated.files_changed, relocated.shebangs), (2, 1));
    assert_eq!(
        package.content("bin/script"),
        format!("#!/bin/sh /new/bin/sbang\n#!{long}/bin/python3\npass\n")
    );
    assert_eq!(package.content("lib/data"), format!("#!{long}/x\n"), "not executable");
}

#[test]
fn with_nothing_to_map_only_first_lines_are_filtered() {
    let line = format!("#!/{}\n", "p".repeat(140));
    let package = Package::new(&[("script", line.as_bytes())]);
    std::fs::set_permissions(package.path("script"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let map = PrefixMap::new([("/same", "/same")]).unwrap();
    // A list entry that does not exist is nobody's business then, as with Spack.
    let destination = Destination { map: &map, sbang: SBANG };
    let relocated =
        relocate_tree(package.0.path(), &texts(&["missing"]), &destination, Platform::Elf).unwrap();
    assert_eq!(relocated.shebangs, 1);
}

#[test]
fn a_listed_file_that_is_missing_is_named() {
    let package = Package::new(&[]);
    for info in [texts(&["lib/gone"]), binaries(&["lib/gone"]), links(&["lib/gone"]), links(&["gone"])] {
        let error = package.relocate(&info).unwrap_err();
        assert!(matches!(&error, RelocateError::Missing { path } if path.ends_with("gone")), "{error:?}");
        assert!(error.to_string().contains("gone"));
    }
}

#[test]
fn nothing_outside_the_tree_is_touched() {
    let outside = Package::new(&[("victim", b"/old/store")]);
    let package = Package::new(&[("a", b"/old/store")]);
    symlink(outside.0.path(), package.path("away")).unwrap();
    symlink(outside.path("victim"), package.path("victim")).unwrap();
    symlink("/old/store", outside.path("link")).unwrap();
    let absolute = outside.path("victim").to_str().unwrap().to_owned();
    for path in ["away/victim", "victim", "../victim", "a/../a", "/old/store", "", ".", absolute.as_str()] {
        for info in [texts(&[path]), binaries(&[path])] {
            let error = package.relocate(&info).unwrap_err();
            assert!(matches!(error, RelocateError::UnsafePath { .. }), "{path}: {error:?}");
        }
    }
    let error = package.relocate(&links(&["away/link"])).unwrap_err();
    assert!(matches!(error, RelocateError::UnsafePath { .. }), "{error:?}");
    assert_eq!(outside.content("victim"), "/old/store");
    assert_eq!(std::fs::read_link(outside.path("link")).unwrap(), Path::new("/old/store"));
}

#[test]
fn a_bad_path_is_refused_before_anything_is_written() {
    let package = Package::new(&[("a", b"/old/store")]);
    let info = BuildInfo { relocate_binaries: paths(&["../b"]), ..texts(&["a"]) };
    assert!(matches!(package.relocate(&info), Err(RelocateError::UnsafePath { .. })));
    assert_eq!(package.content("a"), "/old/store");
}

#[test]
fn lists_with_the_wrong_kind_of_file_are_refused() {
    let package = Package::new(&[("dir/file", b"x")]);
    for info in [texts(&["dir"]), binaries(&["dir"]), links(&["dir/file"]), links(&["dir"])] {
        let error = package.relocate(&info).unwrap_err();
        assert!(matches!(error, RelocateError::WrongType { .. }), "{error:?}");
    }
    let error = package.relocate(&texts(&["dir/file/below"])).unwrap_err();
    assert!(matches!(error, RelocateError::UnsafePath { .. }), "{error:?}");
}

#[test]
fn a_string_without_room_is_an_error_that_names_the_file() {
    let package = Package::new(&[("lib/x", b"\x7fELF /old/store/longer/\0")]);
    let map = PrefixMap::new([("/old/store", "/old/store/longer")]).unwrap();
    let destination = Destination { map: &map, sbang: SBANG };
    let error =
        relocate_tree(package.0.path(), &binaries(&["lib/x"]), &destination, Platform::Elf).unwrap_err();
    let RelocateError::Binary { path, source: BinaryError::CString(CStringError::CannotGrow { .. }) } =
        &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(path, Path::new("lib/x"));
    assert_eq!(package.content("lib/x"), "\x7fELF /old/store/longer/\0", "not written");
}

#[test]
fn packages_for_macos_are_refused_but_their_files_in_linux_packages_are_not() {
    let package = Package::new(&[("a", b"\xcf\xfa\xed\xfe /old/store/share/cmake")]);
    package.relocate(&binaries(&["a"])).unwrap();
    assert_eq!(
        std::fs::read(package.path("a")).unwrap(),
        b"\xcf\xfa\xed\xfe ///////new/share/cmake"[..].to_vec()
    );
    let map = PrefixMap::new([("/new", "/x")]).unwrap();
    let destination = Destination { map: &map, sbang: SBANG };
    let error =
        relocate_tree(package.0.path(), &binaries(&["a"]), &destination, Platform::MachO).unwrap_err();
    assert!(matches!(error, RelocateError::MachO { .. }));
}

#[test]
fn a_long_path_of_sbang_is_refused_before_anything_is_written() {
    let package = Package::new(&[("a", b"/old/store")]);
    let map = PrefixMap::new([("/old/store", "/x")]).unwrap();
    let destination = Destination { map: &map, sbang: &[b'/'; 128] };
    let error = relocate_tree(package.0.path(), &texts(&["a"]), &destination, Platform::Elf).unwrap_err();
    assert!(matches!(error, RelocateError::SbangTooLong { length: 128, .. }));
    assert_eq!(package.content("a"), "/old/store");
}

#[test]
fn a_file_listed_twice_is_relocated_once() {
    let package = Package::new(&[("conf", b"/opt/x"), ("conf2", b"/opt/x")]);
    std::fs::hard_link(package.path("conf2"), package.path("conf3")).unwrap();
    let map = PrefixMap::new([("/opt", "/opt/spack")]).unwrap();
    let destination = Destination { map: &map, sbang: SBANG };
    let info = texts(&["conf", "conf", "conf2", "conf3"]);
    let relocated = relocate_tree(package.0.path(), &info, &destination, Platform::Elf).unwrap();
    assert_eq!(relocated.files_changed, 2);
    assert_eq!(package.content("conf"), "/opt/spack/x");
    assert_eq!(package.content("conf3"), "/opt/spack/x");
}

#[test]
fn large_files_are_relocated_like_small_ones() {
    let mut large = vec![0; 17 << 20];
    let package = Package::new(&[("none", &large)]);
    let end = large.len() - 30;
    large[end..end + 19].copy_from_slice(b"/old/store/lib/long");
    std::fs::write(package.path("some"), &large).unwrap();
    let relocated = package.relocate(&binaries(&["none", "some"])).unwrap();
    assert_eq!(relocated.files_changed, 1);
    large[end..end + 19].copy_from_slice(b"///////new/lib/long");
    assert!(std::fs::read(package.path("some")).unwrap() == large);
}
